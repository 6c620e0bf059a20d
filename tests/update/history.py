"""Templates with one tag for each release: the recorded ones, today's, and some made here."""

import io
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from packaging.version import Version

from slipway import release, releases
from tests.matrix.synthetic import write
from tests.ownership import PACKAGE, row
from tests.releases import PARTS, Template, git
from tests.rendering import ROOT, settings
from tests.update import small
from tests.update.small import Files
from tests.update.tomorrow import VERSION, tomorrow


@dataclass(frozen=True)
class History:
    """A template's repository, and what is known of its releases."""

    name: str
    folder: Path
    versions: tuple[str, ...]
    """The oldest first."""
    renamed: Mapping[str, str]

    def settings(self, version: str) -> dict[str, Any]:
        """What copier.yml said in a release."""
        return parsed(git(self.folder, "show", f"{version}:copier.yml"))

    def questions(self, version: str) -> dict[str, dict[str, Any]]:
        """The questions of a release."""
        found = self.settings(version).items()
        return {name: question for name, question in found if name[0] != "_"}

    @property
    def migrating(self) -> list[Version]:
        """The versions that have a migration, as the newest release says."""
        entries = self.settings(self.versions[-1])["_migrations"]
        return [Version(str(entry["version"])) for entry in entries]

    def translated(self, answers: Mapping[str, str], version: str) -> dict[str, str]:
        """Answers that a project remembers, to the questions of another release."""
        asked = self.questions(version).keys()
        named = {self.renamed.get(name, name): name for name in answers}
        found = {new: answers[old] for new, old in named.items() if new in asked}
        return found | {name: a for name, a in answers.items() if name in asked}

    def crosses(self, old: str, new: str) -> bool:
        """Whether an update from one release to another moves files."""
        return any(Version(old) < one <= Version(new) for one in self.migrating)

    def is_yours(self, path: str, package: str) -> bool:
        """Whether a file that a project was rendered with is left alone by every update."""
        if self.name == "small":
            return path in small.YOURS
        parts = (PACKAGE if part == package else part for part in path.split("/"))
        known = "/".join(parts)
        return owner(known) == "yours"


@cache
def parsed(text: str) -> dict[str, Any]:
    """The settings of a copier.yml. A case asks for the same ones a dozen times."""
    return release.parse_settings(text)


def owner(path: str) -> str:
    """Who owns a file, as the table says; a file of a release that is gone is Slipway's."""
    try:
        return row(path).owner
    except AssertionError:
        return "slipway"


def archived(commit: str, folder: Path) -> Path:
    """The template as a commit has it."""
    packed = subprocess.run(
        ["git", "archive", commit, *PARTS], cwd=ROOT, check=True, capture_output=True
    )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def recorded() -> dict[str, str]:
    """The releases that there have been, and their commits; those that this clone holds."""
    absent = releases.missing_releases(ROOT)
    known = releases.recorded_releases(ROOT).items()
    return {version: commit for version, commit in known if version not in absent}


def today() -> str:
    """The version that today's tree counts as: later than any release and any migration."""
    entries = settings()["_migrations"]
    known = [*recorded(), *(str(entry["version"]) for entry in entries), "0.0.0"]
    newest = max(map(Version, known))
    return f"{newest.major}.{newest.minor}.{newest.micro + 1}"


def slipway(folder: Path) -> History:
    """Every release that there has been, today's tree, and a release that follows it."""
    template = Template(folder)
    for version, commit in recorded().items():
        with tempfile.TemporaryDirectory() as place:
            template.become(archived(commit, Path(place)))
        template.release(version)
    template.become(ROOT)
    template.release(today())
    tomorrow(template)
    template.release(VERSION)
    git(folder, "gc", "--quiet")
    return History("slipway", folder, (*recorded(), today(), VERSION), {})


def little(folder: Path, made: Mapping[str, Files] | None = None) -> History:
    """The small template, with its five releases, or with others."""
    made = made or small.releases()
    template: Template | None = None
    for version, files in made.items():
        with tempfile.TemporaryDirectory() as place:
            root = write(Path(place), files)
            template = template or Template(folder, root)
            template.become(root)
            template.release(version)
    git(folder, "gc", "--quiet")
    return History("small", folder, tuple(made), small.RENAMED)


BUILDERS: dict[str, Callable[[Path], History]] = {"small": little, "slipway": slipway}
