/* The control lines that a reference device understands (bindings, section 5). */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "peer/io.h"

#define MAX_WORDS 4

/* Cut a line into words in place; the number of words, MAX_WORDS + 1 where there are more. */
static int split(char *line, char *words[MAX_WORDS])
{
    char *rest = NULL;
    int n = 0;
    for (char *word = strtok_r(line, " \t\r\n", &rest); word;
         word = strtok_r(NULL, " \t\r\n", &rest)) {
        if (n == MAX_WORDS)
            return MAX_WORDS + 1;
        words[n++] = word;
    }
    return n;
}

static bool number(const char *text, uint64_t last, uint64_t *value)
{
    char *end;
    if (*text < '0' || *text > '9')
        return false;
    errno = 0;
    *value = strtoull(text, &end, 0);
    return !errno && !*end && *value <= last;
}

static int hex_digit(char ch)
{
    if (ch >= '0' && ch <= '9')
        return ch - '0';
    if (ch >= 'a' && ch <= 'f')
        return ch - 'a' + 10;
    return ch >= 'A' && ch <= 'F' ? ch - 'A' + 10 : -1;
}

/* Bytes of a hex text into out: their number, or -1 where it is no such text or too long. */
static int hex(const char *text, uint8_t *out, size_t cap)
{
    size_t length = strlen(text);
    if (length % 2 || length / 2 > cap)
        return -1;
    for (size_t i = 0; i < length / 2; i++) {
        int high = hex_digit(text[2 * i]), low = hex_digit(text[2 * i + 1]);
        if (high < 0 || low < 0)
            return -1;
        out[i] = (uint8_t)(high << 4 | low);
    }
    return (int)(length / 2);
}

static const char *change(struct pl_device_peer *peer, struct pl_device *dev, const char *at,
                          const char *bytes)
{
    struct pl_msg m = {0};
    uint64_t offset;
    if (!number(at, dev->config_size, &offset))
        return "error the offset is outside the configuration space";
    int length = hex(bytes, peer->pending + offset, (size_t)(dev->config_size - offset));
    if (length < 0)
        return "error the bytes are no hex text or do not fit into the configuration space";
    if (length == 0)
        return "ok";
    m.f[PL_F_offset] = offset;
    m.f[PL_F_length] = (uint64_t)length;
    pl_device_run(peer, dev, PL_ON_CONFIG_CHANGED, &m);
    return "ok";
}

static const char *attach(struct pl_device_peer *peer, uint64_t device_number)
{
    static const struct pl_msg none;
    if (pl_device_find(peer, device_number))
        return "error this device number is in use";
    for (size_t i = 0; i < PL_DEVICE_MAX; i++) {
        if (peer->devices[i].attached)
            continue;
        pl_device_init(peer, &peer->devices[i], device_number);
        pl_device_run(peer, &peer->devices[i], PL_ON_ATTACHED, &none);
        return "ok";
    }
    return "error there is no room for another device";
}

/* A request about a device that is there. NULL: no such request. */
static const char *device_request(struct pl_device_peer *peer, struct pl_device *dev, char **words,
                                  int n)
{
    static const struct pl_msg none;
    uint64_t ms;
    if (n == 4 && strcmp(words[0], "config-change") == 0)
        return change(peer, dev, words[2], words[3]);
    if (n == 2 && strcmp(words[0], "needs-reset") == 0) {
        pl_device_run(peer, dev, PL_ON_NEEDS_RESET, &none);
        return "ok";
    }
    if (n == 3 && strcmp(words[0], "reset-delay") == 0) {
        if (!number(words[2], UINT32_MAX, &ms))
            return "error the delay is no number of milliseconds";
        dev->reset_delay = ms;
        return "ok";
    }
    if (n == 2 && strcmp(words[0], "detach") == 0) {
        dev->attached = false;
        pl_io_drop(dev);
        pl_device_run(peer, dev, PL_ON_DETACHED, &none);
        return "ok";
    }
    return "unsupported";
}

static const char *request(struct pl_device_peer *peer, char **words, int n)
{
    uint64_t device_number;
    if (n < 2 || n > MAX_WORDS)
        return "unsupported";
    if (!number(words[1], UINT16_MAX, &device_number))
        return strcmp(words[0], "parameters") == 0 ? "unsupported"
                                                   : "error the device number is no number";
    if (n == 2 && strcmp(words[0], "attach") == 0)
        return attach(peer, device_number);
    struct pl_device *dev = pl_device_find(peer, device_number);
    static const char *const known[] = {"config-change", "needs-reset", "reset-delay", "detach"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (strcmp(words[0], known[i]) == 0 && !dev)
            return "error there is no device of this number";
    return dev ? device_request(peer, dev, words, n) : "unsupported";
}

int pl_device_control(void *self, const char *line, char *answer, size_t cap)
{
    char copy[4096];
    char *words[MAX_WORDS];
    const char *text = "error the line is too long";
    if (strlen(line) < sizeof(copy)) {
        memcpy(copy, line, strlen(line) + 1);
        text = request(self, words, split(copy, words));
    }
    if (cap == 0)
        return -EINVAL;
    snprintf(answer, cap, "%s", text);
    return 0;
}
