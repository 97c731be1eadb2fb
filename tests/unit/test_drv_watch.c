/* Unit tests of the watch on a driver's rings and of its judge: legal drivers that break nothing,
 * and others that each break their clause. */
#include "drv_bench.h"

#include <linux/virtio_ring.h>

static const uint64_t EVENT = BIT(PL_C_F_EVENT_IDX), INDIRECT = BIT(PL_C_F_INDIRECT_DESC);
static const uint64_t PACKED = BIT(PL_C_F_RING_PACKED);
static const uint64_t DATA = BIT(PL_C_F_NOTIFICATION_DATA), RESET = BIT(PL_C_F_RING_RESET);

/* --- legal drivers --- */

/* Requests one by one and in batches, until the indexes have gone round. */
static void work(struct bench *b, unsigned rounds, unsigned depth, bool indirect)
{
    unsigned done = 0, asked = 0;
    for (unsigned i = 0; i < rounds; i++) {
        for (unsigned k = 0; k <= i % depth; k++)
            asked += request(b, k, PL_T_BLOCK_T_IN, k, 0, PL_T_BLOCK_SECTOR, indirect) >= 0;
        pl_driver_ring_publish(b->ring);
        kick_if_due(b);
        done += reap(b);
        if (done < asked)
            wait_ms(b, 3);
        done += reap(b);
    }
    wait_ms(b, 20);
    done += reap(b);
    ck_assert_uint_eq(done, asked);
    settle(b);
}

static const struct {
    uint64_t features;
    uint16_t size;
    const char *options[3];
} lives[] = {
    {0, 8, {NULL}},
    {0, 32, {"io_delay=2", NULL}},
    {0, 16, {"io_suppress=1", NULL}},
    {0, 16, {"io_suppress=1", "io_poll=1", NULL}},
    {0, 8, {"io_spurious=1", NULL}},
    {0, 8, {"io_event_noise=1", NULL}},
    {0, 64, {"io_delay=1", "io_out_of_order=1", NULL}},
    {0, 16, {"io_pace=1", NULL}},
    {BIT(PL_C_F_RING_PACKED), 16, {"io_pace=1", NULL}},
    {BIT(PL_C_F_EVENT_IDX), 16, {NULL}},
    {BIT(PL_C_F_EVENT_IDX), 16, {"io_event_noise=2", NULL}},
    {BIT(PL_C_F_EVENT_IDX), 16, {"io_suppress=1", "io_poll=1", NULL}},
    {BIT(PL_C_F_EVENT_IDX) | BIT(PL_C_F_INDIRECT_DESC), 4, {"io_delay=2", NULL}},
    {BIT(PL_C_F_IN_ORDER), 16, {"io_in_order_batch=1", NULL}},
    {BIT(PL_C_F_IN_ORDER) | BIT(PL_C_F_INDIRECT_DESC), 16, {"io_delay=1", NULL}},
    {BIT(PL_C_F_NOTIFICATION_DATA), 128, {NULL}},
    {BIT(PL_C_F_RING_PACKED), 8, {NULL}},
    {BIT(PL_C_F_RING_PACKED), 5, {"io_delay=1", "io_out_of_order=1", NULL}},
    {BIT(PL_C_F_RING_PACKED), 24, {"io_delay=2", "io_out_of_order=1", NULL}},
    {BIT(PL_C_F_RING_PACKED) | BIT(PL_C_F_EVENT_IDX), 16, {NULL}},
    {BIT(PL_C_F_RING_PACKED) | BIT(PL_C_F_EVENT_IDX), 7, {"io_suppress=1", "io_poll=1", NULL}},
    {BIT(PL_C_F_RING_PACKED) | BIT(PL_C_F_INDIRECT_DESC), 3, {"io_delay=1", NULL}},
    {BIT(PL_C_F_RING_PACKED) | BIT(PL_C_F_IN_ORDER), 16, {"io_in_order_batch=1", NULL}},
    {BIT(PL_C_F_RING_PACKED) | BIT(PL_C_F_NOTIFICATION_DATA) | BIT(PL_C_F_EVENT_IDX),
     32,
     {"io_delay=1", NULL}},
};

START_TEST(legal_life)
{
    struct bench b;
    const uint64_t features = lives[_i].features;
    begin_with(&b, "block", features, lives[_i].size, lives[_i].options);
    unsigned depth = lives[_i].size >= 24 ? 7 : 2;
    work(&b, 60, depth, features & BIT(PL_C_F_INDIRECT_DESC));
    write_status(&b, 0);
    wait_ms(&b, 3);
    expect_broken(&b, "");
    expect_held(&b, "CORE-INIT-DRV-08 DROK-DRV-02 DROK-DRV-03 BLK-DRV-12 BLK-DRV-16");
    close_bench(&b);
}
END_TEST

/* The indexes go round 16 bits, and a ring of the largest size is followed. */
START_TEST(legal_wrap)
{
    struct bench b;
    begin(&b, DATA | (_i & 1 ? EVENT : 0), _i & 2 ? 2 : 128);
    for (unsigned i = 0; i < 70000; i++) {
        struct pl_ring_buffer one = {slot_at(0), 1, true};
        ck_assert_int_ge(pl_driver_ring_add(b.ring, &one, 1, 0), 0);
        pl_driver_ring_publish(b.ring);
        kick_if_due(&b);
        ck_assert_uint_eq(reap(&b), 1);
    }
    settle(&b);
    expect_broken(&b, "");
    expect_held(&b, "AVAIL-DRV-02 NTFY-DRV-03");
    close_bench(&b);
}
END_TEST

START_TEST(legal_large)
{
    static const char *const options[] = {"queue_size=32768", NULL};
    struct bench b;
    begin_with(&b, "block", _i ? PACKED : 0, 32768, options);
    work(&b, 40, 30, false);
    expect_broken(&b, "");
    close_bench(&b);
}
END_TEST

/* Bit 15 of the index in next_off, or in next_wrap: both readings are legal. */
START_TEST(legal_bit_15)
{
    struct bench b;
    begin(&b, DATA, 128);
    for (unsigned i = 1; i <= 33000; i++) {
        struct pl_ring_buffer one = {slot_at(0), 1, true};
        pl_driver_ring_add(b.ring, &one, 1, 0);
        pl_driver_ring_publish(b.ring);
        uint64_t folded = (i & 0x7fff) | (i & 0x8000 ? PL_C_AVAIL_NEXT_WRAP : 0);
        kick_at(&b, 0, _i ? folded : i);
        reap(&b);
    }
    settle(&b);
    expect_broken(&b, "");
    close_bench(&b);
}
END_TEST

