"""What computes the predictions: a plan where it says what scikit-learn says, else scikit-learn itself."""

import io
import json
import timeit
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import features as yours
from . import personal, task
from .columns import Columns, Numbers
from .compile import NoPlanError, Spec, compiled
from .plan import Plan
from .predictor import (
    SKOPS,
    TOLERANCE,
    BrokenModelError,
    Choice,
    Engine,
    Files,
    Manifest,
    dump,
    made,
    restored,
    sklearn,
)
from .schema import Schema

INSTALL = "uv sync --group fallback"
MADE_UP, PROBED, HALVINGS = 1_000, 32, 20
TURNS = 25
"""Features are made odd one after another; of more than this, several at once."""
GAPS = 0.2
"""The share of missing values among the made-up rows."""
EXTREMES = (1e9, -1e9, 1e30, -1e30)
CALLS, TIMES, PATIENCE = 5, 10, 1.0
"""What a row costs is the best of so many times, each of so many calls; no more begin after these seconds."""
NEVER_SEEN = "never seen \ue001"


def save(folder: Path, choice: Choice) -> tuple[str, ...]:
    """Write what the engine is made of; gives the types that must be trusted to read it."""
    if choice.name == "sklearn":
        return dump(choice.holds, folder / SKOPS)
    arrays: dict[str, NDArray[Any]] = {}
    (folder / "plan.json").write_text(json.dumps(_without_arrays(choice.holds, arrays)), encoding="utf-8")
    np.savez_compressed(folder / "plan.npz", allow_pickle=False, **arrays)
    return ()


def _without_arrays(node: Any, arrays: dict[str, NDArray[Any]]) -> Any:
    """A plan fit for JSON, in which the place of each array tells its name in ``arrays``."""
    if isinstance(node, np.ndarray):
        name = f"array_{len(arrays)}"
        arrays[name] = node
        return {"array": name}
    if isinstance(node, dict):
        return {key: _without_arrays(value, arrays) for key, value in node.items()}
    return [_without_arrays(value, arrays) for value in node] if isinstance(node, list | tuple) else node


def load(files: Files, manifest: Manifest) -> Engine:
    """The engine of a stored model."""
    if manifest.engine == "plan":
        return _plan(files)
    if not find_spec("skops"):
        what = f"{files.folder} is served by scikit-learn ({manifest.why}), and skops is not installed here"
        raise BrokenModelError(f"{what}: {INSTALL}")
    return restored(files)


def _plan(files: Files) -> Engine:
    def whole(node: Spec) -> Any:
        return arrays[node["array"]] if node.keys() == {"array"} else node

    with np.load(io.BytesIO(files["plan.npz"]), allow_pickle=False) as file:
        arrays = dict(file)
    return Plan(json.loads(files["plan.json"], object_hook=whole))


def needs(folder: Path) -> str:
    """What the service of a stored model must have beyond its own group; empty where that is enough."""
    manifest = Manifest.model_validate_json((folder / "manifest.json").read_bytes())
    more = manifest.needs or manifest.engine == "sklearn"
    return f"it needs the group fallback ({manifest.why}): {INSTALL}" if more else ""


def choose(schema: Schema, decision: dict[str, float], estimator: Any, held: Columns) -> Choice:
    """The fastest engine that says what scikit-learn says, also where rows are odd or near the threshold."""
    sample = schema.sample(MADE_UP, missing=GAPS)
    columns = {name: np.concatenate([values, sample[name]]) for name, values in held.items()}
    columns = dict(personal.hashed(schema, columns))
    reference, rows = sklearn(estimator), made(columns)
    one = {name: values[:1] for name, values in rows.items()}
    single = {name: values[:1] for name, values in columns.items()}
    micros = {"features.py": _micros(lambda: made(single)), "sklearn": _micros(lambda: reference(one))}
    # What features.py imports by name; the service must have it too.
    pandas = any(str(getattr(v, "__name__", "")).split(".")[0] == "pandas" for v in vars(yours).values())
    slow = "; features.py insists on pandas, which costs as much as it says below" if pandas else ""
    try:
        spec = compiled(estimator)
        plan = Plan(spec)
        worst, probed = _compared(schema, decision, reference, plan, rows)
        micros["plan"] = _micros(lambda: plan(one))
        if micros["plan"] > micros["sklearn"]:
            raise NoPlanError("its plan is slower than scikit-learn")
    except NoPlanError as error:
        why = f"{error}{slow}"
    except Exception as error:  # a plan reads scikit-learn's inner names, which another version may change
        why = f"no plan can be made of it: {error!r}{slow}"
    else:
        why = f"its answers equal those of scikit-learn, to {worst:.1g}, on {probed} rows{slow}"
        needed = ("fallback",) if pandas else ()
        return Choice("plan", plan, spec, why, needed, *_told(micros, engine_difference=worst))
    return Choice("sklearn", reference, estimator, why, ("fallback",), *_told(micros))


