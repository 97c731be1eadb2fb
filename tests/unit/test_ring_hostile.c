/* The ring ends in threads of their own, among themselves and with a third one that overwrites all
 * of their memory; and the fuzz target on pseudo-random inputs. */
#include <errno.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <time.h>

#include "../../fuzz/ring_target.c"
#include "ring_pair.h"

enum {
    CHAINS = 4000,     /* that the driver thread sends */
    SLOT_BYTES = 64,   /* of a chain: 16 to read, 16 to write, a table of two */
    HANG_SECONDS = 60, /* a wait that takes longer is a lost notification */
    ROUNDS = 30000,    /* of each thread where a third one is hostile */
    INPUTS = 4000,     /* for the fuzz target */
    INPUT_BYTES = 600,
    FEATURE_SETS = 16,
};

struct threads {
    struct ring_pair pair;
    sem_t kick, notify;
    bool lost; /* the device thread waited in vain */
    bool stop; /* for the hostile thread */
};

static bool wait_for(sem_t *sem)
{
    struct timespec until;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += HANG_SECONDS;
    while (sem_timedwait(sem, &until) < 0) {
        if (errno != EINTR)
            return false;
    }
    return true;
}

static void open_threads(struct threads *t, unsigned features, uint16_t size)
{
    const struct pl_ring_setup setup = {.packed = features & 1,
                                        .indirect = features & 2,
                                        .event_idx = features & 4,
                                        .in_order = features & 8,
                                        .size = size};

    memset(t, 0, sizeof(*t));
    ring_pair_open(&t->pair, &setup, (size_t)size * SLOT_BYTES);
    memset(ring_at(&t->pair, t->pair.behind), 0, (size_t)size * SLOT_BYTES);
    sem_init(&t->kick, 0, 0);
    sem_init(&t->notify, 0, 0);
}

static void close_threads(struct threads *t)
{
    ring_pair_close(&t->pair);
    sem_destroy(&t->kick);
    sem_destroy(&t->notify);
}

/* The request: two words; the answer: their sum and their difference. */
static uint32_t serve(struct threads *t, const struct pl_ring_chain *chain)
{
    uint64_t words[2] = {0, 0};

    pl_ring_read(&t->pair.memory, chain, 0, words, sizeof(words));
    const uint64_t answer[2] = {words[0] + words[1], words[0] - words[1]};
    return (uint32_t)pl_ring_write(&t->pair.memory, chain, 0, answer, sizeof(answer));
}

/* Take what there is and give it back at once; true where there was something. */
static bool serve_all(struct threads *t, unsigned *served)
{
    static _Thread_local struct pl_ring_chain chain;
    enum pl_ring_fault fault;
    bool any = false;

    while (pl_device_ring_pop(t->pair.device, &chain, &fault) == 1) {
        uint32_t written = serve(t, &chain);
        pl_device_ring_push(t->pair.device, chain.id, chain.entries, written);
        if (++*served % 3 == 0)
            pl_device_ring_flush(t->pair.device);
        any = true;
    }
    pl_device_ring_flush(t->pair.device);
    if (pl_device_ring_notify_due(t->pair.device))
        sem_post(&t->notify);
    return any;
}

static void *device_thread(void *context)
{
    struct threads *t = context;

    for (unsigned served = 0; served < CHAINS;) {
        if (!serve_all(t, &served) && !wait_for(&t->kick)) {
            t->lost = true;
            break;
        }
    }
    return NULL;
}

/* Send chain number i through a free slot: -ENOSPC where the ring is full. */
static int send_request(struct threads *t, uint64_t i, uint64_t slot)
{
    const uint64_t at = t->pair.behind + slot * SLOT_BYTES;
    const struct pl_ring_buffer chain[] = {{at, 16, false}, {at + 16, 16, true}};
    const uint64_t words[2] = {i * 7, i};

    if (pl_driver_ring_room(t->pair.driver) < 2 && !t->pair.setup.indirect)
        return -ENOSPC;
    if (pl_driver_ring_room(t->pair.driver) == 0)
        return -ENOSPC;
    memcpy(ring_at(&t->pair, at), words, sizeof(words));
    return pl_driver_ring_add(t->pair.driver, chain, 2, t->pair.setup.indirect ? at + 32 : 0);
}

static void check_answer(const struct threads *t, uint64_t i, uint64_t slot)
{
    uint64_t words[2];

    memcpy(words, ring_at(&t->pair, t->pair.behind + slot * SLOT_BYTES + 16), sizeof(words));
    expect_eq(words[0], i * 8);
    expect_eq(words[1], i * 6);
}

