"""Templates with one tag for each release: recorded releases, the current state, and synthetic ones."""

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
from tests.manifests import PACKAGE, entry
from tests.matrix.synthetic import write
from tests.releases import COPIED_PATHS, Template, git
from tests.rendering import ROOT, settings
from tests.update import small
from tests.update.small import Files
from tests.update.tomorrow import VERSION, change_template


@dataclass(frozen=True)
class History:
    """A template's repository and its releases."""

    name: str
    folder: Path
    versions: tuple[str, ...]
    """The oldest first."""
    renamed: Mapping[str, str]
    """New names of questions by their old names."""

    def settings(self, version: str) -> dict[str, Any]:
        """Return the content of copier.yml in a release."""
        return parse_settings(git(self.folder, "show", f"{version}:copier.yml"))

    def questions(self, version: str) -> dict[str, dict[str, Any]]:
        """Return the questions of a release."""
        return release.select_questions(self.settings(version))

    @property
    def migrations(self) -> list[Version]:
        """The versions that have a migration in the newest release."""
        entries = self.settings(self.versions[-1])["_migrations"]
        return [Version(str(entry["version"])) for entry in entries]

    def translate(self, answers: Mapping[str, str], version: str) -> dict[str, str]:
        """Return recorded answers under the names of another release, without those that it does not ask for."""
        questions = self.questions(version)
        translated = {}
        for name, answer in answers.items():
            new_name = self.renamed.get(name, name)
            if new_name in questions:
                translated[new_name] = answer
        # An answer that is recorded under the release's own name takes precedence.
        return translated | {n: a for n, a in answers.items() if n in questions}

    def crosses(self, old: str, new: str) -> bool:
        """Return whether an update from one release to another runs a migration."""
        return any(Version(old) < v <= Version(new) for v in self.migrations)

    def is_yours(self, path: str, package: str) -> bool:
        """Return whether updates never touch a rendered file."""
        if self.name == "small":
            return path in small.YOURS
        parts = (PACKAGE if part == package else part for part in path.split("/"))
        return find_owner("/".join(parts)) == "yours"


@cache
def parse_settings(text: str) -> dict[str, Any]:
    """Parse a copier.yml. Cached, because a case needs the same one a dozen times."""
    return release.parse_settings(text)


def find_owner(path: str) -> str:
    """Return the owner of a file in options/; Slipway if it is a file of an older release only."""
    try:
        return entry(path).owner
    except AssertionError:
        return "slipway"


def extract_template(commit: str, folder: Path) -> Path:
    """Extract the template of a commit into a folder, and return the folder."""
    packed = subprocess.run(
        ["git", "archive", commit, *COPIED_PATHS],
        cwd=ROOT,
        check=True,
        capture_output=True,
    )
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder


def available_releases() -> dict[str, str]:
    """Return the commit of each recorded release that this clone has."""
    missing = releases.missing_releases(ROOT)
    recorded = releases.recorded_releases(ROOT).items()
    return {version: commit for version, commit in recorded if version not in missing}


def current_version() -> str:
    """Return a version for the current state, later than any release and any migration."""
    migrations = [str(entry["version"]) for entry in settings()["_migrations"]]
    newest = max(map(Version, [*available_releases(), *migrations, "0.0.0"]))
    return f"{newest.major}.{newest.minor}.{newest.micro + 1}"


def build_slipway(folder: Path) -> History:
    """Build a repository with every release, the current state, and a release after it."""
    template = Template(folder)
    for version, commit in available_releases().items():
        with tempfile.TemporaryDirectory() as place:
            template.copy_from(extract_template(commit, Path(place)))
        template.release(version)
    template.copy_from(ROOT)
    template.release(current_version())
    change_template(template)
    template.release(VERSION)
    git(folder, "gc", "--quiet")
    versions = (*available_releases(), current_version(), VERSION)
    return History("slipway", folder, versions, renamed={})


def build_small(folder: Path, versions: Mapping[str, Files] | None = None) -> History:
    """Build a repository of the small template, with its five releases or with others."""
    versions = versions or small.releases()
    template: Template | None = None
    for version, files in versions.items():
        with tempfile.TemporaryDirectory() as place:
            root = write(Path(place), files)
            template = template or Template(folder, root)
            template.copy_from(root)
            template.release(version)
    git(folder, "gc", "--quiet")
    return History("small", folder, tuple(versions), small.RENAMED)


BUILDERS: dict[str, Callable[[Path], History]] = {
    "small": build_small,
    "slipway": build_slipway,
}
