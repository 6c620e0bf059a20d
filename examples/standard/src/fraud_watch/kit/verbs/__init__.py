"""The project's commands: each module here has some, as ``commands``."""

import pkgutil
from collections.abc import Iterator
from importlib import import_module

import typer

ORDER = ("data", "training", "release", "service", "demo")
"""The modules whose commands ``--help`` lists first, in this order; those of options follow by name."""


def all_commands() -> Iterator[typer.Typer]:
    """Import every module and yield its commands."""
    optional = sorted({found.name for found in pkgutil.iter_modules(__path__)} - {*ORDER})
    for name in (*ORDER, *optional):
        yield import_module(f"{__name__}.{name}").commands
