"""The tables of a pyproject.toml, parsed one by one: the file has thousands of versions, and each table has few."""

import re
import tomllib
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

HEADER = re.compile(r"^\[+([^\]]+)\]+", re.MULTILINE)


def table(pyproject: bytes, name: str) -> dict[str, Any]:
    """The table of a dotted name, with the tables inside it; empty where there is none."""
    parts = split(pyproject)
    text = "".join(p for key, p in parts if f"{key}.".startswith(f"{name}."))
    found: Any = parsed(text)
    for key in name.split("."):
        found = found.get(key, {})
    return dict(found)


# The functions that look at one version follow one another.
@lru_cache(maxsize=8)
def split(pyproject: bytes) -> tuple[tuple[str, str], ...]:
    """The name of each table, and its text."""
    text = pyproject.decode()
    starts = [(found[1], found.start()) for found in HEADER.finditer(text)]
    ends = [start for _, start in starts[1:]] + [len(text)]
    return tuple(
        (name, text[start:end]) for (name, start), end in zip(starts, ends, strict=True)
    )


@cache
def parsed(text: str) -> Mapping[str, Any]:
    """A part of a file that consists of whole tables. It is shared: nothing may change it."""
    return tomllib.loads(text)
