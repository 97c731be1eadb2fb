/* `plumbline decode`: messages as text, from hexadecimal digits, files of them and pcapng traces.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/entry.h"
#include "report/internal.h"
#include "report/pcapng.h"

enum { WORDS_MAX = 256 };

static const char help[] =
    "usage: plumbline decode [--spec DRAFT] FILE|HEX...|-\n"
    "Print messages as text, one line each. A FILE is a pcapng trace, or text with one message of\n"
    "hexadecimal digits a line; blanks between bytes are allowed, # begins a comment. HEX is one\n"
    "message. - reads a file from standard input. A trace names its own draft.\n"
    "A FILE that is an entry of a corpus, or a case, is shown with what its clauses say.\n";

/* --- hexadecimal digits --- */

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    c = (char)tolower((unsigned char)c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Bytes of a text, `0x` in front and blanks between them allowed. Their number, or -1 with why. */
static ssize_t parse_hex(const char *text, uint8_t *out, size_t cap, char *why, size_t why_cap)
{
    size_t n = 0;
    text += strspn(text, " \t");
    if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X'))
        text += 2;
    for (;; text += 2) {
        text += strspn(text, " \t\r\n");
        if (!*text)
            break;
        if (digit(text[0]) < 0 || (text[1] && digit(text[1]) < 0)) {
            int bad = (unsigned char)(digit(text[0]) < 0 ? text[0] : text[1]);
            bool blank = bad && strchr(" \t\r\n", bad);
            snprintf(why, why_cap,
                     blank ? "a byte has one digit only" : "byte 0x%02x is no hexadecimal digit",
                     (unsigned)bad);
            return -1;
        }
        if (!text[1] || n == cap) {
            snprintf(why, why_cap,
                     n == cap ? "it is longer than a message can be (%zu bytes)"
                              : "the last of its bytes (%zu) has one digit only",
                     n == cap ? cap : n + 1);
            return -1;
        }
        out[n++] = (uint8_t)(digit(text[0]) << 4 | digit(text[1]));
    }
    if (!n)
        snprintf(why, why_cap, "there is no byte in it");
    return n ? (ssize_t)n : -1;
}

static int out_of_memory(void)
{
    return pl_cli_error(PL_EXIT_INTERNAL, "out of memory");
}

static int print_message(const struct pl_spec *spec, const void *bytes, size_t size)
{
    struct pl_trace_entry entry = {.bytes = bytes, .size = size};
    char *line = pl_text_message(spec, &entry);
    if (!line)
        return out_of_memory();
    puts(line);
    free(line);
    return 0;
}

static int decode_hex(const struct pl_spec *spec, const char *text, const char *where)
{
    char why[128];
    size_t cap = strlen(text) / 2 + 1;
    cap = cap > PL_MSG_MAX ? PL_MSG_MAX : cap;
    uint8_t *bytes = malloc(cap);
    if (!bytes)
        return out_of_memory();
    ssize_t n = parse_hex(text, bytes, cap, why, sizeof(why));
    int err = n < 0 ? pl_cli_error(PL_EXIT_USAGE, "%s: %s", where, why)
                    : print_message(spec, bytes, (size_t)n);
    free(bytes);
    return err;
}

static int decode_lines(const struct pl_spec *spec, FILE *in, const char *name)
{
    char *line = NULL, where[512];
    size_t cap = 0, number = 0, messages = 0;
    int err = 0;
    ssize_t n;
    while (!err && (n = getline(&line, &cap, in)) >= 0) {
        snprintf(where, sizeof(where), "%.400s:%zu", name, ++number);
        if (memchr(line, '\0', (size_t)n)) {
            err = pl_cli_error(PL_EXIT_USAGE, "%s: byte 0x00 is no hexadecimal digit", where);
            break;
        }
        line[strcspn(line, "#")] = '\0';
        if (line[strspn(line, " \t\r\n")] == '\0')
            continue;
        err = decode_hex(spec, line, where);
        messages++;
    }
    if (!err && ferror(in))
        err = pl_cli_error(PL_EXIT_USAGE, "%s: cannot be read: %s", name, strerror(errno));
    else if (!err && !messages)
        err = pl_cli_error(PL_EXIT_USAGE, "%s: there is no message in it", name);
    free(line);
    return err;
}

/* --- traces --- */

struct trace {
    const struct pl_spec *wanted; /* by the command line; NULL: as the trace says */
    const struct pl_spec *spec;
};

static int trace_group(void *opaque, uint32_t group, const char *bus)
{
    struct trace *t = opaque;
    char name[64] = "", *clean = pl_text_clean(bus);
    sscanf(bus, "spec=%63s", name);
    const struct pl_spec *named = pl_spec_find(name);
    t->spec = t->wanted ? t->wanted : named ? named : pl_cli_spec(NULL);
    if (!clean)
        return -ENOMEM;
    printf("group %u: %s\n", group, clean);
    free(clean);
    return 0;
}

static void print_comment(const char *comment)
{
    char *clean = pl_text_clean(comment), *save = NULL;
    for (char *line = clean ? strtok_r(clean, "\n", &save) : NULL; line;
         line = strtok_r(NULL, "\n", &save))
        printf("        %s\n", line);
    free(clean);
}

static int trace_message(void *opaque, const struct pl_trace_entry *entry, const char *comment)
{
    const struct trace *t = opaque;
    char *line = pl_text_message(t->spec, entry);
    if (!line)
        return -ENOMEM;
    printf("#%-6llu %11.6f %s %s\n", (unsigned long long)entry->number,
           (double)entry->time_ns / 1e9, pl_arrow(entry), line);
    free(line);
    if (comment)
        print_comment(comment);
    return 0;
}

static int decode_trace(const struct pl_spec *wanted, FILE *in, const char *name)
{
    static const struct pl_pcapng_reader_ops ops = {trace_group, trace_message};
    struct trace t = {wanted, wanted};
    char error[512];
    int err = pl_pcapng_read_stream(in, name, &ops, &t, error, sizeof(error));
    if (err == -ENOMEM)
        return out_of_memory();
    return err < 0 ? pl_cli_error(PL_EXIT_USAGE, "%s", error) : 0;
}

/* --- files --- */

/* All of standard input as a stream that can be read twice; NULL: no memory. *text owns it. */
static FILE *slurp(char **text)
{
    char part[4096];
    size_t size = 0, n;
    FILE *out = open_memstream(text, &size);
    while (out && (n = fread(part, 1, sizeof(part), stdin)) > 0)
        fwrite(part, 1, n, out);
    if (!out || fclose(out) != 0)
        return NULL;
    return size ? fmemopen(*text, size, "rb") : fopen("/dev/null", "rb");
}

static int decode_file(const struct pl_spec *wanted, const char *path)
{
    char magic[4] = "", *text = NULL;
    bool standard = strcmp(path, "-") == 0;
    const char *name = standard ? "standard input" : path;
    FILE *in = standard ? slurp(&text) : fopen(path, "rb");
    if (!in) {
        free(text);
        return pl_cli_error(PL_EXIT_USAGE, "%s: cannot be opened: %s", name, strerror(errno));
    }
    size_t n = fread(magic, 1, sizeof(magic), in);
    bool trace = n == sizeof(magic) && memcmp(magic, "\n\r\r\n", sizeof(magic)) == 0;
    rewind(in);
    int err = trace ? decode_trace(wanted, in, name)
                    : decode_lines(wanted ? wanted : pl_cli_spec(NULL), in, name);
    fclose(in);
    free(text);
    return err;
}

static int decode_word(const struct pl_spec *wanted, const char *word)
{
    struct stat st;
    char where[128];
    if (pl_cli_is_entry(word))
        return pl_cli_entry_show(word);
    if (strcmp(word, "-") == 0 || (stat(word, &st) == 0 && !S_ISDIR(st.st_mode)))
        return decode_file(wanted, word);
    snprintf(where, sizeof(where), "'%.60s' is no file, and as hexadecimal digits", word);
    return decode_hex(wanted ? wanted : pl_cli_spec(NULL), word, where);
}

int pl_cmd_decode(int argc, char **argv)
{
    const char *words[WORDS_MAX] = {NULL}, *spec_name = NULL;
    bool show_help = false;
    const struct pl_cli_option options[] = {
        {.name = "--spec", .value = &spec_name},
        {.name = "--help", .flag = &show_help},
        {.name = NULL},
    };
    int err = pl_cli_parse(argc, argv, options, words, WORDS_MAX);
    if (err)
        return err;
    if (show_help) {
        fputs(help, stdout);
        return 0;
    }
    const struct pl_spec *wanted = spec_name ? pl_cli_spec(spec_name) : NULL;
    if (spec_name && !wanted)
        return PL_EXIT_USAGE;
    if (!words[0])
        return pl_cli_error(PL_EXIT_USAGE, "decode: there is no FILE and no HEX to decode");
    for (size_t i = 0; !err && i < WORDS_MAX && words[i]; i++)
        err = decode_word(wanted, words[i]);
    return err;
}
