"""Columns: how schema.yaml describes one, and the arrays that features and models see."""

from collections import Counter
from collections.abc import Callable, Container, Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Annotated, Any, Literal, NotRequired, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

Numbers = NDArray[np.float64]
Columns = Mapping[str, NDArray[Any]]
"""Numbers, integers and booleans are float64 (missing: NaN), dates datetime64[us] (NaT), categories and
text object (None). One row in serving, the whole table in training: the same functions see both."""


def naive(moment: datetime) -> datetime:
    """Dates are kept in UTC without a zone, as NumPy has none."""
    return moment if moment.tzinfo is None else moment.astimezone(UTC).replace(tzinfo=None)


def _moment(value: Any) -> datetime:
    try:
        return naive(datetime.fromisoformat(value))
    except (TypeError, ValueError, OverflowError):
        raise ValueError("Input should be a date or a time in ISO 8601, as text") from None


def _whole(value: Any) -> Any:
    """JSON knows one kind of number, and its schemas call 7.0 an integer."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Text = Annotated[str, Field(max_length=100_000)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
Bound = float | Annotated[datetime, AfterValidator(naive)] | None
KINDS = {"number": float, "integer": int, "boolean": bool, "text": Text, "datetime": Moment}
"""What a request carries for each type; for a category, one of those that the column lists."""


class Part(BaseModel):
    """A piece of schema.yaml: unknown keys are refused, so that a typo cannot pass unseen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Named(Part):
    """What a column and the target have in common."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    meaning: str = ""
    alias: str | None = None

    @property
    def header(self) -> str:
        """What the column is called in files."""
        return self.alias or self.name


class Column(Named):
    type: Literal["number", "integer", "boolean", "category", "text", "datetime"]
    min: Bound = None
    max: Bound = None
    categories: tuple[str, ...] = ()
    nullable: bool = False
    pii: bool = False
    allow_pii_input: bool = False
    input: bool = True
    example: Any = None

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.allow_pii_input and not (self.pii and self.input):
            raise ValueError("allow_pii_input: only for an input with pii: true; remove it, or write both")
        if self.hashed and self.categories:
            raise ValueError("categories: with allow_pii_input, values are learnt as hashes; remove the list")
        if (self.type == "category") != bool(self.categories) and not self.hashed:
            raise ValueError("categories: a column of type category lists them, and no other does")
        if len(set(self.categories)) < len(self.categories):
            raise ValueError("categories: each may be named once")
        bounds: list[Any] = [bound for bound in (self.min, self.max) if bound is not None]
        if bounds and self.type not in ("number", "integer", "datetime"):
            raise ValueError(f"min and max: a {self.type} has no range")
        if any(isinstance(bound, datetime) != (self.type == "datetime") for bound in bounds):
            raise ValueError(f"min and max: each must be a {self.type}")
        if bounds != sorted(bounds):
            raise ValueError(f"min: {self.min} is above max, {self.max}")
        return self

    @property
    def hashed(self) -> bool:
        """Whether features see a keyed hash of each value instead of the value: see ``personal.py``."""
        return self.allow_pii_input and self.type == "category"

    @property
    def dtype(self) -> str:
        """Of the array that features and models see."""
        return {"category": "O", "text": "O", "datetime": "M8[us]"}.get(self.type, "f8")

    def array(self, values: Sequence[Any]) -> NDArray[Any]:
        """Python values as the array that features and models see."""
        return np.array(values, dtype=self.dtype)

    def field(self) -> Any:
        """The column as a field of a request: type, range, enumeration, meaning, example."""
        kind: Any = KINDS.get(self.type) or (Literal[self.categories] if self.categories else Text)
        if self.pii and self.categories:
            kind = Annotated[str, AfterValidator(self._one_of_its_own)]
        # Whole numbers are kept as float64, which holds these exactly.
        least, most = (-(2**53), 2**53) if self.type == "integer" else (None, None)
        low: Any = least if self.min is None else self.min
        high: Any = most if self.max is None else self.max
        kind = Annotated[kind, Field(ge=low, le=high)]
        if self.type == "integer":
            kind = Annotated[kind, BeforeValidator(_whole)]
        # An example that training chose may be somebody's value.
        about = Field(description=self.meaning or None, examples=None if self.pii else [self.sample_value()])
        return NotRequired[Annotated[kind | None, about]] if self.nullable else Annotated[kind, about]

    def _one_of_its_own(self, value: str) -> str:
        """The check of a personal category: neither the contract of the API nor an error lists the values."""
        if value not in self.categories:
            raise ValueError("Input should be one of the values that the model was trained with")
        return value

    def sample_value(self) -> Any:
        """One plausible value, fit for JSON."""
        if self.example is not None:
            return self.example.isoformat() if isinstance(self.example, date) else self.example
        return plain(self.type, self.draw(np.random.default_rng(0), 1)[0])

    def draw(self, rng: np.random.Generator, rows: int) -> NDArray[Any]:
        """Random values that the schema allows, the ends of the range among them; no missing ones."""
        if self.categories:
            return rng.choice(np.array(self.categories, dtype=object), rows)
        if self.type in ("category", "text"):
            words = rng.choice(["alpha", "bravo", "charlie", "delta", "echo"], (rows, 4))
            return np.array([" ".join(four) for four in words], dtype=object)
        if self.type == "boolean":
            return rng.integers(0, 2, rows).astype(np.float64)
        dates = self.type == "datetime"
        start, room = (np.datetime64("2024", "us"), np.timedelta64(365, "D")) if dates else (0.0, 100.0)
        low, high = self.array([self.min, self.max])
        if np.isnan(low):
            low = high - room if high <= start else start
        high = low + room if np.isnan(high) else high
        inner = low + rng.random(rows) * (high - low)
        values = np.where(rng.random(rows) < 0.04, rng.choice([low, high], rows), inner)
        return np.round(values) if self.type == "integer" else values


class Bins(Part):
    """How the values of a column were spread in training: rows by bin, which ``edges`` cut numbers into."""

    edges: tuple[float, ...] = ()
    rows: dict[str, int] = Field(default_factory=dict)

    @classmethod
    def of(cls, values: NDArray[Any]) -> Self:
        edges: Any = ()
        if values.dtype != object and not np.isnan(values).all():
            edges = np.unique(np.nanquantile(values, np.arange(1, 10) / 10)).tolist()
        return cls(edges=edges, rows=cls(edges=edges).count(values))

    def count(self, values: NDArray[Any]) -> dict[str, int]:
        """Rows by bin: a category's name, or the upper end of a range of numbers."""
        if values.dtype == object:
            return {"missing" if v is None else str(v): rows for v, rows in Counter(values.tolist()).items()}
        names = [*map(str, self.edges), "+Inf", "missing"]
        # NaN is sorted behind every edge, as what lies above the last one is.
        places = np.searchsorted(self.edges, values) + np.isnan(values)
        return dict(zip(names, np.bincount(places, minlength=len(names)).tolist(), strict=True))


