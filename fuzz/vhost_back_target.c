/* Fuzz target: the vhost-user back-end before a front-end that sends any requests with any
 * descriptors, with the reference device behind it or a device that answers anything. */
#include "input.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "peer/device.h"
#include "pl_vhost_user.h"
#include "place.h"
#include "port/vhost_user.h"

enum {
    PAGES = 16,
    REGION_PAGES = 8,
    TIMEOUT_MS = 1000,
    OPERATIONS_MAX = 200,
    ANSWERS_MAX = 64, /* messages that are answered in one go */
    RAW_MAX = 64,
    PAGE = 4096,
    MEMORY = PAGES * PAGE,
    /* of a sound front-end: its ring and its buffers, within a region that begins at any of the
     * first pages */
    FIRST_PAGES = 4,
    SOUND_SIZE = (PAGES - FIRST_PAGES) * PAGE,
    SOUND_AVAIL = PAGE,
    SOUND_USED = 2 * PAGE,
    SOUND_DATA = 3 * PAGE,
    ENTRIES_MAX = 16,
    ROUNDS_MAX = 24,
    /* of an input's first byte */
    REFERENCE = 1,
    SOUND = 2,
};
#define USER_BASE (UINT64_C(1) << 40)

static const struct pl_bus_params bus = {1, 264, 0};

struct world {
    struct fuzz_input in;
    struct pl_port *port;
    int front;    /* the front-end's end of the connection; -1: closed */
    int kick;     /* an eventfd that rings are kicked by */
    void *device; /* the reference device; NULL: anything answers */
    bool lent;    /* the guest's memory was sent with the request at hand */
    bool misused; /* ... and with one that means something else, to be written */
    uint8_t buf[PL_MSG_MAX + 1];
    uint8_t was[MEMORY]; /* the guest's memory, as the guest wrote it */
};

/* --- the front-end --- */

/* The guest's memory: a file of some pages. */
static int guest_memory(void)
{
    static int fd = -1;

    if (fd < 0)
        fd = memfd_create("guest", 0);
    if (fd < 0)
        abort();
    return fd;
}

/* What an earlier input left in it is no part of this one. */
static void clear_guest_memory(void)
{
    if (ftruncate(guest_memory(), 0) != 0 || ftruncate(guest_memory(), MEMORY) != 0)
        abort();
}

/* As it stands; mapped once. */
static uint8_t *guest_bytes(void)
{
    static uint8_t *bytes;

    if (!bytes)
        bytes = mmap(NULL, MEMORY, PROT_READ | PROT_WRITE, MAP_SHARED, guest_memory(), 0);
    if (bytes == MAP_FAILED)
        abort();
    return bytes;
}

/* One of the kinds of descriptor that a front-end may send; what is made for it is closed again. */
static int descriptor(struct world *w, uint8_t kind, bool *own)
{
    *own = kind % 8 >= 4;
    switch (kind % 8) {
    case 4:
        return eventfd(UINT32_MAX, EFD_CLOEXEC);
    case 5:
        return eventfd(0, EFD_SEMAPHORE);
    case 6:
        return open("/dev/null", O_RDONLY | O_CLOEXEC);
    case 7:
        return memfd_create("small", 0);
    default:
        w->lent |= !(kind & 1);
        return kind & 1 ? w->kick : guest_memory();
    }
}

enum { FDS_MAX = 16 };

/* Send it with these descriptors: what sendmsg returns. */
static ssize_t send_with(struct world *w, const void *bytes, size_t size, const int *fds,
                         unsigned n_fds, int flags)
{
    _Alignas(struct cmsghdr) uint8_t control[CMSG_SPACE(FDS_MAX * sizeof(int))] = {0};
    struct iovec piece = {(void *)(uintptr_t)bytes, size};
    struct msghdr msg = {.msg_iov = &piece, .msg_iovlen = 1};

    if (n_fds) {
        msg.msg_control = control;
        msg.msg_controllen = CMSG_SPACE(n_fds * sizeof(int));
        struct cmsghdr *head = CMSG_FIRSTHDR(&msg);
        head->cmsg_level = SOL_SOCKET;
        head->cmsg_type = SCM_RIGHTS;
        head->cmsg_len = CMSG_LEN(n_fds * sizeof(int));
        memcpy(CMSG_DATA(head), fds, n_fds * sizeof(int));
    }
    return sendmsg(w->front, &msg, flags | MSG_NOSIGNAL);
}

