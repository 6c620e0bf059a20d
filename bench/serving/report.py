"""Write docs/performance.md and its plots from the measurements."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path

from bench.serving import plots
from bench.serving.bulk import BulkOutcome
from bench.serving.goals import Goal, judge
from bench.serving.measure import Outcome, percentile
from bench.serving.peers import CONSTANT, FEATURED, OURS, THROUGH, TUTORIAL
from bench.serving.project import serving_answers

PAGE, FOLDER = "performance.md", "performance"
HEAD = """\
# Performance

What a prediction costs in the service that the template emits, and in other servers with the same fitted model. `make bench-serving`
takes the measurements and writes this page; nothing on it is written by hand.

## How it is measured

A new project adopts a table of 16 columns (12 numbers, 4 categories). The project's own commands train, promote and serve each of the three
estimators in its `model.py`. The other servers serve the same fitted estimator, each in its own environment. Each request is one record as
JSON, over {connections} persistent connections. The server runs on one core and the load generator on another, of 2 shared cores. Every answer
under load is compared with scikit-learn's prediction for that record, and must agree within 10⁻⁶.

The main figure is the **server's CPU time per request**: user and system time of its whole process tree, from
`/proc`, over a round of full load. The servers take turns, in a different order each round. The tables show the median of {rounds} rounds and
the largest deviation from it (±). Ratios of CPU time are reliable even on a busy machine. Latency, requests per second and start-up time are
wall time and depend on what else the machine does: compare them only within a table. On an otherwise idle machine the system
load is about 2; on this one it was {load:.1f} when the run ended. The load generator sends at most about 30,000 requests a second, so a
faster server never reaches its limit here.

- *The emitted service* is a project with {answers}, and defaults for all other answers.
- *The tutorial* is FastAPI with a pydantic model, a DataFrame of one row and `predict_proba`.
- *With the same features* adds what the emitted service has by default, in the way that is usually recommended: request ids, a log and security
  headers by `BaseHTTPMiddleware`, JSON lines by the standard library, prometheus-fastapi-instrumentator, slowapi, an API key by
  `Depends`, drift counters in Python, and a SQLite commit for each prediction.
- *A constant in plain ASGI* is answered by the emitted service's own uvicorn before the request reaches the service. It is the minimum cost of a
  request there. *Its front and a FastAPI route* returns a constant from a FastAPI route behind the service's front.
"""
SERVICE = """\
## Memory, size and start-up

Memory is that of the whole process tree after the load, with shared pages counted once. The environment is the size of the installed packages, without byte
code. Ready is the time from the start of the process to the first successful response of its readiness endpoint. `/healthz` is requested on a separate
connection while the load keeps the server busy.
"""


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] + ["---:"] * (len(head) - 1), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def format_figure(value: float) -> str:
    """Return a number with three significant digits."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def summarize_trouble(outcome: Outcome) -> str:
    """Return the error without the parts that differ from run to run."""
    return outcome.trouble.split("\n")[0].split("\\r\\n")[0].split(" b'")[0]


def format_median(values: Sequence[float]) -> str:
    return format_figure(statistics.median(values)) if values else "–"


def format_ratio(reference: Outcome | None, outcome: Outcome) -> str:
    if reference is None or not reference.cpu:
        return "–"
    return f"{format_figure(reference.cost / outcome.cost)}×"


def select_model(outcomes: Sequence[Outcome], model: str) -> dict[str, Outcome]:
    """Return the measured servers of a model by name, the cheapest first."""
    measured = [one for one in outcomes if one.model == model and one.cpu]
    return {one.server: one for one in sorted(measured, key=lambda one: one.cost)}


def cost_table(servers: dict[str, Outcome]) -> str:
    head = ["server", "CPU µs", "±", "less than the tutorial", "… with features"]
    head += ["requests/s", "p50 ms", "p99 ms"]
    rows = []
    for one in servers.values():
        name = f"**{one.title}**" if one.server == OURS else one.title
        row = [name, format_figure(one.cost), f"{one.spread:.0%}"]
        row += [format_ratio(servers.get(other), one) for other in (TUTORIAL, FEATURED)]
        row += [format_median(one.rate), format_median(one.p50), format_median(one.p99)]
        rows.append(row)
    return markdown_table(head, rows)


