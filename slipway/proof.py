"""The record of a complete test run, which a release requires. tests/record.py writes it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from slipway.git import git, split_paths

RECORD = ".tools/proof.json"
LEDGER = "tests/ledger"
COUNTS = {"MATRIX_SAMPLES": 20, "UPDATE_CASES": 300}
"""The smallest numbers of random cases for a release: those of the nightly workflow, more than `make prove`."""
SETTINGS = {"PROVE": "1", "REQUIRE_ALL": "1"} | {n: str(c) for n, c in COUNTS.items()}
"""The environment of a run that is sufficient for a release."""


def committed_tree(checkout: Path) -> str:
    """Return the id of the committed tree; empty if other files than the ledger have changed.

    A proof decides all verdicts itself, and writes them to the ledger.
    """
    if git(checkout, "status", "--porcelain", "--", ".", f":(exclude){LEDGER}"):
        return ""
    return git(checkout, "rev-parse", "HEAD^{tree}").strip()


def list_test_files(checkout: Path) -> set[str]:
    """Return the paths of the committed test files, each of which has at least one test."""
    return set(split_paths(git(checkout, "ls-files", "-z", "tests/**test_*.py")))


def read_record(checkout: Path) -> dict[str, Any] | None:
    """Return the record; None if it is missing or unreadable."""
    try:
        record = json.loads((checkout / RECORD).read_text("utf-8"))
    except (OSError, ValueError):
        return None
    return record if isinstance(record, dict) else None


def find_problems(checkout: Path) -> Iterator[str]:
    """Yield why the record does not prove the committed tree; nothing if it does."""
    record = read_record(checkout)
    if record is None:
        yield f"{RECORD}: there is no record of a complete run"
        return
    tree = committed_tree(checkout)
    if not tree:
        yield "the work tree has uncommitted changes, which no record covers"
    elif record.get("tree") != tree:
        recorded = record.get("tree") or "a work tree with uncommitted changes"
        yield f"{RECORD} describes {recorded}, but the committed tree is {tree}"
    for outcome in ("failed", "errors", "skipped"):
        if record.get(outcome) != 0:
            yield f"{RECORD}: {outcome} is {record.get(outcome)}, and must be 0"
    files_run = set(record.get("ran") or ())
    if not_run := sorted(list_test_files(checkout) - files_run):
        more = f" and {len(not_run) - 3} more" if len(not_run) > 3 else ""
        yield f"{RECORD}: no test ran in {', '.join(not_run[:3])}{more}"
    counts = record.get("counts") or {}
    for name, minimum in COUNTS.items():
        count = counts.get(name, 0)
        if count < minimum:
            yield f"{RECORD}: {name} was {count}, and must be at least {minimum}"