/* Entropy and receiving queues are filled before DRIVER_OK; a kick follows it, or none does. */
START_TEST(legal_early_buffers)
{
    struct bench b;
    open_bench(&b, _i & 1 ? "net" : "entropy", NULL);
    negotiate(&b, 0);
    lay_ring(&b, 16);
    set_queue(&b, &b.setup, PL_C_SVQ_ENABLE);
    struct pl_ring_buffer one = {slot_at(0), 64, true};
    pl_driver_ring_add(b.ring, &one, 1, 0);
    pl_driver_ring_publish(b.ring);
    write_status(&b, 15);
    if (_i & 2)
        kick(&b);
    settle(&b);
    expect_broken(&b, "");
    close_bench(&b);
}
END_TEST

/* A driver that polls where the device does, too, owes no notification and is owed none. */
START_TEST(legal_polling)
{
    static const char *const options[] = {"io_suppress=1", "io_poll=1", NULL};
    struct bench b;
    begin_with(&b, "block", _i & 1 ? PACKED : _i & 2 ? EVENT : 0, 16, options);
    pl_driver_ring_notify(b.ring, PL_RING_NOTIFY_NEVER, 0);
    wait_ms(&b, 2);
    work(&b, 30, 2, false);
    expect_broken(&b, "");
    expect_held(&b, "NTFY-DRV-01 NTFY-DRV-02 USED-DRV-04");
    close_bench(&b);
}
END_TEST

/* A driver that stops with everything in the device's hands, by either reset. */
START_TEST(legal_stop)
{
    static const char *const options[] = {"io_delay=1000000", NULL};
    struct bench b;
    begin_with(&b, "block", RESET | (_i & 1 ? PACKED : 0), 16, options);
    for (unsigned i = 0; i < 3; i++)
        read_sector(&b, i);
    pl_driver_ring_publish(b.ring);
    kick(&b);
    if (_i & 2) {
        struct pl_msg reset = {.kind = PL_RESET_VQUEUE};
        send(&b, &reset);
        lay_ring(&b, 8);
        set_queue(&b, &b.setup, PL_C_SVQ_ENABLE);
        read_sector(&b, 5);
        pl_driver_ring_publish(b.ring);
        kick(&b);
    }
    write_status(&b, 0);
    memset(memory_at(&b, BASE + RING_AT), 0x55, 4096);
    settle(&b);
    expect_broken(&b, "");
    expect_held(&b, "CORE-INIT-DRV-09");
    if (_i & 2)
        expect_held(&b, "CORE-VQRESET-DRV-01 CORE-VQRESET-DRV-03");
    close_bench(&b);
}
END_TEST

/* The device needs a reset, or the driver gives up: nothing is owed any more. */
START_TEST(legal_end)
{
    struct bench b;
    begin(&b, _i & 1 ? PACKED : 0, 16);
    read_sector(&b, 0);
    pl_driver_ring_publish(b.ring);
    pl_drv_watch_before(&b.s);
    pl_drv_watch_look(&b.s);
    ck_assert_uint_eq(pl_drv_ring_owed(b.s.oracle), 1);
    if (_i & 2) {
        struct pl_msg event = {.kind = PL_EVENT_CONFIG};
        event.f[PL_F_device_status] = 15 | PL_C_STATUS_DEVICE_NEEDS_RESET;
        inject(&b, &event);
    } else {
        write_status(&b, 15 | PL_C_STATUS_FAILED);
    }
    ck_assert_uint_eq(pl_drv_ring_owed(b.s.oracle), 0);
    settle(&b);
    expect_broken(&b, "");
    close_bench(&b);
}
END_TEST

/* The device is removed: what was under way is nobody's fault. */
START_TEST(legal_removal)
{
    struct bench b;
    struct pl_msg gone = {.kind = PL_EVENT_DEVICE};
    begin(&b, DATA | PACKED, 8);
    read_sector(&b, 0);
    pl_driver_ring_publish(b.ring);
    gone.f[PL_F_device_bus_state] = PL_C_BUS_STATE_REMOVED;
    inject(&b, &gone);
    kick(&b);
    read_config(&b, PL_T_BLOCK_WRITEBACK_AT, 1);
    memset(memory_at(&b, BASE + RING_AT), 0, 4096);
    settle(&b);
    negotiate(&b, 0); /* it is back */
    lay_ring(&b, 8);
    set_queue(&b, &b.setup, PL_C_SVQ_ENABLE);
    write_status(&b, 15);
    work(&b, 3, 2, false);
    expect_broken(&b, "");
    close_bench(&b);
}
END_TEST

/* --- chains that no driver may write --- */

enum flaw { NO_FLAW, FLAGS, NEXT, LEN, ADDR };

/* Overwrite a part of descriptor i of the ring. */
static void poke_desc(struct bench *b, unsigned i, enum flaw part, uint64_t value)
{
    uint8_t *desc = memory_at(b, b->setup.desc_addr + i * sizeof(struct vring_desc));
    uint64_t le = htole64(value);
    size_t at = part == ADDR                          ? offsetof(struct vring_desc, addr)
                : part == LEN                         ? offsetof(struct vring_desc, len)
                : (part == FLAGS) == !b->setup.packed ? offsetof(struct vring_desc, flags)
                                                      : offsetof(struct vring_desc, next);
    memcpy(desc + at, &le, part == ADDR ? 8 : part == LEN ? 4 : 2);
}

static void poke_driver(struct bench *b, size_t at, uint16_t value)
{
    uint16_t le = htole16(value);
    memcpy((uint8_t *)memory_at(b, b->setup.driver_addr) + at, &le, sizeof(le));
}

static void poke_table(struct bench *b, unsigned slot, unsigned i, size_t at, uint16_t value)
{
    uint16_t le = htole16(value);
    memcpy((uint8_t *)memory_at(b, slot_at(slot) + 0x3000) + i * 16 + at, &le, sizeof(le));
}

