/* Unit tests of the carriers: channels, addresses, the started, reached and linked-in IUT. */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "open_fds.h"
#include "port/control.h"
#include "port/pingpong.h"
#include "port/port.h"

static const struct pl_bus_params bus = {1, 264, 0};
static uint8_t buf[PL_MSG_MAX + 1];
static const uint8_t giant[70000];

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

/* A well-formed message whose token is `token`. */
static size_t message(uint8_t *out, uint16_t token)
{
    struct pl_msg m = {.kind = PL_PING, .token = token};
    ssize_t n = pl_encode(spec(), &m, out, PL_MSG_MAX);
    if (n <= 0)
        abort(); /* also called outside of tests, where Check's assertions cannot stand */
    return (size_t)n;
}

static unsigned token_of(const uint8_t *bytes, int size)
{
    struct pl_msg m;
    pl_decode(spec(), bytes, (size_t)size, &m);
    return m.token;
}

/* --- the IUTs that exec starts: this program again, with a mode --- */

static int env_fd(const char *name)
{
    const char *text = getenv(name);
    return text ? atoi(text) : -1;
}

static void burst(int fd, int n)
{
    for (int i = 1; i <= n; i++) {
        size_t size = message(buf, (uint16_t)i);
        if (send(fd, buf, size, MSG_NOSIGNAL) < 0)
            _exit(9);
    }
}

static int echo(int fd)
{
    ssize_t n;
    while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
        send(fd, buf, (size_t)n, MSG_NOSIGNAL);
    return 0;
}

/* Answer each control line with `answer`, until end of file; "late": the first one late. */
static void *serve_control(void *arg)
{
    const char *answer = arg;
    char line[256];
    FILE *ctl = fdopen(env_fd("PLUMBLINE_CTL_FD"), "r");
    for (int i = 0; fgets(line, sizeof line, ctl); i++) {
        if (strcmp(answer, "late") == 0 && i == 0)
            usleep(150000);
        const char *text = strcmp(answer, "late") == 0 ? (i ? "ok" : "error late") : answer;
        dprintf(fileno(ctl), "%s\n", text);
    }
    return NULL;
}

static void show_environment(int fd)
{
    char text[512];
    struct stat st = {0};
    fstat(env_fd("PLUMBLINE_MEM_FD"), &st);
    int n =
        snprintf(text, sizeof text, "%s|%s|%s|%lld|%d|%d", getenv("PLUMBLINE_BUS"),
                 getenv("PLUMBLINE_MEM_BASE"), getenv("PLUMBLINE_MEM_SIZE"), (long long)st.st_size,
                 env_fd("PLUMBLINE_CTL_FD") >= 0, ftruncate(env_fd("PLUMBLINE_MEM_FD"), 0));
    send(fd, text, (size_t)n, 0);
}

static int iut(const char *mode)
{
    int fd = env_fd("PLUMBLINE_FD");
    if (strcmp(mode, "echo") == 0)
        return echo(fd);
    if (strcmp(mode, "env") == 0)
        show_environment(fd);
    else if (strcmp(mode, "exit3") == 0)
        return fprintf(stderr, "out of luck\n"), 3;
    else if (strcmp(mode, "abort") == 0)
        raise(SIGKILL);
    else if (strcmp(mode, "deaf") == 0)
        for (signal(SIGTERM, SIG_IGN);;)
            pause();
    else if (strcmp(mode, "letgo") == 0)
        for (close(fd);;)
            pause();
    else if (strcmp(mode, "burst") == 0)
        return burst(fd, 5), 0;
    else if (strcmp(mode, "burst-unread") == 0)
        return usleep(50000), burst(fd, 5), 0;
    else if (strcmp(mode, "empty-exit") == 0)
        return send(fd, "", 0, 0), 0;
    else if (strcmp(mode, "giant") == 0)
        send(fd, giant, 66000, 0);
    else if (strcmp(mode, "flood") == 0)
        for (;;)
            burst(fd, 1000);
    else if (strcmp(mode, "noise") == 0) {
        static char x[65536];
        memset(x, 'x', sizeof x);
        for (int i = 0; i < 160; i++)
            if (write(2, x, sizeof x) < 0)
                return 1;
        if (write(1, "end of noise\xff\n", 14) < 0)
            return 1;
    } else if (strcmp(mode, "fork") == 0) {
        pid_t child = fork();
        if (child == 0)
            for (signal(SIGTERM, SIG_IGN);;)
                pause();
        send(fd, &child, sizeof child, 0);
    } else if (strncmp(mode, "ctl=", 4) == 0) {
        pthread_t thread;
        pthread_create(&thread, NULL, serve_control, (void *)(uintptr_t)(mode + 4));
    } else if (strcmp(mode, "ctl-close") == 0)
        close(env_fd("PLUMBLINE_CTL_FD"));
    else if (strcmp(mode, "ctl-die") == 0) {
        char line[64];
        return read(env_fd("PLUMBLINE_CTL_FD"), line, sizeof line) > 0 ? 4 : 5;
    } else if (strcmp(mode, "ctl-babble") == 0) {
        for (int i = 0; i < 2000; i++)
            dprintf(env_fd("PLUMBLINE_CTL_FD"), "x");
    } else if (strcmp(mode, "ctl-burst") == 0) {
        char line[64];
        if (read(env_fd("PLUMBLINE_CTL_FD"), line, sizeof line) > 0)
            burst(fd, 3000);
        dprintf(env_fd("PLUMBLINE_CTL_FD"), "ok\n");
    } else if (strcmp(mode, "bus") == 0) {
        int dev = env_fd("PLUMBLINE_DEVICE_FD");
        ssize_t n;
        while ((n = recv(fd, buf, sizeof buf, 0)) > 0)
            send(dev, buf, (size_t)n, MSG_NOSIGNAL);
        return 0;
    } else if (strcmp(mode, "greedy") == 0)
        return usleep(300000), echo(fd);
    return echo(fd);
}

/* --- helpers around a port --- */

static char program[256];

static struct pl_port *open_mode(const char *mode, struct pl_port_options options)
{
    char command[600], error[512] = "";
    snprintf(command, sizeof command, "%s iut %s", program, mode);
    options.spec = spec();
    options.exec = command;
    struct pl_port *port = pl_port_open(&options, error, sizeof error);
    if (!port)
        ck_abort_msg("%s", error);
    return port;
}

static struct pl_port *start_mode(const char *mode, struct pl_port_options options)
{
    struct pl_port *port = open_mode(mode, options);
    int r = port->ops->start(port, &bus);
    ck_assert_msg(r == 0, "%s", port->error);
    return port;
}

