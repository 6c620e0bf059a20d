"""The record of a run that proved everything, which a release asks for."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slipway.git import git, listed

RECORD = ".tools/proof.json"
LEDGER = "tests/ledger"
COUNTS = {"MATRIX_SAMPLES": 20, "UPDATE_CASES": 300}
"""How much a release draws at least: what the nightly workflow draws, and more than `make prove`."""
SETTINGS = {"PROVE": "1", "REQUIRE_ALL": "1"} | {n: str(c) for n, c in COUNTS.items()}
"""The environment of a run that proves enough for a release."""


def tree(checkout: Path) -> str:
    """Return the id of what is committed, or nothing if the work tree has other changes than verdicts.

    A proof decides all verdicts itself, and writes them down.
    """
    if git(checkout, "status", "--porcelain", "--", ".", f":(exclude){LEDGER}"):
        return ""
    return git(checkout, "rev-parse", "HEAD^{tree}").strip()


def test_files(checkout: Path) -> set[str]:
    """The test files of a checkout: each has at least one test."""
    return set(listed(git(checkout, "ls-files", "-z", "tests/**test_*.py")))


def read(checkout: Path) -> dict[str, Any] | None:
    """The record; nothing if there is none, or none that can be read."""
    try:
        found = json.loads((checkout / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) else None


def objections(checkout: Path) -> Iterator[str]:
    """Why the record doesn't prove what is committed; nothing if it does."""
    found, here = read(checkout), tree(checkout)
    if found is None:
        yield f"{RECORD}: there is no record of a complete run"
        return
    if not here:
        yield "the work tree has changes, which no record covers"
    elif found.get("tree") != here:
        was = found.get("tree") or "a work tree with changes"
        yield f"{RECORD} is of {was}, and what is committed is {here}"
    for outcome in ("failed", "errors", "skipped"):
        if found.get(outcome) != 0:
            yield f"{RECORD}: {outcome} is {found.get(outcome)}, and must be 0"
    ran = found.get("ran")
    if left := sorted(test_files(checkout) - (ran.keys() if ran else set())):
        more = f" and {len(left) - 3} more" if len(left) > 3 else ""
        yield f"{RECORD}: no test ran of {', '.join(left[:3])}{more}"
    drawn = found.get("counts") or {}
    for name, least in COUNTS.items():
        if drawn.get(name, 0) < least:
            yield f"{RECORD}: {name} was {drawn.get(name, 0)}, and must be {least} or more"
