/* Tests of the pairwise generator: every pair is there, few rows do it, and constraints hold. */
#include <check.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/pairwise.h"

static struct pl_pairwise_space uniform(size_t n, size_t values)
{
    struct pl_pairwise_space s = {.n = n, .seed = 1};
    for (size_t i = 0; i < n; i++)
        s.values[i] = values;
    return s;
}

static bool stands(const struct pl_rows *rows, size_t p, size_t v, size_t q, size_t w)
{
    for (size_t i = 0; i < rows->n; i++)
        if (pl_row(rows, i)[p] == v && pl_row(rows, i)[q] == w)
            return true;
    return false;
}

/* Every pair that is not forbidden stands in a row, and none that is. */
static void check_pairs(const struct pl_pairwise_space *s, const struct pl_rows *rows)
{
    for (size_t p = 0; p < s->n; p++)
        for (size_t q = p + 1; q < s->n; q++)
            for (size_t v = 0; v < s->values[p]; v++)
                for (size_t w = 0; w < s->values[q]; w++) {
                    bool due = !s->forbidden || !s->forbidden(s->opaque, p, v, q, w);
                    ck_assert_msg(stands(rows, p, v, q, w) == due, "%zu=%zu with %zu=%zu is %s", p,
                                  v, q, w, due ? "missing" : "there");
                }
}

static void check_values(const struct pl_pairwise_space *s, const struct pl_rows *rows)
{
    ck_assert_uint_eq(rows->width, s->n);
    for (size_t i = 0; i < rows->n; i++)
        for (size_t p = 0; p < s->n; p++)
            ck_assert_uint_lt(pl_row(rows, i)[p], s->values[p]);
}

/* No more rows than `most`, whatever the seed. */
static void covers(struct pl_pairwise_space s, size_t most)
{
    struct pl_rows rows;
    for (s.seed = 0; s.seed < 5; s.seed++) {
        ck_assert_int_eq(pl_pairwise(&s, &rows), 0);
        check_values(&s, &rows);
        check_pairs(&s, &rows);
        ck_assert_msg(rows.n <= most, "%zu rows for at most %zu", rows.n, most);
        pl_rows_free(&rows);
    }
}

START_TEST(every_pair_occurs_in_few_rows)
{
    /* the least that is known, and what a greedy generator may add to it */
    covers(uniform(1, 1), 1);
    covers(uniform(1, 7), 7);
    covers(uniform(2, 10), 100);
    covers(uniform(4, 3), 11);  /* least: 9 */
    covers(uniform(13, 3), 21); /* least: 15 */
    covers(uniform(10, 2), 9);  /* least: 6 */
    covers(uniform(16, 2), 11); /* least: 8 */
}
END_TEST

START_TEST(sixteen_parameters_with_ten_values)
{
    struct pl_pairwise_space s = uniform(PL_PAIRWISE_PARAMETERS, PL_PAIRWISE_VALUES);
    struct pl_rows rows;
    ck_assert_int_eq(pl_pairwise(&s, &rows), 0);
    check_pairs(&s, &rows);
    ck_assert_uint_ge(rows.n, 100);
    ck_assert_uint_le(rows.n, 210);
    pl_rows_free(&rows);
}
END_TEST

START_TEST(parameters_of_unequal_size)
{
    struct pl_pairwise_space s = {.n = 10, .values = {2, 4, 2, 2, 7, 2, 2, 2, 2, 2}};
    covers(s, 31); /* least: 7 * 4 */
}
END_TEST

/* Parameter 0 at 0 allows only even values of parameter 1: a split ring and its sizes. */
static bool odd_needs_one(const void *opaque, size_t p, size_t v, size_t q, size_t w)
{
    (void)opaque;
    return p == 0 && q == 1 && v == 0 && w % 2 == 1;
}

START_TEST(constraints_hold)
{
    struct pl_pairwise_space s = {.n = 5, .values = {2, 7, 2, 3, 2}, .forbidden = odd_needs_one};
    covers(s, 25);
}
END_TEST

/* 0=0 needs 1=0, and 1=0 needs 2=0: so 0=0 cannot stand with 2=1, though nothing forbids that. */
static bool chained(const void *opaque, size_t p, size_t v, size_t q, size_t w)
{
    (void)opaque;
    return (p == 0 && q == 1 && v == 0 && w == 1) || (p == 1 && q == 2 && v == 0 && w == 1);
}

