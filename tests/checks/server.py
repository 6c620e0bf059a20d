"""Runs emitted test files in forks of a process that has imported the heavy libraries once, and says what each looked at.

It is run by the interpreter of an environment that has all that any project declares, and knows nothing of this repository:
    python server.py REQUIREMENTS
One job is one line of JSON on its standard input, one answer one line on its standard output.
"""

import gc
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import json
import os
import re
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

from packaging.requirements import Requirement

# Imported once, as far as every project declares them.
HEAVY = [
    "fastapi.testclient",
    "matplotlib.pyplot",
    "mlflow",
    "numpy",
    "optuna",
    "pandas",
    "pandera.pandas",
    "pyarrow.parquet",
    "pytest",
    "pythonjsonlogger.json",
    "sklearn.compose",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.model_selection",
    "skops.io",
]
PATIENCE = 300
"""Seconds after which a test file has hung."""
METADATA = ("importlib.metadata", "importlib_metadata")
WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT


class Looks:
    """What this process looks at below a folder. What it wrote itself is no part of the project."""

    def __init__(self, root: str) -> None:
        self.found: dict[tuple[str, str], None] = {}
        self.processes: dict[str, None] = {}
        self._root = os.path.join(root, "")
        self._written: set[str] = set()

    def note(self, path: Any, what: str) -> None:
        """Note a look."""
        inside = self.inside(path)
        if (
            inside is not None
            and inside not in self._written
            and "__pycache__" not in inside
        ):
            self.found.setdefault((inside, what))

    def inside(self, path: Any) -> str | None:
        """The path below the folder; none if it is elsewhere."""
        if not isinstance(path, str | bytes | os.PathLike):
            return None
        full = os.path.normpath(os.path.join(os.getcwd(), os.fsdecode(path)))
        if not os.path.join(full, "").startswith(self._root):
            return None
        return full[len(self._root) :]

    def hook(self, event: str, arguments: tuple[Any, ...]) -> None:
        """What the interpreter tells of files and processes."""
        if event == "open":
            path, mode, flags = arguments
            if flags & WRITING or (mode and set(str(mode)) & set("wax+")):
                self._written.add(self.inside(path) or "")
            else:
                self.note(path, "content")
        elif event in ("os.listdir", "os.scandir"):
            self.note(arguments[0] if arguments[0] is not None else ".", "listing")
        elif event in ("os.exec", "os.posix_spawn", "os.system", "subprocess.Popen"):
            self.processes.setdefault(str(arguments[0]))

    def children(self, path: Any, list_: Any) -> list[str]:
        """What installed packages are sought in. No project holds one, so that a folder of it is not listed for them."""
        return list_(path) if self.inside(path.root or ".") is None else []

    def install(self) -> None:
        """Begin to note. The interpreter does not tell of a mere question whether a file is there."""

        def asked(function: Any) -> Any:
            def ask(path: Any, *rest: Any, **options: Any) -> Any:
                self.note(path, "kind")
                return function(path, *rest, **options)

            return ask

        for module in filter(None, map(sys.modules.get, METADATA)):
            listed = module.FastPath.children
            module.FastPath.children = lambda path, listed=listed: self.children(
                path, listed
            )
        for name in ("access", "lstat", "readlink", "stat"):
            setattr(os, name, asked(getattr(os, name)))
        sys.addaudithook(self.hook)


class Folder:
    """Finds modules in a folder of the project by asking for their files, where Python itself would list the folder."""

    def __init__(self, looks: Looks, folder: str) -> None:
        """Python is told by an ImportError that a folder is none of these."""
        if looks.inside(folder or ".") is None:
            raise ImportError(folder)
        self._folder = folder

    def find_spec(self, name: str, _: ModuleType | None = None) -> Any:
        """A package, a module, or a folder that may be part of a package."""
        place = os.path.join(self._folder, name.rpartition(".")[2])
        from_file = importlib.util.spec_from_file_location
        if os.path.isfile(init := os.path.join(place, "__init__.py")):
            return from_file(name, init, submodule_search_locations=[place])
        if os.path.isfile(f"{place}.py"):
            return from_file(name, f"{place}.py")
        if os.path.isdir(place):
            spec = importlib.machinery.ModuleSpec(name, None, is_package=True)
            spec.submodule_search_locations = [place]
            return spec
        return None


class Undeclared:
    """Hides what only other projects declare. Which project declares it is a look at its pyproject.toml."""

    def __init__(
        self,
        looks: Looks,
        declared: set[str],
        always: set[str],
        optional: dict[str, set[str]],
    ) -> None:
        self._looks = looks
        self._declared = declared
        self._always = always
        self._optional = optional
        self._provided = importlib.metadata.packages_distributions()

    def find_spec(self, name: str, *_: Any) -> None:
        """Refuse a module that this project would not have."""
        owners = {
            normal(owner) for owner in self._provided.get(name.partition(".")[0], ())
        }
        if not owners or owners & self._always:
            return
        bringing = [
            root for root, brought in sorted(self._optional.items()) if brought & owners
        ]
        for root in bringing:
            self._looks.found.setdefault(("pyproject.toml", f"declares {root}"))
            if root in self._declared:
                return
        if bringing:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def probing(find: Callable[..., Any]) -> Callable[..., Any]:
    """`importlib.util.find_spec` for those who only ask: what is refused is not there."""

    def find_spec(name: str, package: str | None = None) -> Any:
        try:
            return find(name, package)
        except ModuleNotFoundError as refused:
            if refused.name == name:
                return None
            raise

    return find_spec


