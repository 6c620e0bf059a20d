"""Fixtures that make a test cheap and change nothing of what it shows.

A module that wants one gives it its name: `tmp_path = quick.tmp_path`.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import pytest

from tests.rendering import compiling_once
from tests.warm import warm

MEMORY = Path("/dev/shm")
"""Where files cost no disk: git and Copier write thousands of small ones."""


COLD = sys.executable
"""The Python that runs the tests, whatever `python` puts in its place."""


def place() -> str | None:
    """Where temporary folders go: in memory if the machine offers that, else where they always go."""
    return str(MEMORY) if os.access(MEMORY, os.W_OK) else None


def folder() -> AbstractContextManager[str]:
    """A temporary folder in memory."""
    return tempfile.TemporaryDirectory(
        prefix="slipway-test-", dir=place(), ignore_cleanup_errors=True
    )


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """The folder of one test, in memory."""
    with folder() as made:
        yield Path(made)


@pytest.fixture(autouse=True, scope="module")
def light() -> Iterator[None]:
    """Compile each text once, and let all temporary folders of the module be in memory."""
    with pytest.MonkeyPatch.context() as patch, compiling_once():
        if memory := place():
            patch.setattr(tempfile, "tempdir", memory)
            patch.setenv("TMPDIR", memory)
        yield


@pytest.fixture(autouse=True, scope="module")
def python(light: None) -> Iterator[Path]:
    """A Python that starts warm, which what is tested takes for the one that runs it."""
    with (
        folder() as made,
        warm(Path(made)) as program,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(sys, "executable", str(program))
        yield program
