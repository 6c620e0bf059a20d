"""Create a project: validate the request, try it in a dry run, then let Copier ask and render."""

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

from slipway.errors import UserError

CHECKOUT = Path(__file__).resolve().parent.parent
ANSWERS_FILE = ".copier-answers.yml"
ADDRESS = re.compile(r"^(?:[a-z][a-z0-9+.-]+://|gh:|gl:|git\+|[^/\s:@]+@[^/\s:]+:)")
"""The start of what Copier and git read as an address rather than as a folder."""
RELEASE = re.compile(r"^v?\d+(?:\.\d+)+(?:(?:a|b|rc|\.?post|\.?dev)\d+)*$")


@dataclass(frozen=True)
class Request:
    """A project to create, validated as far as is possible without the template."""

    dest: Path
    source: str
    ref: str
    arguments: list[str]
    """Arguments for Copier."""
    answers: Mapping[str, Any]
    """The answers among these arguments."""

    @classmethod
    def parse(cls, dest: str, source: str, ref: str, arguments: list[str]) -> Self:
        """Validate the request and make its paths absolute; raise `UserError` if it cannot work."""
        for argument in arguments:
            if argument.startswith(("-r", "--vcs-ref")):
                raise UserError(
                    f"leave {argument} out. Use REF=... (--ref on the command line)."
                )
        return cls(
            dest=_validate_destination(dest),
            source=_normalize_source(source) if source else str(CHECKOUT),
            ref=ref,
            arguments=arguments,
            answers=_parse_answers(arguments),
        )

    def with_answers(self, **answers: str) -> Self:
        """Return the request with more answers given, so that Copier does not ask for them."""
        options = [f"--data={name}={answer}" for name, answer in answers.items()]
        return replace(
            self,
            arguments=[*self.arguments, *options],
            answers={**self.answers, **answers},
        )


@dataclass(frozen=True)
class Project:
    """A project that Copier rendered, with the answers that it records."""

    folder: Path
    answers: Mapping[str, Any]

    @property
    def commit(self) -> str:
        """The template's tag or commit; empty if the template is not in a git repository."""
        return str(self.answers.get("_commit", ""))


def create(
    request: Request,
    defaults: Mapping[str, str] = MappingProxyType({}),
    adopts: bool = False,
) -> Project | None:
    """Let Copier ask the questions and render the project; return None if the arguments make it pretend.

    `defaults` replaces the defaults of some questions. `adopts` removes the next steps from
    Copier's message, because they are printed after the table is adopted.
    """
    command = [sys.executable, "-W", "ignore", "-m", "copier", "copy"]
    if request.ref:
        command += ["--vcs-ref", request.ref]
    if adopts:
        command += ["--data", "adopts=true"]
    command += [*request.arguments, request.source, str(request.dest)]
    with _environment_with_defaults(defaults) as environment:
        done = subprocess.run(command, check=False, env=environment)
    if done.returncode:
        raise UserError("Copier failed; see its output above. No project was created.")
    answers_file = request.dest / ANSWERS_FILE
    if not answers_file.is_file():
        return None
    return Project(request.dest, yaml.safe_load(answers_file.read_text("utf-8")))


def update_notes(request: Request, project: Project) -> Iterator[str]:
    """Yield what restricts later updates of the project."""
    commit = project.commit
    if not commit:
        yield (
            "The template is not in a git repository here, so the project cannot be "
            "updated."
        )
    elif not RELEASE.match(commit) and request.ref:
        yield (
            f"REF={request.ref} is not a release: the project was created from {commit} "
            "and cannot be updated. Leave REF out to start from the newest release."
        )
    elif not RELEASE.match(commit):
        yield (
            "The template has no release yet: the project was created from its commit "
            f"{commit}, and cannot be updated until a release exists."
        )
    if request.source == str(CHECKOUT):
        yield (
            f"The project records {CHECKOUT} as its template, so it can be updated from "
            "that folder only. Use FROM=URL to record an address that others can reach."
        )


