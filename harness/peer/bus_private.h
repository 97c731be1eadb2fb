/* What the reference bus's files and the generated model share. */
#ifndef PL_PEER_BUS_PRIVATE_H
#define PL_PEER_BUS_PRIVATE_H

#include "peer/bus.h"
#include "pl_bus_options.h" /* generated: enum pl_bus_opt */

enum { PL_BUS_OPEN_MAX = 256, PL_BUS_OPTIONS_MAX = 48 };

/* What a bus meets: bus messages by kind, and these. */
enum pl_bus_on {
    PL_BON_DRIVER_REQUEST = PL_KIND_COUNT,
    PL_BON_DRIVER_EVENT,
    PL_BON_DRIVER_STRAY,
    PL_BON_DRIVER_LIES,
    PL_BON_DEVICE_RESPONSE,
    PL_BON_DEVICE_EVENT,
    PL_BON_DEVICE_STRAY,
    PL_BON_DEVICE_LIES,
    PL_BON_BUS_VOID,
    PL_BON_BUS_RESPONSE,
    PL_BON_DUE,
    PL_BON_ATTACHED,
    PL_BON_DETACHED,
    PL_BON_PARAMETERS,
    PL_BON_FOUND,
    PL_BON_STARTED,
    PL_BON_COUNT
};

struct pl_bus_peer;

/* A request that is not completed. */
struct pl_bus_open {
    bool used, own, relayed, waiting;
    bool behind; /* an event that waits for the requests before it */
    unsigned out_side;
    /* waiting: it is not forwarded yet */
    uint16_t token, out_token, dev_num;
    uint8_t msg_id;
    bool bus;
    uint64_t seq, due;
    uint8_t *bytes; /* of one that waits */
    size_t size;
};

/* A message on its way out. */
struct pl_bus_out {
    struct pl_bus_out *next;
    uint64_t due;
    size_t size;
    uint8_t bytes[];
};

/* One step of the machine. */
struct pl_bus_step {
    struct pl_bus_peer *peer;
    const struct pl_msg *req;
    unsigned side; /* where it came from */
    struct pl_bus_open *open;
    uint64_t number;
    const struct pl_msg *out; /* in bends */
    unsigned out_side;
    struct pl_msg reply;
    bool replies;
    uint8_t *bitmap; /* room for an array of the reply */
};

typedef bool pl_bus_transition(struct pl_bus_step *c);

struct pl_bus_insert {
    int on;
    pl_bus_transition *fn;
};

enum pl_bus_class {
    PL_BUS_ONE,
    PL_BUS_REQUESTS,
    PL_BUS_RESPONSES,
    PL_BUS_DRIVER_EVENTS, /* EVENT_AVAIL and so on, towards the device */
    PL_BUS_DEVICE_EVENTS,
    PL_BUS_BUS,
    PL_BUS_ALL,
};
enum pl_bus_bend_what {
    PL_BUS_BEND_FIELD,
    PL_BUS_BEND_TYPE,
    PL_BUS_BEND_ID,
    PL_BUS_BEND_DEV_NUM,
    PL_BUS_BEND_TOKEN,
    PL_BUS_BEND_SIZE,
    PL_BUS_BEND_APPEND,
    PL_BUS_BEND_TRUNCATE,
    PL_BUS_BEND_PAYLOAD,
    PL_BUS_BEND_DROP,
    PL_BUS_BEND_DUPLICATE,
    PL_BUS_BEND_DELAY,
};
struct pl_bus_bend {
    enum pl_bus_bend_what what;
    enum pl_bus_class which;
    enum pl_kind kind; /* of PL_BUS_ONE */
    bool bus;
    enum pl_field field;
    uint8_t fill;
    bool (*when)(struct pl_bus_step *c);
    uint64_t (*value)(struct pl_bus_step *c);
};

struct pl_bus_model {
    const char *spec;
    const struct pl_bus_option *options;
    size_t n_options;
    const struct pl_bus_mutant *mutants;
    size_t n_mutants;
    pl_bus_transition *const *on[PL_BON_COUNT];
};
extern const struct pl_bus_model *const pl_bus_models[]; /* generated; NULL ends */

struct pl_bus_peer {
    const struct pl_spec *spec;
    const struct pl_bus_model *model;
    size_t mutant; /* 0: none; else its place from 1 on */
    uint64_t opt[PL_BUS_OPTIONS_MAX];
    struct pl_endpoint_env env;
    struct {
        uint64_t revision, max_msg_size, features;
    } params;
    bool changing;
    uint64_t memory, sent, taken, opened, now, seq;
    uint16_t next_token;
    struct pl_bus_open open[PL_BUS_OPEN_MAX];
    uint8_t table[8192]; /* a bit for each device number that is known */
    uint8_t gone[8192];  /* ... that was removed */
    struct pl_bus_out *out[2];
    struct pl_bus_open *last; /* the one completed last */
};

/* Look through the transitions of an event; false where none was taken. */
bool pl_bus_run(struct pl_bus_peer *peer, int on, const struct pl_msg *m, unsigned side,
                struct pl_bus_open *open, uint64_t number);
/* Send bytes out of a side, `late` ms later than the bus's own delay, bent by the mutant. */
void pl_bus_emit(struct pl_bus_peer *peer, unsigned side, const void *bytes, size_t size,
                 uint64_t late);
