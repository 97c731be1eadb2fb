/* Virtqueues in use: when buffers may be used, when they must be, and how that is announced. */
#include <inttypes.h>
#include <string.h>

#include "oracle/private.h"

#define DRIVER_OK   ((uint32_t)PL_C_STATUS_DRIVER_OK)
#define NEEDS_RESET ((uint32_t)PL_C_STATUS_DEVICE_NEEDS_RESET)

/* What a look into the memory can find by itself: the judgement is made where the memory is. */
static const struct {
    const char *name;
    enum pl_predicate predicate;
} in_memory[] = {
    {"io_after_reset", PL_P_io_after_reset},
    {"io_after_queue_reset", PL_P_io_after_queue_reset},
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

/* Is it certain that DRIVER_OK is clear, whatever is under way? */
static bool not_driving(const struct pl_oracle *o, const struct pl_track *t)
{
    return !t->resetting && pl_status_never(&t->status, DRIVER_OK) &&
           !pl_waiting(o, t, PL_SET_DEVICE_STATUS);
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
        pl_held(o, PL_P_used_notified);
    else
        q->ring.announced = true;
    q->ring.due = false;
}

/* --- what is seen in the memory --- */

static void used(struct pl_oracle *o, struct pl_track *t, struct pl_queue *q,
                 const struct pl_ring_news *news)
{
    struct pl_queue_ring *r = &q->ring;
    r->held -= r->held > 0;
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
    if (r->renewed)
        pl_held(o, PL_P_queue_reset_works);
    pl_held(o, PL_P_io_served);
    r->worked = true;
    if (!news->due)
        return;
    if (r->announced)
        pl_held(o, PL_P_used_notified);
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
    pl_broken(o, q->ring.renewed && q->ring.worked ? PL_P_queue_reset_works : PL_P_io_served,
              "queue %" PRIu32 ": chain %" PRIu32 " was made available%s and is not used", q->index,
              news->id,
              q->ring.renewed && q->ring.worked ? " after the queue was reset and set up again"
                                                : "");
}

static void idle(struct pl_oracle *o, struct pl_track *t, struct pl_queue *q)
{
    const struct pl_queue_ring *r = &q->ring;
    if (r->sealed && at_rest(t)) {
        pl_held(o, PL_P_io_after_reset);
        pl_held(o, PL_P_event_after_reset);
    } else if (r->sealed && r->stopped) {
        pl_held(o, PL_P_io_after_queue_reset);
        pl_held(o, PL_P_event_after_queue_reset);
    } else if (r->held && not_driving(o, t)) {
        pl_held(o, PL_P_io_before_ok);
        pl_held(o, PL_P_event_before_ok);
    }
}

/* An EVENT_USED that the driver had asked not to get, and that no used buffer called for. */
static void looked(struct pl_oracle *o, struct pl_queue *q)
{
    (void)o;
    q->ring.announced = false;
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
        q->ring.suppressed = news->kind == PL_RING_SUPPRESSED;
        q->ring.announced = false;
        break;
    case PL_RING_LOOKED:
        looked(o, q);
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

bool pl_oracle_ring_memory(struct pl_oracle *o, const char *predicate, bool held, const char *text)
{
    for (size_t i = 0; i < sizeof(in_memory) / sizeof(in_memory[0]); i++) {
        if (strcmp(predicate, in_memory[i].name) != 0)
            continue;
        if (held)
            pl_held(o, in_memory[i].predicate);
        else
            pl_broken(o, in_memory[i].predicate, "%s", text);
        return true;
    }
    return false;
}

void pl_ring_settle(struct pl_oracle *o, struct pl_track *t)
{
    for (unsigned i = 0; i < t->n_queues; i++) {
        struct pl_queue *q = &t->queues[i];
        if (q->ring.due)
            pl_broken(o, PL_P_used_notified,
                      "queue %" PRIu32 ": a buffer was used, and no EVENT_USED announces it",
                      q->index);
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
