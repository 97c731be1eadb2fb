/* The lives of one scenario of a run on a driver: at each of its moments, with each row of
 * parameters. */
#include "engine/drive_lives.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/drv_watch.h"

enum {
    DEAD_MAX = 3, /* plain lives in a row that come to nothing: more of them show no more */
};

/* --- one life --- */

/* An IUT that ends: a driver that has done its work may, and one that cannot work. */
void pl_lives_ended(void *opaque, enum pl_finding_kind kind, const char *text)
{
    struct pl_suite *suite = opaque;
    const struct pl_drive *d = suite->drive;
    if (!pl_drive_ended_well(d, kind))
        pl_suite_iut_finding(suite, kind, text);
}

/* Nothing keeps the driver from its work, and yet it fell silent. */
static bool stopped_early(const struct pl_drive *d, bool provided)
{
    return provided && !d->life.ready && !d->life.over && !d->life.refused && !d->life.hung &&
           d->life.requests;
}

/* A driver that is well provided for must come to DRIVER_OK; silence before it is no life. */
static void check_end(struct pl_lives *l)
{
    struct pl_drive *d = &l->drive;
    const struct pl_provocation *p = d->p;
    bool plain = !p->at && !p->illegal && !p->gives_up && !pl_drive_small_queue(d);
    bool works = pl_drive_must_work(d);
    bool silent = !d->life.requests && !d->life.over && !pl_drive_may_end(d);
    if ((silent || stopped_early(d, plain || works)) && !d->patient && !d->s->port->virtual_time) {
        d->again = true; /* it may have been given no processor: nothing is said yet */
        return;
    }
    pl_drive_tell_works(d);
    if (d->life.hung && !pl_drive_may_end(d))
        pl_suite_iut_finding(l->suite, PL_FINDING_HANG,
                             d->life.requests ? "the driver neither answered control nor came to "
                                                "rest within the time limit"
                                              : "the driver sent nothing within the time limit");
    else if (plain && p->works < 0 && !d->life.ready && !d->life.over && !d->life.refused)
        pl_suite_iut_finding(l->suite, PL_FINDING_HANG,
                             d->life.requests ? "the driver stopped before it reached DRIVER_OK"
                                              : "the driver sent nothing within the time limit");
    l->ready += d->life.ready;
    if (plain)
        l->habits.dead = d->life.ready ? 0 : d->life.endless ? DEAD_MAX : l->habits.dead + 1;
    if (l->habits.dead >= DEAD_MAX || (plain && !d->life.requests) || l->suite->session.flooded)
        l->suite->give_up = true;
}

/* 0, or a negative errno where the driver cannot be reached. */
static int live_once(struct pl_lives *l, const struct pl_bus_params *bus,
                     const struct pl_combination *c, size_t choice)
{
    struct pl_suite *suite = l->suite;
    struct pl_drive *d = &l->drive;
    struct pl_end end;
    d->exhaustive = suite->options->exhaustive;
    pl_drive_begin(d, suite->options->scenarios, c, choice);
    suite->failed_now = suite->noted = false;
    suite->combination = c;
    suite->choice_index = choice;
    suite->choice = &d->result;
    suite->session.bus = *bus;
    pl_suite_describe(suite, c, "");
    d->s->oracle = d->p->illegal ? l->nobody : suite->oracle;
    d->s->dev_num = c->dev_num;
    int err = pl_session_start(d->s, bus);
    if (err == 0)
        err = pl_drive_open(d, bus);
    if (err == 0) {
        d->began_ms = 0;
        d->began_ms = d->s->port->virtual_time ? 0 : pl_drive_now(d);
        pl_suite_record_group(suite);
        pl_session_tell(d->s, "devices %u", c->dev_num);
        if (d->p->illegal)
            pl_session_tell(d->s, "unjudged");
        pl_drive_live(d, &l->habits);
        check_end(l);
        pl_device_endpoint.close(d->device);
        d->device = NULL;
    }
    d->s->alive = false;
    suite->options->port->ops->stop(suite->options->port, &end);
    suite->choice = NULL;
    suite->combination = NULL;
    d->s->oracle = suite->oracle;
    return err;
}

/* A driver that fell silent is given another life, and far more time in it. */
int pl_lives_live(struct pl_lives *l, const struct pl_bus_params *bus,
                  const struct pl_combination *c, size_t choice)
{
    struct pl_drive *d = &l->drive;
    d->again = d->patient = false;
    int err = live_once(l, bus, c, choice);
    if (err == 0 && d->again) {
        d->patient = true;
        err = live_once(l, bus, c, choice);
        d->patient = false;
    }
    return err;
}

/* --- the lives of one scenario --- */

void pl_lives_bus(struct pl_lives *l, const struct pl_provocation *p, size_t row, int profile,
                  struct pl_bus_params *bus, struct pl_combination *c)
{
    const struct pl_suite_options *o = l->suite->options;
    uint32_t value[PL_AXES];
    for (size_t axis = 0; axis < PL_AXES; axis++)
        value[axis] = l->value[axis][pl_row(&l->rows, row)[axis]];
    *bus = o->bus ? *o->bus : (struct pl_bus_params){.revision = l->suite->spec->revision};
    *c = (struct pl_combination){.dev_num = l->suite->devices[0], .seed = o->seed};
    if (!o->bus && !o->fixed.set[PL_AXIS_PROFILE] && profile >= 0)
        value[PL_AXIS_PROFILE] = (uint32_t)profile;
    if (!o->bus && !o->fixed.set[PL_AXIS_MAX_MSG_SIZE] && p->max_msg_size)
        value[PL_AXIS_MAX_MSG_SIZE] = p->max_msg_size;
    pl_axes_unpack(value, bus, c);
    c->outstanding = 1;
}

