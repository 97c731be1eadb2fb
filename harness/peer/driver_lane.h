/* A lane: one I/O request at a time, what it is made of and what came of it. */
#ifndef PL_PEER_DRIVER_LANE_H
#define PL_PEER_DRIVER_LANE_H

#include "peer/driver_private.h"

#define PL_DP_LANE_TABLE  0u    /* offsets in a lane's memory: an indirect table, */
#define PL_DP_LANE_HEADER 512u  /* a request's header, and its data behind that */
#define PL_DP_LANE_BYTES  8192u /* of memory of one lane */

/* How many queues a block device says it has. */
uint64_t pl_dp_num_queues(struct pl_dp_step *c);
/* What a request of the lane that came back ended with. */
uint64_t pl_dp_lane_result(const struct pl_dp *peer, const struct pl_dp_lane *lane);
/* It is through: what is known of its sectors, and which request is the next. */
void pl_dp_lane_done(struct pl_dp_lane *lane);

#endif
