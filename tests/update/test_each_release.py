"""A project of each release, with its owner's edits, can be updated to the current state."""

import re
import shutil
import subprocess
from pathlib import Path
from random import Random

import pytest

from tests import quick
from tests.checkout import bare_environment
from tests.drawn import SEED
from tests.releases import Follower, git
from tests.rendering import ANSWERS_FILE, ROOT
from tests.update.history import available_releases, build_slipway

light, tmp_path = quick.light, quick.tmp_path
MINE = "\n# Mine.\n"
KIT = "src/churn_model/kit/schema.py"
EDITED = ("README.md", "Makefile", KIT)
YOURS = (
    "params.yaml",
    "src/churn_model/features.py",
    "src/churn_model/model.py",
    "tests/test_features.py",
)


VERSIONS = list(available_releases())
DRAWN = Random(SEED).choice(VERSIONS) if VERSIONS else ""
LATER = pytest.mark.prove("each run draws one release, so that it does not grow")


def test_a_project_of_the_first_release_is_updated_without_copier_or_uv(
    tmp_path: Path, default_gitconfig: object
) -> None:
    page = (ROOT / "docs" / "updating.md").read_text("utf-8")
    (command,) = re.findall("^.* tool run copier update .*$", page, re.MULTILINE)
    history = build_slipway(tmp_path / "template")
    current = history.versions[-2]
    project = Follower(history, tmp_path / "project", VERSIONS[0])
    assert not (project.folder / "tools" / "update.py").exists()
    # `make setup` installs uv here on a machine without it.
    fetched = project.folder / ".tools" / "bin" / "uv"
    fetched.parent.mkdir(parents=True)
    fetched.symlink_to(str(shutil.which("uv")))
    words = ["sh", "-ec", f"{command} --vcs-ref {current}"]
    subprocess.run(words, cwd=project.folder, env=bare_environment(), check=True)
    assert not git(project.folder, "ls-files", "--unmerged")
    assert f"_commit: {current}" in project.read(ANSWERS_FILE)
    assert (project.folder / "tools" / "update.py").exists()


@pytest.mark.parametrize(
    "version",
    [pytest.param(v, marks=[] if v == DRAWN else LATER) for v in VERSIONS],
)
def test_an_update_keeps_the_edits(
    version: str, tmp_path: Path, default_gitconfig: object
) -> None:
    history = build_slipway(tmp_path / "template")
    current = history.versions[-2]
    project = Follower(history, tmp_path / "project", version)
    for path in (*EDITED, *YOURS):
        project.append(path, MINE)
    (project.folder / "mine.py").write_text(MINE)
    (project.folder / "docs" / "guide.md").unlink()
    project.commit("mine")
    before = project.files()
    project.update(trust=history.crosses(version, current), ref=current)
    assert not git(project.folder, "ls-files", "--unmerged")
    after = project.files()
    fresh = Follower(history, tmp_path / "fresh", current).files()
    assert after.keys() == (fresh.keys() - {"docs/guide.md"}) | {"mine.py"}
    for path in YOURS:
        assert after[path] == before[path]
    for path in EDITED:
        assert after[path] == fresh[path] + MINE.encode()
    for path in after.keys() - {*EDITED, *YOURS, "mine.py"}:
        assert after[path] == fresh[path], path
    assert f"_commit: {current}" in project.read(ANSWERS_FILE)
