/* Which entries of a packed ring the device may have overwritten, and whether the others stand. */
#include <string.h>

#include "ring/driver.h"

enum { WORD_BITS = 64 };

/* Of every length that can be reached, make that plus `by` one that can be reached, too. */
static void add_length(uint64_t *reach, size_t words, size_t by)
{
    const size_t whole = by / WORD_BITS, rest = by % WORD_BITS;

    for (size_t i = words; i-- > whole;) {
        reach[i] |= reach[i - whole] << rest;
        if (rest && i > whole)
            reach[i] |= reach[i - whole - 1] >> (WORD_BITS - rest);
    }
}

/*
 * The device writes used descriptors one behind the other, each as far from the last as that one's
 * chain is long, in any order of the chains that it holds: so the places it may write are the
 * lengths of all choices among these chains, counted from the next used place.
 */
static void reach_any_order(const struct pl_driver_ring *ring)
{
    const uint16_t size = ring->setup.size;

    memset(ring->tally, 0, (size + 1u) * sizeof(*ring->tally));
    for (unsigned id = 0; id < size; id++) {
        if (ring->chain[id].state == PL_CHAIN_HELD)
            ring->tally[ring->chain[id].entries]++;
    }
    for (size_t length = 1; length <= size; length++) {
        size_t left = ring->tally[length];
        for (size_t step = 1; left > 0; step *= 2) {
            size_t some = step < left ? step : left;
            add_length(ring->reach, size / WORD_BITS + 1, some * length);
            left -= some;
        }
    }
}

/* In order: where a chain begins. */
static void reach_in_order(const struct pl_driver_ring *ring)
{
    size_t at = 0;

    for (uint64_t seq = ring->used; seq < ring->published; seq++) {
        ring->reach[at / WORD_BITS] |= UINT64_C(1) << at % WORD_BITS;
        at += ring->chain[ring->order[seq % ring->setup.size]].entries;
    }
}

static size_t entries_held(const struct pl_driver_ring *ring)
{
    size_t added = 0;

    for (uint64_t seq = ring->published; seq < ring->added; seq++)
        added += ring->chain[ring->order[seq % ring->setup.size]].entries;
    return ring->setup.size - ring->room - added;
}

bool pl_packed_intact(const struct pl_driver_ring *ring, const char **what)
{
    const size_t held = entries_held(ring), length = sizeof(struct vring_packed_desc);
    const uint16_t size = ring->setup.size;

    *what = "the driver event suppression structure";
    if (!pl_books_same(ring->driver, ring->driver_shadow, ring->bytes.driver))
        return false;
    memset(ring->reach, 0, (size / WORD_BITS + 1u) * sizeof(*ring->reach));
    ring->reach[0] = 1;
    if (ring->setup.in_order)
        reach_in_order(ring);
    else
        reach_any_order(ring);
    for (size_t i = 0; i < size; i++) {
        size_t at = (ring->next_used.off + i) % size * length;
        bool writable = i < held && (ring->reach[i / WORD_BITS] >> i % WORD_BITS & 1);
        if (writable || pl_books_same(ring->desc + at, ring->desc_shadow + at, length))
            continue;
        *what = i < held ? "an available descriptor that no used one may replace"
                         : "a descriptor that is not available";
        return false;
    }
    return true;
}
