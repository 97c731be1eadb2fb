/* Stories of virtqueues in use, of core virtio's status and features; for test_oracle.c. */
#ifndef PL_ORACLE_RING_STORIES_H
#define PL_ORACLE_RING_STORIES_H

enum {
    EVENT_IDX = 1 << PL_C_F_EVENT_IDX,
    PACKED = 1 << (PL_C_F_RING_PACKED % 32),
    IN_ORDER = 1 << (PL_C_F_IN_ORDER % 32)
};

static void ring(enum pl_ring_news_kind kind, uint32_t id, bool due)
{
    struct pl_ring_news news = {.kind = kind, .id = id, .due = due};
    pl_oracle_ring(oracle, DEV, 0, &news);
}

static void memory(const char *predicate, bool held)
{
    ck_assert_msg(pl_oracle_ring_memory(oracle, DEV, predicate, held, "as seen"),
                  "the oracle does not know %s", predicate);
}

static void event_used(void)
{
    event(M(EVENT_USED, V(vq_index, 0)));
}

/* A queue with a ring, and one chain available; the driver negotiated these bits besides. */
static void has_ring(uint32_t block0, uint32_t block1, uint32_t status)
{
    driving();
    get_features(0, OFFERED0 | block0);
    get_features(1, OFFERED1 | block1);
    set_features(0, block0);
    set_features(1, OFFERED1 | block1);
    set_status(READY, READY);
    get_queue(empty);
    set_queue(PL_C_SVQ_ENABLE, enabled.size, enabled.desc);
    get_queue(enabled);
    ring(PL_RING_BEGIN, 0, false);
    ring(PL_RING_ADD, 3, false);
    if (status == READY)
        return;
    set_status(status, status);
    ring(PL_RING_ADD, 1, false);
    ring(PL_RING_USE, 1, false);
    event_used();
    ring(PL_RING_LOOKED, 0, false);
}

/* What was seen of a queue at rest counts once the device is known to work on queues. */
static void works(void)
{
    set_status(RUNNING, RUNNING);
    ring(PL_RING_USE, 3, false);
}

/* --- from when on buffers are used --- */

static void used_before_driver_ok(bool bad)
{
    has_ring(0, 0, READY);
    ring(bad ? PL_RING_USE : PL_RING_IDLE, 3, false);
    if (!bad)
        works();
}

static void announced_before_driver_ok(bool bad)
{
    has_ring(0, 0, READY);
    if (bad) {
        event_used();
        return;
    }
    ring(PL_RING_IDLE, 0, false);
    ck_assert_uint_eq(state_of("CORE-STATUS-DEV-02")->applied, 0);
    works();
}

/* A status write that cannot set DRIVER_OK is under way: an event excuses itself with nothing. */
static void announced_at_features_ok(bool bad)
{
    has_ring(0, 0, READY);
    set_status(0, 0);
    set_status(DRIVER, DRIVER);
    ring(PL_RING_BEGIN, 0, false);
    ring(PL_RING_ADD, 3, false);
    ring(PL_RING_IDLE, 0, false);
    uint16_t asked = ask(M(SET_DEVICE_STATUS, V(status, bad ? READY : RUNNING)));
    event_used();
    reply(asked, M(SET_DEVICE_STATUS, V(status, bad ? READY : RUNNING)));
    if (!bad)
        works();
}

static void used_from_driver_ok_on(bool bad)
{
    has_ring(0, 0, RUNNING);
    ring(bad ? PL_RING_MISSING : PL_RING_USE, 3, false);
}

/* --- notifications --- */

static void announced(uint32_t block0, uint32_t block1, bool bad)
{
    has_ring(block0, block1, RUNNING);
    ring(PL_RING_USE, 3, true);
    ring(PL_RING_LOOKED, 0, false);
    ck_assert_uint_eq(pl_oracle_used_owed(oracle), 1);
    if (!bad)
        event_used();
    ck_assert_uint_eq(pl_oracle_used_owed(oracle), bad);
    pl_oracle_settle(oracle);
    ck_assert_uint_eq(pl_oracle_used_owed(oracle), 0);
}

static void announced_flags(bool bad)
{
    announced(0, 0, bad);
}

static void announced_event(bool bad)
{
    announced(EVENT_IDX, 0, bad);
}

