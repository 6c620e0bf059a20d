"""CHANGELOG.md from the entries in docs/changes/, one file for each release: part of `make examples`."""

import importlib.util
import re
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml
from packaging.version import Version

from slipway.project import CHECKOUT

FOLDER = Path("docs", "changes")
UNRELEASED = "unreleased"
CHANGELOG = "CHANGELOG.md"
WIDTH = 150
INTRODUCTION = """\
# Changelog

What a release means for projects made from it. Versions follow [Semantic Versioning](https://semver.org): a major
version may ask something of you, and says what. `make examples` makes this page from [docs/changes/](docs/changes/).
"""
SETTING = re.compile(r"[A-Z][A-Z0-9_]*")
KEYS = {"text", "do", "when", "settings", "files"}


@cache
def tool(name: str) -> ModuleType:
    """A tool of the projects that needs no other one, as a module."""
    place = CHECKOUT / "template" / "tools" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"slipway_{name}", place)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    # Dataclasses look their module up by its name.
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def releases(checkout: Path) -> dict[str, dict[str, Any]]:
    """The file of each release by its version, what is not released first, then the newest."""
    found = {
        file.stem: yaml.safe_load(file.read_text("utf-8"))
        for file in (checkout / FOLDER).glob("*.yml")
    }
    versions = sorted((v for v in found if v != UNRELEASED), key=Version, reverse=True)
    return {v: found[v] for v in (UNRELEASED, *versions) if v in found}


def page(checkout: Path) -> str:
    """CHANGELOG.md as the files in docs/changes/ give it."""
    parts = [INTRODUCTION]
    for version, release in releases(checkout).items():
        parts.append(f"## {version.capitalize()}\n")
        if about := release.get("about"):
            parts.append(f"{wrapped(about)}\n")
        for title, name in (("Upgrading", "upgrading"), ("What is new", "new")):
            if entries := release.get(name):
                lines = [entry(version, each) for each in entries]
                parts.append("\n".join([f"### {title}\n", *lines]) + "\n")
    return "\n".join(parts)


def entry(version: str, written: Mapping[str, Any]) -> str:
    """An entry as projects print it, but in lines of a page's width."""
    return wrapped(tool("changes").Change(version, **written).entry(), "  ")


def wrapped(text: str, indent: str = "") -> str:
    """A text whose lines are no longer than the page is wide."""
    # A name or a command in backquotes stays on one line.
    kept = re.sub("`[^`]*`", lambda code: code[0].replace(" ", "\0"), text.strip())
    return "\n".join(
        textwrap.fill(
            line,
            WIDTH,
            subsequent_indent=indent if line.startswith("- ") else indent + "   ",
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in kept.split("\n")
    ).replace("\0", " ")


def mistakes(
    release: Mapping[str, Any], questions: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """What is wrong with a release's file, whose questions are given."""
    if unknown := release.keys() - {"about", "upgrading", "new"}:
        yield f"{min(unknown)} is no part of a release's file"
    for part in ("upgrading", "new"):
        for each in release.get(part) or ():
            for mistake in _mistakes(part, each, questions):
                yield f"{str(each.get('text'))[:40]!r}: {mistake}"


def _mistakes(
    part: str,
    written: Mapping[str, Any],
    questions: Mapping[str, Mapping[str, Any]],
) -> Iterator[str]:
    if unknown := written.keys() - KEYS:
        yield f"{min(unknown)} is no key of an entry"
    if not str(written.get("text") or "").strip():
        yield "it has no text"
    if part == "new" and "do" in written:
        yield "what a reader must do belongs under upgrading"
    if part == "upgrading" and "](" in f"{written.get('text')}{written.get('do')}":
        yield "a link leads nowhere where `make update` prints it"
    for question, given in (written.get("when") or {}).items():
        for answer in given if isinstance(given, list) else [given]:
            if question not in questions:
                yield f"there is no question {question}"
            elif answer not in choices(questions[question]):
                yield f"{question} is never {answer}"
    for old, new in (written.get("settings") or {}).items():
        if not all(SETTING.fullmatch(name) for name in (old, new or "NONE")):
            yield f"{old} → {new} are no names of settings"


def choices(question: Mapping[str, Any]) -> Sequence[Any]:
    """The answers that a question offers."""
    offered = question.get("choices") or []
    return list(offered.values()) if isinstance(offered, dict) else list(offered)


if __name__ == "__main__":
    (CHECKOUT / CHANGELOG).write_text(page(CHECKOUT), "utf-8")
