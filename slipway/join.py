"""Bringing a repository that exists to Slipway: theirs stays, and ours lies beside it.

All is prepared in a worktree of its own and becomes one commit on a branch of its own, so
that a failure leaves nothing behind, and switching back undoes it.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway import advice, project
from slipway.git import git, listed
from slipway.refusal import Refusal

BRANCH = "slipway/join"
BESIDE = ".slipway"


@dataclass(frozen=True)
class Joined:
    """What was committed, and what its owner has to settle: a sentence for each path."""

    project: project.Project
    added: list[str]
    to_settle: dict[str, str]
    notes: list[str]


def join(path: str, source: str, ref: str, arguments: list[str]) -> Joined | None:
    """Ask, render, commit on a branch and switch to it; None when Copier was told to change nothing."""
    repository = _repository(path)
    with tempfile.TemporaryDirectory(prefix="slipway-join-") as scratch:
        quietly = ["--quiet", *arguments]
        ours = f"{scratch}/ours/{repository.name}"
        request = project.Request.checked(ours, source, ref, quietly)
        with project.rehearsed(request):
            made = project.make(request)
        if made is None:
            return None
        tree = Path(scratch, "tree")
        git(repository, "worktree", "add", "--quiet", "--detach", str(tree), "HEAD")
        try:
            added, to_settle = _lay(made.folder, repository, tree)
            notes = list(project.notes(request, made))
            joined = Joined(made, added, to_settle, notes)
            _commit(joined, tree)
        finally:
            git(repository, "worktree", "remove", "--force", str(tree))
    git(repository, "switch", "--quiet", "--no-overwrite-ignore", BRANCH)
    return joined


def _repository(path: str) -> Path:
    folder = Path(path).expanduser().resolve()
    if not folder.is_dir():
        raise Refusal(f"{path} is no folder. To make a new project: slipway new {path}")
    try:
        top = Path(git(folder, "rev-parse", "--show-toplevel").strip())
        git(folder, "rev-parse", "--verify", "HEAD")
    except Refusal as refusal:
        raise Refusal(
            f"{path} is no git repository with a commit, so nothing could be taken back: "
            "git init && git add --all && git commit --message Start"
        ) from refusal
    if top.resolve() != folder:
        raise Refusal(f"{path} lies inside the repository {top}. Join that.")
    if folder == project.CHECKOUT:
        raise Refusal(f"{path} is the template itself. Choose another repository.")
    if git(folder, "status", "--porcelain"):
        raise Refusal(
            f"{path} has changes that are not committed, which would be mixed with "
            "ours. Commit them, or put them away: git stash --include-untracked"
        )
    if (folder / project.ANSWERS_FILE).exists():
        raise Refusal(
            f"{path} follows a template already: {project.ANSWERS_FILE} says which. "
            "If it is this one: copier update"
        )
    if git(folder, "branch", "--list", BRANCH):
        raise Refusal(
            f"{path} has a branch {BRANCH} already. Merge it, or start again: "
            f"git branch --delete --force {BRANCH}"
        )
    return folder


def _lay(made: Path, repository: Path, tree: Path) -> tuple[list[str], dict[str, str]]:
    """Write our files where nothing is, and beside theirs where something is."""
    files = sorted(file for file in made.rglob("*") if file.is_file())
    ours = {file.relative_to(made).as_posix(): file for file in files}
    known = {path.casefold(): path for path in _paths(repository)}
    to_settle = advice.on_rivals(known.values(), ours)
    added: list[str] = []
    for path, file in ours.items():
        met = _met(path, repository, known)
        if met and _same(repository / path, file):
            continue
        place = f"{met}{BESIDE}{path.removeprefix(met)}" if met else path
        if met and _met(place, repository, known):
            raise Refusal(f"{place} is there already: rename it, and join again.")
        (tree / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, tree / place)
        added.append(place)
        if met:
            to_settle[met] = advice.on_collision(path, met)
    to_settle |= advice.on_ignored(set(added) & ours.keys(), repository)
    return added, dict(sorted(to_settle.items()))


def _same(theirs: Path, ours: Path) -> bool:
    """Whether a file of theirs is ours to the letter."""
    plain = theirs.is_file() and not theirs.is_symlink()
    return plain and theirs.read_bytes() == ours.read_bytes()


def _paths(repository: Path) -> Iterator[str]:
    """All that is tracked, and the folders that hold it."""
    for path in listed(git(repository, "ls-files", "-z")):
        yield path
        yield from (parent.as_posix() for parent in Path(path).parents)


def _met(path: str, repository: Path, known: dict[str, str]) -> str:
    """The first part of a path where something else is; empty where the way is free."""
    parts = path.split("/")
    for number in range(1, len(parts) + 1):
        part = "/".join(parts[:number])
        there = repository / part
        folder = there.is_dir() and not there.is_symlink()
        if folder and number < len(parts):
            continue
        # What git ignores is theirs too; and names that differ in case alone are one
        # name on some machines.
        if (
            there.exists()
            or there.is_symlink()
            or known.get(part.casefold(), part) != part
        ):
            return part
    return ""


def _commit(joined: Joined, tree: Path) -> None:
    git(tree, "add", "--force", "--", *joined.added)
    told = "\n".join(f"{path}: {what}" for path, what in joined.to_settle.items())
    message = f"Join Slipway {joined.project.commit}".rstrip()
    body = ["--message", f"To settle:\n\n{told}"] if told else []
    # Their hooks judge what is settled, not what lies side by side.
    git(tree, "commit", "--quiet", "--no-verify", "--message", message, *body)
    git(tree, "branch", BRANCH)
