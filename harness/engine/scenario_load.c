/* Reading scenarios: from YAML nodes to checked scenarios, every mistake named with file and line.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/scenario_load.h"

enum { CHOICES_MAX = 10000 };

static bool has_ring_steps(const struct pl_steps *steps)
{
    for (size_t i = 0; steps && i < steps->n; i++)
        if (steps->step[i].io || has_ring_steps(steps->step[i].then) ||
            has_ring_steps(steps->step[i].otherwise))
            return true;
    return false;
}

/* A list of words, or one word. */
const char **pl_load_words(struct pl_load *l, const struct pl_yaml *node)
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
    scenario->clauses = pl_load_words(l, node);
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
        p->variable = pl_load_variable(l, list->key);
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

bool pl_load_head(struct pl_load *l, struct pl_scenario *scenario, const char *const *known,
                  const struct pl_yaml *node)
{
    const struct pl_yaml *value;
    if (node->kind != PL_YAML_MAPPING)
        return pl_yaml_error(node, l->error, l->cap, "a scenario is a mapping");
    if (!pl_yaml_known_keys(node, known, l->error, l->cap))
        return false;
    scenario->section = l->section;
    scenario->file = node->file;
    scenario->at = node;
    if (!(value = pl_yaml_get(node, "name")))
        return pl_yaml_error(node, l->error, l->cap, "'name' is missing");
    if (!pl_yaml_string(value, &scenario->name, l->error, l->cap))
        return false;
    for (size_t i = 0; i < l->s->n + l->s->n_bus; i++) {
        const struct pl_scenario *other =
            i < l->s->n ? &l->s->list[i] : &l->s->bus_list[i - l->s->n];
        if (strcmp(other->name, scenario->name) == 0)
            return pl_yaml_error(value, l->error, l->cap, "'%s' stands in %s already",
                                 scenario->name, other->file);
    }
    if ((value = pl_yaml_get(node, "section")) &&
        !pl_yaml_string(value, &scenario->section, l->error, l->cap))
        return false;
    if (!(value = pl_yaml_get(node, "clauses")))
        return pl_yaml_error(node, l->error, l->cap, "'clauses' is missing");
    if (!load_clause_ids(l, scenario, value))
        return false;
    if ((value = pl_yaml_get(node, "needs")) && !(scenario->needs = pl_load_expr(l, value)))
        return false;
    return !(value = pl_yaml_get(node, "with")) || load_with(l, scenario, value);
}

static bool load_scenario(struct pl_load *l, struct pl_scenario *scenario,
                          const struct pl_yaml *node)
{
    static const char *const known[] = {"name",  "section", "clauses", "when",  "needs",
                                        "given", "with",    "steps",   "rings", NULL};
    const struct pl_yaml *value;
    if (!pl_load_head(l, scenario, known, node))
        return false;
    if ((value = pl_yaml_get(node, "when")) && !(scenario->when = pl_load_expr(l, value)))
        return false;
    if ((value = pl_yaml_get(node, "given")) && !(scenario->given = pl_load_words(l, value)))
        return false;
    scenario->at = value ? value : node;
    if (!(value = pl_yaml_get(node, "steps")))
        return pl_yaml_error(node, l->error, l->cap, "'steps' is missing");
    scenario->steps = pl_load_steps(l, value);
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
        if (!(l->driver ? pl_load_provocation : load_scenario)(l, &scenario, node->item[i]))
            return false;
        struct pl_scenario **to = l->bus ? &l->s->bus_list : &l->s->list;
        size_t *n = l->bus ? &l->s->n_bus : &l->s->n;
        struct pl_scenario *list = realloc(*to, (*n + 1) * sizeof(*list));
        if (!list)
            abort();
        *to = list;
        list[(*n)++] = scenario;
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
        struct pl_steps *steps = pl_load_steps(l, node->item[i]);
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
    static const char *const known[] = {"section", "role", "scenarios", "procedures", NULL};
    static const char *const roles[] = {"device", "driver", "bus", NULL};
    struct pl_load l = {s, error, cap, "-", false, false};
    size_t role = 0;
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
    if (!pl_yaml_get_word(root, "role", roles, &role, error, cap))
        return false;
    l.driver = role == 1;
    l.bus = role == 2;
    if ((node = pl_yaml_get(root, "procedures")) && !load_procedures(&l, node))
        return false;
    node = pl_yaml_get(root, "scenarios");
    return !node || load_list(&l, node);
}
