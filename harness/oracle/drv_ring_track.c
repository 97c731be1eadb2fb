/* What messages say of a driver's virtqueues: features, status, queues that are set and reset. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "oracle/drv_ring.h"
#include "wire/spare.h"

static struct pl_spare spare;

#define NEEDS_RESET ((uint32_t)PL_C_STATUS_DEVICE_NEEDS_RESET)

enum { PART_SIZE = 1, PART_DESC = 2, PART_DRIVER = 4, PART_DEVICE = 8, PARTS = 15 };

/* --- life --- */

struct pl_drv_ring *pl_drv_ring_new(void)
{
    return calloc(1, sizeof(struct pl_drv_ring));
}

static void forget(struct pl_drv_ring *rings)
{
    while (rings->n)
        pl_spare_give(&spare, rings->dev[--rings->n], sizeof(struct pl_dring_dev));
}

void pl_drv_ring_free(struct pl_drv_ring *rings)
{
    if (rings)
        forget(rings);
    free(rings);
}

void pl_drv_ring_start(struct pl_oracle *o)
{
    forget(o->drv_ring);
}

struct pl_dring_dev *pl_dring_find(const struct pl_oracle *o, uint16_t dev_num)
{
    for (unsigned i = 0; i < o->drv_ring->n; i++)
        if (o->drv_ring->dev[i]->dev_num == dev_num)
            return o->drv_ring->dev[i];
    return NULL;
}

struct pl_dring_dev *pl_dring_dev(struct pl_oracle *o, uint16_t dev_num)
{
    struct pl_dring_dev *d = pl_dring_find(o, dev_num);
    if (d || o->drv_ring->n == PL_DEVICES || !(d = pl_spare_take(&spare, sizeof(*d))))
        return d;
    memset(d, 0, sizeof(*d));
    d->dev_num = dev_num;
    o->drv_ring->dev[o->drv_ring->n++] = d;
    return d;
}

static bool bit_of(const uint32_t *blocks, uint64_t bit)
{
    return bit / 32 < PL_DRING_BLOCKS && (blocks[bit / 32] >> bit % 32 & 1);
}

bool pl_dring_selected(const struct pl_dring_dev *d, uint64_t bit)
{
    return bit_of(d->selected, bit);
}

bool pl_dring_offered(const struct pl_dring_dev *d, uint64_t bit)
{
    return bit_of(d->offered, bit);
}

bool pl_dring_config(const struct pl_dring_dev *d, uint64_t at, uint64_t len, uint64_t *value)
{
    *value = 0;
    for (uint64_t i = len; i-- > 0;) {
        if (at + i >= sizeof(d->config) || !d->config_known[at + i])
            return false;
        *value = *value << 8 | d->config[at + i];
    }
    return true;
}

