/* PLUMBLINE_BUS: the bus's parameters as one line of text. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/port.h"

/* A number of 32 bits, decimal or 0x, that ends at `end`. */
static bool parse_u32(const char *text, const char *end, uint32_t *out)
{
    bool hex = end - text > 2 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    const char *digits = hex ? text + 2 : text;
    size_t length = strspn(digits, hex ? "0123456789abcdefABCDEF" : "0123456789");
    if (length == 0 || length > 18 || digits + length != end)
        return false;
    uint64_t value = strtoull(digits, NULL, hex ? 16 : 10);
    *out = (uint32_t)value;
    return value <= UINT32_MAX;
}

int pl_bus_params_parse(const char *text, struct pl_bus_params *out)
{
    static const char *const names[] = {"revision=", "max_msg_size=", "features="};
    static const char blank[] = " \t\r\n";
    struct pl_bus_params bus = {0};
    uint32_t *const values[] = {&bus.revision, &bus.max_msg_size, &bus.features};
    unsigned seen = 0;
    for (text += strspn(text, blank); *text; text += strspn(text, blank)) {
        const char *end = text + strcspn(text, blank);
        unsigned i = 0;
        while (i < 3 && strncmp(text, names[i], strlen(names[i])) != 0)
            i++;
        if (i == 3 || (seen & 1u << i) || !parse_u32(text + strlen(names[i]), end, values[i]))
            return -EINVAL;
        seen |= 1u << i;
        text = end;
    }
    if (seen != 7)
        return -EINVAL;
    *out = bus;
    return 0;
}

void pl_bus_params_format(const struct pl_bus_params *bus, char *out, size_t cap)
{
    snprintf(out, cap, "revision=%" PRIu32 " max_msg_size=%" PRIu32 " features=0x%" PRIx32,
             bus->revision, bus->max_msg_size, bus->features);
}
