"""From a stranger's table to the parts of schema.yaml: its columns, its target, and what to beware of."""

import csv
import io
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from . import UserError
from .kinds import Finding, as_words, called, describe, fits, foresight, hint

FEWEST_ROWS, FEWEST_PER_CLASS, MOST_CLASSES = 20, 10, 50
SUSPICIOUS = 0.96
"""A column from which a small tree reads the target as well as this has perhaps seen it."""
YES = {"1", "true", "yes", "y", "t"}


@dataclass(frozen=True)
class Inference:
    """The rows that have a target, and what was found out about their columns."""

    frame: pd.DataFrame
    target: Finding
    columns: tuple[Finding, ...]
    warnings: tuple[str, ...]
    parquet: bool


def infer(table: Path, target: str, problem: str, encoding: str) -> Inference:
    frame = read(table, encoding)
    headers = list(frame.columns)
    if twice := sorted({header for header in headers if headers.count(header) > 1}):
        raise UserError(f"{table}: {', '.join(twice)} heads more than one column; rename the others")
    if target not in headers:
        near = "".join(f", perhaps {name}" for name in get_close_matches(target, headers, 1, 0.5))
        raise UserError(f"{table} has no column {target}{near}; it has {', '.join(headers)}")
    if not len(frame):
        raise UserError(f"{table} has a header and no rows")
    size, frame = len(frame), frame[frame[target].notna()].reset_index(drop=True)
    if len(frame) < FEWEST_ROWS:
        raise UserError(
            f"{table}: {len(frame)} rows have a value of {target}; it takes {FEWEST_ROWS} or more"
        )
    names = name_all(headers)
    regression = problem == "regression"
    goal, truth, warnings = (_value if regression else _classes)(target, names[target], frame[target])
    if size > len(frame):
        warnings.insert(0, f"{size - len(frame)} of {size} rows have no {target} and were left out")
    columns = []
    for header in headers:
        if header != target:
            found, beware = describe(header, names[header], frame[header])
            columns.append(found)
            warnings += [f"{header} {beware}"] if beware else []
            score = foresight(found, frame[header], truth, regression) if found.use == "input" else 0.0
            if score >= SUSPICIOUS:
                said = f"{header} alone tells {target} almost perfectly ({score:.3f} of 1)"
                warnings.append(f"{said}: if it is known only afterwards, take it out of schema.yaml")
    if not any(found.use == "input" for found in columns):
        raise UserError(f"{table}: beside {target} there is no column to learn from")
    if len(dates := [found.header for found in columns if found.type == "datetime"]) > 1:
        warnings.append(f"{', '.join(dates)} are dates: name one as `time`, if rows are to be split by it")
    return Inference(frame, goal, tuple(columns), tuple(warnings), is_parquet(table))


def is_parquet(table: Path) -> bool:
    return table.suffix.lower() in (".parquet", ".pq")


def read(table: Path, encoding: str) -> pd.DataFrame:
    """The table. Cells of a CSV are text without blanks around, and missing where training finds them so."""
    try:
        if is_parquet(table):
            frame = pd.read_parquet(table)
            frame = frame.reset_index(drop=not any(frame.index.names))
            frame.columns = pd.Index(_headers(map(str, frame.columns)))
            return frame.apply(_without_objects)
        utf8 = encoding.lower().replace("_", "-") in ("utf-8", "utf8")
        return _parse(table.read_bytes().decode("utf-8-sig" if utf8 else encoding), str(table))
    except LookupError:
        raise UserError(f"{encoding} is no encoding known here; utf-8, cp1252 and utf-16 are") from None
    except UnicodeDecodeError as error:
        raise UserError(
            f"{table} is not {encoding} text (byte {error.start}): say which encoding it has, often cp1252"
        ) from None
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{table} cannot be read as a table: {error}") from None


