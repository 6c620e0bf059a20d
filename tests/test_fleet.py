"""A fleet: where each repository stands, and updates that break neither it nor the others."""

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
from slipway.doctor import doctor
from slipway.tools import tool
from tests import quick
from tests.releases import Follower, Template, git
from tests.rendering import ANSWERS_FILE
from tests.test_org import forked

light, python = quick.light, quick.python
NAMES = ("plain", "edited", "answered", "conflicting", "broken")
BRANCH = "slipway/update-1.1.0"
CHANGES = """
upgrading:
  - {text: All know this.}
  - {text: Images moved., do: Mount again., when: {container: docker}}
"""


@dataclass(frozen=True)
class Finding:
    """What a doctor says, as the one of each project would."""

    code: str
    severity: str = "warning"
    path: str = "."
    message: str = "it is old"
    cure: str = "make update"


def found_old(project: Path, *, network: bool = True) -> list[Finding]:
    """A doctor that looks at one thing: no lock is asked for, nothing is rendered."""
    new = "A new line." in (project / "README.md").read_text()
    return [] if new else [Finding("behind")]


class Fleet:
    """Bare repositories, as a host has them, and the list that names them."""

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

    def told(self, *words: str, status: int = 0) -> dict[str, Any]:
        """What it prints as JSON, by the repository's name."""
        rows = json.loads(self.call("--json", *words, status=status))
        return {Path(row["repository"]).stem: row for row in rows}


def edit(project: Follower, name: str) -> None:
    """What makes each of them what it is called."""
    match name:
        case "edited":
            project.append("README.md", "\nOurs.\n")
        case "conflicting":
            text = project.read("README.md").replace("\n\n", "\n\nAnother line.\n\n", 1)
            (project.folder / "README.md").write_text(text, "utf-8")
        case "broken":
            (project.folder / ANSWERS_FILE).write_text("{ half an answer", "utf-8")


@pytest.fixture(scope="module")
def made(default_gitconfig: object) -> Iterator[Path]:
    """Five projects that follow 1.0.0, of a template that is at 1.1.0; kept as they are."""
    with quick.folder() as folder:
        yield five(Path(folder))


def five(folder: Path) -> Path:
    fleet = folder / "fleet"
    fleet.mkdir()
    template = Template(fleet / "template")
    template.keep("Dockerfile", "LICENSE", "README.md")
    template.release("1.0.0")
    for name in NAMES:
        given = {"container": "docker"} if name == "answered" else {}
        project = Follower(template, folder / name, preset="starter", **given)
        edit(project, name)
        if project.changed():
            project.commit("ours")
        bare = f"{name}.git"
        git(fleet, "clone", "--quiet", "--bare", str(project.folder), bare)
    template.replace("template/README.md.jinja", "\n\n", "\n\nA new line.\n\n")
    template.write("docs/changes/1.1.0.yml", CHANGES)
    template.release("1.1.0")
    shutil.copytree(fleet, folder / "kept")
    return folder


