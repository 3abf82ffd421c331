"""Texts, words and vectors on ClickHouse: what the server proposes, and that no row escapes it."""

from __future__ import annotations

import math
import random
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pyarrow as pa
import pytest

import colonnade
from colonnade.engine import searching
from colonnade.engine.plan import TRUE, Contains, Delete, Filter, Is, Nearest, Not, Put, Scan, Search, asc
from colonnade.engine.stores.clickhouse.ranked import MOST
from colonnade.engine.stores.clickhouse.steps import search_of
from colonnade.engine.stores.clickhouse.words import KEPT, tokens
from colonnade.schemas import RESOURCES, SPANS, VECTORS
from colonnade.schemas.payloads import escape_text, to_json
from colonnade.schemas.words import lower, words
from colonnade.testing.colours import Awaited
from tests.servers.clickhouse import Server, address_of
from tests.servers.clickhouse_node import READER

NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
LETTERS = [
    *"aAbkKzZ019_ -.\n\t\\\"'/%",
    *"\xe9\xc9\xdf\u1e9e\xb5\xaa\xb2\xbd\u0130\u0131\u017f\u0149",  # Latin, and some of Unicode's oddities
    *"\u03a3\u03c3\u03c2\u03a9\u03c9\u2126\u03f4\u03b8\u1fbe",  # Greek: three sigmas, two omegas, two thetas
    *"\u0416\u0436\u05d0\u0634\u62d2\u304b\uac00\u0905\u0e01\u10d0\u1c90\u13a0\uab70",  # other scripts
    *"\u212a\u212b\u2014\u201c\u00a0\u0301\u0307\u200d\U0001f600\U00010400\U00010428\U0001d400\ua7dc\u019b",
    *"\x00\ud83d\ufdd0\ufdd00000\x01\x1f\x85\u2028",  # what is stored with an escape, or should be
]  # fmt: skip


