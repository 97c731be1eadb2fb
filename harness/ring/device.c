/* The device end, whatever the format. */
#include <errno.h>
#include <stdlib.h>

#include "ring/device.h"

struct pl_device_ring *pl_device_ring_new(const struct pl_ring_memory *memory,
                                          const struct pl_ring_setup *setup, int *err)
{
    *err = pl_ring_check(setup, memory);
    if (*err < 0)
        return NULL;
    struct pl_device_ring *ring = calloc(1, sizeof(*ring));
    *err = ring ? 0 : -ENOMEM;
    if (!ring)
        return NULL;
    struct pl_ring_bytes bytes = pl_ring_bytes(setup->packed, setup->size);
    ring->memory = *memory;
    ring->setup = *setup;
    ring->desc = pl_ring_at(memory, setup->desc_addr, bytes.desc);
    ring->driver = pl_ring_at(memory, setup->driver_addr, bytes.driver);
    ring->device = pl_ring_at(memory, setup->device_addr, bytes.device);
    ring->kicks_wanted = true;
    ring->avail_at = ring->used_at = ring->fresh_from = (struct pl_place){0, true};
    return ring;
}

void pl_device_ring_free(struct pl_device_ring *ring)
{
    free(ring);
}

const struct pl_ring_setup *pl_device_ring_setup(const struct pl_device_ring *ring)
{
    return &ring->setup;
}

static int take(struct pl_device_ring *ring, struct pl_ring_chain *out, enum pl_ring_fault *fault)
{
    struct pl_chain_walk walk = {.ring = ring, .out = out};

    out->id = out->entries = 0;
    out->n = out->n_readable = 0;
    out->readable = out->writable = 0;
    *fault = PL_RING_SOUND;
    int code =
        ring->setup.packed ? pl_packed_take(ring, &walk, fault) : pl_split_take(ring, &walk, fault);
    return code > 0 && walk.buffers > PL_RING_CHAIN_MAX ? -E2BIG : code;
}

static bool ask(struct pl_device_ring *ring)
{
    return ring->setup.packed ? pl_packed_ask(ring) : pl_split_ask(ring);
}

int pl_device_ring_pop(struct pl_device_ring *ring, struct pl_ring_chain *out,
                       enum pl_ring_fault *fault)
{
    int code = take(ring, out, fault);

    /* With nothing left, the next chain is the one to be told of: it may have come just now. */
    if (code == 0 && ring->kicks_wanted && ring->setup.event_idx && ask(ring))
        code = take(ring, out, fault);
    return code;
}

void pl_device_ring_kicks(struct pl_device_ring *ring, bool wanted)
{
    ring->kicks_wanted = wanted;
    ask(ring);
}

static void push(struct pl_device_ring *ring, const struct pl_ring_bend *bend)
{
    ring->pushed += bend->entries;
    if (ring->setup.packed)
        pl_packed_push(ring, bend);
    else
        pl_split_push(ring, bend);
}

void pl_device_ring_push(struct pl_device_ring *ring, uint16_t id, uint16_t entries,
                         uint32_t written)
{
    push(ring, &(struct pl_ring_bend){.id = id, .written = written, .entries = entries});
}

void pl_device_ring_flush(struct pl_device_ring *ring)
{
    if (ring->setup.packed)
        pl_packed_flush(ring);
    else
        pl_split_flush(ring);
    ring->fresh += ring->pushed;
    ring->pushed = 0;
}

void pl_device_ring_push_bent(struct pl_device_ring *ring, const struct pl_ring_bend *bend)
{
    pl_device_ring_flush(ring);
    push(ring, bend);
    if (!bend->hide)
        pl_device_ring_flush(ring);
}

bool pl_device_ring_notify_due(struct pl_device_ring *ring)
{
    if (ring->fresh == 0)
        return false;
    bool due = ring->setup.packed ? pl_packed_notify_due(ring) : pl_split_notify_due(ring);
    ring->fresh_from = pl_place_after(ring->fresh_from, ring->fresh, ring->setup.size);
    ring->fresh = 0;
    return due;
}
