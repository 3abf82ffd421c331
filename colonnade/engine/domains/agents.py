"""The agents domain: agents that are defined and changed while the program runs.

An agent is ``{id, name, instructions, model, ...}`` as the schema lists it. A field without a value is absent from the
record, never None.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Final

from colonnade.engine.domains.arguments import field_and_direction, later, merged, metadata_object
from colonnade.engine.domains.pages import PerPage, flat, paged, slice_of
from colonnade.engine.operation import C, Domain, atomic, clear_all, operation
from colonnade.engine.plan import TRUE, Delete, Is, Order, Put, Scan, Steps, change, records
from colonnade.errors import AlreadyExists, InvalidInput, NotFound
from colonnade.queries.selection import Selectable
from colonnade.schemas import AGENTS
from colonnade.schemas.records import Record, decode, encode_few
from colonnade.schemas.table import Table

PER_PAGE: Final = 100
"""Agents on a page unless said otherwise."""

_ORDERS: Final = ("createdAt", "updatedAt")


class Agents(Domain[C], Selectable[C]):
    """Stored agents: what to say, which model, which tools."""

    name: ClassVar[str] = "agents"
    selects: ClassVar[Table] = AGENTS

    @operation
    def init(self) -> Steps[None]:
        """Nothing: opening the storage has made the tables."""
        yield from ()

    @atomic
    def dangerously_clear_all(self) -> Steps[None]:
        """Delete every agent."""
        yield from clear_all(self.name)

    @operation
    def get_agent_by_id(self, *, id: str) -> Steps[Record | None]:
        """An agent, or None."""
        return next(iter((yield from _stored(id))), None)

    @atomic
    def create_agent(self, *, agent: Mapping[str, Any]) -> Steps[Record]:
        """Keep a new agent, and give it as it will be read.

        ``id``, ``name``, ``instructions`` and ``model`` are required; ``createdAt`` and ``updatedAt`` are now unless
        given. ``AlreadyExists`` where there is an agent of that id: of two that create one at once, exactly one
        succeeds.
        """
        now = self._clock.now()
        if not isinstance(agent, Mapping):
            raise InvalidInput(f"agent must be a dict of fields, not {type(agent).__name__}")
        given = {name: value for name, value in agent.items() if value is not None}
        data = encode_few(AGENTS, [{"createdAt": now, "updatedAt": now, **given}])
        if (yield from _stored(given["id"])):
            raise AlreadyExists(f"Agent with id {given['id']} already exists")
        yield from change(Put(AGENTS, data))
        return _present(decode(AGENTS, data)[0])

    @atomic
    def update_agent(self, /, *, id: str, **updates: Any) -> Steps[Record]:
        """Change an agent, and give it: ``update_agent(id="a1", name="Ada", defaultOptions={...})``.

        Fields have the API's names. Those that are given replace, and None clears; ``metadata`` is merged key by key.
        ``createdAt`` stays and ``updatedAt`` becomes now, whatever is given for them, so an agent can be passed back as
        it was read. ``NotFound`` where there is no such agent.
        """
        metadata = metadata_object(updates.get("metadata"))
        found = yield from _stored(id)
        if not found:
            raise NotFound(f"Agent with id {id} not found")
        agent = found[0]
        changed = {**agent, **updates, "createdAt": agent["createdAt"]}
        if metadata is not None:
            changed["metadata"] = merged(agent.get("metadata"), metadata)
        changed["updatedAt"] = later(self._clock.now(), agent["updatedAt"])
        data = encode_few(AGENTS, [changed])
        yield from change(Put(AGENTS, data))
        return _present(decode(AGENTS, data)[0])

    @operation
    def delete_agent(self, *, id: str) -> Steps[None]:
        """Delete an agent; nothing where there is none."""
        yield from change(Delete(AGENTS, Is("id", "=", id)))

    @operation
    def list_agents(
        self, *, page: int = 0, per_page: PerPage = None, order_by: Mapping[str, Any] | None = None
    ) -> Steps[Record]:
        """Agents, newest first, as ``{agents, total, page, perPage, hasMore}``; 100 on a page unless said otherwise.

        ``order_by`` is ``{field: createdAt | updatedAt, direction: ASC | DESC}``; what is missing or unknown in it is
        ``createdAt`` and ``DESC``.
        """
        asked = slice_of(page, per_page, PER_PAGE)
        order = Order(*field_and_direction(order_by, _ORDERS, "createdAt", "DESC"))
        agents, total = yield from paged(AGENTS, TRUE, (order,), asked)
        return flat("agents", [_present(agent) for agent in agents], total, asked)


def _stored(id: str) -> Steps[list[Record]]:
    return [_present(agent) for agent in (yield from records(Scan(AGENTS, Is("id", "=", id))))]


def _present(agent: Record) -> Record:
    """The record without the fields that have no value."""
    return {name: value for name, value in agent.items() if value is not None}
