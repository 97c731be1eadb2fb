/* `plumbline corpus export` and `import`: one archive that others verify before they use it. */
#include <stdlib.h>
#include <string.h>

#include "cli/corpus.h"

static int wanted(void *opaque, const struct pl_corpus_item *item, struct pl_entry *e)
{
    (void)e;
    return pl_corpus_add(opaque, item->name, item->text, item->size)
               ? pl_cli_error(PL_EXIT_INTERNAL, "out of memory")
               : 0;
}

static int write_archive(const struct pl_corpus *corpus, const char *path)
{
    char error[1024], digest[PL_DIGEST_TEXT];
    size_t size = 0;
    struct pl_bundle_file *file = calloc(corpus->n + 1, sizeof(*file));
    for (size_t i = 0; file && i < corpus->n; i++) {
        strcpy(file[i].name, corpus->item[i].name);
        file[i].text = corpus->item[i].text;
        file[i].size = corpus->item[i].size;
    }
    uint8_t *bytes = file ? pl_bundle_make(file, corpus->n, &size) : NULL;
    free(file);
    if (!bytes)
        return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    int err = 0;
    if (!pl_write_file(path, bytes, size, error, sizeof(error)))
        err = pl_cli_error(PL_EXIT_USAGE, "%s", error);
    pl_digest_text(bytes, size, digest);
    if (!err)
        printf("%s  %s\n", digest, path);
    free(bytes);
    return err;
}

int pl_corpus_cmd_export(struct pl_corpus_args *a)
{
    struct pl_corpus *corpus = pl_cli_corpus(a->words[0]), *part = pl_corpus_new();
    int err = !corpus ? PL_EXIT_USAGE
              : !part ? pl_cli_error(PL_EXIT_INTERNAL, "out of memory")
                      : pl_cli_corpus_each(a, corpus, wanted, part);
    if (!err && !part->n)
        err = pl_cli_error(PL_EXIT_USAGE, "%s: there is no entry for a %s in it", a->words[0],
                           a->role);
    if (!err)
        err = write_archive(part, a->words[1]);
    pl_corpus_free(part);
    pl_corpus_free(corpus);
    return err;
}

/* Is it an archive, and the one that --sha256 means? */
static int check_archive(const struct pl_corpus_args *a, const struct pl_corpus *corpus)
{
    if (corpus->in != PL_IN_ARCHIVE)
        return pl_cli_error(PL_EXIT_USAGE, "%s: it is no archive", a->words[0]);
    if (!a->sha256 || strcmp(a->sha256, corpus->digest) == 0)
        return 0;
    return pl_cli_error(PL_EXIT_USAGE, "%s: its SHA-256 is %s, not %s", a->words[0], corpus->digest,
                        a->sha256);
}

int pl_corpus_cmd_import(struct pl_corpus_args *a)
{
    struct pl_corpus *corpus = pl_cli_corpus(a->words[0]), *part = pl_corpus_new();
    int err = corpus ? check_archive(a, corpus) : PL_EXIT_USAGE;
    if (!err)
        err = part ? pl_cli_corpus_each(a, corpus, wanted, part)
                   : pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    if (!err && a->words[1])
        err = pl_cli_corpus_write(part, a->words[1]);
    if (!err)
        printf("%zu entries, each as its digest says%s%s\n", part->n,
               a->words[1] ? "; written to " : "", a->words[1] ? a->words[1] : "");
    pl_corpus_free(part);
    pl_corpus_free(corpus);
    return err;
}
