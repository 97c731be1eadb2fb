/* The gateway's answers: each virtio-msg request, turned into what the back-end is asked for it. */
#include <errno.h>
#include <string.h>

#include "port/vhost_user_gateway.h"

/* Feature blocks that vhost-user's 64 bits fill. */
enum { BLOCK_BITS = 32, BLOCK_BYTES = 4, FEATURE_BLOCKS = 2 };

static bool keeps_status(const struct pl_gateway *gw)
{
    return (gw->dev.protocol & PL_VU_PF_STATUS) != 0;
}

static bool strict(const struct pl_gateway *gw)
{
    return (gw->bus.features >> PL_C_TF_STRICT_CONFIG_GENERATION & 1) != 0;
}

static void put_le32(uint8_t *out, uint32_t value)
{
    for (unsigned i = 0; i < BLOCK_BYTES; i++)
        out[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t get_le32(const uint8_t *in)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < BLOCK_BYTES; i++)
        value |= (uint32_t)in[i] << 8 * i;
    return value;
}

/* Turn a request into the frame of its answer: same kind, number and token. */
static struct pl_msg answer_to(const struct pl_msg *m)
{
    struct pl_msg answer = {.def = m->def,
                            .kind = m->kind,
                            .response = true,
                            .bus = m->bus,
                            .dev_num = m->dev_num,
                            .token = m->token};
    return answer;
}

int pl_gw_put(struct pl_gateway *gw, struct pl_msg *m)
{
    ssize_t size = pl_encode(gw->port.spec, m, gw->message, sizeof(gw->message));

    if (size < 0 || (size_t)size > gw->bus.max_msg_size)
        return 0;
    return pl_pending_put(&gw->out, gw->message, (size_t)size) ? 0 : -ENOBUFS;
}

static int take_device_info(struct pl_gateway *gw, struct pl_msg *answer)
{
    /* The UUID stays nil: vhost-user knows none. */
    answer->f[PL_F_device_id] = gw->dev.type->id;
    answer->f[PL_F_num_feature_blocks] = FEATURE_BLOCKS;
    answer->f[PL_F_config_size] = gw->dev.config_size;
    answer->f[PL_F_max_virtqueues] = gw->dev.n_queues;
    return pl_gw_put(gw, answer);
}

static int take_get_features(struct pl_gateway *gw, const struct pl_msg *m, struct pl_msg *answer)
{
    uint64_t first = m->f[PL_F_block_index], count = m->f[PL_F_num_blocks], offered = 0;

    if (count > gw->bus.max_msg_size / BLOCK_BYTES) /* no answer of this bus could hold it */
        return 0;
    int code = pl_vu_dev_features(&gw->dev, &offered);
    if (code < 0)
        return code;
    uint8_t blocks[(PL_MSG_MAX / BLOCK_BYTES + 1) * BLOCK_BYTES];
    for (uint64_t i = 0; i < count; i++) {
        uint64_t block = first + i;
        uint64_t bits = block < FEATURE_BLOCKS ? offered >> block * BLOCK_BITS : 0;
        put_le32(blocks + i * BLOCK_BYTES, (uint32_t)bits);
    }
    answer->f[PL_F_block_index] = first;
    answer->f[PL_F_num_blocks] = count;
    answer->data = blocks;
    answer->data_len = (uint32_t)(count * BLOCK_BYTES);
    return pl_gw_put(gw, answer);
}

static int take_set_features(struct pl_gateway *gw, const struct pl_msg *m, struct pl_msg *answer)
{
    uint64_t first = m->f[PL_F_block_index];

    for (uint64_t i = 0; i * BLOCK_BYTES < m->data_len && first + i < FEATURE_BLOCKS; i++) {
        uint64_t shift = (first + i) * BLOCK_BITS;
        if (gw->status & PL_C_STATUS_FEATURES_OK)
            break;
        gw->selected &= ~((uint64_t)UINT32_MAX << shift);
        gw->selected |= (uint64_t)get_le32(m->data + i * BLOCK_BYTES) << shift;
    }
    return pl_gw_put(gw, answer);
}

