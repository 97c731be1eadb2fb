/* Channels: whole messages over packet and byte-stream sockets, for both ends of a connection. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "port/private.h"
#include "port/spsc.h"

int64_t pl_clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int pl_left_ms(int64_t deadline)
{
    if (deadline == INT64_MAX)
        return -1;
    int64_t left = deadline - pl_clock_ms();
    return left <= 0 ? 0 : left > INT_MAX ? INT_MAX : (int)left;
}

int64_t pl_deadline_after(int timeout_ms, bool waited)
{
    if (timeout_ms < 0)
        return INT64_MAX;
    return pl_clock_ms() + timeout_ms - (waited ? PL_CHAN_SLICE_MS : 0);
}

__attribute__((format(printf, 3, 4))) static int chan_fail(struct pl_chan *chan, int err,
                                                           const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(chan->error, sizeof chan->error, format, args);
    va_end(args);
    return err;
}

/* The peer is gone: say why once, and let what it still has to read come to an end. */
static int chan_end(struct pl_chan *chan, int reason)
{
    size_t rest = chan->stream ? chan->fill - chan->start : 0;
    bool told = chan->ended;
    chan->ended = true;
    if (rest && !chan->broken)
        return chan_fail(chan, -EPIPE, "the connection ended %zu bytes into a message", rest);
    if (!told)
        chan_fail(chan, -EPIPE, "the other end closed the connection%s%s", reason ? ": " : "",
                  reason ? strerror(reason) : "");
    return -EPIPE;
}

void pl_chan_keep(struct pl_chan *chan, const struct pl_spec *spec, const uint8_t *header)
{
    chan->n_lost = spec->header.size < sizeof chan->lost ? spec->header.size : sizeof chan->lost;
    memcpy(chan->lost, header, chan->n_lost);
}

size_t pl_chan_begun(const struct pl_chan *chan, const struct pl_spec *spec, uint8_t *header)
{
    size_t n = spec->header.size;
    if (!chan->buf || chan->fill - chan->start < n || n > PL_UNFRAMED_MAX)
        return 0;
    memcpy(header, chan->buf + chan->start, n);
    return n;
}

/* Framing is lost: nothing that follows means anything, so the connection ends here. */
static int chan_break(struct pl_chan *chan, const struct pl_spec *spec)
{
    pl_chan_keep(chan, spec, chan->buf + chan->start);
    chan->broken = true;
    shutdown(chan->fd, SHUT_RDWR);
    return -EPROTO;
}

/* Errors after which the kernel may still hold packets that had arrived before. */
static bool is_reset(int err)
{
    return err == ECONNRESET || err == EPIPE || err == ECONNREFUSED || err == ECONNABORTED ||
           err == ETIMEDOUT;
}

int pl_chan_init(struct pl_chan *chan, int fd)
{
    int type = 0, domain = 0, on = 1;
    socklen_t type_size = sizeof type, domain_size = sizeof domain;
    *chan = (struct pl_chan){.fd = fd};
    pl_spin_init(&chan->spin, false);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_size) != 0 ||
        getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &domain_size) != 0) {
        int err = -errno;
        pl_chan_close(chan);
        return chan_fail(chan, err, "the descriptor is no socket: %s", strerror(-err));
    }
    chan->stream = type == SOCK_STREAM;
    /* Waiting is bounded by the time limit below, and what must not wait says so in each call. */
    fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
    struct timeval slice = {.tv_usec = PL_CHAN_SLICE_MS * 1000};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &slice, sizeof slice);
    if (!chan->stream) {
        /* recv returns 0 for an empty packet and for end of file: only the former has credentials.
         */
        chan->creds =
            domain == AF_UNIX && setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof on) == 0;
        return 0;
    }
    chan->size = PL_MSG_MAX + 1u;
    chan->buf = malloc(chan->size);
    if (chan->buf)
        return 0;
    pl_chan_close(chan);
    return chan_fail(chan, -ENOMEM, "no memory for the connection's buffer");
}

void pl_chan_close(struct pl_chan *chan)
{
    if (chan->fd >= 0)
        close(chan->fd);
    free(chan->buf);
    pl_spsc_free(chan->spsc);
    chan->spsc = NULL;
    chan->buf = NULL;
    chan->fd = -1;
    chan->start = chan->fill = chan->size = 0;
}

bool pl_chan_hung_up(const struct pl_chan *chan)
{
    struct pollfd p = {.fd = chan->fd, .events = POLLRDHUP};
    return chan->ended ||
           (poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR | POLLNVAL)));
}

/* --- receiving packets --- */