struct bad_chain {
    const char *clauses;
    uint64_t features;
    bool indirect;
    void (*bend)(struct bench *b);
};

static void bend_direction(struct bench *b)
{
    poke_desc(b, 0, FLAGS, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE);
    poke_desc(b, 1, FLAGS, VRING_DESC_F_NEXT);
}
static void bend_bytes(struct bench *b)
{
    poke_desc(b, 1, LEN, 0xffffffff);
    poke_desc(b, 2, LEN, 0xffffffff);
}
static void bend_loop(struct bench *b)
{
    poke_desc(b, 2, FLAGS, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE);
    poke_desc(b, 2, NEXT, 1);
}
static void bend_next(struct bench *b)
{
    poke_desc(b, 0, NEXT, 4);
    memcpy(memory_at(b, b->setup.desc_addr + 4 * 16), memory_at(b, b->setup.desc_addr + 16), 16);
}
static void bend_indirect(struct bench *b)
{
    poke_desc(b, 0, FLAGS, VRING_DESC_F_INDIRECT);
}
static void bend_indirect_next(struct bench *b)
{
    poke_desc(b, 0, FLAGS, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT);
}
static void bend_nested(struct bench *b)
{
    poke_table(b, 0, 2, 12, VRING_DESC_F_INDIRECT);
}
static void bend_table_order(struct bench *b)
{
    uint8_t *table = memory_at(b, slot_at(0) + 0x3000);
    memcpy(table + 3 * 16, table + 16, 16);
    poke_table(b, 0, 0, 14, 3);
    uint32_t len = htole32(4 * 16);
    memcpy((uint8_t *)memory_at(b, b->setup.desc_addr) + 8, &len, 4);
}
static void bend_table_long(struct bench *b)
{
    uint8_t *table = memory_at(b, slot_at(0) + 0x3000);
    for (unsigned i = 0; i < 12; i++) {
        struct vring_desc d = {htole64(slot_at(0)), htole32(16),
                               htole16(i < 11 ? VRING_DESC_F_NEXT : 0), htole16((uint16_t)(i + 1))};
        memcpy(table + i * 16, &d, 16);
    }
    poke_desc(b, 0, LEN, 12 * 16);
}
static void bend_flags_2(struct bench *b)
{
    poke_driver(b, 0, 2);
}
static void bend_flags_1(struct bench *b)
{
    poke_driver(b, 0, 1);
}

static const struct bad_chain bad_split[] = {
    {"CORE-SPLIT-DRV-02", 0, false, bend_direction},
    {"CORE-SPLIT-DRV-04", 0, false, bend_bytes},
    {"CORE-SPLIT-DRV-04 CORE-SPLIT-DRV-08", 0, false, bend_loop},
    {"CORE-SPLIT-DRV-05", BIT(PL_C_F_IN_ORDER), false, bend_next},
    {"CORE-SPLIT-DRV-06", 0, false, bend_indirect},
    {"CORE-SPLIT-DRV-07", BIT(PL_C_F_INDIRECT_DESC), true, bend_nested},
    {"CORE-SPLIT-DRV-08", BIT(PL_C_F_INDIRECT_DESC), true, bend_table_long},
    {"CORE-SPLIT-DRV-09", BIT(PL_C_F_INDIRECT_DESC), true, bend_indirect_next},
    {"CORE-SPLIT-DRV-10", BIT(PL_C_F_INDIRECT_DESC) | BIT(PL_C_F_IN_ORDER), true, bend_table_order},
    {"CORE-SPLIT-DRV-12", 0, false, bend_flags_2},
    {"CORE-SPLIT-DRV-14", BIT(PL_C_F_EVENT_IDX), false, bend_flags_1},
};

START_TEST(illegal_split)
{
    const struct bad_chain *c = &bad_split[_i];
    struct bench b;
    begin(&b, c->features, 8);
    request(&b, 0, PL_T_BLOCK_T_IN, 0, 0, PL_T_BLOCK_SECTOR, c->indirect);
    c->bend(&b);
    pl_driver_ring_publish(b.ring);
    kick(&b);
    settle(&b);
    expect_broken(&b, c->clauses);
    close_bench(&b);
}
END_TEST

static uint16_t packed_flags(const struct bench *b, unsigned i)
{
    uint16_t flags;
    memcpy(&flags, (uint8_t *)memory_at(b, b->setup.desc_addr) + i * 16 + 14, 2);
    return le16toh(flags);
}

static void or_flags(struct bench *b, unsigned i, unsigned set, unsigned clear)
{
    poke_desc(b, i, FLAGS, (packed_flags(b, i) | set) & ~clear);
}
static void packed_direction(struct bench *b)
{
    or_flags(b, 0, VRING_DESC_F_WRITE, 0);
    or_flags(b, 1, 0, VRING_DESC_F_WRITE);
}
static void packed_first_last(struct bench *b)
{
    or_flags(b, 1, 0, PL_PACKED_AVAIL);
}
static void packed_indirect(struct bench *b)
{
    or_flags(b, 0, VRING_DESC_F_INDIRECT, VRING_DESC_F_NEXT);
}
static void packed_indirect_list(struct bench *b)
{
    or_flags(b, 0, VRING_DESC_F_INDIRECT | VRING_DESC_F_NEXT, 0);
}
static void packed_table_flags(struct bench *b)
{
    poke_table(b, 0, 1, 14, VRING_DESC_F_WRITE | VRING_DESC_F_NEXT);
}
static void packed_long(struct bench *b)
{
    for (unsigned i = 0; i < 8; i++) {
        memcpy((uint8_t *)memory_at(b, b->setup.desc_addr) + i * 16,
               memory_at(b, b->setup.desc_addr), 16);
        poke_desc(b, i, FLAGS, PL_PACKED_AVAIL | VRING_DESC_F_NEXT);
    }
}

static const struct bad_chain bad_packed[] = {
    {"CORE-PACKED-DRV-08", 0, false, packed_direction},
    {"CORE-PACKED-DRV-11", 0, false, packed_first_last},
    {"CORE-PACKED-DRV-12", 0, false, packed_indirect},
    {"CORE-PACKED-DRV-13", BIT(PL_C_F_INDIRECT_DESC), true, packed_table_flags},
    {"CORE-PACKED-DRV-15", BIT(PL_C_F_INDIRECT_DESC), true, packed_indirect_list},
    {"CORE-PACKED-DRV-07", 0, false, packed_long},
};

