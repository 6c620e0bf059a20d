"""releases.txt: the tags of a clone that came without them, and never another commit's."""

from pathlib import Path

import pytest

from slipway import releases
from slipway.refusal import Refusal
from tests import quick
from tests.releases import git
from tests.rendering import ROOT

tmp_path = quick.tmp_path


def head(folder: Path) -> str:
    return git(folder, "rev-parse", "HEAD").strip()


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone without tags of a repository that has a release, and says so."""
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


def test_a_clone_without_tags_has_them_again(clone: Path) -> None:
    assert list(releases.restore(clone)) == ["v0.1.0"]
    assert git(clone, "rev-parse", "v0.1.0") == git(clone, "rev-parse", "HEAD~1")


def test_a_tag_on_another_commit_is_no_release(clone: Path) -> None:
    git(clone, "tag", "v0.1.0", "HEAD")
    with pytest.raises(Refusal, match=r"the tag v0\.1\.0 is on"):
        list(releases.restore(clone))


def test_a_commit_that_is_not_here_is_named(clone: Path, tmp_path: Path) -> None:
    origin, shallow = f"file://{tmp_path / 'origin'}", tmp_path / "shallow"
    git(tmp_path, "clone", "--quiet", "--depth", "1", origin, str(shallow))
    assert list(releases.restore(shallow)) == []
    assert releases.absent(shallow) == ["v0.1.0"]
    assert releases.absent(clone) == []


def test_what_is_recorded_here_is_true() -> None:
    """Each release is a part of today's history, and no tag says otherwise."""
    list(releases.restore(ROOT))
    assert releases.absent(ROOT) == []
    for commit in releases.recorded(ROOT).values():
        git(ROOT, "merge-base", "--is-ancestor", commit, "HEAD")
