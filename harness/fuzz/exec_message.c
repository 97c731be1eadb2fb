/* Messages that a case means: what is legal here, and what the case makes of it. */
#include <string.h>

#include "engine/bent.h"
#include "fuzz/exec_private.h"

enum {
    CONFIG_READ = 64,
    DATA_COUNTED = 512,
    QUEUE_ENTRIES = 16,
    WINDOW = 32,
    STATIC_STEP = 0x2000
};

/* --- what a driver says next --- */

/* One step further on the way to DRIVER_OK. */
static uint64_t next_status(const struct pl_x_device *d)
{
    static const uint64_t way[] = {PL_C_STATUS_ACKNOWLEDGE, PL_C_STATUS_DRIVER,
                                   PL_C_STATUS_FEATURES_OK, PL_C_STATUS_DRIVER_OK};
    if (d->status & (PL_C_STATUS_FAILED | PL_C_STATUS_DEVICE_NEEDS_RESET))
        return 0;
    for (size_t i = 0; i < sizeof(way) / sizeof(way[0]); i++)
        if (!(d->status & way[i]))
            return d->status | way[i];
    return d->status;
}

/* Features of the device's type are taken all or none, since they depend on each other; those of
 * rings as the case's seed says. */
static void choose_features(struct pl_exec *x, struct pl_msg *m)
{
    static const uint64_t rings[] = {PL_C_F_INDIRECT_DESC, PL_C_F_EVENT_IDX,
                                     PL_C_F_RING_PACKED,   PL_C_F_IN_ORDER,
                                     PL_C_F_RING_RESET,    PL_C_F_NOTIFICATION_DATA};
    uint32_t taken[PL_X_BLOCKS], seed = x->c->seed;
    taken[0] = seed & 64 ? x->d.offered[0] & ((UINT32_C(1) << PL_C_COMMON_BITS_FIRST) - 1) : 0;
    taken[1] = x->d.offered[1] & UINT32_C(1) << (PL_C_F_VERSION_1 - 32);
    for (size_t i = 0; i < sizeof(rings) / sizeof(rings[0]); i++)
        if (seed >> i & 1)
            taken[rings[i] / 32] |= x->d.offered[rings[i] / 32] & UINT32_C(1) << (rings[i] % 32);
    for (size_t i = 0; i < sizeof(taken); i++)
        x->data[i] = (uint8_t)(taken[i / 4] >> (8 * (i % 4)));
    m->f[PL_F_num_blocks] = PL_X_BLOCKS;
    m->data = x->data;
    m->data_len = sizeof(taken);
}

/* As many bytes of configuration as there are, and as the answer to a read has room for. */
static uint32_t config_length(const struct pl_exec *x)
{
    const struct pl_message_def *def = pl_spec_message(x->spec, PL_GET_CONFIG);
    uint32_t room = x->s.bus.max_msg_size - x->spec->header.size - def->response->size;
    uint32_t n = x->d.has_info ? x->d.config_size : 1;
    n = n < room ? n : room;
    return n < CONFIG_READ ? n : CONFIG_READ;
}

static void a_queue(struct pl_exec *x, struct pl_msg *m)
{
    uint32_t index = (uint32_t)m->f[PL_F_index], most = QUEUE_ENTRIES;
    struct pl_vq_queue q;
    m->f[PL_F_flags] = PL_C_SVQ_ENABLE;
    if (index < PL_X_QUEUES && x->d.has_queue[index] && x->d.max_size[index] < most)
        most = x->d.max_size[index];
    while (most & (most - 1))
        most &= most - 1;
    m->f[PL_F_size] = most;
    uint64_t at = x->port->mem_base + (index % PL_X_QUEUES) * STATIC_STEP;
    m->f[PL_F_desc_addr] = at;
    m->f[PL_F_driver_addr] = at + STATIC_STEP / 2;
    m->f[PL_F_device_addr] = at + STATIC_STEP / 4 * 3;
    if (!x->vq || !pl_vq_look_up_queue(x->vq, index, &q))
        return;
    m->f[PL_F_size] = q.setup.size;
    m->f[PL_F_desc_addr] = q.setup.desc_addr;
    m->f[PL_F_driver_addr] = q.setup.driver_addr;
    m->f[PL_F_device_addr] = q.setup.device_addr;
}

static void of_config(struct pl_exec *x, struct pl_msg *m)
{
    m->f[PL_F_length] = config_length(x);
    m->f[PL_F_generation] = x->d.generation;
    if (m->kind == PL_GET_CONFIG && !m->response)
        return;
    memcpy(x->data, x->d.config, CONFIG_READ);
    m->data = x->data;
    m->data_len = (uint32_t)m->f[PL_F_length];
}

