/* Scenarios within cases: what was under way ends, then one runs from its beginning to its end. */
#include <stdlib.h>
#include <string.h>

#include "engine/bus_run.h"
#include "engine/drive.h"
#include "engine/run.h"
#include "fuzz/exec_private.h"

/* The settings that stand for dimensions. */
static const uint8_t dimension_setting[PL_DIMENSIONS] = {
    [PL_DIM_PACKED] = PL_ARG_RING_PACKED, [PL_DIM_QUEUE_SIZE] = PL_ARG_QUEUE_SIZE,
    [PL_DIM_INDIRECT] = PL_ARG_INDIRECT,  [PL_DIM_EVENT_IDX] = PL_ARG_EVENT_IDX,
    [PL_DIM_IN_ORDER] = PL_ARG_IN_ORDER,  [PL_DIM_NOTIFICATION_DATA] = PL_ARG_NOTIFICATION_DATA,
    [PL_DIM_RESET_MS] = PL_ARG_RESET_MS,
};

/* What the action asks for, each within what a user may fix it to; else the plain value. */
static void combine(const struct pl_exec *x, const struct pl_action *a, struct pl_combination *c)
{
    enum { OUTSTANDING_MAX = 8, DELAY_MAX = 50 };
    *c = (struct pl_combination){.dev_num = x->s.dev_num, .seed = x->c->seed};
    c->outstanding =
        1 + (unsigned)((pl_action_number(a, PL_ARG_OUTSTANDING, 1) - 1) % OUTSTANDING_MAX);
    for (size_t i = 0; i < PL_DIMENSIONS; i++) {
        const struct pl_dimension_def *def = &pl_dimensions[i];
        uint32_t max = i == PL_DIM_RESET_MS ? DELAY_MAX : def->max;
        /* The plain device of a driver offers everything. */
        uint32_t plain = x->o.role == PL_IUT_DRIVER && def->feature >= 0 ? 1 : def->value[0];
        uint64_t v = pl_action_number(a, dimension_setting[i], plain);
        c->dimension[i] = (uint32_t)(v < def->min || v > max ? plain : v);
    }
}

/* What the device does not offer is not asked of it, and sizes that a format does not have. */
static void keep_possible(const struct pl_exec *x, struct pl_combination *c)
{
    const size_t packed = PL_AXIS_DIMENSIONS + PL_DIM_PACKED;
    const size_t size = PL_AXIS_DIMENSIONS + PL_DIM_QUEUE_SIZE;
    for (size_t i = 0; i < PL_DIMENSIONS; i++) {
        const struct pl_dimension_def *def = &pl_dimensions[i];
        if (def->feature >= 0 && c->dimension[i] &&
            pl_oracle_offered(x->oracle, c->dev_num, (unsigned)def->feature) <= 0)
            c->dimension[i] = def->value[0];
    }
    if (!pl_axis_compatible(packed, c->dimension[PL_DIM_PACKED], size,
                            c->dimension[PL_DIM_QUEUE_SIZE]))
        c->dimension[PL_DIM_QUEUE_SIZE] = pl_dimensions[PL_DIM_QUEUE_SIZE].value[0];
}

static bool wants_features(const struct pl_combination *c)
{
    for (size_t i = 0; i < PL_DIMENSIONS; i++)
        if (pl_dimensions[i].feature >= 0 && c->dimension[i])
            return true;
    return false;
}

static void run(struct pl_exec *x, const struct pl_scenario *scenario, const struct pl_action *a,
                const struct pl_combination *c)
{
    struct pl_run_result result;
    const struct pl_scenarios *all = pl_case_scenarios(x->spec);
    size_t choice = pl_action_number(a, PL_ARG_CHOICE, 0) % pl_run_choices(scenario);
    if (pl_run_applies(&x->s, all, scenario, c))
        pl_run_once(&x->s, all, scenario, choice, c, &result);
}

void pl_x_device_scenario(struct pl_exec *x, const struct pl_action *a)
{
    const struct pl_scenario *scenario = pl_case_scenario(x->spec, PL_IUT_DEVICE, a->scenario);
    struct pl_combination c;
    uint16_t dev = x->s.dev_num;
    /* It relies on the configuration that the device began with, and on which devices there are. */
    if (!scenario || x->reconfigured || x->plugged >= 0 || !pl_x_device_rest(x))
        return;
    combine(x, a, &c);
    if (!pl_oracle_info(x->oracle, dev)) { /* scenarios speak of it, and do not ask for it */
        struct pl_msg info = {.kind = PL_GET_DEVICE_INFO, .dev_num = dev};
        pl_session_ask(&x->s, &info);
    }
    if (wants_features(&c))
        pl_x_device_learn(x);
    keep_possible(x, &c);
    if (!pl_x_device_delay(x, c.dimension[PL_DIM_RESET_MS]))
        c.dimension[PL_DIM_RESET_MS] = 0;
    if (x->s.alive && !x->s.stuck)
        run(x, scenario, a, &c);
    x->s.dev_num = dev;
    pl_x_device_afresh(x);
}

