"""The registry: MLflow, where people look at runs and versions. Serving never reads it."""

import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import mlflow
import pandas as pd
from mlflow.entities.model_registry import ModelVersion

from . import UserError
from .files import held
from .predictor import BrokenModelError, Model
from .schema import Schema
from .settings import PROJECT, Settings
from .signing import Keys
from .store import Champion, Store, open_model, sha256
from .table import answers

log = logging.getLogger(__name__)
CHALLENGER, CHAMPION = "challenger", "champion"
GATE, REASONS, AGAINST = "gate", "gate_reasons", "gate_against"


def connect(settings: Settings, seconds: int = 30, retries: int = 2) -> mlflow.MlflowClient:
    """Open the registry. MLflow's own defaults would wait for minutes for a server that is away."""
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", str(seconds))
    os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", str(retries))
    mlflow.set_tracking_uri(settings.mlflow_tracking_uri)
    mlflow.set_experiment(PROJECT)
    return mlflow.MlflowClient()


def signature(schema: Schema) -> mlflow.models.ModelSignature:
    """What the registered model takes: the schema's input columns."""
    types = {"number": "double", "integer": "long", "boolean": "boolean", "datetime": "datetime"}
    specs: list[mlflow.types.ColSpec | mlflow.types.TensorSpec] = []
    for c in schema.inputs:
        # A column of whole numbers with gaps is one of floats to pandas.
        floats = c.nullable and c.type in ("integer", "boolean")
        kind = "double" if floats else types.get(c.type, "string")
        specs.append(mlflow.types.ColSpec(kind, c.name, required=not c.nullable))
    return mlflow.models.ModelSignature(inputs=mlflow.types.Schema(specs))


def register(folder: Path, schema: Schema) -> str:
    """Log the model's files to the active run and register them; gives the version."""
    with warnings.catch_warnings():
        # schema.yaml says what the model takes, so there is nothing to guess from an example.
        warnings.filterwarnings("ignore", "(?s).*input example was not provided")
        about: dict[str, Any] = {"registered_model_name": PROJECT, "pip_requirements": [PROJECT]}
        about |= {"loader_module": __name__, "data_path": str(folder), "signature": signature(schema)}
        logged = mlflow.pyfunc.log_model(name="model", **about)
    return str(logged.registered_model_version)


class _Loaded(NamedTuple):
    """A registered model as MLflow's own ``pyfunc`` calls it."""

    model: Model

    def predict(self, rows: pd.DataFrame) -> pd.DataFrame:
        named = rows.rename(columns={c.name: c.header for c in self.model.schema.inputs})
        return pd.DataFrame(answers(self.model, named, "the input"))


def _load_pyfunc(path: str) -> _Loaded:
    return _Loaded(open_model(Path(path)))


@contextmanager
def files_of(version: str) -> Iterator[Path]:
    """A version's files, fetched from the registry for as long as they are needed."""
    with tempfile.TemporaryDirectory() as scratch:
        try:
            found = mlflow.artifacts.download_artifacts(f"models:/{PROJECT}/{version}", dst_path=scratch)
        except mlflow.MlflowException as error:
            raise UserError(f"the registry has no files for version {version}: {error}") from None
        yield next(Path(found).rglob("manifest.json")).parent


def versions(client: mlflow.MlflowClient) -> list[ModelVersion]:
    """All registered versions, newest first."""
    found = client.search_model_versions(f"name = '{PROJECT}'")
    return sorted(found, key=lambda version: int(version.version), reverse=True)


def find(client: mlflow.MlflowClient, version: str | None) -> ModelVersion:
    """The version of that number; without one, the challenger."""
    try:
        if version is None:
            return client.get_model_version_by_alias(PROJECT, CHALLENGER)
        return client.get_model_version(PROJECT, version)
    except mlflow.MlflowException:
        wanted = f"version {version}" if version else "version that passed the gate"
        known = ", ".join(str(v.version) for v in versions(client)) or "none"
        raise UserError(f"there is no {wanted}; registered: {known}") from None


def newest(client: mlflow.MlflowClient, champion: Champion | None) -> ModelVersion:
    """The newest version, if it passed the gate. An older one that passed is for a person to choose."""
    challenger = find(client, None)
    first = versions(client)[0]
    if first.tags.get(GATE) == "passed":
        return first
    verdict = f"failed its gate: {first.tags[REASONS]}" if REASONS in first.tags else "has not been judged"
    older = f"version {challenger.version} passed: promote {challenger.version} lets it serve"
    if champion and champion.version == str(challenger.version):
        older = f"version {challenger.version} goes on serving"
    raise UserError(f"version {first.version} {verdict}. {older[0].upper()}{older[1:]}")


