"""Verdicts that passed, committed as hashes of all that they depend on, so that a run decides only what is new.

A ledger is a text file of one check. A line never depends on a machine, a path or the order of a run:

    0f3a…  2.1                  a hash, and the seconds that the verdict took when it was found
    reads 77ab… [["a.py", …]]   what a program reads: the hashes of its verdicts cover the values of exactly these looks

Only passes are kept: a failure is run again each time. A ledger is a set of lines, so that two branches merge by keeping the
lines of both. Lines that no combination needs are dropped when the check is decided as a whole.

A ledger need not be trusted: every run repeats a random share of it, and `make prove` repeats all.
"""

import hashlib
import json
from collections.abc import Callable, Hashable, Iterable, Iterator
from pathlib import Path

DIGITS = 24
"""Hexadecimal digits of a hash: 96 bits are beyond any chance of two verdicts with one hash."""


HEAL = "Delete the ledger's file, run `make prove`, and find out which change wrote that line."


class ContradictionError(AssertionError):
    """A ledger says that something passes, and it fails."""


def hashed(*parts: object) -> str:
    """Return a short hash of the parts' `repr`, in which no machine may be named."""
    return hashlib.sha256("\0".join(map(repr, parts)).encode()).hexdigest()[:DIGITS]


class Ledger:
    """The passed verdicts of one check. Without a file it starts empty and keeps nothing."""

    def __init__(
        self,
        file: Path | None = None,
        salt: str = "",
        again: Callable[[str], bool] = lambda key: False,
        keep: bool = True,
    ) -> None:
        """Read the file, and `keep` what is added there.

        `salt` hashes all that each verdict depends on; `again` draws the verdicts to repeat.
        """
        self.again = again
        self._file = file
        self._keep = keep
        self._salt = salt
        self._reads: dict[str, tuple[tuple[str, str], ...]] = {}
        self._seconds: dict[str, float] = {}
        self._needed: set[str] = set()
        for line in (
            file.read_text("utf-8").splitlines() if file and file.exists() else ()
        ):
            first, _, rest = line.partition(" ")
            if first == "reads":
                name, _, looks = rest.partition(" ")
                self._reads[name] = tuple((p, what) for p, what in json.loads(looks))
            else:
                self._seconds[first] = float(rest)

    @property
    def reads(self) -> Iterator[tuple[tuple[str, str], ...]]:
        """The sets of looks that some verdict here is about."""
        return iter(self._reads.values())

    def key(self, *parts: Hashable) -> str:
        """The hash of a verdict that depends on these parts."""
        return hashed(self._salt, *parts)

    def __contains__(self, key: str) -> bool:
        return key in self._seconds

    def seconds(self, key: str) -> float:
        """How long a verdict took when it was found."""
        return self._seconds[key]

    def add(self, key: str, seconds: float) -> None:
        """Keep a verdict that some combination needs. One that is there already keeps its seconds."""
        self._seconds.setdefault(key, round(seconds, 1))
        self._needed.add(key)

    def save(self, reads: Iterable[tuple[str, str]] = ()) -> None:
        """Write what was added since the file was read, and no other line."""
        if self._file is None or not self._keep:
            return
        looks = sorted(reads)
        lines = [f"{key} {self._seconds[key]:g}" for key in sorted(self._needed)]
        if looks:
            lines.insert(0, f"reads {hashed(looks)} {json.dumps(looks)}")
        self._file.parent.mkdir(parents=True, exist_ok=True)
        self._file.write_text("".join(f"{line}\n" for line in lines), "utf-8")
