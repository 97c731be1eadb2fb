/* Tests of the vhost-user back-end against a front-end written here: sound, poor and hostile. */
#include <fcntl.h>

#include "vhost_user_front.h"

static const uint64_t USUAL = PL_VU_PF_MQ | PL_VU_PF_REPLY_ACK | PL_VU_PF_CONFIG | PL_VU_PF_STATUS;
static const uint32_t AT_WORK =
    PL_C_STATUS_ACKNOWLEDGE | PL_C_STATUS_DRIVER | PL_C_STATUS_FEATURES_OK | PL_C_STATUS_DRIVER_OK;

/* What a driver says from its first status on, for one queue. */
static const enum pl_kind beginning[] = {PL_SET_DEVICE_STATUS,   PL_SET_DEVICE_STATUS,
                                         PL_GET_DEVICE_FEATURES, PL_SET_DRIVER_FEATURES,
                                         PL_SET_DEVICE_STATUS,   PL_GET_DEVICE_STATUS,
                                         PL_GET_VQUEUE,          PL_SET_VQUEUE,
                                         PL_SET_DEVICE_STATUS,   PL_NONE};
static const enum pl_kind nothing[] = {PL_NONE};
static const enum pl_kind a_reset[] = {PL_SET_DEVICE_STATUS, PL_GET_DEVICE_STATUS, PL_NONE};
static const enum pl_kind a_kick[] = {PL_EVENT_AVAIL, PL_NONE};

/* Everything up to a device at work. */
static struct front *at_work(void)
{
    struct front *f = front_set_up();
    front_greet(f, USUAL);
    front_share(f);
    front_ring(f, 0);
    front_forget(f);
    front_put_u64(f, PL_VU_SET_STATUS, AT_WORK);
    return f;
}

static bool called(struct front *f)
{
    eventfd_t count;
    return eventfd_read(f->call, &count) == 0 && count > 0;
}

/* --- sound --- */

START_TEST(handshake)
{
    static const enum pl_kind greeting[] = {PL_GET_DEVICE_INFO, PL_SET_DEVICE_STATUS,
                                            PL_GET_DEVICE_STATUS, PL_NONE};
    struct front *f = front_set_up();
    front_came(f, greeting);
    uint64_t features = front_get(f, PL_VU_GET_FEATURES);
    ck_assert_uint_eq(features & (PL_VU_HIDDEN | UINT64_C(1) << PL_C_F_RING_RESET),
                      PL_VU_F_PROTOCOL_FEATURES);
    ck_assert(features >> PL_C_F_VERSION_1 & 1);
    uint64_t protocol = front_get(f, PL_VU_GET_PROTOCOL_FEATURES);
    ck_assert_uint_eq(protocol, USUAL | PL_VU_PF_BACKEND_REQ);
    ck_assert_uint_eq(front_get(f, PL_VU_GET_QUEUE_NUM), 1);
    front_greet(f, protocol);
    front_put(f, PL_VU_SET_OWNER, NULL, 0, -1);
    ck_assert_uint_eq(front_get(f, PL_VU_GET_STATUS), 0);
    front_put_u64(f, PL_VU_SET_STATUS, PL_C_STATUS_ACKNOWLEDGE);
    ck_assert_uint_eq(front_get(f, PL_VU_GET_STATUS), PL_C_STATUS_ACKNOWLEDGE);
    front_tear_down(f);
}
END_TEST

START_TEST(acknowledged_where_asked)
{
    struct front *f = front_set_up();
    uint8_t byte;
    front_greet(f, PL_VU_PF_REPLY_ACK);
    f->flags = 0;
    front_put(f, PL_VU_SET_OWNER, NULL, 0, -1);
    ck_assert_int_eq(recv(f->fd, &byte, 1, MSG_DONTWAIT), -1);
    f->flags = PL_VU_FLAG_NEED_REPLY;
    front_put(f, PL_VU_SET_OWNER, NULL, 0, -1);
    front_tear_down(f);
}
END_TEST

