/* GET_DEVICE_INFO: learned once, and the same ever after. */
#include <stdlib.h>
#include <string.h>

#include "oracle/private.h"

static void learn(struct pl_track *t, const struct pl_msg *resp)
{
    uint8_t *copy = realloc(t->info_bytes, resp->size);
    if (!copy)
        return;
    memcpy(copy, resp->bytes, resp->size);
    t->info_bytes = copy;
    t->info_size = resp->size;
    t->info = *resp;
    t->info.bytes = copy;
    t->info.data = NULL;
    if (resp->fixed) {
        memcpy(t->uuid, resp->fixed, sizeof(t->uuid));
        t->info.fixed = t->uuid;
    }
    pl_config_size(t, (uint32_t)resp->f[PL_F_config_size]);
    for (unsigned i = 0; i < t->n_queues; i++)
        if (t->queues[i].index >= resp->f[PL_F_max_virtqueues])
            t->queues[i].available = PL_NO;
}

void pl_shm_read(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *req,
                 const struct pl_msg *resp)
{
    uint64_t id = req->f[PL_F_shmid];
    for (size_t i = 0; i < sizeof(t->shm) / sizeof(t->shm[0]); i++) {
        if (t->shm[i].known && t->shm[i].id != id)
            continue;
        if (t->shm[i].known &&
            (t->shm[i].length != resp->f[PL_F_length] ||
             (resp->f[PL_F_length] && t->shm[i].address != resp->f[PL_F_address])))
            pl_broken(o, PL_P_shm_answered,
                      "the region is another one than when it was asked for last");
        t->shm[i].known = true;
        t->shm[i].id = id;
        t->shm[i].length = resp->f[PL_F_length];
        t->shm[i].address = resp->f[PL_F_address];
        return;
    }
}

void pl_info_read(struct pl_oracle *o, struct pl_track *t, const struct pl_msg *resp)
{
    if (resp->form != PL_FORM_OK)
        return;
    if (t->info.kind == PL_NONE) {
        learn(t, resp);
        pl_held(o, PL_P_info_consistent);
        return;
    }
    bool same = memcmp(t->info.f, resp->f, sizeof(resp->f)) == 0 &&
                (!resp->fixed || memcmp(t->uuid, resp->fixed, sizeof(t->uuid)) == 0);
    if (same)
        pl_held(o, PL_P_info_consistent);
    else
        pl_broken(o, PL_P_info_consistent, "GET_DEVICE_INFO answers other values than before");
}
