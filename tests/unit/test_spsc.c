/* Unit tests of shared memory: rings, hostile peers, files, wakeups, and both ends in two threads.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "port/memory.h"
#include "port/port.h"
#include "port/spsc.h"

enum { AREA = PL_SPSC_SIZE_MIN + 2 * PL_SPSC_SLOT_SIZE, SLOTS = 4, EXCHANGES = 100000 };

static const struct pl_bus_params bus = {1, 64, 0};
static _Alignas(64) uint8_t areas[2][AREA];
static void *const both[2] = {areas[0], areas[1]};
static const size_t sizes[2] = {AREA, AREA};
static char error[512], folder[64];
static uint8_t buf[PL_MSG_MAX + 1];

static const struct pl_spec *spec(void)
{
    return pl_spec_find("virtio-msg-r1");
}

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* A well-formed message that carries a number. */
static size_t message(uint8_t *out, uint32_t number)
{
    struct pl_msg m = {.kind = PL_PING, .token = (uint16_t)number};
    m.f[PL_F_data32] = number;
    ssize_t n = pl_encode(spec(), &m, out, PL_SPSC_SLOT_SIZE);
    if (n <= 0)
        abort();
    return (size_t)n;
}

static uint32_t number_of(const uint8_t *bytes, int size)
{
    struct pl_msg m;
    pl_decode(spec(), bytes, (size_t)size, &m);
    return (uint32_t)m.f[PL_F_data32];
}

static struct pl_spsc_area *area(size_t i)
{
    return (void *)areas[i];
}

static void setup(void)
{
    memset(areas, 0, sizeof areas);
    error[0] = '\0';
    strcpy(folder, "/tmp/pl-spsc-XXXXXX");
    ck_assert_ptr_nonnull(mkdtemp(folder));
}

static void teardown(void)
{
    static const char *const names[] = {"queue-x-driver", "queue-x-device", "wake", "mem"};
    char path[128];
    for (size_t i = 0; i < 4; i++) {
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        unlink(path);
    }
    ck_assert_int_eq(rmdir(folder), 0);
}

/* --- rings --- */

static struct pl_spsc_ring producer, consumer;

static void make_ends(void)
{
    ck_assert_int_eq(pl_spsc_ring_init(&producer, areas[0], AREA, true, error, sizeof error), 0);
    ck_assert_int_eq(pl_spsc_ring_init(&consumer, areas[0], AREA, false, error, sizeof error), 0);
}

static int put(uint32_t number)
{
    size_t size = message(buf, number);
    return pl_spsc_ring_put(&producer, buf, size, error, sizeof error);
}

/* The number taken, -1 where there is none, or a negative errno below. */
static int take(void)
{
    uint8_t slot[PL_SPSC_SLOT_SIZE];
    int r = pl_spsc_ring_take(&consumer, slot, error, sizeof error);
    return r == 1 ? (int)number_of(slot, 12) : r == 0 ? -1 : r;
}

START_TEST(order_and_capacity)
{
    make_ends();
    ck_assert_int_eq(producer.slots, SLOTS);
    ck_assert_int_eq(take(), -1);
    for (uint32_t i = 0; i < 1000; i++) {
        for (uint32_t k = 0; k < SLOTS - 1; k++)
            ck_assert_int_eq(put(10 * i + k), 1);
        ck_assert_int_eq(put(7), 0);
        for (uint32_t k = 0; k < SLOTS - 1; k++)
            ck_assert_int_eq(take(), (int)(10 * i + k));
        ck_assert_int_eq(take(), -1);
        if (i % 2) {
            ck_assert_int_eq(put(1), 1);
            ck_assert_int_eq(take(), 1);
        }
    }
}
END_TEST

