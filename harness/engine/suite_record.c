/* The trace file of a run: messages, and in their comments what a judge of the trace must know. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/suite_private.h"

enum { COMMENT_MAX = 60000 }; /* an option of the format holds 65535 bytes */

static void add_line(struct pl_suite_record *record, const char *mark, const char *text)
{
    if (!record->comment)
        record->comment = malloc(COMMENT_MAX);
    size_t need = strlen(mark) + strlen(text) + 2;
    if (!record->comment || need > COMMENT_MAX - record->length)
        return;
    char *at = record->comment + record->length;
    int n = snprintf(at, need, "%s%s%s", record->length ? "\n" : "", mark, text);
    for (char *p = at + 1; p < at + n; p++)
        if (*p == '\n')
            *p = ' '; /* a note is one line, whatever an IUT wrote */
    record->length += (size_t)n;
}

void pl_suite_record_flush(struct pl_suite *suite)
{
    struct pl_suite_record *record = &suite->record;
    if (!record->held)
        return;
    pl_pcapng_message(suite->options->pcapng, &record->entry,
                      record->length ? record->comment : NULL);
    record->held = false;
    record->length = 0;
}

static void note_observable(struct pl_suite *suite)
{
    char line[PL_NOTE_MAX] = "observable";
    const char *const *id = suite->options->port->observable;
    for (; id && *id; id++) {
        strncat(line, " ", sizeof(line) - strlen(line) - 1);
        strncat(line, *id, sizeof(line) - strlen(line) - 1);
    }
    if (suite->options->port->observable)
        pl_suite_record_note(suite, line);
}

void pl_suite_record_group(struct pl_suite *suite)
{
    char bus[128], role[32] = "", text[192];
    if (!suite->options->pcapng || suite->hunt)
        return;
    pl_suite_record_flush(suite);
    pl_bus_params_format(&suite->session.bus, bus, sizeof(bus));
    if (suite->iut != PL_IUT_DEVICE)
        snprintf(role, sizeof(role), "role=%s ", suite->options->role);
    snprintf(text, sizeof(text), "spec=%s %s%s", suite->spec->name, role, bus);
    if (pl_pcapng_group(suite->options->pcapng, text) >= 0)
        suite->session.group = suite->n_groups++;
    if (suite->session.bus_run) {
        strncat(text, PL_PCAPNG_DEVICE_SIDE, sizeof(text) - strlen(text) - 1);
        if (pl_pcapng_group(suite->options->pcapng, text) >= 0)
            suite->n_groups++;
    }
    suite->noted = false; /* a scenario that goes on after a restart is named again */
    note_observable(suite);
}

/* A scenario's first message names it and what it runs under. */
static void note_scenario(struct pl_suite *suite)
{
    char line[sizeof(suite->where) + 8];
    if (suite->current && !suite->noted) {
        add_line(&suite->record, "", suite->current->name);
        snprintf(line, sizeof(line), "where %s", suite->where);
        pl_suite_record_note(suite, line);
    }
    suite->noted = suite->current != NULL;
}

void pl_suite_record_message(void *opaque, const struct pl_trace_entry *entry)
{
    struct pl_suite *suite = opaque;
    struct pl_suite_record *record = &suite->record;
    if (!record->bytes)
        record->bytes = malloc(PL_MSG_MAX + 1);
    pl_suite_record_flush(suite);
    if (!record->bytes)
        return;
    memcpy(record->bytes, entry->bytes, entry->size);
    record->entry = *entry;
    record->entry.bytes = record->bytes;
    record->held = true;
    note_scenario(suite);
}

void pl_suite_record_note(void *opaque, const char *line)
{
    struct pl_suite *suite = opaque;
    if (suite->options->pcapng)
        add_line(&suite->record, PL_NOTE_MARK, line);
}
