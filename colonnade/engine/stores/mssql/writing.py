"""A put as T-SQL: MERGE of rows that come as one JSON value, however many they are.

``HOLDLOCK`` keeps what is not there from being written by two at once, and LOOP JOIN has each row found by its key: a
join that reads the whole table would lock the whole table.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import lru_cache
from itertools import count
from typing import Any, Final

import pyarrow as pa

from colonnade.engine.relational import Statement, rows_of
from colonnade.engine.stores.mssql import wire
from colonnade.engine.stores.mssql.spelling import MSSQL, ident, key_name, placed
from colonnade.schemas.table import Table

LETTERS: Final = 4_000_000
"""Letters of JSON in one statement, more or less: several megabytes are sent, parsed and locked at a time."""
ROWS: Final = 2_000
"""Rows in one statement: from 5,000 locks on, SQL Server locks the whole table instead."""


@lru_cache(maxsize=256)
def merge(schema: str, table: Table) -> str:
    """The statement that puts rows: one JSON value, of which no key occurs twice."""
    places = count()
    declared, taken = [], []
    for name in table.key:
        at = next(places)
        declared.append(wire.KEY.declared(at))
        taken.append(f"{wire.KEY.taken(at)} AS {ident(key_name(name))}")
    for column in table.columns.values():
        form = wire.form_of(column)
        at = next(places)
        for _ in form.types[1:]:
            next(places)
        declared.append(form.declared(at))
        taken.append(f"{form.taken(at)} AS {ident(column.name)}")
    same = " AND ".join(f"[stored].{name} = [incoming].{name}" for name in map(ident, map(key_name, table.key)))
    changed = [name for name in table.columns if name not in table.key and name not in table.once]
    changes = ", ".join(f"{ident(name)} = [incoming].{ident(name)}" for name in changed)
    unless = ""
    if table.facts.final:
        final = ident(table.facts.final)
        unless = f" AND ([stored].{final} IS NULL OR [incoming].{final} IS NOT NULL)"
    columns = ", ".join(map(ident, table.columns))
    values = ", ".join(f"[incoming].{ident(name)}" for name in table.columns)
    return (
        f"MERGE {placed(schema, MSSQL.table_name(table))} WITH (HOLDLOCK) AS [stored] USING ("
        f"SELECT {', '.join(taken)} FROM OPENJSON(@p1) WITH ({', '.join(declared)})) AS [incoming] ON {same} "
        f"WHEN MATCHED{unless} THEN UPDATE SET {changes} "
        f"WHEN NOT MATCHED THEN INSERT ({columns}) VALUES ({values}) OPTION (LOOP JOIN);"
    )


def puts(schema: str, table: Table, data: pa.Table) -> Iterator[Statement]:
    """The statements that put rows, of which no key occurs twice."""
    sql = merge(schema, table)
    rows: list[str] = []
    size = 0
    for row in rows_of(data):
        text = json.dumps(_given(table, row), ensure_ascii=False, separators=(",", ":"))
        if rows and (size + len(text) > LETTERS or len(rows) == ROWS):
            yield Statement(sql, (f"[{','.join(rows)}]",))
            rows, size = [], 0
        rows.append(text)
        size += len(text)
    if rows:
        yield Statement(sql, (f"[{','.join(rows)}]",))


def is_one(data: pa.Table) -> bool:
    """Whether rows are most likely one statement, and so need no transaction around it."""
    return bool(data.num_rows <= ROWS and data.nbytes < LETTERS // 8)


def _given(table: Table, row: tuple[Any, ...]) -> list[Any]:
    values = dict(zip(table.columns, row, strict=True))
    given = [each for name in table.key for each in wire.KEY.given(values[name])]
    for column in table.columns.values():
        given += wire.form_of(column).given(values[column.name])
    return given
