/* Unit tests of scenario expressions: precedence, errors, names and calls. */
#include <check.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/expr.h"

static char why[256];
static unsigned looked_up; /* names that were asked for, to see what is not evaluated */

static bool name_value(void *opaque, const struct pl_expr_name *as, uint64_t *value, char *text,
                       size_t cap)
{
    const char *name = as->text;
    (void)opaque;
    looked_up++;
    if (strcmp(name, "a") == 0)
        *value = 10;
    else if (strcmp(name, "resp.max_size") == 0)
        *value = 256;
    else if (strcmp(name, "android") == 0 || strcmp(name, "_x9") == 0)
        *value = 7;
    else {
        snprintf(text, cap, "nobody knows '%s'", name);
        return false;
    }
    return true;
}

/* Sum of the arguments plus 1000 for each of them. */
static bool call_value(void *opaque, const struct pl_expr_name *name, const uint64_t *args,
                       size_t n, uint64_t *value, char *text, size_t cap)
{
    (void)opaque;
    if (strcmp(name->text, "sum()") != 0) {
        snprintf(text, cap, "no function '%.*s'", (int)strcspn(name->text, "("), name->text);
        return false;
    }
    *value = 1000 * n;
    for (size_t i = 0; i < n; i++)
        *value += args[i];
    return true;
}

static const struct pl_expr_env env = {.name = name_value, .call = call_value};

static void gives(const char *text, uint64_t want)
{
    uint64_t got = ~want;
    struct pl_expr *expr = pl_expr_parse(text, why, sizeof(why));
    ck_assert_msg(expr != NULL, "'%s': %s", text, why);
    ck_assert_str_eq(pl_expr_text(expr), text);
    ck_assert_msg(pl_expr_eval(expr, &env, &got, why, sizeof(why)), "'%s': %s", text, why);
    ck_assert_msg(got == want, "'%s' is %" PRIu64 ", not %" PRIu64, text, got, want);
    pl_expr_free(expr);
}

/* Parses, but has no value. */
static void has_none(const char *text, const char *words)
{
    uint64_t got;
    struct pl_expr *expr = pl_expr_parse(text, why, sizeof(why));
    ck_assert_msg(expr != NULL, "'%s': %s", text, why);
    why[0] = '\0';
    ck_assert_msg(!pl_expr_eval(expr, &env, &got, why, sizeof(why)), "'%s' has a value", text);
    ck_assert_msg(strstr(why, words) != NULL, "'%s': '%s' lacks '%s'", text, why, words);
    pl_expr_free(expr);
}

static void refused(const char *text, const char *words)
{
    struct pl_expr *expr = pl_expr_parse(text, why, sizeof(why));
    ck_assert_msg(expr == NULL, "'%s' was accepted", text);
    ck_assert_msg(strstr(why, words) != NULL, "'%s': '%s' lacks '%s'", text, why, words);
}

START_TEST(numbers)
{
    gives("0", 0);
    gives(" 42 ", 42);
    gives("0x10", 16);
    gives("0XfF", 255);
    gives("18446744073709551615", UINT64_MAX);
    gives("0xffffffffffffffff", UINT64_MAX);
    refused("18446744073709551616", "not a 64-bit number");
    refused("0x10000000000000000", "not a 64-bit number");
    refused("12ab", "not a 64-bit number");
    refused("1_000", "not a 64-bit number");
    refused("0xzz", "not a 64-bit number");
}
END_TEST

/* Neighbours of C's precedence table, each pair in both orders. */
START_TEST(precedence)
{
    gives("1 + 2 * 3", 7);
    gives("2 * 3 + 1", 7);
    gives("1 << 2 + 1", 8);
    gives("2 + 1 << 1", 6);
    gives("1 < 1 << 1", 1);
    gives("4 >> 1 > 1", 1);
    gives("2 == 1 < 2", 0);
    gives("1 == 1 < 2", 1);
    gives("6 & 3 == 3", 6 & 1);
    gives("3 == 3 & 6", 1 & 6);
    gives("6 ^ 5 & 3", 6 ^ 1);
    gives("5 & 3 ^ 6", 1 ^ 6);
    gives("8 | 6 ^ 2", 8 | 4);
    gives("6 ^ 2 | 8", 4 | 8);
    gives("0 && 1 | 1", 0);
    gives("2 | 1 && 0", 0);
    gives("1 || 0 && 0", 1);
    gives("0 && 0 || 1", 1);
    gives("1 or 0 and 0", 1);
    gives("(1 or 0) and 0", 0);
    gives("~0 == 0xffffffffffffffff", 1);
    gives("!0 + 1", 2);
    gives("not 0 == 1", 1);
    gives("~1 & 3", 2);
}
END_TEST

