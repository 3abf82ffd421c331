"""Web applications that write and read a store, opened at import: in the master where it preloads, else in each worker.

``wsgi`` is for gunicorn, ``asgi`` for uvicorn. POST /NAME writes a span and a message of that name; GET / tells who
answers and what is there; GET /sql the same from SQL.
"""

from __future__ import annotations

import json
import os
from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import colonnade

WHEN = "2026-01-01T00:00:00Z"

store: Any = colonnade.open(os.environ["AGENT"])
store.memory.save_thread(thread={"id": "t", "resourceId": "r"})
store.observability.list_traces()


def answer(method: str, path: str) -> dict[str, Any]:
    """What both applications do."""
    name = path.strip("/")
    if method == "POST":
        store.observability.create_span(
            span={"traceId": name, "spanId": "s", "name": "n", "startedAt": WHEN, "endedAt": WHEN}
        )
        message = {"id": name, "threadId": "t", "resourceId": "r", "role": "user", "content": "x"}
        store.memory.save_messages(messages=[message])
        assert store.observability.get_trace(trace_id=name)
        return {"by": os.getpid()}
    if name == "sql":
        return {"by": os.getpid(), **store.sql("SELECT count(*) AS spans FROM spans").rows()[0]}
    spans = store.observability.list_traces()["pagination"]["total"]
    messages = store.memory.list_messages(thread_id="t", per_page=1)["total"]
    return {"by": os.getpid(), "spans": spans, "messages": messages}


def wsgi(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """The application as gunicorn wants it."""
    body = json.dumps(answer(environ["REQUEST_METHOD"], environ["PATH_INFO"])).encode()
    start_response("200 OK", [("Content-Type", "application/json"), ("Content-Length", str(len(body)))])
    return [body]


async def asgi(
    scope: dict[str, Any], receive: Callable[[], Awaitable[Any]], send: Callable[[dict[str, Any]], Awaitable[None]]
) -> None:
    """The application as uvicorn wants it; blocking calls hop to a thread."""
    import asyncio

    if scope["type"] == "lifespan":
        while (await receive())["type"] != "lifespan.shutdown":
            await send({"type": "lifespan.startup.complete"})
        await send({"type": "lifespan.shutdown.complete"})
        return
    body = json.dumps(await asyncio.to_thread(answer, scope["method"], scope["path"])).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})
