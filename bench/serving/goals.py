"""The goals of the service, compared with the measurements."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.serving.bulk import BulkOutcome
from bench.serving.measure import Outcome, percentile
from bench.serving.peers import CONSTANT, FEATURED, OURS, THROUGH, TUTORIAL

CPU_RATIOS = {
    "linear": {FEATURED: 100, TUTORIAL: 60, "mlflow": 60, "bentoml-plain": 60},
    "boosting": {FEATURED: 40, TUTORIAL: 40},
    "forest": {FEATURED: 40, TUTORIAL: 40},
}
"""How many times less processor time than a peer the service must take, by model and peer."""
ENVIRONMENT_MEGABYTES = {"linear": 100.0, "boosting": 220.0, "forest": 220.0}
READY_SECONDS, HEALTH_MILLISECONDS = 1.5, 25.0
CONSTANT_RATIO = 3.0
"""How many times the processor time of a constant the service may take."""
BULK_SPEEDUP, BULK_MEMORY_RATIO = 5.0, 1 / 3


@dataclass(frozen=True)
class Goal:
    """A row of the page's table of goals."""

    name: str
    wanted: str
    measured: str
    met: bool


def at_least(name: str, measured: float, wanted: float) -> Goal:
    return Goal(name, f"≥ {wanted:g}×", f"{measured:.3g}×", measured >= wanted)


def at_most(name: str, measured: float, wanted: float, unit: str) -> Goal:
    return Goal(
        name,
        f"≤ {wanted:.3g}{unit}",
        f"{measured:.3g}{unit}",
        measured <= wanted,
    )


def judge(
    outcomes: Sequence[Outcome], bulk_outcomes: Sequence[BulkOutcome]
) -> Iterator[Goal]:
    """Yield the goals for which this run has the figures."""
    measured = {(one.model, one.server): one for one in outcomes if one.cpu}
    for model, ratios in CPU_RATIOS.items():
        service = measured.get((model, OURS))
        for server, wanted in ratios.items():
            peer = measured.get((model, server))
            if service and peer:
                name = f"{model}: less CPU than {peer.title}"
                yield at_least(name, peer.cost / service.cost, wanted)
    service = measured.get(("linear", OURS))
    for server in (CONSTANT, THROUGH):
        constant = measured.get(("linear", server))
        if service and constant:
            name = f"linear: CPU relative to {constant.title}"
            yield at_most(name, service.cost / constant.cost, CONSTANT_RATIO, "×")
    for model, megabytes in ENVIRONMENT_MEGABYTES.items():
        service = measured.get((model, OURS))
        if not service:
            continue
        name = f"{model}: serving environment"
        yield at_most(name, service.environment, megabytes, " MB")
        ready = statistics.median(service.ready)
        yield at_most(f"{model}: time until ready", ready, READY_SECONDS, " s")
        if service.health:
            name, p99 = f"{model}: `/healthz` p99", percentile(service.health, 0.99)
            yield at_most(name, p99, HEALTH_MILLISECONDS, " ms")
    if bulk_outcomes:
        by_project, by_pandas = bulk_outcomes
        seconds, _, memory = by_project.medians()
        pandas_seconds, _, pandas_memory = by_pandas.medians()
        speedup, ratio = pandas_seconds / seconds, memory / pandas_memory
        yield at_least("scoring a file: faster than pandas", speedup, BULK_SPEEDUP)
        yield at_most(
            "scoring a file: memory relative to pandas", ratio, BULK_MEMORY_RATIO, "×"
        )
