/* Unit tests of the codec: every message of every draft there and back, and bytes that lie. */
#include <check.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "wire/wire.h"

enum { TAIL_MAX = 5, RANDOM_ROUNDS = 40000 };

/* --- bytes that are exactly as long as said, so that ASan sees each byte read beyond them --- */

static uint8_t *exactly(const void *bytes, size_t size)
{
    uint8_t *copy = malloc(size ? size : 1);
    ck_assert_ptr_nonnull(copy);
    if (size)
        memcpy(copy, bytes, size);
    return copy;
}

static enum pl_form form_of(const struct pl_spec *spec, const void *bytes, size_t size)
{
    struct pl_msg m;
    uint8_t *copy = exactly(bytes, size);
    pl_decode(spec, copy, size, &m);
    enum pl_form form = m.form;
    free(copy);
    return form;
}

static void put(uint8_t *p, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++)
        p[i] = (uint8_t)(value >> (8 * i));
}

static uint64_t ones(unsigned width)
{
    return width == 8 ? UINT64_MAX : (UINT64_C(1) << (8 * width)) - 1;
}

static bool counts(const struct pl_layout *layout, enum pl_field field)
{
    return layout->tail && layout->tail->count_field == field;
}

static size_t tail_bytes(const struct pl_array_def *tail, uint32_t count)
{
    return tail->unit == PL_UNIT_BITS    ? (count + 7) / 8
           : tail->unit == PL_UNIT_BYTES ? count
                                         : (size_t)count * tail->width;
}

/* --- each layout of each message of each draft --- */

typedef void each_fn(const struct pl_spec *spec, const struct pl_message_def *def, bool response);

static void each_layout(each_fn *fn)
{
    for (size_t s = 0; pl_specs[s]; s++)
        for (size_t i = 0; i < pl_specs[s]->n_messages; i++) {
            const struct pl_message_def *def = &pl_specs[s]->messages[i];
            fn(pl_specs[s], def, false);
            if (def->response)
                fn(pl_specs[s], def, true);
        }
}

static const uint8_t pattern[64] = {0xff, 0x01, 0x80, 0x7f, 0x00, 0xfe, 0x10, 0x40, 0x81, 0x11,
                                    0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88, 0x99, 0xaa, 0xbb,
                                    0xcc, 0xdd, 0xee, 0x0f, 0xf0, 0x5a, 0xa5, 0x3c, 0xc3, 0x12};

/* A message with a different value in each field; extreme: all bits of each field set. */
static struct pl_msg filled(const struct pl_message_def *def, bool response, uint32_t count,
                            bool extreme)
{
    struct pl_msg m = {.kind = def->kind, .response = response, .dev_num = 0xfedc, .token = 0x8001};
    const struct pl_layout *layout = response ? def->response : def->request;
    for (size_t i = 0; i < layout->n_fields; i++) {
        const struct pl_field_def *field = &layout->fields[i];
        uint64_t value = extreme ? UINT64_MAX : UINT64_C(0x8182838485868788) + i;
        m.f[field->field] = counts(layout, field->field) ? count : value & ones(field->width);
    }
    if (layout->fixed)
        m.fixed = pattern;
    if (layout->tail) {
        m.data = pattern;
        m.data_len = (uint32_t)tail_bytes(layout->tail, count);
    }
    return m;
}

static void same_message(const struct pl_spec *spec, const struct pl_msg *want,
                         const struct pl_msg *got)
{
    const struct pl_message_def *def = pl_spec_message(spec, want->kind);
    const struct pl_layout *layout = want->response ? def->response : def->request;
    ck_assert_ptr_eq(got->def, def);
    ck_assert_ptr_eq(pl_msg_layout(got), layout);
    ck_assert_int_eq(got->form, PL_FORM_OK);
    ck_assert_int_eq(got->kind, want->kind);
    ck_assert(got->response == want->response && got->bus == def->bus && got->event == def->event);
    ck_assert_uint_eq(got->dev_num, want->dev_num);
    ck_assert_uint_eq(got->token, spec->header.token.width ? want->token : 0);
    ck_assert_uint_eq(got->msg_size, got->size);
    ck_assert_uint_eq(got->expected, got->size);
    ck_assert_mem_eq(got->f, want->f, sizeof(got->f));
    ck_assert(!got->fixed == !layout->fixed);
    if (got->fixed)
        ck_assert_mem_eq(got->fixed, want->fixed, layout->fixed->width * layout->fixed->count);
    ck_assert_uint_eq(got->data_len, want->data_len);
    if (want->data_len)
        ck_assert_mem_eq(got->data, want->data, want->data_len);
}

