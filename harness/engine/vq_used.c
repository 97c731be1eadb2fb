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
    const uint32_t size = ring->setup.size;
    struct pl_seen_used *seen = &ring->seen[ring->next_seen];
    *seen = (struct pl_seen_used){.place = ring->place};
    read_element(vq, ring, ring->place, &seen->id, &seen->written);
    ring->next_seen = (ring->next_seen + 1) % size;
    ring->n_seen += ring->n_seen < size;
    uint32_t entries = ring->setup.packed && !chain->table ? (uint32_t)chain->n : 1;
    for (uint32_t i = 0; i < entries; i++)
        ring->used_at[(ring->place + i) % size] = i == 0;
    ring->wrap ^= ring->place + entries >= size;
    ring->place = (ring->place + entries) % size;
}

/*
 * Of a split ring the elements ahead are the IUT's to write, as many as it holds chains; of a
 * packed ring those of which the driver has made new descriptors are forgotten.
 */
bool pl_vq_check_settled(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    enum { LAST = 64 };
    const uint32_t size = ring->setup.size;
    uint32_t n = ring->n_seen < LAST ? ring->n_seen : LAST;
    bool good = true;
    if (!ring->setup.packed && n + ring->held > size)
        n = ring->held < size ? size - ring->held : 0;
    for (uint32_t i = 1; good && !ring->setup.in_order && i <= n; i++) {
        const struct pl_seen_used *seen = &ring->seen[(ring->next_seen + size - i) % size];
        uint32_t id, written;
        read_element(vq, ring, seen->place, &id, &written);
        good = id == seen->id && written == seen->written;
    }
    if (good)
        return true;
    ring->n_seen = 0;
    pl_vq_observe(vq, ring, PL_SEEN_SETTLED, "a used element changed after it had become visible");
    return false;
}

const char pl_vq_elsewhere[] = "a chain is used at a place that is not the next one";

/* Does the place hold a used descriptor of this lap? If so, of which id. */
static bool used_now(const struct pl_vq *vq, const struct pl_vq_ring *ring, uint32_t place,
                     uint16_t *id)
{
    const unsigned both = 1u << VRING_PACKED_DESC_F_AVAIL | 1u << VRING_PACKED_DESC_F_USED;
    size_t at = (size_t)(ring->setup.desc_addr - vq->memory.ring.base);
    struct vring_packed_desc desc;
    memcpy(&desc, vq->memory.ring.mem + at + place * sizeof(desc), sizeof(desc));
    *id = le16toh(desc.id);
    return (le16toh(desc.flags) & both) == (ring->wrap ? both : 0);
}

/* Behind the next place the lap is over: what stands there is used only if that was seen. */
bool pl_vq_used_elsewhere(const struct pl_vq *vq, const struct pl_vq_ring *ring)
{
    uint16_t id;
    if (!ring->setup.packed || used_now(vq, ring, ring->place, &id))
        return false;
    for (uint32_t i = 0; i < ring->setup.size; i++) {
        if ((i < ring->place && ring->used_at[i]) || !used_now(vq, ring, i, &id))
            continue;
        const struct pl_chain *chain = id < ring->setup.size ? ring->by_id[id] : NULL;
        if (chain && chain->state == PL_CHAIN_HELD)
            return true;
    }
    return false;
}

bool pl_vq_used_again(const struct pl_vq *vq, const struct pl_vq_ring *ring)
{
    uint32_t id, written;
    if (ring->setup.in_order)
        return false;
    read_element(vq, ring, ring->place, &id, &written);
    return id < ring->setup.size && ring->was_used[id] && !ring->by_id[id];
}
