/* Addresses of shared memory: spsc:NAME[,dir=DIR][,size=BYTES][,wakeup=PATH|fd:N|none]. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port/memory.h"
#include "port/spsc.h"
#include "port/utf8.h"

#define SCHEME "spsc:"

/* An address being taken apart. */
struct parse {
    const char *text, *name, *folder;
    bool listening;
    struct pl_spsc_address *out;
    char *error;
    size_t cap;
};

static int bad(const struct parse *p, const char *why)
{
    char shown[160];
    pl_utf8_line(p->text, strlen(p->text), shown, sizeof shown);
    snprintf(p->error, p->cap, "address '%s': %s", shown, why);
    return -EINVAL;
}

static int take_size(const struct parse *p, const char *value)
{
    uint64_t size;
    char why[96];
    if (!pl_parse_bytes(value, &size) || size < PL_SPSC_SIZE_MIN || size > PL_SPSC_SIZE_MAX) {
        snprintf(why, sizeof why, "size is a number of bytes from %u to %u", PL_SPSC_SIZE_MIN,
                 PL_SPSC_SIZE_MAX);
        return bad(p, why);
    }
    p->out->size = (size_t)size;
    return 0;
}

static int take_descriptor(const struct parse *p, const char *value)
{
    char *end;
    long fd = strtol(value, &end, 10);
    if (*value < '0' || *value > '9' || *end != '\0' || fd > INT_MAX)
        return bad(p, "the wakeup socket's descriptor is not a number");
    if (p->listening)
        return bad(p, "a connected descriptor cannot be listened on");
    p->out->wakeup = PL_SPSC_INHERITED;
    p->out->fd = (int)fd;
    return 0;
}

static int take_wakeup(const struct parse *p, const char *value)
{
    if (strcmp(value, "none") == 0)
        return 0;
    if (strncmp(value, "fd:", 3) == 0)
        return take_descriptor(p, value + 3);
    if (*value == '\0')
        return bad(p, "wakeup is the path of a socket, fd:N or none");
    if (strlen(value) >= sizeof p->out->path)
        return bad(p, "the wakeup socket's path is too long");
    p->out->wakeup = PL_SPSC_SOCKET;
    strcpy(p->out->path, value);
    return 0;
}

static int take_option(struct parse *p, char *word)
{
    char *value = strchr(word, '=');
    if (value)
        *value++ = '\0';
    if (value && strcmp(word, "dir") == 0 && *value) {
        p->folder = value;
        return 0;
    }
    if (value && strcmp(word, "size") == 0)
        return take_size(p, value);
    if (value && strcmp(word, "wakeup") == 0)
        return take_wakeup(p, value);
    return bad(p, "behind the name stand dir=DIR, size=BYTES and wakeup=PATH");
}

static int name_files(const struct parse *p)
{
    static const char *const suffixes[] = PL_SPSC_SUFFIXES;
    if (!p->name || *p->name == '\0')
        return bad(p, "the name is missing, it is written spsc:NAME");
    if (strchr(p->name, '/'))
        return bad(p, "the name has a '/' in it; the folder is written dir=DIR");
    for (size_t i = 0; i < 2; i++)
        if (snprintf(p->out->files[i], sizeof p->out->files[i], "%s/%s%s%s", p->folder,
                     PL_SPSC_PREFIX, p->name, suffixes[i]) >= (int)sizeof p->out->files[i])
            return bad(p, "the files' path is too long");
    return 0;
}

int pl_spsc_parse(const char *text, bool listening, struct pl_spsc_address *out, char *error,
                  size_t cap)
{
    char copy[PATH_MAX], *rest = NULL, *word;
    struct parse p = {text, NULL, PL_SPSC_FOLDER, listening, out, error, cap};
    *out = (struct pl_spsc_address){.fd = -1};
    if (strlen(text) >= sizeof copy)
        return bad(&p, "it is too long");
    const char *from = strncmp(text, SCHEME, strlen(SCHEME)) == 0 ? text + strlen(SCHEME) : text;
    strcpy(copy, from);
    p.name = *copy == ',' ? NULL : strtok_r(copy, ",", &rest);
    while (p.name && (word = strtok_r(NULL, ",", &rest))) {
        int r = take_option(&p, word);
        if (r < 0)
            return r;
    }
    return name_files(&p);
}
