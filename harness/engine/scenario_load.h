/* What the files that read scenarios share. */
#ifndef PL_SCENARIO_LOAD_H
#define PL_SCENARIO_LOAD_H

#include "engine/scenario.h"

struct pl_load {
    struct pl_scenarios *s;
    char *error;
    size_t cap;
    const char *section;
};

/* Zeroed memory that lives as long as the collection. */
void *pl_load_keep(struct pl_scenarios *s, size_t n, size_t size);
/* An expression that lives as long; NULL with the sentence in l->error. */
struct pl_expr *pl_load_expr(struct pl_load *l, const struct pl_yaml *node);
/* Pairs of hexadecimal digits, PL_MSG_MAX bytes at most, into kept memory. */
bool pl_load_hex(struct pl_load *l, const struct pl_yaml *node, const char *text, uint8_t **out,
                 size_t *len);
/* A step on virtqueues; step->op says which, `value` is what stands behind its word. */
bool pl_load_vq_step(struct pl_load *l, struct pl_step *step, const struct pl_yaml *value);

#endif
