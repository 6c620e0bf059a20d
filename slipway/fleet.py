"""Inspect a fleet: many repositories that follow the template."""

import tempfile
import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, field
from functools import cache
from io import StringIO
from pathlib import Path
from typing import Any

import copier

from slipway.doctor import Finding, Origin, fetch_releases, load_doctor, read_origin
from slipway.errors import UserError
from slipway.git import git
from slipway.project import ADDRESS, CHECKOUT


@dataclass(frozen=True)
class State:
    """The release, answers and findings of a repository, or why they cannot be determined.

    The fields are the keys of `slipway fleet --json`.
    """

    repository: str
    version: str = ""
    newest: str = ""
    behind: int = 0
    """The number of releases after `version`."""
    preset: str = ""
    differs: Mapping[str, Any] = field(default_factory=dict)
    """The answers that differ from the preset's."""
    findings: tuple[Finding, ...] = ()
    trouble: str = ""
    """The error; the other fields are empty then."""


def read_list(file: Path) -> list[str]:
    """Return the repositories in a file, one on each line; a relative path starts at the file's folder."""
    if not file.is_file():
        raise UserError(
            f"{file} is not a file. Write a repository's path or URL on each line."
        )
    repositories: dict[str, None] = {}  # in order, each once
    for line in file.read_text("utf-8").splitlines():
        name = line.partition(" #")[0].strip()
        if name and not name.startswith("#"):
            repositories[name] = None
    if not repositories:
        raise UserError(
            f"{file} lists no repository. Write a path or URL on each line."
        )
    folder = file.resolve().parent
    return [
        name if ADDRESS.match(name) else str(folder / Path(name).expanduser())
        for name in repositories
    ]


@contextmanager
def temporary_clone(repository: str) -> Iterator[Path]:
    """Clone a repository into a temporary folder, so that its own files are never touched."""
    address = load_doctor().address(repository)
    with tempfile.TemporaryDirectory(prefix="slipway-fleet-") as scratch:
        git(Path(scratch), "clone", "--quiet", address, "clone")
        yield Path(scratch, "clone")


def inspect_repository(repository: str) -> State:
    """Return the state of a repository. Any error becomes part of the state, so that the others are inspected."""
    try:
        with temporary_clone(repository) as folder:
            origin = read_origin(folder)
            releases = fetch_releases(origin.source)
            return State(
                repository=repository,
                version=origin.version,
                newest=releases[-1],
                behind=count_behind(origin, releases),
                preset=str(origin.answers.get("preset", "")),
                differs=differences_from_preset(origin.answers),
                findings=tuple(load_doctor().examine(folder)),
            )
    except Exception as error:  # noqa: BLE001
        return State(repository, trouble=describe_error(error))


def count_behind(origin: Origin, releases: Sequence[str]) -> int:
    """Return the number of releases after the one that a project follows."""
    if origin.version not in releases:
        version = origin.version or "nothing"
        raise UserError(
            f"it follows {version}, which is not a release of {origin.source}"
        )
    return len(releases) - 1 - releases.index(origin.version)


def describe_error(error: Exception) -> str:
    """Return the error on one line; with its type, unless it was written for users."""
    text = " ".join(str(error).split())
    return text if isinstance(error, UserError) else f"{type(error).__name__}: {text}"


def differences_from_preset(answers: Mapping[str, Any]) -> dict[str, Any]:
    """Return the answers that differ from what this checkout's preset suggests."""
    basis = {name: answers[name] for name in ("preset", "problem") if name in answers}
    suggested = _preset_answers(tuple(basis.items()))
    return {
        name: answers[name]
        for name, answer in suggested.items()
        if name in answers and answers[name] != answer
    }


@cache
def _preset_answers(basis: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """Return the answers that depend on the preset in this checkout's questions."""
    # Copier warns about a checkout with uncommitted changes, which is intended here.
    with warnings.catch_warnings(), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        worker = copier.run_copy(
            str(CHECKOUT),
            "/nonexistent",
            dict(basis),
            vcs_ref="HEAD",
            defaults=True,
            pretend=True,
            quiet=True,
            settings=copier.Settings(),
        )
    return {
        name: worker.answers.combined[name]
        for name, question in worker.template.questions_data.items()
        if "preset" in str(question.get("ask", ""))
    }
