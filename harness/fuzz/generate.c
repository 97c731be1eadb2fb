/* Generation of cases: motifs, each a few actions that belong together, drawn by role and focus. */
#include "fuzz/generate.h"

#include <string.h>

#include "engine/run.h"
#include "fuzz/wrong_peer.h"
#include "wire/random.h"

enum { MOTIF_MAX = 16, CASE_MOTIFS = 6 };

const char *const pl_focus_names[] = {"all", "illegal", "reset", "generation", "ring", NULL};

bool pl_focus_find(const char *name, enum pl_focus *out)
{
    for (unsigned i = 0; pl_focus_names[i]; i++)
        if (strcmp(pl_focus_names[i], name) == 0) {
            *out = (enum pl_focus)i;
            return true;
        }
    return false;
}

uint64_t pl_draw(struct pl_generator *g, uint64_t below)
{
    return pl_random_mix(g->random += PL_RANDOM_STEP) % below;
}

static bool one_in(struct pl_generator *g, uint64_t n)
{
    return pl_draw(g, n) == 0;
}

static uint64_t some_ms(struct pl_generator *g)
{
    return pl_draw(g, g->real ? 4 : 40);
}

/* --- actions --- */

/* A motif while it grows; what is beyond its room is left out. */
struct motif {
    struct pl_generator *g;
    struct pl_action a[MOTIF_MAX];
    struct pl_action none; /* what is written to where there is no room */
    size_t n;
};

static struct pl_action *add(struct motif *m, enum pl_action_op op)
{
    struct pl_action *a = m->n < MOTIF_MAX ? &m->a[m->n++] : &m->none;
    memset(a, 0, sizeof(*a));
    a->op = (uint8_t)op;
    return a;
}

static struct pl_action *add1(struct motif *m, enum pl_action_op op, unsigned name, uint64_t value)
{
    struct pl_action *a = add(m, op);
    pl_action_set(a, name, PL_VALUE_NUMBER, value);
    return a;
}

static struct pl_action *add_send(struct motif *m, enum pl_kind kind)
{
    struct pl_action *a = add(m, PL_ACT_SEND);
    a->kind = (uint8_t)kind;
    return a;
}

static void set_data(struct pl_generator *g, struct pl_action *a, size_t n)
{
    a->has_data = true;
    a->data_len = (uint8_t)n;
    for (size_t i = 0; i < n; i++)
        a->data[i] = (uint8_t)(one_in(g, 2) ? pl_draw(g, 256) : pl_draw(g, 3));
}

/* --- values --- */

static const struct pl_layout *layout_of(const struct pl_spec *spec, const struct pl_action *a)
{
    const struct pl_message_def *def = pl_spec_message(spec, (enum pl_kind)a->kind);
    return !def                                                 ? NULL
           : a->response || pl_ops[a->op].names == PL_OP_ANSWER ? def->response
                                                                : def->request;
}

static uint64_t edge(struct pl_generator *g, unsigned width)
{
    uint64_t most = width >= 8 ? UINT64_MAX : (UINT64_C(1) << (8 * width)) - 1;
    switch (pl_draw(g, 5)) {
    case 0:
        return most - pl_draw(g, 2);
    case 1:
        return UINT64_C(1) << pl_draw(g, 8 * width);
    case 2:
        return pl_draw(g, 256);
    case 3:
        return most / 2 + pl_draw(g, 2);
    default:
        return pl_draw(g, 5);
    }
}

/* A field other than what is legal here: by a step, by a bit, or at an edge. */
static void miss_field(struct pl_generator *g, struct pl_action *a, const struct pl_field_def *f)
{
    uint64_t step = 1 + pl_draw(g, 2) * pl_draw(g, 8);
    switch (pl_draw(g, 4)) {
    case 0:
        pl_action_set(a, f->field, PL_VALUE_PLUS, step);
        break;
    case 1:
        pl_action_set(a, f->field, PL_VALUE_PLUS, 0 - step);
        break;
    case 2:
        pl_action_set(a, f->field, PL_VALUE_XOR, UINT64_C(1) << pl_draw(g, 8 * f->width));
        break;
    default:
        pl_action_set(a, f->field, PL_VALUE_NUMBER, edge(g, f->width));
    }
}

static void miss_any_field(struct pl_generator *g, struct pl_action *a)
{
    const struct pl_layout *layout = layout_of(g->spec, a);
    if (layout && layout->n_fields)
        miss_field(g, a, &layout->fields[pl_draw(g, layout->n_fields)]);
}

