"""Rounds: every server in turn, in another order each time, a few seconds of full load each."""

import os
import statistics
import sys
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

from bench.serving import load
from bench.serving.environments import Failed
from bench.serving.environments import megabytes as installed
from bench.serving.load import Question, WrongAnswer
from bench.serving.peers import Peer, without_target
from bench.serving.project import Project, Record
from bench.serving.servers import Server, cores


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    rounds: int = 5
    seconds: float = 3.0
    warm_seconds: float = 1.0
    starts: int = 3
    connections: int = 64
    most: int = 200_000
    fewest: int = 300
    """Requests in a round, however long they take."""


QUICK = Effort(1, 0.5, 0.2, 1, 8, 1_000, 20)


@dataclass
class Outcome:
    """What one server came to with one model: a figure for each round or start."""

    server: str
    title: str
    model: str
    connections: int
    cpu: list[float] = field(default_factory=list)
    """Microseconds of processor time for a request."""
    rate: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    """Milliseconds, as are the next."""
    health: list[float] = field(default_factory=list)
    ready: list[float] = field(default_factory=list)
    memory: float = 0.0
    environment: float = 0.0
    requests: int = 0
    trouble: str = ""

    @property
    def cost(self) -> float:
        return statistics.median(self.cpu) if self.cpu else 0.0

    @property
    def spread(self) -> float:
        """How far the rounds lie from their median at most, as a share of it."""
        return max(abs(one - self.cost) for one in self.cpu) / self.cost


@dataclass
class Run:
    """A server that runs, what it is asked, and what came of it."""

    peer: Peer
    server: Server
    question: Question
    outcome: Outcome

    def ask(
        self, effort: Effort, seconds: float, probe: Question | None = None
    ) -> load.Sample:
        port, many = self.server.port, effort.connections
        return load.run(
            port, self.question, seconds, many, effort.most, effort.fewest, probe
        )

    def round(self, effort: Effort) -> None:
        before = self.server.cpu_seconds()
        sample = self.ask(effort, effort.seconds)
        spent = self.server.cpu_seconds() - before
        answers, outcome = len(sample.latencies), self.outcome
        outcome.requests += answers
        outcome.cpu.append(1e6 * spent / answers)
        outcome.rate.append(answers / sample.seconds)
        outcome.p50.append(1e3 * statistics.median(sample.latencies))
        outcome.p99.append(1e3 * percentile(sample.latencies, 0.99))

    def saturate(self, effort: Effort) -> None:
        """How long a look at its health takes meanwhile, and what memory it holds."""
        probes = self.ask(effort, effort.seconds, self.peer.probe()).probes
        self.outcome.health = [1e3 * seconds for seconds in probes]
        self.outcome.memory = self.server.megabytes()


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def measure(
    project: Project,
    peers: Sequence[Peer],
    model: str,
    records: list[Record],
    effort: Effort,
    work: Path,
) -> list[Outcome]:
    """All servers with one model. One that fails says why, and the others go on."""
    asked = without_target(records)
    expected = project.expected(model, asked)
    outcomes = []
    # Those who are pinned are started by this process: it moves away from them first.
    allowed = os.sched_getaffinity(0)
    with ExitStack() as stack:
        runs = []
        for peer in (peer for peer in peers if model in peer.models):
            outcome = Outcome(peer.name, peer.title, model, effort.connections)
            outcomes.append(outcome)
            say(f"{model}: {peer.title}")
            try:
                for _ in range(effort.starts):
                    server = peer.start(model, project, work)
                    stack.callback(server.stop)
                    outcome.ready.append(server.ready_seconds)
                    if len(outcome.ready) < effort.starts:
                        server.stop()
                outcome.environment = installed(peer.environment)
            except WrongAnswer as error:
                outcome.trouble = str(error)
                say(outcome.trouble)
                continue
            question = peer.question(asked, expected)
            runs.append(Run(peer, server, question, outcome))
        _, core = cores()
        os.sched_setaffinity(0, {core})
        try:
            each(runs, lambda run: agree(run, effort))
            for number in range(effort.rounds):
                say(f"{model}: round {number + 1} of {effort.rounds}")
                turn = number % max(len(runs), 1)
                each(runs[turn:] + runs[:turn], lambda run: run.round(effort))
            each(runs, lambda run: run.saturate(effort))
        finally:
            os.sched_setaffinity(0, allowed)
    return outcomes


def agree(run: Run, effort: Effort) -> None:
    """Each record is answered as scikit-learn does, first alone and then under load."""
    for number in range(len(run.question.wire)):
        load.once(run.server.port, run.question, number)
    run.ask(effort, effort.warm_seconds)


def each(runs: Sequence[Run], work: Callable[[Run], None]) -> None:
    for run in runs:
        if run.outcome.trouble:
            continue
        try:
            work(run)
        except (OSError, Failed, WrongAnswer) as error:
            run.outcome.trouble = f"{type(error).__name__}: {error}"
            say(f"{run.peer.title}: {run.outcome.trouble}")
