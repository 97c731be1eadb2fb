/* Looking things up in a draft's tables: drafts, messages and constants by name. */
#include <string.h>

#include "wire/wire.h"

const struct pl_spec *pl_spec_find(const char *name)
{
    for (size_t i = 0; pl_specs[i]; i++)
        if (strcmp(pl_specs[i]->name, name) == 0)
            return pl_specs[i];
    return NULL;
}

const struct pl_message_def *pl_spec_message(const struct pl_spec *spec, enum pl_kind kind)
{
    for (size_t i = 0; i < spec->n_messages; i++)
        if (spec->messages[i].kind == kind)
            return &spec->messages[i];
    return NULL;
}

const struct pl_message_def *pl_spec_message_named(const struct pl_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->n_messages; i++)
        if (strcmp(spec->messages[i].name, name) == 0)
            return &spec->messages[i];
    return NULL;
}

bool pl_spec_constant(const struct pl_spec *spec, const char *name, uint64_t *value)
{
    for (const struct pl_constant *c = spec->constants; c->name; c++) {
        if (strcmp(c->name, name) == 0) {
            *value = c->value;
            return true;
        }
    }
    return false;
}