int pl_gw_refresh_config(struct pl_gateway *gw)
{
    uint8_t now[PL_VU_CONFIG_MAX] = {0};
    int code = pl_vu_dev_config(&gw->dev, now);

    if (code < 0)
        return code;
    if (memcmp(now, gw->config, sizeof(now)) != 0) {
        memcpy(gw->config, now, sizeof(now));
        gw->generation++;
    }
    return 0;
}

static bool in_config(const struct pl_gateway *gw, const struct pl_msg *m)
{
    uint64_t offset = m->f[PL_F_offset], length = m->f[PL_F_length];
    return offset <= gw->dev.config_size && length <= gw->dev.config_size - offset;
}

static int take_get_config(struct pl_gateway *gw, const struct pl_msg *m, struct pl_msg *answer)
{
    if (!in_config(gw, m))
        return 0;
    int code = pl_gw_refresh_config(gw);
    if (code < 0)
        return code;
    answer->f[PL_F_generation] = gw->generation;
    answer->f[PL_F_offset] = m->f[PL_F_offset];
    answer->f[PL_F_length] = m->f[PL_F_length];
    answer->data = gw->config + m->f[PL_F_offset];
    answer->data_len = (uint32_t)m->f[PL_F_length];
    return pl_gw_put(gw, answer);
}

/*
 * Whether a write goes to the back-end at all. As any front-end does, the gateway forwards writes
 * of fields that are a driver's to write and no others: back-ends close the connection on those.
 */
static bool writable(const struct pl_gateway *gw, const struct pl_msg *m)
{
    uint64_t offset = m->f[PL_F_offset], length = m->f[PL_F_length];

    for (size_t i = 0; i < gw->dev.type->n_writable; i++) {
        const struct pl_vu_writable *field = &gw->dev.type->writable[i];
        if ((gw->settled & field->feature) && offset >= field->offset && length <= field->size &&
            offset - field->offset <= field->size - length)
            return true;
    }
    return false;
}

static int take_set_config(struct pl_gateway *gw, const struct pl_msg *m, struct pl_msg *answer)
{
    bool applied = false;
    int code = 0;

    if (!in_config(gw, m))
        return 0;
    bool stale = strict(gw) && m->f[PL_F_generation] != gw->generation;
    if (m->f[PL_F_length] && !stale && writable(gw, m)) {
        code = pl_vu_dev_write_config(&gw->dev, (uint32_t)m->f[PL_F_offset], m->data, m->data_len);
        if (code < 0 && code != -EREMOTEIO)
            return code;
        applied = code >= 0;
        code = pl_gw_refresh_config(gw);
    }
    if (code < 0)
        return code;
    answer->f[PL_F_generation] = gw->generation;
    answer->f[PL_F_offset] = m->f[PL_F_offset];
    answer->f[PL_F_length] = applied ? m->f[PL_F_length] : 0;
    answer->data = m->data;
    answer->data_len = applied ? m->data_len : 0;
    return pl_gw_put(gw, answer);
}

static int read_status(struct pl_gateway *gw)
{
    return keeps_status(gw) && !gw->broken ? pl_vu_dev_status(&gw->dev, &gw->status) : 0;
}

static int put_status(struct pl_gateway *gw, struct pl_msg *answer)
{
    answer->f[PL_F_status] = gw->status;
    return pl_gw_put(gw, answer);
}

static int take_get_status(struct pl_gateway *gw, struct pl_msg *answer)
{
    uint64_t ignored = 0;
    int code = read_status(gw);

    /* Fences ask for the status: one that means anything has been at the back-end and back. */
    if (code >= 0 && !keeps_status(gw) && (gw->status & PL_C_STATUS_DRIVER_OK))
        code = pl_vu_dev_features(&gw->dev, &ignored);
    return code < 0 ? code : put_status(gw, answer);
}

