/* The front-end's memory and its rings: mapped, translated, checked, kicked. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "plumbline.h"
#include "port/memory.h"
#include "port/vhost_user_back.h"

/* --- memory --- */

/* One region: whole pages below the window's end, and backed by a file that is large enough. */
static int check_region(struct pl_back *b, const struct pl_vu_region *r, int fd)
{
    uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), limit = b->port.mem_size;
    struct stat st;

    if (r->size == 0 || (r->guest_address | r->size | r->mmap_offset) % page)
        return pl_back_fault(b,
                             "shares %#" PRIx64 " bytes of memory at %#" PRIx64 " (offset %#" PRIx64
                             "): no whole pages",
                             r->size, r->guest_address, r->mmap_offset);
    if (r->guest_address > limit || r->size > limit - r->guest_address)
        return pl_back_fault(b,
                             "shares memory at %#" PRIx64 " to %#" PRIx64 ", beyond %#" PRIx64
                             ": give the guest less",
                             r->guest_address, r->guest_address + r->size, limit);
    if (r->user_address > UINT64_MAX - r->size)
        return pl_back_fault(b, "shares memory whose addresses of its own run over");
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || (uint64_t)st.st_size < r->mmap_offset ||
        (uint64_t)st.st_size - r->mmap_offset < r->size)
        return pl_back_fault(b,
                             "shares memory at %#" PRIx64
                             " with a descriptor that has not %#" PRIx64 " bytes of a file",
                             r->guest_address, r->size);
    return 0;
}

static int place_region(struct pl_back *b, const struct pl_vu_region *r, int fd)
{
    uint8_t *at = (uint8_t *)b->port.mem + r->guest_address;
    int code = pl_guard_place(at, r->size, fd, r->mmap_offset);

    if (code == 0)
        return 0;
    return pl_back_fault(b, "shares memory at %#" PRIx64 " that cannot be mapped: %s",
                         r->guest_address, strerror(-code));
}

int pl_back_share(struct pl_back *b)
{
    struct pl_back_request *q = &b->request;
    const struct pl_vu_memory_map *map = &q->p.memory;

    if (q->n_fds != map->num_regions)
        return pl_back_fault(b, "sent SET_MEM_TABLE with %u regions and %u descriptors",
                             map->num_regions, q->n_fds);
    for (uint32_t i = 0; i < map->num_regions; i++) {
        int code = check_region(b, &map->regions[i], q->fds[i]);
        if (code < 0)
            return code;
    }
    for (uint32_t i = 0; i < b->map.num_regions; i++) /* what was there before goes first */
        pl_guard_clear((uint8_t *)b->port.mem + b->map.regions[i].guest_address,
                       b->map.regions[i].size);
    b->map = *map;
    b->parts.n = 0;
    for (uint32_t i = 0; i < map->num_regions; i++) {
        const struct pl_vu_region *r = &map->regions[i];
        int code = place_region(b, r, q->fds[i]);
        if (code < 0)
            return code;
        b->parts.part[b->parts.n++] = (struct pl_memory_part){r->guest_address, r->size};
    }
    return 0;
}

/* From the front-end's own address to the guest's, for a part of `size` bytes within one region. */
static bool translate(const struct pl_back *b, uint64_t user, uint64_t size, uint64_t *guest)
{
    for (uint32_t i = 0; i < b->map.num_regions; i++) {
        const struct pl_vu_region *r = &b->map.regions[i];
        if (user < r->user_address || user - r->user_address > r->size ||
            r->size - (user - r->user_address) < size)
            continue;
        *guest = r->guest_address + (user - r->user_address);
        return true;
    }
    return false;
}

/* --- rings --- */

static int ring_of(struct pl_back *b, uint32_t index, struct pl_back_ring **ring)
{
    *ring = index < b->n_queues && index < PL_VU_QUEUES_MAX ? &b->rings[index] : NULL;
    if (*ring)
        return 0;
    return pl_back_fault(b, "sent %s for ring %u, and there are %u", b->request.def->name, index,
                         b->n_queues);
}

