/* Options, errors, drafts and scenario files: what every command needs. */
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"

int pl_cli_error(int code, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fputs("plumbline: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    return code;
}

static const struct pl_cli_option *find_option(const struct pl_cli_option *options, const char *arg,
                                               size_t len)
{
    for (; options->name; options++)
        if (strlen(options->name) == len && strncmp(options->name, arg, len) == 0)
            return options;
    return NULL;
}

static int add_to_list(const struct pl_cli_option *option, const char *value)
{
    size_t n = 0;
    while (option->list[n])
        n++;
    if (n + 1 >= option->list_max)
        return pl_cli_error(PL_EXIT_USAGE, "%s is given too often", option->name);
    option->list[n] = value;
    return 0;
}

static int take_option(const struct pl_cli_option *option, const char *arg, const char *equals,
                       int argc, char **argv, int *i)
{
    if (option->flag) {
        if (equals)
            return pl_cli_error(PL_EXIT_USAGE, "%s takes no value", option->name);
        *option->flag = true;
        return 0;
    }
    const char *value = equals ? equals + 1 : *i + 1 < argc ? argv[++*i] : NULL;
    (void)arg;
    if (!value || !*value)
        return pl_cli_error(PL_EXIT_USAGE, "%s needs a value", option->name);
    if (option->list)
        return add_to_list(option, value);
    if (*option->value)
        return pl_cli_error(PL_EXIT_USAGE, "%s is given twice", option->name);
    *option->value = value;
    return 0;
}

int pl_cli_parse(int argc, char **argv, const struct pl_cli_option *options, const char **words,
                 size_t max_words)
{
    size_t n = 0;
    for (int i = 0; i < argc; i++) {
        const char *arg = argv[i];
        if (strncmp(arg, "--", 2) != 0 || !arg[2]) {
            if (n == max_words)
                return pl_cli_error(PL_EXIT_USAGE, "unexpected argument '%s'", arg);
            words[n++] = arg;
            continue;
        }
        const char *equals = strchr(arg, '=');
        size_t len = equals ? (size_t)(equals - arg) : strlen(arg);
        const struct pl_cli_option *option = find_option(options, arg, len);
        if (!option)
            return pl_cli_error(PL_EXIT_USAGE, "unknown option '%.*s'", (int)len, arg);
        int err = take_option(option, arg, equals, argc, argv, &i);
        if (err)
            return err;
    }
    return 0;
}

bool pl_cli_u64(const char *text, uint64_t *value)
{
    char *end;
    errno = 0;
    if (text[0] < '0' || text[0] > '9')
        return false;
    *value = strtoull(text, &end, 0);
    return !errno && end != text && !*end;
}

const struct pl_spec *pl_cli_spec(const char *name)
{
    const struct pl_spec *spec = name ? pl_spec_find(name) : pl_specs[0];
    char known[512] = "";
    if (spec)
        return spec;
    for (size_t i = 0; pl_specs[i]; i++) {
        strncat(known, i ? ", " : "", sizeof(known) - strlen(known) - 1);
        strncat(known, pl_specs[i]->name, sizeof(known) - strlen(known) - 1);
    }
    pl_cli_error(PL_EXIT_USAGE, "--spec: '%s' is no known draft; known are %s", name, known);
    return NULL;
}

static bool add_file(struct pl_scenarios *s, const char *path, char *error, size_t cap)
{
    struct pl_yaml_doc *doc = pl_yaml_load_file(path, error, cap);
    return doc && pl_scenarios_add(s, doc, error, cap);
}

static int is_yaml(const struct dirent *entry)
{
    size_t n = strlen(entry->d_name);
    return n > 5 && strcmp(entry->d_name + n - 5, ".yaml") == 0;
}

static bool add_folder(struct pl_scenarios *s, const char *path, char *error, size_t cap)
{
    struct dirent **entries;
    int n = scandir(path, &entries, is_yaml, alphasort);
    bool good = n > 0;
    if (n < 0)
        snprintf(error, cap, "%s: %s", path, strerror(errno));
    else if (n == 0)
        snprintf(error, cap, "%s: the folder holds no file whose name ends in .yaml", path);
    for (int i = 0; i < n; i++) {
        char file[4096];
        snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
        good = good && add_file(s, file, error, cap);
        free(entries[i]);
    }
    if (n >= 0)
        free(entries);
    return good;
}

static bool add_path(struct pl_scenarios *s, const char *path, char *error, size_t cap)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISDIR(st.st_mode))
        return add_folder(s, path, error, cap);
    return add_file(s, path, error, cap);
}

struct pl_scenarios *pl_cli_scenarios(const struct pl_spec *spec, const char *const *paths)
{
    char error[512] = "out of memory";
    if (!pl_clauses_find(spec)) {
        pl_cli_error(PL_EXIT_USAGE, "%s has no clauses yet: there is nothing to judge by",
                     spec->name);
        return NULL;
    }
    struct pl_scenarios *s = pl_scenarios_new(spec);
    bool good = s && pl_scenarios_add_embedded(s, error, sizeof(error));
    for (; good && paths && *paths; paths++)
        good = add_path(s, *paths, error, sizeof(error));
    if (good && pl_scenarios_check(s, error, sizeof(error)))
        return s;
    pl_cli_error(PL_EXIT_USAGE, "%s", error);
    pl_scenarios_free(s);
    return NULL;
}
