"""schema.yaml and what follows from it: checks of files, requests, both seeing the same values, splits."""

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from conftest import ROOT, raw_table
from pydantic import ValidationError
from sqlalchemy import create_engine

from fraud_watch.kit import UserError
from fraud_watch.kit import reader as reading
from fraud_watch.kit.cells import cast
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.settings import Split
from fraud_watch.kit.splits import split
from fraud_watch.kit.table import (
    checked,
    columns_of,
    data_hash,
    load,
    validator,
)

PROBLEM = Schema.load(ROOT / "schema.yaml").problem
SMALL: dict[str, Any] = {
    "problem": PROBLEM,
    "target": {"name": "worth"} | ({"classes": [1, 2, 3]} if PROBLEM == "classification" else {}),
    "columns": [
        {"name": "size", "type": "number", "min": 0, "max": 10, "alias": "Size (m)"},
        {"name": "count", "type": "integer", "nullable": True},
        {"name": "kind", "type": "category", "categories": ["a", "b"]},
        {"name": "open", "type": "boolean"},
        {"name": "seen", "type": "datetime", "nullable": True, "min": "2024-01-01T00:00:00+01:00"},
        {"name": "json", "type": "text", "nullable": True},
    ],
}
SURE = [{**column, "nullable": column["type"] == "integer"} for column in SMALL["columns"]]
"""The same columns, but no text may be null: then the quotes of a body show whether it holds more."""
GOOD = {"size": 1.5, "count": None, "kind": "a", "open": True, "seen": "2025-01-31T10:00:00Z", "json": "hi"}


TWICE = {"name": "other", "type": "number"}


def small(**changes: Any) -> Schema:
    return Schema.parse({**SMALL, **changes}, "schema.yaml")


def target(problem: str, **changes: Any) -> dict[str, Any]:
    return {"problem": problem, "target": {"name": "worth", **changes}}


def column(**changes: Any) -> dict[str, Any]:
    return {"columns": [{"name": "size", "type": "number", **changes}]}


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"problem": "guessing"}, "problem: Input should be 'classification' or 'regression'"),
        ({"colums": []}, "colums: Extra inputs are not permitted"),
        ({"columns": []}, "columns: Tuple should have at least 1 item"),
        (column(type="float"), "columns.0 (size).type: Input should be 'number'"),
        (column(categories=["a"]), "columns.0 (size): categories: a column of type category"),
        (column(min=3, max=1), "columns.0 (size): min: 3.0 is above max, 1.0"),
        (column(type="text", min=3), "columns.0 (size): min and max: a text has no range"),
        (column(max=5, example=6), "columns (size): example: Input should be less than or equal to 5"),
        (column(example="long"), "columns (size): example: Input should be a valid number"),
        (column(type="integer", example=1.5), "columns (size): example: Input should be a valid integer"),
        (column(name="two words"), "columns.0 (two words).name: String should match"),
        (column(name="worth"), "target: worth is among the columns too"),
        ({"columns": SMALL["columns"] + SMALL["columns"][:1]}, "columns: size stands there twice"),
        ({"time": "size"}, "time: size is not allowed there; allowed: none of today's columns"),
        ({"time": "seen"}, "time: seen is not allowed there"),  # it may be missing
        ({"expect": {"increasing": ["kind"]}}, "kind is not allowed there; allowed: count, open, size"),
        ({"slices": ["size"]}, "slices: size is not allowed there; allowed: kind, open"),
        ({"group": "who"}, "group: who is not allowed there; allowed: count, json, kind, open, seen, size"),
        ({"columns": [*SMALL["columns"], {**TWICE, "alias": "count"}]}, "columns: count stands there twice"),
        ({"target": {**SMALL["target"], "alias": "Size (m)"}}, "target: worth is among the columns too"),
        (target("regression", classes=[0, 1]), "target.classes: classification needs two or more"),
        (target("classification"), "target.classes: classification needs two or more"),
        (target("classification", classes=[0, 1]), "target.positive: say which"),
        (target("classification", classes=[0, 1], positive=2), "target.positive: 2 is not one of"),
    ],
)
def test_an_error_names_the_file_the_key_and_what_is_allowed(changes: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError) as caught:
        small(**changes)
    assert str(caught.value).startswith("schema.yaml: ")
    assert said in str(caught.value)


