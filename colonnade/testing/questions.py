"""Question fixtures: what is asked of a small fixed data set, in words and as a plan, and what every store must answer.

The machine finds what nobody thought of; these say what was meant, one rule each, and are read like a list::

    load(storage)
    for question in QUESTIONS:
        ask(storage, question)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from difflib import unified_diff
from typing import Any, Final

from colonnade.engine.plan import (
    FALSE,
    TRUE,
    Among,
    At,
    Bucket,
    Filter,
    Is,
    Measure,
    Not,
    Null,
    OneOf,
    Order,
    Put,
    Scan,
    Summarize,
    after,
    asc,
    between,
    desc,
)
from colonnade.schemas import EVALS, MESSAGES, SCORES, SPANS, THREADS, TRACES, WORKFLOWS
from colonnade.schemas.records import decode, encode
from colonnade.schemas.table import Table
from colonnade.testing.sample import BEFORE_1970, HOUR, JSON_ID, MINUTE, NOON, RUNS, SQL_ID, TICK, WRITES


@dataclass(frozen=True, slots=True)
class Question:
    """A rule in words, a plan that asks for it, and the answer.

    ``expected`` has one element a row: the value where the plan gives one column, otherwise a tuple of them. Rows count
    in their order where the plan has one, and JSON and times are as records have them.
    """

    caption: str
    plan: Scan | Summarize
    expected: tuple[Any, ...]


def load(storage: Any) -> None:
    """Write the data that the questions are about into an open, empty storage (an async one behind ``Awaited``)."""
    for table, records in WRITES:
        storage.execute(Put(table, encode(table, records)))


def ask(storage: Any, question: Question) -> None:
    """Ask a loaded storage; ``AssertionError`` shows expected and found rows line by line where they differ."""
    plan = question.plan
    answer = storage.execute(plan)
    if isinstance(plan, Scan):
        names: tuple[str, ...] = plan.projection
        rows = [tuple(record.values()) for record in decode(plan.table, answer)]
    else:
        names = plan.names
        rows = [tuple(row.values()) for row in answer.to_pylist()]
    found = [row[0] if len(names) == 1 else row for row in rows]
    wanted = list(question.expected)
    if isinstance(plan, Scan) and not plan.complete_order:
        found, wanted = sorted(found, key=repr), sorted(wanted, key=repr)
    near = isinstance(plan, Summarize)
    if tuple(answer.column_names) != names:
        raise AssertionError(f"{question.caption}\nthe columns are {answer.column_names}, not {list(names)}")
    if len(found) != len(wanted) or not all(map(lambda a, b: _is_same(a, b, near=near), found, wanted)):
        diff = unified_diff([*map(repr, wanted)], [*map(repr, found)], "expected", "found", n=99, lineterm="")
        lines = [line for line in diff if not line.startswith("@@")]
        raise AssertionError("\n".join([question.caption, *lines, f"asked of {plan.table.name}: {plan}"]))


def _is_same(found: Any, wanted: Any, *, near: bool) -> bool:
    """Equal and of one type; ``near`` allows a measure what adding up in another order changes."""
    if isinstance(wanted, tuple | list):
        return isinstance(found, tuple | list) and _all_same(list(found), list(wanted), near)
    if isinstance(wanted, Mapping):
        return isinstance(found, Mapping) and _all_same(
            [*found, *found.values()], [*wanted, *(wanted[name] for name in found if name in wanted)], near, found.keys() == wanted.keys()
        )
    if isinstance(wanted, bool) or isinstance(found, bool):
        return found is wanted
    if isinstance(wanted, float) and isinstance(found, float) and near:
        return math.isclose(found, wanted, rel_tol=1e-12)
    return bool(found == wanted)


def _all_same(found: list[Any], wanted: list[Any], near: bool, held: bool = True) -> bool:
    return held and len(found) == len(wanted) and all(_is_same(a, b, near=near) for a, b in zip(found, wanted))
