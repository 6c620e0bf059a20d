"""The command line of the matrix: it counts, lists, explains and checks projects."""

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
    """Use the template without the org.yml of a fork, which tests/test_org.py covers."""
    for name in ("template", "renamed"):
        monkeypatch.setattr(f"tests.checks.__main__.{name}", getattr(trees, name))


def call(*words: str, status: int = 0) -> str:
    done = CliRunner().invoke(app, list(words))
    assert done.exit_code == status, done.output
    return done.output


def test_count_shows_the_number_and_the_refusals() -> None:
    output = call("count")
    assert f"{template().questions.count()} combinations" in output
    assert "package_name='json' is refused" in output


def test_uv_runs_the_command_in_a_fresh_checkout(checkout: Checkout) -> None:
    output = run(
        checkout.folder, "uv", "run", "--quiet", "matrix", "list", "--limit", "1"
    )
    assert output.startswith("preset=")


def test_list_shows_combinations() -> None:
    lines = call("list", "--limit", "3").splitlines()
    assert len(lines) == 4
    assert lines[0].startswith("preset=")


def test_explain_names_the_questions_that_decided_each_file() -> None:
    output = call("explain", "container=docker", "licence=proprietary")
    (dockerfile,) = (line for line in output.splitlines() if "Dockerfile: " in line)
    assert {"container", "python_version"} <= set(re.findall(r"\w+", dockerfile))
    assert "licence" not in dockerfile
    assert "LICENSE" not in output
    assert "it can be docker, none" in call("explain", "container=podman", status=2)
    assert "is no question" in call("explain", "box=docker", status=2)


def test_run_can_be_limited_to_a_check_and_a_question(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    output = call("run", "--only", "links", "--option", "ci", "--report", str(page))
    assert "links: 2 files" in output
    text = page.read_text("utf-8")
    assert "All hold." in text
    assert "<td>README.md" in text
    assert "://" not in text
    assert "is no check" in call("run", "--only", "spelling", status=2)
    assert "is no question" in call("run", "--option", "box", status=2)


def test_a_problem_comes_with_the_command_that_shows_it(tmp_path: Path) -> None:
    (bug,) = (bug for bug in BUGS if bug.name == "a make target")
    broken = seeded(tmp_path, bug)

    def broken_template() -> Template:
        return broken

    with patch("tests.checks.__main__.template", broken_template):
        output = call("run", "--only", "make targets", status=1)
    assert "make tests: no such target\n  under ci=github" in output
    assert "--data ci=github . DEST" in output


def test_make_has_a_target_for_the_command() -> None:
    assert "-m tests.checks" in (ROOT / "Makefile").read_text("utf-8")
    assert source().is_dir()
