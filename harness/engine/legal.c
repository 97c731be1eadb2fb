/* The random legal driver: lives of a device, each from reset to reset. */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "engine/legal.h"
#include "engine/vq.h"
#include "wire/random.h"

enum {
    BLOCKS = 2,
    QUEUES = 8,
    WORK_MAX = 60,
    SIZE_MAX_DRAWN = 128,
    DATA_MAX = 2048,
    READ_MAX = 64
};

/* --- what the device's type understands --- */

static uint64_t draw_from(uint64_t *x, uint64_t below)
{
    return pl_random(x) % below;
}

size_t pl_legal_buffers(uint32_t device, uint32_t queue, uint64_t *random, struct pl_vq_buffer *out)
{
    static const uint8_t zeros[DATA_MAX];
    bool to_device = queue == 1;
    if (device == VIRTIO_ID_BLOCK && queue == 0) {
        out[0] = (struct pl_vq_buffer){sizeof(struct virtio_blk_outhdr), false, zeros};
        out[1] = (struct pl_vq_buffer){512 * (1 + (uint32_t)draw_from(random, 3)), true, NULL};
        out[2] = (struct pl_vq_buffer){1, true, NULL};
        return 3;
    }
    if (device == VIRTIO_ID_RNG && queue == 0) {
        size_t n = 1 + draw_from(random, 3);
        for (size_t i = 0; i < n; i++)
            out[i] = (struct pl_vq_buffer){1 + (uint32_t)draw_from(random, 200), true, NULL};
        return n;
    }
    if (device == VIRTIO_ID_CONSOLE && queue < 2) {
        out[0] = (struct pl_vq_buffer){1 + (uint32_t)draw_from(random, 100), !to_device, NULL};
        return 1;
    }
    if (device == VIRTIO_ID_NET && queue < 2) {
        out[0] = (struct pl_vq_buffer){to_device ? sizeof(struct virtio_net_hdr_v1) : DATA_MAX,
                                       !to_device, to_device ? zeros : NULL};
        out[1] = (struct pl_vq_buffer){60 + (uint32_t)draw_from(random, 1000), false, NULL};
        return to_device ? 2 : 1;
    }
    return 0;
}

bool pl_legal_comes_back(uint32_t device, uint32_t queue)
{
    return device == VIRTIO_ID_BLOCK || device == VIRTIO_ID_RNG || queue == 1;
}

/* One life of a device, as its driver knows it. */
struct life {
    struct pl_session *s;
    uint64_t *random;
    struct pl_vq *vq; /* NULL: no memory is shared */
    uint32_t offered[BLOCKS], taken[BLOCKS];
    uint32_t status;
    unsigned queues; /* that are enabled, from 0 on */
    uint32_t device, config_size, max_virtqueues;
    uint8_t bytes[DATA_MAX];
};

static uint64_t draw(struct life *l, uint64_t below)
{
    return draw_from(l->random, below);
}

static int ask(struct life *l, struct pl_msg *m)
{
    int err = pl_session_ask(l->s, m);
    return err == -ETIMEDOUT && l->s->alive && !l->s->stuck ? 0 : err;
}

static bool taken(const struct life *l, uint64_t bit)
{
    return l->taken[bit / 32] >> (bit % 32) & 1;
}

/* --- requests that are legal at any time --- */

static int set_status(struct life *l, uint64_t status)
{
    struct pl_msg m = {.kind = PL_SET_DEVICE_STATUS};
    m.f[PL_F_status] = status;
    int err = ask(l, &m);
    if (!err && status == 0)
        err = pl_session_await_reset(l->s);
    l->status = (uint32_t)l->s->last.f[PL_F_status];
    return err;
}

/* How many bytes of configuration a message has room for. */
static uint32_t config_room(const struct life *l)
{
    const struct pl_message_def *def = pl_spec_message(l->s->spec, PL_GET_CONFIG);
    uint32_t room = l->s->bus.max_msg_size - l->s->spec->header.size - def->response->size;
    return room < READ_MAX ? room : READ_MAX;
}

static int read_config(struct life *l)
{
    struct pl_msg m = {.kind = PL_GET_CONFIG};
    if (!l->config_size || !config_room(l))
        return 0;
    m.f[PL_F_offset] = draw(l, l->config_size);
    uint64_t left = l->config_size - m.f[PL_F_offset], room = config_room(l);
    m.f[PL_F_length] = 1 + draw(l, left < room ? left : room);
    return ask(l, &m);
}

