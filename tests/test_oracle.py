"""The matrix against the real thing: Copier's command, an install of what is declared, the project's own tests.

MATRIX_SAMPLES says how many projects are made, MATRIX_SEED which; a night's run makes more of them than each push.
"""

import os
import random
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.examples import ORIGIN
from tests.matrix.answers import Answer, Known
from tests.matrix.template import Template
from tests.matrix.verdicts import shown
from tests.releases import Template as Repository
from tests.rendering import ANSWERS_FILE, Tree, render_tree, tree
from tests.test_suites import WORKERS, run
from tests.trees import renamed, template, values

SEED = int(os.environ.get("MATRIX_SEED") or 2026)
SAMPLES = int(os.environ.get("MATRIX_SAMPLES") or 6)


def first_or_last(whole: Template, place: int) -> Known:
    """The combination of all first answers, or of all last ones."""
    known: Known = {}
    for name in whole.questions.names:
        ways = whole.questions.explore(lambda way, name=name: way(name), known)  # type: ignore[misc]
        known[name] = [answer for _, answer in ways][place]
    return known


def preset(name: str) -> Known:
    """What a person gets who takes all that a preset suggests."""
    known = {question: Answer.of(text) for question, text in SUGGESTED[name].items()}
    return template().questions.completed(known)


SUGGESTED = {
    name: {
        "preset": name,
        "user_name": "",
        "user_email": "",
        "github_user": "",
        "licence": "MIT",
        "problem": "classification",
        "data_versioning": "none" if name == "starter" else "dvc",
        "python_version": "3.11",
        "formatter": "black",
        "container": "none" if name == "starter" else "docker",
        "ci": "github",
        "engine": "sklearn" if name == "starter" else "plan",
        "bulk": "none" if name == "starter" else "parquet",
        "auth": "none" if name == "starter" else "api_key",
        "limits": "none" if name == "starter" else "memory",
        "prediction_log": "none" if name == "starter" else "sqlite",
        "tracing": "none",
    }
    for name in ("starter", "standard")
}


def chosen() -> list[Known]:
    """The presets, the extremes, and the rest by chance."""
    drawn = random.Random(SEED)
    known = [preset("standard"), preset("starter")]
    known += [first_or_last(template(), 0), first_or_last(template(), -1)]
    known += [template().questions.sample(drawn) for _ in range(SAMPLES - len(known))]
    return known


def without_origin(project: Tree) -> Tree:
    """The files, but for where they came from."""
    return {**project, ANSWERS_FILE: ORIGIN.sub(b"", project[ANSWERS_FILE])}


def live(repository: Path, folder: Path, known: Known) -> None:
    """Make the project by Copier's command, compare it, install what it declares, and let it check and test itself."""
    settings = repository.parent / "settings.yml"
    settings.write_text("{}\n", "utf-8")
    data = [f"--data={name}={answer}" for name, answer in values(known).items()]
    subprocess.run(
        [sys.executable, "-m", "copier", "copy", "--defaults", "--quiet", *data]
        + [str(repository), str(folder)],
        check=True,
        cwd=repository.parent,
        env={**os.environ, "COPIER_SETTINGS_PATH": str(settings)},
    )
    made, decided = without_origin(tree(folder)), without_origin(template().tree(known))
    assert made == decided, f"seed {SEED}: {shown(known)}"
    run(folder, "make", "lint")
    assert " passed" in run(folder, "make", "test")


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Future[None]]]:
    """Several at once."""
    folder = tmp_path_factory.mktemp("oracle")
    repository = Repository(folder / "slipway")
    repository.release("1.0.0")
    with ThreadPoolExecutor(WORKERS) as pool:
        yield [
            pool.submit(live, repository.folder, folder / f"project-{number}", known)
            for number, known in enumerate(chosen())
        ]


@pytest.mark.parametrize("number", range(SAMPLES))
def test_a_real_project_is_what_was_decided_and_passes(
    lives: list[Future[None]], number: int
) -> None:
    print(f"seed {SEED}: {shown(chosen()[number])}")
    lives[number].result()


@pytest.mark.parametrize("whole", [template, renamed])
def test_copier_makes_the_same_files(whole: type[Template]) -> None:
    """Many more, byte for byte, by Copier in this process."""
    drawn = random.Random(SEED)
    for _ in range(SAMPLES * 5):
        known = whole().questions.sample(drawn)  # type: ignore[call-arg]
        real = render_tree(values(known))
        assert real == whole().tree(known), f"seed {SEED}: {shown(known)}"  # type: ignore[call-arg]
