/* Reading a profile: every key of the bindings' section 6, checked one by one and together. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/profile.h"
#include "engine/yaml_doc.h"
#include "port/control.h"

#define MEM_SIZE_MIN 4096u
#define MEM_SIZE_MAX (UINT64_C(64) << 30)
#define TIMEOUT_MAX  UINT64_C(3600000)

/* What a profile is read with. */
struct load {
    struct pl_profile *p;
    const struct pl_profile_lookup *lookup;
    const struct pl_yaml *root;
    char *error;
    size_t cap;
};

/* A copy of a value's text. */
static bool keep(struct load *l, const struct pl_yaml *node, const char *text, char **out)
{
    *out = strdup(text);
    return *out || pl_yaml_error(node, l->error, l->cap, "no memory for it");
}

/* A key's text, copied; nothing where the key is absent. */
static bool keep_key(struct load *l, const char *key, char **out)
{
    const struct pl_yaml *node = pl_yaml_get(l->root, key);
    const char *text;
    return !node || (pl_yaml_string(node, &text, l->error, l->cap) && keep(l, node, text, out));
}

/* --- name, role, spec --- */

static bool load_role(struct load *l)
{
    static const char *const words[] = {"device", "driver", "bus", NULL};
    size_t role = l->p->role;
    if (!pl_yaml_get_word(l->root, "role", words, &role, l->error, l->cap))
        return false;
    l->p->role = (enum pl_role)role;
    return true;
}

static const struct pl_spec *find_spec(const struct load *l, const char *name)
{
    if (l->lookup && l->lookup->spec)
        return l->lookup->spec(l->lookup->opaque, name);
    return pl_spec_find(name);
}

static bool load_spec(struct load *l)
{
    char known[256] = "";
    size_t used = 0;
    const struct pl_yaml *node = pl_yaml_get(l->root, "spec");
    const char *name = NULL;
    if (!node)
        return true;
    if (!pl_yaml_string(node, &name, l->error, l->cap))
        return false;
    l->p->spec = find_spec(l, name);
    for (size_t i = 0; pl_specs[i] && used < sizeof known; i++)
        used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                                 pl_specs[i]->name);
    return l->p->spec || pl_yaml_error(node, l->error, l->cap,
                                       "'%.60s' is no specification; known are %s", name, known);
}

/* --- how it is reached --- */

static bool load_address(struct load *l, const char *key, bool listening, char **out)
{
    const struct pl_yaml *node = pl_yaml_get(l->root, key);
    char why[300];
    if (!keep_key(l, key, out))
        return false;
    if (!node || pl_address_check(*out, listening, why, sizeof why) == 0)
        return true;
    return pl_yaml_error(node, l->error, l->cap, "%s", why);
}

static bool load_carrier(struct load *l)
{
    const struct pl_yaml *node = pl_yaml_get(l->root, "carrier");
    const char *text, *options;
    char why[200];
    if (!node)
        return true;
    if (!pl_yaml_string(node, &text, l->error, l->cap))
        return false;
    if (!pl_carrier_find(text, &l->p->carrier, &options, why, sizeof why))
        return pl_yaml_error(node, l->error, l->cap, "%s", why);
    l->p->carrier_options = options ? strdup(options) : NULL;
    return !options || l->p->carrier_options ||
           pl_yaml_error(node, l->error, l->cap, "out of memory");
}

