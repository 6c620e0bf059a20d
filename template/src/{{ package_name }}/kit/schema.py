"""``schema.yaml``, read and checked: the one source of the project's columns."""

from collections.abc import Iterable, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, create_model
from pydantic import model_validator as after_all

from . import UserError
from .columns import Columns

TEXT_LIMIT = 10_000


class Part(BaseModel):
    """A piece of schema.yaml: unknown keys are refused, so that a typo cannot pass unseen."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Column(Part):
    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    type: Literal["number", "integer", "boolean", "category", "text", "datetime"]
    meaning: str = ""
    alias: str | None = None
    min: float | datetime | None = None
    max: float | datetime | None = None
    categories: tuple[str, ...] = ()
    nullable: bool = False
    pii: bool = False
    input: bool = True
    example: Any = None

    @after_all(mode="after")
    def _consistent(self) -> Self:
        if (self.type == "category") != bool(self.categories):
            raise ValueError("categories: a column of type category lists them, and no other does")
        if len(set(self.categories)) < len(self.categories):
            raise ValueError("categories: each may be named once")
        for bound in (bound for bound in (self.min, self.max) if bound is not None):
            if self.type not in ("number", "integer", "datetime"):
                raise ValueError(f"min and max: a {self.type} has no range")
            if isinstance(bound, datetime) != (self.type == "datetime"):
                raise ValueError(f"min and max: {bound!r} is not a {self.type}")
        if self.min is not None and self.max is not None and not self.min <= self.max:  # type: ignore[operator]
            raise ValueError(f"min: {self.min} is above max, {self.max}")
        return self

    @property
    def header(self) -> str:
        """What the column is called in files."""
        return self.alias or self.name

    def array(self, values: Sequence[Any]) -> NDArray[Any]:
        """Python values as the array that features and models see."""
        if self.type in ("category", "text"):
            array = np.empty(len(values), dtype=object)
            array[:] = values
            return array
        if self.type == "datetime":
            return np.array([None if v is None else _naive(v) for v in values], dtype="datetime64[us]")
        return np.array([np.nan if v is None else v for v in values], dtype=np.float64)

    def field(self) -> Any:
        """The column as a field of the request model: type, range, enumeration, meaning, example."""
        kind: Any = {
            "number": float,
            "integer": int,
            "boolean": bool,
            "text": Annotated[str, Field(max_length=TEXT_LIMIT)],
            "datetime": Annotated[datetime, BeforeValidator(_moment)],
        }.get(self.type) or Literal[self.categories]  # fmt: skip
        limits: dict[str, Any] = (
            {"ge": self.min, "le": self.max} if self.type in ("number", "integer") else {}
        )
        if self.type == "number":
            limits["allow_inf_nan"] = False
        kind = Annotated[kind, Field(**{k: v for k, v in limits.items() if v is not None})]
        default: Any = None if self.nullable else ...
        about = Field(
            default, alias=self.name, description=self.meaning or None, examples=[self.sample_value()]
        )
        return (kind | None if self.nullable else kind, about)

    def sample_value(self) -> Any:
        """One plausible value, fit for JSON."""
        if self.example is not None:
            return self.example.isoformat() if isinstance(self.example, date) else self.example
        return _plain(self, self.draw(np.random.default_rng(0), 1)[0])

    def draw(self, rng: np.random.Generator, rows: int) -> NDArray[Any]:
        """Random values that the schema allows, the ends of the range among them; no missing ones."""
        if self.type == "category":
            return rng.choice(np.array(self.categories, dtype=object), rows)
        if self.type == "text":
            words = np.array(["alpha", "bravo", "charlie", "delta", "echo"], dtype=object)
            return np.array([" ".join(rng.choice(words, 4)) for _ in range(rows)], dtype=object)
        if self.type == "boolean":
            return rng.integers(0, 2, rows).astype(np.float64)
        if self.type == "datetime":
            first = self.min if isinstance(self.min, datetime) else datetime(2024, 1, 1)
            last = self.max if isinstance(self.max, datetime) else first + timedelta(days=365)
            span = self.array([first, last]).astype(np.int64)
            return rng.integers(span[0], span[1], rows, endpoint=True).astype("datetime64[us]")
        lowest, highest = self._span()
        values = lowest + rng.random(rows) * (highest - lowest)
        values[rng.random(rows) < 0.02] = lowest
        values[rng.random(rows) < 0.02] = highest
        return np.round(values) if self.type == "integer" else values

    def _span(self) -> tuple[float, float]:
        low = self.min if isinstance(self.min, float) else None
        high = self.max if isinstance(self.max, float) else None
        if low is None:
            low = 0.0 if high is None or high > 0 else high - 100.0
        return low, low + 100.0 if high is None else high


class Target(Part):
    """The column to predict: ``classes`` for classification, a range (or nothing) for regression."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
    meaning: str = ""
    alias: str | None = None
    classes: tuple[int | str, ...] = ()
    positive: int | str | None = None
    min: float | None = None
    max: float | None = None

    @property
    def header(self) -> str:
        return self.alias or self.name


class Expectations(Part):
    """What a good model does: the prediction rises or falls with a column, or does not care about it."""

    increasing: tuple[str, ...] = ()
    decreasing: tuple[str, ...] = ()
    invariant: tuple[str, ...] = ()


