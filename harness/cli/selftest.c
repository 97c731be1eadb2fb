/* `plumbline selftest`: every scenario against every mutant and every legal configuration. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "cli/output.h"
#include "cli/selftest_private.h"
#include "peer/device.h"

/* --- all of them, over worker processes --- */

static void run_one(void *self, size_t i)
{
    pl_selftest_subject_run(self, i);
}

/* A subject is done: what is worth a line is printed, and how far all of it is. */
static void told(void *self, size_t i, size_t done)
{
    struct pl_selftest *t = self;
    bool mutant = t->subject[i].mutant != NULL, shows = isatty(STDERR_FILENO) && !t->quiet;
    bool good = mutant ? pl_selftest_killed(t, i) : pl_selftest_clean(t, i);
    t->outcome[i].ran = true;
    if (shows)
        fprintf(stderr, "\r\033[K");
    if (!t->quiet &&
        (t->verbose || t->exhaustive || !good || (mutant && t->only) || t->only_legal)) {
        if (mutant)
            pl_selftest_print_mutant(t, i);
        else
            pl_selftest_print_legal(t, i);
        fflush(stdout);
    }
    if (shows && done < t->n_wanted)
        fprintf(stderr, "%zu of %zu mutants and configurations", done, t->n_wanted);
}

/* Legal configurations, which take longest, come first: nobody waits for a last one of them. */
static size_t list_order(const struct pl_selftest *t, size_t *order)
{
    size_t n = 0;
    for (int legal = 1; legal >= 0; legal--)
        for (size_t i = 0; i < t->n; i++)
            if (pl_selftest_wanted(t, i) && legal == !t->subject[i].mutant)
                order[n++] = i;
    return n;
}

static int bad_worker(const struct pl_selftest *t, size_t i)
{
    const struct pl_selftest_subject *subject = i < t->n ? &t->subject[i] : NULL;
    return pl_cli_error(PL_EXIT_INTERNAL, "a worker of the self-test ended badly%s%s",
                        subject ? " at " : "",
                        !subject          ? ""
                        : subject->mutant ? subject->mutant->id
                                          : subject->options[0]);
}

static int run_all(struct pl_selftest *t)
{
    size_t *order = calloc(t->n, sizeof(*order)), bad;
    bool *done = calloc(t->n, sizeof(*done));
    int err = order && done ? 0 : pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    t->n_wanted = err ? 0 : list_order(t, order);
    const struct pl_selftest_work work = {.order = order,
                                          .n = t->n_wanted,
                                          .jobs = t->jobs,
                                          .seconds = t->seconds,
                                          .self = t,
                                          .run = run_one,
                                          .told = told};
    if (!err && pl_selftest_work(&work, done, &bad) < 0)
        err = bad_worker(t, bad);
    free(order);
    free(done);
    return err;
}

static int write_json(const struct pl_selftest_matrix *m, const char *path)
{
    json_t *root = json_pack("{s:s, s:O, s:{s:I, s:I, s:I, s:I, s:I}}", "schema",
                             "plumbline-selftest/1", "mutants", m->mutants, "summary", "mutants",
                             (json_int_t)json_array_size(m->mutants), "killed",
                             (json_int_t)m->counts[0], "misattributed", (json_int_t)m->counts[1],
                             "alive", (json_int_t)m->counts[2], "not_run", (json_int_t)m->not_run);
    int err =
        root ? pl_cli_output_json(path, root) : pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    json_decref(root);
    return err;
}

static const struct pl_selftest_role *const roles[] = {&pl_selftest_device, &pl_selftest_driver,
                                                       NULL};

static bool known_role(const char *name)
{
    for (size_t r = 0; roles[r]; r++)
        if (strcmp(name, roles[r]->name) == 0)
            return true;
    return false;
}

/* Every role's subjects, or those of the one that is asked for. */
static bool list_subjects(struct pl_selftest *t)
{
    for (size_t r = 0; roles[r]; r++) {
        size_t n = 0;
        const struct pl_selftest_role *role = roles[r];
        if (t->role && strcmp(t->role, role->name) != 0)
            continue;
        const struct pl_mutant *mutants = role->mutants(t->spec, &n);
        struct pl_selftest_subject *grown =
            realloc(t->subject, (t->n + n + role->n_legal) * sizeof(*grown));
        if (!grown)
            return false;
        t->subject = grown;
        for (size_t i = 0; i < n; i++)
            grown[t->n++] = (struct pl_selftest_subject){role, &mutants[i], mutants[i].options};
        for (size_t i = 0; i < role->n_legal; i++)
            grown[t->n++] = (struct pl_selftest_subject){role, NULL, role->legal[i]};
    }
    return t->subject != NULL;
}

