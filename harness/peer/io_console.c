/* The console: what the driver writes to port 0 comes back to it there; and what is said of ports.
 */
#include <endian.h>
#include <linux/virtio_console.h>

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
    struct pl_device_work *work = dev->queues[PL_T_CONSOLE_RECEIVEQ].io;
    uint64_t batch = peer->io_opt.batch;
    while (pl_pipe_first(&dev->pipe) > 0 && !work->fault && pl_io_take(peer, dev, work) > 0) {
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

/* --- control messages --- */

/* What the driver says: the event as the request's type, its value as flags, the port as sector. */
void pl_console_parse(struct pl_device_peer *peer)
{
    struct virtio_console_control raw = {0};
    peer->io.failed = pl_io_get(peer, 0, &raw, sizeof(raw)) < sizeof(raw);
    peer->io.type = le16toh(raw.event);
    peer->io.flags = le16toh(raw.value);
    peer->io.sector = le32toh(raw.id);
}

void pl_act_console_say(struct pl_step *c, uint64_t port, uint64_t event, uint64_t value)
{
    const struct virtio_console_control raw = {.id = htole32((uint32_t)port),
                                               .event = htole16((uint16_t)event),
                                               .value = htole16((uint16_t)value)};
    pl_pipe_put(&c->dev->words, &raw, sizeof(raw));
}

void pl_console_speak(struct pl_device_peer *peer, struct pl_device *dev)
{
    struct pl_device_work *work = dev->queues[PL_T_CONSOLE_CONTROL_RECEIVEQ].io;
    struct virtio_console_control raw;
    while (pl_pipe_first(&dev->words) > 0 && !work->fault && pl_io_take(peer, dev, work) > 0) {
        struct pl_taken *taken = pl_io_remove(work, work->last);
        pl_io_load(peer, work, taken);
        pl_io_run(peer, dev, work, PL_ON_CONSOLE_SAY);
        size_t n = pl_pipe_take(&dev->words, &raw, sizeof(raw));
        peer->io.written = pl_io_put(peer, 0, &raw, n);
        pl_io_free_taken(taken);
        pl_io_served(peer, dev, work);
    }
    pl_io_flush(peer, dev, work);
}
