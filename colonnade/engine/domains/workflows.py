"""The workflows domain (being written)."""

from __future__ import annotations

from typing import ClassVar

from colonnade.engine.operation import C, Domain


class Workflows(Domain[C]):
    """The workflows domain."""

    name: ClassVar[str] = "workflows"
