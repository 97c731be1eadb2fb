/* The gateway's virtqueues: SET_VQUEUE and its kin, turned into rings that the back-end runs. */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "port/vhost_user_gateway.h"

static bool feature(const struct pl_gateway *gw, uint64_t bit)
{
    return (gw->settled >> bit & 1) != 0;
}

/* A part of a ring: aligned, and whole within the memory that the back-end sees. */
static bool inside(const struct pl_gateway *gw, uint64_t address, uint64_t align, uint64_t size)
{
    uint64_t base = gw->port.mem_base, limit = gw->port.mem_size;

    return address % align == 0 && address >= base && address - base <= limit &&
           limit - (address - base) >= size;
}

/* Whether the three areas of a ring are where the back-end can reach them. */
static bool ring_inside(const struct pl_gateway *gw, const struct pl_gw_queue *queue)
{
    const struct vring_avail *avail = NULL;
    const struct vring_used *used = NULL;
    const uint64_t n = queue->size, event = sizeof(__virtio16); /* the index that ends an area */
    uint64_t desc = n * sizeof(struct vring_desc);
    uint64_t driver = sizeof(*avail) + n * sizeof(avail->ring[0]) + event;
    uint64_t device = sizeof(*used) + n * sizeof(used->ring[0]) + event;
    uint64_t driver_align = PL_C_AVAIL_ALIGN, device_align = PL_C_USED_ALIGN;

    if (feature(gw, PL_C_F_RING_PACKED)) {
        desc = n * sizeof(struct vring_packed_desc);
        driver = device = sizeof(struct vring_packed_desc_event);
        driver_align = device_align = sizeof(struct vring_packed_desc_event);
    }
    return inside(gw, queue->desc_addr, PL_C_DESC_ALIGN, desc) &&
           inside(gw, queue->driver_addr, driver_align, driver) &&
           inside(gw, queue->device_addr, device_align, device);
}

static bool size_fits(const struct pl_gateway *gw, uint64_t size)
{
    bool power_of_two = (size & (size - 1)) == 0;

    return size > 0 && size <= gw->max_queue_size &&
           (power_of_two || feature(gw, PL_C_F_RING_PACKED));
}

/* The queue that a message names, or NULL where there is none. */
static struct pl_gw_queue *named_queue(struct pl_gateway *gw, const struct pl_msg *m)
{
    uint64_t index = m->f[PL_F_index];
    return index < gw->dev.n_queues ? &gw->queues[index] : NULL;
}

void pl_gw_get_vqueue(struct pl_gateway *gw, const struct pl_msg *m, struct pl_msg *answer)
{
    const struct pl_gw_queue *queue = named_queue(gw, m);

    answer->f[PL_F_index] = m->f[PL_F_index];
    if (!queue)
        return;
    answer->f[PL_F_max_size] = gw->max_queue_size;
    answer->f[PL_F_cur_size] = queue->size;
    answer->f[PL_F_flags] = queue->enabled ? PL_C_GVQ_ENABLED : 0;
    answer->f[PL_F_desc_addr] = queue->desc_addr;
    answer->f[PL_F_driver_addr] = queue->driver_addr;
    answer->f[PL_F_device_addr] = queue->device_addr;
}

static int start_queue(struct pl_gateway *gw, uint32_t index)
{
    const struct pl_gw_queue *queue = &gw->queues[index];
    struct pl_vu_ring_setup setup = {
        .size = queue->size,
        .descriptor = queue->desc_addr,
        .driver = queue->driver_addr,
        .device = queue->device_addr,
        .packed = feature(gw, PL_C_F_RING_PACKED),
    };
    return pl_vu_ring_start(&gw->dev, index, &setup);
}

/* The queue as a SET_VQUEUE would leave it; false where the request is refused whole. */
static bool updated_queue(const struct pl_gateway *gw, const struct pl_msg *m,
                          struct pl_gw_queue *queue)
{
    uint64_t flags = m->f[PL_F_flags], state = flags & PL_C_SVQ_STATE_MASK;

    if (m->f[PL_F_reserved] || (flags & PL_C_SVQ_RESERVED) || state == PL_C_SVQ_STATE_RESERVED)
        return false;
    if (queue->enabled &&
        (state == PL_C_SVQ_KEEP_DISABLED || (flags & PL_C_SVQ_IGNORE_ALL) != PL_C_SVQ_IGNORE_ALL))
        return false;
    if (!(flags & PL_C_SVQ_IGNORE_SIZE)) {
        if (!size_fits(gw, m->f[PL_F_size]))
            return false;
        queue->size = (uint32_t)m->f[PL_F_size];
    }
    if (!(flags & PL_C_SVQ_IGNORE_DESC_ADDR))
        queue->desc_addr = m->f[PL_F_desc_addr];
    if (!(flags & PL_C_SVQ_IGNORE_DRIVER_ADDR))
        queue->driver_addr = m->f[PL_F_driver_addr];
    if (!(flags & PL_C_SVQ_IGNORE_DEVICE_ADDR))
        queue->device_addr = m->f[PL_F_device_addr];
    if (state == PL_C_SVQ_ENABLE && !queue->enabled) {
        /* A ring may be looked into as soon as it is enabled: never hand out a bad one. */
        if (!(gw->status & PL_C_STATUS_FEATURES_OK) || queue->size == 0 || !ring_inside(gw, queue))
            return false;
        queue->enabled = true;
    }
    return true;
}

int pl_gw_set_vqueue(struct pl_gateway *gw, const struct pl_msg *m)
{
    struct pl_gw_queue *queue = named_queue(gw, m);

    if (!queue)
        return 0;
    struct pl_gw_queue before = *queue, after = *queue;
    if (!updated_queue(gw, m, &after))
        return 0;
    *queue = after;
    if (!after.enabled || before.enabled || !(gw->status & PL_C_STATUS_DRIVER_OK))
        return 0;
    int code = start_queue(gw, (uint32_t)m->f[PL_F_index]);
    if (code < 0)
        *queue = before;
    return code == -EREMOTEIO ? 0 : code;
}

int pl_gw_reset_vqueue(struct pl_gateway *gw, const struct pl_msg *m)
{
    struct pl_gw_queue *queue = named_queue(gw, m);

    if (!queue || !feature(gw, PL_C_F_RING_RESET))
        return 0;
    memset(queue, 0, sizeof(*queue));
    int code = pl_vu_ring_stop(&gw->dev, (uint32_t)m->f[PL_F_index]);
    return code == -EREMOTEIO ? 0 : code;
}

int pl_gw_start_queues(struct pl_gateway *gw)
{
    for (uint32_t i = 0; i < gw->dev.n_queues; i++) {
        int code = gw->queues[i].enabled && !gw->dev.rings[i].started ? start_queue(gw, i) : 0;
        if (code < 0)
            return code;
    }
    return 0;
}

void pl_gw_forget_queues(struct pl_gateway *gw)
{
    memset(gw->queues, 0, sizeof(gw->queues));
}
