/* The reference device from inside: its state, and what the generated transitions may call. */
#ifndef PL_PEER_DEVICE_PRIVATE_H
#define PL_PEER_DEVICE_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "peer/admin_state.h"
#include "peer/bend.h"
#include "peer/device.h"
#include "peer/device_outbox.h"
#include "peer/io_store.h"
#include "peer/net_state.h"
#include "pl_device_options.h" /* generated: enum pl_device_opt */
#include "pl_types.h"          /* generated: facts of device types */
#include "ring/ring.h"
#include "wire/wire.h"

#define PL_DEVICE_MAX         8u    /* devices of one endpoint */
#define PL_DEVICE_MAX_QUEUES  32u   /* queues of one device */
#define PL_DEVICE_MAX_BLOCKS  4u    /* feature blocks that are stored */
#define PL_DEVICE_MAX_BEYOND  16u   /* nonzero words of a selection behind those */
#define PL_DEVICE_MAX_CONFIG  1024u /* bytes of configuration space */
#define PL_DEVICE_MAX_OPTIONS 128u

/* A field of the configuration space, of pl_types.h: where it is, and its bytes. */
#define PL_FIELD(name) name##_AT, name##_LEN

/* What can happen besides messages, numbered behind the messages. */
enum pl_device_event {
    PL_ON_RESET = PL_KIND_COUNT, /* the device returns to its first state */
    PL_ON_RESET_QUEUE,           /* and so does each of its queues */
    PL_ON_RESET_DUE,             /* an asynchronous reset's time has come */
    PL_ON_CONFIG_CHANGED, /* control: the device changes its configuration (offset, length) */
    PL_ON_NEEDS_RESET,    /* control: the device runs into an error */
    PL_ON_SUSPEND_DUE,    /* suspending or resuming has come to its end */
    PL_ON_RESUME,         /* the device resumes */
    PL_ON_ATTACHED,       /* control: a device came */
    PL_ON_DETACHED,       /* control: a device went */
    PL_ON_MALFORMED,      /* a message that does not fit its layout or the bus's maximum */
    PL_ON_UNSUPPORTED,    /* an unknown msg_id */
    PL_ON_UNEXPECTED,     /* a response, or a message that is not the driver side's to start */
    PL_ON_NO_DEVICE,      /* a transport message for a device number that is not there */
    PL_ON_QUEUE_STOP,     /* a queue does I/O: must it stop, before the response goes out? */
    PL_ON_QUEUE_START,    /* a queue does none: may it, now that the response is out? */
    PL_ON_QUEUE_FAULT,    /* the driver's side of a ring is not as it must be */
    PL_ON_CHAIN,          /* a chain was taken from the available ring */
    PL_ON_BLOCK,          /* its work is due, by type: a block request */
    PL_ON_ENTROPY,        /* a buffer for random bytes */
    PL_ON_CONSOLE_OUT,    /* characters from the driver */
    PL_ON_CONSOLE_IN,     /* a buffer for characters, and some are there */
    PL_ON_CONSOLE_TOLD,   /* a control message from the driver */
    PL_ON_CONSOLE_SAY,    /* a buffer for a control message, and one is there */
    PL_ON_NET_OUT,        /* a packet from the driver */
    PL_ON_NET_ARRIVES,    /* a packet is there: does the device take it? */
    PL_ON_NET_FILTER,     /* it does: do flow filters say where it goes? */
    PL_ON_NET_STEER,      /* it does: on which queue? */
    PL_ON_NET_IN,         /* buffers enough for a packet that is there */
    PL_ON_NET_CONTROL,    /* a command for the network device */
    PL_ON_ADMIN,          /* an administration command */
    PL_ON_SERVED,         /* a chain's work is done */
    PL_ON_FLUSH,          /* chains that were used are to be seen */
    PL_ON_NOTIFY,         /* they are: is the driver told? */
    PL_ON_COUNT
};

/* A type's facts from core virtio: generated. */
struct pl_device_facts {
    const char *name;
    uint32_t id;
    bool shm;
    uint32_t opaque_first, opaque_last; /* first > last: none */
};

