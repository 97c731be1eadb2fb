/* What the oracle's files share: tracked state, exchanges, and the judgement calls. */
#ifndef PL_ORACLE_PRIVATE_H
#define PL_ORACLE_PRIVATE_H

#include "oracle/oracle.h"
#include "pl_predicates.h" /* generated: enum pl_predicate */

enum {
    PL_SLOTS = 256,
    PL_STATUS_MAX = 6,
    PL_QUEUE_CANDIDATES = 6,
    PL_QUEUES = 64,
    PL_BLOCKS = 64,
    PL_DEVICES = 256,
    PL_ORDERS = 16
};

/* The facts of one exchange, as the models' expressions see them. */
struct pl_facts {
    const struct pl_msg *req, *resp; /* resp: the response, or the event */
    const struct pl_msg *info;       /* GET_DEVICE_INFO's answer; kind PL_NONE while unknown */
    uint32_t max_msg_size;
    bool strict;
    bool queue_absent; /* req.index is known not to be available */
    bool applied;      /* SET_CONFIG: answered with the request's length */
};

/* A clause that expressions judge: when it applies and what must then hold. */
struct pl_rule {
    uint16_t clause;
    bool event;        /* triggered by an event, not a response */
    enum pl_kind kind; /* PL_NONE: any kind */
    bool (*when)(const struct pl_facts *f);
    bool (*require)(const struct pl_facts *f);
    const char *text; /* the requirement, as written in the model */
};

struct pl_clauses {
    const struct pl_spec *spec;
    const struct pl_clause_def *defs;
    size_t n;
    const struct pl_rule *rules;
    size_t n_rules;
    const uint16_t *const *by_predicate; /* [predicate]: clause indices, 0xffff ends */
};

/* One possible state of a virtqueue. A bit in unknown means that the address is not known. */
struct pl_queue_state {
    bool enabled;
    uint8_t unknown; /* 1 desc_addr, 2 driver_addr, 4 device_addr */
    uint32_t size;
    uint64_t desc_addr, driver_addr, device_addr;
};

/* One outcome of a request on one possible state. */
struct pl_queue_step {
    struct pl_queue_state state;
    enum pl_predicate predicate; /* the transition that was taken */
};
struct pl_queue_env {
    bool available, ring_reset;
};
/* Generated: all outcomes of req in state `in`; at most PL_QUEUE_CANDIDATES. */
typedef unsigned pl_queue_step_fn(const struct pl_msg *req, const struct pl_queue_env *env,
                                  const struct pl_queue_state *in, struct pl_queue_step *out);

/* The set of states that a virtqueue can be in. */
struct pl_queue_set {
    bool any; /* nothing is known */
    unsigned n;
    struct pl_queue_state state[PL_QUEUE_CANDIDATES];
};

/* What VIRTIO_F_SUSPEND makes of a device. */
enum pl_suspend { PL_RUNNING, PL_SUSPENDING, PL_SUSPENDED, PL_RESUMING };

enum pl_tristate { PL_NO, PL_YES, PL_UNSURE };

/* What the engine tells of a virtqueue's memory, and what the notifications make of it. */
struct pl_queue_ring {
    bool laid_out;    /* a ring stands, and the engine looks at it */
    bool suppressed;  /* the driver asked for no notifications, and none was on its way */
    bool due;         /* a used chain was seen that EVENT_USED has not announced */
    bool announced;   /* an EVENT_USED came since the last look */
    bool called;      /* while suppressed: a chain was used that may be announced, at any time */
    bool excess;      /* while suppressed: an EVENT_USED came that no used chain accounts for */
    unsigned early;   /* EVENT_USED since the last look, ahead of the chains that they announce */
    uint64_t unheard; /* used chains whose own EVENT_USED may still be on its way */
    uint64_t hushed;  /* ... those used while suppressed, once the driver's wishes change */
    bool sealed;      /* it was looked at when the queue was seen stopped */
    bool stopped;     /* RESET_VQUEUE took effect, and no SET_VQUEUE was met since */
    bool worked;      /* since the last reset of the device a chain was used */
    bool renewed;     /* ... and the ring is a new one, behind a RESET_VQUEUE */
    uint64_t held;    /* chains in the device's hands */
};

