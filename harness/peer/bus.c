/* The reference bus as an endpoint with two sides: messages in, messages out, virtual time. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "peer/bus_private.h"
#include "wire/spare.h"

static struct pl_spare spare;

enum { FIRST_TOKEN = 0x4000 };

uint64_t pl_bus_opt(const struct pl_bus_peer *peer, enum pl_bus_opt option)
{
    return peer->opt[option];
}

bool pl_bus_known(const struct pl_bus_peer *peer, uint64_t number)
{
    return number <= UINT16_MAX && (peer->table[number / 8] >> (number % 8) & 1);
}

/* --- the machine --- */

static void reply(struct pl_bus_step *c, const struct pl_msg *m)
{
    c->reply.kind = m->kind;
    c->reply.response = true;
    c->reply.token = m->token;
    pl_bus_emit_msg(c->peer, c->side, &c->reply);
}

bool pl_bus_run(struct pl_bus_peer *peer, int on, const struct pl_msg *m, unsigned side,
                struct pl_bus_open *open, uint64_t number)
{
    static _Thread_local uint8_t bitmap[8194];
    struct pl_bus_step c = {
        .peer = peer, .req = m, .side = side, .open = open, .number = number, .bitmap = bitmap};
    const struct pl_bus_mutant *mutant =
        peer->mutant ? &peer->model->mutants[peer->mutant - 1] : NULL;
    bool taken = false;
    for (size_t i = 0; mutant && i < mutant->n_inserts && !taken; i++)
        taken = mutant->inserts[i].on == on && mutant->inserts[i].fn(&c);
    pl_bus_transition *const *list = peer->model->on[on];
    for (; list && *list && !taken; list++)
        taken = (*list)(&c);
    if (c.replies && m)
        reply(&c, m);
    return taken;
}

/* --- what comes in --- */

static struct pl_bus_open *find_open(struct pl_bus_peer *peer, const struct pl_msg *m)
{
    struct pl_bus_open *found = NULL;
    for (size_t i = 0; i < PL_BUS_OPEN_MAX; i++) {
        struct pl_bus_open *o = &peer->open[i];
        if (o->used && !o->waiting && o->out_token == m->token && o->msg_id == m->msg_id &&
            o->bus == m->bus && (m->bus || o->dev_num == m->dev_num) &&
            (!found || o->seq < found->seq))
            found = o;
    }
    return found;
}

static int classify_bus(const struct pl_bus_peer *peer, const struct pl_msg *m)
{
    if (m->msg_size != m->size || !m->def || m->form == PL_FORM_SHAPE || m->form == PL_FORM_SHORT)
        return PL_BON_BUS_VOID;
    (void)peer;
    return m->response ? PL_BON_BUS_RESPONSE : (int)m->kind;
}

static int classify(const struct pl_bus_peer *peer, unsigned side, const struct pl_msg *m)
{
    if (m->bus)
        return classify_bus(peer, m);
    if (m->msg_size != m->size)
        return side == 0 && !m->event && !m->response ? PL_BON_DRIVER_LIES : PL_BON_DEVICE_LIES;
    if (side == 0)
        return m->response ? PL_BON_DRIVER_STRAY
               : m->event  ? PL_BON_DRIVER_EVENT
                           : PL_BON_DRIVER_REQUEST;
    if (m->event && !m->response)
        return PL_BON_DEVICE_EVENT;
    return m->response && !m->event ? PL_BON_DEVICE_RESPONSE : PL_BON_DEVICE_STRAY;
}

static int bus_deliver(void *self, unsigned side, const void *msg, size_t size)
{
    struct pl_bus_peer *peer = self;
    struct pl_msg m;
    pl_decode(peer->spec, msg, size, &m);
    if (m.form == PL_FORM_RUNT)
        return 0;
    int on = classify(peer, side, &m);
    bool answers = on == PL_BON_DEVICE_RESPONSE || (on == PL_BON_BUS_RESPONSE && side == 1);
    peer->taken++;
    pl_bus_run(peer, on, &m, side, answers ? find_open(peer, &m) : NULL, 0);
    pl_bus_pump(peer);
    return 0;
}

/* --- what goes out --- */

