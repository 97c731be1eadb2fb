/* What the writers of this directory share: counts of a report, and text made fit to print. */
#ifndef PL_REPORT_INTERNAL_H
#define PL_REPORT_INTERNAL_H

#include "report/report.h"

#define PL_CLAUSE_VERDICTS   ((size_t)PL_CLAUSE_OPTION_NOT_USED + 1)
#define PL_SCENARIO_VERDICTS ((size_t)PL_SCENARIO_ERROR + 1)
#define PL_FINDING_KINDS     ((size_t)PL_FINDING_PROTOCOL + 1)

/* How many of each a report has; findings without the warnings, which have their own count. */
struct pl_tally {
    size_t clauses[PL_CLAUSE_VERDICTS];
    size_t scenarios[PL_SCENARIO_VERDICTS];
    size_t findings[PL_FINDING_KINDS];
    size_t n_findings, n_warnings;
    size_t n_other_type; /* of the clauses not exercised: they bind no device of the IUT */
};

void pl_report_tally(const struct pl_report *report, struct pl_tally *out);

/* The table of verdicts that opens a report in text: by catalogue, device type and level. */
void pl_report_table(const struct pl_report *report, const struct pl_tally *tally, FILE *out,
                     bool color);

/*
 * Text that any of the formats can hold: valid UTF-8 without control characters but newline and
 * tab; every other byte is spelled out as \xNN. NULL gives "". The caller frees it; NULL: no
 * memory.
 */
char *pl_text_clean(const char *text);

/* A message as one line of text (pl_format), whole. The caller frees it; NULL: no memory. */
char *pl_text_message(const struct pl_spec *spec, const struct pl_trace_entry *entry);

/*
 * What became of trying a finding again: the parameters that it needs, or that it was not seen.
 * NULL where it was not tried. The caller frees it.
 */
char *pl_finding_needs(const struct pl_finding *finding);

/* Whether a finding belongs to a scenario's result: its name, and its parameters where given. */
bool pl_finding_of(const struct pl_finding *finding, const struct pl_scenario_result *scenario);

/*
 * Findings of one clause, or of one kind of breakdown, form a group. Whether this one is the first
 * of its group in the report; and where else the group was seen: "scenario-a (12 times), b and 3
 * more", or "". The caller frees the text; NULL: no memory.
 */
bool pl_finding_leads(const struct pl_report *report, size_t index);
char *pl_finding_also(const struct pl_report *report, size_t lead);

/* Flush and report what went wrong with the stream: 0 or a negative errno. */
int pl_stream_end(FILE *out);

#endif
