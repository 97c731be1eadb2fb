/* Administration commands of a network device: their data, and objects looked up. */
#ifndef PL_PEER_IO_ADMIN_H
#define PL_PEER_IO_ADMIN_H

#include "peer/io_net.h"

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
