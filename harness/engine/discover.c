/* Learning which devices an IUT has, by GET_DEVICES or by asking device 0. */
#include <errno.h>
#include <stdio.h>

#include "engine/session.h"

enum { DISCOVERY_MAX = 2048, WINDOW_MAX = 1024, TEXT_MAX = 1024 };

/* What is known so far. */
struct found {
    struct pl_session *s;
    uint16_t *list;
    size_t cap, n;
};

static void add_device(struct found *f, uint16_t number)
{
    if (f->n < f->cap)
        f->list[f->n++] = number;
}

uint32_t pl_session_window(const struct pl_session *s)
{
    const struct pl_message_def *def = pl_spec_message(s->spec, PL_GET_DEVICES);
    uint32_t room = s->bus.max_msg_size - s->spec->header.size - def->response->size;
    return 8 * room < WINDOW_MAX ? 8 * room : WINDOW_MAX;
}

void pl_session_tell_devices(struct pl_session *s, const uint16_t *list, size_t n)
{
    char text[TEXT_MAX] = "";
    size_t at = 0;
    for (size_t i = 0; i < n && at < sizeof(text) - sizeof(" 65535"); i++)
        at += (size_t)snprintf(text + at, sizeof(text) - at, " %u", list[i]);
    pl_session_tell(s, "devices%s", text);
}

/* One window of GET_DEVICES; returns next_offset, 0 at the end, -1 where it was not answered. */
static int ask_window(struct found *f, uint16_t offset, bool first)
{
    struct pl_session *s = f->s;
    struct pl_msg m = {.kind = PL_GET_DEVICES}, witness = {.kind = PL_GET_DEVICE_INFO};
    m.f[PL_F_offset] = offset;
    m.f[PL_F_count] = pl_session_window(s);
    if (!pl_session_probe(s, &m, first ? &witness : NULL) || s->last.form != PL_FORM_OK)
        return -1;
    for (uint32_t i = 0; i < s->last.f[PL_F_count] && i / 8 < s->last.data_len; i++)
        if (s->last.data[i / 8] >> (i % 8) & 1)
            add_device(f, (uint16_t)(offset + i));
    uint64_t next = s->last.f[PL_F_next_offset];
    return next > offset ? (int)next : 0;
}

/* Does a device answer? Silence is no failure yet: it may not be there. */
static bool probe(struct pl_session *s, enum pl_kind kind)
{
    struct pl_msg m = {.kind = kind};
    return pl_session_probe(s, &m, NULL);
}

static bool enumerate(struct found *f)
{
    int next = ask_window(f, 0, true);
    for (int i = 0; next > 0 && i < DISCOVERY_MAX; i++)
        next = ask_window(f, (uint16_t)next, false);
    return f->n > 0;
}

int pl_session_discover(struct pl_session *s, uint16_t *list, size_t cap, size_t *n)
{
    struct found f = {.s = s, .list = list, .cap = cap};
    *n = 0;
    s->dev_num = 0;
    pl_session_tell_devices(s, NULL, 0);
    if (pl_spec_message(s->spec, PL_GET_DEVICES) && enumerate(&f)) {
        *n = f.n;
        pl_session_tell_devices(s, list, *n);
        return 0;
    }
    if (!s->alive)
        return -EPIPE;
    list[0] = 0;
    *n = 1;
    if (probe(s, PL_GET_DEVICE_INFO))
        return 0;
    if (s->alive && probe(s, PL_GET_DEVICE_STATUS)) {
        pl_session_tell_devices(s, list, 1);
        return 0;
    }
    return s->alive ? -ETIMEDOUT : -EPIPE;
}
