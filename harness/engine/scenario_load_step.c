/* Reading the steps of a scenario: expressions, messages with their fields, and the other words. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/scenario_load.h"

void *pl_load_keep(struct pl_scenarios *s, size_t n, size_t size)
{
    void *p = calloc(n ? n : 1, size);
    void **list = p ? realloc(s->allocations, (s->n_allocations + 1) * sizeof(*list)) : NULL;
    if (!list) {
        free(p);
        abort(); /* out of memory while loading: nothing sensible is left to do */
    }
    s->allocations = list;
    list[s->n_allocations++] = p;
    return p;
}

static unsigned load_name(void *scenarios, const char *name)
{
    struct pl_scenarios *s = scenarios;
    unsigned number = pl_names_add(&s->names, name);
    if (!number)
        abort();
    return number;
}

unsigned pl_load_variable(struct pl_load *l, const char *name)
{
    unsigned variable = pl_names_variable(&l->s->names, name);
    if (!variable)
        abort();
    return variable;
}

struct pl_expr *pl_load_expr(struct pl_load *l, const struct pl_yaml *node)
{
    const char *text;
    char why[160];
    if (!pl_yaml_string(node, &text, l->error, l->cap))
        return NULL;
    struct pl_expr *expr = pl_expr_parse(text, why, sizeof(why));
    if (!expr) {
        pl_yaml_error(node, l->error, l->cap, "%s", why);
        return NULL;
    }
    struct pl_expr **list = realloc(l->s->exprs, (l->s->n_exprs + 1) * sizeof(*list));
    if (!list)
        abort();
    pl_expr_number(expr, load_name, l->s);
    l->s->exprs = list;
    list[l->s->n_exprs++] = expr;
    return expr;
}

/* --- the fields of a message --- */

static const char *const bends[] = {"_type", "_id",  "_dev_num",  "_token",    "_size",
                                    "_cut",  "_pad", "_pad_with", "_response", NULL};

static bool is_bend(const char *name)
{
    for (size_t i = 0; bends[i]; i++)
        if (strcmp(bends[i], name) == 0)
            return true;
    return false;
}

bool pl_load_hex(struct pl_load *l, const struct pl_yaml *node, const char *text, uint8_t **out,
                 size_t *len)
{
    size_t n = strlen(text);
    if (n / 2 > PL_MSG_MAX)
        return pl_yaml_error(node, l->error, l->cap, "is %zu bytes, a message has %u at most",
                             n / 2, PL_MSG_MAX);
    *out = pl_load_keep(l->s, n / 2 + 1, 1);
    *len = 0;
    for (size_t i = 0; i + 1 < n + 1 && text[i]; i += 2) {
        unsigned value;
        if (!isxdigit((unsigned char)text[i]) || !isxdigit((unsigned char)text[i + 1]) ||
            sscanf(text + i, "%2x", &value) != 1)
            return pl_yaml_error(node, l->error, l->cap, "'%s' is not pairs of hexadecimal digits",
                                 text);
        (*out)[(*len)++] = (uint8_t)value;
    }
    return true;
}

static bool load_hex(struct pl_load *l, struct pl_step *step, const struct pl_yaml *node,
                     const char *text)
{
    step->data = PL_DATA_HEX;
    return pl_load_hex(l, node, text, &step->hex, &step->hex_len);
}

static bool load_items(struct pl_load *l, struct pl_step *step, const struct pl_yaml *const *node,
                       size_t n)
{
    step->items = pl_load_keep(l->s, n, sizeof(*step->items));
    for (size_t i = 0; i < n; i++) {
        step->items[i] = node[i] ? pl_load_expr(l, node[i]) : NULL;
        if (node[i] && !step->items[i])
            return false;
    }
    step->n_items = n;
    return true;
}

