/* Building and sending a scenario's messages, bent where it says so. */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/bent.h"
#include "engine/run_private.h"

enum { BURST_MAX = 128 }; /* requests under way at once, at most */

/* --- messages --- */

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

bool pl_run_carried(const struct run *r, const void *bytes, size_t n)
{
    struct pl_msg m;
    if (!r->s->port->stream)
        return true;
    pl_decode(r->s->spec, bytes, n, &m);
    return m.form != PL_FORM_RUNT && m.msg_size == n && n <= r->s->bus.max_msg_size;
}

enum outcome pl_run_transmit(struct run *r, const void *bytes, size_t n)
{
    if (!pl_run_carried(r, bytes, n))
        return GO_ON;
    if (r->far)
        return r->far->transmit(r->far->opaque, bytes, n) < 0 ? STOP : GO_ON;
    if (r->s->bus_run)
        return pl_run_bus_transmit(r, bytes, n);
    unsigned outstanding = r->burst ? BURST_MAX : r->combination->outstanding;
    int err = pl_session_send(r->s, bytes, n, outstanding, true);
    if (err == -EPIPE || r->s->stuck || !r->s->alive)
        return pl_run_stop(r, PL_SCENARIO_INCONCLUSIVE, "the IUT is gone or hangs");
    return GO_ON;
}

enum outcome pl_run_build(struct run *r, const struct pl_step *step, struct pl_msg *m, uint8_t *out,
                          size_t *n)
{
    static _Thread_local uint8_t data[PL_MSG_MAX + 1];
    struct pl_bent b = {0};
    for (size_t i = 0; i < step->n_assign; i++) {
        uint64_t v;
        if (pl_run_value(r, step, step->assign[i].value, &v) == STOP)
            return STOP;
        if (step->assign[i].field != PL_F_none)
            m->f[step->assign[i].field] = v;
        else
            pl_bent_set(&b, m, pl_bent_named(step->assign[i].name), v);
    }
    if (step->data != PL_DATA_NONE || !m->data) {
        if (fill_data(r, step, data, &m->data_len) == STOP)
            return STOP;
        m->data = data;
    }
    ssize_t size = pl_encode(r->s->spec, m, out, PL_MSG_MAX);
    if (size < 0)
        return pl_run_stop(r, PL_SCENARIO_ERROR, "%s:%d: the message does not fit into %u bytes",
                           step->at->file, step->at->line, PL_MSG_MAX);
    *n = pl_bent_apply(r->s->spec, &b, out, (size_t)size);
    return GO_ON;
}

enum outcome pl_run_send(struct run *r, const struct pl_step *step)
{
    static _Thread_local uint8_t out[PL_MSG_MAX + 1];
    struct pl_msg m = {.kind = step->def->kind,
                       .dev_num = step->def->bus ? 0 : r->combination->dev_num,
                       .token = step->def->event ? 0 : pl_session_token(r->s)};
    size_t n;
    return pl_run_build(r, step, &m, out, &n) == STOP ? STOP : pl_run_transmit(r, out, n);
}
