/* Fuzz target: a channel over shared memory whose other end is a legal peer that now and then
 * scribbles: over the indices, over the slots, on the wakeup socket. */
#include "input.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "port/spsc.h"

enum { SLOTS_MORE = 6, QUEUED_MAX = 64, AREA_MAX = PL_SPSC_SIZE_MIN + SLOTS_MORE * 64 };

/* Messages that were put and not taken yet, oldest first, where nobody scribbled. */
struct queue {
    uint8_t bytes[QUEUED_MAX][PL_SPSC_SLOT_SIZE];
    size_t length[QUEUED_MAX];
    unsigned first, n;
};

struct world {
    struct fuzz_input in;
    const struct pl_spec *spec;
    struct pl_chan chan;
    enum pl_spsc_end end;      /* ours */
    void *area[2];             /* by producer */
    size_t size[2];            /* of each, in bytes */
    int peer;                  /* of the wakeup socket; -1: closed, or there is none */
    int32_t put, taken;        /* the peer's own indices: head of its ring, tail of ours */
    bool clean;                /* nothing was written that a legal peer would not write */
    bool broken;               /* the channel gave up */
    bool left;                 /* the peer closed the wakeup socket */
    struct queue ours, theirs; /* what this end sent; what the peer did */
    uint8_t before[2][AREA_MAX];
    uint8_t buf[PL_MSG_MAX + 1];
};

/* --- the peer --- */

