/* `plumbline clauses`: the normative statements of a draft, and which of them are judged. */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/output.h"

struct filter {
    const char *spec, *role, *level, *format;
    bool help;
};

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
    if (f->role && strcmp(f->role, c->role) != 0 && !any)
        return false;
    return !f->level || strcmp(f->level, c->level) == 0;
}

static void print_table(const struct filter *f, const struct pl_clauses *clauses)
{
    size_t judged = 0, shown = 0;
    for (size_t i = 0; i < pl_clauses_count(clauses); i++) {
        const struct pl_clause_def *c = pl_clauses_get(clauses, i);
        if (!wanted(f, c))
            continue;
        shown++;
        judged += c->judged;
        printf("%-13s %-6s %-6s %-8s %s\n", c->id, c->level, c->role, c->how,
               c->judged ? "judged" : "not judged");
        printf("              %s: %s\n", c->section, c->text);
        if (!c->judged)
            printf("              (%s)\n", c->reason);
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
    puts("| id | level | role | how | judged | section | text |\n| --- | --- | --- | --- | --- | --- | --- |");
    for (size_t i = 0; i < pl_clauses_count(clauses); i++) {
        const struct pl_clause_def *c = pl_clauses_get(clauses, i);
        if (wanted(f, c))
            print_row(c);
    }
}

static int print_json(const struct filter *f, const struct pl_clauses *clauses)
{
    json_t *list = json_array();
    for (size_t i = 0; i < pl_clauses_count(clauses); i++) {
        const struct pl_clause_def *c = pl_clauses_get(clauses, i);
        if (!wanted(f, c))
            continue;
        json_t *item = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:b}", "id", c->id, "role", c->role,
                                 "level", c->level, "how", c->how, "section", c->section, "text",
                                 c->text, "judged", c->judged);
        if (!c->judged)
            json_object_set_new(item, "reason", json_string(c->reason));
        json_array_append_new(list, item);
    }
    int err = list ? pl_cli_output_json("-", list)
                   : pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
    json_decref(list);
    return err;
}

static int check_filter(const struct filter *f)
{
    static const char *const roles[] = {"device", "driver", "bus", "any", NULL};
    static const char *const levels[] = {"MUST", "SHOULD", "MAY", NULL};
    static const char *const formats[] = {"table", "json", "md", NULL};
    if (f->role && !one_of(f->role, roles))
        return pl_cli_error(PL_EXIT_USAGE, "--role: '%s' is none of device, driver, bus, any", f->role);
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
        {.name = "--spec", .value = &f.spec},     {.name = "--role", .value = &f.role},
        {.name = "--level", .value = &f.level},   {.name = "--format", .value = &f.format},
        {.name = "--help", .flag = &f.help},      {.name = NULL},
    };
    int err = pl_cli_parse(argc, argv, options, NULL, 0);
    if (err)
        return err;
    if (f.help) {
        puts("usage: plumbline clauses [--spec DRAFT] [--role ROLE] [--level LEVEL] [--format table|json|md]");
        return 0;
    }
    err = check_filter(&f);
    const struct pl_spec *spec = err ? NULL : pl_cli_spec(f.spec);
    if (!spec)
        return err ? err : PL_EXIT_USAGE;
    const struct pl_clauses *clauses = pl_clauses_find(spec);
    if (!clauses)
        return pl_cli_error(PL_EXIT_USAGE, "%s has no clauses yet", spec->name);
    if (f.format && strcmp(f.format, "json") == 0)
        return print_json(&f, clauses);
    if (f.format && strcmp(f.format, "md") == 0)
        print_md(&f, clauses);
    else
        print_table(&f, clauses);
    return 0;
}
