/* Fuzz target: text is read as a YAML document and as scenarios of every draft that has clauses. */
#include "input.h"

#include "engine/scenario.h"
#include "engine/yaml_doc.h"
#include "oracle/oracle.h"

enum { ERROR = 512 };

/* A refusal is one line with something in it. */
static void check_error(const char *error)
{
    fuzz_hold(error[0] != '\0', "a sentence where something is refused");
    fuzz_hold(strlen(error) < ERROR && !strchr(error, '\n'), "one line of error");
}

/* Every node is there to be read, and nothing is deeper or more than the limits say. */
static unsigned walk(const struct pl_yaml *node, unsigned depth)
{
    unsigned nodes = 1;

    fuzz_hold(depth <= PL_YAML_MAX_DEPTH, "the depth of a document");
    fuzz_hold(node->line > 0 && node->file, "a place for every node");
    if (node->kind == PL_YAML_SCALAR)
        fuzz_hold(strlen(node->text) == node->length, "a scalar's length");
    for (size_t i = 0; node->kind != PL_YAML_SCALAR && i < node->n; i++)
        nodes += walk(node->item[i], depth + 1);
    return nodes;
}

/* Values of every kind, of every scalar: what they read must be within what they were given. */
static void read_values(const struct pl_yaml *node)
{
    char error[ERROR] = "";
    uint64_t u = 0;
    int64_t i = 0;

    if (pl_yaml_uint(node, 3, 1000, &u, error, sizeof(error)))
        fuzz_hold(u >= 3 && u <= 1000, "a number within its limits");
    if (pl_yaml_int(node, -5, 1000, &i, error, sizeof(error)))
        fuzz_hold(i >= -5 && i <= 1000, "a signed number within its limits");
    if (pl_yaml_size(node, 1, 1u << 20, &u, error, sizeof(error)))
        fuzz_hold(u >= 1 && u <= 1u << 20, "a size within its limits");
    if (pl_yaml_duration(node, 1, 60000, &u, error, sizeof(error)))
        fuzz_hold(u >= 1 && u <= 60000, "a duration within its limits");
    for (size_t k = 0; node->kind != PL_YAML_SCALAR && k < node->n; k++)
        read_values(node->item[k]);
}

static struct pl_yaml_doc *load(const uint8_t *data, size_t size)
{
    char error[ERROR] = "";
    struct pl_yaml_doc *doc = pl_yaml_load_memory("input", data, size, error, sizeof(error));

    if (!doc)
        check_error(error);
    return doc;
}

static void load_scenarios(const struct pl_spec *spec, const uint8_t *data, size_t size)
{
    char error[ERROR] = "";
    struct pl_yaml_doc *doc = load(data, size);
    struct pl_scenarios *scenarios = doc ? pl_scenarios_new(spec) : NULL;

    if (!scenarios) {
        pl_yaml_free(doc);
        return;
    }
    bool good = pl_scenarios_add(scenarios, doc, error, sizeof(error)) &&
                pl_scenarios_check(scenarios, error, sizeof(error));
    if (!good)
        check_error(error);
    for (size_t i = 0; good && i < scenarios->n; i++)
        pl_scenario_selected(&scenarios->list[i], scenarios->list[scenarios->n - 1].name);
    pl_scenarios_free(scenarios);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pl_yaml_doc *doc = load(data, size);

    if (!doc)
        return 0;
    fuzz_hold(walk(pl_yaml_root(doc), 0) <= PL_YAML_MAX_NODES, "the number of nodes");
    read_values(pl_yaml_root(doc));
    pl_yaml_free(doc);
    for (size_t i = 0; pl_specs[i]; i++)
        if (pl_clauses_find(pl_specs[i]))
            load_scenarios(pl_specs[i], data, size);
    return 0;
}
