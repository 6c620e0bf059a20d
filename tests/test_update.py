"""An update keeps what is the owner's, and changes no answer behind their back."""

from pathlib import Path

import pytest
import yaml

from tests import quick
from tests.manifests import PACKAGE, entry
from tests.releases import Follower, Template
from tests.rendering import ANSWERS_FILE, render_tree
from tests.test_free_text import HOSTILE

light, tmp_path = quick.light, quick.tmp_path


@pytest.fixture
def template(tmp_path: Path, default_gitconfig: object) -> Template:
    template = Template(tmp_path / "template")
    template.release("1.0.0")
    return template


@pytest.fixture
def few(tmp_path: Path, default_gitconfig: object) -> Template:
    """The same questions, and few files."""
    template = Template(tmp_path / "template")
    template.keep("README.md")
    template.release("1.0.0")
    return template


def answers(project: Follower) -> dict[str, str]:
    recorded = yaml.safe_load(project.read(ANSWERS_FILE))
    return {name: answer for name, answer in recorded.items() if name[0] != "_"}


def test_a_changed_preset_changes_no_project(
    template: Template, tmp_path: Path
) -> None:
    project = Follower(template, tmp_path / "project", preset="starter")
    before = answers(project)
    template.replace("copier.yml", "'none' if preset == 'starter' else", "")
    template.replace("copier.yml", "default: black", "default: ruff")
    template.release("1.1.0")
    project.update()
    assert project.changed() == [f" M {ANSWERS_FILE}"]
    assert answers(project) == before
    fresh = Follower(template, tmp_path / "fresh", preset="starter")
    assert answers(fresh)["container"] == "docker"


def test_free_text_survives_an_update(template: Template, tmp_path: Path) -> None:
    project = Follower(
        template, tmp_path / "project", project_name=HOSTILE, description=HOSTILE
    )
    before = answers(project)
    template.replace("template/README.md.jinja", "\n\n", "\n\nA new line.\n\n")
    template.release("1.1.0")
    project.update()
    assert "A new line." in project.read("README.md")
    assert answers(project) == before


def test_what_is_yours_is_never_touched(template: Template, tmp_path: Path) -> None:
    project = Follower(template, tmp_path / "project", package_name=PACKAGE)
    mine = [path for path in project.files() if entry(path).owner == "yours"]
    edited, deleted = mine[0], mine[-1]
    project.append(edited, "\n# mine\n")
    (project.folder / deleted).unlink()
    project.commit("mine")
    for file in (template.folder / "template").rglob("*"):
        if file.is_file() and file.name.removesuffix(".jinja").endswith(".py"):
            file.write_text(file.read_text("utf-8") + "\n# Slipway's\n", "utf-8")
        if file.is_file() and file.suffix in {".py", ".yaml"}:
            file.write_text(file.read_text("utf-8") + "\n# Slipway's\n", "utf-8")
    template.release("1.1.0")
    project.update()
    touched = {line[3:] for line in project.changed()}
    assert not touched & set(mine)
    assert touched > {ANSWERS_FILE}
    assert not (project.folder / deleted).exists()


def test_a_project_without_edits_becomes_what_a_fresh_one_is(
    template: Template, tmp_path: Path
) -> None:
    project = Follower(template, tmp_path / "project")
    template.replace("template/README.md.jinja", "\n\n", "\n\nA new line.\n\n")
    template.release("1.1.0")
    changed = {"container": "none", "formatter": "ruff"}
    project.update(changed)
    fresh = Follower(template, tmp_path / "fresh", **changed)
    assert project.files() == fresh.files()
    project.commit("updated")
    project.update()
    assert not project.changed()


@pytest.mark.parametrize("name", ["package_name", "project_slug"])
def test_names_are_fixed(few: Template, tmp_path: Path, name: str) -> None:
    project = Follower(few, tmp_path / "project")
    with pytest.raises(ValueError, match="package_name"):
        project.update({name: "other"})
    project.update({"project_name": "Tests"})
    assert answers(project)["package_name"] == "churn_model"
    assert answers(project)["project_name"] == "Tests"


def test_the_problem_is_fixed(few: Template, tmp_path: Path) -> None:
    project = Follower(few, tmp_path / "project")
    with pytest.raises(ValueError, match="It stays classification"):
        project.update({"problem": "regression"})
    assert not project.changed()


def test_the_quick_renderer_agrees_with_copier(
    template: Template, tmp_path: Path
) -> None:
    given = {"preset": "custom", "formatter": "ruff", "ci": "none"}
    project = Follower(template, tmp_path / "project", **given)
    real = project.files()
    quick = render_tree(given)
    assert real.pop(ANSWERS_FILE) != quick.pop(ANSWERS_FILE)
    assert real == quick
