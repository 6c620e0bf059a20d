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

WORKBOOKS = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")
MARKS = ",;\t|"
SAMPLE = 200
"""Lines that are looked at to find the separator."""
MISSING = [
    "",
    "-NaN",
    "-nan",
    "<NA>",
    "N/A",
    "NA",
    "NULL",
    "NaN",
    "None",
    "n/a",
    "nan",
    "null",
    "#N/A",
]
"""Cells without a value, as training will read them."""
TIME = r"(?P<time>[ T]\d{1,2}:\d\d(:\d\d(\.\d+)?)?( ?[AaPp][Mm])?)?"
DATES = {
    "ymd": re.compile(r"(?P<year>\d{4})(?P<mark>[./])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})" + TIME),
    "dmy": re.compile(
        r"(?P<day>\d{1,2})(?P<mark>[./-])(?P<month>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})" + TIME
    ),
    "mdy": re.compile(
        r"(?P<month>\d{1,2})(?P<mark>[./-])(?P<day>\d{1,2})(?P=mark)(?P<year>\d{4}|\d{2})" + TIME
    ),
}
"""Dates by the order of their parts; those of the ISO form stay as they are."""
NUMBERS = {
    ".": re.compile(r"[+-]?(\d+|\d{1,3}(,\d{3})+)(\.\d*)?(e[+-]?\d+)?", re.IGNORECASE),
    ",": re.compile(
        r"[+-]?(\d+(,\d*)?|\d{1,3}(\.\d{3})+(,\d*)?|\d{1,3}([ \u00a0\u202f]\d{3})+,\d+)(e[+-]?\d+)?",
        re.IGNORECASE,
    ),
}
"""Numbers by their decimal mark, with or without marks between thousands. 1,234 is one in both ways."""
SEVERAL = "can be read in two ways"


class UnreadableError(Exception):
    """The file is no table, or one that can be read in several ways."""


class Habits(NamedTuple):
    """How a file was written. What is empty is to be detected."""

    encoding: str = ""
    separator: str = ""
    decimal: str = ""
    dates: str = ""

    def __str__(self) -> str:
        mark = {"\t": "tab", ",": "comma", ";": "semicolon", "|": "bar"}.get(self.separator, self.separator)
        told = [self.encoding, f"separated by {mark}" if mark else ""]
        told += [f"decimal {self.decimal}" if self.decimal else ""]
        return ", ".join(filter(None, [*told, f"dates {self.dates}" if self.dates else ""]))


class Reading(NamedTuple):
    """A table whose cells are text unless they have types of their own, and how it was written."""

    frame: pd.DataFrame
    habits: Habits
    notes: tuple[str, ...] = ()
    typed: bool = False

    def about(self) -> str:
        """The size of the table, and how it was read."""
        size = f"{len(self.frame):,} rows and {len(self.frame.columns)} columns"
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
    try:
        found = _reader(table)(table, given)
    except (OSError, ValueError, csv.Error) as error:
        raise UnreadableError(f"{table} cannot be read as a table: {error}") from None
    headers = [str(header).strip() or f"unnamed_{n}" for n, header in enumerate(found.frame.columns, 1)]
    if twice := sorted(header for header, times in Counter(headers).items() if times > 1):
        raise UnreadableError(
            f"{table}: {', '.join(twice)} is the name of more than one column; rename the others"
        )
    return found._replace(frame=found.frame.set_axis(headers, axis="columns").reset_index(drop=True))


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
    if encoding == "cp1252":
        word = next(iter(re.findall(r"\w*[^\W\d_a-zA-Z]\w*", text)), "")
        odd = f"{table.name} is not UTF-8; it was read as cp1252, with words such as '{word[:30]}'"
        return found._replace(notes=(f"{odd}. If that looks wrong, give --encoding", *found.notes))
    return found


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
    for encoding in [given] if given else [likely, "cp1252"]:
        try:
            return encoding, raw.decode(encoding)
        except LookupError:
            raise UnreadableError(
                f"--encoding {encoding}: unknown; utf-8, cp1252 and utf-16 are known"
            ) from None
        except UnicodeDecodeError as error:
            wrong = f"byte {raw[error.start]:#04x} at {error.start}"
    raise UnreadableError(
        f"{table} is not {encoding} text ({wrong}); give another --encoding, such as cp1252"
    )


