/* Looking at rings: what the IUT gave back, what it may not have written, and the moment from which
 * it must leave everything alone. */
#include <endian.h>
#include <stdio.h>
#include <string.h>

#include "engine/vq_private.h"

/* The catalogue's names; the oracle knows their counterparts for packed rings. */
static const char *const seen_name[] = {
    [PL_SEEN_READABLE] = "ring_wrote_readable",
    [PL_SEEN_DESC] = "ring_wrote_desc",
    [PL_SEEN_DRIVER] = "ring_wrote_avail",
    [PL_SEEN_BEYOND] = "ring_wrote_beyond",
    [PL_SEEN_WRITTEN] = "ring_len_written",
    [PL_SEEN_LEN] = "ring_used_len",
    [PL_SEEN_INDEX] = "ring_used_index",
    [PL_SEEN_ID] = "ring_used_id",
    [PL_SEEN_ONCE] = "ring_used_once",
    [PL_SEEN_FLAGS] = "ring_used_flags",
    [PL_SEEN_FLAGS_EVENT] = "ring_used_flags_event",
    [PL_SEEN_USED_FLAGS] = "ring_packed_flags",
    [PL_SEEN_ORDER] = "ring_order",
    [PL_SEEN_SETTLED] = "ring_used_settled",
};

void pl_vq_observe(struct pl_vq *vq, const struct pl_vq_ring *ring, enum pl_seen what,
                   const char *text)
{
    const char *name = what != PL_SEEN_STOPPED          ? seen_name[what]
                       : ring->stopped == PL_STOP_RESET ? "io_after_reset"
                                                        : "io_after_queue_reset";
    pl_session_tell(vq->s, "ring %u %u %s %s%s%s", ring->dev_num, ring->queue,
                    text ? "broken" : "held", name, text ? " " : "", text ? text : "");
}

static size_t offset_of(const struct pl_vq *vq, uint64_t addr)
{
    return (size_t)(addr - vq->memory.ring.base);
}

/* --- one chain's memory --- */

static bool within(const struct pl_vq *vq, const struct pl_chain *chain, size_t where)
{
    for (size_t i = 0; i < chain->n; i++) {
        size_t at = offset_of(vq, chain->buffer[i].addr);
        if (!chain->buffer[i].device_writes && where >= at && where - at < chain->buffer[i].len)
            return true;
    }
    return false;
}

/* What a change at `where` of a chain's block is. */
static void tell_write(struct pl_vq *vq, const struct pl_vq_ring *ring,
                       const struct pl_chain *chain, size_t where)
{
    char text[160];
    size_t table = chain->table ? offset_of(vq, chain->table) : 0;
    bool in_table = table && where >= table && where - table < pl_ring_table_bytes(chain->n);
    enum pl_seen seen = in_table                   ? PL_SEEN_DESC
                        : within(vq, chain, where) ? PL_SEEN_READABLE
                                                   : PL_SEEN_BEYOND;
    const char *what = in_table                   ? "the indirect table"
                       : within(vq, chain, where) ? "a device-readable buffer"
                                                  : "memory beside the buffers";
    snprintf(text, sizeof(text), "%s of chain %u changed at address 0x%llx", what, chain->id,
             (unsigned long long)(vq->memory.ring.base + where));
    pl_vq_observe(vq, ring, seen, text);
}

/* Everything of a chain's block but, where it is `held`, what the IUT may write. */
static bool check_chain(struct pl_vq *vq, const struct pl_vq_ring *ring,
                        const struct pl_chain *chain, bool held)
{
    size_t at = chain->block.at, where = 0, end = chain->block.at + chain->block.len;
    bool good = true;
    for (size_t i = 0; held && good && i < chain->n; i++) {
        if (!chain->buffer[i].device_writes)
            continue;
        size_t from = offset_of(vq, chain->buffer[i].addr);
        good = pl_vq_same(&vq->memory, at, from - at, &where);
        at = from + chain->buffer[i].len;
    }
    good = good && pl_vq_same(&vq->memory, at, end - at, &where);
    if (good)
        return true;
    tell_write(vq, ring, chain, where);
    pl_vq_freeze(&vq->memory, chain->block.at, chain->block.len); /* told once */
    return false;
}

