"""The changes of each release that concern a project: docs/changes/ of the template has an entry for each."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path("docs", "changes")
SETS = re.compile(r"\s*(?:export\s+)?(\w+)\s*=")


@dataclass(frozen=True)
class Change:
    """An entry of a release."""

    version: str
    text: str
    do: str = ""
    """What the reader must do; empty where it is enough to know."""
    new: bool = False
    """Whether it adds or mends something that an existing project need not know."""
    when: Mapping[str, Any] = field(default_factory=dict)
    """The answers under which it holds: a question, and its answer or a list of answers."""
    settings: Mapping[str, str | None] = field(default_factory=dict)
    """Settings with their new names; None where nothing reads them any more."""
    files: Mapping[str, str | None] = field(default_factory=dict)
    """Files with their new paths; None where they are removed."""

    def concerns(self, answers: Mapping[str, Any]) -> bool:
        """Whether it holds under these answers. A question that the project lacks excludes nothing."""
        return all(
            question not in answers or answers[question] in (given if isinstance(given, list) else [given])
            for question, given in self.when.items()
        )

    def lines(self) -> list[str]:
        """The entry in Markdown, without a bullet."""
        lines = [" ".join(filter(None, [self.do.strip(), self.text.strip()]))]
        for old, new in self.files.items():
            lines.append(f"- `{old}` is now `{new}`." if new else f"- `{old}` is removed.")
        for old, new in self.settings.items():
            what = f"is now `{new}`" if new else "is no longer read"
            lines.append(f"- The setting `{old}` {what}.")
        return lines


def listed(entries: Sequence[Sequence[str]], numbered: bool) -> list[str]:
    """Write entries as a list; what must be done has numbers, for its order matters."""
    bullets = [f"{number}. " if numbered else "- " for number in range(1, len(entries) + 1)]
    return [
        (" " * len(bullet) if place else bullet) + line
        for bullet, entry in zip(bullets, entries, strict=True)
        for place, line in enumerate(entry)
    ]


def read(template: Path) -> list[Change]:
    """Return the entries of all releases of a template, without what only later tools know of them."""
    found, known = list[Change](), {each.name for each in fields(Change)}
    for file in (template / FOLDER).glob("[0-9]*.yml"):
        release = yaml.safe_load(file.read_text("utf-8"))
        for part in ("upgrading", "new"):
            for written in release.get(part) or ():
                entry = {name: value for name, value in written.items() if name in known}
                found.append(Change(**{**entry, "version": file.stem, "new": part == "new"}))
    return found


def between(
    changes: Sequence[Change], old: str, new: str, number: Callable[[str], tuple[int, ...]]
) -> list[Change]:
    """Return those of the releases after one up to another, the oldest first."""
    on_the_way = [change for change in changes if number(old) < number(change.version) <= number(new)]
    return sorted(on_the_way, key=lambda change: number(change.version))


def report(changes: Sequence[Change], answers: Mapping[str, Any], project: Path, source: str) -> str:
    """Say what an existing project must do and know, and where the rest stands; empty if nothing changed."""
    if not changes:
        return ""
    concerning = [change for change in changes if change.concerns(answers)]
    known = [change for change in concerning if not change.new]
    to_do = [
        *(change.lines() for change in known if change.do),
        *([line] for line in obsolete(project, concerning)),
    ]
    differs = [change.lines() for change in known if not change.do]
    others, new = len(changes) - len(concerning), len(concerning) - len(known)
    lines = ["What to do:\n", *listed(to_do, numbered=True), ""] if to_do else []
    lines += ["What behaves differently:\n", *listed(differs, numbered=False), ""] if differs else []
    lines.append(
        f"Not listed here: entries on what is new or mended ({new}) and on other answers ({others})."
    )
    lines.append(f"All are in CHANGELOG.md of {source}.")
    text = "\n".join(lines)
    for name, question in (("<project>", "project_slug"), ("<package>", "package_name")):
        text = text.replace(name, str(answers.get(question, name)))
    return text


def obsolete(project: Path, changes: Sequence[Change]) -> Iterator[str]:
    """Name each line of .env and its like that sets what is renamed or no longer read. No value is shown."""
    names: dict[str, str | None] = {}
    for change in changes:
        for old, new in change.settings.items():
            names = {first: new if last == old else last for first, last in names.items()} | {old: new}
    for file in sorted(project.glob(".env*")):
        if not file.is_file() or file.name == ".env.example":
            continue
        for place, line in enumerate(file.read_text("utf-8-sig", errors="replace").split("\n"), 1):
            found = SETS.match(line)
            name = found[1].upper() if found else ""
            if name in names:
                new = names[name]
                fix = (
                    f"{name} is now {new}: rename it" if new else f"{name} is no longer read: remove the line"
                )
                yield f"{file.name}, line {place}: {fix}."
