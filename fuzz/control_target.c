/* Fuzz target: requests over a control socket whose other end answers anything, late, twice or not
 * at all, while messages come on the other socket. */
#include "input.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/private.h"
#include "port/utf8.h"

enum { ANSWER = 160, WAITED_MS = 0 };

struct world {
    struct fuzz_input in;
    struct pl_port port;
    struct pl_link link;
    struct pl_control control;
    int peer, peer_control; /* -1: closed */
    uint8_t buf[PL_MSG_MAX + 1];
};

static bool is_answer(const char *text)
{
    return strcmp(text, "ok") == 0 || strcmp(text, "unsupported") == 0 ||
           strcmp(text, "error") == 0 || strncmp(text, "error ", 6) == 0;
}

static void ask(struct world *w)
{
    char answer[ANSWER] = "";
    char *line = fuzz_text(&w->in, fuzz_byte(&w->in));
    int r = pl_control_ask(&w->control, &w->link, line, answer, sizeof(answer), WAITED_MS);

    fuzz_hold(r <= 0, "answered or not");
    if (r == 0)
        fuzz_hold(is_answer(answer) && pl_utf8_valid(answer, strlen(answer)) == strlen(answer),
                  "an answer of the protocol");
    else
        fuzz_hold(w->port.error[0], "a sentence where there is no answer");
    free(line);
}

static void answer_anything(struct world *w)
{
    const uint8_t *bytes;
    size_t n = fuzz_take(&w->in, fuzz_byte(&w->in), &bytes);

    if (w->peer_control >= 0 && n)
        send(w->peer_control, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void answer_well(struct world *w)
{
    static const char *const answers[] = {"ok\n", "unsupported\n", "error it is so\n", "ok\r\n"};
    const char *text = answers[fuzz_byte(&w->in) % 4];

    if (w->peer_control >= 0)
        send(w->peer_control, text, strlen(text), MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void send_message(struct world *w)
{
    const uint8_t *bytes;
    size_t n = fuzz_take(&w->in, fuzz_byte(&w->in), &bytes);

    if (w->peer >= 0 && n)
        send(w->peer, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void receive(struct world *w)
{
    int n = pl_link_receive(&w->link, w->buf, sizeof(w->buf), 0);

    fuzz_hold(n >= 0 || n == -EPIPE || n == -EPROTO, "an error of receiving");
    fuzz_hold(n >= 0 || w->port.error[0], "a sentence where receiving failed");
}

/* A process that ends lets go of both, in this order here: waiting for the second costs time. */
static void peer_dies(struct world *w)
{
    if (w->peer >= 0)
        close(w->peer);
    if (w->peer_control >= 0)
        close(w->peer_control);
    w->peer = w->peer_control = -1;
}

static void set_up(struct world *w)
{
    const uint8_t how = fuzz_byte(&w->in);
    struct pl_port_options options = {.spec = pl_specs[0]};
    int ends[2], control[2];
    char error[64];

    w->port = (struct pl_port){.spec = pl_specs[0], .name = "input", .max_msg_size = 264};
    pl_link_init(&w->link, &w->port, &options);
    if (socketpair(AF_UNIX, how & 1 ? SOCK_STREAM : SOCK_SEQPACKET, 0, ends) != 0 ||
        socketpair(AF_UNIX, SOCK_STREAM, 0, control) != 0 || pl_link_open(&w->link, ends[0]) != 0 ||
        pl_control_init(&w->control, NULL, error, sizeof(error)) != 0)
        abort();
    w->control.fd = control[0];
    w->peer = ends[1];
    w->peer_control = control[1];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const operation[])(struct world *) = {
        ask, ask, answer_anything, answer_well, answer_well, send_message, receive, peer_dies,
    };
    struct world *w = calloc(1, sizeof(*w));

    if (!w)
        return 0;
    w->in = (struct fuzz_input){data, size};
    set_up(w);
    while (w->in.left > 0)
        operation[fuzz_byte(&w->in) % (sizeof(operation) / sizeof(operation[0]))](w);
    pl_control_free(&w->control);
    pl_link_free(&w->link);
    peer_dies(w);
    free(w);
    return 0;
}
