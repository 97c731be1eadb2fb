/* What transitions of the reference bus do, and the functions of their expressions. */
#include <stdlib.h>
#include <string.h>

#include "peer/bus_private.h"

enum { PROBES = 16, STEP_MS = 7 };

/* --- functions --- */

uint64_t pl_bus_fn_known(const struct pl_bus_step *c, uint64_t number)
{
    return pl_bus_known(c->peer, number);
}

uint64_t pl_bus_fn_gone(const struct pl_bus_step *c, uint64_t number)
{
    return number <= UINT16_MAX && (c->peer->gone[number / 8] >> (number % 8) & 1);
}

uint64_t pl_bus_fn_min(const struct pl_bus_step *c, uint64_t a, uint64_t b)
{
    (void)c;
    return a < b ? a : b;
}

uint64_t pl_bus_fn_any_from(const struct pl_bus_step *c, uint64_t from)
{
    for (uint64_t n = from; n <= UINT16_MAX; n++)
        if (pl_bus_known(c->peer, n))
            return true;
    return false;
}

uint64_t pl_bus_fn_largest(const struct pl_bus_step *c)
{
    uint64_t largest = 0;
    for (uint64_t n = 0; n <= UINT16_MAX; n++)
        if (pl_bus_known(c->peer, n))
            largest = n;
    return largest;
}

uint64_t pl_bus_fn_bit(const struct pl_bus_step *c, uint64_t n)
{
    (void)c;
    return n < 64 ? UINT64_C(1) << n : 0;
}

/* Requests of a device that are under way. */
uint64_t pl_bus_fn_open_of(const struct pl_bus_step *c, uint64_t number)
{
    uint64_t n = 0;
    for (size_t i = 0; i < PL_BUS_OPEN_MAX; i++) {
        const struct pl_bus_open *o = &c->peer->open[i];
        n += o->used && !o->waiting && !o->bus && o->dev_num == number;
    }
    return n;
}

/* As many slots as were asked for, as fit a response, and as there are numbers. */
uint64_t pl_bus_fn_devices_count(const struct pl_bus_step *c, uint64_t offset, uint64_t count)
{
    const struct pl_spec *spec = c->peer->spec;
    const struct pl_message_def *def = pl_spec_message(spec, PL_GET_DEVICES);
    uint64_t room = 8 * (c->peer->params.max_msg_size - spec->header.size - def->response->size);
    count = count > room ? room : count;
    count = offset + count > UINT16_MAX ? UINT16_MAX + UINT64_C(1) - offset : count;
    while (pl_bus_opt(c->peer, PL_BUS_OPT_devices_trim) && count &&
           !pl_bus_known(c->peer, offset + count - 1))
        count--;
    return count;
}

uint64_t pl_bus_fn_devices_next(const struct pl_bus_step *c, uint64_t offset, uint64_t count)
{
    uint64_t next = offset + count;
    if (!pl_bus_fn_any_from(c, next))
        return 0;
    while (pl_bus_opt(c->peer, PL_BUS_OPT_devices_skip) && !pl_bus_known(c->peer, next))
        next++;
    return next > offset ? next : offset + 1 <= UINT16_MAX ? offset + 1 : 0;
}

/* --- arrays --- */

static void fill(struct pl_bus_step *c, uint64_t offset, uint64_t count, bool turned)
{
    memset(c->bitmap, 0, (count + 7) / 8);
    for (uint64_t i = 0; i < count; i++)
        if (pl_bus_known(c->peer, offset + i))
            c->bitmap[i / 8] |= (uint8_t)(1u << (turned ? 7 - i % 8 : i % 8));
    c->reply.data = c->bitmap;
    c->reply.data_len = (uint32_t)(count + 7) / 8;
}

void pl_bus_arr_devices(struct pl_bus_step *c, uint64_t offset, uint64_t count)
{
    fill(c, offset, count, false);
}

void pl_bus_arr_devices_turned(struct pl_bus_step *c, uint64_t offset, uint64_t count)
{
    fill(c, offset, count, true);
}