START_TEST(associativity)
{
    gives("10 - 3 - 2", 5);
    gives("100 / 10 / 2", 5);
    gives("100 / 10 * 2", 20);
    gives("17 % 10 % 4", 3);
    gives("1 << 2 << 3", 32);
    gives("256 >> 2 >> 1", 32);
    gives("3 > 2 > 1", 0);
    gives("1 == 1 == 1", 1);
    gives("1 != 2 != 1", 0);
}
END_TEST

START_TEST(arithmetic_is_64_bit_unsigned)
{
    gives("0 - 1", UINT64_MAX);
    gives("18446744073709551615 + 1", 0);
    gives("0x100000000 * 0x100000000", 0);
    gives("0 - 1 > 5", 1);
    gives("~0", UINT64_MAX);
    gives("~~5", 5);
    gives("not not 5", 1);
    gives("!5", 0);
    gives("7 <= 7 and 7 >= 7 and 6 < 7 and not (7 < 7) and not (7 > 7)", 1);
    gives("5 and 9", 1);
    gives("0 or 9", 1);
}
END_TEST

START_TEST(division_and_shifts)
{
    gives("1 << 63", UINT64_C(1) << 63);
    gives("0x8000000000000000 >> 63", 1);
    has_none("1 / 0", "division by zero");
    has_none("1 % 0", "division by zero");
    has_none("1 / (a - 10)", "division by zero");
    has_none("1 << 64", "a shift by more than 63 bits");
    has_none("1 >> 64", "a shift by more than 63 bits");
    has_none("1 << (0 - 1)", "a shift by more than 63 bits");
    has_none("2 * (1 + 1 / 0)", "division by zero");
    has_none("sum(1, 1 / 0)", "division by zero");
    has_none("~(1 / 0)", "division by zero");
}
END_TEST

START_TEST(what_decides_alone_is_not_asked_further)
{
    gives("0 and 1 / 0", 0);
    gives("1 or nobody", 1);
    has_none("1 and 1 / 0", "division by zero");
    has_none("0 || nobody", "nobody knows 'nobody'");
    looked_up = 0;
    gives("0 && a", 0);
    ck_assert_uint_eq(looked_up, 0);
}
END_TEST

START_TEST(names_and_calls)
{
    gives("a", 10);
    gives("$a + 1", 11);
    gives("resp.max_size / 2", 128);
    gives("android", 7); /* begins like an operator */
    gives("1 and android", 1);
    gives("_x9", 7);
    gives("sum()", 1000 * 0);
    gives("sum(1)", 1001);
    gives("sum( 1 , a )", 2011);
    gives("sum(1,2,3,4)", 4010);
    gives("sum(sum(1), 1 + 1) + 1", 2000 + 1001 + 2 + 1);
    has_none("b", "nobody knows 'b'");
    has_none("andy", "nobody knows 'andy'");
    has_none("notb", "nobody knows 'notb'");
    has_none("other(1)", "no function 'other'");
    has_none("sum(b)", "nobody knows 'b'");
    refused("sum(1,2,3,4,5)", "too many arguments");
    refused("sum(1", "')' or ',' is missing");
    refused("sum(1 2)", "')' or ',' is missing");
    refused("sum(,1)", "not part of an expression");
    refused("$", "a name is expected");
    char longest[80];
    memset(longest, 'n', sizeof(longest));
    longest[63] = '\0';
    has_none(longest, "nobody knows 'nnn");
    longest[63] = 'n';
    longest[64] = '\0';
    refused(longest, "a name is expected");
}
END_TEST

START_TEST(mistakes)
{
    refused("", "something is missing at ''");
    refused("   ", "something is missing");
    refused("1 +", "something is missing");
    refused("(1", "')' is missing");
    refused("()", "not part of an expression at ')'");
    refused("1)", "more than one expression at ')'");
    refused("1 2", "more than one expression at '2'");
    refused("a b", "more than one expression at 'b'");
    refused("* 2", "not part of an expression at '* 2'");
    refused("- 2", "not part of an expression");
    refused("1 = 2", "more than one expression at '= 2'");
    refused("1 ? 2 : 3", "more than one expression");
    refused("a[0]", "more than one expression");
    refused("1 !", "more than one expression");
    refused("not", "something is missing");
    refused("\"x\"", "not part of an expression");
    refused("\xc3\xa9", "not part of an expression");
    refused("1 + + 2", "not part of an expression at '+ 2'");
}
END_TEST

