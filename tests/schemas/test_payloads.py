"""Payloads become text that every store takes, and come back as they were."""

from __future__ import annotations

import json
import math
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from colonnade.schemas.payloads import (
    ESCAPE,
    escape_text,
    exact_json,
    from_json,
    is_strange,
    parse_json,
    to_json,
    unescape_text,
)
from colonnade.testing.strategies import STRANGE, json_values

NAN, INFINITY = math.nan, math.inf

anything = (
    json_values(max_leaves=10)
    | st.none()
    | st.integers(-(10**60), 10**60)
    | st.just(10**400)
    | st.lists(st.sampled_from((*STRANGE, "\ud83d\ude00", "\\u0000", "\\ud800", "NaN", NAN, -INFINITY)))
)


def exactly(left: Any, right: Any) -> bool:
    """Equal in value and type, all the way down: 1 is not 1.0 nor True, -0.0 is not 0.0, and NaN is NaN."""
    if type(left) is not type(right):
        return False
    match left:
        case dict():
            return list(left) == list(right) and all(exactly(left[name], right[name]) for name in left)
        case list():
            return len(left) == len(right) and all(map(exactly, left, right))
        case float():
            return repr(left) == repr(right)
    return bool(left == right)


def texts(value: Any) -> Iterator[str]:
    """Every text in a JSON value, names of fields included."""
    match value:
        case str():
            yield value
        case list():
            for item in value:
                yield from texts(item)
        case dict():
            for name, item in value.items():
                yield name
                yield from texts(item)


