/* Transport messages that come out of a bus under test: each is one that was put in, or none. */
#include "oracle/bus.h"

#include <string.h>

static const char *name_of(const struct pl_msg *m)
{
    return m->def ? m->def->name : "an unknown message";
}

static const char *side_of(enum pl_bus_side side)
{
    return side == PL_BUS_DRIVER_SIDE ? "driver side" : "device side";
}

enum pl_bus_likeness pl_bus_compare(const struct pl_oracle *o, const struct pl_msg *a,
                                    const struct pl_msg *b)
{
    if (a->msg_id != b->msg_id || a->bus != b->bus || a->response != b->response)
        return PL_LIKE_NOT;
    size_t head = (size_t)(a->size < b->size ? a->size : b->size);
    size_t skip = o->spec->header.size < head ? o->spec->header.size : head;
    bool same = memcmp(a->bytes + skip, b->bytes + skip, head - skip) == 0;
    if (!same)
        return PL_LIKE_CHANGED;
    if (a->size == b->size)
        return PL_LIKE_SAME;
    return a->size < b->size ? PL_LIKE_PADDED : PL_LIKE_CUT;
}

void pl_bus_padding(struct pl_oracle *o, const struct pl_msg *m, size_t from)
{
    for (size_t i = from; i < m->size; i++) {
        if (!m->bytes[i])
            continue;
        pl_broken(o, PL_P_bus_padding_zero, "byte %zu, which the bus put behind the message, is %u",
                  i, m->bytes[i]);
        return;
    }
    pl_held(o, PL_P_bus_padding_zero);
}

/* --- changes of a payload that the draft asks for --- */

/* VIRTIO_F_NOTIFICATION_DATA alone was taken out of a feature block (AVAIL-BUS-01). */
static bool masks_notification_data(const struct pl_msg *a, const struct pl_msg *b)
{
    bool features = a->kind == PL_GET_DEVICE_FEATURES || a->kind == PL_SET_DRIVER_FEATURES;
    const uint32_t bit = PL_C_F_NOTIFICATION_DATA;
    if (!features || a->size != b->size || !a->data || !b->data || a->data_len != b->data_len ||
        a->f[PL_F_block_index] != b->f[PL_F_block_index] || bit / 32 < a->f[PL_F_block_index])
        return false;
    size_t at = (size_t)(bit / 32 - a->f[PL_F_block_index]) * 4 + bit % 32 / 8;
    for (size_t i = 0; i < a->data_len; i++) {
        uint8_t mask = i == at ? (uint8_t)(1u << bit % 8) : 0;
        if ((a->data[i] & ~mask) != b->data[i])
            return false;
    }
    return true;
}

/* Does a message differ from what was put in as no bus may? Says so. */
static void judge_payload(struct pl_oracle *o, const struct pl_msg *in, const struct pl_msg *out)
{
    enum pl_bus_likeness like = pl_bus_compare(o, in, out);
    bool avail = in->kind == PL_EVENT_AVAIL && in->form == PL_FORM_OK;
    if (like == PL_LIKE_CHANGED && masks_notification_data(in, out)) {
        o->bus->masks_data = true;
        pl_held(o, PL_P_bus_avail_data);
    } else if (like == PL_LIKE_CHANGED && avail &&
               in->f[PL_F_next_offset] != out->f[PL_F_next_offset] && !o->bus->masks_data) {
        pl_broken(o, PL_P_bus_avail_data,
                  "EVENT_AVAIL of device %u came out with next_offset 0x%llx in place of 0x%llx, "
                  "and VIRTIO_F_NOTIFICATION_DATA can be negotiated",
                  in->dev_num, (unsigned long long)out->f[PL_F_next_offset],
                  (unsigned long long)in->f[PL_F_next_offset]);
    } else if (like == PL_LIKE_CUT) {
        pl_broken(o, PL_P_bus_whole, "%s of device %u was forwarded with %zu of its %zu bytes",
                  name_of(in), in->dev_num, out->size, in->size);
    } else if (like == PL_LIKE_CHANGED) {
        pl_broken(o, PL_P_bus_opaque, "the payload of %s of device %u was changed on its way",
                  name_of(in), in->dev_num);
    } else {
        pl_held(o, PL_P_bus_opaque);
        pl_held(o, PL_P_bus_whole);
        if (avail)
            pl_held(o, PL_P_bus_avail_data);
    }
    if (like == PL_LIKE_PADDED || out->msg_size != in->msg_size)
        pl_bus_padding(o, out, in->size);
    if (out->msg_size != in->msg_size && out->msg_size != out->size)
        pl_broken(o, PL_P_bus_relayed, "%s of device %u came out with msg_size %u in place of %u",
                  name_of(in), in->dev_num, out->msg_size, in->msg_size);
}

