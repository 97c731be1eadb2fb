/* The port to an IUT that the harness starts itself: --exec COMMAND. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/clock.h"
#include "port/memory.h"
#include "port/private.h"
#include "port/spsc.h"

/* After end of file: how long the IUT may take to exit, at first with us still reading. */
#define FINISH_MS 700
#define CLOSED_MS 300

struct exec_port {
    struct pl_port port; /* first */
    struct pl_port device_side;
    struct pl_link link, far;
    struct pl_child child;
    struct pl_control control;
    struct pl_clock clock;
    char *command;
    bool offers_control, offers_clock, is_bus, is_driver;
    enum pl_carrier carrier;
    struct pl_spsc_host *spsc; /* of PL_CARRIER_SPSC, made anew for each start */
    char name[64];             /* of that: spsc:NAME */
    int mem_fd;
    bool used; /* the memory is no longer fresh */
    struct pl_end end;
};

/* The descriptors that a start hands to the IUT: -1 where there is none. */
struct hand {
    int msg, dev, ctl, clock;
};

static struct exec_port *exec_of(struct pl_port *port)
{
    return (struct exec_port *)port;
}

/* An IUT without a data path has no use for the memory that it is offered. */
static bool exec_memory_seen(struct pl_port *port)
{
    struct exec_port *x = exec_of(port);
    return pl_memory_mapped(x->mem_fd, x->child.pid);
}

/* --- starting --- */

static int make_pair(int type, int ends[2])
{
    if (socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends) != 0)
        return -errno;
    return pl_raise_pair(ends);
}

/* Shared memory of a name that nobody else has, and `wake` as its wakeup socket, which is taken. */
static int make_rings(struct exec_port *x, int wake)
{
    unsigned drawn = 0;
    int err = getrandom(&drawn, sizeof drawn, 0) < 0 ? -errno : 0;
    snprintf(x->name, sizeof x->name, "spsc:plumbline-%ld-%08x", (long)getpid(), drawn);
    enum pl_spsc_end end = x->is_driver ? PL_SPSC_DEVICE : PL_SPSC_DRIVER;
    if (err == 0)
        x->spsc = pl_spsc_open(x->name, end, true, &err, x->port.error, sizeof x->port.error);
    if (err == 0)
        return pl_link_meet(&x->link, x->spsc, 0, wake);
    close(wake);
    return err;
}

/* Make the IUT's sockets and keep the harness's ends. */
static int make_sockets(struct exec_port *x, struct hand *hand)
{
    int type = x->carrier == PL_CARRIER_SEQPACKET ? SOCK_SEQPACKET : SOCK_STREAM;
    int pair[2], r = make_pair(type, pair);
    if (r == 0) {
        hand->msg = pair[1];
        r = x->carrier == PL_CARRIER_SPSC ? make_rings(x, pair[0])
                                          : pl_link_open(&x->link, pair[0]);
        if (r < 0)
            return r; /* it has said why */
    }
    if (r == 0 && x->is_bus && (r = make_pair(SOCK_SEQPACKET, pair)) == 0) {
        hand->dev = pair[1];
        r = pl_link_open(&x->far, pair[0]);
    }
    if (r == 0 && x->offers_control && (r = make_pair(SOCK_STREAM, pair)) == 0) {
        hand->ctl = pair[1];
        x->control.fd = pair[0];
    }
    if (r == 0 && x->offers_clock && (r = make_pair(SOCK_STREAM, pair)) == 0) {
        hand->clock = pair[1];
        pl_clock_open(&x->clock, pair[0]);
    }
    return r == 0 ? 0 : pl_port_fail(&x->port, r, "cannot make sockets: %s", strerror(-r));
}

/* Start the command with everything that it finds in its environment. */
static int spawn(struct exec_port *x, const struct hand *hand, const struct pl_bus_params *bus)
{
    char text[8][96], params[72];
    const char *extra[9] = {NULL};
    size_t n = 0;
    pl_bus_params_format(bus, params, sizeof params);
    if (x->spsc)
        snprintf(text[n++], 96, "PLUMBLINE_SPSC=%s,wakeup=fd:%d", x->name, hand->msg);
    else
        snprintf(text[n++], 96, "PLUMBLINE_FD=%d", hand->msg);
    snprintf(text[n++], 96, "PLUMBLINE_MEM_FD=%d", x->mem_fd);
    snprintf(text[n++], 96, "PLUMBLINE_MEM_BASE=0x%" PRIx64, x->port.mem_base);
    snprintf(text[n++], 96, "PLUMBLINE_MEM_SIZE=%zu", x->port.mem_size);
    snprintf(text[n++], 96, "PLUMBLINE_BUS=%s", params);
    if (hand->dev >= 0)
        snprintf(text[n++], 96, "PLUMBLINE_DEVICE_FD=%d", hand->dev);
    if (hand->ctl >= 0)
        snprintf(text[n++], 96, "PLUMBLINE_CTL_FD=%d", hand->ctl);
    if (hand->clock >= 0)
        snprintf(text[n++], 96, "PLUMBLINE_CLOCK_FD=%d", hand->clock);
    for (size_t i = 0; i < n; i++)
        extra[i] = text[i];
    int fds[5] = {hand->msg, x->mem_fd};
    size_t n_fds = 2;
    if (hand->dev >= 0)
        fds[n_fds++] = hand->dev;
    if (hand->ctl >= 0)
        fds[n_fds++] = hand->ctl;
    if (hand->clock >= 0)
        fds[n_fds++] = hand->clock;
    struct pl_child_setup setup = {pl_environment(extra), fds, n_fds};
    int r = setup.env ? pl_child_start(&x->child, x->command, &setup) : -ENOMEM;
    free((void *)(uintptr_t)setup.env);
    return r == 0 ? 0 : pl_port_fail(&x->port, r, "cannot start the command: %s", strerror(-r));
}

