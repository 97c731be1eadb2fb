/* Chains in hand: taken from a ring, loaded as the one at hand, used, flushed. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "peer/io.h"

struct pl_ring_memory pl_io_memory(const struct pl_device_peer *peer)
{
    return (struct pl_ring_memory){.mem = peer->env.mem,
                                   .base = peer->env.mem_base,
                                   .size = peer->env.mem_size,
                                   .parts = peer->env.mem_parts};
}

/* Keep a chain that was just popped, without the room that it does not need. */
static struct pl_taken *keep(const struct pl_ring_chain *chain)
{
    struct pl_taken *t = malloc(sizeof(*t) + chain->n * sizeof(chain->buffer[0]));
    if (!t)
        return NULL;
    *t = (struct pl_taken){.id = chain->id,
                           .entries = chain->entries,
                           .n = chain->n,
                           .n_readable = chain->n_readable,
                           .readable = chain->readable,
                           .writable = chain->writable};
    memcpy(t->buffer, chain->buffer, chain->n * sizeof(chain->buffer[0]));
    return t;
}

/* A chain of more buffers than one holds: it ends where they do. */
static void count(struct pl_ring_chain *chain)
{
    chain->readable = chain->writable = 0;
    for (unsigned i = 0; i < chain->n; i++)
        *(chain->buffer[i].device_writes ? &chain->writable : &chain->readable) +=
            chain->buffer[i].len;
}

int pl_io_take(struct pl_device_peer *peer, const struct pl_device *dev,
               struct pl_device_work *work)
{
    enum pl_ring_fault fault = PL_RING_SOUND;
    if (work->fault)
        return -1;
    int r = pl_device_ring_pop(work->ring, &peer->chain, &fault);
    if (r == 0)
        return 0;
    if (r == -E2BIG)
        count(&peer->chain);
    struct pl_taken *t = r > 0 || r == -E2BIG ? keep(&peer->chain) : NULL;
    if (!t) {
        work->fault = true;
        return -1;
    }
    t->due = peer->now;
    t->place = work->taken_entries;
    work->taken_entries += t->entries;
    work->queue->taken++;
    if (work->last)
        work->last->next = t;
    else
        work->first = t;
    work->last = t;
    work->n_taken++;
    if (peer->watch && peer->watch->taken)
        peer->watch->taken(peer->watch->opaque, (uint16_t)dev->number, (uint32_t)work->queue->index,
                           t->id);
    return 1;
}

struct pl_taken *pl_io_remove(struct pl_device_work *work, struct pl_taken *taken)
{
    struct pl_taken **link = &work->first, *before = NULL;
    while (*link != taken) {
        before = *link;
        link = &(*link)->next;
    }
    *link = taken->next;
    if (work->last == taken)
        work->last = before;
    work->n_taken--;
    taken->next = NULL;
    return taken;
}

void pl_io_load(struct pl_device_peer *peer, struct pl_device_work *work,
                const struct pl_taken *taken)
{
    struct pl_ring_chain *chain = &peer->chain;
    chain->id = taken->id;
    chain->entries = taken->entries;
    chain->n = taken->n;
    chain->n_readable = taken->n_readable;
    chain->readable = taken->readable;
    chain->writable = taken->writable;
    memcpy(chain->buffer, taken->buffer, taken->n * sizeof(taken->buffer[0]));
    peer->io = (struct pl_device_io){.id = taken->id,
                                     .entries = taken->entries,
                                     .readable = taken->readable,
                                     .writable = taken->writable,
                                     .served = work->served};
    uint16_t size = pl_device_ring_setup(work->ring)->size;
    peer->io.place = taken->place % size;
    peer->io.lap = work->used_entries / size;
    if (taken->n_readable > 0) {
        peer->io.readable_addr = taken->buffer[0].addr;
        peer->io.readable_len = taken->buffer[0].len;
    }
    if (taken->n > taken->n_readable) {
        const struct pl_ring_buffer *last = &taken->buffer[taken->n - 1];
        peer->io.writable_addr = taken->buffer[taken->n_readable].addr;
        peer->io.writable_len = taken->buffer[taken->n_readable].len;
        peer->io.writable_end = last->addr + last->len;
        peer->io.last_len = last->len;
    }
}

void pl_io_run(struct pl_device_peer *peer, struct pl_device *dev, struct pl_device_work *work,
               int on)
{
    struct pl_device_work *outer = peer->work;
    peer->work = work;
    pl_device_run_queue(peer, dev, work->queue, on);
    peer->work = outer;
}

void pl_io_served(struct pl_device_peer *peer, struct pl_device *dev, struct pl_device_work *work)
{
    if (work->linger >= PL_LINGER_USED)
        pl_io_run(peer, dev, work, PL_ON_SERVED);
    work->served++;
    work->used_entries += peer->io.entries;
}

void pl_io_flush(struct pl_device_peer *peer, struct pl_device *dev, struct pl_device_work *work)
{
    if (work->unflushed == 0)
        return;
    peer->io.flushed = work->unflushed;
    pl_io_run(peer, dev, work, PL_ON_FLUSH);
    work->unflushed = 0;
    if (work->linger == PL_LINGER_NOTIFIED)
        pl_io_run(peer, dev, work, PL_ON_NOTIFY);
}

void pl_io_free_taken(struct pl_taken *taken)
{
    free(taken);
}

void pl_io_free(struct pl_device_work *work)
{
    while (work && work->first)
        free(pl_io_remove(work, work->first));
    if (work)
        pl_device_ring_free(work->ring);
    free(work);
}

size_t pl_io_get(struct pl_device_peer *peer, uint64_t at, void *out, size_t len)
{
    const struct pl_ring_memory memory = pl_io_memory(peer);
    return at > SIZE_MAX ? 0 : pl_ring_read(&memory, &peer->chain, (size_t)at, out, len);
}

size_t pl_io_put(struct pl_device_peer *peer, uint64_t at, const void *bytes, size_t len)
{
    const struct pl_ring_memory memory = pl_io_memory(peer);
    return at > SIZE_MAX ? 0 : pl_ring_write(&memory, &peer->chain, (size_t)at, bytes, len);
}

void pl_io_fill(struct pl_device_peer *peer, uint64_t at, uint64_t end, uint8_t value)
{
    uint8_t piece[512];
    memset(piece, value, sizeof(piece));
    while (at < end) {
        size_t want = end - at < sizeof(piece) ? (size_t)(end - at) : sizeof(piece);
        if (pl_io_put(peer, at, piece, want) < want)
            return;
        at += want;
    }
}
