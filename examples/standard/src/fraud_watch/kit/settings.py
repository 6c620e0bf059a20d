"""Settings: the machine's from the environment (or ``.env``), the experiment's from ``params.yaml``."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, DotEnvSettingsSource, SettingsConfigDict

from . import UserError
from .columns import Part
from .schema import File, explain
from .task import Learning

SCHEMA, PARAMS = Path("schema.yaml"), Path("params.yaml")
PROJECT = __name__.split(".")[0].replace("_", "-")
"""The project's name on the command line, in the registry and in the metrics."""


class Environment(BaseSettings):
    """What stands in the environment or in ``.env``, each under its name in capitals."""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True)

    def __init__(self, **given: Any) -> None:
        try:
            super().__init__(**given)
        except ValidationError as error:
            raise UserError(explain(error, {}, "environment or .env")) from None


def unknown_settings() -> Iterator[str]:
    """Name what ``.env`` sets and no part that is loaded reads, with the setting that is likely meant."""
    known = [name.upper() for part in Environment.__subclasses__() for name in part.model_fields]
    for name, value in DotEnvSettingsSource(Environment, case_sensitive=True).env_vars.items():
        # Other lines may be a key that was pasted: it must not get into the log.
        if value and value.strip("=") and re.fullmatch("[A-Z][A-Z0-9_]{1,40}", name) and name not in known:
            near = get_close_matches(name, known, cutoff=0.8)
            yield f".env: {name} is no setting" + (f"; {near[0]} is" if near else "")


class Settings(Environment):
    """Where things are, and how much the service takes."""

    store: Path = Path("store")
    signing_public_key: Path = Path("signing/public.pem")
    signing_private_key: Path = Path("signing/private.pem")
    mlflow_tracking_uri: str = "sqlite:///mlflow.db"
    data_url: str | None = None
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8000
    reload_seconds: Annotated[float, Field(gt=0)] = 1.0
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    max_body_bytes: Annotated[int, Field(ge=1)] | None = None
    max_in_flight: Annotated[int, Field(ge=1)] = 256
    request_seconds: Annotated[float, Field(gt=0)] = 10.0
    cors_origins: str = ""
    forwarded_allow_ips: str = ""


class Data(Part):
    source: str


class Split(Part):
    how: Literal["stratified", "random", "time", "group"]
    test: Annotated[float, Field(gt=0, lt=0.9)] = 0.2
    folds: Annotated[int, Field(ge=2, le=20)] = 5


class Estimator(Part):
    name: str
    options: dict[str, Any] = Field(default_factory=dict)


class Tuning(Part):
    trials: Annotated[int, Field(ge=0)] = 0


class Gate(Part):
    """What a model must show before it may serve; see ``evaluate.py``."""

    gain_over_dummy: float = 0.05
    loss_to_champion: Annotated[float, Field(ge=0)] = 0.01
    slice_gain: float = 0.0
    slice_rows: Annotated[int, Field(ge=1)] = 100
    violations: Annotated[float, Field(ge=0, le=1)] = 0.05


class Params(File):
    seed: int = 7
    data: Data
    split: Split
    model: Estimator
    learning: Learning = Learning()
    tuning: Tuning = Tuning()
    gate: Gate = Gate()
