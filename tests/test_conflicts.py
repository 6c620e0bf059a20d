"""tools/conflicts.py: it labels the sides of a conflict, and keeps one side of a hunk without changing anything else."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from slipway.tools import load_tool
from tests import quick

tmp_path = quick.tmp_path
conflicts = load_tool("conflicts")
COPIER_LABELS = ("before updating", "last update", "after updating")
"""Copier's labels for the owner's side, the common version and the release's side."""
CONFLICTS = b"""\
first
<<<<<<< before updating
mine 1
=======
theirs 1
>>>>>>> after updating
between
<<<<<<< before updating
mine 2
=======
>>>>>>> after updating
last
"""


def three_versions(count: int, gap: int = 4) -> tuple[bytes, bytes, bytes]:
    """Return the old, the owner's and the release's version of a file, with so many conflicts and other changes."""
    old, mine, new = list[str](), list[str](), list[str]()
    for number in range(count):
        same = [f"line {number}.{n}" for n in range(gap)]
        old += [*same, f"old {number}", "only"]
        mine += [*same, f"mine {number}", f"mine too {number}", "only"]
        new += [*same, f"new {number}", "only"]
    return (
        "".join(f"{line}\n" for line in old).encode(),
        "".join(f"{line}\n" for line in [*mine, "mine at the end"]).encode(),
        "".join(f"{line}\n" for line in ["new at the start", *new]).encode(),
    )


def merge(folder: Path, sides: Iterable[bytes], *options: str) -> bytes:
    """Merge as Copier does, by `git merge-file`, whose exit code is the number of conflicts."""
    for name, content in zip(("old", "mine", "new"), sides, strict=True):
        (folder / name).write_bytes(content)
    labels = [word for label in COPIER_LABELS for word in ("-L", label)]
    command = ["git", "merge-file", "-p", *labels, *options, "mine", "old", "new"]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True)
    assert done.returncode < 128, done.stderr
    return done.stdout


def resolve_all(content: bytes, side: str) -> bytes:
    """Keep one side of every hunk, by the numbers of the original hunks."""
    for number in [hunk.number for hunk in conflicts.hunks(content)]:
        content = conflicts.taken(content, side, number, "1.1.0")
    return bytes(content)


MERGE_OPTIONS = {"yours": "--ours", "slipway": "--theirs", "both": "--union"}


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("style", ["", "--diff3", "--zdiff3"])
@pytest.mark.parametrize("count", [1, 2, 3, 130])
@pytest.mark.parametrize("side", MERGE_OPTIONS)
def test_each_hunk_is_resolved_as_git_would(
    tmp_path: Path, side: str, count: int, style: str, ending: bytes
) -> None:
    """aegis-stack #772 lost a file with two conflicts, because it read the exit code, their number, as a failure."""
    sides = [content.replace(b"\n", ending) for content in three_versions(count)]
    style_options = [style] if style else []
    conflicted = merge(tmp_path, sides, *style_options)
    assert len(conflicts.hunks(conflicted)) == count
    named = conflicts.labelled(conflicted, "1.1.0")
    assert named.count(b">>>>>>> Slipway 1.1.0, hunk ") == count
    assert named.count(ending) == named.count(b"\n")
    expected = merge(tmp_path, sides, MERGE_OPTIONS[side])
    assert resolve_all(conflicted, side) == resolve_all(named, side) == expected


def test_the_sides_are_named_and_numbered() -> None:
    named = conflicts.labelled(CONFLICTS, "0.3.0")
    assert named.decode().splitlines() == [
        "first",
        "<<<<<<< yours, hunk 1",
        "mine 1",
        "=======",
        "theirs 1",
        ">>>>>>> Slipway 0.3.0, hunk 1",
        "between",
        "<<<<<<< yours, hunk 2",
        "mine 2",
        "=======",
        ">>>>>>> Slipway 0.3.0, hunk 2",
        "last",
    ]
    assert conflicts.labelled(named, "0.3.0") == named
    assert conflicts.labelled(CONFLICTS, "v0.3.0") == named


