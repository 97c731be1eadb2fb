/* YAML documents as trees with line numbers, and their values read with checks and exact errors. */
#ifndef PL_YAML_DOC_H
#define PL_YAML_DOC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* What one document may hold; more is refused, and so are aliases that would make it more. */
#define PL_YAML_MAX_BYTES   ((size_t)4 << 20)
#define PL_YAML_MAX_NODES   200000u
#define PL_YAML_MAX_DEPTH   64u
#define PL_YAML_MAX_KEYS    8192u /* of one mapping */
#define PL_YAML_MAX_ANCHORS 1024u

enum pl_yaml_kind { PL_YAML_SCALAR, PL_YAML_SEQUENCE, PL_YAML_MAPPING };

/* One node. Everything in it belongs to the document. */
struct pl_yaml {
    enum pl_yaml_kind kind;
    const char *file; /* as errors show it */
    unsigned line;    /* from 1 on; of an alias's copy: where the anchor is */
    const char *key;  /* the key that it stands under, its sequence's key, or NULL at the top */
    const char *text; /* a scalar's, NUL-terminated, without NUL inside */
    size_t length;    /* of text, in bytes */
    bool plain;       /* a scalar without quotes */
    struct pl_yaml **item; /* elements, or the mapping's values (each with its key) */
    size_t n;
};

struct pl_yaml_doc;

/*
 * Load a file, or `size` bytes of memory under a name. NULL with one sentence in error where it is
 * absent, empty, too large, not UTF-8 or not YAML, holds more than one document, the same key
 * twice, an alias to itself or too many of them. To be freed with pl_yaml_free.
 */
struct pl_yaml_doc *pl_yaml_load_file(const char *path, char *error, size_t cap);
struct pl_yaml_doc *pl_yaml_load_memory(const char *name, const void *bytes, size_t size,
                                        char *error, size_t cap);
void pl_yaml_free(struct pl_yaml_doc *doc);
/* The top node; never NULL. */
const struct pl_yaml *pl_yaml_root(const struct pl_yaml_doc *doc);

/*
 * Write "FILE:LINE: key 'x': why" into error and return false. All functions below that return bool
 * do the same where something is wrong.
 */
bool pl_yaml_error(const struct pl_yaml *node, char *error, size_t cap, const char *format, ...)
    __attribute__((format(printf, 4, 5)));

/* The value under a key; NULL where the node is no mapping or has no such key. */
const struct pl_yaml *pl_yaml_get(const struct pl_yaml *map, const char *key);
/* Whether a node is a plain null: `~`, `null` or nothing at all. */
bool pl_yaml_is_null(const struct pl_yaml *node);
/* Whether a node is of this kind. */
bool pl_yaml_expect(const struct pl_yaml *node, enum pl_yaml_kind kind, char *error, size_t cap);
/* Whether a node is a mapping with keys of the NULL-ended list only. */
bool pl_yaml_known_keys(const struct pl_yaml *map, const char *const *known, char *error,
                        size_t cap);

/*
 * A node's value. Numbers are decimal or 0x and within min and max. Sizes are in bytes and may end
 * in KiB, MiB or GiB; durations are in milliseconds and end in ms or s. A string is a scalar that
 * is not empty; a word is one of a NULL-ended list, given as its index.
 */
bool pl_yaml_string(const struct pl_yaml *node, const char **out, char *error, size_t cap);
bool pl_yaml_bool(const struct pl_yaml *node, bool *out, char *error, size_t cap);
bool pl_yaml_uint(const struct pl_yaml *node, uint64_t min, uint64_t max, uint64_t *out,
                  char *error, size_t cap);
bool pl_yaml_int(const struct pl_yaml *node, int64_t min, int64_t max, int64_t *out, char *error,
                 size_t cap);
bool pl_yaml_size(const struct pl_yaml *node, uint64_t min, uint64_t max, uint64_t *out,
                  char *error, size_t cap);
bool pl_yaml_duration(const struct pl_yaml *node, uint64_t min, uint64_t max, uint64_t *out,
                      char *error, size_t cap);
bool pl_yaml_word(const struct pl_yaml *node, const char *const *words, size_t *out, char *error,
                  size_t cap);

/* The same for a mapping's key; where it is absent, true and `out` stays as it was. */
bool pl_yaml_get_string(const struct pl_yaml *map, const char *key, const char **out, char *error,
                        size_t cap);
bool pl_yaml_get_bool(const struct pl_yaml *map, const char *key, bool *out, char *error,
                      size_t cap);
bool pl_yaml_get_uint(const struct pl_yaml *map, const char *key, uint64_t min, uint64_t max,
                      uint64_t *out, char *error, size_t cap);
bool pl_yaml_get_int(const struct pl_yaml *map, const char *key, int64_t min, int64_t max,
                     int64_t *out, char *error, size_t cap);
bool pl_yaml_get_size(const struct pl_yaml *map, const char *key, uint64_t min, uint64_t max,
                      uint64_t *out, char *error, size_t cap);
bool pl_yaml_get_duration(const struct pl_yaml *map, const char *key, uint64_t min, uint64_t max,
                          uint64_t *out, char *error, size_t cap);
bool pl_yaml_get_word(const struct pl_yaml *map, const char *key, const char *const *words,
                      size_t *out, char *error, size_t cap);

#endif
