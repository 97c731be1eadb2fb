/* What the files of the vhost-user gateway share: its state, and who answers which message. */
#ifndef PL_PORT_VHOST_USER_GATEWAY_H
#define PL_PORT_VHOST_USER_GATEWAY_H

#include "port/private.h"
#include "port/vhost_user_dev.h"
#include "port/vhost_user_exec.h"

/* A virtqueue as SET_VQUEUE left it. */
struct pl_gw_queue {
    bool enabled;
    uint32_t size; /* 0: never set */
    uint64_t desc_addr, driver_addr, device_addr;
};

struct pl_gateway {
    struct pl_port port; /* first: a gateway is a port */
    struct pl_vu_dev dev;
    struct pl_vu_exec exec; /* the back-end, where the harness starts it */
    char path[256];
    uint32_t default_queues, max_queue_size;
    bool
        reset_reconnects; /* a reset ends the connection: back-ends finish what is under way then */
    int memory_fd;
    struct pl_bus_params bus;

    bool running, peer_gone, peer_stuck; /* it closed the connection; it answers nothing */
    uint32_t broken;   /* the status until the reset, where the back-end gave up and came back */
    uint32_t status;   /* the last one known; the gateway's own where the back-end keeps none */
    uint64_t selected; /* the driver's features */
    uint64_t settled;  /* those that stand since FEATURES_OK */
    uint32_t generation;
    uint8_t config[PL_VU_CONFIG_MAX]; /* as last read: a difference makes a new generation */
    struct pl_gw_queue queues[PL_VU_QUEUES_MAX];
    uint32_t next_ring; /* where the search for signals goes on, so that no ring starves */

    struct pl_pending out; /* messages for the harness */
    uint8_t message[PL_MSG_MAX + 1];
};

/*
 * Act on one message of the harness and queue what answers it. 0 (also for what is discarded), or a
 * negative errno where the back-end is at fault; port.error then says so.
 */
int pl_gw_take(struct pl_gateway *gw, const void *bytes, size_t size);
/* Note the back-end's error in port.error and return `code`. */
int pl_gw_fail(struct pl_gateway *gw, int code);

/*
 * Encode a message and queue it; one that is too large for the bus is discarded. 0, or -ENOBUFS
 * where the harness takes none of those that wait.
 */
int pl_gw_put(struct pl_gateway *gw, struct pl_msg *m);

/* Connect and bring the device to rest, as at the start. 0, or what pl_vu_call returns. */
int pl_gw_connect(struct pl_gateway *gw);
/*
 * The back-end closed the connection (`code` is -EPIPE). Where the driver broke the rules before,
 * that is how a back-end says that only a reset helps: connect again, and let the status show it. 0
 * where that went well, else a negative errno.
 */
int pl_gw_recover(struct pl_gateway *gw, int code);

/* Read the configuration anew and count a generation where it differs from the last time. */
int pl_gw_refresh_config(struct pl_gateway *gw);

/* The queue messages: answers go into `answer`'s fields. 0, or a negative errno of the back-end. */
void pl_gw_get_vqueue(struct pl_gateway *gw, const struct pl_msg *m, struct pl_msg *answer);
int pl_gw_set_vqueue(struct pl_gateway *gw, const struct pl_msg *m);
int pl_gw_reset_vqueue(struct pl_gateway *gw, const struct pl_msg *m);
/* Start what is enabled (at DRIVER_OK); forget all queues (at a reset). */
int pl_gw_start_queues(struct pl_gateway *gw);
void pl_gw_forget_queues(struct pl_gateway *gw);

#endif
