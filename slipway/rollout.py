"""Updating a fleet: a branch in each repository, in waves, and nobody's main branch."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from slipway.adoption import uv
from slipway.doctor import Origin, doctor, origin, published
from slipway.fleet import behind, clone, in_words
from slipway.git import environment, git, listed
from slipway.project import ANSWERS_FILE
from slipway.refusal import Refusal
from slipway.tools import tool

Outcome = Literal["updated", "current", "waiting", "conflict", "failed", "held back"]
CLEAN = {"updated", "current", "waiting"}


@dataclass(frozen=True)
class Update:
    """What became of a repository."""

    repository: str
    outcome: Outcome
    said: str = ""
    version: str = ""
    newest: str = ""
    branch: str = ""
    conflicts: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    answers: Mapping[str, Any] = field(default_factory=dict)
    changes: str = ""
    """What the update changes for this project, as `make update` says it."""


@dataclass(frozen=True)
class Order:
    """How all of them are updated."""

    trust: bool = False
    source: str = ""
    """Another template that the projects move to, such as a fork of theirs."""


def roll_out(repositories: list[str], order: Order, wave: int) -> Iterator[Update]:
    """Update wave by wave; one that is not clean is the last."""
    size = wave or len(repositories)
    clean = True
    for start in range(0, len(repositories), size):
        for repository in repositories[start : start + size]:
            if start and not clean:
                yield Update(repository, "held back", "an earlier wave is not clean")
                continue
            done = update(repository, order)
            clean = clean and done.outcome in CLEAN
            yield done


def update(repository: str, order: Order) -> Update:
    """Push a branch that holds the update; whatever is wrong is told, and stops nothing."""
    try:
        with clone(repository) as folder:
            return _updated(repository, folder, order)
    except Exception as error:  # noqa: BLE001
        # The others are updated all the same.
        return Update(repository, "failed", in_words(error))


def _updated(repository: str, folder: Path, order: Order) -> Update:
    follows = origin(folder)
    source = order.source or follows.source
    known = published(source)
    moves = source != follows.source
    newest = known[-1]
    done = Update(repository, "current", version=follows.version, newest=newest)
    if not behind(follows, known) and not moves:
        return done
    branch = f"slipway/update-{newest}"
    if git(folder, "ls-remote", "--heads", "origin", f"refs/heads/{branch}"):
        told = "the branch is there already: merge it, or delete it to start again"
        return replace(done, outcome="waiting", said=told, branch=branch)
    git(folder, "switch", "--quiet", "--create", branch)
    if moves:
        _move(folder, follows.source, source)
    _copier(folder, order.trust)
    conflicts = _conflicts(folder)
    tool("conflicts").name_sides(folder, conflicts, newest)
    told = "" if conflicts else _lock(folder)
    git(folder, "add", "--all")
    gone = listed(
        git(folder, "diff", "--cached", "-z", "--name-only", "--diff-filter=D")
    )
    settled = _settled_anew(follows.answers, origin(folder).answers)
    done = replace(
        done,
        outcome="conflict" if conflicts else "updated",
        said=told,
        branch=branch,
        conflicts=tuple(conflicts),
        removed=tuple(gone),
        answers=settled,
        changes=_changes(folder, source, follows, newest),
    )
    git(folder, "commit", "--quiet", "--no-verify", "--message", _message(done))
    git(folder, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
    return done


def _move(folder: Path, old: str, new: str) -> None:
    """Follow another template. It must hold the release that the project follows."""
    file = folder / ANSWERS_FILE
    lines = file.read_text("utf-8").splitlines(keepends=True)
    moved = [
        f"_src_path: {new}\n" if ln.startswith("_src_path:") else ln for ln in lines
    ]
    file.write_text("".join(moved), "utf-8")
    git(folder, "add", ANSWERS_FILE)
    message = f"Follow {new} instead of {old}"
    git(folder, "commit", "--quiet", "--no-verify", "--message", message)


def _copier(folder: Path, trust: bool) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "copier", "update", "--defaults"]
    command += ["--quiet", *(["--trust"] if trust else [])]
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        said = done.stderr.strip().splitlines() or ["it did not say why"]
        trusted = "" if trust else " (--trust lets migrations run)"
        unsafe = "unsafe" in done.stderr
        raise Refusal(f"Copier: {said[-1]}{trusted if unsafe else ''}")


def _conflicts(folder: Path) -> list[str]:
    """Files that need a person: judged by what is there, for Copier succeeds with them."""
    entries = listed(git(folder, "ls-files", "-z", "--unmerged"))
    unmerged = {entry.partition("\t")[2] for entry in entries}
    others = git(folder, "ls-files", "-z", "--others", "--", "*.rej")
    return sorted(unmerged | set(listed(others)))


def _lock(folder: Path) -> str:
    """Bring a lock that is kept up to date; why that could not be done."""
    if not git(folder, "ls-files", "uv.lock"):
        return ""
    if not git(folder, "status", "--porcelain", "pyproject.toml"):
        return ""
    done = subprocess.run(
        [uv(), "lock", "--quiet"],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    why = done.stderr.strip().splitlines()
    return (
        f"uv.lock is old: {why[-1] if why else 'uv failed'}" if done.returncode else ""
    )


def _changes(folder: Path, source: str, follows: Origin, newest: str) -> str:
    """What the releases on the way change under the answers of a project."""
    known, number = tool("changes"), doctor().number
    crossed = known.between(_entries(source, newest), follows.version, newest, number)
    answers = {**follows.answers, **origin(folder).answers}
    place = f"{doctor().address(source)}, {newest}"
    return str(known.report(crossed, answers, folder, place))


@cache
def _entries(source: str, version: str) -> list[Any]:
    """The entries of all releases of a template, which a whole fleet follows."""
    with tempfile.TemporaryDirectory(prefix="slipway-fleet-") as scratch:
        options = ("--quiet", "--depth=1", "--branch", version, "--")
        git(Path(scratch), "clone", *options, doctor().address(source), "template")
        return list(tool("changes").read(Path(scratch, "template")))


def _settled_anew(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Answers that are no longer what they were."""
    return {name: new.get(name) for name in old if new.get(name) != old[name]}


def _message(done: Update) -> str:
    """What the branch says of itself."""
    parts = [f"Update the template from {done.version} to {done.newest}"]
    lists: dict[str, tuple[str, ...]] = {
        "Conflicts, where both sides changed the same lines": done.conflicts,
        "Removed": done.removed,
        "Answers that are new": tuple(f"{n}: {a}" for n, a in done.answers.items()),
    }
    for title, lines in lists.items():
        if lines:
            parts.append("\n".join([f"{title}:", *(f"- {line}" for line in lines)]))
    parts += [done.changes] if done.changes else []
    if done.conflicts:
        parts.append("When the conflicts are settled: make update FINISH=1")
    return "\n\n".join(parts)
