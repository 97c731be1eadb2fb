/* Sessions: the loop of send, receive, judge and wait, with fences instead of sleeps. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "engine/bus_run.h"

enum {
    SILENCES_MAX = 1,    /* time limits without any message before the IUT counts as hung */
    IMPATIENT_AFTER = 3, /* unanswered requests after which waiting is cut short */
    IMPATIENT_MS = 20,
    HOPELESS_AFTER = 10,
    HOPELESS_MS = 2,
    FLOOD_TOTAL = 60000, /* messages beyond the answers, in a whole run */
    FLOOD_MAX = PL_SESSION_FLOOD,
    HANG_TIMES = 10,    /* time limits without a word before the first hang is told */
    UNSPOILT_TIMES = 5, /* ... for what comes unasked, of an IUT that has missed nothing yet */
};

uint64_t pl_session_clock(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t pl_session_clock_ms(void)
{
    return pl_session_clock() / 1000000u;
}

int pl_session_init(struct pl_session *s, struct pl_port *port, struct pl_oracle *oracle)
{
    memset(s, 0, sizeof(*s));
    s->port = port;
    s->oracle = oracle;
    s->spec = port->spec;
    s->timeouts = (struct pl_timeouts){.response = 1000, .reset = 5000, .fence = 200};
    s->buffer = malloc(PL_MSG_MAX + 1);
    s->last_bytes = malloc(PL_MSG_MAX + 1);
    s->next_token = PL_SESSION_TOKEN_FIRST;
    s->epoch_ns = pl_session_clock();
    return s->buffer && s->last_bytes ? 0 : -ENOMEM;
}

void pl_session_renew(struct pl_session *s)
{
    s->misses = s->silences = s->stuck_resets = s->hangs = s->stuck_status = s->surplus = 0;
    s->flooded = s->no_control = false;
    s->next_token = PL_SESSION_TOKEN_FIRST;
}

void pl_session_mistrust(struct pl_session *s, unsigned misses)
{
    s->misses = misses < IMPATIENT_AFTER ? misses : IMPATIENT_AFTER;
}

void pl_session_free(struct pl_session *s)
{
    for (unsigned i = 0; i < PL_TRACE_MAX; i++)
        free(s->ring[i].bytes);
    free(s->buffer);
    free(s->last_bytes);
    pl_bus_run_free(s->bus_run);
    s->bus_run = NULL;
    if (s->watch.free)
        s->watch.free(s->watch.opaque);
    s->watch = (struct pl_session_watch){0};
}

void pl_session_begin(struct pl_session *s)
{
    s->ring_at = s->ring_n = 0;
    s->pending = 0;
    s->doubtful = s->answered = false;
}

uint16_t pl_session_token(struct pl_session *s)
{
    uint16_t token = s->next_token++;
    if (s->next_token == PL_SESSION_TOKEN_LAST)
        s->next_token = PL_SESSION_TOKEN_FIRST;
    return token;
}

int pl_session_start(struct pl_session *s, const struct pl_bus_params *bus)
{
    s->alive = false;
    int err = s->port->ops->start(s->port, bus);
    if (err < 0)
        return err;
    s->starts++;
    s->bus = *bus;
    s->alive = true;
    s->stuck = false;
    s->spoken = false;
    s->silences = 0;
    if (s->watch.started)
        s->watch.started(s->watch.opaque);
    pl_oracle_start(s->oracle, bus->max_msg_size, bus->features);
    if (s->bus_run)
        pl_bus_run_started(s->bus_run);
    pl_session_begin(s);
    return 0;
}

void pl_session_record(struct pl_session *s, const void *bytes, size_t size, bool to_iut,
                       bool device_side)
{
    struct pl_record *r = &s->ring[s->ring_at];
    if (size > r->cap || !r->bytes) { /* a message without any byte has its place, too */
        uint8_t *grown = realloc(r->bytes, size ? size : 1);
        if (!grown)
            return;
        r->bytes = grown;
        r->cap = size;
    }
    memcpy(r->bytes, bytes, size);
    r->entry = (struct pl_trace_entry){.number = ++s->numbers,
                                       .time_ns = pl_session_clock() - s->epoch_ns,
                                       .to_iut = to_iut,
                                       .device_side = device_side,
                                       .group = s->group,
                                       .size = size,
                                       .bytes = r->bytes};
    s->ring_at = (s->ring_at + 1) % PL_TRACE_MAX;
    s->ring_n += s->ring_n < PL_TRACE_MAX;
    if (s->events.message)
        s->events.message(s->events.opaque, &r->entry);
}

const struct pl_record *pl_session_last(const struct pl_session *s)
{
    return &s->ring[(s->ring_at + PL_TRACE_MAX - 1) % PL_TRACE_MAX];
}

static void report(struct pl_session *s, enum pl_finding_kind kind, const char *text)
{
    if (s->events.finding)
        s->events.finding(s->events.opaque, kind, text);
}

void pl_session_unframed(struct pl_session *s)
{
    char hex[2 * PL_UNFRAMED_MAX + 1] = "";
    for (size_t i = 0; i < s->port->n_unframed; i++)
        snprintf(hex + 2 * i, 3, "%02x", s->port->unframed[i]);
    if (s->port->n_unframed)
        pl_session_tell(s, "unframed %s", hex);
    s->port->n_unframed = 0;
}

/* The port said no: find out how the IUT ended and say so. */
void pl_session_gone(struct pl_session *s, int err)
{
    struct pl_end end;
    char text[3072];
    if (!s->alive)
        return;
    s->alive = false;
    memset(&end, 0, sizeof(end));
    s->port->ops->stop(s->port, &end);
    s->end = end;
    const char *tail = end.stderr_tail;
    const char *words = tail[0] ? "; it wrote: " : "";
    if (err == -EPROTO || err == -EMSGSIZE) {
        snprintf(text, sizeof(text), "the IUT broke the carrier's framing: %s%s%s", s->port->error,
                 words, tail);
        report(s, PL_FINDING_PROTOCOL, text);
    } else if (err == -ETIMEDOUT && !end.by_itself) { /* how it ended then was our doing */
        snprintf(text, sizeof(text), "the IUT takes no more messages: %s", s->port->error);
        report(s, PL_FINDING_HANG, text);
    } else if (end.how == PL_END_SIGNALLED) {
        snprintf(text, sizeof(text), "the IUT died of signal %d (%s)%s%s", end.code,
                 strsignal(end.code), words, tail);
        report(s, PL_FINDING_CRASH, text);
    } else if (end.how == PL_END_EXITED) {
        snprintf(text, sizeof(text), "the IUT exited with status %d%s%s", end.code, words, tail);
        report(s, PL_FINDING_EXIT, text);
    } else {
        snprintf(text, sizeof(text), "the IUT closed the connection%s%s", words, tail);
        report(s, PL_FINDING_EXIT, text);
    }
}

void pl_session_judge(struct pl_session *s, const struct pl_trace_entry *entry, bool judged)
{
    s->numbers = entry->number - 1;
    pl_session_record(s, entry->bytes, entry->size, entry->to_iut, entry->device_side);
    s->ring[(s->ring_at + PL_TRACE_MAX - 1) % PL_TRACE_MAX].entry.time_ns = entry->time_ns;
    if (s->bus_run) {
        if (judged)
            pl_oracle_bus(s->oracle, entry->device_side ? PL_BUS_DEVICE_SIDE : PL_BUS_DRIVER_SIDE,
                          entry->to_iut, entry->bytes, entry->size);
    } else if (judged && entry->to_iut)
        pl_oracle_sent(s->oracle, entry->bytes, entry->size);
    else if (judged)
        pl_oracle_received(s->oracle, entry->bytes, entry->size);
}

/* Requests of the IUT's own that the driver side of a bus answers. */
static void answer_iut(struct pl_session *s, const struct pl_msg *m)
{
    uint8_t out[64];
    struct pl_msg r = {.kind = m->kind, .response = true, .token = m->token};
    if (m->form != PL_FORM_OK)
        return;
    if (m->kind == PL_PING)
        r.f[PL_F_data32] = m->f[PL_F_data32];
    else if (m->kind == PL_GET_PARAMETERS) {
        r.f[PL_F_revision] = s->bus.revision;
        r.f[PL_F_max_msg_size] = s->bus.max_msg_size;
        r.f[PL_F_transport_features] = s->bus.features;
    } else {
        return;
    }
    ssize_t n = pl_encode(s->spec, &r, out, sizeof(out));
    if (n < 0)
        return;
    pl_session_record(s, out, (size_t)n, true, false);
    pl_session_tell(s, "answer");
    s->port->ops->send(s->port, out, (size_t)n);
}

static void note_answer(struct pl_session *s, const struct pl_msg *m)
{
    bool token = !s->spec->header.token.width || m->token == s->wanted_token;
    if (!m->response || s->answered || !token || m->msg_id != s->wanted_id)
        return;
    s->answered = true;
    s->last = *m;
    /* The message stays where it is, and the next one comes into the other buffer. */
    uint8_t *other = s->last_bytes;
    s->last_bytes = s->buffer;
    s->buffer = other;
}

void pl_session_hung(struct pl_session *s, const char *text)
{
    s->stuck = true;
    s->hangs++;
    pl_session_unframed(s);
    report(s, PL_FINDING_HANG, text);
}

/* Far more than answers came: it will not stop by itself. */
static void check_flood(struct pl_session *s)
{
    if (++s->surplus <= FLOOD_TOTAL || s->flooded)
        return;
    s->flooded = true;
    pl_session_hung(s, "the IUT sends messages without end");
}

/* One message in: recorded, judged, answered where the IUT asks. 1, 0 on time-out, or an errno. */
static int take(struct pl_session *s, int timeout_ms)
{
    if (!s->alive)
        return -EPIPE;
    int n = s->port->ops->receive(s->port, s->buffer, PL_MSG_MAX + 1, timeout_ms);
    if (n == 0) {
        s->vain += timeout_ms > 0;
        return 0;
    }
    if (n < 0) {
        if (n == -EPROTO)
            pl_session_unframed(s);
        pl_session_gone(s, n);
        return n;
    }
    s->port->n_unframed = 0;
    s->silences = 0;
    s->spoken = true;
    check_flood(s);
    pl_session_record(s, s->buffer, (size_t)n, false, false);
    struct pl_msg m;
    pl_decode(s->spec, s->buffer, (size_t)n, &m);
    pl_oracle_received_message(s->oracle, &m);
    if (s->events.judged)
        s->events.judged(s->events.opaque, &m, false);
    if (m.form == PL_FORM_RUNT)
        return 1;
    note_answer(s, &m);
    if (s->watch.message)
        s->watch.message(s->watch.opaque, &m, false);
    if (!m.response && m.bus && !m.event && !s->plain)
        answer_iut(s, &m);
    return 1;
}

int pl_session_receive(struct pl_session *s, int timeout_ms)
{
    return take(s, timeout_ms);
}

/* What pl_session_push does with a message that was taken apart already. */
static int push(struct pl_session *s, const struct pl_msg *m)
{
    if (!s->alive)
        return -EPIPE;
    s->surplus -= s->surplus > 0;
    pl_session_record(s, m->bytes, m->size, true, false);
    pl_oracle_sent_message(s->oracle, m);
    if (s->events.judged)
        s->events.judged(s->events.opaque, m, true);
    if (s->watch.message && m->form != PL_FORM_RUNT)
        s->watch.message(s->watch.opaque, m, true);
    int err = s->port->ops->send(s->port, m->bytes, m->size);
    if (err == -EPIPE) { /* what it said before it went counts */
        for (int i = 0; i < FLOOD_MAX && s->alive && take(s, 0) > 0; i++)
            continue;
    }
    if (err < 0) {
        pl_session_gone(s, err);
        return err;
    }
    return 0;
}

int pl_session_push(struct pl_session *s, const void *bytes, size_t size)
{
    struct pl_msg m;
    pl_decode(s->spec, bytes, size, &m);
    return push(s, &m);
}

int pl_session_patience(const struct pl_session *s, unsigned misses)
{
    /* Behind a gateway real disks may be at work, which no fence speaks for. */
    if (s->port->observable)
        return s->timeouts.response;
    if (s->plain) /* a driver does by itself what it owes: no fence speaks for it */
        return misses ? s->timeouts.response : UNSPOILT_TIMES * s->timeouts.response;
    if (misses >= IMPATIENT_AFTER) {
        int ms = misses >= HOPELESS_AFTER ? HOPELESS_MS : IMPATIENT_MS;
        return s->timeouts.fence < ms ? s->timeouts.fence : ms;
    }
    return misses ? s->timeouts.fence : UNSPOILT_TIMES * s->timeouts.response;
}

/* For an answer, behind which a fence follows. */
static int patience(const struct pl_session *s)
{
    int ms = pl_session_patience(s, s->misses);
    return ms < s->timeouts.response ? ms : s->timeouts.response;
}

/* Behind a fence that is unanswered: nothing but a hang is left, which is not told lightly. */
static int hang_patience(const struct pl_session *s)
{
    int ms = s->timeouts.response * (s->hangs ? 1 : HANG_TIMES);
    int first = pl_session_first_patience(s);
    return ms > first ? ms : first;
}

static int send_fence(struct pl_session *s);

/* Nothing came in time. A fence tells a device that is slow or lost one message from one that
 * hangs. */
static int silence(struct pl_session *s, bool *fenced, unsigned *got)
{
    if (!*fenced) {
        *fenced = true;
        *got = 0;
        return send_fence(s);
    }
    s->misses++;
    pl_session_tell(s, "settle");
    if (!*got && ++s->silences >= SILENCES_MAX)
        pl_session_hung(s, "the IUT answered nothing within the time limit");
    return -ETIMEDOUT;
}

int pl_session_wait(struct pl_session *s)
{
    unsigned got = 0;
    bool fenced = false;
    while (pl_oracle_owed(s->oracle)) {
        int r = take(s, fenced && !got ? hang_patience(s) : patience(s));
        if (r < 0)
            return r;
        if (r == 0) {
            r = silence(s, &fenced, &got);
            if (r < 0)
                return r;
            continue;
        }
        if (s->flooded)
            return -ETIMEDOUT;
        if (++got > FLOOD_MAX) {
            pl_session_tell(s, "settle");
            pl_session_hung(s, "the IUT sends messages without end and does not answer");
            return -ETIMEDOUT;
        }
    }
    return 0;
}

static int send_fence(struct pl_session *s)
{
    uint8_t out[64];
    struct pl_msg m = {.kind = s->spec->fence, .dev_num = s->dev_num, .token = pl_session_token(s)};
    ssize_t n = pl_encode(s->spec, &m, out, sizeof(out));
    return n < 0 ? (int)n : pl_session_push(s, out, (size_t)n);
}

int pl_session_flush(struct pl_session *s)
{
    if (s->bus_run)
        return pl_bus_run_wait(s->bus_run);
    int err = 0;
    if (!s->pending)
        return s->alive ? 0 : -EPIPE;
    if (s->doubtful)
        err = send_fence(s);
    s->pending = 0;
    s->doubtful = false;
    return err ? err : pl_session_wait(s);
}

int pl_session_fence(struct pl_session *s)
{
    if (s->bus_run)
        return pl_bus_run_fence(s->bus_run);
    s->pending++;
    s->doubtful = true;
    int err = pl_session_flush(s);
    for (int i = 0; !err && i < FLOOD_MAX && !s->flooded; i++) {
        int r = take(s, 0);
        if (r <= 0)
            return r;
    }
    return err;
}

int pl_session_send(struct pl_session *s, const void *bytes, size_t size, unsigned outstanding,
                    bool wanted)
{
    struct pl_msg m;
    pl_decode(s->spec, bytes, size, &m);
    if (wanted) {
        s->answered = false;
        s->wanted_token = m.token;
        s->wanted_id = m.msg_id;
    }
    unsigned owed = pl_oracle_owed(s->oracle);
    int err = push(s, &m);
    if (err)
        return err;
    s->pending++;
    s->doubtful |= s->misses >= IMPATIENT_AFTER; /* a fence tells sooner than a time limit */
    s->doubtful |= pl_oracle_owed(s->oracle) == owed;
    return s->pending >= outstanding ? pl_session_flush(s) : 0;
}
