/* Unit tests of profiles: the whole of the bindings' section 6, defaults, and every refusal. */
#include <check.h>
#include <errno.h>
#include <string.h>

#include "engine/profile.h"

static char error[512];

static bool clause(void *opaque, const struct pl_spec *spec, const char *id)
{
    ck_assert_ptr_eq(opaque, error);
    ck_assert_ptr_nonnull(spec);
    return strcmp(id, "RTN-BUS-01") == 0;
}

static const struct pl_profile_lookup lookup = {.clause = clause, .opaque = error};

static int parse(const char *text, struct pl_profile *out)
{
    error[0] = '\0';
    return pl_profile_parse("p.yaml", text, strlen(text), &lookup, out, error, sizeof error);
}

START_TEST(everything)
{
    struct pl_profile p;
    struct pl_port_options o;
    int r = parse("name: acme-blk 0.3\n"
                  "role: device\n"
                  "spec: virtio-msg-r1\n"
                  "exec: ./acme-blk --fast\n"
                  "bus: {revision: 1, max_msg_size: 0x100, features: [STRICT_CONFIG_GENERATION]}\n"
                  "devices: [{number: 0, type: blk}, {number: 7}]\n"
                  "memory: {size: 32MiB, base: 0x200000000}\n"
                  "control: {config-change: \"acmectl cfg {dev} {offset} {hex}\", start: go}\n"
                  "timeouts: {response: 2s, reset: 7s, fence: 150ms}\n"
                  "declares:\n"
                  "  RTN-BUS-01: \"forwarded\"\n",
                  &p);
    ck_assert_msg(r == 0, "%s", error);
    ck_assert_str_eq(p.file, "p.yaml");
    ck_assert_str_eq(p.name, "acme-blk 0.3");
    ck_assert_int_eq(p.role, PL_ROLE_DEVICE);
    ck_assert_str_eq(p.spec->name, "virtio-msg-r1");
    ck_assert(p.bus_stated);
    ck_assert_uint_eq(p.bus.max_msg_size, 256);
    ck_assert_uint_eq(p.bus.features, 1);
    ck_assert_uint_eq(p.n_devices, 2);
    ck_assert_str_eq(p.devices[0].type, "blk");
    ck_assert_uint_eq(p.devices[1].number, 7);
    ck_assert_ptr_null(p.devices[1].type);
    ck_assert_uint_eq(p.mem_size, 32u << 20);
    ck_assert_uint_eq(p.mem_base, UINT64_C(0x200000000));
    ck_assert_int_eq(p.control, PL_CONTROL_COMMANDS);
    ck_assert_str_eq(p.control_commands[0], "config-change");
    ck_assert_str_eq(p.control_commands[3], "go");
    ck_assert_ptr_null(p.control_commands[4]);
    ck_assert_int_eq(p.response_ms, 2000);
    ck_assert_int_eq(p.reset_ms, 7000);
    ck_assert_int_eq(p.fence_ms, 150);
    ck_assert_uint_eq(p.n_declares, 1);
    ck_assert_str_eq(p.declares[0].text, "forwarded");
    pl_profile_port_options(&p, &o);
    ck_assert_str_eq(o.exec, "./acme-blk --fast");
    ck_assert_ptr_eq(o.control_commands, p.control_commands);
    ck_assert_uint_eq(o.mem_size, 32u << 20);
    ck_assert(!o.device_side);
    pl_profile_free(&p);
}
END_TEST

