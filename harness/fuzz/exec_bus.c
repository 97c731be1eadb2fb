/* Cases on a bus: the harness is the driver at its one side and the devices at its other. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/bus_run.h"
#include "fuzz/exec_private.h"

enum { HOLDS = 3, ANSWER_MAX = 512 };

static void let_go(struct pl_exec *x)
{
    struct pl_bus_run *b = x->s.bus_run;
    pl_bus_run_take(b, 0);
    if (!b->hold && !b->n_held && x->s.alive && ++x->s.pending >= x->hold) {
        x->s.pending = 0;
        pl_bus_run_wait(b);
    }
}

/* A device is there before the bus is told of it, and gone before the bus is told of that. */
static void plug(struct pl_exec *x, uint16_t dev, bool present)
{
    pl_bus_device_set(x->s.bus_run, dev, present);
}

static void give(struct pl_exec *x, enum pl_bus_side side, size_t n)
{
    struct pl_msg m;
    pl_decode(x->spec, x->bytes, n, &m);
    if (!pl_x_carried(x, &m))
        return;
    if (side == PL_BUS_DRIVER_SIDE && m.form != PL_FORM_RUNT && !m.event && !m.response) {
        x->s.answered = false;
        x->s.wanted_token = m.token;
        x->s.wanted_id = m.msg_id;
        x->req = m; /* what a failure speaks of */
    }
    uint64_t state = m.f[PL_F_device_bus_state];
    if (side == PL_BUS_DEVICE_SIDE && m.kind == PL_EVENT_DEVICE &&
        (m.form == PL_FORM_OK || m.form == PL_FORM_LONG) &&
        (state == PL_C_BUS_STATE_ADDED || state == PL_C_BUS_STATE_REMOVED))
        plug(x, (uint16_t)m.f[PL_F_device_number], state == PL_C_BUS_STATE_ADDED);
    pl_bus_run_give(x->s.bus_run, side, x->bytes, n);
    let_go(x);
}

static void act_send(struct pl_exec *x, const struct pl_action *a)
{
    const struct pl_message_def *def = pl_spec_message(x->spec, (enum pl_kind)a->kind);
    struct pl_msg m = {.kind = (enum pl_kind)a->kind, .response = a->response};
    bool bent;
    if (!def)
        return;
    m.dev_num = def->bus ? 0 : x->devices[0];
    m.token = def->event ? 0 : pl_session_token(&x->s);
    pl_x_legal(x, &m);
    size_t n = pl_x_build(x, a, &m, &bent);
    if (n && a->op == PL_ACT_SEND)
        pl_x_own_token(x, x->bytes, n);
    if (n)
        give(x, a->op == PL_ACT_FAR ? PL_BUS_DEVICE_SIDE : PL_BUS_DRIVER_SIDE, n);
}

static void act_raw(struct pl_exec *x, const struct pl_action *a)
{
    memcpy(x->bytes, a->data, a->data_len);
    pl_x_own_token(x, x->bytes, a->data_len);
    if (a->data_len)
        give(x, pl_action_number(a, PL_ARG_FAR_SIDE, 0) ? PL_BUS_DEVICE_SIDE : PL_BUS_DRIVER_SIDE,
             a->data_len);
}

/*
 * Two sockets have no order between them: what a bus that is not linked in says of a device that
 * came or went meanwhile may be of before or behind that, so that there they stay.
 */
static bool may_move(const struct pl_exec *x)
{
    return x->port->virtual_time;
}

/* The device side says itself which devices it has. */
static void announce(struct pl_exec *x, uint16_t dev, bool present)
{
    struct pl_msg m = {.kind = PL_EVENT_DEVICE};
    if (!x->s.alive)
        return;
    m.f[PL_F_device_number] = dev;
    m.f[PL_F_device_bus_state] = present ? PL_C_BUS_STATE_ADDED : PL_C_BUS_STATE_REMOVED;
    pl_bus_run_send(x->s.bus_run, PL_BUS_DEVICE_SIDE, &m);
    pl_bus_run_take(x->s.bus_run, 0);
}

static void act_control(struct pl_exec *x, const struct pl_action *a)
{
    struct pl_bus_run *b = x->s.bus_run;
    uint16_t dev = (uint16_t)pl_action_number(a, PL_ARG_DEV, x->devices[0]);
    bool attach = a->op == PL_ACT_ATTACH, unsupported;
    char line[128];
    if (!may_move(x) || !x->port->has_control || pl_bus_run_fence(b) < 0 || x->s.stuck)
        return;
    plug(x, dev, attach);
    snprintf(line, sizeof(line), "%s %u", pl_ops[a->op].name, dev);
    if (pl_session_control(&x->s, line, &unsupported))
        pl_session_tell(&x->s, "bus %s %u", attach ? "stated" : "detached", dev);
    else
        announce(x, dev, attach);
    pl_bus_run_take(b, 0);
}