/* The IUT says that it wrote so much: is any of these buffers as it was, at the end of that? */
static void check_written(struct pl_vq *vq, struct pl_vq_ring *ring, const struct pl_chain *chain)
{
    enum { ENOUGH = 16 }; /* bytes that no chance leaves alike */
    size_t left = chain->written, where = 0;
    for (size_t i = 0; i < chain->n && left; i++) {
        if (!chain->buffer[i].device_writes)
            continue;
        size_t len = chain->buffer[i].len < left ? chain->buffer[i].len : left;
        size_t end = offset_of(vq, chain->buffer[i].addr) + len;
        left -= len;
        if (len < ENOUGH)
            continue;
        ring->measured = true;
        if (pl_vq_same(&vq->memory, end - ENOUGH, ENOUGH, &where))
            pl_vq_observe(vq, ring, PL_SEEN_WRITTEN,
                          "bytes that were written, as it says, are as they were");
    }
}

static void freeze_written(struct pl_vq *vq, const struct pl_chain *chain)
{
    for (size_t i = 0; i < chain->n; i++)
        if (chain->buffer[i].device_writes)
            pl_vq_freeze(&vq->memory, offset_of(vq, chain->buffer[i].addr), chain->buffer[i].len);
}

/* --- used chains --- */

/* Chains that nobody can speak of any more are freed: used, without a name, and not the last. */
static void tidy(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    for (struct pl_chain **at = &ring->done; *at;) {
        struct pl_chain *chain = *at;
        if (chain->name || chain == ring->last) {
            at = &chain->next;
            continue;
        }
        *at = chain->next;
        pl_vq_chain_free(vq, chain);
    }
}

static void take_back(struct pl_vq *vq, struct pl_vq_ring *ring, const struct pl_ring_used *used,
                      enum pl_ring_due due)
{
    static const char *const word[] = {
        [PL_RING_QUIET] = "quiet", [PL_RING_EITHER] = "may", [PL_RING_DUE] = "due"};
    struct pl_chain *chain = used->id < ring->setup.size ? ring->by_id[used->id] : NULL;
    vq->served = true;
    ring->used++;
    ring->touched = true;
    pl_session_tell(vq->s, "ring %u %u used %u %u %s", ring->dev_num, ring->queue, used->id,
                    used->written, word[due]);
    if (!chain || chain->state != PL_CHAIN_HELD)
        return;
    pl_vq_note_used(vq, ring, chain);
    ring->by_id[used->id] = NULL;
    ring->was_used[used->id] = true;
    ring->held--;
    chain->state = PL_CHAIN_USED;
    chain->written = used->written;
    check_chain(vq, ring, chain, true);
    if (!used->implied)
        check_written(vq, ring, chain);
    freeze_written(vq, chain);
    chain->next = ring->done;
    ring->done = chain;
    ring->last = chain;
}

static const enum pl_seen fault_seen[PL_RING_FAULTS] = {
    [PL_RING_SOUND] = PL_SEEN_ID,
    [PL_RING_USED_INDEX] = PL_SEEN_INDEX,
    [PL_RING_USED_ID] = PL_SEEN_ID,
    [PL_RING_USED_LEN] = PL_SEEN_LEN,
    [PL_RING_USED_FLAGS] = PL_SEEN_USED_FLAGS,
    [PL_RING_USED_ORDER] = PL_SEEN_ORDER,
};

static void tell_fault(struct pl_vq *vq, struct pl_vq_ring *ring, enum pl_ring_fault fault)
{
    enum pl_seen seen = fault_seen[fault < PL_RING_FAULTS ? fault : PL_RING_SOUND];
    if (seen == PL_SEEN_ID && pl_vq_used_again(vq, ring))
        pl_vq_observe(vq, ring, PL_SEEN_ONCE, "a chain was used that had been used before");
    else
        pl_vq_observe(vq, ring, seen, pl_ring_fault_text(fault));
    pl_vq_drop(vq, ring);
}

/* All that is used now; the number of chains, or -EPROTO. `open`: what was asked for changed
 * meanwhile, so that none of it must be announced. */
static int poll_all(struct pl_vq *vq, struct pl_vq_ring *ring, bool open)
{
    struct pl_ring_used used;
    enum pl_ring_fault fault = PL_RING_SOUND;
    int n = 0, r;
    while ((r = pl_driver_ring_poll(ring->ring, &used, &fault)) > 0) {
        enum pl_ring_due due = pl_driver_ring_due(ring->ring);
        take_back(vq, ring, &used, open && due == PL_RING_DUE ? PL_RING_EITHER : due);
        n++;
    }
    if (r < 0)
        tell_fault(vq, ring, fault);
    return r < 0 ? r : n;
}

void pl_vq_arm(struct pl_vq_ring *ring, uint16_t ahead)
{
    bool by_index = ring->setup.event_idx && !ring->setup.packed;
    enum pl_ring_notify when =
        by_index && ring->when == PL_RING_NOTIFY_ALWAYS ? PL_RING_NOTIFY_AT : ring->when;
    pl_driver_ring_notify(ring->ring, when, ring->when == PL_RING_NOTIFY_AT ? ahead : 0);
    ring->armed = ring->used;
}

