/* Building and sending a scenario's messages, bent where it says so. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/run_private.h"

enum { BURST_MAX = 128 }; /* requests under way at once, at most */

/* --- messages --- */

struct bent {
    uint64_t type, id, token, size, cut, pad, pad_with;
    bool has_type, has_id, has_token, has_size;
};

static void take_bend(struct bent *b, struct pl_msg *m, const char *name, uint64_t v)
{
    if (strcmp(name, "_type") == 0) {
        b->type = v;
        b->has_type = true;
    } else if (strcmp(name, "_id") == 0) {
        b->id = v;
        b->has_id = true;
    } else if (strcmp(name, "_dev_num") == 0) {
        m->dev_num = (uint16_t)v;
    } else if (strcmp(name, "_token") == 0) {
        b->token = v;
        b->has_token = true;
    } else if (strcmp(name, "_size") == 0) {
        b->size = v;
        b->has_size = true;
    } else if (strcmp(name, "_cut") == 0) {
        b->cut = v;
    } else if (strcmp(name, "_pad") == 0) {
        b->pad = v;
    } else if (strcmp(name, "_pad_with") == 0) {
        b->pad_with = v;
    } else if (strcmp(name, "_response") == 0) {
        m->response = v != 0;
    }
}

static enum outcome fill_list(struct run *r, const struct pl_step *step, unsigned width,
                              uint8_t *data, uint32_t *len)
{
    for (size_t i = 0; i < step->n_items && (i + 1) * width <= PL_MSG_MAX; i++) {
        uint64_t v;
        if (pl_run_value(r, step, step->items[i], &v) == STOP)
            return STOP;
        for (unsigned b = 0; b < width; b++)
            data[i * width + b] = (uint8_t)(v >> (8 * b));
        *len = (uint32_t)((i + 1) * width);
    }
    return GO_ON;
}

/* The variable array of a message into `data` (PL_MSG_MAX bytes). */
static enum outcome fill_data(struct run *r, const struct pl_step *step, uint8_t *data,
                              uint32_t *len)
{
    const struct pl_array_def *tail = step->def->request->tail;
    uint64_t a = 0, count = 0;
    unsigned width = tail ? tail->width : 1;
    *len = 0;
    if (step->data == PL_DATA_NONE)
        return GO_ON;
    if (step->data == PL_DATA_LIST)
        return fill_list(r, step, width, data, len);
    if (step->data == PL_DATA_HEX) {
        memcpy(data, step->hex, step->hex_len);
        *len = (uint32_t)step->hex_len;
        return GO_ON;
    }
    if (pl_run_value(r, step, step->items[0], &a) == STOP)
        return STOP;
    pl_session_flush(r->s);
    count = r->s->last.data_len;
    if (step->items[1] && pl_run_value(r, step, step->items[1], &count) == STOP)
        return STOP;
    count *= step->data == PL_DATA_FILL ? width : 1;
    if (count > PL_MSG_MAX)
        count = PL_MSG_MAX;
    for (uint64_t i = 0; i < count; i++)
        data[i] = step->data == PL_DATA_FILL ? (uint8_t)a : (uint8_t)(pl_run_element(r, i, 1) ^ a);
    *len = (uint32_t)count;
    return GO_ON;
}

static size_t bend(struct run *r, const struct bent *b, uint8_t *out, size_t n)
{
    const struct pl_spec *spec = r->s->spec;
    size_t pad = b->pad < PL_MSG_MAX - n ? (size_t)b->pad : PL_MSG_MAX - n;
    memset(out + n, (int)b->pad_with, pad);
    n += pad;
    n -= b->cut < n ? (size_t)b->cut : n - 1;
    if (n < spec->header.size)
        return n;
    pl_poke_size(spec, out, (uint16_t)(b->has_size ? b->size : n));
    if (b->has_type)
        pl_poke_type(spec, out, (uint8_t)b->type);
    if (b->has_id)
        pl_poke_id(spec, out, (uint8_t)b->id);
    return n;
}

/* On a byte stream a message that lies about its size, or is too large, ends the conversation. */
static bool carried(const struct run *r, const void *bytes, size_t n)
{
    struct pl_msg m;
    if (!r->s->port->stream)
        return true;
    pl_decode(r->s->spec, bytes, n, &m);
    return m.form != PL_FORM_RUNT && m.msg_size == n && n <= r->s->bus.max_msg_size;
}

enum outcome pl_run_transmit(struct run *r, const void *bytes, size_t n)
{
    if (!carried(r, bytes, n))
        return GO_ON;
    unsigned outstanding = r->burst ? BURST_MAX : r->combination->outstanding;
    int err = pl_session_send(r->s, bytes, n, outstanding, true);
    if (err == -EPIPE || r->s->stuck || !r->s->alive)
        return pl_run_stop(r, PL_SCENARIO_INCONCLUSIVE, "the IUT is gone or hangs");
    return GO_ON;
}

enum outcome pl_run_send(struct run *r, const struct pl_step *step)
{
    static _Thread_local uint8_t data[PL_MSG_MAX + 1], out[PL_MSG_MAX + 1];
    struct pl_msg m = {.kind = step->def->kind, .dev_num = r->combination->dev_num, .data = data};
    struct bent b = {0};
    if (step->def->bus)
        m.dev_num = 0;
    for (size_t i = 0; i < step->n_assign; i++) {
        uint64_t v;
        if (pl_run_value(r, step, step->assign[i].value, &v) == STOP)
            return STOP;
        if (step->assign[i].field != PL_F_none)
            m.f[step->assign[i].field] = v;
        else
            take_bend(&b, &m, step->assign[i].name, v);
    }
    if (fill_data(r, step, data, &m.data_len) == STOP)
        return STOP;
    m.token = b.has_token ? (uint16_t)b.token : step->def->event ? 0 : pl_session_token(r->s);
    ssize_t n = pl_encode(r->s->spec, &m, out, PL_MSG_MAX);
    if (n < 0)
        return pl_run_stop(r, PL_SCENARIO_ERROR, "%s:%d: the message does not fit into %u bytes",
                           step->at->file, step->at->line, PL_MSG_MAX);
    return pl_run_transmit(r, out, bend(r, &b, out, (size_t)n));
}
