"""Statements within D1's limits: 100 values each, 100 KB of SQL, values of 2 MB; and numbers beyond JavaScript's.

Between colonnade and D1 everything is JSON that JavaScript reads. So whole numbers beyond 2**53 go as texts that are
cast, and come back as texts; vectors go as hexadecimal. Many rows go as one value, a JSON array that ``json_each``
takes apart; SQLite reads decimals from JSON only nearly right, so that floats go as two whole numbers there.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, Final

import pyarrow as pa

from colonnade.engine import fold
from colonnade.engine.plan import Scan, Summarize
from colonnade.engine.relational import Statement
from colonnade.engine.sqlite_served.spelling import TIMES, ServedDialect, ServedRenderer, named
from colonnade.engine.sqlite_served.steps import Spelled
from colonnade.engine.sqlite_served.values import parts_of, tuples
from colonnade.errors import InvalidInput
from colonnade.schemas.table import Table

PARAMETERS: Final = 100
VALUE: Final = 2_000_000
"""Bytes of a value, and of a row."""
_PACKED: Final = 900_000
"""Bytes of rows that go as one value."""
_REQUEST: Final = 8_000_000
"""Bytes of a request, more or less, of a put that need not be one."""
_EXACT: Final = 2**53


_WHOLE: Final = named("bigint")
_FLOATS: Final = named("float")
_BYTES: Final = named("vector", "binary")


def _read(expression: str, name: str) -> str:
    """An expression of a column's value as JavaScript can hold it."""
    if name in _WHOLE:
        return f"CAST({expression} AS TEXT)"
    if name in _FLOATS:  # a zero may have a sign, which JavaScript does not write and SQLite neither
        return f"CASE WHEN {expression} = 0 AND atan2({expression}, -1) < 0 THEN '-0.0' ELSE {expression} END"
    return f"hex({expression})" if name in _BYTES else expression


class D1Renderer(ServedRenderer):
    """Renders one statement."""

    def _bind(self, value: Any) -> str:
        match value:
            case bytes():
                return f"unhex({super()._bind(value.hex())})"
            case bool():
                return super()._bind(value)
            case int() if abs(value) > _EXACT:
                return f"CAST({super()._bind(str(value))} AS INTEGER)"
            case float() if _is_negative_zero(value):
                return f"CAST({super()._bind('-0.0')} AS REAL)"
        return super()._bind(value)

    def _chosen(self, name: str) -> str:
        if self._within:
            return super()._chosen(name)
        ident = self._dialect.ident(name)
        found = _read(ident if name in TIMES else self._operand(name), name)
        # Of another name than the column, by which rows are ordered.
        return ident if found == ident else f"{found} AS {self._dialect.ident(f'_{name}')}"

    def summarize(self, plan: Summarize) -> Statement:
        """``SELECT`` of groups and measures, sorted by group."""
        inner = super().summarize(plan)
        ident, types = self._dialect.ident, fold.summary_schema(plan).types
        chosen = []
        for place, (name, kind) in enumerate(zip(plan.names, types, strict=True)):
            whole = pa.types.is_integer(kind) or pa.types.is_timestamp(kind)
            of = f"CAST({ident(name)} AS TEXT)" if whole else ident(name)
            chosen.append(f"{of} AS {ident(f'_{place}')}")
        groups = [f"{ident(name)} NULLS LAST" for name in plan.names[: len(plan.by)]]
        order = f" ORDER BY {', '.join(groups)}" if groups else ""
        return Statement(f"SELECT {', '.join(chosen)} FROM ({inner.sql}){order}", inner.parameters)

    def unpacked(self, table: Table, rows: Sequence[str]) -> Statement:
        """Upsert rows, each of them JSON as ``_packed`` has it."""
        places = count()
        columns = []
        for column in table.columns.values():
            value = f"value ->> {next(places)}"
            if column.kind.name == "float":
                value = f"CAST({value} AS REAL) * pow(2, value ->> {next(places)})"
            elif column.kind.name in ("vector", "binary"):
                value = f"unhex({value})"
            columns.append(value)
        array = super()._bind("[" + ",".join(rows) + "]")
        source = f"SELECT {', '.join(columns)} FROM json_each({array}) WHERE 1"
        return self._done(self._upsert(table, source))


