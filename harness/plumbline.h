/* Plumbline's public header: an implementation of virtio-msg linked into a process, and how it is
 * fuzzed there. docs/fuzzing.md, "Your own implementation", has an example. */
#ifndef PLUMBLINE_H
#define PLUMBLINE_H

#include <stddef.h>
#include <stdint.h>

#define PLUMBLINE_API 1 /* grows where what follows changes its meaning */

/* --- an implementation: a table of functions; time is virtual, in milliseconds --- */

/* Which parts of a memory are there: bus addresses and bytes. Parts may touch each other. */
struct pl_memory_parts {
    size_t n;
    struct pl_memory_part {
        uint64_t addr, size;
    } part[8];
};

/* What an endpoint is opened with: the bus's parameters and the shared memory, if any. */
struct pl_endpoint_env {
    uint32_t revision, max_msg_size, features;
    void *mem; /* NULL without shared memory */
    uint64_t mem_base;
    size_t mem_size;
    const struct pl_memory_parts *mem_parts; /* as they are at any time; NULL: all of it is there */
};

struct pl_endpoint_ops {
    /* Start anew. `config` is the implementation's own. Returns NULL without memory. */
    void *(*open)(const void *config, const struct pl_endpoint_env *env);
    /* Take one message. The bytes are the caller's. 0, or a negative errno. */
    int (*deliver)(void *self, const void *msg, size_t size);
    /* Give the next message that is ready: its size, 0 where there is none, or -ESHUTDOWN where the
     * endpoint has ended by itself and has said all. */
    int (*poll)(void *self, void *buf, size_t cap);
    /* One control line (bindings, section 5) and its answer without newline. */
    int (*control)(void *self, const char *line, char *answer, size_t cap);
    /*
     * A control line may take long (a driver that starts a device): control then returns 1 and the
     * answer comes from here, as soon as there is one: 1 with it, 0 not yet. NULL: never needed.
     */
    int (*answer)(void *self, char *answer, size_t cap);
    /* When something next happens by itself; UINT64_MAX: never. */
    uint64_t (*next_ms)(void *self);
    /* Virtual time is now now_ms. */
    void (*advance)(void *self, uint64_t now_ms);
    void (*close)(void *self);
};

/*
 * A bus linked in: the same with two sides. Messages carry the side that they come in on or go out
 * of, 0 the driver side, 1 the device side.
 */
struct pl_bus_endpoint_ops {
    void *(*open)(const void *config, const struct pl_endpoint_env *env);
    int (*deliver)(void *self, unsigned side, const void *msg, size_t size);
    int (*poll)(void *self, unsigned side, void *buf, size_t cap);
    int (*control)(void *self, const char *line, char *answer, size_t cap);
    uint64_t (*next_ms)(void *self);
    void (*advance)(void *self, uint64_t now_ms);
    void (*close)(void *self);
};

/* --- what is fuzzed --- */

/* Everything is the caller's and outlives the process's last case. Zero is a default. */
struct pl_target {
    const char *role;                       /* "device", "driver" or "bus" */
    const struct pl_endpoint_ops *endpoint; /* a device's or driver's; NULL: the reference one */
    const struct pl_bus_endpoint_ops *bus;  /* a bus's; NULL: the reference bus */
    const void *config;                     /* what `open` is given */
    const char *spec;                       /* a draft by name; NULL: the newest with clauses */
    const uint16_t *devices;                /* numbers of the devices that are there */
    size_t n_devices;                       /* 0: device 0 is */
    const char *mutant;                     /* of the reference peer: with one rule broken */
};

/*
 * One execution, for LLVMFuzzerTestOneInput: bytes become a case (docs/fuzzing.md, "Cases"), which
 * is run and judged. A violated MUST, and an endpoint that ends or hangs, is printed with the case
 * as text, and the process aborts. The counters of libFuzzer and AFL++ are fed. Returns 0. A target
 * that cannot be run is said and ends the process with status 2.
 */
int pl_fuzz_one(const struct pl_target *target, const uint8_t *bytes, size_t size);
/* For LLVMFuzzerCustomMutator and LLVMFuzzerCustomCrossOver: cases are mutated, and crossed at
 * equal states of the protocol. Both return the new size, at most `most`. */
size_t pl_fuzz_mutate(const struct pl_target *target, uint8_t *bytes, size_t size, size_t most,
                      unsigned seed);
size_t pl_fuzz_cross(const struct pl_target *target, const uint8_t *first, size_t first_size,
                     const uint8_t *second, size_t second_size, uint8_t *out, size_t most,
                     unsigned seed);

#endif
