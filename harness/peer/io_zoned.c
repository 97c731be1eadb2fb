/* Zoned block devices: zones, their resources, and what requests do with them. */
#include <stdlib.h>
#include <string.h>

#include "peer/io.h"
#include "peer/io_zoned.h"

enum { SIZE_MAX_BYTES = 1 << 20, ERASE_SEGMENTS = 8 };
/* The configuration space behind what all devices have: secure erase, then zones. */
enum {
    ZONED_AT = PL_T_BLOCK_ZONE_SECTORS_AT,
    ZONED_BYTES = PL_T_BLOCK_CONFIG_BYTES - PL_T_BLOCK_ZONE_SECTORS_AT
};

static void put_little(uint8_t *p, size_t n, uint64_t value)
{
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t capacity(const struct pl_device *dev)
{
    uint64_t value = 0;
    for (size_t i = PL_T_BLOCK_CAPACITY_LEN; i > 0; i--)
        value = value << 8 | dev->config_first[PL_T_BLOCK_CAPACITY_AT + i - 1];
    return value;
}

static bool is_block(const struct pl_device_peer *peer)
{
    return strcmp(peer->type->name, "block") == 0;
}

/* Whether it has zones, and does not keep them to itself. */
static bool has_zones(const struct pl_device_peer *peer)
{
    uint64_t model = pl_device_opt(peer, PL_DEVICE_OPT_zoned);
    return is_block(peer) && (model == PL_T_BLOCK_Z_HM || model == PL_T_BLOCK_Z_HA);
}

/* --- coming into being --- */

const char *pl_zoned_check(const struct pl_device_peer *peer)
{
    uint64_t size = pl_device_opt(peer, PL_DEVICE_OPT_zone_sectors),
             grain = pl_device_opt(peer, PL_DEVICE_OPT_zone_granularity);
    uint64_t sectors = peer->file ? peer->file_sectors : PL_ZONES_MAX; /* of memory: few enough */
    if (!has_zones(peer))
        return NULL;
    if (size == 0 || size > UINT32_MAX || sectors / size >= PL_ZONES_MAX)
        return "zone_sectors makes no zones, or more than 4096";
    if (pl_device_opt(peer, PL_DEVICE_OPT_zone_cap) > size)
        return "zone_cap is more than zone_sectors";
    if (grain == 0 || grain % PL_T_BLOCK_SECTOR || size * PL_T_BLOCK_SECTOR % grain)
        return "zone_granularity is no multiple of 512 that divides a zone";
    return NULL;
}

uint64_t pl_zoned_config_size(const struct pl_device_peer *peer, const struct pl_device *dev)
{
    if (!is_block(peer))
        return 0;
    if (dev->offered[0] >> PL_T_BLOCK_F_ZONED & 1)
        return PL_T_BLOCK_CONFIG_BYTES;
    return dev->offered[0] >> PL_T_BLOCK_F_SECURE_ERASE & 1 ? ZONED_AT : 0;
}

/* What `zoned` says in the configuration space. */
static void zone_fields(const struct pl_device_peer *peer, uint8_t out[ZONED_BYTES])
{
    static const struct {
        uint64_t at, len;
        enum pl_device_opt says;
    } fields[] = {
        {PL_FIELD(PL_T_BLOCK_ZONE_SECTORS), PL_DEVICE_OPT_zone_sectors},
        {PL_FIELD(PL_T_BLOCK_MAX_OPEN_ZONES), PL_DEVICE_OPT_zone_open},
        {PL_FIELD(PL_T_BLOCK_MAX_ACTIVE_ZONES), PL_DEVICE_OPT_zone_active},
        {PL_FIELD(PL_T_BLOCK_MAX_APPEND_SECTORS), PL_DEVICE_OPT_zone_append},
        {PL_FIELD(PL_T_BLOCK_WRITE_GRANULARITY), PL_DEVICE_OPT_zone_granularity},
        {PL_FIELD(PL_T_BLOCK_ZONE_MODEL), PL_DEVICE_OPT_zoned},
    };
    memset(out, 0, ZONED_BYTES);
    if (!has_zones(peer))
        return;
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        put_little(out + fields[i].at - ZONED_AT, fields[i].len,
                   pl_device_opt(peer, fields[i].says));
}

static void init_zone(const struct pl_device_peer *peer, const struct pl_device *dev, uint64_t i)
{
    uint64_t size = pl_device_opt(peer, PL_DEVICE_OPT_zone_sectors),
             cap = pl_device_opt(peer, PL_DEVICE_OPT_zone_cap);
    uint64_t first = pl_device_opt(peer, PL_DEVICE_OPT_zone_conv),
             bad = pl_device_opt(peer, PL_DEVICE_OPT_zone_rdonly);
    struct pl_zone *z = &dev->zones[i];
    bool managed = pl_device_opt(peer, PL_DEVICE_OPT_zoned) == PL_T_BLOCK_Z_HM;
    uint64_t left = capacity(dev) - i * size;
    z->start = z->wp = i * size;
    z->cap = cap && i >= first ? cap : size;
    z->cap = z->cap < left ? z->cap : left;
    z->type = i < first ? PL_T_BLOCK_ZT_CONV : managed ? PL_T_BLOCK_ZT_SWR : PL_T_BLOCK_ZT_SWP;
    z->state = i < first         ? PL_T_BLOCK_ZS_NOT_WP
               : i < first + bad ? PL_T_BLOCK_ZS_RDONLY
               : i < first + bad + pl_device_opt(peer, PL_DEVICE_OPT_zone_offline)
                   ? PL_T_BLOCK_ZS_OFFLINE
                   : PL_T_BLOCK_ZS_EMPTY;
    if (z->state == PL_T_BLOCK_ZS_RDONLY)
        z->written = z->cap;
}

void pl_zoned_init(struct pl_device_peer *peer, struct pl_device *dev)
{
    uint64_t size = pl_device_opt(peer, PL_DEVICE_OPT_zone_sectors);
    if (!is_block(peer))
        return;
    if (dev->offered[0] >> PL_T_BLOCK_F_SECURE_ERASE & 1) {
        /* sectors: as many as anybody asks for */
        pl_device_put_config(dev, PL_FIELD(PL_T_BLOCK_MAX_SECURE_ERASE_SECTORS),
                             PL_C_QUEUE_SIZE_MAX);
        pl_device_put_config(dev, PL_FIELD(PL_T_BLOCK_MAX_SECURE_ERASE_SEG), ERASE_SEGMENTS);
        pl_device_put_config(dev, PL_FIELD(PL_T_BLOCK_SECURE_ERASE_SECTOR_ALIGNMENT),
                             has_zones(peer) ? size : 1);
    }
    if (dev->offered[0] >> PL_T_BLOCK_F_SIZE_MAX & 1) /* the largest append is measured by it */
        pl_device_put_config(dev, PL_FIELD(PL_T_BLOCK_SIZE_MAX), SIZE_MAX_BYTES);
    if (dev->offered[0] >> PL_T_BLOCK_F_ZONED & 1)
        zone_fields(peer, dev->config + ZONED_AT);
    memcpy(dev->config_first, dev->config, sizeof(dev->config));
    if (!has_zones(peer))
        return;
    uint64_t n = (capacity(dev) + size - 1) / size;
    dev->zones = n <= PL_ZONES_MAX ? calloc((size_t)n, sizeof(*dev->zones)) : NULL;
    dev->n_zones = dev->zones ? n : 0;
    dev->zones_end = capacity(dev);
    for (uint64_t i = 0; i < dev->n_zones; i++)
        init_zone(peer, dev, i);
}

/* --- what transitions ask --- */

bool pl_fn_zoned(const struct pl_step *c)
{
    return c->dev->zones && pl_fn_selected(c, PL_T_BLOCK_F_ZONED);
}

/* What the fields should be for the driver's selection: zeros for one that knows no zones. */
static void wanted_fields(const struct pl_step *c, uint8_t out[ZONED_BYTES])
{
    memset(out, 0, ZONED_BYTES);
    if (pl_fn_selected(c, PL_T_BLOCK_F_ZONED))
        zone_fields(c->peer, out);
}

bool pl_fn_zone_fields_differ(const struct pl_step *c)
{
    uint8_t wanted[ZONED_BYTES];
    if (!is_block(c->peer) || !(c->dev->offered[0] >> PL_T_BLOCK_F_ZONED & 1))
        return false;
    wanted_fields(c, wanted);
    return memcmp(c->dev->config + ZONED_AT, wanted, ZONED_BYTES) != 0;
}

void pl_act_zone_fields(struct pl_step *c)
{
    wanted_fields(c, c->dev->config + ZONED_AT);
}

static struct pl_zone *zone_at(const struct pl_device *dev, uint64_t sector)
{
    uint64_t size = dev->n_zones > 1 ? dev->zones[1].start : UINT64_MAX;
    return sector / size < dev->n_zones ? &dev->zones[sector / size] : NULL;
}

uint64_t pl_zoned_end(const struct pl_device *dev)
{
    return dev->n_zones ? dev->zones_end : 0;
}

static bool is_open(const struct pl_zone *z)
{
    return z->state == PL_T_BLOCK_ZS_IOPEN || z->state == PL_T_BLOCK_ZS_EOPEN;
}

/* How much of a range is unwritten data. */
static uint64_t unwritten(const struct pl_device *dev, uint64_t sector, uint64_t sectors)
{
    uint64_t n = 0;
    for (uint64_t i = 0; i < sectors; i++) {
        const struct pl_zone *z = zone_at(dev, sector + i);
        n += z && z->type != PL_T_BLOCK_ZT_CONV && sector + i - z->start >= z->written;
    }
    return n;
}

void pl_zoned_parse(struct pl_device_peer *peer, struct pl_device *dev)
{
    struct pl_device_io *io = &peer->io;
    const struct pl_zone *z = zone_at(dev, io->sector);
    uint64_t sectors = (io->bytes + PL_T_BLOCK_SECTOR - 1) / PL_T_BLOCK_SECTOR;
    for (uint64_t i = 0; i < dev->n_zones; i++) {
        io->z_implicit += dev->zones[i].state == PL_T_BLOCK_ZS_IOPEN;
        io->z_open += is_open(&dev->zones[i]);
        io->z_active += is_open(&dev->zones[i]) || dev->zones[i].state == PL_T_BLOCK_ZS_CLOSED;
    }
    if (!z)
        return;
    io->z_type = z->type;
    io->z_state = z->state;
    io->z_start = z->start;
    io->z_wp = z->wp;
    io->z_end = z->start + z->cap;
    for (const struct pl_zone *at = z; sectors && at; at = zone_at(dev, at[1].start)) {
        io->z_spans++;
        io->z_required |= at->type == PL_T_BLOCK_ZT_SWR;
        if (at + 1 == dev->zones + dev->n_zones || at[1].start >= io->sector + sectors)
            break;
    }
    if (io->type == PL_T_BLOCK_T_IN)
        io->z_unwritten = unwritten(dev, io->sector, sectors);
}

/* --- what transitions do --- */

static void become(struct pl_zone *z, uint64_t state)
{
    z->state = (uint8_t)state;
    if (state == PL_T_BLOCK_ZS_EMPTY) {
        z->wp = z->start;
        z->written = 0;
    }
}

void pl_act_zone_state(struct pl_step *c, uint64_t state)
{
    struct pl_zone *z = zone_at(c->dev, c->peer->io.sector);
    if (z)
        become(z, state);
}

/* One zone that was opened implicitly is closed where there is none left to be opened. */
void pl_act_zone_relieve(struct pl_step *c)
{
    uint64_t limit = pl_device_opt(c->peer, PL_DEVICE_OPT_zone_open), state = c->peer->io.z_state;
    if (!limit || c->peer->io.z_open < limit || state == PL_T_BLOCK_ZS_IOPEN ||
        state == PL_T_BLOCK_ZS_EOPEN)
        return;
    for (uint64_t i = 0; i < c->dev->n_zones; i++)
        if (c->dev->zones[i].state == PL_T_BLOCK_ZS_IOPEN) {
            c->dev->zones[i].state = PL_T_BLOCK_ZS_CLOSED;
            return;
        }
}

/* Data was written from a sector on: write pointers go behind it, zones open or become full. */
void pl_act_zone_wrote(struct pl_step *c, uint64_t sector, uint64_t sectors)
{
    for (uint64_t end = sector + sectors; sector < end;) {
        struct pl_zone *z = zone_at(c->dev, sector);
        if (!z)
            return;
        uint64_t next = z + 1 < c->dev->zones + c->dev->n_zones ? z[1].start : end;
        uint64_t last = next < end ? next : end;
        sector = last;
        if (z->type == PL_T_BLOCK_ZT_CONV)
            continue;
        z->wp = last > z->wp ? last : z->wp;
        z->written = z->wp - z->start;
        if (z->state == PL_T_BLOCK_ZS_EMPTY || z->state == PL_T_BLOCK_ZS_CLOSED)
            z->state = PL_T_BLOCK_ZS_IOPEN;
        if (z->written >= z->cap)
            z->state = PL_T_BLOCK_ZS_FULL;
    }
}

/* What was read of unwritten data becomes the device's own pattern. */
void pl_act_zone_pattern(struct pl_step *c, uint64_t sector, uint64_t sectors, uint64_t value)
{
    for (uint64_t i = 0; i < sectors; i++)
        if (unwritten(c->dev, sector + i, 1))
            pl_io_fill(c->peer, i * PL_T_BLOCK_SECTOR, (i + 1) * PL_T_BLOCK_SECTOR, (uint8_t)value);
}

/* All zones become empty that can be reset; a mutant leaves those in the state `but`. */
void pl_act_zone_reset_all(struct pl_step *c, uint64_t but)
{
    for (uint64_t i = 0; i < c->dev->n_zones; i++) {
        struct pl_zone *z = &c->dev->zones[i];
        bool left = but && z->state == but;
        if (!left &&
            (is_open(z) || z->state == PL_T_BLOCK_ZS_CLOSED || z->state == PL_T_BLOCK_ZS_FULL))
            become(z, PL_T_BLOCK_ZS_EMPTY);
    }
}

/* Whether all zones of a secure erase request could be reset. */
bool pl_fn_zones_resettable(const struct pl_step *c)
{
    uint64_t sector, count, flags;
    for (uint64_t i = 0; pl_block_segment(c->peer, i, &sector, &count, &flags); i++)
        for (uint64_t end = sector + count; sector < end;) {
            const struct pl_zone *z = zone_at(c->dev, sector);
            if (!z || sector != z->start || z->type == PL_T_BLOCK_ZT_CONV ||
                z->state == PL_T_BLOCK_ZS_RDONLY || z->state == PL_T_BLOCK_ZS_OFFLINE)
                return false;
            sector = z + 1 < c->dev->zones + c->dev->n_zones ? z[1].start : end;
            if (sector > end)
                return false;
        }
    return true;
}

void pl_act_zones_erase(struct pl_step *c)
{
    uint64_t sector, count, flags;
    for (uint64_t i = 0; pl_block_segment(c->peer, i, &sector, &count, &flags); i++)
        for (uint64_t k = 0; k < c->dev->n_zones; k++)
            if (c->dev->zones[k].start - sector < count)
                become(&c->dev->zones[k], PL_T_BLOCK_ZS_EMPTY);
}

/* A number where the driver's buffers have byte `at`. */
void pl_act_io_number(struct pl_step *c, uint64_t at, uint64_t bytes, uint64_t value)
{
    uint8_t raw[8];
    put_little(raw, sizeof(raw), value);
    pl_io_put(c->peer, at, raw, bytes < sizeof(raw) ? (size_t)bytes : sizeof(raw));
}

/* The report from the request's zone on: as many zones as there are, or whole ones have room. */
void pl_act_zone_report(struct pl_step *c)
{
    uint8_t head[PL_T_BLOCK_ZONE_REPORT] = {0};
    const struct pl_zone *z = zone_at(c->dev, c->peer->io.sector);
    uint64_t room = c->peer->io.writable - PL_T_BLOCK_STATUS, at = sizeof(head), n = 0;
    pl_io_fill(c->peer, 0, room, 0);
    for (; z && z < c->dev->zones + c->dev->n_zones; z++) {
        uint8_t d[PL_T_BLOCK_ZONE_DESCRIPTOR] = {[PL_T_BLOCK_ZONE_DESCRIPTOR_TYPE] = z->type,
                                                 [PL_T_BLOCK_ZONE_DESCRIPTOR_STATE] = z->state};
        if (at + sizeof(d) > room)
            break;
        put_little(d + PL_T_BLOCK_ZONE_DESCRIPTOR_CAP, 8, z->cap);
        put_little(d + PL_T_BLOCK_ZONE_DESCRIPTOR_START, 8, z->start);
        put_little(d + PL_T_BLOCK_ZONE_DESCRIPTOR_WP, 8, z->wp);
        pl_io_put(c->peer, at, d, sizeof(d));
        at += sizeof(d);
        n++;
    }
    put_little(head + PL_T_BLOCK_ZONE_REPORT_NR_ZONES, 8, n);
    pl_io_put(c->peer, 0, head, room < sizeof(head) ? (size_t)room : sizeof(head));
}