static struct pl_end stop(struct pl_port *port)
{
    struct pl_end end, again;
    ck_assert_int_eq(port->ops->stop(port, &end), 0);
    ck_assert_int_eq(port->ops->stop(port, &again), 0);
    ck_assert_int_eq(end.how, again.how);
    ck_assert_int_eq(end.code, again.code);
    port->ops->close(port);
    return end;
}

static void assert_no_child(void)
{
    ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
    ck_assert_int_eq(errno, ECHILD);
}

/* --- bus parameters --- */

START_TEST(bus_params_parse_and_print)
{
    static const char *const bad[] = {"",
                                      "revision=1",
                                      "revision=1 max_msg_size=264 features=",
                                      "revision=1 max_msg_size=264 features=0 features=0",
                                      "revision=1 max_msg_size=264 features=0x100000000",
                                      "revision=-1 max_msg_size=264 features=0",
                                      "revision=1 max_msg_size=264 features=0 x=1",
                                      "revision=1,max_msg_size=264,features=0",
                                      "revision=1 max_msg_size=99999999999999999999 features=0"};
    struct pl_bus_params out = {7, 7, 7};
    char text[80];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        ck_assert_int_eq(pl_bus_params_parse(bad[i], &out), -EINVAL);
    ck_assert_uint_eq(out.revision, 7);
    ck_assert_int_eq(pl_bus_params_parse(" features=0xFf  revision=2 max_msg_size=0x34\n", &out),
                     0);
    ck_assert_uint_eq(out.features, 255);
    ck_assert_uint_eq(out.max_msg_size, 52);
    pl_bus_params_format(&out, text, sizeof text);
    ck_assert_str_eq(text, "revision=2 max_msg_size=52 features=0xff");
}
END_TEST

/* --- addresses --- */

START_TEST(addresses_are_checked)
{
    static const struct {
        const char *address, *error;
    } bad[] = {
        {"", "address '': it is none of unix:PATH, unix-stream:PATH, tcp:HOST:PORT, fd:N"},
        {"spsc:x", "address 'spsc:x': it is none of"},
        {"unix:", "address 'unix:': the path is missing"},
        {"tcp:localhost", "address 'tcp:localhost': the port is missing"},
        {"tcp::80", "address 'tcp::80': the host is missing"},
        {"tcp:::1:80", "a host with colons stands in brackets"},
        {"tcp:[::1:80", "']' is missing"},
        {"tcp:[::1]80", "the port is missing"},
        {"tcp:h:70000", "not a number from 0 to 65535"},
        {"tcp:h:-1", "not a number from 0 to 65535"},
        {"tcp:h:0", "nothing can be reached at port 0"},
        {"fd:x", "the descriptor is not a number"},
        {"fd:-1", "the descriptor is not a number"},
        {"fd:", "the descriptor is not a number"},
        {"fd:99999", "cannot use the descriptor: Bad file descriptor"},
        {"unix:/nowhere/at/all", "cannot connect: No such file"},
    };
    char error[512], text[300] = "unix:/";
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_int_lt(pl_address_connect(bad[i].address, error, sizeof error), 0);
        ck_assert_msg(strstr(error, bad[i].error) != NULL, "%s", error);
    }
    memset(text + 6, 'x', 200);
    ck_assert_int_eq(pl_address_connect(text, error, sizeof error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "the path has 201 bytes, a socket's path has at most 107"));
    ck_assert_int_eq(pl_address_listen("fd:0", error, sizeof error), -EINVAL);
    ck_assert_int_lt(pl_address_connect("fd:0", error, sizeof error), 0);
}
END_TEST

START_TEST(addresses_listen_and_connect)
{
    char dir[] = "/tmp/pl-port-XXXXXX", unix_address[64], stream_address[64], local[128],
         error[512];
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(unix_address, sizeof unix_address, "unix:%s/a", dir);
    snprintf(stream_address, sizeof stream_address, "unix-stream:%s/b", dir);
    const char *const all[] = {unix_address, stream_address, "tcp:127.0.0.1:0", "tcp:localhost:0"};
    for (size_t i = 0; i < 4; i++) {
        /* Twice: the file that the first listener leaves must not be in the second one's way. */
        for (int round = 0; round < 2; round++) {
            int server = pl_address_listen(all[i], error, sizeof error);
            ck_assert_msg(server >= 0, "%s", error);
            pl_address_local(server, all[i], local, sizeof local);
            int fd = pl_address_connect(local, error, sizeof error);
            ck_assert_msg(fd >= 0, "%s", error);
            ck_assert(fcntl(fd, F_GETFD) & FD_CLOEXEC);
            if (i < 2)
                ck_assert_int_eq(pl_address_listen(all[i], error, sizeof error), -EADDRINUSE);
            close(fd);
            close(server);
        }
    }
    snprintf(local, sizeof local, "rm -r %s", dir);
    ck_assert_int_eq(system(local), 0);
}
END_TEST

static void *listen_late(void *fd)
{
    poll(NULL, 0, 20);
    ck_assert_int_eq(listen(*(int *)fd, 1), 0);
    return NULL;
}

/* The file of a socket comes up when it is bound, a moment before it is listened on. */
START_TEST(connect_to_a_socket_that_is_bound)
{
    char dir[] = "/tmp/pl-port-XXXXXX", address[128], error[512];
    struct sockaddr_un place = {.sun_family = AF_UNIX};
    int server = socket(AF_UNIX, SOCK_STREAM, 0);
    pthread_t thread;
    ck_assert_ptr_nonnull(mkdtemp(dir));
    snprintf(place.sun_path, sizeof place.sun_path, "%s/a", dir);
    snprintf(address, sizeof address, "unix-stream:%s", place.sun_path);
    ck_assert_int_eq(bind(server, (struct sockaddr *)&place, sizeof place), 0);
    ck_assert_int_eq(pl_address_connect(address, error, sizeof error), -ECONNREFUSED);
    ck_assert_int_eq(pthread_create(&thread, NULL, listen_late, &server), 0);
    int fd = pl_address_connect(address, error, sizeof error);
    ck_assert_msg(fd >= 0, "%s", error);
    pthread_join(thread, NULL);
    close(fd);
    close(server);
    unlink(place.sun_path);
    rmdir(dir);
}
END_TEST

/* --- channels --- */

