/* `plumbline corpus merge`: several corpora into one in which each case stands once. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/corpus.h"

/* A case of the corpus that is made, by its bytes' digest. */
struct known {
    char digest[PL_DIGEST_TEXT], name[PL_BUNDLE_NAME + 1];
};

struct merge {
    struct pl_corpus *out;
    struct known *known;
    size_t n, room;
    struct pl_entry *other; /* scratch */
    uint8_t bytes[PL_CASE_BYTES_MAX];
    char text[PL_ENTRY_MAX];
    size_t read, extended;
};

static int out_of_memory(void)
{
    return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
}

static const struct known *find(const struct merge *m, const char *digest)
{
    for (size_t i = 0; i < m->n; i++)
        if (strcmp(m->known[i].digest, digest) == 0)
            return &m->known[i];
    return NULL;
}

static bool remember(struct merge *m, const char *digest, const char *name)
{
    if (m->n == m->room) {
        size_t room = m->room ? 2 * m->room : 64;
        struct known *known = realloc(m->known, room * sizeof(*known));
        if (!known)
            return false;
        m->known = known;
        m->room = room;
    }
    struct known *k = &m->known[m->n++];
    strcpy(k->digest, digest);
    strcpy(k->name, name);
    return true;
}

/* How much an entry says. */
static size_t says(const struct pl_entry *e)
{
    size_t n = (size_t)e->n_clauses + e->pass;
    for (size_t i = 0; i < e->n_fails; i++)
        n += e->fail[i].n;
    return n;
}

/* What another entry of the same case says besides is said here, too, as far as there is room.
 * False: it said nothing new. */
static bool extend(struct pl_entry *e, const struct pl_entry *from)
{
    size_t before = says(e);
    e->pass |= from->pass;
    for (size_t i = 0; i < from->n_clauses; i++)
        pl_entry_aim(e, from->clause[i]);
    for (size_t i = 0; i < from->n_fails; i++)
        for (size_t k = 0; k < from->fail[i].n; k++)
            pl_entry_expect(e, from->fail[i].mutant, from->fail[i].clause[k]);
    return says(e) != before;
}

static int extend_known(struct merge *m, const struct known *known, const struct pl_entry *e)
{
    char error[256];
    const struct pl_corpus_item *item = pl_corpus_find(m->out, known->name);
    if (!pl_entry_parse(m->other, item->name, item->text, item->size, error, sizeof(error)))
        return pl_cli_error(PL_EXIT_INTERNAL, "%s", error);
    if (!extend(m->other, e))
        return 0;
    m->extended++;
    size_t size = pl_entry_format(m->other, m->text, sizeof(m->text));
    return pl_corpus_replace(m->out, known->name, m->text, size) ? out_of_memory() : 0;
}

/* "NAME-1234abcd.txt" of "NAME.txt", no longer than a name may be. */
static void another_name(const char *name, const char *digest, char out[PL_BUNDLE_NAME + 1])
{
    enum { DIGITS = 8, MORE = 1 + DIGITS };
    size_t stem = strlen(name) - 4;
    if (stem + MORE + 4 > PL_BUNDLE_NAME)
        stem = PL_BUNDLE_NAME - MORE - 4;
    snprintf(out, PL_BUNDLE_NAME + 1, "%.*s-%.*s.txt", (int)stem, name, DIGITS, digest);
}

static int merge_entry(void *opaque, const struct pl_corpus_item *item, struct pl_entry *e)
{
    struct merge *m = opaque;
    char digest[PL_DIGEST_TEXT], name[PL_BUNDLE_NAME + 1];
    pl_digest_text(m->bytes, pl_case_encode(&e->c, m->bytes, sizeof(m->bytes)), digest);
    const struct known *known = find(m, digest);
    m->read++;
    if (known)
        return extend_known(m, known, e);
    strcpy(name, item->name);
    int err = pl_corpus_add(m->out, name, item->text, item->size);
    if (err == -EEXIST) {
        another_name(item->name, digest, name);
        err = pl_corpus_add(m->out, name, item->text, item->size);
    }
    if (err == -EEXIST || err == -ENOSPC)
        return pl_cli_error(PL_EXIT_USAGE,
                            err == -ENOSPC ? "%s: a corpus has 10000 entries at most"
                                           : "%s: there is no name left for it",
                            item->name);
    return err || !remember(m, digest, name) ? out_of_memory() : 0;
}

static int merge_all(struct pl_corpus_args *a, struct merge *m)
{
    char error[1024];
    const char *out = a->words[a->n - 1];
    bool there = !pl_corpus_free_place(out, error, sizeof(error));
    int err = 0;
    for (size_t i = there ? 0 : 1; !err && i < a->n; i++) {
        /* first what is there, so that its names stay */
        struct pl_corpus *corpus = i ? pl_cli_corpus(a->words[i - 1]) : pl_cli_corpus_any(out);
        err = corpus ? pl_cli_corpus_each(a, corpus, merge_entry, m) : PL_EXIT_USAGE;
        pl_corpus_free(corpus);
    }
    if (!err && !pl_corpus_write(m->out, out, error, sizeof(error)))
        err = pl_cli_error(PL_EXIT_USAGE, "%s", error);
    if (!err)
        printf("%zu entries read, %zu in %s; %zu say more than before\n", m->read, m->out->n, out,
               m->extended);
    return err;
}

int pl_corpus_cmd_merge(struct pl_corpus_args *a)
{
    struct merge *m = calloc(1, sizeof(*m));
    int err = 0;
    if (m) {
        m->out = pl_corpus_new();
        m->other = malloc(sizeof(*m->other));
    }
    err = m && m->out && m->other ? merge_all(a, m) : out_of_memory();
    if (m) {
        pl_corpus_free(m->out);
        free(m->other);
        free(m->known);
    }
    free(m);
    return err;
}
