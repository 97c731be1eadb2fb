/* `plumbline selftest --role bus`: every mutant of the reference bus and every legal configuration.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/selftest.h"
#include "cli/selftest_outcome.h"
#include "cli/selftest_run.h"
#include "peer/bus.h"

/* What the draft leaves open, one freedom or a few at a time. None of them may fail anything. */
static const char *const legal[][PL_SELFTEST_OPTIONS] = {
    {NULL},
    {"rewrite_tokens=1"},
    {"discovery=1"},
    {"discovery=2"},
    {"discovery=2", "devices=0"},
    {"discovery=3", "devices=0", "event_device=0"},
    {"discovery=3", "devices=2"},
    {"devices=0"},
    {"devices=2"},
    {"devices=2", "ping=2", "rewrite_tokens=1", "delay=1"},
    {"devices_skip=1"},
    {"devices_trim=1"},
    {"devices_trim=1", "devices_skip=1"},
    {"ping=0"},
    {"ping=2"},
    {"parameters=0"},
    {"devices=0", "ping=0", "parameters=0", "event_device=0"},
    {"event_device=0"},
    {"event_device=2"},
    {"event_device=2", "devices=0"},
    {"serial=1"},
    {"serial=2"},
    {"serial=1", "rewrite_tokens=1", "reorder=5"},
    {"delay=2"},
    {"delay=15", "rewrite_tokens=1"},
    {"reorder=20"},
    {"reorder=20", "rewrite_tokens=1", "serial=1"},
    {"fail_events=1"},
    {"fail_lies=1"},
    {"fail_removed=0"},
    {"pad=4"},
    {"pad=60", "rewrite_tokens=1"},
    {"clear_reserved=1"},
    {"mask_notification_data=1"},
    {"hold_on_change=1"},
    {"forward_large=1"},
    {"timeout=20"},
    {"timeout=2000", "serial=2"},
};
enum { N_LEGAL = sizeof(legal) / sizeof(legal[0]) };

struct test {
    const struct pl_selftest_bus *asked;
    const struct pl_clauses *clauses;
    const struct pl_scenarios *scenarios;
    const struct pl_bus_mutant *mutants;
    size_t n_mutants, n;
    struct pl_outcome *outcome; /* mutants, then legal configurations */
};

/* --- one subject --- */

static struct pl_port *subject_port(const struct test *t, const struct pl_bus_config *config)
{
    char command[1024], error[256];
    if (!t->asked->carrier)
        return pl_port_inprocess_bus(t->asked->spec, &pl_bus_endpoint, config, "reference bus");
    int n = snprintf(command, sizeof(command), "exec /proc/%d/exe serve bus", (int)getpid());
    if (config->mutant)
        n += snprintf(command + n, sizeof(command) - (size_t)n, " --mutant %s", config->mutant);
    for (size_t i = 0; config->options && config->options[i]; i++)
        n += snprintf(command + n, sizeof(command) - (size_t)n, " --option %s", config->options[i]);
    struct pl_port_options options = {
        .spec = t->asked->spec, .exec = command, .carrier = t->asked->as, .device_side = true};
    return pl_port_open(&options, error, sizeof(error));
}

static void run_selected(const struct test *t, size_t i, const char *select)
{
    const struct pl_bus_mutant *mutant = i < t->n_mutants ? &t->mutants[i] : NULL;
    struct pl_bus_config config = {.spec = t->asked->spec->name,
                                   .mutant = mutant ? mutant->id : NULL,
                                   .options = mutant ? NULL : legal[i - t->n_mutants]};
    /* A bus with platform data alone is told of by its profile. */
    static const uint16_t stated[] = {0, 3, 7, 259};
    bool platform = false;
    for (size_t k = 0; config.options && config.options[k]; k++)
        platform |= strcmp(config.options[k], "discovery=3") == 0;
    struct pl_suite_options options = {.scenarios = t->scenarios,
                                       .port = subject_port(t, &config),
                                       .role = "bus",
                                       .iut = "reference bus",
                                       .devices = platform ? stated : NULL,
                                       .n_devices = platform ? 4 : 0,
                                       .select = select,
                                       .seed = t->asked->seed};
    pl_outcome_play(&options, &t->outcome[i]);
}

static const char *verdict_of(const struct test *t, size_t i)
{
    return pl_outcome_verdict(&t->outcome[i], t->clauses, t->mutants[i].clauses);
}

