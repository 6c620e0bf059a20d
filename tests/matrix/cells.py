"""A function of many inputs that reads few of them, evaluated once for each way in which those turn out."""

from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

T = TypeVar("T")
Reader = Callable[[Hashable], Hashable]
"""The value of an input."""


class Trace:
    """A reader that keeps what was read, in the order of the first reads."""

    def __init__(self, source: Reader) -> None:
        self.source = source
        self.reads: dict[Hashable, Hashable] = {}

    def __call__(self, key: Hashable) -> Any:
        """Read an input."""
        if key not in self.reads:
            self.reads[key] = self.source(key)
        return self.reads[key]


@dataclass(slots=True, eq=False)
class Node(Generic[T]):
    """A place in the tree: an input that is read next, or a result, or nothing yet."""

    key: Hashable = None
    kids: dict[Hashable, "Node[T]"] = field(default_factory=dict)
    result: list[T] = field(default_factory=list)
    """Empty until it is known."""


class Cell(Generic[T]):
    """The function, and the tree of what it read."""

    def __init__(self, name: str, evaluate: Callable[[Trace], T]) -> None:
        self.name = name
        self.evaluations = 0
        self.root: Node[T] = Node()
        self._evaluate = evaluate

    def __call__(self, read: Reader) -> T:
        """The result for these inputs."""
        node = self.find(read)
        if not node.result:
            trace = Trace(read)
            result = self._evaluate(trace)
            self.learn(trace.reads, result)
            return result
        return node.result[0]

    def find(self, read: Reader) -> Node[T]:
        """The place that these inputs lead to, as far as the tree is known."""
        node = self.root
        while node.key is not None:
            node = node.kids.setdefault(read(node.key), Node())
        return node

    def learn(self, reads: dict[Hashable, Hashable], result: T) -> None:
        """Keep the result of an evaluation that read this."""
        self.evaluations += 1
        node = self.root
        for key, value in reads.items():
            if node.key is None and not node.result:
                node.key = key
            if node.key != key:
                raise NotDeterministicError(f"{self.name} read {node.key}, then {key}")
            node = node.kids.setdefault(value, Node())
        node.result.append(result)

    def nodes(self) -> Iterator[Node[T]]:
        """The whole tree."""
        todo = [self.root]
        while todo:
            node = todo.pop()
            yield node
            todo.extend(node.kids.values())

    def inputs(self) -> set[Any]:
        """Every input that some evaluation read."""
        return {node.key for node in self.nodes() if node.key is not None}


class NotDeterministicError(Exception):
    """The same inputs led to other reads."""
