"""A file that moves keeps its owner's edits: hooks/migrate.py, on a version of its own."""

import importlib.util
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from copier.errors import UnsafeTemplateError
from packaging.version import Version

from slipway.changes import UNRELEASED, load_releases
from tests import quick
from tests.manifests import PACKAGE
from tests.matrix.synthetic import write
from tests.matrix.template import Template as Matrix
from tests.releases import Follower, Template, git
from tests.rendering import ROOT, settings
from tests.trees import template as today
from tests.trees import usual
from tests.update import small
from tests.update.history import available_releases, extract_template

light, tmp_path = quick.light, quick.tmp_path
FUNCTION = '''
@before("2.0.0")
def readme_moved(project: Path) -> None:
    """Move README.md to docs/index.md: pages are built from docs/."""
    move(project, "README.md", "docs/index.md")
'''


@pytest.fixture
def template(tmp_path: Path, default_gitconfig: object) -> Template:
    """A template at 2.0.0, whose README has moved since 1.0.0."""
    template = Template(tmp_path / "template")
    template.keep("README.md", "docs/")
    readme = "template/README.md.jinja"
    template.write(readme, "# Title\n\nFirst.\n\nSecond.\n\nThird.\n")
    template.release("1.0.0")
    template.migrate("2.0.0", FUNCTION)
    template.move(readme, "template/docs/index.md.jinja")
    template.release("2.0.0")
    return template


@pytest.fixture
def project(template: Template, tmp_path: Path) -> Follower:
    """A project of 1.0.0."""
    return Follower(template, tmp_path / "project", "1.0.0")


def test_an_edit_moves_with_its_file(project: Follower) -> None:
    project.append("README.md", "\nMine.\n")
    project.commit("mine")
    project.update(trust=True)
    assert not (project.folder / "README.md").exists()
    text = project.read("docs/index.md")
    assert "First." in text and "Mine." in text


def test_a_file_without_edits_moves_without_a_conflict(project: Follower) -> None:
    project.update(trust=True)
    assert project.read("docs/index.md") == "# Title\n\nFirst.\n\nSecond.\n\nThird.\n"
    assert not (project.folder / "README.md").exists()
    assert not [line for line in project.changed() if line[:2] in {"UU", "AA"}]


def test_only_an_update_that_migrates_asks_for_trust(project: Follower) -> None:
    with pytest.raises(UnsafeTemplateError, match="migrations"):
        project.update()
    assert not project.changed()
    project.update(trust=True)
    project.commit("updated")
    project.update()
    assert not project.changed()


def test_a_file_that_moves_and_changes_is_as_a_fresh_one(
    template: Template, project: Follower, tmp_path: Path
) -> None:
    template.replace("template/docs/index.md.jinja", "Second.", "The second.")
    template.release("2.0.1")
    project.update(trust=True)
    assert project.files() == Follower(template, tmp_path / "fresh").files()


def hook(file: Path = ROOT / "hooks" / "migrate.py") -> ModuleType:
    """hooks/migrate.py, as a module."""
    spec = importlib.util.spec_from_file_location("migrate", file)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_version_is_wired() -> None:
    entries = settings()["_migrations"]
    assert [entry["version"] for entry in entries] == list(hook().STEPS)


def test_the_hook_needs_the_standard_library_alone() -> None:
    before = set(sys.modules)
    hook()
    new = {name.split(".")[0] for name in set(sys.modules) - before}
    assert new <= sys.stdlib_module_names


def test_a_move_happens_once(tmp_path: Path, default_gitconfig: object) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "old.txt").write_text("mine\n")
    git(tmp_path, "add", "--all")
    for _ in range(2):
        hook().move(tmp_path, "old.txt", "new/place.txt")
        assert (tmp_path / "new" / "place.txt").read_text() == "mine\n"
        assert not (tmp_path / "old.txt").exists()


