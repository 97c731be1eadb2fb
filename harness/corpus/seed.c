/* Seeding: explore the faithful peer, then look among what is known, and around it, for cases that
 * tell mutants from it. */
#include "corpus/seed.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run.h"
#include "fuzz/generate.h"
#include "fuzz/mutate.h"
#include "fuzz/shrink.h"
#include "wire/random.h"

enum {
    POOL_MAX = 2048,
    LOCAL_MAX = 512,
    SHRINK_TRIES = 4000,
    NEW_CASES = 4,
    AIMED = 3,
    LOOKS = 16
};

/* A case that showed something new, and what it shows. */
struct known {
    struct pl_case *c;
    uint16_t *seen;
    size_t n_seen;
};

struct pool {
    struct known *known;
    size_t n, most;
    bool map[PL_FEEDBACK_MAX]; /* what all of them show */
};

struct pl_seeder {
    const struct pl_spec *spec;
    enum pl_iut role;
    uint64_t seed;
    struct pl_generator g; /* what it has learned; its randomness is set for each use */
    struct pool pool;
};

/* --- pools --- */

static bool pool_init(struct pool *p, size_t most)
{
    p->n = 0;
    p->most = most;
    p->known = calloc(most, sizeof(*p->known));
    return p->known != NULL;
}

static void pool_free(struct pool *p)
{
    for (size_t i = 0; p->known && i < p->n; i++) {
        free(p->known[i].c);
        free(p->known[i].seen);
    }
    free(p->known);
}

static bool is_new(struct pool *p, const struct pl_exec_result *r)
{
    bool any = false;
    for (size_t i = 0; i < r->n_seen; i++) {
        any |= !p->map[r->seen[i]];
        p->map[r->seen[i]] = true;
    }
    return any;
}

/* Keep a case that shows something new. A full pool, or no memory, keeps nothing more. */
static void pool_note(struct pool *p, const struct pl_case *c, const struct pl_exec_result *r)
{
    if (!is_new(p, r) || p->n == p->most)
        return;
    struct known k = {malloc(sizeof(*k.c)), malloc((r->n_seen + 1) * sizeof(*k.seen)), r->n_seen};
    if (!k.c || !k.seen) {
        free(k.c);
        free(k.seen);
        return;
    }
    *k.c = *c;
    memcpy(k.seen, r->seen, r->n_seen * sizeof(*k.seen));
    p->known[p->n++] = k;
}

static bool shows(const struct known *k, unsigned what)
{
    for (size_t i = 0; i < k->n_seen; i++)
        if (k->seen[i] == what)
            return true;
    return false;
}

/* --- drawing --- */

static uint64_t draw(uint64_t *x, uint64_t below)
{
    return pl_random(x) % below;
}

/* A start for what is drawn that differs from name to name. */
static uint64_t random_of(uint64_t seed, const char *name)
{
    uint64_t x = seed * PL_RANDOM_STEP + UINT64_C(0xcbf29ce484222325);
    for (; *name; name++)
        x = (x ^ (unsigned char)*name) * UINT64_C(0x100000001b3);
    return x | 1;
}

/* A case of its own: mostly what a model of the protocol suggests. */
static void new_case(struct pl_generator *g, struct pl_case *out)
{
    if (draw(&g->random, 4))
        pl_generate_case(g, out);
    else
        pl_mutate_new(out, g->spec, g->role, &g->random);
}

/* A case of its own, or one of `some` changed; `other` is one to cross it with. */
static void next_case(struct pl_generator *g, const struct known *some, const struct known *other,
                      struct pl_case *out)
{
    if (!some || draw(&g->random, NEW_CASES) == 0) {
        new_case(g, out);
        return;
    }
    *out = *some->c;
    if (other && draw(&g->random, 4) == 0)
        pl_mutate_cross(out, some->c, other->c, &g->random);
    if (draw(&g->random, 3) == 0)
        pl_generate_more(g, out, draw(&g->random, out->n + 1u));
    if (draw(&g->random, 3))
        pl_mutate(out, &g->random);
}

/* A scenario that aims at a clause that no case of the pool exercises, behind what is there. */
static void aim_at_new(struct pl_generator *g, const struct pool *p, struct pl_case *c)
{
    const struct pl_clauses *table = pl_clauses_find(g->spec);
    size_t n = pl_clauses_count(table);
    for (unsigned tries = 0; tries < LOOKS; tries++) {
        size_t i = draw(&g->random, n);
        const struct pl_clause_def *def = pl_clauses_get(table, i);
        if (p->map[2 * i] || !def->judged)
            continue;
        int type = pl_case_type_find(def->type);
        if (type >= 0)
            c->type = (uint8_t)type;
        if (pl_generate_scenario(g, c, def->id))
            return;
    }
}

