"""What our own stores are excused from, listed here and not read from them, so that an ability cannot go unnoticed.

An excused store still gives whole answers: what it lacks is made up for above it, only slower. ``agree`` is the test
that keeps list and stores together.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, get_args

from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import Function

Word = Literal["notimpl", "notyet", "never"]
"""``notimpl``: we could. ``notyet``: they (the database, its driver) must first. ``never``: it would make no sense."""


@dataclass(frozen=True, slots=True)
class Excuse:
    """Why a store lacks an ability: a word, and a sentence for people."""

    word: Word
    reason: str

    def __str__(self) -> str:
        return f"{self.word}: {self.reason}"


def _same(excuse: Excuse, *names: str) -> dict[str, Excuse]:
    return dict.fromkeys(names, excuse)


_WITHIN: Final = Excuse(
    "never", "A put with expect is compared within a transaction, which this store has; it needs no second way."
)

_NO_INDEX: Final = Excuse(
    "notimpl",
    "It keeps no index of words: rows are scanned for them, by text search where it has that, and ranked above.",
)

_NO_VECTORS: Final = Excuse("notimpl", "It knows no vectors: all rows are read and compared in Arrow.")

_SCANNED: Final = Excuse("notimpl", "Rows are scanned for texts, and compared in Arrow.")
_NOT_ASKED: Final = Excuse(
    "notimpl", "It has an index for this, which is not asked yet: rows are scanned and compared."
)

_NO_QUANTILES: Final = _same(
    Excuse("notimpl", "SQLite has no quantiles, and none was written for it: rows are folded in Arrow."),
    *("p50", "p95", "p99"),
)

EXCUSES: Final[Mapping[str, Mapping[str, Excuse]]] = {
    "memory": {
        "transactions": Excuse(
            "never",
            "It compares and sets on purpose, so that every atomic operation is tested on that road too (ADR 002).",
        ),
        "semijoin": Excuse("notimpl", "The inner scan is answered first and its values become a one-of."),
        "patch": Excuse("notimpl", "Rows are scanned, changed and put, compared with what was scanned."),
        "search": _NO_INDEX,
    },
    "duckdb": {"compare_and_set": _WITHIN, "search": _NO_INDEX},
    "sqlite": {
        "compare_and_set": _WITHIN,
        "nearest": _NO_VECTORS,
        "search": _NO_INDEX,
        **_NO_QUANTILES,
    },
    "libsql.store": {"compare_and_set": _WITHIN, "nearest": _NO_VECTORS, "search": _NO_INDEX, **_NO_QUANTILES},
    "d1.store": {
        "transactions": Excuse(
            "notyet",
            "Theirs begin and end with one request: what an operation read is compared in the batch that writes.",
        ),
        "nearest": _NO_VECTORS,
        "search": _NO_INDEX,
        **_NO_QUANTILES,
    },
    "clickhouse.store": {
        "transactions": Excuse(
            "notyet",
            "Theirs are experimental, need a Keeper and end at one server; so each write is one statement.",
        ),
    },
    "mongodb.store": {
        "compare_and_set": _WITHIN,
        **_same(
            Excuse("notyet", "MongoDB has no function that reads JSON text: rows are scanned and compared in Arrow."),
            *("json_equal", "json_has"),
        ),
        "contains": _SCANNED,
        "semijoin": Excuse("notimpl", "The inner scan is answered first and its values become a one-of."),
        "search": _NO_INDEX,
        **_same(
            Excuse("notyet", "Its quantiles are values that occur, and ours interpolate: rows are folded in Arrow."),
            *("p50", "p95", "p99"),
        ),
    },
    "lance.cloud": {
        "transactions": Excuse("notyet", "Neither LanceDB nor its service has transactions."),
        "compare_and_set": Excuse("notyet", "A merge in LanceDB cannot be made to fail where rows have changed."),
        **_same(
            Excuse("notyet", "Lance's functions tell no JSON number from a text: rows are scanned and compared."),
            *("json_equal", "json_has"),
        ),
        **_same(
            Excuse("notimpl", "The service is asked for little, since none was there to be tested with."),
            *(
                "semijoin",
                "order",
                "patch",
                "contains",
                "nearest",
                "search",
                "count",
                "sum",
                "min",
                "max",
                "mean",
                "p50",
                "p95",
                "p99",
            ),
        ),
    },
    "lance.store": {
        "transactions": Excuse("notyet", "A commit of Lance is about one table, so it compares and sets."),
        **_same(
            Excuse("notyet", "Lance's functions tell no JSON number from a text: rows are scanned and compared."),
            *("json_equal", "json_has"),
        ),
        "semijoin": Excuse("notimpl", "The inner scan is answered first and its values become a one-of."),
        "patch": Excuse(
            "never", "Nothing is changed in place: an update is a later copy, which is what scan and put make of it."
        ),
    },
    "postgres.store": {"compare_and_set": _WITHIN, "search": _NO_INDEX},
    "mssql.store": {
        "compare_and_set": _WITHIN,
        "nearest": Excuse(
            "notimpl", "SQL Server knows vectors from 2025 on; those of all versions are read and compared in Arrow."
        ),
        "search": _NO_INDEX,
        **_same(
            Excuse("notyet", "Its exact quantiles are no aggregates but windows over rows, which it would all keep."),
            *("p50", "p95", "p99"),
        ),
    },
    "upstash.store": {
        "transactions": Excuse(
            "never",
            "MULTI cannot read and then decide: what compares and sets is one script, which nothing interrupts.",
        ),
        "semijoin": Excuse("notimpl", "The inner scan is answered first and its values become a one-of."),
        "nearest": _NO_VECTORS,
        "search": _NO_INDEX,
        **_same(
            Excuse("never", "Redis sums nothing up: rows are read page by page and folded in Arrow."),
            *("sum", "min", "max", "mean", "p50", "p95", "p99"),
        ),
    },
    "embedded.columnar": {
        "transactions": Excuse(
            "notimpl", "Each write is one frame of a log; frames of several are not joined, so it compares and sets."
        ),
        "semijoin": Excuse("notimpl", "The inner scan is answered first and its values become a one-of."),
        "nearest": _NO_VECTORS,
        "search": _NO_INDEX,
        "patch": Excuse(
            "never", "Nothing is changed in place: an update is a later copy, which is what scan and put make of it."
        ),
    },
}
"""Excuses by store (named as its module; a folder is two stores), then by ability."""

_OURS: Final = "colonnade.engine.stores."


def lacking(abilities: Abilities) -> tuple[str, ...]:
    """What a store cannot do natively: names of abilities, and each function of ``Summarize`` under its own name."""
    flags = [each.name for each in fields(Abilities) if getattr(abilities, each.name) is False]
    return (*flags, *(function for function in get_args(Function) if function not in abilities.aggregates))


def excuses_of(store: Any) -> Mapping[str, Excuse]:
    """The excuses of an open store; none where it is not one of ours."""
    module = type(store).__module__
    return EXCUSES.get(module.removeprefix(_OURS), {}) if module.startswith(_OURS) else {}


def agree(store: Any, excuses: Mapping[str, Excuse]) -> None:
    """``AssertionError`` where a store lacks what it is not excused from, or is excused from what it can do."""
    missing = lacking(store.abilities)
    known = lacking(Abilities())
    problems = [f"{name}: lacking, and there is no excuse for it" for name in missing if name not in excuses]
    for name in excuses:
        if name not in known:
            problems.append(f"{name}: excused, but there is no such ability")
        elif name not in missing:
            problems.append(f"{name}: excused ({excuses[name]}), but the store can do it: strike the excuse out")
    if problems:
        raise AssertionError("\n".join([f"{store} and its excuses do not agree:", *problems]))
