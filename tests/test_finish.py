"""`make update` where you and a release changed the same lines: settle hunk by hunk, finish, lose nothing."""

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
from tests.test_make_update import commit, edit, state, two, update, write
from tests.update.history import available_releases, extract_template

light, python, tmp_path = quick.light, quick.python, quick.tmp_path
BRANCH = "slipway/update-1.1.0"
TITLE = "Slipway 1.0.0 → 1.1.0"
# The tool runs in this environment, and the project's tests take no minutes.
UV = """#!/bin/sh
case "$*" in
"run --quiet tools/"* | "run tools/"*) [ "$2" = --quiet ] && shift; shift; UV="$0" exec {python} "$@" ;;
"run --locked"*) echo tested >> {folder}/tested; test ! -e {folder}/fails; exit ;;
esac
exec {uv} "$@"
"""


@pytest.fixture(scope="module")
def made(default_gitconfig: object) -> Iterator[Path]:
    """A project that meets the release at three places of its README and in its Makefile, and has an edit that meets nothing."""
    with quick.folder() as folder:
        project = two(Path(folder))[1]
        edit(project, "README.md", "## Two commands", "## My two commands")
        edit(project, "README.md", "## Your own data", "## My own data")
        edit(project, "README.md", "A machine with Python", "My machine with Python")
        edit(project, "README.md", "## Where things are", "## Where my things are")
        edit(project, "Makefile", "## Check format", "## Mine: check format")
        yield Path(folder)


@pytest.fixture
def project(made: Path, tmp_path: Path) -> Path:
    return machine(Path(shutil.copytree(made / "project", tmp_path / "project")))


def machine(project: Path) -> Path:
    """Put a uv next to a project, which counts the runs of its tests."""
    uv = project.parent / "bin" / "uv"
    uv.parent.mkdir()
    words = {"python": sys.executable, "folder": uv.parent, "uv": shutil.which("uv")}
    uv.write_text(UV.format(**words))
    uv.chmod(0o755)
    return project


