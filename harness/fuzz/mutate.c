/* Mutations: actions come, go and move, values are bent, and cases are crossed. */
#include "fuzz/mutate.h"

#include <string.h>

#include "wire/random.h"

enum { NEW_MIN = 3, NEW_MORE = 12, RUN_MAX = 8, ROUNDS_MAX = 4, STAGE_MAX = 16 };

static uint64_t draw(uint64_t *x, uint64_t below)
{
    return pl_random(x) % below;
}

/* --- values --- */

static uint64_t interesting(uint64_t *random)
{
    static const uint64_t list[] = {0,      1,      2,        3,        4,           5,
                                    7,      8,      15,       16,       31,          32,
                                    63,     64,     127,      128,      255,         256,
                                    0x7fff, 0x8000, 0xffff,   0x10000,  0x7fffffff,  0x80000000u,
                                    0xff,   0xfffe, 0xffffff, 0xffff00, 0xffffffffu, UINT64_MAX};
    uint64_t v = list[draw(random, sizeof(list) / sizeof(list[0]))];
    return draw(random, 4) ? v : draw(random, UINT64_C(1) << (1 + draw(random, 62)));
}

/* Arguments are mostly small; `most` of its values make sense. */
static uint64_t argument(unsigned name, uint64_t *random)
{
    switch (name) {
    case PL_ARG_STEPS: /* fewer than a whole life, or enough for all that it can hold */
        return 1 + draw(random, draw(random, 3) ? 16 : 40);
    case PL_ARG_MS:
        return draw(random, 60);
    case PL_ARG_ENTRIES:
        return draw(random, 4) ? UINT64_C(1) << draw(random, 7) : draw(random, 300);
    case PL_ARG_OUT:
    case PL_ARG_IN:
        return draw(random, 4) ? draw(random, 64) : draw(random, 4096);
    case PL_ARG_PLACE:
        return draw(random, 4) ? draw(random, 64) : draw(random, 1 << 20);
    case PL_ARG_LARGEST:
        return 52 + draw(random, 213);
    case PL_ARG_BYTES:
        return draw(random, 300);
    case PL_ARG_DEV:
        return draw(random, 4) ? draw(random, 3) : interesting(random) & 0xffff;
    case PL_ARG_START:
    case PL_ARG_CHOICE:
        return draw(random, 64);
    case PL_ARG_QUEUE_SIZE:
        return 1 + draw(random, draw(random, 2) ? 8 : 256);
    case PL_ARG_OUTSTANDING:
        return 1 + draw(random, 8);
    case PL_ARG_TIMES:
    case PL_ARG_NTH:
    case PL_ARG_LATE:
    case PL_ARG_FAIL:
        return draw(random, 8);
    default:
        return draw(random, 3);
    }
}

static void give_value(struct pl_action *a, unsigned name, uint64_t *random)
{
    const char *const *words = pl_setting_words(name);
    unsigned n = 0;
    while (words && words[n])
        n++;
    if (words) {
        pl_action_set(a, name, PL_VALUE_NUMBER, draw(random, n));
    } else if (name >= PL_ARG_NTH) {
        pl_action_set(a, name, PL_VALUE_NUMBER, argument(name, random));
    } else if (name == PL_ARG_CUT || name == PL_ARG_PAD) {
        pl_action_set(a, name, PL_VALUE_NUMBER, draw(random, 24));
    } else {
        switch (draw(random, 4)) {
        case 0:
            pl_action_set(a, name, PL_VALUE_NUMBER, interesting(random));
            break;
        case 1:
            pl_action_set(a, name, PL_VALUE_XOR,
                          UINT64_C(1) << draw(random, draw(random, 2) ? 8 : 64));
            break;
        case 2:
            pl_action_set(a, name, PL_VALUE_NUMBER, draw(random, 8));
            break;
        default:
            pl_action_set(a, name, PL_VALUE_PLUS, draw(random, 2) ? 1 : UINT64_MAX);
        }
    }
}

