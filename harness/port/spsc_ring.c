/* One direction of shared memory: slots and two indices, one of which a stranger writes. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "port/spsc.h"

static const char *const index_names[] = {"tail", "head"};

/* How many slots lie from one index up to another. */
static int32_t distance(const struct pl_spsc_ring *ring, int32_t from, int32_t to)
{
    return to >= from ? to - from : to - from + ring->slots;
}

static int32_t next(const struct pl_spsc_ring *ring, int32_t index)
{
    return index + 1 == ring->slots ? 0 : index + 1;
}

static _Atomic(int32_t) *own_index(const struct pl_spsc_ring *ring)
{
    return ring->produces ? &ring->area->head : &ring->area->tail;
}

static _Atomic(int32_t) *peer_index(const struct pl_spsc_ring *ring)
{
    return ring->produces ? &ring->area->tail : &ring->area->head;
}

static int out_of_range(const struct pl_spsc_ring *ring, bool head, int32_t value, char *error,
                        size_t cap)
{
    snprintf(error, cap, "%s is %d, which is not within 0 to %d", index_names[head], value,
             ring->slots - 1);
    return -EPROTO;
}

/* Load the peer's index and hold it against what it may have become. */
static int look(struct pl_spsc_ring *ring, char *error, size_t cap)
{
    bool peers_head = !ring->produces;
    int32_t mine = atomic_load_explicit(own_index(ring), memory_order_relaxed);
    int32_t theirs = atomic_load_explicit(peer_index(ring), memory_order_acquire);
    if (mine != ring->own) {
        snprintf(error, cap, "%s was changed from %d to %d, and only the %s may write it",
                 index_names[ring->produces], ring->own, mine,
                 ring->produces ? "producer" : "consumer");
        return -EPROTO;
    }
    if (theirs < 0 || theirs >= ring->slots)
        return out_of_range(ring, peers_head, theirs, error, cap);
    /* A head only moves on, up to one slot behind tail; a tail only moves on, up to head. */
    bool back = ring->produces
                    ? distance(ring, theirs, ring->own) > distance(ring, ring->seen, ring->own)
                    : distance(ring, ring->own, theirs) < distance(ring, ring->own, ring->seen);
    if (back) {
        snprintf(error, cap, "%s went from %d to %d, past %s at %d", index_names[peers_head],
                 ring->seen, theirs, index_names[!peers_head], ring->own);
        return -EPROTO;
    }
    ring->seen = theirs;
    return 0;
}

int pl_spsc_ring_init(struct pl_spsc_ring *ring, void *area, size_t size, bool produces,
                      char *error, size_t cap)
{
    if (size < PL_SPSC_SIZE_MIN || size > PL_SPSC_SIZE_MAX) {
        snprintf(error, cap, "an area of %zu bytes is not between %u and %u", size,
                 PL_SPSC_SIZE_MIN, PL_SPSC_SIZE_MAX);
        return -EPROTO;
    }
    *ring = (struct pl_spsc_ring){.area = area, .produces = produces};
    ring->slots = (int32_t)((size - offsetof(struct pl_spsc_area, slots)) / PL_SPSC_SLOT_SIZE);
    ring->own = atomic_load_explicit(own_index(ring), memory_order_relaxed);
    ring->seen = atomic_load_explicit(peer_index(ring), memory_order_acquire);
    if (ring->own < 0 || ring->own >= ring->slots)
        return out_of_range(ring, produces, ring->own, error, cap);
    if (ring->seen < 0 || ring->seen >= ring->slots)
        return out_of_range(ring, !produces, ring->seen, error, cap);
    return 0;
}

int pl_spsc_ring_put(struct pl_spsc_ring *ring, const void *msg, size_t size, char *error,
                     size_t cap)
{
    int32_t after = next(ring, ring->own);
    int r = look(ring, error, cap);
    if (r < 0 || after == ring->seen)
        return r;
    uint8_t *slot = ring->area->slots[ring->own];
    memcpy(slot, msg, size);
    memset(slot + size, 0, PL_SPSC_SLOT_SIZE - size);
    ring->own = after;
    atomic_store_explicit(own_index(ring), after, memory_order_release);
    return 1;
}

int pl_spsc_ring_take(struct pl_spsc_ring *ring, uint8_t slot[PL_SPSC_SLOT_SIZE], char *error,
                      size_t cap)
{
    int r = look(ring, error, cap);
    if (r < 0 || ring->own == ring->seen)
        return r;
    memcpy(slot, ring->area->slots[ring->own], PL_SPSC_SLOT_SIZE);
    ring->own = next(ring, ring->own);
    atomic_store_explicit(own_index(ring), ring->own, memory_order_release);
    return 1;
}
