"""colonnade: what AI agents do, in columns.

>>> import colonnade
>>> with colonnade.open(":memory:") as store:
...     _ = store.memory.save_thread(thread={"id": "t1", "resourceId": "ada", "title": "Hello"})
...     store.memory.get_thread_by_id(thread_id="t1")["title"]
'Hello'
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from colonnade.engine.address import aopen, open
    from colonnade.engine.composite import AsyncStorage, Storage
    from colonnade.engine.copying import copy
    from colonnade.engine.stores.embedded.repairing import fsck
    from colonnade.errors import ColonnadeError
    from colonnade.queries.agreement import agreement
    from colonnade.queries.compare import compare
    from colonnade.queries.selection_columns import col

__version__ = "0.1.0"

__all__ = ["AsyncStorage", "ColonnadeError", "Storage", "__version__", "agreement", "aopen", "compare", "copy", "fsck"]
__all__ += ["col", "open"]

_HOMES = {"aopen": "engine.address", "open": "engine.address", "AsyncStorage": "engine.composite"}
_HOMES |= {"Storage": "engine.composite", "ColonnadeError": "errors", "copy": "engine.copying"}
_HOMES |= {"fsck": "engine.stores.embedded.repairing"}
_HOMES |= {"agreement": "queries.agreement", "compare": "queries.compare"}
_HOMES |= {"col": "queries.selection_columns"}


def __getattr__(name: str) -> Any:
    """Load a name when it is first used: a program that imports colonnade need not pay for what it does not open."""
    from importlib import import_module

    if name in ("errors", "schemas"):
        return import_module(f"colonnade.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module 'colonnade' has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"colonnade.{_HOMES[name]}"), name)
    return found
