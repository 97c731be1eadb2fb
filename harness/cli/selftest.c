/* `plumbline selftest`: every scenario against every mutant and every legal configuration. */
#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/selftest.h"
#include "engine/version.h"
#include "peer/device.h"
#include "pl_digest.h"

enum { FAILED_MAX = 2048, JOBS_MAX = 64 };

/*
 * Legal configurations of the reference device: what the draft leaves open, one freedom or a few at
 * a time. None of them may fail anything.
 */
const char *const pl_selftest_legal[][PL_SELFTEST_OPTIONS] = {
    {"type=block"},
    {"type=net"},
    {"type=console"},
    {"type=entropy"},
    {"reset_delay=3"},
    {"reset_delay=3", "during_reset=1"},
    {"reset_delay=3", "during_reset=2"},
    {"reset_delay=40", "during_reset=2", "type=entropy"},
    {"refuse_version_1=0"},
    {"refuse_early_queue=1"},
    {"refuse_bad_size=0"},
    {"rvq_keep=1"},
    {"range_answer=1"},
    {"generation_on_write=1"},
    {"generation_on_reset=1"},
    {"generation_first=4294967295"},
    {"generation_first=0", "generation_on_write=1"},
    {"reset_restores_config=0"},
    {"event_inactive=1"},
    {"event_data=0"},
    {"event_data=0", "event_range=0"},
    {"event_needs_reset=1"},
    {"accept_long=1"},
    {"bus_dev_num_strict=1"},
    {"no_device_failure=1"},
    {"devices=3", "number_first=2", "number_step=300", "devices_skip=1"},
    {"devices=2"},
    {"uuid=0"},
    {"admin_vqs=2"},
    {"feature_blocks=4"},
    {"config_size=1024"},
    {"config_size=300", "type=console"},
    {"config_writable=0"},
    {"config_writable=0", "type=net"},
    {"features_remove=0x10000000000"},
    /* ring features: without each of them, and without all */
    {"features_remove=0x10000000"},
    {"features_remove=0x20000000"},
    {"features_remove=0x400000000"},
    {"features_remove=0x800000000", "type=net"},
    {"features_remove=0x4000000000", "type=console"},
    {"features_remove=0x4c30000000"},
    {"features_remove=0x4c30000000", "type=net"},
    {"features_remove=0x4c30000000", "type=entropy"},
    {"reset_delay=3", "type=net"},
    {"reset_delay=3", "type=console"},
    /* virtqueues at work: later, in another order, together, one by one; with and without hints */
    {"io_delay=2"},
    {"io_delay=5", "io_reset=1"},
    {"io_delay=5", "reset_delay=3"},
    {"io_out_of_order=1", "io_delay=3"},
    {"io_batch=1"},
    {"io_batch=2"},
    {"io_in_order_batch=1"},
    {"io_in_order_batch=1", "type=net"},
    {"io_spurious=1"},
    {"io_early=0"},
    {"io_suppress=1"},
    {"io_poll=1", "io_suppress=1"},
    {"io_fault=1"},
    {"queue_size=1"},
    {"queue_size=3"},
    {"queue_size=32768"},
    {"features_add=0x20"},
    {"io_partial=1", "type=console"},
    {"features_add=0x2", "type=console"},
    {"io_discard=0"},
};

/* What one subject came to; lives in memory shared with the worker processes. */
struct outcome {
    bool ran;
    int error;
    bool failed[FAILED_MAX], warned[FAILED_MAX]; /* failed: warnings too */
    uint64_t applied[FAILED_MAX];
    unsigned other_findings;
    char text[256]; /* the first finding */
};

struct selftest {
    const struct pl_spec *spec;
    const struct pl_clauses *clauses;
    const struct pl_scenarios *scenarios;
    const struct pl_mutant *mutants;
    size_t n_mutants, n;
    struct outcome *outcome; /* [n]: mutants, then legal configurations */
    const char *only;
    bool quick, exhaustive;
    const char *carrier; /* NULL: in-process */
    enum pl_carrier as;
    uint64_t seed;
    unsigned jobs;
};

const size_t pl_selftest_n_legal = sizeof(pl_selftest_legal) / sizeof(pl_selftest_legal[0]);

/* --- one subject --- */

