"""Every emitted test file passes in every project that has it, run once for what it looks at.

What a process looks at that a test starts is not traced. The files that start one are named here; they count as looking at
all that any process of a project can look at, but for what is taken away before they run.
"""

import ast
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
from tests.checks.ledgers import EVERY_RUN, Ledgers
from tests.checks.style import toml
from tests.checks.tables import table
from tests.manifests import PACKAGE
from tests.matrix.answers import Known
from tests.matrix.ledger import hashed
from tests.matrix.runs import Look, decide_by_runs
from tests.matrix.template import Template
from tests.matrix.verdicts import Decision, Problems
from tests.parsers import parsed

# What answers add to the service. It has tests of its own, and a pipeline and the core's life have no use for it.
PARTS = tuple(
    f"src/{PACKAGE}/kit/{module}.py"
    for module in (
        "export",
        "serve/auth",
        "serve/issuer",
        "serve/journal",
        "serve/limits",
        "serve/logdb",
        "serve/parts",
        "serve/shared",
        "serve/tracing",
    )
)
PIPELINE = (".dvc/", ".dvcignore", "data/dvc.yaml", "dvc.yaml")
BULK = tuple(f"src/{PACKAGE}/kit/{module}.py" for module in ("arrow", "batch"))
# What starts processes, and what is taken away from it beside all that is UNSEEN.
STARTS_PROCESSES: dict[str, tuple[str, ...]] = {
    "tests/test_dvc.py": (*PARTS, *BULK, f"src/{PACKAGE}/kit/access.py"),
    "tests/test_life.py": (*PARTS, *BULK, *PIPELINE),
}
# What a test file does not use of the command line is taken away too; nor would all of it find what it needs.
COMMANDS = f"src/{PACKAGE}/cli.py"
VERBS = frozenset(
    ("_asked", "_champion", "access", "call", "demo", "export_log", "headers")
    + ("promote", "rollback", "score", "serve", "sign")
)
UNUSED = {
    "tests/test_auth.py": VERBS - {"access", "headers"},
    "tests/test_bulk.py": VERBS - {"score"},
    "tests/test_dvc.py": VERBS,
    "tests/test_life.py": frozenset({"export_log", "score"}),
    "tests/test_logdb.py": VERBS - {"export_log"},
    "tests/test_parts.py": VERBS - {"access", "call", "headers", "serve"},
    "tests/test_signing.py": VERBS - {"sign"},
}
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


def without(unused: frozenset[str], source: bytes) -> str:
    """A command line that lacks some names, what is done with them at once, and what it imported for them alone."""
    tree = parsed(source)
    tree.body = [
        node
        for node in tree.body
        if getattr(node, "name", "") not in unused
        and not (isinstance(node, ast.Expr) and used(node) & unused)
    ]
    left = used(tree)
    for node in tree.body:
        if isinstance(node, ast.ImportFrom):
            node.names = [a for a in node.names if (a.asname or a.name) in left]
    tree.body = [node for node in tree.body if getattr(node, "names", True)]
    return ast.unparse(tree)


def used(tree: ast.AST) -> set[str]:
    """The names that it uses."""
    return {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}


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
    found |= {
        f"content without {file}": partial(without, UNUSED[file]) for file in UNUSED
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
    taken = (*UNSEEN, "tests/test_", *STARTS_PROCESSES.get(file, ()))
    with tempfile.TemporaryDirectory(prefix="slipway-suite-") as folder:
        written = {}
        for path, content in tree.items():
            if starts and path != file and path.startswith(taken):
                continue
            if starts and path.startswith(SHOWN):
                content = b"Hidden.\n"
            elif file in UNUSED and path == COMMANDS:
                content = without(UNUSED[file], content).encode()
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
            (
                path,
                (
                    f"content without {file}"
                    if path == COMMANDS and file in UNUSED
                    else what
                ),
            )
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
            looks += [
                (p, f"content without {file}" if p == COMMANDS else "assumed")
                for p in others
            ]
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
