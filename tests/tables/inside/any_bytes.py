"""Whatever bytes come: `adopt`'s reader gives a schema or a refusal, a request's reader a record or a refusal.

Put among the tests of a project, whose libraries it needs.
"""

import json
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from adopt import schema_text
from conftest import ROOT
from hypothesis import HealthCheck, Phase, event, given, seed, settings
from hypothesis import strategies as st
from infer import infer, problems
from pydantic import ValidationError
from reading import Habits, read
from spellings import UnreadableError

PACKAGE = next(path.parent.name for path in ROOT.glob("src/*/kit"))
UserError = import_module(f"{PACKAGE}.kit").UserError
SCHEMAS = import_module(f"{PACKAGE}.kit.schema")
SEED, EXAMPLES = (
    int(part) for part in (ROOT / "tests" / "drawn.txt").read_text("utf-8").split()
)
DRAWN = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)
KINDS = (
    st.text(max_size=8),
    st.sampled_from(["", "NA", "1", "2.5", "1,5", "1.234,5"]),
    st.sampled_from(["31.12.2023", "3/4/24", "2024-01-31", "true", "12-34-56"]),
    st.floats(width=32).map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.integers(0, 9).map(str),
    st.dates().map(str),
    st.datetimes().map(str),
)
ENCODINGS = st.sampled_from(
    ["utf-8", "utf-8-sig", "utf-16", "utf-32", "cp1252", "latin-1"]
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """A table as a program may have written it, and perhaps as a disk returned it."""
    width, rows = draw(st.integers(1, 5)), draw(st.integers(0, 90))
    mark = draw(st.sampled_from(",;\t|"))
    # Columns of few different cells, as they are in life.
    kinds = [draw(st.sampled_from(KINDS)) for _ in range(width)]
    columns = [draw(st.lists(kind, min_size=1, max_size=40)) for kind in kinds]
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    header = [draw(st.text(max_size=6)) for _ in range(width)]
    lines = [header] + [
        [rng.choice(np.array(c, dtype=object)) for c in columns] for _ in range(rows)
    ]
    text = "\n".join(mark.join(cells) for cells in lines)
    content = bytearray(text.encode(draw(ENCODINGS), errors="replace"))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 3]))):
        if content:
            content[rng.integers(len(content))] = rng.integers(256)
    return bytes(content)


def schema_of(path: Path, target: str) -> Any:
    """The schema that `adopt` would write, whatever the problem; a refusal is an exception of its kind."""
    cells = read(path, Habits()).cells()
    name = target if target in cells else str(cells.columns[-1])
    problem = next(iter(problems(cells, name)[0]))
    found = infer(cells, name, problem)
    return SCHEMAS.Schema.parse(
        import_module("yaml").safe_load(schema_text(found, problem)), "schema.yaml"
    )


@seed(SEED)
@DRAWN
@given(content=st.one_of(st.binary(max_size=200), files()))
def test_any_bytes_give_a_schema_or_a_refusal(
    content: bytes, tmp_path_factory: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(content)
    try:
        schema = schema_of(path, "result")
    except (UnreadableError, UserError) as refusal:
        event("refused: " + " ".join(str(refusal).replace(str(path), "").split()[:4]))
        assert str(refusal).strip()
    else:
        event(f"{schema.problem} with {len(schema.columns)} columns")
        record = schema.reader.one(json.dumps(schema.example()).encode())
        assert schema.arrays([record])


COLUMNS = [
    {"name": "size", "type": "number", "min": 0, "max": 9},
    {"name": "count", "type": "integer", "nullable": True},
    {"name": "kind", "type": "category", "categories": ["a", "b"], "nullable": True},
    {"name": "fresh", "type": "boolean"},
    {"name": "day", "type": "datetime", "nullable": True},
    {"name": "remark", "type": "text"},
]
NUMBER = {"problem": "regression", "target": {"name": "y"}}
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.floats(),
        st.integers(),
        st.text(max_size=6),
        st.sampled_from(
            ["a", "b", "2024-01-31", "2024-01-31T10:00:00Z", "9999999-01-01"]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.text(max_size=3), inner, max_size=3),
    ),
    max_leaves=5,
)
NAMES = [str(column["name"]) for column in COLUMNS]
GOOD = {"size": 1.5, "count": 3, "kind": "a", "fresh": True, "day": None, "remark": "x"}
ODD = st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), VALUES, max_size=2)


def body_of(records: list[dict[str, Any]], kept: slice) -> bytes:
    """One record, or several, of the columns that the schema has."""
    names = NAMES[kept]
    made = [{name: GOOD[name] for name in names} | odd for odd in records]
    return json.dumps(made[0] if len(made) == 1 else {"records": made}).encode()


@pytest.mark.parametrize("kept", [slice(None), slice(2, 3), slice(5, 6)])
@seed(SEED)
@DRAWN
@given(
    content=st.binary(max_size=200) | st.lists(ODD, min_size=1, max_size=3),
)
def test_any_body_gives_records_or_a_refusal(
    content: bytes | list[dict[str, Any]], kept: slice
) -> None:
    body = content if isinstance(content, bytes) else body_of(content, kept)
    schema = SCHEMAS.Schema.parse({**NUMBER, "columns": COLUMNS[kept]}, "schema.yaml")
    for read_ in (lambda b: [schema.reader.one(b)], schema.reader.many):
        try:
            records = read_(body)
        except (ValidationError, ValueError) as refusal:
            event(type(refusal).__name__)
            continue
        event("taken")
        columns = schema.arrays(records)
        assert {len(values) for values in columns.values()} == {len(records)}
