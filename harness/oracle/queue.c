/* Virtqueues: sets of possible states, moved by the generated transitions, narrowed by GET_VQUEUE.
 */
#include <inttypes.h>
#include <string.h>

#include "oracle/private.h"

enum { UNKNOWN_DESC = 1, UNKNOWN_DRIVER = 2, UNKNOWN_DEVICE = 4, UNKNOWN_ALL = 7 };

extern pl_queue_step_fn pl_queue_step; /* generated from the state machine */

void pl_queue_reset(struct pl_queue *q, bool ended)
{
    memset(&q->set, 0, sizeof(q->set));
    q->set.any = !ended;
    q->set.n = ended;
    q->set.state[0].unknown = UNKNOWN_ALL;
    q->last_kind = PL_NONE;
    q->configured = q->was_accepted = q->reset_since = false;
    if (ended)
        pl_ring_reset(q);
}

struct pl_queue *pl_queue_get(struct pl_track *t, uint32_t index)
{
    for (unsigned i = 0; i < t->n_queues; i++)
        if (t->queues[i].index == index)
            return &t->queues[i];
    if (t->n_queues == PL_QUEUES)
        return NULL;
    struct pl_queue *q = &t->queues[t->n_queues++];
    memset(q, 0, sizeof(*q));
    q->used = true;
    q->index = index;
    q->available = PL_UNSURE;
    if (t->info.kind != PL_NONE && index >= t->info.f[PL_F_max_virtqueues])
        q->available = PL_NO;
    pl_queue_reset(q, t->was_reset && !t->resetting);
    return q;
}

bool pl_queue_absent(const struct pl_track *t, uint32_t index)
{
    if (t->info.kind != PL_NONE && index >= t->info.f[PL_F_max_virtqueues])
        return true;
    for (unsigned i = 0; i < t->n_queues; i++)
        if (t->queues[i].index == index)
            return t->queues[i].available == PL_NO;
    return false;
}

static bool same_state(const struct pl_queue_state *a, const struct pl_queue_state *b)
{
    return a->enabled == b->enabled && a->size == b->size && a->unknown == b->unknown &&
           ((a->unknown & UNKNOWN_DESC) || a->desc_addr == b->desc_addr) &&
           ((a->unknown & UNKNOWN_DRIVER) || a->driver_addr == b->driver_addr) &&
           ((a->unknown & UNKNOWN_DEVICE) || a->device_addr == b->device_addr);
}

static void add_state(struct pl_queue_set *set, const struct pl_queue_state *state)
{
    for (unsigned i = 0; i < set->n; i++)
        if (same_state(&set->state[i], state))
            return;
    if (set->n == PL_QUEUE_CANDIDATES)
        set->any = true;
    else
        set->state[set->n++] = *state;
}

/* An address that this request wrote is known again. */
static void learn_addresses(const struct pl_msg *req, struct pl_queue_state *state)
{
    uint64_t flags = req->f[PL_F_flags];
    if (!(flags & PL_C_SVQ_IGNORE_DESC_ADDR) && state->desc_addr == req->f[PL_F_desc_addr])
        state->unknown &= (uint8_t)~UNKNOWN_DESC;
    if (!(flags & PL_C_SVQ_IGNORE_DRIVER_ADDR) && state->driver_addr == req->f[PL_F_driver_addr])
        state->unknown &= (uint8_t)~UNKNOWN_DRIVER;
    if (!(flags & PL_C_SVQ_IGNORE_DEVICE_ADDR) && state->device_addr == req->f[PL_F_device_addr])
        state->unknown &= (uint8_t)~UNKNOWN_DEVICE;
}

