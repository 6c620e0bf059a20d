"""All the projects there are: the matrix of this template, decided once in a session."""

from collections.abc import Callable
from functools import cache
from pathlib import Path

import yaml

from tests import drawn, summary
from tests.checks import CHECKS, decide_check
from tests.checks.ledgers import Ledgers
from tests.manifests import PACKAGE
from tests.matrix.answers import Known
from tests.matrix.template import Template
from tests.matrix.verdicts import Decision
from tests.rendering import QUESTIONS, source

# The shortest and the longest name that a package can have: lines wrap differently.
NAMES = ("ab", "a_name_of_thirty_characters_ok")
PERSON = {
    "user_name": ["", "Ada Lovelace"],
    "user_email": ["", "ada@example.com"],
    "github_user": ["", "ada"],
}
"""Values for questions of free text: each is left empty and answered."""
# Its default is the name of the folder that the project goes to.
NAMED = {"project_name": ["Churn model"]}


def usual(root: Path) -> Template:
    """A state of the template, for a package whose name is as long as most."""
    return Template(root, {**NAMED, "package_name": [PACKAGE], **PERSON})


def template(org: str = "") -> Template:
    """The template as it is; in a fork, with what its org.yml says."""
    return _usual(org)


def renamed(org: str = "") -> Template:
    """The template once more, for other names and words. What is refused here is refused for each of its reasons."""
    return _renamed(org)


@cache
def _usual(org: str) -> Template:
    return usual(source(org))


@cache
def _renamed(org: str) -> Template:
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
    return Template(source(org), texts)


@cache
def organised() -> Template:
    """The template in a fork that has addresses of its own. What is refused here is no address."""
    texts = {
        "base_image": ["example.com/python:{python}", "no image"],
        "package_index": ["", "https://example.com/simple", "no address"],
        "uv_image": ["example.com/uv:0.13", "no image"],
    }
    org = {
        name: QUESTIONS[name] | {"choices": values, "default": values[0]}
        for name, values in texts.items()
    }
    return Template(source(yaml.safe_dump(org)), NAMED)


def values(known: Known) -> dict[str, str]:
    """Answers as they are given to Copier."""
    return {name: answer.value for name, answer in known.items()}


@cache
def decision(whole: Callable[[], Template], check: str) -> Decision:
    """What a check says of all projects."""
    found = decide_check(whole(), CHECKS[check], ledgers(whole()))
    summary.decided(found)
    return found


def ledgers(whole: Template, again: Callable[[str], bool] = drawn.again) -> Ledgers:
    """The committed verdicts on one of the templates here."""
    return Ledgers(again, suffix=" renamed" if whole is renamed() else "")
