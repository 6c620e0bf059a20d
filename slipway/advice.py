"""Advice for the owner of a repository that joins, on each file that conflicts with Slipway's files."""

import subprocess
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

COLLISIONS = {
    "pyproject.toml": (
        "take Slipway's file, then add your dependencies under [project] and the "
        "sections of your tools at the end"
    ),
    "README.md": (
        "keep your file, and copy what helps, such as the overview of folders, from "
        "Slipway's"
    ),
    "LICENSE": "keep your file, and change the answer to licence to match it",
    "Makefile": (
        "add Slipway's targets to your file: CI and the docs call setup, lint and test"
    ),
    "*ignore": (
        "add Slipway's lines to your file: without them, models and logs are committed"
    ),
    ".env.example": "add Slipway's settings to your file",
    ".pre-commit-config.yaml": "add Slipway's hooks to your file",
    ".github/workflows/*": (
        "take Slipway's file, and rename yours first if it must keep running; or keep "
        "your file and call make lint test in it"
    ),
    "src/*/kit/*": (
        "take Slipway's file, which other modules import; move yours to another place"
    ),
    "src/*": "keep your file under another name, and call it from Slipway's",
    "tools/*": "take Slipway's file; rename yours first",
    "tests/*": "rename your file, and take Slipway's; both run",
    "*": "compare the two files, and merge them into one",
}
"""Advice by pattern, where both sides have a file of the same name. The first match counts."""

MOVE_TO_PYPROJECT = (
    "it is read instead of pyproject.toml: move what you need there, then delete it"
)
REPLACED_BY_PYPROJECT = (
    "pyproject.toml and uv.lock replace it: move what you need there, then delete it"
)
RIVALS = {
    "pytest.ini": MOVE_TO_PYPROJECT,
    ".pytest.ini": MOVE_TO_PYPROJECT,
    "mypy.ini": MOVE_TO_PYPROJECT,
    ".mypy.ini": MOVE_TO_PYPROJECT,
    "ruff.toml": MOVE_TO_PYPROJECT,
    ".ruff.toml": MOVE_TO_PYPROJECT,
    "setup.py": REPLACED_BY_PYPROJECT,
    "setup.cfg": REPLACED_BY_PYPROJECT,
    "tox.ini": REPLACED_BY_PYPROJECT,
    "Pipfile": REPLACED_BY_PYPROJECT,
    "poetry.lock": REPLACED_BY_PYPROJECT,
    "requirements.txt": REPLACED_BY_PYPROJECT,
    ".github/workflows/*.y*ml": (
        "it runs in addition to Slipway's workflows: remove the checks that both run"
    ),
    ".gitlab-ci.yml": "it keeps running: call make lint test in it",
}
"""Advice by pattern on files that have no counterpart in Slipway, but the same purpose as one of its files."""


def for_collision(path: str, blocker: str) -> str:
    """Return the advice where something exists at `blocker`: at Slipway's `path`, or instead of one of its folders."""
    if path != blocker:
        return "Slipway needs a folder of this name: rename yours"
    return next(
        advice for pattern, advice in COLLISIONS.items() if fnmatchcase(path, pattern)
    )


def for_rivals(
    their_paths: Iterable[str], slipway_paths: Iterable[str]
) -> dict[str, str]:
    """Return the advice on each of their files that rivals one of Slipway's."""
    return {
        path: advice
        for path in sorted(set(their_paths) - set(slipway_paths))
        for pattern, advice in RIVALS.items()
        if fnmatchcase(path, pattern)
    }


def for_ignored(paths: Iterable[str], repository: Path) -> dict[str, str]:
    """Return the advice on each of Slipway's paths that the repository's git ignores."""
    done = subprocess.run(
        ["git", "check-ignore", "--verbose", "-z", "--stdin"],
        check=False,
        cwd=repository,
        input="\0".join(sorted(paths)),
        capture_output=True,
        text=True,
    )
    # Each path comes with the file, the line and the pattern that ignore it.
    fields = done.stdout.split("\0")
    advice = {}
    for start in range(0, len(fields) - 3, 4):
        file, _, pattern, path = fields[start : start + 4]
        advice[path] = (
            f"{file} ignores it by {pattern}, so an update would lose it: narrow the "
            "pattern"
        )
    return advice
