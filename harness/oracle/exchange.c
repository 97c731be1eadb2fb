/* Which request a message answers, and what each exchange means for the tracked state. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/bus.h"
#include "oracle/drv.h"
#include "oracle/drv_ring.h"
#include "oracle/private.h"

enum { OWN_IDS_TOO_MANY = 4 };

/* --- slots --- */

static void copy_request(struct pl_slot *slot, const struct pl_msg *req)
{
    if (req->size > slot->cap) {
        uint8_t *copy = realloc(slot->copy, req->size);
        if (!copy)
            return;
        slot->copy = copy;
        slot->cap = req->size;
    }
    if (req->size)
        memcpy(slot->copy, req->bytes, req->size);
    slot->req = *req;
    slot->req.bytes = slot->copy;
    if (req->data)
        slot->req.data = slot->copy + (req->data - req->bytes);
    if (req->fixed)
        slot->req.fixed = slot->copy + (req->fixed - req->bytes);
}

static struct pl_slot *slot_of(struct pl_oracle *o, uint64_t seq)
{
    return &o->slots[(seq - 1) % PL_SLOTS];
}

static bool is_open(const struct pl_slot *slot)
{
    return slot->state == PL_SLOT_WAITING || slot->state == PL_SLOT_LATE;
}

/*
 * The earliest request that may be open; all before it are closed for good. Walking from here keeps
 * the cost of a message independent of PL_SLOTS.
 */
static uint64_t first_open(struct pl_oracle *o)
{
    if (o->first_open + PL_SLOTS <= o->seq)
        o->first_open = o->seq - PL_SLOTS + 1;
    while (o->first_open <= o->seq && (!o->first_open || !is_open(slot_of(o, o->first_open))))
        o->first_open++;
    return o->first_open;
}

void pl_oracle_sent(struct pl_oracle *o, const void *bytes, size_t size)
{
    struct pl_msg req;
    pl_decode(o->spec, bytes, size, &req);
    pl_oracle_sent_message(o, &req);
}

void pl_oracle_sent_message(struct pl_oracle *o, const struct pl_msg *req)
{
    if (o->drv) {
        pl_drv_sent(o, req);
        pl_drv_ring_sent(o, req);
        return;
    }
    struct pl_slot *slot = &o->slots[o->next_slot];
    o->next_slot = (o->next_slot + 1) % PL_SLOTS;
    if (req->form != PL_FORM_RUNT && !req->bus)
        pl_track_get(o, req->dev_num);
    copy_request(slot, req);
    slot->state = PL_SLOT_WAITING;
    slot->seq = ++o->seq;
}

/* --- what a request does to the tracked state once its turn has come --- */

static bool accepted_by(const struct pl_msg *resp, enum pl_owed owed)
{
    return resp != NULL || owed == PL_MUST_ANSWER;
}

static void apply(struct pl_oracle *o, struct pl_track *t, struct pl_slot *slot,
                  const struct pl_msg *resp)
{
    const struct pl_msg *req = &slot->req;
    bool happened = accepted_by(resp, slot->owed);
    switch (req->kind) {
    case PL_GET_DEVICE_INFO:
        if (resp)
            pl_info_read(o, t, resp);
        break;
    case PL_GET_SHM:
        if (resp)
            pl_shm_read(o, t, req, resp);
        break;
    case PL_GET_DEVICE_FEATURES:
        if (resp)
            pl_features_read(o, t, req, resp);
        break;
    case PL_SET_DRIVER_FEATURES:
        if (slot->owed != PL_MUST_DISCARD)
            pl_features_written(t, req, happened);
        break;
    case PL_GET_CONFIG:
        if (resp)
            pl_config_read(o, t, req, resp);
        break;
    case PL_SET_CONFIG:
        if (slot->owed != PL_MUST_DISCARD)
            pl_config_written(o, t, req, resp);
        break;
    case PL_GET_DEVICE_STATUS:
        if (resp)
            pl_status_read(o, t, slot, resp);
        break;
    case PL_SET_DEVICE_STATUS:
        if (happened)
            pl_status_written(o, t, req, resp);
        else if (slot->owed == PL_MAY_ANSWER)
            t->status.any = true;
        break;
    case PL_GET_VQUEUE:
        if (resp)
            pl_queue_read(o, t, slot, resp);
        break;
    case PL_SET_VQUEUE:
    case PL_RESET_VQUEUE:
        if (slot->owed != PL_MUST_DISCARD)
            pl_queue_request(o, t, req, happened);
        break;
    default:
        break;
    }
}

