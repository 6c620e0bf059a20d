"""Each file by itself: valid in its format, with nothing left over from its template."""

import re
from collections.abc import Iterator

from tests.matrix.project import Project
from tests.matrix.verdicts import Check
from tests.parsers import parse
from tests.rendering import ANSWERS_FILE

# GitHub's own expressions are `${{ … }}`.
JINJA = re.compile(r"(?<!\$)\{\{|\{%|%\}|\{#|#\}")
# Texts of others, which stay as they were published.
VERBATIM = {"LICENSE": "a licence"}


def valid(project: Project, path: str) -> Iterator[str]:
    """It parses."""
    try:
        parse(path, project.content(path) or b"")
    except AssertionError as error:
        yield str(error)


def clean(project: Project, path: str) -> Iterator[str]:
    """No tag is left, and no gap where a tag was."""
    text = project.text(path)
    for number, line in enumerate(text.splitlines(), 1):
        if JINJA.search(line):
            yield f"line {number} holds Jinja: {line.strip()}"
        if line != line.rstrip():
            yield f"line {number} ends in a space: {line!r}"
    if path in VERBATIM or not text:
        return
    if text.startswith("\n") or not text.endswith("\n") or text.endswith("\n\n"):
        yield "it does not begin with a line and end with one newline"
    gap = "\n\n\n\n" if path.endswith(".py") else "\n\n\n"
    for run in re.finditer(re.escape(gap) + "+", text):
        yield f"blank lines run on at line {text.count(chr(10), 0, run.start()) + 2}"


# The answers file has a version for each combination, and Copier's own YAML writer as author.
ALL, BUT = ("*",), (ANSWERS_FILE,)
CHECKS = (
    Check("valid", lambda project, path: tuple(valid(project, path)), ALL, BUT),
    Check("clean", lambda project, path: tuple(clean(project, path)), ALL, BUT),
)
