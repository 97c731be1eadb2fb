/* The table of verdicts: a block for each catalogue and device type, a row for each level. */
#include <string.h>

#include "report/internal.h"

/* In the order of columns: first what was seen of the IUT, then what was not. */
static const enum pl_clause_verdict columns[] = {
    PL_CLAUSE_PASS,
    PL_CLAUSE_FAIL,
    PL_CLAUSE_WARNING,
    PL_CLAUSE_OPTION_USED,
    PL_CLAUSE_OPTION_NOT_USED,
    PL_CLAUSE_DECLARED,
    PL_CLAUSE_NOT_EXERCISED,
    PL_CLAUSE_NOT_OBSERVABLE,
    PL_CLAUSE_NOT_JUDGED,
};
static const char *const levels[] = {"MUST", "SHOULD", "MAY"};

#define COLUMNS (sizeof columns / sizeof columns[0])
#define LEVELS  (sizeof levels / sizeof levels[0])

struct table {
    const struct pl_report *report;
    FILE *out;
    bool color;
    bool shown[COLUMNS]; /* some clause has this verdict */
    int width;           /* of the first column */
};

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

static bool same_block(const struct pl_clause_result *a, const struct pl_clause_result *b)
{
    return same(a->spec, b->spec) && same(a->type, b->type);
}

/* The catalogue, and the device type where the clauses bind one: "virtio-1.4 block". */
static void block_name(const struct table *t, const struct pl_clause_result *clause, char *name,
                       size_t cap)
{
    const char *spec = clause->spec ? clause->spec : t->report->spec->name;
    snprintf(name, cap, "%s%s%s", spec, clause->type ? " " : "", clause->type ? clause->type : "");
}

/* Whether a clause is the first of its block. */
static bool opens_block(const struct pl_report *report, size_t index)
{
    for (size_t i = 0; i < index; i++)
        if (same_block(&report->clauses[i], &report->clauses[index]))
            return false;
    return true;
}

/* Clauses of a block and level that bind the IUT, by column; how many there are. */
static size_t count_row(const struct pl_report *report, size_t block, const char *level,
                        size_t counts[COLUMNS])
{
    size_t all = 0;
    memset(counts, 0, COLUMNS * sizeof counts[0]);
    for (size_t i = 0; i < report->n_clauses; i++) {
        const struct pl_clause_result *clause = &report->clauses[i];
        if (clause->other_type || !same_block(clause, &report->clauses[block]) ||
            strcmp(clause->level, level) != 0)
            continue;
        for (size_t c = 0; c < COLUMNS; c++)
            counts[c] += clause->verdict == columns[c];
        all++;
    }
    return all;
}

static void put_row(const struct table *t, const char *name, const char *level,
                    const size_t counts[COLUMNS])
{
    fprintf(t->out, "%-*s  %-6s", t->width, name, level);
    for (size_t c = 0; c < COLUMNS; c++) {
        int width = (int)strlen(pl_clause_verdict_name(columns[c]));
        bool mark = t->color && counts[c] > 0 && columns[c] == PL_CLAUSE_FAIL;
        if (!t->shown[c])
            continue;
        if (counts[c] == 0)
            fprintf(t->out, "  %*s", width, "-");
        else
            fprintf(t->out, "  %s%*zu%s", mark ? "\033[1;31m" : "", width, counts[c],
                    mark ? "\033[0m" : "");
    }
    fputc('\n', t->out);
}

static void put_head(const struct table *t)
{
    fprintf(t->out, "%-*s  %-6s", t->width, "clauses of", "level");
    for (size_t c = 0; c < COLUMNS; c++)
        if (t->shown[c])
            fprintf(t->out, "  %s", pl_clause_verdict_name(columns[c]));
    fputc('\n', t->out);
}

static void put_block(const struct table *t, size_t block)
{
    char name[96];
    size_t counts[COLUMNS];
    block_name(t, &t->report->clauses[block], name, sizeof name);
    for (size_t level = 0; level < LEVELS; level++) {
        if (count_row(t->report, block, levels[level], counts) == 0)
            continue;
        put_row(t, name, levels[level], counts);
        name[0] = '\0';
    }
}

/* Column widths, and which columns there are. */
static void measure(struct table *t)
{
    t->width = (int)strlen("clauses of");
    for (size_t i = 0; i < t->report->n_clauses; i++) {
        char name[96];
        block_name(t, &t->report->clauses[i], name, sizeof name);
        for (size_t c = 0; c < COLUMNS && !t->report->clauses[i].other_type; c++) {
            t->shown[c] |= t->report->clauses[i].verdict == columns[c];
            t->width = (int)strlen(name) > t->width ? (int)strlen(name) : t->width;
        }
    }
}

/* The device types whose clauses bind no device of the IUT, each once. */
static void put_other_types(const struct table *t, size_t count)
{
    const struct pl_report *report = t->report;
    const char *before = "";
    if (count == 0)
        return;
    fprintf(t->out, "%zu clauses of other device types do not bind this implementation: ", count);
    for (size_t i = 0; i < report->n_clauses; i++) {
        bool first = report->clauses[i].other_type;
        for (size_t k = 0; first && k < i; k++)
            first = !same(report->clauses[k].type, report->clauses[i].type);
        if (!first)
            continue;
        fprintf(t->out, "%s%s", before, report->clauses[i].type ? report->clauses[i].type : "any");
        before = ", ";
    }
    fputc('\n', t->out);
}

void pl_report_table(const struct pl_report *report, const struct pl_tally *tally, FILE *out,
                     bool color)
{
    struct table t = {.report = report, .out = out, .color = color};
    if (report->n_clauses == 0)
        return;
    measure(&t);
    put_head(&t);
    for (size_t i = 0; i < report->n_clauses; i++)
        if (opens_block(report, i))
            put_block(&t, i);
    put_other_types(&t, tally->n_other_type);
    fputc('\n', out);
}
