/* The driver's I/O requests: which buffers they have, how they get into a ring, how they end. */
#include "peer/driver_lane.h"

#include <stddef.h>
#include <string.h>

enum { STEPS = 6, SECTORS_APART = 16, SECTORS_AT_ONCE = 4 };

static void *at(const struct pl_dp *peer, uint64_t addr, size_t len)
{
    return pl_ring_at(&peer->shared, addr, len);
}

/* --- which lane, and which sectors --- */

static uint64_t field(struct pl_dp_step *c, uint32_t offset)
{
    const struct pl_dp_type *type = c->dev->type;
    for (size_t i = 0; type && i < type->n_fields; i++)
        if (type->fields[i].offset == offset)
            return pl_dp_fn_config(c, type->fields[i].number);
    return 0;
}

uint64_t pl_dp_num_queues(struct pl_dp_step *c)
{
    return field(c, PL_T_BLOCK_NUM_QUEUES_AT);
}

/* Sectors that a block request of this lane moves; 0: none that it may. */
static uint64_t sectors_of(struct pl_dp_step *c, const struct pl_dp_lane *lane)
{
    uint64_t capacity = field(c, PL_T_BLOCK_CAPACITY_AT);
    uint64_t unit = field(c, PL_T_BLOCK_BLK_SIZE_AT) / PL_T_BLOCK_SECTOR;
    uint64_t n = unit > SECTORS_AT_ONCE ? unit : SECTORS_AT_ONCE;
    if (unit > PL_DP_DATA / PL_T_BLOCK_SECTOR)
        return 0;
    if (pl_dp_selected(c->dev, PL_T_BLOCK_F_SIZE_MAX)) {
        uint64_t most = field(c, PL_T_BLOCK_SIZE_MAX_AT) / PL_T_BLOCK_SECTOR;
        n = n < most ? n : most;
    }
    if (unit > 1)
        n -= n % unit;
    if (lane->sector + n <= capacity)
        return n;
    return lane->number == 0 && unit <= 1 && capacity ? 1 : 0;
}

/* A queue at work with room for a request; a small one is used for one at a time. */
static bool has_room(const struct pl_dp_queue *queue)
{
    unsigned room = queue->ready && queue->ring ? pl_driver_ring_room(queue->ring) : 0;
    return room >= 3 || (room > 0 && room == queue->size);
}

/* A lane that waits for nothing, its queue chosen: its own by number, or else another one. */
static struct pl_dp_lane *free_lane(struct pl_dp_step *c)
{
    struct pl_dp_dev *dev = c->dev;
    uint64_t lanes = pl_dp_opt(c->peer, PL_DP_OPT_lanes);
    for (uint32_t i = 0; i < lanes && i < PL_DP_LANES; i++) {
        for (uint32_t k = 0; k < dev->n_queues && !dev->lanes[i].busy; k++) {
            uint32_t q = (i + k) % dev->n_queues;
            if (!has_room(&dev->queues[q]))
                continue;
            dev->lanes[i].queue = q;
            return &dev->lanes[i];
        }
    }
    return NULL;
}

uint64_t pl_dp_fn_lane_free(struct pl_dp_step *c)
{
    return free_lane(c) != NULL;
}

/* Are there requests that this driver makes of the type, and a queue that they fit in? */
uint64_t pl_dp_fn_io_possible(struct pl_dp_step *c)
{
    uint64_t needed = c->dev->info.device_id == PL_C_TYPE_block     ? 2
                      : c->dev->info.device_id == PL_C_TYPE_entropy ? 1
                                                                    : UINT64_MAX;
    return c->dev->n_queues && c->dev->queues[0].ready && c->dev->queues[0].size >= needed;
}

void pl_dp_act_submit(struct pl_dp_step *c)
{
    struct pl_dp_lane *lane = free_lane(c);
    if (!lane)
        return;
    lane->sector = lane->number * SECTORS_APART;
    lane->sectors = sectors_of(c, lane);
    pl_dp_run_io(c->peer, c->dev, PL_DP_ON_SUBMIT, &c->dev->queues[lane->queue], lane);
}

/* --- buffers --- */

static void add_buffer(struct pl_dp *peer, uint64_t addr, uint64_t len, bool device_writes)
{
    if (peer->n_buffers < PL_DP_BUFFERS && len > 0)
        peer->buffers[peer->n_buffers++] =
            (struct pl_ring_buffer){addr, (uint32_t)len, device_writes};
}

/* Data as one buffer, or in pieces. */
static void add_data(struct pl_dp_step *c, uint64_t addr, uint64_t len, bool device_writes)
{
    uint64_t piece = pl_dp_opt(c->peer, PL_DP_OPT_spread) ? 512 : len;
    uint64_t seg_max = field(c, PL_T_BLOCK_SEG_MAX_AT);
    if (pl_dp_selected(c->dev, PL_T_BLOCK_F_SEG_MAX) && piece && len / piece > seg_max)
        piece = len;
    for (uint64_t done = 0; done < len; done += piece)
        add_buffer(c->peer, addr + done, len - done < piece ? len - done : piece, device_writes);
}

