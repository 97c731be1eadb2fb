/* The judge of buses: what it keeps of both sides of a bus under test. */
#ifndef PL_ORACLE_BUS_H
#define PL_ORACLE_BUS_H

#include "oracle/private.h"

enum { PL_BUS_SLOTS = 256, PL_BUS_NUMBERS = 128, PL_BUS_EXPIRED = 1024 };

/* What is to become of a message that the harness gave to the bus. */
enum pl_bus_route {
    PL_ROUTE_DUE,  /* it is to reach the other side */
    PL_ROUTE_NONE, /* it has no way: no such device */
    PL_ROUTE_BIG,  /* it is larger than the bus's maximum message size */
    PL_ROUTE_ANY,  /* the draft leaves it open, or nobody can know */
    PL_ROUTE_VOID, /* a bus message that is to be discarded without a trace */
    PL_ROUTE_OWN,  /* a bus message that the bus may answer */
};

enum pl_bus_state {
    PL_BUS_FREE,
    PL_BUS_OPEN, /* nothing is settled yet */
    PL_BUS_DONE, /* completed or delivered */
    PL_BUS_LEFT, /* waited for long enough: a single completion is too late to be judged */
};

/* What became of a message on the other side of the bus. */
struct pl_bus_far {
    bool forwarded;     /* it was seen there */
    uint16_t out_token; /* ... with this token */
    uint16_t twin;      /* or this one: one of the two was the bus's own, and nobody knows which */
    bool has_twin;
    /* a request: the device's response */
    bool answered;
    uint64_t answered_at; /* a count of what the device side has said */
    uint8_t *answer;
    size_t answer_size, answer_cap;
};

/* One message that the harness gave to the bus, and what the bus did with it. */
struct pl_bus_slot {
    enum pl_bus_state state;
    enum pl_bus_side side; /* where it was given */
    enum pl_bus_route route;
    uint64_t seq;
    struct pl_msg m; /* points into copy */
    uint8_t *copy;
    size_t cap;
    bool early;     /* GET_PARAMETERS, ahead of every transport message */
    bool failed;    /* an EVENT_FAILURE has named it */
    bool late;      /* it was completed when nobody waited any longer */
    uint64_t after; /* what the bus had surely seen of the device side when it was given */
    struct pl_bus_far far;
};

/* What is left of a message whose slot another one needed before anything came of it. */
struct pl_bus_expired {
    bool open; /* its single completion may still come */
    bool due;  /* it may still come out on the other side */
    bool bus, event;
    enum pl_bus_side side; /* where it was given; of no matter to a failed event, as its token */
    uint16_t msg_id, dev_num, token;
};

/* A device number that somebody has spoken of. */
struct pl_bus_number {
    uint16_t number;
    bool present; /* the device side has it */
    bool told;    /* the bus was told of it ... */
    uint64_t told_at;
    bool shown;       /* the driver side was shown it */
    bool gone;        /* it was removed, and the bus knows that */
    bool told_gone;   /* EVENT_DEVICE REMOVED went to the driver side since */
    bool added_shown; /* EVENT_DEVICE ADDED did */
    /* Until the bus has surely read as much of the device side it may say ADDED, or REMOVED. */
    uint64_t added_until, removed_until;
};

struct pl_bus_judge {
    struct pl_bus_slot slots[PL_BUS_SLOTS];
    unsigned next;
    uint64_t settled;                        /* what was given up to here was waited for */
    uint64_t seq, device_said, device_heard; /* heard: the bus has surely read as much */
    struct pl_bus_number numbers[PL_BUS_NUMBERS];
    size_t n_numbers;
    bool crowded; /* there was no room for a number: those without an entry may be any */
    uint64_t last_forwarded[PL_BUS_NUMBERS]; /* by index of the number: seq of the last request */
    struct pl_bus_params_seen {
        bool seen;
        uint32_t revision, max_msg_size, features;
    } params; /* as the bus last advertised them */
    uint32_t given_size, given_features;
    bool enumerates;            /* GET_DEVICES was answered */
    bool spoken;                /* a transport message went into the bus */
    bool changing;              /* changed parameters await revalidation, or may */
    bool caused[PL_KIND_COUNT]; /* there is a reason for such an event, and it was not waited for */
    bool masks_data;            /* it keeps VIRTIO_F_NOTIFICATION_DATA from being negotiated */
    bool big_passed[2], big_stopped[2]; /* by the side where it was given */
    unsigned n_forwarded, n_told_params[2], n_failures, n_added, n_removed;
    unsigned limit_said;
    struct pl_bus_expired expired[PL_BUS_EXPIRED];
    unsigned next_expired;
};

struct pl_bus_judge *pl_bus_judge_new(void);
void pl_bus_judge_free(struct pl_bus_judge *b);
void pl_bus_judge_start(struct pl_oracle *o);
/* See pl_oracle_settle and pl_oracle_owed. */
void pl_bus_judge_settle(struct pl_oracle *o);
unsigned pl_bus_judge_owed(const struct pl_oracle *o);

/* A number's entry, made where it is new; NULL where there are too many. */
struct pl_bus_number *pl_bus_number(struct pl_bus_judge *b, uint16_t number);
const struct pl_bus_number *pl_bus_number_find(const struct pl_bus_judge *b, uint16_t number);
/* The bus is told of a device: by the message of the device side that was just given, or besides.
 */
void pl_bus_number_told(struct pl_bus_judge *b, uint16_t number);
/* The largest message that surely fits, and the size from which on one surely does not. */
uint32_t pl_bus_fits(const struct pl_oracle *o);
uint32_t pl_bus_over(const struct pl_oracle *o);
/* The slot before this one in time; NULL: none. For loops from the oldest on. */
struct pl_bus_slot *pl_bus_slot_at(struct pl_bus_judge *b, unsigned k);

/*
 * Is this the one completion of a request, or the failure of an event, whose slot is gone? Once: a
 * second one is not.
 */
bool pl_bus_expired_completes(struct pl_bus_judge *b, const struct pl_bus_expired *request);
/* Is this a message whose slot is gone, and that was given on this side? */
bool pl_bus_expired_comes(struct pl_bus_judge *b, enum pl_bus_side given, const struct pl_msg *m);

/* Messages of the bus, by what they are; each judges all of it. */
void pl_bus_transport(struct pl_oracle *o, enum pl_bus_side side, const struct pl_msg *m);
void pl_bus_message(struct pl_oracle *o, enum pl_bus_side side, const struct pl_msg *m);
/* A bus message that the harness gave to the bus. */
void pl_bus_message_given(struct pl_oracle *o, struct pl_bus_slot *slot);
/* There is another reason now for the bus to send such an event: those that were to be discarded,
 * and those that come before it was waited for, are not held against it. */
void pl_bus_void_forget(struct pl_oracle *o, enum pl_kind kind);
/* Bytes behind msg_size are zero. */
void pl_bus_padding(struct pl_oracle *o, const struct pl_msg *m, size_t from);
/* How two messages compare but for token and reserved bits. */
enum pl_bus_likeness { PL_LIKE_NOT, PL_LIKE_SAME, PL_LIKE_PADDED, PL_LIKE_CUT, PL_LIKE_CHANGED };
enum pl_bus_likeness pl_bus_compare(const struct pl_oracle *o, const struct pl_msg *given,
                                    const struct pl_msg *seen);

#endif
