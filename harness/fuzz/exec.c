/* The executor's life, and what one case comes to: findings and feedback. */
#include "fuzz/exec.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "engine/bus_run.h"
#include "fuzz/exec_private.h"
#include "fuzz/wrong_peer.h"
#include "wire/random.h"

/* --- feedback --- */

static void see(struct pl_exec *x, unsigned what)
{
    uint64_t bit = UINT64_C(1) << (what % 64);
    if (what >= PL_FEEDBACK_MAX || x->map[what / 64] & bit)
        return;
    x->map[what / 64] |= bit;
    x->seen[x->n_seen++] = (uint16_t)what;
}

static void forget_seen(struct pl_exec *x)
{
    for (size_t i = 0; i < x->n_seen; i++)
        x->map[x->seen[i] / 64] = 0;
    x->n_seen = 0;
}

/* The bits of the status that tell states apart, packed. */
static const struct {
    uint32_t bits;
    const char *name;
} state_bits[] = {{PL_C_STATUS_ACKNOWLEDGE, "ACKNOWLEDGE"},
                  {PL_C_STATUS_DRIVER, "DRIVER"},
                  {PL_C_STATUS_FEATURES_OK, "FEATURES_OK"},
                  {PL_C_STATUS_DRIVER_OK, "DRIVER_OK"},
                  {PL_C_STATUS_DEVICE_NEEDS_RESET | PL_C_STATUS_FAILED | PL_C_STATUS_SUSPEND,
                   "NEEDS_RESET/FAILED/SUSPEND"}};
enum { STATE_BITS = sizeof(state_bits) / sizeof(state_bits[0]) };

static unsigned pack_state(uint32_t status)
{
    unsigned state = 0;
    for (unsigned i = 0; i < STATE_BITS; i++)
        state |= (status & state_bits[i].bits ? 1u : 0u) << i;
    return state;
}

static void state_text(unsigned state, char *out, size_t cap)
{
    size_t n = 0;
    snprintf(out, cap, "reset");
    for (unsigned i = 0; i < STATE_BITS && n < cap; i++)
        if (state >> i & 1)
            n += (size_t)snprintf(out + n, cap - n, "%s%s", n ? "|" : "", state_bits[i].name);
}

/* What a message came to, in four bits: of the direction, of its form, of its contents. */
static unsigned outcome_of(const struct pl_exec *x, const struct pl_msg *m, bool to_iut)
{
    const struct pl_layout *layout = pl_msg_layout(m);
    unsigned outcome = to_iut ? 8 : 0;
    if (m->form != PL_FORM_OK)
        return outcome | 1;
    outcome |= m->data_len ? 2 : 0;
    for (size_t i = 0; layout && i < layout->n_fields; i++)
        if (m->f[layout->fields[i].field])
            outcome |= 4;
    if (!to_iut && m->kind == PL_SET_DEVICE_STATUS && (uint32_t)m->f[PL_F_status] == x->d.status)
        outcome |= 1;
    return outcome;
}

static void see_message(struct pl_exec *x, const struct pl_msg *m, bool to_iut)
{
    unsigned state = pack_state(x->d.status);
    unsigned at = (state * PL_KIND_COUNT + m->kind) * PL_X_OUTCOMES + outcome_of(x, m, to_iut);
    see(x, (unsigned)(2 * x->n_clauses) + at);
}

/* What a gateway makes up is not judged: which clauses are the IUT's own is known once it runs. */
static bool is_shown(struct pl_exec *x, size_t clause)
{
    const char *const *list = x->port->observable;
    if (!list)
        return true;
    for (size_t i = 0; list != x->shown_by && i < x->n_clauses; i++)
        x->shown[i] = pl_port_shows(x->port, pl_clauses_get(x->clauses, i)->id);
    x->shown_by = list;
    return x->shown[clause];
}

static void see_clauses(struct pl_exec *x)
{
    const uint16_t *met;
    size_t n = pl_oracle_met(x->oracle, &met);
    for (size_t i = 0; i < n; i++) {
        if (!is_shown(x, met[i]))
            continue;
        see(x, 2u * met[i]);
        if (pl_oracle_clause(x->oracle, met[i])->failed)
            see(x, 2u * met[i] + 1);
    }
}

int pl_feedback_clause(const struct pl_spec *spec, unsigned seen, bool *broken)
{
    *broken = seen & 1;
    return seen / 2 < pl_clauses_count(pl_clauses_find(spec)) ? (int)(seen / 2) : -1;
}