/* --- finding what was put in --- */

/* What a bus may ask a device by itself: is it there, how is it. */
static bool is_probe(const struct pl_oracle *o, const struct pl_msg *m)
{
    return !m->response && m->form == PL_FORM_OK &&
           (m->kind == PL_GET_DEVICE_INFO || m->kind == o->spec->fence);
}

/* How well a slot explains a message, 0: not at all. */
static unsigned rank(const struct pl_oracle *o, const struct pl_bus_slot *slot,
                     const struct pl_msg *m)
{
    enum pl_bus_likeness like = pl_bus_compare(o, &slot->m, m);
    bool same = like == PL_LIKE_SAME || like == PL_LIKE_PADDED;
    bool device = slot->m.dev_num == m->dev_num, token = slot->m.token == m->token;
    if (like == PL_LIKE_NOT)
        return 0;
    if (slot->far.forwarded)
        return same && device ? 2 : 0;
    if (same && device)
        return token ? 9 : 8;
    if (same)
        return token ? 7 : is_probe(o, m) ? 0 : 5;
    if (!device)
        return 0;
    return like == PL_LIKE_CUT ? 6 : token && !slot->m.event ? 6 : 4;
}

/* Nothing was put behind it but zeros. */
static bool is_clean(const struct pl_bus_slot *slot, const struct pl_msg *m)
{
    for (size_t i = slot->m.size; i < m->size; i++)
        if (m->bytes[i])
            return false;
    return true;
}

static struct pl_bus_slot *find(struct pl_oracle *o, enum pl_bus_side given, const struct pl_msg *m)
{
    struct pl_bus_slot *best = NULL;
    unsigned most = 0;
    for (unsigned k = 0; k < PL_BUS_SLOTS; k++) {
        struct pl_bus_slot *slot = pl_bus_slot_at(o->bus, k);
        if (slot->state == PL_BUS_FREE || slot->side != given || slot->m.bus ||
            slot->m.form == PL_FORM_RUNT)
            continue;
        unsigned now = 8 * rank(o, slot, m);
        now += now && is_clean(slot, m) ? 4 : 0;
        now += now && !slot->failed ? 2 : 0; /* of what failed, less is to be expected */
        now += now && slot->route == PL_ROUTE_DUE && slot->state == PL_BUS_OPEN;
        /* Of those that are alike, one whose size lies may have been discarded. */
        now = 2 * now + (now && slot->m.msg_size == m->msg_size);
        if (now > most ||
            (now && now == most && slot->far.forwarded)) { /* of duplicates the newest */
            most = now;
            best = slot;
        }
    }
    return best;
}

/* --- a request or event comes out on the other side --- */

