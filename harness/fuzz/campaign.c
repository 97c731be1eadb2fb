/* A campaign's worker: case after case, until a limit is met. */
#include "fuzz/campaign.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fuzz/campaign_private.h"
#include "fuzz/shrink.h"
#include "wire/random.h"

enum {
    TRIES = 3,
    TRIM_BUDGET = 48,
    SYNC_EVERY = 4096,
    STATE_SECONDS = 5,
    TELL_EVERY = 64,
    STILLBORN_MAX = 20
};

int pl_campaign_fail(struct pl_campaign *c, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(c->error, c->error_cap, format, args);
    va_end(args);
    return err;
}

bool pl_campaign_virtual(const struct pl_campaign *c)
{
    return !c->o->exec.port || c->o->exec.port->virtual_time;
}

int pl_campaign_renew(struct pl_campaign *c)
{
    pl_exec_free(c->live);
    c->live = pl_exec_new(&c->o->exec, c->error, c->error_cap);
    if (c->live)
        pl_exec_hasten(c->live, c->hasty);
    return c->live ? 0 : -EINVAL;
}

/* An IUT that is gone is started anew; one that cannot be started is tried a few times. */
static int execute(struct pl_campaign *c)
{
    int err = 0;
    for (unsigned i = 0; i < (c->reached ? TRIES : 1u); i++) {
        err = pl_exec_run(c->live, &c->c, &c->result);
        if (err >= 0)
            break;
    }
    bool ended = err == -EPIPE && c->result.n_findings; /* while it was made ready for the case */
    c->stillborn = ended ? c->stillborn + 1 : 0;
    if (c->stillborn == STILLBORN_MAX)
        return pl_campaign_fail(c, -ENOTCONN, "the IUT ends before it is given a case: %s",
                                c->result.finding[0].text);
    if (err == -EINVAL && !c->reached)
        return pl_campaign_fail(c, err, "%s", c->result.why);
    if (err < 0 && err != -EINVAL && !ended) /* a seed may mean nothing here */
        return pl_campaign_fail(c, -ENOTCONN, "%s",
                                c->result.why[0] ? c->result.why : strerror(-err));
    c->reached = true;
    c->stats->executions++;
    c->stats->messages += c->result.messages;
    c->stats->restarts += !c->result.alive;
    return 0;
}

/* --- a case that shows something new --- */

/* Does a smaller case still show all that is new? */
static bool shows(void *opaque, const struct pl_case *smaller)
{
    struct pl_campaign *c = opaque;
    size_t left = c->n_fresh;
    if (pl_exec_run(c->live, smaller, &c->again) < 0)
        return false;
    c->stats->executions++;
    c->stats->messages += c->again.messages;
    for (size_t i = 0; i < c->again.n_seen; i++)
        for (size_t k = 0; k < c->n_fresh; k++)
            left -= c->fresh[k] == c->again.seen[i];
    return left == 0;
}

static int keep(struct pl_campaign *c)
{
    if (pl_campaign_virtual(c) && pl_shrink_actions(&c->c, shows, c, TRIM_BUDGET) < 0)
        return pl_campaign_fail(c, -ENOMEM, "out of memory");
    if (pl_queue_add(c) < 0)
        return pl_campaign_fail(c, -ENOMEM, "out of memory");
    return pl_dir_save_case(c);
}

int pl_campaign_try(struct pl_campaign *c)
{
    int err = execute(c);
    if (err < 0)
        return err;
    pl_queue_count(c);
    return c->result.n_findings ? pl_finding_take(c) : 0;
}

static int once(struct pl_campaign *c)
{
    int err = pl_campaign_try(c);
    return !err && c->n_fresh ? keep(c) : err;
}

/* --- limits --- */

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool is_over(const struct pl_campaign *c, double began)
{
    const struct pl_campaign_options *o = c->o;
    return (o->stop && *o->stop) || (o->executions && c->stats->executions >= o->executions) ||
           (o->stop_after && c->stats->findings >= o->stop_after) ||
           (o->seconds > 0 && now() - began >= o->seconds);
}

/* What is drawn depends on the seed, the worker and the number of the execution alone. */
static void seed(struct pl_campaign *c)
{
    uint64_t h = UINT64_C(0xcbf29ce484222325);
    for (const char *p = c->o->worker; *p; p++)
        h = (h ^ (uint8_t)*p) * UINT64_C(0x100000001b3);
    c->g.random = (c->o->seed + 1) * PL_RANDOM_STEP ^ h ^ c->number * UINT64_C(0xd1342543de82ef95);
    c->g.random += c->g.random == 0;
    c->number++;
}

static int run(struct pl_campaign *c)
{
    double began = now(), saved = began;
    uint64_t told = 0;
    int err = pl_dir_load_queue(c, c->o->worker, &c->next_file);
    if (!err)
        err = pl_dir_seeds(c);
    for (uint64_t i = 0; !err && !is_over(c, began); i++) {
        if (i % SYNC_EVERY == 0)
            err = pl_dir_sync(c);
        seed(c);
        pl_queue_next(c);
        if (!err)
            err = once(c);
        if (c->o->progress && (told++ % TELL_EVERY == 0 || !pl_campaign_virtual(c)))
            c->o->progress(c->o->opaque);
        if (!err && now() - saved > STATE_SECONDS) {
            err = pl_dir_save_state(c);
            saved = now();
        }
    }
    return err;
}

int pl_campaign_run(const struct pl_campaign_options *options, struct pl_campaign_stats *stats,
                    char *error, size_t cap)
{
    struct pl_campaign *c = calloc(1, sizeof(*c));
    memset(stats, 0, sizeof(*stats));
    snprintf(error, cap, "out of memory");
    if (!c)
        return -ENOMEM;
    c->o = options;
    c->stats = stats;
    c->error = error;
    c->error_cap = cap;
    c->lock = -1;
    c->spec = options->exec.spec;
    c->g =
        (struct pl_generator){.spec = c->spec, .role = options->exec.role, .focus = options->focus};
    c->g.reference = !options->exec.port && !options->exec.endpoint && !options->exec.bus_endpoint;
    c->g.real = !pl_campaign_virtual(c);
    const struct pl_port *port = options->exec.port;
    c->hasty = c->g.real && !port->one_life && !port->observable;
    int err = pl_queue_prepare(c);
    if (!err)
        err = pl_generator_learn(&c->g);
    if (!err)
        err = pl_campaign_renew(c);
    if (!err)
        err = pl_dir_open(c);
    if (!err) {
        err = run(c);
        int saved = pl_dir_save_state(c);
        err = err ? err : saved;
    }
    pl_dir_close(c);
    pl_exec_free(c->live);
    pl_exec_free(c->once);
    pl_finding_free(c);
    pl_queue_free(c);
    pl_generator_free(&c->g);
    free(c);
    return err;
}
