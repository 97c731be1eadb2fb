/* Cases: what a fuzzer runs, as a sequence of actions; as text for people and as bytes for engines.
 * docs/fuzzing.md, "Cases", describes both. */
#ifndef PL_FUZZ_CASE_H
#define PL_FUZZ_CASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "oracle/oracle.h"
#include "peer/device.h"
#include "wire/wire.h"

enum {
    PL_CASE_ACTIONS = 96,  /* of a case */
    PL_CASE_OPTIONS = 8,   /* of a peer */
    PL_CASE_SETTINGS = 12, /* NAME=VALUE of an action */
    PL_CASE_DATA = 64,     /* bytes of an action's data */
    /* What the byte form of any case fits into, and the text form with its NUL. */
    PL_CASE_BYTES_MAX = 32768,
    PL_CASE_TEXT_MAX = 131072,
};
/* The first line of the text form. */
#define PL_CASE_MAGIC "plumbline-case 1"

enum pl_action_op {
    PL_ACT_SEND, /* a message to the IUT; of a bus: into its driver side */
    PL_ACT_FAR,  /* a bus: a message into its device side */
    PL_ACT_RAW,  /* bytes to the IUT as they are; of a bus: `far` says into which side */
    PL_ACT_FENCE,
    PL_ACT_LIFE, /* a device: so many next steps of a driver's ordinary life */
    PL_ACT_RESET,
    PL_ACT_WAIT,    /* virtual time passes */
    PL_ACT_HOLD,    /* a device: requests under way at once; a bus: devices keep responses back */
    PL_ACT_RELEASE, /* a bus, a driver: responses that were kept back, in an order */
    PL_ACT_RING,    /* a device: lay a ring out for a queue and enable it */
    PL_ACT_CHAIN,
    PL_ACT_PUBLISH,
    PL_ACT_KICK,
    PL_ACT_NOTIFY,
    PL_ACT_AWAIT,
    PL_ACT_SCRIBBLE, /* bytes over a part of a ring, or over any of the shared memory */
    PL_ACT_LISTEN,   /* a driver: so many of its messages are met; a bus: all that is under way */
    PL_ACT_ANSWER,   /* a driver: what becomes of the answer to one of its next messages */
    PL_ACT_PRESENT,  /* a bus: the device side has this device from now on */
    PL_ACT_ABSENT,
    PL_ACT_ANSWER_SIZE, /* a bus: how large its devices make responses */
    /* control: of the IUT, or, with a driver under test, of the device at its other end */
    PL_ACT_CONFIG_CHANGE,
    PL_ACT_NEEDS_RESET,
    PL_ACT_RESET_DELAY,
    PL_ACT_ATTACH,
    PL_ACT_DETACH,
    PL_ACT_PARAMETERS,
    PL_ACT_SCENARIO, /* from its beginning to its end; of a driver its whole life */
    /* control of a driver */
    PL_ACT_START,
    PL_ACT_STOP,
    PL_ACT_IO,
    PL_ACT_CONFIG_WRITE,
    PL_ACT_QUEUE_RESET,
    PL_ACTS
};

