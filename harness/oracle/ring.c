/* Virtqueues in use: when buffers may be used, when they must be, and how that is announced. */
#include <inttypes.h>
#include <string.h>

#include "oracle/private.h"

#define DRIVER_OK   ((uint32_t)PL_C_STATUS_DRIVER_OK)
#define NEEDS_RESET ((uint32_t)PL_C_STATUS_DEVICE_NEEDS_RESET)

/* What a look into the memory can find by itself: its name, and whose rule it is in either format.
 */
static const struct {
    const char *name;
    enum pl_predicate split, packed;
} in_memory[] = {
    {"io_after_reset", PL_P_io_after_reset, PL_P_io_after_reset},
    {"io_after_queue_reset", PL_P_io_after_queue_reset, PL_P_io_after_queue_reset},
    {"ring_order", PL_P_ring_order, PL_P_ring_order},
    {"ring_used_index", PL_P_ring_used_index, PL_P_ring_packed_skip},
    {"ring_used_id", PL_P_ring_used_id, PL_P_ring_packed_id},
    {"ring_used_once", PL_P_ring_used_once, PL_P_ring_packed_once},
    {"ring_used_len", PL_P_ring_used_len, PL_P_ring_packed_len},
    {"ring_len_written", PL_P_ring_len_written, PL_P_ring_packed_len},
    {"ring_used_settled", PL_P_ring_used_settled, PL_P_ring_packed_settled},
    {"ring_used_flags", PL_P_ring_used_flags, PL_P_ring_packed_event_flags},
    {"ring_used_flags_event", PL_P_ring_used_flags_event, PL_P_ring_packed_event_flags},
    {"ring_wrote_desc", PL_P_ring_wrote_desc, PL_P_ring_packed_wrote_beyond},
    {"ring_wrote_avail", PL_P_ring_wrote_avail, PL_P_ring_packed_wrote_driver},
    {"ring_wrote_readable", PL_P_ring_wrote_readable, PL_P_ring_packed_wrote_readable},
    {"ring_wrote_beyond", PL_P_ring_wrote_beyond, PL_P_ring_packed_wrote_beyond},
    {"ring_packed_flags", PL_P_ring_packed_flags, PL_P_ring_packed_flags},
};

bool pl_waiting(const struct pl_oracle *o, const struct pl_track *t, enum pl_kind kind)
{
    for (unsigned i = 0; i < PL_SLOTS; i++) {
        const struct pl_slot *slot = &o->slots[i];
        if (slot->state == PL_SLOT_WAITING && slot->req.dev_num == t->dev_num &&
            slot->req.kind == kind)
            return true;
    }
    return false;
}

void pl_ring_reset(struct pl_queue *q)
{
    bool laid_out = q->ring.laid_out;
    memset(&q->ring, 0, sizeof(q->ring));
    q->ring.laid_out = laid_out;
}

void pl_ring_request(struct pl_queue *q, bool stops)
{
    q->ring.stopped = stops;
    if (stops)
        q->ring.due = q->ring.announced = false;
}

/* Is a status write under way that may set DRIVER_OK: that asks for it, or whose outcome is open?
 */
static bool may_drive(const struct pl_oracle *o, const struct pl_track *t)
{
    const uint64_t harmless =
        PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER | PL_C_STATUS_FEATURES_OK;
    for (unsigned i = 0; i < PL_SLOTS; i++) {
        const struct pl_slot *slot = &o->slots[i];
        if (slot->state == PL_SLOT_WAITING && slot->req.dev_num == t->dev_num &&
            slot->req.kind == PL_SET_DEVICE_STATUS && (slot->req.f[PL_F_status] & ~harmless))
            return true;
    }
    return false;
}

/* Is it certain that DRIVER_OK is clear, whatever is under way? A suspended device is another
 * matter. */
