/* The front-end's requests, turned into the messages of a driver, and the device's answers, turned
 * back. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "port/vhost_user_back.h"

enum { BLOCK_BITS = 32, BLOCK_BYTES = 4, FEATURE_BLOCKS = 2, CONFIG_ROOM = 32 };

static const uint64_t PROTOCOL =
    PL_VU_PF_MQ | PL_VU_PF_REPLY_ACK | PL_VU_PF_CONFIG | PL_VU_PF_STATUS | PL_VU_PF_BACKEND_REQ;

/* --- messages to the device --- */

int pl_back_say(struct pl_back *b, struct pl_msg *m)
{
    m->token = b->next_token++;
    ssize_t size = pl_encode(b->port.spec, m, b->message, sizeof(b->message));

    if (size < 0 || (size_t)size > b->bus.max_msg_size)
        return pl_port_fail(&b->port, -EMSGSIZE,
                            "a message of %u bytes is too small for vhost-user",
                            b->bus.max_msg_size);
    if (!pl_pending_put(&b->todo, b->message, (size_t)size))
        return pl_port_fail(&b->port, -ENOBUFS, "too many messages wait to be taken");
    return 0;
}

static int ask(struct pl_back *b, enum pl_kind kind)
{
    struct pl_msg m = {.kind = kind};
    return pl_back_say(b, &m);
}

static int say_status(struct pl_back *b, uint64_t status)
{
    struct pl_msg m = {.kind = PL_SET_DEVICE_STATUS};
    m.f[PL_F_status] = status;
    return pl_back_say(b, &m);
}

static int ask_features(struct pl_back *b)
{
    struct pl_msg m = {.kind = PL_GET_DEVICE_FEATURES};
    m.f[PL_F_num_blocks] = FEATURE_BLOCKS;
    return pl_back_say(b, &m);
}

static int say_features(struct pl_back *b)
{
    uint8_t blocks[FEATURE_BLOCKS * BLOCK_BYTES];
    struct pl_msg m = {.kind = PL_SET_DRIVER_FEATURES, .data = blocks, .data_len = sizeof(blocks)};

    for (unsigned i = 0; i < sizeof(blocks); i++)
        blocks[i] = (uint8_t)(b->selected >> 8 * i);
    m.f[PL_F_num_blocks] = FEATURE_BLOCKS;
    return pl_back_say(b, &m);
}

static int say_queue(struct pl_back *b, uint32_t index)
{
    const struct pl_back_ring *ring = &b->rings[index];
    struct pl_msg get = {.kind = PL_GET_VQUEUE}, set = {.kind = PL_SET_VQUEUE};

    get.f[PL_F_index] = set.f[PL_F_index] = index;
    set.f[PL_F_flags] = PL_C_SVQ_ENABLE;
    set.f[PL_F_size] = ring->size;
    set.f[PL_F_desc_addr] = ring->descriptor;
    set.f[PL_F_driver_addr] = ring->driver;
    set.f[PL_F_device_addr] = ring->device;
    int code = pl_back_say(b, &get);
    return code < 0 ? code : pl_back_say(b, &set);
}

/* Status 0, and the status until it is 0. */
static int say_reset(struct pl_back *b)
{
    int code = say_status(b, 0);

    b->resetting = true;
    return code < 0 ? code : ask(b, PL_GET_DEVICE_STATUS);
}

int pl_back_greet(struct pl_back *b)
{
    int code = ask(b, PL_GET_DEVICE_INFO);

    if (code == 0)
        code = say_reset(b);
    return code < 0 ? code : pl_back_go_on(b);
}

