/* A whole run on a driver: each scenario at each of its moments, each time a life of the driver. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/drive_lives.h"
#include "engine/drv_watch.h"

/* The types of device that a driver may know, the likeliest first. */
static const char *const types[] = {"block", "entropy", "net", "console", NULL};
static const struct pl_provocation nothing = {.works = -1, .profile = -1, .most = 1};
static const char *const no_clauses[] = {NULL};

/* --- the whole --- */

static bool forbidden(const void *opaque, size_t p, size_t v, size_t q, size_t w)
{
    const struct pl_lives *l = opaque;
    return !pl_axis_compatible(p, l->value[p][v], q, l->value[q][w]);
}

static int make_rows(struct pl_lives *l)
{
    struct pl_suite *suite = l->suite;
    struct pl_pairwise_space space = {
        .n = PL_AXES, .seed = suite->options->seed, .forbidden = forbidden, .opaque = l};
    for (size_t axis = 0; axis < PL_AXES; axis++) {
        space.values[axis] = pl_suite_axis(suite, axis, l->value[axis]);
        if (axis == PL_AXIS_OUTSTANDING)
            space.values[axis] = 1;
        /* A device that offers everything is the plain one here. */
        if (axis >= PL_AXIS_DIMENSIONS && pl_dimensions[axis - PL_AXIS_DIMENSIONS].feature >= 0 &&
            space.values[axis] == 2) {
            l->value[axis][0] = 1;
            l->value[axis][1] = 0;
        }
    }
    int err = suite->options->exhaustive ? pl_pairwise_product(&space, &l->rows)
                                         : pl_pairwise(&space, &l->rows);
    if (err == 0 && suite->options->brief && l->rows.n > 1)
        l->rows.n = 1;
    return err;
}

/* Which type of device does the driver work with? The first life tells. */
static int find_type(struct pl_lives *l)
{
    struct pl_suite *suite = l->suite;
    static const struct pl_provocation trial = {
        .works = -1, .profile = -1, .most = 1, .gives_up = true};
    static const struct pl_scenario first = {
        .drive = &trial, .name = "which-device", .section = "-", .rings = true};
    int err = 0;
    l->drive.scenario = &first;
    l->drive.p = &trial;
    suite->current = &first;
    l->drive.config.type = suite->options->type ? suite->options->type : types[0];
    for (size_t i = 0; types[i] && !suite->options->type && !suite->give_up; i++) {
        struct pl_bus_params bus;
        struct pl_combination c;
        l->drive.config.type = types[i];
        pl_lives_bus(l, &trial, 0, -1, &bus, &c);
        err = pl_lives_live(l, &bus, &c, 0);
        if (err < 0 || l->drive.life.ready || !l->drive.life.requests || l->drive.life.endless)
            break;
    }
    if (err == 0 && !l->drive.life.ready && !suite->options->type)
        l->drive.config.type = types[0];
    suite->current = NULL;
    return err;
}

static bool prepare(struct pl_lives *l)
{
    struct pl_suite *suite = l->suite;
    struct pl_drive *d = &l->drive;
    d->suite = suite;
    d->s = &suite->session;
    d->req_bytes = malloc(PL_MSG_MAX + 1);
    d->out = malloc(PL_MSG_MAX + 1);
    d->other = malloc(PL_MSG_MAX + 1);
    l->nobody = pl_oracle_new_for(suite->spec, PL_IUT_DRIVER, NULL, NULL);
    suite->drive = d;
    suite->devices[0] = suite->options->n_devices ? suite->options->devices[0] : 0;
    suite->n_devices = 1;
    d->s->plain = true;
    d->s->events.finding = pl_lives_ended;
    return d->req_bytes && d->out && d->other && l->nobody && pl_drv_watch_attach(d->s) == 0 &&
           make_rows(l) == 0;
}

