/* What a reference driver is opened with: draft, type, mutant and options, looked up and checked.
 */
#include <stdlib.h>
#include <string.h>

#include "peer/driver_private.h"
#include "peer/options.h"
#include "wire/random.h"

static const struct pl_driver_config defaults;

static const struct pl_dp_model *model_of(const struct pl_spec *spec)
{
    for (size_t i = 0; spec && pl_dp_models[i]; i++)
        if (strcmp(pl_dp_models[i]->spec, spec->name) == 0)
            return pl_dp_models[i];
    return NULL;
}

const struct pl_mutant *pl_driver_mutants(const struct pl_spec *spec, size_t *n)
{
    const struct pl_dp_model *model = model_of(spec);
    *n = model ? model->n_mutants : 0;
    return model ? model->mutants : NULL;
}

const struct pl_device_option *pl_driver_options(const struct pl_spec *spec, size_t *n)
{
    const struct pl_dp_model *model = model_of(spec);
    *n = model ? model->n_options : 0;
    return model ? model->options : NULL;
}

/* One step of splitmix64: the same seed gives the same driver. */
uint64_t pl_dp_draw(struct pl_dp *peer)
{
    return pl_random_mix(peer->seed + ++peer->draws * PL_RANDOM_STEP);
}

static const char *set_type(void *of, const char *name)
{
    struct pl_dp *peer = of;
    for (size_t i = 0; i < peer->model->n_types; i++) {
        if (strcmp(peer->model->types[i].name, name) != 0)
            continue;
        peer->only = &peer->model->types[i];
        return NULL;
    }
    return "is none that this driver knows";
}

static const struct pl_option_range ranges[] = {
    {PL_DP_OPT_number, 0, UINT16_MAX},
    {PL_DP_OPT_patience, 1, UINT32_MAX},
    {PL_DP_OPT_slow, 0, UINT32_MAX},
    {PL_DP_OPT_depth, 1, PL_DP_OPEN},
    {PL_DP_OPT_token, 0, 4},
    {PL_DP_OPT_queue_size, 1, PL_C_QUEUE_SIZE_MAX},
    {PL_DP_OPT_queues, 1, PL_DP_QUEUES},
    {PL_DP_OPT_lanes, 1, PL_DP_LANES},
    {PL_DP_OPT_retries, 0, 1000},
    {PL_DP_OPT_reset_patience, 1, UINT32_MAX},
    {PL_DP_OPT_two_steps, 0, 2},
    {PL_DP_OPT_end, 0, 3},
};

int pl_dp_configure(struct pl_dp *peer, const struct pl_driver_config *config, char *error,
                    size_t cap)
{
    struct pl_options options = {.peer = "driver",
                                 .values = peer->opt,
                                 .set_type = set_type,
                                 .of = peer,
                                 .error = error,
                                 .cap = cap};
    if (!config)
        config = &defaults;
    const char *name = config->spec ? config->spec : "virtio-msg-r1";
    int err = 0;
    peer->spec = pl_spec_find(name);
    peer->model = model_of(peer->spec);
    if (!peer->model || peer->model->n_options > PL_DP_MAX_OPTIONS)
        return pl_options_complain(&options, "draft", name, "has no driver model");
    options.options = peer->model->options;
    options.n_options = peer->model->n_options;
    options.mutants = peer->model->mutants;
    options.n_mutants = peer->model->n_mutants;
    pl_options_defaults(&options);
    peer->seed = config->seed;
    if (config->mutant)
        err = pl_options_mutant(&options, config->mutant, &peer->mutant);
    peer->bent = peer->mutant ? &peer->model->bent[peer->mutant - 1] : NULL;
    if (!err && config->type)
        err = pl_options_type(&options, config->type);
    if (!err)
        err = pl_options_set(&options, config->options);
    return err ? err : pl_options_within(&options, ranges, sizeof(ranges) / sizeof(ranges[0]));
}

int pl_driver_config_check(const struct pl_driver_config *config, char *error, size_t cap)
{
    struct pl_dp *peer = calloc(1, sizeof(*peer));
    const struct pl_options nothing = {.peer = "driver", .error = error, .cap = cap};
    if (!peer)
        return pl_options_complain(&nothing, "memory", "", "is not enough to check its options");
    int err = pl_dp_configure(peer, config, error, cap);
    free(peer);
    return err;
}