/* The answer to a request whose effect was reckoned with already, at its turn. */
static void apply_late(struct pl_oracle *o, struct pl_track *t, struct pl_slot *slot,
                       const struct pl_msg *resp)
{
    if (slot->req.kind == PL_SET_CONFIG)
        pl_config_late_answer(o, t, resp);
    else if (slot->req.kind != PL_GET_CONFIG && slot->req.kind != PL_SET_DEVICE_STATUS &&
             slot->req.kind != PL_SET_VQUEUE && slot->req.kind != PL_RESET_VQUEUE &&
             slot->req.kind != PL_SET_DRIVER_FEATURES)
        apply(o, t, slot, resp);
}

/* Remember what the state was at this request's turn, for an answer that comes out of its turn. */
static void remember(struct pl_track *t, struct pl_slot *slot)
{
    slot->status = t->status;
    slot->queue.any = true;
    if (slot->req.kind != PL_GET_VQUEUE)
        return;
    for (unsigned i = 0; i < t->n_queues; i++)
        if (t->queues[i].index == slot->req.f[PL_F_index])
            slot->queue = t->queues[i].set;
}

static void note_turn(struct pl_track *t, const struct pl_slot *slot)
{
    if (t) {
        t->seq++;
        if (slot->owed != PL_MUST_DISCARD)
            t->last_kind = slot->req.kind;
    }
}

/* Requests that the device has passed over: their turn was before the one now answered. */
static void pass_over(struct pl_oracle *o, struct pl_slot *slot)
{
    struct pl_track *t =
        slot->req.bus || slot->req.form == PL_FORM_RUNT ? NULL : pl_track_get(o, slot->req.dev_num);
    slot->owed = pl_classify(o, t, &slot->req, &slot->owed_by);
    if (slot->owed == PL_MUST_DISCARD) {
        slot->state = PL_SLOT_GHOST;
        if (t) {
            t->discard_seq = ++t->seq;
            if (slot->req.kind == PL_SET_CONFIG)
                pl_config_freeze(t, &slot->req, PL_P_discarded);
        }
        pl_held(o, PL_P_discarded);
        if (slot->req.form == PL_FORM_UNKNOWN)
            pl_held(o, PL_P_unsupported);
        return;
    }
    if (t)
        remember(t, slot);
    if (t && !slot->req.bus)
        apply(o, t, slot, NULL);
    note_turn(t, slot);
    slot->state = slot->owed == PL_MUST_ANSWER ? PL_SLOT_LATE : PL_SLOT_GHOST;
}

static void pass_over_before(struct pl_oracle *o, uint64_t seq, const struct pl_msg *m)
{
    for (uint64_t k = first_open(o); k < seq; k++) {
        struct pl_slot *slot = slot_of(o, k);
        if (slot->state != PL_SLOT_WAITING)
            continue;
        bool runt = slot->req.form == PL_FORM_RUNT;
        if (runt || (slot->req.bus == m->bus && (m->bus || slot->req.dev_num == m->dev_num)))
            pass_over(o, slot);
    }
}

static bool earlier_late(struct pl_oracle *o, const struct pl_slot *answered)
{
    for (uint64_t k = first_open(o); k < answered->seq; k++) {
        const struct pl_slot *slot = slot_of(o, k);
        if (slot->state == PL_SLOT_LATE && slot->req.dev_num == answered->req.dev_num)
            return true;
    }
    return false;
}

static void facts_of(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                     const struct pl_msg *resp, struct pl_facts *f)
{
    static const struct pl_msg nothing;
    f->req = req ? req : &nothing;
    f->resp = resp;
    f->info = t ? &t->info : &nothing;
    f->max_msg_size = o->max_msg_size;
    f->strict = o->strict;
    f->queue_absent = t && req && req->kind == PL_GET_VQUEUE &&
                      pl_queue_absent(t, (uint32_t)req->f[PL_F_index]) &&
                      req->f[PL_F_index] >= t->info.f[PL_F_max_virtqueues];
    f->applied = req && resp->kind == PL_SET_CONFIG && resp->f[PL_F_length] &&
                 resp->f[PL_F_length] == req->f[PL_F_length];
}

