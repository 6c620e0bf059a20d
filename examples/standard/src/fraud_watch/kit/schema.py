"""``schema.yaml``, read and checked: the one source of the project's columns."""

import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from itertools import islice
from operator import itemgetter
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
import yaml
from numpy.typing import NDArray
from pydantic import ConfigDict, FailFast, Field, TypeAdapter, ValidationError, model_validator
from typing_extensions import TypedDict

from . import UserError
from .columns import Bins, Column, Columns, Named, Part, plain

Label = bool | int | str
MOST = 1_000
"""How many records one request may hold."""
SHOWN = 100
"""How many fields that are wrong an answer names."""
JSON: TypeAdapter[Any] = TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="constants"))


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


class Reader:
    """Bodies of requests: checked as the schema says, then turned into columns."""

    def __init__(self, inputs: Sequence[Column]) -> None:
        fields = {c.name: c.field() for c in inputs}
        self.record, self.records = _adapters(fields, "forbid")
        # These make no error of an unknown or missing key, for each would hold a copy of all that was sent.
        self.loose_record, self.loose_records = _adapters(fields, "ignore", total=False)
        numbers = [c.name for c in inputs if c.dtype == "f8"]
        places = {name: place for place, name in enumerate(numbers)}
        self.places = [(c.name, c.dtype, places.get(c.name)) for c in inputs]
        self.pick = _picker(numbers)
        self.gaps: dict[str, Any] = {c.name: None for c in inputs if c.nullable}
        self.texts = {c.name for c in inputs} - set(numbers)
        self.names = {c.name for c in inputs}
        self.required = _picker([c.name for c in inputs if not c.nullable])

    def one(self, body: bytes) -> dict[str, Any]:
        """The record that is the body of a request."""
        try:
            record: dict[str, Any] = self.loose_record.validate_json(body)
            self._complete([record])
        except (ValidationError, KeyError) as error:
            raise self._refusal(body, self.record, error) from None
        self._nothing_more(body, [record], self.record)
        return record

    def many(self, body: bytes) -> list[dict[str, Any]]:
        """The records in the body of a request."""
        try:
            records: list[dict[str, Any]] = self.loose_records.validate_json(body)["records"]
            self._complete(records)
        except (ValidationError, KeyError) as error:
            raise self._refusal(body, self.records, error) from None
        self._nothing_more(body, records, self.records, outer=1)
        return records

    def columns(self, records: Sequence[dict[str, Any]]) -> dict[str, NDArray[Any]]:
        """Checked records as columns: what are numbers together, for an array each would take longer."""
        rows = [self.gaps | record for record in records] if self.gaps else records
        numbers = np.ascontiguousarray(np.array(list(map(self.pick, rows)), dtype="f8").T)
        return {
            name: np.array([row[name] for row in rows], dtype=dtype) if place is None else numbers[place]
            for name, dtype, place in self.places
        }

    def _complete(self, records: Sequence[dict[str, Any]]) -> None:
        """Raise a KeyError if a record lacks a field. Only nullable ones may be left out, and seldom are."""
        if sum(map(len, records)) < len(self.names) * len(records):
            for record in records:
                self.required(record)

    def _nothing_more(
        self, body: bytes, records: Sequence[dict[str, Any]], adapter: TypeAdapter[Any], outer: int = 0
    ) -> None:
        """Refuse unknown keys and keys given twice, which validation passed over.

        There are two quotes to a key or a text. More may stand within a text: then keys are counted.
        """
        keys = sum(map(len, records)) + outer
        texts = len(self.texts) * len(records)
        for name in self.texts & self.gaps.keys():
            texts -= sum(record.get(name) is None for record in records)
        if body.count(b'"') != 2 * (keys + texts) and _keys(body) != keys:
            adapter.validate_json(self._shortened(body, adapter))
            no_key_twice(body)

    def _refusal(self, body: bytes, adapter: TypeAdapter[Any], error: Exception) -> Exception:
        """Every error of a body, but of its unknown keys the first ones only: an error each takes seconds."""
        try:
            adapter.validate_json(self._shortened(body, adapter))
        except ValidationError as every:
            return every
        return error

    def _shortened(self, body: bytes, adapter: TypeAdapter[Any]) -> bytes:
        """The body with no more unknown keys than an answer names, and nothing nested that must not be."""
        sent = JSON.validate_json(body)
        if adapter is self.record:
            return JSON.dump_json(_few(sent, self.names))
        short = _few(sent, {"records"})
        if isinstance(sent, dict) and isinstance(records := sent.get("records"), list):
            more = [None] * (len(records) - MOST - 1)  # they count, and are not looked at
            short["records"] = [_few(record, self.names) for record in records[: MOST + 1]] + more
        return JSON.dump_json(short)


def _few(sent: Any, known: set[str]) -> Any:
    """An object of a body without most of its unknown keys."""
    if not isinstance(sent, dict):
        return _hollow(sent)
    unknown = islice((key for key in sent if key not in known), SHOWN)
    return {key: _hollow(sent[key]) for key in known & sent.keys()} | dict.fromkeys(unknown)


def _hollow(value: Any) -> Any:
    """A JSON value of the same type; no field is a list or an object, whatever is in it."""
    return type(value)() if isinstance(value, list | dict) else value


def _adapters(
    fields: dict[str, Any], extra: Literal["forbid", "ignore"], total: bool = True
) -> tuple[TypeAdapter[Any], TypeAdapter[Any]]:
    """Check a record, and the body of a request for many."""
    typed: Any = TypedDict  # made at run time, which mypy does not foresee
    record: Any = typed("Record", fields, total=total)
    # The first record that is wrong refuses them all: to list what is wrong with each takes seconds.
    listed = Annotated[list[record], FailFast(), Field(min_length=1, max_length=MOST)]
    many = typed("Records", {"records": listed}, total=total)
    for made in (record, many):
        made.__pydantic_config__ = ConfigDict(extra=extra, strict=True, allow_inf_nan=False)
    return TypeAdapter[Any](record), TypeAdapter[Any](many)


def _picker(names: Sequence[str]) -> Callable[[dict[str, Any]], tuple[Any, ...]]:
    """Give the values of these names; a KeyError where one is missing."""
    # The first one twice, for with a single name there would be no tuple.
    return itemgetter(*names, names[0]) if names else lambda record: ()


def _keys(body: bytes) -> int:
    """How many keys the objects of a JSON body have, those that are given twice counted twice."""
    counts: list[int] = []

    def count(pairs: list[tuple[str, Any]]) -> None:
        counts.append(len(pairs))

    json.loads(body, object_pairs_hook=count, parse_int=str, parse_float=str)
    return sum(counts)


def no_key_twice(body: bytes) -> None:
    """Refuse a JSON body in which an object names a key twice: a parser silently takes the last value."""
    json.loads(body, object_pairs_hook=_each_once, parse_int=str, parse_float=str)


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    if len(dict(pairs)) == len(pairs):
        return
    for name, times in Counter(name for name, _ in pairs).items():
        if times > 1:
            error: Any = {"type": "value_error", "loc": (name,), "input": None}
            error["ctx"] = {"error": ValueError("Field given twice")}
            raise ValidationError.from_exception_data("Record", [error])


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
    def reader(self) -> "Reader":
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
