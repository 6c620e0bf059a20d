"""`make update` and its tool: it refuses before anything changes, and reports what changed."""

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests import quick
from tests.manifests import PACKAGE
from tests.releases import Follower, Template, git
from tests.rendering import ANSWERS_FILE
from tests.test_migrations import FUNCTION

light, python, tmp_path = quick.light, quick.python, quick.tmp_path
CHANGES = {
    "1.0.0": "upgrading: [{text: The first thing.}]",
    "1.1.0": """
upgrading:
  - {text: Tokens have roles now., do: Issue them again., when: {auth: jwt}}
  - {text: Limits count records., do: Look at your limits., when: {auth: api_key}}
  - {text: The port has another name., settings: {PORT: LISTEN_PORT}}
new: [{text: A second thing.}, {text: A third thing.}]
""",
    "unreleased": "upgrading: [{text: Not yet.}]",
}
LOGDB = f"src/{PACKAGE}/kit/serve/logdb.py"


@pytest.fixture(scope="module")
def releases(default_gitconfig: object) -> Iterator[tuple[Template, Path]]:
    """A template with 1.0.0 and 1.1.0, and a project of the first."""
    with quick.folder() as folder:
        yield create_releases(Path(folder))


def create_releases(folder: Path) -> tuple[Template, Path]:
    """Create a template with two releases that differ in texts, an added and a removed file; and a project."""
    template = Template(folder / "template")
    template.keep("LICENSE", "Makefile", "README.md", "docs/", "tools/", LOGDB)
    leaving = template.folder / "template" / "docs" / "leaving.md"
    leaving.write_text("It leaves.\n")
    template.release("1.0.0")
    project = Follower(template, folder / "project", package_name=PACKAGE)
    subprocess.run(["uv", "lock", "--quiet"], cwd=project.folder, check=True)
    project.commit("locked")
    leaving.unlink()
    (template.folder / "template" / "docs" / "coming.md").write_text("It comes.\n")
    for version, text in CHANGES.items():
        template.write(f"docs/changes/{version}.yml", text)
    readme = "template/README.md.jinja"
    template.replace(readme, "## Two commands", "## The two commands")
    template.replace(readme, "## Your own data", "## The data of your own")
    template.replace(readme, "A machine with Python", "Any machine with Python")
    tool = "template/tools/update.py"
    template.replace(tool, '"""Update the project', '"""Bring the project')
    template.replace("template/docs/guide.md.jinja", "# Guide\n", "# The guide\n")
    template.replace(
        "template/Makefile.jinja", "## Check format", "## Check the format"
    )
    template.release("1.1.0")
    return template, project.folder


@pytest.fixture
def template(releases: tuple[Template, Path]) -> Template:
    return releases[0]


@pytest.fixture
def project(releases: tuple[Template, Path], tmp_path: Path) -> Path:
    return Path(shutil.copytree(releases[1], tmp_path / "project", symlinks=True))


def environment_with(folder: Path, tests: str) -> Mapping[str, str]:
    """Return an environment with a uv that runs this command instead of the project's tests, which take minutes."""
    stand_in, real = folder / "uv", shutil.which("uv")
    stand_in.write_text(f'#!/bin/sh\n[ "$1" = run ] && {tests}\nexec {real} "$@"')
    stand_in.chmod(0o755)
    return {**os.environ, "UV": str(stand_in)}


def path_with_broken_git(folder: Path, command: str) -> str:
    """Return a PATH with a git that fails for one command."""
    (folder / "bin").mkdir()
    file, real = folder / "bin" / "git", shutil.which("git")
    script = f'#!/bin/sh\ncase "$*" in {command}) exit 99 ;; esac\nexec {real} "$@"\n'
    file.write_text(script)
    file.chmod(0o755)
    return f"{file.parent}{os.pathsep}{os.environ['PATH']}"