START_TEST(layout)
{
    make_ends();
    ck_assert_int_eq(put(0x01020304), 1);
    int32_t head, tail;
    memcpy(&head, areas[0], 4);
    memcpy(&tail, areas[0] + 64, 4);
    ck_assert_int_eq(head, 1);
    ck_assert_int_eq(tail, 0);
    ck_assert_mem_eq(areas[0] + 128, buf, 12);
    ck_assert_int_eq(take(), 0x01020304);
    memcpy(&tail, areas[0] + 64, 4);
    ck_assert_int_eq(tail, 1);
    /* slots = (size - 192) / 64 + 1, at least 2 */
    struct pl_spsc_ring r;
    static _Alignas(64) uint8_t large[4096];
    ck_assert_int_eq(pl_spsc_ring_init(&r, large, 256, true, error, sizeof error), 0);
    ck_assert_int_eq(r.slots, 2);
    ck_assert_int_eq(pl_spsc_ring_init(&r, large, 319, true, error, sizeof error), 0);
    ck_assert_int_eq(r.slots, 2);
    ck_assert_int_eq(pl_spsc_ring_init(&r, large, 4096, true, error, sizeof error), 0);
    ck_assert_int_eq(r.slots, 62);
    ck_assert_int_eq(pl_spsc_ring_init(&r, large, 255, true, error, sizeof error), -EPROTO);
    ck_assert_ptr_nonnull(strstr(error, "255 bytes"));
}
END_TEST

START_TEST(takes_up_where_it_is)
{
    area(0)->head = 3;
    area(0)->tail = 2;
    struct pl_msg m = {.kind = PL_PING, .token = 5};
    m.f[PL_F_data32] = 77;
    pl_encode(spec(), &m, area(0)->slots[2], PL_SPSC_SLOT_SIZE);
    make_ends();
    ck_assert_int_eq(put(78), 1);
    ck_assert_int_eq(area(0)->head, 0);
    ck_assert_int_eq(take(), 77);
    ck_assert_int_eq(take(), 78);
    ck_assert_int_eq(take(), -1);
}
END_TEST

/* What a hostile producer writes to head, after three messages of which one was taken: tail 1,
 * head 3. */
static const struct {
    int32_t head;
    const char *says;
} bad_heads[] = {
    {SLOTS, "head is 4, which is not within 0 to 3"},
    {INT32_MAX, "head is 2147483647"},
    {-1, "head is -1"},
    {INT32_MIN, "head is -2147483648"},
    {2, "head went from 3 to 2"},
    {1, "head went from 3 to 1"},
};

START_TEST(hostile_head)
{
    make_ends();
    for (uint32_t i = 0; i < 3; i++)
        ck_assert_int_eq(put(i), 1);
    ck_assert_int_eq(take(), 0);
    area(0)->head = bad_heads[_i].head;
    ck_assert_int_eq(take(), -EPROTO);
    ck_assert_msg(strstr(error, bad_heads[_i].says) != NULL, "%s", error);
    ck_assert_int_eq(area(0)->tail, 1);
    struct pl_spsc_ring again;
    int r = pl_spsc_ring_init(&again, areas[0], AREA, false, error, sizeof error);
    ck_assert_int_eq(r, bad_heads[_i].head < 0 || bad_heads[_i].head >= SLOTS ? -EPROTO : 0);
}
END_TEST

/* A hostile consumer's tail, after three messages of which one was seen taken: tail 1, head 3. */
static const struct {
    int32_t tail;
    const char *says;
} bad_tails[] = {
    {SLOTS, "tail is 4, which is not within 0 to 3"},
    {INT32_MIN, "tail is -2147483648"},
    {-1, "tail is -1"},
    {0, "tail went from 1 to 0"}, /* back, or past head */
};

START_TEST(hostile_tail)
{
    make_ends();
    for (uint32_t i = 0; i < 2; i++)
        ck_assert_int_eq(put(i), 1);
    ck_assert_int_eq(take(), 0);
    ck_assert_int_eq(put(2), 1);
    area(0)->tail = bad_tails[_i].tail;
    ck_assert_int_eq(put(3), -EPROTO);
    ck_assert_msg(strstr(error, bad_tails[_i].says) != NULL, "%s", error);
    ck_assert_int_eq(area(0)->head, 3);
}
END_TEST

