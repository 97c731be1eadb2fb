/* The trace of one case: a pcapng file that `plumbline replay` and Wireshark read. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "engine/suite_private.h"
#include "fuzz/campaign_private.h"

enum { COMMENT_MAX = 60000 }; /* an option of the format holds 65535 bytes */

struct pl_trace {
    struct pl_pcapng *file;
    struct pl_trace_entry entry; /* not written yet: notes that follow it are its comment */
    bool held;
    uint64_t first, began_ns; /* of the first message: an executor counts on from case to case */
    size_t length;
    char comment[COMMENT_MAX];
    uint8_t bytes[PL_MSG_MAX + 1];
};

static void flush(struct pl_trace *t)
{
    if (!t->held)
        return;
    pl_pcapng_message(t->file, &t->entry, t->length ? t->comment : NULL);
    t->held = false;
    t->length = 0;
}

struct pl_trace *pl_trace_new(const char *path, const struct pl_case *c, char *error, size_t cap)
{
    const struct pl_bus_params bus = {c->spec->revision, c->max_msg_size, c->features};
    struct pl_trace *t = calloc(1, sizeof(*t));
    char params[128], role[32] = "", text[224];
    snprintf(error, cap, "out of memory");
    if (!t)
        return NULL;
    t->file = pl_pcapng_create(path, "plumbline fuzz", error, cap);
    if (!t->file) {
        free(t);
        return NULL;
    }
    pl_bus_params_format(&bus, params, sizeof(params));
    if (c->role != PL_IUT_DEVICE)
        snprintf(role, sizeof(role), "role=%s ", pl_case_role(c->role));
    snprintf(text, sizeof(text), "spec=%s %s%s", c->spec->name, role, params);
    pl_pcapng_group(t->file, text);
    if (c->role == PL_IUT_BUS) {
        strncat(text, PL_PCAPNG_DEVICE_SIDE, sizeof(text) - strlen(text) - 1);
        pl_pcapng_group(t->file, text);
    }
    return t;
}

void pl_trace_message(void *opaque, const struct pl_trace_entry *entry)
{
    struct pl_trace *t = opaque;
    flush(t);
    memcpy(t->bytes, entry->bytes, entry->size);
    t->entry = *entry;
    t->entry.bytes = t->bytes;
    if (!t->first) {
        t->first = entry->number;
        t->began_ns = entry->time_ns;
    }
    t->entry.number -= t->first - 1;
    t->entry.time_ns -= t->began_ns;
    t->held = true;
}

void pl_trace_note(void *opaque, const char *line)
{
    struct pl_trace *t = opaque;
    size_t need = strlen(line) + strlen(PL_NOTE_MARK) + 2;
    if (need > COMMENT_MAX - t->length)
        return;
    char *at = t->comment + t->length;
    int n = snprintf(at, need, "%s%s%s", t->length ? "\n" : "", PL_NOTE_MARK, line);
    for (char *p = at + 1; p < at + n; p++)
        if (*p == '\n')
            *p = ' '; /* a note is one line, whatever an IUT wrote */
    t->length += (size_t)n;
}

int pl_trace_end(struct pl_trace *t)
{
    flush(t);
    int err = pl_pcapng_finish(t->file);
    free(t);
    return err;
}
