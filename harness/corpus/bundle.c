/* Archives of entries, made and taken apart: ustar with regular files only, a manifest first. */
#include "corpus/bundle.h"

#include <sha256.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "corpus/entry.h"

enum { BLOCK = 512, MANIFEST_LINE = PL_DIGEST_TEXT + PL_BUNDLE_NAME + 4 };

/* A header of POSIX's ustar. */
struct ustar {
    char name[100], mode[8], uid[8], gid[8], size[12], mtime[12], checksum[8];
    char type, link[100], magic[6], version[2], user[32], group[32], major[8], minor[8];
    char prefix[155], pad[12];
};
_Static_assert(sizeof(struct ustar) == BLOCK, "a header is one block");

void pl_digest_text(const void *bytes, size_t size, char out[PL_DIGEST_TEXT])
{
    SHA256_Data(bytes, size, out);
}

const char *pl_bundle_name_wrong(const char *name)
{
    static const char letters[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    size_t size = strlen(name), levels = 1;
    if (!size || size > PL_BUNDLE_NAME)
        return size ? "a name has 100 bytes at most" : "the name is empty";
    if (name[0] == '/')
        return "it is an absolute path";
    for (const char *part = name;; part++) {
        size_t n = strspn(part, letters);
        if (n == 2 && part[0] == '.' && part[1] == '.')
            return "it leaves the folder by '..'";
        if (!n || (part[n] && part[n] != '/'))
            return "a part of it has other bytes than letters, digits, '.', '_' and '-', or none";
        if (part[0] == '.' || part[0] == '-')
            return "a part of it begins with '.' or '-'";
        part += n;
        if (!*part)
            break;
        levels++;
    }
    if (levels > PL_BUNDLE_LEVELS)
        return "it has more than 8 levels";
    return size > 4 && strcmp(name + size - 4, ".txt") == 0 ? NULL : "it does not end in .txt";
}

/* --- making --- */

static size_t padded(size_t size)
{
    return (size + BLOCK - 1) / BLOCK * BLOCK;
}

static unsigned checksum(const struct ustar *h)
{
    const uint8_t *byte = (const uint8_t *)h;
    size_t from = offsetof(struct ustar, checksum);
    unsigned sum = 0;
    for (size_t i = 0; i < BLOCK; i++)
        sum += i >= from && i < from + sizeof(h->checksum) ? ' ' : byte[i];
    return sum;
}

/* One file; where the next begins. */
static uint8_t *put_file(uint8_t *to, const char *name, const char *text, size_t size)
{
    struct ustar h = {.type = '0', .magic = "ustar", .version = {'0', '0'}};
    memcpy(h.name, name, strlen(name));
    memcpy(h.mode, "0000644", 7);
    memcpy(h.uid, "0000000", 7);
    memcpy(h.gid, "0000000", 7);
    snprintf(h.size, sizeof(h.size), "%011o", (unsigned)size);
    memcpy(h.mtime, "00000000000", 11);
    snprintf(h.checksum, sizeof(h.checksum), "%06o", checksum(&h));
    h.checksum[7] = ' ';
    memcpy(to, &h, BLOCK);
    memcpy(to + BLOCK, text, size);
    return to + BLOCK + padded(size);
}

static char *make_manifest(const struct pl_bundle_file *file, size_t n, size_t *size)
{
    size_t cap = sizeof(PL_BUNDLE_MAGIC) + 1 + n * MANIFEST_LINE;
    char *text = malloc(cap), digest[PL_DIGEST_TEXT];
    if (!text)
        return NULL;
    *size = (size_t)snprintf(text, cap, "%s\n", PL_BUNDLE_MAGIC);
    for (size_t i = 0; i < n; i++) {
        pl_digest_text(file[i].text, file[i].size, digest);
        *size += (size_t)snprintf(text + *size, cap - *size, "%s  %s\n", digest, file[i].name);
    }
    return text;
}

uint8_t *pl_bundle_make(const struct pl_bundle_file *file, size_t n, size_t *size)
{
    size_t manifest_size = 0;
    char *manifest = make_manifest(file, n, &manifest_size);
    *size = BLOCK + padded(manifest_size) + 2 * BLOCK;
    for (size_t i = 0; i < n; i++)
        *size += BLOCK + padded(file[i].size);
    uint8_t *bytes = manifest ? calloc(1, *size) : NULL, *to = bytes;
    if (bytes) {
        to = put_file(to, PL_BUNDLE_MANIFEST, manifest, manifest_size);
        for (size_t i = 0; i < n; i++)
            to = put_file(to, file[i].name, file[i].text, file[i].size);
    }
    free(manifest);
    return bytes;
}

/* --- reading --- */

struct reader {
    const char *archive;
    const uint8_t *bytes;
    size_t size, at;
    char *error;
    size_t cap;
};

__attribute__((format(printf, 2, 3))) static bool wrong(struct reader *r, const char *format, ...)
{
    va_list args;
    int n = snprintf(r->error, r->cap, "%s: ", r->archive);
    va_start(args, format);
    if (n >= 0 && (size_t)n < r->cap)
        vsnprintf(r->error + n, r->cap - (size_t)n, format, args);
    va_end(args);
    return false;
}

/* Octal digits, ended by a NUL, a blank or the field's end. */
static bool octal(const char *text, size_t n, uint64_t *out)
{
    size_t i = 0;
    for (*out = 0; i < n && text[i] >= '0' && text[i] <= '7'; i++)
        *out = *out << 3 | (uint64_t)(text[i] - '0');
    return i && (i == n || text[i] == '\0' || text[i] == ' ');
}

static const char *kind_of(char type)
{
    return type == '1' || type == '2'   ? "a link"
           : type == '5'                ? "a folder"
           : type >= '3' && type <= '6' ? "a device or a pipe"
                                        : "no regular file";
}

/* Six digits, and what ends them: nothing else of a header is not part of its own sum. */
static bool sum_is_right(const struct ustar *h)
{
    uint64_t sum = 0;
    char last = h->checksum[sizeof(h->checksum) - 1];
    return octal(h->checksum, sizeof(h->checksum), &sum) && sum == checksum(h) &&
           (last == ' ' || last == '\0');
}

/* What a header says, held against what there can be. `most`: bytes of the file. */
static bool check_header(struct reader *r, const struct ustar *h, const char *name, size_t most,
                         uint64_t *size)
{
    size_t at = r->at;
    if (memcmp(h->magic, "ustar", 5) != 0)
        return wrong(r, "byte %zu: there is no ustar header", at);
    if (!sum_is_right(h))
        return wrong(r, "byte %zu: the header's checksum is not that of the header", at);
    if (h->type != '0' && h->type != '\0')
        return wrong(r, "byte %zu: '%s' is %s", at, name, kind_of(h->type));
    if (h->prefix[0])
        return wrong(r, "byte %zu: '%s': its name is longer than %d bytes", at, name,
                     PL_BUNDLE_NAME);
    if (!octal(h->size, sizeof(h->size), size) || *size > most)
        return wrong(r, "byte %zu: '%s': its size is no octal number up to %zu", at, name, most);
    return true;
}

/* A name fit for an error: what does not print is '?'. */
static void take_name(const char *from, size_t n, char name[PL_BUNDLE_NAME + 1])
{
    memcpy(name, from, n);
    name[n] = '\0';
    for (char *c = name; *c; c++)
        if (*c < ' ' || *c > '~')
            *c = '?';
}

/* The next file into *f. 1, 0 at the archive's end, -1 with the error. */
static int next_file(struct reader *r, size_t most, struct pl_bundle_file *f)
{
    static const uint8_t zero[BLOCK];
    struct ustar h;
    uint64_t size = 0;
    if (r->size - r->at < BLOCK) {
        wrong(r, "byte %zu: it is cut off: a header or the two zero blocks of the end are missing",
              r->at);
        return -1;
    }
    memcpy(&h, r->bytes + r->at, BLOCK);
    if (memcmp(&h, zero, BLOCK) == 0)
        return 0;
    take_name(h.name, sizeof(h.name), f->name);
    if (!check_header(r, &h, f->name, most, &size))
        return -1;
    if (padded((size_t)size) > r->size - r->at - BLOCK) {
        wrong(r, "byte %zu: '%s' is cut off: %llu bytes are announced", r->at, f->name,
              (unsigned long long)size);
        return -1;
    }
    f->text = (const char *)r->bytes + r->at + BLOCK;
    f->size = (size_t)size;
    if (memcmp(f->text + f->size, zero, padded(f->size) - f->size) != 0) {
        wrong(r, "byte %zu: there is something between '%s' and the end of its block", r->at,
              f->name);
        return -1;
    }
    r->at += BLOCK + padded(f->size);
    return 1;
}

/* Two blocks of zeros, and nothing but zeros behind them. */
static bool check_end(struct reader *r)
{
    if (r->size - r->at < 2 * BLOCK)
        return wrong(r, "byte %zu: it is cut off: one of the two zero blocks of the end is missing",
                     r->at);
    for (size_t i = r->at; i < r->size; i++)
        if (r->bytes[i])
            return wrong(r, "byte %zu: there is something behind its end", i);
    return true;
}

/* The manifest's line at *at: "DIGEST  NAME\n". */
static bool manifest_line(struct reader *r, const struct pl_bundle_file *m, size_t *at,
                          char digest[PL_DIGEST_TEXT], char name[PL_BUNDLE_NAME + 1])
{
    const char *line = m->text + *at, *stop = memchr(line, '\n', m->size - *at);
    size_t n = stop ? (size_t)(stop - line) : 0, hex = PL_DIGEST_TEXT - 1;
    if (n < hex + 3 || n > hex + 2 + PL_BUNDLE_NAME || memcmp(line + hex, "  ", 2) != 0 ||
        memchr(line, '\0', n))
        return wrong(r, "%s: byte %zu: no line of a digest, two blanks and a name",
                     PL_BUNDLE_MANIFEST, *at);
    memcpy(digest, line, hex);
    digest[hex] = '\0';
    if (strspn(digest, "0123456789abcdef") != hex)
        return wrong(r, "%s: byte %zu: no digest of 64 hexadecimal digits in lower case",
                     PL_BUNDLE_MANIFEST, *at);
    take_name(line + hex + 2, n - hex - 2, name);
    const char *why = pl_bundle_name_wrong(name);
    if (why)
        return wrong(r, "%s: byte %zu: '%s': %s", PL_BUNDLE_MANIFEST, *at, name, why);
    *at += n + 1;
    return true;
}

/* A file against its line: its name, that it comes once and in order, its digest. */
static bool check_file(struct reader *r, const struct pl_bundle_file *f,
                       const struct pl_bundle_file *before, const char *name, const char *said)
{
    char digest[PL_DIGEST_TEXT];
    const char *why = pl_bundle_name_wrong(f->name);
    if (why)
        return wrong(r, "'%s': %s", f->name, why);
    if (before && strcmp(before->name, f->name) >= 0)
        return wrong(r, "'%s': %s", f->name,
                     strcmp(before->name, f->name) ? "it is not in the order of names"
                                                   : "it comes twice");
    if (strcmp(f->name, name) != 0)
        return wrong(r, "'%s': in its place the manifest has '%s'", f->name, name);
    pl_digest_text(f->text, f->size, digest);
    if (strcmp(digest, said) != 0)
        return wrong(r, "'%s': its SHA-256 is %s, the manifest says %s", f->name, digest, said);
    return true;
}

static bool take_manifest(struct reader *r, struct pl_bundle_file *m, size_t *lines)
{
    static const char first[] = PL_BUNDLE_MAGIC "\n";
    size_t n = sizeof(first) - 1;
    int more = next_file(r, sizeof(first) + (size_t)PL_BUNDLE_FILES * MANIFEST_LINE, m);
    if (more < 0)
        return false;
    if (!more || strcmp(m->name, PL_BUNDLE_MANIFEST) != 0)
        return wrong(r, "its first file is not %s", PL_BUNDLE_MANIFEST);
    if (m->size < n || memcmp(m->text, first, n) != 0)
        return wrong(r, "%s: its first line is not '%s'", PL_BUNDLE_MANIFEST, PL_BUNDLE_MAGIC);
    for (size_t i = n; i < m->size; i++)
        *lines += m->text[i] == '\n';
    return *lines <= PL_BUNDLE_FILES ||
           wrong(r, "%s: more than %d files", PL_BUNDLE_MANIFEST, PL_BUNDLE_FILES);
}

/* All files, each against the manifest's next line; file[] has room for one a line. */
static bool take_files(struct reader *r, const struct pl_bundle_file *m,
                       struct pl_bundle_file *file, size_t *n)
{
    char digest[PL_DIGEST_TEXT], name[PL_BUNDLE_NAME + 1];
    size_t at = sizeof(PL_BUNDLE_MAGIC); /* the magic line and its newline */
    struct pl_bundle_file extra;
    int more;
    for (*n = 0; at < m->size; ++*n) {
        if (!manifest_line(r, m, &at, digest, name))
            return false;
        more = next_file(r, PL_ENTRY_MAX, &file[*n]);
        if (more < 0)
            return false;
        if (!more)
            return wrong(r, "'%.100s' of the manifest is missing", name);
        if (!check_file(r, &file[*n], *n ? &file[*n - 1] : NULL, name, digest))
            return false;
    }
    more = next_file(r, PL_ENTRY_MAX, &extra);
    if (more > 0)
        return wrong(r, "'%s': the manifest does not have it", extra.name);
    return more == 0 && check_end(r);
}

struct pl_bundle_file *pl_bundle_read(const char *archive, const uint8_t *bytes, size_t size,
                                      size_t *n, char *error, size_t cap)
{
    struct reader r = {archive, bytes, size, 0, error, cap};
    struct pl_bundle_file manifest;
    size_t lines = 0;
    if (size > PL_BUNDLE_BYTES) {
        wrong(&r, "it is larger than %d bytes", PL_BUNDLE_BYTES);
        return NULL;
    }
    if (!take_manifest(&r, &manifest, &lines))
        return NULL;
    struct pl_bundle_file *file = calloc(lines + 1, sizeof(*file));
    if (!file)
        snprintf(error, cap, "out of memory");
    if (file && take_files(&r, &manifest, file, n))
        return file;
    free(file);
    return NULL;
}
