"""How an SQL database spells things, as data. One implementation (``relational``) serves all of them.

Values are always bound. What a dialect holds is text with named gaps, so that a new database is a new value of this
class and not a new class.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from colonnade.schemas.kinds import Column
from colonnade.schemas.table import Table


@dataclass(frozen=True, slots=True)
class JsonSpelling:
    """How a place inside JSON is looked at. Gaps: ``{column}``, and ``{path}`` and ``{value}``, which are bound."""

    path: str
    """Format of a path, each step through ``step``: ``$`` and the steps."""
    step: str
    """One step of it; the gap is ``{key}``."""
    kind: str
    """Expression for the JSON type at a path, null where there is nothing."""
    text: str
    """Expression for the value at a path as text, unquoted."""
    strings: tuple[str, ...]
    """What ``kind`` says of a text."""
    numbers: tuple[str, ...]
    """What ``kind`` says of a number."""
    booleans: tuple[str, ...]
    """What ``kind`` says of a boolean."""
    boolean: str
    """Expression for a boolean at a path, as ``true`` or ``false`` in text."""
    null: str
    """What ``kind`` says of JSON null."""
    number: str
    """Expression that casts ``{text}`` to a number."""
    has_text: str
    """Condition: the array at a path has a text equal to the value; null where there is no array."""


@lru_cache(maxsize=4096)
def _quoted(quote: str, name: str) -> str:
    if '"' in name or "\0" in name:
        raise ValueError(f"{name!r} is no name of a table or column")
    return quote.format(name=name)


@dataclass(frozen=True, slots=True)
class Dialect:
    """The spelling of one SQL database."""

    name: str
    """The name that sqlglot gives it."""
    types: Mapping[str, str]
    """Kind -> type; ``vector`` has the gap ``{size}``, which is empty where vectors may have any."""
    json: JsonSpelling | None = None
    quote: str = '"{name}"'
    placeholder: str = "?"
    mastra_names: bool = False
    """Whether tables carry Mastra's names (server databases) or the logical ones."""
    upsert: str = "INSERT INTO {table} ({columns}) {source} ON CONFLICT ({key}) DO UPDATE SET {changes}{unless}"
    incoming: str = "excluded.{column}"
    order: str = "{column} {direction} NULLS {nulls}"
    page: str = " LIMIT {limit} OFFSET {offset}"
    no_limit: str = "9223372036854775807"
    bucket: str = ""
    """Timestamp ``{column}`` cut down to ``{micros}`` since the epoch."""
    functions: Mapping[str, str] | None = None
    """Function of ``Summarize`` -> expression with the gap ``{column}``."""
    difference: str = ""
    """Whole numbers ``{column}`` less ``{minus}``, exactly, then as a float."""
    among: str = "{inner}"
    """How a query stands within IN."""
    array: str | None = None
    """Condition that ``{column}`` is one of a bound array; without it every value is bound by itself."""
    contains: str | None = None
    """Condition that ``{column}`` matches ``{pattern}`` (RE2), or has ``{text}`` in lower case; either is bound."""
    contains_long: str | None = None
    """The same for texts from which no pattern can be made; ``{upper}`` are letters, ``{lower}`` their lower case."""
    nearest: str | None = None
    """How near ``{column}`` is to a bound ``{vector}``: their cosine, to nine digits."""
    dimensions: str = ""
    """How many dimensions ``{column}`` has."""
    indexes: bool = True
    """Whether tables have a primary key and indexes. Where not, the store keeps keys unique and reads what it needs."""
    view: str = "CREATE VIEW IF NOT EXISTS"
    """How a view is made, over an older one where that can be said."""
    suffix: str = ""
    """What follows the columns of a table."""
    payload: str = ""
    """What follows the type of a payload column."""

    def ident(self, name: str) -> str:
        """A quoted identifier. Names come from schemas, never from users; a quote within is refused all the same."""
        return _quoted(self.quote, name)

    def table_name(self, table: Table) -> str:
        """The table's physical name."""
        return table.facts.mastra if self.mastra_names else table.name

    def table(self, table: Table) -> str:
        """The table's quoted physical name."""
        return self.ident(self.table_name(table))

    def type_of(self, column: Column) -> str:
        """The SQL type of a column."""
        return self.types[column.kind.name].format(size=column.kind.size or "")


