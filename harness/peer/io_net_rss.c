/* The network device: which hash a packet has, which flow it is of, and which queue it comes on. */
#include <string.h>

#include "peer/io.h"

enum {
    ETHERNET = 14,
    TYPE_VLAN = 0x8100,
    TYPE_IPV4 = 0x0800,
    TYPE_IPV6 = 0x86dd,
    PROTO_IPIP = 4,
    PROTO_TCP = 6,
    PROTO_UDP = 17,
    PROTO_IPV6 = 41,
    PROTO_GRE = 47,
    GRE = 4, /* bytes of its header without options */
    INPUT_MAX = 36
};

/* What of a packet a hash may be calculated over: addresses, then ports. */
struct tuple {
    uint8_t bytes[INPUT_MAX];
    size_t addresses; /* bytes of both; 0: neither IPv4 nor IPv6 */
    uint8_t proto;
    bool ports;
};

static unsigned u16_at(const uint8_t *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}

/* Toeplitz: each bit of the input that is set adds the 32 bits of the key that begin at it. */
static uint32_t toeplitz(const struct pl_net_rss *rss, const uint8_t *input, size_t n)
{
    uint32_t hash = 0, window = 0;
    for (size_t i = 0; i < sizeof(window); i++)
        window = window << 8 | rss->key[i];
    for (size_t bit = 0; bit < 8 * n; bit++) {
        size_t next = bit + 8 * sizeof(window);
        unsigned byte = next / 8 < sizeof(rss->key) ? rss->key[next / 8] : 0;
        if (input[bit / 8] >> (7 - bit % 8) & 1)
            hash ^= window;
        window = window << 1 | (byte >> (7 - next % 8) & 1);
    }
    return hash;
}

/* Addresses and ports of what begins at an IP header. */
static struct tuple tuple_at(unsigned type, const uint8_t *ip, size_t len)
{
    struct tuple t = {0};
    size_t head = type == TYPE_IPV6 ? 40 : 20, from = type == TYPE_IPV6 ? 8 : 12;
    if ((type != TYPE_IPV4 && type != TYPE_IPV6) || len < head)
        return t;
    if (type == TYPE_IPV4)
        head = 4u * (ip[0] & 15);
    t.addresses = type == TYPE_IPV6 ? 32 : 8;
    t.proto = ip[type == TYPE_IPV6 ? 6 : 9];
    memcpy(t.bytes, ip + from, t.addresses);
    bool whole = type == TYPE_IPV6 || (u16_at(ip + 6) & 0x3fff) == 0; /* no fragment */
    t.ports = whole && (t.proto == PROTO_TCP || t.proto == PROTO_UDP) && len >= head + 4;
    if (t.ports)
        memcpy(t.bytes + t.addresses, ip + head, 4);
    return t;
}

/* Where a packet's IP header begins, and its EtherType. */
static size_t ip_of(const uint8_t *packet, size_t len, unsigned *type)
{
    size_t at = ETHERNET;
    *type = len >= at ? u16_at(packet + 12) : 0;
    if (*type == TYPE_VLAN && len >= at + 4) {
        *type = u16_at(packet + 16);
        at += 4;
    }
    return at < len ? at : len;
}

/* The EtherType of what an enabled encapsulation holds, and where it begins; 0: there is none. */
static unsigned inner_type(uint32_t tunnels, unsigned proto, const uint8_t *ip, size_t *head)
{
    const uint8_t *gre = ip + *head;
    if (tunnels & PL_T_NET_HASH_TUNNEL_TYPE_IPIP && (proto == PROTO_IPIP || proto == PROTO_IPV6))
        return proto == PROTO_IPIP ? TYPE_IPV4 : TYPE_IPV6;
    if (!(tunnels & PL_T_NET_HASH_TUNNEL_TYPE_GRE_2784) || proto != PROTO_GRE || u16_at(gre) != 0)
        return 0;
    *head += GRE;
    return u16_at(gre + 2);
}

/* The headers that count: the inner ones where the packet is of an enabled encapsulation. */
static struct tuple tuple_of(const struct pl_net_state *net, const uint8_t *packet, size_t len)
{
    unsigned type;
    size_t at = ip_of(packet, len, &type);
    struct tuple t = tuple_at(type, packet + at, len - at);
    size_t head = type == TYPE_IPV6 ? 40 : t.addresses ? 4u * (packet[at] & 15) : 0;
    if (!t.addresses || len < at + head + GRE)
        return t;
    unsigned inner = inner_type(net->tunnels, t.proto, packet + at, &head);
    return inner ? tuple_at(inner, packet + at + head, len - at - head) : t;
}

/* What a hash is reported as, and the type that enables it. */
struct kind {
    unsigned report;
    uint32_t type;
};

