"""Opening a ClickHouse store: its address, what it may find there, and errors that say what to do and no secret."""

from __future__ import annotations

import asyncio
import re
import sys
from typing import Any

import pytest

import colonnade
from colonnade.engine.stores.clickhouse.address import OPTIONS, Place, place_at, place_of
from colonnade.engine.stores.clickhouse.store import AsyncClickHouseStore, ClickHouseStore
from colonnade.errors import (
    InvalidAddress,
    InvalidInput,
    MissingExtra,
    NotAStore,
    SchemaTooNew,
    StoreClosed,
    StoreError,
    StoreReadOnly,
)
from colonnade.schemas import VERSION
from tests.servers.clickhouse import Server
from tests.servers.clickhouse_node import PASSWORD, READER, USER

THREAD = {"id": "t1", "resourceId": "ada", "title": "Hello"}


def place(address: str, **options: object) -> Place:
    return place_at(address, secure=False, options=options)


def test_an_address_taken_apart() -> None:
    found = place("ada:p%40ss@db.example:9000/agents", cluster="c", ttl_spans=60)
    assert found.hosts == (("db.example", 9000),)
    assert (found.user, found.password, found.database) == ("ada", "p@ss", "agents")
    assert (found.cluster, dict(found.ttl)) == ("c", {"spans": 60})


def test_several_hosts_and_the_ports_that_go_without_saying() -> None:
    assert place("a,b:9,[::1]:7/db").hosts == (("a", 8123), ("b", 9), ("::1", 7))
    assert place_at("a/db", secure=True, options={}).hosts == (("a", 8443),)


def test_one_ttl_for_all_that_accumulates_unless_a_table_has_its_own() -> None:
    assert dict(place("a", ttl=10, ttl_scores=20).ttl) == {"spans": 10, "scores": 20, "evals": 10}


def test_user_and_password_may_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CLICKHOUSE_USERNAME", "ada")
    monkeypatch.setenv("CLICKHOUSE_PASSWORD", "s3cret")
    assert (place("a/db").user, place("a/db").password) == ("ada", "s3cret")
    assert place("bob:x@a/db").user == "bob"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("clickhouse:///db", "names no ClickHouse database"),
        ("clickhouse://host/a/b", "names no ClickHouse database"),
        ("clickhouse://ada:pass/word@host/db", "percent signs"),
        ("clickhouse://host:port/db", "no host and port"),
        ("clickhouse://host/db?colour=red", "knows no option 'colour'"),
        ("clickhouse://host/db?ttl=soon", "ttl: 'soon' is no length of time"),
        ("clickhouse://host/db?secure=perhaps", "secure: is true or false"),
        ("clickhouse://host/db?ttl_agents=30d", "knows no option 'ttl_agents'"),
    ],
)
def test_an_address_that_cannot_be_opened_says_why(address: str, said: str) -> None:
    with pytest.raises(InvalidAddress, match=said) as error:
        colonnade.open(address)
    assert "pass" not in str(error.value).replace("password", "")


def test_the_constructor_has_the_options_of_an_address() -> None:
    options: dict[str, Any] = {"cluster": "c", "ttl": "30d", "ttl_spans": "90d", "verify": False}
    found = place_of("https://ch.example", "ada", "s3cret", database="agents", **options)
    read = {name: OPTIONS[name](value) for name, value in options.items() if isinstance(value, str)}
    wanted = {**read, "verify": False}
    assert found == place_at("ada:s3cret@ch.example/agents", secure=True, options=wanted)
    assert place_of("http://ch.example:9000/agents", "ada", "x") == place("ada:x@ch.example:9000/agents")
    for given, said in (
        ({"url": "ch.example"}, "has a url such as"),
        ({"url": "ftp://ch.example"}, "has a url such as"),
        ({"url": "http://ch.example?x=1"}, "has a url such as"),
        ({"url": "http://ch.example", "colour": "red"}, "knows no option 'colour'"),
        ({"url": "http://ch.example", "verify": "perhaps"}, "is true or false"),
    ):
        with pytest.raises(InvalidAddress, match=said):
            ClickHouseStore(**given)
    with pytest.raises(InvalidInput, match="id must be provided"):
        ClickHouseStore("http://ch.example", id=" ")


def test_tls_is_asked_for_by_the_scheme_or_by_an_option() -> None:
    for address in (
        "clickhouses://ada:s3cret@db.example/agents",
        "clickhouse://ada:s3cret@db.example/agents?secure=true",
    ):
        store = colonnade.open(address, init=False)
        assert repr(store) == "<Storage default=clickhouses://db.example:8443/agents>"
        store.close()


def test_each_colour_has_a_driver_of_its_own(clickhouse: Server) -> None:
    address = clickhouse.address("colours")
    with colonnade.open(address) as store:
        assert isinstance(store.stores[0], ClickHouseStore)

    async def main() -> None:
        async with colonnade.aopen(address) as opened:
            assert isinstance(opened.stores[0], AsyncClickHouseStore)
            await opened.memory.save_thread(thread=THREAD)
            found = await asyncio.gather(*(opened.memory.get_thread_by_id(thread_id="t1") for _ in range(20)))
            assert all(each is not None and each["title"] == "Hello" for each in found)

    asyncio.run(main())


