/* Sends vhost-user requests and reads their answers, trusting nothing that the back-end sends. */
#include "port/vhost_user_chan.h"

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "port/private.h"

/* How many descriptors of one packet are taken in, to be closed; the kernel drops the others. */
enum { STRAY_FDS = 16, CONNECT_RETRY_MS = 10 };

static int fail(struct pl_vu_chan *chan, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Note a fatal error and give the connection up. */
static int fail(struct pl_vu_chan *chan, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(chan->error, sizeof(chan->error), format, args);
    va_end(args);
    pl_vu_disconnect(chan);
    return code;
}

static const struct pl_vu_request_def *definition(uint32_t request)
{
    for (size_t i = 0; i < sizeof(pl_vu_requests) / sizeof(pl_vu_requests[0]); i++)
        if ((uint32_t)pl_vu_requests[i].request == request)
            return &pl_vu_requests[i];
    return NULL;
}

void pl_vu_disconnect(struct pl_vu_chan *chan)
{
    if (chan->fd >= 0)
        close(chan->fd);
    chan->fd = -1;
}

int pl_vu_connect(struct pl_vu_chan *chan, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int64_t deadline = pl_clock_ms() + chan->timeout_ms;
    size_t length = strlen(path);

    if (length >= sizeof(address.sun_path))
        return fail(chan, -ENAMETOOLONG, "the path of the socket is longer than %zu bytes",
                    sizeof(address.sun_path) - 1);
    memcpy(address.sun_path, path, length);
    chan->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (chan->fd < 0)
        return fail(chan, -errno, "no socket: %s", strerror(errno));
    /* EAGAIN is a full queue of a listener; nothing to poll for exists then. */
    while (connect(chan->fd, (const struct sockaddr *)&address, sizeof(address)) < 0) {
        int code = errno;
        if (code == EINTR)
            continue;
        if (code != EAGAIN)
            return fail(chan, -code, "cannot connect: %s", strerror(code));
        if (pl_clock_ms() >= deadline)
            return fail(chan, -ETIMEDOUT, "the back-end accepts no connection within %d ms",
                        chan->timeout_ms);
        poll(NULL, 0, CONNECT_RETRY_MS);
    }
    return 0;
}

/* Wait until the socket can be read or written. 0, or -ETIMEDOUT and the connection is closed. */
static int wait_for(struct pl_vu_chan *chan, short events, int64_t deadline, const char *what)
{
    for (;;) {
        struct pollfd entry = {.fd = chan->fd, .events = events};
        int64_t left = deadline - pl_clock_ms();
        int ready = poll(&entry, 1, left > 0 ? (int)left : 0);

        if (ready > 0)
            return 0;
        if (ready < 0 && errno == EINTR)
            continue;
        if (ready < 0)
            return fail(chan, -errno, "poll failed: %s", strerror(errno));
        return fail(chan, -ETIMEDOUT, "the back-end did not %s %s within %d ms",
                    events & POLLIN ? "answer" : "take", what, chan->timeout_ms);
    }
}

/* Attach `fd` to a message; `control` holds the ancillary data meanwhile. */
static void attach(struct msghdr *msg, void *control, size_t size, int fd)
{
    memset(control, 0, size);
    msg->msg_control = control;
    msg->msg_controllen = size;
    struct cmsghdr *header = CMSG_FIRSTHDR(msg);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(header), &fd, sizeof(int));
}

static int send_all(struct pl_vu_chan *chan, const uint8_t *bytes, size_t size, int fd,
                    int64_t deadline, const char *what)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
    size_t done = 0;

    while (done < size) {
        struct iovec piece = {.iov_base = (void *)(uintptr_t)(bytes + done),
                              .iov_len = size - done};
        struct msghdr msg = {.msg_iov = &piece, .msg_iovlen = 1};

        if (done == 0 && fd >= 0) /* a descriptor goes with the first byte, once */
            attach(&msg, control, sizeof(control), fd);
        ssize_t sent = sendmsg(chan->fd, &msg, MSG_NOSIGNAL);
        if (sent > 0) {
            done += (size_t)sent;
            continue;
        }
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN)
            return fail(chan, -EPIPE, "the back-end was gone when %s was sent: %s", what,
                        strerror(errno));
        int code = wait_for(chan, POLLOUT, deadline, what);
        if (code < 0)
            return code;
    }
    return 0;
}

/* Close every descriptor that came along; says whether there were any. */
static bool close_strays(struct msghdr *msg)
{
    bool any = (msg->msg_flags & MSG_CTRUNC) != 0;

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            close(fd);
            any = true;
        }
    }
    return any;
}

