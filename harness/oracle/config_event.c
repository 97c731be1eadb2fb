/* EVENT_CONFIG: what it may report, what it must report, and what it was caused by. */
#include <inttypes.h>
#include <string.h>

#include "oracle/config_private.h"
#include "oracle/private.h"

/* A request of this kind under way; `mismatch`: with another generation than the current. */
static const struct pl_msg *waiting_for(const struct pl_oracle *o, const struct pl_track *t,
                                        enum pl_kind kind, bool *mismatch)
{
    for (unsigned i = 0; i < PL_SLOTS; i++) {
        const struct pl_slot *slot = &o->slots[i];
        if (slot->state != PL_SLOT_WAITING || slot->req.dev_num != t->dev_num ||
            slot->req.kind != kind)
            continue;
        if (mismatch)
            *mismatch = t->gen_known && slot->req.f[PL_F_generation] != t->gen;
        return &slot->req;
    }
    return NULL;
}

/* Is something under way that had to be discarded, and may have caused this instead? */
static bool discard_waiting(struct pl_oracle *o, struct pl_track *t)
{
    for (unsigned i = 0; i < PL_SLOTS; i++) {
        enum pl_predicate p;
        const struct pl_slot *slot = &o->slots[i];
        if (slot->state == PL_SLOT_WAITING && slot->req.form != PL_FORM_RUNT && !slot->req.bus &&
            slot->req.dev_num == t->dev_num &&
            pl_classify(o, t, &slot->req, &p) == PL_MUST_DISCARD &&
            slot->req.kind != PL_EVENT_AVAIL)
            return true;
    }
    return false;
}

static bool status_waiting_has(const struct pl_oracle *o, const struct pl_track *t, uint64_t status)
{
    for (unsigned i = 0; i < PL_SLOTS; i++) {
        const struct pl_slot *slot = &o->slots[i];
        if (slot->state == PL_SLOT_WAITING && slot->req.dev_num == t->dev_num &&
            slot->req.kind == PL_SET_DEVICE_STATUS && slot->req.f[PL_F_status] == status)
            return true;
    }
    return false;
}

/* A device can turn DEVICE_NEEDS_RESET on; any other new status must have been written. */
static bool status_possible(const struct pl_oracle *o, const struct pl_track *t, uint32_t status)
{
    if (t->resetting || t->status.any || status_waiting_has(o, t, status) ||
        waiting_for(o, t, PL_SET_DEVICE_STATUS, NULL))
        return true;
    for (unsigned i = 0; i < t->status.n; i++)
        if (status == t->status.v[i] || status == (t->status.v[i] | PL_C_STATUS_DEVICE_NEEDS_RESET))
            return true;
    return t->last_kind == PL_SET_DEVICE_STATUS; /* sent before that write was processed */
}

static bool bytes_differ(const struct pl_track *t, const struct pl_msg *ev)
{
    for (uint32_t i = 0; i < ev->data_len; i++) {
        uint64_t at = ev->f[PL_F_offset] + i;
        if (at < t->config_cap && (!t->config_known[at] || t->config[at] != ev->data[i]))
            return true;
    }
    return false;
}

static bool reports_own_write(const struct pl_oracle *o, const struct pl_track *t,
                              const struct pl_msg *ev)
{
    uint64_t first = ev->f[PL_F_offset], end = first + ev->f[PL_F_length];
    bool mismatch = false;
    const struct pl_msg *write = waiting_for(o, t, PL_SET_CONFIG, &mismatch);
    if (write && !(o->strict && mismatch) && write->data_len && pl_config_alters(t, write))
        return true;
    return t->wrote && (end == first || (first < (uint64_t)t->wrote_offset + t->wrote_len &&
                                         end > t->wrote_offset));
}

