"""A thread as a conversation: what was said in it, in the order it was said."""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from colonnade.engine.plan import Is, Scan, Steps, asc, rows
from colonnade.queries.shown import Shown
from colonnade.schemas import MESSAGES, THREADS


@dataclass(frozen=True, repr=False)
class Thread(Shown):
    """A thread that shows itself as a conversation."""

    thread_id: str
    thread: pa.Table
    """The thread itself, one row of ``threads``; without rows where there is no such thread."""
    messages: pa.Table
    """Its messages, oldest first."""

    def __repr__(self) -> str:
        count = self.messages.num_rows
        return f"<Thread {self.thread_id}: {count:,} {'message' if count == 1 else 'messages'}>"


def conversation(thread_id: str) -> Steps[Thread]:
    """A thread with all of its messages, to look at: ``store.thread("id")``."""
    thread = yield from rows(Scan(THREADS, Is("id", "=", thread_id)))
    messages = yield from rows(Scan(MESSAGES, Is("thread_id", "=", thread_id), (asc("createdAt"),)))
    return Thread(thread_id, thread, messages)
