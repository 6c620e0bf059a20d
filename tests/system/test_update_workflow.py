"""The update workflow's job: on a bare remote, with a program in the place of GitHub's own."""

import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from tests import quick
from tests.releases import Follower, Template, git

from .workflow_file import read_jobs
from .workflow_runner import Machine, run_job

light, python, tmp_path = quick.light, quick.python, quick.tmp_path
WORKFLOW = ".github/workflows/update.yml"
BRANCH = "slipway/update-1.1.0"
# It writes down what it is asked and with which token, and tells what the test says.
GH = """#!/bin/sh
echo "$GH_TOKEN: $*" >> {folder}/calls
case "$1 $2" in
"pr list") cat {folder}/state ;;
"pr create" | "pr edit") for last; do :; done; cp "$last" {folder}/body ;;
esac
"""
# The tool runs in this environment, and the project's tests take no minutes.
QUICK_UV = """#!/bin/sh
case "$*" in
"run --quiet tools/"*) shift 2; UV="$0" exec {python} "$@" ;;
"run --locked"*) exit 0 ;;
esac
exec {uv} "$@"
"""


@dataclass
class Remote:
    """A project's bare repository, and what is known of its pull requests."""

    folder: Path
    machine: Machine
    runs: int = 0

    def run(self, **settings: str) -> str:
        """The workflow as it stands on main: the output of its jobs."""
        self.runs += 1
        clone = self.clone()
        machine = replace(self.machine, settings=settings)
        scratch = self.folder / f"run-{self.runs}"
        output = ""
        for job in read_jobs(clone / WORKFLOW).values():
            done = run_job(job, self.repository, scratch, machine)
            output += f"{job.name}: skipped\n" if done.skipped else done.output
            assert done.failed is None, output
        return output

    @property
    def repository(self) -> Path:
        return self.folder / "remote.git"

    def clone(self) -> Path:
        """What somebody works in."""
        clone = self.folder / f"clone-{len(list(self.folder.glob('clone-*')))}"
        git(self.folder, "clone", "--quiet", str(self.repository), str(clone))
        return clone

    def push(self, branch: str, path: str, text: str) -> None:
        """Somebody's work on a branch."""
        clone = self.clone()
        git(clone, "switch", "--quiet", branch)
        (clone / path).write_text(text, "utf-8")
        git(clone, "add", "--all")
        git(clone, "commit", "--quiet", "--message", "Mine")
        git(clone, "push", "--quiet")

    def tip(self, branch: str) -> str:
        return git(self.repository, "for-each-ref", f"refs/heads/{branch}").split()[0]

    def branches(self) -> list[str]:
        form = "--format=%(refname:short)"
        return git(self.repository, "for-each-ref", form, "refs/heads").split()

    def calls(self) -> list[str]:
        """What GitHub's program was asked since the last look."""
        file = self.folder / "calls"
        lines = file.read_text("utf-8").splitlines() if file.exists() else []
        file.unlink(missing_ok=True)
        return lines

    def say(self, state: str) -> None:
        """There is a pull request of the branch, which is open or was closed."""
        (self.folder / "state").write_text(f"{state}\n" if state else "")

    @property
    def body(self) -> str:
        return (self.folder / "body").read_text("utf-8")


def tool(file: Path, script: str) -> Path:
    file.parent.mkdir(exist_ok=True)
    file.write_text(script, "utf-8")
    file.chmod(0o755)
    return file


@pytest.fixture(scope="module")
def made(default_gitconfig: object) -> Iterator[Path]:
    """A template with a second release, and the bare repository of a project of the first."""
    with quick.folder() as folder:
        template = Template(Path(folder, "template"))
        template.keep("Makefile", "README.md", "docs/", "tools/", WORKFLOW)
        yield proposed(template)


def proposed(template: Template) -> Path:
    """Release it twice, and make a project of the first."""
    folder = template.folder.parent
    template.release("1.0.0")
    project = Follower(template, folder / "project", preset="starter")
    subprocess.run(["uv", "lock", "--quiet"], cwd=project.folder, check=True)
    project.commit("locked")
    git(folder, "clone", "--quiet", "--bare", "project", "remote.git")
    template.write("docs/changes/1.1.0.yml", "upgrading: [{text: A new heading.}]")
    template.replace("template/docs/guide.md.jinja", "# Guide\n", "# The guide\n")
    (template.folder / "template" / "docs" / "new.md").write_text("New.\n")
    template.release("1.1.0")
    return folder