static void bend(struct pl_generator *g, struct pl_action *a)
{
    switch (pl_draw(g, 7)) {
    case 0:
        pl_action_set(a, PL_ARG_TYPE, PL_VALUE_XOR, UINT64_C(1) << pl_draw(g, 8));
        break;
    case 1:
        pl_action_set(a, PL_ARG_ID, PL_VALUE_NUMBER, pl_draw(g, 256));
        break;
    case 2:
        pl_action_set(a, PL_ARG_DEV_NUM, PL_VALUE_PLUS, 1 + pl_draw(g, 3) * pl_draw(g, 400));
        break;
    case 3:
        pl_action_set(a, PL_ARG_TOKEN, one_in(g, 2) ? PL_VALUE_NUMBER : PL_VALUE_PLUS,
                      pl_draw(g, 3) - 1);
        break;
    case 4:
        pl_action_set(a, PL_ARG_SIZE, PL_VALUE_PLUS, pl_draw(g, 9) - 4);
        break;
    case 5:
        pl_action_set(a, PL_ARG_CUT, PL_VALUE_NUMBER, 1 + pl_draw(g, 12));
        break;
    default:
        pl_action_set(a, PL_ARG_PAD, PL_VALUE_NUMBER, 1 + pl_draw(g, 8) * (1 + pl_draw(g, 40)));
        if (one_in(g, 2))
            pl_action_set(a, PL_ARG_PAD_WITH, PL_VALUE_NUMBER, 0xff);
    }
}

/* Ordinary choices that are legal, or nearly: which queue, which part of the configuration. */
static void choose(struct pl_generator *g, struct pl_action *a)
{
    const struct pl_layout *layout = layout_of(g->spec, a);
    for (size_t i = 0; layout && i < layout->n_fields; i++) {
        enum pl_field f = layout->fields[i].field;
        if ((f == PL_F_index || f == PL_F_vq_index) && one_in(g, 2))
            pl_action_set(a, f, PL_VALUE_NUMBER, pl_draw(g, 4));
        else if ((f == PL_F_offset || f == PL_F_length) && one_in(g, 3))
            pl_action_set(a, f, PL_VALUE_NUMBER, pl_draw(g, 3) * 4 + pl_draw(g, 5));
        else if ((f == PL_F_block_index || f == PL_F_num_blocks) && one_in(g, 3))
            pl_action_set(a, f, PL_VALUE_NUMBER, pl_draw(g, 4));
        else if ((f == PL_F_count || f == PL_F_shmid || f == PL_F_data32) && one_in(g, 3))
            pl_action_set(a, f, PL_VALUE_NUMBER, pl_draw(g, 300));
        else if (f == PL_F_status && one_in(g, 5))
            pl_action_set(a, f, PL_VALUE_XOR, UINT64_C(1) << pl_draw(g, 8));
    }
}

/* Whose message it is, seen from the role of the IUT. */
static bool comes_from(const struct pl_message_def *def, enum pl_side side)
{
    return def->from == side || def->from == PL_SIDE_EITHER ||
           (side == PL_SIDE_DEVICE && def->from == PL_SIDE_BUS);
}

static enum pl_kind draw_kind(struct pl_generator *g, enum pl_side side)
{
    for (;;) {
        const struct pl_message_def *def = &g->spec->messages[pl_draw(g, g->spec->n_messages)];
        if (comes_from(def, side) || one_in(g, 24))
            return def->kind;
    }
}

/* --- motifs of all roles --- */

static void about(struct motif *m, enum pl_kind kind, bool bent)
{
    struct pl_generator *g = m->g;
    const struct pl_message_def *def = pl_spec_message(g->spec, kind);
    struct pl_action *a = add_send(m, kind);
    bool far = g->role == PL_IUT_BUS &&
               (def && comes_from(def, PL_SIDE_DRIVER) ? one_in(g, 12) : !one_in(g, 12));
    a->op = far ? PL_ACT_FAR : PL_ACT_SEND;
    a->response = def && def->response && (g->role == PL_IUT_DRIVER ? one_in(g, 2) : one_in(g, 40));
    choose(g, a);
    if (bent && one_in(g, 2))
        miss_any_field(g, a);
    else if (bent)
        bend(g, a);
    if (def && !one_in(g, 3))
        return;
    const struct pl_layout *layout = layout_of(g->spec, a);
    if (layout && layout->tail)
        set_data(g, a, pl_draw(g, one_in(g, 4) ? PL_CASE_DATA : 13));
}