static void send_packet(struct world *w, const void *bytes, size_t size, unsigned n_fds)
{
    bool own[FDS_MAX] = {false};
    int fds[FDS_MAX] = {0};

    if (w->front < 0 || size == 0)
        return;
    for (unsigned i = 0; i < n_fds; i++)
        fds[i] = descriptor(w, n_fds == 1 || i < 8 ? fuzz_byte(&w->in) : 0, &own[i]);
    if (send_with(w, bytes, size, fds, n_fds, MSG_DONTWAIT) < 0)
        w->in.left = 0; /* the back-end has hung up, or takes nothing any more */
    for (unsigned i = 0; i < n_fds; i++)
        if (own[i])
            close(fds[i]);
}

/* Regions that lie side by side in the guest's memory, as front-ends have them. */
static size_t memory_table(struct world *w, struct pl_vu_memory_map *map, unsigned n)
{
    const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);

    map->num_regions = n;
    for (unsigned i = 0; i < n; i++) {
        struct pl_vu_region *r = &map->regions[i];
        r->guest_address = page * fuzz_byte(&w->in);
        r->size = page * (1 + fuzz_byte(&w->in) % REGION_PAGES);
        r->mmap_offset = page * (fuzz_byte(&w->in) % REGION_PAGES);
        r->user_address = r->guest_address + USER_BASE;
    }
    return offsetof(struct pl_vu_memory_map, regions) + n * sizeof(map->regions[0]);
}

/* A ring's parts on pages of the memory, one behind the other. */
static size_t ring_address(struct world *w, struct pl_vu_vring_addr *a)
{
    const uint64_t base = USER_BASE;

    *a = (struct pl_vu_vring_addr){.index = fuzz_byte(&w->in) % 4};
    a->descriptor = base + 16 * fuzz_number(&w->in, 2);
    a->available = base + 16 * fuzz_number(&w->in, 2);
    a->used = base + 16 * fuzz_number(&w->in, 2);
    return sizeof(*a);
}

/* Index and number, or one number: few bytes of the input make whole fields. */
static size_t small_payload(struct world *w, const struct pl_vu_request_def *def, uint8_t *out)
{
    uint64_t value = fuzz_number(&w->in, 1);

    if (def->request == PL_VU_SET_VRING_NUM || def->request == PL_VU_SET_VRING_BASE ||
        def->request == PL_VU_SET_VRING_ENABLE) {
        struct pl_vu_vring_state state = {(uint32_t)value % 4, 1u << fuzz_byte(&w->in) % 12};
        memcpy(out, &state, sizeof(state));
    } else {
        memcpy(out, &value, sizeof(value));
    }
    return def->payload;
}

/* A payload of the request's form, from few bytes of the input or from as many as it has. */
static size_t payload(struct world *w, const struct pl_vu_request_def *def, uint8_t how,
                      unsigned n_fds, uint8_t *out)
{
    const bool config = def->request == PL_VU_GET_CONFIG || def->request == PL_VU_SET_CONFIG;
    size_t size = def->payload;

    if (how & 1 && def->request == PL_VU_SET_MEM_TABLE)
        return memory_table(w, (void *)out, n_fds < PL_VU_REGIONS_MAX ? n_fds : 1);
    if (how & 1 && def->request == PL_VU_SET_VRING_ADDR)
        return ring_address(w, (void *)out);
    if (how & 1 && config) {
        struct pl_vu_config c = {.offset = fuzz_byte(&w->in), .size = fuzz_byte(&w->in)};
        fuzz_fill(&w->in, c.data, c.size);
        memcpy(out, &c, sizeof(c));
        return offsetof(struct pl_vu_config, data) + c.size;
    }
    if (how & 1)
        return small_payload(w, def, out);
    if (how & 2)
        size = fuzz_number(&w->in, 2) % sizeof(struct pl_vu_memory_map);
    fuzz_fill(&w->in, out, size);
    return size;
}