static bool load_reach(struct load *l)
{
    struct pl_profile *p = l->p;
    if (!keep_key(l, "exec", &p->exec) || !load_address(l, "connect", false, &p->connect) ||
        !load_address(l, "listen", true, &p->listen) ||
        !load_address(l, "device-side", p->listen != NULL, &p->device_side))
        return false;
    const char *first = p->exec ? "exec" : "connect";
    const char *second = p->exec && p->connect ? "connect" : "listen";
    if (!!p->exec + !!p->connect + !!p->listen > 1)
        return pl_yaml_error(pl_yaml_get(l->root, second), l->error, l->cap,
                             "'%s' is given too, and only one of exec, connect and listen can be",
                             first);
    if (p->exec && p->exec[strspn(p->exec, " \t\n")] == '\0')
        return pl_yaml_error(pl_yaml_get(l->root, "exec"), l->error, l->cap,
                             "the command is empty");
    if (!load_carrier(l))
        return false;
    if (pl_yaml_get(l->root, "carrier") && (p->connect || p->listen))
        return pl_yaml_error(pl_yaml_get(l->root, "carrier"), l->error, l->cap,
                             "a carrier is chosen for exec only: an address says it already");
    if (p->role == PL_ROLE_BUS &&
        (p->carrier == PL_CARRIER_SPSC || p->carrier == PL_CARRIER_VHOST_USER))
        return pl_yaml_error(pl_yaml_get(l->root, "carrier"), l->error, l->cap,
                             "a bus under test is reached by sockets");
    if (p->role == PL_ROLE_BUS && (p->connect || p->listen) && !p->device_side)
        return pl_yaml_error(pl_yaml_get(l->root, p->connect ? "connect" : "listen"), l->error,
                             l->cap,
                             "a bus has two sides: this is its driver side, and "
                             "'device-side' is missing");
    if (p->device_side && (p->role != PL_ROLE_BUS || p->exec))
        return pl_yaml_error(pl_yaml_get(l->root, "device-side"), l->error, l->cap,
                             p->exec ? "exec gives a bus both sides"
                                     : "only a bus has a device side");
    const char *near = p->connect ? p->connect : p->listen ? p->listen : "";
    if (p->role == PL_ROLE_BUS &&
        (pl_is_spsc(near) || (p->device_side && pl_is_spsc(p->device_side))))
        return pl_yaml_error(pl_yaml_get(l->root, p->connect ? "connect" : "listen"), l->error,
                             l->cap, "a bus under test is reached by sockets");
    if (p->connect && strncmp(p->connect, "vhost-user:", 11) == 0 && p->role != PL_ROLE_DEVICE)
        return pl_yaml_error(pl_yaml_get(l->root, "connect"), l->error, l->cap,
                             "vhost-user reaches a device, and role is %s", pl_role_name(p->role));
    if (p->listen && strncmp(p->listen, "vhost-user:", 11) == 0 && p->role != PL_ROLE_DRIVER)
        return pl_yaml_error(pl_yaml_get(l->root, "listen"), l->error, l->cap,
                             "a driver is behind a vhost-user front-end, and role is %s",
                             pl_role_name(p->role));
    return true;
}

/* --- bus --- */

static bool load_feature(struct load *l, const struct pl_yaml *node)
{
    const struct pl_spec *spec = l->p->spec;
    char known[256] = "none";
    const char *name;
    size_t used = 0;
    if (!pl_yaml_string(node, &name, l->error, l->cap))
        return false;
    for (const struct pl_constant *f = spec->transport_features; f->name; f++) {
        if (strcmp(f->name, name) == 0) {
            uint32_t bit = UINT32_C(1) << (f->value & 31);
            if (l->p->bus.features & bit)
                return pl_yaml_error(node, l->error, l->cap, "'%s' stands here twice", name);
            l->p->bus.features |= bit;
            return true;
        }
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, "%s%s", used ? ", " : "",
                                     f->name);
    }
    return pl_yaml_error(node, l->error, l->cap,
                         "'%.60s' is no transport feature of %s; known are %s", name, spec->name,
                         known);
}

/* The largest message that the way to the IUT has room for. */
static uint32_t carrier_max(const struct pl_profile *p)
{
    bool spsc = (p->connect && pl_is_spsc(p->connect)) || (p->listen && pl_is_spsc(p->listen)) ||
                p->carrier == PL_CARRIER_SPSC;
    return spsc && pl_spsc_message_max < p->spec->max_max_msg_size ? pl_spsc_message_max
                                                                   : p->spec->max_max_msg_size;
}

