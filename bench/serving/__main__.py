"""`make bench-serving`: measure everything, and write docs/performance.md."""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.serving import bulk, measure, peers, project, report
from bench.serving.environments import CACHE, versions
from bench.serving.measure import QUICK, Effort, Outcome, say
from tests.rendering import ROOT

RECORDS, TABLE_ROWS, BULK_ROWS = 64, 6_000, 1_000_000
FEW_ROWS = 2_000
FRAMEWORKS = ("bentoml", "fastapi", "litserve", "mlflow", "uvicorn")
SHARED = ("joblib", "numpy", "scikit-learn", "scipy")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.serving", description=__doc__
    )
    effort = Effort()
    flag = parser.add_argument
    flag("--quick", action="store_true", help="the service and the tutorial, one model")
    flag("--models", nargs="+", default=project.MODELS, choices=project.MODELS)
    flag("--only", nargs="+", default=[], help="servers, by name")
    flag("--rounds", type=int, default=effort.rounds)
    flag("--seconds", type=float, default=effort.seconds, help="for each round")
    flag("--no-bulk", action="store_true", help="leave the file of many rows out")
    flag("--keep", action="store_true", help="take the project that was made last")
    flag("--again", action="store_true", help="measure nothing, write the page anew")
    flag("--work", type=Path, default=CACHE, help="where all is made")
    flag("--docs", type=Path, default=ROOT / "docs", help="where the page goes")
    chosen = parser.parse_args(arguments)
    # The measured programs need their byte code; without it, they would compile at each start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    results = chosen.work / "results.json"
    if not chosen.again:
        chosen.work.mkdir(parents=True, exist_ok=True)
        for found in quick(chosen) if chosen.quick else full(chosen):
            # After each model, so that a run that was stopped is not lost.
            results.write_text(json.dumps(found))
    found = json.loads(results.read_text())
    outcomes = [Outcome(**outcome) for outcome in found["outcomes"]]
    scored = [bulk.Scored(**scored) for scored in found["bulk"]]
    report.write(
        *(chosen.docs, outcomes, scored),
        *(found["versions"], found["rows"], found["load"]),
    )
    if failed := [one for one in outcomes if one.trouble]:
        raise SystemExit("\n".join(f"{one.server}: {one.trouble}" for one in failed))


def told(
    outcomes: list[Outcome], scored: list[bulk.Scored], rows: int, *named: str
) -> Any:
    """All that the page is written from."""
    return {
        "outcomes": [asdict(one) for one in outcomes],
        "bulk": [asdict(one) for one in scored],
        "rows": rows,
        "load": os.getloadavg()[2],
        "versions": named,
    }


def quick(chosen: argparse.Namespace) -> Iterator[Any]:
    """Enough to see that it works: no environment is made but the project's own."""
    made, model = (
        project.make(chosen.work / "project", project.FEWEST_ROWS),
        project.MODELS[0],
    )
    made.train(model)
    both = [peers.emitted(made)[0], peers.tutorial(made.trains)]
    asked = project.rows(20)
    outcomes = measure.measure(made, both, model, asked, QUICK, chosen.work)
    yield told(outcomes, bulk.score(made, model, FEW_ROWS, 1), FEW_ROWS)


def full(chosen: argparse.Namespace) -> Iterator[Any]:
    """Everyone, in rounds; each model's servers run at the same time."""
    folder = chosen.work / "project"
    made = (
        project.Project.at(folder) if chosen.keep else project.make(folder, TABLE_ROWS)
    )
    for model in chosen.models if not chosen.keep else ():
        say(f"{model}: training")
        made.train(model)
    exactly = versions(made.trains, *SHARED)
    everyone = peers.emitted(made) + peers.others(exactly)
    if chosen.only:
        everyone = [peer for peer in everyone if peer.name in chosen.only]
    effort, asked = Effort(chosen.rounds, chosen.seconds), project.rows(RECORDS)
    named = set(exactly)
    for peer in everyone:
        named |= {*versions(peer.environment, *FRAMEWORKS)}
    outcomes: list[Outcome] = []
    for model in chosen.models:
        run = measure.measure(made, everyone, model, asked, effort, chosen.work)
        outcomes += run
        # How long a start takes was seen; the other models' servers start once.
        effort = replace(effort, starts=1)
        yield told(outcomes, [], BULK_ROWS, *sorted(named))
    if not chosen.no_bulk:
        say("a file of many rows")
        scored = bulk.score(made, project.MODELS[0], BULK_ROWS, 3)
        yield told(outcomes, scored, BULK_ROWS, *sorted(named))


if __name__ == "__main__":
    main()
