/* Cases on a driver: the harness is the bus and the device at its far end, which is the reference
 * device; what becomes of its answers is the case's. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "engine/drv_watch.h"
#include "fuzz/exec_private.h"

enum {
    PUMP_MAX = 256,
    MEET_MAX = 400,  /* messages of the driver's in one action */
    CASE_MAX = 3000, /* ... and in a case */
    CONTROL_MS = 60000,
    SILENT_RESETS = 4, /* time limits of a reset in which nothing comes ahead of its answer */
    DEAF_AFTER = 2,    /* unanswered control requests */
    DELAY_MAX = 50,
    IO_MAX = 16,
};

static uint64_t now(const struct pl_exec *x)
{
    return x->port->virtual_time ? x->port->now_ms : pl_session_clock_ms() - x->began_ms;
}

/* --- towards the driver --- */

static void push(struct pl_exec *x, const uint8_t *bytes, size_t size)
{
    struct pl_msg m;
    pl_decode(x->spec, bytes, size, &m);
    if (!x->s.alive || !pl_x_carried(x, &m))
        return;
    x->untold = true;
    pl_session_push(&x->s, bytes, size);
}

/*
 * No device and no bus may do what follows: from here on the driver is only asked to live. What it
 * did up to here is judged, nothing that it owes is.
 */
void pl_x_driver_outlaw(struct pl_exec *x)
{
    if (x->unjudged)
        return;
    x->unjudged = true;
    pl_oracle_renew(x->nobody);
    pl_oracle_start(x->nobody, x->s.bus.max_msg_size, x->s.bus.features);
    x->s.oracle = x->nobody;
}

static void hold(struct pl_exec *x, const uint8_t *bytes, size_t size, uint64_t left)
{
    struct pl_x_held *held = &x->held[x->n_held];
    if (!left || x->n_held == PL_X_HELD || size > sizeof(held->bytes)) {
        push(x, bytes, size);
        return;
    }
    pl_session_tell(&x->s, "driver %u late", x->req.dev_num);
    memcpy(held->bytes, bytes, size);
    held->size = size;
    held->left = left;
    x->n_held++;
}

/* Held messages come behind so many of the driver's. */
static void count_held(struct pl_exec *x)
{
    for (unsigned i = 0; i < x->n_held;) {
        struct pl_x_held held = x->held[i];
        if (held.left > 1) {
            x->held[i++].left--;
            continue;
        }
        memmove(&x->held[i], &x->held[i + 1], (--x->n_held - i) * sizeof(held));
        push(x, held.bytes, held.size);
    }
}

static void release(struct pl_exec *x, uint64_t how)
{
    static struct pl_x_held copy[PL_X_HELD];
    unsigned n = x->n_held;
    memcpy(copy, x->held, n * sizeof(copy[0]));
    x->n_held = 0;
    if (how == PL_HOW_TWICE && n)
        pl_x_driver_outlaw(x);
    for (unsigned i = 0; i < n; i++) {
        const struct pl_x_held *held = &copy[how == PL_HOW_REVERSE ? n - 1 - i : i];
        struct pl_msg m;
        pl_decode(x->spec, held->bytes, held->size, &m);
        if (how == PL_HOW_FORGET)
            pl_session_tell(&x->s, "driver %u lost %u", m.dev_num, m.token);
        else
            push(x, held->bytes, held->size);
        if (how == PL_HOW_TWICE)
            push(x, held->bytes, held->size);
    }
}

/* --- answers --- */

static void fail_request(struct pl_exec *x, uint64_t reason)
{
    struct pl_msg m = {.kind = PL_EVENT_FAILURE};
    pl_x_legal(x, &m);
    m.f[PL_F_reason] = reason;
    ssize_t n = pl_encode(x->spec, &m, x->bytes, PL_MSG_MAX);
    if (n > 0)
        push(x, x->bytes, (size_t)n);
}

