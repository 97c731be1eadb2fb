/* The expression language of scenarios: a small precedence parser and evaluator. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/expr.h"

enum { NAME_MAX_LEN = 64 /* its end included */, ARGS_MAX = 4, DEPTH_MAX = 64, NODES_MAX = 1000 };

enum op {
    OP_NUMBER,
    OP_NAME,
    OP_CALL,
    OP_NOT,
    OP_INV,
    OP_MUL,
    OP_DIV,
    OP_MOD,
    OP_ADD,
    OP_SUB,
    OP_SHL,
    OP_SHR,
    OP_LT,
    OP_LE,
    OP_GT,
    OP_GE,
    OP_EQ,
    OP_NE,
    OP_AND,
    OP_XOR,
    OP_OR,
    OP_LAND,
    OP_LOR
};

struct node {
    enum op op;
    uint64_t number;
    char text[NAME_MAX_LEN + 2];
    struct pl_expr_name name;
    struct node *arg[ARGS_MAX];
    size_t n_args;
};

struct pl_expr {
    struct node *root;
    char *text;
};

struct parser {
    const char *p;
    char *why;
    size_t cap;
    int depth;
    unsigned nodes;
};

/* Binary operators; the longer spellings first. */
static const struct {
    const char *text;
    enum op op;
    int level;
} operators[] = {
    {"<<", OP_SHL, 8}, {">>", OP_SHR, 8}, {"<=", OP_LE, 7},    {">=", OP_GE, 7},
    {"==", OP_EQ, 6},  {"!=", OP_NE, 6},  {"&&", OP_LAND, 2},  {"||", OP_LOR, 1},
    {"*", OP_MUL, 10}, {"/", OP_DIV, 10}, {"%", OP_MOD, 10},   {"+", OP_ADD, 9},
    {"-", OP_SUB, 9},  {"<", OP_LT, 7},   {">", OP_GT, 7},     {"&", OP_AND, 5},
    {"^", OP_XOR, 4},  {"|", OP_OR, 3},   {"and", OP_LAND, 2}, {"or", OP_LOR, 1},
};

static struct node *parse_binary(struct parser *s, int level);

static void free_node(struct node *n)
{
    if (!n)
        return;
    for (size_t i = 0; i < n->n_args; i++)
        free_node(n->arg[i]);
    free(n);
}

static struct node *fail(struct parser *s, const char *what)
{
    if (!s->why[0])
        snprintf(s->why, s->cap, "%s at '%.24s'", what, s->p);
    return NULL;
}

static void blanks(struct parser *s)
{
    while (isspace((unsigned char)*s->p))
        s->p++;
}

static struct node *make(enum op op, struct node *a, struct node *b)
{
    struct node *n = calloc(1, sizeof(*n));
    if (!n) {
        free_node(a);
        free_node(b);
        return NULL;
    }
    n->op = op;
    n->arg[0] = a;
    n->arg[1] = b;
    n->n_args = b ? 2 : a ? 1 : 0;
    return n;
}

static struct node *parse_number(struct parser *s)
{
    char *end;
    errno = 0;
    unsigned long long value = strtoull(s->p, &end, 0);
    if (errno || isalnum((unsigned char)*end) || *end == '_')
        return fail(s, "not a 64-bit number");
    struct node *n = make(OP_NUMBER, NULL, NULL);
    if (n)
        n->number = value;
    s->p = end;
    return n;
}

static struct node *parse_args(struct parser *s, struct node *n)
{
    n->op = OP_CALL;
    strcat(n->text, "()");
    s->p++;
    blanks(s);
    while (*s->p != ')') {
        struct node *arg =
            n->n_args < ARGS_MAX ? parse_binary(s, 1) : fail(s, "too many arguments");
        if (!arg) {
            free_node(n);
            return NULL;
        }
        n->arg[n->n_args++] = arg;
        blanks(s);
        if (*s->p == ',')
            s->p++;
        else if (*s->p != ')') {
            free_node(n);
            return fail(s, "')' or ',' is missing");
        }
        blanks(s);
    }
    s->p++;
    return n;
}

