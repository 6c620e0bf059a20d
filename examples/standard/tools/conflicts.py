"""Conflicts that an update leaves in a file: name their sides, keep one side of a hunk, find what is left."""

import re
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

SIDES = ("yours", "slipway", "both")
"""What can be kept of a hunk; "both" keeps your lines, then Slipway's."""

# Copier's labels, those of `git checkout --merge`, and ours, which have the hunk's number.
START = re.compile(rb"(# )?<{7} (?:before updating|ours|yours)(?:, hunk (\d+))?\r?\n?")
BASE = re.compile(rb"(?:# )?\|{7}(?: .*)?\r?\n?")
MIDDLE = re.compile(rb"(?:# )?={7}\r?\n?")
END = re.compile(rb"(?:# )?>{7} (?:after updating|theirs|Slipway .*?)(?:, hunk \d+)?\r?\n?")
MARK = re.compile(rb"(?:# )?(?:<{7} .*|\|{7} .*|={7}|>{7} .*)")


@dataclass(frozen=True)
class Hunk:
    """A conflict in a file: its number, and the places of its marks among the lines."""

    number: int
    start: int
    middle: int
    end: int
    base: int | None
    """The mark before the lines as they were, which `merge.conflictStyle=diff3` adds."""


def lines_of(content: bytes) -> list[bytes]:
    """Split at newlines alone: a carriage return belongs to its line."""
    return re.findall(rb"[^\n]*\n|[^\n]+", content)


def hunks(content: bytes) -> list[Hunk]:
    """Return the conflicts that an update left; ValueError names a mark that does not fit."""
    lines, found, place = lines_of(content), list[Hunk](), 0
    while place < len(lines):
        if start := START.fullmatch(lines[place]):
            found.append(_hunk(lines, place, start, len(found) + 1))
            place = found[-1].end
        place += 1
    return found


def _hunk(lines: list[bytes], place: int, start: re.Match[bytes], count: int) -> Hunk:
    end = next((n for n in range(place + 1, len(lines)) if END.fullmatch(lines[n])), None)
    if end is None or any(map(START.fullmatch, lines[place + 1 : end])):
        raise ValueError(f"line {place + 1}: this mark has no end: edit the file by hand")
    # Marks are comments together or not at all: `# =======` is often a comment of its own.
    inside = [n for n in range(place + 1, end) if lines[n].startswith(b"# ") == bool(start[1])]
    bases = [n for n in inside if BASE.fullmatch(lines[n])]
    middles = [n for n in inside if MIDDLE.fullmatch(lines[n])]
    if len(middles) != 1 or len(bases) > 1:
        raise ValueError(
            f"line {place + 1}: it is not clear where your side of this hunk ends: edit the file by hand"
        )
    return Hunk(int(start[2] or count), place, middles[0], end, bases[0] if bases else None)


def labelled(content: bytes, version: str, comment: bool = False) -> bytes:
    """Name the sides in the marks, and number the hunks; in a comment where make reads the file."""
    lines, found = lines_of(content), hunks(content)
    marks = [
        place for hunk in found for place in (hunk.start, hunk.middle, hunk.end, hunk.base or hunk.start)
    ]
    # A comment after a backslash would end a command half way. Bare marks stop make before it runs anything.
    comment = comment and not any(
        lines[place - 1].rstrip(b"\r\n").endswith(b"\\") for place in marks if place
    )
    version = version.removeprefix("v")
    for hunk in found:
        names = {
            hunk.start: f"<<<<<<< yours, hunk {hunk.number}",
            hunk.middle: "=======",
            hunk.end: f">>>>>>> Slipway {version}, hunk {hunk.number}",
        }
        if hunk.base is not None:
            names[hunk.base] = f"||||||| before both changes, hunk {hunk.number}"
        for place, name in names.items():
            ending = lines[place][len(lines[place].rstrip(b"\r\n")) :]
            behind = comment or lines[place].startswith(b"# ")
            lines[place] = b"# " * behind + name.encode() + ending
    return b"".join(lines)


def name_sides(project: Path, paths: Iterable[str], version: str) -> None:
    """Label the conflicts in these files. In a Makefile the marks become comments: make still runs."""
    for file in filter(Path.is_file, (project / path for path in paths)):
        with suppress(ValueError):  # its marks stay as Copier wrote them
            file.write_bytes(labelled(file.read_bytes(), version, comment=file.name == "Makefile"))


def taken(content: bytes, side: str, number: int | None, version: str, comment: bool = False) -> bytes:
    """Keep a side of one hunk; ValueError says why that cannot be done."""
    # Numbered first, else each hunk that is settled would give the next one its number.
    content = labelled(content, version, comment)
    found = {hunk.number: hunk for hunk in hunks(content)}
    there = ", ".join(f"{n} (line {hunk.start + 1})" for n, hunk in found.items())
    if not found:
        raise ValueError("an update left no conflict in it")
    if number is None and len(found) > 1:
        raise ValueError(f"it has the hunks {there}: say which with HUNK=")
    hunk = found.get(next(iter(found)) if number is None else number)
    if hunk is None:
        raise ValueError(f"it has no hunk {number}, but {there}")
    lines = lines_of(content)
    yours = lines[hunk.start + 1 : hunk.base or hunk.middle]
    slipways = lines[hunk.middle + 1 : hunk.end]
    lines[hunk.start : hunk.end + 1] = {"yours": yours, "slipway": slipways, "both": yours + slipways}[side]
    return labelled(b"".join(lines), version, comment)


def endings_differ(content: bytes) -> bool:
    """Whether the sides of a hunk differ in how their lines end, so that hardly any line is the same."""
    lines = lines_of(content)
    sides = [(hunk.base or hunk.middle, hunk.start, hunk.end, hunk.middle) for hunk in hunks(content)]
    return any(
        any(line.endswith(b"\r\n") for line in lines[start + 1 : yours])
        != any(line.endswith(b"\r\n") for line in lines[middle + 1 : end])
        for yours, start, end, middle in sides
        if yours - start > 1 and end - middle > 1
    )


def left(content: bytes, before: bytes) -> list[tuple[int, str]]:
    """Return the lines that are marks of a conflict, unless the file had as many like them before."""
    lines = [line.rstrip(b"\r\n") for line in lines_of(content)]
    had = Counter(line.rstrip(b"\r\n") for line in lines_of(before))
    now = Counter(lines)
    found = ((n, line) for n, line in enumerate(lines, 1) if MARK.fullmatch(line) and now[line] > had[line])
    return [(n, line.decode(errors="replace")) for n, line in found]
