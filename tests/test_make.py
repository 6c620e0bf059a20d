"""Every target of the Makefile, on a machine that has git, make and Python, and nothing else."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from slipway import releases
from tests.checkout import Checkout, bare_environment
from tests.releases import git
from tests.rendering import ROOT

HEAVY = pytest.mark.prove("three benches take two minutes of CPU")
EACH_RUN = {
    "examples": ("", ""),
    "format": ("", "left unchanged"),
    "help": ("", "make bench-serving"),
    "lint": ("", "no issues found"),
    "lock": ("UPGRADE=", ""),
    "matrix": ("ARGS=count", "[1-9][0-9,]* combinations"),
    "prove": ("ARGS=tests/test_licences.py", "[1-9] passed"),
    "release": ("VERSION=none", "after 0.0.0 comes 0.0.1"),
    "tags": ("", "All tags are there"),
    "test": ("ARGS=tests/test_licences.py", "[1-9] passed"),
}
IN_PROVE = {
    "bench": ("", "pytest-copier +[0-9]"),
    "bench-serving": ("ARGS=--quick --docs {folder}", "linear: round 1 of 1"),
    "bench-update": ("", "an empty template, [0-9]+ files"),
}
ELSEWHERE = {"new"}
"""tests/test_new.py runs it on such a machine."""


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, checkout: Checkout) -> Path:
    """A copy of the repository; what it lacks, it fetches."""
    folder = tmp_path_factory.mktemp("bare") / "slipway"
    shutil.copytree(checkout.folder, folder, symlinks=True)
    # It has one commit, and not those of the releases.
    (folder / releases.RELEASES).write_text("")
    return folder


@pytest.mark.parametrize(
    "target", [*EACH_RUN, *(pytest.param(name, marks=HEAVY) for name in IN_PROVE)]
)
def test_a_target_does_its_work(target: str, bare: Path, tmp_path: Path) -> None:
    argument, expected = (EACH_RUN | IN_PROVE)[target]
    # A release is made of what is committed, and examples, locks and formats change files.
    git(bare, "add", "--all")
    git(bare, "commit", "--quiet", "--allow-empty", "--message", "before")
    done = subprocess.run(
        ["make", target, *filter(None, [argument.format(folder=tmp_path)])],
        check=False,
        cwd=bare,
        env=bare_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert re.search(expected, done.stdout), done.stdout
    assert "Traceback" not in done.stdout
    # A version that is none is refused; all else ends well.
    assert (done.returncode == 0) == (target != "release"), done.stdout


def test_no_target_is_left_out() -> None:
    (line,) = re.findall(
        "^.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.MULTILINE
    )
    assert set(line.split()) == EACH_RUN.keys() | IN_PROVE.keys() | ELSEWHERE
