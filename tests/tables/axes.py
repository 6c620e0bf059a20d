"""The properties that a table can have, one axis each, and shapes drawn so that each value occurs."""

from collections.abc import Iterator, Mapping
from random import Random

AXES: dict[str, tuple[str, ...]] = {
    "types": ("numbers", "categories", "booleans", "text", "dates", "mixed"),
    "missing": ("none", "some", "a column"),
    "levels": ("binary", "30", "1000", "unseen in test", "constant"),
    "width": ("1", "2", "20", "200", "500"),
    "rows": ("60", "600", "50000"),
    "target": (
        *("1 % positives", "3 classes", "30 classes", "labels with spaces"),
        *("unicode labels", "boolean labels", "numbers as labels"),
        *("outliers", "always the same", "counts", "negative values"),
    ),
    "names": ("plain", "spaces", "alike", "keywords", "emoji", "long"),
    "file": (
        *("comma", "semicolon", "tab", "decimal comma"),
        *("UTF-8 with BOM", "UTF-16", "latin-1", "Parquet"),
    ),
    "order": ("none", "time", "group"),
}
REGRESSION = ("outliers", "always the same", "counts", "negative values")
"""Targets that are a number; all others are classes."""
LARGE = 2_000_000
"""Cells that a table of one run may have; `make prove` has larger ones."""
NARROW = 20
"""Columns of a table whose emitted tests are run each time; `make prove` runs those of wider ones."""
FEW = 50
"""Rows of a class below which a split by time or group may leave it out."""
Shape = Mapping[str, str]


def problem(shape: Shape) -> str:
    """The answer to the question `problem` that a target asks for."""
    return "regression" if shape["target"] in REGRESSION else "classification"


def fits(shape: Shape) -> bool:
    """Whether a table can have these values together, and is small enough for one run."""
    rows, width = int(shape["rows"]), int(shape["width"])
    return rows * width <= LARGE


def may_lack_a_class(shape: Shape) -> bool:
    """Whether chance decides if the training rows and the test rows have each class.

    A split by time or group keeps no shares: of a class with few rows, one part may have none.
    """
    if shape["order"] == "none" or problem(shape) == "regression":
        return False
    share = {"1 % positives": 0.01, "30 classes": 1 / 30}.get(shape["target"], 1 / 3)
    return int(shape["rows"]) * share < FEW


def narrow(shape: Shape) -> bool:
    """Whether a service surely comes of it, and its emitted tests take seconds, not minutes."""
    rare = shape["target"] == "1 % positives" and shape["order"] != "none"
    wide = shape["width"] == "20" and shape["rows"] == "600"
    many = shape["target"] == "30 classes" and (shape["rows"] != "600" or wide)
    if rare or many:
        return False
    alone = shape["width"] == "1" and shape["order"] == "none"
    useless = shape["missing"] == "a column" or shape["levels"] == "constant"
    learnable = shape["target"] != "always the same" and not (alone and useless)
    return int(shape["width"]) <= NARROW and learnable


def more(seed: int) -> Iterator[dict[str, str]]:
    """Narrow shapes, without end."""
    random = Random(seed)
    while True:
        shape = {axis: random.choice(values) for axis, values in AXES.items()}
        if fits(shape) and narrow(shape):
            yield shape


def covering(seed: int) -> Iterator[dict[str, str]]:
    """Shapes among which each value of each axis occurs, as few as there are values on the longest axis."""
    random = Random(seed)
    count = max(len(values) for values in AXES.values())
    while True:
        columns = {}
        for axis, values in AXES.items():
            turns = [*values] * (count // len(values) + 1)
            columns[axis] = random.sample(turns[: max(count, len(values))], count)
        shapes = [{axis: columns[axis][n] for axis in AXES} for n in range(count)]
        if all(map(fits, shapes)):
            yield from shapes
            return


def pairs(seed: int) -> Iterator[dict[str, str]]:
    """Shapes among which each two values of two axes occur together, where a table can have both."""
    random = Random(seed)
    axes = list(AXES)
    todo = {
        (a, x, b, y)
        for i, a in enumerate(axes)
        for b in axes[i + 1 :]
        for x in AXES[a]
        for y in AXES[b]
        if fits({"rows": "60", "width": "1", a: x, b: y})
    }

    def new(shape: Shape) -> int:
        return sum(
            (a, shape[a], b, shape[b]) in todo
            for i, a in enumerate(axes)
            for b in axes[i + 1 :]
        )

    while todo:
        a, x, b, y = min(todo)
        best: dict[str, str] = {}
        for _ in range(50):
            shape = {axis: random.choice(AXES[axis]) for axis in axes} | {a: x, b: y}
            if fits(shape) and (not best or new(shape) > new(best)):
                best = shape
        if best:
            yield best
            todo -= {
                (a, best[a], b, best[b])
                for i, a in enumerate(axes)
                for b in axes[i + 1 :]
            }
