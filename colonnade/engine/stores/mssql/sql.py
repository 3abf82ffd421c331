"""Plans as T-SQL. Values are always bound, but for the places in JSON: those are spelled out, of letters and digits.

Texts are compared by their keys where they have some, else by their bytes (``spelling``). T-SQL has conditions that are
true, false or unknown, and no values that are: what is decided by a CASE gives 1 or 0, and is compared with 1.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from colonnade.engine.plan import (
    Among,
    And,
    At,
    Contains,
    Delete,
    Filter,
    Is,
    Not,
    Null,
    OneOf,
    Or,
    Order,
    Patch,
    Scan,
)
from colonnade.engine.relational import INLINE, Renderer, Statement
from colonnade.engine.stores.mssql import places, wire
from colonnade.engine.stores.mssql.spelling import MSSQL, ident, key_name, key_of, keyed, placed
from colonnade.schemas.table import Table
from colonnade.schemas.words import lower, two_cases

LETTERS: Final = 64
"""So many letters with two cases are looked for in one condition."""
LONGEST: Final = 4_000
"""UTF-16 units of a text that is looked for: CHARINDEX takes no more."""
_FEW_KEYS: Final = 8
"""Rows whose keys are bound one by one; those of more go as one JSON value."""


class MSSQLRenderer(Renderer):
    """Renders one statement over the tables of a schema."""

    def __init__(self, schema: str) -> None:
        super().__init__(MSSQL)
        self._schema = schema
        self._table: Table | None = None

    def name_of(self, table: Table) -> str:
        """A table where it lies."""
        return placed(self._schema, MSSQL.table_name(table))

    def scan(self, plan: Scan, within: Sequence[str] = (), *, locking: bool = False) -> Statement:
        """``SELECT``, in the forms of ``wire``; ``locking`` keeps others from what it finds, or does not."""
        self._table = plan.table
        kinds = plan.table.columns
        # Of other names than the columns, by which rows are ordered; and pymssql wants them all to have some.
        columns = ", ".join(f"{wire.read(kinds[name])} AS {ident(f'_{name}')}" for name in plan.projection)
        return self._done(f"SELECT {columns} FROM {self._rows(plan, locking=locking)}")

    def _rows(self, plan: Scan, *, locking: bool = False) -> str:
        """The rows of a scan: where they come from, which, in which order, from where to where."""
        source = self.name_of(plan.table) + (" WITH (UPDLOCK, HOLDLOCK)" if locking else "")
        where = self._where(plan.where)
        if plan.limit == 0:
            return f"{source} WHERE 1 = 0"  # FETCH NEXT 0 ROWS is an error
        if self._is_led_by_a_time(plan):
            # An index has them in this order; only what it gives is sorted on by what is in no index.
            lead = self._order(plan.complete_order[0])
            first = (
                f"SELECT TOP ({int(plan.offset + (plan.limit or 0))}) WITH TIES * FROM {source}{where} ORDER BY {lead}"
            )
            source, where = f"({first}) AS [first]", ""
        return f"{source}{where}{self._page(plan)}"

    def _is_led_by_a_time(self, plan: Scan) -> bool:
        if not plan.order or not plan.limit or self._table is None:
            return False
        column = self._table.columns[plan.order[0].column]
        return column.kind.name == "timestamp" and not column.nullable

    def _page(self, plan: Scan) -> str:
        terms = plan.complete_order
        text = f" ORDER BY {', '.join(map(self._order, terms))}" if terms else ""
        if plan.limit is not None or plan.offset:
            text += f" OFFSET {int(plan.offset)} ROWS"
        if plan.limit:
            text += f" FETCH NEXT {int(plan.limit)} ROWS ONLY"
        return text

    def _order(self, term: Order) -> str:
        """Nulls are the smallest to SQL Server; where there are none they are not mentioned, so that indexes serve."""
        assert self._table is not None
        text = f"{self._operand(term.column)} {'DESC' if term.descending else 'ASC'}"
        if not self._table.columns[term.column].nullable:
            return text
        first, last = (0, 1) if term.nulls_first else (1, 0)
        return f"CASE WHEN {ident(term.column)} IS NULL THEN {first} ELSE {last} END ASC, {text}"

    def _operand(self, name: str) -> str:
        assert self._table is not None
        return wire.compared(self._table.columns[name])

    def _is_keyed(self, name: str) -> bool:
        return self._table is not None and name in keyed(self._table)

    def _filter(self, filter: Filter) -> str:
        match filter:
            case Is(str(), _, None):
                return "1 = NULL"
            case Is(str() as name, "=" | "!=" as op, str() as value) if self._is_keyed(name):
                return f"{ident(key_name(name))} {'<>' if op == '!=' else op} {self._bind(key_of(value))}"
            case Is(str() as name, op, value):
                return f"{self._operand(name)} {'<>' if op == '!=' else op} {self._bind(_bytes(value))}"
            case OneOf(name, values) if values and None not in values:
                return self._one_of(name, values)
            case Or(parts) if len(parts) > _FEW_KEYS and (keys := self._keys(parts)) is not None:
                return self._by_keys(keys)
            case Among(name, scan, of):
                return self._among(name, scan, of)
            case Contains(name, text):
                return self._contains(name, text)
            case Null(str() as name):
                return f"{ident(name)} IS NULL"
            case Null(At() as place):
                return places.is_null(place)
        return super()._filter(filter)

    def _one_of(self, name: str, values: tuple[Any, ...]) -> str:
        assert self._table is not None
        column = self._table.columns[name]
        key = self._is_keyed(name)
        operand = ident(key_name(name)) if key else self._operand(name)
        if len(values) <= INLINE:
            given = ", ".join(self._bind(key_of(value) if key else _bytes(value)) for value in values)
            return f"{operand} IN ({given})"
        form = wire.KEY if key else wire.form_of(column, compared=True)
        rows = self._bind(_json([form.given(value) for value in values]))
        return f"{operand} IN (SELECT {form.taken(0)} FROM OPENJSON({rows}) WITH ({form.declared(0)}))"

    def _keys(self, parts: tuple[Filter, ...]) -> list[tuple[str, ...]] | None:
        """The keys of rows, where a filter asks for rows by their whole keys and for nothing else."""
        assert self._table is not None
        wanted = self._table.key
        keys = []
        for part in parts:
            terms = part.of if isinstance(part, And) else (part,)
            found = {each.place: each.value for each in terms if isinstance(each, Is) and each.op == "="}
            if len(terms) != len(wanted) or found.keys() != set(wanted):
                return None
            keys.append(tuple(found[name] for name in wanted))
        return keys

    def _by_keys(self, keys: list[tuple[str, ...]]) -> str:
        assert self._table is not None
        places = range(len(self._table.key))
        rows = self._bind(_json([[wire.KEY.given(value)[0] for value in key] for key in keys]))
        declared = ", ".join(wire.KEY.declared(place) for place in places)
        same = " AND ".join(
            f"{ident(key_name(name))} = {wire.KEY.taken(place)}"
            for name, place in zip(self._table.key, places, strict=True)
        )
        return f"EXISTS (SELECT 1 FROM OPENJSON({rows}) WITH ({declared}) AS [keys] WHERE {same})"

    def _among(self, name: str, scan: Scan, of: str) -> str:
        outer, self._table = self._table, scan.table
        both = self._is_keyed(of) and outer is not None and name in keyed(outer)
        found = ident(key_name(of)) if both else self._operand(of)
        nulls = self._table.columns[of].nullable  # one would make every row that is not found unknown
        inner = scan if scan.limit is not None or scan.offset else scan.but(order=())
        if nulls and inner is not scan:
            inner = inner.but(where=And((inner.where, Not(Null(of)))))
            nulls = False
        text = f"SELECT {found} AS [found] FROM {self._rows(inner)}"
        self._table = outer
        if nulls:
            text = f"SELECT [found] FROM ({text}) AS [rows] WHERE [found] IS NOT NULL"
        return f"{ident(key_name(name)) if both else self._operand(name)} IN ({text})"

    def _contains(self, name: str, text: str) -> str:
        """A text in a text, letters of either case alike: those that occur in it are all made small."""
        found = f"CAST({ident(name)} AS NVARCHAR(MAX)) COLLATE Latin1_General_100_BIN2"
        for upper, small in cases_of(text):
            found = f"REPLACE({found}, N'{upper}', N'{small}')"
        return f"CHARINDEX({self._bind(lower(text))}, {found}) > 0"

    def _json(self, place: At, op: str, value: Any) -> str:
        return places.has(place, value, self._bind) if op == "has" else places.compare(place, op, value, self._bind)

    def patch(self, plan: Patch) -> Statement:
        """``UPDATE``, and how many rows it changed."""
        self._table = plan.table
        changes = []
        for name, value in plan.values.items():
            if isinstance(value, (list, tuple)):
                value = wire.vector(value)
            given = "NULL" if value is None else self._bind(value)
            changes.append(f"{ident(name)} = {given}")
        where = self._where(plan.where)
        return self._counted(f"UPDATE {self.name_of(plan.table)} SET {', '.join(changes)}{where}")

    def delete(self, plan: Delete) -> Statement:
        """``DELETE``, and how many rows it found."""
        self._table = plan.table
        return self._counted(f"DELETE FROM {self.name_of(plan.table)}{self._where(plan.where)}")

    def _counted(self, sql: str) -> Statement:
        return self._done(f"{sql}; SELECT @@ROWCOUNT AS [changed]")


def _bytes(value: Any) -> Any:
    """A value to compare with, as it is bound: of a text its bytes."""
    return value.encode() if isinstance(value, str) else value


def _json(rows: list[Any]) -> str:
    return json.dumps(rows, ensure_ascii=False, separators=(",", ":"))


@cache
def _cases() -> tuple[tuple[str, str], ...]:
    return tuple(zip(*two_cases(), strict=True))


def cases_of(text: str) -> list[tuple[str, str]]:
    """The capital letters whose lower case is in a text, each with that."""
    letters = set(lower(text))
    return [(upper, small) for upper, small in _cases() if small in letters]
