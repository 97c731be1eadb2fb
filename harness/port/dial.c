/* Connecting to addresses and listening on them. */
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "port/private.h"

#define CONNECT_TIMEOUT_MS 5000
#define BOUND_MS           500 /* from a socket's file being there until it is listened on */

static int dial_fail(const char *text, int err, const char *what, char *error, size_t cap)
{
    snprintf(error, cap, "address '%s': cannot %s: %s", text, what, strerror(-err));
    return err;
}

/* Connect within a time limit: SO_SNDTIMEO bounds a full backlog and a silent host alike. */
static int connect_within(int fd, const struct sockaddr *addr, socklen_t size, int timeout_ms)
{
    struct timeval limit = {.tv_sec = timeout_ms / 1000, .tv_usec = timeout_ms % 1000 * 1000};
    struct timeval none = {0};
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
    if (connect(fd, addr, size) != 0)
        return errno == EAGAIN || errno == EINPROGRESS ? -ETIMEDOUT : -errno;
    setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &none, sizeof none);
    return 0;
}

static int unix_socket(const struct pl_address *address, struct sockaddr_un *out)
{
    *out = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(out->sun_path, address->host, strlen(address->host) + 1);
    int type = address->kind == PL_ADDRESS_UNIX ? SOCK_SEQPACKET : SOCK_STREAM;
    int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
    return fd < 0 ? -errno : fd;
}

static int reach_unix(const struct pl_address *address, int timeout_ms)
{
    struct sockaddr_un addr;
    int fd = unix_socket(address, &addr);
    if (fd < 0)
        return fd;
    int r = connect_within(fd, (struct sockaddr *)&addr, sizeof addr, timeout_ms);
    if (r == 0)
        return fd;
    close(fd);
    return r;
}

