"""Vectors on MongoDB: exact where the server has no index of them, and what an index is asked where it has.

SecantusDB, which the tests run on, has no ``$vectorSearch``. So what an index is asked is read from the commands that
the driver sends, here to a server that refuses them; the last test asks a search service, where ``MONGODB_ATLAS_URI``
names one.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from typing import Any

import pytest
from pymongo import monitoring

import colonnade
from colonnade.engine.plan import Contains, Filter, Is, Nearest, OneOf
from colonnade.engine.stores.mongodb import AsyncMongoDBStore, MongoDBStore, vectors
from colonnade.errors import InvalidInput, StoreError, Unsupported
from colonnade.schemas import VECTORS
from tests.servers.mongodb import Server

TEXTS = {"m1": "cats and dogs", "m2": "cats", "m3": "the price of tea"}
SAID = {"cats and dogs": [1.0, 1.0, 0.0], "cats": [1.0, 0.0, 0.0], "the price of tea": [0.0, 0.0, 1.0]}


def embedder(texts: list[str]) -> list[list[float]]:
    return [SAID[text] for text in texts]


class Heard(monitoring.CommandListener):
    """The commands that a driver sends."""

    def __init__(self) -> None:
        self.sent: list[Any] = []

    def started(self, event: monitoring.CommandStartedEvent) -> None:
        self.sent.append(event.command)

    def succeeded(self, event: monitoring.CommandSucceededEvent) -> None:
        """Nothing."""

    def failed(self, event: monitoring.CommandFailedEvent) -> None:
        """Nothing."""


def filled(store: Any) -> None:
    store.memory.save_thread(thread={"id": "t", "resourceId": "ada", "title": "x"})
    messages = [
        {"id": name, "threadId": "t", "resourceId": "ada", "role": "user", "type": "text", "content": {"content": text}}
        for name, text in TEXTS.items()
    ]
    store.memory.save_messages(messages=messages)
    store.memory.embed_messages(embedder=embedder, model="m")


@pytest.fixture(scope="module")
def heard(mongodb: Server) -> Iterator[tuple[Any, Heard]]:
    listener = Heard()
    mongo = MongoDBStore(mongodb.address("vectors"), options={"event_listeners": [listener]})
    with colonnade.open(default=mongo) as store:
        filled(store)
        yield store, listener


def near(where: Filter, k: int = 2) -> Nearest:
    return Nearest(VECTORS, "embedding", (1.0, 0.1, 0.0), k, where, ("id",))


def test_without_an_index_vectors_are_compared_exactly(heard: tuple[Any, Heard]) -> None:
    store, _ = heard
    found = store.execute(near(Is("thread_id", "=", "t")))
    assert found.column("id").to_pylist() == ["m2", "m1"]
    assert found.column("similarity").to_pylist() == [0.99503719, 0.7739573]
    assert store.execute(near(Is("thread_id", "=", "other"))).num_rows == 0


def test_a_server_without_vector_search_is_asked_for_its_indexes_once(heard: tuple[Any, Heard]) -> None:
    store, listener = heard
    store.stores[0]._indexes.there = True
    listener.sent.clear()
    for _ in range(3):
        store.execute(near(Is("thread_id", "=", "t")))
    asked = [each for each in listener.sent if "$listSearchIndexes" in str(each)]
    assert len(asked) == 1


def test_an_index_that_cannot_be_made_says_so(heard: tuple[Any, Heard], mongodb: Server) -> None:
    store, _ = heard
    with pytest.raises(Unsupported, match="has no vector search"):
        store.stores[0].create_vector_index(3)
    with pytest.raises(InvalidInput, match="1 to 8192 dimensions"):
        store.stores[0].create_vector_index(0)

    async def main() -> None:
        awaited = AsyncMongoDBStore(mongodb.address("vectors"))
        try:
            with pytest.raises(Unsupported, match="has no vector search"):
                await awaited.create_vector_index(3)
        finally:
            await awaited.close()

    asyncio.run(main())


def test_what_the_server_is_told_of_an_index() -> None:
    name = vectors.index_name(VECTORS, "embedding", 1536)
    assert name == "colonnade_memory_messages_embedding_1536"
    told = vectors.definition(VECTORS, "embedding", 1536)["fields"]
    assert told[0] == {"type": "vector", "path": "embedding", "numDimensions": 1536, "similarity": "cosine"}
    paths = [each["path"] for each in told[1:]]
    assert paths == ["message_id", "thread_id", "resourceId", "model"]
    assert {each["type"] for each in told[1:]} == {"filter"}


def test_what_an_index_is_asked(heard: tuple[Any, Heard], monkeypatch: pytest.MonkeyPatch) -> None:
    store, listener = heard
    names = frozenset({"colonnade_memory_messages_embedding_3"})
    monkeypatch.setattr(store.stores[0], "_indexes", vectors.VectorIndexes())
    store.stores[0]._indexes.found["colonnade_memory_messages"] = (time.monotonic(), names)
    listener.sent.clear()
    with pytest.raises(StoreError):  # this server does not know it
        store.execute(near(Is("model", "=", "m") & OneOf("thread_id", ("t", '{"$gt": ""}'))))
    asked = listener.sent[-1]["pipeline"]
    search = asked[0]["$vectorSearch"]
    assert search["index"] == "colonnade_memory_messages_embedding_3"
    assert search["path"] == "embedding"
    assert search["queryVector"].as_vector().data == [1.0, pytest.approx(0.1), 0.0]
    assert search["limit"] == 12
    assert search["numCandidates"] == 240
    assert search["filter"] == {"$and": [{"model": {"$eq": "m"}}, {"thread_id": {"$in": ["t", '{"$gt": ""}']}}]}
    assert asked[1] == {"$project": {"id": 1, "embedding": 1, "_id": 0}}


@pytest.mark.parametrize(
    "plan",
    [
        near(Contains("model", "m")),
        near(Is("piece", ">", 0) | Is("thread_id", "=", "t")),
        near(Is("thread_id", "=", "t"), k=6_000),
        Nearest(VECTORS, "embedding", (1.0, 0.1), 2),
    ],
    ids=["text", "another column", "very many", "other dimensions"],
)
def test_what_an_index_cannot_answer_is_compared(
    heard: tuple[Any, Heard], plan: Nearest, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, listener = heard
    monkeypatch.setattr(store.stores[0], "_indexes", vectors.VectorIndexes())
    names = frozenset({"colonnade_memory_messages_embedding_3"})
    store.stores[0]._indexes.found["colonnade_memory_messages"] = (time.monotonic(), names)
    listener.sent.clear()
    store.execute(plan)
    assert not [each for each in listener.sent if "$vectorSearch" in str(each)]


@pytest.mark.skipif("MONGODB_ATLAS_URI" not in os.environ, reason="a search service: set MONGODB_ATLAS_URI")
def test_a_search_service_finds_what_was_written() -> None:
    mongo = MongoDBStore(os.environ["MONGODB_ATLAS_URI"], "colonnade_vectors")
    with colonnade.open(default=mongo) as store:
        filled(store)
        name = mongo.create_vector_index(3)
        until = time.monotonic() + 180
        while time.monotonic() < until:
            ready = [
                each for each in mongo.db["colonnade_memory_messages"].list_search_indexes() if each.get("queryable")
            ]
            if name in [each["name"] for each in ready]:
                break
            time.sleep(2)
        mongo._indexes.found.clear()
        while (found := store.execute(near(Is("thread_id", "=", "t")))).num_rows < 2 and time.monotonic() < until:
            time.sleep(1)
        assert found.column("id").to_pylist() == ["m2", "m1"]
        mongo.client.drop_database("colonnade_vectors")
