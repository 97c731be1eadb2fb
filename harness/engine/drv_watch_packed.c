/* What a driver made available on a packed ring. */
#include <stdlib.h>

#include "engine/drv_watch_private.h"

enum { ENTRY = sizeof(struct vring_packed_desc) };

/* Of a packed descriptor the id stands before the flags. */
static struct pl_seen_desc fetch(const uint8_t *table, uint32_t i)
{
    struct vring_packed_desc d;
    pl_shared_read(&d, table + (size_t)i * ENTRY, ENTRY);
    return (struct pl_seen_desc){le64toh(d.addr), le32toh(d.len), le16toh(d.flags), le16toh(d.id)};
}

static bool available(uint16_t flags, bool wrap)
{
    return !!(flags & PL_PACKED_AVAIL) == wrap && !!(flags & PL_PACKED_USED) != wrap;
}

static void keep_desc(struct pl_watch_queue *q, uint32_t i, const struct pl_seen_desc *d)
{
    struct vring_packed_desc raw = {htole64(d->addr), htole32(d->len), htole16(d->next),
                                    htole16(d->flags)};
    pl_shared_write(q->copy + i * (size_t)ENTRY, &raw, ENTRY);
}

/* The table that a descriptor refers to. 1, 0 where it cannot be read, -1 where it breaks a rule.
 */
static int enter(struct pl_watch *w, struct pl_watch_queue *q, struct pl_chain_sum *sum,
                 const struct pl_seen_desc *d, uint8_t **copy, bool *backwards)
{
    if (!q->setup.indirect) {
        pl_watch_broken(w, q, "drv_packed_indirect_offered",
                        "a descriptor is indirect without VIRTIO_F_INDIRECT_DESC");
        return -1;
    }
    if (sum->n > 0 || d->flags & VRING_DESC_F_NEXT) {
        pl_watch_broken(w, q, "drv_packed_indirect_chained",
                        "an indirect descriptor stands in a list");
        return -1;
    }
    *copy = pl_watch_table(w, d);
    if (!*copy)
        return 0;
    sum->indirect = true;
    for (uint32_t i = 0; i < d->len / ENTRY; i++) {
        struct pl_seen_desc inner = fetch(*copy, i);
        if (inner.flags & ~VRING_DESC_F_WRITE)
            pl_watch_broken(w, q, "drv_packed_table_flags",
                            "descriptor %u of an indirect table has flags 0x%x", i, inner.flags);
        pl_watch_buffer(sum, &inner, backwards);
    }
    return q->fault ? -1 : 1;
}

/* May this place hold the next descriptor of the list? */
static bool place_free(struct pl_watch *w, struct pl_watch_queue *q, struct pl_place at,
                       const struct pl_seen_desc *d, unsigned entries)
{
    if (q->held[at.off] == PL_HELD_YES && !entries) {
        pl_watch_broken(w, q, "drv_packed_overrun",
                        "descriptor %u was made available anew while it was in the device's hands",
                        at.off);
        pl_watch_broken(w, q, "drv_ring_altered",
                        "descriptor %u changed while the device may use the buffer", at.off);
    } else if (entries + q->n_held >= q->setup.size) {
        pl_watch_broken(w, q, "drv_packed_room",
                        "a list was made available for which the ring has no room: %u descriptors "
                        "are in the device's hands",
                        q->n_held);
    } else if (!available(d->flags, at.wrap)) {
        pl_watch_broken(w, q, "drv_packed_first_last",
                        "the list was made available, and its descriptor at %u is not (flags 0x%x)",
                        at.off, d->flags);
    }
    return !q->fault;
}

/* The list that begins at the next place. Its length, or 0 where nothing more can be said. */
static unsigned walk(struct pl_watch *w, struct pl_watch_queue *q, struct pl_chain_sum *sum,
                     struct pl_seen_desc *last, uint8_t **table)
{
    struct pl_place at = q->next;
    bool backwards = false;
    unsigned entries = 0;
    do {
        struct pl_seen_desc d = fetch(q->desc, at.off);
        if (entries >= q->setup.size) {
            pl_watch_broken(w, q, "drv_packed_long", "a list is longer than the queue");
            return 0;
        }
        if (!place_free(w, q, at, &d, entries))
            return 0;
        keep_desc(q, at.off, &d);
        entries++;
        *last = d;
        if (d.flags & VRING_DESC_F_INDIRECT) {
            if (enter(w, q, sum, &d, table, &backwards) <= 0)
                return 0;
            break;
        }
        pl_watch_buffer(sum, &d, &backwards);
        at = pl_place_after(at, 1, q->setup.size);
    } while (last->flags & VRING_DESC_F_NEXT);
    sum->chained = entries > 1;
    if (backwards)
        pl_watch_broken(w, q, "drv_packed_direction",
                        "a device-readable buffer stands behind a device-writable one");
    return backwards ? 0 : entries;
}

static struct pl_watch_chain *keep(struct pl_watch_queue *q, const struct pl_seen_desc *last,
                                   unsigned entries)
{
    struct pl_place at = q->next;
    struct pl_watch_chain *chain = pl_watch_add(q, last->next, at.off, (uint16_t)entries);
    if (!chain)
        return NULL;
    chain->wrap = at.wrap;
    bool again = q->held[at.off] == PL_HELD_GIVEN;
    for (unsigned i = 0; i < entries; i++) {
        q->held[at.off] = PL_HELD_YES;
        at = pl_place_after(at, 1, q->setup.size);
    }
    q->held[chain->at] = again ? PL_HELD_OWN : PL_HELD_YES;
    q->next = at;
    return chain;
}

int pl_watch_packed_next(struct pl_watch *w, struct pl_watch_queue *q, struct pl_chain_sum *sum)
{
    const uint8_t *first = q->desc + q->next.off * (size_t)ENTRY;
    struct pl_seen_desc last = {0};
    uint8_t *table = NULL;
    if (!available(pl_sync_load16(first + offsetof(struct vring_packed_desc, flags)), q->next.wrap))
        return 0;
    unsigned entries = walk(w, q, sum, &last, &table);
    struct pl_watch_chain *chain = entries ? keep(q, &last, entries) : NULL;
    if (!chain) {
        q->fault = true;
        free(table);
        return -1;
    }
    if (table) {
        chain->table = last.addr;
        chain->table_len = last.len;
        chain->table_copy = table;
    }
    return 1;
}