@pytest.fixture
def uv() -> Path:
    found = shutil.which("uv")
    if found is None:
        pytest.skip("no uv on PATH: pip install uv")
    return Path(found)


@pytest.fixture
def remote(made: Path, uv: Path, tmp_path: Path) -> Remote:
    return hosted(made, uv, tmp_path)


def hosted(made: Path, uv: Path, tmp_path: Path) -> Remote:
    """The project's repository, on a machine of its own."""
    tmp_path.mkdir(exist_ok=True)
    shutil.copytree(made / "remote.git", tmp_path / "remote.git")
    tool(tmp_path / "tools" / "gh", GH.format(folder=tmp_path))
    script = QUICK_UV.format(python=sys.executable, uv=uv)
    cache = subprocess.check_output([uv, "cache", "dir"], text=True).strip()
    machine = Machine(
        uv=tool(tmp_path / "quick" / "uv", script),
        uv_cache=Path(cache),
        tools=[tmp_path / "tools"],
    )
    found = Remote(tmp_path, machine)
    found.say("")
    return found


@pytest.mark.prove(
    "it installs a project and runs its tests; each run has the same job without them, and projects' tests elsewhere"
)
def test_all_of_it_for_real(uv: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    """With a whole project and its own tests, run by the uv that the runner has."""
    # On the disk, where uv links what it installs.
    folder = tmp_path_factory.mktemp("whole")
    made = proposed(Template(folder / "template"))
    remote = hosted(made, uv, folder / "machine")
    remote.machine = replace(remote.machine, uv=uv)
    main = remote.tip("main")
    done = remote.run()
    assert "The tests: passed." in done, done
    assert remote.branches() == ["main", BRANCH]
    assert remote.tip("main") == main
    shown = git(remote.repository, "show", "--stat", "--format=%ce", BRANCH)
    assert shown.startswith("41898282+github-actions[bot]@users.noreply.github.com\n")
    assert "docs/new.md" in shown and "docs/guide.md" in shown
    asked = "the-run's-own: pr create"
    title = "--title Slipway 1.0.0 → 1.1.0"
    (create,) = [call for call in remote.calls() if "pr create" in call]
    assert create.startswith(f"{asked} --head {BRANCH} {title} --body-file ")
    for told in ("- added: docs/new.md", "- Nothing to mend.", "- A new heading."):
        assert told in remote.body


def test_an_update_is_proposed(remote: Remote) -> None:
    main = remote.tip("main")
    remote.run()
    assert remote.branches() == ["main", BRANCH]
    assert remote.tip("main") == main
    (create,) = [call for call in remote.calls() if "pr create" in call]
    assert create.startswith(f"the-run's-own: pr create --head {BRANCH} --title ")
    for told in ("- added: docs/new.md", "- Nothing to mend.", "- A new heading."):
        assert told in remote.body
    assert remote.body.startswith("What behaves differently:\n\n- A new heading.\n")


def test_a_conflict_comes_with_its_marks(remote: Remote) -> None:
    remote.push("main", "docs/guide.md", "# My guide\n")
    remote.run(UPDATE_TOKEN="secret")
    text = git(remote.repository, "show", f"{BRANCH}:docs/guide.md")
    assert "<<<<<<< yours, hunk 1\n# My guide\n" in text
    assert "- docs/guide.md, line 1: hunk 1\n" in remote.body
    assert "make update FINISH=1" in remote.body
    assert "(conflict-marker, error)" in remote.body
    assert all(call.startswith("secret: ") for call in remote.calls())


def test_at_the_newest_release_nothing_happens(remote: Remote) -> None:
    clone = remote.clone()
    text = (clone / ".copier-answers.yml").read_text("utf-8")
    remote.push(
        "main",
        ".copier-answers.yml",
        text.replace("_commit: 1.0.0", "_commit: 1.1.0"),
    )
    said = remote.run()
    assert "Nothing to do" in said and said.endswith("propose: skipped\n")
    assert (remote.branches(), remote.calls()) == (["main"], [])


def test_what_is_proposed_already_is_not_pushed_again(remote: Remote) -> None:
    remote.run()
    before = remote.tip(BRANCH)
    remote.say("OPEN")
    remote.calls()
    remote.run()
    assert remote.tip(BRANCH) == before
    assert [call.split()[1:3] for call in remote.calls()][-1] == ["pr", "edit"]


def test_a_branch_follows_main(remote: Remote) -> None:
    remote.run()
    remote.push("main", "mine.txt", "Mine.\n")
    remote.say("OPEN")
    remote.calls()
    remote.run()
    assert git(remote.repository, "show", f"{BRANCH}:mine.txt") == "Mine.\n"
    assert git(remote.repository, "rev-parse", f"{BRANCH}~1").strip() == remote.tip(
        "main"
    )
    assert not [call for call in remote.calls() if "pr create" in call]


def settled(remote: Remote) -> None:
    remote.push(BRANCH, "docs/guide.md", "# Settled\n")


def closed(remote: Remote) -> None:
    remote.push("main", "mine.txt", "Mine.\n")
    remote.say("CLOSED")


@pytest.mark.parametrize("act", [settled, closed])
def test_what_somebody_did_about_it_stays(
    remote: Remote, act: Callable[[Remote], None]
) -> None:
    remote.run()
    remote.say("OPEN")
    act(remote)
    before = remote.tip(BRANCH)
    remote.calls()
    remote.run()
    assert remote.tip(BRANCH) == before
    asked = {call.split()[2] for call in remote.calls()}
    assert asked <= {"setup-git", "list"}


def test_code_of_the_project_does_not_see_the_token(remote: Remote) -> None:
    """It runs as the job that tests the update; what it leaves there must not run where the token is."""
    seen = remote.folder / "seen"
    plant = "\n".join(
        f"\tprintf '%s\\n' '#!/bin/sh' 'env >> {seen}' > .git/hooks/{hook}; chmod +x .git/hooks/{hook}"
        for hook in ("pre-push", "post-checkout", "reference-transaction")
    )
    clone = remote.clone()
    makefile = (clone / "Makefile").read_text("utf-8")
    remote.push("main", "Makefile", f"{makefile}\nupdate: planted\nplanted:\n{plant}\n")
    remote.run(UPDATE_TOKEN="secret")
    assert remote.branches() == ["main", BRANCH]
    assert any(call.startswith("secret: ") for call in remote.calls())
    text = seen.read_text("utf-8")
    assert "GITHUB_ACTIONS=true" in text, "a hook ran"
    assert "secret" not in text


def test_a_branch_that_is_no_update_is_not_pushed(remote: Remote) -> None:
    clone = remote.clone()
    bundle = remote.folder / "run-1" / "artifacts" / "update" / "update.bundle"
    bundle.parent.mkdir(parents=True)
    git(clone, "switch", "--quiet", "--create", "main-two")
    (clone / "mine.txt").write_text("Mine.\n")
    git(clone, "add", "--all")
    git(clone, "commit", "--quiet", "--message", "Mine")
    git(clone, "bundle", "create", "--quiet", str(bundle), "main-two^..main-two")
    outputs = remote.folder / "run-1" / "prepare.outputs"
    outputs.write_text('{"branch": "main-two"}')
    job = read_jobs(clone / WORKFLOW)["propose"]
    done = run_job(job, remote.repository, remote.folder / "run-1", remote.machine)
    assert done.failed is not None
    assert "Not an update: main-two" in done.output
    assert remote.branches() == ["main"]


@pytest.mark.parametrize("lost", ["before it is kept", "before it is pushed"])
def test_a_branch_that_gets_lost_fails_the_run(remote: Remote, lost: str) -> None:
    """There is an update, so that a run that proposes nothing must not pass."""
    clone = remote.clone()
    prepare, propose = read_jobs(clone / WORKFLOW).values()
    scratch = remote.folder / "run-1"
    if lost == "before it is kept":
        # As GitHub's action does with `if-no-files-found: error`.
        spoilt = 'true; git() { [ "$1" = bundle ] || command git "$@"; }\n'
        steps = tuple(
            replace(s, run=spoilt + s.run) if s.id == "pack" else s
            for s in prepare.steps
        )
        prepare = replace(prepare, steps=steps)
        with pytest.raises(FileNotFoundError):
            run_job(prepare, remote.repository, scratch, remote.machine)
        return
    assert run_job(prepare, remote.repository, scratch, remote.machine).failed is None
    shutil.rmtree(scratch / "artifacts")
    with pytest.raises(FileNotFoundError):
        run_job(propose, remote.repository, scratch, remote.machine)
    assert remote.branches() == ["main"]