static bool load_bus(struct load *l)
{
    static const char *const known[] = {"revision", "max_msg_size", "features", NULL};
    const struct pl_spec *spec = l->p->spec;
    const struct pl_yaml *bus = pl_yaml_get(l->root, "bus"), *features;
    uint32_t most = carrier_max(l->p);
    uint64_t revision = spec->revision;
    uint64_t size = most < spec->recommended_max_msg_size ? most : spec->recommended_max_msg_size;
    l->p->bus = (struct pl_bus_params){spec->revision, (uint32_t)size, 0};
    if (!bus)
        return true;
    l->p->bus_stated = true;
    if (!pl_yaml_known_keys(bus, known, l->error, l->cap) ||
        !pl_yaml_get_uint(bus, "revision", 1, UINT32_MAX, &revision, l->error, l->cap) ||
        !pl_yaml_get_uint(bus, "max_msg_size", spec->min_max_msg_size, most, &size, l->error,
                          l->cap))
        return false;
    l->p->bus.revision = (uint32_t)revision;
    l->p->bus.max_msg_size = (uint32_t)size;
    features = pl_yaml_get(bus, "features");
    if (features && !pl_yaml_expect(features, PL_YAML_SEQUENCE, l->error, l->cap))
        return false;
    for (size_t i = 0; features && i < features->n; i++)
        if (!load_feature(l, features->item[i]))
            return false;
    return true;
}

/* --- devices --- */

static bool is_type(const char *text)
{
    for (const char *c = text; *c; c++)
        if (!isalnum((unsigned char)*c) && *c != '-' && *c != '_')
            return false;
    return *text != '\0';
}

static bool load_device(struct load *l, const struct pl_yaml *node)
{
    static const char *const known[] = {"number", "type", NULL};
    struct pl_profile_device *device = &l->p->devices[l->p->n_devices];
    const char *type = NULL;
    uint64_t number = 0;
    if (!pl_yaml_known_keys(node, known, l->error, l->cap))
        return false;
    if (!pl_yaml_get(node, "number"))
        return pl_yaml_error(node, l->error, l->cap, "a device needs a 'number'");
    if (!pl_yaml_get_uint(node, "number", 0, UINT16_MAX, &number, l->error, l->cap) ||
        !pl_yaml_get_string(node, "type", &type, l->error, l->cap))
        return false;
    for (size_t i = 0; i < l->p->n_devices; i++)
        if (l->p->devices[i].number == number)
            return pl_yaml_error(pl_yaml_get(node, "number"), l->error, l->cap,
                                 "device %u stands here twice", (unsigned)number);
    if (type && !is_type(type))
        return pl_yaml_error(pl_yaml_get(node, "type"), l->error, l->cap,
                             "'%.40s' is no name of a device type", type);
    l->p->n_devices++;
    *device = (struct pl_profile_device){.number = (uint16_t)number};
    return !type || keep(l, node, type, &device->type);
}

static bool load_devices(struct load *l)
{
    const struct pl_yaml *list = pl_yaml_get(l->root, "devices");
    if (!list)
        return true;
    if (!pl_yaml_expect(list, PL_YAML_SEQUENCE, l->error, l->cap))
        return false;
    if (list->n == 0 || list->n > 4096)
        return pl_yaml_error(list, l->error, l->cap, "it has to list 1 to 4096 devices");
    l->p->devices = calloc(list->n, sizeof *l->p->devices);
    if (!l->p->devices)
        return pl_yaml_error(list, l->error, l->cap, "no memory for it");
    for (size_t i = 0; i < list->n; i++)
        if (!load_device(l, list->item[i]))
            return false;
    return true;
}

/* --- memory --- */

/* A file that both ends map: what is not stated of it is the file's own. */
static bool load_memory_file(struct load *l, const struct pl_yaml *map)
{
    const struct pl_yaml *path = pl_yaml_get(map, "path");
    const char *text;
    if (!path)
        return true;
    if (!pl_yaml_string(path, &text, l->error, l->cap) || !keep(l, path, text, &l->p->mem_path))
        return false;
    const char *address = l->p->connect ? l->p->connect : l->p->listen;
    if (address && strncmp(address, "vhost-user:", 11) == 0)
        return pl_yaml_error(path, l->error, l->cap,
                             "vhost-user shares its own memory: no file can be given");
    if (!pl_yaml_get(map, "size"))
        l->p->mem_size = 0;
    return true;
}