static void pair(int type, struct pl_chan *chan, int *peer)
{
    int ends[2];
    ck_assert_int_eq(socketpair(AF_UNIX, type, 0, ends), 0);
    ck_assert_int_eq(pl_chan_init(chan, ends[0]), 0);
    *peer = ends[1];
}

START_TEST(chan_packets)
{
    struct pl_chan chan;
    int peer;
    pair(SOCK_SEQPACKET, &chan, &peer);
    ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 0, 0), 0);
    double start = now();
    ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 0, 60), 0);
    ck_assert_double_ge(now() - start, 0.055);
    ck_assert_int_eq(send(peer, "abc", 3, 0), 3);
    ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 0, 1000), 3);
    send(peer, "", 0, 0);
    ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 0, 1000), -EPROTO);
    ck_assert_str_eq(chan.error, "an empty packet arrived");
    ck_assert_int_eq(send(peer, giant, 65537, 0), 65537);
    ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 0, 1000), -EPROTO);
    ck_assert_str_eq(chan.error, "a packet of 65537 bytes arrived, the largest message has 65536");
    /* Empty, a message, then the end: told one after the other. */
    send(peer, "", 0, 0);
    send(peer, "ab", 2, 0);
    ck_assert_int_eq(pl_chan_send(&chan, "unread", 6, 100), 0);
    close(peer);
    ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 0, 1000), -EPROTO);
    ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 0, 1000), 2);
    ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 0, 1000), -EPIPE);
    ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 0, 0), -EPIPE);
    ck_assert_int_eq(pl_chan_send(&chan, "x", 1, 100), -EPIPE);
    pl_chan_close(&chan);
    pl_chan_close(&chan);
}
END_TEST

START_TEST(chan_packets_keep_order_before_reset)
{
    struct pl_chan chan;
    int peer;
    pair(SOCK_SEQPACKET, &chan, &peer);
    ck_assert_int_eq(pl_chan_send(&chan, "never read", 10, 100), 0);
    burst(peer, 3);
    close(peer); /* with data unread: our end sees a reset */
    ck_assert_int_eq(pl_chan_send(&chan, "x", 1, 100), -EPIPE);
    for (unsigned i = 1; i <= 3; i++) {
        int n = pl_chan_receive(&chan, spec(), buf, sizeof buf, 0, 1000);
        ck_assert_int_gt(n, 0);
        ck_assert_uint_eq(token_of(buf, n), i);
    }
    ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 0, 1000), -EPIPE);
    pl_chan_close(&chan);
}
END_TEST

START_TEST(chan_stream_reassembles)
{
    struct pl_chan chan;
    int peer;
    uint8_t wire[64 * 300];
    size_t size = 0, taken = 0;
    pair(SOCK_STREAM, &chan, &peer);
    for (unsigned i = 0; i < 300; i++)
        size += message(wire + size, (uint16_t)i);
    /* In pieces of every size from 1 on. */
    unsigned seen = 0;
    for (size_t piece = 1; taken < size; piece++) {
        size_t n = piece < size - taken ? piece : size - taken;
        ck_assert_int_eq(send(peer, wire + taken, n, 0), (int)n);
        taken += n;
        int r;
        while ((r = pl_chan_receive(&chan, spec(), buf, sizeof buf, 264, 0)) > 0)
            ck_assert_uint_eq(token_of(buf, r), seen++);
        ck_assert_int_eq(r, 0);
    }
    ck_assert_uint_eq(seen, 300);
    /* A whole message, a part of one, the end. */
    size = message(wire, 7);
    send(peer, wire, size, 0);
    send(peer, wire, 5, 0);
    close(peer);
    ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 264, 100), (int)size);
    ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 264, 100), -EPIPE);
    ck_assert_str_eq(chan.error, "the connection ended 5 bytes into a message");
    pl_chan_close(&chan);
}
END_TEST

START_TEST(chan_stream_refuses_bad_sizes)
{
    static const struct {
        uint16_t size;
        const char *error;
    } bad[] = {{0, "a message announces msg_size 0, less than its header of 8 bytes"},
               {7, "a message announces msg_size 7, less than its header of 8 bytes"},
               {265, "a message announces msg_size 265, more than the maximum of 264"},
               {65535, "a message announces msg_size 65535, more than the maximum of 264"}};
    for (size_t i = 0; i < 4; i++) {
        struct pl_chan chan;
        int peer;
        pair(SOCK_STREAM, &chan, &peer);
        size_t size = message(buf, 1);
        send(peer, buf, size, 0);
        pl_poke_size(spec(), buf, bad[i].size);
        send(peer, buf, size, 0);
        ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 264, 100), (int)size);
        ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 264, 100), -EPROTO);
        ck_assert_str_eq(chan.error, bad[i].error);
        ck_assert_int_eq(pl_chan_receive(&chan, spec(), buf, sizeof buf, 264, 100), -EPROTO);
        ck_assert_int_eq(recv(peer, buf, 1, MSG_DONTWAIT), 0); /* the connection is over */
        ck_assert_int_eq(pl_chan_send(&chan, "x", 1, 100), -EPIPE);
        pl_chan_close(&chan);
        close(peer);
    }
}
END_TEST

START_TEST(chan_send_is_bounded)
{
    for (int i = 0; i < 2; i++) {
        struct pl_chan chan;
        int peer, r = 0;
        double start = now();
        pair(i ? SOCK_STREAM : SOCK_SEQPACKET, &chan, &peer);
        while (r == 0)
            r = pl_chan_send(&chan, buf, 10000, 50);
        ck_assert_int_eq(r, -ETIMEDOUT);
        ck_assert_double_lt(now() - start, 5);
        pl_chan_close(&chan);
        close(peer);
    }
}
END_TEST

START_TEST(chan_wants_a_socket)
{
    struct pl_chan chan;
    ck_assert_int_eq(pl_chan_init(&chan, open("/dev/null", O_RDWR)), -ENOTSOCK);
    ck_assert_int_eq(chan.fd, -1);
    ck_assert_ptr_nonnull(strstr(chan.error, "no socket"));
}
END_TEST

/* --- exec --- */

