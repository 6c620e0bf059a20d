"""The plan: what a fitted scikit-learn pipeline computes, as arrays and a few NumPy operations.

Rows lie along the second axis, for a column is what most operations are about. One row takes microseconds.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .columns import Columns, Numbers

Rows = NDArray[Any]
Step = Callable[[Rows], Rows]
BLOCK = 256
"""Rows that go through the trees at once: as many as the processor's cache holds with all their paths."""
LEVELS = 4
"""Levels of large trees between two looks at which paths have ended."""
LEAF = -1
"""The left child of a node that has none."""


class Coded(np.ndarray[Any, np.dtype[Any]]):
    """Cells with the dictionary that they came with: ``entries[codes]``. What is made of them is without."""

    entries: NDArray[Any] | None
    codes: NDArray[Any] | None

    def __array_finalize__(self, made_from: Any) -> None:
        self.entries = self.codes = None

    @classmethod
    def of(cls, entries: NDArray[Any], codes: NDArray[Any]) -> Self:
        cells: Self = entries[codes].view(cls)
        cells.entries, cells.codes = entries, codes
        return cells


class Plan:
    """A fitted pipeline as arrays and operations; ``compile.compiled`` makes what it is built from."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.parts = [_part(**part) for part in spec["parts"]]
        self.steps = [_step(**step) for step in spec["steps"]]

    def __call__(self, features: Columns) -> Numbers:
        rows = np.concatenate([part(features) for part in self.parts])
        for step in self.steps:
            rows = step(rows)
        return rows


def _step(step: str, **holds: Any) -> Step:
    return trees(**holds) if step == "trees" else partial(STEPS[step], **holds)


def _part(columns: list[str], steps: list[dict[str, Any]], codes: list[Any], width: int) -> Any:
    """What makes numbers of some columns: steps on numbers, or a one for the category that a cell holds."""
    then = [_step(**step) for step in steps]
    places = [(name, dict(zip(*known, strict=True)), other) for name, *known, other in codes]

    def numbers(features: Columns) -> Rows:
        rows = np.concatenate([features[name] for name in columns]).reshape(len(columns), -1)
        for step in then:
            rows = step(rows)
        return rows

    def categories(features: Columns) -> Rows:
        size = len(features[columns[0]])
        # Where no category is known, a row below the last takes the one.
        hot = np.zeros((width + 1, size))
        for name, place, other in places:
            values = features[name]
            if size == 1:
                hot[place.get(values[0], other), 0] = 1.0
            else:
                hot[_looked_up(values, place, other), np.arange(size)] = 1.0
        return hot[:width]

    return categories if codes else numbers


def _looked_up(values: NDArray[Any], place: dict[Any, int], other: int) -> NDArray[np.intp]:
    """The place of each cell; once per entry where the cells came with a dictionary."""
    entries, codes = (values.entries, values.codes) if isinstance(values, Coded) else (None, None)
    found = [place.get(cell, other) for cell in (values if entries is None else entries)]
    return np.array(found, dtype=np.intp)[slice(None) if codes is None else codes]


def fill(rows: Rows, values: Rows, flags: Rows) -> Rows:
    """Put ``values`` into gaps (none: the row goes); rows that ``flags`` name also say where gaps were."""
    gaps = np.isnan(rows)
    filled = np.where(gaps, values[:, None], rows)[~np.isnan(values)]
    return np.concatenate([filled, gaps[flags]]) if len(flags) else filled


def scale(rows: Rows, center: Rows, spread: Rows) -> Rows:
    return np.asarray((rows - center[:, None]) / spread[:, None])


def linear(rows: Rows, weights: Rows, bias: Rows) -> Rows:
    return np.asarray(weights @ rows + bias[:, None])


def sigmoid(rows: Rows, slope: Rows, shift: Rows) -> Rows:
    powers = np.exp(np.minimum(rows * slope[:, None] + shift[:, None], 700.0))
    return np.asarray(1.0 / (1.0 + powers))


def isotonic(rows: Rows, curves: list[Any]) -> Rows:
    return np.stack([np.interp(row, *curve) for row, curve in zip(rows, curves, strict=True)])


def softmax(rows: Rows) -> Rows:
    powers = np.exp(rows - rows.max(axis=0))
    return np.asarray(powers / powers.sum(axis=0))


def shares(rows: Rows) -> Rows:
    """Chances that add up to one; where all are zero, each class has the same."""
    sums = rows.sum(axis=0)
    return np.asarray(np.divide(rows, sums, out=np.full_like(rows, 1 / len(rows)), where=sums != 0))


def pair(rows: Rows) -> Rows:
    """From the chance of the second class to both."""
    return np.concatenate([1.0 - rows, rows])


def second(rows: Rows) -> Rows:
    return rows[1:]


def across(rows: Rows) -> Rows:
    return np.asarray(rows.T)


def single(rows: Rows) -> Rows:
    return np.asarray(rows[0])


def trees(
    columns: int, bias: Rows, divisor: int, each: int, single: bool, value: Rows, gaps: Rows, **nodes: Rows
) -> Step:
    """The sum of what the trees say, or its mean; ``each`` trees in a row speak of as many classes."""
    width, bias = len(bias), bias[:, None]
    # Where a gap goes left, it is looked up as minus infinity, in a second set of rows; else NaN goes right.
    nodes["feature"] = nodes["feature"] + columns * gaps
    leaves = np.add.reduceat(nodes["left"] == LEAF, nodes["starts"][:-1]).max()
    find = masks(**nodes) if 1 < leaves <= 64 else walk(**nodes)

    twice = bool(gaps.any())

    def block(rows: Rows) -> Rows:
        if twice:
            rows = np.concatenate([rows, np.where(np.isnan(rows), -np.inf, rows)])
        said = value[find(rows)]
        said = said.reshape(-1, each, *said.shape[1:]).sum(axis=0)
        return np.asarray(said.transpose(0, 2, 1).reshape(width, -1))

    def step(rows: Rows) -> Rows:
        if single:  # as scikit-learn's forests see numbers
            rows = rows.astype(np.float32).astype(np.float64)
        blocks = [block(rows[:, at : at + BLOCK]) for at in range(0, rows.shape[1], BLOCK)]
        return (blocks[0] if len(blocks) == 1 else np.concatenate(blocks, axis=1)) / divisor + bias

    return step


def masks(feature: Rows, threshold: Rows, left: Rows, right: Rows, starts: Rows) -> Step:
    """Small trees all at once: each comparison rules out leaves, and the first that is left is the one.

    For each column and place among its thresholds, a row of ``table`` holds the leaves of all trees that
    are left; what all columns leave is one AND (QuickScorer, each column by one search).
    """
    inner, count = np.flatnonzero(left != LEAF), len(starts) - 1
    most = int(np.add.reduceat(left == LEAF, starts[:-1]).max())
    kind = next(k for k in (np.uint8, np.uint16, np.uint32, np.uint64) if most <= np.iinfo(k).bits)
    full = int(np.iinfo(kind).max)
    leaf = np.empty((count, most), dtype=np.intp)
    ruled: dict[int, int] = {}
    began: dict[int, int] = {}
    for tree, start in enumerate(starts[:-1].tolist()):
        todo, seen = [(start, False)], 0
        while todo:
            node, done = todo.pop()
            if done:  # what lies left of a node is out once a row goes right there
                ruled[node] = full ^ ((1 << seen) - (1 << began[node]))
            elif left[node] == LEAF:
                leaf[tree, seen] = node
                seen += 1
            else:
                began[node] = seen
                todo += [(start + int(right[node]), False), (node, True), (start + int(left[node]), False)]
    cuts, at = np.unique([feature[inner], threshold[inner]], axis=1, return_inverse=True)
    used, first, counts = np.unique(cuts[0], return_index=True, return_counts=True)
    used, flat, limits = used.astype(np.intp), cuts[0].astype(np.intp), cuts[1]
    offset = first + np.arange(len(used))
    table = np.full((len(limits) + len(used), count), full, dtype=kind)
    places = at + np.searchsorted(used, feature[inner]) + 1
    tree_of = np.searchsorted(starts, inner, side="right") - 1
    np.bitwise_and.at(
        table, (places, tree_of), np.array([ruled[node] for node in inner.tolist()], dtype=kind)
    )
    for begin, size in zip(offset, counts, strict=True):
        table[begin : begin + size + 1] = np.bitwise_and.accumulate(table[begin : begin + size + 1], axis=0)
    columns = list(zip(used, np.split(limits, first[1:]), offset, strict=True))
    flat_leaf, corner, one = leaf.ravel(), np.arange(count) * most, kind(1)

    def step(rows: Rows) -> Rows:
        if rows.shape[1] == 1:
            passed = ~(rows[flat, 0] <= limits)
            place = np.add.reduceat(passed, first, dtype=np.intp) + offset
            alive = np.bitwise_and.reduce(table.take(place, axis=0), axis=0)[None]
        else:
            alive = np.full((rows.shape[1], count), full, dtype=kind)
            for row, limit, begin in columns:
                alive &= table.take(limit.searchsorted(rows[row]) + begin, axis=0)
        return np.asarray(flat_leaf[np.bitwise_count((alive & -alive) - one) + corner].T)

    return step


def walk(feature: Rows, threshold: Rows, left: Rows, right: Rows, starts: Rows) -> Step:
    """Large trees level by level, all rows and trees at once; what has arrived is put aside."""
    inner, count = np.flatnonzero(left != LEAF), len(starts) - 1
    # Roots come first, then both children of each node side by side: right, left. A leaf leads to itself.
    root = np.repeat(starts[:-1], np.diff(starts))[inner]
    pairs = count + 2 * np.arange(len(inner))
    place = np.empty(len(left), dtype=np.intp)
    place[starts[:-1]] = np.arange(count)
    place[root + right[inner]], place[root + left[inner]] = pairs, pairs + 1
    node_at = np.argsort(place)
    child, column, limit = np.arange(len(left)), np.zeros(len(left), np.intp), np.full(len(left), np.nan)
    child[place[inner]], column[place[inner]], limit[place[inner]] = pairs, feature[inner], threshold[inner]

    def step(rows: Rows) -> Rows:
        size, cells = rows.shape[1], rows.ravel()
        node, path = np.repeat(np.arange(count), size), np.arange(count * size)
        row, end = path % size, np.empty(count * size, dtype=np.intp)
        while len(path):
            for _ in range(LEVELS):
                seen = cells.take(column.take(node) * size + row)
                node = child.take(node) + (seen <= limit.take(node))
            end[path] = node
            going = np.flatnonzero(child.take(node) != node)
            node, path, row = node[going], path[going], row[going]
        return node_at[end].reshape(count, size)

    return step


OPERATIONS = (across, fill, isotonic, linear, pair, scale, second, shares, sigmoid, single, softmax)
STEPS: dict[str, Any] = {of.__name__: of for of in OPERATIONS} | {"exp": np.exp, "expm1": np.expm1}
"""What a plan may be made of, under the names that stand in ``plan.json``: they are a format, and stay."""
