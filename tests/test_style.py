"""Code is formatted and linted as rendered, whatever the package is called."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.ownership import PACKAGE
from tests.rendering import Tree, render
from tests.trees import Answers, projects

# The shortest and the longest name that a package can have: lines wrap differently.
NAMES = ("ab", "a_name_of_thirty_characters_ok")
LENGTH = ["--line-length", "110"]  # where a project has no [tool.black] to say so
CHECKS = (
    ["black", "--check", "--quiet", *LENGTH, "."],
    ["ruff", "format", "--check", "--quiet", "--no-cache", "."],
    ["ruff", "check", "--quiet", "--no-cache", "."],
)


def what_a_formatter_reads(tree: Tree) -> frozenset[tuple[str, bytes]]:
    """Python, notebooks, and the settings that decide about them."""
    suffixes = (".py", ".ipynb", "pyproject.toml")
    return frozenset(item for item in tree.items() if item[0].endswith(suffixes))


def distinct() -> list[Answers]:
    """One set of answers for each set of files that a formatter can tell apart."""
    # A licence is a line of the metadata, which no formatter reads.
    found = {
        what_a_formatter_reads(tree): answers
        for answers, tree in projects()
        if answers["licence"] == "MIT"
    }
    return list(found.values())


@pytest.mark.parametrize("name", NAMES)
def test_every_project_is_clean_under_both_formatters(
    name: str, tmp_path: Path
) -> None:
    assert len(NAMES[0]) == 2 and len(NAMES[1]) == 30 != len(PACKAGE)
    for number, answers in enumerate(distinct()):
        folder = render(tmp_path / str(number), {**answers, "package_name": name})
        for check in CHECKS:
            done = subprocess.run(
                [sys.executable, "-m", *check],
                check=False,
                cwd=folder,
                capture_output=True,
                text=True,
            )
            said = done.stdout + done.stderr
            assert done.returncode == 0, f"{check} under {answers}:\n{said}"
