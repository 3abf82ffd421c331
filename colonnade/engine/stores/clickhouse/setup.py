"""Making a store's database and tables, or finding that they are there, ours, and not newer than this colonnade.

On a cluster without Keeper there is no ``ON CLUSTER``: tables are made host by host, so the address names them all.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress

from colonnade.engine.stores.clickhouse import layout, maps
from colonnade.engine.stores.clickhouse.address import Place
from colonnade.engine.stores.clickhouse.layout import CLICKHOUSE, LOCAL, Cluster
from colonnade.engine.stores.clickhouse.steps import Request, Steps, ask
from colonnade.errors import InvalidAddress, NotAStore, SchemaTooNew, StoreReadOnly
from colonnade.schemas import STORED, VERSION
from colonnade.schemas.table import Table

_TABLES = "SELECT name, comment, create_table_query FROM system.tables WHERE database = {database:String}"
_INDEXES = "SELECT table, name FROM system.data_skipping_indices WHERE database = {database:String}"


def steps(place: Place) -> Steps[None]:
    """Make what is missing, on every host that has to be told."""
    cluster = (yield from _cluster(place, place.cluster)) if place.cluster is not None else None
    for node in range(1 if cluster is None or cluster.keeper else len(place.hosts)):
        yield from _make(place, cluster, node)


def _make(place: Place, cluster: Cluster | None, node: int) -> Steps[None]:
    known = yield from ask(
        "SELECT name FROM system.databases WHERE name = {database:String}", node, database=place.database
    )
    database = CLICKHOUSE.ident(place.database)
    everywhere = cluster.everywhere if cluster else ""
    if not known.num_rows:
        yield Request(f"CREATE DATABASE IF NOT EXISTS {database}{everywhere}", node=node, database=False)
    found = yield from ask(_TABLES, node, database=place.database)
    made = {row["name"]: row for row in found.to_pylist()}
    for table in STORED:
        name = CLICKHOUSE.table_name(table)
        if name in made:
            _check_made(place, cluster, name, made[name]["comment"])
            continue
        for statement in layout.create(table, place.database, cluster=cluster, ttl=place.ttl.get(table.name)):
            yield Request(statement, node=node)
    for table in STORED:
        ttl = place.ttl.get(table.name)
        name = CLICKHOUSE.table_name(table) + (LOCAL if cluster else "")
        if ttl is not None and name in made and f"toIntervalSecond({ttl})" not in made[name]["create_table_query"]:
            name = CLICKHOUSE.ident(name) + everywhere
            yield Request(f"ALTER TABLE {name} MODIFY TTL {layout.expiry(table, ttl)}", node=node)
    older = [table for table in STORED if CLICKHOUSE.table_name(table) in made]
    with suppress(StoreReadOnly):  # who may only read needs no maps
        for table in older:
            yield from _derive(table, cluster, node, {name: row["create_table_query"] for name, row in made.items()})
    with suppress(StoreReadOnly):  # who may only read searches without: the same is found, only slower
        yield from _index(place, cluster, node, older)


def _derive(table: Table, cluster: Cluster | None, node: int, made: Mapping[str, str]) -> Steps[None]:
    """Give a table of an older colonnade its maps. Until a part of it is merged, the server makes them as it reads."""
    name = CLICKHOUSE.table_name(table)
    # The parts first: what the whole offers, they have.
    for each, columns in (
        (name + (LOCAL if cluster else ""), maps.derived(table)),
        (name, maps.derived(table, whole=True) if cluster else {}),
    ):
        missing = [text for column, text in columns.items() if f"`{column}` " not in made.get(each, "")]
        if missing:
            alter = f"ALTER TABLE {CLICKHOUSE.ident(each)}{cluster.everywhere if cluster else ''} "
            yield Request(alter + ", ".join(f"ADD COLUMN IF NOT EXISTS {text}" for text in missing), node=node)


def _index(place: Place, cluster: Cluster | None, node: int, tables: list[Table]) -> Steps[None]:
    """Give tables of an older colonnade the indexes of words; the server fills them by and by.

    An answer does not depend on it: where a part of a table has no index yet, its rows are looked at.
    """
    found = yield from ask(_INDEXES, node, database=place.database)
    known = {(row["table"], row["name"]) for row in found.to_pylist()}
    for table in tables:
        name = CLICKHOUSE.table_name(table) + (LOCAL if cluster else "")
        missing = {index: text for index, text in layout.word_indexes(table).items() if (name, index) not in known}
        if missing:
            alter = f"ALTER TABLE {CLICKHOUSE.ident(name)}{cluster.everywhere if cluster else ''} "
            made = (f"ADD INDEX IF NOT EXISTS {text}" for text in missing.values())
            yield Request(alter + ", ".join(made), node=node)
            filled = (f"MATERIALIZE INDEX {CLICKHOUSE.ident(index)}" for index in missing)
            yield Request(alter + ", ".join(filled), node=node)


def _check_made(place: Place, cluster: Cluster | None, name: str, comment: str) -> None:
    made = layout.made_by(comment)
    if made is None:
        raise NotAStore(
            f"{place.label} has a table {name} that colonnade did not make; it was left as it is. "
            "Give the store a database of its own"
        )
    version, shards = made
    if version > VERSION:
        raise SchemaTooNew(place.label, version, VERSION)
    if shards != (cluster.shards if cluster else None):
        was, now = (f"{count} shards" if count else "one server" for count in (shards, cluster and cluster.shards))
        raise InvalidAddress(
            f"{place.label}: table {name} was made for {was}, and now there are {now}. Rows would be looked for where "
            "they are not: copy the store into a new database instead (docs/how-to/clickhouse.md)"
        )


def _cluster(place: Place, name: str) -> Steps[Cluster]:
    """The cluster as the first host knows it. Without Keeper, the address has to name one host of each shard."""
    there = yield from ask(
        "SELECT count() AS there FROM system.tables WHERE database = 'system' AND name = 'zookeeper'"
    )
    keeper = bool(there.column("there")[0].as_py())
    shards = "SELECT shard_num, is_local FROM system.clusters WHERE cluster = {cluster:String} ORDER BY shard_num"
    homes: list[int | None] = []
    count = 0
    for node in range(1 if keeper else len(place.hosts)):
        found = (yield from ask(shards, node, cluster=name)).to_pylist()
        if not found:
            raise InvalidAddress(f"{place.label}: its server knows no cluster {name!r} (see system.clusters)")
        homes.append(next((row["shard_num"] for row in found if row["is_local"]), None))
        count = len({row["shard_num"] for row in found})
    if not keeper and homes != list(range(1, count + 1)):
        raise InvalidAddress(
            f"{place.label}: cluster {name!r} has {count} shards and no Keeper, so the address names one host of each, "
            f"in the order of system.clusters; these are of shard {', '.join(map(str, homes))}"
        )
    return Cluster(name, count, keeper=keeper)


def merged(place: Place) -> Steps[None]:
    """Merge every table, and drop tombstones and old copies."""
    cluster = (yield from _cluster(place, place.cluster)) if place.cluster is not None else None
    everywhere = cluster.everywhere if cluster else ""
    for node in range(1 if everywhere else len(place.hosts)):
        for table in STORED:
            name = layout.name_of(table, local=cluster is not None) + everywhere
            yield Request(f"OPTIMIZE TABLE {name} FINAL CLEANUP", node=node)