/* An entropy device has no configuration: what is asked for is refused, not made up. */
START_TEST(configuration_that_is_not_there)
{
    struct front *f = front_set_up();
    struct pl_vu_config config = {.size = 8}, answer;
    size_t size = offsetof(struct pl_vu_config, data) + config.size;
    front_greet(f, USUAL & ~PL_VU_PF_REPLY_ACK);
    front_forget(f);
    front_send(f, PL_VU_GET_CONFIG, &config, size, -1, 0);
    ck_assert_int_eq(front_answer(f, PL_VU_GET_CONFIG, &answer, sizeof(answer)), 0);
    front_came(f, nothing);
    front_tear_down(f);
}
END_TEST

START_TEST(ring_set_up)
{
    struct front *f = at_work();
    ck_assert_uint_eq(f->queue.f[PL_F_index], 0);
    ck_assert_uint_eq(f->queue.f[PL_F_size], FRONT_ENTRIES);
    ck_assert_uint_eq(f->queue.f[PL_F_desc_addr], FRONT_GUEST + FRONT_DESC);
    ck_assert_uint_eq(f->queue.f[PL_F_driver_addr], FRONT_GUEST + FRONT_AVAIL);
    ck_assert_uint_eq(f->queue.f[PL_F_device_addr], FRONT_GUEST + FRONT_USED);
    front_came(f, beginning);
    front_tear_down(f);
}
END_TEST

/* A device sees what the front-end shares, and nothing of the window around it. */
START_TEST(memory_that_is_there)
{
    struct front *f = at_work();
    const struct pl_memory_parts *parts = f->port->mem_parts;
    ck_assert_uint_eq(parts->n, 1);
    ck_assert_uint_eq(parts->part[0].addr, FRONT_GUEST);
    ck_assert_uint_eq(parts->part[0].size, FRONT_MEMORY);
    ck_assert_uint_gt(f->port->mem_size, FRONT_MEMORY);
    struct pl_vu_memory_map map = {.num_regions = 0};
    front_put(f, PL_VU_SET_MEM_TABLE, &map, offsetof(struct pl_vu_memory_map, regions), -1);
    ck_assert_uint_eq(parts->n, 0);
    front_tear_down(f);
}
END_TEST

START_TEST(kicks_and_calls)
{
    struct front *f = at_work();
    front_forget(f);
    ck_assert(!called(f));
    for (uint16_t i = 1; i <= FRONT_ENTRIES + 2; i++) {
        memset(f->map + FRONT_DATA, 0, 16);
        front_make_available(f);
        front_came(f, a_kick);
        ck_assert_uint_eq(front_used(f), i);
        ck_assert(called(f));
    }
    front_tear_down(f);
}
END_TEST

/* Without a status of the front-end's, the first kick says that all is ready. */
START_TEST(first_kick_begins)
{
    struct front *f = front_set_up();
    front_greet(f, USUAL & ~PL_VU_PF_STATUS);
    front_share(f);
    front_forget(f);
    front_ring(f, 0);
    front_came(f, nothing);
    front_make_available(f);
    unsigned n = f->n_kinds;
    ck_assert_uint_gt(n, 1);
    ck_assert_int_eq(f->kind[n - 1], PL_EVENT_AVAIL);
    f->n_kinds--;
    front_came(f, beginning);
    ck_assert_uint_eq(front_used(f), 1);
    front_tear_down(f);
}
END_TEST

/* A ring that is not enabled, or has no addresses, is no ring yet. */
START_TEST(rings_that_are_late)
{
    static const enum pl_kind a_queue[] = {PL_GET_VQUEUE, PL_SET_VQUEUE, PL_NONE};
    struct front *f = front_set_up();
    front_greet(f, USUAL);
    front_share(f);
    front_ring(f, 0);
    front_put_state(f, PL_VU_SET_VRING_ENABLE, 0);
    front_put_u64(f, PL_VU_SET_STATUS, AT_WORK);
    front_forget(f);
    front_make_available(f);
    front_came(f, nothing);
    front_put_state(f, PL_VU_SET_VRING_ENABLE, 1);
    f->n_kinds -= f->n_kinds == 3; /* the kick from before */
    front_came(f, a_queue);
    front_tear_down(f);
}
END_TEST

