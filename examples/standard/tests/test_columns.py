"""Columns by themselves: the values that they draw, count and write."""

from datetime import datetime
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from fraud_watch.kit.columns import (
    Bins,
    Column,
    as_is,
    calendar,
    clock,
    length,
    naive,
    plain,
    seasons,
)


def drawn(**about: Any) -> np.ndarray:
    return Column(name="size", **about).draw(np.random.default_rng(1), 2_000)


@pytest.mark.parametrize(
    ("bounds", "low", "high"),
    [
        ({}, 0, 100),
        ({"min": 10}, 10, 110),
        ({"max": 50}, 0, 50),
        ({"max": 0}, -100, 0),
        ({"max": -5}, -105, -5),
        ({"min": 1, "max": 4}, 1, 4),
    ],
)
def test_random_numbers_fill_the_range_and_reach_its_ends(
    bounds: dict[str, float], low: float, high: float
) -> None:
    values = drawn(type="number", **bounds)
    assert (values.min(), values.max()) == (low, high)
    assert values.mean() == pytest.approx((low + high) / 2, abs=0.03 * (high - low))
    assert np.isin(values, [low, high]).mean() == pytest.approx(0.04, abs=0.01)


def test_random_values_of_other_types() -> None:
    assert set(drawn(type="integer", min=1, max=4)) == {1, 2, 3, 4}
    assert set(drawn(type="boolean")) == {0, 1}
    assert set(drawn(type="category", categories=("a", "b"))) == {"a", "b"}
    assert {len(text.split()) for text in drawn(type="text")} == {4}
    moments = drawn(type="datetime")
    assert str(moments.min()) == "2024-01-01T00:00:00.000000"
    assert str(moments.max()) == "2024-12-31T00:00:00.000000"


def test_dates_become_calendar_parts() -> None:
    moments = np.array(["2024-02-29T13:30", "1969-12-28T00:00", "NaT"], dtype="datetime64[us]")
    parts = calendar("seen", moments)
    np.testing.assert_array_equal(parts["seen.hour"], [13.5, 0, np.nan])
    np.testing.assert_array_equal(parts["seen.weekday"], [3, 6, np.nan])
    np.testing.assert_array_equal(parts["seen.month"], [2, 12, np.nan])


def test_dates_become_trends_and_places_on_circles() -> None:
    moments = np.array(["2000-01-01T06:00", "2024-02-29T23:59", "1999-12-31", "NaT"], dtype="datetime64[us]")
    parts = seasons("seen", moments)
    np.testing.assert_allclose(parts["seen.days"], [0.25, 8825 + 1439 / 1440, -1, np.nan])
    np.testing.assert_array_equal(parts["seen.weekday"], [5, 3, 4, np.nan])
    np.testing.assert_allclose(parts["seen.hour_sin"], [1, -0.00436, 0, np.nan], atol=1e-4)
    np.testing.assert_allclose(parts["seen.hour_cos"], [0, 1, 1, np.nan], atol=1e-4)
    half = seasons("seen", np.array(["2001-07-02T02:54"], dtype="datetime64[us]"))
    np.testing.assert_allclose([half["seen.year_sin"][0], half["seen.year_cos"][0]], [0, -1], atol=1e-2)
    assert list(clock("seen", moments)) == [name for name in parts if "year" not in name]


def test_columns_as_they_are() -> None:
    size, seen = np.array([1.0]), np.array(["2024-01-01"], dtype="datetime64[us]")
    columns = {"size": size, "seen": seen, "note": np.array(["ab"], dtype=object)}
    assert list(as_is(columns)) == ["size", "seen.hour", "seen.weekday", "seen.month", "note"]
    assert as_is(columns, without=["note", "seen"]) == {"size": size}
    assert list(as_is(columns, dates=clock)) == ["size", *clock("seen", seen), "note"]
    assert length(np.array(["abc", "", None], dtype=object)).tolist() == [3, 0, 0]


def test_numbers_are_counted_between_the_deciles_of_training() -> None:
    bins = Bins.of(np.append(np.arange(101.0), [np.nan, np.nan]))
    assert bins.edges == (10, 20, 30, 40, 50, 60, 70, 80, 90)
    assert list(bins.rows) == [*map(str, bins.edges), "+Inf", "missing"]
    assert list(bins.rows.values()) == [11, *[10] * 9, 2]
    counted = bins.count(np.array([-1e9, 10.0, 10.1, 90.0, 90.1, np.nan]))
    assert [counted[name] for name in ("10.0", "20.0", "90.0", "+Inf", "missing")] == [2, 1, 1, 1, 1]
    assert sum(counted.values()) == 6


def test_categories_are_counted_by_name_and_gaps_apart() -> None:
    bins = Bins.of(np.array(["a", "b", "a", None], dtype=object))
    assert (bins.edges, bins.rows) == ((), {"a": 2, "b": 1, "missing": 1})
    assert Bins.of(np.array([np.nan, np.nan])).rows == {"+Inf": 0, "missing": 2}


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        ("number", np.float64(1.5), 1.5),
        ("integer", np.float64(7), 7),
        ("boolean", np.float64(1), True),
        ("category", "a", "a"),
        ("text", None, None),
        ("number", np.nan, None),
        ("datetime", np.datetime64("2024-02-29T13:30:15.5", "us"), "2024-02-29T13:30:15"),
        ("datetime", np.datetime64("NaT", "us"), None),
    ],
)
def test_a_cell_is_written_as_json_can_carry_it(kind: str, value: Any, written: Any) -> None:
    said = plain(kind, value)
    assert (type(said), said) == (type(written), written)


def test_a_time_with_a_zone_is_kept_in_utc_without_one() -> None:
    assert naive(datetime.fromisoformat("2024-03-01T01:30:00+02:00")) == datetime(2024, 2, 29, 23, 30)
    assert naive(datetime(2024, 3, 1)) == datetime(2024, 3, 1)


def test_an_example_is_the_columns_own_or_one_that_fits() -> None:
    assert Column(name="size", type="number", example=3).sample_value() == 3
    seen = Column.model_validate({"name": "seen", "type": "datetime", "example": datetime(2024, 3, 1)})
    assert seen.sample_value() == "2024-03-01T00:00:00"
    assert 2 <= Column(name="size", type="integer", min=2, max=5).sample_value() <= 5
    always = Column(name="size", type="number").sample_value()
    assert always == pytest.approx(63.7, abs=0.01)


def test_a_column_cannot_be_changed_once_it_is_read() -> None:
    column = Column(name="size", type="number")
    for key in Column.model_fields:
        with pytest.raises(ValidationError, match="frozen"):
            setattr(column, key, None)