/* End the connection and begin another: a back-end has let go of everything when it answers. */
static int reset_by_reconnecting(struct pl_gateway *gw)
{
    pl_vu_dev_close(&gw->dev);
    return pl_gw_connect(gw);
}

static int reset_device(struct pl_gateway *gw)
{
    int code = gw->reset_reconnects ? reset_by_reconnecting(gw) : pl_vu_dev_reset(&gw->dev);

    if (code < 0)
        return code;
    pl_gw_forget_queues(gw);
    gw->broken = 0;
    gw->selected = gw->settled = 0;
    gw->status = 0;
    return read_status(gw);
}

/*
 * Hand the driver's selection to the back-end: 0, 1 where it cannot be supported, or an error. What
 * was not offered is refused here: vhost-user lets a back-end close the connection on it, and
 * common ones do so without VERSION_1 too.
 */
static int settle_features(struct pl_gateway *gw)
{
    const uint64_t version_1 = UINT64_C(1) << PL_C_F_VERSION_1;
    uint64_t offered = 0;
    int code = pl_vu_dev_features(&gw->dev, &offered);

    if (code < 0)
        return code;
    if ((gw->selected & ~offered) || !(gw->selected & version_1))
        return 1;
    code = pl_vu_dev_select(&gw->dev, gw->selected);
    if (code == -EREMOTEIO)
        return 1;
    if (code >= 0)
        gw->settled = gw->selected;
    return code;
}

/* Write a status other than 0. Bits only come on: what clearing one means is undefined. */
static int raise_status(struct pl_gateway *gw, uint32_t wanted)
{
    uint32_t fresh = wanted & ~gw->status;
    int code = 0;

    if (gw->broken)
        return 0;
    if (fresh & PL_C_STATUS_FEATURES_OK) {
        code = settle_features(gw);
        if (code < 0)
            return code;
        if (code > 0)
            wanted &= (uint32_t)~PL_C_STATUS_FEATURES_OK;
    }
    uint32_t status = gw->status | wanted;
    if ((fresh & PL_C_STATUS_DRIVER_OK) && (status & PL_C_STATUS_FEATURES_OK)) {
        code = pl_gw_start_queues(gw);
        gw->port.outlawed &= code < 0; /* from here on every closed connection counts */
        if (code < 0 && code != -EREMOTEIO)
            return code;
        if (code < 0 && keeps_status(gw))
            status &= (uint32_t)~PL_C_STATUS_DRIVER_OK; /* the rest is the back-end's to say */
        else if (code < 0)
            status |= PL_C_STATUS_DEVICE_NEEDS_RESET;
    }
    gw->status = status;
    if (!keeps_status(gw))
        return 0;
    code = pl_vu_dev_set_status(&gw->dev, status);
    return code < 0 ? code : read_status(gw);
}

static int take_set_status(struct pl_gateway *gw, const struct pl_msg *m, struct pl_msg *answer)
{
    uint32_t wanted = (uint32_t)m->f[PL_F_status];
    int code = wanted ? raise_status(gw, wanted) : reset_device(gw);

    return code < 0 ? code : put_status(gw, answer);
}

static int take_get_vqueue(struct pl_gateway *gw, const struct pl_msg *m, struct pl_msg *answer)
{
    pl_gw_get_vqueue(gw, m, answer);
    return pl_gw_put(gw, answer);
}

/* A request whose answer is empty and says nothing of success. */
static int take_quiet(struct pl_gateway *gw, const struct pl_msg *m, struct pl_msg *answer)
{
    int code = m->kind == PL_SET_VQUEUE ? pl_gw_set_vqueue(gw, m) : pl_gw_reset_vqueue(gw, m);
    return code < 0 ? code : pl_gw_put(gw, answer);
}

