/* Bus messages on both sides of a bus under test: enumeration, liveness, hotplug, parameters,
 * failures. */
#include "oracle/bus.h"

#include <string.h>

static bool is_doubtful(const struct pl_oracle *o, const struct pl_msg *m)
{
    const struct pl_header_def *h = &o->spec->header;
    if (m->msg_size != m->size)
        return true;
    return m->form == PL_FORM_UNKNOWN && !(m->msg_id & h->implementation_bit);
}

void pl_bus_message_given(struct pl_oracle *o, struct pl_bus_slot *slot)
{
    const struct pl_msg *m = &slot->m;
    bool started =
        slot->side == PL_BUS_DRIVER_SIDE || m->kind == PL_PING || m->kind == PL_GET_PARAMETERS;
    if (!is_doubtful(o, m) && m->event)
        pl_bus_void_forget(o, m->kind);
    if (is_doubtful(o, m)) {
        slot->route = PL_ROUTE_VOID;
        if (m->event && o->bus->caused[m->kind])
            slot->state = PL_BUS_LEFT;
    } else if (m->form == PL_FORM_OK && !m->response && !m->event && started && m->dev_num == 0)
        slot->route = PL_ROUTE_OWN;
    slot->early = m->kind == PL_GET_PARAMETERS && slot->route == PL_ROUTE_OWN &&
                  slot->side == PL_BUS_DRIVER_SIDE && !o->bus->spoken;
}

/* --- what holds of each bus message that comes out --- */

/* Did an end put this very message in on the other side? Then it is no message of the bus's own. */
static bool passed_on(const struct pl_oracle *o, enum pl_bus_side seen, const struct pl_msg *m)
{
    for (unsigned k = 0; k < PL_BUS_SLOTS; k++) {
        const struct pl_bus_slot *slot = pl_bus_slot_at(o->bus, k);
        if (slot->state != PL_BUS_FREE && slot->side != seen && slot->m.bus &&
            slot->m.form != PL_FORM_RUNT && slot->m.size == m->size &&
            memcmp(slot->m.bytes, m->bytes, m->size) == 0)
            return true;
    }
    return false;
}

static void judge_layout(struct pl_oracle *o, const struct pl_msg *m)
{
    if (!m->def || m->form == PL_FORM_SHAPE)
        return;
    if (m->msg_size != m->expected || m->size < m->msg_size) {
        pl_broken(o, PL_P_bus_layout,
                  "%s has msg_size %u and %zu bytes, and its layout gives it %zu", m->def->name,
                  m->msg_size, m->size, m->expected);
        return;
    }
    pl_held(o, PL_P_bus_layout);
    if (m->size > m->msg_size)
        pl_bus_padding(o, m, m->msg_size);
}

static void judge_header(struct pl_oracle *o, const struct pl_msg *m)
{
    uint8_t odd = m->type & o->spec->header.reserved_bits;
    if (odd)
        pl_broken(o, PL_P_bus_reserved_zero, "a bus message of the bus's own has type 0x%02x",
                  m->type);
    else
        pl_held(o, PL_P_bus_reserved_zero);
    if (m->dev_num)
        pl_broken(o, PL_P_bus_dev_num_zero, "a bus message has dev_num %u", m->dev_num);
    else
        pl_held(o, PL_P_bus_dev_num_zero);
    if (m->event && m->response)
        pl_broken(o, PL_P_event_no_response, "an event (msg_id 0x%02x) has the response bit set",
                  m->msg_id);
    else if (m->event)
        pl_held(o, PL_P_event_no_response);
}

/* --- what was to be discarded --- */

void pl_bus_void_forget(struct pl_oracle *o, enum pl_kind kind)
{
    o->bus->caused[kind] = true;
    for (unsigned k = 0; k < PL_BUS_SLOTS; k++) {
        struct pl_bus_slot *slot = pl_bus_slot_at(o->bus, k);
        if (slot->state == PL_BUS_OPEN && slot->route == PL_ROUTE_VOID && slot->m.event &&
            slot->m.kind == kind)
            slot->state = PL_BUS_LEFT;
    }
}