def service_table(servers: dict[str, Outcome]) -> str:
    head = ["server", "memory MB", "environment MB", "ready s"]
    head += ["health p50 ms", "health p99 ms"]
    rows = []
    for one in servers.values():
        row = [
            one.title,
            format_median([one.memory] if one.memory else []),
            format_figure(one.environment),
        ]
        row += [format_median(one.ready), format_median(one.health)]
        rows.append(
            [*row, format_figure(percentile(one.health, 0.99)) if one.health else "–"]
        )
    return markdown_table(head, rows)


def draw_plot(servers: dict[str, Outcome], model: str) -> str:
    colours = {OURS: plots.OURS, CONSTANT: plots.REFERENCE, THROUGH: plots.REFERENCE}
    rows = [
        plots.Bar(
            one.title,
            one.cost,
            f"{format_figure(one.cost)} µs",
            colours.get(one.server, plots.THEIRS),
        )
        for one in servers.values()
    ]
    title = f"One request, {model} model"
    return plots.draw_bars(title, "server's processor time, µs, logarithmic", rows)


def goal_table(goals: Sequence[Goal]) -> str:
    rows = [
        [goal.name, goal.wanted, goal.measured, "yes" if goal.met else "**no**"]
        for goal in goals
    ]
    return markdown_table(["goal", "wanted", "measured", "met"], rows)


def bulk_table(bulk_outcomes: Sequence[BulkOutcome]) -> str:
    rows = [[one.title, *map(format_figure, one.medians())] for one in bulk_outcomes]
    return markdown_table(["how", "seconds", "CPU s", "peak memory MB"], rows)


def sections(
    outcomes: Sequence[Outcome],
    bulk_outcomes: Sequence[BulkOutcome],
    versions: Sequence[str],
    rows: int,
    load: float,
) -> Iterator[str]:
    connections = outcomes[0].connections
    rounds = max(len(one.cpu) for one in outcomes)
    answers = ", ".join(
        f"`{name}={answer}`" for name, answer in serving_answers().items()
    )
    yield HEAD.format(
        connections=connections, rounds=rounds, answers=answers, load=load
    )
    yield "## Goals\n"
    yield goal_table(list(judge(outcomes, bulk_outcomes)))
    for model in dict.fromkeys(one.model for one in outcomes):
        servers = select_model(outcomes, model)
        yield f"## {model.capitalize()}\n"
        yield f"![{model}]({FOLDER}/{model}.svg)\n"
        yield cost_table(servers)
    yield SERVICE
    for model in dict.fromkeys(one.model for one in outcomes):
        yield f"{model.capitalize()}:\n"
        yield service_table(select_model(outcomes, model))
    if bulk_outcomes:
        yield "## Scoring a file\n"
        yield (
            f"{rows:,} rows of Parquet, scored with the linear model from file to file, in an environment with the "
            "dependency groups `serve` and `score`. Times are medians of the runs; memory is the peak.\n"
        )
        yield bulk_table(bulk_outcomes)
    if failed := [one for one in outcomes if one.trouble]:
        yield "## Incomplete or missing measurements\n"
        lines = [f"- {o.title}, {o.model}: {summarize_trouble(o)}" for o in failed]
        yield "\n".join(lines) + "\n"
    if versions:
        yield "## Versions\n"
        yield ", ".join(f"{line.replace('==', ' ')}" for line in versions) + ".\n"


def write(
    docs: Path,
    outcomes: Sequence[Outcome],
    bulk_outcomes: Sequence[BulkOutcome],
    versions: Sequence[str],
    rows: int,
    load: float,
) -> None:
    """Write the page, and a plot for each model."""
    folder = docs / FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    text = "\n".join(sections(outcomes, bulk_outcomes, versions, rows, load))
    (docs / PAGE).write_text(text, "utf-8")
    for model in dict.fromkeys(one.model for one in outcomes):
        if servers := select_model(outcomes, model):
            (folder / f"{model}.svg").write_text(draw_plot(servers, model), "utf-8")
