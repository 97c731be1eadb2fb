/* A watch on the rings that a driver under test lays out in the shared memory: what shows there is
 * told in lines ("ring DEV QUEUE WORD...") that harness/oracle/drv_ring.c judges.
 *
 * Nothing there is trusted: each value is copied once and checked. The driver writes while the
 * watch looks, so only what the order of its writes guarantees is judged. What the device does on
 * the rings is heard from the device itself, at the moment of it. */
#ifndef PL_DRV_WATCH_H
#define PL_DRV_WATCH_H

#include "engine/session.h"
#include "peer/device.h"

/* Sets s->watch; it ends with the session. 0, or -ENOMEM. Without shared memory it does nothing. */
int pl_drv_watch_attach(struct pl_session *s);

/*
 * What the device's configuration is to name (pl_device_config.watch), so that the watch hears what
 * is taken and given back; it lives as long as the session. Without it no chain is judged.
 */
const struct pl_device_watch *pl_drv_watch_device(struct pl_session *s);

/*
 * The device is about to run by itself (time goes by), or the session to settle. Whatever the
 * driver made available since the last pl_drv_watch_look met what the device asked for then: that
 * the device has not run in between is what makes a notification due. A message from the driver
 * does the same by itself.
 */
void pl_drv_watch_before(struct pl_session *s);
/* The device has run: what came meanwhile may have met anything. */
void pl_drv_watch_look(struct pl_session *s);

#endif
