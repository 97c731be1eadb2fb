/* The scenarios that cases can name: those that the program carries, loaded once. */
#include <pthread.h>
#include <string.h>

#include "engine/run.h"
#include "fuzz/case.h"

enum { SPECS_MAX = 16 };

static struct pl_scenarios *loaded[SPECS_MAX]; /* of each draft that has clauses; live for ever */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void load_all(void)
{
    char error[512];
    for (size_t i = 0; pl_specs[i] && i < SPECS_MAX; i++) {
        struct pl_scenarios *s =
            pl_clauses_find(pl_specs[i]) ? pl_scenarios_new(pl_specs[i]) : NULL;
        if (s && pl_scenarios_add_embedded(s, error, sizeof(error)) &&
            pl_scenarios_check(s, error, sizeof(error)))
            loaded[i] = s;
        else
            pl_scenarios_free(s);
    }
}

const struct pl_scenarios *pl_case_scenarios(const struct pl_spec *spec)
{
    pthread_once(&once, load_all);
    for (size_t i = 0; pl_specs[i] && i < SPECS_MAX; i++)
        if (pl_specs[i] == spec)
            return loaded[i];
    return NULL;
}

/* The list that holds those of a role, among others; *n of it. */
static const struct pl_scenario *list_of(const struct pl_scenarios *all, enum pl_iut role,
                                         size_t *n)
{
    *n = !all ? 0 : role == PL_IUT_BUS ? all->n_bus : all->n;
    return *n == 0 ? NULL : role == PL_IUT_BUS ? all->bus_list : all->list;
}

static bool is_of(const struct pl_scenario *scenario, enum pl_iut role)
{
    return (scenario->drive != NULL) == (role == PL_IUT_DRIVER);
}

const struct pl_scenario *pl_case_scenario(const struct pl_spec *spec, enum pl_iut role, size_t at)
{
    size_t n;
    const struct pl_scenario *list = list_of(pl_case_scenarios(spec), role, &n);
    for (size_t i = 0; i < n; i++)
        if (is_of(&list[i], role) && at-- == 0)
            return &list[i];
    return NULL;
}

size_t pl_case_scenarios_of(const struct pl_spec *spec, enum pl_iut role)
{
    size_t n, found = 0;
    const struct pl_scenario *list = list_of(pl_case_scenarios(spec), role, &n);
    for (size_t i = 0; i < n; i++)
        found += is_of(&list[i], role);
    return found;
}

int pl_case_scenario_find(const struct pl_spec *spec, enum pl_iut role, const char *name)
{
    size_t n;
    const struct pl_scenario *list = list_of(pl_case_scenarios(spec), role, &n);
    for (int i = 0, at = 0; i < (int)n; i++) {
        if (!is_of(&list[i], role))
            continue;
        if (strcmp(list[i].name, name) == 0)
            return at;
        at++;
    }
    return -1;
}
