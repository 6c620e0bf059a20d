"""CHANGELOG.md from the entries in docs/changes/, one file for each release: part of `make examples`."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from packaging.version import Version

from slipway.project import CHECKOUT
from slipway.tools import tool

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
    found = releases(checkout).items()
    return "\n".join(
        [INTRODUCTION, *(_release(version, each) for version, each in found)]
    )


def _release(version: str, release: Mapping[str, Any]) -> str:
    """The part of a release: what must be done first, as `make update` has it."""
    change = tool("changes").Change
    found = [change(version, **each) for each in release.get("upgrading") or ()]
    to_do, rest = [c for c in found if c.do], [c for c in found if not c.do]
    parts = [f"## {version.capitalize()}\n"]
    if about := release.get("about"):
        parts.append(f"{wrapped(about)}\n")
    if found:
        parts.append("### Upgrading\n")
    if to_do:
        parts += ["Do this after the update:\n", _list(to_do, numbered=True)]
    if to_do and rest:
        parts.append("What else changes:\n")
    if rest:
        parts.append(_list(rest))
    if new := [change(version, **each) for each in release.get("new") or ()]:
        parts += ["### What is new\n", _list(new)]
    return "\n".join(parts)


def _list(found: Sequence[Any], numbered: bool = False) -> str:
    lines = tool("changes").listed([each.lines() for each in found], numbered)
    return "".join(f"{wrapped(line)}\n" for line in lines)


def wrapped(text: str) -> str:
    """A line of text, or of a list, in lines that are no longer than the page is wide."""
    bullet = re.match(r" *(?:\d+\. |- )?", text)
    # A name or a command in backquotes stays on one line.
    kept = re.sub("`[^`]*`", lambda code: code[0].replace(" ", "\0"), text.rstrip())
    return textwrap.fill(
        kept,
        WIDTH,
        subsequent_indent=" " * len(bullet[0] if bullet else ""),
        break_long_words=False,
        break_on_hyphens=False,
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
