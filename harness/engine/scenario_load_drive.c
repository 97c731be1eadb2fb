/* Reading scenarios for drivers: the moments of their lives, and what happens to them there. */
#include <string.h>

#include "engine/scenario_load.h"
#include "peer/device.h"

enum { MOST = 40, MOST_MAX = 10000 };

static bool one_message(struct pl_load *l, struct pl_provocation *p, const struct pl_yaml *node)
{
    const char *name;
    if (!pl_yaml_string(node, &name, l->error, l->cap))
        return false;
    if (strcmp(name, "any") == 0) {
        memset(p->at, 1, PL_KIND_COUNT);
        return true;
    }
    const struct pl_message_def *def = pl_spec_message_named(l->s->spec, name);
    if (!def || def->from == PL_SIDE_DEVICE || def->from == PL_SIDE_BUS)
        return pl_yaml_error(node, l->error, l->cap, "'%s' is no message of a driver in %s", name,
                             l->s->spec->name);
    p->at[def->kind] = true;
    return true;
}

static bool load_at(struct pl_load *l, struct pl_provocation *p, const struct pl_yaml *node)
{
    p->at = pl_load_keep(l->s, PL_KIND_COUNT, sizeof(*p->at));
    if (node->kind != PL_YAML_SEQUENCE)
        return one_message(l, p, node);
    for (size_t i = 0; i < node->n; i++)
        if (!one_message(l, p, node->item[i]))
            return false;
    return true;
}

/* The fields are those of the first message that the scenario is about. */
static bool load_other(struct pl_load *l, const struct pl_provocation *p, bool answer,
                       const struct pl_yaml *node, struct pl_step **out)
{
    const struct pl_layout *layout = NULL;
    struct pl_step *step = pl_load_keep(l->s, 1, sizeof(*step));
    for (int kind = 0; p->at && kind < PL_KIND_COUNT && !layout; kind++) {
        step->def = p->at[kind] ? pl_spec_message(l->s->spec, (enum pl_kind)kind) : NULL;
        layout = !step->def ? NULL : answer ? step->def->response : step->def->request;
    }
    if (!layout)
        return pl_yaml_error(node, l->error, l->cap, "needs 'at' with a message that has %s",
                             answer ? "an answer" : "fields");
    step->op = PL_STEP_SEND;
    step->at = node;
    step->clause = -1;
    *out = step;
    return pl_load_fields(l, step, layout, node);
}

/* What is changed in every event of the device's: of its header. */
static bool load_event(struct pl_load *l, const struct pl_yaml *node, struct pl_step **out)
{
    struct pl_step *step = pl_load_keep(l->s, 1, sizeof(*step));
    step->def = pl_spec_message(l->s->spec, PL_EVENT_CONFIG);
    step->op = PL_STEP_SEND;
    step->at = node;
    step->clause = -1;
    *out = step;
    for (size_t i = 0; i < node->n; i++)
        if (node->kind == PL_YAML_MAPPING && node->item[i]->key[0] != '_')
            return pl_yaml_error(node->item[i], l->error, l->cap,
                                 "'event' changes what stands in the header");
    return pl_load_fields(l, step, step->def->request, node);
}

static bool load_device(struct pl_load *l, struct pl_provocation *p, const struct pl_yaml *node)
{
    char why[256];
    if (node->kind != PL_YAML_MAPPING)
        return pl_yaml_error(node, l->error, l->cap, "takes a mapping of options and values");
    p->device = pl_load_keep(l->s, node->n + 1, sizeof(*p->device));
    for (size_t i = 0; i < node->n; i++) {
        const struct pl_yaml *item = node->item[i];
        const char *value;
        if (!pl_yaml_string(item, &value, l->error, l->cap))
            return false;
        size_t size = strlen(item->key) + strlen(value) + 2;
        char *text = pl_load_keep(l->s, size, 1);
        strcat(strcat(strcpy(text, item->key), "="), value);
        p->device[i] = text;
    }
    const struct pl_device_config config = {.spec = l->s->spec->name, .options = p->device};
    return pl_device_config_check(&config, why, sizeof(why)) == 0 ||
           pl_yaml_error(node, l->error, l->cap, "%s", why);
}

static bool load_names(struct pl_load *l, struct pl_provocation *p, const struct pl_yaml *node)
{
    char why[256];
    const char *works = NULL;
    if (!pl_yaml_get_string(node, "mutant", &p->mutant, l->error, l->cap) ||
        !pl_yaml_get_string(node, "type", &p->type, l->error, l->cap) ||
        !pl_yaml_get_string(node, "works", &works, l->error, l->cap))
        return false;
    const struct pl_device_config config = {
        .spec = l->s->spec->name, .type = p->type, .mutant = p->mutant, .options = p->device};
    if (pl_device_config_check(&config, why, sizeof(why)) < 0)
        return pl_yaml_error(node, l->error, l->cap, "%s", why);
    p->works = works ? pl_clauses_index(l->s->clauses, works) : -1;
    return !works || p->works >= 0 ||
           pl_yaml_error(pl_yaml_get(node, "works"), l->error, l->cap, "'%s' is no clause of %s",
                         works, l->s->spec->name);
}

