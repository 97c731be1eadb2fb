/* Unit tests of scenarios: what is accepted, the one sentence for each mistake, and selection. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/scenario.h"

static char error[512];

static struct pl_scenarios *fresh(void)
{
    struct pl_scenarios *s = pl_scenarios_new(pl_spec_find("virtio-msg-r1"));
    ck_assert_ptr_nonnull(s);
    return s;
}

static bool add(struct pl_scenarios *s, const char *file, const char *text)
{
    struct pl_yaml_doc *doc = pl_yaml_load_memory(file, text, strlen(text), error, sizeof(error));
    ck_assert_msg(doc != NULL, "the test's own YAML: %s", error);
    error[0] = '\0';
    return pl_scenarios_add(s, doc, error, sizeof(error));
}

/* The sentence that adding or checking gives is exactly `want`, and there is one line of it. */
static void refused(const char *text, const char *want)
{
    struct pl_scenarios *s = fresh();
    bool ok = add(s, "f.yaml", text) && pl_scenarios_check(s, error, sizeof(error));
    ck_assert_msg(!ok, "accepted:\n%s", text);
    ck_assert_msg(strcmp(error, want) == 0, "got  '%s'\nwant '%s'", error, want);
    ck_assert_ptr_null(strchr(error, '\n'));
    pl_scenarios_free(s);
}

static void accepted(const char *text)
{
    struct pl_scenarios *s = fresh();
    ck_assert_msg(add(s, "f.yaml", text) && pl_scenarios_check(s, error, sizeof(error)),
                  "'%s' for:\n%s", error, text);
    pl_scenarios_free(s);
}

/* One scenario in six lines, so that its steps begin in line 7. */
#define HEAD                                                                                       \
    "section: \"GET_CONFIG/Device\"\n"                                                             \
    "scenarios:\n"                                                                                 \
    "  - name: one\n"                                                                              \
    "    clauses: [GCFG-DEV-01, CFG-DEV-02]\n"                                                     \
    "    needs: info.config_size >= 4\n"                                                           \
    "    steps:\n"
#define STEP(text) HEAD "      - " text "\n"

/* --- steps on virtqueues --- */

START_TEST(io_steps_are_read)
{
    struct pl_scenarios *s = fresh();
    ck_assert_msg(
        add(s, "f.yaml",
            STEP("ring: {queue: 0, size: 8}") "      - chain: {queue: 0, out: [4, [{u8: 1}, {u64: "
                                              "2}, {hex: \"00ff\"}], {random: 3, count: 9, "
                                              "times: 2}, {count: 7, times: 3}], in: [1, {count: "
                                              "2, times: 4}], as: x, indirect: 0}\n"
                                              "      - publish: {queue: 0}\n"
                                              "      - kick: {queue: 0, always: 1}\n"
                                              "      - await_used: {queue: 0, count: io.used, "
                                              "chain: x}\n"
                                              "      - idle: {queue: 0}\n"
                                              "      - notify: {queue: 0, when: at, ahead: "
                                              "io.u32(4)}\n"
                                              "      - poke: {addr: ring.desc + 8, fill: 3, count: "
                                              "4}\n") &&
            pl_scenarios_check(s, error, sizeof(error)),
        "'%s'", error);
    const struct pl_step *step = s->list[0].steps->step;
    ck_assert(s->list[0].rings);
    ck_assert_uint_eq(s->list[0].steps->n, 8);
    const struct pl_vq_step *io = step[1].io;
    ck_assert_str_eq(step[1].name, "x");
    ck_assert_uint_eq(io->n_buffers, 6);
    ck_assert(!io->buffer[0].device_writes && io->buffer[0].count && !io->buffer[0].n_pieces);
    ck_assert_uint_eq(io->buffer[1].n_pieces, 3);
    ck_assert_uint_eq(io->buffer[1].piece[1].width, 8);
    ck_assert_uint_eq(io->buffer[1].piece[2].hex_len, 2);
    ck_assert(io->buffer[2].times && io->buffer[2].piece[0].kind == PL_PIECE_RANDOM);
    ck_assert(io->buffer[3].times && io->buffer[3].count && !io->buffer[3].n_pieces);
    ck_assert(io->buffer[5].device_writes && io->buffer[5].times);
    ck_assert_int_eq(step[6].io->when, PL_WHEN_AT);
    ck_assert(step[7].io->buffer[0].piece[0].kind == PL_PIECE_FILL);
    pl_scenarios_free(s);
}
END_TEST

START_TEST(rings_are_said_or_seen)
{
    static const struct {
        const char *text;
        bool rings;
    } cases[] = {{STEP("fence"), false},
                 {STEP("kick: {queue: 0}"), true},
                 {STEP("repeat: 2\n        steps: [{idle: {queue: 0}}]"), true},
                 {STEP("if: 1\n        then: [fence]\n        else: [{idle: {queue: 0}}]"), true},
                 {STEP("fence") "    rings: true\n", true}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct pl_scenarios *s = fresh();
        ck_assert_msg(add(s, "f.yaml", cases[i].text), "'%s'", error);
        ck_assert_int_eq(s->list[0].rings, cases[i].rings);
        pl_scenarios_free(s);
    }
}
END_TEST

