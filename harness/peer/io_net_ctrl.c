/* The network device: its control queue, which packets it takes, and what it offers. */
#include <string.h>

#include "peer/io.h"

enum {
    MAX_SPEED = 10000,
    HASHES = PL_T_NET_HASH_TYPE_IPV4 | PL_T_NET_HASH_TYPE_TCPV4 | PL_T_NET_HASH_TYPE_UDPV4 |
             PL_T_NET_HASH_TYPE_IPV6 | PL_T_NET_HASH_TYPE_TCPV6 | PL_T_NET_HASH_TYPE_UDPV6,
    TUNNELS = PL_T_NET_HASH_TUNNEL_TYPE_GRE_2784 | PL_T_NET_HASH_TUNNEL_TYPE_IPIP,
    ETHERNET = 14,
    VLAN_TYPE = 0x8100,
    ENTRIES = PL_T_NET_MAC_ENTRIES,
    ENTRY = PL_T_NET_RSS_ENTRY
};

/* --- what is offered --- */

uint32_t pl_net_queues(uint64_t offered)
{
    bool several = offered >> PL_T_NET_F_MQ & 1 || offered >> PL_T_NET_F_RSS & 1;
    return several ? PL_NET_QUEUES + 1 : 3;
}

void pl_net_configure(const struct pl_device_peer *peer, struct pl_device *dev)
{
    uint64_t offered = dev->offered[0] | (uint64_t)dev->offered[1] << 32;
    const uint64_t more = UINT64_C(1) << PL_T_NET_F_SPEED_DUPLEX | UINT64_C(1) << PL_T_NET_F_RSS |
                          UINT64_C(1) << PL_T_NET_F_HASH_TUNNEL |
                          UINT64_C(1) << PL_T_NET_F_HASH_REPORT;
    dev->net.modes = pl_device_opt(peer, PL_DEVICE_OPT_net_promiscuous) != 0;
    if (pl_net_queues(offered) > 3)
        pl_device_put_config(dev, PL_FIELD(PL_T_NET_MAX_VIRTQUEUE_PAIRS), PL_NET_PAIRS);
    if (!(offered & more))
        return;
    pl_device_put_config(dev, PL_FIELD(PL_T_NET_SPEED), MAX_SPEED);
    pl_device_put_config(dev, PL_FIELD(PL_T_NET_DUPLEX), PL_T_NET_DUPLEX_FULL);
    pl_device_put_config(dev, PL_FIELD(PL_T_NET_RSS_MAX_KEY_SIZE), PL_NET_KEY);
    pl_device_put_config(dev, PL_FIELD(PL_T_NET_RSS_MAX_INDIRECTION_TABLE_LENGTH), PL_NET_TABLE);
    pl_device_put_config(dev, PL_FIELD(PL_T_NET_SUPPORTED_HASH_TYPES), HASHES);
    pl_device_put_config(dev, PL_FIELD(PL_T_NET_SUPPORTED_TUNNEL_TYPES), TUNNELS);
    if (dev->config_size < PL_T_NET_CONFIG_BYTES)
        dev->config_size = PL_T_NET_CONFIG_BYTES;
}

void pl_act_net_reset(struct pl_step *c, uint64_t parts)
{
    struct pl_net_state *net = &c->dev->net;
    if (parts & PL_NET_PART_MACS)
        net->n_macs = 0;
    if (parts & PL_NET_PART_MODES)
        net->modes = pl_device_opt(c->peer, PL_DEVICE_OPT_net_promiscuous) != 0;
    if (parts & PL_NET_PART_VLANS)
        memset(net->vlan, 0, sizeof(net->vlan));
    if (parts & PL_NET_PART_PAIRS) {
        memset(net->flow, 0, sizeof(net->flow));
        net->pairs = 1;
        net->scales = false;
    }
    if (parts & PL_NET_PART_HASH)
        net->rss.set = net->report.set = false;
    if (parts & PL_NET_PART_TUNNELS)
        net->tunnels = 0;
    if (parts & PL_NET_PART_COAL) {
        net->rx = net->tx = (struct pl_net_coal){0};
        memset(net->coal, 0, sizeof(net->coal));
    }
    for (size_t i = 0; parts & PL_NET_PART_CONTEXTS && i < PL_NET_CONTEXTS; i++)
        net->context[i].set = false;
    if (parts & PL_NET_PART_OBJECTS)
        memset(&c->dev->admin, 0, sizeof(c->dev->admin));
    c->dev->admin.used = c->dev->admin.caps = 0;
    if (parts & PL_NET_PART_COUNTS) {
        memset(net->count, 0, sizeof(net->count));
        net->commands = net->oks = 0;
    }
}

