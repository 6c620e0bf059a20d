"""Releases: releases.txt names the commit of each, for a clone may come without tags."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

from slipway.git import git
from slipway.refusal import Refusal

RELEASES = "releases.txt"


def recorded(checkout: Path) -> dict[str, str]:
    """Each release and its commit, the oldest first."""
    file = checkout / RELEASES
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    pairs = (line.split() for line in lines if not line.startswith("#"))
    return {version: commit for version, commit in pairs}


def restore(checkout: Path) -> Iterator[str]:
    """Make the tags that are missing here, of the commits that are here; those made."""
    for version, commit in recorded(checkout).items():
        tagged = _commit(checkout, f"refs/tags/{version}")
        if tagged and tagged != commit:
            raise Refusal(
                f"the tag {version} is on {tagged[:12]} here, and {RELEASES} says "
                f"{commit[:12]}. Whoever moved it must say why; to take {RELEASES} at "
                f"its word: git tag --force {version} {commit}"
            )
        if not tagged and _commit(checkout, commit):
            git(checkout, "tag", version, commit)
            yield version


def absent(checkout: Path) -> list[str]:
    """Releases whose commits this clone does not hold."""
    known = recorded(checkout).items()
    return [version for version, commit in known if not _commit(checkout, commit)]


def _commit(checkout: Path, name: str) -> str:
    """The commit of that name; empty if there is none."""
    return _asked(checkout, "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}")


def _asked(checkout: Path, *arguments: str) -> str:
    """What git says; nothing where it fails."""
    done = subprocess.run(
        ["git", *arguments], check=False, cwd=checkout, capture_output=True, text=True
    )
    return done.stdout.strip()
