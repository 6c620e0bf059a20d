"""What is emitted: every file owned, tested, valid and needed, and not too many."""

import ast
import hashlib
import io
import re
import tokenize

import pytest
from pathspec import GitIgnoreSpec

from tests.ownership import PACKAGE, ROWS, row
from tests.rendering import CHOICES, ROOT, render_tree, settings
from tests.test_names import ENVIRONMENT
from tests.trees import template

LAYOUT = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def test_every_file_has_an_owner_and_a_test_that_would_miss_it() -> None:
    for path in template().files:
        proof = row(path).proof
        assert (
            proof in template().files or (ROOT / proof).is_file()
        ), f"{path}: no {proof}"


def test_no_line_of_the_table_is_idle() -> None:
    idle = [line.path for line in ROWS if not any(map(line.covers, template().files))]
    assert not idle


def test_what_an_update_leaves_alone_is_what_the_table_calls_yours() -> None:
    patterns = settings()["_exclude"]
    excluded = {}
    for operation in ("copy", "update"):
        context = {"_copier_operation": operation, "package_name": PACKAGE}
        lines = "\n".join(patterns)
        text = ENVIRONMENT.from_string(lines).render(context)
        spec = GitIgnoreSpec.from_lines(text.splitlines())
        excluded[operation] = {
            path for path in template().files if spec.match_file(path)
        }
    assert excluded["copy"] == set()
    assert excluded["update"] == {
        p for p in template().files if row(p).owner == "yours"
    }


def test_what_is_yours_depends_on_the_problem_alone() -> None:
    for path in template().files:
        if row(path).owner == "yours":
            decided = template().questions_of(path)
            assert decided <= {"problem", "package_name"}, f"{path}: {decided}"


def lines_of_code(source: str) -> int:
    """Lines that hold code: blank lines, comments and docstrings are no burden, but a help."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in LAYOUT:
            lines.update(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            lines -= set(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    return len(lines)


@pytest.mark.parametrize("problem", CHOICES["problem"])
def test_a_project_is_small(problem: str) -> None:
    files, lines = size("starter", problem)
    # Watched, so that growth is a decision. Of the files seven keep it current: the doctor, a part of it, the update, its three parts
    # and its workflow;
    # three test files hold arithmetic, five files read other people's tables, nine bound what one caller, one bad file
    # or one bad day can do to the service, three decide which stored models are trusted, five keep personal data out.
    # Where callers label predictions, one file checks who may.
    # A key pair can be lost, mistyped or half made: fifty lines refuse to replace it by another one. A dozen let a new key
    # sign again what serves, and another dozen name a port that is taken. One file has the hashes of uv.
    assert files <= 82
    assert lines <= 3_320
    assert size("standard", problem)[0] <= 113


def size(preset: str, problem: str) -> tuple[int, int]:
    """How many files a project has, and lines of code under src."""
    tree = render_tree({"preset": preset, "problem": problem})
    sources = [path for path in tree if path.startswith("src/")]
    code = [tree[path].decode() for path in sources if path.endswith(".py")]
    return len(tree), sum(map(lines_of_code, code))


def test_adopt_knows_the_demo_that_it_replaces() -> None:
    """Else the demo's features would stay in a project that has adopted another table."""
    for problem in CHOICES["problem"]:
        tree = render_tree({"problem": problem, "package_name": PACKAGE})
        adopt = tree["tools/adopt.py"].decode()
        known = set(re.findall(r'"([0-9a-f]{64})"', adopt))
        for path in ("schema.yaml", f"src/{PACKAGE}/features.py"):
            digest = hashlib.sha256(tree[path]).hexdigest()
            assert digest in known, f"{path} of {problem}: put {digest} into DEMO_FILES"
