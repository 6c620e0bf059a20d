"""The short way from a chunk of a file to the model's columns: without pandas, text looked up once per word.

A chunk with anything odd takes the long way through ``table.checked``, which knows each spelling and names
what is wrong.
"""

from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from . import task
from .columns import Column
from .plan import Coded
from .predictor import Model
from .schema import Schema


def answers(model: Model, rows: pa.Table, source: str) -> dict[str, Any]:
    """What the model says of a chunk, as columns."""
    figures = model.raw(_columns(model.schema, rows, source))
    return task.table(model.schema, model.manifest.decision, figures)


def _columns(schema: Schema, rows: pa.Table, source: str) -> dict[str, NDArray[Any]]:
    """The input columns of a chunk, checked, as features take them."""
    columns = {}
    for column in schema.inputs:
        values = _cells(column, rows[column.header]) if column.header in rows.column_names else None
        if values is None:
            # pandas and pandera are imported where a cell asks for them, not for each file.
            from .table import checked, columns_of

            frame = checked(schema, rows.to_pandas(ignore_metadata=True), source, target=False)
            return columns_of(schema, frame)
        columns[column.name] = values
    return columns


def _cells(column: Column, cells: pa.ChunkedArray) -> NDArray[Any] | None:
    """A column's cells; None if any of them is not plainly what the schema says."""
    kind, is_a = cells.type, pa.types
    try:
        if column.type in ("category", "text"):
            return _words(column, cells) if is_a.is_string(kind) or is_a.is_large_string(kind) else None
        if column.type == "datetime":
            if not is_a.is_timestamp(kind):
                return None
            moments: NDArray[Any] = cells.cast(pa.timestamp("us")).to_numpy()
            return moments if _fits(column, moments, np.isnat(moments)) else None
        if not (is_a.is_integer(kind) or is_a.is_floating(kind) or is_a.is_boolean(kind)):
            return None
        numbers: NDArray[Any] = cells.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid:
        return None
    gaps = np.isnan(numbers)
    whole = column.type == "number" or bool((gaps | (numbers == np.round(numbers))).all())
    limits = column.model_copy(update={"min": 0, "max": 1}) if column.type == "boolean" else column
    return numbers if whole and not np.isinf(numbers).any() and _fits(limits, numbers, gaps) else None


def _fits(column: Column, values: NDArray[Any], gaps: NDArray[np.bool_]) -> bool:
    low, high = column.array([column.min, column.max])
    outside = (values < low) | (values > high)
    return not outside.any() and (column.nullable or not gaps.any())


def _words(column: Column, cells: pa.ChunkedArray) -> NDArray[Any] | None:
    coded = cells.combine_chunks().dictionary_encode()
    entries = [word.strip() for word in coded.dictionary.to_pylist()]
    unknown = set(entries).difference(column.categories) if column.categories else None
    if unknown or (coded.null_count and not column.nullable):
        return None
    codes = coded.indices.fill_null(len(entries)).to_numpy()
    return Coded.of(np.array([*entries, None], dtype=object), codes)
