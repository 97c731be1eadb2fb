/* Building a YAML document's tree from libyaml's events, within bounds. */
#include "engine/yaml_doc.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "port/utf8.h"

struct pl_yaml_doc {
    char *name; /* the file's, as errors show it */
    struct pl_yaml *root;
    struct pl_yaml **nodes; /* all of them */
    size_t n_nodes, cap_nodes;
};

/* An anchor and the node that it names. */
struct anchor {
    char *name;
    struct pl_yaml *node;
};

struct builder {
    struct pl_yaml_doc *doc;
    yaml_parser_t parser;
    struct pl_yaml *open[PL_YAML_MAX_DEPTH]; /* sequences and mappings that are not complete */
    char *key[PL_YAML_MAX_DEPTH];            /* the key that waits for its value, or NULL */
    size_t depth;
    struct anchor *anchors;
    size_t n_anchors;
    unsigned documents;
    bool failed; /* the first error stands */
    char *error;
    size_t cap;
};

/* --- nodes --- */

__attribute__((format(printf, 3, 4))) static bool build_fail(struct builder *b, size_t line,
                                                             const char *format, ...)
{
    struct pl_yaml_doc *doc = b->doc;
    va_list args;
    if (b->failed)
        return false;
    b->failed = true;
    int used = line ? snprintf(b->error, b->cap, "%s:%zu: ", doc->name, line)
                    : snprintf(b->error, b->cap, "%s: ", doc->name);
    va_start(args, format);
    if (used >= 0 && (size_t)used < b->cap)
        vsnprintf(b->error + used, b->cap - (size_t)used, format, args);
    va_end(args);
    return false;
}

static struct pl_yaml *new_node(struct builder *b, enum pl_yaml_kind kind, size_t line)
{
    struct pl_yaml_doc *doc = b->doc;
    if (doc->n_nodes == PL_YAML_MAX_NODES) {
        build_fail(b, line, "more than %u values, aliases counted out", PL_YAML_MAX_NODES);
        return NULL;
    }
    if (doc->n_nodes == doc->cap_nodes) {
        size_t cap = doc->cap_nodes ? doc->cap_nodes * 2 : 64;
        struct pl_yaml **nodes = realloc(doc->nodes, cap * sizeof *nodes);
        if (!nodes) {
            build_fail(b, line, "no memory");
            return NULL;
        }
        doc->nodes = nodes;
        doc->cap_nodes = cap;
    }
    struct pl_yaml *node = calloc(1, sizeof *node);
    if (!node) {
        build_fail(b, line, "no memory");
        return NULL;
    }
    node->kind = kind;
    node->file = doc->name;
    node->line = (unsigned)line;
    doc->nodes[doc->n_nodes++] = node;
    return node;
}

/* Capacity doubles at powers of two, so that none has to be remembered. */
static bool append(struct builder *b, struct pl_yaml *parent, struct pl_yaml *node)
{
    size_t n = parent->n;
    if ((n & (n - 1)) == 0) {
        struct pl_yaml **items = realloc(parent->item, (n ? n * 2 : 1) * sizeof *items);
        if (!items)
            return build_fail(b, node->line, "no memory");
        parent->item = items;
    }
    parent->item[parent->n++] = node;
    return true;
}

static bool copy_text(struct builder *b, const void *bytes, size_t size, size_t line,
                      const char **out)
{
    if (memchr(bytes, '\0', size))
        return build_fail(b, line, "a value holds the character NUL");
    char *text = malloc(size + 1);
    if (!text)
        return build_fail(b, line, "no memory");
    memcpy(text, bytes, size);
    text[size] = '\0';
    *out = text;
    return true;
}

/* --- placing nodes --- */

static bool add_key(struct builder *b, const struct pl_yaml *node)
{
    char shown[64];
    struct pl_yaml *map = b->open[b->depth - 1];
    if (node->kind != PL_YAML_SCALAR)
        return build_fail(b, node->line, "a key has to be a plain word");
    if (map->n == PL_YAML_MAX_KEYS)
        return build_fail(b, node->line, "more than %u keys in one mapping", PL_YAML_MAX_KEYS);
    for (size_t i = 0; i < map->n; i++) {
        if (strcmp(map->item[i]->key, node->text) != 0)
            continue;
        pl_utf8_line(node->text, strlen(node->text), shown, sizeof shown);
        return build_fail(b, node->line, "key '%s': it stands here twice, first in line %u", shown,
                          map->item[i]->line);
    }
    b->key[b->depth - 1] = strdup(node->text);
    return b->key[b->depth - 1] || build_fail(b, node->line, "no memory");
}

