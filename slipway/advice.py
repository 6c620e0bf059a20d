"""What the owner of a repository should do about each file that meets one of ours."""

import subprocess
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

# The first pattern that fits a path speaks.
COLLISIONS = {
    "pyproject.toml": (
        "take ours, and put into it what is yours: dependencies under [project], the "
        "sections of your tools at the end"
    ),
    "README.md": "keep yours, and take over what helps, such as what is where in ours",
    "LICENSE": "keep yours, and let the answer to licence say the same",
    "Makefile": "put our verbs into yours: CI and the pages call setup, lint and test",
    "*ignore": "add our lines to yours: without them, models and logs are committed",
    ".env.example": "add our settings to yours",
    ".pre-commit-config.yaml": "add our hooks to yours",
    ".github/workflows/*": (
        "rename yours if it shall run on, and take ours; or let yours call make lint test"
    ),
    "src/*/kit/*": "take ours, which the rest relies on; move yours to another place",
    "src/*": "keep yours under another name, and let ours call it",
    "tools/*": "take ours; move yours to another name",
    "tests/*": "move yours to another name, and take ours; both run",
    "*": "compare the two, and make one of them",
}
# Files that no path of ours meets, and that say otherwise what ours say.
RIVALS = {
    **dict.fromkeys(
        (
            "pytest.ini",
            ".pytest.ini",
            "mypy.ini",
            ".mypy.ini",
            "ruff.toml",
            ".ruff.toml",
        ),
        "it is read instead of pyproject.toml: move over what you need, then remove it",
    ),
    **dict.fromkeys(
        (
            "setup.py",
            "setup.cfg",
            "tox.ini",
            "Pipfile",
            "poetry.lock",
            "requirements.txt",
        ),
        "pyproject.toml and uv.lock take its place: move over what you need, then remove it",
    ),
    ".github/workflows/*.y*ml": "it runs beside ours: remove what both check",
    ".gitlab-ci.yml": "it runs on: let it call make lint test",
}


def on_collision(path: str, met: str) -> str:
    """What to do where our path meets something of theirs at `met`."""
    if path != met:
        return "it is in the way of a folder of ours: rename it"
    return next(
        told for pattern, told in COLLISIONS.items() if fnmatchcase(path, pattern)
    )


def on_rivals(theirs: Iterable[str], ours: Iterable[str]) -> dict[str, str]:
    """What to do about their files that are not ours, and rival one of them."""
    return {
        path: told
        for path in sorted(set(theirs) - set(ours))
        for pattern, told in RIVALS.items()
        if fnmatchcase(path, pattern)
    }


def on_ignored(paths: Iterable[str], repository: Path) -> dict[str, str]:
    """What to do about paths of ours that the repository's git is told to leave out."""
    done = subprocess.run(
        ["git", "check-ignore", "--verbose", "-z", "--stdin"],
        check=False,
        cwd=repository,
        input="\0".join(sorted(paths)),
        capture_output=True,
        text=True,
    )
    words = iter(done.stdout.split("\0"))
    return {
        path: f"{file} leaves it out by {pattern}, so an update would lose it: narrow that"
        for file, _, pattern, path in zip(words, words, words, words, strict=False)
    }
