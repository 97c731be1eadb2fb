/* A vhost-user back-end for the gateway's tests: a small RAM disk in a thread, with faults to
 * order. */
#ifndef PL_TEST_VHOST_USER_FAKE_H
#define PL_TEST_VHOST_USER_FAKE_H

#include <check.h>
#include <endian.h>
#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "pl_vhost_user.h"

enum {
    FAKE_DISK = 65536,
    FAKE_CONFIG = 60, /* bytes of configuration space */
    FAKE_QUEUES = 2,
    FAKE_WRITEBACK = 32, /* the configuration byte that a driver may write */
};

/* What goes wrong, at the request fake->at, for its fake->nth time (counting from 1). */
enum fake_fault {
    FAKE_SOUND,
    FAKE_CLOSE,      /* no answer, the connection is closed */
    FAKE_HANG,       /* no answer */
    FAKE_HALF,       /* half a header and a closed connection */
    FAKE_HALF_BODY,  /* a header and half the payload */
    FAKE_TRICKLE,    /* half a header, then nothing */
    FAKE_WRONG_ID,   /* another request's answer */
    FAKE_NO_REPLY,   /* without the reply flag */
    FAKE_VERSION,    /* of another version */
    FAKE_SHORT,      /* payload of 4 bytes */
    FAKE_EMPTY,      /* no payload */
    FAKE_HUGE,       /* a payload of almost 4 GiB, announced */
    FAKE_DESCRIPTOR, /* descriptors travel with the answer */
    FAKE_NACK,       /* acknowledged with a value that is not 0 */
    FAKE_UNASKED,    /* a second answer nobody asked for */
    FAKE_BASE_INDEX, /* GET_VRING_BASE answered for another ring */
    FAKE_REFUSAL,    /* a refused GET_CONFIG that speaks of bytes */
    FAKE_CONFIG_AT,  /* GET_CONFIG answered for another offset */
};

/* What goes wrong on the rings. */
enum fake_ring_fault {
    FAKE_RING_SOUND,
    FAKE_USED_AHEAD,
    FAKE_USED_ID,
    FAKE_USED_LEN,
    FAKE_USED_NEVER,
    FAKE_CORRUPT,
    FAKE_BLOCK_ERROR,
    FAKE_RING_ERR
};

struct fake_ring {
    uint32_t size, base;
    uint64_t desc, avail, used;
    int kick, call, err;
    uint16_t seen;
    bool enabled;
};

struct fake {
    /* set before fake_start */
    uint64_t features, protocol, queue_num;
    _Atomic(enum fake_fault) fault;
    enum pl_vu_request at;
    unsigned nth;
    _Atomic(enum fake_ring_fault) ring_fault;
    bool blocking;      /* make every eventfd a blocking one */
    bool small_refusal; /* refuse GET_CONFIG with the fields and no data */

    /* seen by the test after fake_stop, or through the atomics at any time */
    uint8_t disk[FAKE_DISK], config[FAKE_CONFIG];
    uint64_t selected, status, status_mask;
    _Atomic unsigned count[64]; /* how often each request came */
    _Atomic unsigned connections;
    _Atomic bool bad_request; /* the gateway sent something that it should not have */

    /* the thread's own */
    char path[108];
    int listener, wakeup[2], peer;
    pthread_t thread;
    struct fake_ring rings[FAKE_QUEUES];
    uint8_t *mem;
    uint64_t mem_user, mem_size;
    uint64_t acked;
};

/* --- rings --- */

static void *fake_at(struct fake *fake, uint64_t user, uint64_t size)
{
    bool inside = fake->mem && user >= fake->mem_user && user - fake->mem_user <= fake->mem_size &&
                  fake->mem_size - (user - fake->mem_user) >= size;

    if (!inside)
        fake->bad_request = true;
    return inside ? fake->mem + (user - fake->mem_user) : NULL;
}