def test_a_file_that_is_no_yaml_or_not_there_is_named(tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    with pytest.raises(UserError, match=r"schema\.yaml is missing"):
        Schema.load(path)
    path.write_text("columns: [", encoding="utf-8")
    with pytest.raises(UserError, match="is not valid YAML"):
        Schema.load(path)


@pytest.mark.parametrize("columns", [SMALL["columns"], SURE], ids=["small", "sure"])
@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("size", "1.5"),
        ("size", 11),
        ("size", None),
        ("size", float("nan")),
        ("count", 1.5),
        ("kind", "c"),
        ("open", 1),
        ("seen", 1738317600),
        ("seen", "yesterday"),
        ("seen", "2023-12-31T22:59:59Z"),
        ("seen", "0001-01-01T00:00:00+05:00"),
        ("count", 2**53 + 1),
        ("count", -(2**53) - 1),
        ("json", 7),
        ("other", 1),
    ],
)
def test_a_request_that_does_not_fit_is_refused_by_field(columns: Any, field: str, value: Any) -> None:
    reader = small(columns=columns).reader
    reader.one(json.dumps(GOOD).encode())
    with pytest.raises(ValidationError) as caught:
        reader.one(json.dumps({**GOOD, field: value}).encode())
    assert caught.value.errors()[0]["loc"][0] == field
    with pytest.raises(ValidationError, match="Field required"):
        reader.one(json.dumps(GOOD).replace("size", "other").encode())