START_TEST(others_index_written)
{
    make_ends();
    ck_assert_int_eq(put(1), 1);
    area(0)->head = 0; /* the consumer takes back what the producer has put */
    ck_assert_int_eq(put(2), -EPROTO);
    ck_assert_msg(strstr(error, "head was changed from 1 to 0") != NULL, "%s", error);
    area(0)->head = 1;
    ck_assert_int_eq(take(), 1);
    area(0)->tail = 0;
    ck_assert_int_eq(take(), -EPROTO);
    ck_assert_msg(strstr(error, "tail was changed from 1 to 0") != NULL, "%s", error);
}
END_TEST

/* --- channels --- */

static struct pl_chan chan;
static int peer; /* the other end of the wakeup socket */

static void make_channel(bool wakeup)
{
    int ends[2] = {-1, -1};
    if (wakeup)
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    peer = ends[1];
    ck_assert_int_eq(pl_spsc_channel(&chan, both, sizes, PL_SPSC_DRIVER, ends[0], false), 0);
    ck_assert_int_eq(pl_spsc_ring_init(&producer, areas[1], AREA, true, error, sizeof error), 0);
    ck_assert_int_eq(pl_spsc_ring_init(&consumer, areas[0], AREA, false, error, sizeof error), 0);
}

static void drop_channel(void)
{
    pl_chan_close(&chan);
    if (peer >= 0)
        close(peer);
}

static int receive(int timeout_ms)
{
    return pl_chan_receive(&chan, spec(), buf, sizeof buf, 64, timeout_ms);
}

/* A slot whose header announces `size` bytes. */
static void put_size(uint16_t size)
{
    uint8_t slot[PL_SPSC_SLOT_SIZE];
    message(slot, 1);
    memcpy(slot + spec()->header.msg_size.offset, &size, sizeof size);
    ck_assert_int_eq(pl_spsc_ring_put(&producer, slot, sizeof slot, error, sizeof error), 1);
}

START_TEST(sizes_that_lie)
{
    static const uint16_t lies[] = {0, 1, 7, 65, 256, 0x8000, 0xffff};
    make_channel(_i % 2);
    put_size(64);
    put_size(8);
    put_size(lies[_i / 2]);
    ck_assert_int_eq(receive(0), 64);
    ck_assert_int_eq(receive(0), 8);
    ck_assert_int_eq(receive(1000), -EPROTO);
    ck_assert_msg(strstr(chan.error, "announces msg_size") != NULL, "%s", chan.error);
    ck_assert_int_eq(receive(0), -EPROTO);
    ck_assert_int_eq(pl_chan_send(&chan, buf, 8, 0), -EPROTO);
    drop_channel();
}
END_TEST

START_TEST(time_limits)
{
    make_channel(_i);
    double begun = now();
    ck_assert_int_eq(receive(0), 0);
    ck_assert_int_eq(receive(30), 0);
    ck_assert(now() - begun >= 0.029 && now() - begun < 2);
    size_t size = message(buf, 1);
    for (int i = 0; i < SLOTS - 1; i++)
        ck_assert_int_eq(pl_chan_send(&chan, buf, size, 0), 0);
    begun = now();
    ck_assert_int_eq(pl_chan_send(&chan, buf, size, 30), -ETIMEDOUT);
    ck_assert(now() - begun >= 0.029 && now() - begun < 2);
    ck_assert_int_eq(pl_chan_send(&chan, buf, 65, 0), -EMSGSIZE);
    ck_assert_int_eq(take(), 1);
    ck_assert_int_eq(pl_chan_send(&chan, buf, size, 0), 0);
    drop_channel();
}
END_TEST

/* Every byte that is no wakeup is a finding; any number of wakeups is none. */
START_TEST(wakeups)
{
    static uint8_t flood[60000];
    memset(flood, PL_SPSC_WAKEUP, sizeof flood);
    make_channel(true);
    ck_assert_int_gt(send(peer, flood, sizeof flood, MSG_DONTWAIT), 1000);
    double begun = now();
    ck_assert_int_eq(receive(50), 0);
    ck_assert(now() - begun < 2);
    ck_assert_int_eq(put(5), 1);
    ck_assert_int_eq(receive(0), 12);
    ck_assert_int_eq(number_of(buf, 12), 5);
    flood[3] = 0xee;
    ck_assert_int_eq(send(peer, flood, 5, 0), 5);
    ck_assert_int_eq(receive(1000), -EPROTO);
    ck_assert_msg(strstr(chan.error, "brought 0xee, not 0xed") != NULL, "%s", chan.error);
    drop_channel();
}
END_TEST

