/* Control over a socket: one line out, one line in, within a time limit. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/clock.h"
#include "port/control.h"
#include "port/private.h"
#include "port/utf8.h"

#define LINE_MAX_BYTES 8192
/* Two sockets of a process that dies end one after the other: so long the second may take. */
#define SECOND_END_MS 50

void pl_control_disconnect(struct pl_control *control)
{
    if (control->fd >= 0)
        close(control->fd);
    control->fd = -1;
    control->owed = 0;
    control->fill = 0;
}

void pl_control_free(struct pl_control *control)
{
    pl_control_disconnect(control);
    for (char **c = control->commands; c && *c; c++)
        free(*c);
    free(control->commands);
    control->commands = NULL;
}

int pl_control_init(struct pl_control *control, const char *const *commands, char *error,
                    size_t cap)
{
    size_t n = 0;
    *control = (struct pl_control){.fd = -1};
    for (; commands && commands[n] && commands[n + 1]; n += 2) {
        int r = pl_control_command_check(commands[n], commands[n + 1], error, cap);
        if (r < 0)
            return r;
    }
    if (!commands)
        return 0;
    control->commands = calloc(n + 1, sizeof *control->commands);
    for (size_t i = 0; control->commands && i < n; i++)
        if (!(control->commands[i] = strdup(commands[i])))
            control->commands = (pl_control_free(control), NULL);
    if (control->commands)
        return 0;
    snprintf(error, cap, "no memory for the control commands");
    return -ENOMEM;
}

/* --- over the socket --- */

/* The socket ended. Whether the IUT is gone or has only let go of control, the other socket tells.
 */
static int control_ended(struct pl_control *control, struct pl_link *link)
{
    pl_control_disconnect(control);
    pl_link_wait(link, link->chan.fd, POLLRDHUP, pl_clock_ms() + SECOND_END_MS);
    if (link->chan.fd < 0 || pl_chan_hung_up(&link->chan))
        return pl_port_fail(link->port, -EPIPE, "the other end closed the connection");
    return pl_port_fail(link->port, -ENOTSUP, "the IUT closed its control socket");
}

/* Take a whole line out of the buffer: 1, or 0 where there is none. */
static int control_cut(struct pl_control *control, char *line, size_t cap)
{
    char *end = memchr(control->buf, '\n', control->fill);
    if (!end)
        return 0;
    size_t size = (size_t)(end - control->buf), taken = size + 1;
    if (size && control->buf[size - 1] == '\r')
        size--;
    pl_utf8_line(control->buf, size, line, cap);
    control->fill -= taken;
    memmove(control->buf, end + 1, control->fill);
    return 1;
}

/* Wait for the socket, until the deadline of the clock that counts. */
static int control_wait(struct pl_control *control, struct pl_link *link, int64_t deadline)
{
    return control->clock ? pl_clock_wait(control->clock, link, control->fd, (uint64_t)deadline)
                          : pl_link_wait(link, control->fd, POLLIN, deadline);
}

/* Read the next line: 1, 0 at the deadline, or a negative errno. */
static int control_line(struct pl_control *control, struct pl_link *link, char *line, size_t cap,
                        int64_t deadline)
{
    for (;;) {
        if (control_cut(control, line, cap))
            return 1;
        if (control->fill == sizeof control->buf) {
            pl_control_disconnect(control);
            return pl_port_fail(link->port, -EPROTO,
                                "the control socket brought an answer of more than %zu bytes",
                                sizeof control->buf);
        }
        ssize_t n = recv(control->fd, control->buf + control->fill,
                         sizeof control->buf - control->fill, MSG_DONTWAIT);
        if (n > 0) {
            control->fill += (size_t)n;
        } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
            return control_ended(control, link);
        } else if (control_wait(control, link, deadline) != 0) {
            return 0;
        }
        if (!control->clock && deadline != INT64_MAX && n > 0 && pl_left_ms(deadline) == 0 &&
            !memchr(control->buf, '\n', control->fill))
            return 0;
    }
}

static int control_send(struct pl_control *control, struct pl_link *link, const char *line,
                        int64_t deadline)
{
    char out[LINE_MAX_BYTES + 2];
    int size = snprintf(out, sizeof out, "%s\n", line);
    for (int done = 0; done < size;) {
        ssize_t n =
            send(control->fd, out + done, (size_t)(size - done), MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0)
            done += (int)n;
        else if (errno != EAGAIN && errno != EINTR)
            return control_ended(control, link);
        else if (pl_link_wait(link, control->fd, POLLOUT, deadline) != 0)
            return pl_port_fail(link->port, -ETIMEDOUT, "the control socket takes no request");
    }
    return 0;
}

static bool is_answer(const char *line)
{
    return strcmp(line, "ok") == 0 || strcmp(line, "unsupported") == 0 ||
           strcmp(line, "error") == 0 || strncmp(line, "error ", 6) == 0;
}

/*
 * Read the answer. Answers to requests that were given up come first: they are nobody's any more,
 * and taking one of them for this one's would be a false report.
 */
static int control_answer(struct pl_control *control, struct pl_link *link, const char *request,
                          char *answer, size_t cap, int64_t deadline)
{
    for (;;) {
        char line[sizeof control->buf];
        int r = control_line(control, link, line, sizeof line, deadline);
        if (r < 0)
            return r;
        if (r == 0) {
            control->owed++;
            return pl_port_fail(link->port, -ETIMEDOUT, "control '%.60s' was not answered in time",
                                request);
        }
        if (control->owed) {
            control->owed--;
            continue;
        }
        snprintf(answer, cap, "%s", line);
        if (is_answer(line))
            return 0;
        return pl_port_fail(link->port, -EPROTO,
                            "control '%.60s' was answered with '%.60s', which is none of ok, "
                            "unsupported, error TEXT",
                            request, line);
    }
}

static int control_converse(struct pl_control *control, struct pl_link *link, const char *line,
                            char *answer, size_t cap, int timeout_ms)
{
    int limit = timeout_ms > 0 ? timeout_ms : 0;
    int64_t deadline = pl_clock_ms() + limit;
    if (control->clock)
        pl_clock_disturb(control->clock);
    int r = control_send(control, link, line, deadline);
    if (control->clock)
        deadline = (int64_t)link->port->now_ms + limit;
    return r < 0 ? r : control_answer(control, link, line, answer, cap, deadline);
}

int pl_control_ask(struct pl_control *control, struct pl_link *link, const char *line, char *answer,
                   size_t cap, int timeout_ms)
{
    if (cap)
        answer[0] = '\0';
    if (strlen(line) > LINE_MAX_BYTES || strpbrk(line, "\r\n"))
        return pl_port_fail(link->port, -EINVAL, "a control request is one line of %d bytes",
                            LINE_MAX_BYTES);
    if (link->chan.fd < 0)
        return pl_port_fail(link->port, -EPIPE, "there is no connection");
    if (!control->commands && control->fd < 0)
        return pl_port_fail(link->port, -ENOTSUP, "there is no control");
    link->attended = link->port->meanwhile != NULL;
    int r = control->commands ? pl_control_run(control, link, line, answer, cap, timeout_ms)
                              : control_converse(control, link, line, answer, cap, timeout_ms);
    link->attended = false;
    return r;
}
