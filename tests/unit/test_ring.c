/* Tests of the ring ends one by one: layout, limits, each fault, and each convention of core
 * virtio, against an other end that is written out here. */
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ring.h>

#include "plumbline.h"
#include "ring_pair.h"

enum { SIZE = 8, ROOM = 65536, AVAIL = 0x80, USED = 0x8000 };
enum { SPLIT_ROWS = 26, PACKED_ROWS = 15 }; /* of the tables of chains */

static struct ring_pair *open_pair(bool packed, bool indirect, bool event_idx, bool in_order,
                                   uint16_t size)
{
    struct ring_pair *pair = calloc(1, sizeof(*pair));
    const struct pl_ring_setup setup = {.packed = packed,
                                        .indirect = indirect,
                                        .event_idx = event_idx,
                                        .in_order = in_order,
                                        .size = size};

    ck_assert_ptr_nonnull(pair);
    ring_pair_open(pair, &setup, ROOM);
    return pair;
}

static struct ring_pair *open_split(void)
{
    return open_pair(false, true, false, false, SIZE);
}

static struct ring_pair *open_packed(void)
{
    return open_pair(true, true, false, false, SIZE);
}

static void close_pair(struct ring_pair *pair)
{
    ring_pair_close(pair);
    free(pair);
}

static struct vring_desc *split_desc(struct ring_pair *pair)
{
    return ring_at(pair, pair->setup.desc_addr);
}

static struct vring_packed_desc *packed_desc(struct ring_pair *pair)
{
    return ring_at(pair, pair->setup.desc_addr);
}

static struct vring_avail *avail(struct ring_pair *pair)
{
    return ring_at(pair, pair->setup.driver_addr);
}

static struct vring_used *used_ring(struct ring_pair *pair)
{
    return ring_at(pair, pair->setup.device_addr);
}

static uint16_t *used_event(struct ring_pair *pair)
{
    return &avail(pair)->ring[pair->setup.size];
}

static uint16_t *avail_event(struct ring_pair *pair)
{
    return (uint16_t *)(void *)&used_ring(pair)->ring[pair->setup.size];
}

static struct vring_packed_desc_event *event_of(struct ring_pair *pair, bool of_driver)
{
    return ring_at(pair, of_driver ? pair->setup.driver_addr : pair->setup.device_addr);
}

/* One chain of 8 bytes to read and 8 to write, published: its id. */
static uint16_t give(struct ring_pair *pair)
{
    const struct pl_ring_buffer chain[] = {{pair->behind, 8, false}, {pair->behind + 8, 8, true}};
    int id = pl_driver_ring_add(pair->driver, chain, 2, 0);

    ck_assert_int_ge(id, 0);
    pl_driver_ring_publish(pair->driver);
    return (uint16_t)id;
}

static int give_one(struct ring_pair *pair)
{
    const struct pl_ring_buffer buffer = {pair->behind, 8, true};
    int id = pl_driver_ring_add(pair->driver, &buffer, 1, 0);

    pl_driver_ring_publish(pair->driver);
    return id;
}

/* A split device written out: the entry at this index. */
static void split_use(struct ring_pair *pair, uint16_t idx, uint32_t id, uint32_t len)
{
    used_ring(pair)->ring[idx % pair->setup.size].id = htole32(id);
    used_ring(pair)->ring[idx % pair->setup.size].len = htole32(len);
    used_ring(pair)->idx = htole16((uint16_t)(idx + 1));
}

/* A packed device written out. */
static void packed_use(struct ring_pair *pair, unsigned at, unsigned id, uint32_t len,
                       unsigned flags)
{
    packed_desc(pair)[at].id = htole16((uint16_t)id);
    packed_desc(pair)[at].len = htole32(len);
    packed_desc(pair)[at].flags = htole16((uint16_t)flags);
}

static void expect_used(struct ring_pair *pair, unsigned id, uint32_t written, bool implied)
{
    struct pl_ring_used used;
    enum pl_ring_fault fault;

    ck_assert_int_eq(pl_driver_ring_poll(pair->driver, &used, &fault), 1);
    ck_assert_int_eq(fault, PL_RING_SOUND);
    ck_assert_uint_eq(used.id, id);
    ck_assert_uint_eq(used.written, written);
    ck_assert_int_eq(used.implied, implied);
}

static void expect_none(struct ring_pair *pair)
{
    struct pl_ring_used used;
    enum pl_ring_fault fault;

    ck_assert_int_eq(pl_driver_ring_poll(pair->driver, &used, &fault), 0);
    ck_assert_int_eq(fault, PL_RING_SOUND);
}

static void expect_poll_fault(struct ring_pair *pair, enum pl_ring_fault expected)
{
    struct pl_ring_used used;
    enum pl_ring_fault fault;
    unsigned held = pl_driver_ring_held(pair->driver), room = pl_driver_ring_room(pair->driver);

    for (int again = 0; again < 2; again++) {
        ck_assert_int_eq(pl_driver_ring_poll(pair->driver, &used, &fault), -EPROTO);
        ck_assert_int_eq(fault, expected);
    }
    ck_assert_uint_eq(pl_driver_ring_held(pair->driver), held);
    ck_assert_uint_eq(pl_driver_ring_room(pair->driver), room);
}

static int pop(struct ring_pair *pair, struct pl_ring_chain *chain, enum pl_ring_fault *fault)
{
    return pl_device_ring_pop(pair->device, chain, fault);
}

static void expect_pop_fault(struct ring_pair *pair, enum pl_ring_fault expected)
{
    struct pl_ring_chain chain;
    enum pl_ring_fault fault;

    for (int again = 0; again < 2; again++) {
        ck_assert_int_eq(pop(pair, &chain, &fault), -EPROTO);
        ck_assert_int_eq(fault, expected);
    }
}

/* --- layout --- */

START_TEST(test_bytes_and_places)
{
    struct pl_ring_setup s = {.size = 8};
    struct pl_ring_bytes b = pl_ring_bytes(false, 8);

    ck_assert_uint_eq(b.desc, 128);
    ck_assert_uint_eq(b.driver, 22);
    ck_assert_uint_eq(b.device, 70);
    ck_assert_int_eq(pl_ring_place(&s, 4096), 0);
    ck_assert_uint_eq(s.desc_addr, 4096);
    ck_assert_uint_eq(s.driver_addr, 4096 + 128);
    ck_assert_uint_eq(s.device_addr, 4096 + 152);
    ck_assert_uint_eq(b.whole, 152 + 70);
    s = (struct pl_ring_setup){.packed = true, .size = 7};
    b = pl_ring_bytes(true, 7);
    ck_assert_uint_eq(b.desc, 112);
    ck_assert_uint_eq(b.driver, 4);
    ck_assert_uint_eq(b.device, 4);
    ck_assert_uint_eq(b.whole, 120);
    ck_assert_int_eq(pl_ring_place(&s, 32), 0);
    ck_assert_uint_eq(s.device_addr, 32 + 116);
    ck_assert_uint_eq(pl_ring_bytes(false, 32768).whole, 32768 * 26 + 12 + 2);
    ck_assert_int_eq(pl_ring_place(&s, 8), -EINVAL);
    ck_assert_int_eq(pl_ring_place(&s, UINT64_MAX - 15), -EINVAL);
}
END_TEST

static int check(bool packed, uint16_t size, uint64_t desc, uint64_t driver, uint64_t device)
{
    static _Alignas(16) uint8_t bytes[4096];
    const struct pl_ring_memory memory = {bytes, RING_BASE, sizeof(bytes), NULL};
    const struct pl_ring_setup setup = {.packed = packed,
                                        .size = size,
                                        .desc_addr = RING_BASE + desc,
                                        .driver_addr = RING_BASE + driver,
                                        .device_addr = RING_BASE + device};

    return pl_ring_check(&setup, &memory);
}

