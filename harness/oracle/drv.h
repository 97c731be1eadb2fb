/* The judge of drivers: what it keeps of each device that a driver under test works with. */
#ifndef PL_ORACLE_DRV_H
#define PL_ORACLE_DRV_H

#include "oracle/private.h"

/* NULL without memory. */
struct pl_drv *pl_drv_new(struct pl_oracle *o);
void pl_drv_free(struct pl_drv *drv);
/* A new instance of the driver: nothing of its state is known, and its devices are fresh. */
void pl_drv_start(struct pl_oracle *o);
/* What earlier instances of it were seen to do is forgotten, too. */
void pl_drv_renew(struct pl_oracle *o);
/* A message of the driver's; a response or event that it was sent. */
void pl_drv_received(struct pl_oracle *o, const struct pl_msg *m);
/* Only a header came, whose msg_size does not end its message; `turned` does, 0: neither. */
void pl_drv_unframed(struct pl_oracle *o, const struct pl_msg *m, uint32_t turned);
void pl_drv_sent(struct pl_oracle *o, const struct pl_msg *m);
/* See pl_oracle_driver. */
void pl_drv_told(struct pl_oracle *o, uint16_t dev_num, const char *words);
/* What the driver must still do. */
unsigned pl_drv_owed(const struct pl_oracle *o);
/* Nothing more comes from it: what it owes is missing. */
void pl_drv_settle(struct pl_oracle *o);

/* Normal I/O on a virtqueue, seen by its announcement or in the ring itself. */
void pl_drv_io(struct pl_oracle *o, uint16_t dev_num, uint32_t index);
/* Buffers of a queue were made available: may they be, with a device that may be suspended? */
void pl_drv_suspend_buffers(struct pl_oracle *o, uint16_t dev_num, uint32_t index);

#endif