/* --- what a device or a bus says by itself --- */

static void of_device(struct pl_exec *x, struct pl_msg *m)
{
    if (m->kind == PL_EVENT_CONFIG) {
        m->f[PL_F_device_status] = x->d.status;
        m->f[PL_F_generation] = x->d.generation;
    } else if (m->kind == PL_EVENT_DEVICE) {
        m->f[PL_F_device_number] = x->devices[0];
        m->f[PL_F_device_bus_state] = PL_C_BUS_STATE_ADDED;
    } else if (m->kind == PL_EVENT_FAILURE) {
        m->f[PL_F_failed_dev_num] = x->req.dev_num;
        m->f[PL_F_failed_token] = x->req.token;
        m->f[PL_F_failed_msg_id] = x->req.msg_id;
        m->f[PL_F_reason] = PL_C_FAILURE_TIMEOUT;
    } else if (m->kind == PL_EVENT_PARAMETERS || (m->kind == PL_GET_PARAMETERS && m->response)) {
        m->f[PL_F_revision] = x->s.bus.revision;
        m->f[PL_F_max_msg_size] = x->s.bus.max_msg_size;
        m->f[PL_F_transport_features] = x->s.bus.features;
    }
}

void pl_x_legal(struct pl_exec *x, struct pl_msg *m)
{
    switch (m->kind) {
    case PL_SET_DEVICE_STATUS:
        m->f[PL_F_status] = m->response ? x->d.status : next_status(&x->d);
        break;
    case PL_GET_DEVICE_STATUS:
        m->f[PL_F_status] = x->d.status;
        break;
    case PL_GET_DEVICE_FEATURES:
        m->f[PL_F_num_blocks] = m->response ? 0 : PL_X_BLOCKS;
        break;
    case PL_SET_DRIVER_FEATURES:
        if (!m->response)
            choose_features(x, m);
        break;
    case PL_GET_CONFIG:
    case PL_SET_CONFIG:
        of_config(x, m);
        break;
    case PL_SET_VQUEUE:
        if (!m->response)
            a_queue(x, m);
        break;
    case PL_GET_DEVICES:
        m->f[PL_F_count] = m->response ? 0 : WINDOW;
        break;
    case PL_PING:
        m->f[PL_F_data32] = 1;
        break;
    default:
        of_device(x, m);
    }
}

/* --- what the case makes of it --- */

static uint64_t value_of(const struct pl_setting *s, uint64_t legal)
{
    return s->how == PL_VALUE_PLUS  ? legal + s->value
           : s->how == PL_VALUE_XOR ? legal ^ s->value
                                    : s->value;
}

static const struct pl_array_def *tail_of(const struct pl_message_def *def, bool response)
{
    const struct pl_layout *layout = response ? def->response : def->request;
    return layout ? layout->tail : NULL;
}

static uint32_t bytes_for(const struct pl_array_def *tail, uint64_t count)
{
    uint64_t bytes = tail->unit == PL_UNIT_ELEMENTS ? count * tail->width
                     : tail->unit == PL_UNIT_BITS   ? (count + 7) / 8
                                                    : count;
    return bytes < DATA_COUNTED && count <= DATA_COUNTED * 8 ? (uint32_t)bytes : DATA_COUNTED;
}

/* Data of the case's own, counted; or as many bytes as its count says. */
static void set_data(struct pl_exec *x, const struct pl_action *a, struct pl_msg *m,
                     const struct pl_message_def *def)
{
    static const uint8_t nil[PL_CASE_DATA];
    const struct pl_array_def *tail = tail_of(def, m->response);
    const struct pl_setting *count = tail ? pl_action_get(a, tail->count_field) : NULL;
    if (a->has_data) {
        memcpy(x->data, a->data, a->data_len);
        m->data = m->fixed = x->data;
        memset(x->data + a->data_len, 0, PL_CASE_DATA);
        m->data_len = a->data_len;
    } else if (!m->fixed) {
        m->fixed = nil;
    }
    if (!tail)
        return;
    if (a->has_data && !count) {
        m->f[tail->count_field] = tail->unit == PL_UNIT_ELEMENTS ? m->data_len / tail->width
                                  : tail->unit == PL_UNIT_BITS   ? (uint64_t)m->data_len * 8
                                                                 : m->data_len;
    } else if (!a->has_data && count && count->how == PL_VALUE_NUMBER) {
        uint32_t n = bytes_for(tail, count->value);
        if (m->data_len < n)
            memset(x->data + m->data_len, 0x5a, n - m->data_len);
        m->data = x->data;
        m->data_len = n;
    }
}

