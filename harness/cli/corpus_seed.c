/* `plumbline corpus seed`: a starting corpus, found by trying cases, the same for the same seed. */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cli/corpus.h"
#include "cli/selftest_run.h"
#include "corpus/seed.h"

enum { EXPLORE = 60000, TRIES = 60000, CLAUSES_MAX = 4096 };

/* What became of a mutant; in memory that is shared with the workers. */
struct outcome {
    bool found;
    uint64_t tried;
    char text[4096]; /* the entry; one that is longer is cut, and then none */
};

struct seeding {
    struct pl_corpus_args *a;
    const struct pl_spec *spec;
    enum pl_iut role;
    struct pl_seeder *seeder;
    struct pl_corpus *out;    /* of all roles */
    struct pl_corpus *beyond; /* what is there already; NULL: nothing */
    struct outcome *outcome;
    bool *there; /* of each mutant of the role at hand: there is an entry of it already */
    struct pl_entry *e;
    size_t n_mutants, n_found, n_false;
    bool met[CLAUSES_MAX]; /* clauses of the role at hand that an entry aims at */
    char text[PL_ENTRY_MAX];
};

static void sign(const struct seeding *s, struct pl_entry *e)
{
    if (s->a->origin)
        snprintf(e->origin, sizeof(e->origin), "%s", s->a->origin);
    else
        snprintf(e->origin, sizeof(e->origin), "plumbline corpus seed --seed %llu",
                 (unsigned long long)s->a->number);
    snprintf(e->license, sizeof(e->license), "%s", s->a->license ? s->a->license : "BSD-3-Clause");
}

static int add(struct seeding *s, const char *folder, const char *name, const char *text)
{
    char path[PL_BUNDLE_NAME + 1];
    if ((size_t)snprintf(path, sizeof(path), "%s/%s/%s.txt", pl_case_role(s->role), folder, name) >=
            sizeof(path) ||
        pl_corpus_add(s->out, path, text, strlen(text)) < 0)
        return pl_cli_error(PL_EXIT_INTERNAL, "%s: there is no room for it", name);
    return 0;
}

/* --- what is there already --- */

static int note_mutants(void *opaque, const struct pl_corpus_item *item, struct pl_entry *e)
{
    struct seeding *s = opaque;
    struct pl_wrong_peer mutant;
    (void)item;
    for (size_t k = 0; pl_wrong_peer_at(s->spec, s->role, k, &mutant); k++)
        for (size_t i = 0; i < e->n_fails; i++)
            s->there[k] |= e->fail[i].mutant == mutant.id;
    return 0;
}

static int note_met(void *opaque, const struct pl_corpus_item *item, struct pl_entry *e)
{
    struct seeding *s = opaque;
    (void)item;
    for (size_t i = 0; i < e->n_clauses && e->c.role == s->role && e->c.spec == s->spec; i++)
        s->met[e->clause[i]] = true;
    return 0;
}

/* --- clauses --- */

static int clause_entry(void *opaque, struct pl_entry *e)
{
    struct seeding *s = opaque;
    const struct pl_clauses *table = pl_clauses_find(s->spec);
    if (!pl_entry_trim(e) || !e->n_clauses)
        return 0;
    sign(s, e);
    pl_entry_format(e, s->text, sizeof(s->text));
    return add(s, "clauses", pl_clauses_get(table, e->clause[0])->id, s->text);
}

/* --- mutants --- */

static void run_mutant(void *self, size_t i)
{
    struct seeding *s = self;
    struct outcome *o = &s->outcome[i];
    struct pl_wrong_peer mutant;
    pl_wrong_peer_at(s->spec, s->role, i, &mutant);
    if (!pl_seeder_mutant(s->seeder, &mutant, s->a->executions ? s->a->executions : TRIES, s->e,
                          &o->tried))
        return;
    sign(s, s->e);
    o->found = pl_entry_format(s->e, o->text, sizeof(o->text)) < sizeof(o->text);
}

