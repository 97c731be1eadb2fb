/* Drives a block device through virtio-msg and a ring in shared memory: write, read back, restore.
 */
#include "engine/block_proof.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_blk.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "engine/port_memory.h"
#include "wire/random.h"

enum {
    SECTOR = 512,      /* what virtio-blk counts in, whatever the block size */
    BLOCK_SECTORS = 8, /* a block that suits devices with 4096-byte blocks too */
    RING_SIZE = 16,    /* at most; a request takes three descriptors */
    RING_SIZE_MIN = 4,
    BLOCK_AREA = 4096,  /* where in the memory the request's buffers start: behind the ring */
    LIMIT_MS = 5000,    /* for hangs */
    LOOK_MS = 20,       /* how often the ring is looked at where no event comes */
    ANNOUNCE_MS = 200,  /* how long an EVENT_USED may trail its used buffer to be counted */
    RESET_LOOKS = 1000, /* how often status is read while a reset lasts */
    MESSAGE_CAP = 512,
    FEATURE_BYTES = 8,
};
static const uint64_t PATTERN_SEED = PL_RANDOM_STEP;

/* A request's buffers as they lie in the memory. */
struct request_area {
    struct virtio_blk_outhdr header;
    uint8_t data[BLOCK_SECTORS * SECTOR];
    uint8_t status;
};

struct proof {
    struct pl_port *port;
    char *text;
    size_t cap;
    uint16_t token;
    struct pl_driver_ring *ring;
    struct request_area *area;
    uint64_t area_addr;
    uint64_t capacity, sector; /* the device's size, and the first sector of our block */
    uint32_t block_size;       /* bytes */
    unsigned requests, announced;
    uint8_t received[PL_MSG_MAX + 1];
};

