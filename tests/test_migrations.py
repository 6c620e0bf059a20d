"""A file that moves keeps its owner's edits: hooks/migrate.py, on a version of its own."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
import yaml
from copier.errors import UnsafeTemplateError

from tests.releases import Follower, Template, git
from tests.rendering import ROOT

FUNCTION = '''

@before("2.0.0")
def readme_moved(project: Path) -> None:
    """Move README.md to docs/index.md: pages are built from docs/."""
    move(project, "README.md", "docs/index.md")
'''
ENTRY = """_migrations:
  - version: 2.0.0
    when: "{{ _stage == 'before' }}"
    command: ["{{ _copier_python }}", "{{ _copier_conf.src_path }}/hooks/migrate.py"]
"""


@pytest.fixture
def project(tmp_path: Path, default_gitconfig: object) -> Follower:
    """A project of 1.0.0, whose template is at 2.0.0: its README has moved."""
    template = Template(tmp_path / "template")
    readme = template.folder / "template" / "README.md.jinja"
    readme.write_text("# Title\n\nFirst.\n\nSecond.\n\nThird.\n")
    template.release("1.0.0")
    project = Follower(template, tmp_path / "project")
    template.replace("copier.yml", "_migrations: []\n", ENTRY)
    template.replace(
        "hooks/migrate.py", "\n\nif __name__", f"{FUNCTION}\n\nif __name__"
    )
    moved = template.folder / "template" / "docs" / "index.md.jinja"
    moved.parent.mkdir(exist_ok=True)
    readme.rename(moved)
    template.release("2.0.0")
    return project


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


def hook() -> ModuleType:
    """hooks/migrate.py, as a module."""
    spec = importlib.util.spec_from_file_location("migrate", ROOT / "hooks/migrate.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_version_is_wired() -> None:
    entries = yaml.safe_load((ROOT / "copier.yml").read_text())["_migrations"]
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
    (tmp_path / "old.txt").write_text("another\n")
    hook().move(tmp_path, "old.txt", "new/place.txt")
    assert (tmp_path / "new" / "place.txt").read_text() == "mine\n"