class Schema(Part):
    problem: Literal["classification", "regression"]
    target: Target
    time: str | None = None
    group: str | None = None
    slices: tuple[str, ...] = ()
    expect: Expectations = Expectations()
    ignored: tuple[str, ...] = ()
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]

    @after_all(mode="after")
    def _consistent(self) -> Self:
        for called in ([c.name for c in self.columns], [c.header for c in self.columns]):
            if twice := sorted({name for name in called if called.count(name) > 1}):
                raise ValueError(f"columns: {', '.join(twice)} stands there twice")
        known = {c.name: c for c in self.columns}
        if self.target.name in known or self.target.header in {c.header for c in self.columns}:
            raise ValueError(f"target: {self.target.name} is among the columns too; name it once")
        expect = self.expect
        numbers = {c.name for c in self.inputs if c.type in ("number", "integer", "boolean")}
        rules: tuple[tuple[str, Iterable[str], set[str]], ...] = (
            ("time", filter(None, [self.time]), {n for n, c in known.items() if c.type == "datetime"}),
            ("group", filter(None, [self.group]), set(known)),
            ("slices", self.slices, {n for n, c in known.items() if c.type in ("category", "boolean")}),
            ("expect.increasing", expect.increasing, numbers),
            ("expect.decreasing", expect.decreasing, numbers),
            ("expect.invariant", expect.invariant, {c.name for c in self.inputs}),
        )
        for key, names, allowed in rules:
            if unknown := sorted(set(names) - allowed):
                choice = ", ".join(sorted(allowed)) or "none of today's columns"
                raise ValueError(f"{key}: {', '.join(unknown)} is not allowed there; allowed: {choice}")
        classes = self.target.classes
        if (self.problem == "classification") != (len(classes) >= 2):
            raise ValueError("target.classes: classification needs two or more, regression has none")
        if self.target.positive is not None and self.target.positive not in classes:
            raise ValueError(
                f"target.positive: {self.target.positive!r} is not one of the classes {list(classes)}"
            )
        if len(classes) == 2 and self.target.positive is None:
            raise ValueError("target.positive: say which of the two classes the threshold is for")
        return self

    @property
    def inputs(self) -> tuple[Column, ...]:
        """The columns that a request carries."""
        return tuple(c for c in self.columns if c.input)

    @property
    def positive(self) -> int:
        """The place of the positive class among the classes (the last one, where none is named)."""
        classes = self.target.classes
        return classes.index(self.target.positive) if self.target.positive is not None else len(classes) - 1

    @classmethod
    def load(cls, path: Path) -> "Schema":
        """Read and check the file; an error names the file, the key and what is allowed."""
        try:
            content = yaml.safe_load(path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            raise UserError(f"{path} is missing: it lists the project's columns") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UserError(f"{path} is not valid YAML: {error}") from None
        return cls.parse(content, str(path))

    @classmethod
    def parse(cls, content: Any, source: str) -> "Schema":
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise UserError(explain(error, content, source)) from None

    def request_model(self) -> type[BaseModel]:
        """One record as the API takes it. Names are aliases, so that a column may be called ``json``."""
        fields = {f"column_{i}": column.field() for i, column in enumerate(self.inputs)}
        config = ConfigDict(extra="forbid", strict=True, frozen=True)
        model: type[BaseModel] = create_model("Record", __config__=config, **fields)
        return model

    def arrays(self, records: Sequence[BaseModel]) -> dict[str, NDArray[Any]]:
        """Validated records as the columns that features see."""
        return {
            column.name: column.array([getattr(record, f"column_{i}") for record in records])
            for i, column in enumerate(self.inputs)
        }

    def example(self) -> dict[str, Any]:
        """One record to send, as JSON."""
        return {column.name: column.sample_value() for column in self.inputs}

    def sample(self, rows: int, seed: int = 0, missing: float = 0.05) -> dict[str, NDArray[Any]]:
        """Random rows that the schema allows, for parity checks, tests and load."""
        rng = np.random.default_rng(seed)
        table = {}
        for column in self.columns:
            values = column.draw(rng, rows)
            if column.nullable:
                holes = rng.random(rows) < missing
                values[holes] = "NaT" if column.type == "datetime" else None
            table[column.name] = values
        return table

    def records(self, columns: Columns) -> list[dict[str, Any]]:
        """The input columns as JSON records: the way back from ``arrays``."""
        listed = {c.name: [_plain(c, v) for v in columns[c.name]] for c in self.inputs}
        return [dict(zip(listed, row, strict=True)) for row in zip(*listed.values(), strict=True)]


def explain(error: ValidationError, content: Any, source: str) -> str:
    """Each problem on a line: file, key (with the column's name), what is wrong or allowed."""
    lines = []
    for problem in error.errors():
        place = [str(p) for p in problem["loc"]]
        if place[:1] == ["columns"] and len(place) > 1:
            name = content["columns"][int(place[1])]
            place[1] += f" ({name.get('name', '?')})" if isinstance(name, dict) else ""
        said = problem["msg"].removeprefix("Value error, ")
        lines.append(f"{source}: {'.'.join(place) + ': ' if place else ''}{said}")
    return "\n".join(lines)


def _moment(value: Any) -> datetime:
    if not isinstance(value, str):
        raise ValueError("Input should be a date or a time in ISO 8601, as text")
    return datetime.fromisoformat(value)


def _naive(moment: datetime) -> datetime:
    """Dates are kept in UTC without a zone, as NumPy has none."""
    if moment.tzinfo is None:
        return moment
    return (moment - (moment.utcoffset() or moment - moment)).replace(tzinfo=None)


def _plain(column: Column, value: Any) -> Any:
    """A cell as JSON can carry it."""
    if value is None or (not isinstance(value, str) and np.isnan(value)):
        return None
    if column.type == "datetime":
        return np.datetime_as_string(value, unit="s")
    if column.type in ("integer", "boolean"):
        return int(value) if column.type == "integer" else bool(value)
    return float(value) if column.type == "number" else value
