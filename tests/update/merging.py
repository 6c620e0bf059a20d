"""What must become of a file that its owner edited and a release changed.

Composed here from the two sets of changes. Only where the changes are is git's to say.
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
    """Lines of a file, from one place up to another, and what they became."""

    start: int
    end: int
    lines: tuple[bytes, ...]
    low: int
    high: int
    """Where else the same change can be seen to be: beside lines like its own."""

    def touches(self, other: "Change") -> bool:
        """Whether no line that neither changed lies surely between them."""
        return self.low <= other.high and other.low <= self.high


def change(before: Lines, start: int, end: int, lines: Lines) -> Change:
    """A change, and how far it slides: a blank line more may be any of those around it."""
    low, high = start, end
    moving = list(lines) if start == end else before[start:end]
    if not (lines and end > start):
        while low > 0 and before[low - 1] == moving[(low - 1 - start) % len(moving)]:
            low -= 1
        while high < len(before) and before[high] == moving[(high - end) % len(moving)]:
            high += 1
    return Change(start, end, tuple(lines), low, high)


def changes(old: bytes, new: bytes) -> list[Change]:
    """What became of a file, in order: which lines stayed is git's to say."""
    if (old, new) not in _known:
        compare([(old, new)])
    return _known[old, new]


_known: dict[tuple[bytes, bytes], list[Change]] = {}
HUNK = re.compile(rb"@@ -(\d+)(?:,(\d+))? \+(\d+)(?:,(\d+))? @@")
DIFF = ("git", "diff", "--no-index", "--unified=0", "--diff-algorithm=myers", "--text")


def compare(pairs: Iterable[tuple[bytes, bytes]]) -> None:
    """Find what became of many files at once, by one process."""
    asked = [pair for pair in dict.fromkeys(pairs) if pair not in _known]
    with quick.folder() as place:
        for number, pair in enumerate(asked):
            for side, content in zip(("old", "new"), pair, strict=True):
                (Path(place) / side).mkdir(exist_ok=True)
                (Path(place) / side / str(number)).write_bytes(content)
        done = subprocess.run(
            [*DIFF, "old", "new"], check=False, cwd=place, capture_output=True
        )
        assert done.returncode in (0, 1), done.stderr
    _known.update({pair: [] for pair in asked})
    for text in done.stdout.split(b"diff --git a/old/")[1:]:
        old, new = asked[int(text.split(maxsplit=1)[0])]
        before, after = old.splitlines(True), new.splitlines(True)
        for line in text.splitlines():
            if found := HUNK.match(line):
                i, gone, k, came = (int(number or 1) for number in found.groups())
                # Where no line is, git names the line before.
                i, k = i - bool(gone), k - bool(came)
                made = change(before, i, i + gone, after[k : k + came])
                _known[old, new].append(made)


def merged(old: bytes, mine: bytes, theirs: bytes) -> bytes | None:
    """The file with both sides' changes; nothing where one touches the other."""
    ours, others = changes(old, mine), changes(old, theirs)
    if any(one.touches(other) for one in ours for other in others):
        return None
    lines = old.splitlines(True)
    for made in sorted(ours + others, key=lambda c: c.start, reverse=True):
        lines[made.start : made.end] = made.lines
    return b"".join(lines)


def added(old: bytes | None, new: bytes | None) -> set[bytes]:
    """The lines that a file has and had not; those without a letter say nothing."""
    lines = set((new or b"").splitlines()) - set((old or b"").splitlines())
    return {line for line in lines if any(chr(byte).isalnum() for byte in line)}


def marked(content: bytes) -> bool:
    """Whether a file shows a conflict, both ends of it."""
    lines = {line.rstrip() for line in content.splitlines()}
    return lines.issuperset(MARKERS)


def loss(old: bytes, mine: bytes, theirs: bytes, result: bytes | None) -> str:
    """What is wrong with the result of an update; empty if nothing is."""
    if result is None:
        return "it is gone"
    if old == theirs or mine == theirs:
        return "" if result == mine else "the edits are not as they were"
    if old == mine:
        return "" if result == theirs else "it is not as a fresh one is"
    both = merged(old, mine, theirs)
    if both is not None:
        return "" if result == both else "edits that touch nothing did not come through"
    for whose, side in (("the owner's", mine), ("the release's", theirs)):
        if missing := added(old, side) - set(result.splitlines()):
            return f"{whose} line {min(missing)!r} has vanished"
    return ""