/* The driver's side: send, wait only when told to, and see every answer. */
static void drive(struct threads *t)
{
    const uint16_t size = t->pair.setup.size;
    uint64_t *number = calloc(size, sizeof(*number));
    uint64_t sent = 0, answered = 0;
    struct pl_ring_used used;
    enum pl_ring_fault fault;

    /* The device serves in order, so slots go round. */
    while (answered < CHAINS) {
        int id = 0, code;
        uint64_t before = sent + answered;
        for (; sent < CHAINS && sent - answered < size; sent++) {
            id = send_request(t, sent, sent % size);
            if (id < 0)
                break;
            number[id] = sent;
        }
        pl_driver_ring_publish(t->pair.driver);
        if (pl_driver_ring_kick_due(t->pair.driver))
            sem_post(&t->kick);
        while ((code = pl_driver_ring_poll(t->pair.driver, &used, &fault)) == 1) {
            expect_eq(number[used.id], answered);
            check_answer(t, answered, answered % size);
            answered++;
        }
        expect_eq(code, 0);
        if (sent + answered == before)
            expect(wait_for(&t->notify));
        pl_driver_ring_notify(t->pair.driver, PL_RING_NOTIFY_ALWAYS, 0);
    }
    free(number);
}

/* Loop index: features. */
START_TEST(test_two_threads)
{
    static const uint16_t sizes[] = {2, 8, 64};
    struct threads t;
    pthread_t device;

    for (unsigned i = 0; i < 3; i++) {
        open_threads(&t, (unsigned)_i, (uint16_t)(sizes[i] + (_i & 1)));
        ck_assert_int_eq(pthread_create(&device, NULL, device_thread, &t), 0);
        drive(&t);
        pthread_join(device, NULL);
        ck_assert(!t.lost);
        close_threads(&t);
    }
}
END_TEST

static void *hostile_thread(void *context)
{
    struct threads *t = context;
    uint8_t *bytes = t->pair.memory.mem;
    uint64_t state = UINT64_C(0xabcdef12345);

    while (!__atomic_load_n(&t->stop, __ATOMIC_RELAXED)) {
        uint32_t at = ring_random(&state, (uint32_t)t->pair.memory.size);
        __atomic_store_n(&bytes[at], (uint8_t)ring_random(&state, 256), __ATOMIC_RELAXED);
    }
    return NULL;
}

static void *bold_device_thread(void *context)
{
    struct threads *t = context;
    unsigned served = 0;

    for (unsigned i = 0; i < ROUNDS; i++) {
        serve_all(t, &served);
        pl_device_ring_kicks(t->pair.device, i % 3 > 0);
    }
    return NULL;
}

static void bold_driver(struct threads *t)
{
    const struct pl_ring_buffer chain[] = {{t->pair.behind, 16, false},
                                           {t->pair.behind + 16, 16, true}};
    struct pl_ring_used used;
    enum pl_ring_fault fault;
    const char *what;

    for (unsigned i = 0; i < ROUNDS; i++) {
        pl_driver_ring_add(t->pair.driver, chain, 2,
                           t->pair.setup.indirect && i % 2 ? t->pair.behind + 32 : 0);
        pl_driver_ring_publish(t->pair.driver);
        pl_driver_ring_kick_due(t->pair.driver);
        if (pl_driver_ring_poll(t->pair.driver, &used, &fault) == 1)
            expect(used.id < t->pair.setup.size);
        pl_driver_ring_notify(t->pair.driver, i % 3, (uint16_t)(i % 5));
        if (i % 16 == 0)
            pl_driver_ring_intact(t->pair.driver, &what);
    }
}

START_TEST(test_hostile_thread)
{
    struct threads t;
    pthread_t device, hostile;

    open_threads(&t, (unsigned)_i, 8);
    ck_assert_int_eq(pthread_create(&hostile, NULL, hostile_thread, &t), 0);
    ck_assert_int_eq(pthread_create(&device, NULL, bold_device_thread, &t), 0);
    bold_driver(&t);
    pthread_join(device, NULL);
    __atomic_store_n(&t.stop, true, __ATOMIC_RELAXED);
    pthread_join(hostile, NULL);
    close_threads(&t);
}
END_TEST

/* PLUMBLINE_TEST_SEED repeats a run. */
static uint64_t fuzz_seed(int part)
{
    const char *text = getenv("PLUMBLINE_TEST_SEED");
    uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL) * 2654435761u;

    printf("ring fuzz target, part %d: PLUMBLINE_TEST_SEED=0x%llx\n", part,
           (unsigned long long)seed);
    fflush(stdout);
    return (seed + (uint64_t)part * 1000003) * UINT64_C(0x9e3779b97f4a7c15) | 1;
}

START_TEST(test_fuzz_target)
{
    uint64_t state = fuzz_seed(_i);
    uint8_t input[INPUT_BYTES];

    for (unsigned n = 0; n < INPUTS; n++) {
        size_t len = 2 + ring_random(&state, INPUT_BYTES - 2);
        for (size_t i = 0; i < len; i++)
            input[i] = (uint8_t)ring_random(&state, 256);
        input[0] = (uint8_t)(input[0] % 4 * 4 + (unsigned)_i);
        input[1] &= 0xbf; /* no ring of 32768: too slow for many inputs */
        LLVMFuzzerTestOneInput(input, len);
    }
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("ring_hostile");
    TCase *tc = tcase_create("ring_hostile");

    tcase_set_timeout(tc, 2 * HANG_SECONDS);
    tcase_add_loop_test(tc, test_two_threads, 0, FEATURE_SETS);
    tcase_add_loop_test(tc, test_hostile_thread, 0, FEATURE_SETS);
    tcase_add_loop_test(tc, test_fuzz_target, 0, 4);
    suite_add_tcase(suite, tc);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
