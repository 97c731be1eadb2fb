/* The loop between a driver under test and the device at its far end: every message is recorded,
 * judged, worked on, and changed where a provocation says so. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/drive.h"
#include "engine/drv_watch.h"

enum { PUMP_MAX = 4096, SLICE_MS = 50 };

uint64_t pl_drive_now(const struct pl_drive *d)
{
    const struct pl_port *port = d->s->port;
    return port->virtual_time ? port->now_ms : pl_session_clock_ms() - d->began_ms;
}

/* --- towards the driver --- */

/* DRIVER_OK counts once the driver was told of it. */
static void note_status(struct pl_drive *d, const void *bytes, size_t size)
{
    struct pl_msg m;
    pl_decode(d->s->spec, bytes, size, &m);
    bool status = m.kind == PL_SET_DEVICE_STATUS || m.kind == PL_GET_DEVICE_STATUS;
    bool config = m.kind == PL_GET_CONFIG || m.kind == PL_SET_CONFIG || m.kind == PL_EVENT_CONFIG;
    if (m.form != PL_FORM_OK)
        return;
    if (config)
        d->life.generation = m.f[PL_F_generation];
    if (m.kind == PL_EVENT_CONFIG)
        d->life.status = m.f[PL_F_device_status];
    if (!m.response || !status)
        return;
    d->life.status = m.f[PL_F_status];
    if (m.f[PL_F_status] & PL_C_STATUS_DRIVER_OK)
        d->life.ready = d->life.ready_after = true;
}

int pl_drive_send(struct pl_drive *d, const void *bytes, size_t size)
{
    note_status(d, bytes, size);
    d->untold = true;
    return pl_session_push(d->s, bytes, size);
}

void pl_drive_pump(struct pl_drive *d)
{
    pl_drv_watch_before(d->s);
    pl_device_endpoint.advance(d->device, pl_drive_now(d));
    for (int i = 0; i < PUMP_MAX; i++) {
        int n = pl_device_endpoint.poll(d->device, d->out, PL_MSG_MAX + 1);
        if (n <= 0 || pl_drive_event(d, d->out, (size_t)n) < 0)
            break;
    }
    pl_drv_watch_look(d->s);
}

/* --- from the driver --- */

/* Is this what the device answers to the message at hand? */
static bool is_answer(const struct pl_drive *d, const void *bytes, size_t size)
{
    struct pl_msg m;
    pl_decode(d->s->spec, bytes, size, &m);
    return m.response && m.kind == d->req.kind && m.dev_num == d->req.dev_num &&
           m.token == d->req.token;
}

/* Keep the message: what is sent meanwhile takes its place in the session's buffers. */
static bool keep_request(struct pl_drive *d)
{
    const struct pl_record *r = pl_session_last(d->s);
    memcpy(d->req_bytes, r->bytes, r->entry.size);
    pl_decode(d->s->spec, d->req_bytes, r->entry.size, &d->req);
    if (d->req.form == PL_FORM_RUNT)
        return false;
    d->life.requests++;
    d->life.worked += d->life.ready;
    if (d->req.kind == PL_SET_DEVICE_STATUS && d->req.form == PL_FORM_OK)
        d->life.failed = d->req.f[PL_F_status] & PL_C_STATUS_FAILED;
    return true;
}

/* Held messages come behind so many of the driver's. */
static void count_held(struct pl_drive *d)
{
    for (size_t i = 0; i < d->n_held;) {
        struct pl_drive_held held = d->held[i];
        if (held.left > 1) {
            d->held[i++].left--;
            continue;
        }
        memmove(&d->held[i], &d->held[i + 1], (--d->n_held - i) * sizeof(held));
        pl_drive_send(d, held.bytes, held.size);
        free(held.bytes);
    }
}

void pl_drive_release(struct pl_drive *d)
{
    size_t n = d->n_held;
    d->n_held = 0;
    for (size_t i = 0; i < n; i++) {
        if (d->s->alive)
            pl_drive_send(d, d->held[i].bytes, d->held[i].size);
        free(d->held[i].bytes);
    }
}

/* What the device says to the message at hand; its answer is the provocation's to change. */
static void relay(struct pl_drive *d, bool moment)
{
    bool answered = false;
    for (int i = 0; i < PUMP_MAX && d->s->alive; i++) {
        int n = pl_device_endpoint.poll(d->device, d->out, PL_MSG_MAX + 1);
        if (n <= 0)
            return;
        if (moment && !answered && is_answer(d, d->out, (size_t)n)) {
            answered = true;
            pl_drive_answer(d, d->out, (size_t)n);
        } else {
            pl_drive_event(d, d->out, (size_t)n);
        }
    }
}

/* The device works on the message at hand. */
static void give(struct pl_drive *d, bool moment)
{
    size_t size;
    if (moment && d->p->withhold) {
        pl_drive_withhold(d);
        return;
    }
    const uint8_t *bytes = pl_drive_request(d, moment, &size);
    pl_device_endpoint.deliver(d->device, bytes, size);
    relay(d, moment);
}

void pl_drive_handle(struct pl_drive *d)
{
    if (!keep_request(d))
        return;
    count_held(d);
    bool moment = pl_drive_moment(d);
    if (moment)
        pl_drive_steps(d, d->p->before);
    pl_device_endpoint.advance(d->device, pl_drive_now(d));
    give(d, moment);
    if (moment)
        pl_drive_steps(d, d->p->after);
    pl_drive_pump(d);
}

int pl_drive_until_device(const struct pl_drive *d, int most)
{
    uint64_t now = pl_drive_now(d), next = pl_device_endpoint.next_ms(d->device);
    if (next <= now)
        return 0;
    return next - now < (uint64_t)most ? (int)(next - now) : most;
}

/*
 * The driver has nothing to say for now. Linked in, it has dealt with all that it was sent; of a
 * process only its own answers tell that.
 */
static void calm(struct pl_drive *d)
{
    pl_drive_pump(d);
    if (d->s->port->virtual_time && d->untold && d->s->alive) {
        d->untold = false;
        pl_session_tell(d->s, "driver %u seen", d->s->dev_num);
    }
}

int pl_drive_step(struct pl_drive *d, int timeout_ms)
{
    pl_drive_pump(d);
    if (!d->s->alive)
        return -EPIPE;
    int wait = pl_drive_until_device(d, timeout_ms < SLICE_MS ? timeout_ms : SLICE_MS);
    int r = pl_session_receive(d->s, wait);
    if (r > 0)
        pl_drive_handle(d);
    else if (r == 0)
        calm(d);
    return r < 0 || d->s->alive ? r : -EPIPE;
}
