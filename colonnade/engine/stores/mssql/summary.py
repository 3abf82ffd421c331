"""``Summarize`` as T-SQL: what is grouped and measured is named within, and added up around it.

So nothing that is bound occurs twice, which GROUP BY would not see to be the same. Texts are grouped as their bytes;
the least and the greatest of them are found in hexadecimal, which sorts as the bytes do: MIN takes no bytes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from colonnade.engine import fold
from colonnade.engine.plan import Bucket, Measure, Order, Summarize
from colonnade.engine.relational import Statement
from colonnade.engine.stores.mssql import wire
from colonnade.engine.stores.mssql.spelling import MSSQL, ident, is_text
from colonnade.engine.stores.mssql.sql import MSSQLRenderer
from colonnade.schemas.kinds import Column


class SummaryRenderer(MSSQLRenderer):
    """Renders one summary."""

    def summarize(self, plan: Summarize) -> Statement:
        """``SELECT`` of groups and measures, in any order."""
        self._table = table = plan.table
        within, around, groups = [], [], []
        for at, term in enumerate(plan.by):
            within.append(f"{_group(term, table.columns[fold.name_of(term)])} AS [g{at}]")
            groups.append(f"[g{at}]")
        around += groups
        for at, measure in enumerate(plan.measures):
            if measure.column is None:
                around.append(f"COUNT_BIG(*) AS [n{at}]")
                continue
            column = table.columns[measure.column]
            within.append(f"{_measured(measure, column)} AS [m{at}]")
            around.append(f"{_measure(measure, column, f'[m{at}]')} AS [n{at}]")
        inner = f"SELECT {', '.join(within) or '1 AS [one]'} FROM {self.name_of(table)}{self._where(plan.where)}"
        sql = f"SELECT {', '.join(around)} FROM ({inner}) AS [rows]"
        return self._done(f"{sql} GROUP BY {', '.join(groups)}" if groups else sql)


def _group(term: str | Bucket, column: Column) -> str:
    if isinstance(term, str) and column.kind.name != "timestamp":
        operand = wire.compared(column)
        return f"{operand} + 0E0" if column.kind.name == "float" else operand  # -0.0 is in the group of 0.0
    moment = wire.micros(ident(column.name))
    if isinstance(term, str):
        return moment
    width = int(term.width.total_seconds() * 1_000_000)
    return f"{moment} - ({moment} % {width} + {width}) % {width}"


def _measured(measure: Measure, column: Column) -> str:
    name = ident(column.name)
    if measure.minus is not None:
        return MSSQL.difference.format(column=name, minus=ident(measure.minus))
    if measure.function in ("min", "max"):
        if is_text(column):
            return f"CONVERT(VARCHAR(MAX), {wire.compared(column)}, 2) COLLATE Latin1_General_BIN2"
        if column.kind.name == "boolean":
            return f"CAST({name} AS INT)"
    return wire.micros(name) if column.kind.name == "timestamp" else name


def _measure(measure: Measure, column: Column, inner: str) -> str:
    if _is_whole_sum(measure, column):
        return f"CAST(SUM(CAST({inner} AS DECIMAL(38, 0))) AS NVARCHAR(40))"
    return (MSSQL.functions or {})[measure.function].format(column=inner)


def _is_whole_sum(measure: Measure, column: Column) -> bool:
    return measure.function == "sum" and measure.minus is None and column.kind.name in ("integer", "bigint")


def summary_of(plan: Summarize, found: Sequence[tuple[Any, ...]]) -> pa.Table:
    """The answer, sorted; ``InvalidInput`` where a sum does not fit into 64 bits."""
    columns = list(zip(*found, strict=True)) if found else [()] * len(plan.names)
    arrays = []
    for place, (values, declared) in enumerate(zip(columns, fold.summary_schema(plan), strict=True)):
        convert, kind = _reader(plan, place, declared.type)
        arrays.append(pa.array([None if each is None else convert(each) for each in values], kind))
    table = fold.typed_summary(plan, pa.Table.from_arrays(arrays, names=list(plan.names)))
    return fold.order(table, tuple(Order(fold.name_of(term)) for term in plan.by))


def _reader(plan: Summarize, place: int, kind: pa.DataType) -> tuple[Callable[[Any], Any], pa.DataType]:
    measure = plan.measures[place - len(plan.by)] if place >= len(plan.by) else None
    if measure is not None and measure.column and _is_whole_sum(measure, plan.table.columns[measure.column]):
        return Decimal, pa.decimal128(38)
    if pa.types.is_timestamp(kind):
        return int, pa.int64()  # a bucket may begin before the year 1, from which on Python has times
    if pa.types.is_string(kind):
        return (bytes.decode if measure is None else lambda text: bytes.fromhex(text).decode()), kind
    if pa.types.is_integer(kind):
        return int, kind
    return (bool if pa.types.is_boolean(kind) else float), kind
