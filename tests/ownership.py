"""Every file that a project may hold: who owns it, and what would miss it.

yours     rendered once; an update never touches it (`_exclude` in copier.yml)
shared    yours to edit; an update merges
slipway   an update replaces it, and an edit of yours shows as a conflict

The last column names the test that runs, builds, parses or reads the file: one that the
project itself has, or one of ours. `*` stands for any name without a slash, `**` for any.
"""

import re
from dataclasses import dataclass
from functools import cache

PACKAGE = "own_name"

TABLE = """
.copier-answers.yml             slipway  tests/test_questions.py
.dockerignore                   slipway  tests/system/test_image.py
.github/workflows/*.yml         slipway  tests/system/test_workflow_runner.py
Dockerfile                      slipway  tests/system/test_image.py
LICENSE                         shared   tests/test_licences.py
Makefile                        shared   tests/test_suites.py
README.md                       shared   tests/test_free_text.py
pyproject.toml                  shared   tests/test_suites.py
src/own_name/__init__.py        slipway  tests/test_model.py
src/own_name/model.py           yours    tests/test_model.py
tests/test_model.py             yours    tests/test_suites.py
"""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    path: str
    owner: str
    proof: str

    def covers(self, path: str) -> bool:
        """Whether the line speaks of this file."""
        stars = {r"\*\*": ".*", r"\*": "[^/]*"}
        pattern = re.escape(self.path)
        for star, regex in stars.items():
            pattern = pattern.replace(star, regex)
        return re.fullmatch(pattern, path) is not None


ROWS = [Row(*line.split(maxsplit=2)) for line in TABLE.strip().splitlines()]


@cache
def row(path: str) -> Row:
    """The one line that speaks of a file of a project whose package is own_name."""
    rows = [row for row in ROWS if row.covers(path)]
    assert rows, f"{path} is on no line of tests/ownership.py: what would miss it?"
    assert len(rows) == 1, f"{path} is on {len(rows)} lines of tests/ownership.py"
    return rows[0]
