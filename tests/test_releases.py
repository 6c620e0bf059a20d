"""releases.txt restores the tags of a clone that came without them, each on the recorded commit."""

from pathlib import Path

import pytest

from slipway import releases
from slipway.errors import UserError
from tests import quick
from tests.releases import git
from tests.rendering import ROOT

tmp_path = quick.tmp_path


def head(folder: Path) -> str:
    return git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone without tags of a repository with one recorded release."""
    origin, clone = tmp_path / "origin", tmp_path / "clone"
    origin.mkdir()
    git(origin, "init", "--quiet", "--initial-branch=main")
    git(origin, "commit", "--quiet", "--allow-empty", "--message", "first")
    lines = f"# version commit\nv0.1.0 {head(origin)}\n"
    (origin / releases.RELEASES).write_text(lines)
    git(origin, "add", "--all")
    git(origin, "commit", "--quiet", "--message", "released")
    git(tmp_path, "clone", "--quiet", "--no-tags", f"file://{origin}", str(clone))
    return clone


def test_missing_tags_are_restored(clone: Path) -> None:
    assert releases.restore_tags(clone) == ["v0.1.0"]
    assert git(clone, "rev-parse", "v0.1.0") == git(clone, "rev-parse", "HEAD~1")


def test_a_tag_on_another_commit_is_an_error(clone: Path) -> None:
    git(clone, "tag", "v0.1.0", "HEAD")
    with pytest.raises(UserError, match=r"the tag v0\.1\.0 points to"):
        releases.restore_tags(clone)


def test_a_release_that_a_shallow_clone_lacks_is_named(
    clone: Path, tmp_path: Path
) -> None:
    origin, shallow = f"file://{tmp_path / 'origin'}", tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", origin, str(shallow))
    assert releases.restore_tags(shallow) == []
    assert releases.missing_releases(shallow) == ["v0.1.0"]
    assert releases.missing_releases(clone) == []


def test_the_recorded_releases_are_in_the_history() -> None:
    releases.restore_tags(ROOT)
    assert releases.missing_releases(ROOT) == []
    for commit in releases.recorded_releases(ROOT).values():
        git(ROOT, "merge-base", "--is-ancestor", commit, "HEAD")
