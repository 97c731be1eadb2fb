/* Which subjects of the self-test are asked for. */
#include "cli/selftest_private.h"

#include <string.h>

bool pl_selftest_named(const struct pl_selftest_subject *subject, const char *text)
{
    if (subject->mutant)
        return strstr(subject->mutant->id, text) != NULL;
    for (size_t k = 0; k < PL_SELFTEST_OPTIONS && subject->options[k]; k++)
        if (strstr(subject->options[k], text))
            return true;
    return false;
}

bool pl_selftest_hides(enum pl_carrier as, const char *const *hidden)
{
    for (size_t k = 0; hidden[k]; k++)
        if (strcmp(hidden[k], pl_carrier_names[as]) == 0)
            return true;
    return false;
}

bool pl_selftest_hidden(const struct pl_selftest *t, size_t i)
{
    const struct pl_mutant *mutant = t->carrier ? t->subject[i].mutant : NULL;
    return mutant && pl_selftest_hides(t->as, mutant->hidden);
}

bool pl_selftest_wanted(const struct pl_selftest *t, size_t i)
{
    if (pl_selftest_hidden(t, i) || (t->parts && i % t->parts != t->part))
        return false;
    const char *text = t->subject[i].mutant ? t->only : t->only_legal;
    bool all = !t->only && !t->only_legal;
    return all || (text && pl_selftest_named(&t->subject[i], text));
}