START_TEST(test_check)
{
    ck_assert_int_eq(check(false, 8, 0, 128, 256), 0);
    ck_assert_int_eq(check(false, 1, 0, 128, 256), 0);
    ck_assert_int_eq(check(false, 0, 0, 128, 256), -EINVAL);
    ck_assert_int_eq(check(false, 3, 0, 128, 256), -EINVAL);
    ck_assert_int_eq(check(false, 512, 0, 128, 256), -EINVAL);
    ck_assert_int_eq(check(true, 3, 0, 128, 256), 0);
    ck_assert_int_eq(check(true, 0, 0, 128, 256), -EINVAL);
    ck_assert_int_eq(check(true, 32769, 0, 128, 256), -EINVAL);
    ck_assert_int_eq(check(false, 8, 8, 128, 256), -EINVAL);
    ck_assert_int_eq(check(false, 8, 0, 129, 256), -EINVAL);
    ck_assert_int_eq(check(false, 8, 0, 130, 256), 0);
    ck_assert_int_eq(check(false, 8, 0, 128, 258), -EINVAL);
    ck_assert_int_eq(check(true, 8, 0, 130, 256), -EINVAL);
    ck_assert_int_eq(check(false, 8, 4096 - 128, 0, 256), 0);
    ck_assert_int_eq(check(false, 8, 4096 - 112, 0, 256), -EINVAL);
    ck_assert_int_eq(check(false, 8, 0, 4096 - 22, 256), 0);
    ck_assert_int_eq(check(false, 8, 0, 4096 - 20, 256), -EINVAL);
    ck_assert_int_eq(check(false, 8, 0, 128, 4096 - 68), -EINVAL);
    ck_assert_int_eq(check(false, 8, 0, 128, -(uint64_t)4), -EINVAL);
    ck_assert_int_eq(check(false, 8, -(uint64_t)RING_BASE, 128, 256), -EINVAL);
}
END_TEST

START_TEST(test_at)
{
    uint8_t bytes[64];
    const struct pl_ring_memory memory = {bytes, UINT64_MAX - 63, sizeof(bytes), NULL};

    ck_assert_ptr_eq(pl_ring_at(&memory, UINT64_MAX - 63, 64), bytes);
    ck_assert_ptr_eq(pl_ring_at(&memory, UINT64_MAX, 1), bytes + 63);
    ck_assert_ptr_null(pl_ring_at(&memory, UINT64_MAX, 2));
    ck_assert_ptr_null(pl_ring_at(&memory, UINT64_MAX - 64, 1));
    ck_assert_ptr_null(pl_ring_at(&memory, 0, 1));
    ck_assert_ptr_null(pl_ring_at(&memory, UINT64_MAX - 63, SIZE_MAX));
}
END_TEST

/* Parts that touch, in either order, one that is apart, and nothing between them. */
START_TEST(test_at_in_parts)
{
    uint8_t bytes[64];
    const struct pl_memory_parts parts = {3, {{1016, 8}, {1000, 16}, {1040, 24}}}, none = {0};
    struct pl_ring_memory memory = {bytes, 1000, sizeof(bytes), &parts};

    ck_assert_ptr_eq(pl_ring_at(&memory, 1000, 24), bytes);
    ck_assert_ptr_eq(pl_ring_at(&memory, 1040, 24), bytes + 40);
    ck_assert_ptr_eq(pl_ring_at(&memory, 1015, 2), bytes + 15);
    ck_assert_ptr_null(pl_ring_at(&memory, 1000, 25));
    ck_assert_ptr_null(pl_ring_at(&memory, 1000, 64));
    ck_assert_ptr_null(pl_ring_at(&memory, 1024, 1));
    ck_assert_ptr_null(pl_ring_at(&memory, 1039, 2));
    ck_assert_ptr_null(pl_ring_at(&memory, 1040, 25));
    memory.parts = &none;
    ck_assert_ptr_null(pl_ring_at(&memory, 1000, 1));
}
END_TEST

START_TEST(test_fault_texts)
{
    for (unsigned i = 0; i < PL_RING_FAULTS; i++) {
        ck_assert_uint_gt(strlen(pl_ring_fault_text(i)), 5);
        for (unsigned k = 0; k < i; k++)
            ck_assert_str_ne(pl_ring_fault_text(i), pl_ring_fault_text(k));
    }
}
END_TEST

/* --- the driver end: what it writes --- */

START_TEST(test_split_chain_in_memory)
{
    struct ring_pair *p = open_split();
    const struct pl_ring_buffer chain[] = {
        {p->behind, 16, false}, {p->behind + 64, 512, true}, {p->behind + 1024, 1, true}};
    int id = pl_driver_ring_add(p->driver, chain, 3, 0);
    bool wrap;

    ck_assert_int_ge(id, 0);
    ck_assert_uint_eq(avail(p)->idx, 0);
    ck_assert(!pl_driver_ring_holds(p->driver, (uint16_t)id));
    pl_driver_ring_publish(p->driver);
    ck_assert(pl_driver_ring_holds(p->driver, (uint16_t)id));
    ck_assert_uint_eq(le16toh(avail(p)->idx), 1);
    ck_assert_uint_eq(pl_driver_ring_kick_offset(p->driver, &wrap), 1);
    ck_assert(!wrap);
    uint16_t slot = le16toh(avail(p)->ring[0]);
    ck_assert_int_eq(slot, id);
    for (unsigned i = 0; i < 3; i++) {
        struct vring_desc *desc = &split_desc(p)[slot];
        ck_assert_uint_eq(le64toh(desc->addr), chain[i].addr);
        ck_assert_uint_eq(le32toh(desc->len), chain[i].len);
        ck_assert_int_eq(le16toh(desc->flags), (i < 2 ? 1 : 0) + (i > 0 ? 2 : 0));
        slot = le16toh(desc->next);
    }
    close_pair(p);
}
END_TEST

START_TEST(test_packed_chain_in_memory)
{
    struct ring_pair *p = open_pair(true, false, false, false, 3);
    const struct pl_ring_buffer chain[] = {{p->behind, 16, false}, {p->behind + 64, 512, true}};
    int id = pl_driver_ring_add(p->driver, chain, 2, 0);
    bool wrap;

    ck_assert_uint_eq(packed_desc(p)[0].flags, 0);
    pl_driver_ring_publish(p->driver);
    ck_assert_uint_eq(le16toh(packed_desc(p)[0].flags), AVAIL | 1);
    ck_assert_uint_eq(le16toh(packed_desc(p)[1].flags), AVAIL | 2);
    ck_assert_int_eq(le16toh(packed_desc(p)[1].id), id);
    ck_assert_uint_eq(le32toh(packed_desc(p)[1].len), 512);
    ck_assert_uint_eq(pl_driver_ring_kick_offset(p->driver, &wrap), 2);
    ck_assert(wrap);
    packed_use(p, 0, (unsigned)id, 3, AVAIL | USED | 2);
    expect_used(p, (unsigned)id, 3, false);
    id = pl_driver_ring_add(p->driver, chain, 2, 0);
    pl_driver_ring_publish(p->driver);
    ck_assert_uint_eq(le16toh(packed_desc(p)[2].flags), AVAIL | 1);
    ck_assert_uint_eq(le16toh(packed_desc(p)[0].flags), USED | 2);
    ck_assert_uint_eq(pl_driver_ring_kick_offset(p->driver, &wrap), 1);
    ck_assert(!wrap);
    packed_use(p, 2, (unsigned)id, 512, AVAIL | USED | 2);
    expect_used(p, (unsigned)id, 512, false);
    close_pair(p);
}
END_TEST

