/* The reference driver's public face: how it is configured, and the mutants that it can be. */
#ifndef PL_PEER_DRIVER_H
#define PL_PEER_DRIVER_H

#include <stddef.h>
#include <stdint.h>

#include "peer/device.h"
#include "wire/endpoint.h"
#include "wire/wire.h"

/* What the reference driver is opened with. Zero is a default everywhere; strings are the caller's
 * and outlive the driver. */
struct pl_driver_config {
    const char *spec;           /* a draft with a driver model; NULL: virtio-msg-r1 */
    const char *type;           /* drives devices of this type only; NULL: of any */
    const char *mutant;         /* id of a mutant; NULL: the faithful driver */
    const char *const *options; /* "NAME=VALUE" of the model's options, NULL ends */
    uint64_t seed;              /* of whatever is drawn */
};

/*
 * The reference driver as an endpoint. Its config is a struct pl_driver_config, or NULL for the
 * defaults. open gives NULL without memory and for a config that pl_driver_config_check refuses.
 * With option `wait` it does nothing before control says start; otherwise its first message is
 * there as soon as it is open. control gives 1 where the answer comes later; poll gives
 * -ESHUTDOWN, once all is sent, where the driver ended by itself (option `end` 2 or 3).
 */
extern const struct pl_endpoint_ops pl_driver_endpoint;

/* The mutants of a draft's driver model; NULL and 0 for a draft without one. */
const struct pl_mutant *pl_driver_mutants(const struct pl_spec *spec, size_t *n);

/* The options of a draft's driver model with their defaults; NULL and 0 for a draft without one. */
const struct pl_device_option *pl_driver_options(const struct pl_spec *spec, size_t *n);

/* 0, or -EINVAL with one sentence in `error` that names what is wrong. */
int pl_driver_config_check(const struct pl_driver_config *config, char *error, size_t cap);

/* What became of the driver, for tests: one word a device ("READY", "FAILED", ...), and the I/O
 * requests that came back as they should. `self` is the endpoint's. */
const char *pl_driver_state(const void *self, uint16_t dev_num);
uint64_t pl_driver_served(const void *self, uint16_t dev_num);

#endif