@pytest.fixture(scope="module", params=["blocking", "awaited", "cluster"])
def store(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "cluster":
        opened: Any = colonnade.open(
            address_of(request.getfixturevalue("clickhouse_cluster"), "ranked", "cluster=tested")
        )
    else:
        address = request.getfixturevalue("clickhouse").address(f"ranked_{request.param}")
        opened = colonnade.open(address) if request.param == "blocking" else Awaited(colonnade.aopen(address))
    yield opened
    opened.close()


def put(store: Any, *rows: dict[str, Any]) -> None:
    """Resources with texts, some minutes apart, as they are to be stored."""
    given = [
        {"id": f"r{n:04}", "createdAt": NOON + timedelta(minutes=n), "updatedAt": NOON, **row}
        for n, row in enumerate(rows)
    ]
    columns = {
        name: pa.array([row.get(name) for row in given], RESOURCES.schema.field(name).type)
        for name in RESOURCES.columns
    }
    store.execute(Put(RESOURCES, pa.table(columns, schema=RESOURCES.schema)))


def text(chance: random.Random) -> str:
    return "".join(chance.choices(LETTERS, k=chance.randrange(1, 24)))


@pytest.fixture(scope="module")
def both(store: Any) -> Iterator[tuple[Any, Any, list[str]]]:
    """The store and one in memory, with the same strange texts, and these."""
    chance = random.Random(20260131)
    texts = [text(chance) for _ in range(600)]
    # JSON as it should be, and what is none: it is searched as it stands.
    given = [
        {
            "workingMemory": escape_text(each),
            "metadata": to_json([each, {"a": other}]) if chance.random() < 0.8 else escape_text(each + other),
        }
        for each, other in zip(texts, reversed(texts), strict=True)
    ]  # fmt: skip
    with colonnade.open(":memory:") as plain:
        for kept in (store, plain):
            # In several parts; the first rows are replaced by the last put, the others stay.
            kept.execute(Delete(RESOURCES, TRUE))
            put(kept, *({"workingMemory": f"replaced {row['workingMemory']}"} for row in given[:50]))
            put(kept, *given)
        yield store, plain, texts


def test_every_word_is_found_wherever_it_is(both: tuple[Any, Any, list[str]], monkeypatch: pytest.MonkeyPatch) -> None:
    store, plain, texts = both
    # Without the ability to look for texts every row is read and looked at, word for word.
    monkeypatch.setattr(type(plain.stores[0]), "abilities", type(plain.stores[0]).abilities.__class__())
    chance = random.Random(1)
    known = sorted({word for each in texts for word in words(escape_text(each))} | {"replaced", "0000", "fdd0"})
    for turn in range(120):
        asked = tuple(chance.choices(known, k=chance.choice((1, 1, 1, 2, 3))))
        columns = chance.choice((("workingMemory",), ("metadata",), ("workingMemory", "metadata")))
        plan = Search(RESOURCES, asked, columns, limit=chance.choice((3, 50)), some=turn % 3 == 0)
        assert store.execute(plan).equals(plain.execute(plan)), (asked, columns)


def test_texts_within_texts_are_alike_where_they_are_in_memory(both: tuple[Any, Any, list[str]]) -> None:
    store, plain, texts = both
    chance = random.Random(2)
    for turn in range(120):
        whole = chance.choice(texts)
        start = chance.randrange(len(whole))
        part = whole[start : start + chance.choice((1, 2, 5))]
        part = chance.choice((str.upper, str.lower, str))(part)
        where: Filter = Contains(chance.choice(("workingMemory", "metadata")), part)
        plan = Scan(RESOURCES, Not(where) if turn % 4 == 0 else where, (asc("id"),), columns=("id",))
        assert store.execute(plan).equals(plain.execute(plan)), ascii(part)


@pytest.mark.parametrize("size", [0, 90, 1_500, 30_000])
def test_a_long_text_is_found_within_a_longer_one(store: Any, size: int) -> None:
    several = "".join(random.Random(size).choices(LETTERS, k=size)).upper()
    put(store, {"workingMemory": escape_text(f"begin {several} end.")}, {"workingMemory": escape_text(several)})
    where = Contains("workingMemory", f"begin {lower(several)} End")
    assert store.execute(Scan(RESOURCES, where, columns=("id",))).column("id").to_pylist() == ["r0000"]


def test_many_words_make_no_statement_too_long(store: Any) -> None:
    many = [f"word{n}" for n in range(300)]
    put(store, {"workingMemory": " ".join(many)}, {"workingMemory": " ".join(many[:-1])}, {"workingMemory": many[0]})
    for some, found in ((False, ["r0000"]), (True, ["r0000", "r0001", "r0002"])):
        plan = Search(RESOURCES, tuple(many), ("workingMemory", "metadata"), Is("id", "<", "r0003"), some=some)
        assert store.execute(plan).column("id").to_pylist() == found
    assert len(many) > MOST


def test_only_the_newest_copy_of_a_row_is_searched(store: Any) -> None:
    def found(word: str) -> list[str]:
        plan = Search(RESOURCES, (word,), ("workingMemory",))
        return list(store.execute(plan).column("id").to_pylist())

    put(store, {"workingMemory": "sunrise"}, {"workingMemory": "sunrise"}, {"workingMemory": "sunrise"})
    put(store, {"workingMemory": "sunset"})
    assert (found("sunrise"), found("sunset")) == (["r0002", "r0001"], ["r0000"])
    assert store.execute(Delete(RESOURCES, Is("id", "=", "r0001"))) == 1
    assert found("sunrise") == ["r0002"]
    store.memory.update_resource(resource_id="r0000", working_memory="sunrise again")
    assert (found("sunrise"), found("sunset")) == (["r0002", "r0000"], [])


def test_a_search_goes_on_page_by_page_until_enough_is_known(store: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "PAGE", 8)
    monkeypatch.setattr(searching, "BYTES", 1)
    # The index takes the names of fields for words too: of these rows it knows too many.
    several = [{"metadata": to_json({"note": "note" if n == 0 else "other"})} for n in range(40)]
    store.execute(Delete(RESOURCES, TRUE))
    put(store, *several)
    found = store.execute(Search(RESOURCES, ("note",), ("metadata",), limit=1))
    assert found.column("id").to_pylist() == ["r0000"]
    best = [{"workingMemory": "best " * (2 if n == 3 else 1)} for n in range(40)]
    put(store, *best)
    found = store.execute(Search(RESOURCES, ("best",), ("workingMemory",), limit=2))
    assert found.column("id").to_pylist() == ["r0003", "r0039"], "the best is not among the newest"


def vectors(store: Any, given: dict[str, list[float]]) -> None:
    rows = {
        "id": list(given), "message_id": list(given), "thread_id": ["t"] * len(given), "resourceId": ["r"] * len(given),
        "piece": pa.array([0] * len(given), pa.int32()), "model": ["m"] * len(given),
        "createdAt": pa.array([NOON] * len(given), pa.timestamp("us", "UTC")),
        "embedding": pa.array(list(given.values()), VECTORS.schema.field("embedding").type),
    }  # fmt: skip
    store.execute(Put(VECTORS, pa.table(rows).cast(VECTORS.schema)))


def test_neighbours_are_exact_of_any_dimensions_and_of_the_newest_copies(store: Any) -> None:
    chance = random.Random(3)
    given = {
        f"v{n:04}": [chance.gauss(0, 1) for _ in range(chance.choice((2, 3, 8)))] for n in range(400)
    } | {"zeros": [0.0, 0.0, 0.0], "tiny": [1e-45, 0.0, 0.0], "huge": [3e38, 3e38, 3e38]}  # fmt: skip
    with colonnade.open(":memory:") as plain:
        for kept in (store, plain):
            vectors(kept, {key: [1.0, 0.0, 0.0] for key in given})  # replaced by the next
            vectors(kept, given)
            kept.execute(Delete(VECTORS, Is("id", "=", "v0007")))
        for vector in ((1.0, 0.0, 0.0), (0.1, -0.2, 0.3), (1.0, 1.0), tuple(map(float, range(8))), (1.0,)):
            for where in (Is("id", ">", "v0200"), Is("thread_id", "=", "t")):
                plan = Nearest(VECTORS, "embedding", vector, 25, where, ("id", "embedding"))
                assert store.execute(plan).equals(plain.execute(plan))
        found = store.execute(Nearest(VECTORS, "embedding", (1.0, 1.0, 1.0), 1, columns=("id",))).to_pylist()
        assert found == [{"id": "huge", "similarity": 1.0}]
        assert all(math.isfinite(each) for each in store.execute(plan).column("similarity").to_pylist())


def test_letters_that_are_kept_are_letters_with_the_same_lower_case_everywhere(clickhouse: Server) -> None:
    points = [chr(point) for point in range(0x110000) if not 0xD800 <= point < 0xE000]
    kept = [letter for letter in points if not letter.isascii() and tokens(letter)]
    assert len(kept) > 30_000
    assert all(letter.isalnum() for letter in kept)
    known = {letter for letter in points if tokens(letter)}
    assert [letter for letter in points if (letter in known) != (lower(letter) in known)] == []
    assert clickhouse.command(f"SELECT lowerUTF8('{''.join(kept)}')") == lower("".join(kept))
    assert [letter for each in KEPT for letter in (each[0], each[-1]) if letter not in known] == []


WORD = Search(SPANS, ("needle",), ("input", "output", "error", "name"))


@pytest.fixture
def filled(clickhouse: Server) -> Iterator[Server]:
    """Thirty granules of spans, one of which holds a word."""
    with colonnade.open(clickhouse.address("searched")) as opened:
        spans = [
            {
                "traceId": f"t{n}", "spanId": "s", "name": "chat", "startedAt": NOON + timedelta(seconds=n),
                "input": "in a haystack" if n != 12_345 else "a Needle",
            }
            for n in range(30_000)
        ]  # fmt: skip
        opened.observability.batch_create_spans(records=spans)
        yield clickhouse
    clickhouse.command("DROP DATABASE searched")


def _read(server: Server) -> int:
    asked = search_of(WORD)
    return server.counted(asked.sql, asked.values, database="searched", max_block_size=65_409, max_threads=1)


def _without_index(server: Server) -> None:
    for name in ("input", "output", "error", "name"):
        server.command(f"ALTER TABLE searched.mastra_ai_spans DROP INDEX words_{name} SETTINGS mutations_sync = 1")


def _found(address: str) -> list[str]:
    with colonnade.open(address) as opened:
        return [hit.record["traceId"] for hit in opened.search("needle")]


def test_a_word_of_few_rows_is_found_by_the_index(filled: Server) -> None:
    assert 0 < _read(filled) <= 4 * 1024


def test_a_newer_copy_without_the_word_hides_an_older_one_with_it(filled: Server) -> None:
    address = filled.address("searched")
    with colonnade.open(address) as opened:
        moved = {"traceId": "t12345", "spanId": "s", "name": "chat", "input": "a needle", "startedAt": NOON}
        opened.observability.batch_create_spans(records=[moved])
        assert _found(address) == ["t12345"], "a tombstone is in its old place"
        opened.observability.batch_create_spans(records=[{**moved, "input": "nothing"}])
        assert _found(address) == []
        opened.observability.batch_create_spans(records=[{**moved, "input": "needle again"}])
        opened.observability.batch_delete_traces(trace_ids=["t12345"])
        assert _found(address) == []
        opened.optimize()
        assert _found(address) == []


def test_tables_of_an_older_colonnade_get_the_index_when_they_are_opened(filled: Server) -> None:
    _without_index(filled)
    assert _read(filled) == 30_000
    address = filled.address("searched")
    reader = re.sub(r"//.*@", f"//{READER}@", address)
    assert _found(reader) == ["t12345"], "who may only read finds the same, without the index"
    assert _read(filled) == 30_000
    assert _found(address) == ["t12345"]
    undone = "SELECT count() FROM system.mutations WHERE database = 'searched' AND NOT is_done"
    while filled.command(undone) != "0":
        assert _found(address) == ["t12345"], "while the index is filled"
    assert 0 < _read(filled) <= 4 * 1024


def test_what_was_written_before_there_was_an_index_is_found_where_it_is_not_filled(filled: Server) -> None:
    _without_index(filled)
    ddl = "ADD INDEX words_input lowerUTF8(input) TYPE text(tokenizer = 'splitByNonAlpha')"
    filled.command(f"ALTER TABLE searched.mastra_ai_spans {ddl}")
    assert _found(filled.address("searched")) == ["t12345"], "an index by this name, but of something else"
