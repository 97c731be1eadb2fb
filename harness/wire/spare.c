/* Keeping one block, out of reach while it is kept. */
#include "wire/spare.h"

#include <stdatomic.h>
#include <stdlib.h>

#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define PL_POISONS 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(PL_POISONS)
#include <sanitizer/asan_interface.h>
#else
#define ASAN_POISON_MEMORY_REGION(at, size)   ((void)(at), (void)(size))
#define ASAN_UNPOISON_MEMORY_REGION(at, size) ((void)(at), (void)(size))
#endif

/* Poisoning all of a large block would cost what keeping it saves. */
static size_t beginning(size_t size)
{
    enum { MOST = 8192 };
    return size < MOST ? size : MOST;
}

void *pl_spare_take(struct pl_spare *spare, size_t size)
{
    void *block = atomic_exchange(&spare->block, NULL);
    if (!block)
        return malloc(size);
    ASAN_UNPOISON_MEMORY_REGION(block, beginning(size));
    return block;
}

void pl_spare_give(struct pl_spare *spare, void *block, size_t size)
{
    if (!block)
        return;
    ASAN_POISON_MEMORY_REGION(block, beginning(size));
    void *before = atomic_exchange(&spare->block, block);
    if (!before)
        return;
    ASAN_UNPOISON_MEMORY_REGION(before, beginning(size));
    free(before);
}