static void queue_out(struct pl_bus_peer *peer, unsigned side, const void *bytes, size_t size,
                      uint64_t late)
{
    struct pl_bus_out *out = malloc(sizeof(*out) + size);
    if (!out)
        return;
    out->due = peer->now + pl_bus_opt(peer, PL_BUS_OPT_delay) + late;
    out->size = size;
    memcpy(out->bytes, bytes, size);
    struct pl_bus_out **at = &peer->out[side];
    while (*at && (*at)->due <= out->due)
        at = &(*at)->next;
    out->next = *at;
    *at = out;
    peer->sent++;
}

static bool is_about(const struct pl_bus_bend *bend, unsigned side, const struct pl_msg *m)
{
    bool request = !m->bus && !m->event && !m->response;
    switch (bend->which) {
    case PL_BUS_ONE:
        return m->kind == bend->kind;
    case PL_BUS_REQUESTS:
        return request && side == 1;
    case PL_BUS_RESPONSES:
        return !m->bus && m->response && side == 0;
    case PL_BUS_DRIVER_EVENTS:
        return !m->bus && m->event && side == 1;
    case PL_BUS_DEVICE_EVENTS:
        return !m->bus && m->event && side == 0;
    case PL_BUS_BUS:
        return m->bus;
    default:
        return true;
    }
}

struct bent {
    uint8_t bytes[PL_MSG_MAX + 1];
    size_t size;
    uint64_t late;
    unsigned copies;
};

static void set_field(const struct pl_msg *m, enum pl_field field, uint64_t value, uint8_t *bytes,
                      size_t header)
{
    const struct pl_layout *layout = pl_msg_layout(m);
    for (size_t i = 0; layout && i < layout->n_fields; i++) {
        const struct pl_field_def *f = &layout->fields[i];
        for (unsigned k = 0; f->field == field && k < f->width; k++)
            bytes[header + f->offset + k] = (uint8_t)(value >> (8 * k));
    }
}

static void append(struct bent *b, size_t n, uint8_t fill)
{
    n = n < PL_MSG_MAX - b->size ? n : PL_MSG_MAX - b->size;
    memset(b->bytes + b->size, fill, n);
    b->size += n;
}

static void bend_one(const struct pl_bus_peer *peer, const struct pl_bus_bend *bend,
                     struct pl_bus_step *c, struct bent *b)
{
    const struct pl_spec *spec = peer->spec;
    uint64_t value = bend->value ? bend->value(c) : 0;
    size_t header = spec->header.size;
    switch (bend->what) {
    case PL_BUS_BEND_FIELD:
        set_field(c->out, bend->field, value, b->bytes, header);
        break;
    case PL_BUS_BEND_TYPE:
        pl_poke_type(spec, b->bytes, (uint8_t)value);
        break;
    case PL_BUS_BEND_ID:
        pl_poke_id(spec, b->bytes, (uint8_t)value);
        break;
    case PL_BUS_BEND_DEV_NUM:
        pl_poke_dev_num(spec, b->bytes, (uint16_t)value);
        break;
    case PL_BUS_BEND_TOKEN:
        pl_poke_token(spec, b->bytes, (uint16_t)value);
        break;
    case PL_BUS_BEND_SIZE:
        pl_poke_size(spec, b->bytes, (uint16_t)value);
        break;
    case PL_BUS_BEND_APPEND:
        append(b, (size_t)value, bend->fill);
        break;
    case PL_BUS_BEND_TRUNCATE:
        b->size = value < b->size && value >= header ? (size_t)value : b->size;
        pl_poke_size(spec, b->bytes, (uint16_t)b->size);
        break;
    case PL_BUS_BEND_PAYLOAD:
        if (b->size > header)
            b->bytes[b->size - 1] ^= (uint8_t)value;
        break;
    case PL_BUS_BEND_DROP:
        b->copies = 0;
        break;
    case PL_BUS_BEND_DUPLICATE:
        b->copies = 2;
        break;
    case PL_BUS_BEND_DELAY:
        b->late = value;
        break;
    }
}

