/* `plumbline clauses`: the normative statements of a draft and of what it includes, and which of
 * them are judged. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/output.h"

struct filter {
    const char *spec, *role, *level, *format;
    bool help;
};

/* Whether some clause stands in this catalogue. */
static bool has_catalogue(const struct pl_clauses *clauses, const char *name)
{
    for (size_t i = 0; i < pl_clauses_count(clauses); i++)
        if (strcmp(pl_clauses_get(clauses, i)->spec, name) == 0)
            return true;
    return false;
}

/* The table that holds the catalogue asked for: of the draft of this name, or of one that includes
 * it; the default draft's where none is asked for. NULL with the error told. */
static const struct pl_clauses *find_table(const char *name)
{
    const struct pl_spec *spec = pl_spec_find(name ? name : pl_cli_spec(NULL)->name);
    const struct pl_clauses *table = spec ? pl_clauses_find(spec) : NULL;
    for (size_t i = 0; !spec && pl_specs[i]; i++) {
        table = pl_clauses_find(pl_specs[i]);
        if (table && has_catalogue(table, name))
            return table;
    }
    if (!spec)
        pl_cli_spec(name); /* says what is known */
    else if (!table)
        pl_cli_error(PL_EXIT_USAGE, "%s has no clauses yet", spec->name);
    return spec ? table : NULL;
}

static bool one_of(const char *word, const char *const *words)
{
    for (; *words; words++)
        if (strcmp(word, *words) == 0)
            return true;
    return false;
}

static bool wanted(const struct filter *f, const struct pl_clause_def *c)
{
    bool any = strcmp(c->role, "any") == 0;
    if (f->spec && strcmp(f->spec, c->spec) != 0)
        return false;
    if (f->role && strcmp(f->role, c->role) != 0 && !any)
        return false;
    return !f->level || strcmp(f->level, c->level) == 0;
}

static void print_clause(const struct pl_clause_def *c)
{
    printf("%-18s %-6s %-6s %-8s %s\n", c->id, c->level, c->role, c->how,
           c->judged ? "judged" : "not judged");
    printf("              %s: %s\n", c->section, c->text);
    if (!c->judged)
        printf("              (%s)\n", c->reason);
}

static void print_table(const struct filter *f, const struct pl_clauses *clauses)
{
    size_t judged = 0, shown = 0;
    const char *catalogue = NULL;
    for (size_t i = 0; i < pl_clauses_count(clauses); i++) {
        const struct pl_clause_def *c = pl_clauses_get(clauses, i);
        if (!wanted(f, c))
            continue;
        if (!catalogue || strcmp(catalogue, c->spec) != 0)
            printf("%s%s\n", shown ? "\n--- " : "--- ", c->spec);
        catalogue = c->spec;
        shown++;
        judged += c->judged;
        print_clause(c);
    }
    printf("%zu clauses, %zu of them judged\n", shown, judged);
}

/* One cell of a row: a bar would end it, a line break the row. */
static void put_cell(const char *lead, const char *text)
{
    printf(" %s", lead);
    for (; text && *text; text++) {
        if (*text == '|')
            putchar('\\');
        putchar(*text == '\n' ? ' ' : *text);
    }
    fputs(" |", stdout);
}

static void print_row(const struct pl_clause_def *c)
{
    putchar('|');
    put_cell("", c->id);
    put_cell("", c->level);
    put_cell("", c->role);
    put_cell("", c->how);
    put_cell(c->judged ? "yes" : "no: ", c->judged ? "" : c->reason);
    put_cell("", c->section);
    put_cell("", c->text);
    putchar('\n');
}

static void print_md(const struct filter *f, const struct pl_clauses *clauses)
{
    puts("| id | level | role | how | judged | section | text |\n| --- | --- | --- | --- | --- | "
         "--- | --- |");
    for (size_t i = 0; i < pl_clauses_count(clauses); i++) {
        const struct pl_clause_def *c = pl_clauses_get(clauses, i);
        if (wanted(f, c))
            print_row(c);
    }
}

static json_t *clause_json(const struct pl_clause_def *c)
{
    json_t *item = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "id", c->id, "spec",
                             c->spec, "role", c->role, "level", c->level, "how", c->how, "section",
                             c->section, "text", c->text, "judged", c->judged);
    if (c->by_scenario)
        json_object_set_new(item, "by_scenario", json_true());
    if (c->type)
        json_object_set_new(item, "type", json_string(c->type));
    if (!c->judged)
        json_object_set_new(item, "reason", json_string(c->reason));
    return item;
}

static int print_json(const struct filter *f, const struct pl_clauses *clauses)
{
    json_t *list = json_array();
    for (size_t i = 0; i < pl_clauses_count(clauses); i++) {
        const struct pl_clause_def *c = pl_clauses_get(clauses, i);
        if (!wanted(f, c))
            continue;
        json_array_append_new(list, clause_json(c));
    }
    int err =
        list ? pl_cli_output_json("-", list) : pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    json_decref(list);
    return err;
}

static int check_filter(const struct filter *f)
{
    static const char *const roles[] = {"device", "driver", "bus", "any", NULL};
    static const char *const levels[] = {"MUST", "SHOULD", "MAY", NULL};
    static const char *const formats[] = {"table", "json", "md", NULL};
    if (f->role && !one_of(f->role, roles))
        return pl_cli_error(PL_EXIT_USAGE, "--role: '%s' is none of device, driver, bus, any",
                            f->role);
    if (f->level && !one_of(f->level, levels))
        return pl_cli_error(PL_EXIT_USAGE, "--level: '%s' is none of MUST, SHOULD, MAY", f->level);
    if (f->format && !one_of(f->format, formats))
        return pl_cli_error(PL_EXIT_USAGE, "--format: '%s' is none of table, json, md", f->format);
    return 0;
}

int pl_cmd_clauses(int argc, char **argv)
{
    struct filter f = {0};
    const struct pl_cli_option options[] = {
        {.name = "--spec", .value = &f.spec},   {.name = "--role", .value = &f.role},
        {.name = "--level", .value = &f.level}, {.name = "--format", .value = &f.format},
        {.name = "--help", .flag = &f.help},    {.name = NULL},
    };
    int err = pl_cli_parse(argc, argv, options, NULL, 0);
    if (err)
        return err;
    if (f.help) {
        puts("usage: plumbline clauses [--spec CATALOGUE] [--role ROLE] [--level LEVEL]\n"
             "                         [--format table|json|md]\n"
             "CATALOGUE is a draft, for its own clauses, or what it includes, such as virtio-1.4;\n"
             "without --spec all of them are listed.");
        return 0;
    }
    err = check_filter(&f);
    const struct pl_clauses *clauses = err ? NULL : find_table(f.spec);
    if (!clauses)
        return err ? err : PL_EXIT_USAGE;
    if (f.format && strcmp(f.format, "json") == 0)
        return print_json(&f, clauses);
    if (f.format && strcmp(f.format, "md") == 0)
        print_md(&f, clauses);
    else
        print_table(&f, clauses);
    return 0;
}
