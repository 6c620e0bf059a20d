"""The doctor of template/tools/, typed, for use on any project."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, cast

from slipway.errors import UserError
from slipway.project import ANSWERS_FILE
from slipway.tools import load_tool


class Finding(Protocol):
    """A problem in a project, and how to fix it."""

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
    """The template, the release and the answers that a project records."""

    @property
    def source(self) -> str: ...
    @property
    def version(self) -> str: ...
    @property
    def answers(self) -> Mapping[str, Any]: ...


class OriginType(Protocol):
    """The class that reads an origin from a project."""

    def of(self, project: Path) -> Origin: ...


class Doctor(Protocol):
    """The parts of the doctor module that are used here."""

    Origin: OriginType

    def address(self, source: str) -> str: ...
    def examine(self, project: Path, *, network: bool = True) -> list[Finding]: ...
    def number(self, version: str) -> tuple[int, ...]: ...
    def releases(self, source: str) -> tuple[str, ...]: ...


def load_doctor() -> Doctor:
    """Return this checkout's doctor, whatever release the project follows."""
    return cast(Doctor, load_tool("doctor"))


def read_origin(project: Path) -> Origin:
    """Return the origin that a project records; raise `UserError` if the record is unusable."""
    try:
        return load_doctor().Origin.of(project)
    except ValueError as error:
        raise UserError(f"{ANSWERS_FILE}: {error}") from error


def fetch_releases(source: str) -> tuple[str, ...]:
    """Return the releases of the template at an address, the oldest first; there is at least one."""
    try:
        versions = load_doctor().releases(source)
    except OSError as error:
        raise UserError(f"{source} cannot be reached: {error}") from error
    if not versions:
        raise UserError(f"{source} has no releases. Add a tag such as v1.0.0.")
    return versions