void pl_feedback_text(const struct pl_spec *spec, unsigned seen, char *out, size_t cap)
{
    const struct pl_clauses *clauses = pl_clauses_find(spec);
    bool broken;
    int clause = pl_feedback_clause(spec, seen, &broken);
    char state[96];
    if (clause >= 0) {
        snprintf(out, cap, "%s %s", pl_clauses_get(clauses, (size_t)clause)->id,
                 broken ? "broken" : "exercised");
        return;
    }
    seen -= (unsigned)(2 * pl_clauses_count(clauses));
    state_text(seen / PL_X_OUTCOMES / PL_KIND_COUNT, state, sizeof(state));
    unsigned kind = seen / PL_X_OUTCOMES % PL_KIND_COUNT, outcome = seen % PL_X_OUTCOMES;
    snprintf(out, cap, "%s %s %s %u", state, kind ? pl_kind_names[kind] : "unknown",
             outcome & 8 ? "sent" : "received", outcome & 7);
}

/* --- findings --- */

static void add_finding(struct pl_exec *x, enum pl_finding_kind kind, int clause, const char *text)
{
    struct pl_exec_result *out = x->out;
    char state[PL_EXEC_STATE];
    /* What shows in memory, or by time going by, is of no message: when it is looked at differs. */
    enum pl_kind message = x->s.telling ? PL_NONE : x->last_kind;
    if (!out)
        return;
    state_text(pack_state(x->d.status), state, sizeof(state));
    for (unsigned i = 0; i < out->n_findings; i++) {
        const struct pl_exec_finding *f = &out->finding[i];
        if (f->kind == kind && f->clause == clause && f->message == message &&
            strcmp(f->state, state) == 0)
            return;
    }
    if (out->n_findings == PL_EXEC_FINDINGS)
        return;
    struct pl_exec_finding *f = &out->finding[out->n_findings++];
    *f = (struct pl_exec_finding){.kind = kind,
                                  .clause = clause,
                                  .message = message,
                                  .action = x->action,
                                  .number = x->s.numbers - x->numbers};
    memcpy(f->state, state, sizeof(state));
    snprintf(f->text, sizeof(f->text), "%s", text);
}

static void clause_failed(void *opaque, size_t clause, const char *text)
{
    struct pl_exec *x = opaque;
    if (is_shown(x, clause) && (!x->should[clause] || x->o.warnings))
        add_finding(x, PL_FINDING_CLAUSE, (int)clause, text);
}

/*
 * A driver ends by itself when it is done or gives up, and only by its exit status is it known to
 * have gone wrong. What a front-end makes of answers that no device gives is between it and the
 * gateway.
 */
static bool is_its_end(const struct pl_exec *x, enum pl_finding_kind kind)
{
    const struct pl_end *end = &x->s.end;
    if (x->o.role == PL_IUT_DRIVER && kind == PL_FINDING_EXIT)
        return end->how != PL_END_EXITED || end->code == 0;
    return x->port->one_life &&
           (kind == PL_FINDING_HANG ||
            (kind == PL_FINDING_PROTOCOL && (x->unjudged || x->n_rules || x->c->n_far)));
}

static void iut_failed(void *opaque, enum pl_finding_kind kind, const char *text)
{
    struct pl_exec *x = opaque;
    if (!is_its_end(x, kind))
        add_finding(x, kind, -1, text);
}

/* --- what goes by --- */

static void learn_config(struct pl_x_device *d, const struct pl_msg *m)
{
    uint64_t at = m->f[PL_F_offset];
    d->generation = (uint32_t)m->f[PL_F_generation];
    for (uint32_t i = 0; m->data && i < m->data_len && at + i < PL_X_CONFIG; i++)
        d->config[at + i] = m->data[i];
}

static void learn_features(struct pl_x_device *d, const struct pl_msg *m)
{
    uint64_t block = m->f[PL_F_block_index];
    d->has_features = true;
    for (uint32_t i = 0; m->data && i < m->data_len && block + i / 4 < PL_X_BLOCKS; i++) {
        unsigned shift = 8 * (i % 4);
        uint32_t *at = &d->offered[block + i / 4];
        *at = (*at & ~(UINT32_C(0xff) << shift)) | (uint32_t)m->data[i] << shift;
    }
}

