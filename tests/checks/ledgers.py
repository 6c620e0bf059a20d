"""The ledgers of this repository: one committed file for each check that runs a tool or a program."""

from collections.abc import Callable
from dataclasses import dataclass

from tests import drawn
from tests.matrix.ledger import Ledger
from tests.rendering import ROOT

FOLDER = ROOT / "tests" / "ledger"


@dataclass(frozen=True)
class Ledgers:
    """How a run uses the committed verdicts."""

    again: Callable[[str], bool] = drawn.again
    """Which of them it repeats."""
    keep: bool = True
    """Whether it writes down what it finds. A template that is broken on purpose must not."""
    suffix: str = ""
    """Tells the templates apart that are checked."""

    def of(self, check: str, salt: str) -> Ledger:
        """The verdicts of one check, which depend on its salt."""
        file = FOLDER / f"{check}{self.suffix}.txt".replace(" ", "-")
        return Ledger(file, salt, self.again, self.keep)


EVERY_RUN = Ledgers()
"""Repeat the share that is drawn, and write down what is new."""
READ = Ledgers(again=lambda key: False, keep=False)
"""Believe them, and write nothing."""