static atomic_bool flooding;

static void *flood_wakeups(void *arg)
{
    static uint8_t bytes[4096];
    memset(bytes, PL_SPSC_WAKEUP, sizeof bytes);
    while (atomic_load(&flooding))
        send(*(int *)arg, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL);
    return NULL;
}

START_TEST(endless_wakeups)
{
    pthread_t thread;
    make_channel(true);
    atomic_store(&flooding, true);
    ck_assert_int_eq(pthread_create(&thread, NULL, flood_wakeups, &peer), 0);
    double begun = now();
    ck_assert_int_eq(receive(100), 0);
    ck_assert(now() - begun < 5);
    ck_assert_int_eq(put(9), 1);
    ck_assert_int_eq(receive(1000), 12);
    atomic_store(&flooding, false);
    pthread_join(thread, NULL);
    drop_channel();
}
END_TEST

START_TEST(socket_closed)
{
    make_channel(true);
    ck_assert_int_eq(put(1), 1);
    ck_assert_int_eq(put(2), 1);
    close(peer);
    peer = -1;
    ck_assert_int_eq(receive(1000), 12);
    ck_assert_int_eq(receive(1000), 12);
    ck_assert_int_eq(number_of(buf, 12), 2);
    ck_assert_int_eq(receive(1000), -EPIPE);
    ck_assert_int_eq(receive(0), -EPIPE);
    size_t size = message(buf, 1);
    ck_assert_int_eq(pl_chan_send(&chan, buf, size, -1), -EPIPE);
    drop_channel();
}
END_TEST

START_TEST(every_message_wakes)
{
    uint8_t bytes[8];
    make_channel(true);
    size_t size = message(buf, 1);
    ck_assert_int_eq(pl_chan_send(&chan, buf, size, 0), 0);
    ck_assert_int_eq(pl_chan_send(&chan, buf, size, 0), 0);
    ck_assert_int_eq(recv(peer, bytes, sizeof bytes, MSG_DONTWAIT), 2);
    ck_assert_uint_eq(bytes[0], 0xed);
    ck_assert_uint_eq(bytes[1], 0xed);
    drop_channel();
}
END_TEST

/* --- two threads --- */

/* A peer's end: it sends what it receives back. */
static void *echo(void *arg)
{
    struct pl_chan *far = arg;
    static uint8_t bytes[PL_MSG_MAX + 1];
    for (uint32_t i = 0; i < EXCHANGES; i++) {
        int n = pl_chan_receive(far, spec(), bytes, sizeof bytes, 64, 20000);
        if (n <= 0 || pl_chan_send(far, bytes, (size_t)n, 20000) != 0)
            return far;
    }
    return NULL;
}

/* As many messages in flight as there is room for, so that rings run empty and full. */
static void exchange(struct pl_chan *near)
{
    uint32_t sent = 0;
    for (uint32_t got = 0; got < EXCHANGES;) {
        uint8_t out[PL_SPSC_SLOT_SIZE];
        if (sent < EXCHANGES && sent - got < (got % 1000 < 50 ? 1 : 150)) {
            size_t size = message(out, sent);
            if (pl_chan_send(near, out, size, 0) == 0) {
                sent++;
                continue;
            }
        }
        int n = pl_chan_receive(near, spec(), buf, sizeof buf, 64, 20000);
        ck_assert_msg(n > 0, "message %u: %d %s", got, n, near->error);
        ck_assert_uint_eq(number_of(buf, n), got);
        got++;
    }
}

