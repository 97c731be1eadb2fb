/* The reference driver from inside: its state, and what the generated transitions may call. */
#ifndef PL_PEER_DRIVER_PRIVATE_H
#define PL_PEER_DRIVER_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "peer/bend.h"
#include "peer/device_outbox.h"
#include "peer/driver.h"
#include "pl_driver_options.h" /* generated: enum pl_dp_opt */
#include "pl_driver_states.h"  /* generated: enum pl_dp_state, constants of the model */
#include "pl_types.h"          /* generated: facts of device types */
#include "ring/ring.h"
#include "wire/wire.h"

#define PL_DP_MAX_OPTIONS 64u
#define PL_DP_DEVICES     4u    /* devices that one driver drives at once */
#define PL_DP_QUEUES      16u   /* queues of one device that it uses */
#define PL_DP_LANES       8u    /* I/O requests of one device in flight */
#define PL_DP_BLOCKS      8u    /* feature blocks that it looks at */
#define PL_DP_OPEN        16u   /* requests of one device that are open */
#define PL_DP_CONFIG      256u  /* bytes of configuration space that it keeps */
#define PL_DP_PIECES      32u   /* GET_CONFIG requests of one look */
#define PL_DP_DATA        4096u /* bytes of data of an I/O request */
#define PL_DP_BUFFERS     16u   /* buffers of an I/O request */
#define PL_DP_NO_FEATURE  64u

/* What can happen besides messages, numbered behind the messages. */
enum pl_dp_event {
    PL_DP_ON_ENTER = PL_KIND_COUNT, /* a state was entered */
    PL_DP_ON_STEP,                  /* may something be sent? */
    PL_DP_ON_TIMER,                 /* what wait() waited for */
    PL_DP_ON_TIMEOUT,               /* a request was not answered in time */
    PL_DP_ON_REFUSED,               /* the bus says that a request failed */
    PL_DP_ON_ASKED,                 /* control */
    PL_DP_ON_PING_REQUEST,          /* the other end asks for a sign of life */
    PL_DP_ON_MALFORMED,             /* a message that does not fit its layout */
    PL_DP_ON_UNSUPPORTED,           /* an unknown msg_id */
    PL_DP_ON_UNEXPECTED, /* a response to nothing, or a message that is not to come here */
    PL_DP_ON_SUBMIT,     /* a lane is free: which request goes next? */
    PL_DP_ON_CHAIN,      /* its buffers are chosen */
    PL_DP_ON_ADDED,      /* they stand in the ring */
    PL_DP_ON_PUBLISHED,  /* the device sees them */
    PL_DP_ON_KICK,       /* is the device told? */
    PL_DP_ON_LOOK,       /* a queue is looked at */
    PL_DP_ON_DONE,       /* a chain came back */
    PL_DP_ON_IO_TIMEOUT, /* one did not, in time */
    PL_DP_ON_FAULT,      /* the device's side of a ring is not as it must be */
    PL_DP_ON_COUNT
};

/* What control can ask. */
enum pl_dp_ask {
    PL_DP_ASK_NOTHING,
    PL_DP_ASK_START,
    PL_DP_ASK_STOP,
    PL_DP_ASK_IO,
    PL_DP_ASK_WRITE,
    PL_DP_ASK_RESET
};

/* One field of a type's configuration space. */
struct pl_dp_field {
    const char *name;
    uint32_t number; /* among the fields of all types */
    uint32_t offset, length;
    uint32_t feature; /* PL_DP_NO_FEATURE: always there */
    bool late;        /* not before FEATURES_OK */
};

/* A feature needs one of two others. */
struct pl_dp_need {
    uint32_t bit, one_of[2];
};

/* A device type as the driver knows it. */
struct pl_dp_type {
    const char *name;
    uint32_t id;
    bool shm;
    uint64_t features; /* of its own that the driver understands */
    uint32_t queues;
    const struct pl_dp_field *fields;
    size_t n_fields;
    const struct pl_dp_need *needs;
    size_t n_needs;
};

/* The variables that effects assign, of one device. */
struct pl_dp_vars {
    uint64_t status, written, generation, reread, attempts, index, tries, first, last, qtries;
    uint64_t choice, known, looked, greeted, window, windows_done;
    uint64_t todo_stop, todo_io, todo_write, todo_reset, todo_nothing, todo_suspend, plan;
    uint64_t again, confirming, read_generation, since, rejects, retry, pieces_got, unsure;
};

