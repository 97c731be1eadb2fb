/* What the oracle hears besides messages, as lines: said live, recorded, and said again offline. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/session.h"

enum { NUMBERS_MAX = 256 };

/* The next word of a line, which goes on behind it; false where there is none that fits. */
static bool take_word(const char **line, char *word, size_t cap)
{
    *line += strspn(*line, " ");
    size_t n = strcspn(*line, " ");
    if (!n || n >= cap)
        return false;
    memcpy(word, *line, n);
    word[n] = '\0';
    *line += n;
    return true;
}

/* The same for a number. */
static bool take_number(const char **line, uint32_t *value)
{
    *line += strspn(*line, " ");
    if (**line < '0' || **line > '9')
        return false;
    for (*value = 0; **line >= '0' && **line <= '9'; (*line)++)
        *value = *value * 10 + (uint32_t)(**line - '0');
    return true;
}

/* What stands behind the blanks. */
static const char *rest_of(const char *line)
{
    return line + strspn(line, " ");
}

static unsigned hex_digit(char c)
{
    return c <= '9' ? (unsigned)(c - '0') : (unsigned)(c - 'a' + 10);
}

/* Digits into bytes, at most so many; how many. */
static size_t take_hex(const char *hex, uint8_t *bytes, size_t cap)
{
    size_t n = 0;
    for (; n < cap && hex[2 * n] && hex[2 * n + 1]; n++)
        bytes[n] = (uint8_t)(hex_digit(hex[2 * n]) << 4 | hex_digit(hex[2 * n + 1]));
    return n;
}

/* unframed HEX: a header whose msg_size does not end its message. */
static void tell_unframed(struct pl_oracle *oracle, const char *line)
{
    char hex[65];
    uint8_t bytes[sizeof(hex) / 2];
    if (sscanf(line, "%64[0-9a-f]", hex) == 1)
        pl_oracle_unframed(oracle, bytes, take_hex(hex, bytes, sizeof(bytes)));
}

/* What a control line provokes. Lines that provoke nothing that the oracle must know do nothing. */
static void tell_control(struct pl_oracle *oracle, const char *line)
{
    unsigned dev, offset;
    char hex[2100];
    uint8_t bytes[sizeof(hex) / 2];
    if (sscanf(line, "config-change %u %u %2099[0-9a-f]", &dev, &offset, hex) == 3) {
        size_t n = take_hex(hex, bytes, sizeof(bytes));
        pl_oracle_config_changed(oracle, (uint16_t)dev, offset, bytes, n);
    } else if (sscanf(line, "needs-reset %u", &dev) == 1) {
        pl_oracle_needs_reset(oracle, (uint16_t)dev);
    }
}

/* driver D WORDS: what shows of a driver under test besides its messages. */
static void tell_driver(struct pl_oracle *oracle, const char *line)
{
    unsigned dev;
    int at = 0;
    if (sscanf(line, "%u %n", &dev, &at) == 1 && at)
        pl_oracle_driver(oracle, (uint16_t)dev, line + at);
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
    uint32_t held;
    if (!take_word(&line, id, sizeof(id)) || !take_number(&line, &held))
        return;
    int clause = pl_clauses_index(clauses, id);
    if (clause >= 0)
        pl_oracle_expected(oracle, (size_t)clause, held != 0, rest_of(line));
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
    uint32_t dev, index, unused;
    char word[16], predicate[64], due[8] = "";
    struct pl_ring_news news = {0};
    if (!take_number(&line, &dev) || !take_number(&line, &index))
        return;
    const char *told = rest_of(line);
    if (!take_word(&line, word, sizeof(word)))
        return;
    if (pl_oracle_driver_ring(oracle, (uint16_t)dev, index, told))
        return;
    if (strcmp(word, "held") == 0 || strcmp(word, "broken") == 0) {
        if (take_word(&line, predicate, sizeof(predicate)))
            pl_oracle_ring_memory(oracle, (uint16_t)dev, predicate, word[0] == 'h', rest_of(line));
        return;
    }
    if (take_number(&line, &news.id) && take_number(&line, &unused))
        take_word(&line, due, sizeof(due));
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
    unsigned dev;
    if (!take_word(&line, word, sizeof(word)))
        return;
    const char *rest = line + (*line == ' ');
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
    else if (strcmp(word, "bus") == 0)
        pl_oracle_bus_told(oracle, rest);
    else if (strcmp(word, "driver") == 0)
        tell_driver(oracle, rest);
    else if (strcmp(word, "unframed") == 0)
        tell_unframed(oracle, rest);
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
    s->telling = true;
    pl_tell(s->oracle, pl_clauses_find(s->spec), line);
    s->telling = false;
}
