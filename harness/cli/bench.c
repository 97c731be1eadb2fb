/* `plumbline bench`: the tool's own figures, against the raw carrier where there is one. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "cli/bench.h"
#include "engine/version.h"
#include "pl_digest.h"

static const char help[] =
    "usage: plumbline bench [--quick] [--json FILE]\n"
    "Measure round trips against the bare carrier, the oracle's cost, the suites of devices, "
    "drivers\n"
    "and buses, sessions a second, and memory.\n\n"
    "  --quick      fewer rounds: figures that show that it runs and little more\n"
    "  --json FILE  the figures as data; FILE - is standard output\n";

double bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double bench_median(double *values, unsigned n)
{
    qsort(values, n, sizeof(*values), compare);
    return n % 2 ? values[n / 2] : (values[n / 2 - 1] + values[n / 2]) / 2;
}

static void measure_memory(struct bench *b)
{
    struct rusage self, children;
    getrusage(RUSAGE_SELF, &self);
    getrusage(RUSAGE_CHILDREN, &children);
    b->self_kib = self.ru_maxrss;
    b->children_kib = children.ru_maxrss;
}

/* --- showing it --- */

static const char *against(bool reached)
{
    return reached ? "reached" : "missed";
}

static void print_suite(const struct bench *b, const struct bench_suite *suite, const char *carrier,
                        FILE *out)
{
    fprintf(out, "device suite  %8.2f s over %s, %llu messages (goal: under 2, %s)%s\n",
            suite->seconds, carrier, (unsigned long long)suite->messages,
            against(suite->seconds < 2), b->quick ? " (one combination in place of all)" : "");
}

static void print_role(const struct bench_suite *suite, const char *role, const char *lives,
                       FILE *out)
{
    fprintf(out, "%-13s %8.2f s, %llu messages, %llu %s (goal: under 5, %s)\n", role,
            suite->seconds, (unsigned long long)suite->messages, (unsigned long long)suite->lives,
            lives, against(suite->seconds < 5));
}

/* Milliseconds of one life, its process's start included. */
static double life_ms(const struct bench_suite *lives)
{
    return lives->lives ? lives->seconds * 1e3 / (double)lives->lives : 0;
}

static double life_messages(const struct bench_suite *lives)
{
    return lives->lives ? (double)lives->messages / (double)lives->lives : 0;
}

static void print_carrier(const struct bench_carrier *c, const char *name, FILE *out)
{
    fprintf(out, "%-12s %12.0f %12.0f %8.2f", name, c->bare_ns, c->ours_ns, c->ratio);
    if (c->goal > 0)
        fprintf(out, "  (goal: at least %.2g, %s)\n", c->goal, against(c->ratio >= c->goal));
    else
        fprintf(out, "  (bare: a call and two copies)\n");
}

/* A build with sanitizers is held to less. */
static double session_goal(const struct bench_sessions *s)
{
#ifdef __SANITIZE_ADDRESS__
    return s->goal / 4;
#else
    return s->goal;
#endif
}

static void print_sessions(const struct bench *b, FILE *out)
{
    const struct bench_sessions *s = b->sessions;
    for (size_t i = 0; i < BENCH_SESSIONS; i++, s++) {
        fprintf(out, "sessions      %8.0f /s in-process, %s, %llu messages each", s->per_second,
                s->name, (unsigned long long)s->messages);
        if (s->goal > 0)
            fprintf(out, " (goal: at least %.0f, %s)", session_goal(s),
                    against(s->per_second >= session_goal(s)));
        fputc('\n', out);
    }
    s = &b->socket_sessions;
    fprintf(out,
            "sessions      %8.0f /s over a socket, device, %llu messages each; the bare carrier "
            "allows %.0f, ratio %.2f (goal: at least %.2g, %s)\n",
            s->per_second, (unsigned long long)s->messages, s->bare_per_second, s->ratio, s->goal,
            against(s->ratio >= s->goal));
}

static void print_table(const struct bench *b, FILE *out)
{
    fprintf(out, "%-12s %12s %12s %8s\n", "round trip", "bare ns", "ours ns", "ratio");
    for (size_t i = 0; i < BENCH_CARRIERS; i++)
        print_carrier(&b->carriers[i], b->carriers[i].name, out);
    print_carrier(&b->bus, "bus", out);
    fprintf(out, "\noracle        %8.0f ns a message, over %llu messages (goal: under 500, %s)\n",
            b->oracle_ns, (unsigned long long)b->oracle_messages, against(b->oracle_ns < 500));
    print_suite(b, &b->suite, "a socket", out);
    print_suite(b, &b->suite_spsc, "shared memory", out);
    print_role(&b->suite_driver, "driver suite", "lives", out);
    fprintf(out, "driver life   %8.2f ms, %.0f messages\n", life_ms(&b->driver_life),
            life_messages(&b->driver_life));
    print_role(&b->suite_bus, "bus suite", "starts", out);
    print_sessions(b, out);
    fprintf(out, "peak memory   %8.1f MiB, largest child %.1f MiB\n", (double)b->self_kib / 1024,
            (double)b->children_kib / 1024);
}

