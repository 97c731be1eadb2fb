/* The life of the judge of buses: what was given to the bus, and what it still owes at the end. */
#include "oracle/bus.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct pl_bus_judge *pl_bus_judge_new(void)
{
    return calloc(1, sizeof(struct pl_bus_judge));
}

void pl_bus_judge_free(struct pl_bus_judge *b)
{
    if (!b)
        return;
    for (unsigned i = 0; i < PL_BUS_SLOTS; i++) {
        free(b->slots[i].copy);
        free(b->slots[i].far.answer);
    }
    free(b);
}

void pl_bus_judge_start(struct pl_oracle *o)
{
    struct pl_bus_judge *b = o->bus;
    for (unsigned i = 0; i < PL_BUS_SLOTS; i++)
        b->slots[i].state = PL_BUS_FREE;
    size_t kept = offsetof(struct pl_bus_judge, next);
    memset((char *)b + kept, 0, sizeof(*b) - kept);
    b->given_size = o->max_msg_size;
    b->given_features = o->strict ? 1u << PL_C_TF_STRICT_CONFIG_GENERATION : 0;
}

/* --- device numbers --- */

const struct pl_bus_number *pl_bus_number_find(const struct pl_bus_judge *b, uint16_t number)
{
    for (size_t i = 0; i < b->n_numbers; i++)
        if (b->numbers[i].number == number)
            return &b->numbers[i];
    return NULL;
}

struct pl_bus_number *pl_bus_number(struct pl_bus_judge *b, uint16_t number)
{
    for (size_t i = 0; i < b->n_numbers; i++)
        if (b->numbers[i].number == number)
            return &b->numbers[i];
    if (b->n_numbers == PL_BUS_NUMBERS) {
        b->crowded = true;
        return NULL;
    }
    b->numbers[b->n_numbers] = (struct pl_bus_number){.number = number};
    return &b->numbers[b->n_numbers++];
}

void pl_bus_number_told(struct pl_bus_judge *b, uint16_t number)
{
    struct pl_bus_number *n = pl_bus_number(b, number);
    if (n)
        n->added_until = b->device_said;
    if (!n || n->told)
        return;
    n->told = true;
    n->told_at = b->device_said;
}

static bool known(const struct pl_bus_judge *b, const struct pl_bus_number *n)
{
    return n && n->present && (n->shown || (n->told && n->told_at <= b->device_heard));
}

bool pl_oracle_bus_known(const struct pl_oracle *o, uint16_t number)
{
    return o->bus && known(o->bus, pl_bus_number_find(o->bus, number));
}

bool pl_oracle_bus_shown(const struct pl_oracle *o, uint16_t number)
{
    const struct pl_bus_number *n = o->bus ? pl_bus_number_find(o->bus, number) : NULL;
    return n && n->shown;
}

uint32_t pl_bus_fits(const struct pl_oracle *o)
{
    const struct pl_bus_judge *b = o->bus;
    bool less = b->params.seen && b->params.max_msg_size < b->given_size;
    return less ? b->params.max_msg_size : b->given_size;
}

uint32_t pl_bus_over(const struct pl_oracle *o)
{
    const struct pl_bus_judge *b = o->bus;
    bool more = b->params.seen && b->params.max_msg_size > b->given_size;
    return more ? b->params.max_msg_size : b->given_size;
}

/* --- what the harness gives to the bus --- */

struct pl_bus_slot *pl_bus_slot_at(struct pl_bus_judge *b, unsigned k)
{
    return &b->slots[(b->next + k) % PL_BUS_SLOTS];
}

/* Only so many slots: of what is still open, or was given up, it stays known that it was there. */
static void expire(struct pl_bus_judge *b, const struct pl_bus_slot *slot)
{
    bool waits = slot->state == PL_BUS_OPEN || slot->state == PL_BUS_LEFT;
    bool own = !slot->m.bus || slot->route == PL_ROUTE_OWN;
    if (!waits || !own || slot->late || slot->failed || slot->m.form == PL_FORM_RUNT)
        return;
    bool on_its_way = slot->state == PL_BUS_OPEN && !slot->far.forwarded && !slot->m.bus;
    b->expired[b->next_expired] = (struct pl_bus_expired){
        .open = !slot->m.response,
        .due = on_its_way && (slot->route == PL_ROUTE_DUE || slot->route == PL_ROUTE_ANY),
        .bus = slot->m.bus,
        .event = slot->m.event,
        .side = slot->side,
        .msg_id = slot->m.msg_id,
        .dev_num = slot->m.dev_num,
        .token = slot->m.token};
    b->next_expired = (b->next_expired + 1) % PL_BUS_EXPIRED;
}

