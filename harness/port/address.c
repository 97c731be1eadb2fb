/* Addresses: unix:, unix-stream:, tcp: and fd:, taken apart with exact words where they are wrong.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>

#include "port/private.h"
#include "port/spsc.h"
#include "port/utf8.h"

/* A decimal number without sign, space or superfluous digits; -1 where it is none up to max. */
static long parse_number(const char *text, long max)
{
    size_t length = strspn(text, "0123456789");
    if (length == 0 || length > 9 || text[length] != '\0')
        return -1;
    long value = strtol(text, NULL, 10);
    return value <= max ? value : -1;
}

static int bad_address(const char *text, char *error, size_t cap, const char *why)
{
    char shown[160];
    pl_utf8_line(text, strlen(text), shown, sizeof shown);
    snprintf(error, cap, "address '%s': %s", shown, why);
    return -EINVAL;
}

static int parse_path(const char *text, const char *path, struct pl_address *out, char *error,
                      size_t cap)
{
    char why[96];
    size_t most = sizeof((struct sockaddr_un *)0)->sun_path - 1;
    if (*path == '\0')
        return bad_address(text, error, cap, "the path is missing");
    if (strlen(path) > most) {
        snprintf(why, sizeof why, "the path has %zu bytes, a socket's path has at most %zu",
                 strlen(path), most);
        return bad_address(text, error, cap, why);
    }
    memcpy(out->host, path, strlen(path) + 1);
    return 0;
}

/* HOST:PORT, where a HOST with colons stands in brackets. */
static int parse_tcp(const char *text, const char *where, struct pl_address *out, char *error,
                     size_t cap)
{
    const char *host = where, *colon = strrchr(where, ':'), *end = colon;
    if (*where == '[') {
        end = strchr(where, ']');
        if (!end)
            return bad_address(text, error, cap, "']' is missing after the host");
        host = where + 1;
        colon = end[1] == ':' ? end + 1 : NULL;
    }
    if (!colon)
        return bad_address(text, error, cap, "the port is missing, it is written tcp:HOST:PORT");
    size_t length = (size_t)(end - host);
    if (length == 0)
        return bad_address(text, error, cap, "the host is missing, it is written tcp:HOST:PORT");
    if (*where != '[' && memchr(host, ':', length))
        return bad_address(text, error, cap,
                           "a host with colons stands in brackets, as in tcp:[::1]:PORT");
    if (length >= sizeof out->host)
        return bad_address(text, error, cap, "the host's name is too long");
    long port = parse_number(colon + 1, 65535);
    if (port < 0)
        return bad_address(text, error, cap, "the port is not a number from 0 to 65535");
    memcpy(out->host, host, length);
    out->host[length] = '\0';
    snprintf(out->service, sizeof out->service, "%u", (unsigned)port & 0xffffu);
    return 0;
}

/* What follows `prefix`, or NULL. */
static const char *after(const char *text, const char *prefix)
{
    size_t length = strlen(prefix);
    return strncmp(text, prefix, length) == 0 ? text + length : NULL;
}

int pl_address_parse(const char *text, struct pl_address *out, char *error, size_t cap)
{
    const char *rest;
    *out = (struct pl_address){.fd = -1};
    if ((rest = after(text, "unix:")) || (rest = after(text, "unix-stream:"))) {
        out->kind = text[4] == ':' ? PL_ADDRESS_UNIX : PL_ADDRESS_UNIX_STREAM;
        return parse_path(text, rest, out, error, cap);
    }
    if ((rest = after(text, "tcp:"))) {
        out->kind = PL_ADDRESS_TCP;
        return parse_tcp(text, rest, out, error, cap);
    }
    if ((rest = after(text, "fd:"))) {
        out->kind = PL_ADDRESS_FD;
        out->fd = (int)parse_number(rest, 999999999);
        if (out->fd < 0)
            return bad_address(text, error, cap, "the descriptor is not a number");
        return 0;
    }
    return bad_address(text, error, cap,
                       "it is none of unix:PATH, unix-stream:PATH, tcp:HOST:PORT, fd:N, spsc:NAME");
}

const uint32_t pl_spsc_message_max = PL_SPSC_SLOT_SIZE;

bool pl_is_spsc(const char *text)
{
    return after(text, "spsc:") != NULL;
}

int pl_address_check(const char *text, bool listening, char *error, size_t cap)
{
    struct pl_address address;
    const char *gateway = after(text, "vhost-user:");
    if (gateway && (*gateway == '\0' || *gateway == ','))
        return bad_address(text, error, cap, "the path is missing");
    if (gateway)
        return 0; /* the gateways take the rest apart */
    if (pl_is_spsc(text)) {
        struct pl_spsc_address spsc;
        return pl_spsc_parse(text, listening, &spsc, error, cap);
    }
    int r = pl_address_parse(text, &address, error, cap);
    if (r < 0)
        return r;
    if (listening && address.kind == PL_ADDRESS_FD)
        return bad_address(text, error, cap, "a connected descriptor cannot be listened on");
    if (!listening && address.kind == PL_ADDRESS_TCP && strcmp(address.service, "0") == 0)
        return bad_address(text, error, cap, "nothing can be reached at port 0");
    return 0;
}
