/* Corpora: entries as text, what their text form refuses, archives and hostile ones, shrinking. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "corpus/bundle.h"
#include "corpus/check.h"
#include "corpus/corpus.h"
#include "corpus/cover.h"
#include "fuzz/shrink.h"

/* clang-format off */
#define HEAD \
    PL_ENTRY_MAGIC "\n# a comment\ndraft virtio-msg-r1\nrole device\n"
#define TAIL \
    "origin by hand\nlicense BSD-3-Clause OR (MIT AND Zlib)\n\n"
#define CASE \
    PL_CASE_MAGIC "\nrole device\nseed 7\nlife steps=2\n"
/* clang-format on */

static struct pl_entry *an_entry(void)
{
    struct pl_entry *e = malloc(sizeof(*e));
    ck_assert_ptr_nonnull(e);
    return e;
}

static struct pl_wrong_peer a_mutant(enum pl_iut role, size_t i)
{
    struct pl_wrong_peer peer;
    ck_assert(pl_wrong_peer_at(pl_spec_find("virtio-msg-r1"), role, i, &peer));
    return peer;
}

/* --- entries --- */

START_TEST(an_entry_there_and_back)
{
    static char text[PL_ENTRY_MAX], again[PL_ENTRY_MAX];
    char error[256] = "";
    struct pl_entry *e = an_entry(), *other = an_entry();
    struct pl_wrong_peer first = a_mutant(PL_IUT_DEVICE, 0), second = a_mutant(PL_IUT_DEVICE, 1);
    snprintf(text, sizeof(text),
             HEAD "clauses HDR-DEV-01 STAT-DEV-04\nclauses RVQ-DEV-01\nexpect pass\n"
                  "expect fail %s with %s\nexpect fail HDR-DEV-01 RVQ-DEV-01 with %s\n" TAIL CASE,
             first.clauses[0], first.id, second.id);
    ck_assert_msg(pl_entry_parse(e, "x", text, strlen(text), error, sizeof(error)), "%s", error);
    ck_assert_uint_eq(e->n_clauses, 3);
    ck_assert(e->pass);
    ck_assert_uint_eq(e->n_fails, 2);
    ck_assert_ptr_eq(e->fail[0].mutant, first.id);
    ck_assert_uint_eq(e->fail[1].n, 2);
    ck_assert_str_eq(e->origin, "by hand");
    ck_assert_str_eq(e->license, "BSD-3-Clause OR (MIT AND Zlib)");
    ck_assert_uint_eq(e->c.seed, 7);
    size_t n = pl_entry_format(e, text, sizeof(text));
    ck_assert_uint_lt(n, sizeof(text));
    ck_assert_msg(pl_entry_parse(other, "x", text, n, error, sizeof(error)), "%s", error);
    ck_assert(pl_case_equal(&e->c, &other->c));
    ck_assert_uint_eq(pl_entry_format(other, again, sizeof(again)), n);
    ck_assert_str_eq(text, again);
    free(e);
    free(other);
}
END_TEST

static const struct wrong {
    const char *text, *error;
} wrongs[] = {
    {"", "x:1: no entry: its first line is"},
    {"hello\n", "x:1: no entry"},
    {"plumbline-entry 2\n", "x:1: an entry of version '2'"},
    {CASE, "x:1: no entry"},
    {PL_ENTRY_MAGIC "\n", "x:1: there is no case"},
    {PL_ENTRY_MAGIC "\nrole device\n", "x:2: role comes ahead of 'draft'"},
    {PL_ENTRY_MAGIC "\ndraft virtio-msg-r9\n", "x:2: 'virtio-msg-r9' is no draft"},
    {PL_ENTRY_MAGIC "\ndraft virtio-msg-r1\nrole gpu\n", "x:3: role is device, driver or bus"},
    {HEAD "color red\n", "x:5: 'color' is no line of an entry's head"},
    {HEAD "clauses\n", "x:5: there is no clause"},
    {HEAD "clauses RVQ-DEV-99\n", "x:5: virtio-msg-r1 has no clause 'RVQ-DEV-99'"},
    {HEAD "role device\n", "x:5: role is given twice"},
    {HEAD "expect pass\nclauses RVQ-DEV-01\n", "x:6: clauses stands too late"},
    {HEAD "expect maybe\n", "x:5: it is 'expect pass' or"},
    {HEAD "expect pass\nexpect pass\n", "x:6: 'expect pass' is given twice"},
    {HEAD "expect fail RVQ-DEV-01\n", "x:5: it is 'expect fail CLAUSE... with MUTANT'"},
    {HEAD "expect fail RVQ-DEV-01 with NOBODY\n", "x:5: 'NOBODY' is no mutant"},
    {HEAD TAIL, "x:5: origin comes ahead of 'expect'"},
    {HEAD "expect pass\norigin\n", "x:6: there is nothing behind 'origin'"},
    {HEAD "expect pass\norigin x\nlicense mine, all mine\n", "x:7: 'mine, all mine' is no SPDX"},
    {HEAD "expect pass\norigin x\n" CASE, "x:7: the case comes ahead of 'license'"},
    {HEAD "expect pass\n" TAIL, "there is no case"},
    {HEAD "expect pass\n" TAIL PL_CASE_MAGIC "\nrole device\nfly\n", "x:11: 'fly' is no action"},
    {HEAD "expect pass\n" TAIL PL_CASE_MAGIC "\nrole bus\n", "the case is for a bus"},
    {HEAD "expect pass\n" TAIL "plumbline-case 9\nrole device\n", "x:9: a case of version '9'"},
};

