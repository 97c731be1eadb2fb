/* The driver's queues at work: where they lie, who waits for what, what came back. */
#include <string.h>

#include "peer/driver_lane.h"
#include "peer/driver_private.h"

struct pl_dp_queue *pl_dp_queue_of(struct pl_dp_dev *dev, uint64_t index)
{
    for (uint32_t i = 0; i < dev->n_queues; i++)
        if (dev->queues[i].index == index)
            return &dev->queues[i];
    return NULL;
}

static void free_rings(struct pl_dp_dev *dev)
{
    for (size_t i = 0; i < PL_DP_QUEUES; i++) {
        pl_driver_ring_free(dev->queues[i].ring);
        dev->queues[i].ring = NULL;
        dev->queues[i].ready = 0;
    }
}

/* --- memory: lanes first, then the queues, each with as much room as the others --- */

/* Which of the device's queues are used: the administration queues are none of them. */
static uint32_t wanted_queues(const struct pl_dp *peer, struct pl_dp_dev *dev)
{
    struct pl_dp_step c = {.peer = (struct pl_dp *)peer, .dev = dev};
    uint64_t most = pl_dp_opt(peer, PL_DP_OPT_queues);
    if (!dev->type)
        return (uint32_t)(most < 8 ? most : 8);
    if (dev->type->id != PL_C_TYPE_block || !pl_dp_selected(dev, PL_T_BLOCK_F_MQ))
        return dev->type->queues;
    uint64_t there = pl_dp_num_queues(&c);
    return (uint32_t)(there < 1 ? 1 : there < most ? there : most);
}

/* The device's ordinary queues from 0 on, as many as are wanted and there. */
static void number_queues(struct pl_dp_dev *dev, uint32_t wanted)
{
    const struct pl_dp_info *info = &dev->info;
    dev->n_queues = 0;
    for (uint64_t i = 0; i < info->max_virtqueues && dev->n_queues < wanted; i++)
        if (i < info->admin_vq_start || i - info->admin_vq_start >= info->admin_vq_count)
            dev->queues[dev->n_queues++] = (struct pl_dp_queue){.index = i};
        else
            i = info->admin_vq_start + info->admin_vq_count - 1;
}

void pl_dp_io_lay_out(struct pl_dp *peer, struct pl_dp_dev *dev)
{
    uint64_t lanes = PL_DP_LANES * PL_DP_LANE_BYTES;
    uint64_t all = dev->memory_size > lanes ? dev->memory_size - lanes : 0;
    free_rings(dev);
    dev->busy = 0;
    number_queues(dev, wanted_queues(peer, dev));
    uint64_t room = dev->n_queues ? all / dev->n_queues / 4096 * 4096 : 0;
    for (uint32_t i = 0; i < dev->n_queues; i++) {
        dev->queues[i].place = dev->memory + lanes + i * room;
        dev->queues[i].room = room;
    }
    for (uint32_t i = 0; i < PL_DP_LANES; i++)
        dev->lanes[i] = (struct pl_dp_lane){.number = i,
                                            .step = dev->lanes[i].step,
                                            .id = -1,
                                            .at = dev->memory + i * PL_DP_LANE_BYTES};
}

bool pl_dp_queue_make(struct pl_dp *peer, struct pl_dp_dev *dev, struct pl_dp_queue *queue,
                      uint64_t size)
{
    struct pl_ring_setup setup = {.packed = pl_dp_selected(dev, PL_C_F_RING_PACKED),
                                  .indirect = pl_dp_selected(dev, PL_C_F_INDIRECT_DESC),
                                  .event_idx = pl_dp_selected(dev, PL_C_F_EVENT_IDX),
                                  .in_order = pl_dp_selected(dev, PL_C_F_IN_ORDER)};
    int err;
    while (!setup.packed && size & (size - 1))
        size &= size - 1; /* a power of two */
    while (size > 1 && pl_ring_bytes(setup.packed, (uint16_t)size).whole > queue->room)
        size /= 2;
    setup.size = (uint16_t)size;
    pl_driver_ring_free(queue->ring);
    queue->ring = NULL;
    queue->size = size;
    queue->added = 0;
    if (pl_ring_place(&setup, queue->place) < 0)
        return false;
    queue->desc_addr = setup.desc_addr;
    queue->driver_addr = setup.driver_addr;
    queue->device_addr = setup.device_addr;
    queue->ring = pl_driver_ring_new(&peer->shared, &setup, &err);
    if (queue->ring && pl_dp_opt(peer, PL_DP_OPT_poll))
        pl_driver_ring_notify(queue->ring, PL_RING_NOTIFY_NEVER, 0);
    return queue->ring != NULL;
}

/* --- forgetting --- */

static void forget_lane(struct pl_dp_dev *dev, struct pl_dp_lane *lane)
{
    dev->busy -= lane->busy;
    lane->busy = lane->knows = false;
    lane->id = -1;
}

void pl_dp_io_forget(struct pl_dp *peer, struct pl_dp_dev *dev)
{
    (void)peer;
    for (size_t i = 0; i < PL_DP_LANES; i++) {
        dev->v.todo_io += dev->lanes[i].busy; /* it is made once more */
        forget_lane(dev, &dev->lanes[i]);
        dev->lanes[i].step = 0;
    }
    free_rings(dev);
    dev->poll_at = UINT64_MAX;
}

