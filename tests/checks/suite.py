"""Every emitted test file passes in every project that has it, run once for what it looks at.

What a process looks at that a test starts is not traced. The files that start one are named here. They run without the files
of options that they may not depend on, and count as looking at all others that any process of a project can look at.
"""

import hashlib
import json
import subprocess
import tempfile
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cached_property, partial
from pathlib import Path
from queue import Queue
from typing import Any

from packaging.requirements import Requirement

from tests.checks import environment, server
from tests.checks.budget import budget
from tests.checks.ledgers import EVERY_RUN, Ledgers
from tests.checks.style import toml
from tests.checks.tables import table
from tests.manifests import CORE, PACKAGE, manifests
from tests.matrix.answers import Known
from tests.matrix.ledger import hashed
from tests.matrix.runs import Look, decide_by_runs
from tests.matrix.template import Template
from tests.matrix.verdicts import Decision, Problems

# They start processes, which are not traced.
STARTS_PROCESSES = ("tests/test_dvc.py", "tests/test_life.py")
# They ask about the repository that the project is in, and read no file of it.
HARMLESS = {"git"}
# Read by git, GitHub, an image's build, editors and people: no process of a test opens them.
UNSEEN = (
    ".copier-answers.yml",
    ".dockerignore",
    ".env.example",
    ".github/",
    ".gitignore",
    ".pre-commit-config.yaml",
    "Dockerfile",
    "Makefile",
)
# Shown to people. The build copies them, and no code looks at what they say.
SHOWN = ("LICENSE", "README.md", "docs/")
LONG = ("tests/test_life.py", "tests/test_parts.py")
WORKERS = 2


def pytest_settings(pyproject: bytes) -> str:
    """What pytest is told."""
    return json.dumps(table(pyproject, "tool.pytest.ini_options"), sort_keys=True)


def assumed(content: bytes) -> str:
    """All of a file, which a process may have opened untraced."""
    return hashlib.sha256(content).hexdigest()


def taken_away(file: str) -> tuple[str, ...]:
    """Return the files of options that a test is not of, and may not depend on."""
    kept = budget(file) | {CORE}
    others = [
        m
        for m in manifests().values()
        if m.question not in kept and file not in m.tests
    ]
    return tuple(found.path for manifest in others for found in manifest.owned())


def declares(name: str, pyproject: bytes) -> bool:
    """Whether a distribution is declared."""
    lines = environment.declared(pyproject)
    return name in {server.normal(Requirement(line).name) for line in lines}


def views(template: Template) -> dict[str, Callable[[bytes], object]]:
    """Looks at no more than a part of a file."""
    lines = environment.everything(template)
    names = {server.normal(Requirement(line).name) for line in lines}
    found: dict[str, Callable[[bytes], object]] = {
        "pytest": pytest_settings,
        "assumed": assumed,
    }
    return found | {f"declares {name}": partial(declares, name) for name in names}


class Server:
    """A process that has the heavy libraries, and does one job after another."""

    def __init__(self, python: Path, declarations: Path) -> None:
        # Without the folder of the script, whose names are not its own.
        self._command = [str(python), "-P", server.__file__, str(declarations)]

    @cached_property
    def _process(self) -> subprocess.Popen[str]:
        """Started when there is something to do."""
        pipe, variables = subprocess.PIPE, environment.plain()
        return subprocess.Popen(
            self._command, stdin=pipe, stdout=pipe, text=True, env=variables
        )

    def __call__(self, job: dict[str, Any]) -> None:
        """Do a job; its answer is in the file that it names."""
        assert self._process.stdin and self._process.stdout
        print(json.dumps(job), file=self._process.stdin, flush=True)
        assert self._process.stdout.readline() == "done\n"

    def close(self) -> None:
        """End it."""
        if "_process" in vars(self):
            self._process.communicate()


@contextmanager
def servers(template: Template) -> Iterator[Queue[Server]]:
    """As many as there are workers."""
    python = environment.environment(template, PACKAGE)
    free: Queue[Server] = Queue()
    with tempfile.TemporaryDirectory(prefix="slipway-servers-") as folder:
        declarations = Path(folder, "declarations.json")
        sets = environment.declarations(template)
        declarations.write_text(json.dumps([*sets, environment.everything(template)]))
        started = [Server(python, declarations) for _ in range(WORKERS)]
        try:
            for one in started:
                free.put(one)
            yield free
        finally:
            for one in started:
                one.close()


