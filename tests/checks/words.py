"""The words of an answer occur in no project that has another: an option that is off leaves no trace."""

import re
from collections.abc import Iterator
from functools import cache

from tests.checks.texts import ALL, BUT
from tests.manifests import manifests
from tests.matrix.project import Project
from tests.matrix.verdicts import Check

PATTERNS = {
    (manifest.question, answer): re.compile("|".join(words))
    for manifest in manifests().values()
    for answer, words in manifest.words.items()
}


@cache
def spoken_of(line: str) -> tuple[tuple[str, str], ...]:
    """The answers whose words a line holds. Thousands of files share their lines."""
    return tuple(given for given, pattern in PATTERNS.items() if pattern.search(line))


def traces(project: Project, path: str) -> Iterator[str]:
    """The lines of a file that hold a word of an answer that was not given."""
    held: dict[tuple[str, str], list[str]] = {}
    for line in project.text(path).splitlines():
        for given in spoken_of(line):
            held.setdefault(given, []).append(line.strip())
    # In a fixed order, whatever the file says first.
    for question, answer in PATTERNS:
        lines = held.get((question, answer), ())
        if lines and project.answer(question) != answer:
            yield from (f"{question} is not {answer}: {line}" for line in lines)


CHECKS = (Check("words", lambda p, path: tuple(traces(p, path)), ALL, BUT),)