/* All scenarios, as far as they are this share's. */
static int run_share(struct pl_lives *l)
{
    struct pl_suite *suite = l->suite;
    const struct pl_scenarios *all = suite->options->scenarios;
    int err = 0;
    suite->all = all->n;
    for (size_t i = 0; i < all->n && err == 0 && !suite->give_up; i++) {
        const struct pl_scenario *scenario = &all->list[i];
        l->index = i + 1;
        if (pl_suite_selected(suite, scenario))
            err =
                scenario->drive->rows ? pl_lives_rows(l, scenario) : pl_lives_scenario(l, scenario);
        suite->done++;
        if (suite->options->progress && l->share == 0)
            suite->options->progress(suite->options->opaque, suite->done, suite->all);
    }
    return err;
}

static void close_lives(struct pl_lives *l)
{
    pl_oracle_free(l->nobody);
    pl_rows_free(&l->rows);
    free(l->drive.req_bytes);
    free(l->drive.out);
    free(l->drive.other);
    l->suite->drive = NULL;
}

/*
 * The one life that is not ours to repeat: by a script, with the device as it is by default and
 * nothing that provokes the driver.
 */
static int run_script(struct pl_lives *l)
{
    struct pl_scenario scenario = {
        .drive = &nothing, .name = PL_SCRIPTED_LIFE, .section = "-", .rings = true};
    struct pl_suite *suite = l->suite;
    const struct pl_suite_options *o = suite->options;
    struct pl_bus_params bus;
    struct pl_combination c;
    scenario.clauses = (const char **)(uintptr_t)no_clauses;
    suite->current = l->drive.scenario = &scenario;
    l->drive.p = scenario.drive;
    l->drive.config.type = o->type ? o->type : types[0];
    pl_lives_bus(l, l->drive.p, 0, -1, &bus, &c);
    if (!o->bus && !o->fixed.set[PL_AXIS_MAX_MSG_SIZE])
        bus.max_msg_size = suite->spec->recommended_max_msg_size;
    if (!o->bus && !o->fixed.set[PL_AXIS_PROFILE])
        bus.features = 0;
    int err = pl_lives_live(l, &bus, &c, 0);
    l->drive.result.verdict = PL_SCENARIO_PASS;
    struct pl_scenario_result sum = {
        .name = PL_SCRIPTED_LIFE, .section = scenario.section, .clauses = scenario.clauses};
    pl_lives_add_result(l, &sum, true);
    sum.messages = suite->session.numbers;
    if (err == 0)
        pl_suite_add_scenario(suite, &sum);
    suite->current = NULL;
    return err;
}

/* --- shares side by side --- */

struct worker {
    struct pl_lives lives;
    struct pl_suite *suite;
    struct pl_suite_options options;
    pthread_t thread;
    bool started;
    int err;
};

static void *work(void *opaque)
{
    struct worker *w = opaque;
    w->err = run_share(&w->lives);
    return NULL;
}

/* A suite of its own on a port of its own, with what is known of the driver by now. */
static int start_worker(struct worker *w, const struct pl_lives *first, unsigned share,
                        unsigned shares)
{
    const struct pl_suite_options *o = first->suite->options;
    w->options = *o;
    w->options.port = o->another(o->port_opaque);
    w->suite = w->options.port ? calloc(1, sizeof(*w->suite)) : NULL;
    if (!w->suite || !pl_suite_prepare(w->suite, &w->options))
        return -ENOMEM;
    w->lives = (struct pl_lives){.suite = w->suite, .share = share, .shares = shares};
    if (!prepare(&w->lives))
        return -ENOMEM;
    w->lives.habits = first->habits;
    w->lives.drive.config.type = first->drive.config.type;
    int err = -pthread_create(&w->thread, NULL, work, w);
    w->started = err == 0;
    return err;
}

