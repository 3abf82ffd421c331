"""Attributes of spans as typed maps, which the server makes of the JSON text for tools other than colonnade."""

from __future__ import annotations

import json
import math
import random
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

import colonnade
from colonnade.engine.plan import Is, Patch, Put, Scan, asc
from colonnade.engine.stores.clickhouse.maps import LONGEST
from colonnade.schemas import SPANS
from tests.servers.clickhouse import Server, address_of
from tests.servers.clickhouse_node import READER

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "clickhouse.md"
NAMES = ("attributes_text", "attributes_number")
HELD: list[tuple[str | None, dict[str, str], dict[str, float]]] = [
    ('{"model":"gpt-4o","tokens":12}', {"model": "gpt-4o"}, {"tokens": 12}),
    ('{"gen_ai.usage.input_tokens":-1.5e3,"zero":-0.0}', {}, {"gen_ai.usage.input_tokens": -1500, "zero": 0}),
    ('{"yes":true,"no":false,"none":null}', {}, {"yes": 1, "no": 0}),
    ('{"looks":"12","says":"true","":"no name"}', {"looks": "12", "says": "true", "": "no name"}, {}),
    ('{"nested":{"a":1},"list":["a"],"kept":"a\\"b\\\\n\\nc\\u00e9\U0001f600"}', {"kept": 'a"b\\n\ncé\U0001f600'}, {}),
    (f'{{"fits":"{"x" * LONGEST}","payload":"{"x" * (LONGEST + 1)}"}}', {"fits": "x" * LONGEST}, {}),
    ('{"huge":123456789012345678901,"big":18446744073709551615}', {"huge": "123456789012345678901"}, {"big": 2**64}),
    ('{"strange":"a\ufdd00000","nan":"\ufdd0NaN"}', {"strange": "a\ufdd00000", "nan": "\ufdd0NaN"}, {}),
    *((text, {}, {}) for text in (None, "", "{}", "[]", '["a"]', '"a"', "1", "null", "nothing", "\ufdd0")),
    *((text, {}, {}) for text in ("{", '{"a":1', '{"a":1}}', "{a:1}", '{"a":NaN}', '{"a":1e999}')),
    ('{"a":' * 5000 + "1" + "}" * 5000, {}, {}),
]  # fmt: skip
"""Attributes as they are stored, and what is in the maps."""


@pytest.fixture(params=["one server", "cluster"])
def servers(request: pytest.FixtureRequest) -> Iterator[list[Server]]:
    """The servers of a store, in a database ``maps``."""
    several = request.param == "cluster"
    found = request.getfixturevalue("clickhouse_cluster" if several else "clickhouse")
    servers = found if several else [found]
    yield servers
    for server in servers:
        server.command("DROP DATABASE maps")


def address(servers: list[Server]) -> str:
    return address_of(servers, "maps", "cluster=tested" if len(servers) > 1 else "")


def put(store: Any, texts: list[str | None]) -> None:
    """Spans of as many traces with these attributes, whatever they say."""
    given = {
        "traceId": [f"t{n:05}" for n in range(len(texts))],
        "spanId": ["s"] * len(texts),
        "name": ["chat"] * len(texts),
        "isEvent": [False] * len(texts),
        "spanType": ["generic"] * len(texts),
        "kind": [0] * len(texts),
        "startTime": [0] * len(texts),
        "startedAt": [1_700_000_000_000_000] * len(texts),
        "createdAt": [1_700_000_000_000_000] * len(texts),
        "attributes": texts,
    }
    columns = {
        name: pa.array(given[name]).cast(SPANS.schema.field(name).type)
        if name in given
        else pa.nulls(len(texts), SPANS.schema.field(name).type)
        for name in SPANS.columns
    }
    store.execute(Put(SPANS, pa.table(columns, schema=SPANS.schema)))


def rows(server: Server, sql: str) -> list[tuple[Any, ...]]:
    """What a server answers."""
    return [tuple(row) for row in server.client.query(sql).result_rows]


def maps(servers: list[Server]) -> list[tuple[Any, ...]]:
    """What every server says is in the maps, trace by trace."""
    asked = f"SELECT {', '.join(NAMES)} FROM maps.mastra_ai_spans FINAL ORDER BY traceId"
    found = [rows(server, asked) for server in servers]
    assert found.count(found[0]) == len(servers)
    return found[0]


def expected(texts: list[str | None]) -> list[tuple[Any, ...]]:
    known = {text: (by_text, by_number) for text, by_text, by_number in HELD}
    return [known[text] for text in texts]


def without_maps(servers: list[Server]) -> None:
    """Make the tables what an older colonnade made."""
    for server in servers:
        for table in ("mastra_ai_spans", "mastra_ai_spans_local")[: 1 if len(servers) == 1 else 2]:
            dropped = ", ".join(f"DROP COLUMN {name}" for name in NAMES)
            server.command(f"ALTER TABLE maps.{table} {dropped} SETTINGS mutations_sync = 2")


def said(servers: list[Server]) -> list[str]:
    """How the tables say that they are made."""
    asked = "SELECT create_table_query FROM system.tables WHERE database = 'maps' AND name LIKE 'mastra_ai_spans%'"
    return [each for server in servers for each in server.command(f"{asked} ORDER BY name").split("\n")]


