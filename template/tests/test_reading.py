"""Files as people have them: what is detected, what is refused, and with which option it can be settled."""

import sys
import zipfile
from pathlib import Path

import pandas as pd
import pytest
from reading import DETECTED, Habits, read
from spellings import UnreadableError

File = str | bytes


def cells(tmp_path: Path, content: File, given: Habits = DETECTED) -> tuple[dict[str, list[str]], Habits]:
    file = tmp_path / "t.csv"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    reading = read(file, given)
    return reading.frame.to_dict("list"), reading.habits


@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_separators(tmp_path: Path, separator: str) -> None:
    text = separator.join(["a b", "c", ""]) + "\r\n" + (separator.join(['" x,y;z"', " 1 ", ""]) + "\r\n") * 3
    found, habits = cells(tmp_path, text)
    assert list(found) == ["a b", "c", "unnamed_3"]
    assert (found["a b"][2], found["c"][2], habits.separator) == (
        "x,y;z",
        "1",
        separator,
    )


def test_a_header_may_be_long(tmp_path: Path) -> None:
    names = [f"{'n' * 300} {place}" for place in range(500)]
    found, _ = cells(tmp_path, "\t".join(names) + "\n" + "\t".join("1" * 500) + "\n")
    assert list(found) == names


@pytest.mark.parametrize(
    "encoding",
    ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "cp1252"],
)
def test_encodings(tmp_path: Path, encoding: str) -> None:
    found, habits = cells(tmp_path, "Größe,b\nweiß,x\n".encode(encoding))
    assert found == {"Größe": ["weiß"], "b": ["x"]}
    assert habits.encoding == encoding