START_TEST(io_steps_that_are_wrong)
{
    refused(STEP("ring: {queue: 0}"), "f.yaml:7: key 'ring': 'size' is missing");
    refused(STEP("kick: 3"), "f.yaml:7: key 'kick': it has to be a mapping, not a single value");
    refused(STEP("kick: {queue: 0, size: 3}"),
            "f.yaml:7: key 'size': this key is unknown here; known are queue, always");
    refused(STEP("kick: {queue: nobody}"), "f.yaml:7: key 'steps': nobody knows the name 'nobody'");
    refused(STEP("chain: {queue: 0}"),
            "f.yaml:7: key 'chain': a chain has buffers in 'out' or 'in'");
    refused(STEP("chain: {queue: 0, in: 5}"),
            "f.yaml:7: key 'in': it has to be a list, not a single value");
    refused(STEP("chain: {queue: 0, in: [{times: 5}]}"), "f.yaml:7: key 'in': 'count' is missing");
    refused(STEP("chain: {queue: 0, in: [{u8: 5}]}"),
            "f.yaml:7: key 'u8': this key is unknown here; known are count, times");
    refused(STEP("chain: {queue: 0, out: [[{u24: 5}]]}"),
            "f.yaml:7: key 'u24': this key is unknown here; known are u8, u16, u32, u64, hex, "
            "fill, random, copy, count");
    refused(STEP("chain: {queue: 0, out: [[{fill: 5}]]}"),
            "f.yaml:7: key 'out': a piece of a buffer is one of u8, u16, u32, u64, hex, or fill, "
            "random or copy with count");
    refused(STEP("chain: {queue: 0, out: [[{hex: \"0g\"}]]}"),
            "f.yaml:7: key 'hex': '0g' is not pairs of hexadecimal digits");
    refused(STEP("chain: {queue: 0, out: [[{u32: here}]]}"),
            "f.yaml:7: key 'steps': nobody knows the name 'here'");
    refused(STEP("notify: {queue: 0}"), "f.yaml:7: key 'notify': 'when' is missing");
    refused(STEP("poke: {addr: 0}"), "f.yaml:7: key 'poke': a piece of a buffer is one of u8, u16, "
                                     "u32, u64, hex, or fill, random or copy with count");
    refused(STEP("poke: {u8: 0}"), "f.yaml:7: key 'poke': 'addr' is missing");
}
END_TEST

/* --- what is accepted, and what becomes of it --- */

static const char whole[] =
    "section: \"GET_CONFIG/Device\"\n"
    "procedures:\n"
    "  leaf: [GET_DEVICE_STATUS]\n"
    "  twig: [{call: leaf}, fence]\n"
    "scenarios:\n"
    "  - name: first\n"
    "    clauses: GCFG-DEV-01\n"
    "    given: twig\n"
    "    when: strict\n"
    "    with: {offset: [0, 1, info.config_size], n: [4]}\n"
    "    steps:\n"
    "      - GET_CONFIG: {offset: offset, length: n, _token: 7, _cut: 1}\n"
    "      - SET_CONFIG: {offset: 0, data: \"00fF10\"}\n"
    "      - SET_CONFIG: {data: [1, 2]}\n"
    "      - SET_CONFIG: {data: {fill: 1, count: 2}}\n"
    "      - SET_CONFIG: {data: {last: 0xff}}\n"
    "      - raw: \"0102\"\n"
    "      - let: {x: 1, y: x + 1}\n"
    "      - if: answered\n"
    "        then: [fence]\n"
    "        else: [{call: leaf}, await_reset]\n"
    "      - repeat: 3\n"
    "        steps: [GET_DEVICE_INFO]\n"
    "      - require: resp.length == 4\n"
    "      - expect: 1\n"
    "        clause: CFG-DEV-02\n"
    "      - control: \"needs-reset {dev}\"\n"
    "      - await_event\n"
    "      - GET_CONFIG: {_response: 1, generation: 3}\n"
    "      - GET_DEVICE_INFO:\n"
    "  - {name: second, section: Other, clauses: [CFG-DEV-03], steps: []}\n";

START_TEST(a_whole_file)
{
    static const enum pl_step_op ops[] = {
        PL_STEP_SEND,   PL_STEP_SEND,    PL_STEP_SEND,        PL_STEP_SEND,   PL_STEP_SEND,
        PL_STEP_RAW,    PL_STEP_LET,     PL_STEP_IF,          PL_STEP_REPEAT, PL_STEP_REQUIRE,
        PL_STEP_EXPECT, PL_STEP_CONTROL, PL_STEP_AWAIT_EVENT, PL_STEP_SEND,   PL_STEP_SEND};
    struct pl_scenarios *s = fresh();
    ck_assert_msg(add(s, "f.yaml", whole), "%s", error);
    ck_assert_msg(pl_scenarios_check(s, error, sizeof(error)), "%s", error);
    ck_assert_uint_eq(s->n, 2);
    const struct pl_scenario *one = &s->list[0];
    ck_assert_str_eq(one->name, "first");
    ck_assert_str_eq(one->section, "GET_CONFIG/Device");
    ck_assert_str_eq(s->list[1].section, "Other");
    ck_assert_str_eq(one->clauses[0], "GCFG-DEV-01");
    ck_assert_ptr_null(one->clauses[1]);
    ck_assert_str_eq(one->given[0], "twig");
    ck_assert_str_eq(pl_expr_text(one->when), "strict");
    ck_assert_ptr_null(one->needs);
    ck_assert_uint_eq(one->n_with, 2);
    ck_assert_uint_eq(one->with[0].n, 3);
    ck_assert_uint_eq(one->steps->n, sizeof(ops) / sizeof(ops[0]));
    for (size_t i = 0; i < one->steps->n; i++)
        ck_assert_msg(one->steps->step[i].op == ops[i], "step %zu is %d", i,
                      one->steps->step[i].op);
    pl_scenarios_free(s);
}
END_TEST

