"""The memory domain (being written)."""

from __future__ import annotations

from typing import ClassVar

from colonnade.engine.operation import C, Domain


class Memory(Domain[C]):
    """The memory domain."""

    name: ClassVar[str] = "memory"
