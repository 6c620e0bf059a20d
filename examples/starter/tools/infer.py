# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "numpy>=2.2",
#     "pandas>=3.0,<4",
#     "pyarrow>=20,<26",
#     "pydantic>=2.12",
#     "python-calamine>=0.4",
#     "scikit-learn>=1.8",
# ]
# ///
"""From a table to the parts of schema.yaml: its target, its columns, and what to beware of.

`uv run --script tools/infer.py TABLE TARGET` prints as JSON what ``adopt`` would find, and changes nothing.
"""

import json
import math
import re
import shlex
import sys
import unicodedata
from collections.abc import Mapping
from difflib import get_close_matches
from itertools import count
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

# As a script it runs without the project's environment, from these sources alone.
sys.path.insert(0, str(Path(__file__).parents[1] / "src"))

from doubts import foresight, look_twice, strays, words_of
from personal_data import Suspicion, suspicion
from reading import Habits, read
from spellings import UnreadableError

from fraud_watch.kit import UserError
from fraud_watch.kit.cells import cast
from fraud_watch.kit.columns import Numbers, plain

FEWEST_ROWS, MOST_CLASSES = 20, 50
MOST_CATEGORIES, FEWEST_PER_CATEGORY = 200, 4
SLACK = 0.2
"""How far beyond what was seen a number may go, as a share of the range seen."""
LONGEST_CATEGORY = 200
"""Characters that the name of a category or of a class may have."""
LEAST, MOST = 1e-100, 1e100
"""Between which the largest number of a column must lie: beyond, sums and squares are no numbers any more."""
SUSPICIOUS = 0.96
"""A column from which a small tree reads the target as well as this has perhaps seen it."""
YES = {"1", "true", "yes", "y", "t"}
KEYS = {"id", "key", "index", "row", "unnamed"}
MOST_LIKELY_CLASSES = 10
"""More different whole numbers than this are rather amounts than classes."""
Block = dict[str, Any]


class Finding(NamedTuple):
    """What was decided about a column, and why; ``block`` is its part of schema.yaml, if it has one."""

    header: str
    use: str
    why: str
    block: Block
    doubt: str = ""
    """Why the column was taken for personal without being sure of it."""
    personal: bool = False


class Inference(NamedTuple):
    """What was found out about a table."""

    target: Finding
    columns: tuple[Finding, ...]
    warnings: list[str]
    read: str = ""
    """How the file was read."""


def infer(
    frame: pd.DataFrame, target: str, problem: str, personal: Mapping[str, bool] | None = None
) -> Inference:
    """What the table's columns seem to be, and which of them the target.

    ``personal`` says of headers whether they hold personal data; of the others, that is inferred.
    """
    personal = personal or {}
    if unknown := sorted(personal.keys() - set(frame.columns)):
        raise UserError(f"the table has no column {', '.join(unknown)}; it has {', '.join(frame.columns)}")
    headers, size = list(frame.columns), len(frame)
    frame = known(frame, target)
    blocks = named(headers)
    seek = _classes if problem == "classification" else _value
    goal, truth = seek(target, blocks.pop(target), frame[target])
    few = f"{size - len(frame)} of {size} rows have no {target} and are left out"
    warnings = [few] if size > len(frame) else []
    warnings += look_twice(target, frame[target]) if problem == "classification" else []
    columns = tuple(describe(h, block, frame[h], personal.get(h)) for h, block in blocks.items())
    for found in columns:
        if found.doubt:
            otherwise = f"if it is not, adopt again with --not-personal {shlex.quote(found.header)}"
            warnings.append(f"{found.header} is treated as personal, because {found.doubt}; {otherwise}")
        if found.block.get("type", "text") in ("text", "category") and not found.personal:
            warnings += strays(found.header, frame[found.header])
        if found.block.get("type") == "category":
            warnings += look_twice(found.header, frame[found.header])
        if found.use == "ignored":
            warnings.append(f"{found.header} is ignored: {found.why}")
        elif found.use != "input":
            continue
        elif (score := foresight(found.block["type"], frame[found.header], truth, problem)) >= SUSPICIOUS:
            told = f"{found.header} alone tells {target} ({score:.3f} of 1)"
            warnings.append(f"{told}: if it is known only afterwards, take it out of schema.yaml")
    if not any(found.use == "input" for found in columns):
        raise UserError(f"beside {target} the table has no column to learn from")
    return Inference(goal, columns, warnings)