def calendar(name: str, moments: NDArray[np.datetime64]) -> dict[str, Numbers]:
    """Hour, day of the week and month, as numbers; a missing date gives missing numbers.

    No column has a dot in its name, so these hide none.
    """
    hours = (moments - moments.astype("datetime64[D]")) / np.timedelta64(1, "h")
    days = moments.astype("datetime64[D]").astype(np.int64)
    months = moments.astype("datetime64[M]").astype(np.int64)
    parts = {"hour": hours, "weekday": (days + 3) % 7, "month": months % 12 + 1}
    return {f"{name}.{part}": np.where(np.isnat(moments), np.nan, values) for part, values in parts.items()}


def clock(name: str, moments: NDArray[np.datetime64]) -> dict[str, Numbers]:
    """Days since 2000 for trends, the day of the week, and the hour as a place on a circle."""
    days = _days(moments)
    hour = 2 * np.pi * (days % 1)
    parts = {"days": days, "weekday": np.floor(days + 5) % 7}
    parts |= {"hour_sin": np.sin(hour), "hour_cos": np.cos(hour)}
    return {f"{name}.{part}": values for part, values in parts.items()}


def seasons(name: str, moments: NDArray[np.datetime64]) -> dict[str, Numbers]:
    """The same, and the day of the year as a place on a circle: for tables of two years or more."""
    year = 2 * np.pi * _days(moments) / 365.2425
    return clock(name, moments) | {f"{name}.year_sin": np.sin(year), f"{name}.year_cos": np.cos(year)}


def _days(moments: NDArray[np.datetime64]) -> Numbers:
    return (moments - np.datetime64("2000-01-01")) / np.timedelta64(1, "D")


def as_is(
    columns: Columns,
    without: Container[str] = (),
    dates: Callable[[str, NDArray[np.datetime64]], dict[str, Numbers]] = calendar,
) -> dict[str, NDArray[Any]]:
    """Columns as a model can take them: the parts of ``dates``, the rest unchanged.

    Dates are opened by ``calendar``, ``clock``, ``seasons`` or a function of yours.
    Name text in ``without``, for a model can do nothing with it as it is: make features of what it says.
    """
    features: dict[str, NDArray[Any]] = {}
    for name, values in columns.items():
        if name not in without:
            features |= dates(name, values) if values.dtype.kind == "M" else {name: values}
    return features


def length(texts: NDArray[Any]) -> Numbers:
    """Characters in each text; a missing text has none."""
    return np.array([len(text or "") for text in texts], dtype=np.float64)


def plain(kind: str, value: Any) -> Any:
    """A cell of a column of that type as JSON can carry it."""
    if value is None or (not isinstance(value, str) and np.isnan(value)):
        return None
    if kind == "datetime":
        return str(np.datetime_as_string(value, unit="s"))
    return {"number": float, "integer": int, "boolean": bool}.get(kind, str)(value)
