/* The vhost-user gateway as a port: opening, starting, sending, receiving, stopping. */
#include "port/vhost_user.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "port/vhost_user_gateway.h"

enum { DEFAULT_TIMEOUT_MS = 5000, RETRY_MS = 5 };

int pl_gw_fail(struct pl_gateway *gw, int code)
{
    gw->peer_gone |= code == -EPIPE;
    gw->peer_stuck |= code == -ETIMEDOUT;
    if (code == -ENOBUFS)
        return pl_port_fail(&gw->port, code, "too many answers wait to be received");
    return pl_port_fail(&gw->port, code, "%s", gw->dev.chan.error);
}

static void let_go(struct pl_gateway *gw)
{
    pl_vu_dev_close(&gw->dev);
    pl_pending_free(&gw->out);
    gw->running = false;
}

/* Forget what an earlier connection left behind. */
static void begin_anew(struct pl_gateway *gw, const struct pl_bus_params *bus)
{
    let_go(gw);
    gw->bus = *bus;
    gw->peer_gone = gw->peer_stuck = false;
    gw->port.outlawed = false;
    gw->broken = 0;
    gw->selected = gw->settled = 0;
    gw->generation = 0;
    gw->next_ring = 0;
    memset(gw->config, 0, sizeof(gw->config));
    pl_gw_forget_queues(gw);
    pl_memory_clear(&gw->port, gw->memory_fd);
}

int pl_gw_connect(struct pl_gateway *gw)
{
    struct pl_vu_share share = {gw->memory_fd, gw->port.mem_base, gw->port.mem_size};
    int code = pl_vu_dev_open(&gw->dev, gw->path, &share, gw->default_queues);

    gw->status = 0;
    if (code >= 0 && (gw->dev.protocol & PL_VU_PF_STATUS)) {
        /* The back-end may have served another front-end before. */
        code = pl_vu_dev_set_status(&gw->dev, 0);
        if (code >= 0)
            code = pl_vu_dev_status(&gw->dev, &gw->status);
    }
    return code < 0 ? code : pl_gw_refresh_config(gw);
}

/* A back-end that was just started has no socket yet, and then nobody who listens at it. */
static int connect_to_started(struct pl_gateway *gw)
{
    int64_t deadline = pl_clock_ms() + gw->dev.chan.timeout_ms;
    int code = pl_gw_connect(gw);

    while ((code == -ENOENT || code == -ECONNREFUSED) && gw->exec.command &&
           pl_clock_ms() < deadline && !pl_child_wait(&gw->exec.child, pl_clock_ms() + RETRY_MS))
        code = pl_gw_connect(gw);
    return code;
}

static int gateway_start(struct pl_port *port, const struct pl_bus_params *bus)
{
    struct pl_gateway *gw = (struct pl_gateway *)port;

    int code = pl_port_adopt(port, bus);
    if (code < 0)
        return code;
    begin_anew(gw, bus);
    code = pl_vu_exec_start(&gw->exec, false);
    if (code < 0)
        return pl_port_fail(port, code, "cannot start the command: %s", strerror(-code));
    code = connect_to_started(gw);
    if (code < 0) {
        pl_gw_fail(gw, code);
        pl_vu_dev_close(&gw->dev);
        pl_vu_exec_tell(&gw->exec, port);
        return code == -EREMOTEIO ? -EPROTO : code;
    }
    gw->running = true;
    port->observable = gw->dev.protocol & PL_VU_PF_STATUS ? pl_vu_observable_with_status
                                                          : pl_vu_observable_without_status;
    return 0;
}

/* The sentence of an earlier error stands; without one the port was never started. */
static int not_running(struct pl_gateway *gw)
{
    return gw->running ? -EPIPE : pl_port_fail(&gw->port, -EPIPE, "not connected");
}

static int gateway_send(struct pl_port *port, const void *msg, size_t size)
{
    struct pl_gateway *gw = (struct pl_gateway *)port;

    if (!gw->running || gw->dev.chan.fd < 0)
        return not_running(gw);
    return pl_gw_take(gw, msg, size);
}

