/* The one face of all carriers: how messages reach an implementation under test (IUT) and come
 * back. */
#ifndef PL_PORT_H
#define PL_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "wire/endpoint.h"
#include "wire/wire.h"

/* The parameters that a bus instance advertises: PLUMBLINE_BUS, GET_PARAMETERS. */
struct pl_bus_params {
    uint32_t revision;
    uint32_t max_msg_size; /* bytes, header included */
    uint32_t features;     /* transport feature bits, as a mask */
};

/*
 * How an IUT ended, as far as the port can tell. RUNNING: it went on after end of file and was
 * ended by a signal of the port's, or it is not the port's to end. CLOSED: it closed the
 * connection, and nothing more is known or it went on running.
 */
enum pl_end_how { PL_END_RUNNING, PL_END_EXITED, PL_END_SIGNALLED, PL_END_CLOSED };
struct pl_end {
    enum pl_end_how how;
    int code;       /* exit status or signal number; RUNNING: the signal it took to end it */
    bool by_itself; /* the connection had ended before stop asked for it */
    char stderr_tail[2048]; /* last of what the IUT wrote there, NUL-terminated */
};

struct pl_port;
#define PL_MEANWHILE_STOP (-2)

/*
 * The operations of a carrier. All return 0 or more on success and a negative errno otherwise;
 * port->error then holds one sentence that names what, where and why.
 */
struct pl_port_ops {
    /* (Re)start or (re)connect the IUT with these parameters. Called before each test group. */
    int (*start)(struct pl_port *port, const struct pl_bus_params *bus);
    /* Send one message whole. -EPIPE where the IUT is gone, -ETIMEDOUT where it takes nothing. */
    int (*send)(struct pl_port *port, const void *msg, size_t size);
    /*
     * Receive one message whole into buf (cap is at least PL_MSG_MAX + 1). Waits timeout_ms at most
     * (0: only what is there). Returns its size, 0 where none came in time, -EPIPE where the
     * connection ended, -EPROTO where framing is broken. A zero-length packet is -EPROTO.
     */
    int (*receive)(struct pl_port *port, void *buf, size_t cap, int timeout_ms);
    /*
     * Send one control line and read one answer line (without newline) into answer, within
     * timeout_ms. -ENOTSUP where the port has no control, -ETIMEDOUT, -EPIPE.
     */
    int (*control)(struct pl_port *port, const char *line, char *answer, size_t cap,
                   int timeout_ms);
    /* End the IUT or the connection and say how it ended. Idempotent. */
    int (*stop)(struct pl_port *port, struct pl_end *end);
    /* Free everything, the port itself included. No descriptor and no child is left. */
    void (*close)(struct pl_port *port);
};

/* What is kept of a message that cannot be told from the next: no header is larger, in bytes. */
enum { PL_UNFRAMED_MAX = 16 };