static bool not_driving(const struct pl_oracle *o, const struct pl_track *t)
{
    return !t->resetting && pl_status_never(&t->status, DRIVER_OK) && !pl_suspend_rests(t) &&
           !may_drive(o, t);
}

/* Is the device at rest behind a reset that was seen to end? */
static bool at_rest(const struct pl_track *t)
{
    return t->was_reset && !t->written_since_reset && !t->resetting;
}

static bool enabled_for_sure(const struct pl_queue *q)
{
    for (unsigned i = 0; i < q->set.n; i++)
        if (!q->set.state[i].enabled)
            return false;
    return !q->set.any && q->set.n > 0;
}

/* --- the rules on notifications, which each format has of its own --- */

static enum pl_predicate notified(const struct pl_track *t)
{
    if (pl_features_negotiated(t, PL_C_F_RING_PACKED))
        return PL_P_used_notified_packed;
    return pl_features_negotiated(t, PL_C_F_EVENT_IDX) ? PL_P_used_notified_event
                                                       : PL_P_used_notified_flags;
}

static enum pl_predicate suppressed(const struct pl_track *t)
{
    if (pl_features_negotiated(t, PL_C_F_RING_PACKED))
        return PL_P_used_suppressed_packed;
    return pl_features_negotiated(t, PL_C_F_EVENT_IDX) ? PL_P_used_suppressed_event
                                                       : PL_P_used_suppressed_flags;
}

static void held_notified(struct pl_oracle *o, const struct pl_track *t)
{
    pl_held(o, PL_P_used_notified);
    pl_held(o, notified(t));
}

/* --- EVENT_USED --- */

void pl_ring_event(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *event)
{
    uint32_t index = (uint32_t)event->f[PL_F_vq_index];
    if (not_driving(o, t)) {
        if (at_rest(t))
            pl_broken(o, PL_P_event_after_reset,
                      "the reset has ended, and an EVENT_USED for queue %" PRIu32 " comes", index);
        else
            pl_broken(o, PL_P_event_before_ok,
                      "EVENT_USED for queue %" PRIu32 " with DRIVER_OK not set", index);
        return;
    }
    if (pl_queue_absent(t, index))
        return;
    struct pl_queue *q = pl_queue_get(t, index);
    if (!q)
        return;
    if (q->ring.stopped && !pl_waiting(o, t, PL_SET_VQUEUE)) {
        pl_broken(o, PL_P_event_after_queue_reset,
                  "queue %" PRIu32 " was reset, and an EVENT_USED for it comes", index);
        return;
    }
    if (q->ring.due)
        held_notified(o, t);
    if (q->ring.unheard)
        q->ring.unheard--;
    else if (q->ring.suppressed)
        q->ring.excess = true;
    else
        q->ring.early++;
    /* One event may announce several used buffers, of which only the first were seen so far. */
    q->ring.announced = true;
    q->ring.due = false;
}

/* --- what is seen in the memory --- */

/* The engine looked at the entry, and it is one that a device may write. */
static void held_entry(struct pl_oracle *o, const struct pl_track *t)
{
    static const enum pl_predicate split[] = {PL_P_ring_used_index, PL_P_ring_used_id,
                                              PL_P_ring_used_once, PL_P_ring_used_len,
                                              PL_P_ring_used_settled};
    static const enum pl_predicate packed[] = {PL_P_ring_packed_skip,    PL_P_ring_packed_id,
                                               PL_P_ring_packed_once,    PL_P_ring_packed_len,
                                               PL_P_ring_packed_settled, PL_P_ring_packed_flags};
    bool is_packed = pl_features_negotiated(t, PL_C_F_RING_PACKED);
    const enum pl_predicate *list = is_packed ? packed : split;
    size_t n = is_packed ? sizeof(packed) / sizeof(packed[0]) : sizeof(split) / sizeof(split[0]);
    for (size_t i = 0; i < n; i++)
        pl_held(o, list[i]);
    if (pl_features_negotiated(t, PL_C_F_IN_ORDER))
        pl_held(o, PL_P_ring_order);
}

