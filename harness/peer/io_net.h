/* What network devices say about packets: the header's layout with all its later fields, and bits.
 */
#ifndef PL_PEER_IO_NET_H
#define PL_PEER_IO_NET_H

#include <linux/virtio_net.h>

#include "peer/io.h"

/* Feature bits that the system's headers may not have yet. */
enum {
    PL_NET_F_GUEST_USO4 = 54,
    PL_NET_F_GUEST_USO6 = 55,
    PL_NET_F_HOST_USO = 56,
    PL_NET_F_HASH_REPORT = 57,
    PL_NET_F_RSC_EXT = 61,
    PL_NET_F_GUEST_TUNNEL = 65,
    PL_NET_F_GUEST_TUNNEL_CSUM = 66,
    PL_NET_F_HOST_TUNNEL = 67,
    PL_NET_F_HOST_TUNNEL_CSUM = 68,
    PL_NET_F_OUT_NET_HEADER = 69,
    PL_NET_F_IPSEC = 70
};

/* flags and gso_type. */
enum {
    PL_NET_NEEDS_CSUM = 0x01,
    PL_NET_DATA_VALID = 0x02,
    PL_NET_RSC_INFO = 0x04,
    PL_NET_TUNNEL_CSUM = 0x08,
    PL_NET_GSO_TCPV4 = 1,
    PL_NET_GSO_UDP = 3,
    PL_NET_GSO_TCPV6 = 4,
    PL_NET_GSO_UDP_L4 = 5,
    PL_NET_GSO_PLAIN = 0x1f, /* without the bits beside it */
    PL_NET_GSO_TUNNEL = 0x60,
    PL_NET_GSO_ECN = 0x80
};

/* Offsets of fields that were added behind num_buffers; each of them little-endian, 2 bytes. */
enum {
    PL_NET_AT_HASH = 12,
    PL_NET_AT_OUTER_TH = 20,
    PL_NET_AT_INNER_NH = 22,
    PL_NET_AT_OUTER_NH = 24,
    PL_NET_AT_RESOURCE = 26, /* of IPsec: 4 bytes, then 2 of its type */
    PL_NET_HEADER_MAX = PL_NET_HEADER_SIZE
};

uint16_t pl_net_get16(const uint8_t *header, size_t at);
void pl_net_put16(uint8_t *header, size_t at, uint64_t value);

/* Queue a packet and what its header will say; a packet that there is no room for is lost. */
void pl_net_queue(struct pl_device *dev, const uint8_t header[PL_NET_HEADER_MAX],
                  const uint8_t *packet, size_t len);

#endif