START_TEST(what_is_no_entry)
{
    const struct wrong *w = &wrongs[_i];
    char error[256] = "";
    struct pl_entry *e = an_entry();
    ck_assert(!pl_entry_parse(e, "x", w->text, strlen(w->text), error, sizeof(error)));
    ck_assert_msg(strstr(error, w->error) != NULL, "'%s' instead of '%s'", error, w->error);
    free(e);
}
END_TEST

START_TEST(cut_anywhere_is_an_error_or_an_entry)
{
    static const char whole[] = HEAD "clauses RVQ-DEV-01\nexpect pass\n" TAIL CASE;
    char error[256], copy[sizeof(whole)];
    struct pl_entry *e = an_entry();
    for (size_t n = 0; n < sizeof(whole); n++) {
        memcpy(copy, whole, n);
        error[0] = '\0';
        bool fine = pl_entry_parse(e, "x", copy, n, error, sizeof(error));
        ck_assert(fine != (error[0] != '\0'));
        copy[n ? n - 1 : 0] = '\0'; /* and a zero in it */
        pl_entry_parse(e, "x", copy, n, error, sizeof(error));
    }
    free(e);
}
END_TEST

START_TEST(licenses)
{
    static const char *const right[] = {"MIT",
                                        "BSD-3-Clause",
                                        "GPL-2.0+",
                                        "A AND B OR C",
                                        "(A)",
                                        "(A OR B) AND C",
                                        "GPL-2.0-only WITH x-note"};
    static const char *const wrong[] = {"",   " ",  "AND", "A B",       "A AND", "(A",
                                        "A)", "()", "A,B", "A OR OR B", "A\tB",  "(A B)"};
    for (size_t i = 0; i < sizeof(right) / sizeof(right[0]); i++)
        ck_assert_msg(pl_license_is_spdx(right[i]), "%s", right[i]);
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_msg(!pl_license_is_spdx(wrong[i]), "'%s'", wrong[i]);
}
END_TEST

/* --- archives --- */

START_TEST(names)
{
    static const char *const wrong[] = {
        "",         "/a.txt", "../a.txt", "a/../b.txt", "a//b.txt",
        "a/",       ".a.txt", "a/.b.txt", "-a.txt",     "a b.txt",
        "a\nb.txt", "a.bin",  "a\\b.txt", "MANIFEST",   "a/b/c/d/e/f/g/h/i.txt"};
    char longest[PL_BUNDLE_NAME + 2];
    memset(longest, 'a', sizeof(longest));
    strcpy(longest + PL_BUNDLE_NAME - 3, ".txt");
    ck_assert_ptr_nonnull(pl_bundle_name_wrong(longest));
    ck_assert_ptr_null(pl_bundle_name_wrong(longest + 1));
    ck_assert_ptr_null(pl_bundle_name_wrong("device/mutants/RVQ-DEV-01.a_b.txt"));
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
        ck_assert_msg(pl_bundle_name_wrong(wrong[i]) != NULL, "'%s'", wrong[i]);
}
END_TEST

