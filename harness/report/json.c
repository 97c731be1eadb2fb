/* The report as JSON, schema plumbline-report/1 (reports/report.schema.json). */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#include "report/internal.h"

static json_t *text_json(const char *text)
{
    char *clean = pl_text_clean(text);
    json_t *value = clean ? json_string(clean) : NULL;
    free(clean);
    return value;
}

static json_t *text_or_null(const char *text)
{
    return text ? text_json(text) : json_null();
}

/* JSON integers end at 2^63 - 1 here; what is larger (a seed can be) becomes decimal text. */
static json_t *number_json(uint64_t value)
{
    char digits[24];
    if (value <= INT64_MAX)
        return json_integer((json_int_t)value);
    snprintf(digits, sizeof digits, "%llu", (unsigned long long)value);
    return json_string(digits);
}

static json_t *hex_json(const uint8_t *bytes, size_t size)
{
    static const char digits[] = "0123456789abcdef";
    char *hex = malloc(size * 2 + 1);
    if (!hex)
        return NULL;
    for (size_t i = 0; i < size; i++) {
        hex[2 * i] = digits[bytes[i] >> 4];
        hex[2 * i + 1] = digits[bytes[i] & 15];
    }
    json_t *value = json_stringn(hex, size * 2);
    free(hex);
    return value;
}

/* Set a key; -1 without memory (the value is NULL then, or is dropped). */
static int put(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value);
}

