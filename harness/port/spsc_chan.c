/* Shared memory as a channel: messages in slots, wakeups on a socket or by a clock. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "port/memory.h"
#include "port/private.h"
#include "port/spsc.h"

/* How long to sleep between two looks where nobody tells of a change, at first and at most. */
#define NAP_FIRST_NS 20000L
#define NAP_MOST_NS  1000000L
/* Wakeups thrown away in one go: a flood of them must not hold us. */
#define DRAINS_MAX 16
#define PART_MS    300

struct pl_spsc {
    struct pl_spsc_ring in, out;
    bool polls;   /* fd is a timer */
    bool guarded; /* the areas are ours to unmap */
    bool ended;   /* the wakeup socket was closed by the other end */
    long nap_ns;  /* the next look for a message, without a wakeup socket */
    long room_ns; /* the next look for a free slot */
};

__attribute__((format(printf, 3, 4))) static int spsc_fail(struct pl_chan *chan, int err,
                                                           const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(chan->error, sizeof chan->error, format, args);
    va_end(args);
    return err;
}

/* Whether the other end has taken the memory away: what is read since then are zeros of ours. */
static int check_files(struct pl_chan *chan)
{
    const struct pl_spsc *s = chan->spsc;
    if (!s->guarded || (!pl_guard_lost(s->in.area) && !pl_guard_lost(s->out.area)))
        return 0;
    chan->broken = true;
    return spsc_fail(chan, -EPROTO, "the shared memory's file was cut short");
}

/* The other end wrote nonsense: nothing that follows means anything. */
static int spsc_break(struct pl_chan *chan, const char *direction, const char *why)
{
    if (check_files(chan) < 0)
        return -EPROTO;
    chan->broken = true;
    return spsc_fail(chan, -EPROTO, "%s ring: %s", direction, why);
}

/* The length of a nap, and a longer one for the next time. */
static struct timespec next_nap(long *ns)
{
    struct timespec nap = {.tv_nsec = *ns};
    *ns = 2 * *ns < NAP_MOST_NS ? 2 * *ns : NAP_MOST_NS;
    return nap;
}

/* Set the clock that wakes this end when the other cannot. */
static void arm_timer(struct pl_chan *chan)
{
    struct itimerspec next = {.it_value = next_nap(&chan->spsc->nap_ns)};
    timerfd_settime(chan->fd, 0, &next, NULL);
}

int pl_spsc_channel(struct pl_chan *chan, void *const areas[2], const size_t sizes[2],
                    enum pl_spsc_end end, int wake, bool guarded)
{
    char why[128];
    size_t out = end, in = 1 - out;
    struct pl_spsc *s = calloc(1, sizeof *s);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    int err = !s ? -ENOMEM : timer < 0 ? -errno : 0;
    *chan = (struct pl_chan){.fd = timer, .spsc = s, .stream = true};
    if (err == 0) {
        *s = (struct pl_spsc){.polls = true, .nap_ns = NAP_FIRST_NS, .room_ns = NAP_FIRST_NS};
        err = pl_spsc_ring_init(&s->out, areas[out], sizes[out], true, why, sizeof why);
        if (err == 0)
            err = pl_spsc_ring_init(&s->in, areas[in], sizes[in], false, why, sizeof why);
    } else {
        snprintf(why, sizeof why, "%s", strerror(-err));
    }
    if (err < 0) {
        pl_chan_close(chan);
        return spsc_fail(chan, err, "%s", why);
    }
    s->guarded = guarded;
    pl_spin_init(&chan->spin, true);
    arm_timer(chan);
    if (wake >= 0)
        pl_spsc_wake_by(chan, wake);
    return 0;
}

void pl_spsc_wake_by(struct pl_chan *chan, int wake)
{
    close(chan->fd);
    chan->fd = wake;
    chan->spsc->polls = false;
    pl_spin_init(&chan->spin, false);
}

void pl_spsc_free(struct pl_spsc *s)
{
    if (!s)
        return;
    if (s->guarded) {
        pl_guard_unmap(s->in.area);
        pl_guard_unmap(s->out.area);
    }
    free(s);
}

/* --- receiving --- */

static uint64_t announced(const uint8_t *slot, const struct pl_spec *spec)
{
    struct pl_header_field field = spec->header.msg_size;
    uint64_t value = 0;
    if (field.width == 0)
        return PL_SPSC_SLOT_SIZE; /* a draft whose messages are all of one size */
    for (unsigned i = field.width; i > 0; i--)
        value = value << 8 | slot[field.offset + i - 1u];
    return value;
}

