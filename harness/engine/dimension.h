/* The parameters of a whole run and their values: those of the bus, and what scenarios with
 * virtqueues are combined over besides. */
#ifndef PL_DIMENSION_H
#define PL_DIMENSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

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
    uint32_t min, max; /* what a user may fix it to */
    int feature;       /* the feature bit that a value other than 0 needs; -1: none */
};
extern const struct pl_dimension_def pl_dimensions[PL_DIMENSIONS];

/* All parameters, in the order of reports: the bus's own, requests outstanding, the dimensions. */
enum pl_axis {
    PL_AXIS_PROFILE, /* 0 baseline, 1 strict */
    PL_AXIS_MAX_MSG_SIZE,
    PL_AXIS_OUTSTANDING,
    PL_AXIS_DIMENSIONS, /* the first of them */
    PL_AXES = PL_AXIS_DIMENSIONS + PL_DIMENSIONS
};
enum { PL_AXIS_VALUES = 10 };

/* Parameters that a user fixed: --with NAME=VALUE. */
struct pl_axes_fixed {
    bool any, set[PL_AXES];
    uint32_t value[PL_AXES];
};

const char *pl_axis_name(size_t axis);
/* The values that an axis takes, the plain one first; returns how many. */
size_t pl_axis_values(const struct pl_spec *spec, size_t axis, uint32_t out[PL_AXIS_VALUES]);
/* The plain value. */
uint32_t pl_axis_plain(const struct pl_spec *spec, size_t axis);
/* A value as reports and --with have it: "strict", "264". */
void pl_axis_format(size_t axis, uint32_t value, char *out, size_t cap);
/* Can both values stand in one run? A split ring's size is a power of two (core, 2.7). */
bool pl_axis_compatible(size_t p, uint32_t v, size_t q, uint32_t w);
/* Take "NAME=VALUE" in. False with one sentence in error: no such name or value, or fixed already.
 */
bool pl_axes_fix(struct pl_axes_fixed *fixed, const struct pl_spec *spec, const char *text,
                 char *error, size_t cap);
/* Do the fixed parameters exclude each other? False with one sentence in error. */
bool pl_axes_check(const struct pl_axes_fixed *fixed, char *error, size_t cap);

#endif
