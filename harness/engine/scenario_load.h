/* What the files that read scenarios share. */
#ifndef PL_SCENARIO_LOAD_H
#define PL_SCENARIO_LOAD_H

#include "engine/scenario.h"

struct pl_load {
    struct pl_scenarios *s;
    char *error;
    size_t cap;
    const char *section;
    bool driver; /* the file's scenarios are for drivers */
    bool bus;    /* scenarios of buses are read */
};

/* Zeroed memory that lives as long as the collection. */
void *pl_load_keep(struct pl_scenarios *s, size_t n, size_t size);
/* An expression that lives as long; NULL with the sentence in l->error. */
struct pl_expr *pl_load_expr(struct pl_load *l, const struct pl_yaml *node);
/* The number of a variable that a scenario binds. */
unsigned pl_load_variable(struct pl_load *l, const char *name);
/* Pairs of hexadecimal digits, PL_MSG_MAX bytes at most, into kept memory. */
bool pl_load_hex(struct pl_load *l, const struct pl_yaml *node, const char *text, uint8_t **out,
                 size_t *len);
/* A list of steps; NULL with the sentence in l->error. */
struct pl_steps *pl_load_steps(struct pl_load *l, const struct pl_yaml *node);
/* The fields of a message of step->def, bends among them, by the layout that they are for. */
bool pl_load_fields(struct pl_load *l, struct pl_step *step, const struct pl_layout *layout,
                    const struct pl_yaml *node);
/* A list of words, or one word; NULL-ended. */
const char **pl_load_words(struct pl_load *l, const struct pl_yaml *node);
/* The keys of a scenario that it has in any role; `known` are all keys that it may have. */
bool pl_load_head(struct pl_load *l, struct pl_scenario *scenario, const char *const *known,
                  const struct pl_yaml *node);
/* A scenario for drivers: all of it. */
bool pl_load_provocation(struct pl_load *l, struct pl_scenario *scenario,
                         const struct pl_yaml *node);
/* A step on virtqueues; step->op says which, `value` is what stands behind its word. */
bool pl_load_vq_step(struct pl_load *l, struct pl_step *step, const struct pl_yaml *value);

#endif
