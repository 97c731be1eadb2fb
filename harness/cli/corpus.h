/* What the files of `plumbline corpus` share. */
#ifndef PL_CLI_CORPUS_H
#define PL_CLI_CORPUS_H

#include "cli/cli.h"
#include "corpus/corpus.h"

enum { PL_CORPUS_WORDS = 64 };

/* One command line of `plumbline corpus`. */
struct pl_corpus_args {
    const char *words[PL_CORPUS_WORDS]; /* NULL-ended */
    size_t n;
    const char *role, *clause, *json, *sha256, *origin, *license, *seed, *select, *execs, *jobs,
        *beyond;
    bool verbose, help;
    /* taken apart */
    bool one_role;
    enum pl_iut as;      /* with one_role */
    uint64_t number;     /* of --seed; 1 */
    uint64_t executions; /* of --execs; 0: the command's own */
    unsigned n_jobs;     /* of --jobs; as many as there are processors */
};

/* Load a corpus; NULL after the error. */
struct pl_corpus *pl_cli_corpus(const char *path);
/* The same, where it may hold no entry yet. */
struct pl_corpus *pl_cli_corpus_any(const char *path);
/*
 * Each entry of it that --role wants, parsed; stops where `each` gives no 0 and returns that. The
 * first that is malformed ends it with PL_EXIT_USAGE after the error.
 */
int pl_cli_corpus_each(const struct pl_corpus_args *a, const struct pl_corpus *corpus,
                       int (*each)(void *opaque, const struct pl_corpus_item *item,
                                   struct pl_entry *e),
                       void *opaque);
/* Write a corpus to a folder that is empty or is none yet: an exit status. */
int pl_cli_corpus_write(const struct pl_corpus *corpus, const char *folder);

/* The commands; exit statuses. */
int pl_corpus_cmd_check(struct pl_corpus_args *a);
int pl_corpus_cmd_list(struct pl_corpus_args *a);
int pl_corpus_cmd_minimize(struct pl_corpus_args *a);
int pl_corpus_cmd_merge(struct pl_corpus_args *a);
int pl_corpus_cmd_add(struct pl_corpus_args *a);
int pl_corpus_cmd_export(struct pl_corpus_args *a);
int pl_corpus_cmd_import(struct pl_corpus_args *a);
int pl_corpus_cmd_to_bytes(struct pl_corpus_args *a);
int pl_corpus_cmd_from_bytes(struct pl_corpus_args *a);
int pl_corpus_cmd_seed(struct pl_corpus_args *a);

#endif