/* A driver that begins anew, behind a handshake: ring 0 is set up and at work. */
static void work_anew(struct front *f)
{
    memset(f->map, 0, FRONT_MEMORY);
    front_ring(f, 0);
    front_forget(f);
    front_put_u64(f, PL_VU_SET_STATUS, AT_WORK);
    front_came(f, beginning);
}

START_TEST(stopped_and_begun_anew)
{
    struct front *f = at_work();
    for (int i = 0; i < 3; i++) {
        struct pl_vu_vring_state state = {0, 0};
        front_make_available(f);
        ck_assert_uint_eq(front_used(f), 1);
        front_forget(f);
        front_send(f, PL_VU_GET_VRING_BASE, &state, sizeof(state), -1, 0);
        ck_assert_int_eq(front_answer(f, PL_VU_GET_VRING_BASE, &state, sizeof(state)),
                         sizeof(state));
        ck_assert_uint_eq(state.num, 1);
        front_came(f, a_reset);
        front_put_u64(f, PL_VU_SET_STATUS, 0);
        work_anew(f);
    }
    front_tear_down(f);
}
END_TEST

/* --- bad requests --- */

enum { FILE_OF_MEMORY = 1, EVENTFD };

static const struct bad {
    const char *words; /* of the error */
    uint32_t request, flags;
    size_t size;
    struct {
        uint32_t index, num;
        uint64_t a, b, c;
    } p;
    int fd;
    unsigned n_fds;
} bad[] = {
    {.words = "sent request 77, which this back-end does not offer", .request = 77},
    {.words = "no request of this protocol", .request = PL_VU_SET_OWNER, .flags = 2},
    {.words = "no request of this protocol",
     .request = PL_VU_SET_OWNER,
     .flags = PL_VU_FLAG_VERSION | PL_VU_FLAG_REPLY},
    {.words = "REPLY_ACK is not negotiated",
     .request = PL_VU_SET_OWNER,
     .flags = PL_VU_FLAG_VERSION | PL_VU_FLAG_NEED_REPLY},
    {.words = "SET_OWNER with 8 bytes of payload: it has 0 to 0",
     .request = PL_VU_SET_OWNER,
     .size = 8},
    {.words = "SET_FEATURES with 4 bytes of payload: it has 8 to 8",
     .request = PL_VU_SET_FEATURES,
     .size = 4},
    {.words = "selected protocol features 0x80000000",
     .request = PL_VU_SET_PROTOCOL_FEATURES,
     .size = 8,
     .p = {.index = UINT32_C(1) << 31}},
    {.words = "descriptors with SET_FEATURES, which takes none",
     .request = PL_VU_SET_FEATURES,
     .size = 8,
     .fd = EVENTFD,
     .n_fds = 2},
    {.words = "more than 8 descriptors at once",
     .request = PL_VU_SET_VRING_KICK,
     .size = 8,
     .fd = EVENTFD,
     .n_fds = 9},
    {.words = "SET_VRING_NUM for ring 1, and there are 1",
     .request = PL_VU_SET_VRING_NUM,
     .size = 8,
     .p = {.index = 1, .num = 8}},
    {.words = "gives ring 0 a size of 0", .request = PL_VU_SET_VRING_NUM, .size = 8},
    {.words = "gives ring 0 a size of 65536",
     .request = PL_VU_SET_VRING_NUM,
     .size = 8,
     .p = {.num = 65536}},
    {.words = "a ring begins at 0", .request = PL_VU_SET_VRING_BASE, .size = 8, .p = {.num = 3}},
    {.words = "GET_VRING_BASE for ring 4294967295",
     .request = PL_VU_GET_VRING_BASE,
     .size = 8,
     .p = {.index = UINT32_MAX}},
    {.words = "ring 0 ahead of its size", .request = PL_VU_SET_VRING_ADDR, .size = 40},
    {.words = "SET_VRING_KICK for ring 0 with 0 descriptors, not 1",
     .request = PL_VU_SET_VRING_KICK,
     .size = 8},
    {.words = "SET_VRING_CALL for ring 0 with 1 descriptors, not 0",
     .request = PL_VU_SET_VRING_CALL,
     .size = 8,
     .p = {.index = PL_VU_NO_FD},
     .fd = EVENTFD,
     .n_fds = 1},
    {.words = "SET_VRING_KICK with a descriptor that is no eventfd",
     .request = PL_VU_SET_VRING_KICK,
     .size = 8,
     .fd = FILE_OF_MEMORY,
     .n_fds = 1},
    {.words = "SET_BACKEND_REQ_FD with 0 descriptors", .request = PL_VU_SET_BACKEND_REQ_FD},
    {.words = "SET_MEM_TABLE with 1 regions and 0 descriptors",
     .request = PL_VU_SET_MEM_TABLE,
     .size = 40,
     .p = {.index = 1}},
    {.words = "SET_MEM_TABLE with 8 bytes of payload, which speaks of 4294967272",
     .request = PL_VU_SET_MEM_TABLE,
     .size = 8,
     .p = {.index = 134217727},
     .fd = FILE_OF_MEMORY,
     .n_fds = 1},
};