START_TEST(digests)
{
    char digest[PL_DIGEST_TEXT];
    pl_digest_text("abc", 3, digest);
    ck_assert_str_eq(digest, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    pl_digest_text("", 0, digest);
    ck_assert_str_eq(digest, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
END_TEST

static uint8_t *an_archive(size_t *size)
{
    static const struct pl_bundle_file files[] = {
        {"bus/b.txt", "second", 6}, {"device/a.txt", "", 0}, {"device/b.txt", "third\n", 6}};
    uint8_t *bytes = pl_bundle_make(files, 3, size);
    ck_assert_ptr_nonnull(bytes);
    return bytes;
}

START_TEST(an_archive_there_and_back)
{
    char error[256] = "";
    size_t size, n = 0;
    uint8_t *bytes = an_archive(&size);
    struct pl_bundle_file *file = pl_bundle_read("x", bytes, size, &n, error, sizeof(error));
    ck_assert_msg(file != NULL, "%s", error);
    ck_assert_uint_eq(n, 3);
    ck_assert_str_eq(file[1].name, "device/a.txt");
    ck_assert_uint_eq(file[1].size, 0);
    ck_assert_mem_eq(file[2].text, "third\n", 6);
    free(file);
    free(bytes);
}
END_TEST

/* Any byte changed, and any end cut off, is refused. */
START_TEST(no_byte_of_an_archive_can_change)
{
    char error[256];
    size_t size, n;
    uint8_t *bytes = an_archive(&size);
    for (size_t i = 0; i < size; i++) {
        bytes[i] ^= 0x21;
        error[0] = '\0';
        struct pl_bundle_file *file = pl_bundle_read("x", bytes, size, &n, error, sizeof(error));
        ck_assert_msg(!file, "byte %zu", i);
        ck_assert(error[0] != '\0');
        free(file);
        bytes[i] ^= 0x21;
    }
    for (size_t i = 0; i < size; i++) {
        uint8_t *cut = malloc(i + 1);
        memcpy(cut, bytes, i);
        ck_assert_ptr_null(pl_bundle_read("x", cut, i, &n, error, sizeof(error)));
        free(cut);
    }
    free(bytes);
}
END_TEST

/* --- running --- */

static const char reset_twice[] = PL_CASE_MAGIC "\nrole device\nseed 9\nlife steps=12\nfence\n"
                                                "wait ms=3\nreset waits=1\nlife steps=3\n";

static void a_case(struct pl_case *c, const char *text)
{
    char error[256] = "";
    ck_assert_msg(pl_case_parse(c, "x", text, strlen(text), error, sizeof(error)), "%s", error);
}

/* Counts how often it is asked, and wants a reset. */
static bool has_reset(void *opaque, const struct pl_case *c)
{
    ++*(unsigned *)opaque;
    for (unsigned i = 0; i < c->n; i++)
        if (c->action[i].op == PL_ACT_RESET)
            return true;
    return false;
}

START_TEST(shrinking)
{
    unsigned asked = 0;
    struct pl_case *c = malloc(sizeof(*c));
    a_case(c, reset_twice);
    ck_assert_int_eq(pl_shrink(c, has_reset, &asked, 1000), (int)asked);
    ck_assert_uint_eq(c->n, 1);
    ck_assert_uint_eq(c->action[0].op, PL_ACT_RESET);
    ck_assert_uint_eq(c->action[0].n_set, 0);
    ck_assert_uint_eq(c->seed, 0);
    a_case(c, reset_twice);
    asked = 0;
    ck_assert_int_eq(pl_shrink(c, has_reset, &asked, 1), 1);
    ck_assert(has_reset(&asked, c));
    free(c);
}
END_TEST

START_TEST(an_entry_is_held_to_what_it_says)
{
    char why[512] = "";
    struct pl_entry *e = an_entry();
    const struct pl_clauses *table = pl_clauses_find(pl_spec_find("virtio-msg-r1"));
    struct pl_wrong_peer peer;
    a_case(&e->c, reset_twice);
    const struct pl_case c = e->c;
    pl_entry_init(e, &c);
    e->pass = true;
    ck_assert_msg(pl_entry_check(e, why, sizeof(why)) == 1, "%s", why);
    ck_assert(pl_entry_aim(e, (unsigned)pl_clauses_index(table, "RVQ-DEV-01")));
    ck_assert_int_eq(pl_entry_check(e, why, sizeof(why)), 0);
    ck_assert_msg(strstr(why, "does not exercise RVQ-DEV-01") != NULL, "%s", why);
    e->n_clauses = 0;
    ck_assert(pl_wrong_peer_find(e->c.spec, PL_IUT_DEVICE, "HDR-DEV-01.no-response", &peer));
    ck_assert(pl_entry_expect(e, peer.id, (unsigned)pl_clauses_index(table, "RVQ-DEV-01")));
    ck_assert_int_eq(pl_entry_check(e, why, sizeof(why)), 0);
    ck_assert_msg(strstr(why, "does not fail RVQ-DEV-01") != NULL, "%s", why);
    free(e);
}
END_TEST

/* What a driver does behind the device of one case is no part of the next: an executor that has run
 * others before shows of a case what a new one shows. */
START_TEST(a_case_shows_the_same_whatever_ran_before)
{
    static const char *const texts[] = {
        PL_CASE_MAGIC "\nrole driver\nstart\nio times=2\n",
        PL_CASE_MAGIC "\nrole driver\nfar-option features_remove=0x20000000\nstart\nio times=2\n",
        PL_CASE_MAGIC "\nrole driver\nfar-option config_size=300\nstart\n"};
    char error[256];
    const struct pl_exec_options options = {.spec = pl_spec_find("virtio-msg-r1"),
                                            .role = PL_IUT_DRIVER};
    struct pl_exec *used = pl_exec_new(&options, error, sizeof(error));
    struct pl_case *c = malloc(sizeof(*c));
    struct pl_exec_result first, again;
    ck_assert_ptr_nonnull(used);
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct pl_exec *fresh = pl_exec_new(&options, error, sizeof(error));
        a_case(c, texts[i]);
        ck_assert_int_eq(pl_exec_run(used, c, &again), 0);
        ck_assert_int_eq(pl_exec_run(fresh, c, &first), 0);
        ck_assert_uint_gt(first.n_seen, 20);
        ck_assert_uint_eq(first.n_seen, again.n_seen);
        for (size_t k = 0; k < first.n_seen; k++)
            ck_assert_uint_eq(first.seen[k], again.seen[k]);
        pl_exec_free(fresh);
    }
    pl_exec_free(used);
    free(c);
}
END_TEST

/* Of two that cover the same the cheaper is enough; what alone fails a mutant stays. */
START_TEST(covering)
{
    char why[512] = "";
    bool chosen[4] = {false};
    size_t covered;
    struct pl_entry *e = an_entry();
    struct pl_cover *cover = pl_cover_new();
    struct pl_wrong_peer peer = a_mutant(PL_IUT_DEVICE, 0);
    a_case(&e->c, reset_twice);
    const struct pl_case c = e->c;
    pl_entry_init(e, &c);
    ck_assert_int_eq(pl_cover_add(cover, e, 20, why, sizeof(why)), 0);
    ck_assert_int_eq(pl_cover_add(cover, e, 10, why, sizeof(why)), 0);
    e->c.n = 0;
    ck_assert_int_eq(pl_cover_add(cover, e, 1, why, sizeof(why)), 0);
    ck_assert(pl_entry_expect(e, peer.id, 1));
    ck_assert_int_eq(pl_cover_add(cover, e, 1, why, sizeof(why)), 0);
    ck_assert_uint_eq(pl_cover_choose(cover, chosen, &covered), 2);
    ck_assert(!chosen[0] && chosen[1] && !chosen[2] && chosen[3]);
    ck_assert_uint_gt(covered, 10);
    pl_cover_free(cover);
    free(e);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("corpus");
    TCase *tests = tcase_create("corpus");
    tcase_add_test(tests, an_entry_there_and_back);
    tcase_add_loop_test(tests, what_is_no_entry, 0, sizeof(wrongs) / sizeof(wrongs[0]));
    tcase_add_test(tests, cut_anywhere_is_an_error_or_an_entry);
    tcase_add_test(tests, licenses);
    tcase_add_test(tests, names);
    tcase_add_test(tests, digests);
    tcase_add_test(tests, an_archive_there_and_back);
    tcase_add_test(tests, no_byte_of_an_archive_can_change);
    tcase_add_test(tests, shrinking);
    tcase_add_test(tests, an_entry_is_held_to_what_it_says);
    tcase_add_test(tests, a_case_shows_the_same_whatever_ran_before);
    tcase_add_test(tests, covering);
    suite_add_tcase(suite, tests);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
