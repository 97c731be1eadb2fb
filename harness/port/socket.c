/* The ports to an IUT that is reached by address: --connect and --listen. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "port/memory.h"
#include "port/private.h"
#include "port/spsc.h"

#define START_TIMEOUT_MS 5000
#define RETRY_MS         20

struct socket_port {
    struct pl_port port; /* first */
    struct pl_link link;
    struct pl_control control;
    char *address;
    bool listens,
        inherited;  /* inherited: fd:N, which is one connection for the port's whole life */
    bool is_driver; /* the IUT: the harness is at the device's end of shared memory */
    int listener;
    struct pl_spsc_host *spsc; /* shared memory in place of a socket's messages; NULL: none */
    int mem_fd;                /* of the file that both ends map; -1: none */
    int start_timeout_ms;
    bool connected_before;
    struct socket_port *far; /* the device side of a bus, which is a port like this one */
    struct pl_end end;
};

static struct socket_port *socket_of(struct pl_port *port)
{
    return (struct socket_port *)port;
}

/* --- starting --- */

/* Connect once: 0 or a negative errno with port.error. */
static int dial_once(struct socket_port *x)
{
    if (x->spsc)
        return pl_link_meet(&x->link, x->spsc, x->start_timeout_ms, -1);
    int fd = pl_address_reach(x->address, x->start_timeout_ms, x->port.error, sizeof x->port.error);
    return fd < 0 ? fd : pl_link_open(&x->link, fd);
}

/*
 * Connect. An IUT that served a connection before may be about to come back: only then is a refusal
 * tried again.
 */
static int dial(struct socket_port *x)
{
    int64_t deadline = pl_clock_ms() + x->start_timeout_ms;
    for (;;) {
        int r = dial_once(x);
        bool absent = r == -ECONNREFUSED || r == -ENOENT;
        if (!absent || !x->connected_before || pl_left_ms(deadline) == 0)
            return r;
        nanosleep(&(struct timespec){.tv_nsec = RETRY_MS * 1000000L}, NULL);
    }
}

