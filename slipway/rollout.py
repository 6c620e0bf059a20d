"""Update a fleet in waves: push a branch to each repository, and change no other branch."""

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from typing import Any, Literal

from slipway.adoption import find_uv
from slipway.doctor import Origin, fetch_releases, load_doctor, read_origin
from slipway.errors import UserError
from slipway.fleet import count_behind, describe_error, temporary_clone
from slipway.git import git, git_environment, split_paths
from slipway.project import ANSWERS_FILE
from slipway.tools import load_tool

Outcome = Literal["updated", "current", "waiting", "conflict", "failed", "held back"]
CLEAN = {"updated", "current", "waiting"}


@dataclass(frozen=True)
class UpdateResult:
    """The outcome of updating a repository. The fields are the keys of `slipway fleet --update --json`."""

    repository: str
    outcome: Outcome
    said: str = ""
    """The reason for the outcome, where there is one."""
    version: str = ""
    newest: str = ""
    branch: str = ""
    conflicts: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    answers: Mapping[str, Any] = field(default_factory=dict)
    """The answers that changed."""
    changes: str = ""
    """The report of `make update` on what changes for this project."""


@dataclass(frozen=True)
class UpdateOptions:
    """The options that apply to every repository."""

    trust: bool = False
    """Whether migrations of the template may run."""
    source: str = ""
    """Another template for the projects to follow, such as their fork; empty to keep theirs."""


def roll_out(
    repositories: list[str], options: UpdateOptions, wave_size: int
) -> Iterator[UpdateResult]:
    """Update wave by wave. After a conflict or a failure, finish the first wave, but start nothing of a later one."""
    size = wave_size or len(repositories)
    clean = True
    for start in range(0, len(repositories), size):
        for repository in repositories[start : start + size]:
            if start and not clean:
                reason = "an earlier update had a conflict or failed"
                yield UpdateResult(repository, "held back", reason)
                continue
            result = update_repository(repository, options)
            clean = clean and result.outcome in CLEAN
            yield result


def update_repository(repository: str, options: UpdateOptions) -> UpdateResult:
    """Push a branch with the update. Any error becomes the result, so that the others are updated."""
    try:
        with temporary_clone(repository) as folder:
            return _update_clone(repository, folder, options)
    except Exception as error:  # noqa: BLE001
        return UpdateResult(repository, "failed", describe_error(error))


def _update_clone(
    repository: str, folder: Path, options: UpdateOptions
) -> UpdateResult:
    origin = read_origin(folder)
    source = options.source or origin.source
    releases = fetch_releases(source)
    newest = releases[-1]
    moves = source != origin.source
    result = UpdateResult(repository, "current", version=origin.version, newest=newest)
    if not count_behind(origin, releases) and not moves:
        return result
    branch = f"slipway/update-{newest}"
    if git(folder, "ls-remote", "--heads", "origin", f"refs/heads/{branch}"):
        reason = "the branch exists already: merge it, or delete it to start again"
        return replace(result, outcome="waiting", said=reason, branch=branch)
    git(folder, "switch", "--quiet", "--create", branch)
    if moves:
        _follow_other_template(folder, origin.source, source)
    _run_copier(folder, options.trust)
    conflicts = _find_conflicts(folder)
    load_tool("conflicts").name_sides(folder, conflicts, newest)
    lock_failure = "" if conflicts else _refresh_lock(folder)
    git(folder, "add", "--all")
    deleted = git(folder, "diff", "--cached", "-z", "--name-only", "--diff-filter=D")
    result = replace(
        result,
        outcome="conflict" if conflicts else "updated",
        said=lock_failure,
        branch=branch,
        conflicts=tuple(conflicts),
        removed=tuple(split_paths(deleted)),
        answers=_changed_answers(origin.answers, read_origin(folder).answers),
        changes=_report_changes(folder, source, origin, newest),
    )
    message = _commit_message(result)
    git(folder, "commit", "--quiet", "--no-verify", "--message", message)
    git(folder, "push", "--quiet", "origin", f"HEAD:refs/heads/{branch}")
    return result


