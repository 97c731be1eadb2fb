/* Reading the values of a YAML document, with errors that name file, line, key and reason. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/yaml_doc.h"
#include "port/utf8.h"

bool pl_yaml_error(const struct pl_yaml *node, char *error, size_t cap, const char *format, ...)
{
    char key[80], reason[400], why[400]; /* values are the user's, with whatever is in them */
    va_list args;
    va_start(args, format);
    vsnprintf(reason, sizeof reason, format, args);
    va_end(args);
    pl_utf8_line(reason, strlen(reason), why, sizeof why);
    if (node->key)
        pl_utf8_line(node->key, strlen(node->key), key, sizeof key);
    if (node->key)
        snprintf(error, cap, "%s:%u: key '%s': %s", node->file, node->line, key, why);
    else
        snprintf(error, cap, "%s:%u: %s", node->file, node->line, why);
    return false;
}

const struct pl_yaml *pl_yaml_get(const struct pl_yaml *map, const char *key)
{
    if (map->kind != PL_YAML_MAPPING)
        return NULL;
    for (size_t i = 0; i < map->n; i++)
        if (strcmp(map->item[i]->key, key) == 0)
            return map->item[i];
    return NULL;
}

bool pl_yaml_is_null(const struct pl_yaml *node)
{
    return node->kind == PL_YAML_SCALAR && node->plain &&
           (node->text[0] == '\0' || strcmp(node->text, "~") == 0 ||
            strcmp(node->text, "null") == 0);
}

bool pl_yaml_expect(const struct pl_yaml *node, enum pl_yaml_kind kind, char *error, size_t cap)
{
    static const char *const names[] = {"a single value", "a list", "a mapping"};
    if (node->kind == kind)
        return true;
    return pl_yaml_error(node, error, cap, "it has to be %s, not %s", names[kind],
                         pl_yaml_is_null(node) ? "nothing" : names[node->kind]);
}

/* "a, b, c" of a NULL-ended list; what does not fit is left off. */
static const char *join(const char *const *words, char *out, size_t cap)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; words[i] && used + strlen(words[i]) + 3 < cap; i++)
        used += (size_t)snprintf(out + used, cap - used, "%s%s", i ? ", " : "", words[i]);
    return out;
}

bool pl_yaml_known_keys(const struct pl_yaml *map, const char *const *known, char *error,
                        size_t cap)
{
    char list[256];
    bool ok = pl_yaml_expect(map, PL_YAML_MAPPING, error, cap);
    for (size_t i = 0; ok && i < map->n; i++) {
        size_t k = 0;
        while (known[k] && strcmp(known[k], map->item[i]->key) != 0)
            k++;
        if (!known[k])
            ok = pl_yaml_error(map->item[i], error, cap, "this key is unknown here; known are %s",
                               join(known, list, sizeof list));
    }
    return ok;
}

/* --- text --- */

/* A scalar's text as errors show it. */
static const char *shown(const struct pl_yaml *node, char *out, size_t cap)
{
    pl_utf8_line(node->text, strlen(node->text), out, cap);
    return out;
}

bool pl_yaml_string(const struct pl_yaml *node, const char **out, char *error, size_t cap)
{
    if (!pl_yaml_expect(node, PL_YAML_SCALAR, error, cap))
        return false;
    if (pl_yaml_is_null(node) || node->text[0] == '\0')
        return pl_yaml_error(node, error, cap, "it has no value");
    *out = node->text;
    return true;
}

bool pl_yaml_bool(const struct pl_yaml *node, bool *out, char *error, size_t cap)
{
    char text[48];
    if (!pl_yaml_expect(node, PL_YAML_SCALAR, error, cap))
        return false;
    bool yes = strcmp(node->text, "true") == 0;
    if (!node->plain || (!yes && strcmp(node->text, "false") != 0))
        return pl_yaml_error(node, error, cap, "it has to be true or false, not '%s'",
                             shown(node, text, sizeof text));
    *out = yes;
    return true;
}

