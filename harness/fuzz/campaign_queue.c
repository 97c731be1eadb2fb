/* The queue of a campaign: which cases are kept, and what is made of them next. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/campaign_private.h"
#include "fuzz/mutate.h"

enum { LOOKS = 4, CHANGES = 4, NEW_OF_16 = 3, SAME_BUS = 64, SWEEP = 8 };

static uint64_t draw(struct pl_campaign *c, uint64_t below)
{
    return pl_draw(&c->g, below);
}

/* --- clauses by the messages that they speak of --- */

static uint32_t kinds_in(const char *text)
{
    uint32_t kinds = 0;
    for (unsigned k = PL_NONE + 1; k < PL_KIND_COUNT; k++)
        if (strstr(text, pl_kind_names[k]))
            kinds |= UINT32_C(1) << k;
    return kinds;
}

_Static_assert(PL_KIND_COUNT <= 32, "kinds of messages fit into a mask");

static bool of_role(const struct pl_campaign *c, const struct pl_clause_def *def)
{
    return def->judged &&
           (strcmp(def->role, pl_case_role(c->g.role)) == 0 || strcmp(def->role, "any") == 0);
}

int pl_queue_prepare(struct pl_campaign *c)
{
    const struct pl_clauses *clauses = pl_clauses_find(c->spec);
    size_t n = pl_clauses_count(clauses);
    c->kinds = calloc(n, sizeof(*c->kinds));
    if (!c->kinds)
        return -ENOMEM;
    for (size_t i = 0; i < n; i++) {
        const struct pl_clause_def *def = pl_clauses_get(clauses, i);
        c->kinds[i] = kinds_in(def->section) | kinds_in(def->text);
        c->stats->clauses_all += of_role(c, def);
    }
    return 0;
}

/* --- what was seen --- */

static void know(struct pl_campaign *c, unsigned seen)
{
    const struct pl_clauses *clauses = pl_clauses_find(c->spec);
    bool broken;
    int clause = pl_feedback_clause(c->spec, seen, &broken);
    c->known[c->n_known++] = (uint16_t)seen;
    if (clause < 0) {
        c->stats->outcomes++;
        return;
    }
    c->clauses[c->n_clauses++] = (uint16_t)seen;
    if (!broken && of_role(c, pl_clauses_get(clauses, (size_t)clause)))
        c->stats->clauses++;
}

void pl_queue_count(struct pl_campaign *c)
{
    c->n_fresh = 0;
    for (size_t i = 0; i < c->result.n_seen; i++) {
        unsigned seen = c->result.seen[i];
        if (!c->hits[seen]++) {
            c->fresh[c->n_fresh++] = (uint16_t)seen;
            c->best[seen] = UINT32_MAX;
            know(c, seen);
        }
    }
}

int pl_queue_add(struct pl_campaign *c)
{
    if (c->n_entries == c->cap_entries) {
        size_t cap = c->cap_entries ? 2 * c->cap_entries : 256;
        struct pl_queued *more = realloc(c->entry, cap * sizeof(*more));
        if (!more)
            return -ENOMEM;
        c->entry = more;
        c->cap_entries = cap;
    }
    size_t size = pl_case_encode(&c->c, c->bytes, sizeof(c->bytes));
    uint8_t *bytes = malloc(size ? size : 1);
    if (!bytes)
        return -ENOMEM;
    memcpy(bytes, c->bytes, size);
    for (size_t i = 0; i < c->n_fresh; i++)
        c->best[c->fresh[i]] = (uint32_t)c->n_entries;
    c->entry[c->n_entries++] = (struct pl_queued){bytes, size};
    c->stats->entries = (uint32_t)c->n_entries;
    return 0;
}

void pl_queue_free(struct pl_campaign *c)
{
    for (size_t i = 0; i < c->n_entries; i++)
        free(c->entry[i].bytes);
    free(c->entry);
    free(c->kinds);
}

/* --- what comes next --- */

/* An entry that showed something rare: the rarest of a few that are drawn, often of clauses. */
static const struct pl_queued *pick(struct pl_campaign *c)
{
    bool of_clauses = c->n_clauses && draw(c, 2);
    const uint16_t *list = of_clauses ? c->clauses : c->known;
    size_t n = of_clauses ? c->n_clauses : c->n_known;
    uint32_t found = UINT32_MAX, hits = UINT32_MAX;
    for (unsigned i = 0; i < LOOKS && n; i++) {
        unsigned seen = list[draw(c, n)];
        if (c->best[seen] < c->n_entries && c->hits[seen] < hits) {
            found = c->best[seen];
            hits = c->hits[seen];
        }
    }
    return &c->entry[found < c->n_entries ? found : draw(c, c->n_entries)];
}

