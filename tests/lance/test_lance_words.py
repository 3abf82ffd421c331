"""The index of words of Lance: what it is asked for, and that it never makes a search miss a row."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lance
import lancedb
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import colonnade
from colonnade.engine import searching
from colonnade.engine.plan import TRUE, Contains, Delete, Filter, Is, OneOf, Put, Scan, Search
from colonnade.engine.stores.lance import words
from colonnade.schemas import RESOURCES, SPANS
from colonnade.schemas.payloads import to_json
from colonnade.schemas.words import words as words_of

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
ODD = ("now\u0345x", "now\u24b6", "x\0now", "\ud83dnow", "\u0928\u092e\u0938\u094d\u0924\u0947", "\U0001fae9now")
TEXTS = (
    *ODD,
    "one\nnow\ttwo",
    "\x1bnow \x01two",
    "NOW \u0130stanbul",
    "\u03a3\u039f\u03a6\u039f\u03a3 \u03c3\u03bf\u03c6\u03bf\u03c3 \u03c3\u03bf\u03c6\u03bf\u03c2",
    "\u212aelvin kelvin",
    "\xe9t\xe9 \xc9T\xc9 e\u0301te\u0301",
    "snake_case-and.dots",
    "the running of a b",
    "x" * 300,
    "\u62d2\u7edd \u62d2",
    'C:\\new \\now "now"',
    "",
)


def spans(texts: list[str], first: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "traceId": "t",
            "spanId": f"s{number:04}",
            "name": text.replace("\0", "").encode(errors="ignore").decode() or "none",
            "startedAt": NOW + timedelta(seconds=number % 7),
            "input": {"now": [text, {"two": number}]},
            "output": text if number % 2 else None,
        }
        for number, text in enumerate(texts, first)
    ]


def opened(folder: Path) -> Any:
    return colonnade.open(f"lancedb:///{folder / 'agent'}")


def dataset(store: Any) -> lance.LanceDataset:
    found: lance.LanceDataset = store.stores[0]._datasets.latest(SPANS)
    return found


def search(*wanted: str, columns: tuple[str, ...] = ("input", "output"), where: Filter = TRUE, **more: Any) -> Search:
    return Search(SPANS, wanted, columns, where, **more)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """For each search: whether the index answered it."""
    answered: list[bool] = []
    native = words.search

    def spied(*given: Any) -> pa.Table | None:
        found = native(*given)
        answered.append(found is not None)
        return found

    monkeypatch.setattr(words, "search", spied)
    return answered


def compared(store: Any, plan: Search) -> pa.Table:
    """What a search finds, which must be what it finds without an index."""
    with colonnade.open(":memory:") as plain:
        plain.execute(Put(plan.table, store.execute(Scan(plan.table))))
        expected = plain.execute(plan)
    found = store.execute(plan)
    assert found.to_pylist() == expected.to_pylist()
    return found


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Rows that the index knows, some of them odd, some deleted; rows that it does not know."""
    with opened(tmp_path_factory.mktemp("words")) as store:
        store.observability.batch_create_spans(records=spans([*TEXTS, "gone now"] * 3))
        store.optimize()
        store.execute(Delete(SPANS, OneOf("spanId", ("s0001", "s0018"))))
        store.observability.batch_create_spans(records=spans([*TEXTS], 100))
        yield store


letters = st.sampled_from(sorted({*"".join(TEXTS), *"now \n_"} - {"\ud83d"}))
asked_for = st.sampled_from(sorted({word for text in TEXTS for word in words_of(text)} | {"two", "nnow", "u001bnow"}))
filters = st.sampled_from(
    [
        TRUE,
        Is("startedAt", "<", NOW + timedelta(seconds=4)),
        Is("traceId", "=", "t"),
        OneOf("spanId", ("s0000", "s0003", "s0100")),
        Contains("name", "now"),
    ]
)


@given(
    wanted=st.lists(asked_for, min_size=1, max_size=3, unique=True),
    columns=st.sampled_from([("input", "output"), ("output",), ("name",), ("error", "name", "input")]),
    where=filters,
    some=st.booleans(),
    limit=st.sampled_from([1, 10]),
)
def test_the_index_finds_what_a_look_at_every_row_does(
    mixed: Any, wanted: list[str], columns: tuple[str, ...], where: Filter, some: bool, limit: int
) -> None:
    compared(mixed, Search(SPANS, tuple(wanted), columns, where, limit, some))


