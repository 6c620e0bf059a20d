"""How large a project is: files, and lines of code in its package."""

import ast
import io
import tokenize

from tests.rendering import render_tree

LAYOUT = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def lines_of_code(source: str) -> int:
    """Count lines that hold code: no blank lines, comments or docstrings."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


def size(preset: str) -> tuple[int, int]:
    """Return how many files a project of this preset has, and how many lines of code under src."""
    tree = render_tree({"preset": preset})
    sources = [path for path in tree if path.startswith("src/")]
    code = [tree[path].decode() for path in sources if path.endswith(".py")]
    return len(tree), sum(map(lines_of_code, code))
