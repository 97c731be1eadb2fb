/* Packets of IP, taken apart: where headers begin, checksums, and cutting them into pieces. */
#include "peer/io_net_packet.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

enum {
    ETHERTYPE_V4 = 0x0800,
    ETHERTYPE_V6 = 0x86dd,
    V4_HEADER = 20,
    V6_HEADER = 40,
    V6_FRAGMENT = 8,
    TCP_HEADER = 20,
    UDP_HEADER = 8,
    TCP_FIN_PSH = 0x09,
    TCP_CWR = 0x80,
    MORE_FRAGMENTS = 0x2000
};

static unsigned get16(const uint8_t *p)
{
    return (unsigned)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, size_t value)
{
    p[0] = (uint8_t)(value >> 8);
    p[1] = (uint8_t)value;
}

/* --- where headers begin --- */

static size_t transport_size(uint8_t protocol, const uint8_t *l4, size_t room)
{
    if (protocol == IPPROTO_UDP)
        return room >= UDP_HEADER ? UDP_HEADER : 0;
    if (protocol != IPPROTO_TCP || room < TCP_HEADER)
        return 0;
    size_t size = (size_t)(l4[12] >> 4) * 4;
    return size >= TCP_HEADER && size <= room ? size : 0;
}

/* The network header at `at`: its size and the protocol above it. 0: there is none. */
static size_t network_size(const uint8_t *bytes, size_t len, size_t at, bool v6, uint8_t *protocol)
{
    size_t room = len > at ? len - at : 0;
    if (v6) {
        if (room < V6_HEADER || bytes[at] >> 4 != 6)
            return 0;
        *protocol = bytes[at + 6];
        return V6_HEADER;
    }
    if (room < V4_HEADER || bytes[at] >> 4 != 4)
        return 0;
    size_t size = (size_t)(bytes[at] & 15) * 4;
    *protocol = bytes[at + 9];
    return size >= V4_HEADER && size <= room && !(get16(bytes + at + 6) & 0x3fff) ? size : 0;
}

/* The innermost headers, from the network header at p->l3 on. */
static bool parse_inner(const uint8_t *bytes, size_t len, struct pl_packet *p)
{
    size_t size = network_size(bytes, len, p->l3, p->v6, &p->protocol);
    if (!size)
        return false;
    p->l4 = p->l3 + size;
    size = transport_size(p->protocol, bytes + p->l4, len - p->l4);
    p->data = p->l4 + size;
    return size != 0;
}

bool pl_packet_parse(const uint8_t *bytes, size_t len, struct pl_packet *out)
{
    memset(out, 0, sizeof(*out));
    if (len < PL_NET_ETHERNET)
        return false;
    unsigned type = get16(bytes + PL_NET_ETHERNET - 2);
    out->l3 = PL_NET_ETHERNET;
    out->v6 = type == ETHERTYPE_V6;
    return (type == ETHERTYPE_V4 || out->v6) && parse_inner(bytes, len, out);
}

bool pl_packet_parse_tunnel(const uint8_t *bytes, size_t len, size_t outer_l4, size_t inner_l3,
                            struct pl_packet *out)
{
    struct pl_packet outer;
    if (!pl_packet_parse(bytes, len, &outer) || outer.protocol != IPPROTO_UDP ||
        outer.l4 != outer_l4 || inner_l3 < outer.data || inner_l3 >= len)
        return false;
    *out = (struct pl_packet){.tunnel = true,
                              .outer_v6 = outer.v6,
                              .outer_l3 = outer.l3,
                              .outer_l4 = outer.l4,
                              .l3 = inner_l3,
                              .v6 = bytes[inner_l3] >> 4 == 6};
    return parse_inner(bytes, len, out);
}

/* --- checksums --- */

static uint32_t sum(const uint8_t *bytes, size_t len, uint32_t so_far)
{
    uint64_t total = so_far;
    for (size_t i = 0; i + 1 < len; i += 2)
        total += get16(bytes + i);
    if (len % 2)
        total += (uint64_t)bytes[len - 1] << 8;
    while (total >> 16)
        total = (total & 0xffff) + (total >> 16);
    return (uint32_t)total;
}

static uint32_t pseudo(const uint8_t *l3, bool v6, uint8_t protocol, size_t len)
{
    return sum(l3 + (v6 ? 8 : 12), v6 ? 32 : 8, (uint32_t)(protocol + len));
}

/* A transport header of a network header's, from l4 to the end: its checksum. */
static void complete(const uint8_t *l3, bool v6, uint8_t protocol, uint8_t *l4, size_t len)
{
    uint8_t *field = l4 + (protocol == IPPROTO_TCP ? 16 : 6);
    put16(field, 0);
    unsigned value = ~sum(l4, len, pseudo(l3, v6, protocol, len)) & 0xffff;
    put16(field, value == 0 && protocol == IPPROTO_UDP ? 0xffff : value);
}

bool pl_packet_valid(const struct pl_packet *p, const uint8_t *bytes, size_t len)
{
    size_t from = p->l4;
    uint32_t start = pseudo(bytes + p->l3, p->v6, p->protocol, len - from);
    return sum(bytes + from, len - from, start) == 0xffff;
}

