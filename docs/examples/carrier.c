/* Every way to reach the harness: inherited descriptors, sockets, shared memory. */
#include "carrier.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define WAKEUP 0xED

static void *must(void *what, const char *name)
{
    if (what && what != MAP_FAILED)
        return what;
    perror(name);
    exit(2);
}

static int must_fd(int fd, const char *name)
{
    must(fd < 0 ? NULL : &fd, name);
    return fd;
}

/* A number from the environment, decimal or 0x. */
static uint64_t number(const char *name, uint64_t otherwise)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 0) : otherwise;
}

static void *map(int fd, const char *name, uint64_t *size)
{
    struct stat st;
    must(fstat(fd, &st) ? NULL : &st, name);
    if (*size == 0)
        *size = (uint64_t)st.st_size;
    return must(mmap(NULL, *size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0), name);
}

/* --- sockets: unix:PATH, unix-stream:PATH, tcp:HOST:PORT --- */

static int meet(int fd, const struct sockaddr *address, socklen_t size, bool listens)
{
    if (!listens)
        return connect(fd, address, size) ? -1 : fd;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
    if (bind(fd, address, size) || listen(fd, 1))
        return -1;
    return accept(fd, NULL, NULL);
}

static int open_socket(const char *address, bool listens)
{
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    bool packets = strncmp(address, "unix:", 5) == 0;
    if (packets || strncmp(address, "unix-stream:", 12) == 0) {
        snprintf(path.sun_path, sizeof(path.sun_path), "%s", strchr(address, ':') + 1);
        if (listens)
            unlink(path.sun_path);
        int fd = socket(AF_UNIX, packets ? SOCK_SEQPACKET : SOCK_STREAM, 0);
        return meet(fd, (struct sockaddr *)&path, sizeof(path), listens);
    }
    char host[256] = "", port[32] = "";
    struct addrinfo *found = NULL, hints = {.ai_socktype = SOCK_STREAM};
    if (sscanf(address, "tcp:%255[^:]:%31s", host, port) != 2 ||
        getaddrinfo(host, port, &hints, &found))
        return -1;
    int fd = socket(found->ai_family, SOCK_STREAM, 0);
    fd = meet(fd, found->ai_addr, found->ai_addrlen, listens);
    freeaddrinfo(found);
    return fd;
}

/* --- shared memory: spsc:NAME[,wakeup=fd:N], as the harness says it in PLUMBLINE_SPSC --- */

static struct area *open_area(const char *name, const char *producer, int32_t *slots)
{
    char path[256];
    uint64_t size = 0;
    snprintf(path, sizeof(path), "/dev/shm/queue-%s-%s", name, producer);
    struct area *area = map(must_fd(open(path, O_RDWR), path), path, &size);
    *slots = (int32_t)((size - sizeof(*area)) / sizeof(area->slot[0]));
    return area;
}

static void open_spsc(struct carrier *c, const char *address)
{
    char name[128] = "";
    if (sscanf(address, "spsc:%127[^,],wakeup=fd:%d", name, &c->fd) != 2)
        must(NULL, address);
    c->from = open_area(name, "driver", &c->slots);
    c->to = open_area(name, "device", &c->slots);
}

static int spsc_receive(struct carrier *c, void *message)
{
    uint8_t bytes[64];
    if (recv(c->fd, bytes, sizeof(bytes), MSG_DONTWAIT) == 0)
        return -1;
    struct area *a = c->from;
    if (a->tail == __atomic_load_n(&a->head, __ATOMIC_ACQUIRE))
        return 0;
    memcpy(message, a->slot[a->tail], sizeof(a->slot[0]));
    __atomic_store_n(&a->tail, (a->tail + 1) % c->slots, __ATOMIC_RELEASE);
    int size = ((const uint16_t *)message)[3];
    return size <= 64 ? size : 64; /* 64 is the slot; the device sees that msg_size is wrong */
}

static void spsc_send(struct carrier *c, const void *message, size_t size)
{
    struct area *a = c->to;
    int32_t next = (a->head + 1) % c->slots;
    while (next == __atomic_load_n(&a->tail, __ATOMIC_ACQUIRE))
        usleep(50); /* full */
    memcpy(a->slot[a->head], message, size);
    __atomic_store_n(&a->head, next, __ATOMIC_RELEASE);
    send(c->fd, &(uint8_t){WAKEUP}, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

/* --- all of them --- */

static void open_memory(struct carrier *c, const char *file)
{
    int fd = file ? must_fd(open(file, O_RDWR), file) : (int)number("PLUMBLINE_MEM_FD", UINT32_MAX);
    c->mem_base = number("PLUMBLINE_MEM_BASE", 0x100000000);
    c->mem_size = file ? 0 : number("PLUMBLINE_MEM_SIZE", 0);
    if (fd >= 0)
        c->mem = map(fd, file ? file : "PLUMBLINE_MEM_FD", &c->mem_size);
}

void carrier_open(struct carrier *c, const char *how, const char *address, const char *memory)
{
    const char *bus = getenv("PLUMBLINE_BUS"), *spsc = getenv("PLUMBLINE_SPSC");
    int type = SOCK_SEQPACKET;
    *c = (struct carrier){.max_msg_size = 264};
    if (bus && (bus = strstr(bus, "max_msg_size=")))
        c->max_msg_size = (uint32_t)strtoul(bus + strlen("max_msg_size="), NULL, 0);
    open_memory(c, memory);
    c->ctl_fd = (int)number("PLUMBLINE_CTL_FD", UINT32_MAX);
    if (how)
        c->fd = must_fd(open_socket(address, strcmp(how, "--listen") == 0), address);
    else if (spsc)
        open_spsc(c, spsc);
    else
        c->fd = (int)number("PLUMBLINE_FD", UINT32_MAX);
    getsockopt(c->fd, SOL_SOCKET, SO_TYPE, &type, &(socklen_t){sizeof(type)});
    c->stream = type == SOCK_STREAM;
    /* TCP would save up small messages; other sockets know no such option. */
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
}

bool carrier_wait(struct carrier *c)
{
    struct pollfd fds[2] = {{.fd = c->fd, .events = POLLIN}, {.fd = c->ctl_fd, .events = POLLIN}};
    poll(fds, 2, -1);
    return fds[1].revents != 0;
}

int carrier_receive(struct carrier *c, void *message)
{
    uint8_t *bytes = message;
    if (c->from)
        return spsc_receive(c, message);
    ssize_t n = recv(c->fd, bytes, c->stream ? 1 : 65536, MSG_DONTWAIT);
    if (n <= 0)
        return n < 0 && errno == EAGAIN ? 0 : -1;
    if (!c->stream)
        return (int)n;
    int size = recv(c->fd, bytes + 1, 7, MSG_WAITALL) == 7 ? bytes[6] | bytes[7] << 8 : 0;
    if (size == 8) /* a recv of 0 bytes would wait for the next message */
        return size;
    bool whole = size > 8 && recv(c->fd, bytes + 8, (size_t)size - 8, MSG_WAITALL) == size - 8;
    return whole ? size : -1; /* the end, or a stream whose framing is lost */
}

void carrier_send(struct carrier *c, const void *message, size_t size)
{
    if (c->to)
        spsc_send(c, message, size);
    else
        send(c->fd, message, size, MSG_NOSIGNAL);
}
