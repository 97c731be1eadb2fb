/* Where the parts of a ring lie, which places they may have, and the words for its faults. */
#include "ring/layout.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "plumbline.h"

enum { EVENT_ALIGN = 4 }; /* packed: of both event suppression structures */

/* Is each byte in one of the parts? One may go on where another ends. */
static bool there(const struct pl_memory_parts *parts, uint64_t addr, uint64_t len)
{
    size_t i = 0;

    while (len > 0 && i < parts->n) {
        const struct pl_memory_part *part = &parts->part[i++];
        if (addr < part->addr || addr - part->addr >= part->size)
            continue;
        uint64_t n = part->size - (addr - part->addr);
        addr += n < len ? n : len;
        len -= n < len ? n : len;
        i = 0;
    }
    return len == 0;
}

void *pl_ring_at(const struct pl_ring_memory *memory, uint64_t addr, size_t len)
{
    if (addr < memory->base || addr - memory->base > memory->size ||
        memory->size - (addr - memory->base) < len)
        return NULL;
    if (memory->parts && !there(memory->parts, addr, len))
        return NULL;
    return (uint8_t *)memory->mem + (addr - memory->base);
}

static size_t aligned(size_t at, size_t to)
{
    return (at + to - 1) / to * to;
}

static size_t driver_align(bool packed)
{
    return packed ? (size_t)EVENT_ALIGN : (size_t)VRING_AVAIL_ALIGN_SIZE;
}

static size_t device_align(bool packed)
{
    return packed ? (size_t)EVENT_ALIGN : (size_t)VRING_USED_ALIGN_SIZE;
}

size_t pl_ring_table_bytes(size_t n)
{
    return n * sizeof(struct vring_desc);
}

struct pl_ring_bytes pl_ring_bytes(bool packed, uint16_t size)
{
    const struct vring_avail *avail = NULL;
    const struct vring_used *used = NULL;
    const size_t event = sizeof(__virtio16);
    struct pl_ring_bytes bytes;

    bytes.desc = size * (packed ? sizeof(struct vring_packed_desc) : sizeof(struct vring_desc));
    bytes.driver = packed ? sizeof(struct vring_packed_desc_event)
                          : sizeof(*avail) + size * sizeof(avail->ring[0]) + event;
    bytes.device = packed ? sizeof(struct vring_packed_desc_event)
                          : sizeof(*used) + size * sizeof(used->ring[0]) + event;
    bytes.whole =
        aligned(aligned(bytes.desc, driver_align(packed)) + bytes.driver, device_align(packed)) +
        bytes.device;
    return bytes;
}

static bool size_allowed(bool packed, uint16_t size)
{
    return size != 0 && size <= PL_RING_SIZE_MAX && (packed || (size & (size - 1)) == 0);
}

int pl_ring_place(struct pl_ring_setup *setup, uint64_t at)
{
    struct pl_ring_bytes bytes = pl_ring_bytes(setup->packed, setup->size);

    if (!size_allowed(setup->packed, setup->size) || at % VRING_DESC_ALIGN_SIZE ||
        at > UINT64_MAX - bytes.whole)
        return -EINVAL;
    setup->desc_addr = at;
    setup->driver_addr = at + aligned(bytes.desc, driver_align(setup->packed));
    setup->device_addr = at + bytes.whole - bytes.device;
    return 0;
}

/* Both the bus address and the mapping have to be aligned: the words are accessed as words. */
static bool part_allowed(const struct pl_ring_memory *memory, uint64_t addr, size_t len,
                         size_t align)
{
    const void *at = pl_ring_at(memory, addr, len);

    return at && addr % align == 0 && (uintptr_t)at % align == 0;
}

int pl_ring_check(const struct pl_ring_setup *setup, const struct pl_ring_memory *memory)
{
    const bool packed = setup->packed;

    if (!size_allowed(packed, setup->size))
        return -EINVAL;
    struct pl_ring_bytes bytes = pl_ring_bytes(packed, setup->size);
    if (!part_allowed(memory, setup->desc_addr, bytes.desc, VRING_DESC_ALIGN_SIZE) ||
        !part_allowed(memory, setup->driver_addr, bytes.driver, driver_align(packed)) ||
        !part_allowed(memory, setup->device_addr, bytes.device, device_align(packed)))
        return -EINVAL;
    return 0;
}

const char *pl_ring_fault_text(enum pl_ring_fault fault)
{
    static const char *const text[PL_RING_FAULTS] = {
        [PL_RING_SOUND] = "nothing wrong",
        [PL_RING_USED_INDEX] = "a used index that went back or beyond what is available",
        [PL_RING_USED_ID] = "a used id that no available chain has",
        [PL_RING_USED_LEN] = "a used length beyond the device-writable part of the chain",
        [PL_RING_USED_FLAGS] = "wrap bits that are neither available nor used",
        [PL_RING_USED_ORDER] = "a chain used out of order",
        [PL_RING_AVAIL_INDEX] = "an available index that went back or more than the size ahead",
        [PL_RING_DESC_INDEX] = "a descriptor index beyond its table",
        [PL_RING_LOOP] = "a chain longer than the queue size or than 2^32 bytes",
        [PL_RING_ADDRESS] = "an address outside the shared memory",
        [PL_RING_INDIRECT] = "an indirect table where none may be, or of a bad length",
        [PL_RING_DIRECTION] = "a device-readable buffer behind a device-writable one",
        [PL_RING_EMPTY] = "a chain without a buffer",
    };

    return (unsigned)fault < PL_RING_FAULTS ? text[fault] : "an unknown fault";
}