bool pl_bus_expired_completes(struct pl_bus_judge *b, const struct pl_bus_expired *request)
{
    for (unsigned i = 0; i < PL_BUS_EXPIRED; i++) {
        struct pl_bus_expired *e = &b->expired[i];
        bool same = e->event || (e->side == request->side && e->token == request->token);
        if (!e->open || !same || e->bus != request->bus || e->msg_id != request->msg_id ||
            e->dev_num != request->dev_num)
            continue;
        e->open = e->due = false;
        return true;
    }
    return false;
}

bool pl_bus_expired_comes(struct pl_bus_judge *b, enum pl_bus_side given, const struct pl_msg *m)
{
    for (unsigned i = 0; i < PL_BUS_EXPIRED; i++) {
        struct pl_bus_expired *e = &b->expired[i];
        if (!e->due || e->bus || e->side != given || e->msg_id != m->msg_id ||
            e->dev_num != m->dev_num)
            continue;
        e->due = false;
        return true;
    }
    return false;
}

static struct pl_bus_slot *new_slot(struct pl_oracle *o, enum pl_bus_side side,
                                    const struct pl_msg *m)
{
    struct pl_bus_judge *b = o->bus;
    struct pl_bus_slot *slot = &b->slots[b->next];
    expire(b, slot);
    b->next = (b->next + 1) % PL_BUS_SLOTS;
    if (m->size > slot->cap) {
        uint8_t *grown = realloc(slot->copy, m->size);
        if (!grown)
            return NULL;
        slot->copy = grown;
        slot->cap = m->size;
    }
    struct pl_bus_slot fresh = {
        .state = PL_BUS_OPEN,
        .side = side,
        .route = PL_ROUTE_ANY,
        .seq = ++b->seq,
        .copy = slot->copy,
        .cap = slot->cap,
        .after = b->device_heard,
        .far = {.answer = slot->far.answer, .answer_cap = slot->far.answer_cap}};
    *slot = fresh;
    if (m->size) /* nothing is copied from or to nowhere */
        memcpy(slot->copy, m->bytes, m->size);
    pl_decode(o->spec, slot->copy, m->size, &slot->m);
    return slot;
}

/* A device that does not exist, or whose removal the bus knows. */
static bool is_nowhere(const struct pl_bus_judge *b, const struct pl_bus_number *n)
{
    return n ? !n->present && (n->gone || n->told_gone || !n->told) : !b->crowded;
}

static enum pl_bus_route route_of(const struct pl_oracle *o, enum pl_bus_side side,
                                  const struct pl_msg *m)
{
    const struct pl_bus_judge *b = o->bus;
    const struct pl_bus_number *n = pl_bus_number_find(b, m->dev_num);
    bool backwards = m->response || (side == PL_BUS_DEVICE_SIDE && !m->event);
    if (m->form == PL_FORM_RUNT || m->msg_size != m->size || backwards || b->changing)
        return PL_ROUTE_ANY;
    if (is_nowhere(b, n))
        return PL_ROUTE_NONE;
    if (!known(b, n))
        return PL_ROUTE_ANY;
    if (m->size > pl_bus_over(o))
        return PL_ROUTE_BIG;
    return m->size > pl_bus_fits(o) ? PL_ROUTE_ANY : PL_ROUTE_DUE;
}

