"""The matrix against the real thing: Copier's command, an install of what is declared, the project's demo, checks and tests.

The same projects show that each verb of the emitted Makefile works. The first is cold, on a machine that has only Python.
Every answer that a run can notice is in one of the projects of `make prove`; that no combination of answers is worse than
its parts is for tests/test_matrix.py to prove.

MATRIX_SAMPLES says how many projects are made, SEED which; a night's run makes more of them than each `make prove`.
"""

import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

from tests.checkout import bare_environment
from tests.drawn import PROVE, SEED
from tests.examples import ORIGIN
from tests.manifests import manifests
from tests.matrix.answers import Answer, Known
from tests.matrix.template import Template
from tests.matrix.verdicts import shown
from tests.real import lend_bytecode, lend_caches, run
from tests.releases import Template as Repository
from tests.rendering import ANSWERS_FILE, CHOICES, Tree, render_tree, tree
from tests.trees import renamed, template, values

SAMPLES = int(os.environ.get("MATRIX_SAMPLES") or 6)
COLD = "starter"
# Read by people, by editors, by the image and by CI: no demo notices them.
UNNOTICED = {"ci", "container", "formatter", "licence", "python_version"}
PATIENCE = 120
"""Seconds until a server must have answered; a slow machine imports MLflow for long."""

SUGGESTED = {
    preset: {
        "preset": preset,
        "user_name": "",
        "user_email": "",
        "github_user": "",
        "problem": "classification",
        **{q: m.presets[preset] for q, m in manifests().items() if m.presets},
    }
    for preset in ("starter", "standard")
}
DEMOS = ("starter regression", "standard regression")
"""Projects of which only the demo is run: their checks and tests differ from the presets' in nothing that the extremes and
the drawn ones do not have."""


def preset(name: str, problem: str = "classification") -> Known:
    """The answers of a person who takes all that a preset suggests."""
    given = {**SUGGESTED[name], "problem": problem}
    known = {question: Answer.of(text) for question, text in given.items()}
    return template().questions.completed(known)


def first_or_last(place: int) -> Known:
    """The combination of all first answers, or of all last ones."""
    known: Known = {}
    questions = template().questions
    for name in questions.names:
        ways = questions.explore(lambda way, name=name: way(name), known)  # type: ignore[misc]
        known[name] = [answer for _, answer in ways][place]
    return known


def left(known: list[Known]) -> dict[str, list[str]]:
    """The answers, of those that a run can notice, that are in none of these projects."""
    return {
        name: sorted({*choices} - {values(given)[name] for given in known})
        for name, choices in CHOICES.items()
        if name not in UNNOTICED
    }


@cache
def projects() -> dict[str, Known]:
    """The presets, the extremes, and as many more by chance; first of these, until there is none, those with an answer that
    no other project has."""
    drawn = random.Random(SEED)
    found = {"starter": preset("starter"), "standard": preset("standard")}
    found |= {name: preset(*name.split()) for name in DEMOS}
    found |= {"first": first_or_last(0), "last": first_or_last(-1)}
    for number in range(max(SAMPLES - 4, 0)):
        known = template().questions.sample(drawn)
        missing = left([*found.values()])
        chosen = {name: Answer.of(more[0]) for name, more in missing.items() if more}
        if chosen:
            given = {"preset": Answer.of("custom"), **chosen}
            rest = {k: a for k, a in known.items() if k in CHOICES and k not in given}
            order = template().questions.names
            mixed = {k: (given | rest)[k] for k in order if k in given | rest}
            known = template().questions.completed(mixed)
        found[f"drawn {number + 1}"] = known
    assert not any(left([*found.values()]).values()), "raise MATRIX_SAMPLES"
    return found


NAMES = ["starter", "standard", *DEMOS, "first", "last"]
NAMES += [f"drawn {number + 1}" for number in range(max(SAMPLES - 4, 0))]
MORE = pytest.mark.prove(
    "each run proves the two presets, and one drawn project in tests/test_adoption.py; the matrix decides the rest"
)
EACH_RUN = ("starter", "standard")
DEMOED = [pytest.param(n, marks=[] if n in EACH_RUN else MORE) for n in NAMES]
WHOLE = [param for param in DEMOED if param.values[0] not in DEMOS]


def without_origin(project: Tree) -> Tree:
    """The files, but for where they came from."""
    return {**project, ANSWERS_FILE: ORIGIN.sub(b"", project[ANSWERS_FILE])}


