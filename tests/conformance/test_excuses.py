"""What our stores are excused from is what they lack, exactly."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

import pytest

import colonnade
from colonnade.engine.abilities import Abilities
from colonnade.engine.plan import Function
from colonnade.engine.store import Store
from colonnade.schemas import DOMAINS
from colonnade.testing.excuses import EXCUSES, Excuse, Word, agree, excuses_of, lacking

ADDRESSES = {
    ":memory:": {"memory"},
    "duckdb:///{folder}/store.duckdb": {"duckdb"},
    "sqlite:///{folder}/store.sqlite": {"sqlite"},
    "{folder}/agent": {"sqlite", "embedded.columnar"},
    "clickhouse": {"clickhouse.store"},
    "lancedb:///{folder}/lance": {"lance.store"},
    "file:{folder}/storage.db": {"libsql.store"},
    "libsql": {"libsql.store"},
    "d1": {"d1.store"},
    "postgres": {"postgres.store"},
    "upstash": {"upstash.store"},
    "mongodb": {"mongodb.store"},
    "mssql": {"mssql.store"},
}


def _names(store: Any) -> set[str]:
    return {name for name, excuses in EXCUSES.items() if excuses is excuses_of(store)}


@pytest.mark.parametrize("address", ADDRESSES)
def test_excuses_and_abilities_agree(address: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    where = address.format(folder=tmp_path)
    if address in ("clickhouse", "postgres", "upstash", "mongodb", "mssql"):
        where = request.getfixturevalue(address).address("excused")
    if address == "libsql":
        where = request.getfixturevalue("sqld").address()
    if address == "d1":
        where = request.getfixturevalue("workerd").address("excused_")
    with colonnade.open(where) as storage:
        homes = {storage.home_of(domain) for domain in DOMAINS}
        assert set().union(*map(_names, homes)) == ADDRESSES[address]
        for home in homes:
            agree(home, excuses_of(home))


def test_every_store_that_is_listed_is_opened_above() -> None:
    elsewhere = {"lance.cloud"}  # where there is a service to open: tests/lance/test_lance_cloud.py
    assert set(EXCUSES) == set().union(*ADDRESSES.values()) | elsewhere


def test_every_excuse_has_a_word_and_a_sentence() -> None:
    assert get_args(Word) == ("notimpl", "notyet", "never")
    for excuses in EXCUSES.values():
        for excuse in excuses.values():
            assert excuse.word in get_args(Word)
            assert excuse.reason.endswith(".")
            assert len(excuse.reason.split()) > 5
            assert str(excuse) == f"{excuse.word}: {excuse.reason}"


def test_what_a_store_may_lack_is_every_ability_and_every_function() -> None:
    flags = {each.name for each in fields(Abilities)} - {"aggregates", "longest"}
    assert set(lacking(Abilities())) == flags | set(get_args(Function))
    assert lacking(Abilities(**dict.fromkeys(flags, True), aggregates=frozenset(get_args(Function)))) == ()


class Third(Store):
    """Somebody else's store: it can filter, and count."""

    abilities = Abilities(filters=True, aggregates=frozenset({"count"}))
    label = "third"


_WHY = Excuse("notyet", "Their server has no such thing as of now.")


def test_a_store_of_somebody_else_has_no_excuses_here() -> None:
    assert excuses_of(Third()) == {}


def test_all_excuses_and_no_more_agree() -> None:
    agree(Third(), dict.fromkeys(lacking(Third.abilities), _WHY))


def test_an_ability_that_is_lacking_needs_an_excuse() -> None:
    excuses = dict.fromkeys(lacking(Third.abilities), _WHY)
    for name in ("transactions", "p50"):
        with pytest.raises(AssertionError, match=f"{name}: lacking, and there is no excuse"):
            agree(Third(), {other: why for other, why in excuses.items() if other != name})


def test_an_excuse_needs_an_ability_that_is_lacking() -> None:
    excuses = dict.fromkeys(lacking(Third.abilities), _WHY)
    for name in ("filters", "count"):
        with pytest.raises(AssertionError, match=f"{name}: excused .*the store can do it"):
            agree(Third(), excuses | {name: _WHY})
    with pytest.raises(AssertionError, match="flying: excused, but there is no such ability"):
        agree(Third(), excuses | {"flying": _WHY})