START_TEST(steps_hold_what_was_written)
{
    struct pl_scenarios *s = fresh();
    ck_assert_msg(add(s, "f.yaml", whole), "%s", error);
    const struct pl_step *step = s->list[0].steps->step;
    ck_assert_int_eq(step[0].def->kind, PL_GET_CONFIG);
    ck_assert_uint_eq(step[0].n_assign, 4);
    ck_assert_int_eq(step[0].assign[1].field, PL_F_length);
    ck_assert_int_eq(step[0].assign[2].field, PL_F_none);
    ck_assert_str_eq(step[0].assign[3].name, "_cut");
    ck_assert_uint_eq(step[0].at->line, 12);
    ck_assert_int_eq(step[1].data, PL_DATA_HEX);
    ck_assert_uint_eq(step[1].hex_len, 3);
    ck_assert_mem_eq(step[1].hex, "\x00\xff\x10", 3);
    ck_assert_int_eq(step[2].data, PL_DATA_LIST);
    ck_assert_uint_eq(step[2].n_items, 2);
    ck_assert_int_eq(step[3].data, PL_DATA_FILL);
    ck_assert_int_eq(step[4].data, PL_DATA_LAST);
    ck_assert_ptr_null(step[4].items[1]);
    ck_assert_uint_eq(step[5].hex_len, 2);
    ck_assert_str_eq(step[6].assign[1].name, "y");
    ck_assert_uint_eq(step[7].then->n, 1);
    ck_assert_uint_eq(step[7].otherwise->n, 2);
    ck_assert_uint_eq(step[8].then->n, 1);
    ck_assert_int_eq(step[10].clause, pl_clauses_index(s->clauses, "CFG-DEV-02"));
    ck_assert_str_eq(step[11].name, "needs-reset {dev}");
    ck_assert_int_eq(step[13].assign[1].field, PL_F_generation); /* the response's layout */
    ck_assert_uint_eq(step[14].n_assign, 0);
    ck_assert_ptr_nonnull(pl_scenarios_procedure(s, "leaf"));
    ck_assert_ptr_null(pl_scenarios_procedure(s, "lea"));
    pl_scenarios_free(s);
    pl_scenarios_free(NULL);
}
END_TEST

START_TEST(embedded_files_are_right)
{
    struct pl_scenarios *s = fresh();
    ck_assert_msg(pl_scenarios_add_embedded(s, error, sizeof(error)), "%s", error);
    ck_assert_msg(pl_scenarios_check(s, error, sizeof(error)), "%s", error);
    ck_assert_uint_gt(s->n, 10);
    ck_assert_ptr_nonnull(pl_scenarios_procedure(s, "features_ok"));
    for (size_t i = 0; i < s->n; i++) {
        bool robustness = s->list[i].drive && s->list[i].drive->illegal;
        ck_assert_msg(s->list[i].clauses[0] || robustness, "%s aims at nothing", s->list[i].name);
    }
    pl_scenarios_free(s);
}
END_TEST

/* --- mistakes of a file --- */

START_TEST(mistakes_of_a_file)
{
    refused("3\n", "f.yaml:1: a mapping with 'scenarios' is expected");
    refused("[1]\n", "f.yaml:1: a mapping with 'scenarios' is expected");
    refused("section: x\n", "f.yaml:1: neither 'scenarios' nor 'procedures' is there");
    refused("\nscenarios: 3\n", "f.yaml:2: key 'scenarios': a list of scenarios is expected");
    refused("scenarios: {a: 1}\n", "f.yaml:1: key 'scenarios': a list of scenarios is expected");
    refused("scenarios:\n  - 7\n", "f.yaml:2: key 'scenarios': a scenario is a mapping");
    refused("procedures: [a]\n", "f.yaml:1: key 'procedures': takes a mapping of names and steps");
    refused("procedures:\n  p: fence\n", "f.yaml:2: key 'p': a list of steps is expected");
    refused("procedures:\n  p:\n    - fencee\n",
            "f.yaml:3: key 'p': 'fencee' is neither a step nor a message of virtio-msg-r1");
    accepted("scenarios: []\n");
    accepted("procedures: {}\n");
}
END_TEST