START_TEST(illegal_packed)
{
    const struct bad_chain *c = &bad_packed[_i];
    struct bench b;
    begin(&b, c->features | PACKED, 8);
    request(&b, 0, PL_T_BLOCK_T_IN, 0, 0, PL_T_BLOCK_SECTOR, c->indirect);
    pl_driver_ring_publish(b.ring);
    c->bend(&b); /* the device has not looked yet */
    kick(&b);
    settle(&b);
    expect_broken(&b, c->clauses);
    close_bench(&b);
}
END_TEST

/* seg_max is 1 here: two buffers of data are more than the device allows. */
START_TEST(illegal_packed_limit)
{
    struct bench b;
    begin(&b, PACKED | BIT(PL_T_BLOCK_F_SEG_MAX) | (_i ? INDIRECT : 0), 16);
    struct pl_msg event = {.kind = PL_EVENT_CONFIG};
    const uint8_t one[4] = {1};
    event.f[PL_F_device_status] = 15;
    event.f[PL_F_offset] = PL_T_BLOCK_SEG_MAX_AT;
    event.f[PL_F_length] = sizeof(one);
    event.data = one;
    event.data_len = sizeof(one);
    inject(&b, &event);
    write_header(&b, 0, PL_T_BLOCK_T_IN, 0);
    struct pl_ring_buffer buffers[] = {{slot_at(0), 16, false},
                                       {slot_at(0) + 0x100, 256, true},
                                       {slot_at(0) + 0x200, 256, true},
                                       {slot_at(0) + 0x80, 1, true}};
    pl_driver_ring_add(b.ring, buffers, 4, _i ? slot_at(0) + 0x3000 : 0);
    pl_driver_ring_publish(b.ring);
    kick(&b);
    settle(&b);
    expect_broken(&b, _i ? "CORE-PACKED-DRV-14" : "CORE-PACKED-DRV-06");
    close_bench(&b);
}
END_TEST

/* --- what stands in the device's hands --- */

static void in_hand(struct bench *b, uint64_t features, unsigned n)
{
    static const char *const options[] = {"io_delay=1000000", NULL};
    begin_with(b, "block", features, 8, options);
    for (unsigned i = 0; i < n; i++)
        request(b, i, PL_T_BLOCK_T_IN, i, 0, PL_T_BLOCK_SECTOR, (features & INDIRECT) != 0);
    pl_driver_ring_publish(b->ring);
    kick(b);
}

START_TEST(illegal_altered)
{
    struct bench b;
    in_hand(&b, _i == 1 ? INDIRECT : _i == 2 ? PACKED : 0, 1);
    if (_i == 1)
        poke_table(&b, 0, 1, 8, 17);
    else
        poke_desc(&b, 1, LEN, 17);
    wait_ms(&b, 1);
    settle(&b);
    expect_broken(&b, _i == 2 ? "CORE-INIT-DRV-08 CORE-PACKED-DRV-03" : "CORE-INIT-DRV-08");
    close_bench(&b);
}
END_TEST

START_TEST(illegal_removed)
{
    struct bench b;
    in_hand(&b, _i & 1 ? PACKED : 0, 1);
    memset(memory_at(&b, b.setup.desc_addr), 0, 3 * 16);
    if (_i & 2)
        wait_ms(&b, 1);
    write_status(&b, 0);
    settle(&b);
    expect_broken(&b, _i & 1 ? "CORE-INIT-DRV-08 CORE-INIT-DRV-09 CORE-PACKED-DRV-03"
                             : "CORE-INIT-DRV-08 CORE-INIT-DRV-09");
    close_bench(&b);
}
END_TEST

/* Descriptors of a chain that the device holds are used for another one. */
START_TEST(illegal_reused)
{
    struct bench b;
    in_hand(&b, 0, 1);
    poke_driver(&b, 4 + 2, 1); /* the second entry: descriptor 1 as a chain */
    poke_driver(&b, 2, 2);
    wait_ms(&b, 1);
    settle(&b);
    expect_broken(&b, "CORE-INIT-DRV-08 CORE-INIT-DRV-09");
    close_bench(&b);
}
END_TEST

START_TEST(illegal_idx_back)
{
    struct bench b;
    in_hand(&b, 0, 2);
    poke_driver(&b, 2, 1);
    wait_ms(&b, 1);
    settle(&b);
    expect_broken(&b, "CORE-SPLIT-DRV-11");
    close_bench(&b);
}
END_TEST

START_TEST(illegal_overrun)
{
    struct bench b;
    in_hand(&b, PACKED, 2); /* six of eight are taken */
    if (_i == 0) {          /* a list of three more */
        for (unsigned i = 0; i < 3; i++) {
            unsigned at = (6 + i) % 8;
            memcpy((uint8_t *)memory_at(&b, b.setup.desc_addr) + at * 16,
                   memory_at(&b, b.setup.desc_addr + 3 * 16), 16);
            poke_desc(&b, at, FLAGS,
                      (at < 6 ? (unsigned)PL_PACKED_USED : (unsigned)PL_PACKED_AVAIL) |
                          (i < 2 ? VRING_DESC_F_NEXT : 0u));
        }
    } else { /* one is made available for the next lap already */
        poke_desc(&b, 0, FLAGS, PL_PACKED_USED);
    }
    wait_ms(&b, 1);
    settle(&b);
    expect_broken(&b, _i == 0 ? "CORE-PACKED-DRV-10" : "CORE-PACKED-DRV-02 CORE-INIT-DRV-08");
    close_bench(&b);
}
END_TEST

/* A spurious EVENT_USED, and the driver takes a buffer back that is not used. */
START_TEST(illegal_spurious)
{
    struct bench b;
    in_hand(&b, 0, 1);
    struct pl_msg event = {.kind = PL_EVENT_USED};
    inject(&b, &event);
    poke_desc(&b, 1, ADDR, slot_at(4));
    wait_ms(&b, 1);
    settle(&b);
    expect_broken(&b, "CORE-SPLIT-DRV-16 CORE-INIT-DRV-08");
    close_bench(&b);
}
END_TEST

/* --- notifications --- */

