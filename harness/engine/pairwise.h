/* Rows of parameter values such that any two values of any two parameters meet in one of them. */
#ifndef PL_PAIRWISE_H
#define PL_PAIRWISE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PL_PAIRWISE_PARAMETERS = 16, PL_PAIRWISE_VALUES = 10 };

/* Parameters are numbered from 0, and so are the values of each; value 0 is the plain one. */
struct pl_pairwise_space {
    size_t n;                              /* parameters */
    size_t values[PL_PAIRWISE_PARAMETERS]; /* how many values each has, at least 1 */
    uint64_t seed;                         /* the same seed gives the same rows */
    /* May value v of parameter p not stand beside value w of q (p < q)? NULL: all may. */
    bool (*forbidden)(const void *opaque, size_t p, size_t v, size_t q, size_t w);
    const void *opaque;
};

/* Value numbers, a row behind the other; owned by the holder, see pl_rows_free. */
struct pl_rows {
    uint8_t *value; /* [n * width] */
    size_t n, width;
    size_t cap;
};

/*
 * A covering array of strength 2: every pair of values that can stand in a row at all stands in at
 * least one. The first row is the one of plain values, where that is allowed. 0, -ENOMEM, or
 * -EINVAL where the space has too many parameters or values, or a parameter without any.
 */
int pl_pairwise(const struct pl_pairwise_space *space, struct pl_rows *rows);
/* Every row that is allowed: the full cross product. The same errors. */
int pl_pairwise_product(const struct pl_pairwise_space *space, struct pl_rows *rows);
const uint8_t *pl_row(const struct pl_rows *rows, size_t i);
void pl_rows_free(struct pl_rows *rows);

#endif
