/* Cases on a device: the harness is its driver, and knows when it stops to be a good one. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/legal.h"
#include "fuzz/exec_private.h"

enum { HOLD_MAX = 64, CHAINS_MAX = 8, BUFFER_MAX = 4096, DELAY_MAX = 50, WORK_TURNS = 7 };

/* --- what no driver may do to memory --- */

static bool ring_bits_known(const struct pl_exec *x, struct pl_vq_features *f)
{
    const struct pl_oracle *o = x->oracle;
    uint16_t dev = x->s.dev_num;
    int bit[] = {pl_oracle_selected(o, dev, PL_C_F_RING_PACKED),
                 pl_oracle_selected(o, dev, PL_C_F_INDIRECT_DESC),
                 pl_oracle_selected(o, dev, PL_C_F_EVENT_IDX),
                 pl_oracle_selected(o, dev, PL_C_F_IN_ORDER),
                 pl_oracle_selected(o, dev, PL_C_F_NOTIFICATION_DATA),
                 pl_oracle_selected(o, dev, PL_C_F_RING_RESET)};
    bool known = x->d.status & PL_C_STATUS_FEATURES_OK;
    for (size_t i = 0; i < sizeof(bit) / sizeof(bit[0]); i++)
        known &= bit[i] >= 0;
    *f = (struct pl_vq_features){bit[0] > 0, bit[1] > 0, bit[2] > 0,
                                 bit[3] > 0, bit[4] > 0, bit[5] > 0};
    return known;
}

/* Does a queue's part lie where addresses may be named, or outside? */
static bool in_static(const struct pl_exec *x, uint64_t addr)
{
    enum { PART_MAX = 0x1000 };
    uint64_t base = x->port->mem_base;
    return addr < base ? addr + PART_MAX < base
                       : addr - base < PL_VQ_STATIC - PART_MAX || addr - base >= x->port->mem_size;
}

/* A SET_VQUEUE that makes the device work on memory that the harness looks at, as another ring than
 * stands there, or as one that a reset has ended. */
static bool misplaces_ring(const struct pl_exec *x, const struct pl_msg *m)
{
    struct pl_vq_queue q;
    if (m->dev_num == x->s.dev_num && m->form == PL_FORM_OK &&
        !(m->f[PL_F_flags] & PL_C_SVQ_IGNORE_ALL) &&
        pl_vq_look_up_queue(x->vq, (uint32_t)m->f[PL_F_index], &q) && !q.over &&
        m->f[PL_F_size] == q.setup.size && m->f[PL_F_desc_addr] == q.setup.desc_addr &&
        m->f[PL_F_driver_addr] == q.setup.driver_addr &&
        m->f[PL_F_device_addr] == q.setup.device_addr)
        return false;
    return m->f[PL_F_size] > 64 || !in_static(x, m->f[PL_F_desc_addr]) ||
           !in_static(x, m->f[PL_F_driver_addr]) || !in_static(x, m->f[PL_F_device_addr]);
}

/* Requests that change what a ring's memory means while it stands there. */
static bool upsets_rings(const struct pl_exec *x, const struct pl_msg *m, bool bent)
{
    switch (m->kind) {
    case PL_SET_VQUEUE:
        return true;
    case PL_SET_DRIVER_FEATURES:
        return true;
    case PL_RESET_VQUEUE:
        return bent;
    case PL_SET_DEVICE_STATUS: /* a reset is what rings end with, where the device surely does it */
        if (m->form != PL_FORM_OK || m->type & x->spec->header.reserved_bits)
            return true;
        return m->f[PL_F_status] != 0 &&
               (bent || (x->d.status & ~(uint32_t)m->f[PL_F_status]) != 0);
    default:
        return false;
    }
}

/* One that a reset ended means nothing any more. */
static bool any_ring(const struct pl_exec *x)
{
    struct pl_vq_queue q;
    for (uint32_t i = 0; i < PL_X_QUEUES; i++)
        if (pl_vq_look_up_queue(x->vq, i, &q) && !q.over)
            return true;
    return false;
}

static void guard(struct pl_exec *x, const struct pl_msg *m, bool bent, bool own)
{
    if (!x->vq || own || m->response || m->bus || m->form == PL_FORM_RUNT)
        return;
    x->lawless |= m->kind == PL_SET_VQUEUE;
    if ((m->kind == PL_SET_VQUEUE && misplaces_ring(x, m)) ||
        (upsets_rings(x, m, bent) && any_ring(x)))
        pl_vq_run_wild(x->vq);
}

