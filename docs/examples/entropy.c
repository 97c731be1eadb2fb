/* A whole virtio-msg device: entropy, one split virtqueue. For little-endian machines. */
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "carrier.h"

enum { RESPONSE = 1, BUS = 2 }; /* bits of type */
enum {
    GET_DEVICE_INFO = 2,
    GET_DEVICE_FEATURES,
    SET_DRIVER_FEATURES,
    GET_CONFIG,
    SET_CONFIG,
    GET_DEVICE_STATUS,
    SET_DEVICE_STATUS,
    GET_VQUEUE,
    SET_VQUEUE,
    RESET_VQUEUE,
    GET_SHM,
    EVENT_CONFIG = 0x40,
    EVENT_AVAIL,
    EVENT_USED
};
enum { QUEUE_MAX = 64, MOST = 65536 };
#define FEATURES_OK ((uint32_t)VIRTIO_CONFIG_S_FEATURES_OK)
#define NEEDS_RESET ((uint32_t)VIRTIO_CONFIG_S_NEEDS_RESET)
static const uint32_t offered[2] = {0, 1u << (VIRTIO_F_VERSION_1 - 32) |
                                           1u << (VIRTIO_F_RING_RESET - 32)};

struct message {
    uint8_t type, id;
    uint16_t device, token, size;
    uint32_t word[16384]; /* the payload */
};
struct device {
    struct carrier carrier;
    uint32_t status;
    uint32_t selected[2], far; /* the driver's features, and those of blocks that are not there */
    uint32_t size, enabled;    /* of the only queue */
    uint64_t address[3];       /* its descriptors, driver area, device area */
    uint16_t seen, used;
};

static void event(struct device *d, uint8_t id, const uint32_t *word, size_t n)
{
    struct message m = {.id = id, .size = (uint16_t)(8 + 4 * n)};
    memcpy(m.word, word, 4 * n);
    carrier_send(&d->carrier, &m, m.size);
}

/* What the driver did to the queue makes no sense: stop until it resets the device. */
static void fail(struct device *d)
{
    d->status |= NEEDS_RESET;
    if (d->status & VIRTIO_CONFIG_S_DRIVER_OK)
        event(d, EVENT_CONFIG, (const uint32_t[]){d->status, 0, 0, 0}, 4);
}

/* Bus address to pointer; NULL where not all of it is in the shared memory, or it is misaligned. */
static void *at(const struct device *d, uint64_t address, uint64_t size, uint64_t align)
{
    const struct carrier *c = &d->carrier;
    uint64_t offset = address - c->mem_base;
    bool good = offset <= c->mem_size && size <= c->mem_size - offset && address % align == 0;
    return good && c->mem ? c->mem + offset : NULL;
}

/*
 * Fill the buffers of a chain with random bytes, MOST of them, so that no driver can keep the
 * device busy with one chain; how many, or -1 for a broken chain.
 */
static int64_t fill(const struct device *d, uint16_t id)
{
    const struct vring_desc *table = at(d, d->address[0], 16 * d->size, 16);
    uint32_t written = 0;
    for (uint32_t n = 0; n < d->size && id < d->size; n++) {
        struct vring_desc one = table[id]; /* a copy: the driver can change the original */
        uint8_t *buffer = at(d, one.addr, one.len, 1);
        uint32_t end = written + (one.len < MOST - written ? one.len : MOST - written);
        if (!buffer || one.flags & VRING_DESC_F_INDIRECT)
            return -1;
        while (one.flags & VRING_DESC_F_WRITE && written < end) {
            ssize_t got = getrandom(buffer, end - written < 256 ? end - written : 256, 0);
            if (got < 0)
                return -1;
            buffer += got;
            written += (uint32_t)got;
        }
        if (!(one.flags & VRING_DESC_F_NEXT))
            return written;
        id = one.next;
    }
    return -1;
}

