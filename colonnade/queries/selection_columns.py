"""Conditions as they are written: ``col("cost") > 0.01``, ``col.attributes["gen_ai.request.model"] == "gpt-5"``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from colonnade.engine.normalize import normalize
from colonnade.engine.plan import (
    TRUE,
    At,
    Comparison,
    Contains,
    Filter,
    Is,
    Not,
    Null,
    OneOf,
    Or,
    Scan,
    each_leaf,
)
from colonnade.errors import InvalidInput
from colonnade.schemas.table import Table


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """A column, or a place inside a JSON column; compared with a value it is a condition for ``where``.

    Conditions are joined with ``&``, ``|`` and ``~``. Comparing what is null gives neither true nor false, and such
    rows are left out. Inside JSON, ``==`` and ``!=`` are typed and deep (``1`` is not ``"1"``), and the orderings hold
    between numbers or between texts.
    """

    name: str
    path: tuple[str | int, ...] = ()

    def __getitem__(self, step: str | int) -> Column:
        """The place at a key of an object, or at a number of an array: ``col("metadata")["user"]["plan"]``."""
        if isinstance(step, bool) or not isinstance(step, str | int):
            raise InvalidInput(f"a place inside {self.name} is a key or a number, not {step!r:.80}")
        return Column(self.name, (*self.path, step))

    def __iter__(self) -> NoReturn:
        raise TypeError("a column has no rows to go through; read them with to_polars() or batches()")

    def __bool__(self) -> NoReturn:
        # Otherwise `col.isEvent and col.cost > 1` would be its second half alone.
        raise InvalidInput(f"{self!r} alone is no condition: compare it, and join conditions with &, | and ~")

    def __contains__(self, value: object) -> NoReturn:
        raise InvalidInput(
            f"write {self!r}.contains({value!r:.80}) of text, or .has({value!r:.80}) of a list, and not in"
        )

    if not TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any:
            if name.startswith("_") or name in type(self).__slots__:
                raise AttributeError(name)
            near = get_close_matches(name, (each for each in dir(type(self)) if each[0] != "_"), n=1, cutoff=0.8)
            offer = f"did you mean {near[0]!r}?" if near else f"a place inside JSON is written {self!r}[{name!r}]"
            raise AttributeError(f"'Column' object has no attribute {name!r}; {offer}", name=name, obj=self)

    @property
    def place(self) -> str | At:
        """What plans call it."""
        return At(self.name, self.path) if self.path else self.name

    def _compared(self, op: str, value: Any) -> Filter:
        if value is None:
            raise InvalidInput(f"nothing compares with None: write col({self.name!r}).is_null(), or ~ of that")
        if isinstance(value, Column):
            raise InvalidInput(f"{self.name} is compared with a value, not with a column; store.sql() can do that")
        return Is(self.place, cast("Comparison", op), value)

    def __eq__(self, value: object) -> Filter:  # type: ignore[override]
        return self._compared("=", value)

    def __ne__(self, value: object) -> Filter:  # type: ignore[override]
        return self._compared("!=", value)

    def __lt__(self, value: Any) -> Filter:
        return self._compared("<", value)

    def __le__(self, value: Any) -> Filter:
        return self._compared("<=", value)

    def __gt__(self, value: Any) -> Filter:
        return self._compared(">", value)

    def __ge__(self, value: Any) -> Filter:
        return self._compared(">=", value)

    def is_between(self, least: Any, most: Any) -> Filter:
        """From one value to another, both included."""
        return self._compared(">=", least) & self._compared("<=", most)

    def is_in(self, values: Iterable[Any]) -> Filter:
        """One of some values; of none it is false."""
        if isinstance(values, str) or not isinstance(values, Iterable):
            raise InvalidInput(f"is_in takes a list of values, such as [{values!r}]")
        known = tuple(values)
        if self.path:
            return Or(tuple(self._compared("=", value) for value in known))
        return OneOf(self.name, known)

    def is_null(self) -> Filter:
        """Null; inside JSON, missing or JSON null."""
        return Null(self.place)

    def is_not_null(self) -> Filter:
        """Not null; inside JSON, something is there."""
        return Not(Null(self.place))

    def has(self, element: Any) -> Filter:
        """An array inside JSON, such as ``tags``, that has an element."""
        return Is(At(self.name, self.path), "has", element)

    def contains(self, text: str) -> Filter:
        """A text or JSON column that has a text in it, as it is stored, in either case."""
        if self.path:
            raise InvalidInput(f"contains looks into a whole column: write col({self.name!r}).contains(...)")
        return Contains(self.name, text)

    def __repr__(self) -> str:
        return f"col({self.name!r})" + "".join(f"[{step!r}]" for step in self.path)


class _Columns:
    """``col("cost")``, or ``col.cost``."""

    def __call__(self, name: str) -> Column:
        """The column of that name."""
        return Column(name)

    def __getattr__(self, name: str) -> Column:
        if name.startswith("__"):
            raise AttributeError(name)
        return Column(name)

    def __repr__(self) -> str:
        return "col"


col: Final = _Columns()
"""Columns to write conditions with: ``col("cost") > 0.01``, ``col.name == "chat"``, ``col.attributes["a"]["b"]``."""


def column_name(table: Table, name: object) -> str:
    """The column that is meant: by its own name, or by the one that records have for it."""
    if isinstance(name, list | tuple):
        raise InvalidInput(f"name columns one by one, and not in a list: {', '.join(map(repr, name))}")
    if not isinstance(name, str):
        raise InvalidInput(f"a column of {table.name} is named by text, not by {name!r:.80}")
    return table.column(name if name in table.columns or name not in table.by_api else table.by_api[name].name).name


def place_of(table: Table, column: Column) -> At:
    """A place inside a JSON column of a table."""
    name = column_name(table, column.name)
    if table.columns[name].kind.name != "json":
        raise InvalidInput(f"{name} of {table.name} is no JSON column, so there is no place inside it")
    return At(name, column.path)


def condition(table: Table, given: Iterable[object], equal: Mapping[str, Any]) -> Filter:
    """Conditions and equalities as one filter of a table, which is checked."""
    where: Filter = TRUE
    for each in given:
        if not isinstance(each, Filter):
            raise InvalidInput(_no_condition(each))
        where &= each
    for name, value in equal.items():
        where &= _equal(table, name, value)
    where = each_leaf(where, lambda leaf: _meant(table, leaf))
    normalize(Scan(table, where))  # what is wrong is said where it is written, not where it is read
    return where


def _no_condition(given: object) -> str:
    if type(given).__module__.partition(".")[0] == "polars":
        return "a Polars expression is for to_polars(lazy=True).filter(); in where() write colonnade.col('cost') > 0.01"
    if isinstance(given, Column):
        return f"{given!r} alone is no condition: compare it, as in {given!r} == True"
    return f"{given!r:.80} is no condition; write col('cost') > 0.01, or cost=0.01 for equality"


def _equal(table: Table, name: str, value: Any) -> Filter:
    """What ``where(name=value)`` means: null for ``None``, one of them for several."""
    if value is None:
        return Null(name)
    if isinstance(value, Column):
        raise InvalidInput(f"{name} is compared with a value, not with a column; store.sql() can do that")
    is_json = table.columns[column_name(table, name)].kind.name == "json"  # where a list is a value
    several = not is_json and isinstance(value, list | tuple | set | frozenset)
    return OneOf(name, tuple(value)) if several else Is(name, "=", value)


def _meant(table: Table, leaf: Filter) -> Filter:
    """A condition with the columns that are meant; of JSON columns, about what they hold and not about its text."""
    match leaf:
        case Is(At(name, path), op, value):
            return Is(At(column_name(table, name), path), op, value)
        case Null(At(name, path)):
            return Null(At(column_name(table, name), path))
        case Is(str() as name, op, value):
            name = column_name(table, name)
            return Is(At(name) if table.columns[name].kind.name == "json" else name, op, value)
        case OneOf(name, values):
            name = column_name(table, name)
            if table.columns[name].kind.name == "json":
                raise InvalidInput(f"{name} is JSON: compare it by ==, or a place in it, or ask what it .has()")
            return OneOf(name, values)
        case Null(str() as name):
            return Null(column_name(table, name))
        case Contains(name, text):
            return Contains(column_name(table, name), text)
    return leaf
