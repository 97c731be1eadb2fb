/* Virtqueues at work: when they start and stop, what they take, and what is done when. */
#include "peer/io.h"

#include <stdlib.h>
#include <string.h>

#define LOOK_MAX 65536u /* chains in one look: a driver that never ends does not hold us */

static int net_kind(const struct pl_step *c, uint64_t index)
{
    uint64_t pairs = pl_net_pairs_there(c);
    if (index > 2 * pairs)
        return -1;
    return index == 2 * pairs ? PL_ON_NET_CONTROL : index & 1 ? PL_ON_NET_OUT : PL_ON_NET_IN;
}

int pl_io_kind(const struct pl_step *c, const struct pl_device_queue *queue)
{
    static const struct {
        const char *type;
        uint64_t queue;
        int on;
    } kinds[] = {
        {"entropy", 0, PL_ON_ENTROPY},
        {"console", PL_T_CONSOLE_RECEIVEQ, PL_ON_CONSOLE_IN},
        {"console", PL_T_CONSOLE_TRANSMITQ, PL_ON_CONSOLE_OUT},
        {"console", PL_T_CONSOLE_CONTROL_RECEIVEQ, PL_ON_CONSOLE_SAY},
        {"console", PL_T_CONSOLE_CONTROL_TRANSMITQ, PL_ON_CONSOLE_TOLD},
    };
    const char *type = c->peer->type->name;
    if (queue->index >= c->dev->max_virtqueues - c->dev->admin_vq_count)
        return strcmp(type, "net") == 0 ? PL_ON_ADMIN : -1; /* an administration virtqueue */
    if (strcmp(type, "net") == 0)
        return net_kind(c, queue->index);
    if (strcmp(type, "block") == 0)
        return PL_ON_BLOCK;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].type, type) == 0 && queue->index == kinds[i].queue)
            return kinds[i].on;
    return -1;
}

void pl_io_prepare(struct pl_device_peer *peer)
{
    peer->polls = pl_device_opt(peer, PL_DEVICE_OPT_io_poll) != 0;
    peer->io_opt.batch = pl_device_opt(peer, PL_DEVICE_OPT_io_batch);
    peer->io_opt.in_order_batch = pl_device_opt(peer, PL_DEVICE_OPT_io_in_order_batch);
    peer->io_opt.suppress = pl_device_opt(peer, PL_DEVICE_OPT_io_suppress);
    peer->io_opt.any_order = pl_device_opt(peer, PL_DEVICE_OPT_io_out_of_order);
}

static bool receives(const struct pl_device_queue *queue)
{
    return queue->kind == PL_ON_CONSOLE_IN || queue->kind == PL_ON_CONSOLE_SAY ||
           queue->kind == PL_ON_NET_IN;
}

/* --- starting and stopping --- */

static bool is_queue(const struct pl_device *dev, uint32_t i)
{
    return i < dev->max_virtqueues && i < PL_DEVICE_MAX_QUEUES;
}

void pl_io_stop_due(struct pl_step *c)
{
    for (uint32_t i = 0; is_queue(c->dev, i); i++)
        if (c->dev->queues[i].live || (c->dev->queues[i].io && c->dev->queues[i].io->suspended))
            pl_device_run_queue(c->peer, c->dev, &c->dev->queues[i], PL_ON_QUEUE_STOP);
}

void pl_io_start_due(struct pl_step *c)
{
    for (uint32_t i = 0; is_queue(c->dev, i); i++)
        if (!c->dev->queues[i].live && c->dev->queues[i].available)
            pl_device_run_queue(c->peer, c->dev, &c->dev->queues[i], PL_ON_QUEUE_START);
}

static void drop_queue(struct pl_device_queue *queue)
{
    pl_io_free(queue->io);
    queue->io = NULL;
    queue->live = 0;
}