static bool packed(const struct pl_back *b)
{
    return (b->selected >> PL_C_F_RING_PACKED & 1) != 0;
}

int pl_back_ring_address(struct pl_back *b)
{
    const struct pl_vu_vring_addr *a = &b->request.p.addr;
    struct pl_back_ring *ring;
    int code = ring_of(b, a->index, &ring);

    if (code < 0)
        return code;
    const uint64_t n = ring->size, event = sizeof(__virtio16);
    uint64_t desc = n * sizeof(struct vring_desc);
    uint64_t driver = sizeof(struct vring_avail) + n * sizeof(__virtio16) + event;
    uint64_t device = sizeof(struct vring_used) + n * sizeof(struct vring_used_elem) + event;
    if (packed(b)) {
        desc = n * sizeof(struct vring_packed_desc);
        driver = device = sizeof(struct vring_packed_desc_event);
    }
    struct pl_back_ring before = *ring;
    if (n == 0)
        return pl_back_fault(b, "sent SET_VRING_ADDR for ring %u ahead of its size", a->index);
    if (!translate(b, a->descriptor, desc, &ring->descriptor) ||
        !translate(b, a->available, driver, &ring->driver) ||
        !translate(b, a->used, device, &ring->device))
        return pl_back_fault(b,
                             "placed ring %u (%#" PRIx64 ", %#" PRIx64 ", %#" PRIx64
                             ", %u entries) outside of the memory that it shares",
                             a->index, a->descriptor, a->available, a->used, ring->size);
    ring->placed = true;
    if (ring->kept && (ring->descriptor != before.descriptor || ring->driver != before.driver ||
                       ring->device != before.device))
        return pl_back_fault(b, "came back with ring %u at another place", a->index);
    return 0;
}

int pl_back_ring_state(struct pl_back *b)
{
    const struct pl_vu_vring_state *s = &b->request.p.state;
    struct pl_back_ring *ring;
    int code = ring_of(b, s->index, &ring);

    if (code < 0)
        return code;
    if (b->request.def->request == PL_VU_SET_VRING_ENABLE) {
        ring->enabled = s->num != 0;
        return b->started && !b->resuming ? pl_back_start_late(b, s->index) : 0;
    }
    if (b->request.def->request == PL_VU_SET_VRING_NUM) {
        if (s->num == 0 || s->num > PL_C_QUEUE_SIZE_MAX)
            return pl_back_fault(b, "gives ring %u a size of %u, not 1 to %u", s->index, s->num,
                                 (unsigned)PL_C_QUEUE_SIZE_MAX);
        if (ring->kept && ring->size != s->num)
            return pl_back_fault(b, "came back with %u entries for ring %u, which has %u", s->num,
                                 s->index, ring->size);
        ring->size = s->num;
        ring->placed = false;
        return 0;
    }
    const uint32_t first = packed(b) ? PL_VU_VRING_BASE_PACKED : 0;
    if (ring->kept && s->num == pl_back_ring_base(b, s->index))
        return 0;
    if (ring->kept && s->num == first) { /* the driver began anew meanwhile */
        b->resuming = false;
        return pl_back_stop(b);
    }
    if (s->num != first)
        return pl_back_fault(b,
                             "goes on with ring %u at index %#x: virtio-msg has no way to say "
                             "that, a ring begins at 0",
                             s->index, s->num);
    return 0;
}

static void replace(int *fd, int by)
{
    if (*fd >= 0)
        close(*fd);
    *fd = by;
}

/*
 * What the front-end gives may be anything: only what has no type of a file's, as an eventfd, is
 * taken, and it never makes us wait.
 */
static bool is_eventfd(int fd)
{
    struct stat st;

    return fstat(fd, &st) == 0 && (st.st_mode & S_IFMT) == 0 &&
           fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK) == 0;
}

