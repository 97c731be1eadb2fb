/* Counts of a report, and text from anywhere made fit for terminals, JSON and XML. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/internal.h"

void pl_report_tally(const struct pl_report *report, struct pl_tally *out)
{
    *out = (struct pl_tally){0};
    for (size_t i = 0; i < report->n_clauses; i++) {
        if ((size_t)report->clauses[i].verdict < PL_CLAUSE_VERDICTS)
            out->clauses[report->clauses[i].verdict]++;
        out->n_other_type +=
            report->clauses[i].other_type && report->clauses[i].verdict == PL_CLAUSE_NOT_EXERCISED;
    }
    for (size_t i = 0; i < report->n_scenarios; i++) {
        if ((size_t)report->scenarios[i].verdict < PL_SCENARIO_VERDICTS)
            out->scenarios[report->scenarios[i].verdict]++;
    }
    for (size_t i = 0; i < report->n_findings; i++) {
        const struct pl_finding *finding = &report->findings[i];
        if (finding->warning) {
            out->n_warnings++;
        } else if ((size_t)finding->kind < PL_FINDING_KINDS) {
            out->findings[finding->kind]++;
            out->n_findings++;
        }
    }
}

/* Length of the UTF-8 sequence at s that may be printed as it is, or 0. */
static size_t printable(const unsigned char *s)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t length = s[0] < 0x80       ? 1
                    : s[0] >> 5 == 6  ? 2
                    : s[0] >> 4 == 14 ? 3
                    : s[0] >> 3 == 30 ? 4
                                      : 0;
    if (length == 1)
        return s[0] == '\n' || s[0] == '\t' || (s[0] >= 0x20 && s[0] != 0x7f) ? 1 : 0;
    if (length == 0)
        return 0;
    uint32_t code = s[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((s[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (s[i] & 0x3fu);
    }
    bool surrogate = code >= 0xd800 && code <= 0xdfff;
    bool control = code >= 0x80 && code < 0xa0;
    /* XML 1.0 has no U+FFFE and U+FFFF; a bidirectional override would lie about a line's order. */
    bool refused = code == 0xfffe || code == 0xffff || (code >= 0x202a && code <= 0x202e) ||
                   (code >= 0x2066 && code <= 0x2069);
    if (code < least[length] || code > 0x10ffff || surrogate || control || refused)
        return 0;
    return length;
}

char *pl_text_clean(const char *text)
{
    static const char digits[] = "0123456789abcdef";
    const unsigned char *s = (const unsigned char *)(text ? text : "");
    size_t length = strlen((const char *)s);
    if (length > (SIZE_MAX - 1) / 4)
        return NULL;
    char *out = malloc(length * 4 + 1), *at = out;
    if (!out)
        return NULL;
    while (*s) {
        size_t whole = printable(s);
        if (whole) {
            memcpy(at, s, whole);
            at += whole;
            s += whole;
        } else {
            *at++ = '\\';
            *at++ = 'x';
            *at++ = digits[*s >> 4];
            *at++ = digits[*s++ & 15];
        }
    }
    *at = '\0';
    return out;
}

char *pl_text_message(const struct pl_spec *spec, const struct pl_trace_entry *entry)
{
    char probe[1];
    int length = pl_format(spec, entry->bytes, entry->size, probe, sizeof probe);
    if (length < 0)
        return pl_text_clean("");
    char *line = malloc((size_t)length + 1);
    if (!line)
        return NULL;
    pl_format(spec, entry->bytes, entry->size, line, (size_t)length + 1);
    return line;
}

bool pl_finding_of(const struct pl_finding *finding, const struct pl_scenario_result *scenario)
{
    if (!finding->scenario || !scenario->name || strcmp(finding->scenario, scenario->name) != 0)
        return false;
    return !finding->parameters || !scenario->parameters ||
           strcmp(finding->parameters, scenario->parameters) == 0;
}

int pl_stream_end(FILE *out)
{
    errno = 0;
    if (fflush(out) == 0 && !ferror(out))
        return 0;
    if (!errno) { /* it failed earlier, and why is gone: one more byte meets the same */
        clearerr(out);
        fputc('\n', out);
        fflush(out);
    }
    return errno ? -errno : -EIO;
}

char *pl_finding_needs(const struct pl_finding *finding)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = finding->tried_again ? open_memstream(&text, &size) : NULL;
    if (!out)
        return NULL;
    if (!finding->reproduced)
        fputs("not known: it was not seen again when its scenario ran alone", out);
    else if (finding->n_matters == 0)
        fputs("nothing: it is seen with the plain parameters, too", out);
    for (size_t i = 0; i < finding->n_matters; i++)
        fprintf(out, "%s%s=%s", i ? " " : "", finding->matters[i].name, finding->matters[i].value);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
