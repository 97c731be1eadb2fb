/* Reducing a failing combination: everything at once, then one parameter after the other until no
 * step helps. */
#include "engine/reduce.h"

static bool fails(struct pl_reduce *r, const uint32_t *value)
{
    if (r->budget == 0)
        return false;
    r->budget--;
    return r->fails(r->opaque, value);
}

static bool shows_again(struct pl_reduce *r)
{
    for (unsigned i = 0; i < PL_REDUCE_AGAIN; i++)
        if (fails(r, r->value))
            return true;
    return false;
}

static bool changeable(const struct pl_reduce *r, size_t i)
{
    return !r->kept[i] && r->value[i] != r->plain[i];
}

/* Most failures need nothing in particular. */
static bool all_plain(struct pl_reduce *r)
{
    uint32_t value[PL_REDUCE_MAX];
    bool any = false;
    for (size_t i = 0; i < r->n; i++) {
        any |= changeable(r, i);
        value[i] = r->kept[i] ? r->value[i] : r->plain[i];
    }
    if (!any)
        return true;
    if (!r->allowed(r->opaque, value) || !fails(r, value))
        return false;
    for (size_t i = 0; i < r->n; i++)
        r->value[i] = value[i];
    return true;
}

static bool set_back(struct pl_reduce *r, size_t i)
{
    uint32_t was = r->value[i];
    r->value[i] = r->plain[i];
    if (r->allowed(r->opaque, r->value) && fails(r, r->value))
        return true;
    r->value[i] = was;
    return false;
}

bool pl_reduce(struct pl_reduce *r)
{
    if (!shows_again(r))
        return false;
    bool again = !all_plain(r);
    while (again && r->budget) {
        again = false;
        for (size_t i = 0; i < r->n; i++)
            if (changeable(r, i))
                again |= set_back(r, i);
    }
    return true;
}
