/* What a driver's requests say, by the type of its device. */
#include <inttypes.h>
#include <string.h>

#include "engine/drv_watch_private.h"
#include "pl_types.h" /* generated */

enum { SEGMENTS_MAX = 4096 }; /* that are looked at in one request */

/* What the segments of a discard, secure erase or write zeroes request come to. */
struct segments {
    uint64_t n, end, shared; /* their number, where the last one ends, a divisor of all lengths */
    uint32_t flags;
};

static uint64_t divisor(uint64_t a, uint64_t b)
{
    while (b) {
        uint64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

static void add_segment(struct segments *sum, const uint8_t *raw)
{
    uint64_t sector, end;
    uint32_t count, flags;
    memcpy(&sector, raw + PL_T_BLOCK_SEGMENT_SECTOR, sizeof(sector));
    memcpy(&count, raw + PL_T_BLOCK_SEGMENT_COUNT, sizeof(count));
    memcpy(&flags, raw + PL_T_BLOCK_SEGMENT_FLAGS, sizeof(flags));
    sector = le64toh(sector);
    count = le32toh(count);
    end = sector > UINT64_MAX - count ? UINT64_MAX : sector + count;
    sum->end = end > sum->end ? end : sum->end;
    sum->shared = divisor(sum->shared, count);
    sum->flags |= le32toh(flags);
}

static struct segments read_segments(const struct pl_watch *w, const struct pl_chain_sum *sum)
{
    struct segments all = {.n = (sum->readable - PL_T_BLOCK_HEADER) / PL_T_BLOCK_SEGMENT};
    uint8_t raw[PL_T_BLOCK_SEGMENT];
    for (uint64_t i = 0; i < all.n && i < SEGMENTS_MAX; i++) {
        size_t at = (size_t)(PL_T_BLOCK_HEADER + i * PL_T_BLOCK_SEGMENT);
        if (pl_ring_read(&w->memory, sum->buffers, at, raw, sizeof(raw)) < sizeof(raw))
            break;
        add_segment(&all, raw);
    }
    return all;
}

static bool has_segments(uint32_t type)
{
    return type == PL_T_BLOCK_T_DISCARD || type == PL_T_BLOCK_T_SECURE_ERASE ||
           type == PL_T_BLOCK_T_WRITE_ZEROES;
}

/* The buffers in which data lies, behind the header and ahead of the status. */
static unsigned data_buffers(const struct pl_chain_sum *sum)
{
    uint64_t readable = 0, writable = 0;
    unsigned n = 0;
    for (unsigned i = 0; i < sum->buffers->n; i++) {
        const struct pl_ring_buffer *b = &sum->buffers->buffer[i];
        if (b->device_writes) {
            n += b->len && writable + PL_T_BLOCK_STATUS < sum->writable;
            writable += b->len;
        } else {
            readable += b->len;
            n += b->len && readable > PL_T_BLOCK_HEADER;
        }
    }
    return n;
}

static void block(const struct pl_watch *w, const struct pl_watch_queue *q,
                  const struct pl_chain_sum *sum)
{
    uint8_t head[PL_T_BLOCK_HEADER];
    uint32_t type;
    uint64_t sector;
    struct segments seg = {0};
    if (sum->readable < PL_T_BLOCK_HEADER || sum->writable < PL_T_BLOCK_STATUS ||
        pl_ring_read(&w->memory, sum->buffers, 0, head, sizeof(head)) < sizeof(head))
        return;
    memcpy(&type, head + PL_T_BLOCK_HEADER_TYPE, sizeof(type));
    memcpy(&sector, head + PL_T_BLOCK_HEADER_SECTOR, sizeof(sector));
    type = le32toh(type);
    if (has_segments(type))
        seg = read_segments(w, sum);
    pl_watch_tell(w, q,
                  "request %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %u %d %" PRIu64
                  " %" PRIu64 " %" PRIu64 " %" PRIu32,
                  type, le64toh(sector), sum->readable, sum->writable, data_buffers(sum),
                  sum->indirect, seg.n, seg.end, seg.shared, seg.flags);
}

void pl_watch_request(const struct pl_watch *w, const struct pl_watch_dev *dev,
                      const struct pl_watch_queue *q, const struct pl_chain_sum *sum)
{
    if (dev->device_id == PL_C_TYPE_block)
        block(w, q, sum);
    else if (dev->device_id == PL_C_TYPE_entropy)
        pl_watch_tell(w, q, "entropy %u", sum->n_readable);
}
