"""The floors of what is reached one request after the other, and of SQLite: no check, no plan, no Arrow."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from bench import floors
from bench.floors import INDEXED
from bench.reads import LATEST, LIGHT
from bench.store_floors import LIMIT
from colonnade.schemas import SPANS

Rows = Sequence[Any]
_BY_TIME: Final = 'CREATE INDEX "spans_time" ON spans ("startedAt" DESC)'
_PIECE: Final = 500
"""Rows of a request that fills."""


class _SQLite:
    """The questions in SQLite's SQL."""

    def _ask(self, sql: str, *values: Any) -> Rows:
        raise NotImplementedError

    def latest(self, column: str, value: str | None) -> Rows:
        """From the end of an index."""
        where = f'"{column}" IS NULL' if value is None else f'"{column}" = ?'
        return self._ask(f"SELECT {LIGHT} FROM spans WHERE {where} {LATEST}", *([] if value is None else [value]))

    def page(self, moment: datetime) -> Rows:
        """From within an index."""
        return self._ask(f'SELECT {LIGHT} FROM spans WHERE "startedAt" <= ? {LATEST}', floors.micros(moment))

    def trace(self, trace: str) -> Rows:
        """By its index."""
        return self._ask('SELECT * FROM spans WHERE "traceId" = ? ORDER BY "startedAt", "spanId"', trace)


class PlainSQLite(_SQLite):
    """A file with the indexes of the source documents, asked by ``sqlite3``."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @cached_property
    def _connection(self) -> sqlite3.Connection:
        return floors.sqlite_file(self._path)

    def fill(self, rows: pa.Table) -> None:
        """One transaction, then the index of times."""
        floors.sqlite_insert(self._connection, floors.sqlite_rows(rows))
        self._connection.execute(_BY_TIME)

    def _ask(self, sql: str, *values: Any) -> Rows:
        return self._connection.execute(sql, values).fetchall()


class PlainServedSQLite(_SQLite):
    """The same behind HTTP: ``asked`` is the body of a statement's request, and ``told`` reads rows from its answer."""

    def __init__(
        self, url: str, token: str, asked: Callable[[str, Sequence[Any]], Any], told: Callable[[Any], Rows]
    ) -> None:
        self._url, self._token = url, token
        self._asked, self._told = asked, told

    @cached_property
    def _client(self) -> Any:
        import httpx

        return httpx.Client(headers={"authorization": f"Bearer {self._token}"}, timeout=120)

    def _ask(self, sql: str, *values: Any) -> Rows:
        return self._told(self._client.post(self._url, json=self._asked(sql, values)).raise_for_status().json())

    def fill(self, rows: pa.Table) -> None:
        """Some hundred rows a request, as JSON, into a table that has its indexes already."""
        columns = ", ".join(f'"{name}"' for name in SPANS.columns)
        self._ask(f"CREATE TABLE spans ({columns})")
        for name in INDEXED:
            self._ask(f'CREATE INDEX "spans_{name}" ON spans ("{name}", "startedAt" DESC)')
        self._ask(_BY_TIME)
        values = ", ".join(f"value ->> {place}" for place in range(len(SPANS.columns)))
        for piece in _pieces(floors.sqlite_rows(rows)):
            self._ask(f"INSERT INTO spans SELECT {values} FROM json_each(?)", json.dumps(piece))


def plain_libsql(url: str, token: str) -> PlainServedSQLite:
    """Over Hrana's pipelines."""

    def asked(sql: str, values: Sequence[Any]) -> Any:
        kinds = {str: "text", int: "integer"}
        given = [{"type": kinds[type(value)], "value": str(value)} for value in values]
        execute = {"type": "execute", "stmt": {"sql": sql, "args": given, "want_rows": True}}
        return {"baton": None, "requests": [execute, {"type": "close"}]}

    def told(answer: Any) -> Rows:
        rows: Rows = answer["results"][0]["response"]["result"]["rows"]
        return rows

    return PlainServedSQLite(f"{url}/v2/pipeline", token, asked, told)


