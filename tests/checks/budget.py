"""The questions that an emitted test file may depend on. More of them mean more runs, for each option that comes."""

from collections.abc import Iterator

from tests.manifests import manifests
from tests.matrix.answers import Answer
from tests.matrix.verdicts import Decision


def reads(decision: Decision) -> set[str]:
    """The questions whose answers change what a test file reads, where the file is there."""
    answers: dict[str, set[Answer]] = {}
    for known, _ in decision.costs:
        for name, answer in known.items():
            answers.setdefault(name, set()).add(answer)
    return {name for name, given in answers.items() if len(given) > 1}


def budget(file: str) -> set[str]:
    """The questions that a test file may depend on, as its manifest says."""
    found = (manifest.tests.get(file, ()) for manifest in manifests().values())
    return {name for names in found for name in names}


def over(decision: Decision) -> Iterator[str]:
    """Name each question that a file depends on beyond its budget, and each that it no longer needs."""
    file = decision.check.removeprefix("passes ")
    read, allowed = reads(decision), budget(file)
    for name in sorted(read - allowed):
        yield f"{file} depends on the question {name}: test it against its seam, or add the question to its line in options/"
    for name in sorted(allowed - read):
        yield f"{file} does not depend on the question {name}: take it out of its line in options/"
