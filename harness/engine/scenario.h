/* Scenarios as data: files, procedures, parameters and steps, as read from YAML and checked. */
#ifndef PL_SCENARIO_H
#define PL_SCENARIO_H

#include "engine/expr.h"
#include "engine/names.h"
#include "engine/yaml_doc.h"
#include "oracle/oracle.h"
#include "wire/wire.h"

enum pl_step_op {
    PL_STEP_SEND,            /* MESSAGE: {field: EXPR, ...} */
    PL_STEP_RAW,             /* raw: HEX */
    PL_STEP_FENCE,           /* fence */
    PL_STEP_CALL,            /* call: PROCEDURE */
    PL_STEP_CONTROL,         /* control: "config-change {dev} 0 {hex...}" */
    PL_STEP_REQUIRE,         /* require: EXPR, or the scenario is inconclusive */
    PL_STEP_EXPECT,          /* expect: EXPR with clause: ID, where the oracle cannot know */
    PL_STEP_LET,             /* let: {name: EXPR, ...} */
    PL_STEP_REPEAT,          /* repeat: EXPR with steps: [...] */
    PL_STEP_IF,              /* if: EXPR with then: [...] and else: [...] */
    PL_STEP_BURST,           /* burst: [...]: nothing is waited for in between */
    PL_STEP_AWAIT_RESET,     /* await_reset */
    PL_STEP_AWAIT_EVENT,     /* await_event */
    PL_STEP_AWAIT_SUSPENDED, /* await_suspended */
    PL_STEP_AWAIT_RESUMED,   /* await_resumed */
    PL_STEP_RING,            /* ring: {queue: EXPR, size: EXPR} */
    PL_STEP_CHAIN,           /* chain: {queue: EXPR, out: [...], in: [...], as: NAME} */
    PL_STEP_PUBLISH,         /* publish: {queue: EXPR} */
    PL_STEP_KICK,            /* kick: {queue: EXPR} */
    PL_STEP_AWAIT_USED,      /* await_used: {queue: EXPR, count: EXPR, chain: NAME} */
    PL_STEP_IDLE,            /* idle: {queue: EXPR} */
    PL_STEP_NOTIFY,          /* notify: {queue: EXPR, when: never|always|at, ahead: EXPR} */
    PL_STEP_POKE,            /* poke: {addr: EXPR, u16: EXPR} */
    /* of a bus under test; see run_bus.c */
    PL_STEP_DRIVER,      /* driver: MESSAGE or a list: put in on the driver side */
    PL_STEP_DEVICE,      /* device: MESSAGE or a list: put in on the device side */
    PL_STEP_HOLD,        /* hold: EXPR: the devices keep so many kinds of responses back */
    PL_STEP_ANSWER_SIZE, /* answer_size: EXPR: how large responses are made; 0: as they are */
    PL_STEP_PRESENT,    /* present: EXPR: the device side has a device of this number from now on */
    PL_STEP_ABSENT,     /* absent: EXPR: it has none any more */
    PL_STEP_TELL,       /* tell: WORDS: what the oracle must know besides */
    PL_STEP_RELEASE,    /* release: order, reverse, twice, or forget: responses kept back */
    PL_STEP_AWAIT,      /* await: all, events, failures, told, quiet */
    PL_STEP_RESTART,    /* restart: the bus is started anew behind this scenario */
    PL_STEP_ENUMERATE,  /* enumerate: all windows of GET_DEVICES */
    PL_STEP_REVALIDATE, /* revalidate: GET_PARAMETERS on the sides that were told */
};

/* The expressions of a step on virtqueues, by their key. */
enum pl_vq_arg {
    PL_VQ_QUEUE,
    PL_VQ_SIZE,
    PL_VQ_COUNT,
    PL_VQ_INDIRECT,
    PL_VQ_PUBLISH,
    PL_VQ_ALWAYS,
    PL_VQ_AHEAD,
    PL_VQ_ADDR,
    PL_VQ_KEEP,
    PL_VQ_ARGS
};
enum pl_vq_when { PL_WHEN_NEVER, PL_WHEN_ALWAYS, PL_WHEN_AT };

/* What a piece of a device-readable buffer holds. */
enum pl_piece_kind { PL_PIECE_NUMBER, PL_PIECE_HEX, PL_PIECE_FILL, PL_PIECE_RANDOM, PL_PIECE_COPY };

struct pl_piece {
    enum pl_piece_kind kind;
    unsigned width;        /* bytes of a number, little-endian */
    struct pl_expr *value; /* the number, the byte that fills, the seed, or where to copy from */
    struct pl_expr *count; /* bytes that are filled, drawn or copied */
    const uint8_t *hex;
    size_t hex_len;
};

/* A buffer of a chain, or `times` alike. A device-writable one has `count` only. */
struct pl_buffer_def {
    bool device_writes;
    struct pl_piece *piece;
    size_t n_pieces;
    struct pl_expr *count, *times;
};

/* What a step on virtqueues says besides. */
struct pl_vq_step {
    struct pl_expr *arg[PL_VQ_ARGS];
    struct pl_buffer_def *buffer; /* device-readable ones first; poke: one, what is written */
    size_t n_buffers;
    enum pl_vq_when when;
};

/* Where a message's variable (or fixed) array comes from. */
enum pl_data_from { PL_DATA_NONE, PL_DATA_LIST, PL_DATA_FILL, PL_DATA_LAST, PL_DATA_HEX };

struct pl_assign {
    const char *name;
    unsigned variable;   /* which it is (names.h); 0: a field */
    enum pl_field field; /* PL_F_none for the header's own and for variables */
    struct pl_expr *value;
};