def _told(micros: dict[str, float], **metrics: float) -> tuple[str, dict[str, float]]:
    """What a row costs by each engine: a sentence for people, and figures for the run."""
    costs = ", ".join(f"{name} {value:,.0f}" for name, value in micros.items())
    metrics |= {f"microseconds_{name}": value for name, value in micros.items()}
    return f". Microseconds for a row: {costs}", metrics


def _compared(
    schema: Schema, decision: dict[str, float], reference: Engine, plan: Engine, rows: Columns
) -> tuple[float, int]:
    """The largest difference that any probe shows, and the number of rows that could be compared."""
    worst, probed = 0.0, 0
    for what, probe in _probes(schema, decision, reference, rows):
        with suppress(ValueError):  # what scikit-learn itself refuses, no request may hold
            truth = reference(probe)
            worst = max(worst, _difference(schema, decision, truth, plan(probe), what))
            probed += len(truth)
    return worst, probed


def _difference(
    schema: Schema, decision: dict[str, float], truth: Numbers, said: Numbers, what: str
) -> float:
    """The largest difference, relative to one and the value; an error if it is too large."""
    same = (truth == said) | (np.isnan(truth) & np.isnan(said))
    off = np.where(same, 0.0, np.abs(said - truth) / (1 + np.abs(truth)))
    worst = float(off.max())
    if not worst <= TOLERANCE:
        raise NoPlanError(f"its plan differs from scikit-learn by {worst:.3g} ({what})")
    decided = [task.table(schema, decision, raw)["prediction"] for raw in (truth, said)]
    if schema.problem == "classification" and decided[0] != decided[1]:
        raise NoPlanError(f"its plan decides otherwise than scikit-learn ({what})")
    return worst


def _micros(call: Callable[[], object]) -> float:
    """Microseconds for a call, undisturbed."""
    call()
    costs: list[float] = []
    while len(costs) < TIMES and sum(costs) < PATIENCE:
        costs.append(timeit.timeit(call, number=CALLS))
    return min(costs) / CALLS * 1e6


def _probes(
    schema: Schema, decision: dict[str, float], reference: Engine, rows: Columns
) -> Iterator[tuple[str, Columns]]:
    """Features to try an engine on, and what is odd about them."""
    yield "rows held out and made up", rows
    few = {name: values[:PROBED] for name, values in rows.items()}
    text = [name for name, values in few.items() if values.dtype == object]
    numbers = [name for name in few if name not in text]
    odd: list[tuple[str, list[str], Any]] = [("missing categories", text, None)]
    odd += [("unknown categories", text, NEVER_SEEN), ("missing numbers", numbers, np.nan)]
    odd += [(f"numbers of {extreme:g}", numbers, extreme) for extreme in EXTREMES]
    for what, names, cell in odd:
        groups = [names[start::TURNS] for start in range(min(TURNS, len(names)))]
        turns = [few | {name: np.full_like(few[name], cell) for name in group} for group in groups]
        if turns:
            yield what, {name: np.concatenate([turn[name] for turn in turns]) for name in few}
    one = {name: values[:1] for name, values in rows.items()}
    yield "one row", one
    if "threshold" in decision:
        yield "rows around the threshold", _around(schema, decision["threshold"], reference, rows)


def _around(schema: Schema, threshold: float, reference: Engine, rows: Columns) -> Columns:
    """Rows on both sides of the threshold, as near to it as halving the way between two rows comes."""
    above = reference(rows)[:, schema.positive] >= threshold
    low, high = (np.resize(np.flatnonzero(side), PROBED) if side.any() else None for side in (~above, above))
    if low is None or high is None:
        return rows
    near, far = np.zeros(PROBED), np.ones(PROBED)

    def between(share: Numbers) -> dict[str, NDArray[Any]]:
        return {
            name: values[high] if values.dtype == object else values[low] * (1 - share) + values[high] * share
            for name, values in rows.items()
        }

    for _ in range(HALVINGS):
        middle = (near + far) / 2
        over = reference(between(middle))[:, schema.positive] >= threshold
        near, far = np.where(over, near, middle), np.where(over, middle, far)
    sides = between(near), between(far)
    return {name: np.concatenate([side[name] for side in sides]) for name in rows}