/* A type's plausible contents: device_types.c. */
struct pl_device_type {
    const char *name;
    const uint8_t *config;
    uint32_t config_size;
    uint32_t writable_first, writable_last; /* what a driver may change; first > last: nothing */
    uint64_t features;
    uint16_t queues[8]; /* maximum sizes; 0: not available */
    uint32_t n_queues;
};

struct pl_device_queue {
    uint64_t index, available, max_size;
    uint64_t enabled, size, desc_addr, driver_addr, device_addr;
    uint64_t live;             /* does I/O, or would if its ring were sound */
    uint64_t taken;            /* chains since it started */
    int kind;                  /* the event that its chains are, since it started; -1: none */
    struct pl_device_work *io; /* owned; NULL: no ring */
};

/* What is known of the chain at hand: the facts that transitions look at. */
struct pl_device_io {
    uint64_t id, entries, readable, writable, written;
    uint64_t served;     /* chains that its queue used before */
    uint64_t place, lap; /* of the ring: where the chain began, how often it was gone round */
    uint64_t readable_addr, writable_addr;             /* of the first such buffer; 0: none */
    uint64_t readable_len, writable_len, writable_end; /* of the first; behind the last */
    uint64_t last_len;                                 /* of the last writable one */
    uint64_t flushed;                     /* chains that a notification would tell of */
    uint64_t type, sector, bytes, flags;  /* of a block request */
    uint64_t segments, largest, in_range; /* of its discard segments */
    uint64_t failed;                      /* the store could not do it */
    uint64_t packet, buffers;             /* of a packet on its way in */
    uint64_t cast, own, listed;           /* its destination: 0 unicast, 1 multicast, 2 broadcast */
    uint64_t tagged, vlan_listed;         /* its VLAN tag */
    uint64_t dropped, target;             /* what becomes of it: the queue that it is for */
    uint64_t directed;                    /* a flow filter said so */
    uint64_t opcode, group, subject, object;        /* of an administration command */
    uint64_t hdr_len, outer_th, outer_nh, resource; /* of a packet's header on its way out */
    uint64_t due;                                   /* the driver wants to be told */
    /* of the zone of a block request; all 0 where there is none */
    uint64_t z_type, z_state, z_start, z_wp, z_end; /* z_end: of its capacity */
    uint64_t z_spans, z_required; /* zones that the data lie in; one of them is written in order */
    uint64_t z_unwritten;         /* sectors to be read that were not written */
    uint64_t z_open, z_active, z_implicit; /* zones of the device in these states */
};

/* The device variables that effects assign. */
struct pl_device_vars {
    uint64_t status, resetting, generation;
    uint64_t suspend; /* 1 suspending, 2 resuming */
};

/* One device number. */
struct pl_device {
    bool attached;
    bool made; /* it was attached before: what it owns is to be freed */
    uint64_t number;
    struct pl_device_vars v;
    uint64_t reset_delay; /* ms that a reset takes; 0: synchronous */
    uint64_t reset_at;    /* virtual ms at which the running reset ends */
    uint64_t suspend_at;  /* ... and suspending or resuming does */
    uint64_t device_id, vendor_id, feature_blocks, config_size;
    uint64_t max_virtqueues, admin_vq_start, admin_vq_count;
    uint64_t shm_length, shm_address;
    uint8_t uuid[16];
    uint32_t offered[PL_DEVICE_MAX_BLOCKS], selected[PL_DEVICE_MAX_BLOCKS];
    struct {
        uint32_t index, word;
    } beyond[PL_DEVICE_MAX_BEYOND];
    bool beyond_overflow;
    uint32_t writable_first, writable_last, opaque_first, opaque_last;
    uint8_t config[PL_DEVICE_MAX_CONFIG];
    uint8_t config_first[PL_DEVICE_MAX_CONFIG]; /* what a reset returns to */
    uint64_t put_off_first, put_off_end;        /* of what changes when it resumes; both 0: none */
    struct pl_device_queue queues[PL_DEVICE_MAX_QUEUES];
    struct pl_device_work *orphans; /* owned: what mutants leave going behind a reset */
    struct pl_disk *disk;           /* owned; NULL: not touched yet */
    struct pl_zone *zones;          /* owned; NULL: it has none */
    uint64_t n_zones, zones_end;    /* zones_end: sectors */
    struct pl_pipe pipe;            /* what loops back: characters, or packets */
    struct pl_pipe headers;         /* what the headers of these packets say */
    struct pl_pipe words;           /* a console's control messages to the driver */
    struct pl_net_state net;        /* what a network device was told */
    /* What follows is written ahead of being read, but for what pl_device_clear clears. */
    struct pl_admin_state admin;           /* what administration commands made */
    uint8_t put_off[PL_DEVICE_MAX_CONFIG]; /* the configuration, as it will be */
};

