/* What the files of a run share. */
#ifndef PL_SUITE_PRIVATE_H
#define PL_SUITE_PRIVATE_H

#include "engine/pairwise.h"
#include "engine/run.h"
#include "engine/suite.h"

enum { PL_FINDING_MESSAGES = 40, PL_SUITE_DEVICES = 4 /* that are tested */ };

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

/* The combinations of one device's scenarios with virtqueues. */
struct pl_suite_rows {
    uint16_t dev_num;
    struct pl_rows rows;
    uint32_t value[PL_AXES][PL_AXIS_VALUES]; /* what a row's value numbers stand for */
};

/* Where a finding was seen first: what a reduction begins with. */
struct pl_suite_case {
    const struct pl_scenario *scenario; /* NULL: none ran */
    size_t choice, clause;
    uint64_t order; /* of the life that showed it, the least is the first; a bus: of the group */
    struct pl_combination combination;
    struct pl_bus_params bus;
};

/* What a run looks for while it only tries a failure again; see suite_reduce.c. */
struct pl_suite_hunt {
    enum pl_finding_kind kind;
    size_t clause;
    bool seen;
};

struct pl_suite {
    const struct pl_suite_options *options;
    const struct pl_spec *spec;
    const struct pl_clauses *clauses;
    enum pl_iut iut; /* what is under test */
    struct pl_session session;
    struct pl_oracle *oracle;
    struct pl_report report;
    struct pl_clause_result *clause_results;
    struct pl_scenario_result *scenario_results;
    size_t n_scenario_results, cap_scenario_results;
    struct pl_finding *findings;
    struct pl_suite_case *cases; /* [n_findings] */
    size_t n_findings, cap_findings;
    char **texts; /* everything that is owed to the report as text */
    size_t n_texts, cap_texts;
    const char **skip_reasons; /* [clause]: why a scenario for it was skipped */
    uint16_t devices[64];
    size_t n_devices;
    /* the scenario that runs */
    const struct pl_scenario *current;
    const struct pl_combination *combination;
    size_t choice_index;
    char where[512];                    /* its parameters and combination */
    const struct pl_run_result *choice; /* the choice that runs: its parameters; NULL between */
    bool failed_now, noted;
    unsigned broken_in_a_row;
    bool give_up;
    size_t done, all, group_index;
    struct pl_suite_record record;
    uint32_t n_groups;
    /* combinations of scenarios with virtqueues */
    struct pl_suite_rows device_rows[PL_SUITE_DEVICES];
    size_t n_device_rows;
    uint32_t reset_ms[PL_SUITE_DEVICES]; /* as last asked for through control */
    bool no_reset_delay;                 /* control does not do that */
    struct pl_suite_hunt *hunt;          /* NULL: this is the run itself */
    struct pl_drive *drive;              /* a driver is under test; else NULL */
    void *lives;                         /* of it, until pl_drive_close */
    uint64_t order;                      /* of the life that runs */
    const char *drive_type;              /* of the device that it was given */
    bool never_ready;                    /* it has never reached DRIVER_OK */
};

const char *pl_suite_text(struct pl_suite *suite, const char *text); /* a copy that lives as long */
void pl_suite_add_scenario(struct pl_suite *suite, const struct pl_scenario_result *result);
void pl_suite_clause_failed(void *opaque, size_t clause, const char *text);
void pl_suite_iut_finding(void *opaque, enum pl_finding_kind kind, const char *text);
void pl_suite_conclude(struct pl_suite *suite);
/* What runs, as reports name it: the scenario's own parameters, then those of the whole run. */
void pl_suite_describe(struct pl_suite *suite, const struct pl_combination *c,
                       const char *parameters);
/* A scenario for it was not run: why, where its clauses are asked about. */
void pl_suite_note_skip(struct pl_suite *suite, const struct pl_scenario *scenario,
                        const char *reason);
bool pl_suite_selected(const struct pl_suite *suite, const struct pl_scenario *scenario);
/* The worse of two verdicts on runs of one scenario. */
enum pl_scenario_verdict pl_suite_worse(enum pl_scenario_verdict a, enum pl_scenario_verdict b);
/* One run of a scenario joins its others: the first one and each that is worse is told of, with
 * what ran. */
void pl_suite_add_run(struct pl_suite *suite, struct pl_scenario_result *sum, bool first,
                      const struct pl_run_result *run, const char *what);
/* What another suite of the same run has found is found here, too; and then sorted. */
void pl_suite_add_findings(struct pl_suite *suite, struct pl_suite *other);
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
/*
 * The combinations for device number `d` of those tested, made when they are first asked for: the
 * IUT runs. NULL without memory.
 */
const struct pl_suite_rows *pl_suite_rows(struct pl_suite *suite, size_t d);
/* Row i as values of all axes. */
void pl_suite_row(const struct pl_suite_rows *rows, size_t i, uint32_t value[PL_AXES]);
/* The plain value of an axis in this run. */
uint32_t pl_suite_plain(const struct pl_suite *suite, size_t axis);
/* The values of an axis that this run takes, the plain or fixed one first; returns how many. */
size_t pl_suite_axis(const struct pl_suite *suite, size_t axis, uint32_t out[PL_AXIS_VALUES]);
/* Tell the session which message sizes scenarios may take for the plain one. */
void pl_suite_tell_sizes(struct pl_suite *suite);
/*
 * Resets of device number `d` of those tested take so long from now on. What control does not do
 * becomes 0.
 */
void pl_suite_reset_ms(struct pl_suite *suite, size_t d, uint32_t *ms);
/* " --with NAME=VALUE" of each axis that is wanted, behind what stands in out. */
void pl_suite_with(const uint32_t value[PL_AXES], const bool wanted[PL_AXES], char *out,
                   size_t cap);
/* The command that repeats a finding of a scenario, with these options; kept by the suite. */
const char *pl_suite_repeat(struct pl_suite *suite, const char *scenario, const char *with);
/* Which parameters do the findings need? After pl_suite_conclude, of which it changes nothing. */
void pl_suite_reduce(struct pl_suite *suite);
/* A bus under test: everything, as run_all does it for the other roles. */
int pl_suite_bus(struct pl_suite *suite, char *error, size_t cap);
/*
 * The failure of a driver or a bus once more, with these values of all axes: one life, or one
 * choice of a scenario. Negative errno where the IUT cannot be reached any more; whether it failed
 * says suite->hunt.
 */
int pl_drive_again(struct pl_suite *suite, const struct pl_suite_case *it, const uint32_t *value);
int pl_suite_bus_again(struct pl_suite *suite, const struct pl_suite_case *it,
                       const uint32_t *value);
/* The plain value of an axis of a driver's device, which offers everything. */
uint32_t pl_drive_plain(const struct pl_suite *suite, size_t axis);
/* A driver's lives are over; nothing where there were none. */
void pl_drive_close(struct pl_suite *suite);
/* Learn which devices there are; negative errno where nothing answers. */
int pl_suite_discover(struct pl_suite *suite);

#endif
