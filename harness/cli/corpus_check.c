/* `plumbline corpus check` and `minimize`: entries run against the reference peers. */
#include <stdlib.h>
#include <string.h>

#include "cli/corpus.h"
#include "corpus/check.h"
#include "corpus/cover.h"

/* --- check --- */

struct checking {
    const struct pl_corpus_args *a;
    size_t n, wrong, mutants;
};

static int check_entry(void *opaque, const struct pl_corpus_item *item, struct pl_entry *e)
{
    struct checking *k = opaque;
    char why[512];
    int r = pl_entry_check(e, why, sizeof(why));
    k->n++;
    k->mutants += e->n_fails;
    if (r < 0)
        return pl_cli_error(PL_EXIT_INTERNAL, "%s: %s", item->name, why);
    k->wrong += r == 0;
    if (r == 0)
        printf("FAIL  %s: %s\n", item->name, why);
    else if (k->a->verbose)
        printf("ok    %s\n", item->name);
    return 0;
}

int pl_corpus_cmd_check(struct pl_corpus_args *a)
{
    struct checking k = {.a = a};
    int err = 0;
    for (size_t i = 0; !err && i < a->n; i++) {
        struct pl_corpus *corpus = pl_cli_corpus(a->words[i]);
        err = corpus ? pl_cli_corpus_each(a, corpus, check_entry, &k) : PL_EXIT_USAGE;
        pl_corpus_free(corpus);
    }
    if (err)
        return err;
    printf("%zu entries, %zu mutants: %zu do as they say, %zu do not\n", k.n, k.mutants,
           k.n - k.wrong, k.wrong);
    return k.wrong ? PL_EXIT_FINDINGS : PL_EXIT_CONFORMS;
}

/* --- minimize --- */

struct minimizing {
    struct pl_cover *cover;
    const struct pl_corpus_item **item; /* of the n-th entry that was added; room for all */
    size_t n;
};

static int cover_entry(void *opaque, const struct pl_corpus_item *item, struct pl_entry *e)
{
    struct minimizing *m = opaque;
    char why[512];
    int err = pl_cover_add(m->cover, e, item->size, why, sizeof(why));
    if (err < 0)
        return pl_cli_error(PL_EXIT_USAGE, "%s: %s", item->name, why);
    m->item[m->n++] = item;
    return 0;
}

static int write_chosen(const struct minimizing *m, const char *folder)
{
    bool *chosen = calloc(m->n + 1, sizeof(*chosen));
    struct pl_corpus *out = pl_corpus_new();
    size_t covered = 0;
    int err = chosen && out ? 0 : pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    size_t n = err ? 0 : pl_cover_choose(m->cover, chosen, &covered);
    for (size_t i = 0; !err && i < m->n; i++)
        if (chosen[i] && pl_corpus_add(out, m->item[i]->name, m->item[i]->text, m->item[i]->size))
            err = pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    if (!err)
        err = pl_cli_corpus_write(out, folder);
    if (!err)
        printf("%zu entries of %zu cover the same: %zu clauses, states and mutants\n", n, m->n,
               covered);
    pl_corpus_free(out);
    free(chosen);
    return err;
}

int pl_corpus_cmd_minimize(struct pl_corpus_args *a)
{
    struct minimizing m = {.cover = pl_cover_new()};
    struct pl_corpus *corpus = pl_cli_corpus(a->words[0]);
    int err = corpus ? 0 : PL_EXIT_USAGE;
    m.item = err ? NULL : calloc(corpus->n, sizeof(*m.item));
    if (!err && (!m.item || !m.cover))
        err = pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    if (!err)
        err = pl_cli_corpus_each(a, corpus, cover_entry, &m);
    if (!err)
        err = write_chosen(&m, a->words[1]);
    free(m.item);
    pl_cover_free(m.cover);
    pl_corpus_free(corpus);
    return err;
}
