"""What somebody should look at before a model learns from a column."""

from collections.abc import Iterator

import numpy as np
import pandas as pd
from sklearn.metrics import r2_score, recall_score
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from fraud_watch.kit.cells import cast
from fraud_watch.kit.columns import Numbers

TREES = {"classification": DecisionTreeClassifier, "regression": DecisionTreeRegressor}
ALMOST = 0.9
"""A column of which so many cells are numbers or dates was perhaps meant to be one."""
UNKNOWN = {"-", "--", "?", "??", ".", "n.a.", "none", "missing", "unknown"}
"""Cells that often mean that nothing is known."""


def words_of(cells: pd.Series) -> pd.Series:
    """The cells that are there, as text."""
    return cells.dropna().map(str).astype("str").str.strip()


def strays(header: str, cells: pd.Series) -> Iterator[str]:
    """Name the cells that keep a column from being one of numbers or dates, where they are few."""
    words = words_of(cells)
    for kind in ("number", "datetime"):
        bad = cast(kind, words)[1]
        if 0 < bad.sum() <= (1 - ALMOST) * len(words):
            few = "1 cell that is" if bad.sum() == 1 else f"{bad.sum()} cells that are"
            example = f"no {kind}, such as '{words[bad].iloc[0][:30]}'"
            yield f"{header} has {few} {example}: correct or empty them, then adopt again"
            return


def look_twice(header: str, cells: pd.Series) -> Iterator[str]:
    """Name values that differ in case alone, and those that seem to mean that nothing is known."""
    counts = words_of(cells).value_counts()
    spelt: dict[str, list[str]] = {}
    for value in counts.index:
        spelt.setdefault(value.casefold(), []).append(value)
    for ways in spelt.values():
        if len(ways) > 1 and set(spelt) != {"true", "false"}:
            named = ", ".join(f"'{way}'" for way in ways)
            yield f"{header} has {named}, which are treated as {len(ways)} different values"
    for value, count in counts.items():
        if str(value).casefold() in UNKNOWN:
            means = "if it means that nothing is known, empty those cells"
            yield f"{header} has {count} cells '{value}', treated as an ordinary value: {means}"


def foresight(kind: str, cells: pd.Series, truth: Numbers, problem: str) -> float:
    """How well a small tree tells the target from this column alone, on unseen rows; 1 is perfect."""
    values = pd.Series(cast(kind, cells)[0])
    some = np.random.default_rng(0).permutation(len(values))[:10_000]
    # A tree sees only the order.
    ranks = (values.str.len() if kind == "text" else values).iloc[some].rank(method="dense")
    tree = TREES[problem](max_leaf_nodes=64, random_state=0)
    guess = cross_val_predict(tree, ranks.to_numpy(dtype=float)[:, None], truth[some], cv=KFold(2))
    if problem == "regression":
        return float(r2_score(truth[some], guess))
    return float(recall_score(truth[some], guess, average="macro", zero_division=0))
