/* The in-process port: an endpoint linked in, reached by function calls and in virtual time. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "port/private.h"

/* An endpoint whose own events never end must not hold a receive for ever. */
#define EVENTS_MAX 100000

struct inprocess_port {
    struct pl_port port; /* first */
    const struct pl_endpoint_ops *endpoint;
    const void *config;
    void *self; /* NULL: not started */
    bool used;  /* the memory is no longer fresh */
};

static struct inprocess_port *inprocess_of(struct pl_port *port)
{
    return (struct inprocess_port *)port;
}

static int inprocess_stop(struct pl_port *port, struct pl_end *end)
{
    struct inprocess_port *x = inprocess_of(port);
    if (x->self)
        x->endpoint->close(x->self);
    x->self = NULL;
    if (end)
        *end = (struct pl_end){.how = PL_END_EXITED};
    return 0;
}

static int inprocess_start(struct pl_port *port, const struct pl_bus_params *bus)
{
    struct inprocess_port *x = inprocess_of(port);
    inprocess_stop(port, NULL);
    int r = pl_port_adopt(port, bus);
    if (r < 0)
        return r;
    /* Fresh pages are zero, and cheaper than clearing what was never touched. */
    if (x->used && port->mem && madvise(port->mem, port->mem_size, MADV_DONTNEED) != 0)
        memset(port->mem, 0, port->mem_size);
    x->used = true;
    port->now_ms = 0;
    struct pl_endpoint_env env = pl_port_env(port, bus);
    x->self = x->endpoint->open(x->config, &env);
    return x->self ? 0 : pl_port_fail(port, -ENOMEM, "the endpoint could not be opened");
}

static int inprocess_send(struct pl_port *port, const void *msg, size_t size)
{
    struct inprocess_port *x = inprocess_of(port);
    if (!x->self)
        return pl_port_fail(port, -EPIPE, "the endpoint is not started");
    int r = x->endpoint->deliver(x->self, msg, size);
    return r >= 0 ? 0 : pl_port_fail(port, r, "the endpoint took no message: %s", strerror(-r));
}

/* Ask the endpoint for a message and hold the answer against what it may be. */
static int inprocess_poll(struct inprocess_port *x, void *buf, size_t cap)
{
    int r = x->endpoint->poll(x->self, buf, cap);
    if (r == -ESHUTDOWN)
        return pl_port_fail(&x->port, -EPIPE, "the endpoint ended");
    if (r < 0)
        return pl_port_fail(&x->port, r, "the endpoint gave no message: %s", strerror(-r));
    if ((size_t)r > cap)
        return pl_port_fail(&x->port, -EPROTO, "the endpoint gave a message of %d bytes", r);
    return r;
}

/* Move the clock to the endpoint's next event or to `until`; false: it was there already. */
static bool inprocess_advance(struct inprocess_port *x, uint64_t until)
{
    uint64_t now = x->port.now_ms;
    uint64_t next = x->endpoint->next_ms ? x->endpoint->next_ms(x->self) : UINT64_MAX;
    if (now == until && next > until)
        return false;
    x->port.now_ms = next < now ? now : next < until ? next : until;
    if (x->endpoint->advance)
        x->endpoint->advance(x->self, x->port.now_ms);
    return true;
}

static int inprocess_receive(struct pl_port *port, void *buf, size_t cap, int timeout_ms)
{
    struct inprocess_port *x = inprocess_of(port);
    if (!x->self)
        return pl_port_fail(port, -EPIPE, "the endpoint is not started");
    uint64_t until = port->now_ms + (timeout_ms > 0 ? (uint64_t)timeout_ms : 0);
    int r = inprocess_poll(x, buf, cap);
    for (int i = 0; r == 0 && timeout_ms > 0 && i < EVENTS_MAX; i++) {
        if (!inprocess_advance(x, until))
            return 0;
        r = inprocess_poll(x, buf, cap);
    }
    return r;
}

/* Both ends go on, in turns, until the endpoint answers or virtual time is up. */
static int inprocess_answer(struct inprocess_port *x, const char *line, char *answer, size_t cap,
                            int timeout_ms)
{
    struct pl_port *port = &x->port;
    uint64_t until = port->now_ms + (timeout_ms > 0 ? (uint64_t)timeout_ms : 0);
    for (int i = 0; i < EVENTS_MAX; i++) {
        int wish = port->meanwhile ? port->meanwhile(port->meanwhile_opaque) : -1;
        if (!x->self)
            return -EPIPE;
        if (x->endpoint->answer(x->self, answer, cap))
            return 0;
        uint64_t next = wish >= 0 && port->now_ms + (uint64_t)wish < until
                            ? port->now_ms + (uint64_t)wish
                            : until;
        if (wish == PL_MEANWHILE_STOP || (!inprocess_advance(x, next) && next == until))
            break;
    }
    snprintf(port->error, sizeof port->error, "control '%.60s' was not answered in time", line);
    return -ETIMEDOUT;
}

static int inprocess_control(struct pl_port *port, const char *line, char *answer, size_t cap,
                             int timeout_ms)
{
    struct inprocess_port *x = inprocess_of(port);
    if (!x->endpoint->control)
        return pl_port_fail(port, -ENOTSUP, "the endpoint has no control");
    if (!x->self)
        return pl_port_fail(port, -EPIPE, "the endpoint is not started");
    int r = x->endpoint->control(x->self, line, answer, cap);
    if (r == 1 && x->endpoint->answer)
        r = inprocess_answer(x, line, answer, cap, timeout_ms);
    return r >= 0 ? 0 : pl_port_fail(port, r, "control '%s': %s", line, strerror(-r));
}

static void inprocess_close(struct pl_port *port)
{
    struct inprocess_port *x = inprocess_of(port);
    inprocess_stop(port, NULL);
    if (port->mem)
        munmap(port->mem, port->mem_size);
    free(x);
}

static const struct pl_port_ops inprocess_ops = {inprocess_start,   inprocess_send,
                                                 inprocess_receive, inprocess_control,
                                                 inprocess_stop,    inprocess_close};

struct pl_port *pl_port_inprocess(const struct pl_spec *spec, const struct pl_endpoint_ops *ops,
                                  const void *config, const char *name, size_t mem_size)
{
    struct inprocess_port *x = calloc(1, sizeof *x);
    if (!x)
        return NULL;
    x->endpoint = ops;
    x->config = config;
    x->port = (struct pl_port){.ops = &inprocess_ops, .spec = spec, .restartable = true};
    x->port.virtual_time = true;
    x->port.has_control = ops->control != NULL;
    snprintf(x->port.name, sizeof x->port.name, "%s", name);
    if (mem_size == 0)
        return &x->port;
    void *mem = mmap(NULL, mem_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (mem == MAP_FAILED) {
        free(x);
        return NULL;
    }
    x->port.mem = mem;
    x->port.mem_size = mem_size;
    x->port.mem_base = PL_PORT_MEM_BASE;
    return &x->port;
}
