/* The reference device's public face: how it is configured, and the mutants that it can be. */
#ifndef PL_PEER_DEVICE_H
#define PL_PEER_DEVICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/endpoint.h"
#include "wire/wire.h"

/*
 * Who follows what the device does on virtqueues, at the moment of it; both may be NULL. `entries`
 * is by how much the used position moves on: descriptors of a packed ring, chains of a split one; 0
 * where a mutant of the device does what no device may.
 */
struct pl_device_watch {
    void *opaque;
    /* A chain was taken; nothing was done with it yet. */
    void (*taken)(void *opaque, uint16_t dev_num, uint32_t queue, uint16_t id);
    /* A chain is about to be given back; with VIRTIO_F_IN_ORDER all those before it, too. */
    void (*giving)(void *opaque, uint16_t dev_num, uint32_t queue, uint16_t id, uint16_t entries);
};

/* What the reference device is opened with. Zero is a default everywhere; strings are the caller's
 * and outlive the device. */
struct pl_device_config {
    const char *spec;           /* a draft with a device model; NULL: virtio-msg-r1 */
    const char *type;           /* block (default), net, console, entropy, gpu */
    const char *mutant;         /* id of a mutant; NULL: the faithful device */
    const char *const *options; /* "NAME=VALUE" of the model's options, NULL ends */
    uint64_t seed;              /* of uuid and whatever else is drawn */
    const char *file;           /* what a block device's sectors are kept in; NULL: memory */
    const struct pl_device_watch *watch; /* NULL: nobody; outlives the device */
};

/* A reference device with one rule broken. */
struct pl_mutant {
    const char *id;             /* CLAUSE.what */
    const char *text;           /* the natural bug that it stands for, one sentence */
    const char *const *clauses; /* ids of the clauses that it breaks, NULL ends */
    const char *const *options; /* "NAME=VALUE" that it needs (type=T included), NULL ends */
    const struct pl_device_insert *inserts; /* transitions tried before all others */
    size_t n_inserts;
    const struct pl_device_bend *bends; /* bends of outgoing messages */
    size_t n_bends;
    const char
        *part; /* of its file's name, behind mutants_ (io: virtqueues); "" for the first file */
    bool options_only;         /* its options are the whole of it */
    const char *const *hidden; /* carriers, "stream" or "spsc", that hide it; NULL ends */
};

/* An option of the model: a freedom of the draft or a property of the device. */
struct pl_device_option {
    const char *name;
    uint64_t value; /* the default */
};

/*
 * The reference device as an endpoint. Its config is a struct pl_device_config, or NULL for the
 * defaults. open gives NULL without memory and for a config that pl_device_config_check refuses.
 */
extern const struct pl_endpoint_ops pl_device_endpoint;

/* The mutants of a draft's device model; NULL and 0 for a draft without one. */
const struct pl_mutant *pl_device_mutants(const struct pl_spec *spec, size_t *n);

/* The options of a draft's device model with their defaults; NULL and 0 for a draft without one. */
const struct pl_device_option *pl_device_options(const struct pl_spec *spec, size_t *n);

/* 0, or -EINVAL with one sentence in `error` that names what is wrong. */
int pl_device_config_check(const struct pl_device_config *config, char *error, size_t cap);

#endif
