"""Opening a storage by address, and the stores of third parties."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Final, Literal

from colonnade.engine.composite import AsyncStorage, Storage
from colonnade.engine.store import AnyStore, Store
from colonnade.errors import InvalidAddress, InvalidInput

Address = str | PathLike[str] | AnyStore
"""A URL, a path, or a store that is open already."""

Durability = Literal["process", "power"]
"""What a call that has returned survives: the end of the process by any means, or the loss of power too."""

Options = Mapping[str, Callable[[str], Any]]
"""What may follow the question mark of an address: how each option is read from its text."""

_DUCKDB: Final[Options] = {
    "read_only": lambda text: _one_of(text, "true", "false") == "true",
    "memory_limit": str,
    "threads": int,
}
_DURABLE: Final[Options] = {"durability": lambda text: _one_of(text, "process", "power")}


def open(
    default: Address | None = None,
    *,
    id: str = "colonnade",
    init: bool = True,
    durability: Durability | None = None,
    **domains: Address,
) -> Storage:
    """Open a storage whose methods block.

    ``default`` keeps every domain that has no store of its own: ``open("agent")``, ``open(":memory:")``,
    ``open("duckdb:////srv/agent.db?read_only=true")``. Domains may live elsewhere, each a URL or a store:
    ``open("agent", memory=":memory:")``. Tables are made and migrated unless ``init=False``.

    ``durability`` is what a call that has returned survives, in every store that is opened here: ``"process"`` (unless
    given) the end of the process by any means, ``"power"`` the loss of power too. In an address it is
    ``agent?durability=power``. ``InvalidAddress`` where a store does not have the choice.
    """
    opened = _Opened(durability, awaited=False)
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


def aopen(
    default: Address | None = None,
    *,
    id: str = "colonnade",
    init: bool = True,
    durability: Durability | None = None,
    **domains: Address,
) -> AsyncStorage:
    """Open a storage whose methods are awaited: ``async with colonnade.aopen("agent") as store: ...``.

    The same addresses and ``durability`` as ``open``. Stores with a blocking driver run each operation in a thread.
    Tables are made and migrated by ``async with``, or where there is none when the storage is first used, once for all
    tasks that begin at once; unless ``init=False``. Without ``async with``, end with ``await store.close()``.
    """
    opened = _Opened(durability, awaited=True)
    try:
        return AsyncStorage(
            None if default is None else opened.store(default),
            id=id,
            init=init,
            **{domain: opened.store(address) for domain, address in domains.items()},
        )
    except BaseException:
        opened.close()
        raise


class _Opened:
    """The stores opened for one storage: an address that occurs twice is opened once, and all are closed on failure."""

    def __init__(self, durability: Durability | None, *, awaited: bool) -> None:
        self._stores: dict[str, AnyStore] = {}
        self._durability = durability
        self._awaited = awaited

    def store(self, address: Address) -> AnyStore:
        if not isinstance(address, str | PathLike):
            if self._durability is not None:
                raise InvalidInput(f"{address!r} is open already: give it its durability where it is opened")
            return address
        text = str(address)
        if text not in self._stores:
            self._stores[text] = store_at(text, durability=self._durability, awaited=self._awaited)
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


def store_at(address: str, *, durability: Durability | None = None, awaited: bool = False) -> AnyStore:
    """The store at an address, opened; ``InvalidAddress`` names the forms and the options that there are.

    With ``awaited`` it is one with a natively async driver, where there is such a one.
    """
    given = {} if durability is None else {"durability": str(durability)}
    place, _, query = address.partition("?")
    if place == ":memory:":
        from colonnade.engine.stores.memory import MemoryStore

        return MemoryStore(**_options(place, query, {}, given))
    if address.startswith(("libsql:", "file:")):
        if given:
            raise InvalidAddress("libSQL stores do not have the choice of durability")
        from colonnade.engine.stores.libsql.store import store_at as libsql_at

        return libsql_at(address, awaited=awaited)
    scheme, separator, _ = address.partition("://")
    if not separator:
        return _file(address, given)
    if scheme == "duckdb":
        return _duckdb(address, given)
    if scheme == "sqlite":
        return _sqlite(address, given)
    if scheme in ("clickhouse", "clickhouses"):
        return _clickhouse(address, given, awaited=awaited)
    if scheme == "d1":
        if given:
            raise InvalidAddress("d1:// stores do not have the choice of durability")
        from colonnade.engine.stores.d1.store import store_at as d1_at

        return d1_at(address, awaited=awaited)
    if scheme in ("postgresql", "postgres"):
        return _postgres(address, given, awaited=awaited)
    if scheme in ("mongodb", "mongodb+srv"):
        return _mongodb(address, given, awaited=awaited)
    if scheme in ("mssql", "sqlserver"):
        return _mssql(address, given)
    if scheme == "upstash":
        return _upstash(address, given, awaited=awaited)
    if scheme.partition("+")[0] == "lancedb":
        if given:
            raise InvalidAddress("lancedb:// stores do not have the choice of durability")
        from colonnade.engine.stores.lance.address import open_lance

        return open_lance(address)
    from importlib.metadata import entry_points  # a fifth of what `import colonnade` may cost

    for found in entry_points(group="colonnade.stores", name=scheme):
        if given:
            raise InvalidAddress(f"{scheme}:// stores take their options in the address, not from open()")
        opened: AnyStore = found.load()(address)
        return opened
    raise InvalidAddress(f"no store is known for {scheme}:// addresses; {_FORMS}")


_FORMS: Final = (
    "open a folder (agent), a path that ends in .db or .duckdb, duckdb:///path, clickhouse://host/db, "
    "postgresql://host/db, libsql://host, file:storage.db, d1://account/database, upstash://host, "
    "mongodb://host/db, mssql://host/db, or :memory:"
)


def _file(address: str, given: Mapping[str, str]) -> AnyStore:
    text, _, query = address.partition("?")
    if not query or Path(address).expanduser().exists():  # a name may hold a question mark
        text, query = address, ""
    path = Path(text).expanduser()
    if path.suffix in (".db", ".duckdb") or path.is_file():
        options = _options("a DuckDB file", query, _DUCKDB, given)
        from colonnade.engine.stores.duckdb import DuckDBStore

        return DuckDBStore(path, **options)
    if path.suffix and not path.is_dir():
        raise InvalidAddress(f"{address!r} names no store; {_FORMS}")
    options = _options("a folder", query, _DURABLE, given)
    from colonnade.engine.stores.embedded.store import EmbeddedStore

    return EmbeddedStore(path, **options)


def _duckdb(address: str, given: Mapping[str, str]) -> AnyStore:
    from urllib.parse import unquote, urlsplit  # it loads sockets

    parts = urlsplit(address)
    if parts.netloc:
        raise InvalidAddress(f"a DuckDB file has no host: write duckdb:///{parts.netloc}{parts.path} (three slashes)")
    options = _options("duckdb://", parts.query, _DUCKDB, given)
    from colonnade.engine.stores.duckdb import DuckDBStore

    # As SQLAlchemy has it: after the third slash comes the path, so an absolute one makes four slashes.
    path = unquote(parts.path)[1:]
    return DuckDBStore(Path(path) if path not in ("", ":memory:") else None, **options)


def _sqlite(address: str, given: Mapping[str, str]) -> AnyStore:
    from urllib.parse import unquote, urlsplit

    parts = urlsplit(address)
    if parts.netloc:
        raise InvalidAddress("a SQLite file has no host: write sqlite:///agent.sqlite (three slashes)")
    options = _options("sqlite://", parts.query, _DURABLE, given)
    from colonnade.engine.stores.sqlite import SQLiteStore

    return SQLiteStore(Path(unquote(parts.path)[1:]), **options)


def _clickhouse(address: str, given: Mapping[str, str], *, awaited: bool) -> AnyStore:
    from colonnade.engine.stores.clickhouse.address import OPTIONS, place_at
    from colonnade.engine.stores.clickhouse.store import AsyncClickHouseStore, ClickHouseStore

    scheme, _, rest = address.partition("://")
    where, _, query = rest.partition("?")
    options = _options("clickhouse://", query, OPTIONS, given)
    place = place_at(where, secure=scheme == "clickhouses", options=options)
    return AsyncClickHouseStore(place) if awaited else ClickHouseStore(place)


def _postgres(address: str, given: Mapping[str, str], *, awaited: bool) -> AnyStore:
    if given:
        raise InvalidAddress("postgresql:// stores do not have the choice of durability: the server has it")
    from colonnade.engine.stores.postgres.store import AsyncPostgresStore, PostgresStore

    return AsyncPostgresStore(address) if awaited else PostgresStore(address)


def _mongodb(address: str, given: Mapping[str, str], *, awaited: bool) -> AnyStore:
    if given:
        raise InvalidAddress("mongodb:// stores do not have the choice of durability: say w= and journal= instead")
    from colonnade.engine.stores.mongodb.address import place_of
    from colonnade.engine.stores.mongodb.store import AsyncMongoDBStore, MongoDBStore

    place = place_of(address)
    return AsyncMongoDBStore(place=place) if awaited else MongoDBStore(place=place)


def _mssql(address: str, given: Mapping[str, str]) -> AnyStore:
    if given:
        raise InvalidAddress("mssql:// stores do not have the choice of durability: the database has it")
    from colonnade.engine.stores.mssql.store import MSSQLStore

    return MSSQLStore(address)


def _upstash(address: str, given: Mapping[str, str], *, awaited: bool) -> AnyStore:
    from colonnade.engine.stores.upstash.address import OPTIONS, place_at
    from colonnade.engine.stores.upstash.store import AsyncUpstashStore, UpstashStore

    where, _, query = address.partition("?")
    place = place_at(where, _options("upstash://", query, OPTIONS, given))
    return AsyncUpstashStore.at(place) if awaited else UpstashStore.at(place)


def _options(store: str, query: str, known: Options, given: Mapping[str, str]) -> dict[str, Any]:
    """The options of a query and those given to ``open``, each as the store takes it."""
    texts = dict(given)
    if query:
        from urllib.parse import parse_qsl

        texts |= parse_qsl(query, keep_blank_values=True)  # what one address says of itself goes before
    options = {}
    for name, text in texts.items():
        if name not in known:
            others = f"only {', '.join(known)}" if known else "and none at all"
            raise InvalidAddress(f"{store} knows no option {name!r}, {others}")
        try:
            options[name] = known[name](text)
        except ValueError as error:
            raise InvalidAddress(f"{store} option {name}: {error}") from None
    return options


def _one_of(text: str, *known: str) -> str:
    if text not in known:
        raise ValueError(f"is {' or '.join(known)}, not {text!r:.80}")
    return text