static void round_trip(const struct pl_spec *spec, const struct pl_message_def *def, bool response)
{
    const struct pl_layout *layout = response ? def->response : def->request;
    for (uint32_t count = 0; count <= (layout->tail ? TAIL_MAX : 0); count++) {
        for (int extreme = 0; extreme < 2; extreme++) {
            uint8_t bytes[256];
            struct pl_msg want = filled(def, response, count, extreme), got;
            for (size_t i = 0; i < layout->n_fields; i++)
                want.f[layout->fields[i].field] &= ones(layout->fields[i].width);
            memset(bytes, 0xee, sizeof(bytes));
            ssize_t size = pl_encode(spec, &want, bytes, sizeof(bytes));
            ck_assert_int_gt(size, 0);
            ck_assert_uint_eq((size_t)size, spec->header.size + layout->size + want.data_len);
            ck_assert_uint_eq(bytes[size], 0xee);
            uint8_t *copy = exactly(bytes, (size_t)size);
            pl_decode(spec, copy, (size_t)size, &got);
            same_message(spec, &want, &got);
            free(copy);
        }
    }
}

START_TEST(every_message_round_trips)
{
    each_layout(round_trip);
}
END_TEST

/* Encoding what was decoded gives the bytes back, whatever stands in them. */
static void bytes_back(const struct pl_spec *spec, const struct pl_message_def *def, bool response)
{
    uint8_t bytes[256], again[256];
    struct pl_msg want = filled(def, response, 3, false), got;
    ssize_t size = pl_encode(spec, &want, bytes, sizeof(bytes));
    pl_decode(spec, bytes, (size_t)size, &got);
    ck_assert_int_eq(pl_encode(spec, &got, again, sizeof(again)), size);
    ck_assert_mem_eq(bytes, again, (size_t)size);
    ck_assert_int_eq(pl_encode(spec, &want, again, (size_t)size), size);
    ck_assert_int_eq(pl_encode(spec, &want, again, (size_t)size - 1), -EMSGSIZE);
    ck_assert_int_eq(pl_encode(spec, &want, again, 0), -EMSGSIZE);
}

START_TEST(decoded_messages_encode_to_the_same_bytes)
{
    each_layout(bytes_back);
}
END_TEST

/* Every shorter message is short, every longer one long, and a false msg_size is told. */
static void truncated(const struct pl_spec *spec, const struct pl_message_def *def, bool response)
{
    const struct pl_layout *layout = response ? def->response : def->request;
    uint8_t bytes[256] = {0};
    struct pl_msg want = filled(def, response, TAIL_MAX, false);
    size_t size = (size_t)pl_encode(spec, &want, bytes, sizeof(bytes) - 8);
    for (size_t n = 0; n < size + 8; n++) {
        bool omitted =
            layout->tail && layout->tail->optional && n == (size_t)spec->header.size + layout->size;
        enum pl_form form = n < size ? PL_FORM_SHORT : n == size ? PL_FORM_OK : PL_FORM_LONG;
        uint8_t copy[256];
        memcpy(copy, bytes, sizeof(copy));
        if (n < spec->header.size) {
            ck_assert_int_eq(form_of(spec, copy, n), PL_FORM_RUNT);
            continue;
        }
        ck_assert_int_eq(form_of(spec, copy, n), n == size ? PL_FORM_OK : PL_FORM_SIZE);
        pl_poke_size(spec, copy, (uint16_t)n);
        ck_assert_msg(form_of(spec, copy, n) == (omitted ? PL_FORM_OK : form),
                      "%s %s%s: %zu of %zu bytes have form %d", spec->name, def->name,
                      response ? " response" : "", n, size, form_of(spec, copy, n));
    }
}

START_TEST(every_length_is_told)
{
    each_layout(truncated);
}
END_TEST

