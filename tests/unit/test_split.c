/* Tests of the split ring's driver end against a device that is written out here, and against
 * rubbish. */
#include <check.h>
#include <endian.h>
#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>

#include "ring/split.h"

enum { MEMORY = 65536, SIZE = 8 };
static const uint64_t BASE = UINT64_C(0x100000000);

struct fixture {
    _Alignas(16) uint8_t bytes[MEMORY];
    struct pl_ring_memory memory;
    struct pl_split ring;
    uint16_t seen; /* the device's place in the available ring */
};

static struct fixture *set_up(uint16_t size)
{
    struct fixture *f = aligned_alloc(16, sizeof(*f));

    ck_assert_ptr_nonnull(f);
    memset(f, 0xa5, sizeof(*f));
    f->memory = (struct pl_ring_memory){f->bytes, BASE, sizeof(f->bytes)};
    f->seen = 0;
    ck_assert_int_eq(pl_split_init(&f->ring, &f->memory, BASE + 4096, size), 0);
    return f;
}

static void tear_down(struct fixture *f)
{
    pl_split_free(&f->ring);
    free(f);
}

static struct vring_avail *avail_of(struct fixture *f)
{
    return (struct vring_avail *)(f->bytes + (f->ring.driver_addr - BASE));
}

static struct vring_used *used_of(struct fixture *f)
{
    return (struct vring_used *)(f->bytes + (f->ring.device_addr - BASE));
}

static struct vring_desc *desc_of(struct fixture *f)
{
    return (struct vring_desc *)(f->bytes + (f->ring.desc_addr - BASE));
}

/* The device takes the next chain: its head. */
static uint16_t take(struct fixture *f)
{
    ck_assert_uint_ne(le16toh(avail_of(f)->idx), f->seen);
    return le16toh(avail_of(f)->ring[f->seen++ % f->ring.size]);
}

static void give_back(struct fixture *f, uint32_t id, uint32_t len)
{
    uint16_t idx = le16toh(used_of(f)->idx);

    used_of(f)->ring[idx % f->ring.size].id = htole32(id);
    used_of(f)->ring[idx % f->ring.size].len = htole32(len);
    used_of(f)->idx = htole16((uint16_t)(idx + 1));
}

START_TEST(test_init_limits)
{
    static uint8_t bytes[4096];
    struct pl_ring_memory memory = {bytes, BASE, sizeof(bytes)};
    struct pl_split ring;

    ck_assert_int_eq(pl_split_init(&ring, &memory, BASE, 0), -EINVAL);
    ck_assert_int_eq(pl_split_init(&ring, &memory, BASE, 3), -EINVAL);
    ck_assert_int_eq(pl_split_init(&ring, &memory, BASE, 65535), -EINVAL);
    ck_assert_int_eq(pl_split_init(&ring, &memory, BASE + 8, 8), -EINVAL);
    ck_assert_int_eq(pl_split_init(&ring, &memory, BASE - 16, 8), -EINVAL);
    ck_assert_int_eq(pl_split_init(&ring, &memory, 0, 8), -EINVAL);
    ck_assert_int_eq(pl_split_init(&ring, &memory, UINT64_MAX - 15, 8), -EINVAL);
    ck_assert_int_eq(pl_split_init(&ring, &memory, BASE, 256), -EINVAL);
    ck_assert_int_eq(pl_split_init(&ring, &memory, BASE + 4096, 1), -EINVAL);
    uint64_t last = BASE + ((sizeof(bytes) - pl_split_bytes(8)) & ~(size_t)15);
    ck_assert_int_eq(pl_split_init(&ring, &memory, last, 8), 0);
    pl_split_free(&ring);
    ck_assert_int_eq(pl_split_init(&ring, &memory, last + 16, 8), -EINVAL);
}
END_TEST

START_TEST(test_layout)
{
    struct fixture *f = set_up(SIZE);

    ck_assert_uint_eq(f->ring.desc_addr % VRING_DESC_ALIGN_SIZE, 0);
    ck_assert_uint_eq(f->ring.driver_addr, f->ring.desc_addr + 16 * SIZE);
    ck_assert_uint_eq(f->ring.device_addr % VRING_USED_ALIGN_SIZE, 0);
    ck_assert_uint_ge(f->ring.device_addr, f->ring.driver_addr + 6 + 2 * SIZE);
    ck_assert_uint_eq(f->ring.desc_addr + pl_split_bytes(SIZE), f->ring.device_addr + 6 + 8 * SIZE);
    ck_assert_uint_eq(f->bytes[4096 + pl_split_bytes(SIZE)], 0xa5);
    ck_assert_uint_eq(f->bytes[4095], 0xa5);
    tear_down(f);
}
END_TEST

START_TEST(test_chain_as_the_device_sees_it)
{
    struct fixture *f = set_up(SIZE);
    const struct pl_ring_buffer chain[] = {
        {BASE + 0x8000, 16, false}, {BASE + 0x9000, 512, true}, {BASE + 0xa000, 1, true}};
    int head = pl_split_add(&f->ring, chain, 3);

    ck_assert_int_ge(head, 0);
    ck_assert_uint_eq(pl_split_kick_index(&f->ring), 1);
    uint16_t slot = take(f);
    ck_assert_int_eq(slot, head);
    for (size_t i = 0; i < 3; i++) {
        struct vring_desc *desc = &desc_of(f)[slot];
        unsigned flags = (i < 2 ? VRING_DESC_F_NEXT : 0u) | (i > 0 ? VRING_DESC_F_WRITE : 0u);
        ck_assert_uint_eq(le64toh(desc->addr), chain[i].addr);
        ck_assert_uint_eq(le32toh(desc->len), chain[i].len);
        ck_assert_uint_eq(le16toh(desc->flags), flags);
        slot = le16toh(desc->next);
    }
    struct pl_ring_used used;
    ck_assert_int_eq(pl_split_poll(&f->ring, &used), 0);
    give_back(f, (uint32_t)head, 513);
    ck_assert_int_eq(pl_split_poll(&f->ring, &used), 1);
    ck_assert_int_eq(used.head, head);
    ck_assert_uint_eq(used.written, 513);
    ck_assert_int_eq(pl_split_poll(&f->ring, &used), 0);
    tear_down(f);
}
END_TEST