bool pl_yaml_word(const struct pl_yaml *node, const char *const *words, size_t *out, char *error,
                  size_t cap)
{
    char list[256], text[48];
    const char *value;
    if (!pl_yaml_string(node, &value, error, cap))
        return false;
    for (size_t i = 0; words[i]; i++) {
        if (strcmp(words[i], value) != 0)
            continue;
        *out = i;
        return true;
    }
    return pl_yaml_error(node, error, cap, "'%s' is none of %s", shown(node, text, sizeof text),
                         join(words, list, sizeof list));
}

/* --- numbers --- */

/* Digits up to the first other character: false where there are none or they are more than 64 bits.
 */
static bool read_digits(const char **text, uint64_t *out)
{
    const char *at = *text;
    unsigned base = 10;
    if (at[0] == '0' && (at[1] == 'x' || at[1] == 'X')) {
        base = 16;
        at += 2;
    } else if (at[0] == '0' && at[1] >= '0' && at[1] <= '9') {
        return false; /* octal to some, decimal to others */
    }
    const char *first = at;
    *out = 0;
    for (;; at++) {
        static const char digits[] = "0123456789abcdef";
        char c = *at >= 'A' && *at <= 'F' ? (char)(*at - 'A' + 'a') : *at;
        const char *digit = c ? memchr(digits, c, base) : NULL;
        if (!digit)
            break;
        uint64_t d = (uint64_t)(digit - digits);
        if (*out > (UINT64_MAX - d) / base)
            return false;
        *out = *out * base + d;
    }
    *text = at;
    return at != first;
}

/* A number with a unit out of a table whose last entry has a NULL name. */
struct unit {
    const char *name;
    uint64_t factor;
};

static bool check_range(const struct pl_yaml *node, uint64_t value, uint64_t min, uint64_t max,
                        const char *unit, char *error, size_t cap)
{
    char text[48];
    if (value >= min && value <= max)
        return true;
    return pl_yaml_error(node, error, cap, "'%s' is not between %" PRIu64 " and %" PRIu64 "%s",
                         shown(node, text, sizeof text), min, max, unit);
}

static bool read_with_unit(const char *text, const struct unit *units, uint64_t *out)
{
    uint64_t value;
    if (!read_digits(&text, &value))
        return false;
    text += strspn(text, " ");
    for (const struct unit *u = units; u->name; u++) {
        if (strcmp(u->name, text) != 0)
            continue;
        *out = value > UINT64_MAX / u->factor ? UINT64_MAX : value * u->factor;
        return true;
    }
    return false;
}

bool pl_yaml_uint(const struct pl_yaml *node, uint64_t min, uint64_t max, uint64_t *out,
                  char *error, size_t cap)
{
    char text[48];
    uint64_t value;
    if (!pl_yaml_expect(node, PL_YAML_SCALAR, error, cap))
        return false;
    const char *at = node->text;
    if (!node->plain || !read_digits(&at, &value) || *at != '\0')
        return pl_yaml_error(node, error, cap,
                             "it has to be a whole number, decimal or 0x, not '%s'",
                             shown(node, text, sizeof text));
    if (!check_range(node, value, min, max, "", error, cap))
        return false;
    *out = value;
    return true;
}

bool pl_yaml_int(const struct pl_yaml *node, int64_t min, int64_t max, int64_t *out, char *error,
                 size_t cap)
{
    char text[48];
    uint64_t size;
    if (!pl_yaml_expect(node, PL_YAML_SCALAR, error, cap))
        return false;
    bool negative = node->text[0] == '-';
    const char *at = node->text + negative;
    if (!node->plain || !read_digits(&at, &size) || *at != '\0')
        return pl_yaml_error(node, error, cap,
                             "it has to be a whole number, decimal or 0x, not '%s'",
                             shown(node, text, sizeof text));
    uint64_t most = (uint64_t)INT64_MAX + negative;
    /* Negated without a step outside of the type's range. */
    int64_t value = size > most ? 0
                    : !negative ? (int64_t)size
                    : size      ? -(int64_t)(size - 1) - 1
                                : 0;
    if (size > most || value < min || value > max)
        return pl_yaml_error(node, error, cap, "'%s' is not between %" PRId64 " and %" PRId64,
                             shown(node, text, sizeof text), min, max);
    *out = value;
    return true;
}