START_TEST(exec_echo)
{
    int fds = open_fds();
    for (int round = 0; round < 3; round++) {
        struct pl_port *port = start_mode("echo", (struct pl_port_options){0});
        ck_assert(port->restartable && port->has_control);
        ck_assert_uint_eq(port->mem_size, 16u << 20);
        ck_assert_uint_eq(port->mem_base, UINT64_C(0x100000000));
        for (int again = 0; again < 3; again++) {
            ((uint8_t *)port->mem)[4096] = 1;
            ck_assert_int_eq(port->ops->start(port, &bus), 0);
            ck_assert_uint_eq(((uint8_t *)port->mem)[4096], 0);
            for (uint16_t i = 0; i < 200; i++) {
                size_t size = message(buf, i);
                ck_assert_int_eq(port->ops->send(port, buf, size), 0);
                int n = port->ops->receive(port, buf, sizeof buf, 5000);
                ck_assert_int_eq(n, (int)size);
                ck_assert_uint_eq(token_of(buf, n), i);
            }
        }
        double start = now();
        struct pl_end end = stop(port);
        ck_assert_double_lt(now() - start, 0.5);
        ck_assert_int_eq(end.how, PL_END_EXITED);
        ck_assert_int_eq(end.code, 0);
        ck_assert(!end.by_itself);
    }
    ck_assert_int_eq(open_fds(), fds);
    assert_no_child();
}
END_TEST

START_TEST(exec_environment)
{
    struct pl_port *port =
        start_mode("env", (struct pl_port_options){.mem_size = 8192, .mem_base = 0x4000});
    int n = port->ops->receive(port, buf, sizeof buf, 5000);
    ck_assert_int_gt(n, 0);
    buf[n] = 0;
    ck_assert_str_eq((char *)buf, "revision=1 max_msg_size=264 features=0x0|0x4000|8192|8192|1|-1");
    stop(port);
    setenv("PLUMBLINE_CTL_FD", "77", 1); /* of an outer run: not passed on */
    port = start_mode("env", (struct pl_port_options){.no_control = true});
    n = port->ops->receive(port, buf, sizeof buf, 5000);
    ck_assert_int_gt(n, 0);
    buf[n] = 0;
    ck_assert_ptr_nonnull(strstr((char *)buf, "|16777216|0|-1"));
    ck_assert(!port->has_control);
    ck_assert_int_eq(port->ops->control(port, "start 0", (char *)buf, 100, 10), -ENOTSUP);
    stop(port);
}
END_TEST

START_TEST(exec_endings)
{
    static const struct {
        const char *mode;
        enum pl_end_how how;
        int code;
        bool by_itself;
    } ends[] = {{"exit3", PL_END_EXITED, 3, true},
                {"abort", PL_END_SIGNALLED, SIGKILL, true},
                {"abort; exit $?", PL_END_SIGNALLED, SIGKILL, true},
                {"burst", PL_END_EXITED, 0, true},
                {"deaf", PL_END_RUNNING, SIGKILL, false},
                {"letgo", PL_END_CLOSED, SIGTERM, true}};
    int fds = open_fds();
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
        struct pl_port *port = start_mode(ends[i].mode, (struct pl_port_options){0});
        int n;
        while ((n = port->ops->receive(port, buf, sizeof buf, 500)) > 0)
            continue;
        ck_assert_int_eq(n, ends[i].by_itself ? -EPIPE : 0);
        double start = now();
        struct pl_end end = stop(port);
        ck_assert_msg(end.how == ends[i].how && end.code == ends[i].code, "%s: %d %d", ends[i].mode,
                      end.how, end.code);
        ck_assert_int_eq(end.by_itself, ends[i].by_itself);
        ck_assert_double_lt(now() - start, 3);
        if (i == 0)
            ck_assert_str_eq(end.stderr_tail, "out of luck\n");
    }
    ck_assert_int_eq(open_fds(), fds);
    assert_no_child();
}
END_TEST

START_TEST(exec_unknown_command)
{
    char error[256];
    struct pl_port_options options = {.spec = spec(), .exec = "/no/such/program"};
    struct pl_port *port = pl_port_open(&options, error, sizeof error);
    ck_assert_int_eq(port->ops->start(port, &bus), 0);
    ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 5000), -EPIPE);
    ck_assert_str_eq(port->error, "exec:/no/such/program: the other end closed the connection");
    struct pl_end end = stop(port);
    ck_assert_int_eq(end.code, 127);
    ck_assert_ptr_nonnull(strstr(end.stderr_tail, "not found"));
}
END_TEST

START_TEST(exec_delivers_before_the_end)
{
    static const char *const modes[] = {"burst", "burst-unread"};
    for (size_t m = 0; m < 2; m++) {
        struct pl_port *port = start_mode(modes[m], (struct pl_port_options){0});
        size_t size = message(buf, 99);
        port->ops->send(port, buf, size);
        usleep(300000);
        for (unsigned i = 1; i <= 5; i++) {
            int n = port->ops->receive(port, buf, sizeof buf, 1000);
            ck_assert_msg(n > 0, "%s %u: %s", modes[m], i, port->error);
            ck_assert_uint_eq(token_of(buf, n), i);
        }
        ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 1000), -EPIPE);
        ck_assert_int_eq(port->ops->send(port, buf, 8), -EPIPE);
        ck_assert(stop(port).by_itself);
    }
}
END_TEST

START_TEST(exec_bad_packets)
{
    static const char *const modes[] = {"empty-exit", "giant"};
    for (size_t m = 0; m < 2; m++) {
        struct pl_port *port = start_mode(modes[m], (struct pl_port_options){0});
        ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 5000), -EPROTO);
        stop(port);
    }
}
END_TEST

START_TEST(exec_noise_never_blocks)
{
    struct pl_port *port = start_mode("noise", (struct pl_port_options){0});
    size_t size = message(buf, 1);
    ck_assert_int_eq(port->ops->send(port, buf, size), 0);
    ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 10000), (int)size);
    struct pl_end end = stop(port);
    ck_assert_int_eq(end.how, PL_END_EXITED);
    ck_assert_uint_eq(strlen(end.stderr_tail), sizeof end.stderr_tail - 1);
    ck_assert_str_eq(end.stderr_tail + sizeof end.stderr_tail - 1 - 14, "end of noise?\n");
}
END_TEST

START_TEST(exec_flood_is_bounded)
{
    struct pl_port *port = start_mode("flood", (struct pl_port_options){.send_timeout_ms = 200});
    double start = now();
    size_t size = message(buf, 1);
    int r = 0;
    while (r == 0)
        r = port->ops->send(port, buf, size);
    ck_assert_int_eq(r, -ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(port->error, "takes no message"));
    ck_assert_int_eq(port->ops->control(port, "start 0", (char *)buf, 100, 50), -ETIMEDOUT);
    for (int i = 0; i < 5000; i++)
        ck_assert_int_gt(port->ops->receive(port, buf, sizeof buf, 1000), 0);
    stop(port);
    ck_assert_double_lt(now() - start, 5);
    assert_no_child();
}
END_TEST

