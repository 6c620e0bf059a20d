"""Tables of given shapes. A table is made of its shape and a seed alone, and its target follows its columns.

It runs where pandas is installed: among the emitted tests of a project. tests/tables/axes.py says which shapes there are.
"""

import io
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

KEYWORDS = ("class", "def", "import", "None", "self", "model", "records", "time")
FEWEST_POSITIVES = 6
Cells = NDArray[Any]
Shape = Mapping[str, str]


class Table(NamedTuple):
    """A file as somebody might have it, and what is to become of it."""

    name: str
    content: bytes
    target: str
    group: str
    """The column whose rows belong together."""
    refusal: str
    """A part of the sentence that refuses it; empty if it has to become a service."""


def made(shape: Shape, seed: int) -> Table:
    """The table of a shape."""
    rng = np.random.default_rng(seed)
    rows, width = int(shape["rows"]), int(shape["width"])
    columns = [_column(kind, shape["levels"], rng, rows) for kind in _kinds(shape)]
    signal = sum(_signal(values) for values in columns[:3]) + rng.normal(0, 0.3, rows)
    if shape["levels"] == "constant":
        columns[-1] = np.full(rows, columns[-1][0])
    for place, values in enumerate(columns):
        if shape["missing"] == "some" and place % 2 == 0:
            columns[place] = np.where(rng.random(rows) < 0.15, None, values)
    if shape["missing"] == "a column":
        columns[-1] = np.full(rows, None)
    frame = pd.DataFrame(dict(enumerate(columns)), dtype=object)
    frame.columns = pd.Index(_names(shape["names"], width))
    group = ""
    if shape["order"] == "time":
        days = pd.date_range("2023-01-01", periods=rows, freq="h")
        frame["happened at"] = days.strftime("%Y-%m-%dT%H:%M:%S")
    elif shape["order"] == "group":
        group = "household"
        frame[group] = [f"h{n}" for n in rng.integers(0, 12, rows)]
    target = "outcome"
    frame[target] = _target(shape["target"], np.asarray(signal), rng)
    suffix, content = _written(frame, shape["file"], target)
    refusal = _refusal(shape, frame, target)
    return Table(f"table{suffix}", content, target, group, refusal)


def _kinds(shape: Shape) -> list[str]:
    """The type of each column."""
    every = ["numbers", "categories", "booleans", "text", "dates"]
    width = int(shape["width"])
    if shape["types"] != "mixed":
        return [shape["types"]] * width
    return [every[n % len(every)] for n in range(width)]


def _column(kind: str, levels: str, rng: np.random.Generator, rows: int) -> Cells:
    if kind == "numbers":
        if levels == "binary":
            return rng.integers(0, 2, rows).astype(object)
        return np.round(rng.normal(50, 12, rows), 3).astype(object)
    if kind == "categories":
        if levels == "unseen in test":
            words = np.array(
                [f"level {n}" for n in rng.integers(0, 4, rows)], dtype=object
            )
            # So rare that some level is likely to be in one part only.
            words[rng.integers(0, rows, 4)] = [f"rare {n}" for n in range(4)]
            return words
        count = {"binary": 2, "30": 30, "1000": 1000}.get(levels, 4)
        return np.array(
            [f"level {n}" for n in rng.integers(0, count, rows)], dtype=object
        )
    if kind == "booleans":
        return rng.choice(np.array([True, False], dtype=object), rows)
    if kind == "text":
        words = ["good", "late", "broken", "fast", "again", "never"]
        picked = rng.choice(words, (rows, 12))
        lengths = rng.integers(3, 12, rows)
        texts = [" ".join(row[:n]) for row, n in zip(picked, lengths, strict=True)]
        return np.array([f"{text} {n}" for n, text in enumerate(texts)], dtype=object)
    moments = pd.Timestamp("2024-01-01") + pd.to_timedelta(
        rng.integers(0, 525_600, rows), unit="min"
    )
    return np.array(moments.strftime("%Y-%m-%d %H:%M:%S"), dtype=object)