struct pl_device_model;

/* The endpoint: a bus instance's device side with its devices. */
struct pl_device_peer {
    const struct pl_spec *spec;
    const struct pl_device_model *model;
    const struct pl_device_type *type;
    const struct pl_device_watch *watch; /* NULL: nobody */
    const struct pl_mutant *mutant_def;  /* NULL: faithful */
    unsigned mutant;                     /* 0: faithful, else 1 + index */
    uint64_t opt[PL_DEVICE_MAX_OPTIONS];
    bool accept_long;
    struct pl_endpoint_env env;
    uint64_t now, seed, draws;
    uint64_t requests;           /* well-formed messages so far */
    uint64_t sent;               /* messages sent so far */
    uint64_t last_token, memory; /* what mutants remember */
    struct pl_outbox out, held;
    struct pl_outbox deferred; /* a message that a mutant processes later, */
    uint64_t deferred_until;   /* ms: behind the next one, or when none has come by then */
    bool replaying;
    uint8_t pending[PL_DEVICE_MAX_CONFIG]; /* bytes of a configuration change of the device's own */
    unsigned depth;                        /* events within events */
    bool polls;                            /* looks at rings without being told */
    struct {                               /* options that are asked for with every chain */
        uint64_t batch, in_order_batch, suppress, any_order;
    } io_opt;
    const char *file;                    /* what block devices stand on; NULL: memory */
    uint64_t file_sectors;               /* its size */
    struct pl_device_io io;              /* the chain at hand */
    struct pl_device_work *work;         /* its queue's work; NULL: there is none */
    struct pl_ring_chain chain;          /* its buffers */
    uint8_t net_header[PL_T_NET_HEADER]; /* of the packet that comes in */
    size_t frame_len;
    /* What follows is cleared where it comes into use: opening a device is to cost little. */
    struct pl_device nobody; /* stands where no device is */
    struct pl_device devices[PL_DEVICE_MAX];
    uint8_t scratch[PL_MSG_MAX + 1];                   /* the array of a reply */
    uint8_t message[PL_MSG_MAX + 1];                   /* a message being sent */
    uint8_t frame[PL_PIPE_ITEM_MAX + PL_T_NET_HEADER]; /* a packet, or a piece of data */
};

/* One event being handled. Pointers are never NULL. */
struct pl_step {
    struct pl_device_peer *peer;
    struct pl_device *dev;
    struct pl_device_queue *queue;
    const struct pl_msg *req;
    const struct pl_msg *out; /* the message that a bend looks at */
    struct pl_msg reply;
    bool replies;
    struct pl_device_vars old; /* before the effect */
    struct pl_device_queue no_queue;
};

/* A transition: false where its guard or choice does not hold. */
typedef bool pl_transition(struct pl_step *c);

/* A mutant's own transition for an event. */
struct pl_device_insert {
    int on;
    pl_transition *run;
};

