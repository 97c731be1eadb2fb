/* The conversation with a bus under test: both sides at once, with fences and patience. */
#include "engine/bus_run.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    HANG_TIMES = 10,     /* time limits for what only a clock decides, the first time */
    FLOOD_MAX = 20000,   /* messages that come while one thing is waited for */
    ANNOUNCED_AFTER = 2, /* looks in vain: then the device side speaks by itself */
    START_TRIES = 200,   /* looks at a bus that is still learning of its devices ... */
    START_PAUSE_MS = 10,
    LATE_MS = 5,         /* for an answer that was overtaken */
    IMPATIENT_AFTER = 3, /* waits in vain */
    TAKE_MAX = 256,
    WINDOWS_MAX = 2048,
};

int pl_bus_run_new(struct pl_session *s)
{
    struct pl_bus_run *b = calloc(1, sizeof(*b));
    if (!b)
        return -ENOMEM;
    b->s = s;
    s->bus_run = b;
    return 0;
}

static void forget_held(struct pl_bus_run *b)
{
    for (size_t i = 0; i < b->n_held; i++)
        free(b->held[i].bytes);
    b->n_held = 0;
}

void pl_bus_run_free(struct pl_bus_run *b)
{
    if (!b)
        return;
    forget_held(b);
    free(b);
}

/* Numbers with gaps, below and above what eight bits hold; one device; neighbours. */
static const struct {
    uint16_t number[8];
    size_t n;
} sets[] = {{{0, 3, 7, 259}, 4}, {{0, 1}, 2}, {{0}, 1}, {{0, 2, 255, 256, 65535}, 5}};

const uint16_t *pl_bus_run_numbers(size_t turn, size_t *n)
{
    size_t set = turn % (sizeof(sets) / sizeof(sets[0]));
    *n = sets[set].n;
    return sets[set].number;
}

void pl_bus_run_started(struct pl_bus_run *b)
{
    forget_held(b);
    b->hold = 0;
    b->answer_size = 0;
    b->n_usable = 0;
    b->told_device = b->found = b->restart = false;
    memset(b->supports, 0, sizeof(b->supports));
}

/* --- one message in, one out --- */

static struct pl_port *port_of(const struct pl_bus_run *b, enum pl_bus_side side)
{
    return side == PL_BUS_DRIVER_SIDE ? b->s->port : b->s->port->device_side;
}

int pl_bus_run_give(struct pl_bus_run *b, enum pl_bus_side side, const void *bytes, size_t size)
{
    struct pl_session *s = b->s;
    struct pl_port *port = port_of(b, side);
    if (!s->alive)
        return -EPIPE;
    pl_session_record(s, bytes, size, true, side == PL_BUS_DEVICE_SIDE);
    pl_oracle_bus(s->oracle, side, true, bytes, size);
    if (s->events.judged) {
        struct pl_msg m;
        pl_decode(s->spec, bytes, size, &m);
        s->events.judged(s->events.opaque, &m, true);
    }
    int err = port->ops->send(port, bytes, size);
    if (err == -ETIMEDOUT || err == -EPIPE || err == -EPROTO) {
        if (port != s->port)
            snprintf(s->port->error, sizeof(s->port->error), "%s", port->error);
        pl_session_gone(s, err);
    }
    return err;
}

int pl_bus_run_send(struct pl_bus_run *b, enum pl_bus_side side, struct pl_msg *m)
{
    static _Thread_local uint8_t out[PL_MSG_MAX + 1];
    ssize_t n = pl_encode(b->s->spec, m, out, PL_MSG_MAX);
    return n < 0 ? (int)n : pl_bus_run_give(b, side, out, (size_t)n);
}

static void note_answer(struct pl_bus_run *b, const struct pl_msg *m)
{
    struct pl_session *s = b->s;
    if (!m->response || s->answered || m->token != s->wanted_token || m->msg_id != s->wanted_id)
        return;
    s->answered = true;
    memcpy(s->last_bytes, m->bytes, m->size);
    pl_decode(s->spec, s->last_bytes, m->size, &s->last);
}

