/* Serving a reference peer: the ways to its carrier, and the loop between that and an endpoint. */
#ifndef PL_CLI_SERVE_H
#define PL_CLI_SERVE_H

#include "peer/bus.h"
#include "peer/device.h"
#include "peer/driver.h"
#include "port/port.h"
#include "wire/endpoint.h"

enum { PL_SERVE_OPTIONS = 64 };

/* What the command line says. */
struct pl_serve_request {
    const char *role, *type, *mutant, *connect, *listen, *spec_name, *seed, *bus_text, *memory;
    const char *options[PL_SERVE_OPTIONS + 2]; /* one that serve adds, and NULL */
    const char *clock;                         /* real (NULL as well), or messages */
    bool by_messages;                          /* the latter */
    bool list_mutants, list_options, help;
    const struct pl_spec *spec;
    bool driver;  /* the role */
    int clock_fd; /* of a driver: the harness's clock; -1: none */
    struct pl_device_config config;
    struct pl_driver_config driver_config;
    bool bus; /* the reference bus is served */
    const char *device_side;
    struct pl_bus_config bus_config;
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

/* The reference bus, on both of its sides. An exit status. */
int pl_serve_bus(struct pl_serve_request *request);

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
    int clock_fd;        /* the harness's clock; -1: none */
    uint32_t max_msg_size;
    bool by_messages; /* the clock goes by messages */
};

/*
 * Serve until the other end closes the connection: 0 then, or a negative errno with one sentence in
 * `error`. Time is the real clock, in milliseconds; or messages make it pass: some a millisecond,
 * so that the same conversation always goes the same way.
 */
int pl_serve_run(struct pl_serve *serve, char *error, size_t cap);

#endif
