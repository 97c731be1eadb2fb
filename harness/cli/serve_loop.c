/* The loop of `plumbline serve`: messages are drained before the process sleeps. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/serve.h"

#define CONTROL_LINE 4096
#define BATCH        256 /* messages between two looks at the control socket */
#define MESSAGES     4   /* in a millisecond, where messages are the clock */
#define IDLE_MS      20  /* that clock goes on where nothing came for so long */

/* A line of a socket, not yet whole. */
struct line {
    char text[CONTROL_LINE];
    size_t fill;
    bool lost; /* it is too long: dropped up to its end */
};

/* What the loop holds. */
struct loop {
    const struct pl_serve *serve;
    struct pl_chan chan;
    uint64_t start_ms;
    uint64_t messages; /* taken so far; also time that passed without any */
    struct line control, clock;
    bool answer_due; /* the peer is at work on a control line */
    int ctl_fd;
    int clock_fd;
    uint64_t clock_ms; /* what the harness's clock shows */
    uint8_t in[PL_MSG_MAX + 1], out[PL_MSG_MAX + 1];
};

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Tell the endpoint the time; the time. */
static uint64_t tick(struct loop *loop)
{
    uint64_t now = loop->clock_fd >= 0        ? loop->clock_ms
                   : loop->serve->by_messages ? loop->messages / MESSAGES
                                              : clock_ms() - loop->start_ms;
    loop->serve->ops->advance(loop->serve->self, now);
    return now;
}

/* Say a control line's answer; `answer` has room for one character more. */
static void say(struct loop *loop, char *answer)
{
    size_t length = strlen(answer);
    answer[length++] = '\n';
    for (size_t done = 0; done < length;) {
        ssize_t n = write(loop->ctl_fd, answer + done, length - done);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return; /* nobody listens to control any more */
        done += n > 0 ? (size_t)n : 0;
    }
}

/* The answer to a control line that took its time. */
static void late_answer(struct loop *loop)
{
    const struct pl_serve *serve = loop->serve;
    char answer[512];
    if (!loop->answer_due || !serve->ops->answer ||
        serve->ops->answer(serve->self, answer, sizeof(answer) - 1) <= 0)
        return;
    loop->answer_due = false;
    if (loop->ctl_fd >= 0)
        say(loop, answer);
}

/* Send everything that the endpoint has ready, and what it has to say to control behind that. */
static int flush(struct loop *loop)
{
    const struct pl_serve *serve = loop->serve;
    for (;;) {
        int size = serve->ops->poll(serve->self, loop->out, sizeof(loop->out));
        if (size <= 0) {
            late_answer(loop);
            return size;
        }
        int err = pl_chan_send(&loop->chan, loop->out, (size_t)size, -1);
        if (err < 0)
            return err;
    }
}

/* One message: 1, 0 where there is none, or a negative errno. */
enum wait { WAIT_A_MOMENT, WAIT_FOR_EVER };
static int step(struct loop *loop, enum wait wait)
{
    const struct pl_serve *serve = loop->serve;
    int size = wait == WAIT_FOR_EVER ? pl_chan_receive(&loop->chan, serve->spec, loop->in,
                                                       sizeof(loop->in), serve->max_msg_size, -1)
                                     : pl_chan_look(&loop->chan, serve->spec, loop->in,
                                                    sizeof(loop->in), serve->max_msg_size);
    if (size == -EPROTO && !loop->chan.stream)
        return 1; /* a packet that is no message at all: dropped */
    if (size <= 0)
        return size;
    loop->messages++;
    tick(loop);
    int err = serve->ops->deliver(serve->self, loop->in, (size_t)size);
    if (err < 0 && err != -ENOBUFS)
        return err;
    err = flush(loop);
    return err < 0 ? err : 1;
}

/* Handle what is there or near, a batch at most. 0 or a negative errno. */
static int drain(struct loop *loop)
{
    for (int handled = 0; handled < BATCH; handled++) {
        int r = step(loop, WAIT_A_MOMENT);
        if (r <= 0)
            return r;
    }
    return 0;
}

/* --- lines of the control and the clock's socket --- */

/* Take bytes; each line that they end is worked on. 0, or the negative errno of that. */
static int take_bytes(struct loop *loop, struct line *line, const char *bytes, size_t n,
                      int (*whole)(struct loop *loop))
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != '\n') {
            line->lost = line->lost || line->fill + 1 >= sizeof(line->text);
            if (!line->lost)
                line->text[line->fill++] = bytes[i];
            continue;
        }
        line->text[line->fill] = '\0';
        int err = whole(loop);
        line->fill = 0;
        line->lost = false;
        if (err < 0)
            return err;
    }
    return 0;
}

/* Read what is there: 0, or a negative errno; *fd is closed and -1 where its other end is. */
static int read_lines(struct loop *loop, int *fd, struct line *line,
                      int (*whole)(struct loop *loop))
{
    char bytes[1024];
    ssize_t n = read(*fd, bytes, sizeof(bytes));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n > 0)
        return take_bytes(loop, line, bytes, (size_t)n, whole);
    close(*fd);
    *fd = -1;
    return 0;
}