def test_a_body_is_parsed_again_only_if_a_key_may_be_there_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quotes in it say so: two to a key or a text. To parse all of them again would cost time.

    Nor are the fields of records looked for where there are as many as there may be.
    """
    reader, gaps = small().reader, {**GOOD, "seen": None, "json": None}
    bodies = [json.dumps(record).encode() for record in (GOOD, gaps)]
    both = json.dumps({"records": [GOOD, gaps, GOOD]}).encode()
    quoted = json.dumps({**GOOD, "json": 'say "hi"'}).encode()
    monkeypatch.setattr(reading, "json", None)
    monkeypatch.setattr(reader, "required", None)
    assert [reader.one(body)["kind"] for body in bodies] == ["a", "a"]
    assert len(reader.many(both)) == 3
    with pytest.raises(AttributeError):
        reader.one(quoted)
    monkeypatch.setattr(reading.Reader, "_nothing_more", None)
    assert small(columns=SURE).reader.one(bodies[0])["kind"] == "a"
    monkeypatch.undo()
    assert reader.one(quoted)["json"] == 'say "hi"'


def test_a_field_that_one_of_several_records_lacks_is_named() -> None:
    lacking = {name: value for name, value in GOOD.items() if name != "size"}
    with pytest.raises(ValidationError) as caught:
        small().reader.many(json.dumps({"records": [GOOD, lacking]}).encode())
    assert caught.value.errors()[0]["loc"] == ("records", 1, "size")


MANY = ", ".join(f'"unheard_of_{number}": 1' for number in range(50_000))
HOSTILE = {
    "a record": "{" + MANY + "}",
    "behind what is right": '{"size": 1.5, "kind": "a", ' + MANY + "}",
    "within a value": '{"size": {' + MANY + "}}",
    "within values": '{"size": {' + MANY + '}, "kind": [' + "{}," * 50_000 + "{}]}",
    "behind braces": '{"json": "' + "{" * 50_000 + '", ' + MANY + "}",
    "behind quotes": '{"json": "' + '\\"' * 50_000 + '", ' + MANY + "}",
    "with quotes in the keys": "{" + MANY.replace("unheard", '\\"') + "}",
    "twice": "{" + MANY + ", " + MANY + "}",
    "no record": "[" + "0, " * 200_000 + "0]",
    "deep": '{"a": ' * 100_000,
}
WIDE = [{"name": f"wide_{number}", "type": "number"} for number in range(200)]


@pytest.mark.parametrize("hostile", HOSTILE)
@pytest.mark.parametrize("place", ["alone", "first", "last", "outside"])
def test_a_hostile_body_is_refused_soon_and_with_few_errors(hostile: str, place: str) -> None:
    """Also where each of many fields is missing: an error of each once held a copy of the whole body."""
    reader = small(columns=[*SMALL["columns"], *WIDE]).reader
    sent, good = HOSTILE[hostile], json.dumps({**GOOD, **{column["name"]: 1 for column in WIDE}})
    body = {
        "alone": sent,
        "first": '{"records": [' + sent + ", " + good + "]}",
        "last": '{"records": [' + ", ".join([good] * 9 + [sent]) + "]}",
        "outside": '{"records": [' + good + '], "more": ' + sent + "}",
    }[place]
    began = time.process_time()
    with pytest.raises(ValidationError) as caught:
        (reader.one if place == "alone" else reader.many)(body.encode())
    assert time.process_time() < began + 2
    assert caught.value.error_count() <= reading.SHOWN + 206
    held = [len(error["input"]) for error in caught.value.errors() if isinstance(error["input"], list | dict)]
    assert max(held, default=0) <= 2 * reading.SHOWN + 206 or hostile == "no record"


def test_a_list_of_too_many_records_says_how_many(schema: Schema) -> None:
    body = json.dumps({"records": [schema.example()] * (reading.MOST + 500)}).encode()
    with pytest.raises(ValidationError, match=f"not {reading.MOST + 500}"):
        schema.reader.many(body)


def test_the_positive_class_is_the_named_or_the_last_one() -> None:
    assert small(**target("classification", classes=[5, 6, 7])).positive == 2
    assert small(**target("classification", classes=[5, 6, 7], positive=5)).positive == 0
    assert small(**target("classification", classes=[5, 6], positive=6)).positive == 1
    flags = small(**target("classification", classes=[False, True], positive=False))
    assert (flags.positive, flags.target.names) == (0, ("false", "true"))


@pytest.mark.parametrize(
    ("about", "longest"),
    [
        ({"type": "number"}, 32),
        ({"type": "category", "categories": ["a", "long", "b"]}, len('"long"')),
        ({"type": "category", "pii": True, "allow_pii_input": True}, 1_000),
        ({"type": "text"}, 1_000),
    ],
)
def test_a_record_has_room_for_its_longest_values(about: dict[str, Any], longest: int) -> None:
    assert small(**column(**about)).record_bytes == len('"size": , ') + longest


def test_nothing_personal_and_no_text_or_date_is_counted() -> None:
    columns = [{**c, "pii": True} if c["name"] == "count" else c for c in SMALL["columns"]]
    schema = small(**target("regression"), columns=columns)
    reference = schema.reference(schema.sample(20), np.arange(20.0))
    assert list(reference) == ["size", "kind", "open", "worth"]
    assert sum(reference["kind"].rows.values()) == 20
    labels = small(**target("classification", classes=["no", "yes"], positive="yes"))
    assert labels.reference(schema.sample(2), np.array([1.0, 1.0]))["worth"].rows == {"yes": 2}


def test_a_whole_number_may_be_written_as_json_schema_allows() -> None:
    record = small().reader.one(json.dumps({**GOOD, "count": 7.0}).encode())
    assert small().arrays([record])["count"].tolist() == [7.0]


@pytest.mark.parametrize("count", [-(2**53), 2**53])
def test_the_largest_whole_numbers_are_kept_exactly(count: int) -> None:
    record = small().reader.one(json.dumps({**GOOD, "count": count}).encode())
    assert int(small().arrays([record])["count"][0]) == count


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_number_without_bounds_must_still_be_finite(value: str) -> None:
    reader = small(**column()).reader
    assert reader.one(b'{"size": 1e300}') == {"size": 1e300}
    with pytest.raises(ValidationError, match="finite number"):
        reader.one(b'{"size": ' + value.encode() + b"}")


def test_records_of_a_single_number_become_a_column() -> None:
    assert small(**column()).arrays([{"size": 1.5}, {"size": 2.5}])["size"].tolist() == [1.5, 2.5]


@pytest.mark.parametrize("kind", ["category", "text", "datetime"])
def test_records_without_a_number_become_columns(kind: str) -> None:
    more = {"categories": ["2024-01-01", "2024-01-02"]} if kind == "category" else {}
    schema = small(columns=[{"name": "only", "type": kind, **more}])
    days = ["2024-01-01", "2024-01-02"]
    records = schema.reader.many(json.dumps({"records": [{"only": day} for day in days]}).encode())
    assert [str(value)[:10] for value in schema.arrays(records)["only"]] == days


def test_the_documentation_of_a_field_holds_its_meaning_and_an_example() -> None:
    about = {"columns": [{"name": "size", "type": "number", "meaning": "Metres", "example": 3}, TWICE]}
    fields = small(**about).reader.record.json_schema()["properties"]
    assert fields["size"]["description"] == "Metres"
    assert fields["size"]["examples"] == [3]
    assert "description" not in fields["other"]


def test_gaps_are_drawn_as_often_as_asked_for_in_nullable_columns_alone() -> None:
    sample = small().sample(2_000, missing=0.1)
    assert np.isnan(sample["count"]).mean() == pytest.approx(0.1, abs=0.03)
    assert not np.isnan(sample["size"]).any()


@pytest.mark.parametrize(
    ("kind", "cells", "values", "bad"),
    [
        ("boolean", ["true", " FALSE ", True], [1, 0, 1], []),
        ("boolean", ["1", "0", "1.0", "0.0", 1, 0.0], [1, 0, 1, 0, 1, 0], []),
        ("boolean", [None, "yes"], [np.nan, np.nan], [1]),
        ("integer", ["7", "7.0", 8, None, "7.5"], [7, 7, 8, np.nan, 7.5], [4]),
        ("number", ["1e3", None, "inf"], [1000, np.nan, np.inf], [2]),
        ("text", [" a ", 1, None], ["a", "1", None], []),
    ],
)
def test_cells_are_read_by_the_type_of_their_column(
    kind: str, cells: list[Any], values: list[Any], bad: list[int]
) -> None:
    found, wrong = cast(kind, pd.Series(cells, dtype=object))
    np.testing.assert_array_equal(found, values)
    assert np.flatnonzero(wrong).tolist() == bad


def test_dates_with_a_zone_are_read_in_utc() -> None:
    moments, bad = cast("datetime", pd.Series(["2025-01-31T10:00:00+02:00", None]))
    assert np.datetime_as_string(moments, "m").tolist() == ["2025-01-31T08:00", "NaT"]
    assert not bad.any()


def test_a_record_and_a_row_become_the_same_arrays() -> None:
    schema = small()
    record = schema.reader.one(json.dumps(GOOD).encode())
    row = {c.header: str(GOOD[c.name]) if GOOD[c.name] is not None else None for c in schema.columns}
    table = checked(schema, pd.DataFrame([{**row, "worth": "3"}]), "here")
    for name, values in columns_of(schema, table).items():
        one = schema.arrays([record])[name]
        assert one.dtype == values.dtype
        assert one.tolist() == values.tolist() or (np.isnan(one[0]) and np.isnan(values[0]))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"Size (m)": "wide"}, "column size, row 2: 'wide' is no number"),
        ({"Size (m)": "11"}, "column size, row 2: 11.0 breaks less_than_or_equal_to(10.0)"),
        ({"Size (m)": None}, "column size, row 2: nan is missing"),
        ({"count": "1.5"}, "column count, row 2: '1.5' is no integer"),
        ({"kind": "z"}, "column kind, row 2: 'z' breaks isin("),
        ({"seen": "31/01/2025"}, "column seen, row 2: '31/01/2025' is no datetime"),
        ({"seen": "2023-12-31T22:59:59Z"}, "column seen, row 2: 2023-12-31 22:59:59 breaks greater_than"),
        ({"open": "maybe"}, "column open, row 2: 'maybe' is no boolean"),
        ({"worth": "much"}, "column worth, row 2: 'much' is no value of the target"),
    ],
)
def test_a_cell_that_breaks_the_schema_is_quoted_with_its_place(changes: dict[str, Any], said: str) -> None:
    row = {
        "Size (m)": "1",
        "count": "2",
        "kind": "b",
        "open": "false",
        "seen": None,
        "json": "",
        "worth": "1",
    }
    with pytest.raises(UserError) as caught:
        checked(small(), pd.DataFrame([row, {**row, **changes}]), "table.csv")
    assert f"table.csv: {said}" in str(caught.value)


def test_columns_that_break_the_schema_are_named_in_its_order() -> None:
    row = {c.header: GOOD[c.name] for c in small().columns} | {"Size (m)": 11, "kind": "z"}
    with pytest.raises(UserError) as caught:
        checked(small(), pd.DataFrame([row]), "table.csv", target=False)
    assert [line.split()[2] for line in str(caught.value).splitlines()] == ["size,", "kind,"]


def test_rows_to_predict_need_no_target() -> None:
    row = {c.header: GOOD[c.name] for c in small().columns}
    table = checked(small(), pd.DataFrame([row]), "here", target=False)
    assert list(table) == list(validator(small()).validate(table)) == list(GOOD)


@pytest.mark.parametrize(
    ("bad", "more"),
    [(1, "row 1: 'x' is no number"), (3, "row 3: 'x' is no number"), (5, "'x' is no number and 2 more")],
)
def test_of_many_bad_cells_the_first_three_are_quoted(bad: int, more: str) -> None:
    row = {"Size (m)": "x", "count": 1.5, "kind": "b", "open": "true", "seen": None, "json": "", "worth": "1"}
    with pytest.raises(UserError) as caught:
        checked(small(), pd.DataFrame([row] * bad + [{**row, "Size (m)": 1}]), "table.csv")
    first, second = str(caught.value).splitlines()
    assert first.endswith(more)
    assert "row 4" not in first
    assert "column count, row 1: 1.5" in second, "columns in their order"


def test_a_missing_column_and_an_empty_table_are_named() -> None:
    with pytest.raises(UserError, match="no column Size"):
        checked(small(), pd.DataFrame({"kind": ["a"]}), "table.csv")
    empty = pd.DataFrame(columns=[c["name"] for c in SMALL["columns"]] + ["Size (m)", "worth"])
    with pytest.raises(UserError, match="a header and no rows"):
        checked(small(), empty, "table.csv")


def test_csv_parquet_and_sql_give_the_same_table(schema: Schema, tmp_path: Path) -> None:
    raw = raw_table(schema, 50)
    raw.to_csv(tmp_path / "raw.csv", index=False)
    raw.to_parquet(tmp_path / "raw.parquet")
    url = f"sqlite:///{tmp_path / 'warehouse.db'}"
    raw.to_sql("raw", create_engine(url), index=False)
    tables = [
        load(schema, str(tmp_path / "raw.csv")),
        load(schema, str(tmp_path / "raw.parquet")),
        load(schema, "SELECT * FROM raw", url),
    ]
    assert len({data_hash(table) for table in tables}) == 1
    assert data_hash(tables[0]) == data_hash(tables[0].set_axis(range(7, 57)))
    assert data_hash(tables[0]) != data_hash(tables[0][::-1])


def test_rows_without_a_target_are_left_out(schema: Schema, tmp_path: Path) -> None:
    raw = raw_table(schema, 30).astype({schema.target.header: object})
    raw.loc[:9, schema.target.header] = None
    raw.to_csv(tmp_path / "raw.csv", index=False)
    assert len(load(schema, str(tmp_path / "raw.csv"))) == 20


def test_a_source_that_cannot_be_read_is_named(schema: Schema, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="is not there"):
        load(schema, str(tmp_path / "none.csv"))
    (tmp_path / "latin.csv").write_bytes("größe\n1\n".encode("latin-1"))
    with pytest.raises(UserError, match="is not UTF-8 text"):
        load(schema, str(tmp_path / "latin.csv"))
    (tmp_path / "empty.csv").touch()
    with pytest.raises(UserError, match="cannot be read as a table"):
        load(schema, str(tmp_path / "empty.csv"))
    with pytest.raises(UserError, match="DATA_URL must name the database"):
        load(schema, "SELECT 1")
    with pytest.raises(UserError, match="the database did not answer"):
        load(schema, "SELECT * FROM nowhere", f"sqlite:///{tmp_path / 'void.db'}")


def test_what_the_schema_draws_it_also_accepts(schema: Schema) -> None:
    for drawn in [schema.example(), *schema.records(schema.sample(50, seed=1, missing=0.5))]:
        schema.reader.one(json.dumps(drawn).encode())


@pytest.fixture
def timed(schema: Schema) -> Schema:
    """The project's schema with a time and a group column added."""
    content = schema.model_dump(mode="json", exclude_unset=True)
    content["columns"] += [
        {"name": "when_", "type": "datetime", "input": False},
        {"name": "who_", "type": "text", "input": False},
    ]
    return Schema.parse({**content, "time": "when_", "group": "who_"}, "schema.yaml")


