/* Tests of the reduction: what a failure needs is found, in few tries, and nothing is made up. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "engine/reduce.h"

enum { N = 6 };

/* A failure that needs these parameters to be these values. */
struct subject {
    bool needed[N];
    uint32_t need[N];
    bool either;     /* one of the needed is enough */
    unsigned hidden; /* so many tries do not show it */
    unsigned tries;
    bool (*allowed)(const uint32_t *value);
};

static bool fails(void *opaque, const uint32_t *value)
{
    struct subject *s = opaque;
    bool all = true, any = false;
    s->tries++;
    if (s->hidden) {
        s->hidden--;
        return false;
    }
    for (size_t i = 0; i < N; i++) {
        if (!s->needed[i])
            continue;
        all &= value[i] == s->need[i];
        any |= value[i] == s->need[i];
    }
    return s->either ? any : all;
}

static bool allowed(void *opaque, const uint32_t *value)
{
    struct subject *s = opaque;
    return !s->allowed || s->allowed(value);
}

static const uint32_t plain[N] = {0, 264, 1, 0, 256, 0};
static const uint32_t seen[N] = {1, 52, 4, 1, 3, 1};
static const bool none_kept[N] = {false};

static bool reduce(struct subject *s, const bool *kept, unsigned budget, uint32_t *value)
{
    memcpy(value, seen, sizeof(seen));
    struct pl_reduce r = {.n = N,
                          .value = value,
                          .plain = plain,
                          .kept = kept,
                          .opaque = s,
                          .allowed = allowed,
                          .fails = fails,
                          .budget = budget};
    return pl_reduce(&r);
}

/* All but those of the mask are plain. */
static void holds(const uint32_t *value, unsigned mask)
{
    for (size_t i = 0; i < N; i++)
        ck_assert_msg(value[i] == (mask >> i & 1 ? seen[i] : plain[i]), "parameter %zu is %u", i,
                      value[i]);
}

START_TEST(nothing_matters)
{
    struct subject s = {.either = false};
    uint32_t value[N];
    ck_assert(reduce(&s, none_kept, 100, value));
    holds(value, 0);
    ck_assert_uint_eq(s.tries, 2); /* as it was, and all plain */
}
END_TEST

START_TEST(every_subset_is_found)
{
    for (unsigned mask = 0; mask < 1u << N; mask++) {
        struct subject s = {.tries = 0};
        uint32_t value[N];
        for (size_t i = 0; i < N; i++) {
            s.needed[i] = mask >> i & 1;
            s.need[i] = seen[i];
        }
        ck_assert(reduce(&s, none_kept, 100, value));
        holds(value, mask);
        ck_assert_uint_le(s.tries, 2 + 2 * N);
    }
}
END_TEST

START_TEST(one_of_two_is_enough)
{
    struct subject s = {.needed = {true, false, true}, .need = {1, 0, 4}, .either = true};
    uint32_t value[N];
    ck_assert(reduce(&s, none_kept, 100, value));
    ck_assert(value[0] != plain[0] || value[2] != plain[2]);
    ck_assert(value[0] == plain[0] || value[2] == plain[2]);
}
END_TEST

START_TEST(what_is_kept_stays)
{
    const bool kept[N] = {true, true};
    struct subject s = {.needed = {[3] = true}, .need = {[3] = 1}};
    uint32_t value[N];
    ck_assert(reduce(&s, kept, 100, value));
    holds(value, 1 | 2 | 8);
}
END_TEST

/* Parameter 3 may only be plain where parameter 4 is: a split ring of three entries is none. */
static bool ring(const uint32_t *value)
{
    return value[3] != 0 || value[4] != 3;
}

START_TEST(what_may_not_stand_together_is_not_tried)
{
    struct subject size = {.needed = {[4] = true}, .need = {[4] = 3}, .allowed = ring};
    struct subject other = {.needed = {[0] = true}, .need = {[0] = 1}, .allowed = ring};
    uint32_t value[N];
    ck_assert(reduce(&size, none_kept, 100, value));
    holds(value, 8 | 16); /* the format is forced by the size */
    ck_assert(reduce(&other, none_kept, 100, value));
    holds(value, 1); /* set back in a second round */
}
END_TEST

START_TEST(a_failure_that_hides_is_told)
{
    struct subject once = {.hidden = 1}, gone = {.hidden = 1000};
    uint32_t value[N];
    ck_assert(reduce(&once, none_kept, 100, value));
    ck_assert(!reduce(&gone, none_kept, 100, value));
    ck_assert_uint_eq(gone.tries, PL_REDUCE_AGAIN);
    ck_assert_mem_eq(value, seen, sizeof(seen));
}
END_TEST

START_TEST(the_budget_bounds_it)
{
    for (unsigned budget = 0; budget < 12; budget++) {
        struct subject s = {.needed = {[5] = true}, .need = {[5] = 1}};
        uint32_t value[N];
        ck_assert_int_eq(reduce(&s, none_kept, budget, value), budget > 0);
        ck_assert_uint_le(s.tries, budget);
        ck_assert_uint_eq(value[5], 1); /* what it needs is never lost */
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("reduce");
    TCase *tc = tcase_create("reduce");
    tcase_add_test(tc, nothing_matters);
    tcase_add_test(tc, every_subset_is_found);
    tcase_add_test(tc, one_of_two_is_enough);
    tcase_add_test(tc, what_is_kept_stays);
    tcase_add_test(tc, what_may_not_stand_together_is_not_tried);
    tcase_add_test(tc, a_failure_that_hides_is_told);
    tcase_add_test(tc, the_budget_bounds_it);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