class D1Spelled(Spelled):
    """The steps of plans, within D1's limits."""

    parameters = PARAMETERS

    def __init__(self, dialect: ServedDialect) -> None:
        super().__init__(dialect, D1Renderer)

    def page_of(self, plan: Scan) -> int:
        """Rows that are asked for at once: fewer where they may be wide."""
        return 200 if any(plan.table.columns[name].payload for name in plan.projection) else 2000

    def batches(self, table: Table, data: pa.Table, *, whole: bool) -> Iterator[list[Statement]]:
        """The upserts of rows: many small ones as one statement, a large one by itself."""
        rows = tuples(data)
        _check_sizes(table, rows)
        batch: list[Statement] = []
        size = 0
        for statement in self._upserts(table, rows):
            length = sum(len(each) for each in statement.parameters if isinstance(each, str))
            if batch and size + length > _REQUEST and not whole:
                yield batch
                batch, size = [], 0
            batch.append(statement)
            size += length
        yield batch

    def _upserts(self, table: Table, rows: Sequence[tuple[Any, ...]]) -> Iterator[Statement]:
        """In the order of the rows, of which the last of a key wins."""
        packed: list[str] = []
        size = 0
        for row in rows:
            text = _packed(table, row)
            length = len(text.encode())
            if packed and size + length > _PACKED:
                yield D1Renderer(self.dialect).unpacked(table, packed)
                packed, size = [], 0
            if length > _PACKED:
                yield self.renderer().put_values(table, [row])
            else:
                packed.append(text)
                size += length + 1
        if packed:
            yield D1Renderer(self.dialect).unpacked(table, packed)


def _packed(table: Table, row: Sequence[Any]) -> str:
    values: list[Any] = []
    for column, value in zip(table.columns.values(), row, strict=True):
        if column.kind.name == "float":
            values += _two(value)
        else:
            values.append(value.hex() if isinstance(value, bytes) else value)
    return json.dumps(values, ensure_ascii=False, separators=(",", ":"))


def _two(number: float | None) -> tuple[Any, int]:
    if number is None:
        return None, 0
    return ("-0.0", 0) if _is_negative_zero(number) else parts_of(number)


def _is_negative_zero(value: float) -> bool:
    return not value and math.copysign(1, value) < 0


def _check_sizes(table: Table, rows: Sequence[tuple[Any, ...]]) -> None:
    for place, row in enumerate(rows):
        for name, value in zip(table.columns, row, strict=True):
            if isinstance(value, str) and len(value) * 4 > VALUE and (size := len(value.encode())) > VALUE:
                raise InvalidInput(
                    f"row {place} of {table.name}: {name} has {size:,} bytes, and D1 takes no value that is larger "
                    f"than {VALUE:,}; nothing was written. Keep domains with such payloads in another store"
                )


def fitting(statement: Statement) -> Statement:
    """A statement of no more values than D1 takes: if need be all go as one, a JSON array."""
    if len(statement.parameters) <= PARAMETERS:
        return statement
    floats = [value for value in statement.parameters if isinstance(value, float)]
    others = [value for value in statement.parameters if not isinstance(value, float)]
    if len(floats) >= PARAMETERS:
        raise InvalidInput(f"D1 compares with no more than {PARAMETERS - 1} fractions at once: ask in several steps")
    values, places, numbers = iter(statement.parameters), count(), count(2)

    def gap(_: re.Match[str]) -> str:
        return f"?{next(numbers)}" if isinstance(next(values), float) else f"(?1 ->> {next(places)})"

    array = json.dumps(others, ensure_ascii=False, separators=(",", ":"))
    return Statement(re.sub(r"\?", gap, statement.sql), (array, *floats))