/* "a,b,c" of the clauses that a mutant breaks: enough scenarios for a quick look. */
static void aimed(const struct pl_mutant *mutant, char *out, size_t cap)
{
    out[0] = '\0';
    strncat(out, "core-*", cap - 1);
    for (size_t i = 0; mutant->clauses[i]; i++) {
        strncat(out, ",", cap - strlen(out) - 1);
        strncat(out, mutant->clauses[i], cap - strlen(out) - 1);
    }
}

void pl_selftest_split(const char *const *options, struct pl_device_config *config,
                       const char *rest[PL_SELFTEST_OPTIONS])
{
    size_t n = 0;
    for (size_t i = 0; options && options[i] && n + 1 < PL_SELFTEST_OPTIONS; i++) {
        if (strncmp(options[i], "type=", 5) == 0)
            config->type = options[i] + 5;
        else
            rest[n++] = options[i];
    }
    rest[n] = NULL;
    config->options = rest;
}

static void note_report(const struct selftest *t, const struct pl_report *report,
                        struct outcome *out)
{
    for (size_t i = 0; i < report->n_clauses; i++) {
        const struct pl_clause_result *c = &report->clauses[i];
        int index = pl_clauses_index(t->clauses, c->id);
        out->applied[index] = c->count;
        out->warned[index] = c->verdict == PL_CLAUSE_WARNING;
        out->failed[index] = c->verdict == PL_CLAUSE_FAIL || c->verdict == PL_CLAUSE_WARNING;
    }
    for (size_t i = 0; i < report->n_findings; i++) {
        const struct pl_finding *f = &report->findings[i];
        out->other_findings += f->kind != PL_FINDING_CLAUSE;
        if (!out->text[0] && !f->warning)
            snprintf(out->text, sizeof(out->text), "%s: %.200s", f->scenario ? f->scenario : "-",
                     f->text);
    }
    out->error = report->why_not && report->n_findings == 0 ? -EINVAL : 0;
    if (out->error)
        snprintf(out->text, sizeof(out->text), "%s", report->why_not);
}

static struct pl_port *subject_port(const struct selftest *t, const struct pl_device_config *config,
                                    const struct pl_mutant *mutant)
{
    char command[1024], error[256];
    if (!t->carrier)
        return pl_port_inprocess(t->spec, &pl_device_endpoint, config, "reference device", 1 << 20);
    int n = snprintf(command, sizeof(command), "exec /proc/%d/exe serve device", (int)getpid());
    if (config->type)
        n += snprintf(command + n, sizeof(command) - (size_t)n, " --type %s", config->type);
    if (mutant)
        n += snprintf(command + n, sizeof(command) - (size_t)n, " --mutant %s", mutant->id);
    for (size_t i = 0; config->options[i]; i++)
        n += snprintf(command + n, sizeof(command) - (size_t)n, " --option %s", config->options[i]);
    struct pl_port_options options = {.spec = t->spec, .exec = command, .carrier = t->as};
    return pl_port_open(&options, error, sizeof(error));
}

/* What of a subject's run is left out, or added. */
struct extent {
    const char *select; /* NULL: all scenarios */
    bool quick, exhaustive;
};

/* One whole run of a subject, or of the selected scenarios. */
static void run_selected(const struct selftest *t, size_t i, const struct pl_mutant *mutant,
                         const struct extent *extent)
{
    struct outcome *out = &t->outcome[i];
    struct pl_device_config config = {.spec = t->spec->name, .mutant = mutant ? mutant->id : NULL};
    const char *rest[PL_SELFTEST_OPTIONS];
    char error[256];
    int err;
    pl_selftest_split(mutant ? mutant->options : pl_selftest_legal[i - t->n_mutants], &config,
                      rest);
    struct pl_port *port = subject_port(t, &config, mutant);
    struct pl_suite_options options = {.scenarios = t->scenarios,
                                       .port = port,
                                       .role = "device",
                                       .iut = "reference device",
                                       .seed = t->seed,
                                       .select = extent->select,
                                       .quick = extent->quick,
                                       .exhaustive = extent->exhaustive};
    memset(out, 0, sizeof(*out));
    out->ran = true;
    out->error = -ENOMEM;
    if (!port)
        return;
    struct pl_suite *suite = pl_suite_run(&options, &err, error, sizeof(error));
    out->error = err;
    if (suite)
        note_report(t, pl_suite_report(suite), out);
    else
        snprintf(out->text, sizeof(out->text), "%s", error);
    pl_suite_free(suite);
    port->ops->close(port);
}

