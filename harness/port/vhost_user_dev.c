/* Drives a vhost-user back-end: the handshake, configuration, status, and starting and stopping
 * rings. */
#include "port/vhost_user_dev.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

static const uint64_t WANTED =
    PL_VU_PF_MQ | PL_VU_PF_REPLY_ACK | PL_VU_PF_CONFIG | PL_VU_PF_RESET_DEVICE | PL_VU_PF_STATUS;

/* A request that carries nothing or one number, and has no answer of its own. */
static int order(struct pl_vu_dev *dev, enum pl_vu_request request)
{
    return pl_vu_call(&dev->chan, request, NULL, 0, -1, NULL);
}

static int put_u64(struct pl_vu_dev *dev, enum pl_vu_request request, uint64_t value, int fd)
{
    struct pl_vu_u64 payload = {.value = value};
    return pl_vu_call(&dev->chan, request, &payload, sizeof(payload), fd, NULL);
}

static int get_u64(struct pl_vu_dev *dev, enum pl_vu_request request, uint64_t *value)
{
    struct pl_vu_u64 payload = {0};
    int code = pl_vu_call(&dev->chan, request, NULL, 0, -1, &payload);

    *value = payload.value;
    return code < 0 ? code : 0;
}

static int put_state(struct pl_vu_dev *dev, enum pl_vu_request request, uint32_t index,
                     uint32_t num)
{
    struct pl_vu_vring_state payload = {.index = index, .num = num};
    return pl_vu_call(&dev->chan, request, &payload, sizeof(payload), -1, NULL);
}

/* Without REPLY_ACK: an order that the back-end has carried out once this one is answered. */
static int barrier(struct pl_vu_dev *dev)
{
    uint64_t ignored;
    return dev->chan.ack ? 0 : get_u64(dev, PL_VU_GET_FEATURES, &ignored);
}

static int negotiate_protocol(struct pl_vu_dev *dev)
{
    uint64_t features = 0, offered = 0;
    int code = get_u64(dev, PL_VU_GET_FEATURES, &features);

    if (code < 0)
        return code;
    dev->has_protocol = (features & PL_VU_F_PROTOCOL_FEATURES) != 0;
    if (!dev->has_protocol)
        return 0;
    code = get_u64(dev, PL_VU_GET_PROTOCOL_FEATURES, &offered);
    if (code < 0)
        return code;
    code = put_u64(dev, PL_VU_SET_PROTOCOL_FEATURES, offered & WANTED, -1);
    if (code < 0)
        return code;
    dev->protocol = offered & WANTED;
    dev->chan.ack = (offered & PL_VU_PF_REPLY_ACK) != 0;
    return 0;
}

static int count_queues(struct pl_vu_dev *dev, uint32_t queues)
{
    uint64_t number = queues;

    if (dev->protocol & PL_VU_PF_MQ) {
        int code = get_u64(dev, PL_VU_GET_QUEUE_NUM, &number);
        if (code < 0)
            return code;
        if (number == 0) {
            snprintf(dev->chan.error, sizeof(dev->chan.error),
                     "the back-end says in GET_QUEUE_NUM that it has no queue");
            return -EPROTO;
        }
    }
    dev->n_queues = number < PL_VU_QUEUES_MAX ? (uint32_t)number : PL_VU_QUEUES_MAX;
    return 0;
}

/* Read the first `size` bytes of configuration: 0, or what pl_vu_call returns. */
static int read_config(struct pl_vu_dev *dev, uint32_t size, uint8_t *out)
{
    struct pl_vu_config request = {.size = size}, reply = {0};
    int code = pl_vu_call(&dev->chan, PL_VU_GET_CONFIG, &request,
                          offsetof(struct pl_vu_config, data) + size, -1, &reply);

    if (code < 0)
        return code;
    if (reply.offset != 0 || reply.size != size) {
        snprintf(dev->chan.error, sizeof(dev->chan.error),
                 "the back-end answered GET_CONFIG for offset %u and %u bytes, not 0 and %u",
                 reply.offset, reply.size, size);
        pl_vu_disconnect(&dev->chan);
        return -EPROTO;
    }
    memcpy(out, reply.data, size);
    return 0;
}

/* vhost-user does not tell the configuration's size: find the largest read that is not refused. */
static int probe_config_size(struct pl_vu_dev *dev)
{
    uint8_t ignored[PL_VU_CONFIG_MAX];
    uint32_t good = 0, bad = dev->type->config_max + 1, size = dev->type->config_max;

    if (!(dev->protocol & PL_VU_PF_CONFIG))
        return 0;
    while (good + 1 < bad) {
        int code = read_config(dev, size, ignored);
        if (code < 0 && code != -EREMOTEIO)
            return code;
        if (code == 0)
            good = size;
        else
            bad = size;
        size = good + (bad - good) / 2;
    }
    dev->config_size = good;
    return 0;
}

