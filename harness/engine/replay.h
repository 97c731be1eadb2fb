/* Recorded traces, once more: judged as they are, or sent again to an IUT that is judged live. */
#ifndef PL_REPLAY_H
#define PL_REPLAY_H

#include "engine/suite.h"

/*
 * The draft of a trace's first group, and the role of what was under test; NULL with one sentence
 * in error where there is none.
 */
const struct pl_spec *pl_replay_spec(const char *path, enum pl_iut *iut, char *error, size_t cap);

/*
 * Judge the trace in `path`. Without a port in `options` it is judged as it stands: what its last
 * messages still owe is not missing. With one the harness's messages are sent again, with the bytes
 * that they have, each group with its own bus parameters, and the answers of the IUT that is there
 * now are judged. Where `options` has a bus, or the IUT cannot be started anew, only the groups
 * with these parameters (the recommended ones by default) are sent. A trace of a driver is judged
 * as it stands only: what a driver does is its own.
 *
 * NULL with one sentence in error, and in *err: -EINVAL where the trace is at fault, else what kept
 * the IUT from being reached.
 */
struct pl_suite *pl_replay(const struct pl_suite_options *options, const char *path, int *err,
                           char *error, size_t cap);

#endif