static struct node *parse_name(struct parser *s)
{
    struct node *n = make(OP_NAME, NULL, NULL);
    size_t len = 0;
    if (!n)
        return NULL;
    s->p += *s->p == '$';
    while (isalnum((unsigned char)s->p[len]) || s->p[len] == '_' || s->p[len] == '.')
        len++;
    if (!len || len >= NAME_MAX_LEN) {
        free_node(n);
        return fail(s, "a name is expected");
    }
    memcpy(n->text, s->p, len);
    n->name.text = n->text;
    s->p += len;
    return *s->p == '(' ? parse_args(s, n) : n;
}

static bool word(const struct parser *s, const char *text)
{
    size_t n = strlen(text);
    return strncmp(s->p, text, n) == 0 && !isalnum((unsigned char)s->p[n]) && s->p[n] != '_';
}

static struct node *parse_unary(struct parser *s)
{
    blanks(s);
    if (++s->depth > DEPTH_MAX)
        return fail(s, "nested too deep");
    if (++s->nodes > NODES_MAX)
        return fail(s, "longer than 1000 terms");
    struct node *n = NULL;
    if (*s->p == '(') {
        s->p++;
        n = parse_binary(s, 1);
        blanks(s);
        if (n && *s->p != ')') {
            free_node(n);
            n = fail(s, "')' is missing");
        } else if (n) {
            s->p++;
        }
    } else if (word(s, "not") || (*s->p == '!' && s->p[1] != '=')) {
        s->p += *s->p == '!' ? 1 : 3;
        n = parse_unary(s);
        n = n ? make(OP_NOT, n, NULL) : NULL;
    } else if (*s->p == '~') {
        s->p++;
        n = parse_unary(s);
        n = n ? make(OP_INV, n, NULL) : NULL;
    } else if (isdigit((unsigned char)*s->p)) {
        n = parse_number(s);
    } else if (isalpha((unsigned char)*s->p) || *s->p == '_' || *s->p == '$') {
        n = parse_name(s);
    } else {
        n = fail(s, *s->p ? "not part of an expression" : "something is missing");
    }
    s->depth--;
    return n;
}

static int operator_at(struct parser *s)
{
    blanks(s);
    for (size_t i = 0; i < sizeof(operators) / sizeof(operators[0]); i++) {
        const char *text = operators[i].text;
        bool alpha = isalpha((unsigned char)text[0]) != 0;
        if (alpha ? word(s, text) : strncmp(s->p, text, strlen(text)) == 0)
            return (int)i;
    }
    return -1;
}

static struct node *parse_binary(struct parser *s, int level)
{
    struct node *left = parse_unary(s);
    while (left) {
        int i = operator_at(s);
        if (i < 0 || operators[i].level < level)
            break;
        s->p += strlen(operators[i].text);
        struct node *right = parse_binary(s, operators[i].level + 1);
        if (!right) {
            free_node(left);
            return NULL;
        }
        left = make(operators[i].op, left, right);
    }
    return left;
}

struct pl_expr *pl_expr_parse(const char *text, char *why, size_t cap)
{
    struct parser s = {.p = text, .why = why, .cap = cap};
    why[0] = '\0';
    struct node *root = parse_binary(&s, 1);
    blanks(&s);
    if (root && *s.p) {
        free_node(root);
        root = fail(&s, "more than one expression");
    }
    struct pl_expr *expr = root ? calloc(1, sizeof(*expr)) : NULL;
    if (!expr) {
        free_node(root);
        return NULL;
    }
    expr->root = root;
    expr->text = strdup(text);
    return expr;
}

void pl_expr_free(struct pl_expr *expr)
{
    if (!expr)
        return;
    free_node(expr->root);
    free(expr->text);
    free(expr);
}