struct pl_port {
    const struct pl_port_ops *ops;
    const struct pl_spec *spec;
    char name[256];    /* what the user gave: "unix:/tmp/x", "exec:./acme-blk", ... */
    char error[512];   /* the last error, one sentence */
    bool restartable;  /* start may be called again with other parameters */
    bool virtual_time; /* receive never waits: nothing there means nothing comes */
    bool has_control;
    bool stream; /* msg_size is the framing and cannot lie: byte streams, shared memory */
    /*
     * Where `stream`, told with a receive that brings nothing: the header whose msg_size lost the
     * framing, or of a message that has not come to its end. 0 bytes: neither.
     */
    uint8_t unframed[PL_UNFRAMED_MAX];
    size_t n_unframed;
    /* The largest message that the carrier has room for, in bytes; 0: no less than any draft's. */
    uint32_t carrier_max;
    /* Clause ids that this port can show; NULL: all. Else a NULL-ended list (gateways). */
    const char *const *observable; /* patterns, as fnmatch takes them */
    /* Shared memory, where there is any: mapping, bus address of its first byte, size. */
    void *mem;
    uint64_t mem_base;
    size_t mem_size;
    const struct pl_memory_parts *mem_parts; /* what of it is there now; NULL: all */
    /*
     * The driver wrote into that memory what no driver may, and has not reset the device since. A
     * gateway then takes a closed connection for an error that only a reset ends, connects anew
     * where the far end still accepts it, and counts that.
     */
    bool outlawed;
    unsigned reconnected;
    /*
     * A scripted life: the IUT is started once, lives as it was told to elsewhere, and is done when
     * it closes the connection. Nothing provokes it.
     */
    bool one_life;
    /*
     * What whoever runs that script wants of the device at the far end, one control line (bindings,
     * section 5) at a time: 1 with it, 0 where there is none, or a negative errno. NULL: nothing.
     */
    int (*aside)(struct pl_port *port, char *line, size_t cap);
    /* Does the IUT look at that memory? NULL: it is taken for granted. */
    bool (*memory_seen)(struct pl_port *port);
    /* What a byte stream takes at most, in bytes: start sets it to the bus's maximum message size.
     */
    uint32_t max_msg_size;
    uint64_t now_ms; /* the virtual clock, where virtual_time */
    /*
     * Called while control waits for its answer, where messages have come or the time is up that
     * it asked for; it takes messages with receive and may send. Returns the milliseconds until it
     * wants to be called again, -1: with the next message; PL_MEANWHILE_STOP: the answer is not
     * waited for any longer. NULL: all wait until control is answered.
     */
    int (*meanwhile)(void *opaque);
    void *meanwhile_opaque;
    /*
     * A bus under test: the port of its device side, which lives and ends with this one and knows
     * send and receive only. NULL otherwise.
     */
    struct pl_port *device_side;
    /* Wait until either side has something to receive, timeout_ms at most; with a device side only.
     */
    void (*wait_sides)(struct pl_port *port, int timeout_ms);
};

/* The shared memory that a port makes where nothing else is asked for. */
#define PL_PORT_MEM_SIZE ((size_t)16 << 20)
#define PL_PORT_MEM_BASE UINT64_C(0x100000000)

/* Can the port show whether the clause of this id holds? */
bool pl_port_shows(const struct pl_port *port, const char *clause);

/* What a started IUT is given to talk through. */
enum pl_carrier {
    PL_CARRIER_SEQPACKET,
    PL_CARRIER_STREAM,
    PL_CARRIER_SPSC,
    PL_CARRIER_VHOST_USER, /* the path of a socket, where a gateway is */
};
/* "seqpacket", "stream", "spsc", "vhost-user"; NULL-ended, in the order of the numbers. */
extern const char *const pl_carrier_names[];
/*
 * "seqpacket", or "vhost-user,KEY=VALUE,...": the carrier, and what stands behind the comma (NULL:
 * nothing; part of `text`). False, with a sentence, where there is none of that name, or it takes
 * no options.
 */
bool pl_carrier_find(const char *text, enum pl_carrier *out, const char **options, char *error,
                     size_t cap);

/* Options of pl_port_open; zero is a default everywhere. */
struct pl_port_options {
    const struct pl_spec *spec; /* required */
    const char *connect;        /* one of connect, listen, exec: */
    const char *listen;
    const char *exec; /* a shell command */
    const char *const
        *control_commands;       /* NULL-ended name, command, name, command... ({dev} etc.) */
    bool no_control;             /* do not offer a control socket */
    bool clock;                  /* of exec: the IUT's clock is the harness's, over a socket */
    bool device_side;            /* a bus is under test: it has a device side, too */
    bool driver;                 /* a driver is under test: the harness is at the device's end */
    const char *device_address;  /* of that, where it is reached by connect or listen */
    enum pl_carrier carrier;     /* of exec */
    const char *carrier_options; /* of PL_CARRIER_VHOST_USER; NULL: none */
    const char *mem_path;  /* a file that both ends map; NULL: a memfd for exec, else no memory */
    size_t mem_size;       /* bytes; 0: the file's own size, or 16 MiB */
    uint64_t mem_base;     /* 0: 0x100000000 */
    int accept_timeout_ms; /* how long start waits for the connection; 0: 5000 */
    int send_timeout_ms;   /* how long send waits for an IUT that takes nothing; 0: 2000 */
};

/*
 * Open the carrier that the options name: connect/listen with unix:, unix-stream:, tcp:, fd:, spsc:
 * and vhost-user:, or exec. The IUT is reached by start, not here. Returns NULL and
 * writes one sentence into error on bad options.
 */
struct pl_port *pl_port_open(const struct pl_port_options *options, char *error, size_t cap);

