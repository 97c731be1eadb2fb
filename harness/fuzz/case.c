/* What cases are made of: operations, settings, their names, and what goes with what. */
#include "fuzz/case.h"

#include <string.h>

#include "peer/bus.h"
#include "peer/driver.h"

#define DEVICE (1u << PL_IUT_DEVICE)
#define DRIVER (1u << PL_IUT_DRIVER)
#define BUS    (1u << PL_IUT_BUS)
#define BENDS                                                                                      \
    PL_ARG_TYPE, PL_ARG_ID, PL_ARG_DEV_NUM, PL_ARG_TOKEN, PL_ARG_SIZE, PL_ARG_CUT, PL_ARG_PAD,     \
        PL_ARG_PAD_WITH

const char *const pl_case_types[] = {"block", "net", "console", "entropy", "gpu", NULL};

int pl_case_type_find(const char *name)
{
    for (int i = 0; name && pl_case_types[i]; i++)
        if (strcmp(pl_case_types[i], name) == 0)
            return i;
    return -1;
}

const struct pl_op_def pl_ops[PL_ACTS] = {
    [PL_ACT_SEND] = {"send", DEVICE | DRIVER | BUS, PL_OP_MESSAGE, true, {0}},
    [PL_ACT_FAR] = {"far", BUS, PL_OP_MESSAGE, true, {0}},
    [PL_ACT_RAW] = {"raw", DEVICE | DRIVER | BUS, PL_OP_PLAIN, true, {PL_ARG_FAR_SIDE}},
    [PL_ACT_FENCE] = {"fence", DEVICE | BUS, PL_OP_PLAIN, false, {0}},
    [PL_ACT_LIFE] = {"life", DEVICE, PL_OP_PLAIN, false, {PL_ARG_STEPS, PL_ARG_DEV}},
    [PL_ACT_RESET] = {"reset", DEVICE, PL_OP_PLAIN, false, {PL_ARG_WAITS, PL_ARG_DEV}},
    [PL_ACT_WAIT] = {"wait", DEVICE | DRIVER | BUS, PL_OP_PLAIN, false, {PL_ARG_MS}},
    [PL_ACT_HOLD] = {"hold", DEVICE | BUS, PL_OP_PLAIN, false, {PL_ARG_AT_ONCE}},
    [PL_ACT_RELEASE] = {"release", DRIVER | BUS, PL_OP_PLAIN, false, {PL_ARG_HOW}},
    [PL_ACT_RING] =
        {"ring", DEVICE, PL_OP_PLAIN, false, {PL_ARG_QUEUE, PL_ARG_ENTRIES, PL_ARG_PACKED}},
    [PL_ACT_CHAIN] = {"chain",
                      DEVICE,
                      PL_OP_PLAIN,
                      true,
                      {PL_ARG_QUEUE, PL_ARG_OUT, PL_ARG_IN, PL_ARG_INDIRECT, PL_ARG_TIMES}},
    [PL_ACT_PUBLISH] = {"publish", DEVICE, PL_OP_PLAIN, false, {PL_ARG_QUEUE}},
    [PL_ACT_KICK] = {"kick", DEVICE, PL_OP_PLAIN, false, {PL_ARG_QUEUE, PL_ARG_ALWAYS}},
    [PL_ACT_NOTIFY] =
        {"notify", DEVICE, PL_OP_PLAIN, false, {PL_ARG_QUEUE, PL_ARG_WHEN, PL_ARG_AHEAD}},
    [PL_ACT_AWAIT] = {"await", DEVICE, PL_OP_PLAIN, false, {PL_ARG_QUEUE, PL_ARG_TIMES}},
    [PL_ACT_SCRIBBLE] =
        {"scribble", DEVICE | DRIVER, PL_OP_PLAIN, true, {PL_ARG_PART, PL_ARG_QUEUE, PL_ARG_PLACE}},
    [PL_ACT_LISTEN] = {"listen", DRIVER | BUS, PL_OP_PLAIN, false, {PL_ARG_TIMES}},
    [PL_ACT_ANSWER] = {"answer",
                       DRIVER,
                       PL_OP_ANSWER,
                       true,
                       {PL_ARG_NTH, PL_ARG_EVERY, PL_ARG_LOSE, PL_ARG_TWICE, PL_ARG_LATE,
                        PL_ARG_FAIL}},
    [PL_ACT_PRESENT] = {"present", BUS, PL_OP_PLAIN, false, {PL_ARG_DEV}},
    [PL_ACT_ABSENT] = {"absent", BUS, PL_OP_PLAIN, false, {PL_ARG_DEV}},
    [PL_ACT_ANSWER_SIZE] = {"answer-size", BUS, PL_OP_PLAIN, false, {PL_ARG_BYTES}},
    [PL_ACT_CONFIG_CHANGE] =
        {"config-change", DEVICE | DRIVER, PL_OP_PLAIN, true, {PL_ARG_START, PL_ARG_DEV}},
    [PL_ACT_NEEDS_RESET] = {"needs-reset", DEVICE | DRIVER, PL_OP_PLAIN, false, {PL_ARG_DEV}},
    [PL_ACT_RESET_DELAY] =
        {"reset-delay", DEVICE | DRIVER, PL_OP_PLAIN, false, {PL_ARG_MS, PL_ARG_DEV}},
    [PL_ACT_ATTACH] = {"attach", DEVICE | BUS, PL_OP_PLAIN, false, {PL_ARG_DEV}},
    [PL_ACT_DETACH] = {"detach", DEVICE | BUS, PL_OP_PLAIN, false, {PL_ARG_DEV}},
    [PL_ACT_PARAMETERS] = {"parameters", BUS, PL_OP_PLAIN, false, {PL_ARG_LARGEST, PL_ARG_BITS}},
    [PL_ACT_SCENARIO] = {"scenario",
                         DEVICE | DRIVER | BUS,
                         PL_OP_SCENARIO,
                         false,
                         {PL_ARG_CHOICE, PL_ARG_OUTSTANDING, PL_ARG_RING_PACKED, PL_ARG_QUEUE_SIZE,
                          PL_ARG_INDIRECT, PL_ARG_EVENT_IDX, PL_ARG_IN_ORDER,
                          PL_ARG_NOTIFICATION_DATA, PL_ARG_RESET_MS, PL_ARG_DEV, PL_ARG_AT}},
    [PL_ACT_START] = {"start", DRIVER, PL_OP_PLAIN, false, {PL_ARG_DEV}},
    [PL_ACT_STOP] = {"stop", DRIVER, PL_OP_PLAIN, false, {PL_ARG_DEV}},
    [PL_ACT_IO] = {"io", DRIVER, PL_OP_PLAIN, false, {PL_ARG_TIMES, PL_ARG_DEV}},
    [PL_ACT_CONFIG_WRITE] = {"config-write", DRIVER, PL_OP_PLAIN, true, {PL_ARG_START, PL_ARG_DEV}},
    [PL_ACT_QUEUE_RESET] = {"queue-reset", DRIVER, PL_OP_PLAIN, false, {PL_ARG_QUEUE, PL_ARG_DEV}},
};

