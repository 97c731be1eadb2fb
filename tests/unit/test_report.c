/* Tests of the report writers and of the pcapng reader, hostile files included. With an argument it
 * writes sample reports into that folder instead, for the tests that open them with other tools. */
#include <check.h>
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "report/internal.h"
#include "report/pcapng.h"
#include "report/report.h"

/* Text that no writer may pass through as it is: markup, controls, bytes that are not UTF-8. */
#define NASTY                                                                                      \
    "<a href=\"&\">]]>\x01\x1b[31m\xff\xc0\xaf\xed\xa0\x80\xef\xbf\xbf \xc3\xa9 "                  \
    "\xf0\x9f\x94\xa9\t'\nend"

/* --- a sample report: everything that a report can hold, twice over --- */

struct sample {
    struct pl_clause_result clauses[12];
    struct pl_scenario_result scenarios[6];
    struct pl_finding findings[6];
    struct pl_trace_entry trace[32];
    uint8_t bytes[32][512];
    size_t n_trace;
    struct pl_report report;
};

/* Samples are also made outside of any test, where Check's own assertions cannot stand. */
static void must(bool good, const char *what)
{
    if (good)
        return;
    fprintf(stderr, "test_report: %s failed\n", what);
    abort();
}

static const char *const aims[] = {"GVQ-DEV-03", "GVQ-DEV-04", NULL};

static void record(struct sample *s, uint32_t group, bool to_iut, const struct pl_msg *m)
{
    struct pl_trace_entry *entry = &s->trace[s->n_trace];
    ssize_t size = pl_encode(s->report.spec, m, s->bytes[s->n_trace], sizeof s->bytes[0]);
    must(size > 0, "encoding a sample");
    *entry = (struct pl_trace_entry){.number = s->n_trace + 1,
                                     .time_ns = s->n_trace * 1000003,
                                     .to_iut = to_iut,
                                     .group = group,
                                     .size = (size_t)size,
                                     .bytes = s->bytes[s->n_trace]};
    s->n_trace++;
}