/* What a bus may ask its driver side. */
static void driver_answers(struct pl_bus_run *b, const struct pl_msg *m)
{
    struct pl_msg r = {.kind = m->kind, .response = true, .token = m->token};
    if (m->form != PL_FORM_OK || m->event || m->response)
        return;
    if (m->kind == PL_PING) {
        r.f[PL_F_data32] = m->f[PL_F_data32];
    } else if (m->kind == PL_GET_PARAMETERS) {
        r.f[PL_F_revision] = b->s->bus.revision;
        r.f[PL_F_max_msg_size] = b->s->bus.max_msg_size;
        r.f[PL_F_transport_features] = b->s->bus.features;
    } else {
        return;
    }
    pl_bus_run_send(b, PL_BUS_DRIVER_SIDE, &r);
}

static void driver_takes(struct pl_bus_run *b, const struct pl_msg *m)
{
    static const enum pl_kind kinds[] = {PL_GET_DEVICES, PL_PING, PL_GET_PARAMETERS};
    if (m->bus && m->kind == PL_EVENT_DEVICE && !m->response)
        b->uses_events = true;
    for (size_t i = 0; i < 3; i++)
        b->supports[i] |= m->bus && m->response && m->kind == kinds[i];
    b->refused |= m->kind == PL_EVENT_FAILURE && m->form == PL_FORM_OK &&
                  m->f[PL_F_failed_token] == b->s->wanted_token &&
                  m->f[PL_F_failed_msg_id] == b->s->wanted_id;
    note_answer(b, m);
    if (m->bus)
        driver_answers(b, m);
}

static int take_one(struct pl_bus_run *b, enum pl_bus_side side)
{
    struct pl_session *s = b->s;
    struct pl_port *port = port_of(b, side);
    static _Thread_local uint8_t bytes[PL_MSG_MAX + 1];
    struct pl_msg m;
    if (!s->alive)
        return -EPIPE;
    int n = port->ops->receive(port, bytes, sizeof(bytes), 0);
    if (n == 0)
        return 0;
    if (n < 0) {
        if (port != s->port)
            snprintf(s->port->error, sizeof(s->port->error), "%s", port->error);
        pl_session_gone(s, n);
        return n;
    }
    s->spoken = true;
    s->silences = 0;
    pl_session_record(s, bytes, (size_t)n, false, side == PL_BUS_DEVICE_SIDE);
    pl_oracle_bus(s->oracle, side, false, bytes, (size_t)n);
    pl_decode(s->spec, bytes, (size_t)n, &m);
    if (s->events.judged)
        s->events.judged(s->events.opaque, &m, false);
    if (m.form == PL_FORM_RUNT)
        return 1;
    if (m.msg_size >= s->spec->header.size && m.msg_size < m.size) /* what follows is padding */
        pl_decode(s->spec, bytes, m.msg_size, &m);
    if (side == PL_BUS_DEVICE_SIDE)
        pl_bus_device_take(b, &m);
    else
        driver_takes(b, &m);
    return 1;
}

/* The device side first: what a bus does there it often does before it says so. */
static int take_there(struct pl_bus_run *b)
{
    int all = 0;
    for (int i = 0; i < TAKE_MAX; i++) {
        int far = take_one(b, PL_BUS_DEVICE_SIDE);
        int near = far < 0 ? far : take_one(b, PL_BUS_DRIVER_SIDE);
        if (far < 0 || near < 0)
            return far < 0 ? far : near;
        if (!far && !near)
            break;
        all += far + near;
    }
    return all;
}

int pl_bus_run_take(struct pl_bus_run *b, int timeout_ms)
{
    int n = take_there(b);
    if (n || timeout_ms <= 0)
        return n;
    struct pl_port *port = b->s->port;
    uint64_t until = port->now_ms + (uint64_t)timeout_ms;
    do {
        port->wait_sides(port, port->virtual_time ? (int)(until - port->now_ms) : timeout_ms);
        n = take_there(b);
    } while (n == 0 && port->virtual_time && port->now_ms < until);
    b->s->vain += n == 0;
    return n;
}

/* --- waiting --- */

static int patience(const struct pl_bus_run *b, bool patient)
{
    const struct pl_session *s = b->s;
    if (!patient || b->impatient >= IMPATIENT_AFTER)
        return s->timeouts.fence;
    return s->timeouts.response * (b->impatient ? 1 : HANG_TIMES);
}

static bool flooded(struct pl_bus_run *b, unsigned *got, int n)
{
    *got += (unsigned)n;
    if (*got <= FLOOD_MAX)
        return false;
    b->s->flooded = true;
    pl_session_hung(b->s, "the IUT sends messages without end");
    return true;
}