static void take_bends(const struct pl_action *a, struct pl_bent *b, struct pl_msg *m,
                       const struct pl_message_def *def)
{
    static const uint8_t what[] = {PL_BENT_TYPE, PL_BENT_ID,  PL_BENT_DEV_NUM, PL_BENT_TOKEN,
                                   PL_BENT_SIZE, PL_BENT_CUT, PL_BENT_PAD,     PL_BENT_PAD_WITH};
    for (size_t i = 0; i < a->n_set; i++) {
        const struct pl_setting *s = &a->set[i];
        if (s->name < PL_ARG_TYPE || s->name > PL_ARG_PAD_WITH)
            continue;
        uint64_t legal = s->name == PL_ARG_ID        ? def->id
                         : s->name == PL_ARG_DEV_NUM ? m->dev_num
                         : s->name == PL_ARG_TOKEN   ? m->token
                                                     : 0;
        uint64_t v = value_of(s, legal);
        if (s->name == PL_ARG_PAD || s->name == PL_ARG_CUT)
            v &= 0x1fff; /* what is larger shows no more */
        pl_bent_set(b, m, (enum pl_bent_what)what[s->name - PL_ARG_TYPE], v);
    }
}

/* A header's type and size that are what is legal and something: known once it is encoded. */
static void late_bends(struct pl_exec *x, const struct pl_action *a, struct pl_bent *b, size_t n)
{
    struct pl_msg m;
    const struct pl_setting *type = pl_action_get(a, PL_ARG_TYPE);
    const struct pl_setting *size = pl_action_get(a, PL_ARG_SIZE);
    if ((!type || type->how == PL_VALUE_NUMBER) && (!size || size->how == PL_VALUE_NUMBER))
        return;
    pl_decode(x->spec, x->bytes, n, &m);
    if (type)
        b->type = value_of(type, m.type);
    if (size)
        b->size = value_of(size, n);
}

static bool is_bent(const struct pl_action *a)
{
    if (a->response)
        return true;
    for (size_t i = 0; i < a->n_set; i++)
        if (a->set[i].name < PL_ARG_NTH && (a->set[i].how == PL_VALUE_NUMBER || a->set[i].value))
            return true;
    return a->has_data;
}

size_t pl_x_build(struct pl_exec *x, const struct pl_action *a, struct pl_msg *m, bool *bent)
{
    const struct pl_message_def *def = pl_spec_message(x->spec, m->kind);
    struct pl_bent b = {0};
    if (!def)
        return 0;
    *bent = is_bent(a);
    for (size_t i = 0; i < a->n_set; i++)
        if (a->set[i].name < PL_F_COUNT)
            m->f[a->set[i].name] = value_of(&a->set[i], m->f[a->set[i].name]);
    set_data(x, a, m, def);
    take_bends(a, &b, m, def);
    ssize_t n = pl_encode(x->spec, m, x->bytes, PL_MSG_MAX);
    if (n < 0)
        return 0;
    late_bends(x, a, &b, (size_t)n);
    return pl_bent_apply(x->spec, &b, x->bytes, (size_t)n);
}

static bool is_used(const struct pl_exec *x, uint16_t token)
{
    for (unsigned i = 0; i < x->n_tokens; i++)
        if (x->tokens[i] == token)
            return true;
    return token >= PL_SESSION_TOKEN_FIRST && token < PL_SESSION_TOKEN_LAST;
}

void pl_x_own_token(struct pl_exec *x, uint8_t *bytes, size_t n)
{
    struct pl_msg m;
    pl_decode(x->spec, bytes, n, &m);
    if (m.form == PL_FORM_RUNT || m.event || m.token == (uint16_t)(x->s.next_token - 1))
        return;
    uint16_t token = m.token;
    for (unsigned i = 0; i <= PL_X_TOKENS && is_used(x, token); i++)
        token = (uint16_t)(PL_SESSION_TOKEN_LAST +
                           (m.token + i) % (UINT16_MAX - PL_SESSION_TOKEN_LAST));
    if (token != m.token)
        pl_poke_token(x->spec, bytes, token);
    x->tokens[x->n_tokens] = token;
    x->n_tokens += x->n_tokens + 1 < PL_X_TOKENS;
}