static int run_selftest(struct pl_selftest *t, struct pl_selftest_matrix *matrix)
{
    t->clauses = pl_clauses_find(t->spec);
    t->scenarios = pl_cli_scenarios(t->spec, NULL);
    if (!t->scenarios)
        return PL_EXIT_USAGE;
    if (!list_subjects(t))
        return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    t->outcome = mmap(NULL, t->n * sizeof(*t->outcome), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t->outcome == MAP_FAILED)
        return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    fflush(stdout);
    time_t begun = time(NULL);
    int err = run_all(t);
    if (!err)
        err = pl_selftest_conclude(t, matrix);
    if (t->exhaustive && !t->quiet)
        printf("all combinations took %lld s\n", (long long)(time(NULL) - begun));
    munmap(t->outcome, t->n * sizeof(*t->outcome));
    free(t->subject);
    pl_scenarios_free((struct pl_scenarios *)(uintptr_t)t->scenarios);
    return err;
}

static int random_run(const struct pl_selftest *t, uint64_t messages)
{
    size_t n;
    const struct pl_mutant *mutants = pl_device_mutants(t->spec, &n);
    for (size_t i = 0; t->only && i < n; i++)
        if (strcmp(mutants[i].id, t->only) == 0)
            return pl_selftest_random(t->spec, messages, t->seed, t->jobs, &mutants[i]);
    if (t->only)
        return pl_cli_error(PL_EXIT_USAGE, "--random with --mutant: '%s' is no mutant", t->only);
    return pl_selftest_random(t->spec, messages, t->seed, t->jobs, NULL);
}

/* The carriers by the words of addresses. */
static int find_carrier(struct pl_selftest *t)
{
    static const struct {
        const char *name;
        enum pl_carrier as;
    } carriers[] = {{"unix", PL_CARRIER_SEQPACKET},
                    {"unix-stream", PL_CARRIER_STREAM},
                    {"spsc", PL_CARRIER_SPSC}};
    if (!t->carrier || strcmp(t->carrier, "in-process") == 0) {
        t->carrier = NULL;
        return 0;
    }
    for (size_t i = 0; i < sizeof(carriers) / sizeof(carriers[0]); i++) {
        t->as = carriers[i].as;
        if (strcmp(t->carrier, carriers[i].name) == 0)
            return 0;
    }
    return pl_cli_error(PL_EXIT_USAGE,
                        "--carrier: '%s' is none of in-process, unix, unix-stream, spsc",
                        t->carrier);
}

static const char help_text[] =
    "usage: plumbline selftest [OPTIONS]\n"
    "Does the judge see what it should? Every mutant must fail a clause that it breaks, and no\n"
    "legal configuration of a reference peer may fail anything. Buses come behind devices and\n"
    "drivers, with a summary of their own; --json has the mutants of all.\n\n"
    "  --role ROLE     only the subjects of this role: device, driver or bus\n"
    "  --mutant TEXT   only the mutants whose id holds TEXT\n"
    "  --legal TEXT    only the legal configurations that have an option which holds TEXT\n"
    "  --quick         most legal configurations in one combination of parameters only\n"
    "  --exhaustive    peers of each type, and configurations that --legal names, in all "
    "combinations\n"
    "                  of parameters, each with a line as soon as it is done; says how long that "
    "took;\n"
    "                  not of buses\n"
    "  --part I/N      every Nth mutant and configuration, from the Ith on, so that several runs\n"
    "                  or machines share the work; not of buses\n"
    "  --seconds N     ends after N seconds: lists what was not run, and is no success then\n"
    "  --carrier C     in-process (default); or each subject as a process of its own, over unix,\n"
    "                  unix-stream or spsc; mutants that a carrier hides are left out,\n"
    "                  and buses with spsc, which is no way to reach them\n"
    "  --random N      nothing but N random legal messages, to legal configurations in turns, or\n"
    "                  to the mutant whose id is TEXT\n"
    "  --jobs N        worker processes; as many as there are processors by default, over a\n"
    "                  carrier four times as many\n"
    "  --seed N        of what is random\n"
    "  --spec DRAFT    virtio-msg-r1 by default\n"
    "  --json FILE     the matrix; FILE - is standard output\n"
    "  --verbose       every mutant and every configuration\n";

static bool is_bus(const char *role)
{
    return role && strcmp(role, "bus") == 0;
}

/* Buses have two sides, and a self-test of their own. */
static int selftest_bus(const struct pl_selftest *t, time_t begun,
                        struct pl_selftest_matrix *matrix)
{
    unsigned gone = (unsigned)(time(NULL) - begun);
    unsigned left = gone < t->seconds ? t->seconds - gone : 1;
    const struct pl_selftest_bus asked = {.spec = t->spec,
                                          .carrier = t->carrier != NULL,
                                          .as = t->as,
                                          .only = t->only,
                                          .only_legal = t->only_legal,
                                          .seed = t->seed,
                                          .jobs = t->jobs,
                                          .seconds = t->seconds ? left : 0,
                                          .verbose = t->verbose,
                                          .quiet = t->quiet};
    return pl_selftest_bus(&asked, matrix);
}

