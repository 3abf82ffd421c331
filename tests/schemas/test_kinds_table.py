"""The schema is the only truth: kinds, tables, and what survives a trip through a file."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from colonnade.engine.dialect import DIALECTS, Dialect
from colonnade.engine.relational import ddl
from colonnade.errors import InvalidInput
from colonnade.schemas import DOMAINS, MESSAGES, SCORES, SPANS, STORED, TABLES, THREADS, TRACES, WORKFLOWS, table_named
from colonnade.schemas.kinds import JSON, SCALARS, TEXT, TIMESTAMP, Column, Kind, field, kind_named, vector
from colonnade.schemas.table import Index, Table, table

EVERY_TABLE = pytest.mark.parametrize("each", TABLES.values(), ids=TABLES)
KINDS = (*SCALARS, vector(3), vector(1536))


def one(*fields: pa.Field, key: tuple[str, ...] = ("id",), indexes: tuple[Index, ...] = ()) -> Table:
    """A table of an identifier and some fields."""
    return table(
        "one",
        [field("id", TEXT, "Who.", identifier=True), *fields],
        domain="memory",
        record="One",
        mastra="mastra_one",
        description="For a test.",
        key=key,
        indexes=indexes,
    )


ALL_KINDS = one(*(field(f"c{place}", kind, f"A {kind}.", nullable=True) for place, kind in enumerate(KINDS)))


@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_a_kind_is_found_by_the_name_it_prints(kind: Kind) -> None:
    assert kind_named(str(kind)) == kind


@pytest.mark.parametrize("name", ["", "string", "vectors", "vector[]", "vector[-1]", "vector[3]x", "TEXT", "text "])
def test_a_name_of_no_kind_is_refused_with_the_list_of_kinds(name: str) -> None:
    with pytest.raises(ValueError, match=r"is no kind of column; the kinds are text, uuid, json, .*, vector\[n\]"):
        kind_named(name)


def test_a_vector_has_at_least_one_dimension() -> None:
    assert vector(1).arrow == pa.list_(pa.float32(), 1)
    for size in (0, -3):
        with pytest.raises(ValueError, match=f"at least one dimension, not {size}"):
            vector(size)
    with pytest.raises(ValueError, match="at least one dimension"):
        kind_named("vector[0]")


def test_a_column_is_read_back_as_it_was_declared() -> None:
    full = field("a", JSON, "Why.", nullable=True, api="b", identifier=True, once=True, payload=True)
    assert Column.of(full) == Column("a", "b", JSON, True, "Why.", identifier=True, once=True, payload=True)
    bare = Column.of(field("a", TEXT, "Why."))
    assert bare == Column("a", "a", TEXT, False, "Why.", identifier=False, once=False, payload=False)


def test_a_plain_arrow_field_is_no_column() -> None:
    with pytest.raises(ValueError, match=r"'a' does not say its kind; declare it with field\(\)"):
        Column.of(pa.field("a", pa.string()))
    with pytest.raises(ValueError, match="'a' does not say its kind"):
        Column.of(pa.field("a", pa.string(), metadata={"description": "x"}))


def test_a_plain_arrow_schema_is_no_table() -> None:
    for schema in (pa.schema([("a", pa.string())]), pa.schema([], metadata={"pandas": "{}"})):
        with pytest.raises(ValueError, match=r"not made by table\(\)"):
            Table(schema)


def through_ipc(data: pa.Table) -> pa.Table:
    sink = io.BytesIO()
    with pa.ipc.new_file(sink, data.schema) as writer:
        writer.write_table(data)
    return pa.ipc.open_file(sink.getvalue()).read_all()


def through_a_stream(data: pa.Table) -> pa.Table:
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, data.schema) as writer:
        writer.write_table(data)
    return pa.ipc.open_stream(sink.getvalue()).read_all()


def through_parquet(data: pa.Table) -> pa.Table:
    sink = io.BytesIO()
    pq.write_table(data, sink)
    return pq.read_table(io.BytesIO(sink.getvalue()))


@pytest.mark.parametrize("through", [through_ipc, through_a_stream, through_parquet])
@pytest.mark.parametrize("each", [*TABLES.values(), ALL_KINDS], ids=lambda each: each.name)
def test_a_schema_survives_files_and_is_the_same_table(through, each: Table) -> None:  # type: ignore[no-untyped-def]
    back = Table(through(each.schema.empty_table()).schema)
    if through is through_parquet:  # Parquet adds a field id to the metadata of each column
        fields = [one.with_metadata(_without_ids(one.metadata)) for one in back.schema]
        back = Table(pa.schema(fields, back.schema.metadata))
    assert back == each
    assert hash(back) == hash(each)
    assert back.facts == each.facts
    assert back.columns == each.columns


def _without_ids(metadata: dict[bytes, bytes]) -> dict[bytes, bytes]:
    return {name: value for name, value in metadata.items() if not name.startswith(b"PARQUET:")}


def test_tables_differ_where_their_schemas_or_facts_do() -> None:
    assert one() != one(field("a", TEXT, "A."))
    assert one(field("a", TEXT, "A.")) != one(field("a", TEXT, "B."))
    assert one(field("a", TEXT, "A.")) != one(field("a", TEXT, "A."), key=("id", "a"))
    assert one() == one()
    assert one() != one().schema


@pytest.mark.parametrize(
    ("key", "indexes", "missing"),
    [
        (("id", "nope"), (), "nope"),
        (("id",), (Index(("ghost",), "at"),), "ghost"),
        (("id",), (Index(("id",), "late"),), "late"),
        (("b", "id"), (Index(("a",), "c"),), "a, b, c"),
    ],
)
def test_a_key_or_index_over_a_column_that_is_not_there_is_refused(
    key: tuple[str, ...], indexes: tuple[Index, ...], missing: str
) -> None:
    with pytest.raises(ValueError, match=f"^one: no such column: {missing}$"):
        one(field("at", TIMESTAMP, "When."), key=key, indexes=indexes)


def test_the_facts_of_a_table() -> None:
    assert SPANS.name == "spans" and SPANS.domain == "observability" and repr(SPANS) == "Table(spans)"
    assert SPANS.key == ("traceId", "spanId") and SPANS.facts.final == "endedAt"
    assert Index(("traceId", "spanId"), "createdAt") in SCORES.facts.indexes
    assert MESSAGES.once == ("createdAt",) == WORKFLOWS.once and THREADS.once == ()
    assert "content" not in MESSAGES.light and "thread_id" in MESSAGES.light
    assert MESSAGES.by_api["threadId"].name == "thread_id" and "thread_id" not in MESSAGES.by_api
    assert TRACES.facts.reading_of == "spans" and TRACES.facts.renames == (("id", "spanId"),)


@EVERY_TABLE
def test_every_table_is_whole(each: Table) -> None:
    assert each.domain in DOMAINS
    assert all(not each.columns[name].nullable and each.columns[name].identifier for name in each.key)
    assert all(column.description.strip() for column in each.columns.values())
    assert len(each.by_api) == len(each.columns)
    assert not set(each.once) & set(each.key)
    assert each.facts.final is None or each.columns[each.facts.final].nullable
    assert table_named(each.name) is table_named(each.facts.mastra) is each


def test_a_table_that_is_not_there_offers_the_nearest_name() -> None:
    with pytest.raises(InvalidInput, match="no table 'thread'; did you mean 'threads'"):
        table_named("thread")
    with pytest.raises(InvalidInput, match="no table 'zzzz'; it has threads, messages"):
        table_named("zzzz")


def test_a_column_that_is_not_there_offers_the_nearest_name() -> None:
    assert THREADS.column("title").kind == TEXT
    with pytest.raises(InvalidInput, match="threads has no column 'tittle'; did you mean 'title'"):
        THREADS.column("tittle")
    with pytest.raises(InvalidInput, match="threads has no column '12345'; it has id, resourceId, title"):
        THREADS.column("12345")


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("kind", KINDS, ids=str)
def test_every_dialect_spells_every_kind(dialect: Dialect, kind: Kind) -> None:
    spelled = dialect.type_of(Column.of(field("a", kind, "A.")))
    assert spelled and "{" not in spelled and "None" not in spelled


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
def test_every_dialect_spells_no_kind_that_is_not(dialect: Dialect) -> None:
    assert set(dialect.types) == {kind.name for kind in KINDS}


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=DIALECTS)
@pytest.mark.parametrize("each", [*STORED, TRACES, ALL_KINDS], ids=lambda each: each.name)
def test_ddl_names_every_column(dialect: Dialect, each: Table) -> None:
    (made, *_) = ddl(dialect, each)
    assert all(dialect.ident(name) in made for name in each.columns)