/* Looks at which nothing had happened: they mean something of a device that works on rings. */
static void count_idle(struct pl_oracle *o)
{
    for (; o->serves && o->idle_reset; o->idle_reset--) {
        pl_held(o, PL_P_io_after_reset);
        pl_held(o, PL_P_event_after_reset);
    }
    for (; o->serves && o->idle_queue; o->idle_queue--) {
        pl_held(o, PL_P_io_after_queue_reset);
        pl_held(o, PL_P_event_after_queue_reset);
    }
    for (; o->serves && o->idle_before; o->idle_before--) {
        pl_held(o, PL_P_io_before_ok);
        pl_held(o, PL_P_event_before_ok);
    }
}

/*
 * A device may look at the driver's wishes some time after it used a buffer, and send what it then
 * decides on later still: each used chain excuses one EVENT_USED, whenever that comes.
 */
static void count_used(struct pl_queue_ring *r, bool may)
{
    if (r->suppressed && !may)
        r->hushed++;
    else if (r->early)
        r->early--;
    else
        r->unheard++;
}

static void used(struct pl_oracle *o, struct pl_track *t, struct pl_queue *q,
                 const struct pl_ring_news *news)
{
    struct pl_queue_ring *r = &q->ring;
    r->held -= r->held > 0;
    o->serves = true;
    count_idle(o);
    if (not_driving(o, t)) {
        pl_broken(o, at_rest(t) && r->sealed ? PL_P_io_after_reset : PL_P_io_before_ok,
                  "queue %" PRIu32 ": chain %" PRIu32 " was used with DRIVER_OK not set", q->index,
                  news->id);
        return;
    }
    if (r->stopped && r->sealed) {
        pl_broken(o, PL_P_io_after_queue_reset,
                  "queue %" PRIu32 " was reset, and chain %" PRIu32 " was used after it", q->index,
                  news->id);
        return;
    }
    if (r->renewed) {
        pl_held(o, PL_P_queue_reset_works);
        pl_held(o, PL_P_queue_reset_config);
    }
    pl_held(o, PL_P_io_served);
    held_entry(o, t);
    r->worked = true;
    r->called |= news->due || news->may;
    count_used(r, news->due || news->may);
    if (!news->due || pl_suspend_rests(t)) /* told, if at all, when the device resumes */
        return;
    if (r->announced)
        held_notified(o, t);
    else
        r->due = true;
}

/* Nothing more was waited for: whose fault is it? */
static void missing(struct pl_oracle *o, struct pl_track *t, struct pl_queue *q,
                    const struct pl_ring_news *news)
{
    if (!pl_status_all(&t->status, DRIVER_OK) || !pl_status_never(&t->status, NEEDS_RESET) ||
        t->resetting || !enabled_for_sure(q))
        return;
    if (!q->ring.renewed || !q->ring.worked) {
        pl_broken(o, PL_P_io_served,
                  "queue %" PRIu32 ": chain %" PRIu32 " was made available and is not used",
                  q->index, news->id);
        return;
    }
    const char *form = "queue %" PRIu32 " was reset and set up again: chain %" PRIu32
                       " was made available and is not used";
    pl_broken(o, PL_P_queue_reset_works, form, q->index, news->id);
    pl_broken(o, PL_P_queue_reset_config, form, q->index, news->id);
}

static void idle(struct pl_oracle *o, struct pl_track *t, struct pl_queue *q)
{
    const struct pl_queue_ring *r = &q->ring;
    o->idle_reset += r->sealed && at_rest(t);
    o->idle_queue += r->sealed && r->stopped && !at_rest(t);
    o->idle_before += !r->sealed && r->held && not_driving(o, t);
    count_idle(o);
}

/*
 * An EVENT_USED that the driver had asked not to get, and that no used buffer called for. Once one
 * did, the device may announce it when it gets to that, so that nothing more can be said.
 */
