/* What plain fuzzers are given in tests/bench_fuzz.py: bytes that are messages, and the same peers
 * and judge that cases run with. An input is messages, each behind a byte with its size; of a bus
 * the byte's highest bit says which side it goes into. */
#include <stdlib.h>
#include <string.h>

#include "fuzz/exec.h"

enum { SIZE_MASK = 0x7f };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Engines call plain functions: what they share lives here. */
static struct {
    struct pl_exec *exec;
    struct pl_case c;
    const struct pl_clauses *clauses;
    const char *only; /* clauses, separated by commas: breaking one of these ends the program */
} state;

static void open_exec(void)
{
    char error[256];
    const char *role = getenv("PLUMBLINE_FUZZ_ROLE");
    pl_case_init(&state.c, NULL, pl_iut_of(role ? role : "device"));
    const struct pl_exec_options options = {.spec = state.c.spec,
                                            .role = state.c.role,
                                            .warnings = true,
                                            .mutant = getenv("PLUMBLINE_FUZZ_MUTANT")};
    state.clauses = pl_clauses_find(state.c.spec);
    state.only = getenv("PLUMBLINE_FUZZ_ONLY");
    state.exec = pl_exec_new(&options, error, sizeof(error));
    if (state.exec)
        return;
    fprintf(stderr, "plumbline: %s\n", error);
    exit(2);
}

static bool is_wanted(const char *id)
{
    size_t n = strlen(id);
    for (const char *at = state.only; at && *at; at += strcspn(at, ","), at += *at == ',')
        if (strncmp(at, id, n) == 0 && (at[n] == ',' || !at[n]))
            return true;
    return false;
}

static void make_case(const uint8_t *data, size_t size)
{
    struct pl_case *c = &state.c;
    c->n = 0;
    if (c->role == PL_IUT_DRIVER) { /* one that does nothing sends nothing */
        c->action[c->n++] = (struct pl_action){.op = PL_ACT_START};
        c->action[c->n++] = (struct pl_action){.op = PL_ACT_IO};
    }
    while (size && c->n < PL_CASE_ACTIONS) {
        size_t n = *data & SIZE_MASK;
        struct pl_action *a = &c->action[c->n++];
        *a = (struct pl_action){.op = PL_ACT_RAW, .has_data = true};
        if (c->role == PL_IUT_BUS && *data > SIZE_MASK)
            pl_action_set(a, PL_ARG_FAR_SIDE, PL_VALUE_NUMBER, 1);
        data++;
        size--;
        n = n < size ? n : size;
        n = n < PL_CASE_DATA ? n : PL_CASE_DATA;
        memcpy(a->data, data, n);
        a->data_len = (uint8_t)n;
        data += n;
        size -= n;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct pl_exec_result result;
    if (!state.exec)
        open_exec();
    make_case(data, size);
    pl_exec_run(state.exec, &state.c, &result);
    for (unsigned i = 0; i < result.n_findings; i++) {
        const struct pl_exec_finding *f = &result.finding[i];
        if (f->clause >= 0 && is_wanted(pl_clauses_get(state.clauses, (size_t)f->clause)->id))
            abort();
    }
    return 0;
}
