/* What the executor's files share. */
#ifndef PL_EXEC_PRIVATE_H
#define PL_EXEC_PRIVATE_H

#include "engine/drive.h"
#include "engine/session.h"
#include "engine/vq.h"
#include "fuzz/exec.h"
#include "peer/bus.h"
#include "peer/device.h"
#include "peer/driver.h"

enum {
    PL_X_OPTIONS = 2 * PL_CASE_OPTIONS + 16,
    PL_X_BLOCKS = 2,
    PL_X_QUEUES = 8,
    PL_X_CONFIG = 256,
    PL_X_HELD = 16,
    PL_X_RULES = 16,
    PL_X_MEMORY = 1 << 20,
    PL_X_TOKENS = 64,
    PL_X_STATES = 32,
    PL_X_OUTCOMES = 16,
    PL_X_LINGER_MS = 30,
    PL_X_QUIET_MS = 2, /* instead, of a device that says nothing then */
    PL_X_QUIET_AFTER = 8,
    PL_X_SCRIPT_MAX = 20000, /* messages of a scripted life */
};

/* What is known of a device by what was sent to it and came from it: what is legal here follows. */
struct pl_x_device {
    bool has_info, has_features, wrote_features, refused;
    bool has_queue[PL_X_QUEUES], has_ring[PL_X_QUEUES], honest[PL_X_QUEUES];
    bool set_queue[PL_X_QUEUES]; /* a SET_VQUEUE went there since the reset */
    bool set_later[PL_X_QUEUES]; /* ... since the reset that was asked for last */
    bool asked;                  /* a reset was asked for, and has not ended */
    bool open;                   /* ... and was not answered, the last one, which has this token */
    uint16_t reset_token;
    uint32_t status; /* as told last */
    uint32_t device_id, config_size, max_queues, blocks;
    uint32_t offered[PL_X_BLOCKS];
    uint32_t generation;
    uint32_t max_size[PL_X_QUEUES];
    uint8_t config[PL_X_CONFIG];
    unsigned turn; /* of a life's work */
};

/* What becomes of the answers to a driver's messages: one `answer` action. */
struct pl_x_rule {
    const struct pl_action *a;
    uint64_t met; /* messages of its kind */
};

/* A message to the driver that comes later. */
struct pl_x_held {
    uint8_t bytes[512];
    size_t size;
    uint64_t left; /* messages of the driver's that it still comes behind; 0: until released */
};

/* A ring as a driver in a guest set it up; size 0: it has not. */
struct pl_x_guest_ring {
    uint32_t size;
    uint64_t desc, device;
};

struct pl_x_life; /* a driver's whole life: exec_scenario.c */

struct pl_exec {
    struct pl_exec_options o;
    const struct pl_spec *spec;
    const struct pl_clauses *clauses;
    size_t n_clauses;
    bool *should; /* [n_clauses]: not a MUST; owned */
    bool *shown;  /* [n_clauses]: the port can show it; owned, and of this list: */
    const char *const *shown_by;
    struct pl_port *port;
    bool own_port, reference; /* the port is the executor's; the role's reference peer is behind */
    struct pl_session s;
    struct pl_oracle *oracle, *nobody; /* nobody: judges nothing */
    struct pl_vq *vq;                  /* a device with shared memory; else NULL */
    /* how the reference peers are opened */
    union {
        struct pl_device_config device;
        struct pl_driver_config driver;
        struct pl_bus_config bus;
    } config;
    const char *options[PL_X_OPTIONS], *far_options[PL_X_OPTIONS];
    char option_text[2 * PL_X_OPTIONS][48];
    const char *const *mutant_options;
    const char *mutant_type;
    uint16_t devices[PL_EXEC_DEVICES];
    size_t n_devices;
    bool started, devices_told, had_options;
    uint64_t touched; /* a bit for each device that actions were for since the last start */
    bool discovered;  /* the IUT was asked for its devices */
    bool met_plain;   /* a driver has lived with a plain device */
    struct pl_timeouts limits; /* those of the options */
    bool hasty;                /* the session's are shorter */
    uint64_t vain;             /* of the session when the case began */
    unsigned missed; /* answers that did not come, of the case before and what that knew of */

    /* the case at hand */
    const struct pl_case *c;
    struct pl_exec_result *out;
    unsigned action;
    uint64_t numbers; /* of the session when the case began */
    uint64_t random;
    unsigned hold; /* requests under way at once */
    int plugged;   /* a device that the case attached; -1: none */
    bool lawless; /* a device was given rings or buffers that no driver makes, and no reset since */
    bool lingers; /* what a device still does with rings that nobody looks at is waited for */
    unsigned quiet;         /* times in a row when nothing came then */
    bool unjudged;          /* a driver or its rings were met with what nobody may do */
    bool reconfigured;      /* the device's configuration was written over since it was started */
    bool delayed;           /* control made resets take longer since then */
    bool lived;             /* a driver: a scenario was its whole life, */
    struct pl_x_life *life; /* ... or is at the moment */
    enum pl_kind last_kind;
    struct pl_x_device d;
    uint8_t data[PL_MSG_MAX + 1]; /* of a message that is built */
    uint8_t bytes[PL_MSG_MAX + 1];

    /* tokens that the case chose */
    uint16_t tokens[PL_X_TOKENS];
    unsigned n_tokens;

