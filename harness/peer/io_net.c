/* The network device: what the driver sends comes back, as if the link's other end were a mirror.
 */
#include <string.h>

#include "peer/io_net.h"

uint16_t pl_net_get16(const uint8_t *header, size_t at)
{
    return (uint16_t)(header[at] | header[at + 1] << 8);
}

void pl_net_put16(uint8_t *header, size_t at, uint64_t value)
{
    header[at] = (uint8_t)value;
    header[at + 1] = (uint8_t)(value >> 8);
}

/* Bytes of the header before each packet: it ends where fields begin that only other features add.
 * Before VERSION_1 it had num_buffers only when merging. */
static size_t header_size(const struct pl_step *c)
{
    bool with = pl_fn_selected(c, PL_C_F_VERSION_1) || pl_fn_selected(c, PL_T_NET_F_MRG_RXBUF);
    if (pl_fn_selected(c, PL_T_NET_F_OUT_NET_HEADER) || pl_fn_selected(c, PL_T_NET_F_IPSEC))
        return PL_T_NET_HEADER;
    if (pl_fn_selected(c, PL_T_NET_F_HOST_UDP_TUNNEL_GSO) ||
        pl_fn_selected(c, PL_T_NET_F_GUEST_UDP_TUNNEL_GSO))
        return PL_T_NET_HEADER_OUTER_NH_OFFSET;
    if (pl_fn_selected(c, PL_T_NET_F_HASH_REPORT))
        return PL_T_NET_HEADER_OUTER_TH_OFFSET;
    return with ? PL_T_NET_HEADER_HASH_VALUE : PL_T_NET_HEADER_NUM_BUFFERS;
}

uint64_t pl_fn_net_header(const struct pl_step *c)
{
    return header_size(c);
}

void pl_net_queue(struct pl_device *dev, const uint8_t header[PL_T_NET_HEADER],
                  const uint8_t *packet, size_t len)
{
    size_t before = dev->headers.tail - dev->headers.head;
    if (pl_pipe_put(&dev->headers, header, PL_T_NET_HEADER) &&
        !pl_pipe_put(&dev->pipe, packet, len))
        dev->headers.tail = dev->headers.head + before; /* the one goes with the other */
}

/* What the header of a packet from the driver says. */
void pl_net_parse_packet(struct pl_device_peer *peer)
{
    uint8_t raw[PL_T_NET_HEADER] = {0};
    struct pl_device_io *io = &peer->io;
    pl_io_get(peer, 0, raw, io->readable < sizeof(raw) ? (size_t)io->readable : sizeof(raw));
    io->flags = raw[PL_T_NET_HEADER_FLAGS];
    io->type = raw[PL_T_NET_HEADER_GSO_TYPE];
    io->hdr_len = pl_net_get16(raw, PL_T_NET_HEADER_HDR_LEN);
    io->outer_th = pl_net_get16(raw, PL_T_NET_HEADER_OUTER_TH_OFFSET);
    io->outer_nh = pl_net_get16(raw, PL_T_NET_HEADER_OUTER_NH_OFFSET);
    io->resource = pl_net_get16(raw, PL_T_NET_HEADER_RESOURCE_ID);
}

/* The packet's hash, where that is reported. */
static void put_hash(const struct pl_step *c, uint8_t *raw)
{
    uint32_t hash = 0;
    const struct pl_net_rss *rss = pl_net_hashing(c);
    unsigned kind = rss && pl_fn_selected(c, PL_T_NET_F_HASH_REPORT)
                        ? pl_net_hash(&c->dev->net, rss, c->peer->frame, c->peer->frame_len, &hash)
                        : 0;
    pl_net_put16(raw, PL_T_NET_HEADER_HASH_VALUE, hash);
    pl_net_put16(raw, PL_T_NET_HEADER_HASH_VALUE + 2, hash >> 16);
    pl_net_put16(raw, PL_T_NET_HEADER_HASH_REPORT, kind);
}