/* These sentences are the YAML reader's; what counts is that place and key are there. */
static void refused_at(const char *text, const char *place, const char *key)
{
    struct pl_scenarios *s = fresh();
    ck_assert_msg(!add(s, "f.yaml", text), "accepted:\n%s", text);
    ck_assert_msg(strncmp(error, place, strlen(place)) == 0, "'%s' is not at '%s'", error, place);
    ck_assert_msg(strstr(error, key) != NULL, "'%s' lacks '%s'", error, key);
    pl_scenarios_free(s);
}

START_TEST(unknown_keys)
{
    refused_at("scenarios: []\nscenario: []\n", "f.yaml:2: ", "'scenario'");
    refused_at(HEAD "      - fence\n    step: []\n", "f.yaml:8: ", "'step'");
    refused_at(STEP("{raw: \"00\", call: x}"), "f.yaml:7: ", "'call'");
    refused_at(STEP("{expect: 1, clause: CFG-DEV-02, then: []}"), "f.yaml:7: ", "'then'");
    refused_at(STEP("{if: 1, then: [], steps: []}"), "f.yaml:7: ", "'steps'");
    refused_at(STEP("{repeat: 1, steps: [], else: []}"), "f.yaml:7: ", "'else'");
    refused_at(STEP("SET_CONFIG: {data: {fill: 1, count: 2, more: 3}}"), "f.yaml:7: ", "'more'");
    refused_at(STEP("SET_CONFIG: {data: {last: 1, fill: 2}}"), "f.yaml:7: ", "'fill'");
}
END_TEST

/* --- mistakes of a scenario --- */

START_TEST(mistakes_of_a_scenario)
{
    refused("scenarios:\n  - clauses: [CFG-DEV-02]\n    steps: []\n",
            "f.yaml:2: key 'scenarios': 'name' is missing");
    refused("scenarios:\n  - name: x\n    steps: []\n",
            "f.yaml:2: key 'scenarios': 'clauses' is missing");
    refused("scenarios:\n  - name: x\n    clauses: [CFG-DEV-02]\n",
            "f.yaml:2: key 'scenarios': 'steps' is missing");
    refused("scenarios:\n  - name: x\n    clauses: [CFG-DEV-02, NO-DEV-99]\n    steps: []\n",
            "f.yaml:3: key 'clauses': 'NO-DEV-99' is no clause of virtio-msg-r1");
    refused("scenarios:\n  - name: x\n    clauses: cfg-dev-02\n    steps: []\n",
            "f.yaml:3: key 'clauses': 'cfg-dev-02' is no clause of virtio-msg-r1");
    refused("scenarios:\n  - name: x\n    clauses: [CFG-DEV-02]\n    steps: fence\n",
            "f.yaml:4: key 'steps': a list of steps is expected");
    refused_at("scenarios:\n  - name: [x]\n    clauses: []\n", "f.yaml:2: ", "'name'");
    refused_at("scenarios:\n  - name: \"\"\n    clauses: []\n", "f.yaml:2: ", "'name'");
    refused_at("scenarios:\n  - name: x\n    section: {}\n    clauses: []\n",
               "f.yaml:3: ", "'section'");
    refused_at("scenarios:\n  - name: x\n    clauses: [[CFG-DEV-02]]\n", "f.yaml:3: ", "'clauses'");
    refused_at("section: [x]\nscenarios: []\n", "f.yaml:1: ", "'section'");
}
END_TEST

START_TEST(mistakes_of_expressions_and_parameters)
{
    static const char *const keys[] = {"when", "needs"};
    for (size_t i = 0; i < 2; i++) {
        char text[256], want[256];
        snprintf(text, sizeof(text),
                 "scenarios:\n  - name: x\n    clauses: CFG-DEV-02\n    %s: 1 +\n    steps: []\n",
                 keys[i]);
        snprintf(want, sizeof(want), "f.yaml:4: key '%s': something is missing at ''", keys[i]);
        refused(text, want);
    }
#define WITH(text)                                                                                 \
    "scenarios:\n  - name: x\n    clauses: CFG-DEV-02\n    with: " text "\n    steps: []\n"
    refused(WITH("[1]"), "f.yaml:4: key 'with': takes a mapping of names and lists of values");
    refused(WITH("{a: 1}"), "f.yaml:4: key 'a': a parameter has a list of values");
    refused(WITH("{a: []}"), "f.yaml:4: key 'a': a parameter has a list of values");
    refused(WITH("{a: [1, \"(\"]}"), "f.yaml:4: key 'a': something is missing at ''");
    refused(STEP("let: 3"), "f.yaml:7: key 'let': takes a mapping of names and expressions");
    refused(STEP("let: {a: \"1 1\"}"), "f.yaml:7: key 'a': more than one expression at '1'");
    refused(STEP("require: \"(1\""), "f.yaml:7: key 'require': ')' is missing at ''");
    refused_at(STEP("require: [1]"), "f.yaml:7: ", "'require'");
    refused_at(STEP("let: {a: {}}"), "f.yaml:7: ", "'a'");
#undef WITH
}
END_TEST

