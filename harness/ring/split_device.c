/* The device end of a split virtqueue. */
#include <errno.h>

#include "ring/device.h"
#include "ring/shared.h"

/* A descriptor, each part of it read once. */
struct descriptor {
    uint64_t addr;
    uint32_t len;
    uint16_t flags, next;
};

/* Descriptors that are linked: the table of the queue, or an indirect one. */
struct table {
    const uint8_t *at;
    uint32_t n;
    bool indirect;
};

/* An indirect table need not be aligned. */
static struct descriptor fetch(const struct table *table, uint32_t i)
{
    struct vring_desc d;

    pl_shared_read(&d, table->at + i * sizeof(d), sizeof(d));
    return (struct descriptor){le64toh(d.addr), le32toh(d.len), le16toh(d.flags), le16toh(d.next)};
}

/*
 * Follow a chain from descriptor i on. One that refers to an indirect table ends the walk with that
 * table in *inner. Each other descriptor counts as a buffer, which bounds the walk.
 */
static enum pl_ring_fault follow(struct pl_chain_walk *walk, const struct table *table, uint32_t i,
                                 struct table *inner)
{
    for (;;) {
        if (i >= table->n)
            return PL_RING_DESC_INDEX;
        struct descriptor d = fetch(table, i);
        if (d.flags & VRING_DESC_F_INDIRECT) {
            if (table->indirect || d.flags & VRING_DESC_F_NEXT)
                return PL_RING_INDIRECT;
            inner->indirect = true;
            return pl_chain_table(walk, d.addr, d.len, &inner->at, &inner->n);
        }
        enum pl_ring_fault fault = pl_chain_add(walk, d.addr, d.len, d.flags & VRING_DESC_F_WRITE);
        if (fault != PL_RING_SOUND || !(d.flags & VRING_DESC_F_NEXT))
            return fault;
        i = d.next;
    }
}

static uint16_t avail_idx(const struct pl_device_ring *ring)
{
    return pl_sync_load16(ring->driver + offsetof(struct vring_avail, idx));
}

int pl_split_take(struct pl_device_ring *ring, struct pl_chain_walk *walk,
                  enum pl_ring_fault *fault)
{
    const uint16_t size = ring->setup.size, idx = avail_idx(ring);
    const uint16_t ahead = (uint16_t)(idx - ring->next_avail);
    struct table inner = {.at = NULL};

    if (ahead > size || ahead < (uint16_t)(ring->seen_avail - ring->next_avail)) {
        *fault = PL_RING_AVAIL_INDEX;
        return -EPROTO;
    }
    ring->seen_avail = idx;
    if (ahead == 0)
        return 0;
    size_t slot = ring->next_avail % size;
    uint16_t head =
        pl_load16(ring->driver + offsetof(struct vring_avail, ring) + slot * sizeof(__virtio16));
    *fault = follow(walk, &(struct table){ring->desc, size, false}, head, &inner);
    if (*fault == PL_RING_SOUND && inner.indirect)
        *fault = follow(walk, &inner, 0, NULL);
    if (*fault != PL_RING_SOUND)
        return -EPROTO;
    ring->next_avail++;
    walk->out->id = head;
    walk->out->entries = 1;
    return 1;
}

bool pl_split_ask(struct pl_device_ring *ring)
{
    const size_t event_at =
        offsetof(struct vring_used, ring) + ring->setup.size * sizeof(vring_used_elem_t);
    /* An event just behind is as far away as the index can go. */
    uint16_t event = (uint16_t)(ring->next_avail - (ring->kicks_wanted ? 0 : 1));

    if (!ring->setup.event_idx) {
        pl_sync_store16(ring->device + offsetof(struct vring_used, flags),
                        ring->kicks_wanted ? 0 : VRING_USED_F_NO_NOTIFY);
    } else if (event != ring->avail_event) {
        ring->avail_event = event;
        pl_sync_store16(ring->device + event_at, event);
    }
    return avail_idx(ring) != ring->next_avail;
}

void pl_device_ring_noise(struct pl_device_ring *ring)
{
    const size_t event_at =
        offsetof(struct vring_used, ring) + ring->setup.size * sizeof(vring_used_elem_t);

    if (ring->setup.packed)
        return;
    if (ring->setup.event_idx)
        pl_sync_store16(ring->device + offsetof(struct vring_used, flags), VRING_USED_F_NO_NOTIFY);
    else /* an entry that is far away */
        pl_sync_store16(ring->device + event_at, (uint16_t)(ring->next_avail + UINT16_MAX / 4));
}

void pl_split_push(struct pl_device_ring *ring, const struct pl_ring_bend *bend)
{
    uint8_t *at = ring->device + offsetof(struct vring_used, ring) +
                  (size_t)(ring->next_used % ring->setup.size) * sizeof(vring_used_elem_t);

    pl_store32(at + offsetof(vring_used_elem_t, id), bend->id);
    pl_store32(at + offsetof(vring_used_elem_t, len), bend->written);
    ring->next_used = (uint16_t)(ring->next_used + bend->entries);
}

void pl_split_flush(struct pl_device_ring *ring)
{
    if (ring->pushed > 0)
        pl_sync_store16(ring->device + offsetof(struct vring_used, idx), ring->next_used);
}

bool pl_split_notify_due(const struct pl_device_ring *ring)
{
    const uint16_t size = ring->setup.size;

    if (!ring->setup.event_idx)
        return !(pl_sync_load16(ring->driver + offsetof(struct vring_avail, flags)) &
                 VRING_AVAIL_F_NO_INTERRUPT);
    uint16_t event = pl_sync_load16(ring->driver + offsetof(struct vring_avail, ring) +
                                    size * sizeof(__virtio16));
    return (uint16_t)(ring->next_used - ring->pushed - event - 1) < ring->fresh;
}
