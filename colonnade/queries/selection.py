"""Rows as values: which rows of a table, and which columns; narrowed step by step, read when an end is called.

``store.spans.where(name="chat", since="24h").to_polars()``
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol, cast, overload

import pyarrow as pa

from colonnade.engine.operation import Async, Bound, C, Runner, Sync, operation, streamed
from colonnade.engine.plan import TRUE, Filter, Order, Scan, Steps, count, records
from colonnade.errors import InvalidInput
from colonnade.queries.exports import writing
from colonnade.queries.frames import framing, pandas_frame
from colonnade.queries.pages import When, window
from colonnade.queries.selection_columns import Column, column_name, condition, place_of
from colonnade.queries.selection_reading import MAX_BYTES, Wanted, bound, shape, taking
from colonnade.queries.selection_words import in_words, instead
from colonnade.queries.times import time_of
from colonnade.queries.watching import Progress
from colonnade.schemas.records import Record
from colonnade.schemas.table import Table

if TYPE_CHECKING:
    import pandas
    import polars


class Reader(Runner, Protocol):
    """What a selection is read by: a storage."""

    def batches(self, plan: Scan) -> Any:
        """The rows of a scan as a stream, in the reader's colour."""

    def blocking(self, plan: Scan) -> Iterator[pa.RecordBatch]:
        """The same as a plain iterator, whatever the colour; ``Unsupported`` where no driver blocks."""


