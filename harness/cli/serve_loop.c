/* The loop of `plumbline serve`: messages are drained before the process sleeps. */
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cli/serve.h"

#define CONTROL_LINE 4096
#define BATCH        256 /* messages between two looks at the control socket */

/* What the loop holds. */
struct loop {
    const struct pl_serve *serve;
    struct pl_chan chan;
    uint64_t start_ms;
    char line[CONTROL_LINE]; /* of the control socket, not yet whole */
    size_t line_fill;
    bool line_lost; /* the line is too long: dropped up to its end */
    int ctl_fd;
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
    uint64_t now = clock_ms() - loop->start_ms;
    loop->serve->ops->advance(loop->serve->self, now);
    return now;
}

/* Send everything that the endpoint has ready. */
static int flush(struct loop *loop)
{
    const struct pl_serve *serve = loop->serve;
    for (;;) {
        int size = serve->ops->poll(serve->self, loop->out, sizeof(loop->out));
        if (size <= 0)
            return size;
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

/* Answer one control line. What it brought about is sent before its answer. */
static int answer_line(struct loop *loop)
{
    const struct pl_serve *serve = loop->serve;
    char answer[512] = "error the line is too long";
    tick(loop);
    if (!loop->line_lost &&
        serve->ops->control(serve->self, loop->line, answer, sizeof(answer) - 1))
        snprintf(answer, sizeof(answer), "error the peer could not take this line");
    int err = flush(loop);
    if (err < 0)
        return err;
    size_t length = strlen(answer);
    answer[length++] = '\n';
    for (size_t done = 0; done < length;) {
        ssize_t n = write(loop->ctl_fd, answer + done, length - done);
        if (n < 0 && errno != EINTR && errno != EAGAIN)
            return 0; /* nobody listens to control any more */
        done += n > 0 ? (size_t)n : 0;
    }
    return 0;
}

static int take_control_bytes(struct loop *loop, const char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (bytes[i] != '\n') {
            loop->line_lost = loop->line_lost || loop->line_fill + 1 >= sizeof(loop->line);
            if (!loop->line_lost)
                loop->line[loop->line_fill++] = bytes[i];
            continue;
        }
        loop->line[loop->line_fill] = '\0';
        int err = answer_line(loop);
        loop->line_fill = 0;
        loop->line_lost = false;
        if (err < 0)
            return err;
    }
    return 0;
}

static int read_control(struct loop *loop)
{
    char bytes[1024];
    ssize_t n = read(loop->ctl_fd, bytes, sizeof(bytes));
    if (n < 0 && (errno == EINTR || errno == EAGAIN))
        return 0;
    if (n > 0)
        return take_control_bytes(loop, bytes, (size_t)n);
    close(loop->ctl_fd);
    loop->ctl_fd = -1;
    return 0;
}

/* Sleep until a message or a control line comes or the endpoint's own time has come. */
static int wait_for_work(struct loop *loop)
{
    const struct pl_serve *serve = loop->serve;
    struct pollfd fds[2] = {{.fd = loop->chan.fd, .events = POLLIN},
                            {.fd = loop->ctl_fd, .events = POLLIN}};
    uint64_t next = serve->ops->next_ms(serve->self);
    int timeout = -1;
    if (next != UINT64_MAX) {
        uint64_t now = tick(loop);
        timeout = next <= now ? 0 : next - now < 1000 ? (int)(next - now) : 1000;
    }
    if (poll(fds, 2, timeout) < 0 && errno != EINTR)
        return -errno;
    if (timeout >= 0) {
        tick(loop);
        int err = flush(loop);
        if (err < 0)
            return err;
    }
    return loop->ctl_fd >= 0 && fds[1].revents ? read_control(loop) : 0;
}

/* Can nothing but a message happen? Then a blocking read is the cheapest way to wait. */
static bool only_messages(const struct loop *loop)
{
    return loop->ctl_fd < 0 && loop->serve->ops->next_ms(loop->serve->self) == UINT64_MAX;
}

static int run(struct loop *loop)
{
    for (;;) {
        int err;
        if (only_messages(loop)) {
            err = step(loop, WAIT_FOR_EVER);
        } else {
            err = drain(loop);
            if (err >= 0)
                err = wait_for_work(loop);
        }
        if (err < 0)
            return err;
    }
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
    loop->start_ms = clock_ms();
    loop->chan = serve->chan;
    int err = run(loop);
    snprintf(error, cap, "%s", loop->chan.error[0] ? loop->chan.error : strerror(-err));
    pl_chan_close(&loop->chan);
    if (loop->ctl_fd >= 0)
        close(loop->ctl_fd);
    free(loop);
    return err == -EPIPE ? 0 : err; /* end of file is the normal end */
}
