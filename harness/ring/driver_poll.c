/* The driver end takes what the device used, and reckons what the device must notify of. */
#include <errno.h>

#include "ring/driver.h"

/* An entry against the books; nothing of them has changed yet. */
static enum pl_ring_fault judge_entry(const struct pl_driver_ring *ring,
                                      const struct pl_used_entry *entry)
{
    if (entry->id >= ring->setup.size || ring->chain[entry->id].state != PL_CHAIN_HELD)
        return PL_RING_USED_ID;
    const struct pl_chain_book *chain = &ring->chain[entry->id];
    if (ring->setup.in_order && chain->seq - ring->used >= entry->covers)
        return PL_RING_USED_ORDER;
    if (entry->written > chain->writable)
        return PL_RING_USED_LEN;
    return PL_RING_SOUND;
}

static void reckon_due(struct pl_driver_ring *ring, uint16_t entries, bool first)
{
    enum pl_ring_due due =
        ring->setup.packed ? pl_packed_due(ring, entries, first) : pl_split_due(ring);

    if (ring->vague)
        due = PL_RING_EITHER;
    if (due > ring->due)
        ring->due = due;
}

/* Take one chain of the entry at hand: in order those that it implies, then the one it names. */
static int take(struct pl_driver_ring *ring, bool first, struct pl_ring_used *out)
{
    struct pl_chain_book *chain;

    out->implied = --ring->left > 0;
    out->id = out->implied ? ring->order[ring->used % ring->setup.size] : (uint16_t)ring->entry.id;
    out->written = out->implied ? 0 : ring->entry.written;
    chain = &ring->chain[out->id];
    reckon_due(ring, chain->entries, first);
    chain->state = PL_CHAIN_FREE;
    ring->room += chain->entries;
    ring->used++;
    if (ring->setup.packed)
        pl_packed_release(ring, out->id);
    else
        pl_split_release(ring, out->id);
    return 1;
}

int pl_driver_ring_poll(struct pl_driver_ring *ring, struct pl_ring_used *out,
                        enum pl_ring_fault *fault)
{
    struct pl_used_entry entry;

    *fault = PL_RING_SOUND;
    if (ring->left > 0)
        return take(ring, false, out);
    int code = ring->setup.packed ? pl_packed_look(ring, &entry, fault)
                                  : pl_split_look(ring, &entry, fault);
    if (code == 0)
        ring->vague = false;
    if (code <= 0)
        return code;
    *fault = judge_entry(ring, &entry);
    if (*fault != PL_RING_SOUND)
        return -EPROTO;
    ring->entry = entry;
    ring->left = ring->setup.in_order ? ring->chain[entry.id].seq - ring->used + 1 : 1;
    return take(ring, true, out);
}

void pl_driver_ring_notify(struct pl_driver_ring *ring, enum pl_ring_notify when, uint16_t ahead)
{
    if (when == PL_RING_NOTIFY_AT && !ring->setup.event_idx)
        when = PL_RING_NOTIFY_ALWAYS;
    ring->when = when;
    if (!(ring->setup.packed ? pl_packed_arm(ring, ahead) : pl_split_arm(ring, ahead)))
        return;
    /* What is used already may have been used under the old setting or under this one. */
    if (ring->left > 0 || (ring->setup.packed ? pl_packed_pending(ring) : pl_split_pending(ring)))
        ring->vague = true;
}

enum pl_ring_due pl_driver_ring_due(struct pl_driver_ring *ring)
{
    enum pl_ring_due due = ring->due;

    ring->due = PL_RING_QUIET;
    return due;
}