class Selectable(Bound[C]):
    """Rows that can be narrowed, and read in the form you like.

    Narrowing gives a new selection and reads nothing. What reads is awaited where the storage is async.
    """

    selects: ClassVar[Table]
    """Of a domain: the table whose rows it offers."""

    @property
    def _selection(self) -> Selection[C]:
        return Selection(cast("Reader", self._runner), self.selects)

    if not TYPE_CHECKING:  # type checkers know what there is, and go on saying what there is not

        def __getattr__(self, name: str) -> Any:
            raise AttributeError(instead(type(self).__name__, name), name=name, obj=self)

    def where(
        self, *conditions: Filter, since: When | None = None, until: When | None = None, **equal: Any
    ) -> Selection[C]:
        """Only rows for which all of this is true, and all that was said before.

        ``name="chat"`` is equality, ``name=["chat", "tool"]`` one of several, ``error=None`` null. Other conditions are
        written with ``colonnade.col``: ``where(col("cost") > 0.01, col.attributes["user"] == "ada")``. ``since``
        (inclusive) and ``until`` (exclusive) are moments of the row's start, or how long ago: ``"24h"``.
        """
        chosen = self._selection
        narrowed = condition(chosen.table, conditions, equal) & window(time_of(chosen.table), since, until)
        return replace(chosen, kept=chosen.kept & narrowed)

    def since(self, moment: When) -> Selection[C]:
        """Only rows that began at a moment or later: an aware datetime, ISO 8601 text, or how long ago (``"24h"``)."""
        return self.where(since=moment)

    def until(self, moment: When) -> Selection[C]:
        """Only rows that began before a moment."""
        return self.where(until=moment)

    def columns(self, *names: str, **places: Column) -> Selection[C]:
        """Exactly these columns, in this order; what is at a place inside JSON gets a name, and is text.

        ``columns("traceId", "cost", model=col.attributes["gen_ai.request.model"])``
        """
        chosen = self._selection
        wanted = [Wanted(column_name(chosen.table, name)) for name in names]
        for name, place in places.items():
            if not isinstance(place, Column):
                raise InvalidInput(f"{name} names a place inside JSON, such as col.attributes['user'], not {place!r}")
            wanted.append(Wanted(name, place_of(chosen.table, place)))
        if not wanted or len({each.name for each in wanted}) < len(wanted):
            raise InvalidInput("name at least one column, and each only once")
        return replace(chosen, wanted=tuple(wanted))

    def with_payloads(self) -> Selection[C]:
        """All columns, the wide ones too (input, output, attributes ...), which are left out otherwise."""
        return replace(self._selection, wanted=tuple(map(Wanted, self._selection.table.names)))

    def order_by(self, *names: str, descending: bool = False, nulls_first: bool = False) -> Selection[C]:
        """In the order of some columns, the first of which counts most; ties by the table's key."""
        chosen = self._selection
        if not names:
            raise InvalidInput("name at least one column to order by")
        terms = [Order(column_name(chosen.table, name), descending, nulls_first) for name in names]
        for term in terms:
            if (kind := chosen.table.columns[term.column].kind.name) in ("json", "binary", "vector"):
                raise InvalidInput(f"{term.column} is {kind}, which has no order; order by another column")
        return replace(chosen, order=tuple(terms))

    def limit(self, rows: int) -> Selection[C]:
        """At most so many rows: the first of the order, the newest where there is none."""
        if isinstance(rows, bool) or not isinstance(rows, int) or rows < 0:
            raise InvalidInput(f"limit takes a whole number >= 0, not {rows!r:.80}")
        chosen = self._selection
        return replace(chosen, most=rows if chosen.most is None else min(rows, chosen.most))

    @operation
    def count(self) -> Steps[int]:
        """How many rows there are; none of them is read."""
        chosen = self._selection
        rows = yield from count(chosen.table, chosen.kept)
        return rows if chosen.most is None else min(rows, chosen.most)

    @operation
    def first(self) -> Steps[Record | None]:
        """The first row as a record, as domains give them; the newest where there is no order; ``None`` without any."""
        found = yield from records(self._selection.limit(1).plan)
        return found[0] if found else None

    @operation
    def to_arrow(self, *, max_bytes: int | str | None = MAX_BYTES, progress: Progress | None = None) -> Steps[pa.Table]:
        """All rows as an Arrow table.

        ``TooLarge`` where they take more than ``max_bytes`` (a number or text such as ``"4GiB"``; 2 GiB unless given,
        ``None`` for no bound). ``progress`` is told how many rows there are so far; unless it is given, terminals and
        notebooks show that after a second.
        """
        chosen, found = self._selection, list[pa.RecordBatch]()
        yield from chosen.read(nullcontext(found.append), bound(max_bytes), progress)
        return pa.Table.from_batches(found, chosen.schema)

    @operation
    def to_pandas(
        self, *, max_bytes: int | str | None = MAX_BYTES, progress: Progress | None = None
    ) -> Steps[pandas.DataFrame]:
        """All rows as a pandas frame of Arrow dtypes; the arguments are those of ``to_arrow``.

        ``MissingExtra`` without pandas.
        """
        chosen, found = self._selection, list[pa.RecordBatch]()
        yield from chosen.read(nullcontext(found.append), bound(max_bytes), progress)
        return pandas_frame(pa.Table.from_batches(found, chosen.schema))

    # Overloads: a lazy frame is another type, and both come in two colours.
    @overload
    def to_polars(
        self: Selectable[Sync],
        *,
        lazy: Literal[False] = False,
        max_bytes: int | str | None = MAX_BYTES,
        progress: Progress | None = None,
    ) -> polars.DataFrame: ...
    @overload
    def to_polars(
        self: Selectable[Sync],
        *,
        lazy: Literal[True],
        max_bytes: int | str | None = MAX_BYTES,
        progress: Progress | None = None,
    ) -> polars.LazyFrame: ...
    @overload
    def to_polars(
        self: Selectable[Async],
        *,
        lazy: Literal[False] = False,
        max_bytes: int | str | None = MAX_BYTES,
        progress: Progress | None = None,
    ) -> Coroutine[Any, Any, polars.DataFrame]: ...
    @overload
    def to_polars(
        self: Selectable[Async],
        *,
        lazy: Literal[True],
        max_bytes: int | str | None = MAX_BYTES,
        progress: Progress | None = None,
    ) -> Coroutine[Any, Any, polars.LazyFrame]: ...
    def to_polars(
        self,
        *,
        lazy: bool = False,
        max_bytes: int | str | None = MAX_BYTES,
        progress: Progress | None = None,
    ) -> Any:
        """All rows as a Polars frame; the arguments are those of ``to_arrow``.

        With ``lazy`` it is a lazy frame, which reads when it is collected: only the columns that are used, and only
        rows for which its filters may be true. ``max_bytes`` and ``progress`` are then about each time it does.
        """
        return self._lazy_frame(max_bytes, progress) if lazy else self._frame(max_bytes, progress)

    @operation
    def _frame(self, max_bytes: int | str | None, progress: Progress | None) -> Steps[polars.DataFrame]:
        import polars

        chosen, frames = self._selection, list["polars.DataFrame"]()
        yield from chosen.read(framing(frames, chosen.schema), bound(max_bytes), progress)
        return polars.concat(frames, rechunk=False)

    @operation
    def _lazy_frame(self, max_bytes: int | str | None, progress: Progress | None) -> Steps[polars.LazyFrame]:
        from colonnade.queries.frames_lazy import lazy_frame

        yield from ()
        return lazy_frame(self._selection, bound(max_bytes), progress)

    @operation
    def to_parquet(self, path: str | os.PathLike[str], *, progress: Progress | None = None) -> Steps[int]:
        """Write all rows into a Parquet file, a few at a time; how many.

        The file appears whole, or not at all. Columns are compressed with zstd. ``InvalidInput`` where the folder is
        not there.
        """
        chosen = self._selection
        return (yield from chosen.read(writing(Path(path), chosen.schema, "parquet"), None, progress))

    @overload
    def batches(self: Selectable[Sync]) -> Iterator[pa.RecordBatch]: ...
    @overload
    def batches(self: Selectable[Async]) -> AsyncIterator[pa.RecordBatch]: ...
    def batches(self) -> Any:
        """The rows as record batches, as they come, for what does not fit into memory.

        ``for batch in ...``, or ``async for batch in ...`` where the storage is async.
        """
        chosen = self._selection
        found = chosen.reader.batches(chosen.plan)
        return chosen.shaped_async(found) if hasattr(found, "__aiter__") else map(chosen.shape, found)