static void give_data(struct pl_action *a, uint64_t *random)
{
    a->has_data = true;
    a->data_len = (uint8_t)draw(random, draw(random, 3) ? 9 : PL_CASE_DATA + 1);
    for (unsigned i = 0; i < a->data_len; i++)
        a->data[i] = (uint8_t)(draw(random, 2) ? interesting(random) : draw(random, 256));
}

/* --- actions --- */

/* How often each operation is drawn: what moves the protocol on comes more often. */
static unsigned weight(unsigned op)
{
    return op == PL_ACT_SEND                                            ? 10
           : op == PL_ACT_LIFE                                          ? 6
           : op == PL_ACT_START                                         ? 3
           : op == PL_ACT_IO || op == PL_ACT_ANSWER || op == PL_ACT_FAR ? 4
           : op == PL_ACT_RAW                                           ? 1
                                                                        : 2;
}

static uint8_t draw_op(enum pl_iut role, uint64_t *random)
{
    uint8_t ops[PL_ACTS];
    size_t n = pl_ops_of(role, ops);
    uint64_t all = 0, at;
    for (size_t i = 0; i < n; i++)
        all += weight(ops[i]);
    at = draw(random, all);
    for (size_t i = 0; i < n; i++) {
        if (at < weight(ops[i]))
            return ops[i];
        at -= weight(ops[i]);
    }
    return ops[0];
}

static bool wants_data(unsigned op)
{
    return op == PL_ACT_RAW || op == PL_ACT_SCRIBBLE || op == PL_ACT_CONFIG_CHANGE ||
           op == PL_ACT_CONFIG_WRITE;
}

/* Most messages are requests to a device: they are what its state and clauses hang on. */
static const struct pl_message_def *draw_message(const struct pl_spec *spec, uint64_t *random)
{
    const struct pl_message_def *def = &spec->messages[draw(random, spec->n_messages)];
    for (unsigned i = 0; i < 3 && (def->bus || def->event); i++)
        def = &spec->messages[draw(random, spec->n_messages)];
    return def;
}

/* Fields ahead of bends: they come first among what is allowed. */
static unsigned draw_name(const struct pl_action *a, const uint8_t *allowed, size_t n,
                          uint64_t *random)
{
    size_t fields = 0;
    while (fields < n && allowed[fields] < PL_F_COUNT)
        fields++;
    bool field = fields && pl_op_of_message(a->op) && draw(random, 3);
    return allowed[draw(random, field ? fields : n)];
}

/* A random action that the case's role knows, into *a. */
static void draw_action(const struct pl_case *c, struct pl_action *a, uint64_t *random)
{
    uint8_t allowed[PL_ALLOWED_MAX];
    *a = (struct pl_action){.op = draw_op(c->role, random)};
    const struct pl_op_def *op = &pl_ops[a->op];
    size_t scenarios = op->names == PL_OP_SCENARIO ? pl_case_scenarios_of(c->spec, c->role) : 0;
    if (scenarios)
        a->scenario = (uint16_t)draw(random, scenarios);
    if (pl_op_of_message(a->op)) {
        const struct pl_message_def *def = draw_message(c->spec, random);
        bool any = op->names == PL_OP_ANSWER && (!draw(random, 3) || !def->response);
        a->kind = (uint8_t)(any ? PL_NONE : def->kind);
        a->response = op->names == PL_OP_MESSAGE && def->response && !draw(random, 12);
    }
    size_t n = pl_settings_of(c->spec, a, allowed);
    /* Half of all messages are legal, most others have one bend. */
    uint64_t some = op->names == PL_OP_PLAIN ? draw(random, n + 1)
                    : draw(random, 2)        ? 0
                                             : 1 + (draw(random, 4) == 0);
    for (uint64_t i = 0; i < some && n; i++)
        give_value(a, draw_name(a, allowed, n, random), random);
    if (op->data && (wants_data(a->op) || !draw(random, 8)))
        give_data(a, random);
}

