/* Bends of finished messages, byte by byte. */
#include "peer/bend.h"

#include <string.h>

static const struct pl_field_def *field_of(const struct pl_msg *m, enum pl_field field)
{
    const struct pl_layout *layout = m->def ? pl_msg_layout(m) : NULL;
    for (size_t i = 0; layout && i < layout->n_fields; i++)
        if (layout->fields[i].field == field)
            return &layout->fields[i];
    return NULL;
}

static void bend_field(const struct pl_spec *spec, const struct pl_bend *bend,
                       const struct pl_msg *decoded, uint8_t *message)
{
    const struct pl_field_def *def = field_of(decoded, bend->field);
    if (!def)
        return;
    uint8_t *p = message + spec->header.size + def->offset;
    for (unsigned i = 0; i < def->width; i++) {
        if (bend->what == PL_BEND_FIELD)
            p[i] = (uint8_t)(bend->value >> (8 * i));
        else if (i < def->width / 2u) { /* turn the bytes round */
            uint8_t byte = p[i];
            p[i] = p[def->width - 1u - i];
            p[def->width - 1u - i] = byte;
        }
    }
}

static void bend_data(const struct pl_bend *bend, const struct pl_msg *decoded, uint8_t *message)
{
    if (decoded->data)
        memset(message + (decoded->data - decoded->bytes), (int)(bend->value & 0xff),
               decoded->data_len);
}

/* Make a message longer or shorter; msg_size follows. */
static size_t bend_length(const struct pl_spec *spec, const struct pl_bend *bend, uint8_t *message,
                          size_t size)
{
    size_t header = spec->header.size, most = PL_MSG_MAX - size;
    if (bend->what == PL_BEND_APPEND) {
        size_t more = bend->value < most ? (size_t)bend->value : most;
        memset(message + size, bend->fill, more);
        size += more;
    } else {
        size -= bend->value < size - header ? (size_t)bend->value : size - header;
    }
    pl_poke_size(spec, message, (uint16_t)size);
    return size;
}

/* Bend the bytes. Returns the size that they have then. */
static size_t bend_bytes(const struct pl_spec *spec, const struct pl_bend *bend,
                         const struct pl_msg *decoded, uint8_t *message, size_t size)
{
    switch (bend->what) {
    case PL_BEND_FIELD:
    case PL_BEND_BIG_ENDIAN:
        bend_field(spec, bend, decoded, message);
        break;
    case PL_BEND_TYPE:
        pl_poke_type(spec, message, (uint8_t)bend->value);
        break;
    case PL_BEND_ID:
        pl_poke_id(spec, message, (uint8_t)bend->value);
        break;
    case PL_BEND_DEV_NUM:
        pl_poke_dev_num(spec, message, (uint16_t)bend->value);
        break;
    case PL_BEND_TOKEN:
        pl_poke_token(spec, message, (uint16_t)bend->value);
        break;
    case PL_BEND_SIZE:
        pl_poke_size(spec, message, (uint16_t)bend->value);
        break;
    case PL_BEND_DATA:
        bend_data(bend, decoded, message);
        break;
    case PL_BEND_APPEND:
    case PL_BEND_TRUNCATE:
        return bend_length(spec, bend, message, size);
    case PL_BEND_DROP:
    case PL_BEND_DUPLICATE:
    case PL_BEND_HOLD:
        break;
    }
    return size;
}

void pl_bend_begin(struct pl_bending *b, const struct pl_spec *spec, uint8_t *message, size_t size)
{
    *b = (struct pl_bending){.spec = spec, .message = message, .size = size, .times = 1};
    pl_decode(spec, message, size, &b->out);
}

void pl_bend_apply(struct pl_bending *b, const struct pl_bend *bend)
{
    b->size = bend_bytes(b->spec, bend, &b->out, b->message, b->size);
    if (bend->what == PL_BEND_DROP)
        b->times = 0;
    else if (bend->what == PL_BEND_DUPLICATE)
        b->times = 2;
    else if (bend->what == PL_BEND_HOLD)
        b->hold = true;
}

int pl_bend_send(const struct pl_bending *b, struct pl_outbox *out, struct pl_outbox *held)
{
    if (b->hold && held->head == held->tail)
        return pl_outbox_put(held, b->message, b->size);
    int err = 0;
    for (unsigned i = 0; i < b->times && !err; i++)
        err = pl_outbox_put(out, b->message, b->size);
    int size = err ? 0 : pl_outbox_take(held, b->message, PL_MSG_MAX);
    return size > 0 ? pl_outbox_put(out, b->message, (size_t)size) : err;
}