/* `open` and `close` so many times round a 1. */
static char *nested(const char *open, const char *close, size_t n)
{
    char *text = calloc(1, n * (strlen(open) + strlen(close)) + 2), *p = text;
    ck_assert_ptr_nonnull(text);
    for (size_t i = 0; i < n; i++)
        p = stpcpy(p, open);
    p = stpcpy(p, "1");
    for (size_t i = 0; i < n; i++)
        p = stpcpy(p, close);
    return text;
}

START_TEST(nesting)
{
    static const struct {
        const char *open, *close;
    } kinds[] = {{"(", ")"}, {"~", ""}, {"!", ""}, {"not ", ""}, {"sum(", ")"}, {"1+(", ")"}};
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        char *text = nested(kinds[i].open, kinds[i].close, 60);
        struct pl_expr *expr = pl_expr_parse(text, why, sizeof(why));
        ck_assert_msg(expr != NULL, "60 times '%s': %s", kinds[i].open, why);
        pl_expr_free(expr);
        free(text);
        text = nested(kinds[i].open, kinds[i].close, 100000);
        refused(text, "nested too deep");
        free(text);
    }
}
END_TEST

/* A chain without any bracket is a deep tree, too. */
START_TEST(long_chains)
{
    static const char *const links[] = {"1+", "1 and ", "1||", "2*"};
    for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++) {
        char *text = nested(links[i], "", 1000);
        refused(text, "longer than 1000 terms");
        free(text);
        text = nested(links[i], "", 1000000);
        refused(text, "longer than 1000 terms");
        free(text);
    }
    char *text = nested("1+", "", 999);
    gives(text, 1000);
    free(text);
}
END_TEST

static void note_name(void *opaque, const char *name)
{
    strcat(opaque, name);
    strcat(opaque, " ");
}

START_TEST(names_are_told)
{
    char all[256] = "";
    struct pl_expr *expr =
        pl_expr_parse("a + resp.x * sum($b, word(0)) and not c", why, sizeof(why));
    ck_assert_msg(expr != NULL, "%s", why);
    pl_expr_names(expr, note_name, all);
    ck_assert_str_eq(all, "a resp.x sum() b word() c ");
    pl_expr_free(expr);
    pl_expr_free(NULL);
}
END_TEST

/* Every prefix of an expression, and every single byte of it altered: refused or not, no crash. */
START_TEST(damage)
{
    const char *whole = "not (a + 0x10) << 3 == sum(resp.x, ~$b % 7) || 5 >= 2 and !c & 1";
    char text[128];
    size_t n = strlen(whole);
    for (size_t cut = 0; cut <= n; cut++) {
        memcpy(text, whole, n + 1);
        text[cut] = '\0';
        pl_expr_free(pl_expr_parse(text, why, sizeof(why)));
        for (int byte = 1; cut < n && byte < 256; byte++) {
            uint64_t value;
            memcpy(text, whole, n + 1);
            text[cut] = (char)byte;
            struct pl_expr *expr = pl_expr_parse(text, why, sizeof(why));
            ck_assert(expr || why[0]);
            if (expr)
                (void)pl_expr_eval(expr, &env, &value, why, sizeof(why));
            pl_expr_free(expr);
        }
    }
    char little[8];
    ck_assert_ptr_null(pl_expr_parse("(1", little, sizeof(little)));
    ck_assert_uint_lt(strlen(little), sizeof(little));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("expr");
    TCase *c = tcase_create("expressions");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, numbers);
    tcase_add_test(c, precedence);
    tcase_add_test(c, associativity);
    tcase_add_test(c, arithmetic_is_64_bit_unsigned);
    tcase_add_test(c, division_and_shifts);
    tcase_add_test(c, what_decides_alone_is_not_asked_further);
    tcase_add_test(c, names_and_calls);
    tcase_add_test(c, mistakes);
    tcase_add_test(c, nesting);
    tcase_add_test(c, long_chains);
    tcase_add_test(c, names_are_told);
    tcase_add_test(c, damage);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
