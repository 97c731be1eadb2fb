/* Options and mutants of the reference device and the reference driver, looked up and checked. */
#include "peer/options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int pl_options_complain(const struct pl_options *o, const char *what, const char *value,
                        const char *why)
{
    if (o->cap > 0)
        snprintf(o->error, o->cap, "reference %s: %s '%s' %s", o->peer, what, value, why);
    return -EINVAL;
}

void pl_options_defaults(const struct pl_options *o)
{
    for (size_t i = 0; i < o->n_options; i++)
        o->values[i] = o->options[i].value;
}

int pl_options_type(const struct pl_options *o, const char *name)
{
    const char *why = o->set_type(o->of, name);
    return why ? pl_options_complain(o, "type", name, why) : 0;
}

/* Take one "NAME=VALUE". */
static int set(const struct pl_options *o, const char *text)
{
    const char *equals = strchr(text, '=');
    if (!equals || !equals[1])
        return pl_options_complain(o, "option", text, "is not of the form NAME=VALUE");
    size_t length = (size_t)(equals - text);
    if (length == 4 && memcmp(text, "type", 4) == 0)
        return pl_options_type(o, equals + 1);
    char *end;
    errno = 0;
    uint64_t value = strtoull(equals + 1, &end, 0);
    if (*end || errno || equals[1] == '-' || equals[1] == ' ')
        return pl_options_complain(o, "option", text, "has no number from 0 on as its value");
    for (size_t i = 0; i < o->n_options; i++) {
        const char *name = o->options[i].name;
        if (strlen(name) == length && memcmp(name, text, length) == 0) {
            o->values[i] = value;
            return 0;
        }
    }
    char why[64];
    snprintf(why, sizeof(why), "names no option of this draft's %s", o->peer);
    return pl_options_complain(o, "option", text, why);
}

int pl_options_set(const struct pl_options *o, const char *const *list)
{
    int err = 0;
    for (; list && *list && !err; list++)
        err = set(o, *list);
    return err;
}

int pl_options_mutant(const struct pl_options *o, const char *id, unsigned *number)
{
    for (size_t i = 0; i < o->n_mutants; i++) {
        if (strcmp(o->mutants[i].id, id) != 0)
            continue;
        *number = (unsigned)i + 1;
        return pl_options_set(o, o->mutants[i].options);
    }
    return pl_options_complain(o, "mutant", id, "is unknown (--list-mutants lists them)");
}

int pl_options_within(const struct pl_options *o, const struct pl_option_range *ranges, size_t n)
{
    for (const struct pl_option_range *range = ranges; range < ranges + n; range++) {
        uint64_t value = o->values[range->option];
        if (value >= range->first && value <= range->last)
            continue;
        if (o->cap > 0)
            snprintf(o->error, o->cap, "reference %s: option '%s' is %llu, must be %llu to %llu",
                     o->peer, o->options[range->option].name, (unsigned long long)value,
                     (unsigned long long)range->first, (unsigned long long)range->last);
        return -EINVAL;
    }
    return 0;
}