/* One virtio-blk request: header, data, status. Returns the bytes written. */
static uint32_t fake_block_request(struct fake *fake, const struct vring_desc *table, uint16_t head)
{
    const struct vring_desc *first = &table[head], *data = &table[first->next];
    const struct vring_desc *last = &table[data->next];
    const struct virtio_blk_outhdr *header = fake_at(fake, first->addr, sizeof(*header));
    uint8_t *bytes = fake_at(fake, data->addr, data->len);
    uint8_t *status = fake_at(fake, last->addr, 1);

    if (!header || !bytes || !status)
        return 0;
    uint64_t at = header->sector * 512;
    bool good = at < FAKE_DISK && FAKE_DISK - at >= data->len;
    if (good && header->type == VIRTIO_BLK_T_IN)
        memcpy(bytes, fake->disk + at, data->len);
    else if (good && header->type == VIRTIO_BLK_T_OUT)
        memcpy(fake->disk + at, bytes, data->len);
    if (fake->ring_fault == FAKE_CORRUPT && header->type == VIRTIO_BLK_T_IN)
        bytes[7] ^= 1;
    *status = good && fake->ring_fault != FAKE_BLOCK_ERROR ? VIRTIO_BLK_S_OK : VIRTIO_BLK_S_IOERR;
    return header->type == VIRTIO_BLK_T_IN ? data->len + 1 : 1;
}

static void fake_signal(int fd)
{
    const uint64_t one = 1;

    if (fd >= 0 && write(fd, &one, sizeof(one)) < 0)
        perror("fake back-end: eventfd");
}

static void fake_work(struct fake *fake, struct fake_ring *ring)
{
    uint64_t ignored;
    struct pollfd kicked = {.fd = ring->kick, .events = POLLIN};
    bool more = poll(&kicked, 1, 0) > 0 && read(ring->kick, &ignored, sizeof(ignored)) > 0;
    struct vring_desc *table = fake_at(fake, ring->desc, ring->size * sizeof(*table));
    struct vring_avail *avail = fake_at(fake, ring->avail, sizeof(*avail) + 2 * ring->size);
    struct vring_used *used = fake_at(fake, ring->used, sizeof(*used) + 8 * ring->size);

    if (!more || !ring->enabled || !table || !avail || !used)
        return;
    if (fake->ring_fault == FAKE_RING_ERR)
        fake_signal(ring->err);
    if (fake->ring_fault == FAKE_USED_NEVER || fake->ring_fault == FAKE_RING_ERR)
        return;
    while (ring->seen != __atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE)) {
        uint16_t head = avail->ring[ring->seen % ring->size];
        uint32_t written = fake_block_request(fake, table, head);
        vring_used_elem_t *entry = &used->ring[used->idx % ring->size];
        entry->id = fake->ring_fault == FAKE_USED_ID ? ring->size + 5 : head;
        entry->len = fake->ring_fault == FAKE_USED_LEN ? written + 100000 : written;
        unsigned step = fake->ring_fault == FAKE_USED_AHEAD ? 300 : 1;
        __atomic_store_n(&used->idx, (uint16_t)(used->idx + step), __ATOMIC_RELEASE);
        ring->seen++;
    }
    fake_signal(ring->call);
}

