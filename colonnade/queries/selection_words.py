"""A selection in words, as it shows itself: ``spans where name = 'chat' and cost > 0.01``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from colonnade.engine.plan import Among, And, At, Contains, Filter, Is, Not, Null, OneOf, Or

_SHOWN = 60
"""Characters of a value."""


def in_words(filter: Filter) -> str:
    """A filter as one would write it in SQL, for people: values that are long are cut."""
    match filter:
        case Is(place, op, value):
            return f"{_place(place)} {op} {_value(value)}"
        case OneOf(column, values):
            return f"{column} in {_value(list(values))}"
        case Among(column, scan, of):
            return f"{column} among {of} of some {scan.table.name}"
        case Null(place):
            return f"{_place(place)} is null"
        case Contains(column, text):
            return f"{column} contains {_value(text)}"
        case Not(Null(place)):
            return f"{_place(place)} is not null"
        case Not(of):
            return f"not ({in_words(of)})"
        case And(parts):
            return _joined(parts, " and ", Or, "everything")
        case Or(parts):
            return _joined(parts, " or ", And, "nothing")
    return repr(filter)


def _joined(parts: Sequence[Filter], joint: str, other: type[And | Or], empty: str) -> str:
    said = [f"({in_words(part)})" if isinstance(part, other) and len(part.of) > 1 else in_words(part) for part in parts]
    return joint.join(said) or empty


def _place(place: str | At) -> str:
    return place if isinstance(place, str) else place.column + "".join(f"[{step!r}]" for step in place.path)


def _value(value: Any) -> str:
    said = value.isoformat(" ") if isinstance(value, datetime) else repr(value)
    return said if len(said) <= _SHOWN else f"{said[: _SHOWN - 3]}..."