static void judge_route(struct pl_oracle *o, struct pl_bus_slot *slot, const struct pl_msg *m)
{
    struct pl_bus_judge *b = o->bus;
    const struct pl_bus_number *n;
    switch (slot->route) {
    case PL_ROUTE_NONE:
        n = pl_bus_number_find(b, m->dev_num);
        if (n && n->present) /* it has come since */
            break;
        pl_broken(o, PL_P_bus_number_checked,
                  "%s for device %u was forwarded, which does not exist", name_of(m), m->dev_num);
        if (n && n->told_gone && slot->side == PL_BUS_DRIVER_SIDE)
            pl_broken(o, PL_P_bus_edev_removed,
                      "device %u was REMOVED, and %s for it is still forwarded", m->dev_num,
                      name_of(m));
        break;
    case PL_ROUTE_BIG:
        if (pl_bus_compare(o, &slot->m, m) == PL_LIKE_CUT)
            break;
        b->big_passed[slot->side] = true;
        if (b->big_stopped[!slot->side])
            pl_broken(o, PL_P_bus_limit_even,
                      "a message of %zu bytes from the %s passes, and in the other direction it "
                      "does not",
                      m->size, side_of(slot->side));
        break;
    case PL_ROUTE_DUE:
        pl_held(o, PL_P_bus_number_checked);
        pl_held(o, PL_P_bus_relayed);
        if (m->kind == PL_NONE)
            pl_held(o, PL_P_bus_any_id);
        if (slot->m.type & o->spec->header.reserved_bits)
            pl_held(o, PL_P_bus_reserved);
        break;
    default:
        break;
    }
}

static void judge_device(struct pl_oracle *o, const struct pl_bus_slot *slot,
                         const struct pl_msg *m)
{
    const struct pl_bus_number *other = pl_bus_number_find(o->bus, m->dev_num);
    if (slot->m.dev_num == m->dev_num) {
        pl_held(o, PL_P_bus_dev_num_kept);
        if (slot->route == PL_ROUTE_DUE)
            pl_held(o, PL_P_bus_number_unique);
        return;
    }
    pl_broken(o, PL_P_bus_dev_num_kept, "%s for device %u came out for device %u", name_of(m),
              slot->m.dev_num, m->dev_num);
    pl_broken(o, PL_P_bus_relayed, "%s for device %u came out for device %u", name_of(m),
              slot->m.dev_num, m->dev_num);
    if (other && other->present)
        pl_broken(o, PL_P_bus_number_unique,
                  "devices %u and %u are reached by one number: %s for %u came out for %u",
                  slot->m.dev_num, m->dev_num, name_of(m), slot->m.dev_num, m->dev_num);
}

static void judge_order(struct pl_oracle *o, const struct pl_bus_slot *slot, const struct pl_msg *m)
{
    struct pl_bus_judge *b = o->bus;
    const struct pl_bus_number *n = pl_bus_number_find(b, m->dev_num);
    if (!n || is_probe(o, m))
        return;
    uint64_t *last = &b->last_forwarded[n - b->numbers];
    if (slot->seq < *last)
        pl_broken(o, PL_P_bus_order,
                  "%s for device %u, token %u, came out behind a request that was sent later",
                  name_of(m), m->dev_num, slot->m.token);
    else
        pl_held(o, PL_P_bus_order);
    *last = slot->seq > *last ? slot->seq : *last;
    for (unsigned i = 0; i < PL_BUS_SLOTS; i++) {
        const struct pl_bus_slot *s = &b->slots[i];
        if (s != slot && s->state == PL_BUS_OPEN && s->far.forwarded && !s->far.answered &&
            !s->m.event && s->m.dev_num == m->dev_num && s->side == PL_BUS_DRIVER_SIDE) {
            pl_used(o, PL_P_bus_outstanding);
            return;
        }
    }
}

static void made_up(struct pl_oracle *o, enum pl_bus_side seen, const struct pl_msg *m)
{
    if (m->event && (m->kind == PL_EVENT_AVAIL || m->kind == PL_EVENT_USED))
        pl_broken(o, PL_P_bus_event_real, "%s of device %u came out on the %s, and nobody sent it",
                  name_of(m), m->dev_num, side_of(seen));
    else if (m->event)
        pl_broken(o, PL_P_bus_event_once,
                  "%s of device %u came out on the %s besides those that were sent", name_of(m),
                  m->dev_num, side_of(seen));
    else if (seen == PL_BUS_DRIVER_SIDE || !is_probe(o, m))
        pl_broken(o, PL_P_bus_relayed, "%s for device %u came out on the %s, and nobody sent it",
                  name_of(m), m->dev_num, side_of(seen));
}

