"""Read a table that somebody hands over: a CSV file however it was written, Parquet, or a workbook.

The encoding, the separator, the decimal mark and the order of dates are detected. What the file cannot settle
is refused, with the option that settles it.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from spellings import (
    DATES,
    MISSING,
    UnreadableError,
    decimal_marks,
    moments_of,
    orders_of,
    pointed,
    with_values,
)

WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
MARKS = ",;\t|"
CONTROL = re.compile(rb"[\x00-\x08\x0e-\x19\x1c-\x1f]")
"""Bytes that text does not have."""
SAMPLE = 200
"""Lines that are looked at to find the separator."""


class Habits(NamedTuple):
    """How a file was written. What is empty is to be detected."""

    encoding: str = ""
    separator: str = ""
    decimal: str = ""
    dates: str = ""

    def __str__(self) -> str:
        mark = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}.get(self.separator, self.separator)
        told = [self.encoding, f"separated by {mark}" if mark else ""]
        told += [{".": "decimal point", ",": "decimal comma"}.get(self.decimal, "")]
        return ", ".join(filter(None, [*told, f"dates {self.dates}" if self.dates else ""]))


class Reading(NamedTuple):
    """A table whose cells are text unless they have types of their own, and how it was written."""

    frame: pd.DataFrame
    habits: Habits
    notes: tuple[str, ...] = ()
    typed: bool = False

    def about(self) -> str:
        """The size of the table, and how it was read."""
        rows, columns = self.frame.shape
        size = f"{rows:,} row{'s'[: rows != 1]} and {columns} column{'s'[: columns != 1]}"
        return ": ".join(filter(None, [size, str(self.habits)]))

    def cells(self) -> pd.DataFrame:
        """The table as training reads it from the file that ``adopt`` writes."""
        return self.frame if self.typed else self.frame.mask(self.frame.isin(MISSING))


DETECTED = Habits()


def read(table: Path, given: Habits = DETECTED) -> Reading:
    """Read a file; numbers get a decimal point, and dates the ISO form."""
    given = given._replace(separator="\t" if given.separator in ("tab", "\\t") else given.separator)
    if given.decimal not in ("", ".", ","):
        raise UnreadableError(f"--decimal {given.decimal}: it is . or ,")
    if given.dates not in ("", *DATES):
        raise UnreadableError(f"--dates {given.dates}: it is {', '.join(DATES)}")
    if len(given.separator) > 1:
        raise UnreadableError(f"--separator {given.separator}: it is one character, or the word tab")
    if not table.is_file():
        raise UnreadableError(f"{table} is not a file; give a CSV, a Parquet file or a workbook")
    try:
        found = _reader(table)(table, given)
    except pd.errors.ParserError as error:
        raise UnreadableError(f"{table} cannot be read as a table: {_plain(error)}") from None
    except (OSError, ValueError, csv.Error) as error:
        raise UnreadableError(f"{table} cannot be read as a table: {error}") from None
    headers = [str(header).strip() or f"unnamed_{n}" for n, header in enumerate(found.frame.columns, 1)]
    if twice := sorted(header for header, times in Counter(headers).items() if times > 1):
        raise UnreadableError(
            f"{table}: {', '.join(twice)} is the name of more than one column; rename the others"
        )
    return found._replace(frame=found.frame.set_axis(headers, axis="columns").reset_index(drop=True))


def _plain(error: Exception) -> str:
    """An error of pandas' parser in words of the file."""
    expected = re.search(r"Expected (\d+) fields in line (\d+), saw (\d+)", str(error))
    if not expected:
        return str(error).removeprefix("Error tokenizing data. C error: ")
    header, line, cells = expected.groups()
    return f"line {line} has {cells} cells, and the header has {header}"


def is_parquet(table: Path) -> bool:
    return table.suffix.lower() == ".parquet"


def _reader(table: Path) -> Callable[[Path, Habits], Reading]:
    if is_parquet(table):
        return _parquet
    return _workbook if table.suffix.lower() in WORKBOOKS else _text


def _parquet(table: Path, given: Habits) -> Reading:
    """The rows with their named index; whatever objects a column holds become text, as in a CSV file."""
    frame = pd.read_parquet(table)
    frame = frame.reset_index(drop=not any(frame.index.names))
    plain = frame.apply(lambda c: c.astype(object).map(str, na_action="ignore") if c.dtype.kind == "O" else c)
    return Reading(plain, Habits(), typed=True)


def _workbook(table: Path, given: Habits) -> Reading:
    """The first sheet that holds something, as text; whole numbers and dates as they are shown."""
    try:
        sheets = pd.read_excel(
            table,
            sheet_name=None,
            header=None,
            dtype=object,
            engine="calamine",
            na_filter=False,
        )
    except ImportError:
        mend = "save its sheet as CSV (UTF-8) and give that, or: uv add --group dev python-calamine"
        raise UnreadableError(f"{table} is a workbook, and nothing here reads it: {mend}") from None
    except Exception as error:  # the reader has errors of its own, which it shares with nobody
        raise UnreadableError(f"{table} cannot be read as a workbook: {error}") from None
    full = {name: cells for name, cells in sheets.items() if not cells.empty}
    if not full:
        raise UnreadableError(f"{table} has no cells")
    name, cells = next(iter(full.items()))
    others = ", ".join(other for other in full if other != name)
    notes = (f"sheet {name} was read; not {others}: move the sheet you want to the front",) if others else ()
    found = _settled(table, cells.map(_shown), given, Habits())
    return found._replace(notes=notes + found.notes)