static void disconnect(struct exec_port *x)
{
    pl_link_close(&x->link);
    pl_link_close(&x->far);
    pl_spsc_close(x->spsc);
    x->spsc = NULL;
    pl_control_disconnect(&x->control);
    pl_clock_close(&x->clock);
}

static int exec_stop(struct pl_port *port, struct pl_end *end);

static int exec_start(struct pl_port *port, const struct pl_bus_params *bus)
{
    struct exec_port *x = exec_of(port);
    struct hand hand = {-1, -1, -1, -1};
    exec_stop(port, NULL);
    int r = pl_port_adopt(port, bus);
    if (r < 0)
        return r;
    x->device_side.max_msg_size = port->max_msg_size;
    x->end = (struct pl_end){.how = PL_END_RUNNING};
    port->now_ms = 0;
    if (x->used)
        pl_memory_clear(port, x->mem_fd);
    x->used = true;
    r = make_sockets(x, &hand);
    if (r == 0)
        r = spawn(x, &hand, bus);
    int given[] = {hand.msg, hand.dev, hand.ctl, hand.clock};
    for (size_t i = 0; i < sizeof given / sizeof *given; i++)
        if (given[i] >= 0)
            close(given[i]);
    if (r < 0)
        disconnect(x);
    return r;
}

/* --- ending --- */

/* Wait for the exit and meanwhile take everything, so that the IUT is not held up by us. */
static bool wait_for_exit(struct exec_port *x, int timeout_ms)
{
    int64_t deadline = pl_clock_ms() + timeout_ms;
    while (!pl_child_exited(&x->child)) {
        int left = pl_left_ms(deadline);
        struct pollfd p[4] = {{.fd = x->child.pidfd, .events = POLLIN},
                              {.fd = x->child.err_fd, .events = POLLIN},
                              {.fd = -1, .events = POLLIN},
                              {.fd = -1, .events = POLLIN}};
        if (left == 0)
            return false;
        /* An end that has hung up would wake us for ever. */
        if (!pl_chan_hung_up(&x->link.chan))
            p[2].fd = x->link.chan.fd;
        if (!pl_chan_hung_up(&x->far.chan))
            p[3].fd = x->far.chan.fd;
        poll(p, 4, x->child.pidfd < 0 && left > 2 ? 2 : left);
        pl_child_drain(&x->child);
        pl_link_discard(&x->link);
        pl_link_discard(&x->far);
    }
    return true;
}

static int exec_stop(struct pl_port *port, struct pl_end *end)
{
    struct exec_port *x = exec_of(port);
    if (x->child.pid) {
        bool gone = pl_chan_hung_up(&x->link.chan) || (x->is_bus && pl_chan_hung_up(&x->far.chan));
        int killed = 0;
        pl_link_finish(&x->link);
        pl_link_finish(&x->far);
        pl_control_disconnect(&x->control);
        pl_clock_close(&x->clock);
        bool exited = wait_for_exit(x, FINISH_MS);
        disconnect(x);
        if (!exited && !pl_child_wait(&x->child, pl_clock_ms() + CLOSED_MS))
            killed = pl_child_kill(&x->child);
        x->end = (struct pl_end){.how = PL_END_RUNNING};
        pl_child_reap(&x->child, true, &x->end);
        x->end.by_itself = gone;
        if (killed) {
            x->end.how = gone ? PL_END_CLOSED : PL_END_RUNNING;
            x->end.code = killed;
        }
    }
    disconnect(x);
    if (end)
        *end = x->end;
    return 0;
}

static void exec_close(struct pl_port *port)
{
    struct exec_port *x = exec_of(port);
    exec_stop(port, NULL);
    pl_memory_free(port, x->mem_fd);
    pl_link_free(&x->link);
    pl_link_free(&x->far);
    pl_control_free(&x->control);
    free(x->command);
    free(x);
}

/* --- talking --- */

static int exec_send(struct pl_port *port, const void *msg, size_t size)
{
    struct exec_port *x = exec_of(port);
    pl_clock_disturb(&x->clock);
    return pl_link_send(&x->link, msg, size);
}

