/* The in-process port of a bus: a linked-in endpoint with two sides, in virtual time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/private.h"

struct bus_port {
    struct pl_port port; /* first */
    struct pl_port far;
    const struct pl_bus_endpoint_ops *ops;
    const void *config;
    void *self; /* NULL: not started */
};

static struct bus_port *bus_of(struct pl_port *port)
{
    return (struct bus_port *)port;
}

static struct bus_port *bus_of_far(struct pl_port *far)
{
    return (struct bus_port *)(void *)((char *)far - offsetof(struct bus_port, far));
}

static int bus_stop(struct pl_port *port, struct pl_end *end)
{
    struct bus_port *x = bus_of(port);
    if (x->self)
        x->ops->close(x->self);
    x->self = NULL;
    if (end)
        *end = (struct pl_end){.how = PL_END_EXITED};
    return 0;
}

static int bus_start(struct pl_port *port, const struct pl_bus_params *bus)
{
    struct bus_port *x = bus_of(port);
    bus_stop(port, NULL);
    int r = pl_port_adopt(port, bus);
    if (r < 0)
        return r;
    x->far.max_msg_size = port->max_msg_size;
    port->now_ms = 0;
    struct pl_endpoint_env env = {
        .revision = bus->revision, .max_msg_size = bus->max_msg_size, .features = bus->features};
    x->self = x->ops->open(x->config, &env);
    return x->self ? 0 : pl_port_fail(port, -ENOMEM, "the bus could not be opened");
}

static int deliver(struct bus_port *x, struct pl_port *port, unsigned side, const void *msg,
                   size_t size)
{
    if (!x->self)
        return pl_port_fail(port, -EPIPE, "the bus is not started");
    int r = x->ops->deliver(x->self, side, msg, size);
    return r >= 0 ? 0 : pl_port_fail(port, r, "the bus took no message: %s", strerror(-r));
}

static void advance(struct bus_port *x, uint64_t until)
{
    uint64_t next = x->self ? x->ops->next_ms(x->self) : UINT64_MAX, now = x->port.now_ms;
    x->port.now_ms = next < now ? now : next < until ? next : until;
    if (x->self)
        x->ops->advance(x->self, x->port.now_ms);
}

static int take(struct bus_port *x, struct pl_port *port, unsigned side, void *buf, size_t cap)
{
    if (!x->self)
        return pl_port_fail(port, -EPIPE, "the bus is not started");
    int r = x->ops->poll(x->self, side, buf, cap);
    return r >= 0 ? r : pl_port_fail(port, r, "the bus gave no message: %s", strerror(-r));
}

static int near_send(struct pl_port *port, const void *msg, size_t size)
{
    return deliver(bus_of(port), port, 0, msg, size);
}

static int far_send(struct pl_port *far, const void *msg, size_t size)
{
    return deliver(bus_of_far(far), far, 1, msg, size);
}

static int near_receive(struct pl_port *port, void *buf, size_t cap, int timeout_ms)
{
    (void)timeout_ms;
    return take(bus_of(port), port, 0, buf, cap);
}

static int far_receive(struct pl_port *far, void *buf, size_t cap, int timeout_ms)
{
    (void)timeout_ms;
    return take(bus_of_far(far), far, 1, buf, cap);
}

/* One event of the bus's own, or the whole time: who waits looks at both sides then. */
static void wait_sides(struct pl_port *port, int timeout_ms)
{
    advance(bus_of(port), port->now_ms + (timeout_ms > 0 ? (uint64_t)timeout_ms : 0));
}

static int bus_control(struct pl_port *port, const char *line, char *answer, size_t cap,
                       int timeout_ms)
{
    struct bus_port *x = bus_of(port);
    (void)timeout_ms;
    if (!x->self)
        return pl_port_fail(port, -EPIPE, "the bus is not started");
    int r = x->ops->control(x->self, line, answer, cap);
    return r >= 0 ? 0 : pl_port_fail(port, r, "control '%s': %s", line, strerror(-r));
}

static void bus_close(struct pl_port *port)
{
    bus_stop(port, NULL);
    free(port);
}

static int far_start(struct pl_port *far, const struct pl_bus_params *bus)
{
    (void)bus;
    return pl_port_fail(far, -ENOTSUP, "the device side starts with the driver side");
}

static int far_stop(struct pl_port *far, struct pl_end *end)
{
    (void)far;
    if (end)
        *end = (struct pl_end){.how = PL_END_EXITED};
    return 0;
}

static int far_control(struct pl_port *far, const char *line, char *answer, size_t cap,
                       int timeout_ms)
{
    (void)line, (void)answer, (void)cap, (void)timeout_ms;
    return pl_port_fail(far, -ENOTSUP, "control belongs to the driver side");
}

static void far_close(struct pl_port *far)
{
    (void)far; /* freed with the driver side */
}

static const struct pl_port_ops near_ops = {bus_start,   near_send, near_receive,
                                            bus_control, bus_stop,  bus_close};
static const struct pl_port_ops far_ops = {far_start,   far_send, far_receive,
                                           far_control, far_stop, far_close};

struct pl_port *pl_port_inprocess_bus(const struct pl_spec *spec,
                                      const struct pl_bus_endpoint_ops *ops, const void *config,
                                      const char *name)
{
    struct bus_port *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->ops = ops;
    x->config = config;
    x->port = (struct pl_port){.ops = &near_ops,
                               .spec = spec,
                               .restartable = true,
                               .virtual_time = true,
                               .has_control = true};
    snprintf(x->port.name, sizeof x->port.name, "%s", name);
    x->far = x->port;
    x->far.ops = &far_ops;
    x->far.has_control = x->far.restartable = false;
    snprintf(x->far.name, sizeof x->far.name, "%.200s (device side)", name);
    x->port.device_side = &x->far;
    x->port.wait_sides = wait_sides;
    return &x->port;
}