static enum pl_side stimulated(struct pl_generator *g)
{
    return g->role == PL_IUT_DEVICE   ? PL_SIDE_DRIVER
           : g->role == PL_IUT_DRIVER ? PL_SIDE_DEVICE
           : one_in(g, 3)             ? PL_SIDE_DEVICE
                                      : PL_SIDE_DRIVER;
}

static void ask(struct motif *m)
{
    for (uint64_t n = 1 + pl_draw(m->g, 3); n; n--)
        about(m, draw_kind(m->g, stimulated(m->g)), false);
}

static void bent(struct motif *m)
{
    about(m, draw_kind(m->g, stimulated(m->g)), true);
    if (one_in(m->g, 3))
        about(m, draw_kind(m->g, stimulated(m->g)), false);
    if (!one_in(m->g, 16))
        return;
    set_data(m->g, add(m, PL_ACT_RAW), 1 + pl_draw(m->g, 40));
}

static void pass_time(struct motif *m)
{
    add1(m, PL_ACT_WAIT, PL_ARG_MS, 1 + some_ms(m->g));
}

/* --- motifs of a device --- */

static void life(struct motif *m)
{
    add1(m, PL_ACT_LIFE, PL_ARG_STEPS, 1 + pl_draw(m->g, 20));
}

static void several(struct motif *m)
{
    add1(m, PL_ACT_HOLD, PL_ARG_AT_ONCE, pl_draw(m->g, 8));
    ask(m);
}

static void device_reset(struct motif *m)
{
    struct pl_generator *g = m->g;
    if (one_in(g, 2))
        add1(m, PL_ACT_RESET_DELAY, PL_ARG_MS, some_ms(g));
    if (one_in(g, 2))
        several(m);
    if (one_in(g, 3)) {
        add1(m, PL_ACT_CHAIN, PL_ARG_TIMES, 1 + pl_draw(g, 4));
        add(m, PL_ACT_PUBLISH);
        add(m, PL_ACT_KICK);
    }
    add1(m, PL_ACT_RESET, PL_ARG_WAITS, pl_draw(g, 2));
    if (one_in(g, 2))
        ask(m);
    if (one_in(g, 2))
        add_send(m, PL_GET_DEVICE_STATUS);
    if (one_in(g, 3))
        pass_time(m);
    if (one_in(g, 2))
        life(m);
}

static void config_change(struct motif *m)
{
    struct pl_action *a =
        add1(m, PL_ACT_CONFIG_CHANGE, PL_ARG_START, one_in(m->g, 2) ? 0 : pl_draw(m->g, 64));
    set_data(m->g, a, 1 + pl_draw(m->g, one_in(m->g, 4) ? 60 : 8));
}

static void config_write(struct motif *m)
{
    static const uint64_t steps[] = {0, 1, UINT64_MAX, 2, UINT64_C(1) << 31};
    struct pl_generator *g = m->g;
    struct pl_action *a = add_send(m, PL_SET_CONFIG);
    uint64_t step = steps[pl_draw(g, 5)];
    if (one_in(g, 5))
        pl_action_set(a, PL_F_generation, PL_VALUE_NUMBER, 0);
    else if (step)
        pl_action_set(a, PL_F_generation, PL_VALUE_PLUS, step);
    if (one_in(g, 2))
        pl_action_set(a, PL_F_offset, PL_VALUE_NUMBER, pl_draw(g, 64));
    if (one_in(g, 2))
        set_data(g, a, 1 + pl_draw(g, 8));
}

static void generation(struct motif *m)
{
    struct pl_generator *g = m->g;
    for (uint64_t n = 1 + pl_draw(g, 4); n; n--) {
        switch (pl_draw(g, 6)) {
        case 0:
        case 1:
            config_change(m);
            break;
        case 2:
            config_write(m);
            break;
        case 3:
            add1(m, PL_ACT_HOLD, PL_ARG_AT_ONCE, pl_draw(g, 4));
            break;
        default:
            about(m, PL_GET_CONFIG, false);
        }
    }
}

