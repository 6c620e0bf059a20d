"""`make new DATA=... TARGET=...`: a stranger's table becomes a project that works."""

from pathlib import Path

import pytest

from tests.checkout import Checkout
from tests.rendering import ROOT
from tests.test_suites import run

TABLES = {
    "penguins": ("Species", "classification"),
    "breast_cancer": ("diagnosis", "classification"),
    "fares": ("fare", "regression"),
}


@pytest.fixture(scope="module")
def tables(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three public tables of different shape, as CSV files."""
    folder = tmp_path_factory.mktemp("tables")
    packages = ("--with", "pandas", "--with", "scikit-learn")
    script = str(ROOT / "tests" / "tables.py")
    run(folder, "uv", "run", "--no-project", *packages, "python", script, ".")
    return folder


@pytest.mark.parametrize("table", TABLES)
def test_a_table_of_ones_own_becomes_a_service(
    table: str, tables: Path, checkout: Checkout, tmp_path: Path
) -> None:
    target, problem = TABLES[table]
    folder = tmp_path / "project"
    done = checkout.new(
        str(folder),
        f"ARGS=--defaults --quiet --data preset=starter --data problem={problem}",
        f"DATA={tables / table}.csv",
        f"TARGET={target}",
    )
    assert done.returncode == 0, done.stdout
    assert target in (folder / "schema.yaml").read_text("utf-8")
    run(folder, "make", "demo")
    run(folder, "make", "test")


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
