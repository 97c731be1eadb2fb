/* What mutants do to rings and buffers: the bytes are changed behind the back of harness/ring. */
#include <string.h>

#include "peer/driver_lane.h"

/* A part of the queue at hand: 0 descriptors, 1 driver area, 2 device area. */
static uint8_t *part(struct pl_dp_step *c, uint64_t area, uint64_t offset, uint64_t width)
{
    const uint64_t base = area == 0   ? c->queue->desc_addr
                          : area == 1 ? c->queue->driver_addr
                                      : c->queue->device_addr;
    return pl_ring_at(&c->peer->shared, base + offset, (size_t)width);
}

static void put(uint8_t *to, uint64_t width, uint64_t value)
{
    for (uint64_t i = 0; to && i < width && i < 8; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

void pl_dp_act_ring_poke(struct pl_dp_step *c, uint64_t area, uint64_t offset, uint64_t width,
                         uint64_t value)
{
    if (c->queue->ring)
        put(part(c, area, offset, width), width, value);
}

uint64_t pl_dp_fn_peek(struct pl_dp_step *c, uint64_t area, uint64_t offset, uint64_t width)
{
    const uint8_t *from = c->queue->ring ? part(c, area, offset, width) : NULL;
    uint64_t value = 0;
    for (uint64_t i = 0; from && i < width && i < 8; i++)
        value |= (uint64_t)from[i] << (8 * i);
    return value;
}

void pl_dp_act_table_poke(struct pl_dp_step *c, uint64_t offset, uint64_t width, uint64_t value)
{
    put(pl_ring_at(&c->peer->shared, c->dev->ring.table + offset, (size_t)width), width, value);
}

/* A device-readable buffer more, in front. */
void pl_dp_act_chain_readable(struct pl_dp_step *c, uint64_t len)
{
    struct pl_dp *peer = c->peer;
    if (peer->n_buffers >= PL_DP_BUFFERS)
        return;
    memmove(&peer->buffers[1], &peer->buffers[0], peer->n_buffers * sizeof(peer->buffers[0]));
    peer->buffers[0] =
        (struct pl_ring_buffer){c->lane->at + PL_DP_LANE_HEADER, (uint32_t)len, false};
    peer->n_buffers++;
}
