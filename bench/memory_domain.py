"""What the memory domain costs over plain sqlite3 that runs the same SQL at the same durability.

The floor binds and fetches by hand and gives dicts with the JSON read, as a careful program would without a library.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, Literal

import colonnade
from bench import measure
from bench.findings import Finding, Run, at_most_times
from colonnade.engine.stores.embedded.store import EmbeddedStore

THREADS: Final = 100
RESOURCES: Final = 10
UPSERT: Final = "upsert of a message"
PAGE: Final[dict[str, Any]] = {
    "per_page": 20,
    "order_by": {"field": "createdAt", "direction": "DESC"},
    "include_total": False,
}
TARGETS: Final = {UPSERT: 1.5, "last 20 messages of a thread": 2.0, "point read of a thread": 4.0}

_DDL: Final = (
    "PRAGMA journal_mode = WAL",
    'CREATE TABLE threads (id TEXT PRIMARY KEY, "resourceId" TEXT NOT NULL, title TEXT NOT NULL, metadata TEXT, '
    '"createdAt" INTEGER NOT NULL, "updatedAt" INTEGER NOT NULL)',
    "CREATE TABLE messages (id TEXT PRIMARY KEY, thread_id TEXT NOT NULL, content TEXT NOT NULL, role TEXT NOT NULL, "
    'type TEXT NOT NULL, "createdAt" INTEGER NOT NULL, "resourceId" TEXT)',
    'CREATE INDEX threads_resource ON threads ("resourceId", "createdAt" DESC)',
    'CREATE INDEX messages_thread ON messages (thread_id, "createdAt" DESC)',
)
_MESSAGE: Final = ("id", "threadId", "content", "role", "type", "createdAt", "resourceId")


def main(run: Run) -> None:
    """Upserts, pages and point reads, ours and the floor in turn; then upserts that outlive a loss of power."""
    messages = min(100_000, run.rows // 10)
    for durability in ("process", "power"):
        place = run.scratch("memory")
        place.mkdir()
        with run.doing(f"writing and reading messages, {durability}-durable"):
            took = measure.in_fresh(
                ask, folder=str(place), durability=durability, messages=messages, times=5 * run.times
            )
        run.scratch("memory")
        for what, bound in TARGETS.items() if durability == "process" else [(UPSERT, TARGETS[UPSERT])]:
            ours, floor = took[what]["ours"], took[what]["sqlite3"]
            name, target = f"{what}, {durability}-durable" if what == UPSERT else what, at_most_times(bound)
            run.found(Finding("memory_domain", name, ours["p50"], "ms", floor["p50"], "sqlite3", target, took[what]))


def ask(folder: str, durability: Literal["process", "power"], messages: int, times: int) -> dict[str, Any]:
    """Fill both with the same conversations, then measure. Runs in a process of its own."""
    floor = _Floor(Path(folder) / "floor.db", "FULL" if durability == "power" else "NORMAL")
    with colonnade.open(EmbeddedStore(Path(folder) / "agent", durability=durability)) as opened:
        memory = opened.memory
        for number in range(THREADS):
            thread = {"id": f"thread-{number}", "resourceId": f"user-{number % RESOURCES}", "title": f"Talk {number}"}
            memory.save_thread(thread=thread)
            floor.save_thread(thread)
        for part in _parts(messages):
            memory.save_messages(messages=part)
            floor.save_messages(part)
        one = [[each] for part in _parts(times + 1, seed=messages // 2) for each in part]
        pairs: dict[str, tuple[Callable[[int], Any], Callable[[int], Any]]] = {
            UPSERT: (
                lambda turn: memory.save_messages(messages=one[turn]),
                lambda turn: floor.save_messages(one[turn]),
            ),
            "last 20 messages of a thread": (
                lambda turn: memory.list_messages(thread_id=_thread(turn), **PAGE)["messages"],
                lambda turn: floor.last_messages(_thread(turn), 20),
            ),
            "point read of a thread": (
                lambda turn: memory.get_thread_by_id(thread_id=_thread(turn)),
                lambda turn: floor.thread(_thread(turn)),
            ),
        }
        mine, theirs = (pairs["last 20 messages of a thread"][which](7) for which in (0, 1))
        if [each["id"] for each in mine] != [each["id"] for each in theirs]:
            raise RuntimeError("ours and the floor give other messages")
        took = {}
        for what, calls in pairs.items():
            ours, other = measure.turns(*calls, times=times)
            took[what] = {"ours": measure.summary(ours), "sqlite3": measure.summary(other)}
    return took


def _thread(number: int) -> str:
    return f"thread-{number % THREADS}"


def _parts(messages: int, seed: int = 0, size: int = 500) -> Iterator[list[dict[str, Any]]]:
    made = (_message(number) for number in range(seed, seed + messages))
    while part := [each for _, each in zip(range(size), made, strict=False)]:
        yield part


def _message(number: int) -> dict[str, Any]:
    thread = number % THREADS
    text = f"Message {number}: the tool answered, and here is what follows from it in two or three sentences. " * 3
    return {
        "id": f"message-{number}",
        "threadId": f"thread-{thread}",
        "resourceId": f"user-{thread % RESOURCES}",
        "role": "user" if number % 2 else "assistant",
        "content": {"format": 2, "parts": [{"type": "text", "text": text}]},
    }


class _Floor:
    """The same tables and statements, without a library."""

    def __init__(self, path: Path, synchronous: str) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None)
        for statement in (*_DDL, f"PRAGMA synchronous = {synchronous}"):
            self._connection.execute(statement).fetchall()

    def save_thread(self, thread: dict[str, Any]) -> None:
        now = time.time_ns() // 1000
        values = (thread["id"], thread["resourceId"], thread["title"], None, now, now)
        self._connection.execute("INSERT INTO threads VALUES (?, ?, ?, ?, ?, ?)", values)

    def save_messages(self, messages: list[dict[str, Any]]) -> None:
        run = self._connection.execute
        now = time.time_ns() // 1000
        ids = [each["id"] for each in messages]
        threads = {each["threadId"] for each in messages}
        run("BEGIN IMMEDIATE")
        marks = ", ".join("?" * len(ids))
        found = run(f'SELECT id, thread_id, "createdAt" FROM messages WHERE id IN ({marks})', ids).fetchall()
        threads |= {thread for _, thread, _ in found}
        marks = ", ".join("?" * len(threads))
        run(f'UPDATE threads SET "updatedAt" = ? WHERE id IN ({marks}) AND "updatedAt" < ?', (now, *threads, now))
        self._connection.executemany(
            "INSERT INTO messages VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET thread_id = "
            "excluded.thread_id, content = excluded.content, role = excluded.role, type = excluded.type, "
            '"resourceId" = excluded."resourceId"',
            [
                (m["id"], m["threadId"], json.dumps(m["content"]), m["role"], "v2", now + place, m["resourceId"])
                for place, m in enumerate(messages)
            ],
        )
        run("COMMIT")

    def last_messages(self, thread: str, limit: int) -> list[dict[str, Any]]:
        sql = (
            'SELECT id, thread_id, content, role, type, "createdAt", "resourceId" FROM messages '
            'WHERE thread_id = ? ORDER BY "createdAt" DESC, id LIMIT ?'
        )
        found = self._connection.execute(sql, (thread, limit + 1)).fetchall()  # one more tells whether it goes on
        records = [dict(zip(_MESSAGE, row, strict=True)) for row in found[:limit]]
        for record in records:
            record["content"] = json.loads(record["content"])
        return records

    def thread(self, id: str) -> dict[str, Any] | None:
        sql = 'SELECT id, "resourceId", title, metadata, "createdAt", "updatedAt" FROM threads WHERE id = ?'
        row = self._connection.execute(sql, (id,)).fetchone()
        names = ("id", "resourceId", "title", "metadata", "createdAt", "updatedAt")
        return None if row is None else dict(zip(names, row, strict=True))