void pl_bus_emit(struct pl_bus_peer *peer, unsigned side, const void *bytes, size_t size,
                 uint64_t late)
{
    static _Thread_local struct bent b;
    const struct pl_bus_mutant *mutant =
        peer->mutant ? &peer->model->mutants[peer->mutant - 1] : NULL;
    struct pl_msg m;
    memcpy(b.bytes, bytes, size);
    b.size = size;
    b.late = late;
    b.copies = 1;
    pl_decode(peer->spec, bytes, size, &m);
    struct pl_bus_step c = {.peer = peer, .req = &m, .out = &m, .side = side, .out_side = side};
    for (size_t i = 0; mutant && i < mutant->n_bends; i++) {
        const struct pl_bus_bend *bend = &mutant->bends[i];
        if (is_about(bend, side, &m) && (!bend->when || bend->when(&c)))
            bend_one(peer, bend, &c, &b);
    }
    if (!m.bus)
        append(&b, (size_t)pl_bus_opt(peer, PL_BUS_OPT_pad), 0);
    for (unsigned i = 0; i < b.copies; i++)
        queue_out(peer, side, b.bytes, b.size, b.late);
}

void pl_bus_emit_msg(struct pl_bus_peer *peer, unsigned side, const struct pl_msg *m)
{
    static _Thread_local uint8_t out[PL_MSG_MAX + 1];
    ssize_t n = pl_encode(peer->spec, m, out, PL_MSG_MAX);
    if (n > 0)
        pl_bus_emit(peer, side, out, (size_t)n, 0);
}

static int bus_poll(void *self, unsigned side, void *buf, size_t cap)
{
    struct pl_bus_peer *peer = self;
    struct pl_bus_out *out = peer->out[side];
    if (!out || out->due > peer->now)
        return 0;
    if (out->size > cap)
        return -EMSGSIZE;
    int size = (int)out->size;
    memcpy(buf, out->bytes, out->size);
    peer->out[side] = out->next;
    free(out);
    return size;
}

/* --- time --- */

static uint64_t bus_next_ms(void *self)
{
    const struct pl_bus_peer *peer = self;
    uint64_t next = UINT64_MAX;
    for (unsigned side = 0; side < 2; side++)
        if (peer->out[side] && peer->out[side]->due < next)
            next = peer->out[side]->due;
    for (size_t i = 0; i < PL_BUS_OPEN_MAX; i++)
        if (peer->open[i].used && peer->open[i].due < next)
            next = peer->open[i].due;
    return next;
}

static void bus_advance(void *self, uint64_t now_ms)
{
    static const struct pl_msg none;
    struct pl_bus_peer *peer = self;
    peer->now = now_ms;
    for (size_t i = 0; i < PL_BUS_OPEN_MAX; i++) {
        struct pl_bus_open *o = &peer->open[i];
        if (!o->used || o->due > now_ms)
            continue;
        o->due = UINT64_MAX;
        pl_bus_run(peer, PL_BON_DUE, &none, 0, o, o->dev_num);
    }
    pl_bus_pump(peer);
}

/* --- its life --- */

static void bus_close(void *self)
{
    struct pl_bus_peer *peer = self;
    if (!peer)
        return;
    for (unsigned side = 0; side < 2; side++)
        while (peer->out[side]) {
            struct pl_bus_out *next = peer->out[side]->next;
            free(peer->out[side]);
            peer->out[side] = next;
        }
    for (size_t i = 0; i < PL_BUS_OPEN_MAX; i++)
        free(peer->open[i].bytes);
    pl_spare_give(&spare, peer, sizeof(*peer));
}

static void *bus_open(const void *config, const struct pl_endpoint_env *env)
{
    static const struct pl_msg none;
    char error[256];
    struct pl_bus_peer *peer = pl_spare_take(&spare, sizeof(*peer));
    if (!peer)
        return NULL;
    memset(peer, 0, sizeof(*peer));
    if (pl_bus_configure(peer, config, error, sizeof(error)) < 0) {
        pl_spare_give(&spare, peer, sizeof(*peer));
        return NULL;
    }
    peer->env = *env;
    peer->params.revision = env->revision;
    peer->params.max_msg_size = env->max_msg_size;
    peer->params.features = env->features;
    peer->next_token = FIRST_TOKEN;
    pl_bus_run(peer, PL_BON_STARTED, &none, 1, NULL, 0);
    return peer;
}

const struct pl_bus_endpoint_ops pl_bus_endpoint = {
    bus_open, bus_deliver, bus_poll, pl_bus_control, bus_next_ms, bus_advance, bus_close};
