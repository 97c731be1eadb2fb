/* Cases read from text, with errors that name file, line and what. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/case.h"
#include "fuzz/lines.h"

enum { WORDS_MAX = 32 };

struct parser {
    struct pl_lines at;
    struct pl_case *c;
    unsigned given; /* a bit for each line of the head that came */
};

/* --- values --- */

/* A number, or the name of a constant of the spec; false: neither. */
static bool one_number(const struct pl_spec *spec, const char *text, uint64_t *v)
{
    char *end;
    if (text[0] < '0' || text[0] > '9')
        return pl_spec_constant(spec, text, v);
    errno = 0;
    bool hex = text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
    *v = strtoull(text, &end, hex ? 16 : 10);
    return !errno && !*end && (!hex || end > text + 2);
}

/* Such numbers, or'ed with |. */
static bool number(struct parser *p, const char *text, uint64_t *v)
{
    char copy[256];
    char *rest = copy, *part;
    *v = 0;
    if (!*text || strlen(text) >= sizeof(copy))
        return pl_lines_wrong(&p->at, "'%.60s' is no number", text);
    strcpy(copy, text);
    while ((part = strsep(&rest, "|"))) {
        uint64_t one;
        if (!one_number(p->c->spec, part, &one))
            return pl_lines_wrong(&p->at,
                                  "'%.60s' is neither a number of 64 bits nor a constant of %s",
                                  part, p->c->spec->name);
        *v |= one;
    }
    return true;
}

static bool word_of(struct parser *p, unsigned name, const char *text, uint64_t *v)
{
    const char *const *words = pl_setting_words(name);
    for (*v = 0; words[*v]; ++*v)
        if (strcmp(words[*v], text) == 0)
            return true;
    return pl_lines_wrong(&p->at, "'%.60s' is no value of %s", text, pl_setting_text(name));
}

/* legal, legal+N, legal-N, legal^N, or a number. */
static bool value(struct parser *p, const char *text, enum pl_setting_how *how, uint64_t *v)
{
    const char *rest = text + 5;
    *how = PL_VALUE_NUMBER;
    if (strncmp(text, "legal", 5) != 0)
        return number(p, text, v);
    *how = *rest == '^' ? PL_VALUE_XOR : PL_VALUE_PLUS;
    *v = 0;
    if (!*rest)
        return true;
    if (!strchr("+-^", *rest))
        return pl_lines_wrong(&p->at, "'%.60s' is no value: legal, legal+N, legal-N or legal^N",
                              text);
    if (!number(p, rest + 1, v))
        return false;
    *v = *rest == '-' ? 0 - *v : *v;
    return true;
}

static int digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static bool data(struct parser *p, struct pl_action *a, const char *hex)
{
    size_t n = strlen(hex);
    if (!pl_ops[a->op].data || a->has_data)
        return pl_lines_wrong(&p->at, a->has_data ? "data is given twice" : "%s has no data",
                              pl_ops[a->op].name);
    if (n % 2 || n / 2 > PL_CASE_DATA)
        return pl_lines_wrong(&p->at,
                              "data has %zu hexadecimal digits, not an even number up to %d", n,
                              2 * PL_CASE_DATA);
    for (size_t i = 0; i < n; i += 2) {
        int high = digit(hex[i]), low = digit(hex[i + 1]);
        if (high < 0 || low < 0)
            return pl_lines_wrong(&p->at, "'%.2s' in data is not hexadecimal in lower case",
                                  hex + i);
        a->data[i / 2] = (uint8_t)(high << 4 | low);
    }
    a->has_data = true;
    a->data_len = (uint8_t)(n / 2);
    return true;
}

/* --- actions --- */