@dataclass(frozen=True, repr=False)
class Selection(Selectable[C]):
    """Some rows of a table, in some columns: a value, which reads nothing until an end is called.

    Light columns unless others are named or ``with_payloads``; in any order unless one is given.
    """

    name: ClassVar[str] = "queries"

    reader: Reader
    table: Table
    kept: Filter = TRUE
    order: tuple[Order, ...] = ()
    most: int | None = None
    wanted: tuple[Wanted, ...] | None = None

    @property
    def _runner(self) -> Runner:  # type: ignore[override]
        return self.reader

    @property
    def _selection(self) -> Selection[C]:
        return self

    @property
    def chosen(self) -> tuple[Wanted, ...]:
        """The columns that it gives."""
        return tuple(map(Wanted, self.table.light)) if self.wanted is None else self.wanted

    @property
    def schema(self) -> pa.Schema:
        """Names and Arrow types of the columns that it gives."""
        return pa.schema([each.field(self.table) for each in self.chosen])

    @property
    def plan(self) -> Scan:
        """The scan that reads it; places inside JSON are taken out of what that gives."""
        order = self.order or (() if self.most is None else (Order(time_of(self.table), descending=True),))
        columns = tuple(dict.fromkeys(each.source for each in self.chosen))
        return Scan(self.table, self.kept, order, self.most, columns=columns)

    def read(
        self,
        into: AbstractContextManager[Callable[[pa.RecordBatch], object]],
        most: int | None,
        progress: Progress | None,
    ) -> Steps[int]:
        """Have ``into`` take all batches, within ``most`` bytes; how many rows there were."""
        rows = yield from streamed(self.plan, taking(into, self.shape, self.table.name, most, progress))
        return rows

    def shape(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """A batch of the scan with the columns that are given."""
        return shape(batch, self.chosen, self.schema)

    async def shaped_async(self, batches: AsyncIterator[pa.RecordBatch]) -> AsyncIterator[pa.RecordBatch]:
        """The same of a stream that is awaited."""
        async for batch in batches:
            yield self.shape(batch)

    def __repr__(self) -> str:
        said = f"{self.table.name} where {in_words(self.kept)}" if self.kept != TRUE else self.table.name
        terms = [f"{each.column}{' descending' * each.descending}" for each in self.order]
        by: list[str] = [f"by {', '.join(terms)}"] if terms else []
        most: list[str] = [] if self.most is None else [f"at most {self.most:,}"]
        names = [each.name for each in self.chosen]
        given = {self.table.light: "light columns", self.table.names: "all columns"}.get(tuple(names), ", ".join(names))
        return f"<Selection of {', '.join([said, *by, *most])}: {given}>"