static void send_request(struct world *w)
{
    enum { KINDS = sizeof(pl_vu_requests) / sizeof(pl_vu_requests[0]) };
    const struct pl_vu_request_def *def = &pl_vu_requests[fuzz_byte(&w->in) % KINDS];
    const uint8_t how = fuzz_byte(&w->in);
    unsigned n_fds = how & 4 ? (how >> 4) : def->fd;
    _Alignas(8) uint8_t body[1024] = {0};
    uint8_t packet[sizeof(struct pl_vu_header) + sizeof(body)];
    struct pl_vu_header header = {(uint32_t)def->request, PL_VU_FLAG_VERSION, 0};

    w->lent = false;
    size_t size = payload(w, def, how, n_fds, body);
    header.size = (uint32_t)size;
    if (how & 8)
        header.flags |= PL_VU_FLAG_NEED_REPLY;
    memcpy(packet, &header, sizeof(header));
    memcpy(packet + sizeof(header), body, size);
    send_packet(w, packet, sizeof(header) + size, n_fds);
    w->misused |= w->lent && def->request != PL_VU_SET_MEM_TABLE;
}

static void send_raw(struct world *w)
{
    const uint8_t *bytes;
    size_t n = fuzz_take(&w->in, fuzz_byte(&w->in) % RAW_MAX, &bytes);

    send_packet(w, bytes, n, 0);
}

static void kick(struct world *w)
{
    const uint64_t one = 1;

    if (write(w->kick, &one, sizeof(one)) < 0 && errno != EAGAIN)
        abort();
}

/* Write into the guest's memory, as the guest does. */
static void scribble(struct world *w)
{
    uint8_t bytes[32];
    size_t n = fuzz_byte(&w->in) % sizeof(bytes);
    size_t at = (size_t)fuzz_number(&w->in, 2) * 2 % (MEMORY - sizeof(bytes));

    fuzz_fill(&w->in, bytes, n);
    memcpy(guest_bytes() + at, bytes, n);
    memcpy(w->was + at, bytes, n);
}

/* Read what the back-end answered, lest it waits for us. */
static void front_drains(struct world *w)
{
    uint8_t bytes[4096];

    while (w->front >= 0 && recv(w->front, bytes, sizeof(bytes), MSG_DONTWAIT) > 0)
        continue;
}

static void front_leaves(struct world *w)
{
    if (w->front >= 0)
        close(w->front);
    w->front = -1;
}

/* --- the device --- */

/* An answer of the form that the request asks for, with anything in it. */
static void answer_anything(struct world *w, const struct pl_msg *request)
{
    const struct pl_layout *layout = request->def->response;
    struct pl_msg m = {.kind = request->kind,
                       .response = true,
                       .token = request->token,
                       .dev_num = request->dev_num};
    uint8_t message[PL_MSG_MAX], data[256];

    for (size_t i = 0; i < layout->n_fields; i++)
        m.f[layout->fields[i].field] = fuzz_number(&w->in, 1);
    m.data = data;
    m.data_len = layout->tail ? fuzz_byte(&w->in) : 0;
    fuzz_fill(&w->in, data, m.data_len);
    ssize_t n = pl_encode(w->port->spec, &m, message, sizeof(message));
    if (n > 0)
        w->port->ops->send(w->port, message, (size_t)n);
}

static void device_answers(struct world *w, size_t size)
{
    int n;

    if (pl_device_endpoint.deliver(w->device, w->buf, size) < 0)
        return;
    while ((n = pl_device_endpoint.poll(w->device, w->buf, sizeof(w->buf))) > 0)
        w->port->ops->send(w->port, w->buf, (size_t)n);
}

/* Take one message of the back-end's; false where there is none. */
static bool converse(struct world *w)
{
    struct pl_msg m;
    int n = w->port->ops->receive(w->port, w->buf, sizeof(w->buf), 0);

    fuzz_hold(n >= 0 || w->port->error[0], "a sentence where receiving failed");
    if (n <= 0)
        return false;
    fuzz_hold((uint32_t)n <= bus.max_msg_size, "the bus's maximum message size");
    pl_decode(w->port->spec, w->buf, (size_t)n, &m);
    fuzz_hold(m.form == PL_FORM_OK && !m.response, "a well-formed message of a driver");
    if (w->device)
        device_answers(w, (size_t)n);
    else if (m.def->response)
        answer_anything(w, &m);
    return true;
}

static void converse_on(struct world *w)
{
    for (unsigned i = 0; i < ANSWERS_MAX && converse(w); i++)
        continue;
    front_drains(w);
}

