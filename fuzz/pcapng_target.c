/* Fuzz target: bytes are read as a pcapng trace, and what was read is written and read again. */
#include "input.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "report/pcapng.h"
#include "report/report.h"

enum { ERROR = 512, PATH = 64, STOP = 77 };

/* What a reading found, and where it is written once more. */
struct seen {
    uint32_t groups;
    uint64_t messages, bytes;
    uint64_t stop_at; /* message at which reading is stopped; 0: none */
    struct pl_pcapng *copy;
};

static int take_group(void *opaque, uint32_t group, const char *bus)
{
    struct seen *seen = opaque;

    fuzz_hold(group == seen->groups, "groups counted from 0");
    seen->groups++;
    fuzz_hold(strlen(bus) <= PL_MSG_MAX, "a group's text");
    return seen->copy && pl_pcapng_group(seen->copy, bus) < 0 ? -EIO : 0;
}

/* Writers count the device side to its driver side's group, readers give each side's own. */
static int copy_message(struct pl_pcapng *file, const struct pl_trace_entry *entry,
                        const char *comment)
{
    struct pl_trace_entry copy = *entry;

    if (copy.group == 0)
        copy.device_side = false;
    copy.group -= copy.device_side;
    return pl_pcapng_message(file, &copy, comment) < 0 ? -EIO : 0;
}

static int take_message(void *opaque, const struct pl_trace_entry *entry, const char *comment)
{
    struct seen *seen = opaque;
    volatile uint8_t sink = 0;

    seen->messages++;
    seen->bytes += entry->size;
    fuzz_hold(entry->group < seen->groups, "a message's group is known");
    fuzz_hold(entry->size <= PL_MSG_MAX + 1, "a message's size");
    for (size_t i = 0; i < entry->size; i++)
        sink = (uint8_t)(sink ^ entry->bytes[i]);
    if (comment)
        fuzz_hold(strlen(comment) <= 1u << 20, "a comment's length");
    if (seen->messages == seen->stop_at)
        return STOP;
    return seen->copy ? copy_message(seen->copy, entry, comment) : 0;
}

static const struct pl_pcapng_reader_ops ops = {take_group, take_message};

static int read_bytes(const uint8_t *data, size_t size, struct seen *seen)
{
    char error[ERROR] = "";
    FILE *in = size ? fmemopen((void *)(uintptr_t)data, size, "rb") : fopen("/dev/null", "rb");

    if (!in)
        abort();
    int code = pl_pcapng_read_stream(in, "input", &ops, seen, error, sizeof(error));
    fclose(in);
    if (code < 0)
        fuzz_hold(error[0] && strlen(error) < sizeof(error), "a sentence where it fails");
    return code;
}

/* A trace that could be read is written, and reads as the same groups and messages. */
static void check_copy(const uint8_t *data, size_t size, const struct seen *first)
{
    char path[PATH], error[ERROR] = "";
    int fd = memfd_create("copy", MFD_CLOEXEC);
    struct seen seen = {0}, again = {0};

    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    seen.copy = fd < 0 ? NULL : pl_pcapng_create(path, "copy", error, sizeof(error));
    if (!seen.copy)
        abort();
    fuzz_hold(read_bytes(data, size, &seen) == 0, "reading twice");
    fuzz_hold(pl_pcapng_finish(seen.copy) == 0, "writing a copy");
    fuzz_hold(pl_pcapng_read(path, &ops, &again, error, sizeof(error)) == 0, "reading the copy");
    fuzz_hold(again.groups == first->groups, "groups of the copy");
    fuzz_hold(again.messages == first->messages && again.bytes == first->bytes,
              "messages of the copy");
    close(fd);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct seen seen = {0}, part = {.stop_at = 2};
    int code = read_bytes(data, size, &seen);

    fuzz_hold(code == 0 || code == -EINVAL, "a trace is read or refused");
    if (code == 0)
        check_copy(data, size, &seen);
    if (code == 0 && seen.messages > 1)
        fuzz_hold(read_bytes(data, size, &part) == STOP, "a reader that stops");
    return 0;
}