/* So many bytes more than the layout has. */
void pl_bus_arr_devices_bytes(struct pl_bus_step *c, uint64_t offset, uint64_t count,
                              uint64_t bytes)
{
    fill(c, offset, count, false);
    for (uint64_t i = 0; i < bytes && c->reply.data_len < 8192; i++)
        c->bitmap[c->reply.data_len++] = 0;
}

/* --- open requests --- */

static struct pl_bus_open *new_open(struct pl_bus_peer *peer, const struct pl_msg *m)
{
    for (size_t i = 0; i < PL_BUS_OPEN_MAX; i++) {
        struct pl_bus_open *o = &peer->open[i];
        if (o->used)
            continue;
        free(o->bytes);
        *o = (struct pl_bus_open){.used = true,
                                  .token = m->token,
                                  .out_token = m->token,
                                  .dev_num = m->dev_num,
                                  .msg_id = m->msg_id,
                                  .bus = m->bus,
                                  .seq = ++peer->seq,
                                  .due = peer->now + pl_bus_opt(peer, PL_BUS_OPT_timeout)};
        if (pl_bus_opt(peer, PL_BUS_OPT_rewrite_tokens))
            o->out_token = peer->next_token++;
        peer->opened++;
        return o;
    }
    return NULL;
}

static void emit_as(struct pl_bus_peer *peer, unsigned side, const struct pl_msg *m, uint16_t token,
                    uint64_t late)
{
    static _Thread_local uint8_t bytes[PL_MSG_MAX + 1];
    memcpy(bytes, m->bytes, m->size);
    if (!m->event)
        pl_poke_token(peer->spec, bytes, token);
    if (pl_bus_opt(peer, PL_BUS_OPT_clear_reserved))
        pl_poke_type(peer->spec, bytes, m->type & (uint8_t)~peer->spec->header.reserved_bits);
    bool features = m->kind == PL_GET_DEVICE_FEATURES || m->kind == PL_SET_DRIVER_FEATURES;
    if (pl_bus_opt(peer, PL_BUS_OPT_mask_notification_data) && features && m->data) {
        const uint64_t bit = PL_C_F_NOTIFICATION_DATA;
        uint64_t first = m->f[PL_F_block_index];
        size_t at = (size_t)(bit / 32 - first) * 4 + bit % 32 / 8;
        if (first <= bit / 32 && at < m->data_len)
            bytes[(size_t)(m->data - m->bytes) + at] &= (uint8_t) ~(1u << bit % 8);
    }
    pl_bus_emit(peer, side, bytes, m->size, late);
}

/* Is another request under way that this one has to wait for? */
static bool must_wait(const struct pl_bus_peer *peer, const struct pl_bus_open *o)
{
    uint64_t serial = o->behind ? 1 : pl_bus_opt(peer, PL_BUS_OPT_serial);
    for (size_t i = 0; serial && i < PL_BUS_OPEN_MAX; i++) {
        const struct pl_bus_open *other = &peer->open[i];
        if (other->used && other != o && !other->bus && !other->own && other->seq < o->seq &&
            (serial == 2 || other->dev_num == o->dev_num))
            return true;
    }
    return false;
}

void pl_bus_pump(struct pl_bus_peer *peer)
{
    for (bool again = true; again;) {
        struct pl_bus_open *first = NULL;
        again = false;
        for (size_t i = 0; i < PL_BUS_OPEN_MAX; i++) {
            struct pl_bus_open *o = &peer->open[i];
            if (o->used && o->waiting && !peer->changing && !must_wait(peer, o) &&
                (!first || o->seq < first->seq))
                first = o;
        }
        if (first) {
            struct pl_msg m;
            pl_decode(peer->spec, first->bytes, first->size, &m);
            first->waiting = false;
            emit_as(peer, first->behind ? first->out_side : 1, &m, first->out_token, 0);
            first->used = !first->behind;
            again = true;
        }
    }
}

static void keep(struct pl_bus_open *o, const struct pl_msg *m)
{
    o->bytes = malloc(m->size);
    o->size = o->bytes ? m->size : 0;
    o->waiting = o->bytes != NULL;
    if (o->bytes)
        memcpy(o->bytes, m->bytes, m->size);
}

