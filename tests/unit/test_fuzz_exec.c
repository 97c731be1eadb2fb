/* The executor and the mutator: faithful peers fail nothing, mutants do, and a case is repeated
 * exactly; mutations keep cases whole. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/exec.h"
#include "fuzz/mutate.h"

static struct pl_case c, other, made;

static struct pl_exec *an_exec(enum pl_iut role, const char *mutant)
{
    char error[256] = "";
    pl_case_init(&c, NULL, role);
    const struct pl_exec_options options = {.spec = c.spec, .role = role, .mutant = mutant};
    struct pl_exec *x = pl_exec_new(&options, error, sizeof(error));
    ck_assert_msg(x != NULL, "%s", error);
    return x;
}

static void parse(const char *text)
{
    char error[256] = "";
    ck_assert_msg(pl_case_parse(&c, "x", text, strlen(text), error, sizeof(error)), "%s", error);
}

static const char *clause_of(const struct pl_exec_finding *f)
{
    return f->clause < 0 ? "" : pl_clauses_get(pl_clauses_find(c.spec), (size_t)f->clause)->id;
}

static bool found(const struct pl_exec_result *r, const char *clause)
{
    for (unsigned i = 0; i < r->n_findings; i++)
        if (strcmp(clause_of(&r->finding[i]), clause) == 0)
            return true;
    return false;
}

/* Random cases, and mutations of them, with the same seeds each time. */
START_TEST(faithful_peers_fail_nothing)
{
    static const char *const roles[] = {"device", "driver", "bus"};
    enum pl_iut role = (enum pl_iut)_i;
    struct pl_exec *x = an_exec(role, NULL);
    struct pl_exec_result r;
    uint64_t random = 42, messages = 0;
    for (int i = 0; i < 600; i++) {
        if (i % 3 == 0)
            pl_mutate_new(&c, NULL, role, &random);
        else
            pl_mutate(&c, &random);
        ck_assert_int_eq(pl_exec_run(x, &c, &r), 0);
        ck_assert_msg(r.n_findings == 0, "%s, case %d: %s: %s", roles[role], i,
                      clause_of(&r.finding[0]), r.finding[0].text);
        messages += r.messages;
    }
    ck_assert_uint_gt(messages, 600);
    pl_exec_free(x);
}
END_TEST

static const struct {
    enum pl_iut role;
    const char *mutant, *clause, *text;
} mutants[] = {
    {PL_IUT_DEVICE, "GVQ-DEV-01.max-gone", "GVQ-DEV-01",
     PL_CASE_MAGIC "\nrole device\nseed 0\nlife steps=8\nring queue=0\nsend GET_VQUEUE index=0\n"
                   "ring queue=1\nsend GET_VQUEUE index=1\n"},
    {PL_IUT_BUS, "FWD-BUS-01.any-number", "FWD-BUS-01",
     PL_CASE_MAGIC "\nrole bus\nsend GET_DEVICE_STATUS _dev_num=77\n"},
    {PL_IUT_DRIVER, "LIMIT-DRV-01.features", "LIMIT-DRV-01",
     PL_CASE_MAGIC "\nrole driver\nmax_msg_size 52\nstart\n"},
    /* what scenarios judge, amid other actions */
    {PL_IUT_DEVICE, "NET-DEV-85.never", "NET-DEV-85",
     PL_CASE_MAGIC "\nrole device\ntype net\nlife steps=14\nhold at_once=3\n"
                   "scenario address-table ring_packed=1 queue_size=5\nlife steps=6\n"},
    /* behind a scenario the case goes on */
    {PL_IUT_DEVICE, "GVQ-DEV-01.max-gone", "GVQ-DEV-01",
     PL_CASE_MAGIC "\nrole device\nscenario promiscuous-mode\nlife steps=8\nring queue=0\n"
                   "send GET_VQUEUE index=0\nring queue=1\nsend GET_VQUEUE index=1\n"},
    /* where the reference device has to be set to something */
    {PL_IUT_DEVICE, "BLK-DEV-14.segments", "BLK-DEV-14",
     PL_CASE_MAGIC "\nrole device\noption zoned=1\noption features_add=2\n"
                   "scenario zoned-features\n"},
    {PL_IUT_BUS, "PLUG-BUS-01.no-added", "PLUG-BUS-01",
     PL_CASE_MAGIC "\nrole bus\nscenario bus-hotplug-by-events outstanding=8\nsend PING\n"},
    {PL_IUT_DRIVER, "CORE-FEAT-DRV-07.unknown", "CORE-FEAT-DRV-07",
     PL_CASE_MAGIC "\nrole driver\nscenario unknown-features-offered\n"},
};

