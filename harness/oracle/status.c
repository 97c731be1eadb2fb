/* The device status: the set of values it can have, and who lies when two reports disagree. */
#include <inttypes.h>
#include <string.h>

#include "oracle/private.h"

#define FEATURES_OK ((uint32_t)PL_C_STATUS_FEATURES_OK)
#define NEEDS_RESET ((uint32_t)PL_C_STATUS_DEVICE_NEEDS_RESET)
#define KNOWN_BITS                                                                                 \
    ((uint32_t)(PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER | PL_C_STATUS_DRIVER_OK |             \
                PL_C_STATUS_FEATURES_OK | PL_C_STATUS_DEVICE_NEEDS_RESET | PL_C_STATUS_FAILED))

void pl_status_one(struct pl_status_set *set, uint32_t value)
{
    set->any = false;
    set->n = 1;
    set->v[0] = value;
}

bool pl_status_has(const struct pl_status_set *set, uint32_t value)
{
    for (unsigned i = 0; i < set->n; i++)
        if (set->v[i] == value)
            return true;
    return set->any;
}

bool pl_status_all(const struct pl_status_set *set, uint32_t bits)
{
    for (unsigned i = 0; i < set->n; i++)
        if ((set->v[i] & bits) != bits)
            return false;
    return !set->any && set->n > 0;
}

bool pl_status_never(const struct pl_status_set *set, uint32_t bits)
{
    for (unsigned i = 0; i < set->n; i++)
        if (set->v[i] & bits)
            return false;
    return !set->any;
}

/* A write whose outcome core virtio defines: bits are only added, and in their order. */
static bool write_is_legal(const struct pl_status_set *set, uint32_t s)
{
    if (set->any || set->n != 1)
        return false;
    uint32_t p = set->v[0];
    if ((s & p) != p || (s & ~KNOWN_BITS) || ((s & ~p) & NEEDS_RESET))
        return false;
    if ((s & PL_C_STATUS_DRIVER) && !(s & PL_C_STATUS_ACKNOWLEDGE))
        return false;
    if ((s & FEATURES_OK) && !(s & PL_C_STATUS_DRIVER))
        return false;
    return !(s & PL_C_STATUS_DRIVER_OK) || (s & FEATURES_OK);
}

/* FEATURES_OK was asked for anew: was the answer right for the selection? */
static void judge_features(struct pl_oracle *o, struct pl_track *t, uint32_t s, uint32_t r)
{
    bool newly = (s & FEATURES_OK) && pl_status_never(&t->status, FEATURES_OK);
    if (!newly)
        return;
    bool taken = (r & FEATURES_OK) != 0;
    if (!t->selection_odd && !pl_features_unoffered(t)) {
        o->features_tried++;
        o->features_taken += taken;
    }
    if (!t->selection_odd)
        pl_features_decided(o, t, taken);
    uint64_t block = PL_C_F_RING_RESET / 32;
    uint32_t bit = UINT32_C(1) << (PL_C_F_RING_RESET % 32);
    bool asked = (t->selected_known >> block & 1) && (t->selected[block] & bit);
    bool offered = !(t->offered_known >> block & 1) || (t->offered[block] & bit);
    if (!taken || !asked)
        t->ring_reset = t->selection_odd ? PL_UNSURE : PL_NO;
    else
        t->ring_reset = offered && !t->selection_odd ? PL_YES : PL_UNSURE;
}

static void reset_written(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *resp)
{
    if (resp && resp->f[PL_F_status] == 0) {
        pl_track_reset(t);
        pl_held(o, PL_P_reset_completes);
        pl_used(o, PL_P_reset_sync);
    } else {
        pl_track_forget(t);
        t->resetting = true;
        t->written_in_reset = false;
    }
}

/* What a write whose answer is still due can have led to. */
static void possible_outcomes(struct pl_status_set *set, uint32_t s, bool legal)
{
    bool newly = (s & FEATURES_OK) && pl_status_never(set, FEATURES_OK);
    if (!legal) {
        set->any = true;
        return;
    }
    pl_status_one(set, s);
    set->v[set->n++] = s | NEEDS_RESET;
    if (newly) {
        set->v[set->n++] = s & ~FEATURES_OK;
        set->v[set->n++] = (s & ~FEATURES_OK) | NEEDS_RESET;
    }
}

/* The response reports the status that was asked for, or one that is legal instead of it. */
static void plain_written(struct pl_oracle *o, struct pl_track *t, uint32_t s,
                          const struct pl_msg *resp)
{
    if (pl_suspend_written(o, t, s, resp))
        return;
    bool legal = write_is_legal(&t->status, s);
    t->disordered |= !legal && !t->status.any && t->status.n == 1;
    if (!resp) {
        possible_outcomes(&t->status, s, legal);
        t->ring_reset = PL_UNSURE;
        t->told_fresh = false;
        return;
    }
    uint32_t r = (uint32_t)resp->f[PL_F_status];
    if (legal)
        judge_features(o, t, s, r);
    else if (s & FEATURES_OK)
        t->ring_reset = PL_UNSURE;
    t->had_needs_reset = pl_status_all(&t->status, NEEDS_RESET);
    t->asked = s;
    t->told = r;
    t->told_fresh = true;
    t->told_legal = legal;
    t->written_since_reset = true;
    pl_status_one(&t->status, r);
    t->agreed_seq = t->seq + 1;
}

void pl_status_written(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                       const struct pl_msg *resp)
{
    uint32_t s = (uint32_t)req->f[PL_F_status];
    if (resp)
        pl_held(o, PL_P_status_event);
    if (t->resetting && s != 0) {
        if (resp && resp->f[PL_F_status] == 0)
            pl_status_one(&t->status, 0);
        t->status.any = true;
        t->written_in_reset = true;
        return;
    }
    if (s == 0)
        reset_written(o, t, resp);
    else
        plain_written(o, t, s, resp);
}