/* The front-end is told off, the connection is closed, and all that came along with it. */
static void told_off(struct front *f, const char *words)
{
    uint8_t byte;
    front_pump(f);
    ck_assert_msg(f->error == -EPROTO, "%d for '%s'", f->error, words);
    ck_assert_msg(strstr(f->port->error, words) != NULL, "'%s' is not in '%s'", words,
                  f->port->error);
    ck_assert_msg(strncmp(f->port->error, "listen:vhost-user:", 18) == 0, "'%s'", f->port->error);
    ck_assert_int_le((int)recv(f->fd, &byte, 1, MSG_DONTWAIT), 0);
    ck_assert(errno != EAGAIN || recv(f->fd, &byte, 1, MSG_DONTWAIT) == 0);
    front_pump(f);
    ck_assert_int_eq(f->error, -EPIPE);
}

START_TEST(bad_requests)
{
    const struct bad *b = &bad[_i];
    struct front *f = front_set_up();
    uint8_t bytes[sizeof(struct pl_vu_header) + sizeof(b->p) + 64] = {0};
    struct pl_vu_header header = {b->request, b->flags ? b->flags : PL_VU_FLAG_VERSION,
                                  (uint32_t)b->size};
    memcpy(bytes, &header, sizeof(header));
    memcpy(bytes + sizeof(header), &b->p, sizeof(b->p));
    front_raw(f, bytes, sizeof(header) + b->size, b->fd == EVENTFD ? f->kick : f->memory, b->n_fds);
    told_off(f, b->words);
    front_tear_down(f);
}
END_TEST

static const struct {
    const char *words;
    struct pl_vu_region r;
} bad_memory[] = {
    {"no whole pages", {FRONT_GUEST, 0, FRONT_USER, 0}},
    {"no whole pages", {FRONT_GUEST + 1, 4096, FRONT_USER, 0}},
    {"no whole pages", {FRONT_GUEST, 4097, FRONT_USER, 0}},
    {"beyond 0x100000000", {UINT64_C(0xfffff000), 8192, FRONT_USER, 0}},
    {"beyond 0x100000000", {UINT64_C(0xfffffffffffff000), 8192, FRONT_USER, 0}},
    {"run over", {FRONT_GUEST, 8192, UINT64_C(0xfffffffffffff000), 0}},
    {"has not 0x200000 bytes of a file", {FRONT_GUEST, 2 * FRONT_MEMORY, FRONT_USER, 0}},
    {"has not 0x1000 bytes of a file", {FRONT_GUEST, 4096, FRONT_USER, FRONT_MEMORY}},
};