START_TEST(duplicate_scenarios)
{
    const char *one = "scenarios:\n  - {name: x, clauses: CFG-DEV-02, steps: []}\n";
    refused("scenarios:\n  - {name: x, clauses: CFG-DEV-02, steps: []}\n"
            "  - {name: x, clauses: CFG-DEV-02, steps: []}\n",
            "f.yaml:3: key 'name': 'x' stands in f.yaml already");
    struct pl_scenarios *s = fresh();
    ck_assert(add(s, "a.yaml", one));
    ck_assert(!add(s, "b.yaml", one));
    ck_assert_str_eq(error, "b.yaml:2: key 'name': 'x' stands in a.yaml already");
    pl_scenarios_free(s);
}
END_TEST

/* --- mistakes of a step --- */

START_TEST(mistakes_of_a_step)
{
    refused(
        STEP("GET_NOTHING"),
        "f.yaml:7: key 'steps': 'GET_NOTHING' is neither a step nor a message of virtio-msg-r1");
    refused(STEP("GET_NOTHING: {}"),
            "f.yaml:7: key 'GET_NOTHING': is neither a step nor a message of virtio-msg-r1");
    refused(STEP("{GET_DEVICE_INFO: , GET_DEVICE_STATUS: }"),
            "f.yaml:7: key 'GET_DEVICE_INFO': is neither a step nor a message of virtio-msg-r1");
    refused(STEP("[fence]"), "f.yaml:7: key 'steps': a step is a word or a mapping");
    refused(STEP("{}"), "f.yaml:7: key 'steps': a step is a word or a mapping");
    refused(STEP("GET_CONFIG: 3"),
            "f.yaml:7: key 'GET_CONFIG': a message takes a mapping of fields");
    refused(STEP("GET_CONFIG: {ofset: 0}"),
            "f.yaml:7: key 'ofset': GET_CONFIG has no field of this name");
    refused(STEP("GET_CONFIG: {data: [1]}"),
            "f.yaml:7: key 'data': GET_CONFIG has no field of this name");
    refused(STEP("GET_CONFIG: {_cutt: 1}"),
            "f.yaml:7: key '_cutt': GET_CONFIG has no field of this name");
    refused(STEP("GET_CONFIG: {offset: \"\"}"), "f.yaml:7: key 'offset': it has no value");
    refused(STEP("{if: 1}"), "f.yaml:7: key 'steps': 'then' is missing");
    refused(STEP("{repeat: 2}"), "f.yaml:7: key 'steps': 'steps' is missing");
    refused(STEP("{repeat: 2, steps: fence}"),
            "f.yaml:7: key 'steps': a list of steps is expected");
    refused(STEP("{expect: 1}"), "f.yaml:7: key 'steps': an expectation names its 'clause'");
    refused(STEP("{expect: 1, clause: X}"),
            "f.yaml:7: key 'clause': 'X' is no clause of virtio-msg-r1");
    refused_at(STEP("call: [a]"), "f.yaml:7: ", "'call'");
    refused_at(STEP("control: {}"), "f.yaml:7: ", "'control'");
    refused_at(STEP("raw: [1]"), "f.yaml:7: ", "'raw'");
}
END_TEST

START_TEST(mistakes_of_bytes)
{
    static const char *const bad[] = {"0", "012", "0g", "0x12", "00 11", "-1", "+1", " 1"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char text[512], want[256];
        snprintf(text, sizeof(text), STEP("raw: \"%s\""), bad[i]);
        snprintf(want, sizeof(want), "f.yaml:7: key 'raw': '%s' is not pairs of hexadecimal digits",
                 bad[i]);
        refused(text, want);
        snprintf(text, sizeof(text), STEP("SET_CONFIG: {data: \"%s\"}"), bad[i]);
        snprintf(want, sizeof(want),
                 "f.yaml:7: key 'data': '%s' is not pairs of hexadecimal digits", bad[i]);
        refused(text, want);
    }
    refused(STEP("SET_CONFIG: {data: {fill: 1}}"),
            "f.yaml:7: key 'data': has 'fill' and 'count', or 'last'");
    refused(STEP("SET_CONFIG: {data: {count: 1}}"),
            "f.yaml:7: key 'data': has 'fill' and 'count', or 'last'");
    refused(STEP("SET_CONFIG: {data: [1, \"2 3\"]}"),
            "f.yaml:7: key 'data': more than one expression at '3'");
}
END_TEST

/* A mistake deep inside is told with its own line. */
START_TEST(mistakes_inside_branches)
{
    refused(HEAD "      - if: 1\n"
                 "        then:\n"
                 "          - repeat: 2\n"
                 "            steps:\n"
                 "              - fence\n"
                 "              - GET_VQUEUE: {index: 0, size: 3}\n",
            "f.yaml:12: key 'size': GET_VQUEUE has no field of this name");
    refused(HEAD "      - if: 1\n"
                 "        then: []\n"
                 "        else:\n"
                 "          - call: nowhere\n",
            "f.yaml:10: key 'else': there is no procedure 'nowhere'");
    refused(HEAD "      - repeat: 1\n"
                 "        steps: [{call: nowhere}]\n",
            "f.yaml:8: key 'steps': there is no procedure 'nowhere'");
}
END_TEST

/* --- procedures --- */