int pl_bus_run_wait(struct pl_bus_run *b)
{
    struct pl_session *s = b->s;
    unsigned got = 0;
    int n = take_there(b);
    while (n >= 0 && pl_oracle_owed(s->oracle) && !b->n_held) {
        n = pl_bus_run_take(b, pl_session_patience(s, b->missed));
        if (n == 0) {
            b->missed++;
            return -ETIMEDOUT;
        }
        if (n > 0 && flooded(b, &got, n))
            return -ETIMEDOUT;
    }
    return n < 0 ? n : 0;
}

static bool wait_for(struct pl_bus_run *b, enum pl_bus_count what, unsigned bound, bool least,
                     bool patient)
{
    unsigned got = 0;
    for (;;) {
        int n = take_there(b);
        unsigned count = pl_oracle_bus_count(b->s->oracle, what);
        if (least ? count >= bound : count <= bound)
            return true;
        n = n < 0 ? n : pl_bus_run_take(b, patience(b, patient));
        if (n == 0 && patient)
            b->impatient++;
        if (n <= 0 || flooded(b, &got, n)) {
            count = pl_oracle_bus_count(b->s->oracle, what);
            return least ? count >= bound : count <= bound;
        }
    }
}

bool pl_bus_run_await(struct pl_bus_run *b, enum pl_bus_count what, unsigned least, bool patient)
{
    return wait_for(b, what, least, true, patient);
}

bool pl_bus_run_drain(struct pl_bus_run *b, enum pl_bus_count what, bool patient)
{
    return wait_for(b, what, 0, false, patient);
}

/* --- requests of the harness's own --- */

static void want(struct pl_bus_run *b, const struct pl_msg *m)
{
    const struct pl_message_def *def = pl_spec_message(b->s->spec, m->kind);
    b->s->answered = b->refused = false;
    b->s->wanted_token = m->token;
    b->s->wanted_id = def ? def->id : 0;
}

/* Ask and wait for the answer, or for so long. 1, 0 where none came, or a negative errno. */
static int ask(struct pl_bus_run *b, struct pl_msg *m, int timeout_ms)
{
    unsigned got = 0;
    m->token = pl_session_token(b->s);
    want(b, m);
    int n = pl_bus_run_send(b, PL_BUS_DRIVER_SIDE, m);
    while (n >= 0 && !b->s->answered && !b->refused) {
        n = pl_bus_run_take(b, timeout_ms);
        if (n == 0 || (n > 0 && flooded(b, &got, n)))
            break;
        /* It was completed, though with a token that nobody knows; what was under way before it
         * may have been, and it not be met yet. */
        bool transport = !pl_spec_message(b->s->spec, m->kind)->bus;
        if (transport && !b->s->answered && !b->refused &&
            !pl_oracle_bus_count(b->s->oracle, PL_BUS_UNFINISHED) &&
            pl_oracle_bus_known(b->s->oracle, m->dev_num)) {
            n = pl_bus_run_take(b, b->s->timeouts.fence);
            b->refused |= n == 0;
        }
    }
    return n < 0 ? n : b->s->answered;
}

/* A device whose responses are not kept back. */
static bool fence_device(const struct pl_bus_run *b, uint16_t *number)
{
    for (size_t i = 0; i < b->n_usable && b->hold != 1; i++) {
        *number = b->usable[i];
        if (b->hold == 0 || *number != b->s->dev_num)
            return true;
    }
    return false;
}

int pl_bus_run_fence(struct pl_bus_run *b)
{
    struct pl_session *s = b->s;
    struct pl_msg m = {.kind = s->spec->fence};
    if (!fence_device(b, &m.dev_num))
        return pl_bus_run_quiet(b);
    uint32_t size = b->answer_size;
    b->answer_size = 0;
    int n = ask(b, &m, b->missed ? s->timeouts.fence : s->timeouts.response);
    if (n == 0 && !b->refused && s->alive) { /* one that was lost, or a hang? */
        b->missed++;
        n = ask(b, &m, s->timeouts.response * (s->hangs ? 1 : HANG_TIMES));
    }
    b->answer_size = size;
    if (n == 0 && s->alive && !b->refused) {
        pl_session_tell(s, "settle");
        pl_session_hung(s, "the IUT answered nothing within the time limit");
    }
    return n < 0 ? n : n || b->refused ? 0 : -ETIMEDOUT;
}