/* What the device says by itself. */
static void send_event(struct world *w)
{
    static const enum pl_kind kinds[] = {PL_EVENT_USED, PL_EVENT_CONFIG};
    struct pl_msg m = {.kind = kinds[fuzz_byte(&w->in) & 1]};
    uint8_t message[256];

    m.f[PL_F_vq_index] = fuzz_number(&w->in, 2);
    m.f[PL_F_device_status] = fuzz_byte(&w->in);
    ssize_t n = pl_encode(w->port->spec, &m, message, sizeof(message));
    if (n > 0)
        w->port->ops->send(w->port, message, (size_t)n);
}

static struct pl_port *back_end(void)
{
    static struct pl_port *port;
    char address[256], error[512];

    snprintf(address, sizeof(address), "vhost-user:%s,commands=%s", fuzz_place(), fuzz_fifo);
    struct pl_port_options options = {
        .spec = pl_specs[0], .listen = address, .accept_timeout_ms = TIMEOUT_MS};
    if (!port && mkfifo(fuzz_fifo, 0600) != 0)
        abort();
    if (!port)
        port = pl_port_vhost_user_back(&options, error, sizeof(error));
    if (!port)
        abort();
    return port;
}

/* A new connection, which the back-end takes when it looks for one. */
static int front_comes(void)
{
    struct sockaddr_un address = fuzz_place_address();
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0)
        abort();
    return fd;
}

/* Somebody tells the back-end to hang up; the front-end is back already. */
static void reconnect(struct world *w)
{
    static int fifo = -1;
    char line[128];

    if (fifo < 0)
        fifo = open(fuzz_fifo, O_RDWR | O_CLOEXEC);
    front_leaves(w);
    w->front = front_comes();
    if (write(fifo, "disconnect\n", 11) != 11)
        abort();
    fuzz_hold(w->port->aside(w->port, line, sizeof(line)) == 0, "a back-end that is found again");
}

/* --- a sound front-end: a driver of random numbers --- */

struct sound {
    uint64_t guest; /* of the region's first byte */
    uint8_t *bytes; /* there */
    size_t at;      /* ... in the memory */
    int call;
    uint16_t entries, desc, avail, used; /* the parts: bytes beyond where each could begin first */
    uint16_t idx;                        /* of the available ring */
    /* what a device may write now, in bytes of the memory */
    struct {
        size_t at, len;
    } may[ENTRIES_MAX + 1];
    unsigned n_may;
};

static uint8_t *desc_of(const struct sound *s)
{
    return s->bytes + s->desc;
}

static uint8_t *avail_of(const struct sound *s)
{
    return s->bytes + SOUND_AVAIL + s->avail;
}

static uint8_t *used_of(const struct sound *s)
{
    return s->bytes + SOUND_USED + s->used;
}

static void put_request(struct world *w, enum pl_vu_request request, const void *payload,
                        size_t size, int fd)
{
    struct pl_vu_header header = {(uint32_t)request, PL_VU_FLAG_VERSION, (uint32_t)size};
    uint8_t packet[sizeof(header) + sizeof(struct pl_vu_memory_map)];

    memcpy(packet, &header, sizeof(header));
    memcpy(packet + sizeof(header), payload, size);
    fuzz_hold(send_with(w, packet, sizeof(header) + size, &fd, fd >= 0, 0) ==
                  (ssize_t)(sizeof(header) + size),
              "a back-end that a sound front-end can talk to");
    converse_on(w);
}

static void put_number(struct world *w, enum pl_vu_request request, uint64_t value)
{
    struct pl_vu_u64 word = {value};
    put_request(w, request, &word, sizeof(word), -1);
}

static void put_state(struct world *w, enum pl_vu_request request, uint32_t num)
{
    struct pl_vu_vring_state state = {0, num};
    put_request(w, request, &state, sizeof(state), -1);
}

static void allow(struct sound *s, size_t offset, size_t len)
{
    s->may[s->n_may].at = s->at + offset;
    s->may[s->n_may++].len = len;
}

