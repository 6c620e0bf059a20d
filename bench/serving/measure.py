"""Measure servers in rounds: a few seconds of full load on each, in a different order each round."""

import os
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving import load
from bench.serving.environments import CommandFailed, installed_megabytes
from bench.serving.load import RequestSet, WrongResponse
from bench.serving.peers import Peer, without_target
from bench.serving.project import Project, Record
from bench.serving.servers import Server, cores


@dataclass(frozen=True)
class Effort:
    """The amount of measuring: more takes longer and varies less."""

    rounds: int = 5
    seconds: float = 3.0
    warm_seconds: float = 1.0
    starts: int = 3
    connections: int = 64
    most: int = 200_000
    """The most requests in a round, even if there is time left."""
    fewest: int = 300
    """The fewest requests in a round, even if they take longer."""


QUICK = Effort(
    rounds=1,
    seconds=0.5,
    warm_seconds=0.2,
    starts=1,
    connections=8,
    most=1_000,
    fewest=20,
)


@dataclass
class Outcome:
    """The figures of one server with one model: one for each round or start."""

    server: str
    title: str
    model: str
    connections: int
    cpu: list[float] = field(default_factory=list)
    """Microseconds of processor time for a request."""
    rate: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    """In milliseconds, as `p50` and `health` are."""
    health: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    """Seconds until the server was ready."""
    memory: float = 0.0
    environment: float = 0.0
    """In megabytes, as `memory` is."""
    requests: int = 0
    trouble: str = ""

    @property
    def cost(self) -> float:
        """The median processor time for a request, in microseconds."""
        return statistics.median(self.cpu) if self.cpu else 0.0

    @property
    def spread(self) -> float:
        """The largest distance of a round from the median, as a share of it."""
        return max(abs(cpu - self.cost) for cpu in self.cpu) / self.cost


@dataclass
class Run:
    """A running server, the requests for it, and its outcome."""

    peer: Peer
    server: Server
    request_set: RequestSet
    outcome: Outcome

    def apply_load(
        self, effort: Effort, seconds: float, probe: RequestSet | None = None
    ) -> load.Sample:
        return load.run(
            self.server.port,
            self.request_set,
            seconds,
            effort.connections,
            effort.most,
            effort.fewest,
            probe,
        )

    def measure_round(self, effort: Effort) -> None:
        """Add the processor time, rate and latencies of one round."""
        before = self.server.cpu_seconds()
        sample = self.apply_load(effort, effort.seconds)
        spent = self.server.cpu_seconds() - before
        requests, outcome = len(sample.latencies), self.outcome
        outcome.requests += requests
        outcome.cpu.append(1e6 * spent / requests)
        outcome.rate.append(requests / sample.seconds)
        outcome.p50.append(1e3 * statistics.median(sample.latencies))
        outcome.p99.append(1e3 * percentile(sample.latencies, 0.99))

    def measure_under_load(self, effort: Effort) -> None:
        """Record the latency of the health endpoint under full load, and the memory after it."""
        probes = self.apply_load(effort, effort.seconds, self.peer.probe()).probes
        self.outcome.health = [1e3 * seconds for seconds in probes]
        self.outcome.memory = self.server.megabytes()


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def log(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(
    project: Project,
    peers: Sequence[Peer],
    model: str,
    records: list[Record],
    effort: Effort,
    work: Path,
) -> list[Outcome]:
    """Measure all servers with one model. A failure is recorded in the outcome, and the others continue."""
    inputs = without_target(records)
    predictions = project.predict(model, inputs)
    outcomes = []
    # A server is pinned to the first core that this process may use: restrict this process only after all starts.
    allowed = os.sched_getaffinity(0)
    with ExitStack() as stack:
        runs = []
        for peer in (peer for peer in peers if model in peer.models):
            outcome = Outcome(peer.name, peer.title, model, effort.connections)
            outcomes.append(outcome)
            log(f"{model}: {peer.title}")
            try:
                for _ in range(effort.starts):
                    server = peer.start(model, project, work)
                    stack.callback(server.stop)
                    outcome.ready.append(server.ready_seconds)
                    if len(outcome.ready) < effort.starts:
                        server.stop()
                outcome.environment = installed_megabytes(peer.environment)
            except WrongResponse as error:
                outcome.trouble = str(error)
                log(outcome.trouble)
                continue
            request_set = peer.request_set(inputs, predictions)
            runs.append(Run(peer, server, request_set, outcome))
        _, core = cores()
        os.sched_setaffinity(0, {core})
        try:
            for_each(runs, lambda run: check_and_warm_up(run, effort))
            for number in range(effort.rounds):
                log(f"{model}: round {number + 1} of {effort.rounds}")
                first = number % max(len(runs), 1)
                rotated = runs[first:] + runs[:first]
                for_each(rotated, lambda run: run.measure_round(effort))
            for_each(runs, lambda run: run.measure_under_load(effort))
        finally:
            os.sched_setaffinity(0, allowed)
    return outcomes


def check_and_warm_up(run: Run, effort: Effort) -> None:
    """Compare the response to each record with scikit-learn, first alone and then under load."""
    for number in range(len(run.request_set.requests)):
        load.send_once(run.server.port, run.request_set, number)
    run.apply_load(effort, effort.warm_seconds)


def for_each(runs: Sequence[Run], work: Callable[[Run], None]) -> None:
    """Do some work with each run that has not failed, and record its failure."""
    for run in runs:
        if run.outcome.trouble:
            continue
        try:
            work(run)
        except (OSError, CommandFailed, WrongResponse) as error:
            run.outcome.trouble = f"{type(error).__name__}: {error}"
            log(f"{run.peer.title}: {run.outcome.trouble}")
