/* When EVENT_AVAIL is due, by what the device asked for while chains were made available. */

#include "engine/drv_watch_private.h"

static size_t avail_event_at(const struct pl_watch_queue *q)
{
    return offsetof(struct vring_used, ring) + q->setup.size * sizeof(vring_used_elem_t);
}

static uint16_t avail_event(const struct pl_watch_queue *q)
{
    return pl_sync_load16(q->device + avail_event_at(q));
}

static bool no_notify(const struct pl_watch_queue *q)
{
    return pl_sync_load16(q->device + offsetof(struct vring_used, flags)) & VRING_USED_F_NO_NOTIFY;
}

uint32_t pl_watch_word(const struct pl_watch_queue *q)
{
    if (q->setup.packed)
        return pl_sync_load32(q->device);
    return q->setup.event_idx ? avail_event(q) : no_notify(q);
}

/* An event's place within a list, but not at its beginning: it may be meant, or not. */
static enum pl_asked packed_asked(const struct pl_watch_queue *q,
                                  const struct pl_watch_chain *chain)
{
    const uint32_t word = pl_sync_load32(q->device);
    const unsigned flags = pl_event_flags(word);
    if (flags == VRING_PACKED_EVENT_FLAG_ENABLE)
        return PL_ASKED_YES;
    if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
        return PL_ASKED_NO;
    if (flags != VRING_PACKED_EVENT_FLAG_DESC || !q->setup.event_idx)
        return PL_ASKED_RACE; /* reserved */
    uint32_t within = pl_place_distance((struct pl_place){chain->at, chain->wrap},
                                        pl_place_of_word((uint16_t)word), q->setup.size);
    return within == 0 ? PL_ASKED_YES : within < chain->entries ? PL_ASKED_RACE : PL_ASKED_NO;
}

enum pl_asked pl_watch_asked(struct pl_watch_queue *q, const struct pl_watch_chain *chain)
{
    if (q->setup.packed)
        return packed_asked(q, chain);
    uint16_t event = avail_event(q);
    bool named = event == chain->seq;
    if (q->setup.event_idx) {
        q->noise = named && no_notify(q);
        return named ? PL_ASKED_YES : PL_ASKED_NO;
    }
    if (no_notify(q))
        return PL_ASKED_NO;
    q->noise = event != 0 && !named;
    return PL_ASKED_YES;
}

void pl_watch_fresh(struct pl_watch_queue *q, struct pl_watch_chain *chain, enum pl_asked asked)
{
    chain->due = asked == PL_ASKED_YES;
    q->n_due += chain->due;
    q->fresh_quiet += asked == PL_ASKED_NO;
    q->fresh_other += asked != PL_ASKED_NO;
}

/* --- EVENT_AVAIL --- */

/* How far behind the next place a notification's place lies; negative: ahead of it, or nowhere. */
static int32_t split_behind(const struct pl_watch_queue *q, uint32_t next_offset)
{
    bool wrap = next_offset & PL_C_AVAIL_NEXT_WRAP;
    uint32_t off = next_offset & (uint32_t)~PL_C_AVAIL_NEXT_WRAP;
    if (off > (wrap ? INT16_MAX : UINT16_MAX))
        return -1;
    /* Bit 15 of the index stands in next_off or in next_wrap. */
    uint16_t idx = (uint16_t)(off | (wrap ? 0x8000u : 0u));
    uint16_t behind = (uint16_t)(q->next_avail - idx);
    return behind > INT16_MAX ? -1 : behind;
}

static int32_t packed_behind(const struct pl_watch_queue *q, uint32_t next_offset)
{
    bool wrap = next_offset & PL_C_AVAIL_NEXT_WRAP;
    uint32_t off = next_offset & (uint32_t)~PL_C_AVAIL_NEXT_WRAP;
    if (off >= q->setup.size)
        return -1;
    uint32_t behind =
        pl_place_distance((struct pl_place){(uint16_t)off, wrap}, q->next, q->setup.size);
    return behind > q->setup.size ? -1 : (int32_t)behind;
}