static bool load_memory(struct load *l)
{
    static const char *const known[] = {"path", "size", "base", NULL};
    const struct pl_yaml *node = pl_yaml_get(l->root, "memory");
    uint64_t size = l->p->mem_size, base = l->p->mem_base;
    if (!node)
        return true;
    if (node->kind != PL_YAML_MAPPING) {
        if (!pl_yaml_size(node, MEM_SIZE_MIN, MEM_SIZE_MAX, &size, l->error, l->cap))
            return false;
    } else if (!pl_yaml_known_keys(node, known, l->error, l->cap) ||
               !pl_yaml_get_size(node, "size", MEM_SIZE_MIN, MEM_SIZE_MAX, &size, l->error,
                                 l->cap) ||
               !pl_yaml_get_uint(node, "base", 1, UINT64_MAX, &base, l->error, l->cap)) {
        return false;
    }
    if (base % MEM_SIZE_MIN != 0 || base > UINT64_MAX - size)
        return pl_yaml_error(
            pl_yaml_get(node, "base") ? pl_yaml_get(node, "base") : node, l->error, l->cap,
            "the base is a multiple of %u, and base plus size is below 2^64", MEM_SIZE_MIN);
    l->p->mem_size = (size_t)size;
    l->p->mem_base = base;
    return node->kind != PL_YAML_MAPPING || load_memory_file(l, node);
}

/* --- control --- */

static bool load_commands(struct load *l, const struct pl_yaml *map)
{
    char **commands = calloc(map->n * 2 + 1, sizeof *commands);
    char why[400];
    l->p->control_commands = commands;
    if (!commands)
        return pl_yaml_error(map, l->error, l->cap, "no memory for it");
    for (size_t i = 0; i < map->n; i++) {
        const struct pl_yaml *node = map->item[i];
        const char *text;
        if (!pl_yaml_string(node, &text, l->error, l->cap))
            return false;
        if (pl_control_command_check(node->key, text, why, sizeof why) < 0)
            return pl_yaml_error(node, l->error, l->cap, "%s", why);
        if (!keep(l, node, node->key, &commands[i * 2]) ||
            !keep(l, node, text, &commands[i * 2 + 1]))
            return false;
    }
    l->p->control = PL_CONTROL_COMMANDS;
    return true;
}

static bool load_control(struct load *l)
{
    static const char *const words[] = {"socket", "none", NULL};
    const struct pl_yaml *node = pl_yaml_get(l->root, "control");
    bool by_address = l->p->connect || l->p->listen || l->p->carrier == PL_CARRIER_VHOST_USER;
    size_t word;
    if (!node) {
        l->p->control = by_address ? PL_CONTROL_NONE : PL_CONTROL_SOCKET;
        return true;
    }
    if (node->kind == PL_YAML_SEQUENCE || pl_yaml_is_null(node))
        return pl_yaml_error(node, l->error, l->cap,
                             "it has to be socket, none or a mapping of requests to commands");
    if (node->kind == PL_YAML_MAPPING)
        return load_commands(l, node);
    if (!pl_yaml_word(node, words, &word, l->error, l->cap))
        return false;
    l->p->control = word == 0 ? PL_CONTROL_SOCKET : PL_CONTROL_NONE;
    return word != 0 || !by_address ||
           pl_yaml_error(node, l->error, l->cap,
                         "only an IUT that exec starts can be given a control socket");
}

static bool load_clock(struct load *l)
{
    static const char *const words[] = {"real", "socket", NULL};
    const struct pl_yaml *node = pl_yaml_get(l->root, "clock");
    size_t word;
    if (!node)
        return true;
    if (!pl_yaml_word(node, words, &word, l->error, l->cap))
        return false;
    l->p->clock = word == 1;
    if (l->p->clock && (l->p->connect || l->p->listen || l->p->role != PL_ROLE_DRIVER ||
                        l->p->carrier == PL_CARRIER_VHOST_USER))
        return pl_yaml_error(node, l->error, l->cap,
                             "only a driver that exec starts can be given a clock socket");
    return !l->p->clock || l->p->control != PL_CONTROL_COMMANDS ||
           pl_yaml_error(node, l->error, l->cap,
                         "commands take their time by another clock: 'control' is to be socket");
}

