/* Devices coming into being: numbers, identity, features, queues and configuration space. */
#include <stddef.h>
#include <string.h>

#include "peer/io.h"
#include "peer/io_zoned.h"
#include "wire/random.h"

/* A number from the seed (splitmix64): the same seed gives the same numbers. */
uint64_t pl_device_draw(struct pl_device_peer *peer)
{
    return pl_random_mix(peer->seed + ++peer->draws * PL_RANDOM_STEP);
}

static const struct pl_device_facts *facts_of(const struct pl_device_peer *peer)
{
    for (size_t i = 0; i < peer->model->n_facts; i++)
        if (strcmp(peer->model->facts[i].name, peer->type->name) == 0)
            return &peer->model->facts[i];
    return NULL;
}

static void init_identity(struct pl_device_peer *peer, struct pl_device *dev)
{
    dev->vendor_id = 0x504c;
    if (!pl_device_opt(peer, PL_DEVICE_OPT_uuid))
        return;
    for (size_t i = 0; i < sizeof(dev->uuid); i++)
        dev->uuid[i] = (uint8_t)pl_device_draw(peer);
    dev->uuid[6] = (uint8_t)((dev->uuid[6] & 0x0f) | 0x40); /* version 4 */
    dev->uuid[8] = (uint8_t)((dev->uuid[8] & 0x3f) | 0x80); /* its variant */
}

/* A device with zones says so, and does not offer what would bypass them. */
#define ZONED_WITH (UINT64_C(1) << PL_T_BLOCK_F_ZONED)
#define ZONED_WITHOUT                                                                              \
    (UINT64_C(1) << PL_T_BLOCK_F_DISCARD | UINT64_C(1) << PL_T_BLOCK_F_WRITE_ZEROES)

static uint64_t type_features(const struct pl_device_peer *peer)
{
    return (peer->type->features | pl_device_opt(peer, PL_DEVICE_OPT_features_add)) &
           ~pl_device_opt(peer, PL_DEVICE_OPT_features_remove);
}

static void init_features(struct pl_device_peer *peer, struct pl_device *dev)
{
    uint64_t bits = type_features(peer),
             high = pl_device_opt(peer, PL_DEVICE_OPT_features_add_high);
    if (dev->admin_vq_count)
        bits |= UINT64_C(1) << PL_C_F_ADMIN_VQ;
    if (pl_device_opt(peer, PL_DEVICE_OPT_zoned) && strcmp(peer->type->name, "block") == 0)
        bits = (bits & ~ZONED_WITHOUT) | ZONED_WITH;
    bits &= ~pl_device_opt(peer, PL_DEVICE_OPT_features_remove);
    dev->feature_blocks = pl_device_opt(peer, PL_DEVICE_OPT_feature_blocks);
    if (high && dev->feature_blocks < PL_DEVICE_MAX_BLOCKS)
        dev->feature_blocks = PL_DEVICE_MAX_BLOCKS;
    dev->offered[0] = (uint32_t)bits;
    dev->offered[1] = (uint32_t)(bits >> 32);
    dev->offered[2] = (uint32_t)high;
    dev->offered[3] = (uint32_t)(high >> 32);
}

/* The queues of the type itself; a network device has more where it offers more pairs. */
static uint32_t type_queues(const struct pl_device_peer *peer)
{
    if (strcmp(peer->type->name, "net") == 0)
        return pl_net_queues(type_features(peer));
    return peer->type->n_queues;
}

/* The further queues of several pairs are as large as the last one of the type. */
static uint16_t queue_max(const struct pl_device_type *type, uint32_t index)
{
    return type->queues[index < type->n_queues ? index : type->n_queues - 1];
}

static void init_queues(struct pl_device_peer *peer, struct pl_device *dev)
{
    const struct pl_device_type *type = peer->type;
    uint32_t own = type_queues(peer);
    uint64_t admin = pl_device_opt(peer, PL_DEVICE_OPT_admin_vqs);
    uint64_t size = pl_device_opt(peer, PL_DEVICE_OPT_queue_size);
    for (uint32_t i = 0; i < own; i++)
        dev->queues[i].max_size = size && queue_max(type, i) ? size : queue_max(type, i);
    for (uint64_t i = 0; i < admin; i++)
        dev->queues[own + i].max_size = 32;
    for (uint32_t i = 0; i < PL_DEVICE_MAX_QUEUES; i++) {
        dev->queues[i].index = i;
        dev->queues[i].available = dev->queues[i].max_size != 0;
    }
    dev->max_virtqueues = own + admin;
    dev->admin_vq_count = admin;
    dev->admin_vq_start = admin ? own : 0;
}

