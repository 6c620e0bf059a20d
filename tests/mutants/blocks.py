"""Blocks of code, and a copy of a source that notes when each of them runs."""

import ast
from collections.abc import Iterator

from tests.parsers import parsed

PLUGIN = "slipway_mutants"
"""The plugin's name in the project."""
IMPORTED = (ast.Module, ast.ClassDef)
"""Code in these, but in no function, runs at the import."""


def instrumented(source: bytes, path: str) -> bytes:
    """The source with a call at the head of each block that is inside a function."""
    tree = parsed(source)
    for name, body in _blocks(tree, path):
        place = 1 if _is_docstring(body[0]) and len(body) > 1 else 0
        body.insert(place, parsed(f"_hit({name!r})").body[0])
    imported = parsed(f"from {PLUGIN} import hit as _hit").body[0]
    tree.body.insert(1 if _is_docstring(tree.body[0]) else 0, imported)
    return ast.unparse(ast.fix_missing_locations(tree)).encode()


def block_at(source: bytes, path: str, line: int) -> str | None:
    """The innermost block that holds a line; none where it runs at the import."""
    found = None
    for name, body in _blocks(parsed(source), path):
        if body[0].lineno <= line <= (body[-1].end_lineno or 0):
            found = name
    return found


def _blocks(tree: ast.Module, path: str) -> list[tuple[str, list[ast.stmt]]]:
    """Each block, outer before inner, under a name that says where it begins."""
    return [(f"{path}:{body[0].lineno}", body) for body in _bodies(tree, False)]


def _bodies(node: ast.AST, inside: bool) -> Iterator[list[ast.stmt]]:
    for child in ast.iter_child_nodes(node):
        function = isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
        for part in ("body", "orelse", "finalbody"):
            body = getattr(child, part, None)
            if isinstance(body, list) and body and (inside or function):
                yield body
        yield from _bodies(child, inside or function)


def _is_docstring(statement: ast.stmt) -> bool:
    value = getattr(statement, "value", None)
    return isinstance(statement, ast.Expr) and isinstance(value, ast.Constant)
