"""Records: what they share with dataclasses."""

from __future__ import annotations

import dataclasses
import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wholecard.core.json_text import document, encode, record_lines
from wholecard.core.record import assembled, dataclass, replace


@dataclass(frozen=True, order=True)
class Point:
    """A record of a test."""

    x: int
    y: int = 0
    name: str = ""


@dataclasses.dataclass(frozen=True, order=True)
class Twin:
    """The same by the standard library."""

    x: int
    y: int = 0
    name: str = ""


def test_equal_and_ordered() -> None:
    """Records compare, hash and order by their fields, and only with their own kind."""
    assert Point(1, name="a") == Point(1, 0, "a") != Point(1)
    assert len({Point(1), Point(1), Point(2)}) == 2
    assert sorted([Point(2), Point(1, 5), Point(1)]) == [Point(1), Point(1, 5), Point(2)]
    other: object = Twin(1)
    assert Point(1) != other
    assert repr(Point(1)) == "Point(x=1, y=0, name='')"


def test_frozen() -> None:
    """A record does not change."""
    point = Point(1)
    with pytest.raises(dataclasses.FrozenInstanceError):
        point.x = 2  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError):
        del point.x


def test_standard_library() -> None:
    """dataclasses' own functions take records, and pickle does."""
    assert dataclasses.replace(Point(1), y=3) == replace(Point(1), y=3) == Point(1, 3)
    assert dataclasses.asdict(Point(1)) == dataclasses.asdict(Twin(1))
    assert [each.name for each in dataclasses.fields(Point)] == ["x", "y", "name"]
    assert pickle.loads(pickle.dumps(Point(1, 2))) == Point(1, 2)


@pytest.mark.parametrize(
    "make",
    [
        lambda kind: kind(),
        lambda kind: kind(y=1),
        lambda kind: kind(1, z=2),
        lambda kind: kind(1, x=2),
        lambda kind: kind(1, 2, "a", 4),
    ],
)
def test_refuses(make: Callable[[Any], object]) -> None:
    """Fields that are missing, unknown or given twice are a TypeError, as everywhere."""
    for kind in (Point, Twin):
        with pytest.raises(TypeError):
            make(kind)


def test_assembled() -> None:
    """A record can be made of all its fields without a look at them."""
    assert assembled(Point, {"x": 1, "y": 2, "name": "n"}) == Point(1, 2, "n")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)  # fmt: skip


@given(PLAIN)
def test_json(value: object) -> None:
    """Plain data is written as json.dumps writes it."""
    assert encode(value) == json.dumps(value)


def test_record_lines() -> None:
    """Each record is one line with its fields in their order, unique ones or not."""
    points = [Point(1, 2, 'a"b'), Point(1, 3, "ü"), Point(4)]
    wanted = [json.dumps(dataclasses.asdict(each)) for each in points]
    assert list(record_lines(points)) == wanted
    assert list(record_lines(points, frozenset({"x", "name"}))) == wanted


def test_document() -> None:
    """A document is one valid object, each entry of its lists on a line of its own."""
    text = "".join(document([("a", "1"), ("b", iter(["2", "3"])), ("c", [])]))
    assert text == '{\n  "a": 1,\n  "b": [\n    2,\n    3\n  ],\n  "c": []\n}\n'
    assert json.loads(text) == {"a": 1, "b": [2, 3], "c": []}
