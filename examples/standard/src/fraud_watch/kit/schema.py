"""``schema.yaml``, read and checked: the one source of the project's columns."""

import json
from collections.abc import Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import Field, ValidationError, model_validator

from . import UserError
from .columns import Bins, Column, Columns, Named, Part, plain
from .reader import Reader

Label = bool | int | str


class File(Part):
    """A YAML file of the project, checked to the key."""

    @classmethod
    def load(cls, path: Path, content: bytes | None = None) -> Self:
        """Check the file, or its bytes; an error names the file, the key and what is allowed."""
        try:
            text = (path.read_bytes() if content is None else content).decode()
            return cls.parse(yaml.safe_load(text), str(path))
        except FileNotFoundError:
            raise UserError(f"{path} is missing: is this the project's folder?") from None
        except (yaml.YAMLError, ValueError) as error:
            raise UserError(f"{path} is not valid YAML: {error}") from None

    @classmethod
    def parse(cls, content: Any, source: str) -> Self:
        try:
            return cls.model_validate(content)
        except ValidationError as error:
            raise UserError(explain(error, content, source)) from None


class Target(Named):
    """The column to predict: ``classes`` for classification, a range (or nothing) for regression."""

    classes: tuple[Label, ...] = ()
    positive: Label | None = None
    min: float | None = None
    max: float | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The classes as text, for JSON keys, columns and plots."""
        return tuple(str(label).lower() if isinstance(label, bool) else str(label) for label in self.classes)


class Expectations(Part):
    """What a good model does: the prediction rises or falls with a column, or does not care about it."""

    increasing: tuple[str, ...] = ()
    decreasing: tuple[str, ...] = ()
    invariant: tuple[str, ...] = ()


class Schema(File):
    problem: Literal["classification", "regression"]
    target: Target
    time: str | None = None
    group: str | None = None
    slices: tuple[str, ...] = ()
    expect: Expectations = Expectations()
    ignored: tuple[str, ...] = ()
    columns: Annotated[tuple[Column, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        for called in ([c.name for c in self.columns], [c.header for c in self.columns]):
            if twice := sorted({name for name in called if called.count(name) > 1}):
                raise ValueError(f"columns: {', '.join(twice)} stands there twice")
        known = {c.name: c for c in self.columns}
        if self.target.name in known or self.target.header in {c.header for c in self.columns}:
            raise ValueError(f"target: {self.target.name} is among the columns too; name it once")
        numbers = {c.name for c in self.inputs if c.type in ("number", "integer", "boolean")}
        dates = {c.name for c in self.columns if c.type == "datetime" and not c.nullable}
        rules: tuple[tuple[str, Iterable[str], set[str]], ...] = (
            ("time", filter(None, [self.time]), dates),
            ("group", filter(None, [self.group]), set(known)),
            ("slices", self.slices, {n for n, c in known.items() if c.type in ("category", "boolean")}),
            ("expect.increasing", self.expect.increasing, numbers),
            ("expect.decreasing", self.expect.decreasing, numbers),
            ("expect.invariant", self.expect.invariant, {c.name for c in self.inputs}),
        )
        for key, names, allowed in rules:
            if unknown := sorted(set(names) - allowed):
                choice = ", ".join(sorted(allowed)) or "none of today's columns"
                raise ValueError(f"{key}: {', '.join(unknown)} is not allowed there; allowed: {choice}")
        classes = self.target.classes
        if len(set(self.target.names)) < len(classes):
            raise ValueError("target.classes: name each class once")
        if (self.problem == "classification") != (len(classes) >= 2):
            raise ValueError("target.classes: classification needs two or more, regression has none")
        if self.target.positive is not None and self.target.positive not in classes:
            raise ValueError(f"target.positive: {self.target.positive!r} is not one of {list(classes)}")
        if len(classes) == 2 and self.target.positive is None:
            raise ValueError("target.positive: say which of the two classes the threshold is for")
        try:
            self.reader.one(json.dumps(self.example(), default=str).encode())
        except ValidationError as error:
            where, what = error.errors()[0]["loc"], error.errors()[0]["msg"]
            raise ValueError(f"columns ({where[0]}): example: {what}") from None
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

    @cached_property
    def reader(self) -> Reader:
        return Reader(self.inputs)

    def arrays(self, records: Sequence[dict[str, Any]]) -> dict[str, NDArray[Any]]:
        """Validated records as the columns that features see."""
        return self.reader.columns(records)

    def reference(self, columns: Columns, target: NDArray[Any]) -> dict[str, Bins]:
        """How the training rows were spread, for the service to count its own beside: nothing personal."""
        told = [c for c in self.inputs if c.type not in ("text", "datetime") and not c.pii]
        if self.target.classes:
            target = np.array(self.target.classes, dtype="O")[target.astype(int)]
        return {c.name: Bins.of(columns[c.name]) for c in told} | {self.target.name: Bins.of(target)}

    @cached_property
    def record_bytes(self) -> int:
        """The size of a record as JSON, with the longest of its categories and some room for each text."""
        room = {"text": 1_000, "category": 1_000}
        longest = {
            c.name: max((len(json.dumps(word)) for word in c.categories), default=room.get(c.type, 32))
            for c in self.inputs
        }
        return sum(len(json.dumps(name)) + size + len(": , ") for name, size in longest.items())

    @cached_property
    def hashed(self) -> tuple[str, ...]:
        """The inputs of which features see a keyed hash."""
        return tuple(c.name for c in self.inputs if c.hashed)

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
                values[rng.random(rows) < missing] = None
            table[column.name] = values
        return table

    def records(self, columns: Columns) -> list[dict[str, Any]]:
        """The input columns as JSON records: the way back from ``arrays``."""
        listed = {c.name: [plain(c.type, v) for v in columns[c.name]] for c in self.inputs}
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
        lines.append(": ".join(filter(None, [source, ".".join(place), said])))
    return "\n".join(lines)
