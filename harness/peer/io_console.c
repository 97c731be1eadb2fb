/* The console: what the driver writes to port 0 comes back to it there. */
#include "peer/io.h"

void pl_act_console_put(struct pl_step *c, uint64_t bytes)
{
    uint8_t *piece = c->peer->frame;
    for (uint64_t at = 0; at < bytes;) {
        uint64_t left = bytes - at;
        size_t n = left < PL_PIPE_ITEM_MAX ? (size_t)left : PL_PIPE_ITEM_MAX;
        n = pl_io_get(c->peer, at, piece, n);
        if (n == 0 || !pl_pipe_put(&c->dev->pipe, piece, n))
            return;
        at += n;
    }
}

/* As much of what came as the buffer takes, and no more than so much. */
void pl_act_console_get(struct pl_step *c, uint64_t bytes)
{
    uint64_t room = bytes < c->peer->io.writable ? bytes : c->peer->io.writable;
    while (c->peer->io.written < room && pl_pipe_first(&c->dev->pipe) > 0) {
        uint64_t left = room - c->peer->io.written;
        size_t n = left < PL_PIPE_ITEM_MAX ? (size_t)left : PL_PIPE_ITEM_MAX;
        n = pl_pipe_take(&c->dev->pipe, c->peer->frame, n);
        n = pl_io_put(c->peer, c->peer->io.written, c->peer->frame, n);
        c->peer->io.written += n;
        if (n == 0)
            return;
    }
}

void pl_console_receive(struct pl_device_peer *peer, struct pl_device *dev)
{
    struct pl_device_work *work = dev->queues[0].io;
    uint64_t batch = pl_device_opt(peer, "io_batch");
    while (pl_pipe_first(&dev->pipe) > 0 && !work->fault && pl_io_take(peer, work) > 0) {
        struct pl_taken *taken = pl_io_remove(work, work->last);
        pl_io_load(peer, work, taken);
        pl_io_run(peer, dev, work, PL_ON_CONSOLE_IN);
        pl_io_free_taken(taken);
        pl_io_served(peer, dev, work);
        if (batch && work->unflushed >= batch)
            pl_io_flush(peer, dev, work);
    }
    pl_io_flush(peer, dev, work);
}
