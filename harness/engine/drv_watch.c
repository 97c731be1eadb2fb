/* The watch on a driver's rings: its life, and what messages say of queues, features and status. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/drv_watch_private.h"
#include "engine/port_memory.h"
#include "pl_types.h" /* generated */

void pl_watch_tell(const struct pl_watch *w, const struct pl_watch_queue *q, const char *format,
                   ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    pl_session_tell(w->s, "ring %u %u %s", q->dev_num, q->index, text);
}

void pl_watch_broken(const struct pl_watch *w, struct pl_watch_queue *q, const char *predicate,
                     const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    q->fault = true;
    pl_watch_tell(w, q, "broken %s queue %u: %s", predicate, q->index, text);
}

bool pl_watch_selected(const struct pl_watch_dev *dev, uint64_t bit)
{
    return bit / 32 < PL_WATCH_BLOCKS && (dev->selected[bit / 32] >> bit % 32 & 1);
}

/* --- devices and queues --- */

static struct pl_watch_dev *dev_find(const struct pl_watch *w, uint16_t dev_num)
{
    for (struct pl_watch_dev *d = w->devs; d; d = d->next)
        if (d->dev_num == dev_num)
            return d;
    return NULL;
}

static struct pl_watch_dev *dev_of(struct pl_watch *w, uint16_t dev_num)
{
    struct pl_watch_dev *dev = dev_find(w, dev_num);
    if (dev || !(dev = calloc(1, sizeof(*dev))))
        return dev;
    dev->dev_num = dev_num;
    dev->next = w->devs;
    w->devs = dev;
    return dev;
}

static struct pl_watch_queue *queue_of(struct pl_watch_dev *dev, uint64_t index)
{
    if (index >= PL_WATCH_QUEUES)
        return NULL;
    struct pl_watch_queue **q = &dev->queue[index];
    if (!*q && (*q = calloc(1, sizeof(**q)))) {
        (*q)->index = (uint32_t)index;
        (*q)->dev_num = dev->dev_num;
    }
    return *q;
}

static struct pl_watch_queue *queue_find(const struct pl_watch *w, uint16_t dev_num, uint32_t index)
{
    const struct pl_watch_dev *dev = dev_find(w, dev_num);
    return dev && index < PL_WATCH_QUEUES ? dev->queue[index] : NULL;
}

static void forget_queues(struct pl_watch_dev *dev)
{
    for (size_t i = 0; i < PL_WATCH_QUEUES; i++) {
        if (dev->queue[i])
            pl_watch_end(dev->queue[i]);
        free(dev->queue[i]);
        dev->queue[i] = NULL;
    }
}

static void forget(void *opaque)
{
    struct pl_watch *w = opaque;
    while (w->devs) {
        struct pl_watch_dev *dev = w->devs;
        w->devs = dev->next;
        forget_queues(dev);
        free(dev);
    }
    w->running = false;
}

/* --- looking --- */

/* Requests that are there although the driver was not told of DRIVER_OK. */
static void check_early(struct pl_watch *w, const struct pl_watch_dev *dev,
                        const struct pl_watch_queue *q, unsigned n)
{
    if (n > 0 && !dev->ok_told && pl_type_output(dev->device_id, q->index))
        pl_watch_tell(w, q, "early %u", n);
}

static void look_queue(struct pl_watch *w, struct pl_watch_dev *dev, struct pl_watch_queue *q,
                       bool stable)
{
    if (!q || !q->followed || q->fault)
        return;
    unsigned n = pl_watch_take(w, dev, q, stable && dev->ok_told);
    check_early(w, dev, q, n);
    if (!q->fault)
        pl_watch_compare(w, q, false);
}

static void look_dev(struct pl_watch *w, struct pl_watch_dev *dev, bool stable)
{
    for (size_t i = 0; i < PL_WATCH_QUEUES; i++)
        look_queue(w, dev, dev->queue[i], stable);
}

/* The driver was given all that it can wait for, by a notification or where it polls. */
static void tell_waits(struct pl_watch *w, struct pl_watch_queue *q)
{
    char waits = q->n_held || !q->given ? '-' : q->polling ? 'p' : q->events ? 'e' : '-';
    const char *word = waits == 'p' ? "polling" : waits == 'e' ? "told" : "no";
    if (waits != q->waits) {
        pl_watch_tell(w, q, "waits %s", word);
        q->waits_since = pl_watch_now(w);
        q->late = false;
    } else if (waits != '-' && waits && !q->late && pl_watch_long(w, q->waits_since)) {
        pl_watch_tell(w, q, "waits %s late", word);
        q->late = true;
    }
    q->waits = waits;
}

