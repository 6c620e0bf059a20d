"""All the projects there are: the matrix of this template, decided once in a session."""

from collections.abc import Callable
from functools import cache

from tests.checks import CHECKS, RECORDS
from tests.matrix.answers import Known
from tests.matrix.template import Template
from tests.matrix.verdicts import Decision, decide
from tests.ownership import PACKAGE
from tests.rendering import source

# The shortest and the longest name that a package can have: lines wrap differently.
NAMES = ("ab", "a_name_of_thirty_characters_ok")
PERSON = {
    "user_name": ["", "Ada Lovelace"],
    "user_email": ["", "ada@example.com"],
    "github_user": ["", "ada"],
}
"""Values for questions of free text: each is left empty and answered."""


@cache
def template() -> Template:
    """The template, for a package whose name is as long as most."""
    return Template(source(), {"package_name": [PACKAGE], **PERSON})


@cache
def renamed() -> Template:
    """The template once more, for other names and words. What is refused here is refused for each of its reasons."""
    bad = ["", "two\nlines", " padded", "x" * 201]
    texts = {
        "project_name": [
            "Churn model",
            "x",
            "2024 sales" * 9,
            "y" * 40,
            "🚢",
            "Tests",
            *bad,
        ],
        "description": ["One.", "Two.", *bad],
        "user_email": ["", "no address"],
        "github_user": ["", "not/a/name"],
        "package_name": [*NAMES, "x", "class", "json", "pandas", "tests"],
        "project_slug": [*(name.replace("_", "-") for name in NAMES), "other"],
    }
    return Template(source(), texts)


def values(known: Known) -> dict[str, str]:
    """Answers as they are given to Copier."""
    return {name: answer.value for name, answer in known.items()}


@cache
def decision(whole: Callable[[], Template], check: str) -> Decision:
    """What a check says of all projects."""
    return decide(whole(), CHECKS[check], records=RECORDS)


@cache
def files() -> dict[str, frozenset[bytes]]:
    """Every path that some project holds, and the contents that it has."""
    return {
        path: frozenset(text for _, text in template().versions(path) if text)
        for path in sorted(template().files)
    }