/* --- the faithful peer --- */

struct pl_seeder *pl_seeder_new(const struct pl_spec *spec, enum pl_iut role, uint64_t seed,
                                char *error, size_t cap)
{
    struct pl_seeder *s = calloc(1, sizeof(*s));
    snprintf(error, cap, "out of memory");
    if (!s)
        return NULL;
    s->spec = spec;
    s->role = role;
    s->seed = seed;
    s->g = (struct pl_generator){.spec = spec, .role = role, .reference = true, .random = 1};
    if (pool_init(&s->pool, POOL_MAX) && pl_generator_learn(&s->g) == 0)
        return s;
    pl_seeder_free(s);
    return NULL;
}

void pl_seeder_free(struct pl_seeder *s)
{
    if (s) {
        pool_free(&s->pool);
        pl_generator_free(&s->g);
    }
    free(s);
}

static struct pl_exec *executor(const struct pl_seeder *s, const char *mutant, char *error,
                                size_t cap)
{
    const struct pl_exec_options options = {
        .spec = s->spec, .role = s->role, .mutant = mutant, .warnings = mutant != NULL};
    return pl_exec_new(&options, error, cap);
}

/* The faithful peer with the options that a mutant needs; NULL also where it needs none. */
static struct pl_exec *executor_like(const struct pl_seeder *s, const struct pl_wrong_peer *mutant)
{
    char why[256];
    const struct pl_exec_options options = {
        .spec = s->spec, .role = s->role, .like = mutant->id, .warnings = true};
    return mutant->options && *mutant->options && !mutant->options_only
               ? pl_exec_new(&options, why, sizeof(why))
               : NULL;
}

int pl_seeder_explore(struct pl_seeder *s, uint64_t executions, struct pl_case *c, char *why,
                      size_t cap)
{
    struct pl_exec_result r;
    struct pl_generator g = s->g;
    g.random = random_of(s->seed, pl_case_role(s->role));
    struct pl_exec *x = executor(s, NULL, why, cap);
    struct pl_case *now = malloc(sizeof(*now));
    int bad = x && now ? 0 : -ENOMEM;
    for (uint64_t i = 0; bad >= 0 && i < executions; i++) {
        const struct pool *p = &s->pool;
        const struct known *some = p->n ? &p->known[draw(&g.random, p->n)] : NULL;
        const struct known *other = p->n ? &p->known[draw(&g.random, p->n)] : NULL;
        next_case(&g, some, other, now);
        if (draw(&g.random, AIMED) == 0) {
            now->n = draw(&g.random, 2) ? 0 : now->n;
            aim_at_new(&g, p, now);
        }
        if (pl_exec_run(x, now, &r) < 0)
            continue;
        if (!r.n_findings)
            pool_note(&s->pool, now, &r);
        else if (!bad++) {
            *c = *now;
            snprintf(why, cap, "%s", r.finding[0].text);
        }
    }
    free(now);
    pl_exec_free(x);
    return bad;
}

/* --- an entry for each clause --- */

struct keep_clauses {
    struct pl_exec *x;
    const struct pl_spec *spec;
    const bool *wanted; /* by clause */
    size_t n;
};

static bool still_exercises(void *opaque, const struct pl_case *c)
{
    struct keep_clauses *k = opaque;
    struct pl_exec_result r;
    size_t met = 0;
    if (pl_exec_run(k->x, c, &r) < 0 || r.n_findings)
        return false;
    for (size_t i = 0; i < r.n_seen; i++) {
        bool broken;
        int clause = pl_feedback_clause(k->spec, r.seen[i], &broken);
        met += clause >= 0 && !broken && k->wanted[clause];
    }
    return met == k->n;
}

/* How many clauses that are not met yet a case exercises; they go into wanted[] where it is not
 * NULL. */
static size_t new_clauses(const struct pl_seeder *s, const struct known *k, const bool *met,
                          bool *wanted)
{
    size_t n = 0;
    for (size_t i = 0; i < k->n_seen; i++) {
        bool broken;
        int clause = pl_feedback_clause(s->spec, k->seen[i], &broken);
        if (clause < 0 || broken || met[clause])
            continue;
        n++;
        if (wanted)
            wanted[clause] = true;
    }
    return n;
}

