/* A corpus: entries with their names, from a folder, a file or an archive. */
#ifndef PL_CORPUS_H
#define PL_CORPUS_H

#include "corpus/bundle.h"
#include "corpus/entry.h"

/* An entry as it lies in its file. */
struct pl_corpus_item {
    char name[PL_BUNDLE_NAME + 1]; /* within the corpus, "device/reset.txt" */
    char *text;                    /* owned; NUL-ended */
    size_t size;
};

struct pl_corpus {
    struct pl_corpus_item *item; /* in ascending order of names */
    size_t n, room;
    char path[400];                                      /* where it comes from; "": from nowhere */
    char digest[PL_DIGEST_TEXT];                         /* of an archive as a whole */
    enum { PL_IN_FOLDER, PL_IN_FILE, PL_IN_ARCHIVE } in; /* what that is */
};

/*
 * Read a corpus: all files below a folder whose names end in ".txt", or one entry, or an archive
 * that is verified first. The entries' own text is not looked at. NULL with one sentence in
 * `error`.
 */
struct pl_corpus *pl_corpus_load(const char *path, char *error, size_t cap);
/* The same, where it may hold no entry yet. */
struct pl_corpus *pl_corpus_load_any(const char *path, char *error, size_t cap);
void pl_corpus_free(struct pl_corpus *corpus);
/*
 * Parse an entry of it. False with one sentence in `error`, which names folder, file and line.
 */
bool pl_corpus_parse(const struct pl_corpus *corpus, size_t i, struct pl_entry *e, char *error,
                     size_t cap);
/* An empty one; NULL without memory. */
struct pl_corpus *pl_corpus_new(void);
/* Add a copy of an entry; -EEXIST where the name is there, -ENOSPC where it is full, -ENOMEM. */
int pl_corpus_add(struct pl_corpus *corpus, const char *name, const char *text, size_t size);
/* The entry of a name, or NULL. */
const struct pl_corpus_item *pl_corpus_find(const struct pl_corpus *corpus, const char *name);
/* Give an entry another text; a copy is taken. -ENOENT, -ENOMEM. */
int pl_corpus_replace(struct pl_corpus *corpus, const char *name, const char *text, size_t size);

/* May a new corpus be written there: it is an empty folder, or is none yet? False with a sentence.
 */
bool pl_corpus_free_place(const char *folder, char *error, size_t cap);
/* Write each entry into its file below a folder, which is made, and files that are there are
 * replaced. False with a sentence. */
bool pl_corpus_write(const struct pl_corpus *corpus, const char *folder, char *error, size_t cap);

/* A file's bytes, NUL-ended; NULL with a sentence. The caller frees them. */
char *pl_read_file(const char *path, size_t most, size_t *size, char *error, size_t cap);
/* Write a file as a whole: what was there is replaced at once, or not. False with a sentence. */
bool pl_write_file(const char *path, const void *bytes, size_t size, char *error, size_t cap);

#endif
