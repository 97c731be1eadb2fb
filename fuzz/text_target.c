/* Fuzz target: the short texts that users and peers write: addresses, bus parameters, control
 * lines and commands, selections, and text that is shown in a message. */
#include "input.h"

#include <errno.h>

#include "engine/scenario.h"
#include "peer/bus.h"
#include "peer/device.h"
#include "peer/driver.h"
#include "port/control.h"
#include "port/private.h"
#include "port/spsc.h"
#include "port/utf8.h"
#include "port/vhost_user.h"

enum { ERROR = 512, TEXT_MAX = 9000, ANSWER = 200, MESSAGES_MAX = 64 };

static void check_refusal(int code, const char *error)
{
    fuzz_hold(code == 0 || code == -EINVAL, "taken or refused");
    if (code < 0)
        fuzz_hold(error[0] && !strchr(error, '\n'), "one sentence");
    fuzz_hold(pl_utf8_valid(error, strlen(error)) == strlen(error), "a sentence in UTF-8");
}

static void addresses(const char *text)
{
    char error[ERROR] = "";
    struct pl_address address;
    struct pl_spsc_address spsc;

    check_refusal(pl_address_check(text, false, error, sizeof(error)), error);
    error[0] = '\0';
    check_refusal(pl_address_check(text, true, error, sizeof(error)), error);
    error[0] = '\0';
    check_refusal(pl_address_parse(text, &address, error, sizeof(error)), error);
    error[0] = '\0';
    check_refusal(pl_spsc_parse(text, false, &spsc, error, sizeof(error)), error);
}

/* The gateway's address; nothing is connected before start. */
static void gateway_address(const char *text)
{
    char error[ERROR] = "";
    struct pl_port_options options = {.spec = pl_specs[0], .connect = text, .mem_size = 4096};
    struct pl_port *port = pl_port_vhost_user(&options, error, sizeof(error));

    fuzz_hold(port || error[0], "a port or a sentence");
    if (port)
        port->ops->close(port);
}

static void bus_parameters(const char *text)
{
    char again[128];
    struct pl_bus_params bus, other;

    if (pl_bus_params_parse(text, &bus) < 0)
        return;
    pl_bus_params_format(&bus, again, sizeof(again));
    fuzz_hold(pl_bus_params_parse(again, &other) == 0, "parameters that are printed");
    fuzz_hold(bus.revision == other.revision && bus.max_msg_size == other.max_msg_size &&
                  bus.features == other.features,
              "the same parameters");
}

/* "COMMAND\nLINE": a line's words go into a command's places. */
static void control_command(char *text)
{
    char error[ERROR] = "";
    char *line = strchr(text, '\n');

    if (!line)
        return;
    *line++ = '\0';
    size_t name = strcspn(line, " ");
    char *request = strndup(line, name);
    if (!request)
        abort();
    int code = pl_control_command_check(request, text, error, sizeof(error));
    fuzz_hold(code == 0 || error[0], "a sentence where a command is refused");
    free(request);
    char *filled = pl_control_command_fill(text, line, error, sizeof(error));
    fuzz_hold(filled || error[0], "a command or a sentence");
    if (filled && !strchr(text, '{'))
        fuzz_hold(strcmp(filled, text) == 0, "a command without places");
    free(filled);
}

static void shown_text(const char *text)
{
    size_t size = strlen(text), good = pl_utf8_valid(text, size);
    char *line = fuzz_room(1 + size / 2);

    fuzz_hold(good <= size, "the offset of a bad byte");
    pl_utf8_line(text, size, line, 1 + size / 2);
    fuzz_hold(strlen(line) <= size / 2, "room for a line");
    fuzz_hold(pl_utf8_valid(line, strlen(line)) == strlen(line), "a line in UTF-8");
    for (size_t i = 0; line[i]; i++)
        fuzz_hold((unsigned char)line[i] >= ' ' && line[i] != 0x7f, "a printable line");
    free(line);
}

static void selection(char *text)
{
    static const char *clauses[] = {"STAT-DEV-01", "CFG-DEV-12", NULL};
    struct pl_scenario scenario = {
        .name = "reset-while-reading", .section = "Device Reset", .clauses = clauses};

    pl_scenario_selected(&scenario, text);
    fuzz_hold(pl_scenario_selected(&scenario, "reset-*,x"), "a pattern that selects");
}

/* --- control lines of the reference peers --- */

static void check_answer(int code, const char *answer)
{
    bool known = strcmp(answer, "ok") == 0 || strcmp(answer, "unsupported") == 0 ||
                 strncmp(answer, "error ", 6) == 0;

    fuzz_hold(code != 0 || known, "an answer of the protocol");
    fuzz_hold(!strchr(answer, '\n'), "an answer of one line");
}

static void peer_lines(const struct pl_endpoint_ops *ops, char *text)
{
    static uint8_t buf[PL_MSG_MAX + 1];
    const struct pl_spec *spec = pl_specs[0];
    struct pl_endpoint_env env = {
        spec->revision, spec->recommended_max_msg_size, 0, NULL, 0, 0, NULL};
    char *rest = text, *line;
    void *self = ops->open(NULL, &env);

    if (!self)
        abort();
    for (uint64_t now = 0; (line = strsep(&rest, "\n")); now += 10) {
        char answer[ANSWER] = "";
        check_answer(ops->control(self, line, answer, sizeof(answer)), answer);
        ops->advance(self, now);
        for (unsigned i = 0; i < MESSAGES_MAX && ops->poll(self, buf, sizeof(buf)) > 0; i++)
            continue;
    }
    ops->close(self);
}

static void bus_lines(char *text)
{
    const struct pl_spec *spec = pl_specs[0];
    struct pl_endpoint_env env = {
        spec->revision, spec->recommended_max_msg_size, 0, NULL, 0, 0, NULL};
    char *rest = text, *line;
    void *self = pl_bus_endpoint.open(NULL, &env);

    if (!self)
        abort();
    while ((line = strsep(&rest, "\n"))) {
        char answer[ANSWER] = "";
        check_answer(pl_bus_endpoint.control(self, line, answer, sizeof(answer)), answer);
    }
    pl_bus_endpoint.close(self);
}

static void device_lines(char *text)
{
    peer_lines(&pl_device_endpoint, text);
}

static void driver_lines(char *text)
{
    peer_lines(&pl_driver_endpoint, text);
}

static void all_addresses(char *text)
{
    addresses(text);
    gateway_address(text);
}

static void parameters(char *text)
{
    bus_parameters(text);
}

static void shown(char *text)
{
    shown_text(text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const reader[])(char *) = {
        all_addresses, parameters,   control_command, shown,
        selection,     device_lines, driver_lines,    bus_lines,
    };
    struct fuzz_input in = {data, size};
    const uint8_t which = fuzz_byte(&in);
    char *text = fuzz_text(&in, TEXT_MAX);

    reader[which % (sizeof(reader) / sizeof(reader[0]))](text);
    free(text);
    return 0;
}
