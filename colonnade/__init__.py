"""colonnade: what AI agents do, in columns.

>>> import colonnade
>>> with colonnade.open(":memory:") as store:
...     _ = store.memory.save_thread(thread={"id": "t1", "resourceId": "ada", "title": "Hello"})
...     store.memory.get_thread_by_id(thread_id="t1")["title"]
'Hello'
"""

from __future__ import annotations

from colonnade.engine.address import aopen, open
from colonnade.engine.composite import AsyncStorage, Storage
from colonnade.errors import ColonnadeError

__version__ = "0.1.0"

__all__ = ["AsyncStorage", "ColonnadeError", "Storage", "__version__", "aopen", "open"]