static void queue(struct motif *m)
{
    static const enum pl_kind kinds[] = {PL_GET_VQUEUE, PL_SET_VQUEUE, PL_RESET_VQUEUE,
                                         PL_GET_VQUEUE, PL_SET_VQUEUE};
    struct pl_generator *g = m->g;
    uint64_t index = pl_draw(g, 3) * pl_draw(g, 3);
    for (uint64_t n = 1 + pl_draw(g, 4); n; n--) {
        struct pl_action *a = add_send(m, kinds[pl_draw(g, 5)]);
        pl_action_set(a, PL_F_index, PL_VALUE_NUMBER, index);
        if (a->kind == PL_SET_VQUEUE && one_in(g, 2))
            miss_any_field(g, a);
    }
}

static void on_queue(struct motif *m, struct pl_action *a, uint64_t q)
{
    (void)m;
    if (q)
        pl_action_set(a, PL_ARG_QUEUE, PL_VALUE_NUMBER, q);
}

static void chains(struct motif *m, uint64_t q)
{
    struct pl_generator *g = m->g;
    struct pl_action *a = add(m, PL_ACT_CHAIN);
    on_queue(m, a, q);
    if (one_in(g, 2))
        pl_action_set(a, PL_ARG_TIMES, PL_VALUE_NUMBER, 1 + pl_draw(g, 6));
    if (one_in(g, 3))
        pl_action_set(a, PL_ARG_INDIRECT, PL_VALUE_NUMBER, 1);
    if (!one_in(g, 3))
        return;
    pl_action_set(a, PL_ARG_OUT, PL_VALUE_NUMBER, pl_draw(g, 2) * pl_draw(g, 600));
    pl_action_set(a, PL_ARG_IN, PL_VALUE_NUMBER, pl_draw(g, 2) * pl_draw(g, 1200));
    if (one_in(g, 2))
        set_data(g, a, 1 + pl_draw(g, 32));
}

static void scribble(struct motif *m, uint64_t q)
{
    struct pl_generator *g = m->g;
    struct pl_action *a = add1(m, PL_ACT_SCRIBBLE, PL_ARG_PART, pl_draw(g, PL_PART_MEMORY + 1));
    on_queue(m, a, q);
    pl_action_set(a, PL_ARG_PLACE, PL_VALUE_NUMBER, pl_draw(g, one_in(g, 3) ? 4096 : 64));
    set_data(g, a, 1 + pl_draw(g, 16));
}

static void ring(struct motif *m)
{
    struct pl_generator *g = m->g;
    uint64_t q = one_in(g, 3) ? pl_draw(g, 4) : 0;
    if (one_in(g, 6)) {
        struct pl_action *a = add(m, PL_ACT_RING);
        on_queue(m, a, q);
        if (one_in(g, 2))
            pl_action_set(a, PL_ARG_ENTRIES, PL_VALUE_NUMBER, UINT64_C(1) << pl_draw(g, 8));
        if (one_in(g, 4))
            pl_action_set(a, PL_ARG_PACKED, PL_VALUE_NUMBER, pl_draw(g, 2));
    }
    if (one_in(g, 4)) {
        struct pl_action *a = add1(m, PL_ACT_NOTIFY, PL_ARG_WHEN, pl_draw(g, 3));
        on_queue(m, a, q);
        pl_action_set(a, PL_ARG_AHEAD, PL_VALUE_NUMBER, pl_draw(g, 6));
    }
    for (uint64_t n = 1 + pl_draw(g, 3); n; n--)
        chains(m, q);
    if (one_in(g, g->focus == PL_FOCUS_RING ? 4 : 10))
        scribble(m, q);
    on_queue(m, add(m, PL_ACT_PUBLISH), q);
    on_queue(m, add1(m, PL_ACT_KICK, PL_ARG_ALWAYS, pl_draw(g, 2)), q);
    if (!one_in(g, 3))
        on_queue(m, add(m, PL_ACT_AWAIT), q);
}

static void device_control(struct motif *m)
{
    struct pl_generator *g = m->g;
    switch (pl_draw(g, 4)) {
    case 0:
        add(m, PL_ACT_NEEDS_RESET);
        break;
    case 1:
        add1(m, PL_ACT_ATTACH, PL_ARG_DEV, 1 + pl_draw(g, 20));
        break;
    case 2:
        add1(m, PL_ACT_DETACH, PL_ARG_DEV, 1 + pl_draw(g, 20));
        break;
    default:
        config_change(m);
    }
    if (one_in(g, 2))
        ask(m);
    if (one_in(g, 3))
        life(m);
}

/* --- motifs of all roles: scenarios --- */

static bool aims_at(const struct pl_scenario *scenario, const char *clause)
{
    for (size_t i = 0; scenario->clauses[i]; i++)
        if (strcmp(scenario->clauses[i], clause) == 0)
            return true;
    return false;
}

