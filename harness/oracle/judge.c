/* Verdicts on clauses: counting what held, reporting what did not, running the models' rules. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "oracle/private.h"

static const uint16_t *clauses_of(const struct pl_oracle *o, enum pl_predicate p)
{
    return o->clauses->by_predicate[p];
}

void pl_held(struct pl_oracle *o, enum pl_predicate p)
{
    for (const uint16_t *c = clauses_of(o, p); *c != UINT16_MAX; c++)
        pl_applied(o, *c);
}

void pl_used(struct pl_oracle *o, enum pl_predicate p)
{
    for (const uint16_t *c = clauses_of(o, p); *c != UINT16_MAX; c++) {
        pl_applied(o, *c);
        o->states[*c].used = true;
    }
}

static void fail_clause(struct pl_oracle *o, size_t clause, const char *text)
{
    pl_applied(o, clause);
    o->states[clause].failed++;
    if (o->fail)
        o->fail(o->opaque, clause, text);
}

void pl_broken(struct pl_oracle *o, enum pl_predicate p, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    for (const uint16_t *c = clauses_of(o, p); *c != UINT16_MAX; c++)
        fail_clause(o, *c, text);
}

void pl_run_rules(struct pl_oracle *o, const struct pl_facts *f, bool event)
{
    for (size_t i = 0; i < o->clauses->n_rules; i++) {
        const struct pl_rule *rule = &o->clauses->rules[i];
        if (rule->event != event || (rule->kind != PL_NONE && rule->kind != f->resp->kind))
            continue;
        if (!rule->when(f))
            continue;
        if (rule->require(f)) {
            pl_applied(o, rule->clause);
            o->states[rule->clause].used = true;
        } else if (strcmp(o->clauses->defs[rule->clause].level, "MAY") == 0) {
            pl_applied(o, rule->clause); /* MAY: an option not used here */
        } else {
            char text[512];
            snprintf(text, sizeof(text), "does not hold: %s", rule->text);
            fail_clause(o, rule->clause, text);
        }
    }
}
