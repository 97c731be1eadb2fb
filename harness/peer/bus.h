/* The reference bus's public face: how it is configured, and the mutants that it can be. */
#ifndef PL_PEER_BUS_H
#define PL_PEER_BUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/endpoint.h"
#include "wire/wire.h"

/* What the reference bus is opened with. Zero is a default everywhere; strings are the caller's and
 * outlive the bus. */
struct pl_bus_config {
    const char *spec;           /* a draft with a bus model; NULL: virtio-msg-r1 */
    const char *mutant;         /* id of a mutant; NULL: the faithful bus */
    const char *const *options; /* "NAME=VALUE" of the model's options, NULL ends */
};

/* A reference bus with one rule broken. */
struct pl_bus_mutant {
    const char *id;             /* CLAUSE.what */
    const char *text;           /* the natural bug that it stands for, one sentence */
    const char *const *clauses; /* ids of the clauses that it breaks, NULL ends */
    const char *const *options; /* "NAME=VALUE" that it needs, NULL ends */
    const struct pl_bus_insert *inserts;
    size_t n_inserts;
    const struct pl_bus_bend *bends;
    size_t n_bends;
    const char *const *hidden; /* carriers, "stream", that hide it; NULL ends */
};

struct pl_bus_option {
    const char *name;
    uint64_t value; /* the default */
};

/*
 * The reference bus as an endpoint with two sides. Its config is a struct pl_bus_config, or NULL
 * for the defaults. open gives NULL without memory and for a config that pl_bus_config_check
 * refuses.
 */
extern const struct pl_bus_endpoint_ops pl_bus_endpoint;

/* The mutants and options of a draft's bus model; NULL and 0 for a draft without one. */
const struct pl_bus_mutant *pl_bus_mutants(const struct pl_spec *spec, size_t *n);
const struct pl_bus_option *pl_bus_options(const struct pl_spec *spec, size_t *n);

/* 0, or -EINVAL with one sentence in `error` that names what is wrong. */
int pl_bus_config_check(const struct pl_bus_config *config, char *error, size_t cap);

#endif
