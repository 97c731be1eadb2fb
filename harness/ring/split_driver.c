/* The driver end of a split virtqueue. */
#include <errno.h>
#include <string.h>

#include "ring/driver.h"
#include "ring/shared.h"

enum { FAR = 32768 }; /* entries: no device can use more before the driver looks again */

static size_t used_event_at(const struct pl_driver_ring *ring)
{
    return offsetof(struct vring_avail, ring) + ring->setup.size * sizeof(__virtio16);
}

static size_t avail_event_at(const struct pl_driver_ring *ring)
{
    return offsetof(struct vring_used, ring) + ring->setup.size * sizeof(vring_used_elem_t);
}

static uint16_t used_idx(const struct pl_driver_ring *ring)
{
    return pl_sync_load16(ring->device + offsetof(struct vring_used, idx));
}

static struct vring_desc describe(const struct pl_ring_buffer *buffer, bool more, uint16_t next)
{
    unsigned flags =
        (more ? VRING_DESC_F_NEXT : 0u) | (buffer->device_writes ? VRING_DESC_F_WRITE : 0u);

    return (struct vring_desc){
        .addr = htole64(buffer->addr),
        .len = htole32(buffer->len),
        .flags = htole16((uint16_t)flags),
        .next = htole16(more ? next : 0),
    };
}

static void write_table(struct pl_driver_ring *ring, const struct pl_ring_buffer *buffers, size_t n,
                        uint64_t table)
{
    uint8_t *at = pl_ring_at(&ring->memory, table, n * sizeof(struct vring_desc));

    for (size_t i = 0; i < n; i++) {
        struct vring_desc desc = describe(&buffers[i], i + 1 < n, (uint16_t)(i + 1));
        pl_shared_write(at + i * sizeof(desc), &desc, sizeof(desc));
    }
}

/* One descriptor for the table, or one for each buffer; the last is what was returned. */
static uint16_t write_entries(struct pl_driver_ring *ring, uint16_t id,
                              const struct pl_ring_buffer *buffers, size_t n, uint64_t table)
{
    struct vring_desc desc = {
        .addr = htole64(table),
        .len = htole32((uint32_t)(n * sizeof(desc))),
        .flags = htole16(VRING_DESC_F_INDIRECT),
    };

    if (table) {
        pl_books_write_desc(ring, id * sizeof(desc), &desc, sizeof(desc));
        return id;
    }
    for (size_t i = 0;; i++) {
        uint16_t next = ring->chain[id].next;
        desc = describe(&buffers[i], i + 1 < n, next);
        pl_books_write_desc(ring, id * sizeof(desc), &desc, sizeof(desc));
        if (i + 1 == n)
            return id;
        id = next;
    }
}

int pl_split_write(struct pl_driver_ring *ring, const struct pl_ring_buffer *buffers, size_t n,
                   uint64_t table)
{
    uint16_t head = pl_books_take_ids(ring, table ? 1 : n);
    size_t slot = ring->added % ring->setup.size;

    if (table)
        write_table(ring, buffers, n, table);
    ring->chain[head].last = write_entries(ring, head, buffers, n, table);
    pl_books_write16(ring, offsetof(struct vring_avail, ring) + slot * sizeof(__virtio16), head);
    return head;
}

void pl_split_publish(struct pl_driver_ring *ring)
{
    pl_books_write16(ring, offsetof(struct vring_avail, idx), (uint16_t)ring->added);
}

bool pl_split_kick_due(struct pl_driver_ring *ring)
{
    if (!ring->setup.event_idx)
        return !(pl_sync_load16(ring->device + offsetof(struct vring_used, flags)) &
                 VRING_USED_F_NO_NOTIFY);
    uint16_t event = pl_sync_load16(ring->device + avail_event_at(ring));
    return (uint16_t)((uint16_t)ring->published - event - 1) < ring->fresh_chains;
}

int pl_split_look(struct pl_driver_ring *ring, struct pl_used_entry *entry,
                  enum pl_ring_fault *fault)
{
    const uint16_t idx = used_idx(ring), taken = (uint16_t)ring->used;
    const uint16_t ahead = (uint16_t)(idx - taken);

    if (ahead < (uint16_t)(ring->seen_idx - taken) || ahead > ring->published - ring->used) {
        *fault = PL_RING_USED_INDEX;
        return -EPROTO;
    }
    ring->seen_idx = idx;
    if (ahead == 0)
        return 0;
    const uint8_t *at = ring->device + offsetof(struct vring_used, ring) +
                        ring->used % ring->setup.size * sizeof(vring_used_elem_t);
    entry->id = pl_load32(at + offsetof(vring_used_elem_t, id));
    entry->written = pl_load32(at + offsetof(vring_used_elem_t, len));
    entry->covers = ahead;
    return 1;
}

static void set_event(struct pl_driver_ring *ring, uint16_t event)
{
    ring->event = event;
    pl_books_write16(ring, used_event_at(ring), event);
}

/* Keep ALWAYS and NEVER true as the index moves on. */
static void follow_event(struct pl_driver_ring *ring)
{
    const uint16_t taken = (uint16_t)ring->used;

    if (ring->when == PL_RING_NOTIFY_NEVER && (uint16_t)(ring->event - taken) < FAR)
        set_event(ring, (uint16_t)(taken - 1));
    if (ring->when != PL_RING_NOTIFY_ALWAYS || ring->seen_idx != taken)
        return;
    set_event(ring, taken);
    if (pl_split_pending(ring))
        ring->vague = true;
}

void pl_split_release(struct pl_driver_ring *ring, uint16_t id)
{
    pl_books_give_ids(ring, id, ring->chain[id].last);
    if (ring->setup.event_idx)
        follow_event(ring);
}

bool pl_split_arm(struct pl_driver_ring *ring, uint16_t ahead)
{
    const bool never = ring->when == PL_RING_NOTIFY_NEVER;
    const size_t at =
        ring->setup.event_idx ? used_event_at(ring) : offsetof(struct vring_avail, flags);
    uint16_t word = never ? VRING_AVAIL_F_NO_INTERRUPT : 0, before;

    memcpy(&before, ring->driver_shadow + at, sizeof(before));
    if (ring->setup.event_idx) {
        int from_taken = never ? -1 : ring->when == PL_RING_NOTIFY_AT ? ahead : 0;
        word = ring->event = (uint16_t)(ring->used + (uint64_t)from_taken);
    }
    pl_books_write16(ring, at, word);
    return word != le16toh(before);
}

bool pl_split_pending(const struct pl_driver_ring *ring)
{
    return used_idx(ring) != (uint16_t)ring->used;
}

enum pl_ring_due pl_split_due(const struct pl_driver_ring *ring)
{
    bool due = ring->setup.event_idx ? (uint16_t)ring->used == ring->event
                                     : ring->when == PL_RING_NOTIFY_ALWAYS;

    return due ? PL_RING_DUE : PL_RING_QUIET;
}

bool pl_split_intact(const struct pl_driver_ring *ring, const char **what)
{
    *what = "the available ring";
    if (!pl_books_same(ring->driver, ring->driver_shadow, ring->bytes.driver))
        return false;
    *what = "the descriptor table";
    return pl_books_same(ring->desc, ring->desc_shadow, ring->bytes.desc);
}
