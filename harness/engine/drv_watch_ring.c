/* Chains of a driver's ring, whatever the format: how they come, stand, are taken and go back. */
#include <stdlib.h>
#include <string.h>

#include "engine/drv_watch_private.h"

enum { TABLE_MAX = 1 << 20 }; /* bytes of an indirect table that are kept */

/* --- a ring's life --- */

static void drop_chain(struct pl_watch_chain *chain)
{
    free(chain->table_copy);
    free(chain);
}

void pl_watch_end(struct pl_watch_queue *q)
{
    while (q->first) {
        struct pl_watch_chain *chain = q->first;
        q->first = chain->next;
        drop_chain(chain);
    }
    free(q->copy);
    free(q->held);
    q->copy = q->held = NULL;
    q->last = NULL;
    q->followed = q->fault = q->owes = q->overdue = q->noise = false;
    q->n_held = q->n_due = 0;
    q->fresh_quiet = q->fresh_other = q->given = q->events = 0;
    q->polling = q->unannounced = q->spurious = false;
    q->waits = 0;
    q->late = false;
    q->next_avail = 0;
}

bool pl_watch_begin(struct pl_watch *w, struct pl_watch_dev *dev, struct pl_watch_queue *q)
{
    if (!w->wired || !w->memory.mem || q->size == 0 || q->size > PL_RING_SIZE_MAX)
        return false;
    const struct pl_ring_setup setup = {.packed = pl_watch_selected(dev, PL_C_F_RING_PACKED),
                                        .indirect = pl_watch_selected(dev, PL_C_F_INDIRECT_DESC),
                                        .event_idx = pl_watch_selected(dev, PL_C_F_EVENT_IDX),
                                        .in_order = pl_watch_selected(dev, PL_C_F_IN_ORDER),
                                        .size = (uint16_t)q->size,
                                        .desc_addr = q->desc_addr,
                                        .driver_addr = q->driver_addr,
                                        .device_addr = q->device_addr};
    if (pl_ring_check(&setup, &w->memory) < 0)
        return false;
    const struct pl_ring_bytes bytes = pl_ring_bytes(setup.packed, setup.size);
    q->setup = setup;
    q->desc = pl_ring_at(&w->memory, q->desc_addr, bytes.desc);
    q->driver = pl_ring_at(&w->memory, q->driver_addr, bytes.driver);
    q->device = pl_ring_at(&w->memory, q->device_addr, bytes.device);
    q->copy = calloc(q->size, sizeof(struct vring_desc));
    q->held = calloc(q->size, 1);
    if (!q->copy || !q->held) {
        pl_watch_end(q);
        return false;
    }
    q->followed = true;
    q->next = q->next_used = (struct pl_place){0, true};
    q->word = pl_watch_word(q);
    pl_watch_tell(w, q, "begin %s %u", setup.packed ? "packed" : "split", setup.size);
    if (!setup.packed)
        pl_watch_tell(w, q, "%s drv_split_used_flags_new the flags of a new used ring are not 0",
                      pl_load16(q->device + offsetof(struct vring_used, flags)) ? "broken"
                                                                                : "held");
    return true;
}

/* --- chains --- */

struct pl_seen_desc pl_watch_desc(const uint8_t *table, uint32_t i)
{
    struct vring_desc d;
    pl_shared_read(&d, table + (size_t)i * sizeof(d), sizeof(d));
    return (struct pl_seen_desc){le64toh(d.addr), le32toh(d.len), le16toh(d.flags),
                                 le16toh(d.next)};
}

void pl_watch_buffer(struct pl_chain_sum *sum, const struct pl_seen_desc *d, bool *backwards)
{
    bool writes = d->flags & VRING_DESC_F_WRITE;
    struct pl_ring_chain *kept = sum->buffers;
    *backwards |= !writes && sum->n > sum->n_readable;
    *(writes ? &sum->writable : &sum->readable) += d->len;
    sum->n++;
    sum->n_readable += !writes;
    if (kept->n < PL_RING_CHAIN_MAX) {
        kept->buffer[kept->n++] = (struct pl_ring_buffer){d->addr, d->len, writes};
        kept->n_readable += !writes;
    }
}

uint8_t *pl_watch_table(const struct pl_watch *w, const struct pl_seen_desc *d)
{
    const uint8_t *at = pl_ring_at(&w->memory, d->addr, d->len);
    if (!at || d->len == 0 || d->len % sizeof(struct vring_desc) || d->len > TABLE_MAX)
        return NULL;
    uint8_t *copy = malloc(d->len);
    if (copy)
        pl_shared_read(copy, at, d->len);
    return copy;
}