/* --- messages --- */

/* `own`: it is the executor's, which knows what it does to rings. */
static void transmit(struct pl_exec *x, size_t n, bool bent, bool own)
{
    struct pl_msg m;
    pl_decode(x->spec, x->bytes, n, &m);
    if (!pl_x_carried(x, &m))
        return;
    guard(x, &m, bent, own);
    x->reconfigured |= bent && m.form != PL_FORM_RUNT && m.kind == PL_SET_CONFIG;
    pl_session_send(&x->s, x->bytes, n, x->hold, true);
}

static void send_legal(struct pl_exec *x, struct pl_msg *m, bool own)
{
    ssize_t n = pl_encode(x->spec, m, x->bytes, PL_MSG_MAX);
    if (n > 0)
        transmit(x, (size_t)n, false, own);
}

static struct pl_msg new_message(struct pl_exec *x, enum pl_kind kind, bool response)
{
    const struct pl_message_def *def = pl_spec_message(x->spec, kind);
    return (struct pl_msg){.kind = kind,
                           .response = response,
                           .dev_num = def && !def->bus ? x->s.dev_num : 0,
                           .token = def && !def->event ? pl_session_token(&x->s) : 0};
}

static void ask(struct pl_exec *x, enum pl_kind kind)
{
    struct pl_msg m = new_message(x, kind, false);
    pl_x_legal(x, &m);
    send_legal(x, &m, false);
}

static void act_send(struct pl_exec *x, const struct pl_action *a)
{
    struct pl_msg m = new_message(x, (enum pl_kind)a->kind, a->response);
    const struct pl_setting *index = pl_action_get(a, PL_F_index);
    bool bent;
    if (index && index->how == PL_VALUE_NUMBER) /* what is legal depends on it */
        m.f[PL_F_index] = index->value;
    pl_x_legal(x, &m);
    size_t n = pl_x_build(x, a, &m, &bent);
    pl_x_own_token(x, x->bytes, n);
    if (n)
        transmit(x, n, bent, false);
}

static void act_raw(struct pl_exec *x, const struct pl_action *a)
{
    if (!a->data_len)
        return;
    memcpy(x->bytes, a->data, a->data_len);
    pl_x_own_token(x, x->bytes, a->data_len);
    transmit(x, a->data_len, true, false);
}

static void act_reset(struct pl_exec *x, bool waits)
{
    struct pl_msg m = new_message(x, PL_SET_DEVICE_STATUS, false);
    send_legal(x, &m, true);
    if (!waits || !x->s.alive || x->s.stuck)
        return;
    if (pl_session_flush(&x->s) != -EPIPE && x->s.alive && !x->s.stuck)
        pl_session_await_reset(&x->s);
}

/* --- rings --- */

static void act_ring(struct pl_exec *x, uint32_t queue, uint64_t entries, int packed)
{
    struct pl_vq_features f;
    struct pl_msg m = new_message(x, PL_SET_VQUEUE, false);
    m.f[PL_F_index] = queue;
    if (!x->vq)
        return;
    bool known = ring_bits_known(x, &f) && !pl_vq_is_wild(x->vq) && !x->d.asked;
    known &= packed < 0 || f.packed == (packed != 0);
    struct pl_vq_queue old = {0}; /* the device may be at work on another ring */
    pl_vq_look_up_queue(x->vq, queue, &old);
    known &= queue < PL_X_QUEUES && (!x->d.set_queue[queue] || old.stopped);
    f.packed = packed < 0 ? f.packed : packed != 0;
    pl_x_legal(x, &m);
    if (!entries)
        entries = m.f[PL_F_size];
    if (pl_vq_lay(x->vq, queue, (uint32_t)(entries & UINT32_C(0x3ff)), &f) < 0)
        return;
    pl_x_legal(x, &m);
    if (queue < PL_X_QUEUES)
        x->d.has_ring[queue] = x->d.honest[queue] = known;
    if (!known)
        pl_vq_run_wild(x->vq);
    send_legal(x, &m, true);
}

