"""The schemas and their readings: rows.py, JSON Schema, Markdown, DDL."""

import json
from pathlib import Path

import pytest
import sqlglot

import colonnade.schemas.rows
from colonnade.engine.dialect import DIALECTS, Dialect
from colonnade.engine.relational import ddl
from colonnade.errors import InvalidInput
from colonnade.schemas import MESSAGES, SPANS, STORED, TABLES, TRACES, Table, table_named
from colonnade.schemas.readings import json_schema, markdown, typed_dicts

EACH = pytest.mark.parametrize("table", TABLES.values(), ids=list(TABLES))
DOCS = Path(__file__).parent.parent / "docs" / "reference" / "tables"


def test_rows_are_what_the_schemas_say() -> None:
    source = Path(colonnade.schemas.rows.__file__).read_text()
    assert source == typed_dicts(), "run: python -m colonnade.schemas.rows"


@EACH
def test_the_reference_page_is_what_the_schema_says(table: Table) -> None:
    page = DOCS / f"{table.name}.md"
    assert page.read_text() == markdown(table), (
        f"run: colonnade schema {table.name} > docs/reference/tables/{page.name}"
    )


@EACH
def test_json_schema_accepts_exactly_the_fields(table: Table) -> None:
    said = json_schema(table)
    assert json.loads(json.dumps(said)) == said
    assert list(said["properties"]) == list(table.by_api)
    assert set(said["required"]) == {column.api for column in table.columns.values() if not column.nullable}
    assert said["additionalProperties"] is False


@pytest.mark.parametrize("dialect", DIALECTS.values(), ids=list(DIALECTS))
@EACH
def test_ddl_parses_in_its_dialect(dialect: Dialect, table: Table) -> None:
    for statement in ddl(dialect, table):
        # sqlglot knows no compression clause of a column; what stands around it is checked all the same
        parsed = sqlglot.parse_one(statement.replace(" USING COMPRESSION zstd", ""), read=dialect.name)
        assert parsed.key == "create", statement


def test_columns_carry_the_names_of_the_source(shared: Path) -> None:
    seed = json.loads((shared / "reference" / "table-schemas-seed.json").read_text())
    for name, columns in seed.items():
        table = table_named(name)
        assert set(columns) <= set(table.columns), name


def test_traces_are_read_out_of_spans() -> None:
    assert TRACES not in STORED
    for name, column in TRACES.columns.items():
        there = SPANS.columns[dict(TRACES.facts.renames).get(name, name)]
        assert (there.kind, there.nullable) == (column.kind, column.nullable), name


def test_a_name_that_is_nearly_right_is_offered() -> None:
    with pytest.raises(InvalidInput, match="did you mean 'messages'"):
        table_named("message")
    with pytest.raises(InvalidInput, match="did you mean 'thread_id'"):
        MESSAGES.column("threadid")
