"""Bodies of requests: JSON that is checked as the schema says, then turned into columns."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from operator import itemgetter
from typing import Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, FailFast, Field, TypeAdapter, ValidationError
from typing_extensions import TypedDict

from .columns import Column

MOST = 1_000
"""How many records one request may hold."""
SHOWN = 100
"""How many fields that are wrong an answer names."""
JSON: TypeAdapter[Any] = TypeAdapter(Any, config=ConfigDict(ser_json_inf_nan="constants"))


class Reader:
    """Reads the records in the bodies of requests for one schema."""

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
        sure = not self.texts & self.gaps.keys()
        self.quotes = 2 * (len(self.names) + len(self.texts)) if sure else None
        """In the JSON of a record with each field once and nothing more; None where a text may be null."""

    def one(self, body: bytes) -> dict[str, Any]:
        """The record that is the body of a request."""
        try:
            record: dict[str, Any] = self.loose_record.validator.validate_json(body)
            if len(record) == len(self.names) and body.count(b'"') == self.quotes:
                return record  # nearly all are like that
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