static void fake_close_ring(struct fake_ring *ring)
{
    const int fds[] = {ring->kick, ring->call, ring->err};

    for (size_t i = 0; i < 3; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    *ring = (struct fake_ring){.kick = -1, .call = -1, .err = -1};
}

/* --- requests --- */

static void fake_hang_up(struct fake *fake)
{
    if (fake->peer >= 0)
        close(fake->peer);
    fake->peer = -1;
    for (int i = 0; i < FAKE_QUEUES; i++)
        fake_close_ring(&fake->rings[i]);
    if (fake->mem)
        munmap(fake->mem, fake->mem_size);
    fake->mem = NULL;
}

/* Send an answer with `fds` copies of a descriptor. */
static void fake_send(struct fake *fake, const void *bytes, size_t size, int fds)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(64 * sizeof(int))] = {0};
    struct iovec piece = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    struct msghdr msg = {.msg_iov = &piece, .msg_iovlen = 1};

    if (fds) {
        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE((size_t)fds * sizeof(int));
        struct cmsghdr *header = CMSG_FIRSTHDR(&msg);
        header->cmsg_level = SOL_SOCKET;
        header->cmsg_type = SCM_RIGHTS;
        header->cmsg_len = CMSG_LEN((size_t)fds * sizeof(int));
        for (int i = 0; i < fds; i++)
            memcpy(CMSG_DATA(header) + (size_t)i * sizeof(int), &fake->listener, sizeof(int));
    }
    if (sendmsg(fake->peer, &msg, MSG_NOSIGNAL) < 0)
        fake_hang_up(fake);
}

static void fake_answer(struct fake *fake, uint32_t request, const void *payload, size_t size,
                        enum fake_fault fault)
{
    uint8_t packet[sizeof(struct pl_vu_header) + sizeof(struct pl_vu_config)];
    struct pl_vu_header header = {request, PL_VU_FLAG_VERSION | PL_VU_FLAG_REPLY, (uint32_t)size};
    const size_t head = sizeof(header);
    size_t send = head + size;

    if (fault == FAKE_WRONG_ID)
        header.request++;
    if (fault == FAKE_NO_REPLY)
        header.flags &= ~PL_VU_FLAG_REPLY;
    if (fault == FAKE_VERSION)
        header.flags ^= PL_VU_FLAG_VERSION_MASK;
    if (fault == FAKE_SHORT)
        header.size = 4, send = head + 4;
    if (fault == FAKE_EMPTY)
        header.size = 0, send = head;
    if (fault == FAKE_HUGE)
        header.size = 0xfffffff0;
    if (fault == FAKE_HALF || fault == FAKE_TRICKLE)
        send = head / 2;
    if (fault == FAKE_HALF_BODY)
        send = head + size / 2;
    memcpy(packet, &header, head);
    memcpy(packet + head, payload, size);
    fake_send(fake, packet, send, fault == FAKE_DESCRIPTOR ? (fake->nth == 1 ? 1 : 40) : 0);
    if (fault == FAKE_UNASKED && fake->peer >= 0)
        fake_send(fake, packet, send, 0);
    if (fault == FAKE_HALF || fault == FAKE_HALF_BODY)
        fake_hang_up(fake);
}

static uint64_t fake_mem_table(struct fake *fake, const struct pl_vu_memory *table, int fd)
{
    if (table->num_regions != 1 || fd < 0 || fake->mem)
        fake->bad_request = true;
    if (fd < 0)
        return 1;
    /* A hostile back-end would shrink the memory; the seals must forbid it. */
    if (ftruncate(fd, 0) == 0)
        fake->bad_request = true;
    fake->mem_size = table->regions[0].size;
    fake->mem_user = table->regions[0].user_address;
    fake->mem = mmap(NULL, fake->mem_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd,
                     (off_t)table->regions[0].mmap_offset);
    if (fake->mem == MAP_FAILED)
        fake->mem = NULL, fake->bad_request = true;
    return 0;
}

static struct fake_ring *fake_ring_of(struct fake *fake, uint64_t index)
{
    if (index >= FAKE_QUEUES || index >= fake->queue_num) {
        fake->bad_request = true;
        index = 0;
    }
    return &fake->rings[index];
}