void pl_bus_act_forward_request(struct pl_bus_step *c)
{
    struct pl_bus_open *o = new_open(c->peer, c->req);
    if (!o)
        pl_bus_act_fail(c, PL_C_FAILURE_POLICY);
    else if (must_wait(c->peer, o))
        keep(o, c->req);
    else
        emit_as(c->peer, 1, c->req, o->out_token, 0);
}

/* With a token and to a device of the mutant's choice. */
void pl_bus_act_send_request(struct pl_bus_step *c, uint64_t token, uint64_t dev_num)
{
    static _Thread_local uint8_t bytes[PL_MSG_MAX + 1];
    struct pl_bus_open *o = new_open(c->peer, c->req);
    if (!o)
        return;
    o->out_token = (uint16_t)token;
    o->dev_num = (uint16_t)dev_num;
    memcpy(bytes, c->req->bytes, c->req->size);
    pl_poke_token(c->peer->spec, bytes, (uint16_t)token);
    pl_poke_dev_num(c->peer->spec, bytes, (uint16_t)dev_num);
    pl_bus_emit(c->peer, 1, bytes, c->req->size, 0);
}

/* An event stays until the requests before it are completed. */
void pl_bus_act_forward_behind(struct pl_bus_step *c)
{
    struct pl_bus_open *o = new_open(c->peer, c->req);
    if (!o)
        return;
    o->own = o->behind = true;
    o->out_token = c->req->token;
    o->out_side = !c->side;
    o->due = UINT64_MAX;
    keep(o, c->req);
}

void pl_bus_act_hold(struct pl_bus_step *c)
{
    struct pl_bus_open *o = new_open(c->peer, c->req);
    if (o)
        keep(o, c->req);
}

void pl_bus_act_release(struct pl_bus_step *c)
{
    c->peer->changing = false;
}

void pl_bus_act_forward(struct pl_bus_step *c)
{
    emit_as(c->peer, !c->side, c->req, c->req->token, 0);
}

void pl_bus_act_forward_as(struct pl_bus_step *c, uint64_t side, uint64_t dev_num)
{
    static _Thread_local uint8_t bytes[PL_MSG_MAX + 1];
    memcpy(bytes, c->req->bytes, c->req->size);
    pl_poke_dev_num(c->peer->spec, bytes, (uint16_t)dev_num);
    pl_bus_emit(c->peer, (unsigned)side, bytes, c->req->size, 0);
}

void pl_bus_act_cut_forward(struct pl_bus_step *c, uint64_t size)
{
    static _Thread_local uint8_t bytes[PL_MSG_MAX + 1];
    size_t n = size < c->req->size ? (size_t)size : c->req->size;
    memcpy(bytes, c->req->bytes, c->req->size);
    pl_poke_size(c->peer->spec, bytes, (uint16_t)n);
    pl_bus_emit(c->peer, !c->side, bytes, n, 0);
}

/* --- completions --- */

void pl_bus_act_complete_as(struct pl_bus_step *c, uint64_t token)
{
    uint64_t reorder = pl_bus_opt(c->peer, PL_BUS_OPT_reorder);
    uint64_t late = reorder ? c->peer->seq * STEP_MS % (reorder + 1) : 0;
    emit_as(c->peer, 0, c->req, (uint16_t)token, late);
    c->peer->last = c->open;
}

void pl_bus_act_complete(struct pl_bus_step *c)
{
    if (c->open)
        pl_bus_act_complete_as(c, c->open->token);
}

/* With the token of another request of the same kind and device, where there is one. */
void pl_bus_act_swap_last(struct pl_bus_step *c)
{
    for (size_t i = 0; c->open && i < PL_BUS_OPEN_MAX; i++) {
        struct pl_bus_open *o = &c->peer->open[i];
        if (!o->used || o == c->open || o->msg_id != c->open->msg_id || o->bus != c->open->bus ||
            o->dev_num != c->open->dev_num || o->own)
            continue;
        uint16_t token = o->token;
        o->token = c->open->token;
        c->open->token = token;
        break;
    }
    pl_bus_act_complete(c);
}