def normal(name: str) -> str:
    """A distribution's name as all indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def brought(requirement: str) -> set[str]:
    """All distributions that a requirement brings into this environment."""
    found: set[tuple[str, str]] = set()
    todo = [Requirement(requirement)]
    while todo:
        wanted = todo.pop()
        for extra in ("", *wanted.extras):
            if (normal(wanted.name), extra) in found:
                continue
            found.add((normal(wanted.name), extra))
            try:
                needs = importlib.metadata.requires(wanted.name) or []
            except importlib.metadata.PackageNotFoundError:
                continue  # for another system or Python
            for need in map(Requirement, needs):
                if need.marker is None or need.marker.evaluate({"extra": extra}):
                    todo.append(need)
    return {name for name, _ in found}


def run(job: dict[str, Any], looks: Looks) -> tuple[int, list[str]]:
    """Run one test file, or all of a folder; pytest's status, and what failed."""
    import pytest

    target = Path(job["root"], job["file"])

    failed: list[str] = []

    class Narrow:
        """Collects the way to the target, whose siblings are neither listed nor looked at."""

        @pytest.hookimpl(tryfirst=True)
        def pytest_collect_directory(self, path: Path, parent: Any) -> Any:
            return (
                Only.from_parent(parent, path=path) if path in target.parents else None
            )

        def pytest_runtest_logreport(self, report: Any) -> None:
            if report.failed:
                name = report.nodeid.replace(job["root"], "")
                failed.append(f"{name}\n{report.longreprtext}")

        def pytest_collectreport(self, report: Any) -> None:
            if report.failed:
                failed.append(report.longreprtext)

    class Only(pytest.Dir):  # type: ignore[misc]
        def collect(self) -> Iterator[Any]:
            below = self.path / target.relative_to(self.path).parts[0]
            if below.is_file():
                yield from self.ihook.pytest_collect_file(file_path=below, parent=self)
            else:
                yield self.ihook.pytest_collect_directory(path=below, parent=self)

    looks.install()
    options = ["-q", "-p", "no:cacheprovider", "-c", job["settings"]]
    options += ["--rootdir", job["root"], "--confcutdir", job["root"]]
    options += ["--basetemp", job["temporary"], str(target)]
    options += [option for plugin in job["plugins"] for option in ("-p", plugin)]
    return int(pytest.main(options, plugins=[Narrow()])), failed


def child(job: dict[str, Any], always: set[str], optional: dict[str, set[str]]) -> None:
    """Do a job in a process of its own, and leave the answer in a file."""
    root = job["root"]
    os.chdir(root)
    source = os.path.join(root, "src")
    os.environ["PYTHONPATH"] = source
    with open(job["output"], "w") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    signal.alarm(PATIENCE)
    looks = Looks(root)
    declared = {normal(Requirement(line).name) for line in job["declared"]}
    sys.path_hooks.insert(0, partial(Folder, looks))
    sys.meta_path.insert(0, Undeclared(looks, declared, always, optional))
    sys.path.insert(0, source)
    status, failed = run(job, looks)
    answer = {
        "status": status,
        "failed": failed,
        "looks": list(looks.found),
        "processes": list(looks.processes),
    }
    with open(job["answer"], "w") as file:
        json.dump(answer, file)
    sys.stdout.flush()
    os._exit(0)


def serve(declarations: list[list[str]]) -> None:
    """Take jobs until there are no more."""
    warnings.simplefilter("ignore")
    everywhere = set.intersection(*map(set, declarations))
    always = set().union(*map(brought, everywhere))
    others = set().union(*map(set, declarations)) - everywhere
    optional = {normal(Requirement(line).name): brought(line) for line in others}
    provided = importlib.metadata.packages_distributions()
    # While they are imported, they find nothing that only some projects declare.
    bare = Undeclared(Looks(os.devnull), set(), always, optional)
    importlib.util.find_spec = probing(importlib.util.find_spec)
    sys.meta_path.insert(0, bare)
    for name in HEAVY:
        if {normal(d) for d in provided.get(name.partition(".")[0], ())} & always:
            importlib.import_module(name)
    sys.meta_path.remove(bare)
    # Left alone, pytest would load the plugins of what other projects declare, too.
    os.environ["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = "1"
    points = importlib.metadata.entry_points(group="pytest11")
    plugins = [p.name for p in points if p.dist and normal(p.dist.name) in always]
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        job = {**json.loads(line), "plugins": plugins}
        process = os.fork()
        if process == 0:
            try:
                child(job, always, optional)
            finally:
                os._exit(1)
        os.waitpid(process, 0)
        print("done", flush=True)


if __name__ == "__main__":
    serve(json.loads(Path(sys.argv[1]).read_text("utf-8")))