/*
 * With event indexes each announcement is asked for anew; but not before the last one came, since
 * the IUT looks at the index some time after it used the buffer.
 */
static bool arm_again(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    if (!ring->setup.event_idx || ring->setup.packed || ring->when != PL_RING_NOTIFY_ALWAYS ||
        ring->armed == ring->used || pl_oracle_used_owed(vq->s->oracle))
        return false;
    pl_vq_arm(ring, 0);
    return true;
}

void pl_vq_look(struct pl_vq *vq, struct pl_vq_ring *ring, bool open)
{
    bool event = ring->events != ring->events_looked;
    while (ring->ring && poll_all(vq, ring, open) >= 0 && arm_again(vq, ring))
        open = true; /* what was used meanwhile may be announced or not */
    ring->events_looked = ring->events;
    if (ring->told && (event || ring->touched))
        pl_session_tell(vq->s, "ring %u %u looked", ring->dev_num, ring->queue);
    ring->touched = false;
    tidy(vq, ring);
}

/* --- the whole of a ring's memory --- */

/* The guards around the parts. */
static bool check_guards(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    struct pl_vq_memory *m = &vq->memory;
    size_t end = ring->at + ring->len, where = 0;
    char text[128];
    if (pl_vq_same(m, ring->block.at, ring->at - ring->block.at, &where) &&
        pl_vq_same(m, end, ring->block.at + ring->block.len - end, &where))
        return true;
    snprintf(text, sizeof(text), "memory beside the ring changed at address 0x%llx",
             (unsigned long long)(m->ring.base + where));
    pl_vq_observe(vq, ring, PL_SEEN_BEYOND, text);
    pl_vq_freeze(m, ring->block.at, ring->block.len);
    return false;
}

/* What only the driver writes of the ring. */
static void check_parts(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    const char *what = NULL;
    char text[160];
    bool intact = pl_driver_ring_intact(ring->ring, &what);
    bool desc = what && strstr(what, "descriptor");
    snprintf(text, sizeof(text), "%s was written", what ? what : "the ring");
    if (!intact && desc && pl_vq_used_elsewhere(vq, ring)) {
        pl_vq_observe(vq, ring, PL_SEEN_INDEX, pl_vq_elsewhere);
        pl_vq_drop(vq, ring);
        return;
    }
    if (intact || !desc)
        pl_vq_observe(vq, ring, PL_SEEN_DESC, NULL);
    if (intact || desc)
        pl_vq_observe(vq, ring, PL_SEEN_DRIVER, NULL);
    if (!intact)
        pl_vq_observe(vq, ring, desc ? PL_SEEN_DESC : PL_SEEN_DRIVER, text);
    if (!intact)
        pl_vq_drop(vq, ring);
}

/* What the device asks of the driver: flags of a split ring's device area, or the packed ring's
 * event suppression structure. */
static void check_device_area(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    char text[96];
    const struct pl_ring_setup *setup = &ring->setup;
    const void *at =
        pl_ring_at(&vq->memory.ring, setup->device_addr + (setup->packed ? sizeof(uint16_t) : 0),
                   sizeof(uint16_t));
    uint16_t flags, most = setup->packed ? (setup->event_idx ? 2 : 1) : setup->event_idx ? 0 : 1;
    memcpy(&flags, at, sizeof(flags));
    flags = le16toh(flags);
    enum pl_seen seen = setup->event_idx ? PL_SEEN_FLAGS_EVENT : PL_SEEN_FLAGS;
    snprintf(text, sizeof(text), "the flags of the device area are 0x%x", flags);
    pl_vq_observe(vq, ring, seen, flags > most ? text : NULL);
}

/* Chains that the IUT holds; or, once it has stopped, that it held. */
static bool check_held(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    bool good = true;
    for (unsigned i = 0, left = ring->held; left && i < ring->setup.size; i++) {
        struct pl_chain *chain = ring->by_id[i];
        if (!chain || chain->state != PL_CHAIN_HELD)
            continue;
        left--;
        good &= check_chain(vq, ring, chain, true);
    }
    return good;
}

