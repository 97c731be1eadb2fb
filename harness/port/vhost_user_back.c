/* The vhost-user back-end as a port: a front-end, with a driver behind it, connects to it. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port/memory.h"
#include "port/vhost_user.h"
#include "port/vhost_user_back.h"

enum { ACCEPT_MS = 60000 };
/* The guest's memory lies below this. */
static const size_t WINDOW = (size_t)4 << 30;
static const char prefix[] = "vhost-user:";

static struct pl_back *back_of(struct pl_port *port)
{
    return (struct pl_back *)port;
}

/* --- starting and ending --- */

/* Forget what an earlier connection left behind. */
static void begin_anew(struct pl_back *b)
{
    pl_back_hang_up(b);
    pl_pending_free(&b->out);
    pl_pending_free(&b->todo);
    for (uint32_t i = 0; i < b->map.num_regions; i++)
        pl_guard_clear((uint8_t *)b->port.mem + b->map.regions[i].guest_address,
                       b->map.regions[i].size);
    memset(&b->map, 0, sizeof(b->map));
    b->parts.n = 0;
    pl_back_forget_rings(b);
    b->protocol = b->selected = b->offered = 0;
    b->has_protocol = b->started = b->waiting = b->resetting = b->answering = b->resuming = false;
    b->config_size = b->n_queues = b->status = b->written = 0;
}

static int connect_anew(struct pl_back *b)
{
    begin_anew(b);
    int code = pl_back_accept(b);
    return code < 0 ? code : pl_back_greet(b);
}

/*
 * Close the connection, and wait for the front-end. A device that is in use goes on with what it
 * has: nothing is said to it, for the driver knows nothing of connections.
 */
static int reconnect(struct pl_back *b)
{
    if (!b->started)
        return connect_anew(b);
    pl_back_hang_up(b);
    b->protocol = 0;
    b->has_protocol = b->answering = false;
    b->resuming = true;
    b->written = 0;
    for (uint32_t i = 0; i < PL_VU_QUEUES_MAX; i++) {
        b->rings[i].kept = b->rings[i].running;
        b->rings[i].placed = b->rings[i].enabled = false;
    }
    return pl_back_accept(b);
}

static int back_start(struct pl_port *port, const struct pl_bus_params *bus)
{
    struct pl_back *b = back_of(port);
    int code = pl_port_adopt(port, bus);

    if (code < 0)
        return code;
    b->bus = *bus;
    begin_anew(b);
    code = pl_vu_exec_start(&b->exec, true);
    if (code < 0)
        return pl_port_fail(port, code, "cannot start the command: %s", strerror(-code));
    code = connect_anew(b);
    if (code < 0)
        pl_vu_exec_tell(&b->exec, port);
    return code;
}

static int back_stop(struct pl_port *port, struct pl_end *end)
{
    struct pl_back *b = back_of(port);
    struct pollfd entry = {.fd = b->fd, .events = 0};
    bool gone = b->fd < 0 || (poll(&entry, 1, 0) > 0 && (entry.revents & POLLHUP));

    if (end)
        *end = (struct pl_end){.how = gone ? PL_END_CLOSED : PL_END_RUNNING, .by_itself = gone};
    pl_back_hang_up(b);
    pl_vu_exec_stop(&b->exec, gone, end);
    return 0;
}

static void back_close(struct pl_port *port)
{
    struct pl_back *b = back_of(port);

    begin_anew(b);
    if (b->listener >= 0) {
        close(b->listener);
        unlink(b->path);
    }
    pl_vu_exec_close(&b->exec);
    if (b->aside_fd >= 0)
        close(b->aside_fd);
    pl_guard_unmap(port->mem);
    free(b);
}

/* --- talking --- */

static int back_send(struct pl_port *port, const void *msg, size_t size)
{
    struct pl_back *b = back_of(port);
    struct pl_msg m;

    if (b->fd < 0)
        return b->port.error[0] ? -EPIPE : pl_port_fail(port, -EPIPE, "not connected");
    pl_decode(port->spec, msg, size, &m);
    return m.form == PL_FORM_OK ? pl_back_hear(b, &m) : 0;
}

