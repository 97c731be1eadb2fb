/* Offloads of the network device: what is left to it on the way out, and to the driver on the way
 * back in. */
#include <string.h>

#include "peer/io_net.h"
#include "peer/io_net_packet.h"

/* How packets come in, as option net_receive has it. */
enum { AS_NEGOTIATED, COMPLETE, VALIDATED };

/* A packet on its way back. */
struct packet {
    struct pl_step *c;
    uint8_t header[PL_T_NET_HEADER];
    uint8_t *bytes;
    size_t len;
    struct pl_packet at;
    bool parsed;
    uint64_t believed[2]; /* a mutant's: features that it takes for negotiated */
};

static uint8_t gso_of(const struct packet *p)
{
    return p->header[PL_T_NET_HEADER_GSO_TYPE] & PL_NET_GSO_PLAIN;
}

/* --- what the driver takes --- */

static bool takes(const struct packet *p, uint64_t bit)
{
    return pl_fn_selected(p->c, bit) || (p->believed[bit / 64] >> (bit % 64) & 1);
}

static bool takes_segments(const struct packet *p)
{
    uint8_t type = p->header[PL_T_NET_HEADER_GSO_TYPE];
    if (type & PL_T_NET_HDR_GSO_ECN && !takes(p, PL_T_NET_F_GUEST_ECN))
        return false;
    if (type & PL_NET_GSO_TUNNEL && !takes(p, PL_T_NET_F_GUEST_UDP_TUNNEL_GSO))
        return false;
    if (p->header[PL_T_NET_HEADER_FLAGS] & PL_T_NET_HDR_F_UDP_TUNNEL_CSUM &&
        !takes(p, PL_T_NET_F_GUEST_UDP_TUNNEL_GSO_CSUM))
        return false;
    switch (type & PL_NET_GSO_PLAIN) {
    case PL_T_NET_HDR_GSO_TCPV4:
        return takes(p, PL_T_NET_F_GUEST_TSO4);
    case PL_T_NET_HDR_GSO_TCPV6:
        return takes(p, PL_T_NET_F_GUEST_TSO6);
    case PL_T_NET_HDR_GSO_UDP:
        return takes(p, PL_T_NET_F_GUEST_UFO);
    default:
        return takes(p, p->at.v6 ? PL_T_NET_F_GUEST_USO6 : PL_T_NET_F_GUEST_USO4);
    }
}

/* What the device was asked for on the way out, by the features. */
static bool asked(const struct pl_step *c, uint8_t gso)
{
    switch (gso) {
    case PL_T_NET_HDR_GSO_TCPV4:
        return pl_fn_selected(c, PL_T_NET_F_HOST_TSO4);
    case PL_T_NET_HDR_GSO_TCPV6:
        return pl_fn_selected(c, PL_T_NET_F_HOST_TSO6);
    case PL_T_NET_HDR_GSO_UDP:
        return pl_fn_selected(c, PL_T_NET_F_HOST_UFO);
    case PL_T_NET_HDR_GSO_UDP_L4:
        return pl_fn_selected(c, PL_T_NET_F_HOST_USO);
    default:
        return false;
    }
}

/* --- the header on the way in --- */

/* The whole header of a packet, of which flags and segmentation are as they shall be. */
static void head(const struct packet *p, uint8_t flags, uint8_t header[PL_T_NET_HEADER])
{
    memset(header, 0, PL_T_NET_HEADER);
    header[PL_T_NET_HEADER_FLAGS] = flags;
    if (takes(p, PL_T_NET_F_OUT_NET_HEADER) && p->parsed)
        pl_net_put16(header, PL_T_NET_HEADER_OUTER_NH_OFFSET, PL_NET_ETHERNET);
}

static void queue_plain(struct packet *p, uint8_t *bytes, size_t len)
{
    uint8_t header[PL_T_NET_HEADER];
    bool valid = takes(p, PL_T_NET_F_GUEST_CSUM) &&
                 pl_device_opt(p->c->peer, PL_DEVICE_OPT_net_receive) != COMPLETE;
    head(p, valid ? PL_T_NET_HDR_F_DATA_VALID : 0, header);
    pl_net_queue(p->c->dev, header, bytes, len);
}

static void queue_piece(void *opaque, uint8_t *bytes, size_t len)
{
    queue_plain(opaque, bytes, len);
}

/* As it came: the driver cuts it, or completes its checksum. */
static void queue_open(struct packet *p)
{
    uint8_t header[PL_T_NET_HEADER];
    const size_t start = PL_T_NET_HEADER_CSUM_START;
    const size_t offset = PL_T_NET_HEADER_CSUM_OFFSET;
    const size_t size = PL_T_NET_HEADER_GSO_SIZE;
    const size_t tunnel = PL_T_NET_HEADER_OUTER_TH_OFFSET;
    uint8_t flags = PL_T_NET_HDR_F_NEEDS_CSUM |
                    (p->header[PL_T_NET_HEADER_FLAGS] & PL_T_NET_HDR_F_UDP_TUNNEL_CSUM);
    unsigned gso = gso_of(p), most = pl_net_get16(p->header, size);
    bool counts = (gso == PL_T_NET_HDR_GSO_TCPV4 || gso == PL_T_NET_HDR_GSO_TCPV6) &&
                  takes(p, PL_T_NET_F_RSC_EXT);
    head(p, gso ? flags : PL_T_NET_HDR_F_NEEDS_CSUM, header);
    memcpy(header + start, p->header + start, PL_T_NET_HEADER_NUM_BUFFERS - start);
    if (gso) {
        header[PL_T_NET_HEADER_GSO_TYPE] = p->header[PL_T_NET_HEADER_GSO_TYPE];
        pl_net_put16(header, PL_T_NET_HEADER_HDR_LEN, p->at.data);
        pl_net_put16(header, size, most);
    }
    if (header[PL_T_NET_HEADER_GSO_TYPE] & PL_NET_GSO_TUNNEL)
        memcpy(header + tunnel, p->header + tunnel, PL_T_NET_HEADER_OUTER_NH_OFFSET - tunnel);
    if (counts && most) {
        header[PL_T_NET_HEADER_FLAGS] |= PL_T_NET_HDR_F_RSC_INFO;
        pl_net_put16(header, start, (p->len - p->at.data + most - 1) / most);
        pl_net_put16(header, offset, 0);
    }
    pl_net_queue(p->c->dev, header, p->bytes, p->len);
}

