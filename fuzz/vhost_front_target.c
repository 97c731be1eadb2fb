/* Fuzz target: the vhost-user gateway before a back-end that answers well, badly or not at all,
 * while the harness sends it messages of every kind. */
#include "input.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include "pl_vhost_user.h"
#include "place.h"
#include "port/vhost_user.h"

enum {
    MEMORY = 1 << 16,
    TIMEOUT_MS = 2000,
    PAYLOAD_MAX = 4096,
    SIGNALS = 8,
    OPERATIONS_MAX = 64,
    SCRIPTED = 0x40
};

static const struct pl_bus_params bus = {1, 264, 0};

/* The back-end's thread: its script is a part of the input, and nobody else's while it runs. */
struct back_end {
    struct fuzz_input script;
    int listener, ended; /* an eventfd: time to go */
    int peer;            /* -1: nobody is connected */
    int signals[SIGNALS];
    unsigned n_signals;
    uint64_t status; /* as it was set last */
};

/* --- the back-end --- */

static void hang_up(struct back_end *b)
{
    if (b->peer >= 0)
        close(b->peer);
    b->peer = -1;
    while (b->n_signals > 0)
        close(b->signals[--b->n_signals]);
}

static void keep_signal(struct back_end *b, int fd)
{
    if (b->n_signals < SIGNALS)
        b->signals[b->n_signals++] = fd;
    else
        close(fd);
}

/* Read exactly so much, with the descriptors that come along; false at the end. */
static bool read_all(struct back_end *b, void *out, size_t size)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(sizeof(int))];

    for (size_t done = 0; done < size;) {
        struct iovec piece = {(uint8_t *)out + done, size - done};
        struct msghdr msg = {.msg_iov = &piece,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
        ssize_t n = recvmsg(b->peer, &msg, MSG_CMSG_CLOEXEC);
        if (n <= 0)
            return false;
        done += (size_t)n;
        struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
        int fd;
        if (!head || head->cmsg_type != SCM_RIGHTS)
            continue;
        memcpy(&fd, CMSG_DATA(head), sizeof(fd));
        keep_signal(b, fd);
    }
    return true;
}

static const struct pl_vu_request_def *definition(uint32_t request)
{
    for (size_t i = 0; i < sizeof(pl_vu_requests) / sizeof(pl_vu_requests[0]); i++)
        if ((uint32_t)pl_vu_requests[i].request == request)
            return &pl_vu_requests[i];
    abort(); /* the gateway sends what it knows only */
}

static void say(struct back_end *b, const void *bytes, size_t size)
{
    if (size)
        send(b->peer, bytes, size, MSG_NOSIGNAL);
}

/* What a sound back-end answers where it has a number to say. */
static uint64_t sound_value(const struct back_end *b, enum pl_vu_request request)
{
    switch (request) {
    case PL_VU_GET_FEATURES:
        return PL_VU_F_PROTOCOL_FEATURES | UINT64_C(1) << PL_C_F_VERSION_1;
    case PL_VU_GET_PROTOCOL_FEATURES:
        return PL_VU_PF_MQ | PL_VU_PF_REPLY_ACK | PL_VU_PF_CONFIG | PL_VU_PF_STATUS;
    case PL_VU_GET_QUEUE_NUM:
        return 2;
    case PL_VU_GET_STATUS:
        return b->status;
    default:
        return 0;
    }
}

/* The payload of an answer: sound, or as the script has it; its size. */
static size_t answer_payload(struct back_end *b, const struct pl_vu_header *request, uint8_t how,
                             uint8_t *out)
{
    const struct pl_vu_request_def *def = definition(request->request);
    const size_t fields = offsetof(struct pl_vu_config, data);
    uint64_t value = sound_value(b, def->request);

    if (def->request == PL_VU_GET_CONFIG) {
        struct pl_vu_config c = {.size = (uint32_t)(request->size - fields)};
        fuzz_fill(&b->script, c.data, how & SCRIPTED ? c.size : 0);
        memcpy(out, &c, request->size);
        return request->size;
    }
    if (def->reply && how & SCRIPTED)
        fuzz_fill(&b->script, out, def->reply);
    else if (def->reply)
        memcpy(out, &value, sizeof(value));
    if (def->reply)
        return def->reply;
    out[0] = how >> 7;
    return request->flags & PL_VU_FLAG_NEED_REPLY ? sizeof(struct pl_vu_u64) : 0;
}