struct pl_queue {
    bool used;
    uint32_t index;
    struct pl_queue_ring ring;
    uint32_t max_size; /* as reported; meaningful where available is PL_YES */
    enum pl_tristate available;
    struct pl_queue_set set;
    struct pl_queue_set before;  /* ahead of the last request that could change it */
    struct pl_queue_state asked; /* what the last SET_VQUEUE asked for, applied in full */
    uint64_t seen_seq;           /* when GET_VQUEUE was last answered */
    enum pl_kind last_kind;      /* of that request; PL_NONE: none since the last agreement */
    enum pl_predicate last_predicate;
    uint64_t last_seq;
    uint32_t last_flags;
    bool configured;   /* read with a size since the reset */
    bool was_accepted; /* `accepted` was seen in place during this negotiation */
    struct pl_queue_state accepted;
    bool overtaken; /* read as before `asked` while that request was unanswered */
    struct pl_queue_state overtaken_by;
    bool reset_since; /* RESET_VQUEUE took effect after `accepted` */
    bool anew;        /* the last SET_VQUEUE found it as that left it, and says nothing undefined */
    bool in_reset;    /* a request came while the device was resetting: it may be behind the end */
};

struct pl_status_set {
    bool any;
    unsigned n;
    uint32_t v[PL_STATUS_MAX];
};

/* How often FEATURES_OK was taken or refused for one selection, by the way it was built. */
struct pl_order {
    uint32_t selection[4];
    uint32_t way;
    uint32_t taken, refused;
};

/* Everything tracked of one device number. */
struct pl_track {
    uint16_t dev_num;
    struct pl_msg info;
    uint8_t uuid[16];
    uint8_t *info_bytes; /* the answer's bytes, kept for comparison */
    size_t info_size;

    struct pl_status_set status;
    bool resetting;
    bool features_in_reset; /* the driver wrote features meanwhile */
    bool written_in_reset; /* ... and a status: what reads otherwise than 0 says nothing any more */
    bool was_reset;        /* a reset has ended since the IUT started */
    uint32_t asked, told;  /* of the last SET_DEVICE_STATUS */
    bool told_fresh;       /* told was not yet confirmed by GET_DEVICE_STATUS */
    bool told_legal;       /* that write was one with a defined outcome */
    bool written_since_reset;
    bool needs_reset_asked; /* control: needs-reset */
    bool reset_told;        /* an EVENT_CONFIG has said DEVICE_NEEDS_RESET since the last reset */
    bool reset_untold;      /* DEVICE_NEEDS_RESET with DRIVER_OK, and no EVENT_CONFIG tells of it */
    enum pl_suspend suspend; /* as far as the status tells, under VIRTIO_F_SUSPEND */
    uint32_t suspend_from;   /* the status before the write that suspends or resumes */
    bool change_suspended;   /* control changed the configuration of the suspended device */
    bool resumed_untold;     /* ... and no EVENT_CONFIG told of it yet, but one must */
    bool resume_told;        /* ... which came while the device was about to resume */
    bool disordered; /* a status was written whose outcome is not defined, since the reset */
    bool racing;     /* control acts at an unknown moment: its event may still come */

    uint32_t offered[PL_BLOCKS], selected[PL_BLOCKS];
    uint64_t offered_known, selected_known; /* bit masks of blocks */
    bool selection_odd;                     /* written where the outcome is not defined */
    uint32_t last_block, way; /* the block written last; a hash of all writes since the reset */
    enum pl_tristate ring_reset;
    struct pl_order orders[PL_ORDERS];
    unsigned n_orders;
    unsigned direct_refusals; /* unoffered bits, written last, were refused */

    struct pl_queue queues[PL_QUEUES];
    unsigned n_queues;
    uint64_t seq;            /* counts requests that were resolved */
    enum pl_kind other_kind; /* last queue request for an absent index */
    uint64_t other_seq;
    uint64_t discard_seq; /* of the last request that had to be discarded; 0: none */
    uint64_t agreed_seq;  /* when the status was last read as expected */
    bool had_needs_reset; /* the status before the last write had the bit */