def _shown(cell: object) -> str:
    """A workbook's cell as text: it keeps all numbers as float, and dates as moments."""
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() and abs(cell) < 1e15 else str(cell)
    return str(cell).removesuffix(" 00:00:00").strip()


def _text(table: Path, given: Habits) -> Reading:
    encoding, text = _decoded(table, given.encoding)
    text = text.lstrip("\ufeff\r\n")
    if not text.strip():
        raise UnreadableError(f"{table} is empty")
    if "\0" in text:
        raise UnreadableError(f"{table} is no text file")
    mark = given.separator or _separator(text)
    # Without pandas' own idea of a header, a row that is too long is an error and not an index.
    as_text = {
        "header": None,
        "dtype": str,
        "keep_default_na": False,
        "skipinitialspace": True,
    }
    cells = pd.read_csv(io.StringIO(text), sep=mark, **as_text).apply(lambda column: column.str.strip())
    found = _settled(table, cells, given, Habits(encoding, mark))
    if cells.iloc[:, -1].eq("").any():
        found = found._replace(notes=found.notes + _short_rows(text, mark))
    if encoding == "cp1252":
        # The letter alone: the word is often somebody's name.
        letter = next(iter(re.findall(r"[^\W\d_a-zA-Z]", text)), "")
        odd = f"{table.name} is not UTF-8; it was read as cp1252, with letters such as '{letter}'"
        return found._replace(notes=(f"{odd}. If that looks wrong, give --encoding", *found.notes))
    return found


def _short_rows(text: str, mark: str) -> tuple[str, ...]:
    """A note on rows that end early, which pandas fills: perhaps they have another separator."""
    csv.field_size_limit(len(text) + 1)
    rows = csv.reader(io.StringIO(text), delimiter=mark, skipinitialspace=True)
    header = len(next(rows))
    lines = [rows.line_num for row in rows if 0 < len(row) < header]
    if not lines:
        return ()
    few = "1 row has" if len(lines) == 1 else f"{len(lines)} rows have"
    return (f"{few} fewer cells than the header, see line {lines[0]}: missing cells count as empty",)


def _decoded(table: Path, given: str) -> tuple[str, str]:
    """The encoding of a text file, and the text: its mark, UTF-8, UTF-16 by its zeros, or Windows' own."""
    raw = table.read_bytes()
    marks = {
        b"\xef\xbb\xbf": "utf-8-sig",
        b"\xff\xfe\0\0": "utf-32",
        b"\xff\xfe": "utf-16",
        b"\xfe\xff": "utf-16",
    }
    marked = next((name for mark, name in marks.items() if raw.startswith(mark)), "")
    zeros = raw[:2000].count(0)
    sides = "utf-16-le" if raw[1:2000:2].count(0) > zeros / 2 else "utf-16-be"
    likely = marked or (sides if zeros > len(raw[:2000]) / 4 else "utf-8")
    tried = [given] if given else list(dict.fromkeys([likely, "cp1252"]))
    for encoding in tried:
        try:
            return encoding, raw.decode(encoding)
        except LookupError:
            raise UnreadableError(
                f"--encoding {encoding}: unknown; utf-8, cp1252 and utf-16 are known"
            ) from None
        except UnicodeDecodeError as error:
            wrong = f"byte {raw[error.start]:#04x} at {error.start}"
    if not given and CONTROL.search(raw):
        raise UnreadableError(f"{table} looks like no text file; give a CSV, a Parquet file or a workbook")
    another = "cp1251" if "cp1252" in tried else "cp1252"
    what = f"{' and not '.join(tried)} text ({wrong})"
    raise UnreadableError(f"{table} is not {what}; give its own encoding, as in --encoding {another}")


def _separator(text: str) -> str:
    """The mark that cuts the lines into most columns, and each into as many."""
    lines = text.splitlines()[:SAMPLE]
    # A header of long names is a single field to the wrong mark.
    csv.field_size_limit(max(map(len, lines), default=0) + 1)

    def cut(mark: str) -> tuple[int, int]:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=mark) if row)
        header = len(next(csv.reader(lines, delimiter=mark), []))
        return (widths[header] * (header > 1), header)

    return max(MARKS, key=cut)


def _settled(table: Path, cells: pd.DataFrame, given: Habits, found: Habits) -> Reading:
    """Header and body of the cells; numbers and dates as training reads them."""
    columns = [cells[place].iloc[1:] for place in cells]
    headers = [str(header) for header in cells.iloc[0]]
    filled = [column[~column.isin(MISSING)] for column in columns]
    decimals, decimal = decimal_marks(table, headers, filled, given.decimal, found.separator)
    orders, dates = orders_of(table, headers, filled, given.dates)
    for place, there in enumerate(filled):
        if mark := decimals.get(place):
            columns[place] = with_values(columns[place], pointed(there, mark))
        elif order := orders.get(place):
            columns[place] = with_values(columns[place], moments_of(there, order)[1])
    frame = pd.concat(columns, axis="columns").set_axis(headers, axis="columns")
    return Reading(frame, found._replace(decimal=decimal, dates=dates))