def test_marks_in_a_makefile_are_comments(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_bytes(CONFLICTS)
    conflicts.name_sides(tmp_path, ["Makefile", "gone"], "0.3.0")
    lines = (tmp_path / "Makefile").read_text().splitlines()
    assert [line for line in lines if line.startswith("# ")] == [
        "# <<<<<<< yours, hunk 1",
        "# =======",
        "# >>>>>>> Slipway 0.3.0, hunk 1",
        "# <<<<<<< yours, hunk 2",
        "# =======",
        "# >>>>>>> Slipway 0.3.0, hunk 2",
    ]
    # Resolving a hunk also comments the marks that an older tool left bare.
    bare = conflicts.taken(CONFLICTS, "yours", 1, "0.3.0", comment=True)
    assert bare.count(b"# ") == 3 and b"# >>>>>>> Slipway 0.3.0, hunk 2\n" in bare
    content = (tmp_path / "Makefile").read_bytes()
    assert resolve_all(content, "slipway") == b"first\ntheirs 1\nbetween\nlast\n"


@pytest.mark.parametrize("place", ["first\n", "mine 1\n", "theirs 1\n"])
def test_marks_within_a_multiline_command_are_no_comments(place: str) -> None:
    """A comment would end the command there, and make would run half of it."""
    content = CONFLICTS.decode().replace(place, place.replace("\n", " \\\n")).encode()
    named = conflicts.labelled(content, "0.3.0", comment=True)
    assert named == conflicts.labelled(content, "0.3.0")
    assert b"\n<<<<<<< yours, hunk 1\n" in named
    rest = conflicts.taken(content, "yours", 1, "0.3.0", comment=True)
    assert (
        b"\n# <<<<<<< yours, hunk 2\n" in rest
    ), "the other hunk is between complete commands"


def test_commented_marks_of_copier_are_resolved() -> None:
    marks = re.compile(rb"^(?=<<<|===|>>>)", re.MULTILINE)
    content = marks.sub(b"# ", CONFLICTS)
    assert content.count(b"# ") == 6
    assert resolve_all(content, "yours") == b"first\nmine 1\nbetween\nmine 2\nlast\n"


def test_a_hunk_keeps_its_number_when_others_are_resolved() -> None:
    """Otherwise a list printed earlier would point to the wrong hunks."""
    one = conflicts.taken(CONFLICTS, "slipway", 1, "0.3.0")
    assert [hunk.number for hunk in conflicts.hunks(one)] == [2]
    assert conflicts.taken(one, "yours", 2, "0.3.0") == (
        b"first\ntheirs 1\nbetween\nmine 2\nlast\n"
    )
    with pytest.raises(ValueError, match=r"no hunk 1, but 2 \(line 4\)"):
        conflicts.taken(one, "yours", 1, "0.3.0")


def test_a_comment_like_a_mark_is_no_mark() -> None:
    text = CONFLICTS.replace(b"mine 1\n", b"# =======\n# mine 1\n# =======\n")
    assert conflicts.taken(text, "yours", 1, "0.3.0").startswith(
        b"first\n# =======\n# mine 1\n# =======\nbetween\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"", b"", r"it has the hunks 1 \(line 2\), 2 \(line 8\): say which"),
        (b"mine 1\n", b"Title\n=======\n", "line 2: it is not clear where your side"),
        (b"mine 1\n=======\n", b"mine 1\n", "line 2: it is not clear where your side"),
        (b"theirs 1\n>>>>>>> after updating\n", b"", "line 2: this mark has no end"),
        (b">>>>>>> after updating\nlast", b"last", "line 8: this mark has no end"),
        (b"before updating", b"HEAD", "an update left no conflict in it"),
    ],
)
def test_an_ambiguous_hunk_is_refused(old: bytes, new: bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        conflicts.taken(
            CONFLICTS.replace(old, new) if old else CONFLICTS, "yours", None, "1"
        )


def test_ambiguous_marks_are_not_changed(tmp_path: Path) -> None:
    content = CONFLICTS.replace(b"mine 1\n", b"Title\n=======\n")
    (tmp_path / "README.md").write_bytes(content)
    conflicts.name_sides(tmp_path, ["README.md"], "0.3.0")
    assert (tmp_path / "README.md").read_bytes() == content


@pytest.mark.parametrize(
    ("text", "places"),
    [
        ("Title\n=======\n", []),
        ("Title\n=======\nmine\n=======\n", [2, 4]),
        ("Title\n=======\n>>>>>>> Slipway 0.3.0, hunk 2\n", [3]),
        ("# <<<<<<< yours, hunk 1\r\n", [1]),
        ("||||||| before both changes, hunk 1\n", [1]),
        ("<<<<<<< HEAD\n", [1]),
        ("    <<<<<<< HEAD\n>>> 1\n========\n", []),
    ],
)
def test_each_remaining_mark_is_found(text: str, places: list[int]) -> None:
    """A single mark is no conflict to git, but it breaks the file."""
    before = b"Title\n=======\nAnother line.\n"
    assert [n for n, _ in conflicts.left(text.encode(), before)] == places