static void serve(struct device *d)
{
    const struct vring_avail *avail = at(d, d->address[1], 4 + 2 * d->size, 2);
    struct vring_used *used = at(d, d->address[2], 4 + 8 * d->size, 4);
    bool any = false;
    if (!(d->status & VIRTIO_CONFIG_S_DRIVER_OK) || !d->enabled || d->status & NEEDS_RESET)
        return;
    if (!avail || !used || !at(d, d->address[0], 16 * d->size, 16))
        return fail(d);
    for (uint16_t ahead;
         (ahead = (uint16_t)(__atomic_load_n(&avail->idx, __ATOMIC_ACQUIRE) - d->seen)) > 0;) {
        if (ahead > d->size)
            return fail(d); /* no ring holds so many */
        uint16_t id = avail->ring[d->seen++ % d->size];
        int64_t written = fill(d, id);
        if (written < 0)
            return fail(d);
        used->ring[d->used % d->size] = (struct vring_used_elem){id, (uint32_t)written};
        __atomic_store_n(&used->idx, ++d->used, __ATOMIC_SEQ_CST);
        any = true;
    }
    if (any && !(__atomic_load_n(&avail->flags, __ATOMIC_SEQ_CST) & VRING_AVAIL_F_NO_INTERRUPT))
        event(d, EVENT_USED, (const uint32_t[]){0}, 1);
}

static void reset_queue(struct device *d)
{
    d->size = d->enabled = d->seen = d->used = 0;
    memset(d->address, 0, sizeof(d->address));
}

static void set_status(struct device *d, uint32_t status)
{
    bool refused = d->far || d->selected[0] & ~offered[0] || d->selected[1] & ~offered[1] ||
                   !(d->selected[1] & 1u << (VIRTIO_F_VERSION_1 - 32));
    d->status = (status & 0xff & ~NEEDS_RESET) | (d->status & NEEDS_RESET);
    if (refused)
        d->status &= ~FEATURES_OK;
    if (status != 0)
        return;
    d->status = d->selected[0] = d->selected[1] = d->far = 0;
    reset_queue(d);
}

static void select_features(struct device *d, const uint32_t *in)
{
    for (uint64_t i = 0; i < in[1] && !(d->status & FEATURES_OK); i++)
        if (in[0] + i < 2)
            d->selected[in[0] + i] = in[2 + i];
        else
            d->far |= in[2 + i];
}

/* All of it or nothing; the answer is the same. */
static void set_queue(struct device *d, const uint32_t *in)
{
    uint32_t state = in[1] & 3, size = in[1] & 4 ? d->size : in[2];
    if (in[0] != 0 || in[3] != 0 || in[1] > 0x3f || state == 3)
        return;
    if (d->enabled && (state == 0 || (in[1] & 0x3c) != 0x3c))
        return;
    if (size > QUEUE_MAX || (size & (size - 1)) || ((size == 0) && (state == 1 || !(in[1] & 4))))
        return;
    d->size = size;
    for (unsigned i = 0; i < 3; i++)
        if (!(in[1] & 8u << i))
            memcpy(&d->address[i], in + 4 + 2 * i, 8);
    d->enabled |= state == 1;
}

