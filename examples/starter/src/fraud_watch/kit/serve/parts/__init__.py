"""The optional parts of the service: each module here defines one, as ``PART``."""

import pkgutil
from importlib import import_module

from ..part import Part


def part_classes() -> list[type[Part]]:
    """Return the parts that this project has, in the order in which they see a request."""
    modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    return sorted((module.PART for module in modules), key=lambda part: part.stage)


def own_headers() -> dict[str, str]:
    """Return the headers of this machine's own requests."""
    headers = {"Content-Type": "application/json"}
    for part in part_classes():
        headers |= part.own_headers()
    return headers