START_TEST(both_ends)
{
    static _Alignas(64) uint8_t memory[2][PL_SPSC_SIZE_DEFAULT];
    void *const roomy[2] = {memory[0], memory[1]};
    const size_t roomy_sizes[2] = {sizeof memory[0], sizeof memory[1]};
    struct pl_chan far;
    pthread_t thread;
    void *failed;
    int ends[2] = {-1, -1};
    if (_i)
        ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
    ck_assert_int_eq(pl_spsc_channel(&chan, roomy, roomy_sizes, PL_SPSC_DRIVER, ends[0], false), 0);
    ck_assert_int_eq(pl_spsc_channel(&far, roomy, roomy_sizes, PL_SPSC_DEVICE, ends[1], false), 0);
    ck_assert_int_eq(pthread_create(&thread, NULL, echo, &far), 0);
    exchange(&chan);
    ck_assert_int_eq(pthread_join(thread, &failed), 0);
    ck_assert_ptr_null(failed);
    pl_chan_close(&chan);
    pl_chan_close(&far);
}
END_TEST

/* --- files --- */

static const char *address(const char *more)
{
    static char text[256];
    snprintf(text, sizeof text, "spsc:x,dir=%s%s", folder, more);
    return text;
}

static const char *path(const char *name)
{
    static char text[256];
    snprintf(text, sizeof text, "%s/%s", folder, name);
    return text;
}

static struct pl_port *open_port(bool listens, const char *text)
{
    struct pl_port_options options = {.spec = spec(), .send_timeout_ms = 50};
    options.accept_timeout_ms = 200;
    *(listens ? &options.listen : &options.connect) = text;
    return pl_port_open(&options, error, sizeof error);
}

static struct pl_spsc_host *device(bool listens, const char *text, int *err)
{
    return pl_spsc_open(text, PL_SPSC_DEVICE, listens, err, error, sizeof error);
}

/* The harness listens, a device's end connects, and the other way round; a message each way. */
START_TEST(met_by_name)
{
    struct pl_chan far;
    struct pl_end end;
    int err;
    struct pl_port *port = NULL;
    struct pl_spsc_host *host = NULL;
    if (_i)
        ck_assert_ptr_nonnull(host = device(true, address(""), &err));
    port = open_port(!_i, address(""));
    ck_assert_msg(port != NULL, "%s", error);
    if (!_i)
        ck_assert_ptr_nonnull(host = device(false, address(""), &err));
    ck_assert_uint_eq(port->carrier_max, 64);
    ck_assert_int_eq(port->ops->start(port, &bus), 0);
    ck_assert(port->stream);
    ck_assert_int_eq(pl_spsc_meet(host, 0, &far, error, sizeof error), 0);
    size_t size = message(buf, 99);
    ck_assert_int_eq(port->ops->send(port, buf, size), 0);
    ck_assert_int_eq(pl_chan_receive(&far, spec(), buf, sizeof buf, 64, 1000), 12);
    ck_assert_int_eq(pl_chan_send(&far, buf, 12, 0), 0);
    ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 1000), 12);
    ck_assert_uint_eq(number_of(buf, 12), 99);
    const struct pl_bus_params large = {1, 264, 0};
    ck_assert_int_eq(port->ops->start(port, &large), -EINVAL);
    ck_assert_msg(strstr(port->error, "does not fit the carrier") != NULL, "%s", port->error);
    ck_assert_int_eq(port->ops->stop(port, &end), 0);
    port->ops->close(port);
    pl_chan_close(&far);
    pl_spsc_close(host);
    struct stat st;
    ck_assert_int_eq(stat(path("queue-x-driver"), &st), -1);
    ck_assert_int_eq(stat(path("queue-x-device"), &st), -1);
}
END_TEST