/* Is this what came of a message that was to vanish? Then it is told so. */
static bool of_void(struct pl_oracle *o, const struct pl_msg *m)
{
    for (unsigned k = 0; k < PL_BUS_SLOTS; k++) {
        struct pl_bus_slot *slot = pl_bus_slot_at(o->bus, k);
        bool failure = m->kind == PL_EVENT_FAILURE && m->form == PL_FORM_OK &&
                       m->f[PL_F_failed_msg_id] == slot->m.msg_id &&
                       m->f[PL_F_failed_token] == slot->m.token &&
                       m->f[PL_F_failed_dev_num] == slot->m.dev_num;
        if (slot->state != PL_BUS_OPEN || slot->route != PL_ROUTE_VOID ||
            (m->msg_id != slot->m.msg_id && !failure))
            continue;
        if (slot->m.def && slot->m.event && m->size >= slot->m.size &&
            memcmp(m->bytes + o->spec->header.size, slot->m.bytes + o->spec->header.size,
                   slot->m.size - o->spec->header.size) != 0)
            continue;
        if (slot->m.def && slot->m.token != m->token && !failure)
            continue; /* a sound one of the same kind */
        if (m->kind == PL_EVENT_FAILURE && !failure)
            continue;
        pl_broken(o, PL_P_bus_void_silent,
                  "a bus message with msg_id 0x%02x that was to be discarded led to further "
                  "traffic: msg_id 0x%02x",
                  slot->m.msg_id, m->msg_id);
        slot->state = PL_BUS_LEFT;
        return true;
    }
    return false;
}

/* --- GET_DEVICES --- */

static bool bit_of(const struct pl_msg *m, uint32_t i)
{
    return i / 8 < m->data_len && (m->data[i / 8] >> (i % 8) & 1);
}

static bool any_present(const struct pl_bus_judge *b, uint32_t from, uint32_t to)
{
    for (size_t i = 0; i < b->n_numbers; i++)
        if (b->numbers[i].present && b->numbers[i].number >= from && b->numbers[i].number < to)
            return true;
    return false;
}

static void judge_window(struct pl_oracle *o, const struct pl_msg *req, const struct pl_msg *m)
{
    uint32_t offset = (uint32_t)m->f[PL_F_offset], count = (uint32_t)m->f[PL_F_count];
    uint32_t wanted = (uint32_t)req->f[PL_F_count];
    if (offset != req->f[PL_F_offset])
        pl_broken(o, PL_P_bus_layout, "GET_DEVICES: offset %u comes back as %u",
                  (unsigned)req->f[PL_F_offset], offset);
    if (count > wanted)
        pl_broken(o, PL_P_bus_gdev_most, "GET_DEVICES asked for %u slots and got %u", wanted,
                  count);
    else
        pl_held(o, PL_P_bus_gdev_most);
    if (wanted == 0 && (count || m->data_len || m->size > m->expected))
        pl_broken(o, PL_P_bus_gdev_zero, "GET_DEVICES with count 0 got count %u and %zu bytes",
                  count, m->size);
    else if (wanted == 0)
        pl_held(o, PL_P_bus_gdev_zero);
    bool odd = false;
    for (uint32_t i = count; i < 8 * m->data_len; i++)
        odd |= bit_of(m, i);
    if (odd)
        pl_broken(o, PL_P_bus_gdev_unused, "GET_DEVICES: bits at and above count %u are set",
                  count);
    else if (count % 8)
        pl_held(o, PL_P_bus_gdev_unused);
    uint32_t room = o->spec->header.size + (uint32_t)m->def->response->size + (wanted + 7) / 8;
    bool limit = room > pl_bus_fits(o);
    if (count < wanted && !limit && any_present(o->bus, offset + count, offset + wanted))
        pl_broken(o, PL_P_bus_gdev_full,
                  "GET_DEVICES returned %u of %u slots, though there are devices behind these",
                  count, wanted);
    else if (wanted)
        pl_held(o, PL_P_bus_gdev_full);
    if (wanted && !count && !any_present(o->bus, offset, offset + wanted))
        pl_used(o, PL_P_bus_gdev_empty);
}

static void judge_next(struct pl_oracle *o, const struct pl_msg *req, const struct pl_msg *m)
{
    uint32_t next = (uint32_t)m->f[PL_F_next_offset], count = (uint32_t)m->f[PL_F_count];
    uint32_t offset = (uint32_t)req->f[PL_F_offset], last = 0;
    for (size_t i = 0; i < o->bus->n_numbers; i++)
        if (o->bus->numbers[i].present && o->bus->numbers[i].number > last)
            last = o->bus->numbers[i].number;
    if (next && next <= offset)
        pl_broken(o, PL_P_bus_gdev_next, "GET_DEVICES from %u on gave next_offset %u", offset,
                  next);
    else if (next)
        pl_held(o, PL_P_bus_gdev_next);
    bool end = offset + count > UINT16_MAX;
    if (next && end)
        pl_broken(o, PL_P_bus_gdev_terminal,
                  "GET_DEVICES of %u slots from %u on reached the end of the numbers and gave "
                  "next_offset %u",
                  count, offset, next);
    else if (!next && (end || last < offset + count))
        pl_held(o, PL_P_bus_gdev_terminal);
}

