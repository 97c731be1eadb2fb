/* A bare ping-pong over a raw carrier: what `plumbline bench` holds its own figures against. */
#ifndef PL_PORT_PINGPONG_H
#define PL_PORT_PINGPONG_H

#include <stddef.h>

/*
 * Send a message of msg_size bytes to another process and back, `rounds` times, with nothing but
 * blocking calls, and give the mean time of a round in nanoseconds. `carrier` is "unix" (packets),
 * "unix-stream", "tcp" (loopback) or "inprocess" (a function call and two copies). 0, or a negative
 * errno: -EINVAL for an unknown carrier, a size of 0 or above 65536, or no rounds.
 */
int pl_pingpong(const char *carrier, size_t msg_size, unsigned rounds, double *ns_per_round);

/* A connected pair of such a carrier's sockets ("inprocess" has none), the caller's to close. */
int pl_pingpong_pair(const char *carrier, int ends[2]);

#endif
