"""Imports and declared dependencies are the same, set by set: an environment that holds more would hide what is missing.

What serves is installed without what trains, and without the fallback that only some models of some projects need. So what the command line and the service import
when they start must be in the serving set, and what scores files there or in its own set; what waits inside a function until its verb runs, and all other modules, may
need the other sets of the package too.
"""

import ast
import json
import re
import sys
from collections.abc import Callable, Iterator
from functools import cache

from tests import manifests
from tests.checks.tables import table
from tests.matrix.project import Project
from tests.matrix.template import Template
from tests.matrix.verdicts import Check

# Distributions that are imported by another name than their own.
MODULES: dict[str, str] = manifests.dependencies("modules")
# Declared and imported by no file: the command that calls it, or the reason to declare it.
CALLED: dict[str, dict[str, str]] = manifests.dependencies("called")
KEPT: dict[str, str] = manifests.dependencies("kept")
PACKAGE = ("serve", "fallback", "score", "train")
SERVED, SCORED = {"", "serve"}, {"", "serve", "score"}
SERVING = ("src/*/cli.py", "src/*/kit/serve/*.py", "src/*/kit/verbs/*.py")
SCORING = ("src/*/kit/batch.py",)


class Imports(ast.NodeVisitor):
    """What a file imports when it is imported itself, and what it imports later."""

    def __init__(self, path: str, source: str) -> None:
        self.now: set[str] = set()
        self.later: set[str] = set()
        self._package = path.removeprefix("src/").removesuffix(".py").split("/")[:-1]
        self._found = self.now
        self.visit(ast.parse(source, path))

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """What a function imports waits until it is called."""
        outside, self._found = self._found, self.later
        self.generic_visit(node)
        self._found = outside

    def visit_If(self, node: ast.If) -> None:
        """What only a type checker imports is not imported."""
        if ast.unparse(node.test) != "TYPE_CHECKING":
            self.generic_visit(node)

    def visit_Import(self, node: ast.Import) -> None:
        """Import modules."""
        self._found |= {alias.name for alias in node.names}

    def visit_ImportFrom(self, node: ast.ImportFrom) -> None:
        """Import from a module, or modules from a package."""
        package = (
            self._package[: len(self._package) + 1 - node.level] if node.level else []
        )
        module = ".".join([*package, *([node.module] if node.module else [])])
        self._found |= {module, *(f"{module}.{alias.name}" for alias in node.names)}


@cache
def parsed(path: str, source: str) -> Imports:
    """The imports of a source, which are the same in every project that holds it."""
    if path.endswith(".ipynb"):
        cells = (c for c in json.loads(source)["cells"] if c["cell_type"] == "code")
        lines = (line for cell in cells for line in cell["source"])
        # A line that begins so is IPython's own.
        source = "\n".join(line for line in lines if not line.startswith(("%", "!")))
    return Imports(path, source)


def imports(project: Project, path: str) -> Imports:
    """What a Python file or a notebook imports."""
    return parsed(path, project.text(path))


def own(project: Project, module: str) -> str:
    """The file of the project that a module is; empty if it is none."""
    return next(filter(project.has, places(project.template, module)), "")


@cache
def places(template: Template, module: str) -> tuple[str, ...]:
    """The files that a module may be in some project. What no project has is not looked for."""
    place = module.replace(".", "/")
    homes = (f"src/{place}.py", f"src/{place}/__init__.py")
    others = (f"tests/{place}.py", f"tools/{place}.py")
    return tuple(path for path in (*homes, *others) if path in template.files)


def starting(project: Project, *entries: str) -> set[str]:
    """The files that are imported when the command line or the service starts, or a file is scored."""
    todo, found = project.files(*entries), set[str]()
    while todo:
        path = todo.pop()
        if path not in found:
            found.add(path)
            todo += filter(None, (own(project, m) for m in imports(project, path).now))
    return found


def distributions(project: Project, modules: set[str]) -> set[str]:
    """What must be installed for these modules."""
    roots = {module.partition(".")[0] for module in modules} - {""}
    foreign = {
        root for root in roots - sys.stdlib_module_names if not own(project, root)
    }
    return {MODULES.get(root, root.replace("_", "-").lower()) for root in foreign}


def groups(project: Project) -> dict[str, frozenset[str]]:
    """The distributions of each set."""
    return dict(project.view("pyproject.toml", declared_sets) or ())


@cache
def declared_sets(pyproject: bytes) -> tuple[tuple[str, frozenset[str]], ...]:
    """The names of what is declared, set by set."""
    own = table(pyproject, "project")["dependencies"]
    sets = {"": own, **table(pyproject, "dependency-groups")}
    return tuple(
        (group, frozenset(re.split(r"[^\w-]", line)[0].lower() for line in lines))
        for group, lines in sets.items()
    )


@cache
def declaring(name: str) -> Callable[[bytes], frozenset[str]]:
    """A look at the sets that declare one distribution: few answers matter to it."""

    def look(pyproject: bytes) -> frozenset[str]:
        return frozenset(g for g, names in declared_sets(pyproject) if name in names)

    return look


def undeclared(project: Project, path: str) -> Iterator[str]:
    """Each import is declared in a set that is installed where the module runs."""
    found = imports(project, path)
    now, later = (distributions(project, of) for of in (found.now, found.later))
    for name in sorted(now | later):
        sets = project.view("pyproject.toml", declaring(name)) or frozenset()
        there = (
            not sets.isdisjoint({"", *PACKAGE})
            if path.startswith("src/")
            else bool(sets)
        )
        if there and name in now and path.startswith("src/"):
            # What is in the serving set need not be asked for who imports it.
            there = bool(sets & SERVED) or (
                path not in starting(project, *SERVING)
                and (bool(sets & SCORED) or path not in starting(project, *SCORING))
            )
        if not there:
            where = "in the set that runs this" if sets else "at all"
            yield f"it imports {name}, which is not declared {where}"


def unused(project: Project, _: str) -> Iterator[str]:
    """What is declared is imported, or called, or there for a reason; what only tests import is declared for them."""
    by_package: set[str] = set()
    by_any: set[str] = set()
    for path in project.files("*.py", "*.ipynb"):
        found = imports(project, path)
        used = distributions(project, found.now | found.later)
        by_any |= used
        by_package |= used if path.startswith("src/") else set()
    for group, names in groups(project).items():
        wanted = by_package if group in PACKAGE else by_any
        for name in sorted(names - wanted - KEPT.keys()):
            call = CALLED.get(name)
            if not call or not re.search(
                rf"(?<!\w){call['word']}\b", project.text(call["file"])
            ):
                yield f"{name}, of the set {group}, is neither imported nor called"


CHECKS = (
    Check(
        "imports are declared",
        lambda project, path: tuple(undeclared(project, path)),
        ("*.py", "*.ipynb"),
    ),
    Check("what is declared is used", lambda p, path: tuple(unused(p, path))),
)
