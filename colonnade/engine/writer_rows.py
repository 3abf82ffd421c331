"""What a writer is given, as rows of its table: records, Arrow data, and objects that somebody else can encode.

A row that cannot be used is set aside with what is wrong with it, and takes no other row with it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import groupby, islice
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.operation import Clock, Domain
from colonnade.engine.writer_records import Records
from colonnade.errors import ColonnadeError, InvalidInput, InvalidRows, Problem
from colonnade.schemas.check import check
from colonnade.schemas.table import Table

GROUP_ROWS: Final = 8_192
"""At most so many rows are one commit."""
GROUP_BYTES: Final = 4 * 2**20
PROBLEMS: Final = 1_000
"""So many problems are kept until they are raised; the rows that have them are all counted."""

Encode = Callable[[Sequence[Any], datetime], pa.Table]
"""Makes rows of objects, in their order; the time is now. ``InvalidRows`` names those that it refuses."""


@dataclass(slots=True)
class Rows:
    """Rows that wait: a record, an object, or Arrow data. ``first`` is the place of the first among all given."""

    given: Any
    count: int
    size: int
    first: int = 0
    since: float = 0.0


@dataclass(slots=True)
class Refused:
    """Rows that were set aside, and the first of their problems."""

    count: int = 0
    problems: list[Problem] = field(default_factory=list)

    def add(self, count: int, problems: Iterable[Problem]) -> None:
        """Set rows aside."""
        self.count += count
        self.problems.extend(islice(problems, PROBLEMS - len(self.problems)))

    def take(self, other: Refused, shift: int = 0) -> None:
        """Set aside what the other did, further down by some rows."""
        self.add(other.count, (replace(problem, row=problem.row + shift) for problem in other.problems))


NONE: Final = Refused()
"""No rows: the usual case, made once."""


@dataclass(slots=True)
class Group:
    """Rows that are written as one: ``data`` is what is written of ``rows`` rows, which took ``size`` of the queue."""

    data: pa.Table
    rows: int
    size: int
    first: int
    refused: Refused


class Intake:
    """Makes rows of what a writer is given."""

    def __init__(self, table: Table, domain: Domain[Any], clock: Clock, encode: Encode | None) -> None:
        self.table = table
        self._records = Records(table, domain, clock)
        self._clock = clock
        self._encode = encode
        self._size = 1_000  # of an object, so far

    def rows(self, given: object) -> tuple[list[Rows], Refused]:
        """What was given, ready for the queue, and what was set aside; places are counted from its own first row.

        ``InvalidInput`` where it is nothing that holds rows of this table.
        """
        if type(given) is dict or isinstance(given, Mapping):
            return self._record(given)
        if isinstance(given, pa.RecordBatch) or hasattr(given, "__arrow_c_stream__"):  # which a Polars frame has, too
            refused = Refused()
            return list(_pieces(self._checked(_arrow(given), refused))), refused
        if self._encode is None or isinstance(given, str | bytes | list | tuple):
            raise InvalidInput(
                f"{self.table.name}: a row is a dict or Arrow data, not a {type(given).__name__}; use extend() for "
                "several, and writer(encode=...) for other objects: colonnade.ingest.otel.spans_table encodes spans"
            )
        return [Rows(given, 1, self._size)], NONE

    def group(self, waiting: Sequence[Rows]) -> Group:
        """Rows, in their order, as one commit: of several copies of a row only the one that holds in the end."""
        refused = Refused()
        parts: list[pa.Table] = []
        for kind, run in groupby(waiting, key=_kind):
            if kind is pa.Table:
                parts += [rows.given for rows in run]
            else:
                parts += self._encoded([(rows.first, rows.given) for rows in run], refused)
        data = pa.concat_tables(parts) if parts else self.table.schema.empty_table()
        return Group(
            _last_copies(self.table, data),
            rows=sum(rows.count for rows in waiting) - refused.count,
            size=sum(rows.size for rows in waiting),
            first=waiting[0].first,
            refused=refused,
        )

    def problem(self, place: int, field: str, message: str, row: object) -> Problem:
        """What is wrong with a row, and which row it is: threads add in an order that nobody knows."""
        key = [(name, row[name]) for name in self.table.key if row.get(name)] if isinstance(row, Mapping) else []
        named = ", ".join(f"{name} {value!r:.60}" for name, value in key)
        return Problem(place, field, f"{message} ({named})" if named else message)

    def _record(self, given: Mapping[str, Any]) -> tuple[list[Rows], Refused]:
        try:
            record, size = self._records.take(given)
        except InvalidRows as error:
            problems = (self.problem(each.row, each.field, each.message, given) for each in error.problems)
            refused = Refused()
            refused.add(1, problems)
            return [], refused
        return [Rows(record, 1, size)], NONE

    def _encoded(self, run: list[tuple[int, Any]], refused: Refused) -> list[pa.Table]:
        """Records or objects, each with its place, as Arrow, without those that are refused."""
        if not run:
            return []
        try:
            return [self._encode_all([given for _, given in run])]
        except InvalidRows as error:
            bad = {problem.row for problem in error.problems}
            said = ((*run[each.row], each) for each in error.problems)
            refused.add(len(bad), (self.problem(place, e.field, e.message, given) for place, given, e in said))
            return self._encoded([each for row, each in enumerate(run) if row not in bad], refused)
        except MemoryError:
            raise  # it says nothing about the rows
        except Exception as error:  # whatever it is, one row has it: find that row
            if len(run) > 1:
                middle = len(run) // 2
                return self._encoded(run[:middle], refused) + self._encoded(run[middle:], refused)
            ((place, given),) = run
            told = str(error) if isinstance(error, ColonnadeError) else f"{type(error).__name__}: {error!s:.200}"
            refused.add(1, [self.problem(place, "row", f"cannot be encoded: {told}", given)])
            return []

    def _encode_all(self, given: list[Any]) -> pa.Table:
        if self._encode is None or type(given[0]) is dict:
            return self._records.encode(given)
        data = check(self.table, self._encode(given, self._clock.now()))
        if data.num_rows != len(given):
            raise InvalidInput(f"{len(given)} objects were encoded as {data.num_rows} rows")
        self._size = 1 + data.nbytes // data.num_rows
        return data

    def _checked(self, data: pa.Table, refused: Refused) -> pa.Table:
        """Arrow data in exactly the table's schema; what is missing and may be null is null."""
        for name in self.table.columns.keys() - set(data.column_names):
            declared = self.table.schema.field(name)
            if declared.nullable:
                data = data.append_column(declared, pa.nulls(data.num_rows, declared.type))
        try:
            return check(self.table, data)
        except InvalidRows as error:
            bad = {problem.row for problem in error.problems}
            keys = data.select(list(self.table.key))
            said = ((keys.slice(each.row, 1).to_pylist()[0], each) for each in error.problems)
            refused.add(len(bad), (self.problem(each.row, each.field, each.message, key) for key, each in said))
            good = [row for row in range(data.num_rows) if row not in bad]
            return check(self.table, data.take(pa.array(good, pa.int64())))


