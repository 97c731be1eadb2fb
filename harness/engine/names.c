/* Names of expressions: what each can stand for, and the numbers that they get. */
#include "engine/names.h"

#include <stdlib.h>
#include <string.h>

#include "engine/dimension.h"

enum { SLOTS_MIN = 1024 };

/* --- meanings --- */

static const char *const words[PL_WORDS] = {
    [PL_WORD_MAX_MSG_SIZE] = "max_msg_size",
    [PL_WORD_PLAIN_SIZE] = "plain_size",
    [PL_WORD_STRICT] = "strict",
    [PL_WORD_EXHAUSTIVE] = "exhaustive",
    [PL_WORD_OUTSTANDING] = "outstanding",
    [PL_WORD_DEV] = "dev",
    [PL_WORD_MEM_BASE] = "mem_base",
    [PL_WORD_MEM_SIZE] = "mem_size",
    [PL_WORD_HAS_CONTROL] = "has_control",
    [PL_WORD_CONTROL_OK] = "control_ok",
    [PL_WORD_ANSWERED] = "answered",
    [PL_WORD_ANNOUNCED] = "announced",
    [PL_WORD_REACHED] = "reached",
    [PL_WORD_AT] = "at",
    [PL_WORD_TOLD_STATUS] = "told_status",
    [PL_WORD_TOLD_GENERATION] = "told_generation",
    [PL_WORD_RING_DESC] = "ring.desc",
    [PL_WORD_RING_DRIVER] = "ring.driver",
    [PL_WORD_RING_DEVICE] = "ring.device",
    [PL_WORD_RING_SIZE] = "ring.size",
    [PL_WORD_RING_ROOM] = "ring.room",
    [PL_WORD_RING_HELD] = "ring.held",
    [PL_WORD_RING_NEXT] = "ring.next",
    [PL_WORD_IO_OK] = "io.ok",
    [PL_WORD_IO_USED] = "io.used",
    [PL_WORD_IO_EVENTS] = "io.events",
    [PL_WORD_IO_WRITTEN] = "io.written",
    [PL_WORD_IO_LENGTH] = "io.length",
    [PL_WORD_IO_OUT] = "io.out",
    [PL_WORD_IO_IN] = "io.in",
    [PL_WORD_IO_TABLE] = "io.table",
    [PL_CALL_MIN] = "min()",
    [PL_CALL_MAX] = "max()",
    [PL_CALL_IF] = "if()",
    [PL_CALL_POW2] = "pow2()",
    [PL_CALL_RANDOM] = "random()",
    [PL_CALL_WORD] = "word()",
    [PL_CALL_BYTE] = "byte()",
    [PL_CALL_SWAP] = "swap()",
    [PL_CALL_IO_BYTE] = "io.byte()",
    [PL_CALL_IO_U16] = "io.u16()",
    [PL_CALL_IO_U32] = "io.u32()",
    [PL_CALL_IO_U64] = "io.u64()",
    [PL_CALL_IO_SAME] = "io.same()",
    [PL_CALL_IO_SUM] = "io.sum()",
    [PL_CALL_IO_TOEPLITZ] = "io.toeplitz()",
    [PL_CALL_MEM_BYTE] = "mem.byte()",
    [PL_CALL_MEM_U16] = "mem.u16()",
    [PL_CALL_MEM_U32] = "mem.u32()",
    [PL_CALL_MEM_U64] = "mem.u64()",
};

static enum pl_field field_named(const struct pl_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->n_messages; i++) {
        const struct pl_layout *parts[] = {spec->messages[i].request, spec->messages[i].response};
        for (size_t k = 0; k < 2; k++)
            for (size_t f = 0; parts[k] && f < parts[k]->n_fields; f++)
                if (strcmp(parts[k]->fields[f].name, name) == 0)
                    return parts[k]->fields[f].field;
    }
    return PL_F_none;
}

static struct pl_meaning of_message(const struct pl_spec *spec, enum pl_means means,
                                    const char *field)
{
    struct pl_meaning m = {.means = means, .field = field_named(spec, field)};
    bool request = means == PL_MEANS_REQUEST;
    m.own = strcmp(field, "size") == 0               ? PL_OWN_SIZE
            : request && strcmp(field, "token") == 0 ? PL_OWN_TOKEN
            : strcmp(field, "data_len") == 0         ? PL_OWN_DATA_LEN
                                                     : PL_OWN_NOTHING;
    return m;
}

