/* The block device: what a request says, and the disk beneath it. */
#include <stdlib.h>
#include <string.h>

#include "peer/io.h"
#include "peer/io_zoned.h"

static uint64_t little(const uint8_t *p, size_t n)
{
    uint64_t value = 0;
    for (size_t i = n; i > 0; i--)
        value = value << 8 | p[i - 1];
    return value;
}

static uint64_t capacity(const struct pl_device *dev)
{
    return little(dev->config + PL_T_BLOCK_CAPACITY_AT, PL_T_BLOCK_CAPACITY_LEN);
}

void pl_block_capacity(struct pl_device *dev, uint64_t sectors)
{
    pl_device_put_config(dev, PL_FIELD(PL_T_BLOCK_CAPACITY), sectors);
}

/* A capacity that is changed from outside makes no zones: those that there are end where they did.
 */
bool pl_fn_in_capacity(const struct pl_step *c, uint64_t sector, uint64_t bytes)
{
    uint64_t sectors = capacity(c->dev), zoned = pl_zoned_end(c->dev);
    sectors = zoned && zoned < sectors ? zoned : sectors;
    uint64_t wanted = bytes / PL_T_BLOCK_SECTOR + (bytes % PL_T_BLOCK_SECTOR != 0);
    return sector <= sectors && wanted <= sectors - sector;
}

bool pl_block_segment(struct pl_device_peer *peer, uint64_t i, uint64_t *sector, uint64_t *count,
                      uint64_t *flags)
{
    uint8_t raw[PL_T_BLOCK_SEGMENT];
    uint64_t at = PL_T_BLOCK_HEADER + i * sizeof(raw);
    if (at + sizeof(raw) > peer->io.readable || pl_io_get(peer, at, raw, sizeof(raw)) < sizeof(raw))
        return false;
    *sector = little(raw + PL_T_BLOCK_SEGMENT_SECTOR, 8);
    *count = little(raw + PL_T_BLOCK_SEGMENT_COUNT, 4);
    *flags = little(raw + PL_T_BLOCK_SEGMENT_FLAGS, 4);
    return true;
}

static void parse_segments(struct pl_device_peer *peer, const struct pl_device *dev)
{
    struct pl_device_io *io = &peer->io;
    uint64_t sector, count, flags, sectors = capacity(dev);
    io->segments = io->bytes / PL_T_BLOCK_SEGMENT;
    io->in_range = io->bytes % PL_T_BLOCK_SEGMENT == 0;
    for (uint64_t i = 0; pl_block_segment(peer, i, &sector, &count, &flags); i++) {
        io->flags |= flags;
        io->largest = count > io->largest ? count : io->largest;
        if (sector > sectors || count > sectors - sector)
            io->in_range = 0;
    }
}

void pl_block_parse(struct pl_device_peer *peer, struct pl_device *dev)
{
    struct pl_device_io *io = &peer->io;
    uint8_t header[PL_T_BLOCK_HEADER];
    if (io->readable < sizeof(header) || pl_io_get(peer, 0, header, sizeof(header)) == 0)
        return;
    io->type = little(header + PL_T_BLOCK_HEADER_TYPE, 4);
    io->sector = little(header + PL_T_BLOCK_HEADER_SECTOR, 8);
    io->bytes = io->readable - sizeof(header);
    if (io->type == PL_T_BLOCK_T_IN)
        io->bytes = io->writable > 0 ? io->writable - PL_T_BLOCK_STATUS : 0;
    if (io->type == PL_T_BLOCK_T_DISCARD || io->type == PL_T_BLOCK_T_WRITE_ZEROES ||
        io->type == PL_T_BLOCK_T_SECURE_ERASE)
        parse_segments(peer, dev);
    if (dev->n_zones)
        pl_zoned_parse(peer, dev);
}

/* The disk, opened where it is first needed. */
static struct pl_disk *disk_of(struct pl_step *c)
{
    if (!c->dev->disk)
        c->dev->disk = pl_disk_open(c->peer->file, pl_fn_offered(c, PL_T_BLOCK_F_RO));
    return c->dev->disk;
}

static void note(struct pl_step *c, int err)
{
    c->peer->io.failed |= err < 0;
}

void pl_act_disk_read(struct pl_step *c, uint64_t sector, uint64_t bytes)
{
    struct pl_disk *disk = disk_of(c);
    uint8_t *piece = c->peer->frame;
    note(c, disk ? 0 : -1);
    for (uint64_t at = 0; disk && at < bytes;) {
        size_t n = bytes - at < PL_PIPE_ITEM_MAX ? (size_t)(bytes - at) : PL_PIPE_ITEM_MAX;
        note(c, pl_disk_read(disk, sector * PL_T_BLOCK_SECTOR + at, piece, n));
        if (pl_io_put(c->peer, at, piece, n) < n)
            return;
        at += n;
    }
}

void pl_act_disk_write(struct pl_step *c, uint64_t sector, uint64_t bytes)
{
    struct pl_disk *disk = disk_of(c);
    uint8_t *piece = c->peer->frame;
    note(c, disk ? 0 : -1);
    for (uint64_t at = 0; disk && at < bytes;) {
        size_t n = bytes - at < PL_PIPE_ITEM_MAX ? (size_t)(bytes - at) : PL_PIPE_ITEM_MAX;
        if (pl_io_get(c->peer, PL_T_BLOCK_HEADER + at, piece, n) < n)
            return;
        note(c, pl_disk_write(disk, sector * PL_T_BLOCK_SECTOR + at, piece, n));
        at += n;
    }
}

/* Clear all segments of the request: from `times` the sector that it names on, with `more` sectors
 * behind it. */
void pl_act_disk_zero(struct pl_step *c, uint64_t times, uint64_t more)
{
    struct pl_disk *disk = disk_of(c);
    uint64_t sector, count, flags;
    note(c, disk ? 0 : -1);
    for (uint64_t i = 0; disk && pl_block_segment(c->peer, i, &sector, &count, &flags); i++)
        note(c, pl_disk_zero(disk, times * sector * PL_T_BLOCK_SECTOR,
                             (count + more) * PL_T_BLOCK_SECTOR));
}

void pl_act_disk_flush(struct pl_step *c)
{
    struct pl_disk *disk = disk_of(c);
    note(c, disk ? pl_disk_flush(disk) : -1);
}

/* The identity, filled up with zeros. */
void pl_act_disk_id(struct pl_step *c, uint64_t bytes)
{
    static const char id[PL_T_BLOCK_ID_BYTES] = "plumbline-disk";
    uint64_t room = c->peer->io.writable > 0 ? c->peer->io.writable - PL_T_BLOCK_STATUS : 0;
    uint64_t n = bytes < sizeof(id) ? bytes : sizeof(id);
    pl_io_put(c->peer, 0, id, (size_t)(n < room ? n : room));
    pl_io_fill(c->peer, n, room, 0);
}