@dataclass(frozen=True)
class Project:
    """A project that Copier's command made."""

    folder: Path
    fresh: Tree
    """Its files, before anything was run in it."""
    bare: bool
    settings: dict[str, str]
    """Environment variables of what is run in it."""

    def run(self, *command: str) -> str:
        """Run a command in it; its output."""
        return run(self.folder, *command, bare=self.bare, **self.settings)

    def make(self, *words: str) -> str:
        """Run a verb of it; its output."""
        return self.run("make", *words)


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Project]:
    """Make a project, once, and install it."""
    folder = tmp_path_factory.mktemp("oracle")
    repository = Repository(folder / "slipway")
    repository.release("1.0.0")
    settings = folder / "settings.yml"
    settings.write_text("{}\n", "utf-8")

    @cache
    def made(kind: str) -> Project:
        known = projects()[kind]
        into = folder / kind.replace(" ", "-")
        data = [f"--data={name}={answer}" for name, answer in values(known).items()]
        subprocess.run(
            [sys.executable, "-m", "copier", "copy", "--defaults", "--quiet", *data]
            + [str(repository.folder), str(into)],
            check=True,
            cwd=folder,
            env={**os.environ, "COPIER_SETTINGS_PATH": str(settings)},
        )
        fresh = tree(into)
        if kind == COLD:
            return Project(into, fresh, bare=True, settings={})
        lent = lend_caches(tmp_path_factory.getbasetemp())
        project = Project(into, fresh, bare=False, settings=lent)
        project.make("setup")
        lend_bytecode(into)
        return project

    return made


@pytest.fixture(scope="module")
def demoed(real: Callable[[str], Project]) -> Callable[[str], str]:
    """Run the demo of a project, once; its output."""
    return cache(lambda kind: real(kind).make("demo"))


@pytest.mark.parametrize("kind", DEMOED)
def test_copiers_command_makes_what_was_decided(
    real: Callable[[str], Project], kind: str
) -> None:
    known = projects()[kind]
    decided = without_origin(template().tree(known))
    assert without_origin(real(kind).fresh) == decided, f"seed {SEED}: {shown(known)}"


@pytest.mark.parametrize("kind", DEMOED)
def test_its_demo_runs(demoed: Callable[[str], str], kind: str) -> None:
    print(f"seed {SEED}: {shown(projects()[kind])}")
    assert "model_version" in demoed(kind)


@pytest.mark.parametrize("kind", WHOLE)
def test_it_passes_its_own_checks(real: Callable[[str], Project], kind: str) -> None:
    print(f"seed {SEED}: {shown(projects()[kind])}")
    real(kind).make("lint")


@pytest.mark.parametrize("kind", WHOLE)
def test_it_passes_its_own_tests(real: Callable[[str], Project], kind: str) -> None:
    print(f"seed {SEED}: {shown(projects()[kind])}")
    assert " passed" in real(kind).make("test")


def test_the_first_had_to_fetch_uv(
    real: Callable[[str], Project], demoed: Callable[[str], str]
) -> None:
    demoed(COLD)
    folder = real(COLD).folder
    fetched = run(folder, str(folder / ".tools/bin/uv"), "--version").split()[1]
    assert f"uv=={fetched} " in (folder / "tools/uv.txt").read_text("utf-8")


@pytest.mark.parametrize("whole", [template, renamed])
def test_copier_makes_the_same_files(whole: Callable[[], Template]) -> None:
    """Many more, byte for byte, by Copier in this process."""
    drawn = random.Random(SEED)
    for _ in range(SAMPLES * (5 if PROVE else 2)):
        known = whole().questions.sample(drawn)
        real = render_tree(values(known))
        assert real == whole().tree(known), f"seed {SEED}: {shown(known)}"


# --- Every verb that the demo, the checks and the tests leave ------------------------


@pytest.fixture
def starter(
    real: Callable[[str], Project], demoed: Callable[[str], str]
) -> Iterator[Project]:
    """A project whose model is promoted."""
    demoed("starter")
    yield real("starter")


@dataclass(frozen=True)
class Server:
    """A verb that serves."""

    process: subprocess.Popen[bytes]
    port: str

    def answer(self, path: str, body: bytes | None = None) -> bytes:
        """The body of its response, once it is up."""
        headers = {"Content-Type": "application/json"} if body else {}
        url = f"http://127.0.0.1:{self.port}{path}"
        request = urllib.request.Request(url, body, headers)
        until = time.monotonic() + PATIENCE
        while True:
            assert self.process.poll() is None, "the server has ended"
            try:
                with urllib.request.urlopen(request, timeout=10) as response:
                    content: bytes = response.read()
                    return content
            except OSError:
                if time.monotonic() > until:
                    raise
                time.sleep(0.5)


@contextmanager
def running(
    project: Project, verb: str, port: str, **environment: str
) -> Iterator[Server]:
    """`make VERB` in a process group of its own, ended as a person's Ctrl-C ends it."""
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", int(port))) == 0
    assert not taken, f"another server would answer on port {port}"
    settings = {**bare_environment(), **project.settings, **environment}
    with subprocess.Popen(
        ["make", verb], cwd=project.folder, env=settings, start_new_session=True
    ) as server:
        try:
            yield Server(server, port)
        finally:
            if server.poll() is None:
                os.killpg(server.pid, signal.SIGINT)
            server.wait(30)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def sources(folder: Path) -> dict[Path, bytes]:
    """The content of what `make format` may change."""
    files = [p for part in ("src", "tests") for p in (folder / part).rglob("*.py")]
    return {path: path.read_bytes() for path in files}


