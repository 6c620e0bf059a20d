"""A project of each release there has been, with its owner's work in it, reaches today's state."""

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
from tests.update.history import recorded, slipway

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


VERSIONS = list(recorded())
DRAWN = Random(SEED).choice(VERSIONS) if VERSIONS else ""
LATER = pytest.mark.prove("each run draws one release, so that it does not grow")


def test_the_first_project_is_updated_without_copier_or_uv_of_the_machine(
    tmp_path: Path, default_gitconfig: object
) -> None:
    page = (ROOT / "docs" / "updating.md").read_text("utf-8")
    (command,) = re.findall("^.* tool run copier update .*$", page, re.MULTILINE)
    history = slipway(tmp_path / "template")
    today = history.versions[-2]
    project = Follower(history, tmp_path / "project", VERSIONS[0])
    assert not (project.folder / "tools" / "update.py").exists()
    # As `make setup` leaves it on a machine without uv.
    fetched = project.folder / ".tools" / "bin" / "uv"
    fetched.parent.mkdir(parents=True)
    fetched.symlink_to(str(shutil.which("uv")))
    words = ["sh", "-ec", f"{command} --vcs-ref {today}"]
    subprocess.run(words, cwd=project.folder, env=bare_environment(), check=True)
    assert not git(project.folder, "ls-files", "--unmerged")
    assert f"_commit: {today}" in project.read(ANSWERS_FILE)
    assert (project.folder / "tools" / "update.py").exists()


@pytest.mark.parametrize(
    "version",
    [pytest.param(v, marks=[] if v == DRAWN else LATER) for v in VERSIONS],
)
def test_a_project_comes_along_with_its_edits(
    version: str, tmp_path: Path, default_gitconfig: object
) -> None:
    history = slipway(tmp_path / "template")
    today = history.versions[-2]
    project = Follower(history, tmp_path / "project", version)
    for path in (*EDITED, *YOURS):
        project.append(path, MINE)
    (project.folder / "mine.py").write_text(MINE)
    (project.folder / "docs" / "guide.md").unlink()
    project.commit("mine")
    before = project.files()
    project.update(trust=history.crosses(version, today), ref=today)
    assert not git(project.folder, "ls-files", "--unmerged")
    after = project.files()
    fresh = Follower(history, tmp_path / "fresh", today).files()
    assert after.keys() == (fresh.keys() - {"docs/guide.md"}) | {"mine.py"}
    for path in YOURS:
        assert after[path] == before[path]
    for path in EDITED:
        assert after[path] == fresh[path] + MINE.encode()
    for path in after.keys() - {*EDITED, *YOURS, "mine.py"}:
        assert after[path] == fresh[path], path
    assert f"_commit: {today}" in project.read(ANSWERS_FILE)