/* The bus was given what both sides have: it changes to less of that, or to another size. */
static void act_parameters(struct pl_exec *x, const struct pl_action *a)
{
    struct pl_bus_run *b = x->s.bus_run;
    uint32_t least = x->spec->min_max_msg_size, most = x->spec->recommended_max_msg_size;
    uint64_t size = pl_action_number(a, PL_ARG_LARGEST, x->s.bus.max_msg_size);
    unsigned features =
        (unsigned)pl_action_number(a, PL_ARG_BITS, x->s.bus.features) & x->s.bus.features;
    char line[128];
    bool unsupported;
    size = size < least ? least : size > most ? most : size;
    if (!x->port->has_control || pl_bus_run_fence(b) < 0 || x->s.stuck)
        return;
    snprintf(line, sizeof(line), "parameters %u %u %u", x->s.bus.revision, (unsigned)size,
             features);
    pl_session_tell(&x->s, "bus changing");
    pl_session_control(&x->s, line, &unsupported);
    pl_bus_run_take(b, 0);
    for (int side = PL_BUS_DRIVER_SIDE; side <= PL_BUS_DEVICE_SIDE; side++) {
        struct pl_msg m = {.kind = PL_GET_PARAMETERS, .token = pl_session_token(&x->s)};
        pl_bus_run_send(b, (enum pl_bus_side)side, &m);
    }
    pl_bus_run_take(b, x->s.timeouts.fence);
}

static void act_time(struct pl_exec *x, uint64_t ms)
{
    enum { WAIT_MAX = 100 };
    pl_bus_run_take(x->s.bus_run, (int)(ms < WAIT_MAX ? ms : WAIT_MAX));
}

int pl_x_bus_begin(struct pl_exec *x)
{
    struct pl_bus_run *b = x->s.bus_run;
    memset(&x->req, 0, sizeof(x->req));
    b->missed = b->impatient = 0;
    b->drawn = x->c->seed;
    b->n_devices = 0;
    if (pl_x_bus_scenario_begin(x))
        return x->s.alive ? 0 : -EPIPE;
    for (size_t i = 0; i < x->n_devices; i++)
        pl_bus_device_set(b, x->devices[i], true);
    for (size_t i = 0; i < x->n_devices; i++) {
        announce(x, x->devices[i], true);
        b->usable[i] = x->devices[i];
    }
    b->n_usable = x->n_devices;
    return x->s.alive ? 0 : -EPIPE;
}

void pl_x_bus_act(struct pl_exec *x, const struct pl_action *a)
{
    static const char *const how[] = {"order", "reverse", "twice", "forget"};
    struct pl_bus_run *b = x->s.bus_run;
    uint16_t dev = (uint16_t)pl_action_number(a, PL_ARG_DEV, x->devices[0]);
    switch (a->op) {
    case PL_ACT_SEND:
    case PL_ACT_FAR:
        act_send(x, a);
        break;
    case PL_ACT_RAW:
        act_raw(x, a);
        break;
    case PL_ACT_FENCE:
        pl_bus_run_fence(b);
        break;
    case PL_ACT_WAIT:
        act_time(x, pl_action_number(a, PL_ARG_MS, 1));
        break;
    case PL_ACT_HOLD:
        b->hold = (unsigned)(pl_action_number(a, PL_ARG_AT_ONCE, 1) % HOLDS);
        break;
    case PL_ACT_RELEASE:
        pl_bus_run_release(b, how[pl_action_number(a, PL_ARG_HOW, PL_HOW_ORDER)]);
        let_go(x);
        break;
    case PL_ACT_LISTEN:
        pl_bus_run_take(b, 0);
        break;
    case PL_ACT_PRESENT:
    case PL_ACT_ABSENT:
        if (!may_move(x))
            break;
        plug(x, dev, a->op == PL_ACT_PRESENT);
        announce(x, dev, a->op == PL_ACT_PRESENT);
        break;
    case PL_ACT_ANSWER_SIZE:
        b->answer_size = (uint32_t)(pl_action_number(a, PL_ARG_BYTES, 0) % ANSWER_MAX);
        break;
    case PL_ACT_PARAMETERS:
        act_parameters(x, a);
        break;
    case PL_ACT_SCENARIO:
        pl_x_bus_scenario(x, a);
        break;
    default:
        act_control(x, a);
    }
}

void pl_x_bus_end(struct pl_exec *x)
{
    if (x->s.alive && !x->s.stuck)
        pl_bus_run_end(x->s.bus_run);
    if (x->s.alive && !x->s.stuck)
        pl_session_tell(&x->s, "settle");
}
