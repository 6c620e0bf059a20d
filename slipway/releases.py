"""The releases of a checkout: releases.txt records the commit of each, because a clone may lack the tags."""

import subprocess
from pathlib import Path

from slipway.errors import UserError
from slipway.git import git

RELEASES = "releases.txt"


def recorded_releases(checkout: Path) -> dict[str, str]:
    """Return the commit of each release by its tag, the oldest first."""
    file = checkout / RELEASES
    lines = file.read_text("utf-8").splitlines() if file.exists() else []
    pairs = (line.split() for line in lines if not line.startswith("#"))
    return {version: commit for version, commit in pairs}


def restore_tags(checkout: Path) -> list[str]:
    """Create the tags that this clone lacks but whose commits it has, and return them."""
    created = []
    for version, commit in recorded_releases(checkout).items():
        tagged = _resolve_commit(checkout, f"refs/tags/{version}")
        if tagged and tagged != commit:
            raise UserError(
                f"the tag {version} points to {tagged[:12]} here, but {RELEASES} "
                f"records {commit[:12]}. Ask whoever moved the tag why. To restore the "
                f"recorded commit: git tag --force {version} {commit}"
            )
        if not tagged and _resolve_commit(checkout, commit):
            git(checkout, "tag", version, commit)
            created.append(version)
    return created


def missing_releases(checkout: Path) -> list[str]:
    """Return the releases whose commits this clone lacks, as a shallow clone does."""
    return [
        version
        for version, commit in recorded_releases(checkout).items()
        if not _resolve_commit(checkout, commit)
    ]


def _resolve_commit(checkout: Path, name: str) -> str:
    """Return the hash of a tag's or a hash's commit; empty if there is no such commit."""
    done = subprocess.run(
        ["git", "rev-parse", "--quiet", "--verify", f"{name}^{{commit}}"],
        check=False,
        cwd=checkout,
        capture_output=True,
        text=True,
    )
    return done.stdout.strip()