/* A short message keeps the fields that arrived and no pointer to what did not. */
START_TEST(short_messages_keep_what_arrived)
{
    const struct pl_spec *spec = pl_spec_find("virtio-msg-r1");
    struct pl_msg want = {.kind = PL_GET_CONFIG, .response = true}, got;
    uint8_t bytes[64];
    want.f[PL_F_generation] = 77;
    want.f[PL_F_offset] = 5;
    want.f[PL_F_length] = 4;
    want.data = pattern;
    want.data_len = 4;
    size_t size = (size_t)pl_encode(spec, &want, bytes, sizeof(bytes));
    pl_decode(spec, bytes, size - 1, &got);
    ck_assert_uint_eq(got.data_len, 3);
    ck_assert_uint_eq(got.f[PL_F_length], 4);
    ck_assert_uint_eq(got.expected, size);
    pl_decode(spec, bytes, size - 4, &got);
    ck_assert_ptr_null(got.data);
    ck_assert_uint_eq(got.data_len, 0);
    pl_decode(spec, bytes, size - 5, &got);
    ck_assert_uint_eq(got.f[PL_F_offset], 5);
    ck_assert_uint_eq(got.f[PL_F_length], 0);
    pl_decode(spec, bytes, size + 3, &got);
    ck_assert_uint_eq(got.data_len, 4);
}
END_TEST

/* Counts that would wrap a 32-bit size, or point far behind the message. */
static void overflowing(const struct pl_spec *spec, const struct pl_message_def *def, bool response)
{
    static const uint64_t hostile[] = {9,          0x3fffffff, 0x40000000, 0x40000001, 0x7fffffff,
                                       0x80000000, 0xfffffff8, 0xfffffffc, 0xffffffff};
    const struct pl_layout *layout = response ? def->response : def->request;
    if (!layout->tail)
        return;
    for (size_t k = 0; k < sizeof(hostile) / sizeof(hostile[0]); k++) {
        uint8_t bytes[256];
        struct pl_msg m = filled(def, response, 1, false), got;
        size_t size = (size_t)pl_encode(spec, &m, bytes, sizeof(bytes));
        unsigned width = 0;
        for (size_t i = 0; i < layout->n_fields; i++) {
            const struct pl_field_def *field = &layout->fields[i];
            if (!counts(layout, field->field))
                continue;
            width = field->width;
            put(bytes + spec->header.size + field->offset, width, hostile[k]);
        }
        if ((hostile[k] & ones(width)) <= 8)
            continue; /* a narrow count field does not hold it */
        uint8_t *copy = exactly(bytes, size);
        pl_decode(spec, copy, size, &got);
        ck_assert_int_eq(got.form, PL_FORM_SHORT);
        ck_assert_uint_gt(got.expected, got.size);
        ck_assert_uint_eq(got.data_len, m.data_len);
        ck_assert_ptr_eq(got.data, copy + size - m.data_len);
        free(copy);
    }
}

START_TEST(counts_that_overflow)
{
    each_layout(overflowing);
}
END_TEST

START_TEST(bitmaps_are_counted_in_bits)
{
    const struct pl_spec *spec = pl_spec_find("virtio-msg-r1");
    for (uint32_t count = 0; count <= 17; count++) {
        struct pl_msg m = {.kind = PL_GET_DEVICES, .response = true, .data = pattern}, got;
        uint8_t bytes[64];
        m.f[PL_F_count] = count;
        m.data_len = count == 0 ? 0 : count <= 8 ? 1 : count <= 16 ? 2 : 3;
        size_t size = (size_t)pl_encode(spec, &m, bytes, sizeof(bytes));
        pl_decode(spec, bytes, size, &got);
        ck_assert_int_eq(got.form, PL_FORM_OK);
        ck_assert_uint_eq(got.expected, size);
    }
}
END_TEST

/* --- what is no message, or no message of this draft --- */

