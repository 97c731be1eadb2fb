/* Virtual time for a program: the harness moves its clock, and only while it is at rest. */
#include "port/clock.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum {
    HANG_MS = 10000,    /* of the real clock: who says nothing for so long has let go of its own */
    MOMENT_NS = 150000, /* most answers come within it, and need no fence then */
    /* Events that never end must not hold a wait for ever. */
    EVENTS_MAX = 100000,
};

void pl_clock_open(struct pl_clock *clock, int fd)
{
    *clock = (struct pl_clock){.fd = fd};
}

void pl_clock_close(struct pl_clock *clock)
{
    if (clock->fd >= 0)
        close(clock->fd);
    *clock = (struct pl_clock){.fd = -1};
}

void pl_clock_disturb(struct pl_clock *clock)
{
    clock->rest = false;
    clock->owed += clock->asked;
    clock->asked = false;
}

/* It does not keep to what is agreed: time passes without it. */
static void lose(struct pl_clock *clock)
{
    clock->lost = true;
    clock->asked = clock->rest = false;
    clock->next = UINT64_MAX;
}

static void ask(struct pl_clock *clock, uint64_t ms)
{
    char line[40];
    int size = snprintf(line, sizeof line, "elapse %" PRIu64 "\n", ms);
    ssize_t n = send(clock->fd, line, (size_t)size, MSG_DONTWAIT | MSG_NOSIGNAL);
    clock->asked = n == size;
    clock->rest = false;
    if (!clock->asked)
        lose(clock);
}

/* --- what it answers --- */

static void take_line(struct pl_clock *clock, uint64_t now_ms)
{
    char *end = NULL;
    uint64_t ms = UINT64_MAX;
    bool good = strncmp(clock->line, "rest ", 5) == 0;
    if (good && strcmp(clock->line + 5, "never") != 0) {
        errno = 0;
        ms = strtoull(clock->line + 5, &end, 10);
        good = end != clock->line + 5 && *end == '\0' && errno == 0;
    }
    if (!good) {
        lose(clock);
    } else if (clock->owed) {
        clock->owed--;
    } else {
        clock->asked = false;
        clock->rest = true;
        clock->next = ms < UINT64_MAX - now_ms ? now_ms + ms : UINT64_MAX;
    }
}

/* Take the lines that are there. */
static void take_lines(struct pl_clock *clock, uint64_t now_ms)
{
    for (;;) {
        char c;
        ssize_t n = recv(clock->fd, &c, 1, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
            return;
        bool whole = n == 1 && c == '\n';
        if (n != 1 || (!whole && clock->fill + 1 >= sizeof clock->line)) {
            lose(clock);
            return;
        }
        clock->line[clock->fill] = whole ? '\0' : c;
        clock->fill = whole ? 0 : clock->fill + 1;
        if (whole)
            take_line(clock, now_ms);
    }
}

/* Let both sockets and what it writes be looked at: true where one of the two has something. */
static bool look(struct pl_clock *clock, struct pl_link *link, const struct timespec *wait)
{
    struct pollfd p[3] = {{.fd = link->chan.fd, .events = POLLIN},
                          {.fd = clock->fd, .events = POLLIN},
                          {.fd = link->child ? link->child->err_fd : -1, .events = POLLIN}};
    if (ppoll(p, 3, wait, NULL) <= 0)
        return false;
    if (p[2].revents)
        pl_child_drain(link->child);
    if (p[1].revents)
        take_lines(clock, link->port->now_ms);
    return p[0].revents || p[1].revents;
}

/* Wait until it says that it is at rest, or has sent something. */
static void settle(struct pl_clock *clock, struct pl_link *link)
{
    static const struct timespec moment = {.tv_nsec = MOMENT_NS};
    int64_t deadline = 0;
    if (!clock->asked) {
        if (look(clock, link, &moment))
            return;
        ask(clock, 0);
    }
    while (!clock->lost) {
        int left = deadline ? pl_left_ms(deadline) : HANG_MS;
        const struct timespec wait = {.tv_sec = left / 1000, .tv_nsec = left % 1000 * 1000000L};
        deadline = deadline ? deadline : pl_clock_ms() + HANG_MS;
        if (look(clock, link, &wait))
            return;
        if (left == 0)
            lose(clock);
    }
}

/* --- time --- */

/* Move the clock to what the IUT does next, or to `until`. */
static void advance(struct pl_clock *clock, struct pl_port *port, uint64_t until)
{
    uint64_t to = !clock->lost && clock->next < until ? clock->next : until;
    uint64_t ms = to > port->now_ms ? to - port->now_ms : 0;
    port->now_ms += ms;
    if (!clock->lost)
        ask(clock, ms);
}

static bool at_rest(const struct pl_clock *clock)
{
    return clock->rest || clock->lost;
}

int pl_clock_receive(struct pl_clock *clock, struct pl_link *link, void *buf, size_t cap,
                     int timeout_ms)
{
    struct pl_port *port = link->port;
    uint64_t until = port->now_ms + (timeout_ms > 0 ? (uint64_t)timeout_ms : 0);
    for (int i = 0; i < EVENTS_MAX; i++) {
        /* What it sent before it said that it rests is there by the time that this was read. */
        bool rested = at_rest(clock);
        int r = pl_link_receive(link, buf, cap, 0);
        if (r != 0)
            return r;
        if (!rested)
            settle(clock, link);
        else if (port->now_ms >= until && clock->next > port->now_ms)
            return 0;
        else
            advance(clock, port, until);
    }
    return 0;
}

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return poll(&p, 1, 0) > 0;
}

/* What the owner did may have set the IUT to work: it is at rest again, or has something to say. */
static bool comes_to_rest(struct pl_clock *clock, struct pl_link *link, int fd)
{
    if (at_rest(clock))
        return true;
    settle(clock, link);
    return at_rest(clock) && !readable(fd) && !readable(link->chan.fd);
}

int pl_clock_wait(struct pl_clock *clock, struct pl_link *link, int fd, uint64_t until_ms)
{
    struct pl_port *port = link->port;
    for (int i = 0; i < EVENTS_MAX; i++) {
        int wish = pl_link_attend(link, -1);
        if (!link->attended)
            pl_link_wait(link, fd, POLLIN, 0); /* puts messages aside */
        bool rests = comes_to_rest(clock, link, fd);
        if (readable(fd))
            return 0;
        if (!rests)
            continue;
        uint64_t to = wish >= 0 && port->now_ms + (uint64_t)wish < until_ms
                          ? port->now_ms + (uint64_t)wish
                          : until_ms;
        if (wish == PL_MEANWHILE_STOP || (port->now_ms >= until_ms && clock->next > port->now_ms))
            return -ETIMEDOUT;
        advance(clock, port, to);
    }
    return -ETIMEDOUT;
}
