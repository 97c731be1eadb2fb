/* Cases: bytes, text and back; what the text form refuses. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "engine/scenario.h"
#include "fuzz/case.h"
#include "wire/random.h"

static struct pl_case *a_case(void)
{
    struct pl_case *c = malloc(sizeof(*c));
    ck_assert_ptr_nonnull(c);
    return c;
}

/* Through bytes and through text, and the same again. */
static void there_and_back(const struct pl_case *c)
{
    static uint8_t bytes[PL_CASE_BYTES_MAX];
    static char text[PL_CASE_TEXT_MAX];
    char error[256] = "";
    struct pl_case *other = a_case();
    memset(other, 0xa5, sizeof(*other));
    size_t n = pl_case_encode(c, bytes, sizeof(bytes));
    ck_assert_uint_gt(n, 0);
    pl_case_decode(other, bytes, n);
    ck_assert_msg(pl_case_equal(c, other), "bytes");
    memset(other, 0xa5, sizeof(*other));
    n = pl_case_format(c, text, sizeof(text));
    ck_assert_uint_lt(n, sizeof(text));
    ck_assert_msg(pl_case_parse(other, "x", text, n, error, sizeof(error)), "%s\n%s", error, text);
    ck_assert_msg(pl_case_equal(c, other), "text:\n%s", text);
    free(other);
}

START_TEST(any_bytes_are_a_case)
{
    uint64_t x = 0x123456789abcdef1u + (unsigned)_i;
    uint8_t bytes[2048];
    struct pl_case *c = a_case();
    unsigned actions = 0;
    for (int round = 0; round < 4000; round++) {
        size_t n = pl_random(&x) % sizeof(bytes);
        for (size_t i = 0; i < n; i++)
            bytes[i] = (uint8_t)(pl_random(&x) >> 20);
        pl_case_decode(c, bytes, n);
        actions += c->n;
        ck_assert_uint_eq(c->n_options, 0); /* only who means them says options */
        there_and_back(c);
    }
    ck_assert_uint_gt(actions, 4000);
    free(c);
}
END_TEST

START_TEST(no_bytes_are_an_empty_case)
{
    struct pl_case *c = a_case();
    pl_case_decode(c, NULL, 0);
    ck_assert_int_eq(c->role, PL_IUT_DEVICE);
    ck_assert_uint_eq(c->n, 0);
    ck_assert_uint_eq(c->max_msg_size, c->spec->recommended_max_msg_size);
    free(c);
}
END_TEST

/* The largest that there is fits into what is said to be enough. */
START_TEST(the_largest_case)
{
    struct pl_case *c = a_case();
    for (int role = 0; role < 3; role++) {
        pl_case_init(c, NULL, (enum pl_iut)role);
        while (c->n < PL_CASE_ACTIONS) {
            struct pl_action *a = &c->action[c->n++];
            uint8_t allowed[PL_ALLOWED_MAX];
            *a = (struct pl_action){.op = PL_ACT_SEND, .kind = PL_SET_VQUEUE, .has_data = true};
            a->data_len = PL_CASE_DATA;
            size_t n = pl_settings_of(c->spec, a, allowed);
            for (size_t i = 0; i < n && i < PL_CASE_SETTINGS; i++)
                ck_assert(pl_action_set(a, allowed[i], PL_VALUE_XOR, UINT64_C(1) << 63 | 12345));
        }
        there_and_back(c);
    }
    free(c);
}
END_TEST

static const char whole[] =
    PL_CASE_MAGIC "\n"
                  "# a comment\n"
                  "role driver\n"
                  "spec virtio-msg-r1\n"
                  "max_msg_size 64\n"
                  "features STRICT_CONFIG_GENERATION\n"
                  "type entropy   # another comment\n"
                  "seed 7\n"
                  "option wait=1\n"
                  "far-option reset_delay=3\n"
                  "\n"
                  "start\n"
                  "answer GET_DEVICE_STATUS _nth=2 status=STATUS_ACKNOWLEDGE|STATUS_DRIVER _cut=1\n"
                  "answer any _lose=1\n"
                  "send EVENT_CONFIG device_status=legal^0x40 generation=legal-1 length=0\n"
                  "send GET_CONFIG response length=legal _token=legal+1 data=00ff\n"
                  "release how=reverse\n"
                  "scribble part=device queue=1 place=2 data=ffff\n";

