/* Fuzz target: both kinds of socket as channels, with a peer that cuts, bends and ends what it
 * sends; whole messages must come out as they went in, or the connection be given up. */
#include "input.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/port.h"

enum { SENT_MAX = 1 << 17, PACKETS_MAX = 512, PIECE_BYTES = 2 };

struct world {
    struct fuzz_input in;
    const struct pl_spec *spec;
    struct pl_chan chan;
    int peer; /* -1: closed */
    size_t max_size;
    bool stream, bare; /* bare: an empty packet was sent */
    int ended;         /* the error that ended it; 0: none yet */
    /* what the peer sent: all bytes, and of packets the size of each */
    uint8_t *sent;
    size_t n_sent, taken;
    size_t packet[PACKETS_MAX];
    unsigned n_packets, first;
    uint8_t buf[PL_MSG_MAX + 1];
};

/* --- the peer --- */

static void peer_send(struct world *w, const uint8_t *bytes, size_t size)
{
    if (w->peer < 0 || size > SENT_MAX - w->n_sent || w->n_packets == PACKETS_MAX)
        return;
    ssize_t n = send(w->peer, bytes, size, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (n < 0 || (n == 0 && w->stream))
        return;
    if (n > 0)
        memcpy(w->sent + w->n_sent, bytes, (size_t)n);
    w->n_sent += (size_t)n;
    w->bare |= n == 0;
    if (!w->stream)
        w->packet[w->n_packets++] = (size_t)n;
}

static void send_piece(struct world *w)
{
    const uint8_t *bytes;
    size_t n = fuzz_take(&w->in, fuzz_byte(&w->in), &bytes);

    peer_send(w, bytes, n);
}

/* A message whose header tells its size, whatever else is in it; up to the largest there can be. */
static void send_framed(struct world *w)
{
    size_t size = fuzz_number(&w->in, PIECE_BYTES);
    const uint8_t *bytes;

    size = size < w->spec->header.size ? w->spec->header.size : size;
    uint8_t *message = fuzz_room(size);
    memset(message, 0x5a, size);
    size_t n = fuzz_take(&w->in, size < 64 ? size : 64, &bytes);
    if (n)
        memcpy(message, bytes, n);
    pl_poke_size(w->spec, message, (uint16_t)size);
    peer_send(w, message, size);
    free(message);
}

/* Descriptors travel along; nobody wants them. */
static void send_descriptor(struct world *w)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))] = {0};
    uint8_t byte = fuzz_byte(&w->in);
    struct iovec piece = {&byte, 1};
    struct msghdr msg = {.msg_iov = &piece,
                         .msg_iovlen = 1,
                         .msg_control = control,
                         .msg_controllen = sizeof(control)};
    struct cmsghdr *head = CMSG_FIRSTHDR(&msg);

    if (w->peer < 0 || w->n_sent == SENT_MAX || w->n_packets == PACKETS_MAX)
        return;
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(head), &w->peer, sizeof(int));
    if (sendmsg(w->peer, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
        return;
    w->sent[w->n_sent++] = byte;
    if (!w->stream)
        w->packet[w->n_packets++] = 1;
}

static void peer_ends(struct world *w)
{
    if (w->peer < 0)
        return;
    if (fuzz_byte(&w->in) & 1) {
        shutdown(w->peer, SHUT_WR);
        return;
    }
    close(w->peer);
    w->peer = -1;
}

static void peer_drains(struct world *w)
{
    uint8_t bytes[4096];

    while (w->peer >= 0 && recv(w->peer, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
}

/* --- this end --- */

static void check_message(struct world *w, size_t size)
{
    size_t want = size;

    if (w->stream)
        fuzz_hold(size >= w->spec->header.size && size <= w->max_size, "the size of a message");
    else
        want = w->first < w->n_packets ? w->packet[w->first++] : SIZE_MAX;
    fuzz_hold(want == size && size <= w->n_sent - w->taken, "a message that was sent");
    fuzz_hold(memcmp(w->buf, w->sent + w->taken, size) == 0, "the bytes of a message");
    w->taken += size;
}

/* Take one message: its size, 0, or the error. */
static int take(struct world *w)
{
    int n = pl_chan_receive(&w->chan, w->spec, w->buf, sizeof(w->buf), w->max_size, 0);

    if (n > 0)
        check_message(w, (size_t)n);
    if (n < 0)
        fuzz_hold(n == -EPIPE || n == -EPROTO, "an error of receiving");
    if (n < 0)
        fuzz_hold(w->chan.error[0], "a sentence where receiving failed");
    if (w->stream && w->ended)
        fuzz_hold(n < 0, "an end for good");
    if (n < 0)
        w->ended = n;
    if (n == -EPROTO && !w->stream && w->first < w->n_packets)
        w->taken += w->packet[w->first++];
    return n;
}

static void receive(struct world *w)
{
    take(w);
}

static void send_message(struct world *w)
{
    const uint8_t *bytes;
    size_t n = fuzz_take(&w->in, fuzz_byte(&w->in), &bytes);

    if (n)
        pl_chan_send(&w->chan, bytes, n, 0);
}

/* Nothing that is whole stays behind on a stream that is sound. */
static void check_rest(struct world *w)
{
    struct pl_msg m;
    size_t left = w->n_sent - w->taken;

    if (!w->stream || w->ended == -EPROTO || left < w->spec->header.size)
        return;
    pl_decode(w->spec, w->sent + w->taken, left, &m);
    fuzz_hold(m.msg_size > left, "a whole message that was left behind");
}

static bool set_up(struct world *w)
{
    const uint8_t how = fuzz_byte(&w->in);
    int ends[2], drafts = 0;

    while (pl_specs[drafts])
        drafts++;
    w->stream = how & 1;
    w->spec = pl_specs[(how >> 1 & 3) % drafts];
    w->max_size = how & 8 ? PL_MSG_MAX : w->spec->min_max_msg_size + fuzz_byte(&w->in);
    w->sent = fuzz_room(SENT_MAX);
    w->peer = -1;
    if (socketpair(AF_UNIX, w->stream ? SOCK_STREAM : SOCK_SEQPACKET, 0, ends) != 0)
        return false;
    w->peer = ends[1];
    return pl_chan_init(&w->chan, ends[0]) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const operation[])(struct world *) = {
        send_piece, send_piece, send_framed, send_framed,     receive,
        receive,    peer_ends,  peer_drains, send_descriptor, send_message,
    };
    struct world *w = calloc(1, sizeof(*w));

    if (!w)
        return 0;
    w->in = (struct fuzz_input){data, size};
    if (!set_up(w))
        abort();
    while (w->in.left > 0)
        operation[fuzz_byte(&w->in) % (sizeof(operation) / sizeof(operation[0]))](w);
    while (take(w) > 0 || (!w->stream && w->first < w->n_packets && w->ended != -EPIPE))
        continue;
    check_rest(w);
    pl_chan_close(&w->chan);
    if (w->peer >= 0)
        close(w->peer);
    free(w->sent);
    free(w);
    return 0;
}
