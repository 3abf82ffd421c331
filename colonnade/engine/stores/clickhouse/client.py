"""The two clients, blocking and async: each runs the same requests, and tells the server's errors in our words."""

from __future__ import annotations

import asyncio
import io
import random
import threading
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Final, TypeVar

import pyarrow as pa

from colonnade.engine import execution
from colonnade.engine.certificates import trusted
from colonnade.engine.driving import drive, drive_async
from colonnade.engine.forking import survives_forks
from colonnade.engine.stores.clickhouse.address import Place
from colonnade.engine.stores.clickhouse.refusals import driver, translated
from colonnade.engine.stores.clickhouse.steps import INCOMING, Request, Steps
from colonnade.errors import Conflict, StoreClosed, StoreReadOnly

if TYPE_CHECKING:
    from clickhouse_connect.driver.asyncclient import AsyncClient
    from clickhouse_connect.driver.client import Client
    from clickhouse_connect.driver.external import ExternalData

R = TypeVar("R")

_SETTINGS: Final = {
    "distributed_product_mode": "global",  # a semi-join is answered over all shards, not within each
    "skip_unavailable_shards": 0,  # never a part of an answer
    "join_use_nulls": 0,
    "transform_null_in": 0,
}
_WRITING: Final = {
    "max_insert_threads": 1,  # one statement adds one part, which is seen whole or not at all
    "distributed_foreground_insert": 1,
    "parallel_distributed_insert_select": 0,
    "prefer_localhost_replica": 0,  # what the first shard writes for itself would be counted twice
    "wait_end_of_query": 1,
}
_REPLICATED: Final = {
    # Where shards have replicas, a write is acknowledged by most of them, and a read waits for what was acknowledged.
    "insert_quorum": "auto",
    "insert_quorum_parallel": 0,
    "select_sequential_consistency": 1,
}
_RUNNING: Final = 216
"""The server's code for a query with the id of a running one."""
_LEAST, _MOST = 0.001, 0.05
"""Seconds between tries to take a turn."""
_LONG: Final = 100_000
"""Letters of all values of a command from which on they are in its body."""


class Turn:
    """Tries to get a turn among those who write a table, until the patience for conflicts is over."""

    def __init__(self, request: Request) -> None:
        self._request = request
        self._until = time.monotonic() + max(execution.PATIENCE, 1.0)
        self._pause = _LEAST

    def pause(self, error: Exception) -> float:
        """How long to wait after this error; raises where it is no matter of turns, or patience is over."""
        if getattr(error, "code", None) != _RUNNING or self._request.turn is None:
            raise error
        if time.monotonic() > self._until:
            raise Conflict(f"others keep writing to {self._request.turn}: its turn did not come in time") from None
        self._pause = min(self._pause * 2, _MOST)
        return random.uniform(_LEAST, self._pause)


class BlockingClient:
    """Requests over clickhouse-connect, from any number of threads."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._clients: dict[int, Client] = {}
        self._connecting = threading.Lock()
        self._closed = False
        driver()
        _check_certificates(place)
        survives_forks(self)

    def before_fork(self) -> None:
        """Nothing: a connection that is idle may be copied, as long as only one side uses it."""

    def after_fork_in_parent(self) -> None:
        """Nothing."""

    def after_fork_in_child(self) -> None:
        """Connect anew; the parent's connections stay as they are."""
        self._left = self._clients
        self._clients, self._connecting = {}, threading.Lock()

    def _client(self, node: int) -> Client:
        if self._closed:
            raise StoreClosed(f"{self._place.label} is closed; open it again with colonnade.open()")
        with self._connecting:
            if node not in self._clients:
                self._clients[node] = driver().get_client(
                    **_options(self._place, node), dedicated_pool=True, autogenerate_session_id=False
                )
            return self._clients[node]

    def run(self, steps: Steps[R]) -> R:
        """Run the requests of some steps; what they return."""
        return drive(steps, self._answer, StoreReadOnly)  # some steps can do without

    def _answer(self, request: Request) -> Any:
        turn = Turn(request)
        with translated(self._place):
            while True:
                try:
                    done = _called(self._client(request.node), request, self._place)
                    return done if request.rows else _written(done)
                except driver().driver.exceptions.Error as error:
                    time.sleep(turn.pause(error))

    def stream(self, request: Request) -> Iterator[pa.RecordBatch]:
        """Rows as they come."""
        with translated(self._place):
            found = self._client(request.node).query_arrow_stream(
                request.sql, dict(request.values), _settings(request, self._place), True
            )
            with found as batches:
                yield from batches

    def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        while self._clients:
            self._clients.popitem()[1].close()