START_TEST(unknown_ids_and_shapes)
{
    for (size_t s = 0; pl_specs[s]; s++) {
        const struct pl_spec *spec = pl_specs[s];
        for (unsigned type = 0; type < 256; type++) {
            for (unsigned id = 0; id < 256; id++) {
                uint8_t bytes[8] = {0};
                struct pl_msg m;
                pl_poke_type(spec, bytes, (uint8_t)type);
                pl_poke_id(spec, bytes, (uint8_t)id);
                pl_poke_size(spec, bytes, spec->header.size);
                pl_decode(spec, bytes, spec->header.size, &m);
                bool bus = type & spec->header.bus_bit, response = type & spec->header.response_bit;
                const struct pl_message_def *def = spec->by_id[bus][id];
                ck_assert(m.bus == bus && m.response == response && m.type == type);
                ck_assert_ptr_eq(m.def, def);
                if (!def)
                    ck_assert_int_eq(m.form, PL_FORM_UNKNOWN);
                else if (response && !def->response)
                    ck_assert_int_eq(m.form, PL_FORM_SHAPE);
                else
                    ck_assert_int_eq(m.form, pl_msg_layout(&m)->size ? PL_FORM_SHORT : PL_FORM_OK);
                ck_assert_int_eq(m.kind, def ? def->kind : PL_NONE);
            }
        }
    }
}
END_TEST

START_TEST(what_cannot_be_encoded)
{
    const struct pl_spec *spec = pl_spec_find("virtio-msg-r1");
    static uint8_t big[PL_MSG_MAX + 64];
    struct pl_msg m = {.kind = PL_NONE};
    ck_assert_int_eq(pl_encode(spec, &m, big, sizeof(big)), -ENOENT);
    m.kind = PL_EVENT_USED;
    m.response = true;
    ck_assert_int_eq(pl_encode(spec, &m, big, sizeof(big)), -ENOENT);
    m = (struct pl_msg){.kind = PL_GET_CONFIG, .response = true};
    size_t room =
        PL_MSG_MAX - spec->header.size - pl_spec_message(spec, PL_GET_CONFIG)->response->size;
    m.data_len = (uint32_t)room;
    ck_assert_int_eq(pl_encode(spec, &m, big, sizeof(big)), PL_MSG_MAX);
    m.data_len++;
    ck_assert_int_eq(pl_encode(spec, &m, big, sizeof(big)), -EMSGSIZE);
    m.data_len = UINT32_MAX;
    ck_assert_int_eq(pl_encode(spec, &m, big, sizeof(big)), -EMSGSIZE);
}
END_TEST

/* An array that is counted and not given is zero; the source may be the buffer that is written. */
START_TEST(absent_and_own_arrays)
{
    const struct pl_spec *spec = pl_spec_find("virtio-msg-r1");
    uint8_t bytes[64];
    struct pl_msg m = {.kind = PL_SET_CONFIG}, got;
    memset(bytes, 0xee, sizeof(bytes));
    m.f[PL_F_length] = m.data_len = 4;
    size_t size = (size_t)pl_encode(spec, &m, bytes, sizeof(bytes));
    pl_decode(spec, bytes, size, &got);
    ck_assert_mem_eq(got.data, "\0\0\0\0", 4);
    memcpy(bytes + size - 2, "wxyz", 4);
    m.data = bytes + size - 2;
    ck_assert_int_eq(pl_encode(spec, &m, bytes, sizeof(bytes)), (int)size);
    ck_assert_mem_eq(bytes + size - 4, "wxyz", 4);
}
END_TEST

/* --- the draft without a token --- */

START_TEST(a_header_without_token)
{
    const struct pl_spec *old = pl_spec_find("virtio-msg-2025-06");
    const struct pl_spec *now = pl_spec_find("virtio-msg-r1");
    ck_assert_ptr_nonnull(old);
    ck_assert_ptr_nonnull(now);
    ck_assert_uint_eq(old->header.token.width, 0);
    ck_assert_uint_eq(now->header.token.width, 2);
    uint8_t a[32] = {0}, b[32] = {0};
    struct pl_msg m = {.kind = PL_GET_DEVICE_STATUS, .dev_num = 3, .token = 0xabcd}, got;
    size_t size = (size_t)pl_encode(old, &m, a, sizeof(a));
    ck_assert_uint_eq(size, old->header.size);
    ck_assert_int_eq(pl_encode(now, &m, b, sizeof(b)), (int)now->header.size);
    pl_decode(old, a, size, &got);
    ck_assert_uint_eq(got.token, 0);
    ck_assert_uint_eq(got.dev_num, 3);
    uint8_t before[32];
    memcpy(before, a, sizeof(before));
    pl_poke_token(old, a, 0x1234);
    ck_assert_mem_eq(before, a, sizeof(a));
    pl_poke_token(now, b, 0x1234);
    pl_decode(now, b, now->header.size, &got);
    ck_assert_uint_eq(got.token, 0x1234);
    char text[200];
    pl_format(old, a, size, text, sizeof(text));
    ck_assert_ptr_null(strstr(text, "token"));
    pl_format(now, b, now->header.size, text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, "token=4660"));
}
END_TEST

