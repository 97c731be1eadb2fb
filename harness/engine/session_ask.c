/* What a session asks by itself: requests with their answers, waiting for a status or an event,
 * control lines. */
#include <errno.h>
#include <string.h>

#include "engine/bus_run.h"

enum {
    POLL_FAST = 16, /* status polls without a pause */
    STUCK_RESET_MS = 300,
    CONTROL_MS = 1000,
    START_MS = 5000,
};

int pl_session_ask(struct pl_session *s, struct pl_msg *m)
{
    uint8_t out[PL_MSG_MAX > 4096 ? 4096 : PL_MSG_MAX];
    m->dev_num = m->dev_num ? m->dev_num : s->dev_num;
    m->token = pl_session_token(s);
    ssize_t n = pl_encode(s->spec, m, out, sizeof(out));
    if (n < 0)
        return (int)n;
    int err = pl_session_send(s, out, (size_t)n, 1, true);
    return err ? err : s->answered ? 0 : -ETIMEDOUT;
}

static bool probe_one(struct pl_session *s, const struct pl_msg *m, bool wanted, uint16_t *token)
{
    uint8_t out[64];
    struct pl_msg copy = *m;
    copy.token = *token = pl_session_token(s);
    ssize_t n = pl_encode(s->spec, &copy, out, sizeof(out));
    if (n < 0)
        return false;
    if (wanted) {
        struct pl_msg as;
        pl_decode(s->spec, out, (size_t)n, &as);
        s->answered = false;
        s->wanted_token = as.token;
        s->wanted_id = as.msg_id;
    }
    return pl_session_push(s, out, (size_t)n) == 0;
}

int pl_session_first_patience(const struct pl_session *s)
{
    return s->spoken || s->timeouts.response > START_MS ? s->timeouts.response : START_MS;
}

bool pl_session_probe(struct pl_session *s, const struct pl_msg *m, const struct pl_msg *witness)
{
    uint16_t token, other = 0;
    if (!probe_one(s, m, true, &token) || (witness && !probe_one(s, witness, false, &other)))
        return false;
    for (unsigned i = 0; i < PL_SESSION_FLOOD && !s->answered; i++) {
        struct pl_msg seen;
        int n = pl_session_receive(s, pl_session_first_patience(s));
        s->spoken = true; /* or it was silent long enough */
        if (n <= 0)
            return false;
        const struct pl_record *r = &s->ring[(s->ring_at + PL_TRACE_MAX - 1) % PL_TRACE_MAX];
        pl_decode(s->spec, r->bytes, r->entry.size, &seen);
        if (witness && !s->answered && seen.response && seen.kind == witness->kind)
            return false;
    }
    return s->answered;
}

/* Whether the status was last seen with these bits of `of`; or that it takes no more waiting. */
static bool has_come(const struct pl_session *s, uint32_t of, uint32_t is, uint32_t enough)
{
    uint32_t status;
    return pl_oracle_status(s->oracle, s->dev_num, &status) &&
           ((status & of) == is || (status & enough));
}

/* Poll the status until it is as it shall be: 0, -ETIMEDOUT once the time is over, or -EPIPE. */
static int poll_status(struct pl_session *s, int bound, uint32_t of, uint32_t is, uint32_t enough)
{
    uint64_t end = pl_session_clock() + (uint64_t)bound * 1000000u;
    for (unsigned i = 0;; i++) {
        if (has_come(s, of, is, enough))
            return 0;
        if (!s->alive)
            return -EPIPE;
        if (s->port->virtual_time ? i > (unsigned)bound : pl_session_clock() > end)
            return -ETIMEDOUT;
        for (int r = i > POLL_FAST, n = 0; r > 0 && n < PL_SESSION_FLOOD; n++) {
            r = pl_session_receive(
                s, 1); /* until nothing is there: only then time passes, where it is virtual */
            if (r < 0)
                return r;
        }
        struct pl_msg m = {.kind = PL_GET_DEVICE_STATUS};
        int err = pl_session_ask(s, &m);
        if (err == -EPIPE || s->stuck)
            return err;
    }
}

int pl_session_await_status(struct pl_session *s, uint32_t of, uint32_t is)
{
    int bound = s->stuck_status ? STUCK_RESET_MS : s->timeouts.reset;
    int err = poll_status(s, bound, of, is, PL_C_STATUS_DEVICE_NEEDS_RESET);
    s->stuck_status += err == -ETIMEDOUT;
    return err;
}

int pl_session_await_reset(struct pl_session *s)
{
    int bound = s->stuck_resets ? STUCK_RESET_MS : s->timeouts.reset;
    int err = poll_status(s, bound, UINT32_MAX, 0, 0);
    if (err != -ETIMEDOUT)
        return err;
    s->stuck_resets++;
    pl_session_tell(s, "reset-stuck %u", s->dev_num);
    s->stuck = true;
    return -ETIMEDOUT;
}

int pl_session_await_event(struct pl_session *s)
{
    if (s->bus_run)
        return pl_bus_run_end(s->bus_run);
    int err = pl_session_fence(s);
    for (int i = 0; !err && i < PL_SESSION_FLOOD && pl_oracle_events_owed(s->oracle); i++) {
        int r = pl_session_receive(s, pl_session_patience(s, s->misses));
        if (r < 0)
            return r;
        if (r == 0) {
            s->misses++;
            pl_session_tell(s, "settle");
            return 0;
        }
    }
    return err;
}

bool pl_session_control(struct pl_session *s, const char *line, bool *unsupported)
{
    char answer[256];
    *unsupported = true;
    if (!s->port->has_control || s->no_control || !s->alive)
        return false;
    int err = s->port->ops->control(s->port, line, answer, sizeof(answer), CONTROL_MS);
    /* Control is an offer: who does not take it is asked no more. A dead IUT shows by itself. */
    if (err == -EPIPE || err == -ETIMEDOUT)
        s->no_control = true;
    if (err < 0)
        return false;
    *unsupported = strcmp(answer, "unsupported") == 0;
    return strcmp(answer, "ok") == 0;
}
