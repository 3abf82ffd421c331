"""The tables of a storage as selections: ``store.spans``, ``store.messages`` ..."""

from __future__ import annotations

from typing import Generic, cast

from colonnade.engine.operation import C
from colonnade.engine.plan import Null
from colonnade.queries.selection import Reader, Selection
from colonnade.schemas import EVALS, MESSAGES, RESOURCES, SPANS, THREADS, table_named
from colonnade.schemas.table import Table


class Tables(Generic[C]):
    """What a storage keeps, table by table, to be narrowed and read.

    Scores, workflow runs and agents have domains of their names, which are selections themselves:
    ``store.scores.where(scorerId="reward")``.
    """

    def table(self, table: Table | str) -> Selection[C]:
        """The rows of any table, by its name: ``store.table("workflows")``."""
        found = table_named(table) if isinstance(table, str) else table
        return Selection(cast("Reader", self), found)

    @property
    def spans(self) -> Selection[C]:
        """All spans."""
        return self.table(SPANS)

    @property
    def traces(self) -> Selection[C]:
        """All traces, each by its root span."""
        return self.table(SPANS).where(Null("parentSpanId"))

    @property
    def evals(self) -> Selection[C]:
        """Results of metrics, in the layout of the source documents."""
        return self.table(EVALS)

    @property
    def threads(self) -> Selection[C]:
        """All threads."""
        return self.table(THREADS)

    @property
    def messages(self) -> Selection[C]:
        """The messages of all threads."""
        return self.table(MESSAGES)

    @property
    def resources(self) -> Selection[C]:
        """All resources, with their working memory."""
        return self.table(RESOURCES)
