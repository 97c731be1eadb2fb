/* What the files that judge drivers share: requests, devices and virtqueues as a driver can see
 * them.
 *
 * Messages cross in flight: what was sent to the driver may not have reached it when it sent what
 * is received now. So a rule of the form "only after being told" holds a message against all that
 * was sent before it came, and a rule of the form "not any more after being told" only against what
 * the driver must have seen: see pl_drv_has_seen.
 */
#ifndef PL_ORACLE_DRV_PRIVATE_H
#define PL_ORACLE_DRV_PRIVATE_H

#include "oracle/drv.h"

enum {
    DRV_REQUESTS = 256,
    DRV_DEVICES = 64,
    DRV_QUEUES = 64,
    DRV_GENERATIONS = 64,
    DRV_FAILURES = 16,
    DRV_CONFIG = 1024, /* bytes of a configuration space of which reads are remembered */
    DRV_ODD_MESSAGES = 8,
    DRV_SILENT = 1000, /* messages of both ends in one request of control's: it is not silent */
    DRV_WORD = 16,
    DRV_STATUS_BITS = 32
};

enum pl_drv_state { DRV_FREE, DRV_OPEN, DRV_ANSWERED, DRV_FAILED, DRV_LOST };

/* A request of the driver's, and what became of it. */
struct pl_drv_request {
    enum pl_drv_state state;
    uint64_t at;
    struct pl_msg m;    /* without its bytes */
    uint32_t data_hash; /* of its variable array */
    bool baited;        /* an event with this request's token was sent while it was open */
    bool malformed;     /* what was sent as its response cannot be taken apart */
};

/* What a run shows that is unusual and must not matter; each is some clause's business. */
enum pl_drv_odd {
    ODD_RESERVED = 1,  /* reserved bits of a header are set */
    ODD_TOKEN = 2,     /* an event carries a token */
    ODD_MALFORMED = 4, /* a message that cannot be taken apart */
    ODD_UNKNOWN = 8,   /* a message of no revision that the bus has */
    ODD_FEATURES = 16, /* feature bits that nothing describes are offered */
    ODD_CONFIG = 32,   /* the configuration space is larger than where it worked */
    ODD_ADMIN = 64,    /* there are administration virtqueues */
    ODD_FEWER = 128    /* features are missing that were accepted where it worked */
};

struct pl_drv_queue {
    bool used;
    uint32_t index;
    uint64_t asked_at, told_at;    /* GET_VQUEUE: last request, last response; 0: none */
    uint32_t max_life, max_before; /* largest max_size told since the reset, and ever */
    bool told_life, available;     /* available: what the last response says */
    enum pl_tristate on;           /* enabled, as the driver can see it */
    uint64_t on_at;                /* of the request that says so */
    bool off_read;                 /* read as disabled since: nothing but SET_VQUEUE enables it */
    uint64_t set_at, params_at;    /* SET_VQUEUE: the last; the last with a size or an address */
    uint64_t confirmed_at;         /* a GET_VQUEUE later than params_at was answered */
    bool confirmed_same;           /* ... and showed what was asked for */
    uint32_t flags;                /* of the last SET_VQUEUE with parameters */
    struct pl_queue_state asked;
    uint64_t reset_at; /* RESET_VQUEUE, its end not seen yet; 0: none */
};

/* A generation that the driver was told, when, and by what. */
struct pl_drv_generation {
    uint32_t generation;
    uint64_t at;
    enum pl_kind kind;
    unsigned life;
    bool malformed; /* it stood in a message that cannot be taken apart */
};

/* A range of the configuration space as last read. */
struct pl_drv_part {
    uint64_t offset, length;
    uint32_t generation;
};

struct pl_drv_config {
    struct pl_drv_generation told[DRV_GENERATIONS];
    unsigned n_told;
    uint8_t read[DRV_CONFIG]; /* was read in this run */
    bool any_read;