/* Take a ring's descriptor over; the call descriptor is signalled at once, as real back-ends do. */
static void fake_set_fd(struct fake *fake, uint32_t request, uint64_t index, int fd)
{
    struct fake_ring *ring = fake_ring_of(fake, index);
    int *place = request == PL_VU_SET_VRING_KICK   ? &ring->kick
                 : request == PL_VU_SET_VRING_CALL ? &ring->call
                                                   : &ring->err;
    if (fd < 0)
        fake->bad_request = true;
    if (*place >= 0)
        close(*place);
    *place = fd;
    if (fake->blocking && fd >= 0) /* the flag is shared: a trap for a front-end that reads on */
        fcntl(fd, F_SETFL, 0);
    if (request == PL_VU_SET_VRING_CALL)
        fake_signal(fd);
    if (request == PL_VU_SET_VRING_KICK && !fake->mem)
        fake->bad_request = true;
}

static void fake_set_ring(struct fake *fake, uint32_t request,
                          const struct pl_vu_vring_state *state)
{
    struct fake_ring *ring = fake_ring_of(fake, state->index);

    if (request == PL_VU_SET_VRING_NUM)
        ring->size = state->num;
    else if (request == PL_VU_SET_VRING_BASE)
        ring->base = state->num, ring->seen = (uint16_t)state->num;
    else
        ring->enabled = state->num != 0;
}

static void fake_set_addr(struct fake *fake, const struct pl_vu_vring_addr *addr)
{
    struct fake_ring *ring = fake_ring_of(fake, addr->index);

    ring->desc = addr->descriptor;
    ring->avail = addr->available;
    ring->used = addr->used;
    fake_at(fake, ring->desc, 16 * ring->size);
    fake_at(fake, ring->avail, 6 + 2 * ring->size);
    fake_at(fake, ring->used, 6 + 8 * ring->size);
}

static void fake_get_config(struct fake *fake, struct pl_vu_config *config, enum fake_fault fault)
{
    size_t fields = offsetof(struct pl_vu_config, data);

    if (config->size > FAKE_CONFIG) {
        config->size = fault == FAKE_REFUSAL ? 5 : 0;
        fake_answer(fake, PL_VU_GET_CONFIG, config, fake->small_refusal ? fields : 0, fault);
        return;
    }
    memcpy(config->data, fake->config,
           config->size); /* whatever the offset, as libvhost-user does */
    if (fault == FAKE_CONFIG_AT)
        config->offset += 4;
    fake_answer(fake, PL_VU_GET_CONFIG, config, fields + config->size, fault);
}

static uint64_t fake_set_config(struct fake *fake, const struct pl_vu_config *config)
{
    if (config->offset != FAKE_WRITEBACK || config->size != 1) {
        fake->bad_request = true;
        return 1;
    }
    fake->config[config->offset] = config->data[0];
    return 0;
}

static void fake_reset(struct fake *fake)
{
    fake->selected = 0;
    for (int i = 0; i < FAKE_QUEUES; i++)
        if (fake->rings[i].kick >= 0)
            fake->bad_request = true; /* rings are to be stopped first */
}

union fake_payload {
    struct pl_vu_u64 u64;
    struct pl_vu_vring_state state;
    struct pl_vu_vring_addr addr;
    struct pl_vu_memory memory;
    struct pl_vu_config config;
};

/* Carry a request without an answer of its own out: the value of its acknowledgement. */
static uint64_t fake_order(struct fake *fake, uint32_t request, union fake_payload *p, int fd)
{
    switch (request) {
    case PL_VU_SET_FEATURES:
        fake->selected = p->u64.value;
        return 0;
    case PL_VU_SET_PROTOCOL_FEATURES:
        fake->acked = p->u64.value;
        return 0;
    case PL_VU_SET_MEM_TABLE:
        return fake_mem_table(fake, &p->memory, fd);
    case PL_VU_SET_VRING_NUM:
    case PL_VU_SET_VRING_BASE:
    case PL_VU_SET_VRING_ENABLE:
        fake_set_ring(fake, request, &p->state);
        return 0;
    case PL_VU_SET_VRING_ADDR:
        fake_set_addr(fake, &p->addr);
        return 0;
    case PL_VU_SET_CONFIG:
        return fake_set_config(fake, &p->config);
    case PL_VU_SET_STATUS:
        fake->status = p->u64.value & fake->status_mask;
        if (p->u64.value == 0)
            fake_reset(fake);
        return 0;
    case PL_VU_RESET_DEVICE:
        fake_reset(fake);
        return 0;
    case PL_VU_SET_OWNER:
        return 0;
    default:
        fake->bad_request = true;
        return 1;
    }
}

