"""The judge finds each kind of loss; without that, a proof says nothing."""

from dataclasses import replace

import pytest

from tests.rendering import Tree
from tests.update.judge import Update
from tests.update.merging import changes, merged

TEXT = b"".join(b"line %d\n" % number for number in range(12))
MARKED = (
    b"<<<<<<< before updating\nline mine\n=======\nline new\n>>>>>>> after updating\n"
)


def update(**result: bytes | None) -> Update:
    """A right update of a project with each kind of edit; then with other results."""
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
    made = {path: text for path, text in (right | result).items() if text is not None}
    unmerged = frozenset({"same", "there"})
    return Update(old, mine, made, fresh, unmerged, lambda path: path == "yours")


def test_an_update_that_is_right_has_no_problems() -> None:
    assert list(update().problems()) == []


@pytest.mark.parametrize(
    ("path", "result", "said"),
    [
        ("clean", TEXT, "it is not as a fresh one is"),
        ("clean", None, "it is not as a fresh one is"),
        ("apart", TEXT + b"mine\n", "edits that touch nothing did not come through"),
        ("apart", TEXT, "edits that touch nothing did not come through"),
        ("apart", None, "it is gone"),
        ("same", b"line mine\n", "the release's line b'line new' has vanished"),
        ("same", b"line new\n", "the owner's line b'line mine' has vanished"),
        ("yours", TEXT + b"\n", "it is yours, and was touched"),
        ("deleted", TEXT, "it was deleted, and is here again"),
        ("there", TEXT, "it is not as a fresh one is"),
        ("there", None, "the owner's line b'mine too' has vanished"),
        ("mine_alone", TEXT, "the edits are not as they were"),
        ("new", None, "it is the owner's own, and was touched"),
        ("stray", b"stray\n", "it is not as a fresh one is"),
    ],
)
def test_each_loss_is_told(path: str, result: bytes | None, said: str) -> None:
    told = list(update(**{path: result}).problems())
    assert any(said in line for line in told), told


def test_a_conflict_that_the_index_does_not_know_is_told() -> None:
    for unmerged in (frozenset({"same"}), frozenset({"same", "there", "clean"})):
        told = list(replace(update(), unmerged=unmerged).problems())
        assert any(line.startswith("marked are") for line in told)


def test_changes_are_composed_unless_they_touch() -> None:
    theirs = TEXT.replace(b"line 5\n", b"line five\n")
    for place, together in ((2, True), (4, True), (5, False), (6, False), (7, True)):
        lines = TEXT.splitlines(True)
        mine = b"".join([*lines[:place], b"mine\n", *lines[place:]])
        expected = mine.replace(b"line 5\n", b"line five\n") if together else None
        assert merged(TEXT, mine, theirs) == expected


def test_a_change_touches_wherever_it_can_be_seen_to_be() -> None:
    old, theirs = b"a\n\nb\n\nc\n", b"a\n\nnew\n\nb\n\nc\n"
    (blank,) = changes(old, theirs)
    assert (blank.low, blank.high) == (1, 2)
    assert merged(old, b"a\nmine\n\nb\n\nc\n", theirs) is None
    assert merged(old, b"a\n\nmine\nb\n\nc\n", theirs) is None
    assert merged(old, b"a\n\nb\n\nc\nmine\n", theirs) == theirs + b"mine\n"
