/* What a run found, as data, and the writers that show it: text, JSON, JUnit, pcapng. */
#ifndef PL_REPORT_H
#define PL_REPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "wire/wire.h"

/* The verdict on a clause; names as in the JSON schema. */
enum pl_clause_verdict {
    PL_CLAUSE_NOT_JUDGED,
    PL_CLAUSE_NOT_EXERCISED,
    PL_CLAUSE_PASS,
    PL_CLAUSE_FAIL,
    PL_CLAUSE_WARNING,
    PL_CLAUSE_NOT_OBSERVABLE,
    PL_CLAUSE_DECLARED,
    PL_CLAUSE_OPTION_USED,
    PL_CLAUSE_OPTION_NOT_USED,
};
enum pl_scenario_verdict {
    PL_SCENARIO_PASS,
    PL_SCENARIO_FAIL,
    PL_SCENARIO_INCONCLUSIVE,
    PL_SCENARIO_SKIPPED,
    PL_SCENARIO_ERROR,
};
enum pl_finding_kind {
    PL_FINDING_CLAUSE,
    PL_FINDING_CRASH,
    PL_FINDING_HANG,
    PL_FINDING_EXIT,
    PL_FINDING_PROTOCOL,
};

/* One recorded message. `bytes` is owned by the report. */
struct pl_trace_entry {
    uint64_t number;  /* counts from 1 within the run */
    uint64_t time_ns; /* since the run's start; virtual time where the port has it */
    bool to_iut;
    bool device_side; /* of a bus under test: it went over its device side */
    uint32_t group;   /* index of the group (bus parameters) it belongs to */
    size_t size;
    const uint8_t *bytes;
};

struct pl_clause_result {
    const char *id, *level, *role, *how, *section, *text; /* static */
    const char *spec; /* the catalogue that it stands in; static; may be NULL */
    const char *type; /* the device type that it binds; static; NULL: any */
    bool other_type;  /* the IUT has no device of that type; the verdict is not exercised */
    enum pl_clause_verdict verdict;
    uint64_t count;     /* times it applied */
    const char *reason; /* why not judged, exercised or observable; may be NULL; owned by the run */
};

struct pl_scenario_result {
    const char *name, *section;
    bool apart; /* one of several results of this name that are not summed up */
    enum pl_scenario_verdict verdict;
    const char *reason;         /* may be NULL */
    const char *parameters;     /* "index=3 outstanding=1 max_msg_size=264 profile=strict" */
    const char *const *clauses; /* NULL-ended: the clauses it aims at */
    uint64_t messages;          /* sent and received */
};

/* A parameter that a finding needs, and its value. */
struct pl_finding_need {
    const char *name, *value;
    bool number; /* the value is one */
};

struct pl_finding {
    enum pl_finding_kind kind;
    const struct pl_clause_result *clause; /* NULL unless kind is PL_FINDING_CLAUSE */
    bool warning;                          /* a SHOULD */
    const char *scenario, *parameters;     /* may be NULL */
    const char *text;                      /* one sentence: expected, seen */
    const char *repeat;                    /* the shell command that shows it again */
    uint64_t times;   /* how often it was seen in the run; messages are of the first time */
    bool tried_again; /* its scenario ran again, alone, with fewer parameters set: */
    bool reproduced;  /* it was seen again */
    const struct pl_finding_need *matters; /* what it needs then; the rest may be plain */
    size_t n_matters;
    const struct pl_trace_entry *messages;
    size_t n_messages;
    size_t culprit; /* index into messages of the one that shows it; n_messages: none */
};

struct pl_report {
    const char *version, *digest; /* the tool's; the models' digest */
    const struct pl_spec *spec;
    const char *role;
    uint64_t seed;
    const char *iut; /* name: profile's or address */
    double seconds;  /* wall time */
    const struct pl_clause_result *clauses;
    size_t n_clauses;
    const struct pl_scenario_result *scenarios;
    size_t n_scenarios;
    const struct pl_finding *findings;
    size_t n_findings;
    uint64_t n_messages;
    uint64_t n_starts;     /* of the IUT: a driver's lives */
    const char *data_path; /* what the proof of a gateway's data path did; may be NULL */
    bool conforms;
    const char
        *why_not; /* one sentence where conforms is false and no finding says it; may be NULL */
};

const char *pl_clause_verdict_name(enum pl_clause_verdict verdict);     /* "not-exercised" ... */
const char *pl_scenario_verdict_name(enum pl_scenario_verdict verdict); /* "inconclusive" ... */
const char *pl_finding_kind_name(enum pl_finding_kind kind);
/* "->" and "<-", to and from the IUT; "=>" and "<=" on the device side of a bus. */
const char *pl_arrow(const struct pl_trace_entry *entry);

/* The writers. 0, or a negative errno of the stream. `color` only for terminals. */
int pl_report_text(const struct pl_report *report, FILE *out, bool color, bool verbose);
int pl_report_json(const struct pl_report *report, FILE *out);
int pl_report_junit(const struct pl_report *report, FILE *out);

/* Writing and reading pcapng (link type user0, one interface a group, direction in epb_flags). */
struct pl_pcapng;
struct pl_pcapng *pl_pcapng_create(const char *path, const char *comment, char *error, size_t cap);
/*
 * A new interface: its if_name/if_description hold `bus` ("spec=... revision=1 max_msg_size=...").
 * The device side of a bus under test has one of its own, right behind its driver side's.
 */
#define PL_PCAPNG_DEVICE_SIDE " side=device"
int pl_pcapng_group(struct pl_pcapng *file, const char *bus);
int pl_pcapng_message(struct pl_pcapng *file, const struct pl_trace_entry *entry,
                      const char *comment /* may be NULL: scenario name or verdict */);
int pl_pcapng_finish(struct pl_pcapng *file); /* flushes, closes, frees; 0 or negative errno */

/* Reading: calls back for each group and message; stops at a nonzero return and returns it. */
struct pl_pcapng_reader_ops {
    int (*group)(void *opaque, uint32_t group, const char *bus);
    int (*message)(void *opaque, const struct pl_trace_entry *entry, const char *comment);
};
/* -EINVAL with a sentence in error (file, byte offset, why) where the file is not what it should
 * be. */
int pl_pcapng_read(const char *path, const struct pl_pcapng_reader_ops *ops, void *opaque,
                   char *error, size_t cap);

#endif