DUCKDB: Final = Dialect(
    name="duckdb",
    types={
        # uuid is text too: a filter with a value that is no UUID is then false, not an error.
        "text": "VARCHAR",
        "uuid": "VARCHAR",
        # Text and not JSON: the JSON type compresses no better, and VARIANT explodes on sparse keys.
        "json": "VARCHAR",
        "integer": "INTEGER",
        "bigint": "BIGINT",
        "float": "DOUBLE",
        "boolean": "BOOLEAN",
        "timestamp": "TIMESTAMP WITH TIME ZONE",
        "binary": "BLOB",
        "vector": "FLOAT[{size}]",
    },
    json=JsonSpelling(
        path="${steps}",
        step='."{key}"',
        kind="json_type({column}, {path})",
        text="json_extract_string({column}, {path})",
        strings=("VARCHAR",),
        numbers=("BIGINT", "UBIGINT", "HUGEINT", "DOUBLE"),
        booleans=("BOOLEAN",),
        boolean="json_extract_string({column}, {path})",
        null="NULL",
        number="TRY_CAST({text} AS DOUBLE)",
        has_text=(
            "CASE json_type({column}, {path}) WHEN 'ARRAY' THEN len(list_filter(CAST(json_extract({column}, {path}) AS "
            "JSON[]), lambda item: json_type(item) = 'VARCHAR' AND json_extract_string(item, '$') = {value})) > 0 END"
        ),
    ),
    bucket="make_timestamptz(epoch_us({column}) - ((epoch_us({column}) % {micros}) + {micros}) % {micros})",
    functions={
        "count": "count({column})",
        "sum": "sum({column})",
        "min": "min({column})",
        "max": "max({column})",
        "mean": "avg({column})",
        # All three each time: equal aggregates are computed once, and all quantiles are read from one list.
        "p50": "quantile_cont({column}, [0.5, 0.95, 0.99])[1]",
        "p95": "quantile_cont({column}, [0.5, 0.95, 0.99])[2]",
        "p99": "quantile_cont({column}, [0.5, 0.95, 0.99])[3]",
    },
    difference="CAST(CAST({column} AS HUGEINT) - CAST({minus} AS HUGEINT) AS DOUBLE)",
    array="{column} IN (SELECT unnest({values}))",
    contains="regexp_matches({column}, {pattern})",
    contains_long="contains(translate({column}, {upper}, {lower}), {text})",
    # In 64 bits, as everywhere. A vector of zeros is as near to all others as a right angle.
    nearest=(
        "round(coalesce(nullif(list_cosine_similarity(CAST({column} AS DOUBLE[]), CAST({vector} AS DOUBLE[])), "
        "CAST('NaN' AS DOUBLE)), 0), 9)"
    ),
    dimensions="len({column})",
    # Zone maps and the engine's own top-N serve newest-first by name, scope and type: an ART index is never used there,
    # and every checkpoint writes it anew.
    indexes=False,  # ADR 024: of ART indexes, DuckDB 2.0 reads what was never written
    view="CREATE OR REPLACE VIEW",
    # Auto compression never picks zstd for texts of about 1 KB; it more than halves them.
    payload=" USING COMPRESSION zstd",
)

SQLITE: Final = Dialect(
    name="sqlite",
    types={
        "text": "TEXT",
        "uuid": "TEXT",
        "json": "TEXT",
        "integer": "INTEGER",
        "bigint": "INTEGER",
        "float": "REAL",
        "boolean": "INTEGER",
        # Microseconds since the epoch: exact, and in order as integers.
        "timestamp": "INTEGER",
        "binary": "BLOB",
        "vector": "BLOB",
    },
    json=JsonSpelling(
        path="${steps}",
        step='."{key}"',
        kind="json_type({column}, {path})",
        text="json_extract({column}, {path})",
        strings=("text",),
        numbers=("integer", "real"),
        booleans=("true", "false"),
        boolean="({column} -> {path})",
        null="null",
        number="json_extract({column}, {path})",
        has_text=(
            "CASE json_type({column}, {path}) WHEN 'array' THEN EXISTS (SELECT 1 FROM json_each({column}, {path}) "
            "AS item WHERE item.type = 'text' AND item.value = {value}) END"
        ),
    ),
    bucket="({column} - ({column} % {micros} + {micros}) % {micros})",
    functions={
        "count": "count({column})",
        "sum": "sum({column})",
        "min": "min({column})",
        "max": "max({column})",
        "mean": "avg({column})",
    },
    # SQLite itself goes on in floats where 64 bits are too few.
    difference="CAST({column} - {minus} AS REAL)",
    # Without DISTINCT, SQLite before 3.41 looks into the table itself, and so does not find what a DELETE over the same
    # table has just deleted.
    among="SELECT DISTINCT * FROM ({inner})",
    array="{column} IN (SELECT value FROM json_each({values}))",
    contains="contains_alike({column}, {text})",  # a function of ours: SQLite knows the case of ASCII letters only
    suffix=" STRICT",
)

DIALECTS: Final[Mapping[str, Dialect]] = {"duckdb": DUCKDB, "sqlite": SQLITE}
"""Every dialect by name."""
