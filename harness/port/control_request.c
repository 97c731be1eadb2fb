/* Control requests: the table of the bindings, and shell commands with a request's words put in. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/control.h"

#define MAX_WORDS 3

const struct pl_control_request pl_control_requests[] = {
    {"config-change", {"dev", "offset", "hex"}},
    {"needs-reset", {"dev"}},
    {"reset-delay", {"dev", "ms"}},
    {"attach", {"dev"}},
    {"detach", {"dev"}},
    {"parameters", {"revision", "size", "features"}},
    {"start", {"dev"}},
    {"stop", {"dev"}},
    {"io", {"dev", "count"}},
    {"config-write", {"dev", "offset", "hex"}},
    {"queue-reset", {"dev", "index"}},
    {NULL, {NULL}},
};

const struct pl_control_request *pl_control_request_find(const char *name)
{
    for (const struct pl_control_request *r = pl_control_requests; r->name; r++)
        if (strcmp(r->name, name) == 0)
            return r;
    return NULL;
}

/* Which word a command's `{word}` at `at` stands for: its index, -1: not a place, -2: not a word.
 */
static int place(const struct pl_control_request *request, const char *at, size_t *length)
{
    size_t n = strspn(at + 1, "abcdefghijklmnopqrstuvwxyz");
    *length = n + 2;
    if (n == 0 || at[n + 1] != '}')
        return -1; /* the shell's own braces */
    for (int i = 0; request->words[i]; i++)
        if (strlen(request->words[i]) == n && memcmp(request->words[i], at + 1, n) == 0)
            return i;
    return -2;
}

/* "a, b, c" of names that end with NULL. */
static void list_names(char *out, size_t cap, const char *const *names)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; names[i] && used < cap; i++)
        used += (size_t)snprintf(out + used, cap - used, "%s{%s}", i ? ", " : "", names[i]);
}

static int unknown_request(const char *name, char *error, size_t cap)
{
    char known[256] = "";
    size_t used = 0;
    for (const struct pl_control_request *r = pl_control_requests; r->name && used < 250; r++)
        used +=
            (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "", r->name);
    snprintf(error, cap, "'%.40s' is no control request; known are %s", name, known);
    return -EINVAL;
}

int pl_control_command_check(const char *name, const char *command, char *error, size_t cap)
{
    const struct pl_control_request *request = pl_control_request_find(name);
    char words[64];
    if (!request)
        return unknown_request(name, error, cap);
    if (command[strspn(command, " \t\n")] == '\0') {
        snprintf(error, cap, "the command of '%s' is empty", name);
        return -EINVAL;
    }
    for (const char *at = strchr(command, '{'); at; at = strchr(at + 1, '{')) {
        size_t length;
        if (place(request, at, &length) != -2)
            continue;
        list_names(words, sizeof words, request->words);
        snprintf(error, cap, "'%.*s' is no word of '%s', whose words are %s", (int)length, at, name,
                 words);
        return -EINVAL;
    }
    return 0;
}

/* --- filling in --- */

/* A control line, cut into its name and words. */
struct line {
    char name[32];
    const char *word[MAX_WORDS];
    size_t length[MAX_WORDS];
};

static int split_failed(const char *line, const char *why, char *error, size_t cap)
{
    snprintf(error, cap, "control line '%.60s': %s", line, why);
    return -EINVAL;
}

static int split(const char *text, struct line *out, char *error, size_t cap)
{
    size_t n = strcspn(text, " "), words = 0;
    if (n == 0 || n >= sizeof out->name)
        return split_failed(text, "it does not start with a request's name", error, cap);
    memcpy(out->name, text, n);
    out->name[n] = '\0';
    const struct pl_control_request *request = pl_control_request_find(out->name);
    if (!request)
        return unknown_request(out->name, error, cap);
    for (const char *at = text + n; *at; words++) {
        at += strspn(at, " ");
        if (words == MAX_WORDS || !request->words[words])
            return split_failed(text, "it has too many words", error, cap);
        out->word[words] = at;
        while (isalnum((unsigned char)*at))
            at++;
        out->length[words] = (size_t)(at - out->word[words]);
        if (out->length[words] == 0 || (*at != ' ' && *at != '\0'))
            return split_failed(text, "its words are letters and digits only", error, cap);
    }
    if (request->words[words])
        return split_failed(text, "it has too few words", error, cap);
    return 0;
}

char *pl_control_command_fill(const char *command, const char *text, char *error, size_t cap)
{
    struct line line;
    if (split(text, &line, error, cap) < 0)
        return NULL;
    const struct pl_control_request *request = pl_control_request_find(line.name);
    size_t longest = 0, places = 0, used = 0, length;
    for (size_t i = 0; i < MAX_WORDS && request->words[i]; i++)
        longest = line.length[i] > longest ? line.length[i] : longest;
    for (const char *at = command; *at; at++)
        places += *at == '{';
    char *out = malloc(strlen(command) + places * longest + 1);
    if (!out) {
        snprintf(error, cap, "no memory for the control command");
        return NULL;
    }
    for (const char *at = command; *at;) {
        int word = *at == '{' ? place(request, at, &length) : -1;
        if (word < 0) {
            out[used++] = *at++;
            continue;
        }
        memcpy(out + used, line.word[word], line.length[word]);
        used += line.length[word];
        at += length;
    }
    out[used] = '\0';
    return out;
}
