"""Run servers as processes pinned to one core, and measure them through /proc."""

import os
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from bench.serving.load import RequestSet, WrongResponse, send_once

TICKS = os.sysconf("SC_CLK_TCK")
MEGABYTE = 1e6
START_SECONDS, STOP_SECONDS = 120.0, 20.0
# Libraries must neither use a second core nor send telemetry.
QUIET = {
    "BENTOML_DO_NOT_TRACK": "True",
    "DO_NOT_TRACK": "1",
    "MKL_NUM_THREADS": "1",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "OMP_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
}


def cores() -> tuple[int, int]:
    """Return a core for the server and one for the load generator; the same if there is only one."""
    usable = sorted(os.sched_getaffinity(0))
    return usable[0], usable[-1]


@dataclass(frozen=True)
class ProcessStat:
    """The parent, session and processor seconds of a process, from /proc/PID/stat."""

    parent: int
    session: int
    seconds: float

    @classmethod
    def read(cls, pid: int) -> Self | None:
        """Return None if there is no such process."""
        try:
            text = Path("/proc", str(pid), "stat").read_text()
        except (FileNotFoundError, ProcessLookupError):
            return None
        # The process name is in parentheses and may contain spaces and parentheses.
        fields = text.rpartition(")")[2].split()
        # utime, stime, cutime and cstime: the last two are those of reaped children.
        spent = sum(map(int, fields[11:15])) / TICKS
        return cls(int(fields[1]), int(fields[3]), spent)


def process_family(pid: int) -> dict[int, ProcessStat]:
    """Return a process with all its descendants and the processes of its session."""
    stats = {}
    for path in Path("/proc").iterdir():
        stat = ProcessStat.read(int(path.name)) if path.name.isdigit() else None
        if stat:
            stats[int(path.name)] = stat
    members = {number for number, s in stats.items() if pid in (number, s.session)}
    children = members
    while children:
        children = {n for n, s in stats.items() if s.parent in members} - members
        members = members | children
    return {number: stats[number] for number in members}


def cpu_seconds(pid: int) -> float:
    """Return the user and system time of a process family."""
    return sum(stat.seconds for stat in process_family(pid).values())


def megabytes(pid: int) -> float:
    """Return the memory of a process family; a page that several processes share counts once."""
    total = 0
    for one in process_family(pid):
        try:
            lines = Path("/proc", str(one), "smaps_rollup").read_text().splitlines()
        except (FileNotFoundError, ProcessLookupError):
            continue
        total += sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))
    return total * 1024 / MEGABYTE


class Server:
    """A running server. Leaving its `with` block stops all of its processes."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        ready: RequestSet,
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
        # Processes that it starts later inherit the affinity.
        os.sched_setaffinity(self.process.pid, {core})
        try:
            self._wait(ready, began + START_SECONDS)
        except BaseException:
            self.stop()
            raise
        self.ready_seconds = time.perf_counter() - began

    def _wait(self, ready: RequestSet, deadline: float) -> None:
        while True:
            try:
                send_once(self.port, ready)
                return
            except (OSError, WrongResponse) as error:
                if self.process.poll() is not None or time.perf_counter() > deadline:
                    log_end = self.log.read_text(errors="replace")[-2000:]
                    raise WrongResponse(f"not ready: {error}\n{log_end}") from None
            time.sleep(0.01)

    def cpu_seconds(self) -> float:
        return cpu_seconds(self.process.pid)

    def megabytes(self) -> float:
        return megabytes(self.process.pid)

    def stop(self) -> None:
        """Terminate the server, then kill what is left of its processes."""
        members = process_family(self.process.pid)
        self.process.terminate()
        try:
            self.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in members:
            # The system may have given the id to another process meanwhile.
            stat = ProcessStat.read(pid)
            if stat and stat.session == members[pid].session:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()