/* Loop index 1: packed. */
START_TEST(test_indirect_table_in_memory)
{
    struct ring_pair *p = open_pair(_i, true, false, false, 4);
    const struct pl_ring_buffer chain[] = {
        {p->behind + 512, 1, false}, {p->behind + 600, 2, false}, {p->behind + 700, 3, true}};
    struct vring_desc table[3], head;
    struct pl_ring_chain out;
    enum pl_ring_fault fault;

    ck_assert_int_eq(pl_driver_ring_add(p->driver, chain, 3, p->behind + 8), -EINVAL);
    ck_assert_int_eq(pl_driver_ring_add(p->driver, chain, 3, p->behind + ROOM - 32), -EINVAL);
    ck_assert_int_eq(pl_driver_ring_add(p->driver, chain, 3, 16), -EINVAL);
    ck_assert_int_ge(pl_driver_ring_add(p->driver, chain, 3, p->behind + 16), 0);
    ck_assert_uint_eq(pl_driver_ring_room(p->driver), 3);
    pl_driver_ring_publish(p->driver);
    memcpy(&head, split_desc(p), sizeof(head));
    memcpy(table, ring_at(p, p->behind + 16), sizeof(table));
    ck_assert_uint_eq(le64toh(head.addr), p->behind + 16);
    ck_assert_uint_eq(le32toh(head.len), 48);
    ck_assert_uint_eq(le16toh(_i ? head.next : head.flags), _i ? AVAIL | 4 : 4);
    for (unsigned i = 0; i < 3; i++) {
        unsigned flags = i == 2 ? 2 : 0;
        ck_assert_uint_eq(le64toh(table[i].addr), chain[i].addr);
        ck_assert_uint_eq(le16toh(_i ? table[i].next : table[i].flags),
                          flags | (!_i && i < 2 ? 1 : 0));
        ck_assert_uint_eq(le16toh(_i ? table[i].flags : table[i].next), !_i && i < 2 ? i + 1 : 0);
    }
    ck_assert_int_eq(pop(p, &out, &fault), 1);
    ck_assert_uint_eq(out.n, 3);
    ck_assert_uint_eq(out.entries, 1);
    close_pair(p);
}
END_TEST

/* Loop index 1: packed. */
START_TEST(test_add_refuses)
{
    struct ring_pair *p = open_pair(_i, false, false, false, SIZE);
    struct pl_ring_buffer chain[SIZE + 1] = {{p->behind, 1, false}};

    ck_assert_int_eq(pl_driver_ring_add(p->driver, chain, 0, 0), -EINVAL);
    ck_assert_int_eq(pl_driver_ring_add(p->driver, chain, SIZE + 1, 0), -EINVAL);
    ck_assert_int_eq(pl_driver_ring_add(p->driver, chain, 1, p->behind), -EINVAL);
    chain[0].device_writes = true;
    ck_assert_int_eq(pl_driver_ring_add(p->driver, chain, 2, 0), -EINVAL);
    chain[1].device_writes = true;
    chain[0].len = UINT32_MAX;
    chain[1].len = 1;
    ck_assert_int_ge(pl_driver_ring_add(p->driver, chain, 2, 0), 0);
    chain[1].len = 2;
    ck_assert_int_eq(pl_driver_ring_add(p->driver, chain, 2, 0) < 0, !_i);
    chain[1].len = 0;
    ck_assert_int_ge(pl_driver_ring_add(p->driver, chain, 2, 0), 0);
    ck_assert_int_eq(pl_driver_ring_add(p->driver, chain, 2, 0) < 0, 0);
    while (pl_driver_ring_room(p->driver) > 0)
        ck_assert_int_ge(pl_driver_ring_add(p->driver, chain, 1, 0), 0);
    ck_assert_int_eq(pl_driver_ring_add(p->driver, chain, 1, 0), -ENOSPC);
    ck_assert_uint_eq(pl_driver_ring_held(p->driver), 0);
    close_pair(p);
}
END_TEST

/* In order a driver takes descriptors in ring order, whatever the lengths. */
START_TEST(test_split_in_order_descriptors)
{
    struct ring_pair *p = open_pair(false, false, false, true, SIZE);
    struct pl_ring_buffer chain[3] = {{p->behind, 1, false}, {p->behind, 1, false}};
    unsigned next = 0;

    for (unsigned i = 0; i < 50; i++) {
        unsigned n = i % 3 + 1;
        int id = pl_driver_ring_add(p->driver, chain, n, 0);
        ck_assert_int_eq(id, next % SIZE);
        for (unsigned k = 0; k + 1 < n; k++)
            ck_assert_uint_eq(le16toh(split_desc(p)[(next + k) % SIZE].next),
                              (next + k + 1) % SIZE);
        next += n;
        pl_driver_ring_publish(p->driver);
        split_use(p, (uint16_t)i, (uint32_t)id, 0);
        expect_used(p, (unsigned)id, 0, false);
    }
    close_pair(p);
}
END_TEST

/* --- the driver end: what it takes and what not --- */

START_TEST(test_split_used_faults)
{
    static const struct {
        uint16_t idx;
        uint32_t id, len;
        enum pl_ring_fault fault;
    } rubbish[] = {
        {2, 0, 0, PL_RING_USED_INDEX},       {0x8000, 0, 0, PL_RING_USED_INDEX},
        {0xffff, 0, 0, PL_RING_USED_INDEX},  {1, SIZE, 0, PL_RING_USED_ID},
        {1, UINT32_MAX, 0, PL_RING_USED_ID}, {1, 0x10000, 0, PL_RING_USED_ID},
        {1, 1, 0, PL_RING_USED_ID},          {1, 2, 0, PL_RING_USED_ID},
        {1, 0, 9, PL_RING_USED_LEN},         {1, 0, UINT32_MAX, PL_RING_USED_LEN},
    };
    struct ring_pair *p = open_split();

    for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++) {
        struct ring_pair *q = open_split();
        struct pl_ring_buffer unpublished = {q->behind, 8, true};
        ck_assert_uint_eq(give(q), 0);
        ck_assert_int_eq(pl_driver_ring_add(q->driver, &unpublished, 1, 0), 2);
        split_use(q, (uint16_t)(rubbish[i].idx - 1), rubbish[i].id, rubbish[i].len);
        used_ring(q)->ring[0] = used_ring(q)->ring[(rubbish[i].idx - 1) % SIZE];
        expect_poll_fault(q, rubbish[i].fault);
        close_pair(q);
    }
    give(p);
    give(p);
    split_use(p, 0, 0, 8);
    split_use(p, 1, 2, 8);
    expect_used(p, 0, 8, false);
    used_ring(p)->idx = htole16(1);
    expect_poll_fault(p, PL_RING_USED_INDEX);
    used_ring(p)->ring[1].id = 0;
    used_ring(p)->idx = htole16(2);
    expect_poll_fault(p, PL_RING_USED_ID);
    split_use(p, 1, 2, 0);
    expect_used(p, 2, 0, false);
    split_use(p, 2, 2, 0);
    expect_poll_fault(p, PL_RING_USED_INDEX);
    close_pair(p);
}
END_TEST

