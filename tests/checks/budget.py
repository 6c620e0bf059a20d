"""The questions that an emitted test file may depend on. More of them mean more runs, for each option that comes."""

from collections.abc import Iterator

from tests.matrix.verdicts import Decision

# Filled from what the files need when they test no more than their own subject.
BUDGET: dict[str, frozenset[str]] = {}


def over(decision: Decision) -> Iterator[str]:
    """What a file reads beyond its budget, and what it no longer needs of it."""
    file = decision.check.removeprefix("passes ")
    reads = frozenset(name for known, _ in decision.costs for name in known)
    allowed = BUDGET.get(file, frozenset())
    for name in sorted(reads - allowed):
        yield f"{file} depends on the question {name}: test it against its seam, or add the question to its budget"
    for name in sorted(allowed - reads):
        yield f"{file} does not depend on the question {name}: take it out of its budget"
