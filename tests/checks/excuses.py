"""What a check says and need not be mended, each with its reason. One that excuses nothing fails."""

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.matrix.verdicts import Failing


@dataclass(frozen=True)
class Excuse:
    """Problems of one check with some files, told apart by what it says."""

    check: str
    files: str
    problem: str
    reason: str

    def covers(self, failing: Failing) -> bool:
        """Whether it speaks of this problem."""
        return (
            failing.check == self.check
            and fnmatchcase(failing.subject, self.files)
            and bool(re.search(self.problem, failing.problem))
        )


EXCUSES = (
    Excuse(
        "paths",
        "tools/adopt.py",
        "data/dvc.yaml",
        "it removes the file where there is one",
    ),
    Excuse(
        "paths",
        "tools/owners.toml",
        "Dockerfile|LICENSE|dvc.yaml",
        "it says whose each file is that some project has",
    ),
    Excuse(
        "words",
        "tools/owners.toml",
        r"\bdvc\b|Dockerfile",
        "it says whose each file is that some project has",
    ),
    Excuse(
        "words", "Makefile", r"\$\$CI", "every CI sets it, also one that is added later"
    ),
    Excuse("words", "*/cli.py", "CI step", "any CI may call it"),
    Excuse(
        "words",
        "*adopt.py",
        "dvc",
        "a table may be adopted after DVC was added by hand",
    ),
    Excuse(
        "words",
        "tools/*.py",
        "problem is not",
        "any table may be adopted, and one for the other problem is refused by name",
    ),
    Excuse(
        "words",
        "src/*/kit/*.py",
        "problem is not",
        "the schema names its problem, and one that does not fit is refused by name",
    ),
    Excuse(
        "words",
        "tests/*.py",
        "problem is not",
        "tests of the schema try both problems, and follow the one that it names",
    ),
)
