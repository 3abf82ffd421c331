"""Traces by the beginning of their identifier, as people type it."""

from __future__ import annotations

from colonnade.engine.plan import Is, Steps, Summarize, rows
from colonnade.errors import InvalidInput
from colonnade.schemas import SPANS


def ids_of_traces(*, prefix: str, limit: int = 10) -> Steps[list[str]]:
    """The first ``limit`` trace identifiers that begin with a text, in their order.

    ``InvalidInput`` for a text that is empty, or has letters beyond ASCII, which no tracer puts into identifiers.
    """
    if not prefix or not prefix.isascii():
        raise InvalidInput(f"{prefix!r:.80} is no beginning of a trace identifier")
    after = prefix[:-1] + chr(ord(prefix[-1]) + 1)
    where = Is("traceId", ">=", prefix) & Is("traceId", "<", after)
    found = yield from rows(Summarize(SPANS, ("traceId",), where=where))
    ids: list[str] = found.column("traceId").slice(0, limit).to_pylist()
    return ids
