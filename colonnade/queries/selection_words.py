"""A selection in words, as it shows itself: ``spans where name = 'chat' and cost > 0.01``."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from colonnade.engine.plan import Among, And, At, Contains, Filter, Is, Not, Null, OneOf, Or

_SHOWN = 60
"""Characters of a value."""

_INSTEAD = {
    **dict.fromkeys(("filter", "query", "loc"), "rows are narrowed with where(name='chat'), or where(col.cost > 0.01)"),
    **dict.fromkeys(("select", "with_columns"), "columns are chosen with columns('name', 'cost')"),
    **dict.fromkeys(("sort", "sort_by", "sort_values"), "rows are put in order with order_by('cost', descending=True)"),
    **dict.fromkeys(("head", "tail", "sample"), "the first rows, or the newest, are limit(10)"),
    **dict.fromkeys(("group_by", "groupby", "agg", "join"), "begin with to_polars(lazy=True), or ask store.sql()"),
    **dict.fromkeys(("to_csv", "write_csv", "to_json"), "get a frame, with to_polars(), and write that"),
    **dict.fromkeys(("write_parquet", "sink_parquet"), "a file is written with to_parquet('rows.parquet')"),
    **dict.fromkeys(("collect", "fetch", "all"), "rows are read with to_polars(), to_arrow() or batches()"),
    "lazy": "a lazy frame is to_polars(lazy=True)",
}
"""What other libraries call it, and what it is here."""


def instead(kind: str, name: str) -> str:
    """The sentence for something that rows of a table do not have: what does it instead."""
    offer = f"; {_INSTEAD[name]}" if name in _INSTEAD else ""
    return f"{kind!r} object has no attribute {name!r}{offer}"


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
