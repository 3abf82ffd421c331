"""Which rows of an embedded folder are out of date: judged by DuckDB over the segments, never row by row in Python.

A trace is judged by all rows of it that hold, wherever they lie: in segments, in logs, in both. What is out of date is
then a table of ids in a database of its own, which sets aside on disk what does not fit into its memory. It is asked by
id, also about rows that hold no more: no older copy of a row may come back when a later one is gone.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.compute as pc

from colonnade.engine.dialect import DUCKDB
from colonnade.engine.plan import TRUE, Filter, Scan
from colonnade.engine.relational import Renderer, Statement
from colonnade.engine.retention import Progress, Retention
from colonnade.engine.stores.embedded.folder import Manifest, Segment
from colonnade.engine.stores.embedded.log import TABLES
from colonnade.engine.stores.embedded.logged import COLUMNS
from colonnade.engine.stores.embedded.reading import Picture
from colonnade.engine.stores.embedded.segments import VERSION_COLUMN, connect, quoted, translated
from colonnade.schemas import SCORES, SPANS
from colonnade.schemas.moments import micros_of
from colonnade.schemas.table import Table


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of one table of one segment, in order: which of them ``hold``, and which of those ``stay``."""

    hold: pa.Array
    stay: pa.Array

    @property
    def lost(self) -> int:
        """How many hold and do not stay."""
        return int(self.hold.true_count - self.stay.true_count)

    @property
    def places(self) -> list[int]:
        """Which those are."""
        found: list[int] = pc.indices_nonzero(pc.and_not(self.hold, self.stay)).to_pylist()
        return found

    def place_of(self, place: int) -> int | None:
        """Where a row is among those that stay; ``None`` where it does not."""
        return int(self.stay.slice(0, place).true_count) if self.stay[place].as_py() else None


