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
 * the back-end (0: 5000 ms). start connects anew each time. port->observable lists the clauses that
 * the back-end itself shows, as far as the last start found out what it offers. Returns NULL and
 * writes one sentence into error on a bad address or without memory.
 */
struct pl_port *pl_port_vhost_user(const struct pl_port_options *options, char *error, size_t cap);

#endif