@contextmanager
def dry_run(request: Request) -> Iterator[Path]:
    """Render the project into a temporary folder, so that errors come before the questions.

    Each question that the request leaves open takes its default.
    """
    with TemporaryDirectory(prefix="slipway-") as scratch:
        folder = Path(scratch, request.dest.name)
        try:
            # Copier repeats its warnings when it renders the project itself.
            with warnings.catch_warnings(), redirect_stderr(StringIO()):
                warnings.simplefilter("ignore")
                worker = copier.run_copy(
                    request.source,
                    folder,
                    dict(request.answers),
                    vcs_ref=request.ref or None,
                    defaults=True,
                    quiet=True,
                )
        except (ValueError, UserMessageError) as error:
            raise UserError(f"{error}") from error
        except ProcessExecutionError as error:
            reason = f"git cannot read {request.source}: {error.stderr}"
            raise UserError(reason) from error
        questions = worker.template.questions_data
        if unknown := sorted(set(request.answers) - set(questions)):
            raise UserError(
                f"--data {unknown[0]} is not a question. The questions are: "
                f"{', '.join(questions)}."
            )
        yield folder


def _validate_destination(dest: str) -> Path:
    if not dest:
        raise UserError(
            "DEST is missing. Choose a new or empty folder, as in: make new DEST=../churn"
        )
    folder = Path(dest).expanduser().resolve()
    if folder.is_relative_to(CHECKOUT):
        raise UserError(
            f"{dest} is inside the template's own checkout, so the project would become "
            "part of it. Choose a folder outside, as in: DEST=../churn"
        )
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{dest} is a file. Choose a new or empty folder.")
    # A repository without files, as git hosts create it, is a valid place to start.
    if folder.is_dir() and any(entry.name != ".git" for entry in folder.iterdir()):
        raise UserError(f"{dest} is not empty. Choose a new or empty folder.")
    return folder


def _normalize_source(source: str) -> str:
    if ADDRESS.match(source):
        # Copier recognizes a URL as a repository only by a git+ prefix or a .git suffix.
        plain = "://" in source and not source.startswith("git+")
        return f"git+{source}" if plain and not source.endswith(".git") else source
    folder = Path(source).expanduser().resolve()
    if not folder.exists():
        raise UserError(
            f"FROM={source} is neither an existing folder nor an address such as "
            "https://example.com/slipway.git"
        )
    return str(folder)


def _parse_answers(arguments: list[str]) -> dict[str, Any]:
    """Return the answers among Copier's arguments, with its precedence: the last wins, and --data over files."""
    answers: dict[str, Any] = {}
    file_answers: dict[str, Any] = {}
    remaining = iter(arguments)
    for argument in remaining:
        option, has_value, value = _split_option(argument)
        if option not in {"--data", "--data-file"}:
            continue
        if not has_value:
            value = next(remaining, "")
        if option == "--data":
            name, equals, answer = value.partition("=")
            if not equals:
                raise UserError(f"--data {value} must have the form NAME=VALUE.")
            answers[name] = answer
        else:
            if not Path(value).is_file():
                raise UserError(f"--data-file {value} does not exist.")
            file_answers |= yaml.safe_load(Path(value).read_text("utf-8")) or {}
    return file_answers | answers


def _split_option(argument: str) -> tuple[str, bool, str]:
    """Return an option, whether its value is part of the argument, and that value."""
    if argument.startswith("--"):
        option, equals, value = argument.partition("=")
        return option, bool(equals), value
    if argument.startswith("-d"):
        return "--data", len(argument) > 2, argument[2:]
    return argument, False, ""


@contextmanager
def _environment_with_defaults(defaults: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield an environment in which Copier has these defaults in addition to the user's own."""
    if not defaults:
        yield dict(os.environ)
        return
    user = copier.load_settings()
    merged = {"defaults": {**user.defaults, **defaults}, "trust": list(user.trust)}
    with TemporaryDirectory(prefix="slipway-") as scratch:
        file = Path(scratch, "settings.yml")
        file.write_text(yaml.safe_dump(merged), "utf-8")
        yield {**os.environ, "COPIER_SETTINGS_PATH": str(file)}