static void learn_status(struct pl_exec *x, uint32_t status)
{
    struct pl_x_device *d = &x->d;
    if (!status && d->asked) {
        d->asked = d->open;
        d->wrote_features = x->lawless = false;
        memcpy(d->set_queue, d->set_later, sizeof(d->set_queue));
        memset(d->has_ring, 0, sizeof(d->has_ring));
        memset(d->honest, 0, sizeof(d->honest));
    }
    d->status = status;
}

static void learn(struct pl_exec *x, const struct pl_msg *m)
{
    struct pl_x_device *d = &x->d;
    switch (m->kind) {
    case PL_GET_DEVICE_INFO:
        d->has_info = true;
        d->device_id = (uint32_t)m->f[PL_F_device_id];
        d->config_size = (uint32_t)m->f[PL_F_config_size];
        d->max_queues = (uint32_t)m->f[PL_F_max_virtqueues];
        break;
    case PL_GET_DEVICE_FEATURES:
        learn_features(d, m);
        break;
    case PL_SET_DRIVER_FEATURES:
        d->wrote_features = true;
        break;
    case PL_SET_DEVICE_STATUS:
        d->open &= m->token != d->reset_token;
        learn_status(x, (uint32_t)m->f[PL_F_status]);
        break;
    case PL_GET_DEVICE_STATUS:
        learn_status(x, (uint32_t)m->f[PL_F_status]);
        break;
    case PL_GET_CONFIG:
    case PL_SET_CONFIG:
        learn_config(d, m);
        break;
    case PL_EVENT_CONFIG:
        d->generation = (uint32_t)m->f[PL_F_generation];
        d->status = (uint32_t)m->f[PL_F_device_status];
        break;
    case PL_GET_VQUEUE:
        if (m->f[PL_F_index] < PL_X_QUEUES) {
            d->has_queue[m->f[PL_F_index]] = true;
            d->max_size[m->f[PL_F_index]] = (uint32_t)m->f[PL_F_max_size];
        }
        break;
    default:
        break;
    }
}

static void judged(void *opaque, const struct pl_msg *m, bool to_iut)
{
    struct pl_exec *x = opaque;
    bool from_device = x->o.role == PL_IUT_DRIVER ? to_iut : !to_iut;
    x->last_kind = m->form == PL_FORM_RUNT ? PL_NONE : m->kind;
    if (m->form == PL_FORM_RUNT)
        return;
    see_message(x, m, to_iut);
    if (to_iut && m->kind == PL_SET_VQUEUE && m->f[PL_F_index] < PL_X_QUEUES)
        x->d.set_queue[m->f[PL_F_index]] = x->d.set_later[m->f[PL_F_index]] = true;
    if (to_iut && m->kind == PL_SET_DEVICE_STATUS && m->form == PL_FORM_OK && !m->response &&
        !m->f[PL_F_status] && m->dev_num == x->s.dev_num) {
        x->d.asked = x->d.open = true;
        x->d.reset_token = m->token;
        memset(x->d.set_later, 0, sizeof(x->d.set_later));
    }
    if (m->form == PL_FORM_OK && from_device && m->dev_num == x->s.dev_num &&
        (m->response || m->event))
        learn(x, m);
    /* A gateway forgives what its back-end does with these, and is to go on with that until the
     * device was reset: DRIVER_OK may follow them as well. */
    if (x->lawless || (x->vq && pl_vq_is_wild(x->vq)))
        x->port->outlawed = true;
}

static void recorded(void *opaque, const struct pl_trace_entry *entry)
{
    struct pl_exec *x = opaque;
    x->o.message(x->o.opaque, entry);
}

static void noted(void *opaque, const char *line)
{
    struct pl_exec *x = opaque;
    x->o.note(x->o.opaque, line);
}

/* --- small things of all roles --- */

uint64_t pl_x_draw(struct pl_exec *x, uint64_t below)
{
    return pl_random(&x->random) % below;
}

uint16_t pl_x_dev(const struct pl_exec *x, const struct pl_action *a)
{
    return x->devices[pl_action_number(a, PL_ARG_DEV, 0) % x->n_devices];
}

bool pl_x_carried(const struct pl_exec *x, const struct pl_msg *m)
{
    if (x->port->carrier_max && m->size > x->port->carrier_max)
        return false;
    return !x->port->stream ||
           (m->form != PL_FORM_RUNT && m->msg_size == m->size && m->size <= x->s.bus.max_msg_size);
}