/* First what is aimed at a mutant's clauses, then everything. */
static void run_subject(const struct test *t, size_t i)
{
    char select[512] = "bus-enumeration";
    if (i < t->n_mutants) {
        for (size_t k = 0; t->mutants[i].clauses[k]; k++) {
            strncat(select, ",", sizeof(select) - strlen(select) - 1);
            strncat(select, t->mutants[i].clauses[k], sizeof(select) - strlen(select) - 1);
        }
        run_selected(t, i, select);
        if (strcmp(verdict_of(t, i), "killed") == 0)
            return;
    }
    run_selected(t, i, NULL);
}

/* Bytes behind a message, and more of them than the maximum, are no messages of a byte stream. */
static bool of_packets(const char *const *options)
{
    for (size_t k = 0; options[k]; k++)
        if (strncmp(options[k], "pad=", 4) == 0 || strcmp(options[k], "forward_large=1") == 0)
            return true;
    return false;
}

/* Is it left out, for want of any size but msg_size over this carrier? */
static bool hidden(const struct test *t, size_t i)
{
    if (!t->asked->carrier)
        return false;
    return i < t->n_mutants
               ? pl_selftest_hides(t->asked->as, t->mutants[i].hidden)
               : t->asked->as == PL_CARRIER_STREAM && of_packets(legal[i - t->n_mutants]);
}

static bool named(const struct test *t, size_t i)
{
    const char *only = t->asked->only, *only_legal = t->asked->only_legal;
    if (!only && !only_legal)
        return true;
    if (i < t->n_mutants)
        return only && strstr(t->mutants[i].id, only);
    for (size_t k = 0; only_legal && legal[i - t->n_mutants][k]; k++)
        if (strstr(legal[i - t->n_mutants][k], only_legal))
            return true;
    return false;
}

static bool wanted(const struct test *t, size_t i)
{
    return !hidden(t, i) && named(t, i);
}

static void run_one(void *self, size_t i)
{
    run_subject(self, i);
}

static void told(void *self, size_t i, size_t done)
{
    struct test *t = self;
    (void)done;
    t->outcome[i].ran = true;
}

static int run_all(struct test *t)
{
    size_t *order = calloc(t->n, sizeof(*order)), n = 0, bad;
    bool *done = calloc(t->n, sizeof(*done));
    int err = order && done ? 0 : pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    for (size_t i = 0; i < t->n && !err; i++)
        if (wanted(t, i))
            order[n++] = i;
    const struct pl_selftest_work work = {.order = order,
                                          .n = n,
                                          .jobs = t->asked->jobs,
                                          .seconds = t->asked->seconds,
                                          .self = t,
                                          .run = run_one,
                                          .told = told};
    if (!err && n && pl_selftest_work(&work, done, &bad) < 0)
        err = pl_cli_error(PL_EXIT_INTERNAL, "a worker of the self-test ended badly%s%s",
                           bad < t->n_mutants ? " at " : "",
                           bad < t->n_mutants ? t->mutants[bad].id : "");
    free(order);
    free(done);
    return err;
}

/* --- verdicts --- */

static bool is_clean(const struct test *t, size_t i)
{
    return pl_outcome_clean(&t->outcome[i], t->clauses);
}

static void print_subject(const struct test *t, size_t i)
{
    bool mutant = i < t->n_mutants;
    printf("%-13s", mutant ? verdict_of(t, i) : is_clean(t, i) ? "clean" : "FALSE FAILURE");
    if (mutant) {
        printf(" %s\n              breaks", t->mutants[i].id);
        for (size_t k = 0; t->mutants[i].clauses[k]; k++)
            printf(" %s", t->mutants[i].clauses[k]);
    }
    for (size_t k = 0; !mutant && legal[i - t->n_mutants][k]; k++)
        printf(" %s", legal[i - t->n_mutants][k]);
    fputs("; failed", stdout);
    pl_outcome_print_failed(&t->outcome[i], t->clauses);
    if (t->outcome[i].text[0])
        printf(" (%s)", t->outcome[i].text);
    putchar('\n');
}

/* Clauses that are judged and that no mutant died of, or that no legal run passed. */
static size_t print_unproven(const struct test *t)
{
    size_t n = 0;
    for (size_t c = 0; c < pl_clauses_count(t->clauses); c++) {
        const struct pl_clause_def *def = pl_clauses_get(t->clauses, c);
        bool option = strcmp(def->how, "option") == 0;
        bool proven = option, passed = false;
        if (!def->judged || strcmp(def->role, "bus") != 0)
            continue;
        for (size_t i = 0; i < t->n_mutants; i++)
            proven |= t->outcome[i].failed[c] && pl_outcome_breaks(t->mutants[i].clauses, def->id);
        for (size_t i = 0; i < t->n_mutants; i++)
            if (hidden(t, i) && pl_outcome_breaks(t->mutants[i].clauses, def->id))
                proven = passed = true; /* of packets */
        for (size_t i = t->n_mutants; i < t->n; i++)
            passed |= option ? t->outcome[i].used[c] : t->outcome[i].applied[c] > 0;
        n += pl_outcome_tell_unproven(def->id, proven, passed);
    }
    return n;
}