    /* a driver: the device at its far end */
    void *far; /* the reference device */
    struct pl_device_config far_config;
    struct pl_x_rule rule[PL_X_RULES];
    unsigned n_rules;
    struct pl_x_held held[PL_X_HELD];
    unsigned n_held;
    struct pl_msg req; /* the driver's message at hand, in req_bytes */
    uint8_t req_bytes[PL_MSG_MAX + 1];
    uint8_t far_bytes[PL_MSG_MAX + 1];
    uint64_t began_ms;                /* of the device's time, where it is real */
    uint64_t heard_ms;                /* when the driver's last message came, by the same clock */
    struct pl_drive_habits habits;    /* from case to case, where time is real */
    unsigned deaf;                    /* control requests in a row that it did not answer */
    bool script_began, script_silent; /* a scripted driver: it has started its device once; it is
                                         waited for no more */
    struct pl_x_guest_ring guest_ring[PL_X_QUEUES];
    bool untold;     /* something was sent since the driver was last known to have seen all */
    uint64_t met;    /* messages of the driver's */
    uint64_t budget; /* of them that are still met by the action at hand */

    /* feedback */
    uint64_t map[PL_FEEDBACK_MAX / 64];
    uint16_t seen[PL_FEEDBACK_MAX];
    size_t n_seen;
};

/* --- exec.c --- */
uint64_t pl_x_draw(struct pl_exec *x, uint64_t below);
/* The number of the device that an action's `dev` means: an index of those that are there. */
uint16_t pl_x_dev(const struct pl_exec *x, const struct pl_action *a);
/* The oracle hears which devices there are: those of the case, and one more where it is not -1. */
void pl_x_tell_devices(struct pl_exec *x, int more);
/* Virtual, or real, time passes, and what comes meanwhile is taken; true: something came. */
bool pl_x_wait(struct pl_exec *x, uint64_t ms);
/* May the port carry these bytes? Byte streams cannot lie about sizes. */
bool pl_x_carried(const struct pl_exec *x, const struct pl_msg *m);

/* --- exec_message.c --- */
/* Fill in what is legal here: fields and data of a message of this kind, by the role. */
void pl_x_legal(struct pl_exec *x, struct pl_msg *m);
/* Encode the message that an action means on top of `m`, which is legal; into x->bytes. Its size,
 * or 0 where nothing can be made of it. *bent: it is not what is legal. */
size_t pl_x_build(struct pl_exec *x, const struct pl_action *a, struct pl_msg *m, bool *bent);

/*
 * With a token that another request of this case has, or may come to have, nobody could tell which
 * of them a response belongs to: bytes that are about to be sent get another then.
 */
void pl_x_own_token(struct pl_exec *x, uint8_t *bytes, size_t n);

/* --- exec_scenario.c --- */
/* The action's scenario, on the device or the bus; not where the case leaves it nothing to rely on.
 */
void pl_x_driver_scenario(struct pl_exec *x, const struct pl_action *a);
void pl_x_device_scenario(struct pl_exec *x, const struct pl_action *a);
/* Does the case begin with one? Its devices are there and known then, as far as the bus shows them.
 */
bool pl_x_bus_scenario_begin(struct pl_exec *x);
void pl_x_bus_scenario(struct pl_exec *x, const struct pl_action *a);

/* --- exec_driver.c, for scenarios --- */
/* No device and no bus may do what follows: the driver is only asked to live. */
void pl_x_driver_outlaw(struct pl_exec *x);

/* --- exec_device.c, for scenarios --- */
/* Everything comes to its end, and the device is reset. False: it is gone, or hangs. */
bool pl_x_device_rest(struct pl_exec *x);
/* The device's features are read, and it is reset again. */
void pl_x_device_learn(struct pl_exec *x);
/* Resets take so long from now on; false: control does not do that. */
bool pl_x_device_delay(struct pl_exec *x, uint64_t ms);
/* The case goes on behind something else: with a device that is reset, and memory without rings. */
void pl_x_device_afresh(struct pl_exec *x);

/* --- the roles --- */
int pl_x_device_begin(struct pl_exec *x);
void pl_x_device_act(struct pl_exec *x, const struct pl_action *a);
void pl_x_device_end(struct pl_exec *x);
int pl_x_driver_begin(struct pl_exec *x);
void pl_x_driver_act(struct pl_exec *x, const struct pl_action *a);
void pl_x_driver_end(struct pl_exec *x);
void pl_x_driver_free(struct pl_exec *x);
/* One message of the driver's is met: 1; 0: none within the time; or a negative errno. */
int pl_x_driver_step(struct pl_exec *x, int timeout_ms);
/* What is held back is given, in order. */
void pl_x_driver_release(struct pl_exec *x);
int pl_x_bus_begin(struct pl_exec *x);
void pl_x_bus_act(struct pl_exec *x, const struct pl_action *a);
void pl_x_bus_end(struct pl_exec *x);

/* --- exec_script.c: a driver that lives by a script of somebody else's (port->one_life) --- */
/* In place of control: its script is waited for until it does that by itself. */
void pl_x_script_ask(struct pl_exec *x, const struct pl_action *a);
void pl_x_script_listen(struct pl_exec *x, uint64_t times);
void pl_x_script_wait(struct pl_exec *x, uint64_t ms);
/* To the end of its life, or until it is silent. */
void pl_x_script_end(struct pl_exec *x);
/* Where its rings are. */
void pl_x_script_learn(struct pl_exec *x, const struct pl_msg *m);
void pl_x_script_scribble(struct pl_exec *x, const struct pl_action *a);

#endif
