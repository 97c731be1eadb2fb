/* A bus under test: the conversation on both of its sides, and the devices that stand behind it. */
#ifndef PL_BUS_RUN_H
#define PL_BUS_RUN_H

#include "engine/session.h"

enum { PL_BUS_DEVICES = 64, PL_BUS_HELD = 256 };

/* A response that a device keeps back. */
struct pl_bus_held {
    uint8_t *bytes;
    size_t size;
};

struct pl_bus_run {
    struct pl_session *s;
    /* the devices of the device side */
    uint16_t devices[PL_BUS_DEVICES];
    size_t n_devices;
    unsigned hold;        /* 0 none, 1 those of all devices, 2 those of s->dev_num only */
    uint32_t answer_size; /* how large responses are made; 0: as they are */
    struct pl_bus_held held[PL_BUS_HELD];
    size_t n_held;
    uint32_t drawn;   /* makes contents of responses differ */
    bool told_device; /* the device side was sent EVENT_PARAMETERS, and has not validated them */
    /* the driver side */
    uint16_t usable[PL_BUS_DEVICES]; /* what the bus shows, or is known to know */
    size_t n_usable;
    bool supports[3];   /* GET_DEVICES, PING, GET_PARAMETERS: answered in this run of the bus */
    bool uses_events;   /* it has sent EVENT_DEVICE, in any run */
    bool found;         /* enumeration was answered */
    unsigned missed;    /* what the bus itself owed and never did, in the whole run */
    unsigned impatient; /* failures that were waited for in vain */
    bool refused;       /* what was wanted last has got an EVENT_FAILURE */
    bool turn;          /* what takes time is done in this group of parameters */
    bool restart;       /* it is to be started anew behind this scenario */
};

/* Make one for this session; -ENOMEM. It is the session's to free. */
int pl_bus_run_new(struct pl_session *s);
void pl_bus_run_free(struct pl_bus_run *b);
/* The bus was started: nothing is left of before. */
void pl_bus_run_started(struct pl_bus_run *b);

/* A set of device numbers to try a bus with, one of several in turns; *n of them. */
const uint16_t *pl_bus_run_numbers(size_t turn, size_t *n);

/* Put bytes in on a side. 0 or a negative errno. */
int pl_bus_run_give(struct pl_bus_run *b, enum pl_bus_side side, const void *bytes, size_t size);
/* Build a message and put it in. */
int pl_bus_run_send(struct pl_bus_run *b, enum pl_bus_side side, struct pl_msg *m);
/* Take what has come, or wait so long for something: messages taken, or a negative errno. */
int pl_bus_run_take(struct pl_bus_run *b, int timeout_ms);
/* Wait until the bus owes nothing that it can do by itself. 0, -ETIMEDOUT, -EPIPE. */
int pl_bus_run_wait(struct pl_bus_run *b);
/* A request to a device that answers at once; a hang is told. */
int pl_bus_run_fence(struct pl_bus_run *b);
/* Wait until a count has reached this; as patient as with a hang, or with a fence. */
bool pl_bus_run_await(struct pl_bus_run *b, enum pl_bus_count what, unsigned least, bool patient);
/* Wait until a count is 0. */
bool pl_bus_run_drain(struct pl_bus_run *b, enum pl_bus_count what, bool patient);
/* Let a while pass in which nothing is awaited: behind a PING where that is answered. */
int pl_bus_run_quiet(struct pl_bus_run *b);
/* Give responses that were kept back: "order", "reverse", "twice", "forget". */
void pl_bus_run_release(struct pl_bus_run *b, const char *how);
/* The end of a scenario: all is released, waited for and settled. */
int pl_bus_run_end(struct pl_bus_run *b);
/* All windows of GET_DEVICES; false where it is not answered. */
bool pl_bus_run_enumerate(struct pl_bus_run *b);
/* Learn which devices can be used. Negative errno where nothing answers. */
int pl_bus_run_discover(struct pl_bus_run *b, const uint16_t *stated, size_t n_stated);

/* --- the device side: bus_device.c --- */
void pl_bus_device_set(struct pl_bus_run *b, uint16_t number, bool present);
/* A message came out on the device side: answer it, or keep the answer back. */
void pl_bus_device_take(struct pl_bus_run *b, const struct pl_msg *m);

#endif