START_TEST(bad_regions)
{
    struct front *f = front_set_up();
    struct pl_vu_memory map = {.num_regions = 1, .regions = {bad_memory[_i].r}};
    front_send(f, PL_VU_SET_MEM_TABLE, &map, sizeof(map), f->memory, 1);
    told_off(f, bad_memory[_i].words);
    front_tear_down(f);
}
END_TEST

/* Each of a ring's parts, beyond the memory's end by a byte, and ahead of its beginning. */
START_TEST(rings_outside_of_memory)
{
    static const size_t size[] = {16 * FRONT_ENTRIES, 6 + 2 * FRONT_ENTRIES, 6 + 8 * FRONT_ENTRIES};
    struct front *f = front_set_up();
    struct pl_vu_vring_addr addresses = front_addresses();
    uint64_t *parts[] = {&addresses.descriptor, &addresses.available, &addresses.used};
    uint64_t *part = parts[_i / 2], last = FRONT_USER + FRONT_MEMORY - size[_i / 2];
    front_greet(f, 0);
    front_share(f);
    front_put_state(f, PL_VU_SET_VRING_NUM, FRONT_ENTRIES);
    *part = last; /* just fits */
    front_put(f, PL_VU_SET_VRING_ADDR, &addresses, sizeof(addresses), -1);
    ck_assert_int_eq(f->error, 0);
    *part = _i % 2 ? FRONT_USER - 16 : last + 1;
    front_send(f, PL_VU_SET_VRING_ADDR, &addresses, sizeof(addresses), -1, 0);
    told_off(f, "outside of the memory that it shares");
    front_tear_down(f);
}
END_TEST

START_TEST(features_that_the_device_refuses)
{
    struct front *f = front_set_up();
    front_greet(f, USUAL & ~PL_VU_PF_REPLY_ACK);
    front_put_u64(f, PL_VU_SET_FEATURES, UINT64_C(1) << 60 | PL_VU_F_PROTOCOL_FEATURES);
    struct pl_vu_u64 status = {AT_WORK};
    front_send(f, PL_VU_SET_STATUS, &status, sizeof(status), -1, 0);
    front_pump(f);
    ck_assert_ptr_nonnull(strstr(f->port->error, "which the device refuses"));
    front_tear_down(f);
}
END_TEST

START_TEST(features_that_change_at_work)
{
    struct front *f = at_work();
    struct pl_vu_u64 none = {PL_VU_F_PROTOCOL_FEATURES};
    front_send(f, PL_VU_SET_FEATURES, &none, sizeof(none), -1, 0);
    told_off(f, "selected other features while the device was in use");
    front_tear_down(f);
}
END_TEST

/* --- coming and going --- */

/* A request comes by bytes, and is whole only then. */
START_TEST(a_request_by_bytes)
{
    struct front *f = front_set_up();
    const struct pl_vu_header header = {PL_VU_GET_QUEUE_NUM, PL_VU_FLAG_VERSION, 0};
    struct pl_vu_u64 word = {0};
    uint8_t byte;
    for (size_t i = 0; i < sizeof(header); i++) {
        ck_assert_int_eq(recv(f->fd, &byte, 1, MSG_DONTWAIT), -1);
        front_raw(f, (const uint8_t *)&header + i, 1, -1, 0);
        front_pump(f);
        ck_assert_int_eq(f->error, 0);
    }
    ck_assert_int_eq(front_answer(f, PL_VU_GET_QUEUE_NUM, &word, sizeof(word)), sizeof(word));
    ck_assert_uint_eq(word.value, 1);
    front_tear_down(f);
}
END_TEST

