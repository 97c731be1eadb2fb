/* Checking UTF-8 that others wrote. */
#include "port/utf8.h"

#include <stdint.h>
#include <string.h>

/* The smallest character that a sequence of this many bytes may encode. */
static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};

size_t pl_utf8_length(const void *text, size_t size)
{
    const uint8_t *p = text;
    if (size == 0)
        return 0;
    if (p[0] < 0x80)
        return 1;
    size_t length = p[0] >= 0xf0 ? 4 : p[0] >= 0xe0 ? 3 : 2;
    if (p[0] < 0xc2 || p[0] > 0xf4 || length > size)
        return 0;
    uint32_t code = p[0] & (0xffu >> (length + 1));
    for (size_t i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (p[i] & 0x3fu);
    }
    if (code < least[length] || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff))
        return 0;
    return length;
}

size_t pl_utf8_valid(const void *text, size_t size)
{
    size_t at = 0;
    while (at < size) {
        size_t length = pl_utf8_length((const uint8_t *)text + at, size - at);
        if (length == 0)
            break;
        at += length;
    }
    return at;
}

void pl_utf8_line(const void *text, size_t size, char *out, size_t cap)
{
    const uint8_t *in = text;
    size_t used = 0;
    for (size_t at = 0; at < size;) {
        size_t length = pl_utf8_length(in + at, size - at);
        size_t step = length ? length : 1;
        if (used + step + 4 > cap) {
            if (cap >= 4) {
                memcpy(out + used, "...", 3);
                used += 3;
            }
            break;
        }
        if (length == 0 || in[at] < 0x20 || in[at] == 0x7f)
            out[used++] = '?';
        else
            for (size_t i = 0; i < length; i++)
                out[used++] = (char)in[at + i];
        at += step;
    }
    if (cap)
        out[used] = '\0';
}
