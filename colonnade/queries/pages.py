"""Keyset pages: a page ends where its last row stands in the order, and the next one begins after it.

Unlike counted pages, they neither skip nor repeat a row when others are written meanwhile, and a page far out costs no
more than the first.
"""

from __future__ import annotations

import base64
import json
import zlib
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.plan import TRUE, Filter, Is, Order, Scan, Steps, after, between, rows
from colonnade.errors import InvalidInput
from colonnade.queries.shown import Shown
from colonnade.queries.times import parse_when
from colonnade.schemas.moments import moment_of
from colonnade.schemas.table import Table

When = str | datetime | timedelta
"""A moment: an aware datetime, ISO 8601 text with an offset, or how long ago (``"24h"``, a timedelta)."""

_VERSION: Final = 1
_BROKEN: Final = "is no cursor; pass the cursor of a page exactly as it was given, or None for the first page"


@dataclass(frozen=True)
class Page(Shown):
    """Some rows, and where they end: ask the same question with ``after=cursor`` for the next page; None at the end.

    ``rows`` is an Arrow table with the stored columns. ``cursor`` is opaque text that is safe in URLs.
    """

    rows: pa.Table
    cursor: str | None


def page_of(
    table: Table,
    where: Filter,
    order: Order,
    *,
    since: When | None,
    until: When | None,
    limit: int,
    cursor: str | None,
    payloads: bool,
) -> Steps[Page]:
    """The next rows of a table in the order of one column of times, ties by key.

    They are from ``since`` (inclusive) to ``until`` (exclusive), without payload columns unless ``payloads``. A cursor
    goes with the table, the filter and the order; the window of time may move between pages, as ``since="24h"`` does.
    ``InvalidInput`` for a limit below 1, and for a cursor of another question.
    """
    if isinstance(limit, bool) or not isinstance(limit, int) or limit < 1:
        raise InvalidInput(f"limit must be a whole number >= 1, not {limit!r:.80}")
    plan = Scan(table, where, (order,), limit=limit + 1, columns=None if payloads else table.light)
    plan = plan.but(order=plan.complete_order)
    question = repr((table.name, where, plan.order))
    rest = TRUE if cursor is None else _rest(plan, _read(cursor, question))
    found = yield from rows(plan.but(where=where & window(order.column, since, until) & rest))
    shown = found.slice(0, limit)
    return Page(shown, _write(plan, shown, question) if found.num_rows > limit else None)


def window(column: str, since: When | None, until: When | None) -> Filter:
    start = None if since is None else parse_when(since)
    end = None if until is None else parse_when(until)
    return between(column, start, end, end_exclusive=True)


def _rest(plan: Scan, last: list[Any]) -> Filter:
    values = tuple(
        moment_of(value) if plan.table.column(term.column).kind.name == "timestamp" else value
        for term, value in zip(plan.order, last, strict=True)
    )
    # after() says it all. Its first column once more, by itself, is what stores can skip by: zone maps, sort keys.
    lead = Is(plan.order[0].column, "<=" if plan.order[0].descending else ">=", values[0])
    return lead & after(plan.order, values)


def _write(plan: Scan, shown: pa.Table, question: str) -> str:
    values: list[Any] = []
    for term in plan.order:
        last = shown.column(term.column)[shown.num_rows - 1]
        values.append(last.value if pa.types.is_timestamp(last.type) else last.as_py())
    said = json.dumps([_VERSION, _digest(question, values), *values], separators=(",", ":"))
    return base64.urlsafe_b64encode(said.encode()).decode().rstrip("=")


def _read(cursor: str, question: str) -> list[Any]:
    """The order values of the last row of a page."""
    try:
        version, digest, *values = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (TypeError, ValueError, RecursionError):
        raise InvalidInput(f"{cursor!r:.80} {_BROKEN}") from None
    if version != _VERSION:
        raise InvalidInput(f"{cursor!r:.80} {_BROKEN}")
    if digest != _digest(question, values):
        raise InvalidInput("this cursor belongs to another question: ask for the next page with the same arguments")
    return list(values)


def _digest(question: str, values: list[Any]) -> int:
    """A mark by which a cursor knows its question; it keeps mistakes out, not people, so a checksum is enough."""
    return zlib.crc32(repr((question, values)).encode(errors="backslashreplace"))