/* Small messages go at once: a round trip must not wait for an acknowledgement. */
static void no_delay(int fd)
{
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

/* Resolve a TCP address: 0, or -EHOSTUNREACH with a sentence. */
static int resolve(const char *text, const struct pl_address *address, bool listening,
                   struct addrinfo **list, char *error, size_t cap)
{
    struct addrinfo hints = {.ai_family = AF_UNSPEC,
                             .ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICSERV | (listening ? AI_PASSIVE : 0)};
    int r = getaddrinfo(address->host, address->service, &hints, list);
    if (r == 0)
        return 0;
    snprintf(error, cap, "address '%s': cannot find the host: %s", text,
             r == EAI_SYSTEM ? strerror(errno) : gai_strerror(r));
    return -EHOSTUNREACH;
}

static int reach_tcp(const char *text, const struct pl_address *address, int timeout_ms,
                     char *error, size_t cap)
{
    struct addrinfo *list = NULL;
    int r = resolve(text, address, false, &list, error, cap);
    if (r < 0)
        return r;
    int fd = -1;
    for (struct addrinfo *i = list; i; i = i->ai_next) {
        fd = socket(i->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        r = fd < 0 ? -errno : connect_within(fd, i->ai_addr, i->ai_addrlen, timeout_ms);
        if (r == 0)
            break;
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(list);
    if (r < 0)
        return dial_fail(text, r, "connect", error, cap);
    no_delay(fd);
    return fd;
}

/* An inherited descriptor: it must be an open, connected socket, and is the caller's from now. */
static int reach_fd(const char *text, const struct pl_address *address, char *error, size_t cap)
{
    int type = 0, listens = 0;
    socklen_t size = sizeof type, listens_size = sizeof listens;
    if (getsockopt(address->fd, SOL_SOCKET, SO_TYPE, &type, &size) != 0)
        return dial_fail(text, -errno, "use the descriptor", error, cap);
    getsockopt(address->fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size);
    struct sockaddr_storage peer;
    socklen_t peer_size = sizeof peer;
    if (listens || getpeername(address->fd, (struct sockaddr *)&peer, &peer_size) != 0)
        return dial_fail(text, -ENOTCONN, "use the descriptor", error, cap);
    fcntl(address->fd, F_SETFD, FD_CLOEXEC);
    no_delay(address->fd);
    return address->fd;
}

/* Who waits for the file of a socket to come up may be here before it is listened on. */
static int await_unix(const struct pl_address *address, int timeout_ms)
{
    int64_t deadline = pl_clock_ms() + (timeout_ms < BOUND_MS ? timeout_ms : BOUND_MS);
    int fd = reach_unix(address, timeout_ms);
    while (fd == -ECONNREFUSED && pl_clock_ms() < deadline) {
        poll(NULL, 0, 5);
        fd = reach_unix(address, timeout_ms);
    }
    return fd;
}

int pl_address_reach(const char *text, int timeout_ms, char *error, size_t cap)
{
    struct pl_address address;
    int r = pl_address_parse(text, &address, error, cap);
    if (r == 0)
        r = pl_address_check(text, false, error, cap);
    if (r < 0)
        return r;
    if (address.kind == PL_ADDRESS_TCP)
        return reach_tcp(text, &address, timeout_ms, error, cap);
    if (address.kind == PL_ADDRESS_FD)
        return reach_fd(text, &address, error, cap);
    int fd = await_unix(&address, timeout_ms);
    return fd < 0 ? dial_fail(text, fd, "connect", error, cap) : fd;
}

int pl_address_connect(const char *text, char *error, size_t cap)
{
    return pl_address_reach(text, CONNECT_TIMEOUT_MS, error, cap);
}

/* --- listening --- */

/* Remove a socket file that nobody listens on; anything else at that path stays. */
static void remove_stale(const struct pl_address *address)
{
    struct stat st;
    if (lstat(address->host, &st) != 0 || !S_ISSOCK(st.st_mode))
        return;
    int fd = reach_unix(address, 1);
    if (fd >= 0)
        close(fd);
    else if (fd == -ECONNREFUSED)
        unlink(address->host);
}

static int listen_unix(const struct pl_address *address)
{
    struct sockaddr_un addr;
    int fd = unix_socket(address, &addr);
    if (fd < 0)
        return fd;
    remove_stale(address);
    if (bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int err = -errno;
    close(fd);
    return err;
}

static int listen_tcp(const char *text, const struct pl_address *address, char *error, size_t cap)
{
    struct addrinfo *list = NULL;
    int on = 1, fd = -1, r = resolve(text, address, true, &list, error, cap);
    if (r < 0)
        return r;
    for (struct addrinfo *i = list; i; i = i->ai_next) {
        fd = socket(i->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd >= 0)
            setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
        r = fd >= 0 && bind(fd, i->ai_addr, i->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0
                ? 0
                : -errno;
        if (r == 0)
            break;
        if (fd >= 0)
            close(fd);
    }
    freeaddrinfo(list);
    return r < 0 ? dial_fail(text, r, "listen", error, cap) : fd;
}

int pl_address_listen(const char *text, char *error, size_t cap)
{
    struct pl_address address;
    int r = pl_address_parse(text, &address, error, cap);
    if (r == 0)
        r = pl_address_check(text, true, error, cap);
    if (r < 0)
        return r;
    if (address.kind == PL_ADDRESS_TCP)
        return listen_tcp(text, &address, error, cap);
    int fd = listen_unix(&address);
    return fd < 0 ? dial_fail(text, fd, "listen", error, cap) : fd;
}

void pl_address_local(int fd, const char *text, char *out, size_t cap)
{
    struct sockaddr_storage addr = {0};
    socklen_t size = sizeof addr;
    char host[256], service[16];
    bool tcp = strncmp(text, "tcp:", 4) == 0 &&
               getsockname(fd, (struct sockaddr *)&addr, &size) == 0 &&
               getnameinfo((struct sockaddr *)&addr, size, host, sizeof host, service,
                           sizeof service, NI_NUMERICHOST | NI_NUMERICSERV) == 0;
    if (!tcp)
        snprintf(out, cap, "%s", text);
    else if (addr.ss_family == AF_INET6)
        snprintf(out, cap, "tcp:[%s]:%s", host, service);
    else
        snprintf(out, cap, "tcp:%s:%s", host, service);
}