static json_t *suite_as_json(const struct bench_suite *suite)
{
    return json_pack("{s:f, s:I, s:I, s:b}", "seconds", suite->seconds, "messages",
                     (json_int_t)suite->messages, "lives", (json_int_t)suite->lives, "conforms",
                     suite->conforms);
}

static json_t *carrier_as_json(const struct bench_carrier *c)
{
    return json_pack("{s:s, s:f, s:f, s:f}", "carrier", c->name, "bare_ns", c->bare_ns, "ours_ns",
                     c->ours_ns, "ratio", c->ratio);
}

static json_t *sessions_as_json(const struct bench *b)
{
    const struct bench_sessions *s = b->sessions;
    json_t *list = json_array();
    for (size_t i = 0; i < BENCH_SESSIONS; i++, s++)
        json_array_append_new(list,
                              json_pack("{s:s, s:I, s:f}", "session", s->name, "messages",
                                        (json_int_t)s->messages, "per_second", s->per_second));
    return list;
}

static json_t *as_json(const struct bench *b)
{
    json_t *carriers = json_array();
    for (size_t i = 0; i < BENCH_CARRIERS; i++)
        json_array_append_new(carriers, carrier_as_json(&b->carriers[i]));
    json_t *life =
        json_pack("{s:f, s:f, s:I}", "ms", life_ms(&b->driver_life), "messages",
                  life_messages(&b->driver_life), "lives", (json_int_t)b->driver_life.lives);
    const struct bench_sessions *s = &b->socket_sessions;
    json_t *socket = json_pack("{s:s, s:I, s:f, s:f, s:f}", "carrier", s->name, "messages",
                               (json_int_t)s->messages, "per_second", s->per_second,
                               "bare_per_second", s->bare_per_second, "ratio", s->ratio);
    return json_pack(
        "{s:s, s:{s:s, s:s}, s:b, s:o, s:o, s:{s:f, s:I}, s:o, s:o, s:o, s:o, s:o, s:o, s:o, "
        "s:{s:I, s:I}}",
        "schema", "plumbline-bench/1", "tool", "version", PL_VERSION, "models", PL_MODELS_DIGEST,
        "quick", b->quick, "round_trips", carriers, "bus_round_trip", carrier_as_json(&b->bus),
        "oracle", "ns_per_message", b->oracle_ns, "messages", (json_int_t)b->oracle_messages,
        "suite", suite_as_json(&b->suite), "suite_spsc", suite_as_json(&b->suite_spsc),
        "suite_driver", suite_as_json(&b->suite_driver), "driver_life", life, "suite_bus",
        suite_as_json(&b->suite_bus), "sessions", sessions_as_json(b), "socket_sessions", socket,
        "memory", "self_kib", (json_int_t)b->self_kib, "children_kib", (json_int_t)b->children_kib);
}

static int write_json(const struct bench *b, const char *path)
{
    json_t *root = as_json(b);
    FILE *out = strcmp(path, "-") ? fopen(path, "w") : stdout;
    int err =
        out ? 0 : pl_cli_error(PL_EXIT_USAGE, "%s: cannot be written: %s", path, strerror(errno));
    if (!err && (!root || json_dumpf(root, out, JSON_INDENT(2)) || fputc('\n', out) < 0))
        err = pl_cli_error(PL_EXIT_INTERNAL, "%s: the figures cannot be written", path);
    if (out && out != stdout && fclose(out) != 0 && !err)
        err = pl_cli_error(PL_EXIT_INTERNAL, "%s: %s", path, strerror(errno));
    json_decref(root);
    return err;
}

/* --- the command --- */

static int run(struct bench *b, const char *json)
{
    int err = bench_round_trips(b);
    if (!err)
        err = bench_bus_round_trip(b);
    if (!err)
        err = bench_oracle(b);
    if (!err)
        err = bench_suite(b);
    if (!err)
        err = bench_roles(b);
    if (!err)
        err = bench_sessions(b);
    measure_memory(b);
    if (err)
        return err;
    print_table(b, json && !strcmp(json, "-") ? stderr : stdout);
    return json ? write_json(b, json) : 0;
}

int pl_cmd_bench(int argc, char **argv)
{
    struct bench b = {0};
    const char *json = NULL;
    bool show_help = false;
    const struct pl_cli_option options[] = {
        {.name = "--json", .value = &json},
        {.name = "--quick", .flag = &b.quick},
        {.name = "--help", .flag = &show_help},
        {.name = NULL},
    };
    int err = pl_cli_parse(argc, argv, options, NULL, 0);
    if (err)
        return err;
    if (show_help) {
        fputs(help, stdout);
        return 0;
    }
    b.spec = pl_cli_spec(NULL);
    b.scenarios = pl_cli_scenarios(b.spec, NULL);
    err = b.scenarios ? run(&b, json) : PL_EXIT_INTERNAL;
    pl_scenarios_free(b.scenarios);
    return err;
}