START_TEST(it_goes_within_a_request)
{
    struct front *f = front_set_up();
    const struct pl_vu_header header = {PL_VU_SET_FEATURES, PL_VU_FLAG_VERSION, 8};
    front_raw(f, &header, sizeof(header), -1, 0);
    shutdown(f->fd, SHUT_WR);
    told_off(f, "closed the connection within a request, behind 12 bytes");
    front_tear_down(f);
}
END_TEST

START_TEST(it_goes)
{
    struct front *f = at_work();
    struct pl_end end;
    shutdown(f->fd, SHUT_RDWR);
    front_pump(f);
    ck_assert_int_eq(f->error, -EPIPE);
    ck_assert_ptr_nonnull(strstr(f->port->error, ": the front-end closed the connection"));
    ck_assert_int_eq(f->port->ops->stop(f->port, &end), 0);
    ck_assert_int_eq(end.how, PL_END_CLOSED);
    ck_assert(end.by_itself);
    close(f->fd);
    front_forget(f);
    f->flags = 0;
    front_start(f); /* another may come, from the beginning */
    front_greet(f, USUAL);
    front_share(f);
    work_anew(f);
    front_tear_down(f);
}
END_TEST

static void speak_aside(struct front *f, const char *line)
{
    int fd = open(f->fifo, O_WRONLY | O_CLOEXEC);
    ck_assert_int_eq(write(fd, line, strlen(line)), (int)strlen(line));
    close(fd);
}

/* The connection is given up, and the front-end is back; the device has done a request. */
static struct front *came_back(void)
{
    struct front *f = at_work();
    char line[64];
    front_make_available(f);
    front_forget(f);
    int old = f->fd;
    f->fd = front_connect(f);
    speak_aside(f, "disconnect\n");
    ck_assert_int_eq(f->port->aside(f->port, line, sizeof(line)), 0);
    close(old);
    f->flags = 0;
    front_greet(f, USUAL);
    front_share(f);
    return f;
}

/* Nothing is said to a device that went on meanwhile, but that it may look for buffers. */
START_TEST(reconnected)
{
    struct front *f = came_back();
    front_ring(f, front_used(f));
    front_forget(f);
    front_put_u64(f, PL_VU_SET_STATUS, AT_WORK);
    front_came(f, a_kick);
    front_make_available(f);
    front_came(f, a_kick);
    ck_assert_uint_eq(front_used(f), 2);
    front_tear_down(f);
}
END_TEST

/* A driver that began anew meanwhile is believed: its device is reset. */
START_TEST(reconnected_from_the_beginning)
{
    struct front *f = came_back();
    front_forget(f);
    front_put_state(f, PL_VU_SET_VRING_BASE, 0);
    front_came(f, a_reset);
    memset(f->map, 0, FRONT_MEMORY);
    front_ring(f, 0);
    front_put_u64(f, PL_VU_SET_STATUS, AT_WORK);
    front_came(f, beginning);
    front_tear_down(f);
}
END_TEST

START_TEST(reconnected_as_another)
{
    struct front *f = came_back();
    struct pl_vu_vring_addr addresses = front_addresses();
    struct pl_vu_vring_state state = {0, 2 * FRONT_ENTRIES};
    struct pl_vu_u64 status = {AT_WORK};
    addresses.available += 16;
    f->flags = 0;
    switch (_i) {
    case 0:
        front_send(f, PL_VU_SET_VRING_NUM, &state, sizeof(state), -1, 0);
        told_off(f, "came back with 16 entries for ring 0, which has 8");
        break;
    case 1:
        front_send(f, PL_VU_SET_VRING_ADDR, &addresses, sizeof(addresses), -1, 0);
        told_off(f, "came back with ring 0 at another place");
        break;
    case 2:
        front_send(f, PL_VU_SET_VRING_BASE, &state, sizeof(state), -1, 0);
        told_off(f, "a ring begins at 0");
        break;
    default:
        front_send(f, PL_VU_SET_STATUS, &status, sizeof(status), -1, 0);
        told_off(f, "came back without ring 0");
        break;
    }
    front_tear_down(f);
}
END_TEST