/* --- commands --- */

void pl_net_parse(struct pl_device_peer *peer)
{
    uint8_t head[PL_T_NET_CTRL] = {0xff, 0xff};
    pl_io_get(peer, 0, head, sizeof(head));
    peer->io.type = head[PL_T_NET_CTRL_CLASS];
    peer->io.flags = head[PL_T_NET_CTRL_COMMAND];
    peer->io.bytes = peer->io.readable > sizeof(head) ? peer->io.readable - sizeof(head) : 0;
}

static size_t data(const struct pl_step *c, uint64_t at, void *out, size_t len)
{
    return pl_io_get(c->peer, at + PL_T_NET_CTRL, out, len);
}

/* A little-endian number in the command's data; what is not there counts as 0. */
uint64_t pl_fn_net_data(const struct pl_step *c, uint64_t at, uint64_t bytes)
{
    uint8_t raw[8] = {0};
    uint64_t value = 0;
    data(c, at, raw, bytes < sizeof(raw) ? (size_t)bytes : sizeof(raw));
    for (size_t i = sizeof(raw); i > 0; i--)
        value = value << 8 | raw[i - 1];
    return value;
}

/* The command is answered with so many bytes before its ack, which have been written already. */
void pl_act_net_ack(struct pl_step *c, uint64_t at, uint64_t ack)
{
    uint8_t byte = (uint8_t)ack;
    c->dev->net.commands++;
    c->dev->net.oks += ack == PL_T_NET_OK;
    if (pl_io_put(c->peer, at, &byte, 1) && c->peer->io.written < at + 1)
        c->peer->io.written = at + 1;
}

/* A little-endian number in the answer. */
void pl_act_net_say(struct pl_step *c, uint64_t at, uint64_t bytes, uint64_t value)
{
    uint8_t raw[8];
    size_t len = bytes < sizeof(raw) ? (size_t)bytes : sizeof(raw);
    for (size_t i = 0; i < len; i++)
        raw[i] = (uint8_t)(value >> (8 * i));
    size_t n = pl_io_put(c->peer, at, raw, len);
    if (c->peer->io.written < at + n)
        c->peer->io.written = at + n;
}

/* --- which packets are taken --- */

bool pl_fn_net_mode(const struct pl_step *c, uint64_t mode)
{
    return c->dev->net.modes >> (mode & 63) & 1;
}

void pl_act_net_set_mode(struct pl_step *c, uint64_t mode, uint64_t on)
{
    uint64_t bit = UINT64_C(1) << (mode & 63);
    c->dev->net.modes = on ? c->dev->net.modes | bit : c->dev->net.modes & ~bit;
}

/* Two counts, each with its addresses behind it, which fill the data and are not too many. */
bool pl_fn_net_table_sound(const struct pl_step *c)
{
    uint64_t first = pl_fn_net_data(c, 0, ENTRIES), at = ENTRIES + PL_NET_ADDRESS * first;
    uint64_t second = pl_fn_net_data(c, at, ENTRIES);
    return first + second <= PL_NET_MACS &&
           c->peer->io.bytes == 2 * ENTRIES + PL_NET_ADDRESS * (first + second);
}

void pl_act_net_table(struct pl_step *c)
{
    struct pl_net_state *net = &c->dev->net;
    uint64_t first = pl_fn_net_data(c, 0, ENTRIES), at = ENTRIES + PL_NET_ADDRESS * first;
    uint64_t second = pl_fn_net_data(c, at, ENTRIES);
    data(c, ENTRIES, net->mac, PL_NET_ADDRESS * (size_t)first);
    data(c, at + ENTRIES, net->mac[first], PL_NET_ADDRESS * (size_t)second);
    net->n_macs = (unsigned)(first + second);
}

void pl_act_net_mac(struct pl_step *c)
{
    data(c, 0, c->dev->config + PL_T_NET_MAC_AT, PL_T_NET_MAC_LEN);
}

void pl_act_net_vlan(struct pl_step *c, uint64_t id, uint64_t on)
{
    uint8_t *byte = &c->dev->net.vlan[id % PL_NET_VLANS / 8], bit = (uint8_t)(1u << (id % 8));
    *byte = (uint8_t)(on ? *byte | bit : *byte & ~bit);
}

