"""What computes the predictions: scikit-learn itself, with any estimator, in milliseconds for a row."""

from pathlib import Path
from typing import Any

from .columns import Columns
from .predictor import SKOPS, BrokenModelError, Choice, Engine, Files, Manifest, dump, restored, sklearn
from .schema import Schema


def choose(schema: Schema, decision: dict[str, float], estimator: Any, held: Columns) -> Choice:
    """There is nothing to weigh: whatever was fitted, scikit-learn computes it."""
    return Choice("sklearn", sklearn(estimator), estimator, "it computes any estimator")


def save(folder: Path, choice: Choice) -> tuple[str, ...]:
    """Write the estimator; gives the types that must be trusted to read it."""
    return dump(choice.holds, folder / SKOPS)


def load(files: Files, manifest: Manifest) -> Engine:
    """The engine of a stored model."""
    if manifest.engine != "sklearn":
        made = f"{files.folder} was made for the engine {manifest.engine}, which this project has not"
        raise BrokenModelError(f"{made}: train and promote again")
    return restored(files)


def needs(folder: Path) -> str:
    """Return what a service must have installed beyond its own group to open a stored model: nothing more."""
    return ""