/* From the greeting to DRIVER_OK, with one region of memory and one ring. */
static void sound_begins(struct world *w, struct sound *s)
{
    const uint64_t user = USER_BASE + s->guest;
    struct pl_vu_memory map = {.num_regions = 1,
                               .regions = {{.guest_address = s->guest,
                                            .size = SOUND_SIZE,
                                            .user_address = user,
                                            .mmap_offset = s->at}}};
    struct pl_vu_vring_addr parts = {.descriptor = user + s->desc,
                                     .available = user + SOUND_AVAIL + s->avail,
                                     .used = user + SOUND_USED + s->used};
    struct pl_vu_u64 zero = {0};

    put_number(w, PL_VU_SET_PROTOCOL_FEATURES, PL_VU_PF_MQ | PL_VU_PF_CONFIG | PL_VU_PF_STATUS);
    put_number(w, PL_VU_SET_FEATURES, UINT64_C(1) << PL_C_F_VERSION_1 | PL_VU_F_PROTOCOL_FEATURES);
    put_request(w, PL_VU_SET_MEM_TABLE, &map, sizeof(map), guest_memory());
    put_state(w, PL_VU_SET_VRING_NUM, s->entries);
    put_state(w, PL_VU_SET_VRING_BASE, 0);
    put_request(w, PL_VU_SET_VRING_ADDR, &parts, sizeof(parts), -1);
    put_request(w, PL_VU_SET_VRING_KICK, &zero, sizeof(zero), w->kick);
    put_request(w, PL_VU_SET_VRING_CALL, &zero, sizeof(zero), s->call);
    put_state(w, PL_VU_SET_VRING_ENABLE, 1);
    fuzz_hold(memcmp(guest_bytes(), w->was, MEMORY) == 0,
              "memory as it was before the driver is ready");
    put_number(w, PL_VU_SET_STATUS,
               PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER | PL_C_STATUS_FEATURES_OK |
                   PL_C_STATUS_DRIVER_OK);
}

/* A chain of so many writable buffers from this descriptor on: the bytes that they have. */
static uint32_t lay_chain(struct world *w, struct sound *s, uint16_t head, uint16_t n)
{
    uint32_t sum = 0;

    for (uint16_t i = 0; i < n; i++) {
        uint16_t offset =
            (uint16_t)(SOUND_DATA + fuzz_number(&w->in, 2) % (SOUND_SIZE - SOUND_DATA - 256));
        struct vring_desc d = {.addr = s->guest + offset,
                               .len = 1u + fuzz_byte(&w->in) % 255u,
                               .flags = VRING_DESC_F_WRITE,
                               .next = (uint16_t)(head + i + 1)};
        d.flags |= i + 1 < n ? VRING_DESC_F_NEXT : 0;
        memcpy(desc_of(s) + (size_t)(head + i) * sizeof(d), &d, sizeof(d));
        allow(s, offset, d.len);
        sum += d.len;
    }
    return sum;
}

static uint16_t number_at(const uint8_t *at)
{
    uint16_t value;
    memcpy(&value, at, sizeof(value));
    return value;
}

/* Chains are made available and told of: each is used once, the driver is called where it wishes
 * that, and nothing but buffers and the used ring is written. */
static void sound_round(struct world *w, struct sound *s)
{
    const uint8_t how = fuzz_byte(&w->in);
    const uint16_t quiet = how & 1 ? VRING_AVAIL_F_NO_INTERRUPT : 0, before = s->idx;
    uint32_t room[ENTRIES_MAX] = {0};
    bool open[ENTRIES_MAX] = {false};
    unsigned chains = 0;
    eventfd_t calls = 0;

    s->n_may = 0;
    allow(s, SOUND_USED + s->used,
          sizeof(struct vring_used) + s->entries * sizeof(struct vring_used_elem) +
              sizeof(__virtio16));
    memcpy(avail_of(s) + offsetof(struct vring_avail, flags), &quiet, sizeof(quiet));
    for (uint16_t head = 0; head < s->entries && chains <= how >> 4;) {
        uint16_t left = (uint16_t)(s->entries - head), n = (uint16_t)(1 + fuzz_byte(&w->in) % left);
        room[head] = lay_chain(w, s, head, n);
        open[head] = true;
        memcpy(avail_of(s) + offsetof(struct vring_avail, ring) +
                   sizeof(head) * (s->idx % s->entries),
               &head, sizeof(head));
        s->idx++;
        chains++;
        head = (uint16_t)(head + n);
    }
    memcpy(avail_of(s) + offsetof(struct vring_avail, idx), &s->idx, sizeof(s->idx));
    memcpy(w->was, guest_bytes(), MEMORY);
    kick(w);
    converse_on(w);
    fuzz_hold(number_at(used_of(s) + offsetof(struct vring_used, idx)) == s->idx,
              "each chain that a kick told of, used");
    for (uint16_t i = before; i != s->idx; i++) {
        struct vring_used_elem used;
        memcpy(&used,
               used_of(s) + offsetof(struct vring_used, ring) + sizeof(used) * (i % s->entries),
               sizeof(used));
        fuzz_hold(used.id < s->entries && open[used.id], "a used entry for a chain, once");
        fuzz_hold(used.len <= room[used.id], "no more written than there is room for");
        open[used.id] = false;
    }
    if (eventfd_read(s->call, &calls) != 0)
        calls = 0;
    fuzz_hold(calls > 0 || quiet, "a call for what was used");
    for (unsigned i = 0; i < s->n_may; i++)
        memcpy(w->was + s->may[i].at, guest_bytes() + s->may[i].at, s->may[i].len);
    fuzz_hold(memcmp(guest_bytes(), w->was, MEMORY) == 0, "memory outside of buffers, as it was");
}

