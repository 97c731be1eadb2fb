/* Random legal exchanges with legal devices: whatever fails is a false failure. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/selftest.h"
#include "engine/dimension.h"
#include "engine/legal.h"

enum { SLICE = 2000 /* messages to one device */, JOBS = 64, FAILURES_SHOWN = 10, CLAUSES = 2048 };

/* What a worker came to, in memory shared with it. */
struct tally {
    uint64_t messages, devices, failures;
    bool applied[CLAUSES]; /* clauses that were judged */
    bool done;
};

struct soak {
    const struct pl_spec *spec;
    uint64_t seed, number; /* of the slice */
    struct tally *tally;
    const struct pl_mutant *mutant; /* NULL: legal configurations in turns */
    const char *const *options;
    struct pl_bus_params bus;
};

static void failed(const struct soak *k, const char *what, const char *text)
{
    if (++k->tally->failures > FAILURES_SHOWN)
        return;
    fprintf(stderr, "%s %s: %s (slice %" PRIu64 ", max_msg_size=%u features=0x%x,",
            k->mutant ? "FAILURE" : "FALSE FAILURE", what, text, k->number, k->bus.max_msg_size,
            k->bus.features);
    for (size_t i = 0; k->options && i < PL_SELFTEST_OPTIONS && k->options[i]; i++)
        fprintf(stderr, " %s", k->options[i]);
    fputs(")\n", stderr);
}

static void clause_failed(void *opaque, size_t clause, const char *text)
{
    const struct soak *k = opaque;
    const struct pl_clause_def *def = pl_clauses_get(pl_clauses_find(k->spec), clause);
    if (strcmp(def->level, "SHOULD") != 0) /* a legal device may have reasons */
        failed(k, def->id, text);
}

static void iut_failed(void *opaque, enum pl_finding_kind kind, const char *text)
{
    failed(opaque, pl_finding_kind_name(kind), text);
}

/* The number of a configuration's first device: 0, or what its option says. */
static uint16_t first_device(const char *const *options)
{
    unsigned number = 0;
    for (size_t i = 0; options && i < PL_SELFTEST_OPTIONS && options[i]; i++)
        if (sscanf(options[i], "number_first=%u", &number) == 1)
            break;
    return (uint16_t)number;
}

/* One device for a while: its configuration, parameters and everything else come from its number.
 */
static void run_slice(struct soak *k, struct pl_port *port, uint64_t messages)
{
    struct pl_session s;
    uint64_t random = (k->seed * UINT64_C(0x9e3779b97f4a7c15) + k->number) | 1;
    struct pl_oracle *oracle = pl_oracle_new(k->spec, clause_failed, k);
    if (!oracle || pl_session_init(&s, port, oracle)) {
        pl_oracle_free(oracle);
        failed(k, "error", "out of memory");
        return;
    }
    s.events = (struct pl_session_events){.opaque = k, .finding = iut_failed};
    s.dev_num = first_device(k->options);
    int err = pl_session_start(&s, &k->bus);
    if (!err)
        err = pl_legal_run(&s, &random, messages);
    if (err)
        failed(k, "error", strerror(-err));
    size_t n = pl_clauses_count(pl_clauses_find(k->spec));
    for (size_t i = 0; i < n && i < CLAUSES; i++)
        k->tally->applied[i] |= pl_oracle_clause(oracle, i)->applied > 0;
    k->tally->messages += s.numbers;
    k->tally->devices++;
    pl_session_free(&s);
    pl_oracle_free(oracle);
}

static void choose_bus(struct soak *k)
{
    uint32_t sizes[PL_AXIS_VALUES];
    size_t n = pl_axis_values(k->spec, PL_AXIS_MAX_MSG_SIZE, sizes);
    uint64_t turn = k->number / pl_selftest_n_legal;
    k->bus = (struct pl_bus_params){k->spec->revision, sizes[turn % n],
                                    (uint32_t)(turn / n % 2) << PL_C_TF_STRICT_CONFIG_GENERATION};
}

static void one_device(struct soak *k, uint64_t messages)
{
    const char *rest[PL_SELFTEST_OPTIONS];
    struct pl_device_config config = {.spec = k->spec->name, .seed = k->number};
    k->options =
        k->mutant ? k->mutant->options : pl_selftest_legal[k->number % pl_selftest_n_legal];
    config.mutant = k->mutant ? k->mutant->id : NULL;
    pl_selftest_split(k->options, &config, rest);
    choose_bus(k);
    struct pl_port *port = pl_port_inprocess(k->spec, &pl_device_endpoint, &config,
                                             "reference device", PL_PORT_MEM_SIZE);
    if (!port) {
        failed(k, "error", "out of memory");
        return;
    }
    run_slice(k, port, messages);
    port->ops->close(port);
}

static void work(struct soak *k, uint64_t slices, unsigned first, unsigned step)
{
    for (k->number = first; k->number < slices; k->number += step)
        one_device(k, SLICE);
    k->tally->done = true;
}

static int conclude(const struct tally *tally, unsigned jobs, uint64_t seed,
                    const struct pl_mutant *mutant)
{
    struct tally sum = {.done = true};
    size_t clauses = 0;
    for (unsigned j = 0; j < jobs; j++) {
        sum.messages += tally[j].messages;
        sum.devices += tally[j].devices;
        sum.failures += tally[j].failures;
        sum.done &= tally[j].done;
        for (size_t i = 0; i < CLAUSES; i++)
            sum.applied[i] |= tally[j].applied[i];
    }
    for (size_t i = 0; i < CLAUSES; i++)
        clauses += sum.applied[i];
    if (!sum.done)
        return pl_cli_error(PL_EXIT_INTERNAL, "a worker of the self-test ended badly");
    printf("%" PRIu64 " random legal messages with %" PRIu64 " devices in %zu configurations%s%s, "
           "seed %" PRIu64 ": %zu clauses judged, %" PRIu64 " failures\n",
           sum.messages, sum.devices, mutant ? 1 : pl_selftest_n_legal, mutant ? " of " : "",
           mutant ? mutant->id : "", seed, clauses, sum.failures);
    return sum.failures ? PL_EXIT_FINDINGS : PL_EXIT_CONFORMS;
}

int pl_selftest_random(const struct pl_spec *spec, uint64_t messages, uint64_t seed, unsigned jobs,
                       const struct pl_mutant *mutant)
{
    pid_t pids[JOBS];
    uint64_t slices = messages / SLICE + (messages % SLICE != 0);
    struct tally *tally = mmap(NULL, JOBS * sizeof(*tally), PROT_READ | PROT_WRITE,
                               MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (tally == MAP_FAILED)
        return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    fflush(stdout);
    for (unsigned j = 0; j < jobs; j++) {
        struct soak k = {.spec = spec, .seed = seed, .tally = &tally[j], .mutant = mutant};
        pids[j] = jobs > 1 ? fork() : 0;
        if (pids[j])
            continue;
        work(&k, slices, j, jobs);
        if (jobs > 1)
            _exit(0);
    }
    for (unsigned j = 0; jobs > 1 && j < jobs; j++)
        if (pids[j] > 0)
            waitpid(pids[j], NULL, 0);
    int status = conclude(tally, jobs, seed, mutant);
    munmap(tally, JOBS * sizeof(*tally));
    return status;
}