def _follow_other_template(folder: Path, old: str, new: str) -> None:
    """Commit another template as the project's source. It must have the release that the project follows."""
    file = folder / ANSWERS_FILE
    lines = file.read_text("utf-8").splitlines(keepends=True)
    for number, line in enumerate(lines):
        if line.startswith("_src_path:"):
            lines[number] = f"_src_path: {new}\n"
    file.write_text("".join(lines), "utf-8")
    git(folder, "add", ANSWERS_FILE)
    message = f"Follow {new} instead of {old}"
    git(folder, "commit", "--quiet", "--no-verify", "--message", message)


def _run_copier(folder: Path, trust: bool) -> None:
    command = [sys.executable, "-W", "ignore", "-m", "copier", "update", "--defaults"]
    command.append("--quiet")
    if trust:
        command.append("--trust")
    done = subprocess.run(
        command,
        check=False,
        cwd=folder,
        env=git_environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no error message"])[-1]
        if "unsafe" in done.stderr and not trust:
            reason += " (pass --trust to let migrations run)"
        raise UserError(f"Copier: {reason}")


def _find_conflicts(folder: Path) -> list[str]:
    """Return the files with conflicts. Copier exits with 0 in spite of them, so the index is read."""
    entries = split_paths(git(folder, "ls-files", "-z", "--unmerged"))
    unmerged = {entry.partition("\t")[2] for entry in entries}
    rejected = git(folder, "ls-files", "-z", "--others", "--", "*.rej")
    return sorted(unmerged | set(split_paths(rejected)))


def _refresh_lock(folder: Path) -> str:
    """Lock again if uv.lock is committed and pyproject.toml changed; return why that failed, if it did."""
    if not git(folder, "ls-files", "uv.lock"):
        return ""
    if not git(folder, "status", "--porcelain", "pyproject.toml"):
        return ""
    done = subprocess.run(
        [find_uv(), "lock", "--quiet"],
        check=False,
        cwd=folder,
        capture_output=True,
        text=True,
    )
    if not done.returncode:
        return ""
    lines = done.stderr.strip().splitlines()
    return f"uv.lock is out of date: {lines[-1] if lines else 'uv failed'}"


def _report_changes(folder: Path, source: str, origin: Origin, newest: str) -> str:
    """Return what the crossed releases change under the project's answers."""
    tool, doctor = load_tool("changes"), load_doctor()
    crossed = tool.between(
        _load_changes(source, newest), origin.version, newest, doctor.number
    )
    answers = {**origin.answers, **read_origin(folder).answers}
    place = f"{doctor.address(source)}, {newest}"
    return str(tool.report(crossed, answers, folder, place))


@cache
def _load_changes(source: str, version: str) -> list[Any]:
    """Return the changes of all releases of a template. Cached, because a fleet shares its template."""
    with tempfile.TemporaryDirectory(prefix="slipway-fleet-") as scratch:
        options = ("--quiet", "--depth=1", "--branch", version, "--")
        address = load_doctor().address(source)
        git(Path(scratch), "clone", *options, address, "template")
        return list(load_tool("changes").read(Path(scratch, "template")))


def _changed_answers(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Return the new values of the answers that changed; None for one that was removed."""
    return {name: new.get(name) for name in old if new.get(name) != old[name]}


def _commit_message(result: UpdateResult) -> str:
    changed = [f"{name}: {answer}" for name, answer in result.answers.items()]
    sections = {
        "Conflicts, where both sides changed the same lines": result.conflicts,
        "Removed": result.removed,
        "Changed answers": changed,
    }
    parts = [f"Update the template from {result.version} to {result.newest}"]
    for title, lines in sections.items():
        if lines:
            parts.append("\n".join([f"{title}:", *(f"- {line}" for line in lines)]))
    if result.changes:
        parts.append(result.changes)
    if result.conflicts:
        parts.append("After you resolve the conflicts: make update FINISH=1")
    return "\n\n".join(parts)