/* The case that exercises most of what is not met yet; of these the shortest. */
static const struct known *most_new(const struct pl_seeder *s, const bool *met)
{
    const struct known *best = NULL;
    size_t most = 0;
    for (size_t i = 0; i < s->pool.n; i++) {
        const struct known *k = &s->pool.known[i];
        size_t n = new_clauses(s, k, met, NULL);
        if (n > most || (n && n == most && k->c->n < best->c->n)) {
            best = k;
            most = n;
        }
    }
    return best;
}

int pl_seeder_clauses(struct pl_seeder *s, bool *met, int (*each)(void *opaque, struct pl_entry *e),
                      void *opaque)
{
    char why[256];
    size_t n = pl_clauses_count(pl_clauses_find(s->spec));
    bool *wanted = calloc(n, sizeof(*wanted));
    struct pl_entry *e = malloc(sizeof(*e));
    struct pl_exec *x = executor(s, NULL, why, sizeof(why));
    const struct known *k;
    int err = wanted && e && x ? 0 : -ENOMEM;
    while (!err && (k = most_new(s, met))) {
        memset(wanted, 0, n * sizeof(*wanted));
        pl_entry_init(e, k->c);
        struct keep_clauses keep = {x, s->spec, wanted, new_clauses(s, k, met, wanted)};
        pl_shrink(&e->c, still_exercises, &keep, SHRINK_TRIES);
        for (unsigned i = 0; i < n; i++)
            if (wanted[i] && pl_entry_aim(e, i))
                met[i] = true;
        e->pass = true;
        err = each(opaque, e);
    }
    pl_exec_free(x);
    free(e);
    free(wanted);
    return err;
}

void pl_seeder_aim(const struct pl_seeder *s, struct pl_entry *e, bool *met)
{
    char why[256];
    struct pl_exec_result r;
    struct pl_exec *x = executor(s, NULL, why, sizeof(why));
    if (x && pl_exec_run(x, &e->c, &r) == 0)
        for (size_t i = 0; i < e->n_fails; i++)
            for (size_t k = 0; k < e->fail[i].n; k++) {
                unsigned clause = e->fail[i].clause[k];
                if (pl_case_exercised(s->spec, &r, clause) && pl_entry_aim(e, clause))
                    met[clause] = true;
            }
    pl_exec_free(x);
}

/* --- mutants --- */

struct hunt {
    const struct pl_seeder *s;
    const struct pl_wrong_peer *mutant;
    struct pl_exec *wrong, *faithful;
    struct pl_exec *like;  /* faithful, with the mutant's options; NULL: it has none */
    struct pl_case second; /* where the options alone break the clause, too: they are the rule */
    bool has_second;
    unsigned second_clause;
    bool second_exercises;
    unsigned clause; /* that the case at hand breaks */
    bool exercises;  /* the faithful peer exercises it there, too */
    int type;        /* of the device that the mutant is; -1: any */
    struct pool local;
    const struct known **close; /* of the pool: those that exercise a clause that it breaks */
    size_t n_close;
};

/* Does the mutant break a clause that it is to break? *clause says which. */
static bool breaks(const struct hunt *h, const struct pl_exec_result *r, unsigned *clause)
{
    const struct pl_clauses *table = pl_clauses_find(h->s->spec);
    for (const char *const *id = h->mutant->clauses; *id; id++) {
        int i = pl_clauses_index(table, *id);
        if (i >= 0 && pl_case_broke(h->s->spec, r, (unsigned)i)) {
            *clause = (unsigned)i;
            return true;
        }
    }
    return false;
}

/* *exercises: the clause could have been broken by the faithful peer, too. */
static bool faithful_passes(const struct hunt *h, const struct pl_case *c, bool *exercises)
{
    struct pl_exec_result r;
    if (pl_exec_run(h->faithful, c, &r) < 0 || r.n_findings)
        return false;
    *exercises = pl_case_exercised(h->s->spec, &r, h->clause);
    return true;
}

/* Is it the mutant's rule that shows, and not an option of its? */
static bool like_passes(const struct hunt *h, const struct pl_case *c)
{
    struct pl_exec_result r;
    return !h->like ||
           (pl_exec_run(h->like, c, &r) == 0 && !pl_case_broke(h->s->spec, &r, h->clause));
}