int pl_back_start(struct pl_back *b)
{
    const uint64_t found = PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER;
    const uint64_t agreed = found | PL_C_STATUS_FEATURES_OK;
    int code = say_status(b, PL_C_STATUS_ACKNOWLEDGE);

    b->started = true;
    if (code == 0)
        code = say_status(b, found);
    if (code == 0)
        code = ask_features(b);
    if (code == 0)
        code = say_features(b);
    if (code == 0)
        code = say_status(b, agreed);
    if (code == 0)
        code = ask(b, PL_GET_DEVICE_STATUS);
    for (uint32_t i = 0; i < b->n_queues && i < PL_VU_QUEUES_MAX && code == 0; i++) {
        b->rings[i].running = pl_back_ring_ready(b, &b->rings[i]);
        if (b->rings[i].running)
            code = say_queue(b, i);
    }
    return code < 0 ? code : say_status(b, agreed | PL_C_STATUS_DRIVER_OK);
}

int pl_back_resume(struct pl_back *b)
{
    int code = 0;

    b->resuming = false;
    for (uint32_t i = 0; i < b->n_queues && code == 0; i++) {
        struct pl_msg event = {.kind = PL_EVENT_AVAIL};
        if (!b->rings[i].kept)
            continue;
        if (!pl_back_ring_ready(b, &b->rings[i]))
            return pl_back_fault(b, "came back without ring %u", i);
        b->rings[i].kept = false;
        event.f[PL_F_vq_index] = i; /* kicks may have been lost meanwhile */
        code = pl_back_say(b, &event);
    }
    return code < 0 ? code : pl_back_go_on(b);
}

int pl_back_start_late(struct pl_back *b, uint32_t index)
{
    struct pl_back_ring *ring = &b->rings[index];

    if (ring->running || !pl_back_ring_ready(b, ring))
        return 0;
    ring->running = true;
    return say_queue(b, index);
}

int pl_back_stop(struct pl_back *b)
{
    if (!b->started)
        return 0;
    b->started = false;
    for (uint32_t i = 0; i < PL_VU_QUEUES_MAX; i++)
        b->rings[i].running = b->rings[i].kept = false;
    b->resuming = false;
    return say_reset(b);
}

/* --- answers to the front-end --- */

static int reply_u64(struct pl_back *b, uint64_t value)
{
    struct pl_vu_u64 word = {.value = value};
    return pl_back_reply(b, &word, sizeof(word));
}

/* The configuration as the device gave it; a refusal has no payload. */
static int reply_config(struct pl_back *b)
{
    struct pl_vu_config *config = &b->request.p.config;

    if (b->config_length != config->size)
        return pl_back_reply(b, NULL, 0);
    memcpy(config->data, b->config, config->size);
    return pl_back_reply(b, config, offsetof(struct pl_vu_config, data) + (size_t)config->size);
}

static uint64_t shown_features(const struct pl_back *b)
{
    const uint64_t ring_reset = UINT64_C(1) << PL_C_F_RING_RESET;
    return (b->offered & ~PL_VU_HIDDEN & ~ring_reset) | PL_VU_F_PROTOCOL_FEATURES;
}

static int reply_base(struct pl_back *b)
{
    struct pl_vu_vring_state state = b->request.p.state;

    state.num = pl_back_ring_base(b, state.index);
    b->rings[state.index].enabled = b->rings[state.index].placed = false;
    return pl_back_reply(b, &state, sizeof(state));
}

/* The device has done all that the request asks for. */
static int finish(struct pl_back *b)
{
    int code;

    switch (b->request.def->request) {
    case PL_VU_GET_FEATURES:
        code = reply_u64(b, shown_features(b));
        break;
    case PL_VU_GET_PROTOCOL_FEATURES:
        code = reply_u64(b, PROTOCOL);
        break;
    case PL_VU_GET_QUEUE_NUM:
        code = reply_u64(b, b->n_queues);
        break;
    case PL_VU_GET_STATUS:
        code = reply_u64(b, b->written);
        break;
    case PL_VU_GET_CONFIG:
        code = reply_config(b);
        break;
    case PL_VU_GET_VRING_BASE:
        code = reply_base(b);
        break;
    case PL_VU_SET_CONFIG:
        code = pl_back_acknowledge(b, b->config_length == b->request.p.config.size);
        break;
    default:
        code = pl_back_acknowledge(b, true);
        break;
    }
    b->answering = false;
    if (code == 0)
        pl_back_forget(b);
    return code;
}

