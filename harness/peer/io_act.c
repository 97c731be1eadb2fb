/* The actions of virtqueues at work: starting and stopping, using chains, what all types share. */
#include <stdlib.h>
#include <string.h>

#include "peer/io.h"

/* The queue starts to work, under these features; one whose ring cannot be stays idle. */
void pl_act_io_start(struct pl_step *c, uint64_t packed, uint64_t indirect, uint64_t event_idx,
                     uint64_t in_order)
{
    struct pl_device_queue *queue = c->queue;
    const struct pl_ring_memory memory = pl_io_memory(c->peer);
    const struct pl_ring_setup setup = {.packed = packed != 0,
                                        .indirect = indirect != 0,
                                        .event_idx = event_idx != 0,
                                        .in_order = in_order != 0,
                                        .size = (uint16_t)queue->size,
                                        .desc_addr = queue->desc_addr,
                                        .driver_addr = queue->driver_addr,
                                        .device_addr = queue->device_addr};
    int err;
    queue->live = 1;
    if (!queue->io)
        queue->kind = pl_io_kind(c, queue);
    if (queue->io)
        queue->io->paused = queue->io->suspended = false;
    if (queue->io || !memory.mem || queue->size > UINT16_MAX || queue->kind < 0)
        return;
    struct pl_device_work *work = calloc(1, sizeof(*work));
    if (!work)
        return;
    work->ring = pl_device_ring_new(&memory, &setup, &err);
    if (!work->ring) {
        free(work);
        return;
    }
    work->queue = queue;
    queue->taken = 0;
    work->linger = PL_LINGER_NOTIFIED;
    work->in_order = setup.in_order;
    queue->io = work;
}

void pl_act_io_look(struct pl_step *c)
{
    if (c->queue->index < PL_NET_QUEUES && c->req->event)
        c->dev->net.count[c->queue->index].notifications++;
    pl_io_look(c->peer, c->dev, c->queue);
}

/* Everything in hand is done at once. */
void pl_act_io_finish(struct pl_step *c)
{
    struct pl_device_work *work = c->queue->io;
    if (!work || work->fault || !work->first)
        return;
    for (struct pl_taken *t = work->first; t; t = t->next)
        t->due = c->peer->now;
    work->more = false;
    pl_io_complete_due(c->peer, c->dev, work);
    pl_io_flush(c->peer, c->dev, work);
}

/* The queue stops: what is in hand is dropped, and the ring is not touched any more. */
void pl_act_io_stop(struct pl_step *c)
{
    if (c->queue->kind == PL_ON_CONSOLE_SAY)
        pl_pipe_free(&c->dev->words); /* another life's messages */
    pl_io_free(c->queue->io);
    c->queue->io = NULL;
    c->queue->live = 0;
}

/* A mutant's: what is in hand is dropped, and the ring's place is remembered. */
void pl_act_io_pause(struct pl_step *c)
{
    struct pl_device_work *work = c->queue->io;
    while (work && work->first)
        free(pl_io_remove(work, work->first));
    if (work)
        work->paused = true;
    c->queue->live = 0;
}

/* A mutant's: what is in hand goes on behind the queue's end. */
void pl_act_io_linger(struct pl_step *c, uint64_t how)
{
    struct pl_device_work *work = c->queue->io;
    c->queue->live = 0;
    c->queue->io = NULL;
    if (!work)
        return;
    work->linger = how > PL_LINGER_USED    ? PL_LINGER_NOTIFIED
                   : how == PL_LINGER_USED ? PL_LINGER_USED
                                           : PL_LINGER_BUFFERS;
    work->more = false;
    work->next = c->dev->orphans;
    c->dev->orphans = work;
}

/* The chain that was just taken is done so many milliseconds later. */
void pl_act_io_wait(struct pl_step *c, uint64_t ms)
{
    struct pl_device_work *work = c->peer->work;
    uint64_t due = c->peer->now + (ms < UINT32_MAX ? ms : UINT32_MAX);
    uint64_t pace = pl_device_opt(c->peer, PL_DEVICE_OPT_io_pace);
    if (!work || !work->last)
        return;
    if (pace && due < work->paced + pace)
        due = work->paced + (pace < UINT32_MAX ? pace : UINT32_MAX);
    work->paced = due;
    work->last->due = due;
}

/* A mutant's: it is never done. */
void pl_act_io_lose(struct pl_step *c)
{
    struct pl_device_work *work = c->peer->work;
    if (work && work->last)
        free(pl_io_remove(work, work->last));
}

/* A mutant's: only the first buffers of the chain are seen. */
void pl_act_io_trim(struct pl_step *c, uint64_t buffers)
{
    struct pl_taken *t = c->peer->work ? c->peer->work->last : NULL;
    if (!t || buffers >= t->n)
        return;
    t->n = (unsigned)buffers;
    t->n_readable = t->n < t->n_readable ? t->n : t->n_readable;
    t->readable = t->writable = 0;
    for (unsigned i = 0; i < t->n; i++)
        *(t->buffer[i].device_writes ? &t->writable : &t->readable) += t->buffer[i].len;
}

/* A mutant's: the buffers to be written are taken from the last one on, but the last `keep`. */
void pl_act_io_reverse(struct pl_step *c, uint64_t keep)
{
    struct pl_taken *t = c->peer->work ? c->peer->work->last : NULL;
    unsigned end = t && keep < t->n ? t->n - (unsigned)keep : 0;
    for (unsigned i = t ? t->n_readable : 0, k = end; i + 1 < k; i++) {
        struct pl_ring_buffer buffer = t->buffer[i];
        t->buffer[i] = t->buffer[--k];
        t->buffer[k] = buffer;
    }
}