def test_texts_and_numbers_are_in_maps_and_nothing_fails(servers: list[Server]) -> None:
    texts = [text for text, _, _ in HELD]
    with colonnade.open(address(servers)) as store:
        put(store, texts)
        assert maps(servers) == expected(texts)
        found = store.execute(Scan(SPANS, order=(asc("traceId"),)))
        assert found.column("attributes").to_pylist() == texts
        assert found.column_names == list(SPANS.columns), "colonnade itself reads the text alone"


def test_maps_follow_every_change(servers: list[Server]) -> None:
    texts = [text for text, _, _ in HELD]
    with colonnade.open(address(servers)) as store:
        put(store, texts)
        put(store, texts[::-1])
        assert maps(servers) == expected(texts[::-1])
        assert store.execute(Patch(SPANS, Is("traceId", "<", "t00002"), {"attributes": json.loads(str(texts[0]))})) == 2
        changed = [texts[0], texts[0], *texts[::-1][2:]]
        assert maps(servers) == expected(changed)
        store.observability.batch_delete_traces(trace_ids=["t00000"])
        assert maps(servers) == expected(changed[1:])
        store.optimize()
        assert maps(servers) == expected(changed[1:])


def test_numbers_are_to_the_last_bit_those_of_the_text(servers: list[Server]) -> None:
    chance = random.Random(20260131)
    numbers = [math.ldexp(chance.random() - 0.5, chance.randrange(-1000, 1000)) for _ in range(500)]
    numbers += [chance.randrange(-(2**63), 2**64) for _ in range(100)]
    with colonnade.open(address(servers)) as store:
        put(store, [json.dumps({"n": number, "more": {"n": 1}}) for number in numbers])
        assert [by_number for _, by_number in maps(servers)] == [{"n": float(number)} for number in numbers]


def test_tables_of_an_older_colonnade_get_them_when_they_are_opened(servers: list[Server]) -> None:
    texts = [text for text, _, _ in HELD]
    with colonnade.open(address(servers)) as store:
        new = said(servers)
        without_maps(servers)
        assert all(name not in each for name in NAMES for each in said(servers))
        put(store, texts)
    if len(servers) == 1:
        with colonnade.open(re.sub(r"//.*@", f"//{READER}@", address(servers))) as store:
            assert store.execute(Scan(SPANS)).num_rows == len(texts)
        assert all(name not in each for name in NAMES for each in said(servers)), "who may only read changes nothing"
    for _ in range(2):  # the second time they are there
        with colonnade.open(address(servers)) as store:
            assert sorted(map(columns_of, said(servers))) == sorted(map(columns_of, new))
            assert maps(servers) == expected(texts), "of parts without them, as they are read"
    with colonnade.open(address(servers)) as store:
        store.optimize()
        assert maps(servers) == expected(texts)
        assert store.execute(Scan(SPANS, order=(asc("traceId"),))).column("attributes").to_pylist() == texts
    parts = "system.parts_columns WHERE database = 'maps' AND table LIKE 'mastra_ai_spans%' AND active"
    for name in ("attributes", *NAMES):
        assert int(servers[0].command(f"SELECT count() FROM {parts} AND column = '{name}'")) == 1, "a merge keeps them"


def columns_of(made: str) -> list[str]:
    return re.findall(r"`attributes_\w+` .*?CODEC\(ZSTD\(1\)\)", made)


def test_they_are_not_in_what_all_columns_are(servers: list[Server]) -> None:
    with colonnade.open(address(servers)) as store:
        put(store, ['{"a":1}'])
    names = servers[0].client.query("SELECT * FROM maps.mastra_ai_spans FINAL").column_names
    assert "attributes" in names
    assert not set(names) & set(NAMES)


def test_the_example_of_the_page(servers: list[Server]) -> None:
    examples = re.findall("```sql\n(.*?)```", PAGE.read_text(), re.DOTALL)
    (example,) = (each for each in examples if "attributes_number" in each)
    with colonnade.open(address(servers)) as store:
        spans = [{"gen_ai.operation.name": name, "gen_ai.usage.input_tokens": 20} for name in ("chat", "chat", "embed")]
        put(store, [*map(json.dumps, spans), '{"gen_ai.operation.name":"execute_tool"}'])
    answer = rows(servers[0], example.replace("mastra_ai_spans", "maps.mastra_ai_spans"))
    assert answer == [("chat", 2, 40.0), ("embed", 1, 20.0)]


def test_rows_are_written_while_some_hosts_have_maps_and_others_none_yet(clickhouse_cluster: list[Server]) -> None:
    texts = [text for text, _, _ in HELD]
    last = clickhouse_cluster[-1]
    with colonnade.open(address_of(clickhouse_cluster, "maps", "cluster=tested")) as store:
        last.command(f"ALTER TABLE maps.mastra_ai_spans_local {', '.join(f'DROP COLUMN {name}' for name in NAMES)}")
        put(store, texts)
        assert store.execute(Scan(SPANS, order=(asc("traceId"),))).column("attributes").to_pylist() == texts
        assert int(last.command("SELECT count() FROM maps.mastra_ai_spans_local")) > 1
    with colonnade.open(address_of(clickhouse_cluster, "maps", "cluster=tested")):
        assert maps(clickhouse_cluster) == expected(texts)
    for server in clickhouse_cluster:
        server.command("DROP DATABASE maps")
