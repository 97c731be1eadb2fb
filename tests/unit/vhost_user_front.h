/* A vhost-user front-end for the back-end's tests, and the reference device behind the back-end: in
 * turns, in one thread. */
#ifndef PL_TEST_VHOST_USER_FRONT_H
#define PL_TEST_VHOST_USER_FRONT_H

#include <check.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "open_fds.h"
#include "peer/device.h"
#include "pl_vhost_user.h"
#include "port/vhost_user.h"

/* Where the front-end has its memory, as it says, and where its ring and buffers lie in there. */
enum {
    FRONT_MEMORY = 1 << 20,
    FRONT_GUEST = 0x10000, /* guest physical address of its first byte */
    FRONT_DESC = 0x1000,
    FRONT_AVAIL = 0x2000,
    FRONT_USED = 0x3000,
    FRONT_DATA = 0x4000,
    FRONT_ENTRIES = 8,
    FRONT_TURNS = 1000, /* looks for an answer before it counts as missing */
    FRONT_KINDS = 64,
};
#define FRONT_USER UINT64_C(0x7f0000000000)

struct front {
    char folder[32], path[64], fifo[64];
    struct pl_port *port;
    void *device;
    int fd, memory, kick, call;
    uint8_t *map;
    uint32_t flags; /* more of each header: NEED_REPLY */
    int error;      /* what the port said last, where it was no message */
    /* what came to the device since the last front_forget */
    enum pl_kind kind[FRONT_KINDS];
    unsigned n_kinds;
    struct pl_msg queue; /* the last SET_VQUEUE */
    int fds;             /* open before anything began */
};

static void front_forget(struct front *f)
{
    f->n_kinds = 0;
}

/* --- the device --- */

static void front_note(struct front *f, const struct pl_msg *m)
{
    ck_assert_int_eq(m->form, PL_FORM_OK);
    ck_assert_uint_lt(f->n_kinds, FRONT_KINDS);
    f->kind[f->n_kinds++] = m->kind;
    if (m->kind == PL_SET_VQUEUE)
        f->queue = *m;
}

/* Everything that the back-end has to say goes to the device, and its answers back. */
static void front_pump(struct front *f)
{
    static uint8_t bytes[PL_MSG_MAX + 1];
    struct pl_msg m;
    for (;;) {
        int n = f->port->ops->receive(f->port, bytes, sizeof(bytes), 0);
        if (n <= 0) {
            f->error = n;
            return;
        }
        pl_decode(f->port->spec, bytes, (size_t)n, &m);
        front_note(f, &m);
        pl_device_endpoint.deliver(f->device, bytes, (size_t)n);
        while ((n = pl_device_endpoint.poll(f->device, bytes, sizeof(bytes))) > 0)
            f->port->ops->send(f->port, bytes, (size_t)n);
    }
}

/* Did exactly these messages come to the device, in this order? PL_NONE ends the list. */
static void front_came(struct front *f, const enum pl_kind *wanted)
{
    unsigned n = 0;
    for (; wanted[n] != PL_NONE; n++) {
        ck_assert_msg(n < f->n_kinds, "%s did not come", pl_kind_names[wanted[n]]);
        ck_assert_msg(f->kind[n] == wanted[n], "message %u is %s, not %s", n,
                      pl_kind_names[f->kind[n]], pl_kind_names[wanted[n]]);
    }
    ck_assert_msg(n == f->n_kinds, "%s came, too", pl_kind_names[f->kind[n]]);
    front_forget(f);
}

/* --- the socket --- */

static int front_connect(struct front *f)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    memcpy(address.sun_path, f->path, sizeof(f->path));
    ck_assert_int_eq(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    return fd;
}

/* One packet as it is, with `n` copies of a descriptor. */
static void front_raw(struct front *f, const void *bytes, size_t size, int fd, unsigned n)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(64 * sizeof(int))] = {0};
    struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr msg = {.msg_iov = &piece, .msg_iovlen = 1};
    if (n) {
        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE(n * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(n * sizeof(int));
        for (unsigned i = 0; i < n; i++)
            memcpy(CMSG_DATA(head) + i * sizeof(int), &fd, sizeof(int));
    }
    ck_assert_int_eq(sendmsg(f->fd, &msg, MSG_NOSIGNAL), (int)size);
}

