"""The faults that one source can have: an operator, a comparison, a constant or a function is another one.

A mutant replaces a few characters and leaves the rest of the file as it is, so that lines and messages stay what they are.

Not mutated, because a test could only repeat what the code says:

- texts, unless they are compared with something: messages, names and help are for people, SQL for another program;
- what is raised or logged, and f-strings, which are nearly all messages (Python 3.11 also cannot say where their parts are);
- annotations, `__all__`, and what is imported for a type checker alone;
- a figure that is declared rather than computed with: the number in `BLOCK = 256`, in the default of a field or an argument;
- the sizes and colours of plots, how far JSON is indented, and how many seconds `timeout=` allows;
- the slash of a path, and zip's `strict`, which asserts that two lists of one origin are equally long.
"""

import ast
import io
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from tests.parsers import parsed

BINARY: dict[str, tuple[str, ...]] = {
    "+": ("-",),
    "-": ("+",),
    "*": ("/",),
    "/": ("*",),
    "//": ("*",),
    "%": ("*",),
    "**": ("*",),
    "&": ("|",),
    "|": ("&",),
    "^": ("&",),
    "<<": (">>",),
    ">>": ("<<",),
}
COMPARED: dict[str, tuple[str, ...]] = {
    "<": ("<=", ">="),
    "<=": ("<", ">"),
    ">": (">=", "<="),
    ">=": (">", "<"),
    "==": ("!=",),
    "!=": ("==",),
    "in": ("not in",),
    "not in": ("in",),
    "is": ("is not",),
    "is not": ("is",),
}
JOINED = {"and": "or", "or": "and"}
SWAPPED = (
    *(("any", "all"), ("min", "max"), ("floor", "ceil"), ("minimum", "maximum")),
    *(("exp", "expm1"), ("log", "log1p"), ("argmin", "argmax"), ("zeros", "ones")),
    *(("add", "subtract"), ("mean", "sum"), ("isnan", "isfinite")),
    *(("nanmean", "nansum"), ("startswith", "endswith"), ("lower", "upper")),
    *(("removeprefix", "removesuffix"), ("lstrip", "rstrip")),
    *(("bitwise_and", "bitwise_or"), ("perf_counter", "process_time")),
)
OTHER = {a: b for pair in SWAPPED for a, b in (pair, pair[::-1])}
OTHER |= {"popleft": "pop", "appendleft": "append"}
LIBRARIES = {"np", "math"}
PLOTTING = {"plots", "pictures"}
"""Functions that draw: the constants in them are a matter of taste."""
SAYING = {"debug", "error", "exception", "info", "warning"}


@dataclass(frozen=True)
class Mutant:
    """A replacement for the text between two places of a source, counted in bytes."""

    kind: str
    line: int
    start: int
    end: int
    text: str
    replacement: str

    def applied(self, source: bytes) -> bytes:
        """The source with this fault."""
        return source[: self.start] + self.replacement.encode() + source[self.end :]


def mutants(source: bytes) -> list[Mutant]:
    """All of a source, from its first line to its last."""
    found = _Finder(source)
    found.visit(parsed(source))
    return sorted(found.made, key=lambda m: (m.start, m.end, m.replacement))


