/* A bare ping-pong over a raw carrier: what `plumbline bench` holds its own figures against. */
#ifndef PL_PORT_PINGPONG_H
#define PL_PORT_PINGPONG_H

#include <stdbool.h>
#include <stddef.h>

/*
 * Send a message of msg_size bytes to another process and back, `rounds` times, with nothing but
 * blocking calls, and give the mean time of a round in nanoseconds. `carrier` is "unix" (packets),
 * "unix-stream", "tcp" (loopback), "spsc" and "spsc-wakeup" (shared memory, looked at again and
 * again or with a byte on a socket for each message), or "inprocess" (a function call and two
 * copies). 0, or a negative errno: -EINVAL for an unknown carrier, a size of 0 or above 65536
 * (shared memory: a slot's), or no rounds.
 */
int pl_pingpong(const char *carrier, size_t msg_size, unsigned rounds, double *ns_per_round);

/* The same for shared memory alone. */
int pl_pingpong_spsc(bool wakeup, size_t msg_size, unsigned rounds, double *ns_per_round);

/* A connected pair of such a carrier's sockets ("inprocess" has none), the caller's to close. */
int pl_pingpong_pair(const char *carrier, int ends[2]);

#endif