/* A request and its answer for each message of the draft; fixed and variable arrays filled. */
static void record_all(struct sample *s)
{
    static const uint8_t fixed[64] = {0xa5, 0x5a};
    static const uint8_t data[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    const struct pl_spec *spec = s->report.spec;
    for (size_t i = 0; i < spec->n_messages && s->n_trace + 2 <= 30; i++) {
        const struct pl_message_def *def = &spec->messages[i];
        for (int response = 0; response < (def->response ? 2 : 1); response++) {
            const struct pl_layout *layout = response ? def->response : def->request;
            struct pl_msg m = {.kind = def->kind, .response = response != 0, .fixed = fixed};
            m.dev_num = def->bus ? 0 : 7;
            m.token = def->event ? 0 : (uint16_t)(i + 1);
            for (size_t f = 0; f < layout->n_fields; f++)
                m.f[layout->fields[f].field] = 0x11 + f;
            if (layout->tail) {
                size_t units = layout->tail->unit == PL_UNIT_BITS    ? 64u
                               : layout->tail->unit == PL_UNIT_BYTES ? 8u
                                                                     : 8u / layout->tail->width;
                m.f[layout->tail->count_field] = units;
                m.data = data;
                m.data_len = sizeof data;
            }
            record(s, (uint32_t)(i % 2), response == 0, &m);
        }
    }
}

static void fill_clauses(struct sample *s)
{
    static const char *const levels[] = {"MUST", "SHOULD", "MAY"};
    static char ids[12][16];
    for (size_t i = 0; i < 9; i++) {
        snprintf(ids[i], sizeof ids[i], "TST-DEV-%02zu", i + 1);
        s->clauses[i] = (struct pl_clause_result){
            .id = ids[i],
            .level = levels[i % 3],
            .role = i < 5 ? "device" : "any",
            .how = "passive",
            .section = "GET_VQUEUE/Device",
            .text = "flags bit 0 is the enabled state",
            .verdict = (enum pl_clause_verdict)i,
            .count = i * 3,
            .reason = i == PL_CLAUSE_NOT_OBSERVABLE ? NASTY : NULL,
        };
    }
    for (size_t i = 9; i < 12; i++) { /* of the IUT's type, and of two that it does not have */
        static const char *const types[] = {"block", "net", "entropy"};
        snprintf(ids[i], sizeof ids[i], "TYP-DEV-%02zu", i - 8);
        s->clauses[i] = s->clauses[i == 9 ? PL_CLAUSE_PASS : PL_CLAUSE_NOT_EXERCISED];
        s->clauses[i].id = ids[i];
        s->clauses[i].level = "MUST";
        s->clauses[i].spec = "virtio-1.4";
        s->clauses[i].type = types[i - 9];
        s->clauses[i].other_type = i > 9;
    }
}

static void fill_scenarios(struct sample *s)
{
    static char names[6][24];
    for (size_t i = 0; i < 6; i++) {
        snprintf(names[i], sizeof names[i], "get-vqueue/case-%zu", i + 1);
        s->scenarios[i] = (struct pl_scenario_result){
            .name = names[i],
            .section = "GET_VQUEUE",
            .verdict = (enum pl_scenario_verdict)(i % PL_SCENARIO_VERDICTS),
            .reason = i == PL_SCENARIO_SKIPPED ? NASTY : NULL,
            .parameters = "index=3 profile=strict",
            .clauses = aims,
            .messages = 12,
        };
    }
    s->scenarios[5].name = NASTY;
}

static void fill_findings(struct sample *s)
{
    for (size_t i = 0; i < 6; i++) {
        bool clause = i == 0 || i == 5;
        s->findings[i] = (struct pl_finding){
            .kind = (enum pl_finding_kind)(i % PL_FINDING_KINDS),
            .clause = clause ? &s->clauses[PL_CLAUSE_FAIL + (i == 5)] : NULL,
            .warning = i == 5,
            .scenario = s->scenarios[1].name,
            .parameters = s->scenarios[1].parameters,
            .text = i == 1 ? "killed by signal 11; it wrote:\n" NASTY
                           : "flags 1 expected, flags 3 seen",
            .repeat = "plumbline test --select 'case-2' --seed 42",
            .times = i + 1,
            .messages = clause ? s->trace : NULL,
            .n_messages = clause ? s->n_trace : 0,
            .culprit = i == 0 ? s->n_trace / 2 : s->n_trace,
        };
    }
    s->findings[3].scenario = NULL; /* one that no scenario can take */
}

static struct sample *sample_new(const char *spec)
{
    struct sample *s = calloc(1, sizeof *s);
    must(s != NULL, "s");
    s->report.spec = pl_spec_find(spec);
    must(s->report.spec != NULL, "s->report.spec");
    record_all(s);
    fill_clauses(s);
    fill_scenarios(s);
    fill_findings(s);
    s->report = (struct pl_report){
        .version = "0.1.0",
        .digest = "0123456789abcdef",
        .spec = s->report.spec,
        .role = "device",
        .seed = 42,
        .iut = "exec:./acme " NASTY,
        .seconds = 1.25,
        .clauses = s->clauses,
        .n_clauses = 12,
        .scenarios = s->scenarios,
        .n_scenarios = 6,
        .findings = s->findings,
        .n_findings = 6,
        .n_messages = s->n_trace,
        .conforms = false,
        .why_not = "MUST clauses failed",
    };
    return s;
}

static char *written(const struct pl_report *report, int (*write)(const struct pl_report *, FILE *))
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);
    ck_assert_ptr_nonnull(out);
    ck_assert_int_eq(write(report, out), 0);
    ck_assert_int_eq(fclose(out), 0);
    ck_assert_uint_eq(strlen(text), size);
    return text;
}

static int plain_text(const struct pl_report *report, FILE *out)
{
    return pl_report_text(report, out, false, false);
}

static int verbose_text(const struct pl_report *report, FILE *out)
{
    return pl_report_text(report, out, true, true);
}

/* --- names and clean text --- */

START_TEST(names_are_those_of_the_schema)
{
    ck_assert_str_eq(pl_clause_verdict_name(PL_CLAUSE_NOT_JUDGED), "not-judged");
    ck_assert_str_eq(pl_clause_verdict_name(PL_CLAUSE_OPTION_NOT_USED), "option-not-used");
    ck_assert_str_eq(pl_scenario_verdict_name(PL_SCENARIO_INCONCLUSIVE), "inconclusive");
    ck_assert_str_eq(pl_finding_kind_name(PL_FINDING_PROTOCOL), "protocol");
    ck_assert_str_eq(pl_finding_kind_name((enum pl_finding_kind)99), "unknown");
}
END_TEST