/* --- ways back --- */

static void return_segments(struct packet *p)
{
    unsigned most = pl_net_get16(p->header, PL_T_NET_HEADER_GSO_SIZE);
    if (!p->parsed || !most)
        return; /* it cannot be cut: it goes no further */
    if (takes_segments(p) && !pl_device_opt(p->c->peer, PL_DEVICE_OPT_net_receive))
        queue_open(p);
    else if (gso_of(p) == PL_T_NET_HDR_GSO_UDP)
        pl_packet_fragment(&p->at, p->bytes, p->len, most, queue_piece, p);
    else
        pl_packet_segment(&p->at, p->bytes, p->len, most,
                          p->header[PL_T_NET_HEADER_FLAGS] & PL_T_NET_HDR_F_UDP_TUNNEL_CSUM,
                          queue_piece, p);
}

static void return_open(struct packet *p)
{
    const unsigned start = pl_net_get16(p->header, PL_T_NET_HEADER_CSUM_START);
    const unsigned offset = pl_net_get16(p->header, PL_T_NET_HEADER_CSUM_OFFSET);
    if (takes(p, PL_T_NET_F_GUEST_CSUM) && !pl_device_opt(p->c->peer, PL_DEVICE_OPT_net_receive)) {
        queue_open(p);
        return;
    }
    pl_packet_finish(p->bytes, p->len, start, offset);
    queue_plain(p, p->bytes, p->len);
}

static void return_whole(struct packet *p)
{
    if (p->parsed && !p->at.tunnel && pl_packet_valid(&p->at, p->bytes, p->len)) {
        queue_plain(p, p->bytes, p->len);
        return;
    }
    uint8_t header[PL_T_NET_HEADER];
    head(p, 0, header);
    pl_net_queue(p->c->dev, header, p->bytes, p->len);
}

static bool parse(struct packet *p)
{
    if (p->header[PL_T_NET_HEADER_GSO_TYPE] & PL_NET_GSO_TUNNEL)
        return pl_packet_parse_tunnel(
            p->bytes, p->len, pl_net_get16(p->header, PL_T_NET_HEADER_OUTER_TH_OFFSET),
            pl_net_get16(p->header, PL_T_NET_HEADER_INNER_NH_OFFSET), &p->at);
    return pl_packet_parse(p->bytes, p->len, &p->at);
}

/* Whether the packet is on its way for a while. */
static bool lags(struct pl_device_peer *peer)
{
    uint64_t lag = pl_device_opt(peer, PL_DEVICE_OPT_net_lag);
    return lag == 1 || (lag > 1 && pl_device_draw(peer) & 1);
}

/* Destination and source. */
static void swap_addresses(uint8_t *packet)
{
    uint8_t first[PL_NET_ADDRESS];
    memcpy(first, packet, sizeof(first));
    memcpy(packet, packet + sizeof(first), sizeof(first));
    memcpy(packet + sizeof(first), first, sizeof(first));
}

/* The packet behind so many bytes of header goes out, with what its header asks for; a mutant
 * believes that these features of the way in were negotiated: 0 to 63, and 64 to 127. */
void pl_act_net_offload(struct pl_step *c, uint64_t header, uint64_t low, uint64_t high)
{
    struct packet p = {.c = c, .bytes = c->peer->frame, .believed = {low, high}};
    uint64_t left = c->peer->io.readable > header ? c->peer->io.readable - header : 0;
    if (left > PL_PIPE_ITEM_MAX || header > sizeof(p.header))
        return; /* larger than any packet */
    pl_io_get(c->peer, 0, p.header, (size_t)header);
    p.len = pl_io_get(c->peer, header, p.bytes, (size_t)left);
    if (!pl_fn_selected(c, PL_T_NET_F_HOST_UDP_TUNNEL_GSO))
        p.header[PL_T_NET_HEADER_GSO_TYPE] &= (uint8_t)~PL_NET_GSO_TUNNEL;
    c->peer->frame_len = p.len;
    c->dev->net.count[c->queue->index % PL_NET_QUEUES].packets++;
    c->dev->net.count[c->queue->index % PL_NET_QUEUES].bytes += p.len;
    p.parsed = parse(&p);
    if (pl_device_opt(c->peer, PL_DEVICE_OPT_net_loops) > 1 && p.len >= 2 * PL_NET_ADDRESS)
        swap_addresses(p.bytes);
    c->dev->net.under_way = lags(c->peer);
    if (asked(c, gso_of(&p)))
        return_segments(&p);
    else if (p.header[PL_T_NET_HEADER_FLAGS] & PL_T_NET_HDR_F_NEEDS_CSUM &&
             pl_fn_selected(c, PL_T_NET_F_CSUM))
        return_open(&p);
    else
        return_whole(&p);
}

void pl_act_net_put(struct pl_step *c, uint64_t header)
{
    pl_act_net_offload(c, header, 0, 0);
}