/* Say that the status shows DEVICE_NEEDS_RESET now. */
static int put_needs_reset(struct pl_gateway *gw)
{
    struct pl_msg event = {.kind = PL_EVENT_CONFIG, .event = true};

    event.def = pl_spec_message(gw->port.spec, PL_EVENT_CONFIG);
    event.f[PL_F_device_status] = gw->status;
    event.f[PL_F_generation] = gw->generation;
    return pl_gw_put(gw, &event);
}

/* Without a status of the back-end's own, an error on a ring is the gateway's to report. */
static int report_ring_error(struct pl_gateway *gw)
{
    if (gw->dev.protocol & PL_VU_PF_STATUS)
        return 0;
    gw->status |= (uint32_t)PL_C_STATUS_DEVICE_NEEDS_RESET;
    return put_needs_reset(gw);
}

int pl_gw_recover(struct pl_gateway *gw, int code)
{
    uint32_t status = gw->status;
    bool ran = (status & PL_C_STATUS_DRIVER_OK) != 0;

    if (code != -EPIPE || !gw->port.outlawed)
        return code;
    pl_vu_dev_close(&gw->dev);
    code = pl_gw_connect(gw);
    if (code >= 0 && !ran && (status & PL_C_STATUS_FEATURES_OK))
        code = pl_vu_dev_select(&gw->dev, gw->settled);
    if (code < 0)
        return code;
    gw->port.reconnected++;
    gw->status = status;
    if (!ran)
        return 0;
    gw->broken = gw->status |= (uint32_t)PL_C_STATUS_DEVICE_NEEDS_RESET;
    gw->port.observable = pl_vu_observable_without_status; /* this one is the gateway's own */
    return put_needs_reset(gw);
}

/* Turn signals of the rings into events for the harness. */
static int collect_signals(struct pl_gateway *gw)
{
    uint32_t n = gw->dev.n_queues, first = gw->next_ring;

    for (uint32_t i = 0; i < n; i++) {
        uint32_t index = (first + i) % n;
        struct pl_vu_ring *ring = &gw->dev.rings[index];
        int code = 0;

        if (pl_vu_take_signal(ring->err))
            code = report_ring_error(gw);
        if (code >= 0 && pl_vu_take_signal(ring->call)) {
            struct pl_msg event = {.kind = PL_EVENT_USED, .event = true};
            event.def = pl_spec_message(gw->port.spec, PL_EVENT_USED);
            event.f[PL_F_vq_index] = index;
            code = pl_gw_put(gw, &event);
            gw->next_ring = (index + 1) % n;
        }
        if (code < 0)
            return pl_gw_fail(gw, code);
    }
    return 0;
}

/* Wait until a ring signals or the connection stirs. */
static void wait_for_signal(struct pl_gateway *gw, int timeout_ms)
{
    struct pollfd entries[1 + 2 * PL_VU_QUEUES_MAX];
    nfds_t n = 0;

    entries[n++] = (struct pollfd){.fd = gw->dev.chan.fd, .events = POLLIN};
    for (uint32_t i = 0; i < gw->dev.n_queues; i++) {
        if (!gw->dev.rings[i].started)
            continue;
        entries[n++] = (struct pollfd){.fd = gw->dev.rings[i].call, .events = POLLIN};
        entries[n++] = (struct pollfd){.fd = gw->dev.rings[i].err, .events = POLLIN};
    }
    poll(entries, n, timeout_ms);
}

static int gateway_receive(struct pl_port *port, void *buf, size_t cap, int timeout_ms)
{
    struct pl_gateway *gw = (struct pl_gateway *)port;
    int64_t deadline = pl_clock_ms() + timeout_ms;

    pl_child_drain(&gw->exec.child); /* lest it waits until its words are read */
    for (;;) {
        size_t size = pl_pending_take(&gw->out, buf, cap);
        if (size > 0)
            return (int)size;
        if (!gw->running || gw->dev.chan.fd < 0)
            return not_running(gw);
        int code = collect_signals(gw);
        if (code < 0)
            return code;
        if (gw->out.head != gw->out.tail)
            continue;
        code = pl_vu_check_idle(&gw->dev.chan);
        if (code < 0)
            code = pl_gw_recover(gw, code);
        if (code < 0)
            return pl_gw_fail(gw, code);
        int64_t left = deadline - pl_clock_ms();
        if (left <= 0)
            return 0;
        wait_for_signal(gw, (int)left);
    }
}

