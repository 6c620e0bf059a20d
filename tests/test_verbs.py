"""Every verb of an emitted Makefile that no other test of ours runs, in one project."""

import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.checkout import bare_environment
from tests.rendering import render, tree
from tests.test_suites import run

PATIENCE = 120
"""Seconds until a server must have answered; a slow machine imports MLflow for long."""


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project that is set up and trained, and whose model is promoted."""
    folder = render(tmp_path_factory.mktemp("verbs") / "project", {"preset": "starter"})
    run(folder, "make", "train")
    run(folder, "uv", "run", "churn-model", "promote")
    return folder


@contextmanager
def running(folder: Path, verb: str, **environment: str) -> Iterator[None]:
    """`make VERB` in a process group of its own, ended as a person's Ctrl-C ends it."""
    settings = {**bare_environment(), "PATH": os.environ["PATH"], **environment}
    with subprocess.Popen(
        ["make", verb], cwd=folder, env=settings, start_new_session=True
    ) as server:
        try:
            yield
        finally:
            os.killpg(server.pid, signal.SIGINT)
            server.wait(30)


def answer(url: str, body: bytes | None = None) -> bytes:
    """What a server says, once it is up."""
    headers = {"Content-Type": "application/json"} if body else {}
    request = urllib.request.Request(url, body, headers)
    until = time.monotonic() + PATIENCE
    while True:
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                content: bytes = response.read()
                return content
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


def test_help_lists_every_verb(project: Path) -> None:
    lines = (project / "Makefile").read_text("utf-8").splitlines()
    verbs = next(line for line in lines if line.startswith(".PHONY:")).split()[1:]
    shown = run(project, "make")
    assert all(f"make {verb} " in shown for verb in verbs)


def test_format_has_nothing_to_do_on_a_fresh_project(project: Path) -> None:
    sources = {p: c for p, c in tree(project).items() if p.startswith(("src", "tests"))}
    run(project, "make", "format")
    after = tree(project)
    assert {p for p, content in sources.items() if after[p] != content} == set()


def test_serve_answers_the_call_that_the_project_prints(project: Path) -> None:
    port = free_port()
    with running(project, "serve", PORT=port):
        answer(f"http://127.0.0.1:{port}/readyz")
        settings = os.environ | {"PORT": port}
        command = ["uv", "run", "churn-model", "call"]
        call = subprocess.check_output(command, cwd=project, env=settings, text=True)
        said = subprocess.check_output(call, shell=True, text=True)
    assert '"prediction"' in said


def test_ui_shows_the_runs(project: Path) -> None:
    with running(project, "ui"):
        assert b"MLflow" in answer("http://127.0.0.1:5000/")
        search = b'{"max_results": 5}'
        found = "http://127.0.0.1:5000/ajax-api/2.0/mlflow/experiments/search"
        assert b"churn-model" in answer(found, search)


def test_the_hooks_run_the_linters(project: Path) -> None:
    command = ("uvx", "pre-commit", "run", "--all-files")
    run(project, "git", "add", "--all")
    assert "Passed" in run(project, *command)
    source = project / "src" / "churn_model" / "data.py"
    source.write_text(source.read_text("utf-8") + "import os\n", "utf-8")
    with pytest.raises(AssertionError, match="Failed"):
        run(project, *command)
    run(project, "git", "checkout", "--", "src")


def test_doctor_looks_and_update_checks(project: Path) -> None:
    """What they do to a project that has releases: tests/test_doctor.py, test_make_update.py."""
    git = ("git", "-c", "user.name=Ada", "-c", "user.email=ada@example.com")
    run(project, "git", "add", "--all")
    run(project, *git, "commit", "--quiet", "--message", "Start")
    assert "Nothing to mend." in run(project, "make", "doctor", "ARGS=--offline")
    run(project, "make", "update", "ARGS=--help")
    with pytest.raises(AssertionError, match="colour is no answer"):
        run(project, "make", "update", "DATA=colour")
    with pytest.raises(AssertionError, match="does not appear to be a git repo"):
        run(project, "make", "update", "TO=1.0.0", 'DATA=licence="MIT"')
    dry = run(project, "make", "--dry-run", "update", "TRUST=1")
    assert "--trust" in dry
    assert "--trust" not in run(project, "make", "--dry-run", "update")


def test_lock_takes_newer_versions_and_exports_them(project: Path) -> None:
    run(project, "make", "lock")
    exported = (project / "requirements.txt").read_text("utf-8")
    assert "fastapi==" in exported
    assert "--hash=sha256:" in exported
    assert "://" not in exported


def test_the_pipeline_runs_whole_and_is_kept(tmp_path: Path) -> None:
    folder = render(tmp_path / "project", {"preset": "standard"})
    run(folder, "make", "setup")
    dvc = ("uv", "run", "dvc")
    told = run(folder, *dvc, "repro")
    assert all(
        f"'{stage}'" in told for stage in ("data/dvc.yaml:fetch", "check", "train")
    )
    assert "score" in run(folder, *dvc, "metrics", "show")
    assert "pushed" in run(folder, *dvc, "push")
    for path in ("data/raw.csv", "reports/model_card.md"):
        (folder / path).unlink()
    shutil.rmtree(folder / ".dvc" / "cache")
    run(folder, *dvc, "pull")
    assert (folder / "reports" / "model_card.md").is_file()
    assert "up to date" in run(folder, *dvc, "status")
    assert run(folder, *dvc, "repro").count("didn't change") == 3