static bool setting(struct parser *p, struct pl_action *a, char *text)
{
    uint8_t allowed[PL_ALLOWED_MAX];
    size_t n = pl_settings_of(p->c->spec, a, allowed), i = 0;
    char *equals = strchr(text, '=');
    enum pl_setting_how how = PL_VALUE_NUMBER;
    uint64_t v = 0;
    if (!equals)
        return pl_lines_wrong(&p->at, "'%.60s' is not NAME=VALUE", text);
    *equals = '\0';
    if (strcmp(text, "data") == 0)
        return data(p, a, equals + 1);
    while (i < n && strcmp(pl_setting_text(allowed[i]), text) != 0)
        i++;
    if (i == n)
        return pl_lines_wrong(&p->at, "%s has no '%.60s' here", pl_ops[a->op].name, text);
    if (pl_action_get(a, allowed[i]))
        return pl_lines_wrong(&p->at, "%s is given twice", text);
    if (pl_setting_words(allowed[i]) ? !word_of(p, allowed[i], equals + 1, &v)
                                     : !value(p, equals + 1, &how, &v))
        return false;
    if (how != PL_VALUE_NUMBER && allowed[i] > PL_ARG_PAD_WITH)
        return pl_lines_wrong(&p->at, "%s is a number, never what is legal", text);
    return pl_action_set(a, allowed[i], how, v) ||
           pl_lines_wrong(&p->at, "an action has %d settings at most", PL_CASE_SETTINGS);
}

static bool message(struct parser *p, struct pl_action *a, const char *name)
{
    bool any = pl_ops[a->op].names == PL_OP_ANSWER;
    const struct pl_message_def *def = name ? pl_spec_message_named(p->c->spec, name) : NULL;
    if (!name)
        return pl_lines_wrong(&p->at, "%s names no message", pl_ops[a->op].name);
    if (!def && !(any && strcmp(name, "any") == 0))
        return pl_lines_wrong(&p->at, "%s has no message '%.60s'", p->c->spec->name, name);
    a->kind = (uint8_t)(def ? def->kind : PL_NONE);
    return true;
}

static bool response(struct parser *p, struct pl_action *a)
{
    const struct pl_message_def *def =
        a->kind ? pl_spec_message(p->c->spec, (enum pl_kind)a->kind) : NULL;
    if (pl_ops[a->op].names != PL_OP_MESSAGE || !def->response)
        return pl_lines_wrong(
            &p->at, def ? "%s has no response" : "'response' stands behind a message only",
            def ? def->name : "");
    a->response = true;
    return true;
}

static bool scenario(struct parser *p, struct pl_action *a, const char *name)
{
    int at = name ? pl_case_scenario_find(p->c->spec, p->c->role, name) : -1;
    if (!name)
        return pl_lines_wrong(&p->at, "%s names no scenario", pl_ops[a->op].name);
    if (at < 0)
        return pl_lines_wrong(&p->at, "there is no scenario '%.60s' for a %s", name,
                              pl_case_role(p->c->role));
    a->scenario = (uint16_t)at;
    return true;
}

static bool action(struct parser *p, char **word, size_t n)
{
    struct pl_case *c = p->c;
    unsigned op = 0;
    while (op < PL_ACTS && strcmp(pl_ops[op].name, word[0]) != 0)
        op++;
    if (op == PL_ACTS)
        return pl_lines_wrong(&p->at, "'%.60s' is no action", word[0]);
    if (!(pl_ops[op].roles >> c->role & 1))
        return pl_lines_wrong(&p->at, "%s is no action where a %s is tested", word[0],
                              pl_case_role(c->role));
    if (c->n == PL_CASE_ACTIONS)
        return pl_lines_wrong(&p->at, "a case has %d actions at most", PL_CASE_ACTIONS);
    struct pl_action *a = &c->action[c->n++];
    memset(a, 0, sizeof(*a));
    a->op = (uint8_t)op;
    size_t i = 1;
    if (pl_op_of_message(op) && !message(p, a, i < n ? word[i++] : NULL))
        return false;
    if (pl_ops[op].names == PL_OP_SCENARIO && !scenario(p, a, i < n ? word[i++] : NULL))
        return false;
    if (i < n && strcmp(word[i], "response") == 0 && (i++, !response(p, a)))
        return false;
    for (; i < n; i++)
        if (!setting(p, a, word[i]))
            return false;
    return true;
}