class AwaitedClient:
    """Requests over clickhouse-connect's own async client, on one event loop."""

    def __init__(self, place: Place) -> None:
        self._place = place
        self._clients: dict[int, AsyncClient] = {}
        self._connecting: asyncio.Lock | None = None
        self._closed = False
        driver()
        _check_certificates(place)

    async def _client(self, node: int) -> AsyncClient:
        if self._closed:
            raise StoreClosed(f"{self._place.label} is closed; open it again with colonnade.aopen()")
        if self._connecting is None:
            self._connecting = asyncio.Lock()
        async with self._connecting:
            if node not in self._clients:
                self._clients[node] = await driver().get_async_client(**_options(self._place, node))
            return self._clients[node]

    async def run(self, steps: Steps[R]) -> R:
        """Run the requests of some steps; what they return."""
        return await drive_async(steps, self._answer, StoreReadOnly)

    async def _answer(self, request: Request) -> Any:
        turn = Turn(request)
        with translated(self._place):
            while True:
                try:
                    done = await _called(await self._client(request.node), request, self._place)
                    return done if request.rows else _written(done)
                except driver().driver.exceptions.Error as error:
                    await asyncio.sleep(turn.pause(error))

    async def close(self) -> None:
        """Let go of all connections."""
        self._closed = True
        while self._clients:
            await self._clients.popitem()[1].close()


def _check_certificates(place: Place) -> None:
    if place.secure and place.ca not in (None, "certifi"):  # a word of the driver's
        trusted(place.ca)


def _options(place: Place, node: int) -> dict[str, Any]:
    host, port = place.hosts[node]
    options: dict[str, Any] = {"host": host, "port": port, "username": place.user, "password": place.password}
    options |= {
        "interface": "https" if place.secure else "http",
        "settings": _SETTINGS | (_REPLICATED if place.cluster else {}),
    }
    if place.secure:
        options |= {"verify": place.verify} | ({"ca_cert": place.ca} if place.ca else {})
    return options


def _called(client: Any, request: Request, place: Place) -> Any:
    """What a client answers; of an async one, what is to be awaited."""
    settings = _settings(request, place)
    if request.rows:
        return client.query_arrow(request.sql, dict(request.values), settings, True)
    return client.command(request.sql, **_carried(request), settings=settings)


def _settings(request: Request, place: Place) -> dict[str, Any]:
    settings: dict[str, Any] = {"database": place.database} if request.database else {}
    if request.block is not None:
        # One merge of all parts, read from its end: several would begin in the middle as well, for nothing.
        settings |= {"max_block_size": request.block, "max_final_threads": 1}
    if request.turn is not None:
        # Whoever shares the database shares the turns, whatever address or user they came with.
        settings |= _WRITING | {"query_id": f"colonnade:{place.database}.{request.turn}"}
    return settings


def _carried(request: Request) -> dict[str, Any]:
    """What a command brings along, as the driver takes it: rows in its body, and values in its URL where they fit.

    The server takes URLs of a megabyte. (The driver has values of queries in the body by itself, of commands not.)
    """
    if sum(len(str(value)) for value in request.values.values()) < _LONG:
        return {"parameters": dict(request.values), "external_data": _external(request)}
    from clickhouse_connect.driver.binding import bind_query
    from clickhouse_connect.driver.external import ExternalData

    _, bound = bind_query(request.sql, dict(request.values))
    incoming = _external(request)

    class Form(ExternalData):
        """Rows as files, values as fields."""

        @property
        def form_data(self) -> dict[str, Any]:
            fields = {name: (None, text) for name, text in bound.items()}
            return (incoming.form_data if incoming else {}) | fields

        @property
        def query_params(self) -> dict[str, str]:
            return incoming.query_params if incoming else {}

    return {"external_data": Form()}


def _external(request: Request) -> ExternalData | None:
    if request.incoming is None:
        return None
    from clickhouse_connect.driver.external import ExternalData

    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, request.incoming.schema) as writer:
        writer.write_table(request.incoming)
    return ExternalData(file_name=INCOMING, data=sink.getvalue(), fmt="ArrowStream", structure=request.structure)


def _written(done: Any) -> int:
    return int(done.summary.get("written_rows", 0)) if hasattr(done, "summary") else 0