/* --- responses --- */

/* Some implementation-defined ids may be known; when any one is answered, they are not looked at.
 */
static void judge_own_id(struct pl_oracle *o, const struct pl_slot *slot)
{
    if (o->own_ids[slot->req.msg_id])
        return;
    o->own_ids[slot->req.msg_id] = true;
    if (++o->n_own_ids == OWN_IDS_TOO_MANY)
        pl_broken(
            o, PL_P_discarded,
            "whatever implementation-defined message is sent is answered (%u different ids so far)",
            o->n_own_ids);
}

/* A write beyond the configuration space cannot have been applied whole. */
static void judge_beyond(struct pl_oracle *o, const struct pl_slot *slot, const struct pl_msg *resp)
{
    const struct pl_track *t = pl_track_get(o, slot->req.dev_num);
    uint64_t end = slot->req.f[PL_F_offset] + slot->req.f[PL_F_length];
    if (!resp || !t || t->info.kind == PL_NONE || end <= t->info.f[PL_F_config_size] ||
        !resp->f[PL_F_length] || !slot->req.f[PL_F_length])
        return;
    pl_broken(o, PL_P_config_whole,
              "a write up to byte %" PRIu64 " of %" PRIu64 " was answered as applied", end,
              t->info.f[PL_F_config_size]);
}

static void judge_answered(struct pl_oracle *o, const struct pl_slot *slot,
                           const struct pl_msg *resp)
{
    if (slot->owed == PL_MUST_DISCARD) {
        pl_broken(o, PL_P_discarded, "%s is malformed or unsupported, and was answered",
                  slot->req.def ? slot->req.def->name : "a message with an unknown id");
        if (slot->req.form == PL_FORM_UNKNOWN)
            pl_broken(o, PL_P_unsupported,
                      "message id 0x%02x is not of this revision, and was answered",
                      slot->req.msg_id);
        return;
    }
    if (slot->owed == PL_MAY_ANSWER && slot->req.kind == PL_SET_CONFIG)
        judge_beyond(o, slot, resp);
    if (slot->req.form == PL_FORM_UNKNOWN && slot->owed == PL_MAY_ANSWER && !slot->req.bus)
        judge_own_id(o, slot);
    if (slot->owed != PL_MUST_ANSWER)
        return;
    pl_held(o, PL_P_response_once);
    pl_held(o, PL_P_implemented);
    if (slot->owed_by != PL_P_response_once && slot->owed_by != PL_P_config_strict &&
        slot->owed_by != PL_P_config_baseline)
        pl_held(o, slot->owed_by);
    if (slot->owed_by != PL_P_token_opaque && slot->seq > 1)
        pl_held(o, PL_P_token_opaque);
}

static bool foreign_number(const struct pl_oracle *o, uint16_t dev_num)
{
    if (!o->numbers)
        return false;
    for (size_t i = 0; i < o->n_numbers; i++)
        if (o->numbers[i] == dev_num)
            return false;
    return true;
}

static void answer(struct pl_oracle *o, struct pl_slot *slot, const struct pl_msg *resp)
{
    bool bus = slot->req.bus;
    if (slot->state == PL_SLOT_WAITING)
        pass_over_before(o, slot->seq, &slot->req);
    struct pl_track *t =
        bus || slot->req.form == PL_FORM_RUNT ? NULL : pl_track_get(o, slot->req.dev_num);
    bool late = slot->state == PL_SLOT_LATE;
    o->out_of_order = !late && earlier_late(o, slot);
    if (!late)
        slot->owed = pl_classify(o, t, &slot->req, &slot->owed_by);
    judge_answered(o, slot, resp);
    if (resp->kind != PL_NONE)
        o->answered[resp->kind] = true;
    if (t && foreign_number(o, slot->req.dev_num))
        pl_broken(o, PL_P_own_number, "device number %u is none of the IUT's, and answered",
                  slot->req.dev_num);
    struct pl_facts f;
    facts_of(o, t, &slot->req, resp, &f);
    if (slot->owed == PL_MUST_DISCARD && slot->req.form != PL_FORM_OK) {
        /* that it was answered at all is the failure; its content has no rules */
    } else if (bus) {
        pl_run_rules(o, &f, false);
    } else if (pl_endian_judge(o, t, &slot->req, resp)) {
        pl_run_rules(o, &f, false);
        bool whole =
            resp->form == PL_FORM_OK || resp->form == PL_FORM_LONG || resp->form == PL_FORM_SIZE;
        bool sized = resp->size >= resp->expected;
        if (t && late && whole && sized)
            apply_late(o, t, slot, resp);
        else if (t && !late && slot->owed != PL_MUST_DISCARD)
            apply(o, t, slot, whole && sized ? resp : NULL);
    }
    if (!late)
        note_turn(t, slot);
    slot->state = PL_SLOT_DONE;
    o->out_of_order = false;
}

