/* The judge's public face: it is told every message and stimulus, and says which clauses held. */
#ifndef PL_ORACLE_H
#define PL_ORACLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/wire.h"

/* One normative statement of a draft, or of what it includes. All of it is generated and constant.
 */
struct pl_clause_def {
    const char *id, *level, *role, *how, *section, *text;
    bool judged;
    bool by_scenario;   /* only a scenario's expectations judge it */
    const char *reason; /* why it is not judged; NULL where it is */
    const char *spec;   /* the catalogue that it stands in: a draft's name, or "virtio-1.4" */
    const char *type;   /* the device type that it binds, by name; NULL: any */
    uint32_t device_id; /* that type's device id; 0: any */
};

struct pl_clauses; /* a draft's clause table with its predicates; generated */

/* The clauses of a draft, or NULL where it has none yet. */
const struct pl_clauses *pl_clauses_find(const struct pl_spec *spec);
size_t pl_clauses_count(const struct pl_clauses *clauses);
const struct pl_clause_def *pl_clauses_get(const struct pl_clauses *clauses, size_t i);
/* The index of a clause, or -1. */
int pl_clauses_index(const struct pl_clauses *clauses, const char *id);

struct pl_oracle;

/* What the oracle knows of one clause so far. */
struct pl_clause_state {
    uint64_t applied; /* times it could be judged */
    uint64_t failed;  /* of these, times it did not hold */
    bool used;        /* an option: seen in use */
};

/*
 * Called at the moment a clause turns out broken: its index and one sentence that says what was
 * expected and what was seen. The text lives until the call returns.
 */
typedef void pl_fail_fn(void *opaque, size_t clause, const char *text);

/* What is judged: the role of the IUT. */
enum pl_iut { PL_IUT_DEVICE, PL_IUT_DRIVER, PL_IUT_BUS };
/* The one that a role's name stands for: "device", "driver", "bus"; device for anything else. */
enum pl_iut pl_iut_of(const char *role);

/* A new oracle. It allocates here and when a device is first seen, never for a message. */
struct pl_oracle *pl_oracle_new(const struct pl_spec *spec, pl_fail_fn *fail, void *opaque);
/* The same for an IUT of any role; pl_oracle_new is for devices. */
struct pl_oracle *pl_oracle_new_for(const struct pl_spec *spec, enum pl_iut iut, pl_fail_fn *fail,
                                    void *opaque);
void pl_oracle_free(struct pl_oracle *oracle);

/* A new instance of the IUT: everything known of its state is forgotten, clause counts stay. */
void pl_oracle_start(struct pl_oracle *oracle, uint32_t max_msg_size, uint32_t transport_features);
/* As a new oracle, without its cost: counts are zero, and nothing was ever answered. The device
 * numbers that exist stay. To be started. */
void pl_oracle_renew(struct pl_oracle *oracle);
/* The IUT goes on from what nobody judged: it may still report a change of that time. */
void pl_oracle_midway(struct pl_oracle *oracle);

/* What was learned so far of how a driver lives with a device that nothing is unusual about
 * outlives renewals from now on: where it gives another device up, that tells why. */
void pl_oracle_keep(struct pl_oracle *oracle);

/* A message went to the IUT, or came from it. Only bytes; the oracle takes them apart itself. */
void pl_oracle_sent(struct pl_oracle *oracle, const void *bytes, size_t size);
void pl_oracle_received(struct pl_oracle *oracle, const void *bytes, size_t size);
/* The same for who has taken it apart already, as pl_decode does. */
void pl_oracle_sent_message(struct pl_oracle *oracle, const struct pl_msg *m);
void pl_oracle_received_message(struct pl_oracle *oracle, const struct pl_msg *m);

/*
 * Where msg_size is the framing: all that came of a message is its header, because msg_size is less
 * than that or more than the carrier takes, or so many bytes never came.
 */
void pl_oracle_unframed(struct pl_oracle *oracle, const void *header, size_t size);