int pl_bus_run_quiet(struct pl_bus_run *b)
{
    struct pl_msg m = {.kind = PL_PING};
    m.f[PL_F_data32] = 0x5eed;
    if (b->supports[1]) {
        int n = ask(b, &m, b->s->timeouts.fence);
        return n < 0 ? n : 0;
    }
    int n = pl_bus_run_take(b, b->s->timeouts.fence);
    return n < 0 ? n : 0;
}

/* --- responses that were kept back --- */

static bool same_request(const struct pl_bus_run *b, size_t i, size_t k)
{
    struct pl_msg p, q;
    pl_decode(b->s->spec, b->held[i].bytes, b->held[i].size, &p);
    pl_decode(b->s->spec, b->held[k].bytes, b->held[k].size, &q);
    return p.dev_num == q.dev_num && p.token == q.token;
}

/* Without tokens of their own responses of one device must not overtake each other. */
static bool can_reverse(const struct pl_bus_run *b)
{
    for (size_t i = 0; i < b->n_held; i++)
        for (size_t k = i + 1; k < b->n_held; k++)
            if (same_request(b, i, k))
                return false;
    return true;
}

void pl_bus_run_release(struct pl_bus_run *b, const char *how)
{
    bool reverse = strcmp(how, "reverse") == 0 && can_reverse(b);
    bool twice = strcmp(how, "twice") == 0;
    size_t n = b->n_held;
    b->hold = 0;
    for (size_t i = 0; i < n && strcmp(how, "forget") != 0; i++) {
        const struct pl_bus_held *held = &b->held[reverse ? n - 1 - i : i];
        pl_bus_run_give(b, PL_BUS_DEVICE_SIDE, held->bytes, held->size);
        if (twice)
            pl_bus_run_give(b, PL_BUS_DEVICE_SIDE, held->bytes, held->size);
    }
    forget_held(b);
}

int pl_bus_run_end(struct pl_bus_run *b)
{
    struct pl_session *s = b->s;
    pl_bus_run_release(b, "order");
    b->answer_size = 0;
    int err = pl_bus_run_wait(b);
    if (s->alive && !pl_oracle_owed(s->oracle) && pl_oracle_bus_count(s->oracle, PL_BUS_UNFINISHED))
        pl_bus_run_drain(b, PL_BUS_UNFINISHED, true);
    /* What was to be discarded would have shown by the time that a fence is answered. */
    if (s->alive && !s->stuck)
        pl_bus_run_fence(b);
    return s->alive ? 0 : err ? err : -EPIPE;
}

/* --- learning of devices --- */

static void add_usable(struct pl_bus_run *b, uint16_t number)
{
    for (size_t i = 0; i < b->n_usable; i++)
        if (b->usable[i] == number)
            return;
    if (b->n_usable < PL_BUS_DEVICES)
        b->usable[b->n_usable++] = number;
}

bool pl_bus_run_enumerate(struct pl_bus_run *b)
{
    const struct pl_session *s = b->s;
    uint64_t next = 0;
    for (int i = 0; i < WINDOWS_MAX; i++) {
        struct pl_msg m = {.kind = PL_GET_DEVICES};
        m.f[PL_F_offset] = next;
        m.f[PL_F_count] = pl_session_window(s);
        bool known = b->supports[0];
        if (ask(b, &m, known ? s->timeouts.response : s->timeouts.fence) != 1 ||
            s->last.form != PL_FORM_OK)
            return i > 0;
        for (size_t k = 0; k < b->n_devices; k++)
            if (pl_oracle_bus_shown(s->oracle, b->devices[k]))
                add_usable(b, b->devices[k]);
        if (s->last.f[PL_F_next_offset] <= next)
            return true;
        next = s->last.f[PL_F_next_offset];
    }
    return true;
}

/* Does the device answer through the bus? */
static int try_device(struct pl_bus_run *b, uint16_t number)
{
    struct pl_msg m = {.kind = PL_GET_DEVICE_INFO, .dev_num = number};
    return ask(b, &m, pl_session_first_patience(b->s));
}

/*
 * Is enumeration answered? Behind it a device is asked, whose answer comes in any case. It is
 * waited for also where enumeration is answered first: that says nothing about a device's answer.
 */
