/* What a reference device is opened with: draft, type, mutant and options, looked up and checked.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer/device_private.h"

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

uint64_t pl_device_opt(const struct pl_device_peer *peer, const char *name)
{
    for (size_t i = 0; i < peer->model->n_options; i++)
        if (strcmp(peer->model->options[i].name, name) == 0)
            return peer->opt[i];
    return 0;
}

static int complain(char *error, size_t cap, const char *what, const char *value, const char *why)
{
    if (cap > 0)
        snprintf(error, cap, "reference device: %s '%s' %s", what, value, why);
    return -EINVAL;
}

static int set_type(struct pl_device_peer *peer, const char *name, char *error, size_t cap)
{
    peer->type = pl_device_type_find(name);
    if (!peer->type)
        return complain(error, cap, "type", name, "is none of block, net, console, entropy, gpu");
    return 0;
}

/* Take one "NAME=VALUE". */
static int set_option(struct pl_device_peer *peer, const char *text, char *error, size_t cap)
{
    const char *equals = strchr(text, '=');
    if (!equals || !equals[1])
        return complain(error, cap, "option", text, "is not of the form NAME=VALUE");
    size_t length = (size_t)(equals - text);
    if (length == 4 && memcmp(text, "type", 4) == 0)
        return set_type(peer, equals + 1, error, cap);
    char *end;
    errno = 0;
    uint64_t value = strtoull(equals + 1, &end, 0);
    if (*end || errno || equals[1] == '-' || equals[1] == ' ')
        return complain(error, cap, "option", text, "has no number from 0 on as its value");
    for (size_t i = 0; i < peer->model->n_options; i++) {
        const char *name = peer->model->options[i].name;
        if (strlen(name) == length && memcmp(name, text, length) == 0) {
            peer->opt[i] = value;
            return 0;
        }
    }
    return complain(error, cap, "option", text, "names no option of this draft's device");
}

static int set_options(struct pl_device_peer *peer, const char *const *options, char *error,
                       size_t cap)
{
    for (size_t i = 0; options && options[i]; i++) {
        int err = set_option(peer, options[i], error, cap);
        if (err < 0)
            return err;
    }
    return 0;
}

static int set_mutant(struct pl_device_peer *peer, const char *id, char *error, size_t cap)
{
    for (size_t i = 0; i < peer->model->n_mutants; i++) {
        if (strcmp(peer->model->mutants[i].id, id) == 0) {
            peer->mutant = (unsigned)i + 1;
            peer->mutant_def = &peer->model->mutants[i];
            return set_options(peer, peer->mutant_def->options, error, cap);
        }
    }
    return complain(error, cap, "mutant", id, "is unknown (--list-mutants lists them)");
}

/* Numbers that hand-written code relies on. */
static int check_ranges(const struct pl_device_peer *peer, char *error, size_t cap)
{
    static const struct {
        const char *name;
        uint64_t first, last;
    } ranges[] = {
        {"devices", 0, PL_DEVICE_MAX},
        {"feature_blocks", 0, PL_DEVICE_MAX_BLOCKS},
        {"admin_vqs", 0, PL_DEVICE_MAX_QUEUES - 8},
        {"config_size", 0, PL_DEVICE_MAX_CONFIG},
        {"queue_size", 0, PL_C_QUEUE_SIZE_MAX},
        {"io_delay", 0, UINT32_MAX},
        {"number_first", 0, UINT16_MAX},
        {"number_step", 0, UINT16_MAX / PL_DEVICE_MAX},
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++) {
        uint64_t value = pl_device_opt(peer, ranges[i].name);
        if (value >= ranges[i].first && value <= ranges[i].last)
            continue;
        if (cap > 0)
            snprintf(error, cap, "reference device: option '%s' is %llu, must be %llu to %llu",
                     ranges[i].name, (unsigned long long)value, (unsigned long long)ranges[i].first,
                     (unsigned long long)ranges[i].last);
        return -EINVAL;
    }
    return 0;
}

/* A block device's file must be there, and its size is the capacity. */
static int check_file(struct pl_device_peer *peer, char *error, size_t cap)
{
    bool read_only = pl_device_opt(peer, "features_add") >> VIRTIO_BLK_F_RO & 1;
    if (!peer->file)
        return 0;
    if (strcmp(peer->type->name, "block") != 0)
        return complain(error, cap, "file", peer->file, "is for a block device only");
    int64_t size = pl_disk_file_size(peer->file, read_only);
    if (size < 0)
        return complain(error, cap, "file", peer->file,
                        size == -EINVAL ? "is no regular file" : strerror((int)-size));
    peer->file_sectors = (uint64_t)size / PL_SECTOR;
    return 0;
}

int pl_device_configure(struct pl_device_peer *peer, const struct pl_device_config *config,
                        char *error, size_t cap)
{
    if (!config)
        config = &defaults;
    const char *name = config->spec ? config->spec : "virtio-msg-r1";
    peer->spec = pl_spec_find(name);
    peer->model = model_of(peer->spec);
    if (!peer->model || peer->model->n_options > PL_DEVICE_MAX_OPTIONS)
        return complain(error, cap, "draft", name, "has no device model");
    for (size_t i = 0; i < peer->model->n_options; i++)
        peer->opt[i] = peer->model->options[i].value;
    peer->seed = config->seed;
    peer->file = config->file;
    int err = set_type(peer, "block", error, cap);
    if (!err && config->mutant)
        err = set_mutant(peer, config->mutant, error, cap);
    if (!err && config->type)
        err = set_type(peer, config->type, error, cap);
    if (!err)
        err = set_options(peer, config->options, error, cap);
    if (!err)
        err = check_ranges(peer, error, cap);
    return err ? err : check_file(peer, error, cap);
}

int pl_device_config_check(const struct pl_device_config *config, char *error, size_t cap)
{
    struct pl_device_peer *peer = calloc(1, sizeof(*peer));
    if (!peer)
        return complain(error, cap, "memory", "", "is not enough to check its options");
    int err = pl_device_configure(peer, config, error, cap);
    free(peer);
    return err;
}