/* --- the head --- */

static bool head_role(struct parser *p, char **word, size_t n)
{
    for (int role = PL_IUT_DEVICE; n == 2 && role <= PL_IUT_BUS; role++)
        if (strcmp(pl_case_role((enum pl_iut)role), word[1]) == 0) {
            p->c->role = (enum pl_iut)role;
            return true;
        }
    return pl_lines_wrong(&p->at, "role is device, driver or bus");
}

static bool head_spec(struct parser *p, char **word, size_t n)
{
    const struct pl_spec *spec = n == 2 ? pl_spec_find(word[1]) : NULL;
    if (!spec || !pl_clauses_find(spec))
        return pl_lines_wrong(&p->at, "'%.60s' is no specification with clauses",
                              n > 1 ? word[1] : "");
    p->c->spec = spec;
    p->c->max_msg_size = spec->recommended_max_msg_size;
    return true;
}

static bool head_number(struct parser *p, char **word, size_t n, uint64_t least, uint64_t most,
                        uint32_t *out)
{
    uint64_t v;
    if (n != 2)
        return pl_lines_wrong(&p->at, "%s is one number", word[0]);
    if (!number(p, word[1], &v))
        return false;
    if (v < least || v > most)
        return pl_lines_wrong(&p->at, "%s %s is not within %llu and %llu", word[0], word[1],
                              (unsigned long long)least, (unsigned long long)most);
    *out = (uint32_t)v;
    return true;
}

static bool head_size(struct parser *p, char **word, size_t n)
{
    return head_number(p, word, n, p->c->spec->min_max_msg_size, p->c->spec->max_max_msg_size,
                       &p->c->max_msg_size);
}

static bool head_seed(struct parser *p, char **word, size_t n)
{
    return head_number(p, word, n, 0, UINT32_MAX, &p->c->seed);
}

static bool head_features(struct parser *p, char **word, size_t n)
{
    for (size_t i = 1; i < n; i++) {
        const struct pl_constant *k = p->c->spec->transport_features;
        while (k->name && strcmp(k->name, word[i]) != 0)
            k++;
        if (!k->name)
            return pl_lines_wrong(&p->at, "%s has no transport feature '%.60s'", p->c->spec->name,
                                  word[i]);
        p->c->features |= UINT32_C(1) << k->value;
    }
    return true;
}

static bool head_type(struct parser *p, char **word, size_t n)
{
    int type = n == 2 ? pl_case_type_find(word[1]) : -1;
    if (type < 0)
        return pl_lines_wrong(&p->at, "type is block, net, console, entropy or gpu");
    p->c->type = (uint8_t)type;
    return true;
}

static bool an_option(struct parser *p, char **word, size_t n, bool far)
{
    size_t known, i = 0;
    struct pl_case *c = p->c;
    const struct pl_device_option *list = pl_case_options(c->spec, c->role, far, &known);
    struct pl_case_option *option = far ? c->far : c->option;
    uint8_t *count = far ? &c->n_far : &c->n_options;
    char *equals = n == 2 ? strchr(word[1], '=') : NULL;
    uint64_t v;
    if (!equals)
        return pl_lines_wrong(&p->at, "%s is followed by NAME=VALUE", word[0]);
    *equals = '\0';
    while (i < known && strcmp(list[i].name, word[1]) != 0)
        i++;
    if (i == known)
        return pl_lines_wrong(&p->at, "'%.60s' is no option of the reference %s", word[1],
                              far ? "device" : pl_case_role(c->role));
    if (*count == PL_CASE_OPTIONS)
        return pl_lines_wrong(&p->at, "a case has %d lines of %s at most", PL_CASE_OPTIONS,
                              word[0]);
    if (!number(p, equals + 1, &v))
        return false;
    option[(*count)++] = (struct pl_case_option){(uint16_t)i, v};
    return true;
}

static bool head_option(struct parser *p, char **word, size_t n)
{
    return an_option(p, word, n, false);
}