void pl_x_tell_devices(struct pl_exec *x, int more)
{
    uint16_t list[PL_EXEC_DEVICES + 1];
    size_t n = x->n_devices < PL_EXEC_DEVICES ? x->n_devices : 0; /* else there may be others */
    memcpy(list, x->devices, n * sizeof(*list));
    if (n && more >= 0)
        list[n++] = (uint16_t)more;
    pl_session_tell_devices(&x->s, list, n);
    x->devices_told = more < 0;
}

bool pl_x_wait(struct pl_exec *x, uint64_t ms)
{
    enum { WAIT_MAX = 100, MESSAGES_MAX = 4096 };
    int left = ms < WAIT_MAX ? (int)ms : WAIT_MAX;
    uint64_t vain = x->s.vain; /* nothing need come */
    uint64_t until = x->port->now_ms + (uint64_t)left;
    for (int i = 0; i < MESSAGES_MAX && x->s.alive; i++) {
        if (x->port->virtual_time)
            left = x->port->now_ms < until ? (int)(until - x->port->now_ms) : 0;
        if (pl_session_receive(&x->s, left) <= 0) {
            x->s.vain = vain;
            return i > 0;
        }
    }
    return true;
}

/* --- one case --- */

static bool same_bus(const struct pl_bus_params *a, const struct pl_bus_params *b)
{
    return a->revision == b->revision && a->max_msg_size == b->max_msg_size &&
           a->features == b->features;
}

static void add_option(struct pl_exec *x, bool far, size_t *n, const char *name, uint64_t value)
{
    const char **list = far ? x->far_options : x->options;
    char *text = x->option_text[*n + (far ? PL_X_OPTIONS : 0)];
    if (*n + 1 >= PL_X_OPTIONS)
        return;
    snprintf(text, sizeof(x->option_text[0]), "%s=%llu", name, (unsigned long long)value);
    list[(*n)++] = text;
}

/* The options that the mutant needs, then the case's. */
static void set_options(struct pl_exec *x)
{
    const struct pl_case *c = x->c;
    size_t n = 0, far = 0, known;
    for (size_t i = 0; x->mutant_options && x->mutant_options[i]; i++)
        if (n + 1 < PL_X_OPTIONS && strncmp(x->mutant_options[i], "type=", 5) != 0)
            x->options[n++] = x->mutant_options[i];
    const struct pl_device_option *list = pl_case_options(c->spec, c->role, false, &known);
    for (size_t i = 0; i < c->n_options; i++)
        add_option(x, false, &n, list[c->option[i].index].name, c->option[i].value);
    list = pl_case_options(c->spec, c->role, true, &known);
    for (size_t i = 0; i < c->n_far; i++)
        add_option(x, true, &far, list[c->far[i].index].name, c->far[i].value);
    if (c->role == PL_IUT_DRIVER && !c->n_options && n + 1 < PL_X_OPTIONS)
        x->options[n++] = "wait=1";
    x->options[n] = NULL;
    x->far_options[far] = NULL;
}

/* Of the reference device its options decide on numbers. */
static uint64_t option_number(const struct pl_exec *x, const char *name, uint64_t otherwise)
{
    size_t n = strlen(name);
    uint64_t v = otherwise;
    for (size_t i = 0; x->options[i]; i++)
        if (strncmp(x->options[i], name, n) == 0 && x->options[i][n] == '=')
            v = strtoull(x->options[i] + n + 1, NULL, 0);
    return v;
}

/* Numbers of devices: as told, or those of the reference peer; buses have two. */
static void set_devices(struct pl_exec *x)
{
    static const uint16_t one[] = {0}, bus[] = {2, 5};
    const uint16_t *list = x->o.role == PL_IUT_BUS ? bus : one;
    size_t n = x->o.role == PL_IUT_BUS ? 2 : 1;
    if (x->o.n_devices) {
        list = x->o.devices;
        n = x->o.n_devices < PL_EXEC_DEVICES ? x->o.n_devices : PL_EXEC_DEVICES;
    }
    memcpy(x->devices, list, n * sizeof(*list));
    x->n_devices = n;
    if (x->o.role != PL_IUT_DEVICE || !x->reference || x->o.n_devices)
        return;
    uint64_t step = option_number(x, "number_step", 1);
    x->n_devices = option_number(x, "devices", 1);
    if (!x->n_devices || x->n_devices > PL_EXEC_DEVICES)
        x->n_devices = 1;
    for (size_t i = 0; i < x->n_devices; i++)
        x->devices[i] = (uint16_t)(option_number(x, "number_first", 0) + i * step);
}