START_TEST(a_whole_text)
{
    struct pl_case *c = a_case();
    char error[256] = "";
    ck_assert_msg(pl_case_parse(c, "x", whole, strlen(whole), error, sizeof(error)), "%s", error);
    ck_assert_uint_eq(c->n, 7);
    ck_assert_int_eq(c->role, PL_IUT_DRIVER);
    ck_assert_uint_eq(c->max_msg_size, 64);
    ck_assert_uint_eq(c->features, 1u << PL_C_TF_STRICT_CONFIG_GENERATION);
    ck_assert_uint_eq(c->n_options, 1);
    ck_assert_uint_eq(c->n_far, 1);
    ck_assert_uint_eq(pl_action_number(&c->action[1], PL_F_status, 0), 3);
    ck_assert_uint_eq(pl_action_number(&c->action[1], PL_ARG_NTH, 0), 2);
    ck_assert_uint_eq(c->action[2].kind, PL_NONE);
    ck_assert_int_eq(pl_action_get(&c->action[3], PL_F_generation)->how, PL_VALUE_PLUS);
    ck_assert_uint_eq(pl_action_get(&c->action[3], PL_F_generation)->value, UINT64_MAX);
    ck_assert(c->action[4].response && c->action[4].data_len == 2 && c->action[4].data[1] == 0xff);
    ck_assert_uint_eq(pl_action_number(&c->action[5], PL_ARG_HOW, 9), PL_HOW_REVERSE);
    there_and_back(c);
    free(c);
}
END_TEST

/* Scenarios by name, with what they are combined with. */
START_TEST(scenarios_are_named)
{
    static const char *const texts[] = {
        PL_CASE_MAGIC "\nrole device\nscenario promiscuous-mode choice=3 ring_packed=1\n",
        PL_CASE_MAGIC "\nrole driver\nscenario unknown-features-offered at=2 queue_size=64\n",
        PL_CASE_MAGIC "\nrole bus\nscenario bus-ping outstanding=4\n"};
    struct pl_case *c = a_case();
    char error[256] = "";
    ck_assert_msg(pl_case_parse(c, "x", texts[_i], strlen(texts[_i]), error, sizeof(error)), "%s",
                  error);
    ck_assert_uint_eq(c->n, 1);
    const struct pl_scenario *s = pl_case_scenario(c->spec, c->role, c->action[0].scenario);
    ck_assert_ptr_nonnull(s);
    ck_assert_ptr_nonnull(strstr(texts[_i], s->name));
    there_and_back(c);
    c->action[0].scenario = (uint16_t)(pl_case_scenarios_of(c->spec, c->role) - 1);
    there_and_back(c);
    ck_assert_ptr_null(pl_case_scenario(c->spec, c->role, c->action[0].scenario + 1u));
    free(c);
}
END_TEST