/* The answer to a whole, well-formed request: how many words, or -1 where there is none. */
static int answer(struct device *d, const struct message *m, uint32_t *out)
{
    const uint32_t *in = m->word;
    switch (m->id) {
    case GET_DEVICE_INFO:
        out[0] = VIRTIO_ID_RNG;
        memcpy(out + 2, (const uint8_t[16]){[6] = 0x40, [8] = 0x80, [15] = 1}, 16); /* UUID */
        out[6] = 2; /* feature blocks */
        out[8] = 1; /* virtqueues */
        return 11;
    case GET_DEVICE_FEATURES:
        if (8 + 4 * (2 + (uint64_t)in[1]) > d->carrier.max_msg_size)
            return -1;
        out[0] = in[0], out[1] = in[1];
        for (uint32_t i = 0; i < in[1]; i++)
            out[2 + i] = (uint64_t)in[0] + i < 2 ? offered[in[0] + i] : 0;
        return 2 + (int)in[1];
    case SET_DRIVER_FEATURES:
        select_features(d, in);
        return 0;
    case GET_CONFIG: /* an entropy device has no configuration: nothing at 0 is all there is */
        return in[0] || in[1] ? -1 : 3;
    case SET_CONFIG:
        return in[1] || in[2] ? -1 : 3;
    case SET_DEVICE_STATUS:
        set_status(d, in[0]);
        /* fall through */
    case GET_DEVICE_STATUS:
        out[0] = d->status;
        return 1;
    case GET_VQUEUE:
        out[0] = in[0];
        if (in[0] == 0) {
            out[1] = QUEUE_MAX, out[2] = d->size, out[3] = d->enabled;
            memcpy(out + 4, d->address, 24);
        }
        return 10;
    case SET_VQUEUE:
        set_queue(d, in);
        return 0;
    case RESET_VQUEUE:
        if (in[0] == 0 && d->selected[1] & 1u << (VIRTIO_F_RING_RESET - 32))
            reset_queue(d);
        return 0;
    case GET_SHM: /* none */
        out[0] = in[0];
        return 6;
    default:
        return -1;
    }
}

/* Bytes that a message's payload has, by what it says itself; UINT64_MAX: no such message. */
static uint64_t payload(const struct message *m, size_t there)
{
    static const uint8_t fixed[] = {
        [GET_DEVICE_FEATURES] = 8, [SET_DRIVER_FEATURES] = 8, [GET_CONFIG] = 8,
        [SET_CONFIG] = 12,         [SET_DEVICE_STATUS] = 4,   [GET_VQUEUE] = 4,
        [SET_VQUEUE] = 40,         [RESET_VQUEUE] = 4,        [GET_SHM] = 4,
        [EVENT_AVAIL] = 8};
    if (m->id >= sizeof(fixed) || there < fixed[m->id])
        return UINT64_MAX;
    if (m->id == SET_DRIVER_FEATURES)
        return 8 + 4 * (uint64_t)m->word[1];
    return fixed[m->id] + (m->id == SET_CONFIG ? (uint64_t)m->word[2] : 0);
}

static void message(struct device *d, const struct message *m, size_t size)
{
    static struct message out;
    bool mine = size >= 8 && m->size == size && !(m->type & (RESPONSE | BUS)) && m->device == 0;
    if (!mine || payload(m, size - 8) != size - 8)
        return; /* what is malformed, unknown or somebody else's is discarded */
    if (m->id == EVENT_AVAIL) {
        if (m->word[0] == 0)
            serve(d);
        return;
    }
    memset(&out, 0, 8 + 4 * 11);
    int words = answer(d, m, out.word);
    if (words < 0)
        return;
    out.type = RESPONSE, out.id = m->id, out.token = m->token;
    out.size = (uint16_t)(8 + 4 * words);
    carrier_send(&d->carrier, &out, out.size);
}

/* Do what the harness asks for beside the messages: one line, one answer. */
static void control(struct device *d)
{
    char line[256];
    ssize_t n = read(d->carrier.ctl_fd, line, sizeof(line) - 1);
    if (n <= 0) {
        d->carrier.ctl_fd = -1;
        return;
    }
    line[n] = '\0';
    bool known = strcmp(line, "needs-reset 0\n") == 0;
    if (known)
        fail(d);
    const char *reply = known ? "ok\n" : "unsupported\n";
    if (write(d->carrier.ctl_fd, reply, strlen(reply)) < 0)
        d->carrier.ctl_fd = -1;
}

/* entropy [--connect ADDRESS | --listen ADDRESS] [MEMORY] */
int main(int argc, char **argv)
{
    static struct device d;
    static struct message m;
    int size = 0;
    carrier_open(&d.carrier, argc > 2 ? argv[1] : NULL, argc > 2 ? argv[2] : NULL,
                 argc > 3 ? argv[3] : NULL);
    while (size >= 0) {
        if (carrier_wait(&d.carrier))
            control(&d);
        while ((size = carrier_receive(&d.carrier, &m)) > 0)
            message(&d, &m, (size_t)size);
    }
    return 0;
}
