"""Upstash's REST API in front of a real Redis: ``upstash_front.py PORT REDIS_PORT TOKEN``.

The front is ours, written for these tests; Redis behind it is real, and each HTTP connection has one to it of its own.
"""

from __future__ import annotations

import asyncio
import base64
import json
import sys
from contextlib import suppress
from typing import Any


class Refused(Exception):
    """An error that Redis answered with."""


class Redis:
    """One connection, in the protocol of Redis (RESP2)."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def send(self, words: list[Any]) -> Any:
        """What it answers; errors are returned, and not raised."""
        texts = [_word(each).encode("utf-8", "surrogatepass") for each in words]
        parts = [f"*{len(texts)}\r\n".encode(), *(b"$%d\r\n%s\r\n" % (len(text), text) for text in texts)]
        self._writer.write(b"".join(parts))
        await self._writer.drain()
        return await self._answer()

    async def _answer(self) -> Any:
        line = (await self._reader.readuntil(b"\r\n"))[:-2]
        kind, rest = line[:1], line[1:]
        if kind == b"+":
            return rest
        if kind == b"-":
            return Refused(rest.decode(errors="replace"))
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else (await self._reader.readexactly(int(rest) + 2))[:-2]
        return None if rest == b"-1" else [await self._answer() for _ in range(int(rest))]


def _word(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value)  # numbers, booleans, null, objects: as Upstash has them


def _told(found: Any, encoded: bool) -> Any:
    if isinstance(found, bytes):
        if found == b"OK":
            return "OK"
        return base64.b64encode(found).decode() if encoded else found.decode(errors="replace")
    return [_told(each, encoded) for each in found] if isinstance(found, list) else found


def _answer(found: Any, encoded: bool) -> dict[str, Any]:
    return {"error": str(found)} if isinstance(found, Refused) else {"result": _told(found, encoded)}


async def answered(redis: Redis, path: str, body: bytes, encoded: bool) -> tuple[int, Any]:
    """Status and answer of one request."""
    commands = json.loads(body)
    if path == "/pipeline":
        return 200, [_answer(await redis.send(each), encoded) for each in commands]
    if path == "/multi-exec":
        await redis.send(["MULTI"])
        for each in commands:
            if isinstance(refused := await redis.send(each), Refused):
                await redis.send(["DISCARD"])
                return 400, {"error": f"EXECABORT {refused}"}
        return 200, [_answer(each, encoded) for each in await redis.send(["EXEC"])]
    answer = _answer(await redis.send(commands), encoded)
    return (400 if "error" in answer else 200), answer


async def serve(port: int, redis_port: int, token: str) -> None:
    """Answer until killed. The token with ``ro-`` before it is that of a user who may only read."""

    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        users: dict[str, Redis] = {}
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
                fields = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                given = fields.get("authorization", "").removeprefix("Bearer ")
                if given not in (token, f"ro-{token}"):
                    status, answer = 401, {"error": "WRONGPASS invalid or missing auth token"}
                else:
                    if given not in users:
                        users[given] = Redis(*await asyncio.open_connection("127.0.0.1", redis_port, limit=2**26))
                        if given != token:
                            await users[given].send(["AUTH", "reader", "reader"])
                    path = head[0].split(" ")[1]
                    status, answer = await answered(
                        users[given], path, body, fields.get("upstash-encoding", "") == "base64"
                    )
                said = json.dumps(answer).encode()
                top = f"HTTP/1.1 {status} -\r\nContent-Type: application/json\r\nContent-Length: {len(said)}\r\n\r\n"
                writer.write(top.encode() + said)
                await writer.drain()
        writer.close()

    redis = Redis(*await asyncio.open_connection("127.0.0.1", redis_port))
    await redis.send(["ACL", "SETUSER", "reader", "on", ">reader", "~*", "+@read", "+eval_ro", "+evalsha_ro"])
    server = await asyncio.start_server(talk, "127.0.0.1", port, limit=2**26)
    async with server:
        await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]))
