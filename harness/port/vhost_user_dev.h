/* A device behind a vhost-user back-end: features, configuration, status and rings, by request. */
#ifndef PL_PORT_VHOST_USER_DEV_H
#define PL_PORT_VHOST_USER_DEV_H

#include "port/vhost_user_chan.h"

/* A ring as the back-end runs it. The descriptors are eventfds of ours, -1 while it is stopped. */
struct pl_vu_ring {
    bool started;
    int kick, call, err;
};

/* What a ring is started with; addresses are bus addresses. */
struct pl_vu_ring_setup {
    uint32_t size;
    uint64_t descriptor, driver, device;
    bool packed;
};

struct pl_vu_dev {
    struct pl_vu_chan chan;
    const struct pl_vu_device_type *type;
    uint64_t protocol;    /* protocol features in use */
    bool has_protocol;    /* the back-end has protocol features at all */
    uint32_t n_queues;    /* 1 to PL_VU_QUEUES_MAX */
    uint32_t config_size; /* 0 where the back-end shows no configuration */
    struct pl_vu_ring rings[PL_VU_QUEUES_MAX];
};

/* The memory that the back-end gets to see. */
struct pl_vu_share {
    int fd;
    uint64_t base, size;
};

/*
 * All of these return 0 or more, or what pl_vu_call returns; dev->chan.error then has the sentence.
 */

/*
 * Connect, negotiate protocol features, learn number of queues and configuration size, and share
 * the memory. dev->type and chan.timeout_ms are set before; `queues` counts where the back-end does
 * not say.
 */
int pl_vu_dev_open(struct pl_vu_dev *dev, const char *path, const struct pl_vu_share *share,
                   uint32_t queues);
/* Close the connection and every descriptor. Idempotent; also on a dev with chan.fd -1. */
void pl_vu_dev_close(struct pl_vu_dev *dev);

/* The offered features, without those that are vhost-user's own or that the gateway cannot carry.
 */
int pl_vu_dev_features(struct pl_vu_dev *dev, uint64_t *features);
int pl_vu_dev_select(struct pl_vu_dev *dev, uint64_t features);

/* Read config_size bytes of configuration, always whole: back-ends exist that ignore the offset. */
int pl_vu_dev_config(struct pl_vu_dev *dev, uint8_t *out);
int pl_vu_dev_write_config(struct pl_vu_dev *dev, uint32_t offset, const uint8_t *data,
                           uint32_t size);

/* Only with PL_VU_PF_STATUS in dev->protocol. */
int pl_vu_dev_status(struct pl_vu_dev *dev, uint32_t *status);
int pl_vu_dev_set_status(struct pl_vu_dev *dev, uint32_t status);

/* Stop all rings and bring the device to its first state, as far as the back-end has means for it.
 */
int pl_vu_dev_reset(struct pl_vu_dev *dev);

int pl_vu_ring_start(struct pl_vu_dev *dev, uint32_t index, const struct pl_vu_ring_setup *setup);
/* Idempotent. Waits until the back-end has finished what it had taken from the ring. */
int pl_vu_ring_stop(struct pl_vu_dev *dev, uint32_t index);
void pl_vu_ring_kick(struct pl_vu_dev *dev, uint32_t index);
/* Take a signal back from one of a ring's descriptors: true where there was one. Never waits. */
bool pl_vu_take_signal(int fd);

#endif