/* Does the bitmap say what there is, as far as the bus can know? */
static void judge_bits(struct pl_oracle *o, const struct pl_bus_slot *slot, const struct pl_msg *m)
{
    struct pl_bus_judge *b = o->bus;
    uint32_t offset = (uint32_t)m->f[PL_F_offset], count = (uint32_t)m->f[PL_F_count];
    uint32_t next = (uint32_t)m->f[PL_F_next_offset];
    bool wrong = false; /* inside the window */
    for (uint32_t i = 0; i < count; i++) {
        const struct pl_bus_number *n = pl_bus_number_find(b, (uint16_t)(offset + i));
        if (!bit_of(m, i)) {
            if (n)
                pl_bus_number(b, n->number)->shown = false;
            continue;
        }
        if (!n && b->crowded)
            continue;
        if (!n || (!n->present && (n->gone || n->told_gone))) {
            wrong = true;
            pl_broken(o, PL_P_bus_validated, "GET_DEVICES shows device %u, which does not exist",
                      offset + i);
        } else if (n->present) {
            pl_held(o, PL_P_bus_validated);
            pl_bus_number(b, n->number)->shown = true;
        }
    }
    for (size_t i = 0; i < b->n_numbers && slot->m.f[PL_F_count]; i++) {
        const struct pl_bus_number *n = &b->numbers[i];
        bool sure = n->present && n->told && n->told_at <= slot->after;
        bool inside = n->number >= offset && n->number < offset + count;
        bool skipped = n->number >= offset + count && (!next || n->number < next);
        if (!sure || (!inside && !skipped))
            continue;
        if (skipped || !bit_of(m, n->number - offset)) {
            wrong |= inside;
            pl_broken(o, PL_P_bus_shown, "GET_DEVICES does not show device %u, which the bus knows",
                      n->number);
        } else {
            pl_held(o, PL_P_bus_shown);
        }
    }
    if (wrong && !b->crowded && any_present(b, offset, offset + count) &&
        m->data_len == (count + 7) / 8) {
        for (uint32_t i = 0; i < count; i++) { /* most significant bit first? */
            const struct pl_bus_number *n = pl_bus_number_find(b, (uint16_t)(offset + i));
            if (bit_of(m, (i & ~7u) + 7 - i % 8) != (n && n->present))
                return;
        }
        pl_broken(o, PL_P_bus_gdev_bitmap,
                  "GET_DEVICES: the bitmap is packed with the most significant bit first");
    }
}

static void devices_answered(struct pl_oracle *o, const struct pl_bus_slot *slot,
                             const struct pl_msg *m)
{
    uint32_t count = (uint32_t)m->f[PL_F_count];
    pl_used(o, PL_P_bus_supports);
    o->bus->enumerates = true;
    if (m->form == PL_FORM_SHORT || m->data_len != (count + 7) / 8 || m->msg_size != m->expected) {
        pl_broken(o, PL_P_bus_gdev_bitmap,
                  "GET_DEVICES: the bitmap of %u slots has %u bytes in a message of %u", count,
                  m->data_len, m->msg_size);
        return;
    }
    pl_held(o, PL_P_bus_gdev_bitmap);
    judge_window(o, &slot->m, m);
    judge_next(o, &slot->m, m);
    judge_bits(o, slot, m);
}

/* --- PING and GET_PARAMETERS --- */

static void ping_answered(struct pl_oracle *o, const struct pl_bus_slot *slot,
                          const struct pl_msg *m)
{
    pl_used(o, PL_P_bus_supports);
    if (m->f[PL_F_data32] != slot->m.f[PL_F_data32])
        pl_broken(o, PL_P_bus_ping, "PING with data 0x%x was answered with 0x%x",
                  (unsigned)slot->m.f[PL_F_data32], (unsigned)m->f[PL_F_data32]);
    else
        pl_held(o, PL_P_bus_ping);
}