    bool refresh_due, refresh_generic, refresh_io;
    uint64_t event_at; /* an EVENT_CONFIG came that no GET_CONFIG has followed yet */
    uint64_t refresh_at, refresh_offset, refresh_length;
    unsigned refresh_odd; /* what was odd about the event */
    bool refresh_lower;   /* the event's generation was lower than the one before */

    struct pl_drv_part last, torn[2];
    bool last_valid, torn_valid;
    uint64_t last_at, other_at; /* the request of that read; the last request of another kind */

    bool rejected;         /* the last SET_CONFIG that was answered was not applied */
    uint64_t read_told_at; /* GET_CONFIG was answered, or an event brought data */
    uint64_t rejected_at;  /* of the rejected request */
    struct pl_msg rejected_request;
    uint32_t rejected_hash;
    uint32_t rejected_length; /* of its response */

    bool write_asked, write_claimed, write_refused; /* control: config-write, and its answer */
    unsigned writes_applied, writes_rejected;
};

/* A request that failed, and that nothing has made up for. */
struct pl_drv_failure {
    enum pl_kind kind;
    uint64_t key;
    uint64_t at;
};

/* SUSPEND was set where that suspends, and DRIVER_OK to resume: when, and what was told since. */
struct pl_drv_suspend {
    uint64_t at, resume_at; /* 0: not */
    bool told;              /* any status later than that write */
    bool rests;             /* ... and one with SUSPEND and without DRIVER_OK */
    bool resumed;           /* it works again, and was not used yet */
};

struct pl_drv_dev {
    uint16_t dev_num;
    bool gone;
    struct pl_msg info; /* GET_DEVICE_INFO's answer; kind PL_NONE while unknown */
    uint64_t info_asked;

    unsigned life; /* counts resets */
    bool said[PL_P_COUNT];
    uint64_t reset_at, reset_done; /* SET_DEVICE_STATUS 0; the response that shows its end */
    bool reset_slow;               /* ... which was not the request's own */
    bool initialized_before;       /* any status but 0 was written before that reset */
    uint32_t wrote, kept;          /* status bits written since, and of these still set */
    uint64_t bit_at[DRV_STATUS_BITS];
    uint64_t features_ok_at, features_ok_told, driver_ok_at, driver_ok_told;
    bool refused, failed, chosen;
    uint64_t needs_reset_at; /* DEVICE_NEEDS_RESET was told; 0: not */
    bool needs_reset_event;
    uint32_t status_told;

    uint32_t offered[PL_BLOCKS], selected[PL_BLOCKS], final[PL_BLOCKS];
    uint64_t offered_known, missing, written; /* bit masks of blocks */
    bool final_valid, configured_early;
    unsigned feature_writes;
    uint64_t first_block;
    bool gave_up_silently; /* without VERSION_1, and without FAILED */
    bool hindered;         /* since the reset an answer was lost or came late */

    struct pl_drv_suspend suspend;
    struct pl_drv_queue queues[DRV_QUEUES];
    unsigned n_queues;
    struct pl_drv_config config;
    struct pl_drv_failure failures[DRV_FAILURES];
    unsigned n_failures;

    unsigned odd;
    bool excused; /* something went wrong that a driver may give up for */
    bool stuck;   /* ... and that it may wait for */
    char pending[DRV_WORD];
    bool ever_refused;  /* FEATURES_OK, in this run */
    bool reset_claimed; /* control: queue-reset, and ok to it */
    unsigned queue_resets, asked_life;
    bool was_refused; /* control said error or unsupported to "start" */
    uint64_t pending_at;
    uint64_t polls, polls_before; /* GET_DEVICE_STATUS and retries while something is missing */
};

/* What is known of a run in which nothing was unusual and the driver came to DRIVER_OK. */
struct pl_drv_good {
    bool known;
    uint64_t device_id, config_size;
    uint32_t max_size, max_msg_size; /* of its virtqueues, and of the bus */
    bool io;                         /* I/O was done and control said so */
    uint32_t selected[PL_BLOCKS];
};

