"""The emitted tests find small faults: at least 95 of 100 that are drawn from all that the kit could have.

The mutation engine's own tests are on small sources, and run with every `make test`.
"""

from typing import Any

import pytest

from tests.drawn import SEED
from tests.mutants import projects as populated
from tests.mutants.blocks import block_at, instrumented
from tests.mutants.operators import Mutant, mutants
from tests.mutants.projects import (
    Equivalent,
    Fault,
    chosen,
    equivalents,
    population,
    projects,
    sample,
    versions,
)
from tests.mutants.running import Report, tried
from tests.trees import template

KILLED, EQUIVALENT = 0.95, 0.1
"""The share that must be found, and the share that may be listed as equivalent."""


def changed(source: str) -> list[str]:
    """The source with each of its faults."""
    return [m.applied(source.encode()).decode() for m in mutants(source.encode())]


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("a + b", ["a - b"]),
        ("(a) // (b)", ["(a) * (b)"]),
        ("a = 'é' + b", ["a = 'é' - b"]),
        ("total -= n", ["total += n"]),
        ("a < b", ["a <= b", "a >= b"]),
        ("a < b == c", ["a <= b == c", "a >= b == c", "a < b != c"]),
        ("a not in b", ["a in b"]),
        ("a is b", ["a is not b"]),
        ("kind == 'x'", ["kind != 'x'", 'kind == ""']),
        ("kind in ('x',)", ["kind not in ('x',)", 'kind in ("",)']),
        ("a and b or c", ["a or b or c", "a and b and c"]),
        ("not a", ["a"]),
        ("-a", ["a"]),
        (
            "f(True, 3, 0.5, 0.0)",
            ["f(False, 3, 0.5, 0.0)", "f(True, 4, 0.5, 0.0)"]
            + ["f(True, 3, 1.0, 0.0)", "f(True, 3, 0.5, 1.0)"],
        ),
        ("any(a)", ["all(a)"]),
        ("np.minimum(a, b)", ["np.maximum(a, b)"]),
        ("f(inverse=np.expm1)", ["f(inverse=np.exp)"]),
        ("rows.max()", ["rows.min()"]),
        ("a[\n    1\n    - b\n]", ["a[\n    2\n    - b\n]", "a[\n    1\n    + b\n]"]),
    ],
)
def test_each_kind_of_fault(source: str, expected: list[str]) -> None:
    assert sorted(changed(source)) == sorted(expected)


@pytest.mark.parametrize(
    "source",
    [
        '"""A text."""',
        "def f(a: list[Literal[1]], b: int | None) -> int | None:\n    '''True.'''",
        "name: Annotated[int, Field(ge=1 + 1)] = 1",
        "BLOCK = 256",
        "LOW, HIGH = 1, 2",
        "class Gate:\n    rows: int = 100",
        "__all__ = ['a'] + ['b']",
        "raise ValueError(f'{a + 1}' if a < b else 'c')",
        "log.info('%d', a + 1)",
        "if TYPE_CHECKING:\n    a = 1 + 1",
        "f'{a + 1}'",
        "f('a text', key='another')",
        "def plots(): return f(alpha=0.3)",
        "bar.max",
        "folder / 'file'",
        "dict(zip(a, b, strict=True))",
        "def f(rows=100): json.dumps(rows, indent=2)",
        "connect(where, timeout=1)",
    ],
)
def test_what_is_not_mutated(source: str) -> None:
    assert changed(source) == []


def test_a_fault_changes_one_line_and_leaves_the_others_as_they_are() -> None:
    fault = Fault(
        "src/p/kit/a.py",
        b"# why\nx = (1 # one\n  + y)\n",
        Mutant("operator", 3, 21, 22, "+", "-"),
    )
    assert fault.mutant in mutants(fault.source)
    assert (fault.before, fault.after) == ("+ y)", "- y)")
    assert fault.mutant.applied(fault.source) == b"# why\nx = (1 # one\n  - y)\n"


