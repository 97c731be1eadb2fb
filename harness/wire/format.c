/* Messages as one line of text for people. */
#include "wire/text.h"
#include "wire/wire.h"
#include <inttypes.h>

static void put_bytes(struct pl_text *t, const char *name, const uint8_t *bytes, size_t n)
{
    pl_text_put(t, " %s=", name);
    for (size_t i = 0; i < n && i < 32; i++)
        pl_text_put(t, "%02x", bytes[i]);
    if (n > 32)
        pl_text_put(t, "... (%zu bytes)", n);
}

static void put_fields(struct pl_text *t, const struct pl_layout *layout, const struct pl_msg *m)
{
    for (size_t i = 0; i < layout->n_fields; i++) {
        uint64_t value = m->f[layout->fields[i].field];
        pl_text_put(t, value < 10 ? " %s=%" PRIu64 : " %s=0x%" PRIx64, layout->fields[i].name,
                    value);
    }
    if (layout->fixed && m->fixed)
        put_bytes(t, layout->fixed->name, m->fixed,
                  (size_t)layout->fixed->width * layout->fixed->count);
    if (layout->tail && m->data)
        put_bytes(t, layout->tail->name, m->data, m->data_len);
}

static const char *form_text(enum pl_form form)
{
    static const char *const texts[] = {
        [PL_FORM_OK] = "",
        [PL_FORM_RUNT] = " [shorter than the header]",
        [PL_FORM_SIZE] = " [msg_size is not what arrived]",
        [PL_FORM_UNKNOWN] = " [no such message]",
        [PL_FORM_SHAPE] = " [an event with the response bit]",
        [PL_FORM_SHORT] = " [payload too short]",
        [PL_FORM_LONG] = " [payload too long]",
    };
    return texts[form];
}

int pl_format(const struct pl_spec *spec, const void *bytes, size_t size, char *out, size_t cap)
{
    struct pl_msg m;
    struct pl_text t = {out, cap, 0};
    pl_decode(spec, bytes, size, &m);
    if (m.form == PL_FORM_RUNT) {
        put_bytes(&t, "bytes", bytes, size);
        pl_text_put(&t, "%s", form_text(m.form));
        return (int)t.n;
    }
    if (m.def)
        pl_text_put(&t, "%s%s", m.def->name, m.event ? "" : m.response ? " response" : " request");
    else
        pl_text_put(&t, "%s message 0x%02x%s", m.bus ? "bus" : "transport", m.msg_id,
                    m.response ? " response" : "");
    pl_text_put(&t, " dev_num=%u", m.dev_num);
    if (spec->header.token.width)
        pl_text_put(&t, " token=%u", m.token);
    pl_text_put(&t, " msg_size=%u", m.msg_size);
    if (m.type & spec->header.reserved_bits)
        pl_text_put(&t, " type=0x%02x", m.type);
    if (m.msg_size != size)
        pl_text_put(&t, " (%zu bytes arrived)", size);
    const struct pl_layout *layout = pl_msg_layout(&m);
    if (layout)
        put_fields(&t, layout, &m);
    else if (size > spec->header.size)
        put_bytes(&t, "payload", (const uint8_t *)bytes + spec->header.size,
                  size - spec->header.size);
    pl_text_put(&t, "%s", form_text(m.form));
    return (int)t.n;
}
