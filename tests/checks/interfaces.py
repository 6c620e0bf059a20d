"""What the types of other modules can depend on in a module.

Under mypy's strict settings each function says its types, so that nothing outside it depends on what it does.
"""

import ast
import copy
import re
from functools import cache
from pathlib import PurePosixPath

from tests.checks.dependencies import Imports

TOPS = ("src", "tests", "tools")
# Where the original did more than nothing, so must this: a protocol's method that only says `...` is an abstract one.
BODY = ast.parse("raise RuntimeError").body


class Followed(Imports):
    """What a type checker follows, whether or not the program does."""

    visit_If = ast.NodeVisitor.generic_visit


class Shortened(ast.NodeTransformer):
    """A module without what its functions do."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        """Leave out what it does, unless that decides about types."""
        if not tells(node):
            node.body = BODY
        return node

    visit_AsyncFunctionDef = visit_FunctionDef  # type: ignore[assignment]

    def visit_Module(self, node: ast.Module) -> ast.AST:
        """Leave out the value of a name that says its type."""
        for line in node.body:
            if isinstance(line, ast.AnnAssign) and not says_by_value(line):
                line.value = None
        return self.generic_visit(node)


def tells(function: ast.FunctionDef) -> bool:
    """Whether what it does decides about types: it sets an attribute, yields, or does nothing."""
    inside = [node for line in function.body for node in ast.walk(line)]
    return all(isinstance(node, (ast.Expr, ast.Constant)) for node in inside) or any(
        isinstance(node, ast.Yield | ast.YieldFrom)
        or (isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store))
        for node in inside
    )


def says_by_value(line: ast.AnnAssign) -> bool:
    """Whether its type depends on the value after all."""
    return bool(re.search(r"\b(Final|TypeAlias)\b", ast.unparse(line.annotation)))


class Imported(ast.NodeTransformer):
    """A module without the imports that bind none of some names."""

    def __init__(self, names: set[str]) -> None:
        self._names = names

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> ast.AST | None:
        """Leave out what is not named; what is imported under its own name is passed on."""
        node.names = [
            alias
            for alias in node.names
            if alias.asname == alias.name or bound(alias) in self._names
        ]
        return node if node.names else None

    visit_ImportFrom = visit_Import

    def visit_If(self, node: ast.If) -> ast.AST:
        """Leave out what then has nothing in it, but for the names that it asks for."""
        self.generic_visit(node)
        return node if node.body else ast.Expr(node.test)


def bound(alias: ast.alias) -> str:
    """The name that an import gives to what it imports."""
    return alias.asname or alias.name.partition(".")[0]


def interface(source: bytes) -> str:
    """A module as others see it."""
    tree = Shortened().visit(ast.parse(source))
    rest = Imported(set()).visit(copy.deepcopy(tree))
    return ast.unparse(Imported(words(rest)).visit(tree))


def words(tree: ast.AST) -> set[str]:
    """All that it names, be it in quotes, as a type may be."""
    return set(re.findall(r"\w+", ast.unparse(tree)))


@cache
def followed(path: str, source: str) -> tuple[str, ...]:
    """The paths that decide what the imports of a module are."""
    found = Followed(path, source)
    modules = [name.replace(".", "/") for name in sorted(found.now | found.later)]
    places = [PurePosixPath(top, module) for module in modules for top in TOPS]
    packages = [folder for place in places for folder in (place, *place.parents)]
    files = [place.with_suffix(".py") for place in places]
    files += [folder / "__init__.py" for folder in dict.fromkeys(packages)]
    return tuple(map(str, files))
