/* Combinations of a whole run's parameters: what the device at hand can do, paired or in full. */
#include <stdio.h>
#include <string.h>

#include "engine/suite_private.h"

enum { QUEUES_ASKED = 8, FEATURE_BLOCKS = 2 };
enum {
    QUEUE_SIZE = PL_AXIS_DIMENSIONS + PL_DIM_QUEUE_SIZE,
    RESET_MS = PL_AXIS_DIMENSIONS + PL_DIM_RESET_MS
};

/* --- from and to values --- */

void pl_axes_pack(const struct pl_bus_params *bus, const struct pl_combination *c,
                  uint32_t value[PL_AXES])
{
    value[PL_AXIS_PROFILE] = bus->features >> PL_C_TF_STRICT_CONFIG_GENERATION & 1;
    value[PL_AXIS_MAX_MSG_SIZE] = bus->max_msg_size;
    value[PL_AXIS_OUTSTANDING] = c->outstanding;
    for (size_t i = 0; i < PL_DIMENSIONS; i++)
        value[PL_AXIS_DIMENSIONS + i] = c->dimension[i];
}

void pl_axes_unpack(const uint32_t value[PL_AXES], struct pl_bus_params *bus,
                    struct pl_combination *c)
{
    const uint32_t strict = UINT32_C(1) << PL_C_TF_STRICT_CONFIG_GENERATION;
    bus->features = (bus->features & ~strict) | (value[PL_AXIS_PROFILE] ? strict : 0);
    bus->max_msg_size = value[PL_AXIS_MAX_MSG_SIZE];
    c->outstanding = value[PL_AXIS_OUTSTANDING];
    for (size_t i = 0; i < PL_DIMENSIONS; i++)
        c->dimension[i] = value[PL_AXIS_DIMENSIONS + i];
}

/* What the draft recommends, or all that the carrier has room for. */
uint32_t pl_suite_plain(const struct pl_suite *suite, size_t axis)
{
    uint32_t plain = pl_axis_plain(suite->spec, axis), most = suite->options->port->carrier_max;
    return axis == PL_AXIS_MAX_MSG_SIZE && most && most < plain ? most : plain;
}

/* The plain value, then the others that the carrier has room for. */
static size_t sizes(const struct pl_suite *suite, uint32_t out[PL_AXIS_VALUES])
{
    uint32_t all[PL_AXIS_VALUES], most = suite->options->port->carrier_max;
    size_t n = pl_axis_values(suite->spec, PL_AXIS_MAX_MSG_SIZE, all), kept = 1;
    out[0] = pl_suite_plain(suite, PL_AXIS_MAX_MSG_SIZE);
    for (size_t i = 0; i < n; i++)
        if (all[i] != out[0] && (!most || all[i] <= most))
            out[kept++] = all[i];
    return kept;
}

/* What an IUT keeps to that is not started anew for each set of bus parameters. */
static uint32_t stated(const struct pl_suite *suite, size_t axis)
{
    const struct pl_combination none = {0};
    uint32_t value[PL_AXES];
    if (!suite->options->bus)
        return pl_suite_plain(suite, axis);
    pl_axes_pack(suite->options->bus, &none, value);
    return value[axis];
}

size_t pl_suite_axis(const struct pl_suite *suite, size_t axis, uint32_t out[PL_AXIS_VALUES])
{
    const struct pl_suite_options *o = suite->options;
    if (o->fixed.set[axis]) {
        out[0] = o->fixed.value[axis];
        return 1;
    }
    if (axis <= PL_AXIS_MAX_MSG_SIZE && (o->bus || !o->port->restartable)) {
        out[0] = stated(suite, axis);
        return 1;
    }
    size_t n =
        axis == PL_AXIS_MAX_MSG_SIZE ? sizes(suite, out) : pl_axis_values(suite->spec, axis, out);
    return o->quick ? 1 : n;
}

void pl_suite_tell_sizes(struct pl_suite *suite)
{
    uint32_t sizes_here[PL_AXIS_VALUES];
    pl_suite_axis(suite, PL_AXIS_MAX_MSG_SIZE, sizes_here);
    suite->session.plain_size = pl_suite_plain(suite, PL_AXIS_MAX_MSG_SIZE);
    suite->session.only_size = sizes_here[0];
}

void pl_suite_with(const uint32_t value[PL_AXES], const bool wanted[PL_AXES], char *out, size_t cap)
{
    char text[16];
    size_t n = strlen(out);
    for (size_t i = 0; i < PL_AXES && n < cap; i++) {
        if (!wanted[i])
            continue;
        pl_axis_format(i, value[i], text, sizeof(text));
        n += (size_t)snprintf(out + n, cap - n, " --with %s=%s", pl_axis_name(i), text);
    }
}

/* --- what the device can do --- */

