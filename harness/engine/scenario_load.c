/* Reading scenarios: from YAML nodes to checked steps, every mistake named with file and line. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/scenario_load.h"

enum { CHOICES_MAX = 10000 };

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
    l->s->exprs = list;
    list[l->s->n_exprs++] = expr;
    return expr;
}

static struct pl_steps *load_steps(struct pl_load *l, const struct pl_yaml *node);

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

static bool load_message(struct pl_load *l, struct pl_step *step, const struct pl_yaml *node)
{
    step->op = PL_STEP_SEND;
    if (node->kind == PL_YAML_SCALAR && node->length == 0)
        return true;
    if (node->kind != PL_YAML_MAPPING)
        return pl_yaml_error(node, l->error, l->cap, "a message takes a mapping of fields");
    const struct pl_yaml *response = pl_yaml_get(node, "_response");
    const struct pl_layout *layout =
        response && step->def->response ? step->def->response : step->def->request;
    step->assign = pl_load_keep(l->s, node->n, sizeof(*step->assign));
    for (size_t i = 0; i < node->n; i++)
        if (!load_field(l, step, layout, node->item[i]))
            return false;
    return true;
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
    *out = load_steps(l, node);
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

static const struct keyword *find_keyword(const struct pl_yaml *node, const struct pl_yaml **value)
{
    for (size_t i = 0; i < sizeof(keywords) / sizeof(keywords[0]); i++) {
        *value = pl_yaml_get(node, keywords[i].name);
        if (*value)
            return &keywords[i];
    }
    return NULL;
}

static bool load_keyword(struct pl_load *l, struct pl_step *step, const struct pl_yaml *node,
                         const struct keyword *word, const struct pl_yaml *value)
{
    const char *text;
    step->op = word->op;
    if (!pl_yaml_known_keys(node, word->keys, l->error, l->cap))
        return false;
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
                 {"await_event", PL_STEP_AWAIT_EVENT}};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(words[i].name, node->text) == 0) {
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
    const struct keyword *word = find_keyword(node, &value);
    if (word)
        return load_keyword(l, step, node, word, value);
    step->def = node->n == 1 ? pl_spec_message_named(l->s->spec, node->item[0]->key) : NULL;
    if (!step->def)
        return pl_yaml_error(node->item[0], l->error, l->cap,
                             "is neither a step nor a message of %s", l->s->spec->name);
    return load_message(l, step, node->item[0]);
}

static struct pl_steps *load_steps(struct pl_load *l, const struct pl_yaml *node)
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

/* --- scenarios --- */

static bool has_ring_steps(const struct pl_steps *steps)
{
    for (size_t i = 0; steps && i < steps->n; i++)
        if (steps->step[i].io || has_ring_steps(steps->step[i].then) ||
            has_ring_steps(steps->step[i].otherwise))
            return true;
    return false;
}

/* A list of words, or one word. */
static const char **load_words(struct pl_load *l, const struct pl_yaml *node)
{
    size_t n = node->kind == PL_YAML_SEQUENCE ? node->n : 1;
    const char **words = pl_load_keep(l->s, n + 1, sizeof(*words));
    for (size_t i = 0; i < n; i++) {
        const struct pl_yaml *item = node->kind == PL_YAML_SEQUENCE ? node->item[i] : node;
        if (!pl_yaml_string(item, &words[i], l->error, l->cap))
            return NULL;
    }
    return words;
}

static bool load_clause_ids(struct pl_load *l, struct pl_scenario *scenario,
                            const struct pl_yaml *node)
{
    scenario->clauses = load_words(l, node);
    for (size_t i = 0; scenario->clauses && scenario->clauses[i]; i++)
        if (pl_clauses_index(l->s->clauses, scenario->clauses[i]) < 0)
            return pl_yaml_error(node, l->error, l->cap, "'%s' is no clause of %s",
                                 scenario->clauses[i], l->s->spec->name);
    return scenario->clauses != NULL;
}

static bool load_with(struct pl_load *l, struct pl_scenario *scenario, const struct pl_yaml *node)
{
    if (node->kind != PL_YAML_MAPPING)
        return pl_yaml_error(node, l->error, l->cap,
                             "takes a mapping of names and lists of values");
    scenario->with = pl_load_keep(l->s, node->n, sizeof(*scenario->with));
    scenario->n_with = node->n;
    size_t product = 1;
    for (size_t i = 0; i < node->n; i++) {
        const struct pl_yaml *list = node->item[i];
        struct pl_parameter *p = &scenario->with[i];
        if (list->kind != PL_YAML_SEQUENCE || !list->n)
            return pl_yaml_error(list, l->error, l->cap, "a parameter has a list of values");
        p->name = list->key;
        p->value = pl_load_keep(l->s, list->n, sizeof(struct pl_expr *));
        p->n = list->n;
        product *= list->n;
        if (product > CHOICES_MAX)
            return pl_yaml_error(node, l->error, l->cap,
                                 "the parameters have more than %d combinations", CHOICES_MAX);
        for (size_t k = 0; k < list->n; k++) {
            p->value[k] = pl_load_expr(l, list->item[k]);
            if (!p->value[k])
                return false;
        }
    }
    return true;
}