def typed(project: Path, command: str, status: int = 0) -> str:
    """Run what a person types in the project; return what is printed."""
    path = f"{project.parent / 'bin'}{os.pathsep}{os.environ['PATH']}"
    plain = {n: text for n, text in os.environ.items() if not n.startswith("MAKE")}
    done = subprocess.run(
        ["bash", "-ec", command],
        check=False,
        cwd=project,
        env={**plain, "PATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    # What fails fails make, which has an exit code of its own.
    assert bool(done.returncode) == bool(status), done.stdout
    return done.stdout


def read(project: Path, path: str) -> str:
    return (project / path).read_bytes().decode()


def settled(project: Path) -> None:
    """Keep your side of each hunk."""
    places = ["README.md HUNK=1", "README.md HUNK=2", "README.md HUNK=3", "Makefile"]
    for place in places:
        typed(project, f"make update TAKE=yours FILE={place}")


def page() -> str:
    return (ROOT / "docs" / "updating.md").read_text("utf-8")


def commands(start: str) -> list[str]:
    """The commands of the page that begin like this, each on a line of its own."""
    lines = [line for line in page().splitlines() if line.startswith(start)]
    return [line.partition("#")[0].strip() for line in lines]


def test_all_conflicts_are_listed_with_what_settles_them(project: Path) -> None:
    """Each hunk of each file (aegis-stack #1016), and no advice to keep one side of all of them (#1134)."""
    told = typed(project, "make update", status=1)
    listed = told.partition("Conflicts:\n\n")[2].partition("\n\n")[0].splitlines()
    places = [line.rpartition(": ")[::2] for line in listed]
    assert [hunk for _, hunk in places] == ["hunk 1", "hunk 1", "hunk 2", "hunk 3"]
    for place, hunk in places:
        found = re.fullmatch(r"- (\S+), line (\d+)", place)
        assert found
        line = read(project, found[1]).splitlines()[int(found[2]) - 1]
        assert line.removeprefix("# ") == f"<<<<<<< yours, {hunk}"
    assert "Often lines of both sides must stay" in told
    assert "make update TAKE=yours FILE=Makefile HUNK=1\n" in told
    assert "When all are settled: make update FINISH=1\n" in told


def test_hunks_in_one_file_lose_nothing(project: Path) -> None:
    """aegis-stack #772: git's exit code 2 meant two conflicts, and was taken for a failure."""
    typed(project, "make update", status=1)
    text = read(project, "README.md")
    for line in (
        *("## My two commands", "## My own data", "## The two commands"),
        *("## The data of your own", "## Where my things are"),
    ):
        assert text.count(f"{line}\n") == 1
    assert "My machine" in text and "Any machine" in text
    # The page's own commands keep yours, Slipway's and both, whatever the order.
    yours, slipway, both = commands("   make update TAKE=")
    typed(project, both)
    text = read(project, "README.md")
    assert "\n## My own data\n## The data of your own\n" in text
    assert "yours, hunk 2\nMy machine" in text
    typed(project, yours)
    assert "no conflict is left in it" in typed(project, slipway)
    text = read(project, "README.md")
    assert "## My two commands\n" in text and "## The two commands" not in text
    assert "Any machine" in text and "My machine" not in text
    assert "## Where my things are\n" in text and "<<<" not in text
    assert not git(project, "ls-files", "--unmerged", "README.md")
    (again,) = re.findall("`(git checkout --merge .* FILE)`", page())
    typed(project, again.replace("FILE", "README.md"))
    typed(project, slipway.replace("HUNK=2", "HUNK=1"))
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


def test_what_is_not_there_is_refused(project: Path) -> None:
    typed(project, "make update", status=1)
    before = state(project)
    for words, why in REFUSED.items():
        told = typed(project, f"make update {words}", status=1)
        assert why in told and "Nothing was changed." in told, words
        assert "Traceback" not in told
    assert state(project) == before


def test_a_conflicted_update_is_finished(project: Path) -> None:
    """It is locked, tested and recorded as one without conflicts is (aegis-stack #1018)."""
    typed(project, "make update", status=1)
    assert not (project.parent / "bin" / "tested").exists()
    settled(project)
    told = typed(project, "make update FINISH=1")
    assert (project.parent / "bin" / "tested").read_text() == "tested\n"
    assert "All of it is committed on main." in told
    subject, _, body = git(project, "log", "-1", "--format=%B").partition("\n\n")
    assert subject == TITLE and body.strip() in told
    assert git(project, "rev-parse", "HEAD~1") == git(project, "rev-parse", "main~1")
    assert not git(project, "status", "--porcelain", "--ignored").replace(
        "!! tools/__pycache__/\n", ""
    )
    assert "_commit: 1.1.0" in read(project, ANSWERS_FILE)
    assert "## My two commands" in read(project, "README.md")
    again = typed(project, "make update FINISH=1", status=1)
    assert "there is no update to finish" in again
    assert "Nothing to do" in typed(project, "make update")


def test_it_says_what_an_update_without_conflicts_says(
    project: Path, made: Path, tmp_path: Path
) -> None:
    plain = machine(
        Path(shutil.copytree(made / "project", tmp_path / "plain" / "project"))
    )
    git(plain, "reset", "--quiet", "--hard", "HEAD~5")
    typed(plain, "make update ARGS=--branch")
    typed(project, "make update ARGS=--branch", status=0)
    first = git(project, "log", "-1", "--format=%b")
    assert "not run, as there are conflicts" in first
    settled(project)
    typed(project, "make update FINISH=1")
    texts = [git(each, "log", "-1", "--format=%b") for each in (plain, project)]
    # What met nothing came in the one; in the other your sides were kept.
    kept = {"- changed: Makefile", "- changed: README.md"}
    lines = [[ln for ln in text.splitlines() if ln not in kept] for text in texts]
    assert lines[0] == lines[1]
    assert "What to do:" in texts[0] and "The tests: passed." in texts[0]


Change = Callable[[Path], object]


def half(project: Path) -> None:
    """Settle all but for one mark, as people do."""
    settled(project)
    text = read(project, "docs/guide.md")
    write(project, "docs/guide.md", f"{text}\n>>>>>>> Slipway 1.1.0, hunk 1\n")


def separator(project: Path) -> None:
    settled(project)
    write(project, "README.md", read(project, "README.md") + "\nEnd\n\n=======\n")


def unadded(project: Path) -> None:
    settled(project)
    typed(project, "git checkout --merge -- Makefile")
    write(project, "Makefile", git(project, "show", "HEAD:Makefile"))


def rejected(project: Path) -> None:
    settled(project)
    write(project, "docs/guide.md.rej", "Theirs.\n")


@pytest.mark.parametrize(
    ("leave", "why"),
    [
        (lambda p: None, r"- Makefile, line \d+: # <<<<<<< yours, hunk 1\n"),
        (lambda p: None, r"- README.md, line \d+: >>>>>>> Slipway 1.1.0, hunk 2\n"),
        (half, r"- docs/guide.md, line \d+: >>>>>>> Slipway 1.1.0, hunk 1\n"),
        (separator, r"- README.md, line \d+: =======\n"),
        (unadded, r"- Makefile: git has two versions .*git add Makefile"),
        (rejected, r"- docs/guide.md.rej: it holds a change .*rm docs/guide.md.rej"),
    ],
)
def test_what_is_left_is_named_and_nothing_happens(
    project: Path, leave: Change, why: str
) -> None:
    typed(project, "make update", status=1)
    leave(project)
    before = state(project)
    told = typed(project, "make update FINISH=1", status=1)
    assert re.search(why, told), told
    assert "settle these first, then again make update FINISH=1\n" in told
    assert state(project) == before
    assert not (project.parent / "bin" / "tested").exists()


def test_tests_that_fail_leave_it_unfinished(project: Path) -> None:
    typed(project, "make update", status=1)
    settled(project)
    head = git(project, "rev-parse", "HEAD")
    (project.parent / "bin" / "fails").touch()
    told = typed(project, "make update FINISH=1", status=1)
    assert "The tests: failed." in told and "Nothing is committed. Mend" in told
    assert git(project, "rev-parse", "HEAD") == head
    (project.parent / "bin" / "fails").unlink()
    typed(project, "make update FINISH=1")
    assert git(project, "rev-parse", "HEAD~1") == head


def test_a_commit_that_git_refuses_is_no_end(project: Path) -> None:
    """A hook of the owner's looks at what is committed, as at any commit of theirs."""
    typed(project, "make update", status=1)
    settled(project)
    hook = project / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\necho The hook says no. >&2\nexit 1\n")
    hook.chmod(0o755)
    told = typed(project, "make update FINISH=1", status=1)
    assert "The hook says no." in told and "git made no commit" in told
    hook.unlink()
    typed(project, "make update FINISH=1")
    assert not git(project, "status", "--porcelain")


def test_a_branch_with_conflicts_is_finished_on_the_branch(project: Path) -> None:
    main = git(project, "rev-parse", "main")
    typed(project, "make update ARGS=--branch")
    settled(project)
    told = typed(project, "make update FINISH=1")
    assert f"All of it is committed on {BRANCH}." in told
    subjects = git(project, "log", "--format=%s", f"main..{BRANCH}").splitlines()
    assert subjects == [f"Settle the conflicts of {TITLE}", TITLE]
    assert git(project, "rev-parse", "main") == main
    assert "What to do:" in git(project, "log", "-1", "--format=%b")
    assert "no update to finish" in typed(project, "make update FINISH=1", status=1)
    git(project, "switch", "--quiet", "main")
    assert "no update to finish" in typed(project, "make update FINISH=1", status=1)
    git(project, "merge", "--quiet", BRANCH)
    assert "no update to finish" in typed(project, "make update FINISH=1", status=1)


def test_marks_that_were_committed_are_named_too(project: Path) -> None:
    typed(project, "make update ARGS=--branch")
    told = typed(project, "make update FINISH=1", status=1)
    assert "- Makefile, line " in told and "hunk 2" in told
    settled(project)
    text = read(project, "README.md").replace(
        "## My own data", "## My own data\n======="
    )
    write(project, "README.md", text)
    told = typed(project, "make update FINISH=1", status=1)
    assert re.search(r"- README.md, line \d+: =======\n", told)


def test_conflicts_that_were_committed_by_hand_are_finished(project: Path) -> None:
    typed(project, "make update ARGS=--branch")
    settled(project)
    commit(project)
    told = typed(project, "make update FINISH=1")
    assert "The tests: passed." in told and "All of it is committed" in told
    assert git(project, "log", "-1", "--format=%s") == "mine\n"


def test_an_update_does_not_begin_over_marks_of_the_last_one(project: Path) -> None:
    typed(project, "make update ARGS=--branch")
    before = state(project)
    told = typed(project, "make update DATA=licence=Apache-2.0", status=1)
    assert "settle the conflicts in Makefile, README.md first, then make update" in told
    assert state(project) == before


@pytest.mark.parametrize("branch", ["", "ARGS=--branch"])
def test_edits_that_came_to_nothing_stay_named(project: Path, branch: str) -> None:
    """By a commit of its own name: at the end, HEAD is another one."""
    edit(project, "docs/leaving.md", "It leaves.", "It stays.")
    typed(project, f"make update {branch}", status=0 if branch else 1)
    settled(project)
    told = typed(project, "make update FINISH=1")
    way = re.search(
        r"- removed: docs/leaving.md, without edits of yours: (git .*)", told
    )
    assert way and "It stays." in typed(project, way[1])
    assert way[0] in git(project, "log", "-1", "--format=%b")


def test_files_whose_lines_end_otherwise_are_named(project: Path) -> None:
    text = read(project, "README.md").replace("\n", "\r\n")
    (project / "README.md").write_bytes(text.encode())
    git(project, "config", "core.autocrlf", "false")
    commit(project)
    told = typed(project, "make update", status=1)
    assert "- README.md: your lines end otherwise than Slipway's (CRLF and LF)." in told
    assert "- Makefile: your lines" not in told


def test_an_update_is_finished_on_a_branch_of_its_own(project: Path) -> None:
    main = git(project, "rev-parse", "main")
    typed(project, "make update", status=1)
    settled(project)
    git(project, "branch", BRANCH)
    told = typed(project, "make update FINISH=1 ARGS=--branch", status=1)
    assert f"there is a branch {BRANCH}" in told
    git(project, "branch", "--delete", BRANCH)
    typed(project, "make update FINISH=1 ARGS=--branch")
    assert git(project, "rev-parse", "main", f"{BRANCH}~1") == main * 2
    assert git(project, "log", "-1", "--format=%s") == f"{TITLE}\n"
    assert not git(project, "status", "--porcelain")


def test_an_answer_in_conflict_is_finished_too(project: Path) -> None:
    edit(project, "LICENSE", "MIT License", "My License")
    words = "licence=Apache-2.0 formatter=ruff"
    typed(project, f"make update DATA='{words}'", status=1)
    typed(project, "git checkout --theirs LICENSE && git add LICENSE")
    typed(project, "make update TAKE=slipway FILE=Makefile")
    typed(project, "make update FINISH=1")
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
    told = typed(service, f"make update {branch} || true")
    assert "- in conflict: README.md\n" in told or branch
    assert re.search(r"- README.md, line \d+: hunk 3\n", told)
    settled(service)
    assert "All of it is committed" in typed(service, "make update FINISH=1")
    assert git(whole, "log", "-1", "--format=%s").strip().endswith(TITLE)
    assert not git(whole, "status", "--porcelain")
    assert "no update to finish" in typed(service, "make update FINISH=1", status=1)


@pytest.mark.parametrize("nothing", ["fresh", "no repository", "no answers"])
def test_there_must_be_something_to_finish(project: Path, nothing: str) -> None:
    if nothing == "no repository":
        shutil.rmtree(project / ".git")
    if nothing == "no answers":
        (project / ANSWERS_FILE).unlink()
    told = typed(project, "make update FINISH=1", status=1)
    assert "there is no update to finish" in told and "Traceback" not in told


def test_the_first_commands_of_the_page(made: Path, tmp_path: Path) -> None:
    project = machine(Path(shutil.copytree(made / "project", tmp_path / "project")))
    git(project, "reset", "--quiet", "--hard", "HEAD~5")
    typed(project, page().partition("```sh\n")[2].partition("```")[0])
    subject = git(project, "log", "-1", "--format=%s", "update").strip()
    assert subject == "Update Slipway"
    assert "_commit: 1.1.0" in read(project, ANSWERS_FILE)
    assert not git(project, "status", "--porcelain")


def test_the_commands_of_the_table(made: Path, tmp_path: Path) -> None:
    table = page().partition("## ")[0]
    told = re.findall(r"^\| `(make .*)` \|", table, re.MULTILINE)
    assert len(told) == 7 and told[-1] == "make doctor"
    for number, command in enumerate(told):
        place = tmp_path / str(number) / "project"
        project = machine(Path(shutil.copytree(made / "project", place)))
        if "TAKE=" in command or "FINISH=" in command:
            typed(project, "make update ARGS=--branch")
        if "FINISH=" in command:
            settled(project)
        if "TAKE=" not in command and "FINISH=" not in command:
            git(project, "reset", "--quiet", "--hard", "HEAD~5")
        typed(project, command.replace("1.2.0", "1.1.0"))


def test_a_tool_in_conflict_is_settled_by_git(project: Path) -> None:
    edit(project, "tools/update.py", '"""Update the project', '"""My project')
    told = typed(project, "make update", status=1)
    assert "<<<<<<< yours, hunk 1" in read(project, "tools/update.py")
    (command,) = re.findall("`(git checkout --theirs .*?)`", page())
    assert f"- tools/update.py: first run {command}\n" in told
    typed(project, command)
    settled(project)
    typed(project, "make update FINISH=1")
    assert '"""Bring the project' in read(project, "tools/update.py")


# --- what older tools leave --------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "conversion"), [("\n", "false"), ("\r\n", "false"), ("\r\n", "true")]
)
@pytest.mark.parametrize("style", ["merge", "diff3", "zdiff3"])
def test_what_copier_alone_leaves_is_settled_and_finished(
    project: Path, style: str, lines: str, conversion: str
) -> None:
    """Its marks stand bare in the Makefile, so that make reads nothing: the page's commands need no make."""
    git(project, "config", "core.autocrlf", conversion)
    text = read(project, "README.md").replace("\n", lines)
    (project / "README.md").write_bytes(text.encode())
    git(project, "commit", "--quiet", "--all", "--allow-empty", "--message", "lines")
    git(project, "config", "merge.conflictStyle", style)
    copier = [sys.executable, "-W", "ignore", "-m", "copier", "update", "--defaults"]
    subprocess.run([*copier, "--quiet"], cwd=project, check=True)
    assert "<<<<<<< before updating" in read(project, "Makefile")
    take, finish = commands(
        "$(command -v uv || echo .tools/bin/uv) run tools/update.py --"
    )
    typed(project, take)
    count = read(project, "README.md").count("<<<<<<< before updating")
    for number in range(1, count + 1):
        words = take.replace("Makefile", "README.md").replace(
            "hunk 1", f"hunk {number}"
        )
        typed(project, words)
    after = read(project, "README.md")
    for mine in ("## My two commands", "## My own data", "## Where my things are"):
        assert after.count(mine + lines) == 1
    if lines != "\n":
        assert after == text
    assert "All of it is committed on main." in typed(project, finish)
    assert git(project, "log", "-1", "--format=%s") == f"{TITLE}\n"


def test_a_project_of_the_last_release_comes_along_by_its_own_tool(
    tmp_path: Path, default_gitconfig: object
) -> None:
    """v0.2.0's tool reads CHANGELOG.md alone; the tool that it brings finishes what it began."""
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
    told = update(project).stdout
    assert "What the changelog says:\n\n## " in told
    assert "\n### Upgrading\n\nDo this after the update:\n\n1. Settle" in told
    assert "\n## 0.3.0\n" in told
    assert "## 0.2.0" not in told and "first release" not in told
    machine(project)
    assert "<<<<<<< before updating" in read(project, "README.md")
    take, finish = commands(
        "$(command -v uv || echo .tools/bin/uv) run tools/update.py --"
    )
    for path in ("Makefile", "README.md"):
        text = read(project, path)
        for number in range(1, text.count("<<<<<<< before updating") + 1):
            words = take.replace("Makefile", path).replace("hunk 1", f"hunk {number}")
            typed(project, words.replace("yours", "slipway"))
    told = typed(project, finish)
    assert re.search(r"What to do:\n\n(.*\n)*?2\. Run `[\w-]+ sign`", told)
    assert "auth=jwt" not in told and "on other answers (" in told
    subject = git(project, "log", "-1", "--format=%s").strip()
    assert subject == "Slipway 0.2.0 → 99.0.0"