START_TEST(test_packed_used_faults)
{
    static const struct {
        unsigned id, flags;
        uint32_t len;
        enum pl_ring_fault fault;
    } rubbish[] = {
        {SIZE, AVAIL | USED, 0, PL_RING_USED_ID},
        {0xffff, AVAIL | USED, 0, PL_RING_USED_ID},
        {1, AVAIL | USED, 0, PL_RING_USED_ID},
        {0, AVAIL | USED | 2, 9, PL_RING_USED_LEN},
        {0, AVAIL | USED | 2, ~0u, PL_RING_USED_LEN},
        {0, 0, 0, PL_RING_USED_FLAGS},
        {0, USED, 0, PL_RING_USED_FLAGS},
        {0, USED | 2, 8, PL_RING_USED_FLAGS},
    };

    for (size_t i = 0; i < sizeof(rubbish) / sizeof(rubbish[0]); i++) {
        struct ring_pair *q = open_packed();
        struct pl_ring_buffer unpublished = {q->behind, 8, true};
        ck_assert_uint_eq(give(q), 0);
        ck_assert_int_eq(pl_driver_ring_add(q->driver, &unpublished, 1, 0), 1);
        packed_use(q, 0, rubbish[i].id, rubbish[i].len, rubbish[i].flags);
        expect_poll_fault(q, rubbish[i].fault);
        close_pair(q);
    }
    struct ring_pair *p = open_packed();
    packed_use(p, 0, 0, 0, AVAIL | USED);
    expect_poll_fault(p, PL_RING_USED_ID);
    close_pair(p);
}
END_TEST

/* Bits that have no meaning in a used descriptor, and lengths without WRITE, are let pass. */
START_TEST(test_packed_used_conventions)
{
    static const unsigned any[] = {0, 1, 4, 5, 0x7f7d, 0x0008, 0x4000};
    struct ring_pair *p = open_packed();
    unsigned at = 0, lap = AVAIL | USED;

    for (unsigned i = 0; i < 4 * sizeof(any) / sizeof(any[0]); i++) {
        unsigned id = give(p), write = i & 1 ? 2 : 0;
        const char *what;
        packed_use(p, at, id, write ? 8 : 0xdeadbeef, lap | (any[i / 4] & ~2u) | write);
        packed_desc(p)[at].addr = UINT64_MAX;
        expect_used(p, id, write ? 8 : 0, false);
        ck_assert(pl_driver_ring_intact(p->driver, &what));
        at = (at + 2) % SIZE;
        lap ^= at == 0 ? AVAIL | USED : 0;
    }
    close_pair(p);
}
END_TEST

/* Loop index 1: packed. One entry stands for the chains before it, and only for those. */
START_TEST(test_in_order_batches)
{
    struct ring_pair *p = open_pair(_i, false, false, true, 16);
    uint16_t id[5];

    for (int i = 0; i < 5; i++)
        id[i] = give(p);
    if (_i) {
        packed_use(p, 0, id[2], 5, AVAIL | USED | 2);
        packed_use(p, 6, id[3], 6, AVAIL | USED | 2);
    } else {
        split_use(p, 0, id[2], 5);
        split_use(p, 3, id[3], 6);
    }
    expect_used(p, id[0], 0, true);
    ck_assert(pl_driver_ring_holds(p->driver, id[1]));
    expect_used(p, id[1], 0, true);
    expect_used(p, id[2], 5, false);
    ck_assert_uint_eq(pl_driver_ring_held(p->driver), 2);
    expect_used(p, id[3], 6, false);
    expect_none(p);
    if (_i)
        packed_use(p, 8, id[2], 0, AVAIL | USED);
    else
        split_use(p, 4, id[2], 0);
    expect_poll_fault(p, PL_RING_USED_ID);
    close_pair(p);
}
END_TEST

START_TEST(test_out_of_order_is_seen)
{
    struct ring_pair *p = open_pair(false, false, false, true, SIZE);

    give(p);
    uint16_t second = give(p);
    split_use(p, 0, second, 0);
    expect_poll_fault(p, PL_RING_USED_ORDER);
    used_ring(p)->idx = htole16(2);
    expect_used(p, 0, 0, true);
    expect_used(p, second, 0, false);
    close_pair(p);
}
END_TEST

/* Without IN_ORDER an entry stands for its own chain, wherever that is. */
START_TEST(test_packed_any_order)
{
    struct ring_pair *p = open_packed();
    const struct pl_ring_buffer one[] = {{p->behind, 8, true}};
    uint16_t a = give(p);
    int b = pl_driver_ring_add(p->driver, one, 1, 0);
    uint16_t c = give(p);

    packed_use(p, 0, c, 0, AVAIL | USED);
    expect_used(p, c, 0, false);
    expect_none(p);
    packed_use(p, 2, (unsigned)b, 0, AVAIL | USED);
    expect_used(p, (unsigned)b, 0, false);
    packed_use(p, 3, a, 0, AVAIL | USED);
    expect_used(p, a, 0, false);
    ck_assert_uint_eq(pl_driver_ring_room(p->driver), SIZE);
    close_pair(p);
}
END_TEST

/* --- notifications --- */

START_TEST(test_split_kicks)
{
    struct ring_pair *p = open_split();

    ck_assert(!pl_driver_ring_kick_due(p->driver));
    give(p);
    ck_assert(pl_driver_ring_kick_due(p->driver));
    ck_assert(!pl_driver_ring_kick_due(p->driver));
    used_ring(p)->flags = htole16(VRING_USED_F_NO_NOTIFY);
    give(p);
    ck_assert(!pl_driver_ring_kick_due(p->driver));
    close_pair(p);
    p = open_pair(false, false, true, false, SIZE);
    used_ring(p)->flags = htole16(VRING_USED_F_NO_NOTIFY); /* to be ignored */
    *avail_event(p) = htole16(1);
    give(p);
    ck_assert(!pl_driver_ring_kick_due(p->driver));
    give(p);
    ck_assert(pl_driver_ring_kick_due(p->driver));
    give(p);
    ck_assert(!pl_driver_ring_kick_due(p->driver));
    close_pair(p);
}
END_TEST

START_TEST(test_packed_kicks)
{
    struct ring_pair *p = open_pair(true, false, true, false, SIZE);
    struct vring_packed_desc_event *e = event_of(p, false);

    e->flags = htole16(VRING_PACKED_EVENT_FLAG_DISABLE);
    give(p);
    ck_assert(!pl_driver_ring_kick_due(p->driver));
    e->flags = htole16(0xfffc);
    give(p);
    ck_assert(pl_driver_ring_kick_due(p->driver));
    e->flags = htole16(VRING_PACKED_EVENT_FLAG_DESC);
    e->off_wrap = htole16(0x8000 | 4);
    give(p);
    ck_assert(pl_driver_ring_kick_due(p->driver));
    give(p);
    ck_assert(!pl_driver_ring_kick_due(p->driver));
    for (uint16_t i = 0; i < SIZE; i += 2) {
        packed_use(p, i, le16toh(packed_desc(p)[i].id), 0, AVAIL | USED);
        expect_used(p, le16toh(packed_desc(p)[i].id), 0, false);
    }
    e->off_wrap = htole16(0x8000 | 1);
    give(p);
    ck_assert(!pl_driver_ring_kick_due(p->driver));
    e->off_wrap = htole16(2);
    give(p);
    ck_assert(pl_driver_ring_kick_due(p->driver));
    close_pair(p);
}
END_TEST

START_TEST(test_split_notify_words)
{
    struct ring_pair *p = open_split();

    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_NEVER, 0);
    ck_assert_uint_eq(le16toh(avail(p)->flags), 1);
    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_AT, 3);
    ck_assert_uint_eq(le16toh(avail(p)->flags), 0);
    close_pair(p);
    p = open_pair(false, false, true, false, SIZE);
    ck_assert_uint_eq(le16toh(*used_event(p)), 0);
    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_AT, 3);
    ck_assert_uint_eq(le16toh(*used_event(p)), 3);
    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_NEVER, 0);
    ck_assert_uint_eq(le16toh(avail(p)->flags), 0);
    ck_assert_uint_ge(le16toh(*used_event(p)), 0x8000);
    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_ALWAYS, 0);
    for (uint16_t i = 0; i < 3; i++) {
        ck_assert_uint_eq(le16toh(*used_event(p)), i);
        int id = give_one(p);
        split_use(p, i, (uint32_t)id, 0);
        expect_used(p, (unsigned)id, 0, false);
        ck_assert_int_eq(pl_driver_ring_due(p->driver), PL_RING_DUE);
    }
    close_pair(p);
}
END_TEST

