/* Links: a port's connection, read and drained also while the port waits for something else. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/private.h"
#include "port/spsc.h"

#define SEND_TIMEOUT_MS 2000
/* Messages put aside in one go, so that a flood cannot hold the wait that they interrupt. */
#define STASH_BATCH 64

int pl_port_fail(struct pl_port *port, int err, const char *format, ...)
{
    va_list args;
    int used = snprintf(port->error, sizeof port->error, "%s: ", port->name);
    va_start(args, format);
    if (used >= 0 && (size_t)used < sizeof port->error)
        vsnprintf(port->error + used, sizeof port->error - (size_t)used, format, args);
    va_end(args);
    return err;
}

void pl_link_init(struct pl_link *link, struct pl_port *port, const struct pl_port_options *options)
{
    *link = (struct pl_link){.port = port, .chan = {.fd = -1}};
    link->send_timeout_ms =
        options->send_timeout_ms > 0 ? options->send_timeout_ms : SEND_TIMEOUT_MS;
}

/* What every open link needs beside its channel, which is closed where that fails. */
static int link_ready(struct pl_link *link)
{
    if (!link->scratch)
        link->scratch = malloc(PL_MSG_MAX + 1u);
    link->late = 0;
    link->port->stream = link->chan.stream;
    if (link->scratch)
        return 0;
    pl_chan_close(&link->chan);
    return pl_port_fail(link->port, -ENOMEM, "no memory for the connection");
}

int pl_link_open(struct pl_link *link, int fd)
{
    int r = pl_chan_init(&link->chan, fd);
    if (r < 0)
        return pl_port_fail(link->port, r, "%s", link->chan.error);
    return link_ready(link);
}

int pl_link_meet(struct pl_link *link, struct pl_spsc_host *host, int timeout_ms, int wake)
{
    char error[sizeof link->port->error - sizeof link->port->name];
    int r = pl_spsc_meet(host, timeout_ms, &link->chan, error, sizeof error);
    if (r == 0 && wake >= 0)
        pl_spsc_wake_by(&link->chan, wake);
    else if (wake >= 0)
        close(wake);
    if (r < 0)
        return pl_port_fail(link->port, r, "%s", error);
    return link_ready(link);
}

static bool link_can_stash(const struct pl_link *link)
{
    return link && link->chan.fd >= 0 && link->late == 0 && pl_pending_has_room(&link->pending);
}

/* Put aside what has arrived; an error is kept for the receive that comes after it. */
static void link_stash(struct pl_link *link)
{
    for (int i = 0; i < STASH_BATCH && link_can_stash(link); i++) {
        int r = pl_chan_try(&link->chan, link->port->spec, link->scratch, PL_MSG_MAX + 1u,
                            link->port->max_msg_size, PL_WAIT_NOT);
        if (r == 0)
            return;
        if (r > 0 && !pl_pending_put(&link->pending, link->scratch, (size_t)r)) {
            r = -ENOMEM;
            snprintf(link->chan.error, sizeof link->chan.error, "no memory for its messages");
        }
        if (r < 0) {
            link->late = r;
            memcpy(link->late_error, link->chan.error, sizeof link->late_error);
        }
    }
}

/* Poll the descriptor that is waited for and all that may have to be emptied meanwhile. */
static bool link_poll(struct pl_link *link, int fd, short events, int timeout_ms)
{
    struct pollfd p[4] = {{.fd = fd, .events = events},
                          {.fd = -1, .events = POLLIN},
                          {.fd = -1, .events = POLLIN},
                          {.fd = -1, .events = POLLIN}};
    bool reads = fd == link->chan.fd && (events & POLLIN);
    if (!reads && link_can_stash(link))
        p[1].fd = link->chan.fd;
    if (link_can_stash(link->other))
        p[2].fd = link->other->chan.fd;
    if (link->child)
        p[3].fd = link->child->err_fd;
    if (poll(p, 4, timeout_ms) <= 0)
        return false;
    if (p[1].revents)
        link_stash(link);
    if (p[2].revents)
        link_stash(link->other);
    if (p[3].revents)
        pl_child_drain(link->child);
    return p[0].revents != 0;
}

int pl_link_attend(struct pl_link *link, int left)
{
    if (!link->attended)
        return left;
    link->attended = false; /* what it sends and receives is no occasion to call it again */
    int ms = link->port->meanwhile(link->port->meanwhile_opaque);
    link->attended = true;
    if (ms == PL_MEANWHILE_STOP)
        return ms;
    return ms >= 0 && (left < 0 || ms < left) ? ms : left;
}

int pl_link_wait(struct pl_link *link, int fd, short events, int64_t deadline)
{
    for (;;) {
        int left = pl_left_ms(deadline), wait = pl_link_attend(link, left);
        if (wait == PL_MEANWHILE_STOP)
            return -ETIMEDOUT;
        if (link_poll(link, fd, events, wait))
            return 0;
        if (left == 0)
            return -ETIMEDOUT;
    }
}

