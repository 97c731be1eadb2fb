/* What a reference device is opened with: draft, type, mutant and options, looked up and checked.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "peer/io_zoned.h"
#include "peer/options.h"

static const struct pl_device_config defaults;

static const struct pl_device_model *model_of(const struct pl_spec *spec)
{
    for (size_t i = 0; spec && pl_device_models[i]; i++)
        if (strcmp(pl_device_models[i]->spec, spec->name) == 0)
            return pl_device_models[i];
    return NULL;
}

const struct pl_mutant *pl_device_mutants(const struct pl_spec *spec, size_t *n)
{
    const struct pl_device_model *model = model_of(spec);
    *n = model ? model->n_mutants : 0;
    return model ? model->mutants : NULL;
}

const struct pl_device_option *pl_device_options(const struct pl_spec *spec, size_t *n)
{
    const struct pl_device_model *model = model_of(spec);
    *n = model ? model->n_options : 0;
    return model ? model->options : NULL;
}

static const char *set_type(void *of, const char *name)
{
    struct pl_device_peer *peer = of;
    peer->type = pl_device_type_find(name);
    return peer->type ? NULL : "is none of block, net, console, entropy, gpu";
}

static const struct pl_option_range ranges[] = {
    {PL_DEVICE_OPT_devices, 0, PL_DEVICE_MAX},
    {PL_DEVICE_OPT_feature_blocks, 0, PL_DEVICE_MAX_BLOCKS},
    {PL_DEVICE_OPT_admin_vqs, 0, PL_DEVICE_MAX_QUEUES - 8},
    {PL_DEVICE_OPT_config_size, 0, PL_DEVICE_MAX_CONFIG},
    {PL_DEVICE_OPT_queue_size, 0, PL_C_QUEUE_SIZE_MAX},
    {PL_DEVICE_OPT_io_delay, 0, UINT32_MAX},
    {PL_DEVICE_OPT_zoned, 0, 3},
    {PL_DEVICE_OPT_number_first, 0, UINT16_MAX},
    {PL_DEVICE_OPT_number_step, 0, UINT16_MAX / PL_DEVICE_MAX},
};

/* A block device's file must be there, and its size is the capacity. */
static int check_file(struct pl_device_peer *peer, const struct pl_options *options)
{
    bool read_only = pl_device_opt(peer, PL_DEVICE_OPT_features_add) >> PL_T_BLOCK_F_RO & 1;
    if (!peer->file)
        return 0;
    if (strcmp(peer->type->name, "block") != 0)
        return pl_options_complain(options, "file", peer->file, "is for a block device only");
    int64_t size = pl_disk_file_size(peer->file, read_only);
    if (size < 0)
        return pl_options_complain(options, "file", peer->file,
                                   size == -EINVAL ? "is no regular file" : strerror((int)-size));
    peer->file_sectors = (uint64_t)size / PL_T_BLOCK_SECTOR;
    return 0;
}

int pl_device_configure(struct pl_device_peer *peer, const struct pl_device_config *config,
                        char *error, size_t cap)
{
    struct pl_options options = {.peer = "device",
                                 .values = peer->opt,
                                 .set_type = set_type,
                                 .of = peer,
                                 .error = error,
                                 .cap = cap};
    if (!config)
        config = &defaults;
    const char *name = config->spec ? config->spec : "virtio-msg-r1";
    peer->spec = pl_spec_find(name);
    peer->model = model_of(peer->spec);
    if (!peer->model || peer->model->n_options > PL_DEVICE_MAX_OPTIONS)
        return pl_options_complain(&options, "draft", name, "has no device model");
    options.options = peer->model->options;
    options.n_options = peer->model->n_options;
    options.mutants = peer->model->mutants;
    options.n_mutants = peer->model->n_mutants;
    pl_options_defaults(&options);
    peer->seed = config->seed;
    peer->file = config->file;
    int err = pl_options_type(&options, "block");
    if (!err && config->mutant)
        err = pl_options_mutant(&options, config->mutant, &peer->mutant);
    peer->mutant_def = peer->mutant ? &peer->model->mutants[peer->mutant - 1] : NULL;
    if (!err && config->type)
        err = pl_options_type(&options, config->type);
    if (!err)
        err = pl_options_set(&options, config->options);
    if (!err)
        err = pl_options_within(&options, ranges, sizeof(ranges) / sizeof(ranges[0]));
    if (!err)
        err = check_file(peer, &options);
    const char *why = err ? NULL : pl_zoned_check(peer);
    return why ? pl_options_complain(&options, "option", "zoned", why) : err;
}

int pl_device_config_check(const struct pl_device_config *config, char *error, size_t cap)
{
    struct pl_device_peer *peer = calloc(1, sizeof(*peer));
    const struct pl_options nothing = {.peer = "device", .error = error, .cap = cap};
    if (!peer)
        return pl_options_complain(&nothing, "memory", "", "is not enough to check its options");
    int err = pl_device_configure(peer, config, error, cap);
    free(peer);
    return err;
}