@settings(max_examples=max(settings().max_examples // 10, 8), deadline=None)
@given(texts=st.lists(st.text(letters, max_size=12), min_size=1, max_size=6))
def test_whatever_is_written_is_found_by_each_of_its_words(mixed: Any, texts: list[str]) -> None:
    mixed.execute(Delete(SPANS, Is("traceId", "=", "any")))
    mixed.observability.batch_create_spans(records=[span | {"traceId": "any"} for span in spans(texts, 500)])
    mixed.optimize()
    for word in {word for text in texts for word in words_of(text)}:
        compared(mixed, search(word, where=Is("traceId", "=", "any")))


def test_the_index_is_asked_and_new_rows_are_looked_through(tmp_path: Path, asked: list[bool]) -> None:
    with opened(tmp_path) as store:
        store.observability.batch_create_spans(records=spans(["now", "then"]))
        compared(store, search("now"))
        assert asked == [False]
        store.optimize()
        compared(store, search("now"))
        store.observability.batch_create_spans(records=spans(["now"], 10))
        assert compared(store, search("now")).column("spanId").to_pylist() == ["s0010", "s0000"]
        assert asked == [False, True, True]
        assert compared(store, search("now", columns=("input", "attributes"))).num_rows == 2
        assert asked == [False, True, True, False]


def test_fragments_of_many_odd_rows_are_looked_through(
    tmp_path: Path, asked: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "_ODD", 2)
    monkeypatch.setattr(words, "UNKNOWN", 20)
    with opened(tmp_path) as store:
        store.observability.batch_create_spans(records=spans([*ODD]))
        store.optimize()
        assert compared(store, search("now")).num_rows == 5
        assert asked == [False]


def test_words_in_many_rows_are_looked_for_without_the_index(
    tmp_path: Path, asked: list[bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(words, "MANY", 3)
    with opened(tmp_path) as store:
        store.observability.batch_create_spans(
            records=spans([*["soon"] * 4, *["then"] * 4, "soon then", *["there"] * 3])
        )
        store.optimize()
        for wanted, found, helped in (
            (["soon"], 5, False),
            (["there"], 3, True),
            (["soon", "then"], 1, True),
            (["soon", "there"], 0, True),
        ):
            assert compared(store, search(*wanted)).num_rows == found
            assert asked.pop() == helped
        for wanted, found, helped in ((["there", "then"], 8, False), (["there", "none"], 3, True)):
            assert compared(store, search(*wanted, some=True)).num_rows == found
            assert asked.pop() == helped
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(words, "_MANY_OF_ONE", 1)
            assert compared(store, search("then", "soon")).num_rows == 1
            assert not asked.pop()
        store.execute(Delete(SPANS, OneOf("spanId", ("s0000", "s0001"))))
        assert compared(store, search("soon")).num_rows == 3
        assert asked == [True]


def test_only_the_newest_of_many_are_ranked(tmp_path: Path, asked: list[bool], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(searching, "DEPTH", 4)
    monkeypatch.setattr(searching, "PAGE", 3)
    texts = ["now now", *["now"] * 5]
    records = [span | {"startedAt": NOW + timedelta(seconds=at)} for at, span in enumerate(spans(texts))]
    with opened(tmp_path) as store:
        store.observability.batch_create_spans(records=records)
        store.optimize()
        found = store.execute(search("now", columns=("input",))).column("spanId").to_pylist()
        assert found == ["s0005", "s0004", "s0003", "s0002"]
        assert asked == [True]


def test_words_survive_compaction_and_marks_follow(tmp_path: Path, asked: list[bool]) -> None:
    with opened(tmp_path) as store:
        store.observability.batch_create_spans(records=spans([*TEXTS]))
        store.optimize()
        store.execute(Delete(SPANS, OneOf("spanId", tuple(f"s{number:04}" for number in range(6, 12)))))
        before = words._marks(dataset(store))
        store.optimize()
        after = words._marks(dataset(store))
        fragments = {each.fragment_id for each in dataset(store).get_fragments()}
        assert {*after} == fragments != {*before}
        assert compared(store, search("now")).num_rows > 3
        assert asked == [True]


def test_what_lancedb_writes_is_found_too(tmp_path: Path, asked: list[bool]) -> None:
    with opened(tmp_path) as store:
        store.memory.save_resource(resource={"id": "r1", "workingMemory": "now"})
        store.optimize()
        rows = store.execute(Scan(RESOURCES)).to_pylist()
        theirs = lancedb.connect(tmp_path / "agent").open_table("resources")
        theirs.add(pa.Table.from_pylist([rows[0] | {"id": "r2", "workingMemory": "now\u0345x"}], theirs.schema))
        plan = Search(RESOURCES, ("now",), ("workingMemory",))
        assert compared(store, plan).num_rows == 2
        theirs.optimize()
        assert compared(store, plan).num_rows == 2
        assert asked == [True, True]


def test_an_index_of_words_that_others_made_is_not_asked(tmp_path: Path, asked: list[bool]) -> None:
    with opened(tmp_path) as store:
        store.observability.batch_create_spans(records=spans(["the running", "of"]))
        store.optimize()
        lance.dataset(tmp_path / "agent" / "spans.lance").create_scalar_index("input", "INVERTED", name="theirs")
        assert compared(store, search("the")).num_rows == 1
        assert asked == [False]


@pytest.mark.parametrize("column", ["input", "name"])
def test_odd_are_all_letters_that_lance_sees_otherwise(tmp_path: Path, column: str) -> None:
    points = [point for point in range(1, 0x110000) if not 0xD800 <= point < 0xE000]
    rows = pa.table({"point": points, "text": [f"a{chr(point)}b" for point in points]})
    written = lance.write_dataset(rows, tmp_path / "points.lance")
    where = f"regexp_like(text, '{words._odd(SPANS, column)}', 's')"
    odd = {*written.to_table(columns=["point"], filter=where).column("point").to_pylist()}
    how = {name: value for name, value in words.OPTIONS.items() if name != "with_position"}
    for point in points:
        if point not in odd:
            text = f"a{chr(point)}b"
            assert [token.text for token in lance.tokenize(text, **how)] == [
                word.replace("\u0130", "i\u0307") for word in words_of(text)
            ], hex(point)
    assert len(odd & {*range(0x250)}) == 0  # texts of Europe are not odd
    assert {0x345, 0x24B6, 0xFDD0, 0x93E} <= odd


@pytest.mark.parametrize("control", range(1, 32))
def test_escapes_are_glued_to_words_as_expected(control: int) -> None:
    stored = to_json({"a": f"{chr(control)}now"})
    (token,) = re.findall(r"\w*now", stored)
    assert token in words._spellings(SPANS, "input", "now").split()
    assert not re.search(words._ESCAPE, stored)
