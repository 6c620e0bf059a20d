"""From raw files to a checked table with one type per column, and from there to training and test rows."""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
import pandera.pandas as pa
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold, KFold, StratifiedKFold, TimeSeriesSplit
from sqlalchemy.exc import SQLAlchemyError

from .. import data
from . import UserError, task
from .schema import Column, Schema
from .settings import Split

SHOWN = 3
"""How many bad cells an error quotes per column."""


def load(schema: Schema, source: str, url: str | None = None) -> pd.DataFrame:
    """The project's table: read, typed, checked. Rows whose target is not known yet are left out."""
    try:
        raw = data.load(source, url)
    except FileNotFoundError:
        raise UserError(
            f"{source} is not there: put your table there, or change data.source in params.yaml"
        ) from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{source} is not UTF-8 text ({error.reason} at byte {error.start}): save it as UTF-8"
        ) from None
    except (pd.errors.DatabaseError, SQLAlchemyError) as error:
        raise UserError(f"the database did not answer the query in data.source: {error}") from None
    except (pd.errors.ParserError, pd.errors.EmptyDataError, ValueError) as error:
        raise UserError(f"{source} cannot be read as a table: {error}") from None
    known = raw[schema.target.header].notna() if schema.target.header in raw else slice(None)
    return checked(schema, raw[known].reset_index(drop=True), source)


def checked(schema: Schema, raw: pd.DataFrame, source: str, target: bool = True) -> pd.DataFrame:
    """``raw`` under the schema's names and types; every cell that breaks the schema is reported at once."""
    wanted = {c.header: c.name for c in schema.columns if target or c.input}
    if target:
        wanted[schema.target.header] = schema.target.name
    if absent := [header for header in wanted if header not in raw.columns]:
        raise UserError(f"{source}: no column {', '.join(absent)}; it has {', '.join(map(str, raw.columns))}")
    if not len(raw):
        raise UserError(f"{source} has a header and no rows")
    complaints: list[str] = []
    typed: dict[str, pd.Series] = {}
    for column in schema.columns:
        if column.header in wanted:
            values, bad = cast(column, raw[column.header])
            typed[column.name] = pd.Series(values, dtype=object if values.dtype == object else None)
            complaints += _complain(column.name, raw[column.header], bad, f"is no {column.type}")
    if target:
        cells = raw[schema.target.header]
        codes, bad = task.encode(schema, cells.to_numpy(dtype=object, na_value=None))
        typed[schema.target.name] = pd.Series(codes)
        complaints += _complain(schema.target.name, cells, bad, "is no value of the target")
    frame = pd.DataFrame(typed)
    if not complaints:
        complaints = _breaches(schema, frame)
    if complaints:
        raise UserError("\n".join(f"{source}: {line}" for line in complaints))
    return frame