static void configure(struct pl_exec *x)
{
    const char *type = x->mutant_type ? x->mutant_type : pl_case_types[x->c->type];
    set_options(x);
    if (!x->n_devices || x->c->n_options || x->had_options) {
        set_devices(x);
        x->devices_told = false;
        x->had_options = x->c->n_options > 0;
    }
    if (!x->reference)
        return;
    if (x->o.role == PL_IUT_DEVICE)
        x->config.device = (struct pl_device_config){.spec = x->spec->name,
                                                     .type = type,
                                                     .mutant = x->o.mutant,
                                                     .options = x->options,
                                                     .seed = x->c->seed};
    else if (x->o.role == PL_IUT_DRIVER)
        x->config.driver = (struct pl_driver_config){.spec = x->spec->name,
                                                     .type = x->mutant_type,
                                                     .mutant = x->o.mutant,
                                                     .options = x->options,
                                                     .seed = x->c->seed};
    else
        x->config.bus = (struct pl_bus_config){
            .spec = x->spec->name, .mutant = x->o.mutant, .options = x->options};
}

static void order(struct pl_exec *x, const char *word, int dev, const char *rest)
{
    char line[64], answer[256];
    snprintf(line, sizeof(line), "%s %d%s", word, dev, rest);
    if (x->port->has_control && !x->s.no_control)
        x->port->ops->control(x->port, line, answer, sizeof(answer), x->limits.response);
}

/* What a case had the device do goes back: it attached one, resets take long, it is at work. */
static bool undo(struct pl_exec *x)
{
    bool done = true;
    x->s.dev_num = x->devices[0];
    if (x->plugged >= 0)
        order(x, "detach", x->plugged, "");
    x->plugged = -1;
    for (size_t i = x->n_devices; i-- > 0 && done;) {
        struct pl_msg m = {.kind = PL_SET_DEVICE_STATUS, .dev_num = x->devices[i]};
        if (i && !(x->touched >> i & 1))
            continue;
        x->s.dev_num = x->devices[i];
        order(x, "reset-delay", x->devices[i], " 0");
        done = pl_session_ask(&x->s, &m) >= 0 && pl_session_await_reset(&x->s) >= 0;
    }
    x->delayed = false;
    x->touched = 0;
    return done;
}

/* What goes by from here on is no part of any case: nobody judges it. */
static void unjudged(struct pl_exec *x)
{
    x->out = NULL;
    pl_oracle_renew(x->nobody);
    pl_oracle_start(x->nobody, x->s.bus.max_msg_size, x->s.bus.features);
    x->s.oracle = x->nobody;
}

/* What the IUT still says to the case before, which nobody judges any more, is no part of this one.
 */
static bool drain(struct pl_exec *x)
{
    struct pl_exec_result *out = x->out;
    unjudged(x);
    pl_oracle_devices(x->nobody, x->devices, x->n_devices); /* else it waits for none of them */
    bool there = pl_session_flush(&x->s) >= 0 && undo(x) && pl_session_fence(&x->s) >= 0;
    if (there && x->lingers) {
        uint64_t ms = x->quiet < PL_X_QUIET_AFTER ? PL_X_LINGER_MS : PL_X_QUIET_MS;
        x->quiet = pl_x_wait(x, ms) ? 0 : x->quiet + 1;
    }
    x->lingers = false;
    x->s.oracle = x->oracle;
    x->out = out;
    forget_seen(x);
    return there && x->s.alive && !x->s.stuck;
}

/* Whoever reads the record is to judge as little as this does. */
static void note_shown(struct pl_exec *x)
{
    char line[PL_NOTE_MAX];
    const char *const *id = x->port->observable;
    if (!id || !x->s.events.note)
        return;
    size_t n = (size_t)snprintf(line, sizeof(line), "observable");
    for (; *id && n + strlen(*id) + 2 < sizeof(line); id++)
        n += (size_t)snprintf(line + n, sizeof(line) - n, " %s", *id);
    noted(x, line);
}

/* Scenarios run on a device whose configuration is as it began: another case may have changed it.
 */
static bool as_it_began(const struct pl_exec *x)
{
    for (size_t i = 0; x->reconfigured && i < x->c->n; i++)
        if (x->c->action[i].op == PL_ACT_SCENARIO)
            return false;
    return true;
}

/* A device under test whose devices nobody named says itself which there are, once and ahead of the
 * first case. One that ends of it is started anew, and has device 0. */
