"""A fleet: the state of each repository, and updates in which no failure affects the others."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from slipway.cli import app
from slipway.doctor import load_doctor
from slipway.tools import load_tool
from tests import quick
from tests.releases import Follower, Template, git
from tests.rendering import ANSWERS_FILE
from tests.test_org import forked

light, python = quick.light, quick.python
NAMES = ("plain", "edited", "answered", "conflicting", "broken")
BRANCH = "slipway/update-1.1.0"
CHANGES = """
upgrading:
  - {text: This concerns all.}
  - {text: Images moved., do: Mount again., when: {container: docker}}
"""


@dataclass(frozen=True)
class Finding:
    """A finding as the real doctor reports it."""

    code: str
    severity: str = "warning"
    path: str = "."
    message: str = "it is old"
    cure: str = "make update"


def examine_readme(project: Path, *, network: bool = True) -> list[Finding]:
    """Stand in for the doctor: read one file, without locking or rendering."""
    updated = "A new line." in (project / "README.md").read_text()
    return [] if updated else [Finding("behind")]


class Fleet:
    """Bare repositories, as on a git host, and the file that lists them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.template = Template.at(folder / "template")
        self.list = folder / "repos.txt"

    def write(self, *lines: str) -> None:
        self.list.write_text("\n".join(lines) + "\n", "utf-8")

    def refs(self, name: str) -> set[str]:
        listed = git(self.folder / f"{name}.git", "for-each-ref", "--format=%(refname)")
        return {ref.removeprefix("refs/heads/") for ref in listed.splitlines()}

    def show(self, name: str, path: str, ref: str = BRANCH) -> str:
        return git(self.folder / f"{name}.git", "show", f"{ref}:{path}")

    def call(self, *words: str, status: int = 0) -> str:
        runner = CliRunner(env={"COLUMNS": "300"})
        done = runner.invoke(app, ["fleet", str(self.list), *words])
        assert done.exit_code == status, done.output
        return done.output

    def call_json(self, *words: str, status: int = 0) -> dict[str, Any]:
        """Return the JSON output, by the repository's name."""
        rows = json.loads(self.call("--json", *words, status=status))
        return {Path(row["repository"]).stem: row for row in rows}


def edit(project: Follower, name: str) -> None:
    """Edit a project as its name says."""
    match name:
        case "edited":
            project.append("README.md", "\nOurs.\n")
        case "conflicting":
            text = project.read("README.md").replace("\n\n", "\n\nAnother line.\n\n", 1)
            (project.folder / "README.md").write_text(text, "utf-8")
        case "broken":
            (project.folder / ANSWERS_FILE).write_text("{ half an answer", "utf-8")


@pytest.fixture(scope="module")
def five_projects(default_gitconfig: object) -> Iterator[Path]:
    """Five projects that follow 1.0.0 of a template with a release 1.1.0, and a copy to restore them from."""
    with quick.folder() as folder:
        yield create_five(Path(folder))


def create_five(folder: Path) -> Path:
    fleet = folder / "fleet"
    fleet.mkdir()
    template = Template(fleet / "template")
    template.keep("Dockerfile", "LICENSE", "README.md")
    template.release("1.0.0")
    for name in NAMES:
        answers = {"container": "docker"} if name == "answered" else {}
        project = Follower(template, folder / name, preset="starter", **answers)
        edit(project, name)
        if project.changed():
            project.commit("ours")
        bare = f"{name}.git"
        git(fleet, "clone", "--quiet", "--bare", str(project.folder), bare)
    template.replace("template/README.md.jinja", "\n\n", "\n\nA new line.\n\n")
    template.write("docs/changes/1.1.0.yml", CHANGES)
    template.release("1.1.0")
    shutil.copytree(fleet, folder / "backup")
    return folder


