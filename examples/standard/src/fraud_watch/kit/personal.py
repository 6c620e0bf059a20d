"""Personal data: what a model may learn from them, and what it may hold.

Where a personal category is an input, features see a keyed hash of each value. The key is a setting and in no
file of a model, so that nobody can find out from a model which values it knows.
"""

import json
from collections.abc import Iterator
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import StringConstraints

from . import UserError
from .columns import Columns
from .schema import Schema
from .settings import Environment

SEAL = "personal.json"
CHECKED = "the key of this model"


class PersonalSettings(Environment):
    """The key of the hashes, the same where models are trained and where they serve."""

    pii_key: Annotated[str, StringConstraints(pattern="^([0-9a-f]{64})?$")] = ""


def unfit(schema: Schema) -> Iterator[str]:
    """Name the columns whose values would get into a model."""
    for column in (column for column in schema.columns if column.pii):
        where = f"schema.yaml: columns ({column.name})"
        words = column.type in ("category", "text")
        if column.categories:
            other = "or, if predictions may depend on it, remove the list and add allow_pii_input: true"
            mend = f"write type: text and input: false instead of the list; {other}"
            yield f"{where}: it is personal, and each model would hold its values from `categories`. {mend}"
        elif column.input and words and not column.allow_pii_input:
            mend = "write input: false or, if predictions may depend on it, allow_pii_input: true"
            yield f"{where}: it is personal, and requests carry it. {mend}"
        if column.name in schema.slices:
            yield f"schema.yaml: slices: {column.name} is personal, and the model card would list its values"


def handed_on(schema: Schema, columns: Columns, features: Columns) -> Iterator[str]:
    """Name the personal texts whose values features.py makes categories of."""
    for column in schema.inputs:
        if not (column.pii and column.type == "text"):
            continue
        values = set(columns[column.name].tolist()) - {None}
        for name, made in features.items():
            known = set(made.tolist()) - {None} if made.dtype == object else set()
            if 2 * len(known & values) > len(known):
                what = f"{name} holds values of {column.name}, which is personal"
                yield f"features.py: {what}: make numbers of it"


def hashed(schema: Schema, columns: Columns) -> Columns:
    """The columns as features may see them."""
    if not schema.hashed:
        return columns
    return {**columns, **{name: _hashes(columns[name]) for name in schema.hashed if name in columns}}


def _hashes(values: NDArray[Any]) -> NDArray[Any]:
    listed = values.tolist()
    known = {value: value if value is None else _hash(value) for value in set(listed)}
    return np.array([known[value] for value in listed], dtype=object)


def _hash(value: str) -> str:
    return blake2b(value.encode(errors="surrogatepass"), key=_key(), digest_size=8).hexdigest()


@cache
def _key() -> bytes:
    key = PersonalSettings().pii_key
    if not key:
        what = "PII_KEY is not set, and schema.yaml has a column with allow_pii_input"
        mend = "put PII_KEY=... into .env or the environment, the same where you train and where you serve"
        raise UserError(f"{what}: {mend}; `openssl rand -hex 32` makes one")
    return bytes.fromhex(key)


def seal(schema: Schema, folder: Path) -> None:
    """Note in a model's files with which key it was trained, if with any."""
    if schema.hashed:
        (folder / SEAL).write_text(json.dumps({"key": _hash(CHECKED)}), encoding="utf-8")


def check(schema: Schema, folder: Path) -> None:
    """Refuse a model that was trained with another key: it would know no value."""
    if schema.hashed and json.loads((folder / SEAL).read_bytes()).get("key") != _hash(CHECKED):
        raise UserError(f"{folder} was trained with another PII_KEY than the one that is set here")