def _signal(values: Cells) -> NDArray[np.float64]:
    """What the target may follow: a number, a boolean, the first word, the length or the hour."""
    first = values[0]
    if isinstance(first, bool | float | int):
        numbers = values.astype(float)
    elif first[:2] == "20":
        numbers = pd.to_datetime(pd.Series(values)).dt.hour.to_numpy(dtype=float)
    elif " " in first and not first.startswith(("level", "rare")):
        numbers = np.array([len(text) for text in values], dtype=float)
    else:
        numbers = pd.factorize(values)[0] % 2 * 1.0
    spread = numbers.std()
    return (numbers - numbers.mean()) / spread if spread else numbers * 0.0


def _target(kind: str, signal: NDArray[np.float64], rng: np.random.Generator) -> Cells:
    rank = signal.argsort().argsort() / len(signal)
    classes = {
        "3 classes": ["a", "b", "c"],
        "30 classes": [f"class {n}" for n in range(30)],
        "labels with spaces": ["stays with us", "goes away"],
        "unicode labels": ["größer", "naïve", "été"],
        "boolean labels": [True, False],
        "numbers as labels": ["10", "20", "7"],
    }
    if kind in classes:
        labels = np.array(classes[kind], dtype=object)
        return labels[(rank * len(labels)).astype(int)]
    if kind == "1 % positives":
        # A handful, where there are few rows: with one alone there is nothing to hold out.
        rare = max(0.01, FEWEST_POSITIVES / len(signal))
        return np.where(rank >= 1 - rare, "yes", "no").astype(object)
    if kind == "always the same":
        return np.full(len(signal), 5.0, dtype=object)
    if kind == "counts":
        return rng.poisson(np.exp(1 + 0.5 * np.clip(signal, -3, 3))).astype(object)
    values = 100 * signal + (0 if kind == "outliers" else -900)
    if kind == "outliers":
        values[rng.random(len(values)) < 0.01] *= 1_000
    return np.round(values, 2).astype(object)


def _names(kind: str, width: int) -> list[str]:
    if kind == "spaces":
        return [
            f"size of part {n} (m²)" if n % 2 else f" part {n} " for n in range(width)
        ]
    if kind == "alike":
        return [
            ("a b {}", "a-b {}", "A_B {}", "a.b {}")[n % 4].format(n // 4)
            for n in range(width)
        ]
    if kind == "keywords":
        return [KEYWORDS[n] if n < len(KEYWORDS) else f"x{n}" for n in range(width)]
    if kind == "emoji":
        return ["🚗" * (n + 1) if n < 20 else f"🚗 {n}" for n in range(width)]
    return [
        f"{'n' * 300} {n}" if kind == "long" else f"column_{n}" for n in range(width)
    ]


def _written(frame: pd.DataFrame, file: str, target: str) -> tuple[str, bytes]:
    if file == "Parquet":
        buffer = io.BytesIO()
        frame.infer_objects().to_parquet(buffer, index=False)
        return ".parquet", buffer.getvalue()
    if file == "decimal comma":
        numbers = [
            name
            for name in frame
            if pd.api.types.is_float_dtype(frame[name].infer_objects())
        ]
        frame = frame.copy()
        for name in numbers:
            frame[name] = [
                None if pd.isna(cell) else str(cell).replace(".", ",")
                for cell in frame[name]
            ]
    mark = {"semicolon": ";", "decimal comma": ";", "tab": "\t"}.get(file, ",")
    text = frame.to_csv(index=False, sep=mark)
    encoding = {"UTF-8 with BOM": "utf-8-sig", "UTF-16": "utf-16", "latin-1": "cp1252"}
    return ".csv", text.encode(encoding.get(file, "utf-8"), errors="replace")


def _refusal(shape: Shape, frame: pd.DataFrame, target: str) -> str:
    """The sentence that a table must be refused with, where no model can come of it."""
    if shape["target"] == "always the same":
        return "is always 5"
    # A constant with gaps still tells which cells are there.
    constant = shape["levels"] == "constant" and shape["missing"] == "none"
    useless = shape["missing"] == "a column" or constant
    if shape["width"] == "1" and useless and shape["order"] == "none":
        return "no column to learn from"
    counts = frame[target].value_counts()
    if isinstance(frame[target][0], str) and len(counts) > max(2, len(frame) // 5):
        unique = len(counts) == frame[target].notna().sum()
        return "is different in every row" if unique else "different values in"
    return ""