/* What a way to the IUT brings along. */
START_TEST(carriers_and_memory)
{
    struct pl_profile p;
    struct pl_port_options o;
    ck_assert_msg(parse("listen: 'spsc:x,wakeup=/w'\nbus: {revision: 1}\n"
                        "memory: {path: /m, base: 0x10000}\n",
                        &p) == 0,
                  "%s", error);
    ck_assert_uint_eq(p.bus.max_msg_size, 64);
    pl_profile_port_options(&p, &o);
    ck_assert_str_eq(o.mem_path, "/m");
    ck_assert_uint_eq(o.mem_size, 0);
    ck_assert_uint_eq(o.mem_base, 0x10000);
    pl_profile_free(&p);
    ck_assert_int_eq(parse("exec: a\ncarrier: spsc\nmemory: {path: m, size: 64KiB}\n", &p), 0);
    ck_assert_uint_eq(p.bus.max_msg_size, 64);
    pl_profile_port_options(&p, &o);
    ck_assert_int_eq(o.carrier, PL_CARRIER_SPSC);
    ck_assert_uint_eq(o.mem_size, 65536);
    pl_profile_free(&p);
    ck_assert_int_eq(parse("exec: a\ncarrier: 'vhost-user,type=block,reset=reconnect'\n", &p), 0);
    pl_profile_port_options(&p, &o);
    ck_assert_int_eq(o.carrier, PL_CARRIER_VHOST_USER);
    ck_assert_str_eq(o.carrier_options, "type=block,reset=reconnect");
    ck_assert(o.no_control);
    pl_profile_free(&p);
}
END_TEST

START_TEST(defaults)
{
    struct pl_profile p, d;
    struct pl_port_options o;
    pl_profile_default(&d);
    ck_assert_str_eq(d.spec->name, "virtio-msg-r1");
    ck_assert_int_eq(d.role, PL_ROLE_DEVICE);
    ck_assert_uint_eq(d.mem_size, 16u << 20);
    ck_assert_uint_eq(d.mem_base, UINT64_C(0x100000000));
    ck_assert_int_eq(d.control, PL_CONTROL_SOCKET);
    ck_assert_int_eq(d.response_ms, 1000);
    ck_assert_uint_eq(d.bus.max_msg_size, 264);
    ck_assert(!d.bus_stated);
    ck_assert_int_eq(parse("exec: x\n", &p), 0);
    ck_assert_int_eq(p.control, PL_CONTROL_SOCKET);
    ck_assert_int_eq(p.reset_ms, d.reset_ms);
    ck_assert(!p.bus_stated);
    pl_profile_free(&p);
    ck_assert_int_eq(parse("connect: 'tcp:[::1]:80'\n", &p), 0);
    ck_assert_int_eq(p.control, PL_CONTROL_NONE);
    pl_profile_port_options(&p, &o);
    ck_assert(o.no_control);
    pl_profile_free(&p);
    ck_assert_int_eq(parse("role: bus\nexec: x\nbus: {max_msg_size: 100}\n", &p), 0);
    pl_profile_port_options(&p, &o);
    ck_assert(o.device_side);
    ck_assert_uint_eq(p.bus.revision, 1);
    ck_assert(p.bus_stated);
    pl_profile_free(&p);
    ck_assert_int_eq(parse("name: only a name\n", &p), 0);
    pl_profile_free(&p);
    pl_profile_free(&d);
}
END_TEST

