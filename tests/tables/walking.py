"""Projects that take a table in, each in a folder of its own, by the processes that run the emitted tests."""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import Queue
from typing import Any

from tests.checks import suite
from tests.matrix.template import Template
from tests.rendering import Tree, tree
from tests.tables.axes import Shape, may_lack_a_class, problem
from tests.tables.listed import Public

JOURNEY, COMPARING = "tests/test_journey.py", "tests/test_comparison.py"


def inside(name: str) -> bytes:
    """A file that runs among a project's tests, where its libraries are."""
    return Path(__file__).with_name("inside").joinpath(name).read_bytes()


MODELS: tuple[dict[str, Any], ...] = (
    {"name": "linear", "options": {}},
    {"name": "boosting", "options": {"max_iter": 20}},
    {"name": "forest", "options": {"n_estimators": 10}},
)
"""As params.yaml names them, small."""
ANSWERS = {
    "preset": "standard",
    "auth": "none",
    "limits": "none",
    "prediction_log": "none",
    "tracing": "none",
}


@dataclass(frozen=True)
class End:
    """What became of a table: what the project said, and every problem."""

    shape: Shape
    outcome: dict[str, Any]
    problems: tuple[str, ...]

    def __str__(self) -> str:
        about = ", ".join(f"{axis}: {value}" for axis, value in self.shape.items())
        return "\n".join([about, json.dumps(self.outcome)[:500], *self.problems])


def walked(
    whole: Template,
    project: Callable[[str], Tree],
    tables: Iterable[tuple[Shape, int, bool]],
    folder: Path,
) -> Iterator[End]:
    """Take the table of each shape and seed through a project; those that are marked through its emitted tests too."""
    with suite.servers(whole) as free, ThreadPoolExecutor(suite.WORKERS) as pool:
        started = [
            pool.submit(
                walk, free, project(problem(shape)), shape, seed, tests, folder / str(n)
            )
            for n, (shape, seed, tests) in enumerate(tables)
        ]
        for done in started:
            yield done.result()


def walk(
    free: Queue[suite.Server],
    project: Tree,
    shape: Shape,
    seed: int,
    tests: bool,
    folder: Path,
) -> End:
    """The way of one table."""
    case = {"shape": dict(shape), "seed": seed, "model": MODELS[seed % len(MODELS)]}
    files = {
        **project,
        "case.json": json.dumps(case).encode(),
        JOURNEY: inside("journey.py"),
        "tests/making.py": inside("making.py"),
    }
    problems = list(run(folder / "journey", files, JOURNEY, free))
    if problems:
        return End(shape, {}, tuple(problems))
    root = folder / "journey" / "project"
    outcome = json.loads((root / "outcome.json").read_text("utf-8"))
    problems += judged(shape, outcome)
    if tests and not problems and "refused" not in outcome:
        problems += emitted(free, root, project, folder)
    return End(shape, outcome, tuple(problems))


PACKAGES = ("statsmodels", "vega-datasets")
NOISE = 1e-9
"""How far below zero the interval of a gain may end, relative to the loss: the last digits of sums differ."""


def compared(
    free: Queue[suite.Server], project: Tree, table: Public, folder: Path
) -> tuple[dict[str, Any], Sequence[str]]:
    """A public table's figures, and what is wrong with them or with the project's own tests on it."""
    files = {
        **project,
        "case.json": json.dumps(table._asdict()).encode(),
        COMPARING: inside("comparing.py"),
        "tests/public.py": inside("public.py"),
    }
    problems = run(folder / "comparison", files, COMPARING, free, more=PACKAGES)
    if problems:
        return {}, problems
    root = folder / "comparison" / "project"
    outcome = json.loads((root / "outcome.json").read_text("utf-8"))
    if outcome["high"] < -NOISE * outcome["plain"]:
        problems = [f"it is worse than a plain pipeline: {outcome}"]
    return outcome, [*problems, *emitted(free, root, project, folder)]


LACKING = "have fewer than .* of class|lack a class"


def judged(shape: Shape, outcome: dict[str, Any]) -> Iterator[str]:
    """A table is refused with the sentence that it should get, or becomes a service."""
    refusal, wanted = outcome.get("refused", ""), outcome["refusal"]
    if may_lack_a_class(shape) and re.search(LACKING, refusal):
        return
    if wanted and wanted not in refusal:
        yield f"it is not refused by '{wanted}', but: {refusal or outcome}"
    elif refusal and not wanted:
        yield f"it is refused: {refusal}"
    elif not refusal and outcome.get("step") != "served":
        yield f"it stopped after {outcome.get('step')}"


def emitted(
    free: Queue[suite.Server], root: Path, project: Tree, folder: Path
) -> Sequence[str]:
    """The project's own tests, on what adopt made of it."""
    now = tree(root)
    shown = [path for path in {*project, *YOURS} if path in now]
    others = "tests/test_"
    files = {p: now[p] for p in shown if p in TESTS or not p.startswith(others)}
    files["tests/conftest.py"] += ONLY
    return run(folder / "emitted", files, "tests", free)


ONLY = b"""

def pytest_collection_modifyitems(items):
    items[:] = [item for item in items if "schema" in getattr(item, "fixturenames", ())]
"""
"""Leaves the tests that read the table's schema; the others are the same in every project of these answers."""
YOURS = ("schema.yaml", "params.yaml")
TESTS = tuple(
    f"tests/test_{name}.py"
    for name in (
        *("features", "release", "requests", "schema"),
        *("serve", "train", "bulk", "engine"),
    )
)
"""Those that read what adopt writes."""


def run(
    folder: Path,
    files: Tree,
    file: str,
    free: Queue[suite.Server],
    more: Sequence[str] = (),
) -> Sequence[str]:
    """Run one test file, or a folder of them, where more packages may be imported; its failures."""
    folder.mkdir(parents=True)
    answer, output = suite.run(folder, files, file, free, more=more)
    if answer is None:
        return [f"{file} died:\n{output}"]
    failed = [
        "\n".join([text.partition("\n")[0], text[-1500:]]) for text in answer["failed"]
    ]
    return failed or ([f"{file}:\n{output}"] if answer["status"] else [])