/* The two sides of a bus under test. */
enum pl_bus_side { PL_BUS_DRIVER_SIDE, PL_BUS_DEVICE_SIDE };
/* A bus under test: a message that went into it on one of its sides, or came out there. */
void pl_oracle_bus(struct pl_oracle *oracle, enum pl_bus_side side, bool to_iut, const void *bytes,
                   size_t size);
/*
 * A bus under test: what it cannot be seen by messages alone. The words: "present N" and "absent N"
 * (the device side has a device of this number, or no longer), "stated N" (the bus knows of it by
 * platform data or by control), "detached N" (control told it that the device is gone), "changing"
 * and "settled" (its parameters change, by control; they were revalidated), "given SIZE FEATURES".
 */
void pl_oracle_bus_told(struct pl_oracle *oracle, const char *words);
/* What a bus under test has done since it was started. */
enum pl_bus_count {
    PL_BUS_FORWARDED,     /* messages of the driver side that were seen on the device side */
    PL_BUS_PARAMS_DRIVER, /* EVENT_PARAMETERS on the driver side */
    PL_BUS_PARAMS_DEVICE, /* ... on the device side */
    PL_BUS_FAILURES,      /* EVENT_FAILURE */
    PL_BUS_ADDED,         /* EVENT_DEVICE, on the driver side */
    PL_BUS_REMOVED,
    PL_BUS_EVENTS_OWED, /* events that are due and did not come out yet */
    PL_BUS_INSIDE, /* requests and events that are due on the other side and did not come out yet */
    PL_BUS_UNFINISHED, /* requests that are not completed, those that the device owes included */
};
unsigned pl_oracle_bus_count(const struct pl_oracle *oracle, enum pl_bus_count what);
/* Was the driver side shown this number, and not its removal? Does the bus surely know it? */
bool pl_oracle_bus_shown(const struct pl_oracle *oracle, uint16_t number);
bool pl_oracle_bus_known(const struct pl_oracle *oracle, uint16_t number);

/*
 * A driver under test: what shows of it besides messages, in words (see docs/bindings.md, "What a
 * trace tells"): "asked WORD ...", "done WORD", "refused WORD": control, where WORD is start, stop,
 * io, config-write or queue-reset; "lost TOKEN": the response to its newest open request with this
 * token never comes; "seen": all that was sent so far has reached it; "patience": the harness has
 * waited as long as anybody waits.
 */
void pl_oracle_driver(struct pl_oracle *oracle, uint16_t dev_num, const char *words);

/*
 * The same of what was seen of a driver's virtqueues in memory: "chains 2 -", "owes", "broken
 * PREDICATE TEXT" (see harness/engine/drv_watch.h). False where the IUT is no driver.
 */
bool pl_oracle_driver_ring(struct pl_oracle *oracle, uint16_t dev_num, uint32_t index,
                           const char *words);

/*
 * Requests that must still be answered; of a driver: what it must still do, so that it is worth
 * waiting for.
 */
unsigned pl_oracle_owed(const struct pl_oracle *oracle);
/* Configuration changes of the device's own that no EVENT_CONFIG has reported yet. */
unsigned pl_oracle_events_owed(const struct pl_oracle *oracle);
/*
 * Nothing more comes: what had to be answered and was not counts as missing, what had to be
 * discarded counts as discarded. Afterwards nothing is outstanding.
 */
void pl_oracle_settle(struct pl_oracle *oracle);

/* What the harness provoked through control. */
void pl_oracle_config_changed(struct pl_oracle *oracle, uint16_t dev_num, uint32_t offset,
                              const void *bytes, size_t size);
