"""The expected result for a file that both its owner and a release changed.

It is composed from the two sets of changes. Only the position of the changes comes from git.
"""

import re
import subprocess
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests import quick

MARKERS = (b"<<<<<<< before updating", b">>>>>>> after updating")
Lines = Sequence[bytes]


@dataclass(frozen=True)
class Change:
    """A range of lines, and the lines that replace it."""

    start: int
    end: int
    lines: tuple[bytes, ...]
    low: int
    high: int
    """The range in which the same change could be placed: next to equal lines, its position is ambiguous."""

    def touches(self, other: "Change") -> bool:
        """Return whether there may be no unchanged line between the two."""
        return self.low <= other.high and other.low <= self.high


def create_change(before: Lines, start: int, end: int, lines: Lines) -> Change:
    """Return a change with its ambiguous range: an added blank line may be any of those around it."""
    low, high = start, end
    sliding = list(lines) if start == end else before[start:end]
    # Only a pure insertion or deletion can slide.
    if not (lines and end > start):
        while low > 0 and before[low - 1] == sliding[(low - 1 - start) % len(sliding)]:
            low -= 1
        while (
            high < len(before) and before[high] == sliding[(high - end) % len(sliding)]
        ):
            high += 1
    return Change(start, end, tuple(lines), low, high)


def find_changes(old: bytes, new: bytes) -> list[Change]:
    """Return the changes between two versions of a file, in order, as git finds them."""
    if (old, new) not in _cache:
        compare([(old, new)])
    return _cache[old, new]


_cache: dict[tuple[bytes, bytes], list[Change]] = {}
HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
DIFF = ("git", "diff", "--no-index", "--unified=0", "--diff-algorithm=myers", "--text")


def compare(pairs: Iterable[tuple[bytes, bytes]]) -> None:
    """Find the changes of many pairs with one git process, and cache them for `find_changes`."""
    missing = [pair for pair in dict.fromkeys(pairs) if pair not in _cache]
    with quick.folder() as place:
        for number, pair in enumerate(missing):
            for side, content in zip(("old", "new"), pair, strict=True):
                (Path(place) / side).mkdir(exist_ok=True)
                (Path(place) / side / str(number)).write_bytes(content)
        done = subprocess.run(
            [*DIFF, "old", "new"], check=False, cwd=place, capture_output=True
        )
        assert done.returncode in (0, 1), done.stderr
    _cache.update({pair: [] for pair in missing})
    for text in done.stdout.split(b"diff --git a/old/")[1:]:
        old, new = missing[int(text.split(maxsplit=1)[0])]
        before, after = old.splitlines(True), new.splitlines(True)
        for line in text.splitlines():
            if match := HUNK.match(line):
                numbers = (int(number or 1) for number in match.groups())
                old_start, removed, new_start, added = numbers
                # Git counts lines from 1, but names the line before an empty range.
                start = old_start - 1 if removed else old_start
                new_start = new_start - 1 if added else new_start
                lines = after[new_start : new_start + added]
                found = create_change(before, start, start + removed, lines)
                _cache[old, new].append(found)


def merge(old: bytes, mine: bytes, theirs: bytes) -> bytes | None:
    """Return the file with both sides' changes; None if two of them touch."""
    ours, others = find_changes(old, mine), find_changes(old, theirs)
    if any(one.touches(other) for one in ours for other in others):
        return None
    lines = old.splitlines(True)
    # From the end, so that the remaining line numbers stay valid.
    for change in sorted(ours + others, key=lambda c: c.start, reverse=True):
        lines[change.start : change.end] = change.lines
    return b"".join(lines)


def added_lines(old: bytes | None, new: bytes | None) -> set[bytes]:
    """Return the lines that only the new version has, without those of punctuation alone."""
    lines = set((new or b"").splitlines()) - set((old or b"").splitlines())
    return {line for line in lines if any(chr(byte).isalnum() for byte in line)}


def has_conflict(content: bytes) -> bool:
    """Return whether a file contains both markers of a conflict."""
    lines = {line.rstrip() for line in content.splitlines()}
    return lines.issuperset(MARKERS)


def find_loss(old: bytes, mine: bytes, theirs: bytes, result: bytes | None) -> str:
    """Return what the result of an update lost; empty if nothing."""
    if result is None:
        return "the file is lost"
    if old == theirs or mine == theirs:
        return "" if result == mine else "the owner's text was changed"
    if old == mine:
        return "" if result == theirs else "it differs from that of a fresh project"
    both = merge(old, mine, theirs)
    if both is not None:
        return (
            "" if result == both else "edits away from the release's changes are lost"
        )
    for whose, side in (("the owner's", mine), ("the release's", theirs)):
        if missing := added_lines(old, side) - set(result.splitlines()):
            return f"{whose} line {min(missing)!r} is lost"
    return ""
