/* The connection to a vhost-user front-end: requests with their descriptors in, answers out,
 * trusting nothing that comes. */
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/vhost_user_back.h"

enum { TELL_MS = 2000, LOOK_MS = 50 };

int pl_back_fault(struct pl_back *b, const char *format, ...)
{
    char text[384];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pl_back_hang_up(b);
    return pl_port_fail(&b->port, -EPROTO, "the front-end %s", text);
}

static const struct pl_vu_request_def *definition(uint32_t request)
{
    for (size_t i = 0; i < sizeof(pl_vu_requests) / sizeof(pl_vu_requests[0]); i++)
        if ((uint32_t)pl_vu_requests[i].request == request)
            return &pl_vu_requests[i];
    return NULL;
}

void pl_back_forget(struct pl_back *b)
{
    struct pl_back_request *r = &b->request;

    for (unsigned i = 0; i < r->n_fds; i++)
        if (r->fds[i] >= 0)
            close(r->fds[i]);
    memset(r, 0, sizeof(*r));
}

int pl_back_take_fd(struct pl_back *b)
{
    int fd = b->request.n_fds ? b->request.fds[0] : -1;

    b->request.fds[0] = -1;
    return fd;
}

/* --- in --- */

/* Keep the descriptors of a packet; false where they are too many. */
static bool keep_fds(struct pl_back_request *r, struct msghdr *msg)
{
    bool fits = !(msg->msg_flags & MSG_CTRUNC);

    for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
        if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int fd;
            memcpy(&fd, CMSG_DATA(c) + i * sizeof(int), sizeof(fd));
            if (r->n_fds < PL_BACK_FDS) {
                r->fds[r->n_fds++] = fd;
                continue;
            }
            close(fd);
            fits = false;
        }
    }
    return fits;
}

/* Bring what is there up to `size` bytes: 1 whole, 0 not yet, or a negative errno. */
static int fill(struct pl_back *b, size_t size)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(2 * PL_BACK_FDS * sizeof(int))];
    struct pl_back_request *r = &b->request;

    while (r->fill < size) {
        bool head = r->fill < sizeof(r->header);
        size_t at = head ? r->fill : r->fill - sizeof(r->header);
        uint8_t *to = head ? (uint8_t *)&r->header : r->p.bytes;
        struct iovec piece = {.iov_base = to + at, .iov_len = size - r->fill};
        struct msghdr msg = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
        ssize_t got = recvmsg(b->fd, &msg, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno == EAGAIN)
            return 0;
        if (got > 0 && !keep_fds(r, &msg))
            return pl_back_fault(b, "sent more than %d descriptors at once", PL_BACK_FDS);
        if (got > 0) {
            r->fill += (size_t)got;
            continue;
        }
        if (r->fill)
            return pl_back_fault(b, "closed the connection within a request, behind %zu bytes",
                                 r->fill);
        pl_back_hang_up(b);
        return pl_port_fail(&b->port, -EPIPE, "the front-end closed the connection");
    }
    return 1;
}

/* Is the header one of a request that is known, with a payload that can be? */
static int check_header(struct pl_back *b)
{
    struct pl_back_request *r = &b->request;
    const struct pl_vu_header *h = &r->header;

    r->def = definition(h->request);
    if ((h->flags & PL_VU_FLAG_VERSION_MASK) != PL_VU_FLAG_VERSION || h->flags & PL_VU_FLAG_REPLY)
        return pl_back_fault(b, "sent request %u with flags 0x%x: no request of this protocol",
                             h->request, h->flags);
    if (!r->def)
        return pl_back_fault(b, "sent request %u, which this back-end does not offer", h->request);
    if (h->flags & PL_VU_FLAG_NEED_REPLY && !(b->protocol & PL_VU_PF_REPLY_ACK))
        return pl_back_fault(b,
                             "wants %s acknowledged, and REPLY_ACK is not negotiated on this "
                             "connection",
                             r->def->name);
    const size_t fields = offsetof(struct pl_vu_config, data);
    bool config = r->def->request == PL_VU_GET_CONFIG || r->def->request == PL_VU_SET_CONFIG;
    bool table = r->def->request == PL_VU_SET_MEM_TABLE;
    size_t least = config  ? fields
                   : table ? offsetof(struct pl_vu_memory_map, regions)
                           : r->def->payload;
    size_t most = config  ? sizeof(struct pl_vu_config)
                  : table ? sizeof(struct pl_vu_memory_map)
                          : r->def->payload;
    if (h->size < least || h->size > most)
        return pl_back_fault(b, "sent %s with %u bytes of payload: it has %zu to %zu", r->def->name,
                             h->size, least, most);
    return 0;
}

