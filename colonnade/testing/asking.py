"""A question to a store: in words, as a plan, and with the answer that it must give."""

from __future__ import annotations

import math
from dataclasses import dataclass
from difflib import unified_diff
from typing import Any

from colonnade.engine.plan import TRUE, Bucket, Filter, Measure, Nearest, Order, Put, Scan, Search, Summarize, asc
from colonnade.schemas.records import decode, encode
from colonnade.schemas.table import Table
from colonnade.testing.sample import WRITES


@dataclass(frozen=True, slots=True)
class Question:
    """A rule in words, a plan that asks for it, and the answer.

    ``expected`` has one element a row: the value where the plan gives one column, otherwise a tuple of them. Rows count
    in their order where the plan has one, and JSON and times are as records have them. Of a search it is the keys.
    """

    caption: str
    plan: Scan | Summarize | Search | Nearest
    expected: tuple[Any, ...]


def load(storage: Any) -> None:
    """Write the data that the questions are about into an open, empty storage (an async one behind ``Awaited``)."""
    for table, records in WRITES:
        storage.execute(Put(table, encode(table, records)))


def ask(storage: Any, question: Question) -> None:
    """Ask a loaded storage; ``AssertionError`` shows expected and found rows line by line where they differ."""
    plan = question.plan
    answer = storage.execute(plan)
    names: tuple[str, ...]
    if isinstance(plan, Search):
        answer = answer.select(list(plan.table.key))
    if isinstance(plan, Scan):
        names = plan.projection
        rows = [tuple(record.values()) for record in decode(plan.table, answer)]
    else:
        names = tuple(answer.column_names) if isinstance(plan, Search) else plan.names
        rows = [tuple(row.values()) for row in answer.to_pylist()]
    found = [row[0] if len(names) == 1 else row for row in rows]
    wanted = list(question.expected)
    if isinstance(plan, Scan) and not plan.complete_order:
        found, wanted = sorted(found, key=repr), sorted(wanted, key=repr)
    near = isinstance(plan, Summarize)  # a mean may differ in its last digit; what is kept may not
    if tuple(answer.column_names) != names:
        raise AssertionError(f"{question.caption}\nthe columns are {answer.column_names}, not {list(names)}")
    if not _is_same(found, wanted, near=near):
        diff = unified_diff([*map(repr, wanted)], [*map(repr, found)], "expected", "found", n=99, lineterm="")
        lines = [line for line in diff if not line.startswith("@@")]
        raise AssertionError("\n".join([question.caption, *lines, f"asked of {plan.table.name}: {plan}"]))


def _is_same(found: Any, wanted: Any, *, near: bool) -> bool:
    """Equal, and ``True`` is not 1; ``near`` allows measures what adding up in another order changes."""
    match wanted:
        case dict():
            there = isinstance(found, dict) and found.keys() == wanted.keys()
            return there and all(_is_same(found[name], wanted[name], near=near) for name in wanted)
        case tuple() | list():
            there = isinstance(found, tuple | list) and len(found) == len(wanted)
            return there and all(_is_same(*pair, near=near) for pair in zip(found, wanted, strict=True))
        case float() if near:
            return isinstance(found, float) and math.isclose(found, wanted, rel_tol=1e-12)
    return isinstance(found, bool) == isinstance(wanted, bool) and bool(found == wanted)


def keys(
    caption: str,
    table: Table,
    where: Filter,
    *keys: Any,
    order: tuple[Order, ...] = (),
    limit: int | None = None,
    offset: int = 0,
) -> Question:
    """Which rows: their keys, a tuple where a key has several columns."""
    return Question(caption, Scan(table, where, order, limit, offset, table.key), keys)


def values(caption: str, table: Table, where: Filter, columns: str, *rows: Any) -> Question:
    """What is in some rows, in the order of their keys."""
    return Question(caption, Scan(table, where, tuple(map(asc, table.key)), columns=tuple(columns.split())), rows)


def groups(
    caption: str, table: Table, by: tuple[str | Bucket, ...], measures: str, *rows: Any, where: Filter = TRUE
) -> Question:
    """Groups with measures written as ``function`` or ``function:column``, separated by blanks."""
    asked = (measure.partition(":") for measure in measures.split())
    made = tuple(Measure(function, column or None) for function, _, column in asked)  # type: ignore[arg-type]
    return Question(caption, Summarize(table, by, made, where), rows)