/* Does a notification that lies so far behind tell of this chain? */
static bool covers(const struct pl_watch_queue *q, const struct pl_watch_chain *c, int32_t behind)
{
    if (!q->setup.packed)
        return (uint16_t)(q->next_avail - c->seq) > behind;
    return (int32_t)pl_place_distance((struct pl_place){c->at, c->wrap}, q->next, q->setup.size) >
           behind;
}

/* The chains that it tells of are announced; how many were due. */
static unsigned announce(struct pl_watch_queue *q, int32_t behind)
{
    unsigned paid = 0;
    for (struct pl_watch_chain *c = q->first; c; c = c->next) {
        if (!c->due || !covers(q, c, behind))
            continue;
        c->due = false;
        q->n_due--;
        paid++;
    }
    return paid;
}

static const char *meaning(const struct pl_watch_queue *q, unsigned paid)
{
    if (paid)
        return q->noise ? "paid noise" : "paid";
    if (q->fresh_other)
        return "spare";
    return q->fresh_quiet ? "extra" : "again";
}

void pl_watch_kicked(struct pl_watch *w, const struct pl_watch_dev *dev, struct pl_watch_queue *q,
                     uint32_t next_offset)
{
    int32_t behind = 0;
    if (pl_watch_selected(dev, PL_C_F_NOTIFICATION_DATA)) {
        behind = q->setup.packed ? packed_behind(q, next_offset) : split_behind(q, next_offset);
        if (behind < 0)
            pl_watch_tell(w, q, "kicked ahead 0x%x %u%s", next_offset,
                          q->setup.packed ? q->next.off : q->next_avail,
                          q->setup.packed && q->next.wrap ? " wrap" : "");
        if (behind < 0)
            return;
    }
    unsigned paid = announce(q, behind);
    const char *what = meaning(q, paid);
    bool left = q->n_due > 0;
    pl_watch_tell(w, q, "kicked %s", left && !paid ? "behind" : what);
    q->owes = left;
    q->overdue = q->overdue && left;
    q->noise = q->noise && left;
    q->fresh_quiet = q->fresh_other = 0;
    if (left)
        q->fresh_other = q->n_due;
}

void pl_watch_reconsider(struct pl_watch *w, struct pl_watch_queue *q)
{
    (void)w;
    uint32_t word = pl_watch_word(q);
    if (word == q->word)
        return;
    q->word = word;
    for (struct pl_watch_chain *c = q->first; c; c = c->next)
        c->due = false; /* the driver may have seen what the device asks for now */
    q->fresh_other += q->fresh_quiet;
    q->fresh_quiet = q->n_due = 0;
}

uint64_t pl_watch_now(const struct pl_watch *w)
{
    const struct pl_port *port = w->s->port;
    if (port->virtual_time)
        return port->now_ms;
    return pl_session_clock_ms();
}

bool pl_watch_long(const struct pl_watch *w, uint64_t since)
{
    return pl_watch_now(w) - since >= (uint64_t)w->s->timeouts.response / 2;
}

/* Where it is never paid, this tells a driver that lets a buffer lie from one that was about to. */
static void tell_overdue(struct pl_watch *w, struct pl_watch_queue *q)
{
    if (!q->owes || q->overdue || !pl_watch_long(w, q->owes_since))
        return;
    q->overdue = true;
    pl_watch_tell(w, q, "overdue");
}

void pl_watch_tell_owed(struct pl_watch *w, struct pl_watch_queue *q)
{
    bool owes = q->n_due > 0;
    if (owes != q->owes) {
        pl_watch_tell(w, q, owes ? (q->noise ? "owes noise" : "owes") : "eased");
        q->owes_since = owes ? pl_watch_now(w) : 0;
        q->overdue = false;
    }
    q->owes = owes;
    tell_overdue(w, q);
}
