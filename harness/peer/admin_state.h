/* What a device keeps that commands on its administration virtqueues made. */
#ifndef PL_PEER_ADMIN_STATE_H
#define PL_PEER_ADMIN_STATE_H

#include <stdbool.h>
#include <stdint.h>

#define PL_ADMIN_OBJECTS 32u
#define PL_ADMIN_DATA    256u /* bytes of an object at most */

/* A resource object, as it was created. */
struct pl_admin_object {
    bool there;
    uint16_t type, len;
    uint32_t id;
    uint8_t data[PL_ADMIN_DATA];
};

/* What the driver will make use of, of each resource. */
struct pl_admin_limits {
    uint32_t groups, classifiers, rules, rules_per_group, last_priority, inbound, outbound;
};

struct pl_admin_state {
    uint64_t used; /* commands that the driver uses, as a mask; 0: none were chosen yet */
    uint64_t caps; /* capabilities that the driver set, as a mask */
    struct pl_admin_limits limits;
    struct pl_admin_object object[PL_ADMIN_OBJECTS];
};

#endif