static int take_get_shm(struct pl_gateway *gw, const struct pl_msg *m, struct pl_msg *answer)
{
    answer->f[PL_F_shmid] = m->f[PL_F_shmid];
    return pl_gw_put(gw, answer);
}

static int take_request(struct pl_gateway *gw, const struct pl_msg *m)
{
    struct pl_msg answer = answer_to(m);

    switch (m->kind) {
    case PL_GET_DEVICE_INFO:
        return take_device_info(gw, &answer);
    case PL_GET_DEVICE_FEATURES:
        return take_get_features(gw, m, &answer);
    case PL_SET_DRIVER_FEATURES:
        return take_set_features(gw, m, &answer);
    case PL_GET_CONFIG:
        return take_get_config(gw, m, &answer);
    case PL_SET_CONFIG:
        return take_set_config(gw, m, &answer);
    case PL_GET_DEVICE_STATUS:
        return take_get_status(gw, &answer);
    case PL_SET_DEVICE_STATUS:
        return take_set_status(gw, m, &answer);
    case PL_GET_VQUEUE:
        return take_get_vqueue(gw, m, &answer);
    case PL_SET_VQUEUE:
    case PL_RESET_VQUEUE:
        return take_quiet(gw, m, &answer);
    case PL_GET_SHM:
        return take_get_shm(gw, m, &answer);
    default:
        return 0;
    }
}

/* GET_DEVICES: one device, number 0, and nothing after it. */
static int take_get_devices(struct pl_gateway *gw, const struct pl_msg *m, struct pl_msg *answer)
{
    static const uint8_t first[] = {1};
    bool there = m->f[PL_F_offset] == 0 && m->f[PL_F_count] > 0;

    answer->f[PL_F_offset] = m->f[PL_F_offset];
    answer->f[PL_F_count] = there ? 1 : 0;
    answer->data = first;
    answer->data_len = there ? sizeof(first) : 0;
    return pl_gw_put(gw, answer);
}

static int take_bus_message(struct pl_gateway *gw, const struct pl_msg *m)
{
    struct pl_msg answer = answer_to(m);

    if (m->dev_num != 0)
        return 0;
    switch (m->kind) {
    case PL_GET_DEVICES:
        return take_get_devices(gw, m, &answer);
    case PL_PING:
        answer.f[PL_F_data32] = m->f[PL_F_data32];
        return pl_gw_put(gw, &answer);
    case PL_GET_PARAMETERS:
        answer.f[PL_F_revision] = gw->bus.revision;
        answer.f[PL_F_max_msg_size] = gw->bus.max_msg_size;
        answer.f[PL_F_transport_features] = gw->bus.features;
        return pl_gw_put(gw, &answer);
    default:
        return 0;
    }
}

/* 0, or a negative errno of the back-end. */
static int take_message(struct pl_gateway *gw, const struct pl_msg *m)
{
    if (m->bus)
        return m->event ? 0 : take_bus_message(gw, m);
    if (m->dev_num != 0)
        return 0;
    if (!m->event)
        return take_request(gw, m);
    if (m->kind == PL_EVENT_AVAIL && m->f[PL_F_vq_index] < gw->dev.n_queues)
        pl_vu_ring_kick(&gw->dev, (uint32_t)m->f[PL_F_vq_index]);
    return 0;
}

int pl_gw_take(struct pl_gateway *gw, const void *bytes, size_t size)
{
    struct pl_msg m;

    pl_decode(gw->port.spec, bytes, size, &m);
    if (m.form != PL_FORM_OK || m.response || size > gw->bus.max_msg_size)
        return 0;
    int code = take_message(gw, &m);
    if (code == -EPIPE) { /* what it did not answer is asked once more where it came back */
        code = pl_gw_recover(gw, code);
        code = code < 0 ? code : take_message(gw, &m);
    }
    /* What a back-end refuses is not answered: nothing else is fit to say so. */
    return code == -EREMOTEIO ? 0 : code < 0 ? pl_gw_fail(gw, code) : 0;
}