static void add_mutants(const struct test *t, struct pl_selftest_matrix *matrix)
{
    for (size_t i = 0; i < t->n_mutants; i++)
        if (wanted(t, i))
            pl_outcome_add(&t->outcome[i], matrix, t->clauses, "bus", t->mutants[i].id,
                           t->mutants[i].clauses);
}

/* Counted by verdict: mutants that were killed, misattributed, alive; legal ones, those not clean.
 */
struct tally {
    size_t counts[3], legal, dirty, not_run;
};

static void count(const struct test *t, size_t i, struct tally *tally)
{
    bool mutant = i < t->n_mutants, shown = !t->asked->quiet;
    if (!t->outcome[i].ran) {
        tally->not_run++;
        if (shown && mutant)
            printf("not run       %s\n", t->mutants[i].id);
        return;
    }
    char first = mutant ? verdict_of(t, i)[0] : is_clean(t, i) ? 'k' : 'd';
    if (mutant)
        tally->counts[first == 'k' ? 0 : first == 'm' ? 1 : 2]++;
    tally->legal += !mutant;
    tally->dirty += first == 'd';
    if (shown && (t->asked->verbose || first != 'k' || t->asked->only || t->asked->only_legal))
        print_subject(t, i);
}

static void print_hidden(const struct test *t)
{
    for (size_t i = 0; i < t->n; i++) {
        if (!hidden(t, i) || !named(t, i))
            continue;
        fputs("left out     ", stdout);
        if (i < t->n_mutants)
            printf(" %s", t->mutants[i].id);
        for (size_t k = 0; i >= t->n_mutants && legal[i - t->n_mutants][k]; k++)
            printf(" %s", legal[i - t->n_mutants][k]);
        puts(": msg_size alone says where a message ends over unix-stream");
    }
}

static int conclude(const struct test *t, struct pl_selftest_matrix *matrix)
{
    struct tally y = {.legal = 0};
    size_t unproven = 0, *counts = y.counts;
    bool quiet = t->asked->quiet, part = t->asked->only || t->asked->only_legal;
    for (size_t i = 0; i < t->n; i++)
        if (wanted(t, i))
            count(t, i, &y);
    if (!quiet)
        print_hidden(t);
    if (!quiet && !part && !y.not_run)
        unproven = print_unproven(t);
    if (!quiet)
        printf("%zu mutants: %zu killed by their own clause, %zu misattributed, %zu alive; %zu "
               "legal configurations, %zu with a false failure; %zu judged clauses unproven\n",
               counts[0] + counts[1] + counts[2], counts[0], counts[1], counts[2], y.legal, y.dirty,
               unproven);
    if (!quiet && y.not_run)
        printf("INCOMPLETE: the %u seconds were over with %zu mutants and configurations not run\n",
               t->asked->seconds, y.not_run);
    add_mutants(t, matrix);
    for (size_t i = 0; i < 3; i++)
        matrix->counts[i] += counts[i];
    matrix->not_run += y.not_run;
    bool good = !counts[1] && !counts[2] && !y.dirty && !unproven && !y.not_run;
    return good ? PL_EXIT_CONFORMS : PL_EXIT_FINDINGS;
}

int pl_selftest_bus(const struct pl_selftest_bus *asked, struct pl_selftest_matrix *matrix)
{
    struct test t = {.asked = asked, .clauses = pl_clauses_find(asked->spec)};
    t.scenarios = pl_cli_scenarios(asked->spec, NULL);
    if (!t.scenarios)
        return PL_EXIT_USAGE;
    t.mutants = pl_bus_mutants(asked->spec, &t.n_mutants);
    t.n = t.n_mutants + N_LEGAL;
    t.outcome = mmap(NULL, t.n * sizeof(*t.outcome), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (t.outcome == MAP_FAILED)
        return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    fflush(stdout);
    int err = run_all(&t);
    if (!err)
        err = conclude(&t, matrix);
    munmap(t.outcome, t.n * sizeof(*t.outcome));
    pl_scenarios_free((struct pl_scenarios *)(uintptr_t)t.scenarios);
    return err;
}