/* --- timeouts, statements --- */

static bool load_timeout(struct load *l, const struct pl_yaml *map, const char *key, int *out)
{
    uint64_t value = (uint64_t)*out;
    if (!pl_yaml_get_duration(map, key, 1, TIMEOUT_MAX, &value, l->error, l->cap))
        return false;
    *out = (int)value;
    return true;
}

static bool load_timeouts(struct load *l)
{
    static const char *const known[] = {"response", "reset", "fence", NULL};
    const struct pl_yaml *map = pl_yaml_get(l->root, "timeouts");
    return !map || (pl_yaml_known_keys(map, known, l->error, l->cap) &&
                    load_timeout(l, map, "response", &l->p->response_ms) &&
                    load_timeout(l, map, "reset", &l->p->reset_ms) &&
                    load_timeout(l, map, "fence", &l->p->fence_ms));
}

static bool load_declares(struct load *l)
{
    const struct pl_yaml *map = pl_yaml_get(l->root, "declares");
    if (!map)
        return true;
    if (!pl_yaml_expect(map, PL_YAML_MAPPING, l->error, l->cap))
        return false;
    l->p->declares = calloc(map->n + 1, sizeof *l->p->declares);
    if (!l->p->declares)
        return pl_yaml_error(map, l->error, l->cap, "no memory for it");
    for (size_t i = 0; i < map->n; i++) {
        const struct pl_yaml *node = map->item[i];
        struct pl_profile_statement *statement = &l->p->declares[l->p->n_declares++];
        const char *text;
        if (l->lookup && l->lookup->clause &&
            !l->lookup->clause(l->lookup->opaque, l->p->spec, node->key))
            return pl_yaml_error(node, l->error, l->cap, "this is no clause of %s",
                                 l->p->spec->name);
        if (!pl_yaml_string(node, &text, l->error, l->cap) ||
            !keep(l, node, node->key, &statement->clause) || !keep(l, node, text, &statement->text))
            return false;
    }
    return true;
}

/* --- the whole --- */

static bool load_all(struct load *l)
{
    static const char *const known[] = {
        "name",    "role",   "spec",    "exec",     "connect",  "listen",      "carrier", "bus",
        "devices", "memory", "control", "timeouts", "declares", "device-side", "clock",   NULL};
    return pl_yaml_known_keys(l->root, known, l->error, l->cap) &&
           keep_key(l, "name", &l->p->name) && load_role(l) && load_spec(l) && load_reach(l) &&
           load_bus(l) && load_devices(l) && load_memory(l) && load_control(l) && load_clock(l) &&
           load_timeouts(l) && load_declares(l);
}

/* Read a document, which is freed, into a profile. */
static int load_document(struct pl_yaml_doc *doc, const struct pl_profile_lookup *lookup,
                         struct pl_profile *out, char *error, size_t cap)
{
    if (!doc)
        return -EINVAL;
    struct load l = {out, lookup, pl_yaml_root(doc), error, cap};
    pl_profile_default(out);
    bool ok = keep(&l, l.root, l.root->file, &out->file) && load_all(&l);
    pl_yaml_free(doc);
    if (ok)
        return 0;
    pl_profile_free(out);
    return -EINVAL;
}

int pl_profile_load(const char *path, const struct pl_profile_lookup *lookup,
                    struct pl_profile *out, char *error, size_t cap)
{
    return load_document(pl_yaml_load_file(path, error, cap), lookup, out, error, cap);
}

int pl_profile_parse(const char *name, const void *bytes, size_t size,
                     const struct pl_profile_lookup *lookup, struct pl_profile *out, char *error,
                     size_t cap)
{
    return load_document(pl_yaml_load_memory(name, bytes, size, error, cap), lookup, out, error,
                         cap);
}
