/* The driver end, whatever the format: making it, adding chains and publishing them. */
#include <errno.h>
#include <stdlib.h>

#include "ring/driver.h"
#include "ring/shared.h"

static const uint64_t CHAIN_BYTES_MAX = UINT64_C(1)
                                        << 32; /* split, "The Virtqueue Descriptor Table" */

static void map_parts(struct pl_driver_ring *ring)
{
    const struct pl_ring_setup *s = &ring->setup;

    ring->bytes = pl_ring_bytes(s->packed, s->size);
    ring->desc = pl_ring_at(&ring->memory, s->desc_addr, ring->bytes.desc);
    ring->driver = pl_ring_at(&ring->memory, s->driver_addr, ring->bytes.driver);
    ring->device = pl_ring_at(&ring->memory, s->device_addr, ring->bytes.device);
}

static bool allocate_books(struct pl_driver_ring *ring)
{
    const size_t size = ring->setup.size;

    ring->desc_shadow = calloc(1, ring->bytes.desc);
    ring->driver_shadow = calloc(1, ring->bytes.driver);
    ring->chain = calloc(size, sizeof(*ring->chain));
    ring->order = calloc(size, sizeof(*ring->order));
    ring->reach = calloc(size / 64 + 1, sizeof(*ring->reach));
    ring->tally = calloc(size + 1, sizeof(*ring->tally));
    return ring->desc_shadow && ring->driver_shadow && ring->chain && ring->order && ring->reach &&
           ring->tally;
}

static void start_books(struct pl_driver_ring *ring)
{
    const uint16_t size = ring->setup.size;

    ring->free_head = UINT16_MAX;
    for (uint16_t i = 0; i < size; i++)
        pl_books_give_ids(ring, i, i);
    ring->room = size;
    ring->next_add = ring->next_used = ring->published_at = ring->kicked_at =
        (struct pl_place){0, true};
    ring->when = PL_RING_NOTIFY_ALWAYS;
}

struct pl_driver_ring *pl_driver_ring_new(const struct pl_ring_memory *memory,
                                          const struct pl_ring_setup *setup, int *err)
{
    *err = pl_ring_check(setup, memory);
    if (*err < 0)
        return NULL;
    *err = -ENOMEM;
    struct pl_driver_ring *ring = calloc(1, sizeof(*ring));
    if (!ring)
        return NULL;
    ring->memory = *memory;
    ring->setup = *setup;
    map_parts(ring);
    if (!allocate_books(ring)) {
        pl_driver_ring_free(ring);
        return NULL;
    }
    start_books(ring);
    pl_shared_clear(ring->desc, ring->bytes.desc);
    pl_shared_clear(ring->driver, ring->bytes.driver);
    pl_shared_clear(ring->device, ring->bytes.device);
    *err = 0;
    return ring;
}

void pl_driver_ring_free(struct pl_driver_ring *ring)
{
    if (!ring)
        return;
    free(ring->desc_shadow);
    free(ring->driver_shadow);
    free(ring->chain);
    free(ring->order);
    free(ring->reach);
    free(ring->tally);
    free(ring);
}

const struct pl_ring_setup *pl_driver_ring_setup(const struct pl_driver_ring *ring)
{
    return &ring->setup;
}

unsigned pl_driver_ring_room(const struct pl_driver_ring *ring)
{
    return ring->room;
}

/* What core virtio asks of a chain, the bytes to be written being counted on the way. */
static bool chain_allowed(const struct pl_driver_ring *ring, const struct pl_ring_buffer *buffers,
                          size_t n, uint64_t *writable)
{
    uint64_t readable = 0;

    *writable = 0;
    if (n == 0 || n > ring->setup.size)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (i > 0 && buffers[i - 1].device_writes && !buffers[i].device_writes)
            return false;
        *(buffers[i].device_writes ? writable : &readable) += buffers[i].len;
    }
    return ring->setup.packed || readable + *writable <= CHAIN_BYTES_MAX;
}

static bool table_allowed(const struct pl_driver_ring *ring, uint64_t table, size_t n)
{
    return ring->setup.indirect && table % VRING_DESC_ALIGN_SIZE == 0 &&
           pl_ring_at(&ring->memory, table, n * sizeof(struct vring_desc));
}

int pl_driver_ring_add(struct pl_driver_ring *ring, const struct pl_ring_buffer *buffers, size_t n,
                       uint64_t table)
{
    uint64_t writable;

    if (!chain_allowed(ring, buffers, n, &writable) || (table && !table_allowed(ring, table, n)))
        return -EINVAL;
    uint16_t entries = (uint16_t)(table ? 1 : n);
    if (entries > ring->room)
        return -ENOSPC;
    int id = ring->setup.packed ? pl_packed_write(ring, buffers, n, table)
                                : pl_split_write(ring, buffers, n, table);
    struct pl_chain_book *chain = &ring->chain[id];
    chain->state = PL_CHAIN_ADDED;
    chain->entries = entries;
    chain->writable = writable;
    chain->seq = ring->added;
    ring->order[ring->added++ % ring->setup.size] = (uint16_t)id;
    ring->room -= entries;
    return id;
}

void pl_driver_ring_publish(struct pl_driver_ring *ring)
{
    if (ring->published == ring->added)
        return;
    ring->fresh_chains += ring->added - ring->published;
    for (uint64_t seq = ring->published; seq < ring->added; seq++) {
        struct pl_chain_book *chain = &ring->chain[ring->order[seq % ring->setup.size]];
        chain->state = PL_CHAIN_HELD;
        ring->fresh_entries += chain->entries;
    }
    if (ring->setup.packed)
        pl_packed_publish(ring);
    else
        pl_split_publish(ring);
    ring->published = ring->added;
    ring->published_at = ring->next_add;
}

bool pl_driver_ring_kick_due(struct pl_driver_ring *ring)
{
    if (ring->fresh_chains == 0)
        return false;
    bool due = ring->setup.packed ? pl_packed_kick_due(ring) : pl_split_kick_due(ring);
    ring->fresh_chains = ring->fresh_entries = 0;
    ring->kicked_at = ring->published_at;
    return due;
}

uint16_t pl_driver_ring_kick_offset(const struct pl_driver_ring *ring, bool *wrap)
{
    *wrap = ring->setup.packed && ring->published_at.wrap;
    return ring->setup.packed ? ring->published_at.off : (uint16_t)ring->published;
}

unsigned pl_driver_ring_held(const struct pl_driver_ring *ring)
{
    return (unsigned)(ring->published - ring->used);
}

bool pl_driver_ring_holds(const struct pl_driver_ring *ring, uint16_t id)
{
    return id < ring->setup.size && ring->chain[id].state == PL_CHAIN_HELD;
}

bool pl_driver_ring_intact(const struct pl_driver_ring *ring, const char **what)
{
    return ring->setup.packed ? pl_packed_intact(ring, what) : pl_split_intact(ring, what);
}