START_TEST(ends_are_exclusive)
{
    int err;
    struct pl_port *port = open_port(true, address(",size=8192"));
    ck_assert_msg(port != NULL, "%s", error);
    struct stat st;
    ck_assert_int_eq(stat(path("queue-x-driver"), &st), 0);
    ck_assert_int_eq(st.st_size, 8192);
    ck_assert_ptr_null(open_port(true, address("")));
    ck_assert_msg(strstr(error, "another process holds the driver's end") != NULL, "%s", error);
    ck_assert_int_eq(stat(path("queue-x-driver"), &st), 0);
    struct pl_port *other = open_port(false, address(""));
    ck_assert_ptr_nonnull(other);
    ck_assert_int_eq(other->ops->start(other, &bus), -EBUSY);
    other->ops->close(other);
    struct pl_spsc_host *host = device(false, address(""), &err);
    struct pl_chan far;
    ck_assert_int_eq(pl_spsc_meet(host, 0, &far, error, sizeof error), 0);
    pl_chan_close(&far);
    pl_spsc_close(host);
    port->ops->close(port);
}
END_TEST

START_TEST(old_files_are_replaced)
{
    int fd = open(path("queue-x-driver"), O_RDWR | O_CREAT, 0600);
    ck_assert_int_eq(write(fd, "old and short", 13), 13);
    close(fd);
    struct pl_port *port = open_port(true, address(""));
    ck_assert_msg(port != NULL, "%s", error);
    ck_assert_int_eq(port->ops->start(port, &bus), 0);
    ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 0), 0);
    port->ops->close(port);
    ck_assert_int_eq(mkdir(path("queue-x-device"), 0700), 0);
    ck_assert_ptr_null(open_port(true, address("")));
    ck_assert_msg(strstr(error, "no regular file") != NULL, "%s", error);
    ck_assert_int_eq(rmdir(path("queue-x-device")), 0);
}
END_TEST

/* What a connecting end finds: file contents and what it says of them. */
START_TEST(unfit_files)
{
    static const struct {
        long size;
        int32_t head;
        int err;
        const char *says;
    } cases[] = {{-1, 0, -ENOENT, "queue-x-driver: cannot open the file"},
                 {0, 0, -EPROTO, "the file has 0 bytes, a ring has 256 to"},
                 {255, 0, -EPROTO, "the file has 255 bytes"},
                 {512, 0, -EPROTO, "the file has 512 bytes, not 4096"},
                 {4096, 62, -EPROTO, "head is 62, which is not within 0 to 61"},
                 {4096, -5, -EPROTO, "head is -5"}};
    static const char *const names[] = {"queue-x-driver", "queue-x-device"};
    for (size_t i = 0; i < 2 && cases[_i].size >= 0; i++) {
        int fd = open(path(names[i]), O_RDWR | O_CREAT, 0600);
        ck_assert_int_eq(ftruncate(fd, cases[_i].size), 0);
        if (cases[_i].head)
            ck_assert_int_eq(pwrite(fd, &cases[_i].head, 4, 0), 4);
        close(fd);
    }
    struct pl_port *port = open_port(false, address(_i == 3 ? ",size=4096" : ""));
    ck_assert_ptr_nonnull(port);
    ck_assert_int_eq(port->ops->start(port, &bus), cases[_i].err);
    ck_assert_msg(strstr(port->error, cases[_i].says) != NULL, "%s", port->error);
    port->ops->close(port);
}
END_TEST

/* A peer that cuts a file short must not end us with SIGBUS, wherever we are. */
START_TEST(cut_short)
{
    struct pl_port *port = open_port(true, address(""));
    ck_assert_ptr_nonnull(port);
    ck_assert_int_eq(port->ops->start(port, &bus), 0);
    ck_assert_int_eq(truncate(path(_i % 2 ? "queue-x-driver" : "queue-x-device"), 0), 0);
    size_t size = message(buf, 1);
    int sent = port->ops->send(port, buf, size);
    int r = _i / 2 ? port->ops->receive(port, buf, sizeof buf, 20) : sent;
    for (int i = 0; i < 3 && r >= 0;
         i++) { /* zeros are an empty ring, until something was written */
        sent = port->ops->send(port, buf, size);
        r = sent < 0 ? sent : port->ops->receive(port, buf, sizeof buf, 0);
    }
    ck_assert_int_eq(r, -EPROTO);
    ck_assert_msg(strstr(port->error, "cut short") != NULL, "%s", port->error);
    port->ops->stop(port, NULL);
    ck_assert_int_eq(port->ops->start(port, &bus), -EPROTO);
    port->ops->close(port);
}
END_TEST

