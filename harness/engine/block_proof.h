/* Proof that a block device behind a port really works: one block written, read back, restored. */
#ifndef PL_ENGINE_BLOCK_PROOF_H
#define PL_ENGINE_BLOCK_PROOF_H

#include <stddef.h>

#include "port/port.h"

/*
 * Drive a started port with shared memory and a block device (number 0) from reset to DRIVER_OK,
 * set up queue 0 in port->mem, write the first block with a pattern, read it back, compare, restore
 * what stood there and reset the device. `text` gets one sentence on what was done or why it
 * failed. Everything in port->mem is overwritten; messages of other tests must not be outstanding.
 * Returns 0 or -ENOTSUP  the port has no memory, or the device is no writable block device with a
 * queue -EIO      the device refused, failed or corrupted a request, or a step of its
 * initialization -EPROTO   it wrote nonsense into the ring, or answered something that was not
 * asked -ETIMEDOUT, -EPIPE and other errors of the port Once written, the block's first content is
 * restored as well as possible in every case.
 */
int pl_gateway_block_proof(struct pl_port *port, char *text, size_t cap);

#endif
