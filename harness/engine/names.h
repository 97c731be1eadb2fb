/* Names of expressions: numbered when scenarios are loaded, so that no run compares text. */
#ifndef PL_ENGINE_NAMES_H
#define PL_ENGINE_NAMES_H

#include "wire/wire.h"

/* What a run knows by itself, without anybody having set it; "()" marks a function. */
enum pl_word {
    PL_WORD_NONE,
    PL_WORD_MAX_MSG_SIZE,
    PL_WORD_PLAIN_SIZE,
    PL_WORD_STRICT,
    PL_WORD_EXHAUSTIVE,
    PL_WORD_OUTSTANDING,
    PL_WORD_DEV,
    PL_WORD_MEM_BASE,
    PL_WORD_MEM_SIZE,
    PL_WORD_HAS_CONTROL,
    PL_WORD_CONTROL_OK,
    PL_WORD_ANSWERED,
    PL_WORD_ANNOUNCED,
    PL_WORD_REACHED,
    PL_WORD_AT,
    PL_WORD_TOLD_STATUS,
    PL_WORD_TOLD_GENERATION,
    PL_WORD_RING_DESC,
    PL_WORD_RING_DRIVER,
    PL_WORD_RING_DEVICE,
    PL_WORD_RING_SIZE,
    PL_WORD_RING_ROOM,
    PL_WORD_RING_HELD,
    PL_WORD_RING_NEXT,
    PL_WORD_IO_OK,
    PL_WORD_IO_USED,
    PL_WORD_IO_EVENTS,
    PL_WORD_IO_WRITTEN,
    PL_WORD_IO_LENGTH,
    PL_WORD_IO_OUT,
    PL_WORD_IO_IN,
    PL_WORD_IO_TABLE,
    PL_CALL_MIN,
    PL_CALL_MAX,
    PL_CALL_IF,
    PL_CALL_POW2,
    PL_CALL_RANDOM,
    PL_CALL_WORD,
    PL_CALL_BYTE,
    PL_CALL_SWAP,
    PL_CALL_IO_BYTE,
    PL_CALL_IO_U16,
    PL_CALL_IO_U32,
    PL_CALL_IO_U64,
    PL_CALL_IO_SAME,
    PL_CALL_IO_SUM,
    PL_CALL_IO_TOEPLITZ,
    PL_CALL_MEM_BYTE,
    PL_CALL_MEM_U16,
    PL_CALL_MEM_U32,
    PL_CALL_MEM_U64,
    PL_WORDS
};

/* Variables that the harness itself sets or asks for: the first ones of each collection. */
enum pl_known_variable {
    PL_VAR_NONE,
    PL_VAR_ROUND,
    PL_VAR_TOOK_PACKED,
    PL_VAR_TOOK_INDIRECT,
    PL_VAR_TOOK_EVENT_IDX,
    PL_VAR_TOOK_IN_ORDER,
    PL_VAR_TOOK_NOTIFICATION_DATA,
    PL_VAR_RING_RESET,
    PL_VARS_KNOWN
};

/* What a name stands for where no variable has it. */
enum pl_means {
    PL_MEANS_NOTHING,
    PL_MEANS_WORD,
    PL_MEANS_DIMENSION, /* number `value` of pl_dimensions */
    PL_MEANS_INFO,      /* info.FIELD */
    PL_MEANS_RESPONSE,  /* resp.FIELD */
    PL_MEANS_REQUEST,   /* req.FIELD, of a driver under test */
    PL_MEANS_CONSTANT,  /* `value` */
};
/* Of a message itself, where it has no field of that name. */
enum pl_own { PL_OWN_NOTHING, PL_OWN_SIZE, PL_OWN_DATA_LEN, PL_OWN_TOKEN /* of requests */ };

struct pl_meaning {
    enum pl_means means;
    enum pl_word word;
    enum pl_field field; /* PL_F_none: no message has one of that name */
    enum pl_own own;
    uint64_t value;
};
struct pl_meaning pl_meaning_of(const struct pl_spec *spec, const char *name);

/* All names of a collection of scenarios; their numbers count from 1. */
struct pl_names {
    const struct pl_spec *spec;
    struct pl_named {
        char *text;
        struct pl_meaning meaning;
        unsigned variable; /* which variable has this name, counted from 1; 0: none */
    } * list;
    unsigned *slot; /* numbers by hash; 0: free */
    unsigned n, n_slots, n_variables;
};
/* With the variables of enum pl_known_variable. False: out of memory. */
bool pl_names_init(struct pl_names *names, const struct pl_spec *spec);
void pl_names_free(struct pl_names *names);
/* The number of a name, which is added where it is new; 0: out of memory. */
unsigned pl_names_add(struct pl_names *names, const char *text);
/* Which variable a name is, from 1 on; it is made one. 0: out of memory. */
unsigned pl_names_variable(struct pl_names *names, const char *text);
/* A name's number without adding: 0 where nobody used it. */
unsigned pl_names_find(const struct pl_names *names, const char *text);

#endif
