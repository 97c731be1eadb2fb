/* Headers of a network device's packets: their fields, and the pipe that they wait in. */
#ifndef PL_PEER_IO_NET_H
#define PL_PEER_IO_NET_H

#include "peer/io.h"

/* gso_type: that it is carried by a UDP tunnel, and what it is without the bits beside that. */
enum {
    PL_NET_GSO_TUNNEL = PL_T_NET_HDR_GSO_UDP_TUNNEL_IPV4 | PL_T_NET_HDR_GSO_UDP_TUNNEL_IPV6,
    PL_NET_GSO_PLAIN = UINT8_MAX & ~(PL_NET_GSO_TUNNEL | PL_T_NET_HDR_GSO_ECN)
};

/* A field of the header, 2 bytes. */
uint16_t pl_net_get16(const uint8_t *header, size_t at);
void pl_net_put16(uint8_t *header, size_t at, uint64_t value);

/* Queue a packet and what its header will say; a packet that there is no room for is lost. */
void pl_net_queue(struct pl_device *dev, const uint8_t header[PL_T_NET_HEADER],
                  const uint8_t *packet, size_t len);

#endif