START_TEST(mutants_are_found)
{
    struct pl_exec *x = an_exec(mutants[_i].role, mutants[_i].mutant);
    struct pl_exec_result r;
    parse(mutants[_i].text);
    ck_assert_int_eq(pl_exec_run(x, &c, &r), 0);
    ck_assert_msg(found(&r, mutants[_i].clause), "%s lives: %u findings", mutants[_i].mutant,
                  r.n_findings);
    pl_exec_free(x);
    x = an_exec(mutants[_i].role, NULL);
    parse(mutants[_i].text);
    ck_assert_int_eq(pl_exec_run(x, &c, &r), 0);
    ck_assert_uint_eq(r.n_findings, 0);
    pl_exec_free(x);
}
END_TEST

/* Cases that the fuzzer once found to fail a faithful peer. */
static const struct {
    enum pl_iut role;
    const char *text;
} mended[] = {
    /* a queue is set while a reset goes on, and behind its end */
    {PL_IUT_DEVICE, PL_CASE_MAGIC "\nrole device\nlife steps=12\nreset-delay ms=5\nreset waits=0\n"
                                  "wait ms=10\nring queue=1\nsend GET_DEVICE_STATUS\n"
                                  "send GET_VQUEUE index=1\n"},
    /* a queue is reset once FEATURES_OK was taken back */
    {PL_IUT_DEVICE, PL_CASE_MAGIC "\nrole device\nseed 16\nlife steps=12\n"
                                  "send SET_DEVICE_STATUS status=5\nsend RESET_VQUEUE index=0\n"
                                  "send GET_VQUEUE index=0\n"},
    /* the driver writes DEVICE_NEEDS_RESET while the device tells of it */
    {PL_IUT_DEVICE, PL_CASE_MAGIC "\nrole device\nlife steps=12\nneeds-reset\n"
                                  "send SET_DEVICE_STATUS status=0x4f\n"},
    /* a queue is set behind a reset that is not answered yet */
    {PL_IUT_DEVICE, PL_CASE_MAGIC "\nrole device\ntype entropy\nlife steps=15\nhold at_once=3\n"
                                  "reset waits=1\nsend SET_DEVICE_STATUS status=legal^1\n"
                                  "send SET_VQUEUE\nlife steps=29\n"},
    /* a malformed event, and then a sound one of the same contents */
    {PL_IUT_BUS, PL_CASE_MAGIC "\nrole bus\nfar EVENT_DEVICE _size=legal^2\npresent\n"},
    {PL_IUT_BUS, PL_CASE_MAGIC "\nrole bus\nfar EVENT_DEVICE _size=legal^2\nattach\n"},
    /* an answer comes late, the driver gives up, and a queue has had nothing to do for long */
    {PL_IUT_DRIVER, PL_CASE_MAGIC "\nrole driver\noption wait=0\nstart\n"
                                  "answer GET_CONFIG _nth=4 _late=1\nio\nsend EVENT_CONFIG\nio\n"},
    /* the driver writes the capacity itself, and goes by that */
    {PL_IUT_DRIVER, PL_CASE_MAGIC "\nrole driver\nstart\nconfig-change start=1 data=00\nio\n"
                                  "config-write start=1 data=01\nio times=1\n"},
    /* without VERSION_1, a driver begins anew because an answer is late, and ahead of FAILED */
    {PL_IUT_DRIVER, PL_CASE_MAGIC "\nrole driver\nfar-option features_remove=0x100000000\nstart\n"
                                  "answer any _nth=2 _late=1\nstart\nstop\n"},
    /* GET_PARAMETERS on both sides at once */
    {PL_IUT_BUS, PL_CASE_MAGIC "\nrole bus\nparameters features=0\n"},
};

START_TEST(what_was_mended_stays_so)
{
    struct pl_exec *x = an_exec(mended[_i].role, NULL);
    struct pl_exec_result r;
    parse(mended[_i].text);
    ck_assert_int_eq(pl_exec_run(x, &c, &r), 0);
    ck_assert_msg(r.n_findings == 0, "%s", r.finding[0].text);
    pl_exec_free(x);
}
END_TEST

static uint64_t messages_of(enum pl_iut role, const char *text)
{
    struct pl_exec *x = an_exec(role, NULL);
    struct pl_exec_result r;
    parse(text);
    ck_assert_int_eq(pl_exec_run(x, &c, &r), 0);
    ck_assert_uint_eq(r.n_findings, 0);
    pl_exec_free(x);
    return r.messages;
}

