/* The driver end of a packed virtqueue. */
#include <errno.h>
#include <string.h>

#include "ring/driver.h"
#include "ring/shared.h"

static size_t entry_at(struct pl_place at)
{
    return at.off * sizeof(struct vring_packed_desc);
}

static struct vring_packed_desc describe(uint64_t addr, uint32_t len, uint16_t id, unsigned flags)
{
    return (struct vring_packed_desc){
        .addr = htole64(addr),
        .len = htole32(len),
        .id = htole16(id),
        .flags = htole16((uint16_t)flags),
    };
}

static unsigned write_flag(const struct pl_ring_buffer *buffer)
{
    return buffer->device_writes ? VRING_DESC_F_WRITE : 0u;
}

static void write_table(struct pl_driver_ring *ring, const struct pl_ring_buffer *buffers, size_t n,
                        uint64_t table)
{
    uint8_t *at = pl_ring_at(&ring->memory, table, n * sizeof(struct vring_packed_desc));

    for (size_t i = 0; i < n; i++) {
        struct vring_packed_desc desc =
            describe(buffers[i].addr, buffers[i].len, 0, write_flag(&buffers[i]));
        pl_shared_write(at + i * sizeof(desc), &desc, sizeof(desc));
    }
}

/* Write the next descriptor; the first of a chain keeps its old flags until it is published. */
static void write_entry(struct pl_driver_ring *ring, struct pl_chain_book *chain, bool first,
                        const struct vring_packed_desc *desc)
{
    struct vring_packed_desc d = *desc;
    const struct pl_place at = ring->next_add;
    unsigned flags = le16toh(d.flags) | (at.wrap ? PL_PACKED_AVAIL : PL_PACKED_USED);

    d.flags = htole16((uint16_t)flags);
    if (first)
        chain->first_flags = (uint16_t)flags;
    pl_books_write_desc(ring, entry_at(at), &d,
                        first ? offsetof(struct vring_packed_desc, flags) : sizeof(d));
    ring->next_add = pl_place_after(at, 1, ring->setup.size);
}

int pl_packed_write(struct pl_driver_ring *ring, const struct pl_ring_buffer *buffers, size_t n,
                    uint64_t table)
{
    uint16_t id = pl_books_take_ids(ring, 1);
    struct pl_chain_book *chain = &ring->chain[id];
    struct vring_packed_desc desc;

    chain->at = ring->next_add;
    if (table) {
        write_table(ring, buffers, n, table);
        desc = describe(table, (uint32_t)(n * sizeof(desc)), id, VRING_DESC_F_INDIRECT);
        write_entry(ring, chain, true, &desc);
        return id;
    }
    for (size_t i = 0; i < n; i++) {
        unsigned flags = write_flag(&buffers[i]) | (i + 1 < n ? VRING_DESC_F_NEXT : 0u);
        desc = describe(buffers[i].addr, buffers[i].len, id, flags);
        write_entry(ring, chain, i == 0, &desc);
    }
    return id;
}

/* Backwards: with the first chain the device sees all of them. */
void pl_packed_publish(struct pl_driver_ring *ring)
{
    for (uint64_t seq = ring->added; seq-- > ring->published;) {
        const struct pl_chain_book *chain = &ring->chain[ring->order[seq % ring->setup.size]];
        size_t at = entry_at(chain->at) + offsetof(struct vring_packed_desc, flags);
        uint16_t word = htole16(chain->first_flags);
        memcpy(ring->desc_shadow + at, &word, sizeof(word));
        pl_sync_store16(ring->desc + at, chain->first_flags);
    }
}

bool pl_packed_kick_due(struct pl_driver_ring *ring)
{
    const uint16_t size = ring->setup.size;
    const uint32_t word = pl_sync_load32(ring->device);
    const unsigned flags = pl_event_flags(word);

    if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
        return false;
    if (flags != VRING_PACKED_EVENT_FLAG_DESC || !ring->setup.event_idx)
        return true;
    return pl_place_distance(ring->kicked_at, pl_place_of_word((uint16_t)word), size) <
           ring->fresh_entries;
}

static uint16_t next_flags(const struct pl_driver_ring *ring)
{
    return pl_sync_load16(ring->desc + entry_at(ring->next_used) +
                          offsetof(struct vring_packed_desc, flags));
}