int pl_back_go_on(struct pl_back *b)
{
    struct pl_msg m;

    while (!b->waiting) {
        size_t size = pl_pending_take(&b->todo, b->message, sizeof(b->message));
        if (size == 0)
            return b->answering ? finish(b) : 0;
        if (!pl_pending_put(&b->out, b->message, size))
            return pl_port_fail(&b->port, -ENOBUFS, "too many messages wait to be taken");
        pl_decode(b->port.spec, b->message, size, &m);
        b->waiting = !m.event;
        b->token = m.token;
        b->waits_for = m.kind;
    }
    return 0;
}

/* --- the device's answers --- */

static int take_info(struct pl_back *b, const struct pl_msg *m)
{
    b->config_size = (uint32_t)m->f[PL_F_config_size];
    b->n_queues = (uint32_t)m->f[PL_F_max_virtqueues];
    if (b->n_queues > PL_VU_QUEUES_MAX)
        b->n_queues = PL_VU_QUEUES_MAX;
    return 0;
}

static int take_status(struct pl_back *b, const struct pl_msg *m)
{
    b->status = (uint32_t)m->f[PL_F_status];
    if (b->resetting && m->kind == PL_GET_DEVICE_STATUS) {
        struct pl_msg again = {.kind = PL_GET_DEVICE_STATUS};
        b->resetting = b->status != 0;
        return b->resetting ? pl_back_say(b, &again) : 0; /* nothing but the answer waits behind */
    }
    if (m->kind == PL_GET_DEVICE_STATUS && b->started && !(b->status & PL_C_STATUS_FEATURES_OK))
        return pl_back_fault(b, "selected features 0x%llx, which the device refuses",
                             (unsigned long long)b->selected);
    return 0;
}

static void take_features(struct pl_back *b, const struct pl_msg *m)
{
    b->offered = 0;
    for (uint32_t i = 0; i < m->data_len && i < FEATURE_BLOCKS * BLOCK_BYTES; i++)
        b->offered |= (uint64_t)m->data[i] << 8 * i;
}

static void take_config(struct pl_back *b, const struct pl_msg *m)
{
    b->config_length = m->data_len <= sizeof(b->config) ? m->data_len : 0;
    if (b->config_length)
        memcpy(b->config, m->data, b->config_length);
}

static int take_answer(struct pl_back *b, const struct pl_msg *m)
{
    switch (m->kind) {
    case PL_GET_DEVICE_INFO:
        return take_info(b, m);
    case PL_GET_DEVICE_STATUS:
    case PL_SET_DEVICE_STATUS:
        return take_status(b, m);
    case PL_GET_DEVICE_FEATURES:
        take_features(b, m);
        return 0;
    case PL_GET_CONFIG:
    case PL_SET_CONFIG:
        take_config(b, m);
        return 0;
    default:
        return 0;
    }
}

static void call(struct pl_back *b, uint64_t index)
{
    const uint64_t one = 1;

    if (index < PL_VU_QUEUES_MAX && b->rings[index].running && b->rings[index].call >= 0 &&
        write(b->rings[index].call, &one, sizeof(one)) < 0)
        return; /* a counter that is full signals all the same */
}

int pl_back_hear(struct pl_back *b, const struct pl_msg *m)
{
    if (m->kind == PL_EVENT_USED)
        call(b, m->f[PL_F_vq_index]);
    else if (m->kind == PL_EVENT_CONFIG)
        pl_back_config_changed(b);
    if (!m->response || !b->waiting || m->token != b->token || m->kind != b->waits_for)
        return 0;
    b->waiting = false;
    int code = take_answer(b, m);
    return code < 0 ? code : pl_back_go_on(b);
}

/* --- the front-end's requests --- */

