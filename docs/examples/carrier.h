/* What brings an example device its messages and its memory; carrier.c reads the environment. */
#ifndef CARRIER_H
#define CARRIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One direction of spsc:, and where this end stands in it. */
struct area {
    int32_t head, unused[15];
    int32_t tail, unused_too[15];
    uint8_t slot[][64];
};

struct carrier {
    int fd;                 /* the message socket; of spsc: the wakeup socket */
    int ctl_fd;             /* -1: no control */
    bool stream;            /* a byte stream: msg_size is the framing */
    struct area *from, *to; /* of spsc:, else NULL */
    int32_t slots;
    uint8_t *mem;                /* the shared memory; NULL: there is none */
    uint64_t mem_base, mem_size; /* the bus address of its first byte, and its bytes */
    uint32_t max_msg_size;
};

/*
 * Reach the other end: `how` is NULL (the harness has started this process) or --connect or
 * --listen with an address, `memory` a file that both ends map, or NULL. Ends the process where
 * that fails.
 */
void carrier_open(struct carrier *c, const char *how, const char *address, const char *memory);
/* Sleep until a message or a control line may be there; whether it is a control line. */
bool carrier_wait(struct carrier *c);
/* The next message's size, 0 where none is there, -1 at the end. */
int carrier_receive(struct carrier *c, void *message);
void carrier_send(struct carrier *c, const void *message, size_t size);

#endif
