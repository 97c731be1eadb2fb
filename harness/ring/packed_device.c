/* The device end of a packed virtqueue. */
#include <errno.h>

#include "ring/device.h"
#include "ring/shared.h"

static uint8_t *entry_at(const struct pl_device_ring *ring, struct pl_place at)
{
    return ring->desc + at.off * sizeof(struct vring_packed_desc);
}

static uint16_t flags_at(const struct pl_device_ring *ring, struct pl_place at)
{
    return pl_sync_load16(entry_at(ring, at) + offsetof(struct vring_packed_desc, flags));
}

static bool available(uint16_t flags, bool wrap)
{
    return !!(flags & PL_PACKED_AVAIL) == wrap && !!(flags & PL_PACKED_USED) != wrap;
}

/* In a table only the length counts, and of the flags only WRITE. */
static enum pl_ring_fault take_table(struct pl_chain_walk *walk, uint64_t addr, uint32_t len)
{
    const uint8_t *table = NULL;
    uint32_t n = 0;
    enum pl_ring_fault fault = pl_chain_table(walk, addr, len, &table, &n);

    for (uint32_t i = 0; i < n && fault == PL_RING_SOUND; i++) {
        struct vring_packed_desc d;
        pl_shared_read(&d, table + i * sizeof(d), sizeof(d));
        fault = pl_chain_add(walk, le64toh(d.addr), le32toh(d.len),
                             le16toh(d.flags) & VRING_DESC_F_WRITE);
    }
    return fault;
}

/* Each descriptor with NEXT counts as a buffer, which bounds the walk. */
static enum pl_ring_fault take_list(struct pl_chain_walk *walk, struct pl_place at, uint16_t flags)
{
    const struct pl_device_ring *ring = walk->ring;
    struct pl_ring_chain *out = walk->out;

    for (;; flags = flags_at(ring, at)) {
        const uint8_t *desc = entry_at(ring, at);
        uint64_t addr = pl_load64(desc + offsetof(struct vring_packed_desc, addr));
        uint32_t len = pl_load32(desc + offsetof(struct vring_packed_desc, len));
        enum pl_ring_fault fault;

        out->entries++;
        out->id = pl_load16(desc + offsetof(struct vring_packed_desc, id));
        if (flags & VRING_DESC_F_INDIRECT && (out->entries > 1 || flags & VRING_DESC_F_NEXT))
            return PL_RING_INDIRECT;
        if (flags & VRING_DESC_F_INDIRECT)
            return take_table(walk, addr, len);
        fault = pl_chain_add(walk, addr, len, flags & VRING_DESC_F_WRITE);
        if (fault != PL_RING_SOUND || !(flags & VRING_DESC_F_NEXT))
            return fault;
        at = pl_place_after(at, 1, ring->setup.size);
    }
}

int pl_packed_take(struct pl_device_ring *ring, struct pl_chain_walk *walk,
                   enum pl_ring_fault *fault)
{
    uint16_t flags = flags_at(ring, ring->avail_at);

    if (!available(flags, ring->avail_at.wrap))
        return 0;
    *fault = take_list(walk, ring->avail_at, flags);
    if (*fault != PL_RING_SOUND)
        return -EPROTO;
    ring->avail_at = pl_place_after(ring->avail_at, walk->out->entries, ring->setup.size);
    return 1;
}

bool pl_packed_ask(struct pl_device_ring *ring)
{
    uint32_t word = pl_event_word((struct pl_place){0, false}, VRING_PACKED_EVENT_FLAG_DISABLE);

    if (ring->kicks_wanted)
        word = ring->setup.event_idx ? pl_event_word(ring->avail_at, VRING_PACKED_EVENT_FLAG_DESC)
                                     : VRING_PACKED_EVENT_FLAG_ENABLE;
    if (word != ring->event) {
        ring->event = word;
        pl_sync_store32(ring->device, word);
    }
    return available(flags_at(ring, ring->avail_at), ring->avail_at.wrap);
}

static void set_flags(struct pl_device_ring *ring, struct pl_place at, uint16_t flags)
{
    pl_sync_store16(entry_at(ring, at) + offsetof(struct vring_packed_desc, flags), flags);
}

/* The first used descriptor since the last flush gets its flags with the flush. */
void pl_packed_push(struct pl_device_ring *ring, const struct pl_ring_bend *bend)
{
    const struct pl_place at = ring->used_at;
    unsigned flags = bend->written ? VRING_DESC_F_WRITE : 0u;
    uint8_t *desc = entry_at(ring, at);

    if (at.wrap != bend->flip_wrap)
        flags |= PL_PACKED_AVAIL | PL_PACKED_USED;
    pl_store32(desc + offsetof(struct vring_packed_desc, len), bend->written);
    pl_store16(desc + offsetof(struct vring_packed_desc, id), (uint16_t)bend->id);
    ring->used_at = pl_place_after(at, bend->entries, ring->setup.size);
    if (bend->hide)
        return;
    if (ring->held_back) {
        set_flags(ring, at, (uint16_t)flags);
        return;
    }
    ring->held_back = true;
    ring->held_at = at;
    ring->held_flags = (uint16_t)flags;
}

void pl_packed_flush(struct pl_device_ring *ring)
{
    if (ring->held_back)
        set_flags(ring, ring->held_at, ring->held_flags);
    ring->held_back = false;
}

bool pl_packed_notify_due(const struct pl_device_ring *ring)
{
    const uint32_t word = pl_sync_load32(ring->driver);
    const unsigned flags = pl_event_flags(word);

    if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
        return false;
    if (flags != VRING_PACKED_EVENT_FLAG_DESC || !ring->setup.event_idx)
        return true;
    return pl_place_distance(ring->fresh_from, pl_place_of_word((uint16_t)word), ring->setup.size) <
           ring->fresh;
}