def run(
    folder: Path,
    files: Mapping[str, bytes],
    file: str,
    free: Queue[Server],
    options: Sequence[str] = (),
    more: Sequence[str] = (),
) -> tuple[dict[str, Any] | None, str]:
    """Write a project into a folder and run one of its test files, or a folder of them: the answer, if the process lived, and the end of its output."""
    root = folder / "project"
    for path, content in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(content)
    settings = folder / "pyproject.toml"
    chosen = json.loads(pytest_settings(files["pyproject.toml"]))
    # It is relative to the file, and the file is not where the project has it.
    chosen["pythonpath"] = [str(root / p) for p in chosen["pythonpath"]]
    chosen["addopts"] += options
    settings.write_text(
        "\n".join(toml("tool.pytest", {"ini_options": chosen})), "utf-8"
    )
    job = {
        "root": str(root),
        "file": file,
        "declared": [*environment.declared(files["pyproject.toml"]), *more],
        "settings": str(settings),
        "temporary": str(folder / "temporary"),
        "output": str(folder / "output"),
        "answer": str(folder / "answer"),
    }
    one = free.get()
    try:
        one(job)
    finally:
        free.put(one)
    output, answer = folder / "output", folder / "answer"
    said = output.read_text()[-1500:] if output.exists() else ""
    return json.loads(answer.read_text()) if answer.exists() else None, said


def execute(
    template: Template, free: Queue[Server], file: str, known: Known
) -> tuple[Sequence[Look], Problems]:
    """Run a test file in the project of some answers."""
    tree = template.tree(known)
    starts = file in STARTS_PROCESSES
    taken = (*UNSEEN, "tests/test_", *taken_away(file))
    with tempfile.TemporaryDirectory(prefix="slipway-suite-") as folder:
        written = {}
        for path, content in tree.items():
            if starts and path != file and path.startswith(taken):
                continue
            if starts and path.startswith(SHOWN):
                content = b"Hidden.\n"
            written[path] = content
        answer, output = run(Path(folder), written, file, free)
        if answer is None:
            return [(path, "content") for path in sorted(template.files)], (
                "it died:\n" + output,
            )
        # The same problem is told in the same words wherever it happened.
        failed = (text.replace(folder, "") for text in answer["failed"])
        problems = [text[-1500:] for text in failed]
        if answer["status"] and not problems:
            problems = [output]
        looks: list[Look] = [("pyproject.toml", "pytest")]
        # What a folder lists is then known from all that counts as read, or was taken away.
        looks += [
            (path, what)
            for path, what in answer["looks"]
            if not (starts and what == "listing")
        ]
        called = {Path(name).name for name in answer["processes"]} - HARMLESS
        if called and not starts:
            problems += [
                f"it starts {name}: name it in STARTS_PROCESSES"
                for name in sorted(called)
            ]
        if starts:
            left_out = (*taken, *SHOWN, "pyproject.toml")
            others = (p for p in sorted(template.files) if not p.startswith(left_out))
            looks += [(p, "assumed") for p in others]
        return looks, tuple(problems)


def files(template: Template) -> list[str]:
    """The test files that some project has."""
    return sorted(p for p in template.files if Path(p).match("tests/test_*.py"))


def decisions(
    template: Template,
    ledgers: Ledgers = EVERY_RUN,
    paths: Container[str] | None = None,
) -> Iterator[Decision]:
    """What each emitted test file says of every project; if some are named, what those say."""
    named = [file for file in files(template) if paths is None or file in paths]
    looks, hash_ = views(template), salt(template)
    with servers(template) as free, ThreadPoolExecutor(WORKERS) as pool:

        def decide(file: str) -> Decision:
            ledger = ledgers.of(f"passes {Path(file).stem}", hash_)
            execution = partial(execute, template, free, file)
            return decide_by_runs(template, "passes", file, execution, ledger, looks)

        # What takes longest begins first, so that no worker is left with it in the end.
        order = sorted(named, key=lambda file: file not in LONG)
        decided = {file: pool.submit(decide, file) for file in order}
        yield from (decided[file].result() for file in named)


def salt(template: Template) -> str:
    """All that the verdicts depend on besides the projects' files."""
    code = (Path(f).read_text("utf-8") for f in (__file__, server.__file__))
    lines = environment.declarations(template)
    return hashed(environment.locked(), lines, *code)