def test_a_place_that_is_taken_costs_nobody_a_file(
    tmp_path: Path, default_gitconfig: object
) -> None:
    git(tmp_path, "init", "--quiet")
    for text in ("first\n", "second\n"):
        (tmp_path / "new.txt").write_text("there\n")
        (tmp_path / "old.txt").write_text(text)
        git(tmp_path, "add", "--all")
        hook().move(tmp_path, "old.txt", "new.txt")
    found = {path.name: path.read_text() for path in tmp_path.glob("*.txt*")}
    assert found == {
        "new.txt": "there\n",
        "old.txt.kept": "first\n",
        "old.txt.kept.kept": "second\n",
    }


def test_what_is_kept_is_kept_once(tmp_path: Path, default_gitconfig: object) -> None:
    git(tmp_path, "init", "--quiet")
    (tmp_path / "old.txt").write_text("mine\n")
    git(tmp_path, "add", "--all")
    for _ in range(2):
        hook().keep(tmp_path, "old.txt")
        assert (tmp_path / "old.txt.kept").read_text() == "mine\n"
        assert not (tmp_path / "old.txt").exists()


# --- what left the template --------------------------------------------------------------


def left_behind(
    old: Iterable[str], new: Iterable[str], since: str, migrations: ModuleType
) -> list[str]:
    """The files of a release that no step takes away, though the template has them no more."""
    with tempfile.TemporaryDirectory() as place:
        project = write(Path(place), dict.fromkeys(old, "mine\n"))
        git(project, "init", "--quiet")
        git(project, "add", "--all")
        for version in migrations.STEPS:
            if Version(version) > Version(since):
                migrations.run(version, project)
        gone = set(old) - set(new)
        return [
            f"{path} was in {since} and is in no project now: whoever edited it would "
            f"lose that. Move or keep it in hooks/migrate.py, as CONTRIBUTING.md shows."
            for path in sorted(gone)
            if (project / path).exists()
        ]


def test_what_left_the_template_since_a_release_has_a_migration() -> None:
    for version, commit in available_releases().items():
        with tempfile.TemporaryDirectory() as place:
            release = usual(extract_template(commit, Path(place)))
        assert not left_behind(release.files, today().files, version, hook())
        assert not unnamed(release.files, today().files, version, load_releases(ROOT))


def unnamed(
    old: Iterable[str], new: Iterable[str], since: str, entries: Mapping[str, Any]
) -> set[str]:
    """The files of a release that are gone, and that no entry in docs/changes/ names."""
    named = {
        path
        for version, release in entries.items()
        if version == UNRELEASED or Version(version) > Version(since)
        for entry in release.get("upgrading") or ()
        for path in entry.get("files", ())
    }
    gone = set(old) - set(new)
    return {path.replace(f"/{PACKAGE}/", "/<package>/") for path in gone} - named


def test_a_file_that_left_is_named_in_an_entry_of_a_later_release() -> None:
    old, new = ["a", f"src/{PACKAGE}/b.py", "c"], ["c"]
    entry = {"files": {"a": None, "src/<package>/b.py": "src/<package>/d.py"}}
    later = {"upgrading": [entry]}
    assert unnamed(old, new, "v0.2.0", {"0.3.0": later}) == set()
    assert unnamed(old, new, "v0.2.0", {UNRELEASED: later}) == set()
    assert unnamed(old, new, "v0.2.0", {"0.2.0": later}) == {"a", "src/<package>/b.py"}


@pytest.mark.parametrize("step", ["settings_moved", "tool_removed", ""])
def test_a_file_that_left_without_a_migration_is_named(
    tmp_path: Path, default_gitconfig: object, step: str
) -> None:
    made = small.releases()
    old, new = (
        Matrix(write(tmp_path / version, made[version]))
        for version in ("1.2.0", "2.0.0")
    )
    migrations = hook(tmp_path / "2.0.0" / "hooks" / "migrate.py")
    steps = migrations.STEPS["2.0.0"]
    steps[:] = [done for done in steps if done.__name__ != step]
    told = left_behind(old.files, new.files, "1.2.0", migrations)
    left = {"settings_moved": "conf.toml", "tool_removed": "tools/old.py"}
    assert [line.split()[0] for line in told] == ([left[step]] if step else [])
    # A file of another sheet, or at another place in the template, is the same file.
    assert left_behind(old.files, old.files, "1.2.0", migrations) == []