/* What GET_DEVICE_INFO said. */
struct pl_dp_info {
    uint64_t device_id, vendor_id, num_feature_blocks, config_size, max_virtqueues;
    uint64_t admin_vq_start, admin_vq_count;
};

struct pl_dp_queue {
    uint64_t index;                 /* as the device counts */
    uint64_t max_size, size, ready; /* ready: it was confirmed */
    uint64_t desc_addr, driver_addr, device_addr, added;
    uint64_t place, room;        /* bytes of the device's memory that are its own */
    struct pl_driver_ring *ring; /* owned; NULL: none */
};

/* One I/O request at a time, with memory of its own. */
struct pl_dp_lane {
    bool busy;
    uint64_t number, step, sector, sectors, kind, result, written;
    uint64_t deadline;
    uint32_t queue; /* of the device's queues[] */
    int id;         /* of the chain */
    uint64_t at;    /* bus address of its memory */
    uint32_t data_len;
    bool reads;       /* its data comes from the device */
    bool knows;       /* `expect` is what stands at its sectors */
    uint64_t pattern; /* what `expect` is made of */
};

/* The ring of the request at hand: what transitions look at. */
struct pl_dp_ring {
    uint64_t due, head, packed, size, idx, indirect, table, n;
};

/* A request that is not answered yet. */
struct pl_dp_request {
    enum pl_kind kind;
    uint16_t token;
    uint64_t deadline, seq;
    uint64_t f[PL_F_COUNT];
};

struct pl_dp_piece {
    uint32_t offset, length;
};

/* One device, or (devices[PL_DP_DEVICES]) the bus itself. */
struct pl_dp_dev {
    bool used, bus;
    uint64_t number;
    enum pl_dp_state state;
    bool entering;      /* ENTER is due */
    uint64_t resume_at; /* no step before that, in ms */
    uint64_t timer_at;  /* UINT64_MAX: none */
    uint64_t poll_at;   /* rings are looked at then */
    uint64_t life;      /* resets so far */
    uint64_t served;
    struct pl_dp_vars v;
    struct pl_dp_info info;
    const struct pl_dp_type *type; /* NULL: unknown */
    uint32_t offered[PL_DP_BLOCKS], chosen[PL_DP_BLOCKS];
    uint8_t config[PL_DP_CONFIG], fresh[PL_DP_CONFIG];
    bool config_known;
    struct pl_dp_piece piece[PL_DP_PIECES];
    uint64_t n_pieces;
    struct {
        uint64_t offset, length;
        uint8_t data[PL_DP_CONFIG];
    } write;
    struct pl_dp_request open[PL_DP_OPEN];
    uint64_t n_open;
    struct pl_dp_queue queues[PL_DP_QUEUES];
    uint32_t n_queues;
    uint64_t memory, memory_size; /* bus addresses that are its own */
    struct pl_dp_lane lanes[PL_DP_LANES];
    uint64_t busy;
    struct pl_dp_ring ring;
};

struct pl_dp_model;
struct pl_dp_bent;

/* The endpoint: a bus instance's driver side with its devices. */
struct pl_dp {
    const struct pl_spec *spec;
    const struct pl_dp_model *model;
    const struct pl_dp_type *only; /* NULL: any */
    unsigned mutant;               /* 0: faithful, else 1 + index */
    const struct pl_dp_bent *bent; /* NULL: faithful */
    uint64_t opt[PL_DP_MAX_OPTIONS];
    struct pl_endpoint_env env;
    struct pl_ring_memory shared;
    uint64_t now, seed, draws, tokens, requests;
    uint64_t asked, changed, memory, sent;
    bool ended;
    struct pl_dp_dev devices[PL_DP_DEVICES + 1]; /* the last is the bus */
    struct pl_outbox out, held;
    char answer[256]; /* of control */
    bool asking, answered;
    struct pl_dp_dev *asking_of;
    struct pl_ring_buffer buffers[PL_DP_BUFFERS]; /* of the request at hand */
    unsigned n_buffers;
    uint8_t scratch[PL_MSG_MAX + 1];
    uint8_t message[PL_MSG_MAX + 1];
};

