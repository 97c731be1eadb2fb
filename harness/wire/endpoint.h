/* An implementation linked into this process: the table of functions that the in-process port and
 * `plumbline serve` drive, and that the reference peers offer. Time is virtual, in milliseconds. */
#ifndef PL_ENDPOINT_H
#define PL_ENDPOINT_H

#include <stddef.h>
#include <stdint.h>

/* What an endpoint is opened with: the bus's parameters and the shared memory, if any. */
struct pl_endpoint_env {
    uint32_t revision, max_msg_size, features;
    void *mem; /* NULL without shared memory */
    uint64_t mem_base;
    size_t mem_size;
};

struct pl_endpoint_ops {
    /* Start anew. `config` is the implementation's own. Returns NULL without memory. */
    void *(*open)(const void *config, const struct pl_endpoint_env *env);
    /* Take one message. The bytes are the caller's. 0, or a negative errno. */
    int (*deliver)(void *self, const void *msg, size_t size);
    /* Give the next message that is ready: its size, or 0 where there is none. */
    int (*poll)(void *self, void *buf, size_t cap);
    /* One control line (bindings, section 5) and its answer without newline. */
    int (*control)(void *self, const char *line, char *answer, size_t cap);
    /* When something next happens by itself; UINT64_MAX: never. */
    uint64_t (*next_ms)(void *self);
    /* Virtual time is now now_ms. */
    void (*advance)(void *self, uint64_t now_ms);
    void (*close)(void *self);
};

#endif
