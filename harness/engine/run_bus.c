/* Steps and names of scenarios of a bus under test, whose two sides the harness is. */
#include <errno.h>
#include <string.h>

#include "engine/run_private.h"

enum { NOBODY = 0x2222, SPARE = 11, PENDING_MAX = 64 };

static enum outcome still_there(struct run *r)
{
    if (!r->s->alive || r->s->stuck)
        return pl_run_stop(r, PL_SCENARIO_INCONCLUSIVE, "the IUT is gone or hangs");
    return GO_ON;
}

/* Devices answer at once unless they keep back: one request after the other, or so many at once. */
enum outcome pl_run_bus_transmit(struct run *r, const void *bytes, size_t n)
{
    struct pl_bus_run *b = r->s->bus_run;
    struct pl_msg m;
    pl_decode(r->s->spec, bytes, n, &m);
    if (r->side == PL_BUS_DRIVER_SIDE && m.form != PL_FORM_RUNT && !m.event && !m.response) {
        r->s->answered = false;
        r->s->wanted_token = m.token;
        r->s->wanted_id = m.msg_id;
    }
    pl_bus_run_give(b, r->side, bytes, n);
    pl_bus_run_take(b, 0);
    bool waits = !r->burst && !b->hold && !b->n_held;
    if (waits && (++r->s->pending >= r->combination->outstanding || r->s->pending >= PENDING_MAX)) {
        r->s->pending = 0;
        pl_bus_run_wait(b);
    }
    return still_there(r);
}

static enum outcome on_side(struct run *r, const struct pl_step *step)
{
    enum pl_bus_side outer = r->side;
    r->side = step->op == PL_STEP_DEVICE ? PL_BUS_DEVICE_SIDE : PL_BUS_DRIVER_SIDE;
    enum outcome way = pl_run_steps(r, step->then);
    r->side = outer;
    return way;
}

static enum outcome with_value(struct run *r, const struct pl_step *step)
{
    struct pl_bus_run *b = r->s->bus_run;
    uint64_t v;
    if (pl_run_value(r, step, step->expr, &v) == STOP)
        return STOP;
    if (step->op == PL_STEP_HOLD)
        b->hold = (unsigned)v;
    else if (step->op == PL_STEP_ANSWER_SIZE)
        b->answer_size = v > PL_MSG_MAX ? 0 : (uint32_t)v;
    else
        pl_bus_device_set(b, (uint16_t)v, step->op == PL_STEP_PRESENT);
    return GO_ON;
}

/* "WORD {EXPR}": one number at most. */
static enum outcome tell(struct run *r, const struct pl_step *step)
{
    uint64_t v = 0;
    char word[32];
    size_t n = strcspn(step->name, " ");
    const char *name = step->name + n + (step->name[n] == ' ');
    unsigned number = pl_names_find(&r->all->names, name);
    unsigned variable = number ? r->all->names.list[number - 1].variable : 0;
    if (*name && !pl_run_variable(r, variable, &v) && !pl_run_bus_name(r, name, &v) &&
        strcmp(name, "dev") == 0)
        v = r->combination->dev_num;
    snprintf(word, sizeof(word), "%.*s", (int)n, step->name);
    pl_session_tell(r->s, "bus %s %u", word, (unsigned)v);
    return GO_ON;
}

static enum outcome await(struct run *r, const struct pl_step *step)
{
    struct pl_bus_run *b = r->s->bus_run;
    const struct pl_oracle *o = r->s->oracle;
    r->announced = true;
    if (strcmp(step->name, "all") == 0) {
        r->announced = pl_bus_run_wait(b) == 0;
        if (r->announced && pl_oracle_bus_count(o, PL_BUS_UNFINISHED) && !b->n_held)
            r->announced = pl_bus_run_drain(b, PL_BUS_UNFINISHED, true);
    } else if (strcmp(step->name, "events") == 0) {
        r->announced = pl_bus_run_drain(b, PL_BUS_EVENTS_OWED, false);
    } else if (strcmp(step->name, "out") == 0) {
        r->announced = pl_bus_run_drain(b, PL_BUS_INSIDE, false);
    } else if (strcmp(step->name, "failures") == 0) {
        r->announced = pl_bus_run_drain(b, PL_BUS_UNFINISHED, true);
    } else if (strcmp(step->name, "told") == 0) {
        r->announced = pl_bus_run_await(b, PL_BUS_PARAMS_DRIVER, 1, true);
    } else {
        pl_bus_run_quiet(b);
    }
    bool completions = strcmp(step->name, "all") == 0 || strcmp(step->name, "failures") == 0;
    if (!r->announced && completions && r->s->alive)
        pl_session_tell(r->s, "settle"); /* nobody waits for longer */
    return still_there(r);
}