static void front_send(struct front *f, uint32_t request, const void *payload, size_t size, int fd,
                       unsigned n)
{
    uint8_t bytes[512];
    struct pl_vu_header header = {request, PL_VU_FLAG_VERSION | f->flags, (uint32_t)size};
    memcpy(bytes, &header, sizeof(header));
    if (size)
        memcpy(bytes + sizeof(header), payload, size);
    front_raw(f, bytes, sizeof(header) + size, fd, n);
}

/* So many bytes of an answer, while the back-end is given its turns; false where it hangs up. */
static bool front_read(struct front *f, void *to, size_t size)
{
    size_t done = 0;
    for (int i = 0; i < FRONT_TURNS && done < size; i++) {
        ssize_t got = recv(f->fd, (uint8_t *)to + done, size - done, MSG_DONTWAIT);
        if (got > 0)
            done += (size_t)got;
        else if (got == 0 || errno != EAGAIN)
            return false;
        else
            front_pump(f);
    }
    return done == size;
}

/* The answer's payload, `most` bytes of room; its size, -1 where there is none. */
static int front_answer(struct front *f, uint32_t request, void *payload, size_t most)
{
    struct pl_vu_header header;
    if (!front_read(f, &header, sizeof(header)))
        return -1;
    ck_assert_uint_eq(header.request, request);
    ck_assert_uint_eq(header.flags, PL_VU_FLAG_VERSION | PL_VU_FLAG_REPLY);
    ck_assert_uint_le(header.size, most);
    return front_read(f, payload, header.size) ? (int)header.size : -1;
}

static uint64_t front_get(struct front *f, uint32_t request)
{
    struct pl_vu_u64 word;
    front_send(f, request, NULL, 0, -1, 0);
    ck_assert_int_eq(front_answer(f, request, &word, sizeof(word)), sizeof(word));
    return word.value;
}

/* A request without an answer of its own; acknowledged where the header asks for that. */
static void front_put(struct front *f, uint32_t request, const void *payload, size_t size, int fd)
{
    struct pl_vu_u64 word = {1};
    front_send(f, request, payload, size, fd, fd >= 0);
    front_pump(f);
    if (f->flags & PL_VU_FLAG_NEED_REPLY) {
        ck_assert_int_eq(front_answer(f, request, &word, sizeof(word)), sizeof(word));
        ck_assert_uint_eq(word.value, 0);
    }
}

static void front_put_u64(struct front *f, uint32_t request, uint64_t value)
{
    struct pl_vu_u64 word = {value};
    front_put(f, request, &word, sizeof(word), -1);
}

static void front_put_state(struct front *f, uint32_t request, uint32_t num)
{
    struct pl_vu_vring_state state = {0, num};
    front_put(f, request, &state, sizeof(state), -1);
}

/* --- from greeting to DRIVER_OK --- */

static void front_greet(struct front *f, uint64_t protocol)
{
    ck_assert(front_get(f, PL_VU_GET_FEATURES) & PL_VU_F_PROTOCOL_FEATURES);
    front_put_u64(f, PL_VU_SET_PROTOCOL_FEATURES, protocol);
    if (protocol & PL_VU_PF_REPLY_ACK)
        f->flags = PL_VU_FLAG_NEED_REPLY;
    front_put_u64(f, PL_VU_SET_FEATURES,
                  UINT64_C(1) << PL_C_F_VERSION_1 | PL_VU_F_PROTOCOL_FEATURES);
}

static struct pl_vu_memory front_region(void)
{
    return (struct pl_vu_memory){
        .num_regions = 1,
        .regions = {
            {.guest_address = FRONT_GUEST, .size = FRONT_MEMORY, .user_address = FRONT_USER}}};
}

static void front_share(struct front *f)
{
    struct pl_vu_memory map = front_region();
    front_put(f, PL_VU_SET_MEM_TABLE, &map, sizeof(map), f->memory);
}

static struct pl_vu_vring_addr front_addresses(void)
{
    return (struct pl_vu_vring_addr){.descriptor = FRONT_USER + FRONT_DESC,
                                     .used = FRONT_USER + FRONT_USED,
                                     .available = FRONT_USER + FRONT_AVAIL};
}