/* A response of the device side's: it belongs to a request that was forwarded to it, or to none. */
static void device_answered(struct pl_oracle *o, const struct pl_msg *m)
{
    struct pl_bus_judge *b = o->bus;
    for (unsigned k = 0; k < PL_BUS_SLOTS; k++) {
        struct pl_bus_slot *slot = pl_bus_slot_at(b, k);
        if (slot->state == PL_BUS_FREE || slot->side != PL_BUS_DRIVER_SIDE ||
            !slot->far.forwarded || slot->m.bus || slot->m.event ||
            (slot->far.out_token != m->token &&
             !(slot->far.has_twin && slot->far.twin == m->token)) ||
            slot->m.dev_num != m->dev_num || slot->m.msg_id != m->msg_id || slot->far.answered)
            continue;
        if (m->size > slot->far.answer_cap) {
            uint8_t *grown = realloc(slot->far.answer, m->size);
            if (!grown)
                return;
            slot->far.answer = grown;
            slot->far.answer_cap = m->size;
        }
        memcpy(slot->far.answer, m->bytes, m->size);
        slot->far.answer_size = m->size;
        slot->far.answered = true;
        slot->far.answered_at = b->device_said;
        return;
    }
    struct pl_bus_slot *stray = new_slot(o, PL_BUS_DEVICE_SIDE, m);
    if (stray)
        stray->state = PL_BUS_DONE;
}

/* The bus may pass it on until it has surely read what comes behind it. */
static void announced(struct pl_bus_judge *b, const struct pl_msg *m)
{
    uint16_t number = (uint16_t)m->f[PL_F_device_number];
    if (!pl_bus_number_find(b, number))
        return;
    struct pl_bus_number *n = pl_bus_number(b, number);
    if (m->f[PL_F_device_bus_state] == PL_C_BUS_STATE_ADDED)
        n->added_until = b->device_said;
    else if (m->f[PL_F_device_bus_state] == PL_C_BUS_STATE_REMOVED)
        n->removed_until = b->device_said;
}

static void device_said(struct pl_oracle *o, const struct pl_msg *m)
{
    struct pl_bus_judge *b = o->bus;
    b->device_said++;
    if (m->form == PL_FORM_RUNT)
        return;
    if (m->kind == PL_EVENT_DEVICE && m->form == PL_FORM_OK)
        announced(b, m);
    if (m->kind == PL_GET_DEVICES && m->response && m->form == PL_FORM_OK)
        for (uint32_t i = 0; i < m->f[PL_F_count] && i / 8 < m->data_len; i++)
            if (m->data[i / 8] >> (i % 8) & 1)
                pl_bus_number_told(b, (uint16_t)(m->f[PL_F_offset] + i));
    if (!m->bus && m->response)
        pl_bus_number_told(b, m->dev_num);
}

static void given(struct pl_oracle *o, enum pl_bus_side side, const struct pl_msg *m)
{
    struct pl_bus_judge *b = o->bus;
    if (side == PL_BUS_DEVICE_SIDE)
        device_said(o, m);
    if (side == PL_BUS_DEVICE_SIDE && m->response && !m->bus && m->form != PL_FORM_RUNT) {
        device_answered(o, m);
        return;
    }
    struct pl_bus_slot *slot = new_slot(o, side, m);
    if (!slot)
        return;
    if (m->bus && m->form != PL_FORM_RUNT) {
        pl_bus_message_given(o, slot);
        return;
    }
    b->spoken |= m->form != PL_FORM_RUNT;
    slot->route = route_of(o, side, &slot->m);
    if (m->event && slot->route == PL_ROUTE_DUE && m->kind == PL_NONE)
        slot->route = PL_ROUTE_ANY; /* nothing says that it is a notification */
    bool wrong_way =
        slot->m.def &&
        slot->m.def->from != (side == PL_BUS_DRIVER_SIDE ? PL_SIDE_DRIVER : PL_SIDE_DEVICE);
    if (wrong_way && slot->route == PL_ROUTE_DUE)
        slot->route = PL_ROUTE_ANY;
}

void pl_oracle_bus(struct pl_oracle *o, enum pl_bus_side side, bool to_iut, const void *bytes,
                   size_t size)
{
    struct pl_msg m;
    if (!o->bus)
        return;
    pl_decode(o->spec, bytes, size, &m);
    if (to_iut) {
        given(o, side, &m);
        return;
    }
    if (m.form == PL_FORM_RUNT) {
        pl_broken(o, PL_P_bus_layout, "a message of %zu bytes is shorter than the header", size);
        return;
    }
    if (m.bus)
        pl_bus_message(o, side, &m);
    else
        pl_bus_transport(o, side, &m);
}