START_TEST(wakeup_by_path)
{
    char text[1024];
    int err;
    struct pl_chan far;
    snprintf(text, sizeof text, "%s,wakeup=%s", address(""), path("wake"));
    struct pl_port *port = open_port(true, text);
    ck_assert_msg(port != NULL, "%s", error);
    ck_assert_int_eq(port->ops->start(port, &bus), -ETIMEDOUT);
    ck_assert_msg(strstr(port->error, "nobody connected") != NULL, "%s", port->error);
    struct pl_spsc_host *host = device(false, text, &err);
    for (int i = 0; i < 3; i++) {
        struct pl_end end;
        ck_assert_int_eq(pl_spsc_meet(host, 1000, &far, error, sizeof error), 0);
        ck_assert_int_eq(port->ops->start(port, &bus), 0);
        size_t size = message(buf, 4);
        ck_assert_int_eq(port->ops->send(port, buf, size), 0);
        ck_assert_int_eq(pl_chan_receive(&far, spec(), buf, sizeof buf, 64, 1000), 12);
        pl_chan_close(&far);
        ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 1000), -EPIPE);
        ck_assert_int_eq(port->ops->stop(port, &end), 0);
        ck_assert_int_eq(end.how, PL_END_CLOSED);
        ck_assert(end.by_itself);
    }
    pl_spsc_close(host);
    port->ops->close(port);
}
END_TEST

/* --- addresses --- */

START_TEST(addresses)
{
    static const struct {
        const char *text;
        bool listening;
        const char *says;
    } cases[] = {{"spsc:a", true, NULL},
                 {"spsc:a,dir=/x,size=4096,wakeup=/y", true, NULL},
                 {"spsc:a,size=4KiB,wakeup=none", false, NULL},
                 {"spsc:a,wakeup=fd:5", false, NULL},
                 {"spsc:", false, "the name is missing"},
                 {"spsc:,dir=/x", false, "the name is missing"},
                 {"spsc:a/b", false, "has a '/' in it"},
                 {"spsc:a,size=255", false, "a number of bytes from 256"},
                 {"spsc:a,size=x", false, "a number of bytes from 256"},
                 {"spsc:a,size=1GiB", false, "a number of bytes from 256"},
                 {"spsc:a,dir=", false, "behind the name stand"},
                 {"spsc:a,colour=red", false, "behind the name stand"},
                 {"spsc:a,wakeup=", false, "wakeup is the path"},
                 {"spsc:a,wakeup=fd:x", false, "is not a number"},
                 {"spsc:a,wakeup=fd:5", true, "cannot be listened on"}};
    int r = pl_address_check(cases[_i].text, cases[_i].listening, error, sizeof error);
    ck_assert_int_eq(r, cases[_i].says ? -EINVAL : 0);
    if (cases[_i].says)
        ck_assert_msg(strstr(error, cases[_i].says) != NULL, "%s", error);
}
END_TEST

/* --- memory files --- */

