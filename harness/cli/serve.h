/* Serving a reference peer: the ways to its carrier, and the loop between that and an endpoint. */
#ifndef PL_CLI_SERVE_H
#define PL_CLI_SERVE_H

#include "peer/device.h"
#include "port/port.h"
#include "wire/endpoint.h"

/* What the command line says. */
struct pl_serve_request {
    const char *role, *type, *mutant, *connect, *listen, *spec_name, *seed, *bus_text, *memory;
    const char *options[64];
    bool list_mutants, list_options, help;
    const struct pl_spec *spec;
    struct pl_device_config config;
    struct pl_endpoint_env env;
};

/*
 * Where the messages come from: an address, or else the environment (PLUMBLINE_SPSC or
 * PLUMBLINE_FD). `spsc`: it is shared memory, whose messages are as small as its slots.
 */
struct pl_serve_place {
    const char *connect, *listen;
    bool spsc;
};
void pl_serve_place(const struct pl_serve_request *request, struct pl_serve_place *out);
/* Serve there, to the end of the connection or for ever. An exit status. */
int pl_serve_at(struct pl_serve_request *request, const struct pl_serve_place *place);

/* A number from the environment; true where the variable is not set. */
bool pl_serve_env_number(const char *name, uint64_t *value);

/* An endpoint on a connection. Channel and descriptor are the caller's until pl_serve_run, which
 * ends them. */
struct pl_serve {
    const struct pl_spec *spec;
    const struct pl_endpoint_ops *ops;
    void *self;          /* opened */
    struct pl_chan chan; /* messages */
    int ctl_fd;          /* control lines; -1: none */
    uint32_t max_msg_size;
};

/*
 * Serve until the other end closes the connection: 0 then, or a negative errno with one sentence in
 * `error`. Time is the real clock, in milliseconds.
 */
int pl_serve_run(struct pl_serve *serve, char *error, size_t cap);

#endif
