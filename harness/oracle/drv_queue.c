/* Virtqueues as the driver sets them up: what it asks for, what it was told, what it relies on. */
#include <inttypes.h>

#include "oracle/drv_private.h"

struct pl_drv_queue *pl_drv_queue(struct pl_drv_dev *d, uint64_t index)
{
    for (unsigned i = 0; i < d->n_queues; i++)
        if (d->queues[i].index == index)
            return &d->queues[i];
    if (d->n_queues == DRV_QUEUES || index > UINT32_MAX)
        return NULL;
    struct pl_drv_queue *q = &d->queues[d->n_queues++];
    *q = (struct pl_drv_queue){.used = true, .index = (uint32_t)index};
    return q;
}

bool pl_drv_queue_any(const struct pl_drv_dev *d)
{
    for (unsigned i = 0; i < d->n_queues; i++)
        if (d->queues[i].on != PL_NO)
            return true;
    return false;
}

static uint32_t maximum(const struct pl_drv_queue *q)
{
    return q->told_life ? q->max_life : q->max_before;
}

/* --- SET_VQUEUE --- */

static void judge_flags(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    uint64_t flags = m->f[PL_F_flags];
    if (m->f[PL_F_reserved] || (flags & PL_C_SVQ_RESERVED))
        pl_drv_broken(o, d, PL_P_drv_svq_reserved, "reserved is 0x%" PRIx64 ", flags 0x%" PRIx64,
                      m->f[PL_F_reserved], flags);
    else
        pl_held(o, PL_P_drv_svq_reserved);
    if ((flags & PL_C_SVQ_STATE_MASK) == PL_C_SVQ_STATE_RESERVED)
        pl_drv_broken(o, d, PL_P_drv_svq_op, "the state operation is 3 (flags 0x%" PRIx64 ")",
                      flags);
    else
        pl_held(o, PL_P_drv_svq_op);
}

static void judge_queried(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_drv_queue *q)
{
    if (!q->told_at) {
        pl_drv_broken(o, d, PL_P_drv_queue_queried,
                      "queue %u is configured, and no GET_VQUEUE has told of it", q->index);
        pl_drv_broken(o, d, PL_P_drv_queue_looked_up,
                      "queue %u is configured, and its availability was not looked up", q->index);
        pl_drv_blame(o, d, PL_GET_VQUEUE);
    } else if (!q->available) {
        pl_drv_broken(o, d, PL_P_drv_queue_queried,
                      "queue %u is configured, and GET_VQUEUE says max_size 0: not available",
                      q->index);
    } else {
        pl_held(o, PL_P_drv_queue_queried);
        pl_held(o, PL_P_drv_queue_looked_up);
    }
}

static void judge_max(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_drv_queue *q,
                      const struct pl_msg *m)
{
    if ((m->f[PL_F_flags] & PL_C_SVQ_IGNORE_SIZE) || !q->available || !maximum(q))
        return;
    if (m->f[PL_F_size] > maximum(q))
        pl_drv_broken(o, d, PL_P_drv_queue_max,
                      "queue %u: size %" PRIu64 " is asked for, GET_VQUEUE said at most %u",
                      q->index, m->f[PL_F_size], maximum(q));
    else
        pl_held(o, PL_P_drv_queue_max);
}

static bool misaligned(const struct pl_msg *m, uint64_t ignore, enum pl_field field, uint64_t align)
{
    return !(m->f[PL_F_flags] & ignore) && m->f[field] % align;
}

