/* The network device: what the driver sends comes back, as if the link's other end were a mirror.
 */
#include <linux/virtio_net.h>
#include <string.h>

#include "peer/io.h"

/* Bytes of the header before each packet: before VERSION_1 it had num_buffers only when merging. */
static size_t header_size(const struct pl_step *c)
{
    bool with = pl_fn_selected(c, PL_C_F_VERSION_1) || pl_fn_selected(c, VIRTIO_NET_F_MRG_RXBUF);
    return with ? sizeof(struct virtio_net_hdr_v1)
                : offsetof(struct virtio_net_hdr_v1, num_buffers);
}

uint64_t pl_fn_net_header(const struct pl_step *c)
{
    return header_size(c);
}

/* The packet behind so many bytes of header goes out, and comes back. */
void pl_act_net_put(struct pl_step *c, uint64_t header)
{
    uint64_t left = c->peer->io.readable > header ? c->peer->io.readable - header : 0;
    if (left > PL_PIPE_ITEM_MAX)
        return; /* larger than any packet */
    size_t n = pl_io_get(c->peer, header, c->peer->frame, (size_t)left);
    pl_pipe_put(&c->dev->pipe, c->peer->frame, n);
}

/* A header of so many bytes before the packet that comes in. */
void pl_act_net_header(struct pl_step *c, uint64_t header, uint64_t buffers)
{
    const size_t at = offsetof(struct virtio_net_hdr_v1, num_buffers);
    uint8_t raw[16] = {0};
    size_t n = header < sizeof(raw) ? (size_t)header : sizeof(raw);
    raw[at] = (uint8_t)buffers;
    raw[at + 1] = (uint8_t)(buffers >> 8);
    memmove(c->peer->frame + n, c->peer->frame, c->peer->frame_len);
    memcpy(c->peer->frame, raw, n);
    c->peer->frame_len += n;
}

/* A mutant's: another byte in the frame, its header being there. */
void pl_act_net_poke(struct pl_step *c, uint64_t offset, uint64_t value)
{
    if (offset < c->peer->frame_len)
        c->peer->frame[offset] = (uint8_t)value;
}

/* A mutant's: a longer packet. */
void pl_act_net_grow(struct pl_step *c, uint64_t bytes)
{
    size_t room = PL_PIPE_ITEM_MAX - c->peer->frame_len, n = bytes < room ? (size_t)bytes : room;
    memset(c->peer->frame + c->peer->frame_len, 0, n);
    c->peer->frame_len += n;
}

/* A mutant's: the packet is spread evenly over so many buffers. */
void pl_act_net_spread(struct pl_step *c, uint64_t buffers)
{
    c->peer->io.buffers = buffers;
}

/* Take chains into hand until they hold so many bytes; their number, 0: there are not enough. */
static unsigned gather(struct pl_device_peer *peer, struct pl_device_work *work, uint64_t bytes,
                       bool merge)
{
    uint64_t room = 0;
    unsigned n = 0;
    for (struct pl_taken *t = work->first; n < PL_TAKEN_MAX; t = t->next) {
        if (!t && pl_io_take(peer, work) <= 0)
            return 0;
        t = t ? t : work->last;
        room += t->writable;
        n++;
        if (room >= bytes || !merge)
            return n;
    }
    return 0;
}

/* The frame goes into the first n chains in hand. */
static void deliver(struct pl_device_peer *peer, struct pl_device *dev, struct pl_device_work *work,
                    unsigned n, bool evenly)
{
    size_t at = 0, most = evenly ? peer->frame_len / n : SIZE_MAX;
    for (unsigned i = 0; i < n; i++) {
        struct pl_taken *taken = pl_io_remove(work, work->first);
        pl_io_load(peer, work, taken);
        pl_io_free_taken(taken);
        size_t left = peer->frame_len - at, some = left < most || i + 1 == n ? left : most;
        peer->io.written = pl_io_put(peer, 0, peer->frame + at, some);
        at += (size_t)peer->io.written;
        pl_io_served(peer, dev, work);
    }
}

void pl_net_receive(struct pl_device_peer *peer, struct pl_device *dev)
{
    struct pl_device_work *work = dev->queues[0].io;
    const struct pl_step c = {.peer = peer, .dev = dev};
    uint64_t batch = pl_device_opt(peer, "io_batch");
    bool merge = pl_fn_selected(&c, VIRTIO_NET_F_MRG_RXBUF);
    size_t packet;
    while (!work->fault && (packet = pl_pipe_first(&dev->pipe)) > 0) {
        unsigned n = gather(peer, work, header_size(&c) + packet, merge);
        if (n == 0)
            break;
        peer->frame_len = pl_pipe_take(&dev->pipe, peer->frame, PL_PIPE_ITEM_MAX);
        pl_io_load(peer, work, work->first);
        peer->io.packet = packet;
        peer->io.buffers = n;
        if (!merge && work->first->writable < header_size(&c) + packet)
            continue; /* no buffer for it: it is lost on the way */
        pl_io_run(peer, dev, work, PL_ON_NET_IN);
        bool spread = peer->io.buffers > n;
        while (spread && n < peer->io.buffers && (work->n_taken > n || pl_io_take(peer, work) > 0))
            n++;
        deliver(peer, dev, work, n, spread);
        if (batch && work->unflushed >= batch)
            pl_io_flush(peer, dev, work);
    }
    pl_io_flush(peer, dev, work);
}
