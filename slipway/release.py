"""Making a release: what must hold before a tag is set, and the tag."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from packaging.version import Version

from slipway import changes, proof, releases
from slipway.git import git
from slipway.refusal import Refusal

PROOF = (sys.executable, "-m", "pytest", "--numprocesses=2")
"""The run of every test, as `make prove`; with proof.SETTINGS it draws as much as each night."""


def publish(checkout: Path, version: str, command: Sequence[str]) -> str:
    """Tag what is committed as a release, and list it in releases.txt; return the tag.

    The command proves everything and writes a record of it. It runs unless there is such a record of this very tree.
    """
    list(releases.restore(checkout))
    for reason in objections(checkout, version):
        raise Refusal(reason)
    write_version(checkout, version)
    prove(checkout, command)
    tag = f"v{version}"
    commit = git(checkout, "rev-parse", "HEAD").strip()
    git(checkout, "tag", tag)
    with (checkout / releases.RELEASES).open("a", encoding="utf-8") as file:
        file.write(f"{tag} {commit}\n")
    git(checkout, "add", "--", releases.RELEASES)
    git(checkout, "commit", "--quiet", "--message", f"Release {tag}")
    return tag


def write_version(checkout: Path, version: str) -> None:
    """Commit the version in pyproject.toml before the proof, so that the tagged files have it."""
    file = checkout / "pyproject.toml"
    text = file.read_text("utf-8")
    line = f'version = "{version}"'
    written = re.sub('^version = ".*"$', line, text, count=1, flags=re.MULTILINE)
    if written != text:
        file.write_text(written, "utf-8")
        git(checkout, "add", "--", file.name)
        git(checkout, "commit", "--quiet", "--message", f"Version {version}")


def prove(checkout: Path, command: Sequence[str]) -> None:
    """Make sure that a complete run has proved what is committed, and refuse otherwise."""
    if not any(proof.objections(checkout)):
        return
    settings = os.environ | proof.SETTINGS
    done = subprocess.run(command, check=False, cwd=checkout, env=settings)
    if done.returncode:
        raise Refusal(
            "the proof fails, as it says above. Nothing was tagged: fix what failed, or "
            "projects lose work."
        )
    if reasons := list(proof.objections(checkout)):
        raise Refusal(f"the proof is not complete. {'; '.join(reasons)}.")


def objections(checkout: Path, version: str) -> Iterator[str]:
    """Why there cannot be such a release, short of the proof."""
    if changed := git(checkout, "status", "--porcelain"):
        yield f"commit, or put away, what is not committed:\n{changed}"
    if absent := releases.absent(checkout):
        yield f"this clone lacks the commits of {', '.join(absent)}: git fetch --unshallow"
    last = max(map(Version, releases.recorded(checkout)), default=Version("0.0.0"))
    if version not in (following := next_versions(last)):
        yield f"after {last} comes {', '.join(following[:-1])} or {following[-1]}."
        return
    yield from unsaid(checkout, version)
    part = upgrading((checkout / changes.CHANGELOG).read_text("utf-8"), version)
    today = settings((checkout / "copier.yml").read_text("utf-8"))
    for name in sorted(questions(today) - earlier(checkout)):
        if f"`{name}`" not in part:
            yield f"'### Upgrading' of {version} does not name the new question `{name}`."
    for entry in today["_migrations"]:
        if Version(str(entry["version"])) > Version(version):
            yield (
                f"copier.yml has a migration of {entry['version']}, which no update to "
                f"{version} would run."
            )


def unsaid(checkout: Path, version: str) -> Iterator[str]:
    """What docs/changes/ or the changelog does not say of a release, or says wrongly."""
    page, file = changes.page(checkout), f"{changes.FOLDER}/{version}.yml"
    entries = changes.releases(checkout)
    if changes.UNRELEASED in entries:
        yield (
            f"{changes.FOLDER}/{changes.UNRELEASED}.yml has entries that no release has: "
            f"git mv it to {file}, and make examples."
        )
    if not upgrading(page, version):
        yield (
            f"{file} has no entry under `upgrading`: what an update changes, which questions "
            "are new and what they default to, which files move."
        )
    asked = settings((checkout / "copier.yml").read_text("utf-8"))
    found = {name: asked[name] for name in questions(asked)}
    for mistake in changes.mistakes(entries.get(version, {}), found):
        yield f"{file}: {mistake}."
    if (checkout / changes.CHANGELOG).read_text("utf-8") != page:
        yield f"{changes.CHANGELOG} is not what {changes.FOLDER}/ says: make examples."


def next_versions(last: Version) -> list[str]:
    """What may follow a release: a fix, something new, something that breaks."""
    major, minor, patch = last.major, last.minor, last.micro
    return [
        f"{major}.{minor}.{patch + 1}",
        f"{major}.{minor + 1}.0",
        f"{major + 1}.0.0",
    ]


def upgrading(changelog: str, version: str) -> str:
    """What the changelog says of updating to a version."""
    _, _, rest = f"\n{changelog}".partition(f"\n## {version}\n")
    part = re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    _, _, told = part.partition("\n### Upgrading\n")
    return re.split(r"^### ", told, maxsplit=1, flags=re.MULTILINE)[0].strip()


def settings(text: str) -> dict[str, Any]:
    """What a copier.yml says, without the org.yml that it includes at its end."""
    said: dict[str, Any] = yaml.safe_load(text.split("\n---\n")[0])
    return said


def questions(said: dict[str, Any]) -> set[str]:
    """The questions of a copier.yml."""
    return {name for name in said if not name.startswith("_")}


def earlier(checkout: Path) -> set[str]:
    """The questions that the last release had, or today's if there is none."""
    tags = sorted(releases.recorded(checkout), key=Version)
    ref = tags[-1] if tags else "HEAD"
    return questions(settings(git(checkout, "show", f"{ref}:copier.yml")))