unsigned pl_net_hash(const struct pl_net_state *net, const struct pl_net_rss *rss,
                     const uint8_t *packet, size_t len, uint32_t *hash)
{
    static const struct kind v4[] = {{PL_T_NET_HASH_REPORT_IPV4, PL_T_NET_HASH_TYPE_IPV4},
                                     {PL_T_NET_HASH_REPORT_TCPV4, PL_T_NET_HASH_TYPE_TCPV4},
                                     {PL_T_NET_HASH_REPORT_UDPV4, PL_T_NET_HASH_TYPE_UDPV4}};
    static const struct kind v6[] = {{PL_T_NET_HASH_REPORT_IPV6, PL_T_NET_HASH_TYPE_IPV6},
                                     {PL_T_NET_HASH_REPORT_TCPV6, PL_T_NET_HASH_TYPE_TCPV6},
                                     {PL_T_NET_HASH_REPORT_UDPV6, PL_T_NET_HASH_TYPE_UDPV6}};
    const struct tuple t = tuple_of(net, packet, len);
    const struct kind *kind = t.addresses == 8 ? v4 : v6;
    const struct kind *whole = kind + (t.proto == PROTO_TCP ? 1 : 2);
    if (t.addresses == 0)
        return PL_T_NET_HASH_REPORT_NONE;
    bool ports = t.ports && rss->types & whole->type;
    if (ports)
        kind = whole;
    if (!(rss->types & kind->type))
        return PL_T_NET_HASH_REPORT_NONE;
    *hash = toeplitz(rss, t.bytes, t.addresses + (ports ? 4 : 0));
    return kind->report;
}

unsigned pl_net_flow(const uint8_t *packet, size_t len)
{
    unsigned type, sum = 0;
    size_t at = ip_of(packet, len, &type);
    const struct tuple t = tuple_at(type, packet + at, len - at);
    for (size_t i = 0; i < t.addresses / 2; i++) /* the two ends in either order */
        sum = sum * 31 + (unsigned)(t.bytes[i] + t.bytes[t.addresses / 2 + i]);
    if (t.ports)
        sum = sum * 31 + u16_at(t.bytes + t.addresses) + u16_at(t.bytes + t.addresses + 2);
    return (sum ^ sum >> 8) % PL_NET_FLOWS;
}

const struct pl_net_rss *pl_net_hashing(const struct pl_step *c)
{
    bool scaling = pl_fn_selected(c, PL_T_NET_F_RSS);
    const struct pl_net_rss *rss = scaling ? &c->dev->net.rss : &c->dev->net.report;
    return rss->set ? rss : NULL;
}

/* --- what the model asks for --- */

uint64_t pl_net_pairs_there(const struct pl_step *c)
{
    bool several = pl_fn_selected(c, PL_T_NET_F_MQ) || pl_fn_selected(c, PL_T_NET_F_RSS);
    return several ? PL_NET_PAIRS : 1;
}

uint64_t pl_fn_net_pairs(const struct pl_step *c)
{
    return c->dev->net.pairs ? c->dev->net.pairs : 1;
}

bool pl_fn_net_scales(const struct pl_step *c)
{
    return c->dev->net.scales && c->dev->net.rss.set;
}

bool pl_fn_net_live(const struct pl_step *c, uint64_t queue)
{
    return queue < PL_DEVICE_MAX_QUEUES && c->dev->queues[queue].io &&
           c->dev->queues[queue].kind == PL_ON_NET_IN;
}

/* Another receive queue in use that is live; the same one where there is none. */
uint64_t pl_fn_net_other(const struct pl_step *c, uint64_t queue)
{
    for (uint64_t i = 0; i < pl_fn_net_pairs(c); i++)
        if (pl_fn_net_live(c, 2 * i))
            return 2 * i;
    return queue;
}

/* The receive queue of the pair that last transmitted for the packet's flow. */
uint64_t pl_fn_net_flow_queue(const struct pl_step *c)
{
    unsigned flow = pl_net_flow(c->peer->frame, c->peer->frame_len);
    unsigned pair = c->dev->net.flow[flow] ? c->dev->net.flow[flow] - 1u : flow;
    return 2 * (pair % pl_fn_net_pairs(c));
}

uint64_t pl_fn_net_rss_queue(const struct pl_step *c)
{
    const struct pl_net_rss *rss = &c->dev->net.rss;
    uint32_t hash = 0;
    unsigned kind = pl_net_hash(&c->dev->net, rss, c->peer->frame, c->peer->frame_len, &hash);
    return 2u * (kind ? rss->table[hash & rss->mask & (PL_NET_TABLE - 1)] : rss->unclassified);
}

bool pl_fn_net_hashed(const struct pl_step *c)
{
    uint32_t hash;
    return pl_net_hash(&c->dev->net, &c->dev->net.rss, c->peer->frame, c->peer->frame_len, &hash);
}

void pl_act_net_learn(struct pl_step *c)
{
    unsigned flow = pl_net_flow(c->peer->frame, c->peer->frame_len);
    c->dev->net.flow[flow] = (uint8_t)(c->queue->index / 2 + 1);
}

void pl_act_net_drop(struct pl_step *c)
{
    c->peer->io.dropped = 1;
}

void pl_act_net_target(struct pl_step *c, uint64_t queue)
{
    c->peer->io.target = queue;
}
