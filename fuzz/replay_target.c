/* Fuzz target: a trace is judged as `plumbline replay` judges it: a pcapng file, or records that
 * become one, in which notes and messages are mixed at will. */
#include "input.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/replay.h"
#include "oracle/oracle.h"
#include "report/pcapng.h"

enum { ERROR = 1024, PATH = 64, SIZE_BYTES = 2, COMMENT = 400, DESCRIPTION = 128, WRITERS = 4 };

/* Loaded once: what a trace's scenarios are looked up in. */
static const struct pl_scenarios *scenarios_of(const struct pl_spec *spec)
{
    static struct pl_scenarios *loaded;
    char error[ERROR] = "";

    if (loaded && loaded->spec == spec)
        return loaded;
    pl_scenarios_free(loaded);
    loaded = pl_clauses_find(spec) ? pl_scenarios_new(spec) : NULL;
    if (!loaded || !pl_scenarios_add_embedded(loaded, error, sizeof(error)) ||
        !pl_scenarios_check(loaded, error, sizeof(error)))
        return NULL;
    return loaded;
}

static bool is_pcapng(const uint8_t *data, size_t size)
{
    return size >= 4 && memcmp(data, "\n\r\r\n", 4) == 0;
}

/* --- records --- */

/* A new group: role, maximum message size and features are the input's. */
static int put_group(struct pl_pcapng *file, struct fuzz_input *in, const char *role)
{
    const struct pl_spec *spec = pl_specs[0];
    char text[DESCRIPTION];
    uint32_t room = (uint32_t)fuzz_byte(in) * 4;
    unsigned features = fuzz_byte(in) & 3u;

    snprintf(text, sizeof(text), "spec=%s role=%s revision=%u max_msg_size=%u features=0x%x",
             spec->name, role, spec->revision, spec->min_max_msg_size + room, features);
    if (pl_pcapng_group(file, text) < 0)
        return -EIO;
    if (strcmp(role, "bus") != 0)
        return 0;
    strncat(text, PL_PCAPNG_DEVICE_SIDE, sizeof(text) - strlen(text) - 1);
    return pl_pcapng_group(file, text);
}

/* One record: how it goes, its size, its bytes, and a comment in some. */
static int put_message(struct pl_pcapng *file, struct fuzz_input *in, uint64_t number, bool bus)
{
    const uint8_t how = fuzz_byte(in);
    size_t most = fuzz_number(in, how & 0x80 ? SIZE_BYTES : 1);
    struct pl_trace_entry entry = {
        .number = number, .time_ns = number, .to_iut = how & 1, .device_side = bus && how & 2};
    char *comment = NULL;

    entry.size = fuzz_take(in, most, &entry.bytes);
    if (how & 4)
        comment = fuzz_text(in, fuzz_byte(in) % COMMENT);
    int code = pl_pcapng_message(file, &entry, comment);
    free(comment);
    return code;
}

/* The input as records, in a trace at `path`. */
static void write_records(const char *path, struct fuzz_input *in)
{
    static const char *const roles[] = {"device", "driver", "bus"};
    const char *role = roles[fuzz_byte(in) % 3];
    char error[ERROR] = "";
    struct pl_pcapng *file = pl_pcapng_create(path, "records", error, sizeof(error));

    if (!file || put_group(file, in, role) < 0)
        abort();
    for (uint64_t number = 1; in->left > 0; number++)
        if (put_message(file, in, number, strcmp(role, "bus") == 0) < 0)
            break;
    pl_pcapng_finish(file);
}

/* --- judging --- */

static void check_report(const struct pl_report *report)
{
    fuzz_hold(report->n_messages > 0, "a report of some messages");
    for (size_t i = 0; i < report->n_findings; i++)
        fuzz_hold(report->findings[i].culprit <= report->findings[i].n_messages,
                  "a message that shows it");
}

/* One of the report's writers, or none, into nothing: all of them take longer than judging does. */
static void write_report(const struct pl_report *report, size_t which)
{
    FILE *out = which % WRITERS == 0 ? NULL : fopen("/dev/null", "wb");
    int code = 0;

    if (!out)
        return;
    if (which % WRITERS == 1)
        code = pl_report_text(report, out, true, true);
    else if (which % WRITERS == 2)
        code = pl_report_json(report, out);
    else
        code = pl_report_junit(report, out);
    fuzz_hold(code == 0, "a report that can be written");
    fclose(out);
}

static void judge(const char *path, enum pl_iut iut, const struct pl_scenarios *scenarios,
                  size_t which)
{
    const char *role = iut == PL_IUT_DRIVER ? "driver" : iut == PL_IUT_BUS ? "bus" : "device";
    struct pl_suite_options options = {.scenarios = scenarios,
                                       .role = role,
                                       .iut = "input",
                                       .repeat = "plumbline replay input",
                                       .repeat_whole = true};
    char error[ERROR] = "";
    int code;
    struct pl_suite *suite = pl_replay(&options, path, &code, error, sizeof(error));

    if (!suite) {
        fuzz_hold(code == -EINVAL && error[0], "a trace that is judged or refused");
        return;
    }
    check_report(pl_suite_report(suite));
    write_report(pl_suite_report(suite), which);
    pl_suite_free(suite);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct fuzz_input in = {data, size};
    char path[PATH], error[ERROR] = "";
    enum pl_iut iut = PL_IUT_DEVICE;
    int fd = memfd_create("trace", MFD_CLOEXEC);

    if (fd < 0)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    if (!is_pcapng(data, size))
        write_records(path, &in);
    else if (write(fd, data, size) != (ssize_t)size)
        abort();
    const struct pl_spec *spec = pl_replay_spec(path, &iut, error, sizeof(error));
    const struct pl_scenarios *scenarios = spec ? scenarios_of(spec) : NULL;
    if (!spec)
        fuzz_hold(error[0], "a sentence where there is no draft");
    if (scenarios)
        judge(path, iut, scenarios, size);
    close(fd);
    return 0;
}