static void judge_align(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    bool packed = pl_drv_selected(d, PL_C_F_RING_PACKED);
    uint64_t driver = packed ? PL_C_EVENT_ALIGN : PL_C_AVAIL_ALIGN;
    uint64_t device = packed ? PL_C_EVENT_ALIGN : PL_C_USED_ALIGN;
    uint64_t all =
        PL_C_SVQ_IGNORE_DESC_ADDR | PL_C_SVQ_IGNORE_DRIVER_ADDR | PL_C_SVQ_IGNORE_DEVICE_ADDR;
    if ((m->f[PL_F_flags] & all) == all)
        return;
    if (misaligned(m, PL_C_SVQ_IGNORE_DESC_ADDR, PL_F_desc_addr, PL_C_DESC_ALIGN))
        pl_drv_broken(o, d, PL_P_drv_svq_align, "desc_addr 0x%" PRIx64 " is no multiple of %u",
                      m->f[PL_F_desc_addr], (unsigned)PL_C_DESC_ALIGN);
    else if (misaligned(m, PL_C_SVQ_IGNORE_DRIVER_ADDR, PL_F_driver_addr, driver))
        pl_drv_broken(o, d, PL_P_drv_svq_align, "driver_addr 0x%" PRIx64 " is no multiple of %u",
                      m->f[PL_F_driver_addr], (unsigned)driver);
    else if (misaligned(m, PL_C_SVQ_IGNORE_DEVICE_ADDR, PL_F_device_addr, device))
        pl_drv_broken(o, d, PL_P_drv_svq_align, "device_addr 0x%" PRIx64 " is no multiple of %u",
                      m->f[PL_F_device_addr], (unsigned)device);
    else
        pl_held(o, PL_P_drv_svq_align);
}

static bool has_parameters(const struct pl_msg *m)
{
    return (m->f[PL_F_flags] & PL_C_SVQ_IGNORE_ALL) != PL_C_SVQ_IGNORE_ALL;
}

/* The queue is enabled, as far as the driver knows. */
static void judge_enabled(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_drv_queue *q,
                          const struct pl_msg *m)
{
    uint64_t op = m->f[PL_F_flags] & PL_C_SVQ_STATE_MASK;
    if (q->reset_at) {
        pl_drv_broken(o, d, PL_P_drv_rvq_awaited,
                      "queue %u: RESET_VQUEUE was not answered yet, and SET_VQUEUE follows",
                      q->index);
        pl_drv_blame(o, d, PL_RESET_VQUEUE);
    }
    if (q->on != PL_YES) {
        pl_held(o, PL_P_drv_svq_disable);
        pl_held(o, PL_P_drv_svq_enabled);
        return;
    }
    if (op == PL_C_SVQ_KEEP_DISABLED)
        pl_drv_broken(o, d, PL_P_drv_svq_disable,
                      "queue %u is enabled, and the state operation is 0", q->index);
    if (!has_parameters(m))
        return;
    pl_drv_broken(o, d, PL_P_drv_svq_enabled,
                  "queue %u is enabled, and its size or addresses are written", q->index);
    if (pl_drv_selected(d, PL_C_F_RING_RESET))
        pl_drv_broken(o, d, PL_P_drv_svq_reset_first,
                      "queue %u is enabled, and configured anew without RESET_VQUEUE", q->index);
}

static void note_set(struct pl_drv_queue *q, const struct pl_msg *m, uint64_t now)
{
    uint64_t flags = m->f[PL_F_flags];
    q->set_at = now;
    if (has_parameters(m)) {
        q->params_at = now;
        q->confirmed_at = 0;
        q->flags = (uint32_t)flags;
        q->asked.size = (uint32_t)m->f[PL_F_size];
        q->asked.desc_addr = m->f[PL_F_desc_addr];
        q->asked.driver_addr = m->f[PL_F_driver_addr];
        q->asked.device_addr = m->f[PL_F_device_addr];
    }
    if ((flags & PL_C_SVQ_STATE_MASK) == PL_C_SVQ_ENABLE) {
        q->on = PL_YES;
        q->on_at = now;
        q->off_read = false;
    }
    q->reset_at = 0;
}