/* A clause of the role that nothing has exercised yet; -1: all were, or it did not come up. */
static int unmet(struct pl_campaign *c)
{
    const struct pl_clauses *clauses = pl_clauses_find(c->spec);
    size_t n = pl_clauses_count(clauses);
    for (unsigned tries = 0; tries < 64; tries++) {
        size_t i = draw(c, n);
        if (!c->hits[2 * i] && of_role(c, pl_clauses_get(clauses, i)))
            return (int)i;
    }
    return -1;
}

/* A device type's clause is met by that type. */
static void take_type(struct pl_campaign *c, const struct pl_clause_def *def)
{
    int type = pl_case_type_find(def->type);
    if (type >= 0)
        c->c.type = (uint8_t)type;
}

/* Something that such a clause may speak of. */
static void meet(struct pl_campaign *c)
{
    int clause = unmet(c);
    size_t at = draw(c, c->c.n + 1u);
    if (clause < 0) {
        pl_generate_more(&c->g, &c->c, at);
        return;
    }
    const struct pl_clause_def *def = pl_clauses_get(pl_clauses_find(c->spec), (size_t)clause);
    take_type(c, def);
    if (draw(c, 3) == 0 && pl_generate_scenario(&c->g, &c->c, def->id))
        return;
    uint32_t kinds = c->kinds[clause];
    unsigned kind = (unsigned)draw(c, PL_KIND_COUNT);
    for (unsigned i = 0; i < PL_KIND_COUNT && kinds && !(kinds >> kind & 1); i++)
        kind = (kind + 1) % PL_KIND_COUNT;
    if (kinds)
        pl_generate_about(&c->g, &c->c, at, (enum pl_kind)kind);
    else
        pl_generate_more(&c->g, &c->c, at);
}

/* The end of another entry behind a beginning of this one. */
static void cross(struct pl_campaign *c)
{
    const struct pl_queued *e = pick(c);
    pl_case_decode(&c->drawn, e->bytes, e->size);
    pl_mutate_cross(&c->small, &c->c, &c->drawn, &c->g.random);
    c->c = c->small;
}

static void change(struct pl_campaign *c)
{
    static const enum pl_mutation plain[] = {
        PL_MUTATE_DROP,   PL_MUTATE_BEND,      PL_MUTATE_INSERT, PL_MUTATE_REORDER,
        PL_MUTATE_SPLICE, PL_MUTATE_DUPLICATE, PL_MUTATE_BEND,   PL_MUTATE_RESET};
    struct pl_case *t = &c->c;
    switch (draw(c, 12)) {
    case 0:
        cross(c);
        break;
    case 1:
        pl_generate_head(&c->g, t);
        break;
    case 2:
    case 3:
    case 4:
    case 5:
        pl_mutate_once(t, plain[draw(c, sizeof(plain) / sizeof(plain[0]))], &c->g.random);
        break;
    case 6:
    case 7:
        meet(c);
        break;
    default:
        pl_generate_more(&c->g, t, draw(c, 2) ? t->n : draw(c, t->n + 1u));
    }
}

/* One scenario after the other, each by itself and set for one of its clauses. Workers begin with
 * different ones. */
static void sweep(struct pl_campaign *c)
{
    const struct pl_clauses *clauses = pl_clauses_find(c->spec);
    pl_case_init(&c->c, c->spec, c->g.role);
    pl_generate_head(&c->g, &c->c);
    const char *clause = pl_generate_turn(&c->g, &c->c, c->number / SWEEP + c->o->seed);
    int i = clause ? pl_clauses_index(clauses, clause) : -1;
    if (i >= 0)
        take_type(c, pl_clauses_get(clauses, (size_t)i));
}

static void make_next(struct pl_campaign *c)
{
    if (c->number % SWEEP == SWEEP - 1) {
        sweep(c);
        return;
    }
    if (!c->n_entries || draw(c, 16) < NEW_OF_16) {
        pl_generate_case(&c->g, &c->c);
        return;
    }
    const struct pl_queued *e = pick(c);
    pl_case_decode(&c->c, e->bytes, e->size);
    for (uint64_t n = 1 + draw(c, CHANGES); n; n--)
        change(c);
}

/* An IUT that goes on from case to case does so on one bus: that is another one now and then. */
void pl_queue_next(struct pl_campaign *c)
{
    make_next(c);
    if (!c->o->exec.keep)
        return;
    if (!c->bus.max_msg_size || c->number % SAME_BUS == 0)
        c->bus = (struct pl_bus_params){c->spec->revision, c->c.max_msg_size, c->c.features};
    c->c.max_msg_size = c->bus.max_msg_size;
    c->c.features = c->bus.features;
}
