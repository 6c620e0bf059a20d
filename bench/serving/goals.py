"""The goals of the service, compared with the measurements."""

import statistics
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from bench.serving.bulk import Scored
from bench.serving.measure import Outcome, percentile
from bench.serving.peers import CONSTANT, FEATURED, OURS, THROUGH, TUTORIAL

LESS = {
    "linear": {FEATURED: 100, TUTORIAL: 60, "mlflow": 60, "bentoml-plain": 60},
    "boosting": {FEATURED: 40, TUTORIAL: 40},
    "forest": {FEATURED: 40, TUTORIAL: 40},
}
MOST_MEGABYTES = {"linear": 100.0, "boosting": 220.0, "forest": 220.0}
READY_SECONDS, HEALTH_MILLISECONDS = 1.5, 25.0
OF_CONSTANT, FASTER, OF_MEMORY = 3.0, 5.0, 1 / 3


@dataclass(frozen=True)
class Goal:
    what: str
    wanted: str
    found: str
    met: bool


def at_least(what: str, found: float, wanted: float) -> Goal:
    return Goal(what, f"≥ {wanted:g}×", f"{found:.3g}×", found >= wanted)


def at_most(what: str, found: float, wanted: float, unit: str) -> Goal:
    return Goal(what, f"≤ {wanted:.3g}{unit}", f"{found:.3g}{unit}", found <= wanted)


def goals(outcomes: Sequence[Outcome], scored: Sequence[Scored]) -> Iterator[Goal]:
    """Yield each goal that this run has measurements for."""
    found = {(one.model, one.server): one for one in outcomes if one.cpu}
    for model, others in LESS.items():
        if ours := found.get((model, OURS)):
            for other, wanted in others.items():
                if theirs := found.get((model, other)):
                    what = f"{model}: less CPU than {theirs.title}"
                    yield at_least(what, theirs.cost / ours.cost, wanted)
    for server in (CONSTANT, THROUGH):
        ours, constant = found.get(("linear", OURS)), found.get(("linear", server))
        if ours and constant:
            what = f"linear: CPU relative to {constant.title}"
            yield at_most(what, ours.cost / constant.cost, OF_CONSTANT, "×")
    for model, megabytes in MOST_MEGABYTES.items():
        if ours := found.get((model, OURS)):
            what = f"{model}: serving environment"
            yield at_most(what, ours.environment, megabytes, " MB")
            ready = statistics.median(ours.ready)
            yield at_most(f"{model}: time until ready", ready, READY_SECONDS, " s")
            if ours.health:
                what, slow = f"{model}: `/healthz` p99", percentile(ours.health, 0.99)
                yield at_most(what, slow, HEALTH_MILLISECONDS, " ms")
    if scored:
        (seconds, _, memory), (whole, _, held) = (one.medians() for one in scored)
        yield at_least("scoring a file: faster than pandas", whole / seconds, FASTER)
        yield at_most(
            "scoring a file: memory relative to pandas", memory / held, OF_MEMORY, "×"
        )
