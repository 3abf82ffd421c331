"""Resources of the memory domain: users and entities, with the working memory that is kept of each."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from colonnade.engine.domains.arguments import filled, later, merged, metadata_object
from colonnade.engine.operation import C, Domain, atomic, operation
from colonnade.engine.plan import Is, Put, Scan, Steps, change, records
from colonnade.schemas.memory import RESOURCES
from colonnade.schemas.records import Record, decode, encode_few


class Resources(Domain[C]):
    """Operations on resources."""

    @operation
    def get_resource_by_id(self, *, resource_id: str) -> Steps[Record | None]:
        """A resource, or ``None``."""
        return (yield from _resource(resource_id))

    @operation
    def save_resource(self, *, resource: Mapping[str, Any]) -> Steps[Record]:
        """Keep a resource, in the place of one with its id; gives it as kept.

        ``id`` is required; ``createdAt`` and ``updatedAt`` are now where they are missing. ``InvalidRows`` lists what
        is wrong with it.
        """
        now = self._clock.now()
        data = encode_few(RESOURCES, [filled(resource, createdAt=now, updatedAt=now)])
        metadata_object(resource.get("metadata"))
        yield from change(Put(RESOURCES, data))
        return decode(RESOURCES, data)[0]

    @atomic
    def update_resource(
        self, *, resource_id: str, working_memory: str | None = None, metadata: Mapping[str, Any] | None = None
    ) -> Steps[Record]:
        """Change a resource, or make it where it is missing; gives it as kept.

        ``working_memory`` replaces what was there (the empty text too, ``None`` leaves it); ``metadata`` is merged into
        what was there, key by key. Updates at the same time all stay visible.
        """
        metadata_object(metadata)
        now = self._clock.now()
        return (yield from changed_resource(resource_id, now, working_memory=working_memory, metadata=metadata))


def changed_resource(
    resource_id: str, now: datetime, *, working_memory: str | None = None, metadata: Mapping[str, Any] | None = None
) -> Steps[Record]:
    """Change a resource, or make it where it is missing; steps of an atomic operation."""
    stored = yield from _resource(resource_id)
    resource = stored or {"id": resource_id, "metadata": {}, "createdAt": now, "updatedAt": now}
    if working_memory is not None:
        resource["workingMemory"] = working_memory
    if metadata is not None:
        resource["metadata"] = merged(resource["metadata"], metadata)
    if stored is not None:
        resource["updatedAt"] = later(now, resource["updatedAt"])
    data = encode_few(RESOURCES, [resource])
    yield from change(Put(RESOURCES, data))
    return decode(RESOURCES, data)[0]


def _resource(resource_id: str) -> Steps[Record | None]:
    found = yield from records(Scan(RESOURCES, Is("id", "=", resource_id)))
    return next(iter(found), None)