START_TEST(what_is_said_aside)
{
    struct front *f = front_set_up();
    char line[64] = "";
    ck_assert_int_eq(f->port->aside(f->port, line, sizeof(line)), 0);
    speak_aside(f, "config-change 0 0 00\n");
    ck_assert_int_eq(f->port->aside(f->port, line, sizeof(line)), 1);
    ck_assert_str_eq(line, "config-change 0 0 00");
    ck_assert_int_eq(f->port->ops->control(f->port, "io 0 1", line, sizeof(line), 1), -ENOTSUP);
    front_tear_down(f);
}
END_TEST

START_TEST(addresses_that_are_wrong)
{
    static const struct {
        const char *address, *words;
    } wrong[] = {
        {"vhost-user:", "the path of the socket is missing"},
        {"vhost-user:/tmp/x,speed=3", "'speed=3' is not commands=FIFO"},
        {"vhost-user:/tmp/x,commands=", "'commands=' is not commands=FIFO"},
        {"vhost-user:/tmp/x,commands=/no/such/fifo", "/no/such/fifo: No such file"},
        {"vhost-user:/tmp/x,commands=/dev/null", "/dev/null: is no FIFO"},
        {"vhost-user:/no/such/folder/x", "/no/such/folder/x"},
    };
    char error[512] = "";
    int fds = open_fds();
    struct pl_port *port = front_open(wrong[_i].address, 100, error, sizeof(error));
    ck_assert_ptr_null(port);
    ck_assert_msg(strstr(error, wrong[_i].words) != NULL, "'%s'", error);
    ck_assert_int_eq(open_fds(), fds);
}
END_TEST

START_TEST(nobody_comes)
{
    const struct pl_bus_params bus = {1, 264, 0};
    char address[64], error[512] = "";
    snprintf(address, sizeof(address), "vhost-user:/tmp/pl-front-%ld", (long)getpid());
    struct pl_port *port = front_open(address, 50, error, sizeof(error));
    ck_assert_ptr_nonnull(port);
    ck_assert_int_eq(port->ops->start(port, &bus), -ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(port->error, "no front-end connected within 50 ms"));
    port->ops->close(port);
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("vhost-user back-end");
    TCase *c = tcase_create("back-end");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, handshake);
    tcase_add_test(c, acknowledged_where_asked);
    tcase_add_test(c, configuration_that_is_not_there);
    tcase_add_test(c, ring_set_up);
    tcase_add_test(c, memory_that_is_there);
    tcase_add_test(c, kicks_and_calls);
    tcase_add_test(c, first_kick_begins);
    tcase_add_test(c, rings_that_are_late);
    tcase_add_test(c, stopped_and_begun_anew);
    tcase_add_loop_test(c, bad_requests, 0, sizeof(bad) / sizeof(bad[0]));
    tcase_add_loop_test(c, bad_regions, 0, sizeof(bad_memory) / sizeof(bad_memory[0]));
    tcase_add_loop_test(c, rings_outside_of_memory, 0, 6);
    tcase_add_test(c, features_that_the_device_refuses);
    tcase_add_test(c, features_that_change_at_work);
    tcase_add_test(c, a_request_by_bytes);
    tcase_add_test(c, it_goes_within_a_request);
    tcase_add_test(c, it_goes);
    tcase_add_test(c, reconnected);
    tcase_add_test(c, reconnected_from_the_beginning);
    tcase_add_loop_test(c, reconnected_as_another, 0, 4);
    tcase_add_test(c, what_is_said_aside);
    tcase_add_loop_test(c, addresses_that_are_wrong, 0, 6);
    tcase_add_test(c, nobody_comes);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_NORMAL);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed ? EXIT_FAILURE : EXIT_SUCCESS;
}