static void add_scenarios(struct pl_suite *suite, const struct pl_suite *other)
{
    for (size_t i = 0; i < other->n_scenario_results; i++) {
        const struct pl_scenario_result *from = &other->scenario_results[i];
        struct pl_scenario_result *to = NULL, copy = *from;
        for (size_t k = 0; k < suite->n_scenario_results && !to && !from->apart; k++)
            if (suite->scenario_results[k].name == from->name)
                to = &suite->scenario_results[k];
        copy.reason = from->reason ? pl_suite_text(suite, from->reason) : NULL;
        copy.parameters = from->parameters ? pl_suite_text(suite, from->parameters) : NULL;
        if (!to) {
            pl_suite_add_scenario(suite, &copy);
            continue;
        }
        uint64_t messages = to->messages + from->messages;
        if (pl_suite_worse(to->verdict, from->verdict) != to->verdict)
            *to = copy;
        to->messages = messages;
    }
}

static void end_worker(struct worker *w, struct pl_lives *l)
{
    struct pl_suite *suite = l->suite;
    if (w->started) {
        pthread_join(w->thread, NULL);
        pl_oracle_add(suite->oracle, w->suite->oracle);
        pl_suite_add_findings(suite, w->suite);
        add_scenarios(suite, w->suite);
        suite->session.numbers += w->suite->session.numbers;
        suite->session.starts += w->suite->session.starts;
        suite->give_up |= w->suite->give_up;
        l->ready += w->lives.ready;
    }
    if (w->suite) {
        close_lives(&w->lives);
        pl_suite_free(w->suite);
    }
    if (w->options.port)
        w->options.port->ops->close(w->options.port);
}

/* What could not be started is nobody's share: that is an error, not a shorter run. */
static int run_shares(struct pl_lives *l, unsigned n)
{
    struct worker *w = calloc(n, sizeof(*w));
    int err = w ? 0 : -ENOMEM;
    for (unsigned i = 0; w && i < n && err == 0; i++)
        err = start_worker(&w[i], l, i, n);
    for (unsigned i = 0; w && i < n; i++) {
        end_worker(&w[i], l);
        err = err ? err : w[i].err;
    }
    free(w);
    return err;
}

static int run_all(struct pl_lives *l, char *error, size_t cap)
{
    const struct pl_suite_options *o = l->suite->options;
    unsigned jobs = o->pcapng || !o->another || !o->port->restartable ? 1 : o->jobs;
    bool script = o->port->one_life;
    int err = script ? run_script(l) : find_type(l);
    if (!l->drive.life.ready)
        jobs = 1; /* many at once would only show the same, many times */
    if (err == 0 && !l->suite->give_up && !script)
        err = jobs > 1 ? run_shares(l, jobs) : run_share(l);
    if (err < 0)
        snprintf(error, cap, "%s", o->port->error[0] ? o->port->error : strerror(-err));
    return err;
}

int pl_drive_all(struct pl_suite *suite, char *error, size_t cap)
{
    struct pl_lives *l = suite->lives = calloc(1, sizeof(*l));
    int err = -ENOMEM;
    if (!l)
        return err;
    l->suite = suite;
    l->shares = 1;
    if (prepare(l))
        err = run_all(l, error, cap);
    suite->never_ready = err == 0 && !l->ready;
    suite->drive_type = l->drive.config.type;
    return err;
}

void pl_drive_close(struct pl_suite *suite)
{
    if (!suite->lives)
        return;
    close_lives(suite->lives);
    free(suite->lives);
    suite->lives = NULL;
}

/* --- one life once more, alone --- */

uint32_t pl_drive_plain(const struct pl_suite *suite, size_t axis)
{
    return ((const struct pl_lives *)suite->lives)->value[axis][0];
}

int pl_drive_again(struct pl_suite *suite, const struct pl_suite_case *it, const uint32_t *value)
{
    struct pl_lives *l = suite->lives;
    struct pl_drive *d = &l->drive;
    struct pl_bus_params bus = it->bus;
    struct pl_combination c = it->combination;
    pl_axes_unpack(value, &bus, &c);
    suite->current = d->scenario = it->scenario;
    d->p = it->scenario->drive;
    d->at = it->scenario->drive->rows ? 1 : (unsigned)(it->order & PL_LIVES_ORDER_AT);
    return pl_lives_live(l, &bus, &c, it->choice);
}
