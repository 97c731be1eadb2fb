/* The judge of what drivers do on virtqueues: what it keeps of each device, and what its files
 * share. */
#ifndef PL_ORACLE_DRV_RING_H
#define PL_ORACLE_DRV_RING_H

#include "oracle/private.h"
#include "pl_types.h" /* generated */

enum {
    PL_DRING_QUEUES = 256,
    PL_DRING_BLOCKS = 4,
    PL_DRING_READS = 16, /* GET_CONFIG under way */
};

/* What the driver was given and does not show to have seen. */
enum pl_dring_waits { PL_WAITS_NO, PL_WAITS_TOLD, PL_WAITS_POLLING };

struct pl_dring_queue {
    bool set;       /* SET_VQUEUE was sent since the reset */
    bool absent;    /* max_size 0 was reported */
    uint8_t parts;  /* what SET_VQUEUE named since RESET_VQUEUE: size, and each address */
    bool renewed;   /* RESET_VQUEUE was sent since the reset of the device, */
    bool unproven;  /* ... and neither its answer nor GET_VQUEUE has shown that it ended */
    bool ended;     /* ... and GET_VQUEUE has */
    uint16_t token; /* of that request */
    bool owes, noise, overdue; /* an EVENT_AVAIL; see drv_watch_notify.c */
    unsigned behind;           /* EVENT_AVAIL in a row that named a place ahead of what was due */
    enum pl_dring_waits waits;
    bool late; /* ... and has for long */
    bool busy; /* buffers were made available since control asked for I/O */
};

struct pl_dring_dev {
    uint16_t dev_num;
    uint64_t device_id; /* 0: not known */
    uint64_t max_virtqueues;
    bool known; /* GET_DEVICE_INFO was answered */
    uint32_t offered[PL_DRING_BLOCKS], selected[PL_DRING_BLOCKS];
    uint32_t status; /* as written last */
    bool ended;      /* DEVICE_NEEDS_RESET was told, or the driver gave up: nothing is owed */
    bool gone;       /* the bus removed it, and the driver has not begun anew */
    bool spurious; /* an EVENT_USED came for nothing with nothing in hand, and nothing else since */
    bool stray;    /* an EVENT_AVAIL told of nothing, and none has told of anything since */
    bool asked_io; /* control: io, and no answer */
    struct {
        bool open;
        uint16_t token;
    } read[PL_DRING_READS];
    unsigned next_read;
    uint8_t config[PL_T_BLOCK_CONFIG_BYTES], config_known[PL_T_BLOCK_CONFIG_BYTES];
    bool capacity_known, capacity_settling; /* the driver may not have looked at the newest yet */
    uint64_t capacity_read;                 /* as GET_CONFIG said last */
    unsigned open;                          /* requests without a response */
    uint64_t capacity;                      /* the most that the driver may go by */
    bool capacity_due;                      /* it changed, or may have, and was not read since */
    struct pl_dring_queue queue[PL_DRING_QUEUES];
};

struct pl_drv_ring {
    struct pl_dring_dev *dev[PL_DEVICES]; /* owned */
    unsigned n;
};

/* NULL without memory. */
struct pl_drv_ring *pl_drv_ring_new(void);
void pl_drv_ring_free(struct pl_drv_ring *rings);
void pl_drv_ring_start(struct pl_oracle *o);
/* A message of the driver's; one that it was sent. */
void pl_drv_ring_received(struct pl_oracle *o, const struct pl_msg *m);
void pl_drv_ring_sent(struct pl_oracle *o, const struct pl_msg *m);
/* See pl_oracle_driver and pl_oracle_driver_ring. */
void pl_drv_ring_told(struct pl_oracle *o, uint16_t dev_num, const char *words);
void pl_drv_ring_seen(struct pl_oracle *o, uint16_t dev_num, uint32_t index, const char *words);
unsigned pl_drv_ring_owed(const struct pl_oracle *o);
void pl_drv_ring_settle(struct pl_oracle *o);

/* --- among its files --- */

struct pl_dring_dev *pl_dring_dev(struct pl_oracle *o, uint16_t dev_num);
struct pl_dring_dev *pl_dring_find(const struct pl_oracle *o, uint16_t dev_num);
bool pl_dring_selected(const struct pl_dring_dev *d, uint64_t bit);
bool pl_dring_offered(const struct pl_dring_dev *d, uint64_t bit);
/* Held, or broken with this text. */
__attribute__((format(printf, 4, 5))) void pl_dring_judge(struct pl_oracle *o, enum pl_predicate p,
                                                          bool held, const char *format, ...);
/* Nothing more comes for this queue: is there still an EVENT_AVAIL that told of too little? */
void pl_dring_settle_behind(struct pl_oracle *o, const struct pl_dring_dev *d,
                            struct pl_dring_queue *q);
/* The driver was asked for I/O and does not go on: where it was given what it waits for, it did not
 * look. `late`: only where that was long ago. */
void pl_dring_stuck(struct pl_oracle *o, struct pl_dring_dev *d, bool late);
/* It will never announce what it should have announced long ago. */
void pl_dring_never(struct pl_oracle *o, struct pl_dring_dev *d, struct pl_dring_queue *q,
                    uint32_t index);
/* The device or the driver is past its use: nothing is owed until the next reset. */
void pl_dring_ended(struct pl_dring_dev *d);
/* A field of the configuration space as the driver was told of it; false: not known. */
bool pl_dring_config(const struct pl_dring_dev *d, uint64_t at, uint64_t len, uint64_t *value);

/* --- drv_block.c: block devices --- */
void pl_dring_block_request(struct pl_oracle *o, const struct pl_dring_dev *d, const char *numbers);
void pl_dring_block_message(struct pl_oracle *o, struct pl_dring_dev *d, const struct pl_msg *m);
void pl_dring_block_written(struct pl_dring_dev *d); /* its configuration, by the driver */
void pl_dring_block_told(struct pl_oracle *o, struct pl_dring_dev *d, const struct pl_msg *m);

#endif
