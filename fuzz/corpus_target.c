/* Fuzz target: text is read as an entry of a corpus, bytes as an archive, and an archive is
 * changed. */
#include "input.h"

#include "corpus/bundle.h"
#include "corpus/entry.h"

enum { ERROR = 1024 };

/* A refusal is one line with something in it. */
static void check_error(const char *error)
{
    fuzz_hold(error[0] != '\0', "a sentence where something is refused");
    fuzz_hold(strlen(error) < ERROR && !strchr(error, '\n'), "one line of error");
}

/* What is an entry is printed, read and printed again: the same. */
static void read_entry(const uint8_t *data, size_t size)
{
    static struct pl_entry e;
    static char text[PL_ENTRY_MAX], again[PL_ENTRY_MAX];
    char error[ERROR] = "";

    if (!pl_entry_parse(&e, "input", (const char *)data, size, error, sizeof(error))) {
        check_error(error);
        return;
    }
    size_t n = pl_entry_format(&e, text, sizeof(text));
    fuzz_hold(n < sizeof(text), "an entry's largest size");
    fuzz_hold(pl_entry_parse(&e, "input", text, n, error, sizeof(error)), "an entry read again");
    fuzz_hold(pl_entry_format(&e, again, sizeof(again)) == n && memcmp(text, again, n) == 0,
              "the same text again");
}

/* What an archive gives lies within it, with names that are right and in order. */
static struct pl_bundle_file *read_archive(const uint8_t *data, size_t size, size_t *n)
{
    char error[ERROR] = "";
    struct pl_bundle_file *file = pl_bundle_read("input", data, size, n, error, sizeof(error));

    if (!file)
        check_error(error);
    for (size_t i = 0; file && i < *n; i++) {
        const uint8_t *text = (const uint8_t *)file[i].text;
        fuzz_hold(text >= data && text + file[i].size <= data + size, "a text within the archive");
        fuzz_hold(!pl_bundle_name_wrong(file[i].name), "a name that may be");
        fuzz_hold(!i || strcmp(file[i - 1].name, file[i].name) < 0, "the order of names");
    }
    return file;
}

/* An archive of the input's parts; where bytes of it are changed it is refused. */
static void change_archive(struct fuzz_input *in)
{
    struct pl_bundle_file files[4] = {
        {"a.txt", "", 0}, {"b/a.txt", "", 0}, {"b/b.txt", "", 0}, {"c.txt", "", 0}};
    size_t size, n = 0, given = 1 + fuzz_byte(in) % 4u;
    const uint8_t *text;

    for (size_t i = 0; i < given; i++) {
        files[i].size = fuzz_take(in, fuzz_byte(in), &text);
        files[i].text = (const char *)text;
    }
    uint8_t *bytes = pl_bundle_make(files, given, &size);
    if (!bytes)
        return;
    struct pl_bundle_file *back = read_archive(bytes, size, &n);
    fuzz_hold(back && n == given, "an archive that was made");
    for (size_t i = 0; i < n; i++)
        fuzz_hold(back[i].size == files[i].size &&
                      memcmp(back[i].text, files[i].text, files[i].size) == 0,
                  "the same texts");
    free(back);
    bytes[fuzz_number(in, 4) % size] ^= (uint8_t)(1u << fuzz_byte(in) % 8u);
    back = read_archive(bytes, size, &n);
    fuzz_hold(!back, "no archive with a bit changed");
    free(bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    size_t n;

    switch (fuzz_byte(&in) % 3) {
    case 0:
        read_entry(in.at, in.left);
        break;
    case 1:
        free(read_archive(in.at, in.left, &n));
        break;
    default:
        change_archive(&in);
        break;
    }
    return 0;
}
