/* Devices coming into being: numbers, identity, features, queues and configuration space. */
#include <string.h>

#include "peer/io.h"

/* A number from the seed (splitmix64): the same seed gives the same numbers. */
uint64_t pl_device_draw(struct pl_device_peer *peer)
{
    uint64_t z = peer->seed + ++peer->draws * UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
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
    if (!pl_device_opt(peer, "uuid"))
        return;
    for (size_t i = 0; i < sizeof(dev->uuid); i++)
        dev->uuid[i] = (uint8_t)pl_device_draw(peer);
    dev->uuid[6] = (uint8_t)((dev->uuid[6] & 0x0f) | 0x40); /* version 4 */
    dev->uuid[8] = (uint8_t)((dev->uuid[8] & 0x3f) | 0x80); /* its variant */
}

static void init_features(struct pl_device_peer *peer, struct pl_device *dev)
{
    uint64_t bits = peer->type->features | pl_device_opt(peer, "features_add");
    if (dev->admin_vq_count)
        bits |= UINT64_C(1) << PL_C_F_ADMIN_VQ;
    bits &= ~pl_device_opt(peer, "features_remove");
    dev->feature_blocks = pl_device_opt(peer, "feature_blocks");
    dev->offered[0] = (uint32_t)bits;
    dev->offered[1] = (uint32_t)(bits >> 32);
}

static void init_queues(struct pl_device_peer *peer, struct pl_device *dev)
{
    const struct pl_device_type *type = peer->type;
    uint64_t admin = pl_device_opt(peer, "admin_vqs");
    uint64_t size = pl_device_opt(peer, "queue_size");
    for (uint32_t i = 0; i < type->n_queues; i++)
        dev->queues[i].max_size = size && type->queues[i] ? size : type->queues[i];
    for (uint64_t i = 0; i < admin; i++)
        dev->queues[type->n_queues + i].max_size = 32;
    for (uint32_t i = 0; i < PL_DEVICE_MAX_QUEUES; i++) {
        dev->queues[i].index = i;
        dev->queues[i].available = dev->queues[i].max_size != 0;
    }
    dev->max_virtqueues = type->n_queues + admin;
    dev->admin_vq_count = admin;
    dev->admin_vq_start = admin ? type->n_queues : 0;
}

static void init_config(struct pl_device_peer *peer, struct pl_device *dev,
                        const struct pl_device_facts *facts)
{
    uint64_t more = pl_device_opt(peer, "config_size");
    dev->config_size = peer->type->config_size > more ? peer->type->config_size : more;
    if (peer->type->config_size)
        memcpy(dev->config, peer->type->config, peer->type->config_size);
    if (peer->file)
        pl_block_capacity(dev, peer->file_sectors);
    memcpy(dev->config_first, dev->config, sizeof(dev->config));
    dev->writable_first = peer->type->writable_first;
    dev->writable_last = peer->type->writable_last;
    if (pl_device_opt(peer, "config_writable") && dev->config_size) {
        dev->writable_first = 0;
        dev->writable_last = (uint32_t)dev->config_size - 1;
    }
    dev->opaque_first = facts ? facts->opaque_first : 1;
    dev->opaque_last = facts ? facts->opaque_last : 0;
}

/* A region at the end of the shared memory, for a type that has such regions. */
static void init_shm(struct pl_device_peer *peer, struct pl_device *dev,
                     const struct pl_device_facts *facts)
{
    if (!facts || !facts->shm || peer->env.mem_size < 2 * 4096)
        return;
    dev->shm_length = 4096;
    dev->shm_address = peer->env.mem_base + peer->env.mem_size - dev->shm_length;
}

void pl_device_init(struct pl_device_peer *peer, struct pl_device *dev, uint64_t number)
{
    const struct pl_device_facts *facts = facts_of(peer);
    pl_io_forget(dev);
    memset(dev, 0, sizeof(*dev));
    dev->attached = true;
    dev->number = number;
    dev->device_id = facts ? facts->id : 0;
    dev->v.generation = pl_device_opt(peer, "generation_first") & UINT32_MAX;
    dev->reset_delay = pl_device_opt(peer, "reset_delay");
    init_identity(peer, dev);
    init_queues(peer, dev);
    init_features(peer, dev);
    init_config(peer, dev, facts);
    init_shm(peer, dev, facts);
}

void pl_device_populate(struct pl_device_peer *peer)
{
    uint64_t first = pl_device_opt(peer, "number_first"), step = pl_device_opt(peer, "number_step");
    uint64_t devices = pl_device_opt(peer, "devices");
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
