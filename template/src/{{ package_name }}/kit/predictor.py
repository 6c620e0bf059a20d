"""A trained model as plain files: written once, checked whenever it is opened.

``manifest.json`` names every other file with its hash. No file is a pickle: skops loads only the types that
the manifest names, and those must come from the few packages in ``TRUSTED``.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray
from pydantic import BaseModel, TypeAdapter, ValidationError

from ..features import features
from . import UserError, task
from .columns import Columns
from .schema import Part, Schema

TRUSTED = {"sklearn", "numpy", "scipy", "builtins", __name__.split(".")[0]}
PARITY_ROWS = 32
TOLERANCE = 1e-9


class BrokenModelError(UserError):
    """The files of a model are not what was written, or do not compute here what they did in training."""


class Predictor(Protocol):
    """Features in, one row of figures per record out: probabilities by class, or a value."""

    def predict(self, features: Columns) -> NDArray[np.float64]: ...


class Manifest(Part):
    format: int = 1
    run: str
    created: str
    decision: dict[str, float]
    numbers: tuple[str, ...]
    categories: tuple[str, ...]
    types: tuple[str, ...]
    files: dict[str, str]


@dataclass(frozen=True)
class SklearnPredictor:
    """Runs any scikit-learn estimator: the predictor that always works."""

    estimator: Any
    numbers: tuple[str, ...]
    categories: tuple[str, ...]

    def predict(self, features: Columns) -> NDArray[np.float64]:
        rows = as_rows(features, self.numbers, self.categories)
        if hasattr(self.estimator, "predict_proba"):
            return np.asarray(self.estimator.predict_proba(rows), dtype=np.float64)
        return np.asarray(self.estimator.predict(rows), dtype=np.float64)


def as_rows(features: Columns, numbers: tuple[str, ...], categories: tuple[str, ...]) -> pd.DataFrame:
    """Features as scikit-learn takes them, in the order in which the model was fitted."""
    series = {name: pd.Series(features[name], dtype=np.float64) for name in numbers}
    return pd.DataFrame(series | {name: pd.Series(features[name], dtype=object) for name in categories})


@dataclass(frozen=True)
class Model:
    """An opened model: its schema, what it decided in training, and how to predict."""

    schema: Schema
    manifest: Manifest
    predictor: Predictor

    @cached_property
    def record(self) -> TypeAdapter[Any]:
        """Checks one record of a request."""
        return TypeAdapter(self.schema.request_model())

    def raw(self, columns: Columns) -> NDArray[np.float64]:
        """From raw columns to the model's figures, by the same features as in training."""
        return self.predictor.predict(features(columns))

    def answers(self, records: list[BaseModel], version: str) -> list[dict[str, Any]]:
        """What the API says about validated records."""
        raw = self.raw(self.schema.arrays(records))
        return task.answers(self.schema, self.manifest.decision, raw, version)

    def validated(self, records: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
        """JSON records as columns, by the way that a request takes."""
        return self.schema.arrays([self.record.validate_json(json.dumps(r)) for r in records])


def write(
    folder: Path,
    schema_file: Path,
    estimator: Any,
    features_used: tuple[tuple[str, ...], tuple[str, ...]],
    decision: dict[str, float],
    run: str,
    created: str,
    sample: Columns,
) -> None:
    """Write the model's files into ``folder``, the manifest last; ``sample`` becomes its parity check."""
    folder.mkdir(parents=True)
    shutil.copyfile(schema_file, folder / "schema.yaml")
    skops.io.dump(estimator, folder / "model.skops")
    numbers, categories = features_used
    manifest = Manifest(
        run=run,
        created=created,
        decision=decision,
        numbers=numbers,
        categories=categories,
        types=tuple(_types(folder / "model.skops")),
        files={},
    )
    schema = Schema.load(folder / "schema.yaml")
    model = Model(schema, manifest, SklearnPredictor(estimator, numbers, categories))
    records = schema.records(sample)
    outputs = model.raw(model.validated(records)).tolist()
    parity = json.dumps({"records": records, "outputs": outputs})
    (folder / "parity.json").write_text(parity, encoding="utf-8")
    files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    manifest = manifest.model_copy(update={"files": files})
    (folder / "manifest.json").write_text(manifest.model_dump_json(indent=2), encoding="utf-8")


def open_model(folder: Path, expected: str | None = None) -> Model:
    """Open a model after checking every hash, and that it predicts here what it did in training."""
    try:
        if expected and sha256(folder / "manifest.json") != expected:
            raise BrokenModelError(f"{folder / 'manifest.json'} is not the one that was promoted")
        text = (folder / "manifest.json").read_text(encoding="utf-8")
        manifest = Manifest.model_validate_json(text)
        for name, digest in manifest.files.items():
            if sha256(folder / name) != digest:
                raise BrokenModelError(f"{folder / name} has changed since it was written")
        parity = json.loads((folder / "parity.json").read_text(encoding="utf-8"))
    except OSError as error:
        raise BrokenModelError(f"{error.filename} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise BrokenModelError(f"{folder / 'manifest.json'} is no manifest: {error}") from None
    estimator = skops.io.load(folder / "model.skops", trusted=list(allowed(manifest.types)))
    predictor = SklearnPredictor(estimator, manifest.numbers, manifest.categories)
    model = Model(Schema.load(folder / "schema.yaml"), manifest, predictor)
    try:
        here = model.raw(model.validated(parity["records"]))
    except Exception as error:  # features.py and model.py are the user's: anything may come out of them
        raise BrokenModelError(f"{folder} cannot predict here: {error!r}") from error
    if not np.allclose(here, np.array(parity["outputs"]), rtol=TOLERANCE, atol=TOLERANCE):
        worst = np.abs(here - np.array(parity["outputs"])).max()
        raise BrokenModelError(
            f"{folder} predicts differently here than in training (by up to {worst:.3g}): features.py or "
            "a library has changed since; train and promote again"
        )
    return model


def allowed(types: tuple[str, ...]) -> tuple[str, ...]:
    """The types a model names, if each comes from a package that we trust."""
    if foreign := [name for name in types if name.split(".")[0] not in TRUSTED]:
        raise BrokenModelError(f"the model holds types that are not trusted: {', '.join(foreign)}")
    return types


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _types(path: Path) -> list[str]:
    return sorted(skops.io.get_untrusted_types(file=path))