static bool beyond(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m,
                   uint64_t index)
{
    if (d->info.kind == PL_NONE || index < d->info.f[PL_F_max_virtqueues])
        return false;
    uint64_t end = d->info.f[PL_F_max_virtqueues] + d->info.f[PL_F_admin_vq_count];
    pl_drv_broken(o, d, PL_P_drv_info_authority,
                  "%s names queue %" PRIu64 ", and max_virtqueues is %" PRIu64, m->def->name, index,
                  d->info.f[PL_F_max_virtqueues]);
    if (index < end)
        pl_drv_broken(o, d, PL_P_drv_admin_range,
                      "%s names queue %" PRIu64 ": the %" PRIu64
                      " administration virtqueues are among the %" PRIu64 " of max_virtqueues",
                      m->def->name, index, d->info.f[PL_F_admin_vq_count],
                      d->info.f[PL_F_max_virtqueues]);
    return true;
}

static void set_vqueue(struct pl_oracle *o, struct pl_drv_dev *d, struct pl_drv_queue *q,
                       const struct pl_msg *m)
{
    judge_flags(o, d, m);
    judge_queried(o, d, q);
    judge_max(o, d, q, m);
    judge_align(o, d, m);
    judge_enabled(o, d, q, m);
    if (!beyond(o, d, m, q->index) && d->info.f[PL_F_admin_vq_count])
        pl_held(o, PL_P_drv_admin_range);
    note_set(q, m, o->drv->now);
}

static void reset_vqueue(struct pl_oracle *o, struct pl_drv_dev *d, struct pl_drv_queue *q,
                         const struct pl_msg *m)
{
    if (d->features_ok_told && pl_drv_selected(d, PL_C_F_RING_RESET))
        pl_held(o, PL_P_drv_rvq_negotiated);
    else
        pl_drv_broken(o, d, PL_P_drv_rvq_negotiated,
                      "RESET_VQUEUE is sent, and VIRTIO_F_RING_RESET is not negotiated");
    if (q->told_at)
        pl_held(o, PL_P_drv_rvq_looked_up);
    else
        pl_drv_broken(o, d, PL_P_drv_rvq_looked_up,
                      "queue %u is reset, and no GET_VQUEUE has told of it", q->index);
    beyond(o, d, m, q->index);
    if (q->on == PL_YES && pl_drv_selected(d, PL_C_F_RING_RESET))
        pl_held(o, PL_P_drv_svq_reset_first);
    d->queue_resets++;
    q->reset_at = o->drv->now;
    q->params_at = q->confirmed_at = 0;
    q->on = PL_UNSURE;
    q->off_read = false;
}

void pl_drv_queue_request(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    struct pl_drv_queue *q = pl_drv_queue(d, m->f[PL_F_index]);
    if (!q)
        return;
    if (m->kind == PL_GET_VQUEUE)
        q->asked_at = o->drv->now;
    else if (m->kind == PL_SET_VQUEUE)
        set_vqueue(o, d, q, m);
    else
        reset_vqueue(o, d, q, m);
}

/* --- responses --- */

static bool as_asked(const struct pl_drv_queue *q, const struct pl_msg *m)
{
    uint64_t f = q->flags;
    return ((f & PL_C_SVQ_IGNORE_SIZE) || m->f[PL_F_cur_size] == q->asked.size) &&
           ((f & PL_C_SVQ_IGNORE_DESC_ADDR) || m->f[PL_F_desc_addr] == q->asked.desc_addr) &&
           ((f & PL_C_SVQ_IGNORE_DRIVER_ADDR) || m->f[PL_F_driver_addr] == q->asked.driver_addr) &&
           ((f & PL_C_SVQ_IGNORE_DEVICE_ADDR) || m->f[PL_F_device_addr] == q->asked.device_addr);
}