/* Both ends full at once: the port puts aside what comes, so that the IUT can go on. */
START_TEST(exec_no_deadlock)
{
    struct pl_port *port = start_mode("greedy", (struct pl_port_options){0});
    const unsigned n = 3000;
    for (unsigned i = 0; i < n; i++) {
        size_t size = message(buf, (uint16_t)i);
        int r = port->ops->send(port, buf, size);
        ck_assert_msg(r == 0, "%u: %s", i, port->error);
    }
    for (unsigned i = 0; i < n; i++) {
        int r = port->ops->receive(port, buf, sizeof buf, 1000);
        ck_assert_int_gt(r, 0);
        ck_assert_uint_eq(token_of(buf, r), i);
    }
    stop(port);
}
END_TEST

START_TEST(exec_ends_forked_children)
{
    struct pl_port *port = start_mode("fork", (struct pl_port_options){0});
    pid_t child = 0;
    ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 5000), (int)sizeof child);
    memcpy(&child, buf, sizeof child);
    ck_assert_int_eq(kill(child, 0), 0);
    stop(port);
    char path[64], state = 'X';
    snprintf(path, sizeof path, "/proc/%d/stat", child);
    for (int i = 0; i < 100; i++) {
        FILE *f = fopen(path, "r");
        state = 'X';
        if (!f)
            break;
        if (fscanf(f, "%*d (%*[^)]) %c", &state) != 1)
            state = 'X';
        fclose(f);
        if (state == 'Z' || state == 'X')
            break;
        usleep(10000);
    }
    ck_assert_msg(state == 'X' || state == 'Z', "still in state %c", state);
}
END_TEST

/* A harness that is killed leaves no IUT behind. */
START_TEST(exec_dies_with_the_harness)
{
    int ends[2];
    pid_t child = 0;
    ck_assert_int_eq(pipe(ends), 0);
    pid_t harness = fork();
    if (harness == 0) {
        struct pl_port *port = open_mode("fork", (struct pl_port_options){0});
        if (port->ops->start(port, &bus) != 0 ||
            port->ops->receive(port, buf, sizeof buf, 5000) != (int)sizeof child ||
            write(ends[1], buf, sizeof child) != (ssize_t)sizeof child)
            _exit(1);
        for (;;)
            pause();
    }
    ck_assert_int_eq(read(ends[0], &child, sizeof child), (int)sizeof child);
    pid_t group = getpgid(child); /* the IUT itself leads it */
    kill(harness, SIGKILL);
    waitpid(harness, NULL, 0);
    char state = 'R';
    for (int i = 0; i < 200 && state != 'Z'; i++, usleep(10000))
        state = kill(group, 0) != 0 ? 'Z' : state;
    ck_assert_int_eq(state, 'Z');
    kill(child, SIGKILL);
}
END_TEST

START_TEST(exec_restarts_quickly)
{
    struct pl_port *port = start_mode("echo", (struct pl_port_options){0});
    double start = now();
    for (int i = 0; i < 100; i++) {
        ck_assert_int_eq(port->ops->start(port, &bus), 0);
        size_t size = message(buf, 1);
        ck_assert_int_eq(port->ops->send(port, buf, size), 0);
        ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 5000), (int)size);
    }
    ck_assert_double_lt(now() - start, 20);
    stop(port);
}
END_TEST

START_TEST(exec_bus_has_two_sides)
{
    struct pl_port *port = start_mode("bus", (struct pl_port_options){.device_side = true});
    size_t size = message(buf, 5);
    ck_assert_ptr_nonnull(port->device_side);
    ck_assert_int_eq(port->ops->send(port, buf, size), 0);
    struct pl_port *side = port->device_side;
    int n = side->ops->receive(side, buf, sizeof buf, 1000);
    ck_assert_uint_eq(token_of(buf, n), 5);
    /* More than either buffer holds, read by nobody until all of it is sent. */
    for (unsigned i = 0; i < 2000; i++) {
        size = message(buf, (uint16_t)i);
        ck_assert_int_eq(port->ops->send(port, buf, size), 0);
    }
    for (unsigned i = 0; i < 2000; i++) {
        n = side->ops->receive(side, buf, sizeof buf, 1000);
        ck_assert_int_gt(n, 0);
        ck_assert_uint_eq(token_of(buf, n), i);
    }
    ck_assert_int_eq(side->ops->control(side, "start 0", (char *)buf, 10, 10), -ENOTSUP);
    stop(port);
}
END_TEST

START_TEST(options_are_checked)
{
    static const struct {
        struct pl_port_options options;
        const char *error;
    } bad[] = {{{0}, "a port needs a specification"},
               {{.spec = (const void *)1}, "nothing says how to reach the implementation"},
               {{.spec = (const void *)1, .exec = " "}, "the command to start is empty"},
               {{.spec = (const void *)1, .exec = "a", .listen = "b"}, "only one of"},
               {{.spec = (const void *)1, .connect = "unix:a", .device_side = true}, "two sides"},
               {{.spec = (const void *)1, .connect = "nonsense"}, "it is none of"},
               {{.spec = (const void *)1, .listen = "fd:3"}, "cannot be listened on"}};
    char error[512];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        ck_assert_ptr_null(pl_port_open(&bad[i].options, error, sizeof error));
        ck_assert_msg(strstr(error, bad[i].error) != NULL, "%s", error);
    }
    struct pl_port *port = open_mode("echo", (struct pl_port_options){0});
    ck_assert_int_eq(port->ops->start(port, &(struct pl_bus_params){1, 7, 0}), -EINVAL);
    ck_assert_int_eq(port->ops->send(port, "x", 1), -EPIPE);
    ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 10), -EPIPE);
    ck_assert_int_eq(port->ops->control(port, "start 0", (char *)buf, 10, 10), -EPIPE);
    port->ops->close(port);
}
END_TEST

/* --- control --- */

static int ask(struct pl_port *port, const char *line, char *answer, int timeout_ms)
{
    return port->ops->control(port, line, answer, 200, timeout_ms);
}

START_TEST(control_answers)
{
    static const char *const answers[] = {"ok", "unsupported", "'error no such device'"};
    char answer[200], mode[64];
    for (size_t i = 0; i < 3; i++) {
        snprintf(mode, sizeof mode, "ctl=%s", answers[i]);
        struct pl_port *port = start_mode(mode, (struct pl_port_options){0});
        ck_assert_int_eq(ask(port, "needs-reset 0", answer, 5000), 0);
        ck_assert_str_eq(answer, i < 2 ? answers[i] : "error no such device");
        ck_assert_int_eq(ask(port, "two\nlines", answer, 5000), -EINVAL);
        stop(port);
    }
    struct pl_port *port = start_mode("ctl=maybe", (struct pl_port_options){0});
    ck_assert_int_eq(ask(port, "needs-reset 0", answer, 5000), -EPROTO);
    ck_assert_ptr_nonnull(strstr(port->error, "answered with 'maybe', which is none of ok"));
    stop(port);
}
END_TEST

