/* One subject of a self-test, of any role: its run's report taken down, and what that says. */
#include "cli/selftest_outcome.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* The clause behind number `after` that has this id: reports keep the order of the table. */
static size_t index_of(const struct pl_clauses *table, size_t after, const char *id)
{
    size_t n = pl_clauses_count(table), i = after;
    while (strcmp(pl_clauses_get(table, i)->id, id) != 0)
        i = i + 1 < n ? i + 1 : 0;
    return i;
}

static void note_report(const struct pl_clauses *table, const struct pl_report *report,
                        struct pl_outcome *out)
{
    size_t index = 0;
    for (size_t i = 0; i < report->n_clauses; i++) {
        const struct pl_clause_result *c = &report->clauses[i];
        index = index_of(table, index, c->id);
        out->applied[index] = c->count;
        out->used[index] = c->verdict == PL_CLAUSE_OPTION_USED;
        out->warned[index] = c->verdict == PL_CLAUSE_WARNING;
        out->failed[index] = c->verdict == PL_CLAUSE_FAIL || c->verdict == PL_CLAUSE_WARNING;
    }
    for (size_t i = 0; i < report->n_findings; i++) {
        const struct pl_finding *f = &report->findings[i];
        out->other_findings += f->kind != PL_FINDING_CLAUSE;
        if (!out->text[0] && !f->warning)
            snprintf(out->text, sizeof(out->text), "%s: %.200s", f->scenario ? f->scenario : "-",
                     f->text);
    }
    out->error = report->why_not && report->n_findings == 0 ? -EINVAL : 0;
    if (out->error)
        snprintf(out->text, sizeof(out->text), "%s", report->why_not);
}

void pl_outcome_play(const struct pl_suite_options *options, struct pl_outcome *out)
{
    char error[256];
    int err;
    memset(out, 0, sizeof(*out));
    out->error = -ENOMEM;
    if (!options->port)
        return;
    struct pl_suite *suite = pl_suite_run(options, &err, error, sizeof(error));
    out->error = err;
    if (suite)
        note_report(options->scenarios->clauses, pl_suite_report(suite), out);
    else
        snprintf(out->text, sizeof(out->text), "%s", error);
    pl_suite_free(suite);
    options->port->ops->close(options->port);
}

bool pl_outcome_breaks(const char *const *clauses, const char *id)
{
    for (size_t i = 0; clauses[i]; i++)
        if (strcmp(clauses[i], id) == 0)
            return true;
    return false;
}

const char *pl_outcome_verdict(const struct pl_outcome *out, const struct pl_clauses *table,
                               const char *const *clauses)
{
    bool any = out->other_findings > 0;
    for (size_t c = 0; c < pl_clauses_count(table); c++) {
        if (!out->failed[c])
            continue;
        if (pl_outcome_breaks(clauses, pl_clauses_get(table, c)->id))
            return "killed";
        any = true;
    }
    return any ? "misattributed" : "alive";
}

bool pl_outcome_clean(const struct pl_outcome *out, const struct pl_clauses *table)
{
    if (out->error || out->other_findings)
        return false;
    for (size_t c = 0; c < pl_clauses_count(table); c++)
        if (out->failed[c] && !out->warned[c])
            return false;
    return true;
}

void pl_outcome_print_failed(const struct pl_outcome *out, const struct pl_clauses *table)
{
    for (size_t c = 0; c < pl_clauses_count(table); c++)
        if (out->failed[c])
            printf(" %s", pl_clauses_get(table, c)->id);
}

bool pl_outcome_tell_unproven(const char *id, bool proven, bool passed)
{
    if (!proven)
        printf("no mutant dies of %s\n", id);
    if (!passed)
        printf("no legal run passes %s\n", id);
    return !proven || !passed;
}

void pl_outcome_add(const struct pl_outcome *out, struct pl_selftest_matrix *matrix,
                    const struct pl_clauses *table, const char *role, const char *id,
                    const char *const *clauses)
{
    json_t *breaks = json_array(), *killed = json_array();
    for (size_t k = 0; clauses[k]; k++)
        json_array_append_new(breaks, json_string(clauses[k]));
    for (size_t c = 0; c < pl_clauses_count(table); c++)
        if (out->failed[c])
            json_array_append_new(killed, json_string(pl_clauses_get(table, c)->id));
    const char *verdict = out->ran ? pl_outcome_verdict(out, table, clauses) : "not-run";
    json_array_append_new(matrix->mutants,
                          json_pack("{s:s, s:s, s:o, s:o, s:s}", "id", id, "role", role, "clauses",
                                    breaks, "killed_by", killed, "verdict", verdict));
}
