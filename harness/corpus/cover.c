/* Covering with few entries: what each covers as numbers, and a greedy choice. */
#include "corpus/cover.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { ROLES = 3 };

/* What one entry covers: numbers below the cover's n_things. */
struct covered_by {
    uint32_t *thing;
    size_t n, cost;
    size_t gain; /* no less than it would add now */
};

/* A mutant that fails by a clause, as a thing. */
struct failure {
    const char *mutant;
    const struct pl_spec *spec;
    uint16_t clause;
};

struct pl_cover {
    struct pl_exec *exec; /* of the entry before, for one that runs the same */
    const struct pl_spec *spec;
    enum pl_iut role;
    struct covered_by *entry;
    size_t n, room;
    struct failure *failure;
    size_t n_failures, room_failures;
};

struct pl_cover *pl_cover_new(void)
{
    return calloc(1, sizeof(struct pl_cover));
}

void pl_cover_free(struct pl_cover *cover)
{
    for (size_t i = 0; cover && i < cover->n; i++)
        free(cover->entry[i].thing);
    if (cover) {
        pl_exec_free(cover->exec);
        free(cover->entry);
        free(cover->failure);
    }
    free(cover);
}

static size_t number_of(const struct pl_spec *spec)
{
    size_t i = 0;
    while (pl_specs[i] && pl_specs[i] != spec)
        i++;
    return i;
}

/* Things that are seen come first, a stretch of numbers for each draft and role; failures behind
 * them. */
static uint32_t first_of(const struct pl_spec *spec, enum pl_iut role)
{
    return (uint32_t)((number_of(spec) * ROLES + role) * PL_FEEDBACK_MAX);
}

static uint32_t first_failure(void)
{
    return first_of(NULL, PL_IUT_DEVICE);
}

static bool make_room(void **list, size_t n, size_t *room, size_t size)
{
    if (n < *room)
        return true;
    size_t more = *room ? 2 * *room : 64;
    void *bigger = realloc(*list, more * size);
    if (!bigger)
        return false;
    *list = bigger;
    *room = more;
    return true;
}

/* The number of a failure, which is noted where it is new; UINT32_MAX without memory. */
static uint32_t failure_of(struct pl_cover *c, const struct pl_spec *spec, const char *mutant,
                           uint16_t clause)
{
    size_t i = 0;
    while (i < c->n_failures && (c->failure[i].mutant != mutant || c->failure[i].spec != spec ||
                                 c->failure[i].clause != clause))
        i++;
    if (i == c->n_failures) {
        void *list = c->failure;
        if (!make_room(&list, c->n_failures, &c->room_failures, sizeof(*c->failure)))
            return UINT32_MAX;
        c->failure = list;
        c->failure[c->n_failures++] = (struct failure){mutant, spec, clause};
    }
    return first_failure() + (uint32_t)i;
}

static int note(struct pl_cover *c, const struct pl_entry *e, const struct pl_exec_result *r,
                size_t cost)
{
    void *list = c->entry;
    size_t n = r->n_seen;
    for (size_t i = 0; i < e->n_fails; i++)
        n += e->fail[i].n;
    if (!make_room(&list, c->n, &c->room, sizeof(*c->entry)))
        return -ENOMEM;
    c->entry = list;
    struct covered_by *by = &c->entry[c->n];
    *by = (struct covered_by){.thing = malloc((n + 1) * sizeof(*by->thing)), .cost = cost};
    if (!by->thing)
        return -ENOMEM;
    c->n++;
    for (size_t i = 0; i < r->n_seen; i++)
        by->thing[by->n++] = first_of(e->c.spec, e->c.role) + r->seen[i];
    for (size_t i = 0; i < e->n_fails; i++)
        for (size_t k = 0; k < e->fail[i].n; k++) {
            uint32_t thing = failure_of(c, e->c.spec, e->fail[i].mutant, e->fail[i].clause[k]);
            if (thing == UINT32_MAX)
                return -ENOMEM;
            by->thing[by->n++] = thing;
        }
    by->gain = by->n;
    return 0;
}

int pl_cover_add(struct pl_cover *c, const struct pl_entry *e, size_t cost, char *why, size_t cap)
{
    struct pl_exec_result r;
    if (!c->exec || c->spec != e->c.spec || c->role != e->c.role) {
        const struct pl_exec_options options = {.spec = e->c.spec, .role = e->c.role};
        pl_exec_free(c->exec);
        c->exec = pl_exec_new(&options, why, cap);
        c->spec = e->c.spec;
        c->role = e->c.role;
    }
    if (!c->exec)
        return -ENOMEM;
    int err = pl_exec_run(c->exec, &e->c, &r);
    if (err < 0) {
        snprintf(why, cap, "it cannot be run: %s", r.why);
        return err;
    }
    err = note(c, e, &r, cost);
    if (err < 0)
        snprintf(why, cap, "out of memory");
    return err;
}

static size_t gain_of(const struct covered_by *by, const bool *have)
{
    size_t gain = 0;
    for (size_t i = 0; i < by->n; i++)
        gain += !have[by->thing[i]];
    return gain;
}

/* More is better; of equal ones the cheaper; of those the first. */
static bool better(const struct covered_by *a, const struct covered_by *b)
{
    return a->gain != b->gain ? a->gain > b->gain : a->cost < b->cost;
}

static size_t best(const struct pl_cover *c)
{
    size_t at = 0;
    for (size_t i = 1; i < c->n; i++)
        if (better(&c->entry[i], &c->entry[at]))
            at = i;
    return at;
}

size_t pl_cover_choose(struct pl_cover *c, bool *chosen, size_t *covered)
{
    size_t n = 0;
    bool *have = calloc(first_failure() + c->n_failures + 1, sizeof(*have));
    *covered = 0;
    while (have && c->n) {
        struct covered_by *by = &c->entry[best(c)];
        size_t gain = gain_of(by, have);
        if (!by->gain)
            break;
        bool sure = gain == by->gain; /* nobody's gain grows: it is still the best */
        by->gain = sure ? 0 : gain;
        if (!sure)
            continue;
        for (size_t i = 0; i < by->n; i++)
            have[by->thing[i]] = true;
        chosen[by - c->entry] = true;
        *covered += gain;
        n++;
    }
    free(have);
    return n;
}