/* One event being handled. */
struct pl_dp_step {
    struct pl_dp *peer;
    struct pl_dp_dev *dev;
    struct pl_dp_queue *queue; /* never NULL */
    struct pl_dp_lane *lane;   /* never NULL */
    const struct pl_msg *resp; /* what came; never NULL */
    const struct pl_dp_request *req;
    const struct pl_msg *out; /* the message that a bend looks at */
    struct pl_msg send;
    struct pl_dp_vars old;
};

/* A transition: false where its state or guard does not hold. */
typedef bool pl_dp_transition(struct pl_dp_step *c);

struct pl_dp_insert {
    int on;
    pl_dp_transition *run;
};

/* A mutant's bend of outgoing messages. */
struct pl_dp_bend {
    enum pl_bend_what what;
    enum pl_kind kind;     /* PL_NONE: any */
    bool requests, events; /* which messages */
    enum pl_field field;
    uint8_t fill;
    bool (*when)(struct pl_dp_step *c);      /* NULL: always */
    uint64_t (*value)(struct pl_dp_step *c); /* NULL: 0 */
};
struct pl_dp_bent {
    const struct pl_dp_insert *inserts;
    size_t n_inserts;
    const struct pl_dp_bend *bends;
    size_t n_bends;
};

/* A draft's driver: generated. */
struct pl_dp_model {
    const char *spec;
    const struct pl_device_option *options;
    size_t n_options;
    const char *const *states;
    uint64_t fresh; /* states that forget what is open, as a mask */
    const struct pl_dp_type *types;
    size_t n_types;
    const struct pl_mutant *mutants;
    const struct pl_dp_bent *bent;
    size_t n_mutants;
    pl_dp_transition *const *on[PL_DP_ON_COUNT]; /* lists with NULL at their end, or NULL */
};
extern const struct pl_dp_model *const pl_dp_models[]; /* NULL ends */

/* --- driver_config.c --- */
static inline uint64_t pl_dp_opt(const struct pl_dp *peer, enum pl_dp_opt option)
{
    return peer->opt[option];
}
int pl_dp_configure(struct pl_dp *peer, const struct pl_driver_config *config, char *error,
                    size_t cap);
uint64_t pl_dp_draw(struct pl_dp *peer);

/* --- driver_step.c: running transitions, sending --- */
/* Run one event; true where a transition took it. */
bool pl_dp_run(struct pl_dp *peer, struct pl_dp_dev *dev, int on, const struct pl_msg *resp,
               const struct pl_dp_request *req);
bool pl_dp_run_io(struct pl_dp *peer, struct pl_dp_dev *dev, int on, struct pl_dp_queue *queue,
                  struct pl_dp_lane *lane);
/* Let a device do what it can do now: ENTER and STEP until nothing more happens. */
void pl_dp_settle(struct pl_dp *peer, struct pl_dp_dev *dev);
void pl_dp_go(struct pl_dp_step *c, enum pl_dp_state state);
void pl_dp_begin(struct pl_dp_step *c, enum pl_kind kind, bool response);
void pl_dp_send(struct pl_dp_step *c);
/* Find the open request that a response or failure belongs to, take it out; false: none. */
bool pl_dp_close(struct pl_dp_dev *dev, enum pl_kind kind, uint16_t token,
                 struct pl_dp_request *out);
void pl_dp_close_at(struct pl_dp_dev *dev, size_t i, struct pl_dp_request *out);
/* Put a finished message into the outbox, bent where the mutant bends. */
void pl_dp_put(struct pl_dp_step *c, size_t size);

/* --- driver_bend.c --- */
void pl_dp_bend(struct pl_dp_step *c, size_t size);

/* --- driver.c --- */
struct pl_dp_dev *pl_dp_device(struct pl_dp *peer, uint64_t number, bool make);
void pl_dp_answer(struct pl_dp *peer, const struct pl_dp_dev *dev, const char *text);

/* --- driver_io.c --- */
void pl_dp_io_forget(struct pl_dp *peer, struct pl_dp_dev *dev);
uint64_t pl_dp_io_next_ms(const struct pl_dp *peer, const struct pl_dp_dev *dev);
void pl_dp_io_advance(struct pl_dp *peer, struct pl_dp_dev *dev);
void pl_dp_io_lay_out(struct pl_dp *peer, struct pl_dp_dev *dev);
/* The queues[] entry of a device's queue number; NULL: not one that is used. */
struct pl_dp_queue *pl_dp_queue_of(struct pl_dp_dev *dev, uint64_t index);
/* Size, addresses and ring of a queue; false where there is no room. */
bool pl_dp_queue_make(struct pl_dp *peer, struct pl_dp_dev *dev, struct pl_dp_queue *queue,
                      uint64_t size);