START_TEST(illegal_silence)
{
    struct bench b;
    begin(&b, _i == 1 ? EVENT : _i == 2 ? PACKED : _i == 3 ? PACKED | EVENT : 0, 8);
    read_sector(&b, 0);
    pl_driver_ring_publish(b.ring);
    wait_ms(&b, 3);
    ck_assert_uint_eq(pl_drv_ring_owed(b.s.oracle), 1);
    settle(&b);
    expect_broken(&b, _i == 0   ? "NTFY-DRV-03 CORE-SPLIT-DRV-22"
                      : _i == 1 ? "NTFY-DRV-03 CORE-SPLIT-DRV-24"
                                : "NTFY-DRV-03");
    close_bench(&b);
}
END_TEST

/* It never announces, and after a long while resets the device. */
START_TEST(illegal_overdue)
{
    struct bench b;
    b.now = 0;
    begin(&b, _i ? PACKED : 0, 8);
    b.port.virtual_time = true;
    read_sector(&b, 0);
    pl_driver_ring_publish(b.ring);
    for (unsigned i = 0; i < 3; i++) {
        pl_drv_watch_before(&b.s);
        pl_drv_watch_look(&b.s);
        b.port.now_ms += 600;
    }
    write_status(&b, 0);
    settle(&b);
    expect_broken(&b, _i ? "NTFY-DRV-03" : "NTFY-DRV-03 CORE-SPLIT-DRV-22");
    close_bench(&b);
}
END_TEST

/* It names another queue, which has nothing to tell of. */
START_TEST(illegal_other_queue)
{
    struct bench b;
    begin(&b, 0, 8);
    struct pl_ring_setup second = b.setup;
    struct pl_msg query = {.kind = PL_GET_VQUEUE}, set = {.kind = PL_SET_VQUEUE};
    write_status(&b, 0);
    negotiate(&b, 0);
    lay_ring(&b, 8);
    set_queue(&b, &b.setup, PL_C_SVQ_ENABLE);
    query.f[PL_F_index] = set.f[PL_F_index] = 1;
    send(&b, &query);
    pl_ring_place(&second, BASE + RING_AT + 0x8000);
    set.f[PL_F_flags] = PL_C_SVQ_ENABLE;
    set.f[PL_F_size] = 8;
    set.f[PL_F_desc_addr] = second.desc_addr;
    set.f[PL_F_driver_addr] = second.driver_addr;
    set.f[PL_F_device_addr] = second.device_addr;
    send(&b, &set);
    write_status(&b, 15);
    read_sector(&b, 0);
    pl_driver_ring_publish(b.ring);
    kick_at(&b, 1, 0);
    settle(&b);
    expect_broken(&b, "NTFY-DRV-03 CORE-SPLIT-DRV-22 AVAIL-DRV-01");
    close_bench(&b);
}
END_TEST

/* A spurious EVENT_USED in the midst of I/O, and the driver gives up. */
START_TEST(illegal_startled)
{
    struct bench b;
    struct pl_msg event = {.kind = PL_EVENT_USED};
    begin(&b, 0, 8);
    pl_oracle_driver(b.s.oracle, 0, "asked io 4");
    read_sector(&b, 0);
    pl_driver_ring_publish(b.ring);
    kick(&b);
    reap(&b);
    if (_i < 2)
        inject(&b, &event);
    write_status(&b, _i == 0 ? 0 : 15 | PL_C_STATUS_FAILED);
    settle(&b);
    expect_broken(&b, _i < 2 ? "CORE-SPLIT-DRV-16" : "");
    close_bench(&b);
}
END_TEST

/* The driver looks at the word that it must ignore. */
START_TEST(illegal_noise)
{
    const char *const options[] = {_i ? "io_event_noise=2" : "io_event_noise=1", NULL};
    struct bench b;
    begin_with(&b, "block", _i ? EVENT : 0, 8, options);
    read_sector(&b, 0);
    pl_driver_ring_publish(b.ring);
    kick(&b);
    reap(&b);
    read_sector(&b, 1);
    pl_driver_ring_publish(b.ring);
    settle(&b);
    expect_broken(&b, _i ? "NTFY-DRV-03 CORE-SPLIT-DRV-24 CORE-SPLIT-DRV-23"
                         : "NTFY-DRV-03 CORE-SPLIT-DRV-22 CORE-SPLIT-DRV-20");
    close_bench(&b);
}
END_TEST

START_TEST(unasked_kick)
{
    static const char *const options[] = {"io_suppress=1", "io_poll=1", NULL};
    struct bench b;
    begin_with(&b, "block", _i ? EVENT : 0, 8, options);
    wait_ms(&b, 2);
    read_sector(&b, 0);
    pl_driver_ring_publish(b.ring);
    kick(&b);
    settle(&b);
    expect_broken(&b, _i ? "CORE-SPLIT-DRV-25" : "CORE-SPLIT-DRV-21");
    close_bench(&b);
}
END_TEST

START_TEST(illegal_offset)
{
    struct bench b;
    begin(&b, _i == 0 ? 0 : _i < 3 ? DATA : DATA | PACKED, 8);
    read_sector(&b, 0);
    pl_driver_ring_publish(b.ring);
    /* without the feature; the place before, behind and beyond */
    static const uint64_t offset[] = {1, 0, 2, 0, 8, 5};
    kick_at(&b, 0, offset[_i]);
    settle(&b);
    expect_broken(&b, _i == 1   ? "AVAIL-DRV-02 NTFY-DRV-03"
                      : _i < 3  ? "AVAIL-DRV-02"
                      : _i == 3 ? "AVAIL-DRV-02 CORE-PACKED-DRV-04"
                      : _i == 4 ? "AVAIL-DRV-02 CORE-PACKED-DRV-04"
                                : "AVAIL-DRV-02 CORE-PACKED-DRV-04 NTFY-DRV-03");
    close_bench(&b);
}
END_TEST

START_TEST(illegal_kicks)
{
    struct bench b;
    open_bench(&b, "block", NULL);
    negotiate(&b, 0);
    read_config(&b, 0, 60);
    lay_ring(&b, 8);
    if (_i == 0) {
        set_queue(&b, &b.setup, PL_C_SVQ_ENABLE);
        kick(&b);
    }
    write_status(&b, 15);
    if (_i == 1)
        kick(&b);
    if (_i == 2)
        kick_at(&b, 77, 0);
    settle(&b);
    expect_broken(&b, _i == 0   ? "CORE-INIT-DRV-07"
                      : _i == 1 ? "DROK-DRV-03 AVAIL-DRV-01"
                                : "AVAIL-DRV-01");
    close_bench(&b);
}
END_TEST