def _separator(text: str) -> str:
    """The mark that cuts the lines into most columns, and each into as many."""
    lines = text.splitlines()[:SAMPLE]

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
    decimals, decimal = _decimals(table, headers, filled, given.decimal, found.separator)
    orders, dates = _orders(table, headers, filled, given.dates)
    for place, there in enumerate(filled):
        if mark := decimals.get(place):
            columns[place] = _with(columns[place], _pointed(there, mark))
        elif order := orders.get(place):
            columns[place] = _with(columns[place], _moments(there, order)[1])
    frame = pd.concat(columns, axis="columns").set_axis(headers, axis="columns")
    return Reading(frame, found._replace(decimal=decimal, dates=dates))


def _with(column: pd.Series, values: pd.Series) -> pd.Series:
    """A column with other values where it has one."""
    return values.reindex(column.index).where(column.index.isin(values.index), column)


Decided = tuple[dict[int, str], str]
"""What was decided for each column that needs it, by its place, and for the file."""


def _decimals(
    table: Path, headers: list[str], filled: list[pd.Series], given: str, separator: str
) -> Decided:
    """The decimal mark of each column of numbers that holds marks."""
    marked = [
        place for place, there in enumerate(filled) if there.str.contains(r"\d[.,\u00a0\u202f ]\d").any()
    ]
    ways = {
        place: [mark for mark, number in NUMBERS.items() if _all(filled[place], number)] for place in marked
    }
    ways = {place: marks for place, marks in ways.items() if marks}
    sure = Counter(marks[0] for marks in ways.values() if len(marks) == 1)
    decimal = given or (max(sure, key=lambda mark: sure[mark]) if sure else "")
    for place, marks in ways.items():
        if len(marks) == 2 and not decimal:
            cell = filled[place].iloc[0]
            if "," in cell and separator != ";":
                settle = "give --decimal . if it is thousands, --decimal , if it is a fraction"
                raise UnreadableError(f"{table}, column {headers[place]}: {cell} {SEVERAL}; {settle}")
            # A file with semicolons is one in which commas were needed for something else.
            decimal = "," if separator == ";" else "."
    return {place: decimal if decimal in marks else marks[0] for place, marks in ways.items()}, decimal


def _all(there: pd.Series, pattern: re.Pattern[str]) -> bool:
    """Whether all cells look so; the first one tells most columns apart."""
    return bool(len(there) and pattern.fullmatch(there.iloc[0]) and there.str.fullmatch(pattern).all())


def _pointed(there: pd.Series, decimal: str) -> pd.Series:
    """Numbers with a decimal point and nothing between thousands."""
    between = "," if decimal == "." else "[. \u00a0\u202f]"
    return there.str.replace(between, "", regex=True).str.replace(decimal, ".", regex=False)


def _orders(table: Path, headers: list[str], filled: list[pd.Series], given: str) -> Decided:
    """The order of each column of dates that are not ISO ones, where it reads every cell."""
    ways: dict[int, list[str]] = {}
    for place, there in enumerate(filled):
        fitting = [order for order, date in DATES.items() if _all(there, date)]
        if reading := [order for order in fitting if _moments(there, order)[0]]:
            ways[place] = reading
    sure = {orders[0] for orders in ways.values() if len(orders) == 1} - {"ymd"}
    # Where points are written between, the day comes first.
    sure |= {"dmy" for place, orders in ways.items() if len(orders) == 2 and "." in filled[place].iloc[0]}
    order = given or (sure.pop() if len(sure) == 1 else "")
    for place, orders in ways.items():
        if len(orders) == 2 and order not in orders:
            cell = filled[place].iloc[0]
            settle = "give --dates dmy if the day comes first, --dates mdy if the month does"
            raise UnreadableError(f"{table}, column {headers[place]}: {cell} {SEVERAL}; {settle}")
    decided = {place: order if order in orders else orders[0] for place, orders in ways.items()}
    return decided, ", ".join(sorted(set(decided.values())))


def _moments(there: pd.Series, order: str) -> tuple[bool, pd.Series]:
    """Whether all dates exist when read in that order, and the ISO form of those that do."""
    parts = there.str.extract(DATES[order])
    # Two digits mean what they mean to Python: 69 to 99 are of the last century.
    century = parts["year"].where(parts["year"].str.len() == 4, "20" + parts["year"])
    year = century.where((parts["year"].str.len() == 4) | (parts["year"] < "69"), "19" + parts["year"])
    days = year + "-" + parts["month"].str.zfill(2) + "-" + parts["day"].str.zfill(2)
    timed = bool(parts["time"].notna().any())
    time = parts["time"].fillna("").str.strip(" T").str.upper()
    moments = pd.to_datetime((days + " " + time).str.strip(), errors="coerce", format="mixed")
    written = moments.dt.strftime("%Y-%m-%dT%H:%M:%S" if timed else "%Y-%m-%d")
    return bool(moments.notna().all()), written.astype("str")