/* Wait until a message may fit again. Nobody tells when a slot of shared memory becomes free. */
static int link_wait_for_room(struct pl_link *link, int64_t deadline)
{
    if (!link->chan.spsc)
        return pl_link_wait(link, link->chan.fd, POLLOUT, deadline);
    int left = pl_left_ms(deadline);
    link_poll(link, -1, 0, 0);
    pl_spsc_nap(&link->chan, left);
    return left == 0 ? -ETIMEDOUT : 0;
}

int pl_link_send(struct pl_link *link, const void *msg, size_t size)
{
    size_t done = 0;
    int r = pl_chan_push(&link->chan, msg, size, &done);
    if (r > 0)
        return 0;
    int64_t deadline = pl_clock_ms() + link->send_timeout_ms;
    while (r == 0) {
        if (link_wait_for_room(link, deadline) != 0)
            r = pl_chan_give_up(&link->chan, -ETIMEDOUT, done, size);
        else
            r = pl_chan_push(&link->chan, msg, size, &done);
    }
    return r > 0 ? 0 : pl_port_fail(link->port, r, "%s", link->chan.error);
}

/* Nothing came, or nothing will: what of it was too little for a message. */
static int link_nothing(struct pl_link *link, int err)
{
    struct pl_port *port = link->port;
    const struct pl_chan *chan = &link->chan;
    port->n_unframed = chan->n_lost;
    memcpy(port->unframed, chan->lost, chan->n_lost);
    if (err == 0 && chan->stream)
        port->n_unframed = pl_chan_begun(chan, port->spec, port->unframed);
    return err;
}

/* What came while the port did something else, in the order in which it came. */
static int link_take(struct pl_link *link, void *buf, size_t cap)
{
    size_t size = pl_pending_take(&link->pending, buf, cap);
    if (size || !link->late)
        return (int)size;
    int err = link->late;
    link->late = 0;
    link_nothing(link, err);
    return pl_port_fail(link->port, err, "%s", link->late_error);
}

int pl_link_receive(struct pl_link *link, void *buf, size_t cap, int timeout_ms)
{
    int r = link_take(link, buf, cap);
    if (r != 0)
        return r;
    size_t max = link->port->max_msg_size;
    bool wait = timeout_ms < 0 || timeout_ms > PL_CHAN_SLICE_MS;
    r = pl_chan_try(&link->chan, link->port->spec, buf, cap, max,
                    wait ? PL_WAIT_SLICE : PL_WAIT_NOT);
    if (r > 0)
        return r;
    if (r == 0 && timeout_ms == 0) {
        if (link->child)
            pl_child_drain(link->child);
        return link_nothing(link, 0);
    }
    int64_t deadline = pl_deadline_after(timeout_ms, wait && !link->chan.spsc);
    while (r == 0) {
        if (link->child)
            pl_child_drain(link->child);
        int left = pl_left_ms(deadline);
        if (left == 0)
            return link_nothing(link, 0);
        if (link_poll(link, link->chan.fd, POLLIN, left))
            r = pl_chan_try(&link->chan, link->port->spec, buf, cap, max, PL_WAIT_NOT);
    }
    return r > 0 ? r : pl_port_fail(link->port, link_nothing(link, r), "%s", link->chan.error);
}

static bool has_news(const struct pl_link *link)
{
    return link->pending.head != link->pending.tail || link->late != 0 || link->chan.fd < 0 ||
           link->chan.ended || (link->chan.stream && link->chan.start != link->chan.fill);
}

void pl_link_wait_either(struct pl_link *a, struct pl_link *b, int timeout_ms)
{
    struct pollfd p[3] = {{.fd = a->chan.fd, .events = POLLIN},
                          {.fd = b->chan.fd, .events = POLLIN},
                          {.fd = a->child ? a->child->err_fd : -1, .events = POLLIN}};
    int64_t deadline = pl_clock_ms() + timeout_ms;
    while (!has_news(a) && !has_news(b)) {
        int left = pl_left_ms(deadline);
        if (poll(p, 3, left) <= 0)
            return;
        if (p[2].revents)
            pl_child_drain(a->child);
        if (p[0].revents || p[1].revents || left == 0)
            return;
        p[2].fd = a->child ? a->child->err_fd : -1;
    }
}

void pl_link_finish(struct pl_link *link)
{
    if (link->chan.fd >= 0)
        shutdown(link->chan.fd, SHUT_WR);
}

void pl_link_discard(struct pl_link *link)
{
    char waste[4096];
    if (link->chan.spsc)
        pl_spsc_discard(&link->chan);
    for (int i = 0; i < 1024 && link->chan.fd >= 0; i++)
        if (recv(link->chan.fd, waste, sizeof waste, MSG_DONTWAIT) <= 0)
            return;
}

void pl_link_close(struct pl_link *link)
{
    pl_chan_close(&link->chan);
    link->pending.head = link->pending.tail = 0;
    link->late = 0;
}

void pl_link_free(struct pl_link *link)
{
    pl_link_close(link);
    pl_pending_free(&link->pending);
    free(link->scratch);
    link->scratch = NULL;
}