static bool head_far(struct parser *p, char **word, size_t n)
{
    if (p->c->role != PL_IUT_DRIVER)
        return pl_lines_wrong(&p->at, "far-option speaks of the device at the far end of a driver");
    return an_option(p, word, n, true);
}

/* The lines of the head: what each rests on stands above it. */
static const struct head {
    const char *name;
    bool (*read)(struct parser *p, char **word, size_t n);
    bool often;
} heads[] = {
    {"role", head_role, false},         {"spec", head_spec, false},
    {"max_msg_size", head_size, false}, {"features", head_features, false},
    {"type", head_type, false},         {"seed", head_seed, false},
    {"option", head_option, true},      {"far-option", head_far, true},
};
enum { HEADS = sizeof(heads) / sizeof(heads[0]) };

/* 1 a line of the head, 0 another, -1 a wrong one. */
static int head(struct parser *p, char **word, size_t n)
{
    for (unsigned i = 0; i < HEADS; i++) {
        if (strcmp(heads[i].name, word[0]) != 0)
            continue;
        if (p->c->n) {
            pl_lines_wrong(&p->at, "%s stands behind an action", word[0]);
            return -1;
        }
        if (p->given >> (i + 1) || (!heads[i].often && p->given >> i & 1)) {
            bool twice = p->given >> i & 1 && !heads[i].often;
            pl_lines_wrong(&p->at,
                           twice ? "%s is given twice"
                                 : "%s stands too late: the order is role, spec, "
                                   "max_msg_size, features, type, seed, option, far-option",
                           word[0]);
            return -1;
        }
        p->given |= 1u << i;
        return heads[i].read(p, word, n) ? 1 : -1;
    }
    return 0;
}

/* --- lines --- */

static bool one_line(struct parser *p, char *line)
{
    char *word[WORDS_MAX];
    size_t n;
    if (!pl_lines_split(&p->at, line, word, WORDS_MAX, &n))
        return false;
    if (!n)
        return true;
    int r = head(p, word, n);
    if (r)
        return r > 0;
    if (!(p->given & 1))
        return pl_lines_wrong(&p->at, "'%.60s' comes ahead of 'role'", word[0]);
    return action(p, word, n);
}

bool pl_case_parse(struct pl_case *c, const char *file, const char *text, size_t size, char *error,
                   size_t cap)
{
    return pl_case_parse_from(c, file, 1, text, size, error, cap);
}

bool pl_case_parse_from(struct pl_case *c, const char *file, unsigned first, const char *text,
                        size_t size, char *error, size_t cap)
{
    struct parser p = {.at = {file, first - 1, error, cap}, .c = c};
    const char *end = text + size;
    char line[PL_LINE_BYTES];
    size_t taken;
    pl_case_init(c, NULL, PL_IUT_DEVICE);
    do {
        p.at.line++;
        if (!pl_lines_take(&p.at, text, (size_t)(end - text), line, &taken))
            return false;
        if (p.at.line == first ? !pl_lines_magic(&p.at, line, PL_CASE_MAGIC, "a case")
                               : !one_line(&p, line))
            return false;
        text += taken;
    } while (text < end);
    return p.given & 1 || pl_lines_wrong(&p.at, "the case says no 'role'");
}

bool pl_case_load(struct pl_case *c, const char *path, char *error, size_t cap)
{
    FILE *f = fopen(path, "rb");
    char *text = f ? malloc(PL_CASE_TEXT_MAX) : NULL;
    size_t n = text ? fread(text, 1, PL_CASE_TEXT_MAX, f) : 0;
    bool read = text && !ferror(f) && n < PL_CASE_TEXT_MAX;
    if (!read)
        snprintf(error, cap, "%s: %s", path,
                 n == PL_CASE_TEXT_MAX ? "a case of this size is none" : strerror(errno));
    if (f)
        fclose(f);
    bool fine = read && pl_case_parse(c, path, text, n, error, cap);
    free(text);
    return fine;
}