/* Ring addresses are "user addresses"; calling them what the bus calls them keeps pointers at home.
 */
static int share_memory(struct pl_vu_dev *dev, const struct pl_vu_share *share)
{
    struct pl_vu_memory table = {
        .num_regions = sizeof(table.regions) / sizeof(table.regions[0]),
        .regions = {{.guest_address = share->base,
                     .size = share->size,
                     .user_address = share->base}},
    };
    return pl_vu_call(&dev->chan, PL_VU_SET_MEM_TABLE, &table, sizeof(table), share->fd, NULL);
}

int pl_vu_dev_open(struct pl_vu_dev *dev, const char *path, const struct pl_vu_share *share,
                   uint32_t queues)
{
    int code = pl_vu_connect(&dev->chan, path);

    dev->chan.ack = false;
    dev->protocol = 0;
    dev->config_size = 0;
    for (size_t i = 0; i < PL_VU_QUEUES_MAX; i++)
        dev->rings[i] = (struct pl_vu_ring){.kick = -1, .call = -1, .err = -1};
    if (code >= 0)
        code = negotiate_protocol(dev);
    if (code >= 0)
        code = order(dev, PL_VU_SET_OWNER);
    if (code >= 0)
        code = count_queues(dev, queues);
    if (code >= 0)
        code = probe_config_size(dev);
    if (code >= 0)
        code = share_memory(dev, share);
    if (code >= 0)
        code = barrier(dev);
    if (code < 0)
        pl_vu_disconnect(&dev->chan);
    return code < 0 ? code : 0;
}

static void close_ring(struct pl_vu_ring *ring)
{
    const int fds[] = {ring->kick, ring->call, ring->err};

    for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
        if (fds[i] >= 0)
            close(fds[i]);
    *ring = (struct pl_vu_ring){.kick = -1, .call = -1, .err = -1};
}

void pl_vu_dev_close(struct pl_vu_dev *dev)
{
    pl_vu_disconnect(&dev->chan);
    for (uint32_t i = 0; i < dev->n_queues; i++)
        close_ring(&dev->rings[i]);
    dev->n_queues = 0;
}

int pl_vu_dev_features(struct pl_vu_dev *dev, uint64_t *features)
{
    int code = get_u64(dev, PL_VU_GET_FEATURES, features);

    *features &= ~PL_VU_HIDDEN;
    return code;
}

int pl_vu_dev_select(struct pl_vu_dev *dev, uint64_t features)
{
    if (dev->has_protocol)
        features |= PL_VU_F_PROTOCOL_FEATURES;
    int code = put_u64(dev, PL_VU_SET_FEATURES, features, -1);
    return code < 0 ? code : barrier(dev);
}

int pl_vu_dev_config(struct pl_vu_dev *dev, uint8_t *out)
{
    return dev->config_size ? read_config(dev, dev->config_size, out) : 0;
}

int pl_vu_dev_write_config(struct pl_vu_dev *dev, uint32_t offset, const uint8_t *data,
                           uint32_t size)
{
    struct pl_vu_config request = {.offset = offset, .size = size};

    if (size > sizeof(request.data))
        return -EREMOTEIO;
    memcpy(request.data, data, size);
    int code = pl_vu_call(&dev->chan, PL_VU_SET_CONFIG, &request,
                          offsetof(struct pl_vu_config, data) + size, -1, NULL);
    return code < 0 ? code : barrier(dev);
}

int pl_vu_dev_status(struct pl_vu_dev *dev, uint32_t *status)
{
    uint64_t value = 0;
    int code = get_u64(dev, PL_VU_GET_STATUS, &value);

    if (code < 0)
        return code;
    if (value > UINT32_MAX) {
        snprintf(dev->chan.error, sizeof(dev->chan.error),
                 "the back-end says 0x%llx in GET_STATUS, which no status has bits for",
                 (unsigned long long)value);
        pl_vu_disconnect(&dev->chan);
        return -EPROTO;
    }
    *status = (uint32_t)value;
    return 0;
}

int pl_vu_dev_set_status(struct pl_vu_dev *dev, uint32_t status)
{
    return put_u64(dev, PL_VU_SET_STATUS, status, -1);
}

int pl_vu_dev_reset(struct pl_vu_dev *dev)
{
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        int code = pl_vu_ring_stop(dev, i);
        if (code < 0)
            return code;
    }
    if (dev->protocol & PL_VU_PF_STATUS)
        return pl_vu_dev_set_status(dev, 0);
    if (dev->protocol & PL_VU_PF_RESET_DEVICE) {
        int code = order(dev, PL_VU_RESET_DEVICE);
        return code < 0 ? code : barrier(dev);
    }
    return 0;
}

