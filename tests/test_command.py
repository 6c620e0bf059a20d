"""The matrix on the command line says what it knows, and fails with what must be mended."""

import re
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from tests import trees
from tests.checkout import Checkout
from tests.checks.__main__ import app
from tests.matrix.template import Template
from tests.real import run
from tests.rendering import ROOT, source
from tests.test_seeded import BUGS, seeded
from tests.trees import template


@pytest.fixture(autouse=True)
def upstream(monkeypatch: pytest.MonkeyPatch) -> None:
    """The template as it is, also in a fork; tests/test_org.py counts what that leaves."""
    for name in ("template", "renamed"):
        monkeypatch.setattr(f"tests.checks.__main__.{name}", getattr(trees, name))


def call(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == status, done.output
    return done.output


def test_it_counts_and_says_what_is_forbidden() -> None:
    said = call("count")
    assert f"{template().questions.count()} combinations" in said
    assert "package_name='json' is refused" in said


def test_uv_runs_it_in_a_fresh_checkout(checkout: Checkout) -> None:
    said = run(
        checkout.folder, "uv", "run", "--quiet", "matrix", "list", "--limit", "1"
    )
    assert said.startswith("preset=")


def test_it_lists_combinations() -> None:
    lines = call("list", "--limit", "3").splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("preset=")


def test_it_explains_a_project_by_the_questions_that_decided() -> None:
    said = call("explain", "container=docker", "licence=proprietary")
    (dockerfile,) = (line for line in said.splitlines() if "Dockerfile: " in line)
    assert {"container", "python_version"} <= set(re.findall(r"\w+", dockerfile))
    assert "licence" not in dockerfile
    assert "LICENSE" not in said
    assert "it can be docker, none" in call("explain", "container=podman", status=2)
    assert "is no question" in call("explain", "box=docker", status=2)


def test_it_runs_one_check_about_what_one_question_decides(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    said = call("run", "--only", "links", "--option", "ci", "--report", str(page))
    assert "links: 2 files" in said
    text = page.read_text("utf-8")
    assert "All hold." in text
    assert "<td>README.md" in text
    assert "://" not in text
    assert "is no check" in call("run", "--only", "spelling", status=2)
    assert "is no question" in call("run", "--option", "box", status=2)


def test_a_problem_is_told_with_the_command_that_shows_it(tmp_path: Path) -> None:
    (bug,) = (bug for bug in BUGS if bug.name == "a make target")
    broken = seeded(tmp_path, bug)

    def whole() -> Template:
        return broken

    with patch("tests.checks.__main__.template", whole):
        said = call("run", "--only", "make targets", status=1)
    assert "make tests: no such target\n  under ci=github" in said
    assert "--data ci=github . DEST" in said


def test_make_has_a_verb_for_it() -> None:
    assert "-m tests.checks" in (ROOT / "Makefile").read_text("utf-8")
    assert source().is_dir()
