"""The words of an answer occur in no project that has another: an option that is off leaves no trace."""

import re
from collections.abc import Iterator
from functools import cache

from tests.checks.texts import ALL, BUT
from tests.matrix.project import Project
from tests.matrix.verdicts import Check

# Question, answer: its words, as regular expressions.
WORDS = {
    ("auth", "api_key"): (r"(?i:api[ _-]key)", r"\bkeys/keys\.json"),
    ("auth", "jwt"): (r"(?i:\bjwt)", r"\b[Bb]earer\b"),
    ("bulk", "parquet"): (r"\bscore.* files?\b", r"\bscore \S*\.parquet\b"),
    ("ci", "github"): (r"GitHub Actions", r"\bCI\b", r"\.github/"),
    ("container", "docker"): (r"(?i:docker)", r"\bcontainer", r"\bimage\b"),
    ("data_versioning", "dvc"): (r"(?i:\bdvc\b)",),
    ("engine", "plan"): (r"(?i:fallback)", r"\b[Aa] plan\b", r"\bplan\.(json|npz)"),
    ("formatter", "black"): (r"(?i:\bblack\b)",),
    ("formatter", "ruff"): (r"ruff format",),
    ("licence", "Apache-2.0"): (r"Apache",),
    ("licence", "BSD-3-Clause"): (r"\bBSD\b",),
    ("limits", "redis"): (r"(?i:redis\b)",),
    ("licence", "MIT"): (r"\bMIT\b",),
    ("prediction_log", "postgres"): (r"(?i:postgres|psycopg)",),
    ("prediction_log", "sqlite"): (r"predictions\.db",),
    ("problem", "classification"): (r"(?i:classification)", r"\bfraud"),
    ("problem", "regression"): (r"\bregression", r"(?i:\bhouse|\brent\b)"),
    ("python_version", "3.12"): (r"(?:[Pp]ython[: ]|\")3\.12\b",),
    ("python_version", "3.13"): (r"(?:[Pp]ython[: ]|\")3\.13\b",),
    ("tracing", "opentelemetry"): (r"(?i:opentelemetry|\btrac(e|es|ed|ing)\b)",),
}


PATTERNS = {given: re.compile("|".join(words)) for given, words in WORDS.items()}


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
    for question, answer in WORDS:
        lines = held.get((question, answer), ())
        if lines and project.answer(question) != answer:
            yield from (f"{question} is not {answer}: {line}" for line in lines)


CHECKS = (Check("words", lambda p, path: tuple(traces(p, path)), ALL, BUT),)