/* What a setting's name can be besides a message's fields, which are 1 to PL_F_COUNT - 1. */
enum pl_setting_name {
    PL_ARG_FIRST = PL_F_COUNT,
    /* of messages: the bends of scenarios */
    PL_ARG_TYPE = PL_ARG_FIRST,
    PL_ARG_ID,
    PL_ARG_DEV_NUM,
    PL_ARG_TOKEN,
    PL_ARG_SIZE,
    PL_ARG_CUT,
    PL_ARG_PAD,
    PL_ARG_PAD_WITH,
    /* of answers */
    PL_ARG_NTH,   /* the first is 0 */
    PL_ARG_EVERY, /* from that one on, too */
    PL_ARG_LOSE,
    PL_ARG_TWICE,
    PL_ARG_LATE, /* it comes behind so many more of the driver's messages */
    PL_ARG_FAIL, /* a failure of the bus in its place: the reason */
    /* of the others */
    PL_ARG_DEV,
    PL_ARG_STEPS,
    PL_ARG_WAITS, /* reset: waits until it has ended */
    PL_ARG_MS,
    PL_ARG_AT_ONCE,
    PL_ARG_HOW,
    PL_ARG_QUEUE,
    PL_ARG_ENTRIES,
    PL_ARG_PACKED,
    PL_ARG_OUT,
    PL_ARG_IN,
    PL_ARG_INDIRECT,
    PL_ARG_ALWAYS,
    PL_ARG_WHEN,
    PL_ARG_AHEAD,
    PL_ARG_PART,
    PL_ARG_PLACE,
    PL_ARG_TIMES,
    PL_ARG_BYTES,
    PL_ARG_FAR_SIDE,
    PL_ARG_START,
    PL_ARG_LARGEST,
    PL_ARG_BITS,
    /* of scenarios: which of its choices, and what it is combined with, as `plumbline test --with`
     * names that */
    PL_ARG_CHOICE,
    PL_ARG_OUTSTANDING,
    PL_ARG_RING_PACKED,
    PL_ARG_QUEUE_SIZE,
    PL_ARG_EVENT_IDX,
    PL_ARG_IN_ORDER,
    PL_ARG_NOTIFICATION_DATA,
    PL_ARG_RESET_MS,
    PL_ARG_AT, /* a driver: which of the scenario's moments, from 1 on */
    PL_ARG_NAMES
};

/* The words of PL_ARG_HOW, PL_ARG_WHEN and PL_ARG_PART. */
enum { PL_HOW_ORDER, PL_HOW_REVERSE, PL_HOW_TWICE, PL_HOW_FORGET };
enum { PL_WHEN_TOLD_NEVER, PL_WHEN_TOLD_ALWAYS, PL_WHEN_TOLD_AT };
enum { PL_PART_DESC, PL_PART_DRIVER, PL_PART_DEVICE, PL_PART_BUFFER, PL_PART_MEMORY };

/* A value: a number, or what is legal here, plus or exclusive-or a number. A field that no setting
 * names is what is legal here. Only fields and bends can be other than numbers. */
enum pl_setting_how { PL_VALUE_NUMBER, PL_VALUE_PLUS, PL_VALUE_XOR };

struct pl_setting {
    uint8_t name; /* enum pl_field or enum pl_setting_name */
    uint8_t how;  /* enum pl_setting_how */
    uint64_t value;
};

struct pl_action {
    uint8_t op;        /* enum pl_action_op */
    uint8_t kind;      /* enum pl_kind; PL_NONE: no message, or (answer) any */
    uint16_t scenario; /* of pl_case_scenario */
    bool response;     /* send: a response of that kind */
    bool has_data;     /* data stands in place of what is legal here, or of what is due */
    uint8_t n_set;     /* of set[]; no name twice */
    uint8_t data_len;  /* bytes of data[] */
    struct pl_setting set[PL_CASE_SETTINGS];
    uint8_t data[PL_CASE_DATA];
};

/* An option of a reference peer, by its index in the model's list. */
struct pl_case_option {
    uint16_t index;
    uint64_t value;
};

struct pl_case {
    const struct pl_spec *spec; /* one that has clauses */
    enum pl_iut role;           /* of the IUT */
    uint32_t max_msg_size;      /* within the spec's bounds */
    uint32_t features;          /* transport features, as a mask of those that the spec has */
    uint8_t type;               /* of the device: index of pl_case_types */
    uint32_t seed;              /* of patterns, and of what the peers draw */
    uint8_t n_options, n_far;
    /* of the reference peer of the role, where that is what is tested; */
    struct pl_case_option option[PL_CASE_OPTIONS];
    /* of the device at the far end of a driver under test */
    struct pl_case_option far[PL_CASE_OPTIONS];
    uint16_t n; /* of action[] */
    struct pl_action action[PL_CASE_ACTIONS];
};

/* The device types that a case can name; NULL ends. */
extern const char *const pl_case_types[];
/* The index of a type by its name; -1 where it is none, NULL included. */
int pl_case_type_find(const char *name);
/* "device", "driver", "bus". */
const char *pl_case_role(enum pl_iut role);

