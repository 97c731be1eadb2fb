/* Zones of a block device: what the transitions of zone requests act on. */
#ifndef PL_PEER_IO_ZONED_H
#define PL_PEER_IO_ZONED_H

#include "peer/device_private.h"

#define PL_ZONES_MAX 4096u

/* One zone; all numbers are sectors of the device, but `cap` and `written`, which count from 0. */
struct pl_zone {
    uint64_t start, cap, wp;
    uint64_t written; /* behind the last sector ever written since the zone was empty */
    uint8_t type, state;
};

/* Zones where the options ask for them, and what the configuration space says of them; features
 * that go with that. Nothing without memory: the device then has no zones. */
void pl_zoned_init(struct pl_device_peer *peer, struct pl_device *dev);
/* Bytes of configuration space that the offered features need. */
uint64_t pl_zoned_config_size(const struct pl_device_peer *peer, const struct pl_device *dev);
/* Whether the options describe zones that can be: NULL, or why not. */
const char *pl_zoned_check(const struct pl_device_peer *peer);
/* Behind the last sector of the last zone; 0 for a device without zones. */
uint64_t pl_zoned_end(const struct pl_device *dev);
/* The facts about the zone of the request at hand. */
void pl_zoned_parse(struct pl_device_peer *peer, struct pl_device *dev);

#endif
