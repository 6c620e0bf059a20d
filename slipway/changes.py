"""Write CHANGELOG.md from docs/changes/, which has one file for each release: part of `make examples`."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from packaging.version import Version

from slipway.project import CHECKOUT
from slipway.tools import load_tool

FOLDER = Path("docs", "changes")
UNRELEASED = "unreleased"
CHANGELOG = "CHANGELOG.md"
WIDTH = 150
INTRODUCTION = """\
# Changelog

What each release changes in your project. Versions follow [Semantic Versioning](https://semver.org): a major version may
require actions, which its section lists. `make examples` generates this page from [docs/changes/](docs/changes/).
"""
SECTIONS = {"about", "upgrading", "new"}
"""The keys of a release's file."""
KEYS = {"text", "do", "when", "settings", "files"}
"""The keys of an entry, under `upgrading` or `new`."""
SETTING_NAME = re.compile(r"[A-Z][A-Z0-9_]*")


def load_releases(checkout: Path) -> dict[str, dict[str, Any]]:
    """Return the content of each release's file by version: the unreleased one first, then the newest."""
    files = {
        file.stem: yaml.safe_load(file.read_text("utf-8"))
        for file in (checkout / FOLDER).glob("*.yml")
    }
    versions = [version for version in files if version != UNRELEASED]
    order = [UNRELEASED, *sorted(versions, key=Version, reverse=True)]
    return {version: files[version] for version in order if version in files}


def render_changelog(checkout: Path) -> str:
    """Return the text of CHANGELOG.md for the files in docs/changes/."""
    releases = load_releases(checkout).items()
    sections = [_render_release(version, release) for version, release in releases]
    return "\n".join([INTRODUCTION, *sections])


def _render_release(version: str, release: Mapping[str, Any]) -> str:
    """Return the section of a release: like `make update`, it lists required actions first."""
    change = load_tool("changes").Change
    upgrading = [change(version, **entry) for entry in release.get("upgrading") or ()]
    new = [change(version, **entry) for entry in release.get("new") or ()]
    actions = [entry for entry in upgrading if entry.do]
    other = [entry for entry in upgrading if not entry.do]
    parts = [f"## {version.capitalize()}\n"]
    if about := release.get("about"):
        parts.append(f"{wrap(about)}\n")
    if upgrading:
        parts.append("### Upgrading\n")
    if actions:
        parts += ["Do this after the update:\n", _render_list(actions, numbered=True)]
    if actions and other:
        parts.append("What else changes:\n")
    if other:
        parts.append(_render_list(other))
    if new:
        parts += ["### What is new\n", _render_list(new)]
    return "\n".join(parts)


def _render_list(entries: Sequence[Any], numbered: bool = False) -> str:
    lines = load_tool("changes").listed([entry.lines() for entry in entries], numbered)
    return "".join(f"{wrap(line)}\n" for line in lines)


def wrap(text: str) -> str:
    """Wrap a line to the page's width, with later lines indented to the text of its bullet."""
    bullet = re.match(r" *(?:\d+\. |- )?", text)
    # A name or a command in backquotes stays on one line.
    protected = re.sub("`[^`]*`", lambda m: m[0].replace(" ", "\0"), text.rstrip())
    wrapped = textwrap.fill(
        protected,
        WIDTH,
        subsequent_indent=" " * len(bullet[0] if bullet else ""),
        break_long_words=False,
        break_on_hyphens=False,
    )
    return wrapped.replace("\0", " ")


def find_problems(
    release: Mapping[str, Any], questions: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """Yield the mistakes in a release's file, given the questions of that release."""
    if unknown := release.keys() - SECTIONS:
        yield (
            f"unknown key {min(unknown)}: a release file has about, upgrading and new"
        )
    for section in ("upgrading", "new"):
        for entry in release.get(section) or ():
            for problem in _entry_problems(section, entry, questions):
                yield f"{str(entry.get('text'))[:40]!r}: {problem}"


def _entry_problems(
    section: str,
    entry: Mapping[str, Any],
    questions: Mapping[str, Mapping[str, Any]],
) -> Iterator[str]:
    if unknown := entry.keys() - KEYS:
        yield f"unknown key {min(unknown)}: an entry has {', '.join(sorted(KEYS))}"
    if not str(entry.get("text") or "").strip():
        yield "text is missing"
    if section == "new" and "do" in entry:
        yield "move it to upgrading: only entries there have a do"
    if section == "upgrading" and "](" in f"{entry.get('text')}{entry.get('do')}":
        yield "remove the link: `make update` prints this text in a terminal"
    for question, condition in (entry.get("when") or {}).items():
        for answer in condition if isinstance(condition, list) else [condition]:
            if question not in questions:
                yield f"unknown question {question}"
            elif answer not in _offered_answers(questions[question]):
                yield f"{question} does not offer {answer}"
    for old, new in (entry.get("settings") or {}).items():
        names = [old, new] if new else [old]
        if not all(SETTING_NAME.fullmatch(name) for name in names):
            yield f"{old} → {new}: the names of settings are upper case"


def _offered_answers(question: Mapping[str, Any]) -> Sequence[Any]:
    """Return the answers to choose from; none if any text is valid."""
    choices = question.get("choices") or []
    return list(choices.values()) if isinstance(choices, dict) else list(choices)


if __name__ == "__main__":
    (CHECKOUT / CHANGELOG).write_text(render_changelog(CHECKOUT), "utf-8")