/* --- a bus --- */

static bool begins_with_scenario(const struct pl_case *c)
{
    return c->n && c->action[0].op == PL_ACT_SCENARIO;
}

/* Learning the numbers up to the last one takes far longer than any scenario: they come seldom. */
static size_t turn_of(uint32_t seed)
{
    enum { SETS = 4, SELDOM = 16 };
    return seed / SETS % SELDOM ? seed % (SETS - 1) : seed % SETS;
}

/* The devices of scenarios, in turns by the case's seed, are learned and not announced. */
bool pl_x_bus_scenario_begin(struct pl_exec *x)
{
    struct pl_bus_run *b = x->s.bus_run;
    size_t n = x->o.n_devices;
    if (!begins_with_scenario(x->c))
        return false;
    if (!n) {
        const uint16_t *list = pl_bus_run_numbers(turn_of(x->c->seed), &n);
        memcpy(x->devices, list, n * sizeof(*list));
        x->n_devices = n;
        x->had_options = true; /* the next case has its own */
    }
    b->n_devices = x->n_devices;
    memcpy(b->devices, x->devices, x->n_devices * sizeof(b->devices[0]));
    for (size_t i = 0; i < b->n_devices; i++)
        pl_session_tell(&x->s, "bus present %u", b->devices[i]);
    pl_bus_run_discover(b, x->o.devices, x->o.n_devices);
    return true;
}

/* It relies on a bus that was told nothing yet: only the first action can be one. */
void pl_x_bus_scenario(struct pl_exec *x, const struct pl_action *a)
{
    const struct pl_scenario *scenario = pl_case_scenario(x->spec, PL_IUT_BUS, a->scenario);
    struct pl_bus_run *b = x->s.bus_run;
    struct pl_combination c;
    if (!scenario || x->action || !b->n_usable)
        return;
    combine(x, a, &c);
    c.dev_num = b->usable[pl_action_number(a, PL_ARG_DEV, 0) % b->n_usable];
    b->turn = true;
    run(x, scenario, a, &c);
    if (b->restart || !x->s.alive || x->s.stuck)
        x->action = x->c->n; /* what the others would rely on is gone */
}

/* --- a driver --- */

/* What a life needs while it lasts. */
struct pl_x_life {
    struct pl_drive d;
    struct pl_combination c;
    uint8_t req_bytes[PL_MSG_MAX + 1], out[PL_MSG_MAX + 1], other[PL_MSG_MAX + 1];
    void (*finding)(void *opaque, enum pl_finding_kind kind, const char *text);
};

/* A driver that ends where it may is none. */
static void ended(void *opaque, enum pl_finding_kind kind, const char *text)
{
    struct pl_exec *x = opaque;
    if (!pl_drive_ended_well(&x->life->d, kind))
        x->life->finding(x, kind, text);
}

static void live(struct pl_exec *x)
{
    struct pl_x_life *l = x->life;
    struct pl_drive *d = &l->d;
    l->finding = x->s.events.finding;
    if (pl_drive_open(d, &x->s.bus) < 0)
        return;
    x->s.events.finding = ended;
    struct pl_drive_habits fresh = {0};
    pl_drive_live(d, x->port->virtual_time ? &fresh : &x->habits);
    pl_drive_tell_works(d);
    x->s.events.finding = l->finding;
    pl_device_endpoint.close(d->device);
}

/* May the scenario be lived on this bus? */
static bool fits(const struct pl_exec *x, const struct pl_scenario *scenario)
{
    const struct pl_provocation *p = scenario->drive;
    return !pl_drive_other_profile(p, &x->s.bus) &&
           (!p->max_msg_size || p->max_msg_size == x->s.bus.max_msg_size);
}

/* It is the driver's whole life: only the first action can be one, and nothing comes behind it. */
void pl_x_driver_scenario(struct pl_exec *x, const struct pl_action *a)
{
    const struct pl_scenario *scenario = pl_case_scenario(x->spec, PL_IUT_DRIVER, a->scenario);
    struct pl_x_life *l;
    if (!scenario || x->action || !fits(x, scenario) || !(l = calloc(1, sizeof(*l))))
        return;
    const struct pl_provocation *p = scenario->drive;
    combine(x, a, &l->c);
    l->c.outstanding = 1;
    if (p->at)
        pl_drive_make_room(&l->c);
    l->d = (struct pl_drive){.s = &x->s,
                             .scenario = scenario,
                             .p = p,
                             .at = (unsigned)pl_action_number(a, PL_ARG_AT, 1),
                             .req_bytes = l->req_bytes,
                             .out = l->out,
                             .other = l->other,
                             .config = {.type = x->far_config.type}};
    size_t choice = pl_action_number(a, PL_ARG_CHOICE, 0) % pl_run_choices(scenario);
    pl_drive_begin(&l->d, pl_case_scenarios(x->spec), &l->c, choice);
    if (p->illegal)
        pl_x_driver_outlaw(x);
    x->lived = true;
    x->life = l;
    live(x);
    x->life = NULL;
    x->action = x->c->n;
    free(l);
}
