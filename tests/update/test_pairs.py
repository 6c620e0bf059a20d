"""Every (old file, new file) over all answers, merged with each class of edit."""

import itertools
import shutil
from pathlib import Path
from random import Random

from tests.matrix.synthetic import write
from tests.matrix.template import Template
from tests.releases import Template as Repository
from tests.trees import template as today
from tests.trees import usual
from tests.update import small
from tests.update.history import archived, recorded
from tests.update.pairs import Pair, merges, pairs, problems
from tests.update.tomorrow import tomorrow

AT_ONCE = 2000
"""Merges that share a folder."""


def tried(found: list[Pair]) -> int:
    """How many merges were tried; each has lost nothing."""
    done = list(merges(found, Random(2026)))
    for start in range(0, len(done), AT_ONCE):
        assert not problems(done[start : start + AT_ONCE])
    return len(done)


def test_no_pair_of_the_small_template_loses_an_edit(tmp_path: Path) -> None:
    made = small.releases().items()
    templates = [Template(write(tmp_path / v, files)) for v, files in made]
    for old, new in itertools.combinations(templates, 2):
        renamed = {
            before: after
            for before, after in small.RENAMED.items()
            if before in old.questions.names and after in new.questions.names
        }
        assert tried(list(pairs(old, new, renamed, Random(2026))))


def test_no_pair_of_today_and_tomorrow_loses_an_edit(
    tmp_path: Path, default_gitconfig: object
) -> None:
    repository = Repository(tmp_path / "template")
    tomorrow(repository)
    shutil.rmtree(repository.folder / ".git")
    new = usual(repository.folder)
    found = list(pairs(today(), new, {}, Random(2026)))
    paths = {pair.path for pair in found}
    assert {"README.md", "pyproject.toml", "Makefile", "Dockerfile"} <= paths
    assert tried(found) > 3 * len(found)


def test_no_pair_of_a_release_and_today_loses_an_edit(tmp_path: Path) -> None:
    for version, commit in recorded().items():
        old = usual(archived(commit, tmp_path / version))
        tried(list(pairs(old, today(), {}, Random(2026))))
