"""The scores domain (being written)."""

from __future__ import annotations

from typing import ClassVar

from colonnade.engine.operation import C, Domain


class Scores(Domain[C]):
    """The scores domain."""

    name: ClassVar[str] = "scores"
