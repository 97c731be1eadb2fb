/* Unit tests of YAML documents: trees, bounds, values and the words of every error. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "engine/yaml_doc.h"
#include "port/utf8.h"

static char error[512];

static struct pl_yaml_doc *parse(const char *text)
{
    error[0] = '\0';
    return pl_yaml_load_memory("f.yaml", text, strlen(text), error, sizeof error);
}

static void refused(const char *text, const char *words)
{
    struct pl_yaml_doc *doc = parse(text);
    ck_assert_msg(doc == NULL, "accepted: %.60s", text);
    ck_assert_msg(strstr(error, words) != NULL, "'%s' does not have '%s'", error, words);
}

START_TEST(trees)
{
    struct pl_yaml_doc *doc = parse("\xef\xbb\xbf# comment\n"
                                    "a: 1\n"
                                    "b: [x, 'y', {k: v}]\n"
                                    "c:\n"
                                    "  d: \"q\\u00e9\"\n"
                                    "  e:\n");
    ck_assert_msg(doc != NULL, "%s", error);
    const struct pl_yaml *root = pl_yaml_root(doc), *b = pl_yaml_get(root, "b");
    ck_assert_int_eq(root->kind, PL_YAML_MAPPING);
    ck_assert_uint_eq(root->n, 3);
    ck_assert_uint_eq(root->line, 2);
    ck_assert_ptr_null(root->key);
    ck_assert_int_eq(b->kind, PL_YAML_SEQUENCE);
    ck_assert_uint_eq(b->line, 3);
    ck_assert_str_eq(b->item[1]->text, "y");
    ck_assert_str_eq(b->item[1]->key, "b");
    ck_assert(!b->item[1]->plain && b->item[0]->plain);
    ck_assert_str_eq(pl_yaml_get(b->item[2], "k")->text, "v");
    const struct pl_yaml *c = pl_yaml_get(root, "c"), *d = pl_yaml_get(c, "d");
    ck_assert_uint_eq(d->line, 5);
    ck_assert_str_eq(d->file, "f.yaml");
    ck_assert_uint_eq(d->length, 3);
    ck_assert(pl_yaml_is_null(pl_yaml_get(c, "e")));
    ck_assert_ptr_null(pl_yaml_get(root, "z"));
    ck_assert_ptr_null(pl_yaml_get(b, "z"));
    pl_yaml_free(doc);
    pl_yaml_free(NULL);
}
END_TEST

START_TEST(aliases)
{
    struct pl_yaml_doc *doc = parse("a: &x {k: [1, 2]}\nb: *x\nc: [*x, *x]\n&n name: *n\n");
    ck_assert_msg(doc != NULL, "%s", error);
    const struct pl_yaml *b = pl_yaml_get(pl_yaml_root(doc), "b");
    ck_assert_str_eq(b->key, "b");
    ck_assert_uint_eq(b->line, 1);
    ck_assert_str_eq(pl_yaml_get(b, "k")->item[1]->text, "2");
    ck_assert_str_eq(pl_yaml_get(pl_yaml_root(doc), "name")->text, "name");
    pl_yaml_free(doc);
    refused("a: &x [*x]\n", "f.yaml:1: alias '*x' stands inside what it names");
    refused("a: &x\n  b:\n    c: *x\n", "f.yaml:3: alias '*x' stands inside what it names");
    refused("a: *x\n", "f.yaml:1: alias '*x' has no anchor before it");
}
END_TEST

START_TEST(bombs)
{
    char text[2000] = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n", *at = text + strlen(text);
    clock_t start = clock();
    for (int i = 1; i < 10; i++)
        at += sprintf(at, "a%d: &a%d [*a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d, *a%d]\n", i,
                      i, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1, i - 1);
    refused(text, "more than 200000 values");
    size_t size = 3u << 20;
    char *deep = malloc(size + 1);
    ck_assert_ptr_nonnull(deep);
    memset(deep, '[', size);
    deep[size] = '\0';
    refused(deep, "nested more than 64 deep");
    for (size_t i = 0; i + 1 < size; i += 2)
        memcpy(deep + i, "- ", 2);
    refused(deep, "nested more than 64 deep");
    for (size_t i = 0; i + 1 < size; i += 2)
        memcpy(deep + i, "? ", 2);
    refused(deep, "");
    memset(deep, '\n', size);
    at = deep;
    for (int i = 0; i < 100000; i++)
        at += sprintf(at, "k%d: &b%d 1\n", i, i);
    *at = '\0';
    refused(deep, "more than");
    free(deep);
    ck_assert_double_lt((double)(clock() - start) / CLOCKS_PER_SEC, 20);
}
END_TEST

START_TEST(refusals)
{
    refused("", "f.yaml: the file is empty");
    refused("# only a comment\n", "f.yaml: the file is empty");
    refused("a: 1\nb: 2\na: 3\n", "f.yaml:3: key 'a': it stands here twice, first in line 1");
    refused("a: [1\nb: 2\n", "f.yaml:2: this is not YAML: ");
    refused("a: 1\n---\nb: 2\n", "f.yaml:2: a second document begins here");
    refused("a: 1\nb: \xff\n", "f.yaml:2: byte 0xff is not UTF-8");
    refused("a: \xed\xa0\x80\n", "byte 0xed is not UTF-8");
    refused("\xff\xfe\x61", "byte 0xff is not UTF-8");
    refused("a: !!int 3\n", "f.yaml:1: tags ('!...') have no meaning here");
    refused("[a]: 3\n", "f.yaml:1: a key has to be a plain word");
    refused("a: \"x\\0y\"\n", "f.yaml:1: a value holds the character NUL");
    refused("\t- x: y\n", "this is not YAML");
    error[0] = '\0';
    ck_assert_ptr_null(pl_yaml_load_memory("m", "a\0b", 3, error, sizeof error));
    ck_assert_str_eq(error, "m: this is not YAML: it holds NUL bytes");
    ck_assert_ptr_null(pl_yaml_load_memory("m", NULL, 0, error, sizeof error));
    ck_assert_str_eq(error, "m: the file is empty");
}
END_TEST

START_TEST(files)
{
    char path[] = "/tmp/pl-yaml-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_eq(write(fd, "a: 1\n", 5), 5);
    struct pl_yaml_doc *doc = pl_yaml_load_file(path, error, sizeof error);
    ck_assert_ptr_nonnull(doc);
    pl_yaml_free(doc);
    ck_assert_int_eq(ftruncate(fd, (4 << 20) + 1), 0);
    ck_assert_ptr_null(pl_yaml_load_file(path, error, sizeof error));
    ck_assert_ptr_nonnull(strstr(error, ": the file is larger than 4 MiB"));
    close(fd);
    unlink(path);
    ck_assert_ptr_null(pl_yaml_load_file(path, error, sizeof error));
    ck_assert_ptr_nonnull(strstr(error, ": cannot be read: No such file or directory"));
    ck_assert_ptr_null(pl_yaml_load_file("/tmp", error, sizeof error));
    ck_assert_str_eq(error, "/tmp: cannot be read: Is a directory");
}
END_TEST

/* Every beginning of a document, and every one with a byte changed: refused or read, never worse.
 */
