/* Writes traces as pcapng: one section, an interface for each group, a packet for each message. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/internal.h"
#include "report/pcapng.h"

/* A block being put together; `bytes` grows, `failed` says that memory ran out. */
struct block {
    uint8_t *bytes;
    size_t size, cap;
    bool failed;
};

struct pl_pcapng {
    FILE *out;
    uint32_t groups;
    int error;          /* the first one, negative errno */
    struct block block; /* the one at hand; its memory serves the next one too */
};

static void add(struct block *block, const void *bytes, size_t size)
{
    size_t whole = (size + 3) & ~(size_t)3;
    if (block->failed)
        return;
    if (block->cap - block->size < whole) {
        size_t cap = (block->size + whole) * 2;
        uint8_t *grown = realloc(block->bytes, cap);
        if (!grown) {
            block->failed = true;
            return;
        }
        block->bytes = grown;
        block->cap = cap;
    }
    memset(block->bytes + block->size, 0, whole);
    if (size > 0)
        memcpy(block->bytes + block->size, bytes, size);
    block->size += whole;
}

/* Little-endian on every machine, so that equal runs give equal files. */
static void add_u32(struct block *block, uint32_t value)
{
    const uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                              (uint8_t)(value >> 24)};
    add(block, bytes, sizeof bytes);
}

static void add_option(struct block *block, uint32_t code, const void *bytes, size_t size)
{
    add_u32(block, code | (uint32_t)size << 16);
    add(block, bytes, size);
}

/* A text option, cut at 65535 bytes where it must be, never within a character; absent if empty. */
static void add_text(struct block *block, uint32_t code, const char *text)
{
    char *clean = pl_text_clean(text);
    size_t size = clean ? strlen(clean) : 0;
    block->failed |= clean == NULL;
    if (size > UINT16_MAX) {
        size = UINT16_MAX;
        while (size > 0 && ((unsigned char)clean[size] & 0xc0) == 0x80)
            size--;
    }
    if (size > 0)
        add_option(block, code, clean, size);
    free(clean);
}

/* Begin a block: its type, and room for its length. */
static struct block *begin(struct pl_pcapng *file, uint32_t type)
{
    struct block *block = &file->block;
    block->size = 0;
    block->failed = false;
    add_u32(block, type);
    add_u32(block, 0);
    return block;
}

/* End the block's options, fill in its length and write it. The file's first error stays. */
static int finish(struct pl_pcapng *file)
{
    struct block *block = &file->block;
    add_option(block, PCAPNG_OPT_END, NULL, 0);
    uint32_t total = (uint32_t)(block->size + 4);
    add_u32(block, total);
    if (block->failed) {
        file->error = file->error ? file->error : -ENOMEM;
    } else {
        for (unsigned i = 0; i < 4; i++)
            block->bytes[4 + i] = (uint8_t)(total >> (8 * i));
        errno = 0;
        if (fwrite(block->bytes, 1, block->size, file->out) != block->size && !file->error)
            file->error = errno ? -errno : -EIO;
    }
    return file->error;
}

static int section(struct pl_pcapng *file, const char *comment)
{
    struct block *block = begin(file, PCAPNG_SECTION);
    add_u32(block, PCAPNG_BYTE_ORDER);
    add_u32(block, 1);          /* version 1.0 */
    add_u32(block, UINT32_MAX); /* the section's length: not stated */
    add_u32(block, UINT32_MAX);
    add_text(block, PCAPNG_OPT_COMMENT, comment);
    add_text(block, PCAPNG_SHB_USERAPPL, "plumbline");
    return finish(file);
}

struct pl_pcapng *pl_pcapng_create(const char *path, const char *comment, char *error, size_t cap)
{
    struct pl_pcapng *file = calloc(1, sizeof *file);
    if (!file) {
        snprintf(error, cap, "%s: no memory for a trace file", path);
        return NULL;
    }
    file->out = fopen(path, "wb");
    if (!file->out) {
        snprintf(error, cap, "%s: the trace file cannot be created: %s", path, strerror(errno));
        free(file);
        return NULL;
    }
    int result = section(file, comment);
    if (result < 0) {
        snprintf(error, cap, "%s: the trace file cannot be written: %s", path, strerror(-result));
        pl_pcapng_finish(file);
        return NULL;
    }
    return file;
}

int pl_pcapng_group(struct pl_pcapng *file, const char *bus)
{
    static const uint8_t nanoseconds = 9;
    struct block *block = begin(file, PCAPNG_INTERFACE);
    char name[32];
    snprintf(name, sizeof name, "group-%lu", (unsigned long)file->groups);
    add_u32(block, PCAPNG_LINK_USER0); /* and a reserved half-word */
    add_u32(block, 0);                 /* no limit to a packet's size */
    add_text(block, PCAPNG_IF_NAME, name);
    add_text(block, PCAPNG_IF_DESC, bus);
    add_option(block, PCAPNG_IF_TSRESOL, &nanoseconds, sizeof nanoseconds);
    file->groups++;
    return finish(file);
}

int pl_pcapng_message(struct pl_pcapng *file, const struct pl_trace_entry *entry,
                      const char *comment)
{
    uint8_t flags[4] = {entry->to_iut ? PCAPNG_OUTBOUND : PCAPNG_INBOUND};
    uint8_t number[8];
    uint32_t interface = entry->group + entry->device_side;
    if (interface >= file->groups || entry->size > UINT32_MAX / 4)
        return -EINVAL;
    for (unsigned i = 0; i < sizeof number; i++)
        number[i] = (uint8_t)(entry->number >> (8 * i));
    struct block *block = begin(file, PCAPNG_PACKET);
    add_u32(block, interface);
    add_u32(block, (uint32_t)(entry->time_ns >> 32));
    add_u32(block, (uint32_t)entry->time_ns);
    add_u32(block, (uint32_t)entry->size);
    add_u32(block, (uint32_t)entry->size);
    add(block, entry->bytes, entry->size);
    add_text(block, PCAPNG_OPT_COMMENT, comment);
    add_option(block, PCAPNG_EPB_FLAGS, flags, sizeof flags);
    add_option(block, PCAPNG_EPB_PACKETID, number, sizeof number);
    return finish(file);
}

int pl_pcapng_finish(struct pl_pcapng *file)
{
    int result = file->error;
    errno = 0;
    if (fclose(file->out) != 0 && result == 0)
        result = errno ? -errno : -EIO;
    free(file->block.bytes);
    free(file);
    return result;
}