void pl_bus_act_close(struct pl_bus_step *c)
{
    if (!c->open)
        return;
    c->open->used = false;
    c->open->due = UINT64_MAX;
}

/* It stays, and is not waited for any more. */
void pl_bus_act_keep_open(struct pl_bus_step *c)
{
    if (c->open)
        c->open->due = UINT64_MAX;
}

static void failure(struct pl_bus_peer *peer, uint16_t dev_num, uint16_t token, uint8_t msg_id,
                    uint64_t reason)
{
    struct pl_msg m = {.kind = PL_EVENT_FAILURE};
    m.f[PL_F_failed_dev_num] = dev_num;
    m.f[PL_F_failed_token] = token;
    m.f[PL_F_failed_msg_id] = msg_id;
    m.f[PL_F_reason] = reason;
    pl_bus_emit_msg(peer, 0, &m);
}

void pl_bus_act_fail(struct pl_bus_step *c, uint64_t reason)
{
    failure(c->peer, c->req->dev_num, c->req->token, c->req->msg_id, reason);
}

void pl_bus_act_fail_event(struct pl_bus_step *c, uint64_t reason)
{
    pl_bus_act_fail(c, reason);
}

void pl_bus_act_fail_open(struct pl_bus_step *c, uint64_t reason)
{
    if (c->open && !c->open->own && !c->open->bus)
        failure(c->peer, c->open->dev_num, c->open->token, c->open->msg_id, reason);
}

void pl_bus_act_fail_all(struct pl_bus_step *c, uint64_t number, uint64_t reason)
{
    for (size_t i = 0; pl_bus_opt(c->peer, PL_BUS_OPT_fail_removed) && i < PL_BUS_OPEN_MAX; i++) {
        struct pl_bus_open *o = &c->peer->open[i];
        if (!o->used || o->bus || o->own || o->dev_num != number)
            continue;
        failure(c->peer, o->dev_num, o->token, o->msg_id, reason);
        o->used = false;
        o->due = UINT64_MAX;
    }
}

/* --- devices --- */

void pl_bus_act_add(struct pl_bus_step *c, uint64_t number)
{
    if (number > UINT16_MAX)
        return;
    c->peer->table[number / 8] |= (uint8_t)(1u << (number % 8));
    c->peer->gone[number / 8] &= (uint8_t) ~(1u << (number % 8));
}

void pl_bus_act_remove(struct pl_bus_step *c, uint64_t number)
{
    if (number > UINT16_MAX)
        return;
    c->peer->table[number / 8] &= (uint8_t) ~(1u << (number % 8));
    c->peer->gone[number / 8] |= (uint8_t)(1u << (number % 8));
}

void pl_bus_act_announce(struct pl_bus_step *c, uint64_t number, uint64_t state)
{
    struct pl_msg m = {.kind = PL_EVENT_DEVICE};
    if (pl_bus_opt(c->peer, PL_BUS_OPT_event_device) != 1)
        return;
    m.f[PL_F_device_number] = number;
    m.f[PL_F_device_bus_state] = state;
    pl_bus_emit_msg(c->peer, 0, &m);
}

/* A request of the bus's own to the device side. */
static void ask(struct pl_bus_peer *peer, struct pl_msg *m)
{
    const struct pl_message_def *def = pl_spec_message(peer->spec, m->kind);
    struct pl_msg key = {.msg_id = def->id, .bus = def->bus, .dev_num = m->dev_num};
    key.token = m->token = peer->next_token++;
    struct pl_bus_open *o = new_open(peer, &key);
    if (!o)
        return;
    o->own = true;
    o->out_token = m->token;
    pl_bus_emit_msg(peer, 1, m);
}

static void ask_window(struct pl_bus_peer *peer, uint64_t offset)
{
    const struct pl_message_def *def = pl_spec_message(peer->spec, PL_GET_DEVICES);
    struct pl_msg m = {.kind = PL_GET_DEVICES};
    m.f[PL_F_offset] = offset;
    m.f[PL_F_count] =
        8 * (peer->params.max_msg_size - peer->spec->header.size - def->response->size);
    if (m.f[PL_F_count] > UINT16_MAX)
        m.f[PL_F_count] = UINT16_MAX;
    ask(peer, &m);
}