static void queue_read(struct pl_oracle *o, struct pl_drv_dev *d, struct pl_drv_queue *q,
                       const struct pl_drv_request *r, const struct pl_msg *m)
{
    bool enabled = m->f[PL_F_flags] & PL_C_GVQ_ENABLED;
    uint32_t max = (uint32_t)m->f[PL_F_max_size];
    if (!max || max < o->drv->good.max_size)
        d->excused = true;
    q->told_at = o->drv->now;
    q->available = max != 0;
    if (r->at < d->reset_at)
        return;
    if (!q->told_life || max > q->max_life)
        q->max_life = max;
    q->told_life = true;
    if (q->params_at && r->at > q->params_at) {
        bool same = as_asked(q, m) && (r->at < q->on_at || enabled || q->on == PL_NO);
        q->confirmed_at = o->drv->now;
        q->confirmed_same = same;
        if (same)
            pl_drv_resolve(o, d, PL_SET_VQUEUE, q->index);
        else
            d->excused = true;
    }
    if (!enabled)
        pl_drv_resolve(o, d, PL_RESET_VQUEUE, q->index);
    if (q->reset_at && r->at > q->reset_at && !enabled)
        q->reset_at = 0;
    if (r->at > q->on_at && !q->reset_at) {
        q->on = !enabled ? PL_NO : q->off_read ? PL_UNSURE : PL_YES;
        q->off_read |= !enabled;
    }
}

void pl_drv_queue_told(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_drv_request *r,
                       const struct pl_msg *m)
{
    struct pl_drv_queue *q = pl_drv_queue(d, r->m.f[PL_F_index]);
    if (!q)
        return;
    if (m->kind == PL_GET_VQUEUE)
        queue_read(o, d, q, r, m);
    else
        pl_drv_resolve(o, d, m->kind, q->index);
    if (m->kind == PL_RESET_VQUEUE && q->reset_at == r->at) {
        q->reset_at = 0;
        q->on = PL_NO;
        pl_held(o, PL_P_drv_rvq_awaited);
    }
}

void pl_drv_queue_failed(struct pl_drv_dev *d, const struct pl_drv_request *r)
{
    if (r->m.kind != PL_SET_VQUEUE && r->m.kind != PL_RESET_VQUEUE)
        return;
    struct pl_drv_queue *q = pl_drv_queue(d, r->m.f[PL_F_index]);
    if (!q || r->at < d->reset_at)
        return;
    q->on = PL_UNSURE;
    if (r->m.kind == PL_RESET_VQUEUE)
        q->reset_at = 0;
}

/* --- use --- */

void pl_drv_queue_io(struct pl_oracle *o, struct pl_drv_dev *d, uint64_t index)
{
    struct pl_drv_queue *q = pl_drv_queue(d, index);
    if (!q || !q->params_at)
        return;
    if (!q->confirmed_at) {
        pl_drv_broken(o, d, PL_P_drv_queue_confirmed,
                      "queue %u is used, and no GET_VQUEUE has confirmed what SET_VQUEUE asked for",
                      q->index);
        pl_drv_broken(o, d, PL_P_drv_svq_relied,
                      "queue %u is used, and whether SET_VQUEUE was accepted was not looked up",
                      q->index);
        pl_drv_blame(o, d, PL_GET_VQUEUE);
        return;
    }
    pl_drv_relies(o->drv, q->confirmed_at);
    if (q->confirmed_same) {
        pl_held(o, PL_P_drv_queue_confirmed);
        pl_held(o, PL_P_drv_svq_relied);
        return;
    }
    pl_drv_broken(o, d, PL_P_drv_queue_confirmed,
                  "queue %u is used, and GET_VQUEUE does not confirm what SET_VQUEUE asked for",
                  q->index);
    pl_drv_broken(o, d, PL_P_drv_svq_relied,
                  "queue %u is used, and GET_VQUEUE shows that SET_VQUEUE was not accepted",
                  q->index);
}

void pl_drv_queue_avail(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m)
{
    uint64_t index = m->f[PL_F_vq_index];
    struct pl_drv_queue *q = pl_drv_queue(d, index);
    if (!q || (d->reset_at && !d->wrote))
        return;
    bool out = beyond(o, d, m, index);
    if (out || (q->told_at && !q->available) || (!q->set_at && d->driver_ok_at))
        pl_drv_broken(o, d, PL_P_drv_avail_index, "EVENT_AVAIL names queue %" PRIu64 ", which %s",
                      index,
                      out                             ? "is beyond max_virtqueues"
                      : (q->told_at && !q->available) ? "is not available"
                                                      : "was never set up");
    else
        pl_held(o, PL_P_drv_avail_index);
}
