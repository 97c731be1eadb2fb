/* Fuzz target: bytes are taken apart by every draft's codec, shown as text and put together again.
 */
#include "input.h"

#include <errno.h>

#include "wire/wire.h"

enum { LINE = 256 };

static void check_form(const struct pl_spec *spec, const struct pl_msg *m, size_t size)
{
    const uint8_t *end = m->bytes + size;

    fuzz_hold((m->form == PL_FORM_RUNT) == (size < spec->header.size), "a runt is a short header");
    fuzz_hold(m->form != PL_FORM_OK || (m->expected == size && m->msg_size == size),
              "a good message has its size");
    fuzz_hold(!m->data || (m->data >= m->bytes && m->data + m->data_len <= end),
              "an array within the message");
    fuzz_hold(!m->fixed || (m->fixed >= m->bytes && m->fixed < end),
              "a fixed array within the message");
    fuzz_hold((m->def != NULL) == (m->kind != PL_NONE), "a kind where it is known");
}

/* What is well formed becomes the same bytes again, but for the type's reserved bits. */
static void check_round_trip(const struct pl_spec *spec, const struct pl_msg *m, size_t size)
{
    uint8_t *again = fuzz_room(size);
    ssize_t n = pl_encode(spec, m, again, size);

    fuzz_hold(n == (ssize_t)size, "the size put together again");
    pl_poke_type(spec, again, m->type);
    fuzz_hold(memcmp(again, m->bytes, size) == 0, "bytes put together again");
    fuzz_hold(pl_encode(spec, m, again, size - 1) == -EMSGSIZE, "no room, no message");
    free(again);
}

/* What can be put together at all comes apart with the same values. */
static void check_reencoding(const struct pl_spec *spec, const struct pl_msg *m)
{
    uint8_t *again = fuzz_room(PL_MSG_MAX);
    ssize_t n = pl_encode(spec, m, again, PL_MSG_MAX);
    struct pl_msg other;

    if (n >= 0) {
        pl_decode(spec, again, (size_t)n, &other);
        fuzz_hold(other.kind == m->kind && other.response == m->response, "the kind");
        fuzz_hold(other.dev_num == m->dev_num && other.token == m->token, "the header");
        fuzz_hold(other.form == PL_FORM_OK || m->form != PL_FORM_OK, "the form");
    }
    free(again);
}

static void check_text(const struct pl_spec *spec, const void *bytes, size_t size, size_t cap)
{
    char *line = fuzz_room(cap);
    int n = pl_format(spec, bytes, size, line, cap);

    fuzz_hold(n >= 0, "a line for every message");
    if (cap)
        fuzz_hold(strnlen(line, cap) == ((size_t)n < cap ? (size_t)n : cap - 1),
                  "the line's length");
    free(line);
}

static void check_bent(const struct pl_spec *spec, const uint8_t *bytes, size_t size)
{
    uint8_t *bent = fuzz_room(size);
    struct pl_msg m;

    memcpy(bent, bytes, size);
    pl_poke_size(spec, bent, (uint16_t)(size + 1));
    pl_poke_dev_num(spec, bent, 0x1234);
    pl_decode(spec, bent, size, &m);
    fuzz_hold(m.dev_num == 0x1234, "what was poked");
    fuzz_hold(m.form != PL_FORM_OK || spec->header.msg_size.width == 0, "a size that lies");
    free(bent);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pl_msg m;

    for (size_t i = 0; pl_specs[i]; i++) {
        const struct pl_spec *spec = pl_specs[i];
        pl_decode(spec, data, size, &m);
        check_form(spec, &m, size);
        if (m.form == PL_FORM_OK)
            check_round_trip(spec, &m, size);
        if (m.form != PL_FORM_RUNT)
            check_bent(spec, data, size);
        check_reencoding(spec, &m);
        check_text(spec, data, size, LINE);
        check_text(spec, data, size, size % LINE);
    }
    return 0;
}
