/* The run over a bus under test: groups of parameters and sets of devices, scenarios, restarts. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/bus_run.h"
#include "engine/suite_private.h"

enum { GROUPS_MAX = 2 * PL_AXIS_VALUES, BROKEN_MAX = 3, MISSES_MAX = 100 };

static void choose_devices(struct pl_suite *suite, size_t group)
{
    const struct pl_suite_options *o = suite->options;
    struct pl_bus_run *b = suite->session.bus_run;
    size_t n = o->n_devices;
    const uint16_t *list = n ? o->devices : pl_bus_run_numbers(group, &n);
    b->n_devices = n < PL_BUS_DEVICES ? n : PL_BUS_DEVICES;
    memcpy(b->devices, list, b->n_devices * sizeof(b->devices[0]));
}

static int start(struct pl_suite *suite, const struct pl_bus_params *bus)
{
    const struct pl_suite_options *o = suite->options;
    struct pl_session *s = &suite->session;
    struct pl_end end;
    if (s->alive)
        o->port->ops->stop(o->port, &end);
    s->alive = false;
    choose_devices(suite, suite->group_index);
    s->bus_run->turn = (suite->group_index + suite->group_index / 2) % 2 == 0;
    int err = pl_session_start(s, bus);
    if (err < 0)
        return err;
    pl_suite_record_group(suite);
    for (size_t i = 0; i < s->bus_run->n_devices; i++)
        pl_session_tell(s, "bus present %u", s->bus_run->devices[i]);
    err = pl_bus_run_discover(s->bus_run, o->devices, o->n_devices);
    if (err == -ETIMEDOUT)
        pl_suite_iut_finding(suite, PL_FINDING_HANG,
                             "no device could be reached through the bus: GET_DEVICES shows none, "
                             "and GET_DEVICE_INFO was not answered");
    return err;
}

/* A bus that cannot be started anew gets its devices back as it may have lost them: by an event. */
static void revive(struct pl_suite *suite)
{
    struct pl_bus_run *b = suite->session.bus_run;
    const struct pl_suite_options *o = suite->options;
    size_t n = o->n_devices;
    const uint16_t *wanted = n ? o->devices : pl_bus_run_numbers(suite->group_index, &n);
    for (size_t i = 0; i < n; i++) {
        bool there = false;
        for (size_t k = 0; k < b->n_devices; k++)
            there |= b->devices[k] == wanted[i];
        if (there)
            continue;
        pl_bus_device_set(b, wanted[i], true);
        struct pl_msg m = {.kind = PL_EVENT_DEVICE};
        m.f[PL_F_device_number] = wanted[i];
        m.f[PL_F_device_bus_state] = PL_C_BUS_STATE_ADDED;
        pl_bus_run_send(b, PL_BUS_DEVICE_SIDE, &m);
    }
    pl_bus_run_fence(b);
}

static void restart(struct pl_suite *suite, bool broken)
{
    struct pl_bus_params bus = suite->session.bus;
    if (broken && ++suite->broken_in_a_row >= BROKEN_MAX) {
        suite->give_up = true;
        return;
    }
    if (!suite->options->port->restartable && suite->session.alive && !suite->session.stuck) {
        revive(suite);
        return;
    }
    if (start(suite, &bus) < 0)
        suite->give_up = true;
}

int pl_suite_bus_again(struct pl_suite *suite, const struct pl_suite_case *it,
                       const uint32_t *value)
{
    struct pl_session *s = &suite->session;
    struct pl_bus_params bus = it->bus;
    struct pl_combination c = it->combination;
    struct pl_run_result result = {.verdict = PL_SCENARIO_PASS};
    struct pl_end end;
    pl_axes_unpack(value, &bus, &c);
    suite->group_index = (size_t)it->order;
    int err = start(suite, &bus); /* from the beginning: nothing is left of another attempt */
    if (err < 0)
        return err;
    suite->current = it->scenario;
    s->bus_run->restart = false;
    s->bus_run->hold = 0;
    if (pl_run_applies(s, suite->options->scenarios, it->scenario, &c))
        pl_run_once(s, suite->options->scenarios, it->scenario, it->choice, &c, &result);
    suite->options->port->ops->stop(suite->options->port, &end);
    s->alive = false;
    return 0;
}