/* What the queues come to at the end of a look. */
static void conclude(struct pl_watch *w, bool ran)
{
    for (struct pl_watch_dev *dev = w->devs; dev; dev = dev->next)
        for (size_t i = 0; i < PL_WATCH_QUEUES; i++) {
            struct pl_watch_queue *q = dev->queue[i];
            if (!q || !q->followed || q->fault)
                continue;
            if (ran)
                pl_watch_reconsider(w, q);
            pl_watch_tell_owed(w, q);
            tell_waits(w, q);
        }
}

static void look_all(struct pl_watch *w, bool stable)
{
    for (struct pl_watch_dev *dev = w->devs; dev; dev = dev->next)
        look_dev(w, dev, stable);
}

static void message(void *opaque, const struct pl_msg *m, bool to_iut);

/* The session's watch, where it is one on drivers. */
static struct pl_watch *watch_of(struct pl_session *s)
{
    return s->watch.message == message ? s->watch.opaque : NULL;
}

void pl_drv_watch_before(struct pl_session *s)
{
    struct pl_watch *w = watch_of(s);
    if (!w)
        return;
    look_all(w, !w->running);
    conclude(w, false);
    w->running = true;
}

void pl_drv_watch_look(struct pl_session *s)
{
    struct pl_watch *w = watch_of(s);
    if (!w)
        return;
    look_all(w, !w->running);
    conclude(w, w->running);
    w->running = false;
}

/* --- what the device does --- */

static void taken(void *opaque, uint16_t dev_num, uint32_t queue, uint16_t id)
{
    struct pl_watch *w = opaque;
    struct pl_watch_dev *dev = dev_find(w, dev_num);
    struct pl_watch_queue *q = queue_find(w, dev_num, queue);
    if (!dev || !q || !q->followed || q->fault)
        return;
    check_early(w, dev, q, pl_watch_take(w, dev, q, false));
    if (!q->fault)
        pl_watch_taken(w, q, id);
}

static void giving(void *opaque, uint16_t dev_num, uint32_t queue, uint16_t id, uint16_t entries)
{
    struct pl_watch *w = opaque;
    struct pl_watch_queue *q = queue_find(w, dev_num, queue);
    if (!q || !q->followed || q->fault)
        return;
    q->fault |= entries == 0; /* a mutant of the device is at work */
    if (!q->fault)
        pl_watch_compare(w, q, false);
    if (!q->fault)
        pl_watch_given(w, q, id, entries);
}

/* --- queues as the messages have them --- */

/* Does the front of the ring hold an available entry already? Then it is kept. */
static bool front_of(const struct pl_watch *w, const struct pl_watch_dev *dev,
                     const struct pl_watch_queue *q, uint8_t *front)
{
    struct vring_packed_desc first;
    const uint8_t *desc = pl_ring_at(&w->memory, q->desc_addr, sizeof(first));
    const uint8_t *driver = pl_ring_at(&w->memory, q->driver_addr, 3 * sizeof(uint16_t));
    bool packed = pl_watch_selected(dev, PL_C_F_RING_PACKED);
    if (!desc || !driver || q->desc_addr % PL_C_DESC_ALIGN || q->driver_addr % PL_C_AVAIL_ALIGN)
        return false;
    if (packed) {
        pl_shared_read(front, desc, sizeof(first));
        memcpy(&first, front, sizeof(first));
        uint16_t flags = le16toh(first.flags);
        return flags & PL_PACKED_AVAIL && !(flags & PL_PACKED_USED);
    }
    uint16_t idx = pl_load16(driver + offsetof(struct vring_avail, idx));
    uint16_t head = pl_load16(driver + offsetof(struct vring_avail, ring));
    const uint8_t *at =
        head < q->size ? pl_ring_at(&w->memory, q->desc_addr + head * sizeof(first), 16) : NULL;
    if (!at || !idx || idx > q->size)
        return false;
    pl_shared_read(front, at, sizeof(first));
    return true;
}

/* A driver that waits for each answer had buffers there before it said where "there" is: they are
 * the same once the queue is live. */
static void check_placed(const struct pl_watch *w, const struct pl_watch_dev *dev,
                         struct pl_watch_queue *q)
{
    uint8_t front[sizeof(q->placed_front)];
    if (q->renewed && !q->setup.packed &&
        pl_load16(q->device + offsetof(struct vring_used, idx)) != 0)
        pl_watch_broken(w, q, "drv_queue_reconfigured",
                        "the queue was reset, and its used idx does not begin with 0");
    else if (q->placed && front_of(w, dev, q, front) && memcmp(front, q->placed_front, 16) == 0)
        pl_watch_tell(w, q,
                      "broken drv_unset_queue queue %u: a buffer was there before SET_VQUEUE told "
                      "of the ring",
                      q->index);
    else
        pl_watch_tell(w, q, "held drv_unset_queue");
    q->placed = false;
}