/* A header of so many bytes before the packet that comes in. */
void pl_act_net_header(struct pl_step *c, uint64_t header, uint64_t buffers)
{
    uint8_t *raw = c->peer->net_header;
    size_t n = header < PL_T_NET_HEADER ? (size_t)header : PL_T_NET_HEADER;
    pl_net_put16(raw, PL_T_NET_HEADER_NUM_BUFFERS, buffers);
    put_hash(c, raw);
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
static unsigned gather(struct pl_device_peer *peer, const struct pl_device *dev,
                       struct pl_device_work *work, uint64_t bytes, bool merge)
{
    uint64_t room = 0;
    unsigned n = 0;
    for (struct pl_taken *t = work->first; n < PL_TAKEN_MAX; t = t->next) {
        if (!t && pl_io_take(peer, dev, work) <= 0)
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

/* What becomes of the oldest packet is asked of the model; it stands in peer->frame by then. */
static void classify(struct pl_device_peer *peer, struct pl_device *dev)
{
    peer->io = (struct pl_device_io){0};
    peer->frame_len = pl_pipe_peek(&dev->pipe, peer->frame, PL_PIPE_ITEM_MAX);
    peer->io.packet = peer->frame_len;
    pl_net_look(peer, dev);
    pl_device_run_queue(peer, dev, &dev->queues[0], PL_ON_NET_ARRIVES);
    if (!peer->io.dropped)
        pl_device_run_queue(peer, dev, &dev->queues[0], PL_ON_NET_FILTER);
    if (!peer->io.dropped && !peer->io.directed)
        pl_device_run_queue(peer, dev, &dev->queues[0], PL_ON_NET_STEER);
}

/* The oldest packet is taken, with what its header says. */
static size_t take(struct pl_device_peer *peer, struct pl_device *dev)
{
    if (pl_pipe_take(&dev->headers, peer->net_header, PL_T_NET_HEADER) == 0)
        memset(peer->net_header, 0, PL_T_NET_HEADER);
    return pl_pipe_take(&dev->pipe, peer->frame, PL_PIPE_ITEM_MAX);
}

static void lose(struct pl_device_peer *peer, struct pl_device *dev, uint64_t queue, bool overrun)
{
    struct pl_net_count *count = &dev->net.count[queue < PL_NET_QUEUES ? queue : 0];
    count->drops++;
    count->spare += overrun;
    take(peer, dev);
}

/* The packet at hand goes into the first n chains that its queue has in hand. */
static void pass_on(struct pl_device_peer *peer, struct pl_device *dev, struct pl_device_work *work,
                    unsigned n)
{
    uint64_t batch = pl_device_opt(peer, PL_DEVICE_OPT_io_batch);
    struct pl_net_count *count = &dev->net.count[work->queue->index % PL_NET_QUEUES];
    count->packets++;
    count->bytes += peer->frame_len;
    pl_io_run(peer, dev, work, PL_ON_NET_IN);
    bool spread = peer->io.buffers > n;
    while (spread && n < peer->io.buffers && (work->n_taken > n || pl_io_take(peer, dev, work) > 0))
        n++;
    deliver(peer, dev, work, n, spread);
    if (batch && work->unflushed >= batch)
        pl_io_flush(peer, dev, work);
}

/* The oldest packet is dropped or passed on; false where it has to wait. */
static bool receive_one(struct pl_device_peer *peer, struct pl_device *dev)
{
    const struct pl_step c = {.peer = peer, .dev = dev};
    bool merge = pl_fn_selected(&c, PL_T_NET_F_MRG_RXBUF), alone = pl_net_pairs_there(&c) == 1;
    classify(peer, dev);
    uint64_t target = peer->io.target, packet = peer->frame_len;
    if (peer->io.dropped) {
        lose(peer, dev, target, false);
        return true;
    }
    struct pl_device_work *work = target < PL_DEVICE_MAX_QUEUES ? dev->queues[target].io : NULL;
    if (!work || work->queue->kind != PL_ON_NET_IN || work->fault)
        return false;
    unsigned n = gather(peer, dev, work, header_size(&c) + packet, merge);
    if (n == 0 && alone)
        return false; /* until there is a buffer */
    if (n == 0 || (!merge && work->first->writable < header_size(&c) + packet)) {
        lose(peer, dev, target, true); /* no buffer for it */
        return true;
    }
    peer->frame_len = take(peer, dev);
    pl_io_load(peer, work, work->first);
    peer->io.flags = peer->net_header[PL_T_NET_HEADER_FLAGS];
    peer->io.type = peer->net_header[PL_T_NET_HEADER_GSO_TYPE];
    peer->io.packet = packet;
    peer->io.buffers = n;
    pass_on(peer, dev, work, n);
    return true;
}

void pl_net_receive(struct pl_device_peer *peer, struct pl_device *dev)
{
    bool wait = dev->net.under_way;
    dev->net.under_way = false;
    while (!wait && pl_pipe_first(&dev->pipe) > 0 && receive_one(peer, dev)) {
    }
    for (uint32_t i = 0; i <= PL_NET_QUEUES; i++)
        if (dev->queues[i].io && dev->queues[i].kind == PL_ON_NET_IN)
            pl_io_flush(peer, dev, dev->queues[i].io);
}