/* The same message came out a second time. */
static void again(struct pl_oracle *o, enum pl_bus_side seen, struct pl_bus_slot *slot,
                  const struct pl_msg *m)
{
    bool known_event = m->event && m->kind != PL_NONE;
    if (is_probe(o, m) && slot->state == PL_BUS_OPEN) {
        slot->far.twin = m->token;
        slot->far.has_twin = true;
        return;
    }
    if (slot->seq <= o->bus->settled) { /* of long ago: it has nothing to do with that one */
        made_up(o, seen, m);
        return;
    }
    if (slot->state == PL_BUS_LEFT || slot->route == PL_ROUTE_ANY)
        return;
    if (known_event)
        pl_broken(o, PL_P_bus_event_once, "one %s of device %u came out twice", name_of(m),
                  m->dev_num);
    else if (!m->event && slot->far.answered && !is_probe(o, m))
        pl_broken(o, PL_P_bus_relayed,
                  "%s for device %u was forwarded once more, though the device has answered it",
                  name_of(m), m->dev_num);
}

static void carried(struct pl_oracle *o, enum pl_bus_side seen, const struct pl_msg *m)
{
    enum pl_bus_side given = seen == PL_BUS_DRIVER_SIDE ? PL_BUS_DEVICE_SIDE : PL_BUS_DRIVER_SIDE;
    struct pl_bus_slot *slot = find(o, given, m);
    if (!slot) {
        if (!pl_bus_expired_comes(o->bus, given, m))
            made_up(o, seen, m);
        return;
    }
    if (slot->far.forwarded) {
        again(o, seen, slot, m);
        return;
    }
    slot->far.forwarded = true;
    slot->far.out_token = m->token;
    o->bus->n_forwarded += given == PL_BUS_DRIVER_SIDE;
    if (slot->state == PL_BUS_LEFT)
        return;
    judge_route(o, slot, m);
    judge_device(o, slot, m);
    judge_payload(o, &slot->m, m);
    if (!m->event && m->token != slot->m.token)
        pl_used(o, PL_P_bus_token_rewritten);
    if (!m->event && given == PL_BUS_DRIVER_SIDE)
        judge_order(o, slot, m);
    if (m->event) {
        slot->state = PL_BUS_DONE;
        pl_held(o, PL_P_bus_event_no_answer);
        if (slot->route == PL_ROUTE_DUE) {
            pl_held(o, PL_P_bus_event_once);
            pl_held(o, PL_P_bus_event_bounded);
            pl_held(o, PL_P_bus_event_real);
        }
    }
}

/* --- responses on the driver side --- */

/* An open request, the newest; or one that is not: first one whose completion is only late. */
static struct pl_bus_slot *by_token(struct pl_bus_judge *b, const struct pl_msg *m, bool open)
{
    struct pl_bus_slot *newest = NULL;
    for (unsigned k = PL_BUS_SLOTS; k-- > 0;) {
        struct pl_bus_slot *slot = pl_bus_slot_at(b, k);
        if (slot->state != PL_BUS_FREE && (slot->state == PL_BUS_OPEN) == open &&
            slot->side == PL_BUS_DRIVER_SIDE && !slot->m.bus && !slot->m.response &&
            slot->m.form != PL_FORM_RUNT && slot->m.msg_id == m->msg_id &&
            slot->m.token == m->token && slot->m.dev_num == m->dev_num) {
            bool due = slot->state == PL_BUS_LEFT && !slot->late && !slot->failed;
            if (open || due)
                return slot;
            newest = newest ? newest : slot;
        }
    }
    return newest;
}

static enum pl_bus_likeness like_answer(const struct pl_oracle *o, const struct pl_bus_slot *slot,
                                        const struct pl_msg *m)
{
    struct pl_msg answer;
    if (!slot->far.answered)
        return PL_LIKE_NOT;
    pl_decode(o->spec, slot->far.answer, slot->far.answer_size, &answer);
    return pl_bus_compare(o, &answer, m);
}