static bool killed(const struct selftest *t, size_t i);

/* First what is aimed at a mutant's clauses: in one combination, in all; then everything. */
static void run_mutant(const struct selftest *t, size_t i)
{
    char select[512];
    const struct pl_mutant *mutant = &t->mutants[i];
    aimed(mutant, select, sizeof(select));
    const struct extent extents[] = {
        {select, true, false}, {select, false, false}, {NULL, false, false}, {NULL, false, true}};
    for (size_t k = 0; k < sizeof(extents) / sizeof(extents[0]); k++) {
        if (extents[k].exhaustive && !t->exhaustive)
            break;
        run_selected(t, i, mutant, &extents[k]);
        if (killed(t, i))
            break;
    }
}

/* Quick: what differs from a device that was tested whole is looked at in one combination. */
static void run_legal(const struct selftest *t, size_t i)
{
    const char *const *options = pl_selftest_legal[i - t->n_mutants];
    bool one_type = strncmp(options[0], "type=", 5) == 0 && !options[1];
    const struct extent extent = {.quick = t->quick && !one_type, .exhaustive = t->exhaustive};
    run_selected(t, i, NULL, &extent);
}

static void run_subject(const struct selftest *t, size_t i)
{
    if (i < t->n_mutants)
        run_mutant(t, i);
    else
        run_legal(t, i);
}

/* --- all of them, over worker processes --- */

static bool wanted(const struct selftest *t, size_t i)
{
    return !t->only || (i < t->n_mutants && strstr(t->mutants[i].id, t->only));
}

static void worker(const struct selftest *t, unsigned k)
{
    size_t seen = 0;
    for (size_t i = 0; i < t->n; i++)
        if (wanted(t, i) && seen++ % t->jobs == k)
            run_subject(t, i);
}

static int run_all(const struct selftest *t)
{
    pid_t pids[JOBS_MAX];
    int err = 0;
    if (t->jobs == 1) {
        worker(t, 0);
        return 0;
    }
    for (unsigned k = 0; k < t->jobs; k++) {
        pids[k] = fork();
        if (pids[k] == 0) {
            worker(t, k);
            _exit(0);
        }
    }
    for (unsigned k = 0; k < t->jobs; k++) {
        int status = 1;
        if (pids[k] < 0 || waitpid(pids[k], &status, 0) < 0 || status)
            err = pl_cli_error(PL_EXIT_INTERNAL,
                               "a worker of the self-test ended badly (status %d)", status);
    }
    return err;
}

/* --- verdicts --- */

static bool breaks(const struct pl_mutant *mutant, const char *id)
{
    for (size_t i = 0; mutant->clauses[i]; i++)
        if (strcmp(mutant->clauses[i], id) == 0)
            return true;
    return false;
}

static const char *verdict_of(const struct selftest *t, size_t i)
{
    const struct outcome *out = &t->outcome[i];
    bool any = out->other_findings > 0;
    for (size_t c = 0; c < pl_clauses_count(t->clauses); c++) {
        if (!out->failed[c])
            continue;
        if (breaks(&t->mutants[i], pl_clauses_get(t->clauses, c)->id))
            return "killed";
        any = true;
    }
    return any ? "misattributed" : "alive";
}

static bool killed(const struct selftest *t, size_t i)
{
    return strcmp(verdict_of(t, i), "killed") == 0;
}

static void print_failed(const struct selftest *t, size_t i)
{
    for (size_t c = 0; c < pl_clauses_count(t->clauses); c++)
        if (t->outcome[i].failed[c])
            printf(" %s", pl_clauses_get(t->clauses, c)->id);
}

static bool legal_is_clean(const struct selftest *t, size_t i)
{
    const struct outcome *out = &t->outcome[i];
    if (out->error || out->other_findings)
        return false;
    for (size_t c = 0; c < pl_clauses_count(t->clauses); c++)
        if (out->failed[c] && !out->warned[c])
            return false;
    return true;
}

