/* Parts of campaigns: generated cases are cases, and shrinking keeps what a case is kept for. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/generate.h"
#include "fuzz/shrink.h"

enum { CASES = 400 };

static struct pl_case one, two;
static uint8_t bytes[PL_CASE_BYTES_MAX];
static char text[PL_CASE_TEXT_MAX], error[512];

static struct pl_generator generator(enum pl_iut role, enum pl_focus focus, uint64_t seed)
{
    struct pl_generator g = {.role = role, .focus = focus, .random = seed};
    pl_case_init(&one, NULL, role);
    g.spec = one.spec;
    ck_assert_int_eq(pl_generator_learn(&g), 0);
    return g;
}

static void check_forms(const struct pl_case *c)
{
    size_t n = pl_case_encode(c, bytes, sizeof(bytes));
    ck_assert_uint_gt(n, 0);
    pl_case_decode(&two, bytes, n);
    ck_assert(pl_case_equal(c, &two));
    n = pl_case_format(c, text, sizeof(text));
    ck_assert_msg(pl_case_parse(&two, "generated", text, n, error, sizeof(error)), "%s\n%s", error,
                  text);
    ck_assert(pl_case_equal(c, &two));
}

/* Everything that is generated, by any focus, stands in either form without loss. */
START_TEST(generated_cases_are_cases)
{
    for (enum pl_focus focus = 0; focus < PL_FOCI; focus++) {
        struct pl_generator g = generator((enum pl_iut)_i, focus, 1 + focus);
        for (unsigned i = 0; i < CASES; i++) {
            pl_generate_case(&g, &one);
            pl_generate_about(&g, &one, one.n / 2u, (enum pl_kind)(1 + i % (PL_KIND_COUNT - 1)));
            ck_assert_int_eq(one.role, _i);
            ck_assert_uint_le(one.n, PL_CASE_ACTIONS);
            check_forms(&one);
        }
        pl_generator_free(&g);
    }
}
END_TEST

START_TEST(the_seed_decides)
{
    static struct pl_case first[20];
    for (unsigned round = 0; round < 2; round++) {
        struct pl_generator g = generator(PL_IUT_DEVICE, PL_FOCUS_ALL, 77);
        for (unsigned i = 0; i < 20; i++) {
            pl_generate_case(&g, round ? &one : &first[i]);
            ck_assert(!round || pl_case_equal(&one, &first[i]));
        }
        pl_generator_free(&g);
    }
}
END_TEST

START_TEST(a_focus_leans)
{
    unsigned rings[2] = {0, 0};
    for (unsigned which = 0; which < 2; which++) {
        struct pl_generator g =
            generator(PL_IUT_DEVICE, which ? PL_FOCUS_RING : PL_FOCUS_GENERATION, 5);
        for (unsigned i = 0; i < CASES; i++) {
            pl_generate_case(&g, &one);
            for (unsigned k = 0; k < one.n; k++)
                rings[which] += one.action[k].op == PL_ACT_CHAIN;
        }
        pl_generator_free(&g);
    }
    ck_assert_uint_gt(rings[1], 10 * (rings[0] + 1));
}
END_TEST

/* A clause that only scenarios judge gets one of them, and a peer that it can show on; what is
 * nobody's gets none. */
START_TEST(a_scenario_for_a_clause)
{
    struct pl_generator g = generator(PL_IUT_DEVICE, PL_FOCUS_ALL, 3);
    g.reference = true;
    bool zoned = false;
    for (unsigned i = 0; i < 20; i++) {
        pl_case_init(&one, g.spec, PL_IUT_DEVICE);
        ck_assert(pl_generate_scenario(&g, &one, "BLK-DEV-46"));
        ck_assert_uint_eq(one.n, 1);
        ck_assert_uint_eq(one.action[0].op, PL_ACT_SCENARIO);
        check_forms(&one);
        pl_case_format(&one, text, sizeof(text));
        zoned |= strstr(text, "option zoned=1\n") != NULL;
    }
    ck_assert(zoned);
    ck_assert(!pl_generate_scenario(&g, &one, "NOPE-DEV-01"));
    pl_generator_free(&g);
}
END_TEST

/* An implementation of somebody else's has none of the reference peer's options. */
START_TEST(options_are_the_reference_peer_s)
{
    unsigned with[2] = {0, 0};
    for (unsigned reference = 0; reference < 2; reference++) {
        struct pl_generator g = generator((enum pl_iut)_i, PL_FOCUS_ALL, 4);
        g.reference = reference;
        for (unsigned i = 0; i < CASES; i++) {
            pl_generate_case(&g, &one);
            with[reference] += one.n_options > 0;
        }
        pl_generator_free(&g);
    }
    ck_assert_uint_eq(with[0], 0);
    ck_assert(with[1] > 0 || _i != PL_IUT_DEVICE);
}
END_TEST

