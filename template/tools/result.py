"""What an update brought: lock it, test it, say what changed and what to do, and commit it."""

import os
import re
import shlex
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import changes
import conflicts
import doctor
from doctor import Origin, git

HERE = Path()
EXPORTED = "requirements.txt"
WITHOUT_MAKE = "$(command -v uv || echo .tools/bin/uv) run"


class RefusedError(Exception):
    """Why nothing was done, and what to do instead."""


@dataclass(frozen=True)
class Plan:
    """From which version and answers to which; the files that were edited, and what the template has then."""

    old: Origin
    new: Origin
    given: Mapping[str, str]
    edited: tuple[str, ...] = ()
    after: Mapping[str, bytes] = field(default_factory=dict)
    base: str = "HEAD"
    """The commit that it begins from."""

    @property
    def title(self) -> str:
        moved = self.old.version != self.new.version
        version = f"Slipway {self.old.version}" + (f" → {self.new.version}" if moved else "")
        return " with ".join([version, *([", ".join(self.words("="))] if self.given else [])])

    @property
    def branch(self) -> str:
        return "slipway/update-" + re.sub(r"[^\w.-]+", "-", "-".join([self.new.version, *self.words("-")]))

    def words(self, joint: str) -> list[str]:
        return [f"{name}{joint}{answer}" for name, answer in sorted(self.given.items())]


class Result(NamedTuple):
    """All there is to say of an update, whether its tests passed, and whether nothing is left to do."""

    text: str
    tested: bool
    well: bool


def typed(made: str, tool: str) -> str:
    """Return a command as it works now: make cannot read a Makefile with marks that are no comments."""
    makefile = HERE / "Makefile"
    bare = makefile.is_file() and re.search(rb"^(<{7}|>{7}) ", makefile.read_bytes(), re.MULTILINE)
    return f"{WITHOUT_MAKE} tools/update.py {tool}" if bare else f"make update {made}"


def finishing() -> str:
    """Return the command that finishes an update."""
    return typed("FINISH=1", "--finish")


def crossed(plan: Plan) -> list[changes.Change]:
    """Read the changes of the releases on the way."""
    if plan.old.version == plan.new.version:
        return []
    with TemporaryDirectory(prefix="slipway-") as folder:
        clone = ("clone", "--quiet", "--depth=1", "--branch", plan.new.version)
        try:
            git(HERE, *clone, "--", doctor.address(plan.new.source), folder)
        except OSError as error:
            raise RefusedError(f"the template cannot be reached: {error}") from None
        every = changes.read(Path(folder))
    return changes.between(every, plan.old.version, plan.new.version, doctor.number)


def looked_after(plan: Plan, news: Sequence[changes.Change]) -> Result:
    """Lock and test what came, and say what changed."""
    settled, tests = not any(doctor.unsettled(HERE)), "not run, as there are conflicts to settle first"
    if settled:
        print("Locking and testing …", flush=True)
        passed = locked() and uv("run", "--locked", "--quiet", "pytest", "--quiet")
        tests = "passed" if passed else "failed"
    found = doctor.examine(HERE)
    ails = [doctor.in_words(each) for each in found] or ["- Nothing to mend."]
    answers = {**plan.old.answers, **Origin.of(HERE).answers}
    place = f"{doctor.address(plan.new.source)}, {plan.new.version}"
    said = changes.report(news, answers, HERE, place)
    parts = [f"{said}\n"] if said else []
    parts += ["What came:\n", *came(plan)]
    parts += [] if settled else ["\nConflicts:\n", *to_settle()]
    parts += ["\nThe doctor says:\n", *ails, f"\nThe tests: {tests}."]
    healthy = not any(each.severity == "error" for each in found)
    return Result("\n".join(parts), tests == "passed", healthy and tests == "passed")


def came(plan: Plan) -> Iterator[str]:
    """Say which answers and files are not what they were, a line for each."""
    answers = Origin.of(HERE).answers
    for name in sorted({*answers, *plan.old.answers}):
        was, now = plan.old.answers.get(name, "(not asked)"), answers.get(name, "(not asked)")
        if was != now:
            yield f"- answer {name}: {was} → {now}"
    # Of a commit by its own name: HEAD is soon another one.
    base = git(HERE, "rev-parse", "--short", plan.base).strip()
    before = git(HERE, "ls-tree", "-r", "-z", "--name-only", base).split("\0")
    torn = unmerged()
    for path in touched(plan.base):
        content = (HERE / path).read_bytes() if (HERE / path).is_file() else None
        what = "removed" if content is None else "changed" if path in before else "added"
        what = "in conflict" if path in torn else what
        # Edits that Copier could not carry over must not vanish without a word.
        lost = path in plan.edited and content == plan.after.get(path)
        yield f"- {what}: {path}" + f", without edits of yours: git show {base}:./{path}" * lost


