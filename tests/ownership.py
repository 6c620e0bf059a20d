"""Every file that a project may hold: who owns it, and what would miss it.

yours     rendered once; an update never touches it (`_exclude` in copier.yml)
shared    yours to edit; an update merges
slipway   an update replaces it, and an edit of yours shows as a conflict

The last column names the test that runs, builds, parses or reads the file: one that the
project itself has, or one of ours. Paths are patterns, as a shell reads them; `*` covers folders too.
"""

from dataclasses import dataclass
from fnmatch import fnmatchcase
from functools import cache

PACKAGE = "own_name"

TABLE = """
.copier-answers.yml              slipway  tests/test_questions.py
.dockerignore                    slipway  tests/system/test_image.py
.dvc/.gitignore                  slipway  tests/test_dvc.py
.dvc/config                      slipway  tests/test_dvc.py
.dvcignore                       slipway  tests/test_dvc.py
.env.example                     shared   tests/test_files.py
.github/workflows/*.yml          slipway  tests/test_workflows.py
.gitignore                       shared   tests/test_oracle.py
.pre-commit-config.yaml          shared   tests/test_oracle.py
Dockerfile                       shared   tests/system/test_image.py
LICENSE                          shared   tests/test_licences.py
Makefile                         shared   tests/test_oracle.py
README.md                        shared   tests/test_free_text.py
data/demo.py                     yours    tests/conftest.py
data/dvc.yaml                    shared   tests/test_dvc.py
docs/guide.md                    shared   tests/test_files.py
dvc.yaml                         shared   tests/test_dvc.py
notebooks/explore.ipynb          yours    tests/test_life.py
params.yaml                      yours    tests/test_train.py
pyproject.toml                   shared   tests/test_oracle.py
schema.yaml                      yours    tests/test_schema.py
src/own_name/__init__.py         slipway  tests/test_life.py
src/own_name/cli.py              slipway  tests/test_life.py
src/own_name/data.py             yours    tests/test_train.py
src/own_name/features.py         yours    tests/test_features.py
src/own_name/model.py            yours    tests/test_train.py
src/own_name/kit/card.md         slipway  tests/test_train.py
src/own_name/kit/*.py            slipway  tests/test_life.py
tests/conftest.py                slipway  tests/test_oracle.py
tests/load/locustfile.py         slipway  tests/test_life.py
tests/test_features.py           yours    tests/test_oracle.py
tests/test_[!f]*.py              slipway  tests/test_oracle.py
tools/[ai]*.py                   slipway  tests/test_adopt.py
tools/reading.py                 slipway  tests/test_reading.py
tools/doubts.py                  slipway  tests/test_adopt.py
tools/personal_data.py           slipway  tests/test_adopt.py
tools/spellings.py               slipway  tests/test_reading.py
tools/doctor.py                  slipway  tests/test_doctor.py
tools/doctor_*.py                slipway  tests/test_doctor.py
tools/lock_images.py             slipway  tests/system/test_lock_images.py
tools/changes.py                 slipway  tests/test_changes.py
tools/conflicts.py               slipway  tests/test_conflicts.py
tools/result.py                  slipway  tests/test_finish.py
tools/update.py                  slipway  tests/test_make_update.py
tools/uv.txt                     slipway  tests/test_oracle.py
"""


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    path: str
    owner: str
    proof: str

    def covers(self, path: str) -> bool:
        """Whether the line speaks of this file."""
        return fnmatchcase(path, self.path)


ROWS = [Row(*line.split(maxsplit=2)) for line in TABLE.strip().splitlines()]


@cache
def row(path: str) -> Row:
    """The one line that speaks of a file of a project whose package is own_name."""
    rows = [row for row in ROWS if row.covers(path)]
    assert rows, f"{path} is on no line of tests/ownership.py: what would miss it?"
    assert len(rows) == 1, f"{path} is on {len(rows)} lines of tests/ownership.py"
    return rows[0]