/* How well a received message fits a request: 0 not at all, 3 in every respect. */
static unsigned fit(const struct pl_oracle *o, const struct pl_slot *slot, const struct pl_msg *m)
{
    bool id = slot->req.msg_id == m->msg_id && slot->req.bus == m->bus;
    bool token = !o->spec->header.token.width || slot->req.token == m->token;
    bool number = slot->req.dev_num == m->dev_num || m->bus;
    if (id && token && number && m->response)
        return 4;
    if (id && token && m->response)
        return 3;
    if (token && number && o->spec->header.token.width)
        return 2;
    return id && number && m->response ? 1 : 0;
}

static struct pl_slot *find_slot(struct pl_oracle *o, const struct pl_msg *m, unsigned *best)
{
    struct pl_slot *found = NULL;
    *best = 4; /* an open request that fits in every respect is the best there can be */
    for (uint64_t k = first_open(o); k <= o->seq; k++)
        if (is_open(slot_of(o, k)) && fit(o, slot_of(o, k), m) == *best)
            return slot_of(o, k);
    *best = 0;
    for (unsigned k = 0; k < PL_SLOTS; k++) {
        struct pl_slot *slot = &o->slots[(o->next_slot + k) % PL_SLOTS];
        bool open = slot->state == PL_SLOT_WAITING || slot->state == PL_SLOT_LATE;
        bool seen = slot->state == PL_SLOT_GHOST || slot->state == PL_SLOT_DONE;
        if ((!open && !seen) || (slot->req.response && !open))
            continue;
        unsigned how = fit(o, slot, m);
        if (seen && how < 4)
            continue;
        how = how * 2 + open;
        if (how > *best && how >= 2) {
            *best = how;
            found = slot;
        }
    }
    *best /= 2;
    return found;
}

static void answered_again(struct pl_oracle *o, struct pl_slot *slot)
{
    if (slot->state == PL_SLOT_DONE)
        pl_broken(o, PL_P_response_once, "a second response to %s with token %u",
                  slot->req.def ? slot->req.def->name : "an unknown message", slot->req.token);
    else if (slot->owed == PL_MUST_DISCARD)
        judge_answered(o, slot, NULL);
    else if (slot->owed == PL_MUST_ANSWER)
        o->answered[slot->req.kind] = true; /* it was given up already */
    else if (!slot->req.bus && slot->req.form != PL_FORM_RUNT) {
        struct pl_track *t = pl_track_get(o, slot->req.dev_num);
        if (t)
            pl_track_forget(t); /* legal, and its effect is open */
    }
    slot->state = PL_SLOT_DONE;
}

static void misfit(struct pl_oracle *o, struct pl_slot *slot, const struct pl_msg *m, unsigned how)
{
    if (how == 3)
        pl_broken(o, PL_P_own_number, "device %u was asked, the response says dev_num %u",
                  slot->req.dev_num, m->dev_num);
    else if (how == 2)
        pl_broken(o, PL_P_response_identity, "the answer to %s has msg_id 0x%02x and type 0x%02x",
                  slot->req.def ? slot->req.def->name : "an unknown message", m->msg_id, m->type);
    else
        pl_broken(o, PL_P_token_copied, "the request's token is %u, the response's %u",
                  slot->req.token, m->token);
}

