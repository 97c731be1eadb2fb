/* What the oracle hears besides messages, as lines: said live, recorded, and said again offline. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/session.h"

enum { NUMBERS_MAX = 256 };

static unsigned hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

/* What a control line provokes. Lines that provoke nothing that the oracle must know do nothing. */
static void tell_control(struct pl_oracle *oracle, const char *line)
{
    unsigned dev, offset;
    char hex[2100];
    uint8_t bytes[sizeof(hex) / 2];
    size_t n = 0;
    if (sscanf(line, "config-change %u %u %2099[0-9a-f]", &dev, &offset, hex) == 3) {
        for (; hex[2 * n] && hex[2 * n + 1]; n++)
            bytes[n] = (uint8_t)(hex_digit(hex[2 * n]) << 4 | hex_digit(hex[2 * n + 1]));
        pl_oracle_config_changed(oracle, (uint16_t)dev, offset, bytes, n);
    } else if (sscanf(line, "needs-reset %u", &dev) == 1) {
        pl_oracle_needs_reset(oracle, (uint16_t)dev);
    }
}

static void tell_devices(struct pl_oracle *oracle, const char *line)
{
    uint16_t numbers[NUMBERS_MAX];
    size_t n = 0;
    char *end;
    for (; n < NUMBERS_MAX; n++, line = end) {
        unsigned long number = strtoul(line, &end, 10);
        if (end == line)
            break;
        numbers[n] = (uint16_t)number;
    }
    pl_oracle_devices(oracle, numbers, n);
}

static void tell_expected(struct pl_oracle *oracle, const struct pl_clauses *clauses,
                          const char *line)
{
    char id[64];
    int held, at = 0;
    if (sscanf(line, "%63s %d %n", id, &held, &at) != 2 || !at)
        return;
    int clause = pl_clauses_index(clauses, id);
    if (clause >= 0)
        pl_oracle_expected(oracle, (size_t)clause, held != 0, line + at);
}

void pl_tell(struct pl_oracle *oracle, const struct pl_clauses *clauses, const char *line)
{
    char word[32];
    int n = 0;
    unsigned dev;
    if (sscanf(line, "%31s%n", word, &n) != 1)
        return;
    const char *rest = line + n + (line[n] == ' ');
    if (strcmp(word, "settle") == 0)
        pl_oracle_settle(oracle);
    else if (strcmp(word, "control") == 0)
        tell_control(oracle, rest);
    else if (strcmp(word, "devices") == 0)
        tell_devices(oracle, rest);
    else if (strcmp(word, "expected") == 0)
        tell_expected(oracle, clauses, rest);
    else if (strcmp(word, "retract") == 0 && sscanf(rest, "%u", &dev) == 1)
        pl_oracle_retract(oracle, (uint16_t)dev);
    else if (strcmp(word, "reset-stuck") == 0 && sscanf(rest, "%u", &dev) == 1)
        pl_oracle_reset_stuck(oracle, (uint16_t)dev);
}

void pl_session_tell(struct pl_session *s, const char *format, ...)
{
    char line[PL_NOTE_MAX];
    va_list args;
    va_start(args, format);
    vsnprintf(line, sizeof(line), format, args);
    va_end(args);
    /* In the record first: what the oracle finds at once is said after it. */
    if (s->events.note)
        s->events.note(s->events.opaque, line);
    pl_tell(s->oracle, pl_clauses_find(s->spec), line);
}
