/* Expressions of scenarios: parsed once, evaluated often, over 64-bit unsigned numbers. */
#ifndef PL_EXPR_H
#define PL_EXPR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pl_expr; /* a parsed expression */

/* A name as an expression uses it, a function's with "()" behind, and its number. */
struct pl_expr_name {
    const char *text;
    unsigned number; /* as pl_expr_number gave it; 0: none */
};

/*
 * What names and functions mean. Both return false and write why where they have no value: a name
 * that is unknown, a response that never came.
 */
struct pl_expr_env {
    bool (*name)(void *opaque, const struct pl_expr_name *name, uint64_t *value, char *why,
                 size_t cap);
    bool (*call)(void *opaque, const struct pl_expr_name *name, const uint64_t *args, size_t n,
                 uint64_t *value, char *why, size_t cap);
    void *opaque;
};

/*
 * Parse one expression: numbers (decimal, 0x), names with dots, $name as name, calls, and or not
 * ! ~ * / % + - << >> & ^ | == != < <= > >= && ||, in C's precedence. NULL and one sentence in
 * `why`.
 */
struct pl_expr *pl_expr_parse(const char *text, char *why, size_t cap);
void pl_expr_free(struct pl_expr *expr);

/* Give each name a number, which whoever says what it means can go by instead of its text. */
void pl_expr_number(struct pl_expr *expr, unsigned (*fn)(void *opaque, const char *name),
                    void *opaque);

/* Evaluate. Division by zero and shifts beyond 63 are errors, never undefined. */
bool pl_expr_eval(const struct pl_expr *expr, const struct pl_expr_env *env, uint64_t *value,
                  char *why, size_t cap);

/* Call `fn` for each name that the expression uses (functions with a "()" behind). */
void pl_expr_names(const struct pl_expr *expr, void (*fn)(void *opaque, const char *name),
                   void *opaque);
const char *pl_expr_text(const struct pl_expr *expr);

#endif