/* A mutant's bend of outgoing messages. */
struct pl_device_bend {
    enum pl_bend_what what;
    enum pl_kind kind;      /* PL_NONE: any */
    bool responses, events; /* which messages */
    enum pl_field field;
    uint8_t fill;
    bool (*when)(struct pl_step *c);      /* NULL: always */
    uint64_t (*value)(struct pl_step *c); /* NULL: 0 */
};

/* A draft's device: generated. */
struct pl_device_model {
    const char *spec;
    const struct pl_device_option *options;
    size_t n_options;
    const struct pl_device_facts *facts;
    size_t n_facts;
    const struct pl_mutant *mutants;
    size_t n_mutants;
    pl_transition *const *on[PL_ON_COUNT]; /* lists with NULL at their end, or NULL */
};
extern const struct pl_device_model *const pl_device_models[]; /* NULL ends */

/* --- device_types.c, device_config.c --- */
const struct pl_device_type *pl_device_type_find(const char *name);
static inline uint64_t pl_device_opt(const struct pl_device_peer *peer, enum pl_device_opt option)
{
    return peer->opt[option];
}
/* Fill peer's model, type, mutant and options from a config. 0 or -EINVAL with a sentence. */
int pl_device_configure(struct pl_device_peer *peer, const struct pl_device_config *config,
                        char *error, size_t cap);

/* --- device_state.c: devices coming into being --- */
void pl_device_populate(struct pl_device_peer *peer);
/* As one that nothing was made of. */
void pl_device_clear(struct pl_device *dev);
void pl_device_init(struct pl_device_peer *peer, struct pl_device *dev, uint64_t number);
struct pl_device *pl_device_find(struct pl_device_peer *peer, uint64_t number);
uint64_t pl_device_draw(struct pl_device_peer *peer);
/* What a field of the configuration space says. */
void pl_device_put_config(struct pl_device *dev, uint64_t at, uint64_t len, uint64_t value);

/* --- device_step.c: running transitions --- */
/* Run one event for a device (or &peer->nobody); sends the reply, if any. 0 or a negative errno. */
int pl_device_run(struct pl_device_peer *peer, struct pl_device *dev, int on,
                  const struct pl_msg *req);
/* Run one event for a queue at work. */
void pl_device_run_queue(struct pl_device_peer *peer, struct pl_device *dev,
                         struct pl_device_queue *queue, int on);
/* Send a message as it is put together, bent where a mutant bends. */
int pl_device_send(struct pl_step *c, const struct pl_msg *m);
/* Send bytes, bent where a mutant bends. */
int pl_device_send_bytes(struct pl_step *c, const uint8_t *bytes, size_t size);

/* --- device_bend.c --- */
/* Bend peer->message of `size` bytes and put it into the outbox. */
int pl_device_bend(struct pl_step *c, size_t size);

/* --- device_control.c --- */
int pl_device_control(void *self, const char *line, char *answer, size_t cap);