/* Neighbours of one direction become one buffer until the chain fits the queue. */
static void merge(struct pl_dp *peer, uint64_t most)
{
    for (unsigned i = 0; i + 1 < peer->n_buffers && peer->n_buffers > most;) {
        struct pl_ring_buffer *one = &peer->buffers[i], *next = one + 1;
        if (one->device_writes != next->device_writes || one->addr + one->len != next->addr) {
            i++;
            continue;
        }
        one->len += next->len;
        memmove(next, next + 1, (peer->n_buffers - i - 2) * sizeof(*next));
        peer->n_buffers--;
    }
}

/* --- into the ring --- */

static void note_ring(struct pl_dp_step *c, int id, bool indirect)
{
    const struct pl_ring_setup *setup = pl_driver_ring_setup(c->queue->ring);
    struct pl_dp_ring *ring = &c->dev->ring;
    ring->packed = setup->packed;
    ring->size = setup->size;
    ring->indirect = indirect;
    ring->table = c->lane->at + PL_DP_LANE_TABLE;
    ring->n = c->peer->n_buffers;
    ring->head = setup->packed ? c->queue->added % setup->size : (uint64_t)id;
    ring->idx = c->queue->added;
    c->queue->added += setup->packed && !indirect ? ring->n : 1;
}

static void publish(struct pl_dp_step *c)
{
    struct pl_dp_queue *queue = c->queue;
    if (!queue->ring)
        return;
    pl_driver_ring_publish(queue->ring);
    pl_dp_run_io(c->peer, c->dev, PL_DP_ON_PUBLISHED, queue, c->lane);
    unsigned held = pl_driver_ring_held(queue->ring);
    if (held && pl_dp_opt(c->peer, PL_DP_OPT_coalesce) && !pl_dp_opt(c->peer, PL_DP_OPT_poll))
        pl_driver_ring_notify(queue->ring, PL_RING_NOTIFY_AT, (uint16_t)(held - 1));
    c->dev->ring.due = pl_driver_ring_kick_due(queue->ring);
    pl_dp_run_io(c->peer, c->dev, PL_DP_ON_KICK, queue, c->lane);
}

/* The buffers that were chosen go into the queue, and the lane waits for them. */
static void launch(struct pl_dp_step *c)
{
    struct pl_dp *peer = c->peer;
    struct pl_dp_lane *lane = c->lane;
    if (!c->queue->ring)
        return;
    merge(peer, c->queue->size);
    pl_dp_run_io(peer, c->dev, PL_DP_ON_CHAIN, c->queue, lane);
    bool indirect = peer->n_buffers > 1 && pl_dp_opt(peer, PL_DP_OPT_indirect) &&
                    pl_dp_selected(c->dev, PL_C_F_INDIRECT_DESC);
    int id = pl_driver_ring_add(c->queue->ring, peer->buffers, peer->n_buffers,
                                indirect ? lane->at + PL_DP_LANE_TABLE : 0);
    if (id < 0)
        return;
    lane->id = id;
    lane->busy = true;
    lane->deadline = peer->now + 2 * pl_dp_opt(peer, PL_DP_OPT_patience);
    c->dev->busy++;
    if (pl_dp_opt(peer, PL_DP_OPT_poll) % 3 !=
        0) /* 3: a mutant that asks for nothing and never looks */
        c->dev->poll_at = peer->now + 1;
    note_ring(c, id, indirect);
    pl_dp_run_io(peer, c->dev, PL_DP_ON_ADDED, c->queue, lane);
    publish(c);
}

/* --- block --- */

static void put(uint8_t *to, size_t n, uint64_t value)
{
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(value >> (8 * i));
}

static void write_header(struct pl_dp_step *c, uint64_t type, uint64_t sector)
{
    uint8_t header[PL_T_BLOCK_HEADER] = {0};
    put(header + PL_T_BLOCK_HEADER_TYPE, 4, type);
    put(header + PL_T_BLOCK_HEADER_SECTOR, 8, sector);
    memcpy(at(c->peer, c->lane->at + PL_DP_LANE_HEADER, sizeof(header)), header, sizeof(header));
}

static uint64_t data_at(const struct pl_dp_lane *lane)
{
    return lane->at + PL_DP_LANE_HEADER + PL_T_BLOCK_HEADER;
}

/* The bytes that a lane writes: `pattern` drawn anew for each write. */
static uint8_t pattern_byte(uint64_t pattern, uint64_t i)
{
    return (uint8_t)(pattern >> (8 * (i % 8)) ^ i * 37);
}