START_TEST(clean_text_spells_out_what_is_not_text)
{
    static const struct {
        const char *in, *out;
    } cases[] = {
        {NULL, ""},
        {"plain\n\ttext", "plain\n\ttext"},
        {"\x1b[31m\x7f\r", "\\x1b[31m\\x7f\\x0d"},
        {"\xc3\xa9\xf0\x9f\x94\xa9", "\xc3\xa9\xf0\x9f\x94\xa9"},
        {"\xc0\xaf", "\\xc0\\xaf"},                   /* overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* surrogate */
        {"\xef\xbf\xbf", "\\xef\\xbf\\xbf"},          /* not in XML */
        {"\xc2\x9b", "\\xc2\\x9b"},                   /* C1 control */
        {"\xe2\x80\xae", "\\xe2\\x80\\xae"},          /* bidirectional override */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* beyond U+10FFFF */
        {"\xe2\x82", "\\xe2\\x82"},                   /* ends too early */
        {"\xff", "\\xff"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *clean = pl_text_clean(cases[i].in);
        ck_assert_str_eq(clean, cases[i].out);
        free(clean);
    }
}
END_TEST

/* --- text --- */

START_TEST(text_tells_everything)
{
    struct sample *s = sample_new("virtio-msg-r1");
    char *text = written(&s->report, plain_text);
    static const char *const parts[] = {
        "plumbline 0.1.0",
        "spec virtio-msg-r1",
        "role device",
        "seed 42",
        "FAIL TST-DEV-04  MUST, GET_VQUEUE/Device",
        "flags bit 0 is the enabled state",
        "flags 1 expected, flags 3 seen",
        "plumbline test --select 'case-2' --seed 42",
        "CRASH",
        "HANG",
        "EXIT",
        "PROTOCOL ERROR",
        "WARNING TST-DEV-05",
        "killed by signal 11",
        "  >> #",
        "\nDOES NOT CONFORM: clauses 2 passed, 1 failed, 1 warned, 1 not exercised, "
        "2 of other device types; ",
        "of 6;",
        " in 1.2 s\n",
        "(6 times; this is the first)",
    };
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
        ck_assert_msg(strstr(text, parts[i]) != NULL, "'%s' is missing in:\n%s", parts[i], text);
    ck_assert_ptr_null(strchr(text, '\x1b'));
    free(text);
    free(s);
}
END_TEST

/* The lines of a text up to the first empty one behind its heading. */
static char *table_of(const char *text)
{
    const char *from = strstr(text, "clauses of"), *to = from ? strstr(from, "\n\n") : NULL;
    must(to != NULL, "finding the table");
    return strndup(from, (size_t)(to - from));
}

START_TEST(text_has_a_block_for_each_catalogue_and_type)
{
    struct sample *s = sample_new("virtio-msg-r1");
    char *text = written(&s->report, plain_text), *table = table_of(text);
    for (size_t i = 0; i < 9; i++)
        s->clauses[i].spec = s->report.spec->name; /* the same, spelled out */
    char *again = written(&s->report, plain_text), *spelled = table_of(again);
    ck_assert_str_eq(
        table,
        "clauses of        level   pass  fail  warning  option-used  option-not-used  declared  "
        "not-exercised  not-observable  not-judged\n"
        "virtio-msg-r1     MUST       -     1        -            -                -         1  "
        "            -               -           1\n"
        "                  SHOULD     -     -        1            1                -         -  "
        "            1               -           -\n"
        "                  MAY        1     -        -            -                1         -  "
        "            -               1           -\n"
        "virtio-1.4 block  MUST       1     -        -            -                -         -  "
        "            -               -           -\n"
        "2 clauses of other device types do not bind this implementation: net, entropy");
    ck_assert_str_eq(table, spelled);
    free(text);
    free(again);
    free(table);
    free(spelled);
    free(s);
}
END_TEST

START_TEST(text_without_other_types_is_silent_of_them)
{
    struct sample *s = sample_new("virtio-msg-r1");
    s->report.n_clauses = 10;
    char *text = written(&s->report, plain_text);
    ck_assert_ptr_null(strstr(text, "other device types"));
    ck_assert_ptr_nonnull(strstr(text, "1 not exercised; "));
    free(text);
    free(s);
}
END_TEST

static size_t occurrences(const char *text, const char *part)
{
    size_t count = 0;
    for (; (text = strstr(text, part)) != NULL; text += strlen(part))
        count++;
    return count;
}

/* Twelve scenarios that break one clause, one of them twice, and crash the device. */
static void fill_group(struct sample *s, struct pl_finding *findings, char names[12][16])
{
    for (size_t i = 0; i < 26; i++) {
        size_t name = i / 2 < 12 ? i / 2 : 3;
        snprintf(names[name], 16, "place-%02zu", name);
        findings[i] = s->findings[i % 2];
        findings[i].scenario = names[name];
        findings[i].times = i < 4 ? 1 : 5;
    }
    s->report.findings = findings;
    s->report.n_findings = 26;
}

START_TEST(text_shows_a_clause_once_and_names_the_other_scenarios)
{
    struct sample *s = sample_new("virtio-msg-r1");
    struct pl_finding findings[26];
    char names[12][16];
    fill_group(s, findings, names);
    char *text = written(&s->report, plain_text);
    ck_assert_uint_eq(occurrences(text, "FAIL TST-DEV-04  "), 1);
    ck_assert_uint_eq(occurrences(text, "CRASH of the IUT"), 1);
    ck_assert_uint_eq(occurrences(text, "  scenario   place-00\n"), 2);
    ck_assert_uint_eq(occurrences(text, "  also in    place-01, place-02 (5 times), "
                                        "place-03 (10 times), place-04 (5 times), "
                                        "place-05 (5 times), place-06 (5 times), "
                                        "place-07 (5 times), place-08 (5 times) and 3 more\n"),
                      2);
    free(text);
    s->report.n_findings = 2;
    text = written(&s->report, plain_text);
    ck_assert_ptr_null(strstr(text, "also in"));
    free(text);
    free(s);
}
END_TEST

START_TEST(text_verbose_lists_clauses_and_scenarios)
{
    struct sample *s = sample_new("virtio-msg-r1");
    char *text = written(&s->report, verbose_text);
    for (size_t i = 0; i < s->report.n_clauses; i++)
        ck_assert_ptr_nonnull(strstr(text, s->clauses[i].id));
    for (size_t i = 0; i < 5; i++)
        ck_assert_ptr_nonnull(strstr(text, s->scenarios[i].name));
    ck_assert_ptr_nonnull(strstr(text, "\nother-type      TYP-DEV-02 "));
    ck_assert_ptr_nonnull(strstr(text, "\npass            TYP-DEV-01 "));
    ck_assert_ptr_nonnull(strstr(text, "\033[1;31mDOES NOT CONFORM\033[0m"));
    free(text);
    free(s);
}
END_TEST

START_TEST(text_of_a_conforming_run)
{
    struct sample *s = sample_new("virtio-msg-r1");
    s->report.conforms = true;
    s->report.why_not = NULL;
    s->report.n_findings = 0;
    char *text = written(&s->report, plain_text);
    ck_assert_ptr_nonnull(strstr(text, "\nCONFORMS: "));
    ck_assert_ptr_null(strstr(text, "DOES NOT"));
    free(text);
    free(s);
}
END_TEST

START_TEST(an_empty_report_is_fine)
{
    struct pl_report report = {.spec = pl_spec_find("virtio-msg-r1"), .role = "device"};
    free(written(&report, plain_text));
    free(written(&report, verbose_text));
    free(written(&report, pl_report_json));
    free(written(&report, pl_report_junit));
}
END_TEST

/* --- JSON --- */

static const char *string_at(json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

START_TEST(json_has_the_keys_of_the_schema)
{
    struct sample *s = sample_new("virtio-msg-r1");
    char *text = written(&s->report, pl_report_json);
    json_error_t error;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &error);
    ck_assert_msg(root != NULL, "%s", error.text);
    ck_assert_str_eq(string_at(root, "schema"), "plumbline-report/1");
    ck_assert_str_eq(string_at(root, "spec"), "virtio-msg-r1");
    ck_assert_int_eq(json_integer_value(json_object_get(root, "seed")), 42);
    ck_assert_uint_eq(json_array_size(json_object_get(root, "clauses")), 12);
    json_t *typed = json_array_get(json_object_get(root, "clauses"), 10);
    ck_assert_str_eq(string_at(typed, "spec"), "virtio-1.4");
    ck_assert_str_eq(string_at(typed, "type"), "net");
    ck_assert_str_eq(string_at(typed, "verdict"), "not-exercised");
    ck_assert_ptr_null(
        json_object_get(json_array_get(json_object_get(root, "clauses"), 0), "type"));
    json_t *finding = json_array_get(json_object_get(root, "findings"), 0);
    ck_assert_str_eq(string_at(finding, "kind"), "clause");
    ck_assert_str_eq(string_at(finding, "clause"), "TST-DEV-04");
    json_t *message = json_array_get(json_object_get(finding, "messages"), 0);
    ck_assert_str_eq(string_at(message, "direction"), "to-iut");
    ck_assert_uint_eq(strlen(string_at(message, "hex")), 2 * s->trace[0].size);
    ck_assert_ptr_nonnull(strstr(string_at(message, "text"), "GET_DEVICE_INFO request"));
    json_t *summary = json_object_get(root, "summary");
    ck_assert(json_is_false(json_object_get(summary, "conforms")));
    ck_assert_int_eq(json_integer_value(json_object_get(summary, "warnings")), 1);
    json_decref(root);
    free(text);
    free(s);
}
END_TEST

START_TEST(json_holds_the_largest_seed)
{
    struct pl_report report = {.spec = pl_spec_find("virtio-msg-r1"), .seed = UINT64_MAX};
    char *text = written(&report, pl_report_json);
    ck_assert_ptr_nonnull(strstr(text, "\"seed\": \"18446744073709551615\""));
    free(text);
}
END_TEST

static long allocations_left;

static void *scarce_malloc(size_t size)
{
    return allocations_left-- > 0 ? malloc(size) : NULL;
}

START_TEST(json_without_memory_is_an_error_and_no_leak)
{
    struct sample *s = sample_new("virtio-msg-2025-06");
    int result = -ENOMEM;
    for (long allowed = 0; result != 0; allowed += allowed < 200 ? 1 : 37) {
        FILE *out = tmpfile();
        ck_assert_ptr_nonnull(out);
        allocations_left = allowed;
        json_set_alloc_funcs(scarce_malloc, free);
        result = pl_report_json(&s->report, out);
        json_set_alloc_funcs(malloc, free);
        fclose(out);
        ck_assert_int_le(result, 0);
        ck_assert_int_lt(allowed, 100000);
    }
    free(s);
}
END_TEST

START_TEST(a_full_disk_is_an_error)
{
    struct sample *s = sample_new("virtio-msg-r1");
    int (*const writers[])(const struct pl_report *, FILE *) = {plain_text, pl_report_json,
                                                                pl_report_junit};
    char error[256];
    for (size_t i = 0; i < 3; i++) {
        FILE *full = fopen("/dev/full", "w");
        ck_assert_ptr_nonnull(full);
        ck_assert_int_eq(writers[i](&s->report, full), -ENOSPC);
        fclose(full);
    }
    struct pl_pcapng *file = pl_pcapng_create("/dev/full", "x", error, sizeof error);
    ck_assert_ptr_nonnull(file);
    ck_assert_int_eq(pl_pcapng_finish(file), -ENOSPC);
    ck_assert_ptr_null(pl_pcapng_create("/no/such/folder/x", "x", error, sizeof error));
    ck_assert_ptr_nonnull(strstr(error, "/no/such/folder/x: "));
    free(s);
}
END_TEST

/* --- JUnit --- */

START_TEST(junit_counts_and_escapes)
{
    struct sample *s = sample_new("virtio-msg-r1");
    char *text = written(&s->report, pl_report_junit);
    /* 6 scenarios and the finding of none; case-2 and the whole run fail, one is an error */
    ck_assert_ptr_nonnull(strstr(text, "tests=\"7\" failures=\"2\" errors=\"1\" skipped=\"2\""));
    ck_assert_ptr_nonnull(strstr(text, "&lt;a href=&quot;&amp;&quot;&gt;"));
    ck_assert_ptr_nonnull(strstr(text, "<failure type=\"TST-DEV-04\""));
    ck_assert_ptr_nonnull(strstr(text, "<system-out>clause: TST-DEV-05"));
    free(text);
    free(s);
}
END_TEST

/* --- pcapng --- */

static void write_trace(const struct sample *s, const char *path, const char *comment)
{
    char error[256] = "", bus[128];
    struct pl_pcapng *file = pl_pcapng_create(path, comment, error, sizeof error);
    must(file != NULL, error);
    for (unsigned group = 0; group < 2; group++) {
        snprintf(bus, sizeof bus, "spec=%s revision=1 max_msg_size=264 features=0x%x",
                 s->report.spec->name, group);
        must(pl_pcapng_group(file, bus) == 0, path);
    }
    for (size_t i = 0; i < s->n_trace; i++)
        must(pl_pcapng_message(file, &s->trace[i], i % 2 ? "case-1 " NASTY : NULL) == 0, path);
    struct pl_trace_entry stray = s->trace[0];
    stray.group = 2;
    must(pl_pcapng_message(file, &stray, NULL) == -EINVAL, path);
    must(pl_pcapng_finish(file) == 0, path);
}

/* What the reader's callbacks saw, and after how many messages they want to stop. */
struct seen {
    const struct sample *expected;
    size_t groups, messages, stop_after;
};

static int see_group(void *opaque, uint32_t group, const char *bus)
{
    struct seen *seen = opaque;
    ck_assert_uint_eq(group, seen->groups++);
    if (seen->expected)
        ck_assert_ptr_nonnull(strstr(bus, "spec=virtio-msg-r1 revision=1"));
    return 0;
}

static int see_message(void *opaque, const struct pl_trace_entry *entry, const char *comment)
{
    struct seen *seen = opaque;
    size_t index = seen->messages++;
    ck_assert_uint_lt(entry->group, seen->groups);
    if (seen->expected) {
        const struct pl_trace_entry *was = &seen->expected->trace[index];
        ck_assert_uint_eq(entry->number, was->number);
        ck_assert_uint_eq(entry->time_ns, was->time_ns);
        ck_assert_uint_eq(entry->group, was->group);
        ck_assert_int_eq(entry->to_iut, was->to_iut);
        ck_assert_uint_eq(entry->size, was->size);
        ck_assert_mem_eq(entry->bytes, was->bytes, was->size);
        ck_assert_int_eq(comment != NULL, index % 2);
    }
    return seen->messages == seen->stop_after ? 77 : 0;
}

static const struct pl_pcapng_reader_ops see = {see_group, see_message};

static int read_bytes(const void *bytes, size_t size, struct seen *seen, char *error, size_t cap)
{
    FILE *in = fmemopen((void *)(uintptr_t)bytes, size, "rb");
    ck_assert_ptr_nonnull(in);
    int result = pl_pcapng_read_stream(in, "test.pcapng", &see, seen, error, cap);
    fclose(in);
    return result;
}

static uint8_t *trace_bytes(const char *spec, size_t *size)
{
    char path[] = "/tmp/plumbline-test-XXXXXX";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    struct sample *s = sample_new(spec);
    write_trace(s, path, "a trace");
    free(s);
    FILE *in = fopen(path, "rb");
    uint8_t *bytes = malloc(1 << 20);
    *size = fread(bytes, 1, 1 << 20, in);
    fclose(in);
    unlink(path);
    return bytes;
}

START_TEST(pcapng_gives_back_what_was_written)
{
    char path[] = "/tmp/plumbline-test-XXXXXX", error[256] = "";
    int fd = mkstemp(path);
    ck_assert_int_ge(fd, 0);
    close(fd);
    struct sample *s = sample_new("virtio-msg-r1");
    write_trace(s, path, NASTY);
    struct seen seen = {.expected = s};
    ck_assert_msg(pl_pcapng_read(path, &see, &seen, error, sizeof error) == 0, "%s", error);
    ck_assert_uint_eq(seen.groups, 2);
    ck_assert_uint_eq(seen.messages, s->n_trace);
    seen = (struct seen){.expected = s, .stop_after = 3};
    ck_assert_int_eq(pl_pcapng_read(path, &see, &seen, error, sizeof error), 77);
    ck_assert_uint_eq(seen.messages, 3);
    unlink(path);
    ck_assert_int_eq(pl_pcapng_read(path, &see, &seen, error, sizeof error), -ENOENT);
    ck_assert_ptr_nonnull(strstr(error, path));
    free(s);
}
END_TEST

START_TEST(pcapng_cut_anywhere_is_refused_or_shorter)
{
    size_t size;
    uint8_t *bytes = trace_bytes("virtio-msg-r1", &size);
    for (size_t cut = 1; cut < size; cut++) {
        struct seen seen = {0};
        char error[256] = "";
        int result = read_bytes(bytes, cut, &seen, error, sizeof error);
        ck_assert(result == 0 || result == -EINVAL);
        ck_assert_int_eq(result == 0, error[0] == '\0');
    }
    free(bytes);
}
END_TEST

START_TEST(pcapng_with_any_byte_changed_does_no_harm)
{
    static const uint8_t values[] = {0x00, 0x01, 0x04, 0x7f, 0x80, 0xff};
    size_t size;
    uint8_t *bytes = trace_bytes("virtio-msg-2025-06", &size);
    for (size_t at = 0; at < size; at++) {
        uint8_t was = bytes[at];
        for (size_t v = 0; v < sizeof values; v++) {
            struct seen seen = {0};
            char error[256] = "";
            bytes[at] = values[v];
            int result = read_bytes(bytes, size, &seen, error, sizeof error);
            ck_assert(result == 0 || (result == -EINVAL && strstr(error, "test.pcapng: byte ")));
        }
        bytes[at] = was;
    }
    free(bytes);
}
END_TEST

/* --- pcapng put together by hand --- */

struct raw {
    uint8_t bytes[4096];
    size_t size;
    bool big;
};

static void put(struct raw *raw, unsigned width, uint64_t value)
{
    for (unsigned i = 0; i < width; i++)
        raw->bytes[raw->size++] = (uint8_t)(value >> (8 * (raw->big ? width - 1 - i : i)));
}

static void put_section(struct raw *raw)
{
    put(raw, 4, 0x0A0D0D0A);
    put(raw, 4, 28);
    put(raw, 4, 0x1A2B3C4D);
    put(raw, 2, 1);
    put(raw, 2, 0);
    put(raw, 8, UINT64_MAX);
    put(raw, 4, 28);
}

static void put_interface(struct raw *raw, unsigned link, uint8_t resolution)
{
    put(raw, 4, 1);
    put(raw, 4, 28);
    put(raw, 2, link);
    put(raw, 2, 0);
    put(raw, 4, 0);
    put(raw, 2, 9);
    put(raw, 2, 1);
    put(raw, 1, resolution);
    put(raw, 3, 0);
    put(raw, 4, 28);
}

static void put_packet(struct raw *raw, uint32_t interface, uint32_t captured, uint32_t length,
                       uint32_t flags)
{
    put(raw, 4, 6);
    put(raw, 4, 48);
    put(raw, 4, interface);
    put(raw, 4, 0);
    put(raw, 4, 1);
    put(raw, 4, captured);
    put(raw, 4, length);
    put(raw, 8, 0);
    put(raw, 2, 2);
    put(raw, 2, 4);
    put(raw, 4, flags);
    put(raw, 4, 48);
}

static int read_raw(const struct raw *raw, const char *why)
{
    struct seen seen = {0};
    char error[256] = "";
    int result = read_bytes(raw->bytes, raw->size, &seen, error, sizeof error);
    if (why)
        ck_assert_msg(strstr(error, why) != NULL, "'%s' is not in '%s'", why, error);
    return result;
}

START_TEST(pcapng_of_either_byte_order_and_of_several_sections)
{
    struct raw raw = {0};
    for (unsigned section = 0; section < 3; section++) {
        raw.big = section == 1;
        put_section(&raw);
        put(&raw, 4, 0x0BADCAFE); /* unknown blocks are skipped */
        put(&raw, 4, 16);
        put(&raw, 4, 0);
        put(&raw, 4, 16);
        put_interface(&raw, 147, 9);
        put_packet(&raw, 0, 8, 8, 1 + section % 2);
    }
    struct seen seen = {0};
    char error[256] = "";
    ck_assert_msg(read_bytes(raw.bytes, raw.size, &seen, error, sizeof error) == 0, "%s", error);
    ck_assert_uint_eq(seen.groups, 3);
    ck_assert_uint_eq(seen.messages, 3);
}
END_TEST

START_TEST(pcapng_skips_a_large_unknown_block)
{
    const uint32_t large = 3u << 20;
    struct raw head = {0}, tail = {0};
    put_section(&head);
    put(&head, 4, 0x0BADCAFE);
    put(&head, 4, large);
    put(&tail, 4, large);
    put_interface(&tail, 147, 9);
    put_packet(&tail, 0, 8, 8, 1);
    size_t size = head.size + large - 12 + tail.size;
    uint8_t *bytes = calloc(1, size);
    ck_assert_ptr_nonnull(bytes);
    memcpy(bytes, head.bytes, head.size);
    memcpy(bytes + size - tail.size, tail.bytes, tail.size);
    struct seen seen = {0};
    char error[256] = "";
    ck_assert_msg(read_bytes(bytes, size, &seen, error, sizeof error) == 0, "%s", error);
    ck_assert_uint_eq(seen.messages, 1);
    bytes[size - tail.size] ^= 4;
    ck_assert_int_eq(read_bytes(bytes, size, &seen, error, sizeof error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "two lengths"));
    free(bytes);
}
END_TEST

START_TEST(pcapng_says_what_is_wrong)
{
    struct raw raw = {0};
    put_interface(&raw, 147, 9);
    ck_assert_int_eq(read_raw(&raw, "no section header"), -EINVAL);
    raw = (struct raw){0};
    put_section(&raw);
    put_interface(&raw, 1, 9);
    ck_assert_int_eq(read_raw(&raw, "byte 28: link type 1"), -EINVAL);
    static const struct {
        uint32_t interface, captured, length, flags;
        const char *why;
    } cases[] = {
        {1, 8, 8, 1, "interface 1"},        {0, 8, 8, 0, "without direction"},
        {0, 8, 8, 3, "without direction"},  {0, 21, 21, 1, "more than its block holds"},
        {0, UINT32_MAX, 8, 1, "its block"}, {0, 4, 8, 1, "cut short"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        raw = (struct raw){0};
        put_section(&raw);
        put_interface(&raw, 147, 9);
        put_packet(&raw, cases[i].interface, cases[i].captured, cases[i].length, cases[i].flags);
        ck_assert_int_eq(read_raw(&raw, cases[i].why), -EINVAL);
    }
}
END_TEST

START_TEST(pcapng_times_of_any_resolution)
{
    for (unsigned resolution = 0; resolution < 256; resolution++) {
        struct raw raw = {0};
        put_section(&raw);
        put_interface(&raw, 147, (uint8_t)resolution);
        put_packet(&raw, 0, 8, 8, 1);
        ck_assert_int_eq(read_raw(&raw, NULL), 0);
    }
}
END_TEST

START_TEST(pcapng_of_sizes_that_lie)
{
    static const uint32_t sizes[] = {0, 4, 8, 12, 13, 0xfffffffc, 0x40000000, 1048580};
    static const uint32_t types[] = {1, 3, 6, 0x0A0D0D0A, 0x12345678};
    for (size_t t = 0; t < sizeof types / sizeof types[0]; t++) {
        for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
            struct raw raw = {0};
            put_section(&raw);
            put(&raw, 4, types[t]);
            put(&raw, 4, sizes[i]);
            put(&raw, 4, sizes[i]);
            put(&raw, 8, 0);
            ck_assert_int_eq(read_raw(&raw, "test.pcapng: byte "), -EINVAL);
        }
    }
}
END_TEST

/* --- samples for other tools --- */

static FILE *sample_file(const char *folder, const char *spec, const char *suffix)
{
    char path[512];
    snprintf(path, sizeof path, "%s/%s.%s", folder, spec, suffix);
    FILE *out = fopen(path, "w");
    if (!out) {
        perror(path);
        exit(2);
    }
    return out;
}

static int write_samples(const char *folder)
{
    int result = 0;
    for (size_t i = 0; pl_specs[i]; i++) {
        const char *spec = pl_specs[i]->name;
        struct sample *s = sample_new(spec);
        FILE *json = sample_file(folder, spec, "json"), *xml = sample_file(folder, spec, "xml"),
             *text = sample_file(folder, spec, "txt");
        char path[512];
        result |= pl_report_json(&s->report, json) | pl_report_junit(&s->report, xml) |
                  pl_report_text(&s->report, text, false, true);
        result |= fclose(json) | fclose(xml) | fclose(text);
        snprintf(path, sizeof path, "%s/%s.pcapng", folder, spec);
        write_trace(s, path, "sample " NASTY);
        free(s);
    }
    return result != 0;
}

int main(int argc, char **argv)
{
    if (argc == 2)
        return write_samples(argv[1]);
    Suite *suite = suite_create("report");
    TCase *group = tcase_create("writers");
    tcase_add_test(group, names_are_those_of_the_schema);
    tcase_add_test(group, clean_text_spells_out_what_is_not_text);
    tcase_add_test(group, text_tells_everything);
    tcase_add_test(group, text_has_a_block_for_each_catalogue_and_type);
    tcase_add_test(group, text_without_other_types_is_silent_of_them);
    tcase_add_test(group, text_shows_a_clause_once_and_names_the_other_scenarios);
    tcase_add_test(group, text_verbose_lists_clauses_and_scenarios);
    tcase_add_test(group, text_of_a_conforming_run);
    tcase_add_test(group, an_empty_report_is_fine);
    tcase_add_test(group, json_has_the_keys_of_the_schema);
    tcase_add_test(group, json_holds_the_largest_seed);
    tcase_add_test(group, json_without_memory_is_an_error_and_no_leak);
    tcase_add_test(group, a_full_disk_is_an_error);
    tcase_add_test(group, junit_counts_and_escapes);
    suite_add_tcase(suite, group);
    group = tcase_create("pcapng");
    tcase_set_timeout(group, 300);
    tcase_add_test(group, pcapng_gives_back_what_was_written);
    tcase_add_test(group, pcapng_cut_anywhere_is_refused_or_shorter);
    tcase_add_test(group, pcapng_with_any_byte_changed_does_no_harm);
    tcase_add_test(group, pcapng_of_either_byte_order_and_of_several_sections);
    tcase_add_test(group, pcapng_skips_a_large_unknown_block);
    tcase_add_test(group, pcapng_says_what_is_wrong);
    tcase_add_test(group, pcapng_times_of_any_resolution);
    tcase_add_test(group, pcapng_of_sizes_that_lie);
    suite_add_tcase(suite, group);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
