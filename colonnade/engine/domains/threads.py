"""Threads of the memory domain: conversations, which group messages and belong to a resource."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any, Final

from colonnade.engine.domains.arguments import (
    field_and_direction,
    filled,
    ids_of,
    later,
    merged,
    metadata_is,
    metadata_object,
    options,
    time_range,
)
from colonnade.engine.domains.pages import FARTHEST, PerPage, flat, paged, slice_of, whole
from colonnade.engine.domains.recall import NEWEST_FIRST
from colonnade.engine.domains.resources import changed_resource
from colonnade.engine.domains.vectors import copy_vectors
from colonnade.engine.domains.working import text_in
from colonnade.engine.operation import C, Domain, atomic, new_id, operation
from colonnade.engine.plan import (
    At,
    Delete,
    Filter,
    Is,
    OneOf,
    Order,
    Patch,
    Put,
    Scan,
    Steps,
    change,
    is_equal,
    records,
)
from colonnade.errors import AlreadyExists, NotFound
from colonnade.schemas.memory import MESSAGES, THREADS, VECTORS
from colonnade.schemas.records import Record, decode, encode_few

PER_PAGE: Final = 100
"""Threads on a page unless said otherwise."""


class Threads(Domain[C]):
    """Operations on threads."""

    @operation
    def get_thread_by_id(self, *, thread_id: str, resource_id: str | None = None) -> Steps[Record | None]:
        """A thread, or ``None``; with ``resource_id`` only where that resource owns it."""
        found = yield from records(Scan(THREADS, Is("id", "=", thread_id) & is_equal(resourceId=resource_id)))
        return next(iter(found), None)

    @atomic
    def save_thread(self, *, thread: Mapping[str, Any]) -> Steps[Record]:
        """Keep a thread, in the place of one with its id; gives it as kept.

        ``id`` and ``resourceId`` are required. A missing ``title`` is empty, missing ``metadata`` null, missing
        ``createdAt`` and ``updatedAt`` now. Working memory in its metadata (``workingMemory``, a text) becomes that of
        its resource too. ``InvalidRows`` lists what is wrong with it.
        """
        now = self._clock.now()
        data = encode_few(THREADS, [filled(thread, title="", createdAt=now, updatedAt=now)])
        metadata_object(thread.get("metadata"))
        if (text := text_in(thread.get("metadata"))) is not None:
            yield from changed_resource(thread["resourceId"], now, working_memory=text)
        yield from change(Put(THREADS, data))
        return decode(THREADS, data)[0]

    @atomic
    def update_thread(
        self, *, id: str, title: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> Steps[Record]:
        """Change a thread and give it: sets ``title``, merges ``metadata`` key by key; what is ``None`` stays.

        ``NotFound`` where there is no such thread.
        """
        metadata_object(metadata)
        found = yield from records(Scan(THREADS, Is("id", "=", id)))
        if not found:
            raise NotFound(f"Thread with id {id} not found; save it with save_thread() first")
        thread = found[0]
        thread["updatedAt"] = later(self._clock.now(), thread["updatedAt"])
        if title is not None:
            thread["title"] = title
        if metadata is not None:
            thread["metadata"] = merged(thread["metadata"], metadata)
        data = encode_few(THREADS, [thread])
        yield from change(Put(THREADS, data))
        return decode(THREADS, data)[0]

    @atomic
    def delete_thread(self, *, thread_id: str) -> Steps[None]:
        """Delete a thread and all of its messages, with their vectors; nothing where there is none."""
        yield from change(Delete(VECTORS, Is("thread_id", "=", thread_id)))
        yield from change(Delete(MESSAGES, Is("thread_id", "=", thread_id)))
        yield from change(Delete(THREADS, Is("id", "=", thread_id)))

    @operation
    def list_threads(
        self,
        *,
        filter: Mapping[str, Any] | None = None,
        page: int = 0,
        per_page: PerPage = None,
        order_by: Mapping[str, str] | None = None,
    ) -> Steps[Record]:
        """A page of threads: ``{threads, total, page, perPage, hasMore}``, newest first, 100 a page.

        ``filter`` is ``{resourceId, metadata}``: ``metadata`` keeps the threads in which every given key has exactly
        the given value. ``order_by`` is ``{field, direction}`` with ``createdAt`` or ``updatedAt``, ``ASC`` or
        ``DESC``.
        """
        known = options(filter, "filter", ("resourceId", "metadata"))
        where = is_equal(resourceId=known.get("resourceId")) & metadata_is(
            known.get("metadata"), lambda key: At("metadata", (key,))
        )
        return (yield from _threads(where, page, per_page, order_by))

    @operation
    def list_threads_by_resource_id(
        self,
        *,
        resource_id: str,
        page: int = 0,
        per_page: PerPage = None,
        order_by: Mapping[str, str] | None = None,
    ) -> Steps[Record]:
        """A page of a resource's threads, as ``list_threads`` gives it."""
        return (yield from _threads(Is("resourceId", "=", resource_id), page, per_page, order_by))

    @atomic
    def clone_thread(
        self,
        *,
        source_thread_id: str,
        new_thread_id: str | None = None,
        resource_id: str | None = None,
        title: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        options: Mapping[str, Any] | None = None,
    ) -> Steps[Record]:
        """Copy a thread with its messages: ``{thread, clonedMessages, messageIdMap}``.

        The copies have new ids, the time and order of their originals, and belong to ``resource_id`` or else the
        source's. The new title is ``title`` or ``Clone of`` the source's. The new metadata is ``metadata`` with
        ``clone: {sourceThreadId, clonedAt, lastMessageId}`` (the source's last copied message). ``options`` chooses:
        ``{messageLimit, messageFilter: {messageIds, startDate, endDate}}``, first the filter, then the last
        ``messageLimit`` messages. ``messageIdMap`` gives the new id of each copied message.

        ``NotFound`` where there is no such source, ``AlreadyExists`` where ``new_thread_id`` is taken.
        """
        metadata_object(metadata)
        chosen, limit = _chosen(source_thread_id, options)
        target = new_id() if new_thread_id is None else new_thread_id
        found = yield from records(Scan(THREADS, OneOf("id", (source_thread_id, target))))
        threads = {thread["id"]: thread for thread in found}
        if source_thread_id not in threads:
            raise NotFound(f"Source thread with id {source_thread_id} not found")
        if target in threads:
            raise AlreadyExists(f"Thread with id {target} already exists; give another new_thread_id, or none")
        source = threads[source_thread_id]
        owner = source["resourceId"] if resource_id is None else resource_id

        originals = (yield from records(Scan(MESSAGES, chosen, NEWEST_FIRST, limit=limit)))[::-1]
        # Ids break ties of time. Sorted ones keep messages of one moment in the order that they had.
        new_ids = sorted(new_id() for _ in originals)
        copies = [
            {**original, "id": id, "threadId": target, "resourceId": owner}
            for original, id in zip(originals, new_ids, strict=True)
        ]
        now = self._clock.now()
        clone = {"sourceThreadId": source_thread_id, "clonedAt": now.isoformat()}
        if originals:
            clone["lastMessageId"] = originals[-1]["id"]
        copied_title = f"Clone of {source['title']}" if source["title"] else ""
        thread = {
            "id": target,
            "resourceId": owner,
            "title": copied_title if title is None else title,
            "metadata": merged(metadata, {"clone": clone}),
            "createdAt": now,
            "updatedAt": now,
        }
        # The thread first: it claims the id, so that no message can reach a thread that another made meanwhile.
        thread_row, message_rows = encode_few(THREADS, [thread]), encode_few(MESSAGES, copies)
        yield from change(Put(THREADS, thread_row))
        yield from change(Put(MESSAGES, message_rows))
        made = {original["id"]: copy for original, copy in zip(originals, copies, strict=True)}
        yield from copy_vectors(made)
        return {
            "thread": decode(THREADS, thread_row)[0],
            "clonedMessages": copies,
            "messageIdMap": {original["id"]: id for original, id in zip(originals, new_ids, strict=True)},
        }


