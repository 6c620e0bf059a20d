"""A release is refused until all that projects rely on holds; then it is tagged and recorded."""

import sys
from pathlib import Path
from unittest.mock import patch

import pytest
from typer.testing import CliRunner

from slipway import project, release, releases
from slipway.cli import app
from slipway.refusal import Refusal
from tests.checkout import today
from tests.releases import git

HOLDS = (sys.executable, "-c", "")
FAILS = (sys.executable, "-c", "raise SystemExit(1)")
PART = """\
## %s

### Upgrading

- `audience` is new, and `team` in projects that exist.

### More

- `other` is no part of it.

## 0.0.1
"""


@pytest.fixture
def clone(tmp_path: Path, default_gitconfig: object) -> Path:
    """A clone with one release, 0.1.0, and a changelog of what follows."""
    folder = tmp_path / "clone"
    folder.mkdir()
    today(folder)
    # What there has been in truth is nothing to these tests.
    (folder / releases.RELEASES).unlink(missing_ok=True)
    record(folder, PART % "0.1.0")
    release.publish(folder, "0.1.0", HOLDS)
    record(folder, PART % "0.2.0")
    return folder


def record(folder: Path, changelog: str) -> None:
    (folder / release.CHANGELOG).write_text(f"# Changelog\n\n{changelog}", "utf-8")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--message", "changelog")


def settings(folder: Path, old: str, new: str) -> None:
    file = folder / "copier.yml"
    file.write_text(file.read_text("utf-8").replace(old, new, 1), "utf-8")
    git(folder, "commit", "-qa", "--allow-empty", "--message", "settings")


def refused(folder: Path, version: str) -> str:
    """Why it is refused; nothing is tagged then."""
    with pytest.raises(Refusal) as refusal:
        release.publish(folder, version, HOLDS)
    assert git(folder, "tag").split() == ["v0.1.0"]
    assert list(releases.recorded(folder)) == ["v0.1.0"]
    return str(refusal.value)


def test_a_release_is_tagged_recorded_and_committed(clone: Path) -> None:
    head = git(clone, "rev-parse", "HEAD").strip()
    with (
        patch.object(project, "CHECKOUT", clone),
        patch.object(release, "PROOF", HOLDS),
    ):
        done = CliRunner().invoke(app, ["release", "0.2.0"])
    assert done.exit_code == 0, done.output
    assert "v0.2.0 is tagged" in done.output
    assert git(clone, "rev-parse", "v0.2.0").strip() == head
    assert releases.recorded(clone)["v0.2.0"] == head
    assert git(clone, "log", "-1", "--format=%s").strip() == "Release v0.2.0"
    assert not git(clone, "status", "--porcelain")


def test_what_is_not_committed_is_in_no_release(clone: Path) -> None:
    (clone / "new.txt").write_text("new")
    assert "?? new.txt" in refused(clone, "0.2.0")


@pytest.mark.parametrize("version", ["0.1.0", "0.1.2", "0.3.0", "2.0.0", "v0.2.0", "x"])
def test_only_the_next_version_follows(clone: Path, version: str) -> None:
    assert refused(clone, version) == "after 0.1.0 comes 0.1.1, 0.2.0 or 1.0.0."


@pytest.mark.parametrize(
    "changelog",
    [
        "## Unreleased\n",
        "## 0.2.0\n\n- Much.\n",
        "## 0.2.0\n\n### Upgrading\n\n## 0.1.0\n",
    ],
)
def test_a_release_says_what_an_update_changes(clone: Path, changelog: str) -> None:
    record(clone, changelog)
    assert "no part '## 0.2.0' with '### Upgrading'" in refused(clone, "0.2.0")


def test_a_new_question_is_told(clone: Path) -> None:
    question = "audience: {type: str, default: team}\n\n_min_copier_version"
    settings(clone, "_min_copier_version", question)
    assert not list(release.objections(clone, "0.2.0"))
    settings(clone, "audience:", "other:")
    assert "new question `other`" in refused(clone, "0.2.0")


def test_a_migration_runs_on_the_way_to_its_release(clone: Path) -> None:
    settings(clone, "_migrations: []", "_migrations:")
    entry = "_migrations:\n  - {version: 0.2.0, command: echo}\n"
    settings(clone, "_migrations:\n", entry)
    assert not list(release.objections(clone, "0.2.0"))
    settings(clone, "version: 0.2.0", "version: 0.3.0")
    assert "a migration of 0.3.0" in refused(clone, "0.2.0")


def test_a_release_whose_updates_lose_work_is_refused(clone: Path) -> None:
    with pytest.raises(Refusal, match="the update proof fails"):
        release.publish(clone, "0.2.0", FAILS)
    assert git(clone, "tag").split() == ["v0.1.0"]


def test_the_proof_is_there() -> None:
    for path in release.PROOF[4:]:
        assert (project.CHECKOUT / path).exists()


def test_a_clone_that_came_without_tags_has_them_again(clone: Path) -> None:
    git(clone, "tag", "--delete", "v0.1.0")
    assert release.publish(clone, "0.2.0", HOLDS) == "v0.2.0"
    assert git(clone, "tag").split() == ["v0.1.0", "v0.2.0"]