/* NEVER stays never over more entries than the index can count. */
START_TEST(test_never_stays_far)
{
    struct ring_pair *p = open_pair(false, false, true, false, 1);

    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_NEVER, 0);
    for (unsigned i = 0; i < 150000; i++) {
        struct pl_ring_used used;
        enum pl_ring_fault fault;
        expect(give_one(p) == 0);
        expect(le16toh(*used_event(p)) != (uint16_t)i);
        split_use(p, (uint16_t)i, 0, 0);
        expect(pl_driver_ring_poll(p->driver, &used, &fault) == 1);
        expect(pl_driver_ring_due(p->driver) == PL_RING_QUIET);
    }
    close_pair(p);
}
END_TEST

START_TEST(test_packed_notify_words)
{
    struct ring_pair *p = open_pair(true, false, true, false, SIZE);
    struct vring_packed_desc_event *e = event_of(p, true);

    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_NEVER, 0);
    ck_assert_uint_eq(le16toh(e->flags), VRING_PACKED_EVENT_FLAG_DISABLE);
    uint16_t a = give(p), b = give(p);
    give(p);
    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_AT, 2);
    ck_assert_uint_eq(le16toh(e->flags), VRING_PACKED_EVENT_FLAG_DESC);
    ck_assert_uint_eq(le16toh(e->off_wrap), 0x8004);
    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_AT, 7);
    ck_assert_uint_eq(le16toh(e->off_wrap), 0); /* no further than a lap */
    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_AT, 1);
    packed_use(p, 0, a, 0, AVAIL | USED);
    expect_used(p, a, 0, false);
    ck_assert_int_eq(pl_driver_ring_due(p->driver), PL_RING_QUIET);
    packed_use(p, 2, b, 0, AVAIL | USED);
    expect_used(p, b, 0, false);
    ck_assert_int_eq(pl_driver_ring_due(p->driver), PL_RING_DUE);
    ck_assert_int_eq(pl_driver_ring_due(p->driver), PL_RING_QUIET);
    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_ALWAYS, 0);
    ck_assert_uint_eq(le16toh(e->flags), VRING_PACKED_EVENT_FLAG_ENABLE);
    close_pair(p);
}
END_TEST

/* Where a chain lies across the event's place, or the setting changed behind a used entry, nothing
 * is due and nothing forbidden. */
START_TEST(test_due_either)
{
    struct ring_pair *p = open_pair(true, false, true, false, SIZE);
    int one = give_one(p);
    uint16_t two = give(p);

    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_AT, 1);
    packed_use(p, 0, two, 0, AVAIL | USED); /* the event is at 1 */
    expect_used(p, two, 0, false);
    ck_assert_int_eq(pl_driver_ring_due(p->driver), PL_RING_EITHER);
    packed_use(p, 2, (unsigned)one, 0, AVAIL | USED);
    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_NEVER, 0);
    expect_used(p, (unsigned)one, 0, false);
    ck_assert_int_eq(pl_driver_ring_due(p->driver), PL_RING_EITHER);
    expect_none(p);
    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_ALWAYS, 0);
    two = give(p);
    packed_use(p, 3, two, 0, AVAIL | USED);
    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_ALWAYS, 0); /* no change */
    expect_used(p, two, 0, false);
    ck_assert_int_eq(pl_driver_ring_due(p->driver), PL_RING_DUE);
    close_pair(p);
}
END_TEST

/* The place lies where a chain of a batch begins that got no entry of its own. */
START_TEST(test_due_in_a_batch)
{
    struct ring_pair *p = open_pair(_i, false, true, true, SIZE);
    uint16_t a = give(p), b = give(p), c = give(p);

    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_AT, 1);
    if (_i)
        packed_use(p, 0, c, 0, AVAIL | USED);
    else
        split_use(p, 0, c, 0);
    if (!_i)
        used_ring(p)->idx = htole16(3);
    expect_used(p, a, 0, true);
    ck_assert_int_eq(pl_driver_ring_due(p->driver), PL_RING_QUIET);
    expect_used(p, b, 0, true);
    ck_assert_int_eq(pl_driver_ring_due(p->driver), _i ? PL_RING_EITHER : PL_RING_DUE);
    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_ALWAYS, 0);
    expect_used(p, c, 0, false);
    ck_assert_int_eq(pl_driver_ring_due(p->driver), PL_RING_EITHER);
    close_pair(p);
}
END_TEST

/* Loop index: packed, and EVENT_IDX. What a device end asks for is what a driver end hears. */
START_TEST(test_kicks_as_asked)
{
    struct ring_pair *p = open_pair(_i & 1, false, _i & 2, false, SIZE);
    struct pl_ring_chain out;
    enum pl_ring_fault fault;

    for (unsigned i = 0; i < 40; i++) {
        bool wanted = i % 3 != 1;
        pl_device_ring_kicks(p->device, wanted);
        int id = give_one(p);
        ck_assert_int_eq(pl_driver_ring_kick_due(p->driver), wanted);
        ck_assert_int_eq(pop(p, &out, &fault), 1);
        ck_assert_int_eq(pop(p, &out, &fault), 0);
        pl_device_ring_push(p->device, (uint16_t)id, 1, 0);
        pl_device_ring_flush(p->device);
        expect_used(p, (unsigned)id, 0, false);
    }
    close_pair(p);
}
END_TEST

/* What was pushed and not flushed is none of the driver's business yet. */
START_TEST(test_notify_of_what_is_flushed)
{
    struct ring_pair *p = open_pair(_i, false, true, false, SIZE);
    const int a = give_one(p), b = give_one(p);

    pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_AT, 1);
    pl_device_ring_push(p->device, (uint16_t)a, 1, 0);
    pl_device_ring_flush(p->device);
    pl_device_ring_push(p->device, (uint16_t)b, 1, 0);
    ck_assert(!pl_device_ring_notify_due(p->device));
    ck_assert(!pl_device_ring_notify_due(p->device));
    expect_used(p, (unsigned)a, 0, false);
    expect_none(p);
    pl_device_ring_flush(p->device);
    ck_assert(pl_device_ring_notify_due(p->device));
    expect_used(p, (unsigned)b, 0, false);
    ck_assert_int_eq(pl_driver_ring_due(p->driver), PL_RING_DUE);
    close_pair(p);
}
END_TEST

/* --- what only the driver writes --- */

START_TEST(test_split_intact)
{
    struct ring_pair *p = open_split();
    const char *what = "";
    const size_t part = 16 * SIZE + 6 + 2 * SIZE;

    give(p);
    give(p);
    split_use(p, 0, 0, 0);
    ck_assert(pl_driver_ring_intact(p->driver, &what));
    for (size_t i = 0; i < part; i++) {
        uint8_t *byte = ring_at(p, RING_BASE + i);
        *byte ^= 0x10;
        ck_assert(!pl_driver_ring_intact(p->driver, &what));
        ck_assert_str_eq(what, i < 16 * SIZE ? "the descriptor table" : "the available ring");
        *byte ^= 0x10;
    }
    memset(used_ring(p), 0xff, 6 + 8 * SIZE);
    ck_assert(pl_driver_ring_intact(p->driver, &what));
    close_pair(p);
}
END_TEST