/* Put a node where it belongs: at the top, into a sequence, as a key or as a key's value. */
static bool place(struct builder *b, struct pl_yaml *node)
{
    if (b->depth == 0) {
        b->doc->root = node;
        return true;
    }
    struct pl_yaml *parent = b->open[b->depth - 1];
    char **key = &b->key[b->depth - 1];
    if (parent->kind == PL_YAML_MAPPING && !*key)
        return add_key(b, node);
    const char *name = parent->kind == PL_YAML_MAPPING ? *key : parent->key;
    node->key = name ? strdup(name) : NULL;
    if (name && !node->key)
        return build_fail(b, node->line, "no memory");
    free(*key);
    *key = NULL;
    return append(b, parent, node);
}

static bool add_anchor(struct builder *b, const yaml_char_t *name, struct pl_yaml *node)
{
    if (!name)
        return true;
    if (b->n_anchors == PL_YAML_MAX_ANCHORS)
        return build_fail(b, node->line, "more than %u anchors", PL_YAML_MAX_ANCHORS);
    struct anchor *anchors = realloc(b->anchors, (b->n_anchors + 1) * sizeof *anchors);
    if (!anchors)
        return build_fail(b, node->line, "no memory");
    b->anchors = anchors;
    anchors[b->n_anchors].name = strdup((const char *)name);
    anchors[b->n_anchors].node = node;
    return anchors[b->n_anchors++].name || build_fail(b, node->line, "no memory");
}

/* A copy of a complete subtree; the bound on nodes stops the aliases that multiply. */
static struct pl_yaml *copy_tree(struct builder *b, const struct pl_yaml *from, size_t depth)
{
    struct pl_yaml *to = NULL;
    if (depth >= PL_YAML_MAX_DEPTH)
        build_fail(b, from->line, "nested more than %u deep", PL_YAML_MAX_DEPTH);
    else
        to = new_node(b, from->kind, from->line);
    if (!to)
        return NULL;
    to->plain = from->plain;
    to->length = from->length;
    if (from->text && !copy_text(b, from->text, strlen(from->text), from->line, &to->text))
        return NULL;
    for (size_t i = 0; i < from->n; i++) {
        struct pl_yaml *item = copy_tree(b, from->item[i], depth + 1);
        if (!item || !append(b, to, item))
            return NULL;
        item->key = from->item[i]->key ? strdup(from->item[i]->key) : NULL;
        if (from->item[i]->key && !item->key)
            return NULL;
    }
    return to;
}

/* --- events --- */

static bool on_alias(struct builder *b, const yaml_event_t *event, size_t line)
{
    const char *name = (const char *)event->data.alias.anchor;
    struct pl_yaml *node = NULL;
    for (size_t i = b->n_anchors; i > 0 && !node; i--)
        if (strcmp(b->anchors[i - 1].name, name) == 0)
            node = b->anchors[i - 1].node;
    if (!node)
        return build_fail(b, line, "alias '*%.40s' has no anchor before it", name);
    for (size_t i = 0; i < b->depth; i++)
        if (b->open[i] == node)
            return build_fail(b, line, "alias '*%.40s' stands inside what it names", name);
    node = copy_tree(b, node, b->depth);
    if (!node)
        return build_fail(b, line, "no memory");
    return place(b, node);
}

static bool on_scalar(struct builder *b, const yaml_event_t *event, size_t line)
{
    struct pl_yaml *node = new_node(b, PL_YAML_SCALAR, line);
    if (!node ||
        !copy_text(b, event->data.scalar.value, event->data.scalar.length, line, &node->text))
        return false;
    node->length = event->data.scalar.length;
    node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    return add_anchor(b, event->data.scalar.anchor, node) && place(b, node);
}

static bool on_open(struct builder *b, enum pl_yaml_kind kind, const yaml_char_t *anchor,
                    size_t line)
{
    struct pl_yaml *node = new_node(b, kind, line);
    if (!node || !add_anchor(b, anchor, node) || !place(b, node))
        return false;
    if (b->depth == PL_YAML_MAX_DEPTH)
        return build_fail(b, line, "nested more than %u deep", PL_YAML_MAX_DEPTH);
    b->key[b->depth] = NULL;
    b->open[b->depth++] = node;
    return true;
}

/* Tags would change a value's type behind its reader's back. */
static bool has_tag(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.tag != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.tag != NULL;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.tag != NULL;
    default:
        return false;
    }
}