def cast(column: Column, cells: pd.Series) -> tuple[NDArray[Any], NDArray[np.bool_]]:
    """Cells as the array that features see, and which of them are not of the column's type."""
    there = cells.notna().to_numpy()
    if column.type in ("category", "text"):
        values = cells.map(lambda v: str(v).strip(), na_action="ignore").to_numpy(dtype=object, na_value=None)
        return values, np.zeros(len(cells), dtype=bool)
    if column.type == "datetime":
        moments = pd.to_datetime(cells, errors="coerce", utc=True, format="ISO8601")
        naive = moments.dt.tz_localize(None).to_numpy(dtype="datetime64[us]")
        return naive, there & np.isnat(naive)
    if column.type == "boolean":
        known = {"true": 1.0, "false": 0.0, "1": 1.0, "0": 0.0, "1.0": 1.0, "0.0": 0.0}
        cells = cells.map(lambda v: known.get(str(v).strip().lower()), na_action="ignore")
    numbers = pd.to_numeric(cells, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    bad = there & ~np.isfinite(numbers)
    if column.type == "integer":
        bad |= there & (numbers != np.round(numbers))
    return numbers, bad


def validator(schema: Schema, target: bool = True) -> pa.DataFrameSchema:
    """Ranges, categories and nullability as a pandera schema."""
    columns = {}
    for column in schema.columns:
        checks = _range(column.min, column.max)
        if column.categories:
            checks.append(pa.Check.isin(column.categories))
        columns[column.name] = pa.Column(
            checks=checks, nullable=column.nullable, required=target or column.input
        )
    if target:
        columns[schema.target.name] = pa.Column(checks=_range(schema.target.min, schema.target.max))
    return pa.DataFrameSchema(columns)


def columns_of(schema: Schema, frame: pd.DataFrame) -> dict[str, NDArray[Any]]:
    """The input columns of a checked table, as features take them."""
    return {c.name: frame[c.name].to_numpy() for c in schema.inputs}


def data_hash(frame: pd.DataFrame) -> str:
    """The same for the same values in the same order, whatever file they came from."""
    return hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()


@dataclass(frozen=True)
class Rows:
    """Training and test rows by position; ``folds`` are positions within the training rows."""

    train: NDArray[np.int64]
    test: NDArray[np.int64]
    folds: list[tuple[NDArray[np.int64], NDArray[np.int64]]]


def split(schema: Schema, params: Split, frame: pd.DataFrame, seed: int) -> Rows:
    """Split as ``params.yaml`` declares: nothing is fitted on the test rows."""
    size = len(frame)
    target = frame[schema.target.name].to_numpy()
    groups = frame[schema.group].to_numpy() if schema.group else None
    parts = max(2, round(1 / params.test))
    if params.how == "time":
        if schema.time is None:
            raise UserError("params.yaml: split.how is time, but schema.yaml names no time column")
        order = np.argsort(frame[schema.time].to_numpy(), kind="stable")
        cut = size - max(1, round(size * params.test))
        train, test = order[:cut], order[cut:]
        return Rows(train, test, list(TimeSeriesSplit(params.folds).split(train)))
    if params.how == "group" and groups is None:
        raise UserError("params.yaml: split.how is group, but schema.yaml names no group column")
    try:
        train, test = next(iter(_parts(params.how, parts, target, groups, seed)))
        inner = groups[train] if groups is not None else None
        return Rows(train, test, list(_parts(params.how, params.folds, target[train], inner, seed)))
    except ValueError as error:
        raise UserError(
            f"params.yaml: split.how {params.how} does not fit these {size} rows: {error}"
        ) from None


def _parts(
    how: str, parts: int, target: NDArray[Any], groups: NDArray[Any] | None, seed: int
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    if how == "group":
        yield from GroupKFold(parts, shuffle=True, random_state=seed).split(target, groups=groups)
    elif how == "stratified":
        yield from StratifiedKFold(parts, shuffle=True, random_state=seed).split(target, target)
    else:
        yield from KFold(parts, shuffle=True, random_state=seed).split(target)


def _range(low: float | datetime | None, high: float | datetime | None) -> list[pa.Check]:
    bounds = [] if low is None else [pa.Check.ge(low)]
    return bounds if high is None else [*bounds, pa.Check.le(high)]


def _complain(name: str, cells: pd.Series, bad: NDArray[np.bool_], what: str) -> list[str]:
    places = np.flatnonzero(bad)
    if not len(places):
        return []
    quoted = "; ".join(f"row {place + 1}: {_quoted(cells.iloc[place])}" for place in places[:SHOWN])
    more = f" and {len(places) - SHOWN} more" if len(places) > SHOWN else ""
    return [f"column {name}, {quoted} {what}{more}"]


def _quoted(cell: Any) -> str:
    return repr(cell) if isinstance(cell, str) else str(cell)


def _breaches(schema: Schema, frame: pd.DataFrame) -> list[str]:
    try:
        validator(schema, target=schema.target.name in frame).validate(frame, lazy=True)
    except pa.errors.SchemaErrors as errors:
        found = errors.failure_cases
        lines = []
        for (name, check), cases in found.groupby(["column", "check"], sort=False):
            bad = np.zeros(len(frame), dtype=bool)
            bad[cases["index"].astype(int)] = True
            said = "is missing" if check == "not_nullable" else f"breaks {check}"
            lines += _complain(name, frame[name], bad, said)
        return lines
    return []