def test_an_encoding_that_was_guessed_is_shown_by_a_word(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_bytes("Größe\n1\n".encode("cp1252"))
    (note,) = read(tmp_path / "t.csv").notes
    assert "letters such as 'ö'. If that looks wrong, give --encoding" in note


@pytest.mark.parametrize(
    ("text", "values", "decimal"),
    [
        ("a;b\n1,5;x\n-2,25;y\n", ["1.5", "-2.25"], ","),
        ("a;b\n1.234,5;x\n17;y\n", ["1234.5", "17"], ","),
        ("a;b\n1 234,5;x\n17,0;y\n", ["1234.5", "17.0"], ","),
        ("a;b\n1,234;x\n5,678;y\n", ["1.234", "5.678"], ","),
        ('a,b\n"1,234.5",x\n17,y\n', ["1234.5", "17"], "."),
        ("a,b\n1.234,x\n5.678,y\n", ["1.234", "5.678"], "."),
        ("a,b\n1.5e3,x\nNA,y\n", ["1.5e3", "NA"], "."),
        ("a,b\n1.5,x\nmany,y\n", ["1.5", "many"], ""),
        ("a,b\n030 123 456,x\n040 456 789,y\n", ["030 123 456", "040 456 789"], ""),
        ("a,b\n1.2.3,x\n1.2.4,y\n", ["1.2.3", "1.2.4"], ""),
    ],
)
def test_numbers(tmp_path: Path, text: str, values: list[str], decimal: str) -> None:
    found, habits = cells(tmp_path, text)
    assert (found["a"], habits.decimal) == (values, decimal)


def test_a_file_may_hold_both_marks(tmp_path: Path) -> None:
    found, _ = cells(tmp_path, "a;b;c\n1,5;1.5;1.234\n2,5;2.75;5.678\n3,5;2;9.999\n")
    assert (found["a"], found["b"]) == (["1.5", "2.5", "3.5"], ["1.5", "2.75", "2"])


@pytest.mark.parametrize(
    ("text", "values", "dates"),
    [
        ("d,x\n31.12.2023,1\n1.2.2024,2\n", ["2023-12-31", "2024-02-01"], "dmy"),
        ("d,x\n3.4.2023,1\n1.2.2024,2\n", ["2023-04-03", "2024-02-01"], "dmy"),
        ("d,x\n12/31/99,1\n1/2/24,2\n", ["1999-12-31", "2024-01-02"], "mdy"),
        ("d,x\n31-12-2023 7:05,1\nNA,2\n", ["2023-12-31T07:05:00", "NA"], "dmy"),
        ("d,x\n12/31/2023 3:15 PM,1\n", ["2023-12-31T15:15:00"], "mdy"),
        ("d,x\n2023/12/31,1\n2023/1/2,2\n", ["2023-12-31", "2023-01-02"], "ymd"),
        ("d,x\n2023-12-31,1\n", ["2023-12-31"], ""),
        ("d,x\n12-34-56,1\n", ["12-34-56"], ""),
        ("d,x\n31/12/2023,1\nsoon,2\n", ["31/12/2023", "soon"], ""),
    ],
)
def test_dates(tmp_path: Path, text: str, values: list[str], dates: str) -> None:
    found, habits = cells(tmp_path, text)
    assert (found["d"], habits.dates) == (values, dates)


def test_a_clear_column_of_dates_settles_the_others(tmp_path: Path) -> None:
    found, habits = cells(tmp_path, "d,e\n3/4/2023,31/1/2023\n")
    assert (found["d"], habits.dates) == (["2023-04-03"], "dmy")


@pytest.mark.parametrize(
    ("content", "given", "why"),
    [
        (b"", Habits(), "is empty"),
        ("\n \n", Habits(), "is empty"),
        (b"\x00\x01\x02\xff\xfe", Habits(), "is no text file"),
        ("a,b\n1,2\n1,2,3\n", Habits(), "as a table: line 3 has 3 cells, and the header has 2"),
        ('a,b\n"1,2\n', Habits(), "cannot be read as a table: EOF inside string"),
        ("a,a\n1,2\n", Habits(), "a is the name of more than one column"),
        (
            b"a\n\xff\n",
            Habits("utf-8"),
            "is not utf-8 text .byte 0xff at 2.; give its own encoding, as in --encoding cp1252",
        ),
        (b"a\n\xff\n", Habits("ascii"), "as in --encoding cp1252"),
        (b"a\n\x90\n", Habits(), "is not utf-8 and not cp1252 text .byte 0x90 at 2.; .* --encoding cp1251"),
        (b"PK\x03\x04\x90\xff,\n1,\n", Habits(), "looks like no text file; give a CSV, a Parquet file"),
        ("a\n1\n", Habits("utf-99"), "--encoding utf-99: unknown"),
        ("a\n1\n", Habits(separator=";;"), "--separator ;;: it is one character"),
        ("a\n1\n", Habits(decimal="'"), "--decimal ': it is"),
        ("a\n1\n", Habits(dates="dym"), "--dates dym: it is ymd, dmy, mdy"),
        (
            "d,x\n3/4/2023,1\n",
            Habits(),
            "column d: 3/4/2023 can be read in two ways; give --dates dmy",
        ),
        (
            "d,x,y\n3/4/2023,31/1/2023,1/31/2023\n",
            Habits(),
            "column d: 3/4/2023 can be read in two ways",
        ),
        (
            'a\tb\n"1,234"\tx\n',
            Habits(),
            "column a: 1,234 can be read in two ways; give --decimal",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(tmp_path: Path, content: File, given: Habits, why: str) -> None:
    with pytest.raises(UnreadableError, match=why):
        cells(tmp_path, content, given)


def test_rows_that_end_early_are_named(tmp_path: Path) -> None:
    def notes(text: str) -> tuple[str, ...]:
        (tmp_path / "t.csv").write_text(text, encoding="utf-8")
        return read(tmp_path / "t.csv").notes

    assert notes("a,b,c\n1,2,\n\n4,5,6\n") == ()
    (note,) = notes('a,b,c\n"1\n1",2,\n4;5;6\n4,5,6\n')
    assert note == "1 row has fewer cells than the header, see line 4: missing cells count as empty"
    (note,) = notes("a,b\n1,2\n" * 200 + f"{'x' * 999}\n4\n")
    assert note.startswith("2 rows have fewer cells than the header, see line 401:")


def test_what_is_no_file_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "t.csv", tmp_path / "t.xlsx"):
        with pytest.raises(UnreadableError, match="is not a file; give a CSV"):
            read(path)


def test_what_was_given_decides(tmp_path: Path) -> None:
    assert cells(tmp_path, "d,x\n3/4/2023,1\n", Habits(dates="mdy"))[0]["d"] == ["2023-03-04"]
    ambiguous = 'a\tb\n"1,234"\tx\n'
    assert cells(tmp_path, ambiguous, Habits(decimal="."))[0]["a"] == ["1234"]
    assert cells(tmp_path, ambiguous, Habits(decimal=","))[0]["a"] == ["1.234"]
    assert cells(tmp_path, "a b\n1 2\n", Habits(separator=" "))[0] == {
        "a": ["1"],
        "b": ["2"],
    }
    assert list(cells(tmp_path, "a\tb;c\n1\t2\n", Habits(separator="tab"))[0]) == [
        "a",
        "b;c",
    ]
    assert cells(tmp_path, "é\n1\n".encode("cp850"), Habits("cp850"))[0] == {"é": ["1"]}


def workbook(path: Path, sheets: dict[str, str]) -> None:
    """A workbook with the cells of each sheet as its format has them; style 1 is a date."""
    main = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    package = "http://schemas.openxmlformats.org/package/2006"
    listed = "".join(f'<sheet name="{name}" sheetId="{n}" r:id="r{n}"/>' for n, name in enumerate(sheets, 1))
    related = "".join(
        f'<Relationship Id="r{n}" Type="{office}/worksheet" Target="worksheets/sheet{n}.xml"/>'
        for n in range(1, len(sheets) + 1)
    )
    styles = '<cellXfs><xf numFmtId="0"/><xf numFmtId="14" applyNumberFormat="1"/></cellXfs>'
    parts = {
        "[Content_Types].xml": f'<Types xmlns="{package}/content-types"/>',
        "_rels/.rels": f'<Relationships xmlns="{package}/relationships"><Relationship Id="r1" '
        f'Type="{office}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        "xl/workbook.xml": f'<workbook {main} xmlns:r="{office}"><sheets>{listed}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f'<Relationships xmlns="{package}/relationships">{related}'
        f'<Relationship Id="s" Type="{office}/styles" Target="styles.xml"/></Relationships>',
        "xl/styles.xml": f"<styleSheet {main}>{styles}</styleSheet>",
    }
    for n, rows in enumerate(sheets.values(), 1):
        parts[f"xl/worksheets/sheet{n}.xml"] = f"<worksheet {main}><sheetData>{rows}</sheetData></worksheet>"
    with zipfile.ZipFile(path, "w") as file:
        for name, text in parts.items():
            file.writestr(name, text)


def row(number: int, *cells: str) -> str:
    return f'<row r="{number}">{"".join(cells)}</row>'


def text(place: str, said: str) -> str:
    return f'<c r="{place}" t="inlineStr"><is><t>{said}</t></is></c>'


def test_a_workbook_is_read_from_its_first_sheet_that_holds_something(
    tmp_path: Path,
) -> None:
    head = row(1, text("A1", "n"), text("B1", "share"), text("C1", "day"), text("D1", "word"))
    body = row(
        2,
        '<c r="A2"><v>3</v></c>',
        '<c r="B2"><v>0.25</v></c>',
        '<c r="C2" s="1"><v>45292</v></c>',
    )
    workbook(tmp_path / "t.xlsx", {"Empty": "", "Data": head + body, "Other": head})
    reading = read(tmp_path / "t.xlsx")
    assert reading.frame.to_dict("list") == {
        "n": ["3"],
        "share": ["0.25"],
        "day": ["2024-01-01"],
        "word": [""],
    }
    assert reading.notes == ("sheet Data was read; not Other: move the sheet you want to the front",)
    assert reading.about() == "1 row and 4 columns: decimal point"


def test_a_workbook_that_cannot_be_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "t.xlsx").write_text("a,b\n1,2\n")
    with pytest.raises(UnreadableError, match=r"t\.xlsx cannot be read as a workbook"):
        read(tmp_path / "t.xlsx")
    workbook(tmp_path / "t.xlsx", {"Empty": ""})
    with pytest.raises(UnreadableError, match=r"t\.xlsx has no cells"):
        read(tmp_path / "t.xlsx")
    monkeypatch.setitem(sys.modules, "python_calamine", None)
    with pytest.raises(UnreadableError, match=r"save its sheet as CSV \(UTF-8\) and give that"):
        read(tmp_path / "t.xlsx")


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    table = pd.DataFrame({"n": [1.5, None], "word": ["NA", None], "mixed": [1, "x"]})
    table["mixed"] = table["mixed"].astype(str)
    table.to_parquet(tmp_path / "t.parquet")
    reading = read(tmp_path / "t.parquet")
    assert reading.frame["n"].dtype == float
    assert reading.cells()["word"].tolist()[0] == "NA"
    (tmp_path / "t.parquet").write_text("a,b\n")
    with pytest.raises(UnreadableError, match="cannot be read as a table"):
        read(tmp_path / "t.parquet")


def test_missing_cells_are_those_of_training(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("a,b\nNA,1\nx,null\n", encoding="utf-8")
    reading = read(tmp_path / "t.csv")
    assert reading.frame["a"].tolist() == ["NA", "x"], "the file keeps what it holds"
    trained = pd.read_csv(tmp_path / "t.csv", dtype=str)
    assert reading.cells().isna().to_numpy().tolist() == trained.isna().to_numpy().tolist()