static void act_chain(struct pl_exec *x, const struct pl_action *a, uint32_t queue)
{
    struct pl_vq_buffer list[PL_LEGAL_BUFFERS];
    uint32_t out = (uint32_t)(pl_action_number(a, PL_ARG_OUT, 0) % BUFFER_MAX);
    uint32_t in = (uint32_t)(pl_action_number(a, PL_ARG_IN, 0) % BUFFER_MAX);
    bool own = pl_action_get(a, PL_ARG_OUT) || pl_action_get(a, PL_ARG_IN) || a->has_data;
    bool indirect = pl_action_number(a, PL_ARG_INDIRECT, 0) != 0;
    uint64_t times = pl_action_number(a, PL_ARG_TIMES, 1) % (CHAINS_MAX + 1);
    uint8_t *bytes = x->data;
    if (own) {
        out = out < a->data_len ? a->data_len : out;
        memset(bytes, 0, out);
        memcpy(bytes, a->data, a->data_len);
        x->lawless = x->port->outlawed = true;
        if (queue < PL_X_QUEUES)
            x->d.honest[queue] = false;
    }
    for (; x->vq && times; times--) {
        size_t n = own ? 0 : pl_legal_buffers(x->d.device_id, queue, &x->random, list);
        if (own && out)
            list[n++] = (struct pl_vq_buffer){out, false, bytes};
        if (own && in)
            list[n++] = (struct pl_vq_buffer){in, true, NULL};
        if (!n || pl_vq_chain(x->vq, queue, list, n, indirect, NULL) < 0)
            return;
    }
}

static bool running(const struct pl_exec *x)
{
    const uint32_t ok = PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER | PL_C_STATUS_FEATURES_OK |
                        PL_C_STATUS_DRIVER_OK;
    return x->d.status == ok && !x->d.asked; /* a reset that is under way ends it */
}

/* A device that is not at work need not look at what it was told of meanwhile. */
static void note_told(struct pl_exec *x, uint32_t queue)
{
    if (queue < PL_X_QUEUES && !running(x))
        x->d.honest[queue] = false;
}

/* Chains that a device at work must give back are waited for; of others nobody knows. */
static void act_await(struct pl_exec *x, uint32_t queue, uint64_t times)
{
    if (!x->vq || pl_vq_is_wild(x->vq) || queue >= PL_X_QUEUES || !x->d.honest[queue] ||
        !running(x) || !pl_legal_comes_back(x->d.device_id, queue))
        return;
    struct pl_vq_queue q;
    if (!pl_vq_look_up_queue(x->vq, queue, &q) || q.held < times || pl_session_flush(&x->s) < 0)
        return;
    if (pl_vq_kick(x->vq, queue, false) >= 0) /* a device looks when it is told to */
        pl_vq_await(x->vq, queue, times, NULL);
}

static uint64_t part_at(const struct pl_exec *x, uint64_t part, uint32_t queue)
{
    struct pl_vq_queue q;
    struct pl_vq_chain chain;
    if (part == PL_PART_MEMORY || !pl_vq_look_up_queue(x->vq, queue, &q))
        return x->port->mem_base;
    if (part == PL_PART_BUFFER)
        return !pl_vq_current(x->vq, &chain) ? x->port->mem_base
               : chain.table                 ? chain.table
               : chain.out                   ? chain.out
                                             : chain.in;
    return part == PL_PART_DESC     ? q.setup.desc_addr
           : part == PL_PART_DRIVER ? q.setup.driver_addr
                                    : q.setup.device_addr;
}

static void act_scribble(struct pl_exec *x, const struct pl_action *a, uint32_t queue)
{
    if (!x->vq || !a->data_len)
        return;
    uint64_t at = part_at(x, pl_action_number(a, PL_ARG_PART, PL_PART_DESC), queue);
    uint64_t offset = at - x->port->mem_base + pl_action_number(a, PL_ARG_PLACE, 0);
    offset %= x->port->mem_size - PL_CASE_DATA;
    pl_vq_poke(x->vq, x->port->mem_base + offset, a->data, a->data_len, false);
}

static void act_notify(struct pl_exec *x, const struct pl_action *a, uint32_t queue)
{
    struct pl_vq_queue q;
    if (!x->vq || pl_vq_is_wild(x->vq) || !pl_vq_look_up_queue(x->vq, queue, &q))
        return;
    pl_vq_notify(x->vq, queue,
                 (enum pl_ring_notify)pl_action_number(a, PL_ARG_WHEN, PL_WHEN_TOLD_NEVER),
                 (uint16_t)(pl_action_number(a, PL_ARG_AHEAD, 0) % 8));
}

