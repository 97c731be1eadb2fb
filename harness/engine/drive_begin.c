/* What a driver's life begins with and what must come of it: the device at the far end, the choice
 * of the scenario's parameters, and whether it may end. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/drive.h"
#include "engine/drv_watch.h"

enum { SMALL_QUEUE = 8 /* with fewer entries a driver may be unable to work */ };

/* --- the device --- */

static void add_option(struct pl_drive *d, const char *format, const char *name, uint64_t value)
{
    if (d->n_options + 1 >= PL_DRIVE_OPTIONS)
        return;
    snprintf(d->option_text[d->n_options], sizeof(d->option_text[0]), format, name,
             (unsigned long long)value);
    d->options[d->n_options] = d->option_text[d->n_options];
    d->n_options++;
}

/* What the device offers, by the dimensions; the scenario's own options come behind and win. */
static void choose_options(struct pl_drive *d)
{
    const struct pl_combination *c = d->run.combination;
    uint64_t removed = 0;
    d->n_options = 0;
    for (size_t i = 0; i < PL_DIMENSIONS; i++)
        if (pl_dimensions[i].feature >= 0 && !c->dimension[i])
            removed |= UINT64_C(1) << pl_dimensions[i].feature;
    add_option(d, "%s=%llu", "features_remove", removed);
    add_option(d, "%s=%llu", "queue_size", c->dimension[PL_DIM_QUEUE_SIZE]);
    add_option(d, "%s=%llu", "reset_delay", c->dimension[PL_DIM_RESET_MS]);
    add_option(d, "%s=%llu", "number_first", c->dev_num);
    for (size_t i = 0; d->p->device && d->p->device[i]; i++)
        if (d->n_options + 1 < PL_DRIVE_OPTIONS)
            d->options[d->n_options++] = d->p->device[i];
    d->options[d->n_options] = NULL;
}

int pl_drive_open(struct pl_drive *d, const struct pl_bus_params *bus)
{
    const struct pl_endpoint_env env = pl_port_env(d->s->port, bus);
    const char *type = d->config.type;
    choose_options(d);
    d->config = (struct pl_device_config){.spec = d->s->spec->name,
                                          .type = d->p->type ? d->p->type : type,
                                          .mutant = d->p->mutant,
                                          .options = d->options,
                                          .seed = d->run.combination->seed,
                                          .watch = pl_drv_watch_device(d->s)};
    d->device = pl_device_endpoint.open(&d->config, &env);
    d->config.type = type;
    return d->device ? 0 : -EINVAL;
}

/* --- the scenario's choice --- */

void pl_drive_begin(struct pl_drive *d, const struct pl_scenarios *all,
                    const struct pl_combination *c, size_t choice)
{
    memset(&d->result, 0, sizeof(d->result));
    memset(&d->life, 0, sizeof(d->life));
    d->far = pl_drive_far;
    d->far.opaque = d;
    d->run = (struct run){.far = &d->far,
                          .s = d->s,
                          .all = all,
                          .scenario = d->scenario,
                          .combination = c,
                          .result = &d->result,
                          .random = pl_run_seed(d->scenario, choice, c->seed)};
    d->depth = 0;
    if (d->scenario->n_with)
        pl_run_bind(&d->run, choice);
    if (d->p->at) {
        size_t n = strlen(d->result.parameters);
        snprintf(d->result.parameters + n, sizeof(d->result.parameters) - n, "%sat=%u",
                 n ? " " : "", d->at);
    }
}

void pl_drive_make_room(struct pl_combination *c)
{
    if (c->dimension[PL_DIM_QUEUE_SIZE] < SMALL_QUEUE)
        c->dimension[PL_DIM_QUEUE_SIZE] = pl_dimensions[PL_DIM_QUEUE_SIZE].value[0];
}

bool pl_drive_other_profile(const struct pl_provocation *p, const struct pl_bus_params *bus)
{
    int strict = bus->features >> PL_C_TF_STRICT_CONFIG_GENERATION & 1;
    return p->profile >= 0 && p->profile != strict;
}

/* --- how it may end --- */

bool pl_drive_small_queue(const struct pl_drive *d)
{
    return d->run.combination && d->run.combination->dimension[PL_DIM_QUEUE_SIZE] < SMALL_QUEUE;
}

bool pl_drive_may_end(const struct pl_drive *d)
{
    bool provoked = !d->p->at || d->life.triggered;
    return ((d->p->gives_up || d->p->illegal) && provoked) || pl_drive_small_queue(d);
}

bool pl_drive_ended_well(const struct pl_drive *d, enum pl_finding_kind kind)
{
    const struct pl_end *end = &d->s->end;
    bool well = end->how != PL_END_EXITED || end->code == 0;
    return kind == PL_FINDING_EXIT && ((well && d->life.ready) || pl_drive_may_end(d));
}

bool pl_drive_must_work(const struct pl_drive *d)
{
    return d->p->works >= 0 && !pl_drive_small_queue(d) && (!d->p->at || d->life.triggered);
}

void pl_drive_tell_works(struct pl_drive *d)
{
    if (pl_drive_must_work(d) && d->life.requests)
        pl_session_tell(d->s, "expected %s %d expected: the driver reaches DRIVER_OK",
                        pl_clauses_get(d->run.all->clauses, (size_t)d->p->works)->id,
                        d->life.ready);
}