struct pl_step {
    enum pl_step_op op;
    const struct pl_yaml *at;
    const struct pl_message_def *def;
    struct pl_assign *assign; /* fields, bends (_type, _cut, ...) or variables */
    size_t n_assign;
    enum pl_data_from data;
    struct pl_expr **items; /* list elements; fill: value and count; last: xor and count */
    size_t n_items;
    uint8_t *hex;
    size_t hex_len;
    struct pl_expr *expr;
    const char *name;                  /* procedure, control line, chain */
    const struct pl_procedure *called; /* NULL: pl_scenarios_check has not run */
    struct pl_vq_step *io;
    int clause; /* of expect; -1 */
    struct pl_steps *then, *otherwise;
};

struct pl_steps {
    struct pl_step *step;
    size_t n;
};

struct pl_procedure {
    const char *name;
    struct pl_steps *steps;
};

/* One parameter and its values. */
struct pl_parameter {
    const char *name;
    unsigned variable;
    struct pl_expr **value;
    size_t n;
};

/*
 * Of a scenario for drivers: a life of the driver in which device or bus do something special, at
 * one moment of it or throughout.
 */
struct pl_provocation {
    const char **device; /* "NAME=VALUE": options of the reference device, NULL-ended; NULL: none */
    const char *mutant;  /* what the reference device does wrong; NULL: nothing */
    const char *type;    /* of the device; NULL: the one that the driver is known to work with */
    bool *at;            /* [PL_KIND_COUNT]: the messages that are the moment; NULL: none is */
    struct pl_expr *when;            /* over req.*; NULL: each of them */
    bool all;                        /* from the first such moment on at every one, in one life */
    unsigned most;                   /* lives at most, one for each moment */
    bool rows;                       /* with every row of parameters, and not only the plain one */
    unsigned per;                    /* moments of each message at most, in a life; 0: all */
    struct pl_steps *before, *after; /* ahead of the device's work on it, and behind the answer */
    struct pl_step *request; /* what the device is given in the message's place; NULL: itself */
    struct pl_step *answer;  /* other contents of the answer; NULL: as it is */
    struct pl_step *event;   /* other contents of each event of the device's; NULL: as it is */
    bool lose, twice;
    bool withhold; /* the device is not given the message; nothing is told of it, or `fail` */
    struct pl_expr *late;   /* messages of the driver's that the answer comes behind */
    struct pl_expr *fail;   /* a failure of the bus in place of the answer: its reason */
    int profile;            /* 0 baseline, 1 strict, -1 in turns, -2 both */
    uint32_t max_msg_size;  /* 0: in turns */
    bool illegal;           /* no device or bus may do this: only that the driver lives is asked */
    bool gives_up;          /* a driver may give the device up over it */
    bool slow;              /* it can take a driver its own time limits to go on */
    int works;              /* a clause: DRIVER_OK must be reached in spite of it; -1: none */
    const char **life;      /* what control asks of the driver, NULL-ended; NULL: the usual */
    struct pl_steps *steps; /* what happens where `life` says "steps" */
};

struct pl_scenario {
    const struct pl_provocation *drive; /* a driver is under test; NULL: a device */
    const char *name, *section, *file;
    const struct pl_yaml *at;
    const char **clauses; /* NULL-ended */
    struct pl_expr *when; /* over the combination: NULL always */
    struct pl_expr *needs;
    const char **given;                /* NULL-ended procedure names */
    const struct pl_procedure **begun; /* the procedures, once pl_scenarios_check has run */
    struct pl_parameter *with;
    size_t n_with;
    struct pl_steps *steps;
    bool rings; /* virtqueues work here: it is combined over the dimensions (dimension.h) */
};

/* All that was loaded; owns its documents. */
struct pl_scenarios {
    const struct pl_spec *spec;
    const struct pl_clauses *clauses;
    struct pl_yaml_doc **docs;
    size_t n_docs;
    struct pl_procedure *procedures;
    size_t n_procedures;
    struct pl_scenario *list; /* of devices */
    size_t n;
    struct pl_scenario *bus_list; /* of buses: `role: bus` */
    size_t n_bus;
    void **allocations; /* everything else, freed together */
    size_t n_allocations;
    struct pl_expr **exprs;
    size_t n_exprs;
    struct pl_names names;
};

/* The embedded scenarios, a list of file names and texts; generated. */
struct pl_embedded {
    const char *name, *text;
};
extern const struct pl_embedded pl_embedded_scenarios[];

struct pl_scenarios *pl_scenarios_new(const struct pl_spec *spec);
void pl_scenarios_free(struct pl_scenarios *scenarios);
/* Add what a document holds. False and one sentence "FILE:LINE: ..." where anything is wrong. */
bool pl_scenarios_add(struct pl_scenarios *scenarios, struct pl_yaml_doc *doc, char *error,
                      size_t cap);
/* Add every embedded file. */
bool pl_scenarios_add_embedded(struct pl_scenarios *scenarios, char *error, size_t cap);
/* After the last add: are all procedures there, and does none call itself? Calls are resolved. */
bool pl_scenarios_check(struct pl_scenarios *scenarios, char *error, size_t cap);
const struct pl_procedure *pl_scenarios_procedure(const struct pl_scenarios *scenarios,
                                                  const char *name);
/* Does a pattern (section, clause id, scenario name; * and ? allowed, comma-separated) select it?
 */
bool pl_scenario_selected(const struct pl_scenario *scenario, const char *pattern);

#endif