/* A value of a dimension, the plain one but for one time in `rare`. */
static void combine(struct pl_generator *g, struct pl_action *a, unsigned name,
                    enum pl_dimension dimension, unsigned rare)
{
    const struct pl_dimension_def *def = &pl_dimensions[dimension];
    if (one_in(g, rare))
        pl_action_set(a, name, PL_VALUE_NUMBER, def->value[pl_draw(g, def->n)]);
}

void pl_generate_suit(struct pl_case *c, const struct pl_scenario *scenario)
{
    const uint32_t strict = UINT32_C(1) << PL_C_TF_STRICT_CONFIG_GENERATION;
    const struct pl_provocation *p = scenario->drive;
    if (p && p->max_msg_size)
        c->max_msg_size = p->max_msg_size;
    if (p && p->profile >= 0)
        c->features = (c->features & ~strict) | (p->profile ? strict : 0);
}

/* A choice of a scenario and, half of the time, what it is combined with: see combine. */
static void choose_scenario(struct pl_generator *g, struct pl_action *a, size_t at, unsigned rare)
{
    size_t choices = pl_run_choices(pl_case_scenario(g->spec, g->role, at));
    a->scenario = (uint16_t)at;
    if (choices > 1)
        pl_action_set(a, PL_ARG_CHOICE, PL_VALUE_NUMBER, pl_draw(g, choices));
    if (one_in(g, 4))
        pl_action_set(a, PL_ARG_OUTSTANDING, PL_VALUE_NUMBER, 4);
    const struct pl_provocation *p = pl_case_scenario(g->spec, g->role, at)->drive;
    if (p && p->at)
        pl_action_set(a, PL_ARG_AT, PL_VALUE_NUMBER, 1 + pl_draw(g, p->most < 12 ? p->most : 12));
    if (g->role == PL_IUT_BUS || one_in(g, 2))
        return;
    combine(g, a, PL_ARG_RING_PACKED, PL_DIM_PACKED, rare);
    combine(g, a, PL_ARG_QUEUE_SIZE, PL_DIM_QUEUE_SIZE, rare);
    combine(g, a, PL_ARG_INDIRECT, PL_DIM_INDIRECT, rare);
    combine(g, a, PL_ARG_EVENT_IDX, PL_DIM_EVENT_IDX, rare);
    combine(g, a, PL_ARG_IN_ORDER, PL_DIM_IN_ORDER, rare);
    combine(g, a, PL_ARG_NOTIFICATION_DATA, PL_DIM_NOTIFICATION_DATA, rare);
    combine(g, a, PL_ARG_RESET_MS, PL_DIM_RESET_MS, rare);
}

static void scenario(struct motif *m)
{
    size_t n = pl_case_scenarios_of(m->g->spec, m->g->role);
    if (n)
        choose_scenario(m->g, add(m, PL_ACT_SCENARIO), pl_draw(m->g, n), 4);
}

/* --- motifs of a driver --- */

static void driver_work(struct motif *m)
{
    struct pl_generator *g = m->g;
    struct pl_action *a;
    switch (pl_draw(g, 6)) {
    case 0:
        add(m, PL_ACT_STOP);
        add(m, PL_ACT_START);
        break;
    case 1:
        a = add1(m, PL_ACT_CONFIG_WRITE, PL_ARG_START, pl_draw(g, 64));
        set_data(g, a, 1 + pl_draw(g, 8));
        break;
    case 2:
        add1(m, PL_ACT_QUEUE_RESET, PL_ARG_QUEUE, pl_draw(g, 3));
        break;
    default:
        add1(m, PL_ACT_IO, PL_ARG_TIMES, pl_draw(g, 8));
    }
    if (one_in(g, 3))
        add1(m, PL_ACT_LISTEN, PL_ARG_TIMES, 1 + pl_draw(g, 20));
}

static void driver_start(struct motif *m)
{
    add(m, PL_ACT_START);
    if (one_in(m->g, 2))
        add1(m, PL_ACT_LISTEN, PL_ARG_TIMES, 1 + pl_draw(m->g, 30));
}