/* --- what expressions may call: device_fn.c --- */
bool pl_fn_fits(const struct pl_step *c, uint64_t bytes);
bool pl_fn_event_fits(const struct pl_step *c, uint64_t bytes);
bool pl_fn_in_config(const struct pl_step *c, uint64_t offset, uint64_t length);
bool pl_fn_writable(const struct pl_step *c, uint64_t offset, uint64_t length);
bool pl_fn_config_differs(const struct pl_step *c, uint64_t offset);
uint64_t pl_fn_config_byte(const struct pl_step *c, uint64_t offset);
bool pl_fn_restored_differs(const struct pl_step *c);
bool pl_fn_selection_offered(const struct pl_step *c);
bool pl_fn_selection_offered_stored(const struct pl_step *c);
bool pl_fn_in_capacity(const struct pl_step *c, uint64_t sector, uint64_t bytes);
uint64_t pl_fn_peek(const struct pl_step *c, uint64_t addr, uint64_t bytes);
bool pl_fn_net_matches(const struct pl_step *c);
uint64_t pl_fn_admin_data(const struct pl_step *c, uint64_t at, uint64_t bytes);
bool pl_fn_admin_legal(const struct pl_step *c, uint64_t opcode);
bool pl_fn_admin_known(const struct pl_step *c, uint64_t cap);
bool pl_fn_admin_resource(const struct pl_step *c, uint64_t type);
bool pl_fn_admin_enabled(const struct pl_step *c, uint64_t type);
bool pl_fn_admin_there(const struct pl_step *c);
uint64_t pl_fn_admin_users(const struct pl_step *c);
bool pl_fn_admin_full(const struct pl_step *c);
bool pl_fn_admin_rival(const struct pl_step *c);
uint64_t pl_fn_admin_wrong(const struct pl_step *c);
uint64_t pl_fn_net_header(const struct pl_step *c);
uint64_t pl_fn_net_data(const struct pl_step *c, uint64_t at, uint64_t bytes);
bool pl_fn_net_mode(const struct pl_step *c, uint64_t mode);
bool pl_fn_net_table_sound(const struct pl_step *c);
bool pl_fn_net_rss_sound(const struct pl_step *c, uint64_t at);
bool pl_fn_net_hash_sound(const struct pl_step *c);
bool pl_fn_net_scales(const struct pl_step *c);
uint64_t pl_fn_net_pairs(const struct pl_step *c);
bool pl_fn_net_live(const struct pl_step *c, uint64_t queue);
uint64_t pl_fn_net_other(const struct pl_step *c, uint64_t queue);
uint64_t pl_fn_net_flow_queue(const struct pl_step *c);
uint64_t pl_fn_net_rss_queue(const struct pl_step *c);
bool pl_fn_net_hashed(const struct pl_step *c);
bool pl_fn_net_working(const struct pl_step *c, uint64_t queue);
bool pl_fn_net_context(const struct pl_step *c, uint64_t id);
bool pl_fn_net_stats_sound(const struct pl_step *c);
bool pl_fn_offered(const struct pl_step *c, uint64_t bit);
bool pl_fn_selected(const struct pl_step *c, uint64_t bit);
uint64_t pl_fn_status_ignored(const struct pl_step *c);
bool pl_fn_put_off(const struct pl_step *c);
uint64_t pl_fn_put_off_first(const struct pl_step *c);
uint64_t pl_fn_put_off_length(const struct pl_step *c);
bool pl_fn_multiple(const struct pl_step *c, uint64_t value, uint64_t of);
bool pl_fn_zoned(const struct pl_step *c);
bool pl_fn_zone_fields_differ(const struct pl_step *c);
bool pl_fn_zones_resettable(const struct pl_step *c);
bool pl_fn_power_of_two(const struct pl_step *c, uint64_t value);
uint64_t pl_fn_swap32(const struct pl_step *c, uint64_t value);
uint64_t pl_fn_swap16(const struct pl_step *c, uint64_t value);
uint64_t pl_fn_min(const struct pl_step *c, uint64_t a, uint64_t b);
uint64_t pl_fn_draw(struct pl_step *c);
uint64_t pl_fn_devices_count(const struct pl_step *c, uint64_t offset, uint64_t count);
uint64_t pl_fn_devices_next(const struct pl_step *c, uint64_t offset, uint64_t count);

/* --- what fills the array of a reply: device_array.c --- */
void pl_arr_uuid(struct pl_step *c);
void pl_arr_uuid_new(struct pl_step *c);
void pl_arr_uuid_bent(struct pl_step *c, uint64_t version, uint64_t variant);
void pl_arr_config(struct pl_step *c, uint64_t offset, uint64_t length);
void pl_arr_features(struct pl_step *c, uint64_t index, uint64_t count);
void pl_arr_selection(struct pl_step *c, uint64_t index, uint64_t count);
void pl_arr_features_or_selection(struct pl_step *c, uint64_t index, uint64_t count);
void pl_arr_request_data(struct pl_step *c);
void pl_arr_request_part(struct pl_step *c, uint64_t bytes);
void pl_arr_fill(struct pl_step *c, uint64_t bytes, uint64_t value);
void pl_arr_devices(struct pl_step *c, uint64_t offset, uint64_t count);