START_TEST(refusals)
{
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"", "p.yaml: the file is empty"},
        {"- a\n", "p.yaml:1: it has to be a mapping, not a list"},
        {"nmae: x\n", "p.yaml:1: key 'nmae': this key is unknown here; known are name, role,"},
        {"name: [x]\n", "p.yaml:1: key 'name': it has to be a single value, not a list"},
        {"role: gadget\n", "key 'role': 'gadget' is none of device, driver, bus"},
        {"spec: virtio-9\n", "key 'spec': 'virtio-9' is no specification; known are virtio-msg-r1"},
        {"exec: x\n\nlisten: unix:y\n",
         "p.yaml:3: key 'listen': 'exec' is given too, and only one of exec, connect and listen"},
        {"connect: unix:x\nlisten: unix:y\n", "key 'listen': 'connect' is given too"},
        {"connect: smoke:x\n", "key 'connect': address 'smoke:x': it is none of"},
        {"listen: fd:3\n", "key 'listen': address 'fd:3': a connected descriptor cannot"},
        {"listen: 'vhost-user:'\n", "key 'listen': address 'vhost-user:': the path is missing"},
        {"listen: vhost-user:x\n", "a driver is behind a vhost-user front-end, and role is device"},
        {"role: driver\nlisten: vhost-user:x\nmemory: {path: m}\n",
         "p.yaml:3: key 'path': vhost-user shares its own memory"},
        {"exec: ' '\n", "key 'exec': the command is empty"},
        {"role: bus\nconnect: unix:x\n", "p.yaml:2: key 'connect': a bus has two sides"},
        {"role: driver\nconnect: vhost-user:x\n",
         "vhost-user reaches a device, and role is driver"},
        {"bus: 5\n", "key 'bus': it has to be a mapping, not a single value"},
        {"bus: {max_msg_size: 51}\n", "key 'max_msg_size': '51' is not between 52 and 65535"},
        {"bus: {max_msg_size: 65536}\n", "is not between 52 and 65535"},
        {"bus: {revision: 0}\n", "key 'revision': '0' is not between"},
        {"bus: {features: STRICT}\n", "key 'features': it has to be a list"},
        {"bus: {features: [STRICT]}\n",
         "key 'features': 'STRICT' is no transport feature of virtio-msg-r1; known are STRICT_CON"},
        {"bus: {features: [STRICT_CONFIG_GENERATION, STRICT_CONFIG_GENERATION]}\n", "twice"},
        {"bus: {size: 3}\n", "key 'size': this key is unknown here; known are revision,"},
        {"devices: 3\n", "key 'devices': it has to be a list"},
        {"devices: []\n", "key 'devices': it has to list 1 to 4096 devices"},
        {"devices: [{type: blk}]\n", "key 'devices': a device needs a 'number'"},
        {"devices: [{number: 65536}]\n", "key 'number': '65536' is not between 0 and 65535"},
        {"devices: [{number: 1}, {number: 1}]\n", "key 'number': device 1 stands here twice"},
        {"devices: [{number: 1, type: 'a b'}]\n", "key 'type': 'a b' is no name of a device type"},
        {"memory: 1\n", "key 'memory': '1' is not between 4096 and"},
        {"memory: lots\n", "key 'memory': it has to be a size such as"},
        {"memory: {base: 100}\n", "key 'base': the base is a multiple of 4096"},
        {"memory: {base: 0xfffffffffffff000}\n", "base plus size is below 2^64"},
        {"memory: {path: ''}\n", "key 'path': it has no value"},
        {"memory: {path: [a]}\n", "key 'path': it has to be a single value"},
        {"memory: {path: m, colour: red}\n", "key 'colour': this key is unknown here"},
        {"connect: vhost-user:x\nmemory: {path: m}\n",
         "p.yaml:2: key 'path': vhost-user shares its own memory"},
        {"exec: a\ncarrier: pigeon\n",
         "key 'carrier': 'pigeon' is none of seqpacket, stream, spsc, vhost-user"},
        {"exec: a\ncarrier: 'stream,x=y'\n",
         "key 'carrier': 'stream,x=y': stream takes no options"},
        {"exec: a\nrole: bus\ncarrier: vhost-user\n", "key 'carrier': a bus under test is reached"},
        {"exec: a\nrole: driver\ncarrier: vhost-user\nclock: socket\n",
         "key 'clock': only a driver"},
        {"exec: a\ncarrier: vhost-user\ncontrol: socket\n", "key 'control': only an IUT"},
        {"connect: unix:x\ncarrier: stream\n", "key 'carrier': a carrier is chosen for exec only"},
        {"exec: a\nrole: bus\ncarrier: spsc\n", "key 'carrier': a bus under test is reached by"},
        {"exec: a\ncarrier: spsc\nbus: {max_msg_size: 65}\n",
         "key 'max_msg_size': '65' is not between 52 and 64"},
        {"connect: spsc:x\nbus: {max_msg_size: 264}\n", "'264' is not between 52 and 64"},
        {"listen: 'spsc:x,wakeup=fd:3'\n",
         "key 'listen': address 'spsc:x,wakeup=fd:3': a connected"},
        {"role: driver\nexec: x\nclock: sand\n",
         "p.yaml:3: key 'clock': 'sand' is none of real, socket"},
        {"exec: x\nclock: socket\n",
         "p.yaml:2: key 'clock': only a driver that exec starts can be given a clock socket"},
        {"role: driver\nconnect: unix:x\nclock: socket\n", "key 'clock': only a driver that exec"},
        {"role: driver\nexec: x\ncontrol: {start: go}\nclock: socket\n",
         "key 'clock': commands take their time by another clock"},
        {"devices: [{number: 1, type: \"a\\nb\"}]\n",
         "p.yaml:1: key 'type': 'a?b' is no name of a device type"},
        {"control: serial\n", "key 'control': 'serial' is none of socket, none"},
        {"control: [a]\n", "key 'control': it has to be socket, none or a mapping"},
        {"control:\n", "key 'control': it has to be socket, none or a mapping"},
        {"control: {launch: x}\n", "key 'launch': 'launch' is no control request; known are"},
        {"control: {start: 'x {hex}'}\n", "key 'start': '{hex}' is no word of 'start', whose"},
        {"control: {start: [a]}\n", "key 'start': it has to be a single value"},
        {"connect: unix:x\ncontrol: socket\n",
         "p.yaml:2: key 'control': only an IUT that exec starts can be given a control socket"},
        {"timeouts: {response: 1}\n", "key 'response': it has to be a time such as"},
        {"timeouts: {fence: 0ms}\n", "key 'fence': '0ms' is not between 1 and 3600000 ms"},
        {"timeouts: {fenec: 1s}\n", "key 'fenec': this key is unknown here"},
        {"declares: yes\n", "key 'declares': it has to be a mapping"},
        {"declares: {X-1: a}\n", "key 'X-1': this is no clause of virtio-msg-r1"},
        {"declares: {RTN-BUS-01: [a]}\n", "key 'RTN-BUS-01': it has to be a single value"},
        {"declares: {RTN-BUS-01: }\n", "key 'RTN-BUS-01': it has no value"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct pl_profile p;
        ck_assert_msg(parse(bad[i].text, &p) == -EINVAL, "accepted: %s", bad[i].text);
        ck_assert_msg(strstr(error, bad[i].error) != NULL, "'%s' not in '%s'", bad[i].error, error);
        ck_assert_msg(strncmp(error, "p.yaml:", 7) == 0, "%s", error);
    }
}
END_TEST

START_TEST(absent_file)
{
    struct pl_profile p;
    ck_assert_int_eq(pl_profile_load("/no/such.yaml", NULL, &p, error, sizeof error), -EINVAL);
    ck_assert_str_eq(error, "/no/such.yaml: cannot be read: No such file or directory");
}
END_TEST

START_TEST(roles)
{
    enum pl_role role;
    ck_assert(pl_role_find("bus", &role));
    ck_assert_int_eq(role, PL_ROLE_BUS);
    ck_assert_str_eq(pl_role_name(PL_ROLE_DRIVER), "driver");
    ck_assert(!pl_role_find("any", &role));
}
END_TEST

int main(void)
{
    Suite *suite = suite_create("profile");
    TCase *c = tcase_create("profiles");
    tcase_add_test(c, everything);
    tcase_add_test(c, carriers_and_memory);
    tcase_add_test(c, defaults);
    tcase_add_test(c, refusals);
    tcase_add_test(c, absent_file);
    tcase_add_test(c, roles);
    suite_add_tcase(suite, c);
    SRunner *runner = srunner_create(suite);
    srunner_run_all(runner, CK_ENV);
    int failed = srunner_ntests_failed(runner);
    srunner_free(runner);
    return failed != 0;
}
