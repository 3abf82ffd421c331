"""What there is in a schema, as the server's catalog tells it, and how the tables lie that are found there."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from colonnade.engine.stores.postgres import layout, mastra, wide
from colonnade.engine.stores.postgres.address import Place
from colonnade.engine.stores.postgres.layout import Layout, Stored
from colonnade.engine.stores.postgres.spelling import POSTGRES
from colonnade.engine.stores.postgres.steps import Steps, ask
from colonnade.schemas import READINGS, STORED, VECTORS
from colonnade.schemas.table import Table

_COLUMNS = """
SELECT c.relname, c.relkind::text, obj_description(c.oid, 'pg_class'), a.attname, format_type(a.atttypid, NULL),
       a.attnotnull, l.collname
FROM pg_class AS c
JOIN pg_namespace AS n ON n.oid = c.relnamespace
LEFT JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
LEFT JOIN pg_collation AS l ON l.oid = a.attcollation
WHERE n.nspname = $1 AND c.relname = ANY($2) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
ORDER BY c.relname, a.attnum
"""
_INDEXES = """
SELECT i.relname, x.indisvalid, x.indisunique AND x.indpred IS NULL, c.relname,
       ARRAY(SELECT a.attname::text FROM unnest(x.indkey) AS k
             LEFT JOIN pg_attribute AS a ON a.attrelid = x.indrelid AND a.attnum = k)
FROM pg_index AS x
JOIN pg_class AS i ON i.oid = x.indexrelid
JOIN pg_class AS c ON c.oid = x.indrelid
JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE n.nspname = $1 AND c.relname = ANY($2)
"""
_SERVER = (
    "SELECT current_setting('server_version_num')::integer, (SELECT quote_ident(n.nspname) FROM pg_extension AS e "
    "JOIN pg_namespace AS n ON n.oid = e.extnamespace WHERE e.extname = 'vector')"
)


_OTHER_VECTORS: Final = "colonnade_memory_messages"


@dataclass
class Found:
    """What is in a schema: its tables with comments and columns, and its indexes with whether they are whole."""

    tables: dict[str, mastra.Found] = field(default_factory=dict)
    views: set[str] = field(default_factory=set)
    indexes: dict[str, bool] = field(default_factory=dict)
    vectors: str | None = None
    server: int = 0

    def name_of(self, table: Table) -> str:
        """The name of a table. What Mastra keeps of vectors is another table, beside which ours has another name."""
        name = POSTGRES.table_name(table)
        other = self.tables.get(name)
        if table == VECTORS and other is not None and other.version is None and not mastra.is_known(table, other):
            return _OTHER_VECTORS
        return name

    def is_wide(self, table: Table) -> bool:
        """Whether a table has been made wide."""
        return bool(self.indexes.get(wide.key_name(self.name_of(table))))

    def table(self, table: Table) -> mastra.Found | None:
        """A table, if it is there."""
        return self.tables.get(self.name_of(table))


def look(place: Place) -> Steps[Found]:
    """Read what there is from the catalog."""
    names = [_OTHER_VECTORS, *(POSTGRES.table_name(table) for table in (*STORED, *READINGS))]
    found = Found()
    ((found.server, found.vectors),) = yield from ask(_SERVER)
    for name, kind, comment, column, kind_of, required, collation in (yield from ask(_COLUMNS, place.schema, names)):
        if kind not in ("r", "p"):
            found.views.add(name)
            continue
        table = found.tables.setdefault(name, mastra.Found(comment, found.server))
        if column is not None:
            table.columns[column] = mastra.Physical(kind_of, required, collation)
    for name, valid, unique, table_name, columns in (yield from ask(_INDEXES, place.schema, names)):
        found.indexes[name] = valid
        if unique and valid and table_name in found.tables:
            found.tables[table_name].unique.add(frozenset(columns))
    return found


def laid_out(place: Place, found: Found) -> Layout:
    """How the tables lie that were found."""
    return Layout([_stored(place, table, found) for table in STORED], server=found.server, vectors=found.vectors)


def _stored(place: Place, table: Table, found: Found) -> Stored:
    there = found.table(table)
    own = layout.own(table, place.schema, found.name_of(table))
    if there is None:
        return replace(own, absent=bool(found.tables))
    return replace(own, wide=found.is_wide(table)) if there.version is not None else mastra.stored(own, there)
