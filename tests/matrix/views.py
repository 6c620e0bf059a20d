"""What is said of a file that has many versions, as a tree of no more questions than make a difference to it."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

from tests.matrix.answers import Answer, DeadEndError
from tests.matrix.questions import Way

Row = tuple[Sequence[tuple[str, Answer]], Hashable]


@dataclass(frozen=True)
class Branch:
    """A question, and what follows from each answer to it."""

    question: str
    kids: dict[Answer, "Branch | Leaf"]


@dataclass(frozen=True)
class Leaf:
    """What is said, whatever else is answered."""

    said: Hashable


class View:
    """What is said in each of all ways."""

    def __init__(self, rows: list[Row]) -> None:
        self._tree = reduced(rows, 0)

    def __call__(self, way: Way) -> Hashable:
        """What is said in one of them."""
        tree = self._tree
        while isinstance(tree, Branch):
            answer = way(tree.question)
            if answer not in tree.kids:
                raise DeadEndError
            tree = tree.kids[answer]
        return tree.said


def reduced(rows: list[Row], depth: int) -> Branch | Leaf:
    """The tree of these ways, which agree in the answers before `depth`. What all answers lead to needs no question."""
    if len({said for _, said in rows}) == 1:
        return Leaf(rows[0][1])
    answers: dict[Answer, list[Row]] = {}
    for row in rows:
        answers.setdefault(row[0][depth][1], []).append(row)
    kids = {answer: reduced(those, depth + 1) for answer, those in answers.items()}
    first, *others = kids.values()
    if all(other == first for other in others):
        return first
    return Branch(rows[0][0][depth][0], kids)