/* Chains of 2, 3 and 2: used ones can come to lie at 0, 2, 3, 4 and 5; in order at 0, 2 and 5. */
START_TEST(test_packed_intact)
{
    struct ring_pair *p = open_pair(true, false, false, _i, 10);
    const struct pl_ring_buffer chain[3] = {
        {p->behind, 8, true}, {p->behind, 8, true}, {p->behind, 8, true}};
    static const bool any[] = {true, false, true, true, true, true, false},
                      ordered[] = {true, false, true, false, false, true, false};
    const char *what = "";

    for (unsigned i = 0; i < 3; i++)
        ck_assert_int_ge(pl_driver_ring_add(p->driver, chain, i == 1 ? 3 : 2, 0), 0);
    pl_driver_ring_publish(p->driver);
    ck_assert_int_ge(pl_driver_ring_add(p->driver, chain, 1, 0), 0); /* not published */
    for (unsigned i = 0; i < 10 * 16; i++) {
        uint8_t *byte = (uint8_t *)packed_desc(p) + i;
        bool free_to_write = i / 16 < 7 && (_i ? ordered : any)[i / 16];
        *byte ^= 0x10;
        ck_assert_int_eq(pl_driver_ring_intact(p->driver, &what), free_to_write);
        *byte ^= 0x10;
    }
    event_of(p, true)->flags ^= 0x4000;
    ck_assert(!pl_driver_ring_intact(p->driver, &what));
    event_of(p, true)->flags ^= 0x4000;
    event_of(p, false)->flags ^= 0x4000;
    ck_assert(pl_driver_ring_intact(p->driver, &what));
    packed_use(p, 0, 0, 0, AVAIL | USED);
    expect_used(p, 0, 0, false);
    ck_assert(pl_driver_ring_intact(p->driver, &what));
    packed_desc(p)[0].id ^= 1; /* used, and taken: no longer to be touched */
    ck_assert(!pl_driver_ring_intact(p->driver, &what));
    close_pair(p);
}
END_TEST

/* --- the device end --- */

/* A split driver written out: descriptors, and one available head. */
static void split_give(struct ring_pair *p, uint16_t idx, uint16_t head)
{
    avail(p)->ring[idx % SIZE] = htole16(head);
    avail(p)->idx = htole16((uint16_t)(idx + 1));
}

static void split_write(struct ring_pair *p, struct vring_desc *table, unsigned i, uint64_t offset,
                        uint32_t len, unsigned flags, unsigned next)
{
    table[i] = (struct vring_desc){htole64(p->behind + offset), htole32(len),
                                   htole16((uint16_t)flags), htole16((uint16_t)next)};
}

START_TEST(test_split_avail_faults)
{
    struct ring_pair *p = open_split();
    struct pl_ring_chain out;
    enum pl_ring_fault fault;

    ck_assert_int_eq(pop(p, &out, &fault), 0);
    avail(p)->idx = htole16(SIZE + 1);
    expect_pop_fault(p, PL_RING_AVAIL_INDEX);
    avail(p)->idx = htole16(0xffff);
    expect_pop_fault(p, PL_RING_AVAIL_INDEX);
    split_write(p, split_desc(p), 0, 0, 1, 0, 0);
    avail(p)->idx = htole16(SIZE);
    ck_assert_int_eq(pop(p, &out, &fault), 1);
    avail(p)->idx = htole16(SIZE - 1); /* back, if not behind */
    expect_pop_fault(p, PL_RING_AVAIL_INDEX);
    avail(p)->ring[1] = htole16(SIZE);
    avail(p)->idx = htole16(SIZE);
    expect_pop_fault(p, PL_RING_DESC_INDEX);
    close_pair(p);
}
END_TEST

/* Each row: two descriptors at 0 and 1, a table of two at ROOM / 2, and what pop says. */
START_TEST(test_split_chain_faults)
{
    static const uint64_t T = ROOM / 2;
    static const struct {
        struct vring_desc d[2], t[2];
        enum pl_ring_fault fault;
    } rows[SPLIT_ROWS] = {
        {{{0, 1, 1, 1}, {0, 1, 0, 9}}, {{0}}, PL_RING_SOUND},
        {{{0, 0, 0, 0}}, {{0}}, PL_RING_SOUND},
        {{{1u << 30, 0, 0, 0}}, {{0}}, PL_RING_SOUND}, /* no byte lies there */
        {{{0, 1, 0xfff8, 7}}, {{0}}, PL_RING_SOUND},
        {{{0, 1, 1, SIZE}}, {{0}}, PL_RING_DESC_INDEX},
        {{{0, 1, 1, 0}}, {{0}}, PL_RING_LOOP},
        {{{0, 1, 1, 1}, {0, 1, 1, 0}}, {{0}}, PL_RING_LOOP},
        {{{0, 1, 3, 1}, {0, 1, 0, 0}}, {{0}}, PL_RING_DIRECTION},
        {{{ROOM - 1, 1, 0, 0}}, {{0}}, PL_RING_SOUND},
        {{{ROOM - 1, 2, 0, 0}}, {{0}}, PL_RING_ADDRESS},
        {{{0, UINT32_MAX, 0, 0}}, {{0}}, PL_RING_ADDRESS},
        {{{-(uint64_t)(1u << 30), 1, 0, 0}}, {{0}}, PL_RING_ADDRESS},
        {{{T, 16, 4, 0}}, {{0, 1, 0, 0}}, PL_RING_SOUND},
        {{{T, 16, 6, 0}}, {{0, 1, 0, 0}}, PL_RING_SOUND}, /* WRITE is to be ignored here */
        {{{T, 32, 4, 0}}, {{0, 1, 1, 1}, {0, 1, 2, 0}}, PL_RING_SOUND},
        {{{0, 1, 1, 1}, {T, 32, 4, 0}}, {{0, 1, 1, 1}, {0, 1, 2, 0}}, PL_RING_SOUND},
        {{{0, 1, 3, 1}, {T, 32, 4, 0}}, {{0, 1, 1, 1}, {0, 1, 2, 0}}, PL_RING_DIRECTION},
        {{{T, 16, 5, 1}}, {{0, 1, 0, 0}}, PL_RING_INDIRECT},
        {{{T, 17, 4, 0}}, {{0, 1, 0, 0}}, PL_RING_INDIRECT},
        {{{T, 15, 4, 0}}, {{0, 1, 0, 0}}, PL_RING_INDIRECT},
        {{{T, 0, 4, 0}}, {{0, 1, 0, 0}}, PL_RING_EMPTY},
        {{{T, 16, 4, 0}}, {{T, 16, 4, 0}}, PL_RING_INDIRECT},
        {{{T, 32, 4, 0}}, {{0, 1, 1, 2}}, PL_RING_DESC_INDEX},
        {{{T, 32, 4, 0}}, {{0, 1, 1, 1}, {0, 1, 1, 0}}, PL_RING_LOOP},
        {{{ROOM - 16, 32, 4, 0}}, {{0}}, PL_RING_ADDRESS},
        {{{1u << 30, 16, 4, 0}}, {{0}}, PL_RING_ADDRESS},
    };
    struct ring_pair *p = open_split();
    struct pl_ring_chain out;
    enum pl_ring_fault fault;

    for (unsigned k = 0; k < 2; k++) {
        const struct vring_desc *d = &rows[_i].d[k], *t = &rows[_i].t[k];
        split_write(p, split_desc(p), k, d->addr, d->len, d->flags, d->next);
        split_write(p, ring_at(p, p->behind + T), k, t->addr, t->len, t->flags, t->next);
    }
    split_give(p, 0, 0);
    ck_assert_int_eq(pop(p, &out, &fault), rows[_i].fault == PL_RING_SOUND ? 1 : -EPROTO);
    ck_assert_int_eq(fault, rows[_i].fault);
    for (unsigned i = 0; fault == PL_RING_SOUND && i < out.n; i++)
        ck_assert_ptr_nonnull(pl_ring_at(&p->memory, out.buffer[i].addr, out.buffer[i].len));
    close_pair(p);
}
END_TEST

