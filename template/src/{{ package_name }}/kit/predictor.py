"""What predicts: a model's engine, from the columns that features.py makes to figures.

Which engine serves is for ``engine.py`` to say; scikit-learn, which serves any estimator, is here.
"""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from . import UserError, personal, task, trust
from .columns import Bins, Columns, Numbers, Part
from .schema import Schema

try:
    from ..features import features
except ModuleNotFoundError as error:
    what = f"features.py or what it imports needs {error.name}, which is not installed"
    mend = "add it to [project] dependencies in pyproject.toml, or install the group that has it"
    raise UserError(f"{what}: {mend}") from error

if TYPE_CHECKING:
    import pandas as pd

Engine = Callable[[Columns], Numbers]
TOLERANCE = 1e-9
"""How far two figures may lie apart and count as equal, relative to one and the figure."""
SKOPS = "model.skops"
PlainName = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
"""The name of a file or folder, which leads nowhere else."""


class BrokenModelError(UserError):
    """The files of a model are not what was written, or do not compute here what they did in training."""


class Files(dict[str, bytes]):
    """The files that a model's manifest names, as they were when their hashes were checked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __missing__(self, name: str) -> bytes:
        what = f"{self.folder / 'manifest.json'} doesn't name {name}, which the model needs"
        raise BrokenModelError(f"{what}: train and promote again")


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Manifest(Part):
    """Where a model comes from and how it answers; ``needs``: groups beyond what serves."""

    run: str
    created: str = Field(default_factory=now)
    decision: dict[str, float]
    reference: dict[str, Bins] = Field(default_factory=dict)
    engine: Literal["plan", "sklearn"] = "plan"
    why: str = ""
    needs: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    files: dict[PlainName, str] = Field(default_factory=dict)


class Model(NamedTuple):
    """An opened model: its schema, what it decided in training, and what predicts."""

    schema: Schema
    manifest: Manifest
    engine: Engine

    def raw(self, columns: Columns) -> Numbers:
        """From raw columns to the model's figures, by the same features as in training."""
        return self.engine(made(personal.hashed(self.schema, columns)))

    def answers(self, records: list[dict[str, Any]], version: str) -> list[dict[str, Any]]:
        """What the API says about validated records."""
        raw = self.raw(self.schema.arrays(records))
        return task.answers(self.schema, self.manifest.decision, raw, version)

    def validated(self, records: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
        """JSON records as columns, by the way that a request takes."""
        return self.schema.arrays([self.schema.reader.one(json.dumps(r).encode()) for r in records])


class Choice(NamedTuple):
    """What is to serve a model: the engine, what it is made of, why it was taken, and what else to tell."""

    name: Literal["plan", "sklearn"]
    engine: Engine
    holds: Any
    why: str
    needs: tuple[str, ...] = ()
    note: str = ""
    metrics: Mapping[str, float] = {}

    def __str__(self) -> str:
        return f"Served by {self.name}: {self.why}{self.note}"


def made(columns: Columns) -> dict[str, NDArray[Any]]:
    """Compute the features as float64 and object arrays.

    Other numbers, booleans, texts and pandas Series are converted, which takes time in each request.
    """
    given = features(columns)
    return {
        name: v if isinstance(v, np.ndarray) and v.dtype.char in "dO" else _array(name, v)
        for name, v in given.items()
    }


def _array(name: str, values: Any) -> NDArray[Any]:
    kind = getattr(getattr(values, "dtype", None), "kind", "")
    if not kind or kind in "mMcV":
        what = f"an array of {values.dtype}" if kind else f"a {type(values).__name__}"
        wanted = "return an array of numbers, or of text for categories"
        raise UserError(f"features.py: {name} is {what}; {wanted}")
    if kind in "biuf":
        return np.asarray(values, dtype=np.float64)
    cells = values.astype(object)
    if isinstance(cells, np.ndarray):
        return cells
    return np.asarray(cells.where(cells.notna(), None), dtype=object)


def as_rows(features: Columns) -> "pd.DataFrame":
    """Features as scikit-learn takes them."""
    import pandas as pd

    # With the type said, for pandas would make strings of objects.
    return pd.DataFrame({name: pd.Series(values, dtype=values.dtype) for name, values in features.items()})


def figures(estimator: Any, rows: "pd.DataFrame") -> Numbers:
    """What an estimator says of each row: the probability of each class, or a value."""
    says = estimator.predict_proba if hasattr(estimator, "predict_proba") else estimator.predict
    return np.asarray(says(rows), dtype=np.float64)


def sklearn(estimator: Any) -> Engine:
    """The engine that always works, at the price of a table for each call."""
    return lambda features: figures(estimator, as_rows(features))


def dump(estimator: Any, path: Path) -> tuple[str, ...]:
    """Write a fitted estimator without pickle; gives the types in it that must be trusted to read it."""
    import skops.io

    skops.io.dump(estimator, path)
    return tuple(sorted(skops.io.get_untrusted_types(file=path)))


def restored(files: Files) -> Engine:
    """Load a stored estimator as an engine. Types that nobody trusts are not loaded."""
    import skops.io

    # The file's own types, not those that the manifest names: whoever wrote the file wrote the manifest too.
    types = skops.io.get_untrusted_types(data=files[SKOPS])
    if unknown := trust.foreign(types):
        raise BrokenModelError(trust.refusal(unknown))
    return sklearn(skops.io.loads(files[SKOPS], trusted=types))
