"""From raw files to a checked table with one type per column."""

import hashlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray

from .. import data
from . import UserError, task
from .cells import cast
from .columns import Column, Named
from .predictor import Model, as_rows
from .schema import Schema

SHOWN = 3
"""How many bad cells an error quotes per column."""


def load(schema: Schema, source: str, url: str | None = None) -> pd.DataFrame:
    """The project's table: read, typed, checked. Rows whose target is not known yet are left out."""
    # Only training reads from databases; scoring a file needs nothing of it.
    from sqlalchemy.exc import SQLAlchemyError

    try:
        raw = data.load(source, url)
    except FileNotFoundError:
        raise UserError(f"{source} is not there: put it there or change data.source in params.yaml") from None
    except UnicodeDecodeError as error:
        raise UserError(f"{source} is not UTF-8 text ({error.reason} at byte {error.start})") from None
    except (pd.errors.DatabaseError, SQLAlchemyError, ImportError) as error:
        raise UserError(f"the database did not answer the query in data.source: {error}") from None
    except ValueError as error:
        raise UserError(f"{source} cannot be read as a table: {error}") from None
    if schema.target.header in raw:
        raw = raw.dropna(subset=schema.target.header)
    return checked(schema, raw, source)


def checked(schema: Schema, raw: pd.DataFrame, source: str, target: bool = True) -> pd.DataFrame:
    """``raw`` under the schema's names and types; every cell that breaks the schema is reported at once."""
    wanted: tuple[Named, ...] = (*schema.columns, schema.target) if target else schema.inputs
    if absent := [named.header for named in wanted if named.header not in raw]:
        raise UserError(f"{source}: no column {', '.join(absent)}; it has {', '.join(map(str, raw.columns))}")
    if not len(raw):
        raise UserError(f"{source} has a header and no rows")
    arrays: dict[str, NDArray[Any]] = {}
    complaints: list[str] = []
    for named in wanted:
        cells = raw[named.header]
        if isinstance(named, Column):
            arrays[named.name], bad = cast(named.type, cells)
            complaints += _complain(named, cells, bad, f"is no {named.type}")
        else:
            arrays[named.name], bad = task.encode(schema, cells)
            complaints += _complain(named, cells, bad, "is no value of the target")
    frame = as_rows(arrays)
    if complaints := complaints or list(_breaches(schema, frame)):
        raise UserError("\n".join(f"{source}: {line}" for line in complaints))
    return frame


def validator(schema: Schema) -> pa.DataFrameSchema:
    """Ranges, categories and nullability as a pandera schema."""
    target = Column(name=schema.target.name, type="number", min=schema.target.min, max=schema.target.max)
    limits = {}
    for c in (*schema.columns, target):
        rules: dict[Any, Any] = {pa.Check.ge: c.min, pa.Check.le: c.max, pa.Check.isin: c.categories}
        checks = [rule(limit) for rule, limit in rules.items() if limit not in (None, ())]
        limits[c.name] = pa.Column(checks=checks, nullable=c.nullable, required=False)
    return pa.DataFrameSchema(limits)


def columns_of(schema: Schema, frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """The input columns of a checked table, as features take them."""
    return {c.name: frame[c.name].to_numpy() for c in schema.inputs}


def answers(model: Model, raw: pd.DataFrame, source: str) -> dict[str, Any]:
    """What the model says of raw rows, as columns; they need no target."""
    figures = model.raw(columns_of(model.schema, checked(model.schema, raw, source, target=False)))
    return task.table(model.schema, model.manifest.decision, figures)


def data_hash(frame: pd.DataFrame) -> str:
    """The same for the same values in the same order, whatever file they came from."""
    return hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()


def _complain(named: Named, cells: pd.Series, bad: NDArray[np.bool_], what: str) -> Iterator[str]:
    """Quote the first bad cells; of a personal column, name their rows alone."""
    if len(places := np.flatnonzero(bad)):
        shown = [(place + 1, cells.iloc[place]) for place in places[:SHOWN]]
        quoted = "; ".join(f"row {row}: {repr(v) if isinstance(v, str) else v}" for row, v in shown)
        if _personal(named):
            quoted = f"row {', '.join(str(row) for row, _ in shown)}: a personal value"
        more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
        yield f"column {named.name}, {quoted} {what}{more}"


def _breaches(schema: Schema, frame: pd.DataFrame) -> Iterator[str]:
    try:
        validator(schema).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        known: dict[str, Named] = {named.name: named for named in (*schema.columns, schema.target)}
        for (name, check), cases in errors.failure_cases.groupby(["column", "check"], sort=False):
            # The check of a category quotes all of them.
            rule = "isin" if _personal(known[name]) and check.startswith("isin") else check
            said = "is missing" if check == "not_nullable" else f"breaks {rule}"
            yield from _complain(known[name], frame[name], frame.index.isin(cases["index"]), said)


def _personal(named: Named) -> bool:
    return isinstance(named, Column) and named.pii
