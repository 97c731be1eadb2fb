/* What the files that track the configuration space share. */
#ifndef PL_ORACLE_CONFIG_PRIVATE_H
#define PL_ORACLE_CONFIG_PRIVATE_H

#include "oracle/private.h"

/* How a byte came to be known. */
enum { READ = 1, WRITTEN = 2 };

/* --- the generation --- */
void pl_gen_history(struct pl_oracle *o, struct pl_track *t, uint32_t gen, enum pl_kind kind);
void pl_gen_event_read(struct pl_oracle *o, struct pl_track *t, uint32_t gen);
void pl_gen_after_write(struct pl_oracle *o, struct pl_track *t, uint32_t gen);
void pl_gen_note(struct pl_oracle *o, struct pl_track *t, uint32_t gen);
void pl_gen_event_stale(struct pl_oracle *o, struct pl_track *t, uint32_t gen);

/* --- changes that control asked for --- */
bool pl_config_covers(uint64_t offset, uint64_t length, const struct pl_track *t);
void pl_config_change_read(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *resp);

/* --- earlier versions --- */
void pl_config_first(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *resp);
void pl_config_read_out_of_order(struct pl_track *t, const struct pl_msg *resp);
void pl_config_check_frozen(struct pl_track *t, const struct pl_msg *resp);

/* --- bytes --- */
void pl_config_forget_bytes(struct pl_track *t);
void pl_config_learn(struct pl_track *t, uint64_t offset, const uint8_t *data, uint32_t n,
                     uint8_t how);
bool pl_config_alters(const struct pl_track *t, const struct pl_msg *req);

#endif
