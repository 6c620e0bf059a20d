"""Scoring a file: in constant memory, resumed where it stopped, the output replaced in one step."""

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from . import UserError
from .predictor import Model
from .table import answers

Tell = Callable[[int], None]
CHUNK = 50_000


def score_file(model: Model, version: str, source: Path, output: Path, tell: Tell, chunk: int = CHUNK) -> int:
    """Score every row of ``source`` (Parquet) into ``output``; gives the number of rows.

    Finished chunks lie in a folder beside the output until all are there. A second call with the same input
    and model goes on after them.
    """
    if {source.suffix, output.suffix} != {".parquet"} or source.resolve() == output.resolve():
        raise UserError("score reads a .parquet file and writes another")
    if not source.exists():
        raise UserError(f"{source} is not there")
    parts = output.with_name(f".{output.name}.parts")
    stat = source.stat()
    input_file = f"{source.resolve()}, {stat.st_size} bytes of {stat.st_mtime_ns}"
    _claim(parts, {"input": input_file, "version": version, "chunk": str(chunk)})
    done = 0
    for number, rows in enumerate(_chunks(source, chunk)):
        part = parts / f"{number:06d}.parquet"
        if not part.exists():
            told = answers(model, rows.to_pandas(ignore_metadata=True), f"{source} after row {done}")
            told["model_version"] = [version] * len(rows)
            # What came in goes out as it is; pandas would make floats of whole numbers with gaps.
            scored = pa.table({**dict(zip(rows.column_names, rows.columns, strict=True)), **told})
            scored = scored.replace_schema_metadata(rows.schema.metadata)
            draft = part.with_suffix(".draft")
            pq.write_table(scored, draft)
            draft.replace(part)
        done += len(rows)
        tell(done)
    _join(sorted(parts.glob("*.parquet")), output)
    shutil.rmtree(parts)
    return done


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


def _join(parts: list[Path], output: Path) -> None:
    draft = output.with_name(f".{output.name}.draft")
    with pq.ParquetWriter(draft, pq.read_schema(parts[0])) as writer:
        for part in parts:
            writer.write_table(pq.read_table(part))
    draft.replace(output)
