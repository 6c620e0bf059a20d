"""Judge the result of an update by every file and by the index, but by no exit code."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from tests.rendering import Tree
from tests.update.merging import added_lines, find_loss, has_conflict


class Ownership(Protocol):
    """A function that returns whether updates never touch a rendered file."""

    def __call__(self, path: str) -> bool: ...


@dataclass(frozen=True)
class Update:
    """An update: the files as rendered, as edited by the owner, after the update, and of a fresh project."""

    old: Tree
    mine: Tree
    result: Tree
    fresh: Tree
    unmerged: frozenset[str]
    """The paths with a conflict in the index."""
    yours: Ownership

    def problems(self) -> Iterator[str]:
        """Yield every problem."""
        marked = {path for path, text in self.result.items() if has_conflict(text)}
        if marked != self.unmerged:
            yield f"conflict markers in {marked}, unmerged are {set(self.unmerged)}"
        for path in sorted({*self.old, *self.mine, *self.fresh, *self.result}):
            if problem := self.file_problem(path):
                yield f"{path}: {problem}"
        all_lines = set(b"\n".join(self.result.values()).splitlines())
        for path, content in self.mine.items():
            if missing := added_lines(self.old.get(path), content) - all_lines:
                yield f"{path}: the owner's line {min(missing)!r} is lost"

    def file_problem(self, path: str) -> str:
        """Return the problem of one file; empty if there is none."""
        old, mine, fresh, result = (
            tree.get(path) for tree in (self.old, self.mine, self.fresh, self.result)
        )
        if old is not None and self.yours(path):
            return "" if result == mine else "a file of yours was changed"
        if old == mine:
            right = result == fresh or self.has_moved_here(path)
            return "" if right else "it differs from that of a fresh project"
        if mine is None:
            return "" if result is None else "the deleted file was restored"
        if fresh is None and old is not None:
            return (
                "" if result in (mine, None) else "it is neither unchanged nor deleted"
            )
        if fresh is None:
            return "" if result == mine else "the owner's own file was changed"
        return find_loss(old or b"", mine, fresh, result)

    def has_moved_here(self, path: str) -> bool:
        """Return whether an edited file was moved here, with every line of it."""
        removed = self.mine.keys() - self.result.keys() - self.fresh.keys()
        edited = (p for p in removed if self.mine[p] != self.old.get(p))
        lines = set(self.result.get(path, b"").splitlines())
        return any(lines.issuperset(self.mine[p].splitlines()) for p in edited)
