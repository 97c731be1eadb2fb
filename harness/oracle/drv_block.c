/* Drivers of block devices: their requests, and what they do with the configuration space. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "oracle/drv_ring.h"

enum { SMALL_READ = 8 }; /* bytes: a read that is about a field or two, not about everything */

/* A request as the watch read it. */
struct request {
    uint32_t type, flags;
    uint64_t sector, readable, writable;
    unsigned data_buffers;
    int indirect;
    uint64_t segments, end, shared;
};

/* --- requests --- */

static void judge_range(struct pl_oracle *o, const struct pl_dring_dev *d, uint64_t sector,
                        uint64_t end)
{
    if (d->capacity_known)
        pl_dring_judge(o, PL_P_drv_blk_capacity, sector <= end && end <= d->capacity,
                       "a request reaches from sector %" PRIu64 " to %" PRIu64
                       ", the capacity is %" PRIu64,
                       sector, end, d->capacity);
}

static void transfer(struct pl_oracle *o, const struct pl_dring_dev *d, const struct request *r)
{
    uint64_t bytes = r->type == PL_T_BLOCK_T_IN ? r->writable - PL_T_BLOCK_STATUS
                                                : r->readable - PL_T_BLOCK_HEADER;
    uint64_t sectors = (bytes + PL_T_BLOCK_SECTOR - 1) / PL_T_BLOCK_SECTOR;
    pl_dring_judge(o, PL_P_drv_blk_whole_sectors, bytes % PL_T_BLOCK_SECTOR == 0,
                   "a read or write has %" PRIu64 " bytes of data", bytes);
    judge_range(o, d, r->sector, r->sector > UINT64_MAX - sectors ? 0 : r->sector + sectors);
}

static void judge_count(struct pl_oracle *o, const struct pl_dring_dev *d, enum pl_predicate p,
                        const struct request *r, uint64_t at, uint64_t len)
{
    uint64_t most;
    if (pl_dring_config(d, at, len, &most))
        pl_dring_judge(o, p, r->segments <= most,
                       "a request has %" PRIu64 " segments, at most %" PRIu64 " are allowed",
                       r->segments, most);
}

static void segmented(struct pl_oracle *o, const struct pl_dring_dev *d, const struct request *r)
{
    uint64_t bytes = r->readable - PL_T_BLOCK_HEADER, zone;
    pl_dring_judge(o, PL_P_drv_blk_segment_size, bytes && bytes % PL_T_BLOCK_SEGMENT == 0,
                   "a request of segments has %" PRIu64 " bytes of data", bytes);
    if (r->segments)
        judge_range(o, d, 0, r->end);
    if (r->type == PL_T_BLOCK_T_DISCARD) {
        judge_count(o, d, PL_P_drv_blk_discard_segments, r, PL_T_BLOCK_MAX_DISCARD_SEG_AT,
                    PL_T_BLOCK_MAX_DISCARD_SEG_LEN);
        pl_dring_judge(o, PL_P_drv_blk_discard_unmap, !(r->flags & PL_T_BLOCK_SEGMENT_UNMAP),
                       "a discard request has unmap set (flags 0x%x)", r->flags);
    } else if (r->type == PL_T_BLOCK_T_WRITE_ZEROES) {
        judge_count(o, d, PL_P_drv_blk_zeroes_segments, r, PL_T_BLOCK_MAX_WRITE_ZEROES_SEG_AT,
                    PL_T_BLOCK_MAX_WRITE_ZEROES_SEG_LEN);
    } else {
        judge_count(o, d, PL_P_drv_blk_erase_segments, r, PL_T_BLOCK_MAX_SECURE_ERASE_SEG_AT,
                    PL_T_BLOCK_MAX_SECURE_ERASE_SEG_LEN);
        if (pl_dring_selected(d, PL_T_BLOCK_F_ZONED) &&
            pl_dring_config(d, PL_T_BLOCK_ZONE_SECTORS_AT, PL_T_BLOCK_ZONE_SECTORS_LEN, &zone) &&
            zone)
            pl_dring_judge(o, PL_P_drv_blk_erase_zones, r->shared % zone == 0,
                           "a secure erase is no multiple of zones of %" PRIu64 " sectors", zone);
    }
}

static void judge_zone_start(struct pl_oracle *o, const struct pl_dring_dev *d, enum pl_predicate p,
                             const struct request *r)
{
    uint64_t zone;
    if (pl_dring_config(d, PL_T_BLOCK_ZONE_SECTORS_AT, PL_T_BLOCK_ZONE_SECTORS_LEN, &zone) && zone)
        pl_dring_judge(o, p, r->sector % zone == 0,
                       "sector %" PRIu64 " is not the first of a zone of %" PRIu64 " sectors",
                       r->sector, zone);
}