/* Each row: two descriptors from 0 on, whose third word is the flags, and a table of two. */
START_TEST(test_packed_chain_faults)
{
    static const uint64_t T = ROOM / 2;
    static const struct {
        struct vring_desc d[2], t[2];
        enum pl_ring_fault fault;
    } rows[PACKED_ROWS] = {
        {{{0, 1, 1, 0}, {0, 1, 0, 0xffff}}, {{0}}, PL_RING_SOUND},
        {{{0, 1, 0x7f78, 9}}, {{0}}, PL_RING_SOUND},
        {{{0, 0, 2, 9}}, {{0}}, PL_RING_SOUND},
        {{{0, 1, 1, 0}, {0, 1, 1, 0}}, {{0}}, PL_RING_LOOP},
        {{{0, 1, 3, 0}, {0, 1, 0, 0}}, {{0}}, PL_RING_DIRECTION},
        {{{ROOM, 1, 0, 0}}, {{0}}, PL_RING_ADDRESS},
        {{{T, 32, 4, 9}}, {{0, 1, 0x80fd, 0}, {0, 1, 0x80ff, 5}}, PL_RING_SOUND},
        {{{T, 32, 6, 9}}, {{0, 1, 0, 0}, {0, 1, 2, 5}}, PL_RING_SOUND},
        {{{T, 32, 4, 9}}, {{0, 1, 2, 0}, {0, 1, 0, 5}}, PL_RING_DIRECTION},
        {{{T, 32, 5, 9}}, {{0, 1, 0, 0}, {0, 1, 0, 0}}, PL_RING_INDIRECT},
        {{{0, 1, 1, 0}, {T, 16, 4, 0}}, {{0, 1, 0, 0}}, PL_RING_INDIRECT},
        {{{T, 24, 4, 9}}, {{0}}, PL_RING_INDIRECT},
        {{{T, 0, 4, 9}}, {{0}}, PL_RING_EMPTY},
        {{{T, 16 * (SIZE + 1), 4, 9}}, {{0}}, PL_RING_LOOP},
        {{{ROOM - 16, 32, 4, 9}}, {{0}}, PL_RING_ADDRESS},
    };
    struct ring_pair *p = open_packed();
    struct pl_ring_chain out;
    enum pl_ring_fault fault;

    for (unsigned k = 0; k < SIZE; k++) {
        const struct vring_desc *d = &rows[_i].d[k < 2 ? k : 1], *t = &rows[_i].t[k < 2 ? k : 1];
        /* id where split has flags, and flags where it has next */
        split_write(p, split_desc(p), k, d->addr, d->len, d->next, d->flags | AVAIL);
        split_write(p, ring_at(p, p->behind + T), k, t->addr, t->len, t->next, t->flags);
    }
    ck_assert_int_eq(pop(p, &out, &fault), rows[_i].fault == PL_RING_SOUND ? 1 : -EPROTO);
    ck_assert_int_eq(fault, rows[_i].fault);
    if (fault == PL_RING_SOUND)
        ck_assert_uint_eq(out.id, _i == 0 ? 0xffff : 9);
    close_pair(p);
}
END_TEST

START_TEST(test_indirect_not_negotiated)
{
    struct ring_pair *p = open_pair(_i, false, false, false, SIZE);

    if (_i)
        split_write(p, split_desc(p), 0, 0, 16, 0, 4 | AVAIL);
    else
        split_write(p, split_desc(p), 0, 0, 16, 4, 0);
    if (!_i)
        split_give(p, 0, 0);
    expect_pop_fault(p, PL_RING_INDIRECT);
    close_pair(p);
}
END_TEST

/* An indirect table may begin at any address. */
START_TEST(test_unaligned_table)
{
    struct ring_pair *p = open_pair(_i, true, false, false, SIZE);
    struct vring_desc desc = {htole64(p->behind), htole32(5), 0, 0};
    struct pl_ring_chain out;
    enum pl_ring_fault fault;

    memcpy(ring_at(p, p->behind + 101), &desc, sizeof(desc));
    split_write(p, split_desc(p), 0, 101, 16, _i ? 0 : 4, _i ? 4 | AVAIL : 0);
    if (!_i)
        split_give(p, 0, 0);
    ck_assert_int_eq(pop(p, &out, &fault), 1);
    ck_assert_uint_eq(out.readable, 5);
    close_pair(p);
}
END_TEST

/* A legal chain that is too long for this end is not lost; loop index 1: packed. */
START_TEST(test_too_many_buffers)
{
    static struct pl_ring_buffer chain[PL_RING_CHAIN_MAX + 100];
    struct ring_pair *p = open_pair(_i, false, false, false, 2048);
    static struct pl_ring_chain out;
    enum pl_ring_fault fault;
    uint8_t bytes[4 * PL_RING_CHAIN_MAX];

    for (unsigned i = 0; i < PL_RING_CHAIN_MAX + 100; i++)
        chain[i] = (struct pl_ring_buffer){p->behind + i, 1, i > PL_RING_CHAIN_MAX};
    int id = pl_driver_ring_add(p->driver, chain, PL_RING_CHAIN_MAX + 100, 0);
    int next = pl_driver_ring_add(p->driver, chain, PL_RING_CHAIN_MAX, 0);
    ck_assert_int_eq(next, -ENOSPC);
    next = pl_driver_ring_add(p->driver, chain, 3, 0);
    pl_driver_ring_publish(p->driver);
    ck_assert_int_eq(pop(p, &out, &fault), -E2BIG);
    ck_assert_int_eq(fault, PL_RING_SOUND);
    ck_assert_int_eq(out.id, id);
    ck_assert_uint_eq(out.entries, _i ? PL_RING_CHAIN_MAX + 100 : 1);
    ck_assert_uint_eq(out.n, PL_RING_CHAIN_MAX);
    ck_assert_uint_eq(out.readable, PL_RING_CHAIN_MAX + 1);
    ck_assert_uint_eq(out.writable, 99);
    ck_assert_uint_eq(pl_ring_read(&p->memory, &out, 0, bytes, sizeof(bytes)), PL_RING_CHAIN_MAX);
    pl_device_ring_push(p->device, out.id, out.entries, 0);
    pl_device_ring_flush(p->device);
    expect_used(p, (unsigned)id, 0, false);
    ck_assert_int_eq(pop(p, &out, &fault), 1);
    ck_assert_int_eq(out.id, next);
    close_pair(p);
}
END_TEST

/* The longest chain that a split ring of this size can have, twice round the table. */
START_TEST(test_longest_chain)
{
    static struct pl_ring_chain out;
    struct pl_ring_buffer *chain = calloc(32768, sizeof(*chain));
    struct ring_pair *p = open_pair(_i, false, false, true, 32768);
    enum pl_ring_fault fault;

    for (unsigned i = 0; i < 32768; i++)
        chain[i] = (struct pl_ring_buffer){p->behind, 2, false};
    for (unsigned round = 0; round < 3; round++) {
        int id = pl_driver_ring_add(p->driver, chain, 32768, 0);
        ck_assert_int_ge(id, 0);
        ck_assert_uint_eq(pl_driver_ring_room(p->driver), 0);
        pl_driver_ring_publish(p->driver);
        ck_assert_int_eq(pop(p, &out, &fault), -E2BIG);
        ck_assert_uint_eq(out.readable, 65536);
        pl_device_ring_push(p->device, out.id, out.entries, 0);
        pl_device_ring_flush(p->device);
        expect_used(p, (unsigned)id, 0, false);
    }
    free(chain);
    close_pair(p);
}
END_TEST

