"""Bring an existing repository to Slipway without changing its files: Slipway's conflicting files get a suffix.

The files are prepared in a temporary worktree and become one commit on a new branch. So a
failure leaves nothing behind, and switching back undoes the join.
"""

import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from slipway import advice
from slipway.errors import UserError
from slipway.git import git, split_paths
from slipway.project import (
    ANSWERS_FILE,
    CHECKOUT,
    Project,
    Request,
    create,
    dry_run,
    update_notes,
)

BRANCH = "slipway/join"
SUFFIX = ".slipway"
"""Ends the name of a file of Slipway's where the repository has a file of the same name."""


@dataclass(frozen=True)
class JoinResult:
    """The committed files, and what the owner must resolve."""

    project: Project
    added: list[str]
    to_resolve: dict[str, str]
    """Advice by path."""
    notes: list[str]


def join_repository(
    path: str, source: str, ref: str, arguments: list[str]
) -> JoinResult | None:
    """Ask the questions, commit the project on a branch and switch to it; return None if Copier only pretends."""
    repository = _validate_repository(path)
    with tempfile.TemporaryDirectory(prefix="slipway-join-") as scratch:
        # Copier derives the default project name from the folder's name.
        dest = f"{scratch}/project/{repository.name}"
        request = Request.parse(dest, source, ref, ["--quiet", *arguments])
        with dry_run(request):
            project = create(request)
        if project is None:
            return None
        worktree = Path(scratch, "worktree")
        git(repository, "worktree", "add", "--quiet", "--detach", str(worktree), "HEAD")
        try:
            added, to_resolve = _copy_files(project.folder, repository, worktree)
            notes = list(update_notes(request, project))
            result = JoinResult(project, added, to_resolve, notes)
            _commit(result, worktree)
        finally:
            git(repository, "worktree", "remove", "--force", str(worktree))
    git(repository, "switch", "--quiet", "--no-overwrite-ignore", BRANCH)
    return result


def _validate_repository(path: str) -> Path:
    folder = Path(path).expanduser().resolve()
    if not folder.is_dir():
        raise UserError(
            f"{path} is not a folder. To create a project there: slipway new {path}"
        )
    try:
        top = Path(git(folder, "rev-parse", "--show-toplevel").strip())
        git(folder, "rev-parse", "--verify", "HEAD")
    except UserError as error:
        raise UserError(
            f"{path} is not a git repository with a commit, so the join could not be "
            "undone. Run: git init && git add --all && git commit --message Start"
        ) from error
    if top.resolve() != folder:
        raise UserError(f"{path} is inside the repository {top}. Join that instead.")
    if folder == CHECKOUT:
        raise UserError(f"{path} is the template itself. Choose another repository.")
    if git(folder, "status", "--porcelain"):
        raise UserError(
            f"{path} has uncommitted changes, which would mix with Slipway's files. "
            "Commit them, or run: git stash --include-untracked"
        )
    if (folder / ANSWERS_FILE).exists():
        raise UserError(
            f"{path} already follows a template, which {ANSWERS_FILE} names. "
            "If it is this one, run: copier update"
        )
    if git(folder, "branch", "--list", BRANCH):
        raise UserError(
            f"{path} already has a branch {BRANCH}. Merge it, or delete it to start "
            f"again: git branch --delete --force {BRANCH}"
        )
    return folder


def _copy_files(
    project: Path, repository: Path, worktree: Path
) -> tuple[list[str], dict[str, str]]:
    """Copy the project's files into the worktree, with a suffix where something exists.

    Return the paths of the copies, and the advice for the owner by path.
    """
    files = sorted(file for file in project.rglob("*") if file.is_file())
    slipway_files = {file.relative_to(project).as_posix(): file for file in files}
    # File systems that ignore case would merge two names that differ in case alone.
    their_paths = {path.casefold(): path for path in _tracked_paths(repository)}
    to_resolve = advice.for_rivals(their_paths.values(), slipway_files)
    added: list[str] = []
    for path, file in slipway_files.items():
        blocker = _find_blocker(path, repository, their_paths)
        if not blocker:
            target = path
        elif _is_same_file(repository / path, file):
            continue
        else:
            target = f"{blocker}{SUFFIX}{path.removeprefix(blocker)}"
            if _find_blocker(target, repository, their_paths):
                raise UserError(
                    f"{target} exists already. Rename it, and run the command again."
                )
            to_resolve[blocker] = advice.for_collision(path, blocker)
        (worktree / target).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, worktree / target)
        added.append(target)
    unchanged_paths = set(added) & slipway_files.keys()
    to_resolve |= advice.for_ignored(unchanged_paths, repository)
    return added, dict(sorted(to_resolve.items()))


def _is_same_file(theirs: Path, slipways: Path) -> bool:
    """Return whether their path is a regular file with the same content."""
    regular = theirs.is_file() and not theirs.is_symlink()
    return regular and theirs.read_bytes() == slipways.read_bytes()


def _tracked_paths(repository: Path) -> Iterator[str]:
    """Yield the tracked files and their folders."""
    for path in split_paths(git(repository, "ls-files", "-z")):
        yield path
        yield from (parent.as_posix() for parent in Path(path).parents)


def _find_blocker(path: str, repository: Path, their_paths: dict[str, str]) -> str:
    """Return the first part of a path where something else exists; empty if the path is free."""
    parts = path.split("/")
    for number in range(1, len(parts) + 1):
        part = "/".join(parts[:number])
        existing = repository / part
        is_folder = existing.is_dir() and not existing.is_symlink()
        if is_folder and number < len(parts):
            continue
        # Look at the files themselves too: git does not list what it ignores.
        exists = existing.exists() or existing.is_symlink()
        differs_in_case = their_paths.get(part.casefold(), part) != part
        if exists or differs_in_case:
            return part
    return ""


def _commit(result: JoinResult, worktree: Path) -> None:
    git(worktree, "add", "--force", "--", *result.added)
    message = f"Join Slipway {result.project.commit}".rstrip()
    body = []
    if result.to_resolve:
        lines = "\n".join(f"{path}: {what}" for path, what in result.to_resolve.items())
        body = ["--message", f"To resolve:\n\n{lines}"]
    # The repository's hooks would reject conflicting files that are not resolved yet.
    git(worktree, "commit", "--quiet", "--no-verify", "--message", message, *body)
    git(worktree, "branch", BRANCH)