static void late_answer(struct motif *m)
{
    struct pl_generator *g = m->g;
    struct pl_action *a = add1(m, PL_ACT_ANSWER, PL_ARG_NTH, pl_draw(g, 4) * pl_draw(g, 3));
    if (!one_in(g, 3))
        a->kind = (uint8_t)draw_kind(g, PL_SIDE_DRIVER);
    if (one_in(g, 3))
        pl_action_set(a, PL_ARG_EVERY, PL_VALUE_NUMBER, 1);
    switch (pl_draw(g, 4)) {
    case 0:
        pl_action_set(a, PL_ARG_LOSE, PL_VALUE_NUMBER, 1);
        break;
    case 1:
        pl_action_set(a, PL_ARG_FAIL, PL_VALUE_NUMBER, 1 + pl_draw(g, 5));
        break;
    default:
        pl_action_set(a, PL_ARG_LATE, PL_VALUE_NUMBER, 1 + pl_draw(g, 4));
    }
    driver_work(m);
}

static void bent_answer(struct motif *m)
{
    struct pl_generator *g = m->g;
    struct pl_action *a = add1(m, PL_ACT_ANSWER, PL_ARG_NTH, pl_draw(g, 4));
    a->kind = (uint8_t)draw_kind(g, PL_SIDE_DRIVER);
    if (one_in(g, 6))
        pl_action_set(a, PL_ARG_TWICE, PL_VALUE_NUMBER, 1);
    else if (one_in(g, 3))
        bend(g, a);
    else
        miss_any_field(g, a);
    driver_work(m);
}

static void far_device(struct motif *m)
{
    struct pl_generator *g = m->g;
    switch (pl_draw(g, 4)) {
    case 0:
        add(m, PL_ACT_NEEDS_RESET);
        break;
    case 1:
        add1(m, PL_ACT_RESET_DELAY, PL_ARG_MS, some_ms(g));
        break;
    default:
        config_change(m);
    }
    if (one_in(g, 3))
        add_send(m, PL_EVENT_CONFIG);
    if (one_in(g, 2))
        driver_work(m);
}

static void driver_memory(struct motif *m)
{
    scribble(m, 0);
    driver_work(m);
}

/* --- motifs of a bus --- */

static void under_way(struct motif *m)
{
    struct pl_generator *g = m->g;
    add1(m, PL_ACT_HOLD, PL_ARG_AT_ONCE, pl_draw(g, 3));
    ask(m);
    if (one_in(g, 4))
        pass_time(m);
    add1(m, PL_ACT_RELEASE, PL_ARG_HOW, pl_draw(g, PL_HOW_FORGET + 1));
}

static uint64_t bus_dev(struct pl_generator *g)
{
    static const uint64_t near[] = {2, 5, 3, 7, 0, 1};
    return one_in(g, 4) ? pl_draw(g, 600) : near[pl_draw(g, 6)];
}

static void plug(struct motif *m)
{
    static const enum pl_action_op ops[] = {PL_ACT_PRESENT, PL_ACT_ATTACH, PL_ACT_DETACH,
                                            PL_ACT_ABSENT};
    struct pl_generator *g = m->g;
    uint64_t dev = bus_dev(g);
    for (uint64_t n = 1 + pl_draw(g, 3); n; n--)
        add1(m, ops[pl_draw(g, 4)], PL_ARG_DEV, dev);
    struct pl_action *a = add_send(m, one_in(g, 2) ? PL_GET_DEVICES : PL_GET_DEVICE_STATUS);
    if (a->kind == PL_GET_DEVICE_STATUS)
        pl_action_set(a, PL_ARG_DEV_NUM, PL_VALUE_NUMBER, dev);
}

static void bus_parameters(struct motif *m)
{
    struct pl_generator *g = m->g;
    struct pl_action *a = add1(m, PL_ACT_PARAMETERS, PL_ARG_LARGEST, 52 + pl_draw(g, 240));
    if (one_in(g, 2))
        pl_action_set(a, PL_ARG_BITS, PL_VALUE_NUMBER, pl_draw(g, 2));
    ask(m);
}

static void large_answer(struct motif *m)
{
    add1(m, PL_ACT_ANSWER_SIZE, PL_ARG_BYTES, pl_draw(m->g, 400));
    ask(m);
}

static void fence(struct motif *m)
{
    add(m, PL_ACT_FENCE);
}

/* --- which motif, by role and focus --- */

struct choice {
    void (*build)(struct motif *m);
    uint8_t weight[PL_FOCI]; /* all, illegal, reset, generation, ring */
};