static const struct wrong {
    const char *text, *error;
} wrongs[] = {
    {"", "x:1: no case: its first line is"},
    {"hello\n", "x:1: no case"},
    {"plumbline-case 2\n", "x:1: a case of version '2'"},
    {PL_CASE_MAGIC "\n", "the case says no 'role'"},
    {PL_CASE_MAGIC "\nlife\n", "x:2: 'life' comes ahead of 'role'"},
    {PL_CASE_MAGIC "\nrole gpu\n", "x:2: role is device, driver or bus"},
    {PL_CASE_MAGIC "\nrole device\nspec virtio-msg-r9\n", "x:3: 'virtio-msg-r9' is no"},
    {PL_CASE_MAGIC "\nrole device\nmax_msg_size 7\n", "x:3: max_msg_size 7 is not within"},
    {PL_CASE_MAGIC "\nrole device\nseed 1\nseed 2\n", "x:4: seed is given twice"},
    {PL_CASE_MAGIC "\nrole device\nseed 1\nspec virtio-msg-r1\n", "x:4: spec stands too late"},
    {PL_CASE_MAGIC "\nrole device\nlife\nseed 1\n", "x:4: seed stands behind an action"},
    {PL_CASE_MAGIC "\nrole device\noption nope=1\n", "x:3: 'nope' is no option of the reference"},
    {PL_CASE_MAGIC "\nrole device\nfar-option x=1\n", "x:3: far-option speaks of"},
    {PL_CASE_MAGIC "\nrole device\njump\n", "x:3: 'jump' is no action"},
    {PL_CASE_MAGIC "\nrole device\nlisten\n", "x:3: listen is no action where a device is tested"},
    {PL_CASE_MAGIC "\nrole device\nsend\n", "x:3: send names no message"},
    {PL_CASE_MAGIC "\nrole device\nsend NOPE\n", "x:3: virtio-msg-r1 has no message 'NOPE'"},
    {PL_CASE_MAGIC "\nrole device\nsend GET_CONFIG status=1\n", "x:3: send has no 'status' here"},
    {PL_CASE_MAGIC "\nrole device\nsend GET_CONFIG offset=1 offset=1\n", "offset is given twice"},
    {PL_CASE_MAGIC "\nrole device\nsend GET_CONFIG offset=zero\n", "x:3: 'zero' is neither"},
    {PL_CASE_MAGIC "\nrole device\nsend GET_CONFIG offset=0x1ffffffffffffffff\n", "64 bits"},
    {PL_CASE_MAGIC "\nrole device\nsend GET_CONFIG offset=legal*2\n", "x:3: 'legal*2' is no"},
    {PL_CASE_MAGIC "\nrole device\nsend GET_CONFIG data=0\n", "x:3: data has 1 hexadecimal"},
    {PL_CASE_MAGIC "\nrole device\nsend GET_CONFIG data=0g\n", "x:3: '0g' in data"},
    {PL_CASE_MAGIC "\nrole device\nsend EVENT_AVAIL response\n", "EVENT_AVAIL has no response"},
    {PL_CASE_MAGIC "\nrole device\nlife steps=legal\n", "steps is a number"},
    {PL_CASE_MAGIC "\nrole device\nfence data=00\n", "x:3: fence has no data"},
    {PL_CASE_MAGIC "\nrole device\nnotify when=soon\n", "x:3: 'soon' is no value of when"},
    {PL_CASE_MAGIC "\nrole device\nscenario\n", "x:3: scenario names no scenario"},
    {PL_CASE_MAGIC "\nrole device\nscenario nope\n", "no scenario 'nope' for a device"},
    {PL_CASE_MAGIC "\nrole device\nscenario bus-ping\n", "no scenario 'bus-ping' for a device"},
    {PL_CASE_MAGIC "\nrole bus\nscenario bus-ping choice=legal\n", "choice is a number"},
    {PL_CASE_MAGIC "\nrole device\nlife steps\n", "x:3: 'steps' is not NAME=VALUE"},
};

START_TEST(what_is_wrong_is_named)
{
    const struct wrong *w = &wrongs[_i];
    char error[256] = "";
    struct pl_case *c = a_case();
    ck_assert_msg(!pl_case_parse(c, "x", w->text, strlen(w->text), error, sizeof(error)), "%s",
                  w->text);
    ck_assert_msg(strstr(error, w->error), "'%s' and not '%s'", error, w->error);
    free(c);
}
END_TEST

START_TEST(too_many_actions)
{
    static char text[4096];
    char error[256] = "";
    struct pl_case *c = a_case();
    strcpy(text, PL_CASE_MAGIC "\nrole device\n");
    for (int i = 0; i <= PL_CASE_ACTIONS; i++)
        strcat(text, "fence\n");
    ck_assert(!pl_case_parse(c, "x", text, strlen(text), error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "actions at most"));
    free(c);
}
END_TEST

START_TEST(every_action_has_a_name_and_a_role)
{
    for (unsigned op = 0; op < PL_ACTS; op++) {
        ck_assert_ptr_nonnull(pl_ops[op].name);
        ck_assert_uint_ne(pl_ops[op].roles, 0);
    }
    for (unsigned name = PL_ARG_FIRST; name < PL_ARG_NAMES; name++)
        ck_assert_ptr_nonnull(pl_setting_text(name));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fuzz_case");
    TCase *t = tcase_create("case");
    tcase_set_timeout(t, 60);
    tcase_add_loop_test(t, any_bytes_are_a_case, 0, 2);
    tcase_add_test(t, no_bytes_are_an_empty_case);
    tcase_add_test(t, the_largest_case);
    tcase_add_test(t, a_whole_text);
    tcase_add_loop_test(t, scenarios_are_named, 0, 3);
    tcase_add_loop_test(t, what_is_wrong_is_named, 0, (int)(sizeof(wrongs) / sizeof(wrongs[0])));
    tcase_add_test(t, too_many_actions);
    tcase_add_test(t, every_action_has_a_name_and_a_role);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
