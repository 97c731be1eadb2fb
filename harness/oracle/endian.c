/* Byte order: fields that are right only when their bytes are turned round. */
#include "oracle/private.h"

bool pl_endian_swapped(uint64_t got, uint64_t want, unsigned width)
{
    uint64_t turned = 0;
    for (unsigned i = 0; i < width; i++)
        turned |= (got >> (8 * i) & 0xff) << (8 * (width - 1 - i));
    return got != want && turned == want;
}

/* A field that can only be so large is far too large, and right when its bytes are turned round. */
static bool swapped_above(uint64_t got, uint64_t limit)
{
    uint64_t turned = __builtin_bswap32((uint32_t)got);
    return got > limit && turned <= limit;
}

static bool features_swapped(const struct pl_msg *req, const struct pl_msg *resp)
{
    uint64_t block = PL_C_F_VERSION_1 / 32, first = req->f[PL_F_block_index];
    uint64_t width = pl_msg_layout(resp)->tail->width;
    if (first > block || first + resp->data_len / width <= block)
        return false;
    const uint8_t *p = resp->data + width * (block - first);
    return !(p[0] & 1) && (p[width - 1] & 1) && PL_C_F_VERSION_1 % 32 == 0;
}

static bool echo_swapped(const struct pl_spec *spec, const struct pl_msg *req,
                         const struct pl_msg *resp)
{
    static const enum pl_field echoed[] = {PL_F_block_index, PL_F_num_blocks, PL_F_offset,
                                           PL_F_index, PL_F_shmid};
    const struct pl_layout *layout = resp->def->response;
    (void)spec;
    for (size_t i = 0; i < layout->n_fields; i++)
        for (size_t k = 0; k < sizeof(echoed) / sizeof(echoed[0]); k++)
            if (layout->fields[i].field == echoed[k] &&
                pl_endian_swapped(resp->f[echoed[k]], req->f[echoed[k]], layout->fields[i].width))
                return true;
    return false;
}

/* A status that is only right when its bytes are turned round, and that nobody wrote. */
static bool status_swapped(const struct pl_track *t, const struct pl_msg *req,
                           const struct pl_msg *resp)
{
    uint64_t got = resp->f[PL_F_status];
    if (!swapped_above(got, UINT8_MAX) || (t && pl_status_has(&t->status, (uint32_t)got)))
        return false;
    return req->kind != PL_SET_DEVICE_STATUS || pl_endian_swapped(got, req->f[PL_F_status], 4);
}

static bool big_endian(const struct pl_oracle *o, const struct pl_track *t,
                       const struct pl_msg *req, const struct pl_msg *resp)
{
    if (pl_endian_swapped(resp->msg_size, resp->size, o->spec->header.msg_size.width))
        return true;
    if (!resp->def || !resp->def->response || echo_swapped(o->spec, req, resp))
        return resp->def && resp->def->response;
    switch (resp->kind) {
    case PL_GET_DEVICE_INFO:
        return swapped_above(resp->f[PL_F_max_virtqueues], PL_C_MAX_VIRTQUEUES) ||
               swapped_above(resp->f[PL_F_num_feature_blocks], UINT16_MAX) ||
               swapped_above(resp->f[PL_F_device_id], UINT16_MAX);
    case PL_GET_DEVICE_STATUS:
    case PL_SET_DEVICE_STATUS:
        return status_swapped(t, req, resp);
    case PL_GET_VQUEUE:
        return swapped_above(resp->f[PL_F_max_size], PL_C_QUEUE_SIZE_MAX);
    case PL_GET_DEVICE_FEATURES:
        return features_swapped(req, resp);
    case PL_GET_CONFIG:
        return pl_endian_swapped(resp->f[PL_F_length], req->f[PL_F_length], 4);
    default:
        return false;
    }
}

bool pl_endian_judge(struct pl_oracle *o, const struct pl_track *t, const struct pl_msg *req,
                     const struct pl_msg *resp)
{
    if (!big_endian(o, t, req, resp)) {
        pl_held(o, PL_P_little_endian);
        return true;
    }
    pl_broken(o, PL_P_little_endian, "%s: a field is right only when read as big-endian",
              pl_kind_names[req->kind]);
    return false;
}

/* A generation that is one of a few small steps from the known one only when turned round. */
bool pl_endian_event(const struct pl_track *t, const struct pl_msg *ev)
{
    uint64_t gen = ev->f[PL_F_generation], turned = __builtin_bswap32((uint32_t)gen);
    if (t->info.kind != PL_NONE && ev->f[PL_F_length] > t->info.f[PL_F_config_size] &&
        swapped_above(ev->f[PL_F_length], t->info.f[PL_F_config_size]))
        return true;
    if (swapped_above(ev->f[PL_F_device_status], UINT8_MAX) && !t->status.any &&
        !pl_status_has(&t->status, (uint32_t)ev->f[PL_F_device_status]))
        return true;
    uint64_t before = t->change_pending && t->change_before_known ? t->gen_before : t->gen;
    bool known = t->gen_known || (t->change_pending && t->change_before_known);
    return known && gen > UINT16_MAX && before <= UINT16_MAX && turned - before <= 2;
}
