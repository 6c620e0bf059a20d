"""The demo of an emitted project, run where nothing of the template is near.

Every answer that a run can notice is in one of these projects. That no combination of answers is worse than its parts is
for tests/test_matrix.py to prove; that the real install agrees, for tests/test_oracle.py.
"""

import itertools
import os
import subprocess
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

from tests.checkout import bare_environment
from tests.rendering import ANSWERS_FILE, CHOICES, ROOT, render, render_tree
from tests.trees import NAMES

# Read by people, by editors, by the image and by CI: no demo notices them.
UNNOTICED = {"ci", "container", "formatter", "licence", "python_version"}
PRESETS = ("starter", "standard")
SHORT = {"package_name": NAMES[0]}
WORKERS = 2


def projects() -> dict[str, Mapping[str, str]]:
    """Both presets for each problem; then projects of the answers that no preset gives."""
    found: dict[str, Mapping[str, str]] = {}
    left = {name: set(choices) for name, choices in CHOICES.items()}
    for preset, problem in itertools.product(PRESETS, CHOICES["problem"]):
        answers = {"preset": preset, "problem": problem}
        found[f"{preset} {problem}"] = answers
        for name, answer in values(answers).items():
            left[name].discard(answer)
    rest = {name: sorted(left[name]) for name in left if name not in UNNOTICED}
    for number in range(max(map(len, rest.values()))):
        chosen = {
            name: more[number] for name, more in rest.items() if len(more) > number
        }
        found[f"others {number + 1}"] = {"preset": "custom", **chosen}
    return found


def values(answers: Mapping[str, str]) -> dict[str, str]:
    """The answer to each question with choices, as a preset completes them."""
    recorded = yaml.safe_load(render_tree(answers)[ANSWERS_FILE])
    return {name: recorded[name] for name in CHOICES}


def run(folder: Path, *command: str, bare: bool = False) -> str:
    """Run a command in a project as its owner would; its output."""
    environment = bare_environment()
    if not bare:
        environment["PATH"] += f"{os.pathsep}{ROOT / '.tools' / 'bin'}"
        environment["PATH"] += f"{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, f"{' '.join(command)} failed:\n{done.stdout}"
    return done.stdout


@pytest.fixture(scope="module")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[str]]]:
    """Several at once."""
    folder = tmp_path_factory.mktemp("demos")
    made = {
        kind: render(folder / kind.replace(" ", "-"), {**answers, **SHORT})
        for kind, answers in projects().items()
    }
    with ThreadPoolExecutor(WORKERS) as pool:
        yield {
            kind: pool.submit(run, project, "make", "demo", bare=True)
            for kind, project in made.items()
        }


@pytest.mark.parametrize("kind", projects())
def test_its_demo_runs_on_a_machine_that_has_only_python(
    demos: dict[str, Future[str]], kind: str
) -> None:
    assert "model_version" in demos[kind].result()
