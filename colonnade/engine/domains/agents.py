"""The agents domain (being written)."""

from __future__ import annotations

from typing import ClassVar

from colonnade.engine.operation import C, Domain


class Agents(Domain[C]):
    """The agents domain."""

    name: ClassVar[str] = "agents"