/* The queues that the device works on from now on. */
static void go_live(struct pl_watch *w, struct pl_watch_dev *dev)
{
    for (size_t i = 0; i < PL_WATCH_QUEUES; i++) {
        struct pl_watch_queue *q = dev->queue[i];
        if (!q || !q->enabled || q->followed || !(dev->status & PL_C_STATUS_DRIVER_OK))
            continue;
        if (!pl_watch_begin(w, dev, q))
            continue;
        check_placed(w, dev, q);
        if (q->fault)
            continue;
        unsigned n = pl_watch_take(w, dev, q, false);
        if (!dev->ok_told && pl_type_output(dev->device_id, q->index))
            pl_watch_tell(w, q, "early %u", n);
    }
}

static void set_queue(struct pl_watch *w, struct pl_watch_dev *dev, const struct pl_msg *m)
{
    struct pl_watch_queue *q = queue_of(dev, m->f[PL_F_index]);
    uint64_t flags = m->f[PL_F_flags], op = flags & PL_C_SVQ_STATE_MASK;
    if (!q || q->enabled)
        return; /* an enabled queue is not changed */
    bool first = !q->set;
    q->set = true;
    if (!(flags & PL_C_SVQ_IGNORE_SIZE))
        q->size = (uint32_t)m->f[PL_F_size];
    if (!(flags & PL_C_SVQ_IGNORE_DESC_ADDR))
        q->desc_addr = m->f[PL_F_desc_addr];
    if (!(flags & PL_C_SVQ_IGNORE_DRIVER_ADDR))
        q->driver_addr = m->f[PL_F_driver_addr];
    if (!(flags & PL_C_SVQ_IGNORE_DEVICE_ADDR))
        q->device_addr = m->f[PL_F_device_addr];
    q->enabled = op == PL_C_SVQ_ENABLE;
    q->placed = first && !dev->overlaps && dev->open <= 1 && front_of(w, dev, q, q->placed_front);
    go_live(w, dev);
}

/* The driver takes everything back: until the device has stopped, all of it must stand. */
static void stop_queue(struct pl_watch *w, struct pl_watch_queue *q, bool renewed)
{
    if (!q)
        return;
    if (q->followed && !q->fault) {
        pl_watch_compare(w, q, true);
        pl_watch_tell(w, q, "end");
    }
    pl_watch_end(q);
    q->enabled = q->set = q->placed = false;
    q->renewed = renewed;
}

static void reset_dev(struct pl_watch *w, struct pl_watch_dev *dev)
{
    for (size_t i = 0; i < PL_WATCH_QUEUES; i++)
        stop_queue(w, dev->queue[i], false);
    forget_queues(dev);
    memset(dev->selected, 0, sizeof(dev->selected));
    dev->status = 0;
    dev->ok_told = false;
}

static void select_features(struct pl_watch_dev *dev, const struct pl_msg *m)
{
    for (uint32_t i = 0; i < m->data_len / 4; i++) {
        uint64_t block = m->f[PL_F_block_index] + i;
        if (block < PL_WATCH_BLOCKS && !(dev->status & PL_C_STATUS_FEATURES_OK))
            dev->selected[block] = pl_load32(m->data + (size_t)4 * i);
    }
}

static void set_status(struct pl_watch *w, struct pl_watch_dev *dev, const struct pl_msg *m)
{
    uint32_t status = (uint32_t)m->f[PL_F_status];
    if (status == 0) {
        reset_dev(w, dev);
        return;
    }
    dev->status = status;
    go_live(w, dev);
}

/* --- messages --- */

static void from_driver(struct pl_watch *w, struct pl_watch_dev *dev, const struct pl_msg *m)
{
    struct pl_watch_queue *q;
    if (!m->event && ++dev->open > 1)
        dev->overlaps = true;
    switch (m->kind) {
    case PL_SET_DRIVER_FEATURES:
        select_features(dev, m);
        break;
    case PL_SET_DEVICE_STATUS:
        set_status(w, dev, m);
        break;
    case PL_SET_VQUEUE:
        set_queue(w, dev, m);
        break;
    case PL_RESET_VQUEUE:
        if (m->f[PL_F_index] < PL_WATCH_QUEUES)
            stop_queue(w, dev->queue[m->f[PL_F_index]], true);
        break;
    case PL_EVENT_AVAIL:
        q = queue_find(w, m->dev_num, (uint32_t)m->f[PL_F_vq_index]);
        if (q && q->followed && !q->fault)
            pl_watch_kicked(w, dev, q, (uint32_t)m->f[PL_F_next_offset]);
        break;
    default:
        break;
    }
}

/* The driver hears of DRIVER_OK: what it had made available by now, it had too early. */
static void tell_status(struct pl_watch *w, struct pl_watch_dev *dev, uint64_t status)
{
    if (dev->ok_told || !(status & PL_C_STATUS_DRIVER_OK) || !(dev->status & PL_C_STATUS_DRIVER_OK))
        return;
    look_dev(w, dev, false);
    dev->ok_told = true;
}

