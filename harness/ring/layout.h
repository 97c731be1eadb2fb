/* What both ends share: limits, and a place in a packed ring. */
#ifndef PL_RING_LAYOUT_H
#define PL_RING_LAYOUT_H

#include <linux/virtio_ring.h>

#include "ring/ring.h"

enum {
    PL_RING_SIZE_MAX = 32768, /* entries, of either format */
    PL_PACKED_AVAIL = 1 << VRING_PACKED_DESC_F_AVAIL,
    PL_PACKED_USED = 1 << VRING_PACKED_DESC_F_USED,
    PL_PACKED_WRAP = 1 << VRING_PACKED_EVENT_F_WRAP_CTR,
};

/* A place in a packed ring: the entry, and the wrap counter of the lap. */
struct pl_place {
    uint16_t off;
    bool wrap;
};

static inline struct pl_place pl_place_after(struct pl_place at, uint64_t entries, uint16_t size)
{
    uint64_t off = at.off + entries;

    if (off >= size) {
        at.wrap ^= off / size & 1;
        off %= size;
    }
    at.off = (uint16_t)off;
    return at;
}

/* Entries from one place on to another, 0 to twice the size: laps of equal counters are the same.
 */
static inline uint32_t pl_place_distance(struct pl_place from, struct pl_place to, uint16_t size)
{
    uint32_t round = 2u * size;
    uint32_t at = to.off + (to.wrap != from.wrap ? size : 0u);

    return (at + round - from.off) % round;
}

static inline uint16_t pl_place_word(struct pl_place at)
{
    return (uint16_t)(at.off | (at.wrap ? PL_PACKED_WRAP : 0));
}

static inline struct pl_place pl_place_of_word(uint16_t word)
{
    return (struct pl_place){(uint16_t)(word & ~PL_PACKED_WRAP), word & PL_PACKED_WRAP};
}

/* Packed: the event suppression structure as one word, offset first. */
static inline uint32_t pl_event_word(struct pl_place at, uint16_t flags)
{
    return pl_place_word(at) | (uint32_t)flags << 16;
}

static inline unsigned pl_event_flags(uint32_t word)
{
    return word >> 16 & 3;
}

#endif