/* --- buffers ahead of their time --- */

START_TEST(illegal_early_io)
{
    struct bench b;
    open_bench(&b, "block", NULL);
    negotiate(&b, _i & 1 ? PACKED : 0);
    read_config(&b, 0, 60);
    lay_ring(&b, 8);
    set_queue(&b, &b.setup, PL_C_SVQ_ENABLE);
    if (!(_i & 2)) {
        read_sector(&b, 0);
        pl_driver_ring_publish(b.ring);
        write_status(&b, 15);
    } else { /* DRIVER_OK is written, and not reported yet */
        b.held_back = true;
        write_status(&b, 15);
        read_sector(&b, 0);
        pl_driver_ring_publish(b.ring);
        b.held_back = false;
        relay(&b);
    }
    kick(&b);
    settle(&b);
    expect_broken(&b, "DROK-DRV-02");
    close_bench(&b);
}
END_TEST

START_TEST(illegal_unset_buffers)
{
    struct bench b;
    open_bench(&b, "entropy", NULL);
    negotiate(&b, _i ? PACKED : 0);
    lay_ring(&b, 8);
    struct pl_ring_buffer one = {slot_at(0), 64, true};
    pl_driver_ring_add(b.ring, &one, 1, 0);
    pl_driver_ring_publish(b.ring);
    set_queue(&b, &b.setup, PL_C_SVQ_ENABLE);
    write_status(&b, 15);
    kick(&b);
    settle(&b);
    expect_broken(&b, "DROK-DRV-03");
    close_bench(&b);
}
END_TEST

START_TEST(illegal_used_flags)
{
    struct bench b;
    open_bench(&b, "block", NULL);
    negotiate(&b, 0);
    lay_ring(&b, 8);
    memset(memory_at(&b, b.setup.device_addr), 1, 1);
    set_queue(&b, &b.setup, PL_C_SVQ_ENABLE);
    write_status(&b, 15);
    settle(&b);
    expect_broken(&b, "CORE-SPLIT-DRV-19");
    close_bench(&b);
}
END_TEST

START_TEST(illegal_alignment)
{
    struct bench b;
    open_bench(&b, "block", NULL);
    negotiate(&b, _i & 1 ? PACKED : 0);
    lay_ring(&b, 8);
    struct pl_ring_setup bad = b.setup;
    *(_i < 2   ? &bad.desc_addr
      : _i < 4 ? &bad.driver_addr
               : &bad.device_addr) += _i < 2    ? 8
                                      : _i == 2 ? 1
                                                : 2;
    set_queue(&b, &bad, PL_C_SVQ_KEEP_DISABLED);
    settle(&b);
    expect_broken(&b, _i & 1 ? "CORE-PACKED-DRV-01" : "CORE-SPLIT-DRV-01");
    close_bench(&b);
}
END_TEST

/* --- queues that are reset --- */

START_TEST(illegal_queue_reset)
{
    struct bench b;
    struct pl_msg reset = {.kind = PL_RESET_VQUEUE};
    begin(&b, RESET, 8);
    read_sector(&b, 0);
    pl_driver_ring_publish(b.ring);
    kick(&b);
    reap(&b);
    b.held_back = _i == 0;
    send(&b, &reset);
    if (_i != 3) /* else the ring goes on where it was */
        lay_ring(&b, 8);
    set_queue(&b, &b.setup, PL_C_SVQ_ENABLE | (_i == 1 ? PL_C_SVQ_IGNORE_SIZE : 0));
    b.held_back = false;
    relay(&b);
    if (_i == 2) { /* so does the index */
        poke_driver(&b, 2, 200);
        kick(&b);
    }
    settle(&b);
    expect_broken(&b, _i == 0 ? "CORE-VQRESET-DRV-01" : "CORE-VQRESET-DRV-03");
    close_bench(&b);
}
END_TEST

/* --- progress --- */

START_TEST(illegal_stuck)
{
    static const char *const polled[] = {"io_poll=1", NULL};
    struct bench b;
    begin_with(&b, "block", 0, 8, _i & 1 ? polled : NULL);
    pl_oracle_driver(b.s.oracle, 0, "asked io 4");
    if (_i & 1)
        pl_driver_ring_notify(b.ring, PL_RING_NOTIFY_NEVER, 0);
    read_sector(&b, 0);
    pl_driver_ring_publish(b.ring);
    kick(&b);
    wait_ms(&b, 3);
    if (_i < 2) {
        pl_oracle_driver(b.s.oracle, 0, "patience");
    } else { /* it begins anew after a while */
        b.port.virtual_time = true;
        b.port.now_ms = 1000000000;
        wait_ms(&b, 1);
        write_status(&b, 0);
    }
    settle(&b);
    expect_broken(&b, _i & 1 ? "USED-DRV-04" : "USED-DRV-03");
    close_bench(&b);
}
END_TEST

/* --- block and entropy requests --- */

struct bad_request {
    const char *clauses;
    uint32_t type;
    uint64_t sector;
    uint32_t out, in;
    uint64_t segment_sector;
    uint32_t segment_count, segment_flags;
};