const char *pl_expr_text(const struct pl_expr *expr)
{
    return expr->text ? expr->text : "";
}

static bool binary(enum op op, uint64_t a, uint64_t b, uint64_t *out, char *why, size_t cap)
{
    if ((op == OP_DIV || op == OP_MOD) && b == 0) {
        snprintf(why, cap, "division by zero");
        return false;
    }
    if ((op == OP_SHL || op == OP_SHR) && b > 63) {
        snprintf(why, cap, "a shift by more than 63 bits");
        return false;
    }
    switch (op) {
    case OP_MUL:
        *out = a * b;
        break;
    case OP_DIV:
        *out = a / b;
        break;
    case OP_MOD:
        *out = a % b;
        break;
    case OP_ADD:
        *out = a + b;
        break;
    case OP_SUB:
        *out = a - b;
        break;
    case OP_SHL:
        *out = a << b;
        break;
    case OP_SHR:
        *out = a >> b;
        break;
    case OP_LT:
        *out = a < b;
        break;
    case OP_LE:
        *out = a <= b;
        break;
    case OP_GT:
        *out = a > b;
        break;
    case OP_GE:
        *out = a >= b;
        break;
    case OP_EQ:
        *out = a == b;
        break;
    case OP_NE:
        *out = a != b;
        break;
    case OP_AND:
        *out = a & b;
        break;
    case OP_XOR:
        *out = a ^ b;
        break;
    default:
        *out = a | b;
        break;
    }
    return true;
}

static bool eval(const struct node *n, const struct pl_expr_env *env, uint64_t *out, char *why,
                 size_t cap)
{
    uint64_t v[ARGS_MAX];
    switch (n->op) {
    case OP_NUMBER:
        *out = n->number;
        return true;
    case OP_NAME:
        return env->name(env->opaque, &n->name, out, why, cap);
    case OP_LAND:
    case OP_LOR:
        if (!eval(n->arg[0], env, &v[0], why, cap))
            return false;
        *out = v[0] != 0;
        if ((v[0] != 0) == (n->op == OP_LOR))
            return true;
        if (!eval(n->arg[1], env, &v[1], why, cap))
            return false;
        *out = v[1] != 0;
        return true;
    default:
        break;
    }
    for (size_t i = 0; i < n->n_args; i++)
        if (!eval(n->arg[i], env, &v[i], why, cap))
            return false;
    if (n->op == OP_CALL)
        return env->call(env->opaque, &n->name, v, n->n_args, out, why, cap);
    if (n->op == OP_NOT || n->op == OP_INV) {
        *out = n->op == OP_NOT ? !v[0] : ~v[0];
        return true;
    }
    return binary(n->op, v[0], v[1], out, why, cap);
}

bool pl_expr_eval(const struct pl_expr *expr, const struct pl_expr_env *env, uint64_t *value,
                  char *why, size_t cap)
{
    return eval(expr->root, env, value, why, cap);
}

static void names(const struct node *n, void (*fn)(void *, const char *), void *opaque)
{
    if (n->op == OP_NAME || n->op == OP_CALL)
        fn(opaque, n->text);
    for (size_t i = 0; i < n->n_args; i++)
        names(n->arg[i], fn, opaque);
}

void pl_expr_names(const struct pl_expr *expr, void (*fn)(void *opaque, const char *name),
                   void *opaque)
{
    names(expr->root, fn, opaque);
}

static void number(struct node *n, unsigned (*fn)(void *, const char *), void *opaque)
{
    if (n->op == OP_NAME || n->op == OP_CALL)
        n->name.number = fn(opaque, n->text);
    for (size_t i = 0; i < n->n_args; i++)
        number(n->arg[i], fn, opaque);
}

void pl_expr_number(struct pl_expr *expr, unsigned (*fn)(void *opaque, const char *name),
                    void *opaque)
{
    number(expr->root, fn, opaque);
}