/* The type with this id, where the driver knows it. */
void pl_dp_set_type(struct pl_dp *peer, struct pl_dp_dev *dev, uint64_t id);
bool pl_dp_selected(const struct pl_dp_dev *dev, uint64_t bit);

/* --- what the expressions of driver.yaml call: driver_fn.c, driver_array.c, driver_act.c --- */
#define F0(name) uint64_t pl_dp_fn_##name(struct pl_dp_step *c)
#define F1(name) uint64_t pl_dp_fn_##name(struct pl_dp_step *c, uint64_t a)
#define F2(name) uint64_t pl_dp_fn_##name(struct pl_dp_step *c, uint64_t a, uint64_t b)
#define F3(name) uint64_t pl_dp_fn_##name(struct pl_dp_step *c, uint64_t a, uint64_t b, uint64_t d)
F2(min);
F0(draw32);
F0(bus_usable);
F0(window_size);
F0(blocks);
F1(chunk);
F1(select_chunk);
F0(possible);
F1(offered);
F1(selected);
F0(pieces);
F1(piece_offset);
F1(piece_length);
F0(same_piece);
F0(config_here);
F1(config);
F0(fits_driver);
F0(type_has_shm);
F1(queue_batch);
F0(queue_count);
F1(queue_number);
F0(queues_missing);
F1(queue_wanted);
F0(queue_confirmed);
F0(ring_reset);
F0(io_possible);
F0(lane_free);
F0(lane_sound);
F0(answer_due);
F0(kick_data);
F3(peek);
F1(offered_word);
F0(write_fits);
#undef F0
#undef F1
#undef F2
#undef F3
void pl_dp_arr_chosen(struct pl_dp_step *c, uint64_t index, uint64_t count);
void pl_dp_arr_offered(struct pl_dp_step *c, uint64_t index, uint64_t count);
void pl_dp_arr_words(struct pl_dp_step *c, uint64_t count, uint64_t first, uint64_t second);
void pl_dp_arr_write_data(struct pl_dp_step *c);
void pl_dp_arr_fill(struct pl_dp_step *c, uint64_t bytes, uint64_t value);
#define A0(name) void pl_dp_act_##name(struct pl_dp_step *c)
#define A1(name) void pl_dp_act_##name(struct pl_dp_step *c, uint64_t a)
#define A2(name) void pl_dp_act_##name(struct pl_dp_step *c, uint64_t a, uint64_t b)
#define A3(name) void pl_dp_act_##name(struct pl_dp_step *c, uint64_t a, uint64_t b, uint64_t d)
#define A4(name)                                                                                   \
    void pl_dp_act_##name(struct pl_dp_step *c, uint64_t a, uint64_t b, uint64_t d, uint64_t e)
#define A5(name)                                                                                   \
    void pl_dp_act_##name(struct pl_dp_step *c, uint64_t a, uint64_t b, uint64_t d, uint64_t e,    \
                          uint64_t f)
A0(plan);
A0(answer_ok);
A1(answer_error);
A0(ended);
A1(wait);
A0(adopt_parameters);
A0(note_devices);
A0(start_devices);
A0(take_info);
A1(take_features);
A1(choose);
A2(choose_bits);
A2(drop_bits);
A0(forget_features);
A1(assume_info);
A1(assume_queues);
A0(plan_config);
A0(forget_config);
A0(take_config);
A0(use_config);
A0(lay_out);
A1(take_queue);
A1(prepare_queue);
A1(use_queue);
A1(queue_ready);
A0(written);
A1(remember);
A0(io_forget);
A1(io_forget_queue);
A0(io_release);
A0(io_drop);
A1(look);
A0(collect);
A0(submit);
A4(request);
A5(segments);
A1(buffer);
A1(chain_readable);
A4(ring_poke);
A3(table_poke);
#undef A0
#undef A1
#undef A2
#undef A3
#undef A4
#undef A5

#endif