static const struct choice of_device[] = {
    {life, {4, 4, 4, 4, 4}},           {ask, {5, 4, 2, 2, 1}},
    {bent, {5, 12, 2, 2, 2}},          {several, {2, 2, 2, 2, 0}},
    {device_reset, {4, 2, 12, 1, 2}},  {generation, {4, 1, 1, 12, 0}},
    {queue, {3, 3, 2, 0, 4}},          {ring, {4, 1, 2, 0, 12}},
    {device_control, {3, 1, 3, 3, 0}}, {pass_time, {1, 0, 2, 1, 1}},
    {fence, {1, 1, 0, 1, 0}},          {scenario, {1, 1, 1, 1, 1}},
};
static const struct choice of_driver[] = {
    {driver_start, {3, 3, 3, 3, 3}},  {driver_work, {6, 3, 4, 4, 8}},
    {late_answer, {4, 2, 4, 2, 1}},   {bent_answer, {2, 8, 1, 1, 1}},
    {far_device, {5, 1, 8, 8, 1}},    {bent, {1, 6, 1, 0, 0}},
    {driver_memory, {1, 1, 0, 0, 4}}, {pass_time, {2, 1, 3, 1, 1}},
};
static const struct choice of_bus[] = {
    {ask, {6, 4, 3, 4, 4}},   {bent, {5, 12, 2, 2, 2}},          {under_way, {6, 3, 6, 4, 4}},
    {plug, {4, 2, 6, 2, 1}},  {bus_parameters, {2, 1, 3, 6, 1}}, {large_answer, {2, 2, 0, 2, 4}},
    {fence, {2, 1, 1, 1, 1}}, {pass_time, {2, 1, 3, 1, 1}},
};
static const struct {
    const struct choice *list;
    size_t n;
} choices[] = {{of_device, sizeof(of_device) / sizeof(of_device[0])},
               {of_driver, sizeof(of_driver) / sizeof(of_driver[0])},
               {of_bus, sizeof(of_bus) / sizeof(of_bus[0])}};

static void draw_motif(struct motif *m)
{
    const struct choice *list = choices[m->g->role].list;
    size_t n = choices[m->g->role].n, i = 0;
    uint64_t sum = 0;
    for (size_t k = 0; k < n; k++)
        sum += list[k].weight[m->g->focus];
    for (uint64_t at = pl_draw(m->g, sum); at >= list[i].weight[m->g->focus]; i++)
        at -= list[i].weight[m->g->focus];
    list[i].build(m);
}

static void insert(struct pl_case *c, size_t at, const struct motif *m)
{
    if (c->n + m->n > PL_CASE_ACTIONS)
        return;
    memmove(&c->action[at + m->n], &c->action[at], (c->n - at) * sizeof(c->action[0]));
    memcpy(&c->action[at], m->a, m->n * sizeof(m->a[0]));
    c->n = (uint16_t)(c->n + m->n);
}

void pl_generate_more(struct pl_generator *g, struct pl_case *c, size_t at)
{
    struct motif m = {.g = g};
    draw_motif(&m);
    insert(c, at, &m);
}

void pl_generate_about(struct pl_generator *g, struct pl_case *c, size_t at, enum pl_kind kind)
{
    struct motif m = {.g = g};
    if (g->role == PL_IUT_DRIVER) { /* what it does itself is provoked, not sent */
        driver_work(&m);
    } else if (one_in(g, 4)) {
        draw_motif(&m);
    }
    if (g->role != PL_IUT_DRIVER || one_in(g, 4))
        about(&m, kind, one_in(g, 3));
    insert(c, at, &m);
}

/* A mutant that breaks a clause tells what the peer must be set to for it to show. */
static void draw_options_for(struct pl_generator *g, struct pl_case *c, const char *clause)
{
    struct pl_wrong_peer mutant;
    const char *const *options = NULL;
    size_t fits = 0;
    for (size_t i = 0; pl_wrong_peer_at(g->spec, g->role, i, &mutant); i++)
        for (const char *const *id = mutant.clauses; *id && !mutant.options_only; id++)
            if (strcmp(*id, clause) == 0 && pl_draw(g, ++fits) == 0)
                options = mutant.options;
    if (fits)
        pl_generate_options(c, options);
}