bool pl_yaml_size(const struct pl_yaml *node, uint64_t min, uint64_t max, uint64_t *out,
                  char *error, size_t cap)
{
    static const struct unit units[] = {
        {"", 1}, {"KiB", 1024}, {"MiB", 1u << 20}, {"GiB", 1u << 30}, {NULL, 0}};
    char text[48];
    uint64_t value;
    if (!pl_yaml_expect(node, PL_YAML_SCALAR, error, cap))
        return false;
    if (!read_with_unit(node->text, units, &value))
        return pl_yaml_error(node, error, cap,
                             "it has to be a size such as 4096, 64KiB or 16MiB, not '%s'",
                             shown(node, text, sizeof text));
    if (!check_range(node, value, min, max, " bytes", error, cap))
        return false;
    *out = value;
    return true;
}

bool pl_yaml_duration(const struct pl_yaml *node, uint64_t min, uint64_t max, uint64_t *out,
                      char *error, size_t cap)
{
    static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {NULL, 0}};
    char text[48];
    uint64_t value;
    if (!pl_yaml_expect(node, PL_YAML_SCALAR, error, cap))
        return false;
    if (!read_with_unit(node->text, units, &value))
        return pl_yaml_error(node, error, cap, "it has to be a time such as 200ms or 5s, not '%s'",
                             shown(node, text, sizeof text));
    if (!check_range(node, value, min, max, " ms", error, cap))
        return false;
    *out = value;
    return true;
}

/* --- by key --- */

bool pl_yaml_get_string(const struct pl_yaml *map, const char *key, const char **out, char *error,
                        size_t cap)
{
    const struct pl_yaml *node = pl_yaml_get(map, key);
    return !node || pl_yaml_string(node, out, error, cap);
}

bool pl_yaml_get_bool(const struct pl_yaml *map, const char *key, bool *out, char *error,
                      size_t cap)
{
    const struct pl_yaml *node = pl_yaml_get(map, key);
    return !node || pl_yaml_bool(node, out, error, cap);
}

bool pl_yaml_get_uint(const struct pl_yaml *map, const char *key, uint64_t min, uint64_t max,
                      uint64_t *out, char *error, size_t cap)
{
    const struct pl_yaml *node = pl_yaml_get(map, key);
    return !node || pl_yaml_uint(node, min, max, out, error, cap);
}

bool pl_yaml_get_int(const struct pl_yaml *map, const char *key, int64_t min, int64_t max,
                     int64_t *out, char *error, size_t cap)
{
    const struct pl_yaml *node = pl_yaml_get(map, key);
    return !node || pl_yaml_int(node, min, max, out, error, cap);
}

bool pl_yaml_get_size(const struct pl_yaml *map, const char *key, uint64_t min, uint64_t max,
                      uint64_t *out, char *error, size_t cap)
{
    const struct pl_yaml *node = pl_yaml_get(map, key);
    return !node || pl_yaml_size(node, min, max, out, error, cap);
}

bool pl_yaml_get_duration(const struct pl_yaml *map, const char *key, uint64_t min, uint64_t max,
                          uint64_t *out, char *error, size_t cap)
{
    const struct pl_yaml *node = pl_yaml_get(map, key);
    return !node || pl_yaml_duration(node, min, max, out, error, cap);
}

bool pl_yaml_get_word(const struct pl_yaml *map, const char *key, const char *const *words,
                      size_t *out, char *error, size_t cap)
{
    const struct pl_yaml *node = pl_yaml_get(map, key);
    return !node || pl_yaml_word(node, words, out, error, cap);
}