static void wake(struct world *w)
{
    static const uint8_t wakeup = PL_SPSC_WAKEUP;

    if (w->peer >= 0)
        send(w->peer, &wakeup, 1, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void remember(struct queue *q, const uint8_t *bytes, size_t size)
{
    unsigned at = (q->first + q->n++) % QUEUED_MAX;

    memset(q->bytes[at], 0, PL_SPSC_SLOT_SIZE);
    if (size)
        memcpy(q->bytes[at], bytes, size);
    q->length[at] = size;
}

static void forget_first(struct queue *q)
{
    q->first = (q->first + 1) % QUEUED_MAX;
    q->n--;
}

static int32_t slots_of(const struct world *w, unsigned producer)
{
    return (int32_t)((w->size[producer] - offsetof(struct pl_spsc_area, slots)) /
                     PL_SPSC_SLOT_SIZE);
}

/* The peer's rings are looked after here, by the binding's words and not by the harness's code. */
static void peer_puts(struct world *w)
{
    struct pl_spsc_area *area = w->area[1 - w->end];
    int32_t next = (w->put + 1) % slots_of(w, 1 - w->end);
    uint8_t message[PL_SPSC_SLOT_SIZE];
    size_t size = fuzz_byte(&w->in) % (sizeof(message) + 1);

    size = size < w->spec->header.size ? w->spec->header.size : size;
    fuzz_fill(&w->in, message, size);
    pl_poke_size(w->spec, message, (uint16_t)size);
    if (w->spec->header.msg_size.width == 0)
        size = sizeof(message);
    bool full = next == atomic_load(&area->tail);
    fuzz_hold(!w->clean || !full || (int32_t)w->theirs.n == slots_of(w, 1 - w->end) - 1,
              "room in the ring for all that was taken");
    if (!full) {
        memcpy(area->slots[w->put], message, size);
        atomic_store(&area->head, next);
        w->put = next;
    }
    if (!full && w->clean)
        remember(&w->theirs, message, size);
    wake(w);
}

static bool peer_takes_one(struct world *w)
{
    struct pl_spsc_area *area = w->area[w->end];

    if (w->taken == atomic_load(&area->head)) {
        fuzz_hold(!w->clean || w->ours.n == 0, "a message that was sent and is there");
        return false;
    }
    fuzz_hold(!w->clean || w->ours.n > 0, "no message that was not sent");
    fuzz_hold(!w->clean || memcmp(w->ours.bytes[w->ours.first], area->slots[w->taken],
                                  PL_SPSC_SLOT_SIZE) == 0,
              "the bytes of a message that was sent, and zeros behind them");
    if (w->clean)
        forget_first(&w->ours);
    w->taken = (w->taken + 1) % slots_of(w, w->end);
    atomic_store(&area->tail, w->taken);
    return true;
}

static void peer_takes(struct world *w)
{
    peer_takes_one(w);
}

/* An index of either ring, near what is sound or anything. */
static void scribble_index(struct world *w)
{
    const uint8_t how = fuzz_byte(&w->in);
    struct pl_spsc_area *area = w->area[how & 1];
    _Atomic(int32_t) *index = how & 2 ? &area->head : &area->tail;
    int32_t value = how & 4 ? (int32_t)fuzz_number(&w->in, 4) : (int8_t)fuzz_byte(&w->in);

    if (how & 8)
        value = (int32_t)((uint32_t)atomic_load(index) + (uint32_t)value);
    w->clean = false;
    atomic_store(index, value);
}

static void scribble_bytes(struct world *w)
{
    const uint8_t how = fuzz_byte(&w->in);
    uint8_t *bytes = w->area[how & 1];
    size_t at = fuzz_number(&w->in, 2) % w->size[how & 1], n = (how >> 1) % 16u;

    n = n < w->size[how & 1] - at ? n : w->size[how & 1] - at;
    w->clean = false;
    fuzz_fill(&w->in, bytes + at, n);
}

static void send_wakeups(struct world *w)
{
    const uint8_t *bytes;
    size_t n = fuzz_take(&w->in, fuzz_byte(&w->in) % 8u, &bytes);

    for (size_t i = 0; i < n; i++)
        w->clean &= bytes[i] == PL_SPSC_WAKEUP;
    if (w->peer >= 0 && n)
        send(w->peer, bytes, n, MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void peer_leaves(struct world *w)
{
    if (w->peer >= 0)
        close(w->peer);
    w->peer = -1;
    w->left = true;
}

/* --- this end --- */

/* What this end may write, whatever the peer did: an index in either area, and one slot. */
static void look_before(struct world *w)
{
    for (size_t i = 0; i < 2; i++)
        memcpy(w->before[i], w->area[i], w->size[i]);
}

static void same(const struct world *w, size_t area, size_t from, size_t to)
{
    const uint8_t *now = w->area[area];

    fuzz_hold(memcmp(now + from, w->before[area] + from, to - from) == 0,
              "memory that is not this end's to write, as it was");
}

static void look_behind(const struct world *w, bool sent)
{
    const size_t head = sizeof(int32_t), slots = offsetof(struct pl_spsc_area, slots),
                 tail = offsetof(struct pl_spsc_area, tail), own = w->end, peers = 1 - own;
    const uint32_t at = (uint32_t)((const struct pl_spsc_area *)(const void *)w->before[own])->head;
    size_t slot = slots + (size_t)at * PL_SPSC_SLOT_SIZE;

    same(w, peers, 0, tail);
    same(w, peers, tail + sizeof(int32_t), w->size[peers]);
    same(w, own, sent ? head : 0, slots);
    if (!sent || slot > w->size[own] - PL_SPSC_SLOT_SIZE) {
        same(w, own, slots, w->size[own]);
        return;
    }
    same(w, own, slots, slot);
    same(w, own, slot + PL_SPSC_SLOT_SIZE, w->size[own]);
}

static void check_message(struct world *w, size_t size)
{
    fuzz_hold(size >= w->spec->header.size && size <= PL_SPSC_SLOT_SIZE, "the size of a message");
    if (!w->clean)
        return;
    const struct queue *q = &w->theirs;
    fuzz_hold(q->n > 0, "a message that was sent");
    fuzz_hold(q->length[q->first] == size && memcmp(q->bytes[q->first], w->buf, size) == 0,
              "the bytes of a message");
    forget_first(&w->theirs);
}

static int receive_one(struct world *w)
{
    look_before(w);
    int n = pl_chan_receive(&w->chan, w->spec, w->buf, sizeof(w->buf), 0, 0);

    fuzz_hold(n >= 0 || n == -EPROTO || n == -EPIPE, "an error of receiving");
    fuzz_hold(n >= 0 || w->chan.error[0], "a sentence where receiving failed");
    fuzz_hold(n != -EPROTO || !w->clean, "no fault of a legal peer");
    fuzz_hold(n == -EPROTO || !w->broken, "broken for good");
    fuzz_hold(n != -EPIPE || w->left, "a connection of a peer that is there");
    fuzz_hold(n > 0 || !w->clean || w->theirs.n == 0, "a message that is there");
    w->broken |= n == -EPROTO;
    if (n > 0)
        check_message(w, (size_t)n);
    look_behind(w, false);
    return n;
}

static void receive(struct world *w)
{
    receive_one(w);
}

static void send_message(struct world *w)
{
    const uint8_t *bytes;
    size_t n = fuzz_take(&w->in, fuzz_byte(&w->in) % (PL_SPSC_SLOT_SIZE + 8u), &bytes);
    bool room = (int32_t)w->ours.n < slots_of(w, w->end) - 1;
    look_before(w);
    int r = pl_chan_send(&w->chan, bytes, n, 0);

    fuzz_hold(r != -EPROTO || !w->clean, "no fault of a legal peer");
    fuzz_hold(n <= PL_SPSC_SLOT_SIZE || r == -EMSGSIZE || r == -EPROTO, "a slot's size");
    fuzz_hold(r != -EPIPE || w->left, "a connection of a peer that is there");
    if (w->clean && n <= PL_SPSC_SLOT_SIZE && r != -EPIPE)
        fuzz_hold(r == (room ? 0 : -ETIMEDOUT), "a place for a message where there is room");
    w->broken |= r == -EPROTO;
    /* What could not be told of by a wakeup was put all the same. */
    if (w->clean && n <= PL_SPSC_SLOT_SIZE && room)
        remember(&w->ours, bytes, n);
    look_behind(w, n <= PL_SPSC_SLOT_SIZE);
}

static void discard(struct world *w)
{
    look_before(w);
    pl_spsc_discard(&w->chan);
    look_behind(w, false);
    w->theirs.n = 0;
}

/* Nothing that a legal peer sent is lost, nor what was sent to it. */
static void drain(struct world *w)
{
    while (w->clean && receive_one(w) > 0)
        continue;
    while (w->clean && peer_takes_one(w))
        continue;
}

/* --- the two of them --- */

/* Each area has exactly its size, so that a slot too many is seen. */
static void make_areas(struct world *w)
{
    for (size_t i = 0; i < 2; i++) {
        w->size[i] = PL_SPSC_SIZE_MIN + fuzz_byte(&w->in) % (SLOTS_MORE * PL_SPSC_SLOT_SIZE + 1);
        if (posix_memalign(&w->area[i], PL_SPSC_SLOT_SIZE, w->size[i]) != 0)
            abort();
        memset(w->area[i], 0, w->size[i]);
    }
}

/* Where both begin; now and then anywhere, which may be refused. */
static bool meet(struct world *w, bool begun, bool polls)
{
    int ends[2] = {-1, -1};

    for (size_t i = 0; begun && i < 2; i++) {
        struct pl_spsc_area *area = w->area[i];
        int32_t index = (int8_t)fuzz_byte(&w->in);
        atomic_store(&area->head, index);
        atomic_store(&area->tail, index);
    }
    w->peer = -1;
    if (!polls && socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0)
        abort();
    if (pl_spsc_channel(&w->chan, w->area, w->size, w->end, ends[0], false) < 0) {
        fuzz_hold(begun && w->chan.error[0], "a refusal with a sentence");
        if (ends[0] >= 0)
            close(ends[0]);
        w->peer = ends[1];
        return false;
    }
    w->peer = ends[1];
    w->put = ((struct pl_spsc_area *)w->area[1 - w->end])->head;
    w->taken = ((struct pl_spsc_area *)w->area[w->end])->tail;
    return true;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const operation[])(struct world *) = {
        peer_puts,    peer_puts, receive,        receive,        peer_takes,   peer_puts,
        send_message, discard,   scribble_index, scribble_bytes, send_wakeups, peer_leaves,
    };
    struct world *w = calloc(1, sizeof(*w));

    if (!w)
        return 0;
    w->in = (struct fuzz_input){data, size};
    const uint8_t how = fuzz_byte(&w->in);
    w->end = how & 1 ? PL_SPSC_DEVICE : PL_SPSC_DRIVER;
    w->spec = pl_specs[how & 2 && pl_specs[1] ? 1 : 0];
    w->clean = true;
    make_areas(w);
    bool met = meet(w, how & 4, how & 8);
    while (met && w->in.left > 0)
        operation[fuzz_byte(&w->in) % (sizeof(operation) / sizeof(operation[0]))](w);
    if (met)
        drain(w);
    if (met)
        pl_chan_close(&w->chan);
    peer_leaves(w);
    free(w->area[0]);
    free(w->area[1]);
    free(w);
    return 0;
}