class _Finder(ast.NodeVisitor):
    """Walks over a source, and passes by what is not mutated."""

    def __init__(self, source: bytes) -> None:
        self.made: list[Mutant] = []
        self._source = source
        self._lines = [0]
        for line in source.splitlines(keepends=True):
            self._lines.append(self._lines[-1] + len(line))
        self._tokens = list(self._operators())
        self._function = ""
        self._declared: set[ast.AST] = set()
        self._compared: set[ast.AST] = set()

    def _operators(self) -> Iterator[tuple[int, int, str]]:
        """Where each operator stands."""
        text = self._source.decode().splitlines(keepends=True)
        for token in tokenize.generate_tokens(io.StringIO("".join(text)).readline):
            if token.type in (tokenize.OP, tokenize.NAME):
                line, column = token.start
                before = len(text[line - 1][:column].encode())
                start = self._lines[line - 1] + before
                yield start, start + len(token.string.encode()), token.string

    def _span(self, node: ast.expr) -> tuple[int, int]:
        assert node.end_lineno is not None and node.end_col_offset is not None
        start = self._lines[node.lineno - 1] + node.col_offset
        return start, self._lines[node.end_lineno - 1] + node.end_col_offset

    def _add(self, kind: str, start: int, end: int, replacement: str) -> None:
        line = self._source[:start].count(b"\n") + 1
        text = self._source[start:end].decode()
        self.made.append(Mutant(kind, line, start, end, text, replacement))

    def _between(self, left: ast.expr, right: ast.expr) -> tuple[int, int, str]:
        """The operator between two operands, whatever parentheses they are in."""
        begin, end = self._span(left)[1], self._span(right)[0]
        inside = [
            token
            for token in self._tokens
            if begin <= token[0] and token[1] <= end and token[2] not in "()"
        ]
        text = " ".join(token[2] for token in inside)
        return inside[0][0], inside[-1][1], text

    # --- what is passed by ---------------------------------------------------------------

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        outer, self._function = self._function, node.name
        for part in (*node.decorator_list, node.args, *node.body):
            self.visit(part)
        self._function = outer

    visit_AsyncFunctionDef = visit_FunctionDef

    def visit_arg(self, node: ast.arg) -> None:
        """An argument has an annotation, and nothing else to mutate."""

    def visit_arguments(self, node: ast.arguments) -> None:
        for value in (*node.defaults, *filter(None, node.kw_defaults)):
            self._declare(value)
            self.visit(value)

    def visit_keyword(self, node: ast.keyword) -> None:
        if node.arg == "timeout":
            self._declare(node.value)
        if node.arg != "indent":
            self.visit(node.value)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value:
            self._declare(node.value)
            self.visit(node.value)

    def visit_Assign(self, node: ast.Assign) -> None:
        names = [of.id for of in node.targets if isinstance(of, ast.Name)]
        if names == ["__all__"]:
            return
        if not self._function and all(name.isupper() for name in names):
            self._declare(node.value)
        self.visit(node.value)
        for target in node.targets:
            self.visit(target)

    def _declare(self, value: ast.expr) -> None:
        """A figure as it was chosen, alone or in a row of such figures."""
        self._declared.add(value)
        if isinstance(value, ast.Tuple):
            self._declared.update(value.elts)

    def visit_Expr(self, node: ast.Expr) -> None:
        """A text by itself is a docstring."""
        if not isinstance(node.value, ast.Constant):
            self.visit(node.value)

    def visit_If(self, node: ast.If) -> None:
        if getattr(node.test, "id", "") != "TYPE_CHECKING":
            self.generic_visit(node)

    def visit_Raise(self, node: ast.Raise) -> None:
        """Leave out what is raised: people read it."""

    def visit_JoinedStr(self, node: ast.JoinedStr) -> None:
        """Its parts have no exact place."""

    def visit_Subscript(self, node: ast.Subscript) -> None:
        """`Annotated[…]` and `Literal[…]` are annotations wherever they stand."""
        if getattr(node.value, "id", "") not in ("Annotated", "Literal", "Callable"):
            self.generic_visit(node)

    # --- what is mutated -----------------------------------------------------------------

    def visit_BinOp(self, node: ast.BinOp) -> None:
        start, end, text = self._between(node.left, node.right)
        path = text == "/" and isinstance(getattr(node.right, "value", None), str)
        for other in BINARY.get(text, ()) if not path else ():
            self._add("operator", start, end, other)
        self.generic_visit(node)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        start, end, text = self._between(node.target, node.value)
        for other in BINARY.get(text[:-1], ()):
            self._add("operator", start, end, f"{other}=")
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for left, right in pairwise([node.left, *node.comparators]):
            start, end, text = self._between(left, right)
            for other in COMPARED[text]:
                self._add("comparison", start, end, other)
        for side in (node.left, *node.comparators):
            self._compared.update([side, *getattr(side, "elts", ())])
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        for left, right in pairwise(node.values):
            start, end, text = self._between(left, right)
            self._add("boolean", start, end, JOINED[text])
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        start, end = self._span(node)[0], self._span(node.operand)[0]
        if isinstance(node.op, ast.Not):
            self._add("boolean", start, start + len("not "), "")
        elif end == start + 1:
            self._add("operator", start, end, "")
        self.generic_visit(node)

    def visit_Call(self, node: ast.Call) -> None:
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in SAYING:
            return
        if isinstance(function, ast.Name) and function.id in OTHER:
            self._add("function", *self._span(function), OTHER[function.id])
        if isinstance(function, ast.Attribute):
            self._swap(function)
            self.visit(function.value)
        else:
            self.visit(function)
        zipped = getattr(function, "id", "") == "zip"
        for given in (*node.args, *node.keywords):
            if not (zipped and getattr(given, "arg", "") == "strict"):
                self.visit(given)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        """A library's function may also be handed on."""
        if getattr(node.value, "id", "") in LIBRARIES:
            self._swap(node)
        self.visit(node.value)

    def _swap(self, node: ast.Attribute) -> None:
        if node.attr in OTHER:
            end = self._span(node)[1]
            start = end - len(node.attr.encode())
            self._add("function", start, end, OTHER[node.attr])

    def visit_Constant(self, node: ast.Constant) -> None:
        value = node.value
        if self._function in PLOTTING:
            return
        if isinstance(value, bool):
            self._add("constant", *self._span(node), str(not value))
        elif isinstance(value, int | float) and node not in self._declared:
            for other in _others(value):
                self._add("constant", *self._span(node), other)
        elif isinstance(value, str) and node in self._compared:
            self._add("constant", *self._span(node), '""' if value else '"mutant"')


def _others(value: float) -> list[str]:
    """Another number, near enough to be a slip."""
    if isinstance(value, int):
        return [str(value + 1)]
    return [repr(value * 2 if value else 1.0)]