@pytest.mark.parametrize("how", ["stratified", "random", "time", "group"])
def test_a_split_does_what_its_name_says(timed: Schema, how: str) -> None:
    if how == "stratified" and timed.problem == "regression":
        how = "random"
    frame = checked(timed, raw_table(timed, 300), "here")
    rows = split(timed, Split.model_validate({"how": how, "test": 0.25, "folds": 3}), frame, seed=1)
    assert sorted([*rows.train, *rows.test]) == list(range(300))
    # Groups are left out whole, so their share is only near what was asked for.
    assert abs(len(rows.test) - 75) <= (35 if how == "group" else 1)
    if how == "time":
        moments = frame["when_"].to_numpy()
        assert moments[rows.train].max() <= moments[rows.test].min()
    if how == "group":
        assert not set(frame["who_"].iloc[rows.train]) & set(frame["who_"].iloc[rows.test])
    for inside, outside in rows.folds:
        assert not set(inside) & set(outside)
        assert max(*inside, *outside) < len(rows.train)


@pytest.mark.parametrize(("share", "held"), [(0.01, 1), (0.1, 2)])
def test_the_newest_rows_are_held_out_and_one_at_least(timed: Schema, share: float, held: int) -> None:
    frame = checked(timed, raw_table(timed, 20), "here")
    rows = split(timed, Split(how="time", test=share, folds=2), frame, seed=1)
    assert rows.test.tolist() == np.argsort(frame["when_"].to_numpy(), kind="stable")[-held:].tolist()


def test_a_split_that_lacks_its_column_says_so(schema: Schema) -> None:
    bare = schema.model_copy(update={"time": None, "group": None})
    frame = checked(bare, raw_table(bare, 50), "here")
    for how in ("time", "group"):
        with pytest.raises(UserError, match=f"schema.yaml names no {how} column"):
            split(bare, Split.model_validate({"how": how}), frame, seed=1)


def test_a_split_of_too_few_rows_says_so(timed: Schema) -> None:
    frame = checked(timed, raw_table(timed, 20), "here").head(4)
    for how in ("random", "time", "group"):
        with pytest.raises(UserError, match=f"split.how {how} does not fit these 4 rows"):
            split(timed, Split.model_validate({"how": how, "folds": 9}), frame, seed=1)