/* Is nothing of the device's in hand? */
static bool idle(const struct pl_watch_dev *dev)
{
    for (size_t i = 0; i < PL_WATCH_QUEUES; i++)
        if (dev->queue[i] && dev->queue[i]->n_held)
            return false;
    return true;
}

static void note_used(struct pl_watch *w, const struct pl_watch_dev *dev, struct pl_watch_queue *q)
{
    if (!q || !q->followed || q->fault)
        return;
    q->events += q->given > 0;
    if (!q->unannounced)
        pl_watch_tell(w, q, "spurious%s", idle(dev) ? " idle" : "");
    q->spurious |= !q->unannounced && q->n_held;
    q->unannounced = false;
}

static void to_driver(struct pl_watch *w, struct pl_watch_dev *dev, const struct pl_msg *m)
{
    if (m->response && dev->open)
        dev->open--;
    switch (m->kind) {
    case PL_GET_DEVICE_INFO:
        dev->device_id = m->f[PL_F_device_id];
        break;
    case PL_GET_DEVICE_STATUS:
    case PL_SET_DEVICE_STATUS:
        tell_status(w, dev, m->f[PL_F_status]);
        break;
    case PL_EVENT_CONFIG:
        tell_status(w, dev, m->f[PL_F_device_status]);
        break;
    case PL_EVENT_USED:
        note_used(w, dev, queue_find(w, m->dev_num, (uint32_t)m->f[PL_F_vq_index]));
        break;
    case PL_GET_VQUEUE: /* it was refused after all */
        if (m->f[PL_F_index] < PL_WATCH_QUEUES && dev->queue[m->f[PL_F_index]] &&
            !(m->f[PL_F_flags] & PL_C_GVQ_ENABLED)) {
            pl_watch_end(dev->queue[m->f[PL_F_index]]);
            dev->queue[m->f[PL_F_index]]->enabled = false;
        }
        break;
    default:
        break;
    }
}

static void removed(struct pl_watch *w, const struct pl_msg *m)
{
    struct pl_watch_dev *dev = dev_find(w, (uint16_t)m->f[PL_F_device_number]);
    if (dev && m->f[PL_F_device_bus_state] == PL_C_BUS_STATE_REMOVED) {
        forget_queues(dev);
        dev->status = 0;
    }
}

/* What stands in the device's hands is taken back with it. */
static bool takes_back(const struct pl_msg *m)
{
    return m->form == PL_FORM_OK && (m->kind == PL_RESET_VQUEUE ||
                                     (m->kind == PL_SET_DEVICE_STATUS && m->f[PL_F_status] == 0));
}

/* The device works on it next: what is there met what it asked for so far. */
static void heard(struct pl_watch *w, const struct pl_msg *m)
{
    bool sound = m->form == PL_FORM_OK && m->def && !m->bus && !m->response;
    struct pl_watch_dev *dev = sound ? dev_of(w, m->dev_num) : NULL;
    if (!takes_back(m))
        look_all(w, !w->running);
    w->running = true;
    if (dev)
        from_driver(w, dev, m);
    conclude(w, false);
}

static void message(void *opaque, const struct pl_msg *m, bool to_iut)
{
    struct pl_watch *w = opaque;
    struct pl_watch_dev *dev = m->bus ? NULL : dev_find(w, m->dev_num);
    if (!to_iut)
        heard(w, m);
    else if (m->form == PL_FORM_OK && m->bus && m->kind == PL_EVENT_DEVICE)
        removed(w, m);
    else if (m->form == PL_FORM_OK && dev)
        to_driver(w, dev, m);
}

static void started(void *opaque)
{
    struct pl_watch *w = opaque;
    const struct pl_port *port = w->s->port;
    forget(w);
    w->memory = pl_port_memory(port);
}

static void watch_free(void *opaque)
{
    forget(opaque);
    free(opaque);
}

int pl_drv_watch_attach(struct pl_session *s)
{
    struct pl_watch *w = calloc(1, sizeof(*w));
    if (!w)
        return -ENOMEM;
    if (s->watch.free)
        s->watch.free(s->watch.opaque);
    w->s = s;
    w->device = (struct pl_device_watch){.opaque = w, .taken = taken, .giving = giving};
    s->watch = (struct pl_session_watch){
        .opaque = w, .message = message, .started = started, .free = watch_free};
    started(w);
    return 0;
}

const struct pl_device_watch *pl_drv_watch_device(struct pl_session *s)
{
    struct pl_watch *w = watch_of(s);
    if (w)
        w->wired = true;
    return w ? &w->device : NULL;
}