static void responded(struct pl_oracle *o, const struct pl_msg *m)
{
    unsigned how;
    struct pl_slot *slot = find_slot(o, m, &how);
    if (!slot) {
        pl_broken(o, PL_P_originates, "a response to nothing that was asked");
        return;
    }
    if (slot->state == PL_SLOT_GHOST || slot->state == PL_SLOT_DONE) {
        answered_again(o, slot);
        return;
    }
    if (how < 4)
        misfit(o, slot, m, how);
    else if (!m->bus) {
        pl_held(o, PL_P_own_number);
        pl_held(o, PL_P_response_identity);
        if (o->spec->header.token.width)
            pl_held(o, PL_P_token_copied);
    }
    if (how == 2) {
        pass_over_before(o, slot->seq + 1, &slot->req);
        slot->state = PL_SLOT_DONE;
        return;
    }
    answer(o, slot, m);
}

/* --- what the device starts --- */

static void started(struct pl_oracle *o, const struct pl_msg *m)
{
    unsigned how = 0;
    struct pl_slot *slot = m->event || m->bus ? NULL : find_slot(o, m, &how);
    if (slot && how == 2 && slot->state != PL_SLOT_DONE) {
        misfit(o, slot, m, how);
        pass_over_before(o, slot->seq + 1, &slot->req);
        slot->state = PL_SLOT_DONE;
        return;
    }
    if (m->bus || (m->msg_id & o->spec->header.implementation_bit)) {
        struct pl_facts f;
        facts_of(o, NULL, NULL, m, &f);
        if (m->bus)
            pl_run_rules(o, &f, true);
        return;
    }
    if (!m->def || m->def->from != PL_SIDE_DEVICE) {
        pl_broken(o, PL_P_originates, "the device side sent %s",
                  m->def ? m->def->name : "a message with an unknown id");
        return;
    }
    if (m->form == PL_FORM_OK || m->form == PL_FORM_SIZE)
        pl_held(o, PL_P_originates);
    else
        pl_broken(o, PL_P_originates, "%s of %zu bytes, which is not its layout", m->def->name,
                  m->size);
    struct pl_track *t = pl_track_get(o, m->dev_num);
    if (foreign_number(o, m->dev_num))
        pl_broken(o, PL_P_own_number, "an event with dev_num %u, which is none of the IUT's",
                  m->dev_num);
    struct pl_facts f;
    facts_of(o, t, NULL, m, &f);
    if (pl_endian_swapped(m->msg_size, m->size, o->spec->header.msg_size.width)) {
        pl_broken(o, PL_P_little_endian, "%s: msg_size is right only when read as big-endian",
                  m->def->name);
        return;
    }
    if (t && m->kind == PL_EVENT_CONFIG && pl_endian_event(t, m)) {
        pl_broken(o, PL_P_little_endian, "%s: a field is right only when read as big-endian",
                  m->def->name);
        return;
    }
    if (o->spec->header.token.width) {
        if (m->token == 0)
            pl_held(o, PL_P_event_token);
        else
            pl_broken(o, PL_P_event_token, "an event has no use for a token, and carries %u",
                      m->token);
    }
    pl_run_rules(o, &f, true);
    if (t && m->kind == PL_EVENT_CONFIG && m->form == PL_FORM_OK)
        pl_config_event(o, t, m);
    if (t && m->kind == PL_EVENT_USED && m->form == PL_FORM_OK)
        pl_ring_event(o, t, m);
}

void pl_oracle_received(struct pl_oracle *o, const void *bytes, size_t size)
{
    struct pl_msg m;
    pl_decode(o->spec, bytes, size, &m);
    pl_oracle_received_message(o, &m);
}

void pl_oracle_received_message(struct pl_oracle *o, const struct pl_msg *m)
{
    if (o->drv) {
        pl_drv_received(o, m);
        pl_drv_ring_received(o, m);
        return;
    }
    if (m->form == PL_FORM_RUNT) {
        pl_broken(o, PL_P_whole_header, "a message of %zu bytes is shorter than the header",
                  m->size);
        return;
    }
    if (m->event && m->response) {
        pl_broken(o, PL_P_event_no_response, "an event (msg_id 0x%02x) has the response bit set",
                  m->msg_id);
        return;
    }
    if (m->event)
        pl_held(o, PL_P_event_no_response);
    if (m->response)
        responded(o, m);
    else
        started(o, m);
}

/* --- headers without an end --- */

