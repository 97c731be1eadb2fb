/* After a run: each failure is tried again, alone, with fewer and fewer parameters set. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/reduce.h"
#include "engine/suite_private.h"

/* How much may be tried in all. What waits for an IUT, or starts it, costs more than a mere run. */
enum { BUDGET = 400, BUDGET_OF_ONE = 60, COST_START = 4, COST_SILENCE = 20, COST_LIFE = 16 };

struct attempt {
    struct pl_suite *suite;
    const struct pl_suite_case *it;
    unsigned *budget;
    bool lost; /* the IUT could not be started any more */
};

static void spend(struct attempt *a, unsigned cost)
{
    *a->budget -= cost < *a->budget ? cost : *a->budget;
}

static bool same_bus(const struct pl_bus_params *a, const struct pl_bus_params *b)
{
    return a->revision == b->revision && a->max_msg_size == b->max_msg_size &&
           a->features == b->features;
}

/* The IUT runs with these parameters. */
static bool running(struct attempt *a, const struct pl_bus_params *bus)
{
    struct pl_session *s = &a->suite->session;
    struct pl_port *port = a->suite->options->port;
    struct pl_end end;
    if (s->alive && !s->stuck && same_bus(&s->bus, bus))
        return true;
    if (!port->restartable)
        return false;
    spend(a, COST_START);
    port->ops->stop(port, &end);
    return pl_suite_start(a->suite, bus) == 0;
}

static size_t place_of(const struct pl_suite *suite, uint16_t dev_num)
{
    for (size_t d = 0; d < suite->n_devices; d++)
        if (suite->devices[d] == dev_num)
            return d;
    return PL_SUITE_DEVICES;
}

/* A life, or a start of a bus: most of its time is waiting, but for a clock of the harness's. */
static bool fails_again(struct attempt *a, const uint32_t *value)
{
    struct pl_suite *suite = a->suite;
    bool driver = suite->iut == PL_IUT_DRIVER;
    suite->hunt->seen = false;
    if (a->lost || *a->budget == 0)
        return false;
    spend(a, suite->options->port->virtual_time ? 1 : driver ? COST_LIFE : COST_START);
    unsigned silences = suite->session.misses + suite->session.hangs;
    int err =
        driver ? pl_drive_again(suite, a->it, value) : pl_suite_bus_again(suite, a->it, value);
    a->lost = err < 0;
    if (suite->session.misses + suite->session.hangs != silences)
        spend(a, COST_SILENCE);
    return suite->hunt->seen;
}

static bool fails(void *opaque, const uint32_t *value)
{
    struct attempt *a = opaque;
    struct pl_suite *suite = a->suite;
    struct pl_bus_params bus = a->it->bus;
    struct pl_combination c = a->it->combination;
    struct pl_run_result result;
    unsigned silences = suite->session.misses + suite->session.stuck_resets;
    if (suite->iut != PL_IUT_DEVICE)
        return fails_again(a, value);
    pl_axes_unpack(value, &bus, &c);
    suite->hunt->seen = false;
    if (a->lost || *a->budget == 0 || !running(a, &bus)) {
        a->lost = true;
        return false;
    }
    spend(a, 1);
    suite->current = a->it->scenario;
    if (pl_run_applies(&suite->session, suite->options->scenarios, a->it->scenario, &c)) {
        pl_suite_reset_ms(suite, place_of(suite, c.dev_num), &c.dimension[PL_DIM_RESET_MS]);
        pl_run_once(&suite->session, suite->options->scenarios, a->it->scenario, a->it->choice, &c,
                    &result);
    }
    if (suite->session.misses + suite->session.stuck_resets != silences || suite->session.stuck)
        spend(a, COST_SILENCE);
    return suite->hunt->seen;
}

static bool allowed(void *opaque, const uint32_t *value)
{
    (void)opaque;
    for (size_t p = 0; p < PL_AXES; p++)
        for (size_t q = p + 1; q < PL_AXES; q++)
            if (!pl_axis_compatible(p, value[p], q, value[q]))
                return false;
    return true;
}