static void sound_life(struct world *w)
{
    struct sound *s = calloc(1, sizeof(*s));

    if (!s)
        abort();
    s->at = PAGE * (size_t)(fuzz_byte(&w->in) % (FIRST_PAGES + 1));
    s->guest = PAGE * (1 + fuzz_number(&w->in, 2));
    s->bytes = guest_bytes() + s->at;
    s->entries = (uint16_t)(1u << fuzz_byte(&w->in) % 5);
    s->desc = (uint16_t)(VRING_DESC_ALIGN_SIZE * (fuzz_byte(&w->in) % 64));
    s->avail = (uint16_t)(VRING_AVAIL_ALIGN_SIZE * fuzz_byte(&w->in));
    s->used = (uint16_t)(VRING_USED_ALIGN_SIZE * fuzz_byte(&w->in));
    s->call = eventfd(0, EFD_NONBLOCK);
    if (s->call < 0)
        abort();
    fuzz_fill(&w->in, guest_bytes() + s->at + SOUND_DATA, fuzz_byte(&w->in));
    memcpy(w->was, guest_bytes(), MEMORY);
    sound_begins(w, s);
    for (unsigned i = 0; i < ROUNDS_MAX && w->in.left > 0; i++)
        sound_round(w, s);
    close(s->call);
    free(s);
}

/* --- all of it --- */

static void set_up(struct world *w, uint8_t how)
{
    static const struct pl_device_config random_numbers = {.type = "entropy"};

    clear_guest_memory();
    w->port = back_end();
    struct pl_endpoint_env env = pl_port_env(w->port, &bus);
    w->kick = eventfd(0, EFD_NONBLOCK);
    w->front = front_comes();
    if (w->kick < 0 || w->port->ops->start(w->port, &bus) < 0)
        abort();
    if (how & (REFERENCE | SOUND))
        w->device = pl_device_endpoint.open(how & SOUND ? &random_numbers : NULL, &env);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const operation[])(struct world *) = {
        send_request, send_request, send_request, send_request, converse_on,  converse_on,
        kick,         scribble,     send_event,   send_raw,     front_leaves, reconnect,
    };
    struct world *w = calloc(1, sizeof(*w));
    struct pl_end end;

    if (!w)
        return 0;
    w->in = (struct fuzz_input){data, size};
    const uint8_t how = fuzz_byte(&w->in);
    set_up(w, how);
    converse_on(w);
    if (how & SOUND)
        sound_life(w);
    for (unsigned i = 0; w->in.left > 0 && i < OPERATIONS_MAX; i++) {
        operation[fuzz_byte(&w->in) % (sizeof(operation) / sizeof(operation[0]))](w);
        converse(w);
    }
    converse_on(w);
    /* The back-end itself writes nothing there, where no device does. */
    fuzz_hold(w->device || w->misused || memcmp(guest_bytes(), w->was, MEMORY) == 0,
              "the guest's memory, as the guest wrote it");
    w->port->ops->stop(w->port, &end);
    if (w->device)
        pl_device_endpoint.close(w->device);
    front_leaves(w);
    close(w->kick);
    free(w);
    return 0;
}
