"""Servers as processes: started on a core of their own, watched through /proc, stopped."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.serving.load import Question, WrongAnswer, once

TICKS = os.sysconf("SC_CLK_TCK")
MEGABYTE = 1e6
START_SECONDS, STOP_SECONDS = 120.0, 20.0
# No library may use a second core, or call home.
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "MKL_NUM_THREADS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def cores() -> tuple[int, int]:
    """One for the server, another for the load; the same where there is only one."""
    free = sorted(os.sched_getaffinity(0))
    return free[0], free[-1]


@dataclass(frozen=True)
class Stat:
    """What /proc/PID/stat says of a process that matters here."""

    parent: int
    session: int
    seconds: float

    @classmethod
    def read(cls, pid: int) -> Self | None:
        try:
            text = Path("/proc", str(pid), "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # Its name stands in parentheses and may hold anything.
        fields = text.rpartition(")")[2].split()
        # Its own time, and that of children who ended and were waited for.
        spent = sum(map(int, fields[11:15])) / TICKS
        return cls(int(fields[1]), int(fields[3]), spent)


def family(pid: int) -> dict[int, Stat]:
    """A process with all that it started, and what shares its session."""
    pids = [int(path.name) for path in Path("/proc").iterdir() if path.name.isdigit()]
    stats = {one: stat for one in pids if (stat := Stat.read(one))}
    found = {one for one, stat in stats.items() if pid in (one, stat.session)}
    while more := {
        one for one, stat in stats.items() if stat.parent in found and one not in found
    }:
        found |= more
    return {one: stats[one] for one in found}


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and all that it started."""
    return sum(stat.seconds for stat in family(pid).values())


def megabytes(pid: int) -> float:
    """Memory in use; a page that several processes share counts once."""
    total = 0
    for one in family(pid):
        try:
            lines = Path("/proc", str(one), "smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / MEGABYTE


class Server:
    """A running server; leaves nothing running when its block ends."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        ready: Question,
        folder: Path,
        log: Path,
        environment: Mapping[str, str],
    ) -> None:
        self.port, self.log = port, log
        core, _ = cores()
        began = time.perf_counter()
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env={**os.environ, **QUIET, **environment},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        # What it starts later inherits this.
        os.sched_setaffinity(self.process.pid, {core})
        try:
            self._wait(ready, began + START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.ready_seconds = time.perf_counter() - began

    def _wait(self, ready: Question, deadline: float) -> None:
        while True:
            try:
                once(self.port, ready)
                return
            except (OSError, WrongAnswer) as error:
                if self.process.poll() is not None or time.perf_counter() > deadline:
                    last = self.log.read_text(errors="replace")[-2000:]
                    raise WrongAnswer(f"not ready: {error}\n{last}") from None
            time.sleep(0.01)

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process.pid)

    def megabytes(self) -> float:
        return megabytes(self.process.pid)

    def stop(self) -> None:
        """Ask it to end; end what is still there."""
        everyone = family(self.process.pid)
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in everyone:
            # Only who still is the process that was seen.
            stat = Stat.read(pid)
            if stat and stat.session == everyone[pid].session:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
