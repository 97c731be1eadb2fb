/* What the files of the vhost-user back-end share: its state, and who does which part. */
#ifndef PL_PORT_VHOST_USER_BACK_H
#define PL_PORT_VHOST_USER_BACK_H

#include "pl_vhost_user.h" /* generated */
#include "plumbline.h"
#include "port/private.h"
#include "port/vhost_user_exec.h"

enum { PL_BACK_FDS = PL_VU_REGIONS_MAX, PL_BACK_ASIDE_MAX = 512 };

/* A virtqueue as the front-end set it up. */
struct pl_back_ring {
    bool enabled; /* SET_VRING_ENABLE, where the front-end has that */
    bool placed;  /* its addresses are known */
    bool running; /* the device works on it */
    bool kept;    /* ... since an earlier connection; the front-end has not confirmed it yet */
    uint32_t size;
    uint64_t descriptor, driver, device; /* guest physical */
    int kick, call, err;                 /* eventfds, owned; -1: none */
};

/* One request as it comes in, by pieces. */
struct pl_back_request {
    struct pl_vu_header header;
    union {
        uint8_t bytes[sizeof(struct pl_vu_memory_map)];
        struct pl_vu_u64 u64;
        struct pl_vu_vring_state state;
        struct pl_vu_vring_addr addr;
        struct pl_vu_memory_map memory;
        struct pl_vu_config config;
    } p;
    size_t fill; /* bytes of header and payload so far */
    int fds[PL_BACK_FDS];
    unsigned n_fds;
    const struct pl_vu_request_def *def;
};

struct pl_back {
    struct pl_port port;    /* first: a back-end is a port */
    struct pl_vu_exec exec; /* the front-end, where the harness starts it */
    char path[256], aside_path[256];
    int listener, fd, backend_fd; /* -1: none */
    int aside_fd;
    int timeout_ms;
    struct pl_bus_params bus;
    struct pl_back_request request;

    uint64_t protocol;            /* protocol features in use */
    bool has_protocol;            /* the front-end took PROTOCOL_FEATURES */
    uint64_t selected;            /* the driver's features */
    struct pl_vu_memory_map map;  /* the memory, as the front-end named it last */
    struct pl_memory_parts parts; /* ... by the guest's addresses: port.mem_parts */
    struct pl_back_ring rings[PL_VU_QUEUES_MAX];
    bool started;     /* DRIVER_OK was said to the device */
    bool resuming;    /* ... through an earlier connection, which was given up with `disconnect` */
    uint32_t next;    /* ring where the search for kicks goes on */
    uint32_t written; /* status, as the front-end wrote it last */

    /* what the device answered */
    uint32_t config_size, n_queues;
    uint64_t offered;
    uint32_t status;
    uint8_t config[PL_VU_CONFIG_MAX];
    uint32_t config_length; /* bytes of it that the answer had */

    /* messages to the device: one request at a time, then what the front-end waits for */
    struct pl_pending out, todo;
    bool waiting; /* for the answer to a request with this token */
    uint16_t token, next_token;
    enum pl_kind waits_for;
    bool resetting; /* the status is asked for until it is 0 */
    bool answering; /* the front-end's request is answered once all is done */
    uint8_t message[PL_MSG_MAX + 1];
};

/* --- the connection (vhost_user_back_chan.c) --- */

/* Note why the front-end is at fault, in port.error, and give the connection up. -EPROTO. */
int pl_back_fault(struct pl_back *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
/*
 * Take in what is there of a request: 1 where it is whole and has the size that its kind asks for,
 * 0 not yet, -EPIPE where the front-end is gone, or -EPROTO.
 */
int pl_back_read(struct pl_back *b);
/* Forget the request, and close the descriptors that nobody took. */
void pl_back_forget(struct pl_back *b);
/* The descriptor that came with it, which is the caller's then; -1: none. */
int pl_back_take_fd(struct pl_back *b);
/* Answer the request. 0 or a negative errno. */
int pl_back_reply(struct pl_back *b, const void *payload, size_t size);
/* Acknowledge it where the front-end asked for that. */
int pl_back_acknowledge(struct pl_back *b, bool good);
/* Tell the front-end that the configuration changed, where it listens for that. */
void pl_back_config_changed(struct pl_back *b);
/* Wait for a front-end. 0, or -ETIMEDOUT with port.error. */
int pl_back_accept(struct pl_back *b);
/* Close the connection and all that came with it; rings are as they were. Idempotent. */
void pl_back_hang_up(struct pl_back *b);

/* --- memory and rings (vhost_user_back_ring.c) --- */

int pl_back_share(struct pl_back *b);
int pl_back_ring_address(struct pl_back *b);
/* SET_VRING_KICK, _CALL, _ERR. */
int pl_back_ring_fd(struct pl_back *b);
/* SET_VRING_NUM, _BASE, _ENABLE. */
int pl_back_ring_state(struct pl_back *b);
/* It has all that it needs to run. */
bool pl_back_ring_ready(const struct pl_back *b, const struct pl_back_ring *ring);
/* How far the device came on a ring, as GET_VRING_BASE tells it. */
uint32_t pl_back_ring_base(const struct pl_back *b, uint32_t index);
/* A ring was kicked: an EVENT_AVAIL for the device, or the start of all. 0 or a negative errno. */
int pl_back_collect_kicks(struct pl_back *b);
void pl_back_close_ring(struct pl_back_ring *ring);
void pl_back_forget_rings(struct pl_back *b);

/* --- requests (vhost_user_back_request.c) --- */

/* A request is there whole: act on it. 0, or -EPROTO with port.error. */
int pl_back_take(struct pl_back *b);
/* A message of the device's. */
int pl_back_hear(struct pl_back *b, const struct pl_msg *m);
/* What every connection begins with: what is this device? */
int pl_back_greet(struct pl_back *b);
/* Make the device ready as the driver left it, and let it go again. */
int pl_back_start(struct pl_back *b);
int pl_back_stop(struct pl_back *b);
/* The front-end came back to a device that went on meanwhile, and has its rings set up again. */
int pl_back_resume(struct pl_back *b);
/* A ring that is ready only now. */
int pl_back_start_late(struct pl_back *b, uint32_t index);
/* Put a message on its way to the device, behind those that wait. */
int pl_back_say(struct pl_back *b, struct pl_msg *m);
/* Go on with what waits, as far as no answer is due. */
int pl_back_go_on(struct pl_back *b);

#endif
