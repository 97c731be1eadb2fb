/* The device of docs/examples/entropy.c, fuzzed in-process: its carrier is a queue of messages. */
#define main not_run_here
#include "entropy.c"
#undef main
#include <plumbline.h>

struct linked {
    struct device device; /* first, and its carrier is the first of it */
    struct {
        size_t size;
        uint8_t bytes[1024];
    } out[16];
    unsigned first, n;
};

void carrier_send(struct carrier *c, const void *message, size_t size)
{
    struct linked *l = (struct linked *)c;
    unsigned i = (l->first + l->n) % 16;
    if (l->n == 16 || size > sizeof(l->out[i].bytes))
        return;
    memcpy(l->out[i].bytes, message, size);
    l->out[i].size = size;
    l->n++;
}

static void *entropy_open(const void *config, const struct pl_endpoint_env *env)
{
    struct linked *l = calloc(1, sizeof(*l));
    (void)config;
    l->device.carrier = (struct carrier){.mem = env->mem,
                                         .mem_base = env->mem_base,
                                         .mem_size = env->mem_size,
                                         .max_msg_size = env->max_msg_size};
    return l;
}

static int entropy_deliver(void *self, const void *msg, size_t size)
{
    static struct message m;
    memcpy(&m, msg, size < sizeof(m) ? size : sizeof(m));
    message(&((struct linked *)self)->device, &m, size);
    return 0;
}

static int entropy_poll(void *self, void *buf, size_t cap)
{
    struct linked *l = self;
    size_t i = l->first, size = l->n ? l->out[i].size : 0;
    if (size == 0 || size > cap)
        return 0;
    memcpy(buf, l->out[i].bytes, size);
    l->first = (l->first + 1) % 16;
    l->n--;
    return (int)size;
}

static const struct pl_endpoint_ops entropy = {
    .open = entropy_open, .deliver = entropy_deliver, .poll = entropy_poll, .close = free};
static const struct pl_target target = {.role = "device", .endpoint = &entropy};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    return pl_fuzz_one(&target, data, size);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t most, unsigned seed)
{
    return pl_fuzz_mutate(&target, data, size, most, seed);
}

/* What only the device's own main needs. */
void carrier_open(struct carrier *c, const char *how, const char *address, const char *memory)
{
}
bool carrier_wait(struct carrier *c)
{
    return false;
}
int carrier_receive(struct carrier *c, void *message)
{
    return -1;
}