def touched(base: str) -> list[str]:
    """List the files that are not what they were in a commit, and those that are new."""
    changed = git(HERE, "diff", "--name-only", "--no-renames", "--relative", "-z", base)
    others = git(HERE, "ls-files", "--others", "--exclude-standard", "-z")
    return sorted({*filter(None, (changed + others).split("\0"))})


def unmerged() -> list[str]:
    """List the files of which git has two versions."""
    entries = git(HERE, "ls-files", "-z", "--unmerged").split("\0")
    return sorted({entry.partition("\t")[2] for entry in entries if entry})


def to_settle() -> Iterator[str]:
    """Say where there are conflicts, and how to settle them."""
    first: tuple[str, int] | None = None
    found = list(doctor.unsettled(HERE))
    # Else no command of these works.
    for path in [each.path for each in found if each.path.startswith("tools/")]:
        yield f"- {path}: first run git checkout --theirs {path} && git add {path}"
    for each in found:
        content = (HERE / each.path).read_bytes() if (HERE / each.path).is_file() else b""
        try:
            if conflicts.endings_differ(content):
                yield f"- {each.path}: your lines end otherwise than Slipway's (CRLF and LF). To have them"
                yield "  merged, go back, convert the file to LF, commit, and update again"
            torn = conflicts.hunks(content)
        except ValueError as error:
            yield f"- {each.path}, {error}"
            continue
        for hunk in torn:
            yield f"- {each.path}, line {hunk.start + 1}: hunk {hunk.number}"
            first = first or (shlex.quote(each.path), hunk.number)
    yield "\nOften lines of both sides must stay: edit the file, remove the marks, then git add it."
    if first:
        file, number = first
        keep = typed(f"TAKE=yours FILE={file} HUNK={number}", f"--take yours --file {file} --hunk {number}")
        yield f"To keep one side of a hunk: {keep}"
        yield "Instead of yours, slipway keeps the other side, both your lines and then Slipway's."
    yield f"When all are settled: {finishing()}"


def marks_left(base: str) -> Iterator[str]:
    """Name all that an update left to settle; marks with their lines."""
    marked = set()
    for path in touched(base):
        content = (HERE / path).read_bytes() if (HERE / path).is_file() else b""
        if not conflicts.left(content, b""):
            continue
        try:
            before = git(HERE, "show", f"{base}:./{path}").encode()
        except OSError:
            before = b""  # it is new
        for place, line in conflicts.left(content, before):
            marked.add(path)
            yield f"- {path}, line {place}: {line}"
    for each in doctor.unsettled(HERE):
        if each.path not in marked:
            yield f"- {each.path}: {each.message}. Fix: {each.cure}"


def uv(*arguments: str) -> bool:
    """Whether uv does that in the project's environment, not in that of this tool."""
    environment = {name: text for name, text in os.environ.items() if name != "VIRTUAL_ENV"}
    command = [doctor.uv() or "uv", *arguments]
    return not subprocess.run(command, check=False, cwd=HERE, env=environment).returncode


def locked() -> bool:
    """Lock what came, and export it again where it was exported: as `make lock`, but nothing newer."""
    options = ("--locked", "--no-emit-project", "--no-emit-index-url", "--output-file", EXPORTED)
    return uv("lock", "--quiet") and (not Path(EXPORTED).is_file() or uv("export", "--quiet", *options))


def switch(branch: str) -> None:
    """Go to a new branch, and leave all files as they are: git itself refuses where there are conflicts."""
    git(HERE, "branch", branch)
    git(HERE, "symbolic-ref", "HEAD", f"refs/heads/{branch}")


def commit(title: str, text: str, *options: str) -> bool:
    """Commit all that came; whether git does it. Where it does not, its own words say why."""
    git(HERE, "add", "--all", ".")
    command = ["git", "commit", "--quiet", "--cleanup=whitespace", "--message", title, "--message", text]
    return not subprocess.run([*command, *options], check=False, cwd=HERE).returncode