static void told(void *self, size_t i, size_t done)
{
    const struct seeding *s = self;
    struct pl_wrong_peer mutant;
    (void)done;
    pl_wrong_peer_at(s->spec, s->role, i, &mutant);
    if (!s->outcome[i].found)
        printf("not found %s, in %llu cases\n", mutant.id, (unsigned long long)s->outcome[i].tried);
    else if (s->a->verbose)
        printf("found     %s, with case %llu\n", mutant.id,
               (unsigned long long)s->outcome[i].tried + 1);
    fflush(stdout);
}

/* The mutants' entries, shortest case first. */
struct found {
    struct pl_entry *entry;
    size_t mutant;
};

static int shorter(const void *a, const void *b)
{
    const struct found *x = a, *y = b;
    if (x->entry->c.n != y->entry->c.n)
        return x->entry->c.n < y->entry->c.n ? -1 : 1;
    return (x->mutant > y->mutant) - (x->mutant < y->mutant);
}

static size_t parse_found(const struct seeding *s, const size_t *order, size_t n,
                          struct found *found)
{
    char error[512];
    size_t n_found = 0;
    for (size_t k = 0; k < n; k++) {
        const struct outcome *o = &s->outcome[order[k]];
        struct pl_entry *e = o->found ? malloc(sizeof(*e)) : NULL;
        if (e && pl_entry_parse(e, "found", o->text, strlen(o->text), error, sizeof(error)))
            found[n_found++] = (struct found){e, order[k]};
        else
            free(e);
    }
    qsort(found, n_found, sizeof(*found), shorter);
    return n_found;
}

/* One case is often enough for many mutants: each goes to the shortest that it fails. */
static int take_mutants(struct seeding *s, const size_t *order, size_t n)
{
    struct found *found = calloc(n + 1, sizeof(*found));
    struct pl_entry **kept = calloc(n + 1, sizeof(struct pl_entry *));
    struct pl_wrong_peer mutant;
    size_t n_found = found ? parse_found(s, order, n, found) : 0, n_kept = 0;
    int err = found && kept ? 0 : pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    for (size_t i = 0; !err && i < n_found; i++) {
        pl_wrong_peer_at(s->spec, s->role, found[i].mutant, &mutant);
        if (pl_seeder_first(s->seeder, &mutant, kept, n_kept) == n_kept)
            kept[n_kept++] = found[i].entry;
    }
    for (size_t i = 0; !err && i < n_kept; i++) {
        pl_seeder_aim(s->seeder, kept[i], s->met);
        if (!pl_entry_trim(kept[i]) || !kept[i]->n_fails)
            continue;
        pl_entry_format(kept[i], s->text, sizeof(s->text));
        err = add(s, "mutants", kept[i]->fail[0].mutant, s->text);
    }
    s->n_found = n_found;
    for (size_t i = 0; i < n_found; i++)
        free(found[i].entry);
    free(found);
    free(kept);
    return err;
}

