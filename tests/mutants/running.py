"""Emitted tests run on mutants, until one fails: first those that are cheapest, and only those that run the mutated block."""

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from operator import itemgetter
from pathlib import Path
from queue import Queue
from threading import Lock
from typing import Any

from tests.checks import environment, suite
from tests.matrix.template import Template
from tests.mutants import plugin
from tests.mutants.blocks import PLUGIN, block_at, instrumented
from tests.mutants.projects import Fault, Project, equivalents, mutated, projects
from tests.rendering import ROOT

KEPT = ROOT / ".tools" / "mutants"
"""Where it is kept which test runs which block."""
LONGEST = 300
"""Seconds for a test file without a fault."""
TRAINING = "tests/test_release.py"
"""It is measured first: most other files get the model that it trains."""
MAKING = ("fixture trained", "fixture published")
"""The tests and fixtures that make that model."""
NOT_RUN = 5
"""pytest's status where no test was chosen."""


@dataclass(frozen=True)
class Verdict:
    """The end of a mutant: `by` is the test that found it, `seconds` the processor time that this took."""

    fault: Fault
    by: str
    seconds: float

    def __str__(self) -> str:
        fate = f"killed by {self.by.splitlines()[0]}" if self.by else "SURVIVED"
        return f"{self.fault}\n    {fate} ({self.seconds:.1f} s)"


Tell = Callable[[Verdict], object]


@dataclass(frozen=True)
class Report:
    """Measurements of a test file in a project: which tests ran which blocks, for how long, with which fixtures."""

    cpu: float
    fixtures: dict[str, list[str]]
    ran: dict[str, list[str]]
    seconds: dict[str, float]
    trained: list[str]
    """The tests that use the training run itself; all others can do with the model of an earlier one."""

    def runs(self, who: str, block: str | None) -> bool:
        """Whether a test or a fixture runs a block itself."""
        return block in self.ran.get(who, ())

    def seeing(self, block: str | None) -> list[str]:
        """The tests that run a block, or use a fixture that does; all, for what runs at the import."""
        if block is None:
            return list(self.fixtures)
        return [
            test
            for test, fixtures in self.fixtures.items()
            if self.runs(test, block)
            or any(self.runs(f"fixture {name}", block) for name in fixtures)
        ]

    def after(self, training: "Report") -> "Report":
        """With what the fixtures do that were spared, as another test file shows it."""
        spared = [name for name in MAKING if name in training.ran]
        ran = {name: training.ran[name] for name in spared}
        seconds = {name: training.seconds[name] for name in spared}
        return replace(self, ran=self.ran | ran, seconds=self.seconds | seconds)

    def apart(self, tests: Sequence[str]) -> Iterator[list[str]]:
        """Those that need a training run of their own after those that need none."""
        for own in (False, True):
            if group := [test for test in tests if (test in self.trained) is own]:
                yield group

    def cost(self, tests: Sequence[str]) -> float:
        """Seconds that some tests take together."""
        used = {f"fixture {name}" for test in tests for name in self.fixtures[test]}
        return sum(self.seconds.get(who, 0.0) for who in {*tests, *used})


Run = tuple[float, Project, str, list[str]]
"""Seconds, a project, a test file, and some of its tests."""