/* Two reports disagree: tell whether the written one, the read one or a reset is to blame. */
static void judge_mismatch(struct pl_oracle *o, struct pl_track *t, uint32_t g)
{
    uint32_t known = t->status.v[0];
    if (t->discard_seq > t->agreed_seq) {
        pl_broken(o, PL_P_discarded,
                  "a request that had to be discarded took the status from 0x%" PRIx32
                  " to 0x%" PRIx32,
                  known, g);
        return;
    }
    if (g == 0 || (t->was_reset && !t->written_since_reset)) {
        if (t->was_reset)
            pl_broken(o, PL_P_reset_early,
                      "the reset was reported as ended, yet the status went from 0x%" PRIx32
                      " to 0x%" PRIx32 " without being written",
                      known, g);
        else
            pl_broken(o, PL_P_status_read,
                      "status was 0x%" PRIx32 ", GET_DEVICE_STATUS says 0x%" PRIx32, known, g);
        return;
    }
    bool told_lies =
        t->told_fresh && (g == t->asked || (g | FEATURES_OK) != (t->told | FEATURES_OK));
    if (t->told_fresh && (t->told & ~g) == FEATURES_OK && pl_features_unoffered(t))
        told_lies = true;
    if (t->told_fresh && t->told == t->asked && (g | FEATURES_OK) != (t->asked | FEATURES_OK))
        told_lies = false;
    if (told_lies)
        pl_broken(o, PL_P_status_told,
                  "SET_DEVICE_STATUS 0x%" PRIx32 " was answered with 0x%" PRIx32
                  ", but the status then reads 0x%" PRIx32,
                  t->asked, t->told, g);
    else
        pl_broken(o, PL_P_status_read,
                  "the status is 0x%" PRIx32 ", GET_DEVICE_STATUS says 0x%" PRIx32, known, g);
}

static bool explained(const struct pl_status_set *set, uint32_t g)
{
    if (pl_status_has(set, g))
        return true;
    for (unsigned i = 0; i < set->n; i++)
        if ((set->v[i] | NEEDS_RESET) == g)
            return true;
    return false;
}

/* Requests that came since the status was last read otherwise may have met the device behind the
 * end of its reset, though no driver may send them before it has seen that. */
static void doubt_requests(struct pl_track *t)
{
    for (unsigned i = 0; i < t->n_queues; i++)
        if (t->queues[i].in_reset)
            pl_queue_reset(&t->queues[i], false);
    t->selection_odd |= t->features_in_reset;
}

static void forget_requests(struct pl_track *t)
{
    for (unsigned i = 0; i < t->n_queues; i++)
        t->queues[i].in_reset = false;
    t->features_in_reset = false;
}

static void read_in_reset(struct pl_oracle *o, struct pl_track *t, uint32_t g)
{
    if (g == 0) {
        pl_track_reset(t);
        pl_held(o, PL_P_reset_completes);
        pl_used(o, PL_P_reset_async);
        doubt_requests(t);
    }
    if (g == 0 || !t->written_in_reset)
        forget_requests(t);
}

void pl_status_read(struct pl_oracle *o, struct pl_track *t, const struct pl_slot *slot,
                    const struct pl_msg *resp)
{
    uint32_t g = (uint32_t)resp->f[PL_F_status];
    bool late = slot->state == PL_SLOT_LATE;
    const struct pl_status_set *set = late ? &slot->status : &t->status;

    if (t->needs_reset_asked) {
        if (g & NEEDS_RESET) {
            pl_held(o, PL_P_needs_reset_shown);
        } else {
            pl_broken(o, PL_P_needs_reset_shown,
                      "after an unrecoverable error the status reads 0x%" PRIx32, g);
        }
        t->needs_reset_asked = false;
    }
    if (late && set->any)
        return;
    if (t->resetting && !late) {
        read_in_reset(o, t, g);
        return;
    }
    if (t->told_fresh && t->had_needs_reset && !late && !(t->told & NEEDS_RESET) &&
        (g & NEEDS_RESET)) {
        pl_broken(
            o, PL_P_status_told,
            "DEVICE_NEEDS_RESET is set before and after SET_DEVICE_STATUS, whose answer 0x%" PRIx32
            " does not show it",
            t->told);
        t->told_fresh = false;
    } else if (explained(set, g)) {
        if (!set->any) {
            pl_held(o, PL_P_status_read);
            pl_held(o, PL_P_request_order);
            if (t->was_reset)
                pl_held(o, PL_P_reset_early);
        }
        if (t->told_fresh && !late && !set->any) {
            pl_held(o, PL_P_status_told);
            t->told_fresh = false;
        }
    } else if (late || o->out_of_order) {
        pl_broken(o, PL_P_request_order,
                  "an earlier request is still unanswered, and the status reads 0x%" PRIx32
                  " where the order of requests makes it 0x%" PRIx32,
                  g, set->n ? set->v[0] : 0);
    } else {
        judge_mismatch(o, t, g);
        t->told_fresh = false;
    }
    if (!late) {
        t->reset_untold |= !t->reset_told && (g & NEEDS_RESET) &&
                           pl_status_all(&t->status, (uint32_t)PL_C_STATUS_DRIVER_OK) &&
                           pl_status_never(&t->status, NEEDS_RESET);
        t->reset_bit_unreported |= (g & NEEDS_RESET) && pl_status_never(&t->status, NEEDS_RESET);
        pl_status_one(&t->status, g);
        t->agreed_seq = t->seq + 1;
        pl_suspend_seen(o, t, g);
    }
}