/* What the request asks for, were it applied in full to `old`. */
static struct pl_queue_state asked_state(const struct pl_msg *req, const struct pl_queue_state *old)
{
    struct pl_queue_state s = *old;
    uint64_t flags = req->f[PL_F_flags];
    if (!(flags & PL_C_SVQ_IGNORE_SIZE))
        s.size = (uint32_t)req->f[PL_F_size];
    if (!(flags & PL_C_SVQ_IGNORE_DESC_ADDR))
        s.desc_addr = req->f[PL_F_desc_addr];
    if (!(flags & PL_C_SVQ_IGNORE_DRIVER_ADDR))
        s.driver_addr = req->f[PL_F_driver_addr];
    if (!(flags & PL_C_SVQ_IGNORE_DEVICE_ADDR))
        s.device_addr = req->f[PL_F_device_addr];
    uint64_t op = flags & PL_C_SVQ_STATE_MASK;
    s.enabled = op == PL_C_SVQ_ENABLE || (op == PL_C_SVQ_KEEP_STATE && old->enabled);
    learn_addresses(req, &s);
    return s;
}

struct step_sum {
    struct pl_queue_set set;
    enum pl_predicate predicate; /* of the last outcome: the applied one where there is a choice */
};

static void step_env(const struct pl_msg *req, const struct pl_queue_env *env,
                     const struct pl_queue_state *in, struct step_sum *sum)
{
    struct pl_queue_step out[PL_QUEUE_CANDIDATES];
    unsigned n = pl_queue_step(req, env, in, out);
    for (unsigned i = 0; i < n; i++) {
        if (req->kind == PL_SET_VQUEUE)
            learn_addresses(req, &out[i].state);
        else if (!same_state(&out[i].state, in))
            out[i].state.unknown = UNKNOWN_ALL;
        add_state(&sum->set, &out[i].state);
        sum->predicate = out[i].predicate;
    }
}

static void step_state(const struct pl_track *t, const struct pl_queue *q, const struct pl_msg *req,
                       const struct pl_queue_state *in, struct step_sum *sum)
{
    for (int available = 0; available < 2; available++) {
        if (q->available != PL_UNSURE && (q->available == PL_YES) != available)
            continue;
        for (int reset = 0; reset < 2; reset++) {
            if (t->ring_reset != PL_UNSURE && (t->ring_reset == PL_YES) != reset)
                continue;
            struct pl_queue_env env = {.available = available, .ring_reset = reset};
            step_env(req, &env, in, sum);
        }
    }
}

/* Nothing is asked of queue requests while a reset goes on or the device is broken. */
static bool undefined_now(const struct pl_track *t)
{
    return t->resetting || !pl_status_never(&t->status, (uint32_t)(PL_C_STATUS_DEVICE_NEEDS_RESET |
                                                                   PL_C_STATUS_FAILED));
}

/* All of a configuration and nothing that is undefined, for a queue that is disabled for sure. */
static bool plainly_configures(const struct pl_queue *q, const struct pl_msg *req)
{
    return !(req->f[PL_F_flags] & ~PL_C_SVQ_ENABLE) && !req->f[PL_F_reserved] && q->set.n == 1 &&
           !q->set.state[0].enabled;
}

void pl_queue_request(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                      bool certain)
{
    (void)o;
    uint32_t index = (uint32_t)req->f[PL_F_index];
    if (pl_queue_absent(t, index)) {
        t->other_kind = req->kind;
        t->other_seq = t->seq;
        return;
    }
    struct pl_queue *q = pl_queue_get(t, index);
    if (!q)
        return;
    /* Negotiated once, and FEATURES_OK was taken back since: nobody says what that makes of it. */
    bool taken_back = req->kind == PL_RESET_VQUEUE && t->ring_reset == PL_YES &&
                      !pl_status_all(&t->status, (uint32_t)PL_C_STATUS_FEATURES_OK);
    pl_ring_request(q, req->kind == PL_RESET_VQUEUE && t->ring_reset == PL_YES && certain &&
                           !taken_back);
    q->in_reset |= t->resetting;
    q->before = q->set;
    q->last_kind = req->kind;
    q->last_seq = t->seq;
    q->last_flags = (uint32_t)req->f[PL_F_flags];
    if (q->set.any || undefined_now(t) || taken_back) {
        q->set.any = true;
        q->last_predicate = PL_P_queue_sizes;
        return;
    }
    struct step_sum sum = {.predicate = PL_P_queue_sizes};
    for (unsigned i = 0; i < q->set.n; i++)
        step_state(t, q, req, &q->set.state[i], &sum);
    if (!certain)
        for (unsigned i = 0; i < q->set.n; i++)
            add_state(&sum.set, &q->set.state[i]);
    if (req->kind == PL_SET_VQUEUE && q->set.n) {
        q->anew = plainly_configures(q, req);
        q->asked = asked_state(req, &q->set.state[0]);
    } else if (req->kind == PL_RESET_VQUEUE && t->ring_reset == PL_YES)
        q->reset_since = true;
    q->set = sum.set;
    q->last_predicate = sum.predicate;
}