static void announced_packed(bool bad)
{
    announced(0, PACKED, bad);
}

/* The event came before the used buffer was looked for; the next one does not. */
static void announced_first(bool bad)
{
    has_ring(0, 0, RUNNING);
    ring(PL_RING_ADD, 4, false);
    event_used();
    ring(PL_RING_USE, 3, true);
    ring(PL_RING_LOOKED, 0, false);
    if (!bad)
        event_used();
    ring(PL_RING_USE, 4, true);
    ring(PL_RING_LOOKED, 0, false);
    pl_oracle_settle(oracle);
}

static void quiet(uint32_t block0, uint32_t block1, bool bad)
{
    has_ring(block0, block1, RUNNING);
    ring(PL_RING_USE, 3, false);
    event_used();
    ring(PL_RING_SUPPRESSED, 1, false);
    ring(PL_RING_ADD, 3, false);
    ring(PL_RING_USE, 3, false);
    if (bad)
        event_used();
    ring(PL_RING_LOOKED, 0, false);
}

/* What the device decided on before, or may decide on once the wishes change, comes when it comes.
 */
static void announced_late(bool bad)
{
    has_ring(0, PACKED, RUNNING);
    ring(PL_RING_USE, 3, false);
    ring(PL_RING_SUPPRESSED, 1, false);
    event_used();
    ring(PL_RING_ADD, 3, false);
    ring(PL_RING_USE, 3, false);
    ring(PL_RING_LOOKED, 0, false);
    ring(PL_RING_WANTED, 0, false);
    ring(PL_RING_SUPPRESSED, 1, false);
    event_used();
    ring(PL_RING_LOOKED, 0, false);
    if (bad)
        event_used();
    ring(PL_RING_LOOKED, 0, false);
}

static void quiet_flags(bool bad)
{
    quiet(0, 0, bad);
}

static void quiet_event(bool bad)
{
    quiet(EVENT_IDX, 0, bad);
}

static void quiet_packed(bool bad)
{
    quiet(0, PACKED, bad);
}

/* At an index: the first two buffers call for nothing, the third does. */
static void early(uint32_t block1, bool bad)
{
    has_ring(EVENT_IDX, block1, RUNNING);
    ring(PL_RING_USE, 3, false);
    event_used();
    ring(PL_RING_SUPPRESSED, 1, false);
    ring(PL_RING_ADD, 3, false);
    ring(PL_RING_ADD, 4, false);
    ring(PL_RING_ADD, 5, false);
    ring(PL_RING_USE, 3, false);
    ring(PL_RING_USE, 4, false);
    if (bad)
        event_used();
    ring(PL_RING_LOOKED, 0, false);
    ring(PL_RING_USE, 5, true);
    ring(PL_RING_LOOKED, 0, false);
    event_used();
    ring(PL_RING_LOOKED, 0, false);
}

static void early_event(bool bad)
{
    early(0, bad);
}

static void early_packed(bool bad)
{
    early(PACKED, bad);
}

/* Where the device may announce a buffer it may do so when it gets to that. */
static void free_to_announce(bool bad)
{
    struct pl_ring_news may = {.kind = PL_RING_USE, .id = 3, .may = true};
    has_ring(EVENT_IDX, 0, RUNNING);
    ring(PL_RING_USE, 3, false);
    event_used();
    ring(PL_RING_SUPPRESSED, 1, false);
    ring(PL_RING_LOOKED, 0, false);
    ring(PL_RING_ADD, 3, false);
    if (bad)
        ring(PL_RING_USE, 3, false);
    else
        pl_oracle_ring(oracle, DEV, 0, &may);
    ring(PL_RING_LOOKED, 0, false);
    event_used();
    ring(PL_RING_LOOKED, 0, false);
}

/* --- resets --- */

static void ring_after_reset(bool bad)
{
    has_ring(0, 0, RUNNING);
    set_status(0, 0);
    ring(PL_RING_SEALED, 0, false);
    if (bad)
        memory("io_after_reset", false);
    else
        ring(PL_RING_IDLE, 0, false);
}

static void chain_after_reset(bool bad)
{
    has_ring(0, 0, RUNNING);
    set_status(0, 0);
    ring(PL_RING_SEALED, 0, false);
    ring(bad ? PL_RING_USE : PL_RING_IDLE, 3, true);
}