static int learn_devices(struct pl_exec *x, const struct pl_bus_params *bus)
{
    struct pl_exec_result *out = x->out;
    const struct pl_session_events events = x->s.events;
    if (x->o.role != PL_IUT_DEVICE || !x->o.port || x->o.n_devices || x->discovered)
        return 0;
    x->discovered = true;
    x->s.events = (struct pl_session_events){.opaque = x};
    unjudged(x);
    int err = pl_session_discover(&x->s, x->devices, PL_EXEC_DEVICES, &x->n_devices);
    if (!err) { /* an answer that nobody waited for is none to the case */
        x->s.dev_num = x->devices[0];
        err = pl_session_fence(&x->s);
    }
    x->s.oracle = x->oracle;
    x->s.events = events;
    x->out = out;
    forget_seen(x);
    memset(&x->d, 0, sizeof(x->d));
    x->numbers = x->s.numbers;
    x->devices_told = false;
    if (!x->n_devices)
        set_devices(x);
    x->s.dev_num = x->devices[0];
    return err == -EPIPE ? pl_session_start(&x->s, bus) : 0;
}

static int start(struct pl_exec *x)
{
    struct pl_bus_params bus = {x->spec->revision, x->c->max_msg_size, x->c->features};
    if (x->port->one_life) /* a gateway needs room for what vhost-user carries */
        bus = (struct pl_bus_params){x->spec->revision, x->spec->recommended_max_msg_size, 0};
    if (x->o.bus && !x->port->one_life)
        bus = *x->o.bus;
    bool goes_on = x->o.keep && x->started && x->s.alive && !x->s.stuck &&
                   same_bus(&bus, &x->s.bus) && as_it_began(x) && drain(x);
    uint16_t token = x->s.next_token;
    pl_session_renew(&x->s);
    if (!x->port->virtual_time) /* what was waited for in vain before costs less from then on */
        pl_session_mistrust(&x->s, x->missed);
    else if (x->vq) /* so patient as with the first case */
        pl_vq_renew(x->vq);
    pl_oracle_renew(x->oracle);
    if (goes_on) {
        pl_oracle_midway(x->oracle);
        x->s.next_token = token; /* an answer that comes late has a token of its own case */
        pl_session_begin(&x->s);
        if (!x->devices_told)
            pl_x_tell_devices(x, -1);
        return 0;
    }
    x->plugged = -1;
    x->reconfigured = x->delayed = false;
    configure(x);
    x->s.dev_num = x->devices[0];
    int err = pl_session_start(&x->s, &bus);
    if (err >= 0)
        err = learn_devices(x, &bus);
    x->started = err >= 0;
    if (err >= 0)
        note_shown(x);
    if (err >= 0 && x->o.role == PL_IUT_DEVICE && !x->devices_told)
        pl_x_tell_devices(x, -1);
    if (err < 0)
        snprintf(x->out->why, sizeof(x->out->why), "%s", x->port->error);
    return err;
}

typedef int begin_fn(struct pl_exec *x);
typedef void act_fn(struct pl_exec *x, const struct pl_action *a);
typedef void end_fn(struct pl_exec *x);

static void run_actions(struct pl_exec *x)
{
    static act_fn *const act[] = {pl_x_device_act, pl_x_driver_act, pl_x_bus_act};
    static end_fn *const end[] = {pl_x_device_end, pl_x_driver_end, pl_x_bus_end};
    for (x->action = 0; x->action < x->c->n && x->s.alive && !x->s.stuck; x->action++)
        act[x->o.role](x, &x->c->action[x->action]);
    end[x->o.role](x);
}

static void conclude(struct pl_exec *x)
{
    struct pl_exec_result *out = x->out;
    see_clauses(x);
    x->missed = x->s.misses;
    out->messages = x->s.numbers - x->numbers;
    out->ms = x->port->now_ms;
    out->alive = x->s.alive && !x->s.stuck;
    out->late = x->hasty && x->s.vain != x->vain;
    out->seen = x->seen;
    out->n_seen = x->n_seen;
}

