/* The driver end's free list, and its record of what it wrote where only the driver writes. */
#include <string.h>

#include "ring/driver.h"
#include "ring/shared.h"

enum { NO_ID = UINT16_MAX };

uint16_t pl_books_take_ids(struct pl_driver_ring *ring, size_t n)
{
    uint16_t first = ring->free_head, last = first;

    while (--n > 0)
        last = ring->chain[last].next;
    ring->free_head = ring->chain[last].next;
    return first;
}

/* First in, first out: chains that are used in order then take the table in ring order. */
void pl_books_give_ids(struct pl_driver_ring *ring, uint16_t first, uint16_t last)
{
    if (ring->free_head == NO_ID)
        ring->free_head = first;
    else
        ring->chain[ring->free_tail].next = first;
    ring->chain[last].next = NO_ID;
    ring->free_tail = last;
}

void pl_books_write_desc(struct pl_driver_ring *ring, size_t at, const void *bytes, size_t len)
{
    memcpy(ring->desc_shadow + at, bytes, len);
    pl_shared_write(ring->desc + at, bytes, len);
}

void pl_books_write16(struct pl_driver_ring *ring, size_t at, uint16_t value)
{
    uint16_t word = htole16(value);

    memcpy(ring->driver_shadow + at, &word, sizeof(word));
    pl_sync_store16(ring->driver + at, value);
}

/* A packed chain's first flags would make it available: they wait until it is published. */
static bool amend_first_flags(struct pl_driver_ring *ring, size_t at, const void *bytes, size_t len)
{
    const size_t entry = sizeof(struct vring_packed_desc);
    const unsigned place = PL_PACKED_AVAIL | PL_PACKED_USED;

    if (!ring->setup.packed || len != sizeof(uint16_t) ||
        at % entry != offsetof(struct vring_packed_desc, flags))
        return false;
    for (uint64_t seq = ring->published; seq < ring->added; seq++) {
        struct pl_chain_book *chain = &ring->chain[ring->order[seq % ring->setup.size]];
        if (chain->at.off != at / entry)
            continue;
        chain->first_flags = (uint16_t)((chain->first_flags & place) | (pl_load16(bytes) & ~place));
        return true;
    }
    return false;
}

bool pl_driver_ring_amend(struct pl_driver_ring *ring, uint64_t addr, const void *bytes, size_t len)
{
    const uint64_t desc = addr - ring->setup.desc_addr, driver = addr - ring->setup.driver_addr;

    if (desc < ring->bytes.desc && len <= ring->bytes.desc - desc) {
        if (!amend_first_flags(ring, (size_t)desc, bytes, len))
            pl_books_write_desc(ring, (size_t)desc, bytes, len);
        return true;
    }
    if (driver >= ring->bytes.driver || len > ring->bytes.driver - driver)
        return false;
    memcpy(ring->driver_shadow + driver, bytes, len);
    pl_shared_write(ring->driver + driver, bytes, len);
    return true;
}

bool pl_books_same(const uint8_t *shared, const uint8_t *shadow, size_t len)
{
    uint8_t piece[256];

    while (len > 0) {
        size_t n = len < sizeof(piece) ? len : sizeof(piece);
        pl_shared_read(piece, shared, n);
        if (memcmp(piece, shadow, n) != 0)
            return false;
        shared += n;
        shadow += n;
        len -= n;
    }
    return true;
}