static bool load_flags(struct pl_load *l, struct pl_provocation *p, const struct pl_yaml *node)
{
    static const char *const profiles[] = {"baseline", "strict", "both", NULL};
    bool legal = true;
    uint64_t most = MOST, per = 0, size = 0;
    size_t profile = 3;
    if (!pl_yaml_get_bool(node, "legal", &legal, l->error, l->cap) ||
        !pl_yaml_get_bool(node, "all", &p->all, l->error, l->cap) ||
        !pl_yaml_get_bool(node, "rows", &p->rows, l->error, l->cap) ||
        !pl_yaml_get_bool(node, "lose", &p->lose, l->error, l->cap) ||
        !pl_yaml_get_bool(node, "twice", &p->twice, l->error, l->cap) ||
        !pl_yaml_get_bool(node, "withhold", &p->withhold, l->error, l->cap) ||
        !pl_yaml_get_bool(node, "gives_up", &p->gives_up, l->error, l->cap) ||
        !pl_yaml_get_bool(node, "slow", &p->slow, l->error, l->cap) ||
        !pl_yaml_get_word(node, "profile", profiles, &profile, l->error, l->cap) ||
        !pl_yaml_get_uint(node, "most", 1, MOST_MAX, &most, l->error, l->cap) ||
        !pl_yaml_get_uint(node, "per", 1, MOST_MAX, &per, l->error, l->cap) ||
        !pl_yaml_get_uint(node, "max_msg_size", l->s->spec->min_max_msg_size,
                          l->s->spec->max_max_msg_size, &size, l->error, l->cap))
        return false;
    p->illegal = !legal;
    p->most = (unsigned)most;
    p->per = (unsigned)per;
    p->max_msg_size = (uint32_t)size;
    p->profile = profile == 3 ? -1 : profile == 2 ? -2 : (int)profile;
    return true;
}

static bool load_exprs(struct pl_load *l, struct pl_provocation *p, const struct pl_yaml *node)
{
    const struct pl_yaml *value;
    if ((value = pl_yaml_get(node, "when")) && !(p->when = pl_load_expr(l, value)))
        return false;
    if ((value = pl_yaml_get(node, "late")) && !(p->late = pl_load_expr(l, value)))
        return false;
    if ((value = pl_yaml_get(node, "fail")) && !(p->fail = pl_load_expr(l, value)))
        return false;
    if ((value = pl_yaml_get(node, "before")) && !(p->before = pl_load_steps(l, value)))
        return false;
    if ((value = pl_yaml_get(node, "after")) && !(p->after = pl_load_steps(l, value)))
        return false;
    if ((value = pl_yaml_get(node, "steps")) && !(p->steps = pl_load_steps(l, value)))
        return false;
    return true;
}

/* What happens at a moment needs one. */
static bool check_moment(struct pl_load *l, const struct pl_provocation *p,
                         const struct pl_yaml *node)
{
    static const char *const keys[] = {"when",  "all",  "before", "after",   "answer",   "lose",
                                       "twice", "late", "fail",   "request", "withhold", NULL};
    for (size_t i = 0; keys[i] && !p->at; i++) {
        const struct pl_yaml *value = pl_yaml_get(node, keys[i]);
        if (value)
            return pl_yaml_error(value, l->error, l->cap, "needs a moment: 'at'");
    }
    if (p->lose + (p->late != NULL) + (p->fail != NULL) > 1)
        return pl_yaml_error(node, l->error, l->cap,
                             "'lose', 'late' and 'fail' exclude each other");
    if (p->withhold && (p->lose || p->late || p->twice || p->answer || p->request))
        return pl_yaml_error(node, l->error, l->cap,
                             "what is withheld has no answer that anything could happen to");
    return true;
}

/* `steps` happen where the life says so. */
static bool check_life(struct pl_load *l, const struct pl_provocation *p,
                       const struct pl_yaml *node)
{
    bool said = false;
    for (size_t i = 0; p->life && p->life[i]; i++)
        said |= strcmp(p->life[i], "steps") == 0;
    return said == (p->steps != NULL) ||
           pl_yaml_error(node, l->error, l->cap,
                         "'steps' and a line 'steps' in 'life' belong together");
}

bool pl_load_provocation(struct pl_load *l, struct pl_scenario *scenario,
                         const struct pl_yaml *node)
{
    static const char *const known[] = {
        "name",    "section",  "clauses", "needs",  "with", "device",   "mutant",
        "type",    "works",    "at",      "when",   "all",  "most",     "per",
        "rows",    "before",   "after",   "answer", "lose", "twice",    "late",
        "fail",    "legal",    "profile", "slow",   "life", "gives_up", "max_msg_size",
        "request", "withhold", "steps",   "event",  NULL};
    struct pl_provocation *p = pl_load_keep(l->s, 1, sizeof(*p));
    const struct pl_yaml *value;
    scenario->drive = p;
    scenario->rings = true; /* its device is combined over all parameters */
    if (!pl_load_head(l, scenario, known, node) || !load_flags(l, p, node))
        return false;
    if ((value = pl_yaml_get(node, "device")) && !load_device(l, p, value))
        return false;
    if ((value = pl_yaml_get(node, "at")) && !load_at(l, p, value))
        return false;
    if ((value = pl_yaml_get(node, "answer")) && !load_other(l, p, true, value, &p->answer))
        return false;
    if ((value = pl_yaml_get(node, "request")) && !load_other(l, p, false, value, &p->request))
        return false;
    if ((value = pl_yaml_get(node, "life")) && !(p->life = pl_load_words(l, value)))
        return false;
    if ((value = pl_yaml_get(node, "event")) && !load_event(l, value, &p->event))
        return false;
    return load_names(l, p, node) && load_exprs(l, p, node) && check_moment(l, p, node) &&
           check_life(l, p, node);
}
