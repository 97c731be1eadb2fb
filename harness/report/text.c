/* The report for people: header, table of verdicts, a block for each broken clause, the outcome. */
#include <stdlib.h>
#include <string.h>

#include "report/internal.h"

/* Messages shown before and after the culprit; a trace file has the rest. */
#define SHOWN_BEFORE 12u
#define SHOWN_AFTER  4u

#define RED    "\033[1;31m"
#define GREEN  "\033[1;32m"
#define YELLOW "\033[1;33m"
#define BOLD   "\033[1m"

struct text {
    FILE *out;
    bool color, verbose;
};

/* Text from anywhere, with continuation lines indented; control characters never reach a terminal.
 */
static void put_text(const struct text *t, const char *text, int indent)
{
    char *clean = pl_text_clean(text);
    size_t length = clean ? strlen(clean) : 0;
    while (length > 0 && clean[length - 1] == '\n')
        length--;
    for (size_t i = 0; i < length; i++) {
        fputc(clean[i], t->out);
        if (clean[i] == '\n')
            fprintf(t->out, "%*s", indent, "");
    }
    free(clean);
}

/* The same where a line must stay one line. */
static void put_word(const struct text *t, const char *text)
{
    char *clean = pl_text_clean(text);
    for (const char *s = clean; s && *s; s++) {
        if (*s == '\n' || *s == '\t')
            fputc(' ', t->out);
        else
            fputc(*s, t->out);
    }
    free(clean);
}

static void put_color(const struct text *t, const char *color, const char *word)
{
    if (t->color)
        fprintf(t->out, "%s%s\033[0m", color, word);
    else
        fputs(word, t->out);
}

static void labelled(const struct text *t, const char *label, const char *text)
{
    if (!text || !*text)
        return;
    fprintf(t->out, "  %-10s ", label);
    put_text(t, text, 13);
    fputc('\n', t->out);
}

static void header(const struct text *t, const struct pl_report *report)
{
    fprintf(t->out, "plumbline ");
    put_word(t, report->version);
    fprintf(t->out, " (models ");
    put_word(t, report->digest);
    fprintf(t->out, "), spec %s, role %s, seed %llu, IUT: ", report->spec->name, report->role,
            (unsigned long long)report->seed);
    put_word(t, report->iut);
    fputs("\n\n", t->out);
}

static void message(const struct text *t, const struct pl_report *report,
                    const struct pl_finding *finding, size_t index)
{
    const struct pl_trace_entry *entry = &finding->messages[index];
    char *line = pl_text_message(report->spec, entry);
    bool culprit = index == finding->culprit;
    fputs("  ", t->out);
    put_color(t, RED, culprit ? ">>" : "  ");
    fprintf(t->out, " #%-5llu %s ", (unsigned long long)entry->number, pl_arrow(entry));
    put_word(t, line);
    fputc('\n', t->out);
    free(line);
}

static void messages(const struct text *t, const struct pl_report *report,
                     const struct pl_finding *finding)
{
    if (finding->n_messages == 0)
        return;
    size_t centre =
        finding->culprit < finding->n_messages ? finding->culprit : finding->n_messages - 1;
    size_t first = centre > SHOWN_BEFORE ? centre - SHOWN_BEFORE : 0;
    size_t left = finding->n_messages - centre - 1;
    size_t end = left > SHOWN_AFTER ? centre + 1 + SHOWN_AFTER : finding->n_messages;
    bool sides = false;
    for (size_t i = 0; i < finding->n_messages; i++)
        sides |= finding->messages[i].device_side;
    fprintf(t->out, "  messages   (-> to the IUT, <- from the IUT%s, >> the one that shows it)\n",
            sides ? "; => and <= on its device side" : "");
    if (first > 0)
        fprintf(t->out, "     (%zu earlier)\n", first);
    for (size_t i = first; i < end; i++)
        message(t, report, finding, i);
    if (end < finding->n_messages)
        fprintf(t->out, "     (%zu later)\n", finding->n_messages - end);
}

static const char *finding_word(const struct pl_finding *finding)
{
    if (finding->warning)
        return "WARNING";
    switch (finding->kind) {
    case PL_FINDING_CRASH:
        return "CRASH";
    case PL_FINDING_HANG:
        return "HANG";
    case PL_FINDING_EXIT:
        return "EXIT";
    case PL_FINDING_PROTOCOL:
        return "PROTOCOL ERROR";
    case PL_FINDING_CLAUSE:
        break;
    }
    return "FAIL";
}

static void finding_title(const struct text *t, const struct pl_finding *finding)
{
    put_color(t, finding->warning ? YELLOW : RED, finding_word(finding));
    if (finding->clause) {
        fputc(' ', t->out);
        put_color(t, BOLD, finding->clause->id);
        fprintf(t->out, "  %s, %s", finding->clause->level, finding->clause->section);
    } else {
        fprintf(t->out, " of the IUT");
    }
    if (finding->times > 1)
        fprintf(t->out, "  (%llu times; this is the first)", (unsigned long long)finding->times);
    fputc('\n', t->out);
}

