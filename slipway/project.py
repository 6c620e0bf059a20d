"""Making a project: check what was asked, try it dry, then let Copier do it."""

import os
import re
import subprocess
import sys
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from types import MappingProxyType
from typing import Any, Self

import copier
import yaml
from copier.errors import UserMessageError
from plumbum import ProcessExecutionError

from slipway.refusal import Refusal

CHECKOUT = Path(__file__).resolve().parent.parent
ANSWERS_FILE = ".copier-answers.yml"
# What Copier and git read as an address rather than as a folder.
ADDRESS = re.compile(r"^(?:[a-z][a-z0-9+.-]+://|gh:|gl:|git\+|[^/\s:@]+@[^/\s:]+:)")
RELEASE = re.compile(r"^v?\d+(?:\.\d+)+(?:(?:a|b|rc|\.?post|\.?dev)\d+)*$")


@dataclass(frozen=True)
class Request:
    """What was asked for, checked as far as it can be without the template."""

    dest: Path
    source: str
    ref: str
    arguments: list[str]
    data: Mapping[str, Any]

    @classmethod
    def checked(cls, dest: str, source: str, ref: str, arguments: list[str]) -> Self:
        """Refuse what cannot work, and make every path absolute."""
        for argument in arguments:
            if argument.startswith(("-r", "--vcs-ref")):
                raise Refusal(
                    f"leave {argument} out and say REF=... (--ref on the command line)."
                )
        return cls(
            dest=_destination(dest),
            source=_address(source) if source else str(CHECKOUT),
            ref=ref,
            arguments=arguments,
            data=_data(arguments),
        )

    def answered(self, **more: str) -> Self:
        """With answers that are settled already."""
        arguments = [f"--data={name}={value}" for name, value in more.items()]
        return replace(
            self, arguments=[*self.arguments, *arguments], data={**self.data, **more}
        )


@dataclass(frozen=True)
class Project:
    """A project that was made, and the template's commit that it records."""

    folder: Path
    answers: Mapping[str, Any]

    @property
    def commit(self) -> str:
        """The template's tag or commit; empty where the template has no git."""
        return str(self.answers.get("_commit", ""))


def make(
    request: Request,
    likely: Mapping[str, str] = MappingProxyType({}),
    adopts: bool = False,
) -> Project | None:
    """Ask and render; None when Copier was told to change nothing.

    What is `likely` is offered as the default of its question. A project that `adopts`
    a table leaves the next steps to whoever adopts it: Copier only uses that name in its message.
    """
    ref = ["--vcs-ref", request.ref] if request.ref else []
    ref += ["--data", "adopts=true"] if adopts else []
    command = [sys.executable, "-W", "ignore", "-m", "copier", "copy", *ref]
    command += [*request.arguments, request.source, str(request.dest)]
    with _settings(likely) as environment:
        done = subprocess.run(command, check=False, env=environment)
    if done.returncode:
        raise Refusal("Copier stopped, as it says above; no project was made.")
    answers = request.dest / ANSWERS_FILE
    if not answers.is_file():
        return None
    return Project(request.dest, yaml.safe_load(answers.read_text("utf-8")))


def notes(request: Request, made: Project | None) -> Iterator[str]:
    """What its owner should know about updating it."""
    if made is None:
        return
    if not made.commit:
        yield "The template is no git repository here, so the project cannot be updated."
    elif not RELEASE.match(made.commit):
        yield (
            f"REF={request.ref} is no release: the project was made from {made.commit} "
            "and cannot be updated. Leave REF out to start from the newest release."
            if request.ref
            else "The template has no release yet: the project was made from its commit "
            f"{made.commit}, and cannot be updated until a release exists."
        )
    if request.source == str(CHECKOUT):
        yield (
            f"The project records {CHECKOUT} as its template: it can be updated from "
            "that folder only. FROM=URL records an address that others reach too."
        )