/* Bring the device to where its features can be read, as any driver does. */
static void learn_features(struct pl_suite *suite, uint16_t dev_num)
{
    static const uint32_t way[] = {0, (uint32_t)PL_C_STATUS_ACKNOWLEDGE,
                                   (uint32_t)(PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER)};
    struct pl_session *s = &suite->session;
    for (size_t i = 0; i < sizeof(way) / sizeof(way[0]) && s->alive; i++) {
        struct pl_msg m = {.kind = PL_SET_DEVICE_STATUS, .dev_num = dev_num};
        m.f[PL_F_status] = way[i];
        pl_session_ask(s, &m);
        if (way[i] == 0)
            pl_session_await_reset(s);
    }
    struct pl_msg m = {.kind = PL_GET_DEVICE_FEATURES, .dev_num = dev_num};
    m.f[PL_F_num_blocks] = FEATURE_BLOCKS;
    if (s->alive)
        pl_session_ask(s, &m);
}

/* The largest queue of the first few; 0: nothing is known. */
static uint32_t largest_queue(struct pl_suite *suite, uint16_t dev_num)
{
    struct pl_session *s = &suite->session;
    const struct pl_msg *info = pl_oracle_info(s->oracle, dev_num);
    uint64_t n = info ? info->f[PL_F_max_virtqueues] : 0;
    uint32_t most = 0;
    for (uint32_t i = 0; i < n && i < QUEUES_ASKED && s->alive && !s->stuck; i++) {
        struct pl_msg m = {.kind = PL_GET_VQUEUE, .dev_num = dev_num};
        m.f[PL_F_index] = i;
        if (pl_session_ask(s, &m) == 0 && s->last.f[PL_F_max_size] > most)
            most = (uint32_t)s->last.f[PL_F_max_size];
    }
    return most;
}

/* Sizes beyond the largest queue are all the same: the first of them stays. */
static size_t collapse(uint32_t *value, size_t n, uint32_t max)
{
    size_t kept = 0;
    bool beyond = false;
    for (size_t i = 0; i < n; i++) {
        if (max && value[i] >= max && beyond)
            continue;
        beyond |= max && value[i] >= max;
        value[kept++] = value[i];
    }
    return kept;
}

static size_t domain(struct pl_suite *suite, uint16_t dev_num, size_t axis, uint32_t max_size,
                     uint32_t *value)
{
    size_t n = pl_suite_axis(suite, axis, value);
    if (axis < PL_AXIS_DIMENSIONS || suite->options->fixed.set[axis])
        return n;
    int feature = pl_dimensions[axis - PL_AXIS_DIMENSIONS].feature;
    if (feature >= 0 && pl_oracle_offered(suite->session.oracle, dev_num, (unsigned)feature) == 0)
        return 1;
    if (axis == RESET_MS && (!suite->options->port->has_control || suite->no_reset_delay))
        return 1;
    return axis == QUEUE_SIZE ? collapse(value, n, max_size) : n;
}

/* --- rows --- */

static bool forbidden(const void *opaque, size_t p, size_t v, size_t q, size_t w)
{
    const struct pl_suite_rows *r = opaque;
    return !pl_axis_compatible(p, r->value[p][v], q, r->value[q][w]);
}

static int make_rows(struct pl_suite *suite, struct pl_suite_rows *r)
{
    struct pl_pairwise_space space = {
        .n = PL_AXES, .seed = suite->options->seed, .forbidden = forbidden, .opaque = r};
    pl_session_begin(&suite->session);
    suite->session.dev_num = r->dev_num;
    if (pl_oracle_offered(suite->session.oracle, r->dev_num,
                          (unsigned)pl_dimensions[PL_DIM_PACKED].feature) < 0)
        learn_features(suite, r->dev_num);
    uint32_t max_size = largest_queue(suite, r->dev_num);
    for (size_t axis = 0; axis < PL_AXES; axis++)
        space.values[axis] = domain(suite, r->dev_num, axis, max_size, r->value[axis]);
    return suite->options->exhaustive ? pl_pairwise_product(&space, &r->rows)
                                      : pl_pairwise(&space, &r->rows);
}

const struct pl_suite_rows *pl_suite_rows(struct pl_suite *suite, size_t d)
{
    for (size_t i = 0; i < suite->n_device_rows; i++)
        if (suite->device_rows[i].dev_num == suite->devices[d])
            return &suite->device_rows[i];
    if (suite->n_device_rows == PL_SUITE_DEVICES)
        return NULL;
    struct pl_suite_rows *r = &suite->device_rows[suite->n_device_rows];
    r->dev_num = suite->devices[d];
    if (make_rows(suite, r) < 0)
        return NULL;
    suite->n_device_rows++;
    return r;
}

void pl_suite_row(const struct pl_suite_rows *rows, size_t i, uint32_t value[PL_AXES])
{
    for (size_t axis = 0; axis < PL_AXES; axis++)
        value[axis] = rows->value[axis][pl_row(&rows->rows, i)[axis]];
}

void pl_suite_reset_ms(struct pl_suite *suite, size_t d, uint32_t *ms)
{
    char line[64];
    bool unsupported = false;
    if (d >= PL_SUITE_DEVICES || suite->no_reset_delay)
        *ms = 0;
    if (d >= PL_SUITE_DEVICES || suite->reset_ms[d] == *ms)
        return;
    snprintf(line, sizeof(line), "reset-delay %u %u", suite->devices[d], *ms);
    pl_session_tell(&suite->session, "control %s", line);
    if (pl_session_control(&suite->session, line, &unsupported)) {
        suite->reset_ms[d] = *ms;
        return;
    }
    suite->no_reset_delay = true;
    *ms = 0;
}