START_TEST(procedures_that_are_not_there)
{
    refused(STEP("call: nowhere"), "f.yaml:7: key 'steps': there is no procedure 'nowhere'");
    refused("scenarios:\n  - {name: x, clauses: CFG-DEV-02, given: [nowhere], steps: []}\n",
            "f.yaml:2: key 'given': scenario 'x': there is no procedure 'nowhere'");
    refused("procedures:\n  p: [{call: nowhere}]\n", /* though nobody calls it */
            "f.yaml:2: key 'p': there is no procedure 'nowhere'");
    struct pl_scenarios *s = fresh(); /* another file may bring it */
    ck_assert(add(s, "a.yaml", STEP("call: later")));
    ck_assert(!pl_scenarios_check(s, error, sizeof(error)));
    ck_assert(add(s, "b.yaml", "procedures: {later: [fence]}\n"));
    ck_assert_msg(pl_scenarios_check(s, error, sizeof(error)), "%s", error);
    pl_scenarios_free(s);
}
END_TEST

START_TEST(procedures_that_call_themselves)
{
    refused("procedures:\n  p:\n    - call: p\n"
            "scenarios:\n  - {name: x, clauses: CFG-DEV-02, given: p, steps: []}\n",
            "f.yaml:3: key 'p': procedure 'p' calls itself, or too many others");
    refused("procedures:\n  p: [{call: p}]\n", /* though nobody calls it */
            "f.yaml:2: key 'p': procedure 'p' calls itself, or too many others");
    struct pl_scenarios *s = fresh();
    ck_assert(add(s, "f.yaml",
                  "procedures:\n"
                  "  p: [{if: 1, then: [fence], else: [{call: q}]}]\n"
                  "  q: [{repeat: 1, steps: [{call: p}]}]\n"
                  "scenarios:\n"
                  "  - {name: x, clauses: CFG-DEV-02, steps: [{call: q}]}\n"));
    ck_assert(!pl_scenarios_check(s, error, sizeof(error)));
    ck_assert_msg(strstr(error, "calls itself") != NULL, "%s", error);
    ck_assert_int_eq(strncmp(error, "f.yaml:", 7), 0);
    pl_scenarios_free(s);
}
END_TEST

/* Each of 16 calls the next one twenty times: no circle, and it would never end. */
START_TEST(procedures_that_multiply)
{
    char text[8192] = "procedures:\n", *p = text + strlen(text);
    for (int i = 0; i < 15; i++) {
        p += sprintf(p, "  p%d: [fence", i);
        for (int k = 0; k < 20; k++)
            p += sprintf(p, ", {call: p%d}", i + 1);
        p += sprintf(p, "]\n");
    }
    strcpy(p, "  p15: [fence]\n");
    struct pl_scenarios *s = fresh();
    ck_assert_msg(add(s, "f.yaml", text), "%s", error);
    ck_assert(!pl_scenarios_check(s, error, sizeof(error)));
    ck_assert_msg(strstr(error, "or too many others") != NULL, "%s", error);
    pl_scenarios_free(s);
}
END_TEST

START_TEST(duplicate_procedures)
{
    struct pl_scenarios *s = fresh();
    ck_assert(add(s, "a.yaml", "procedures: {p: [fence]}\n"));
    ck_assert(!add(s, "b.yaml", "procedures:\n  p: [fence]\n"));
    ck_assert_str_eq(error, "b.yaml:2: key 'p': is a procedure already");
    pl_scenarios_free(s);
}
END_TEST

/* Names are known where any file sets them, and fields where any message has them. */
START_TEST(names_that_nobody_knows)
{
    refused(STEP("require: nobody"), "f.yaml:7: key 'steps': nobody knows the name 'nobody'");
    refused(STEP("require: resp.lenght"),
            "f.yaml:7: key 'steps': nobody knows the name 'resp.lenght'");
    refused(STEP("require: sqrt(4)"), "f.yaml:7: key 'steps': nobody knows the name 'sqrt()'");
    refused(STEP("GET_CONFIG: {offset: nobody}"),
            "f.yaml:7: key 'steps': nobody knows the name 'nobody'");
    refused(STEP("SET_CONFIG: {data: [nobody]}"),
            "f.yaml:7: key 'steps': nobody knows the name 'nobody'");
    refused("scenarios:\n  - {name: x, clauses: CFG-DEV-02, needs: info.speed, steps: []}\n",
            "f.yaml:2: key 'scenarios': nobody knows the name 'info.speed'");
    refused("scenarios:\n  - {name: x, clauses: CFG-DEV-02, with: {a: [b]}, steps: []}\n",
            "f.yaml:2: key 'scenarios': nobody knows the name 'b'");
    refused("procedures:\n  p: [{require: nobody}]\n",
            "f.yaml:2: key 'p': nobody knows the name 'nobody'");
    accepted("procedures:\n  p: [{let: {later: F_VERSION_1}}]\n"
             "scenarios:\n"
             "  - {name: x, clauses: CFG-DEV-02, with: {a: ['min(1, dev)']}, given: p,\n"
             "     steps: [{require: later + $a + resp.size + info.config_size}]}\n");
}
END_TEST