START_TEST(damage)
{
    static const char text[] = "a: &x {k: [1, 'two', \"th\\u0072ee\"], 0x: ~}\n"
                               "b: *x\n? c\n: - |\n    block\n  - >-\n    folded\n";
    char copy[sizeof text];
    for (size_t n = 0; n < sizeof text; n++) {
        pl_yaml_free(pl_yaml_load_memory("d", text, n, error, sizeof error));
        for (unsigned c = 0; c < 256; c++) {
            memcpy(copy, text, sizeof text);
            copy[n] = (char)c;
            pl_yaml_free(pl_yaml_load_memory("d", copy, sizeof text - 1, error, sizeof error));
        }
    }
}
END_TEST

/* --- values --- */

static const char *const words[] = {"red", "green", NULL};

static bool read_as(const char *type, const struct pl_yaml *map, uint64_t *out)
{
    bool flag = false, ok = false;
    const char *text = "";
    size_t word = 0;
    int64_t number = 0;
    switch (*type) {
    case 'u':
        return pl_yaml_get_uint(map, "x", 1, 1000, out, error, sizeof error);
    case 'U':
        return pl_yaml_get_uint(map, "x", 0, UINT64_MAX, out, error, sizeof error);
    case 'i':
        ok = pl_yaml_get_int(map, "x", -5, INT64_MAX, &number, error, sizeof error);
        *out = (uint64_t)number;
        return ok;
    case 'I':
        ok = pl_yaml_get_int(map, "x", INT64_MIN, INT64_MAX, &number, error, sizeof error);
        *out = (uint64_t)number;
        return ok;
    case 'z':
        return pl_yaml_get_size(map, "x", 1, UINT64_C(1) << 40, out, error, sizeof error);
    case 'd':
        return pl_yaml_get_duration(map, "x", 1, 3600000, out, error, sizeof error);
    case 'b':
        ok = pl_yaml_get_bool(map, "x", &flag, error, sizeof error);
        *out = flag;
        return ok;
    case 'w':
        ok = pl_yaml_get_word(map, "x", words, &word, error, sizeof error);
        *out = word;
        return ok;
    default:
        ok = pl_yaml_get_string(map, "x", &text, error, sizeof error);
        *out = strlen(text);
        return ok;
    }
}