/* Full cases have no room for more, and stay as they are. */
START_TEST(there_is_room_for_so_many_actions)
{
    struct pl_generator g = generator(PL_IUT_BUS, PL_FOCUS_ALL, 9);
    pl_generate_case(&g, &one);
    for (unsigned i = 0; i < 3 * PL_CASE_ACTIONS; i++)
        pl_generate_more(&g, &one, one.n);
    ck_assert_uint_le(one.n, PL_CASE_ACTIONS);
    ck_assert_uint_gt(one.n, PL_CASE_ACTIONS - 16);
    check_forms(&one);
    pl_generator_free(&g);
}
END_TEST

/* --- shrinking --- */

struct wanted {
    unsigned asked;
};

/* A wait of 7 ms and more, and behind it a request with a bent size. */
static bool has_both(void *opaque, const struct pl_case *c)
{
    struct wanted *w = opaque;
    bool waited = false;
    w->asked++;
    for (unsigned i = 0; i < c->n; i++) {
        const struct pl_action *a = &c->action[i];
        waited |= a->op == PL_ACT_WAIT && pl_action_number(a, PL_ARG_MS, 0) >= 7;
        if (waited && a->op == PL_ACT_SEND && a->kind == PL_PING && pl_action_get(a, PL_ARG_SIZE))
            return true;
    }
    return false;
}

static void make_large(void)
{
    struct pl_generator g = generator(PL_IUT_DEVICE, PL_FOCUS_ALL, 21);
    pl_generate_case(&g, &one);
    while (one.n < 60)
        pl_generate_more(&g, &one, one.n);
    pl_generator_free(&g);
    memset(&one.action[20], 0, sizeof(one.action[0]));
    one.action[20].op = PL_ACT_WAIT;
    pl_action_set(&one.action[20], PL_ARG_MS, PL_VALUE_NUMBER, 900);
    memset(&one.action[50], 0, sizeof(one.action[0]));
    one.action[50].op = PL_ACT_SEND;
    one.action[50].kind = PL_PING;
    pl_action_set(&one.action[50], PL_ARG_TOKEN, PL_VALUE_NUMBER, 3);
    pl_action_set(&one.action[50], PL_ARG_SIZE, PL_VALUE_PLUS, 0 - UINT64_C(90));
    one.action[50].has_data = true;
    one.action[50].data_len = 20;
    one.max_msg_size = one.spec->min_max_msg_size;
    one.seed = 0xdeadbeef;
}

START_TEST(a_case_becomes_smallest)
{
    struct wanted w = {0};
    make_large();
    int asked = pl_shrink(&one, has_both, &w, 4000);
    ck_assert_int_eq(asked, (int)w.asked);
    ck_assert(has_both(&w, &one));
    ck_assert_uint_eq(one.n, 2);
    ck_assert_uint_eq(pl_action_number(&one.action[0], PL_ARG_MS, 0), 7);
    ck_assert_uint_eq(one.action[1].n_set, 1);
    ck_assert_uint_eq(one.action[1].set[0].name, PL_ARG_SIZE);
    ck_assert_uint_eq(one.action[1].set[0].value, 0);
    ck_assert(!one.action[1].has_data);
    ck_assert_uint_eq(one.seed, 0);
    ck_assert_uint_eq(one.max_msg_size, one.spec->recommended_max_msg_size);
}
END_TEST

START_TEST(only_actions_may_go)
{
    struct wanted w = {0};
    make_large();
    pl_shrink_actions(&one, has_both, &w, 4000);
    ck_assert_uint_eq(one.n, 2);
    ck_assert_uint_eq(one.action[1].n_set, 2);
    ck_assert_uint_eq(one.seed, 0xdeadbeef);
}
END_TEST

START_TEST(the_budget_is_kept)
{
    struct wanted w = {0};
    make_large();
    ck_assert_int_eq(pl_shrink(&one, has_both, &w, 10), 10);
    ck_assert_uint_eq(w.asked, 10);
    ck_assert(has_both(&w, &one));
}
END_TEST

static bool never(void *opaque, const struct pl_case *c)
{
    (void)c;
    ++*(unsigned *)opaque;
    return false;
}

START_TEST(what_does_not_do_it_is_not_kept)
{
    unsigned asked = 0;
    make_large();
    two = one;
    pl_shrink(&one, never, &asked, 100000);
    ck_assert_uint_gt(asked, 100);
    ck_assert(pl_case_equal(&one, &two));
}
END_TEST

int main(void)
{
    Suite *s = suite_create("fuzz_campaign");
    TCase *t = tcase_create("all");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, generated_cases_are_cases, PL_IUT_DEVICE, PL_IUT_BUS + 1);
    tcase_add_test(t, the_seed_decides);
    tcase_add_test(t, a_focus_leans);
    tcase_add_test(t, a_scenario_for_a_clause);
    tcase_add_loop_test(t, options_are_the_reference_peer_s, 0, 3);
    tcase_add_test(t, there_is_room_for_so_many_actions);
    tcase_add_test(t, a_case_becomes_smallest);
    tcase_add_test(t, only_actions_may_go);
    tcase_add_test(t, the_budget_is_kept);
    tcase_add_test(t, what_does_not_do_it_is_not_kept);
    suite_add_tcase(s, t);
    SRunner *r = srunner_create(s);
    srunner_run_all(r, CK_NORMAL);
    int failed = srunner_ntests_failed(r);
    srunner_free(r);
    return failed ? 1 : 0;
}
