"""Every (old file, new file) over all answers, merged with each kind of edit as Copier merges.

Copier renders the new file and applies the owner's changes to it. Where git rejects them, it
merges the three versions with `git merge-file`. The same is done here for all pairs at once
in one folder, which makes a single pair cheap.
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
from tests.update.edits import applicable_edits
from tests.update.merging import compare, find_loss


@dataclass(frozen=True)
class Pair:
    """A file in two releases, under the same answers."""

    path: str
    old: bytes
    new: bytes


MOST_PAIRS = 4096
"""The limit for one file; of more pairs, a random sample is taken."""


def find_pairs(
    old: Template, new: Template, renamed: Mapping[str, str], random: Random
) -> Iterator[Pair]:
    """Yield all pairs that differ, each once. Where a file does not differ, an update cannot lose an edit."""
    for path in sorted(old.files & new.files - {ANSWERS_FILE}):
        contents = new.questions.explore(
            lambda way, path=path: (  # type: ignore[misc]
                old.content(path, TranslatedWay(old, way, renamed)),
                new.content(path, way),
            )
        )
        both = {versions for _, versions in contents}
        differing = [
            Pair(path, was, becomes)
            for was, becomes in sorted(both, key=repr)
            if was is not None and becomes is not None and was != becomes
        ]
        yield from random.sample(differing, min(MOST_PAIRS, len(differing)))


EACH_RUN = 300
"""The number of pairs that each run tries; `make prove` tries all."""


def draw_pairs(
    pairs: Sequence[Pair], random: Random, number: int = EACH_RUN
) -> list[Pair]:
    """Return the pairs to try in this run, with at least one of each file."""
    if PROVE or len(pairs) <= number:
        return list(pairs)
    one_of_each = {pair.path: pair for pair in random.sample(pairs, len(pairs))}
    others = [pair for pair in pairs if pair is not one_of_each[pair.path]]
    more = max(0, number - len(one_of_each))
    return [*one_of_each.values(), *random.sample(others, more)]


class TranslatedWay(Way):
    """A way through an older release's questions that takes its answers from a way through the newer ones."""

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
    """A pair, and the owner's text after an edit of the old one."""

    pair: Pair
    edit: str
    mine: bytes


def create_merges(pairs: list[Pair], random: Random) -> Iterator[Merge]:
    """Yield every pair with each kind of edit that is possible in it."""
    compare((pair.old, pair.new) for pair in pairs)
    for pair in pairs:
        for name, edit in applicable_edits(pair.path).items():
            mine = edit(pair.old, pair.new, random)
            if mine is not None and mine != pair.old:
                yield Merge(pair, name, mine)


def run_merges(merges: Sequence[Merge]) -> Iterator[tuple[Merge, bytes]]:
    """Yield each merge with its result."""
    with quick.folder() as scratch:
        folder = Path(scratch)
        for number, merge in enumerate(merges):
            sides = {"old": merge.pair.old, "mine": merge.mine, "new": merge.pair.new}
            for side, content in sides.items():
                (folder / side).mkdir(exist_ok=True)
                (folder / side / str(number)).write_bytes(content)
        options = ("--no-index", "--unified=3", "--inter-hunk-context=-1")
        edits = git(folder, "diff", *options, "old", "mine")
        git(folder / "new", "apply", "--reject", "-p2", stdin=edits)
        for number, merge in enumerate(merges):
            name = str(number)
            if (folder / "new" / f"{name}.rej").exists():
                labels = [
                    f"-L{label}" for label in ("before updating", "", "after updating")
                ]
                files = [f"{side}/{name}" for side in ("mine", "old", "new")]
                yield merge, git(folder, "merge-file", "-p", *labels, *files)
            else:
                yield merge, (folder / "new" / name).read_bytes()


def git(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """Run git and return its output. Exit codes for conflicts and differences are no failure."""
    done = subprocess.run(
        ["git", *arguments], check=False, cwd=folder, input=stdin, capture_output=True
    )
    assert done.returncode < 128, done.stderr
    return done.stdout


def find_problems(merges: Sequence[Merge]) -> list[str]:
    """Run the merges, and return what each of them lost."""
    compare((merge.pair.old, merge.mine) for merge in merges)
    problems = []
    for merge, result in run_merges(merges):
        loss = find_loss(merge.pair.old, merge.mine, merge.pair.new, result)
        if loss:
            problems.append(f"{merge.edit} in {merge.pair.path}: {loss}")
    return problems
