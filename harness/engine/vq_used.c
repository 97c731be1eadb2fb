/* Used elements as they stand in the memory: whether they stay as they were seen, and whether one
 * that cannot be names a chain for the second time. */
#include <endian.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "engine/vq_private.h"

/* What is seen of the element at a place; false where that lies outside the ring. */
static void read_element(const struct pl_vq *vq, const struct pl_vq_ring *ring, uint32_t place,
                         uint32_t *id, uint32_t *written)
{
    const uint8_t *mem = vq->memory.ring.mem;
    if (ring->setup.packed) {
        struct vring_packed_desc desc;
        size_t at = (size_t)(ring->setup.desc_addr - vq->memory.ring.base);
        memcpy(&desc, mem + at + place * sizeof(desc), sizeof(desc));
        *id = le16toh(desc.id);
        *written = le32toh(desc.len);
    } else {
        struct vring_used_elem element;
        size_t at = (size_t)(ring->setup.device_addr - vq->memory.ring.base);
        at += offsetof(struct vring_used, ring) + place * sizeof(element);
        memcpy(&element, mem + at, sizeof(element));
        *id = le32toh(element.id);
        *written = le32toh(element.len);
    }
}

void pl_vq_note_used(struct pl_vq *vq, struct pl_vq_ring *ring, const struct pl_chain *chain)
{
    struct pl_seen_used *seen = &ring->seen[ring->n_seen % ring->setup.size];
    *seen = (struct pl_seen_used){.place = ring->place};
    read_element(vq, ring, ring->place, &seen->id, &seen->written);
    ring->n_seen += ring->n_seen < ring->setup.size;
    uint32_t entries = ring->setup.packed && !chain->table ? (uint32_t)chain->n : 1;
    ring->place = (ring->place + entries) % ring->setup.size;
}

void pl_vq_check_settled(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    bool good = true, any = ring->n_seen > 0 && !ring->setup.in_order;
    for (uint32_t i = 0; any && good && i < ring->n_seen; i++) {
        uint32_t id, written;
        read_element(vq, ring, ring->seen[i].place, &id, &written);
        good = id == ring->seen[i].id && written == ring->seen[i].written;
    }
    ring->n_seen = 0;
    if (any)
        pl_vq_observe(vq, ring, PL_SEEN_SETTLED,
                      good ? NULL : "a used element changed after it had become visible");
}

bool pl_vq_used_again(const struct pl_vq *vq, const struct pl_vq_ring *ring)
{
    uint32_t id, written;
    if (ring->setup.in_order)
        return false;
    read_element(vq, ring, ring->place, &id, &written);
    return id < ring->setup.size && ring->was_used[id] && !ring->by_id[id];
}
