/* Tests of the Toeplitz hash: published results, both families, and keys that are too short. */
#include <check.h>
#include <stdlib.h>

#include "engine/toeplitz.h"

/* The key and the flows that implementations of receive-side scaling are commonly verified by. */
static const uint8_t key[40] = {0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67,
                                0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0, 0xd0, 0xca, 0x2b, 0xcb,
                                0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30,
                                0xf2, 0x0c, 0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa};

static const struct {
    uint8_t input[12]; /* source and destination, then their ports */
    uint32_t addresses, ports;
} flows[] = {
    {{66, 9, 149, 187, 161, 142, 100, 80, 10, 234, 6, 230}, 0x323e8fc2, 0x51ccc178},
    {{199, 92, 111, 2, 65, 69, 140, 83, 55, 150, 18, 131}, 0xd718262a, 0xc626b0ea},
    {{24, 19, 198, 95, 12, 22, 207, 184, 50, 98, 148, 136}, 0xd2d0a5de, 0x5c2b394a},
};

START_TEST(ipv4)
{
    ck_assert_uint_eq(pl_toeplitz(key, sizeof(key), flows[_i].input, 8), flows[_i].addresses);
    ck_assert_uint_eq(pl_toeplitz(key, sizeof(key), flows[_i].input, 12), flows[_i].ports);
}
END_TEST

/* 3ffe:2501:200:1fff::7 to 3ffe:2501:200:3::1, ports 2794 and 1766. */
START_TEST(ipv6)
{
    static const uint8_t input[36] = {
        0x3f, 0xfe, 0x25, 0x01, 0x02, 0x00, 0x1f, 0xff, 0, 0, 0, 0, 0, 0, 0,    7,    0x3f, 0xfe,
        0x25, 0x01, 0x02, 0x00, 0x00, 0x03, 0,    0,    0, 0, 0, 0, 0, 1, 0x0a, 0xea, 0x06, 0xe6};
    ck_assert_uint_eq(pl_toeplitz(key, sizeof(key), input, 32), 0x2cc18cd5);
    ck_assert_uint_eq(pl_toeplitz(key, sizeof(key), input, 36), 0x40207d3d);
}
END_TEST

START_TEST(short_keys_go_on_with_zeros)
{
    static const uint8_t one[5] = {0, 0, 0, 0, 1};
    ck_assert_uint_eq(pl_toeplitz(key, 0, one, sizeof(one)), 0);
    ck_assert_uint_eq(pl_toeplitz(key, 4, one, sizeof(one)), 0);
    ck_assert_uint_eq(pl_toeplitz(key, 5, one, sizeof(one)), 0x25u << 31);
    ck_assert_uint_eq(pl_toeplitz(key, sizeof(key), one, 0), 0);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("toeplitz");
    TCase *tc = tcase_create("toeplitz");
    tcase_add_loop_test(tc, ipv4, 0, sizeof(flows) / sizeof(flows[0]));
    tcase_add_test(tc, ipv6);
    tcase_add_test(tc, short_keys_go_on_with_zeros);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
