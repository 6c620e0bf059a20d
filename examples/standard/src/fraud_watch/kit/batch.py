"""Scoring a file: in constant memory, resumed where it stopped, the output replaced in one step."""

import ctypes
import hashlib
import json
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from . import UserError
from .arrow import answers, dictionaries
from .files import held
from .predictor import Model

Item = TypeVar("Item")
Tell = Callable[[int], None]
CHUNK = 20_000
BUFFER = 1_048_576
"""Bytes of a column that are read at once."""
THREADS = 2
"""One reads and one scores, while the caller writes: on two cores that takes three quarters of the time."""


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
    # A store that was made again may give the same number to another model.
    digest = hashlib.sha256(model.manifest.model_dump_json().encode()).hexdigest()
    work = {"input": input_file, "version": version, "model": digest, "chunk": str(chunk)}
    with held(output):
        _claim(parts, work)
        return _score(model, version, source, output, parts, tell, chunk)


def _score(
    model: Model, version: str, source: Path, output: Path, parts: Path, tell: Tell, chunk: int
) -> int:
    _keep_freed_memory()
    file = _opened(source)
    kinds, done, draft, writer = file.schema_arrow, 0, parts / "whole.draft", None
    with ThreadPoolExecutor(THREADS) as pool, ExitStack() as stack:
        words = dictionaries(model.schema, file.metadata)
        file = pq.ParquetFile(source, read_dictionary=words, pre_buffer=False, buffer_size=BUFFER)
        chunks = _ahead(pool, file.iter_batches(chunk, use_threads=False))
        for plain, scored in _ahead(pool, _scored(model, source, parts, kinds, chunks)):
            if taken := {*scored.column_names, "model_version"} & {*plain.column_names}:
                what = f"already has a column {min(taken)}, which `score` writes"
                raise UserError(f"{source} {what}: rename or drop it")
            # What came in goes out as it is; pandas would make floats of whole numbers with gaps.
            columns = {name: table[name] for table in (plain, scored) for name in table.column_names}
            columns["model_version"] = pa.repeat(version, len(plain))
            whole = pa.table(columns).replace_schema_metadata(kinds.metadata)
            if writer is None:
                # Numbers seldom repeat: a dictionary of them costs more than all the rest.
                words = [field.name for field in whole.schema if not pa.types.is_floating(field.type)]
                writer = stack.enter_context(pq.ParquetWriter(draft, whole.schema, use_dictionary=words))
            writer.write_table(whole)
            done += len(plain)
            tell(done)
    draft.replace(output)
    shutil.rmtree(parts)
    return done


def _opened(source: Path) -> pq.ParquetFile:
    """A file that has rows."""
    try:
        file = pq.ParquetFile(source)
    except pa.ArrowInvalid as error:
        raise UserError(f"{source} is not a Parquet file: {error}") from None
    if not file.metadata.num_rows:
        raise UserError(f"{source} has no rows")
    return file


def _scored(
    model: Model, source: Path, parts: Path, kinds: pa.Schema, chunks: Iterable[pa.RecordBatch]
) -> Iterator[tuple[pa.Table, pa.Table]]:
    """Each chunk without its dictionaries, and the model's answers, which are kept until all are there."""
    done = 0
    for number, batch in enumerate(chunks):
        rows, part = pa.Table.from_batches([batch]), parts / f"{number:06d}.parquet"
        plain = rows.cast(kinds)
        scored = _finished(part, len(rows))
        if scored is None:
            where = f"{source} after row {done}"
            found = answers(model, rows, plain, where)
            scored = pa.table(found)
            pq.write_table(scored, part.with_suffix(".draft"), use_dictionary=False, compression="none")
            part.with_suffix(".draft").replace(part)
        yield plain, scored
        done += len(rows)


def _finished(part: Path, rows: int) -> pa.Table | None:
    """The answers that an earlier run wrote, if they are whole."""
    try:
        scored = pq.read_table(part)
    except (OSError, pa.ArrowInvalid):  # not there, or cut short when the machine went down
        return None
    return scored if len(scored) == rows else None


def _ahead(pool: Executor, items: Iterable[Item]) -> Iterator[Item]:
    """Each item, while a thread of the pool makes the next one."""
    left = iter(items)
    coming = pool.submit(next, left, None)
    while (item := coming.result()) is not None:
        coming = pool.submit(next, left, None)
        yield item


def _keep_freed_memory() -> None:
    """Have the C library reuse the memory of arrays: to give it back each time took a quarter of the run."""
    if sys.platform == "linux":
        with suppress(AttributeError):  # it is not glibc
            settings = {"M_TRIM_THRESHOLD": -1, "M_MMAP_THRESHOLD": -3}
            for parameter in settings.values():
                ctypes.CDLL(None).mallopt(parameter, 32 << 20)


def _claim(parts: Path, work: dict[str, str]) -> None:
    """Keep finished chunks only if they belong to this very work."""
    note, text = parts / "work.json", json.dumps(work)
    if not note.exists() or note.read_text(encoding="utf-8") != text:
        shutil.rmtree(parts, ignore_errors=True)
        parts.mkdir()
        note.write_text(text, encoding="utf-8")