static void insert_at(struct pl_case *c, size_t at, const struct pl_action *list, size_t n)
{
    size_t room = PL_CASE_ACTIONS - c->n;
    n = n < room ? n : room;
    memmove(&c->action[at + n], &c->action[at], (c->n - at) * sizeof(*list));
    memcpy(&c->action[at], list, n * sizeof(*list));
    c->n = (uint16_t)(c->n + n);
}

static void drop_at(struct pl_case *c, size_t at, size_t n)
{
    memmove(&c->action[at], &c->action[at + n], (c->n - at - n) * sizeof(c->action[0]));
    c->n = (uint16_t)(c->n - n);
}

/* --- mutations --- */

static bool insert(struct pl_case *c, uint64_t *random)
{
    struct pl_action a;
    if (c->n == PL_CASE_ACTIONS)
        return false;
    draw_action(c, &a, random);
    insert_at(c, draw(random, c->n + 1u), &a, 1);
    return true;
}

static bool bend(struct pl_case *c, uint64_t *random)
{
    uint8_t allowed[PL_ALLOWED_MAX];
    if (!c->n)
        return false;
    struct pl_action *a = &c->action[draw(random, c->n)];
    size_t n = pl_settings_of(c->spec, a, allowed);
    if (a->n_set && !draw(random, 3)) { /* one less */
        size_t i = draw(random, a->n_set);
        a->set[i] = a->set[--a->n_set];
    } else if (pl_ops[a->op].data && !draw(random, 4)) {
        if (a->has_data && draw(random, 2) && a->data_len)
            a->data[draw(random, a->data_len)] ^= (uint8_t)(1u << draw(random, 8));
        else
            give_data(a, random);
    } else if (n) {
        give_value(a, draw_name(a, allowed, n, random), random);
    }
    return true;
}

static bool splice(struct pl_case *c, uint64_t *random)
{
    struct pl_action run[RUN_MAX];
    if (!c->n || c->n == PL_CASE_ACTIONS)
        return false;
    size_t from = draw(random, c->n), n = 1 + draw(random, RUN_MAX);
    n = n < c->n - from ? n : c->n - from;
    memcpy(run, &c->action[from], n * sizeof(run[0]));
    insert_at(c, draw(random, c->n + 1u), run, n);
    return true;
}

/* A driver's reset is its stop. */
static bool move_reset(struct pl_case *c, uint64_t *random)
{
    uint8_t op = c->role == PL_IUT_DRIVER ? PL_ACT_STOP : PL_ACT_RESET;
    struct pl_action a = {.op = op};
    size_t at = 0, first = draw(random, c->n + 1u);
    bool found = false;
    if (c->role == PL_IUT_BUS)
        return false;
    for (size_t i = 0; i < c->n && !found; i++) {
        at = (first + i) % c->n;
        found = c->action[at].op == op;
    }
    if (found) {
        a = c->action[at];
        drop_at(c, at, 1);
    } else if (c->n == PL_CASE_ACTIONS) {
        return false;
    } else if (op == PL_ACT_RESET && draw(random, 2)) {
        pl_action_set(&a, PL_ARG_WAITS, PL_VALUE_NUMBER, 0);
    }
    insert_at(c, draw(random, c->n + 1u), &a, 1);
    return true;
}

static bool head(struct pl_case *c, uint64_t *random)
{
    unsigned types = 0;
    uint32_t least = c->spec->min_max_msg_size, most = c->spec->max_max_msg_size;
    uint32_t usual = c->spec->recommended_max_msg_size;
    while (pl_case_types[types])
        types++;
    switch (draw(random, 4)) {
    case 0:
        c->max_msg_size = draw(random, 3) == 0 ? least
                          : draw(random, 2)    ? usual
                                               : least + (uint32_t)draw(random, usual - least + 1);
        c->max_msg_size = c->max_msg_size > most ? most : c->max_msg_size;
        break;
    case 1:
        c->features = 0;
        for (const struct pl_constant *k = c->spec->transport_features; k && k->name; k++)
            c->features |= (uint32_t)draw(random, 2) << k->value;
        break;
    case 2:
        c->type = (uint8_t)draw(random, types - 1); /* the last one is known to nobody */
        break;
    default:
        c->seed = (uint32_t)draw(random, UINT64_C(1) << 32);
    }
    return true;
}