/* Another request that this is the response to: with its token lost, or its device. */
static struct pl_bus_slot *by_answer(struct pl_oracle *o, const struct pl_bus_slot *but,
                                     const struct pl_msg *m)
{
    for (unsigned k = 0; k < PL_BUS_SLOTS; k++) {
        struct pl_bus_slot *slot = pl_bus_slot_at(o->bus, k);
        bool late =
            but && slot->state == PL_BUS_DONE && slot->failed && m->size > o->spec->header.size;
        if (slot != but && (slot->state == PL_BUS_OPEN || late) &&
            slot->side == PL_BUS_DRIVER_SIDE && !slot->m.bus && slot->far.answered &&
            like_answer(o, slot, m) == PL_LIKE_SAME)
            return slot;
    }
    return NULL;
}

static void completed(struct pl_oracle *o, struct pl_bus_slot *slot, const struct pl_msg *m)
{
    struct pl_bus_judge *b = o->bus;
    struct pl_msg answer;
    pl_decode(o->spec, slot->far.answer, slot->far.answer_size, &answer);
    judge_payload(o, &answer, m);
    pl_held(o, PL_P_bus_once);
    pl_held(o, PL_P_bus_token_hidden);
    pl_held(o, PL_P_bus_correlated);
    pl_held(o, PL_P_bus_dev_num_kept);
    pl_held(o, PL_P_bus_bounded);
    if (slot->far.answer_size > pl_bus_over(o) && m->size == slot->far.answer_size) {
        b->big_passed[PL_BUS_DEVICE_SIDE] = true;
        if (b->big_stopped[PL_BUS_DRIVER_SIDE])
            pl_broken(o, PL_P_bus_limit_even,
                      "a response of %zu bytes passes, and a request of that size does not",
                      m->size);
    }
    for (unsigned i = 0; i < PL_BUS_SLOTS; i++) {
        const struct pl_bus_slot *s = &b->slots[i];
        if (s->state == PL_BUS_OPEN && !s->m.bus && !s->m.event && s->seq < slot->seq &&
            s->side == PL_BUS_DRIVER_SIDE && s->far.answered)
            pl_used(o, PL_P_bus_reordered);
    }
    if (slot->far.answered_at > b->device_heard)
        b->device_heard = slot->far.answered_at;
    slot->state = PL_BUS_DONE;
}

static void unasked(struct pl_oracle *o, const struct pl_msg *m)
{
    const struct pl_bus_expired request = {
        .side = PL_BUS_DRIVER_SIDE, .msg_id = m->msg_id, .dev_num = m->dev_num, .token = m->token};
    if (!pl_bus_expired_completes(o->bus, &request))
        pl_broken(o, PL_P_bus_once, "the response %s of device %u, token %u, has no request",
                  name_of(m), m->dev_num, m->token);
}

static void no_open_request(struct pl_oracle *o, const struct pl_msg *m)
{
    struct pl_bus_slot *slot = by_token(o->bus, m, false);
    if (slot) {
        if (slot->state == PL_BUS_DONE || slot->late || slot->failed)
            pl_broken(o, PL_P_bus_once,
                      "%s for device %u, token %u, was completed before, and now there is a "
                      "response%s",
                      name_of(m), m->dev_num, m->token,
                      slot->failed ? " behind its EVENT_FAILURE" : "");
        slot->late |= slot->state == PL_BUS_LEFT;
        return;
    }
    slot = by_answer(o, NULL, m);
    if (slot && slot->m.token == m->token) {
        pl_broken(o, PL_P_bus_dev_num_kept,
                  "the response to %s of device %u came out as one of device %u", name_of(m),
                  slot->m.dev_num, m->dev_num);
        const struct pl_bus_number *other = pl_bus_number_find(o->bus, m->dev_num);
        if (other && other->present)
            pl_broken(o, PL_P_bus_number_unique,
                      "the response to %s of device %u came out as one of device %u, which is "
                      "another",
                      name_of(m), slot->m.dev_num, m->dev_num);
        slot->state = PL_BUS_DONE;
    } else if (slot) {
        pl_broken(o, PL_P_bus_token_hidden,
                  "the response to %s of device %u has token %u, and its request had %u",
                  name_of(m), slot->m.dev_num, m->token, slot->m.token);
        slot->state = PL_BUS_DONE;
    } else {
        unasked(o, m);
    }
}

