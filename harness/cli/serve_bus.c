/* `plumbline serve bus`: the reference bus on two connections, and the loop between them. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/serve.h"

enum { BATCH = 256, LINE_MAX_BYTES = 1024, SLEEP_MAX_MS = 1000 };

struct bus_loop {
    const struct pl_serve_request *request;
    void *self;
    struct pl_chan chan[2];
    int ctl_fd;
    uint64_t start_ms;
    char line[LINE_MAX_BYTES];
    size_t fill;
    uint8_t bytes[PL_MSG_MAX + 1];
};

static uint64_t clock_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t tick(struct bus_loop *loop)
{
    uint64_t now = clock_ms() - loop->start_ms;
    pl_bus_endpoint.advance(loop->self, now);
    return now;
}

/* Send what is ready: the device side first, so that nothing is said before it is done. */
static int flush(struct bus_loop *loop)
{
    for (int side = 1; side >= 0; side--) {
        int size;
        while ((size = pl_bus_endpoint.poll(loop->self, (unsigned)side, loop->bytes,
                                            sizeof(loop->bytes))) > 0) {
            int err = pl_chan_send(&loop->chan[side], loop->bytes, (size_t)size, -1);
            if (err < 0)
                return err;
        }
    }
    return 0;
}

/* What is there on one side, a batch at most. 0 or a negative errno. */
static int drain(struct bus_loop *loop, unsigned side)
{
    for (int i = 0; i < BATCH; i++) {
        int size = pl_chan_receive(&loop->chan[side], loop->request->spec, loop->bytes,
                                   sizeof(loop->bytes), 0, 0);
        if (size == -EPROTO && !loop->chan[side].stream)
            continue; /* a packet that is no message at all: dropped */
        if (size <= 0)
            return size;
        tick(loop);
        pl_bus_endpoint.deliver(loop->self, side, loop->bytes, (size_t)size);
        int err = flush(loop);
        if (err < 0)
            return err;
    }
    return 0;
}

static int answer_line(struct bus_loop *loop)
{
    char answer[256];
    tick(loop);
    pl_bus_endpoint.control(loop->self, loop->line, answer, sizeof(answer) - 1);
    int err = flush(loop);
    if (err < 0)
        return err;
    strcat(answer, "\n");
    if (send(loop->ctl_fd, answer, strlen(answer), MSG_NOSIGNAL) < 0)
        return 0; /* nobody listens to control any more */
    return 0;
}

static int read_control(struct bus_loop *loop)
{
    char bytes[LINE_MAX_BYTES];
    ssize_t n = read(loop->ctl_fd, bytes, sizeof(bytes));
    if (n <= 0) {
        close(loop->ctl_fd);
        loop->ctl_fd = -1;
    }
    for (ssize_t i = 0; i < n; i++) {
        if (bytes[i] != '\n') {
            if (loop->fill + 1 < sizeof(loop->line))
                loop->line[loop->fill++] = bytes[i];
            continue;
        }
        loop->line[loop->fill] = '\0';
        loop->fill = 0;
        int err = answer_line(loop);
        if (err < 0)
            return err;
    }
    return 0;
}

/* Sleep until a message or a control line comes or the bus's own time has come. */
static int wait_for_work(struct bus_loop *loop)
{
    struct pollfd fds[3] = {{.fd = loop->chan[0].fd, .events = POLLIN},
                            {.fd = loop->chan[1].fd, .events = POLLIN},
                            {.fd = loop->ctl_fd, .events = POLLIN}};
    uint64_t now = tick(loop), next = pl_bus_endpoint.next_ms(loop->self);
    int timeout = next == UINT64_MAX          ? -1
                  : next <= now               ? 0
                  : next - now < SLEEP_MAX_MS ? (int)(next - now)
                                              : SLEEP_MAX_MS;
    if (poll(fds, 3, timeout) < 0 && errno != EINTR)
        return -errno;
    tick(loop);
    int err = flush(loop);
    return err < 0 ? err : loop->ctl_fd >= 0 && fds[2].revents ? read_control(loop) : 0;
}

static int run(struct bus_loop *loop)
{
    int err = flush(loop);
    while (err >= 0) {
        err = drain(loop, 1);
        err = err < 0 ? err : drain(loop, 0);
        err = err < 0 ? err : wait_for_work(loop);
    }
    return err;
}

