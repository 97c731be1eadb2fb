/* Reads traces from pcapng files that nobody vouches for: every length is checked before its use.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "report/pcapng.h"

/* The largest block that is taken apart; larger ones of other types are skipped unread. */
#define BLOCK_MAX (1u << 20)
/* The largest message of a trace: one byte more than msg_size can announce shows an excess. */
#define MESSAGE_MAX (PL_MSG_MAX + 1)
#define GROUPS_MAX  65536u

struct reader {
    FILE *in;
    const char *name;
    const struct pl_pcapng_reader_ops *ops;
    void *opaque;
    char *error;
    size_t cap;
    bool big_endian, in_section;
    uint64_t offset; /* of the block at hand */
    uint32_t base;   /* groups before this section */
    uint32_t groups;
    struct group {
        uint8_t resolution; /* if_tsresol */
        bool device_side;
    } * list;        /* of each group */
    uint32_t room;   /* of list */
    uint64_t number; /* of the last message */
    uint8_t *block;  /* BLOCK_MAX bytes */
    char *text;      /* an option's text and its NUL */
};

/* What a block's options say; texts are NULL where absent. */
struct options {
    const uint8_t *text, *other_text;
    size_t text_size, other_size;
    uint64_t value, number;
    bool has_value, has_number;
};

__attribute__((format(printf, 2, 3))) static int refuse(struct reader *r, const char *format, ...)
{
    char why[160];
    va_list args;
    va_start(args, format);
    vsnprintf(why, sizeof why, format, args);
    va_end(args);
    snprintf(r->error, r->cap, "%s: byte %llu: %s", r->name, (unsigned long long)r->offset, why);
    return -EINVAL;
}

static uint64_t get(const struct reader *r, const uint8_t *at, unsigned width)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < width; i++)
        value |= (uint64_t)at[i] << (8 * (r->big_endian ? width - 1 - i : i));
    return value;
}

static uint32_t get_u32(const struct reader *r, const uint8_t *at)
{
    return (uint32_t)get(r, at, 4);
}

/* Read into the block: 1, 0 at the end of the file (only before its first byte), negative errno. */
static int fill(struct reader *r, size_t at, size_t size)
{
    errno = 0;
    size_t got = fread(r->block + at, 1, size, r->in);
    if (got == size)
        return 1;
    if (ferror(r->in)) {
        int code = errno ? errno : EIO;
        refuse(r, "the file cannot be read: %s", strerror(code));
        return -code;
    }
    if (got == 0 && at == 0)
        return 0;
    return refuse(r, "the file ends within a block");
}

/* Skip what is too large to take apart; its trailing length stays for the caller. */
static int pass_over(struct reader *r, uint64_t size)
{
    while (size > 0) {
        size_t part = size < BLOCK_MAX / 2 ? (size_t)size : BLOCK_MAX / 2;
        int result = fill(r, 12, part);
        if (result < 0)
            return result;
        size -= part;
    }
    return 1;
}

static const uint8_t *text_of(const uint8_t *at, size_t size, size_t *out)
{
    *out = size;
    return at;
}

/* Take in one option of a block of this type. */
static int option(struct reader *r, uint32_t type, uint32_t code, const uint8_t *at, size_t size,
                  struct options *out)
{
    bool packet = type == PCAPNG_PACKET;
    if (packet && code == PCAPNG_OPT_COMMENT && !out->text)
        out->text = text_of(at, size, &out->text_size);
    else if (!packet && code == PCAPNG_IF_DESC && !out->text)
        out->text = text_of(at, size, &out->text_size);
    else if (!packet && code == PCAPNG_IF_NAME && !out->other_text)
        out->other_text = text_of(at, size, &out->other_size);
    else if (code == (packet ? PCAPNG_EPB_FLAGS : PCAPNG_IF_TSRESOL)) {
        if (size != (packet ? 4u : 1u))
            return refuse(r, "option %u has %zu bytes", (unsigned)code, size);
        out->value = get(r, at, (unsigned)size);
        out->has_value = true;
    } else if (packet && code == PCAPNG_EPB_PACKETID) {
        if (size != 8)
            return refuse(r, "option %u has %zu bytes", (unsigned)code, size);
        out->number = get(r, at, 8);
        out->has_number = true;
    }
    return 0;
}

/* Walk the options between `at` and `end` (both offsets into the block). */
static int options(struct reader *r, uint32_t type, size_t at, size_t end, struct options *out)
{
    *out = (struct options){0};
    while (end - at >= 4) {
        uint32_t code = (uint32_t)get(r, r->block + at, 2);
        size_t size = (size_t)get(r, r->block + at + 2, 2);
        size_t whole = (size + 3) & ~(size_t)3;
        at += 4;
        if (code == PCAPNG_OPT_END)
            return 0;
        if (whole > end - at)
            return refuse(r, "option %u reaches beyond its block", (unsigned)code);
        int result = option(r, type, code, r->block + at, size, out);
        if (result < 0)
            return result;
        at += whole;
    }
    return 0;
}

