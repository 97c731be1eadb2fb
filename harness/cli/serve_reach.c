/* How `plumbline serve` is reached: sockets and shared memory, connecting, listening, inherited. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cli/apart.h"
#include "cli/cli.h"
#include "cli/serve.h"
#include "port/spsc.h"

void pl_serve_place(const struct pl_serve_request *request, struct pl_serve_place *out)
{
    *out = (struct pl_serve_place){request->connect, request->listen, false};
    if (!out->connect && !out->listen && !getenv("PLUMBLINE_FD"))
        out->connect = getenv("PLUMBLINE_SPSC");
    const char *address = out->connect ? out->connect : out->listen;
    out->spsc = address && pl_is_spsc(address);
}

/* Serve one open channel with a fresh peer. */
static int serve_channel(struct pl_serve_request *request, const struct pl_chan *chan, int ctl_fd)
{
    char error[512];
    struct pl_serve serve = {.spec = request->spec,
                             .ops = request->driver ? &pl_driver_endpoint : &pl_device_endpoint,
                             .by_messages = request->by_messages,
                             .chan = *chan,
                             .ctl_fd = ctl_fd,
                             .clock_fd = request->clock_fd,
                             .max_msg_size = request->env.max_msg_size};
    serve.self = request->driver ? serve.ops->open(&request->driver_config, &request->env)
                                 : serve.ops->open(&request->config, &request->env);
    if (!serve.self) {
        pl_chan_close(&serve.chan);
        return pl_cli_error(PL_EXIT_INTERNAL, "no memory for the reference peer");
    }
    int err = pl_serve_run(&serve, error, sizeof(error));
    serve.ops->close(serve.self);
    return err ? pl_cli_error(PL_EXIT_UNREACHABLE, "serve: %s", error) : 0;
}

static int serve_socket(struct pl_serve_request *request, int fd, int ctl_fd)
{
    struct pl_chan chan;
    if (pl_chan_init(&chan, fd) < 0)
        return pl_cli_error(PL_EXIT_UNREACHABLE, "serve: %s", chan.error);
    return serve_channel(request, &chan, ctl_fd);
}

static int address_error(const char *option, int err, const char *error)
{
    return pl_cli_error(err == -EINVAL ? PL_EXIT_USAGE : PL_EXIT_UNREACHABLE, "%s: %s", option,
                        error);
}

static int serve_listening(struct pl_serve_request *request, const char *text)
{
    char error[512], address[256];
    int listener = pl_address_listen(text, error, sizeof(error));
    if (listener < 0)
        return address_error("--listen", listener, error);
    pl_address_local(listener, text, address, sizeof(address));
    fprintf(stderr, "plumbline: listening on %s\n", address);
    for (;;) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            serve_socket(request, fd, -1); /* a broken connection was told; on to the next */
        else if (errno != EINTR && errno != ECONNABORTED)
            break;
    }
    int err = errno;
    close(listener);
    return pl_cli_error(PL_EXIT_UNREACHABLE, "--listen: %s: %s", address, strerror(err));
}

/* Shared memory that is open: who meets there. */
struct meeting {
    struct pl_serve_request *request;
    struct pl_spsc_host *host;
    const char *option;
    bool listens;
    int ctl_fd;
};

/* One connection where it was there already, else one after the other. */
static int serve_meetings(void *opaque)
{
    const struct meeting *m = opaque;
    char error[512];
    int err, status = 0;
    do {
        struct pl_chan chan;
        err = pl_spsc_meet(m->host, m->listens ? -1 : 5000, &chan, error, sizeof(error));
        status = err < 0 ? address_error(m->option, err, error)
                         : serve_channel(m->request, &chan, m->ctl_fd);
    } while (m->listens && err == 0);
    return status;
}

static int serve_spsc(struct pl_serve_request *request, const struct pl_serve_place *place,
                      int ctl_fd)
{
    char error[512];
    const char *text = place->listen ? place->listen : place->connect;
    const char *option = place->listen      ? "--listen"
                         : request->connect ? "--connect"
                                            : "PLUMBLINE_SPSC";
    int err, status = 0;
    struct pl_cli_held held;
    pl_cli_hold(&held); /* whoever makes the files removes them, whatever ends it */
    struct pl_spsc_host *host =
        pl_spsc_open(text, request->driver ? PL_SPSC_DRIVER : PL_SPSC_DEVICE, place->listen != NULL,
                     &err, error, sizeof(error));
    struct meeting meeting = {request, host, option, place->listen != NULL, ctl_fd};
    if (host && place->listen) {
        fprintf(stderr, "plumbline: listening on %s\n", text);
        status = pl_cli_apart(&held, serve_meetings, &meeting);
    }
    if (host && !place->listen) {
        pl_cli_release(&held);
        status = serve_meetings(&meeting);
    }
    pl_spsc_close(host);
    pl_cli_release(&held);
    if (!host)
        return address_error(option, err, error);
    if (status > 128)
        raise(status - 128);
    return status < 0 ? pl_cli_error(PL_EXIT_INTERNAL, "serve: %s", strerror(-status)) : status;
}

/* False where the variable is set and names no descriptor. */
static bool env_descriptor(const char *name, uint64_t *fd)
{
    return pl_serve_env_number(name, fd) && (*fd == UINT64_MAX || *fd <= INT32_MAX);
}

int pl_serve_at(struct pl_serve_request *request, const struct pl_serve_place *place)
{
    char error[512];
    uint64_t fd = UINT64_MAX, ctl = UINT64_MAX, clock = UINT64_MAX;
    bool inherited = !request->connect && !request->listen;
    if (inherited &&
        (!env_descriptor("PLUMBLINE_FD", &fd) || !env_descriptor("PLUMBLINE_CTL_FD", &ctl) ||
         !env_descriptor("PLUMBLINE_CLOCK_FD", &clock)))
        return pl_cli_error(PL_EXIT_USAGE, "PLUMBLINE_FD, PLUMBLINE_CTL_FD and "
                                           "PLUMBLINE_CLOCK_FD must be file descriptors");
    request->clock_fd = request->driver && clock != UINT64_MAX ? (int)clock : -1;
    int ctl_fd = ctl == UINT64_MAX ? -1 : (int)ctl;
    if (place->spsc)
        return serve_spsc(request, place, ctl_fd);
    if (place->listen)
        return serve_listening(request, place->listen);
    if (inherited && fd == UINT64_MAX)
        return pl_cli_error(PL_EXIT_USAGE, "serve: there is neither --connect nor --listen, and "
                                           "PLUMBLINE_FD is not set");
    if (inherited)
        return serve_socket(request, (int)fd, ctl_fd);
    int connected = pl_address_connect(place->connect, error, sizeof(error));
    return connected < 0 ? address_error("--connect", connected, error)
                         : serve_socket(request, connected, -1);
}
