"""How the numbers and dates of a table are written: its decimal mark, and the order of its dates.

Each column is read in the way that fits all of its cells. Where two ways do, the other columns decide.
"""

import re
from collections import Counter
from pathlib import Path

import pandas as pd
from personal_data import suspicion

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


def with_values(column: pd.Series, values: pd.Series) -> pd.Series:
    """A column with other values where it has one."""
    return values.reindex(column.index).where(column.index.isin(values.index), column)


Decided = tuple[dict[int, str], str]
"""What was decided for each column that needs it, by its place, and for the file."""


def decimal_marks(
    table: Path, headers: list[str], filled: list[pd.Series], given: str, separator: str
) -> Decided:
    """The decimal mark of each column of numbers that holds marks."""
    marked = [
        place for place, there in enumerate(filled) if there.str.contains(r"\d[.,\u00a0\u202f ]\d").any()
    ]
    ways = {
        place: [mark for mark, number in NUMBERS.items() if fits_all(filled[place], number)]
        for place in marked
    }
    ways = {place: marks for place, marks in ways.items() if marks}
    sure = Counter(marks[0] for marks in ways.values() if len(marks) == 1)
    decimal = given or (max(sure, key=lambda mark: sure[mark]) if sure else "")
    for place, marks in ways.items():
        if len(marks) == 2 and not decimal:
            cell, shown = filled[place].iloc[0], _shown(headers[place], "number", filled[place])
            if "," in cell and separator != ";":
                settle = "give --decimal . if it is thousands, --decimal , if it is a fraction"
                raise UnreadableError(f"{table}, column {headers[place]}: {shown} {SEVERAL}; {settle}")
            # A file with semicolons is one in which commas were needed for something else.
            decimal = "," if separator == ";" else "."
    return {place: decimal if decimal in marks else marks[0] for place, marks in ways.items()}, decimal


def _shown(header: str, kind: str, there: pd.Series) -> str:
    """The first cell of a column, to quote it; of a personal one, no cell."""
    return "a value" if suspicion(header, kind, there.tolist()) else str(there.iloc[0])


def fits_all(there: pd.Series, pattern: re.Pattern[str]) -> bool:
    """Whether all cells look so; the first one tells most columns apart."""
    return bool(len(there) and pattern.fullmatch(there.iloc[0]) and there.str.fullmatch(pattern).all())


def pointed(there: pd.Series, decimal: str) -> pd.Series:
    """Numbers with a decimal point and nothing between thousands."""
    between = "," if decimal == "." else "[. \u00a0\u202f]"
    return there.str.replace(between, "", regex=True).str.replace(decimal, ".", regex=False)


def orders_of(table: Path, headers: list[str], filled: list[pd.Series], given: str) -> Decided:
    """The order of each column of dates that are not ISO ones, where it reads every cell."""
    ways: dict[int, list[str]] = {}
    for place, there in enumerate(filled):
        fitting = [order for order, date in DATES.items() if fits_all(there, date)]
        if reading := [order for order in fitting if moments_of(there, order)[0]]:
            ways[place] = reading
    sure = {orders[0] for orders in ways.values() if len(orders) == 1} - {"ymd"}
    # Where points are written between, the day comes first.
    sure |= {"dmy" for place, orders in ways.items() if len(orders) == 2 and "." in filled[place].iloc[0]}
    order = given or (sure.pop() if len(sure) == 1 else "")
    for place, orders in ways.items():
        if len(orders) == 2 and order not in orders:
            shown = _shown(headers[place], "datetime", filled[place])
            settle = "give --dates dmy if the day comes first, --dates mdy if the month does"
            raise UnreadableError(f"{table}, column {headers[place]}: {shown} {SEVERAL}; {settle}")
    decided = {place: order if order in orders else orders[0] for place, orders in ways.items()}
    return decided, ", ".join(sorted(set(decided.values())))


def moments_of(there: pd.Series, order: str) -> tuple[bool, pd.Series]:
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