static int exec_receive(struct pl_port *port, void *buf, size_t cap, int timeout_ms)
{
    struct exec_port *x = exec_of(port);
    if (pl_guard_lost(port->mem))
        return pl_port_fail(port, -EPROTO, "the memory's file was cut short");
    return x->clock.fd >= 0 ? pl_clock_receive(&x->clock, &x->link, buf, cap, timeout_ms)
                            : pl_link_receive(&x->link, buf, cap, timeout_ms);
}

static int exec_control(struct pl_port *port, const char *line, char *answer, size_t cap,
                        int timeout_ms)
{
    struct exec_port *x = exec_of(port);
    return pl_control_ask(&x->control, &x->link, line, answer, cap, timeout_ms);
}

static const struct pl_port_ops exec_ops = {exec_start,   exec_send, exec_receive,
                                            exec_control, exec_stop, exec_close};

/* --- the device side of a bus under test --- */

static struct exec_port *exec_of_device_side(struct pl_port *side)
{
    return (struct exec_port *)(void *)((char *)side - offsetof(struct exec_port, device_side));
}

static int side_send(struct pl_port *side, const void *msg, size_t size)
{
    return pl_link_send(&exec_of_device_side(side)->far, msg, size);
}

static int side_receive(struct pl_port *side, void *buf, size_t cap, int timeout_ms)
{
    return pl_link_receive(&exec_of_device_side(side)->far, buf, cap, timeout_ms);
}

static int side_start(struct pl_port *side, const struct pl_bus_params *bus)
{
    (void)bus;
    return pl_port_fail(side, -ENOTSUP, "the device side starts with the driver side");
}

static int side_control(struct pl_port *side, const char *line, char *answer, size_t cap,
                        int timeout_ms)
{
    (void)line, (void)answer, (void)cap, (void)timeout_ms;
    return pl_port_fail(side, -ENOTSUP, "control belongs to the driver side");
}

static int side_stop(struct pl_port *side, struct pl_end *end)
{
    if (end)
        *end = exec_of_device_side(side)->end;
    return 0;
}

static void side_close(struct pl_port *side)
{
    (void)side; /* freed with the driver side */
}

static void exec_wait_sides(struct pl_port *port, int timeout_ms)
{
    pl_link_wait_either(&exec_of(port)->link, &exec_of(port)->far, timeout_ms);
}

static const struct pl_port_ops side_ops = {side_start,   side_send, side_receive,
                                            side_control, side_stop, side_close};

/* --- opening --- */

static void give_device_side(struct exec_port *x, const struct pl_port_options *options)
{
    x->device_side = x->port;
    x->device_side.ops = &side_ops;
    x->device_side.has_control = false;
    x->device_side.restartable = false;
    snprintf(x->device_side.name, sizeof x->device_side.name, "%.200s (device side)", x->port.name);
    x->is_bus = options->device_side;
    if (!x->is_bus)
        return;
    x->port.device_side = &x->device_side;
    x->port.wait_sides = exec_wait_sides;
    x->link.other = &x->far;
    x->far.other = &x->link;
}

struct pl_port *pl_port_exec(const struct pl_port_options *options, char *error, size_t cap)
{
    struct exec_port *x = calloc(1, sizeof *x);
    if (!x) {
        snprintf(error, cap, "no memory for the port");
        return NULL;
    }
    x->port = (struct pl_port){.ops = &exec_ops, .spec = options->spec, .restartable = true};
    x->port.mem_size = options->mem_size ? options->mem_size : PL_PORT_MEM_SIZE;
    x->port.mem_base = options->mem_base ? options->mem_base : PL_PORT_MEM_BASE;
    x->carrier = options->carrier;
    x->port.carrier_max = x->carrier == PL_CARRIER_SPSC ? PL_SPSC_SLOT_SIZE : 0;
    x->offers_control = !options->no_control && !options->control_commands;
    x->port.has_control = x->offers_control || options->control_commands;
    x->offers_clock = options->clock;
    x->is_driver = options->driver;
    x->port.virtual_time = options->clock;
    x->clock = (struct pl_clock){.fd = -1};
    x->child = (struct pl_child){.pidfd = -1, .err_fd = -1};
    snprintf(x->port.name, sizeof x->port.name, "exec:%s", options->exec);
    pl_link_init(&x->link, &x->port, options);
    pl_link_init(&x->far, &x->device_side, options);
    x->link.child = x->far.child = &x->child;
    x->mem_fd = -1;
    x->command = strdup(options->exec);
    int r = pl_control_init(&x->control, options->control_commands, error, cap);
    x->control.clock = x->offers_clock ? &x->clock : NULL;
    if (r == 0 && !x->command)
        snprintf(error, cap, "no memory for the command");
    if (r == 0 && x->command) {
        x->mem_fd = options->mem_path ? pl_memory_use(&x->port, options, error, cap)
                                      : pl_memory_create(&x->port);
        if (x->mem_fd < 0 && !options->mem_path)
            snprintf(error, cap, "%s", x->port.error);
    }
    if (x->mem_fd < 0) {
        exec_close(&x->port);
        return NULL;
    }
    x->port.memory_seen = options->mem_path ? NULL : exec_memory_seen;
    give_device_side(x, options);
    return &x->port;
}
