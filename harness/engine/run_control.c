/* Control lines of scenarios: words, with values put in. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "engine/run_private.h"

/* --- control lines: words, with {EXPR} and {hex BYTE COUNT} put in --- */

static enum outcome put_in(struct run *r, const struct pl_step *step, const char *text, size_t len,
                           char *out, size_t cap)
{
    char inner[128], why[160];
    uint64_t value;
    snprintf(inner, sizeof(inner), "%.*s", (int)len, text);
    struct pl_expr *expr = pl_expr_parse(inner, why, sizeof(why));
    bool good = expr && pl_run_evaluate(r, expr, &value, why, sizeof(why));
    pl_expr_free(expr);
    if (!good)
        return pl_run_stop(r,
                           strstr(why, "answered") ? PL_SCENARIO_INCONCLUSIVE : PL_SCENARIO_ERROR,
                           "%s:%d: %s", step->at->file, step->at->line, why);
    snprintf(out, cap, "%" PRIu64, value);
    return GO_ON;
}

/* {xor MASK COUNT}: bytes of the last response, each xored, as hexadecimal digits. */
static bool put_hex(struct run *r, const char *text, char *out, size_t cap)
{
    unsigned mask;
    char count_text[64];
    uint64_t count;
    char why[160];
    if (sscanf(text, "xor %x %63[^}]", &mask, count_text) != 2)
        return false;
    struct pl_expr *expr = pl_expr_parse(count_text, why, sizeof(why));
    bool good = expr && pl_run_evaluate(r, expr, &count, why, sizeof(why));
    pl_expr_free(expr);
    if (!good)
        return false;
    for (uint64_t i = 0; i < count && 2 * i + 3 < cap; i++)
        snprintf(out + 2 * i, 3, "%02x", (unsigned)(pl_run_element(r, i, 1) ^ mask) & 0xff);
    return true;
}

/* {random COUNT}: so many bytes; {hex EXPR}: one byte. As hexadecimal digits. */
static bool put_bytes(struct run *r, const char *text, char *out, size_t cap)
{
    bool random = strncmp(text, "random ", 7) == 0;
    char inner[128], why[160];
    uint64_t value = 0;
    if ((!random && strncmp(text, "hex ", 4) != 0) ||
        sscanf(strchr(text, ' '), "%127[^}]", inner) != 1)
        return false;
    struct pl_expr *expr = pl_expr_parse(inner, why, sizeof(why));
    bool good = expr && pl_run_evaluate(r, expr, &value, why, sizeof(why));
    pl_expr_free(expr);
    uint64_t count = random ? value : 1;
    for (uint64_t i = 0; good && i < count && 2 * i + 3 < cap; i++)
        snprintf(out + 2 * i, 3, "%02x", (unsigned)(random ? pl_run_random(r) : value) & 0xff);
    return good;
}

static enum outcome control_line(struct run *r, const struct pl_step *step, char *line, size_t cap)
{
    size_t at = 0;
    for (const char *p = step->name; *p && at + 1 < cap;) {
        const char *end = *p == '{' ? strchr(p, '}') : NULL;
        if (!end) {
            line[at++] = *p++;
            continue;
        }
        line[at] = '\0';
        if (!put_hex(r, p + 1, line + at, cap - at) && !put_bytes(r, p + 1, line + at, cap - at) &&
            put_in(r, step, p + 1, (size_t)(end - p - 1), line + at, cap - at) == STOP)
            return STOP;
        at += strlen(line + at);
        p = end + 1;
    }
    line[at] = '\0';
    return GO_ON;
}

enum outcome pl_run_control(struct run *r, const struct pl_step *step)
{
    char line[2304];
    if (!r->burst && !r->far)
        pl_session_fence(r->s);
    if (control_line(r, step, line, sizeof(line)) == STOP)
        return STOP;
    if (r->far) {
        r->control_ok = r->far->control(r->far->opaque, line);
        return GO_ON;
    }
    if (r->burst) { /* it may come before or after any of the requests under way */
        pl_session_tell(r->s, "racing %u %s", r->combination->dev_num, line);
        r->control_ok = pl_session_control(r->s, line, &r->control_unsupported);
        return GO_ON;
    }
    /* Events may overtake the answer to the control line: the oracle hears of the change first. */
    pl_session_tell(r->s, "control %s", line);
    r->control_ok = pl_session_control(r->s, line, &r->control_unsupported);
    if (r->control_ok)
        return GO_ON;
    pl_session_tell(r->s, "retract %u", r->combination->dev_num);
    return pl_run_stop(r, PL_SCENARIO_SKIPPED, "control does not do '%.40s' here", line);
}
