/* Archives of entries: tar, with a manifest of SHA-256 digests in front. docs/corpus.md has the
 * format, and what is refused. */
#ifndef PL_CORPUS_BUNDLE_H
#define PL_CORPUS_BUNDLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    PL_BUNDLE_FILES = 10000,     /* of an archive, the manifest not counted */
    PL_BUNDLE_NAME = 100,        /* bytes of a file's name, at most */
    PL_BUNDLE_LEVELS = 8,        /* of a file's name, folders and file */
    PL_BUNDLE_BYTES = 256 << 20, /* of an archive */
    PL_DIGEST_TEXT = 65,         /* a digest as hexadecimal digits, with its NUL */
};
/* The first file of an archive, and its first line. */
#define PL_BUNDLE_MANIFEST "MANIFEST"
#define PL_BUNDLE_MAGIC    "# plumbline-corpus 1"

/* A file of an archive. */
struct pl_bundle_file {
    char name[PL_BUNDLE_NAME + 1];
    const char *text;
    size_t size;
};

/* SHA-256 in lower case. */
void pl_digest_text(const void *bytes, size_t size, char out[PL_DIGEST_TEXT]);

/*
 * May a file of a corpus have this name: folders and a file of letters, digits, '.', '_', '-', none
 * of them beginning with '.' or '-', ending in ".txt"? NULL, or what is wrong with it.
 */
const char *pl_bundle_name_wrong(const char *name);

/*
 * The archive of these files, whose names are right, different and in ascending order. The caller
 * frees it; NULL without memory. *size: its bytes.
 */
uint8_t *pl_bundle_make(const struct pl_bundle_file *file, size_t n, size_t *size);

/*
 * Take an archive apart. Everything is verified before anything is given: form, names, sizes,
 * digests. `archive` names it in errors. The files' texts point into `bytes`. Returns the array,
 * which the caller frees, and its length; NULL with one sentence in `error`.
 */
struct pl_bundle_file *pl_bundle_read(const char *archive, const uint8_t *bytes, size_t size,
                                      size_t *n, char *error, size_t cap);

#endif
