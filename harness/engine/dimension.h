/* The parameters of a whole run besides the bus's own: what scenarios with virtqueues are combined
 * over. */
#ifndef PL_DIMENSION_H
#define PL_DIMENSION_H

#include <stddef.h>
#include <stdint.h>

enum pl_dimension {
    PL_DIM_PACKED,            /* VIRTIO_F_RING_PACKED is selected */
    PL_DIM_QUEUE_SIZE,        /* entries wanted; a queue takes its max_size where that is less */
    PL_DIM_INDIRECT,          /* VIRTIO_F_INDIRECT_DESC is selected, and used */
    PL_DIM_EVENT_IDX,         /* VIRTIO_F_EVENT_IDX is selected, and used */
    PL_DIM_IN_ORDER,          /* VIRTIO_F_IN_ORDER is selected */
    PL_DIM_NOTIFICATION_DATA, /* VIRTIO_F_NOTIFICATION_DATA is selected */
    PL_DIM_RESET_MS, /* resets take so many ms, where control can ask for it; 0 synchronous */
    PL_DIMENSIONS
};

struct pl_dimension_def {
    const char *name;      /* as scenarios and reports call it: "ring_packed" */
    const uint32_t *value; /* what it can be; the first is the plain one */
    size_t n;
};
extern const struct pl_dimension_def pl_dimensions[PL_DIMENSIONS];

#endif