static int gateway_control(struct pl_port *port, const char *line, char *answer, size_t cap,
                           int timeout_ms)
{
    (void)line, (void)answer, (void)cap, (void)timeout_ms;
    return pl_port_fail(port, -ENOTSUP, "a vhost-user back-end has no control socket");
}

static int gateway_stop(struct pl_port *port, struct pl_end *end)
{
    struct pl_gateway *gw = (struct pl_gateway *)port;

    if (gw->running && gw->dev.chan.fd >= 0 && pl_vu_check_idle(&gw->dev.chan) == -EPIPE)
        gw->peer_gone = true;
    bool broken_off = gw->running && gw->dev.chan.fd < 0 && !gw->peer_stuck;
    if (end) {
        memset(end, 0, sizeof(*end));
        end->how = gw->peer_gone ? PL_END_CLOSED : PL_END_RUNNING;
        end->by_itself = gw->peer_gone;
    }
    if (gw->running && gw->dev.chan.fd >= 0)
        pl_vu_dev_reset(&gw->dev); /* leave the device at rest for the next front-end */
    if (broken_off && end && gw->exec.command && !pl_vu_exec_ended(&gw->exec)) {
        /* One that takes another connection lives, and is not waited for. */
        pl_vu_dev_close(&gw->dev);
        broken_off = pl_gw_connect(gw) < 0;
        pl_vu_dev_close(&gw->dev);
    }
    bool closed = gw->peer_gone;
    let_go(gw);
    pl_vu_exec_stop(&gw->exec, broken_off, end);
    if (end && gw->exec.command && closed && end->how == PL_END_RUNNING) {
        end->how = PL_END_CLOSED;
        end->by_itself = true;
    }
    return 0;
}

static void gateway_close(struct pl_port *port)
{
    struct pl_gateway *gw = (struct pl_gateway *)port;

    gateway_stop(port, NULL);
    pl_memory_free(port, gw->memory_fd);
    pl_vu_exec_close(&gw->exec);
    free(gw);
}

static const struct pl_port_ops gateway_ops = {
    .start = gateway_start,
    .send = gateway_send,
    .receive = gateway_receive,
    .control = gateway_control,
    .stop = gateway_stop,
    .close = gateway_close,
};

static bool read_number(const char *text, uint32_t max, uint32_t *out)
{
    char *end;

    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno || value == 0 || value > max)
        return false;
    *out = (uint32_t)value;
    return true;
}

static bool read_type(const char *text, const struct pl_vu_device_type **out)
{
    for (size_t i = 0; i < sizeof(pl_vu_device_types) / sizeof(pl_vu_device_types[0]); i++) {
        if (strcmp(pl_vu_device_types[i].name, text) == 0) {
            *out = &pl_vu_device_types[i];
            return true;
        }
    }
    return false;
}

/* One ",key=value" of the address. */
static bool read_option(struct pl_gateway *gw, const char *key, const char *value)
{
    if (strcmp(key, "type") == 0)
        return read_type(value, &gw->dev.type);
    if (strcmp(key, "queues") == 0)
        return read_number(value, PL_VU_QUEUES_MAX, &gw->default_queues);
    if (strcmp(key, "reset") == 0)
        return gw->reset_reconnects = strcmp(value, "reconnect") == 0;
    if (strcmp(key, "queue-size") == 0)
        return read_number(value, PL_C_QUEUE_SIZE_MAX, &gw->max_queue_size);
    return false;
}

/* The options of an address or a carrier, `key=value,key=value...`. 0, or -EINVAL with a sentence.
 */
