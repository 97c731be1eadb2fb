"""The expression language of the models: Python's expression syntax, printed as C over uint64_t."""
import ast
import warnings

BINARY = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.BitAnd: "&", ast.BitOr: "|",
          ast.BitXor: "^", ast.LShift: "<<", ast.RShift: ">>"}
COMPARE = {ast.Eq: "==", ast.NotEq: "!=", ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}

MAX_LENGTH, MAX_DEPTH = 4000, 60


class ExprError(Exception):
    """What is wrong with an expression, in one sentence."""


def deeper_than(node, most):
    """Whether a tree has more than `most` levels, found without recursion."""
    level = [node]
    for _ in range(most):
        level = [child for parent in level for child in ast.iter_child_nodes(parent)]
        if not level:
            return False
    return True


def parse(text):
    """Parse one expression; ExprError says what is wrong with it."""
    text = str(text).strip()
    if len(text) > MAX_LENGTH:
        raise ExprError(f"an expression has at most {MAX_LENGTH} characters, not {len(text)}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python's advice on its own language
            node = ast.parse(text, mode="eval").body
    except SyntaxError as err:
        raise ExprError(f"'{text}' is not an expression ({err.msg})") from err
    except (ValueError, RecursionError, MemoryError) as err:
        raise ExprError(f"'{text}' is not an expression") from err
    if deeper_than(node, MAX_DEPTH):
        raise ExprError(f"'{text}' is nested too deeply")
    return node


def dotted(node):
    """The dotted name that a node spells, or None."""
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        head = dotted(node.value)
        return f"{head}.{node.attr}" if head else None
    return None


class Printer:
    """Prints an expression as C. A subclass says what names, calls and subscripts mean."""

    def name(self, name):
        raise ExprError(f"unknown name '{name}'")

    def call(self, name, args):
        raise ExprError(f"unknown function '{name}'")

    def item(self, name, index):
        raise ExprError(f"'{name}' has no elements")

    def c(self, node):
        if isinstance(node, str):
            node = parse(node)
        if isinstance(node, bool):
            return "true" if node else "false"
        if isinstance(node, int):
            return f"UINT64_C({node})"
        method = getattr(self, "c_" + type(node).__name__, None)
        if method is None:
            raise ExprError(f"'{ast.unparse(node)}' is not part of the expression language")
        return method(node)

    def c_Constant(self, node):
        if isinstance(node.value, bool):
            return "true" if node.value else "false"
        if isinstance(node.value, int) and node.value < 1 << 64:
            return f"UINT64_C({node.value})"
        raise ExprError(f"'{node.value}' is not a number of 64 bits")

    def c_Name(self, node):
        if node.id in ("true", "false"):
            return node.id
        return self.name(node.id)

    def c_Attribute(self, node):
        return self.name(dotted(node) or ast.unparse(node))

    def c_Subscript(self, node):
        return self.item(dotted(node.value) or "?", node.slice)

    def c_BinOp(self, node):
        if type(node.op) not in BINARY:
            raise ExprError(f"operator in '{ast.unparse(node)}' is not part of the language")
        return f"({self.c(node.left)} {BINARY[type(node.op)]} {self.c(node.right)})"

    def c_UnaryOp(self, node):
        if isinstance(node.op, ast.Not):
            return f"(!{self.c(node.operand)})"
        if isinstance(node.op, ast.Invert):
            return f"(~{self.c(node.operand)})"
        raise ExprError(f"'{ast.unparse(node)}': there are no negative numbers")

    def c_BoolOp(self, node):
        word = " && " if isinstance(node.op, ast.And) else " || "
        return "(" + word.join(self.c(v) for v in node.values) + ")"

    def c_Compare(self, node):
        parts, left = [], node.left
        for op, right in zip(node.ops, node.comparators):
            if isinstance(op, (ast.In, ast.NotIn)) and isinstance(right, (ast.Tuple, ast.List)) and right.elts:
                any_of = " || ".join(f"({self.c(left)} == {self.c(e)})" for e in right.elts)
                parts.append(f"({any_of})" if isinstance(op, ast.In) else f"(!({any_of}))")
            elif type(op) in COMPARE:
                parts.append(f"({self.c(left)} {COMPARE[type(op)]} {self.c(right)})")
            else:
                raise ExprError(f"comparison in '{ast.unparse(node)}' is not part of the language")
            left = right
        return parts[0] if len(parts) == 1 else "(" + " && ".join(parts) + ")"

    def c_IfExp(self, node):
        return f"({self.c(node.test)} ? {self.c(node.body)} : {self.c(node.orelse)})"

    def c_Call(self, node):
        name = dotted(node.func)
        if name is None or node.keywords:
            raise ExprError(f"'{ast.unparse(node)}' is not a call of the language")
        return self.call(name, node.args)