/* An option's text as a C string in r->text; it ends at a NUL within it. */
static const char *text(struct reader *r, const uint8_t *bytes, size_t size)
{
    memcpy(r->text, bytes, size);
    r->text[size] = '\0';
    return r->text;
}

/* A product, or the largest number where it does not fit. */
static uint64_t times(uint64_t a, uint64_t b)
{
    return b != 0 && a > UINT64_MAX / b ? UINT64_MAX : a * b;
}

/* Nanoseconds from a timestamp in an interface's own resolution. */
static uint64_t nanoseconds(uint64_t stamp, uint8_t resolution)
{
    unsigned exponent = resolution & 0x7fu;
    if (resolution & 0x80) {
        for (; exponent > 30; exponent--)
            stamp >>= 1;
        uint64_t rest = stamp & ((UINT64_C(1) << exponent) - 1);
        uint64_t whole = times(stamp >> exponent, UINT64_C(1000000000));
        uint64_t part = rest * UINT64_C(1000000000) >> exponent;
        return whole > UINT64_MAX - part ? UINT64_MAX : whole + part;
    }
    for (; exponent < 9; exponent++)
        stamp = times(stamp, 10);
    for (; exponent > 9; exponent--)
        stamp /= 10;
    return stamp;
}

static int remember(struct reader *r, uint8_t resolution, bool device_side)
{
    if (r->groups >= GROUPS_MAX)
        return refuse(r, "more than %u interfaces", GROUPS_MAX);
    if (r->groups == r->room) {
        uint32_t room = r->room ? r->room * 2 : 16;
        struct group *grown = realloc(r->list, room * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        r->list = grown;
        r->room = room;
    }
    r->list[r->groups++] = (struct group){resolution, device_side};
    return 0;
}

static int section_block(struct reader *r, size_t size)
{
    if (size < PCAPNG_SECTION_HEAD + 4)
        return refuse(r, "the section header has %zu bytes only", size);
    if (get(r, r->block + 12, 2) != 1)
        return refuse(r, "pcapng version %u is unknown", (unsigned)get(r, r->block + 12, 2));
    r->in_section = true;
    r->base = r->groups;
    return 0;
}

static int interface_block(struct reader *r, size_t size)
{
    struct options found;
    if (size < PCAPNG_INTERFACE_HEAD + 4)
        return refuse(r, "the interface block has %zu bytes only", size);
    unsigned link = (unsigned)get(r, r->block + 8, 2);
    if (link != PCAPNG_LINK_USER0)
        return refuse(r, "link type %u, where %u (USER0) is expected", link, PCAPNG_LINK_USER0);
    int result = options(r, PCAPNG_INTERFACE, PCAPNG_INTERFACE_HEAD, size - 4, &found);
    if (result < 0)
        return result;
    const char *bus = found.text         ? text(r, found.text, found.text_size)
                      : found.other_text ? text(r, found.other_text, found.other_size)
                                         : "";
    result = remember(r, found.has_value ? (uint8_t)found.value : 6,
                      strstr(bus, PL_PCAPNG_DEVICE_SIDE) != NULL);
    if (result < 0 || !r->ops->group)
        return result;
    return r->ops->group(r->opaque, r->groups - 1, bus);
}

static int packet_block(struct reader *r, size_t size)
{
    struct options found;
    if (size < PCAPNG_PACKET_HEAD + 4)
        return refuse(r, "the packet block has %zu bytes only", size);
    uint32_t interface = get_u32(r, r->block + 8);
    uint32_t captured = get_u32(r, r->block + 20);
    size_t room = size - 4 - PCAPNG_PACKET_HEAD;
    if (interface >= r->groups - r->base)
        return refuse(r, "a packet of interface %u, which the section has not",
                      (unsigned)interface);
    if (captured > room || captured > MESSAGE_MAX)
        return refuse(r, "a packet of %u bytes, more than %s holds", (unsigned)captured,
                      captured > room ? "its block" : "a message");
    if (captured != get_u32(r, r->block + 24))
        return refuse(r, "a packet that was cut short when it was captured");
    size_t padded = ((size_t)captured + 3) & ~(size_t)3;
    size_t at = PCAPNG_PACKET_HEAD + (padded < room ? padded : room);
    int result = options(r, PCAPNG_PACKET, at, size - 4, &found);
    if (result < 0)
        return result;
    unsigned direction = (unsigned)(found.value & PCAPNG_DIRECTION);
    if (direction != PCAPNG_INBOUND && direction != PCAPNG_OUTBOUND)
        return refuse(r, "a packet without direction (epb_flags)");
    uint64_t stamp = (uint64_t)get_u32(r, r->block + 12) << 32 | get_u32(r, r->block + 16);
    uint32_t group = r->base + interface;
    r->number = found.has_number ? found.number : r->number + 1;
    const struct pl_trace_entry entry = {
        .number = r->number,
        .time_ns = nanoseconds(stamp, r->list[group].resolution),
        .to_iut = direction == PCAPNG_OUTBOUND,
        .device_side = r->list[group].device_side,
        .group = group,
        .size = captured,
        .bytes = r->block + PCAPNG_PACKET_HEAD,
    };
    if (!r->ops->message)
        return 0;
    return r->ops->message(r->opaque, &entry,
                           found.text ? text(r, found.text, found.text_size) : NULL);
}

static int take_block(struct reader *r, uint32_t type, size_t size)
{
    switch (type) {
    case PCAPNG_SECTION:
        return section_block(r, size);
    case PCAPNG_INTERFACE:
        return interface_block(r, size);
    case PCAPNG_PACKET:
        return packet_block(r, size);
    case PCAPNG_SIMPLE:
        return refuse(r, "a simple packet block, which has no direction");
    default:
        return 0;
    }
}

/* A section header says its own byte order, and must come first. */
static int byte_order(struct reader *r)
{
    r->big_endian = false;
    uint32_t magic = get_u32(r, r->block + 8);
    r->big_endian = true;
    if (magic == PCAPNG_BYTE_ORDER)
        r->big_endian = false;
    else if (get_u32(r, r->block + 8) != PCAPNG_BYTE_ORDER)
        return refuse(r, "the section header has no byte-order magic");
    return 0;
}

/* Read the rest of a block of `size` bytes, the first 12 being there. */
static int rest_of_block(struct reader *r, uint32_t type, uint32_t size)
{
    bool known = type == PCAPNG_SECTION || type == PCAPNG_INTERFACE || type == PCAPNG_SIMPLE ||
                 type == PCAPNG_PACKET;
    if (size < 12 || size % 4 != 0)
        return refuse(r, "a block of %u bytes", (unsigned)size);
    if (known && size > BLOCK_MAX)
        return refuse(r, "a block of %u bytes, more than %u", (unsigned)size, BLOCK_MAX);
    bool large = size > BLOCK_MAX;
    int result = large ? pass_over(r, (uint64_t)size - 16) : 1;
    size_t tail = large ? 12 : size - 4;
    if (result > 0 && (large || size > 12))
        result = fill(r, 12, large ? 4 : size - 12);
    if (result < 0)
        return result;
    if (get_u32(r, r->block + tail) != size)
        return refuse(r, "the two lengths of a block differ");
    return take_block(r, type, size);
}

/* One block: 1, 0 at the end of the file, else what a callback or an error said. */
static int next(struct reader *r, int *said)
{
    int result = fill(r, 0, 12);
    if (result <= 0) {
        *said = result;
        return 0;
    }
    bool little = get(&(struct reader){.big_endian = false}, r->block, 4) == PCAPNG_SECTION;
    if (little) /* the number of a section header reads the same in either byte order */
        result = byte_order(r);
    else if (!r->in_section)
        result = refuse(r, "this is no pcapng file (no section header)");
    uint32_t size = get_u32(r, r->block + 4);
    if (result >= 0)
        result = rest_of_block(r, get_u32(r, r->block), size);
    *said = result;
    r->offset += size;
    return result == 0;
}

int pl_pcapng_read_stream(FILE *in, const char *name, const struct pl_pcapng_reader_ops *ops,
                          void *opaque, char *error, size_t cap)
{
    struct reader r = {
        .in = in, .name = name, .ops = ops, .opaque = opaque, .error = error, .cap = cap};
    int result = -ENOMEM;
    r.block = malloc(BLOCK_MAX);
    r.text = malloc(UINT16_MAX + 1);
    if (r.block && r.text) {
        while (next(&r, &result))
            ;
    }
    if (result == 0 && !r.in_section)
        result = refuse(&r, "the file is empty");
    if (result == -ENOMEM)
        snprintf(error, cap, "%s: no memory to read it", name);
    free(r.list);
    free(r.block);
    free(r.text);
    return result;
}

int pl_pcapng_read(const char *path, const struct pl_pcapng_reader_ops *ops, void *opaque,
                   char *error, size_t cap)
{
    FILE *in = fopen(path, "rb");
    if (!in) {
        int code = errno;
        snprintf(error, cap, "%s: the trace file cannot be opened: %s", path, strerror(code));
        return -code;
    }
    int result = pl_pcapng_read_stream(in, path, ops, opaque, error, cap);
    fclose(in);
    return result;
}
