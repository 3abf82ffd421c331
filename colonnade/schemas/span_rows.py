"""Spans as the API has them on one side, rows of the ``spans`` table on the other.

A record has the table's columns, with two differences. ``scope`` is text or an object: an object is kept whole in
``instrumentationScope``, its name also in ``scope``, and it is read back as it was given. And each end of a span is one
moment in two columns, as a time in microseconds (``startedAt``, ``endedAt``) and in exact nanoseconds since the Unix
epoch (``startTime``, ``endTime``): a record may give either, and the other follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from types import NoneType
from typing import Any, Final

import pyarrow as pa

from colonnade.schemas.moments import EPOCH, micros_of, moment_of
from colonnade.schemas.observability import SPANS
from colonnade.schemas.records import Record, decode, encode_columns, gather
from colonnade.schemas.values import parse_timestamp

DEFAULTS: Final[Mapping[str, Any]] = {"kind": 0, "isEvent": False, "spanType": "generic"}
"""What a new span has where its record says nothing."""

_ENDS: Final = (("startedAt", "startTime"), ("endedAt", "endTime"))
"""The columns of each end of a span: its moment, and the same in exact nanoseconds."""

Columns = dict[str, list[Any]]
"""Fields of spans, each as the list of its values."""


def encode_spans(records: Iterable[Mapping[str, Any]], now: datetime) -> pa.Table:
    """Records of new spans as rows; ``createdAt`` and ``updatedAt`` are ``now`` unless given (imports give them).

    ``InvalidRows`` lists every problem of every record.
    """
    rows = list(records)
    columns, problems = gather(SPANS, rows)
    complete(columns, len(rows))
    add_defaults(columns, len(rows), now)
    return encode_columns(SPANS, columns, len(rows), problems)


def decode_spans(data: pa.Table) -> list[Record]:
    """Rows, of any of the columns, as records."""
    return [span_of(row) for row in decode(SPANS, data)]


def span_of(row: Record) -> Record:
    """A decoded row as a record: its scope as it was given."""
    whole = row.pop("instrumentationScope", None)
    if whole is not None:
        row["scope"] = whole
    return row


def span_row(fields: Mapping[str, Any]) -> Record:
    """A record, or a part of one, in the table's columns."""
    columns = {name: [value] for name, value in fields.items()}
    complete(columns, 1)
    return {name: value for name, (value,) in columns.items()}


def complete(columns: Columns, count: int) -> None:
    """Make columns of ``count`` records those of as many rows: what a column follows from is said by another."""
    if "scope" in columns:
        _split_scopes(columns, count)
    for moment, exact in _ENDS:
        if moment in columns or exact in columns:
            _relate_times(columns, count, moment, exact)


def add_defaults(columns: dict[str, Any], count: int, now: datetime) -> None:
    """What new spans have where their records say nothing."""
    for name, default in {**DEFAULTS, "createdAt": now, "updatedAt": now}.items():
        values = columns.get(name)
        if values is None:
            columns[name] = [default] * count
        elif isinstance(values, list):
            columns[name] = [default if value is None else value for value in values]


def _split_scopes(columns: Columns, count: int) -> None:
    scopes = columns["scope"]
    if set(map(type, scopes)) <= {str, NoneType}:
        columns.setdefault("instrumentationScope", [None] * count)
        return
    whole = columns.get("instrumentationScope", [None] * count)
    columns["instrumentationScope"] = [
        scope if isinstance(scope, Mapping) else other for scope, other in zip(scopes, whole, strict=True)
    ]
    columns["scope"] = [_name(scope) if isinstance(scope, Mapping) else scope for scope in scopes]


def _name(scope: Mapping[Any, Any]) -> str | None:
    name = scope.get("name")
    return name if isinstance(name, str) else None


def _relate_times(columns: Columns, count: int, moment: str, exact: str) -> None:
    moments = columns.get(moment, [None] * count)
    exacts = columns.get(exact, [None] * count)
    pairs = list(zip(moments, exacts, strict=True))
    columns[moment] = [_moment(ns) if time is None and ns is not None else time for time, ns in pairs]
    columns[exact] = [_nanoseconds(time) if ns is None and time is not None else ns for time, ns in pairs]


# What cannot be read is refused where it was given. Its twin gets a value that passes, so that it is refused only once.


def _nanoseconds(moment: object) -> int:
    try:
        time = moment if type(moment) is datetime and moment.tzinfo is UTC else parse_timestamp(moment)
    except (TypeError, ValueError):
        return 0
    return micros_of(time) * 1000


def _moment(nanoseconds: object) -> datetime:
    if isinstance(nanoseconds, bool) or not isinstance(nanoseconds, int):
        return EPOCH
    try:
        return moment_of(nanoseconds // 1000)
    except OverflowError:
        return EPOCH