void pl_oracle_unframed(struct pl_oracle *o, const void *header, size_t size)
{
    struct pl_msg m;
    const struct pl_header_def *h = &o->spec->header;
    pl_decode(o->spec, header, size, &m);
    if (m.form == PL_FORM_RUNT || o->bus)
        return;
    uint32_t turned = 0, rest = m.msg_size;
    for (unsigned i = 0; i < h->msg_size.width; i++, rest >>= 8)
        turned = turned << 8 | (rest & 0xff);
    bool low = m.msg_size<h->size, high = m.msg_size> o->max_msg_size;
    bool swapped = (low || high) && turned >= h->size && turned <= o->max_msg_size;
    if (o->drv) {
        pl_drv_unframed(o, &m, swapped ? turned : 0);
        return;
    }
    if (swapped) {
        pl_broken(o, PL_P_little_endian, "msg_size 0x%04x is possible only when read as big-endian",
                  m.msg_size);
        return;
    }
    pl_broken(o, PL_P_whole_header, "msg_size is %u, %s", m.msg_size,
              low    ? "less than the header"
              : high ? "more than the bus carries"
                     : "and so many bytes never come");
    if (high)
        pl_broken(o, PL_P_within_maximum, "msg_size is %u, the bus carries at most %u", m.msg_size,
                  o->max_msg_size);
}

/* --- the end of waiting --- */

/* A kind that was never answered is not implemented, as far as can be told by now. */
static void missing(struct pl_oracle *o, struct pl_slot *slot)
{
    enum pl_kind kind = slot->req.kind;
    const char *form = "%s (token %u) was not answered";
    slot->state = PL_SLOT_GHOST;
    if (!o->answered[kind]) {
        if (!o->missed[kind]++)
            o->missed_by[kind] = slot->owed_by;
        pl_broken(o, PL_P_implemented, form, slot->req.def->name, slot->req.token);
        return;
    }
    pl_broken(o, PL_P_response_once, form, slot->req.def->name, slot->req.token);
    if (slot->owed_by != PL_P_response_once)
        pl_broken(o, slot->owed_by, form, slot->req.def->name, slot->req.token);
}

void pl_oracle_settle(struct pl_oracle *o)
{
    if (o->drv || o->bus) {
        if (o->drv) {
            pl_drv_settle(o);
            pl_drv_ring_settle(o);
        } else {
            pl_bus_judge_settle(o);
        }
        return;
    }
    for (unsigned k = 0; k < PL_SLOTS; k++) {
        struct pl_slot *slot = &o->slots[(o->next_slot + k) % PL_SLOTS];
        if (slot->state == PL_SLOT_WAITING)
            pass_over(o, slot);
        if (slot->state == PL_SLOT_LATE)
            missing(o, slot);
    }
    for (unsigned i = 0; i < o->n_tracks; i++) {
        struct pl_track *t = o->tracks[i];
        if (t->change_pending)
            pl_broken(o, PL_P_config_reported,
                      "the device changed %" PRIu32 " bytes at offset %" PRIu32
                      " of its configuration and sent no EVENT_CONFIG",
                      t->change_len, t->change_offset);
        if (t->reset_untold)
            pl_broken(o, PL_P_needs_reset_notified,
                      "DEVICE_NEEDS_RESET was set while DRIVER_OK is, and no EVENT_CONFIG says so");
        pl_suspend_settle(o, t);
        t->change_pending = t->racing = t->reset_untold = false;
        pl_config_settle(o, t);
        pl_ring_settle(o, t);
    }
}

unsigned pl_oracle_owed(const struct pl_oracle *o)
{
    if (o->drv)
        return pl_drv_owed(o) + pl_drv_ring_owed(o);
    if (o->bus)
        return pl_bus_judge_owed(o);
    struct pl_oracle *own = (struct pl_oracle *)(uintptr_t)o; /* nothing that can be seen changes */
    unsigned n = 0;
    for (uint64_t k = first_open(own); k <= o->seq; k++) {
        const struct pl_slot *slot = slot_of(own, k);
        enum pl_predicate p;
        if (slot->state == PL_SLOT_LATE)
            n++;
        else if (slot->state == PL_SLOT_WAITING && slot->req.form != PL_FORM_RUNT)
            n += pl_classify(own, slot->req.bus ? NULL : pl_track_get(own, slot->req.dev_num),
                             &slot->req, &p) == PL_MUST_ANSWER;
    }
    return n;
}