static bool addresses_match(const struct pl_queue_state *s, const struct pl_msg *resp)
{
    return ((s->unknown & UNKNOWN_DESC) || s->desc_addr == resp->f[PL_F_desc_addr]) &&
           ((s->unknown & UNKNOWN_DRIVER) || s->driver_addr == resp->f[PL_F_driver_addr]) &&
           ((s->unknown & UNKNOWN_DEVICE) || s->device_addr == resp->f[PL_F_device_addr]);
}

static bool enabled_in(const struct pl_msg *resp)
{
    return (resp->f[PL_F_flags] & PL_C_GVQ_ENABLED) != 0;
}

/* Addresses count from the moment a size is there: before it the queue is not configured. */
static bool state_matches(const struct pl_queue_state *s, const struct pl_msg *resp)
{
    return s->enabled == enabled_in(resp) && s->size == resp->f[PL_F_cur_size] &&
           (s->size == 0 || addresses_match(s, resp));
}

static struct pl_queue_state state_read(const struct pl_msg *resp)
{
    struct pl_queue_state s = {.enabled = enabled_in(resp),
                               .size = (uint32_t)resp->f[PL_F_cur_size],
                               .desc_addr = resp->f[PL_F_desc_addr],
                               .driver_addr = resp->f[PL_F_driver_addr],
                               .device_addr = resp->f[PL_F_device_addr]};
    return s;
}

/* Which part of an applied SET_VQUEUE is missing or too much? */
static void blame_update(struct pl_oracle *o, const struct pl_queue *q, const struct pl_msg *resp)
{
    const struct pl_queue_state *old = &q->before.state[0], *want = &q->asked;
    struct pl_queue_state got = state_read(resp);
    bool fields = got.size == want->size && addresses_match(want, resp);
    bool state = got.enabled == want->enabled;
    bool kept_size = got.size == old->size, kept_addr = addresses_match(old, resp);
    const char *form = "SET_VQUEUE (size %" PRIu32 ", enabled %d) is neither applied whole nor "
                       "refused whole: cur_size %" PRIu32 ", enabled %d, desc_addr 0x%" PRIx64;
    if (old->enabled && !got.enabled)
        pl_broken(o, PL_P_queue_state, "SET_VQUEUE took an enabled queue to disabled");
    else if (fields && !state) {
        pl_broken(o, PL_P_queue_state, form, want->size, want->enabled, got.size, got.enabled,
                  got.desc_addr);
        pl_broken(o, PL_P_queue_atomic, form, want->size, want->enabled, got.size, got.enabled,
                  got.desc_addr);
        pl_broken(o, PL_P_queue_flags, form, want->size, want->enabled, got.size, got.enabled,
                  got.desc_addr);
    } else {
        bool only_size = state && addresses_match(want, resp);
        if (state || !kept_size || !kept_addr)
            pl_broken(o, PL_P_queue_field, form, want->size, want->enabled, got.size, got.enabled,
                      got.desc_addr);
        pl_broken(o, PL_P_queue_atomic, form, want->size, want->enabled, got.size, got.enabled,
                  got.desc_addr);
        if (only_size)
            pl_broken(o, PL_P_queue_sizes, "cur_size is %" PRIu32 ", %" PRIu32 " was set", got.size,
                      want->size);
    }
}