/* Scenarios do not run where the case has taken away what they rely on. */
START_TEST(scenarios_rely_on_what_is_theirs)
{
    static const struct {
        enum pl_iut role;
        const char *without, *with;
    } pairs[] = {
        {PL_IUT_DEVICE, "\nrole device\nlife steps=9\nconfig-change data=01\n",
         "\nrole device\nlife steps=9\nconfig-change data=01\nscenario promiscuous-mode\n"},
        {PL_IUT_DEVICE, "\nrole device\nlife steps=9\nattach dev=4\n",
         "\nrole device\nlife steps=9\nattach dev=4\nscenario promiscuous-mode\n"},
        {PL_IUT_BUS, "\nrole bus\nsend PING\n", "\nrole bus\nsend PING\nscenario bus-ping\n"},
        {PL_IUT_DRIVER, "\nrole driver\nstart\n",
         "\nrole driver\nstart\nscenario an-undisturbed-life\n"},
        /* of the strict profile, and the bus is of the other */
        {PL_IUT_DRIVER, "\nrole driver\n", "\nrole driver\nscenario a-write-is-rejected\n"},
    };
    char text[256];
    snprintf(text, sizeof(text), PL_CASE_MAGIC "%s", pairs[_i].without);
    uint64_t n = messages_of(pairs[_i].role, text);
    snprintf(text, sizeof(text), PL_CASE_MAGIC "%s", pairs[_i].with);
    ck_assert_uint_eq(messages_of(pairs[_i].role, text), n);
}
END_TEST

/* What a case comes to does not depend on what ran before it. */
START_TEST(a_case_is_repeated_exactly)
{
    enum pl_iut role = (enum pl_iut)_i;
    struct pl_exec *x = an_exec(role, NULL), *fresh;
    struct pl_exec_result r, again;
    uint64_t random = 7;
    for (int i = 0; i < 60; i++) {
        pl_mutate_new(&c, NULL, role, &random);
        fresh = an_exec(role, NULL);
        random = random * 3 | 1;
        uint64_t at = random;
        pl_mutate_new(&c, NULL, role, &at);
        ck_assert_int_eq(pl_exec_run(x, &c, &r), 0);
        ck_assert_int_eq(pl_exec_run(fresh, &c, &again), 0);
        ck_assert_uint_eq(r.messages, again.messages);
        ck_assert_uint_eq(r.n_seen, again.n_seen);
        for (size_t k = 0; k < r.n_seen; k++)
            ck_assert_uint_eq(r.seen[k], again.seen[k]);
        pl_exec_free(fresh);
    }
    pl_exec_free(x);
}
END_TEST

START_TEST(a_case_of_another_role_is_refused)
{
    struct pl_exec *x = an_exec(PL_IUT_DEVICE, NULL);
    struct pl_exec_result r;
    pl_case_init(&c, NULL, PL_IUT_BUS);
    ck_assert_int_lt(pl_exec_run(x, &c, &r), 0);
    ck_assert(r.unrunnable && strstr(r.why, "bus"));
    pl_exec_free(x);
}
END_TEST

START_TEST(an_unknown_mutant_is_refused)
{
    char error[256] = "";
    pl_case_init(&c, NULL, PL_IUT_DEVICE);
    const struct pl_exec_options options = {.spec = c.spec, .mutant = "NOPE"};
    ck_assert_ptr_null(pl_exec_new(&options, error, sizeof(error)));
    ck_assert_ptr_nonnull(strstr(error, "NOPE"));
}
END_TEST

static void whole(const struct pl_case *one)
{
    static uint8_t bytes[PL_CASE_BYTES_MAX];
    size_t n = pl_case_encode(one, bytes, sizeof(bytes));
    ck_assert_uint_gt(n, 0);
    pl_case_decode(&other, bytes, n);
    ck_assert(pl_case_equal(one, &other));
}

START_TEST(mutations_keep_cases_whole)
{
    enum pl_iut role = (enum pl_iut)_i;
    uint64_t random = 99;
    pl_mutate_new(&c, NULL, role, &random);
    for (int i = 0; i < 3000; i++) {
        unsigned before = c.n;
        enum pl_mutation what = (enum pl_mutation)(i % PL_MUTATIONS);
        bool done = pl_mutate_once(&c, what, &random);
        ck_assert_uint_le(c.n, PL_CASE_ACTIONS);
        if (done && (what == PL_MUTATE_INSERT || what == PL_MUTATE_DUPLICATE))
            ck_assert_uint_eq(c.n, before + 1);
        if (what == PL_MUTATE_REORDER || what == PL_MUTATE_BEND || what == PL_MUTATE_HEAD)
            ck_assert_uint_eq(c.n, before);
        whole(&c);
    }
}
END_TEST

