"""Scoring a file: in constant memory, resumed where it stopped, the output replaced in one step.

Chunks go from Arrow to the model's columns without pandas, and text is looked up once per word. A chunk with
anything odd takes the long way through ``table.checked``, which knows each spelling and names what is wrong.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from . import UserError, task
from .columns import Coded, Column
from .predictor import Model
from .schema import Schema
from .table import checked, columns_of

Tell = Callable[[int], None]
CHUNK = 20_000


def score_file(model: Model, version: str, source: Path, output: Path, tell: Tell, chunk: int = CHUNK) -> int:
    """Score every row of ``source`` (Parquet) into ``output``; gives the number of rows.

    The answers to finished chunks lie in a folder beside the output until all are there. A second call with
    the same input and model takes them as they are.
    """
    if {source.suffix, output.suffix} != {".parquet"} or source.resolve() == output.resolve():
        raise UserError("score reads a .parquet file and writes another")
    if not source.exists():
        raise UserError(f"{source} is not there")
    parts = output.with_name(f".{output.name}.parts")
    stat = source.stat()
    input_file = f"{source.resolve()}, {stat.st_size} bytes of {stat.st_mtime_ns}"
    _claim(parts, {"input": input_file, "version": version, "chunk": str(chunk)})
    done, draft, writer = 0, parts / "whole.draft", None
    with ExitStack() as stack:
        for number, rows in enumerate(_chunks(source, chunk)):
            part = parts / f"{number:06d}.parquet"
            told = pq.read_table(part) if part.exists() else None
            if told is None:
                told = _scored(model, version, rows, f"{source} after row {done}")
                pq.write_table(told, part.with_suffix(".draft"), use_dictionary=False, compression="none")
                part.with_suffix(".draft").replace(part)
            # What came in goes out as it is; pandas would make floats of whole numbers with gaps.
            both = {name: table[name] for table in (rows, told) for name in table.column_names}
            whole = pa.table(both).replace_schema_metadata(rows.schema.metadata)
            if writer is None:
                # Numbers seldom repeat: a dictionary of them costs more than all the rest.
                words = [field.name for field in whole.schema if not pa.types.is_floating(field.type)]
                writer = stack.enter_context(pq.ParquetWriter(draft, whole.schema, use_dictionary=words))
            writer.write_table(whole)
            done += len(rows)
            tell(done)
    draft.replace(output)
    shutil.rmtree(parts)
    return done


def _scored(model: Model, version: str, rows: pa.Table, source: str) -> pa.Table:
    """The model's answers to a chunk."""
    told = task.table(model.schema, model.manifest.decision, model.raw(_columns(model.schema, rows, source)))
    return pa.table(told | {"model_version": pa.repeat(version, len(rows))})


def _columns(schema: Schema, rows: pa.Table, source: str) -> dict[str, NDArray[Any]]:
    """The input columns of a chunk, checked, as features take them."""
    columns = {}
    for column in schema.inputs:
        values = _cells(column, rows[column.header]) if column.header in rows.column_names else None
        if values is None:
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
            moments: NDArray[Any] = cells.cast(pa.timestamp("us"), safe=False).to_numpy()
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


def _chunks(source: Path, chunk: int) -> Iterator[pa.Table]:
    try:
        file = pq.ParquetFile(source)
    except pa.ArrowInvalid as error:
        raise UserError(f"{source} is not a Parquet file: {error}") from None
    if not file.metadata.num_rows:
        raise UserError(f"{source} has no rows")
    for batch in file.iter_batches(chunk):
        yield pa.Table.from_batches([batch])


def _claim(parts: Path, work: dict[str, str]) -> None:
    """Keep finished chunks only if they belong to this very work."""
    note, text = parts / "work.json", json.dumps(work)
    if not note.exists() or note.read_text(encoding="utf-8") != text:
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir(parents=True)
        note.write_text(text, encoding="utf-8")