def note_gate(client: mlflow.MlflowClient, version: str, failures: list[str], against: str) -> None:
    """Record the gate's verdict on a version; the newest that passed is the challenger."""
    client.set_model_version_tag(PROJECT, version, GATE, "failed" if failures else "passed")
    client.set_model_version_tag(PROJECT, version, REASONS, "; ".join(failures) or "none")
    client.set_model_version_tag(PROJECT, version, AGAINST, against)
    passed = [v for v in versions(client) if v.tags.get(GATE) == "passed"]
    # Never removed first: of two gates that make it at once, one fails.
    if passed:
        client.set_registered_model_alias(PROJECT, CHALLENGER, passed[0].version)
    else:
        client.delete_registered_model_alias(PROJECT, CHALLENGER)


def score(client: mlflow.MlflowClient, version: ModelVersion) -> float:
    """What the version was worth in its own run."""
    return float(client.get_run(str(version.run_id)).data.metrics.get("score", float("nan")))


def promote(settings: Settings, version: str | None) -> str:
    """Publish a version that passed the gate to the store and let it serve; gives the version.

    The order matters: files first, then the pointer, then the alias. Killed anywhere, the old champion serves
    on, and the same call again completes the work.
    """
    client, store = connect(settings), Store(settings.store, Keys.of(settings))
    store.ready()
    # One at a time, so that a second one is judged against what the first one promoted.
    with held(store.pointer):
        number = _promoted(client, store, version)
    _tell(settings, number)
    return number


def _promoted(client: mlflow.MlflowClient, store: Store, version: str | None) -> str:
    last = store.champion()
    chosen = find(client, version) if version else newest(client, last)
    number, against = str(chosen.version), last.version if last else "none"
    with files_of(number) as folder:
        serves = last is not None and last.manifest == sha256(folder / "manifest.json")
        if not serves and chosen.tags.get(GATE) != "passed":
            raise UserError(f"version {number} did not pass the gate: {chosen.tags.get(REASONS, 'unjudged')}")
        if not serves and chosen.tags.get(AGAINST) != against:
            raise UserError(f"version {number} was judged against another champion: gate it again")
        for note in store.sign_first():
            log.warning(note)
        # Also where it serves already: files that were damaged become whole.
        try:
            store.publish(number, folder)
        except BrokenModelError as error:
            raise UserError(f"version {number} cannot serve: {error}") from None
    if store.champion() != last:
        raise UserError(f"another version was promoted in the meantime: gate {number} again")
    if not serves:
        store.promote(number)
    return number


def roll_back(settings: Settings) -> str:
    """Let the champion before serve again, whether or not the registry can be told."""
    store = Store(settings.store, Keys.of(settings))
    with held(store.pointer):
        champion = store.roll_back()
    _tell(settings, champion.version)
    return champion.version


def _tell(settings: Settings, champion: str) -> None:
    """Note in the registry who serves. The store has decided that: what fails here changes nothing of it."""
    try:
        connect(settings, seconds=10, retries=1).set_registered_model_alias(PROJECT, CHAMPION, champion)
    except Exception as error:  # a broken database raises whatever its driver does
        what = f"version {champion} serves, but the registry could not be updated ({type(error).__name__})"
        log.warning("%s; the next promotion updates it", what)


def listing(settings: Settings) -> list[tuple[str, str, str, str, str]]:
    """Version, when it was made, score, gate and role of every version. The store says who serves."""
    client, champion = connect(settings), Store(settings.store).champion()
    aliases = client.get_registered_model(PROJECT).aliases if versions(client) else {}
    rows = []
    for entry in versions(client):
        number, worth = str(entry.version), f"{score(client, entry):.4g}"
        made = datetime.fromtimestamp(entry.creation_timestamp / 1000).isoformat(" ", "minutes")
        roles = ["champion"] if champion and champion.version == number else []
        roles += ["challenger"] if aliases.get(CHALLENGER) == entry.version else []
        gate = entry.tags.get(GATE, "not judged")
        reasons = f": {entry.tags[REASONS]}" if gate == "failed" else ""
        rows.append((number, made, worth, gate + reasons, ", ".join(roles)))
    return rows
