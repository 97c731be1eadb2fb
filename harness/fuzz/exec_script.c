/*
 * Cases on a driver that lives by a script of somebody else's, behind a gateway (Linux in a guest):
 * nobody can ask it for anything, so that what a case asks for is waited for.
 */
#include <string.h>

#include "engine/port_memory.h"
#include "fuzz/exec_private.h"

enum {
    BOOT_MS = 120000, /* until it starts the device first */
    QUIET_MS = 10000, /* then: whoever is silent for as long has nothing more to say in this case */
    SLICE_MS = 20,
    KEPT_MS = 100,   /* an answer held back is given when nothing comes: it may be waited for */
    STEPS_MAX = 400, /* messages of the driver's in one action */
    IO_MESSAGES = 8,
};

static bool at_work(const struct pl_exec *x)
{
    return (x->d.status & PL_C_STATUS_DRIVER_OK) != 0;
}

/* The driver's next message is met: true. False: it is silent, or gone. */
static bool next(struct pl_exec *x)
{
    uint64_t began = pl_session_clock_ms();
    while (x->s.alive && !x->script_silent && x->met < PL_X_SCRIPT_MAX) {
        uint64_t silent = pl_session_clock_ms() - began;
        x->script_silent = silent > (x->script_began ? QUIET_MS : BOOT_MS);
        if (x->n_held && silent > KEPT_MS)
            pl_x_driver_release(x);
        int r = pl_x_driver_step(x, SLICE_MS);
        x->script_began |= at_work(x);
        if (r != 0)
            return r > 0;
    }
    return false;
}

void pl_x_script_ask(struct pl_exec *x, const struct pl_action *a)
{
    uint64_t times = STEPS_MAX;
    bool starts = a->op == PL_ACT_START, stops = a->op == PL_ACT_STOP;
    if (a->op == PL_ACT_IO)
        times = IO_MESSAGES * (1 + pl_action_number(a, PL_ARG_TIMES, 0) % 16);
    else if (!starts && !stops)
        return;
    for (uint64_t i = 0; i < times; i++)
        if ((starts && at_work(x)) || (stops && !at_work(x)) || !next(x))
            break;
}

void pl_x_script_listen(struct pl_exec *x, uint64_t times)
{
    for (uint64_t i = 0; i < times && i < STEPS_MAX; i++)
        if (!next(x))
            break;
}

void pl_x_script_wait(struct pl_exec *x, uint64_t ms)
{
    uint64_t began = pl_session_clock_ms();
    for (unsigned i = 0; i < STEPS_MAX && x->s.alive && pl_session_clock_ms() - began < ms; i++)
        pl_x_driver_step(x, 1);
}

void pl_x_script_end(struct pl_exec *x)
{
    while (next(x))
        continue;
}

/* --- its rings --- */

void pl_x_script_learn(struct pl_exec *x, const struct pl_msg *m)
{
    if (m->kind != PL_SET_VQUEUE || m->form != PL_FORM_OK || m->f[PL_F_index] >= PL_X_QUEUES)
        return;
    struct pl_x_guest_ring *ring = &x->guest_ring[m->f[PL_F_index]];
    ring->size = (uint32_t)m->f[PL_F_size];
    ring->desc = m->f[PL_F_desc_addr];
    ring->device = m->f[PL_F_device_addr];
}

/*
 * The rest of its memory is the guest's own: only what a device writes of a ring is written over,
 * the used ring or the descriptors of a packed one.
 */
void pl_x_script_scribble(struct pl_exec *x, const struct pl_action *a)
{
    uint64_t queue = pl_action_number(a, PL_ARG_QUEUE, 0) % PL_X_QUEUES;
    const struct pl_x_guest_ring *ring = &x->guest_ring[queue];
    const struct pl_ring_memory memory = pl_port_memory(x->port);
    if (!ring->size || ring->size > UINT16_MAX || !at_work(x))
        return;
    bool packed = pl_oracle_selected(x->oracle, x->s.dev_num, PL_C_F_RING_PACKED) > 0;
    uint64_t at = packed ? ring->desc : ring->device;
    const struct pl_ring_bytes bytes = pl_ring_bytes(packed, (uint16_t)ring->size);
    uint64_t room = packed ? bytes.desc : bytes.device;
    uint64_t place = pl_action_number(a, PL_ARG_PLACE, 0) % room;
    size_t n = a->data_len < room - place ? a->data_len : (size_t)(room - place);
    void *to = pl_ring_at(&memory, at + place, n);
    if (to)
        memcpy(to, a->data, n);
}