static void append(struct pl_oracle *o, const struct pl_dring_dev *d, const struct request *r)
{
    uint64_t bytes = r->readable - PL_T_BLOCK_HEADER, most, grain;
    judge_zone_start(o, d, PL_P_drv_blk_append_zone, r);
    if (pl_dring_config(d, PL_T_BLOCK_MAX_APPEND_SECTORS_AT, PL_T_BLOCK_MAX_APPEND_SECTORS_LEN,
                        &most))
        pl_dring_judge(o, PL_P_drv_blk_append_most, bytes <= most * PL_T_BLOCK_SECTOR,
                       "a zone append has %" PRIu64 " bytes, at most %" PRIu64
                       " sectors are allowed",
                       bytes, most);
    if (!pl_dring_config(d, PL_T_BLOCK_WRITE_GRANULARITY_AT, PL_T_BLOCK_WRITE_GRANULARITY_LEN,
                         &grain) ||
        !grain)
        return;
    pl_dring_judge(o, PL_P_drv_blk_append_granularity, bytes % grain == 0,
                   "a zone append has %" PRIu64 " bytes, write_granularity is %" PRIu64, bytes,
                   grain);
    pl_dring_judge(o, PL_P_drv_blk_append_aligned, r->sector * PL_T_BLOCK_SECTOR % grain == 0,
                   "a zone append begins at sector %" PRIu64 ", write_granularity is %" PRIu64,
                   r->sector, grain);
}

static void zoned(struct pl_oracle *o, const struct pl_dring_dev *d, const struct request *r)
{
    switch (r->type) {
    case PL_T_BLOCK_T_ZONE_APPEND:
        append(o, d, r);
        break;
    case PL_T_BLOCK_T_ZONE_OPEN:
    case PL_T_BLOCK_T_ZONE_CLOSE:
    case PL_T_BLOCK_T_ZONE_FINISH:
    case PL_T_BLOCK_T_ZONE_RESET:
        judge_zone_start(o, d, PL_P_drv_blk_zone_start, r);
        break;
    case PL_T_BLOCK_T_ZONE_RESET_ALL:
        pl_dring_judge(o, PL_P_drv_blk_zone_reset_all, r->sector == 0,
                       "a reset of all zones names sector %" PRIu64, r->sector);
        break;
    default:
        break;
    }
}

/* VIRTIO_BLK_F_SEG_MAX limits what one request may be made of. A device that says 0 leaves no
 * request with data at all: that is taken for one buffer. */
static void judge_list(struct pl_oracle *o, const struct pl_dring_dev *d, const struct request *r)
{
    uint64_t most;
    if (!pl_dring_selected(d, PL_C_F_RING_PACKED) || !pl_dring_selected(d, PL_T_BLOCK_F_SEG_MAX) ||
        !pl_dring_config(d, PL_T_BLOCK_SEG_MAX_AT, PL_T_BLOCK_SEG_MAX_LEN, &most))
        return;
    pl_dring_judge(o, r->indirect ? PL_P_drv_packed_table_limit : PL_P_drv_packed_limit,
                   r->data_buffers <= (most ? most : 1),
                   "a request has data in %u buffers, seg_max is %" PRIu64, r->data_buffers, most);
}

void pl_dring_block_request(struct pl_oracle *o, const struct pl_dring_dev *d, const char *numbers)
{
    struct request r = {0};
    if (sscanf(numbers,
               "%" SCNu32 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %u %d %" SCNu64 " %" SCNu64
               " %" SCNu64 " %" SCNu32,
               &r.type, &r.sector, &r.readable, &r.writable, &r.data_buffers, &r.indirect,
               &r.segments, &r.end, &r.shared, &r.flags) != 10 ||
        r.readable < PL_T_BLOCK_HEADER || r.writable < PL_T_BLOCK_STATUS)
        return;
    judge_list(o, d, &r);
    switch (r.type) {
    case PL_T_BLOCK_T_IN:
    case PL_T_BLOCK_T_OUT:
        transfer(o, d, &r);
        break;
    case PL_T_BLOCK_T_FLUSH:
        pl_dring_judge(o, PL_P_drv_blk_flush_sector, r.sector == 0, "a flush names sector %" PRIu64,
                       r.sector);
        pl_dring_judge(o, PL_P_drv_blk_flush_data,
                       r.readable == PL_T_BLOCK_HEADER && r.writable == PL_T_BLOCK_STATUS,
                       "a flush has data");
        break;
    case PL_T_BLOCK_T_GET_ID:
        pl_dring_judge(o, PL_P_drv_blk_id, r.writable - PL_T_BLOCK_STATUS == PL_T_BLOCK_ID_BYTES,
                       "a request for the id has room for %" PRIu64 " bytes",
                       r.writable - PL_T_BLOCK_STATUS);
        break;
    case PL_T_BLOCK_T_DISCARD:
    case PL_T_BLOCK_T_WRITE_ZEROES:
    case PL_T_BLOCK_T_SECURE_ERASE:
        segmented(o, d, &r);
        break;
    default:
        if (pl_dring_selected(d, PL_T_BLOCK_F_ZONED))
            zoned(o, d, &r);
        break;
    }
}

/* --- messages --- */