def test_help_lists_every_verb(starter: Project) -> None:
    lines = (starter.folder / "Makefile").read_text("utf-8").splitlines()
    verbs = next(line for line in lines if line.startswith(".PHONY:")).split()[1:]
    listed = starter.make()
    assert all(f"make {verb} " in listed for verb in verbs)


def test_format_has_nothing_to_do_on_a_fresh_project(starter: Project) -> None:
    before = sources(starter.folder)
    assert before
    starter.make("format")
    assert sources(starter.folder) == before


def test_serve_answers_the_call_that_the_project_prints(starter: Project) -> None:
    port = free_port()
    command = Path(".venv", "bin", "own-name")
    with running(starter, "serve", port, PORT=port) as server:
        server.answer("/readyz")
        call = run(starter.folder, str(command), "call", PORT=port)
        body = run(starter.folder, "bash", "-c", call)
    assert '"prediction"' in body


def test_ui_shows_the_runs(starter: Project) -> None:
    # Four processes, unless it is set, and each imports all of MLflow.
    with running(starter, "ui", "5000", MLFLOW_WORKERS="1") as server:
        assert b"MLflow" in server.answer("/")
        search = b'{"max_results": 5}'
        found = "/ajax-api/2.0/mlflow/experiments/search"
        assert b"own-name" in server.answer(found, search)


@pytest.mark.prove(
    "each run trains by the demo and the pipeline; a job of tests/system/test_workflow_steps.py calls `make train`"
)
def test_train_makes_a_version_that_can_be_promoted(starter: Project) -> None:
    starter.make("train")
    command = str(Path(".venv", "bin", "own-name"))
    assert "Version 2 is the champion" in starter.run(command, "promote")


@pytest.mark.prove("JupyterLab and what it needs are a hundred packages")
def test_the_notebook_opens_as_the_guide_says(starter: Project) -> None:
    guide = (starter.folder / "docs" / "guide.md").read_text("utf-8")
    (line,) = re.findall("`(uv run .*jupyter lab) (notebooks/.*)`", guide)
    assert (starter.folder / line[1]).is_file()
    assert "it is `.tools/bin/uv`" in guide
    command = [str(starter.folder / ".tools" / "bin" / "uv"), *line[0].split()[1:]]
    said = starter.run(*command, "--version")
    assert re.search(r"^[0-9]+\.[0-9]+\.[0-9]+$", said, re.MULTILINE)


def test_the_hooks_run_the_linters(starter: Project) -> None:
    command = ("uvx", "pre-commit", "run", "--all-files")
    run(starter.folder, "git", "add", "--all")
    assert "Passed" in run(starter.folder, *command)
    source = starter.folder / "src" / "own_name" / "data.py"
    source.write_text(source.read_text("utf-8") + "import os\n", "utf-8")
    with pytest.raises(AssertionError, match="Failed"):
        run(starter.folder, *command)
    run(starter.folder, "git", "checkout", "--", "src")


def test_doctor_looks_and_update_checks(starter: Project) -> None:
    """Their effect on a project that has releases is for tests/test_doctor.py and test_make_update.py."""
    git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    starter.run("git", "add", "--all")
    starter.run(*git, "commit", "--quiet", "--message", "Start")
    assert "Nothing to mend." in starter.make("doctor", "ARGS=--offline")
    starter.make("update", "ARGS=--help")
    with pytest.raises(AssertionError, match="colour is no answer"):
        starter.make("update", "DATA=colour")
    with pytest.raises(AssertionError, match="9.9.9"):
        starter.make("update", "TO=9.9.9", 'DATA=licence="MIT"')
    dry = starter.make("--dry-run", "update", "TRUST=1")
    assert "--trust" in dry
    assert "--trust" not in starter.make("--dry-run", "update")


def test_lock_takes_newer_versions_and_exports_them(starter: Project) -> None:
    starter.make("lock")
    exported = (starter.folder / "requirements.txt").read_text("utf-8")
    assert "fastapi==" in exported
    assert "--hash=sha256:" in exported
    assert "://" not in exported


@pytest.mark.prove(
    "in each run the standard project's own test_dvc.py runs a stage, push and pull; this adds the real training"
)
def test_the_pipeline_runs_whole_and_is_kept(real: Callable[[str], Project]) -> None:
    project = real("standard")
    dvc = ("uv", "run", "dvc")
    stages = project.run(*dvc, "repro")
    assert all(
        f"'{stage}'" in stages for stage in ("data/dvc.yaml:fetch", "check", "train")
    )
    assert "score" in project.run(*dvc, "metrics", "show")
    assert "pushed" in project.run(*dvc, "push")
    for path in ("data/raw.csv", "reports/model_card.md"):
        (project.folder / path).unlink()
    shutil.rmtree(project.folder / ".dvc" / "cache")
    project.run(*dvc, "pull")
    assert (project.folder / "reports" / "model_card.md").is_file()
    assert "up to date" in project.run(*dvc, "status")
    assert project.run(*dvc, "repro").count("didn't change") == 3
