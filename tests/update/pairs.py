"""Every (old file, new file) over all answers, merged with each class of edit as Copier merges.

Copier renders the new file, and applies to it what the owner changed in the old one; where
that is rejected, it merges the three by `git merge-file`. So is it done here, with all
pairs in one folder, so that almost nothing is paid for each.
"""

import subprocess
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests import quick
from tests.drawn import PROVE
from tests.matrix.answers import Answer
from tests.matrix.questions import Way
from tests.matrix.template import Template
from tests.rendering import ANSWERS_FILE
from tests.update.edits import edits_of
from tests.update.merging import compare, loss


@dataclass(frozen=True)
class Pair:
    """A file in a release, and the same in a later one, under the same answers."""

    path: str
    old: bytes
    new: bytes


MOST = 4096
"""A file with more pairs than this is tried in so many of them, which chance draws."""


def pairs(
    old: Template, new: Template, renamed: Mapping[str, str], random: Random
) -> Iterator[Pair]:
    """All that differ, each once. What does not differ takes every edit as it is."""
    for path in sorted(old.files & new.files - {ANSWERS_FILE}):
        found = new.questions.explore(
            lambda way, path=path: (  # type: ignore[misc]
                old.content(path, Translated(old, way, renamed)),
                new.content(path, way),
            )
        )
        both = {versions for _, versions in found}
        differing = [
            Pair(path, was, becomes)
            for was, becomes in sorted(both, key=repr)
            if was is not None and becomes is not None and was != becomes
        ]
        yield from random.sample(differing, min(MOST, len(differing)))


EACH_RUN = 300
"""So many pairs are tried in each run; `make prove` tries all."""


def drawn(found: Sequence[Pair], random: Random, number: int = EACH_RUN) -> list[Pair]:
    """The pairs that this run tries: of each file at least one."""
    if PROVE or len(found) <= number:
        return list(found)
    of_each = {pair.path: pair for pair in random.sample(found, len(found))}
    others = [pair for pair in found if pair is not of_each[pair.path]]
    more = max(0, number - len(of_each))
    return [*of_each.values(), *random.sample(others, more)]


class Translated(Way):
    """A way through the older questions that takes its answers from one through the newer."""

    def __init__(self, old: Template, way: Way, renamed: Mapping[str, str]) -> None:
        super().__init__(old.questions, {})
        self._way = way
        self._renamed = renamed

    def __call__(self, name: Hashable) -> Answer:
        assert isinstance(name, str)
        if name not in self.known:
            self.known[name] = self._way(self._renamed.get(name, name))
        return self.known[name]


@dataclass(frozen=True)
class Merge:
    """A pair, an owner's edit, and what comes of it."""

    pair: Pair
    edit: str
    mine: bytes


def merges(found: list[Pair], random: Random) -> Iterator[Merge]:
    """Every pair under each class of edit that can be made in it."""
    compare((pair.old, pair.new) for pair in found)
    for pair in found:
        for name, edit in edits_of(pair.path).items():
            mine = edit(pair.old, pair.new, random)
            if mine is not None and mine != pair.old:
                yield Merge(pair, name, mine)


def merged(tried: Sequence[Merge]) -> Iterator[tuple[Merge, bytes]]:
    """What comes of each."""
    with quick.folder() as place:
        folder = Path(place)
        for number, merge in enumerate(tried):
            pair = {"old": merge.pair.old, "mine": merge.mine, "new": merge.pair.new}
            for side, content in pair.items():
                (folder / side).mkdir(exist_ok=True)
                (folder / side / str(number)).write_bytes(content)
        options = ("--no-index", "--unified=3", "--inter-hunk-context=-1")
        edits = git(folder, "diff", *options, "old", "mine")
        git(folder / "new", "apply", "--reject", "-p2", given=edits)
        for number, merge in enumerate(tried):
            name = str(number)
            if (folder / "new" / f"{name}.rej").exists():
                labels = [
                    f"-L{label}" for label in ("before updating", "", "after updating")
                ]
                sides = [f"{side}/{name}" for side in ("mine", "old", "new")]
                yield merge, git(folder, "merge-file", "-p", *labels, *sides)
            else:
                yield merge, (folder / "new" / name).read_bytes()


def git(folder: Path, *arguments: str, given: bytes = b"") -> bytes:
    """What git says; that it fails where there are conflicts or differences is no matter."""
    done = subprocess.run(
        ["git", *arguments], check=False, cwd=folder, input=given, capture_output=True
    )
    assert done.returncode < 128, done.stderr
    return done.stdout


def problems(tried: Sequence[Merge]) -> list[str]:
    """What is wrong with what comes of them."""
    compare((merge.pair.old, merge.mine) for merge in tried)
    return [
        f"{merge.edit} in {merge.pair.path}: {said}"
        for merge, result in merged(tried)
        if (said := loss(merge.pair.old, merge.mine, merge.pair.new, result))
    ]