/*
 * Two requests that say the same, of which one failed: what came out at the device and was answered
 * can be either. It is taken for the one whose response is here.
 */
static bool taken_for_the_other(const struct pl_oracle *o, struct pl_bus_slot *slot,
                                struct pl_bus_slot *other)
{
    struct pl_bus_far far = slot->far;
    if (!other->failed || other->m.msg_id != slot->m.msg_id ||
        other->m.dev_num != slot->m.dev_num ||
        pl_bus_compare(o, &other->m, &slot->m) != PL_LIKE_SAME)
        return false;
    slot->far = other->far;
    other->far = far;
    return true;
}

static void responded(struct pl_oracle *o, const struct pl_msg *m)
{
    struct pl_bus_slot *slot = by_token(o->bus, m, true);
    if (!slot) {
        no_open_request(o, m);
        return;
    }
    enum pl_bus_likeness like = like_answer(o, slot, m);
    if (like == PL_LIKE_SAME || like == PL_LIKE_PADDED) {
        completed(o, slot, m);
        return;
    }
    struct pl_bus_slot *other = by_answer(o, slot, m);
    if (other && taken_for_the_other(o, slot, other)) {
        completed(o, slot, m);
    } else if (other) {
        pl_broken(o, PL_P_bus_correlated,
                  "the response to %s of device %u, token %u, came out for token %u", name_of(m),
                  other->m.dev_num, other->m.token, m->token);
        slot->state = PL_BUS_LEFT;
        if (other->state == PL_BUS_OPEN)
            other->state = PL_BUS_LEFT;
    } else if (slot->far.answered) {
        completed(o, slot, m);
    } else {
        if (slot->route != PL_ROUTE_ANY)
            pl_broken(o, PL_P_bus_correlated,
                      "%s for device %u, token %u, got a response that its device has not given",
                      name_of(m), m->dev_num, m->token);
        slot->state = PL_BUS_DONE;
    }
}

/* Was it put in just so, by an end that behaves badly? Then the bus only passes it on. */
static bool put_in_so(struct pl_oracle *o, enum pl_bus_side given, const struct pl_msg *m)
{
    for (unsigned k = 0; k < PL_BUS_SLOTS; k++) {
        const struct pl_bus_slot *slot = pl_bus_slot_at(o->bus, k);
        if (slot->state != PL_BUS_FREE && slot->side == given && !slot->m.bus &&
            slot->m.form != PL_FORM_RUNT && pl_bus_compare(o, &slot->m, m) != PL_LIKE_NOT)
            return true;
    }
    return false;
}

void pl_bus_transport(struct pl_oracle *o, enum pl_bus_side side, const struct pl_msg *m)
{
    enum pl_bus_side given = side == PL_BUS_DRIVER_SIDE ? PL_BUS_DEVICE_SIDE : PL_BUS_DRIVER_SIDE;
    if (m->event && m->response) {
        if (put_in_so(o, given, m))
            return;
        pl_broken(o, PL_P_event_no_response, "an event (msg_id 0x%02x) has the response bit set",
                  m->msg_id);
        if (side == PL_BUS_DRIVER_SIDE)
            pl_broken(o, PL_P_bus_event_no_answer,
                      "the event with msg_id 0x%02x for device %u was answered", m->msg_id,
                      m->dev_num);
        return;
    }
    if (m->event)
        pl_held(o, PL_P_event_no_response);
    if (!m->response)
        carried(o, side, m);
    else if (side == PL_BUS_DRIVER_SIDE)
        responded(o, m);
}
