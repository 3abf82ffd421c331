"""Messages of the memory domain: what was said in the threads."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final

from colonnade.engine.domains.arguments import (
    field_and_direction,
    filled,
    ids_of,
    listed,
    merged,
    metadata_is,
    options,
    time_range,
)
from colonnade.engine.domains.pages import PerPage, slice_of, whole
from colonnade.engine.domains.recall import NEWEST_FIRST, OLDEST_FIRST, by_time, recall
from colonnade.engine.domains.threads import touch
from colonnade.engine.domains.vectors import Embedder, embed_missing, follow, forget
from colonnade.engine.operation import C, Domain, as_one, atomic, operation
from colonnade.engine.plan import At, Delete, Filter, Is, OneOf, Order, Put, Scan, Steps, change, is_equal, records
from colonnade.errors import InvalidInput, InvalidRows, Problem
from colonnade.schemas.few import FewRows
from colonnade.schemas.memory import MESSAGES
from colonnade.schemas.records import Record, decode, encode_few

LAST: Final = 10
"""Messages that are the last ones unless said otherwise."""
PER_PAGE: Final = 40
"""Messages on a page unless said otherwise."""


class Messages(Domain[C]):
    """Operations on messages."""

    @operation
    def list_messages(
        self,
        *,
        thread_id: str | Sequence[str],
        resource_id: str | None = None,
        include: Collection[Mapping[str, Any]] | None = None,
        page: int = 0,
        per_page: PerPage = None,
        filter: Mapping[str, Any] | None = None,
        order_by: Mapping[str, str] | None = None,
        include_total: bool = True,
    ) -> Steps[Record]:
        """A page of the messages of a thread, or of several: ``{messages, total, page, perPage, hasMore}``.

        Oldest first unless ``order_by`` is ``{field: createdAt, direction: DESC}``; 40 a page. ``filter`` is
        ``{dateRange: {start, end, startExclusive, endExclusive}, metadata}``; ``metadata`` compares top-level keys of
        ``content.metadata`` with texts, finite numbers, booleans or ``None``, exactly.

        ``include`` adds messages of any thread, each with its neighbours in its own thread:
        ``[{id, withPreviousMessages, withNextMessages}]``. ``per_page=0`` gives the included messages alone, and
        ``total`` is 0. With ``resource_id`` all messages, the included ones too, are of that resource.

        ``include_total=False`` saves the count: ``total`` is then where the page ends.
        """
        where = _in_threads(thread_id) & is_equal(resourceId=resource_id) & _filter(filter)
        return (
            yield from recall(
                where,
                _order(order_by),
                slice_of(page, per_page, PER_PAGE),
                include=include,
                resource_id=resource_id,
                include_total=include_total,
            )
        )

    @operation
    def list_messages_by_resource_id(
        self,
        *,
        resource_id: str,
        include: Collection[Mapping[str, Any]] | None = None,
        page: int = 0,
        per_page: PerPage = None,
        filter: Mapping[str, Any] | None = None,
        order_by: Mapping[str, str] | None = None,
        include_total: bool = True,
    ) -> Steps[Record]:
        """A page of a resource's messages over all of its threads, as ``list_messages`` gives it."""
        return (
            yield from recall(
                Is("resourceId", "=", resource_id) & _filter(filter),
                _order(order_by),
                slice_of(page, per_page, PER_PAGE),
                include=include,
                resource_id=resource_id,
                include_total=include_total,
            )
        )

    @operation
    def last_messages(self, *, thread_id: str, resource_id: str | None = None, last: int = LAST) -> Steps[Record]:
        """The last messages of a thread, oldest first, without those of the system: ``{messages}``."""
        where = _in_threads(thread_id) & is_equal(resourceId=resource_id)
        found = yield from records(Scan(MESSAGES, where, NEWEST_FIRST, limit=whole("last", last)))
        return {"messages": by_time(message for message in found if message["role"] != "system")}

    @operation
    def list_messages_by_id(self, *, message_ids: Collection[str]) -> Steps[Record]:
        """The messages with these ids, oldest first: ``{messages}``. Ids that are not there are passed over."""
        ids = ids_of(message_ids, "message_ids")
        found = (yield from _messages(ids)) if ids else []
        return {"messages": by_time(found)}

    @operation
    def save_messages(
        self, *, messages: Sequence[Mapping[str, Any]], embedder: Embedder | None = None, model: str = ""
    ) -> Steps[Record]:
        """Keep messages, each in the place of one with its id: ``{messages}``, as kept. All of them, or none.

        ``id``, ``threadId``, ``resourceId``, ``role`` and ``content`` (any JSON) are required; ``type`` is ``v2`` and
        ``createdAt`` now, in the order given, where they are missing. A message that is there already keeps its
        ``createdAt``; under another ``threadId`` it moves there. ``updatedAt`` of the threads moves forward; a thread
        need not be there. With an ``embedder`` they are embedded afterwards, as by ``embed_messages``. ``InvalidRows``
        lists all that is wrong.
        """
        data = self._rows(listed(messages, "messages"))
        saved = yield from as_one(lambda: self._saved(data))
        if embedder is not None:
            yield from embed_missing(saved["messages"], embedder, model)
        return saved

    def _saved(self, data: FewRows) -> Steps[Record]:
        kept: dict[str, Record] = {}
        for message in decode(MESSAGES, data):
            if before := kept.get(message["id"]):
                message["createdAt"] = before["createdAt"]
            kept[message["id"]] = message
        if not kept:
            return {"messages": []}
        stored: list[Record] = yield from _messages(tuple(kept))
        for message in stored:
            kept[message["id"]]["createdAt"] = message["createdAt"]
        threads = {message["threadId"] for message in (*stored, *kept.values())}
        # Threads before messages here and below: an operation that is run again then finds the messages as they were.
        yield from touch(threads, self._clock.now())
        yield from change(Put(MESSAGES, data))
        yield from follow(stored, kept)
        return {"messages": list(kept.values())}

    @operation
    def update_messages(
        self, *, messages: Sequence[Mapping[str, Any]], embedder: Embedder | None = None, model: str = ""
    ) -> Steps[list[Record]]:
        """Change messages and give them: each is a dict with an ``id`` and what is to change; what is ``None`` stays.

        ``role``, ``type``, ``resourceId`` and ``threadId`` overwrite; ``createdAt`` stays. Of ``content`` the given
        keys overwrite, and ``metadata`` inside it is merged key by key; content that is no dict is replaced.
        ``updatedAt`` of the threads moves forward, of both where a message moves. Ids that are not there are passed
        over. What changes its text loses its vectors, and gets new ones with an ``embedder``. ``InvalidRows`` lists all
        that is wrong, whether the message is there or not.
        """
        changes = [filled(partial) for partial in listed(messages, "messages")]
        # Each completed to a whole message, so that it can be checked in its own place before anything is read.
        self._rows([filled(partial, threadId="-", resourceId="-", role="", content={}) for partial in changes])
        updated = yield from as_one(lambda: self._updated(changes))
        if embedder is not None:
            yield from embed_missing(updated, embedder, model)
        return updated

    def _updated(self, changes: Sequence[Record]) -> Steps[list[Record]]:
        ids = tuple(dict.fromkeys(partial["id"] for partial in changes))
        stored: list[Record] = (yield from _messages(ids)) if ids else []
        known = {message["id"]: message for message in stored}
        threads = {message["threadId"] for message in known.values()}
        for partial in changes:
            if message := known.get(partial["id"]):
                content = message["content"]
                content = _merged_content(content, partial["content"]) if "content" in partial else content
                known[partial["id"]] = {**message, **partial, "content": content, "createdAt": message["createdAt"]}
                threads.add(known[partial["id"]]["threadId"])
        if not known:
            return []
        updated = [known[id] for id in ids if id in known]
        data = encode_few(MESSAGES, updated)
        yield from touch(threads, self._clock.now())
        yield from change(Put(MESSAGES, data))
        yield from follow(stored, known)
        return decode(MESSAGES, data)

    @atomic
    def delete_messages(self, message_ids: Collection[str]) -> Steps[None]:
        """Delete messages; ``updatedAt`` of their threads moves forward. Ids that are not there are passed over."""
        ids = ids_of(message_ids, "message_ids")
        if not ids:
            return
        mine = OneOf("id", ids)
        found = yield from records(Scan(MESSAGES, mine, columns=("id", "thread_id")))
        yield from touch({message["threadId"] for message in found}, self._clock.now())
        yield from change(Delete(MESSAGES, mine))
        yield from forget(ids)

    def _rows(self, messages: Sequence[Mapping[str, Any]]) -> FewRows:
        """Messages with their defaults, encoded; ``InvalidRows`` for what the schema refuses, or ``save_messages``."""
        problems: list[Problem] = []
        for row, message in enumerate(messages):
            for field in ("threadId", "resourceId") if isinstance(message, Mapping) else ():
                value = message.get(field)
                if value is None and field == "resourceId":  # its column takes null, which other tools have written
                    problems.append(Problem(row, field, "is required"))
                if isinstance(value, str) and value and not value.strip():
                    problems.append(Problem(row, field, "must not be blank"))
        try:
            data = encode_few(
                MESSAGES, [filled(message, type="v2", createdAt=self._clock.now()) for message in messages]
            )
        except InvalidRows as error:
            problems.extend(error.problems)
        if problems:
            raise InvalidRows(MESSAGES.name, sorted(problems, key=lambda problem: problem.row))
        return data