/* The rule that this answer falls under; the first one of the case's counts. */
static const struct pl_action *rule_for(struct pl_exec *x)
{
    const struct pl_action *found = NULL;
    for (unsigned i = 0; i < x->n_rules; i++) {
        struct pl_x_rule *r = &x->rule[i];
        if (r->a->kind != PL_NONE && r->a->kind != x->req.kind)
            continue;
        uint64_t nth = pl_action_number(r->a, PL_ARG_NTH, 0), at = r->met++;
        bool every = pl_action_number(r->a, PL_ARG_EVERY, 0) != 0;
        if (!found && (at == nth || (every && at > nth)))
            found = r->a;
    }
    return found;
}

/* Other contents and bends, on top of what the device answered. */
static size_t change(struct pl_exec *x, const struct pl_action *a, const struct pl_msg *answer)
{
    struct pl_msg m = *answer;
    bool bent = false;
    if (m.data) {
        memcpy(x->data, m.data, m.data_len);
        m.data = x->data;
    }
    size_t n = pl_x_build(x, a, &m, &bent);
    if (bent)
        pl_x_driver_outlaw(x);
    return n;
}

static void answer(struct pl_exec *x, const struct pl_action *a, const uint8_t *bytes, size_t size)
{
    struct pl_msg m;
    pl_decode(x->spec, bytes, size, &m);
    if (!a) {
        push(x, bytes, size);
        return;
    }
    bool scripted = x->port->one_life; /* a gateway waits for each of its answers, for ever */
    if (!scripted && pl_action_number(a, PL_ARG_LOSE, 0)) {
        pl_session_tell(&x->s, "driver %u lost %u", x->req.dev_num, x->req.token);
        return;
    }
    if (!scripted && pl_action_get(a, PL_ARG_FAIL)) {
        fail_request(x, pl_action_number(a, PL_ARG_FAIL, 0));
        return;
    }
    bool changes = a->has_data;
    for (size_t i = 0; i < a->n_set; i++)
        changes |= a->set[i].name < PL_ARG_NTH;
    if (changes) {
        size = change(x, a, &m);
        bytes = x->bytes;
        if (!size)
            return;
    }
    if (pl_action_number(a, PL_ARG_TWICE, 0)) {
        pl_x_driver_outlaw(x);
        push(x, bytes, size);
    }
    hold(x, bytes, size, pl_action_number(a, PL_ARG_LATE, 0));
}

/* --- the device at the far end --- */

static bool is_answer(const struct pl_exec *x, const struct pl_msg *m)
{
    return m->response && m->kind == x->req.kind && m->dev_num == x->req.dev_num &&
           m->token == x->req.token;
}

static void pump(struct pl_exec *x)
{
    pl_drv_watch_before(&x->s);
    pl_device_endpoint.advance(x->far, now(x));
    for (int i = 0; i < PUMP_MAX && x->s.alive; i++) {
        int n = pl_device_endpoint.poll(x->far, x->far_bytes, PL_MSG_MAX + 1);
        if (n <= 0)
            break;
        push(x, x->far_bytes, (size_t)n);
    }
    pl_drv_watch_look(&x->s);
}

/* What the device says to the message at hand. */
static void relay(struct pl_exec *x)
{
    bool answered = false;
    for (int i = 0; i < PUMP_MAX && x->s.alive; i++) {
        struct pl_msg m;
        int n = pl_device_endpoint.poll(x->far, x->far_bytes, PL_MSG_MAX + 1);
        if (n <= 0)
            return;
        pl_decode(x->spec, x->far_bytes, (size_t)n, &m);
        if (!answered && is_answer(x, &m)) {
            answered = true;
            answer(x, rule_for(x), x->far_bytes, (size_t)n);
        } else {
            push(x, x->far_bytes, (size_t)n);
        }
    }
}

/* The message that was received last: the device works on it. */
static void handle(struct pl_exec *x)
{
    const struct pl_record *r = pl_session_last(&x->s);
    memcpy(x->req_bytes, r->bytes, r->entry.size);
    pl_decode(x->spec, x->req_bytes, r->entry.size, &x->req);
    if (x->req.form == PL_FORM_RUNT)
        return;
    x->met++;
    if (x->port->one_life)
        pl_x_script_learn(x, &x->req);
    count_held(x);
    pl_device_endpoint.advance(x->far, now(x));
    pl_device_endpoint.deliver(x->far, x->req_bytes, x->req.size);
    relay(x);
    pump(x);
}