struct pl_meaning pl_meaning_of(const struct pl_spec *spec, const char *name)
{
    struct pl_meaning m = {.means = PL_MEANS_NOTHING};
    for (unsigned i = PL_WORD_NONE + 1; i < PL_WORDS; i++)
        if (strcmp(words[i], name) == 0)
            return (struct pl_meaning){.means = PL_MEANS_WORD, .word = (enum pl_word)i};
    for (size_t i = 0; i < PL_DIMENSIONS; i++)
        if (strcmp(pl_dimensions[i].name, name) == 0)
            return (struct pl_meaning){.means = PL_MEANS_DIMENSION, .value = i};
    if (strncmp(name, "info.", 5) == 0)
        return of_message(spec, PL_MEANS_INFO, name + 5);
    if (strncmp(name, "resp.", 5) == 0)
        return of_message(spec, PL_MEANS_RESPONSE, name + 5);
    if (strncmp(name, "req.", 4) == 0)
        return of_message(spec, PL_MEANS_REQUEST, name + 4);
    if (pl_spec_constant(spec, name, &m.value))
        m.means = PL_MEANS_CONSTANT;
    return m;
}

/* --- numbers --- */

static unsigned first_slot(const struct pl_names *names, const char *text)
{
    uint32_t h = 2166136261u;
    for (const char *p = text; *p; p++)
        h = (h ^ (uint8_t)*p) * 16777619u;
    return h & (names->n_slots - 1);
}

/* Where a name's number stands, or would. */
static unsigned slot_of(const struct pl_names *names, const char *text)
{
    unsigned i = first_slot(names, text);
    while (names->slot[i] && strcmp(names->list[names->slot[i] - 1].text, text) != 0)
        i = (i + 1) & (names->n_slots - 1);
    return i;
}

/* Twice the room, for names and numbers alike. */
static bool grow(struct pl_names *names)
{
    unsigned n = names->n_slots ? 2 * names->n_slots : SLOTS_MIN;
    struct pl_named *list = realloc(names->list, n / 2 * sizeof(*list));
    if (list)
        names->list = list;
    unsigned *slot = list ? calloc(n, sizeof(*slot)) : NULL;
    if (!slot)
        return false;
    free(names->slot);
    names->slot = slot;
    names->n_slots = n;
    for (unsigned i = 0; i < names->n; i++)
        slot[slot_of(names, list[i].text)] = i + 1;
    return true;
}

bool pl_names_init(struct pl_names *names, const struct pl_spec *spec)
{
    static const char *const known[PL_VARS_KNOWN] = {
        [PL_VAR_ROUND] = "round",
        [PL_VAR_TOOK_PACKED] = "took_packed",
        [PL_VAR_TOOK_INDIRECT] = "took_indirect",
        [PL_VAR_TOOK_EVENT_IDX] = "took_event_idx",
        [PL_VAR_TOOK_IN_ORDER] = "took_in_order",
        [PL_VAR_TOOK_NOTIFICATION_DATA] = "took_notification_data",
        [PL_VAR_RING_RESET] = "ring_reset",
    };
    *names = (struct pl_names){.spec = spec};
    for (unsigned i = PL_VAR_NONE + 1; i < PL_VARS_KNOWN; i++)
        if (pl_names_variable(names, known[i]) != i)
            return false;
    return true;
}

void pl_names_free(struct pl_names *names)
{
    for (unsigned i = 0; i < names->n; i++)
        free(names->list[i].text);
    free(names->list);
    free(names->slot);
    *names = (struct pl_names){0};
}

unsigned pl_names_find(const struct pl_names *names, const char *text)
{
    return names->n ? names->slot[slot_of(names, text)] : 0;
}

unsigned pl_names_add(struct pl_names *names, const char *text)
{
    unsigned number = pl_names_find(names, text);
    if (number || (2 * (names->n + 1) > names->n_slots && !grow(names)))
        return number;
    char *copy = strdup(text);
    if (!copy)
        return 0;
    names->slot[slot_of(names, text)] = ++names->n;
    names->list[names->n - 1] = (struct pl_named){copy, pl_meaning_of(names->spec, text), 0};
    return names->n;
}

unsigned pl_names_variable(struct pl_names *names, const char *text)
{
    unsigned number = pl_names_add(names, text);
    if (!number)
        return 0;
    unsigned *variable = &names->list[number - 1].variable;
    if (!*variable)
        *variable = ++names->n_variables;
    return *variable;
}