def test_nothing_secret_is_shown(clickhouse: Server) -> None:
    with colonnade.open(clickhouse.address("shown")) as store:
        kept = store.stores[0]
        assert isinstance(kept, ClickHouseStore)
        assert PASSWORD not in repr(store) + repr(kept) + repr(kept.place)
    wrong = clickhouse.address("shown").replace("s3cret", "wr0ng")
    with pytest.raises(StoreError, match=f"refuses the user '{USER}': is the password right") as error:
        colonnade.open(wrong)
    assert "wr0ng" not in str(error.value)


def test_a_server_that_is_not_there(clickhouse: Server) -> None:
    with pytest.raises(StoreError, match=r"127\.0\.0\.1:1/db cannot be reached"):
        colonnade.open("clickhouse://127.0.0.1:1/db")
    with pytest.raises(StoreError, match="cannot be reached"):
        asyncio.run(colonnade.aopen("clickhouse://127.0.0.1:1/db").init())


def test_a_store_that_was_closed(clickhouse: Server) -> None:
    store = colonnade.open(clickhouse.address("closed"))
    store.close()
    store.close()
    with pytest.raises(StoreClosed, match="open it again"):
        store.memory.get_thread_by_id(thread_id="t1")


def test_tables_that_somebody_else_made_are_left_alone(clickhouse: Server) -> None:
    clickhouse.command("CREATE DATABASE theirs")
    clickhouse.command("CREATE TABLE theirs.mastra_threads (id String) ENGINE = MergeTree ORDER BY id")
    with pytest.raises(NotAStore, match="mastra_threads that colonnade did not make"):
        colonnade.open(clickhouse.address("theirs"))
    assert clickhouse.command("SELECT count() FROM theirs.mastra_threads") == "0"


def test_a_store_of_a_newer_colonnade_is_refused(clickhouse: Server) -> None:
    colonnade.open(clickhouse.address("newer")).close()
    clickhouse.command(f"ALTER TABLE newer.mastra_ai_spans MODIFY COMMENT 'colonnade {VERSION + 1}'")
    with pytest.raises(SchemaTooNew, match=f"schema version {VERSION + 1}"):
        colonnade.open(clickhouse.address("newer"))


def test_a_user_who_may_only_read_reads(clickhouse: Server) -> None:
    with colonnade.open(clickhouse.address("read")) as store:
        store.memory.save_thread(thread=THREAD)
    reader = re.sub(r"//.*@", f"//{READER}@", clickhouse.address("read"))
    with colonnade.open(reader) as store:
        assert store.memory.list_threads()["total"] == 1
        with pytest.raises(StoreReadOnly, match=f"the user '{READER}' may not do this"):
            store.memory.save_thread(thread=THREAD)


def test_tables_that_are_missing_are_made_by_init(clickhouse: Server) -> None:
    with colonnade.open(clickhouse.address("nowhere"), init=False) as store:
        with pytest.raises(StoreError, match="open it with init, which makes it"):
            store.memory.list_threads()
        store.init()
        assert store.memory.list_threads()["total"] == 0


def test_rows_expire_after_the_time_that_the_address_says(clickhouse: Server) -> None:
    def said(table: str) -> str:
        return clickhouse.command(
            f"SELECT create_table_query FROM system.tables WHERE database = 'ttl' AND name = '{table}'"
        )

    colonnade.open(clickhouse.address("ttl", "ttl=30d&ttl_messages=1d")).close()
    assert "TTL toDateTime(startedAt) + toIntervalSecond(2592000) WHERE endedAt IS NOT NULL" in said("mastra_ai_spans")
    assert "toIntervalSecond(86400)" in said("mastra_messages")
    assert "TTL" not in said("mastra_threads")
    colonnade.open(clickhouse.address("ttl", "ttl=7d")).close()
    assert "toIntervalSecond(604800)" in said("mastra_ai_spans")
    assert "toIntervalSecond(86400)" in said("mastra_messages"), "what an address does not mention stays"


def test_spans_that_have_expired_go(clickhouse: Server) -> None:
    with colonnade.open(clickhouse.address("gone", "ttl_spans=1d")) as store:
        old = {"traceId": "old", "spanId": "s", "name": "n", "spanType": "generic", "isEvent": False}
        for name, ended in (("old", "2020-01-01T00:00:01Z"), ("running", None)):
            span = {**old, "traceId": name, "startedAt": "2020-01-01T00:00:00Z", "endedAt": ended}
            store.observability.create_span(span=span)
        store.optimize()
        assert store.observability.get_trace(trace_id="old") is None
        assert store.observability.get_trace(trace_id="running") is not None


def test_a_driver_that_is_missing_is_named_with_the_command_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "clickhouse_connect", None)
    with pytest.raises(MissingExtra, match=r"pip install 'colonnade\[clickhouse\]'"):
        colonnade.open("clickhouse://host/db")


def test_every_option_has_a_reader() -> None:
    assert all(map(callable, OPTIONS.values()))