def known(frame: pd.DataFrame, target: str) -> pd.DataFrame:
    """The rows that have a target."""
    headers = list(frame.columns)
    if target not in headers:
        near = "".join(f", perhaps {name}" for name in get_close_matches(target, headers, 1, 0.5))
        raise UserError(f"the table has no column {target}{near}; it has {', '.join(headers)}")
    frame = frame[frame[target].notna()].reset_index(drop=True)
    if len(frame) < FEWEST_ROWS:
        raise UserError(f"{len(frame)} rows have a value of {target}; it takes {FEWEST_ROWS} or more")
    if frame[target].nunique() == 1:
        raise UserError(f"{target} is always {frame[target].iloc[0]}: there is nothing to learn")
    if (words := words_of(frame[target])).is_unique and not _fits("number", words):
        raise UserError(f"{target} is different in every row: it cannot be predicted; choose another target")
    return frame


def problems(frame: pd.DataFrame, target: str) -> tuple[dict[str, str], dict[str, str]]:
    """The problems that fit the target, the likelier first, and those that do not; each with the reason."""
    cells = known(frame, target)[target]
    fit: dict[str, str] = {}
    unfit: dict[str, str] = {}
    for problem, seek in (("classification", _classes), ("regression", _value)):
        try:
            fit[problem] = seek(target, {}, cells)[0].why
        except UserError as error:
            unfit[problem] = str(error)
    if len(fit) == 2 and cells.nunique() > MOST_LIKELY_CLASSES:
        fit = dict(reversed(fit.items()))
    if not fit:
        reasons = "; ".join(why.partition("; ")[0] for why in unfit.values())
        raise UserError(f"{reasons}. Group the values of {target}, or choose another target")
    return fit, unfit