void pl_packet_complete(const struct pl_packet *p, uint8_t *bytes, size_t len, bool outer)
{
    complete(bytes + p->l3, p->v6, p->protocol, bytes + p->l4, len - p->l4);
    if (p->tunnel && outer)
        complete(bytes + p->outer_l3, p->outer_v6, IPPROTO_UDP, bytes + p->outer_l4,
                 len - p->outer_l4);
}

void pl_packet_finish(uint8_t *bytes, size_t len, size_t start, size_t offset)
{
    if (start >= len || offset + 2 > len - start)
        return;
    put16(bytes + start + offset, ~sum(bytes + start, len - start, 0) & 0xffff);
}

/* --- cutting --- */

/* Lengths and the header checksum of a network header for the piece that it now leads. */
static void fit_network(uint8_t *l3, bool v6, size_t bytes, size_t number)
{
    if (v6) {
        put16(l3 + 4, bytes - V6_HEADER);
        return;
    }
    size_t size = (size_t)(l3[0] & 15) * 4;
    put16(l3 + 2, bytes);
    put16(l3 + 4, get16(l3 + 4) + number);
    put16(l3 + 10, 0);
    put16(l3 + 10, ~sum(l3, size, 0) & 0xffff);
}

static void fit_tcp(uint8_t *l4, size_t at, bool last)
{
    uint32_t sequence = (uint32_t)(get16(l4 + 4) << 16 | get16(l4 + 6)) + (uint32_t)at;
    put16(l4 + 4, sequence >> 16);
    put16(l4 + 6, sequence & 0xffff);
    if (!last)
        l4[13] &= (uint8_t)~TCP_FIN_PSH;
    if (at)
        l4[13] &= (uint8_t)~TCP_CWR;
}

/* One segment: all headers, made to fit it, and checksums. */
static void fit(const struct pl_packet *p, uint8_t *bytes, size_t len, size_t at, size_t number,
                bool last, bool outer)
{
    if (p->tunnel) {
        fit_network(bytes + p->outer_l3, p->outer_v6, len - p->outer_l3, number);
        put16(bytes + p->outer_l4 + 4, len - p->outer_l4);
    }
    fit_network(bytes + p->l3, p->v6, len - p->l3, number);
    if (p->protocol == IPPROTO_TCP)
        fit_tcp(bytes + p->l4, at, last);
    else
        put16(bytes + p->l4 + 4, len - p->l4);
    pl_packet_complete(p, bytes, len, outer);
}

int pl_packet_segment(const struct pl_packet *p, const uint8_t *bytes, size_t len, size_t most,
                      bool outer, pl_packet_piece *piece, void *opaque)
{
    size_t left = len - p->data, number = 0;
    uint8_t *out = most ? malloc(p->data + most) : NULL;
    if (!out)
        return most ? -ENOMEM : -EINVAL;
    for (size_t at = 0; at < left || number == 0; at += most, number++) {
        size_t n = left - at < most ? left - at : most;
        memcpy(out, bytes, p->data);
        memcpy(out + p->data, bytes + p->data + at, n);
        fit(p, out, p->data + n, at, number, at + n == left, outer);
        piece(opaque, out, p->data + n);
    }
    free(out);
    return 0;
}

/* The header of one fragment behind `out`; its size. */
static size_t fragment_header(const struct pl_packet *p, const uint8_t *bytes, uint8_t *out,
                              size_t at, size_t n, bool last)
{
    size_t size = p->l4;
    memcpy(out, bytes, size);
    if (!p->v6) {
        put16(out + p->l3 + 6, at / 8 | (last ? 0 : MORE_FRAGMENTS));
        fit_network(out + p->l3, false, size - p->l3 + n, 0);
        return size;
    }
    memset(out + size, 0, V6_FRAGMENT);
    out[size] = out[p->l3 + 6];
    put16(out + size + 2, at | !last);
    out[size + 7] = 1; /* identification */
    out[p->l3 + 6] = IPPROTO_FRAGMENT;
    fit_network(out + p->l3, true, size - p->l3 + V6_FRAGMENT + n, 0);
    return size + V6_FRAGMENT;
}

int pl_packet_fragment(const struct pl_packet *p, uint8_t *bytes, size_t len, size_t most,
                       pl_packet_piece *piece, void *opaque)
{
    size_t left = len - p->l4;
    most &= ~(size_t)7;
    uint8_t *out = most ? malloc(p->l4 + V6_FRAGMENT + most) : NULL;
    if (!out)
        return most ? -ENOMEM : -EINVAL;
    pl_packet_complete(p, bytes, len, false);
    for (size_t at = 0; at < left; at += most) {
        size_t n = left - at < most ? left - at : most;
        size_t header = fragment_header(p, bytes, out, at, n, at + n == left);
        memcpy(out + header, bytes + p->l4 + at, n);
        piece(opaque, out, header + n);
    }
    free(out);
    return 0;
}