/* The driver has nothing to say: linked in, it has dealt with all that it was sent. */
static void calm(struct pl_exec *x)
{
    pump(x);
    if (x->port->virtual_time && x->untold && x->s.alive) {
        x->untold = false;
        pl_session_tell(&x->s, "driver %u seen", x->s.dev_num);
    }
}

static int until_device(const struct pl_exec *x, int most)
{
    uint64_t next = pl_device_endpoint.next_ms(x->far), at = now(x);
    if (!x->port->virtual_time || next >= at + (uint64_t)most)
        return most;
    return next <= at ? 0 : (int)(next - at);
}

int pl_x_driver_step(struct pl_exec *x, int timeout_ms)
{
    pump(x);
    if (!x->s.alive)
        return -EPIPE;
    int r = pl_session_receive(&x->s, until_device(x, timeout_ms));
    if (r > 0) {
        x->heard_ms = pl_session_clock_ms();
        handle(x);
    } else if (r == 0) {
        calm(x);
    }
    return r < 0 || x->s.alive ? r : -EPIPE;
}

void pl_x_driver_release(struct pl_exec *x)
{
    release(x, PL_HOW_ORDER);
}

/* --- control of the driver --- */

/* So many of the driver's messages, or until it has nothing to say. */
static void listen(struct pl_exec *x, uint64_t times, int ms)
{
    if (x->port->one_life) {
        pl_x_script_listen(x, times);
        return;
    }
    for (uint64_t i = 0; i < times && i < MEET_MAX && x->met < CASE_MAX; i++)
        if (pl_x_driver_step(x, ms) <= 0)
            break;
}

/* A driver that takes no notice of control lives by itself. */
static bool is_deaf(const struct pl_exec *x)
{
    return x->habits.no_control || x->deaf >= DEAF_AFTER;
}

/* So long a silence says that the answer to a control request will not come. */
static uint64_t control_silence(const struct pl_exec *x)
{
    return (uint64_t)(x->deaf ? x->s.timeouts.response : SILENT_RESETS * x->s.timeouts.reset);
}

/* Called while a control request waits for its answer. */
static int meanwhile(void *opaque)
{
    struct pl_exec *x = opaque;
    int most = 1000;
    while (x->s.alive && x->budget && x->met < CASE_MAX) {
        if (pl_x_driver_step(x, 0) <= 0)
            break;
        x->budget--;
    }
    if (!x->s.alive)
        return -1;
    if (!x->budget || x->met >= CASE_MAX)
        return PL_MEANWHILE_STOP;
    if (x->n_held)
        release(x, PL_HOW_ORDER); /* it may wait for what is held back */
    if (!x->port->virtual_time) {
        uint64_t silent = pl_session_clock_ms() - x->heard_ms, limit = control_silence(x);
        if (silent >= limit)
            return PL_MEANWHILE_STOP;
        most = limit - silent < 1000 ? (int)(limit - silent) : most;
    }
    return until_device(x, most);
}

static void ask_driver(struct pl_exec *x, const char *word, const char *rest)
{
    char line[64 + 2 * PL_CASE_DATA], text[256] = "";
    unsigned dev = x->s.dev_num;
    if (!x->port->has_control || x->s.no_control)
        return;
    if (is_deaf(x)) {
        listen(x, MEET_MAX, x->s.timeouts.response);
        return;
    }
    x->heard_ms = pl_session_clock_ms();
    snprintf(line, sizeof(line), "%s %u%s", word, dev, rest);
    pl_session_tell(&x->s, "driver %u asked %s%s", dev, word, rest);
    x->port->meanwhile = meanwhile;
    x->port->meanwhile_opaque = x;
    x->budget = MEET_MAX;
    int err = x->port->ops->control(x->port, line, text, sizeof(text), CONTROL_MS);
    x->port->meanwhile = NULL;
    x->budget = MEET_MAX;
    meanwhile(x);
    if (x->s.alive && !x->port->virtual_time)
        x->deaf = err < 0 && x->budget ? x->deaf + 1 : 0;
    if (!x->s.alive || err == -ENOTSUP || strcmp(text, "unsupported") == 0)
        return;
    if (err < 0 && x->budget)
        pl_session_tell(&x->s, "driver %u patience", dev);
    else if (err < 0)
        pl_x_driver_outlaw(x); /* it was not given the time that it takes */
    else
        pl_session_tell(&x->s, "driver %u %s %s", dev, strcmp(text, "ok") == 0 ? "done" : "refused",
                        word);
}

