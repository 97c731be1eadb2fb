/* The codec's public face: drafts as tables, and messages taken apart and put together by them. */
#ifndef PL_WIRE_H
#define PL_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pl_names.h" /* generated: enum pl_kind, enum pl_field, constants */

/* The largest message that a 16-bit msg_size can announce. */
#define PL_MSG_MAX 65535u

/* Which end starts a message. */
enum pl_side { PL_SIDE_DRIVER, PL_SIDE_DEVICE, PL_SIDE_EITHER, PL_SIDE_BUS };

/* What an array's count field counts. */
enum pl_unit { PL_UNIT_ELEMENTS, PL_UNIT_BYTES, PL_UNIT_BITS };

/* One scalar of a payload: little-endian, `width` 1, 2, 4 or 8 bytes at `offset` of the payload. */
struct pl_field_def {
    const char *name;
    enum pl_field field;
    uint16_t offset;
    uint8_t width;
};

/* An array of a payload. A fixed one has `count`; a variable one stands last and has `count_field`.
 */
struct pl_array_def {
    const char *name;
    uint16_t offset;
    uint8_t width;
    uint16_t count;
    enum pl_field count_field;
    enum pl_unit unit;
    bool optional;
};

/* One layout: the scalars and arrays of a request, response or event. */
struct pl_layout {
    const struct pl_field_def *fields;
    size_t n_fields;
    const struct pl_array_def *fixed; /* NULL without a fixed array */
    const struct pl_array_def *tail;  /* NULL without a variable array */
    uint16_t size;                    /* bytes up to the variable array */
};

/* One message of a draft. For an event `request` is the event's layout and `response` is NULL. */
struct pl_message_def {
    const char *name;
    enum pl_kind kind;
    uint8_t id;
    bool bus;
    bool event;
    bool binding; /* one of the bindings' own bus messages */
    enum pl_side from;
    const struct pl_layout *request;
    const struct pl_layout *response;
};

/* Where a header field lies; width 0 where the draft has none. */
struct pl_header_field {
    uint8_t offset;
    uint8_t width;
};

struct pl_header_def {
    uint8_t size;
    struct pl_header_field type, msg_id, dev_num, token, msg_size;
    uint8_t response_bit, bus_bit, reserved_bits; /* of type */
    uint8_t event_bit, implementation_bit;        /* of msg_id */
};

/* A name with its value: constants, status bits, feature bits. */
struct pl_constant {
    const char *name;
    uint64_t value;
};

/* One draft of the specification. All of it is generated and constant. */
struct pl_spec {
    const char *name;
    const char *title;
    uint32_t revision;
    struct pl_header_def header;
    uint32_t min_max_msg_size, max_max_msg_size, recommended_max_msg_size;
    enum pl_kind fence; /* the always valid, effect-free request */
    const struct pl_message_def *messages;
    size_t n_messages;
    const struct pl_message_def *by_id[2][256];   /* [bus][msg_id] */
    const struct pl_constant *constants;          /* NULL-named entry ends */
    const struct pl_constant *transport_features; /* name and bit number */
};

extern const struct pl_spec *const pl_specs[]; /* NULL ends */

/* How well a received message matches its draft's layouts. */
enum pl_form {
    PL_FORM_OK,
    PL_FORM_RUNT,    /* shorter than the header */
    PL_FORM_SIZE,    /* msg_size is not the number of bytes that arrived */
    PL_FORM_UNKNOWN, /* no message of this class and id */
    PL_FORM_SHAPE,   /* a response where the message has none: an event with the response bit */
    PL_FORM_SHORT,   /* the payload ends before its layout does */
    PL_FORM_LONG,    /* the payload goes on after its layout has ended */
};

/* A message, taken apart. `bytes` and `data` point into the caller's buffer and live as long. */
struct pl_msg {
    const struct pl_message_def *def; /* NULL: unknown */
    enum pl_kind kind;                /* PL_NONE: unknown */
    enum pl_form form;
    bool response, bus, event; /* as the header says */
    uint8_t type, msg_id;
    uint16_t dev_num, token, msg_size;
    const uint8_t *bytes;
    size_t size;          /* bytes that arrived */
    size_t expected;      /* bytes that the layout with its own counts asks for; 0 where unknown */
    const uint8_t *fixed; /* the fixed array, or NULL */
    const uint8_t *data;  /* the variable array, or NULL where absent */
    uint32_t data_len;    /* its bytes, as many as arrived within its count */
    uint64_t f[PL_F_COUNT]; /* scalars by name; 0 where the layout has none */
};

/* Find a draft by name; NULL where there is none. */
const struct pl_spec *pl_spec_find(const char *name);
/* Find a message of a draft by kind or by name; NULL where the draft has none. */
const struct pl_message_def *pl_spec_message(const struct pl_spec *spec, enum pl_kind kind);
const struct pl_message_def *pl_spec_message_named(const struct pl_spec *spec, const char *name);
/* The value of a draft's constant (core status bits and F_ feature numbers included); false:
 * unknown. */
bool pl_spec_constant(const struct pl_spec *spec, const char *name, uint64_t *value);

/* Take `size` bytes apart. Never fails: `out->form` says how well they fit. No allocation. */
void pl_decode(const struct pl_spec *spec, const void *bytes, size_t size, struct pl_msg *out);

/* The layout that a message uses: response, or request or event. */
const struct pl_layout *pl_msg_layout(const struct pl_msg *m);

/*
 * Put a message together from kind, response, dev_num, token, f[], fixed and data/data_len; type,
 * msg_id and msg_size follow from the model. Returns the size, -ENOENT where the draft has no such
 * message, -EMSGSIZE where `cap` or 65535 bytes do not hold it.
 */
ssize_t pl_encode(const struct pl_spec *spec, const struct pl_msg *m, void *out, size_t cap);

/* Overwrite single header fields of an encoded message (for messages bent on purpose). */
void pl_poke_type(const struct pl_spec *spec, void *bytes, uint8_t type);
void pl_poke_id(const struct pl_spec *spec, void *bytes, uint8_t msg_id);
void pl_poke_dev_num(const struct pl_spec *spec, void *bytes, uint16_t dev_num);
void pl_poke_token(const struct pl_spec *spec, void *bytes, uint16_t token);
void pl_poke_size(const struct pl_spec *spec, void *bytes, uint16_t msg_size);

/* One line of text for people: name, direction words, header and fields. Returns as snprintf does.
 */
int pl_format(const struct pl_spec *spec, const void *bytes, size_t size, char *out, size_t cap);

#endif
