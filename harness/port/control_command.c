/* Control by shell command: the profile's command for a request, run within a time limit. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "port/control.h"
#include "port/private.h"
#include "port/utf8.h"

/* The command for a line's request, or NULL. */
static const char *command_for(const struct pl_control *control, const char *line)
{
    size_t length = strcspn(line, " ");
    for (char **c = control->commands; c[0]; c += 2)
        if (strlen(c[0]) == length && memcmp(c[0], line, length) == 0)
            return c[1];
    return NULL;
}

/* How often what the command writes is taken while it runs. */
#define DRAIN_STEP_MS 20

/* Wait for the command's end, and meanwhile keep the IUT's messages and both outputs moving. */
static bool finish(struct pl_child *child, struct pl_link *link, int64_t deadline)
{
    while (!pl_child_exited(child)) {
        int64_t step = pl_clock_ms() + (child->pidfd < 0 ? 2 : DRAIN_STEP_MS);
        if (pl_left_ms(deadline) == 0)
            return false;
        pl_link_wait(link, child->pidfd, POLLIN, step < deadline ? step : deadline);
        pl_child_drain(child);
    }
    return true;
}

/* The last line that is not empty. */
static const char *last_line(char *text)
{
    size_t size = strlen(text);
    while (size && (text[size - 1] == '\n' || text[size - 1] == ' '))
        text[--size] = '\0';
    char *cut = strrchr(text, '\n');
    return cut ? cut + 1 : text;
}

int pl_control_run(struct pl_control *control, struct pl_link *link, const char *line, char *answer,
                   size_t cap, int timeout_ms)
{
    char error[256], shown[200];
    struct pl_child child;
    struct pl_end end = {.how = PL_END_RUNNING};
    const char *command = command_for(control, line);
    if (!command) {
        snprintf(answer, cap, "unsupported");
        return 0;
    }
    char *filled = pl_control_command_fill(command, line, error, sizeof error);
    if (!filled)
        return pl_port_fail(link->port, -EINVAL, "%s", error);
    struct pl_child_setup setup = {environ, NULL, 0};
    int r = pl_child_start(&child, filled, &setup);
    free(filled);
    if (r < 0)
        return pl_port_fail(link->port, r, "cannot start the control command: %s", strerror(-r));
    bool done = finish(&child, link, pl_clock_ms() + (timeout_ms > 0 ? timeout_ms : 0));
    if (!done)
        pl_child_kill(&child);
    pl_child_reap(&child, !done, &end);
    const char *said = last_line(end.stderr_tail);
    pl_utf8_line(said, strlen(said), shown, sizeof shown);
    if (!done)
        return pl_port_fail(link->port, -ETIMEDOUT, "the command for '%.60s' did not end in time",
                            line);
    if (end.how == PL_END_EXITED && end.code == 0)
        snprintf(answer, cap, "ok");
    else
        snprintf(answer, cap, "error the command for '%.*s' ended with %s %d%s%s",
                 (int)strcspn(line, " "), line,
                 end.how == PL_END_SIGNALLED ? "signal" : "exit status", end.code,
                 *shown ? ": " : "", shown);
    return 0;
}
