"""Taking in another table: what is decided, what is written, and that a refusal changes nothing."""

import hashlib
import io
import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import adopt
import numpy as np
import pandas as pd
import pytest
import yaml
from infer import Inference, bounds, named, problems
from personal_data import suspicion
from reading import Habits
from rich.console import Console

from fraud_watch.kit import UserError
from fraud_watch.kit.schema import Schema
from fraud_watch.kit.settings import Params
from fraud_watch.kit.table import columns_of, load

HERE = Path(__file__).parents[1]
PROBLEM = Schema.load(HERE / "schema.yaml").problem
CLASSES = PROBLEM == "classification"
ROWS = 120
Take = Callable[..., Inference]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project about a table of its own, which passes for a demo that nobody has touched."""
    root = tmp_path / "project"
    target = {"name": "old_target", **({"classes": [0, 1], "positive": 1} if CLASSES else {})}
    columns = [{"name": "old_column", "type": "number"}, {"name": "old_day", "type": "datetime"}]
    schema = {"problem": PROBLEM, "target": target, "time": "old_day", "columns": columns}
    files = {
        "schema.yaml": yaml.safe_dump(schema),
        "params.yaml": (HERE / "params.yaml").read_text(encoding="utf-8"),
        "src/features.py": 'COLUMN = "old_column"\n',
        **dict.fromkeys(("data/demo.py", "data/raw.csv", "reports/card.md", "mlruns/1"), "old_column"),
        **dict.fromkeys(("mlflow.db", "store/champion.json", "store/versions/1/schema.yaml"), "old_column"),
    }
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text, encoding="utf-8")
    demo = {hashlib.sha256(files[name].encode()).hexdigest() for name in ("schema.yaml", "src/features.py")}
    monkeypatch.setattr(adopt, "DEMO_FILES", demo)
    monkeypatch.setattr(adopt, "CODE", Path("src"))
    return root


@pytest.fixture
def rows() -> pd.DataFrame:
    """One column of each kind, with headers as spreadsheets have them."""
    rng = np.random.default_rng(3)
    texts = [" ".join(rng.choice(["is", "was", "good", "late"], 6)) + f" {n}" for n in range(ROWS)]
    return pd.DataFrame(
        {
            "Row ID": [f"r-{n}" for n in range(ROWS)],
            "Weight (kg)": rng.normal(70, 9, ROWS).round(1),
            "count": rng.integers(0, 40, ROWS),
            "Größe": rng.choice(["small", "no", "12"], ROWS),
            "fresh": rng.choice([True, False], ROWS),
            "day": pd.date_range("2024-01-01", periods=ROWS, freq="D").astype(str),
            "remark": texts,
            "remark_length": rng.integers(0, 9, ROWS),
            "e-mail": [f"person{n % 90}@example.org" for n in range(ROWS)],
            "unit": "kg",
            "blank": np.nan,
            "zip": [f"0{n % 7}100" for n in range(ROWS)],
            "account": [f"{n % 5 + 1}0000000000000000000" for n in range(ROWS)],
            "result": rng.choice(["a", "b", "c"], ROWS) if CLASSES else rng.normal(5, 2, ROWS).round(3),
        }
    )


@pytest.fixture
def take(root: Path, tmp_path: Path) -> Take:
    """Write rows to a CSV (or take a text as one) and adopt it."""

    def taken(content: pd.DataFrame | str | bytes, target: str = "result", **more: Any) -> Inference:
        text = content.to_csv(index=False) if isinstance(content, pd.DataFrame) else content
        (tmp_path / "table.csv").write_bytes(text if isinstance(text, bytes) else text.encode())
        return adopt.adopt(root, tmp_path / "table.csv", target, **more)

    return taken


def tree(root: Path) -> dict[str, bytes]:
    files = (path for path in root.rglob("*") if path.is_file() and path.suffix != ".lock")
    return {str(path.relative_to(root)): path.read_bytes() for path in files}


def said(found: Inference) -> str:
    return "\n".join(found.warnings)


def test_every_kind_of_column_is_recognised(take: Take, rows: pd.DataFrame, root: Path) -> None:
    rows.loc[3, "count"] = np.nan
    found = take(rows)
    schema = Schema.load(root / "schema.yaml")
    columns = {column.name: column for column in schema.columns}
    assert " ".join(columns) == "weight_kg count grosse fresh day remark remark_length e_mail zip account"
    types = "number integer category boolean datetime text integer text category category"
    assert [column.type for column in columns.values()] == types.split()
    assert columns["weight_kg"].header == "Weight (kg)"
    assert columns["grosse"].categories == ("12", "no", "small")
    assert [name for name, column in columns.items() if column.nullable] == ["count"]
    assert (columns["e_mail"].pii, columns["e_mail"].input) == (True, False)
    assert schema.ignored == ("Row ID", "unit", "blank")
    assert (schema.time, schema.slices) == ("day", ("grosse", "zip"))
    assert schema.target.classes == (("a", "b", "c") if CLASSES else ())
    assert [finding.header for finding in (found.target, *found.columns)][:3] == ["result", *rows.columns[:2]]


def test_what_follows_fits_together(take: Take, rows: pd.DataFrame, root: Path) -> None:
    """The table passes its own check, and the new features run on it and on one record."""
    take(rows)
    params, schema = Params.load(root / "params.yaml"), Schema.load(root / "schema.yaml")
    frame = load(schema, str(root / params.data.source))
    assert (len(frame), params.split.how) == (ROWS, "time")
    module: dict[str, Any] = {"__package__": "fraud_watch"}
    exec((root / "src" / "features.py").read_text(encoding="utf-8"), module)
    made = module["features"](columns_of(schema, frame))
    assert "remark" not in made
    assert not np.array_equal(made["remark.length"], made["remark_length"])
    record = schema.reader.one(json.dumps(schema.example()).encode())
    assert module["features"](schema.arrays([record])).keys() == made.keys()


def test_nothing_of_the_demo_is_left(take: Take, rows: pd.DataFrame, root: Path) -> None:
    take(rows)
    assert set(tree(root)) == {"schema.yaml", "params.yaml", "data/raw.csv", "src/features.py"}
    assert not [path for path, content in tree(root).items() if b"old_" in content]


def test_your_own_work_is_kept_and_examined(take: Take, rows: pd.DataFrame, root: Path) -> None:
    features = root / "src" / "features.py"
    yours = '"""About old_column."""\n\nUSED = ["count",\n        "old_column"]\n'
    features.write_text(yours, encoding="utf-8")
    assert "features.py line 4 still names `old_column`, which the table does not have" in said(take(rows))
    assert features.read_text(encoding="utf-8") == yours


def test_a_second_table_keeps_the_models(take: Take, rows: pd.DataFrame, root: Path) -> None:
    assert "versions trained on the earlier table" not in said(take(rows))
    (root / "mlflow.db").write_text("mine", encoding="utf-8")
    (root / ".dvc").mkdir()
    warned = said(take(rows.drop(columns="remark")))
    assert "versions trained on the earlier table stay, but may not be comparable" in warned
    assert "dvc add data/raw.csv && git add data/raw.csv.dvc" in warned
    assert (root / "src" / "features.py").read_text(encoding="utf-8") == adopt.NEUTRAL
    rows["day"] = pd.date_range("2020-01-01", periods=ROWS, freq="W").astype(str)
    take(rows.drop(columns="remark"))
    features = (root / "src" / "features.py").read_text(encoding="utf-8")
    assert "dates=seasons" in features, "two years tell a season from a trend"
    assert "clock" not in features
    assert (root / "mlflow.db").exists()


def test_comments_and_the_rest_of_params_stay() -> None:
    text = "a:\n  b: 1 # why\n  c: x\ne: # group\n    d: [1, 2]\n"
    changed = adopt.with_values(text, {"b": "7", "d": "8"})
    assert changed == "a:\n  b: 7 # why\n  c: x\ne: # group\n    d: 8\n"


def test_parquet_keeps_its_types(rows: pd.DataFrame, root: Path, tmp_path: Path) -> None:
    rows = rows.assign(day=pd.to_datetime(rows["day"], utc=True), size=rows["Größe"].astype("category"))
    if CLASSES:
        rows["result"] = rows["result"] == "a"
    rows.index.name = "line"
    rows.to_parquet(tmp_path / "table.parquet")
    adopt.adopt(root, tmp_path / "table.parquet", "result")
    schema, source = Schema.load(root / "schema.yaml"), Params.load(root / "params.yaml").data.source
    assert source == "data/raw.parquet"
    assert not (root / "data" / "raw.csv").exists()
    assert len(load(schema, str(root / source))) == ROWS
    assert "line" in schema.ignored
    assert schema.time == "day"
    if CLASSES:
        assert (schema.target.classes, schema.target.positive) == ((0, 1), 1)


def test_another_encoding(take: Take, rows: pd.DataFrame, root: Path) -> None:
    found = take(rows.to_csv(index=False, sep=";", decimal=",").encode("cp1252"))
    assert found.read == "120 rows and 14 columns: cp1252, separated by semicolon, decimal comma"
    assert "read as cp1252, with letters such as 'ö'" in said(found)
    assert "Größe" in (root / "data" / "raw.csv").read_text(encoding="utf-8")
    assert Schema.load(root / "schema.yaml").columns[0].type == "number"


def test_the_problem_follows_from_the_target() -> None:
    def fitting(*cells: str) -> list[str]:
        return [*problems(pd.DataFrame({"result": [*cells] * (60 // len(cells))}), "result")[0]]

    assert fitting("yes", "no") == fitting("0", "1") == ["classification"]
    assert fitting("0.5", "1", "2") == ["regression"]
    assert fitting("1", "2", "3") == ["classification", "regression"], "either, but rather classes"
    assert fitting(*map(str, range(12))) == ["regression", "classification"], "either, but rather amounts"
    with pytest.raises(UserError, match=r"^result is different in every row: it cannot be predicted"):
        fitting(*[f"w{n}" for n in range(60)])
    with pytest.raises(UserError, match=r"no classes; result is not a column .* values\. Group the values"):
        fitting(*[f"w{n}" for n in range(30)])


def test_values_that_somebody_should_look_at_are_named(take: Take, rows: pd.DataFrame) -> None:
    rows["Größe"] = (["Small", "small", "?", "big"] * ROWS)[:ROWS]
    warned = said(take(rows))
    assert "Größe has 'Small', 'small', which are treated as 2 different values" in warned
    assert "Größe has 30 cells '?', treated as an ordinary value" in warned
    if CLASSES:
        rows["result"] = (["yes", "YES", "-"] * ROWS)[:ROWS]
        warned = said(take(rows))
        assert "result has 'yes', 'YES', which are treated as 2 different values" in warned
        assert "result has 40 cells '-'" in warned


@pytest.mark.parametrize("factor", [1e306, -1e306, 1e-310])
def test_numbers_that_cannot_be_calculated_with_are_refused(
    take: Take, rows: pd.DataFrame, root: Path, factor: float
) -> None:
    before = tree(root)
    names = ["Weight (kg)"] if CLASSES else ["Weight (kg)", "result"]
    for name in names:
        with pytest.raises(UserError, match=rf"^{re.escape(name)} holds numbers from .*: scale them"):
            take(rows.assign(**{name: rows["count"] * factor + factor}))
    assert tree(root) == before


def test_a_cell_of_a_novel_is_no_category_and_no_class(take: Take, rows: pd.DataFrame, root: Path) -> None:
    rows["Größe"] = (["short", "x" * 100_000] * ROWS)[:ROWS]
    take(rows)
    kinds = {column.name: column.type for column in Schema.load(root / "schema.yaml").columns}
    assert kinds["grosse"] == "text"
    if CLASSES:
        with pytest.raises(UserError, match="a value of 100000 characters, too long for a class name"):
            take(rows, "Größe")


def test_names_are_identifiers_and_unique() -> None:
    blocks = named(["a b", "a_b", "a-b", "1st", "数量", "A B", "camelCase"])
    names = [block["name"] for block in blocks.values()]
    assert names == ["a_b_2", "a_b", "a_b_3", "column_1st", "column_5", "a_b_4", "camelCase"]
    assert blocks["1st"]["alias"] == "1st"


def test_ranges_are_rounded_outwards() -> None:
    for low, high, range_ in ((0, 1, (0, 1)), (3, 97, (0, 120)), (-8, -2, (-10, 0)), (5, 5, (4, 6))):
        assert bounds(np.array([low, high], dtype=float), whole=True) == range_
    for seen, room in (([0.01, 0.04], (0.004, 0.046)), ([-3.5, 4.0], (-5, 6)), ([1500.0], (1200, 1800))):
        assert bounds(np.array(seen), whole=False) == room


def test_what_to_beware_of(take: Take, rows: pd.DataFrame) -> None:
    rows["copy"] = pd.factorize(rows["result"])[0] if CLASSES else rows["result"] * 2
    rows.loc[:4, "result"] = np.nan
    rows["price"] = [f"{n}.5" for n in range(ROWS)]
    rows["sold"] = [f"2024-{n % 12 + 1:02}-{n % 28 + 1:02}T10:00" for n in range(ROWS)]
    rows.loc[7, "price"], rows.loc[9, "sold"] = "?", "soon"
    found = take(rows)
    warned = said(found)
    assert "price has 1 cell that is no number, such as '?': correct or empty them" in warned
    assert "sold has 1 cell that is no datetime, such as 'soon'" in warned
    assert warned.count("such as") == 2
    assert "5 of 120 rows have no result" in warned
    assert "copy alone tells result" in warned
    assert "Weight" not in warned
    assert "Row ID is ignored: different in every row" in warned
    assert "unit is ignored: always kg" in warned


if CLASSES:

    def test_rows_ordered_by_class_are_not_split_by_time(take: Take, rows: pd.DataFrame, root: Path) -> None:
        rows["result"] = np.repeat(["a", "b"], ROWS // 2)
        assert "split.how is stratified" in said(take(rows))
        assert Params.load(root / "params.yaml").split.how == "stratified"

    @pytest.mark.parametrize(
        ("labels", "positive"), [("01", 1), (("no", "yes"), "yes"), ("34", 3), ("xw", "x")]
    )
    def test_positive_by_name_else_the_rarer(
        take: Take, rows: pd.DataFrame, root: Path, labels: list[str], positive: object
    ) -> None:
        rows["result"] = [labels[0] if n % 3 == 0 else labels[1] for n in range(ROWS)]
        take(rows)
        assert Schema.load(root / "schema.yaml").target.positive == positive


def table(pattern: str) -> str:
    """A table of 60 rows with that target."""
    rows = (f"{n % 7},{pattern.format(n=n, third=n % 3, half=n // 2)}\n" for n in range(60))
    return "a,result\n" + "".join(rows)


GOOD = table("{third}")
REFUSED: dict[str, tuple[str | bytes, dict[str, Any], str]] = {
    "no encoding": (GOOD, {"given": Habits("utf-99")}, "--encoding utf-99: unknown"),
    "no target": (GOOD, {"target": "resul"}, "perhaps result; it has a, result"),
    "empty": ("", {}, "is empty"),
    "blank": ("\n \n", {}, "is empty"),
    "header only": ("a,result\n", {}, "0 rows have a value of result"),
    "twice": (GOOD.replace("a,result", "result,result"), {}, "more than one column"),
    "ragged": (GOOD + "1,2,3\n", {}, "cannot be read"),
    "alone": ("result\n" + "".join(f"{n % 3}\n" for n in range(60)), {}, "no column to learn from"),
    "one value": (table("1"), {}, "always 1"),
    "names": (table("w{n}"), {}, "result is different in every row: it cannot be predicted"),
    "words": (table("w{half}"), {}, "group them" if CLASSES else "problem=classification"),
    "dates": ("day,result\n3/4/2023,x\n", {}, 'With make, that is: ARGS="--dates dmy"'),
}
if CLASSES:
    REFUSED["fractions"] = (table("{third}.5"), {}, "problem=regression")
    REFUSED["many"] = (table("{n}"), {}, "problem=regression")


@pytest.mark.parametrize("case", REFUSED)
def test_a_refusal_changes_nothing(take: Take, root: Path, case: str) -> None:
    content, more, why = REFUSED[case]
    before = tree(root)
    with pytest.raises(UserError, match=why):
        take(content, **more)
    assert tree(root) == before


def test_params_that_cannot_be_edited_are_named(take: Take, rows: pd.DataFrame, root: Path) -> None:
    params = yaml.safe_load((root / "params.yaml").read_text(encoding="utf-8"))
    params["data"]["source"] = "SELECT 1"
    (root / "params.yaml").write_text(yaml.safe_dump(params, default_flow_style=True), encoding="utf-8")
    before = tree(root)
    with pytest.raises(UserError, match=r"data\.source: data/raw\.csv"):
        take(rows)
    assert tree(root) == before


@pytest.mark.parametrize("moves", [1, 5, 8, 11])
def test_a_failure_on_the_way_puts_everything_back(
    take: Take, root: Path, monkeypatch: pytest.MonkeyPatch, moves: int
) -> None:
    before, real, tried = tree(root), shutil.move, itertools.count(1)

    def failing_once(source: Path, target: Path) -> Any:
        if next(tried) == moves:
            raise OSError("the disk is full")
        return real(source, target)

    monkeypatch.setattr(shutil, "move", failing_once)
    with pytest.raises(OSError, match="the disk is full"):
        take(table("{third}.0" if CLASSES else "{n}"))
    assert tree(root) == before


def test_what_is_shown(take: Take, rows: pd.DataFrame) -> None:
    console = Console(file=io.StringIO(), width=200, record=True)
    adopt.show(take(rows.rename(columns={"day": "[red]day"})), console, "make demo")
    shown = console.export_text()
    for part in ("[red]day → red_day", "12, no, small", "ignored", "! unit is ignored: always kg"):
        assert part in shown
    assert shown.endswith("Read schema.yaml through, then: make demo\n")


def test_a_table_and_a_column_must_be_named() -> None:
    for table, target in (("", "result"), ("table.csv", "")):
        with pytest.raises(UserError, match="name a table and the column to predict: make adopt DATA="):
            adopt.main(Path(table), target)


def luhn(number: int) -> str:
    """A card number that begins with these digits."""
    digits = f"{number}"
    doubled = [int(d) * (1 + (place + 1) % 2) for place, d in enumerate(reversed(digits))]
    return f"{digits}{-sum(n - 9 * (n > 9) for n in doubled) % 10}"


@pytest.mark.parametrize(
    ("header", "kind", "cell"),
    [
        ("contact", "category", "person{}@example.org"),
        ("a", "text", "+41 44 555 {:02} 10"),
        ("a", "text", "(044) 555-{:04}"),
        ("a", "text", "123-45-6{:03}"),
        ("a", "text", "756.1234.5678.{:02}"),
        ("a", "text", "123.456.789-{:02}"),
        ("a", "text", "RSSMRA80A{:02}H501U"),
        ("a", "text", "Braund, Mr. Owen {}"),
        ("lastname", "category", "B{}"),
        ("Last name", "category", "B{}"),
        ("customer_name", "category", "B{}"),
        ("phoneNumber", "integer", "4155501{:02}"),
        ("street", "text", "Somewhere {}"),
        ("Passport No.", "text", "X{}"),
        ("Straße", "text", "Irgendwo {}"),
        ("name", "text", "Jane, Anna {}th"),
    ],
)
def test_who_somebody_is_is_recognised(header: str, kind: str, cell: str) -> None:
    found = suspicion(header, kind, [cell.format(n) for n in range(30)])
    assert found
    assert found.sure
    assert found.identifies


def test_numbers_that_check_themselves_are_recognised() -> None:
    ibans = ["DE89370400440532013000", "GB29 NWBK 6016 1331 9268 19", "CH9300762011623852957"]
    cards = [luhn(411111111111000 + n) for n in range(30)]
    assert suspicion("a", "text", ibans)
    assert suspicion("a", "text", cards)
    assert suspicion("a", "text", ["12345678Z", "00000000T"])
    assert not suspicion("a", "text", [iban[:-1] + "5" for iban in ibans])
    assert not suspicion("a", "text", [str(int(card) + n % 9 + 1) for n, card in enumerate(cards)])
    assert not suspicion("a", "text", ["12345678A", "00000000A"])


@pytest.mark.parametrize(
    ("header", "kind", "cell"),
    [
        ("host", "text", "10.0.{}.1"),
        ("a", "text", "{} Church Road, Ely"),
        ("a", "text", "Hauptstraße {}"),
        ("seller", "category", "Anna {}"),
        ("product_name", "category", "Lamp {}"),
        ("name", "text", "chevrolet {}"),
        ("phone_model", "text", "Pixel {}"),
        ("employee_count_name", "category", "B{}"),
        ("a", "text", "AB 12 34 {:02} C"),
    ],
)
def test_in_doubt_somebody_is_asked(header: str, kind: str, cell: str) -> None:
    found = suspicion(header, kind, [cell.format(n) for n in range(30)])
    assert found
    assert not found.sure


@pytest.mark.parametrize(
    ("header", "kind", "cells"),
    [
        ("phone_calls", "integer", ["3", "17", "201"]),
        ("has_email", "boolean", ["true", "false"]),
        ("mobile", "category", ["none", "prepaid", "contract"]),
        ("birth_country", "category", ["Rome", "Oslo", "Lima"]),
        ("birth_weight", "number", ["3.1", "2.9"]),
        ("Credit Card", "category", ["Yes", "No"]),
        ("tax_id_known", "category", ["yes", "no", "asked"]),
        ("nie", "category", ["oft", "nie", "selten"]),
        ("lastname_given", "category", ["yes", "no"]),
        ("amount", "number", ["4111111111111.5", "12.25"]),
        ("day", "datetime", ["2024-01-02", "2024-01-03"]),
        ("city", "category", ["New York", "San Jose", "Los Angeles", "Oslo"]),
        ("version", "text", ["1.2.3", "10.4.0"]),
        ("remark", "text", ["paid late, see the letter of 3 May", "all is well"]),
        ("zip", "category", ["00501", "94105"]),
        ("model", "category", ["ford mustang", "fiat 128"]),
    ],
)
def test_other_columns_are_left_alone(header: str, kind: str, cells: list[str]) -> None:
    assert suspicion(header, kind, cells) is None


def test_nothing_that_is_written_holds_a_personal_value(
    take: Take, rows: pd.DataFrame, root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows["e-mail"] = [f"canary{n % 30}@example.org" for n in range(ROWS)]
    rows["lastname"] = [f"canary{n % 20}" for n in range(ROWS)]
    rows["phone"] = 4155550100 + np.arange(ROWS) % 30
    rows["birthday"] = pd.date_range("1901-02-03", periods=ROWS, freq="D").astype(str)
    rows["surname"] = "canary"
    # Different in every row, so that it is ignored, and almost a number.
    rows["fax"] = [*(f"4155502{n:03}" for n in range(ROWS - 1)), "canary-fax"]
    rows["mobile"] = [*(f"41555010{n % 99:02}" for n in range(ROWS - 1)), "canary"]
    found = take(rows)
    uses = {column.header: (column.use, column.block.get("type")) for column in found.columns}
    assert uses["e-mail"] == uses["lastname"] == ("not sent", "text")
    assert uses["phone"] == ("not sent", "integer")
    assert uses["birthday"] == ("input", "datetime")
    schema = Schema.load(root / "schema.yaml")
    personal = {c.name for c in schema.columns if c.pii}
    assert personal == {"e_mail", "lastname", "phone", "birthday", "mobile"}
    assert not [c for c in schema.columns if c.pii and (c.categories or c.example or c.min or c.max)]
    assert "fax is ignored: personal (its header says fax), and different in every row" in said(found)
    adopt.show(found, Console(width=200))
    for text in ((root / "schema.yaml").read_text(encoding="utf-8"), capsys.readouterr().out):
        assert "canary" not in text.casefold()
        assert "41555" not in text
        assert "1901" not in text


def test_who_knows_the_table_decides(take: Take, rows: pd.DataFrame, root: Path) -> None:
    rows["seller"] = [f"{name} B" for name in ("Anna", "Tom", "Olga", "Peter")] * (ROWS // 4)

    def seller() -> tuple[bool, str]:
        (column,) = (c for c in Schema.load(root / "schema.yaml").columns if c.name == "seller")
        return column.pii, column.type

    warned = said(take(rows))
    assert "seller is treated as personal, because many of its values look like names of people" in warned
    assert "--not-personal seller" in warned
    assert seller() == (True, "text")
    assert "seller is treated" not in said(take(rows, personal={"seller": False}))
    assert seller() == (False, "category")
    asked = []

    def ask(column: Any) -> bool:
        asked.append(column.header)
        return False

    take(rows, ask=ask)
    assert asked == ["seller"]
    assert seller() == (False, "category")
    assert "seller is treated" not in said(take(rows, ask=lambda column: True))
    assert seller() == (True, "text")
    take(rows, personal={"count": True, "seller": True}, ask=ask)
    assert asked == ["seller"]
    columns = {c.name: c for c in Schema.load(root / "schema.yaml").columns}
    assert (columns["count"].pii, columns["count"].input) == (True, False)
    with pytest.raises(UserError, match="the table has no column saler"):
        take(rows, personal={"saler": True})
