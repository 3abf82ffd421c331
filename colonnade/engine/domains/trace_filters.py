"""The filters, order and pages of the lists of traces, as filters and orders of the waist.

A trace is listed by its root span, and all filters but ``hasChildError`` look at that span alone.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from difflib import get_close_matches
from typing import Any, Final, Literal

from colonnade.engine.domains.pages import Page, slice_of
from colonnade.engine.plan import (
    Among,
    And,
    At,
    Filter,
    Is,
    Not,
    Null,
    Order,
    Scan,
    between,
)
from colonnade.errors import InvalidInput
from colonnade.schemas import SPANS
from colonnade.schemas.records import Record, spell_value

TraceStatus = Literal["error", "running", "success"]

ROOT: Final = Null("parentSpanId")
"""The span that a trace is listed by."""

EQUAL: Final = (
    "spanType",
    "entityType",
    "entityId",
    "entityName",
    "userId",
    "organizationId",
    "resourceId",
    "runId",
    "sessionId",
    "threadId",
    "requestId",
    "environment",
    "source",
    "serviceName",
)
"""Filters that are equality with the column of their name."""

FILTERS: Final = ("startedAt", "endedAt", *EQUAL, "scope", "metadata", "tags", "status", "hasChildError")
"""Every filter."""

STATUS: Final[Mapping[str, Filter]] = {
    "error": Not(Null("error")),
    "running": Null("error") & Null("endedAt"),
    "success": Null("error") & Not(Null("endedAt")),
}
"""What each status asks of a span."""

_RANGE: Final = ("start", "end", "startExclusive", "endExclusive")
_LARGEST_PAGE: Final = 100


def trace_status(span: Record) -> TraceStatus:
    """The status of a span, and of the trace of which it is the root: as ``STATUS`` has it."""
    if span["error"] is not None:
        return "error"
    return "running" if span["endedAt"] is None else "success"


def trace_filter(filters: Mapping[str, Any] | None) -> Filter:
    """The filters of a list of traces, all of them; ``None`` for a filter is as if it were not there."""
    parts = [_filter(name, value) for name, value in _fields("filters", filters, FILTERS).items() if value is not None]
    return And(tuple(parts))


def trace_order(order_by: Mapping[str, Any] | None) -> tuple[Order, ...]:
    """``{field: startedAt | endedAt, direction: ASC | DESC}``, newest start first unless said otherwise.

    Running traces count as those that end last. The key (traceId, spanId) breaks ties, as in every order.
    """
    asked = _fields("order_by", order_by, ("field", "direction"))
    field = asked.get("field") or "startedAt"
    direction = asked.get("direction") or "DESC"
    if field not in ("startedAt", "endedAt"):
        raise InvalidInput(f"traces are ordered by startedAt or endedAt, not {field!r:.80}")
    if not isinstance(direction, str) or direction.upper() not in ("ASC", "DESC"):
        raise InvalidInput(f"the direction of an order is ASC or DESC, not {direction!r:.80}")
    descending = direction.upper() == "DESC"
    return (Order(field, descending=descending, nulls_first=descending),)


def trace_page(pagination: Mapping[str, Any] | None) -> Page:
    """``{page = 0, perPage = 10}``, of 1 to 100 traces; whole numbers may come as text, as in the query of a URL."""
    asked = _fields("pagination", pagination, ("page", "perPage"))
    page = _number("page", asked.get("page"))
    size = _number("perPage", asked.get("perPage"))
    if size is not None and not 1 <= size <= _LARGEST_PAGE:
        raise InvalidInput(f"perPage of a list of traces must be from 1 to {_LARGEST_PAGE}, not {size}")
    return slice_of(page, size, 10)


def _fields(what: str, given: Mapping[str, Any] | None, known: tuple[str, ...]) -> Mapping[str, Any]:
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise InvalidInput(f"{what} must be an object (a dict), not {type(given).__name__}")
    for name in given:
        if name not in known:
            near = get_close_matches(str(name), known, n=1, cutoff=0.6)
            offer = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"
            raise InvalidInput(f"{what} has no {name!r}; {offer}")
    return given


def _filter(name: str, value: Any) -> Filter:
    match name:
        case "startedAt" | "endedAt":
            return _range(name, value)
        case "scope" if isinstance(value, str):
            return Is("scope", "=", value)
        case "scope":
            return _entries(name, "instrumentationScope", value)
        case "metadata":
            return _entries(name, "metadata", value)
        case "tags":
            if (
                not isinstance(value, Collection)
                or isinstance(value, str)
                or not all(isinstance(tag, str) for tag in value)
            ):
                raise InvalidInput(f"tags must be a list of texts, not {value!r:.80}")
            return And(tuple(Is(At("tags"), "has", tag) for tag in value))
        case "status":
            if not isinstance(value, str) or value not in STATUS:
                raise InvalidInput(f"status is one of {', '.join(STATUS)}, not {value!r:.80}")
            return STATUS[value]
        case "hasChildError":
            # The root counts as well: it is one of the spans of its trace.
            failed = Among("traceId", Scan(SPANS, Not(Null("error")), columns=("traceId",)), "traceId")
            return failed if _boolean(name, value) else Not(failed)
    return Is(name, "=", value)


def _range(name: str, value: Any) -> Filter:
    asked = _fields(name, value, _RANGE)
    return between(
        name,
        spell_value(SPANS, name, asked.get("start")),
        spell_value(SPANS, name, asked.get("end")),
        start_exclusive=_boolean(f"{name}.startExclusive", asked.get("startExclusive") or False),
        end_exclusive=_boolean(f"{name}.endExclusive", asked.get("endExclusive") or False),
    )


def _entries(name: str, column: str, value: Any) -> Filter:
    """Every given key holds a value that deep-equals the given one."""
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        also = " or text" if name == "scope" else ""
        raise InvalidInput(f"{name} must be an object with texts as keys{also}, not {value!r:.80}")
    return And(tuple(Is(At(column, (key,)), "=", item) for key, item in value.items()))


def _boolean(name: str, value: Any) -> bool:
    if value in ("true", "false"):
        return bool(value == "true")
    if not isinstance(value, bool):
        raise InvalidInput(f"{name} must be True or False, not {value!r:.80}")
    return value


def _number(name: str, value: Any) -> int | None:
    if isinstance(value, str):
        try:
            return int(value)
        except ValueError:
            raise InvalidInput(f"{name} must be a whole number, not {value!r:.80}") from None
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise InvalidInput(f"{name} must be a whole number, not {value!r:.80}")
    return value