START_TEST(lookups)
{
    uint64_t value = 0;
    const struct pl_spec *spec = pl_spec_find("virtio-msg-r1");
    ck_assert_ptr_null(pl_spec_find("virtio-msg-r9"));
    ck_assert_ptr_null(pl_spec_message(spec, PL_NONE));
    ck_assert_ptr_null(pl_spec_message_named(spec, "GET_NOTHING"));
    ck_assert_int_eq(pl_spec_message_named(spec, "SET_VQUEUE")->kind, PL_SET_VQUEUE);
    ck_assert(pl_spec_constant(spec, "STATUS_FEATURES_OK", &value) && value == 8);
    ck_assert(pl_spec_constant(spec, "F_RING_RESET", &value) && value == 40);
    ck_assert(!pl_spec_constant(spec, "STATUS_NOTHING", &value));
    for (size_t i = 0; i < spec->n_messages; i++)
        ck_assert_ptr_eq(spec->by_id[spec->messages[i].bus][spec->messages[i].id],
                         &spec->messages[i]);
}
END_TEST

/* --- text --- */

static void formatted(const struct pl_spec *spec, const struct pl_message_def *def, bool response)
{
    uint8_t bytes[256];
    char whole[2048], part[64], name[64];
    struct pl_msg m = filled(def, response, 2, false);
    const struct pl_layout *layout = response ? def->response : def->request;
    size_t size = (size_t)pl_encode(spec, &m, bytes, sizeof(bytes));
    int n = pl_format(spec, bytes, size, whole, sizeof(whole));
    ck_assert_uint_eq((size_t)n, strlen(whole));
    snprintf(name, sizeof(name), "%s%s", def->name,
             def->event ? ""
             : response ? " response"
                        : " request");
    ck_assert_msg(strncmp(whole, name, strlen(name)) == 0, "'%s' is not '%s'", whole, name);
    ck_assert_ptr_null(strchr(whole, '['));
    for (size_t i = 0; i < layout->n_fields; i++) {
        snprintf(name, sizeof(name), " %s=", layout->fields[i].name);
        ck_assert_msg(strstr(whole, name) != NULL, "'%s' lacks '%s'", whole, name);
    }
    for (size_t cap = 0; cap < sizeof(part); cap++) {
        char *room = malloc(cap ? cap : 1);
        ck_assert_int_eq(pl_format(spec, bytes, size, room, cap), n);
        if (cap) {
            ck_assert_uint_eq(strlen(room), cap - 1 < (size_t)n ? cap - 1 : (size_t)n);
            ck_assert_int_eq(strncmp(room, whole, strlen(room)), 0);
        }
        free(room);
    }
}

START_TEST(every_message_as_text)
{
    each_layout(formatted);
}
END_TEST

