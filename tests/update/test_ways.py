"""Each known way in which an update of a template can lose work.

Where `make update` prevents the loss, the test shows that git reports it before it happens.
"""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import black
import copier
import jinja2.meta
import pytest
from copier.errors import UserMessageError
from jinja2 import Environment, UndefinedError

from tests import quick
from tests.releases import Follower, Template, git
from tests.rendering import ANSWERS_FILE, QUESTIONS, render_tree, settings
from tests.trees import template
from tests.update.cases import read_answers
from tests.update.history import History, build_small
from tests.update.merging import has_conflict
from tests.update.small import releases

light, tmp_path = quick.light, quick.tmp_path
Start = Callable[..., Follower]


@pytest.fixture
def start(small: History, tmp_path: Path) -> Start:
    """A function that starts a project of a release of the small template."""

    def start_project(version: str, **answers: str) -> Follower:
        return Follower(small, tmp_path / "project", version, **answers)

    return start_project


@pytest.fixture
def ours(tmp_path: Path, default_gitconfig: object) -> Template:
    """This template with two releases, which differ in README.md only."""
    template = Template(tmp_path / "template")
    template.keep("README.md", "data/", "docs/", "src/", "notebooks/")
    template.release("1.0.0")
    template.replace("template/README.md.jinja", "\n\n", "\n\nA new line.\n\n")
    template.release("1.1.0")
    return template


def unmerged(project: Follower) -> list[str]:
    return git(project.folder, "diff", "--name-only", "--diff-filter=U").split()


def change_answers(project: Follower, **answers: str) -> None:
    """Update the answers, and stay at the release."""
    project.update(answers, ref=copier.VcsRef.CURRENT)


def test_a_file_that_was_renamed_loses_its_edits(start: Start, tmp_path: Path) -> None:
    project = start("1.2.0")
    project.append("conf.toml", "# mine\n")
    project.commit("mine")
    project.update(trust=True)
    assert unmerged(project) == ["settings.toml"]
    assert {"# mine", "high = 12"} <= set(project.read("settings.toml").splitlines())
    # Without a migration the edit is lost silently, which shows that this test can fail.
    versions = releases()
    entries = versions["2.0.0"]["copier.yml"].partition("_migrations")[0]
    for version in ("2.0.0", "2.1.0"):
        _, _, rest = versions[version]["copier.yml"].partition("\n\n")
        versions[version]["copier.yml"] = f"{entries}_migrations: []\n\n{rest}"
    bare = Follower(
        build_small(tmp_path / "bare", versions), tmp_path / "lost", "1.2.0"
    )
    bare.append("conf.toml", "# mine\n")
    bare.commit("mine")
    bare.update()
    assert not unmerged(bare)
    assert not any(b"# mine" in content for content in bare.files().values())


def test_a_file_that_was_removed_takes_its_edits_along(start: Start) -> None:
    project = start("1.2.0")
    project.append("tools/old.py", "# mine\n")
    project.commit("mine")
    mine = project.read("tools/old.py")
    project.update(trust=True)
    assert project.read("tools/old.py.kept") == mine
    assert not (project.folder / "tools/old.py").exists()


def test_a_feature_turned_off_deletes_files_that_were_edited(start: Start) -> None:
    """Copier's own update deletes them; `git status` shows it, and git can restore them."""
    project = start("2.1.0", docs="pages")
    project.append("docs/index.md", "Mine.\n")
    project.commit("mine")
    change_answers(project, docs="none")
    assert " D docs/index.md" in project.changed()
    git(project.folder, "checkout", "--", "docs/index.md")
    assert project.read("docs/index.md").endswith("Mine.\n")


def test_off_and_on_again_forgets_the_answers_that_depend_on_it(start: Start) -> None:
    # Copier forgets the answer to a question that it skips, so that no question has a condition.
    assert not [name for name, question in QUESTIONS.items() if "when" in question]
    project = start("2.1.0", docs="pages", log="file", palette="green")
    before, files = read_answers(project), project.files()
    for answer in ("none", "pages"):
        change_answers(project, docs=answer)
        project.commit(answer)
    assert read_answers(project) == before
    assert project.files() == files


def test_a_rendered_file_that_git_ignores_is_destroyed(
    ours: Template, tmp_path: Path
) -> None:
    project = Follower(ours, tmp_path / "project", "1.0.0")
    tracked = set(git(project.folder, "ls-files").splitlines())
    assert (
        tracked == project.files().keys()
    ), "a project ignores files that were rendered"
    for path in (".env", "data/raw.csv", "mlruns/mine.json"):
        (project.folder / path).parent.mkdir(exist_ok=True)
        (project.folder / path).write_text("mine\n")
    project.update()
    assert project.read(".env") == project.read("data/raw.csv") == "mine\n"
    assert project.read("mlruns/mine.json") == "mine\n"


def test_a_lock_collides_with_each_release(ours: Template, tmp_path: Path) -> None:
    assert "uv.lock" not in template().files
    project = Follower(ours, tmp_path / "project", "1.0.0")
    (project.folder / "uv.lock").write_text("version = 1\n")
    project.commit("locked")
    project.update()
    assert project.changed() == [f" M {ANSWERS_FILE}", " M README.md"]