static void announced_after_reset(bool bad)
{
    has_ring(0, 0, RUNNING);
    if (!bad)
        event_used();
    set_status(0, 0);
    ring(PL_RING_SEALED, 0, false);
    if (bad)
        event_used();
    else
        ring(PL_RING_IDLE, 0, false);
}

static void event_of_before_the_reset(bool bad)
{
    has_ring(0, 0, RUNNING);
    get_config(old_bytes, 8, GEN);
    if (!bad)
        event_config(RUNNING, GEN + 1, 0, 0, NULL);
    set_status(0, 0);
    if (bad)
        event_config(RUNNING, GEN + 1, 0, 0, NULL);
    else
        event_config(0, GEN + 2, 0, 0, NULL); /* a change of its own while it rests is free */
    ring(PL_RING_SEALED, 0, false);
    ring(PL_RING_IDLE, 0, false);
}

static void queue_after_reset(bool bad)
{
    has_ring(0, 0, RUNNING);
    reset_queue(0);
    ring(PL_RING_SEALED, 0, false);
    ring(bad ? PL_RING_USE : PL_RING_IDLE, 3, false);
}

static void queue_memory_after_reset(bool bad)
{
    has_ring(0, 0, RUNNING);
    reset_queue(0);
    ring(PL_RING_SEALED, 0, false);
    memory("io_after_queue_reset", !bad);
}

static void queue_announced_after_reset(bool bad)
{
    has_ring(0, 0, RUNNING);
    if (!bad)
        event_used();
    reset_queue(0);
    ring(PL_RING_SEALED, 0, false);
    if (bad)
        event_used();
    else
        ring(PL_RING_IDLE, 0, false);
}

static void queue_again(bool bad)
{
    has_ring(0, 0, RUNNING);
    ring(PL_RING_USE, 3, false);
    reset_queue(0);
    ring(PL_RING_SEALED, 0, false);
    ring(PL_RING_END, 0, false);
    ring(PL_RING_BEGIN, 0, false);
    set_queue(PL_C_SVQ_ENABLE, enabled.size, enabled.desc);
    get_queue(enabled);
    ring(PL_RING_ADD, 0, false);
    ring(bad ? PL_RING_MISSING : PL_RING_USE, 0, false);
}

/* --- what is found in the memory, in either format --- */