void pl_io_drop(struct pl_device *dev)
{
    for (uint32_t i = 0; i < PL_DEVICE_MAX_QUEUES; i++)
        drop_queue(&dev->queues[i]);
    while (dev->orphans) {
        struct pl_device_work *work = dev->orphans;
        dev->orphans = work->next;
        pl_io_free(work);
    }
}

void pl_io_forget(struct pl_device *dev)
{
    pl_io_drop(dev);
    pl_disk_close(dev->disk);
    dev->disk = NULL;
    free(dev->zones);
    dev->zones = NULL;
    dev->n_zones = 0;
    pl_pipe_free(&dev->pipe);
    pl_pipe_free(&dev->headers);
    pl_pipe_free(&dev->words);
}

/* --- completing --- */

static void complete(struct pl_device_peer *peer, struct pl_device *dev,
                     struct pl_device_work *work, struct pl_taken *taken)
{
    int kind = work->queue->kind;
    uint64_t batch = peer->io_opt.batch;
    pl_io_load(peer, work, taken);
    if (kind == PL_ON_BLOCK)
        pl_block_parse(peer, dev);
    if (kind == PL_ON_CONSOLE_TOLD)
        pl_console_parse(peer);
    if (kind == PL_ON_ADMIN)
        pl_admin_parse(peer);
    if (kind == PL_ON_NET_OUT)
        pl_net_parse_packet(peer);
    if (kind == PL_ON_NET_CONTROL)
        pl_net_parse(peer);
    if (kind >= 0)
        pl_io_run(peer, dev, work, kind);
    free(taken);
    pl_io_served(peer, dev, work);
    if (batch && work->unflushed >= batch)
        pl_io_flush(peer, dev, work);
}

/* The chain whose work is to be done next; NULL: none is due. */
static struct pl_taken *next_due(struct pl_device_peer *peer, struct pl_device_work *work)
{
    bool any_order = !work->in_order && peer->io_opt.any_order;
    struct pl_taken *found = NULL;
    unsigned n = 0;
    for (struct pl_taken *t = work->first; t; t = t->next) {
        if (t->due > peer->now) {
            if (work->in_order)
                return found;
            continue;
        }
        if (!any_order)
            return t;
        if (pl_device_draw(peer) % ++n == 0) /* each of them is as likely */
            found = t;
    }
    return found;
}

void pl_io_complete_due(struct pl_device_peer *peer, struct pl_device *dev,
                        struct pl_device_work *work)
{
    for (struct pl_taken *t = next_due(peer, work); t; t = next_due(peer, work))
        complete(peer, dev, work, pl_io_remove(work, t));
}

/* What came in goes to the buffers that wait for it. */
static void receive(struct pl_device_peer *peer, struct pl_device *dev)
{
    const struct pl_device_queue *say = &dev->queues[PL_T_CONSOLE_CONTROL_RECEIVEQ];
    const struct pl_device_queue *in = &dev->queues[PL_T_CONSOLE_RECEIVEQ];
    if (say->io && say->kind == PL_ON_CONSOLE_SAY)
        pl_console_speak(peer, dev);
    if (in->io && in->kind == PL_ON_CONSOLE_IN)
        pl_console_receive(peer, dev);
    if (strcmp(peer->type->name, "net") == 0)
        pl_net_receive(peer, dev);
}

/* --- looking --- */

/* Take what is available, as much as one may have in hand. False: the end was not reached. */
static bool take_all(struct pl_device_peer *peer, struct pl_device *dev,
                     struct pl_device_work *work, unsigned *budget)
{
    work->more = false;
    while (work->n_taken<PL_TAKEN_MAX && * budget> 0) {
        int r = pl_io_take(peer, dev, work);
        if (r <= 0)
            return true;
        --*budget;
        struct pl_taken *taken = work->last;
        pl_io_load(peer, work, taken);
        pl_io_run(peer, dev, work, PL_ON_CHAIN);
    }
    work->more = true;
    return false;
}