@pytest.fixture
def fleet(five_projects: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """The five projects, restored at the path that their answers record."""
    shutil.rmtree(five_projects / "fleet")
    shutil.copytree(five_projects / "backup", five_projects / "fleet")
    # The doctor caches a template's releases for as long as it is loaded.
    load_tool.cache_clear()
    monkeypatch.setattr(load_doctor(), "examine", examine_readme)
    fleet = Fleet(five_projects / "fleet")
    fleet.write(*(f"{name}.git" for name in NAMES))
    return fleet


def test_the_state_of_each_repository_is_reported(fleet: Fleet) -> None:
    results = fleet.call_json(status=1)
    plain = results["plain"]
    assert (plain["version"], plain["newest"], plain["behind"]) == ("1.0.0", "1.1.0", 1)
    assert (plain["preset"], plain["differs"]) == ("starter", {})
    assert [finding["code"] for finding in plain["findings"]] == ["behind"]
    assert results["answered"]["differs"] == {"container": "docker"}
    assert "cannot be read" in results["broken"]["trouble"]
    assert [name for name in NAMES if results[name]["trouble"]] == ["broken"]


def test_the_real_doctor_reports_its_findings(
    fleet: Fleet,
) -> None:
    load_tool.cache_clear()
    fleet.write("plain.git")
    (findings,) = (row["findings"] for row in fleet.call_json().values())
    assert [each["code"] for each in findings] == ["stale-lock", "behind"]
    assert findings[0]["cure"] == "uv lock"


def test_the_default_output_is_a_table(fleet: Fleet) -> None:
    lines = fleet.call(status=1).splitlines()
    (plain,) = (line for line in lines if "plain.git" in line)
    assert plain.split()[1:] == ["1.0.0", "1", "starter", "behind"]
    assert any("container=docker" in line for line in lines)
    assert any("broken.git" in line and "cannot be read" in line for line in lines)
    assert lines[-1] == "5 repositories, 1 failed"


def test_nothing_changes_without_update(fleet: Fleet) -> None:
    before = {name: fleet.refs(name) for name in NAMES}
    fleet.call(status=1)
    assert {name: fleet.refs(name) for name in NAMES} == before


def test_an_update_is_a_branch_and_a_failure_affects_no_other(fleet: Fleet) -> None:
    before = {name: fleet.show(name, "README.md", "main") for name in NAMES}
    results = fleet.call_json("--update", status=1)
    assert {name: row["outcome"] for name, row in results.items()} == {
        "plain": "updated",
        "edited": "updated",
        "answered": "updated",
        "conflicting": "conflict",
        "broken": "failed",
    }
    for name in ("plain", "edited", "answered", "conflicting"):
        assert fleet.refs(name) == {"main", BRANCH}
        assert "A new line." in fleet.show(name, "README.md")
        assert yaml.safe_load(fleet.show(name, ANSWERS_FILE))["_commit"] == "1.1.0"
    assert fleet.show("edited", "README.md").endswith("\nOurs.\n")
    assert results["conflicting"]["conflicts"] == ["README.md"]
    shown = fleet.show("conflicting", "README.md")
    assert "<<<<<<< yours, hunk 1\n" in shown and ">>>>>>> Slipway 1.1.0" in shown
    message = git(fleet.folder / "conflicting.git", "log", "-1", "--format=%B", BRANCH)
    assert message.startswith("Update the template from 1.0.0 to 1.1.0\n")
    assert "- README.md" in message and "make update FINISH=1" in message
    assert "What behaves differently:\n\n- This concerns all.\n" in message
    assert "on other answers (1)" in message and "Images" not in message
    bare = fleet.folder / "answered.git"
    answered = git(bare, "log", "-1", "--format=%B", BRANCH)
    assert "What to do:\n\n1. Mount again. Images moved.\n" in answered
    assert "FINISH" not in answered
    assert fleet.refs("broken") == {"main"}
    assert {name: fleet.show(name, "README.md", "main") for name in NAMES} == before


def test_a_repeated_update_skips_what_is_done(fleet: Fleet) -> None:
    fleet.write("plain.git")
    fleet.call("--update")
    bare = fleet.folder / "plain.git"
    git(bare, "update-ref", "refs/heads/main", BRANCH)
    git(bare, "branch", "--quiet", "--delete", "--force", BRANCH)
    git(fleet.folder / "edited.git", "branch", BRANCH, "main")
    fleet.write("plain.git", "edited.git")
    results = fleet.call_json("--update")
    assert results["plain"]["outcome"] == "current"
    assert results["edited"]["outcome"] == "waiting"
    assert fleet.show("edited", "README.md") == fleet.show(
        "edited", "README.md", "main"
    )
    assert fleet.refs("plain") == {"main"}


@pytest.mark.parametrize(
    ("order", "outcomes"),
    [
        (("conflicting", "plain"), ("conflict", "held back")),
        (("plain", "conflicting"), ("updated", "conflict")),
        (("broken", "plain"), ("failed", "held back")),
    ],
)
def test_a_wave_that_is_not_clean_is_the_last(
    fleet: Fleet, order: tuple[str, ...], outcomes: tuple[str, ...]
) -> None:
    fleet.write(*(f"{name}.git" for name in order))
    results = fleet.call_json("--update", "--wave", "1", status=1)
    assert tuple(results[name]["outcome"] for name in order) == outcomes
    held = [name for name in order if results[name]["outcome"] == "held back"]
    assert not any(BRANCH in fleet.refs(name) for name in held)


def test_an_unreachable_repository_stops_no_other(fleet: Fleet) -> None:
    fleet.write("# ours", "", "nowhere.git", "plain.git  # the first", "file:///no.git")
    results = fleet.call_json(status=1)
    assert "nowhere.git' does not exist" in results["nowhere"]["trouble"]
    assert results["no"]["trouble"].startswith("git clone: ")
    assert results["plain"]["version"] == "1.0.0"
    shutil.move(fleet.template.folder, fleet.folder / "gone")
    load_tool.cache_clear()
    assert "cannot be reached: " in fleet.call_json(status=1)["plain"]["trouble"]


def test_an_unexpected_error_stops_no_other(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(project: Path, *, network: bool = True) -> list[Finding]:
        raise KeyError("cure")

    monkeypatch.setattr(load_doctor(), "examine", fail)
    fleet.write("plain.git", "edited.git")
    results = fleet.call_json(status=1)
    assert {row["trouble"] for row in results.values()} == {"KeyError: 'cure'"}


def test_a_project_that_follows_no_release_is_reported(fleet: Fleet) -> None:
    git(fleet.template.folder, "tag", "--delete", "1.0.0")
    fleet.write("plain.git")
    trouble = fleet.call_json(status=1)["plain"]["trouble"]
    assert trouble.startswith("it follows 1.0.0, which is not a release of ")


def test_migrations_run_only_when_trusted(fleet: Fleet) -> None:
    migration = '_migrations: [{version: 1.2.0, command: "touch moved.txt"}]'
    fleet.template.replace("copier.yml", "_migrations: []", migration)
    fleet.template.release("1.2.0")
    fleet.write("plain.git")
    results = fleet.call_json("--update", status=1)["plain"]
    assert results["outcome"] == "failed"
    assert "--trust" in results["said"]
    assert fleet.refs("plain") == {"main"}
    assert fleet.call_json("--update", "--trust")["plain"]["outcome"] == "updated"
    assert fleet.show("plain", "moved.txt", "slipway/update-1.2.0") == ""


def test_a_committed_lock_is_refreshed(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    uv = fleet.folder / "bin" / "uv"
    uv.parent.mkdir()
    uv.write_text('#!/bin/sh\ntest "$1" = lock && echo renewed > uv.lock\n')
    uv.chmod(0o755)
    monkeypatch.setenv("PATH", str(uv.parent), prepend=":")
    work = fleet.folder / "work"
    git(fleet.folder, "clone", "--quiet", "plain.git", str(work))
    (work / "uv.lock").write_text("old\n")
    git(work, "add", "uv.lock")
    git(work, "commit", "--quiet", "--message", "lock")
    git(work, "push", "--quiet", "origin", "main")
    fleet.template.replace("template/pyproject.toml.jinja", "typer>=", "typer>=0,>=")
    fleet.template.release("1.1.1")
    fleet.write("plain.git")
    assert fleet.call_json("--update")["plain"]["said"] == ""
    assert fleet.show("plain", "uv.lock", "slipway/update-1.1.1") == "renewed\n"
    uv.write_text("#!/bin/sh\necho no such package >&2\nexit 1\n")
    git(fleet.folder / "plain.git", "branch", "-D", "slipway/update-1.1.1")
    results = fleet.call_json("--update")["plain"]
    assert results["said"] == "uv.lock is out of date: no such package"


def test_a_fleet_moves_to_a_fork(fleet: Fleet) -> None:
    fork = forked(fleet.template, fleet.folder / "fork")
    fleet.write("plain.git", "answered.git")
    results = fleet.call_json("--update", "--from", str(fork.folder))
    branch = "slipway/update-1.1.0.1"
    for name in ("plain", "answered"):
        answers = yaml.safe_load(fleet.show(name, ANSWERS_FILE, branch))
        assert answers["_src_path"] == str(fork.folder)
        assert answers["_commit"] == "1.1.0.1"
        assert (
            answers["licence"] == results[name]["answers"]["licence"] == "proprietary"
        )
        assert "LICENSE" in results[name]["removed"]
    assert results["plain"]["answers"]["container"] == "docker"
    assert "registry.example.com" in fleet.show("answered", "Dockerfile", branch)


@pytest.mark.parametrize(
    ("words", "text", "message"),
    [
        ((), "", "lists no repository"),
        ((), "# none\n", "lists no repository"),
        ((), None, "is not a file"),
        (("--wave", "2"), "plain.git\n", "require --update"),
        (("--trust",), "plain.git\n", "require --update"),
    ],
)
def test_an_invalid_call_is_refused(
    fleet: Fleet, words: tuple[str, ...], text: str | None, message: str
) -> None:
    fleet.list.unlink()
    if text is not None:
        fleet.list.write_text(text)
    assert message in fleet.call(*words, status=1)