/* Ring 0 up to its descriptors, which makes it ready. */
static void front_ring(struct front *f, uint32_t base)
{
    struct pl_vu_vring_addr addresses = front_addresses();
    struct pl_vu_u64 zero = {0};
    front_put_state(f, PL_VU_SET_VRING_NUM, FRONT_ENTRIES);
    front_put_state(f, PL_VU_SET_VRING_BASE, base);
    front_put(f, PL_VU_SET_VRING_ADDR, &addresses, sizeof(addresses), -1);
    front_put(f, PL_VU_SET_VRING_KICK, &zero, sizeof(zero), f->kick);
    front_put(f, PL_VU_SET_VRING_CALL, &zero, sizeof(zero), f->call);
    front_put_state(f, PL_VU_SET_VRING_ENABLE, 1);
}

/* A device of random bytes is asked for 16 of them. */
static void front_make_available(struct front *f)
{
    struct vring_desc *desc = (void *)(f->map + FRONT_DESC);
    uint16_t *avail = (void *)(f->map + FRONT_AVAIL);
    desc[0] = (struct vring_desc){
        .addr = FRONT_GUEST + FRONT_DATA, .len = 16, .flags = VRING_DESC_F_WRITE};
    avail[2 + avail[1] % FRONT_ENTRIES] = 0;
    avail[1]++;
    ck_assert_int_eq(eventfd_write(f->kick, 1), 0);
    front_pump(f);
}

static uint16_t front_used(const struct front *f)
{
    uint16_t idx;
    memcpy(&idx, f->map + FRONT_USED + 2, sizeof(idx));
    return idx;
}

/* --- coming and going --- */

static struct pl_port *front_open(const char *listen, int timeout_ms, char *error, size_t cap)
{
    struct pl_port_options options = {
        .spec = pl_spec_find("virtio-msg-r1"), .listen = listen, .accept_timeout_ms = timeout_ms};
    return pl_port_vhost_user_back(&options, error, cap);
}

static void front_start(struct front *f)
{
    const struct pl_bus_params bus = {1, 264, 0};
    const struct pl_endpoint_env env = {.revision = 1,
                                        .max_msg_size = 264,
                                        .mem = f->port->mem,
                                        .mem_base = f->port->mem_base,
                                        .mem_size = f->port->mem_size};
    static const struct pl_device_config config = {.spec = "virtio-msg-r1", .type = "entropy"};
    if (f->device)
        pl_device_endpoint.close(f->device);
    f->device = pl_device_endpoint.open(&config, &env);
    ck_assert_ptr_nonnull(f->device);
    f->fd = front_connect(f);
    ck_assert_msg(f->port->ops->start(f->port, &bus) == 0, "%s", f->port->error);
    front_pump(f);
}

static struct front *front_set_up(void)
{
    struct front *f = calloc(1, sizeof(*f));
    char address[256], error[512] = "";
    f->fds = open_fds();
    strcpy(f->folder, "/tmp/pl-front-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(f->folder));
    snprintf(f->path, sizeof(f->path), "%s/s", f->folder);
    snprintf(f->fifo, sizeof(f->fifo), "%s/commands", f->folder);
    ck_assert_int_eq(mkfifo(f->fifo, 0600), 0);
    snprintf(address, sizeof(address), "vhost-user:%s,commands=%s", f->path, f->fifo);
    f->port = front_open(address, 20000, error, sizeof(error));
    ck_assert_msg(f->port != NULL, "%s", error);
    f->memory = memfd_create("guest", 0);
    ck_assert_int_eq(ftruncate(f->memory, FRONT_MEMORY), 0);
    f->map = mmap(NULL, FRONT_MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, f->memory, 0);
    f->kick = eventfd(0, EFD_NONBLOCK);
    f->call = eventfd(0, EFD_NONBLOCK);
    front_start(f);
    return f;
}

static void front_tear_down(struct front *f)
{
    f->port->ops->close(f->port);
    pl_device_endpoint.close(f->device);
    munmap(f->map, FRONT_MEMORY);
    const int fds[] = {f->fd, f->memory, f->kick, f->call};
    for (size_t i = 0; i < 4; i++)
        close(fds[i]);
    ck_assert_int_eq(access(f->path, F_OK), -1); /* the port takes its socket away */
    unlink(f->fifo);
    rmdir(f->folder);
    ck_assert_int_eq(open_fds(), f->fds);
    free(f);
}

#endif
