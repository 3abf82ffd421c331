"""The REST front of these tests is ours; Upstash's own client finds in it what it expects, and reads what we wrote."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

import colonnade
from tests.servers.upstash import TOKEN, Server


@pytest.fixture
def theirs(upstash: Server) -> Iterator[Any]:
    with pytest.importorskip("upstash_redis").Redis(url=upstash.url, token=TOKEN) as client:
        yield client


def test_commands_pipelines_and_transactions(theirs: Any) -> None:
    assert theirs.set("front:a", "héllo") is True
    assert theirs.get("front:a") == "héllo"
    assert theirs.mget("front:a", "front:none") == ["héllo", None]
    pipeline = theirs.pipeline()
    pipeline.zadd("front:z", {"m1": 1.5, "m2": 2})
    pipeline.zrange("front:z", 0, -1, withscores=True)
    assert pipeline.exec() == [2, [("m1", 1.5), ("m2", 2.0)]]
    together = theirs.multi()
    together.set("front:n", 1)
    together.incr("front:n")
    assert together.exec() == [True, 2]


def test_scripts_and_what_is_not_known(theirs: Any) -> None:
    assert theirs.eval("return redis.call('ECHO', ARGV[1])", args=["hi"]) == "hi"
    with pytest.raises(Exception, match="NOSCRIPT"):
        theirs.evalsha("0" * 40)


def test_a_token_that_is_none(upstash: Server) -> None:
    module = pytest.importorskip("upstash_redis")
    with module.Redis(url=upstash.url, token="wr0ng") as client, pytest.raises(Exception, match="WRONGPASS"):
        client.get("a")


def test_other_clients_read_what_we_wrote(upstash: Server, theirs: Any) -> None:
    with colonnade.open(upstash.address("front")) as store:
        store.memory.save_thread(thread={"id": "t1", "resourceId": "ada", "title": "Grüße", "metadata": {"n": 1}})
    thread = theirs.hgetall("front:thread:t1")
    assert (thread["id"], thread["title"], thread["metadata"]) == ("t1", "Grüße", '{"n":1}')
    assert theirs.zrange("front:index:threads:resourceId:ada", 0, -1) == ["t1"]