START_TEST(values)
{
    static const struct {
        const char *type, *text;
        uint64_t value;
    } good[] = {
        {"u", "7", 7},
        {"u", "0x10", 16},
        {"u", "0XfF", 255},
        {"u", "1000", 1000},
        {"U", "0", 0},
        {"U", "18446744073709551615", UINT64_MAX},
        {"i", "-5", -5ull},
        {"i", "0x7f", 127},
        {"I", "-9223372036854775808", 1ull << 63},
        {"I", "-0", 0},
        {"z", "4096", 4096},
        {"z", "64KiB", 65536},
        {"z", "16MiB", 1 << 24},
        {"z", "2 GiB", 2ull << 30},
        {"z", "'0x10KiB'", 16384},
        {"d", "200ms", 200},
        {"d", "5s", 5000},
        {"d", "1 s", 1000},
        {"b", "true", 1},
        {"b", "false", 0},
        {"w", "green", 1},
        {"w", "'red'", 0},
        {"s", "hello", 5},
        {"s", "123", 3},
        {"s", "'~'", 1},
    };
    static const struct {
        const char *type, *text, *error;
    } bad[] = {
        {"u", "0", "f.yaml:1: key 'x': '0' is not between 1 and 1000"},
        {"u", "1001", "f.yaml:1: key 'x': '1001' is not between 1 and 1000"},
        {"u", "-1", "f.yaml:1: key 'x': it has to be a whole number, decimal or 0x, not '-1'"},
        {"u", "'7'", "not '7'"},
        {"u", "010", "not '010'"},
        {"u", "1.5", "not '1.5'"},
        {"u", "0x", "not '0x'"},
        {"u", "", "not ''"},
        {"u", "[1]", "f.yaml:1: key 'x': it has to be a single value, not a list"},
        {"u", "{a: 1}", "it has to be a single value, not a mapping"},
        {"U", "18446744073709551616", "whole number"},
        {"i", "-6", "'-6' is not between -5 and 9223372036854775807"},
        {"I", "-9223372036854775809", "is not between"},
        {"I", "9223372036854775808", "is not between"},
        {"I", "--1", "whole number"},
        {"z", "0", "'0' is not between 1 and 1099511627776 bytes"},
        {"z", "16MB", "it has to be a size such as 4096, 64KiB or 16MiB, not '16MB'"},
        {"z", "99999999999GiB", "is not between"},
        {"d", "5", "it has to be a time such as 200ms or 5s, not '5'"},
        {"d", "2h", "not '2h'"},
        {"d", "0ms", "'0ms' is not between 1 and 3600000 ms"},
        {"d", "3601s", "is not between"},
        {"b", "yes", "it has to be true or false, not 'yes'"},
        {"b", "'true'", "true or false"},
        {"w", "blue", "'blue' is none of red, green"},
        {"w", "~", "it has no value"},
        {"s", "''", "it has no value"},
        {"s", "", "it has no value"},
        {"s", "[a]", "not a list"},
    };
    char text[100];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        uint64_t value = 99;
        snprintf(text, sizeof text, "x: %s\n", good[i].text);
        struct pl_yaml_doc *doc = parse(text);
        ck_assert_msg(read_as(good[i].type, pl_yaml_root(doc), &value), "%s: %s", text, error);
        ck_assert_msg(value == good[i].value, "%s", text);
        pl_yaml_free(doc);
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        uint64_t value = 99;
        snprintf(text, sizeof text, "x: %s\n", bad[i].text);
        struct pl_yaml_doc *doc = parse(text);
        ck_assert_msg(!read_as(bad[i].type, pl_yaml_root(doc), &value), "accepted %s", text);
        ck_assert_msg(strstr(error, bad[i].error) != NULL, "'%s' not in '%s'", bad[i].error, error);
        pl_yaml_free(doc);
    }
}
END_TEST

