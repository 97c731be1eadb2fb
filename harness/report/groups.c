/* Findings that say the same thing in different scenarios: which one leads, where else it is. */
#include <stdlib.h>
#include <string.h>

#include "report/internal.h"

/* Scenarios named beside the leading one; the JSON report has all of them. */
#define NAMED_MAX 8u

static bool same_text(const char *a, const char *b)
{
    return a == b || (a && b && strcmp(a, b) == 0);
}

/* The same clause, or the same kind of breakdown. */
static bool same_group(const struct pl_finding *a, const struct pl_finding *b)
{
    if (a->kind != b->kind || a->warning != b->warning || !a->clause != !b->clause)
        return false;
    return !a->clause || same_text(a->clause->id, b->clause->id);
}

bool pl_finding_leads(const struct pl_report *report, size_t index)
{
    for (size_t i = 0; i < index; i++) {
        if (same_group(&report->findings[i], &report->findings[index]))
            return false;
    }
    return true;
}

/* Whether the finding at `index` is the first behind `lead` of its group and scenario. */
static bool opens_scenario(const struct pl_report *report, size_t lead, size_t index)
{
    const struct pl_finding *finding = &report->findings[index];
    if (!same_group(&report->findings[lead], finding))
        return false;
    for (size_t i = lead + 1; i < index; i++) {
        if (same_group(&report->findings[i], finding) &&
            same_text(report->findings[i].scenario, finding->scenario))
            return false;
    }
    return true;
}

/* How often a group was seen in the scenario of the finding at `index`, from there on. */
static unsigned long long times_from(const struct pl_report *report, size_t index)
{
    const struct pl_finding *finding = &report->findings[index];
    unsigned long long times = 0;
    for (size_t i = index; i < report->n_findings; i++) {
        if (same_group(&report->findings[i], finding) &&
            same_text(report->findings[i].scenario, finding->scenario))
            times += report->findings[i].times ? report->findings[i].times : 1;
    }
    return times;
}

static void put_place(FILE *out, const struct pl_report *report, size_t index)
{
    const char *scenario = report->findings[index].scenario;
    unsigned long long times = times_from(report, index);
    fputs(scenario ? scenario : "no scenario", out);
    if (times > 1)
        fprintf(out, " (%llu times)", times);
}

char *pl_finding_also(const struct pl_report *report, size_t lead)
{
    char *text = NULL;
    size_t size = 0, places = 0;
    FILE *out = open_memstream(&text, &size);
    if (!out)
        return NULL;
    for (size_t i = lead + 1; i < report->n_findings; i++) {
        if (!opens_scenario(report, lead, i) || places++ >= NAMED_MAX)
            continue;
        fputs(places > 1 ? ", " : "", out);
        put_place(out, report, i);
    }
    if (places > NAMED_MAX)
        fprintf(out, " and %zu more", places - NAMED_MAX);
    if (fclose(out) == 0)
        return text;
    free(text);
    return NULL;
}
