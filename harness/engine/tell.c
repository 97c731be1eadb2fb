/* What the oracle hears besides messages, as lines: said live, recorded, and said again offline. */
#include <inttypes.h>
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

/* ring D Q WORD ...: what was seen in a virtqueue's memory. */
static void tell_ring(struct pl_oracle *oracle, const char *line)
{
    static const struct {
        const char *word;
        enum pl_ring_news_kind kind;
    } words[] = {{"begin", PL_RING_BEGIN},   {"add", PL_RING_ADD},   {"used", PL_RING_USE},
                 {"looked", PL_RING_LOOKED}, {"idle", PL_RING_IDLE}, {"missing", PL_RING_MISSING},
                 {"sealed", PL_RING_SEALED}, {"end", PL_RING_END}};
    unsigned dev, index;
    char word[16], predicate[64], due[8] = "";
    int at = 0;
    struct pl_ring_news news = {0};
    if (sscanf(line, "%u %u %15s %n", &dev, &index, word, &at) < 3)
        return;
    const char *rest = at ? line + at : "";
    if (strcmp(word, "held") == 0 || strcmp(word, "broken") == 0) {
        int n = 0;
        if (sscanf(rest, "%63s %n", predicate, &n) == 1)
            pl_oracle_ring_memory(oracle, (uint16_t)dev, predicate, word[0] == 'h',
                                  n ? rest + n : "");
        return;
    }
    sscanf(rest, "%" SCNu32 " %*u %7s", &news.id, due);
    news.due = strcmp(due, "due") == 0;
    news.may = strcmp(due, "may") == 0;
    if (strcmp(word, "suppressed") == 0) {
        news.kind = news.id ? PL_RING_SUPPRESSED : PL_RING_WANTED;
        pl_oracle_ring(oracle, (uint16_t)dev, index, &news);
    }
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (strcmp(word, words[i].word) != 0)
            continue;
        news.kind = words[i].kind;
        pl_oracle_ring(oracle, (uint16_t)dev, index, &news);
    }
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
    else if (strcmp(word, "ring") == 0)
        tell_ring(oracle, rest);
    else if (strcmp(word, "racing") == 0 && sscanf(rest, "%u", &dev) == 1)
        pl_oracle_racing(oracle, (uint16_t)dev);
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
