"""What an update made of a project: every file, and the index. No exit code is looked at."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tests.rendering import Tree
from tests.update.merging import added, loss, marked


class Ownership(Protocol):
    """Whether a file that a project was rendered with is left alone by every update."""

    def __call__(self, path: str) -> bool: ...


@dataclass(frozen=True)
class Update:
    """A project as it was rendered, as its owner edited it, as the update left it, and a fresh one."""

    old: Tree
    mine: Tree
    result: Tree
    fresh: Tree
    unmerged: frozenset[str]
    yours: Ownership

    def problems(self) -> Iterator[str]:
        """Everything that is wrong."""
        shown = {path for path, content in self.result.items() if marked(content)}
        if shown != self.unmerged:
            yield f"marked are {shown}, unmerged are {set(self.unmerged)}"
        for path in sorted({*self.old, *self.mine, *self.fresh, *self.result}):
            if said := self.problem(path):
                yield f"{path}: {said}"
        everything = set(b"\n".join(self.result.values()).splitlines())
        for path, content in self.mine.items():
            if missing := added(self.old.get(path), content) - everything:
                yield f"{path}: the owner's line {min(missing)!r} has vanished"

    def problem(self, path: str) -> str:
        """What is wrong with one file; empty if nothing is."""
        old, mine, fresh, result = (
            tree.get(path) for tree in (self.old, self.mine, self.fresh, self.result)
        )
        if old is not None and self.yours(path):
            return "" if result == mine else "it is yours, and was touched"
        if old == mine:
            right = result == fresh or self.came(path)
            return "" if right else "it is not as a fresh one is"
        if mine is None:
            return "" if result is None else "it was deleted, and is here again"
        if fresh is None and old is not None:
            return "" if result in (mine, None) else "it is neither kept nor gone"
        if fresh is None:
            return "" if result == mine else "it is the owner's own, and was touched"
        return loss(old or b"", mine, fresh, result)

    def came(self, path: str) -> bool:
        """Whether an edited file that has left its place came here, with every line of it."""
        left = self.mine.keys() - self.result.keys() - self.fresh.keys()
        edited = (p for p in left if self.mine[p] != self.old.get(p))
        lines = set(self.result.get(path, b"").splitlines())
        return any(lines.issuperset(self.mine[p].splitlines()) for p in edited)
