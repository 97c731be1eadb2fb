/* The devices behind a bus under test: they answer whatever can be answered, and look at nothing
 * but its layout. */
#include <stdlib.h>
#include <string.h>

#include "engine/bus_run.h"

enum { CONFIG_SIZE = 4096, QUEUES = 4, BLOCKS = 2, WINDOW_MAX = 1024 };

void pl_bus_device_set(struct pl_bus_run *b, uint16_t number, bool present)
{
    size_t at = 0;
    while (at < b->n_devices && b->devices[at] != number)
        at++;
    if (present && at == b->n_devices && at < PL_BUS_DEVICES)
        b->devices[b->n_devices++] = number;
    else if (!present && at < b->n_devices)
        b->devices[at] = b->devices[--b->n_devices];
    pl_session_tell(b->s, "bus %s %u", present ? "present" : "absent", number);
}

static bool is_present(const struct pl_bus_run *b, uint32_t number)
{
    for (size_t i = 0; i < b->n_devices; i++)
        if (b->devices[i] == number)
            return true;
    return false;
}

static uint32_t draw(struct pl_bus_run *b)
{
    b->drawn = b->drawn * 1664525u + 1013904223u;
    return b->drawn;
}

/* --- bus messages --- */

static bool any_from(const struct pl_bus_run *b, uint32_t from)
{
    for (size_t i = 0; i < b->n_devices; i++)
        if (b->devices[i] >= from)
            return true;
    return false;
}

static void fill_window(const struct pl_bus_run *b, const struct pl_msg *req, struct pl_msg *r,
                        uint8_t *bitmap)
{
    const struct pl_spec *spec = b->s->spec;
    const struct pl_message_def *def = pl_spec_message(spec, PL_GET_DEVICES);
    uint32_t offset = (uint32_t)req->f[PL_F_offset], count = (uint32_t)req->f[PL_F_count];
    uint32_t room = 8 * (b->s->bus.max_msg_size - spec->header.size - def->response->size);
    count = count > room ? room : count;
    count = count > UINT16_MAX + 1u - offset ? UINT16_MAX + 1u - offset : count;
    r->data = bitmap;
    r->data_len = (count + 7) / 8;
    memset(bitmap, 0, r->data_len);
    for (size_t i = 0; i < b->n_devices; i++)
        if (b->devices[i] >= offset && b->devices[i] - offset < count)
            bitmap[(b->devices[i] - offset) / 8] |= (uint8_t)(1u << (b->devices[i] - offset) % 8);
    r->f[PL_F_offset] = offset;
    r->f[PL_F_count] = count;
    r->f[PL_F_next_offset] = count && any_from(b, offset + count) ? offset + count : 0;
}

static void bus_request(struct pl_bus_run *b, const struct pl_msg *m)
{
    static _Thread_local uint8_t bitmap[8192];
    struct pl_msg r = {.kind = m->kind, .response = true, .token = m->token};
    if (m->form != PL_FORM_OK || m->response || m->event)
        return;
    if (m->kind == PL_PING) {
        r.f[PL_F_data32] = m->f[PL_F_data32];
    } else if (m->kind == PL_GET_PARAMETERS) {
        r.f[PL_F_revision] = b->s->bus.revision;
        r.f[PL_F_max_msg_size] = b->s->bus.max_msg_size;
        r.f[PL_F_transport_features] = b->s->bus.features;
    } else if (m->kind == PL_GET_DEVICES) {
        fill_window(b, m, &r, bitmap);
    } else {
        return;
    }
    pl_bus_run_send(b, PL_BUS_DEVICE_SIDE, &r);
}

/* --- transport messages --- */

static void set_field(struct pl_bus_run *b, const struct pl_msg *m, struct pl_msg *r,
                      const struct pl_field_def *f)
{
    const struct pl_layout *request = pl_msg_layout(m);
    /* What a bus may ask for by itself is the same each time. */
    bool steady = m->kind == PL_GET_DEVICE_INFO || m->kind == b->s->spec->fence;
    uint64_t value = steady ? 0x40u + m->dev_num % 0x40u : draw(b) & 0xff;
    for (size_t i = 0; request && i < request->n_fields; i++)
        if (request->fields[i].field == f->field)
            value = m->f[f->field];
    r->f[f->field] = value;
}

/* What has to make sense to whoever reads it. */
static void set_info(struct pl_msg *r)
{
    static const uint8_t nil[16];
    r->f[PL_F_device_id] = PL_C_TYPE_entropy;
    r->f[PL_F_num_feature_blocks] = BLOCKS;
    r->f[PL_F_config_size] = CONFIG_SIZE;
    r->f[PL_F_max_virtqueues] = QUEUES;
    r->f[PL_F_admin_vq_start] = r->f[PL_F_admin_vq_count] = 0;
    r->fixed = nil;
}

