"""Spans as the API has them on one side, rows of the ``spans`` table on the other.

A record has the table's columns, with two differences. ``scope`` is text or an object: an object is kept whole in
``instrumentationScope``, its name also in ``scope``, and it is read back as it was given. And each end of a span is one
moment in two columns, as a time in microseconds (``startedAt``, ``endedAt``) and in exact nanoseconds since the Unix
epoch (``startTime``, ``endTime``): a record may give either, and the other follows from it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from colonnade.errors import InvalidInput, InvalidRows, Problem
from colonnade.schemas import SPANS
from colonnade.schemas.records import Record, decode, encode, parse_timestamp, speller
from colonnade.schemas.table import unknown_column

DEFAULTS: Final[Mapping[str, Any]] = {"kind": 0, "isEvent": False, "spanType": "generic"}
"""What a new span has where its record says nothing."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_UPDATE: Final = frozenset({"traceId", "spanId", "updates"})

SpanKey = tuple[str, str]
"""``(traceId, spanId)``."""


def encode_spans(records: Iterable[Mapping[str, Any]], now: datetime) -> pa.Table:
    """Records of new spans as rows; ``createdAt`` and ``updatedAt`` are ``now`` unless given (imports give them).

    ``InvalidRows`` lists every problem of every record.
    """
    given = {**DEFAULTS, "createdAt": now, "updatedAt": now}
    return encode(SPANS, [_new_row(record, given) for record in records])


def decode_spans(data: pa.Table) -> list[Record]:
    """Rows, of any of the columns, as records."""
    return [span_of(row) for row in decode(SPANS, data)]


def span_of(row: Record) -> Record:
    """A decoded row as a record: its scope as it was given."""
    whole = row.pop("instrumentationScope", None)
    if whole is not None:
        row["scope"] = whole
    return row


@dataclass(frozen=True, slots=True)
class SpanUpdate:
    """Columns of one span to overwrite, as the API spells their values and as the table holds them."""

    key: SpanKey
    values: Mapping[str, Any]
    stored: Mapping[str, Any]

    @property
    def is_running(self) -> bool:
        """Whether it says that the span has not ended; it is then not for a span that has."""
        return "endedAt" in self.values and self.values["endedAt"] is None


def read_updates(records: Iterable[Mapping[str, Any]], now: datetime) -> list[SpanUpdate]:
    """``{traceId, spanId, updates}`` each, checked; ``InvalidRows`` lists every problem. ``updatedAt`` is ``now``."""
    problems: list[Problem] = []
    read = []
    for row, record in enumerate(records):
        updates = record.get("updates") if isinstance(record, Mapping) else None
        if not isinstance(updates, Mapping) or record.keys() != _UPDATE:
            raise InvalidInput(f"update {row} is not of the form {{'traceId': ..., 'spanId': ..., 'updates': {{...}}}}")
        key = (record["traceId"], record["spanId"])
        values = {"updatedAt": now, **_row(updates)}
        for name, known in zip(SPANS.key, key, strict=True):
            if values.pop(name, known) != known:
                problems.append(Problem(row, name, "identifies the span and cannot be changed"))
        stored = {name: _spelled(row, name, value, problems) for name, value in values.items()}
        read.append(SpanUpdate(key, values, stored))
    if problems:
        raise InvalidRows(SPANS.name, problems)
    return read


def span_keys(data: pa.Table) -> list[SpanKey]:
    """The key of each row."""
    return list(zip(*(data.column(name).to_pylist() for name in SPANS.key), strict=True))


def overwrite(found: pa.Table, updates: Sequence[SpanUpdate]) -> pa.Table:
    """The updated rows among those found, after all updates in their order; every span of them must be among ``found``.

    What is not updated is not touched: payloads stay as they are, text for text.
    """
    places = {key: place for place, key in enumerate(span_keys(found))}
    ended = found.column("endedAt").is_valid().to_pylist()
    changes: dict[str, dict[int, Any]] = {}
    for update in updates:
        place = places[update.key]
        if update.is_running and ended[place]:
            continue
        ended[place] = ended[place] or "endedAt" in update.values
        for name, value in update.stored.items():
            changes.setdefault(name, {})[place] = value
    for name, values in changes.items():
        column = found.column(name).to_pylist()
        for place, value in values.items():
            column[place] = value
        declared = SPANS.schema.field(name)
        at = found.schema.get_field_index(name)
        found = found.set_column(at, declared, pa.array(column, declared.type))
    return found.take(sorted({places[update.key] for update in updates}))


def _new_row(record: Mapping[str, Any], given: Mapping[str, Any]) -> Mapping[str, Any]:
    if not isinstance(record, Mapping):
        return record  # encode() says which it is
    row = _row(record)
    return row | {name: value for name, value in given.items() if row.get(name) is None}


def _row(record: Mapping[str, Any]) -> Record:
    """A record, or a part of one, in the table's columns."""
    row = dict(record)
    scope = row.get("scope")
    if isinstance(scope, Mapping):
        name = scope.get("name")
        row |= {"scope": name if isinstance(name, str) else None, "instrumentationScope": scope}
    elif "scope" in row:
        row.setdefault("instrumentationScope", None)
    for moment, exact in (("startedAt", "startTime"), ("endedAt", "endTime")):
        if row.get(moment) is not None and row.get(exact) is None:
            row[exact] = _nanoseconds(row[moment])
        elif row.get(moment) is None and row.get(exact) is not None:
            row[moment] = _moment(row[exact])
        elif moment in row:
            row[exact] = row.get(exact)
        elif exact in row:
            row[moment] = None
    return row


# What cannot be read is refused where it was given. Its twin gets a value that passes, so that it is refused only once.


def _nanoseconds(moment: object) -> int:
    try:
        return (parse_timestamp(moment) - _EPOCH) // _MICROSECOND * 1000
    except (TypeError, ValueError):
        return 0


def _moment(nanoseconds: object) -> datetime:
    if isinstance(nanoseconds, bool) or not isinstance(nanoseconds, int):
        return _EPOCH
    try:
        return _EPOCH + nanoseconds // 1000 * _MICROSECOND
    except OverflowError:
        return _EPOCH


def _spelled(row: int, name: str, value: object, problems: list[Problem]) -> Any:
    """A value as its column holds it; what is wrong with it goes to the problems."""
    column = SPANS.columns.get(name)
    if column is None:
        problems.append(Problem(row, str(name), f"is unknown: {unknown_column(str(name), SPANS.name, SPANS.columns)}"))
    elif value is None:
        if not column.nullable:
            problems.append(Problem(row, name, "is required"))
    else:
        try:
            return speller(column)(value)
        except (TypeError, ValueError) as error:
            problems.append(Problem(row, name, str(error)))
    return None
