"""The doctor that every project has, called from here for any project."""

import importlib.util
import sys
from functools import cache
from pathlib import Path
from typing import Protocol, cast

from slipway.project import CHECKOUT
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


class Doctor(Protocol):
    """What the module offers."""

    def examine(self, project: Path, *, network: bool = True) -> list[Finding]: ...


def doctor() -> Doctor:
    """The newest doctor, whatever version the project itself has."""
    return _loaded(SOURCE)


@cache
def _loaded(source: Path) -> Doctor:
    if not source.is_file():
        raise Refusal(f"{source} is missing, which says how healthy a project is.")
    spec = importlib.util.spec_from_file_location("slipway_doctor", source)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by its name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return cast(Doctor, module)
