/* Serving a reference peer over a socket: the loop between a carrier and an endpoint. */
#ifndef PL_CLI_SERVE_H
#define PL_CLI_SERVE_H

#include "port/port.h"
#include "wire/endpoint.h"

/* An endpoint on a connection. The descriptors are the caller's until pl_serve_run, which ends
 * them. */
struct pl_serve {
    const struct pl_spec *spec;
    const struct pl_endpoint_ops *ops;
    void *self; /* opened */
    int fd;     /* messages */
    int ctl_fd; /* control lines; -1: none */
    uint32_t max_msg_size;
};

/*
 * Serve until the other end closes the connection: 0 then, or a negative errno with one sentence in
 * `error`. Time is the real clock, in milliseconds.
 */
int pl_serve_run(struct pl_serve *serve, char *error, size_t cap);

#endif