START_TEST(text_names_what_is_wrong)
{
    const struct pl_spec *spec = pl_spec_find("virtio-msg-r1");
    struct pl_msg m = {.kind = PL_GET_CONFIG, .dev_num = 9};
    uint8_t bytes[64] = {0};
    char text[512];
    m.f[PL_F_length] = 300;
    size_t size = (size_t)pl_encode(spec, &m, bytes, sizeof(bytes));
    pl_format(spec, bytes, size, text, sizeof(text));
    ck_assert_str_eq(text,
                     "GET_CONFIG request dev_num=9 token=0 msg_size=16 offset=0 length=0x12c");
    pl_format(spec, bytes, size - 1, text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, "(15 bytes arrived)"));
    ck_assert_ptr_nonnull(strstr(text, "[msg_size is not what arrived]"));
    pl_format(spec, bytes, 3, text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, "[shorter than the header]"));
    pl_poke_type(spec, bytes, 0xf0);
    pl_poke_id(spec, bytes, 0xbf);
    pl_format(spec, bytes, size, text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, "transport message 0xbf"));
    ck_assert_ptr_nonnull(strstr(text, "type=0xf0"));
    ck_assert_ptr_nonnull(strstr(text, "payload=000000002c010000"));
    ck_assert_ptr_nonnull(strstr(text, "[no such message]"));
    m = (struct pl_msg){.kind = PL_EVENT_CONFIG, .data = pattern, .data_len = 40};
    m.f[PL_F_length] = 40;
    ck_assert_int_eq(pl_encode(spec, &m, bytes, sizeof(bytes) - 1), -EMSGSIZE);
    uint8_t large[128];
    size = (size_t)pl_encode(spec, &m, large, sizeof(large));
    pl_format(spec, large, size, text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, "... (40 bytes)"));
    pl_poke_type(spec, large, spec->header.response_bit);
    pl_format(spec, large, size, text, sizeof(text));
    ck_assert_ptr_nonnull(strstr(text, "[an event with the response bit]"));
}
END_TEST

/* --- noise --- */

static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

/* PLUMBLINE_TEST_SEED repeats a run. */
static uint64_t seed(void)
{
    const char *text = getenv("PLUMBLINE_TEST_SEED");
    uint64_t value = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;
    printf("codec noise: PLUMBLINE_TEST_SEED=0x%llx\n", (unsigned long long)value);
    fflush(stdout);
    return value ? value : 1;
}

static void noise_once(uint64_t *state)
{
    const struct pl_spec *spec = pl_specs[next_random(state) % 2];
    uint8_t bytes[96];
    size_t size = next_random(state) % sizeof(bytes);
    for (size_t i = 0; i < sizeof(bytes); i++)
        bytes[i] = (uint8_t)next_random(state);
    if (next_random(state) % 4) { /* mostly an id and a size that are there */
        const struct pl_message_def *def = &spec->messages[next_random(state) % spec->n_messages];
        pl_poke_id(spec, bytes, def->id);
        pl_poke_type(spec, bytes, (uint8_t)(next_random(state) & 3));
        pl_poke_size(spec, bytes, (uint16_t)size);
    }
    struct pl_msg m;
    char text[128];
    uint8_t *copy = exactly(bytes, size);
    pl_decode(spec, copy, size, &m);
    ck_assert_ptr_eq(m.bytes, copy);
    ck_assert(!m.data || (m.data >= copy && m.data + m.data_len <= copy + size));
    ck_assert(m.data || !m.data_len);
    ck_assert(!m.fixed || m.fixed < copy + size);
    pl_format(spec, copy, size, text, sizeof(text));
    ck_assert_uint_lt(strlen(text), sizeof(text));
    uint8_t again[128];
    ssize_t n = m.form == PL_FORM_OK ? pl_encode(spec, &m, again, sizeof(again)) : 0;
    if (m.form == PL_FORM_OK) {
        ck_assert_int_eq(n, (ssize_t)size);
        pl_poke_type(spec, again, m.type); /* reserved bits are not a message's own */
        ck_assert_mem_eq(again, copy, size);
    }
    free(copy);
}

START_TEST(noise)
{
    uint64_t state = seed();
    for (int i = 0; i < RANDOM_ROUNDS; i++)
        noise_once(&state);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("codec");
    TCase *c = tcase_create("codec");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, every_message_round_trips);
    tcase_add_test(c, decoded_messages_encode_to_the_same_bytes);
    tcase_add_test(c, every_length_is_told);
    tcase_add_test(c, short_messages_keep_what_arrived);
    tcase_add_test(c, counts_that_overflow);
    tcase_add_test(c, bitmaps_are_counted_in_bits);
    tcase_add_test(c, unknown_ids_and_shapes);
    tcase_add_test(c, what_cannot_be_encoded);
    tcase_add_test(c, absent_and_own_arrays);
    tcase_add_test(c, a_header_without_token);
    tcase_add_test(c, lookups);
    tcase_add_test(c, every_message_as_text);
    tcase_add_test(c, text_names_what_is_wrong);
    tcase_add_test(c, noise);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
