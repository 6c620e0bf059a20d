"""Files that are scored: each row as the service would answer it, and a run that goes on after a stop."""

import json
import re
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from conftest import raw_table
from typer.testing import CliRunner

from fraud_watch.kit import UserError, arrow, batch, table
from fraud_watch.kit.columns import Column, Columns
from fraud_watch.kit.predictor import Model
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.store import Store, open_model
from fraud_watch.kit.table import checked, columns_of
from fraud_watch.kit.verbs.score import commands


@pytest.fixture
def model(published: Path) -> Model:
    return open_model(published)


@pytest.fixture
def source(schema: Schema, tmp_path: Path) -> Path:
    path = tmp_path / "in.parquet"
    raw_table(schema, 250).drop(columns=schema.target.header).to_parquet(path)
    return path


def score(model: Model, source: Path, output: Path) -> int:
    return batch.score_file(model, "7", source, output, tell=lambda _: None, chunk=100)


def test_every_row_gets_the_answer_that_the_service_gives(model: Model, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    assert score(model, source, output) == 250
    scored, rows = pd.read_parquet(output), pd.read_parquet(source)
    pd.testing.assert_frame_equal(scored[rows.columns], rows)
    assert set(scored["model_version"]) == {"7"}
    columns = columns_of(model.schema, checked(model.schema, rows, "in", target=False))
    records = model.schema.records(columns)
    online = model.answers([model.schema.reader.one(json.dumps(record).encode()) for record in records], "7")
    assert scored["prediction"].tolist() == pytest.approx([answer["prediction"] for answer in online])
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {".out.parquet.lock", "in.parquet", "out.parquet"}


def test_the_verb_scores_with_the_champion(
    published: Path, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("STORE", str(tmp_path / "store"))
    store = Store(tmp_path / "store")
    store.publish("1", published)
    store.promote("1")
    output = tmp_path / "a" / "new folder" / "out.parquet"
    done = CliRunner().invoke(commands, [str(source), str(output)])
    assert "250 rows scored by version 1" in done.output
    assert set(pd.read_parquet(output)["model_version"].astype(str)) == {"1"}


def test_what_the_model_does_not_read_goes_through_as_it_is(
    model: Model, source: Path, tmp_path: Path
) -> None:
    """A whole number that a float cannot hold, with gaps in one chunk only, and a named index."""
    ids = pd.array([2**53 + n if n != 150 else pd.NA for n in range(250)], dtype="Int64")
    rows = pd.read_parquet(source).assign(id=ids).rename_axis("place")
    rows.to_parquet(source)
    assert score(model, source, tmp_path / "out.parquet") == 250
    scored = pd.read_parquet(tmp_path / "out.parquet")
    pd.testing.assert_frame_equal(scored[rows.columns], rows)


def test_an_index_of_the_file_may_be_a_column_that_the_model_reads(
    model: Model, source: Path, tmp_path: Path
) -> None:
    expected, output = tmp_path / "expected.parquet", tmp_path / "out.parquet"
    score(model, source, expected)
    rows = pd.read_parquet(source).astype("string")
    rows.set_index(model.schema.inputs[0].header).to_parquet(source)
    assert score(model, source, output) == 250
    said = [pd.read_parquet(path)["prediction"].tolist() for path in (output, expected)]
    assert said[0] == said[1]


def test_a_dictionary_is_written_for_words_only(model: Model, source: Path, tmp_path: Path) -> None:
    """Of numbers, which seldom repeat, it would make the file larger and slower."""
    pd.read_parquet(source).assign(a_number=0.5, a_word="word").to_parquet(source)
    score(model, source, tmp_path / "out.parquet")
    group = pq.ParquetFile(tmp_path / "out.parquet").metadata.row_group(0)
    columns = [group.column(place) for place in range(group.num_columns)]
    found = {column.path_in_schema: column.has_dictionary_page for column in columns}
    assert (found["a_number"], found["a_word"], found["model_version"]) == (False, True, True)


def test_a_run_that_was_stopped_goes_on_where_it_was(
    model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    score(model, source, whole)
    scored: list[int] = []
    honest = Model.raw

    def stops_in_the_second_chunk(self: Model, columns: Columns) -> object:
        scored.append(1)
        if len(scored) == 2:
            raise KeyboardInterrupt
        return honest(self, columns)

    monkeypatch.setattr(Model, "raw", stops_in_the_second_chunk)
    with pytest.raises(KeyboardInterrupt):
        score(model, source, output)
    assert not output.exists()
    assert score(model, source, output) == 250
    assert len(scored) == 4, "the first of the three chunks is not scored twice"
    pd.testing.assert_frame_equal(pd.read_parquet(output), pd.read_parquet(whole))


def test_a_finished_chunk_that_is_cut_short_is_scored_again(
    model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output, whole = tmp_path / "out.parquet", tmp_path / "whole.parquet"
    score(model, source, whole)
    with monkeypatch.context() as stopped:
        stopped.setattr(shutil, "rmtree", lambda *_, **__: None)
        score(model, source, output)
    for part in (tmp_path / ".out.parquet.parts").glob("0*.parquet"):
        part.write_bytes(part.read_bytes()[:100])
    assert score(model, source, output) == 250
    pd.testing.assert_frame_equal(pd.read_parquet(output), pd.read_parquet(whole))


def test_another_model_of_the_same_number_does_not_inherit_either(
    model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    claimed: list[dict[str, str]] = []
    claim = batch._claim

    def seen(parts: Path, work: dict[str, str]) -> None:
        claimed.append(work)
        claim(parts, work)

    monkeypatch.setattr(batch, "_claim", seen)
    other = model._replace(manifest=model.manifest.model_copy(update={"run": "another"}))
    for each in (model, other):
        score(each, source, tmp_path / "out.parquet")
    assert claimed[0]["version"] == claimed[1]["version"]
    assert claimed[0]["model"] != claimed[1]["model"]


def test_a_column_that_is_named_like_an_answer_is_refused(model: Model, source: Path, tmp_path: Path) -> None:
    pd.read_parquet(source).assign(prediction=1).to_parquet(source)
    with pytest.raises(UserError, match="already has a column prediction, which `score` writes"):
        score(model, source, tmp_path / "out.parquet")
    assert not (tmp_path / "out.parquet").exists()


def test_two_runs_to_one_output_take_turns(model: Model, source: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.parquet"
    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(lambda _: score(model, source, output), range(2))) == [250, 250]
    assert len(pd.read_parquet(output)) == 250


def test_another_input_does_not_inherit_finished_chunks(
    model: Model, source: Path, schema: Schema, tmp_path: Path
) -> None:
    parts = tmp_path / ".out.parquet.parts"
    score(model, source, tmp_path / "old.parquet")
    batch._claim(parts, {"input": "another", "version": "7", "chunk": "100"})
    shutil.copyfile(tmp_path / "old.parquet", parts / "000000.parquet")
    assert score(model, source, tmp_path / "out.parquet") == 250
    assert len(pd.read_parquet(tmp_path / "out.parquet")) == 250


def test_a_row_that_does_not_fit_is_named_and_the_old_output_stays(
    model: Model, source: Path, schema: Schema, tmp_path: Path
) -> None:
    output = tmp_path / "out.parquet"
    score(model, source, output)
    before = output.read_bytes()
    rows = pd.read_parquet(source)
    typed = [c for c in schema.inputs if c.type != "text"]
    if not typed:
        pytest.skip("every text fits a column of text")
    column = typed[0]
    rows[column.header] = rows[column.header].astype(object)
    rows.loc[180, column.header] = "nonsense"
    rows[column.header] = rows[column.header].astype(str)
    rows.to_parquet(source)
    with pytest.raises(UserError, match=rf"after row 100: column {column.name}, row 81: 'nonsense'"):
        score(model, source, output)
    assert output.read_bytes() == before


@pytest.mark.parametrize(
    ("platform", "settings"), [("linux", [(-1, 32 * 2**20), (-3, 32 * 2**20)]), ("darwin", [])]
)
def test_glibc_keeps_the_memory_of_arrays(
    platform: str, settings: list[tuple[int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its parameters by their numbers: from which size on memory is given back, or mapped by itself."""
    asked: list[tuple[int, int]] = []
    library = SimpleNamespace(mallopt=lambda *setting: asked.append(setting))
    monkeypatch.setattr(batch, "sys", SimpleNamespace(platform=platform))
    monkeypatch.setattr(batch, "ctypes", SimpleNamespace(CDLL=lambda name: library))
    batch._keep_freed_memory()
    assert asked == settings


def test_what_is_no_parquet_file_is_refused(model: Model, tmp_path: Path) -> None:
    for source, output in (("in.csv", "out.parquet"), ("in.parquet", "in.parquet")):
        with pytest.raises(UserError, match=r"reads a \.parquet file and writes another"):
            score(model, tmp_path / source, tmp_path / output)
    with pytest.raises(UserError, match="is not there"):
        score(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    (tmp_path / "in.parquet").write_text("a,b")
    with pytest.raises(UserError, match="is not a Parquet file"):
        score(model, tmp_path / "in.parquet", tmp_path / "out.parquet")
    pd.DataFrame({"a": []}).to_parquet(tmp_path / "in.parquet")
    with pytest.raises(UserError, match="has no rows"):
        score(model, tmp_path / "in.parquet", tmp_path / "out.parquet")


def test_a_chunk_that_is_written_otherwise_says_the_same(
    model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Text for numbers, dates and flags takes the long way; what fits as it is does not."""
    plain, rows = tmp_path / "plain.parquet", pd.read_parquet(source)
    columns = columns_of(model.schema, checked(model.schema, rows, "in", target=False))
    frame = pd.DataFrame(columns).rename(columns={c.name: c.header for c in model.schema.inputs})
    frame.to_parquet(plain)
    rows.astype("string").to_parquet(source)
    score(model, source, tmp_path / "long.parquet")
    monkeypatch.setattr(arrow, "_by_pandas", None)
    score(model, plain, tmp_path / "short.parquet")
    said = [pd.read_parquet(tmp_path / f"{way}.parquet") for way in ("long", "short")]
    added = [name for name in said[0].columns if name not in rows.columns]
    pd.testing.assert_frame_equal(said[0][added], said[1][added])


def test_a_column_that_only_pandas_could_read_is_named(
    model: Model, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows, column = pd.read_parquet(source), model.schema.inputs[0]
    rows.assign(**{column.header: 7 if column.dtype == "O" else "7"}).to_parquet(source)
    monkeypatch.setitem(sys.modules, table.__name__, None)
    said = f"after row 0: column {re.escape(column.header)} has values or a type that"
    with pytest.raises(UserError, match=said):
        score(model, source, tmp_path / "out.parquet")


def test_a_column_that_is_not_there_is_named(model: Model, source: Path, tmp_path: Path) -> None:
    inputs, rows = model.schema.inputs, pd.read_parquet(source)
    header = next((column.header for column in inputs if column.dtype == "O"), inputs[0].header)
    rows.drop(columns=header).assign(other=1).to_parquet(source)
    with pytest.raises(UserError, match=rf"after row 0: no column {re.escape(header)}; it has .*other"):
        score(model, source, tmp_path / "out.parquet")


def test_words_say_the_same_however_the_file_holds_them(model: Model, source: Path, tmp_path: Path) -> None:
    rows, said = pd.read_parquet(source), []
    words = [name for name in rows if isinstance(rows[name].iloc[0], str)]
    for number, how in enumerate(("DELTA_BYTE_ARRAY", "DELTA_LENGTH_BYTE_ARRAY", "PLAIN", None)):
        ways = {"use_dictionary": False, "column_encoding": dict.fromkeys(words, how)} if how else {}
        pq.write_table(pa.Table.from_pandas(rows), source, row_group_size=150, **ways)
        score(model, source, tmp_path / f"{number}.parquet")
        said.append(pd.read_parquet(tmp_path / f"{number}.parquet"))
    for other in said[:-1]:
        pd.testing.assert_frame_equal(other, said[-1])


def test_a_long_dictionary_says_the_same_as_its_words() -> None:
    words = pa.array([f"w{number}" for number in range(100)])
    cells = pa.DictionaryArray.from_arrays(pa.array([99, None, 3], pa.int32()), words)
    found = arrow._cells(TEXT.model_copy(update={"nullable": True}), pa.chunked_array([cells]))
    assert found is not None
    assert found.tolist() == ["w99", None, "w3"]
    entries: Any = getattr(found, "entries", None)
    assert entries.tolist() == ["w99", "w3", None], "only these are looked at"


def test_words_are_read_by_a_dictionary_that_every_part_has() -> None:
    def read(**parts: list[tuple[bool, str]]) -> list[str]:
        """Each part of a column: whether it has a dictionary, and another encoding that it uses."""

        def column(name: str, part: int) -> Any:
            page, how = parts[name][part]
            encodings = ("RLE_DICTIONARY", how)
            return SimpleNamespace(path_in_schema=name, has_dictionary_page=page, encodings=encodings)

        def row_group(part: int) -> Any:
            return SimpleNamespace(column=lambda place: column(names[place], part))

        names = list(parts)
        about: dict[str, Any] = {"num_columns": len(names), "schema": SimpleNamespace(names=names)}
        file: Any = SimpleNamespace(num_row_groups=2, row_group=row_group, **about)
        return arrow.dictionaries(schema, file)

    inputs = [WORD, TEXT.model_copy(update={"name": "text"}), NUMBER.model_copy(update={"name": "number"})]
    schema: Any = SimpleNamespace(inputs=inputs)
    whole, spelt, delta = (True, "RLE"), (False, "PLAIN"), (True, "DELTA_BYTE_ARRAY")
    assert read(number=[whole, whole], a=[whole, whole], other=[whole, whole]) == ["a"]
    assert read(text=[whole, whole], a=[whole, spelt]) == ["text"]
    assert read(text=[delta, whole]) == []


def test_a_word_that_other_chunks_have_is_no_word_of_this_one() -> None:
    """A dictionary is that of a whole part of the file."""
    words = pa.array(["y", "z", "x"])
    for codes, fits in (([0, 2, None], True), ([0, 1], False)):
        cells = pa.DictionaryArray.from_arrays(pa.array(codes, pa.int32()), words)
        found = arrow._cells(GAPS, pa.chunked_array([cells]))
        assert (found is not None) == fits


def test_what_the_schema_forbids_is_refused_in_bulk_too(model: Model, schema: Schema) -> None:
    """Whatever can be wrong with a column is seen before the long way names it."""
    drawn = schema.sample(30, seed=4)
    for column in schema.inputs:
        good = drawn[column.name]
        wrong: list[list[object]] = [[None] * 30] if not column.nullable else []
        wrong += [np.full(30, limit + sign).tolist() for limit, sign in _beyond(column)]
        wrong += [["no such word"] * 30] if column.categories else []
        assert arrow._cells(column, pa.chunked_array([good])) is not None, column.name
        for cells in wrong:
            odd = pa.chunked_array([pa.array(cells, pa.array(good).type)])
            assert arrow._cells(column, odd) is None, (column.name, cells[0])


NUMBER, WHOLE = Column(name="a", type="number", min=1, max=5), Column(name="a", type="integer", nullable=True)
FLAG, WORD = Column(name="a", type="boolean"), Column(name="a", type="category", categories=("x", "y"))
GAPS, TEXT = WORD.model_copy(update={"nullable": True}), Column(name="a", type="text")
NEW_YEAR, NOON = datetime(2024, 1, 1), datetime(2024, 1, 1, 12)
DATE = Column(name="a", type="datetime", min=NEW_YEAR, max=NOON)
CELLS: list[tuple[Column, list[Any], Any, list[Any]]] = [
    (NUMBER, [1.0, 5.0], pa.float32(), [1.0, 5.0]),
    (NUMBER, [1, 5], pa.int8(), [1.0, 5.0]),
    (WHOLE, [2.0, None, -7.0], pa.float64(), [2.0, np.nan, -7.0]),
    (FLAG, [True, False], pa.bool_(), [1.0, 0.0]),
    (FLAG, [0, 1], pa.int64(), [0.0, 1.0]),
    (WORD, ["y", " x ", "y"], pa.string(), ["y", "x", "y"]),
    (WORD, ["y"], pa.large_string(), ["y"]),
    (GAPS, [None, "x", None], pa.string(), [None, "x", None]),
    (TEXT, ["any", "thing "], pa.string(), ["any", "thing"]),
    (DATE, [NEW_YEAR, NOON], pa.timestamp("ns"), [NEW_YEAR, NOON]),
    (DATE, [NOON.replace(tzinfo=UTC)], pa.timestamp("s", "Europe/Zurich"), [NOON]),
]
NO_CELLS: list[tuple[Column, list[Any], Any]] = [
    *((NUMBER, [2.0, cell], pa.float64()) for cell in (0.9, 5.1, np.inf, None, np.nan)),
    *((WHOLE, [2.0, cell], pa.float64()) for cell in (2.5, np.inf)),
    (WHOLE, [2**53 + 1], pa.int64()),
    *((FLAG, [1, cell], pa.int64()) for cell in (2, -1, None)),
    *((WORD, ["x", cell], pa.string()) for cell in ("z", None)),
    (NUMBER, ["2"], pa.string()),
    (NUMBER, [NOON], pa.timestamp("us")),
    (TEXT, [1], pa.int64()),
    *((DATE, [NOON, cell], pa.timestamp("us")) for cell in (datetime(2023, 12, 31), datetime(2024, 1, 2))),
    (DATE, [NOON, None], pa.timestamp("us")),
    (DATE, [date(2024, 1, 1)], pa.date32()),
    (DATE, [pd.Timestamp(NEW_YEAR) + pd.Timedelta(1, "ns")], pa.timestamp("ns")),
]


@pytest.mark.parametrize(("column", "cells", "kind", "expected"), CELLS)
def test_cells_that_fit_become_arrays(
    column: Column, cells: list[Any], kind: Any, expected: list[Any]
) -> None:
    found = arrow._cells(column, pa.chunked_array([pa.array(cells, kind)]))
    assert found is not None
    assert found.dtype == column.dtype
    assert pd.Series(found.tolist()).equals(pd.Series(expected))


@pytest.mark.parametrize(("column", "cells", "kind"), NO_CELLS)
def test_cells_that_do_not_fit_take_the_long_way(column: Column, cells: list[Any], kind: Any) -> None:
    assert arrow._cells(column, pa.chunked_array([pa.array(cells, kind)])) is None


def _beyond(column: Column) -> list[tuple[float, float]]:
    if column.type not in ("number", "integer", "boolean"):
        return []
    limits = ((column.min, -1.0), (column.max, 1.0))
    found = [(limit, sign) for limit, sign in limits if isinstance(limit, float)]
    found += [(0.0, 0.5)] if column.type != "number" else []
    return [*found, (np.inf, 0.0)]