START_TEST(what_is_too_much)
{
    char want[200], *text = calloc(1, 200000);
    ck_assert_ptr_nonnull(text);
    char *p = text + sprintf(text, "scenarios:\n  - name: x\n    clauses: CFG-DEV-02\n"
                                   "    with:\n      a: [");
    for (int i = 0; i < 100; i++)
        p += sprintf(p, "%d,", i);
    p += sprintf(p, "]\n      b: [");
    for (int i = 0; i < 101; i++)
        p += sprintf(p, "%d,", i);
    sprintf(p, "]\n    steps: []\n");
    refused(text, "f.yaml:5: key 'with': the parameters have more than 10000 combinations");
    p = text + sprintf(text, HEAD "      - raw: \"");
    memset(p, '0', 2 * (PL_MSG_MAX + 1));
    strcpy(p + 2 * (PL_MSG_MAX + 1), "\"\n");
    snprintf(want, sizeof(want), "f.yaml:7: key 'raw': is %u bytes, a message has %u at most",
             PL_MSG_MAX + 1, PL_MSG_MAX);
    refused(text, want);
    free(text);
}
END_TEST

/* The same procedure called from many places is not a circle. */
START_TEST(procedures_may_share)
{
    accepted("procedures:\n"
             "  a: [fence]\n"
             "  b: [{call: a}, {call: a}]\n"
             "  c: [{call: b}, {call: a}, {call: b}]\n"
             "scenarios:\n"
             "  - {name: x, clauses: CFG-DEV-02, given: [a, b, c], steps: [{call: c}]}\n");
}
END_TEST

/* --- selection --- */

static bool selects(const char *pattern)
{
    static const char *clauses[] = {"GCFG-DEV-01", "CFG-DEV-02", NULL};
    struct pl_scenario scenario = {
        .name = "config-read-twice", .section = "GET_CONFIG/Device", .clauses = clauses};
    return pl_scenario_selected(&scenario, pattern);
}

/* --- drivers --- */

/* A scenario of a driver's; more of its keys stand from line 5 on. */
#define DRIVE(text)                                                                                \
    "role: driver\n"                                                                               \
    "scenarios:\n"                                                                                 \
    "  - name: one\n"                                                                              \
    "    clauses: [HDR-DRV-05]\n" text

START_TEST(lives_and_steps)
{
    const char *together =
        "f.yaml:3: key 'scenarios': 'steps' and a line 'steps' in 'life' belong together";
    accepted(DRIVE("    life: [\"start {dev}\", steps, \"stop {dev}\"]\n"
                   "    steps: [{EVENT_USED: {vq_index: 0}}]\n"));
    refused(DRIVE("    steps: [{EVENT_USED: {vq_index: 0}}]\n"), together);
    refused(DRIVE("    life: [\"start {dev}\"]\n"
                  "    steps: [{EVENT_USED: {vq_index: 0}}]\n"),
            together);
    refused(DRIVE("    life: [\"start {dev}\", steps]\n"), together);
}
END_TEST

START_TEST(moments_and_what_happens_there)
{
    static const char *const keys[] = {"when: 1",        "all: true",  "before: []",
                                       "after: []",      "lose: true", "twice: true",
                                       "withhold: true", "late: 1",    "fail: FAILURE_TIMEOUT"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char text[256], want[128];
        int n = (int)strcspn(keys[i], ":");
        snprintf(text, sizeof(text), DRIVE("    %s\n"), keys[i]);
        snprintf(want, sizeof(want), "f.yaml:5: key '%.*s': needs a moment: 'at'", n, keys[i]);
        refused(text, want);
    }
    refused(DRIVE("    at: EVENT_USED\n"),
            "f.yaml:5: key 'at': 'EVENT_USED' is no message of a driver in virtio-msg-r1");
    refused(DRIVE("    at: GET_CONFIG\n    lose: true\n    late: 1\n"),
            "f.yaml:3: key 'scenarios': 'lose', 'late' and 'fail' exclude each other");
}
END_TEST

START_TEST(what_is_withheld)
{
    static const char *const keys[] = {"answer: {_pad: 4}", "request: {offset: 1}", "lose: true",
                                       "late: 1", "twice: true"};
    accepted(DRIVE("    at: GET_CONFIG\n    withhold: true\n"));
    accepted(DRIVE("    at: GET_CONFIG\n    withhold: true\n    fail: FAILURE_TIMEOUT\n"));
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        char text[256];
        snprintf(text, sizeof(text), DRIVE("    at: GET_CONFIG\n    withhold: true\n    %s\n"),
                 keys[i]);
        refused(text, "f.yaml:3: key 'scenarios': what is withheld has no answer that anything "
                      "could happen to");
    }
}
END_TEST