def _destination(dest: str) -> Path:
    if not dest:
        raise Refusal("say where the project goes, as in: make new DEST=../churn")
    folder = Path(dest).expanduser().resolve()
    if folder.is_relative_to(CHECKOUT):
        raise Refusal(
            f"{dest} lies inside the template's own checkout, where a project would "
            "become a part of it. Choose a folder beside it, as in: DEST=../churn"
        )
    if folder.exists() and not folder.is_dir():
        raise Refusal(f"{dest} is a file. Choose a folder that is new or empty.")
    # An empty repository, as a host makes one, is a good place to start.
    if folder.is_dir() and any(entry.name != ".git" for entry in folder.iterdir()):
        raise Refusal(f"{dest} is not empty. Choose a folder that is new or empty.")
    return folder


def _address(source: str) -> str:
    if ADDRESS.match(source):
        # Copier takes an address for a repository only where it says so.
        plain = "://" in source and not source.startswith("git+")
        return f"git+{source}" if plain and not source.endswith(".git") else source
    folder = Path(source).expanduser().resolve()
    if not folder.exists():
        raise Refusal(
            f"FROM={source} is neither a folder that exists nor an address such as "
            "https://example.com/slipway.git"
        )
    return str(folder)


def _data(arguments: list[str]) -> dict[str, Any]:
    """The answers among Copier's arguments; a later one wins, as it does in Copier."""
    given: dict[str, Any] = {}
    from_file: dict[str, Any] = {}
    rest = iter(arguments)
    for argument in rest:
        option, joined, value = _split(argument)
        if option not in {"--data", "--data-file"}:
            continue
        value = value if joined else next(rest, "")
        if option == "--data":
            name, equals, answer = value.partition("=")
            if not equals:
                raise Refusal(f"--data {value} must have the form NAME=VALUE.")
            given[name] = answer
        else:
            if not Path(value).is_file():
                raise Refusal(f"--data-file {value} does not exist.")
            from_file |= yaml.safe_load(Path(value).read_text("utf-8")) or {}
    return from_file | given


def _split(argument: str) -> tuple[str, bool, str]:
    """An option, whether its value is joined to it, and that value."""
    if argument.startswith("--"):
        option, equals, value = argument.partition("=")
        return option, bool(equals), value
    if argument.startswith("-d"):
        return "--data", len(argument) > 2, argument[2:]
    return argument, False, ""


@contextmanager
def rehearsed(request: Request) -> Iterator[Path]:
    """A project with the given answers and the default of each other question, made elsewhere so that errors come first."""
    with TemporaryDirectory(prefix="slipway-") as scratch:
        folder = Path(scratch, request.dest.name)
        try:
            # What Copier remarks it will remark again, when it copies.
            with warnings.catch_warnings(), redirect_stderr(StringIO()):
                warnings.simplefilter("ignore")
                worker = copier.run_copy(
                    request.source,
                    folder,
                    dict(request.data),
                    vcs_ref=request.ref or None,
                    defaults=True,
                    quiet=True,
                )
        except (ValueError, UserMessageError) as error:
            raise Refusal(f"{error}") from error
        except ProcessExecutionError as error:
            reason = f"git cannot read {request.source}: {error.stderr}"
            raise Refusal(reason) from error
        questions = worker.template.questions_data
        if unknown := sorted(set(request.data) - set(questions)):
            raise Refusal(
                f"--data {unknown[0]} is no question. The questions are: "
                f"{', '.join(questions)}."
            )
        yield folder


@contextmanager
def _settings(likely: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """The environment in which Copier offers these defaults on top of the user's own."""
    if not likely:
        yield dict(os.environ)
        return
    own = copier.load_settings()
    merged = {"defaults": {**own.defaults, **likely}, "trust": list(own.trust)}
    with TemporaryDirectory(prefix="slipway-") as scratch:
        file = Path(scratch, "settings.yml")
        file.write_text(yaml.safe_dump(merged), "utf-8")
        yield {**os.environ, "COPIER_SETTINGS_PATH": str(file)}