/* An array: [a, b], "hex", {fill: byte, count: n} or {last: xor, count: n}. */
static bool load_data(struct pl_load *l, struct pl_step *step, const struct pl_yaml *node)
{
    static const char *const fill_keys[] = {"fill", "count", NULL};
    static const char *const last_keys[] = {"last", "count", NULL};
    if (node->kind == PL_YAML_SCALAR) {
        const char *text;
        return pl_yaml_string(node, &text, l->error, l->cap) && load_hex(l, step, node, text);
    }
    if (node->kind == PL_YAML_SEQUENCE) {
        step->data = PL_DATA_LIST;
        return load_items(l, step, (const struct pl_yaml *const *)node->item, node->n);
    }
    const struct pl_yaml *fill = pl_yaml_get(node, "fill"), *last = pl_yaml_get(node, "last");
    if (!pl_yaml_known_keys(node, last ? last_keys : fill_keys, l->error, l->cap))
        return false;
    const struct pl_yaml *parts[] = {fill ? fill : last, pl_yaml_get(node, "count")};
    if (!parts[0] || (!parts[1] && fill))
        return pl_yaml_error(node, l->error, l->cap, "has 'fill' and 'count', or 'last'");
    step->data = fill ? PL_DATA_FILL : PL_DATA_LAST;
    return load_items(l, step, parts, 2);
}

static const struct pl_array_def *array_named(const struct pl_layout *layout, const char *name)
{
    if (layout->tail && strcmp(layout->tail->name, name) == 0)
        return layout->tail;
    return NULL;
}

static bool load_field(struct pl_load *l, struct pl_step *step, const struct pl_layout *layout,
                       const struct pl_yaml *node)
{
    if (array_named(layout, node->key))
        return load_data(l, step, node);
    struct pl_assign *assign = &step->assign[step->n_assign];
    assign->name = node->key;
    for (size_t i = 0; i < layout->n_fields; i++)
        if (strcmp(layout->fields[i].name, node->key) == 0)
            assign->field = layout->fields[i].field;
    if (assign->field == PL_F_none && !is_bend(node->key))
        return pl_yaml_error(node, l->error, l->cap, "%s has no field of this name",
                             step->def->name);
    assign->value = pl_load_expr(l, node);
    step->n_assign++;
    return assign->value != NULL;
}

bool pl_load_fields(struct pl_load *l, struct pl_step *step, const struct pl_layout *layout,
                    const struct pl_yaml *node)
{
    if (node->kind != PL_YAML_MAPPING)
        return pl_yaml_error(node, l->error, l->cap, "a message takes a mapping of fields");
    step->assign = pl_load_keep(l->s, node->n, sizeof(*step->assign));
    for (size_t i = 0; i < node->n; i++)
        if (!load_field(l, step, layout, node->item[i]))
            return false;
    return true;
}

static bool load_message(struct pl_load *l, struct pl_step *step, const struct pl_yaml *node)
{
    step->op = PL_STEP_SEND;
    if (node->kind == PL_YAML_SCALAR && node->length == 0)
        return true;
    const struct pl_yaml *response = pl_yaml_get(node, "_response");
    return pl_load_fields(
        l, step, response && step->def->response ? step->def->response : step->def->request, node);
}

/* --- the other steps --- */

static bool load_let(struct pl_load *l, struct pl_step *step, const struct pl_yaml *node)
{
    step->op = PL_STEP_LET;
    if (node->kind != PL_YAML_MAPPING)
        return pl_yaml_error(node, l->error, l->cap, "takes a mapping of names and expressions");
    step->assign = pl_load_keep(l->s, node->n, sizeof(*step->assign));
    for (size_t i = 0; i < node->n; i++) {
        step->assign[i].name = node->item[i]->key;
        step->assign[i].variable = pl_load_variable(l, node->item[i]->key);
        step->assign[i].value = pl_load_expr(l, node->item[i]);
        if (!step->assign[i].value)
            return false;
    }
    step->n_assign = node->n;
    return true;
}

static bool load_branch(struct pl_load *l, const struct pl_yaml *step_node, const char *key,
                        struct pl_steps **out, bool required)
{
    const struct pl_yaml *node = pl_yaml_get(step_node, key);
    if (!node)
        return !required || pl_yaml_error(step_node, l->error, l->cap, "'%s' is missing", key);
    *out = pl_load_steps(l, node);
    return *out != NULL;
}

static bool load_expect(struct pl_load *l, struct pl_step *step, const struct pl_yaml *whole)
{
    const struct pl_yaml *node = pl_yaml_get(whole, "clause");
    const char *id;
    step->clause = -1;
    if (!node)
        return pl_yaml_error(whole, l->error, l->cap, "an expectation names its 'clause'");
    if (!pl_yaml_string(node, &id, l->error, l->cap))
        return false;
    step->clause = pl_clauses_index(l->s->clauses, id);
    return step->clause >= 0 ||
           pl_yaml_error(node, l->error, l->cap, "'%s' is no clause of %s", id, l->s->spec->name);
}