static void revalidate(struct run *r)
{
    struct pl_bus_run *b = r->s->bus_run;
    for (int side = 0; side < 2; side++) {
        struct pl_msg m = {.kind = PL_GET_PARAMETERS, .token = pl_session_token(r->s)};
        if (side == PL_BUS_DEVICE_SIDE && !b->told_device)
            continue;
        if (side == PL_BUS_DRIVER_SIDE) {
            r->s->answered = false;
            r->s->wanted_token = m.token;
            r->s->wanted_id = pl_spec_message(r->s->spec, m.kind)->id;
        }
        pl_bus_run_send(b, (enum pl_bus_side)side, &m);
    }
    for (int i = 0; i < 8 && !r->s->answered && r->s->alive; i++)
        if (pl_bus_run_take(b, r->s->timeouts.fence) == 0)
            break;
}

bool pl_run_bus(struct run *r, const struct pl_step *step, enum outcome *way)
{
    struct pl_bus_run *b = r->s->bus_run;
    *way = GO_ON;
    switch (step->op) {
    case PL_STEP_DRIVER:
    case PL_STEP_DEVICE:
        *way = on_side(r, step);
        return true;
    case PL_STEP_HOLD:
    case PL_STEP_ANSWER_SIZE:
    case PL_STEP_PRESENT:
    case PL_STEP_ABSENT:
        *way = with_value(r, step);
        return true;
    case PL_STEP_TELL:
        *way = tell(r, step);
        return true;
    case PL_STEP_RELEASE:
        pl_bus_run_release(b, step->name);
        *way = still_there(r);
        return true;
    case PL_STEP_AWAIT:
        *way = await(r, step);
        return true;
    case PL_STEP_RESTART:
        b->restart = true;
        return true;
    case PL_STEP_ENUMERATE:
        pl_bus_run_enumerate(b);
        *way = still_there(r);
        return true;
    case PL_STEP_REVALIDATE:
        revalidate(r);
        *way = still_there(r);
        return true;
    default:
        return false;
    }
}

/* --- names --- */

/* Another device than the one at hand; the same where there is no other. */
static uint16_t other(const struct run *r)
{
    const struct pl_bus_run *b = r->s->bus_run;
    for (size_t i = b->n_usable; i-- > 0;)
        if (b->usable[i] != r->combination->dev_num)
            return b->usable[i];
    return r->combination->dev_num;
}

static bool count_name(const struct run *r, const char *name, uint64_t *value)
{
    static const struct {
        const char *name;
        enum pl_bus_count what;
    } counts[] = {{"bus.forwarded", PL_BUS_FORWARDED},
                  {"bus.told", PL_BUS_PARAMS_DRIVER},
                  {"bus.failures", PL_BUS_FAILURES},
                  {"bus.added", PL_BUS_ADDED},
                  {"bus.removed", PL_BUS_REMOVED}};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        if (strcmp(name, counts[i].name) == 0) {
            *value = pl_oracle_bus_count(r->s->oracle, counts[i].what);
            return true;
        }
    }
    return false;
}

bool pl_run_bus_name(struct run *r, const char *name, uint64_t *value)
{
    const struct pl_bus_run *b = r->s->bus_run;
    if (!b)
        return false;
    if (strcmp(name, "other") == 0)
        *value = other(r);
    else if (strcmp(name, "nobody") == 0)
        *value = NOBODY;
    else if (strcmp(name, "spare") == 0)
        *value = SPARE;
    else if (strcmp(name, "devices") == 0)
        *value = b->n_usable;
    else if (strcmp(name, "bus.uses_events") == 0)
        *value = b->uses_events;
    else if (strcmp(name, "bus.turn") == 0)
        *value = b->turn;
    else if (strcmp(name, "bus.patient") == 0)
        *value = b->impatient < 3;
    else if (strcmp(name, "answered") == 0)
        *value = r->s->answered;
    else
        return count_name(r, name, value);
    return true;
}

bool pl_run_bus_call(struct run *r, const char *name, const uint64_t *a, size_t n, uint64_t *value)
{
    const struct pl_bus_run *b = r->s->bus_run;
    if (!b || n != 1)
        return false;
    if (strncmp(name, "bus.shown(", 10) == 0)
        *value = pl_oracle_bus_shown(r->s->oracle, (uint16_t)a[0]);
    else if (strncmp(name, "bus.known(", 10) == 0)
        *value = pl_oracle_bus_known(r->s->oracle, (uint16_t)a[0]);
    else if (strncmp(name, "bus.supports(", 13) == 0)
        *value = a[0] < 3 && b->supports[a[0]];
    else
        return false;
    return true;
}
