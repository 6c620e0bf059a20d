"""`make update` with conflicts, and tools/result.py: resolve them hunk by hunk, finish the update, and lose nothing."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from slipway import changes
from tests import quick
from tests.releases import Follower, Template, git
from tests.rendering import ANSWERS_FILE, ROOT
from tests.test_make_update import (
    commit,
    create_releases,
    edit,
    read_state,
    update,
    write,
)
from tests.update.history import available_releases, extract_template

light, python, tmp_path = quick.light, quick.python, quick.tmp_path
BRANCH = "slipway/update-1.1.0"
TITLE = "Slipway 1.0.0 → 1.1.0"
UV = """#!/bin/sh
case "$*" in
"run --quiet tools/"* | "run tools/"*) [ "$2" = --quiet ] && shift; shift; UV="$0" exec {python} "$@" ;;
"run --locked"*) echo tested >> {folder}/tested; test ! -e {folder}/fails; exit ;;
esac
exec {uv} "$@"
"""
"""A uv that runs the tools in this environment, and counts the runs of the project's tests instead of running them."""


@pytest.fixture(scope="module")
def edited_project(default_gitconfig: object) -> Iterator[Path]:
    """The folder of a project with edits: three conflict in README.md, one in the Makefile, and one nowhere."""
    with quick.folder() as folder:
        project = create_releases(Path(folder))[1]
        edit(project, "README.md", "## Two commands", "## My two commands")
        edit(project, "README.md", "## Your own data", "## My own data")
        edit(project, "README.md", "A machine with Python", "My machine with Python")
        edit(project, "README.md", "## Where things are", "## Where my things are")
        edit(project, "Makefile", "## Check format", "## Mine: check format")
        yield Path(folder)


@pytest.fixture
def project(edited_project: Path, tmp_path: Path) -> Path:
    return install_uv(
        Path(shutil.copytree(edited_project / "project", tmp_path / "project"))
    )


def install_uv(project: Path) -> Path:
    """Put the stand-in for uv next to a project, and return the project."""
    uv = project.parent / "bin" / "uv"
    uv.parent.mkdir()
    words = {"python": sys.executable, "folder": uv.parent, "uv": shutil.which("uv")}
    uv.write_text(UV.format(**words))
    uv.chmod(0o755)
    return project


