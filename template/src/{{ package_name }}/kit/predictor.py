"""A trained model as plain files: written once, checked whenever it is opened.

``manifest.json`` names every other file with its hash. No file is a pickle: skops loads only the types that
the manifest names, and those must come from the few packages in ``TRUSTED``.
"""

import hashlib
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import skops.io
from numpy.typing import NDArray
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from ..features import features
from . import UserError, task
from .columns import Columns, Numbers, Part
from .schema import Schema

TRUSTED = {"sklearn", "numpy", "scipy", "builtins", __name__.split(".")[0]}
TOLERANCE = 1e-9


class BrokenModelError(UserError):
    """The files of a model are not what was written, or do not compute here what they did in training."""


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


class Manifest(Part):
    run: str
    created: str = Field(default_factory=now)
    decision: dict[str, float]
    types: tuple[str, ...] = ()
    files: dict[str, str] = Field(default_factory=dict)


def as_rows(features: Columns) -> pd.DataFrame:
    """Features as scikit-learn takes them."""
    # With the type said, for pandas would make strings of objects.
    return pd.DataFrame({name: pd.Series(values, dtype=values.dtype) for name, values in features.items()})


def figures(estimator: Any, rows: pd.DataFrame) -> Numbers:
    """What an estimator says of each row: the probability of each class, or a value."""
    says = estimator.predict_proba if hasattr(estimator, "predict_proba") else estimator.predict
    return np.asarray(says(rows), dtype=np.float64)


@dataclass(frozen=True)
class Model:
    """An opened model: its schema, what it decided in training, and what predicts."""

    schema: Schema
    manifest: Manifest
    estimator: Any

    @cached_property
    def record(self) -> TypeAdapter[Any]:
        """Checks one record of a request."""
        return TypeAdapter(self.schema.request_model())

    def raw(self, columns: Columns) -> Numbers:
        """From raw columns to the model's figures, by the same features as in training."""
        return figures(self.estimator, as_rows(features(columns)))

    def answers(self, records: list[BaseModel], version: str) -> list[dict[str, Any]]:
        """What the API says about validated records."""
        raw = self.raw(self.schema.arrays(records))
        return task.answers(self.schema, self.manifest.decision, raw, version)

    def validated(self, records: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
        """JSON records as columns, by the way that a request takes."""
        return self.schema.arrays([self.record.validate_json(json.dumps(r)) for r in records])


def write(folder: Path, schema_file: Path, estimator: Any, manifest: Manifest, sample: Columns) -> None:
    """Write the model's files into ``folder``, the manifest last; ``sample`` becomes its parity check."""
    folder.mkdir(parents=True)
    shutil.copyfile(schema_file, folder / "schema.yaml")
    skops.io.dump(estimator, folder / "model.skops")
    types = sorted(skops.io.get_untrusted_types(file=folder / "model.skops"))
    model = Model(Schema.load(schema_file), manifest, estimator)
    records = model.schema.records(sample)
    parity = {"records": records, "outputs": model.raw(model.validated(records)).tolist()}
    (folder / "parity.json").write_text(json.dumps(parity), encoding="utf-8")
    files = {path.name: sha256(path) for path in sorted(folder.iterdir())}
    complete = manifest.model_copy(update={"types": tuple(types), "files": files})
    (folder / "manifest.json").write_text(complete.model_dump_json(indent=2), encoding="utf-8")


def open_model(folder: Path, expected: str | None = None) -> Model:
    """Open a model after checking every hash, and that it predicts here what it did in training."""
    path = folder / "manifest.json"
    try:
        if expected and sha256(path) != expected:
            raise BrokenModelError(f"{path} is not the one that was promoted")
        manifest = Manifest.model_validate_json(path.read_bytes())
        for name, digest in manifest.files.items():
            if sha256(folder / name) != digest:
                raise BrokenModelError(f"{folder / name} has changed since it was written")
        parity = json.loads((folder / "parity.json").read_bytes())
    except OSError as error:
        raise BrokenModelError(f"{error.filename} cannot be read: {error.strerror}") from None
    except ValidationError as error:
        raise BrokenModelError(f"{path} is no manifest: {error}") from None
    if foreign := [name for name in manifest.types if name.split(".")[0] not in TRUSTED]:
        raise BrokenModelError(f"the model holds types that are not trusted: {', '.join(foreign)}")
    try:
        estimator = skops.io.load(folder / "model.skops", trusted=list(manifest.types))
        model = Model(Schema.load(folder / "schema.yaml"), manifest, estimator)
        off = np.abs(model.raw(model.validated(parity["records"])) - np.array(parity["outputs"]))
    except Exception as error:  # features.py and model.py are the user's: anything may come out of them
        raise BrokenModelError(f"{folder} cannot predict here: {error!r}") from error
    if not (off <= TOLERANCE * (1 + np.abs(parity["outputs"]))).all():
        why = "features.py or a library has changed since; train and promote again"
        said = f"{folder} predicts differently here than in training (by up to {off.max():.3g})"
        raise BrokenModelError(f"{said}: {why}")
    return model


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