static void act_driver(struct pl_exec *x, const struct pl_action *a)
{
    char rest[32 + 2 * PL_CASE_DATA] = "";
    uint64_t at = pl_action_number(a, PL_ARG_START, 0);
    if (x->port->one_life) {
        pl_x_script_ask(x, a);
        return;
    }
    if (a->op == PL_ACT_IO) {
        snprintf(rest, sizeof(rest), " %u",
                 1 + (unsigned)(pl_action_number(a, PL_ARG_TIMES, 0) % IO_MAX));
    } else if (a->op == PL_ACT_QUEUE_RESET) {
        snprintf(rest, sizeof(rest), " %u",
                 (unsigned)(pl_action_number(a, PL_ARG_QUEUE, 0) % PL_X_QUEUES));
    } else if (a->op == PL_ACT_CONFIG_WRITE) {
        if (!a->data_len || !x->d.config_size || a->data_len > x->d.config_size)
            return;
        int n = snprintf(rest, sizeof(rest), " %u ",
                         (unsigned)(at % (x->d.config_size - a->data_len + 1)));
        for (size_t i = 0; i < a->data_len; i++)
            n += snprintf(rest + n, sizeof(rest) - (size_t)n, "%02x", a->data[i]);
    }
    ask_driver(x, pl_ops[a->op].name, rest);
}

/* --- the device does something by itself --- */

static void act_far(struct pl_exec *x, const struct pl_action *a)
{
    char line[64 + 2 * PL_CASE_DATA], text[256];
    unsigned dev = x->s.dev_num;
    int n = 0;
    if (a->op == PL_ACT_CONFIG_CHANGE) {
        if (!a->data_len || !x->d.config_size)
            return;
        unsigned room = x->d.config_size < a->data_len ? x->d.config_size : a->data_len;
        uint64_t at = pl_action_number(a, PL_ARG_START, 0) % (x->d.config_size - room + 1);
        n = snprintf(line, sizeof(line), "config-change %u %u ", dev, (unsigned)at);
        for (unsigned i = 0; i < room; i++)
            n += snprintf(line + n, sizeof(line) - (size_t)n, "%02x", a->data[i]);
    } else if (a->op == PL_ACT_NEEDS_RESET) {
        snprintf(line, sizeof(line), "needs-reset %u", dev);
    } else {
        snprintf(line, sizeof(line), "reset-delay %u %u", dev,
                 (unsigned)(pl_action_number(a, PL_ARG_MS, 0) % DELAY_MAX));
    }
    pl_drv_watch_before(&x->s);
    pl_device_endpoint.control(x->far, line, text, sizeof(text));
    pump(x);
}

static void act_send(struct pl_exec *x, const struct pl_action *a)
{
    const struct pl_message_def *def = pl_spec_message(x->spec, (enum pl_kind)a->kind);
    struct pl_msg m = {.kind = (enum pl_kind)a->kind, .response = a->response};
    bool bent;
    if (!def)
        return;
    m.dev_num = def->bus ? 0 : x->s.dev_num;
    m.token = a->response ? x->req.token : 0;
    pl_x_legal(x, &m);
    size_t n = pl_x_build(x, a, &m, &bent);
    /* An EVENT_CONFIG of nothing is all that a device may say at any time. */
    if (bent || m.kind != PL_EVENT_CONFIG)
        pl_x_driver_outlaw(x);
    if (n)
        push(x, x->bytes, n);
    pump(x);
}

static void act_scribble(struct pl_exec *x, const struct pl_action *a)
{
    if (!x->port->mem || !a->data_len)
        return;
    pl_x_driver_outlaw(x);
    if (x->port->one_life) {
        pl_x_script_scribble(x, a);
        return;
    }
    uint64_t at = pl_action_number(a, PL_ARG_PLACE, 0) % (x->port->mem_size - PL_CASE_DATA);
    memcpy((uint8_t *)x->port->mem + at, a->data, a->data_len);
}