START_TEST(control_misbehaviour_is_bounded)
{
    char answer[200];
    struct pl_port *port = start_mode("echo", (struct pl_port_options){0});
    double start = now();
    ck_assert_int_eq(ask(port, "needs-reset 0", answer, 100), -ETIMEDOUT);
    ck_assert_double_lt(now() - start, 1);
    stop(port);
    port = start_mode("ctl=late", (struct pl_port_options){0});
    ck_assert_int_eq(ask(port, "needs-reset 0", answer, 50), -ETIMEDOUT);
    ck_assert_int_eq(ask(port, "needs-reset 0", answer, 5000), 0);
    ck_assert_str_eq(answer, "ok"); /* and not the late answer to the first */
    stop(port);
    port = start_mode("ctl-close", (struct pl_port_options){0});
    ck_assert_int_eq(ask(port, "needs-reset 0", answer, 5000), -ENOTSUP);
    ck_assert_str_eq(strrchr(port->error, ':'), ": the IUT closed its control socket");
    stop(port);
    port = start_mode("ctl-die", (struct pl_port_options){0});
    ck_assert_int_eq(ask(port, "needs-reset 0", answer, 5000), -EPIPE);
    ck_assert_int_eq(stop(port).code, 4);
    port = start_mode("ctl-babble", (struct pl_port_options){0});
    ck_assert_int_eq(ask(port, "needs-reset 0", answer, 5000), -EPROTO);
    stop(port);
}
END_TEST

START_TEST(control_keeps_messages)
{
    char answer[200];
    struct pl_port *port = start_mode("ctl-burst", (struct pl_port_options){0});
    ck_assert_int_eq(ask(port, "io 0 3000", answer, 5000), 0);
    for (unsigned i = 1; i <= 3000; i++) {
        int n = port->ops->receive(port, buf, sizeof buf, 0);
        ck_assert_int_gt(n, 0);
        ck_assert_uint_eq(token_of(buf, n), i);
    }
    stop(port);
}
END_TEST

START_TEST(control_commands)
{
    static const char *const commands[] = {"config-change",
                                           "echo \"{dev}/{offset}/{hex}\"; exit 7",
                                           "start",
                                           "test {dev} = 3 && test ${HOME}x != x",
                                           "stop",
                                           "sleep 10",
                                           "io",
                                           "kill -9 $$",
                                           NULL};
    char answer[200];
    int fds = open_fds();
    struct pl_port *port =
        start_mode("env", (struct pl_port_options){.control_commands = commands});
    int n = port->ops->receive(port, buf, sizeof buf, 5000);
    buf[n] = 0;
    ck_assert_ptr_nonnull(strstr((char *)buf, "|0|-1")); /* no socket beside the commands */
    ck_assert_int_eq(ask(port, "config-change 3 0x10 00ff", answer, 5000), 0);
    ck_assert_str_eq(answer,
                     "error the command for 'config-change' ended with exit status 7: 3/0x10/00ff");
    ck_assert_int_eq(ask(port, "start 3", answer, 5000), 0);
    ck_assert_str_eq(answer, "ok");
    ck_assert_int_eq(ask(port, "start 4", answer, 5000), 0);
    ck_assert_str_eq(answer, "error the command for 'start' ended with exit status 1");
    ck_assert_int_eq(ask(port, "detach 4", answer, 5000), 0);
    ck_assert_str_eq(answer, "unsupported");
    ck_assert_int_eq(ask(port, "io 0 1", answer, 5000), 0);
    ck_assert_str_eq(answer, "error the command for 'io' ended with signal 9");
    double start = now();
    ck_assert_int_eq(ask(port, "stop 4", answer, 100), -ETIMEDOUT);
    ck_assert_double_lt(now() - start, 2);
    static const char *const bad[] = {"start $(id)", "start a;b", "start", "start 1 2",
                                      "start 'x'"};
    for (size_t i = 0; i < 5; i++)
        ck_assert_int_eq(ask(port, bad[i], answer, 5000), -EINVAL);
    stop(port);
    ck_assert_int_eq(open_fds(), fds);
    assert_no_child();
}
END_TEST

START_TEST(control_commands_are_checked)
{
    char error[512];
    ck_assert_int_eq(pl_control_command_check("start", "x {dev} {", error, sizeof error), 0);
    ck_assert_int_eq(pl_control_command_check("start", "x {count}", error, sizeof error), -EINVAL);
    ck_assert_str_eq(error, "'{count}' is no word of 'start', whose words are {dev}");
    ck_assert_int_eq(pl_control_command_check("begin", "x", error, sizeof error), -EINVAL);
    ck_assert_ptr_nonnull(strstr(error, "'begin' is no control request; known are config-change,"));
    ck_assert_int_eq(pl_control_command_check("start", " ", error, sizeof error), -EINVAL);
}
END_TEST

/* --- connect and listen --- */

/* Serve `rounds` connections with echo in another process. */
static pid_t serve(int listener, int rounds)
{
    pid_t pid = fork();
    if (pid)
        return pid;
    for (int i = 0; i < rounds; i++) {
        struct pl_chan chan;
        int n;
        if (pl_chan_init(&chan, accept(listener, NULL, NULL)) < 0)
            _exit(1);
        while ((n = pl_chan_receive(&chan, spec(), buf, sizeof buf, 0, -1)) > 0)
            pl_chan_send(&chan, buf, (size_t)n, -1);
        pl_chan_close(&chan);
    }
    _exit(0);
}

static void round_trips(struct pl_port *port)
{
    for (uint16_t i = 0; i < 100; i++) {
        size_t size = message(buf, i);
        ck_assert_int_eq(port->ops->send(port, buf, size), 0);
        int n = port->ops->receive(port, buf, sizeof buf, 5000);
        ck_assert_int_eq(n, (int)size);
        ck_assert_uint_eq(token_of(buf, n), i);
    }
}