START_TEST(a_pair_that_no_row_can_hold_is_left_out)
{
    struct pl_pairwise_space s = {.n = 3, .values = {2, 2, 2}, .seed = 3, .forbidden = chained};
    struct pl_rows rows, all;
    ck_assert_int_eq(pl_pairwise(&s, &rows), 0);
    ck_assert_int_eq(pl_pairwise_product(&s, &all), 0);
    ck_assert_uint_eq(all.n, 4);
    for (size_t p = 0; p < 3; p++)
        for (size_t q = p + 1; q < 3; q++)
            for (size_t v = 0; v < 2; v++)
                for (size_t w = 0; w < 2; w++)
                    ck_assert_int_eq(stands(&rows, p, v, q, w), stands(&all, p, v, q, w));
    pl_rows_free(&rows);
    pl_rows_free(&all);
}
END_TEST

static bool everything(const void *opaque, size_t p, size_t v, size_t q, size_t w)
{
    (void)opaque;
    (void)v;
    (void)w;
    return p == 0 && q == 1;
}

START_TEST(nothing_allowed_gives_no_row)
{
    struct pl_pairwise_space s = {.n = 2, .values = {2, 2}, .forbidden = everything};
    struct pl_rows rows;
    ck_assert_int_eq(pl_pairwise(&s, &rows), 0);
    ck_assert_uint_eq(rows.n, 0);
    pl_rows_free(&rows);
}
END_TEST

START_TEST(the_plain_row_comes_first_and_the_seed_repeats)
{
    struct pl_pairwise_space s = {.n = 6, .values = {2, 4, 2, 3, 7, 2}, .seed = 77};
    struct pl_rows a, b, c;
    ck_assert_int_eq(pl_pairwise(&s, &a), 0);
    ck_assert_int_eq(pl_pairwise(&s, &b), 0);
    s.seed = 78;
    ck_assert_int_eq(pl_pairwise(&s, &c), 0);
    for (size_t i = 0; i < s.n; i++)
        ck_assert_uint_eq(pl_row(&a, 0)[i], 0);
    ck_assert_uint_eq(a.n, b.n);
    ck_assert_mem_eq(a.value, b.value, a.n * a.width);
    ck_assert(a.n != c.n || memcmp(a.value, c.value, a.n * a.width) != 0);
    pl_rows_free(&a);
    pl_rows_free(&b);
    pl_rows_free(&c);
}
END_TEST

START_TEST(the_product_is_whole)
{
    struct pl_pairwise_space s = {.n = 4, .values = {2, 7, 3, 2}, .forbidden = odd_needs_one};
    struct pl_rows rows;
    ck_assert_int_eq(pl_pairwise_product(&s, &rows), 0);
    ck_assert_uint_eq(rows.n, (4 + 7) * 3 * 2);
    for (size_t i = 0; i < rows.n; i++)
        for (size_t k = 0; k < i; k++)
            ck_assert(memcmp(pl_row(&rows, i), pl_row(&rows, k), rows.width) != 0);
    pl_rows_free(&rows);
}
END_TEST

START_TEST(bad_spaces)
{
    struct pl_pairwise_space none = {.n = 0}, many = uniform(16, 2), empty = {.n = 2},
                             wide = uniform(2, 2);
    struct pl_rows rows;
    many.n = 17;
    empty.values[0] = 2;
    wide.values[1] = 11;
    ck_assert_int_eq(pl_pairwise(&none, &rows), -EINVAL);
    ck_assert_int_eq(pl_pairwise(&many, &rows), -EINVAL);
    ck_assert_int_eq(pl_pairwise(&empty, &rows), -EINVAL);
    ck_assert_int_eq(pl_pairwise(&wide, &rows), -EINVAL);
    ck_assert_int_eq(pl_pairwise_product(&many, &rows), -EINVAL);
    pl_rows_free(&rows);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("pairwise");
    TCase *tc = tcase_create("pairwise");
    tcase_add_test(tc, every_pair_occurs_in_few_rows);
    tcase_add_test(tc, sixteen_parameters_with_ten_values);
    tcase_add_test(tc, parameters_of_unequal_size);
    tcase_add_test(tc, constraints_hold);
    tcase_add_test(tc, a_pair_that_no_row_can_hold_is_left_out);
    tcase_add_test(tc, nothing_allowed_gives_no_row);
    tcase_add_test(tc, the_plain_row_comes_first_and_the_seed_repeats);
    tcase_add_test(tc, the_product_is_whole);
    tcase_add_test(tc, bad_spaces);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
