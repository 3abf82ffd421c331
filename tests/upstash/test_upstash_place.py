"""Opening an Upstash store: its address and constructor, and errors that say what to do and no secret."""

from __future__ import annotations

import asyncio
import socket
import sys
from typing import Any

import pytest

import colonnade
from colonnade.engine.stores.upstash.address import OPTIONS, place_of
from colonnade.engine.stores.upstash.store import AsyncUpstashStore, UpstashStore
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
from tests.servers.upstash import TOKEN, Server

THREAD = {"id": "t1", "resourceId": "ada", "title": "Hello"}


@pytest.fixture(autouse=True)
def nothing_in_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("REDIS_REST_URL", "REDIS_REST_TOKEN", "URL", "TOKEN"):
        monkeypatch.delenv(f"UPSTASH_{name}", raising=False)


def test_the_constructor_of_the_source_documents(upstash: Server) -> None:
    made = UpstashStore(id="upstash-storage", url=upstash.url, token=TOKEN, prefix="made:")
    with colonnade.open(default=made) as store:
        store.memory.save_thread(thread=THREAD)
        assert made.id == "upstash-storage"
        assert made.client.post("/", json=["EXISTS", "made:thread:t1"]).json() == {"result": 1}

    async def main() -> Any:
        async with colonnade.aopen(AsyncUpstashStore(url=upstash.url, token=TOKEN, prefix="made:")) as opened:
            return await opened.memory.get_thread_by_id(thread_id="t1")

    assert asyncio.run(main())["title"] == "Hello"
    with pytest.raises(InvalidInput, match="UpstashStore: id must be provided and cannot be empty"):
        UpstashStore(id=" ", url=upstash.url, token=TOKEN)


@pytest.mark.parametrize("names", [("REDIS_REST_URL", "REDIS_REST_TOKEN"), ("URL", "TOKEN")])
def test_address_and_token_may_come_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, str]
) -> None:
    for name, value in zip(names, ("https://db.upstash.io", "abc"), strict=True):
        monkeypatch.setenv(f"UPSTASH_{name}", value)
    for place in (place_of(), UpstashStore().place, colonnade.open("upstash://", init=False).stores[0].place):  # type: ignore[union-attr]
        assert (place.url, place.token, place.prefix) == ("https://db.upstash.io", "abc", "colonnade:")


def test_an_address_taken_apart() -> None:
    store = colonnade.open("upstash://:s3%2Fcret@db.upstash.io?prefix=a:&timeout=5&retries=1", init=False).stores[0]
    assert isinstance(store, UpstashStore)
    place = store.place
    assert (place.url, place.token, place.prefix) == ("https://db.upstash.io", "s3/cret", "a:")
    assert (place.timeout, place.retries) == (5.0, 1)
    assert str(store) == "upstash://db.upstash.io"


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("upstash://?token=s3cret", "needs its REST address"),
        ("upstash://db.upstash.io", "needs its token"),
        ("upstash://db.upstash.io/1?token=s3cret", "no REST address"),
        ("upstash://db.upstash.io:port?token=s3cret", "no REST address"),
        ("upstash://db.upstash.io?token=s3cret%0aX", "one word"),
        ("upstash://db.upstash.io?token=s3cret&colour=red", "knows no option 'colour'"),
        ("upstash://db.upstash.io?token=s3cret&timeout=0", "timeout: is some seconds"),
        ("upstash://db.upstash.io?token=s3cret&retries=-1", "retries are 0 or more"),
        ("upstash://db.upstash.io?token=s3cret&secure=perhaps", "secure: is true or false"),
        ("upstash://db.upstash.io?token=s3cret&prefix=%00", "cannot hold NUL"),
    ],
)
def test_an_address_that_cannot_be_opened_says_why(address: str, said: str) -> None:
    with pytest.raises(InvalidAddress, match=said) as error:
        colonnade.open(address)
    assert "s3cret" not in str(error.value)


def test_each_colour_has_a_driver_of_its_own(upstash: Server) -> None:
    with colonnade.open(upstash.address("colours")) as store:
        assert isinstance(store.stores[0], UpstashStore)

    async def main() -> None:
        async with colonnade.aopen(upstash.address("colours")) as opened:
            assert isinstance(opened.stores[0], AsyncUpstashStore)
            await opened.memory.save_thread(thread=THREAD)
            found = await asyncio.gather(*(opened.memory.get_thread_by_id(thread_id="t1") for _ in range(50)))
            assert all(each is not None and each["title"] == "Hello" for each in found)
            assert opened.stats()["requests"] >= 50

    asyncio.run(main())


def test_nothing_secret_is_shown(upstash: Server) -> None:
    with colonnade.open(upstash.address("shown")) as store:
        kept = store.stores[0]
        assert isinstance(kept, UpstashStore)
        assert TOKEN not in repr(store) + repr(kept) + repr(kept.place)
    with pytest.raises(StoreError, match="refuses the token: is it right") as error:
        colonnade.open(upstash.address("shown", token="wr0ng"))
    assert "wr0ng" not in str(error.value)


def test_a_server_that_is_not_there() -> None:
    address = "upstash://127.0.0.1:1?secure=false&token=s3cret&retries=1"
    with pytest.raises(StoreError, match=r"^upstash://127\.0\.0\.1:1 cannot be reached: [^\n]*$") as error:
        colonnade.open(address)
    assert "s3cret" not in str(error.value)
    with pytest.raises(StoreError, match="cannot be reached"):
        asyncio.run(colonnade.aopen(address).init())


def test_a_server_that_does_not_answer_in_time() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        port = silent.getsockname()[1]
        with pytest.raises(StoreError, match="broke off: ReadTimeout"):
            colonnade.open(f"upstash://127.0.0.1:{port}?secure=false&token=t&timeout=0.05&retries=1")


def test_a_store_that_was_closed(upstash: Server) -> None:
    store = colonnade.open(upstash.address("closed"))
    store.close()
    store.close()
    with pytest.raises(StoreClosed, match="open it again"):
        store.memory.get_thread_by_id(thread_id="t1")


def test_a_token_that_may_only_read_reads(upstash: Server) -> None:
    with colonnade.open(upstash.address("read")) as store:
        store.memory.save_thread(thread=THREAD)
    with colonnade.open(upstash.address("read", token=f"ro-{TOKEN}")) as store:
        assert store.memory.list_threads()["total"] == 1
        assert store.memory.get_thread_by_id(thread_id="t1") is not None
        with pytest.raises(StoreReadOnly, match="its token may only read") as error:
            store.memory.save_thread(thread=THREAD)
        assert TOKEN not in str(error.value)


def test_a_store_of_a_newer_colonnade_is_refused_and_what_is_none_too(upstash: Server) -> None:
    colonnade.open(upstash.address("newer")).close()
    upstash.command(f'["SET", "newer:schema", "{VERSION + 1}"]')
    with pytest.raises(SchemaTooNew, match=f"schema version {VERSION + 1}"):
        colonnade.open(upstash.address("newer"))
    upstash.command('["SET", "newer:schema", "theirs"]')
    with pytest.raises(NotAStore, match="use another prefix"):
        colonnade.open(upstash.address("newer"))


def test_a_driver_that_is_missing_is_named_with_the_command_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "httpx", None)
    with pytest.raises(MissingExtra, match=r"pip install 'colonnade\[upstash\]'"):
        colonnade.open("upstash://host?token=t")


def test_every_option_has_a_reader() -> None:
    assert all(map(callable, OPTIONS.values()))