def test_a_new_default_changes_a_project_that_exists(start: Start) -> None:
    project = start("1.0.0")
    project.update(ref="1.1.0")
    assert read_answers(project)["colour"] == "red"
    project.commit("updated")
    project.update(ref="1.2.0")
    assert read_answers(project)["palette"] == "red"
    assert "It is red." in project.read("README.md")


def test_a_name_that_is_computed_moves_the_package(
    ours: Template, tmp_path: Path
) -> None:
    project = Follower(ours, tmp_path / "project", "1.0.0")
    paths = project.files().keys()
    project.update({"project_name": "Quite another", "description": "It is new."})
    assert project.files().keys() == paths


@pytest.mark.filterwarnings("ignore:Exception ignored in.*scandir")
def test_an_exclusion_that_names_a_new_question_breaks_old_projects(
    tmp_path: Path, default_gitconfig: object
) -> None:
    versions = releases()
    broken = versions["1.1.0"]["copier.yml"].replace("/notes/", "/notes/{{ log }}")
    versions["1.1.0"]["copier.yml"] = broken
    history = build_small(tmp_path / "broken", versions)
    project = Follower(history, tmp_path / "project", "1.0.0")
    with pytest.raises(UndefinedError, match="log"):
        project.update(ref="1.1.0")
    parsed = Environment().parse("\n".join(settings()["_exclude"]))
    named = jinja2.meta.find_undeclared_variables(parsed)
    assert named <= {"_copier_operation", "package_name"}


def test_a_conflict_is_a_success_to_copier(start: Start) -> None:
    project = start("1.0.0")
    readme = project.read("README.md").replace("Run it.", "Run it never.")
    (project.folder / "README.md").write_text(readme, "utf-8")
    project.commit("mine")
    command = [sys.executable, "-W", "ignore", "-m", "copier", "update", "--defaults"]
    done = subprocess.run(
        [*command, "--vcs-ref=1.1.0"], cwd=project.folder, env=os.environ, check=False
    )
    assert done.returncode == 0
    assert unmerged(project) == ["README.md"]
    assert has_conflict(project.files()["README.md"])


def test_a_file_that_is_new_hides_from_git_diff(start: Start) -> None:
    project = start("1.0.0")
    change_answers(project)
    assert not project.changed()
    project.update({"log": "file"}, ref="1.1.0")
    assert "src/log.py" not in git(project.folder, "diff", "--name-only")
    assert "?? src/log.py" in project.changed()


def test_a_version_that_no_release_has_cannot_be_left(start: Start) -> None:
    project = start("1.0.0")
    known = project.read(ANSWERS_FILE)
    unknown = known.replace("_commit: 1.0.0", "_commit: v1-3-gabcdef0")
    (project.folder / ANSWERS_FILE).write_text(unknown, "utf-8")
    project.commit("strange")
    with pytest.raises(ValueError, match="Unknown revision: 'v1-3-gabcdef0'"):
        project.update(ref="1.1.0")
    assert not project.changed()


def test_a_relative_source_is_found_from_nowhere_else(
    small: History, start: Start
) -> None:
    project = start("1.0.0")
    known = project.read(ANSWERS_FILE)
    (project.folder / ANSWERS_FILE).write_text(
        known.replace(str(small.folder), "template"), "utf-8"
    )
    project.commit("relative")
    with pytest.raises((UserMessageError, ValueError)):
        project.update(ref="1.1.0")
    assert not project.changed()


def test_a_formatter_touches_what_the_next_release_changes(
    start: Start, tmp_path: Path
) -> None:
    mode = black.Mode(line_length=110)
    for preset in ("starter", "standard"):
        for path, content in render_tree({"preset": preset}).items():
            if path.endswith(".py"):
                text = content.decode()
                assert black.format_str(text, mode=mode) == text, path
    # With other settings it does, but the conflict is visible.
    project = start("1.0.0")
    app = project.read("src/app.py").replace('"""Part 3."""', "'''Part 3.'''")
    (project.folder / "src/app.py").write_text(app, "utf-8")
    project.commit("formatted")
    project.update(ref="1.1.0")
    assert unmerged(project) == ["src/app.py"]


def test_a_downgrade_takes_away_what_the_newer_release_brought(start: Start) -> None:
    project = start("1.1.0", log="file")
    with pytest.raises(UserMessageError, match="downgrading"):
        project.update(ref="1.0.0")
    assert not project.changed()


def test_a_file_of_the_owners_is_where_the_release_adds_one(start: Start) -> None:
    project = start("1.2.0")
    (project.folder / "src/more.py").write_text("# mine\n")
    project.commit("mine")
    project.update(ref="2.0.0", trust=True)
    assert unmerged(project) == ["src/more.py"]
    assert {"# mine", "def part_4(number: int) -> int:"} <= set(
        project.read("src/more.py").splitlines()
    )


def test_a_file_that_was_deleted_comes_back(start: Start) -> None:
    project = start("1.0.0")
    (project.folder / "README.md").unlink()
    project.commit("without")
    project.update(ref="1.1.0")
    assert not (project.folder / "README.md").exists()