static void print_mutant(const struct selftest *t, size_t i)
{
    const struct pl_mutant *m = &t->mutants[i];
    printf("%-13s %s\n              breaks", verdict_of(t, i), m->id);
    for (size_t k = 0; m->clauses[k]; k++)
        printf(" %s", m->clauses[k]);
    printf("; failed");
    print_failed(t, i);
    putchar('\n');
}

static void print_legal(const struct selftest *t, size_t i)
{
    const char *const *options = pl_selftest_legal[i - t->n_mutants];
    printf("%-13s", legal_is_clean(t, i) ? "clean" : "FALSE FAILURE");
    for (size_t k = 0; k < PL_SELFTEST_OPTIONS && options[k]; k++)
        printf(" %s", options[k]);
    if (!legal_is_clean(t, i)) {
        printf(";");
        print_failed(t, i);
        printf(" (%s)", t->outcome[i].text);
    }
    putchar('\n');
}

/* Clauses that are judged and that no mutant died of. */
static size_t print_unproven(const struct selftest *t)
{
    size_t n = 0;
    for (size_t c = 0; c < pl_clauses_count(t->clauses); c++) {
        const struct pl_clause_def *def = pl_clauses_get(t->clauses, c);
        bool proven = !def->judged, passed = !def->judged;
        for (size_t i = 0; i < t->n_mutants; i++)
            proven |= t->outcome[i].failed[c] && breaks(&t->mutants[i], def->id);
        for (size_t i = t->n_mutants; i < t->n; i++)
            passed |= t->outcome[i].applied[c] > 0;
        if (!proven)
            printf("no mutant dies of %s\n", def->id);
        if (!passed)
            printf("no legal run passes %s\n", def->id);
        n += !proven || !passed;
    }
    return n;
}

static int write_json(const struct selftest *t, const char *path, const size_t counts[3])
{
    json_t *list = json_array();
    for (size_t i = 0; i < t->n_mutants; i++) {
        if (!wanted(t, i))
            continue;
        json_t *breaks_list = json_array(), *killed = json_array();
        for (size_t k = 0; t->mutants[i].clauses[k]; k++)
            json_array_append_new(breaks_list, json_string(t->mutants[i].clauses[k]));
        for (size_t c = 0; c < pl_clauses_count(t->clauses); c++)
            if (t->outcome[i].failed[c])
                json_array_append_new(killed, json_string(pl_clauses_get(t->clauses, c)->id));
        json_array_append_new(list, json_pack("{s:s, s:o, s:o, s:s}", "id", t->mutants[i].id,
                                              "clauses", breaks_list, "killed_by", killed,
                                              "verdict", verdict_of(t, i)));
    }
    json_t *root =
        json_pack("{s:s, s:o, s:{s:I, s:I, s:I, s:I}}", "schema", "plumbline-selftest/1", "mutants",
                  list, "summary", "mutants", (json_int_t)(counts[0] + counts[1] + counts[2]),
                  "killed", (json_int_t)counts[0], "misattributed", (json_int_t)counts[1], "alive",
                  (json_int_t)counts[2]);
    int err =
        root ? pl_cli_output_json(path, root) : pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    json_decref(root);
    return err;
}

static int conclude(const struct selftest *t, const char *json, bool verbose)
{
    size_t counts[3] = {0}, dirty = 0, unproven = 0;
    bool quiet = json && strcmp(json, "-") == 0;
    for (size_t i = 0; i < t->n_mutants; i++) {
        if (!wanted(t, i))
            continue;
        const char *verdict = verdict_of(t, i);
        counts[verdict[0] == 'k' ? 0 : verdict[0] == 'm' ? 1 : 2]++;
        if (!quiet && (verbose || verdict[0] != 'k' || t->only))
            print_mutant(t, i);
    }
    for (size_t i = t->n_mutants; i < t->n; i++) {
        if (!wanted(t, i))
            continue;
        dirty += !legal_is_clean(t, i);
        if (!quiet && (verbose || !legal_is_clean(t, i)))
            print_legal(t, i);
    }
    if (!quiet && !t->only)
        unproven = print_unproven(t);
    if (!quiet)
        printf(
            "%zu mutants: %zu killed by their own clause, %zu misattributed, %zu alive; %zu legal "
            "configurations, %zu with a false failure; %zu judged clauses unproven\n",
            counts[0] + counts[1] + counts[2], counts[0], counts[1], counts[2],
            t->only ? 0 : pl_selftest_n_legal, dirty, unproven);
    int err = json ? write_json(t, json, counts) : 0;
    return err                                           ? err
           : counts[1] || counts[2] || dirty || unproven ? PL_EXIT_FINDINGS
                                                         : PL_EXIT_CONFORMS;
}