void pl_device_put_config(struct pl_device *dev, uint64_t at, uint64_t len, uint64_t value)
{
    for (uint64_t i = 0; i < len; i++)
        dev->config[at + i] = (uint8_t)(value >> (8 * i));
}

static void init_config(struct pl_device_peer *peer, struct pl_device *dev,
                        const struct pl_device_facts *facts)
{
    uint64_t more = pl_device_opt(peer, PL_DEVICE_OPT_config_size);
    uint64_t zoned = pl_zoned_config_size(peer, dev);
    dev->config_size = peer->type->config_size > more ? peer->type->config_size : more;
    dev->config_size = dev->config_size > zoned ? dev->config_size : zoned;
    if (peer->type->config_size)
        memcpy(dev->config, peer->type->config, peer->type->config_size);
    if (strcmp(peer->type->name, "net") == 0)
        pl_net_configure(peer, dev);
    if (peer->file)
        pl_block_capacity(dev, peer->file_sectors);
    memcpy(dev->config_first, dev->config, sizeof(dev->config));
    pl_zoned_init(peer, dev);
    dev->writable_first = peer->type->writable_first;
    dev->writable_last = peer->type->writable_last;
    if (pl_device_opt(peer, PL_DEVICE_OPT_config_writable) && dev->config_size) {
        dev->writable_first = 0;
        dev->writable_last = (uint32_t)dev->config_size - 1;
    }
    dev->opaque_first = facts ? facts->opaque_first : 1;
    dev->opaque_last = facts ? facts->opaque_last : 0;
}

/* A region at the end of the shared memory, for a type that has such regions; none
 * where only parts of it are there. */
static void init_shm(struct pl_device_peer *peer, struct pl_device *dev,
                     const struct pl_device_facts *facts)
{
    if (!facts || !facts->shm || peer->env.mem_parts || peer->env.mem_size < 2 * 4096)
        return;
    dev->shm_length = 4096;
    dev->shm_address = peer->env.mem_base + peer->env.mem_size - dev->shm_length;
}

/* Most of a device is the room for what administration commands make. */
void pl_device_clear(struct pl_device *dev)
{
    memset(dev, 0, offsetof(struct pl_device, admin));
    memset(&dev->admin, 0, offsetof(struct pl_admin_state, object));
    for (size_t i = 0; i < PL_ADMIN_OBJECTS; i++)
        dev->admin.object[i].there = false;
}

void pl_device_init(struct pl_device_peer *peer, struct pl_device *dev, uint64_t number)
{
    const struct pl_device_facts *facts = facts_of(peer);
    if (dev->made)
        pl_io_forget(dev);
    pl_device_clear(dev);
    dev->attached = dev->made = true;
    dev->number = number;
    dev->device_id = facts ? facts->id : 0;
    dev->v.generation = pl_device_opt(peer, PL_DEVICE_OPT_generation_first) & UINT32_MAX;
    dev->reset_delay = pl_device_opt(peer, PL_DEVICE_OPT_reset_delay);
    init_identity(peer, dev);
    init_queues(peer, dev);
    init_features(peer, dev);
    init_config(peer, dev, facts);
    init_shm(peer, dev, facts);
}

void pl_device_populate(struct pl_device_peer *peer)
{
    uint64_t first = pl_device_opt(peer, PL_DEVICE_OPT_number_first),
             step = pl_device_opt(peer, PL_DEVICE_OPT_number_step);
    uint64_t devices = pl_device_opt(peer, PL_DEVICE_OPT_devices);
    for (uint64_t i = 0; i < devices && i < PL_DEVICE_MAX; i++)
        if (first + i * step <= UINT16_MAX && !pl_device_find(peer, first + i * step))
            pl_device_init(peer, &peer->devices[i], first + i * step);
}

struct pl_device *pl_device_find(struct pl_device_peer *peer, uint64_t number)
{
    for (size_t i = 0; i < PL_DEVICE_MAX; i++)
        if (peer->devices[i].attached && peer->devices[i].number == number)
            return &peer->devices[i];
    return NULL;
}