static void looked(struct pl_oracle *o, const struct pl_track *t, struct pl_queue *q)
{
    bool judged = q->ring.suppressed && !q->ring.called;
    if (judged && q->ring.excess)
        pl_broken(o, suppressed(t),
                  "queue %" PRIu32 ": EVENT_USED while the driver suppresses notifications",
                  q->index);
    else if (judged && !q->ring.announced)
        pl_held(o, suppressed(t));
    q->ring.announced = q->ring.excess = false;
    q->ring.early = 0;
}

static void begin(struct pl_queue *q)
{
    struct pl_queue_ring *r = &q->ring;
    bool renewed = r->stopped;
    *r = (struct pl_queue_ring){
        .laid_out = true, .stopped = r->stopped, .worked = r->worked, .renewed = renewed};
}

void pl_oracle_ring(struct pl_oracle *o, uint16_t dev_num, uint32_t index,
                    const struct pl_ring_news *news)
{
    struct pl_track *t = pl_track_get(o, dev_num);
    struct pl_queue *q = t ? pl_queue_get(t, index) : NULL;
    if (!q)
        return;
    switch (news->kind) {
    case PL_RING_BEGIN:
        begin(q);
        break;
    case PL_RING_ADD:
        q->ring.held++;
        break;
    case PL_RING_USE:
        used(o, t, q, news);
        break;
    case PL_RING_SUPPRESSED:
    case PL_RING_WANTED:
        /* For a chain in the device's hands it may have been decided before. */
        q->ring.suppressed = news->kind == PL_RING_SUPPRESSED && !q->ring.held && !q->ring.due;
        q->ring.announced = q->ring.called = q->ring.excess = false;
        q->ring.unheard += q->ring.hushed;
        q->ring.hushed = q->ring.early = 0;
        break;
    case PL_RING_LOOKED:
        looked(o, t, q);
        break;
    case PL_RING_IDLE:
        idle(o, t, q);
        break;
    case PL_RING_MISSING:
        missing(o, t, q, news);
        break;
    case PL_RING_SEALED:
        q->ring.sealed = true;
        q->ring.due = q->ring.announced = false;
        break;
    case PL_RING_END:
        pl_ring_settle(o, t);
        q->ring.laid_out = q->ring.sealed = q->ring.due = q->ring.announced = false;
        q->ring.suppressed = false;
        q->ring.held = 0;
        break;
    }
}

bool pl_oracle_ring_memory(struct pl_oracle *o, uint16_t dev_num, const char *predicate, bool held,
                           const char *text)
{
    const struct pl_track *t = pl_track_get(o, dev_num);
    for (size_t i = 0; t && i < sizeof(in_memory) / sizeof(in_memory[0]); i++) {
        if (strcmp(predicate, in_memory[i].name) != 0)
            continue;
        bool packed = pl_features_negotiated(t, PL_C_F_RING_PACKED);
        enum pl_predicate p = packed ? in_memory[i].packed : in_memory[i].split;
        if (held)
            pl_held(o, p);
        else
            pl_broken(o, p, "%s", text);
        return true;
    }
    return false;
}

void pl_ring_settle(struct pl_oracle *o, struct pl_track *t)
{
    for (unsigned i = 0; i < t->n_queues; i++) {
        struct pl_queue *q = &t->queues[i];
        const char *form = "queue %" PRIu32 ": a buffer was used, and no EVENT_USED announces it";
        if (q->ring.due) {
            pl_broken(o, PL_P_used_notified, form, q->index);
            pl_broken(o, notified(t), form, q->index);
        }
        q->ring.due = false;
    }
}

unsigned pl_oracle_used_owed(const struct pl_oracle *o)
{
    unsigned n = 0;
    for (unsigned i = 0; i < o->n_tracks; i++)
        for (unsigned k = 0; k < o->tracks[i]->n_queues; k++)
            n += o->tracks[i]->queues[k].ring.due;
    return n;
}