START_TEST(test_read_and_write)
{
    struct ring_pair *p = open_split();
    static const char text[] = "a device reads this";
    struct pl_ring_chain out = {.n = 5, .n_readable = 3};
    char bytes[64];

    memcpy(ring_at(p, p->behind), text, 19);
    memset(ring_at(p, p->behind + 100), '.', 40);
    out.buffer[0] = (struct pl_ring_buffer){p->behind, 3, false};
    out.buffer[1] = (struct pl_ring_buffer){p->behind, 0, false};
    out.buffer[2] = (struct pl_ring_buffer){p->behind + 3, 16, false};
    out.buffer[3] = (struct pl_ring_buffer){p->behind + 101, 2, true};
    out.buffer[4] = (struct pl_ring_buffer){p->behind + 120, 9, true};
    ck_assert_uint_eq(pl_ring_read(&p->memory, &out, 0, bytes, 64), 19);
    ck_assert_mem_eq(bytes, text, 19);
    ck_assert_uint_eq(pl_ring_read(&p->memory, &out, 2, bytes, 5), 5);
    ck_assert_mem_eq(bytes, text + 2, 5);
    ck_assert_uint_eq(pl_ring_read(&p->memory, &out, 19, bytes, 5), 0);
    ck_assert_uint_eq(pl_ring_read(&p->memory, &out, SIZE_MAX, bytes, 5), 0);
    ck_assert_uint_eq(pl_ring_write(&p->memory, &out, 1, "0123456789abc", 13), 10);
    ck_assert_mem_eq(ring_at(p, p->behind + 100), "..0.................123456789...........", 40);
    close_pair(p);
}
END_TEST

/* A device that asks only after many laps is told by what it flushed since. */
START_TEST(test_laps_between_looks)
{
    struct ring_pair *p = open_pair(_i, false, true, false, 4);
    struct pl_ring_chain out;
    enum pl_ring_fault fault;

    for (unsigned i = 0; i < 4 * 4 + 1; i++) {
        int id = give_one(p);
        ck_assert_int_eq(pop(p, &out, &fault), 1);
        pl_device_ring_push(p->device, out.id, out.entries, 0);
        pl_device_ring_flush(p->device);
        expect_used(p, (unsigned)id, 0, false);
    }
    ck_assert_int_eq(pl_device_ring_notify_due(p->device), _i); /* split: the event has moved on */
    ck_assert(!pl_device_ring_notify_due(p->device));
    for (unsigned i = 17; i < 60; i++) {
        pl_driver_ring_notify(p->driver, PL_RING_NOTIFY_AT, i % 3 == 0);
        int id = give_one(p);
        ck_assert_int_eq(pop(p, &out, &fault), 1);
        pl_device_ring_push(p->device, out.id, out.entries, 0);
        pl_device_ring_flush(p->device);
        ck_assert_int_eq(pl_device_ring_notify_due(p->device), i % 3 != 0);
        expect_used(p, (unsigned)id, 0, false);
    }
    close_pair(p);
}
END_TEST

/* --- what mutants write --- */

START_TEST(test_bent_pushes)
{
    struct ring_pair *p = open_pair(_i, false, false, false, SIZE);
    const uint16_t id = give(p), entries = _i ? 2 : 1;
    struct pl_ring_bend bend = {.id = id, .written = 8, .entries = entries};

    bend.hide = true;
    pl_device_ring_push_bent(p->device, &bend);
    expect_none(p);
    pl_device_ring_flush(p->device);
    if (_i)
        expect_none(p);
    else
        expect_used(p, id, 8, false);
    ck_assert_uint_eq(_i ? le16toh(packed_desc(p)[0].flags) : used_ring(p)->idx,
                      _i ? AVAIL | 1 : 1);
    close_pair(p);

    p = open_pair(_i, false, false, false, SIZE);
    give(p);
    bend = (struct pl_ring_bend){.id = 0x10000u * !_i + 5, .written = 8, .entries = entries};
    pl_device_ring_push_bent(p->device, &bend);
    expect_poll_fault(p, PL_RING_USED_ID);
    close_pair(p);

    p = open_pair(_i, false, false, false, SIZE);
    give(p);
    bend = (struct pl_ring_bend){.id = 0, .written = 9, .entries = entries};
    pl_device_ring_push_bent(p->device, &bend);
    expect_poll_fault(p, PL_RING_USED_LEN);
    close_pair(p);

    p = open_pair(_i, false, false, false, SIZE);
    give(p);
    bend = (struct pl_ring_bend){.id = 0, .entries = 3, .flip_wrap = true};
    pl_device_ring_push_bent(p->device, &bend);
    expect_poll_fault(p, _i ? PL_RING_USED_FLAGS : PL_RING_USED_INDEX);
    close_pair(p);
}
END_TEST

static void add_driver_tests(TCase *tc)
{
    tcase_add_test(tc, test_split_chain_in_memory);
    tcase_add_test(tc, test_packed_chain_in_memory);
    tcase_add_loop_test(tc, test_indirect_table_in_memory, 0, 2);
    tcase_add_loop_test(tc, test_add_refuses, 0, 2);
    tcase_add_test(tc, test_split_in_order_descriptors);
    tcase_add_test(tc, test_split_used_faults);
    tcase_add_test(tc, test_packed_used_faults);
    tcase_add_test(tc, test_packed_used_conventions);
    tcase_add_loop_test(tc, test_in_order_batches, 0, 2);
    tcase_add_test(tc, test_out_of_order_is_seen);
    tcase_add_test(tc, test_packed_any_order);
    tcase_add_test(tc, test_split_kicks);
    tcase_add_test(tc, test_packed_kicks);
    tcase_add_test(tc, test_split_notify_words);
    tcase_add_test(tc, test_never_stays_far);
    tcase_add_test(tc, test_packed_notify_words);
    tcase_add_test(tc, test_due_either);
    tcase_add_loop_test(tc, test_due_in_a_batch, 0, 2);
    tcase_add_loop_test(tc, test_kicks_as_asked, 0, 4);
    tcase_add_loop_test(tc, test_notify_of_what_is_flushed, 0, 2);
    tcase_add_test(tc, test_split_intact);
    tcase_add_loop_test(tc, test_packed_intact, 0, 2);
}

static void add_device_tests(TCase *tc)
{
    tcase_add_test(tc, test_split_avail_faults);
    tcase_add_loop_test(tc, test_split_chain_faults, 0, SPLIT_ROWS);
    tcase_add_loop_test(tc, test_packed_chain_faults, 0, PACKED_ROWS);
    tcase_add_loop_test(tc, test_indirect_not_negotiated, 0, 2);
    tcase_add_loop_test(tc, test_unaligned_table, 0, 2);
    tcase_add_loop_test(tc, test_too_many_buffers, 0, 2);
    tcase_add_loop_test(tc, test_longest_chain, 0, 2);
    tcase_add_test(tc, test_read_and_write);
    tcase_add_loop_test(tc, test_laps_between_looks, 0, 2);
    tcase_add_loop_test(tc, test_bent_pushes, 0, 2);
}

int main(void)
{
    Suite *suite = suite_create("ring");
    TCase *tc = tcase_create("ring");

    tcase_add_test(tc, test_bytes_and_places);
    tcase_add_test(tc, test_check);
    tcase_add_test(tc, test_at);
    tcase_add_test(tc, test_at_in_parts);
    tcase_add_test(tc, test_fault_texts);
    add_driver_tests(tc);
    add_device_tests(tc);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