static void look_once(struct pl_device_peer *peer, struct pl_device *dev,
                      struct pl_device_work *work)
{
    unsigned budget = LOOK_MAX;
    bool ended;
    do {
        ended = take_all(peer, dev, work, &budget);
        pl_io_complete_due(peer, dev, work);
    } while (!ended && budget > 0 && work->n_taken < PL_TAKEN_MAX);
}

static void tell_fault(struct pl_device_peer *peer, struct pl_device *dev,
                       struct pl_device_work *work)
{
    if (!work->fault || work->told)
        return;
    work->told = true;
    pl_io_run(peer, dev, work, PL_ON_QUEUE_FAULT);
}

/* Nonsense where the driver must not look: 1 where the field means nothing, 2 also in flags. */
static bool noise_due(const struct pl_device_peer *peer, const struct pl_device_work *work)
{
    uint64_t noise = pl_device_opt(peer, PL_DEVICE_OPT_io_event_noise);
    return noise && (noise > 1 || !pl_device_ring_setup(work->ring)->event_idx);
}

void pl_io_look(struct pl_device_peer *peer, struct pl_device *dev, struct pl_device_queue *queue)
{
    struct pl_device_work *work = queue->io;
    if (!work || work->fault)
        return;
    bool quiet = peer->io_opt.suppress != 0;
    if (quiet)
        pl_device_ring_kicks(work->ring, false);
    if (!receives(queue))
        look_once(peer, dev, work);
    if (!quiet || !peer->polls)
        pl_device_ring_kicks(work->ring, true);
    if (noise_due(peer, work))
        pl_device_ring_noise(work->ring);
    if (!receives(queue))
        look_once(peer, dev, work); /* what came before the driver could know that it must tell */
    pl_io_flush(peer, dev, work);
    receive(peer, dev);
    tell_fault(peer, dev, work);
    for (uint32_t i = 0; is_queue(dev, i); i++) /* receiving may have met one, too */
        if (dev->queues[i].io && dev->queues[i].io != work && receives(&dev->queues[i]))
            tell_fault(peer, dev, dev->queues[i].io);
}

/* --- time --- */

static uint64_t work_next_ms(const struct pl_device_peer *peer, const struct pl_device_work *work)
{
    uint64_t next = work->more ? peer->now : UINT64_MAX;
    if (receives(work->queue))
        return UINT64_MAX;
    for (const struct pl_taken *t = work->first; t; t = t->next)
        if (t->due < next)
            next = t->due;
    return next;
}

uint64_t pl_io_next_ms(const struct pl_device_peer *peer, const struct pl_device *dev)
{
    uint64_t next = UINT64_MAX, at;
    for (uint32_t i = 0; is_queue(dev, i); i++) {
        const struct pl_device_work *work = dev->queues[i].io;
        if (!work || work->fault)
            continue;
        if (peer->polls && next > peer->now)
            next = peer->now + 1;
        if ((at = work_next_ms(peer, work)) < next)
            next = at;
    }
    for (const struct pl_device_work *work = dev->orphans; work; work = work->next)
        if ((at = work_next_ms(peer, work)) < next)
            next = at;
    return next;
}

static void advance_orphans(struct pl_device_peer *peer, struct pl_device *dev)
{
    for (struct pl_device_work *work = dev->orphans; work; work = work->next) {
        if (receives(work->queue))
            continue;
        pl_io_complete_due(peer, dev, work);
        pl_io_flush(peer, dev, work);
    }
}

void pl_io_advance(struct pl_device_peer *peer, struct pl_device *dev)
{
    for (uint32_t i = 0; is_queue(dev, i); i++) {
        struct pl_device_work *work = dev->queues[i].io;
        if (!work || work->fault || work->paused)
            continue;
        uint64_t next = work_next_ms(peer, work);
        if (peer->polls || next <= peer->now)
            pl_io_look(peer, dev, &dev->queues[i]);
    }
    advance_orphans(peer, dev);
    struct pl_step c = {.peer = peer, .dev = dev, .old = dev->v};
    pl_io_stop_due(&c); /* what was found may be an error */
}