/* What an endpoint is opened with that shares the port's memory, on a bus like this. */
struct pl_endpoint_env pl_port_env(const struct pl_port *port, const struct pl_bus_params *bus);

/*
 * The in-process port: an endpoint linked in, no carrier at all. `config` outlives the port.
 * Virtual time: a receive with a timeout advances the clock to the endpoint's next event within it.
 */
struct pl_port *pl_port_inprocess(const struct pl_spec *spec, const struct pl_endpoint_ops *ops,
                                  const void *config, const char *name, size_t mem_size);

/* The same for a bus, with its device side in port->device_side; both have one virtual clock. */
struct pl_port *pl_port_inprocess_bus(const struct pl_spec *spec,
                                      const struct pl_bus_endpoint_ops *ops, const void *config,
                                      const char *name);

/* Whether an end looks for a message before it sleeps for it: learned from how long both take. */
struct pl_spin {
    bool several, useful; /* several processors are usable; looking can be worth it at all */
    bool looks, probes;   /* the way in use; only to find out how good it is */
    unsigned left;        /* waits that keep to it */
    unsigned turns;       /* looks of the wait in hand */
    int64_t cost_ns[2];   /* how long messages took lately, sleeping and looking */
    int64_t began_ns;     /* when the wait in hand began; 0: none */
};

/*
 * Byte-stream and packet sockets, and shared memory, as both ends use them; the reference peers
 * serve through these.
 */
struct pl_chan {
    int fd; /* readable whenever a message may be there; of shared memory: wakeup socket or timer */
    struct pl_spsc *spsc; /* shared memory in place of what a socket carries, owned; NULL: none */
    struct pl_spin spin;
    bool stream;
    uint8_t *buf; /* stream reassembly, owned; start to fill is not taken yet */
    size_t start, fill, size;
    bool creds;                    /* packets come with credentials, end of file without */
    bool ended;                    /* end of file or a reset was seen */
    bool broken;                   /* a stream whose framing is lost */
    uint8_t lost[PL_UNFRAMED_MAX]; /* the header that it was lost with */
    size_t n_lost;
    char error[192]; /* the last error, one sentence */
};
/* Finds out the socket's type; owns fd from now, also where it fails. 0 or a negative errno. */
int pl_chan_init(struct pl_chan *chan, int fd);
void pl_chan_close(struct pl_chan *chan);
/*
 * As the port's send and receive, with the sentence in chan->error; a negative timeout_ms is none.
 * max_size bounds msg_size on a stream (-EPROTO beyond it, which ends the connection); 0:
 * PL_MSG_MAX.
 */
int pl_chan_send(struct pl_chan *chan, const void *msg, size_t size, int timeout_ms);
int pl_chan_receive(struct pl_chan *chan, const struct pl_spec *spec, void *buf, size_t cap,
                    size_t max_size, int timeout_ms);
/* The same without a time limit: what is there, or comes while sleeping would cost more than
 * looking. */
int pl_chan_look(struct pl_chan *chan, const struct pl_spec *spec, void *buf, size_t cap,
                 size_t max_size);
/*
 * Parse ADDRESS and connect (5 s at most), or listen and return the listening descriptor; negative
 * errno with a sentence in error. A socket file that nobody listens on any more is replaced.
 */
int pl_address_connect(const char *address, char *error, size_t cap);
int pl_address_listen(const char *address, char *error, size_t cap);
/* Whether it is an address of shared memory, and the largest message there, in bytes. */
bool pl_is_spsc(const char *address);
extern const uint32_t pl_spsc_message_max;
/* Only parse: 0, or -EINVAL with a sentence. `listening`: fd:N is no address then. */
int pl_address_check(const char *address, bool listening, char *error, size_t cap);
/*
 * The address that a descriptor of pl_address_listen is reached under, into out: `address` itself,
 * or with the port that was found for tcp:HOST:0.
 */
void pl_address_local(int fd, const char *address, char *out, size_t cap);
/* Parse and print PLUMBLINE_BUS: "revision=1 max_msg_size=264 features=0x0". -EINVAL. */
int pl_bus_params_parse(const char *text, struct pl_bus_params *out);
void pl_bus_params_format(const struct pl_bus_params *bus, char *out, size_t cap);

#endif