static void read_blocks(uint32_t *blocks, const struct pl_msg *m)
{
    for (uint32_t i = 0; i < m->data_len / 4; i++) {
        const uint8_t *p = m->data + (size_t)4 * i;
        uint64_t block = m->f[PL_F_block_index] + i;
        if (block < PL_DRING_BLOCKS)
            blocks[block] =
                (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
    }
}

static struct pl_dring_queue *queue_of(struct pl_dring_dev *d, uint64_t index)
{
    return index < PL_DRING_QUEUES ? &d->queue[index] : NULL;
}

static void nothing_owed(struct pl_dring_dev *d)
{
    for (size_t i = 0; i < PL_DRING_QUEUES; i++) {
        d->queue[i].owes = d->queue[i].overdue = false;
        d->queue[i].behind = 0;
        d->queue[i].waits = PL_WAITS_NO;
    }
    d->capacity_due = false;
}

void pl_dring_ended(struct pl_dring_dev *d)
{
    d->ended = true;
    nothing_owed(d);
}

/* --- queues --- */

static void judge_address(struct pl_oracle *o, const struct pl_dring_dev *d, const char *name,
                          uint64_t address, uint64_t align)
{
    bool packed = pl_dring_selected(d, PL_C_F_RING_PACKED);
    pl_dring_judge(o, packed ? PL_P_drv_packed_align : PL_P_drv_split_align, address % align == 0,
                   "%s 0x%" PRIx64 " is no multiple of %" PRIu64, name, address, align);
}

static void judge_alignment(struct pl_oracle *o, const struct pl_dring_dev *d,
                            const struct pl_msg *m)
{
    uint64_t flags = m->f[PL_F_flags];
    bool packed = pl_dring_selected(d, PL_C_F_RING_PACKED);
    if (!(d->status & PL_C_STATUS_FEATURES_OK))
        return; /* the format is not known yet */
    if (!(flags & PL_C_SVQ_IGNORE_DESC_ADDR))
        judge_address(o, d, "desc_addr", m->f[PL_F_desc_addr], PL_C_DESC_ALIGN);
    if (!(flags & PL_C_SVQ_IGNORE_DRIVER_ADDR))
        judge_address(o, d, "driver_addr", m->f[PL_F_driver_addr],
                      packed ? PL_C_USED_ALIGN : PL_C_AVAIL_ALIGN);
    if (!(flags & PL_C_SVQ_IGNORE_DEVICE_ADDR))
        judge_address(o, d, "device_addr", m->f[PL_F_device_addr], PL_C_USED_ALIGN);
}

static uint8_t parts_of(uint64_t flags)
{
    unsigned parts = 0;
    parts |= flags & PL_C_SVQ_IGNORE_SIZE ? 0u : PART_SIZE;
    parts |= flags & PL_C_SVQ_IGNORE_DESC_ADDR ? 0u : PART_DESC;
    parts |= flags & PL_C_SVQ_IGNORE_DRIVER_ADDR ? 0u : PART_DRIVER;
    parts |= flags & PL_C_SVQ_IGNORE_DEVICE_ADDR ? 0u : PART_DEVICE;
    return (uint8_t)parts;
}

static void set_queue(struct pl_oracle *o, struct pl_dring_dev *d, const struct pl_msg *m)
{
    struct pl_dring_queue *q = queue_of(d, m->f[PL_F_index]);
    judge_alignment(o, d, m);
    if (!q)
        return;
    q->set = true;
    q->parts |= parts_of(m->f[PL_F_flags]);
    if (!q->renewed)
        return;
    pl_dring_judge(o, PL_P_drv_queue_reset_verified, !q->unproven,
                   "queue %" PRIu64 " is set up while its reset was not seen to have ended",
                   m->f[PL_F_index]);
    q->unproven = false;
    if ((m->f[PL_F_flags] & PL_C_SVQ_STATE_MASK) == PL_C_SVQ_ENABLE)
        pl_dring_judge(o, PL_P_drv_queue_reconfigured, q->parts == PARTS,
                       "queue %" PRIu64 " was reset and is enabled without size and all addresses",
                       m->f[PL_F_index]);
}

static void reset_queue(struct pl_oracle *o, struct pl_dring_dev *d, const struct pl_msg *m)
{
    struct pl_dring_queue *q = queue_of(d, m->f[PL_F_index]);
    if (!q || !pl_dring_selected(d, PL_C_F_RING_RESET))
        return;
    pl_dring_never(o, d, q, (uint32_t)m->f[PL_F_index]);
    bool absent = q->absent;
    *q = (struct pl_dring_queue){
        .absent = absent, .renewed = true, .unproven = true, .token = m->token};
}

static void reset_device(struct pl_oracle *o, struct pl_dring_dev *d)
{
    for (size_t i = 0; i < PL_DRING_QUEUES; i++) {
        pl_dring_never(o, d, &d->queue[i], (uint32_t)i);
        bool absent = d->queue[i].absent;
        d->queue[i] = (struct pl_dring_queue){.absent = absent};
    }
    memset(d->selected, 0, sizeof(d->selected));
    d->status = 0;
    d->capacity_due = d->ended = false;
}

static void set_status(struct pl_oracle *o, struct pl_dring_dev *d, const struct pl_msg *m)
{
    const uint32_t given_up = (uint32_t)(PL_C_STATUS_FAILED | PL_C_STATUS_SUSPEND);
    uint32_t status = (uint32_t)m->f[PL_F_status];
    bool failed = status & PL_C_STATUS_FAILED, in_io = d->asked_io && status == 0;
    /* Nothing was under way, nothing else has come, and nobody asked it to stop. */
    if (d->spurious && (failed || in_io) && !d->ended && !pl_dring_selected(d, PL_C_F_RING_PACKED))
        pl_broken(o, PL_P_drv_split_spurious,
                  "the driver gives the device up behind an EVENT_USED without a used buffer");
    if (status == 0 && d->open <= 1) /* it waits for nothing else */
        pl_dring_stuck(o, d, true);
    d->spurious = false;
    if (status == 0) {
        reset_device(o, d);
        return;
    }
    d->status = status;
    if (status & given_up)
        pl_dring_ended(d);
}

/* --- EVENT_AVAIL --- */

static void event_avail(struct pl_oracle *o, struct pl_dring_dev *d, const struct pl_msg *m)
{
    uint64_t index = m->f[PL_F_vq_index];
    const struct pl_dring_queue *q = queue_of(d, index);
    bool exists = (!d->known || index < d->max_virtqueues) && (!q || !q->absent);
    pl_dring_judge(o, PL_P_drv_avail_index, exists,
                   "EVENT_AVAIL names queue %" PRIu64 ", which the device does not have", index);
    pl_dring_judge(o, PL_P_drv_early_kick, d->status & PL_C_STATUS_DRIVER_OK,
                   "EVENT_AVAIL for queue %" PRIu64 " while DRIVER_OK is not set", index);
    if (exists && q)
        pl_dring_judge(o, PL_P_drv_unset_queue, q->set,
                       "EVENT_AVAIL for queue %" PRIu64 ", which SET_VQUEUE did not configure",
                       index);
    if (!pl_dring_selected(d, PL_C_F_NOTIFICATION_DATA))
        pl_dring_judge(o, PL_P_drv_avail_offset, m->f[PL_F_next_offset] == 0,
                       "next_offset is 0x%" PRIx64 " without VIRTIO_F_NOTIFICATION_DATA",
                       m->f[PL_F_next_offset]);
}

/* --- both directions --- */

static void await_read(struct pl_dring_dev *d, const struct pl_msg *m)
{
    d->read[d->next_read].open = true;
    d->read[d->next_read].token = m->token;
    d->next_read = (d->next_read + 1) % PL_DRING_READS;
}

static bool awaited(struct pl_dring_dev *d, const struct pl_msg *m)
{
    for (size_t i = 0; i < PL_DRING_READS; i++) {
        if (!d->read[i].open || d->read[i].token != m->token)
            continue;
        d->read[i].open = false;
        return true;
    }
    return false;
}

void pl_drv_ring_received(struct pl_oracle *o, const struct pl_msg *m)
{
    if (m->form != PL_FORM_OK || m->bus || m->response)
        return;
    /* An event alone does not make a device: it may name one that nobody knows. */
    struct pl_dring_dev *d = m->event ? pl_dring_find(o, m->dev_num) : pl_dring_dev(o, m->dev_num);
    if (!d)
        return;
    d->open += !m->event;
    /* What was under way as the device went is nobody's fault; a reset begins anew. */
    d->gone &= m->kind != PL_SET_DEVICE_STATUS || m->f[PL_F_status] != 0;
    if (d->gone)
        return;
    if (d->device_id == PL_C_TYPE_block)
        pl_dring_block_message(o, d, m);
    switch (m->kind) {
    case PL_SET_DRIVER_FEATURES:
        if (!(d->status & PL_C_STATUS_FEATURES_OK))
            read_blocks(d->selected, m);
        break;
    case PL_SET_DEVICE_STATUS:
        set_status(o, d, m);
        break;
    case PL_SET_VQUEUE:
        set_queue(o, d, m);
        break;
    case PL_RESET_VQUEUE:
        reset_queue(o, d, m);
        break;
    case PL_GET_CONFIG:
        await_read(d, m);
        break;
    case PL_EVENT_AVAIL:
        event_avail(o, d, m);
        break;
    default:
        break;
    }
}

static void told_config(struct pl_oracle *o, struct pl_dring_dev *d, const struct pl_msg *m)
{
    if (m->kind == PL_GET_CONFIG && !awaited(d, m))
        return; /* of no request: the driver may drop it */
    for (uint32_t i = 0; i < m->data_len; i++) {
        uint64_t at = m->f[PL_F_offset] + i;
        if (at >= sizeof(d->config))
            break;
        d->config[at] = m->data[i];
        d->config_known[at] = 1;
    }
    if (d->device_id == PL_C_TYPE_block)
        pl_dring_block_told(o, d, m);
}

/*
 * What the driver wrote was applied: it may go by that, or by what it read before, until it reads
 * again.
 */
static void told_written(struct pl_dring_dev *d, const struct pl_msg *m)
{
    uint64_t at = m->f[PL_F_offset];
    uint8_t before[PL_T_BLOCK_CONFIG_BYTES];
    memcpy(before, d->config, sizeof(before));
    for (uint64_t i = 0; i < m->data_len && at + i < sizeof(d->config); i++)
        d->config[at + i] = m->data[i];
    if (d->device_id == PL_C_TYPE_block)
        pl_dring_block_written(d);
    for (uint64_t i = 0; i < m->data_len && at + i < sizeof(d->config); i++)
        d->config_known[at + i] &= d->config[at + i] == before[at + i];
}

static void told_status(struct pl_dring_dev *d, uint64_t status)
{
    if (status & NEEDS_RESET)
        pl_dring_ended(d);
}

static void told_queue(struct pl_dring_dev *d, const struct pl_msg *m)
{
    struct pl_dring_queue *q = queue_of(d, m->f[PL_F_index]);
    if (!q)
        return;
    q->absent = m->f[PL_F_max_size] == 0;
    /* What it first reads as decides, whatever was answered before. */
    if (!q->renewed || q->set || q->ended)
        return;
    q->unproven = m->f[PL_F_flags] & PL_C_GVQ_ENABLED;
    q->ended = !q->unproven;
}

static void told_queue_reset(struct pl_dring_dev *d, const struct pl_msg *m)
{
    for (size_t i = 0; i < PL_DRING_QUEUES; i++)
        if (d->queue[i].unproven && d->queue[i].token == m->token)
            d->queue[i].unproven = false;
}

static void told_removed(struct pl_oracle *o, const struct pl_msg *m)
{
    struct pl_dring_dev *d = pl_dring_find(o, (uint16_t)m->f[PL_F_device_number]);
    if (d && m->f[PL_F_device_bus_state] == PL_C_BUS_STATE_REMOVED) {
        pl_dring_ended(d);
        d->gone = true;
    }
}

void pl_drv_ring_sent(struct pl_oracle *o, const struct pl_msg *m)
{
    if (m->kind != PL_EVENT_USED)
        for (unsigned i = 0; i < o->drv_ring->n; i++)
            o->drv_ring->dev[i]->spurious = false; /* whatever comes next may be for this */
    if (m->form != PL_FORM_OK)
        return;
    if (m->bus) {
        if (m->kind == PL_EVENT_DEVICE)
            told_removed(o, m);
        return;
    }
    struct pl_dring_dev *d = pl_dring_find(o, m->dev_num);
    if (!d)
        return;
    d->open -= m->response && d->open;
    switch (m->kind) {
    case PL_GET_DEVICE_INFO:
        d->known = true;
        d->device_id = m->f[PL_F_device_id];
        d->max_virtqueues = m->f[PL_F_max_virtqueues];
        break;
    case PL_GET_DEVICE_FEATURES:
        read_blocks(d->offered, m);
        break;
    case PL_GET_DEVICE_STATUS:
    case PL_SET_DEVICE_STATUS:
        told_status(d, m->f[PL_F_status]);
        break;
    case PL_EVENT_CONFIG:
        told_status(d, m->f[PL_F_device_status]);
        told_config(o, d, m);
        break;
    case PL_GET_CONFIG:
        told_config(o, d, m);
        break;
    case PL_SET_CONFIG:
        told_written(d, m);
        break;
    case PL_GET_VQUEUE:
        told_queue(d, m);
        break;
    case PL_RESET_VQUEUE:
        told_queue_reset(d, m);
        break;
    default:
        break;
    }
}
