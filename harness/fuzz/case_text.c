/* Cases printed as text. */
#include <inttypes.h>
#include <string.h>

#include "engine/scenario.h"
#include "fuzz/case.h"
#include "wire/text.h"

static void say_number(struct pl_text *t, uint64_t v)
{
    pl_text_put(t, v < 256 ? "%" PRIu64 : "0x%" PRIx64, v);
}

/* What is legal here, and by how much it is missed. */
static void say_legal(struct pl_text *t, const struct pl_setting *s)
{
    bool less = s->how == PL_VALUE_PLUS && s->value > INT64_MAX;
    if (s->how == PL_VALUE_XOR)
        pl_text_put(t, "legal^");
    else if (s->value)
        pl_text_put(t, less ? "legal-" : "legal+");
    else
        pl_text_put(t, "legal");
    if (s->value || s->how == PL_VALUE_XOR)
        say_number(t, less ? 0 - s->value : s->value);
}

static void say_setting(struct pl_text *t, const struct pl_setting *s)
{
    const char *const *words = pl_setting_words(s->name);
    pl_text_put(t, " %s=", pl_setting_text(s->name));
    if (words)
        pl_text_put(t, "%s", words[s->value]);
    else if (s->how == PL_VALUE_NUMBER)
        say_number(t, s->value);
    else
        say_legal(t, s);
}

static void say_action(struct pl_text *t, const struct pl_spec *spec, enum pl_iut role,
                       const struct pl_action *a)
{
    const struct pl_op_def *op = &pl_ops[a->op];
    pl_text_put(t, "%s", op->name);
    if (pl_op_of_message(a->op)) {
        const struct pl_message_def *def =
            a->kind ? pl_spec_message(spec, (enum pl_kind)a->kind) : NULL;
        pl_text_put(t, " %s%s", def ? def->name : "any", a->response ? " response" : "");
    }
    const struct pl_scenario *scenario =
        op->names == PL_OP_SCENARIO ? pl_case_scenario(spec, role, a->scenario) : NULL;
    if (scenario)
        pl_text_put(t, " %s", scenario->name);
    for (size_t i = 0; i < a->n_set; i++)
        say_setting(t, &a->set[i]);
    if (a->has_data)
        pl_text_put(t, " data=");
    for (size_t i = 0; a->has_data && i < a->data_len; i++)
        pl_text_put(t, "%02x", a->data[i]);
}

static void say_options(struct pl_text *t, const struct pl_case *c, bool far)
{
    size_t known, n = far ? c->n_far : c->n_options;
    const struct pl_case_option *option = far ? c->far : c->option;
    const struct pl_device_option *list = pl_case_options(c->spec, c->role, far, &known);
    for (size_t i = 0; i < n; i++) {
        pl_text_put(t, "%s %s=", far ? "far-option" : "option", list[option[i].index].name);
        say_number(t, option[i].value);
        pl_text_put(t, "\n");
    }
}

static void say_head(struct pl_text *t, const struct pl_case *c)
{
    pl_text_put(t, "%s\nrole %s\nspec %s\nmax_msg_size %u\n", PL_CASE_MAGIC, pl_case_role(c->role),
                c->spec->name, c->max_msg_size);
    if (c->features) {
        pl_text_put(t, "features");
        for (const struct pl_constant *k = c->spec->transport_features; k && k->name; k++)
            if (c->features >> k->value & 1)
                pl_text_put(t, " %s", k->name);
        pl_text_put(t, "\n");
    }
    pl_text_put(t, "type %s\nseed %u\n", pl_case_types[c->type], c->seed);
    say_options(t, c, false);
    say_options(t, c, true);
}

size_t pl_case_format(const struct pl_case *c, char *out, size_t cap)
{
    struct pl_text t = {out, cap, 0};
    say_head(&t, c);
    for (size_t i = 0; i < c->n; i++) {
        say_action(&t, c->spec, c->role, &c->action[i]);
        pl_text_put(&t, "\n");
    }
    return t.n;
}

size_t pl_action_format(const struct pl_spec *spec, enum pl_iut role, const struct pl_action *a,
                        char *out, size_t cap)
{
    struct pl_text t = {out, cap, 0};
    say_action(&t, spec, role, a);
    return t.n;
}