void pl_lives_add_result(struct pl_lives *l, struct pl_scenario_result *sum, bool first)
{
    struct pl_suite *suite = l->suite;
    struct pl_drive *d = &l->drive;
    if (suite->failed_now)
        d->result.verdict = PL_SCENARIO_FAIL;
    char text[1024];
    snprintf(text, sizeof(text), "%s%s%s", d->result.parameters, d->result.parameters[0] ? " " : "",
             suite->where);
    pl_suite_add_run(suite, sum, first, &d->result, text);
}

/* Moment after moment until the driver has no more of them, or enough was seen. */
static int run_moments(struct pl_lives *l, size_t choice, int profile,
                       struct pl_scenario_result *sum, bool *first)
{
    struct pl_drive *d = &l->drive;
    struct pl_bus_params bus;
    struct pl_combination c;
    unsigned most = l->suite->options->brief ? 1 : d->p->most;
    bool once = !d->p->at || most == 1;
    if (once && l->share != (l->index + choice) % l->shares)
        return 0;
    for (d->at = once ? 1 : 1 + l->share; d->at <= most && !l->suite->give_up; d->at += l->shares) {
        size_t turn = l->index * 5 + choice * 3 + d->at + (profile == 1);
        pl_lives_bus(l, d->p, d->p->at ? turn % l->rows.n : 0, profile, &bus, &c);
        l->suite->order = (uint64_t)l->index << 40 | (uint64_t)choice << 24 |
                          (uint64_t)(profile == 1) << 23 | d->at;
        if (d->p->at && !l->suite->options->fixed.set[PL_AXIS_DIMENSIONS + PL_DIM_QUEUE_SIZE])
            pl_drive_make_room(&c);
        if (pl_drive_other_profile(d->p, &bus))
            return 0;
        int err = pl_lives_live(l, &bus, &c, choice);
        if (err < 0)
            return err;
        bool met = !d->p->at || d->life.triggered;
        if (!met && d->at > 1)
            return 0; /* nobody comes that far */
        d->result.verdict = met ? PL_SCENARIO_PASS : PL_SCENARIO_SKIPPED;
        if (!met)
            snprintf(d->result.reason, sizeof(d->result.reason),
                     "the driver never came to this moment");
        if (!met && !l->suite->failed_now)
            pl_suite_note_skip(l->suite, d->scenario, d->result.reason);
        pl_lives_add_result(l, sum, *first);
        *first = false;
        if (!d->p->at)
            return 0;
    }
    return 0;
}

int pl_lives_scenario(struct pl_lives *l, const struct pl_scenario *scenario)
{
    struct pl_suite *suite = l->suite;
    uint64_t before = suite->session.numbers;
    struct pl_scenario_result sum = {.name = scenario->name,
                                     .section = scenario->section,
                                     .clauses = scenario->clauses,
                                     .verdict = PL_SCENARIO_SKIPPED,
                                     .reason = "no life of the driver with these parameters"};
    bool first = true;
    int err = 0;
    suite->current = l->drive.scenario = scenario;
    l->drive.p = scenario->drive;
    size_t n = pl_run_choices(scenario);
    int profiles = scenario->drive->profile == -2 ? 2 : 1;
    for (size_t choice = 0; choice < n && err == 0; choice++)
        for (int k = 0; k < profiles && err == 0; k++)
            err =
                run_moments(l, choice, profiles == 2 ? k : scenario->drive->profile, &sum, &first);
    sum.messages = suite->session.numbers - before;
    pl_suite_add_scenario(suite, &sum);
    suite->current = NULL;
    return err;
}

/* The life that nothing disturbs, with every row of parameters: what the driver does by itself. */
int pl_lives_rows(struct pl_lives *l, const struct pl_scenario *scenario)
{
    struct pl_suite *suite = l->suite;
    int err = 0;
    l->drive.scenario = scenario;
    l->drive.p = scenario->drive;
    for (size_t row = l->share; row < l->rows.n && err == 0 && !suite->give_up; row += l->shares) {
        struct pl_bus_params bus;
        struct pl_combination c;
        struct pl_scenario_result sum = {.name = scenario->name,
                                         .section = scenario->section,
                                         .clauses = scenario->clauses,
                                         .apart = true};
        uint64_t before = suite->session.numbers;
        suite->current = scenario;
        suite->order = (uint64_t)l->index << 40 | row;
        pl_lives_bus(l, l->drive.p, row, -1, &bus, &c);
        err = pl_lives_live(l, &bus, &c, 0);
        l->drive.result.verdict = PL_SCENARIO_PASS;
        pl_lives_add_result(l, &sum, true);
        sum.messages = suite->session.numbers - before;
        if (err == 0)
            pl_suite_add_scenario(suite, &sum);
    }
    suite->current = NULL;
    return err;
}