static int first_look(struct pl_bus_run *b)
{
    struct pl_session *s = b->s;
    struct pl_msg devices = {.kind = PL_GET_DEVICES, .token = pl_session_token(s)};
    struct pl_msg info = {
        .kind = PL_GET_DEVICE_INFO, .dev_num = b->devices[0], .token = pl_session_token(s)};
    unsigned got = 0;
    devices.f[PL_F_count] = pl_session_window(s);
    b->found = true;
    int n = pl_bus_run_send(b, PL_BUS_DRIVER_SIDE, &devices);
    want(b, &info);
    n = n < 0 ? n : pl_bus_run_send(b, PL_BUS_DRIVER_SIDE, &info);
    while (n >= 0 && !s->answered && !b->refused) {
        n = pl_bus_run_take(b, pl_session_first_patience(s));
        if (n == 0 || (n > 0 && flooded(b, &got, n)))
            break;
    }
    if (n >= 0 && !b->supports[0])
        pl_bus_run_take(b, LATE_MS);
    return n < 0 ? n : s->answered;
}

/* One look: enumeration, where it is answered; else what was stated, announced, or device 0. */
static int look(struct pl_bus_run *b, const uint16_t *stated, size_t n_stated)
{
    struct pl_session *s = b->s;
    int n = b->found ? 0 : first_look(b);
    b->n_usable = 0;
    if (b->supports[0] && !pl_bus_run_enumerate(b) && !s->alive)
        return -EPIPE;
    if (b->supports[0])
        return b->n_usable ? 1 : 0;
    for (size_t i = 0; i < b->n_devices; i++)
        if (pl_oracle_bus_shown(s->oracle, b->devices[i]))
            add_usable(b, b->devices[i]);
    for (size_t i = 0; i < n_stated; i++)
        add_usable(b, stated[i]);
    if (b->n_usable)
        return try_device(b, b->usable[0]);
    n = n ? n : try_device(b, b->devices[0]);
    if (n == 1)
        add_usable(b, b->devices[0]);
    return n;
}

/* Nothing is known to the bus: it may be one that is told. */
static void announce(struct pl_bus_run *b)
{
    for (size_t i = 0; i < b->n_devices; i++) {
        struct pl_msg m = {.kind = PL_EVENT_DEVICE};
        m.f[PL_F_device_number] = b->devices[i];
        m.f[PL_F_device_bus_state] = PL_C_BUS_STATE_ADDED;
        pl_bus_run_send(b, PL_BUS_DEVICE_SIDE, &m);
    }
}

int pl_bus_run_discover(struct pl_bus_run *b, const uint16_t *stated, size_t n_stated)
{
    struct pl_session *s = b->s;
    struct pl_msg m = {.kind = PL_GET_PARAMETERS, .token = pl_session_token(s)};
    for (size_t i = 0; i < n_stated; i++)
        pl_session_tell(s, "bus stated %u", stated[i]);
    take_there(b);
    int n = pl_bus_run_send(b, PL_BUS_DRIVER_SIDE, &m);
    for (int i = 0; n >= 0 && i < START_TRIES; i++) {
        n = look(b, stated, n_stated);
        if (n >= 0 && !b->n_usable && i == ANNOUNCED_AFTER)
            announce(b);
        if (n != 0 && (b->n_usable == b->n_devices || !b->supports[0] || i > 2))
            break;
        if (n >= 0)
            n = pl_bus_run_take(b, START_PAUSE_MS);
        if (n < 0)
            break;
        if (!s->spoken)
            return -ETIMEDOUT;
    }
    if (n < 0)
        return s->alive ? n : -EPIPE;
    if (!b->n_usable && s->alive && try_device(b, b->devices[0]) == 1)
        add_usable(b, b->devices[0]); /* it is not shown, and there */
    for (size_t i = 0; i < b->n_usable && s->alive; i++)
        try_device(b, b->usable[i]);
    /* Where parameters are stated at all they were stated by now. */
    m = (struct pl_msg){.kind = PL_GET_PARAMETERS};
    if (s->alive)
        ask(b, &m, b->supports[2] ? s->timeouts.response : 1);
    struct pl_msg ping = {.kind = PL_PING};
    ping.f[PL_F_data32] = 1;
    if (s->alive)
        ask(b, &ping, 1);
    if (s->alive && b->n_usable)
        pl_bus_run_fence(b);
    return !s->alive ? -EPIPE : b->n_usable ? 0 : -ETIMEDOUT;
}