/* --- what `do` may name: device_act.c --- */
void pl_act_write_config(struct pl_step *c, uint64_t offset, uint64_t length);
void pl_act_apply_change(struct pl_step *c, uint64_t offset, uint64_t length);
void pl_act_restore_config(struct pl_step *c);
void pl_act_select(struct pl_step *c, uint64_t index, uint64_t count);
void pl_act_select_or(struct pl_step *c, uint64_t index, uint64_t count);
void pl_act_clear_selection(struct pl_step *c);
void pl_act_reset(struct pl_step *c);
void pl_act_start_reset(struct pl_step *c, uint64_t delay);
void pl_act_resume(struct pl_step *c);
void pl_act_start_suspend(struct pl_step *c, uint64_t delay);
void pl_act_put_off(struct pl_step *c, uint64_t offset, uint64_t length);
void pl_act_apply_put_off(struct pl_step *c);
void pl_act_forget_put_off(struct pl_step *c);
void pl_act_io_suspend(struct pl_step *c);
void pl_act_event_config(struct pl_step *c, uint64_t status, uint64_t generation, uint64_t offset,
                         uint64_t length, uint64_t with_data);
void pl_act_event_device(struct pl_step *c, uint64_t state);
void pl_act_event_failure(struct pl_step *c, uint64_t reason);
void pl_act_event_used(struct pl_step *c, uint64_t index);
void pl_act_event_avail(struct pl_step *c, uint64_t index);
void pl_act_ask(struct pl_step *c); /* sends a GET_DEVICE_STATUS request, as only a driver may */
void pl_act_answer(struct pl_step *c, uint64_t bytes);
void pl_act_process(struct pl_step *c);
void pl_act_defer(struct pl_step *c);
void pl_act_use_queue(struct pl_step *c, uint64_t index);
void pl_act_remember(struct pl_step *c, uint64_t value);
void pl_act_fill_config(struct pl_step *c, uint64_t offset, uint64_t length, uint64_t value);
void pl_act_late_response(struct pl_step *c, uint64_t token);

/* --- the same for virtqueues at work: io_act.c, io_block.c, io_console.c, io_net.c --- */
void pl_act_io_start(struct pl_step *c, uint64_t packed, uint64_t indirect, uint64_t event_idx,
                     uint64_t in_order);
void pl_act_io_look(struct pl_step *c);
void pl_act_io_finish(struct pl_step *c);
void pl_act_io_stop(struct pl_step *c);
void pl_act_io_pause(struct pl_step *c);
void pl_act_io_linger(struct pl_step *c, uint64_t how);
void pl_act_io_wait(struct pl_step *c, uint64_t ms);
void pl_act_io_lose(struct pl_step *c);
void pl_act_io_trim(struct pl_step *c, uint64_t buffers);
void pl_act_io_reverse(struct pl_step *c, uint64_t keep);
void pl_act_io_use(struct pl_step *c, uint64_t id, uint64_t entries, uint64_t written);
void pl_act_io_use_bent(struct pl_step *c, uint64_t id, uint64_t entries, uint64_t written,
                        uint64_t flip_wrap, uint64_t hide);
