"""Conflicts of an update: their sides are named, one side of a hunk is kept, and nothing else is touched."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from slipway.tools import load_tool
from tests import quick

tmp_path = quick.tmp_path
conflicts = load_tool("conflicts")
COPIERS = ("before updating", "last update", "after updating")
"""Copier's labels of your side, the version before, and the release's side."""
COPIER = b"""\
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


def three(count: int, gap: int = 4) -> tuple[bytes, bytes, bytes]:
    """A file as it was, as its owner has it, and as a release has it: so many conflicts, and changes between them."""
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


def merged(folder: Path, sides: Iterable[bytes], *options: str) -> bytes:
    """As Copier merges: by `git merge-file`, whose exit code counts the conflicts."""
    for name, content in zip(("old", "mine", "new"), sides, strict=True):
        (folder / name).write_bytes(content)
    labels = [word for label in COPIERS for word in ("-L", label)]
    command = ["git", "merge-file", "-p", *labels, *options, "mine", "old", "new"]
    done = subprocess.run(command, check=False, cwd=folder, capture_output=True)
    assert done.returncode < 128, done.stderr
    return done.stdout


def settled(content: bytes, side: str) -> bytes:
    """Every hunk settled the same way, by the numbers that were there at first."""
    for number in [hunk.number for hunk in conflicts.hunks(content)]:
        content = conflicts.taken(content, side, number, "1.1.0")
    return bytes(content)


FAVOURS = {"yours": "--ours", "slipway": "--theirs", "both": "--union"}


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("style", ["", "--diff3", "--zdiff3"])
@pytest.mark.parametrize("count", [1, 2, 3, 130])
@pytest.mark.parametrize("side", FAVOURS)
def test_each_hunk_is_settled_as_git_would(
    tmp_path: Path, side: str, count: int, style: str, ending: bytes
) -> None:
    """With two conflicts and more, of which aegis-stack #772 lost all: merge-file's exit code is their number."""
    sides = [content.replace(b"\n", ending) for content in three(count)]
    style_options = [style] if style else []
    found = merged(tmp_path, sides, *style_options)
    assert len(conflicts.hunks(found)) == count
    named = conflicts.labelled(found, "1.1.0")
    assert named.count(b">>>>>>> Slipway 1.1.0, hunk ") == count
    assert named.count(ending) == named.count(b"\n")
    wanted = merged(tmp_path, sides, FAVOURS[side])
    assert settled(found, side) == settled(named, side) == wanted


def test_the_sides_are_named_and_numbered() -> None:
    named = conflicts.labelled(COPIER, "0.3.0")
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
    assert conflicts.labelled(COPIER, "v0.3.0") == named


def test_in_a_makefile_the_marks_are_comments(tmp_path: Path) -> None:
    (tmp_path / "Makefile").write_bytes(COPIER)
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
    # So they are in one that an older tool left bare, as soon as a hunk is settled.
    bare = conflicts.taken(COPIER, "yours", 1, "0.3.0", comment=True)
    assert bare.count(b"# ") == 3 and b"# >>>>>>> Slipway 0.3.0, hunk 2\n" in bare
    content = (tmp_path / "Makefile").read_bytes()
    assert settled(content, "slipway") == b"first\ntheirs 1\nbetween\nlast\n"


@pytest.mark.parametrize("place", ["first\n", "mine 1\n", "theirs 1\n"])
def test_in_a_command_of_several_lines_the_marks_are_no_comments(place: str) -> None:
    """There a comment would end the command, and make would run half of it."""
    content = COPIER.decode().replace(place, place.replace("\n", " \\\n")).encode()
    named = conflicts.labelled(content, "0.3.0", comment=True)
    assert named == conflicts.labelled(content, "0.3.0")
    assert b"\n<<<<<<< yours, hunk 1\n" in named
    rest = conflicts.taken(content, "yours", 1, "0.3.0", comment=True)
    assert (
        b"\n# <<<<<<< yours, hunk 2\n" in rest
    ), "the other hunk is between whole lines"


def test_marks_of_copier_that_are_comments_are_settled() -> None:
    marks = re.compile(rb"^(?=<<<|===|>>>)", re.MULTILINE)
    content = marks.sub(b"# ", COPIER)
    assert content.count(b"# ") == 6
    assert settled(content, "yours") == b"first\nmine 1\nbetween\nmine 2\nlast\n"


def test_a_hunk_keeps_its_number_when_others_are_settled() -> None:
    """Else a list of numbers that was printed once would lead to the wrong hunks."""
    one = conflicts.taken(COPIER, "slipway", 1, "0.3.0")
    assert [hunk.number for hunk in conflicts.hunks(one)] == [2]
    assert conflicts.taken(one, "yours", 2, "0.3.0") == (
        b"first\ntheirs 1\nbetween\nmine 2\nlast\n"
    )
    with pytest.raises(ValueError, match=r"no hunk 1, but 2 \(line 4\)"):
        conflicts.taken(one, "yours", 1, "0.3.0")


def test_a_comment_like_a_mark_is_no_mark() -> None:
    text = COPIER.replace(b"mine 1\n", b"# =======\n# mine 1\n# =======\n")
    assert conflicts.taken(text, "yours", 1, "0.3.0").startswith(
        b"first\n# =======\n# mine 1\n# =======\nbetween\n"
    )


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (b"", b"", r"it has the hunks 1 \(line 2\), 2 \(line 8\): say which"),
        (b"mine 1\n", b"Title\n=======\n", "line 2: it is not clear where your side"),
        (b"mine 1\n=======\n", b"mine 1\n", "line 2: it is not clear where your side"),
        (b"theirs 1\n>>>>>>> after updating\n", b"", "line 2: this mark has no end"),
        (b">>>>>>> after updating\nlast", b"last", "line 8: this mark has no end"),
        (b"before updating", b"HEAD", "an update left no conflict in it"),
    ],
)
def test_what_is_not_clear_is_refused(old: bytes, new: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        conflicts.taken(COPIER.replace(old, new) if old else COPIER, "yours", None, "1")


def test_marks_that_are_not_clear_stay_as_they_are(tmp_path: Path) -> None:
    content = COPIER.replace(b"mine 1\n", b"Title\n=======\n")
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
def test_each_mark_that_is_left_is_found(text: str, places: list[int]) -> None:
    """Half a mark is no conflict to git, and breaks the file all the same."""
    before = b"Title\n=======\nAnother line.\n"
    assert [n for n, _ in conflicts.left(text.encode(), before)] == places