struct pl_drv {
    unsigned starts;
    uint64_t now; /* counts the messages of both directions */
    struct pl_drv_request requests[DRV_REQUESTS];
    unsigned next_request;
    struct pl_drv_dev *devs[DRV_DEVICES];
    unsigned n_devs;
    uint64_t seen_responses, seen_events; /* all sent up to here has reached the driver */
    uint64_t round_at, round_before;      /* control was asked; and the time before */
    bool round_busy;
    bool control;           /* a control request was answered once: it is read */
    uint64_t patience;      /* times that it was told */
    uint32_t older_max;     /* the maximum message size before it changed; 0: it did not */
    uint64_t parameters_at; /* when the bus's parameters changed */
    uint64_t unusable_at;   /* the bus told of a revision below the first; 0: it did not */
    bool unusable_event;
    /* what came for no reason, by kind: behind an odd message, or not */
    unsigned odd_traffic[PL_KIND_COUNT], other_traffic[PL_KIND_COUNT];
    unsigned odd_unanswered; /* unknown or malformed messages that nothing has come of yet */
    unsigned odd_left;       /* messages of the driver's that may still come of these */
    bool rested;             /* the driver was waited for, and does nothing more by itself */
    uint8_t odd_ids[2][256];
    bool refreshed_up; /* an event with a larger generation once led to a GET_CONFIG */
    struct pl_drv_good good;
    struct pl_drv_good kept; /* what of that outlives a renewal */
    uint8_t added[8192];     /* numbers that the bus has told of, a bit each */
    bool any_added;
};

/* --- drv.c --- */
struct pl_drv_dev *pl_drv_dev(struct pl_oracle *o, uint16_t dev_num);
/* As pl_broken, but once for each judgement, device and reset. */
__attribute__((format(printf, 4, 5))) void pl_drv_broken(struct pl_oracle *o, struct pl_drv_dev *d,
                                                         enum pl_predicate p, const char *format,
                                                         ...);
/* Must what was sent at `at` have reached the driver by now? */
bool pl_drv_has_seen(const struct pl_drv *drv, uint64_t at, bool event);
/* The driver can only have sent what came now behind the response that was sent at `at`. */
void pl_drv_relies(struct pl_drv *drv, uint64_t at);
/* The names of the status bits of a word, for sentences; of 80 bytes. */
const char *pl_drv_status(uint64_t status, char out[80]);

/* --- drv_request.c --- */
struct pl_drv_request *pl_drv_request_add(struct pl_oracle *o, const struct pl_msg *m);
/* The request that a response answers, or NULL. */
struct pl_drv_request *pl_drv_request_of(struct pl_oracle *o, const struct pl_msg *response);
void pl_drv_request_excuse(struct pl_oracle *o, const struct pl_msg *response);
struct pl_drv_request *pl_drv_request_open(struct pl_oracle *o, uint16_t dev_num, uint16_t token,
                                           int msg_id);
void pl_drv_request_fails(struct pl_oracle *o, struct pl_drv_request *r, enum pl_drv_state how);
void pl_drv_request_bait(struct pl_oracle *o, const struct pl_msg *event);
bool pl_drv_any_open(const struct pl_oracle *o, uint16_t dev_num, enum pl_kind kind);
/* The driver went on as if such a request had been answered: was it fed something else? */
void pl_drv_blame(struct pl_oracle *o, struct pl_drv_dev *d, enum pl_kind kind);
uint32_t pl_drv_hash(const uint8_t *data, size_t n);
void pl_drv_resolve(struct pl_oracle *o, struct pl_drv_dev *d, enum pl_kind kind, uint64_t key);
/* Traffic for which there is no reason but a malformed or unknown message. */
void pl_drv_request_reason(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m);
void pl_drv_unresolved(struct pl_oracle *o, struct pl_drv_dev *d, const char *what);

/* --- drv_wire.c --- */
/* Judge a message as such; false: nothing more can be made of it. `fixed` is what to go on with. */
bool pl_drv_wire(struct pl_oracle *o, const struct pl_msg *m, struct pl_msg *fixed);
bool pl_drv_exists(const struct pl_oracle *o, uint16_t dev_num);

