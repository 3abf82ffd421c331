"""Times as people write them: ``24h`` ago, ``7d`` ago, or an ISO 8601 time."""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime, timedelta

from colonnade.errors import InvalidInput
from colonnade.schemas.records import parse_timestamp
from colonnade.schemas.table import Table

_TIME = {"spans": "startedAt", "evals": "created_at", "traces": "createdAt"}
_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


def time_of(table: Table) -> str:
    """The column that says when a row began: what ``since`` and ``until`` are about."""
    return _TIME.get(table.name, "createdAt")


def parse_duration(given: float | str | timedelta) -> float:
    """Seconds, more than none: a number of them, a timedelta, or text such as ``30s``, ``5m`` or ``0.5``."""
    seconds: object = given
    if isinstance(given, timedelta):
        seconds = given.total_seconds()
    elif isinstance(given, str) and (match := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([smhdw]?)", given.strip())):
        seconds = float(match[1]) * timedelta(**{_UNITS[match[2] or "s"]: 1}).total_seconds()
    if not isinstance(seconds, int | float) or isinstance(seconds, bool) or not 0 < seconds < threading.TIMEOUT_MAX:
        raise InvalidInput(f"{given!r} is no length of time; write seconds, such as 2.5, or text, such as 30s or 5m")
    return float(seconds)


def parse_when(text: str | datetime | timedelta, *, now: datetime | None = None) -> datetime:
    """The moment that is meant: ``24h`` (and a timedelta) is so long before ``now``, anything else an ISO 8601 time."""
    now = now or datetime.now(UTC)
    if isinstance(text, timedelta):
        return now - text
    if isinstance(text, str) and (match := re.fullmatch(r"(\d+)([smhdw])", text.strip())):
        return now - timedelta(**{_UNITS[match[2]]: int(match[1])})
    try:
        return parse_timestamp(text)
    except (TypeError, ValueError) as error:
        wrong = str(error).replace(f": {text!r}", "", 1)  # which is at the front of the sentence already
        raise InvalidInput(f"{text!r} {wrong}; or write how long ago, such as 30m, 24h, 7d") from None