void pl_oracle_needs_reset(struct pl_oracle *oracle, uint16_t dev_num);
/* The device is made to act at a moment that nobody knows: it may be doing so from now on. */
void pl_oracle_racing(struct pl_oracle *oracle, uint16_t dev_num);
/* What was announced with one of the two above did not happen: control said no. */
void pl_oracle_retract(struct pl_oracle *oracle, uint16_t dev_num);
/* What the engine sees in the memory of a virtqueue; numbers where the comment names them. */
enum pl_ring_news_kind {
    PL_RING_BEGIN,      /* a ring was laid out for it */
    PL_RING_ADD,        /* a chain was made available */
    PL_RING_USE,        /* a chain was seen used; `due`: the device must announce it */
    PL_RING_SUPPRESSED, /* notifications are suppressed, and the device can know it */
    PL_RING_WANTED,     /* notifications are wanted */
    PL_RING_LOOKED,     /* the end of one look at the ring */
    PL_RING_IDLE,       /* looked behind a fence: nothing had happened */
    PL_RING_MISSING,    /* waited for a chain as long as anybody waits: not used */
    PL_RING_SEALED,     /* looked at right behind the response that shows the queue stopped */
    PL_RING_END,        /* the ring is not looked at any more */
};
struct pl_ring_news {
    enum pl_ring_news_kind kind;
    uint32_t id;   /* of the chain: ADD, USE, MISSING */
    bool due, may; /* USE: the device must announce it; or is free to */
};
void pl_oracle_ring(struct pl_oracle *oracle, uint16_t dev_num, uint32_t index,
                    const struct pl_ring_news *news);
/*
 * A finding in the memory itself: a predicate of a ring's layout or of who may write what, and one
 * sentence where it is broken. False for a predicate that is none of these.
 */
bool pl_oracle_ring_memory(struct pl_oracle *oracle, uint16_t dev_num, const char *predicate,
                           bool held, const char *text);
/* Virtqueues with a used buffer that EVENT_USED must still announce. */
unsigned pl_oracle_used_owed(const struct pl_oracle *oracle);
/* An expectation that a scenario states where the oracle cannot know. */
void pl_oracle_expected(struct pl_oracle *oracle, size_t clause, bool held, const char *text);
/* A reset did not end within the profile's bound (STAT-DEV-04). */
void pl_oracle_reset_stuck(struct pl_oracle *oracle, uint16_t dev_num);
/* The device numbers that exist; without it only what answers exists. */
void pl_oracle_devices(struct pl_oracle *oracle, const uint16_t *numbers, size_t n);

/*
 * The end of the run. A kind of message that was never answered is not implemented; where it was
 * answered later after all, `relabel` is told which clause the earlier failures belong to.
 */
void pl_oracle_conclude(struct pl_oracle *oracle,
                        void (*relabel)(void *opaque, const char *message, size_t from, size_t to));

/* What another oracle of the same draft and role has counted is counted here, too. */
void pl_oracle_add(struct pl_oracle *oracle, const struct pl_oracle *other);

const struct pl_clause_state *pl_oracle_clause(const struct pl_oracle *oracle, size_t clause);

/* The clauses that applied at least once since the oracle was new, or renewed, in that order. */
size_t pl_oracle_met(const struct pl_oracle *oracle, const uint16_t **list);

/* Was FEATURES_OK tried for a selection of what is offered, and always refused? */
bool pl_oracle_never_ready(const struct pl_oracle *oracle);

/* What the oracle learned, for the engine's preconditions; NULL or false while unknown. */
const struct pl_msg *pl_oracle_info(const struct pl_oracle *oracle, uint16_t dev_num);
bool pl_oracle_status(const struct pl_oracle *oracle, uint16_t dev_num, uint32_t *status);
/* Is a feature bit offered? 1 yes, 0 no, -1 not known: its block was not read. */
int pl_oracle_offered(const struct pl_oracle *oracle, uint16_t dev_num, unsigned bit);
/* Did the driver select it last? 1 yes, 0 no, -1: what it wrote leaves that open. */
int pl_oracle_selected(const struct pl_oracle *oracle, uint16_t dev_num, unsigned bit);

#endif
