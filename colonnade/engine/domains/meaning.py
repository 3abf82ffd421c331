"""Recall by meaning: messages are embedded by a function of the user's, and found by what they are about."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from colonnade.engine.domains.arguments import ids_of, options
from colonnade.engine.domains.pages import whole
from colonnade.engine.domains.recall import NEWEST_FIRST, by_time, windows_of
from colonnade.engine.domains.vectors import Embedder, embed, embedded
from colonnade.engine.operation import C, Domain, operation
from colonnade.engine.plan import (
    Among,
    Filter,
    Is,
    Nearest,
    OneOf,
    Scan,
    Steps,
    after,
    is_equal,
    rows,
)
from colonnade.errors import InvalidInput
from colonnade.schemas.memory import MESSAGES, THREADS, VECTORS
from colonnade.schemas.records import Record, decode

TOP_K: Final = 4
_PAGE: Final = 100
"""Messages whose texts are given to the embedder at once."""


class Meaning(Domain[C]):
    """Operations on what messages are about."""

    @operation
    def embed_messages(
        self,
        *,
        embedder: Embedder,
        thread_id: str | None = None,
        resource_id: str | None = None,
        message_ids: Collection[str] | None = None,
        model: str = "",
        last: int | None = None,
    ) -> Steps[int]:
        """Embed messages that have no vector yet, the newest first; how many.

        All of them, or those of a thread, of a resource, with some ids, or the ``last`` so many. ``embedder`` takes a
        list of texts and gives a vector for each. It is called outside of any transaction, with a hundred messages at
        most. ``model`` names it where a store has vectors of several. What is embedded is the ``content`` within a
        message's content, or else the texts of its parts; a long one in pieces. Call it after messages were saved,
        changed or imported: what changed has lost its vectors.
        """
        chosen: Filter = is_equal(thread_id=thread_id, resourceId=resource_id)
        if message_ids is not None:
            chosen &= OneOf("id", ids_of(message_ids, "message_ids"))
        known = Scan(VECTORS, Is("model", "=", model) & is_equal(thread_id=thread_id), columns=("message_id",))
        where = chosen & ~Among("id", known, "message_id")
        left = None if last is None else whole("last", last)
        done, rest = 0, where
        while left is None or left > 0:
            size = _PAGE if left is None else min(_PAGE, left)
            page = decode(MESSAGES, (yield from rows(Scan(MESSAGES, rest, NEWEST_FIRST, size))))
            done += yield from embed(page, embedder, model)
            if len(page) < size:
                break
            left = None if left is None else left - len(page)
            newest = page[-1]["createdAt"]
            rest = where & Is("createdAt", "<=", newest) & after(NEWEST_FIRST, (newest, page[-1]["id"]))
        return done

    @operation
    def recall(
        self,
        *,
        thread_id: str,
        resource_id: str | None = None,
        text: str | None = None,
        vector: Sequence[float] | None = None,
        embedder: Embedder | None = None,
        top_k: int = TOP_K,
        message_range: int | Mapping[str, int] = 1,
        scope: str = "resource",
        threshold: float | None = None,
        model: str = "",
    ) -> Steps[Record]:
        """Messages about something, each with its neighbours: ``{hits, messages}``.

        What is looked for is a ``vector``, or a ``text`` with the ``embedder`` that messages were embedded by. The
        ``scope`` is where: all threads of the ``resource`` (whose id it takes), or the ``thread``. ``hits`` are the
        ``top_k`` nearest messages, nearest first: ``{message, score, window}``. The ``score`` is the cosine of the
        angle, at least ``threshold``. The ``window`` is the message with ``message_range`` neighbours on each side in
        its own thread (a number, or ``{before, after}``), oldest first. ``messages`` are all of them, each once, oldest
        first.

        ``InvalidInput`` where the thread belongs to another resource.
        """
        wanted = yield from _wanted(text, vector, embedder)
        limit = whole("top_k", top_k)
        older, newer = _range(message_range)
        yield from _owned(thread_id, resource_id)
        found = yield from _nearest(wanted, limit, _scope(scope, thread_id, resource_id) & Is("model", "=", model))
        best = {id: score for id, score in found.items() if threshold is None or score >= threshold}
        include = [{"id": id, "withPreviousMessages": older, "withNextMessages": newer} for id in best]
        windows = (yield from windows_of(include, resource_id if scope == "resource" else None)) if include else {}
        hits = []
        messages: dict[str, Record] = {}
        for id, score in best.items():
            if id in windows:
                target, window = windows[id]
                hits.append({"message": target, "score": score, "window": by_time(window)})
                messages |= {message["id"]: message for message in window}
        return {"hits": hits, "messages": by_time(messages.values())}


def _wanted(text: str | None, vector: Sequence[float] | None, embedder: Embedder | None) -> Steps[tuple[float, ...]]:
    if (text is None) == (vector is None):
        raise InvalidInput("recall takes either a text, with an embedder, or a vector")
    if vector is not None:
        return tuple(vector)
    if embedder is None or not isinstance(text, str) or not text.strip():
        raise InvalidInput("to recall by text takes some text, and the embedder that messages were embedded by")
    return tuple((yield from embedded(embedder, [text]))[0])


def _range(given: int | Mapping[str, int]) -> tuple[int, int]:
    if isinstance(given, Mapping):
        known = options(given, "message_range", ("before", "after"))
        return whole("before", known.get("before", 0)), whole("after", known.get("after", 0))
    size = whole("message_range", given)
    return size, size


def _scope(scope: str, thread_id: str, resource_id: str | None) -> Filter:
    match scope:
        case "thread":
            return Is("thread_id", "=", thread_id)
        case "resource" if resource_id is not None:
            return Is("resourceId", "=", resource_id)
        case "resource":
            raise InvalidInput("recall over a resource takes its resource_id; or pass scope='thread'")
    raise InvalidInput(f"scope is 'resource' or 'thread', not {scope!r:.80}")


def _owned(thread_id: str, resource_id: str | None) -> Steps[None]:
    """Refuse a thread of another resource; one that is not there yet is nobody's."""
    found = yield from rows(Scan(THREADS, Is("id", "=", thread_id), columns=("id", "resourceId")))
    owners = found.column("resourceId").to_pylist()
    if resource_id is not None and owners not in ([], [resource_id]):
        raise InvalidInput(f"thread {thread_id} belongs to another resource than {resource_id}")


def _nearest(vector: tuple[float, ...], limit: int, where: Filter) -> Steps[dict[str, float]]:
    """The nearest messages, each with the score of its nearest piece."""
    ask = limit
    while True:
        near = Nearest(VECTORS, "embedding", vector, ask, where, ("id", "message_id"))
        found = yield from rows(near)
        best: dict[str, float] = {}
        for id, score in zip(
            found.column("message_id").to_pylist(), found.column("similarity").to_pylist(), strict=True
        ):
            best.setdefault(id, score)
        if len(best) >= limit or found.num_rows < ask:
            return dict(list(best.items())[:limit])
        ask *= 2