struct keyword {
    const char *name;
    enum pl_step_op op;
    const char *const keys[4];
};
static const struct keyword keywords[] = {
    {"raw", PL_STEP_RAW, {"raw"}},
    {"call", PL_STEP_CALL, {"call"}},
    {"control", PL_STEP_CONTROL, {"control"}},
    {"require", PL_STEP_REQUIRE, {"require"}},
    {"expect", PL_STEP_EXPECT, {"expect", "clause"}},
    {"let", PL_STEP_LET, {"let"}},
    {"repeat", PL_STEP_REPEAT, {"repeat", "steps"}},
    {"if", PL_STEP_IF, {"if", "then", "else"}},
    {"ring", PL_STEP_RING, {"ring"}},
    {"chain", PL_STEP_CHAIN, {"chain"}},
    {"publish", PL_STEP_PUBLISH, {"publish"}},
    {"kick", PL_STEP_KICK, {"kick"}},
    {"await_used", PL_STEP_AWAIT_USED, {"await_used"}},
    {"idle", PL_STEP_IDLE, {"idle"}},
    {"notify", PL_STEP_NOTIFY, {"notify"}},
    {"poke", PL_STEP_POKE, {"poke"}},
    {"burst", PL_STEP_BURST, {"burst"}},
};

static const struct keyword bus_keywords[] = {
    {"driver", PL_STEP_DRIVER, {"driver"}},
    {"device", PL_STEP_DEVICE, {"device"}},
    {"hold", PL_STEP_HOLD, {"hold"}},
    {"answer_size", PL_STEP_ANSWER_SIZE, {"answer_size"}},
    {"present", PL_STEP_PRESENT, {"present"}},
    {"absent", PL_STEP_ABSENT, {"absent"}},
    {"tell", PL_STEP_TELL, {"tell"}},
    {"release", PL_STEP_RELEASE, {"release"}},
    {"await", PL_STEP_AWAIT, {"await"}},
};
static const char *const release_words[] = {"order", "reverse", "twice", "forget", NULL};
static const char *const await_words[] = {"all",  "events", "out", "failures",
                                          "told", "quiet",  NULL};

static const struct keyword *find_keyword(const struct pl_load *l, const struct pl_yaml *node,
                                          const struct pl_yaml **value)
{
    for (size_t i = 0; l->bus && i < sizeof(bus_keywords) / sizeof(bus_keywords[0]); i++) {
        *value = pl_yaml_get(node, bus_keywords[i].name);
        if (*value)
            return &bus_keywords[i];
    }
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        *value = pl_yaml_get(node, keywords[i].name);
        if (*value)
            return &keywords[i];
    }
    return NULL;
}

static bool load_step(struct pl_load *l, struct pl_step *step, const struct pl_yaml *node);

/* What is put in on a side of a bus: a message, or a list of steps. */
static bool load_side(struct pl_load *l, struct pl_step *step, const struct pl_yaml *value)
{
    if (value->kind == PL_YAML_SEQUENCE) {
        step->then = pl_load_steps(l, value);
        return step->then != NULL;
    }
    step->then = pl_load_keep(l->s, 1, sizeof(*step->then));
    step->then->step = pl_load_keep(l->s, 1, sizeof(*step->then->step));
    step->then->n = 1;
    return load_step(l, &step->then->step[0], value);
}

static bool load_bus_word(struct pl_load *l, struct pl_step *step, const struct pl_yaml *value)
{
    size_t index;
    if (step->op == PL_STEP_DRIVER || step->op == PL_STEP_DEVICE)
        return load_side(l, step, value);
    if (step->op == PL_STEP_TELL)
        return pl_yaml_string(value, &step->name, l->error, l->cap);
    if (step->op != PL_STEP_RELEASE && step->op != PL_STEP_AWAIT) {
        step->expr = pl_load_expr(l, value);
        return step->expr != NULL;
    }
    const char *const *words = step->op == PL_STEP_AWAIT ? await_words : release_words;
    if (!pl_yaml_word(value, words, &index, l->error, l->cap))
        return false;
    step->name = words[index];
    return true;
}

