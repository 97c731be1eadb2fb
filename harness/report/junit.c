/* The report as JUnit XML: a test case for each scenario, failures with the clause they break. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "report/internal.h"

/* What a run's test cases come to. */
struct outcome {
    size_t tests, failures, errors, skipped;
};

/* Where the document goes, and whether memory ran out on the way. */
struct xml {
    FILE *out;
    bool no_memory;
};

/* Text as content or attribute value: cleaned, then escaped. */
static void escaped(struct xml *xml, const char *text)
{
    char *clean = pl_text_clean(text);
    xml->no_memory |= clean == NULL;
    for (const char *s = clean; s && *s; s++) {
        switch (*s) {
        case '&':
            fputs("&amp;", xml->out);
            break;
        case '<':
            fputs("&lt;", xml->out);
            break;
        case '>':
            fputs("&gt;", xml->out);
            break;
        case '"':
            fputs("&quot;", xml->out);
            break;
        case '\n':
            fputs("&#10;", xml->out); /* attributes would lose it otherwise */
            break;
        case '\t':
            fputs("&#9;", xml->out);
            break;
        default:
            fputc(*s, xml->out);
        }
    }
    free(clean);
}

static void attribute(struct xml *xml, const char *name, const char *text)
{
    fprintf(xml->out, " %s=\"", name);
    escaped(xml, text);
    fputc('"', xml->out);
}

static void line(struct xml *xml, const char *label, const char *text)
{
    if (!text || !*text)
        return;
    fputs(label, xml->out);
    escaped(xml, text);
    fputc('\n', xml->out);
}

static void message_line(struct xml *xml, const struct pl_report *report,
                         const struct pl_finding *finding, size_t index)
{
    const struct pl_trace_entry *entry = &finding->messages[index];
    char *text = pl_text_message(report->spec, entry);
    xml->no_memory |= text == NULL;
    fprintf(xml->out, "%c #%llu ", index == finding->culprit ? '*' : ' ',
            (unsigned long long)entry->number);
    escaped(xml, pl_arrow(entry));
    fputc(' ', xml->out);
    line(xml, "", text ? text : "");
    free(text);
}

/* The lines that say what was found; content of <failure> or <system-out>. */
static void finding_lines(struct xml *xml, const struct pl_report *report,
                          const struct pl_finding *finding)
{
    char *needs = pl_finding_needs(finding);
    if (finding->clause) {
        line(xml, "clause: ", finding->clause->id);
        line(xml, "level: ", finding->clause->level);
        line(xml, "section: ", finding->clause->section);
        line(xml, "requirement: ", finding->clause->text);
    }
    line(xml, "seen: ", finding->text);
    line(xml, "parameters: ", finding->parameters);
    line(xml, "matters: ", needs);
    free(needs);
    for (size_t i = 0; i < finding->n_messages; i++)
        message_line(xml, report, finding, i);
    line(xml, "repeat: ", finding->repeat);
}

static void failure(struct xml *xml, const struct pl_report *report,
                    const struct pl_finding *finding)
{
    fputs("      <failure", xml->out);
    attribute(xml, "type",
              finding->clause ? finding->clause->id : pl_finding_kind_name(finding->kind));
    attribute(xml, "message", finding->text);
    fputs(">", xml->out);
    finding_lines(xml, report, finding);
    fputs("</failure>\n", xml->out);
}

/* <failure>, <error> or <skipped> with nothing but a reason. */
static void plain(struct xml *xml, const char *element, const char *type, const char *reason)
{
    fprintf(xml->out, "      <%s", element);
    if (strcmp(element, "skipped") != 0)
        attribute(xml, "type", type);
    attribute(xml, "message", reason && *reason ? reason : type);
    fputs("/>\n", xml->out);
}

static bool belongs(const struct pl_finding *finding, const struct pl_scenario_result *scenario,
                    bool warning)
{
    return finding->warning == warning && pl_finding_of(finding, scenario);
}

static size_t count_findings(const struct pl_report *report,
                             const struct pl_scenario_result *scenario)
{
    size_t count = 0;
    for (size_t i = 0; i < report->n_findings; i++)
        count += belongs(&report->findings[i], scenario, false);
    return count;
}

/* A finding that no scenario of the report can take. */
static bool is_loose(const struct pl_report *report, const struct pl_finding *finding)
{
    for (size_t i = 0; i < report->n_scenarios; i++) {
        if (pl_finding_of(finding, &report->scenarios[i]))
            return false;
    }
    return true;
}

/* What the run as a whole has against the IUT that no scenario shows. */
static size_t loose_failures(const struct pl_report *report)
{
    size_t count = 0;
    for (size_t i = 0; i < report->n_findings; i++)
        count += !report->findings[i].warning && is_loose(report, &report->findings[i]);
    return count + (!report->conforms && report->why_not ? 1 : 0);
}