/* What a packet of n bytes, or none, means. */
static int packet_judge(struct pl_chan *chan, const struct msghdr *head, ssize_t n, size_t cap)
{
    if (n > 0 && (head->msg_flags & MSG_TRUNC))
        return chan_fail(chan, -EPROTO,
                         "a packet of %zd bytes arrived, the largest message has %zu", n, cap);
    if (n > 0)
        return (int)n;
    if (head->msg_controllen > 0 || !pl_chan_hung_up(chan))
        return chan_fail(chan, -EPROTO, "an empty packet arrived");
    return chan_end(chan, 0);
}

static int packet_try(struct pl_chan *chan, void *buf, size_t cap, int flags)
{
    for (int attempt = 0;;) {
        char creds[CMSG_SPACE(sizeof(struct ucred))];
        struct iovec vec = {.iov_base = buf, .iov_len = cap};
        struct msghdr head = {.msg_iov = &vec, .msg_iovlen = 1};
        if (chan->creds) {
            /* Room for the credentials alone: descriptors that a peer sends along are dropped. */
            head.msg_control = creds;
            head.msg_controllen = sizeof creds;
        }
        ssize_t n = recvmsg(chan->fd, &head, flags | MSG_TRUNC | MSG_CMSG_CLOEXEC);
        if (n >= 0)
            return packet_judge(chan, &head, n, cap);
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)
            return 0;
        /* A reset overtakes the packets that arrived ahead of it: they are read first. */
        if (attempt++ < 2 && is_reset(errno)) {
            flags = MSG_DONTWAIT;
            continue;
        }
        return chan_end(chan, errno);
    }
}

/* --- receiving from a stream --- */

static uint64_t header_value(const uint8_t *bytes, struct pl_header_field field)
{
    uint64_t value = 0;
    for (unsigned i = field.width; i > 0; i--)
        value = value << 8 | bytes[field.offset + i - 1u];
    return value;
}

/* The size that the message at the buffer's start announces; 0: its header is not whole yet. */
static uint64_t announced(const struct pl_chan *chan, const struct pl_spec *spec)
{
    if (chan->fill - chan->start < spec->header.size)
        return 0;
    if (spec->header.msg_size.width == 0)
        return spec->max_max_msg_size; /* a draft whose messages are all of one size */
    return header_value(chan->buf + chan->start, spec->header.msg_size);
}

/* Cut the first message off the buffer: its size, 0 where it is not whole, -EPROTO. */
static int stream_cut(struct pl_chan *chan, const struct pl_spec *spec, void *buf, size_t max)
{
    size_t have = chan->fill - chan->start;
    if (have < spec->header.size)
        return 0;
    uint64_t size = announced(chan, spec);
    if (size < spec->header.size) {
        chan_fail(chan, -EPROTO,
                  "a message announces msg_size %llu, less than its header of %u bytes",
                  (unsigned long long)size, (unsigned)spec->header.size);
        return chan_break(chan, spec);
    }
    if (size > max) {
        chan_fail(chan, -EPROTO, "a message announces msg_size %llu, more than the maximum of %zu",
                  (unsigned long long)size, max);
        return chan_break(chan, spec);
    }
    if (have < size)
        return 0;
    memcpy(buf, chan->buf + chan->start, (size_t)size);
    chan->start += (size_t)size;
    if (chan->start == chan->fill)
        chan->start = chan->fill = 0;
    return (int)size;
}

static int stream_try(struct pl_chan *chan, const struct pl_spec *spec, void *buf, size_t max,
                      int flags)
{
    for (;;) {
        if (chan->broken)
            return -EPROTO;
        int r = stream_cut(chan, spec, buf, max);
        if (r != 0)
            return r;
        if (chan->start) {
            memmove(chan->buf, chan->buf + chan->start, chan->fill - chan->start);
            chan->fill -= chan->start;
            chan->start = 0;
        }
        ssize_t n = recv(chan->fd, chan->buf + chan->fill, chan->size - chan->fill, flags);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))
            return 0;
        if (n <= 0)
            return chan_end(chan, n < 0 ? errno : 0);
        chan->fill += (size_t)n;
        flags = MSG_DONTWAIT;
    }
}

/* --- receiving from either, and from shared memory --- */

/* One try; it waits some milliseconds where `blocks`. */
static int try_once(struct pl_chan *chan, const struct pl_spec *spec, void *buf, size_t cap,
                    size_t max_size, bool blocks)
{
    int flags = blocks ? 0 : MSG_DONTWAIT;
    if (chan->spsc) {
        struct pollfd p = {.fd = chan->fd, .events = POLLIN};
        if (blocks)
            poll(&p, 1, PL_CHAN_SLICE_MS);
        return pl_spsc_try(chan, spec, buf, cap);
    }
    if (!chan->stream)
        return packet_try(chan, buf, cap, flags);
    size_t max = max_size && max_size < PL_MSG_MAX ? max_size : PL_MSG_MAX;
    return stream_try(chan, spec, buf, max < cap ? max : cap, flags);
}