/* One used entry may stand for a batch, where all are used in order. */
static bool joins_batch(struct pl_step *c, uint64_t id, uint64_t entries, uint64_t written)
{
    struct pl_device_work *work = c->peer->work;
    if (!work->in_order || !c->peer->io_opt.in_order_batch)
        return false;
    work->batch.n++;
    work->batch.id = (uint16_t)id;
    work->batch.entries = (uint16_t)(work->batch.entries + entries);
    work->batch.written = (uint32_t)written;
    return true;
}

static void tell_giving(const struct pl_step *c, const struct pl_device_work *work, uint16_t id,
                        uint16_t entries)
{
    const struct pl_device_watch *watch = c->peer->watch;
    if (watch && watch->giving)
        watch->giving(watch->opaque, (uint16_t)c->dev->number, (uint32_t)work->queue->index, id,
                      entries);
}

void pl_act_io_use(struct pl_step *c, uint64_t id, uint64_t entries, uint64_t written)
{
    struct pl_device_work *work = c->peer->work;
    if (!work)
        return;
    if (!joins_batch(c, id, entries, written)) {
        tell_giving(c, work, (uint16_t)id, (uint16_t)entries);
        pl_device_ring_push(work->ring, (uint16_t)id, (uint16_t)entries, (uint32_t)written);
    }
    work->unflushed++;
}

/* A mutant's: what no device may write. `entries` counts used entries on a split ring. */
void pl_act_io_use_bent(struct pl_step *c, uint64_t id, uint64_t entries, uint64_t written,
                        uint64_t flip_wrap, uint64_t hide)
{
    struct pl_device_work *work = c->peer->work;
    const struct pl_ring_bend bend = {.id = (uint32_t)id,
                                      .written = (uint32_t)written,
                                      .entries = (uint16_t)entries,
                                      .flip_wrap = flip_wrap != 0,
                                      .hide = hide != 0};
    if (!work)
        return;
    tell_giving(c, work, bend.id <= UINT16_MAX ? (uint16_t)bend.id : 0, 0);
    pl_device_ring_push_bent(work->ring, &bend);
    work->unflushed++;
}

void pl_act_io_flush(struct pl_step *c)
{
    struct pl_device_work *work = c->peer->work;
    if (!work)
        return;
    if (work->batch.n > 0) {
        bool packed = pl_device_ring_setup(work->ring)->packed;
        const struct pl_ring_bend whole = {.id = work->batch.id,
                                           .written = work->batch.written,
                                           .entries = packed ? work->batch.entries
                                                             : (uint16_t)work->batch.n};
        tell_giving(c, work, work->batch.id, whole.entries);
        pl_device_ring_push_bent(work->ring, &whole);
        memset(&work->batch, 0, sizeof(work->batch));
    } else {
        pl_device_ring_flush(work->ring);
    }
    c->peer->io.due = pl_device_ring_notify_due(work->ring);
}

/* The status byte, where a chain ends; everything before it counts as written. */
void pl_act_io_status(struct pl_step *c, uint64_t status)
{
    uint8_t byte = (uint8_t)status;
    if (c->peer->io.writable == 0)
        return;
    pl_io_put(c->peer, c->peer->io.writable - 1, &byte, 1);
    c->peer->io.written = c->peer->io.writable;
}

/* The status alone: whatever room there is before it is cleared. */
void pl_act_io_answer(struct pl_step *c, uint64_t status)
{
    pl_io_fill(c->peer, 0, c->peer->io.writable, 0);
    pl_act_io_status(c, status);
}

void pl_act_io_fill(struct pl_step *c, uint64_t from, uint64_t to, uint64_t value)
{
    pl_io_fill(c->peer, from, to, (uint8_t)value);
}

void pl_act_io_random(struct pl_step *c, uint64_t bytes)
{
    for (uint64_t at = 0; at < bytes; at += sizeof(uint64_t)) {
        uint64_t word = pl_device_draw(c->peer), left = bytes - at;
        size_t want = left < sizeof(word) ? (size_t)left : sizeof(word);
        size_t n = pl_io_put(c->peer, at, &word, want);
        c->peer->io.written += n;
        if (n < want)
            return;
    }
}

/* A mutant's: write to memory, wherever it belongs. */
void pl_act_poke(struct pl_step *c, uint64_t addr, uint64_t bytes, uint64_t value)
{
    const struct pl_ring_memory memory = pl_io_memory(c->peer);
    uint8_t *p = bytes <= memory.size ? pl_ring_at(&memory, addr, (size_t)bytes) : NULL;
    if (p)
        memset(p, (int)(value & 0xff), (size_t)bytes);
}

/* A little-endian number in the memory; 0 where there is none. */
uint64_t pl_fn_peek(const struct pl_step *c, uint64_t addr, uint64_t bytes)
{
    const struct pl_ring_memory memory = pl_io_memory(c->peer);
    const uint8_t *p = bytes <= 8 ? pl_ring_at(&memory, addr, (size_t)bytes) : NULL;
    uint64_t value = 0;
    for (uint64_t i = p ? bytes : 0; i > 0; i--)
        value = value << 8 | p[i - 1];
    return value;
}

void pl_act_fail(struct pl_step *c)
{
    static const struct pl_msg none;
    pl_device_run(c->peer, c->dev, PL_ON_NEEDS_RESET, &none);
}