/* Sleep until the front-end stirs, a ring is kicked, or somebody speaks aside. */
static void wait_for_anything(struct pl_back *b, int timeout_ms)
{
    struct pollfd entries[2 + PL_VU_QUEUES_MAX];
    nfds_t n = 0;

    if (!b->waiting)
        entries[n++] = (struct pollfd){.fd = b->fd, .events = POLLIN};
    if (b->aside_fd >= 0)
        entries[n++] = (struct pollfd){.fd = b->aside_fd, .events = POLLIN};
    for (uint32_t i = 0; i < b->n_queues && !b->waiting; i++)
        if (b->rings[i].kick >= 0 && pl_back_ring_ready(b, &b->rings[i]))
            entries[n++] = (struct pollfd){.fd = b->rings[i].kick, .events = POLLIN};
    poll(entries, n, timeout_ms);
}

/* What the front-end and its rings say: 0 or a negative errno. */
static int look(struct pl_back *b)
{
    int code = pl_back_collect_kicks(b);

    if (code < 0 || b->waiting || b->out.head != b->out.tail)
        return code;
    code = pl_back_read(b);
    return code > 0 ? pl_back_take(b) : code;
}

static bool spoken_aside(const struct pl_back *b)
{
    struct pollfd entry = {.fd = b->aside_fd, .events = POLLIN};
    return b->aside_fd >= 0 && poll(&entry, 1, 0) > 0;
}

static int back_receive(struct pl_port *port, void *buf, size_t cap, int timeout_ms)
{
    struct pl_back *b = back_of(port);
    int64_t deadline = pl_clock_ms() + timeout_ms;

    pl_child_drain(&b->exec.child); /* lest it waits until its words are read */
    if (pl_guard_lost(port->mem))
        return pl_back_fault(b, "cut the file of its memory short");
    for (;;) {
        size_t size = pl_pending_take(&b->out, buf, cap);
        if (size > 0)
            return (int)size;
        if (b->fd < 0)
            return b->port.error[0] ? -EPIPE : pl_port_fail(port, -EPIPE, "not connected");
        int code = b->waiting ? 0 : look(b);
        if (code < 0)
            return code;
        if (b->out.head != b->out.tail)
            continue;
        int left = pl_left_ms(deadline);
        if (left == 0 || spoken_aside(b))
            return 0;
        wait_for_anything(b, left);
    }
}

static int back_control(struct pl_port *port, const char *line, char *answer, size_t cap,
                        int timeout_ms)
{
    (void)line, (void)answer, (void)cap, (void)timeout_ms;
    return pl_port_fail(port, -ENOTSUP, "a vhost-user front-end has no control socket");
}

/* --- from aside --- */

static int back_aside(struct pl_port *port, char *line, size_t cap)
{
    struct pl_back *b = back_of(port);
    char text[PL_BACK_ASIDE_MAX];
    ssize_t got = b->aside_fd >= 0 ? read(b->aside_fd, text, sizeof(text) - 1) : 0;

    if (got <= 0)
        return 0;
    text[got] = '\0';
    text[strcspn(text, "\n")] = '\0'; /* one line a write */
    if (strcmp(text, "disconnect") == 0) {
        int code = reconnect(b);
        return code < 0 ? code : 0;
    }
    snprintf(line, cap, "%s", text);
    return 1;
}

static const struct pl_port_ops back_ops = {
    .start = back_start,
    .send = back_send,
    .receive = back_receive,
    .control = back_control,
    .stop = back_stop,
    .close = back_close,
};

/* --- opening --- */

