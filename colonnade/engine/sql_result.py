"""The answer to user SQL: rows in the form you like, from a query that can be cancelled while it runs."""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Self

import pyarrow as pa

from colonnade.engine.running import Engine, Running
from colonnade.engine.sql_lengths import lengths_of, with_lengths
from colonnade.errors import QueryCancelled, QueryError
from colonnade.queries.shown import Rows

if TYPE_CHECKING:
    import polars

_PLAN: Final = ["explain_key", "explain_value"]


class SqlResult(Rows):
    """The rows that a query gives.

    The query runs in the background from the start; whatever reads the rows waits for it. ``arrow``, ``polars`` and
    ``rows`` read all of them, keep them, and may be called in turn; ``batches`` streams them once, for results that do
    not fit into memory. Ctrl-C, ``cancel`` and ``close`` stop the query; so does the end of the result's life. Reading
    raises ``QueryError`` where the query fails on its way.
    """

    def __init__(self, engine: Engine, timeout: float | None, begun: float) -> None:
        self._running = Running(engine, timeout, begun)
        self._bound = self._running.begin(engine.bind)
        self._schema = self._running.begin(engine.run)
        self._read = engine.read
        self._rows: pa.Table | None = None
        weakref.finalize(self, self._running.stop, QueryCancelled("the result is gone"))

    def bound(self) -> Self:
        """The result itself, once it is known that the query makes sense."""
        self._running.wait(self._bound)
        return self

    @property
    def schema(self) -> pa.Schema:
        """Names and Arrow types of the columns; waits for the first rows. Lengths of time are durations."""
        return with_lengths(self._running.wait(self._schema))

    def batches(self) -> Iterator[pa.RecordBatch]:
        """Record batches as they come, once. What is not read of them when the iterator ends is let go."""
        if self._rows is not None:
            yield from self._rows.to_batches()
            return
        try:
            schema = self.schema
            while (batch := self._running.wait(self._running.begin(self._read))) is not None:
                yield lengths_of(batch, schema)
        finally:
            self._running.stop(QueryError("these rows were read as a stream, once: ask again, or use arrow()"))

    def arrow(self) -> pa.Table:
        """All rows as an Arrow table."""
        if self._rows is None:
            schema = self.schema
            self._rows = pa.Table.from_batches(self.batches(), schema)
        return self._rows

    def polars(self) -> polars.DataFrame:
        """All rows as a Polars frame. ``QueryError`` for a column of a type that Polars has not: a union, or intervals
        within a list.
        """
        import polars

        for field in self.schema:
            if not _has_polars(field.type):
                raise QueryError(
                    f"Polars has no type for {field.name} ({field.type}): cast it, or use arrow() or rows()"
                )
        frame = polars.from_arrow(self.arrow())
        return frame if isinstance(frame, polars.DataFrame) else frame.to_frame()

    def rows(self) -> list[dict[str, Any]]:
        """All rows as dicts."""
        return list(self.arrow().to_pylist())

    def __arrow_c_stream__(self, requested_schema: object | None = None) -> object:
        """The rows for any library that reads Arrow: ``polars.DataFrame(result)``, ``pyarrow.table(result)``."""
        stream = pa.RecordBatchReader.from_batches(self.schema, self.batches())
        return stream.__arrow_c_stream__(requested_schema)

    def cancel(self) -> None:
        """Stop the query, from any thread: whoever reads its rows gets ``QueryCancelled``."""
        self._running.stop(QueryCancelled("the query was cancelled"))

    def close(self) -> None:
        """Let the query go, as its storage does when it is closed. Rows that ``arrow`` and its like have read stay."""
        why = "closed before these rows were read, the result or its storage: ask again, and keep them with arrow()"
        self._running.stop(QueryCancelled(why))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    @property
    def plan(self) -> str | None:
        """What ``explain`` says, as text; ``None`` for any other query."""
        if self.schema.names != _PLAN:
            return None
        return "\n".join(str(plan).rstrip() for plan in self.arrow().column("explain_value").to_pylist())

    def __str__(self) -> str:
        """A plan as text, other rows as Polars shows them. Reads all rows."""
        if (plan := self.plan) is not None:
            return plan
        return str(self.polars()) if all(_has_polars(field.type) for field in self.schema) else str(self.arrow())

    def __repr__(self) -> str:
        if not self._schema.done():
            return "<SqlResult that runs>"
        if self._schema.exception() is not None:
            return f"<SqlResult that failed: {self._schema.exception()}>"
        rows = "" if self._rows is None else f"{self._rows.num_rows:,} rows of "
        return f"<SqlResult {rows}{', '.join(self._schema.result().names)}>"


def _has_polars(kind: pa.DataType) -> bool:
    """Whether Polars has a type for an Arrow type; where it has not, it fails in ways that nobody can catch."""
    if pa.types.is_union(kind) or kind == pa.month_day_nano_interval():
        return False
    return all(_has_polars(kind.field(place).type) for place in range(kind.num_fields))