def strictly(text: str) -> Any:
    """Parsed by a parser that knows JSON as its standard has it, and not NaN."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    return json.loads(text.encode("utf-8"), parse_constant=refuse)


@given(anything)
@example("\ufdd0fdd0")
@example("\ufdd0\ufdd0NaN")
@example({"\ufdd0NaN": "\ufdd0-Infinity", "\ufdd0Infinity": INFINITY})
@example(["\\u0000", "\\\\u0000", "\\ufdd0"])
@example("\ud83d\ude00")
def test_any_json_value_comes_back_exactly_as_it_was(value: Any) -> None:
    assert exactly(from_json(to_json(value)), value)


@given(anything)
@example("\0")
@example({"\0": ["\0"]})
@example("cut \ud83d")
@example(NAN)
def test_what_is_stored_is_utf8_and_strict_json_without_any_nul(value: Any) -> None:
    text = to_json(value)
    assert "\0" not in text
    for stored in texts(strictly(text)):
        assert "\0" not in stored
        stored.encode("utf-8")  # a lone surrogate could not


@given(st.text(st.characters()) | st.sampled_from(STRANGE))
@example("\ufdd00000")
@example("\ufdd0fdd0")
def test_any_text_comes_back_exactly_as_it_was(text: str) -> None:
    stored = escape_text(text)
    assert unescape_text(stored) == text
    assert "\0" not in stored
    stored.encode("utf-8")


@given(st.text(st.characters(blacklist_characters="\0\ufdd0", blacklist_categories=("Cs",))))  # type: ignore[arg-type]
def test_text_that_every_store_takes_is_kept_as_it_is(text: str) -> None:
    assert escape_text(text) == text
    assert not is_strange(text)
    assert to_json(text) == json.dumps(text, ensure_ascii=False)


@pytest.mark.parametrize(
    ("value", "stored"),
    [
        ("a\0b", ESCAPE + "0000"),
        ("\ud83d", ESCAPE + "d83d"),
        ("\udfff", ESCAPE + "dfff"),
        ("\ufdd0", ESCAPE + "fdd0"),
        (NAN, ESCAPE + "NaN"),
        (INFINITY, ESCAPE + "Infinity"),
        (-INFINITY, ESCAPE + "-Infinity"),
    ],
)
def test_the_documented_table_of_escapes(value: Any, stored: str) -> None:
    text = to_json(value)
    wanted = f"a{stored}b" if value == "a\0b" else stored
    assert strictly(text) == wanted
    assert strictly(to_json({"inside": [value]})) == {"inside": [wanted]}
    if isinstance(value, str):
        assert escape_text(value) == wanted
        assert is_strange(value)


def test_json_is_compact_with_keys_in_their_order() -> None:
    assert to_json({"b": [1, 2.5, True, None], "a": "é"}) == '{"b":[1,2.5,true,null],"a":"é"}'


def test_json_that_another_writer_spelled_in_ascii_is_read_alike() -> None:
    for value in ("\0", "\ud83d", NAN, {"\ufdd0": [-INFINITY]}):
        assert exactly(from_json(json.dumps(strictly(to_json(value)))), value)


class Colour(Enum):
    RED = "red"
    CUT = "\ud83d"


class Level(IntEnum):
    HIGH = 3


class Mode(StrEnum):
    FAST = "fast"


@dataclass
class Inner:
    at: datetime
    who: UUID


@dataclass
class Outer:
    inner: Inner
    tags: frozenset[str]


class Headers(Mapping[str, int]):
    """A mapping that is no dict."""

    def __getitem__(self, name: str) -> int:
        return {"a": 1, "b": 2}[name]

    def __iter__(self) -> Iterator[str]:
        return iter(("a", "b"))

    def __len__(self) -> int:
        return 2


NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
SOMEBODY = UUID("550e8400-e29b-41d4-a716-446655440000")

OBJECTS = [
    (NOON, "2026-01-31T12:00:00+00:00"),
    (date(2026, 1, 31), "2026-01-31"),
    (SOMEBODY, str(SOMEBODY)),
    (Colour.RED, "red"),
    (Colour.CUT, "\ud83d"),
    (Level.HIGH, 3),
    (Mode.FAST, "fast"),
    ((1, "a"), [1, "a"]),
    ({"b", "a"}, ["a", "b"]),
    (frozenset({2, 1}), [1, 2]),
    (b"\x00\xff", "00ff"),
    (bytearray(b"a"), "61"),
    (memoryview(b"ab"), "6162"),
    (Headers(), {"a": 1, "b": 2}),
    (MappingProxyType({"a": (1,)}), {"a": [1]}),
    (
        Outer(Inner(NOON, SOMEBODY), frozenset({"x"})),
        {"inner": {"at": "2026-01-31T12:00:00+00:00", "who": str(SOMEBODY)}, "tags": ["x"]},
    ),
    ({1: "a", False: "b"}, {"1": "a", "false": "b"}),
    ({None: 1, 1.5: 2}, {"null": 1, "1.5": 2}),
]


@pytest.mark.parametrize(("value", "expected"), OBJECTS, ids=lambda value: type(value).__name__)
def test_python_objects_are_written_as_json_has_them(value: Any, expected: Any) -> None:
    assert exactly(from_json(to_json(value)), expected)


@pytest.mark.parametrize(("value", "expected"), OBJECTS, ids=lambda value: type(value).__name__)
def test_python_objects_beside_strange_content_are_written_alike(value: Any, expected: Any) -> None:
    back = from_json(to_json({"strange": [NAN, "\0"], "object": value}))
    assert exactly(back, {"strange": [NAN, "\0"], "object": expected})


@pytest.mark.parametrize("value", [Decimal("1.5"), 1j, len, Inner, range(3)])
@pytest.mark.parametrize("beside", ["plain", "\0", NAN])
def test_unknown_objects_are_refused_by_name(value: Any, beside: Any) -> None:
    with pytest.raises(TypeError, match=f"{type(value).__name__} has no JSON form; pass a dict"):
        to_json([beside, {"deep": value}])


@pytest.mark.parametrize("first", [1, NAN, "\0"])
def test_what_contains_itself_or_never_ends_is_refused_as_a_value(first: Any) -> None:
    circular: list[Any] = [first]
    circular.append(circular)
    with pytest.raises(ValueError, match=r"Circular|nested too deeply"):
        to_json(circular)
    deep: list[Any] = [first]
    for _ in range(100_000):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        to_json(deep)


@given(st.dictionaries(st.sampled_from((NAN, INFINITY, -INFINITY)), st.just(1), min_size=1, max_size=1))
def test_keys_that_are_no_finite_number_are_named_as_python_names_them(value: dict[float, int]) -> None:
    (key,) = value
    (name,) = from_json(to_json(value))
    assert name == {"nan": "NaN", "inf": "Infinity", "-inf": "-Infinity"}[repr(key)]


# --- the fast way and the standard library's ---


class Word(str):
    """Text that is not exactly text."""


class Bag(dict[str, Any]):
    """A dict that is not exactly one."""


class Pair(NamedTuple):
    """A tuple that is not exactly one."""

    left: Any
    right: Any


MOVED = OrderedDict(a=1, b=2)
MOVED.move_to_end("a")

odd = st.sampled_from(
    [
        *(NAN, INFINITY, -0.0, 1e16, 1e-7, 1.5e300, 5e-324, 2**63, 2**64, -(2**63) - 1, 10**30, True, None),
        *("null", "\0", "\\u0000", "\ufdd0", "\ud83d", "\ud83d\ude00", "\x7f\x1f\u2028", "Grüße", '"\\/'),
        *(NOON, date(2026, 1, 31), SOMEBODY, Colour.RED, Colour.CUT, Level.HIGH, Mode.FAST, b"\x00", {2, 1}),
        *(Word("null"), Word("\0"), Bag(a=NAN), Bag(b=1), Pair(1, "a"), MOVED, Headers()),
        *(MappingProxyType({"a": None}), Outer(Inner(NOON, SOMEBODY), frozenset()), Pair(None, NAN), time(12)),
        *(Decimal(1), 1j, {1: 2}, {None: NAN}, {Word("a"): 1}, {NAN: None}, {(1,): 1}, {"\0": None}, object),
    ]
)
python_values = st.recursive(
    anything | odd,
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def answer(writing: Callable[[Any], str], value: Any) -> Any:
    """What comes back of a value, or why it was refused."""
    try:
        return from_json(writing(value))
    except (TypeError, ValueError) as error:
        return type(error), str(error)


@given(python_values)
@example([None, NAN])
@example(["null", INFINITY])
@example({"a": Colour.RED, "b": None})
@example(Bag(a=Bag(b=NAN)))
@example(MOVED)
def test_any_value_is_written_as_the_standard_library_would(value: Any) -> None:
    fast, exact = answer(to_json, value), answer(exact_json, value)
    assert exactly(fast, exact) or (fast == exact and isinstance(exact, tuple))


@pytest.mark.parametrize("depth", [100, 127, 128, 253, 254, 255, 300])
@pytest.mark.parametrize(("leaf", "stored"), [(1, "1"), (NAN, '"\ufdd0NaN"')])
def test_what_is_deep_for_the_fast_way_is_written_all_the_same(depth: int, leaf: Any, stored: str) -> None:
    deep = leaf
    for _ in range(depth):
        deep = [deep]
    text = "[" * depth + stored + "]" * depth
    assert to_json(deep) == text
    assert to_json(from_json(text)) == text


numbers = st.from_regex(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,25})?([eE][+-]?[0-9]{1,3})?", fullmatch=True)
json_texts = (
    st.builds(json.dumps, anything, ensure_ascii=st.booleans(), indent=st.none() | st.integers(0, 3))
    | st.lists(numbers | st.builds(json.dumps, st.text())).map(lambda each: f"[{' , '.join(each)}]")
    | st.builds(lambda blank, number: " " * blank + number, st.integers(0, 6), numbers)
    | st.text(st.sampled_from('[]{}",:0123456789-+.eE\\ntrufalsd \x00\ufdd0\ud83d'), max_size=8)
)


def read(reading: Callable[[str], Any], text: str) -> Any:
    try:
        return reading(text)
    except ValueError:
        return ValueError


@given(json_texts)
@example("18446744073709551615")
@example("18446744073709551616")
@example("-9223372036854775808")
@example(" -9223372036854775809")
@example("[1769860800000000007, 99999999999999999999]")
@example('["' + "-" * 40 + '", 1.00000000000000000000001]')
@example('{"a":1,"b":2,"a":3}')
@example('"\\ud83d"')
@example("[1e400,-1e400,1e-400,-0,-0.0]")
@example("[NaN,Infinity,-Infinity]")
@example("\ufeff1")
@example("[" * 300 + "]" * 300)
@example("")
def test_any_text_is_read_as_the_standard_library_would(text: str) -> None:
    found, exact = read(parse_json, text), read(json.loads, text)
    assert found is exact or exactly(found, exact)


@given(st.integers(-(10**24), 10**24), st.integers(0, 9))
def test_whole_numbers_are_read_exactly_wherever_they_stand(number: int, before: int) -> None:
    assert exactly(parse_json(f'["{"x" * before}",{number}]'), ["x" * before, number])
