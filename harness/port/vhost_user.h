/* The vhost-user gateway: a port that reaches a device exported by a vhost-user back-end. */
#ifndef PL_PORT_VHOST_USER_H
#define PL_PORT_VHOST_USER_H

#include "port/port.h"

/*
 * Open the gateway for options->connect,
 * `vhost-user:PATH[,type=block][,queues=N][,queue-size=N][,reset=reconnect]`: type is the device's
 * (vhost-user does not tell), queues how many there are where the back-end does not say, queue-size
 * the largest size of each; with reset=reconnect status 0 ends the connection instead of stopping
 * the rings. mem_size and mem_base apply; accept_timeout_ms bounds connecting and each answer of
 * the back-end (0: 5000 ms). start connects anew each time. With options->exec the back-end is
 * started by each start, and ended by stop; the options are in carrier_options then.
 * port->observable lists the clauses that the back-end itself shows, as far as the last start found
 * out what it offers. Returns NULL and writes one sentence into error on a bad address or without
 * memory.
 */
struct pl_port *pl_port_vhost_user(const struct pl_port_options *options, char *error, size_t cap);

/*
 * The other end: a back-end for options->listen, `vhost-user:PATH[,commands=FIFO]`, which a
 * front-end with a driver behind it (QEMU with a guest) connects to. It speaks towards the harness
 * as a driver does, for one life (one_life). The guest's memory is what the front-end shares, up to
 * 4 GiB, at the guest's own addresses. Lines that are written to the FIFO are the port's aside, but
 * for `disconnect`: the back-end then closes the connection and waits for the front-end to come
 * back. accept_timeout_ms bounds each wait for a connection (0: 60 s). Returns NULL and writes one
 * sentence into error on a bad address, or where it cannot listen there.
 */
struct pl_port *pl_port_vhost_user_back(const struct pl_port_options *options, char *error,
                                        size_t cap);

#endif
