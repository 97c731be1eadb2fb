/* A driver under test: one life of it, with bus and device at its other end. */
#ifndef PL_DRIVE_H
#define PL_DRIVE_H

#include "engine/run_private.h"
#include "engine/suite_private.h"
#include "peer/device.h"

enum { PL_DRIVE_OPTIONS = 32, PL_DRIVE_HELD = 16 };

/* A message to the driver that is on its way for longer. */
struct pl_drive_held {
    uint8_t *bytes; /* owned */
    size_t size;
    uint64_t left; /* messages of the driver's that it still comes behind */
};

/* What a life came to. */
struct pl_drive_life {
    unsigned moments;                /* of the scenario's, met */
    unsigned of_kind[PL_KIND_COUNT]; /* the same by message */
    bool triggered;                  /* it was provoked */
    bool ready;                      /* DRIVER_OK was reported to it, */
    bool ready_after;                /* ... since the last provocation */
    bool failed;                     /* it wrote FAILED last */
    uint64_t status, generation;     /* as the driver was told last */
    uint64_t worked;                 /* messages of the driver's since DRIVER_OK */
    uint64_t requests;               /* messages of the driver's in all */
    bool over;                       /* it closed the connection or ended */
    bool endless;                    /* it did not stop to send */
    bool hung;    /* a control request was not answered, or it did not stop to send */
    bool refused; /* control said error */
};

struct pl_drive {
    struct pl_suite *suite;
    struct pl_session *s;
    void *device; /* the reference device, at the far end */
    struct pl_device_config config;
    const char *options[PL_DRIVE_OPTIONS];
    char option_text[PL_DRIVE_OPTIONS][48];
    size_t n_options;
    uint64_t began_ms;

    const struct pl_scenario *scenario;
    const struct pl_provocation *p;
    unsigned at; /* which of its moments, from 1 on */
    struct pl_run_far far;
    struct run run;
    struct pl_run_result result;
    struct pl_drive_life life;
    struct pl_drive_held held[PL_DRIVE_HELD];
    size_t n_held;
    struct pl_msg req; /* the driver's message at hand, in req_bytes */
    uint8_t *req_bytes;
    uint8_t *out;    /* a message to the driver */
    uint8_t *other;  /* a message in place of the driver's */
    bool exhaustive; /* every message of a kind is a moment */
    bool patient;    /* this life is lived once more, since the driver had stopped: for long */
    bool again;      /* ... is to be */
    bool untold;     /* something was sent since the driver was last known to have seen all */
    unsigned depth;  /* moments within moments */
};

/* What is known of this driver from life to life. */
struct pl_drive_habits {
    bool control;     /* it has answered a control request */
    bool no_control;  /* it starts by itself */
    int quiet_ms;     /* so long a silence says that it has nothing more to do */
    bool hung;        /* it was waited for in vain, as long as anybody waits */
    bool never_back;  /* it does not come back by itself once a response was lost */
    unsigned dead;    /* plain lives in a row that came to nothing */
    const char *type; /* of the device that it works with */
};

/* Milliseconds since the driver was started; virtual where the port's time is. */
uint64_t pl_drive_now(const struct pl_drive *d);
/* One message to the driver. 0 or a negative errno. */
int pl_drive_send(struct pl_drive *d, const void *bytes, size_t size);
/* Send what the device has ready by now. */
void pl_drive_pump(struct pl_drive *d);
/* The message that was received last: device, provocation and bus work on it. */
void pl_drive_handle(struct pl_drive *d);
/* Receive for so long at most and work on what comes: 1, 0 where nothing came, negative: it ended.
 */
int pl_drive_step(struct pl_drive *d, int timeout_ms);
/* How long until the device does something by itself, in milliseconds; `most` at most. */
int pl_drive_until_device(const struct pl_drive *d, int most);
/* Let go of what is held back. */
void pl_drive_release(struct pl_drive *d);
/* Is this message one of the scenario's moments, and the one that counts? */
bool pl_drive_moment(struct pl_drive *d);
/* The message that the device is given: the driver's, or another; *size its size. */
const uint8_t *pl_drive_request(struct pl_drive *d, bool moment, size_t *size);
/* What stands in place of the device's answer; it is in d->s->last. */
void pl_drive_answer(struct pl_drive *d, const void *bytes, size_t size);
/* The device is not given the message at hand: nobody answers it, or the bus says that it failed.
 */
void pl_drive_withhold(struct pl_drive *d);
/* One message of the device's own accord: changed where the scenario says so, and sent. */
int pl_drive_event(struct pl_drive *d, const void *bytes, size_t size);
void pl_drive_steps(struct pl_drive *d, const struct pl_steps *steps);
/* The hooks of the steps' interpreter; opaque is to be set to the drive. */
extern const struct pl_run_far pl_drive_far;
/* Make the run of d->scenario ready, with a choice of its parameters; the combination outlives it.
 */
void pl_drive_begin(struct pl_drive *d, const struct pl_scenarios *all,
                    const struct pl_combination *c, size_t choice);
/* Open the device at the far end, as run and provocation want it. 0 or -EINVAL. */
int pl_drive_open(struct pl_drive *d, const struct pl_bus_params *bus);
/* What a driver cannot do for want of ring entries is no matter of the moment. */
void pl_drive_make_room(struct pl_combination *c);
/* Is the scenario about another profile than the bus has? */
bool pl_drive_other_profile(const struct pl_provocation *p, const struct pl_bus_params *bus);
/* Are queues so small that the driver may be unable to work? */
bool pl_drive_small_queue(const struct pl_drive *d);
/* May the driver let go of the device here, or fail to use it? */
bool pl_drive_may_end(const struct pl_drive *d);
/* Is that no finding: it ended as it may, or behind its work? */
bool pl_drive_ended_well(const struct pl_drive *d, enum pl_finding_kind kind);
/* Must it have reached DRIVER_OK? And: tell the oracle whether it has, where it must. */
bool pl_drive_must_work(const struct pl_drive *d);
void pl_drive_tell_works(struct pl_drive *d);
/* The whole life: by control where there is any, else as the driver lives by itself. */
void pl_drive_live(struct pl_drive *d, struct pl_drive_habits *habits);
/* All lives of all scenarios: what pl_suite_run does for drivers. 0 or a negative errno. */
int pl_drive_all(struct pl_suite *suite, char *error, size_t cap);

#endif
