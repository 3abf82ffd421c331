"""Indexes of a PostgreSQL store: the default ones by their names, every option of one's own, and what uses them."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

import colonnade
from colonnade.engine.stores.postgres.indexes import Index, default, index_of, physical_name
from colonnade.engine.stores.postgres.store import PostgresStore
from colonnade.errors import AlreadyExists, InvalidInput
from colonnade.schemas import STORED
from tests.servers.postgres import Server

DOCUMENTED = {
    "mastra_threads_resourceid_createdat_idx": '("resourceId", "createdAt" DESC)',
    "mastra_messages_thread_id_createdat_idx": '(thread_id, "createdAt" DESC)',
    "mastra_ai_spans_traceid_startedat_idx": '("traceId", "startedAt" DESC)',
    "mastra_ai_spans_parentspanid_startedat_idx": '("parentSpanId", "startedAt" DESC)',
    "mastra_ai_spans_name_startedat_idx": '(name, "startedAt" DESC)',
    "mastra_ai_spans_scope_startedat_idx": '(scope, "startedAt" DESC)',
    "mastra_scores_trace_id_span_id_created_at_idx": '("traceId", "spanId", "createdAt" DESC)',
}
"""The default indexes of the source documents."""


def indexes_of(server: Server, schema: str) -> dict[str, str]:
    return dict(server.command(f"SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = '{schema}'"))


def test_the_default_indexes_have_the_names_of_the_source_documents(postgres: Server) -> None:
    address = f"postgresql://{postgres.address().partition('://')[2].rpartition('/')[0]}/plain"
    postgres.command("CREATE DATABASE plain")
    store = PostgresStore(address)
    with colonnade.open(default=store):
        found = store.db.any("SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'")
    made = {each["indexname"]: each["indexdef"] for each in found}
    for name, columns in DOCUMENTED.items():
        assert made[name].endswith(f"USING btree {columns}")


def test_names_begin_with_the_schema_where_it_is_another_one(postgres: Server) -> None:
    given = {"name": "idx_threads_status", "table": "mastra_threads", "columns": ["status"]}
    store = PostgresStore(postgres.address(), schema_name="custom_schema", indexes=[given])
    colonnade.open(default=store).close()
    made = indexes_of(postgres, "custom_schema")
    assert {f"custom_schema_{name}" for name in DOCUMENTED} < made.keys()
    # A name that is no column is a key of the metadata.
    assert made["custom_schema_idx_threads_status"].endswith("btree (((metadata ->> 'status'::text)))")


def test_default_indexes_may_be_left_out(postgres: Server) -> None:
    colonnade.open(default=PostgresStore(postgres.address("bare"), skip_default_indexes=True)).close()
    assert all(name.endswith("_pkey") for name in indexes_of(postgres, "bare"))


OWN: list[dict[str, Any]] = [
    {"name": "idx_threads_metadata_type", "table": "mastra_threads", "columns": ["metadata->>'type'"]},
    {"name": "idx_messages_status", "table": "mastra_messages", "columns": ["metadata->>'status'"]},
    {"name": "i_unique", "table": "threads", "columns": ["resourceId", "title"], "unique": True},
    {"name": "i_where", "table": "mastra_ai_spans", "columns": ["startedAt DESC"], "where": "parentSpanId IS NULL"},
    {"name": "i_hash", "table": "mastra_ai_spans", "columns": ["runId"], "method": "hash"},
    {
        "name": "i_gin",
        "table": "mastra_ai_spans",
        "columns": ["tags"],
        "method": "gin",
        "opclass": "jsonb_path_ops",
    },
    {"name": "i_gist", "table": "mastra_ai_spans", "columns": ["tstzrange(startedAt, endedAt)"], "method": "gist"},
    {"name": "i_spgist", "table": "mastra_ai_spans", "columns": ["name"], "method": "spgist"},
    {"name": "i_brin", "table": "mastra_ai_spans", "columns": ["startedAt"], "method": "brin", "concurrent": False},
    {"name": "i_ops", "table": "mastra_ai_spans", "columns": ["name"], "opclass": "text_pattern_ops"},
    {"name": "i_fill", "table": "mastra_scorers", "columns": ["score"], "storage": {"fillfactor": 90}},
    {"name": "i_space", "table": "mastra_agents", "columns": ["name"], "tablespace": "pg_default"},
    {"name": "i_turned", "table": "mastra_threads", "columns": ["lower(title) DESC NULLS LAST", "metadata->>'n' desc"]},
    {"name": "{} '%s' i", "table": "mastra_agents", "columns": ["lower(name)", "createdAt"]},
]
WANTED = {
    "idx_threads_metadata_type": "btree (((metadata ->> 'type'::text)))",
    "idx_messages_status": "btree ((((content -> 'metadata'::text) ->> 'status'::text)))",
    "i_unique": "UNIQUE INDEX",
    "i_where": 'btree ("startedAt" DESC) WHERE ("parentSpanId" IS NULL)',
    "i_hash": 'hash ("runId")',
    "i_gin": "gin (((tags)::jsonb) jsonb_path_ops)",
    "i_gist": 'gist (tstzrange("startedAt", "endedAt"))',
    "i_spgist": "spgist (name)",
    "i_brin": 'brin ("startedAt")',
    "i_ops": "btree (name text_pattern_ops)",
    "i_fill": "WITH (fillfactor='90')",
    "i_space": "btree (name)",
    "i_turned": "btree (lower(title) DESC NULLS LAST, ((metadata ->> 'n'::text)) DESC)",
    "{} '%s' i": 'btree (lower(name), "createdAt")',
}


def test_every_option_of_an_index_of_ones_own(postgres: Server) -> None:
    store = PostgresStore(postgres.address("own"), indexes=OWN)
    with colonnade.open(default=store) as storage:
        made = indexes_of(postgres, "own")
        for name, text in WANTED.items():
            assert text in made[f"own_{name}"], name
        storage.memory.save_thread(thread={"id": "a", "resourceId": "r", "title": "T"})
        with pytest.raises(AlreadyExists, match="unique"):
            storage.memory.save_thread(thread={"id": "b", "resourceId": "r", "title": "T"})
    colonnade.open(default=PostgresStore(postgres.address("own"), indexes=OWN)).close()  # all there already


def test_an_index_lies_in_its_tablespace(postgres: Server) -> None:
    postgres.command("SET allow_in_place_tablespaces = true", "CREATE TABLESPACE \"Fast\" LOCATION ''")
    given = {"name": "spaced", "table": "mastra_agents", "columns": ["name"], "tablespace": "Fast"}
    colonnade.open(default=PostgresStore(postgres.address("spaced"), indexes=[given])).close()
    asked = "SELECT tablespace FROM pg_indexes WHERE indexname = 'spaced_spaced'"
    assert postgres.command(asked) == [("Fast",)]


def test_an_index_that_was_never_finished_is_made_anew(postgres: Server) -> None:
    given = [{"name": "once", "table": "threads", "columns": ["title"], "unique": True}]
    with colonnade.open(postgres.address("broken")) as storage:
        for name in "ab":
            storage.memory.save_thread(thread={"id": name, "resourceId": "r", "title": "same"})
        with pytest.raises(AlreadyExists):
            colonnade.open(default=PostgresStore(postgres.address("broken"), indexes=given))
        invalid = "SELECT count(*) FROM pg_index WHERE NOT indisvalid AND indexrelid = 'broken.broken_once'::regclass"
        assert postgres.command(invalid) == [(1,)]
        storage.memory.delete_thread(thread_id="b")
        colonnade.open(default=PostgresStore(postgres.address("broken"), indexes=given)).close()
        assert postgres.command(invalid) == [(0,)]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"name": "i", "table": "nothing", "columns": ["id"]}, "no table 'nothing'"),
        ({"name": "i", "table": "threads"}, "has a name, a table and columns"),
        ({"name": "i", "table": "threads", "columns": "id"}, "columns is a list"),
        ({"name": "i", "table": "threads", "columns": []}, "columns is a list"),
        ({"name": 'i"', "table": "threads", "columns": ["id"]}, "no name of an index"),
        ({"name": "i", "table": "threads", "columns": ["id"], "method": "magic"}, "no method"),
        ({"name": "i", "table": "threads", "columns": ["id"], "method": "gin", "unique": True}, "only a btree"),
        ({"name": "i", "table": "threads", "columns": ["id"], "storage": {"a b": 1}}, "no storage parameter"),
        ({"name": "i", "table": "threads", "columns": ["id"], "colour": "red"}, "knows no 'colour'"),
        ({"name": "i", "table": "traces", "columns": ["id"]}, "reading of spans"),
    ],
)
def test_what_is_no_index_is_refused_before_anything_is_made(given: dict[str, Any], said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        PostgresStore("postgresql://h/db", indexes=[given])


def test_long_names_stay_apart() -> None:
    names = {physical_name(f"{'x' * 70}{place}", "public") for place in "ab"} | {physical_name("i" * 60, "schema")}
    assert len(names) == 3
    assert all(len(name) <= 63 for name in names)
    every = [made.name for table in STORED for made in default(table, "s" * 63, table.facts.mastra)]
    assert len(set(every)) == len(every)


def test_an_index_may_be_a_value() -> None:
    index = Index("i", "threads", ("id",))
    assert index_of(index) is index
    assert index_of({"name": "i", "table": "threads", "columns": ["id"]}) == index


def test_listing_dropping_and_watching_indexes(postgres: Server) -> None:
    """As the source documents show it."""
    address = f"{postgres.address().rpartition('/')[0]}/{quote('managed')}"
    postgres.command("CREATE DATABASE managed")
    own = {"name": "idx_my_custom_index", "table": "mastra_messages", "columns": ["role"]}
    store = PostgresStore(address, indexes=[own])
    with colonnade.open(default=store) as storage:
        listed = "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'mastra_messages'"
        assert {"idx_my_custom_index", "mastra_messages_thread_id_createdat_idx"} < {
            each["indexname"] for each in store.db.any(listed)
        }
        store.db.none("DROP INDEX IF EXISTS idx_my_custom_index")
        assert "idx_my_custom_index" not in {each["indexname"] for each in store.db.any(listed)}
        storage.memory.list_messages(thread_id="t1")
        used = "SELECT idx_scan, idx_tup_read FROM pg_stat_user_indexes WHERE indexrelname = %s"
        assert store.db.one(used, ("mastra_messages_thread_id_createdat_idx",)).keys() == {"idx_scan", "idx_tup_read"}