/* Parameters as the bus states them, asked or not. */
static void params_stated(struct pl_oracle *o, const struct pl_msg *m)
{
    struct pl_bus_judge *b = o->bus;
    struct pl_bus_params_seen now = {true, (uint32_t)m->f[PL_F_revision],
                                     (uint32_t)m->f[PL_F_max_msg_size],
                                     (uint32_t)m->f[PL_F_transport_features]};
    if (now.max_msg_size < o->spec->min_max_msg_size)
        pl_broken(o, PL_P_bus_size_least, "the maximum message size is %u", now.max_msg_size);
    else
        pl_held(o, PL_P_bus_size_least);
    bool ours = now.max_msg_size == b->given_size; /* the harness chose it */
    if (now.max_msg_size > o->spec->recommended_max_msg_size && !ours)
        pl_broken(o, PL_P_bus_size_most, "the maximum message size is %u", now.max_msg_size);
    else if (now.max_msg_size <= o->spec->recommended_max_msg_size)
        pl_held(o, PL_P_bus_size_most);
    if (now.features & ~b->given_features)
        pl_broken(o, PL_P_bus_params_common,
                  "transport feature bits 0x%x are advertised, and both sides have 0x%x",
                  now.features, b->given_features);
    else
        pl_held(o, PL_P_bus_params_common);
    if (b->params.seen && m->response && !b->changing) {
        if (now.revision != b->params.revision || now.max_msg_size != b->params.max_msg_size ||
            now.features != b->params.features)
            pl_broken(o, PL_P_bus_params_stable,
                      "the parameters were revision %u, size %u, features 0x%x, and are now %u, "
                      "%u, 0x%x",
                      b->params.revision, b->params.max_msg_size, b->params.features, now.revision,
                      now.max_msg_size, now.features);
        else
            pl_held(o, PL_P_bus_params_stable);
    }
    b->params = now;
}

static void params_answered(struct pl_oracle *o, const struct pl_bus_slot *slot,
                            const struct pl_msg *m)
{
    bool bad = m->f[PL_F_revision] == 0 || m->f[PL_F_max_msg_size] == 0, missed = false;
    for (unsigned k = 0; k < PL_BUS_SLOTS; k++) {
        struct pl_bus_slot *other = pl_bus_slot_at(o->bus, k);
        missed |= other->state != PL_BUS_FREE && other->state != PL_BUS_DONE && other->early &&
                  other->side == slot->side;
        other->early &= other->state == PL_BUS_DONE;
    }
    if (missed && !slot->early)
        pl_broken(o, PL_P_bus_params_early,
                  "GET_PARAMETERS was not answered ahead of the first transport message, and is "
                  "now");
    else if (bad)
        pl_broken(o, PL_P_bus_params_early, "GET_PARAMETERS says revision %u and size %u",
                  (unsigned)m->f[PL_F_revision], (unsigned)m->f[PL_F_max_msg_size]);
    else if (slot->early)
        pl_held(o, PL_P_bus_params_early);
    params_stated(o, m);
}

/* --- events of the bus --- */

static void device_event(struct pl_oracle *o, enum pl_bus_side side, const struct pl_msg *m)
{
    struct pl_bus_judge *b = o->bus;
    uint16_t number = (uint16_t)m->f[PL_F_device_number];
    struct pl_bus_number *n = NULL;
    if (side != PL_BUS_DRIVER_SIDE)
        return;
    pl_used(o, PL_P_bus_supports);
    if (pl_bus_number_find(b, number))
        n = pl_bus_number(b, number);
    if (!n && b->crowded)
        return;
    if (!n) {
        pl_broken(o, PL_P_bus_edev_number, "EVENT_DEVICE names device %u, which does not exist",
                  number);
        return;
    }
    pl_held(o, PL_P_bus_edev_number);
    if (m->f[PL_F_device_bus_state] == PL_C_BUS_STATE_ADDED) {
        b->n_added++;
        if (n->present)
            pl_held(o, PL_P_bus_edev_added);
        else if (n->added_until <= b->device_heard)
            pl_broken(o, PL_P_bus_edev_added, "device %u is ADDED, and it cannot be reached",
                      number);
        n->shown = n->added_shown = n->present;
        n->told_gone = false;
    } else if (m->f[PL_F_device_bus_state] == PL_C_BUS_STATE_REMOVED) {
        b->n_removed++;
        if (n->present && n->removed_until <= b->device_heard)
            pl_broken(o, PL_P_bus_edev_removed, "device %u is REMOVED, and it is still there",
                      number);
        else if (!n->present)
            pl_held(o, PL_P_bus_edev_removed);
        n->shown = n->added_shown = false;
        n->told_gone = !n->present;
    }
}

