"""Plans as ClickHouse's SQL: its parameters, its JSON functions, and three-valued logic where it matters."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from colonnade.engine.plan import (
    TRUE,
    Among,
    At,
    Bucket,
    Contains,
    Delete,
    Filter,
    Is,
    Measure,
    Not,
    Null,
    OneOf,
    Patch,
    Scan,
    Summarize,
)
from colonnade.engine.relational import Renderer
from colonnade.engine.stores.clickhouse import layout
from colonnade.engine.stores.clickhouse.layout import CLICKHOUSE, DELETED_COLUMN, VERSION_COLUMN
from colonnade.schemas.moments import micros_of
from colonnade.schemas.payloads import escape_text
from colonnade.schemas.table import Table
from colonnade.schemas.words import lower, two_cases

_UNKNOWN: Final = "CAST(NULL, 'Nullable(Bool)')"
_MOVED: Final = "_moved"
_LONG: Final = 1000
"""Letters of a text that is no longer looked for with a regular expression: it takes the square of their number."""
_FIELD: Final = 30_000
"""Letters of a value that are bound at once: the server takes 128 KB."""


class ClickHouseRenderer(Renderer):
    """Renders one statement; ``values`` are its parameters by name."""

    def __init__(self) -> None:
        super().__init__(CLICKHOUSE, source=lambda table: f"{layout.name_of(table)} FINAL")
        self.values: dict[str, Any] = {}
        self._three_valued = False

    def _bind(self, value: Any) -> str:
        pieces = _pieces(value)
        if len(pieces) > 1:
            join = "concat" if isinstance(value, str) else "arrayConcat"
            return f"{join}({', '.join(map(self._bind, pieces))})"
        if isinstance(value, list) and len(value) == 1 and len(_pieces(value[0])) > 1:
            return f"[{self._bind(value[0])}]"
        name = f"p{len(self.values)}"
        kind = _type_of(value)
        self.values[name] = _spelled(value)
        if kind.startswith("DateTime"):
            return f"fromUnixTimestamp64Micro({{{name}:Int64}}, 'UTC')"
        return f"{{{name}:{kind}}}"

    def _filter(self, filter: Filter) -> str:
        ident = CLICKHOUSE.ident
        match filter:
            case Is(str(), _, None):
                return _UNKNOWN
            case OneOf(name, values) if values:
                return self._one_of(name, values)
            case Among(name, scan, of):
                found = self._select(scan)
                if scan.table.columns[of].nullable:
                    found = f"SELECT {ident(of)} FROM ({found}) WHERE {ident(of)} IS NOT NULL"
                among = f"{ident(name)} IN ({found})"
                if not self._three_valued:
                    return among
                some = f"(SELECT count() FROM ({self._select(scan)}) WHERE {ident(of)} IS NOT NULL) > 0"
                return f"if({ident(name)} IS NULL, if({some}, NULL, false), {among})"
            case Contains(name, text) if len(text) > _LONG:
                cases = ", ".join(map(self._bind, two_cases()))
                return f"position(translateUTF8({ident(name)}, {cases}), {self._bind(lower(text))}) > 0"
            case Null(At(column, path)):
                return f"ifNull(toString(JSONType({self._at(column, path)})), 'Null') = 'Null'"
            case Not(of):
                # Only here unknown differs from false; elsewhere plain conditions let indexes be used.
                before, self._three_valued = self._three_valued, True
                try:
                    return f"NOT ({self._filter(of)})"
                finally:
                    self._three_valued = before
        return super()._filter(filter)

    def _one_of(self, name: str, values: tuple[Any, ...]) -> str:
        column = CLICKHOUSE.ident(name)
        known = list(dict.fromkeys(value for value in values if value is not None))
        some = _UNKNOWN
        if known and isinstance(known[0], float):
            some = f"({column} + 0) IN {self._bind([value + 0.0 for value in known])}"  # -0.0 has other bits than 0.0
        elif known and isinstance(known[0], bool | datetime):
            some = f"{column} IN ({', '.join(map(self._bind, known))})"
        elif known:
            some = f"{column} IN {self._bind(known)}"
        if not self._three_valued:
            return some
        missed = _UNKNOWN if len(known) < len(set(values)) else "false"
        return f"if({column} IS NULL, {_UNKNOWN}, if(ifNull({some}, false), true, {missed}))"

    def _at(self, column: str, path: tuple[str | int, ...]) -> str:
        return ", ".join([CLICKHOUSE.ident(column), *map(self._bind, path)])

    def _json(self, place: At, op: str, value: Any) -> str:
        """Typed equality at a place. A whole number beyond 64 bits has the type of a text, but no quotation marks."""
        at = self._at(place.column, place.path)
        if op == "has":
            wanted = self._bind(escape_text(value))
            each = f"arrayExists(item -> startsWith(item, '\"') AND JSONExtractString(item) = {wanted}, "
            return f"if(JSONType({at}) = 'Array', {each}JSONExtractArrayRaw({self._text(place)})), NULL)"
        if isinstance(value, bool):
            equal = f"JSONType({at}) = 'Bool' AND JSONExtractBool({at}) = {self._bind(value)}"
        elif isinstance(value, str):
            equal = f"JSONType({at}) = 'String' AND startsWith(JSONExtractRaw({at}), '\"')"
            equal += f" AND JSONExtractString({at}) = {self._bind(escape_text(value))}"
        else:
            equal = f"JSONType({at}) IN ('Int64', 'UInt64', 'Double')"
            equal += f" AND JSONExtractFloat({at}) = {self._bind(float(value))}"
        there = "isNotNull" if not place.path else "JSONHas"
        found = f"if({there}({at}), {equal}, NULL)"
        return found if op == "=" else f"NOT ({found})"

    def _text(self, place: At) -> str:
        # An array of nullables cannot be made: where the column is null, the type has said so already.
        return self._at(place.column, place.path).replace(
            CLICKHOUSE.ident(place.column), f"ifNull({CLICKHOUSE.ident(place.column)}, '')", 1
        )

    def summary(self, plan: Summarize) -> str:
        """``SELECT`` of groups ``g0``, ``g1`` ... and measures ``m0``, ``m1`` ..., sorted by group.

        Not under their own names: in ClickHouse a name that is given in a query hides the column of that name.
        """
        groups = [self._grouped(term, plan.table) for term in plan.by]
        chosen = [f"{text} AS g{place}" for place, text in enumerate(groups)]
        for place, measure in enumerate(plan.measures):
            column = self._measured(measure) if measure.column else ""
            if measure.function == "sum" and _is_whole(measure, plan.table):
                column = f"toDecimal128({column}, 0)"  # exact, and wide enough to see that 64 bits are too few
            text = str((CLICKHOUSE.functions or {})[measure.function]).format(column=column)
            chosen.append(f"{text} AS m{place}")
        sql = f"SELECT {', '.join(chosen)} FROM {self._source(plan.table)}{self._where(plan.where)}"
        if groups:
            names = [f"g{place}" for place in range(len(groups))]
            sql += f" GROUP BY {', '.join(names)} ORDER BY " + ", ".join(f"{name} ASC NULLS LAST" for name in names)
        return sql

    def _grouped(self, term: str | Bucket, table: Table) -> str:
        _, text = self._group(term)
        is_float = isinstance(term, str) and table.columns[term].kind.name == "float"
        return f"{text} + 0" if is_float else text

    def newest(self, table: Table, columns: tuple[str, ...], where: str) -> str:
        """``SELECT`` of the newest copy of some rows, tombstones among them, wherever they are sorted."""
        key = ", ".join(map(CLICKHOUSE.ident, table.key))
        names = ", ".join(dict.fromkeys(map(CLICKHOUSE.ident, (*table.key, *columns))))
        return (
            f"SELECT {names}, {VERSION_COLUMN}, {DELETED_COLUMN} FROM {layout.name_of(table)} WHERE {where} "
            f"ORDER BY {VERSION_COLUMN} DESC LIMIT 1 BY {key}"
        )

    def newest_by_key(self, table: Table, columns: tuple[str, ...], leads: list[str]) -> str:
        """The newest copies of the rows whose key begins with one of these values."""
        return self.newest(table, columns, f"{CLICKHOUSE.ident(table.key[0])} IN {self._bind(leads)}")

    def changed(self, plan: Patch) -> str:
        """``INSERT`` of a new copy of each row that is to change; of two, the first a tombstone, where it may move."""
        moves = any(name in plan.values for name in layout.moving(plan.table))
        version = _after(VERSION_COLUMN)
        chosen = []
        for column in plan.table.columns.values():
            text = name = CLICKHOUSE.ident(column.name)
            if column.name in plan.values:
                value = plan.values[column.name]
                text = "NULL" if value is None else self._bind(value)
                if moves and column.name in layout.moving(plan.table):
                    text = f"if({_MOVED} = 0, {text}, {name})"
            chosen.append(text)
        chosen += [f"{version} + ({_MOVED} = 0)", _MOVED] if moves else [version, "0"]
        source = self._source(plan.table) + (f" ARRAY JOIN [1, 0] AS {_MOVED}" if moves else "")
        return f"{_insert(plan.table)} SELECT {', '.join(chosen)} FROM {source}{self._where(plan.where)}"

    def deleted(self, plan: Delete) -> str:
        """``INSERT`` of a tombstone for each row that is to go."""
        names = ", ".join(map(CLICKHOUSE.ident, layout.sort_key(plan.table)))
        version = _after(VERSION_COLUMN)
        return (
            f"INSERT INTO {layout.name_of(plan.table)} ({names}, {VERSION_COLUMN}, {DELETED_COLUMN}) "
            f"SELECT {names}, {version}, 1 FROM {self._source(plan.table)}{self._where(plan.where)}"
        )

    def selected(self, plan: Scan) -> str:
        """``SELECT`` of the projection, where, ordered, paged.

        A page without a condition gets one that holds always: with one, the server fetches payloads of the rows of the
        page alone; without, of all that it looks at. (No identifier is empty.)
        """
        if plan.where == TRUE and plan.limit is not None:
            plan = plan.but(where=Is(plan.table.key[0], "!=", ""))
        return self._select(plan)


def _is_whole(measure: Measure, table: Table) -> bool:
    return measure.minus is None and table.columns[str(measure.column)].kind.name != "float"


def _insert(table: Table) -> str:
    columns = ", ".join(map(CLICKHOUSE.ident, table.columns))
    return f"INSERT INTO {layout.name_of(table)} ({columns}, {VERSION_COLUMN}, {DELETED_COLUMN})"


def _after(version: str) -> str:
    """A version later than that of the copy before, and than all that was written before a table was emptied."""
    return f"greatest({version} + 1, toUInt64(toUnixTimestamp64Micro(now64(6))))"


def upsert(table: Table, incoming: str, base: str | None) -> str:
    """``INSERT`` of rows that are sent along, merged with what is stored by the rules of ``Put``, in one statement.

    With ``base``, a column of what is sent, it fails unless the newest stored copies still have these versions.
    """
    ident = CLICKHOUSE.ident
    moving = layout.moving(table)
    kept = tuple(dict.fromkeys((*moving, *table.once, *filter(None, [table.facts.final]))))
    lead = ident(table.key[0])
    stored = ClickHouseRenderer().newest(table, kept, f"{lead} IN (SELECT {lead} FROM {incoming})")
    names = {name: f"stored_{place}" for place, name in enumerate(kept)}
    before = ", ".join(
        [f"stored.{VERSION_COLUMN} AS before", f"before > 0 AND stored.{DELETED_COLUMN} = 0 AS alive"]
        + [f"stored.{ident(name)} AS {alias}" for name, alias in names.items()]
    )
    same = " AND ".join(f"incoming.{ident(name)} = stored.{ident(name)}" for name in table.key)
    conditions = []
    if base is not None:
        conditions.append(f"throwIf(incoming.{ident(base)} != before, '{CHANGED}') = 0")
    if final := table.facts.final:
        conditions.append(f"NOT (alive AND {names[final]} IS NOT NULL AND incoming.{ident(final)} IS NULL)")
    where = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    columns = ", ".join(f"incoming.{ident(name)} AS {ident(name)}" for name in table.columns)
    rows = f"SELECT {columns}, {before} FROM {incoming} AS incoming LEFT JOIN ({stored}) AS stored ON {same}{where}"
    values = {
        name: f"if(alive, {names[name]}, {ident(name)})" if name in table.once else ident(name)
        for name in table.columns
    }
    version = _after("before")
    if not moving:
        return f"{_insert(table)} SELECT {', '.join(values.values())}, {version}, 0 FROM ({rows})"
    moved = " OR ".join(f"{names[name]} != {values[name]}" for name in moving)
    chosen = [f"if({_MOVED} = 1, {names[name]}, {text})" if name in moving else text for name, text in values.items()]
    return (
        f"{_insert(table)} SELECT {', '.join(chosen)}, {version} + (alive AND {_MOVED} = 0), {_MOVED} FROM ({rows}) "
        f"ARRAY JOIN if(alive AND ({moved}), [1, 0], [0]) AS {_MOVED}"
    )


CHANGED: Final = "colonnade: rows changed since they were read"
"""What a guarded put fails with."""


def _pieces(value: Any) -> list[Any]:
    """A value in pieces that can be bound, of texts and of lists of them; a list holds too long a text by itself."""
    if isinstance(value, str):
        return [value[at : at + _FIELD] for at in range(0, len(value), _FIELD)] or [value]
    if not isinstance(value, list):
        return [value]
    pieces: list[list[Any]] = [[]]
    size = 0
    for each in value:
        more = len(str(each)) + 4  # a comma, quotation marks
        if pieces[-1] and size + more > _FIELD:
            pieces.append([])
            size = 0
        pieces[-1].append(each)
        size += more
    return pieces


def _type_of(value: Any) -> str:
    match value:
        case bool():
            return "Bool"
        case int():
            return "Int64"
        case float():
            return "Float64"
        case str() | bytes():
            return "String"
        case datetime():
            return "DateTime64"
        case list() | tuple():
            return f"Array({_type_of(value[0])})" if value else "Array(String)"
    raise TypeError(f"{type(value).__name__} is no value of a statement")


def _spelled(value: Any) -> Any:
    if isinstance(value, datetime):
        return micros_of(value)
    return list(value) if isinstance(value, tuple) else value