static const struct bad_request requests[] = {
    {"", PL_T_BLOCK_T_IN, 8191, 0, 512, 0, 0, 0},
    {"", PL_T_BLOCK_T_OUT, 0, 1024, 0, 0, 0, 0},
    {"", PL_T_BLOCK_T_FLUSH, 0, 0, 0, 0, 0, 0},
    {"", PL_T_BLOCK_T_GET_ID, 0, 0, 20, 0, 0, 0},
    {"", PL_T_BLOCK_T_DISCARD, 0, 16, 0, 8184, 8, 0},
    {"", PL_T_BLOCK_T_WRITE_ZEROES, 0, 16, 0, 0, 8, 1},
    {"BLK-DRV-12", PL_T_BLOCK_T_IN, 8191, 0, 1024, 0, 0, 0},
    {"BLK-DRV-12", PL_T_BLOCK_T_OUT, UINT64_MAX, 512, 0, 0, 0, 0},
    {"BLK-DRV-12", PL_T_BLOCK_T_DISCARD, 0, 16, 0, 8190, 8, 0},
    {"BLK-DRV-14", PL_T_BLOCK_T_FLUSH, 3, 0, 0, 0, 0, 0},
    {"BLK-DRV-15", PL_T_BLOCK_T_FLUSH, 0, 512, 0, 0, 0, 0},
    {"BLK-DRV-16", PL_T_BLOCK_T_IN, 0, 0, 100, 0, 0, 0},
    {"BLK-DRV-16", PL_T_BLOCK_T_OUT, 0, 513, 0, 0, 0, 0},
    {"BLK-DRV-17", PL_T_BLOCK_T_DISCARD, 0, 17, 0, 0, 8, 0},
    {"BLK-DRV-17", PL_T_BLOCK_T_WRITE_ZEROES, 0, 15, 0, 0, 8, 0},
    {"BLK-DRV-18", PL_T_BLOCK_T_GET_ID, 0, 0, 21, 0, 0, 0},
    {"BLK-DRV-19", PL_T_BLOCK_T_DISCARD, 0, 9 * 16, 0, 0, 8, 0},
    {"BLK-DRV-21", PL_T_BLOCK_T_WRITE_ZEROES, 0, 9 * 16, 0, 0, 8, 0},
    {"BLK-DRV-24", PL_T_BLOCK_T_DISCARD, 0, 16, 0, 0, 8, 1},
};

START_TEST(block_requests)
{
    const struct bad_request *r = &requests[_i];
    struct bench b;
    begin(&b, BIT(PL_T_BLOCK_F_DISCARD) | BIT(PL_T_BLOCK_F_WRITE_ZEROES), 16);
    uint64_t sector = htole64(r->segment_sector);
    uint32_t words[] = {htole32(r->segment_count), htole32(r->segment_flags)};
    uint8_t *data = memory_at(&b, slot_at(0) + 0x100);
    memcpy(data, &sector, sizeof(sector));
    memcpy(data + 8, words, sizeof(words));
    request(&b, 0, r->type, r->sector, r->out, r->in, false);
    pl_driver_ring_publish(b.ring);
    kick(&b);
    settle(&b);
    expect_broken(&b, r->clauses);
    close_bench(&b);
}
END_TEST

/* A configuration space as the test wants it, in one event. */
static void tell_config(struct bench *b, uint64_t at, uint64_t len, uint64_t value)
{
    struct pl_msg event = {.kind = PL_EVENT_CONFIG};
    uint64_t le = htole64(value);
    event.f[PL_F_device_status] = b->status;
    event.f[PL_F_offset] = at;
    event.f[PL_F_length] = len;
    event.data = (const uint8_t *)&le;
    event.data_len = (uint32_t)len;
    inject(b, &event);
}

static const struct bad_request zoned[] = {
    {"", PL_T_BLOCK_T_ZONE_OPEN, 64, 0, 0, 0, 0, 0},
    {"", PL_T_BLOCK_T_ZONE_APPEND, 64, 4096, 8, 0, 0, 0},
    {"BLK-DRV-20", PL_T_BLOCK_T_SECURE_ERASE, 0, 48, 0, 0, 64, 0},
    {"BLK-DRV-30", PL_T_BLOCK_T_ZONE_OPEN, 65, 0, 0, 0, 0, 0},
    {"BLK-DRV-31", PL_T_BLOCK_T_ZONE_RESET_ALL, 64, 0, 0, 0, 0, 0},
    {"BLK-DRV-32 BLK-DRV-37", PL_T_BLOCK_T_ZONE_APPEND, 65, 4096, 8, 0, 0, 0},
    {"BLK-DRV-33 BLK-DRV-36", PL_T_BLOCK_T_ZONE_APPEND, 64, 512, 8, 0, 0, 0},
    {"BLK-DRV-34", PL_T_BLOCK_T_ZONE_APPEND, 64, 8192, 8, 0, 0, 0},
    {"BLK-DRV-39", PL_T_BLOCK_T_SECURE_ERASE, 0, 16, 0, 0, 63, 0},
};

START_TEST(zoned_requests)
{
    static const char *const options[] = {"features_add=0x30000", NULL};
    const struct bad_request *r = &zoned[_i];
    struct bench b;
    begin_with(&b, "block", BIT(PL_T_BLOCK_F_ZONED) | BIT(PL_T_BLOCK_F_SECURE_ERASE), 16, options);
    tell_config(&b, PL_T_BLOCK_ZONE_SECTORS_AT, 4, 64);
    tell_config(&b, PL_T_BLOCK_MAX_APPEND_SECTORS_AT, 4, 8);
    tell_config(&b, PL_T_BLOCK_WRITE_GRANULARITY_AT, 4, 4096);
    tell_config(&b, PL_T_BLOCK_MAX_SECURE_ERASE_SEG_AT, 4, 2);
    uint64_t sector = htole64(r->segment_sector);
    uint32_t words[] = {htole32(r->segment_count), htole32(r->segment_flags)};
    uint8_t *data = memory_at(&b, slot_at(0) + 0x100);
    for (unsigned i = 0; i < 4; i++) {
        memcpy(data + i * 16, &sector, sizeof(sector));
        memcpy(data + i * 16 + 8, words, sizeof(words));
    }
    request(&b, 0, r->type, r->sector, r->out, r->in, false);
    pl_driver_ring_publish(b.ring);
    kick(&b);
    settle(&b);
    expect_broken(&b, r->clauses);
    close_bench(&b);
}
END_TEST

START_TEST(block_messages)
{
    static const char *const options[] = {"features_add=0x20020", NULL};
    struct bench b;
    open_bench(&b, "block", options);
    if (_i == 0) { /* writeback ahead of its time */
        negotiate(&b, BIT(PL_T_BLOCK_F_RO));
        write_status(&b, 0);
        write_status(&b, 3);
        read_config(&b, PL_T_BLOCK_WRITEBACK_AT, 1);
    } else if (_i == 1) { /* RO is not accepted */
        negotiate(&b, 0);
    } else { /* DISCARD from a host-managed device */
        negotiate(&b, BIT(PL_T_BLOCK_F_RO));
        tell_config(&b, PL_T_BLOCK_ZONE_MODEL_AT, 1, PL_T_BLOCK_Z_HM);
        negotiate(&b, BIT(PL_T_BLOCK_F_RO) | BIT(PL_T_BLOCK_F_DISCARD));
    }
    settle(&b);
    expect_broken(&b, _i == 0 ? "BLK-DRV-04" : _i == 1 ? "BLK-DRV-13" : "BLK-DRV-06");
    close_bench(&b);
}
END_TEST