/* Is this the request or event that a failure names? */
static bool names(const struct pl_msg *failure, const struct pl_msg *m)
{
    return !m->bus && m->form != PL_FORM_RUNT && failure->f[PL_F_failed_msg_id] == m->msg_id &&
           failure->f[PL_F_failed_dev_num] == m->dev_num &&
           (m->event || failure->f[PL_F_failed_token] == m->token);
}

static struct pl_bus_slot *failed_slot(struct pl_oracle *o, const struct pl_msg *m)
{
    struct pl_bus_slot *done = NULL, *late = NULL;
    for (unsigned k = 0; k < PL_BUS_SLOTS; k++) {
        struct pl_bus_slot *slot = pl_bus_slot_at(o->bus, k);
        bool ours = slot->m.event || slot->side == PL_BUS_DRIVER_SIDE;
        if (slot->state == PL_BUS_FREE || !ours || !names(m, &slot->m))
            continue;
        if (slot->state == PL_BUS_OPEN && !slot->failed)
            return slot;
        if (slot->state == PL_BUS_LEFT && !slot->failed && !slot->late)
            late = slot;
        done = slot;
    }
    return late ? late : done;
}

static void request_failed(struct pl_oracle *o, struct pl_bus_slot *slot, const struct pl_msg *m)
{
    struct pl_bus_judge *b = o->bus;
    uint64_t reason = m->f[PL_F_reason];
    const struct pl_msg *req = &slot->m;
    bool big_answer = slot->far.answered && slot->far.answer_size > pl_bus_over(o);
    const struct pl_bus_number *n = pl_bus_number_find(b, req->dev_num);
    pl_held(o, PL_P_bus_once);
    if (slot->route == PL_ROUTE_NONE || slot->route == PL_ROUTE_BIG)
        pl_held(o, PL_P_bus_failure_shown);
    if (slot->far.forwarded)
        pl_held(o, PL_P_bus_bounded);
    if (slot->route == PL_ROUTE_NONE && !slot->far.forwarded)
        pl_held(o, PL_P_bus_number_checked);
    if (slot->route == PL_ROUTE_BIG && !slot->far.forwarded) {
        b->big_stopped[PL_BUS_DRIVER_SIDE] = true;
        pl_held(o, PL_P_bus_limit_even);
        if (b->big_passed[PL_BUS_DEVICE_SIDE])
            pl_broken(o, PL_P_bus_limit_even,
                      "a request of %zu bytes is refused, and a message of that size from the "
                      "device side passes",
                      req->size);
    }
    if (big_answer) {
        b->big_stopped[PL_BUS_DEVICE_SIDE] = true;
        pl_held(o, PL_P_bus_limit_even);
        if (b->big_passed[PL_BUS_DRIVER_SIDE])
            pl_broken(o, PL_P_bus_limit_even,
                      "a response of %zu bytes is refused, and a request of that size passes",
                      slot->far.answer_size);
    }
    if (slot->route != PL_ROUTE_DUE || slot->far.forwarded)
        return;
    if (req->kind == PL_NONE)
        pl_broken(o, PL_P_bus_any_id,
                  "the request with msg_id 0x%02x for device %u was refused (reason %u)",
                  req->msg_id, req->dev_num, (unsigned)reason);
    else if (req->type & o->spec->header.reserved_bits)
        pl_broken(o, PL_P_bus_reserved,
                  "%s for device %u was refused: bits 2 to 7 of its type are not 0", req->def->name,
                  req->dev_num);
    else if (reason == PL_C_FAILURE_TOO_LARGE)
        pl_broken(o, PL_P_bus_limit_even,
                  "a request of %zu bytes is refused as too large, and %u bytes fit", req->size,
                  pl_bus_fits(o));
    else if (reason == PL_C_FAILURE_NO_DEVICE && n && n->present) {
        pl_broken(o, PL_P_bus_relayed,
                  "%s for device %u was refused: no such device, and it is "
                  "there",
                  req->def->name, req->dev_num);
        if (n->added_shown)
            pl_broken(o, PL_P_bus_edev_added,
                      "device %u was ADDED, and a request for it is refused: no such device",
                      req->dev_num);
    }
}

