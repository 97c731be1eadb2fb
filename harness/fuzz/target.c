/* In-process fuzzing as the public header offers it: one executor a process, whose counters are
 * those of the engine that the process is linked with. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "fuzz/exec.h"
#include "fuzz/mutate.h"
#include "wire/random.h"

/* libFuzzer takes what stands in this section for coverage, and clears it ahead of each input. */
__attribute__((section("__libfuzzer_extra_counters"), used)) static uint8_t extra[PL_FEEDBACK_MAX];
/* Where AFL++'s map and its size are, NULL without AFL++. Its compiler gives each module variables
 * of these names, which C that names them would be in the way of. */
__asm__(".pushsection .data.rel,\"aw\"\n"
        ".weak __afl_area_ptr, __afl_map_size\n"
        ".balign 16\n"
        "pl_afl_map: .dc.a __afl_area_ptr\n"
        "pl_afl_size: .dc.a __afl_map_size\n"
        ".popsection\n");
extern uint8_t **pl_afl_map;
extern uint32_t *pl_afl_size;

/* The engines call plain functions: what they share lives here, made with the first call. */
static struct {
    struct pl_exec *exec;
    struct pl_case one, two, made;
    uint8_t bytes[PL_CASE_BYTES_MAX];
    char text[PL_CASE_TEXT_MAX];
} state;

static void refuse(const char *what)
{
    fprintf(stderr, "plumbline: %s\n", what);
    exit(2);
}

static const struct pl_spec *spec_of(const struct pl_target *target)
{
    const struct pl_spec *spec = target->spec ? pl_spec_find(target->spec) : NULL;
    if (target->spec && !spec)
        refuse("the target names a specification that is unknown");
    if (spec)
        return spec;
    pl_case_init(&state.made, NULL, PL_IUT_DEVICE);
    return state.made.spec;
}

static void open_exec(const struct pl_target *target)
{
    char error[256];
    const struct pl_exec_options options = {.spec = spec_of(target),
                                            .role = pl_iut_of(target->role),
                                            .mutant = target->mutant,
                                            .endpoint = target->endpoint,
                                            .bus_endpoint = target->bus,
                                            .config = target->config,
                                            .devices = target->devices,
                                            .n_devices = target->n_devices};
    state.exec = pl_exec_new(&options, error, sizeof(error));
    if (!state.exec)
        refuse(error);
}

/* A case of the target's role: that its bytes name another one is of no matter. */
static void decode(const struct pl_target *target, struct pl_case *c, const uint8_t *bytes,
                   size_t size)
{
    size_t n = size < sizeof(state.bytes) ? size : sizeof(state.bytes);
    memcpy(state.bytes, bytes, n);
    if (n)
        state.bytes[0] = (uint8_t)pl_iut_of(target->role);
    pl_case_decode(c, state.bytes, n);
    if (!n)
        pl_case_init(c, NULL, pl_iut_of(target->role));
}

static void feed(const struct pl_exec_result *result)
{
    uint32_t afl = pl_afl_map && pl_afl_size ? *pl_afl_size : 0;
    for (size_t i = 0; i < result->n_seen; i++) {
        extra[result->seen[i]] = 1;
        if (afl)
            (*pl_afl_map)[(result->seen[i] * UINT32_C(2654435761)) % afl]++;
    }
}

static void tell(const struct pl_exec_result *result)
{
    const struct pl_clauses *clauses = pl_clauses_find(state.one.spec);
    for (unsigned i = 0; i < result->n_findings; i++) {
        const struct pl_exec_finding *f = &result->finding[i];
        const struct pl_clause_def *def =
            f->clause >= 0 ? pl_clauses_get(clauses, (size_t)f->clause) : NULL;
        fprintf(stderr,
                "FINDING %s: %s (device status %s, at %s, action %u, message %" PRIu64 ")\n",
                def ? def->id : pl_finding_kind_name(f->kind), f->text, f->state,
                f->message ? pl_kind_names[f->message] : "an unknown message", f->action + 1,
                f->number);
        if (def)
            fprintf(stderr, "  required: %s\n", def->text);
    }
    pl_case_format(&state.one, state.text, sizeof(state.text));
    fputs(state.text, stderr);
}

int pl_fuzz_one(const struct pl_target *target, const uint8_t *bytes, size_t size)
{
    struct pl_exec_result result;
    if (!state.exec)
        open_exec(target);
    decode(target, &state.one, bytes, size);
    pl_exec_run(state.exec, &state.one, &result);
    feed(&result);
    if (result.n_findings) {
        tell(&result);
        abort();
    }
    return 0;
}

static size_t encode(const struct pl_case *c, uint8_t *out, size_t most)
{
    size_t n = pl_case_encode(c, state.bytes, sizeof(state.bytes));
    n = n < most ? n : most; /* what is cut off is another case */
    memcpy(out, state.bytes, n);
    return n;
}

size_t pl_fuzz_mutate(const struct pl_target *target, uint8_t *bytes, size_t size, size_t most,
                      unsigned seed)
{
    uint64_t random = pl_random_from(seed);
    decode(target, &state.made, bytes, size);
    if (state.made.n)
        pl_mutate(&state.made, &random);
    else
        pl_mutate_new(&state.made, spec_of(target), pl_iut_of(target->role), &random);
    return encode(&state.made, bytes, most);
}

size_t pl_fuzz_cross(const struct pl_target *target, const uint8_t *first, size_t first_size,
                     const uint8_t *second, size_t second_size, uint8_t *out, size_t most,
                     unsigned seed)
{
    uint64_t random = pl_random_from(seed);
    decode(target, &state.one, first, first_size);
    decode(target, &state.two, second, second_size);
    pl_mutate_cross(&state.made, &state.one, &state.two, &random);
    return encode(&state.made, out, most);
}