static int run_selftest(struct selftest *t, const char *json, bool verbose)
{
    t->clauses = pl_clauses_find(t->spec);
    t->scenarios = pl_cli_scenarios(t->spec, NULL);
    if (!t->scenarios)
        return PL_EXIT_USAGE;
    t->mutants = pl_device_mutants(t->spec, &t->n_mutants);
    t->n = t->n_mutants + pl_selftest_n_legal;
    t->outcome = mmap(NULL, t->n * sizeof(*t->outcome), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t->outcome == MAP_FAILED)
        return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    fflush(stdout);
    time_t begun = time(NULL);
    int err = run_all(t);
    if (!err)
        err = conclude(t, json, verbose);
    if (t->exhaustive && !(json && strcmp(json, "-") == 0))
        printf("all combinations took %lld s\n", (long long)(time(NULL) - begun));
    munmap(t->outcome, t->n * sizeof(*t->outcome));
    pl_scenarios_free((struct pl_scenarios *)(uintptr_t)t->scenarios);
    return err;
}

static int random_run(const struct selftest *t, uint64_t messages)
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
static int find_carrier(struct selftest *t)
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
    "legal configuration of the reference device may fail anything.\n\n"
    "  --mutant TEXT   only the mutants whose id holds TEXT\n"
    "  --quick         most legal configurations in one combination of parameters only\n"
    "  --exhaustive    legal configurations in all combinations; says how long that took\n"
    "  --carrier C     in-process (default); or each subject as a process of its own, over unix,\n"
    "                  unix-stream or spsc\n"
    "  --random N      nothing but N random legal messages, to legal configurations in turns, or\n"
    "                  to the mutant whose id is TEXT\n"
    "  --jobs N        worker processes; as many as there are processors by default, over a\n"
    "                  carrier four times as many\n"
    "  --seed N        of what is random\n"
    "  --spec DRAFT    virtio-msg-r1 by default\n"
    "  --json FILE     the matrix; FILE - is standard output\n"
    "  --verbose       every mutant and every configuration\n";

int pl_cmd_selftest(int argc, char **argv)
{
    struct selftest t = {.seed = 1, .jobs = 2};
    const char *json = NULL, *jobs = NULL, *seed = NULL, *spec = NULL, *random = NULL;
    bool verbose = false, help = false;
    uint64_t n = (uint64_t)sysconf(_SC_NPROCESSORS_ONLN);
    const struct pl_cli_option options[] = {
        {.name = "--json", .value = &json},         {.name = "--jobs", .value = &jobs},
        {.name = "--seed", .value = &seed},         {.name = "--spec", .value = &spec},
        {.name = "--mutant", .value = &t.only},     {.name = "--quick", .flag = &t.quick},
        {.name = "--carrier", .value = &t.carrier}, {.name = "--exhaustive", .flag = &t.exhaustive},
        {.name = "--random", .value = &random},     {.name = "--verbose", .flag = &verbose},
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
    t.jobs = n > JOBS_MAX ? JOBS_MAX : (unsigned)n;
    t.spec = pl_cli_spec(spec);
    if (!t.spec || find_carrier(&t))
        return PL_EXIT_USAGE;
    if (t.carrier && !jobs) /* a process of its own is waited for more than it works */
        t.jobs = 4 * t.jobs > JOBS_MAX ? JOBS_MAX : 4 * t.jobs;
    if (random && (!pl_cli_u64(random, &n) || !n))
        return pl_cli_error(PL_EXIT_USAGE, "--random: '%s' is no number of messages", random);
    if (random)
        return random_run(&t, n);
    err = pl_cli_output_check(&(const struct pl_cli_output){.json = json});
    return err ? err : run_selftest(&t, json, verbose);
}
