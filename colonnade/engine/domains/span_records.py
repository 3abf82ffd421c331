"""Updates of spans: what they say, and the rows that they make. How records map to rows is told in ``span_rows``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import pyarrow as pa

from colonnade.errors import InvalidInput, InvalidRows, Problem
from colonnade.schemas import SPANS
from colonnade.schemas.span_rows import DEFAULTS, decode_spans, encode_spans, span_of, span_row
from colonnade.schemas.table import unknown_column
from colonnade.schemas.values import speller

_UPDATE: Final = frozenset({"traceId", "spanId", "updates"})

SpanKey = tuple[str, str]
"""``(traceId, spanId)``."""


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
        values = {"updatedAt": now, **span_row(updates)}
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


__all__ = [
    "DEFAULTS",
    "SpanKey",
    "SpanUpdate",
    "decode_spans",
    "encode_spans",
    "overwrite",
    "read_updates",
    "span_keys",
    "span_of",
]
