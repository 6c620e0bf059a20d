"""Measure the project's `score` and pandas on the same file of many rows, on all cores."""

import json
import os
import statistics
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving.environments import Failed, call
from bench.serving.load import TOLERANCE
from bench.serving.peers import APPS, without_target
from bench.serving.project import FEWEST_ROWS, NAME, Project, rows
from bench.serving.servers import MEGABYTE, QUIET


@dataclass
class Scored:
    """What it took, for each time it was done."""

    title: str
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    memory: list[float] = field(default_factory=list)

    def medians(self) -> tuple[float, float, float]:
        seconds, cpu = statistics.median(self.seconds), statistics.median(self.cpu)
        return seconds, cpu, statistics.median(self.memory)


def watched(
    command: Sequence[str], folder: Path, settings: Mapping[str, str], into: Scored
) -> None:
    """Run to the end, and add what it took, children included."""
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
        raise Failed(f"{' '.join(command)} ended with {process.returncode}")
    into.seconds.append(time.perf_counter() - began)
    into.cpu.append(usage.ru_utime + usage.ru_stime)
    into.memory.append(usage.ru_maxrss * 1024 / MEGABYTE)


def score(project: Project, model: str, count: int, rounds: int) -> list[Scored]:
    """Both in turn, each row scored equally by both; ours where only files are scored."""
    python, folder = str(project.trains / "bin" / "python"), project.folder
    records = folder / "bulk.json"
    records.write_text(json.dumps(without_target(rows(FEWEST_ROWS))), "utf-8")
    source, one, other = (
        str(folder / f"bulk-{part}.parquet") for part in ("rows", "one", "other")
    )
    tool, estimator = str(APPS / "rows.py"), str(project.estimator(model))
    call(folder, [python, tool, "make", str(records), source, str(count)], QUIET)
    ours = [str(project.scores / "bin" / NAME), "score", source, one]
    whole = [python, str(APPS / "whole.py"), estimator, source, other]
    store = {"STORE": str(project.store(model))}
    found = Scored(f"`{NAME} score`"), Scored("pandas, the whole file")
    for _ in range(rounds):
        watched(ours, folder, store, found[0])
        watched(whole, folder, {}, found[1])
    said = call(folder, [python, tool, "compare", one, other], QUIET)
    if not float(said.splitlines()[-1]) <= TOLERANCE:
        raise Failed(f"the two ways to score a file differ by {said}")
    for path in (source, one, other):
        Path(path).unlink()
    return list(found)
