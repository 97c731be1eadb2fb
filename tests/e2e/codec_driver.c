/* Lines "SPEC HEX" in, what the C codec makes of them out, one line each: test_codecs.py compares.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/wire.h"

static void put_hex(const char *name, const uint8_t *bytes, size_t size)
{
    printf(" %s=", name);
    for (size_t i = 0; i < size; i++)
        printf("%02x", bytes[i]);
}

static const char *form_name(enum pl_form form)
{
    static const char *const names[] = {
        [PL_FORM_OK] = "ok",           [PL_FORM_RUNT] = "runt",   [PL_FORM_SIZE] = "size",
        [PL_FORM_UNKNOWN] = "unknown", [PL_FORM_SHAPE] = "shape", [PL_FORM_SHORT] = "short",
        [PL_FORM_LONG] = "long",
    };
    return names[form];
}

static void put_payload(const struct pl_spec *spec, const struct pl_msg *m)
{
    const struct pl_layout *layout = pl_msg_layout(m);
    if (!layout)
        return;
    for (size_t i = 0; i < layout->n_fields; i++) {
        const struct pl_field_def *field = &layout->fields[i];
        if (m->size - spec->header.size >= (size_t)field->offset + field->width)
            printf(" %s=%" PRIu64, field->name, m->f[field->field]);
    }
    if (m->fixed)
        put_hex(layout->fixed->name, m->fixed, (size_t)layout->fixed->width * layout->fixed->count);
    if (layout->tail && m->size - spec->header.size >= layout->size)
        put_hex(layout->tail->name, m->data, m->data_len - m->data_len % layout->tail->width);
}

static void answer(const struct pl_spec *spec, const uint8_t *bytes, size_t size)
{
    static uint8_t again[PL_MSG_MAX];
    struct pl_msg m;
    pl_decode(spec, bytes, size, &m);
    printf("%s %s type=%u msg_id=%u dev_num=%u token=%u msg_size=%u response=%d bus=%d event=%d "
           "expected=%zu",
           form_name(m.form), m.def ? m.def->name : "-", m.type, m.msg_id, m.dev_num, m.token,
           m.msg_size, m.response, m.bus, m.event, m.expected);
    put_payload(spec, &m);
    if (m.form == PL_FORM_OK) {
        ssize_t length = pl_encode(spec, &m, again, sizeof again);
        put_hex("again", again, length > 0 ? (size_t)length : 0);
    }
    putchar('\n');
}

int main(void)
{
    char *line = NULL;
    size_t cap = 0;
    while (getline(&line, &cap, stdin) > 0) {
        char *hex = strchr(line, ' ');
        if (!hex)
            return 2;
        *hex++ = '\0';
        size_t size = strspn(hex, "0123456789abcdef") / 2;
        /* Exactly as large as the message, so that the sanitizer sees a read beyond it. */
        uint8_t *bytes = malloc(size ? size : 1);
        const struct pl_spec *spec = pl_spec_find(line);
        if (!spec || !bytes)
            return 2;
        for (size_t i = 0; i < size; i++)
            sscanf(hex + 2 * i, "%2hhx", &bytes[i]);
        answer(spec, bytes, size);
        free(bytes);
    }
    free(line);
    return 0;
}