START_TEST(memory_file)
{
    struct pl_memory_file file;
    void *one, *other;
    char text[1024];
    snprintf(text, sizeof text, "%s,size=64KiB,base=0x10000", path("mem"));
    ck_assert_int_eq(pl_memory_parse(text, &file, error, sizeof error), 0);
    ck_assert_int_eq(pl_memory_open(&file, &one, NULL, error, sizeof error), 0);
    ck_assert_uint_eq(file.size, 65536);
    ck_assert_uint_eq(file.base, 0x10000);
    ck_assert_int_eq(pl_memory_parse(path("mem"), &file, error, sizeof error), 0);
    ck_assert_int_eq(pl_memory_open(&file, &other, NULL, error, sizeof error), 0);
    ck_assert_uint_eq(file.size, 65536);
    ck_assert_uint_eq(file.base, PL_PORT_MEM_BASE);
    memset(one, 7, 65536);
    ck_assert_int_eq(((uint8_t *)other)[65535], 7);
    ck_assert(!pl_guard_lost(one));
    ck_assert_int_eq(truncate(path("mem"), 4096), 0);
    ck_assert_int_eq(((volatile uint8_t *)one)[65535], 0);
    ((volatile uint8_t *)other)[40000] = 1;
    ck_assert(pl_guard_lost(one) && pl_guard_lost(other));
    pl_guard_unmap(one);
    pl_guard_unmap(other);
    snprintf(text, sizeof text, "%s,size=8192", path("mem"));
    ck_assert_int_eq(pl_memory_parse(text, &file, error, sizeof error), 0);
    ck_assert_int_eq(pl_memory_open(&file, &one, NULL, error, sizeof error), -EINVAL);
    ck_assert_msg(strstr(error, "has 4096 bytes, not 8192") != NULL, "%s", error);
    static const char *const bad[] = {"",
                                      ",size=4096",
                                      "m,size=1",
                                      "m,size=x",
                                      "m,base=1",
                                      "m,colour=1",
                                      "m,base=0xfffffffffffff000,size=8192"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(pl_memory_parse(bad[i], &file, error, sizeof error), -EINVAL);
}
END_TEST

START_TEST(port_with_memory)
{
    struct pl_port_options options = {.spec = spec(), .listen = address(""), .mem_size = 65536};
    options.mem_path = path("mem");
    struct pl_port *port = pl_port_open(&options, error, sizeof error);
    ck_assert_msg(port != NULL, "%s", error);
    ck_assert_uint_eq(port->mem_size, 65536);
    ck_assert_uint_eq(port->mem_base, PL_PORT_MEM_BASE);
    memset(port->mem, 1, port->mem_size);
    ck_assert_int_eq(port->ops->start(port, &bus), 0);
    ck_assert_int_eq(((uint8_t *)port->mem)[100], 0); /* each start finds it empty */
    ck_assert_int_eq(truncate(path("mem"), 0), 0);
    ck_assert_int_eq(((volatile uint8_t *)port->mem)[100], 0);
    ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 0), -EPROTO);
    ck_assert_msg(strstr(port->error, "cut short") != NULL, "%s", port->error);
    port->ops->close(port);
}
END_TEST

static TCase *add_case(Suite *suite, const char *name)
{
    TCase *t = tcase_create(name);
    tcase_set_timeout(t, 60);
    tcase_add_checked_fixture(t, setup, teardown);
    suite_add_tcase(suite, t);
    return t;
}

static void add_rings(TCase *t)
{
    tcase_add_test(t, order_and_capacity);
    tcase_add_test(t, layout);
    tcase_add_test(t, takes_up_where_it_is);
    tcase_add_loop_test(t, hostile_head, 0, sizeof bad_heads / sizeof *bad_heads);
    tcase_add_loop_test(t, hostile_tail, 0, sizeof bad_tails / sizeof *bad_tails);
    tcase_add_test(t, others_index_written);
}

static void add_channels(TCase *t)
{
    tcase_add_loop_test(t, sizes_that_lie, 0, 14);
    tcase_add_loop_test(t, time_limits, 0, 2);
    tcase_add_test(t, wakeups);
    tcase_add_test(t, endless_wakeups);
    tcase_add_test(t, socket_closed);
    tcase_add_test(t, every_message_wakes);
}

static void add_files(TCase *t)
{
    tcase_add_loop_test(t, met_by_name, 0, 2);
    tcase_add_test(t, ends_are_exclusive);
    tcase_add_test(t, old_files_are_replaced);
    tcase_add_loop_test(t, unfit_files, 0, 6);
    tcase_add_loop_test(t, cut_short, 0, 4);
    tcase_add_test(t, wakeup_by_path);
    tcase_add_loop_test(t, addresses, 0, 15);
    tcase_add_test(t, memory_file);
    tcase_add_test(t, port_with_memory);
}

int main(void)
{
    Suite *suite = suite_create("spsc");
    add_rings(add_case(suite, "rings"));
    add_channels(add_case(suite, "channels"));
    add_files(add_case(suite, "files"));
    tcase_add_loop_test(add_case(suite, "threads"), both_ends, 0, 2);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