/* Serve two connected sockets, which are taken, to the end of either. */
static int serve_pair(struct pl_serve_request *request, int near, int far, int ctl_fd)
{
    int err, status = 0;
    struct bus_loop *loop = calloc(1, sizeof(*loop));
    if (!loop)
        return pl_cli_error(PL_EXIT_INTERNAL, "no memory for the reference bus");
    loop->request = request;
    loop->ctl_fd = ctl_fd;
    loop->start_ms = clock_ms();
    err = pl_chan_init(&loop->chan[0], near);
    if (err == 0)
        err = pl_chan_init(&loop->chan[1], far);
    else
        close(far);
    if (err == 0 && !(loop->self = pl_bus_endpoint.open(&request->bus_config, &request->env)))
        err = -ENOMEM;
    if (err == 0)
        err = run(loop);
    if (err < 0 && err != -EPIPE)
        status = pl_cli_error(
            PL_EXIT_UNREACHABLE, "serve: %s%s%s", loop->chan[0].error, loop->chan[1].error,
            loop->chan[0].error[0] || loop->chan[1].error[0] ? "" : strerror(-err));
    pl_bus_endpoint.close(loop->self);
    pl_chan_close(&loop->chan[0]);
    pl_chan_close(&loop->chan[1]);
    free(loop);
    return status;
}

static int address_error(const char *option, int err, const char *error)
{
    return pl_cli_error(err == -EINVAL ? PL_EXIT_USAGE : PL_EXIT_UNREACHABLE, "%s: %s", option,
                        error);
}

static int serve_listening(struct pl_serve_request *request)
{
    char error[512], address[2][256];
    const char *texts[2] = {request->listen, request->device_side};
    int listener[2], fd[2] = {-1, -1};
    for (int i = 0; i < 2; i++) {
        listener[i] = pl_address_listen(texts[i], error, sizeof(error));
        if (listener[i] < 0)
            return address_error(i ? "--device-side" : "--listen", listener[i], error);
        pl_address_local(listener[i], texts[i], address[i], sizeof(address[i]));
    }
    fprintf(stderr, "plumbline: listening on %s and %s\n", address[0], address[1]);
    for (;;) {
        for (int i = 0; i < 2; i++) {
            fd[i] = accept4(listener[i], NULL, NULL, SOCK_CLOEXEC);
            if (fd[i] < 0 && errno != EINTR && errno != ECONNABORTED)
                return pl_cli_error(PL_EXIT_UNREACHABLE, "--listen: %s: %s", address[i],
                                    strerror(errno));
            i -= fd[i] < 0;
        }
        serve_pair(request, fd[0], fd[1], -1);
    }
}

static int serve_connecting(struct pl_serve_request *request)
{
    char error[512];
    int near = pl_address_connect(request->connect, error, sizeof(error));
    if (near < 0)
        return address_error("--connect", near, error);
    int far = pl_address_connect(request->device_side, error, sizeof(error));
    if (far < 0) {
        close(near);
        return address_error("--device-side", far, error);
    }
    return serve_pair(request, near, far, -1);
}

int pl_serve_bus(struct pl_serve_request *request)
{
    uint64_t near = UINT64_MAX, far = UINT64_MAX, ctl = UINT64_MAX;
    if ((request->connect || request->listen) && !request->device_side)
        return pl_cli_error(PL_EXIT_USAGE, "serve: a bus has two sides: --device-side is missing");
    if (request->listen)
        return serve_listening(request);
    if (request->connect)
        return serve_connecting(request);
    if (!pl_serve_env_number("PLUMBLINE_FD", &near) ||
        !pl_serve_env_number("PLUMBLINE_DEVICE_FD", &far) ||
        !pl_serve_env_number("PLUMBLINE_CTL_FD", &ctl) || near > INT32_MAX || far > INT32_MAX ||
        (ctl != UINT64_MAX && ctl > INT32_MAX))
        return pl_cli_error(PL_EXIT_USAGE, "serve: there is neither --connect nor --listen, and "
                                           "PLUMBLINE_FD and PLUMBLINE_DEVICE_FD are not both "
                                           "file descriptors");
    return serve_pair(request, (int)near, (int)far, ctl == UINT64_MAX ? -1 : (int)ctl);
}