START_TEST(crossing_meets_in_the_same_state)
{
    uint64_t random = 5;
    unsigned met = 0;
    for (int i = 0; i < 500; i++) {
        static struct pl_case second;
        pl_mutate_new(&c, NULL, PL_IUT_DEVICE, &random);
        pl_mutate_new(&second, NULL, PL_IUT_DEVICE, &random);
        pl_mutate_cross(&made, &c, &second, &random);
        whole(&made);
        size_t same = 0;
        while (same < made.n && same < c.n && pl_action_equal(&made.action[same], &c.action[same]))
            same++;
        for (size_t at = 0; at <= same && same < made.n; at++)
            for (size_t k = 0; k < second.n; k++)
                if (made.n - at == second.n - k &&
                    pl_case_state(&c, at) == pl_case_state(&second, k))
                    met++, k = second.n, at = same;
    }
    ck_assert_uint_gt(met, 100);
}
END_TEST

START_TEST(feedback_has_words)
{
    struct pl_exec *x = an_exec(PL_IUT_DEVICE, NULL);
    struct pl_exec_result r;
    char text[128];
    bool clause = false, state = false;
    parse(PL_CASE_MAGIC "\nrole device\nlife steps=12\n");
    ck_assert_int_eq(pl_exec_run(x, &c, &r), 0);
    for (size_t i = 0; i < r.n_seen; i++) {
        pl_feedback_text(c.spec, r.seen[i], text, sizeof(text));
        clause |= strstr(text, " exercised") != NULL;
        state |= strstr(text, "DRIVER_OK") && strstr(text, "received");
    }
    ck_assert(clause && state);
    pl_exec_free(x);
}
END_TEST

static unsigned opened;

static void *open_counted(const void *config, const struct pl_endpoint_env *env)
{
    opened++;
    return pl_device_endpoint.open(config, env);
}

/* An IUT of somebody else's is started once, and goes on behind a reset; another bus needs another
 * start. */
START_TEST(an_iut_goes_on_from_case_to_case)
{
    static const char life[] = PL_CASE_MAGIC "\nrole device\nlife steps=12\nhold at_once=4\n"
                                             "send GET_CONFIG\nsend GET_CONFIG\n";
    static const char other_bus[] = PL_CASE_MAGIC "\nrole device\nmax_msg_size 52\nfence\n";
    char error[256] = "";
    struct pl_exec_result r;
    struct pl_endpoint_ops counted = pl_device_endpoint;
    counted.open = open_counted;
    opened = 0;
    parse(life);
    struct pl_port *port = pl_port_inprocess(c.spec, &counted, NULL, "counted", 1 << 20);
    const struct pl_exec_options options = {.spec = c.spec, .port = port, .keep = true};
    struct pl_exec *x = pl_exec_new(&options, error, sizeof(error));
    ck_assert_msg(x != NULL, "%s", error);
    for (int i = 0; i < 5; i++) {
        ck_assert_int_eq(pl_exec_run(x, &c, &r), 0);
        ck_assert(r.n_findings == 0 && r.alive && r.messages >= 28);
    }
    ck_assert_uint_eq(opened, 1);
    parse(other_bus);
    ck_assert_int_eq(pl_exec_run(x, &c, &r), 0);
    ck_assert_uint_eq(opened, 2);
    pl_exec_free(x);
    port->ops->close(port);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("fuzz_exec");
    TCase *t = tcase_create("exec");
    tcase_set_timeout(t, 120);
    tcase_add_loop_test(t, faithful_peers_fail_nothing, 0, 3);
    tcase_add_loop_test(t, mutants_are_found, 0, (int)(sizeof(mutants) / sizeof(mutants[0])));
    tcase_add_loop_test(t, scenarios_rely_on_what_is_theirs, 0, 5);
    tcase_add_loop_test(t, what_was_mended_stays_so, 0, (int)(sizeof(mended) / sizeof(mended[0])));
    tcase_add_loop_test(t, a_case_is_repeated_exactly, 0, 3);
    tcase_add_test(t, a_case_of_another_role_is_refused);
    tcase_add_test(t, an_unknown_mutant_is_refused);
    tcase_add_loop_test(t, mutations_keep_cases_whole, 0, 3);
    tcase_add_test(t, crossing_meets_in_the_same_state);
    tcase_add_test(t, feedback_has_words);
    tcase_add_test(t, an_iut_goes_on_from_case_to_case);
    suite_add_tcase(suite, t);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