def name_all(headers: list[str]) -> dict[str, str]:
    """A name for each header: itself where it is an identifier, else the like in snake_case."""
    names = {header: header for header in headers if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", header)}
    for place, header in enumerate(headers, 1):
        if header not in names:
            ascii_only = unicodedata.normalize("NFKD", header.replace("ß", "ss")).encode("ascii", "ignore")
            stem = re.sub(r"[^a-z0-9]+", "_", ascii_only.decode().lower()).strip("_")[:60] or str(place)
            stem = f"column_{stem}" if stem[0].isdigit() else stem
            free = (name for name in [stem, *(f"{stem}_{n}" for n in range(2, len(headers) + 2))])
            names[header] = next(name for name in free if name not in names.values())
    return names


def _value(header: str, name: str, cells: pd.Series) -> tuple[Finding, NDArray[Any], list[str]]:
    """The target of a regression: a finding, the values, and warnings."""
    words = as_words(cells)
    distinct, instead = words.nunique(), "to predict classes, make a project with problem=classification"
    if not fits("number", words):
        raise UserError(f"{header} {hint(words) or f'is not a column of numbers; {instead}'}")
    if distinct <= 2:
        raise UserError(f"{header} has {distinct} different values; {instead}")
    values = words.to_numpy(dtype=np.float64)
    why = f"numbers from {values.min():.12g} to {values.max():.12g}"
    finding = Finding(header, name, "target", "number", why, block=called(header, name, {}))
    few = [f"{header} has only {distinct} different values: would classes suit it better?"]
    return finding, values, few if distinct < 10 else []


def _classes(header: str, name: str, cells: pd.Series) -> tuple[Finding, NDArray[Any], list[str]]:
    """The target of a classification: a finding, the labels, and warnings."""
    cells = cells.infer_objects()
    words = as_words(cells.astype(int) if cells.dtype == bool else cells)
    words = words.str.replace(r"^(-?\d+)\.0$", r"\1", regex=True)
    counts, whole = words.value_counts(), words.str.fullmatch(r"0|-?[1-9]\d*").all()
    if len(counts) == 1:
        raise UserError(f"{header} is always {words.iloc[0]}: there is nothing to learn")
    if fits("number", words) and not words.str.match(r"0\d").any() and not whole:
        raise UserError(
            f"{header} has numbers with fractions; to predict them, make a project with problem=regression"
        )
    if len(counts) > max(2, min(MOST_CLASSES, len(words) // 5)):
        remedy = (
            "make a project with problem=regression" if whole else f"group them to {MOST_CLASSES} or fewer"
        )
        raise UserError(
            f"{header} has {len(counts)} different values in {len(words)} rows: too many classes; {remedy}"
        )
    classes: list[Any] = sorted(map(int, counts.index)) if whole else sorted(counts.index)
    more, why = {"classes": classes}, f"{len(classes)} classes"
    if len(classes) == 2:
        said = [label for label in classes if str(label).lower() in YES]
        more["positive"] = (said or sorted(classes, key=lambda label: counts[str(label)]))[0]
        why += f"; {more['positive']} is the positive one, " + (
            "by its name" if said else "for it is the rarer"
        )
    few = {label: count for label, count in counts.items() if count < FEWEST_PER_CLASS}
    warnings = [f"class {label} has {count} rows, too few to learn from" for label, count in few.items()]
    allowed = ", ".join(map(str, classes))
    finding = Finding(header, name, "target", "class", why, allowed, block=called(header, name, more))
    return finding, words.to_numpy(dtype=object), warnings


def _parse(text: str, source: str) -> pd.DataFrame:
    text = text.lstrip("\r\n")
    if not text.strip():
        raise UserError(f"{source} is empty")

    def regular(separator: str) -> tuple[bool, int]:
        widths = {len(row) for row in _rows(text, separator, 20) if row}
        return len(widths) == 1, min(widths)

    separator = max(",;\t|", key=regular)
    header = _headers(_rows(text, separator, 1)[0])
    # Without pandas' own idea of a header, a row that is too long is an error and not an index.
    cells = pd.read_csv(io.StringIO(text), sep=separator, header=None, dtype=str, skipinitialspace=True)
    stripped = cells.iloc[1:].apply(lambda column: column.str.strip())
    frame = pd.read_csv(io.StringIO(stripped.to_csv(index=False)), dtype=str)
    frame.columns = pd.Index(header)
    return frame


def _headers(cells: Iterable[str]) -> list[str]:
    return [cell.strip() or f"unnamed_{place}" for place, cell in enumerate(cells, 1)]


def _rows(text: str, separator: str, count: int) -> list[list[str]]:
    return list(islice(csv.reader(io.StringIO(text), delimiter=separator, skipinitialspace=True), count))


def _without_objects(cells: pd.Series) -> pd.Series:
    """Whatever Python objects a Parquet column holds become text, as in a CSV."""
    return cells.astype(object).map(str, na_action="ignore") if cells.dtype.kind == "O" else cells
