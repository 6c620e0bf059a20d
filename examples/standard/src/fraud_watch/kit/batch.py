"""Scoring a file: in constant memory, resumed where it stopped, the output replaced in one step."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from . import UserError
from .arrow import answers
from .predictor import Model

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
    told = answers(model, rows, source)
    return pa.table(told | {"model_version": pa.repeat(version, len(rows))})


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
