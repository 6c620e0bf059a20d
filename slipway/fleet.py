"""Many repositories that follow the template: where each stands."""

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

from slipway.doctor import Finding, Origin, doctor, origin, published
from slipway.git import git
from slipway.project import ADDRESS, CHECKOUT
from slipway.refusal import Refusal


@dataclass(frozen=True)
class State:
    """Where a repository stands, or why nobody can tell."""

    repository: str
    version: str = ""
    newest: str = ""
    behind: int = 0
    preset: str = ""
    differs: Mapping[str, Any] = field(default_factory=dict)
    findings: tuple[Finding, ...] = ()
    trouble: str = ""


def read(file: Path) -> list[str]:
    """The repositories of a list: one on each line, a path from where the list is."""
    if not file.is_file():
        raise Refusal(
            f"{file} is no file. Write a repository's path or URL on each line."
        )
    lines = (
        line.partition(" #")[0].strip() for line in file.read_text("utf-8").splitlines()
    )
    named = [line for line in lines if line and not line.startswith("#")]
    if not named:
        raise Refusal(f"{file} names no repository: write a path or URL on each line.")
    folder = file.resolve().parent
    return [
        name if ADDRESS.match(name) else str(folder / Path(name).expanduser())
        for name in dict.fromkeys(named)
    ]


@contextmanager
def clone(repository: str) -> Iterator[Path]:
    """A copy that is thrown away: the repository itself is only read, or pushed to."""
    with tempfile.TemporaryDirectory(prefix="slipway-fleet-") as scratch:
        git(Path(scratch), "clone", "--quiet", doctor().address(repository), "clone")
        yield Path(scratch, "clone")


def survey(repository: str) -> State:
    """Look at a repository; whatever is wrong with it is told, and stops nothing."""
    try:
        with clone(repository) as folder:
            follows = origin(folder)
            known = published(follows.source)
            return State(
                repository=repository,
                version=follows.version,
                newest=known[-1],
                behind=behind(follows, known),
                preset=str(follows.answers.get("preset", "")),
                differs=differing(follows.answers),
                findings=tuple(doctor().examine(folder)),
            )
    except Exception as error:  # noqa: BLE001
        # The others are looked at all the same.
        return State(repository, trouble=in_words(error))


def behind(follows: Origin, known: Sequence[str]) -> int:
    """How many releases came after the one that a project follows."""
    if follows.version not in known:
        what = follows.version or "nothing"
        raise Refusal(f"it follows {what}, which is no release of {follows.source}")
    return len(known) - 1 - known.index(follows.version)


def in_words(error: Exception) -> str:
    """An error that only its author understands is told with its name."""
    text = " ".join(str(error).split())
    return text if isinstance(error, Refusal) else f"{type(error).__name__}: {text}"


def differing(answers: Mapping[str, Any]) -> dict[str, Any]:
    """The answers that the project's preset would not give today."""
    given = {name: answers[name] for name in ("preset", "problem") if name in answers}
    suggested = _suggested(tuple(given.items()))
    return {
        name: answers[name]
        for name, answer in suggested.items()
        if name in answers and answers[name] != answer
    }


@cache
def _suggested(given: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """What this checkout's questions suggest, where a preset settles them."""
    # A checkout with changes is remarked on; it is what is asked for here.
    with warnings.catch_warnings(), redirect_stderr(StringIO()):
        warnings.simplefilter("ignore")
        worker = copier.run_copy(
            str(CHECKOUT),
            "/nonexistent",
            dict(given),
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