static void blame_spurious(struct pl_oracle *o, struct pl_track *t)
{
    bool mismatch = false;
    bool waiting_config = waiting_for(o, t, PL_SET_CONFIG, &mismatch) != NULL;
    bool waiting_status = waiting_for(o, t, PL_SET_DEVICE_STATUS, NULL) != NULL;
    const char *what = "EVENT_CONFIG with neither a new status nor a new generation";
    if (!waiting_status && discard_waiting(o, t)) {
        pl_broken(o, PL_P_discarded, "%s follows a message that had to be discarded", what);
    } else if (waiting_status || (!waiting_config && t->last_kind == PL_SET_DEVICE_STATUS)) {
        pl_broken(o, PL_P_status_event, "%s follows a status write of the driver", what);
        pl_broken(o, PL_P_event_status_origin, "%s follows a status write of the driver", what);
    } else if ((waiting_config && mismatch) ||
               (t->last_kind == PL_SET_CONFIG && t->last_mismatch)) {
        pl_broken(o, PL_P_config_event_mismatch,
                  "%s follows a SET_CONFIG that carried another generation", what);
    } else {
        pl_broken(o, PL_P_event_status_origin, "%s came with no change that it could report", what);
    }
}

/* What of the change is still to be reported once this event is counted? */
static bool change_covered(struct pl_track *t, const struct pl_msg *ev, bool late)
{
    uint64_t first = ev->f[PL_F_offset], end = first + ev->f[PL_F_length];
    bool left = false;
    for (uint32_t i = 0; i < t->change_len; i++) {
        uint64_t at = (uint64_t)t->change_offset + i;
        bool same =
            late || at - first >= ev->data_len || ev->data[at - first] == t->change_bytes[i];
        if (end == first || (at >= first && at < end && same))
            t->change_left[i] = 0;
        left |= t->change_left[i];
    }
    return !left;
}

/* A change that control asked for is being reported; or, where `late`, perhaps an older one. */
static void report_change(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *ev,
                          bool late)
{
    uint32_t gen = (uint32_t)ev->f[PL_F_generation];
    if (change_covered(t, ev, late)) {
        pl_held(o, PL_P_config_reported);
        t->change_pending = false;
    }
    if (t->change_real && t->change_before_known && !late) {
        t->event_stale = gen == t->gen_before;
        if (!t->event_stale)
            pl_held(o, PL_P_gen_event);
    }
    if (o->strict && t->change_large && !ev->data_len && !late) {
        if (pl_config_covers(ev->f[PL_F_offset], ev->f[PL_F_length], t))
            pl_held(o, PL_P_event_range);
        else
            pl_broken(o, PL_P_event_range,
                      "bytes %" PRIu32 " to %" PRIu32 " changed, EVENT_CONFIG names offset %" PRIu64
                      " and length %" PRIu64,
                      t->change_offset, t->change_offset + t->change_len - 1, ev->f[PL_F_offset],
                      ev->f[PL_F_length]);
    }
}

static void judge_status_event(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *ev)
{
    if (ev->f[PL_F_offset] == 0 && ev->f[PL_F_length] == 0)
        pl_held(o, PL_P_event_status_only);
    else
        pl_broken(o, PL_P_event_status_only,
                  "only the status changed, EVENT_CONFIG names offset %" PRIu64
                  " and length %" PRIu64,
                  ev->f[PL_F_offset], ev->f[PL_F_length]);
    pl_held(o, PL_P_event_status_origin);
    for (unsigned i = 0; i < t->status.n; i++)
        t->status.v[i] |= (uint32_t)(ev->f[PL_F_device_status] & PL_C_STATUS_DEVICE_NEEDS_RESET);
}