    uint8_t *config, *config_known; /* bytes as last seen; 1 where known, 2 where driver-written */
    uint32_t config_cap;
    bool noop_since; /* a SET_CONFIG of length 0 came after the last GET_CONFIG */
    /* A response showed gen, no longer gen_old, ahead of any event: so many may still come. */
    uint32_t moved_unreported;
    uint32_t gen_old;
    bool gen_kept; /* since gen was seen nobody asked for a change, though a reset may have come */
    bool restless; /* the generation has moved with nothing that the driver did */
    bool trails;   /* ... and events of that come behind responses that show it already */
    unsigned late; /* changes since the reset that an event may yet report */
    bool reset_bit_unreported; /* the status showed DEVICE_NEEDS_RESET ahead of any event */
    bool gen_seen;             /* gen held some value before */
    bool gen_known;
    uint32_t gen;
    uint32_t history[3];
    enum pl_kind history_kind[3];
    unsigned n_history;
    bool after_write; /* the last report was the answer to an applied SET_CONFIG */
    bool write_moved; /* that answer told another generation than before */
    unsigned write_stale, write_right, read_same, read_differs;

    bool change_pending;      /* control: config-change, no EVENT_CONFIG yet */
    bool change_unread;       /* the change has not been read back yet */
    bool change_large;        /* it does not fit into one EVENT_CONFIG */
    bool change_real;         /* it alters bytes that were known */
    bool change_before_known; /* gen_before is known */
    uint32_t gen_before, change_offset, change_len;
    uint8_t *change_bytes;
    uint32_t change_cap;
    uint8_t *change_left; /* for each changed byte: no event has covered it yet */
    bool event_stale;     /* EVENT_CONFIG carried gen_before */
    bool event_unread;    /* EVENT_CONFIG came, and no read since: event_gen */
    uint32_t event_gen;
    unsigned event_wrong;     /* reads in a row that contradict the event before them */
    uint32_t event_wrong_gen; /* what that read said */
    /* the first version that was read since the last reset, to be met again only unchanged */
    uint8_t *first, *first_known;
    bool first_valid;
    uint32_t first_gen;
    /* as of a write that must not change anything: bytes, what the write was, who is to blame */
    uint8_t *frozen, *frozen_known;
    bool frozen_valid, frozen_write_only;
    enum pl_predicate frozen_by;
    uint32_t frozen_offset, frozen_len;
    uint8_t frozen_data[256];
    /* a SET_CONFIG that was overtaken by the answer to a later request */
    bool late_write, late_saw_old;
    uint32_t late_offset, late_len;
    uint8_t late_old[64], late_new[64];
    bool suspect; /* frozen bytes changed, and no event has explained it yet */
    char suspect_text[160];
    bool wrote; /* an applied SET_CONFIG changed bytes and may be reported */
    uint32_t wrote_offset, wrote_len;

    /* shared memory regions as reported */
    struct {
        bool known;
        uint64_t id, length, address;
    } shm[8];

    /* the last write of each outcome in the baseline profile, to compare generations */
    bool write_known[2];
    uint32_t write_gen[2], write_offset[2], write_len[2], write_hash[2], write_status[2];

    enum pl_kind last_kind; /* of the last request that was resolved */
    bool last_mismatch;     /* it was a SET_CONFIG with another generation than the current */
};

enum pl_owed { PL_MUST_ANSWER, PL_MAY_ANSWER, PL_MUST_DISCARD };

enum pl_slot_state { PL_SLOT_FREE, PL_SLOT_WAITING, PL_SLOT_LATE, PL_SLOT_GHOST, PL_SLOT_DONE };

/* One request and what became of it. */
struct pl_slot {
    enum pl_slot_state state;
    enum pl_owed owed;
    enum pl_predicate owed_by; /* what a missing answer breaks */
    uint64_t seq;
    struct pl_msg req;
    uint8_t *copy;
    size_t cap;
    struct pl_status_set status; /* as of its turn, where its answer came late */
    struct pl_queue_set queue;
};