/* The device's own change to a byte of its configuration space: a reset does not bring it back. */
void pl_act_net_settle(struct pl_step *c, uint64_t offset, uint64_t value)
{
    if (offset < c->dev->config_size)
        c->dev->config[offset] = c->dev->config_first[offset] = (uint8_t)value;
}

void pl_net_look(struct pl_device_peer *peer, struct pl_device *dev)
{
    static const uint8_t broadcast[PL_NET_ADDRESS] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
    const uint8_t *packet = peer->frame;
    struct pl_net_state *net = &dev->net;
    if (peer->frame_len < ETHERNET)
        return;
    peer->io.cast = memcmp(packet, broadcast, sizeof(broadcast)) == 0 ? 2 : packet[0] & 1;
    peer->io.own = memcmp(packet, dev->config + PL_T_NET_MAC_AT, PL_T_NET_MAC_LEN) == 0;
    for (unsigned i = 0; i < net->n_macs; i++)
        peer->io.listed |= memcmp(packet, net->mac[i], PL_NET_ADDRESS) == 0;
    peer->io.tagged =
        peer->frame_len >= ETHERNET + 4 && (packet[12] << 8 | packet[13]) == VLAN_TYPE;
    unsigned id = peer->io.tagged ? (unsigned)(packet[14] << 8 | packet[15]) % PL_NET_VLANS : 0;
    peer->io.vlan_listed = net->vlan[id / 8] >> (id % 8) & 1;
}

/* --- several queues --- */

void pl_act_net_use_pairs(struct pl_step *c, uint64_t pairs)
{
    c->dev->net.pairs = pairs;
    c->dev->net.scales = false;
}

/* Whether every queue that parameters of receive-side scaling name is there. */
static bool table_sound(const struct pl_step *c, uint64_t at, uint64_t entries)
{
    for (uint64_t i = 0; i <= entries; i++) /* unclassified_queue stands right before the table */
        if (pl_fn_net_data(c, at + PL_T_NET_RSS_UNCLASSIFIED + ENTRY * i, ENTRY) >= PL_NET_PAIRS)
            return false;
    return true;
}

/* Parameters of receive-side scaling from byte `at` of the command's data on, up to its end. */
bool pl_fn_net_rss_sound(const struct pl_step *c, uint64_t at)
{
    uint64_t entries = pl_fn_net_data(c, at + PL_T_NET_RSS_TABLE_MASK, 2) + 1;
    uint64_t behind = at + PL_T_NET_RSS_TABLE + ENTRY * entries;
    uint64_t key = pl_fn_net_data(c, behind + PL_T_NET_RSS_KEY_LENGTH, 1);
    uint64_t tx = pl_fn_net_data(c, behind + PL_T_NET_RSS_MAX_TX_VQ, 2);
    return !(pl_fn_net_data(c, at + PL_T_NET_RSS_HASH_TYPES, 4) & ~(uint64_t)HASHES) &&
           entries <= PL_NET_TABLE && (entries & (entries - 1)) == 0 && key <= PL_NET_KEY &&
           tx >= 1 && tx <= PL_NET_PAIRS && c->peer->io.bytes == behind + PL_T_NET_RSS_KEY + key &&
           table_sound(c, at, entries);
}

static void take_rss(const struct pl_step *c, uint64_t at, struct pl_net_rss *rss)
{
    memset(rss, 0, sizeof(*rss));
    rss->set = true;
    rss->types = (uint32_t)pl_fn_net_data(c, at + PL_T_NET_RSS_HASH_TYPES, 4);
    rss->mask = (uint16_t)pl_fn_net_data(c, at + PL_T_NET_RSS_TABLE_MASK, 2);
    rss->unclassified = (uint16_t)pl_fn_net_data(c, at + PL_T_NET_RSS_UNCLASSIFIED, ENTRY);
    for (uint64_t i = 0; i <= rss->mask && i < PL_NET_TABLE; i++)
        rss->table[i] = (uint16_t)pl_fn_net_data(c, at + PL_T_NET_RSS_TABLE + ENTRY * i, ENTRY);
    uint64_t behind = at + PL_T_NET_RSS_TABLE + ENTRY * (rss->mask + UINT64_C(1));
    rss->key_len = (uint8_t)pl_fn_net_data(c, behind + PL_T_NET_RSS_KEY_LENGTH, 1);
    data(c, behind + PL_T_NET_RSS_KEY, rss->key,
         rss->key_len < PL_NET_KEY ? rss->key_len : PL_NET_KEY);
}