/* The first finding of a group in full, and one line of where else it is seen. */
static void finding_block(const struct text *t, const struct pl_report *report, size_t index)
{
    const struct pl_finding *finding = &report->findings[index];
    char *also = pl_finding_also(report, index), *needs = pl_finding_needs(finding);
    finding_title(t, finding);
    if (finding->clause)
        labelled(t, "required", finding->clause->text);
    labelled(t, "seen", finding->text);
    labelled(t, "scenario", finding->scenario);
    labelled(t, "parameters", finding->parameters);
    labelled(t, "matters", needs);
    messages(t, report, finding);
    labelled(t, "repeat", finding->repeat);
    labelled(t, "also in", also);
    fputc('\n', t->out);
    free(also);
    free(needs);
}

/* First what breaks clauses, then warnings, then crashes, hangs and the like. */
static unsigned rank(const struct pl_finding *finding)
{
    return finding->warning ? 1 : finding->kind == PL_FINDING_CLAUSE ? 0 : 2;
}

static void findings(const struct text *t, const struct pl_report *report)
{
    for (unsigned turn = 0; turn < 3; turn++) {
        for (size_t i = 0; i < report->n_findings; i++) {
            if (rank(&report->findings[i]) == turn && pl_finding_leads(report, i))
                finding_block(t, report, i);
        }
    }
}

static void clause_line(const struct text *t, const struct pl_clause_result *clause)
{
    const char *verdict =
        clause->other_type ? "other-type" : pl_clause_verdict_name(clause->verdict);
    fprintf(t->out, "%-15s %-18s %-6s %6llu  ", verdict, clause->id, clause->level,
            (unsigned long long)clause->count);
    put_word(t, clause->reason && *clause->reason ? clause->reason : clause->text);
    fputc('\n', t->out);
}

static void scenario_line(const struct text *t, const struct pl_scenario_result *scenario)
{
    fprintf(t->out, "%-15s ", pl_scenario_verdict_name(scenario->verdict));
    put_word(t, scenario->name);
    fprintf(t->out, "  ");
    put_word(t, scenario->parameters);
    if (scenario->reason && *scenario->reason) {
        fprintf(t->out, ": ");
        put_word(t, scenario->reason);
    }
    fputc('\n', t->out);
}

/* Every clause and every scenario; without `verbose` only the scenarios that are errors. */
static void details(const struct text *t, const struct pl_report *report)
{
    bool any = t->verbose && report->n_clauses > 0;
    for (size_t i = 0; t->verbose && i < report->n_clauses; i++)
        clause_line(t, &report->clauses[i]);
    if (any)
        fputc('\n', t->out);
    any = false;
    for (size_t i = 0; i < report->n_scenarios; i++) {
        if (!t->verbose && report->scenarios[i].verdict != PL_SCENARIO_ERROR)
            continue;
        scenario_line(t, &report->scenarios[i]);
        any = true;
    }
    if (any)
        fputc('\n', t->out);
}

static void outcome(const struct text *t, const struct pl_report *report,
                    const struct pl_tally *tally)
{
    if (report->data_path) {
        fputs("data path: ", t->out);
        put_text(t, report->data_path, 0);
        fputc('\n', t->out);
    }
    if (!report->conforms && report->why_not) {
        put_text(t, report->why_not, 0);
        fputc('\n', t->out);
    }
    put_color(t, report->conforms ? GREEN : RED,
              report->conforms ? "CONFORMS" : "DOES NOT CONFORM");
    fprintf(t->out, ": clauses %zu passed, %zu failed, %zu warned, %zu not exercised",
            tally->clauses[PL_CLAUSE_PASS], tally->clauses[PL_CLAUSE_FAIL],
            tally->clauses[PL_CLAUSE_WARNING],
            tally->clauses[PL_CLAUSE_NOT_EXERCISED] - tally->n_other_type);
    if (tally->n_other_type > 0)
        fprintf(t->out, ", %zu of other device types", tally->n_other_type);
    fputs("; ", t->out);
    size_t other = tally->n_findings - tally->findings[PL_FINDING_CLAUSE];
    if (other > 0)
        fprintf(t->out, "%zu crash%s, hang%s or other breakdown%s; ", other, other == 1 ? "" : "es",
                other == 1 ? "" : "s", other == 1 ? "" : "s");
    fprintf(t->out, "scenarios %zu passed of %zu; %llu messages in %.1f s\n",
            tally->scenarios[PL_SCENARIO_PASS], report->n_scenarios,
            (unsigned long long)report->n_messages, report->seconds);
}

int pl_report_text(const struct pl_report *report, FILE *out, bool color, bool verbose)
{
    const struct text t = {.out = out, .color = color, .verbose = verbose};
    struct pl_tally tally;
    pl_report_tally(report, &tally);
    header(&t, report);
    pl_report_table(report, &tally, out, color);
    details(&t, report);
    findings(&t, report);
    outcome(&t, report, &tally);
    return pl_stream_end(out);
}
