"""Whatever the table: each becomes a service whose emitted tests pass, or is refused with the sentence that it should get.

`docs/tables.md` says which properties a table can have. SEED=… draws others; `TABLE=3` takes one alone.
"""

import json
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from itertools import islice
from pathlib import Path
from random import Random

import pytest

from tests.checks import suite
from tests.drawn import SEED
from tests.rendering import Tree, render_tree
from tests.tables.axes import AXES, Shape, covering, fits, more, narrow, pairs
from tests.tables.listed import PUBLIC
from tests.tables.walking import ANSWERS, End, compared, walked
from tests.trees import template

TESTED = 10
"""Tables of each run on which the emitted tests are run."""


@cache
def project(problem: str) -> Tree:
    """The files of a project before it knows of any table."""
    return render_tree({**ANSWERS, "problem": problem})


def told(ends: Iterator[End]) -> list[str]:
    """The tables that did not come out as they should."""
    return [str(end) for end in ends if end.problems]


def drawn(seed: int) -> list[tuple[Shape, int, bool]]:
    """The tables of a run: shape, seed, and whether the emitted tests are run on it."""
    shapes = list(covering(seed))
    lacking = TESTED - sum(map(narrow, shapes))
    shapes += islice(more(seed), max(lacking, 0))
    tables: list[tuple[Shape, int, bool]] = [
        (shape, seed + n, narrow(shape)) for n, shape in enumerate(shapes)
    ]
    one = os.environ.get("TABLE")
    return [tables[int(one)]] if one else tables


def test_each_value_of_each_axis_becomes_a_service_or_is_refused(
    tmp_path: Path,
) -> None:
    problems = told(walked(template(), project, drawn(SEED), tmp_path))
    assert not problems, "\n\n".join(problems)


def worse(names: Sequence[str], folder: Path) -> Iterator[str]:
    """Public tables that do not become services, or worse ones than a tutorial's pipeline."""
    with (
        suite.servers(template()) as free,
        ThreadPoolExecutor(suite.WORKERS) as pool,
    ):
        started = {
            name: pool.submit(
                compared,
                free,
                project(PUBLIC[name].problem),
                PUBLIC[name],
                folder / name,
            )
            for name in names
        }
        for name, done in started.items():
            figures, problems = done.result()
            print(name, json.dumps(figures))
            yield from (f"{name}: {problem}" for problem in problems)


def in_turn() -> list[str]:
    """Five of the public tables, by chance."""
    return Random(SEED).sample(sorted(PUBLIC), 5)


def test_five_public_tables_are_served_as_well_as_by_a_plain_pipeline(
    tmp_path: Path,
) -> None:
    problems = list(worse(in_turn(), tmp_path))
    assert not problems, "\n\n".join(problems)


@pytest.mark.prove("thirty public tables take ten minutes of CPU; each run has five")
def test_all_public_tables_are(tmp_path: Path) -> None:
    problems = list(worse(sorted(PUBLIC), tmp_path))
    assert not problems, "\n\n".join(problems)


@pytest.mark.prove(
    "the emitted tests of wide tables take minutes each; each run has those of ten narrow ones"
)
def test_the_emitted_tests_pass_on_wide_tables(tmp_path: Path) -> None:
    wide = [shape for shape in covering(SEED) if not narrow(shape)]
    tables = [(shape, SEED + n, True) for n, shape in enumerate(wide)]
    problems = told(walked(template(), project, tables, tmp_path))
    assert not problems, "\n\n".join(problems)


@pytest.mark.prove(
    "two hundred tables take twenty minutes of CPU; each run has a dozen, with every value"
)
def test_each_two_values_of_two_axes_do(tmp_path: Path) -> None:
    tables = [(shape, SEED + n, False) for n, shape in enumerate(pairs(SEED))]
    problems = told(walked(template(), project, tables, tmp_path))
    assert not problems, "\n\n".join(problems)


@pytest.mark.parametrize("seed", range(5))
def test_the_tables_of_a_run_have_every_value_among_them(seed: int) -> None:
    shapes = list(covering(seed))
    assert all(map(fits, shapes))
    for axis, values in AXES.items():
        assert {shape[axis] for shape in shapes} == set(values)


def test_all_pairs_occur_that_can() -> None:
    shapes = list(pairs(1))
    axes = list(AXES)
    for i, a in enumerate(axes):
        for b in axes[i + 1 :]:
            for x in AXES[a]:
                for y in AXES[b]:
                    if fits({"rows": "60", "width": "1", a: x, b: y}):
                        assert any((s[a], s[b]) == (x, y) for s in shapes), (a, x, b, y)