struct pl_bus_judge; /* what is known of a bus under test: bus.h */
struct pl_drv;       /* what is known of a driver under test: drv.h */
struct pl_drv_ring;  /* ... and of its virtqueues: drv_ring.h */

struct pl_oracle {
    enum pl_iut iut;
    struct pl_drv *drv;           /* owned; NULL: the IUT is no driver */
    struct pl_drv_ring *drv_ring; /* owned; there where drv is */
    struct pl_bus_judge *bus;     /* owned; NULL: the IUT is no bus */
    const struct pl_spec *spec;
    const struct pl_clauses *clauses;
    pl_fail_fn *fail;
    void *opaque;
    uint32_t max_msg_size;
    bool strict;
    struct pl_clause_state *states;
    uint16_t *met; /* clauses that applied, in that order; as long as there are clauses */
    size_t n_met;
    bool unmet; /* states changed by what is not in that list */
    struct pl_slot slots[PL_SLOTS];
    unsigned next_slot;
    uint64_t seq;
    uint64_t first_open; /* no request before this one is waiting or late */
    struct pl_track *tracks[PL_DEVICES];
    unsigned n_tracks;
    uint16_t *numbers; /* device numbers that exist; NULL: not known */
    size_t n_numbers;
    bool answered[PL_KIND_COUNT];   /* in the whole run */
    uint64_t missed[PL_KIND_COUNT]; /* requests of a kind that had never been answered by then */
    enum pl_predicate missed_by[PL_KIND_COUNT];
    bool own_ids[256]; /* implementation-defined ids that were answered */
    unsigned n_own_ids;
    bool serves; /* a chain was used: the device works on virtqueues */
    bool midway; /* the IUT goes on from what nobody judged */
    unsigned idle_before, idle_reset, idle_queue; /* looks that count once it does */
    uint64_t features_tried, features_taken; /* FEATURES_OK for selections of what is offered */
    bool out_of_order;                       /* the response at hand overtook an earlier one */
};

/* --- judgement --- */
/* It could be judged once more. */
static inline void pl_applied(struct pl_oracle *o, size_t clause)
{
    if (!o->states[clause].applied++)
        o->met[o->n_met++] = (uint16_t)clause;
}
void pl_held(struct pl_oracle *o, enum pl_predicate p);
__attribute__((format(printf, 3, 4))) void pl_broken(struct pl_oracle *o, enum pl_predicate p,
                                                     const char *format, ...);
void pl_used(struct pl_oracle *o, enum pl_predicate p);
void pl_run_rules(struct pl_oracle *o, const struct pl_facts *f, bool event);

/* --- byte order --- */
/* Is `got` `want` with its `width` bytes turned round, and not `want` itself? */
bool pl_endian_swapped(uint64_t got, uint64_t want, unsigned width);
/* Judge a response; false where it is big-endian and nothing else can be made of it. */
bool pl_endian_judge(struct pl_oracle *o, const struct pl_track *t, const struct pl_msg *req,
                     const struct pl_msg *resp);
/* Is an EVENT_CONFIG big-endian? */
bool pl_endian_event(const struct pl_track *t, const struct pl_msg *ev);

/* --- tracking; each file keeps one part of the state --- */
struct pl_track *pl_track_get(struct pl_oracle *o, uint16_t dev_num);
void pl_track_reset(struct pl_track *t);  /* a reset has ended: everything reads as reset */
void pl_track_forget(struct pl_track *t); /* a reset is going on: nothing is known */

enum pl_owed pl_classify(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                         enum pl_predicate *owed_by);

void pl_status_one(struct pl_status_set *set, uint32_t value);
bool pl_status_has(const struct pl_status_set *set, uint32_t value);
bool pl_status_all(const struct pl_status_set *set, uint32_t bits);   /* set in every candidate */
bool pl_status_never(const struct pl_status_set *set, uint32_t bits); /* clear in every candidate */
void pl_status_written(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                       const struct pl_msg *resp);
void pl_status_read(struct pl_oracle *o, struct pl_track *t, const struct pl_slot *slot,
                    const struct pl_msg *resp);

