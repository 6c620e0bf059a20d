"""What a column of an unknown table seems to be: type, range, use, and what speaks for it."""

import math
import re
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.metrics import r2_score, recall_score
from sklearn.model_selection import train_test_split
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from .schema import Column
from .table import cast

MOST_CATEGORIES, FEWEST_PER_CATEGORY = 200, 4
SLACK = 0.2
"""How far beyond what was seen a number may go, as a share of the range seen."""
KEYS = {"id", "key", "index", "row", "unnamed"}
PERSONAL = {"email", "mail", "phone", "mobile", "telephone", "ssn", "iban", "passport", "surname", "dob"}
PERSONAL_IN_WORDS = {"name", "firstname", "lastname", "fullname", "address", "street", "birth", "birthday"}
EMAIL = r"[^@\s]+@[^@\s]+\.\w+"
DAY = r"\d{1,4}[-/. ]\w{1,9}[-/. ]\d{2,4}"


@dataclass(frozen=True)
class Finding:
    """What was decided about a column; ``use`` is input, kept, ignored or target, ``block`` its YAML."""

    header: str
    name: str
    use: str
    type: str
    why: str
    allowed: str = ""
    nullable: bool = False
    block: dict[str, Any] = field(default_factory=dict)


def describe(header: str, name: str, cells: pd.Series) -> tuple[Finding, str]:
    """The finding, and a hint where the column is not what its owner may think."""
    words, tokens = as_words(cells), {t.lower() for t in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", header)}
    nullable = len(words) < len(cells)
    if words.empty:
        return Finding(header, name, "ignored", "", "empty", nullable=True), ""
    kind, why = kind_of(words, nullable)
    if useless := _useless(words, nullable, kind, tokens):
        return Finding(header, name, "ignored", kind, useless, nullable=nullable), ""
    personal = tokens & (PERSONAL | PERSONAL_IN_WORDS if kind in ("text", "datetime") else PERSONAL)
    pii = bool(personal) or (kind in ("text", "category") and words.str.fullmatch(EMAIL).mean() > 0.5)
    # Who somebody is must not decide, so a request need not say it.
    sent = not (pii and kind == "text")
    block = called(header, name, {"type": kind})
    allowed, values = "", cast(plain(kind), words)[0]
    if kind in ("number", "integer"):
        block["min"], block["max"] = bounds(values, kind == "integer")
        allowed = f"{block['min']} to {block['max']}"
        why += f" from {values.min():.12g} to {values.max():.12g}"
    elif kind == "category":
        block["categories"] = sorted(set(values))
        allowed = ", ".join(block["categories"])
    block |= ({"nullable": True} if nullable else {}) | ({"pii": True} if pii else {})
    block |= ({} if sent else {"input": False}) | ({} if pii else {"example": _example(kind, values)})
    why += ("; personal" if pii else "") + ("" if sent else ", so it is not sent in requests")
    found = Finding(header, name, "input" if sent else "kept", kind, why, allowed, nullable, block)
    if tokens & {"id", "key"} and kind in ("integer", "text"):
        return found, "repeats, yet looks like a key: if rows belong together by it, name it as the group"
    return found, hint(words) if kind in ("category", "text") else ""


def called(header: str, name: str, more: dict[str, Any]) -> dict[str, Any]:
    """How a block of schema.yaml begins."""
    return {"name": name, **({"alias": header, "meaning": header} if name != header else {}), **more}


def kind_of(words: pd.Series, gaps: bool) -> tuple[str, str]:
    """The narrowest type that all cells fit, and what speaks for it."""
    if set(words.str.lower()) <= {"true", "false"}:
        return "boolean", "True and False"
    # What begins with a zero is a code, not a number: 00501.
    if fits("number", words) and not words.str.match(r"0\d").any():
        # pandas writes whole numbers with a point once some of them are missing.
        if fits("integer", words) and (gaps or not words.str.contains(".", regex=False).any()):
            return "integer", "whole numbers"
        return "number", "numbers"
    if words.str.match(r"\d{4}-\d\d-\d\d").all() and fits("datetime", words):
        return "datetime", "ISO dates"
    distinct = words.nunique()
    if distinct <= MOST_CATEGORIES and len(words) >= FEWEST_PER_CATEGORY * distinct:
        return "category", f"{distinct} different values, each seen often"
    return "text", f"{distinct} different values in {len(words)} cells"


def bounds(values: NDArray[np.float64], whole: bool) -> tuple[float, float]:
    """The range seen, rounded outwards with some room, but past zero only where something was."""
    low, high = float(values.min()), float(values.max())
    if low == high == 0 or (low >= 0 and 0.5 < high <= 1):
        return 0, 1
    room = (high - low or abs(high)) * SLACK
    digits = math.floor(math.log10(room))
    digits = max(0, digits) if whole else digits
    step = 10.0**digits
    bottom, top = math.floor(round((low - room) / step, 6)), math.ceil(round((high + room) / step, 6))
    counts = (max(bottom, 0) if low >= 0 else bottom, min(top, 0) if high <= 0 else top)
    least, most = (round(count * step, max(0, -digits)) for count in counts)
    return tuple(int(end) if end == int(end) else end for end in (least, most))  # type: ignore


def foresight(found: Finding, cells: pd.Series, truth: NDArray[Any], regression: bool) -> float:
    """How well a small tree tells the target from this column alone, on unseen rows; 1 is perfect."""
    values, _ = cast(plain(found.type), cells)
    if found.type == "text":
        values = np.array([np.nan if text is None else len(text) for text in values])
    elif found.type == "category":
        values = pd.factorize(values)[0]
    elif found.type == "datetime":
        values = values.astype(np.int64)
    some = np.random.default_rng(0).permutation(len(cells))[:10_000]
    inside, outside = train_test_split(some, test_size=0.5, random_state=0)
    leaves = 32 if regression else max(16, 2 * len(set(truth)))
    tree = (DecisionTreeRegressor if regression else DecisionTreeClassifier)(
        max_leaf_nodes=leaves, random_state=0
    )
    guess = tree.fit(values[inside, None], truth[inside]).predict(values[outside, None])
    if regression:
        return float(r2_score(truth[outside], guess))
    seen = sorted(set(truth[outside]))
    return float(recall_score(truth[outside], guess, labels=seen, average="macro", zero_division=0))


def hint(words: pd.Series) -> str:
    """What the words look like, where they could have been more than words."""
    if words.str.fullmatch(r"-?[\d.]+,\d+|-?\d+").mean() > 0.9 and words.str.contains(",").any():
        return "looks like numbers with a decimal comma: write a point, then adopt again"
    if words.str.fullmatch(DAY).mean() > 0.9:
        return "looks like dates: write them as 2025-12-31, then adopt again"
    return ""


def as_words(cells: pd.Series) -> pd.Series:
    """The cells that are there, as text."""
    return cells.dropna().map(str).astype("str").str.strip()


def plain(kind: Any) -> Column:
    """A column of that type and nothing else."""
    return Column(name="column", type=kind, categories=("any",) if kind == "category" else ())


def fits(kind: str, words: pd.Series) -> bool:
    return not cast(plain(kind), words)[1].any()


def _useless(words: pd.Series, gaps: bool, kind: str, tokens: set[str]) -> str:
    """Why no model can learn from the column; nothing where one may."""
    if words.nunique() == 1 and not gaps:
        return f"always {words.iloc[0][:40]}"
    if not words.is_unique:
        return ""
    if kind == "text" and not words.str.contains(r"\s").any():
        return "different in every row, so it only names the row"
    if kind == "integer":
        numbers = words.astype(float)
        if numbers.min() in (0, 1) and numbers.max() - numbers.min() + 1 == len(numbers):
            return "counts the rows"
        return "different in every row, so it only names the row" if tokens & KEYS else ""
    return ""


def _example(kind: str, values: NDArray[Any]) -> Any:
    """A median or a commonest value: plausible, and seen."""
    if kind == "number":
        return float(f"{np.median(values):.4g}")
    if kind == "integer":
        return int(np.median(values))
    if kind == "datetime":
        return np.sort(values)[len(values) // 2].astype("datetime64[s]").item()
    commonest = pd.Series(values).mode()[0]
    return bool(commonest) if kind == "boolean" else commonest[:80]