@pytest.fixture
def fleet(made: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    """The same again for each test, where the projects know their template to be."""
    shutil.rmtree(made / "fleet")
    shutil.copytree(made / "kept", made / "fleet")
    # The doctor remembers a template's releases as long as it is loaded.
    tool.cache_clear()
    monkeypatch.setattr(doctor(), "examine", found_old)
    fleet = Fleet(made / "fleet")
    fleet.write(*(f"{name}.git" for name in NAMES))
    return fleet


def test_it_says_where_each_stands(fleet: Fleet) -> None:
    told = fleet.told(status=1)
    plain = told["plain"]
    assert (plain["version"], plain["newest"], plain["behind"]) == ("1.0.0", "1.1.0", 1)
    assert (plain["preset"], plain["differs"]) == ("starter", {})
    assert [found["code"] for found in plain["findings"]] == ["behind"]
    assert told["answered"]["differs"] == {"container": "docker"}
    assert "cannot be read" in told["broken"]["trouble"]
    assert [name for name in NAMES if told[name]["trouble"]] == ["broken"]


def test_the_doctor_that_it_asks_is_the_one_of_each_project(
    fleet: Fleet,
) -> None:
    tool.cache_clear()
    fleet.write("plain.git")
    (found,) = (row["findings"] for row in fleet.told().values())
    assert [each["code"] for each in found] == ["stale-lock", "behind"]
    assert found[0]["cure"] == "uv lock"


def test_people_read_a_table(fleet: Fleet) -> None:
    lines = fleet.call(status=1).splitlines()
    (plain,) = (line for line in lines if "plain.git" in line)
    assert plain.split()[1:] == ["1.0.0", "1", "starter", "behind"]
    assert any("container=docker" in line for line in lines)
    assert any("broken.git" in line and "cannot be read" in line for line in lines)
    assert lines[-1] == "5 repositories, 1 failed"


def test_it_changes_nothing_unless_told(fleet: Fleet) -> None:
    before = {name: fleet.refs(name) for name in NAMES}
    fleet.call(status=1)
    assert {name: fleet.refs(name) for name in NAMES} == before


def test_an_update_is_a_branch_and_trouble_stays_where_it_is(fleet: Fleet) -> None:
    before = {name: fleet.show(name, "README.md", "main") for name in NAMES}
    told = fleet.told("--update", status=1)
    assert {name: row["outcome"] for name, row in told.items()} == {
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
    assert told["conflicting"]["conflicts"] == ["README.md"]
    shown = fleet.show("conflicting", "README.md")
    assert "<<<<<<< yours, hunk 1\n" in shown and ">>>>>>> Slipway 1.1.0" in shown
    message = git(fleet.folder / "conflicting.git", "log", "-1", "--format=%B", BRANCH)
    assert message.startswith("Update the template from 1.0.0 to 1.1.0\n")
    assert "- README.md" in message and "make update FINISH=1" in message
    assert "What behaves differently:\n\n- All know this.\n" in message
    assert "on other answers (1)" in message and "Images" not in message
    bare = fleet.folder / "answered.git"
    answered = git(bare, "log", "-1", "--format=%B", BRANCH)
    assert "What to do:\n\n1. Mount again. Images moved.\n" in answered
    assert "FINISH" not in answered
    assert fleet.refs("broken") == {"main"}
    assert {name: fleet.show(name, "README.md", "main") for name in NAMES} == before


def test_a_second_time_nothing_is_done_twice(fleet: Fleet) -> None:
    fleet.write("plain.git")
    fleet.call("--update")
    bare = fleet.folder / "plain.git"
    git(bare, "update-ref", "refs/heads/main", BRANCH)
    git(bare, "branch", "--quiet", "--delete", "--force", BRANCH)
    git(fleet.folder / "edited.git", "branch", BRANCH, "main")
    fleet.write("plain.git", "edited.git")
    told = fleet.told("--update")
    assert told["plain"]["outcome"] == "current"
    assert told["edited"]["outcome"] == "waiting"
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
    told = fleet.told("--update", "--wave", "1", status=1)
    assert tuple(told[name]["outcome"] for name in order) == outcomes
    held = [name for name in order if told[name]["outcome"] == "held back"]
    assert not any(BRANCH in fleet.refs(name) for name in held)


def test_one_that_cannot_be_reached_stops_no_other(fleet: Fleet) -> None:
    fleet.write("# ours", "", "nowhere.git", "plain.git  # the first", "file:///no.git")
    told = fleet.told(status=1)
    assert "nowhere.git' does not exist" in told["nowhere"]["trouble"]
    assert told["no"]["trouble"].startswith("git clone: ")
    assert told["plain"]["version"] == "1.0.0"
    shutil.move(fleet.template.folder, fleet.folder / "gone")
    tool.cache_clear()
    assert "cannot be reached: " in fleet.told(status=1)["plain"]["trouble"]


def test_what_nobody_foresaw_stops_no_other(
    fleet: Fleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    def helpless(project: Path, *, network: bool = True) -> list[Finding]:
        raise KeyError("cure")

    monkeypatch.setattr(doctor(), "examine", helpless)
    fleet.write("plain.git", "edited.git")
    told = fleet.told(status=1)
    assert {row["trouble"] for row in told.values()} == {"KeyError: 'cure'"}


def test_one_that_follows_no_release_says_so(fleet: Fleet) -> None:
    git(fleet.template.folder, "tag", "--delete", "1.0.0")
    fleet.write("plain.git")
    trouble = fleet.told(status=1)["plain"]["trouble"]
    assert trouble.startswith("it follows 1.0.0, which is no release of ")


def test_migrations_run_only_when_trusted(fleet: Fleet) -> None:
    migration = '_migrations: [{version: 1.2.0, command: "touch moved.txt"}]'
    fleet.template.replace("copier.yml", "_migrations: []", migration)
    fleet.template.release("1.2.0")
    fleet.write("plain.git")
    told = fleet.told("--update", status=1)["plain"]
    assert told["outcome"] == "failed"
    assert "--trust" in told["said"]
    assert fleet.refs("plain") == {"main"}
    assert fleet.told("--update", "--trust")["plain"]["outcome"] == "updated"
    assert fleet.show("plain", "moved.txt", "slipway/update-1.2.0") == ""


def test_a_lock_that_is_kept_is_renewed(
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
    assert fleet.told("--update")["plain"]["said"] == ""
    assert fleet.show("plain", "uv.lock", "slipway/update-1.1.1") == "renewed\n"
    uv.write_text("#!/bin/sh\necho no such package >&2\nexit 1\n")
    git(fleet.folder / "plain.git", "branch", "-D", "slipway/update-1.1.1")
    told = fleet.told("--update")["plain"]
    assert told["said"] == "uv.lock is old: no such package"


def test_a_fleet_moves_to_a_fork(fleet: Fleet) -> None:
    fork = forked(fleet.template, fleet.folder / "fork")
    fleet.write("plain.git", "answered.git")
    told = fleet.told("--update", "--from", str(fork.folder))
    branch = "slipway/update-1.1.0.1"
    for name in ("plain", "answered"):
        answers = yaml.safe_load(fleet.show(name, ANSWERS_FILE, branch))
        assert answers["_src_path"] == str(fork.folder)
        assert answers["_commit"] == "1.1.0.1"
        assert answers["licence"] == told[name]["answers"]["licence"] == "proprietary"
        assert "LICENSE" in told[name]["removed"]
    assert told["plain"]["answers"]["container"] == "docker"
    assert "registry.example.com" in fleet.show("answered", "Dockerfile", branch)


@pytest.mark.parametrize(
    ("words", "text", "sentence"),
    [
        ((), "", "names no repository"),
        ((), "# none\n", "names no repository"),
        ((), None, "is no file"),
        (("--wave", "2"), "plain.git\n", "go with --update"),
        (("--trust",), "plain.git\n", "go with --update"),
    ],
)
def test_what_makes_no_sense_is_refused(
    fleet: Fleet, words: tuple[str, ...], text: str | None, sentence: str
) -> None:
    fleet.list.unlink()
    if text is not None:
        fleet.list.write_text(text)
    assert sentence in fleet.call(*words, status=1)
