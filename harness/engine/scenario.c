/* Scenario collections: their life, lookups, and the checks that need all files together. */
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/scenario.h"

struct pl_scenarios *pl_scenarios_new(const struct pl_spec *spec)
{
    struct pl_scenarios *s = calloc(1, sizeof(*s));
    if (!s)
        return NULL;
    s->spec = spec;
    s->clauses = pl_clauses_find(spec);
    if (pl_names_init(&s->names, spec))
        return s;
    pl_scenarios_free(s);
    return NULL;
}

void pl_scenarios_free(struct pl_scenarios *s)
{
    if (!s)
        return;
    for (size_t i = 0; i < s->n_allocations; i++)
        free(s->allocations[i]);
    for (size_t i = 0; i < s->n_exprs; i++)
        pl_expr_free(s->exprs[i]);
    for (size_t i = 0; i < s->n_docs; i++)
        pl_yaml_free(s->docs[i]);
    pl_names_free(&s->names);
    free(s->allocations);
    free(s->exprs);
    free(s->docs);
    free(s->procedures);
    free(s->list);
    free(s->bus_list);
    free(s);
}

const struct pl_procedure *pl_scenarios_procedure(const struct pl_scenarios *s, const char *name)
{
    for (size_t i = 0; i < s->n_procedures; i++)
        if (strcmp(s->procedures[i].name, name) == 0)
            return &s->procedures[i];
    return NULL;
}

bool pl_scenarios_add_embedded(struct pl_scenarios *s, char *error, size_t cap)
{
    for (const struct pl_embedded *e = pl_embedded_scenarios; e->name; e++) {
        struct pl_yaml_doc *doc =
            pl_yaml_load_memory(e->name, e->text, strlen(e->text), error, cap);
        if (!doc || !pl_scenarios_add(s, doc, error, cap))
            return false;
    }
    return true;
}

static bool matches(const struct pl_scenario *scenario, const char *pattern)
{
    if (fnmatch(pattern, scenario->name, 0) == 0 || fnmatch(pattern, scenario->section, 0) == 0)
        return true;
    size_t n = strlen(pattern);
    if (strncmp(scenario->section, pattern, n) == 0 && scenario->section[n] == '/')
        return true;
    for (size_t i = 0; scenario->clauses[i]; i++)
        if (fnmatch(pattern, scenario->clauses[i], 0) == 0)
            return true;
    return false;
}

bool pl_scenario_selected(const struct pl_scenario *scenario, const char *pattern)
{
    char one[256];
    while (pattern && *pattern) {
        size_t n = strcspn(pattern, ",");
        snprintf(one, sizeof(one), "%.*s", (int)(n < sizeof(one) ? n : sizeof(one) - 1), pattern);
        if (matches(scenario, one))
            return true;
        pattern += n + (pattern[n] == ',');
    }
    return false;
}