/* The bits that an entry of this lap has: once used, and while it is available. */
static unsigned used_bits(const struct pl_driver_ring *ring)
{
    return ring->next_used.wrap ? PL_PACKED_AVAIL | PL_PACKED_USED : 0u;
}

static unsigned avail_bits(const struct pl_driver_ring *ring)
{
    return ring->next_used.wrap ? PL_PACKED_AVAIL : PL_PACKED_USED;
}

int pl_packed_look(struct pl_driver_ring *ring, struct pl_used_entry *entry,
                   enum pl_ring_fault *fault)
{
    const uint16_t flags = next_flags(ring);
    const unsigned bits = flags & (unsigned)(PL_PACKED_AVAIL | PL_PACKED_USED);
    const uint64_t held = ring->published - ring->used;

    if (bits != used_bits(ring)) {
        if (held == 0 || bits == avail_bits(ring))
            return 0;
        *fault = PL_RING_USED_FLAGS;
        return -EPROTO;
    }
    const uint8_t *at = ring->desc + entry_at(ring->next_used);
    entry->id = pl_load16(at + offsetof(struct vring_packed_desc, id));
    entry->written = 0;
    if (flags & VRING_DESC_F_WRITE)
        entry->written = pl_load32(at + offsetof(struct vring_packed_desc, len));
    entry->covers = held;
    return 1;
}

void pl_packed_release(struct pl_driver_ring *ring, uint16_t id)
{
    const size_t at = entry_at(ring->next_used);

    /* The device could overwrite this entry; from here on it may not. */
    pl_shared_read(ring->desc_shadow + at, ring->desc + at, sizeof(struct vring_packed_desc));
    ring->next_used = pl_place_after(ring->next_used, ring->chain[id].entries, ring->setup.size);
    pl_books_give_ids(ring, id, id);
}

/* The place of the chain so many chains on, in the order in which they were made available. */
static struct pl_place place_ahead(const struct pl_driver_ring *ring, uint16_t ahead)
{
    const uint16_t size = ring->setup.size;
    uint32_t entries = 0;
    uint64_t seq = ring->added > size ? ring->added - size : 0;

    for (; ahead > 0 && seq < ring->added; seq++) {
        const struct pl_chain_book *chain = &ring->chain[ring->order[seq % size]];
        if (chain->state == PL_CHAIN_FREE || chain->seq != seq)
            continue;
        entries += chain->entries;
        ahead--;
    }
    entries += ahead;
    /* Further on, one lap could not be told from the other. */
    return pl_place_after(ring->next_used, entries < size ? entries : size, size);
}

bool pl_packed_arm(struct pl_driver_ring *ring, uint16_t ahead)
{
    uint32_t word = VRING_PACKED_EVENT_FLAG_ENABLE;

    if (ring->when == PL_RING_NOTIFY_AT) {
        ring->event_at = place_ahead(ring, ahead);
        word = pl_event_word(ring->event_at, VRING_PACKED_EVENT_FLAG_DESC);
    } else if (ring->when == PL_RING_NOTIFY_NEVER) {
        word = pl_event_word((struct pl_place){0, false}, VRING_PACKED_EVENT_FLAG_DISABLE);
    }
    uint32_t shadow = htole32(word);
    bool changed = memcmp(ring->driver_shadow, &shadow, sizeof(shadow)) != 0;
    memcpy(ring->driver_shadow, &shadow, sizeof(shadow));
    pl_sync_store32(ring->driver, word);
    return changed;
}

bool pl_packed_pending(const struct pl_driver_ring *ring)
{
    return (next_flags(ring) & (unsigned)(PL_PACKED_AVAIL | PL_PACKED_USED)) == used_bits(ring);
}

enum pl_ring_due pl_packed_due(const struct pl_driver_ring *ring, uint16_t entries, bool written)
{
    if (ring->when == PL_RING_NOTIFY_ALWAYS)
        return PL_RING_DUE;
    if (ring->when == PL_RING_NOTIFY_NEVER)
        return PL_RING_QUIET;
    uint32_t away = pl_place_distance(ring->next_used, ring->event_at, ring->setup.size);
    if (away == 0 && written)
        return PL_RING_DUE;
    return away < entries ? PL_RING_EITHER : PL_RING_QUIET;
}