static bool still_broken(void *opaque, const struct pl_case *c)
{
    const struct hunt *h = opaque;
    struct pl_exec_result r;
    bool exercises;
    return pl_exec_run(h->wrong, c, &r) == 0 && pl_case_broke(h->s->spec, &r, h->clause) &&
           faithful_passes(h, c, &exercises) && exercises >= h->exercises &&
           (h->has_second || like_passes(h, c));
}

/* One case on the mutant: found? */
static bool try_case(struct hunt *h, const struct pl_case *c)
{
    struct pl_exec_result r;
    if (pl_exec_run(h->wrong, c, &r) < 0)
        return false;
    pool_note(&h->local, c, &r);
    if (!breaks(h, &r, &h->clause) || !faithful_passes(h, c, &h->exercises))
        return false;
    if (like_passes(h, c))
        return true;
    if (!h->has_second) {
        h->second = *c;
        h->second_clause = h->clause;
        h->second_exercises = h->exercises;
    }
    h->has_second = true;
    return false;
}

static void set_type(const struct hunt *h, struct pl_case *c)
{
    if (h->type >= 0)
        c->type = (uint8_t)h->type;
}

/* --- scenarios that aim at what the mutant breaks --- */

static bool aims(const struct pl_scenario *scenario, const char *const *clauses)
{
    for (size_t i = 0; scenario->clauses[i]; i++)
        for (const char *const *id = clauses; *id; id++)
            if (strcmp(scenario->clauses[i], *id) == 0)
                return true;
    return false;
}

enum { MOMENTS_MAX = 24 };

/* How many cases one of them comes to: its choices, of a driver's each at its first moments. */
static size_t tries_of(const struct pl_scenario *s)
{
    const struct pl_provocation *p = s->drive;
    unsigned moments = !p || !p->at ? 1 : p->most < MOMENTS_MAX ? p->most : MOMENTS_MAX;
    return pl_run_choices(s) * moments * (p && p->profile < 0 ? 2 : 1);
}

/* Each of them, alone: the next case, or false behind the last. */
struct aimed {
    size_t scenario, turn;
};

/* One of them, with both profiles where either will do. */
static void one_aimed(const struct hunt *h, const struct aimed *at, const struct pl_scenario *s,
                      struct pl_case *c)
{
    const struct pl_provocation *p = s->drive;
    size_t choices = pl_run_choices(s), moment = at->turn / choices;
    pl_case_init(c, h->s->spec, h->s->role);
    if (!h->mutant->options_only)
        pl_generate_options(c, h->mutant->options);
    struct pl_action *a = &c->action[c->n++];
    *a = (struct pl_action){.op = PL_ACT_SCENARIO, .scenario = (uint16_t)at->scenario};
    pl_action_set(a, PL_ARG_CHOICE, PL_VALUE_NUMBER, at->turn % choices);
    if (p && p->profile < 0) {
        c->features = moment % 2 ? UINT32_C(1) << PL_C_TF_STRICT_CONFIG_GENERATION : 0;
        moment /= 2;
    }
    if (p && p->at)
        pl_action_set(a, PL_ARG_AT, PL_VALUE_NUMBER, 1 + moment);
    pl_generate_suit(c, s);
}

static bool next_aimed(const struct hunt *h, struct aimed *at, struct pl_case *c)
{
    const struct pl_scenario *s;
    for (; (s = pl_case_scenario(h->s->spec, h->s->role, at->scenario)); at->scenario++) {
        if (aims(s, h->mutant->clauses) && at->turn < tries_of(s)) {
            one_aimed(h, at, s, c);
            at->turn++;
            return true;
        }
        at->turn = 0;
    }
    return false;
}

static const char *some_clause(const struct hunt *h, uint64_t *random)
{
    size_t n = 0;
    while (h->mutant->clauses[n])
        n++;
    return h->mutant->clauses[draw(random, n)];
}

/* Does nothing but scenarios judge what the mutant breaks? */
static bool by_scenarios(const struct hunt *h)
{
    const struct pl_clauses *table = pl_clauses_find(h->s->spec);
    for (const char *const *id = h->mutant->clauses; *id; id++) {
        int i = pl_clauses_index(table, *id);
        if (i >= 0 && !pl_clauses_get(table, (size_t)i)->by_scenario)
            return false;
    }
    return true;
}