static bool check_stopped(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    struct pl_vq_memory *m = &vq->memory;
    size_t where = 0;
    char text[128];
    bool good = pl_vq_same(m, ring->block.at, ring->block.len, &where);
    for (unsigned i = 0, left = ring->held; good && left && i < ring->setup.size; i++) {
        struct pl_chain *chain = ring->by_id[i];
        if (!chain || chain->state != PL_CHAIN_HELD)
            continue;
        left--;
        good = pl_vq_same(m, chain->block.at, chain->block.len, &where);
    }
    for (struct pl_chain *chain = ring->done; good && chain; chain = chain->next)
        good = pl_vq_same(m, chain->block.at, chain->block.len, &where);
    snprintf(text, sizeof(text), "memory of the stopped queue changed at address 0x%llx",
             (unsigned long long)(m->ring.base + where));
    pl_vq_observe(vq, ring, PL_SEEN_STOPPED, good ? NULL : text);
    if (!good) /* told once */
        pl_vq_freeze(m, where / PL_UNIT * PL_UNIT, PL_UNIT);
    return good;
}

/* What each used chain was held against when it was taken. */
static void tell_sound(struct pl_vq *vq, struct pl_vq_ring *ring, bool memory, bool settled)
{
    static const enum pl_seen each[] = {PL_SEEN_LEN, PL_SEEN_INDEX, PL_SEEN_ID, PL_SEEN_ONCE};
    for (size_t i = 0; i < sizeof(each) / sizeof(each[0]); i++)
        pl_vq_observe(vq, ring, each[i], NULL);
    if (ring->setup.packed)
        pl_vq_observe(vq, ring, PL_SEEN_USED_FLAGS, NULL);
    if (ring->setup.in_order)
        pl_vq_observe(vq, ring, PL_SEEN_ORDER, NULL);
    else if (settled)
        pl_vq_observe(vq, ring, PL_SEEN_SETTLED, NULL);
    if (ring->measured)
        pl_vq_observe(vq, ring, PL_SEEN_WRITTEN, NULL);
    if (memory) {
        pl_vq_observe(vq, ring, PL_SEEN_READABLE, NULL);
        pl_vq_observe(vq, ring, PL_SEEN_BEYOND, NULL);
    }
    ring->measured = false;
    ring->checked = ring->used;
}

bool pl_vq_check(struct pl_vq *vq, struct pl_vq_ring *ring)
{
    if (vq->wild || (!ring->told && !ring->retired))
        return false;
    if (ring->stopped)
        return check_stopped(vq, ring);
    bool good = check_guards(vq, ring);
    good &= check_held(vq, ring);
    for (struct pl_chain *chain = ring->done; chain; chain = chain->next)
        good &= check_chain(vq, ring, chain, false);
    for (struct pl_chain *chain = ring->added; chain; chain = chain->next)
        good &= check_chain(vq, ring, chain, false);
    bool settled = pl_vq_check_settled(vq, ring);
    if (ring->used == ring->checked)
        return good && settled;
    check_device_area(vq, ring);
    tell_sound(vq, ring, good, settled);
    check_parts(vq, ring);
    return good && settled;
}

/* What was written up to here of a ring that was dropped is nobody's fault any more. */
static void freeze_dropped(struct pl_vq *vq, const struct pl_vq_ring *ring)
{
    struct pl_vq_memory *m = &vq->memory;
    pl_vq_freeze(m, ring->block.at, ring->block.len);
    for (unsigned i = 0; i < ring->setup.size; i++)
        if (ring->by_id[i])
            pl_vq_freeze(m, ring->by_id[i]->block.at, ring->by_id[i]->block.len);
    for (const struct pl_chain *chain = ring->added; chain; chain = chain->next)
        pl_vq_freeze(m, chain->block.at, chain->block.len);
    for (const struct pl_chain *chain = ring->done; chain; chain = chain->next)
        pl_vq_freeze(m, chain->block.at, chain->block.len);
}

/* Behind the answer that shows that it stopped, what is used may still have been before it: it is
 * not told. */
void pl_vq_seal(struct pl_vq *vq, struct pl_vq_ring *ring, enum pl_ring_stop why)
{
    if (ring->stopped)
        return;
    if (!ring->ring) {
        freeze_dropped(vq, ring);
        ring->stopped = why;
        return;
    }
    pl_vq_check(vq, ring);
    ring->stopped = why;
    ring->events_looked = ring->events;
    pl_driver_ring_free(ring->ring);
    ring->ring = NULL;
    pl_vq_freeze(&vq->memory, ring->block.at, ring->block.len);
    for (unsigned i = 0, left = ring->held; left && i < ring->setup.size; i++) {
        if (!ring->by_id[i] || ring->by_id[i]->state != PL_CHAIN_HELD)
            continue;
        left--;
        freeze_written(vq, ring->by_id[i]);
    }
    if (ring->told)
        pl_session_tell(vq->s, "ring %u %u sealed", ring->dev_num, ring->queue);
}