void pl_config_event(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *ev)
{
    uint32_t gen = (uint32_t)ev->f[PL_F_generation];
    uint32_t status = (uint32_t)ev->f[PL_F_device_status];
    bool reported = false; /* a change that control asked for */
    bool overtaken = t->moved_unreported > 0;
    bool late = t->late > 1 || (t->late && !t->change_pending) || t->trails; /* of an older one? */
    t->late -= t->late > 0;
    if (status & PL_C_STATUS_DEVICE_NEEDS_RESET) {
        if (pl_status_all(&t->status, (uint32_t)PL_C_STATUS_DRIVER_OK))
            pl_held(o, PL_P_needs_reset_notified);
        t->reset_untold = false;
        t->reset_told = true;
    }
    if (pl_suspend_event(o, t, ev))
        return;
    if (t->was_reset && !t->written_since_reset && status != 0 && !t->resetting) {
        if (!pl_waiting(o, t, PL_SET_DEVICE_STATUS))
            pl_broken(o, PL_P_event_after_reset,
                      "the reset has ended, and an EVENT_CONFIG says status 0x%" PRIx32, status);
        return;
    }
    if (t->resetting || t->status.any || t->racing)
        goto learn;
    bool new_status = !pl_status_has(&t->status, status) && !status_waiting_has(o, t, status);
    bool new_gen = !t->gen_known || gen != t->gen;
    /* It tells of the error that control asked for, or of one of the device's own, whatever the
     * driver wrote meanwhile: this very bit, even. */
    uint32_t needs_reset = (uint32_t)PL_C_STATUS_DEVICE_NEEDS_RESET;
    bool asked = (status & needs_reset) &&
                 (t->needs_reset_asked || pl_status_never(&t->status, needs_reset));
    if (!status_possible(o, t, status)) {
        if (discard_waiting(o, t))
            pl_broken(o, PL_P_discarded,
                      "an EVENT_CONFIG follows a message that had to be discarded");
        else
            pl_broken(o, PL_P_event_status_origin,
                      "EVENT_CONFIG says status 0x%" PRIx32 ", which it is not", status);
    }
    if (!ev->f[PL_F_offset] && !ev->f[PL_F_length] && !ev->data_len && !new_status)
        pl_used(o, PL_P_event_generic);
    if (!t->change_pending)
        t->change_unread = false; /* the device has gone on by itself */
    reported = t->change_pending;
    if (t->change_pending) {
        report_change(o, t, ev, late);
    } else if ((t->moved_unreported && (!new_gen || gen == t->gen_old)) ||
               (t->reset_bit_unreported && (status & PL_C_STATUS_DEVICE_NEEDS_RESET))) {
        t->trails |= late && t->restless;
        t->suspect &= !t->moved_unreported;
        t->moved_unreported -= t->moved_unreported > 0; /* overtaken by a response */
        t->reset_bit_unreported = false;
        t->n_history = 0;
        return;
    } else if (!new_gen && !new_status && !asked && !reports_own_write(o, t, ev) &&
               !bytes_differ(t, ev)) {
        t->trails |= late && t->restless;
        t->suspect &= !late;
        if (!late)
            blame_spurious(o, t);
        return;
    } else if (t->gen_known && !new_gen && new_status && !t->wrote && !late) {
        judge_status_event(o, t, ev);
    }
    for (unsigned i = 0; i < t->status.n; i++)
        t->status.v[i] |= status & (uint32_t)PL_C_STATUS_DEVICE_NEEDS_RESET;
learn:
    t->frozen_valid = t->suspect = t->reset_bit_unreported = false;
    t->moved_unreported = 0;
    t->event_unread = !t->racing;
    t->event_gen = gen;
    if (!ev->f[PL_F_length] && !ev->data_len && !t->resetting && !t->racing && !reported &&
        !overtaken)
        pl_gen_history(o, t, gen, PL_EVENT_CONFIG);
    else
        t->n_history = 0;
    t->after_write = t->gen_known = false;
    t->wrote = false;
    pl_gen_note(o, t, gen);
    if (ev->data_len == ev->f[PL_F_length])
        pl_config_learn(t, ev->f[PL_F_offset], ev->data, ev->data_len, READ);
}