/* --- what is no message --- */

static void told_number(struct pl_bus_judge *b, const char *word, uint16_t number)
{
    struct pl_bus_number *n = pl_bus_number(b, number);
    if (!n)
        return;
    uint64_t soon = b->device_said + 1; /* it may learn of it as others do, and need a moment */
    if (strcmp(word, "present") == 0) {
        n->present = true;
        n->gone = n->told_gone = n->told = false;
        n->added_until = soon;
    } else if (strcmp(word, "absent") == 0) {
        n->present = false;
        n->removed_until = soon;
    } else if (strcmp(word, "stated") == 0) {
        pl_bus_number_told(b, number);
        n->told_at = n->added_until = soon;
    } else if (strcmp(word, "detached") == 0) {
        n->gone = true;
        n->removed_until = soon;
    }
}

void pl_oracle_bus_told(struct pl_oracle *o, const char *words)
{
    struct pl_bus_judge *b = o->bus;
    char word[16];
    unsigned number = 0;
    if (!b || sscanf(words, "%15s %u", word, &number) < 1)
        return;
    if (strcmp(word, "stated") == 0 || strcmp(word, "detached") == 0)
        pl_bus_void_forget(o, PL_EVENT_DEVICE);
    if (strcmp(word, "changing") == 0)
        pl_bus_void_forget(o, PL_EVENT_PARAMETERS);
    if (strcmp(word, "changing") == 0)
        b->changing = true;
    else if (strcmp(word, "settled") == 0)
        b->changing = false;
    else
        told_number(b, word, (uint16_t)number);
}

unsigned pl_oracle_bus_count(const struct pl_oracle *o, enum pl_bus_count what)
{
    const struct pl_bus_judge *b = o->bus;
    unsigned events = 0, open = 0, inside = 0;
    if (!b)
        return 0;
    for (unsigned i = 0; i < PL_BUS_SLOTS; i++) {
        const struct pl_bus_slot *slot = &b->slots[i];
        if (slot->state != PL_BUS_OPEN || slot->failed || slot->m.bus)
            continue;
        inside += slot->route == PL_ROUTE_DUE && !slot->far.forwarded;
        events += slot->m.event && slot->route == PL_ROUTE_DUE;
        open += !slot->m.event && slot->side == PL_BUS_DRIVER_SIDE && slot->route != PL_ROUTE_ANY;
    }
    const unsigned counts[] = {[PL_BUS_FORWARDED] = b->n_forwarded,
                               [PL_BUS_PARAMS_DRIVER] = b->n_told_params[PL_BUS_DRIVER_SIDE],
                               [PL_BUS_PARAMS_DEVICE] = b->n_told_params[PL_BUS_DEVICE_SIDE],
                               [PL_BUS_FAILURES] = b->n_failures,
                               [PL_BUS_ADDED] = b->n_added,
                               [PL_BUS_REMOVED] = b->n_removed,
                               [PL_BUS_EVENTS_OWED] = events,
                               [PL_BUS_INSIDE] = inside,
                               [PL_BUS_UNFINISHED] = open};
    return counts[what];
}

/* Does this slot wait for the bus, and not for the device? */
static bool is_owed(const struct pl_bus_slot *slot)
{
    if (slot->state != PL_BUS_OPEN || slot->m.bus || slot->failed)
        return false;
    if (slot->m.event)
        return slot->route == PL_ROUTE_DUE;
    if (slot->side != PL_BUS_DRIVER_SIDE || slot->route == PL_ROUTE_ANY)
        return false;
    return !slot->far.forwarded || slot->far.answered;
}

unsigned pl_bus_judge_owed(const struct pl_oracle *o)
{
    unsigned n = 0;
    for (unsigned i = 0; i < PL_BUS_SLOTS; i++)
        n += is_owed(&o->bus->slots[i]);
    return n;
}

/* --- the end: whoever waits has waited for long enough --- */

static const char *name_of(const struct pl_msg *m)
{
    return m->def ? m->def->name : "an unknown message";
}