int pl_spsc_peek(struct pl_chan *chan, const struct pl_spec *spec, void *buf, size_t cap)
{
    struct pl_spsc *s = chan->spsc;
    uint8_t slot[PL_SPSC_SLOT_SIZE];
    char why[128];
    if (chan->broken)
        return -EPROTO;
    int r = pl_spsc_ring_take(&s->in, slot, why, sizeof why);
    if (r < 0)
        return spsc_break(chan, "incoming", why);
    if (r == 0)
        return 0;
    uint64_t size = announced(slot, spec);
    if (size < spec->header.size || size > sizeof slot || size > cap) {
        snprintf(why, sizeof why, "a message announces msg_size %llu, a slot holds %u to %zu",
                 (unsigned long long)size, (unsigned)spec->header.size, sizeof slot);
        pl_chan_keep(chan, spec, slot);
        return spsc_break(chan, "incoming", why);
    }
    memcpy(buf, slot, (size_t)size);
    s->nap_ns = NAP_FIRST_NS;
    return (int)size;
}

/* Take the wakeups off the socket before the ring is looked at, so that none is missed. 0 or
 * -EPROTO. */
static int drain_wakeups(struct pl_chan *chan)
{
    uint8_t bytes[256];
    for (int i = 0; i < DRAINS_MAX && !chan->spsc->ended; i++) {
        ssize_t n = recv(chan->fd, bytes, sizeof bytes, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return 0;
        chan->spsc->ended = n <= 0;
        for (ssize_t k = 0; k < n; k++)
            if (bytes[k] != PL_SPSC_WAKEUP) {
                chan->broken = true;
                return spsc_fail(chan, -EPROTO, "the wakeup socket brought 0x%02x, not 0x%02x",
                                 bytes[k], PL_SPSC_WAKEUP);
            }
    }
    return 0;
}

int pl_spsc_try(struct pl_chan *chan, const struct pl_spec *spec, void *buf, size_t cap)
{
    int r = pl_spsc_peek(chan, spec, buf, cap);
    if (r == 0)
        r = check_files(chan);
    if (r != 0)
        return r;
    if (chan->spsc->polls) {
        arm_timer(chan);
        return 0;
    }
    r = drain_wakeups(chan);
    if (r == 0)
        r = pl_spsc_peek(chan, spec, buf, cap);
    if (r == 0 && chan->spsc->ended) {
        chan->ended = true;
        return spsc_fail(chan, -EPIPE, "the other end closed the wakeup socket");
    }
    return r;
}

void pl_spsc_discard(struct pl_chan *chan)
{
    uint8_t slot[PL_SPSC_SLOT_SIZE];
    char why[128];
    if (chan->broken)
        return;
    for (int32_t i = 0; i < chan->spsc->in.slots; i++)
        if (pl_spsc_ring_take(&chan->spsc->in, slot, why, sizeof why) <= 0)
            return;
}

/* --- sending --- */

int pl_spsc_push(struct pl_chan *chan, const void *msg, size_t size)
{
    static const uint8_t wakeup = PL_SPSC_WAKEUP;
    struct pl_spsc *s = chan->spsc;
    char why[128];
    if (chan->broken)
        return -EPROTO;
    if (size > PL_SPSC_SLOT_SIZE)
        return spsc_fail(chan, -EMSGSIZE, "a message of %zu bytes does not fit a slot of %u", size,
                         PL_SPSC_SLOT_SIZE);
    int r = pl_spsc_ring_put(&s->out, msg, size, why, sizeof why);
    if (r < 0)
        return spsc_break(chan, "outgoing", why);
    if (check_files(chan) < 0)
        return -EPROTO;
    if (r > 0)
        s->room_ns = NAP_FIRST_NS;
    if (s->polls)
        return r;
    /* A full socket holds wakeups enough; also of a full ring the other end is told once more. */
    ssize_t n = send(chan->fd, &wakeup, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n == 1 || errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR || errno == ENOBUFS)
        return r;
    return spsc_fail(chan, -EPIPE, "the other end closed the wakeup socket: %s", strerror(errno));
}

void pl_spsc_nap(struct pl_chan *chan, int left_ms)
{
    struct timespec nap = next_nap(&chan->spsc->room_ns);
    if (left_ms != 0)
        nanosleep(&nap, NULL);
}

/* --- ending --- */

void pl_spsc_part(struct pl_chan *chan)
{
    int64_t deadline = pl_clock_ms() + PART_MS;
    if (!chan->spsc || chan->spsc->polls || chan->broken)
        return;
    shutdown(chan->fd, SHUT_WR);
    while (!chan->spsc->ended) {
        struct pollfd p = {.fd = chan->fd, .events = POLLIN};
        int left = pl_left_ms(deadline);
        if (left == 0 || poll(&p, 1, left) < 0 || drain_wakeups(chan) < 0)
            return;
        pl_spsc_discard(chan);
    }
}
