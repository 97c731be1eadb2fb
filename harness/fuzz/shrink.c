/* Shrinking cases: by halves of the actions, then action by action, then value by value. */
#include "fuzz/shrink.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct shrink {
    struct pl_case *c, *tried; /* the smallest so far, and an attempt */
    pl_shrink_fn *still;
    void *opaque;
    unsigned asked, budget;
};

/* The attempt is as good: it is the case from now on. */
static bool take(struct shrink *s)
{
    if (s->asked == s->budget || pl_case_equal(s->c, s->tried))
        return false;
    s->asked++;
    if (!s->still(s->opaque, s->tried))
        return false;
    *s->c = *s->tried;
    return true;
}

static void begin(struct shrink *s)
{
    *s->tried = *s->c;
}

/* --- actions --- */

static bool without(struct shrink *s, size_t at, size_t n)
{
    begin(s);
    struct pl_case *t = s->tried;
    memmove(&t->action[at], &t->action[at + n], (t->n - at - n) * sizeof(t->action[0]));
    t->n = (uint16_t)(t->n - n);
    return take(s);
}

/* Runs of actions of this length are left out wherever that can be, from the end on. */
static void drop_runs(struct shrink *s, size_t n)
{
    for (size_t end = s->c->n; end >= n; end -= n < end ? n : end) {
        without(s, end - n, n);
        if (s->asked == s->budget)
            break;
    }
}

static void drop_actions(struct shrink *s)
{
    unsigned before;
    for (size_t n = s->c->n / 2; n > 1; n /= 2)
        drop_runs(s, n);
    do {
        before = s->c->n;
        drop_runs(s, 1);
    } while (s->c->n < before && s->asked < s->budget);
}

/* Two parts of a driver's life in a row are one, with the steps of both. */
static void join_lives(struct shrink *s)
{
    for (size_t i = 1; i < s->c->n;) {
        const struct pl_action *a = &s->c->action[i - 1], *b = &s->c->action[i];
        uint64_t steps =
            pl_action_number(a, PL_ARG_STEPS, 1) + pl_action_number(b, PL_ARG_STEPS, 1);
        begin(s);
        pl_action_set(&s->tried->action[i], PL_ARG_STEPS, PL_VALUE_NUMBER, steps);
        memmove(&s->tried->action[i - 1], &s->tried->action[i],
                (s->tried->n - i) * sizeof(s->tried->action[0]));
        s->tried->n--;
        if (a->op != PL_ACT_LIFE || b->op != PL_ACT_LIFE || !take(s))
            i++;
    }
}

/* --- one action --- */

static void drop_setting(struct pl_action *a, size_t at)
{
    memmove(&a->set[at], &a->set[at + 1], (a->n_set - at - 1) * sizeof(a->set[0]));
    a->n_set--;
}

static void drop_settings(struct shrink *s, size_t i)
{
    for (size_t k = s->c->action[i].n_set; k-- > 0;) {
        begin(s);
        drop_setting(&s->tried->action[i], k);
        take(s);
    }
    begin(s);
    s->tried->action[i].has_data = false;
    s->tried->action[i].data_len = 0;
    if (s->c->action[i].has_data)
        take(s);
    begin(s);
    s->tried->action[i].response = false;
    take(s);
}

/* Smaller numbers: 0, 1, then nearer to 0 by steps that become smaller. A difference may be
 * negative. */
static void lower(struct shrink *s, size_t i, size_t k)
{
    const struct pl_setting *is = &s->c->action[i].set[k];
    bool negative = is->how == PL_VALUE_PLUS && is->value >> 63;
    for (uint64_t small = 0; small < 2; small++) {
        if (is->value == small)
            return;
        begin(s);
        s->tried->action[i].set[k].value = negative ? 0 - small : small;
        if (take(s))
            return;
    }
    uint64_t v = negative ? 0 - is->value : is->value, step = v / 2;
    while (step) {
        begin(s);
        s->tried->action[i].set[k].value = negative ? 0 - (v - step) : v - step;
        if (step < v && take(s))
            v -= step;
        else
            step /= 2;
    }
}

static void shorten_data(struct shrink *s, size_t i)
{
    for (;;) {
        begin(s);
        if (s->c->action[i].data_len < 2)
            break;
        s->tried->action[i].data_len /= 2;
        if (!take(s))
            break;
    }
    begin(s);
    memset(s->tried->action[i].data, 0, s->tried->action[i].data_len);
    take(s);
}

static void simplify_action(struct shrink *s, size_t i)
{
    drop_settings(s, i);
    for (size_t k = 0; k < s->c->action[i].n_set; k++)
        lower(s, i, k);
    if (s->c->action[i].has_data)
        shorten_data(s, i);
}

/* --- the head --- */

static void simplify_head(struct shrink *s)
{
    begin(s);
    struct pl_case *t = s->tried;
    t->max_msg_size = t->spec->recommended_max_msg_size;
    take(s);
    begin(s);
    t->features = 0;
    take(s);
    begin(s);
    t->type = 0;
    take(s);
    for (uint32_t seed = 0; seed < 3; seed++) {
        begin(s);
        t->seed = seed;
        if (s->c->seed <= seed || take(s))
            break;
    }
    for (unsigned bit = 32; bit-- > 0;) { /* its bits are choices of their own */
        begin(s);
        t->seed &= ~(UINT32_C(1) << bit);
        take(s);
    }
}

static void drop_options(struct shrink *s)
{
    for (unsigned i = s->c->n_options; i-- > 0;) {
        begin(s);
        struct pl_case *t = s->tried;
        memmove(&t->option[i], &t->option[i + 1], (t->n_options - i - 1u) * sizeof(t->option[0]));
        t->n_options--;
        take(s);
    }
    for (unsigned i = s->c->n_far; i-- > 0;) {
        begin(s);
        struct pl_case *t = s->tried;
        memmove(&t->far[i], &t->far[i + 1], (t->n_far - i - 1u) * sizeof(t->far[0]));
        t->n_far--;
        take(s);
    }
}

/* --- all of it --- */

static int shrink_with(struct pl_case *c, pl_shrink_fn *still, void *opaque, unsigned budget,
                       bool whole)
{
    struct shrink s = {
        .c = c, .tried = malloc(sizeof(*c)), .still = still, .opaque = opaque, .budget = budget};
    if (!s.tried)
        return -ENOMEM;
    drop_actions(&s);
    if (whole) {
        simplify_head(&s);
        drop_options(&s);
        for (size_t i = 0; i < c->n; i++)
            simplify_action(&s, i);
        drop_actions(&s); /* what a simpler neighbour needs no more */
        join_lives(&s);
    }
    free(s.tried);
    return (int)s.asked;
}

int pl_shrink(struct pl_case *c, pl_shrink_fn *still, void *opaque, unsigned budget)
{
    return shrink_with(c, still, opaque, budget, true);
}

int pl_shrink_actions(struct pl_case *c, pl_shrink_fn *still, void *opaque, unsigned budget)
{
    return shrink_with(c, still, opaque, budget, false);
}
