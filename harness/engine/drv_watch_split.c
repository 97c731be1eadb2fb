/* What a driver made available on a split ring. */
#include <stdlib.h>

#include "engine/drv_watch_private.h"

enum { ENTRY = sizeof(struct vring_desc) };
static const uint64_t BYTES_MAX = UINT64_C(1) << 32;

static uint16_t driver_word(const struct pl_watch_queue *q, size_t at)
{
    return pl_sync_load16(q->driver + at);
}

static uint16_t used_event(const struct pl_watch_queue *q)
{
    return driver_word(q, offsetof(struct vring_avail, ring) + q->setup.size * sizeof(uint16_t));
}

static unsigned event_flags(const struct pl_watch_queue *q)
{
    return pl_event_flags(pl_sync_load32(q->driver));
}

bool pl_watch_polling(const struct pl_watch_queue *q)
{
    if (q->setup.packed)
        return event_flags(q) == VRING_PACKED_EVENT_FLAG_DISABLE;
    if (!q->setup.event_idx)
        return driver_word(q, offsetof(struct vring_avail, flags)) & VRING_AVAIL_F_NO_INTERRUPT;
    uint16_t used = pl_load16(q->device + offsetof(struct vring_used, idx));
    return (uint16_t)(used_event(q) - used) >= q->n_held;
}

static void check_flags(struct pl_watch *w, struct pl_watch_queue *q)
{
    uint16_t flags = driver_word(q, offsetof(struct vring_avail, flags));
    uint16_t most = q->setup.event_idx ? 0 : VRING_AVAIL_F_NO_INTERRUPT;
    if (flags > most)
        pl_watch_broken(w, q, q->setup.event_idx ? "drv_split_flags_event" : "drv_split_flags",
                        "the available ring's flags are 0x%x", flags);
}

int pl_watch_split_ahead(struct pl_watch *w, struct pl_watch_queue *q, uint16_t *idx)
{
    *idx = driver_word(q, offsetof(struct vring_avail, idx));
    uint16_t ahead = (uint16_t)(*idx - q->next_avail), behind = (uint16_t)(q->next_avail - *idx);
    check_flags(w, q);
    if (q->fault)
        return -1;
    if (ahead + q->n_held <= q->setup.size)
        return ahead;
    if (q->renewed && !q->next_avail)
        pl_watch_broken(w, q, "drv_queue_reconfigured",
                        "the queue was reset, and its available idx begins with %u", *idx);
    else if (behind <= ahead)
        pl_watch_broken(w, q, "drv_split_idx_back", "the available idx went from %u back to %u",
                        q->next_avail, *idx);
    else
        pl_watch_broken(w, q, "drv_ring_altered",
                        "the available idx went from %u to %u with %u chains in the device's "
                        "hands: entries of %u are gone",
                        q->next_avail, *idx, q->n_held, q->setup.size);
    return -1;
}

/* One chain as it is followed. */
struct walk {
    struct pl_watch *w;
    struct pl_watch_queue *q;
    struct pl_chain_sum *sum;
    const uint8_t *table;
    uint32_t n;
    bool nested, backwards;
    uint16_t entries; /* of the ring's own table */
    uint64_t inner;   /* the address of the indirect table */
    uint32_t inner_len;
    uint8_t *inner_copy;
};

static int broken(struct walk *k, const char *predicate, const char *why, uint32_t at)
{
    pl_watch_broken(k->w, k->q, predicate, "%s%s %u %s", k->nested ? "indirect " : "", "descriptor",
                    at, why);
    return -1;
}

static int walk_table(struct walk *k, uint32_t i);

/* A descriptor that refers to an indirect table; the table is walked, too. */
static int enter(struct walk *k, const struct pl_seen_desc *d, uint32_t i)
{
    if (k->nested)
        return broken(k, "drv_split_indirect_nested", "refers to an indirect table", i);
    if (!k->q->setup.indirect)
        return broken(k, "drv_split_indirect_offered", "is indirect without VIRTIO_F_INDIRECT_DESC",
                      i);
    if (d->flags & VRING_DESC_F_NEXT)
        return broken(k, "drv_split_indirect_next", "is indirect and has a next one", i);
    k->inner_copy = pl_watch_table(k->w, d);
    if (!k->inner_copy)
        return 0;
    k->inner = d->addr;
    k->inner_len = d->len;
    k->sum->indirect = k->nested = true;
    k->table = k->inner_copy;
    k->n = d->len / ENTRY;
    return walk_table(k, 0);
}

