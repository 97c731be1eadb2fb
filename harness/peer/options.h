/* What the reference device and the reference driver are opened with: options, mutants and their
 * ranges, looked up and checked in one way. */
#ifndef PL_PEER_OPTIONS_H
#define PL_PEER_OPTIONS_H

#include <stddef.h>
#include <stdint.h>

#include "peer/device.h"

/* A peer being configured. Strings and tables are the peer's model's. */
struct pl_options {
    const char *peer; /* "device" or "driver", as complaints name it */
    const struct pl_device_option *options;
    size_t n_options;
    const struct pl_mutant *mutants;
    size_t n_mutants;
    uint64_t *values; /* n_options of them, the peer's */
    /* Option `type`: gives what is wrong with the name, or NULL. */
    const char *(*set_type)(void *of, const char *name);
    void *of;    /* the peer, for set_type */
    char *error; /* takes one sentence, as far as `cap` goes */
    size_t cap;
};

/* A number that hand-written code relies on. */
struct pl_option_range {
    unsigned option; /* its index */
    uint64_t first, last;
};

/* Put the sentence "reference PEER: WHAT 'VALUE' WHY" into `error`. Returns -EINVAL. */
int pl_options_complain(const struct pl_options *o, const char *what, const char *value,
                        const char *why);
/* All options become what the model says. */
void pl_options_defaults(const struct pl_options *o);
/* 0, or -EINVAL with a sentence: take a device type by name, */
int pl_options_type(const struct pl_options *o, const char *name);
/* take each "NAME=VALUE" of a list that NULL ends, itself NULL for none, */
int pl_options_set(const struct pl_options *o, const char *const *list);
/* take a mutant with the options that it needs; `*number` becomes 1 + its index, */
int pl_options_mutant(const struct pl_options *o, const char *id, unsigned *number);
/* see that options lie in their ranges. */
int pl_options_within(const struct pl_options *o, const struct pl_option_range *ranges, size_t n);

#endif