static int mutants(struct seeding *s)
{
    struct pl_wrong_peer mutant;
    size_t all = 0, n = 0, bad;
    while (pl_wrong_peer_at(s->spec, s->role, all, &mutant))
        all++;
    size_t *order = calloc(all + 1, sizeof(*order));
    bool *done = calloc(all + 1, sizeof(*done));
    s->there = calloc(all + 1, sizeof(*s->there));
    s->outcome = mmap(NULL, (all + 1) * sizeof(*s->outcome), PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    int err = order && done && s->there && s->outcome != MAP_FAILED
                  ? 0
                  : pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    if (!err && s->beyond)
        err = pl_cli_corpus_each(s->a, s->beyond, note_mutants, s);
    for (size_t i = 0; !err && i < all; i++) {
        pl_wrong_peer_at(s->spec, s->role, i, &mutant);
        if ((!s->a->select || strstr(mutant.id, s->a->select)) && !s->there[i])
            order[n++] = i;
    }
    const struct pl_selftest_work work = {
        .order = order, .n = n, .jobs = s->a->n_jobs, .self = s, .run = run_mutant, .told = told};
    if (!err && pl_selftest_work(&work, done, &bad) < 0)
        err = pl_cli_error(PL_EXIT_INTERNAL, "a worker ended badly");
    if (!err)
        err = take_mutants(s, order, n);
    s->n_mutants = n;
    if (s->outcome != MAP_FAILED)
        munmap(s->outcome, (all + 1) * sizeof(*s->outcome));
    free(s->there);
    free(order);
    free(done);
    return err;
}

/* --- a role --- */

/* What conforms failed: the judge, or the peer, is wrong. The case is shown. */
static void false_failures(struct seeding *s, int n, const char *why)
{
    pl_case_format(&s->e->c, s->text, sizeof(s->text));
    s->n_false += (size_t)n;
    printf("FALSE FAILURE  the faithful %s failed %d cases; the first: %s\n%s",
           pl_case_role(s->role), n, why, s->text);
}

/* What there is an entry for now, and which judged clauses of the role there is none for. */
static void print_role(const struct seeding *s)
{
    const struct pl_clauses *table = pl_clauses_find(s->spec);
    const char *role = pl_case_role(s->role);
    size_t judged = 0, met = 0;
    for (size_t i = 0; i < pl_clauses_count(table); i++) {
        const struct pl_clause_def *c = pl_clauses_get(table, i);
        if (!c->judged || strcmp(c->role, role) != 0)
            continue;
        judged++;
        met += s->met[i];
        if (!s->met[i] && s->a->verbose)
            printf("no entry  %s\n", c->id);
    }
    printf("%s: %zu of %zu judged clauses, %zu of %zu mutants\n", role, met, judged, s->n_found,
           s->n_mutants);
}

static int one_role(struct seeding *s, enum pl_iut role)
{
    char why[512];
    s->role = role;
    s->n_found = s->n_mutants = 0;
    memset(s->met, 0, sizeof(s->met));
    if (s->beyond && pl_cli_corpus_each(s->a, s->beyond, note_met, s))
        return PL_EXIT_USAGE;
    s->seeder = pl_seeder_new(s->spec, role, s->a->number, why, sizeof(why));
    if (!s->seeder)
        return pl_cli_error(PL_EXIT_INTERNAL, "%s", why);
    int bad = pl_seeder_explore(s->seeder, s->a->executions ? s->a->executions : EXPLORE, &s->e->c,
                                why, sizeof(why));
    int err = bad < 0 ? pl_cli_error(PL_EXIT_INTERNAL, "%s", why) : 0;
    if (bad > 0)
        false_failures(s, bad, why);
    if (!err)
        err = mutants(s);
    if (!err && !s->a->select)
        err = pl_seeder_clauses(s->seeder, s->met, clause_entry, s);
    pl_seeder_free(s->seeder);
    if (!err)
        print_role(s);
    return err;
}

int pl_corpus_cmd_seed(struct pl_corpus_args *a)
{
    char error[1024];
    struct seeding *s = NULL;
    int err = 0;
    if (!pl_corpus_free_place(a->words[0], error, sizeof(error)))
        return pl_cli_error(PL_EXIT_USAGE, "%s", error);
    s = calloc(1, sizeof(*s));
    if (s) {
        s->a = a;
        s->spec = pl_cli_spec(NULL);
        s->out = pl_corpus_new();
        s->e = malloc(sizeof(*s->e));
    }
    if (!s || !s->out || !s->e)
        err = pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    if (!err && a->beyond) {
        s->beyond = pl_cli_corpus_any(a->beyond);
        err = s->beyond ? 0 : PL_EXIT_USAGE;
    }
    if (!err)
        printf("seed %llu\n", (unsigned long long)a->number);
    for (int role = PL_IUT_DEVICE; !err && role <= PL_IUT_BUS; role++)
        if (!a->one_role || a->as == (enum pl_iut)role)
            err = one_role(s, (enum pl_iut)role);
    if (!err)
        err = pl_cli_corpus_write(s->out, a->words[0]);
    if (!err)
        printf("%zu entries in %s\n", s->out->n, a->words[0]);
    if (!err && s->n_false)
        err = PL_EXIT_FINDINGS;
    if (s) {
        pl_corpus_free(s->out);
        pl_corpus_free(s->beyond);
        free(s->e);
    }
    free(s);
    return err;
}