/* Answer a request that has an answer of its own: false where it is none of those. */
static bool fake_query(struct fake *fake, uint32_t request, union fake_payload *p,
                       enum fake_fault fault)
{
    struct pl_vu_u64 value = {0};

    switch (request) {
    case PL_VU_GET_FEATURES:
        value.value = fake->features;
        break;
    case PL_VU_GET_PROTOCOL_FEATURES:
        value.value = fake->protocol;
        break;
    case PL_VU_GET_QUEUE_NUM:
        value.value = fake->queue_num;
        break;
    case PL_VU_GET_STATUS:
        value.value = fake->status;
        break;
    case PL_VU_GET_VRING_BASE:
        p->state.num = fake_ring_of(fake, p->state.index)->seen;
        fake_close_ring(fake_ring_of(fake, p->state.index));
        p->state.index += fault == FAKE_BASE_INDEX ? 1 : 0;
        fake_answer(fake, request, &p->state, sizeof(p->state), fault);
        return true;
    case PL_VU_GET_CONFIG:
        fake_get_config(fake, &p->config, fault);
        return true;
    default:
        return false;
    }
    fake_answer(fake, request, &value, sizeof(value), fault);
    return true;
}

static enum fake_fault fake_due(struct fake *fake, uint32_t request)
{
    unsigned nth = ++fake->count[request % 64];
    return request == (uint32_t)fake->at && nth >= fake->nth ? fake->fault : FAKE_SOUND;
}

static void fake_serve(struct fake *fake, const struct pl_vu_header *header, union fake_payload *p,
                       int fd)
{
    enum fake_fault fault = fake_due(fake, header->request);
    struct pl_vu_u64 ack = {0};

    if (fault == FAKE_HANG) {
        if (fd >= 0)
            close(fd);
        return;
    }
    if (fault == FAKE_CLOSE) {
        if (fd >= 0)
            close(fd);
        fake_hang_up(fake);
        return;
    }
    if (header->request >= PL_VU_SET_VRING_KICK && header->request <= PL_VU_SET_VRING_ERR) {
        fake_set_fd(fake, header->request, p->u64.value, fd);
    } else {
        if (fake_query(fake, header->request, p, fault))
            return;
        ack.value = fake_order(fake, header->request, p, fd);
        if (fd >= 0)
            close(fd);
    }
    if (fault == FAKE_NACK)
        ack.value = 1;
    if (!(header->flags & PL_VU_FLAG_NEED_REPLY))
        return;
    if (!(fake->acked & PL_VU_PF_REPLY_ACK))
        fake->bad_request = true;
    fake_answer(fake, header->request, &ack, sizeof(ack), fault);
}

/* Read one request whole; the gateway sends whole ones or none. */
static void fake_take(struct fake *fake)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];
    struct pl_vu_header header;
    union fake_payload payload;
    struct iovec piece = {&header, sizeof(header)};
    struct msghdr msg = {.msg_iov = &piece,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof(control)};
    ssize_t got = recvmsg(fake->peer, &msg, MSG_WAITALL | MSG_CMSG_CLOEXEC);
    int fd = -1;

    if (got != (ssize_t)sizeof(header)) {
        fake_hang_up(fake);
        return;
    }
    struct cmsghdr *c = CMSG_FIRSTHDR(&msg);
    if (c)
        memcpy(&fd, CMSG_DATA(c), sizeof(fd));
    memset(&payload, 0, sizeof(payload));
    if (header.size > sizeof(payload) ||
        (header.flags & PL_VU_FLAG_VERSION_MASK) != PL_VU_FLAG_VERSION)
        fake->bad_request = true;
    else if (header.size)
        got = recv(fake->peer, &payload, header.size, MSG_WAITALL);
    fake_serve(fake, &header, &payload, fd);
}