START_TEST(connect_ports)
{
    static const char *const kinds[] = {"unix", "unix-stream", "tcp"};
    int fds = open_fds();
    for (size_t i = 0; i < 3; i++) {
        char address[100], local[128], error[512];
        snprintf(address, sizeof address, i < 2 ? "%s:/tmp/pl-port-%d" : "%s:127.0.0.1:0", kinds[i],
                 (int)getpid());
        int listener = pl_address_listen(address, error, sizeof error);
        ck_assert_msg(listener >= 0, "%s", error);
        pl_address_local(listener, address, local, sizeof local);
        pid_t pid = serve(listener, 2);
        struct pl_port_options options = {.spec = spec(), .connect = local};
        struct pl_port *port = pl_port_open(&options, error, sizeof error);
        ck_assert_msg(port != NULL, "%s", error);
        ck_assert_str_eq(port->name, local);
        ck_assert(!port->restartable && !port->has_control && port->mem == NULL);
        for (int round = 0; round < 2; round++) {
            ck_assert_int_eq(port->ops->start(port, &bus), 0);
            round_trips(port);
        }
        close(listener);
        struct pl_end end = stop(port);
        ck_assert_int_eq(end.how, PL_END_RUNNING);
        waitpid(pid, NULL, 0);
        if (i < 2)
            unlink(strchr(address, ':') + 1);
    }
    ck_assert_int_eq(open_fds(), fds);
}
END_TEST

START_TEST(connect_refused)
{
    struct pl_port_options options = {.spec = spec(), .connect = "unix:/tmp/pl-port-nobody"};
    char error[512];
    struct pl_port *port = pl_port_open(&options, error, sizeof error);
    double start = now();
    ck_assert_int_eq(port->ops->start(port, &bus), -ENOENT);
    ck_assert_str_eq(port->error, "address 'unix:/tmp/pl-port-nobody': cannot connect: "
                                  "No such file or directory");
    ck_assert_double_lt(now() - start, 1);
    port->ops->close(port);
}
END_TEST

START_TEST(listen_ports)
{
    char address[64], error[512];
    snprintf(address, sizeof address, "unix-stream:/tmp/pl-port-l%d", (int)getpid());
    struct pl_port_options options = {.spec = spec(), .listen = address, .accept_timeout_ms = 100};
    struct pl_port *port = pl_port_open(&options, error, sizeof error);
    ck_assert_msg(port != NULL, "%s", error);
    ck_assert_int_eq(port->ops->start(port, &bus), -ETIMEDOUT);
    ck_assert_ptr_nonnull(strstr(port->error, "nobody connected within 100 ms"));
    pid_t pid = fork();
    if (pid == 0)
        _exit(echo(pl_address_connect(address, error, sizeof error)));
    ck_assert_int_eq(port->ops->start(port, &bus), 0);
    round_trips(port);
    /* More than the bus's maximum on a stream ends the connection. */
    size_t size = message(buf, 1);
    pl_poke_size(spec(), buf, 300);
    ck_assert_int_eq(port->ops->send(port, buf, size), 0);
    ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 5000), -EPROTO);
    ck_assert_ptr_nonnull(strstr(port->error, "msg_size 300, more than the maximum of 264"));
    stop(port);
    waitpid(pid, NULL, 0);
    ck_assert_int_ne(access(strchr(address, ':') + 1, F_OK), 0);
}
END_TEST

START_TEST(listen_on_tcp)
{
    char error[512];
    struct pl_port_options options = {.spec = spec(), .listen = "tcp:127.0.0.1:0"};
    struct pl_port *port = pl_port_open(&options, error, sizeof error);
    ck_assert_msg(port != NULL, "%s", error);
    ck_assert_int_eq(strncmp(port->name, "listen:tcp:127.0.0.1:", 21), 0);
    pid_t pid = fork();
    if (pid == 0)
        for (int i = 0; i < 2; i++) {
            int fd = pl_address_connect(port->name + 7, error, sizeof error);
            echo(fd);
            close(fd);
            if (i)
                _exit(0);
        }
    for (int i = 0; i < 2; i++) {
        ck_assert_int_eq(port->ops->start(port, &bus), 0);
        round_trips(port);
    }
    stop(port);
    waitpid(pid, NULL, 0);
}
END_TEST

START_TEST(inherited_descriptor)
{
    int ends[2];
    char address[32], error[512];
    ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
    snprintf(address, sizeof address, "fd:%d", ends[0]);
    struct pl_port_options options = {.spec = spec(), .connect = address};
    struct pl_port *port = pl_port_open(&options, error, sizeof error);
    ck_assert_int_eq(port->ops->start(port, &bus), 0);
    pid_t pid = fork();
    if (pid == 0) {
        close(ends[0]);
        _exit(echo(ends[1]));
    }
    close(ends[1]);
    round_trips(port);
    ck_assert_int_eq(port->ops->stop(port, NULL), 0);
    ck_assert_int_eq(port->ops->start(port, &bus), 0); /* the one connection goes on */
    round_trips(port);
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    ck_assert_int_eq(port->ops->start(port, &bus), -ENOTCONN);
    struct pl_end end = stop(port);
    ck_assert_int_eq(end.how, PL_END_CLOSED);
    ck_assert_int_eq(fcntl(ends[0], F_GETFD), -1);
}
END_TEST

/* --- in process --- */

struct toy {
    uint64_t due, now;
    int events;
    size_t size;
    uint8_t msg[64];
};

static void *toy_open(const void *config, const struct pl_endpoint_env *env)
{
    struct toy *toy = calloc(1, sizeof *toy);
    ck_assert_uint_eq(env->max_msg_size, 264);
    if (toy)
        toy->events = *(const int *)config;
    if (toy)
        toy->due = 100;
    return toy;
}

static int toy_deliver(void *self, const void *msg, size_t size)
{
    struct toy *toy = self;
    if (size > sizeof toy->msg)
        return -EPIPE;
    memcpy(toy->msg, msg, size);
    toy->size = size;
    return 0;
}

static int toy_poll(void *self, void *out, size_t cap)
{
    struct toy *toy = self;
    int size = (int)toy->size;
    ck_assert_uint_ge(cap, toy->size);
    memcpy(out, toy->msg, toy->size);
    toy->size = 0;
    return size;
}

static int toy_control(void *self, const char *line, char *answer, size_t cap)
{
    (void)self;
    snprintf(answer, cap, "error %s", line);
    return 0;
}

static uint64_t toy_next(void *self)
{
    struct toy *toy = self;
    return toy->events ? toy->due : UINT64_MAX;
}

static void toy_advance(void *self, uint64_t now_ms)
{
    struct toy *toy = self;
    toy->now = now_ms;
    if (toy->events > 0 && now_ms >= toy->due) {
        toy->events--;
        toy->due += 100;
        toy->size = message(toy->msg, (uint16_t)now_ms);
    }
}