bool pl_generate_scenario(struct pl_generator *g, struct pl_case *c, const char *clause)
{
    struct motif m = {.g = g};
    const struct pl_scenario *s;
    size_t at = 0, fits = 0;
    if (c->n == PL_CASE_ACTIONS)
        return false;
    for (size_t i = 0; (s = pl_case_scenario(g->spec, g->role, i)); i++)
        if (aims_at(s, clause) && !(s->drive && s->drive->illegal) &&
            pl_draw(g, ++fits) == 0) /* each with the same chance */
            at = i;
    if (!fits)
        return false;
    choose_scenario(g, add(&m, PL_ACT_SCENARIO), at, 4);
    if (g->reference)
        draw_options_for(g, c, clause);
    /* Those of drivers and buses are only at the beginning. */
    insert(c, g->role == PL_IUT_DEVICE ? pl_draw(g, c->n + 1u) : 0, &m);
    pl_generate_suit(c, pl_case_scenario(g->spec, g->role, at));
    return true;
}

const char *pl_generate_turn(struct pl_generator *g, struct pl_case *c, uint64_t turn)
{
    struct motif m = {.g = g};
    size_t n = pl_case_scenarios_of(g->spec, g->role), clauses = 0;
    if (!n)
        return NULL;
    size_t at = (size_t)(turn % n);
    const struct pl_scenario *s = pl_case_scenario(g->spec, g->role, at);
    size_t all = pl_run_choices(s);
    struct pl_action *a = add(&m, PL_ACT_SCENARIO);
    choose_scenario(g, a, at, 1);
    if (all > 1)
        pl_action_set(a, PL_ARG_CHOICE, PL_VALUE_NUMBER, turn / n % all);
    while (s->clauses[clauses])
        clauses++;
    const char *clause = clauses ? s->clauses[pl_draw(g, clauses)] : "";
    if (g->reference)
        draw_options_for(g, c, clause);
    insert(c, 0, &m);
    pl_generate_suit(c, s);
    return clause;
}

/* What is set at the driver's other end, or of the peer that is tested. */
static void draw_peer(struct pl_generator *g, struct pl_case *c)
{
    bool far = g->role == PL_IUT_DRIVER;
    if (!far && !g->reference)
        return;
    struct pl_case_option *option = far ? c->far : c->option;
    uint8_t *n = far ? &c->n_far : &c->n_options;
    *n = 0;
    if (!g->n_peers || !one_in(g, far ? 2 : 4))
        return;
    const struct pl_peer_options *peer = &g->peers[pl_draw(g, g->n_peers)];
    memcpy(option, peer->option, sizeof(c->option));
    *n = peer->n;
    if (!far && peer->type >= 0)
        c->type = (uint8_t)peer->type;
}

void pl_generate_head(struct pl_generator *g, struct pl_case *c)
{
    const struct pl_spec *spec = g->spec;
    uint64_t span = spec->max_max_msg_size - spec->min_max_msg_size;
    unsigned types = 0;
    while (pl_case_types[types])
        types++;
    switch (pl_draw(g, 4)) {
    case 0:
        c->max_msg_size = spec->min_max_msg_size;
        break;
    case 1:
        c->max_msg_size =
            spec->min_max_msg_size + (uint32_t)pl_draw(g, span < 212 ? span + 1 : 212);
        break;
    default:
        c->max_msg_size = spec->recommended_max_msg_size;
    }
    c->features = 0;
    for (const struct pl_constant *k = spec->transport_features; k && k->name; k++)
        c->features |= (uint32_t)pl_draw(g, 2) << k->value;
    c->type = (uint8_t)(one_in(g, 2) ? 0 : pl_draw(g, types));
    c->seed = (uint32_t)pl_draw(g, UINT64_C(1) << 32);
    draw_peer(g, c);
}

void pl_generate_case(struct pl_generator *g, struct pl_case *c)
{
    struct motif m = {.g = g};
    pl_case_init(c, g->spec, g->role);
    pl_generate_head(g, c);
    /* Behind a reset it is known what the device is set to, and what its rings are. */
    if (g->role == PL_IUT_DEVICE && !one_in(g, 3))
        add(&m, PL_ACT_RESET);
    if (g->role == PL_IUT_DEVICE && !one_in(g, 5))
        life(&m);
    else if (g->role != PL_IUT_DEVICE && one_in(g, 16))
        scenario(&m);
    else if (g->role == PL_IUT_DRIVER && !one_in(g, 5))
        driver_start(&m);
    insert(c, 0, &m);
    if (m.n && m.a[0].op == PL_ACT_SCENARIO && g->role != PL_IUT_DEVICE)
        pl_generate_suit(c, pl_case_scenario(g->spec, g->role, m.a[0].scenario));
    for (uint64_t n = 1 + pl_draw(g, CASE_MOTIFS); n; n--)
        pl_generate_more(g, c, c->n);
}