static int run_case(struct pl_exec *x, const struct pl_case *c, struct pl_exec_result *out)
{
    static begin_fn *const begin[] = {pl_x_device_begin, pl_x_driver_begin, pl_x_bus_begin};
    out->n_findings = 0;
    out->unrunnable = out->alive = false;
    out->messages = out->ms = 0;
    out->why[0] = '\0';
    out->seen = x->seen;
    out->n_seen = 0;
    if (c->role != x->o.role || c->spec != x->spec) {
        snprintf(out->why, sizeof(out->why), "the case is for a %s and %s", pl_case_role(c->role),
                 c->spec->name);
        out->unrunnable = true;
        return -EINVAL;
    }
    x->c = c;
    x->out = out;
    x->action = 0;
    x->numbers = x->s.numbers;
    x->vain = x->s.vain;
    x->random = pl_random_from(c->seed);
    x->hold = 1;
    x->unjudged = x->lawless = false;
    x->n_tokens = 0;
    x->last_kind = PL_NONE;
    memset(&x->d, 0, sizeof(x->d));
    forget_seen(x);
    x->s.oracle = x->oracle;
    int err = start(x);
    memset(&x->d, 0, sizeof(x->d)); /* what was asked between two cases is no part of this one */
    if (!err)
        err = begin[x->o.role](x);
    if (err < 0) {
        out->unrunnable = true;
        x->out = NULL;
        return err;
    }
    run_actions(x);
    conclude(x);
    x->out = NULL;
    return 0;
}

/*
 * What a driver does with a plain device is known from a life with one, which comes before the
 * first case: where it gives another one up, that tells why. No case depends on those before it.
 */
static int meet_plain(struct pl_exec *x, struct pl_exec_result *out)
{
    struct pl_case *c = calloc(1, sizeof(*c));
    if (!c)
        return -ENOMEM;
    pl_case_init(c, x->spec, PL_IUT_DRIVER);
    c->action[c->n++].op = PL_ACT_START;
    c->action[c->n++].op = PL_ACT_IO;
    int err = run_case(x, c, out);
    free(c);
    pl_oracle_keep(x->oracle);
    x->met_plain = err >= 0;
    return err;
}

void pl_exec_trust(struct pl_exec *x)
{
    x->missed = 0;
    x->deaf = 0;
    memset(&x->habits, 0, sizeof(x->habits));
    if (x->vq)
        pl_vq_renew(x->vq);
}

void pl_exec_hasten(struct pl_exec *x, bool hasty)
{
    enum { RESPONSE_MS = 100, RESET_MS = 500, FENCE_MS = 20 };
    struct pl_timeouts *t = &x->s.timeouts;
    *t = x->limits;
    x->hasty = hasty;
    if (!hasty)
        return;
    t->response = t->response < RESPONSE_MS ? t->response : RESPONSE_MS;
    t->reset = t->reset < RESET_MS ? t->reset : RESET_MS;
    t->fence = t->fence < FENCE_MS ? t->fence : FENCE_MS;
}

int pl_exec_run(struct pl_exec *x, const struct pl_case *c, struct pl_exec_result *out)
{
    if (x->o.role == PL_IUT_DRIVER && !x->met_plain && !x->port->one_life) {
        const struct pl_session_events events = x->s.events;
        x->s.events.message = NULL; /* it is no part of the case's record */
        x->s.events.note = NULL;
        int err = meet_plain(x, out);
        x->s.events = events;
        if (err < 0)
            return err;
    }
    return run_case(x, c, out);
}

const char *pl_exec_wrote(const struct pl_exec *x)
{
    return x->s.alive ? "" : x->s.end.stderr_tail;
}

/* --- making and freeing --- */