static json_t *tool_json(const struct pl_report *report)
{
    json_t *object = json_object();
    if (put(object, "version", text_json(report->version)) ||
        put(object, "digest", text_json(report->digest))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *clause_json(const struct pl_report *report, size_t index)
{
    const struct pl_clause_result *clause = &report->clauses[index];
    json_t *object = json_object();
    if (put(object, "id", text_json(clause->id)) ||
        put(object, "level", text_json(clause->level)) ||
        put(object, "role", text_json(clause->role)) ||
        (clause->spec && put(object, "spec", text_json(clause->spec))) ||
        (clause->type && put(object, "type", text_json(clause->type))) ||
        put(object, "verdict", json_string(pl_clause_verdict_name(clause->verdict))) ||
        put(object, "count", number_json(clause->count)) ||
        (clause->reason && put(object, "reason", text_json(clause->reason)))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *names_json(const char *const *names)
{
    json_t *array = json_array();
    for (; names && *names; names++) {
        if (json_array_append_new(array, text_json(*names))) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *scenario_json(const struct pl_report *report, size_t index)
{
    const struct pl_scenario_result *scenario = &report->scenarios[index];
    json_t *object = json_object();
    if (put(object, "name", text_json(scenario->name)) ||
        put(object, "verdict", json_string(pl_scenario_verdict_name(scenario->verdict))) ||
        put(object, "clauses", names_json(scenario->clauses)) ||
        put(object, "parameters", text_json(scenario->parameters)) ||
        put(object, "messages", number_json(scenario->messages)) ||
        (scenario->reason && put(object, "reason", text_json(scenario->reason)))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *message_json(const struct pl_spec *spec, const struct pl_trace_entry *entry)
{
    json_t *object = json_object();
    char *line = pl_text_message(spec, entry);
    int failed = !line || put(object, "number", number_json(entry->number)) ||
                 put(object, "direction", json_string(entry->to_iut ? "to-iut" : "from-iut")) ||
                 (entry->device_side && put(object, "side", json_string("device"))) ||
                 put(object, "time_ns", number_json(entry->time_ns)) ||
                 put(object, "hex", hex_json(entry->bytes, entry->size)) ||
                 put(object, "text", text_json(line));
    free(line);
    if (failed) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *messages_json(const struct pl_spec *spec, const struct pl_finding *finding)
{
    json_t *array = json_array();
    for (size_t i = 0; i < finding->n_messages; i++) {
        if (json_array_append_new(array, message_json(spec, &finding->messages[i]))) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static json_t *culprit_json(const struct pl_finding *finding)
{
    if (finding->culprit >= finding->n_messages)
        return json_null();
    return number_json(finding->messages[finding->culprit].number);
}

static json_t *needs_json(const struct pl_finding *finding)
{
    json_t *object = json_object();
    for (size_t i = 0; i < finding->n_matters; i++) {
        const struct pl_finding_need *need = &finding->matters[i];
        json_t *value =
            need->number ? number_json(strtoull(need->value, NULL, 10)) : text_json(need->value);
        if (put(object, need->name, value)) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *finding_json(const struct pl_report *report, size_t index)
{
    const struct pl_finding *finding = &report->findings[index];
    json_t *object = json_object();
    if (put(object, "kind", json_string(pl_finding_kind_name(finding->kind))) ||
        put(object, "clause", text_or_null(finding->clause ? finding->clause->id : NULL)) ||
        put(object, "warning", json_boolean(finding->warning)) ||
        put(object, "scenario", text_or_null(finding->scenario)) ||
        put(object, "parameters", text_or_null(finding->parameters)) ||
        put(object, "text", text_json(finding->text)) ||
        put(object, "times", number_json(finding->times)) ||
        put(object, "culprit", culprit_json(finding)) ||
        put(object, "messages", messages_json(report->spec, finding)) ||
        put(object, "repeat", text_json(finding->repeat)) ||
        (finding->tried_again && put(object, "reproduced", json_boolean(finding->reproduced))) ||
        (finding->reproduced && put(object, "matters", needs_json(finding)))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

static json_t *list_json(const struct pl_report *report, size_t count,
                         json_t *(*item)(const struct pl_report *, size_t))
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        if (json_array_append_new(array, item(report, i))) {
            json_decref(array);
            return NULL;
        }
    }
    return array;
}

static const char *clause_key(size_t index)
{
    return pl_clause_verdict_name((enum pl_clause_verdict)index);
}

static const char *scenario_key(size_t index)
{
    return pl_scenario_verdict_name((enum pl_scenario_verdict)index);
}

static const char *finding_key(size_t index)
{
    return pl_finding_kind_name((enum pl_finding_kind)index);
}

static json_t *counts_json(const size_t *counts, size_t n, const char *(*key)(size_t))
{
    json_t *object = json_object();
    for (size_t i = 0; i < n; i++) {
        if (put(object, key(i), number_json(counts[i]))) {
            json_decref(object);
            return NULL;
        }
    }
    return object;
}

static json_t *summary_json(const struct pl_report *report)
{
    struct pl_tally tally;
    json_t *object = json_object();
    pl_report_tally(report, &tally);
    if (put(object, "conforms", json_boolean(report->conforms)) ||
        put(object, "clauses", counts_json(tally.clauses, PL_CLAUSE_VERDICTS, clause_key)) ||
        put(object, "scenarios",
            counts_json(tally.scenarios, PL_SCENARIO_VERDICTS, scenario_key)) ||
        put(object, "findings", counts_json(tally.findings, PL_FINDING_KINDS, finding_key)) ||
        put(object, "warnings", number_json(tally.n_warnings)) ||
        put(object, "messages", number_json(report->n_messages)) ||
        put(object, "seconds", json_real(report->seconds)) ||
        (report->why_not && put(object, "reason", text_json(report->why_not)))) {
        json_decref(object);
        return NULL;
    }
    return object;
}

int pl_report_json(const struct pl_report *report, FILE *out)
{
    json_t *root = json_object();
    if (put(root, "schema", json_string("plumbline-report/1")) ||
        put(root, "tool", tool_json(report)) || put(root, "spec", text_json(report->spec->name)) ||
        put(root, "role", text_json(report->role)) ||
        put(root, "seed", number_json(report->seed)) || put(root, "iut", text_json(report->iut)) ||
        put(root, "clauses", list_json(report, report->n_clauses, clause_json)) ||
        put(root, "scenarios", list_json(report, report->n_scenarios, scenario_json)) ||
        put(root, "findings", list_json(report, report->n_findings, finding_json)) ||
        put(root, "summary", summary_json(report))) {
        json_decref(root);
        return -ENOMEM;
    }
    errno = 0;
    int failed = json_dumpf(root, out, JSON_INDENT(2));
    json_decref(root);
    if (failed)
        return errno ? -errno : -EIO;
    fputc('\n', out);
    return pl_stream_end(out);
}
