/* A driver that does nothing but what the specification allows, at random: a device that is right
 * must fail nothing, however long it goes on. */
#ifndef PL_LEGAL_H
#define PL_LEGAL_H

#include "engine/session.h"

/*
 * Drive the session's device until its count of messages has grown by `messages`: life after life
 * of reset, negotiation, virtqueues and work. Everything is drawn from *random (not 0), which moves
 * on. 0, or a negative errno where the IUT is gone or hangs.
 */
int pl_legal_run(struct pl_session *s, uint64_t *random, uint64_t messages);

#endif