static int say(struct proof *p, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

static int say(struct proof *p, int code, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    vsnprintf(p->text, p->cap, format, args);
    va_end(args);
    return code;
}

static int64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int send_message(struct proof *p, const struct pl_msg *m)
{
    uint8_t bytes[MESSAGE_CAP];
    ssize_t size = pl_encode(p->port->spec, m, bytes, sizeof(bytes));

    if (size < 0)
        return say(p, (int)size, "the draft cannot express a message that the proof needs");
    int code = p->port->ops->send(p->port, bytes, (size_t)size);
    return code < 0 ? say(p, code, "sending failed: %s", p->port->error) : 0;
}

/* Receive one message: 1, 0 where none came, or an error. Counts the announcements of our queue. */
static int receive_message(struct proof *p, struct pl_msg *m, int timeout_ms)
{
    int size = p->port->ops->receive(p->port, p->received, sizeof(p->received), timeout_ms);

    if (size < 0)
        return say(p, size, "receiving failed: %s", p->port->error);
    if (size == 0)
        return 0;
    pl_decode(p->port->spec, p->received, (size_t)size, m);
    if (m->form == PL_FORM_OK && m->kind == PL_EVENT_USED && m->f[PL_F_vq_index] == 0)
        p->announced++;
    return 1;
}

/* Send a request and wait for its response; `m` then holds it, in p->received. */
static int exchange(struct proof *p, struct pl_msg *m)
{
    enum pl_kind kind = m->kind;
    const struct pl_message_def *def = pl_spec_message(p->port->spec, kind);
    const char *name = def ? def->name : "a request";
    int64_t deadline = now_ms() + LIMIT_MS;

    m->def = def;
    m->token = ++p->token;
    int code = send_message(p, m);
    if (code < 0)
        return code;
    for (int64_t left = LIMIT_MS; left > 0; left = deadline - now_ms()) {
        code = receive_message(p, m, (int)left);
        if (code < 0)
            return code;
        if (code == 0)
            break;
        if (m->form == PL_FORM_OK && m->response && m->kind == kind && m->token == p->token)
            return 0;
        if (!m->event)
            return say(p, -EPROTO, "something else came instead of the response to %s", name);
    }
    return say(p, -ETIMEDOUT, "no response to %s came within %d ms", name, LIMIT_MS);
}

static int write_status(struct proof *p, uint32_t status, uint32_t *result)
{
    struct pl_msg m = {.kind = PL_SET_DEVICE_STATUS};

    m.f[PL_F_status] = status;
    int code = exchange(p, &m);
    *result = (uint32_t)m.f[PL_F_status];
    return code;
}

static int reset(struct proof *p)
{
    uint32_t status = 0;
    int code = write_status(p, 0, &status);

    for (int i = 0; code >= 0 && status != 0 && i < RESET_LOOKS; i++) {
        struct pl_msg m = {.kind = PL_GET_DEVICE_STATUS};
        code = exchange(p, &m);
        status = (uint32_t)m.f[PL_F_status];
    }
    if (code >= 0 && status != 0)
        return say(p, -EIO, "the device's reset did not end: its status is still 0x%x", status);
    return code;
}

/* Write a status bit and see that it holds. */
static int reach_status(struct proof *p, uint32_t status, const char *name)
{
    uint32_t result = 0;
    int code = write_status(p, status, &result);

    if (code >= 0 && (result & status) != status)
        return say(p, -EIO, "the device does not reach %s: its status is 0x%x, not 0x%x", name,
                   result, status);
    return code;
}

static int check_device(struct proof *p)
{
    struct pl_msg m = {.kind = PL_GET_DEVICE_INFO};
    int code = exchange(p, &m);

    if (code < 0)
        return code;
    if (m.f[PL_F_device_id] != PL_C_TYPE_block || m.f[PL_F_max_virtqueues] == 0)
        return say(p, -ENOTSUP, "the device is no block device with a queue");
    struct pl_msg config = {.kind = PL_GET_CONFIG};
    config.f[PL_F_offset] = offsetof(struct virtio_blk_config, capacity);
    config.f[PL_F_length] = sizeof(p->capacity);
    code = exchange(p, &config);
    if (code < 0)
        return code;
    if (config.data_len != sizeof(p->capacity))
        return say(p, -EIO, "the device does not tell its capacity");
    memcpy(&p->capacity, config.data, sizeof(p->capacity));
    p->capacity = le64toh(p->capacity);
    if (p->capacity == 0)
        return say(p, -ENOTSUP, "the block device has no sector");
    return 0;
}

/* The last whole block: a failure half way spoils less there than at the first. */
static void choose_block(struct proof *p)
{
    if (p->capacity < BLOCK_SECTORS) {
        p->sector = p->capacity - 1;
        p->block_size = SECTOR;
        return;
    }
    p->sector = (p->capacity / BLOCK_SECTORS - 1) * BLOCK_SECTORS;
    p->block_size = sizeof(p->area->data);
}

static int negotiate(struct proof *p)
{
    struct pl_msg get = {.kind = PL_GET_DEVICE_FEATURES}, set = {.kind = PL_SET_DRIVER_FEATURES};
    const uint64_t count = FEATURE_BYTES / sizeof(uint32_t);
    uint64_t features = 0;

    get.f[PL_F_num_blocks] = count;
    int code = exchange(p, &get);
    if (code < 0)
        return code;
    if (get.data_len != sizeof(features))
        return say(p, -EIO, "the device does not tell its features");
    memcpy(&features, get.data, sizeof(features));
    features = le64toh(features);
    if (features >> VIRTIO_BLK_F_RO & 1)
        return say(p, -ENOTSUP, "the block device is read-only");
    if (!(features >> PL_C_F_VERSION_1 & 1))
        return say(p, -ENOTSUP, "the device does not offer VERSION_1");
    features = htole64(UINT64_C(1) << PL_C_F_VERSION_1);
    set.f[PL_F_num_blocks] = count;
    set.data = (const uint8_t *)&features;
    set.data_len = sizeof(features);
    return exchange(p, &set);
}

static int look_at_queue(struct proof *p, struct pl_msg *m)
{
    *m = (struct pl_msg){.kind = PL_GET_VQUEUE};
    return exchange(p, m);
}

static int set_up_queue(struct proof *p)
{
    struct pl_ring_memory memory = pl_port_memory(p->port);
    struct pl_msg m, set = {.kind = PL_SET_VQUEUE};
    struct pl_ring_setup setup = {.size = RING_SIZE};
    int code = look_at_queue(p, &m);

    while (code >= 0 && setup.size > m.f[PL_F_max_size])
        setup.size /= 2;
    if (code >= 0 && setup.size < RING_SIZE_MIN)
        return say(p, -ENOTSUP, "queue 0 takes fewer than %d entries", RING_SIZE_MIN);
    if (code >= 0)
        code = pl_ring_place(&setup, memory.base);
    if (code >= 0)
        p->ring = pl_driver_ring_new(&memory, &setup, &code);
    if (code < 0)
        return code;
    set.f[PL_F_flags] = PL_C_SVQ_ENABLE;
    set.f[PL_F_size] = setup.size;
    set.f[PL_F_desc_addr] = setup.desc_addr;
    set.f[PL_F_driver_addr] = setup.driver_addr;
    set.f[PL_F_device_addr] = setup.device_addr;
    code = exchange(p, &set);
    if (code >= 0)
        code = look_at_queue(p, &m);
    if (code >= 0 && !(m.f[PL_F_flags] & PL_C_GVQ_ENABLED))
        return say(p, -EIO, "the device does not enable queue 0 with %u entries", setup.size);
    return code;
}

static int initialize(struct proof *p)
{
    uint32_t status = PL_C_STATUS_ACKNOWLEDGE;
    int code = check_device(p);

    if (code >= 0)
        code = reset(p);
    if (code >= 0)
        code = reach_status(p, status, "ACKNOWLEDGE");
    status |= PL_C_STATUS_DRIVER;
    if (code >= 0)
        code = reach_status(p, status, "DRIVER");
    if (code >= 0)
        code = negotiate(p);
    status |= PL_C_STATUS_FEATURES_OK;
    if (code >= 0)
        code = reach_status(p, status, "FEATURES_OK");
    if (code >= 0)
        code = set_up_queue(p);
    status |= PL_C_STATUS_DRIVER_OK;
    if (code >= 0)
        code = reach_status(p, status, "DRIVER_OK");
    choose_block(p);
    return code;
}

/* Wait until the device has used the chain `head`; events are read meanwhile. */
static int wait_used(struct proof *p, int head)
{
    int64_t deadline = now_ms() + LIMIT_MS;
    enum pl_ring_fault fault;
    struct pl_ring_used used;

    for (;;) {
        int code = pl_driver_ring_poll(p->ring, &used, &fault);
        if (code < 0)
            return say(p, code, "the used ring of queue 0 holds what no device may write: %s",
                       pl_ring_fault_text(fault));
        if (code > 0 && used.id != head)
            return say(p, -EPROTO, "the device used chain %u, not %d", used.id, head);
        if (code > 0)
            return 0;
        struct pl_msg m;
        code = receive_message(p, &m, LOOK_MS);
        if (code < 0)
            return code;
        if (now_ms() >= deadline)
            return say(p, -ETIMEDOUT, "the device did not finish a request within %d ms", LIMIT_MS);
    }
}

/* The ring tells of a used buffer before the event does: give the event time to be counted. */
static int wait_announced(struct proof *p, unsigned before)
{
    int64_t deadline = now_ms() + ANNOUNCE_MS;

    for (int64_t left = ANNOUNCE_MS; p->announced == before && left > 0;
         left = deadline - now_ms()) {
        struct pl_msg m;
        int code = receive_message(p, &m, (int)left);
        if (code < 0)
            return code;
        if (code == 0)
            break;
    }
    return 0;
}

static int kick(struct proof *p)
{
    struct pl_msg m = {.kind = PL_EVENT_AVAIL, .event = true};

    if (!pl_driver_ring_kick_due(p->ring))
        return 0;
    m.def = pl_spec_message(p->port->spec, PL_EVENT_AVAIL);
    return send_message(p, &m);
}

/* One virtio-blk request over our block; its data lies in p->area->data. */
static int transfer(struct proof *p, uint32_t type)
{
    const struct virtio_blk_outhdr header = {.type = htole32(type), .sector = htole64(p->sector)};
    const bool read = type == VIRTIO_BLK_T_IN;
    const struct pl_ring_buffer chain[] = {
        {p->area_addr + offsetof(struct request_area, header), sizeof(header), false},
        {p->area_addr + offsetof(struct request_area, data), p->block_size, read},
        {p->area_addr + offsetof(struct request_area, status), sizeof(p->area->status), true},
    };

    p->area->header = header;
    p->area->status = UINT8_MAX;
    if (read)
        memset(p->area->data, 0, p->block_size);
    int head = pl_driver_ring_add(p->ring, chain, sizeof(chain) / sizeof(chain[0]), 0);
    if (head < 0)
        return say(p, head, "queue 0 has no room for a request");
    pl_driver_ring_publish(p->ring);
    unsigned announced = p->announced;
    int code = kick(p);
    if (code >= 0)
        code = wait_used(p, head);
    if (code >= 0)
        code = wait_announced(p, announced);
    if (code < 0)
        return code;
    p->requests++;
    uint8_t status = __atomic_load_n(&p->area->status, __ATOMIC_RELAXED);
    if (status != VIRTIO_BLK_S_OK)
        return say(p, -EIO, "the device answered a %s of sector %llu with status %u",
                   read ? "read" : "write", (unsigned long long)p->sector, status);
    return 0;
}

static int write_block(struct proof *p, const uint8_t *data)
{
    memcpy(p->area->data, data, p->block_size);
    return transfer(p, VIRTIO_BLK_T_OUT);
}

/* Read the block and hold it against what should stand there. */
static int verify_block(struct proof *p, const uint8_t *data, const char *what)
{
    int code = transfer(p, VIRTIO_BLK_T_IN);

    if (code >= 0 && memcmp(p->area->data, data, p->block_size) != 0)
        return say(p, -EIO, "the block at sector %llu does not read as %s",
                   (unsigned long long)p->sector, what);
    return code;
}

/* A pattern that is the same in every run, and never what stands in the block already. */
static void make_pattern(uint8_t *pattern, const uint8_t *original, size_t size)
{
    uint64_t state = PATTERN_SEED;

    for (size_t i = 0; i < size; i++)
        pattern[i] = (uint8_t)(pl_random(&state) >> 32);
    if (memcmp(pattern, original, size) == 0)
        pattern[0] ^= UINT8_MAX;
}

static int write_and_restore(struct proof *p)
{
    uint8_t original[BLOCK_SECTORS * SECTOR], pattern[BLOCK_SECTORS * SECTOR];
    char first_error[256];
    int code = transfer(p, VIRTIO_BLK_T_IN);

    if (code < 0)
        return code;
    memcpy(original, p->area->data, p->block_size);
    make_pattern(pattern, original, p->block_size);
    code = write_block(p, pattern);
    if (code >= 0)
        code = verify_block(p, pattern, "it was written");
    snprintf(first_error, sizeof(first_error), "%s", code < 0 ? p->text : "");
    int restored = write_block(p, original);
    if (restored >= 0)
        restored = verify_block(p, original, "it was restored");
    if (code < 0)
        return say(p, code, "%s (the old content was %srestored)", first_error,
                   restored < 0 ? "not " : "");
    return restored;
}

/* Undo the initialization without losing the sentence that says what happened before. */
static int finish(struct proof *p, int code)
{
    char sentence[256];

    snprintf(sentence, sizeof(sentence), "%s", p->text);
    int last = code == -EPIPE ? code : reset(p);
    pl_driver_ring_free(p->ring);
    if (code < 0)
        return say(p, code, "%s", sentence);
    if (last < 0)
        return last;
    return say(p, 0,
               "wrote a pattern to %u bytes at sector %llu of %llu, read it back unchanged and "
               "restored the old content: %u requests on queue 0, %u EVENT_USED",
               p->block_size, (unsigned long long)p->sector, (unsigned long long)p->capacity,
               p->requests, p->announced);
}

int pl_gateway_block_proof(struct pl_port *port, char *text, size_t cap)
{
    struct proof p = {.port = port, .text = text, .cap = cap};

    if (!port->mem || port->mem_size < BLOCK_AREA + sizeof(struct request_area))
        return say(&p, -ENOTSUP, "%s has no shared memory for a ring and a block", port->name);
    p.area = (struct request_area *)((uint8_t *)port->mem + BLOCK_AREA);
    p.area_addr = port->mem_base + BLOCK_AREA;
    int code = initialize(&p);
    if (code >= 0)
        code = write_and_restore(&p);
    return finish(&p, code);
}