static int read_queue(struct life *l)
{
    struct pl_msg m = {.kind = PL_GET_VQUEUE};
    m.f[PL_F_index] = draw(l, l->max_virtqueues + 2);
    return ask(l, &m);
}

static int read_features(struct life *l)
{
    struct pl_msg m = {.kind = PL_GET_DEVICE_FEATURES};
    m.f[PL_F_block_index] = draw(l, BLOCKS);
    m.f[PL_F_num_blocks] = 1 + draw(l, BLOCKS);
    return ask(l, &m);
}

static int look(struct life *l)
{
    struct pl_msg info = {.kind = PL_GET_DEVICE_INFO}, status = {.kind = PL_GET_DEVICE_STATUS};
    switch (draw(l, 6)) {
    case 0:
        return ask(l, &info);
    case 1:
        return read_features(l);
    case 2:
        return read_queue(l);
    case 3:
        return ask(l, &status);
    default:
        return read_config(l);
    }
}

static int look_around(struct life *l, uint64_t most)
{
    int err = 0;
    for (uint64_t n = draw(l, most + 1); n && !err; n--)
        err = look(l);
    return err;
}

/* --- negotiation --- */

static int learn(struct life *l)
{
    struct pl_msg info = {.kind = PL_GET_DEVICE_INFO}, m = {.kind = PL_GET_DEVICE_FEATURES};
    int err = ask(l, &info);
    if (err)
        return err;
    l->device = (uint32_t)l->s->last.f[PL_F_device_id];
    l->config_size = (uint32_t)l->s->last.f[PL_F_config_size];
    l->max_virtqueues = (uint32_t)l->s->last.f[PL_F_max_virtqueues];
    m.f[PL_F_num_blocks] = BLOCKS;
    err = ask(l, &m);
    for (size_t i = 0; !err && i < BLOCKS && 4 * i + 3 < l->s->last.data_len; i++)
        for (unsigned b = 0; b < 4; b++)
            l->offered[i] |= (uint32_t)l->s->last.data[4 * i + b] << (8 * b);
    return err;
}

/*
 * Features that depend on each other are taken all or none: those of the device's type. Those of
 * rings are free; what this driver knows nothing of it leaves.
 */
static void choose(struct life *l)
{
    static const uint64_t rings[] = {PL_C_F_INDIRECT_DESC, PL_C_F_EVENT_IDX,
                                     PL_C_F_RING_PACKED,   PL_C_F_IN_ORDER,
                                     PL_C_F_RING_RESET,    PL_C_F_NOTIFICATION_DATA};
    const uint32_t types = (UINT32_C(1) << 24) - 1;
    l->taken[0] = draw(l, 2) ? l->offered[0] & types : 0;
    l->taken[1] = l->offered[1] & UINT32_C(1) << (PL_C_F_VERSION_1 - 32);
    for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++)
        if (draw(l, 2))
            l->taken[rings[i] / 32] |= l->offered[rings[i] / 32] & UINT32_C(1) << (rings[i] % 32);
}

static int negotiate(struct life *l)
{
    uint64_t so_far = PL_C_STATUS_ACKNOWLEDGE;
    int err = set_status(l, so_far);
    so_far |= PL_C_STATUS_DRIVER;
    err = err ? err : look_around(l, 2);
    err = err ? err : set_status(l, so_far);
    err = err ? err : learn(l);
    if (err)
        return err;
    choose(l);
    struct pl_msg m = {.kind = PL_SET_DRIVER_FEATURES, .data = l->bytes, .data_len = 4 * BLOCKS};
    m.f[PL_F_num_blocks] = BLOCKS;
    for (size_t i = 0; i < sizeof(l->taken); i++)
        l->bytes[i] = (uint8_t)(l->taken[i / 4] >> (8 * (i % 4)));
    err = ask(l, &m);
    err = err ? err : look_around(l, 3);
    return err ? err : set_status(l, so_far | PL_C_STATUS_FEATURES_OK);
}

/* --- virtqueues --- */

static uint32_t queue_size(struct life *l, uint32_t max)
{
    uint32_t size = 1 + (uint32_t)draw(l, max < SIZE_MAX_DRAWN ? max : SIZE_MAX_DRAWN);
    while (!taken(l, PL_C_F_RING_PACKED) && (size & (size - 1)))
        size &= size - 1;
    return size;
}

