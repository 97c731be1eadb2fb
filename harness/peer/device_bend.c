/* Bends of outgoing messages: what mutants do to a message that is already right. */
#include <string.h>

#include "peer/device_private.h"

static bool fits_bend(const struct pl_device_bend *bend, const struct pl_msg *m)
{
    if (bend->kind != PL_NONE && bend->kind != m->kind)
        return false;
    return m->response ? bend->responses : bend->events;
}

static const struct pl_field_def *field_of(const struct pl_msg *m, enum pl_field field)
{
    const struct pl_layout *layout = m->def ? pl_msg_layout(m) : NULL;
    for (size_t i = 0; layout && i < layout->n_fields; i++)
        if (layout->fields[i].field == field)
            return &layout->fields[i];
    return NULL;
}

static void bend_field(struct pl_step *c, const struct pl_device_bend *bend, uint64_t value)
{
    const struct pl_field_def *def = field_of(c->out, bend->field);
    if (!def)
        return;
    uint8_t *p = c->peer->message + c->peer->spec->header.size + def->offset;
    for (unsigned i = 0; i < def->width; i++) {
        if (bend->what == PL_BEND_FIELD)
            p[i] = (uint8_t)(value >> (8 * i));
        else if (i < def->width / 2u) { /* turn the bytes round */
            uint8_t byte = p[i];
            p[i] = p[def->width - 1u - i];
            p[def->width - 1u - i] = byte;
        }
    }
}

static void bend_data(struct pl_step *c, uint64_t value)
{
    if (!c->out->data)
        return;
    size_t at = (size_t)(c->out->data - c->peer->message);
    memset(c->peer->message + at, (int)(value & 0xff), c->out->data_len);
}

/* Make a message longer or shorter; msg_size follows. */
static size_t bend_length(struct pl_step *c, const struct pl_device_bend *bend, size_t size,
                          uint64_t value)
{
    size_t header = c->peer->spec->header.size;
    if (bend->what == PL_BEND_APPEND) {
        size_t more = value < PL_MSG_MAX - size ? (size_t)value : PL_MSG_MAX - size;
        memset(c->peer->message + size, bend->fill, more);
        size += more;
    } else {
        size -= value < size - header ? (size_t)value : size - header;
    }
    pl_poke_size(c->peer->spec, c->peer->message, (uint16_t)size);
    return size;
}

static size_t apply(struct pl_step *c, const struct pl_device_bend *bend, size_t size)
{
    const struct pl_spec *spec = c->peer->spec;
    uint8_t *message = c->peer->message;
    uint64_t value = bend->value ? bend->value(c) : 0;
    switch (bend->what) {
    case PL_BEND_FIELD:
    case PL_BEND_BIG_ENDIAN:
        bend_field(c, bend, value);
        return size;
    case PL_BEND_TYPE:
        pl_poke_type(spec, message, (uint8_t)value);
        return size;
    case PL_BEND_ID:
        pl_poke_id(spec, message, (uint8_t)value);
        return size;
    case PL_BEND_DEV_NUM:
        pl_poke_dev_num(spec, message, (uint16_t)value);
        return size;
    case PL_BEND_TOKEN:
        pl_poke_token(spec, message, (uint16_t)value);
        return size;
    case PL_BEND_SIZE:
        pl_poke_size(spec, message, (uint16_t)value);
        return size;
    case PL_BEND_DATA:
        bend_data(c, value);
        return size;
    case PL_BEND_APPEND:
    case PL_BEND_TRUNCATE:
        return bend_length(c, bend, size, value);
    case PL_BEND_DROP:
    case PL_BEND_DUPLICATE:
    case PL_BEND_HOLD:
        break;
    }
    return size;
}

/* Put the message out, as often as it shall go, and then the one that was held back before it. */
static int put(struct pl_device_peer *peer, size_t size, unsigned times)
{
    int err = 0;
    for (unsigned i = 0; i < times && !err; i++)
        err = pl_outbox_put(&peer->out, peer->message, size);
    int held = err ? 0 : pl_outbox_take(&peer->held, peer->message, sizeof(peer->message));
    return held > 0 ? pl_outbox_put(&peer->out, peer->message, (size_t)held) : err;
}

int pl_device_bend(struct pl_step *c, size_t size)
{
    struct pl_device_peer *peer = c->peer;
    struct pl_msg out;
    unsigned times = 1;
    bool hold = false;
    pl_decode(peer->spec, peer->message, size, &out);
    c->out = &out;
    for (size_t i = 0; i < peer->mutant_def->n_bends; i++) {
        const struct pl_device_bend *bend = &peer->mutant_def->bends[i];
        if (!fits_bend(bend, &out) || (bend->when && !bend->when(c)))
            continue;
        size = apply(c, bend, size);
        times = bend->what == PL_BEND_DROP ? 0 : bend->what == PL_BEND_DUPLICATE ? 2 : times;
        hold = hold || bend->what == PL_BEND_HOLD;
    }
    peer->sent++;
    c->out = NULL;
    if (hold && peer->held.head == peer->held.tail)
        return pl_outbox_put(&peer->held, peer->message, size);
    return put(peer, size, times);
}