static int read_options(struct pl_gateway *gw, const char *whole, char *rest, char *error,
                        size_t cap)
{
    for (char *value; rest;) {
        char *key = strsep(&rest, ",");
        value = key;
        strsep(&value, "=");
        if (!value || !read_option(gw, key, value)) {
            snprintf(error, cap,
                     "%s: '%s%s%s' is none of type=block, queues=1..%u, queue-size=1..%u, "
                     "reset=reconnect",
                     whole, key, value ? "=" : "", value ? value : "", PL_VU_QUEUES_MAX,
                     (unsigned)PL_C_QUEUE_SIZE_MAX);
            return -EINVAL;
        }
    }
    return 0;
}

/* Take `vhost-user:PATH,key=value...` apart. 0, or -EINVAL with a sentence. */
static int read_address(struct pl_gateway *gw, const char *address, char *error, size_t cap)
{
    static const char prefix[] = "vhost-user:";
    char text[sizeof(gw->port.name)];

    if (strncmp(address, prefix, strlen(prefix)) != 0 || strlen(address) >= sizeof(text)) {
        snprintf(error, cap, "'%.80s' is no address of the form vhost-user:PATH below %zu bytes",
                 address, sizeof(text));
        return -EINVAL;
    }
    snprintf(text, sizeof(text), "%s", address + strlen(prefix));
    char *rest = text, *path = strsep(&rest, ",");
    if (!*path) {
        snprintf(error, cap, "%s: the path of the socket is missing", address);
        return -EINVAL;
    }
    snprintf(gw->path, sizeof(gw->path), "%s", path);
    return read_options(gw, address, rest, error, cap);
}

/* A back-end that the harness starts: the options are the carrier's. */
static int read_exec(struct pl_gateway *gw, const struct pl_port_options *options, char *error,
                     size_t cap)
{
    char text[sizeof(gw->port.name)];
    const char *given = options->carrier_options;

    if (given && strlen(given) >= sizeof(text)) {
        snprintf(error, cap, "carrier: the options are longer than %zu bytes", sizeof(text) - 1);
        return -EINVAL;
    }
    snprintf(text, sizeof(text), "%s", given ? given : "");
    int code = read_options(gw, "carrier: vhost-user", given ? text : NULL, error, cap);
    if (code == 0)
        code = pl_vu_exec_open(&gw->exec, options->exec, error, cap);
    snprintf(gw->path, sizeof(gw->path), "%s", gw->exec.path);
    snprintf(gw->port.name, sizeof(gw->port.name), "exec:%.40s%s", options->exec,
             strlen(options->exec) > 40 ? "..." : ""); /* what it writes tells more */
    return code;
}

struct pl_port *pl_port_vhost_user(const struct pl_port_options *options, char *error, size_t cap)
{
    struct pl_gateway *gw = calloc(1, sizeof(*gw));

    if (!gw) {
        snprintf(error, cap, "out of memory");
        return NULL;
    }
    gw->memory_fd = gw->dev.chan.fd = -1;
    gw->exec.child = (struct pl_child){.pidfd = -1, .err_fd = -1};
    gw->dev.chan.timeout_ms =
        options->accept_timeout_ms > 0 ? options->accept_timeout_ms : DEFAULT_TIMEOUT_MS;
    gw->dev.type = &pl_vu_device_types[0];
    gw->default_queues = 1;
    gw->max_queue_size = PL_VU_QUEUE_SIZE_DEFAULT;
    gw->port.ops = &gateway_ops;
    gw->port.spec = options->spec;
    gw->port.restartable = true;
    gw->port.observable = pl_vu_observable_without_status;
    gw->port.mem_base = options->mem_base ? options->mem_base : PL_PORT_MEM_BASE;
    gw->port.mem_size = options->mem_size ? options->mem_size : PL_PORT_MEM_SIZE;
    snprintf(gw->port.name, sizeof(gw->port.name), "%s", options->connect ? options->connect : "");

    int code = options->exec ? read_exec(gw, options, error, cap)
                             : read_address(gw, gw->port.name, error, cap);
    if (code >= 0) {
        gw->memory_fd = pl_memory_create(&gw->port);
        if (gw->memory_fd >= 0)
            return &gw->port;
        snprintf(error, cap, "%s", gw->port.error);
    }
    gateway_close(&gw->port);
    return NULL;
}