def _threads(where: Filter, page: int, per_page: PerPage, order_by: Mapping[str, str] | None) -> Steps[Record]:
    field, descending = field_and_direction(order_by, ("createdAt", "updatedAt"), "createdAt", "DESC")
    wanted = slice_of(page, per_page, PER_PAGE)
    threads, total = yield from paged(THREADS, where, (Order(field, descending),), wanted)
    return flat("threads", threads, total, wanted)


def _chosen(source: str, given: Mapping[str, Any] | None) -> tuple[Filter, int | None]:
    """Which messages of a thread are copied, and how many of the last of them."""
    known = options(given, "options", ("messageLimit", "messageFilter"))
    limit = min(whole("messageLimit", known["messageLimit"]), FARTHEST) if "messageLimit" in known else None
    wanted = options(known.get("messageFilter"), "messageFilter", ("messageIds", "startDate", "endDate"))
    where = Is("thread_id", "=", source) & time_range(
        MESSAGES, "createdAt", {"start": wanted.get("startDate"), "end": wanted.get("endDate")}
    )
    if "messageIds" in wanted:
        where &= OneOf("id", ids_of(wanted["messageIds"], "messageIds"))
    return where, limit


def touch(threads: Collection[str], now: datetime) -> Steps[None]:
    """Move ``updatedAt`` of threads forward; those that are not there are passed over."""
    if not threads:
        return
    mine = OneOf("id", tuple(sorted(threads)))
    touched = yield from change(Patch(THREADS, mine & Is("updatedAt", "<", now), {"updatedAt": now}))
    if touched == len(threads):
        return
    # What was changed later than now, by another clock, still moves forward.
    ahead = yield from records(Scan(THREADS, mine & Is("updatedAt", ">=", now), columns=("id", "updatedAt")))
    for thread in ahead:
        moment = later(now, thread["updatedAt"])
        # Where there are no transactions another client may have moved it further meanwhile: it must not move back.
        behind = Is("id", "=", thread["id"]) & Is("updatedAt", "<", moment)
        yield from change(Patch(THREADS, behind, {"updatedAt": moment}))