def plain_d1(url: str, token: str) -> PlainServedSQLite:
    """Over D1's REST API."""

    def told(answer: Any) -> Rows:
        rows: Rows = answer["result"][0]["results"]
        return rows

    return PlainServedSQLite(url, token, lambda sql, values: {"sql": sql, "params": values}, told)


class PlainMongoDB:
    """A collection with the same indexes, in a database of its own, asked by pymongo."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    @cached_property
    def _spans(self) -> Any:
        from pymongo import MongoClient

        return MongoClient(self._uri, tz_aware=True)["plain"]["spans"]

    def fill(self, rows: pa.Table) -> None:
        """Some hundred documents a request; nulls are left out."""
        for name in INDEXED:
            self._spans.create_index([(name, 1), ("startedAt", -1)])
        self._spans.create_index([("startedAt", -1)])
        for piece in _pieces(rows.to_pylist()):
            self._spans.insert_many(
                [{name: value for name, value in row.items() if value is not None} for row in piece]
            )

    def _latest(self, where: dict[str, Any]) -> Rows:
        light = dict.fromkeys(SPANS.light, 1) | {"_id": 0}
        found: Rows = self._spans.find(where, light).sort([("startedAt", -1)]).limit(LIMIT).to_list()
        return found

    def latest(self, column: str, value: str | None) -> Rows:
        """From the end of an index."""
        return self._latest({column: value})

    def page(self, moment: datetime) -> Rows:
        """From within an index."""
        return self._latest({"startedAt": {"$lte": moment}})

    def trace(self, trace: str) -> Rows:
        """By its index."""
        found: Rows = self._spans.find({"traceId": trace}).sort([("startedAt", 1)]).to_list()
        return found


class PlainRedis:
    """Each span as JSON, and sorted sets of their keys by time, over Upstash's REST API: two requests a question."""

    def __init__(self, url: str, token: str) -> None:
        self._url, self._token = url, token

    @cached_property
    def _client(self) -> Any:
        import httpx

        return httpx.Client(base_url=self._url, headers={"authorization": f"Bearer {self._token}"}, timeout=120)

    def _run(self, *commands: Sequence[Any], path: str = "/pipeline") -> list[Any]:
        answers = self._client.post(path, json=commands).raise_for_status().json()
        return [answer["result"] for answer in answers]

    def fill(self, rows: pa.Table) -> None:
        """Some hundred spans a request, as one: Redis writes its log to the disk once for each of them."""
        for piece in _pieces(rows.to_pylist()):
            commands: list[Sequence[Any]] = []
            for row in piece:
                key, moment = f"{row['traceId']}:{row['spanId']}", floors.micros(row["startedAt"])
                commands.append(("SET", key, json.dumps(row, default=str)))
                commands += [("ZADD", f"{name}:{row[name] or ''}", moment, key) for name in INDEXED]
                commands.append(("ZADD", "all", moment, key))
            self._run(*commands, path="/multi-exec")

    def _read(self, *command: Any) -> Rows:
        (keys,) = self._run(command)
        return [json.loads(text) for text in self._run(("MGET", *keys))[0]] if keys else []

    def latest(self, column: str, value: str | None) -> Rows:
        """From the end of a set."""
        return self._read("ZREVRANGE", f"{column}:{value or ''}", 0, LIMIT - 1)

    def page(self, moment: datetime) -> Rows:
        """From within a set."""
        return self._read("ZREVRANGEBYSCORE", "all", floors.micros(moment), "-inf", "LIMIT", 0, LIMIT)

    def trace(self, trace: str) -> Rows:
        """A set."""
        return self._read("ZRANGE", f"traceId:{trace}", 0, -1)


def _pieces(rows: Sequence[Any]) -> Iterator[Sequence[Any]]:
    yield from (rows[at : at + _PIECE] for at in range(0, len(rows), _PIECE))