static int take_features_request(struct pl_back *b)
{
    uint64_t value = b->request.p.u64.value;

    if (b->started && (value & ~PL_VU_F_PROTOCOL_FEATURES) != b->selected)
        return pl_back_fault(b, "selected other features while the device was in use");
    b->has_protocol = (value & PL_VU_F_PROTOCOL_FEATURES) != 0;
    b->selected = value & ~PL_VU_F_PROTOCOL_FEATURES;
    return 0;
}

static int take_protocol_features(struct pl_back *b)
{
    uint64_t value = b->request.p.u64.value;

    if (value & ~PROTOCOL)
        return pl_back_fault(b, "selected protocol features 0x%llx, which were not offered",
                             (unsigned long long)(value & ~PROTOCOL));
    b->protocol = value;
    return 0;
}

static int take_status_request(struct pl_back *b)
{
    uint64_t status = b->request.p.u64.value;

    b->written = (uint32_t)status;
    if (status == 0)
        return pl_back_stop(b);
    if (!(status & PL_C_STATUS_DRIVER_OK) || (b->started && !b->resuming))
        return 0;
    return b->started ? pl_back_resume(b) : pl_back_start(b);
}

static int take_config_request(struct pl_back *b, enum pl_kind kind)
{
    const struct pl_vu_config *c = &b->request.p.config;
    struct pl_msg m = {.kind = kind};

    b->config_length = UINT32_MAX;
    if (c->offset > b->config_size || c->size > b->config_size - c->offset || c->size == 0 ||
        c->size + CONFIG_ROOM > b->bus.max_msg_size)
        return 0; /* refused */
    m.f[PL_F_offset] = c->offset;
    m.f[PL_F_length] = c->size;
    if (kind == PL_SET_CONFIG) {
        m.data = c->data;
        m.data_len = c->size;
    }
    return pl_back_say(b, &m);
}

static int take_base_request(struct pl_back *b)
{
    if (b->request.p.state.index >= b->n_queues)
        return pl_back_fault(b, "sent GET_VRING_BASE for ring %u, and there are %u",
                             b->request.p.state.index, b->n_queues);
    return pl_back_stop(b);
}

static int take_backend_fd(struct pl_back *b)
{
    if (b->request.n_fds != 1)
        return pl_back_fault(b, "sent SET_BACKEND_REQ_FD with %u descriptors, not 1",
                             b->request.n_fds);
    if (b->backend_fd >= 0)
        close(b->backend_fd);
    b->backend_fd = pl_back_take_fd(b);
    return 0;
}

static int dispatch(struct pl_back *b)
{
    switch (b->request.def->request) {
    case PL_VU_GET_FEATURES:
        return ask_features(b);
    case PL_VU_SET_FEATURES:
        return take_features_request(b);
    case PL_VU_SET_PROTOCOL_FEATURES:
        return take_protocol_features(b);
    case PL_VU_SET_MEM_TABLE:
        return pl_back_share(b);
    case PL_VU_SET_VRING_NUM:
    case PL_VU_SET_VRING_BASE:
    case PL_VU_SET_VRING_ENABLE:
        return pl_back_ring_state(b);
    case PL_VU_SET_VRING_ADDR:
        return pl_back_ring_address(b);
    case PL_VU_SET_VRING_KICK:
    case PL_VU_SET_VRING_CALL:
    case PL_VU_SET_VRING_ERR:
        return pl_back_ring_fd(b);
    case PL_VU_GET_VRING_BASE:
        return take_base_request(b);
    case PL_VU_GET_CONFIG:
        return take_config_request(b, PL_GET_CONFIG);
    case PL_VU_SET_CONFIG:
        return take_config_request(b, PL_SET_CONFIG);
    case PL_VU_SET_STATUS:
        return take_status_request(b);
    case PL_VU_RESET_DEVICE:
        return pl_back_stop(b);
    case PL_VU_SET_BACKEND_REQ_FD:
        return take_backend_fd(b);
    default: /* SET_OWNER, and what is answered without the device */
        return 0;
    }
}

int pl_back_take(struct pl_back *b)
{
    int code = dispatch(b);

    if (code < 0)
        return code;
    b->answering = true;
    return pl_back_go_on(b);
}