static bool on_event(struct builder *b, const yaml_event_t *event)
{
    size_t line = event->start_mark.line + 1;
    if (has_tag(event))
        return build_fail(b, line, "tags ('!...') have no meaning here");
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        return ++b->documents == 1 || build_fail(b, line, "a second document begins here");
    case YAML_ALIAS_EVENT:
        return on_alias(b, event, line);
    case YAML_SCALAR_EVENT:
        return on_scalar(b, event, line);
    case YAML_SEQUENCE_START_EVENT:
        return on_open(b, PL_YAML_SEQUENCE, event->data.sequence_start.anchor, line);
    case YAML_MAPPING_START_EVENT:
        return on_open(b, PL_YAML_MAPPING, event->data.mapping_start.anchor, line);
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        b->depth--;
        return true;
    default:
        return true;
    }
}

static bool run(struct builder *b)
{
    bool more = true;
    while (more) {
        yaml_event_t event;
        if (!yaml_parser_parse(&b->parser, &event))
            return build_fail(b, b->parser.problem_mark.line + 1, "this is not YAML: %s",
                              b->parser.problem ? b->parser.problem : "it cannot be read");
        bool ok = on_event(b, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (!ok)
            return false;
    }
    return b->doc->root || build_fail(b, 0, "the file is empty");
}

static void builder_free(struct builder *b)
{
    for (size_t i = 0; i < b->depth; i++)
        free(b->key[i]);
    for (size_t i = 0; i < b->n_anchors; i++)
        free(b->anchors[i].name);
    free(b->anchors);
    yaml_parser_delete(&b->parser);
}

/* --- loading --- */

const struct pl_yaml *pl_yaml_root(const struct pl_yaml_doc *doc)
{
    return doc->root;
}

void pl_yaml_free(struct pl_yaml_doc *doc)
{
    if (!doc)
        return;
    for (size_t i = 0; i < doc->n_nodes; i++) {
        free((void *)(uintptr_t)doc->nodes[i]->key);
        free((void *)(uintptr_t)doc->nodes[i]->text);
        free(doc->nodes[i]->item);
        free(doc->nodes[i]);
    }
    free(doc->nodes);
    free(doc->name);
    free(doc);
}

/* The line, from 1 on, of a byte. */
static size_t line_of(const char *bytes, size_t at)
{
    size_t line = 1;
    for (size_t i = 0; i < at; i++)
        line += bytes[i] == '\n';
    return line;
}

static bool check_bytes(struct builder *b, const char *bytes, size_t size)
{
    if (size > PL_YAML_MAX_BYTES)
        return build_fail(b, 0, "the file is larger than %zu MiB", PL_YAML_MAX_BYTES >> 20);
    size_t valid = pl_utf8_valid(bytes, size);
    if (valid < size)
        return build_fail(b, line_of(bytes, valid), "byte 0x%02x is not UTF-8",
                          (unsigned)(unsigned char)bytes[valid]);
    if (memchr(bytes, '\0', size))
        return build_fail(b, 0, "this is not YAML: it holds NUL bytes");
    return true;
}

struct pl_yaml_doc *pl_yaml_load_memory(const char *name, const void *bytes, size_t size,
                                        char *error, size_t cap)
{
    struct builder b = {.doc = calloc(1, sizeof *b.doc), .error = error, .cap = cap};
    if (b.doc)
        b.doc->name = strdup(name);
    if (!b.doc || !b.doc->name || !yaml_parser_initialize(&b.parser)) {
        snprintf(error, cap, "%s: no memory", name);
        pl_yaml_free(b.doc);
        return NULL;
    }
    yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&b.parser, bytes ? bytes : (const void *)"", size);
    bool ok = (size == 0 || check_bytes(&b, bytes, size)) && run(&b);
    builder_free(&b);
    if (ok)
        return b.doc;
    pl_yaml_free(b.doc);
    return NULL;
}

/* Read a file to its end or to one byte more than a document may have. */
static int read_file(const char *path, char *bytes, size_t *size)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return -errno;
    errno = 0;
    *size = fread(bytes, 1, PL_YAML_MAX_BYTES + 1, file);
    int err = ferror(file) ? (errno ? -errno : -EIO) : 0;
    fclose(file);
    return err;
}

struct pl_yaml_doc *pl_yaml_load_file(const char *path, char *error, size_t cap)
{
    size_t size = 0;
    char *bytes = malloc(PL_YAML_MAX_BYTES + 1);
    int r = bytes ? read_file(path, bytes, &size) : -ENOMEM;
    struct pl_yaml_doc *doc = NULL;
    if (r < 0)
        snprintf(error, cap, "%s: cannot be read: %s", path, strerror(-r));
    else
        doc = pl_yaml_load_memory(path, bytes, size, error, cap);
    free(bytes);
    return doc;
}
