/* Keeps the driver's books of a split virtqueue; each value of the device is read once and checked.
 */
#include "ring/split.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

enum { SIZE_MAX_SPLIT = 32768 };

struct pl_split_slot {
    uint16_t next;     /* of the chain, or of the free list */
    uint16_t count;    /* of a head: descriptors in its chain; 0: not available to the device */
    uint64_t writable; /* of a head: bytes that the device may write */
};

/* Where the three areas lie, counted from the ring's first byte. */
struct areas {
    size_t driver, device, end;
};

static struct areas areas_of(size_t size)
{
    const struct vring_avail *avail = NULL;
    const struct vring_used *used = NULL;
    const size_t event = sizeof(__virtio16);
    struct areas a;

    a.driver = size * sizeof(struct vring_desc);
    a.device = a.driver + sizeof(*avail) + size * sizeof(avail->ring[0]) + event;
    a.device = (a.device + VRING_USED_ALIGN_SIZE - 1) & ~(size_t)(VRING_USED_ALIGN_SIZE - 1);
    a.end = a.device + sizeof(*used) + size * sizeof(used->ring[0]) + event;
    return a;
}

void *pl_ring_at(const struct pl_ring_memory *memory, uint64_t addr, size_t len)
{
    if (addr < memory->base || addr - memory->base > memory->size ||
        memory->size - (addr - memory->base) < len)
        return NULL;
    return (uint8_t *)memory->mem + (addr - memory->base);
}

static struct vring_desc *descriptors(const struct pl_split *ring)
{
    return pl_ring_at(&ring->memory, ring->desc_addr, 0);
}

static struct vring_avail *driver_area(const struct pl_split *ring)
{
    return pl_ring_at(&ring->memory, ring->driver_addr, 0);
}

static struct vring_used *device_area(const struct pl_split *ring)
{
    return pl_ring_at(&ring->memory, ring->device_addr, 0);
}

size_t pl_split_bytes(uint16_t size)
{
    return areas_of(size).end;
}

int pl_split_init(struct pl_split *ring, const struct pl_ring_memory *memory, uint64_t at,
                  uint16_t size)
{
    struct areas a = areas_of(size);
    void *place = pl_ring_at(memory, at, a.end);

    memset(ring, 0, sizeof(*ring));
    if (size == 0 || size > SIZE_MAX_SPLIT || (size & (size - 1)) || at % VRING_DESC_ALIGN_SIZE ||
        !place)
        return -EINVAL;
    ring->slots = calloc(size, sizeof(*ring->slots));
    if (!ring->slots)
        return -ENOMEM;
    ring->memory = *memory;
    ring->size = ring->n_free = size;
    ring->desc_addr = at;
    ring->driver_addr = at + a.driver;
    ring->device_addr = at + a.device;
    for (uint16_t i = 0; i < size; i++)
        ring->slots[i].next = (uint16_t)(i + 1);
    memset(place, 0, a.end);
    return 0;
}

void pl_split_free(struct pl_split *ring)
{
    free(ring->slots);
    memset(ring, 0, sizeof(*ring));
}

/* Write one descriptor of a chain; `next` is the slot that follows where `more` is set. */
static void write_descriptor(struct pl_split *ring, uint16_t slot, const struct pl_ring_buffer *b,
                             bool more, uint16_t next)
{
    unsigned flags = (more ? VRING_DESC_F_NEXT : 0u) | (b->device_writes ? VRING_DESC_F_WRITE : 0u);
    struct vring_desc desc = {
        .addr = htole64(b->addr),
        .len = htole32(b->len),
        .flags = htole16((uint16_t)flags),
        .next = htole16(more ? next : 0),
    };
    memcpy(&descriptors(ring)[slot], &desc, sizeof(desc));
}

int pl_split_add(struct pl_split *ring, const struct pl_ring_buffer *buffers, size_t n)
{
    uint16_t head = ring->free_head, slot = head;
    uint64_t writable = 0;

    if (n == 0)
        return -EINVAL;
    if (n > ring->n_free)
        return -ENOSPC;
    for (size_t i = 0; i < n; i++) {
        uint16_t next = ring->slots[slot].next;
        write_descriptor(ring, slot, &buffers[i], i + 1 < n, next);
        writable += buffers[i].device_writes ? buffers[i].len : 0;
        if (i + 1 == n)
            ring->free_head = next;
        else
            slot = next;
    }
    ring->slots[head].count = (uint16_t)n;
    ring->slots[head].writable = writable;
    ring->n_free = (uint16_t)(ring->n_free - n);

    struct vring_avail *avail = driver_area(ring);
    avail->ring[ring->avail_idx % ring->size] = htole16(head);
    ring->avail_idx++;
    /* The device may look at the chain as soon as it sees the index. */
    __atomic_store_n(&avail->idx, htole16(ring->avail_idx), __ATOMIC_RELEASE);
    return head;
}

bool pl_split_wants_kick(const struct pl_split *ring)
{
    /* The index must be visible before the flags are read, or both ends may wait for each other. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    uint16_t flags = __atomic_load_n(&device_area(ring)->flags, __ATOMIC_RELAXED);
    return !(le16toh(flags) & VRING_USED_F_NO_NOTIFY);
}

uint16_t pl_split_kick_index(const struct pl_split *ring)
{
    return ring->avail_idx;
}

/* Give a chain's descriptors back to the free list. */
static void release_chain(struct pl_split *ring, uint16_t head)
{
    uint16_t last = head;

    for (uint16_t i = 1; i < ring->slots[head].count; i++)
        last = ring->slots[last].next;
    ring->slots[last].next = ring->free_head;
    ring->free_head = head;
    ring->n_free = (uint16_t)(ring->n_free + ring->slots[head].count);
    ring->slots[head].count = 0;
}

int pl_split_poll(struct pl_split *ring, struct pl_ring_used *out)
{
    struct vring_used *used = device_area(ring);
    uint16_t idx = le16toh(__atomic_load_n(&used->idx, __ATOMIC_ACQUIRE));
    uint16_t ahead = (uint16_t)(idx - ring->used_idx);

    if (ahead == 0)
        return 0;
    if (ahead > (uint16_t)(ring->avail_idx - ring->used_idx))
        return -EPROTO;
    const vring_used_elem_t *entry = &used->ring[ring->used_idx % ring->size];
    uint32_t head = le32toh(__atomic_load_n(&entry->id, __ATOMIC_RELAXED));
    uint32_t written = le32toh(__atomic_load_n(&entry->len, __ATOMIC_RELAXED));
    if (head >= ring->size || ring->slots[head].count == 0 || written > ring->slots[head].writable)
        return -EPROTO;
    ring->used_idx++;
    release_chain(ring, (uint16_t)head);
    out->head = (uint16_t)head;
    out->written = written;
    return 1;
}