static void act_kick(struct pl_exec *x, uint32_t queue, bool always)
{
    note_told(x, queue);
    if (x->vq)
        pl_vq_kick(x->vq, queue, always);
}

/* --- control --- */

static bool control(struct pl_exec *x, const char *line)
{
    bool unsupported;
    pl_session_tell(&x->s, "control %s", line);
    bool done = pl_session_control(&x->s, line, &unsupported);
    if (!done && x->s.alive)
        pl_session_tell(&x->s, "retract %u", x->s.dev_num);
    return done;
}

bool pl_x_device_delay(struct pl_exec *x, uint64_t ms)
{
    char line[64];
    if (!ms && !x->delayed)
        return true;
    if (!x->port->has_control || x->s.no_control)
        return false;
    snprintf(line, sizeof(line), "reset-delay %u %u", x->s.dev_num, (unsigned)ms);
    bool done = control(x, line);
    x->delayed |= done && ms;
    return done;
}

static void act_control(struct pl_exec *x, const struct pl_action *a)
{
    char line[64 + 2 * PL_CASE_DATA], hex[2 * PL_CASE_DATA + 1] = "";
    unsigned dev = x->s.dev_num;
    uint64_t at = pl_action_number(a, PL_ARG_START, 0);
    if (!x->port->has_control || x->s.no_control || pl_session_fence(&x->s) < 0 || x->s.stuck)
        return;
    for (size_t i = 0; i < a->data_len; i++)
        snprintf(hex + 2 * i, 3, "%02x", a->data[i]);
    if (a->op == PL_ACT_CONFIG_CHANGE && x->d.config_size && a->data_len) {
        unsigned room = x->d.config_size < a->data_len ? x->d.config_size : a->data_len;
        hex[2 * room] = '\0';
        snprintf(line, sizeof(line), "config-change %u %u %s", dev,
                 (unsigned)(at % (x->d.config_size - room + 1)), hex);
        x->reconfigured = true;
    } else if (a->op == PL_ACT_NEEDS_RESET) {
        if (!x->d.status || (x->d.status & PL_C_STATUS_DEVICE_NEEDS_RESET))
            return; /* nobody would notice, or it does already */
        snprintf(line, sizeof(line), "needs-reset %u", dev);
    } else if (a->op == PL_ACT_RESET_DELAY) {
        pl_x_device_delay(x, pl_action_number(a, PL_ARG_MS, 0) % DELAY_MAX);
        return;
    } else {
        return;
    }
    control(x, line);
}

/* Devices beyond those that are there come and go; those that fences go to stay. */
static void act_plug(struct pl_exec *x, const struct pl_action *a)
{
    char line[64], answer[256];
    uint16_t dev =
        (uint16_t)pl_action_number(a, PL_ARG_DEV, x->devices[x->n_devices - 1] + UINT64_C(1));
    for (size_t i = 0; i < x->n_devices; i++)
        if (x->devices[i] == dev)
            return;
    bool attach = a->op == PL_ACT_ATTACH;
    if (attach ? x->plugged >= 0 : x->plugged != dev)
        return;
    if (!x->port->has_control || x->s.no_control || pl_session_fence(&x->s) < 0 || x->s.stuck)
        return;
    if (pl_oracle_events_owed(x->oracle) && pl_session_await_event(&x->s) < 0)
        return;
    pl_session_tell(&x->s, "settle");
    if (attach) /* it may answer from now on */
        pl_x_tell_devices(x, dev);
    snprintf(line, sizeof(line), "%s %u", pl_ops[a->op].name, dev);
    if (x->port->ops->control(x->port, line, answer, sizeof(answer), x->limits.response) >= 0 &&
        pl_session_fence(&x->s) == 0) {
        x->plugged = attach && strcmp(answer, "ok") == 0 ? dev : -1;
        pl_x_tell_devices(x, x->plugged);
    }
}

/* --- a driver's life --- */

static void ask_queue(struct pl_exec *x, enum pl_kind kind, uint32_t queue)
{
    struct pl_msg m = new_message(x, kind, false);
    m.f[PL_F_index] = queue;
    send_legal(x, &m, false);
}