/* What is known, as it stands, then scenarios, then what is drawn around both. */
static bool hunt(struct hunt *h, uint64_t executions, struct pl_case *c, uint64_t *tried)
{
    const struct pool *p = &h->s->pool;
    struct pl_generator g = h->s->g;
    uint64_t *random = &g.random;
    *random = random_of(h->s->seed, h->mutant->id);
    struct aimed at = {0, 0};
    size_t known = by_scenarios(h) ? p->n : 0;
    for (*tried = 0; *tried < executions; ++*tried) {
        if (known < p->n) {
            *c = *p->known[known++].c;
        } else if (next_aimed(h, &at, c)) {
            c->seed = (uint32_t)h->s->seed;
        } else {
            const struct known *some = p->n ? &p->known[draw(random, p->n)] : NULL, *other = some;
            if (h->n_close && draw(random, 2))
                some = h->close[draw(random, h->n_close)];
            else if (h->local.n && draw(random, 2))
                some = &h->local.known[draw(random, h->local.n)];
            next_case(&g, some, other, c);
            bool alone = draw(random, 2);
            if (draw(random, AIMED) == 0) {
                c->n = alone ? 0 : c->n;
                pl_generate_scenario(&g, c, some_clause(h, random));
            }
        }
        set_type(h, c);
        if (try_case(h, c)) {
            h->has_second = false;
            return true;
        }
    }
    *c = h->second;
    h->clause = h->second_clause;
    h->exercises = h->second_exercises;
    return h->has_second;
}

static void find_close(struct hunt *h)
{
    const struct pl_clauses *table = pl_clauses_find(h->s->spec);
    for (size_t i = 0; i < h->s->pool.n; i++) {
        const struct known *k = &h->s->pool.known[i];
        bool any = false;
        for (const char *const *id = h->mutant->clauses; *id && !any; id++) {
            int clause = pl_clauses_index(table, *id);
            any = clause >= 0 && shows(k, 2 * (unsigned)clause);
        }
        if (any)
            h->close[h->n_close++] = k;
    }
}

static void find_type(struct hunt *h)
{
    h->type = -1;
    for (const char *const *o = h->mutant->options; o && *o; o++)
        if (strncmp(*o, "type=", 5) == 0)
            h->type = pl_case_type_find(*o + 5);
}

/* All clauses of the mutant's that the case breaks go into the entry. Were there any? */
static bool expect_all(const struct pl_spec *spec, struct pl_exec *wrong,
                       const struct pl_wrong_peer *mutant, struct pl_entry *e)
{
    const struct pl_clauses *table = pl_clauses_find(spec);
    struct pl_exec_result r;
    bool any = false;
    if (pl_exec_run(wrong, &e->c, &r) < 0)
        return false;
    for (const char *const *id = mutant->clauses; *id; id++) {
        int i = pl_clauses_index(table, *id);
        if (i >= 0 && pl_case_broke(spec, &r, (unsigned)i))
            any |= pl_entry_expect(e, mutant->id, (unsigned)i);
    }
    return any;
}

size_t pl_seeder_first(const struct pl_seeder *s, const struct pl_wrong_peer *mutant,
                       struct pl_entry *const *entry, size_t n)
{
    char why[256];
    size_t i = 0;
    struct pl_exec *wrong = executor(s, mutant->id, why, sizeof(why));
    while (wrong && i < n && !expect_all(s->spec, wrong, mutant, entry[i]))
        i++;
    pl_exec_free(wrong);
    return wrong ? i : n;
}

int pl_seeder_mutant(const struct pl_seeder *s, const struct pl_wrong_peer *mutant,
                     uint64_t executions, struct pl_entry *e, uint64_t *tried)
{
    char why[256];
    struct hunt *h = calloc(1, sizeof(*h));
    int found = 0;
    if (!h)
        return 0;
    h->s = s;
    h->mutant = mutant;
    h->wrong = executor(s, mutant->id, why, sizeof(why));
    h->faithful = executor(s, NULL, why, sizeof(why));
    h->like = executor_like(s, mutant);
    h->close = calloc(s->pool.n + 1, sizeof(*h->close));
    memcpy(h->local.map, s->pool.map, sizeof(h->local.map));
    if (h->wrong && h->faithful && h->close && pool_init(&h->local, LOCAL_MAX)) {
        find_close(h);
        find_type(h);
        found = hunt(h, executions, &e->c, tried);
    }
    if (found) {
        const struct pl_case c = e->c;
        pl_entry_init(e, &c);
        pl_shrink(&e->c, still_broken, h, SHRINK_TRIES);
        e->pass = true;
        found = expect_all(s->spec, h->wrong, mutant, e);
    }
    pool_free(&h->local);
    pl_exec_free(h->wrong);
    pl_exec_free(h->faithful);
    pl_exec_free(h->like);
    free(h->close);
    free(h);
    return found;
}