/* --- all of it --- */

/* What a guest has a driver for is what its front-end was started with. */
static const char *far_type(const struct pl_exec *x)
{
    return x->port->one_life ? "block"
           : x->mutant_type  ? x->mutant_type
                             : pl_case_types[x->c->type];
}

int pl_x_driver_begin(struct pl_exec *x)
{
    const struct pl_endpoint_env env = pl_port_env(x->port, &x->s.bus);
    x->n_rules = x->n_held = 0;
    x->met = x->budget = 0;
    x->began_ms = pl_session_clock_ms();
    x->script_began = x->script_silent = false;
    memset(x->guest_ring, 0, sizeof(x->guest_ring));
    x->untold = x->lived = false;
    memset(&x->req, 0, sizeof(x->req));
    pl_x_driver_free(x); /* it knows the watch of the case before */
    if (pl_drv_watch_attach(&x->s) < 0)
        return -ENOMEM;
    x->far_config = (struct pl_device_config){.spec = x->spec->name,
                                              .type = far_type(x),
                                              .options = x->far_options,
                                              .seed = x->c->seed,
                                              .watch = pl_drv_watch_device(&x->s)};
    x->far = pl_device_endpoint.open(&x->far_config, &env);
    if (!x->far)
        snprintf(x->out->why, sizeof(x->out->why), "the device cannot be opened that way");
    return x->far ? 0 : -EINVAL;
}

void pl_x_driver_free(struct pl_exec *x)
{
    if (x->far)
        pl_device_endpoint.close(x->far);
    x->far = NULL;
}

void pl_x_driver_act(struct pl_exec *x, const struct pl_action *a)
{
    uint64_t ms = pl_action_number(a, PL_ARG_MS, 1);
    switch (a->op) {
    case PL_ACT_SEND:
        act_send(x, a);
        break;
    case PL_ACT_RAW:
        pl_x_driver_outlaw(x);
        if (a->data_len)
            push(x, a->data, a->data_len);
        break;
    case PL_ACT_WAIT:
        if (x->port->one_life)
            pl_x_script_wait(x, ms < 1000 ? ms : 1000);
        else
            listen(x, MEET_MAX, (int)(ms < 1000 ? ms : 1000));
        break;
    case PL_ACT_LISTEN:
        listen(x, pl_action_number(a, PL_ARG_TIMES, MEET_MAX), 0);
        break;
    case PL_ACT_RELEASE:
        release(x, pl_action_number(a, PL_ARG_HOW, PL_HOW_ORDER));
        break;
    case PL_ACT_SCRIBBLE:
        act_scribble(x, a);
        break;
    case PL_ACT_ANSWER:
        if (x->n_rules < PL_X_RULES)
            x->rule[x->n_rules++] = (struct pl_x_rule){a, 0};
        break;
    case PL_ACT_SCENARIO:
        pl_x_driver_scenario(x, a);
        break;
    case PL_ACT_CONFIG_CHANGE:
    case PL_ACT_NEEDS_RESET:
    case PL_ACT_RESET_DELAY:
        act_far(x, a);
        break;
    default:
        act_driver(x, a);
    }
}

void pl_x_driver_end(struct pl_exec *x)
{
    bool scripted = x->port->one_life;
    if (x->lived)
        return;
    release(x, PL_HOW_ORDER);
    if (scripted)
        pl_x_script_end(x);
    else
        listen(x, MEET_MAX, 0);
    for (int i = 0; i < MEET_MAX && x->s.alive && !scripted && pl_oracle_owed(x->s.oracle); i++)
        if (pl_x_driver_step(x, pl_session_patience(&x->s, 1)) <= 0)
            break;
    /* What a scripted driver owes is known once its life is over: how long it takes is the guest's.
     */
    bool all = scripted ? !x->s.alive : x->met < CASE_MAX;
    if (x->s.alive && all && pl_oracle_owed(x->s.oracle))
        pl_session_tell(&x->s, "driver %u rest", x->s.dev_num);
    if (!x->s.alive)
        pl_session_tell(&x->s, "driver %u ended", x->s.dev_num);
    if (all)
        pl_session_tell(&x->s, "settle");
}