static void failure(struct pl_oracle *o, enum pl_bus_side side, const struct pl_msg *m)
{
    struct pl_bus_slot *slot = failed_slot(o, m);
    o->bus->n_failures++;
    if (!slot) {
        const struct pl_bus_expired request = {.side = PL_BUS_DRIVER_SIDE,
                                               .msg_id = (uint16_t)m->f[PL_F_failed_msg_id],
                                               .dev_num = (uint16_t)m->f[PL_F_failed_dev_num],
                                               .token = (uint16_t)m->f[PL_F_failed_token]};
        if (side == PL_BUS_DRIVER_SIDE && !pl_bus_expired_completes(o->bus, &request))
            pl_broken(o, PL_P_bus_correlated,
                      "EVENT_FAILURE names msg_id 0x%02x, device %u, token %u, and there is no "
                      "such message",
                      (unsigned)m->f[PL_F_failed_msg_id], (unsigned)m->f[PL_F_failed_dev_num],
                      (unsigned)m->f[PL_F_failed_token]);
        return;
    }
    bool over = slot->state == PL_BUS_LEFT && (slot->failed || slot->late);
    if (slot->m.event || (slot->state == PL_BUS_LEFT && !over)) {
        slot->failed = true;
        return;
    }
    if (slot->state == PL_BUS_DONE || over) {
        pl_broken(o, PL_P_bus_once,
                  "%s for device %u, token %u, was completed before, and now there is an "
                  "EVENT_FAILURE",
                  slot->m.def ? slot->m.def->name : "a request", slot->m.dev_num, slot->m.token);
        return;
    }
    slot->failed = true;
    request_failed(o, slot, m);
    slot->state = PL_BUS_DONE;
}

static void bus_event(struct pl_oracle *o, enum pl_bus_side side, const struct pl_msg *m)
{
    if (m->form == PL_FORM_SHORT || m->form == PL_FORM_UNKNOWN || m->form == PL_FORM_SHAPE)
        return;
    if (m->kind == PL_EVENT_DEVICE)
        device_event(o, side, m);
    else if (m->kind == PL_EVENT_FAILURE)
        failure(o, side, m);
    else if (m->kind == PL_EVENT_PARAMETERS) {
        o->bus->n_told_params[side]++;
        if (side == PL_BUS_DRIVER_SIDE)
            params_stated(o, m);
    }
}

/* --- responses --- */

static void bus_response(struct pl_oracle *o, enum pl_bus_side side, const struct pl_msg *m)
{
    struct pl_bus_slot *done = NULL;
    for (unsigned k = 0; k < PL_BUS_SLOTS; k++) {
        struct pl_bus_slot *slot = pl_bus_slot_at(o->bus, k);
        if (slot->state == PL_BUS_FREE || slot->side != side || !slot->m.bus || slot->m.response ||
            slot->m.msg_id != m->msg_id || slot->m.token != m->token)
            continue;
        done = slot;
        if (slot->state == PL_BUS_DONE || slot->route != PL_ROUTE_OWN)
            continue;
        slot->state = PL_BUS_DONE;
        pl_held(o, PL_P_bus_message_once);
        if (m->form == PL_FORM_SHORT && m->kind != PL_GET_DEVICES)
            return;
        if (m->kind == PL_GET_DEVICES)
            devices_answered(o, slot, m);
        else if (m->kind == PL_PING)
            ping_answered(o, slot, m);
        else if (m->kind == PL_GET_PARAMETERS)
            params_answered(o, slot, m);
        return;
    }
    const struct pl_bus_expired request = {
        .bus = true, .side = side, .msg_id = m->msg_id, .dev_num = m->dev_num, .token = m->token};
    if (done ? done->state != PL_BUS_DONE : pl_bus_expired_completes(o->bus, &request))
        return;
    pl_broken(o, PL_P_bus_message_once, "%s with token %u %s",
              m->def ? m->def->name : "a bus message", m->token,
              done ? "was answered a second time" : "is a response that nobody asked for");
}

void pl_bus_message(struct pl_oracle *o, enum pl_bus_side side, const struct pl_msg *m)
{
    if (of_void(o, m))
        return;
    if (!passed_on(o, side, m)) {
        judge_header(o, m);
        judge_layout(o, m);
    }
    if (m->response && !m->event)
        bus_response(o, side, m);
    else if (m->event && !m->response)
        bus_event(o, side, m);
}
