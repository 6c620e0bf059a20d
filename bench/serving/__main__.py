"""Measure the emitted service and its peers, and write docs/performance.md: `make bench-serving`."""

import argparse
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from bench.serving import bulk, measure, peers, project, report
from bench.serving.environments import CACHE, versions
from bench.serving.measure import QUICK, Effort, Outcome, log
from tests.rendering import ROOT

REQUESTS, TABLE_ROWS, BULK_ROWS = 64, 6_000, 1_000_000
QUICK_BULK_ROWS = 2_000
FRAMEWORKS = ("bentoml", "fastapi", "litserve", "mlflow", "uvicorn")
SHARED = ("joblib", "numpy", "scikit-learn", "scipy")


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        prog="python -m bench.serving", description=__doc__
    )
    effort = Effort()
    flag = parser.add_argument
    flag(
        "--quick",
        action="store_true",
        help="Measure only the service and the tutorial with one model, to see that it works.",
    )
    flag(
        "--models",
        nargs="+",
        default=project.MODELS,
        choices=project.MODELS,
        help="Measure only these models.",
    )
    flag("--only", nargs="+", default=[], help="Measure only these servers.")
    flag("--rounds", type=int, default=effort.rounds, help="Measure this many rounds.")
    flag(
        "--seconds",
        type=float,
        default=effort.seconds,
        help="Load for this long in each round.",
    )
    flag("--no-bulk", action="store_true", help="Skip the file of many rows.")
    flag("--keep", action="store_true", help="Reuse the last project and its models.")
    flag(
        "--again",
        action="store_true",
        help="Measure nothing, and write the page from the last results.",
    )
    flag("--work", type=Path, default=CACHE, help="Keep projects and results here.")
    flag("--docs", type=Path, default=ROOT / "docs", help="Write the page here.")
    options = parser.parse_args(arguments)
    # Without cached bytecode, the measured programs would compile at each start.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    results_file = options.work / "results.json"
    if not options.again:
        options.work.mkdir(parents=True, exist_ok=True)
        for results in measure_few(options) if options.quick else measure_all(options):
            # Written after each model, so that an interrupted run is not lost.
            results_file.write_text(json.dumps(results))
    results = json.loads(results_file.read_text())
    outcomes = [Outcome(**outcome) for outcome in results["outcomes"]]
    bulk_outcomes = [bulk.BulkOutcome(**outcome) for outcome in results["bulk"]]
    report.write(
        options.docs,
        outcomes,
        bulk_outcomes,
        results["versions"],
        results["rows"],
        results["load"],
    )
    if failed := [one for one in outcomes if one.trouble]:
        raise SystemExit("\n".join(f"{one.server}: {one.trouble}" for one in failed))


def collect(
    outcomes: list[Outcome],
    bulk_outcomes: list[bulk.BulkOutcome],
    rows: int,
    *versions: str,
) -> Any:
    """Return the content of results.json, from which the page is written."""
    return {
        "outcomes": [asdict(one) for one in outcomes],
        "bulk": [asdict(one) for one in bulk_outcomes],
        "rows": rows,
        "load": os.getloadavg()[2],
        "versions": versions,
    }


def measure_few(options: argparse.Namespace) -> Iterator[Any]:
    """Yield the results of a short run, which needs no environments but the project's own."""
    created = project.create_project(options.work / "project", project.FEWEST_ROWS)
    model = project.MODELS[0]
    created.train(model)
    servers = [peers.emitted_peers(created)[0], peers.tutorial_peer(created.training)]
    records = project.generate_rows(20)
    outcomes = measure.measure(created, servers, model, records, QUICK, options.work)
    bulk_outcomes = bulk.score(created, model, QUICK_BULK_ROWS, 1)
    yield collect(outcomes, bulk_outcomes, QUICK_BULK_ROWS)


def measure_all(options: argparse.Namespace) -> Iterator[Any]:
    """Yield the results after each model, whose servers run at the same time and take turns."""
    folder = options.work / "project"
    if options.keep:
        created = project.Project.at(folder)
    else:
        created = project.create_project(folder, TABLE_ROWS)
        for model in options.models:
            log(f"{model}: training")
            created.train(model)
    model_versions = versions(created.training, *SHARED)
    servers = peers.emitted_peers(created) + peers.other_peers(model_versions)
    if options.only:
        servers = [peer for peer in servers if peer.name in options.only]
    named_versions = set(model_versions)
    for peer in servers:
        named_versions.update(versions(peer.environment, *FRAMEWORKS))
    effort = Effort(options.rounds, options.seconds)
    records = project.generate_rows(REQUESTS)
    outcomes: list[Outcome] = []
    for model in options.models:
        outcomes += measure.measure(
            created, servers, model, records, effort, options.work
        )
        # The first model's servers show how long a start takes; the others start once.
        effort = replace(effort, starts=1)
        yield collect(outcomes, [], BULK_ROWS, *sorted(named_versions))
    if not options.no_bulk:
        log("a file of many rows")
        bulk_outcomes = bulk.score(created, project.MODELS[0], BULK_ROWS, 3)
        yield collect(outcomes, bulk_outcomes, BULK_ROWS, *sorted(named_versions))


if __name__ == "__main__":
    main()