/* "I/N": part I of N, from 1 on. */
static bool take_part(struct pl_selftest *t, const char *text)
{
    uint64_t part, parts;
    const char *slash = strchr(text, '/');
    char first[24] = "";
    if (!slash || (size_t)(slash - text) >= sizeof(first))
        return false;
    memcpy(first, text, (size_t)(slash - text));
    if (!pl_cli_u64(first, &part) || !pl_cli_u64(slash + 1, &parts) || part < 1 || part > parts ||
        parts > UINT16_MAX)
        return false;
    t->part = (size_t)part - 1;
    t->parts = (size_t)parts;
    return true;
}

/* The roles that are asked for, and the matrix of all. The worst exit status. */
static int run_roles(struct pl_selftest *t, const char *json)
{
    struct pl_selftest_matrix matrix = {.mutants = json_array()};
    time_t begun = time(NULL);
    int err = pl_cli_output_check(&(const struct pl_cli_output){.json = json});
    bool shared = t->carrier && t->as == PL_CARRIER_SPSC;
    if (!err && is_bus(t->role) && shared)
        err = pl_cli_error(PL_EXIT_USAGE,
                           "--carrier spsc: a bus is reached over sockets, not over shared memory");
    int first = err || is_bus(t->role) ? err : run_selftest(t, &matrix);
    bool buses = is_bus(t->role) || (!t->role && !t->exhaustive && !shared && !t->parts);
    if (first <= PL_EXIT_FINDINGS && buses && !err)
        err = selftest_bus(t, begun, &matrix);
    err = first > err ? first : err;
    int written = err <= PL_EXIT_FINDINGS && json ? write_json(&matrix, json) : 0;
    json_decref(matrix.mutants);
    return written ? written : err;
}

int pl_cmd_selftest(int argc, char **argv)
{
    struct pl_selftest t = {.seed = 1, .jobs = 2};
    const char *json = NULL, *jobs = NULL, *seed = NULL, *spec = NULL, *random = NULL;
    const char *seconds = NULL, *part = NULL;
    bool help = false;
    uint64_t limit = 0, n = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    const struct pl_cli_option options[] = {
        {.name = "--json", .value = &json},         {.name = "--jobs", .value = &jobs},
        {.name = "--seed", .value = &seed},         {.name = "--spec", .value = &spec},
        {.name = "--mutant", .value = &t.only},     {.name = "--legal", .value = &t.only_legal},
        {.name = "--seconds", .value = &seconds},   {.name = "--part", .value = &part},
        {.name = "--role", .value = &t.role},       {.name = "--quick", .flag = &t.quick},
        {.name = "--carrier", .value = &t.carrier}, {.name = "--exhaustive", .flag = &t.exhaustive},
        {.name = "--random", .value = &random},     {.name = "--verbose", .flag = &t.verbose},
        {.name = "--help", .flag = &help},          {.name = NULL},
    };
    int err = pl_cli_parse(argc, argv, options, NULL, 0);
    if (err)
        return err;
    if (help) {
        fputs(help_text, stdout);
        return 0;
    }
    if (jobs && (!pl_cli_u64(jobs, &n) || n < 1 || n > JOBS_MAX))
        return pl_cli_error(PL_EXIT_USAGE, "--jobs: '%s' is not within 1 to %d", jobs, JOBS_MAX);
    if (seed && !pl_cli_u64(seed, &t.seed))
        return pl_cli_error(PL_EXIT_USAGE, "--seed: '%s' is no 64-bit number", seed);
    if (seconds && (!pl_cli_u64(seconds, &limit) || limit < 1 || limit > UINT32_MAX / 1000))
        return pl_cli_error(PL_EXIT_USAGE, "--seconds: '%s' is no number of seconds", seconds);
    if (part && !take_part(&t, part))
        return pl_cli_error(PL_EXIT_USAGE, "--part: '%s' is not I/N, part I of N from 1 on", part);
    t.seconds = (unsigned)limit;
    t.quiet = json && strcmp(json, "-") == 0;
    t.jobs = n > JOBS_MAX ? JOBS_MAX : (unsigned)n;
    t.spec = pl_cli_spec(spec);
    if (is_bus(t.role) && part)
        return pl_cli_error(PL_EXIT_USAGE, "--part is not for buses");
    if (is_bus(t.role) && (random || t.exhaustive))
        return pl_cli_error(PL_EXIT_USAGE, "--random and --exhaustive are not for buses");
    if (t.role && !is_bus(t.role) && !known_role(t.role))
        return pl_cli_error(PL_EXIT_USAGE, "--role: '%s' is no role that has reference peers",
                            t.role);
    if (!t.spec || find_carrier(&t))
        return PL_EXIT_USAGE;
    if (t.carrier && !jobs) /* a process of its own is waited for more than it works */
        t.jobs = 4 * t.jobs > JOBS_MAX ? JOBS_MAX : 4 * t.jobs;
    if (random && (!pl_cli_u64(random, &n) || !n))
        return pl_cli_error(PL_EXIT_USAGE, "--random: '%s' is no number of messages", random);
    if (random)
        return random_run(&t, n);
    return run_roles(&t, json);
}