struct pl_watch_chain *pl_watch_add(struct pl_watch_queue *q, uint16_t id, uint16_t at,
                                    uint16_t entries)
{
    struct pl_watch_chain *chain = calloc(1, sizeof(*chain));
    if (!chain)
        return NULL;
    chain->id = id;
    chain->at = at;
    chain->entries = entries;
    if (q->last)
        q->last->next = chain;
    else
        q->first = chain;
    q->last = chain;
    q->n_held += q->setup.packed ? entries : 1;
    return chain;
}

/* Did descriptors come again that were used before? The driver has seen that they were. */
static bool reused(const struct pl_watch_queue *q, const struct pl_watch_chain *chain)
{
    return q->held[chain->at] == PL_HELD_OWN;
}

static int next_chain(struct pl_watch *w, struct pl_watch_queue *q, uint16_t idx,
                      struct pl_chain_sum *sum)
{
    *sum = (struct pl_chain_sum){.buffers = &w->scratch};
    w->scratch.n = w->scratch.n_readable = 0;
    return q->setup.packed ? pl_watch_packed_next(w, q, sum) : pl_watch_split_next(w, q, idx, sum);
}

/* What the chains of one look were: letters that stand for the rules which they kept. */
struct traits {
    bool indirect, chained, single, reclaimed;
};

static void tell_chains(const struct pl_watch *w, struct pl_watch_queue *q, unsigned n,
                        const struct traits *t)
{
    const char *reclaimed = !t->reclaimed ? "" : q->events ? "r" : q->polling ? "p" : "";
    pl_watch_tell(w, q, "chains %u -%s%s%s%s%s", n, t->indirect ? "i" : "", t->chained ? "n" : "",
                  t->single ? "s" : "", pl_watch_polling(q) ? "q" : "", reclaimed);
    q->given = q->events = 0;
}

unsigned pl_watch_take(struct pl_watch *w, struct pl_watch_dev *dev, struct pl_watch_queue *q,
                       bool stable)
{
    struct traits traits = {0};
    struct pl_chain_sum sum;
    uint16_t idx = 0;
    unsigned n = 0;
    int ahead = q->setup.packed ? (int)q->size : pl_watch_split_ahead(w, q, &idx), r = 0;
    for (; ahead > 0 && (r = next_chain(w, q, idx, &sum)) > 0; ahead--, n++) {
        struct pl_watch_chain *chain = q->last;
        traits.indirect |= sum.indirect;
        traits.chained |= sum.chained;
        traits.reclaimed |= reused(q, chain);
        q->held[chain->at] = PL_HELD_YES;
        pl_watch_fresh(q, chain, stable ? pl_watch_asked(q, chain) : PL_ASKED_RACE);
        pl_watch_request(w, dev, q, &sum);
    }
    traits.single = n == 1;
    if (n > 0)
        tell_chains(w, q, n, &traits);
    return n;
}

static struct pl_watch_chain *find(const struct pl_watch_queue *q, uint16_t id)
{
    for (struct pl_watch_chain *c = q->first; c; c = c->next)
        if (c->id == id)
            return c;
    return NULL;
}

void pl_watch_taken(struct pl_watch *w, struct pl_watch_queue *q, uint16_t id)
{
    (void)w;
    struct pl_watch_chain *chain = find(q, id);
    for (struct pl_watch_chain *c = q->first; chain && c; c = c->next) {
        q->n_due -= c->due;
        c->due = false;
        c->taken = true;
        if (c == chain)
            break;
    }
}

/* --- giving back --- */

static void release(struct pl_watch_queue *q, struct pl_watch_chain *chain)
{
    struct pl_watch_chain **link = &q->first, *before = NULL;
    while (*link != chain) {
        before = *link;
        link = &(*link)->next;
    }
    *link = chain->next;
    if (q->last == chain)
        q->last = before;
    q->n_due -= chain->due;
    q->n_held -= q->setup.packed ? chain->entries : 1;
    for (unsigned i = chain->at, left = chain->entries; !q->setup.packed && left; left--) {
        q->held[i] = PL_HELD_GIVEN;
        i = pl_watch_desc(q->copy, i).next;
        i = i < q->size ? i : 0;
    }
    drop_chain(chain);
}

/* Packed: the device writes at its next place, and these entries are the driver's again. */
static void release_places(struct pl_watch_queue *q, uint16_t entries)
{
    struct pl_place at = q->next_used;
    for (uint16_t i = 0; q->setup.packed && i < entries && i < q->size; i++) {
        q->held[at.off] = PL_HELD_GIVEN;
        at = pl_place_after(at, 1, q->setup.size);
    }
    q->next_used = pl_place_after(q->next_used, entries, q->setup.size);
}

