"""`make new DATA=... TARGET=...`: a stranger's table becomes a project that works, whatever else was answered."""

import random
import shlex
from pathlib import Path

import pytest

from tests.checkout import Checkout
from tests.drawn import PROVE, SEED
from tests.matrix.answers import Known
from tests.matrix.verdicts import shown
from tests.ownership import row
from tests.real import lend_bytecode, lend_caches, run
from tests.releases import git
from tests.rendering import ROOT, Tree
from tests.test_oracle import without_origin
from tests.trees import template, values

TABLES = {
    "penguins": ("Species", "classification"),
    "breast_cancer": ("diagnosis", "classification"),
    "fares": ("fare", "regression"),
}
MORE = pytest.mark.prove(
    "each run adopts one of the tables, in turn; all are known to work"
)
# Coverage doubles the time, and a table changes nothing of what is covered: each run holds it in the presets' projects.
TESTS = ("make", "test") if PROVE else ("uv", "run", "--locked", "pytest")
IN_TURN = sorted(TABLES)[SEED % len(TABLES)]


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three public tables of different shape, as CSV files."""
    folder = tmp_path_factory.mktemp("tables")
    packages = ("--with", "pandas", "--with", "scikit-learn")
    script = str(ROOT / "tests" / "tables" / "inside" / "public.py")
    run(folder, "uv", "run", "--no-project", *packages, "python", script, ".")
    return folder


def drawn(table: str) -> Known:
    """Answers by chance, for the problem that the table poses."""
    chance = random.Random(f"{SEED} {table}")
    while True:
        known = template().questions.sample(chance)
        if known["problem"].value == TABLES[table][1]:
            return known


def kept(project: Tree) -> Tree:
    """The files that a table of one's own changes nothing in."""
    files = without_origin(project).items()
    changed = {"data/dvc.yaml", "uv.lock"}
    return {p: c for p, c in files if p not in changed and row(p).owner != "yours"}


def files_of(folder: Path) -> Tree:
    """The content of what git does not ignore."""
    listed = git(folder, "ls-files", "-z", "--others", "--exclude-standard")
    return {p: (folder / p).read_bytes() for p in listed.split("\0") if p}


@pytest.mark.parametrize(
    "table", [pytest.param(t, marks=[] if t == IN_TURN else MORE) for t in TABLES]
)
def test_a_table_of_ones_own_becomes_a_service(
    table: str,
    tables: Path,
    checkout: Checkout,
    tmp_path_factory: pytest.TempPathFactory,
    tmp_path: Path,
) -> None:
    known = drawn(table)
    print(f"seed {SEED}: {shown(known)}")
    folder = tmp_path / "project"
    arguments = ["--defaults", "--quiet"]
    for name, answer in values(known).items():
        arguments += ["--data", f"{name}={answer}"]
    done = checkout.new(
        str(folder),
        f"ARGS={shlex.join(arguments)}",
        f"DATA={tables / table}.csv",
        f"TARGET={TABLES[table][0]}",
    )
    assert done.returncode == 0, done.stdout
    assert TABLES[table][0] in (folder / "schema.yaml").read_text("utf-8")
    assert not (folder / "data" / "demo.py").exists()
    assert kept(files_of(folder)) == kept(template().tree(known))
    lend_bytecode(folder)
    lent = lend_caches(tmp_path_factory.getbasetemp())
    assert "model_version" in run(folder, "make", "demo", bare=False, **lent)
    run(folder, "make", "lint", bare=False, **lent)
    assert " passed" in run(folder, *TESTS, bare=False, **lent)


def test_a_table_that_is_refused_leaves_a_project_and_the_way_on(
    checkout: Checkout, tmp_path: Path
) -> None:
    table = tmp_path / "empty.csv"
    table.write_text("a,b\n")
    folder = tmp_path / "project"
    done = checkout.new(
        str(folder), "ARGS=--defaults --quiet", f"DATA={table}", "TARGET=b"
    )
    assert done.returncode != 0
    assert f"the project is in {folder}" in done.stdout
    assert f"adopt.py {table} --target b" in done.stdout
    assert (folder / "pyproject.toml").is_file()
