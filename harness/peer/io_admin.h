/* Administration commands of a network device: their layouts, and objects looked up. */
#ifndef PL_PEER_IO_ADMIN_H
#define PL_PEER_IO_ADMIN_H

#include "peer/io_net.h"

/* Capabilities, from the device type's first on, and resources, from its first on. */
enum {
    PL_ADMIN_CAP = 0x800,
    PL_ADMIN_CAP_FILTERS = 0, /* limits, selectors, actions */
    PL_ADMIN_CAP_SELECTORS = 1,
    PL_ADMIN_CAP_ACTIONS = 2,
    PL_ADMIN_CAP_SA_LIMITS = 3,
    PL_ADMIN_CAP_SA = 4,
    PL_ADMIN_OF_FILTERS = 0x07,
    PL_ADMIN_OF_IPSEC = 0x18,
    PL_ADMIN_GROUP = 0x200,
    PL_ADMIN_CLASSIFIER = 0x201,
    PL_ADMIN_RULE = 0x202,
    PL_ADMIN_OUTBOUND = 0x203,
    PL_ADMIN_INBOUND = 0x204
};

/* Selectors of a classifier: a header of 8 bytes with its type and length, then the mask. */
enum {
    PL_FILTER_SELECTORS = 8, /* where they begin */
    PL_FILTER_SELECTOR = 8,  /* bytes before the mask */
    PL_FILTER_LENGTH = 4,    /* where its length stands */
    PL_FILTER_ETH = 1,
    PL_FILTER_IPV4 = 2,
    PL_FILTER_IPV6 = 3,
    PL_FILTER_DROP = 1,
    PL_FILTER_DIRECT = 2,
    PL_FILTER_KEYS = 16 /* of a rule */
};

uint64_t pl_admin_get(const uint8_t *bytes, size_t n);
/* NULL: there is none. */
const struct pl_admin_object *pl_admin_find(const struct pl_device *dev, uint64_t type,
                                            uint64_t id);
/* Bytes of all masks of a classifier; 0 where its selectors are not as they must be. */
size_t pl_admin_mask_bytes(const uint8_t *data, size_t len);
/* What is wrong with a rule, or an association: bits that pl_fn_admin_wrong tells of. */
uint64_t pl_admin_wrong_rule(const struct pl_step *c, const uint8_t *data, size_t len);
uint64_t pl_admin_wrong_sa(const struct pl_step *c, const uint8_t *data, size_t len);

#endif