/* Queues one after the other, then DRIVER_OK; false: that is done. */
static bool live_queues(struct pl_exec *x)
{
    uint32_t n = x->d.max_queues < 2 ? x->d.max_queues : 2;
    for (uint32_t i = 0; x->vq && i < n; i++) {
        if (!x->d.has_queue[i]) {
            ask_queue(x, PL_GET_VQUEUE, i);
            x->d.has_queue[i] = true; /* asked once */
            return true;
        }
        if (!x->d.has_ring[i] && x->d.max_size[i] && !pl_vq_is_wild(x->vq)) {
            act_ring(x, i, 0, -1);
            x->d.has_ring[i] = true;
            return true;
        }
    }
    return false;
}

/* A queue is reset, looked at, and goes on with another ring. */
static void live_queue_reset(struct pl_exec *x, uint32_t queue)
{
    if (!running(x) || pl_oracle_selected(x->oracle, x->s.dev_num, PL_C_F_RING_RESET) <= 0 ||
        queue >= PL_X_QUEUES || !x->d.has_ring[queue])
        return;
    ask_queue(x, PL_RESET_VQUEUE, queue);
    ask_queue(x, PL_GET_VQUEUE, queue);
    act_ring(x, queue, 0, -1);
    x->d.has_ring[queue] = true;
}

static void live_work(struct pl_exec *x)
{
    static const struct pl_action ordinary = {.op = PL_ACT_CHAIN};
    uint32_t queue = x->d.max_queues > 1 && x->d.has_ring[1] ? (uint32_t)pl_x_draw(x, 2) : 0;
    switch (x->d.turn++ % WORK_TURNS) {
    case 0:
        act_chain(x, &ordinary, queue);
        if (x->vq)
            pl_vq_publish(x->vq, queue);
        act_kick(x, queue, false);
        act_await(x, queue, 0);
        break;
    case 1:
        ask(x, PL_GET_CONFIG);
        break;
    case 2:
        ask(x, PL_GET_DEVICE_STATUS);
        break;
    case 3:
        ask(x, PL_GET_VQUEUE);
        break;
    case 4:
        ask(x, PL_GET_SHM);
        break;
    case 5:
        live_queue_reset(x, queue);
        break;
    default:
        ask(x, PL_SET_CONFIG);
        break;
    }
}

static void live_once(struct pl_exec *x)
{
    const uint32_t both = PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER;
    uint32_t status = x->d.status;
    if (!x->d.has_info)
        ask(x, PL_GET_DEVICE_INFO);
    else if (status & (PL_C_STATUS_FAILED | PL_C_STATUS_DEVICE_NEEDS_RESET | PL_C_STATUS_SUSPEND))
        act_reset(x, true);
    else if ((status & both) == both && !(status & PL_C_STATUS_FEATURES_OK) && !x->d.has_features)
        ask(x, PL_GET_DEVICE_FEATURES);
    else if ((status & both) == both && !(status & PL_C_STATUS_FEATURES_OK) && !x->d.wrote_features)
        ask(x, PL_SET_DRIVER_FEATURES);
    else if (status & PL_C_STATUS_DRIVER_OK)
        live_work(x);
    else if (!(status & PL_C_STATUS_FEATURES_OK) || !live_queues(x))
        ask(x, PL_SET_DEVICE_STATUS);
}

static void act_life(struct pl_exec *x, uint64_t steps)
{
    enum { STEPS_MAX = 64 };
    for (uint64_t i = 0; i < steps && i < STEPS_MAX && x->s.alive && !x->s.stuck; i++)
        live_once(x);
}

/* --- all of it --- */

/* Memory that nothing was laid out in is as it was when the device was started. */
int pl_x_device_begin(struct pl_exec *x)
{
    if (x->vq)
        pl_vq_begin(x->vq, x->random);
    if (x->o.keep && x->s.numbers)
        act_reset(x, true);
    return x->s.alive ? 0 : -EPIPE;
}

void pl_x_device_learn(struct pl_exec *x)
{
    enum { STEPS = 4 }; /* GET_DEVICE_INFO, two of the status, GET_DEVICE_FEATURES */
    act_life(x, STEPS);
    act_reset(x, true);
}

static bool holds_chains(const struct pl_exec *x)
{
    struct pl_vq_queue q;
    for (uint32_t i = 0; i < PL_X_QUEUES; i++)
        if (pl_vq_look_up_queue(x->vq, i, &q) && q.held)
            return true;
    return false;
}