/* The capacity changes: while the change may not have been seen both values count. */
START_TEST(capacity_changes)
{
    struct bench b;
    begin(&b, 0, 16);
    tell_config(&b, PL_T_BLOCK_CAPACITY_AT, 8, 100);
    request(&b, 0, PL_T_BLOCK_T_IN, 8000, 0, 512, false);
    pl_driver_ring_publish(b.ring);
    kick(&b);
    expect_broken(&b, "");
    struct pl_msg plain = {.kind = PL_EVENT_CONFIG};
    plain.f[PL_F_device_status] = 15;
    inject(&b, &plain);
    ck_assert_uint_eq(pl_drv_ring_owed(b.s.oracle), 1);
    if (_i == 1)
        read_config(&b, 0, 8);
    settle(&b);
    expect_broken(&b, _i == 1 ? "" : "BLK-DRV-11");
    close_bench(&b);
}
END_TEST

START_TEST(entropy_requests)
{
    struct bench b;
    begin_with(&b, "entropy", 0, 16, NULL);
    struct pl_ring_buffer buffers[] = {{slot_at(0), 16, false}, {slot_at(1), 64, true}};
    pl_driver_ring_add(b.ring, _i ? buffers : buffers + 1, _i ? 2 : 1, 0);
    pl_driver_ring_publish(b.ring);
    kick(&b);
    settle(&b);
    expect_broken(&b, _i ? "ENT-DRV-01" : "");
    if (!_i)
        expect_held(&b, "ENT-DRV-01");
    close_bench(&b);
}
END_TEST

/* --- a driver that writes while the watch looks, and memory that holds anything --- */

START_TEST(random_memory)
{
    struct bench b;
    uint64_t state = (uint64_t)_i * 2654435761u + 1;
    begin(&b, (_i & 1 ? PACKED : 0) | (_i & 2 ? INDIRECT : 0) | (_i & 4 ? EVENT : 0), 16);
    for (unsigned i = 0; i < 200; i++) {
        for (unsigned k = 0; k < 8; k++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            size_t at = RING_AT + (state >> 33) % 700;
            ((uint8_t *)b.memory.mem)[at] = (uint8_t)(state >> 56);
        }
        if (i % 3 == 0)
            kick(&b);
        wait_ms(&b, 1);
        if (i % 20 == 19) {
            write_status(&b, 0);
            negotiate(&b, b.features);
            lay_ring(&b, 16);
            set_queue(&b, &b.setup, PL_C_SVQ_ENABLE);
            write_status(&b, 15);
        }
    }
    close_bench(&b);
}
END_TEST

#define COUNT(a) ((int)(sizeof(a) / sizeof(a[0])))

int main(void)
{
    Suite *suite = suite_create("drv_watch");
    TCase *legal = tcase_create("legal"), *illegal = tcase_create("illegal");
    tcase_set_timeout(legal, 60);
    tcase_add_loop_test(legal, legal_life, 0, COUNT(lives));
    tcase_add_loop_test(legal, legal_wrap, 0, 4);
    tcase_add_loop_test(legal, legal_large, 0, 2);
    tcase_add_loop_test(legal, legal_bit_15, 0, 2);
    tcase_add_loop_test(legal, legal_early_buffers, 0, 4);
    tcase_add_loop_test(legal, legal_polling, 0, 3);
    tcase_add_loop_test(legal, legal_stop, 0, 4);
    tcase_add_loop_test(legal, legal_end, 0, 4);
    tcase_add_test(legal, legal_removal);
    tcase_add_loop_test(illegal, illegal_split, 0, COUNT(bad_split));
    tcase_add_loop_test(illegal, illegal_packed, 0, COUNT(bad_packed));
    tcase_add_loop_test(illegal, illegal_packed_limit, 0, 2);
    tcase_add_loop_test(illegal, illegal_altered, 0, 3);
    tcase_add_loop_test(illegal, illegal_removed, 0, 4);
    tcase_add_test(illegal, illegal_reused);
    tcase_add_test(illegal, illegal_idx_back);
    tcase_add_loop_test(illegal, illegal_overrun, 0, 2);
    tcase_add_test(illegal, illegal_spurious);
    tcase_add_loop_test(illegal, illegal_silence, 0, 4);
    tcase_add_loop_test(illegal, illegal_overdue, 0, 2);
    tcase_add_test(illegal, illegal_other_queue);
    tcase_add_loop_test(illegal, illegal_startled, 0, 3);
    tcase_add_loop_test(illegal, illegal_noise, 0, 2);
    tcase_add_loop_test(illegal, unasked_kick, 0, 2);
    tcase_add_loop_test(illegal, illegal_offset, 0, 6);
    tcase_add_loop_test(illegal, illegal_kicks, 0, 3);
    tcase_add_loop_test(illegal, illegal_early_io, 0, 4);
    tcase_add_loop_test(illegal, illegal_unset_buffers, 0, 2);
    tcase_add_test(illegal, illegal_used_flags);
    tcase_add_loop_test(illegal, illegal_alignment, 0, 6);
    tcase_add_loop_test(illegal, illegal_queue_reset, 0, 4);
    tcase_add_loop_test(illegal, illegal_stuck, 0, 4);
    tcase_add_loop_test(illegal, block_requests, 0, COUNT(requests));
    tcase_add_loop_test(illegal, zoned_requests, 0, COUNT(zoned));
    tcase_add_loop_test(illegal, block_messages, 0, 3);
    tcase_add_loop_test(illegal, capacity_changes, 0, 2);
    tcase_add_loop_test(illegal, entropy_requests, 0, 2);
    tcase_add_loop_test(illegal, random_memory, 0, 8);
    suite_add_tcase(suite, legal);
    suite_add_tcase(suite, illegal);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