static void warnings(struct xml *xml, const struct pl_report *report,
                     const struct pl_scenario_result *scenario)
{
    bool open = false;
    for (size_t i = 0; i < report->n_findings; i++) {
        if (!belongs(&report->findings[i], scenario, true))
            continue;
        if (!open)
            fputs("      <system-out>", xml->out);
        open = true;
        finding_lines(xml, report, &report->findings[i]);
    }
    if (open)
        fputs("</system-out>\n", xml->out);
}

/* What an unsuccessful scenario without findings of its own shows. */
static void verdict_element(struct xml *xml, const struct pl_scenario_result *scenario)
{
    const char *name = pl_scenario_verdict_name(scenario->verdict);
    switch (scenario->verdict) {
    case PL_SCENARIO_FAIL:
        plain(xml, "failure", name, scenario->reason);
        break;
    case PL_SCENARIO_ERROR:
        plain(xml, "error", name, scenario->reason);
        break;
    case PL_SCENARIO_INCONCLUSIVE:
    case PL_SCENARIO_SKIPPED:
        plain(xml, "skipped", name, scenario->reason);
        break;
    case PL_SCENARIO_PASS:
        break;
    }
}

static void testcase(struct xml *xml, const struct pl_report *report,
                     const struct pl_scenario_result *scenario)
{
    fputs("    <testcase", xml->out);
    attribute(xml, "classname", scenario->section ? scenario->section : report->role);
    fputs(" name=\"", xml->out);
    escaped(xml, scenario->name);
    if (scenario->parameters && *scenario->parameters) {
        fputs(" [", xml->out);
        escaped(xml, scenario->parameters);
        fputc(']', xml->out);
    }
    fputs("\" time=\"0\">\n", xml->out);
    if (count_findings(report, scenario) == 0)
        verdict_element(xml, scenario);
    for (size_t i = 0; i < report->n_findings; i++) {
        if (belongs(&report->findings[i], scenario, false))
            failure(xml, report, &report->findings[i]);
    }
    warnings(xml, report, scenario);
    fputs("    </testcase>\n", xml->out);
}

static void run_testcase(struct xml *xml, const struct pl_report *report)
{
    fputs("    <testcase classname=\"plumbline\" name=\"whole run\" time=\"0\">\n", xml->out);
    for (size_t i = 0; i < report->n_findings; i++) {
        if (!report->findings[i].warning && is_loose(report, &report->findings[i]))
            failure(xml, report, &report->findings[i]);
    }
    if (!report->conforms && report->why_not)
        plain(xml, "failure", "does-not-conform", report->why_not);
    fputs("    </testcase>\n", xml->out);
}

static void count_outcome(const struct pl_report *report, struct outcome *out)
{
    *out = (struct outcome){.tests = report->n_scenarios};
    for (size_t i = 0; i < report->n_scenarios; i++) {
        const struct pl_scenario_result *scenario = &report->scenarios[i];
        if (scenario->verdict == PL_SCENARIO_FAIL || count_findings(report, scenario) > 0)
            out->failures++;
        else if (scenario->verdict == PL_SCENARIO_ERROR)
            out->errors++;
        else if (scenario->verdict != PL_SCENARIO_PASS)
            out->skipped++;
    }
    if (loose_failures(report) > 0) {
        out->tests++;
        out->failures++;
    }
}

static void counts(struct xml *xml, const struct pl_report *report, const struct outcome *sum)
{
    fprintf(xml->out,
            " tests=\"%zu\" failures=\"%zu\" errors=\"%zu\" skipped=\"%zu\" time=\"%.3f\">\n",
            sum->tests, sum->failures, sum->errors, sum->skipped, report->seconds);
}

static void property(struct xml *xml, const char *name, const char *value)
{
    fputs("      <property", xml->out);
    attribute(xml, "name", name);
    attribute(xml, "value", value);
    fputs("/>\n", xml->out);
}

static void properties(struct xml *xml, const struct pl_report *report)
{
    char seed[24];
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)report->seed);
    fputs("    <properties>\n", xml->out);
    property(xml, "tool", report->version);
    property(xml, "models", report->digest);
    property(xml, "spec", report->spec->name);
    property(xml, "role", report->role);
    property(xml, "iut", report->iut);
    property(xml, "seed", seed);
    property(xml, "conforms", report->conforms ? "true" : "false");
    fputs("    </properties>\n", xml->out);
}

int pl_report_junit(const struct pl_report *report, FILE *out)
{
    struct xml xml = {.out = out};
    struct outcome sum;
    count_outcome(report, &sum);
    fputs("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"plumbline\"", out);
    counts(&xml, report, &sum);
    fputs("  <testsuite", out);
    attribute(&xml, "name", report->spec->name);
    counts(&xml, report, &sum);
    properties(&xml, report);
    for (size_t i = 0; i < report->n_scenarios; i++)
        testcase(&xml, report, &report->scenarios[i]);
    if (loose_failures(report) > 0)
        run_testcase(&xml, report);
    fputs("  </testsuite>\n</testsuites>\n", out);
    return xml.no_memory ? -ENOMEM : pl_stream_end(out);
}