void pl_act_io_flush(struct pl_step *c);
void pl_act_io_status(struct pl_step *c, uint64_t status);
void pl_act_io_answer(struct pl_step *c, uint64_t status);
void pl_act_io_fill(struct pl_step *c, uint64_t from, uint64_t to, uint64_t value);
void pl_act_io_random(struct pl_step *c, uint64_t bytes);
void pl_act_poke(struct pl_step *c, uint64_t addr, uint64_t bytes, uint64_t value);
void pl_act_disk_read(struct pl_step *c, uint64_t sector, uint64_t bytes);
void pl_act_disk_write(struct pl_step *c, uint64_t sector, uint64_t bytes);
void pl_act_disk_zero(struct pl_step *c, uint64_t times, uint64_t more);
void pl_act_disk_flush(struct pl_step *c);
void pl_act_disk_id(struct pl_step *c, uint64_t bytes);
void pl_act_io_number(struct pl_step *c, uint64_t at, uint64_t bytes, uint64_t value);
void pl_act_zone_fields(struct pl_step *c);
void pl_act_zone_state(struct pl_step *c, uint64_t state);
void pl_act_zone_relieve(struct pl_step *c);
void pl_act_zone_wrote(struct pl_step *c, uint64_t sector, uint64_t sectors);
void pl_act_zone_pattern(struct pl_step *c, uint64_t sector, uint64_t sectors, uint64_t value);
void pl_act_zone_reset_all(struct pl_step *c, uint64_t but);
void pl_act_zones_erase(struct pl_step *c);
void pl_act_zone_report(struct pl_step *c);
void pl_act_console_put(struct pl_step *c, uint64_t bytes);
void pl_act_console_get(struct pl_step *c, uint64_t bytes);
void pl_act_console_say(struct pl_step *c, uint64_t port, uint64_t event, uint64_t value);
void pl_act_net_put(struct pl_step *c, uint64_t header);
void pl_act_net_filter(struct pl_step *c, uint64_t how);
void pl_act_admin_say(struct pl_step *c, uint64_t status, uint64_t qualifier);
void pl_act_admin_list(struct pl_step *c, uint64_t commands);
void pl_act_admin_use(struct pl_step *c);
void pl_act_admin_caps(struct pl_step *c, uint64_t hidden);
void pl_act_admin_cap(struct pl_step *c);
void pl_act_admin_settle(struct pl_step *c);
void pl_act_admin_create(struct pl_step *c);
void pl_act_admin_destroy(struct pl_step *c);
void pl_act_admin_query(struct pl_step *c);
void pl_act_net_offload(struct pl_step *c, uint64_t header, uint64_t low, uint64_t high);
void pl_act_net_learn(struct pl_step *c);
void pl_act_net_reset(struct pl_step *c, uint64_t parts);
void pl_act_net_ack(struct pl_step *c, uint64_t at, uint64_t ack);
void pl_act_net_say(struct pl_step *c, uint64_t at, uint64_t bytes, uint64_t value);
void pl_act_net_set_mode(struct pl_step *c, uint64_t mode, uint64_t on);
void pl_act_net_table(struct pl_step *c);
void pl_act_net_mac(struct pl_step *c);
void pl_act_net_vlan(struct pl_step *c, uint64_t id, uint64_t on);
void pl_act_net_settle(struct pl_step *c, uint64_t offset, uint64_t value);
void pl_act_net_use_pairs(struct pl_step *c, uint64_t pairs);
void pl_act_net_rss(struct pl_step *c, uint64_t at);
void pl_act_net_hash(struct pl_step *c);
void pl_act_net_key(struct pl_step *c, uint64_t at, uint64_t value);
void pl_act_net_tunnels(struct pl_step *c, uint64_t types);
void pl_act_net_coal(struct pl_step *c, uint64_t direction, uint64_t packets, uint64_t usecs);
void pl_act_net_coal_queue(struct pl_step *c, uint64_t queue, uint64_t packets, uint64_t usecs);
void pl_act_net_coal_tell(struct pl_step *c, uint64_t queue);
void pl_act_net_coal_renew(struct pl_step *c);
void pl_act_net_stats(struct pl_step *c, uint64_t more);
void pl_act_net_context(struct pl_step *c, uint64_t id);
void pl_act_net_context_end(struct pl_step *c, uint64_t id);
void pl_act_net_drop(struct pl_step *c);
void pl_act_net_target(struct pl_step *c, uint64_t queue);
void pl_act_net_poke(struct pl_step *c, uint64_t offset, uint64_t value);
void pl_act_net_grow(struct pl_step *c, uint64_t bytes);
void pl_act_net_spread(struct pl_step *c, uint64_t buffers);
void pl_act_net_header(struct pl_step *c, uint64_t header, uint64_t buffers);
void pl_act_fail(struct pl_step *c); /* the device runs into an error it cannot recover from */

#endif