/* Take `vhost-user:PATH[,commands=FIFO]` apart. 0, or -EINVAL with a sentence. */
static int read_address(struct pl_back *b, const char *address, char *error, size_t cap)
{
    const char *rest = address + strlen(prefix), *comma = strchr(rest, ',');
    size_t length = comma ? (size_t)(comma - rest) : strlen(rest);

    if (length == 0 || length >= sizeof(b->path)) {
        snprintf(error, cap, "%.200s: the path of the socket is %s", address,
                 length ? "too long" : "missing");
        return -EINVAL;
    }
    memcpy(b->path, rest, length);
    b->path[length] = '\0';
    if (!comma)
        return 0;
    const char *fifo = strncmp(comma, ",commands=", 10) == 0 ? comma + 10 : "";
    if (!*fifo || strchr(fifo, ',') || strlen(fifo) >= sizeof(b->aside_path)) {
        snprintf(error, cap, "%.200s: '%.80s' is not commands=FIFO", address, comma + 1);
        return -EINVAL;
    }
    snprintf(b->aside_path, sizeof(b->aside_path), "%s", fifo);
    return 0;
}

/* A front-end that the harness starts: it has no options yet. */
static int read_exec(struct pl_back *b, const struct pl_port_options *options, char *error,
                     size_t cap)
{
    if (options->carrier_options) {
        snprintf(error, cap,
                 "carrier: vhost-user of a driver takes no options, and '%.80s' is given",
                 options->carrier_options);
        return -EINVAL;
    }
    int code = pl_vu_exec_open(&b->exec, options->exec, error, cap);
    snprintf(b->path, sizeof(b->path), "%s", b->exec.path);
    return code;
}

/* The FIFO is there already; kept open for writing, too, so that it has no end of file. */
static int open_aside(struct pl_back *b, char *error, size_t cap)
{
    struct stat st;

    if (!b->aside_path[0])
        return 0;
    b->aside_fd = open(b->aside_path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
    int code = b->aside_fd < 0 ? -errno : 0;
    if (code == 0 && (fstat(b->aside_fd, &st) < 0 || !S_ISFIFO(st.st_mode)))
        code = -EINVAL;
    if (code < 0)
        snprintf(error, cap, "%s: %s", b->aside_path,
                 code == -EINVAL ? "is no FIFO" : strerror(-code));
    return code;
}

static int open_all(struct pl_back *b, char *error, size_t cap)
{
    char address[sizeof("unix-stream:") + sizeof(b->path)];
    int code = open_aside(b, error, cap);

    if (code < 0)
        return code;
    code = pl_guard_reserve(WINDOW, &b->port.mem);
    if (code < 0) {
        snprintf(error, cap, "no room for the guest's memory: %s", strerror(-code));
        return code;
    }
    b->port.mem_size = WINDOW;
    b->port.mem_parts = &b->parts;
    snprintf(address, sizeof(address), "unix-stream:%s", b->path);
    b->listener = code = pl_address_listen(address, error, cap);
    return code < 0 ? code : 0;
}

struct pl_port *pl_port_vhost_user_back(const struct pl_port_options *options, char *error,
                                        size_t cap)
{
    struct pl_back *b = calloc(1, sizeof(*b));

    if (!b) {
        snprintf(error, cap, "out of memory");
        return NULL;
    }
    b->listener = b->fd = b->backend_fd = b->aside_fd = -1;
    for (size_t i = 0; i < PL_VU_QUEUES_MAX; i++)
        b->rings[i] = (struct pl_back_ring){.kick = -1, .call = -1, .err = -1};
    b->timeout_ms = options->accept_timeout_ms > 0 ? options->accept_timeout_ms : ACCEPT_MS;
    b->port.ops = &back_ops;
    b->port.aside = back_aside;
    b->port.spec = options->spec;
    b->port.one_life = true;
    b->port.observable = pl_vu_observable_driver;
    b->exec.child = (struct pl_child){.pidfd = -1, .err_fd = -1};
    b->port.restartable = options->exec != NULL;
    if (options->exec)
        snprintf(b->port.name, sizeof(b->port.name), "exec:%.40s%s", options->exec,
                 strlen(options->exec) > 40 ? "..." : "");
    else
        snprintf(b->port.name, sizeof(b->port.name), "listen:%s", options->listen);
    int code = options->exec ? read_exec(b, options, error, cap)
                             : read_address(b, options->listen, error, cap);
    if (code == 0 && open_all(b, error, cap) == 0)
        return &b->port;
    back_close(&b->port);
    return NULL;
}