static const char *const setting_names[PL_ARG_NAMES] = {
    [PL_ARG_TYPE] = "_type",
    [PL_ARG_ID] = "_id",
    [PL_ARG_DEV_NUM] = "_dev_num",
    [PL_ARG_TOKEN] = "_token",
    [PL_ARG_SIZE] = "_size",
    [PL_ARG_CUT] = "_cut",
    [PL_ARG_PAD] = "_pad",
    [PL_ARG_PAD_WITH] = "_pad_with",
    [PL_ARG_NTH] = "_nth",
    [PL_ARG_EVERY] = "_every",
    [PL_ARG_LOSE] = "_lose",
    [PL_ARG_TWICE] = "_twice",
    [PL_ARG_LATE] = "_late",
    [PL_ARG_FAIL] = "_fail",
    [PL_ARG_DEV] = "dev",
    [PL_ARG_STEPS] = "steps",
    [PL_ARG_WAITS] = "waits",
    [PL_ARG_MS] = "ms",
    [PL_ARG_AT_ONCE] = "at_once",
    [PL_ARG_HOW] = "how",
    [PL_ARG_QUEUE] = "queue",
    [PL_ARG_ENTRIES] = "entries",
    [PL_ARG_PACKED] = "packed",
    [PL_ARG_OUT] = "out",
    [PL_ARG_IN] = "in",
    [PL_ARG_INDIRECT] = "indirect",
    [PL_ARG_ALWAYS] = "always",
    [PL_ARG_WHEN] = "when",
    [PL_ARG_AHEAD] = "ahead",
    [PL_ARG_PART] = "part",
    [PL_ARG_PLACE] = "place",
    [PL_ARG_TIMES] = "times",
    [PL_ARG_BYTES] = "bytes",
    [PL_ARG_FAR_SIDE] = "far",
    [PL_ARG_START] = "start",
    [PL_ARG_LARGEST] = "max_msg_size",
    [PL_ARG_BITS] = "features",
    [PL_ARG_CHOICE] = "choice",
    [PL_ARG_OUTSTANDING] = "outstanding",
    [PL_ARG_RING_PACKED] = "ring_packed",
    [PL_ARG_QUEUE_SIZE] = "queue_size",
    [PL_ARG_EVENT_IDX] = "event_idx",
    [PL_ARG_IN_ORDER] = "in_order",
    [PL_ARG_NOTIFICATION_DATA] = "notification_data",
    [PL_ARG_RESET_MS] = "reset_ms",
    [PL_ARG_AT] = "at",
};

