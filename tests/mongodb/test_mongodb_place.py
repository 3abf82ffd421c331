"""Opening a MongoDB store: its forms, what it makes and finds there, and errors that say what to do and no secret."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import colonnade
from colonnade.engine.stores.mongodb import AsyncMongoDBStore, MongoDBStore
from colonnade.engine.stores.mongodb.address import place_of
from colonnade.engine.stores.mongodb.requests import name_of
from colonnade.errors import (
    InvalidAddress,
    InvalidInput,
    MissingExtra,
    SchemaTooNew,
    StoreClosed,
    StoreError,
)
from colonnade.schemas import STORED, VERSION
from tests.servers.mongodb import REAL, Server

THREAD = {"id": "t1", "resourceId": "ada", "title": "Hello"}


def awaited(address: str) -> None:
    """Open a store and close it, awaited."""

    async def main() -> None:
        store = colonnade.aopen(address)
        try:
            await store.init()
        finally:
            await store.close()

    asyncio.run(main())


def test_an_address_taken_apart() -> None:
    place = place_of("mongodb://ada:p%40ss@a.example,b.example:27018/agents?retryWrites=true&max_pool_size=3")
    assert place.label == "mongodb://a.example,b.example:27018/agents"
    assert place.database == "agents"
    assert place.uri == "mongodb://ada:p%40ss@a.example,b.example:27018/agents?retryWrites=true&maxpoolsize=3"
    assert "p%40ss" not in repr(place)


def test_the_name_of_the_database_from_all_places(monkeypatch: pytest.MonkeyPatch) -> None:
    assert place_of("mongodb://h/there", "here").database == "here"
    assert place_of("mongodb://h/?db_name=said").database == "said"
    assert place_of("mongodb+srv://cluster.example/?dbName=said").database == "said"
    monkeypatch.setenv("MONGODB_DATABASE", "told")
    assert place_of("mongodb://h").database == "told"


def test_what_is_not_given_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MONGODB_URI", "mongodb://h/db")
    monkeypatch.setenv("MONGODB_USERNAME", "ada")
    monkeypatch.setenv("MONGODB_PASSWORD", "s3cret")
    assert place_of().options == {"username": "ada", "password": "s3cret"}
    assert "s3cret" not in repr(place_of())
    assert place_of("mongodb://bob:x@h/db").options == {}


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("mongodb:///db", "names no MongoDB server"),
        ("mongodb://ada:pass/word@host/db", "percent signs|name of a database"),
        ("mongodb://host", "name of a database"),
        ("mongodb://host/a.b", "name of a database"),
        ("mongodb://host/db?transactions=perhaps", "is true or false"),
        ("mongodb://ada:passw@host:port/db", "mongodb://host:port/db"),
        ("mongodb://ada:passw@host/db?maxPoolSize=many", "maxpoolsize|maxPoolSize"),
    ],
)
def test_an_address_that_cannot_be_opened_says_why(address: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MONGODB_URI", "MONGODB_DATABASE", "MONGODB_DB_NAME"):
        monkeypatch.delenv(name, raising=False)
    with pytest.raises(InvalidAddress, match=said) as error:
        colonnade.open(address)
    assert "passw" not in str(error.value).replace("password", "")


def test_the_constructor_forms_of_the_source_documents(mongodb: Server) -> None:
    plain = MongoDBStore(id="mongodb-storage-01", uri=mongodb.uri, db_name=mongodb.name("constructed"))
    options = {"retryWrites": True, "maxPoolSize": 10, "serverSelectionTimeoutMS": 5000, "socketTimeoutMS": 45000}
    full = MongoDBStore(id="mongodb-storage-02", uri=mongodb.uri, db_name=mongodb.name("constructed"), options=options)
    snake = {"retry_writes": False, "max_pool_size": 7, "server_selection_timeout_ms": 400, "socket_timeout_ms": 900}
    spelled = MongoDBStore(uri=mongodb.uri, db_name=mongodb.name("constructed"), options=snake)
    with colonnade.open(default=plain) as first, colonnade.open(full) as second, colonnade.open(spelled) as third:
        first.memory.save_thread(thread=THREAD)
        found = [store.get_store("memory").get_thread_by_id(thread_id="t1") for store in (second, third)]
        assert [thread["title"] for thread in found] == ["Hello", "Hello"]
        assert (plain.id, full.id) == ("mongodb-storage-01", "mongodb-storage-02")
        assert full.client.options.pool_options.max_pool_size == 10
        assert spelled.client.options.pool_options.max_pool_size == 7
        assert spelled.client.options.pool_options.socket_timeout == 0.9
        assert not spelled.client.options.retry_writes
        assert full.db["mastra_threads"].count_documents({"id": "t1"}) == 1
    with pytest.raises(InvalidInput, match="id of a store"):
        MongoDBStore(id=" ", uri=mongodb.uri, db_name=mongodb.name("constructed"))


@pytest.mark.parametrize("kind", [MongoDBStore, AsyncMongoDBStore])
def test_url_is_deprecated_and_works(mongodb: Server, kind: Any) -> None:
    with pytest.warns(DeprecationWarning, match="take uri; url is deprecated"):
        store = kind(url=mongodb.uri, db_name=mongodb.name("deprecated"))
    assert store.place.database == mongodb.name("deprecated")
    if kind is MongoDBStore:
        store.close()
    with (
        pytest.warns(DeprecationWarning, match="url is deprecated"),
        pytest.raises(InvalidAddress, match="another url"),
    ):
        kind(uri=mongodb.uri, url="mongodb://other/db", db_name=mongodb.name("deprecated"))


def test_each_colour_has_a_driver_of_its_own(mongodb: Server) -> None:
    from pymongo import AsyncMongoClient, MongoClient

    with colonnade.open(mongodb.address("colours")) as store:
        blocking = store.stores[0]
        assert isinstance(blocking, MongoDBStore)
        assert isinstance(blocking.client, MongoClient)

    async def main() -> None:
        async with colonnade.aopen(mongodb.address("colours")) as opened:
            natively = opened.stores[0]
            assert isinstance(natively, AsyncMongoDBStore)
            assert isinstance(natively.client, AsyncMongoClient)
            await opened.memory.save_thread(thread=THREAD)
            found = await asyncio.gather(*(opened.memory.get_thread_by_id(thread_id="t1") for _ in range(20)))
            assert all(each is not None and each["title"] == "Hello" for each in found)

    asyncio.run(main())


def test_collections_indexes_and_validators_are_made(mongodb: Server) -> None:
    from pymongo.errors import WriteError

    colonnade.open(mongodb.address("made")).close()
    there = mongodb.there("made")
    names = there.list_collection_names()
    assert {name_of(table) for table in STORED} <= set(names)
    indexes = there["mastra_messages"].index_information()
    assert indexes["mastra_messages_id_key"]["unique"]
    newest = [("thread_id", 1), ("createdAt", -1), ("createdAtMicros", -1), ("id", 1)]
    assert indexes["mastra_messages_thread_id_createdat_idx"]["key"] == newest
    indexes = there["mastra_ai_spans"].index_information()
    assert indexes["mastra_ai_spans_traceid_spanid_key"]["unique"]
    by_time = [("startedAt", -1), ("startedAtMicros", -1), ("traceId", 1), ("spanId", 1)]
    assert indexes["mastra_ai_spans_startedat_idx"]["key"] == by_time, "for pages of all spans"
    with pytest.raises(WriteError):
        there["mastra_threads"].insert_one({"id": "t", "title": 5})


def test_other_tools_see_dates_and_texts(mongodb: Server) -> None:
    moment = datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)
    with colonnade.open(mongodb.address("seen")) as store:
        store.memory.save_thread(thread={**THREAD, "createdAt": moment, "metadata": {"$where": 1, "a.b": {"": 2}}})
        thread = store.memory.get_thread_by_id(thread_id="t1")
        assert thread is not None
        assert thread["createdAt"] == moment
    seen = mongodb.there("seen")["mastra_threads"].find_one({"createdAt": {"$lte": moment}})
    assert seen["_id"] == "t1"
    assert seen["createdAt"] == moment.replace(microsecond=123000)
    assert seen["createdAtMicros"] == 456
    assert seen["metadata"] == '{"$where":1,"a.b":{"":2}}'


def test_what_mastra_wrote_is_read_and_written(mongodb: Server) -> None:
    theirs = mongodb.there("theirs")
    mongodb.client.drop_database(mongodb.name("theirs"))
    moment = datetime(2026, 1, 31, 12, 0, 0, 123000, UTC)
    times = {"createdAt": moment, "updatedAt": moment}
    theirs["mastra_threads"].create_index("id", unique=True)
    theirs["mastra_threads"].insert_one(
        {"id": "t1", "resourceId": "ada", "title": "Theirs", "metadata": {"plan": "pro", "since": moment}, **times}
    )
    span = {"traceId": "t", "spanId": "s", "name": "n", "spanType": "generic", "isEvent": False, "kind": 0.0}
    theirs["mastra_ai_spans"].insert_one({**span, "startedAt": moment, "startTime": 1.5e18, "createdAt": moment})
    with colonnade.open(mongodb.address("theirs")) as store:
        thread = store.memory.get_thread_by_id(thread_id="t1")
        assert thread is not None
        assert thread["metadata"] == {"plan": "pro", "since": "2026-01-31T12:00:00.123Z"}
        assert thread["createdAt"] == moment
        assert store.memory.list_threads(filter={"metadata": {"plan": "pro"}})["total"] == 1
        store.memory.update_thread(id="t1", title="Ours", metadata={"more": 1})
        trace = store.observability.get_trace(trace_id="t")
        assert trace is not None
        assert trace["spans"][0]["startTime"] == 1_500_000_000_000_000_000
    found = list(theirs["mastra_threads"].find())
    assert [(each["id"], each["title"]) for each in found] == [("t1", "Ours")]
    assert found[0]["createdAt"] == moment


def test_a_store_of_a_newer_colonnade_is_refused(mongodb: Server) -> None:
    colonnade.open(mongodb.address("newer")).close()
    mongodb.there("newer")["colonnade"].update_one({"_id": "schema"}, {"$set": {"version": VERSION + 1}})
    with pytest.raises(SchemaTooNew, match=f"schema version {VERSION + 1}"):
        colonnade.open(mongodb.address("newer"))


def test_a_server_that_is_not_there() -> None:
    address = "mongodb://ada:s3cret@127.0.0.1:1/db?serverSelectionTimeoutMS=200"
    for opened in (lambda: colonnade.open(address), lambda: awaited(address)):
        with pytest.raises(StoreError, match=r"mongodb://127\.0\.0\.1:1/db cannot be reached") as error:
            opened()
        assert "s3cret" not in str(error.value)


@pytest.mark.skipif(REAL is not None, reason="it needs a server that refuses everybody")
def test_credentials_that_are_wrong(mongodb: Server, tmp_path: Path) -> None:
    server = Server(tmp_path)
    server.start("auth")
    try:
        wrong = server.address("db", "authSource=admin").replace("://", "://ada:wr0ng@")
        for opened in (lambda: colonnade.open(wrong), lambda: awaited(wrong)):
            with pytest.raises(StoreError, match="refuses the user: are name and password right") as error:
                opened()
            assert "wr0ng" not in str(error.value)
    finally:
        server.kill()


def test_a_store_that_was_closed(mongodb: Server) -> None:
    store = colonnade.open(mongodb.address("closed"))
    store.close()
    store.close()
    with pytest.raises(StoreClosed, match="open it again"):
        store.memory.get_thread_by_id(thread_id="t1")


def test_a_driver_that_is_missing_is_named_with_the_command_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pymongo", None)
    with pytest.raises(MissingExtra, match=r"pip install 'colonnade\[mongodb\]'"):
        colonnade.open("mongodb://host/db")


def test_a_document_that_is_too_large_is_a_clear_error(mongodb: Server) -> None:
    with colonnade.open(mongodb.address("large")) as store:
        with pytest.raises(InvalidInput, match="16 MB at most"):
            store.memory.save_thread(thread={**THREAD, "metadata": {"text": "x" * 17_000_000}})
        assert store.memory.list_threads()["total"] == 0
