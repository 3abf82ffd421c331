"""Writes: each script compares, writes rows and moves them between sets as one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

import orjson

from colonnade.engine.normalize import named_columns
from colonnade.engine.plan import Delete, Filter, Is, Not, Null, Patch, Put, Scan
from colonnade.engine.stores.upstash.covering import cover
from colonnade.engine.stores.upstash.layout import facts, member, score, time_column, write, written
from colonnade.engine.stores.upstash.reading import BYTES, scan, told
from colonnade.engine.stores.upstash.requests import Steps, run_script, spelled
from colonnade.engine.stores.upstash.scripts import ALTER, PUT
from colonnade.errors import Conflict
from colonnade.schemas.few import FewRows
from colonnade.schemas.table import Table

ROWS: Final = 1_000
"""Rows that one script writes at most: others wait for it."""

Row = list[Any]


def put(plan: Put) -> Steps[int]:
    """Keep rows: a request for each megabyte of them; where something is expected, one for all."""
    table, rows = plan.table, _rows(plan.table, plan.data)
    head: dict[str, Any] = {"facts": facts(table), "columns": table.names, "expected": None}
    if plan.expect is None:
        for piece in _pieces(rows):
            yield from run_script(PUT, head, spelled(piece), repeatable=True)
        return len(rows)
    head["expected"] = plan.expect.column_names
    known = {member(key): texts for key, texts in _expected(table, plan.expect)}
    expected = spelled([known.get(row[0]) for row in rows])
    if not int((yield from run_script(PUT, head, spelled(rows), expected, repeatable=False))):
        raise Conflict(f"rows of {table.name} changed since they were read")
    return len(rows)


def _rows(table: Table, data: Any) -> list[Row]:
    names = list(data.names if isinstance(data, FewRows) else data.column_names)
    keys, timed = [names.index(column) for column in table.key], names.index(time_column(table))
    moments = [row[timed] for row in data.rows] if isinstance(data, FewRows) else data.column(timed).to_pylist()
    return [
        [member([row[place] for place in keys]), str(score(moment)), *row]
        for row, moment in zip(written(table, data), moments, strict=True)
    ]


def _expected(table: Table, expect: Any) -> Iterator[tuple[list[Any], Row]]:
    keys = [expect.column_names.index(column) for column in table.key]
    for row in written(table, expect):
        yield [row[place] for place in keys], row


def _pieces(rows: list[Row]) -> Iterator[list[Row]]:
    piece: list[Row] = []
    size = 0
    for row in rows:
        width = sum(len(text.encode()) for text in row if text is not None)
        if piece and (size + width > BYTES or len(piece) == ROWS):
            yield piece
            piece, size = [], 0
        piece.append(row)
        size += width
    if piece:
        yield piece


def patch(plan: Patch) -> Steps[int]:
    """Set columns: one request where the filter names keys and asks little more."""
    names = tuple(plan.values)
    values = [write(plan.table, name, value) for name, value in plan.values.items()]
    moment = plan.values.get(time_column(plan.table))
    change = {"names": names, "values": values, "score": None if moment is None else str(score(moment))}
    return (yield from _altered(plan.table, plan.where, change))


def delete(plan: Delete) -> Steps[int]:
    """Remove rows: one request for each thousand where keys or sets say which."""
    found = cover(plan.where, plan.table)
    change = {"names": None, "values": None, "score": None}
    if found.members is not None or found.rest:
        return (yield from _altered(plan.table, plan.where, change))
    head = {**_head(plan.table), **change, "stretches": list(map(told, found.stretches))}
    total, more = 0, True
    while more:
        answer = orjson.loads((yield from run_script(ALTER, head, repeatable=False)))
        total, more = total + answer["changed"], answer["more"]
    return total


def _head(table: Table) -> dict[str, Any]:
    return {
        "facts": facts(table),
        "conditions": [],
        "members": None,
        "expected": None,
        "rows": None,
        "stretches": [],
        "count": ROWS,
    }


def _altered(table: Table, where: Filter, change: dict[str, Any]) -> Steps[int]:
    """Change or remove the rows where a filter holds, each only as long as it does."""
    found = cover(where, table)
    conditions = [_condition(table, part) for part in found.rest]
    if found.members is not None and None not in conditions:
        total = 0
        for members in _some(found.members):
            head = {**_head(table), **change, "members": members, "conditions": conditions}
            total += orjson.loads((yield from run_script(ALTER, head, repeatable=False)))["changed"]
        return total
    asked = named_columns(where) | set(table.key)
    columns = tuple(name for name in table.names if name in asked)
    total, done = 0, set[str]()
    missed = True
    while missed:
        missed = False
        rows = yield from scan(Scan(table, where, columns=columns))
        data = rows.arrow() if isinstance(rows, FewRows) else rows
        keyed = [(member(key), texts) for key, texts in _expected(table, data)]
        keyed = [each for each in keyed if each[0] not in done]
        for some in _some(keyed):
            names = [each[0] for each in some]
            head = {**_head(table), **change, "members": names, "expected": columns, "rows": [each[1] for each in some]}
            answer = orjson.loads((yield from run_script(ALTER, head, repeatable=False)))
            total += answer["changed"]
            again = set(answer["missed"])  # others changed them meanwhile, so they are looked at once more
            missed = missed or bool(again)
            done |= set(names) - again
    return total


def _some(items: Sequence[Any]) -> Iterator[list[Any]]:
    for at in range(0, len(items), ROWS):
        yield list(items[at : at + ROWS])


def _condition(table: Table, part: Filter) -> list[Any] | None:
    """A condition that a script can check; None where it is one for Arrow."""
    match part:
        case Null(str() as name):
            return [name, "null", None]
        case Not(Null(str() as name)):
            return [name, "set", None]
        case Is(str() as name, op, value) if value is not None:
            kind = table.columns[name].kind.name
            if kind == "timestamp" or (op == "=" and kind in ("text", "uuid", "boolean", "integer", "bigint")):
                return [name, op, write(table, name, value)]
    return None
