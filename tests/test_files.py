"""What is emitted: every file owned, tested, valid and needed, and not too many."""

import itertools

import pytest
import yaml
from pathspec import GitIgnoreSpec

from tests.ownership import PACKAGE, ROWS, row
from tests.parsers import parse
from tests.rendering import CHOICES, ROOT, Tree, render_tree
from tests.test_names import ENVIRONMENT
from tests.trees import files, projects

SETTINGS = "copier.yml"


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


def python_lines(tree: Tree) -> int:
    """Lines of Python under src."""
    sources = [c for p, c in tree.items() if p.startswith("src/") and p.endswith(".py")]
    return sum(len(content.splitlines()) for content in sources)


@pytest.mark.parametrize("problem", ["classification", "regression"])
def test_a_project_is_small(problem: str) -> None:
    starter = render_tree({"preset": "starter", "problem": problem})
    assert len(starter) <= 50
    assert python_lines(starter) <= 2000
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