bool pl_mutate_once(struct pl_case *c, enum pl_mutation what, uint64_t *random)
{
    size_t at = c->n ? draw(random, c->n) : 0;
    struct pl_action copy;
    switch (what) {
    case PL_MUTATE_INSERT:
        return insert(c, random);
    case PL_MUTATE_DROP:
        if (c->n)
            drop_at(c, at, 1);
        return true;
    case PL_MUTATE_DUPLICATE:
        if (!c->n || c->n == PL_CASE_ACTIONS)
            return false;
        copy = c->action[at];
        insert_at(c, at, &copy, 1);
        return true;
    case PL_MUTATE_REORDER:
        if (c->n > 1) {
            size_t other = draw(random, c->n);
            struct pl_action a = c->action[at];
            c->action[at] = c->action[other];
            c->action[other] = a;
        }
        return c->n > 1;
    case PL_MUTATE_BEND:
        return bend(c, random);
    case PL_MUTATE_SPLICE:
        return splice(c, random);
    case PL_MUTATE_RESET:
        return move_reset(c, random);
    default:
        return head(c, random);
    }
}

void pl_mutate(struct pl_case *c, uint64_t *random)
{
    uint64_t rounds = 1 + draw(random, ROUNDS_MAX);
    for (unsigned tries = 0; rounds && tries < 4 * ROUNDS_MAX; tries++)
        rounds -= pl_mutate_once(c, (enum pl_mutation)draw(random, PL_MUTATIONS), random);
}

void pl_mutate_new(struct pl_case *c, const struct pl_spec *spec, enum pl_iut role,
                   uint64_t *random)
{
    pl_case_init(c, spec, role);
    c->seed = (uint32_t)draw(random, UINT64_C(1) << 32);
    head(c, random);
    for (uint64_t n = NEW_MIN + draw(random, NEW_MORE); n; n--)
        draw_action(c, &c->action[c->n++], random);
}

/* --- crossing --- */

/* A legal status write is one step of a life, too. */
static unsigned stage_after(const struct pl_action *a, unsigned stage)
{
    switch (a->op) {
    case PL_ACT_LIFE:
        stage += (unsigned)(pl_action_number(a, PL_ARG_STEPS, 1) & 0xff);
        break;
    case PL_ACT_RESET:
    case PL_ACT_STOP:
        return 1;
    case PL_ACT_START:
        return 2;
    case PL_ACT_HOLD:
        return (unsigned)pl_action_number(a, PL_ARG_AT_ONCE, 1) % 3;
    case PL_ACT_RELEASE:
        return 0;
    case PL_ACT_SEND:
        stage += a->kind == PL_SET_DEVICE_STATUS && !a->n_set && !a->has_data && !a->response;
        break;
    default:
        break;
    }
    return stage < STAGE_MAX ? stage : STAGE_MAX;
}

unsigned pl_case_state(const struct pl_case *c, size_t at)
{
    unsigned stage = 0;
    for (size_t i = 0; i < at && i < c->n; i++)
        stage = stage_after(&c->action[i], stage);
    return stage;
}

void pl_mutate_cross(struct pl_case *out, const struct pl_case *first, const struct pl_case *second,
                     uint64_t *random)
{
    size_t from = draw(random, first->n + 1u), to = second->n;
    unsigned state = pl_case_state(first, from), stage = 0;
    uint64_t fits = 0;
    for (size_t i = 0; i <= second->n; i++) { /* each place of that state with the same chance */
        if (stage == state && draw(random, ++fits) == 0)
            to = i;
        if (i < second->n)
            stage = stage_after(&second->action[i], stage);
    }
    *out = *first;
    out->n = (uint16_t)from;
    size_t n = second->n - to, room = PL_CASE_ACTIONS - from;
    n = n < room ? n : room;
    memcpy(&out->action[from], &second->action[to], n * sizeof(out->action[0]));
    out->n = (uint16_t)(from + n);
}