def update(
    project: Path, *arguments: str, tests: str = "exit 0", path: str = ""
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "tools/update.py", *arguments],
        check=False,
        cwd=project,
        env={
            **environment_with(project.parent, tests),
            "PATH": path or os.environ["PATH"],
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def read_state(project: Path) -> tuple[str, str, dict[str, bytes]]:
    """Return everything that an update could change: the commit, the index and the files."""
    kept = {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in project.rglob("*")
        if path.is_file() and not {".git", "__pycache__"} & {*path.parts}
    }
    return git(project, "rev-parse", "HEAD"), git(project, "status", "--short"), kept


def write(project: Path, path: str, text: str) -> None:
    (project / path).parent.mkdir(parents=True, exist_ok=True)
    (project / path).write_text(text, "utf-8")


def commit(project: Path) -> None:
    git(project, "add", "--all")
    git(project, "commit", "--quiet", "--message", "mine")


def edit(project: Path, path: str, old: str, new: str) -> None:
    text = (project / path).read_text("utf-8")
    assert old in text
    write(project, path, text.replace(old, new))
    commit(project)


def record(project: Path, name: str, value: str) -> None:
    text = (project / ANSWERS_FILE).read_text("utf-8")
    pattern = re.compile(rf"^{name}: .*$", re.MULTILINE)
    write(project, ANSWERS_FILE, pattern.sub(f"{name}: {value}", text))
    commit(project)


def test_the_exported_requirements_are_refreshed(project: Path) -> None:
    write(project, "requirements.txt", "old==1\n")
    commit(project)
    assert update(project).returncode == 0
    exported = (project / "requirements.txt").read_text("utf-8")
    assert "fastapi==" in exported
    assert "old==1" not in exported


def test_the_report_lists_what_changed(project: Path) -> None:
    done = update(project)
    assert done.returncode == 0, done.stdout
    for text in (
        "Slipway 1.0.0 → 1.1.0",
        "- changed: README.md\n",
        "- added: docs/coming.md\n",
        "- removed: docs/leaving.md\n",
        "- Nothing to mend.",
        "The tests: passed.",
        "What to do:\n\n1. Look at your limits. Limits count records.\n",
        "What behaves differently:\n\n- The port has another name.\n",
        "Not listed here: entries on what is new or mended (2) and on other answers (1).\n",
        "All are in CHANGELOG.md of ",
        "template, 1.1.0.\n",
        "git commit --message 'Slipway 1.0.0 → 1.1.0'",
        "To go back: git reset --hard && git clean -d --force",
    ):
        assert text in done.stdout
    output = done.stdout
    assert (
        output.index("What to do") < output.index("differently") < output.index("came:")
    )
    for absent in ("The first thing", "Not yet", "Tokens", "A third thing"):
        assert absent not in output
    commit(project)
    assert "Nothing to do" in update(project).stdout


def test_the_printed_command_undoes_the_update(project: Path) -> None:
    before = read_state(project)
    output = update(project).stdout
    back = output.partition("To go back: ")[2].strip()
    subprocess.run(["bash", "-ec", back], cwd=project, check=True)
    assert read_state(project) == before


def test_a_conflict_is_reported_and_nothing_is_lost(project: Path) -> None:
    edit(project, "README.md", "## Two commands", "## My two commands")
    done = update(project)
    assert done.returncode == 1
    assert "- in conflict: README.md" in done.stdout
    assert "git add README.md" in done.stdout
    assert "not run, as there are conflicts" in done.stdout
    assert "First settle the conflicts. Then: make update FINISH=1\n" in done.stdout
    text = (project / "README.md").read_text("utf-8")
    assert "## My two commands" in text and "## The two commands" in text


def test_failing_tests_are_reported(project: Path) -> None:
    done = update(project, tests="exit 1")
    assert done.returncode == 1
    assert "The tests: failed." in done.stdout


def test_an_edited_file_that_the_release_removes_is_named(project: Path) -> None:
    edit(project, "docs/leaving.md", "It leaves.", "It stays.")
    done = update(project)
    head = git(project, "rev-parse", "--short", "HEAD").strip()
    way = f"git show {head}:./docs/leaving.md"
    assert f"- removed: docs/leaving.md, without edits of yours: {way}" in done.stdout
    assert "It stays." in subprocess.check_output(way, shell=True, cwd=project).decode()


def test_renamed_settings_are_named_without_their_values(
    project: Path,
) -> None:
    write(project, ".env", "HOST=0.0.0.0\nPORT=8123\n")
    output = update(project).stdout
    line = "2. .env, line 2: PORT is now LISTEN_PORT: rename it.\n"
    assert (
        output.index("What to do:") < output.index(line) < output.index("differently:")
    )
    assert "8123" not in output


def test_an_answer_changes_at_the_same_release(project: Path, tmp_path: Path) -> None:
    done = update(project, "--data", "licence=Apache-2.0 formatter=ruff")
    assert done.returncode == 0, done.stdout
    assert "Not listed" not in done.stdout
    assert "- answer formatter: black → ruff" in done.stdout
    assert "- answer licence: MIT → Apache-2.0" in done.stdout
    assert "_commit: 1.0.0" in (project / ANSWERS_FILE).read_text("utf-8")
    assert "Apache License" in (project / "LICENSE").read_text("utf-8")
    assert "It leaves." in (project / "docs" / "leaving.md").read_text("utf-8")


def test_an_answer_that_deletes_an_edited_file_is_refused(project: Path) -> None:
    edit(project, LOGDB, '"""', '"""Mine. ')
    before = read_state(project)
    done = update(project, "--data", "prediction_log=none")
    assert done.returncode == 1
    assert f"that removes what you have edited: {LOGDB}." in done.stdout
    assert read_state(project) == before
    edit(project, LOGDB, '"""Mine. ', '"""')
    assert update(project, "--data", "prediction_log=none").returncode == 0
    assert not (project / LOGDB).exists()


REFUSED = {
    "uncommitted": ((), "there is work that is not committed (mine.txt)"),
    "begun": ((), "not committed. To finish it: make update FINISH=1; to go back: git"),
    "no repository": ((), "without a repository nothing could be taken back"),
    "no answers": ((), f"{ANSWERS_FILE}: the file of your answers is not there"),
    "broken answers": ((), f"{ANSWERS_FILE}: the file of your answers cannot be read"),
    "between releases": ((), "records 1.0.0-2-gabc1234, which is no release"),
    "unreachable": ((), "the template cannot be reached: '/nowhere/at/all' does"),
    "no such release": (("--to", "7.0.0"), "7.0.0 is no release; the newest are 1.0.0"),
    "backwards": (("--to", "v1.0.0"), "1.0.0 is older than 1.1.0"),
    "another problem": (("--data", "problem=regression"), "problem is fixed"),
    "another name": (("--data", "package_name=other"), "package_name is fixed"),
    "no such question": (
        ("--data", "colour=red"),
        "colour is no question; there are a",
    ),
    "no such choice": (("--data", "ci=jenkins"), "Invalid choice for 'ci'"),
    "no answer": (("--data", "docker"), "docker is no answer"),
}


def prepare(project: Path, case: str) -> None:
    """Bring the project into the state in which the update is refused."""
    match case:
        case "uncommitted":
            write(project, "mine.txt", "Mine.\n")
        case "begun":
            text = (project / ANSWERS_FILE).read_text("utf-8")
            write(project, ANSWERS_FILE, text.replace("1.0.0", "1.1.0"))
        case "no repository":
            shutil.rmtree(project / ".git")
        case "no answers":
            (project / ANSWERS_FILE).unlink()
            commit(project)
        case "broken answers":
            write(project, ANSWERS_FILE, "preset: [\n")
            commit(project)
        case "between releases":
            record(project, "_commit", "1.0.0-2-gabc1234")
        case "unreachable":
            record(project, "_src_path", "/nowhere/at/all")
        case "backwards":
            record(project, "_commit", "1.1.0")


@pytest.mark.parametrize("case", REFUSED)
def test_a_refused_update_changes_nothing(project: Path, case: str) -> None:
    arguments, message = REFUSED[case]
    prepare(project, case)
    has_repository = (project / ".git").exists()
    before = read_state(project) if has_repository else None
    done = update(project, *arguments)
    assert done.returncode == 1
    assert message in done.stdout
    assert "Nothing was changed." in done.stdout
    assert "Traceback" not in done.stdout
    assert not has_repository or read_state(project) == before


def test_migrations_run_only_when_trusted(
    tmp_path: Path, default_gitconfig: object
) -> None:
    template = Template(tmp_path / "template")
    template.release("1.0.0")
    project = Follower(template, tmp_path / "project").folder
    template.migrate("2.0.0", FUNCTION)
    moved = template.folder / "template" / "docs" / "index.md.jinja"
    (template.folder / "template" / "README.md.jinja").rename(moved)
    template.replace("template/pyproject.toml.jinja", "README.md", "docs/index.md")
    template.release("2.0.0")
    edit(project, "README.md", "## Two commands", "## My two commands")
    before = read_state(project)
    refused = update(project)
    assert refused.returncode == 1
    assert "then make update TRUST=1" in refused.stdout
    assert read_state(project) == before
    done = update(project, "--trust")
    assert "2.0.0: Move README.md to docs/index.md" in done.stdout
    assert "## My two commands" in (project / "docs" / "index.md").read_text("utf-8")


def test_a_failure_half_way_names_the_command_to_undo_it(
    project: Path, tmp_path: Path
) -> None:
    """Git fails after Copier has written the new files."""
    before = read_state(project)
    done = update(project, path=path_with_broken_git(tmp_path, "*--unified=3*"))
    assert done.returncode == 1
    output, _, undo = done.stdout.partition("To go back: ")
    assert "Copier stopped half way" in output
    assert read_state(project) != before
    subprocess.run(["bash", "-ec", undo], cwd=project, check=True)
    assert read_state(project) == before


def test_edits_that_copier_drops_are_named(project: Path, tmp_path: Path) -> None:
    """Copier ignores whether git could apply them to the new files."""
    edit(project, "README.md", "## Where things are", "## Where my things are")
    done = update(project, path=path_with_broken_git(tmp_path, "apply*"))
    head = git(project, "rev-parse", "--short", "HEAD").strip()
    way = f"git show {head}:./README.md"
    assert f"- changed: README.md, without edits of yours: {way}" in done.stdout


def test_an_interrupt_names_the_command_to_undo_it(project: Path) -> None:
    before = read_state(project)
    with subprocess.Popen(
        [quick.COLD, "-u", "tools/update.py"],
        cwd=project,
        env=environment_with(project.parent, "exec sleep 600"),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as running:
        assert running.stdout
        assert any("Locking and testing" in line for line in running.stdout)
        os.killpg(running.pid, signal.SIGINT)
        output = running.stdout.read()
        undo = output.partition("update: stopped. To go back: ")[2]
    assert running.returncode == 1
    assert read_state(project) != before
    subprocess.run(["bash", "-ec", undo], cwd=project, check=True)
    assert read_state(project) == before


@pytest.mark.parametrize("style", ["merge", "diff3", "zdiff3"])
def test_make_doctor_runs_with_a_conflict_in_the_makefile(
    project: Path, style: str
) -> None:
    git(project, "config", "merge.conflictStyle", style)
    edit(project, "Makefile", "## Check format", "## Mine: check format")
    assert "- in conflict: Makefile\n" in update(project).stdout
    done = subprocess.run(
        ["make", "doctor", "ARGS=--offline"],
        cwd=project,
        check=False,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert "- Makefile: two versions stand in it" in done.stdout
    text = (project / "Makefile").read_text()
    assert "# <<<<<<< yours, hunk 1\n" in text
    assert ("# ||||||| before both changes, hunk 1\n" in text) == (style != "merge")


def test_a_branch_contains_the_whole_update(project: Path) -> None:
    edit(project, "README.md", "## Two commands", "## My two commands")
    main = git(project, "rev-parse", "main")
    done = update(project, "--branch")
    assert done.returncode == 0, done.stdout
    assert git(project, "branch", "--show-current") == "slipway/update-1.1.0\n"
    assert git(project, "rev-parse", "main", "HEAD~1") == main * 2
    assert git(project, "status", "--porcelain") == ""
    subject, _, body = git(project, "log", "-1", "--format=%B").partition("\n")
    assert subject == "Slipway 1.0.0 → 1.1.0"
    assert "(conflict-marker, error)" in body
    assert body.startswith("\nWhat to do:\n\n1. Look at your limits.")
    assert "Conflicts:\n\n- README.md, line " in body
    assert "When all are settled: make update FINISH=1\n" in body
    assert ">>>>>>> Slipway 1.1.0, hunk 1\n" in git(project, "show", "HEAD:README.md")
    assert git(project, "show", "HEAD:docs/coming.md") == "It comes.\n"
    git(project, "switch", "--quiet", "main")
    again = update(project, "--branch")
    assert again.returncode == 1
    assert "there is a branch slipway/update-1.1.0" in again.stdout