def _kind(rows: Rows) -> type:
    kind = type(rows.given)
    return kind if kind in (pa.Table, dict) else object


def _arrow(given: Any) -> pa.Table:
    try:
        data = pa.Table.from_batches([given]) if isinstance(given, pa.RecordBatch) else pa.table(given)
    except (TypeError, ValueError) as error:
        raise InvalidInput(f"a {type(given).__name__} cannot be read as an Arrow table: {error}") from None
    if len(set(data.column_names)) < data.num_columns:
        raise InvalidInput(f"columns are there twice: {', '.join(data.column_names)}")
    return data


def _pieces(data: pa.Table) -> Iterator[Rows]:
    """Arrow data, in pieces that are small enough for one commit."""
    size = max(data.nbytes, 1)
    rows = max(1, min(GROUP_ROWS, GROUP_BYTES * data.num_rows // size))
    for start in range(0, data.num_rows, rows):
        piece = data.slice(start, rows)
        yield Rows(piece, piece.num_rows, size * piece.num_rows // data.num_rows)


def _last_copies(table: Table, data: pa.Table) -> pa.Table:
    """One row a key: the last that is final, or the last. As ``fold.collapse``, for tables without ``once`` columns."""
    keys = list(zip(*(data.column(name).to_pylist() for name in table.key), strict=True))
    if len(set(keys)) == len(keys):
        return data
    final = data.column(table.facts.final).is_valid().to_pylist() if table.facts.final else [True] * len(keys)
    places: dict[tuple[Any, ...], int] = {}
    for place, key in enumerate(keys):
        if key not in places or final[place] or not final[places[key]]:
            places[key] = place
    return data.take(pa.array(sorted(places.values()), pa.int64()))