void pl_bus_act_probe(struct pl_bus_step *c, uint64_t number)
{
    struct pl_msg m = {.kind = PL_GET_DEVICE_INFO, .dev_num = (uint16_t)number};
    ask(c->peer, &m);
}

void pl_bus_act_discover(struct pl_bus_step *c)
{
    uint64_t how = pl_bus_opt(c->peer, PL_BUS_OPT_discovery);
    if (how == 0)
        ask_window(c->peer, 0);
    for (uint64_t n = 0; how == 1 && n < PROBES; n++)
        pl_bus_act_probe(c, n);
}

void pl_bus_act_discovered(struct pl_bus_step *c)
{
    const struct pl_msg *m = c->req;
    if (!m->bus) {
        pl_bus_run(c->peer, PL_BON_FOUND, m, 1, NULL, m->dev_num);
        return;
    }
    if (m->kind != PL_GET_DEVICES)
        return;
    uint64_t offset = m->f[PL_F_offset], next = m->f[PL_F_next_offset];
    for (uint64_t i = 0; i < m->f[PL_F_count] && i / 8 < m->data_len; i++)
        if (i % 8 == 0 && !m->data[i / 8])
            i += 7; /* none of these eight */
        else if (m->data[i / 8] >> (i % 8) & 1)
            pl_bus_run(c->peer, PL_BON_FOUND, m, 1, NULL, offset + i);
    if (next > offset)
        ask_window(c->peer, next);
}

/* --- bus messages and parameters --- */

void pl_bus_act_relay(struct pl_bus_step *c)
{
    struct pl_bus_open *o = new_open(c->peer, c->req);
    if (!o)
        return;
    o->relayed = true;
    emit_as(c->peer, 1, c->req, o->out_token, 0);
}

void pl_bus_act_set_parameters(struct pl_bus_step *c, uint64_t revision, uint64_t size,
                               uint64_t features)
{
    c->peer->params.revision = revision;
    c->peer->params.max_msg_size = size;
    c->peer->params.features = features;
    c->peer->changing = true;
}

void pl_bus_act_tell_parameters(struct pl_bus_step *c, uint64_t side)
{
    struct pl_msg m = {.kind = PL_EVENT_PARAMETERS};
    m.f[PL_F_revision] = c->peer->params.revision;
    m.f[PL_F_max_msg_size] = c->peer->params.max_msg_size;
    m.f[PL_F_transport_features] = c->peer->params.features;
    pl_bus_emit_msg(c->peer, (unsigned)side, &m);
}

void pl_bus_act_revalidated(struct pl_bus_step *c)
{
    if (c->side == 0)
        c->peer->changing = false;
}

/* --- for mutants --- */

void pl_bus_act_remember(struct pl_bus_step *c, uint64_t value)
{
    c->peer->memory = value;
}

/* The message comes back as a response without payload. */
void pl_bus_act_answer_empty(struct pl_bus_step *c, uint64_t side)
{
    static _Thread_local uint8_t bytes[PL_MSG_MAX + 1];
    const struct pl_header_def *h = &c->peer->spec->header;
    memcpy(bytes, c->req->bytes, h->size);
    pl_poke_type(c->peer->spec, bytes, c->req->type | h->response_bit);
    pl_poke_size(c->peer->spec, bytes, h->size);
    pl_bus_emit(c->peer, (unsigned)side, bytes, h->size, 0);
}

/* EVENT_CONFIG (0), EVENT_AVAIL (1) or EVENT_USED (2) of the bus's own. */
void pl_bus_act_event(struct pl_bus_step *c, uint64_t side, uint64_t kind, uint64_t dev_num)
{
    static const enum pl_kind kinds[] = {PL_EVENT_CONFIG, PL_EVENT_AVAIL, PL_EVENT_USED};
    struct pl_msg m = {.kind = kinds[kind % 3], .dev_num = (uint16_t)dev_num};
    pl_bus_emit_msg(c->peer, (unsigned)side, &m);
}