static const struct pl_endpoint_ops toy_ops = {toy_open, toy_deliver, toy_poll,    toy_control,
                                               NULL,     toy_next,    toy_advance, free};

START_TEST(inprocess_virtual_time)
{
    int events = 2;
    struct pl_port *port = pl_port_inprocess(spec(), &toy_ops, &events, "toy", 4096);
    ck_assert(port->virtual_time && port->restartable && port->has_control);
    ck_assert_int_eq(port->ops->send(port, "x", 1), -EPIPE);
    for (int round = 0; round < 2; round++) {
        ck_assert_int_eq(port->ops->start(port, &bus), 0);
        ck_assert_uint_eq(((uint8_t *)port->mem)[0], 0);
        ((uint8_t *)port->mem)[0] = 1;
        size_t size = message(buf, 9);
        ck_assert_int_eq(port->ops->send(port, buf, size), 0);
        ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 1000), (int)size);
        ck_assert_uint_eq(port->now_ms, 0);
        ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 0), 0);
        ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 99), 0);
        ck_assert_uint_eq(port->now_ms, 99);
        int n = port->ops->receive(port, buf, sizeof buf, 1000000);
        ck_assert_uint_eq(token_of(buf, n), 100);
        n = port->ops->receive(port, buf, sizeof buf, 100);
        ck_assert_uint_eq(token_of(buf, n), 200);
        ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 5000), 0);
        ck_assert_uint_eq(port->now_ms, 5200);
        ck_assert_int_eq(port->ops->control(port, "io 0 1", (char *)buf, 64, 0), 0);
        ck_assert_str_eq((char *)buf, "error io 0 1");
        ck_assert_int_eq(port->ops->send(port, buf, 100), -EPIPE);
    }
    stop(port);
}
END_TEST

START_TEST(inprocess_endless_events_are_bounded)
{
    int events = -1; /* always due, never a message */
    struct pl_port *port = pl_port_inprocess(spec(), &toy_ops, &events, "toy", 0);
    ck_assert_ptr_null(port->mem);
    ck_assert_int_eq(port->ops->start(port, &bus), 0);
    ck_assert_int_eq(port->ops->receive(port, buf, sizeof buf, 1000), 0);
    stop(port);
}
END_TEST

/* --- speed --- */

START_TEST(pingpong_runs)
{
    static const char *const carriers[] = {"unix", "unix-stream", "tcp", "inprocess"};
    double ns;
    for (size_t i = 0; i < 4; i++) {
        ns = 0;
        ck_assert_int_eq(pl_pingpong(carriers[i], 52, 1000, &ns), 0);
        ck_assert_double_gt(ns, 0);
    }
    ck_assert_int_eq(pl_pingpong("pigeon", 52, 1000, &ns), -EINVAL);
    ck_assert_int_eq(pl_pingpong("unix", 0, 1000, &ns), -EINVAL);
    ck_assert_int_eq(pl_pingpong("unix", 8, 0, &ns), -EINVAL);
    assert_no_child();
}
END_TEST

/* Not a test: prints how the exec port compares with a bare ping-pong. */
static int speed(void)
{
    for (int k = 0; k < 5; k++) {
        double bare = 0;
        unsigned rounds = 100000;
        size_t size = message(buf, 1);
        pl_pingpong("unix", size, rounds, &bare);
        struct pl_port *port = open_mode("echo", (struct pl_port_options){0});
        port->ops->start(port, &bus);
        double start = now();
        for (unsigned i = 0; i < rounds; i++) {
            port->ops->send(port, buf, size);
            port->ops->receive(port, buf, sizeof buf, 1000);
        }
        double ours = (now() - start) * 1e9 / rounds;
        port->ops->close(port);
        printf("bare %.0f ns, port %.0f ns, ratio %.3f\n", bare, ours, bare / ours);
    }
    return 0;
}

static Suite *suite_port(void)
{
    Suite *suite = suite_create("port");
    TCase *c = tcase_create("carriers");
    tcase_set_timeout(c, 60);
    tcase_add_test(c, bus_params_parse_and_print);
    tcase_add_test(c, addresses_are_checked);
    tcase_add_test(c, addresses_listen_and_connect);
    tcase_add_test(c, connect_to_a_socket_that_is_bound);
    tcase_add_test(c, chan_packets);
    tcase_add_test(c, chan_packets_keep_order_before_reset);
    tcase_add_test(c, chan_stream_reassembles);
    tcase_add_test(c, chan_stream_refuses_bad_sizes);
    tcase_add_test(c, chan_send_is_bounded);
    tcase_add_test(c, chan_wants_a_socket);
    tcase_add_test(c, exec_echo);
    tcase_add_test(c, exec_environment);
    tcase_add_test(c, exec_endings);
    tcase_add_test(c, exec_unknown_command);
    tcase_add_test(c, exec_delivers_before_the_end);
    tcase_add_test(c, exec_bad_packets);
    tcase_add_test(c, exec_noise_never_blocks);
    tcase_add_test(c, exec_flood_is_bounded);
    tcase_add_test(c, exec_no_deadlock);
    tcase_add_test(c, exec_ends_forked_children);
    tcase_add_test(c, exec_dies_with_the_harness);
    tcase_add_test(c, exec_restarts_quickly);
    tcase_add_test(c, exec_bus_has_two_sides);
    tcase_add_test(c, options_are_checked);
    tcase_add_test(c, control_answers);
    tcase_add_test(c, control_misbehaviour_is_bounded);
    tcase_add_test(c, control_keeps_messages);
    tcase_add_test(c, control_commands);
    tcase_add_test(c, control_commands_are_checked);
    tcase_add_test(c, connect_ports);
    tcase_add_test(c, connect_refused);
    tcase_add_test(c, listen_ports);
    tcase_add_test(c, listen_on_tcp);
    tcase_add_test(c, inherited_descriptor);
    tcase_add_test(c, inprocess_virtual_time);
    tcase_add_test(c, inprocess_endless_events_are_bounded);
    tcase_add_test(c, pingpong_runs);
    suite_add_tcase(suite, c);
    return suite;
}

int main(int argc, char **argv)
{
    ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
    program[n > 0 ? n : 0] = '\0';
    if (argc == 3 && strcmp(argv[1], "iut") == 0)
        return iut(argv[2]);
    if (argc == 2 && strcmp(argv[1], "speed") == 0)
        return speed();
    SRunner *runner = srunner_create(suite_port());
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