/* Is the device suspended for sure? */
bool pl_suspend_rests(const struct pl_track *t);
/* A status write that suspends or resumes: true where it was one, and the status is kept. */
bool pl_suspend_written(struct pl_oracle *o, struct pl_track *t, uint32_t s,
                        const struct pl_msg *resp);
/* The status was read: what it can be from now on. */
void pl_suspend_seen(struct pl_oracle *o, struct pl_track *t, uint32_t g);
/* Control changes the configuration: true where that happens to a suspended device. */
bool pl_suspend_change(struct pl_track *t, uint32_t offset, const uint8_t *bytes, size_t size);
/* An EVENT_CONFIG: true where it belongs to a time of suspension, and nothing else is judged. */
bool pl_suspend_event(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *ev);
void pl_suspend_settle(struct pl_oracle *o, struct pl_track *t);
void pl_suspend_reset(struct pl_track *t);

void pl_features_read(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                      const struct pl_msg *resp);
void pl_features_written(struct pl_track *t, const struct pl_msg *req, bool certain);
bool pl_features_unoffered(const struct pl_track *t);
/* Is the block of a bit known; is the bit offered; is it selected? */
bool pl_features_known_bit(const struct pl_track *t, unsigned bit);
bool pl_features_offered_bit(const struct pl_track *t, unsigned bit);
bool pl_features_negotiated(const struct pl_track *t, unsigned bit);
void pl_features_decided(struct pl_oracle *o, struct pl_track *t, bool taken);

/* The queue reads as reset (ended), or as anything (a reset is going on). */
void pl_queue_reset(struct pl_queue *q, bool ended);
struct pl_queue *pl_queue_get(struct pl_track *t, uint32_t index);
void pl_queue_request(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                      bool certain);
void pl_queue_read(struct pl_oracle *o, struct pl_track *t, const struct pl_slot *slot,
                   const struct pl_msg *resp);
bool pl_queue_absent(const struct pl_track *t, uint32_t index);

void pl_config_read(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                    const struct pl_msg *resp);
void pl_config_written(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                       const struct pl_msg *resp);
void pl_config_event(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *event);
void pl_config_forget(struct pl_track *t);
/* A request that must not change the configuration was met: remember what stands there now. */
void pl_config_freeze(struct pl_track *t, const struct pl_msg *req, enum pl_predicate blame);
/* A SET_CONFIG was passed over; its answer may still come. */
void pl_config_overtaken(struct pl_track *t, const struct pl_msg *req);
/* Its own answer at last. */
void pl_config_late_answer(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *resp);
/* Nothing more comes for now: what no event has explained is a failure. */
void pl_config_settle(struct pl_oracle *o, struct pl_track *t);
void pl_config_size(struct pl_track *t, uint32_t size);

void pl_shm_read(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                 const struct pl_msg *resp);
void pl_info_read(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *resp);

/* --- virtqueues in use: ring.c --- */
void pl_ring_reset(struct pl_queue *q);
/* A SET_VQUEUE or RESET_VQUEUE was met; `stops`: it is the latter, and takes effect. */
void pl_ring_request(struct pl_queue *q, bool stops);
void pl_ring_event(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *event);
void pl_ring_settle(struct pl_oracle *o, struct pl_track *t);
/* Is a request of this kind under way to the device? */
bool pl_waiting(const struct pl_oracle *o, const struct pl_track *t, enum pl_kind kind);

/* Generated from models/virtio-core: a feature bit of a type, and bits of which it needs one. */
struct pl_feature_need {
    uint16_t feature;
    uint16_t any[2];
    uint16_t n;
};
const struct pl_feature_need *pl_type_needs(uint64_t device_id, size_t *n);
/* Whether a device of this type may refuse a selection without the bit, which it offers. */
bool pl_type_insists(uint64_t device_id, unsigned bit);
/* Generated from models/virtio-core: does the type have shared memory; are bytes opaque. */
bool pl_type_opaque(uint64_t device_id, uint64_t offset);

#endif