/*
 * Chains that a device had when it was reset are what it may write to afterwards. Where time is
 * real it is given some for that, so that it shows in this case and not in the next.
 */
static void linger(struct pl_exec *x)
{
    if (!x->vq || x->port->virtual_time || !x->s.alive || x->s.stuck)
        return;
    x->lingers = pl_vq_is_wild(x->vq) || x->lawless;
    if (x->lingers || !holds_chains(x))
        return;
    act_reset(x, true);
    if (x->s.alive && !x->s.stuck)
        pl_x_wait(x, PL_X_LINGER_MS);
}

/* What is under way comes to its end, and rings are looked at for the last time. */
static void come_to_end(struct pl_exec *x)
{
    if (x->s.alive && !x->s.stuck)
        pl_session_flush(&x->s);
    if (x->s.alive && !x->s.stuck && pl_oracle_events_owed(x->oracle))
        pl_session_await_event(&x->s);
    linger(x);
    if (x->vq)
        pl_vq_end(x->vq);
    if (x->s.alive && !x->s.stuck)
        pl_session_tell(&x->s, "settle");
}

bool pl_x_device_rest(struct pl_exec *x)
{
    come_to_end(x);
    if (!x->s.alive || x->s.stuck)
        return false;
    struct pl_x_device as_new = {0};
    x->d = as_new;
    act_reset(x, true);
    return x->s.alive && !x->s.stuck;
}

void pl_x_device_afresh(struct pl_exec *x)
{
    if (x->s.alive && !x->s.stuck)
        pl_x_device_rest(x);
    if (x->vq)
        pl_vq_begin(x->vq, x->random);
}

void pl_x_device_act(struct pl_exec *x, const struct pl_action *a)
{
    uint32_t queue = (uint32_t)(pl_action_number(a, PL_ARG_QUEUE, 0) & 0xffff);
    x->s.dev_num = pl_x_dev(x, a);
    x->touched |= UINT64_C(1) << pl_action_number(a, PL_ARG_DEV, 0) % x->n_devices;
    switch (a->op) {
    case PL_ACT_SEND:
        act_send(x, a);
        break;
    case PL_ACT_RAW:
        act_raw(x, a);
        break;
    case PL_ACT_FENCE:
        pl_session_fence(&x->s);
        break;
    case PL_ACT_LIFE:
        act_life(x, pl_action_number(a, PL_ARG_STEPS, 1));
        break;
    case PL_ACT_RESET:
        act_reset(x, pl_action_number(a, PL_ARG_WAITS, 1) != 0);
        break;
    case PL_ACT_WAIT:
        pl_x_wait(x, pl_action_number(a, PL_ARG_MS, 1));
        break;
    case PL_ACT_HOLD:
        x->hold = 1 + (unsigned)(pl_action_number(a, PL_ARG_AT_ONCE, 1) % HOLD_MAX);
        break;
    case PL_ACT_RING:
        act_ring(x, queue, pl_action_number(a, PL_ARG_ENTRIES, 0),
                 pl_action_get(a, PL_ARG_PACKED) ? pl_action_number(a, PL_ARG_PACKED, 0) != 0 : -1);
        break;
    case PL_ACT_CHAIN:
        act_chain(x, a, queue);
        break;
    case PL_ACT_PUBLISH:
        note_told(x, queue);
        if (x->vq)
            pl_vq_publish(x->vq, queue);
        break;
    case PL_ACT_KICK:
        act_kick(x, queue, pl_action_number(a, PL_ARG_ALWAYS, 0) != 0);
        break;
    case PL_ACT_NOTIFY:
        act_notify(x, a, queue);
        break;
    case PL_ACT_AWAIT:
        act_await(x, queue, pl_action_number(a, PL_ARG_TIMES, 0));
        break;
    case PL_ACT_SCRIBBLE:
        act_scribble(x, a, queue);
        break;
    case PL_ACT_ATTACH:
    case PL_ACT_DETACH:
        act_plug(x, a);
        break;
    case PL_ACT_SCENARIO:
        pl_x_device_scenario(x, a);
        break;
    default:
        act_control(x, a);
    }
}

void pl_x_device_end(struct pl_exec *x)
{
    x->s.dev_num = x->devices[0];
    come_to_end(x);
}
