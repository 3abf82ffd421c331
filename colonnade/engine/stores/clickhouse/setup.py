"""Making a store's database and tables, or finding that they are there, ours, and not newer than this colonnade.

On a cluster without Keeper there is no ``ON CLUSTER``: tables are made host by host, so the address names them all.
"""

from __future__ import annotations

from colonnade.engine.stores.clickhouse import layout
from colonnade.engine.stores.clickhouse.address import Place
from colonnade.engine.stores.clickhouse.layout import CLICKHOUSE, LOCAL, Cluster
from colonnade.engine.stores.clickhouse.steps import Request, Steps, ask
from colonnade.errors import InvalidAddress, NotAStore, SchemaTooNew
from colonnade.schemas import STORED, VERSION

_TABLES = "SELECT name, comment, create_table_query FROM system.tables WHERE database = {database:String}"


def steps(place: Place) -> Steps[None]:
    """Make what is missing, on every host that is named."""
    cluster = None
    if place.cluster is not None:
        cluster = Cluster(place.cluster, keeper=(yield from _has_keeper()))
        if not cluster.keeper:
            yield from _check_hosts(place)
    for node in range(1 if cluster is None or cluster.keeper else len(place.hosts)):
        yield from _make(place, cluster, node)


def _make(place: Place, cluster: Cluster | None, node: int) -> Steps[None]:
    known = yield from ask(
        "SELECT name FROM system.databases WHERE name = {database:String}", node, database=place.database
    )
    database = CLICKHOUSE.ident(place.database)
    if not known.num_rows:
        everywhere = f" ON CLUSTER {CLICKHOUSE.ident(cluster.name)}" if cluster and cluster.keeper else ""
        yield Request(f"CREATE DATABASE IF NOT EXISTS {database}{everywhere}", node=node, database=False)
    found = yield from ask(_TABLES, node, database=place.database)
    made = {row["name"]: row for row in found.to_pylist()}
    for table in STORED:
        name = CLICKHOUSE.table_name(table)
        if name in made:
            _check_version(place, name, made[name]["comment"])
            continue
        for statement in layout.create(table, cluster=cluster, ttl=place.ttl.get(table.name)):
            yield Request(statement, node=node)
    for table in STORED:
        ttl = place.ttl.get(table.name)
        name = CLICKHOUSE.table_name(table) + (LOCAL if cluster else "")
        if ttl is not None and name in made and f"toIntervalSecond({ttl})" not in made[name]["create_table_query"]:
            yield Request(f"ALTER TABLE {CLICKHOUSE.ident(name)} MODIFY TTL {layout.expiry(table, ttl)}", node=node)


def _check_version(place: Place, name: str, comment: str) -> None:
    version = layout.version_in(comment)
    if version is None:
        raise NotAStore(
            f"{place.label} has a table {name} that colonnade did not make; it was left as it is. "
            "Give the store a database of its own"
        )
    if version > VERSION:
        raise SchemaTooNew(place.label, version, VERSION)


def _has_keeper() -> Steps[bool]:
    found = yield from ask(
        "SELECT count() AS there FROM system.tables WHERE database = 'system' AND name = 'zookeeper'"
    )
    return bool(found.column("there")[0].as_py())


def _check_hosts(place: Place) -> Steps[None]:
    """Every shard has to be among the hosts, and the first host is where writes take turns: it must be the first."""
    shards = "SELECT shard_num, is_local FROM system.clusters WHERE cluster = {cluster:String} ORDER BY shard_num"
    homes = []
    for node in range(len(place.hosts)):
        found = (yield from ask(shards, node, cluster=place.cluster)).to_pylist()
        if not found:
            raise InvalidAddress(f"{place.label}: its server knows no cluster {place.cluster!r} (system.clusters)")
        homes.append(next((row["shard_num"] for row in found if row["is_local"]), None))
        count = len({row["shard_num"] for row in found})
    if homes != list(range(1, count + 1)):
        raise InvalidAddress(
            f"{place.label} has {count} shards and no Keeper, so its address names one host for each, in the order of "
            f"system.clusters; these are shards {', '.join(map(str, homes))}"
        )


def merged(place: Place) -> Steps[None]:
    """Merge every table, and drop tombstones and old copies."""
    for node in range(len(place.hosts)):
        for table in STORED:
            name = layout.name_of(table, local=place.cluster is not None)
            yield Request(f"OPTIMIZE TABLE {name} FINAL CLEANUP", node=node)
