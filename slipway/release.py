"""Publish a release: check the preconditions, prove the committed tree, and tag it."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import yaml
from packaging.version import Version

from slipway import changes, proof
from slipway.errors import UserError
from slipway.git import git
from slipway.releases import (
    RELEASES,
    missing_releases,
    recorded_releases,
    restore_tags,
)

PROOF = (sys.executable, "-m", "pytest", "--numprocesses=2")
"""The command that runs every test, as `make prove` does; proof.SETTINGS adds the counts of the nightly run."""


def publish(checkout: Path, version: str, command: Sequence[str]) -> str:
    """Tag the committed tree as a release, record it in releases.txt, and return the tag.

    The command runs every test and writes the record, unless the committed tree has a complete record already.
    """
    restore_tags(checkout)
    for problem in find_problems(checkout, version):
        raise UserError(problem)
    write_version(checkout, version)
    prove(checkout, command)
    tag = f"v{version}"
    commit = git(checkout, "rev-parse", "HEAD").strip()
    git(checkout, "tag", tag)
    with (checkout / RELEASES).open("a", encoding="utf-8") as file:
        file.write(f"{tag} {commit}\n")
    git(checkout, "add", "--", RELEASES)
    git(checkout, "commit", "--quiet", "--message", f"Release {tag}")
    return tag


def write_version(checkout: Path, version: str) -> None:
    """Commit the version in pyproject.toml. This precedes the proof, so that the tagged tree is the proved one."""
    file = checkout / "pyproject.toml"
    text = file.read_text("utf-8")
    line = f'version = "{version}"'
    updated = re.sub('^version = ".*"$', line, text, count=1, flags=re.MULTILINE)
    if updated != text:
        file.write_text(updated, "utf-8")
        git(checkout, "add", "--", file.name)
        git(checkout, "commit", "--quiet", "--message", f"Version {version}")


def prove(checkout: Path, command: Sequence[str]) -> None:
    """Run every test unless there is a complete record; raise `UserError` if there is none afterwards."""
    if not any(proof.find_problems(checkout)):
        return
    environment = os.environ | proof.SETTINGS
    done = subprocess.run(command, check=False, cwd=checkout, env=environment)
    if done.returncode:
        raise UserError(
            "the proof failed; see the output above. Nothing was tagged. Fix the "
            "failures first: a broken update loses the work of projects."
        )
    if problems := list(proof.find_problems(checkout)):
        raise UserError(f"the proof is incomplete. {'; '.join(problems)}.")


def find_problems(checkout: Path, version: str) -> Iterator[str]:
    """Yield why this version cannot be released, apart from the proof."""
    if uncommitted := git(checkout, "status", "--porcelain"):
        yield f"commit or stash these changes first:\n{uncommitted}"
    if missing := missing_releases(checkout):
        yield (
            f"this clone lacks the commits of {', '.join(missing)}. "
            "Run: git fetch --unshallow"
        )
    released = map(Version, recorded_releases(checkout))
    last = max(released, default=Version("0.0.0"))
    allowed = next_versions(last)
    if version not in allowed:
        yield f"after {last} comes {', '.join(allowed[:-1])} or {allowed[-1]}."
        return
    copier_settings = parse_settings((checkout / "copier.yml").read_text("utf-8"))
    questions = select_questions(copier_settings)
    yield from _changelog_problems(checkout, version, questions)
    changelog = (checkout / changes.CHANGELOG).read_text("utf-8")
    section = upgrading_section(changelog, version)
    for name in sorted(questions.keys() - _previous_questions(checkout)):
        if f"`{name}`" not in section:
            yield f"'### Upgrading' of {version} does not name the new question `{name}`."
    for migration in copier_settings["_migrations"]:
        if Version(str(migration["version"])) > Version(version):
            yield (
                f"copier.yml has a migration of {migration['version']}, which no update "
                f"to {version} would run."
            )


def _changelog_problems(
    checkout: Path, version: str, questions: dict[str, Any]
) -> Iterator[str]:
    """Yield what is missing or wrong in docs/changes/ and CHANGELOG.md."""
    changelog, file = (
        changes.render_changelog(checkout),
        f"{changes.FOLDER}/{version}.yml",
    )
    releases = changes.load_releases(checkout)
    if changes.UNRELEASED in releases:
        unreleased = f"{changes.FOLDER}/{changes.UNRELEASED}.yml"
        yield (
            f"{unreleased} has entries that belong to no release. "
            f"Run: git mv {unreleased} {file} && make examples"
        )
    if not upgrading_section(changelog, version):
        yield (
            f"{file} has no entry under `upgrading`. Say what an update changes, which "
            "questions are new and what they default to, and which files move."
        )
    for problem in changes.find_problems(releases.get(version, {}), questions):
        yield f"{file}: {problem}."
    if (checkout / changes.CHANGELOG).read_text("utf-8") != changelog:
        yield (
            f"{changes.CHANGELOG} does not match {changes.FOLDER}/. Run: make examples"
        )


def next_versions(last: Version) -> list[str]:
    """Return the versions that may follow: the next patch, minor and major version."""
    major, minor, patch = last.major, last.minor, last.micro
    return [
        f"{major}.{minor}.{patch + 1}",
        f"{major}.{minor + 1}.0",
        f"{major + 1}.0.0",
    ]


def upgrading_section(changelog: str, version: str) -> str:
    """Return the text under '### Upgrading' of a version; empty if there is none."""
    _, _, rest = f"\n{changelog}".partition(f"\n## {version}\n")
    release = re.split(r"^## ", rest, maxsplit=1, flags=re.MULTILINE)[0]
    _, _, rest = release.partition("\n### Upgrading\n")
    return re.split(r"^### ", rest, maxsplit=1, flags=re.MULTILINE)[0].strip()


def parse_settings(text: str) -> dict[str, Any]:
    """Parse the text of a copier.yml, without the org.yml that it includes at its end."""
    parsed: dict[str, Any] = yaml.safe_load(text.split("\n---\n")[0])
    return parsed


def select_questions(copier_settings: dict[str, Any]) -> dict[str, Any]:
    """Return the questions among the settings of a copier.yml."""
    return {
        name: value
        for name, value in copier_settings.items()
        if not name.startswith("_")
    }


def _previous_questions(checkout: Path) -> set[str]:
    """Return the names of the last release's questions; those of HEAD if there is no release."""
    tags = sorted(recorded_releases(checkout), key=Version)
    ref = tags[-1] if tags else "HEAD"
    text = git(checkout, "show", f"{ref}:copier.yml")
    return set(select_questions(parse_settings(text)))
