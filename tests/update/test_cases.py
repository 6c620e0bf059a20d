"""Run random cases: UPDATE_CASES sets their number, and SEED which they are.

Two run at a time. Each failure names the command that repeats it.
"""

import multiprocessing
import os
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from plumbum import local

from tests import quick
from tests.drawn import PROVE, SEED
from tests.update.cases import Case, run_case
from tests.update.history import BUILDERS

COUNT = int(os.environ.get("UPDATE_CASES") or (40 if PROVE else 16))
WORKERS = 2
NAMES = list(BUILDERS)
DRAWN = [(NAMES[n % len(NAMES)], n // len(NAMES)) for n in range(COUNT)]
Running = dict[tuple[str, int], Future[list[str]]]


def prepare(environment: dict[str, str]) -> None:
    """Give a worker this session's git settings, and temporary files in memory if possible."""
    os.environ.update(environment)
    local.env.update(environment)
    tempfile.tempdir = quick.place()


@pytest.fixture(scope="module")
def running(
    request: pytest.FixtureRequest,
    default_gitconfig: object,
) -> Iterator[Running]:
    """Start all selected cases, and yield their futures."""
    drawn: list[Any] = [
        item.callspec.params["drawn"]
        for item in request.session.items
        if isinstance(item, pytest.Function) and "running" in item.fixturenames
    ]
    git_settings = {n: text for n, text in os.environ.items() if n.startswith("GIT_")}
    spawn = multiprocessing.get_context("spawn")
    with (
        quick.folder() as folder,
        ProcessPoolExecutor(WORKERS, spawn, prepare, (git_settings,)) as pool,
    ):
        histories = {
            name: build(Path(folder, name)) for name, build in BUILDERS.items()
        }
        yield {
            (name, number): pool.submit(run_case, Case(histories[name], SEED, number))
            for name, number in drawn
        }


@pytest.mark.parametrize("drawn", DRAWN, ids=[f"{name}-{n}-" for name, n in DRAWN])
def test_an_update_loses_nothing(running: Running, drawn: tuple[str, int]) -> None:
    problems = running[drawn].result()
    assert not problems, "\n".join(problems)