/* Header, data and status of a block request. */
static void block(struct pl_dp_step *c, uint64_t type, uint64_t sector, uint64_t readable,
                  uint64_t writable)
{
    struct pl_dp_lane *lane = c->lane;
    uint64_t data = data_at(lane), len = readable + writable;
    uint8_t *status = at(c->peer, data + len, PL_T_BLOCK_STATUS);
    c->peer->n_buffers = 0;
    write_header(c, type, sector);
    *status = 0xff;
    lane->kind = type;
    lane->reads = writable > 0;
    lane->data_len = (uint32_t)len;
    add_buffer(c->peer, lane->at + PL_DP_LANE_HEADER, PL_T_BLOCK_HEADER, false);
    add_data(c, data, readable, false);
    add_data(c, data + readable, writable, true);
    add_buffer(c->peer, data + len, PL_T_BLOCK_STATUS, true);
    launch(c);
}

void pl_dp_act_request(struct pl_dp_step *c, uint64_t type, uint64_t sector, uint64_t readable,
                       uint64_t writable)
{
    struct pl_dp_lane *lane = c->lane;
    readable = readable < PL_DP_DATA ? readable : PL_DP_DATA;
    writable = writable < PL_DP_DATA - readable ? writable : PL_DP_DATA - readable;
    uint8_t *data = at(c->peer, data_at(lane), PL_DP_DATA);
    if (!data)
        return;
    if (readable) {
        lane->pattern = pl_dp_draw(c->peer);
        lane->knows = false;
    }
    for (uint64_t i = 0; i < readable; i++)
        data[i] = pattern_byte(lane->pattern, i);
    memset(data + readable, 0xee, writable);
    block(c, type, sector, readable, writable);
}

void pl_dp_act_segments(struct pl_dp_step *c, uint64_t type, uint64_t sector, uint64_t sectors,
                        uint64_t n, uint64_t flags)
{
    uint8_t segment[PL_T_BLOCK_SEGMENT] = {0};
    uint8_t *data = at(c->peer, data_at(c->lane), PL_DP_DATA);
    n = n < PL_DP_DATA / sizeof(segment) ? n : PL_DP_DATA / sizeof(segment);
    put(segment + PL_T_BLOCK_SEGMENT_SECTOR, 8, sector);
    put(segment + PL_T_BLOCK_SEGMENT_COUNT, 4, sectors);
    put(segment + PL_T_BLOCK_SEGMENT_FLAGS, 4, flags);
    for (uint64_t i = 0; data && i < n; i++)
        memcpy(data + i * sizeof(segment), segment, sizeof(segment));
    c->lane->knows = false;
    if (data)
        block(c, type, 0, n * sizeof(segment), 0);
}

/* --- entropy --- */

void pl_dp_act_buffer(struct pl_dp_step *c, uint64_t len)
{
    struct pl_dp_lane *lane = c->lane;
    len = len < PL_DP_DATA ? len : PL_DP_DATA;
    uint8_t *data = at(c->peer, data_at(lane), PL_DP_DATA);
    if (!data)
        return;
    memset(data, 0, len);
    c->peer->n_buffers = 0;
    lane->kind = UINT64_MAX;
    lane->reads = true;
    lane->data_len = (uint32_t)len;
    add_data(c, data_at(lane), len, true);
    launch(c);
}

/* --- what came of it --- */

uint64_t pl_dp_lane_result(const struct pl_dp *peer, const struct pl_dp_lane *lane)
{
    const uint8_t *status = at(peer, data_at(lane) + lane->data_len, PL_T_BLOCK_STATUS);
    return lane->kind == UINT64_MAX || !status ? 0 : *(const volatile uint8_t *)status;
}

/* The device wrote as much as it had to, and what was read is what was written before. */
uint64_t pl_dp_fn_lane_sound(struct pl_dp_step *c)
{
    const struct pl_dp_lane *lane = c->lane;
    bool implied = lane->written == UINT64_MAX;
    const volatile uint8_t *data = at(c->peer, data_at(lane), lane->data_len);
    if (lane->kind == UINT64_MAX)
        return implied || (lane->written > 0 && lane->written <= lane->data_len);
    if (lane->result != PL_T_BLOCK_S_OK)
        return true;
    uint64_t due = (lane->reads ? lane->data_len : 0) + PL_T_BLOCK_STATUS;
    if (!implied && lane->written < due)
        return false;
    for (uint64_t i = 0; data && lane->kind == PL_T_BLOCK_T_IN && lane->knows && i < lane->data_len;
         i++)
        if (data[i] != pattern_byte(lane->pattern, i))
            return false;
    return true;
}

void pl_dp_lane_done(struct pl_dp_lane *lane)
{
    if (lane->kind == PL_T_BLOCK_T_OUT)
        lane->knows = lane->result == PL_T_BLOCK_S_OK;
    lane->step = (lane->step + 1) % STEPS;
}