const char *pl_setting_text(unsigned name)
{
    if (name < PL_F_COUNT)
        return pl_field_names[name];
    return name < PL_ARG_NAMES ? setting_names[name] : NULL;
}

const char *const *pl_setting_words(unsigned name)
{
    static const char *const how[] = {"order", "reverse", "twice", "forget", NULL};
    static const char *const when[] = {"never", "always", "at", NULL};
    static const char *const part[] = {"desc", "driver", "device", "buffer", "memory", NULL};
    return name == PL_ARG_HOW    ? how
           : name == PL_ARG_WHEN ? when
           : name == PL_ARG_PART ? part
                                 : NULL;
}

const char *pl_case_role(enum pl_iut role)
{
    static const char *const names[] = {"device", "driver", "bus"};
    return names[role];
}

bool pl_op_of_message(unsigned op)
{
    return pl_ops[op].names == PL_OP_MESSAGE || pl_ops[op].names == PL_OP_ANSWER;
}

size_t pl_ops_of(enum pl_iut role, uint8_t out[PL_ACTS])
{
    size_t n = 0;
    for (unsigned op = 0; op < PL_ACTS; op++)
        if (pl_ops[op].roles >> role & 1)
            out[n++] = (uint8_t)op;
    return n;
}

/* The layout whose fields an action's settings name; NULL: none. */
static const struct pl_layout *layout_of(const struct pl_spec *spec, const struct pl_action *a)
{
    const struct pl_message_def *def =
        a->kind ? pl_spec_message(spec, (enum pl_kind)a->kind) : NULL;
    bool response = a->response || pl_ops[a->op].names == PL_OP_ANSWER;
    if (!def || !pl_op_of_message(a->op))
        return NULL;
    return response ? def->response : def->request;
}

size_t pl_settings_of(const struct pl_spec *spec, const struct pl_action *a,
                      uint8_t out[PL_ALLOWED_MAX])
{
    static const uint8_t bends[] = {BENDS};
    const struct pl_op_def *op = &pl_ops[a->op];
    const struct pl_layout *layout = layout_of(spec, a);
    size_t n = 0;
    for (size_t i = 0; layout && i < layout->n_fields && n < PL_ALLOWED_MAX - 20; i++)
        out[n++] = (uint8_t)layout->fields[i].field;
    for (size_t i = 0; i < sizeof(op->set) && op->set[i]; i++)
        out[n++] = op->set[i];
    for (size_t i = 0; pl_op_of_message(a->op) && i < sizeof(bends); i++)
        out[n++] = bends[i];
    return n;
}