void pl_watch_given(struct pl_watch *w, struct pl_watch_queue *q, uint16_t id, uint16_t entries)
{
    struct pl_watch_chain *chain = find(q, id);
    if (!chain) { /* the device is the odd one here */
        q->fault = true;
        return;
    }
    q->polling = pl_watch_polling(q);
    pl_watch_tell(w, q, "given %s%s", q->polling ? "polling" : "asking",
                  q->fresh_quiet && !q->fresh_other ? " quiet" : "");
    while (q->setup.in_order && q->first != chain)
        release(q, q->first);
    release(q, chain);
    release_places(q, entries);
    q->given++;
    q->events = 0;
    q->unannounced = true;
    if (q->spurious && !q->setup.packed)
        pl_watch_tell(w, q, "held drv_split_spurious");
    q->spurious = false;
}

/* --- comparing --- */

static bool zeroed(const uint8_t *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i])
            return false;
    return true;
}

static void tell_altered(struct pl_watch *w, struct pl_watch_queue *q, const char *what,
                         uint32_t at, bool gone)
{
    const char *form = "%s %u changed while the device may use the buffer";
    pl_watch_broken(w, q, "drv_ring_altered", form, what, at);
    if (gone)
        pl_watch_broken(w, q, "drv_ring_removed", "%s %u was taken back before the queue was reset",
                        what, at);
    if (q->spurious && !q->setup.packed)
        pl_watch_broken(w, q, "drv_split_spurious",
                        "an EVENT_USED came without a used buffer, and %s %u changed", what, at);
}

/* A packed descriptor that now belongs to the next lap was overrun, any other was changed. */
static void tell_packed(struct pl_watch *w, struct pl_watch_queue *q, const uint8_t *now,
                        const uint8_t *then, uint32_t at)
{
    const unsigned mask = PL_PACKED_AVAIL | PL_PACKED_USED;
    /* They stand where a split descriptor has `next`. */
    unsigned flags = pl_watch_desc(now, 0).next & mask, old = pl_watch_desc(then, 0).next & mask;
    bool overrun = flags == (~old & mask);
    pl_watch_broken(w, q, overrun ? "drv_packed_overrun" : "drv_packed_altered",
                    "descriptor %u was %s while it was in the device's hands", at,
                    overrun ? "made available anew" : "changed");
}

static void compare_desc(struct pl_watch *w, struct pl_watch_queue *q, uint32_t i, bool removing)
{
    const size_t n = sizeof(struct vring_desc);
    uint8_t now[sizeof(struct vring_desc)], *then = q->copy + i * n;
    pl_shared_read(now, q->desc + i * n, n);
    if (memcmp(now, then, n) == 0)
        return;
    bool gone = removing || zeroed(now, n);
    if (q->setup.packed)
        tell_packed(w, q, now, then, i);
    tell_altered(w, q, "descriptor", i, gone);
}

/* The available ring holds what it held, as far as its places were not needed again. */
static void compare_slot(struct pl_watch *w, struct pl_watch_queue *q,
                         const struct pl_watch_chain *chain, bool removing)
{
    size_t slot = chain->seq % q->setup.size;
    if (q->setup.packed || (uint16_t)(q->next_avail - chain->seq) > q->setup.size || q->fault)
        return;
    uint16_t head =
        pl_load16(q->driver + offsetof(struct vring_avail, ring) + slot * sizeof(__virtio16));
    /* Once it was taken its place may be needed again, for an entry that is not published yet. */
    if (head != chain->id && !chain->taken)
        tell_altered(w, q, "available ring entry", (uint32_t)slot, removing);
}

static void compare_table(struct pl_watch *w, struct pl_watch_queue *q,
                          const struct pl_watch_chain *chain, bool removing)
{
    uint8_t piece[256];
    const uint8_t *now =
        chain->table_copy ? pl_ring_at(&w->memory, chain->table, chain->table_len) : NULL;
    for (uint32_t at = 0; now && !q->fault && at < chain->table_len; at += sizeof(piece)) {
        size_t n = chain->table_len - at < sizeof(piece) ? chain->table_len - at : sizeof(piece);
        pl_shared_read(piece, now + at, n);
        if (memcmp(piece, chain->table_copy + at, n) != 0)
            tell_altered(w, q, "the indirect table of chain", chain->id, removing);
    }
}

void pl_watch_compare(struct pl_watch *w, struct pl_watch_queue *q, bool removing)
{
    bool any = q->first != NULL;
    for (const struct pl_watch_chain *c = q->first; c && !q->fault; c = c->next) {
        unsigned i = c->at;
        for (unsigned left = c->entries; left && !q->fault; left--) {
            if (q->held[i] == PL_HELD_YES)
                compare_desc(w, q, i, removing);
            i = q->setup.packed ? (i + 1) % q->size : pl_watch_desc(q->copy, i).next % q->size;
        }
        compare_slot(w, q, c, removing);
        compare_table(w, q, c, removing);
    }
    if (any && removing && !q->fault)
        pl_watch_tell(w, q, "held drv_ring_removed");
}