static void blame_own(struct pl_oracle *o, const struct pl_queue *q, const struct pl_msg *resp)
{
    struct pl_queue_state got = state_read(resp);
    if (q->last_predicate == PL_P_queue_svq_apply && q->before.n) {
        blame_update(o, q, resp);
        return;
    }
    pl_broken(o, q->last_predicate,
              "%s must leave the queue %s, but it reads cur_size %" PRIu32
              ", enabled %d, desc_addr 0x%" PRIx64,
              pl_kind_names[q->last_kind],
              q->last_kind == PL_SET_VQUEUE ? "as it was"
                                            : "disabled, or as it was where it is not negotiated",
              got.size, got.enabled, got.desc_addr);
    if (q->last_kind == PL_SET_VQUEUE && q->before.n && q->before.state[0].enabled && !got.enabled)
        pl_broken(o, PL_P_queue_state, "SET_VQUEUE took an enabled queue to disabled");
}

/* GET_VQUEUE shows a state that is not possible: find the request or rule to blame. */
static void blame(struct pl_oracle *o, struct pl_track *t, struct pl_queue *q,
                  const struct pl_msg *resp)
{
    struct pl_queue_state got = state_read(resp);
    if (q->overtaken && state_matches(&q->overtaken_by, resp)) {
        q->overtaken = false;
        pl_broken(o, PL_P_request_order,
                  "GET_VQUEUE overtook the SET_VQUEUE before it and showed the queue as it was");
        return;
    }
    uint64_t own = q->last_kind == PL_NONE ? q->seen_seq : q->last_seq;
    if (t->discard_seq > own && t->discard_seq > t->other_seq) {
        pl_broken(o, PL_P_discarded, "a request that had to be discarded changed queue %" PRIu32,
                  q->index);
    } else if (t->other_kind != PL_NONE && t->other_seq > own) {
        pl_broken(o,
                  t->other_kind == PL_SET_VQUEUE ? PL_P_queue_svq_unavailable
                                                 : PL_P_queue_rvq_unavailable,
                  "%s for an unavailable index changed queue %" PRIu32,
                  pl_kind_names[t->other_kind], q->index);
    } else if (q->last_kind != PL_NONE) {
        blame_own(o, q, resp);
    } else if (t->was_reset && !q->configured && (got.enabled || got.size)) {
        pl_broken(o, PL_P_reset_early,
                  "the reset was reported as ended, yet queue %" PRIu32 " reads cur_size %" PRIu32
                  ", enabled %d",
                  q->index, got.size, got.enabled);
        if (got.size)
            pl_broken(o, PL_P_queue_sizes,
                      "queue %" PRIu32 " is not configured, cur_size is %" PRIu32, q->index,
                      got.size);
        if (got.enabled)
            pl_broken(o, PL_P_queue_flags, "queue %" PRIu32 " was not enabled, flags say it is",
                      q->index);
    } else {
        pl_broken(o, PL_P_queue_sizes,
                  "queue %" PRIu32 " changed by itself: cur_size %" PRIu32 ", enabled %d", q->index,
                  got.size, got.enabled);
    }
}

/* After RESET_VQUEUE the same configuration that was accepted before must be possible again. */
static void judge_reconfiguration(struct pl_oracle *o, struct pl_track *t, struct pl_queue *q,
                                  const struct pl_msg *resp)
{
    if (q->last_kind != PL_SET_VQUEUE || q->last_predicate != PL_P_queue_svq_apply)
        return;
    if (state_matches(&q->asked, resp)) {
        if (q->reset_since && q->was_accepted)
            pl_held(o, PL_P_queue_rvq_clear);
        q->was_accepted = true;
        q->accepted = q->asked;
        q->reset_since = false;
    } else if (q->was_accepted && q->reset_since && same_state(&q->accepted, &q->asked) &&
               t->ring_reset == PL_YES && q->anew) {
        pl_broken(o, PL_P_queue_rvq_clear,
                  "a configuration that was accepted before RESET_VQUEUE is refused after it");
    }
}