/* Does the payload's own count fit its size? */
static int check_payload(struct pl_back *b)
{
    struct pl_back_request *r = &b->request;
    size_t size = r->header.size, said = size;

    if (r->def->request == PL_VU_SET_MEM_TABLE)
        said = offsetof(struct pl_vu_memory_map, regions) +
               (size_t)r->p.memory.num_regions * sizeof(r->p.memory.regions[0]);
    else if (r->def->request == PL_VU_GET_CONFIG || r->def->request == PL_VU_SET_CONFIG)
        said = offsetof(struct pl_vu_config, data) + (size_t)r->p.config.size;
    if (said != size)
        return pl_back_fault(b, "sent %s with %zu bytes of payload, which speaks of %zu",
                             r->def->name, size, said);
    if (r->n_fds && !r->def->fd)
        return pl_back_fault(b, "sent %u descriptors with %s, which takes none", r->n_fds,
                             r->def->name);
    return 1;
}

int pl_back_read(struct pl_back *b)
{
    struct pl_back_request *r = &b->request;
    bool fresh = r->fill < sizeof(r->header);
    int code = fresh ? fill(b, sizeof(r->header)) : 1;

    if (code <= 0)
        return code;
    code = r->def ? 0 : check_header(b);
    if (code == 0)
        code = fill(b, sizeof(r->header) + r->header.size);
    return code <= 0 ? code : check_payload(b);
}

/* --- out --- */

static int send_all(int fd, const void *bytes, size_t size, int timeout_ms)
{
    int64_t deadline = pl_clock_ms() + timeout_ms;

    for (size_t done = 0; done < size;) {
        ssize_t sent =
            send(fd, (const uint8_t *)bytes + done, size - done, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent > 0) {
            done += (size_t)sent;
            continue;
        }
        if (sent < 0 && errno != EAGAIN && errno != EINTR)
            return -EPIPE;
        struct pollfd entry = {.fd = fd, .events = POLLOUT};
        if (errno == EAGAIN && poll(&entry, 1, pl_left_ms(deadline)) == 0)
            return -ETIMEDOUT;
    }
    return 0;
}

int pl_back_reply(struct pl_back *b, const void *payload, size_t size)
{
    uint8_t packet[sizeof(struct pl_vu_header) + sizeof(struct pl_vu_config)];
    struct pl_vu_header header = {.request = b->request.header.request,
                                  .flags = PL_VU_FLAG_VERSION | PL_VU_FLAG_REPLY,
                                  .size = (uint32_t)size};

    memcpy(packet, &header, sizeof(header));
    if (size)
        memcpy(packet + sizeof(header), payload, size);
    int code = send_all(b->fd, packet, sizeof(header) + size, b->timeout_ms);
    if (code == -ETIMEDOUT)
        return pl_back_fault(b, "does not take the answer to %s", b->request.def->name);
    return 0; /* one that is gone is found out by reading */
}

int pl_back_acknowledge(struct pl_back *b, bool good)
{
    struct pl_vu_u64 word = {.value = !good};

    if (!(b->protocol & PL_VU_PF_REPLY_ACK) || !(b->request.header.flags & PL_VU_FLAG_NEED_REPLY))
        return 0;
    return pl_back_reply(b, &word, sizeof(word));
}

void pl_back_config_changed(struct pl_back *b)
{
    struct pl_vu_header header = {.request = PL_VU_BACKEND_CONFIG_CHANGE_MSG,
                                  .flags = PL_VU_FLAG_VERSION};

    if (b->backend_fd >= 0)
        send_all(b->backend_fd, &header, sizeof(header), TELL_MS);
}

/* --- coming and going --- */

int pl_back_accept(struct pl_back *b)
{
    int64_t deadline = pl_clock_ms() + b->timeout_ms;

    for (;;) {
        struct pollfd entry = {.fd = b->listener, .events = POLLIN};
        int left = pl_left_ms(deadline), most = b->exec.command && left > LOOK_MS ? LOOK_MS : left;
        int ready = poll(&entry, 1, most);
        b->fd = ready > 0 ? accept4(b->listener, NULL, NULL, SOCK_CLOEXEC) : -1;
        if (b->fd >= 0)
            return 0;
        pl_child_drain(&b->exec.child);
        if (ready == 0 && pl_vu_exec_ended(&b->exec))
            return pl_port_fail(&b->port, -ECONNREFUSED, "the command ended and did not connect");
        if (ready == 0 && left == 0)
            return pl_port_fail(&b->port, -ETIMEDOUT, "no front-end connected within %d ms",
                                b->timeout_ms);
        if (ready > 0 && errno != EINTR && errno != EAGAIN && errno != ECONNABORTED)
            return pl_port_fail(&b->port, -errno, "cannot accept a connection: %s",
                                strerror(errno));
    }
}

void pl_back_hang_up(struct pl_back *b)
{
    int *const both[] = {&b->fd, &b->backend_fd};

    pl_back_forget(b);
    for (size_t i = 0; i < sizeof(both) / sizeof(both[0]); i++) {
        if (*both[i] >= 0)
            close(*both[i]);
        *both[i] = -1;
    }
    for (size_t i = 0; i < PL_VU_QUEUES_MAX; i++)
        pl_back_close_ring(&b->rings[i]);
}