class Judge:
    """Judges once, by pictures of one moment, and then knows what is out of date."""

    def __init__(self, retention: Retention, folder: Path) -> None:
        self._retention = retention
        self._folder = folder
        self._cutoff = micros_of(retention.cutoff)
        self._names: dict[str, str] = {}
        self._spill = tempfile.mkdtemp(prefix="colonnade-prune-")
        self._connection = connect()
        self._run(f"SET temp_directory = '{quoted(Path(self._spill))}'")

    def close(self) -> None:
        """Let all files go."""
        self._connection.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def attach(self, segments: Sequence[Segment]) -> None:
        """Make segments readable; ``StoreError`` where a file is gone."""
        for segment in segments:
            if segment.file not in self._names:
                name = f"s{len(self._names)}"
                self._run(f"ATTACH '{quoted(self._folder / segment.file)}' AS {name} (READ_ONLY)")
                self._names[segment.file] = name

    def judge(self, pictures: Sequence[Picture], tables: Collection[str], progress: Progress) -> None:
        """Find what is out of date in some tables; in the others nothing is."""
        over, keeping = [], []
        for picture in pictures:
            table = picture.table
            self._take(picture)
            self._run(f"CREATE TABLE found_{table.name} (id VARCHAR NOT NULL, rows BIGINT NOT NULL)")
            if table.name in tables:
                over += [(table, rows) for rows in self._rows(picture, self._retention.over(table), begun=True)]
            if table == SPANS:
                keeping += self._rows(picture, self._retention.keeps(table))
            elif table == SCORES and self._retention.keep_scored:
                keeping += self._rows(picture, TRUE)
        total = len(over) + len(keeping)
        for done, (table, rows) in enumerate(over):
            progress("judging", done, total)
            key = DUCKDB.ident(table.key[0])
            self._run(f"INSERT INTO found_{table.name} SELECT {key}, count(*) FROM ({rows.sql}) GROUP BY ALL", rows)
        for picture in pictures:
            name = picture.table.name
            self._run(f"CREATE TABLE over_{name} AS SELECT id, sum(rows)::BIGINT AS rows FROM found_{name} GROUP BY id")
            self._run(f"DROP TABLE found_{name}")
        for done, rows in enumerate(keeping, len(over)):
            if not self.counts("spans")[0]:
                break
            progress("judging", done, total)
            self._run(f'DELETE FROM over_spans WHERE id IN (SELECT "traceId" FROM ({rows.sql}))', rows)

    def _take(self, picture: Picture) -> None:
        self.attach([each.segment for each in picture.attached])
        self._connection.register(f"fresh_{picture.table.name}", picture.fresh)
        for name, data in picture.relations().items():
            self._connection.register(f"{picture.table.name}_{name}", data)

    def _rows(self, picture: Picture, where: Filter, *, begun: bool = False) -> list[Statement]:
        """A statement for the logs, and one for each segment, which may be left out where nothing has ``begun``."""
        table = picture.table
        sources = picture.sources(self._names, prefix=f"{table.name}_")
        chosen = [f"fresh_{table.name}"]
        for attached, source in zip(picture.attached, sources, strict=True):
            if not begun or self.may_lose(attached.segment, table):
                chosen.append(source)
        plan = Scan(table, where, columns=COLUMNS[table.name])
        return [Renderer(DUCKDB, source=lambda _, source=source: source).scan(plan) for source in chosen]  # type: ignore[misc]

    def counts(self, table: str) -> tuple[int, int]:
        """How many traces, scores or evals are out of date, and how many rows those have."""
        ((groups, rows),) = self._ask(f"SELECT count(*), coalesce(sum(rows), 0)::BIGINT FROM over_{table}")
        return groups, rows

    def may_lose(self, segment: Segment, table: Table) -> bool:
        """Whether a segment can have rows that are out of date; its times say so."""
        return segment.first.get(table.name, self._cutoff) < self._cutoff

    def rows(self, segment: Segment, table: Table, manifest: Manifest) -> Rows:
        """The rows of a table of a segment that is attached."""
        gone = manifest.exceptions.get(segment.file, {}).get(table.name, [])
        self._connection.register("gone", pa.table({"place": pa.array(gone, pa.int64())}))
        found = self._connection.sql(
            f"SELECT hold, hold AND id NOT IN (SELECT id FROM over_{table.name}) AS stay FROM ("
            f"SELECT rowid AS place, {DUCKDB.ident(table.key[0])} AS id, rowid NOT IN (SELECT place FROM gone) "
            f"AND {VERSION_COLUMN} > {manifest.cleared.get(table.name, 0)} AS hold FROM {self.name_of(segment, table)}"
            ") ORDER BY place"
        ).to_arrow_table()
        return Rows(*(pa.concat_arrays([*column.chunks, pa.array([], pa.bool_())]) for column in found.columns))

    def limit(self, memory: str) -> None:
        """Take no more memory than this from now on. Reading rows takes little, but would keep what it has read."""
        self._run(f"SET memory_limit = '{memory}'")

    def read(self, segment: Segment, table: Table, first: int, last: int) -> pa.Table:
        """Some rows of a segment as they are there."""
        with translated(segment.file):
            return self._connection.sql(
                f"SELECT * FROM {self.name_of(segment, table)} WHERE rowid BETWEEN {first} AND {last}"
            ).to_arrow_table()

    def name_of(self, segment: Segment, table: Table) -> str:
        """What SQL knows a table of a segment by."""
        return f"{self._names[segment.file]}.{DUCKDB.ident(table.name)}"

    def contradict(self, table: Table, rows: str | pa.Table) -> bool:
        """Whether rows that came since, Arrow or named in SQL, are a reason to keep something that is out of date."""
        if isinstance(rows, pa.Table):
            self._connection.register("later", rows)
            rows = "later"
        source = rows
        keeps = Renderer(DUCKDB, source=lambda _: source).scan(
            Scan(table, self._retention.keeps(table), columns=COLUMNS[table.name])
        )
        key = DUCKDB.ident(table.key[0])
        found = self._ask(
            f"SELECT 1 FROM ({keeps.sql}) WHERE {key} IN (SELECT id FROM over_{table.name}) LIMIT 1", keeps
        )
        if table == SCORES and self._retention.keep_scored:
            found += self._ask(f'SELECT 1 FROM {source} WHERE "traceId" IN (SELECT id FROM over_spans) LIMIT 1')
        return bool(found)

    def keys(self, table: Table, rows: pa.Table) -> pa.Table:
        """The keys of those rows that are out of date, each once."""
        self._connection.register("later", rows)
        key = ", ".join(map(DUCKDB.ident, table.key))
        return self._connection.sql(
            f"SELECT DISTINCT {key} FROM later WHERE {DUCKDB.ident(table.key[0])} IN (SELECT id FROM over_{table.name})"
        ).to_arrow_table()

    def spare(self, within: Sequence[Segment], others: Sequence[Segment], logs: Mapping[str, pa.Table]) -> None:
        """Let what lies in some segments and nowhere else stay after all."""
        for table in (table for table in TABLES.values() if any(table.name in segment.rows for segment in within)):
            key = DUCKDB.ident(table.key[0])
            self._connection.register("later", logs[table.name])
            names = [
                [self.name_of(each, table) for each in some if table.name in each.rows] for some in (within, others)
            ]
            here, there = (
                " UNION ALL ".join(f"SELECT {key} FROM {name}" for name in some)
                for some in (names[0], ["later", *names[1]])
            )
            self._run(f"DELETE FROM over_{table.name} WHERE id IN ({here}) AND id NOT IN ({there})")

    def _run(self, sql: str, given: Statement | None = None) -> duckdb.DuckDBPyConnection:
        with translated("segments"):
            return self._connection.execute(sql, list(given.parameters) if given else None)

    def _ask(self, sql: str, given: Statement | None = None) -> list[Any]:
        return self._run(sql, given).fetchall()
