"""Which messages a list of messages gives: those of a page, and those that are included with their neighbours."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from colonnade.engine.domains.arguments import listed, options
from colonnade.engine.domains.pages import FARTHEST, Page, flat, paged, whole
from colonnade.engine.plan import Filter, Is, OneOf, Order, Scan, Steps, after, asc, count, desc, is_equal, records
from colonnade.errors import InvalidInput
from colonnade.schemas.memory import MESSAGES
from colonnade.schemas.records import Record

OLDEST_FIRST: Final = (asc("createdAt"), asc("id"))
NEWEST_FIRST: Final = (desc("createdAt"), desc("id"))
"""The exact reverse of the other, messages of one moment too: the last ones, reversed, read as the thread does."""


@dataclass(frozen=True, slots=True)
class Window:
    """How many neighbours of a message are wanted."""

    older: int = 0
    newer: int = 0


def recall(
    where: Filter,
    order: tuple[Order, ...],
    page: Page,
    *,
    include: Collection[Mapping[str, Any]] | None = None,
    resource_id: str | None = None,
    include_total: bool = True,
) -> Steps[Record]:
    """A page of messages and the included ones: ``{messages, total, page, perPage, hasMore}``.

    With ``include``, ``hasMore`` tells whether the list goes on after the page and has messages that are not given.
    Without ``include_total`` nothing is counted: ``total`` is where the page ends, and one row more tells ``hasMore``.
    """
    windows = _windows(include)
    if include_total or not page.limit:
        messages, total = yield from paged(MESSAGES, where, order, page)
        more = page.has_more(total)
    else:
        found = yield from records(Scan(MESSAGES, where, order, limit=page.limit + 1, offset=page.offset))
        messages = found[: page.limit]
        total, more = page.offset + len(messages), len(found) > page.limit
    if windows:
        known = {message["id"] for message in messages}
        added = {
            message["id"]: message
            for message in (yield from _included(windows, resource_id))
            if message["id"] not in known
        }
        if more and include_total and added:
            listed = yield from count(MESSAGES, where & OneOf("id", tuple(added)))
            more = len(messages) + listed < total
        messages = sorted([*messages, *added.values()], key=_place, reverse=order == NEWEST_FIRST)
    return {**flat("messages", messages, total, page), "hasMore": more}


def by_time(messages: Iterable[Record]) -> list[Record]:
    """Messages, oldest first."""
    return sorted(messages, key=_place)


def _place(message: Record) -> tuple[Any, str]:
    return message["createdAt"], message["id"]


def _windows(include: Collection[Mapping[str, Any]] | None) -> dict[str, Window]:
    """The wanted neighbours by message; those of one that is named twice are the wider of both."""
    windows: dict[str, Window] = {}
    for item in () if include is None else listed(include, "include"):
        given = options(item, "include", ("id", "threadId", "withPreviousMessages", "withNextMessages"))
        if not isinstance(given.get("id"), str):
            raise InvalidInput(f"include needs the id of a message, not {given.get('id')!r:.80}")
        older, newer = (
            min(whole(side, given.get(side, 0)), FARTHEST) for side in ("withPreviousMessages", "withNextMessages")
        )
        before = windows.get(given["id"], Window())
        windows[given["id"]] = Window(max(before.older, older), max(before.newer, newer))
    return windows


def _included(windows: Mapping[str, Window], resource_id: str | None) -> Steps[list[Record]]:
    """The messages and their neighbours, of one resource where it is given; ids that are not there are passed over."""
    found = yield from _with_neighbours(windows, resource_id)
    return [*(target for target, _ in found), *(message for _, near in found for message in near)]


def windows_of(
    include: Collection[Mapping[str, Any]], resource_id: str | None
) -> Steps[dict[str, tuple[Record, list[Record]]]]:
    """Each message that is there, by its id, and its window: itself with its neighbours, in any order."""
    found = yield from _with_neighbours(_windows(include), resource_id)
    return {target["id"]: (target, [target, *near]) for target, near in found}


def _with_neighbours(
    windows: Mapping[str, Window], resource_id: str | None
) -> Steps[list[tuple[Record, list[Record]]]]:
    mine = is_equal(resourceId=resource_id)
    targets = yield from records(Scan(MESSAGES, OneOf("id", tuple(windows)) & mine))
    found = []
    for target in targets:
        window = windows[target["id"]]
        thread = Is("thread_id", "=", target["threadId"]) & mine
        near: list[Record] = []
        for order, size in ((NEWEST_FIRST, window.older), (OLDEST_FIRST, window.newer)):
            if size:
                # Said twice, once simply, so that a store can use its index.
                side = Is("createdAt", "<=" if order == NEWEST_FIRST else ">=", target["createdAt"])
                beyond = side & after(order, _place(target))
                near += yield from records(Scan(MESSAGES, thread & beyond, order, limit=size))
        found.append((target, near))
    return found