static void set_features(const struct pl_msg *m, struct pl_msg *r, uint8_t *data)
{
    const uint64_t offered = UINT64_C(1) << PL_C_F_VERSION_1 |
                             UINT64_C(1) << PL_C_F_NOTIFICATION_DATA |
                             UINT64_C(1) << PL_C_F_EVENT_IDX;
    for (uint32_t i = 0; i < r->data_len / 4; i++) {
        uint64_t block = m->f[PL_F_block_index] + i;
        uint32_t bits = block < BLOCKS ? (uint32_t)(offered >> (32 * block)) : 0;
        for (unsigned k = 0; k < 4; k++)
            data[4 * i + k] = (uint8_t)(bits >> (8 * k));
    }
}

static void set_array(struct pl_bus_run *b, const struct pl_msg *m, struct pl_msg *r, uint8_t *data)
{
    const struct pl_array_def *tail = m->def->response->tail;
    const struct pl_spec *spec = b->s->spec;
    if (!tail)
        return;
    uint64_t count = r->f[tail->count_field] * tail->width;
    uint32_t room = b->s->bus.max_msg_size - spec->header.size - m->def->response->size;
    room -= room % tail->width;
    r->data = data;
    r->data_len = count < room ? (uint32_t)count : room;
    r->f[tail->count_field] = r->data_len / tail->width;
    for (uint32_t i = 0; i < r->data_len; i++)
        data[i] = (uint8_t)(draw(b) >> 16);
    if (m->kind == PL_GET_DEVICE_FEATURES)
        set_features(m, r, data);
    else if (m->data && m->data_len >= r->data_len)
        memcpy(data, m->data, r->data_len);
}

/* A response of the right layout, or, to what nobody knows, one of the same msg_id; its size. */
static size_t build(struct pl_bus_run *b, const struct pl_msg *m, uint8_t *out)
{
    static _Thread_local uint8_t data[PL_MSG_MAX + 1];
    const struct pl_spec *spec = b->s->spec;
    if (!m->def) {
        size_t n = spec->header.size;
        memcpy(out, m->bytes, n);
        for (unsigned i = 0; i < 4; i++)
            out[n++] = (uint8_t)(draw(b) >> 16);
        pl_poke_type(spec, out, spec->header.response_bit);
        pl_poke_size(spec, out, (uint16_t)n);
        return n;
    }
    struct pl_msg r = {.kind = m->kind, .response = true, .dev_num = m->dev_num, .token = m->token};
    for (size_t i = 0; i < m->def->response->n_fields; i++)
        set_field(b, m, &r, &m->def->response->fields[i]);
    if (m->kind == PL_GET_DEVICE_INFO)
        set_info(&r);
    set_array(b, m, &r, data);
    ssize_t n = pl_encode(spec, &r, out, PL_MSG_MAX);
    return n < 0 ? 0 : (size_t)n;
}

static void keep_back(struct pl_bus_run *b, const uint8_t *bytes, size_t size)
{
    if (b->n_held == PL_BUS_HELD)
        return;
    uint8_t *copy = malloc(size);
    if (!copy)
        return;
    memcpy(copy, bytes, size);
    b->held[b->n_held++] = (struct pl_bus_held){copy, size};
}

static void transport_request(struct pl_bus_run *b, const struct pl_msg *m)
{
    static _Thread_local uint8_t out[PL_MSG_MAX + 1];
    bool sound = m->form == PL_FORM_OK || m->form == PL_FORM_LONG || m->form == PL_FORM_UNKNOWN;
    if (m->response || m->event || !sound || !is_present(b, m->dev_num))
        return;
    size_t n = build(b, m, out);
    if (!n)
        return;
    if (n < b->answer_size && b->answer_size <= PL_MSG_MAX && m->kind != PL_GET_DEVICE_INFO) {
        for (; n < b->answer_size; n++)
            out[n] = (uint8_t)(draw(b) >> 16);
        pl_poke_size(b->s->spec, out, (uint16_t)n);
    }
    bool held = b->hold == 1 || (b->hold == 2 && m->dev_num == b->s->dev_num);
    if (held && m->kind != PL_GET_DEVICE_INFO)
        keep_back(b, out, n);
    else
        pl_bus_run_give(b, PL_BUS_DEVICE_SIDE, out, n);
}

void pl_bus_device_take(struct pl_bus_run *b, const struct pl_msg *m)
{
    if (m->bus && m->kind == PL_EVENT_PARAMETERS)
        b->told_device = true;
    else if (m->bus)
        bus_request(b, m);
    else
        transport_request(b, m);
}