/* An answer that has the form that the request asks for; `more` bytes too many follow. */
static void answer(struct back_end *b, const struct pl_vu_header *request, uint8_t how, size_t more)
{
    uint8_t packet[sizeof(*request) + sizeof(struct pl_vu_config) + 256] = {0};
    struct pl_vu_header header = {request->request, PL_VU_FLAG_VERSION | PL_VU_FLAG_REPLY, 0};
    size_t size = answer_payload(b, request, how, packet + sizeof(header));

    header.size = (uint32_t)size;
    memcpy(packet, &header, sizeof(header));
    if (size)
        say(b, packet, sizeof(header) + size + more);
}

/* A header and a payload as the script has them, and nothing behind. */
static void answer_bent(struct back_end *b, const struct pl_vu_header *request)
{
    const uint8_t how = fuzz_byte(&b->script);
    struct pl_vu_header header = *request;
    uint8_t packet[sizeof(header) + 512];
    size_t size = fuzz_byte(&b->script) * (how & 1 ? 2u : 1u);

    header.flags = how & 2 ? fuzz_byte(&b->script) : PL_VU_FLAG_VERSION | PL_VU_FLAG_REPLY;
    header.size = (uint32_t)(how & 4 ? fuzz_number(&b->script, 4) : size);
    if (how & 8)
        header.request = fuzz_byte(&b->script);
    memcpy(packet, &header, sizeof(header));
    fuzz_fill(&b->script, packet + sizeof(header), size);
    say(b, packet, sizeof(header) + size);
    shutdown(b->peer, SHUT_WR);
}

static void answer_raw(struct back_end *b)
{
    const uint8_t *bytes;
    size_t n = fuzz_take(&b->script, fuzz_byte(&b->script), &bytes);

    say(b, bytes, n);
    shutdown(b->peer, SHUT_WR);
}

static void signal_all(struct back_end *b)
{
    const uint64_t one = 1;

    for (unsigned i = 0; i < b->n_signals; i++)
        if (write(b->signals[i], &one, sizeof(one)) < 0)
            continue; /* shared memory, or a counter that is full */
}

/* One request; false where the connection ends. */
static bool serve(struct back_end *b)
{
    static uint8_t payload[PAYLOAD_MAX];
    struct pl_vu_header request;

    if (!read_all(b, &request, sizeof(request)))
        return false;
    fuzz_hold(request.size <= sizeof(payload), "a request's payload");
    if (!read_all(b, payload, request.size))
        return false;
    if (request.request == PL_VU_SET_STATUS)
        memcpy(&b->status, payload, sizeof(b->status));
    const uint8_t how = fuzz_byte(&b->script);
    if (how & 0x20)
        signal_all(b);
    switch (how & 0x1f) {
    case 0x1f:
        return false;
    case 0x1e:
        answer_bent(b, &request);
        return true;
    case 0x1d:
        answer_raw(b);
        return true;
    case 0x1c:
        answer(b, &request, how, 1 + (how >> 6));
        return true;
    default:
        answer(b, &request, how, 0);
        return true;
    }
}

static void *live(void *opaque)
{
    struct back_end *b = opaque;

    for (;;) {
        struct pollfd entries[] = {{.fd = b->ended, .events = POLLIN},
                                   {.fd = b->listener, .events = POLLIN}};
        poll(entries, 2, -1);
        b->peer = entries[1].revents ? accept(b->listener, NULL, NULL) : -1;
        if (b->peer < 0 && entries[0].revents)
            return NULL;
        while (b->peer >= 0 && serve(b))
            continue;
        hang_up(b);
    }
}

/* --- the harness --- */

