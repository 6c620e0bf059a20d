"""A run names what it leaves out, docs/proof.md gives the reason, and the groups that take longest begin first."""

import ast
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import lanes, summary
from tests.rendering import ROOT

MARKED = """
import pytest

@pytest.mark.prove("it takes a day")
def test_long():
    assert False, "it ran"

def test_short():
    pass
"""


def run(folder: Path, *arguments: str, **settings: str) -> str:
    """Run pytest with our plugin, on tests that are none of ours; what it prints."""
    command = [sys.executable, "-m", "pytest", "-p", "tests.conftest", str(folder)]
    command += ["-c", str(ROOT / "pyproject.toml"), "--rootdir", str(folder)]
    done = subprocess.run(
        [*command, *arguments],
        check=False,
        cwd=ROOT,
        env={**os.environ, "PROVE": "", "REQUIRE_ALL": "", **settings},
        stdout=subprocess.PIPE,
        text=True,
    )
    return done.stdout


@pytest.mark.parametrize("processes", ["0", "2"])
def test_what_is_left_to_make_prove_is_named(tmp_path: Path, processes: str) -> None:
    (tmp_path / "test_marked.py").write_text(MARKED)
    said = run(tmp_path, f"--numprocesses={processes}")
    assert "1 passed" in said
    assert "Left to `make prove` 1: it takes a day" in said


def test_make_prove_leaves_nothing_out(tmp_path: Path) -> None:
    (tmp_path / "test_marked.py").write_text(MARKED)
    said = run(tmp_path, PROVE="1")
    assert "1 failed, 1 passed" in said
    assert "Left to `make prove`" not in said


def reasons() -> Iterator[str]:
    """The reason of each mark in our tests."""
    for file in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == (
                "pytest.mark.prove"
            ):
                (reason,) = node.args
                assert isinstance(reason, ast.Constant), ast.unparse(node)
                yield str(reason.value)


def test_the_docs_give_each_reason() -> None:
    page = " ".join((ROOT / "docs" / "proof.md").read_text("utf-8").split())
    assert set(reasons())
    assert not [reason for reason in set(reasons()) if reason not in page]


def test_the_summary_says_what_was_proven_taken_over_and_skipped() -> None:
    decisions = Counter(checks=3, settled=5, taken=7, repeated=2)
    said = "\n".join(
        summary.lines(decisions, Counter({"no engine": 4}), Counter({"long": 6}))
    )
    assert "3 checks, by 5 verdicts found in this run and 7 taken over" in said
    assert "2 verdicts of the ledger were found once more" in said
    assert "Skipped 4: no engine" in said
    assert "Left to `make prove` 6: long" in said


def test_what_shares_a_decision_is_one_group() -> None:
    assert lanes.group("tests/test_matrix.py::test_a[1]") == "all combinations"
    assert lanes.group("tests/test_seeded.py::test_b") == "all combinations"
    assert lanes.group("tests/matrix/test_engine.py::test_b") == "tests/matrix"
    assert lanes.group("tests/system/test_engine.py::test_b") == "Docker Engine"
    assert lanes.group("tests/test_new.py::test_c") == "tests/test_new.py"
    assert lanes.group("tests/update/test_ways.py::test_d") == "tests/update"


def test_each_project_of_a_proof_is_a_group(monkeypatch: pytest.MonkeyPatch) -> None:
    test = "tests/test_oracle.py::test_its_demo_runs"
    monkeypatch.setattr(lanes, "PROVE", False)
    assert lanes.group(f"{test}[drawn 1]") == "tests/test_oracle.py"
    monkeypatch.setattr(lanes, "PROVE", True)
    assert lanes.group(f"{test}[drawn 1]") == "tests/test_oracle.py drawn 1"
    assert lanes.group("tests/test_oracle.py::test_b") == lanes.group(
        f"{test}[starter]"
    )


class Item:
    def __init__(self, nodeid: str) -> None:
        self.nodeid = nodeid


def test_the_longest_group_begins_and_an_unknown_one_before_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(lanes, "MEASURED", {"tests/test_a.py": 1, "tests/test_b.py": 2})
    items = [Item(f"tests/test_{name}.py::test") for name in ("a", "b", "new")]
    lanes.longest_first(items)  # type: ignore[arg-type]
    assert [item.nodeid[11] for item in items] == ["n", "b", "a"]
