"""The short way from a chunk of a file to the model's columns: without pandas, text looked up once per word.

A chunk with anything odd takes the long way through ``table.checked``, which knows each spelling and names
what is wrong.
"""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from . import UserError, task
from .columns import Column
from .plan import Coded
from .predictor import Model
from .schema import Schema


def answers(model: Model, rows: pa.Table, plain: pa.Table, source: str) -> dict[str, Any]:
    """What the model says of a chunk, as columns; ``plain`` is the same without dictionaries."""
    figures = model.raw(_columns(model.schema, rows, plain, source))
    return task.table(model.schema, model.manifest.decision, figures)


def dictionaries(schema: Schema, file: pq.FileMetaData) -> list[str]:
    """The model's words that a file holds with a dictionary in every part, and in no other way.

    Arrow can read those without spelling each cell out; of a column that is delta encoded it cannot.
    """
    wanted = {column.header for column in schema.inputs if column.type in ("category", "text")}
    wanted &= {*file.schema.names}
    for part in range(file.num_row_groups):
        for place in range(file.num_columns):
            column = file.row_group(part).column(place)
            if not column.has_dictionary_page or any("DELTA" in how for how in column.encodings):
                wanted.discard(column.path_in_schema)
    return sorted(wanted)


def _columns(schema: Schema, rows: pa.Table, plain: pa.Table, source: str) -> dict[str, NDArray[Any]]:
    """The input columns of a chunk, checked, as features take them."""
    if absent := [column.header for column in schema.inputs if column.header not in rows.column_names]:
        has = ", ".join(rows.column_names)
        raise UserError(f"{source}: no column {', '.join(absent)}; it has {has}")
    columns = {}
    for column in schema.inputs:
        values = _cells(column, rows[column.header])
        if values is None:
            return _by_pandas(schema, column, plain, source)
        columns[column.name] = values
    return columns


def _by_pandas(schema: Schema, odd: Column, plain: pa.Table, source: str) -> dict[str, NDArray[Any]]:
    """The same where a column is odd. Only training is sure to have what this imports."""
    try:
        from .table import checked, columns_of
    except ModuleNotFoundError as error:
        what = f"{source}: column {odd.header} has values or a type that schema.yaml does not allow"
        mend = "to see which cells, or to let text be read as numbers, install everything: uv sync"
        raise UserError(f"{what}; {mend}") from error
    return columns_of(schema, checked(schema, plain.to_pandas(ignore_metadata=True), source, target=False))


def _cells(column: Column, cells: pa.ChunkedArray) -> NDArray[Any] | None:
    """A column's cells; None if any of them is not plainly what the schema says."""
    kind, is_a = cells.type, pa.types
    try:
        if column.type in ("category", "text"):
            word = kind.value_type if is_a.is_dictionary(kind) else kind
            return _words(column, cells) if is_a.is_string(word) or is_a.is_large_string(word) else None
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
    if len(coded.dictionary) > len(coded):
        # It is that of a large part of the file, and most of it is not used here.
        coded = coded.cast(coded.type.value_type).dictionary_encode()
    entries = [word.strip() for word in coded.dictionary.to_pylist()]
    if coded.null_count and not column.nullable:
        return None
    codes = coded.indices.cast(pa.int64()).fill_null(len(entries)).to_numpy()
    if column.categories and not set(entries).issubset(column.categories):
        # The dictionary is that of many chunks: only the words that this one has count.
        used = np.bincount(codes)
        if any(rows and word not in column.categories for word, rows in zip(entries, used, strict=False)):
            return None
    return Coded.of(np.array([*entries, None], dtype=object), codes)
