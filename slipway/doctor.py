"""The doctor that every project has, called from here for any project."""

import importlib.util
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Protocol, cast

from slipway.project import ANSWERS_FILE, CHECKOUT
from slipway.refusal import Refusal

SOURCE = CHECKOUT / "template" / "tools" / "doctor.py"


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


@cache
def doctor() -> Doctor:
    """The newest doctor, whatever version the project itself has."""
    spec = importlib.util.spec_from_file_location("slipway_doctor", SOURCE)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by its name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return cast(Doctor, module)


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
