"""Personal data: what a model may learn from them, and what it may hold.

Where a personal category is an input, features see a keyed hash of each value. The key is a setting, in no
file of a model: the model alone does not show which values it knows.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from . import UserError
from .columns import Columns
from .schema import Schema
from .settings import Environment

Features = Callable[[Columns], Columns]
SEAL = "personal.json"
CHECKED = "the key of this model"
MAKE = "generate one with `openssl rand -hex 32`"


class PersonalSettings(Environment):
    """The key of the hashes, the same where models are trained and where they serve."""

    pii_key: str = ""


def unfit(schema: Schema) -> Iterator[str]:
    """Name the columns whose values would get into a model."""
    for column in (column for column in schema.columns if column.pii):
        where = f"schema.yaml: columns ({column.name})"
        if column.categories:
            other = "or, if predictions may depend on it, remove the list and add allow_pii_input: true"
            mend = f"write type: text and input: false instead of the list; {other}"
            yield f"{where}: it is personal, and each model would hold its values from `categories`. {mend}"
        elif column.input and column.type == "text" and not column.allow_pii_input:
            mend = "write input: false or, if predictions may depend on it, allow_pii_input: true"
            yield f"{where}: it is personal, and requests carry it. {mend}"
        if column.name in schema.slices:
            yield f"schema.yaml: slices: {column.name} is personal, and the model card would list its values"


def handed_on(schema: Schema, columns: Columns, features: Columns, made: Features) -> Iterator[str]:
    """Name the categories in which features.py tells apart who a personal text is about.

    ``made`` computes features: what changes when the text is another one is made of it.
    """
    for column in (column for column in schema.inputs if column.pii and column.type == "text"):
        values = columns[column.name]
        people = len(set(values.tolist()) - {None})
        others = made({**columns, column.name: np.array([f"z{n}" for n in range(len(values))], dtype=object)})
        for name, given in features.items():
            if given.dtype == object and 2 * len(set(given.tolist()) - {None}) > people:
                other = others.get(name)
                if other is None or other.tolist() != given.tolist():
                    what = f"{name} tells apart the values of {column.name}, which is personal"
                    yield f"features.py: {what}: compute numbers from it, or fewer categories"


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
        raise UserError(f"{what}: {mend}; {MAKE}")
    if not re.fullmatch("[0-9a-fA-F]{64}", key):
        raise UserError(f"PII_KEY must be 64 hexadecimal digits (0-9, a-f): {MAKE}")
    return bytes.fromhex(key)


def seal(schema: Schema, folder: Path) -> None:
    """Note in a model's files with which key it was trained, if with any."""
    if schema.hashed:
        (folder / SEAL).write_text(json.dumps({"key": _hash(CHECKED)}), encoding="utf-8")


def check(schema: Schema, files: Mapping[str, bytes]) -> None:
    """Refuse a model that was trained with another key: it would know no value."""
    if schema.hashed and json.loads(files[SEAL]).get("key") != _hash(CHECKED):
        what = "the model was trained with a different PII_KEY"
        raise UserError(f"{what}: set the key that was used for training, or train and promote again")
