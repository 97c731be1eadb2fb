/* What the files of a run share. */
#ifndef PL_SUITE_PRIVATE_H
#define PL_SUITE_PRIVATE_H

#include "engine/run.h"
#include "engine/suite.h"

enum { PL_FINDING_MESSAGES = 40 };

/*
 * The message of a trace file that is not written yet: what is said before the next message comes
 * stands in its comment, a line each: the scenario that begins, or "plumbline: " and a note.
 */
#define PL_NOTE_MARK "plumbline: "
struct pl_suite_record {
    bool held;
    struct pl_trace_entry entry;
    uint8_t *bytes;
    char *comment;
    size_t length;
};

struct pl_suite {
    const struct pl_suite_options *options;
    const struct pl_spec *spec;
    const struct pl_clauses *clauses;
    struct pl_session session;
    struct pl_oracle *oracle;
    struct pl_report report;
    struct pl_clause_result *clause_results;
    struct pl_scenario_result *scenario_results;
    size_t n_scenario_results, cap_scenario_results;
    struct pl_finding *findings;
    size_t n_findings, cap_findings;
    char **texts; /* everything that is owed to the report as text */
    size_t n_texts, cap_texts;
    const char **skip_reasons; /* [clause]: why a scenario for it was skipped */
    uint16_t devices[64];
    size_t n_devices;
    /* the scenario that runs */
    const struct pl_scenario *current;
    char where[512]; /* its parameters and combination */
    const struct pl_run_result *choice; /* the choice that runs: its parameters; NULL between */
    bool failed_now, noted;
    unsigned broken_in_a_row;
    bool give_up;
    size_t done, all, group_index;
    struct pl_suite_record record;
    uint32_t n_groups;
};

const char *pl_suite_text(struct pl_suite *suite, const char *text); /* a copy that lives as long */
void pl_suite_add_scenario(struct pl_suite *suite, const struct pl_scenario_result *result);
void pl_suite_clause_failed(void *opaque, size_t clause, const char *text);
void pl_suite_iut_finding(void *opaque, enum pl_finding_kind kind, const char *text);
void pl_suite_conclude(struct pl_suite *suite);
/* Everything that a run begins with. False: out of memory. */
bool pl_suite_prepare(struct pl_suite *suite, const struct pl_suite_options *options);
/* Start the IUT with these parameters and learn its devices; again where it is gone or hangs. */
int pl_suite_start(struct pl_suite *suite, const struct pl_bus_params *bus);
void pl_suite_restart(struct pl_suite *suite);
/* The trace file, where there is one: a group, a message, a note, and the end of what is held. */
void pl_suite_record_group(struct pl_suite *suite);
void pl_suite_record_message(void *opaque, const struct pl_trace_entry *entry);
void pl_suite_record_note(void *opaque, const char *line);
void pl_suite_record_flush(struct pl_suite *suite);
/* Learn which devices there are; negative errno where nothing answers. */
int pl_suite_discover(struct pl_suite *suite);

#endif
