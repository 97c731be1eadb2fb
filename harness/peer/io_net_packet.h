/* Packets of IP, taken apart: where headers begin, checksums, and cutting them into pieces. */
#ifndef PL_PEER_IO_NET_PACKET_H
#define PL_PEER_IO_NET_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PL_NET_ETHERNET 14u /* bytes before the network header */

/* Where the headers of a packet begin; in a tunnel, of what it carries, and of the outer ones. */
struct pl_packet {
    bool tunnel;
    bool v6, outer_v6;
    uint8_t protocol; /* of the transport header: TCP or UDP */
    size_t outer_l3, outer_l4;
    size_t l3, l4, data; /* data: behind the transport header */
};

/* False where it is no whole packet of TCP or UDP over IP. */
bool pl_packet_parse(const uint8_t *bytes, size_t len, struct pl_packet *out);
/* The same for a packet in a UDP tunnel, whose headers begin at these offsets. */
bool pl_packet_parse_tunnel(const uint8_t *bytes, size_t len, size_t outer_l4, size_t inner_l3,
                            struct pl_packet *out);

/* Does the transport checksum hold? */
bool pl_packet_valid(const struct pl_packet *p, const uint8_t *bytes, size_t len);
/* Set it (of what a tunnel carries), and the outer one of a tunnel where `outer` asks for that. */
void pl_packet_complete(const struct pl_packet *p, uint8_t *bytes, size_t len, bool outer);
/* Set 16 bits at `start` + `offset` to the checksum of all bytes from `start` on. */
void pl_packet_finish(uint8_t *bytes, size_t len, size_t start, size_t offset);

/* What is made of each piece. */
typedef void pl_packet_piece(void *opaque, uint8_t *bytes, size_t len);

/* Cut into packets of `most` bytes of data each, all checksums complete: 0, -EINVAL or -ENOMEM. */
int pl_packet_segment(const struct pl_packet *p, const uint8_t *bytes, size_t len, size_t most,
                      bool outer, pl_packet_piece *piece, void *opaque);
/* Cut into fragments of IP of `most` bytes each. */
int pl_packet_fragment(const struct pl_packet *p, uint8_t *bytes, size_t len, size_t most,
                       pl_packet_piece *piece, void *opaque);

#endif
