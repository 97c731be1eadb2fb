/* The parameters of a whole run, their values, and how a user fixes them. */
#include "engine/dimension.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SMALL_SIZE = 64 }; /* a size between the draft's least and its recommended one */

static const uint32_t flag[] = {0, 1};
static const uint32_t sizes[] = {256, 1, 2, 3, 64, 1024, 32768};
static const uint32_t delays[] = {0, 1};
static const uint32_t depths[] = {1, 4};

#define VALUES(list) list, sizeof(list) / sizeof((list)[0])
#define FLAG(bit)    VALUES(flag), 0, 1, (int)(bit)
const struct pl_dimension_def pl_dimensions[PL_DIMENSIONS] = {
    [PL_DIM_PACKED] = {"ring_packed", FLAG(PL_C_F_RING_PACKED)},
    [PL_DIM_QUEUE_SIZE] = {"queue_size", VALUES(sizes), 1, 32768, -1},
    [PL_DIM_INDIRECT] = {"indirect", FLAG(PL_C_F_INDIRECT_DESC)},
    [PL_DIM_EVENT_IDX] = {"event_idx", FLAG(PL_C_F_EVENT_IDX)},
    [PL_DIM_IN_ORDER] = {"in_order", FLAG(PL_C_F_IN_ORDER)},
    [PL_DIM_NOTIFICATION_DATA] = {"notification_data", FLAG(PL_C_F_NOTIFICATION_DATA)},
    [PL_DIM_RESET_MS] = {"reset_ms", VALUES(delays), 0, 1000, -1},
};

const char *pl_axis_name(size_t axis)
{
    static const char *const names[] = {"profile", "max_msg_size", "outstanding"};
    return axis < PL_AXIS_DIMENSIONS ? names[axis] : pl_dimensions[axis - PL_AXIS_DIMENSIONS].name;
}

static size_t copy(const uint32_t *list, size_t n, uint32_t *out)
{
    memcpy(out, list, n * sizeof(*list));
    return n;
}

size_t pl_axis_values(const struct pl_spec *spec, size_t axis, uint32_t out[PL_AXIS_VALUES])
{
    const uint32_t bus[] = {spec->recommended_max_msg_size, spec->min_max_msg_size, SMALL_SIZE,
                            spec->max_max_msg_size};
    if (axis == PL_AXIS_PROFILE)
        return copy(VALUES(flag), out);
    if (axis == PL_AXIS_MAX_MSG_SIZE)
        return copy(VALUES(bus), out);
    if (axis == PL_AXIS_OUTSTANDING)
        return copy(VALUES(depths), out);
    const struct pl_dimension_def *def = &pl_dimensions[axis - PL_AXIS_DIMENSIONS];
    return copy(def->value, def->n, out);
}

uint32_t pl_axis_plain(const struct pl_spec *spec, size_t axis)
{
    uint32_t values[PL_AXIS_VALUES];
    pl_axis_values(spec, axis, values);
    return values[0];
}

void pl_axis_format(size_t axis, uint32_t value, char *out, size_t cap)
{
    if (axis == PL_AXIS_PROFILE)
        snprintf(out, cap, "%s", value ? "strict" : "baseline");
    else
        snprintf(out, cap, "%" PRIu32, value);
}

bool pl_axis_compatible(size_t p, uint32_t v, size_t q, uint32_t w)
{
    if (p != PL_AXIS_DIMENSIONS + PL_DIM_PACKED || q != PL_AXIS_DIMENSIONS + PL_DIM_QUEUE_SIZE)
        return true;
    return v || (w & (w - 1)) == 0;
}

/* --- what a user fixes --- */

static void range_of(const struct pl_spec *spec, size_t axis, uint32_t *min, uint32_t *max)
{
    enum { OUTSTANDING_MAX = 64 };
    *min = axis == PL_AXIS_MAX_MSG_SIZE  ? spec->min_max_msg_size
           : axis == PL_AXIS_OUTSTANDING ? 1
                                         : pl_dimensions[axis - PL_AXIS_DIMENSIONS].min;
    *max = axis == PL_AXIS_MAX_MSG_SIZE  ? spec->max_max_msg_size
           : axis == PL_AXIS_OUTSTANDING ? OUTSTANDING_MAX
                                         : pl_dimensions[axis - PL_AXIS_DIMENSIONS].max;
}

static bool number(const char *text, uint32_t min, uint32_t max, uint32_t *value)
{
    char *end;
    unsigned long long v = strtoull(text, &end, 0);
    if (*text < '0' || *text > '9' || *end || v < min || v > max)
        return false;
    *value = (uint32_t)v;
    return true;
}

static bool parse_value(const struct pl_spec *spec, size_t axis, const char *text, uint32_t *value,
                        char *error, size_t cap)
{
    uint32_t min, max;
    if (axis == PL_AXIS_PROFILE) {
        *value = strcmp(text, "strict") == 0;
        if (*value || strcmp(text, "baseline") == 0)
            return true;
        snprintf(error, cap, "profile: '%s' is neither baseline nor strict", text);
        return false;
    }
    range_of(spec, axis, &min, &max);
    if (number(text, min, max, value))
        return true;
    snprintf(error, cap, "%s: '%s' is not within %" PRIu32 " to %" PRIu32, pl_axis_name(axis), text,
             min, max);
    return false;
}

static size_t find_axis(const char *text, size_t length)
{
    for (size_t i = 0; i < PL_AXES; i++)
        if (strlen(pl_axis_name(i)) == length && strncmp(pl_axis_name(i), text, length) == 0)
            return i;
    return PL_AXES;
}

static void unknown_name(const char *text, char *error, size_t cap)
{
    size_t n = (size_t)snprintf(error, cap, "'%s' is not NAME=VALUE with one of the names", text);
    for (size_t i = 0; i < PL_AXES && n < cap; i++)
        n += (size_t)snprintf(error + n, cap - n, "%s%s", i ? ", " : " ", pl_axis_name(i));
}

bool pl_axes_fix(struct pl_axes_fixed *fixed, const struct pl_spec *spec, const char *text,
                 char *error, size_t cap)
{
    const char *equals = strchr(text, '=');
    size_t axis = equals ? find_axis(text, (size_t)(equals - text)) : PL_AXES;
    if (axis == PL_AXES) {
        unknown_name(text, error, cap);
        return false;
    }
    if (fixed->set[axis]) {
        snprintf(error, cap, "%s: it is fixed already", pl_axis_name(axis));
        return false;
    }
    fixed->any = fixed->set[axis] = true;
    return parse_value(spec, axis, equals + 1, &fixed->value[axis], error, cap);
}

bool pl_axes_check(const struct pl_axes_fixed *fixed, char *error, size_t cap)
{
    for (size_t p = 0; p < PL_AXES; p++)
        for (size_t q = p + 1; q < PL_AXES; q++) {
            char v[16], w[16];
            if (!fixed->set[p] || !fixed->set[q] ||
                pl_axis_compatible(p, fixed->value[p], q, fixed->value[q]))
                continue;
            pl_axis_format(p, fixed->value[p], v, sizeof(v));
            pl_axis_format(q, fixed->value[q], w, sizeof(w));
            snprintf(error, cap, "%s=%s and %s=%s exclude each other", pl_axis_name(p), v,
                     pl_axis_name(q), w);
            return false;
        }
    return true;
}