static int check_next(struct walk *k, uint32_t i, uint32_t next)
{
    if (!k->q->setup.in_order)
        return 1;
    uint32_t want = k->nested || i + 1 < k->n ? i + 1 : 0;
    if (next == want)
        return 1;
    return broken(k, k->nested ? "drv_split_indirect_order" : "drv_split_in_order_next",
                  "is not followed by the next of its table", i);
}

static int too_long(struct walk *k)
{
    pl_watch_broken(k->w, k->q, "drv_split_long", "a chain has more descriptors than the queue");
    /* Within the ring's own table so many are a loop; it goes on and on. */
    if (!k->nested && k->sum->readable + k->sum->writable > 0)
        pl_watch_broken(k->w, k->q, "drv_split_bytes", "a chain has a loop");
    return -1;
}

/* One descriptor: 1 where the chain goes on, 0 at its end, -1 where nothing more can be said. */
static int step(struct walk *k, uint32_t i, struct pl_seen_desc *d)
{
    *d = pl_watch_desc(k->table, i);
    if (!k->nested) {
        if (k->q->held[i] == PL_HELD_YES) {
            broken(k, "drv_ring_removed",
                   "is part of another chain now, although the device may use the one before", i);
            return broken(k, "drv_ring_altered", "belongs to a chain that the device may use", i);
        }
        struct vring_desc raw = {htole64(d->addr), htole32(d->len), htole16(d->flags),
                                 htole16(d->next)};
        pl_shared_write(k->q->copy + i * (size_t)ENTRY, &raw, ENTRY);
        k->entries++;
    }
    if (d->flags & VRING_DESC_F_INDIRECT)
        return enter(k, d, i) > 0 ? 0 : -1;
    pl_watch_buffer(k->sum, d, &k->backwards);
    if (k->sum->n > k->q->setup.size)
        return too_long(k);
    if (!(d->flags & VRING_DESC_F_NEXT))
        return 0;
    k->sum->chained = true;
    return check_next(k, i, d->next);
}

/* 1 at the end of a sound chain, 0 where it cannot be followed, -1 where it breaks a rule. */
static int walk_table(struct walk *k, uint32_t i)
{
    const uint8_t *table = k->table;
    struct pl_seen_desc d;
    int r = 1;
    while (r > 0) {
        if (i >= k->n)
            return 0;
        r = step(k, i, &d);
        if (k->table != table) /* the rest was in the indirect table */
            return r == 0 ? 1 : r;
        i = d.next;
    }
    return r == 0 ? 1 : r;
}

static bool bytes_sound(struct walk *k)
{
    if (k->backwards)
        pl_watch_broken(k->w, k->q, "drv_split_direction",
                        "a device-readable buffer stands behind a device-writable one");
    if (k->sum->readable + k->sum->writable > BYTES_MAX)
        pl_watch_broken(k->w, k->q, "drv_split_bytes", "a chain is longer than 2^32 bytes");
    return !k->q->fault;
}

/* The chain is the device's from now on. */
static int keep(struct walk *k, uint16_t head)
{
    struct pl_watch_queue *q = k->q;
    struct pl_watch_chain *chain = pl_watch_add(q, head, head, k->entries);
    if (!chain)
        return -1;
    chain->seq = q->next_avail++;
    chain->table = k->inner;
    chain->table_len = k->inner_len;
    chain->table_copy = k->inner_copy;
    k->inner_copy = NULL;
    bool again = q->held[head] == PL_HELD_GIVEN;
    for (unsigned i = head, left = k->entries; left; left--) {
        q->held[i] = PL_HELD_YES;
        i = pl_watch_desc(q->copy, i).next % q->size;
    }
    q->held[head] = again ? PL_HELD_OWN : PL_HELD_YES;
    return 1;
}

int pl_watch_split_next(struct pl_watch *w, struct pl_watch_queue *q, uint16_t idx,
                        struct pl_chain_sum *sum)
{
    struct walk k = {.w = w, .q = q, .sum = sum, .table = q->desc, .n = q->setup.size};
    size_t slot = q->next_avail % q->setup.size;
    uint16_t head =
        pl_load16(q->driver + offsetof(struct vring_avail, ring) + slot * sizeof(uint16_t));
    if (idx == q->next_avail)
        return 0;
    int r = walk_table(&k, head);
    if (r > 0)
        r = bytes_sound(&k) ? keep(&k, head) : -1;
    if (r <= 0)
        q->fault = true; /* no sentence is broken where it leads out of the table or the memory */
    free(k.inner_copy);
    return r > 0 ? 1 : -1;
}
