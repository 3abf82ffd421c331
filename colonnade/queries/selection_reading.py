"""How a selection is read: as a stream, in the columns that are wanted, with a bound on what is held in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.plan import At
from colonnade.errors import InvalidInput, TooLarge
from colonnade.queries.sizes import size_of, spell_size
from colonnade.queries.watching import Progress, watched
from colonnade.schemas.payloads import escape_text, from_json, to_json
from colonnade.schemas.table import Table

MAX_BYTES: Final = "2GiB"
"""What a read holds in memory at most, unless it is told otherwise."""

Take = Callable[[pa.RecordBatch], object]


@dataclass(frozen=True, slots=True)
class Wanted:
    """A column of the answer: one of the table, or what is at a place inside a JSON column, as text."""

    name: str
    at: At | None = None

    @property
    def source(self) -> str:
        """The column of the table that it comes from."""
        return self.name if self.at is None else self.at.column

    def field(self, table: Table) -> pa.Field:
        """Its Arrow field."""
        return table.schema.field(self.name) if self.at is None else pa.field(self.name, pa.string())

    def array(self, batch: pa.RecordBatch) -> pa.Array:
        """Its values in a batch of the table's columns."""
        found = batch.column(batch.schema.get_field_index(self.source))
        return found if self.at is None else texts_at(found, self.at.path)


def texts_at(values: pa.Array, path: tuple[str | int, ...]) -> pa.Array:
    """What JSON texts have at a path: texts as they are, all else as JSON; null where it is missing or JSON null."""
    return pa.array(
        [None if text is None else _text_at(from_json(text), path) for text in values.to_pylist()], pa.string()
    )


def _text_at(value: Any, path: Iterable[str | int]) -> str | None:
    for step in path:
        match value:
            case dict() if isinstance(step, str) and step in value:
                value = value[step]
            case list() if isinstance(step, int) and 0 <= step < len(value):
                value = value[step]
            case _:
                return None
    if value is None:
        return None
    return escape_text(value) if isinstance(value, str) else to_json(value)


def shape(batch: pa.RecordBatch, wanted: tuple[Wanted, ...], schema: pa.Schema) -> pa.RecordBatch:
    """A batch of a scan with the columns that are wanted of it."""
    return pa.RecordBatch.from_arrays([each.array(batch) for each in wanted], schema=schema)


def bound(max_bytes: int | str | None) -> int | None:
    """The bytes that are meant by ``max_bytes``; ``InvalidInput`` where it is no size."""
    size = None if max_bytes is None else size_of(max_bytes)
    if max_bytes is not None and (size is None or size < 1):
        raise InvalidInput(f"{max_bytes!r} is no size: write bytes or text, such as '4GiB'; None for no bound")
    return size


@contextmanager
def taking(
    into: AbstractContextManager[Take],
    make: Callable[[pa.RecordBatch], pa.RecordBatch],
    what: str,
    most: int | None,
    progress: Progress | None,
) -> Iterator[Take]:
    """What takes the batches of a scan: ``into`` gets each as ``make`` makes it, as long as they fit ``most`` bytes."""
    rows = held = 0
    with watched(f"reading {what}", progress) as tell, into as take:

        def each(batch: pa.RecordBatch) -> None:
            nonlocal rows, held
            made = make(batch)
            held += made.nbytes
            if most is not None and held > most:
                raise too_large(what, rows, most)
            take(made)
            rows += made.num_rows
            tell(rows)

        yield each


def too_large(what: str, rows: int, most: int) -> TooLarge:
    """The error for rows that take more than they may."""
    return TooLarge(
        f"these {what} take more than max_bytes={spell_size(most)} after {rows:,} rows. Narrow them with since=, "
        "where(), columns() or limit(); or read them in pieces with batches() or to_parquet(); or give max_bytes= "
        "what this machine has room for"
    )
