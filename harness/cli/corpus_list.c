/* `plumbline corpus list`: what is in corpora, as a table or as JSON. */
#include <jansson.h>
#include <string.h>

#include "cli/corpus.h"
#include "cli/output.h"

struct listing {
    const struct pl_corpus_args *a;
    json_t *list; /* NULL: a table */
    size_t n;
    bool out_of_memory;
};

static const char *id_of(const struct pl_entry *e, unsigned clause)
{
    return pl_clauses_get(pl_clauses_find(e->c.spec), clause)->id;
}

/* Does it aim at the clause, or fail by it? */
static bool speaks_of(const struct pl_entry *e, const char *id)
{
    for (size_t i = 0; i < e->n_clauses; i++)
        if (strcmp(id_of(e, e->clause[i]), id) == 0)
            return true;
    for (size_t i = 0; i < e->n_fails; i++)
        for (size_t k = 0; k < e->fail[i].n; k++)
            if (strcmp(id_of(e, e->fail[i].clause[k]), id) == 0)
                return true;
    return false;
}

static void print_entry(const struct pl_corpus_item *item, const struct pl_entry *e)
{
    printf("%-48s %-6s %3u actions, %3u clauses%s", item->name, pl_case_role(e->c.role), e->c.n,
           e->n_clauses, e->pass ? ", pass" : "");
    for (size_t i = 0; i < e->n_fails; i++)
        printf("%s %s", i ? "," : "; fails", e->fail[i].mutant);
    putchar('\n');
}

static json_t *ids(const struct pl_entry *e, const uint16_t *clause, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(list, json_string(id_of(e, clause[i])));
    return list;
}

static json_t *entry_json(const struct pl_corpus_item *item, const struct pl_entry *e)
{
    char digest[PL_DIGEST_TEXT];
    json_t *fails = json_array();
    for (size_t i = 0; i < e->n_fails; i++)
        json_array_append_new(fails, json_pack("{s:s, s:o}", "mutant", e->fail[i].mutant, "clauses",
                                               ids(e, e->fail[i].clause, e->fail[i].n)));
    pl_digest_text(item->text, item->size, digest);
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:b, s:o, s:s, s:s, s:i}", "name", item->name,
                     "sha256", digest, "draft", e->c.spec->name, "role", pl_case_role(e->c.role),
                     "clauses", ids(e, e->clause, e->n_clauses), "pass", e->pass, "fails", fails,
                     "origin", e->origin, "license", e->license, "actions", (int)e->c.n);
}

static int list_entry(void *opaque, const struct pl_corpus_item *item, struct pl_entry *e)
{
    struct listing *l = opaque;
    if (l->a->clause && !speaks_of(e, l->a->clause))
        return 0;
    l->n++;
    if (!l->list) {
        print_entry(item, e);
        return 0;
    }
    if (json_array_append_new(l->list, entry_json(item, e)) < 0)
        return pl_cli_error(PL_EXIT_USAGE, "%s: its origin is no text in UTF-8", item->name);
    return 0;
}

static int check_clause(const char *id)
{
    for (size_t i = 0; id && pl_specs[i]; i++) {
        const struct pl_clauses *table = pl_clauses_find(pl_specs[i]);
        if (table && pl_clauses_index(table, id) >= 0)
            return 0;
    }
    return id ? pl_cli_error(PL_EXIT_USAGE, "--clause: there is no clause '%s'", id) : 0;
}

int pl_corpus_cmd_list(struct pl_corpus_args *a)
{
    struct listing l = {.a = a, .list = a->json ? json_array() : NULL};
    int err = check_clause(a->clause);
    for (size_t i = 0; !err && i < a->n; i++) {
        struct pl_corpus *corpus = pl_cli_corpus(a->words[i]);
        err = corpus ? pl_cli_corpus_each(a, corpus, list_entry, &l) : PL_EXIT_USAGE;
        pl_corpus_free(corpus);
    }
    if (!err && a->json) {
        json_t *root = json_pack("{s:s, s:O}", "schema", "plumbline-corpus/1", "entries", l.list);
        err = pl_cli_output_json(a->json, root);
        json_decref(root);
    } else if (!err) {
        printf("%zu entr%s\n", l.n, l.n == 1 ? "y" : "ies");
    }
    json_decref(l.list);
    return err;
}
