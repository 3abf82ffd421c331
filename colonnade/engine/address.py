"""Opening a storage by address, and the stores of third parties."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final

from colonnade.engine.composite import AsyncStorage, Storage
from colonnade.engine.store import AnyStore, Store
from colonnade.errors import InvalidAddress, InvalidInput

Address = str | PathLike[str] | AnyStore
"""A URL, a path, or a store that is open already."""

_DUCKDB_OPTIONS: Final[Mapping[str, Callable[[str], Any]]] = {
    "read_only": lambda text: _boolean("read_only", text),
    "memory_limit": str,
    "threads": int,
}


def open(default: Address | None = None, *, id: str = "colonnade", init: bool = True, **domains: Address) -> Storage:
    """Open a storage whose methods block.

    ``default`` keeps every domain that has no store of its own: ``open("agent.db")``, ``open(":memory:")``,
    ``open("duckdb:////srv/agent.db?read_only=true")``. Domains may live elsewhere, each a URL or a store:
    ``open("agent.db", memory=":memory:")``. Tables are made and migrated unless ``init=False``.
    """
    opened = _Opened()
    try:
        return Storage(
            None if default is None else opened.blocking(default),
            id=id,
            init=init,
            **{domain: opened.blocking(address) for domain, address in domains.items()},
        )
    except BaseException:
        opened.close()
        raise


def aopen(default: Address | None = None, *, id: str = "colonnade", **domains: Address) -> AsyncStorage:
    """Open a storage whose methods are awaited: ``async with colonnade.aopen("agent.db") as store: ...``.

    The same addresses as ``open``. Stores with a blocking driver run each operation in a thread.
    """
    opened = _Opened()
    try:
        return AsyncStorage(
            None if default is None else opened.store(default),
            id=id,
            **{domain: opened.store(address) for domain, address in domains.items()},
        )
    except BaseException:
        opened.close()
        raise


class _Opened:
    """The stores opened for one storage: an address that occurs twice is opened once, and all are closed on failure."""

    def __init__(self) -> None:
        self._stores: dict[str, AnyStore] = {}

    def store(self, address: Address) -> AnyStore:
        if not isinstance(address, str | PathLike):
            return address
        text = str(address)
        if text not in self._stores:
            self._stores[text] = store_at(text)
        return self._stores[text]

    def blocking(self, address: Address) -> Store:
        store = self.store(address)
        if not isinstance(store, Store):
            raise InvalidInput(f"{store!r} is no store with a blocking driver; open it with colonnade.aopen()")
        return store

    def close(self) -> None:
        for store in self._stores.values():
            if isinstance(store, Store):
                store.close()


def store_at(address: str) -> AnyStore:
    """The store at an address, opened; ``InvalidAddress`` names the forms that there are."""
    if address == ":memory:":
        from colonnade.engine.stores.memory import MemoryStore

        return MemoryStore()
    scheme, separator, _ = address.partition("://")
    if not separator:
        return _file(address)
    if scheme == "duckdb":
        return _duckdb(address)
    if scheme == "sqlite":
        return _sqlite(address)
    from importlib.metadata import entry_points  # a fifth of what `import colonnade` may cost

    for found in entry_points(group="colonnade.stores", name=scheme):
        opened: AnyStore = found.load()(address)
        return opened
    raise InvalidAddress(f"no store is known for {scheme}:// addresses; {_FORMS}")


_FORMS: Final = "open a folder (agent), a path that ends in .db or .duckdb, duckdb:///path, or :memory:"


def _file(address: str) -> AnyStore:
    path = Path(address).expanduser()
    if path.suffix in (".db", ".duckdb") or path.is_file():
        from colonnade.engine.stores.duckdb import DuckDBStore

        return DuckDBStore(path)
    if path.suffix and not path.is_dir():
        raise InvalidAddress(f"{address!r} names no store; {_FORMS}")
    from colonnade.engine.stores.embedded.store import EmbeddedStore

    return EmbeddedStore(path)


def _duckdb(address: str) -> AnyStore:
    from urllib.parse import parse_qsl, unquote, urlsplit  # it loads sockets

    parts = urlsplit(address)
    if parts.netloc:
        raise InvalidAddress(f"a DuckDB file has no host: write duckdb:///{parts.netloc}{parts.path} (three slashes)")
    options: dict[str, Any] = {}
    for name, text in parse_qsl(parts.query, keep_blank_values=True):
        if name not in _DUCKDB_OPTIONS:
            raise InvalidAddress(f"duckdb:// knows no option {name!r}, only {', '.join(_DUCKDB_OPTIONS)}")
        try:
            options[name] = _DUCKDB_OPTIONS[name](text)
        except ValueError as error:
            raise InvalidAddress(f"duckdb:// option {name}: {error}") from None
    from colonnade.engine.stores.duckdb import DuckDBStore

    # As SQLAlchemy has it: after the third slash comes the path, so an absolute one makes four slashes.
    path = unquote(parts.path)[1:]
    return DuckDBStore(Path(path) if path not in ("", ":memory:") else None, **options)


def _sqlite(address: str) -> AnyStore:
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(address)
    if parts.netloc or parts.query:
        raise InvalidAddress("a SQLite file has no host and no options: write sqlite:///agent.sqlite (three slashes)")
    from colonnade.engine.stores.sqlite import SQLiteStore

    return SQLiteStore(Path(unquote(parts.path)[1:]))


def _boolean(name: str, text: str) -> bool:
    if text not in ("true", "false"):
        raise ValueError(f"{name} is true or false, not {text!r}")
    return text == "true"