void pl_act_net_rss(struct pl_step *c, uint64_t at)
{
    take_rss(c, at, &c->dev->net.rss);
    c->dev->net.scales = true;
    c->dev->net.pairs = PL_NET_PAIRS;
}

bool pl_fn_net_hash_sound(const struct pl_step *c)
{
    uint64_t key = pl_fn_net_data(c, PL_T_NET_HASH_CONFIG_KEY_LENGTH, 1);
    return !(pl_fn_net_data(c, PL_T_NET_HASH_CONFIG_TYPES, 4) & ~(uint64_t)HASHES) &&
           key <= PL_NET_KEY && c->peer->io.bytes == PL_T_NET_HASH_CONFIG_KEY + key;
}

void pl_act_net_hash(struct pl_step *c)
{
    struct pl_net_rss *hash = &c->dev->net.report;
    memset(hash, 0, sizeof(*hash));
    hash->set = true;
    hash->types = (uint32_t)pl_fn_net_data(c, PL_T_NET_HASH_CONFIG_TYPES, 4);
    hash->key_len = (uint8_t)pl_fn_net_data(c, PL_T_NET_HASH_CONFIG_KEY_LENGTH, 1);
    data(c, PL_T_NET_HASH_CONFIG_KEY, hash->key,
         hash->key_len < PL_NET_KEY ? hash->key_len : PL_NET_KEY);
}

/* A mutant's: another byte in the keys. */
void pl_act_net_key(struct pl_step *c, uint64_t at, uint64_t value)
{
    if (at < PL_NET_KEY)
        c->dev->net.rss.key[at] = c->dev->net.report.key[at] = (uint8_t)value;
}

void pl_act_net_tunnels(struct pl_step *c, uint64_t types)
{
    c->dev->net.tunnels = (uint32_t)types;
}

/* Whether there is a context of this id, which counts from 1. */
bool pl_fn_net_context(const struct pl_step *c, uint64_t id)
{
    return id >= 1 && id <= PL_NET_CONTEXTS && c->dev->net.context[id - 1].set;
}

void pl_act_net_context(struct pl_step *c, uint64_t id)
{
    if (id >= 1 && id <= PL_NET_CONTEXTS)
        take_rss(c, PL_T_NET_RSS_CTX_RSS, &c->dev->net.context[id - 1]);
}

void pl_act_net_context_end(struct pl_step *c, uint64_t id)
{
    if (id >= 1 && id <= PL_NET_CONTEXTS)
        c->dev->net.context[id - 1].set = false;
}

/* --- coalescing --- */

/* A transmit or receive queue that works. */
bool pl_fn_net_working(const struct pl_step *c, uint64_t queue)
{
    return queue < 2 * pl_net_pairs_there(c) && c->dev->queues[queue].live;
}

/* 0 receive, 1 transmit: all queues of that direction. */
void pl_act_net_coal(struct pl_step *c, uint64_t direction, uint64_t packets, uint64_t usecs)
{
    const struct pl_net_coal coal = {(uint32_t)packets, (uint32_t)usecs};
    *(direction ? &c->dev->net.tx : &c->dev->net.rx) = coal;
    for (uint64_t i = direction & 1; i < PL_NET_QUEUES; i += 2)
        c->dev->net.coal[i] = coal;
}

void pl_act_net_coal_queue(struct pl_step *c, uint64_t queue, uint64_t packets, uint64_t usecs)
{
    if (queue < PL_NET_QUEUES)
        c->dev->net.coal[queue] = (struct pl_net_coal){(uint32_t)packets, (uint32_t)usecs};
}

void pl_act_net_coal_tell(struct pl_step *c, uint64_t queue)
{
    const struct pl_net_coal *coal = &c->dev->net.coal[queue % PL_NET_QUEUES];
    pl_act_net_say(c, PL_T_NET_COAL_MAX_PACKETS, 4, coal->packets);
    pl_act_net_say(c, PL_T_NET_COAL_MAX_USECS, 4, coal->usecs);
}

/* The queue that stops begins again with what all of its direction have. */
void pl_act_net_coal_renew(struct pl_step *c)
{
    uint64_t queue = c->queue->index;
    if (queue < PL_NET_QUEUES)
        c->dev->net.coal[queue] = queue & 1 ? c->dev->net.tx : c->dev->net.rx;
}
