/* Tests of what a driver writes into its ring by its own choice: it counts as the driver's, and a
 * packed chain is not available for it before it is published. */
#include <endian.h>
#include <linux/virtio_ring.h>

#include "ring_pair.h"

enum { SIZE = 4, ROOM = 4096, AVAIL = 0x80, USED = 0x8000 };

static void open_ring(struct ring_pair *pair, bool packed)
{
    const struct pl_ring_setup setup = {.packed = packed, .indirect = true, .size = SIZE};
    ring_pair_open(pair, &setup, ROOM);
}

/* A chain of one buffer behind a table; not published. */
static void add_indirect(struct ring_pair *pair)
{
    const struct pl_ring_buffer buffer = {pair->behind + 64, 8, true};
    ck_assert_int_ge(pl_driver_ring_add(pair->driver, &buffer, 1, pair->behind), 0);
}

static bool intact(const struct ring_pair *pair)
{
    const char *what = NULL;
    return pl_driver_ring_intact(pair->driver, &what);
}

static bool amend16(struct ring_pair *pair, uint64_t addr, uint16_t value)
{
    uint16_t word = htole16(value);
    return pl_driver_ring_amend(pair->driver, addr, &word, sizeof(word));
}

/* The device serves the chain as ever. */
static void serve(struct ring_pair *pair)
{
    static struct pl_ring_chain chain;
    struct pl_ring_used used;
    enum pl_ring_fault fault;
    ck_assert_int_eq(pl_device_ring_pop(pair->device, &chain, &fault), 1);
    ck_assert_uint_eq(chain.writable, 8);
    pl_device_ring_push(pair->device, chain.id, chain.entries, 8);
    pl_device_ring_flush(pair->device);
    ck_assert_int_eq(pl_driver_ring_poll(pair->driver, &used, &fault), 1);
    ck_assert_uint_eq(used.written, 8);
    ck_assert(intact(pair));
}

START_TEST(split_parts)
{
    struct ring_pair pair;
    open_ring(&pair, false);
    const struct vring_desc *desc = ring_at(&pair, pair.setup.desc_addr);
    const struct vring_avail *avail = ring_at(&pair, pair.setup.driver_addr);
    add_indirect(&pair);
    ck_assert(amend16(&pair, pair.setup.desc_addr + offsetof(struct vring_desc, flags),
                      VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE));
    ck_assert(amend16(&pair, pair.setup.driver_addr + 4 + 2 * SIZE, 0x1234));
    ck_assert_uint_eq(le16toh(desc[0].flags), VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE);
    ck_assert_uint_eq(le16toh(avail->ring[SIZE]), 0x1234);
    ck_assert(intact(&pair));
    pl_driver_ring_publish(pair.driver);
    serve(&pair);
    ring_pair_close(&pair);
}
END_TEST

/* What any other writes there is still seen. */
START_TEST(others_writes_show)
{
    struct ring_pair pair;
    open_ring(&pair, false);
    struct vring_avail *avail = ring_at(&pair, pair.setup.driver_addr);
    ck_assert(amend16(&pair, pair.setup.driver_addr, 1));
    ck_assert(intact(&pair));
    avail->flags = htole16(2);
    ck_assert(!intact(&pair));
    ring_pair_close(&pair);
}
END_TEST

START_TEST(packed_flags_wait)
{
    struct ring_pair pair;
    open_ring(&pair, true);
    const struct vring_packed_desc *desc = ring_at(&pair, pair.setup.desc_addr);
    uint64_t flags = pair.setup.desc_addr + offsetof(struct vring_packed_desc, flags);
    static struct pl_ring_chain chain;
    enum pl_ring_fault fault;
    add_indirect(&pair);
    uint16_t before = desc[0].flags;
    ck_assert(amend16(&pair, flags, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE | AVAIL | USED));
    ck_assert_uint_eq(desc[0].flags, before);
    ck_assert_int_eq(pl_device_ring_pop(pair.device, &chain, &fault), 0);
    pl_driver_ring_publish(pair.driver);
    ck_assert_uint_eq(le16toh(desc[0].flags), VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE | AVAIL);
    serve(&pair);
    ring_pair_close(&pair);
}
END_TEST

/* Nothing is written where it does not lie within one of the driver's parts. */
START_TEST(elsewhere)
{
    struct ring_pair pair;
    open_ring(&pair, _i != 0);
    size_t whole = pair.memory.size;
    uint8_t *before = malloc(whole), bytes[64] = {0};
    struct pl_ring_bytes parts = pl_ring_bytes(_i != 0, SIZE);
    memcpy(before, pair.memory.mem, whole);
    ck_assert(!pl_driver_ring_amend(pair.driver, pair.behind, bytes, 4));
    ck_assert(!pl_driver_ring_amend(pair.driver, pair.setup.device_addr, bytes, 2));
    ck_assert(!pl_driver_ring_amend(pair.driver, pair.setup.desc_addr + parts.desc - 2, bytes, 4));
    ck_assert(!pl_driver_ring_amend(pair.driver, pair.setup.driver_addr + parts.driver - 1, bytes,
                                    sizeof(bytes)));
    ck_assert(!pl_driver_ring_amend(pair.driver, 0, bytes, 4));
    ck_assert(!pl_driver_ring_amend(pair.driver, UINT64_MAX - 1, bytes, 4));
    ck_assert_mem_eq(before, pair.memory.mem, whole);
    free(before);
    ring_pair_close(&pair);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring amend");
    TCase *tc = tcase_create("amend");
    tcase_add_test(tc, split_parts);
    tcase_add_test(tc, others_writes_show);
    tcase_add_test(tc, packed_flags_wait);
    tcase_add_loop_test(tc, elsewhere, 0, 2);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