static bool overlaps(uint64_t at, uint64_t len, uint64_t field, uint64_t field_len)
{
    return at < field + field_len && field < at + len;
}

/* A read of everything is not told apart from one that wants writeback. */
static void reads(struct pl_oracle *o, struct pl_dring_dev *d, const struct pl_msg *m)
{
    uint64_t at = m->f[PL_F_offset], len = m->f[PL_F_length];
    if (overlaps(at, len, PL_T_BLOCK_CAPACITY_AT, PL_T_BLOCK_CAPACITY_LEN)) {
        if (d->capacity_due)
            pl_held(o, PL_P_drv_blk_capacity_again);
        d->capacity_due = false;
    }
    if (len > SMALL_READ || !pl_dring_offered(d, PL_T_BLOCK_F_CONFIG_WCE) ||
        !overlaps(at, len, PL_T_BLOCK_WRITEBACK_AT, PL_T_BLOCK_WRITEBACK_LEN))
        return;
    pl_dring_judge(o, PL_P_drv_blk_writeback_early, d->status & PL_C_STATUS_FEATURES_OK,
                   "writeback is read, and FEATURES_OK was not set");
}

/* What the driver accepts, as it says that this is all. */
static void accepts(struct pl_oracle *o, const struct pl_dring_dev *d)
{
    uint64_t model;
    if (pl_dring_offered(d, PL_T_BLOCK_F_RO))
        pl_dring_judge(o, PL_P_drv_blk_read_only, pl_dring_selected(d, PL_T_BLOCK_F_RO),
                       "VIRTIO_BLK_F_RO is offered and was not accepted");
    if (pl_dring_offered(d, PL_T_BLOCK_F_ZONED) && pl_dring_offered(d, PL_T_BLOCK_F_DISCARD) &&
        pl_dring_config(d, PL_T_BLOCK_ZONE_MODEL_AT, PL_T_BLOCK_ZONE_MODEL_LEN, &model) &&
        model == PL_T_BLOCK_Z_HM)
        pl_dring_judge(o, PL_P_drv_blk_discard_managed, !pl_dring_selected(d, PL_T_BLOCK_F_DISCARD),
                       "VIRTIO_BLK_F_DISCARD is accepted from a host-managed zoned device");
}

void pl_dring_block_message(struct pl_oracle *o, struct pl_dring_dev *d, const struct pl_msg *m)
{
    if (m->kind == PL_GET_CONFIG)
        reads(o, d, m);
    else if (m->kind == PL_SET_CONFIG && pl_dring_selected(d, PL_T_BLOCK_F_CONFIG_WCE) &&
             overlaps(m->f[PL_F_offset], m->f[PL_F_length], PL_T_BLOCK_WRITEBACK_AT,
                      PL_T_BLOCK_WRITEBACK_LEN))
        pl_used(o, PL_P_drv_blk_cache_mode);
    else if (m->kind == PL_SET_DEVICE_STATUS && (m->f[PL_F_status] & PL_C_STATUS_FEATURES_OK) &&
             !(d->status & PL_C_STATUS_FEATURES_OK))
        accepts(o, d);
    /* It had the answer to its read before it sent this: nothing was under way. */
    if (!m->event && d->capacity_settling && d->open <= 1) {
        d->capacity_settling = false;
        d->capacity = d->capacity_read;
    }
}

/* Whatever the driver may go by counts. */
static void note_capacity(struct pl_dring_dev *d)
{
    uint64_t capacity;
    if (!pl_dring_config(d, PL_T_BLOCK_CAPACITY_AT, PL_T_BLOCK_CAPACITY_LEN, &capacity))
        return;
    if (!d->capacity_known || capacity > d->capacity)
        d->capacity = capacity;
    d->capacity_known = true;
}

void pl_dring_block_written(struct pl_dring_dev *d)
{
    note_capacity(d);
    d->capacity_settling = false; /* the driver may go by what it wrote from now on */
}

void pl_dring_block_told(struct pl_oracle *o, struct pl_dring_dev *d, const struct pl_msg *m)
{
    uint64_t at = m->f[PL_F_offset], len = m->f[PL_F_length];
    bool all = at == 0 && len == 0;
    (void)o;
    if (m->kind == PL_GET_CONFIG) {
        note_capacity(d);
        d->capacity_settling =
            pl_dring_config(d, PL_T_BLOCK_CAPACITY_AT, PL_T_BLOCK_CAPACITY_LEN, &d->capacity_read);
        return;
    }
    if (m->data_len && overlaps(at, m->data_len, PL_T_BLOCK_CAPACITY_AT, PL_T_BLOCK_CAPACITY_LEN)) {
        note_capacity(d);
        d->capacity_settling = false;
    } else if (!m->data_len && (d->status & PL_C_STATUS_DRIVER_OK) && d->capacity_known &&
               !d->ended) {
        d->capacity_due |=
            all || overlaps(at, len, PL_T_BLOCK_CAPACITY_AT, PL_T_BLOCK_CAPACITY_LEN);
    }
}
