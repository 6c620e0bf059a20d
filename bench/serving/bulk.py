"""Measure the project's `score` and pandas on the same file of many rows, on all cores."""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving.environments import CommandFailed, run_command
from bench.serving.load import TOLERANCE
from bench.serving.peers import APPS, without_target
from bench.serving.project import FEWEST_ROWS, NAME, Project, generate_rows
from bench.serving.servers import MEGABYTE, QUIET


@dataclass
class BulkOutcome:
    """The seconds, processor seconds and megabytes of each run of one way to score a file."""

    title: str
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def medians(self) -> tuple[float, float, float]:
        return (
            statistics.median(self.seconds),
            statistics.median(self.cpu),
            statistics.median(self.memory),
        )


def measure_command(
    command: Sequence[str],
    folder: Path,
    settings: Mapping[str, str],
    outcome: BulkOutcome,
) -> None:
    """Run a command, and add its figures to the outcome, with those of its children."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env={**os.environ, **QUIET, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise CommandFailed(f"{' '.join(command)} exited with {process.returncode}")
    outcome.seconds.append(time.perf_counter() - began)
    outcome.cpu.append(usage.ru_utime + usage.ru_stime)
    outcome.memory.append(usage.ru_maxrss * 1024 / MEGABYTE)


def score(project: Project, model: str, count: int, rounds: int) -> list[BulkOutcome]:
    """Score a file of so many rows by both ways in turn, and check that their results agree.

    The project's way runs in its environment for scoring.
    """
    python, folder = str(project.training / "bin" / "python"), project.folder
    records = folder / "bulk.json"
    inputs = without_target(generate_rows(FEWEST_ROWS))
    records.write_text(json.dumps(inputs), "utf-8")
    rows_file, project_result, pandas_result = (
        str(folder / f"bulk-{part}.parquet") for part in ("rows", "one", "other")
    )
    tool, estimator = str(APPS / "rows.py"), str(project.estimator(model))
    create_rows = [python, tool, "make", str(records), rows_file, str(count)]
    run_command(folder, create_rows, QUIET)
    by_project = [str(project.scoring / "bin" / NAME), "score"]
    by_project += [rows_file, project_result]
    by_pandas = [python, str(APPS / "whole.py"), estimator, rows_file, pandas_result]
    store = {"STORE": str(project.store(model))}
    project_outcome = BulkOutcome(f"`{NAME} score`")
    pandas_outcome = BulkOutcome("pandas, the whole file")
    for _ in range(rounds):
        measure_command(by_project, folder, store, project_outcome)
        measure_command(by_pandas, folder, {}, pandas_outcome)
    compare = [python, tool, "compare", project_result, pandas_result]
    difference = run_command(folder, compare, QUIET).splitlines()[-1]
    # Written so that it also rejects NaN.
    if not float(difference) <= TOLERANCE:
        raise CommandFailed(f"the two ways to score a file differ by {difference}")
    for path in (rows_file, project_result, pandas_result):
        Path(path).unlink()
    return [project_outcome, pandas_outcome]