#define FOUND(name, block1)                                                                        \
    static void split_##name(bool bad)                                                             \
    {                                                                                              \
        has_ring(0, 0, RUNNING);                                                                   \
        memory(#name, !bad);                                                                       \
    }                                                                                              \
    static void packed_##name(bool bad)                                                            \
    {                                                                                              \
        has_ring(0, PACKED | (block1), RUNNING);                                                   \
        memory(#name, !bad);                                                                       \
    }
FOUND(ring_order, IN_ORDER)
FOUND(ring_used_index, 0)
FOUND(ring_used_id, 0)
FOUND(ring_used_once, 0)
FOUND(ring_used_len, 0)
FOUND(ring_len_written, 0)
FOUND(ring_used_settled, 0)
FOUND(ring_used_flags, 0)
FOUND(ring_used_flags_event, 0)
FOUND(ring_wrote_desc, 0)
FOUND(ring_wrote_avail, 0)
FOUND(ring_wrote_readable, 0)
FOUND(ring_wrote_beyond, 0)
FOUND(ring_packed_flags, 0)

/* --- features and status --- */

static void version_1(bool bad)
{
    driving();
    get_features(1, bad ? RING_RESET : OFFERED1);
}

static void sr_iov(bool bad)
{
    driving();
    get_features(1, OFFERED1 | (bad ? 1 << (PL_C_F_SR_IOV % 32) : 0));
}

static void feature_without_its_base(bool bad)
{
    struct pl_msg info = info_answer();
    info.f[PL_F_device_id] = PL_C_TYPE_net;
    exchange(M(GET_DEVICE_INFO), info);
    set_status(0, 0);
    get_features(1, OFFERED1);
    get_features(0, bad ? 1 << 7 : 1 << 7 | 1 << 1);
}

static void subset(bool bad)
{
    select_features(1);
    set_status(READY, bad ? DRIVER : READY);
    ck_assert(pl_oracle_never_ready(oracle) == bad);
}

static void accepted_again(bool bad)
{
    select_features(1);
    set_status(READY, READY);
    select_features(1);
    set_status(READY, bad ? DRIVER : READY);
}

static void needs_reset_told(bool bad)
{
    running();
    get_config(old_bytes, 8, GEN);
    pl_oracle_needs_reset(oracle, DEV);
    get_status(RUNNING | BROKEN);
    if (!bad)
        event_config(RUNNING | BROKEN, GEN, 0, 0, NULL);
    pl_oracle_settle(oracle);
}

/* Nobody asked for the error: the status alone shows it. */
static void needs_reset_of_its_own(bool bad)
{
    running();
    get_config(old_bytes, 8, GEN);
    if (!bad)
        event_config(RUNNING | BROKEN, GEN, 0, 0, NULL);
    get_status(RUNNING | BROKEN);
    ck_assert_uint_eq(pl_oracle_events_owed(oracle), bad);
    get_status(RUNNING | BROKEN);
    pl_oracle_settle(oracle);
    ck_assert_uint_eq(pl_oracle_events_owed(oracle), 0);
}

/* clang-format off */
#define RING_STORIES                                                                               \
    {"DROK-DEV-01", used_before_driver_ok, "DROK-DEV-01 CORE-STATUS-DEV-01"},                      \
    {"CORE-STATUS-DEV-02", announced_before_driver_ok, "CORE-STATUS-DEV-02"},                      \
    {"CORE-STATUS-DEV-02", announced_at_features_ok, "CORE-STATUS-DEV-02"},                        \
    {"DROK-DEV-02", used_from_driver_ok_on, "DROK-DEV-02 CORE-INIT-DEV-01"},                       \
    {"USED-DEV-01", announced_flags, "USED-DEV-01 CORE-SPLIT-DEV-11"},                             \
    {"USED-DEV-01", announced_event, "USED-DEV-01 CORE-SPLIT-DEV-13"},                             \
    {"USED-DEV-01", announced_packed, "USED-DEV-01 CORE-PACKED-DEV-16"},                           \
    {"USED-DEV-01", announced_first, "USED-DEV-01 CORE-SPLIT-DEV-11"},                             \
    {"CORE-SPLIT-DEV-10", quiet_flags, "CORE-SPLIT-DEV-10"},                                       \
    {"CORE-SPLIT-DEV-14", quiet_event, "CORE-SPLIT-DEV-14"},                                       \
    {"CORE-PACKED-DEV-17", quiet_packed, "CORE-PACKED-DEV-17"},                                    \
    {"CORE-PACKED-DEV-17", announced_late, "CORE-PACKED-DEV-17"},                                  \
    {"CORE-SPLIT-DEV-14", early_event, "CORE-SPLIT-DEV-14"},                                       \
    {"CORE-PACKED-DEV-17", early_packed, "CORE-PACKED-DEV-17"},                                    \
    {"CORE-SPLIT-DEV-14", free_to_announce, "CORE-SPLIT-DEV-14"},                                  \
    {"STAT-DEV-06", ring_after_reset, "STAT-DEV-06 CORE-RESET-DEV-03"},                            \
    {"STAT-DEV-06", chain_after_reset, "STAT-DEV-06 CORE-RESET-DEV-03"},                           \
    {"STAT-DEV-06", announced_after_reset, "STAT-DEV-06 CORE-RESET-DEV-02"},                       \
    {"STAT-DEV-06", event_of_before_the_reset, "STAT-DEV-06 CORE-RESET-DEV-02"},                   \
    {"RVQ-DEV-03", queue_after_reset, "RVQ-DEV-03 CORE-VQRESET-DEV-01"},                           \
    {"RVQ-DEV-03", queue_memory_after_reset, "RVQ-DEV-03 CORE-VQRESET-DEV-01"},                    \
    {"RVQ-DEV-03", queue_announced_after_reset, "RVQ-DEV-03 CORE-VQRESET-DEV-02"},                 \
    {"RVQ-DEV-03", queue_again, "RVQ-DEV-03 CORE-VQRESET-DEV-03 CORE-VQRESET-DEV-04"},             \
    {"CORE-FEAT-DEV-10", split_ring_order, "CORE-FEAT-DEV-10"},                                    \
    {"CORE-FEAT-DEV-10", packed_ring_order, "CORE-FEAT-DEV-10"},                                   \
    {"CORE-SPLIT-DEV-25", split_ring_used_index, "CORE-SPLIT-DEV-25"},                             \
    {"CORE-PACKED-DEV-13", packed_ring_used_index, "CORE-PACKED-DEV-13"},                          \
    {"CORE-SPLIT-DEV-26", split_ring_used_id, "CORE-SPLIT-DEV-26"},                                \
    {"CORE-PACKED-DEV-06", packed_ring_used_id, "CORE-PACKED-DEV-06"},                             \
    {"CORE-SPLIT-DEV-27", split_ring_used_once, "CORE-SPLIT-DEV-27"},                              \
    {"CORE-PACKED-DEV-14", packed_ring_used_once, "CORE-PACKED-DEV-14"},                           \
    {"CORE-SPLIT-DEV-16", split_ring_used_len, "CORE-SPLIT-DEV-16"},                               \
    {"CORE-PACKED-DEV-15", packed_ring_used_len, "CORE-PACKED-DEV-15"},                            \
    {"CORE-SPLIT-DEV-16", split_ring_len_written, "CORE-SPLIT-DEV-16"},                            \
    {"CORE-PACKED-DEV-15", packed_ring_len_written, "CORE-PACKED-DEV-15"},                         \
    {"CORE-SPLIT-DEV-15", split_ring_used_settled, "CORE-SPLIT-DEV-15"},                           \
    {"CORE-PACKED-DEV-07", packed_ring_used_settled, "CORE-PACKED-DEV-07"},                        \
    {"CORE-SPLIT-DEV-18", split_ring_used_flags, "CORE-SPLIT-DEV-18"},                             \
    {"CORE-PACKED-DEV-18", packed_ring_used_flags, "CORE-PACKED-DEV-18"},                          \
    {"CORE-SPLIT-DEV-20", split_ring_used_flags_event, "CORE-SPLIT-DEV-20"},                       \
    {"CORE-PACKED-DEV-18", packed_ring_used_flags_event, "CORE-PACKED-DEV-18"},                    \
    {"CORE-SPLIT-DEV-06", split_ring_wrote_desc, "CORE-SPLIT-DEV-06"},                             \
    {"CORE-PACKED-DEV-20", packed_ring_wrote_desc, "CORE-PACKED-DEV-20"},                          \
    {"CORE-SPLIT-DEV-28", split_ring_wrote_avail, "CORE-SPLIT-DEV-28"},                            \
    {"CORE-PACKED-DEV-19", packed_ring_wrote_avail, "CORE-PACKED-DEV-19"},                         \
    {"CORE-SPLIT-DEV-03", split_ring_wrote_readable, "CORE-SPLIT-DEV-03"},                         \
    {"CORE-PACKED-DEV-04", packed_ring_wrote_readable, "CORE-PACKED-DEV-04"},                      \
    {"CORE-SPLIT-DEV-29", split_ring_wrote_beyond, "CORE-SPLIT-DEV-29"},                           \
    {"CORE-PACKED-DEV-20", packed_ring_wrote_beyond, "CORE-PACKED-DEV-20"},                        \
    {"CORE-PACKED-DEV-12", split_ring_packed_flags, "CORE-PACKED-DEV-12"},                         \
    {"CORE-PACKED-DEV-12", packed_ring_packed_flags, "CORE-PACKED-DEV-12"},                        \
    {"CORE-FEAT-DEV-06", version_1, "CORE-FEAT-DEV-06"},                                           \
    {"CORE-FEAT-DEV-13", sr_iov, "CORE-FEAT-DEV-13"},                                              \
    {"CORE-FEAT-DEV-01", feature_without_its_base, "CORE-FEAT-DEV-01"},                            \
    {"CORE-FEAT-DEV-02", subset, "CORE-FEAT-DEV-02"},                                              \
    {"CORE-FEAT-DEV-05", accepted_again, "CORE-FEAT-DEV-02 CORE-FEAT-DEV-05"},                     \
    {"CORE-STATUS-DEV-04", needs_reset_of_its_own, "CORE-STATUS-DEV-04"},                          \
    {"CORE-STATUS-DEV-04", needs_reset_told, "CORE-STATUS-DEV-04"}
/* clang-format on */

#endif