/* What a scenario does not look at, and what an IUT or a profile keeps to, stays as it is. */
static void keep(const struct pl_suite *suite, const struct pl_suite_case *it, bool kept[PL_AXES])
{
    const struct pl_suite_options *o = suite->options;
    const struct pl_provocation *p = it->scenario->drive;
    for (size_t i = 0; i < PL_AXES; i++)
        kept[i] = p && ((i == PL_AXIS_PROFILE && p->profile != -1) || i == PL_AXIS_OUTSTANDING ||
                        (i == PL_AXIS_MAX_MSG_SIZE && p->max_msg_size))
                      ? true
                  : i >= PL_AXIS_DIMENSIONS  ? !it->scenario->rings
                  : i == PL_AXIS_OUTSTANDING ? false
                                             : o->bus || !o->port->restartable;
}

/* Lives take the parameters in turns: only with all of them fixed is the same one the same again.
 */
static bool named(const struct pl_suite *suite, size_t axis)
{
    return axis < PL_AXIS_DIMENSIONS || suite->iut == PL_IUT_DRIVER;
}

static void tell(struct pl_suite *suite, struct pl_finding *f, const uint32_t *value,
                 const uint32_t *plain, const bool *kept)
{
    bool wanted[PL_AXES];
    char with[512] = "", text[16];
    struct pl_finding_need *needs = calloc(PL_AXES, sizeof(*needs));
    for (size_t i = 0; i < PL_AXES; i++) {
        bool differs = value[i] != plain[i];
        wanted[i] = suite->iut == PL_IUT_DEVICE ? differs : named(suite, i);
        if (!differs || kept[i] || !needs)
            continue;
        pl_axis_format(i, value[i], text, sizeof(text));
        needs[f->n_matters++] = (struct pl_finding_need){
            pl_axis_name(i), pl_suite_text(suite, text), i != PL_AXIS_PROFILE};
    }
    pl_suite_with(value, wanted, with, sizeof(with));
    f->matters = needs;
    f->repeat = pl_suite_repeat(suite, f->scenario, with);
}

static void reduce_one(struct pl_suite *suite, size_t i, unsigned *budget)
{
    struct pl_finding *f = &suite->findings[i];
    struct attempt a = {.suite = suite, .it = &suite->cases[i], .budget = budget};
    struct pl_suite_hunt hunt = {.kind = f->kind, .clause = a.it->clause};
    uint32_t value[PL_AXES], plain[PL_AXES];
    bool kept[PL_AXES];
    pl_axes_pack(&a.it->bus, &a.it->combination, value);
    keep(suite, a.it, kept);
    for (size_t k = 0; k < PL_AXES; k++)
        plain[k] = kept[k] && k >= PL_AXIS_DIMENSIONS ? value[k]
                   : suite->iut == PL_IUT_DRIVER      ? pl_drive_plain(suite, k)
                                                      : pl_suite_plain(suite, k);
    struct pl_reduce r = {.n = PL_AXES,
                          .value = value,
                          .plain = plain,
                          .kept = kept,
                          .opaque = &a,
                          .allowed = allowed,
                          .fails = fails,
                          .budget = BUDGET_OF_ONE};
    suite->hunt = &hunt;
    bool seen = pl_reduce(&r);
    if (!seen && (a.lost || *budget == 0))
        return; /* nothing was learned */
    f->tried_again = true;
    f->reproduced = seen;
    if (seen)
        tell(suite, f, value, plain, kept);
    else
        f->repeat = pl_suite_repeat(suite, NULL, "");
}

/* The first of its clause or kind: reports show it in full. */
static bool leads(const struct pl_suite *suite, size_t i)
{
    for (size_t k = 0; k < i; k++)
        if (suite->findings[k].kind == suite->findings[i].kind &&
            suite->findings[k].clause == suite->findings[i].clause)
            return false;
    return true;
}

void pl_suite_reduce(struct pl_suite *suite)
{
    unsigned budget = BUDGET;
    struct pl_session_events was = suite->session.events;
    suite->session.events.message = NULL;
    suite->session.events.note = NULL;
    for (int rest = 0; rest < 2; rest++)
        for (size_t i = 0; i < suite->n_findings && budget; i++)
            if (suite->cases[i].scenario && leads(suite, i) == !rest)
                reduce_one(suite, i, &budget);
    suite->hunt = NULL;
    suite->current = NULL;
    suite->session.events = was;
}