static bool load_keyword(struct pl_load *l, struct pl_step *step, const struct pl_yaml *node,
                         const struct keyword *word, const struct pl_yaml *value)
{
    const char *text;
    step->op = word->op;
    if (!pl_yaml_known_keys(node, word->keys, l->error, l->cap))
        return false;
    if (word->op >= PL_STEP_DRIVER)
        return load_bus_word(l, step, value);
    if (word->op >= PL_STEP_RING && l->bus)
        return pl_yaml_error(node, l->error, l->cap, "a bus has no virtqueues");
    if (word->op >= PL_STEP_RING)
        return pl_load_vq_step(l, step, value);
    switch (word->op) {
    case PL_STEP_RAW:
        return pl_yaml_string(value, &text, l->error, l->cap) && load_hex(l, step, value, text);
    case PL_STEP_CALL:
    case PL_STEP_CONTROL:
        return pl_yaml_string(value, &step->name, l->error, l->cap);
    case PL_STEP_LET:
        return load_let(l, step, value);
    case PL_STEP_BURST:
        return load_branch(l, node, "burst", &step->then, true);
    default:
        break;
    }
    step->expr = pl_load_expr(l, value);
    if (!step->expr)
        return false;
    if (word->op == PL_STEP_EXPECT)
        return load_expect(l, step, node);
    if (word->op == PL_STEP_REPEAT)
        return load_branch(l, node, "steps", &step->then, true);
    if (word->op == PL_STEP_IF)
        return load_branch(l, node, "then", &step->then, true) &&
               load_branch(l, node, "else", &step->otherwise, false);
    return true;
}

static bool load_word(struct pl_load *l, struct pl_step *step, const struct pl_yaml *node)
{
    static const struct {
        const char *name;
        enum pl_step_op op;
    } words[] = {{"fence", PL_STEP_FENCE},
                 {"await_reset", PL_STEP_AWAIT_RESET},
                 {"await_event", PL_STEP_AWAIT_EVENT},
                 {"await_suspended", PL_STEP_AWAIT_SUSPENDED},
                 {"await_resumed", PL_STEP_AWAIT_RESUMED},
                 {"restart", PL_STEP_RESTART},
                 {"enumerate", PL_STEP_ENUMERATE},
                 {"revalidate", PL_STEP_REVALIDATE}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].name, node->text) == 0 && (words[i].op < PL_STEP_DRIVER || l->bus)) {
            step->op = words[i].op;
            return true;
        }
    }
    step->def = pl_spec_message_named(l->s->spec, node->text);
    step->op = PL_STEP_SEND;
    return step->def != NULL ||
           pl_yaml_error(node, l->error, l->cap, "'%s' is neither a step nor a message of %s",
                         node->text, l->s->spec->name);
}

static bool load_step(struct pl_load *l, struct pl_step *step, const struct pl_yaml *node)
{
    const struct pl_yaml *value;
    step->at = node;
    step->clause = -1;
    if (node->kind == PL_YAML_SCALAR)
        return load_word(l, step, node);
    if (node->kind != PL_YAML_MAPPING || node->n == 0)
        return pl_yaml_error(node, l->error, l->cap, "a step is a word or a mapping");
    const struct keyword *word = find_keyword(l, node, &value);
    if (word)
        return load_keyword(l, step, node, word, value);
    step->def = node->n == 1 ? pl_spec_message_named(l->s->spec, node->item[0]->key) : NULL;
    if (!step->def)
        return pl_yaml_error(node->item[0], l->error, l->cap,
                             "is neither a step nor a message of %s", l->s->spec->name);
    return load_message(l, step, node->item[0]);
}

struct pl_steps *pl_load_steps(struct pl_load *l, const struct pl_yaml *node)
{
    if (node->kind != PL_YAML_SEQUENCE) {
        pl_yaml_error(node, l->error, l->cap, "a list of steps is expected");
        return NULL;
    }
    struct pl_steps *steps = pl_load_keep(l->s, 1, sizeof(*steps));
    steps->step = pl_load_keep(l->s, node->n, sizeof(*steps->step));
    steps->n = node->n;
    for (size_t i = 0; i < node->n; i++)
        if (!load_step(l, &steps->step[i], node->item[i]))
            return NULL;
    return steps;
}