static int receive_all(struct pl_vu_chan *chan, void *out, size_t size, int64_t deadline,
                       const char *what)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(STRAY_FDS * sizeof(int))];
    size_t done = 0;

    while (done < size) {
        int code = wait_for(chan, POLLIN, deadline, what);
        if (code < 0)
            return code;
        struct iovec piece = {.iov_base = (uint8_t *)out + done, .iov_len = size - done};
        struct msghdr msg = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
        ssize_t got = recvmsg(chan->fd, &msg, MSG_CMSG_CLOEXEC);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return fail(chan, -EPIPE, "the back-end was gone when the answer to %s was due: %s",
                        what, strerror(errno));
        if (close_strays(&msg))
            return fail(chan, -EPROTO, "the back-end sent a descriptor with its answer to %s",
                        what);
        if (got == 0)
            return fail(chan, -EPIPE, "the back-end closed the connection %s %s",
                        done ? "within its answer to" : "instead of answering", what);
        done += (size_t)got;
    }
    return 0;
}

/*
 * A refused GET_CONFIG: no payload at all, or (as some back-ends read the specification) the fields
 * before the data, with size 0. Returns 0 for a refusal, 1 for none.
 */
static int receive_refusal(struct pl_vu_chan *chan, const struct pl_vu_request_def *def,
                           uint32_t payload, int64_t deadline)
{
    const size_t fields = offsetof(struct pl_vu_config, data);
    struct pl_vu_config config;

    if (def->request != PL_VU_GET_CONFIG || (payload != 0 && payload != fields))
        return 1;
    if (payload == 0)
        return 0;
    int code = receive_all(chan, &config, fields, deadline, def->name);
    if (code < 0)
        return code;
    if (config.size != 0)
        return fail(chan, -EPROTO, "the back-end's answer to %s speaks of %u bytes and has none",
                    def->name, config.size);
    return 0;
}

/* Read an answer to `def` with `size` bytes of payload. Returns them, or 0 for a refused
 * GET_CONFIG. */
static int receive_answer(struct pl_vu_chan *chan, const struct pl_vu_request_def *def, void *out,
                          size_t size, int64_t deadline)
{
    struct pl_vu_header header;
    int code = receive_all(chan, &header, sizeof(header), deadline, def->name);

    if (code < 0)
        return code;
    if (header.request != (uint32_t)def->request)
        return fail(chan, -EPROTO, "the back-end answered %s as request %u, which is another one",
                    def->name, header.request);
    if ((header.flags & PL_VU_FLAG_VERSION_MASK) != PL_VU_FLAG_VERSION ||
        !(header.flags & PL_VU_FLAG_REPLY))
        return fail(chan, -EPROTO, "the back-end's answer to %s has flags 0x%x: no reply of ours",
                    def->name, header.flags);
    if (header.size != size) {
        code = receive_refusal(chan, def, header.size, deadline);
        if (code <= 0)
            return code;
    }
    if (header.size != size)
        return fail(chan, -EPROTO, "the back-end's answer to %s has %u bytes of payload, not %zu",
                    def->name, header.size, size);
    code = receive_all(chan, out, size, deadline, def->name);
    return code < 0 ? code : (int)size;
}

static int refused(struct pl_vu_chan *chan, const char *what)
{
    snprintf(chan->error, sizeof(chan->error), "the back-end refused %s", what);
    return -EREMOTEIO;
}

int pl_vu_call(struct pl_vu_chan *chan, enum pl_vu_request request, const void *payload,
               size_t size, int fd, void *reply)
{
    const struct pl_vu_request_def *def = definition((uint32_t)request);
    bool acknowledged = chan->ack && def->reply == 0;
    int64_t deadline = pl_clock_ms() + chan->timeout_ms;
    struct pl_vu_header header = {
        .request = (uint32_t)request, .flags = PL_VU_FLAG_VERSION, .size = (uint32_t)size};
    uint8_t packet[sizeof(header) + sizeof(struct pl_vu_config)];
    int code;

    if (chan->fd < 0)
        return -EPIPE;
    if (acknowledged)
        header.flags |= PL_VU_FLAG_NEED_REPLY;
    memcpy(packet, &header, sizeof(header));
    if (size)
        memcpy(packet + sizeof(header), payload, size);
    code = send_all(chan, packet, sizeof(header) + size, fd, deadline, def->name);
    if (code < 0)
        return code;
    if (def->reply) {
        size_t expected = request == PL_VU_GET_CONFIG ? size : def->reply;
        code = receive_answer(chan, def, reply, expected, deadline);
        return code == 0 ? refused(chan, def->name) : code;
    }
    if (acknowledged) {
        struct pl_vu_u64 ack;
        code = receive_answer(chan, def, &ack, sizeof(ack), deadline);
        return code < 0 ? code : ack.value ? refused(chan, def->name) : 0;
    }
    return 0;
}

int pl_vu_check_idle(struct pl_vu_chan *chan)
{
    uint8_t byte;

    if (chan->fd < 0)
        return -EPIPE;
    ssize_t got = recv(chan->fd, &byte, sizeof(byte), MSG_PEEK | MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    if (got < 0)
        return fail(chan, -EPIPE, "the back-end is gone: %s", strerror(errno));
    if (got == 0)
        return fail(chan, -EPIPE, "the back-end closed the connection");
    return fail(chan, -EPROTO, "the back-end sent something though no answer was due");
}