/* The two kinds of options are of one shape. */
static const struct pl_device_option *bus_options(const struct pl_spec *spec, size_t *n)
{
    _Static_assert(sizeof(struct pl_bus_option) == sizeof(struct pl_device_option) &&
                       offsetof(struct pl_bus_option, value) ==
                           offsetof(struct pl_device_option, value),
                   "options of peers are alike");
    return (const struct pl_device_option *)(const void *)pl_bus_options(spec, n);
}

const struct pl_device_option *pl_case_options(const struct pl_spec *spec, enum pl_iut role,
                                               bool far, size_t *n)
{
    if (role == PL_IUT_BUS)
        return bus_options(spec, n);
    return role == PL_IUT_DRIVER && !far ? pl_driver_options(spec, n) : pl_device_options(spec, n);
}

const struct pl_setting *pl_action_get(const struct pl_action *a, unsigned name)
{
    for (size_t i = 0; i < a->n_set; i++)
        if (a->set[i].name == name)
            return &a->set[i];
    return NULL;
}

uint64_t pl_action_number(const struct pl_action *a, unsigned name, uint64_t otherwise)
{
    const struct pl_setting *s = pl_action_get(a, name);
    return s ? s->value : otherwise;
}

bool pl_action_set(struct pl_action *a, unsigned name, enum pl_setting_how how, uint64_t value)
{
    size_t i = 0;
    while (i < a->n_set && a->set[i].name != name)
        i++;
    if (i == PL_CASE_SETTINGS)
        return false;
    a->set[i] = (struct pl_setting){(uint8_t)name, (uint8_t)how, value};
    a->n_set = (uint8_t)(i == a->n_set ? i + 1 : a->n_set);
    return true;
}

static const struct pl_spec *first_judged(void)
{
    size_t i = 0;
    while (pl_specs[i] && !pl_clauses_find(pl_specs[i]))
        i++;
    return pl_specs[i];
}

void pl_case_init(struct pl_case *c, const struct pl_spec *spec, enum pl_iut role)
{
    c->spec = spec ? spec : first_judged();
    c->role = role;
    c->max_msg_size = c->spec->recommended_max_msg_size;
    c->features = 0;
    c->type = 0;
    c->seed = 0;
    c->n_options = c->n_far = 0;
    c->n = 0;
}

bool pl_action_equal(const struct pl_action *a, const struct pl_action *b)
{
    if (a->op != b->op || a->kind != b->kind || a->scenario != b->scenario ||
        a->response != b->response || a->has_data != b->has_data || a->n_set != b->n_set ||
        a->data_len != b->data_len)
        return false;
    for (size_t i = 0; i < a->n_set; i++)
        if (a->set[i].name != b->set[i].name || a->set[i].how != b->set[i].how ||
            a->set[i].value != b->set[i].value)
            return false;
    return memcmp(a->data, b->data, a->data_len) == 0;
}

static bool same_options(const struct pl_case_option *a, size_t n_a, const struct pl_case_option *b,
                         size_t n_b)
{
    for (size_t i = 0; n_a == n_b && i < n_a; i++)
        if (a[i].index != b[i].index || a[i].value != b[i].value)
            return false;
    return n_a == n_b;
}

bool pl_case_equal(const struct pl_case *a, const struct pl_case *b)
{
    if (a->spec != b->spec || a->role != b->role || a->max_msg_size != b->max_msg_size ||
        a->features != b->features || a->type != b->type || a->seed != b->seed || a->n != b->n ||
        !same_options(a->option, a->n_options, b->option, b->n_options) ||
        !same_options(a->far, a->n_far, b->far, b->n_far))
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (!pl_action_equal(&a->action[i], &b->action[i]))
            return false;
    return true;
}