/* --- the thread --- */

static void fake_accept(struct fake *fake)
{
    fake->peer = accept(fake->listener, NULL, NULL);
    fake->acked = fake->selected = fake->status = 0;
    fake->connections++;
}

static void *fake_loop(void *opaque)
{
    struct fake *fake = opaque;

    for (;;) {
        struct pollfd entries[2 + FAKE_QUEUES] = {
            {.fd = fake->wakeup[0], .events = POLLIN},
            {.fd = fake->peer >= 0 ? fake->peer : fake->listener, .events = POLLIN}};
        for (int i = 0; i < FAKE_QUEUES; i++)
            entries[2 + i] = (struct pollfd){.fd = fake->rings[i].kick, .events = POLLIN};
        poll(entries, 2 + FAKE_QUEUES, -1);
        if (entries[0].revents)
            break;
        for (int i = 0; i < FAKE_QUEUES; i++)
            if (entries[2 + i].revents & POLLIN)
                fake_work(fake, &fake->rings[i]);
        if (!entries[1].revents)
            continue;
        if (fake->peer >= 0)
            fake_take(fake);
        else
            fake_accept(fake);
    }
    fake_hang_up(fake);
    return NULL;
}

/* A sound back-end with everything that the gateway can use but status. */
static void fake_init(struct fake *fake)
{
    memset(fake, 0, sizeof(*fake));
    fake->features = UINT64_C(1) << PL_C_F_VERSION_1 | UINT64_C(1) << VIRTIO_BLK_F_CONFIG_WCE |
                     PL_VU_F_PROTOCOL_FEATURES | PL_VU_F_LOG_ALL;
    fake->protocol = PL_VU_PF_MQ | PL_VU_PF_REPLY_ACK | PL_VU_PF_CONFIG | PL_VU_PF_RESET_DEVICE |
                     UINT64_C(1) << 5;
    fake->queue_num = FAKE_QUEUES;
    fake->nth = 1;
    fake->status_mask = UINT64_MAX;
    fake->config[0] = FAKE_DISK / 512;
    for (size_t i = 0; i < FAKE_DISK; i++)
        fake->disk[i] = (uint8_t)(i * 7 + i / 512);
}

/* Listen at a new path (fake->path) and serve one connection after another. */
static void fake_start(struct fake *fake)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/pl-vhost-user-XXXXXX";

    ck_assert_ptr_nonnull(mkdtemp(folder));
    snprintf(fake->path, sizeof(fake->path), "%s/s", folder);
    memcpy(address.sun_path, fake->path, sizeof(address.sun_path));
    fake->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    ck_assert_int_eq(bind(fake->listener, (struct sockaddr *)&address, sizeof(address)), 0);
    ck_assert_int_eq(listen(fake->listener, 1), 0);
    ck_assert_int_eq(pipe(fake->wakeup), 0);
    fake->peer = -1;
    for (int i = 0; i < FAKE_QUEUES; i++)
        fake->rings[i] = (struct fake_ring){.kick = -1, .call = -1, .err = -1};
    ck_assert_int_eq(pthread_create(&fake->thread, NULL, fake_loop, fake), 0);
}

static void fake_stop(struct fake *fake)
{
    char folder[sizeof(fake->path)];

    close(fake->wakeup[1]);
    pthread_join(fake->thread, NULL);
    close(fake->wakeup[0]);
    close(fake->listener);
    unlink(fake->path);
    snprintf(folder, sizeof(folder), "%s", fake->path);
    *strrchr(folder, '/') = 0;
    rmdir(folder);
}

#endif