START_TEST(what_is_changed)
{
    const char *header = "f.yaml:5: key 'device_status': 'event' changes what stands in the header";
    accepted(DRIVE("    event: {_token: 7, _type: 0xfc}\n"));
    refused(DRIVE("    event: {device_status: 7}\n"), header);
    refused_at(DRIVE("    event: {_nothing: 7}\n"), "f.yaml:5: ", "'_nothing'");
    refused_at(DRIVE("    event: 7\n"), "f.yaml:5: ", "'event'");
    refused(DRIVE("    answer: {generation: 7}\n"),
            "f.yaml:5: key 'answer': needs 'at' with a message that has an answer");
    refused(DRIVE("    at: EVENT_AVAIL\n    answer: {generation: 7}\n"),
            "f.yaml:6: key 'answer': needs 'at' with a message that has an answer");
    refused_at(DRIVE("    at: GET_CONFIG\n    answer: {index: 7}\n"), "f.yaml:6: ", "'index'");
    refused_at(DRIVE("    device: {no_such_option: 7}\n"), "f.yaml:5: ", "no_such_option");
    refused(DRIVE("    works: NO-DRV-99\n"),
            "f.yaml:5: key 'works': 'NO-DRV-99' is no clause of virtio-msg-r1");
}
END_TEST

START_TEST(selection)
{
    static const char *const yes[] = {
        "config-read-twice", "config-*",           "*",
        "config-read-twic?", "GET_CONFIG",         "GET_CONFIG/Device",
        "GET_CONFIG/*",      "CFG-DEV-02",         "GCFG-DEV-*",
        "*-DEV-0[12]",       "nothing,CFG-DEV-02", "CFG-DEV-02,nothing",
        ",,GET_CONFIG,"};
    static const char *const no[] = {
        "",          ",",          "config-read", "GET_CONF",          "GET_CONFIG/", "Device",
        "CFG-DEV-0", "cfg-dev-02", "config-?",    "GET_CONFIG/Driver", "SET_CONFIG",  "x,y,z"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++)
        ck_assert_msg(selects(yes[i]), "'%s' does not select", yes[i]);
    for (size_t i = 0; i < sizeof(no) / sizeof(no[0]); i++)
        ck_assert_msg(!selects(no[i]), "'%s' selects", no[i]);
    ck_assert(!selects(NULL));
    char longest[2000];
    memset(longest, 'x', sizeof(longest));
    longest[sizeof(longest) - 1] = '\0';
    ck_assert(!selects(longest));
    memcpy(longest + 1000, ",CFG-DEV-02,", 12);
    ck_assert(selects(longest));
}
END_TEST

/* --- damage: any line left out, any byte altered --- */

static void try_text(const char *text, size_t n)
{
    struct pl_yaml_doc *doc = pl_yaml_load_memory("f.yaml", text, n, error, sizeof(error));
    if (!doc)
        return;
    struct pl_scenarios *s = fresh();
    error[0] = '\0';
    bool ok = pl_scenarios_add(s, doc, error, sizeof(error)) &&
              pl_scenarios_check(s, error, sizeof(error));
    ck_assert_msg(ok || (strncmp(error, "f.yaml:", 7) == 0 && !strchr(error, '\n')), "'%s'", error);
    pl_scenarios_free(s);
}

START_TEST(damage)
{
    static const char bytes[] = "{}[]:,-#\"x0 \n&*";
    char text[sizeof(whole)];
    size_t n = sizeof(whole) - 1;
    for (size_t i = 0; i < n; i++) {
        memcpy(text, whole, n);
        for (size_t k = 0; k < sizeof(bytes) - 1; k++) {
            text[i] = bytes[k];
            try_text(text, n);
        }
        try_text(whole, i);
        const char *end = memchr(whole + i, '\n', n - i);
        if ((i == 0 || whole[i - 1] == '\n') && end) {
            memcpy(text, whole, i);
            memcpy(text + i, end + 1, n - (size_t)(end + 1 - whole));
            try_text(text, n - (size_t)(end + 1 - whole) + i);
        }
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("scenario");
    TCase *c = tcase_create("scenarios");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, a_whole_file);
    tcase_add_test(c, steps_hold_what_was_written);
    tcase_add_test(c, embedded_files_are_right);
    tcase_add_test(c, mistakes_of_a_file);
    tcase_add_test(c, unknown_keys);
    tcase_add_test(c, mistakes_of_a_scenario);
    tcase_add_test(c, mistakes_of_expressions_and_parameters);
    tcase_add_test(c, duplicate_scenarios);
    tcase_add_test(c, mistakes_of_a_step);
    tcase_add_test(c, mistakes_of_bytes);
    tcase_add_test(c, mistakes_inside_branches);
    tcase_add_test(c, procedures_that_are_not_there);
    tcase_add_test(c, procedures_that_call_themselves);
    tcase_add_test(c, procedures_that_multiply);
    tcase_add_test(c, duplicate_procedures);
    tcase_add_test(c, names_that_nobody_knows);
    tcase_add_test(c, what_is_too_much);
    tcase_add_test(c, procedures_may_share);
    tcase_add_test(c, selection);
    tcase_add_test(c, damage);
    tcase_add_test(c, lives_and_steps);
    tcase_add_test(c, moments_and_what_happens_there);
    tcase_add_test(c, what_is_withheld);
    tcase_add_test(c, what_is_changed);
    tcase_add_test(c, io_steps_are_read);
    tcase_add_test(c, rings_are_said_or_seen);
    tcase_add_test(c, io_steps_that_are_wrong);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