static bool load_scenario(struct pl_load *l, struct pl_scenario *scenario,
                          const struct pl_yaml *node)
{
    static const char *const known[] = {"name",  "section", "clauses", "when",  "needs",
                                        "given", "with",    "steps",   "rings", NULL};
    const struct pl_yaml *value;
    if (node->kind != PL_YAML_MAPPING)
        return pl_yaml_error(node, l->error, l->cap, "a scenario is a mapping");
    if (!pl_yaml_known_keys(node, known, l->error, l->cap))
        return false;
    scenario->section = l->section;
    scenario->file = node->file;
    if (!(value = pl_yaml_get(node, "name")))
        return pl_yaml_error(node, l->error, l->cap, "'name' is missing");
    if (!pl_yaml_string(value, &scenario->name, l->error, l->cap))
        return false;
    for (size_t i = 0; i < l->s->n; i++)
        if (strcmp(l->s->list[i].name, scenario->name) == 0)
            return pl_yaml_error(value, l->error, l->cap, "'%s' stands in %s already",
                                 scenario->name, l->s->list[i].file);
    if ((value = pl_yaml_get(node, "section")) &&
        !pl_yaml_string(value, &scenario->section, l->error, l->cap))
        return false;
    if (!(value = pl_yaml_get(node, "clauses")))
        return pl_yaml_error(node, l->error, l->cap, "'clauses' is missing");
    if (!load_clause_ids(l, scenario, value))
        return false;
    if ((value = pl_yaml_get(node, "when")) && !(scenario->when = pl_load_expr(l, value)))
        return false;
    if ((value = pl_yaml_get(node, "needs")) && !(scenario->needs = pl_load_expr(l, value)))
        return false;
    if ((value = pl_yaml_get(node, "given")) && !(scenario->given = load_words(l, value)))
        return false;
    scenario->at = value ? value : node;
    if ((value = pl_yaml_get(node, "with")) && !load_with(l, scenario, value))
        return false;
    if (!(value = pl_yaml_get(node, "steps")))
        return pl_yaml_error(node, l->error, l->cap, "'steps' is missing");
    scenario->steps = load_steps(l, value);
    if ((value = pl_yaml_get(node, "rings")) &&
        !pl_yaml_bool(value, &scenario->rings, l->error, l->cap))
        return false;
    scenario->rings |= has_ring_steps(scenario->steps);
    return scenario->steps != NULL;
}

static bool load_list(struct pl_load *l, const struct pl_yaml *node)
{
    if (node->kind != PL_YAML_SEQUENCE)
        return pl_yaml_error(node, l->error, l->cap, "a list of scenarios is expected");
    for (size_t i = 0; i < node->n; i++) {
        struct pl_scenario scenario = {0};
        if (!load_scenario(l, &scenario, node->item[i]))
            return false;
        struct pl_scenario *list = realloc(l->s->list, (l->s->n + 1) * sizeof(*list));
        if (!list)
            abort();
        l->s->list = list;
        list[l->s->n++] = scenario;
    }
    return true;
}

static bool load_procedures(struct pl_load *l, const struct pl_yaml *node)
{
    if (node->kind != PL_YAML_MAPPING)
        return pl_yaml_error(node, l->error, l->cap, "takes a mapping of names and steps");
    for (size_t i = 0; i < node->n; i++) {
        if (pl_scenarios_procedure(l->s, node->item[i]->key))
            return pl_yaml_error(node->item[i], l->error, l->cap, "is a procedure already");
        struct pl_steps *steps = load_steps(l, node->item[i]);
        if (!steps)
            return false;
        struct pl_procedure *list =
            realloc(l->s->procedures, (l->s->n_procedures + 1) * sizeof(*list));
        if (!list)
            abort();
        l->s->procedures = list;
        list[l->s->n_procedures++] = (struct pl_procedure){node->item[i]->key, steps};
    }
    return true;
}

bool pl_scenarios_add(struct pl_scenarios *s, struct pl_yaml_doc *doc, char *error, size_t cap)
{
    static const char *const known[] = {"section", "scenarios", "procedures", NULL};
    struct pl_load l = {s, error, cap, "-"};
    const struct pl_yaml *root = pl_yaml_root(doc), *node;
    struct pl_yaml_doc **docs = realloc(s->docs, (s->n_docs + 1) * sizeof(struct pl_yaml_doc *));
    if (!docs)
        abort();
    s->docs = docs;
    docs[s->n_docs++] = doc;
    if (root->kind != PL_YAML_MAPPING)
        return pl_yaml_error(root, error, cap, "a mapping with 'scenarios' is expected");
    if (!pl_yaml_known_keys(root, known, error, cap))
        return false;
    if (!pl_yaml_get(root, "scenarios") && !pl_yaml_get(root, "procedures"))
        return pl_yaml_error(root, error, cap, "neither 'scenarios' nor 'procedures' is there");
    if ((node = pl_yaml_get(root, "section")) && !pl_yaml_string(node, &l.section, error, cap))
        return false;
    if ((node = pl_yaml_get(root, "procedures")) && !load_procedures(&l, node))
        return false;
    node = pl_yaml_get(root, "scenarios");
    return !node || load_list(&l, node);
}
