"""No merge of an (old file, new file) over all answers loses an edit.

Each run tries a random sample of the pairs by SEED, with every file and every kind of edit; `make prove` tries all.
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
from tests.releases import COPIED_PATHS, git
from tests.releases import Template as Repository
from tests.rendering import ROOT
from tests.trees import template as current_template
from tests.trees import usual
from tests.update import small
from tests.update.edits import EDITS
from tests.update.history import available_releases, extract_template
from tests.update.pairs import (
    Pair,
    create_merges,
    draw_pairs,
    find_pairs,
    find_problems,
)
from tests.update.tomorrow import change_template

tmp_path = quick.tmp_path
BATCH = 2000
"""The number of merges that share a folder."""


def check_pairs(pairs: list[Pair]) -> Counter[str]:
    """Fail if a merge loses an edit; return the number of merges by kind of edit."""
    random = Random(SEED)
    merges = list(create_merges(draw_pairs(pairs, random), random))
    for start in range(0, len(merges), BATCH):
        command = f"SEED={SEED} make {'prove' if PROVE else 'test'} ARGS=tests/update/test_pairs.py"
        assert not find_problems(merges[start : start + BATCH]), command
    return Counter(merge.edit for merge in merges)


def test_each_run_tries_every_file() -> None:
    narrow = [Pair(f"narrow-{n}", b"a", b"b") for n in range(3)]
    wide = [Pair("wide", b"%d" % n, b"b") for n in range(100)]
    runs = [draw_pairs([*narrow, *wide], Random(seed), 10) for seed in range(200)]
    for run in runs if not PROVE else ():
        assert len(run) == len(set(run)) == 10
        assert set(narrow) < set(run)
    assert set().union(*runs) == {*narrow, *wide}


@pytest.mark.parametrize("step", range(1, len(small.releases())))
def test_no_pair_of_the_small_template_loses_an_edit(step: int, tmp_path: Path) -> None:
    releases = list(small.releases().items())
    templates = [Template(write(tmp_path / v, files)) for v, files in releases]
    for old, new in zip(templates, templates[step:], strict=False):
        renamed = {
            before: after
            for before, after in small.RENAMED.items()
            if before in old.questions.names and after in new.questions.names
        }
        assert check_pairs(list(find_pairs(old, new, renamed, Random(SEED))))


def test_no_pair_of_the_current_and_the_next_state_loses_an_edit(
    tmp_path: Path, default_gitconfig: object
) -> None:
    repository = Repository(tmp_path / "template")
    change_template(repository)
    shutil.rmtree(repository.folder / ".git")
    new = usual(repository.folder)
    pairs = list(find_pairs(current_template(), new, {}, Random(SEED)))
    paths = {pair.path for pair in pairs}
    assert {"README.md", "pyproject.toml", "Makefile", "Dockerfile"} <= paths
    assert {pair.path for pair in draw_pairs(pairs, Random(SEED))} == paths
    assert check_pairs(pairs).keys() == EDITS.keys()


def older_templates() -> dict[str, str]:
    """Return the commits of the releases whose template differs from the current one."""
    releases = available_releases().items()
    return {
        version: commit
        for version, commit in releases
        if git(ROOT, "diff", "--name-only", commit, "--", *COPIED_PATHS)
    }


def test_no_pair_of_a_release_and_the_current_state_loses_an_edit(
    tmp_path: Path,
) -> None:
    older = sorted(older_templates().items())
    if older and not PROVE:
        older = [Random(SEED).choice(older)]
    for version, commit in older:
        old = usual(extract_template(commit, tmp_path / version))
        check_pairs(list(find_pairs(old, current_template(), {}, Random(SEED))))