static int lay(struct life *l, uint32_t index, uint32_t max)
{
    const struct pl_vq_features f = {.packed = taken(l, PL_C_F_RING_PACKED),
                                     .indirect = taken(l, PL_C_F_INDIRECT_DESC),
                                     .event_idx = taken(l, PL_C_F_EVENT_IDX),
                                     .in_order = taken(l, PL_C_F_IN_ORDER),
                                     .notification_data = taken(l, PL_C_F_NOTIFICATION_DATA),
                                     .ring_reset = taken(l, PL_C_F_RING_RESET)};
    return pl_vq_lay(l->vq, index, queue_size(l, max), &f);
}

static int enable(struct life *l, uint32_t index)
{
    struct pl_msg get = {.kind = PL_GET_VQUEUE}, set = {.kind = PL_SET_VQUEUE};
    struct pl_vq_queue q;
    get.f[PL_F_index] = set.f[PL_F_index] = index;
    int err = ask(l, &get);
    uint32_t max = (uint32_t)l->s->last.f[PL_F_max_size];
    if (err || !max || lay(l, index, max) || !pl_vq_look_up(l->vq, &q))
        return err ? err : -ENOSPC;
    set.f[PL_F_flags] = PL_C_SVQ_ENABLE;
    set.f[PL_F_size] = q.setup.size;
    set.f[PL_F_desc_addr] = q.setup.desc_addr;
    set.f[PL_F_driver_addr] = q.setup.driver_addr;
    set.f[PL_F_device_addr] = q.setup.device_addr;
    err = ask(l, &set);
    return err ? err : ask(l, &get);
}

static int enable_all(struct life *l)
{
    int err = 0;
    for (uint32_t i = 0; l->vq && i < l->max_virtqueues && i < QUEUES && !err; i++) {
        err = enable(l, i);
        l->queues += !err;
    }
    return err == -ENOSPC ? 0 : err;
}

/* --- work --- */

static int use_queue(struct life *l, uint32_t queue)
{
    struct pl_vq_buffer list[PL_LEGAL_BUFFERS];
    unsigned added = 0;
    for (uint64_t n = 1 + draw(l, 4); n; n--) {
        size_t k = pl_legal_buffers(l->device, queue, l->random, list);
        bool indirect = taken(l, PL_C_F_INDIRECT_DESC) && draw(l, 2);
        if (!k || pl_vq_chain(l->vq, queue, list, k, indirect, NULL))
            break;
        added++;
    }
    if (!added || pl_vq_publish(l->vq, queue))
        return 0;
    int err = pl_vq_kick(l->vq, queue, false);
    if (err || !pl_legal_comes_back(l->device, queue))
        return err;
    err = pl_vq_await(l->vq, queue, 0, NULL);
    return err < 0 ? err : 0;
}

static int suppress(struct life *l, uint32_t queue)
{
    enum pl_ring_notify when = draw(l, 2) ? PL_RING_NOTIFY_NEVER : PL_RING_NOTIFY_ALWAYS;
    return pl_vq_notify(l->vq, queue, when, 0);
}

static int work(struct life *l)
{
    int err = 0;
    for (uint64_t n = draw(l, WORK_MAX); n && !err; n--) {
        uint64_t what = draw(l, 10);
        uint32_t queue = l->queues ? (uint32_t)draw(l, l->queues) : 0;
        if (what < 3 || !l->queues)
            err = look(l);
        else if (what < 4)
            err = suppress(l, queue);
        else
            err = use_queue(l, queue);
    }
    return err;
}

static int live(struct life *l)
{
    const uint64_t ok = PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER | PL_C_STATUS_FEATURES_OK;
    int err = set_status(l, 0);
    err = err ? err : look_around(l, 2);
    err = err ? err : negotiate(l);
    if (err || (l->status & ok) != ok)
        return err; /* refused: the device may */
    if (draw(l, 16))
        err = enable_all(l);
    err = err ? err : look_around(l, 3);
    if (!err && draw(l, 16)) {
        err = set_status(l, ok | PL_C_STATUS_DRIVER_OK);
        err = err ? err : work(l);
    }
    return err;
}

int pl_legal_run(struct pl_session *s, uint64_t *random, uint64_t messages)
{
    uint64_t end = s->numbers + messages;
    char why[128];
    int err = 0;
    while (s->numbers < end && !err) {
        struct life l = {.s = s, .random = random, .vq = pl_vq_of(s, why, sizeof(why))};
        pl_session_begin(s);
        if (l.vq)
            pl_vq_begin(l.vq, draw(&l, UINT32_MAX));
        err = live(&l);
        if (l.vq)
            pl_vq_end(l.vq);
        if (!s->alive || s->stuck)
            err = err ? err : -EPIPE;
        else
            pl_session_tell(s, "settle");
    }
    return err;
}