class Runner:
    """Runs test files of projects in forks that have imported the heavy libraries."""

    def __init__(self, whole: Template, free: "Queue[suite.Server]") -> None:
        self.whole = whole
        self._free = free
        self._lock = Lock()
        self._reports: dict[tuple[Project, str], Report] = {}

    @cached_property
    def _salt(self) -> str:
        return repr((environment.locked(), Path(plugin.__file__).read_text()))

    def report(self, project: Project, file: str) -> Report:
        """Measure a test file in a project without a fault."""
        with self._lock:
            known = self._reports.get((project, file))
        if known is None:
            known = self._measured(project, file)
            with self._lock:
                self._reports[project, file] = known
        return known

    def _measured(self, project: Project, file: str) -> Report:
        tree = dict(project.tree)
        for path in mutated(self.whole):
            if path in tree:
                tree[path] = instrumented(tree[path], path)
        trains = file == TRAINING or b"trained" in tree[file]
        published = "" if trains else str(self._model(project))
        KEPT.mkdir(parents=True, exist_ok=True)
        kept = KEPT / f"{self._key(tree, file)}.json"
        if not kept.exists() or (
            file == TRAINING and not self._model(project).exists()
        ):
            keep = self._model(project) if file == TRAINING else None
            limits = {"patience": LONGEST, "processor": LONGEST}
            task = {"tests": None, "published": published, **limits}
            status, said, found = self._run(tree, file, task, keep)
            assert status == 0, f"{file} fails in {project.name}:\n{said}"
            kept.write_text(json.dumps(found), "utf-8")
        report = Report(**json.loads(kept.read_text("utf-8")))
        return report if trains else report.after(self.report(project, TRAINING))

    def judge(self, fault: Fault) -> Verdict:
        """Run what can see a mutant, the cheapest first, until something fails."""
        block = block_at(fault.source, fault.path, fault.mutant.line)
        seconds = 0.0
        with tempfile.TemporaryDirectory(prefix="slipway-mutant-") as folder:
            for cost, project, file, tests in self._runs(fault, block):
                tree = {**project.tree, fault.path: fault.mutant.applied(fault.source)}
                report = self.report(project, file)
                # Trained by the mutant, unless the mutant has no part in that. Once is enough.
                own = Path(folder, sha256(project.name.encode()).hexdigest())
                making = block is None or any(report.runs(w, block) for w in MAKING)
                model = own if making else self._model(project)
                given = model.exists() and not set(tests) & set(report.trained)
                task = {
                    "tests": tests,
                    "published": str(model) if given else "",
                    "patience": 60 + 5 * int(cost),
                    "processor": 30 + 3 * int(report.cpu),
                }
                status, said, found = self._run(tree, file, task, own)
                seconds += found["cpu"] if found else cost
                if status not in (0, NOT_RUN):
                    return Verdict(fault, said, seconds)
        return Verdict(fault, "", seconds)

    def _model(self, project: Project) -> Path:
        """Where the model of a project is kept."""
        return KEPT / f"{self._key(project.tree, 'published')}-published"

    def _key(self, tree: dict[str, bytes], file: str) -> str:
        """All that a test file of a project can depend on."""
        read = {
            path: content
            for path, content in tree.items()
            if path == file or not path.startswith("tests/test_")
        }
        text = repr((self._salt, file, sorted(read.items())))
        return sha256(text.encode()).hexdigest()

    def _runs(self, fault: Fault, block: str | None) -> list[Run]:
        """The tests to run file by file: the cheapest first, of those that run the block themselves, then of the others."""
        direct: list[Run] = []
        indirect: list[Run] = []
        for project in projects(self.whole):
            if project.tree.get(fault.path) != fault.source:
                continue
            for file in project.files:
                report = self.report(project, file)
                own = [test for test in report.fixtures if report.runs(test, block)]
                others = [t for t in report.seeing(block) if t not in own]
                for tests, stage in ((own, direct), (others, indirect)):
                    for group in report.apart(tests):
                        stage.append((report.cost(group), project, file, group))
        cheapest = itemgetter(0)
        return sorted(direct, key=cheapest) + sorted(indirect, key=cheapest)

    def _run(
        self,
        tree: dict[str, bytes],
        file: str,
        task: dict[str, Any],
        keep: Path | None,
    ) -> tuple[int, str, dict[str, Any]]:
        """Run a test file on a tree: pytest's status, the first failure, what was measured. A model may be kept."""
        with tempfile.TemporaryDirectory(prefix="slipway-mutant-") as folder:
            added = {f"src/{PLUGIN}.py": Path(plugin.__file__).read_bytes()}
            Path(folder, "task.json").write_text(json.dumps(task))
            options = ("--exitfirst", "-p", PLUGIN)
            result, output = suite.run(
                Path(folder), {**tree, **added}, file, self._free, options
            )
            report = Path(folder, "report.json")
            found = json.loads(report.read_text()) if report.exists() else {}
            published = Path(folder, "published")
            if keep and published.exists() and not keep.exists():
                draft = keep.with_suffix(".draft")
                shutil.copytree(published, draft, dirs_exist_ok=True)
                draft.rename(keep)
            if result is None:
                return -1, "it hangs, or died", found
            failed = result["failed"] or [output]
            return int(result["status"]), str(failed[0]), found


@contextmanager
def runner(whole: Template) -> Iterator[Runner]:
    """A runner, and the processes that it needs."""
    with suite.servers(whole) as free:
        yield Runner(whole, free)


def verdicts(whole: Template, faults: Sequence[Fault]) -> Iterator[Verdict]:
    """Judge some mutants, and yield each verdict as soon as it is there."""
    with runner(whole) as run, ThreadPoolExecutor(suite.WORKERS) as pool:
        needed = [
            project
            for project in projects(whole)
            if any(project.tree.get(f.path) == f.source for f in faults)
        ]
        list(pool.map(lambda project: run.report(project, TRAINING), needed))
        files = [(project, file) for project in needed for file in project.files]
        list(pool.map(lambda measured: run.report(*measured), files))
        for done in as_completed(pool.submit(run.judge, fault) for fault in faults):
            yield done.result()


@dataclass(frozen=True)
class Result:
    """The verdicts on a sample, counted."""

    drawn: int
    killed: int
    equivalent: int
    survivors: tuple[Fault, ...]
    seconds: float

    def __str__(self) -> str:
        said = (
            f"{self.drawn} mutants: {self.killed} killed, {len(self.survivors)} survived, "
            f"{self.equivalent} equivalent; {self.seconds:.0f} s of CPU"
        )
        return "\n".join([said, *map(str, self.survivors)])


def tried(whole: Template, faults: Sequence[Fault], tell: Tell) -> Result:
    """Judge all mutants but those that are listed as equivalent."""
    listed = equivalents()
    rest = [fault for fault in faults if not any(e.covers(fault) for e in listed)]
    survivors, seconds = [], 0.0
    for verdict in verdicts(whole, rest):
        seconds += verdict.seconds
        if not verdict.by:
            survivors.append(verdict.fault)
        tell(verdict)
    killed, equivalent = len(rest) - len(survivors), len(faults) - len(rest)
    return Result(len(faults), killed, equivalent, tuple(survivors), seconds)