static void held_for_queue(struct pl_oracle *o, struct pl_track *t, struct pl_queue *q)
{
    pl_held(o, PL_P_queue_sizes);
    pl_held(o, PL_P_queue_flags);
    if (t->other_kind != PL_NONE && t->other_seq > q->seen_seq)
        pl_held(o, t->other_kind == PL_SET_VQUEUE ? PL_P_queue_svq_unavailable
                                                  : PL_P_queue_rvq_unavailable);
    if (q->last_kind == PL_NONE)
        return;
    pl_held(o, q->last_predicate);
    if (q->last_predicate == PL_P_queue_svq_apply) {
        pl_held(o, PL_P_queue_atomic);
        pl_held(o, PL_P_queue_field);
        pl_held(o, PL_P_queue_state);
    }
}

static void judge_maximum(struct pl_oracle *o, struct pl_queue *q, uint32_t max_size)
{
    if (q->available == PL_YES && q->max_size != max_size)
        pl_broken(o, PL_P_queue_sizes,
                  "max_size of queue %" PRIu32 " was %" PRIu32 " and now reads %" PRIu32, q->index,
                  q->max_size, max_size);
    else if (max_size > PL_C_QUEUE_SIZE_MAX)
        pl_broken(o, PL_P_queue_sizes, "max_size of queue %" PRIu32 " is %" PRIu32, q->index,
                  max_size);
    q->max_size = max_size;
    q->available = max_size ? PL_YES : PL_NO;
}

static void late_read(struct pl_oracle *o, const struct pl_slot *slot, const struct pl_msg *resp)
{
    if (slot->queue.any)
        return;
    for (unsigned i = 0; i < slot->queue.n; i++)
        if (state_matches(&slot->queue.state[i], resp))
            return;
    pl_broken(o, PL_P_request_order,
              "GET_VQUEUE was answered out of its turn with a state that the queue had not then");
}

/* A queue that was not available within the range, and now is. */
static void absent_read(struct pl_oracle *o, struct pl_track *t, uint32_t index,
                        const struct pl_msg *resp)
{
    if (!resp->f[PL_F_max_size] || index >= t->info.f[PL_F_max_virtqueues])
        return;
    enum pl_predicate whose = t->other_kind == PL_SET_VQUEUE     ? PL_P_queue_svq_unavailable
                              : t->other_kind == PL_RESET_VQUEUE ? PL_P_queue_rvq_unavailable
                                                                 : PL_P_queue_sizes;
    pl_broken(o, whose, "queue %" PRIu32 " was not available, and now has max_size %" PRIu64, index,
              resp->f[PL_F_max_size]);
}

void pl_queue_read(struct pl_oracle *o, struct pl_track *t, const struct pl_slot *slot,
                   const struct pl_msg *resp)
{
    uint32_t index = (uint32_t)slot->req.f[PL_F_index];
    if (slot->state == PL_SLOT_LATE) {
        late_read(o, slot, resp);
        return;
    }
    if (t->resetting)
        return;
    if (pl_queue_absent(t, index)) {
        absent_read(o, t, index, resp);
        return;
    }
    struct pl_queue *q = pl_queue_get(t, index);
    if (!q)
        return;
    judge_maximum(o, q, (uint32_t)resp->f[PL_F_max_size]);
    if (q->available == PL_NO)
        return;
    bool possible = q->set.any;
    for (unsigned i = 0; i < q->set.n; i++)
        possible |= state_matches(&q->set.state[i], resp);
    if (possible && !q->set.any) {
        held_for_queue(o, t, q);
        judge_reconfiguration(o, t, q, resp);
    } else if (!possible && o->out_of_order) {
        pl_broken(o, PL_P_request_order,
                  "an earlier request is still unanswered, and GET_VQUEUE shows a state that the "
                  "order of requests excludes");
    } else if (!possible) {
        blame(o, t, q, resp);
    }
    q->overtaken = possible && o->out_of_order && q->last_kind == PL_SET_VQUEUE &&
                   !state_matches(&q->asked, resp);
    q->overtaken_by = q->asked;
    struct pl_queue_state seen = state_read(resp);
    if (!seen.size)
        seen.unknown = UNKNOWN_ALL;
    q->set.any = false;
    q->set.n = 1;
    q->set.state[0] = seen;
    q->last_kind = PL_NONE;
    q->configured |= seen.size != 0;
    q->seen_seq = t->seq;
}