START_TEST(absent_keys_leave_defaults)
{
    struct pl_yaml_doc *doc = parse("y: 1\n");
    uint64_t value = 42;
    ck_assert(pl_yaml_get_uint(pl_yaml_root(doc), "x", 1, 2, &value, error, sizeof error));
    ck_assert_uint_eq(value, 42);
    pl_yaml_free(doc);
}
END_TEST

START_TEST(unknown_keys)
{
    static const char *const known[] = {"a", "b", NULL};
    struct pl_yaml_doc *doc = parse("a: 1\n\"e\\n\\e[31m\": 2\n");
    ck_assert(!pl_yaml_known_keys(pl_yaml_root(doc), known, error, sizeof error));
    ck_assert_str_eq(error, "f.yaml:2: key 'e??[31m': this key is unknown here; known are a, b");
    pl_yaml_free(doc);
    doc = parse("- a\n");
    ck_assert(!pl_yaml_known_keys(pl_yaml_root(doc), known, error, sizeof error));
    ck_assert_str_eq(error, "f.yaml:1: it has to be a mapping, not a list");
    pl_yaml_free(doc);
}
END_TEST

START_TEST(utf8)
{
    static const char *const good[] = {"a", "\xc2\x80", "\xe0\xa0\x80", "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {
        "\x80",         "\xc0\x80",         "\xc1\xbf",         "\xe0\x9f\xbf",
        "\xed\xa0\x80", "\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80",
        "\xc2",         "\xe2\x82",         "\xc2\x41"};
    char out[12];
    for (size_t i = 0; i < sizeof good / sizeof *good; i++)
        ck_assert_uint_eq(pl_utf8_length(good[i], strlen(good[i])), strlen(good[i]));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_uint_eq(pl_utf8_length(bad[i], strlen(bad[i])), 0);
    ck_assert_uint_eq(pl_utf8_valid("abc\xff", 4), 3);
    pl_utf8_line("a\n\xff\xc3\xa9", 5, out, sizeof out);
    ck_assert_str_eq(out, "a??\xc3\xa9");
    pl_utf8_line("0123456789abcdef", 16, out, sizeof out);
    ck_assert_str_eq(out, "01234567...");
    pl_utf8_line("abc", 3, out, 1);
    ck_assert_str_eq(out, "");
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("yaml");
    TCase *c = tcase_create("documents");
    tcase_set_timeout(c, 120);
    tcase_add_test(c, trees);
    tcase_add_test(c, aliases);
    tcase_add_test(c, bombs);
    tcase_add_test(c, refusals);
    tcase_add_test(c, files);
    tcase_add_test(c, damage);
    tcase_add_test(c, values);
    tcase_add_test(c, absent_keys_leave_defaults);
    tcase_add_test(c, unknown_keys);
    tcase_add_test(c, utf8);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