def shell(project: Path, command: str, status: int = 0) -> str:
    """Run a command in the project, and return its output."""
    path = f"{project.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    kept = {n: text for n, text in os.environ.items() if not n.startswith("MAKE")}
    done = subprocess.run(
        ["bash", "-ec", command],
        check=False,
        cwd=project,
        env={**kept, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # When a command fails, make exits with a code of its own.
    assert bool(done.returncode) == bool(status), done.stdout
    return done.stdout


def read(project: Path, path: str) -> str:
    return (project / path).read_bytes().decode()


def resolve_all(project: Path) -> None:
    """Keep your side of each hunk."""
    places = ["README.md HUNK=1", "README.md HUNK=2", "README.md HUNK=3", "Makefile"]
    for place in places:
        shell(project, f"make update TAKE=yours FILE={place}")


def updating_page() -> str:
    return (ROOT / "docs" / "updating.md").read_text("utf-8")


def documented_commands(start: str) -> list[str]:
    """Return the lines of the page that start with this, without their comments."""
    lines = [line for line in updating_page().splitlines() if line.startswith(start)]
    return [line.partition("#")[0].strip() for line in lines]


def test_all_conflicts_are_listed_with_the_commands_to_resolve_them(
    project: Path,
) -> None:
    """The list has each hunk of each file (aegis-stack #1016), and no advice to keep one side everywhere (#1134)."""
    output = shell(project, "make update", status=1)
    listed = output.partition("Conflicts:\n\n")[2].partition("\n\n")[0].splitlines()
    places = [line.rpartition(": ")[::2] for line in listed]
    assert [hunk for _, hunk in places] == ["hunk 1", "hunk 1", "hunk 2", "hunk 3"]
    for place, hunk in places:
        match = re.fullmatch(r"- (\S+), line (\d+)", place)
        assert match
        line = read(project, match[1]).splitlines()[int(match[2]) - 1]
        assert line.removeprefix("# ") == f"<<<<<<< yours, {hunk}"
    assert "Often lines of both sides must stay" in output
    assert "make update TAKE=yours FILE=Makefile HUNK=1\n" in output
    assert "When all are settled: make update FINISH=1\n" in output


def test_several_hunks_in_a_file_lose_nothing(project: Path) -> None:
    """aegis-stack #772 read git's exit code 2, for two conflicts, as a failure."""
    shell(project, "make update", status=1)
    text = read(project, "README.md")
    for line in (
        *("## My two commands", "## My own data", "## The two commands"),
        *("## The data of your own", "## Where my things are"),
    ):
        assert text.count(f"{line}\n") == 1
    assert "My machine" in text and "Any machine" in text
    # The commands of the page keep your side, Slipway's side and both, in any order.
    yours, slipway, both = documented_commands("   make update TAKE=")
    shell(project, both)
    text = read(project, "README.md")
    assert "\n## My own data\n## The data of your own\n" in text
    assert "yours, hunk 2\nMy machine" in text
    shell(project, yours)
    assert "no conflict is left in it" in shell(project, slipway)
    text = read(project, "README.md")
    assert "## My two commands\n" in text and "## The two commands" not in text
    assert "Any machine" in text and "My machine" not in text
    assert "## Where my things are\n" in text and "<<<" not in text
    assert not git(project, "ls-files", "--unmerged", "README.md")
    (again,) = re.findall("`(git checkout --merge .* FILE)`", updating_page())
    shell(project, again.replace("FILE", "README.md"))
    shell(project, slipway.replace("HUNK=2", "HUNK=1"))
    text = read(project, "README.md")
    assert "## The two commands\n" in text and "hunk 2" in text and "hunk 3" in text


REFUSED = {
    "TAKE=theirs FILE=README.md HUNK=1": "TAKE=theirs is no side: it is one of yours",
    "TAKE=yours": "say which file: FILE=README.md",
    "TAKE=yours FILE=gone.md": "there is no file gone.md.\n",
    "TAKE=yours FILE=docs": "there is no file docs.\n",
    "TAKE=yours FILE=README.md": "README.md: it has the hunks 1 (line ",
    "TAKE=yours FILE=README.md HUNK=4": "README.md: it has no hunk 4, but 1 (line ",
    "TAKE=yours FILE=README.md HUNK=two": "HUNK=two is no number",
    "TAKE=yours FILE=pyproject.toml": "pyproject.toml: an update left no conflict in it",
    "FILE=README.md HUNK=1": "say which side to keep: TAKE=yours, TAKE=slipway or",
    "FINISH=1 TO=1.1.0": "it takes neither TO nor DATA",
    "FINISH=1 DATA=ci=none": "it takes neither TO nor DATA",
}


def test_invalid_arguments_are_refused(project: Path) -> None:
    shell(project, "make update", status=1)
    before = read_state(project)
    for words, message in REFUSED.items():
        output = shell(project, f"make update {words}", status=1)
        assert message in output and "Nothing was changed." in output, words
        assert "Traceback" not in output
    assert read_state(project) == before


def test_a_conflicted_update_is_finished(project: Path) -> None:
    """It is locked, tested and recorded like one without conflicts (aegis-stack #1018)."""
    shell(project, "make update", status=1)
    assert not (project.parent / "bin" / "tested").exists()
    resolve_all(project)
    output = shell(project, "make update FINISH=1")
    assert (project.parent / "bin" / "tested").read_text() == "tested\n"
    assert "All of it is committed on main." in output
    subject, _, body = git(project, "log", "-1", "--format=%B").partition("\n\n")
    assert subject == TITLE and body.strip() in output
    assert git(project, "rev-parse", "HEAD~1") == git(project, "rev-parse", "main~1")
    assert not git(project, "status", "--porcelain", "--ignored").replace(
        "!! tools/__pycache__/\n", ""
    )
    assert "_commit: 1.1.0" in read(project, ANSWERS_FILE)
    assert "## My two commands" in read(project, "README.md")
    again = shell(project, "make update FINISH=1", status=1)
    assert "there is no update to finish" in again
    assert "Nothing to do" in shell(project, "make update")


def test_the_report_equals_that_of_an_update_without_conflicts(
    project: Path, edited_project: Path, tmp_path: Path
) -> None:
    plain = install_uv(
        Path(
            shutil.copytree(edited_project / "project", tmp_path / "plain" / "project")
        )
    )
    git(plain, "reset", "--quiet", "--hard", "HEAD~5")
    shell(plain, "make update ARGS=--branch")
    shell(project, "make update ARGS=--branch", status=0)
    first = git(project, "log", "-1", "--format=%b")
    assert "not run, as there are conflicts" in first
    resolve_all(project)
    shell(project, "make update FINISH=1")
    texts = [git(each, "log", "-1", "--format=%b") for each in (plain, project)]
    # Without edits these files change; with your sides kept they do not.
    kept = {"- changed: Makefile", "- changed: README.md"}
    lines = [[ln for ln in text.splitlines() if ln not in kept] for text in texts]
    assert lines[0] == lines[1]
    assert "What to do:" in texts[0] and "The tests: passed." in texts[0]


Change = Callable[[Path], object]


def leave_one_mark(project: Path) -> None:
    """Resolve all conflicts, but leave one mark."""
    resolve_all(project)
    text = read(project, "docs/guide.md")
    write(project, "docs/guide.md", f"{text}\n>>>>>>> Slipway 1.1.0, hunk 1\n")


def leave_separator(project: Path) -> None:
    resolve_all(project)
    write(project, "README.md", read(project, "README.md") + "\nEnd\n\n=======\n")


def leave_unmerged(project: Path) -> None:
    resolve_all(project)
    shell(project, "git checkout --merge -- Makefile")
    write(project, "Makefile", git(project, "show", "HEAD:Makefile"))


def leave_rejected_hunk(project: Path) -> None:
    resolve_all(project)
    write(project, "docs/guide.md.rej", "Theirs.\n")


@pytest.mark.parametrize(
    ("leave", "pattern"),
    [
        (lambda p: None, r"- Makefile, line \d+: # <<<<<<< yours, hunk 1\n"),
        (lambda p: None, r"- README.md, line \d+: >>>>>>> Slipway 1.1.0, hunk 2\n"),
        (leave_one_mark, r"- docs/guide.md, line \d+: >>>>>>> Slipway 1.1.0, hunk 1\n"),
        (leave_separator, r"- README.md, line \d+: =======\n"),
        (leave_unmerged, r"- Makefile: git has two versions .*git add Makefile"),
        (
            leave_rejected_hunk,
            r"- docs/guide.md.rej: it holds a change .*rm docs/guide.md.rej",
        ),
    ],
)
def test_unresolved_conflicts_are_named_and_nothing_changes(
    project: Path, leave: Change, pattern: str
) -> None:
    shell(project, "make update", status=1)
    leave(project)
    before = read_state(project)
    output = shell(project, "make update FINISH=1", status=1)
    assert re.search(pattern, output), output
    assert "settle these first, then again make update FINISH=1\n" in output
    assert read_state(project) == before
    assert not (project.parent / "bin" / "tested").exists()


def test_failing_tests_leave_the_update_unfinished(project: Path) -> None:
    shell(project, "make update", status=1)
    resolve_all(project)
    head = git(project, "rev-parse", "HEAD")
    (project.parent / "bin" / "fails").touch()
    output = shell(project, "make update FINISH=1", status=1)
    assert "The tests: failed." in output and "Nothing is committed. Mend" in output
    assert git(project, "rev-parse", "HEAD") == head
    (project.parent / "bin" / "fails").unlink()
    shell(project, "make update FINISH=1")
    assert git(project, "rev-parse", "HEAD~1") == head


def test_a_rejected_commit_leaves_the_update_unfinished(project: Path) -> None:
    """The owner's hooks run on the commit, as on any other."""
    shell(project, "make update", status=1)
    resolve_all(project)
    hook = project / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho The hook says no. >&2\nexit 1\n")
    hook.chmod(0o755)
    output = shell(project, "make update FINISH=1", status=1)
    assert "The hook says no." in output and "git made no commit" in output
    hook.unlink()
    shell(project, "make update FINISH=1")
    assert not git(project, "status", "--porcelain")


def test_a_branch_with_conflicts_is_finished_on_the_branch(project: Path) -> None:
    main = git(project, "rev-parse", "main")
    shell(project, "make update ARGS=--branch")
    resolve_all(project)
    output = shell(project, "make update FINISH=1")
    assert f"All of it is committed on {BRANCH}." in output
    subjects = git(project, "log", "--format=%s", f"main..{BRANCH}").splitlines()
    assert subjects == [f"Settle the conflicts of {TITLE}", TITLE]
    assert git(project, "rev-parse", "main") == main
    assert "What to do:" in git(project, "log", "-1", "--format=%b")
    assert "no update to finish" in shell(project, "make update FINISH=1", status=1)
    git(project, "switch", "--quiet", "main")
    assert "no update to finish" in shell(project, "make update FINISH=1", status=1)
    git(project, "merge", "--quiet", BRANCH)
    assert "no update to finish" in shell(project, "make update FINISH=1", status=1)


def test_committed_marks_are_named_too(project: Path) -> None:
    shell(project, "make update ARGS=--branch")
    output = shell(project, "make update FINISH=1", status=1)
    assert "- Makefile, line " in output and "hunk 2" in output
    resolve_all(project)
    text = read(project, "README.md").replace(
        "## My own data", "## My own data\n======="
    )
    write(project, "README.md", text)
    output = shell(project, "make update FINISH=1", status=1)
    assert re.search(r"- README.md, line \d+: =======\n", output)


def test_an_update_committed_by_hand_is_finished(project: Path) -> None:
    shell(project, "make update ARGS=--branch")
    resolve_all(project)
    commit(project)
    output = shell(project, "make update FINISH=1")
    assert "The tests: passed." in output and "All of it is committed" in output
    assert git(project, "log", "-1", "--format=%s") == "mine\n"


def test_no_update_starts_with_marks_of_the_last_one(project: Path) -> None:
    shell(project, "make update ARGS=--branch")
    before = read_state(project)
    output = shell(project, "make update DATA=licence=Apache-2.0", status=1)
    assert (
        "settle the conflicts in Makefile, README.md first, then make update" in output
    )
    assert read_state(project) == before


@pytest.mark.parametrize("branch", ["", "ARGS=--branch"])
def test_lost_edits_stay_reachable(project: Path, branch: str) -> None:
    """The report names the commit, because HEAD is another one at the end."""
    edit(project, "docs/leaving.md", "It leaves.", "It stays.")
    shell(project, f"make update {branch}", status=0 if branch else 1)
    resolve_all(project)
    output = shell(project, "make update FINISH=1")
    way = re.search(
        r"- removed: docs/leaving.md, without edits of yours: (git .*)", output
    )
    assert way and "It stays." in shell(project, way[1])
    assert way[0] in git(project, "log", "-1", "--format=%b")


def test_files_with_other_line_endings_are_named(project: Path) -> None:
    text = read(project, "README.md").replace("\n", "\r\n")
    (project / "README.md").write_bytes(text.encode())
    git(project, "config", "core.autocrlf", "false")
    commit(project)
    output = shell(project, "make update", status=1)
    assert (
        "- README.md: your lines end otherwise than Slipway's (CRLF and LF)." in output
    )
    assert "- Makefile: your lines" not in output


def test_an_update_is_finished_on_a_new_branch(project: Path) -> None:
    main = git(project, "rev-parse", "main")
    shell(project, "make update", status=1)
    resolve_all(project)
    git(project, "branch", BRANCH)
    output = shell(project, "make update FINISH=1 ARGS=--branch", status=1)
    assert f"there is a branch {BRANCH}" in output
    git(project, "branch", "--delete", BRANCH)
    shell(project, "make update FINISH=1 ARGS=--branch")
    assert git(project, "rev-parse", "main", f"{BRANCH}~1") == main * 2
    assert git(project, "log", "-1", "--format=%s") == f"{TITLE}\n"
    assert not git(project, "status", "--porcelain")


def test_a_change_of_answers_with_conflicts_is_finished(project: Path) -> None:
    edit(project, "LICENSE", "MIT License", "My License")
    words = "licence=Apache-2.0 formatter=ruff"
    shell(project, f"make update DATA='{words}'", status=1)
    shell(project, "git checkout --theirs LICENSE && git add LICENSE")
    shell(project, "make update TAKE=slipway FILE=Makefile")
    shell(project, "make update FINISH=1")
    subject = git(project, "log", "-1", "--format=%s").strip()
    assert subject == "Slipway 1.0.0 with formatter=ruff, licence=Apache-2.0"


@pytest.mark.parametrize("branch", ["", "ARGS=--branch"])
def test_a_project_in_a_folder_of_a_repository_is_finished(
    project: Path, tmp_path: Path, branch: str
) -> None:
    whole = tmp_path / "whole"
    shutil.copytree(
        project, whole / "service", ignore=shutil.ignore_patterns(".git", "__pycache__")
    )
    git(whole, "init", "--quiet", "--initial-branch=main")
    commit(whole)
    service = whole / "service"
    shutil.copytree(project.parent / "bin", whole / "bin")
    write(whole, ".git/info/exclude", "/bin\n")
    output = shell(service, f"make update {branch} || true")
    assert "- in conflict: README.md\n" in output or branch
    assert re.search(r"- README.md, line \d+: hunk 3\n", output)
    resolve_all(service)
    assert "All of it is committed" in shell(service, "make update FINISH=1")
    assert git(whole, "log", "-1", "--format=%s").strip().endswith(TITLE)
    assert not git(whole, "status", "--porcelain")
    assert "no update to finish" in shell(service, "make update FINISH=1", status=1)


@pytest.mark.parametrize("nothing", ["fresh", "no repository", "no answers"])
def test_without_an_update_there_is_nothing_to_finish(
    project: Path, nothing: str
) -> None:
    if nothing == "no repository":
        shutil.rmtree(project / ".git")
    if nothing == "no answers":
        (project / ANSWERS_FILE).unlink()
    output = shell(project, "make update FINISH=1", status=1)
    assert "there is no update to finish" in output and "Traceback" not in output


def test_the_first_commands_of_the_page_work(
    edited_project: Path, tmp_path: Path
) -> None:
    project = install_uv(
        Path(shutil.copytree(edited_project / "project", tmp_path / "project"))
    )
    git(project, "reset", "--quiet", "--hard", "HEAD~5")
    shell(project, updating_page().partition("```sh\n")[2].partition("```")[0])
    subject = git(project, "log", "-1", "--format=%s", "update").strip()
    assert subject == "Update Slipway"
    assert "_commit: 1.1.0" in read(project, ANSWERS_FILE)
    assert not git(project, "status", "--porcelain")


def test_the_commands_of_the_table_work(edited_project: Path, tmp_path: Path) -> None:
    table = updating_page().partition("## ")[0]
    commands = re.findall(r"^\| `(make .*)` \|", table, re.MULTILINE)
    assert len(commands) == 7 and commands[-1] == "make doctor"
    for number, command in enumerate(commands):
        place = tmp_path / str(number) / "project"
        project = install_uv(Path(shutil.copytree(edited_project / "project", place)))
        if "TAKE=" in command or "FINISH=" in command:
            shell(project, "make update ARGS=--branch")
        if "FINISH=" in command:
            resolve_all(project)
        if "TAKE=" not in command and "FINISH=" not in command:
            git(project, "reset", "--quiet", "--hard", "HEAD~5")
        shell(project, command.replace("1.2.0", "1.1.0"))


def test_a_conflict_in_the_tool_is_resolved_by_git(project: Path) -> None:
    edit(project, "tools/update.py", '"""Update the project', '"""My project')
    output = shell(project, "make update", status=1)
    assert "<<<<<<< yours, hunk 1" in read(project, "tools/update.py")
    (command,) = re.findall("`(git checkout --theirs .*?)`", updating_page())
    assert f"- tools/update.py: first run {command}\n" in output
    shell(project, command)
    resolve_all(project)
    shell(project, "make update FINISH=1")
    assert '"""Bring the project' in read(project, "tools/update.py")


# --- conflicts of older tools --------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "conversion"), [("\n", "false"), ("\r\n", "false"), ("\r\n", "true")]
)
@pytest.mark.parametrize("style", ["merge", "diff3", "zdiff3"])
def test_conflicts_left_by_copier_itself_are_finished(
    project: Path, style: str, lines: str, conversion: str
) -> None:
    """Make cannot read its bare marks in the Makefile, so that the page has commands without make."""
    git(project, "config", "core.autocrlf", conversion)
    text = read(project, "README.md").replace("\n", lines)
    (project / "README.md").write_bytes(text.encode())
    git(project, "commit", "--quiet", "--all", "--allow-empty", "--message", "lines")
    git(project, "config", "merge.conflictStyle", style)
    copier = [sys.executable, "-W", "ignore", "-m", "copier", "update", "--defaults"]
    subprocess.run([*copier, "--quiet"], cwd=project, check=True)
    assert "<<<<<<< before updating" in read(project, "Makefile")
    take, finish = documented_commands(
        "$(command -v uv || echo .tools/bin/uv) run tools/update.py --"
    )
    shell(project, take)
    count = read(project, "README.md").count("<<<<<<< before updating")
    for number in range(1, count + 1):
        words = take.replace("Makefile", "README.md").replace(
            "hunk 1", f"hunk {number}"
        )
        shell(project, words)
    after = read(project, "README.md")
    for mine in ("## My two commands", "## My own data", "## Where my things are"):
        assert after.count(mine + lines) == 1
    if lines != "\n":
        assert after == text
    assert "All of it is committed on main." in shell(project, finish)
    assert git(project, "log", "-1", "--format=%s") == f"{TITLE}\n"


def test_a_project_of_the_last_release_is_updated_by_its_own_tool(
    tmp_path: Path, default_gitconfig: object
) -> None:
    """The tool of v0.2.0 reads only CHANGELOG.md; the new tool that comes with the update finishes it."""
    with quick.folder() as folder:
        old = extract_template(available_releases()["v0.2.0"], Path(folder))
        template = Template(tmp_path / "template", old)
    template.release("0.2.0")
    project = Follower(template, tmp_path / "project", preset="starter").folder
    subprocess.run(["uv", "lock", "--quiet"], cwd=project, check=True)
    edit(project, "README.md", "## Two commands", "## My two commands")
    edit(project, "Makefile", "## Check format", "## Mine: check format")
    template.copy_from(ROOT)
    template.replace("template/README.md.jinja", "## Two commands", "## Both commands")
    template.replace("template/Makefile.jinja", "## Check format", "## See the format")
    for file in (ROOT / changes.FOLDER).glob("*.yml"):
        name = file.name.replace("unreleased", "99.0.0")
        template.write(f"{changes.FOLDER}/{name}", file.read_text("utf-8"))
    template.write(changes.CHANGELOG, changes.render_changelog(template.folder))
    template.release("99.0.0")
    output = update(project).stdout
    assert "What the changelog says:\n\n## " in output
    assert "\n### Upgrading\n\nDo this after the update:\n\n1. Settle" in output
    assert "\n## 0.3.0\n" in output
    assert "## 0.2.0" not in output and "first release" not in output
    install_uv(project)
    assert "<<<<<<< before updating" in read(project, "README.md")
    take, finish = documented_commands(
        "$(command -v uv || echo .tools/bin/uv) run tools/update.py --"
    )
    for path in ("Makefile", "README.md"):
        text = read(project, path)
        for number in range(1, text.count("<<<<<<< before updating") + 1):
            words = take.replace("Makefile", path).replace("hunk 1", f"hunk {number}")
            shell(project, words.replace("yours", "slipway"))
    output = shell(project, finish)
    assert re.search(r"What to do:\n\n(.*\n)*?2\. Run `[\w-]+ sign`", output)
    assert "auth=jwt" not in output and "on other answers (" in output
    subject = git(project, "log", "-1", "--format=%s").strip()
    assert subject == "Slipway 0.2.0 → 99.0.0"
