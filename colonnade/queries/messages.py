"""The messages of a thread, page by page."""

from __future__ import annotations

from colonnade.engine.plan import Is, Order, Steps
from colonnade.queries.pages import Page, When, page_of
from colonnade.schemas import MESSAGES


def messages_of_thread(
    *,
    thread_id: str,
    newest_first: bool = True,
    since: When | None = None,
    until: When | None = None,
    limit: int = 50,
    after: str | None = None,
    payloads: bool = True,
) -> Steps[Page]:
    """Messages of a thread by ``createdAt``, newest or oldest first, then by id.

    ``since`` (inclusive) and ``until`` (exclusive) are moments, or how long ago: ``"24h"``. ``limit`` rows a page;
    ``after`` is the cursor of the page before. ``payloads=False`` leaves their content out.
    """
    where, order = Is("thread_id", "=", thread_id), Order("createdAt", descending=newest_first)
    return (
        yield from page_of(
            MESSAGES, where, order, since=since, until=until, limit=limit, cursor=after, payloads=payloads
        )
    )