static int fail(char *error, size_t cap, int err, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static int fail(char *error, size_t cap, int err, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(error, cap, format, args);
    va_end(args);
    return err;
}

/* The options that a mutant needs, and that there is one of this name. */
static int find_mutant(struct pl_exec *x, char *error, size_t cap)
{
    struct pl_wrong_peer mutant;
    const char *id = x->o.mutant ? x->o.mutant : x->o.like;
    if (!pl_wrong_peer_find(x->spec, x->o.role, id, &mutant))
        return fail(error, cap, -EINVAL, "'%s' is no mutant of the reference %s", id,
                    pl_case_role(x->o.role));
    const char *const *options = mutant.options;
    x->mutant_options = options;
    for (size_t i = 0; options && options[i]; i++)
        if (strncmp(options[i], "type=", 5) == 0)
            x->mutant_type = options[i] + 5;
    return 0;
}

static void open_port(struct pl_exec *x)
{
    const struct pl_exec_options *o = &x->o;
    x->own_port = true;
    x->reference = !o->endpoint && !o->bus_endpoint;
    const void *config = x->reference ? &x->config : o->config;
    const char *name = x->reference ? "reference" : "linked in";
    if (o->role == PL_IUT_BUS)
        x->port = pl_port_inprocess_bus(
            x->spec, o->bus_endpoint ? o->bus_endpoint : &pl_bus_endpoint, config, name);
    else
        x->port = pl_port_inprocess(x->spec,
                                    o->endpoint                ? o->endpoint
                                    : o->role == PL_IUT_DRIVER ? &pl_driver_endpoint
                                                               : &pl_device_endpoint,
                                    config, name, PL_X_MEMORY);
}

static int prepare(struct pl_exec *x, char *error, size_t cap)
{
    const struct pl_exec_options *o = &x->o;
    x->clauses = pl_clauses_find(x->spec);
    if (!x->clauses)
        return fail(error, cap, -EINVAL, "%s has no clauses", x->spec->name);
    x->n_clauses = pl_clauses_count(x->clauses);
    if ((o->mutant || o->like) && find_mutant(x, error, cap) < 0)
        return -EINVAL;
    if (2 * x->n_clauses + PL_X_STATES * PL_KIND_COUNT * PL_X_OUTCOMES > PL_FEEDBACK_MAX)
        return fail(error, cap, -EINVAL, "%s has more clauses than feedback has room for",
                    x->spec->name);
    x->should = calloc(x->n_clauses, sizeof(*x->should));
    x->shown = calloc(x->n_clauses, sizeof(*x->shown));
    x->oracle = pl_oracle_new_for(x->spec, o->role, clause_failed, x);
    x->nobody = pl_oracle_new_for(x->spec, o->role, NULL, NULL);
    x->port = o->port;
    if (!x->port)
        open_port(x);
    if (x->port && x->port->one_life && !x->port->restartable)
        return fail(
            error, cap, -EINVAL,
            "%s: its driver lives once; a campaign starts one for each case, as --exec with "
            "--carrier vhost-user does",
            x->port->name);
    if (!x->should || !x->shown || !x->oracle || !x->nobody || !x->port)
        return fail(error, cap, -ENOMEM, "out of memory");
    for (size_t i = 0; i < x->n_clauses; i++)
        x->should[i] = strcmp(pl_clauses_get(x->clauses, i)->level, "MUST") != 0;
    if (pl_session_init(&x->s, x->port, x->oracle) < 0)
        return fail(error, cap, -ENOMEM, "out of memory");
    return 0;
}

static int prepare_session(struct pl_exec *x, char *error, size_t cap)
{
    struct pl_session *s = &x->s;
    const struct pl_exec_options *o = &x->o;
    s->events = (struct pl_session_events){.opaque = x,
                                           .finding = iut_failed,
                                           .judged = judged,
                                           .message = o->message ? recorded : NULL,
                                           .note = o->note ? noted : NULL};
    s->plain_size = x->spec->recommended_max_msg_size;
    s->only_size = o->bus ? o->bus->max_msg_size : s->plain_size;
    s->timeouts.response = o->response_ms ? o->response_ms : s->timeouts.response;
    s->timeouts.reset = o->reset_ms ? o->reset_ms : s->timeouts.reset;
    s->timeouts.fence = o->fence_ms ? o->fence_ms : s->timeouts.fence;
    x->limits = s->timeouts;
    if (o->role == PL_IUT_DEVICE && x->port->mem)
        x->vq = pl_vq_of(s, error, cap);
    if (o->role == PL_IUT_BUS && pl_bus_run_new(s) < 0)
        return fail(error, cap, -ENOMEM, "out of memory");
    return 0;
}

struct pl_exec *pl_exec_new(const struct pl_exec_options *options, char *error, size_t cap)
{
    struct pl_exec *x = calloc(1, sizeof(*x));
    if (!x) {
        fail(error, cap, -ENOMEM, "out of memory");
        return NULL;
    }
    x->o = *options;
    x->spec = options->spec;
    if (prepare(x, error, cap) < 0 || prepare_session(x, error, cap) < 0) {
        pl_exec_free(x);
        return NULL;
    }
    return x;
}

void pl_exec_free(struct pl_exec *x)
{
    if (!x)
        return;
    pl_x_driver_free(x);
    pl_session_free(&x->s);
    if (x->own_port && x->port)
        x->port->ops->close(x->port);
    pl_oracle_free(x->oracle);
    pl_oracle_free(x->nobody);
    free(x->should);
    free(x->shown);
    free(x);
}
