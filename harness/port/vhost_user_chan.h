/* The connection to a vhost-user back-end: one request out, one answer in, within a time limit. */
#ifndef PL_PORT_VHOST_USER_CHAN_H
#define PL_PORT_VHOST_USER_CHAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pl_vhost_user.h" /* generated: requests, payloads, feature bits */

struct pl_vu_chan {
    int fd;          /* -1: not connected, or broken */
    bool ack;        /* REPLY_ACK is negotiated: every request gets an answer */
    int timeout_ms;  /* for each request, from sending to the answer's last byte */
    char error[224]; /* the last error, one sentence without the address */
};

/*
 * Connect to the socket at `path`. 0, or a negative errno with a sentence in chan->error. The
 * caller sets timeout_ms before; it bounds the wait for a place in the listener's queue.
 */
int pl_vu_connect(struct pl_vu_chan *chan, const char *path);
/* Close the connection. Idempotent. */
void pl_vu_disconnect(struct pl_vu_chan *chan);

/*
 * Send one request with `size` bytes of payload and, where the request carries a descriptor, `fd`
 * (which stays the caller's); then read what answers it. `reply` takes the reply's payload, or is
 * NULL where the request has none. Returns the reply's payload size (0 where there is none), or
 *   -EREMOTEIO  the back-end refused the request; the connection goes on
 *   -EPIPE      it closed the connection, or there is none
 *   -EPROTO     it answered something else than the request's answer; the connection is closed
 *   -ETIMEDOUT  it gave no whole answer in time; the connection is closed
 * A reply has the size that the request's definition says, GET_CONFIG's has the request's own size;
 * an empty reply to GET_CONFIG is a refusal.
 */
int pl_vu_call(struct pl_vu_chan *chan, enum pl_vu_request request, const void *payload,
               size_t size, int fd, void *reply);

/*
 * Look at a connection on which no answer is due: 0 while it is quiet, -EPIPE where the back-end
 * closed it, -EPROTO where it sent something unasked. Both close it. Never waits.
 */
int pl_vu_check_idle(struct pl_vu_chan *chan);

#endif
