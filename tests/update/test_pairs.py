"""Every (old file, new file) over all answers, merged with each class of edit.

Each run tries a number of them that SEED draws, of every file and with every class of edit; `make prove` tries all.
"""

import shutil
from collections import Counter
from pathlib import Path
from random import Random

import pytest

from tests import quick
from tests.drawn import PROVE, SEED
from tests.matrix.synthetic import write
from tests.matrix.template import Template
from tests.releases import PARTS, git
from tests.releases import Template as Repository
from tests.rendering import ROOT
from tests.trees import template as today
from tests.trees import usual
from tests.update import small
from tests.update.edits import EDITS
from tests.update.history import archived, recorded
from tests.update.pairs import Pair, drawn, merges, pairs, problems
from tests.update.tomorrow import tomorrow

tmp_path = quick.tmp_path
AT_ONCE = 2000
"""Merges that share a folder."""


def tried(found: list[Pair]) -> Counter[str]:
    """How many merges were tried of each class of edit; each has lost nothing."""
    random = Random(SEED)
    done = list(merges(drawn(found, random), random))
    for start in range(0, len(done), AT_ONCE):
        again = f"SEED={SEED} make {'prove' if PROVE else 'test'} ARGS=tests/update/test_pairs.py"
        assert not problems(done[start : start + AT_ONCE]), again
    return Counter(merge.edit for merge in done)


def test_each_run_tries_every_file() -> None:
    narrow = [Pair(f"narrow-{n}", b"a", b"b") for n in range(3)]
    wide = [Pair("wide", b"%d" % n, b"b") for n in range(100)]
    runs = [drawn([*narrow, *wide], Random(seed), 10) for seed in range(200)]
    for run in runs if not PROVE else ():
        assert len(run) == len(set(run)) == 10
        assert set(narrow) < set(run)
    assert set().union(*runs) == {*narrow, *wide}


@pytest.mark.parametrize("step", range(1, len(small.releases())))
def test_no_pair_of_the_small_template_loses_an_edit(step: int, tmp_path: Path) -> None:
    made = list(small.releases().items())
    templates = [Template(write(tmp_path / v, files)) for v, files in made]
    for old, new in zip(templates, templates[step:], strict=False):
        renamed = {
            before: after
            for before, after in small.RENAMED.items()
            if before in old.questions.names and after in new.questions.names
        }
        assert tried(list(pairs(old, new, renamed, Random(SEED))))


def test_no_pair_of_today_and_tomorrow_loses_an_edit(
    tmp_path: Path, default_gitconfig: object
) -> None:
    repository = Repository(tmp_path / "template")
    tomorrow(repository)
    shutil.rmtree(repository.folder / ".git")
    new = usual(repository.folder)
    found = list(pairs(today(), new, {}, Random(SEED)))
    paths = {pair.path for pair in found}
    assert {"README.md", "pyproject.toml", "Makefile", "Dockerfile"} <= paths
    assert {pair.path for pair in drawn(found, Random(SEED))} == paths
    assert tried(found).keys() == EDITS.keys()


def changed() -> dict[str, str]:
    """The releases whose template is not today's, and their commits."""
    known = recorded().items()
    return {
        version: commit
        for version, commit in known
        if git(ROOT, "diff", "--name-only", commit, "--", *PARTS)
    }


def test_no_pair_of_a_release_and_today_loses_an_edit(tmp_path: Path) -> None:
    found = sorted(changed().items())
    for version, commit in found if PROVE else Random(SEED).sample(found, found != []):
        old = usual(archived(commit, tmp_path / version))
        tried(list(pairs(old, today(), {}, Random(SEED))))