/* What comes from the gateway is well formed, for it makes it itself. */
static void receive(struct pl_port *port)
{
    static uint8_t buf[PL_MSG_MAX + 1];
    struct pl_msg m;
    int n = port->ops->receive(port, buf, sizeof(buf), 0);

    fuzz_hold(n >= 0 || port->error[0], "a sentence where receiving failed");
    if (n <= 0)
        return;
    fuzz_hold((uint32_t)n <= bus.max_msg_size, "the bus's maximum message size");
    pl_decode(port->spec, buf, (size_t)n, &m);
    fuzz_hold(m.form == PL_FORM_OK && (m.response || m.event), "a well-formed answer");
}

/* A message that the draft has, with small numbers or large ones. */
static void send_message(struct pl_port *port, struct fuzz_input *in)
{
    const struct pl_spec *spec = port->spec;
    const struct pl_message_def *def = &spec->messages[fuzz_byte(in) % spec->n_messages];
    const uint8_t how = fuzz_byte(in);
    uint8_t message[PL_MSG_MAX], data[256];
    struct pl_msg m = {.kind = def->kind, .token = how, .data = data};
    const struct pl_layout *layout = def->request;

    for (size_t i = 0; i < layout->n_fields; i++)
        m.f[layout->fields[i].field] = fuzz_number(in, how & 1 ? layout->fields[i].width : 1);
    m.data_len = how & 2 ? fuzz_byte(in) : 0;
    fuzz_fill(in, data, m.data_len);
    if (layout->tail && how & 4)
        m.f[layout->tail->count_field] = m.data_len / layout->tail->width;
    ssize_t n = pl_encode(spec, &m, message, sizeof(message));
    if (n > 0)
        port->ops->send(port, message, (size_t)n);
}

static void send_raw(struct pl_port *port, struct fuzz_input *in)
{
    const uint8_t *bytes;
    size_t n = fuzz_take(in, fuzz_byte(in), &bytes);

    port->ops->send(port, bytes, n);
}

static void act(struct pl_port *port, struct fuzz_input *in)
{
    switch (fuzz_byte(in) % 16) {
    case 0:
        send_raw(port, in);
        break;
    case 1:
        port->outlawed = true;
        break;
    case 2:
        port->ops->start(port, &bus);
        break;
    case 3:
    case 4:
        receive(port);
        break;
    default:
        send_message(port, in);
        receive(port);
        break;
    }
}

static struct pl_port *gateway(bool reconnects)
{
    static struct pl_port *ports[2];
    char address[128], error[512];

    snprintf(address, sizeof(address), "vhost-user:%s%s", fuzz_place(),
             reconnects ? ",reset=reconnect,queues=3" : "");
    struct pl_port_options options = {.spec = pl_specs[0],
                                      .connect = address,
                                      .mem_size = MEMORY,
                                      .accept_timeout_ms = TIMEOUT_MS};
    if (!ports[reconnects])
        ports[reconnects] = pl_port_vhost_user(&options, error, sizeof(error));
    if (!ports[reconnects])
        abort();
    return ports[reconnects];
}

static int listener(void)
{
    static int fd = -1;
    struct sockaddr_un address = fuzz_place_address();

    if (fd >= 0)
        return fd;
    fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 8) != 0)
        abort();
    return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    const uint8_t how = fuzz_byte(&in);
    struct fuzz_input part = {0};
    const uint64_t one = 1;
    pthread_t thread;
    struct pl_end end;

    part.left = fuzz_take(&in, fuzz_number(&in, 2), &part.at);
    struct back_end b = {in, listener(), eventfd(0, 0), -1, {0}, 0, 0};
    struct pl_port *port = gateway(how & 1);
    if (b.ended < 0 || pthread_create(&thread, NULL, live, &b) != 0)
        abort();
    port->ops->start(port, &bus);
    for (unsigned i = 0; part.left > 0 && i < OPERATIONS_MAX; i++)
        act(port, &part);
    port->ops->stop(port, &end);
    if (write(b.ended, &one, sizeof(one)) != sizeof(one))
        abort();
    pthread_join(thread, NULL);
    close(b.ended);
    return 0;
}
