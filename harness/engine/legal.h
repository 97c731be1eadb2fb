/* A driver that does nothing but what the specification allows, at random: a device that is right
 * must fail nothing, however long it goes on. */
#ifndef PL_LEGAL_H
#define PL_LEGAL_H

#include "engine/vq.h"

/*
 * Drive the session's device until its count of messages has grown by `messages`: life after life
 * of reset, negotiation, virtqueues and work. Everything is drawn from *random (not 0), which moves
 * on. 0, or a negative errno where the IUT is gone or hangs.
 */
int pl_legal_run(struct pl_session *s, uint64_t *random, uint64_t messages);

/* The buffers of one ordinary request on a queue of such a device, at most PL_LEGAL_BUFFERS; 0: it
 * has none. Sizes are drawn from *random (not 0). */
enum { PL_LEGAL_BUFFERS = 4 };
size_t pl_legal_buffers(uint32_t device, uint32_t queue, uint64_t *random,
                        struct pl_vq_buffer *out);
/* Does the device give such chains back by itself, or when there is something for them? */
bool pl_legal_comes_back(uint32_t device, uint32_t queue);

#endif