static int await(struct socket_port *x)
{
    int64_t deadline = pl_clock_ms() + x->start_timeout_ms;
    for (;;) {
        struct pollfd p = {.fd = x->listener, .events = POLLIN};
        int left = pl_left_ms(deadline);
        int ready = poll(&p, 1, left);
        if (ready == 0 && left == 0)
            return pl_port_fail(&x->port, -ETIMEDOUT, "nobody connected within %d ms",
                                x->start_timeout_ms);
        int fd = ready > 0 ? accept4(x->listener, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (fd >= 0)
            return pl_link_open(&x->link, fd);
        if (ready > 0 && errno != EINTR && errno != EAGAIN && errno != ECONNABORTED)
            return pl_port_fail(&x->port, -errno, "cannot accept a connection: %s",
                                strerror(errno));
    }
}

static int socket_stop(struct pl_port *port, struct pl_end *end);

/* Both sides of a bus, one after the other. */
static int socket_start(struct pl_port *port, const struct pl_bus_params *bus)
{
    struct socket_port *x = socket_of(port);
    socket_stop(port, NULL);
    int r = pl_port_adopt(port, bus);
    if (r < 0)
        return r;
    x->end = (struct pl_end){.how = PL_END_RUNNING};
    if (x->inherited && x->connected_before) {
        if (!pl_chan_hung_up(&x->link.chan))
            return 0;
        return pl_port_fail(port, -ENOTCONN,
                            "the other end closed the inherited connection, which cannot be made "
                            "again");
    }
    if (x->mem_fd >= 0)
        pl_memory_clear(port, x->mem_fd);
    if (!x->listens)
        r = dial(x);
    else
        r = x->spsc ? pl_link_meet(&x->link, x->spsc, x->start_timeout_ms, -1) : await(x);
    x->connected_before = x->connected_before || r == 0;
    if (r < 0 || !x->far)
        return r;
    r = socket_start(&x->far->port, bus);
    return r < 0 ? pl_port_fail(port, r, "device side: %s", x->far->port.error) : 0;
}

/* --- ending --- */

static int socket_stop(struct pl_port *port, struct pl_end *end)
{
    struct socket_port *x = socket_of(port);
    if (x->link.chan.fd >= 0) {
        bool gone = pl_chan_hung_up(&x->link.chan);
        x->end = (struct pl_end){.how = gone ? PL_END_CLOSED : PL_END_RUNNING, .by_itself = gone};
        pl_spsc_part(&x->link.chan);
        if (!x->inherited)
            pl_link_close(&x->link);
    }
    if (x->far)
        socket_stop(&x->far->port, NULL);
    if (end)
        *end = x->end;
    return 0;
}

static void socket_close(struct pl_port *port)
{
    struct socket_port *x = socket_of(port);
    struct pl_address address;
    char error[256];
    socket_stop(port, NULL);
    if (x->far)
        socket_close(&x->far->port);
    pl_link_free(&x->link);
    if (x->listener >= 0) {
        close(x->listener);
        if (pl_address_parse(x->address, &address, error, sizeof error) == 0 &&
            address.kind != PL_ADDRESS_TCP)
            unlink(address.host);
    }
    pl_spsc_close(x->spsc);
    pl_memory_free(port, x->mem_fd);
    pl_control_free(&x->control);
    free(x->address);
    free(x);
}

/* --- talking --- */

static int socket_send(struct pl_port *port, const void *msg, size_t size)
{
    return pl_link_send(&socket_of(port)->link, msg, size);
}

static int socket_receive(struct pl_port *port, void *buf, size_t cap, int timeout_ms)
{
    if (port->mem && pl_guard_lost(port->mem))
        return pl_port_fail(port, -EPROTO, "the memory's file was cut short");
    return pl_link_receive(&socket_of(port)->link, buf, cap, timeout_ms);
}

static int socket_control(struct pl_port *port, const char *line, char *answer, size_t cap,
                          int timeout_ms)
{
    struct socket_port *x = socket_of(port);
    return pl_control_ask(&x->control, &x->link, line, answer, cap, timeout_ms);
}

static const struct pl_port_ops socket_ops = {socket_start,   socket_send, socket_receive,
                                              socket_control, socket_stop, socket_close};

/* --- opening --- */

/* Check the address and, to listen, take it at once: an IUT may connect before the first start. */
static int claim(struct socket_port *x, char *error, size_t cap)
{
    struct pl_address address;
    int r = pl_address_check(x->address, x->listens, error, cap);
    if (r == 0 && pl_is_spsc(x->address)) {
        x->port.carrier_max = PL_SPSC_SLOT_SIZE;
        x->spsc = pl_spsc_open(x->address, x->is_driver ? PL_SPSC_DEVICE : PL_SPSC_DRIVER,
                               x->listens, &r, error, cap);
        return r;
    }
    if (r == 0)
        r = pl_address_parse(x->address, &address, error, cap);
    if (r < 0)
        return r;
    x->inherited = address.kind == PL_ADDRESS_FD;
    if (x->listens)
        x->listener = r = pl_address_listen(x->address, error, cap);
    return r < 0 ? r : 0;
}

static void socket_wait_sides(struct pl_port *port, int timeout_ms)
{
    struct socket_port *x = socket_of(port);
    pl_link_wait_either(&x->link, &x->far->link, timeout_ms);
}

static struct pl_port *open_socket(const struct pl_port_options *options, char *error, size_t cap);

/* A port of its own to the device side, waited for together with this one. */
static int open_far(struct socket_port *x, const struct pl_port_options *options, char *error,
                    size_t cap)
{
    struct pl_port_options own = {.spec = options->spec,
                                  .connect = options->connect ? options->device_address : NULL,
                                  .listen = options->connect ? NULL : options->device_address,
                                  .accept_timeout_ms = options->accept_timeout_ms,
                                  .send_timeout_ms = options->send_timeout_ms};
    struct pl_port *far = open_socket(&own, error, cap);
    if (!far)
        return -EINVAL;
    x->far = socket_of(far);
    x->port.device_side = far;
    x->port.wait_sides = socket_wait_sides;
    x->link.other = &x->far->link;
    x->far->link.other = &x->link;
    return 0;
}

static struct pl_port *open_socket(const struct pl_port_options *options, char *error, size_t cap)
{
    struct socket_port *x = calloc(1, sizeof *x);
    char *address = x ? pl_copy_text(options->connect ? options->connect : options->listen) : NULL;
    if (!address) {
        snprintf(error, cap, "no memory for the port");
        free(x);
        return NULL;
    }
    x->port = (struct pl_port){.ops = &socket_ops, .spec = options->spec};
    x->port.has_control = options->control_commands != NULL;
    x->address = address;
    x->listens = options->listen != NULL;
    x->is_driver = options->driver;
    x->listener = x->mem_fd = -1;
    x->start_timeout_ms =
        options->accept_timeout_ms > 0 ? options->accept_timeout_ms : START_TIMEOUT_MS;
    pl_link_init(&x->link, &x->port, options);
    int r = pl_control_init(&x->control, options->control_commands, error, cap);
    if (r == 0)
        r = claim(x, error, cap);
    if (r == 0 && options->mem_path)
        x->mem_fd = r = pl_memory_use(&x->port, options, error, cap);
    if (r >= 0 && options->device_side)
        r = open_far(x, options, error, cap);
    if (r < 0) {
        socket_close(&x->port);
        return NULL;
    }
    char local[200];
    pl_address_local(x->listener, x->address, local, sizeof local);
    snprintf(x->port.name, sizeof x->port.name, "%s%s", x->listens ? "listen:" : "", local);
    return &x->port;
}

struct pl_port *pl_port_socket(const struct pl_port_options *options, char *error, size_t cap)
{
    return open_socket(options, error, cap);
}
