"""The judge finds each kind of loss; otherwise the cases would prove nothing."""

from dataclasses import replace

import pytest

from tests.rendering import Tree
from tests.update.judge import Update
from tests.update.merging import find_changes, merge

TEXT = b"".join(b"line %d\n" % number for number in range(12))
MARKED = (
    b"<<<<<<< before updating\nline mine\n=======\nline new\n>>>>>>> after updating\n"
)


def update(**result: bytes | None) -> Update:
    """Return a correct update of a project with each kind of edit, with some results replaced."""
    old: Tree = {
        "clean": TEXT,
        "apart": TEXT,
        "same": b"line 0\n",
        "yours": TEXT,
        "deleted": TEXT,
        "moved": TEXT,
        "mine_alone": TEXT,
    }
    mine = old | {
        "apart": TEXT + b"mine\n",
        "same": b"line mine\n",
        "moved": TEXT + b"mine too\n",
        "mine_alone": b"all mine\n",
        "new": b"new of mine\n",
    }
    del mine["deleted"]
    release = TEXT.replace(b"line 1\n", b"line one\n")
    fresh = {
        "clean": release,
        "apart": release,
        "same": b"line new\n",
        "yours": release,
        "deleted": release,
        "there": release,
        "mine_alone": TEXT,
    }
    right: Tree = {
        "clean": release,
        "apart": release + b"mine\n",
        "same": MARKED,
        "yours": TEXT,
        "there": TEXT + b"mine too\n" + MARKED,
        "mine_alone": b"all mine\n",
        "new": b"new of mine\n",
    }
    files = {p: text for p, text in (right | result).items() if text is not None}
    unmerged = frozenset({"same", "there"})
    return Update(old, mine, files, fresh, unmerged, lambda path: path == "yours")


def test_a_correct_update_has_no_problems() -> None:
    assert list(update().problems()) == []


@pytest.mark.parametrize(
    ("path", "result", "message"),
    [
        ("clean", TEXT, "it differs from that of a fresh project"),
        ("clean", None, "it differs from that of a fresh project"),
        ("apart", TEXT + b"mine\n", "edits away from the release's changes are lost"),
        ("apart", TEXT, "edits away from the release's changes are lost"),
        ("apart", None, "the file is lost"),
        ("same", b"line mine\n", "the release's line b'line new' is lost"),
        ("same", b"line new\n", "the owner's line b'line mine' is lost"),
        ("yours", TEXT + b"\n", "a file of yours was changed"),
        ("deleted", TEXT, "the deleted file was restored"),
        ("there", TEXT, "it differs from that of a fresh project"),
        ("there", None, "the owner's line b'mine too' is lost"),
        ("mine_alone", TEXT, "the owner's text was changed"),
        ("new", None, "the owner's own file was changed"),
        ("stray", b"stray\n", "it differs from that of a fresh project"),
    ],
)
def test_each_loss_is_found(path: str, result: bytes | None, message: str) -> None:
    problems = list(update(**{path: result}).problems())
    assert any(message in problem for problem in problems), problems


def test_a_conflict_missing_in_the_index_is_found() -> None:
    for unmerged in (frozenset({"same"}), frozenset({"same", "there", "clean"})):
        problems = list(replace(update(), unmerged=unmerged).problems())
        assert any(line.startswith("conflict markers in") for line in problems)


def test_changes_are_composed_unless_they_touch() -> None:
    theirs = TEXT.replace(b"line 5\n", b"line five\n")
    for place, together in ((2, True), (4, True), (5, False), (6, False), (7, True)):
        lines = TEXT.splitlines(True)
        mine = b"".join([*lines[:place], b"mine\n", *lines[place:]])
        expected = mine.replace(b"line 5\n", b"line five\n") if together else None
        assert merge(TEXT, mine, theirs) == expected


def test_a_change_touches_in_its_whole_ambiguous_range() -> None:
    old, theirs = b"a\n\nb\n\nc\n", b"a\n\nnew\n\nb\n\nc\n"
    (blank,) = find_changes(old, theirs)
    assert (blank.low, blank.high) == (1, 2)
    assert merge(old, b"a\nmine\n\nb\n\nc\n", theirs) is None
    assert merge(old, b"a\n\nmine\nb\n\nc\n", theirs) is None
    assert merge(old, b"a\n\nb\n\nc\nmine\n", theirs) == theirs + b"mine\n"
