"""The observability domain (being written)."""

from __future__ import annotations

from typing import ClassVar

from colonnade.engine.operation import C, Domain


class Observability(Domain[C]):
    """The observability domain."""

    name: ClassVar[str] = "observability"