/* What an action can be made of. */
struct pl_op_def {
    const char *name;
    unsigned roles; /* a bit 1 << enum pl_iut for each */
    enum { PL_OP_PLAIN, PL_OP_MESSAGE, PL_OP_ANSWER, PL_OP_SCENARIO } names; /* first of all */
    bool data;
    uint8_t set[12]; /* settings besides a message's fields; 0 ends */
};
extern const struct pl_op_def pl_ops[PL_ACTS];
/* A setting's name, "offset" or "_cut", and its words, NULL-ended, where it has any. */
const char *pl_setting_text(unsigned name);
const char *const *pl_setting_words(unsigned name);
/* Does it name a message? */
bool pl_op_of_message(unsigned op);
/* The operations of a role into out[PL_ACTS]; their number. */
size_t pl_ops_of(enum pl_iut role, uint8_t out[PL_ACTS]);
/* The settings that an action with this op, kind and response can have; their number. */
enum { PL_ALLOWED_MAX = 40 };
size_t pl_settings_of(const struct pl_spec *spec, const struct pl_action *a,
                      uint8_t out[PL_ALLOWED_MAX]);
/* The options of the role's own peer, or (far) of the device at a driver's other end. */
const struct pl_device_option *pl_case_options(const struct pl_spec *spec, enum pl_iut role,
                                               bool far, size_t *n);
/* The scenarios that the program carries, of a draft; NULL: there are none. They live for ever. */
struct pl_scenarios;
const struct pl_scenarios *pl_case_scenarios(const struct pl_spec *spec);
/* Those that a case for this role can name: how many, the one numbered so, or NULL, and the number
 * of a name, or -1. */
struct pl_scenario;
size_t pl_case_scenarios_of(const struct pl_spec *spec, enum pl_iut role);
const struct pl_scenario *pl_case_scenario(const struct pl_spec *spec, enum pl_iut role, size_t at);
int pl_case_scenario_find(const struct pl_spec *spec, enum pl_iut role, const char *name);
/* The setting of an action, or NULL; and its number, or `otherwise`. */
const struct pl_setting *pl_action_get(const struct pl_action *a, unsigned name);
uint64_t pl_action_number(const struct pl_action *a, unsigned name, uint64_t otherwise);
/* Set or add one; false where there is no room. */
bool pl_action_set(struct pl_action *a, unsigned name, enum pl_setting_how how, uint64_t value);

/* An empty case for a role with the spec's recommended parameters. spec NULL: the first with
 * clauses. */
void pl_case_init(struct pl_case *c, const struct pl_spec *spec, enum pl_iut role);
bool pl_action_equal(const struct pl_action *a, const struct pl_action *b);
bool pl_case_equal(const struct pl_case *a, const struct pl_case *b);

/* --- text --- */

/*
 * Parse the text form; `file` is for the error, one sentence "FILE:LINE: ..." where it returns
 * false.
 */
bool pl_case_parse(struct pl_case *c, const char *file, const char *text, size_t size, char *error,
                   size_t cap);
/* The same of what begins at line `first` of the file. */
bool pl_case_parse_from(struct pl_case *c, const char *file, unsigned first, const char *text,
                        size_t size, char *error, size_t cap);
/* The same of a file; false with a sentence also where it cannot be read. */
bool pl_case_load(struct pl_case *c, const char *path, char *error, size_t cap);
/* Print it, as snprintf does; PL_CASE_TEXT_MAX bytes are enough. */
size_t pl_case_format(const struct pl_case *c, char *out, size_t cap);
/* One action's line without its newline, the same way. */
size_t pl_action_format(const struct pl_spec *spec, enum pl_iut role, const struct pl_action *a,
                        char *out, size_t cap);

/* --- bytes --- */

/* Any bytes are some case. What is behind PL_CASE_ACTIONS actions is not looked at. */
void pl_case_decode(struct pl_case *c, const uint8_t *bytes, size_t size);
/*
 * The bytes of a case: pl_case_decode gives the case back. 0 where `cap` is too small;
 * PL_CASE_BYTES_MAX is enough.
 */
size_t pl_case_encode(const struct pl_case *c, uint8_t *out, size_t cap);

#endif
