/* Taking messages apart and putting them together by a draft's tables; no allocation, no
 * assumption. */
#include <errno.h>
#include <string.h>

#include "wire/wire.h"

static uint64_t load(const uint8_t *p, unsigned width)
{
    uint64_t value = 0;
    if (width == 4) /* the usual width, spelled out: compilers make one load of it */
        return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    if (width == 2)
        return (uint32_t)p[0] | (uint32_t)p[1] << 8;
    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)p[i] << (8 * i);
    return value;
}

static void store(uint8_t *p, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

static uint16_t load_header(const uint8_t *p, struct pl_header_field field)
{
    return field.width ? (uint16_t)load(p + field.offset, field.width) : 0;
}

/* Bytes that an array of `count` units takes; saturates far above any message. */
static size_t array_bytes(const struct pl_array_def *tail, uint64_t count)
{
    if (count > UINT32_MAX)
        count = UINT32_MAX;
    if (tail->unit == PL_UNIT_BITS)
        return (size_t)((count + 7) / 8);
    return (size_t)(tail->unit == PL_UNIT_BYTES ? count : count * tail->width);
}

const struct pl_layout *pl_msg_layout(const struct pl_msg *m)
{
    if (!m->def)
        return NULL;
    return m->response ? m->def->response : m->def->request;
}

static void decode_payload(const struct pl_layout *layout, const uint8_t *payload, size_t have,
                           size_t header_size, struct pl_msg *out)
{
    for (size_t i = 0; i < layout->n_fields; i++) {
        const struct pl_field_def *field = &layout->fields[i];
        if ((size_t)field->offset + field->width <= have)
            out->f[field->field] = load(payload + field->offset, field->width);
    }
    out->expected = header_size + layout->size;
    if (have < layout->size) {
        out->form = PL_FORM_SHORT;
        return;
    }
    if (layout->fixed)
        out->fixed = payload + layout->fixed->offset;
    size_t rest = have - layout->size;
    size_t want = 0;
    if (layout->tail) {
        want = array_bytes(layout->tail, out->f[layout->tail->count_field]);
        if (layout->tail->optional && rest == 0)
            want = 0;
        size_t got = want < rest ? want : rest;
        out->data = got ? payload + layout->size : NULL;
        out->data_len = (uint32_t)got;
        out->expected += want;
    }
    out->form = rest < want ? PL_FORM_SHORT : rest > want ? PL_FORM_LONG : PL_FORM_OK;
}

void pl_decode(const struct pl_spec *spec, const void *bytes, size_t size, struct pl_msg *out)
{
    const struct pl_header_def *header = &spec->header;
    const uint8_t *p = bytes;

    memset(out, 0, sizeof(*out));
    out->bytes = p;
    out->size = size;
    if (size < header->size) {
        out->form = PL_FORM_RUNT;
        return;
    }
    out->type = (uint8_t)load_header(p, header->type);
    out->msg_id = (uint8_t)load_header(p, header->msg_id);
    out->dev_num = load_header(p, header->dev_num);
    out->token = load_header(p, header->token);
    out->msg_size = load_header(p, header->msg_size);
    out->response = (out->type & header->response_bit) != 0;
    out->bus = (out->type & header->bus_bit) != 0;
    out->event = (out->msg_id & header->event_bit) != 0;
    out->def = spec->by_id[out->bus][out->msg_id];
    if (!out->def) {
        out->form = PL_FORM_UNKNOWN;
        return;
    }
    out->kind = out->def->kind;
    const struct pl_layout *layout = pl_msg_layout(out);
    if (!layout) {
        out->form = PL_FORM_SHAPE;
        return;
    }
    decode_payload(layout, p + header->size, size - header->size, header->size, out);
    if (out->msg_size != size)
        out->form = PL_FORM_SIZE;
}

static size_t encoded_tail(const struct pl_layout *layout, const struct pl_msg *m)
{
    return layout->tail ? m->data_len : 0;
}

ssize_t pl_encode(const struct pl_spec *spec, const struct pl_msg *m, void *out, size_t cap)
{
    const struct pl_header_def *header = &spec->header;
    const struct pl_message_def *def = pl_spec_message(spec, m->kind);
    if (!def)
        return -ENOENT;
    const struct pl_layout *layout = m->response ? def->response : def->request;
    if (!layout)
        return -ENOENT;
    size_t tail = encoded_tail(layout, m);
    size_t size = (size_t)header->size + layout->size + tail;
    if (size > cap || size > PL_MSG_MAX)
        return -EMSGSIZE;

    uint8_t *p = out;
    memset(p, 0, (size_t)header->size + layout->size);
    pl_poke_type(
        spec, p,
        (uint8_t)((m->response ? header->response_bit : 0) | (def->bus ? header->bus_bit : 0)));
    pl_poke_id(spec, p, def->id);
    pl_poke_dev_num(spec, p, m->dev_num);
    pl_poke_token(spec, p, m->token);
    pl_poke_size(spec, p, (uint16_t)size);
    uint8_t *payload = p + header->size;
    for (size_t i = 0; i < layout->n_fields; i++)
        store(payload + layout->fields[i].offset, layout->fields[i].width,
              m->f[layout->fields[i].field]);
    if (layout->fixed && m->fixed)
        memcpy(payload + layout->fixed->offset, m->fixed,
               (size_t)layout->fixed->width * layout->fixed->count);
    if (tail && m->data)
        memmove(payload + layout->size, m->data, tail);
    else if (tail)
        memset(payload + layout->size, 0, tail);
    return (ssize_t)size;
}

static void poke(void *bytes, struct pl_header_field field, uint64_t value)
{
    if (field.width)
        store((uint8_t *)bytes + field.offset, field.width, value);
}

void pl_poke_type(const struct pl_spec *spec, void *bytes, uint8_t type)
{
    poke(bytes, spec->header.type, type);
}

void pl_poke_id(const struct pl_spec *spec, void *bytes, uint8_t msg_id)
{
    poke(bytes, spec->header.msg_id, msg_id);
}

void pl_poke_dev_num(const struct pl_spec *spec, void *bytes, uint16_t dev_num)
{
    poke(bytes, spec->header.dev_num, dev_num);
}

void pl_poke_token(const struct pl_spec *spec, void *bytes, uint16_t token)
{
    poke(bytes, spec->header.token, token);
}

void pl_poke_size(const struct pl_spec *spec, void *bytes, uint16_t msg_size)
{
    poke(bytes, spec->header.msg_size, msg_size);
}