void pl_dp_act_io_forget(struct pl_dp_step *c)
{
    pl_dp_io_forget(c->peer, c->dev);
    if (c->dev->v.todo_stop)
        c->dev->v.todo_io = 0;
}

/* A queue that was reset: what was in flight is made once more. */
void pl_dp_act_io_forget_queue(struct pl_dp_step *c, uint64_t i)
{
    if (i >= c->dev->n_queues)
        return;
    for (size_t k = 0; k < PL_DP_LANES; k++) {
        struct pl_dp_lane *lane = &c->dev->lanes[k];
        if (!lane->busy || lane->queue != i)
            continue;
        c->dev->v.todo_io++;
        forget_lane(c->dev, lane);
        lane->step = 0;
    }
    pl_driver_ring_free(c->dev->queues[i].ring);
    c->dev->queues[i].ring = NULL;
    c->dev->queues[i].ready = 0;
}

/* --- what comes back --- */

static struct pl_dp_lane *lane_of(struct pl_dp_dev *dev, const struct pl_dp_queue *queue, int id)
{
    for (size_t i = 0; i < PL_DP_LANES; i++) {
        struct pl_dp_lane *lane = &dev->lanes[i];
        if (lane->busy && lane->id == id && &dev->queues[lane->queue] == queue)
            return lane;
    }
    return NULL;
}

/* A chain came back: its lane is looked at, and free. */
static void take_used(struct pl_dp_step *c, const struct pl_ring_used *used)
{
    struct pl_dp_lane *lane = lane_of(c->dev, c->queue, used->id);
    if (!lane)
        return;
    lane->written = used->implied ? UINT64_MAX : used->written;
    lane->result = pl_dp_lane_result(c->peer, lane);
    c->lane = lane;
    pl_dp_run_io(c->peer, c->dev, PL_DP_ON_DONE, c->queue, lane);
}

/* Ask to be told of the last chain that is in flight. */
static void ask_for_last(const struct pl_dp *peer, struct pl_dp_queue *queue)
{
    unsigned held = pl_driver_ring_held(queue->ring);
    if (held && pl_dp_opt(peer, PL_DP_OPT_coalesce) && !pl_dp_opt(peer, PL_DP_OPT_poll))
        pl_driver_ring_notify(queue->ring, PL_RING_NOTIFY_AT, (uint16_t)(held - 1));
}

void pl_dp_act_collect(struct pl_dp_step *c)
{
    for (unsigned round = 0; round < 2; round++) {
        struct pl_ring_used used;
        enum pl_ring_fault fault;
        for (uint64_t n = 0; n <= 2 * PL_C_QUEUE_SIZE_MAX && c->queue->ring; n++) {
            int got = pl_driver_ring_poll(c->queue->ring, &used, &fault);
            if (got < 0)
                pl_dp_run_io(c->peer, c->dev, PL_DP_ON_FAULT, c->queue, NULL);
            if (got <= 0)
                break;
            take_used(c, &used);
        }
        if (!c->queue->ring || round > 0)
            return;
        ask_for_last(c->peer, c->queue); /* and what came meanwhile is taken */
    }
}

void pl_dp_act_look(struct pl_dp_step *c, uint64_t index)
{
    struct pl_dp_queue *queue = pl_dp_queue_of(c->dev, index);
    if (queue && queue->ring && queue->ready)
        pl_dp_run_io(c->peer, c->dev, PL_DP_ON_LOOK, queue, NULL);
}

/* The request is through. */
void pl_dp_act_io_release(struct pl_dp_step *c)
{
    pl_dp_lane_done(c->lane);
    c->dev->busy -= c->lane->busy;
    c->lane->busy = false;
    c->lane->id = -1;
    c->dev->served++;
}

/* Mutants: it is forgotten, and its place is not. */
void pl_dp_act_io_drop(struct pl_dp_step *c)
{
    c->lane->deadline = UINT64_MAX;
}

/* --- time --- */

uint64_t pl_dp_io_next_ms(const struct pl_dp *peer, const struct pl_dp_dev *dev)
{
    uint64_t next = dev->busy ? dev->poll_at : UINT64_MAX;
    (void)peer;
    for (size_t i = 0; i < PL_DP_LANES && dev->busy; i++)
        if (dev->lanes[i].busy && dev->lanes[i].deadline < next)
            next = dev->lanes[i].deadline;
    return next;
}

static void look_everywhere(struct pl_dp *peer, struct pl_dp_dev *dev)
{
    for (uint32_t i = 0; i < dev->n_queues; i++)
        if (dev->queues[i].ring && dev->queues[i].ready)
            pl_dp_run_io(peer, dev, PL_DP_ON_LOOK, &dev->queues[i], NULL);
}

/* Polling, and a last look before a request counts as lost. */
void pl_dp_io_advance(struct pl_dp *peer, struct pl_dp_dev *dev)
{
    if (!dev->busy)
        return;
    if (dev->poll_at <= peer->now) {
        dev->poll_at = peer->now + 1;
        look_everywhere(peer, dev);
    }
    for (size_t i = 0; i < PL_DP_LANES; i++) {
        struct pl_dp_lane *lane = &dev->lanes[i];
        if (!lane->busy || lane->deadline > peer->now)
            continue;
        look_everywhere(peer, dev);
        if (!lane->busy || lane->deadline > peer->now)
            continue;
        lane->deadline = UINT64_MAX;
        pl_dp_run_io(peer, dev, PL_DP_ON_IO_TIMEOUT, NULL, lane);
        return;
    }
}