int pl_back_ring_fd(struct pl_back *b)
{
    uint64_t value = b->request.p.u64.value;
    bool none = (value & PL_VU_NO_FD) != 0;
    struct pl_back_ring *ring;
    int code = ring_of(b, (uint32_t)(value & (PL_VU_NO_FD - 1)), &ring);

    if (code < 0)
        return code;
    if (b->request.n_fds != (none ? 0u : 1u))
        return pl_back_fault(b, "sent %s for ring %u with %u descriptors, not %u",
                             b->request.def->name, (unsigned)(value & (PL_VU_NO_FD - 1)),
                             b->request.n_fds, none ? 0u : 1u);
    if (!none && !is_eventfd(b->request.fds[0]))
        return pl_back_fault(b, "sent %s with a descriptor that is no eventfd",
                             b->request.def->name);
    int fd = pl_back_take_fd(b);
    if (b->request.def->request == PL_VU_SET_VRING_KICK)
        replace(&ring->kick, fd);
    else if (b->request.def->request == PL_VU_SET_VRING_CALL)
        replace(&ring->call, fd);
    else
        replace(&ring->err, fd);
    return 0;
}

uint32_t pl_back_ring_base(const struct pl_back *b, uint32_t index)
{
    const struct pl_back_ring *ring = &b->rings[index];
    uint16_t idx = 0;

    if (packed(b))
        return PL_VU_VRING_BASE_PACKED; /* only a reset follows: going on is not possible */
    if (ring->placed || ring->kept)
        memcpy(&idx, (const uint8_t *)b->port.mem + ring->device + offsetof(struct vring_used, idx),
               sizeof(idx));
    return idx;
}

bool pl_back_ring_ready(const struct pl_back *b, const struct pl_back_ring *ring)
{
    return ring->placed && (ring->enabled || !b->has_protocol);
}

/* Take a kick back: true where there was one. Any descriptor may hide behind it. */
static bool take_kick(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    uint64_t count;

    return fd >= 0 && poll(&entry, 1, 0) > 0 && (entry.revents & POLLIN) &&
           read(fd, &count, sizeof(count)) == (ssize_t)sizeof(count);
}

int pl_back_collect_kicks(struct pl_back *b)
{
    for (uint32_t i = 0; i < b->n_queues && i < PL_VU_QUEUES_MAX; i++) {
        uint32_t index = (b->next + i) % b->n_queues;
        struct pl_back_ring *ring = &b->rings[index];
        bool works = b->started ? ring->running : !(b->protocol & PL_VU_PF_STATUS);
        if (b->resuming && ring->kept && !(b->protocol & PL_VU_PF_STATUS) &&
            pl_back_ring_ready(b, ring))
            return pl_back_resume(b);
        if (b->resuming || !works || !pl_back_ring_ready(b, ring) || !take_kick(ring->kick))
            continue;
        /* Without a status of the front-end's the first kick says that all is ready. */
        int code = b->started ? 0 : pl_back_start(b);
        if (code < 0)
            return code;
        struct pl_msg event = {.kind = PL_EVENT_AVAIL};
        event.f[PL_F_vq_index] = index;
        b->next = (index + 1) % b->n_queues;
        code = pl_back_say(b, &event);
        return code < 0 ? code : pl_back_go_on(b);
    }
    return 0;
}

void pl_back_close_ring(struct pl_back_ring *ring)
{
    replace(&ring->kick, -1);
    replace(&ring->call, -1);
    replace(&ring->err, -1);
}

void pl_back_forget_rings(struct pl_back *b)
{
    for (size_t i = 0; i < PL_VU_QUEUES_MAX; i++) {
        pl_back_close_ring(&b->rings[i]);
        b->rings[i] = (struct pl_back_ring){.kick = -1, .call = -1, .err = -1};
    }
}