/* --- drv_status.c --- */
void pl_drv_status_write(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m);
void pl_drv_status_told(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_drv_request *r,
                        uint32_t status);
void pl_drv_order(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m);
void pl_drv_status_settle(struct pl_oracle *o, struct pl_drv_dev *d);

/* --- drv_features.c --- */
void pl_drv_features_told(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_drv_request *r,
                          const struct pl_msg *m);
void pl_drv_features_write(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m);
void pl_drv_features_final(struct pl_oracle *o, struct pl_drv_dev *d);
bool pl_drv_offered(const struct pl_drv_dev *d, unsigned bit);
/* Is it known that VIRTIO_F_VERSION_1 is not offered? */
bool pl_drv_lacks_version_1(const struct pl_drv_dev *d);
bool pl_drv_selected(const struct pl_drv_dev *d, unsigned bit);
bool pl_drv_block_known(const struct pl_drv_dev *d, unsigned bit);

/* --- drv_config.c --- */
void pl_drv_config_read(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m);
void pl_drv_config_write(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m);
void pl_drv_config_told(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_drv_request *r,
                        const struct pl_msg *m);
void pl_drv_config_event(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m);
/* A malformed event of the device's, which nothing may be taken from. */
void pl_drv_config_malformed(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m);
void pl_drv_config_io(struct pl_oracle *o, struct pl_drv_dev *d);
void pl_drv_config_reset(struct pl_drv_dev *d);
/* DRIVER_OK is written, or the driver has had all the time it may need. */
void pl_drv_config_torn(struct pl_oracle *o, struct pl_drv_dev *d);
void pl_drv_config_settle(struct pl_oracle *o, struct pl_drv_dev *d);
void pl_drv_config_claims(struct pl_oracle *o, struct pl_drv_dev *d);

/* --- drv_queue.c --- */
struct pl_drv_queue *pl_drv_queue(struct pl_drv_dev *d, uint64_t index);
void pl_drv_queue_request(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m);
void pl_drv_queue_told(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_drv_request *r,
                       const struct pl_msg *m);
void pl_drv_queue_failed(struct pl_drv_dev *d, const struct pl_drv_request *r);
void pl_drv_queue_io(struct pl_oracle *o, struct pl_drv_dev *d, uint64_t index);
void pl_drv_queue_avail(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m);
/* Is any virtqueue set up, as far as the driver can know? */
bool pl_drv_queue_any(const struct pl_drv_dev *d);

/* --- drv_told.c --- */
/* The driver came to DRIVER_OK; or it gave up, which what is unusual may account for. */
void pl_drv_succeeded(struct pl_oracle *o, struct pl_drv_dev *d);
void pl_drv_gave_up(struct pl_oracle *o, struct pl_drv_dev *d, const char *how);
/* What control was told is held against what was sent; when that is all here. */
void pl_drv_claims(struct pl_oracle *o, struct pl_drv_dev *d);
void pl_drv_patience(struct pl_oracle *o);

/* Suspending: a status that is written, one that is told (`asked` when), and uses of the device. */
void pl_drv_suspend_written(struct pl_oracle *o, struct pl_drv_dev *d, uint32_t w);
void pl_drv_suspend_told(struct pl_drv_dev *d, uint64_t asked, uint32_t status);
void pl_drv_suspend_avail(struct pl_oracle *o, struct pl_drv_dev *d, uint32_t index);
void pl_drv_suspend_config(struct pl_oracle *o, struct pl_drv_dev *d, const struct pl_msg *m);

/* Generated from models/virtio-core: is a feature bit described, for this type or for all? */
bool pl_type_described(uint64_t device_id, uint64_t bit);
/* The feature bit that bytes of the configuration space belong to, all of them; -1: none. */
int pl_type_optional(uint64_t device_id, uint64_t offset, uint64_t length);
/* Is there a field of more than 32 bits that both ranges have a part of? */
bool pl_type_wide(uint64_t device_id, uint64_t offset, uint64_t middle, uint64_t end);

#endif
