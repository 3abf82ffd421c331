"""The memory domain: threads, the messages in them, and the resources (users, entities) that own them."""

from __future__ import annotations

from typing import ClassVar

from colonnade.engine.domains.meaning import Meaning
from colonnade.engine.domains.messages import Messages
from colonnade.engine.domains.resources import Resources
from colonnade.engine.domains.threads import Threads
from colonnade.engine.domains.working import Working
from colonnade.engine.operation import C, clear_all, operation
from colonnade.engine.plan import Steps


class Memory(Threads[C], Messages[C], Meaning[C], Resources[C], Working[C]):
    """What an agent remembers.

    Records are dicts with the API's field names and every field of their table, ``None`` where there is no value.
    """

    name: ClassVar[str] = "memory"

    @operation
    def init(self) -> Steps[None]:
        """Nothing: the store that keeps the domain is made ready when it is opened."""
        yield from ()

    @operation
    def dangerously_clear_all(self) -> Steps[None]:
        """Delete all threads, messages with their vectors, and resources."""
        yield from clear_all(self.name)
