"""The doctor that every project has, called from here for any project."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from slipway.project import ANSWERS_FILE
from slipway.refusal import Refusal
from slipway.tools import tool


class Finding(Protocol):
    """One thing that is not as it should be."""

    @property
    def code(self) -> str: ...
    @property
    def severity(self) -> str: ...
    @property
    def path(self) -> str: ...
    @property
    def message(self) -> str: ...
    @property
    def cure(self) -> str: ...


class Origin(Protocol):
    """What a project records: its template, the release that it follows, its answers."""

    @property
    def source(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def answers(self) -> Mapping[str, Any]: ...


class Origins(Protocol):
    """Where an origin comes from."""

    def of(self, project: Path) -> Origin: ...


class Doctor(Protocol):
    """What the module offers."""

    Origin: Origins

    def address(self, source: str) -> str: ...
    def examine(self, project: Path, *, network: bool = True) -> list[Finding]: ...
    def number(self, version: str) -> tuple[int, ...]: ...
    def releases(self, source: str) -> tuple[str, ...]: ...


def doctor() -> Doctor:
    """The newest doctor, whatever version the project itself has."""
    return cast(Doctor, tool("doctor"))


def origin(project: Path) -> Origin:
    """What a project records, if that can be followed."""
    try:
        return doctor().Origin.of(project)
    except ValueError as error:
        raise Refusal(f"{ANSWERS_FILE}: {error}") from error


def published(source: str) -> tuple[str, ...]:
    """The releases that a template's address offers, the oldest first."""
    try:
        found = doctor().releases(source)
    except OSError as error:
        raise Refusal(f"{source} cannot be reached: {error}") from error
    if not found:
        raise Refusal(f"{source} has no release: it needs a tag such as v1.0.0")
    return found