def named(headers: list[str]) -> dict[str, Block]:
    """How each header's block begins: with itself where it is an identifier, else the like in snake_case."""
    names = {header: header for header in headers if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", header)}
    for place, header in enumerate(headers, 1):
        ascii_only = unicodedata.normalize("NFKD", header.casefold()).encode("ascii", "ignore").decode()
        stem = re.sub(r"[^a-z0-9]+", "_", ascii_only).strip("_")[:60] or str(place)
        stem = f"column_{stem}" if stem[0].isdigit() else stem
        free = (name for n in count(1) if (name := f"{stem}_{n}" if n > 1 else stem) not in names.values())
        names[header] = names.get(header) or next(free)
    return {h: {"name": names[h]} | ({"alias": h, "meaning": h} if names[h] != h else {}) for h in headers}


def describe(header: str, block: Block, cells: pd.Series, personal: bool | None = None) -> Finding:
    """Type, range, use of a column that is not the target."""
    words, gaps = words_of(cells), bool(cells.isna().any())
    tokens = {token.lower() for token in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", header)}
    if words.empty:
        return Finding(header, "ignored", "it has no values", {})
    kind, why = _kind(words, gaps)
    found = suspicion(header, kind, words.tolist(), personal)
    if useless := _useless(words, gaps, kind, tokens, personal=found is not None):
        why = f"personal ({found.why}), and {useless}" if found else useless
        return Finding(header, "ignored", why, {}, personal=found is not None)
    block = block | {"type": kind} | ({"nullable": True} if gaps else {})
    if found:
        return _personal(header, block, found)
    values = cast(kind, words)[0]
    if kind in ("number", "integer"):
        _calculable(header, values)
        block["min"], block["max"] = bounds(values, kind == "integer")
        why += f" from {values.min():.12g} to {values.max():.12g}"
    elif kind == "category":
        block["categories"] = tuple(sorted(set(values)))
    if kind != "text":
        block["example"] = plain(kind, np.sort(values)[len(values) // 2])
    return Finding(header, "input", why, block)


def _personal(header: str, block: Block, found: Suspicion) -> Finding:
    """A column with personal data: nothing that is written quotes a value of it, nor a range of values."""
    why, doubt = f"personal: {found.why}", "" if found.sure else found.why
    if found.identifies:
        # Who somebody is must not decide, so a request need not say it.
        kind = "text" if block["type"] == "category" else block["type"]
        block = block | {"type": kind, "pii": True, "input": False}
        return Finding(header, "not sent", why, block, doubt, personal=True)
    return Finding(header, "input", why, block | {"pii": True}, doubt, personal=True)


def bounds(values: Numbers, whole: bool) -> tuple[float, float]:
    """The range seen with some room, rounded outwards, but past zero only where something was."""
    low, high = float(values.min()), float(values.max())
    if low == high == 0 or (low >= 0 and 0.5 < high <= 1):
        return 0, 1
    room = (high - low or abs(high)) * SLACK
    digits = -math.floor(math.log10(room))
    step = max(10.0**-digits, 1.0 if whole else 0.0)
    bottom, top = math.floor((low - room) / step) * step, math.ceil((high + room) / step) * step
    bottom, top = max(bottom, 0) if low >= 0 else bottom, min(top, 0) if high <= 0 else top
    return (int(bottom), int(top)) if whole else (round(bottom, digits), round(top, digits))


def _value(header: str, block: Block, cells: pd.Series) -> tuple[Finding, Numbers]:
    """The target of a regression, and its values."""
    words = words_of(cells)
    if not _fits("number", words) or words.nunique() <= 2:
        wanted = "is not a column of numbers with more than two different values"
        raise UserError(f"{header} {wanted}; to predict classes, make a project with problem=classification")
    values = words.to_numpy(dtype=np.float64)
    _calculable(header, values)
    why = f"numbers from {values.min():.12g} to {values.max():.12g}"
    return Finding(header, "target", why, block), values


def _classes(header: str, block: Block, cells: pd.Series) -> tuple[Finding, Numbers]:
    """The target of a classification, and codes of its classes."""
    words = words_of(cells).str.replace(r"^(-?\d+)\.0$", r"\1", regex=True)
    counts, whole = words.value_counts(), bool(words.str.fullmatch(r"0|-?[1-9]\d*").all())
    if len(counts) > max(2, min(MOST_CLASSES, len(words) // 5)) or (_fits("number", words) and not whole):
        remedy = "to predict numbers, make a project with problem=regression, else group them"
        why = f"has {len(counts)} different values in {len(words)} rows, which are no classes"
        raise UserError(f"{header} {why}; {remedy}")
    if (longest := int(words.str.len().max())) > LONGEST_CATEGORY:
        most = f"at most {LONGEST_CATEGORY}"
        raise UserError(f"{header} has a value of {longest} characters, too long for a class name ({most})")
    classes: list[Any] = sorted(map(int, counts.index)) if whole else sorted(counts.index)
    if {label.lower() for label in counts.index} == {"false", "true"}:
        counts.index = counts.index.str.capitalize()
        classes = [False, True]
    block, why = block | {"classes": tuple(classes)}, f"{len(classes)} classes of {counts.min()} rows or more"
    if len(classes) == 2:
        said = [label for label in classes if str(label).lower() in YES]
        block["positive"] = (said or sorted(classes, key=lambda label: counts[str(label)]))[0]
        reason = "by its name" if said else "for it is the rarer"
        why += f"; {block['positive']} is the positive one, {reason}"
    return Finding(header, "target", why, block), pd.factorize(words)[0].astype(np.float64)


def _kind(words: pd.Series, gaps: bool) -> tuple[str, str]:
    """The narrowest type that all cells fit, and what speaks for it."""
    if set(words.str.lower()) <= {"true", "false"}:
        return "boolean", "true and false"
    # What begins with a zero is a code, not a number: 00501. So is what is too long to calculate with.
    if _fits("number", words) and not words.str.match(r"0\d|-?\d{16}").any():
        # pandas writes whole numbers with a point once some of them are missing.
        whole = _fits("integer", words) and (gaps or not words.str.contains(".", regex=False).any())
        return ("integer", "whole numbers") if whole else ("number", "numbers")
    if words.str.match(r"\d{4}-\d\d-\d\d").all() and _fits("datetime", words):
        return "datetime", "ISO dates"
    distinct = words.nunique()
    short = words.str.len().max() <= LONGEST_CATEGORY
    if short and distinct <= MOST_CATEGORIES and len(words) >= FEWEST_PER_CATEGORY * distinct:
        return "category", f"{distinct} different values, each seen often"
    return "text", f"{distinct} different values in {len(words)} cells"


def _useless(words: pd.Series, gaps: bool, kind: str, tokens: set[str], personal: bool) -> str:
    """Why no model can learn from the column; nothing where one may."""
    if words.nunique() == 1 and not gaps:
        return f"always {'the same' if personal else words.iloc[0][:40]}"
    label = kind == "text" and not words.str.contains(r"\s").any()
    number = kind == "integer" and (tokens & KEYS or np.ptp(words.astype(float)) + 1 == len(words))
    if words.is_unique and (label or number):
        return "different in every row, so it only names the row"
    return ""


def _calculable(header: str, values: Numbers) -> None:
    largest = np.abs(values).max()
    if largest and not LEAST < largest < MOST:
        beyond = f"{values.min():.3g} to {values.max():.3g}, outside the range that can be computed with"
        raise UserError(f"{header} holds numbers from {beyond}: scale them, or leave the column out")


def _fits(kind: str, words: pd.Series) -> bool:
    return not cast(kind, words)[1].any()


if __name__ == "__main__":
    try:
        table, goal, *given = sys.argv[1:]
        taken = read(Path(table), Habits(*given))
        fit, unfit = problems(taken.cells(), goal)
        print(json.dumps({"read": taken.about(), "notes": taken.notes, "fit": fit, "unfit": unfit}))
    except (UnreadableError, UserError) as refusal:
        sys.exit(str(refusal))
