"""Working memory: what an agent keeps in mind, of a resource over all of its threads, or of one thread."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from colonnade.engine.domains.arguments import later, merged
from colonnade.engine.domains.resources import changed_resource
from colonnade.engine.operation import C, Domain, atomic, operation
from colonnade.engine.plan import Is, Put, Scan, Steps, change, rows
from colonnade.errors import InvalidInput, NotFound
from colonnade.schemas.memory import RESOURCES, THREADS
from colonnade.schemas.records import Record, decode, encode

Scope = Literal["resource", "thread"]


class Working(Domain[C]):
    """Operations on working memory."""

    @operation
    def get_working_memory(
        self, *, thread_id: str | None = None, resource_id: str | None = None, scope: Scope = "resource"
    ) -> Steps[str | None]:
        """Working memory of a resource, or (``scope="thread"``) of a thread; ``None`` where nothing was kept."""
        id = _id(scope, thread_id, resource_id)
        if scope == "thread":
            thread = yield from _thread(id)
            return None if thread is None else text_in(thread["metadata"])
        found = yield from rows(Scan(RESOURCES, Is("id", "=", id), columns=("id", "workingMemory")))
        texts: list[str | None] = [resource["workingMemory"] for resource in decode(RESOURCES, found)]
        return texts[0] if texts else None

    @atomic
    def update_working_memory(
        self, *, text: str, thread_id: str | None = None, resource_id: str | None = None, scope: Scope = "resource"
    ) -> Steps[None]:
        """Replace working memory of a resource, which is made where it is missing, or (``scope="thread"``) of a thread.

        A thread keeps it in its metadata, under ``workingMemory``; ``NotFound`` where there is no such thread.
        """
        if not isinstance(text, str):
            raise InvalidInput(f"working memory is text, not {type(text).__name__}; keep objects as JSON")
        id = _id(scope, thread_id, resource_id)
        if scope == "resource":
            yield from changed_resource(id, self._clock.now(), working_memory=text)
            return
        thread = yield from _thread(id)
        if thread is None:
            raise NotFound(f"Thread with id {id} not found; save it with save_thread() first")
        thread["metadata"] = merged(thread["metadata"], {"workingMemory": text})
        thread["updatedAt"] = later(self._clock.now(), thread["updatedAt"])
        yield from change(Put(THREADS, encode(THREADS, [thread])))


def text_in(metadata: Any) -> str | None:
    """The working memory in the metadata of a thread."""
    text = metadata.get("workingMemory") if isinstance(metadata, Mapping) else None
    return text if isinstance(text, str) else None


def _id(scope: str, thread_id: str | None, resource_id: str | None) -> str:
    if scope not in ("resource", "thread"):
        raise InvalidInput(f"scope is 'resource' or 'thread', not {scope!r:.80}")
    id = thread_id if scope == "thread" else resource_id
    if id is None:
        raise InvalidInput(f"working memory of a {scope} takes its {scope}_id")
    return id


def _thread(id: str) -> Steps[Record | None]:
    found = yield from rows(Scan(THREADS, Is("id", "=", id)))
    return next(iter(decode(THREADS, found)), None)