def _messages(ids: tuple[str, ...]) -> Steps[list[Record]]:
    return (yield from records(Scan(MESSAGES, OneOf("id", ids))))


def _in_threads(thread_id: Any) -> Filter:
    ids = (thread_id,) if isinstance(thread_id, str) else thread_id
    if not isinstance(ids, Sequence) or not ids or not all(isinstance(id, str) and id.strip() for id in ids):
        raise InvalidInput("threadId must be a non-empty string or array of non-empty strings")
    return Is("thread_id", "=", ids[0]) if len(ids) == 1 else OneOf("thread_id", tuple(dict.fromkeys(ids)))


def _filter(given: Mapping[str, Any] | None) -> Filter:
    known = options(given, "filter", ("dateRange", "metadata"))
    metadata = metadata_is(known.get("metadata"), lambda key: At("content", ("metadata", key)), scalars=True)
    return time_range(MESSAGES, "createdAt", known.get("dateRange")) & metadata


def _order(order_by: Mapping[str, str] | None) -> tuple[Order, ...]:
    _, newest_first = field_and_direction(order_by, ("createdAt",), "createdAt", "ASC")
    return NEWEST_FIRST if newest_first else OLDEST_FIRST


def _merged_content(stored: Any, given: Any) -> Any:
    if not isinstance(given, Mapping) or not isinstance(stored, Mapping):
        return given
    content = {**stored, **given}
    if isinstance(given.get("metadata"), Mapping):
        content["metadata"] = merged(stored.get("metadata"), given["metadata"])
    return content