static void run_choice(struct pl_suite *suite, const struct pl_scenario *scenario, size_t choice,
                       const struct pl_combination *c, struct pl_scenario_result *sum, bool first)
{
    struct pl_session *s = &suite->session;
    struct pl_run_result result = {.verdict = PL_SCENARIO_PASS};
    suite->failed_now = false;
    suite->current = scenario;
    suite->combination = c;
    suite->choice_index = choice;
    suite->order = suite->group_index;
    pl_suite_describe(suite, c, "");
    suite->choice = &result;
    s->bus_run->restart = false;
    s->bus_run->hold = 0;
    pl_run_once(s, suite->options->scenarios, scenario, choice, c, &result);
    suite->choice = NULL;
    if (suite->failed_now) {
        result.verdict = PL_SCENARIO_FAIL;
        pl_suite_describe(suite, c, result.parameters);
    }
    if (result.verdict == PL_SCENARIO_SKIPPED)
        pl_suite_note_skip(suite, scenario, result.reason);
    pl_suite_add_run(suite, sum, first, &result, suite->where);
    if (s->bus_run->missed > MISSES_MAX || s->flooded)
        suite->give_up = true;
    else if (!s->alive || s->stuck)
        restart(suite, true);
    else if (s->bus_run->restart)
        restart(suite, false);
    else
        suite->broken_in_a_row = 0;
}

static void run_scenario(struct pl_suite *suite, const struct pl_scenario *scenario,
                         const struct pl_combination *c)
{
    uint64_t before = suite->session.numbers;
    struct pl_scenario_result sum = {
        .name = scenario->name, .section = scenario->section, .clauses = scenario->clauses};
    if (!pl_run_applies(&suite->session, suite->options->scenarios, scenario, c))
        return;
    suite->noted = false;
    size_t n = pl_run_choices(scenario);
    for (size_t i = 0; i < n && !suite->give_up; i++)
        run_choice(suite, scenario, i, c, &sum, i == 0);
    sum.messages = suite->session.numbers - before;
    pl_suite_add_scenario(suite, &sum);
    suite->current = NULL;
    suite->combination = NULL;
}

static void run_group(struct pl_suite *suite)
{
    const struct pl_scenarios *all = suite->options->scenarios;
    uint32_t depths[PL_AXIS_VALUES];
    size_t n = pl_suite_axis(suite, PL_AXIS_OUTSTANDING, depths);
    for (size_t k = 0; k < n && !suite->give_up; k++) {
        if (suite->options->quick && k)
            break;
        for (size_t i = 0; i < all->n_bus && !suite->give_up; i++) {
            const struct pl_scenario *scenario = &all->bus_list[i];
            const struct pl_bus_run *b = suite->session.bus_run;
            const struct pl_combination c = {.outstanding = depths[k],
                                             .dev_num = b->usable[k % b->n_usable],
                                             .seed = suite->options->seed,
                                             .exhaustive = suite->options->exhaustive};
            if (!suite->options->select || pl_scenario_selected(scenario, suite->options->select))
                run_scenario(suite, scenario, &c);
            suite->done++;
            if (suite->options->progress)
                suite->options->progress(suite->options->opaque, suite->done, suite->all);
        }
    }
}

static size_t make_groups(const struct pl_suite *suite, struct pl_bus_params out[GROUPS_MAX])
{
    const struct pl_suite_options *o = suite->options;
    uint32_t profiles[PL_AXIS_VALUES], sizes[PL_AXIS_VALUES];
    struct pl_combination unused = {0};
    size_t n = 0, n_profiles = pl_suite_axis(suite, PL_AXIS_PROFILE, profiles);
    size_t n_sizes = pl_suite_axis(suite, PL_AXIS_MAX_MSG_SIZE, sizes);
    for (size_t i = 0; i < n_sizes; i++)
        for (size_t p = 0; p < n_profiles; p++) {
            uint32_t value[PL_AXES] = {
                [PL_AXIS_PROFILE] = profiles[p], [PL_AXIS_MAX_MSG_SIZE] = sizes[i]};
            out[n] = o->bus ? *o->bus : (struct pl_bus_params){.revision = suite->spec->revision};
            pl_axes_unpack(value, &out[n++], &unused);
        }
    return n;
}

int pl_suite_bus(struct pl_suite *suite, char *error, size_t cap)
{
    struct pl_bus_params groups[GROUPS_MAX];
    struct pl_end end;
    const struct pl_suite_options *o = suite->options;
    size_t n = make_groups(suite, groups);
    suite->all = n * o->scenarios->n_bus * (o->quick ? 1 : 2);
    for (size_t g = 0; g < n && !suite->give_up; g++) {
        suite->group_index = g;
        int err = start(suite, &groups[g]);
        if (err < 0 && g == 0 && !suite->n_findings) {
            snprintf(error, cap, "%s", o->port->error);
            return err;
        }
        if (err < 0)
            suite->give_up = true;
        else
            run_group(suite);
        o->port->ops->stop(o->port, &end);
        suite->session.alive = false;
    }
    return 0;
}