/* Answer one control line, now or when the peer is through. What it brought about is sent first. */
static int answer_line(struct loop *loop)
{
    const struct pl_serve *serve = loop->serve;
    char answer[512] = "error the line is too long";
    int later = 0;
    tick(loop);
    if (!loop->control.lost)
        later = serve->ops->control(serve->self, loop->control.text, answer, sizeof(answer) - 1);
    if (later < 0)
        snprintf(answer, sizeof(answer), "error the peer could not take this line");
    loop->answer_due = later > 0;
    int err = flush(loop);
    if (later <= 0 && (err >= 0 || err == -ESHUTDOWN))
        say(loop, answer);
    return err;
}

static int read_control(struct loop *loop)
{
    return read_lines(loop, &loop->ctl_fd, &loop->control, answer_line);
}

/* --- the harness's clock --- */

static bool readable(int fd)
{
    struct pollfd p = {.fd = fd, .events = POLLIN};
    return fd >= 0 && poll(&p, 1, 0) > 0;
}

/* Nobody moves the clock any more. */
static void lose_clock(struct loop *loop)
{
    close(loop->clock_fd);
    loop->clock_fd = -1;
}

static void go_on_by_real_time(struct loop *loop)
{
    loop->start_ms = clock_ms() - loop->clock_ms;
}

/*
 * Everything that was sent before the clock's line is dealt with, then time passes, and what that
 * brings about is sent before the harness is told how long nothing more will happen.
 */
static int pass_time(struct loop *loop)
{
    const struct pl_serve *serve = loop->serve;
    unsigned long long ms;
    char answer[48];
    if (loop->clock_fd < 0) /* lost with a line before this one */
        return 0;
    if (sscanf(loop->clock.text, "elapse %llu", &ms) != 1) {
        lose_clock(loop);
        return 0;
    }
    int err = drain(loop);
    while (err >= 0 && readable(loop->ctl_fd))
        err = read_control(loop);
    loop->clock_ms += ms;
    tick(loop);
    if (err >= 0)
        err = flush(loop);
    if (err >= 0)
        err = drain(loop);
    uint64_t next = serve->ops->next_ms(serve->self), now = loop->clock_ms;
    int size = next == UINT64_MAX ? snprintf(answer, sizeof(answer), "rest never\n")
                                  : snprintf(answer, sizeof(answer), "rest %llu\n",
                                             (unsigned long long)(next > now ? next - now : 0));
    if (err >= 0 && send(loop->clock_fd, answer, (size_t)size, MSG_NOSIGNAL) != size)
        lose_clock(loop);
    return err;
}

static int read_clock(struct loop *loop)
{
    int err = read_lines(loop, &loop->clock_fd, &loop->clock, pass_time);
    if (loop->clock_fd < 0)
        go_on_by_real_time(loop);
    return err;
}

/* Sleep until a message or a control line comes or the endpoint's own time has come. */
static int wait_for_work(struct loop *loop)
{
    const struct pl_serve *serve = loop->serve;
    struct pollfd fds[3] = {{.fd = loop->chan.fd, .events = POLLIN},
                            {.fd = loop->ctl_fd, .events = POLLIN},
                            {.fd = loop->clock_fd, .events = POLLIN}};
    uint64_t next = serve->ops->next_ms(serve->self), now = 0;
    int timeout = -1;
    if (next != UINT64_MAX && loop->clock_fd < 0) {
        now = tick(loop);
        timeout = next <= now ? 0 : next - now < 1000 ? (int)(next - now) : 1000;
        if (serve->by_messages && next > now && timeout < IDLE_MS)
            timeout = IDLE_MS;
    }
    int got = poll(fds, 3, timeout);
    if (got < 0 && errno != EINTR)
        return -errno;
    if (got == 0 && next > now && serve->by_messages) /* nobody moves: on to what happens next */
        loop->messages = next * MESSAGES;
    if (timeout >= 0) {
        tick(loop);
        int err = flush(loop);
        if (err < 0)
            return err;
    }
    if (loop->ctl_fd >= 0 && fds[1].revents)
        return read_control(loop);
    return loop->clock_fd >= 0 && fds[2].revents ? read_clock(loop) : 0;
}

/* Can nothing but a message happen? Then a blocking read is the cheapest way to wait. */
static bool only_messages(const struct loop *loop)
{
    return loop->ctl_fd < 0 && loop->clock_fd < 0 &&
           loop->serve->ops->next_ms(loop->serve->self) == UINT64_MAX;
}

static int run(struct loop *loop)
{
    int err = flush(loop); /* a driver is the first to speak */
    while (err >= 0) {
        if (only_messages(loop)) {
            err = step(loop, WAIT_FOR_EVER);
        } else {
            err = drain(loop);
            if (err >= 0)
                err = wait_for_work(loop);
        }
    }
    return err;
}

int pl_serve_run(struct pl_serve *serve, char *error, size_t cap)
{
    struct loop *loop = calloc(1, sizeof(*loop));
    if (!loop) {
        snprintf(error, cap, "no memory to serve with");
        return -ENOMEM;
    }
    loop->serve = serve;
    loop->ctl_fd = serve->ctl_fd;
    loop->clock_fd = serve->clock_fd;
    loop->start_ms = clock_ms();
    loop->chan = serve->chan;
    int err = run(loop);
    snprintf(error, cap, "%s", loop->chan.error[0] ? loop->chan.error : strerror(-err));
    pl_chan_close(&loop->chan);
    if (loop->ctl_fd >= 0)
        close(loop->ctl_fd);
    if (loop->clock_fd >= 0)
        close(loop->clock_fd);
    free(loop);
    /* End of file is the normal end, and so is that a driver has done what it wanted. */
    return err == -EPIPE || err == -ESHUTDOWN ? 0 : err;
}