static int new_eventfd(struct pl_vu_dev *dev, int *fd)
{
    *fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (*fd >= 0)
        return 0;
    int code = -errno;
    snprintf(dev->chan.error, sizeof(dev->chan.error), "no eventfd: %s", strerror(errno));
    return code;
}

/* The size, addresses and first indices of a ring. */
static int set_up_ring(struct pl_vu_dev *dev, uint32_t index, const struct pl_vu_ring_setup *setup)
{
    struct pl_vu_vring_addr address = {
        .index = index,
        .descriptor = setup->descriptor,
        .available = setup->driver,
        .used = setup->device,
    };
    int code = put_state(dev, PL_VU_SET_VRING_NUM, index, setup->size);

    if (code >= 0)
        code = put_state(dev, PL_VU_SET_VRING_BASE, index,
                         setup->packed ? PL_VU_VRING_BASE_PACKED : 0);
    if (code >= 0)
        code = pl_vu_call(&dev->chan, PL_VU_SET_VRING_ADDR, &address, sizeof(address), -1, NULL);
    return code;
}

/*
 * Back-ends signal the call descriptor when they get it, lest a signal was lost on an earlier
 * connection. Nothing can have been used yet, so that signal is taken back before the ring runs.
 */
static int hand_over_signals(struct pl_vu_dev *dev, uint32_t index)
{
    struct pl_vu_ring *ring = &dev->rings[index];
    int code = put_u64(dev, PL_VU_SET_VRING_ERR, index, ring->err);

    if (code >= 0)
        code = put_u64(dev, PL_VU_SET_VRING_CALL, index, ring->call);
    if (code >= 0)
        code = barrier(dev);
    pl_vu_take_signal(ring->call);
    if (code >= 0)
        code = put_u64(dev, PL_VU_SET_VRING_KICK, index, ring->kick);
    if (code >= 0 && dev->has_protocol)
        code = put_state(dev, PL_VU_SET_VRING_ENABLE, index, 1);
    return code < 0 ? code : barrier(dev);
}

int pl_vu_ring_start(struct pl_vu_dev *dev, uint32_t index, const struct pl_vu_ring_setup *setup)
{
    struct pl_vu_ring *ring = &dev->rings[index];
    int code = new_eventfd(dev, &ring->kick);

    if (code >= 0)
        code = new_eventfd(dev, &ring->call);
    if (code >= 0)
        code = new_eventfd(dev, &ring->err);
    if (code >= 0)
        code = set_up_ring(dev, index, setup);
    if (code >= 0)
        code = hand_over_signals(dev, index);
    ring->started = code >= 0;
    if (code < 0)
        close_ring(ring);
    return code < 0 ? code : 0;
}

int pl_vu_ring_stop(struct pl_vu_dev *dev, uint32_t index)
{
    struct pl_vu_ring *ring = &dev->rings[index];
    struct pl_vu_vring_state request = {.index = index}, reply = {0};

    if (!ring->started)
        return 0;
    int code = dev->has_protocol ? put_state(dev, PL_VU_SET_VRING_ENABLE, index, 0) : 0;
    if (code >= 0 || code == -EREMOTEIO)
        code = pl_vu_call(&dev->chan, PL_VU_GET_VRING_BASE, &request, sizeof(request), -1, &reply);
    close_ring(ring);
    if (code < 0)
        return code;
    if (reply.index != index) {
        snprintf(dev->chan.error, sizeof(dev->chan.error),
                 "the back-end answered GET_VRING_BASE for ring %u, not %u", reply.index, index);
        pl_vu_disconnect(&dev->chan);
        return -EPROTO;
    }
    return 0;
}

/* The back-end shares the descriptor and with it O_NONBLOCK: it must not be able to hang us. */
static void keep_nonblocking(int fd)
{
    int flags = fcntl(fd, F_GETFL);

    if (flags >= 0 && !(flags & O_NONBLOCK))
        fcntl(fd, F_SETFL, flags | O_NONBLOCK);
}

void pl_vu_ring_kick(struct pl_vu_dev *dev, uint32_t index)
{
    const uint64_t one = 1;

    if (!dev->rings[index].started)
        return;
    keep_nonblocking(dev->rings[index].kick);
    /* A full counter is a kick that waits already. */
    ssize_t written = write(dev->rings[index].kick, &one, sizeof(one));
    (void)written;
}

bool pl_vu_take_signal(int fd)
{
    uint64_t count;

    if (fd < 0)
        return false;
    keep_nonblocking(fd);
    return read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}