void pl_bus_emit_msg(struct pl_bus_peer *peer, unsigned side, const struct pl_msg *m);
uint64_t pl_bus_opt(const struct pl_bus_peer *peer, enum pl_bus_opt option);
/* Forward what waits and may go now. */
void pl_bus_pump(struct pl_bus_peer *peer);
bool pl_bus_known(const struct pl_bus_peer *peer, uint64_t number);
int pl_bus_control(void *self, const char *line, char *answer, size_t cap);
int pl_bus_configure(struct pl_bus_peer *peer, const struct pl_bus_config *config, char *error,
                     size_t cap);

/* --- what expressions can name --- */
static inline bool pl_bus_open_found(const struct pl_bus_step *c)
{
    return c->open != NULL;
}
static inline bool pl_bus_open_own(const struct pl_bus_step *c)
{
    return c->open && c->open->own;
}
static inline bool pl_bus_open_relayed(const struct pl_bus_step *c)
{
    return c->open && c->open->relayed;
}
static inline bool pl_bus_open_waiting(const struct pl_bus_step *c)
{
    return c->open && c->open->waiting;
}
static inline uint64_t pl_bus_open_token(const struct pl_bus_step *c)
{
    return c->open ? c->open->token : 0;
}
static inline uint64_t pl_bus_open_dev_num(const struct pl_bus_step *c)
{
    return c->open ? c->open->dev_num : 0;
}
static inline uint64_t pl_bus_open_msg_id(const struct pl_bus_step *c)
{
    return c->open ? c->open->msg_id : 0;
}
uint64_t pl_bus_fn_known(const struct pl_bus_step *c, uint64_t number);
uint64_t pl_bus_fn_gone(const struct pl_bus_step *c, uint64_t number);
uint64_t pl_bus_fn_min(const struct pl_bus_step *c, uint64_t a, uint64_t b);
uint64_t pl_bus_fn_devices_count(const struct pl_bus_step *c, uint64_t offset, uint64_t count);
uint64_t pl_bus_fn_devices_next(const struct pl_bus_step *c, uint64_t offset, uint64_t count);
uint64_t pl_bus_fn_any_from(const struct pl_bus_step *c, uint64_t from);
uint64_t pl_bus_fn_open_of(const struct pl_bus_step *c, uint64_t number);
uint64_t pl_bus_fn_largest(const struct pl_bus_step *c);
uint64_t pl_bus_fn_bit(const struct pl_bus_step *c, uint64_t n);

/* --- what `do` can name --- */
void pl_bus_act_forward(struct pl_bus_step *c);
void pl_bus_act_forward_request(struct pl_bus_step *c);
void pl_bus_act_forward_behind(struct pl_bus_step *c);
void pl_bus_act_forward_as(struct pl_bus_step *c, uint64_t side, uint64_t dev_num);
void pl_bus_act_cut_forward(struct pl_bus_step *c, uint64_t size);
void pl_bus_act_send_request(struct pl_bus_step *c, uint64_t token, uint64_t dev_num);
void pl_bus_act_complete(struct pl_bus_step *c);
void pl_bus_act_complete_as(struct pl_bus_step *c, uint64_t token);
void pl_bus_act_swap_last(struct pl_bus_step *c);
void pl_bus_act_close(struct pl_bus_step *c);
void pl_bus_act_keep_open(struct pl_bus_step *c);
void pl_bus_act_fail(struct pl_bus_step *c, uint64_t reason);
void pl_bus_act_fail_open(struct pl_bus_step *c, uint64_t reason);
void pl_bus_act_fail_event(struct pl_bus_step *c, uint64_t reason);
void pl_bus_act_fail_all(struct pl_bus_step *c, uint64_t number, uint64_t reason);
void pl_bus_act_add(struct pl_bus_step *c, uint64_t number);
void pl_bus_act_remove(struct pl_bus_step *c, uint64_t number);
void pl_bus_act_announce(struct pl_bus_step *c, uint64_t number, uint64_t state);
void pl_bus_act_discover(struct pl_bus_step *c);
void pl_bus_act_discovered(struct pl_bus_step *c);
void pl_bus_act_probe(struct pl_bus_step *c, uint64_t number);
void pl_bus_act_relay(struct pl_bus_step *c);
void pl_bus_act_set_parameters(struct pl_bus_step *c, uint64_t revision, uint64_t size,
                               uint64_t features);
void pl_bus_act_tell_parameters(struct pl_bus_step *c, uint64_t side);
void pl_bus_act_revalidated(struct pl_bus_step *c);
void pl_bus_act_remember(struct pl_bus_step *c, uint64_t value);
void pl_bus_act_answer_empty(struct pl_bus_step *c, uint64_t side);
void pl_bus_act_event(struct pl_bus_step *c, uint64_t side, uint64_t kind, uint64_t dev_num);
void pl_bus_act_hold(struct pl_bus_step *c);
void pl_bus_act_release(struct pl_bus_step *c);

/* --- what fills the array of a reply --- */
void pl_bus_arr_devices(struct pl_bus_step *c, uint64_t offset, uint64_t count);
void pl_bus_arr_devices_turned(struct pl_bus_step *c, uint64_t offset, uint64_t count);
void pl_bus_arr_devices_bytes(struct pl_bus_step *c, uint64_t offset, uint64_t count,
                              uint64_t bytes);

#endif
