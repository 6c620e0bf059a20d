"""What is emitted: every file owned, tested, valid and needed, and not too many."""

import ast
import hashlib
import io
import itertools
import re
import tokenize

import pytest
import yaml
from pathspec import GitIgnoreSpec

from tests.ownership import PACKAGE, ROWS, row
from tests.parsers import parse
from tests.rendering import CHOICES, ROOT, Tree, render_tree
from tests.test_names import ENVIRONMENT
from tests.trees import files, projects

SETTINGS = "copier.yml"
LAYOUT = {
    tokenize.COMMENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
    tokenize.INDENT,
    tokenize.NEWLINE,
    tokenize.NL,
}


def test_every_file_has_an_owner_and_a_test_that_would_miss_it() -> None:
    for path in files():
        proof = row(path).proof
        assert proof in files() or (ROOT / proof).is_file(), f"{path}: no {proof}"


def test_no_line_of_the_table_is_idle() -> None:
    idle = [line.path for line in ROWS if not any(map(line.covers, files()))]
    assert not idle


def test_every_file_is_valid_in_its_format() -> None:
    for path, contents in files().items():
        for content in contents:
            parse(path, content)


def test_what_an_update_leaves_alone_is_what_the_table_calls_yours() -> None:
    patterns = yaml.safe_load((ROOT / SETTINGS).read_text())["_exclude"]
    excluded = {}
    for operation in ("copy", "update"):
        context = {"_copier_operation": operation, "package_name": PACKAGE}
        lines = "\n".join(patterns)
        text = ENVIRONMENT.from_string(lines).render(context)
        spec = GitIgnoreSpec.from_lines(text.splitlines())
        excluded[operation] = {path for path in files() if spec.match_file(path)}
    assert excluded["copy"] == set()
    assert excluded["update"] == {p for p in files() if row(p).owner == "yours"}


def test_what_is_yours_depends_on_the_problem_alone() -> None:
    seen: dict[tuple[str, str], bytes] = {}
    for answers, tree in projects():
        for path, content in tree.items():
            if row(path).owner == "yours":
                first = seen.setdefault((path, answers["problem"]), content)
                assert content == first, f"{path} differs under {answers}"


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


@pytest.mark.parametrize("problem", ["classification", "regression"])
def test_a_project_is_small(problem: str) -> None:
    starter = render_tree({"preset": "starter", "problem": problem})
    assert len(starter) <= 50
    sources = [c.decode() for p, c in starter.items() if p.startswith("src/")]
    assert sum(map(lines_of_code, sources)) <= 2000
    assert len(render_tree({"preset": "standard", "problem": problem})) <= 70


@pytest.mark.parametrize("question", CHOICES)
def test_no_answer_is_dead(question: str) -> None:
    """Any two answers to a question differ in a file, whatever else was chosen with them."""
    trees: dict[str, list[Tree]] = {answer: [] for answer in CHOICES[question]}
    for answers, tree in projects():
        del tree[".copier-answers.yml"]
        trees[answers[question]].append(tree)
    # The combinations come in the same order under every answer.
    for one, other in itertools.combinations(trees, 2):
        assert trees[one] != trees[other], f"{question}: {one} and {other} are the same"


def test_adopt_knows_the_demo_that_it_replaces() -> None:
    """Else the demo's features would stay in a project that has adopted another table."""
    for problem in CHOICES["problem"]:
        tree = render_tree({"problem": problem, "package_name": PACKAGE})
        adopt = tree[f"src/{PACKAGE}/kit/adopt.py"].decode()
        known = set(re.findall(r'"([0-9a-f]{64})"', adopt))
        for path in ("schema.yaml", f"src/{PACKAGE}/features.py"):
            digest = hashlib.sha256(tree[path]).hexdigest()
            assert digest in known, f"{path} of {problem}: put {digest} into DEMO_FILES"