START_TEST(test_out_of_order_and_wrap)
{
    struct fixture *f = set_up(SIZE);
    const struct pl_ring_buffer chain[] = {{BASE, 8, false}, {BASE, 8, true}};
    struct pl_ring_used used;

    for (int round = 0; round < 20000; round++) {
        uint16_t heads[4];
        for (int i = 0; i < 4; i++)
            ck_assert_int_ge(pl_split_add(&f->ring, chain, 2), 0);
        ck_assert_int_eq(pl_split_add(&f->ring, chain, 1), -ENOSPC);
        for (int i = 0; i < 4; i++)
            heads[i] = take(f);
        for (int i = 3; i >= 0; i--)
            give_back(f, heads[(i + round) % 4], 8);
        for (int i = 3; i >= 0; i--) {
            ck_assert_int_eq(pl_split_poll(&f->ring, &used), 1);
            ck_assert_uint_eq(used.head, heads[(i + round) % 4]);
        }
    }
    ck_assert_uint_eq(f->ring.n_free, SIZE);
    tear_down(f);
}
END_TEST

START_TEST(test_refuses)
{
    struct fixture *f = set_up(SIZE);
    struct pl_ring_buffer chain[SIZE + 1] = {{BASE, 1, false}};

    ck_assert_int_eq(pl_split_add(&f->ring, chain, 0), -EINVAL);
    ck_assert_int_eq(pl_split_add(&f->ring, chain, SIZE + 1), -ENOSPC);
    ck_assert_int_ge(pl_split_add(&f->ring, chain, SIZE), 0);
    ck_assert_int_eq(pl_split_add(&f->ring, chain, 1), -ENOSPC);
    tear_down(f);
}
END_TEST

START_TEST(test_kick_suppression)
{
    struct fixture *f = set_up(SIZE);

    ck_assert(pl_split_wants_kick(&f->ring));
    used_of(f)->flags = htole16(VRING_USED_F_NO_NOTIFY);
    ck_assert(!pl_split_wants_kick(&f->ring));
    tear_down(f);
}
END_TEST

/* What a device may not write: each leaves the driver's books unhurt. */
START_TEST(test_rubbish_from_the_device)
{
    static const struct {
        uint16_t idx;
        uint32_t id, len;
    } rubbish[] = {
        {2, 0, 0},          /* more chains than there are */
        {0x8000, 0, 0},     /* far ahead */
        {0xffff, 0, 0},     /* backwards */
        {1, SIZE, 0},       /* no such descriptor */
        {1, UINT32_MAX, 0}, /* the same, at the far end */
        {1, 1, 0},          /* a descriptor, but no head */
        {1, 0, 9},          /* more bytes than the chain can take */
        {1, 0, UINT32_MAX},
    };
    struct fixture *f = set_up(SIZE);
    const struct pl_ring_buffer chain[] = {{BASE, 8, false}, {BASE, 8, true}};
    struct pl_ring_used used;

    ck_assert_int_eq(pl_split_add(&f->ring, chain, 2), 0);
    used_of(f)->idx = htole16(rubbish[_i].idx);
    used_of(f)->ring[0].id = htole32(rubbish[_i].id);
    used_of(f)->ring[0].len = htole32(rubbish[_i].len);
    ck_assert_int_eq(pl_split_poll(&f->ring, &used), -EPROTO);
    used_of(f)->idx = 0;
    give_back(f, 0, 8);
    ck_assert_int_eq(pl_split_poll(&f->ring, &used), 1);
    give_back(f, 0, 8); /* the same chain twice */
    ck_assert_int_eq(pl_split_poll(&f->ring, &used), -EPROTO);
    tear_down(f);
}
END_TEST

/* The device overwrites descriptors and the available ring: the driver never looks there again. */
START_TEST(test_scribbled_driver_areas)
{
    struct fixture *f = set_up(SIZE);
    const struct pl_ring_buffer chain[] = {{BASE, 8, false}, {BASE, 8, true}};
    struct pl_ring_used used;

    for (int i = 0; i < 3 * SIZE; i++) {
        int head = pl_split_add(&f->ring, chain, 2);
        ck_assert_int_ge(head, 0);
        memset(desc_of(f), 0xff, SIZE * sizeof(struct vring_desc));
        memset(avail_of(f), 0xff, 2 * SIZE);
        give_back(f, (uint32_t)head, 0);
        ck_assert_int_eq(pl_split_poll(&f->ring, &used), 1);
        ck_assert_int_eq(used.head, head);
    }
    ck_assert_uint_eq(f->ring.n_free, SIZE);
    tear_down(f);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("split");
    TCase *tc = tcase_create("split");

    tcase_add_test(tc, test_init_limits);
    tcase_add_test(tc, test_layout);
    tcase_add_test(tc, test_chain_as_the_device_sees_it);
    tcase_add_test(tc, test_out_of_order_and_wrap);
    tcase_add_test(tc, test_refuses);
    tcase_add_test(tc, test_kick_suppression);
    tcase_add_loop_test(tc, test_rubbish_from_the_device, 0, 8);
    tcase_add_test(tc, test_scribbled_driver_areas);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
