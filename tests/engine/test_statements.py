"""Statements that are kept by shape: exactly what the renderer says, whatever was asked before."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from colonnade.engine import statements as statements_module
from colonnade.engine.dialect import DIALECTS, SQLITE, Dialect
from colonnade.engine.plan import (
    TRUE,
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
    Patch,
    Scan,
    asc,
    desc,
)
from colonnade.engine.relational import INLINE, Renderer, Statement
from colonnade.engine.sqlite_values import bound
from colonnade.engine.statements import Shaped, Statements
from colonnade.schemas import MESSAGES, SPANS, THREADS
from colonnade.schemas.table import Table

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
EACH_DIALECT = pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
NUMBERED = replace(SQLITE, placeholder="${number}")


def rendered(plan: Shaped, dialect: Dialect) -> Statement:
    renderer = Renderer(dialect, bound)
    match plan:
        case Scan():
            return renderer.scan(plan)
        case Patch():
            return renderer.patch(plan)
        case Delete():
            return renderer.delete(plan)


texts = st.sampled_from(["a", "b", "", "x'\"y"])
leaves: st.SearchStrategy[Filter] = st.one_of(
    st.builds(Is, st.sampled_from(["id", "title"]), st.sampled_from(["=", "!=", "<", ">="]), st.none() | texts),
    st.builds(lambda micros: Is("createdAt", "<", NOON.replace(microsecond=micros)), st.integers(0, 9)),
    st.builds(OneOf, st.just("id"), st.lists(st.none() | texts, max_size=3).map(tuple)),
    st.just(OneOf("id", tuple(map(str, range(INLINE + 1))))),
    st.builds(Null, st.sampled_from(["metadata", "title"])),
    st.builds(lambda value: Is(At("metadata", ("a",)), "=", value), st.sampled_from(["a", 1, True])),
    st.builds(lambda path: Null(At("metadata", (path,))), st.sampled_from(["a", "b"])),
)
filters: st.SearchStrategy[Filter] = st.recursive(
    leaves,
    lambda inner: (
        st.builds(Not, inner)
        | st.builds(lambda parts: And(tuple(parts)), st.lists(inner, max_size=3))
        | st.builds(lambda parts: Or(tuple(parts)), st.lists(inner, max_size=3))
    ),
    max_leaves=6,
)
scans = st.builds(
    Scan,
    st.just(THREADS),
    filters,
    st.sampled_from([(), (asc("id"),), (desc("title"), asc("createdAt"))]),
    st.sampled_from([None, 0, 3]),
    st.sampled_from([0, 2]),
    st.sampled_from([None, ("id",), ("title", "id")]),
)
values = st.dictionaries(st.sampled_from(["title", "updatedAt"]), st.sampled_from([None, "t", NOON]), min_size=1)
asked = st.one_of(
    scans,
    st.builds(Patch, st.just(THREADS), filters, values),
    st.builds(Delete, st.sampled_from([THREADS]), filters),
)


@pytest.mark.parametrize("dialect", [*DIALECTS.values(), NUMBERED], ids=[*DIALECTS, "numbered"])
@given(plans=st.lists(asked, min_size=1, max_size=12))
def test_a_statement_is_what_the_renderer_says_whatever_was_asked_before(dialect: Dialect, plans: list[Shaped]) -> None:
    kept = Statements(dialect, bound)
    for plan in plans + plans[::-1]:
        assert kept.of(plan) == rendered(plan, dialect)


def counted(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    made: list[Any] = []

    class Counted(Renderer):
        def __init__(self, *given: Any) -> None:
            made.append(given)
            super().__init__(*given)

    monkeypatch.setattr(statements_module, "Renderer", Counted)
    return made


@EACH_DIALECT
def test_what_differs_in_values_alone_is_rendered_once(dialect: Dialect, monkeypatch: pytest.MonkeyPatch) -> None:
    made = counted(monkeypatch)
    kept = Statements(dialect)
    for id in "abc":
        kept.of(Scan(THREADS, Is("id", "=", id) & OneOf("title", (id, "t"))))
        kept.of(Patch(THREADS, Is("id", "=", id), {"title": id}))
        kept.of(Delete(THREADS, Is("id", "=", id)))
    assert len(made) == 3


@pytest.mark.parametrize(
    "other",
    [
        Scan(MESSAGES, Is("id", "=", "a"), limit=1),
        Scan(THREADS, Is("id", "!=", "a"), limit=1),
        Scan(THREADS, Is("title", "=", "a"), limit=1),
        Scan(THREADS, Is("id", "=", None), limit=1),
        Scan(THREADS, Null("id"), limit=1),
        Scan(THREADS, OneOf("id", ("a",)), limit=1),
        Scan(THREADS, Not(Is("id", "=", "a")), limit=1),
        Scan(THREADS, And((Is("id", "=", "a"),)), limit=1),
        Scan(THREADS, Or((Is("id", "=", "a"),)), limit=1),
        Scan(THREADS, TRUE, limit=1),
        Scan(THREADS, Is("id", "=", "a"), limit=2),
        Scan(THREADS, Is("id", "=", "a")),
        Scan(THREADS, Is("id", "=", "a"), limit=1, offset=1),
        Scan(THREADS, Is("id", "=", "a"), (desc("title"),), limit=1),
        Scan(THREADS, Is("id", "=", "a"), limit=1, columns=("id",)),
        Delete(THREADS, Is("id", "=", "a")),
        Patch(THREADS, Is("id", "=", "a"), {"title": "t"}),
    ],
)
def test_plans_that_differ_otherwise_have_statements_of_their_own(other: Shaped) -> None:
    kept = Statements(SQLITE, bound)
    plan = Scan(THREADS, Is("id", "=", "a"), limit=1)
    assert kept.of(plan) == rendered(plan, SQLITE)
    assert kept.of(other) == rendered(other, SQLITE)


def test_tables_of_one_name_and_different_columns_are_kept_apart() -> None:
    schema = THREADS.schema
    smaller = Table(schema.remove(schema.get_field_index("metadata")))
    kept = Statements(SQLITE, bound)
    for table in (THREADS, smaller):
        assert kept.of(Scan(table)) == rendered(Scan(table), SQLITE)


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements_module, "_MOST", 4)
    kept = Statements(SQLITE, bound)
    for offset in range(20):
        plan = Scan(THREADS, offset=offset, limit=1)
        assert kept.of(plan) == rendered(plan, SQLITE)
        assert len(kept._known) <= 4


def test_plans_made_with_lists_are_rendered_too() -> None:
    kept = Statements(SQLITE, bound)
    plan = Scan(THREADS, Is("id", "=", "a"), columns=["id", "title"])  # type: ignore[arg-type]
    assert kept.of(plan) == rendered(plan, SQLITE)


def test_what_looks_for_a_text_is_rendered_each_time() -> None:
    kept = Statements(SQLITE, bound)
    for text in ("Some", "other"):
        plan = Scan(SPANS, Contains("name", text))
        assert kept.of(plan) == rendered(plan, SQLITE)
    assert not kept._known