static void event_missing(struct pl_oracle *o, const struct pl_bus_slot *slot)
{
    if (slot->route == PL_ROUTE_DUE)
        pl_broken(o, PL_P_bus_event_bounded,
                  "%s of device %u was given to the bus and never came out, and no EVENT_FAILURE "
                  "says so",
                  name_of(&slot->m), slot->m.dev_num);
    else if (slot->route == PL_ROUTE_NONE) {
        pl_held(o, PL_P_bus_number_checked);
        pl_held(o, PL_P_bus_event_no_answer);
        pl_used(o, PL_P_bus_event_dropped);
    }
    if (slot->route == PL_ROUTE_BIG)
        o->bus->big_stopped[slot->side] = true;
}

static void not_forwarded(struct pl_oracle *o, const struct pl_bus_slot *slot)
{
    const struct pl_msg *m = &slot->m;
    if (slot->route != PL_ROUTE_DUE)
        pl_broken(o, PL_P_bus_failure_shown,
                  "%s for device %u, token %u, cannot be delivered (%s), and no EVENT_FAILURE says "
                  "so",
                  name_of(m), m->dev_num, m->token,
                  slot->route == PL_ROUTE_BIG ? "it is too large" : "there is no such device");
    else if (m->kind == PL_NONE)
        pl_broken(o, PL_P_bus_any_id,
                  "the request with msg_id 0x%02x for device %u was not forwarded", m->msg_id,
                  m->dev_num);
    else if (m->type & o->spec->header.reserved_bits)
        pl_broken(o, PL_P_bus_reserved,
                  "%s for device %u was not forwarded: bits 2 to 7 of its type are not 0",
                  name_of(m), m->dev_num);
    else
        pl_broken(o, PL_P_bus_relayed, "%s for device %u, token %u, never reached the device",
                  name_of(m), m->dev_num, m->token);
}

static void request_missing(struct pl_oracle *o, const struct pl_bus_slot *slot)
{
    const struct pl_msg *m = &slot->m;
    if (slot->route == PL_ROUTE_ANY)
        return;
    if (!slot->far.forwarded)
        not_forwarded(o, slot);
    else if (!slot->far.answered)
        pl_broken(o, PL_P_bus_bounded,
                  "%s for device %u, token %u, was not answered by the device, and the bus waits "
                  "without end",
                  name_of(m), m->dev_num, m->token);
    else if (slot->far.answer_size > pl_bus_over(o))
        pl_broken(o, PL_P_bus_bounded,
                  "the response to %s of device %u, token %u, is too large, and no EVENT_FAILURE "
                  "says so",
                  name_of(m), m->dev_num, m->token);
    else
        pl_broken(o, PL_P_bus_once,
                  "%s for device %u, token %u, was answered by the device, and completed neither "
                  "with the response nor with a failure",
                  name_of(m), m->dev_num, m->token);
}

static void message_left(struct pl_oracle *o, const struct pl_bus_slot *slot)
{
    if (slot->route == PL_ROUTE_VOID)
        pl_held(o, PL_P_bus_void_silent);
    if (slot->m.kind != PL_GET_DEVICES || slot->side != PL_BUS_DRIVER_SIDE ||
        slot->route != PL_ROUTE_OWN)
        return;
    if (!o->bus->enumerates)
        pl_used(o, PL_P_bus_no_devices);
    else if (slot->m.f[PL_F_count] == 0)
        pl_broken(o, PL_P_bus_gdev_zero, "GET_DEVICES with count 0 was not answered");
}

void pl_bus_judge_settle(struct pl_oracle *o)
{
    o->bus->settled = o->bus->seq;
    memset(o->bus->caused, 0, sizeof(o->bus->caused));
    for (size_t i = 0; i < o->bus->n_numbers; i++)
        o->bus->numbers[i].added_until = o->bus->numbers[i].removed_until = 0;
    for (unsigned k = 0; k < PL_BUS_SLOTS; k++) {
        struct pl_bus_slot *slot = pl_bus_slot_at(o->bus, k);
        if (slot->state != PL_BUS_OPEN)
            continue;
        if (slot->m.bus)
            message_left(o, slot);
        else if (slot->failed || slot->m.form == PL_FORM_RUNT)
            ;
        else if (slot->m.event)
            event_missing(o, slot);
        else if (slot->side == PL_BUS_DRIVER_SIDE)
            request_missing(o, slot);
        slot->state = PL_BUS_LEFT;
    }
}