/* Look for a message again and again for a little while. */
static int look_for(struct pl_chan *chan, const struct pl_spec *spec, void *buf, size_t cap,
                    size_t max_size)
{
    int r = 0;
    do
        r = chan->spsc ? pl_spsc_peek(chan, spec, buf, cap)
                       : try_once(chan, spec, buf, cap, max_size, false);
    while (r == 0 && pl_spin_on(&chan->spin, chan->spsc != NULL));
    /* What is asleep from here on is woken by the socket, which has to be empty for that. */
    return r == 0 && chan->spsc ? pl_spsc_try(chan, spec, buf, cap) : r;
}

int pl_chan_try(struct pl_chan *chan, const struct pl_spec *spec, void *buf, size_t cap,
                size_t max_size, enum pl_wait wait)
{
    int r = 0;
    if (chan->fd < 0)
        return chan_fail(chan, -EPIPE, "there is no connection");
    if (wait != PL_WAIT_NOT && pl_spin_begin(&chan->spin))
        r = look_for(chan, spec, buf, cap, max_size);
    else if (wait != PL_WAIT_SLICE || chan->spsc)
        r = try_once(chan, spec, buf, cap, max_size, false);
    if (r == 0 && wait == PL_WAIT_SLICE)
        r = try_once(chan, spec, buf, cap, max_size, true);
    if (r > 0)
        pl_spin_learn(&chan->spin);
    return r;
}

int pl_chan_receive(struct pl_chan *chan, const struct pl_spec *spec, void *buf, size_t cap,
                    size_t max_size, int timeout_ms)
{
    bool wait = timeout_ms < 0 || timeout_ms > PL_CHAN_SLICE_MS;
    int r = pl_chan_try(chan, spec, buf, cap, max_size, wait ? PL_WAIT_SLICE : PL_WAIT_NOT);
    if (r != 0 || timeout_ms == 0)
        return r;
    int64_t deadline = pl_deadline_after(timeout_ms, wait && !chan->spsc);
    while (r == 0) {
        int left = pl_left_ms(deadline);
        struct pollfd p = {.fd = chan->fd, .events = POLLIN};
        if (left == 0)
            return 0;
        poll(&p, 1, left);
        r = pl_chan_try(chan, spec, buf, cap, max_size, PL_WAIT_NOT);
    }
    return r;
}

int pl_chan_look(struct pl_chan *chan, const struct pl_spec *spec, void *buf, size_t cap,
                 size_t max_size)
{
    return pl_chan_try(chan, spec, buf, cap, max_size, PL_WAIT_LOOK);
}

/* --- sending --- */

int pl_chan_push(struct pl_chan *chan, const void *msg, size_t size, size_t *done)
{
    if (chan->fd < 0)
        return chan_fail(chan, -EPIPE, "there is no connection");
    if (chan->spsc)
        return pl_spsc_push(chan, msg, size);
    for (int attempt = 0;;) {
        ssize_t n =
            send(chan->fd, (const uint8_t *)msg + *done, size - *done, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            *done += (size_t)n;
            if (*done == size || !chan->stream)
                return 1;
            continue;
        }
        if (errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS)
            return 0;
        if (errno == EMSGSIZE)
            return chan_fail(chan, -EMSGSIZE, "a message of %zu bytes does not fit a packet", size);
        /* A reset is told once, in place of the answer: only the next try shows the truth. */
        if (errno != EINTR && attempt++ > 0)
            return chan_fail(chan, -EPIPE, "the other end closed the connection: %s",
                             strerror(errno));
    }
}

int pl_chan_give_up(struct pl_chan *chan, int err, size_t done, size_t size)
{
    if (done && done < size) {
        shutdown(chan->fd, SHUT_RDWR);
        return chan_fail(chan, err, "the other end took %zu of %zu bytes and then nothing more",
                         done, size);
    }
    return chan_fail(chan, err, "the other end takes no message: its buffer stays full");
}

/* Sleep until a message may fit again, up to left_ms. Nobody tells when a slot becomes free. */
static void wait_for_room(struct pl_chan *chan, int left_ms)
{
    struct pollfd p = {.fd = chan->fd, .events = POLLOUT};
    if (chan->spsc)
        pl_spsc_nap(chan, left_ms);
    else
        poll(&p, 1, left_ms);
}

int pl_chan_send(struct pl_chan *chan, const void *msg, size_t size, int timeout_ms)
{
    size_t done = 0;
    int r = pl_chan_push(chan, msg, size, &done);
    if (r != 0)
        return r < 0 ? r : 0;
    int64_t deadline = timeout_ms < 0 ? INT64_MAX : pl_clock_ms() + timeout_ms;
    while (r == 0) {
        int left = pl_left_ms(deadline);
        if (left == 0)
            return pl_chan_give_up(chan, -ETIMEDOUT, done, size);
        wait_for_room(chan, left);
        r = pl_chan_push(chan, msg, size, &done);
    }
    return r < 0 ? r : 0;
}