SOURCE = b'''\
"""Doc."""
import os

LIMIT = 1 + 1


def f(a):
    """Doc."""
    if a:
        b = 1
    else:
        b = 2
    return [x for x in (b,)]


class C:
    kept = 3

    def g(self):
        try:
            return 1
        except ValueError:
            return 2
'''


def test_a_line_belongs_to_the_innermost_block_of_a_function() -> None:
    found = {
        line: block_at(SOURCE, "a.py", line)
        for line in (4, 9, 10, 12, 13, 17, 20, 21, 23)
    }
    imported = dict.fromkeys((4, 17))
    branches = {10: "a.py:10", 12: "a.py:12", 20: "a.py:20", 23: "a.py:23"}
    assert found == {**imported, **branches, 9: "a.py:8", 13: "a.py:8", 21: "a.py:21"}


def test_an_instrumented_source_notes_the_blocks_that_run() -> None:
    ran: list[str] = []
    code = (
        instrumented(SOURCE, "a.py")
        .decode()
        .replace("from slipway_mutants import hit as _hit", "")
    )
    names: dict[str, Any] = {"_hit": ran.append}
    exec(code, names)  # noqa: S102 - it is the source above
    assert ran == []
    assert names["f"](0) == [2]
    assert ran == ["a.py:8", "a.py:12"]


def test_who_runs_a_block_through_a_fixture_is_known() -> None:
    report = Report(
        cpu=1.0,
        fixtures={"test_a": ["trained"], "test_b": [], "test_c": []},
        ran={"fixture trained": ["x:1"], "test_b": ["x:1", "x:2"]},
        seconds={"test_a": 1.0, "test_b": 2.0, "fixture trained": 4.0},
        trained=["test_a"],
    )
    assert report.seeing("x:1") == ["test_a", "test_b"]
    assert report.seeing("x:2") == ["test_b"]
    assert report.seeing(None) == ["test_a", "test_b", "test_c"]
    assert report.cost(["test_a", "test_b"]) == 7.0
    spared = Report(1.0, {"test_d": ["trained"]}, {}, {"fixture trained": 0.0}, [])
    assert spared.after(report).seeing("x:1") == ["test_d"]
    assert spared.after(report).cost(["test_d"]) == 4.0
    assert list(report.apart(["test_a", "test_b"])) == [["test_b"], ["test_a"]]


def test_each_module_that_some_combination_has_is_mutated_as_some_project_has_it() -> (
    None
):
    whole = template()
    held = {
        (path, text)
        for project in projects(whole)
        for path, text in project.tree.items()
    }
    for path in populated.mutated(whole):
        for _, text in versions(whole, path):
            assert (path, text) in held or not mutants(text)
    paths = {fault.short for fault in population(whole)}
    assert {"kit/plan.py", "kit/serve/parts/limits.py", "kit/learn.py", "data.py"} <= paths
    assert "model.py" not in paths


def test_the_same_seed_draws_the_same_sample() -> None:
    whole = template()
    assert sample(whole, 20, 5) == sample(whole, 20, 5) != sample(whole, 20, 6)


@pytest.mark.parametrize(
    "entry", equivalents(), ids=lambda entry: f"{entry.path} {entry.after}"
)
def test_an_equivalent_is_still_a_mutant_and_says_why(entry: Equivalent) -> None:
    """One whose line has changed has to be looked at again, or goes."""
    assert any(
        entry.covers(fault) for fault in population(template())
    ), "no such mutant"
    assert len(entry.why) > 30


def test_no_equivalent_is_listed_twice() -> None:
    keys = [(entry.path, entry.before, entry.after) for entry in equivalents()]
    assert len(set(keys)) == len(keys)


@pytest.mark.prove("it runs the emitted tests on each mutant: four minutes of CPU")
def test_the_emitted_tests_find_nearly_all_faults_of_a_sample() -> None:
    """MUTANTS=… says how many are drawn, or `all`; SEED=… draws those of another run."""
    result = tried(template(), chosen(template(), SEED), print)
    print(result)
    assert result.killed >= KILLED * (result.killed + len(result.survivors)), result
    assert result.equivalent <= EQUIVALENT * result.drawn, result
