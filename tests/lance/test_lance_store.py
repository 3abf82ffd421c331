"""What is particular to Lance: fragments, indexes, pages, versions, and what other programs see."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import lance
import lancedb
import pyarrow as pa
import pytest

import colonnade
from colonnade.engine import fold
from colonnade.engine.plan import (
    TRUE,
    At,
    Delete,
    Filter,
    Is,
    Null,
    OneOf,
    Or,
    Order,
    Put,
    Scan,
    Summarize,
    asc,
    count,
    desc,
)
from colonnade.engine.stores.lance import pages, upkeep
from colonnade.engine.stores.lance.tables import indexes
from colonnade.errors import InvalidAddress, NotAStore, SchemaTooNew, StoreClosed
from colonnade.schemas import MESSAGES, SCORES, SPANS, STORED, THREADS, VERSION, WORKFLOWS
from colonnade.schemas.records import encode
from colonnade.schemas.words import SEARCHED

NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)


@pytest.fixture
def place(tmp_path: Path) -> str:
    return f"lancedb:///{tmp_path / 'agent'}"


def opened(address: str) -> Any:
    """A store, untyped: that what was written is there is what is tested."""
    return colonnade.open(address)


def spans(numbers: range, *, per_trace: int = 10, apart: float = 1.0) -> list[dict[str, Any]]:
    """Spans one after the other in time; the first of each trace is its root."""
    return [
        {
            "traceId": f"t{number // per_trace}",
            "spanId": f"s{number}",
            "parentSpanId": f"s{number - number % per_trace}" if number % per_trace else None,
            "name": f"name{number % 7}",
            "startedAt": NOW + timedelta(seconds=apart * number),
            "endedAt": NOW + timedelta(seconds=apart * number + 1),
        }
        for number in numbers
    ]


def dataset(tmp_path: Path, table: Any = SPANS) -> lance.LanceDataset:
    return lance.dataset(tmp_path / "agent" / f"{table.name}.lance")


def test_many_small_writes_make_few_fragments(place: str, tmp_path: Path) -> None:
    with opened(place) as store:
        for number in range(100):
            store.observability.create_span(span=spans(range(number, number + 1))[0])
        assert len(dataset(tmp_path).get_fragments()) <= 8
        assert list(store.run(lambda: _count(SPANS), "observability", atomic=False)) == [100]


def _count(table: Any) -> Any:
    return [(yield from count(table))]


def test_a_span_written_again_leaves_one_row(place: str, tmp_path: Path) -> None:
    (span,) = spans(range(1))
    with opened(place) as store:
        for _ in range(5):
            store.observability.create_span(span={**span, "endedAt": None})
        store.observability.create_span(span=span)
        store.observability.create_span(span={**span, "endedAt": None, "name": "late"})
        store.optimize()
        assert store.observability.get_trace(trace_id="t0")["spans"][0]["name"] == "name0"
        assert dataset(tmp_path).count_rows() == 1


def test_indexes_serve_every_look_up_that_the_schema_asks_for(place: str, tmp_path: Path) -> None:
    with opened(place) as store:
        store.observability.batch_create_spans(records=spans(range(200)))
        store.optimize()
    found = dataset(tmp_path)
    wanted = {f"{column}_idx" for column in indexes(SPANS)} | {f"{column}_words" for column in SEARCHED["spans"]}
    assert {each.name for each in found.describe_indices()} == wanted
    for index in SPANS.facts.indexes:
        plan = found.scanner(filter=f"`{index.columns[0]}` = 'x'").explain_plan()
        assert f"@{index.columns[0]}_idx" in plan
    assert "parentSpanId IS NULL]@parentSpanId_idx" in found.scanner(filter="`parentSpanId` IS NULL").explain_plan()


@pytest.mark.parametrize("table", STORED, ids=lambda table: table.name)
def test_keys_and_look_ups_of_every_table_are_indexed(table: Any) -> None:
    wanted = indexes(table)
    assert set(table.key) & set(wanted)
    for index in table.facts.indexes:
        assert {index.columns[0], index.newest} <= set(wanted)


def test_rows_that_no_index_knows_yet_are_found(place: str) -> None:
    with opened(place) as store:
        store.observability.batch_create_spans(records=spans(range(100)))
        store.optimize()
        store.observability.batch_create_spans(records=spans(range(95, 115)))
        assert len(store.observability.get_trace(trace_id="t9")["spans"]) == 10
        assert len(store.observability.get_trace(trace_id="t11")["spans"]) == 5
        store.observability.batch_delete_traces(trace_ids=["t9"])
        assert store.observability.get_trace(trace_id="t9") is None
        store.optimize()
        assert store.observability.get_trace(trace_id="t9") is None
        assert len(store.observability.get_trace(trace_id="t8")["spans"]) == 10


FILTERS: dict[str, Filter] = {
    "all": TRUE,
    "roots": Null("parentSpanId"),
    "a name": Is("name", "=", "name3"),
    "a rare trace": Is("traceId", "=", "t100"),
    "nothing": Is("name", "=", "nosuch"),
    "no index": Is("kind", "=", 0),
    "rare, no index": Is("endedAt", "<", NOW + timedelta(seconds=50)),
    "a stretch": Is("startedAt", ">=", NOW + timedelta(seconds=500))
    & Is("startedAt", "<", NOW + timedelta(seconds=700)),
    "a cursor": Is("startedAt", "<", NOW + timedelta(seconds=1000)) | OneOf("spanId", ("s1999", "s3")),
}


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """2,000 spans, a part of which no index knows yet, with one that began long before all others."""
    with colonnade.open(f"lancedb:///{tmp_path_factory.mktemp('lance') / 'agent'}") as store:
        store.observability.batch_create_spans(records=spans(range(1, 1800)))
        store.optimize()
        store.observability.batch_create_spans(records=spans(range(1800, 2000)))
        first = spans(range(1))[0] | {"startedAt": datetime(1960, 1, 1, tzinfo=UTC)}
        store.observability.create_span(span=first)
        yield store


@pytest.fixture(scope="module")
def everything(many: Any) -> pa.Table:
    """All rows of it."""
    found: pa.Table = many.execute(Scan(SPANS))
    return found


@pytest.mark.parametrize("where", FILTERS.values(), ids=FILTERS)
@pytest.mark.parametrize(
    "order", [(desc("startedAt"),), (asc("startedAt"),), (desc("name"),), (Order("endedAt", True),)]
)
@pytest.mark.parametrize(("limit", "offset"), [(1, 0), (10, 0), (7, 20), (3, 1990), (None, 3)])
@pytest.mark.parametrize("few", [16, pages.FEW])
def test_a_page_is_what_sorting_everything_gives(
    many: Any,
    everything: pa.Table,
    where: Filter,
    order: Any,
    limit: Any,
    offset: int,
    few: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages, "FEW", few)
    plan = Scan(SPANS, where, order, limit=limit, offset=offset, columns=("traceId", "spanId"))
    assert many.execute(plan).equals(fold.scan(plan, everything))


@pytest.mark.parametrize(("limit", "offset"), [(10, 0), (5, 20), (100, 0), (70, 190)])
@pytest.mark.parametrize("descending", [False, True])
def test_pages_of_rows_that_began_at_the_same_moment(place: str, descending: bool, limit: int, offset: int) -> None:
    """The first column of the order cuts nothing off then: the others have to be looked at."""
    with opened(place) as store:
        store.observability.batch_create_spans(records=spans(range(200), per_trace=200, apart=0.0))
        order = (Order("startedAt", descending),)
        plan = Scan(SPANS, Is("traceId", "=", "t0"), order, limit=limit, offset=offset, columns=("spanId",))
        assert store.execute(plan).equals(fold.scan(plan, store.execute(Scan(SPANS))))


def test_what_an_index_finds_is_taken_and_not_scanned(many: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[tuple[str, ...]] = []
    whole = pages._read

    def noted(dataset: Any, table: Any, where: Any, columns: Any, **options: Any) -> pa.Table:
        read.append(columns)
        return whole(dataset, table, where, columns, **options)

    monkeypatch.setattr(pages, "_read", noted)
    assert len(many.observability.get_trace(trace_id="t100")["spans"]) == 10
    assert many.queries.spans(name="name3").rows.num_rows == 50
    assert read == [(), ()], "addresses only, once for each"


def test_a_newest_page_reads_no_more_rows_than_it_has_to(many: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "FEW", 16)
    read: list[int] = []
    whole = pages._read

    def counted(*arguments: Any, **options: Any) -> pa.Table:
        found = whole(*arguments, **options)
        read.append(found.num_rows)
        return found

    monkeypatch.setattr(pages, "_read", counted)
    for where in (TRUE, Null("parentSpanId"), Is("name", "=", "name3")):
        many.execute(Scan(SPANS, where, (desc("startedAt"),), limit=5))
    assert len(read) <= 6 and max(read) < 600, "of 2,000 rows, of which one began decades before"


def test_numbers_come_back_as_they_went_in(place: str) -> None:
    with opened(place) as store:
        store.observability.create_span(
            span={**spans(range(1))[0], "inputTokens": 9223372036854775807, "cost": 0.1234567890123}
        )
        score = {
            "scorerId": "s",
            "scorer": {},
            "source": "TEST",
            "output": {},
            "runId": "r",
            "entityId": "e",
            "entity": {},
        }
        store.scores.save_score(score={**score, "score": 0.1234567890123})
        assert store.scores.list_scores_by_run_id(run_id="r")["scores"][0]["score"] == 0.1234567890123
        found = store.execute(Scan(SPANS, columns=("inputTokens", "cost"))).to_pylist()
    assert found == [{"inputTokens": 9223372036854775807, "cost": 0.1234567890123}]


def test_threads_of_one_process_write_at_once(place: str) -> None:
    with opened(place) as store:
        store.memory.update_resource(resource_id="r", metadata={})

        def work(name: int) -> None:
            for number in range(5):
                store.memory.update_resource(resource_id="r", metadata={f"{name}-{number}": number})

        threads = [threading.Thread(target=work, args=(name,)) for name in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(store.memory.get_resource_by_id(resource_id="r")["metadata"]) == 20


def test_lancedb_reads_it_and_what_lancedb_writes_is_read(place: str, tmp_path: Path) -> None:
    with opened(place) as store:
        store.memory.save_thread(thread={"id": "t1", "resourceId": "ada", "title": "Hello"})
        table = lancedb.connect(tmp_path / "agent").open_table("threads")
        assert table.search().where("id = 't1'").to_list()[0]["title"] == "Hello"
        row = encode(THREADS, [{**store.memory.get_thread_by_id(thread_id="t1"), "id": "t2", "title": "Theirs"}])
        table.merge_insert("id").when_matched_update_all().when_not_matched_insert_all().execute(row)
        assert store.memory.get_thread_by_id(thread_id="t2")["title"] == "Theirs"
        assert store.memory.update_thread(id="t2", title="Ours")["title"] == "Ours"
        assert store.memory.list_threads()["total"] == 2


def test_the_key_is_declared_for_other_writers(place: str, tmp_path: Path) -> None:
    colonnade.open(place).close()
    for table in (SPANS, WORKFLOWS, SCORES, MESSAGES):
        schema = dataset(tmp_path, table).schema
        declared = [
            field.name for field in schema if (field.metadata or {}).get(b"lance-schema:unenforced-primary-key")
        ]
        assert tuple(declared) == table.key


def test_old_versions_are_deleted(place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upkeep, "KEPT", timedelta(0))
    with opened(place) as store:
        for number in range(20):
            store.observability.create_span(span=spans(range(number, number + 1))[0])
        assert len(dataset(tmp_path).versions()) > 15
        assert "deleted" in " ".join(store.optimize())
        assert len(dataset(tmp_path).versions()) < 8
        assert len(list((tmp_path / "agent" / "spans.lance" / "data").iterdir())) < 4


def test_a_writer_writes_much(place: str, tmp_path: Path) -> None:
    with opened(place) as store:
        with store.writer("spans") as writer:
            for span in spans(range(3000)):
                writer.add(span)
        assert dataset(tmp_path).count_rows() == 3000
        assert len(dataset(tmp_path).get_fragments()) < 12


def test_opening_what_is_there_writes_nothing(place: str, tmp_path: Path) -> None:
    with opened(place) as store:
        store.memory.save_thread(thread={"id": "t1", "resourceId": "ada"})
        store.optimize()
    for left in (tmp_path / "agent").glob(".*.turn"):
        left.unlink()
    before = sorted(tmp_path.rglob("*"))
    with opened(place) as store:
        assert store.memory.list_threads()["total"] == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_temporary_store_is_gone_when_it_is_closed() -> None:
    for address in ("lancedb:///:memory:", "lancedb:///"):
        store = opened(address)
        folder = Path(store.stores[0]._datasets.root)
        store.memory.save_thread(thread={"id": "t1", "resourceId": "ada"})
        assert folder.is_dir()
        store.close()
        assert not folder.exists()


def test_a_closed_store_says_so(place: str) -> None:
    store = opened(place)
    store.close()
    store.close()
    for plan in (Scan(SPANS), Delete(SPANS, TRUE), Put(THREADS, encode(THREADS, [])), Summarize(SPANS)):
        if not isinstance(plan, Put):
            with pytest.raises(StoreClosed, match="open it again"):
                store.execute(plan)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("lancedb://folder/agent", "three slashes"),
        ("lancedb:///agent?colour=red", "knows no option 'colour'"),
        ("lancedb+ftp://host/agent", "no Lance store is known for lancedb\\+ftp://"),
        ("lancedb+s3:///agent", "name the bucket"),
    ],
)
def test_an_address_that_cannot_be_says_what_can(address: str, said: str) -> None:
    with pytest.raises(InvalidAddress, match=said):
        colonnade.open(address)


def test_a_file_and_a_folder_of_other_tables_are_left_alone(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("not a store")
    with pytest.raises(NotAStore, match="is a folder"):
        colonnade.open(f"lancedb:///{tmp_path / 'file'}")
    lancedb.connect(tmp_path / "theirs").create_table("threads", pa.table({"id": ["1"]}))
    with pytest.raises(NotAStore, match="not ours"):
        colonnade.open(f"lancedb:///{tmp_path / 'theirs'}")


def test_a_newer_store_is_refused_and_an_older_one_brought_forward(place: str, tmp_path: Path) -> None:
    colonnade.open(place).close()
    dataset(tmp_path, THREADS).update_schema_metadata({"colonnade.version": str(VERSION + 1)})
    with pytest.raises(SchemaTooNew):
        colonnade.open(place)
    older = dataset(tmp_path, THREADS)
    older.update_schema_metadata({"colonnade.version": str(VERSION - 1)})
    older.drop_columns(["metadata"])
    with opened(place) as store:
        store.memory.save_thread(thread={"id": "t1", "resourceId": "ada", "metadata": {"plan": "pro"}})
        assert store.memory.get_thread_by_id(thread_id="t1")["metadata"] == {"plan": "pro"}


def test_thousands_of_keys_of_two_columns_are_deleted_at_once(place: str) -> None:
    with opened(place) as store:
        records = [{**span, "metadata": {"n": number % 2}} for number, span in enumerate(spans(range(4000)))]
        store.observability.batch_create_spans(records=records)
        store.optimize()
        # Lance does not look into JSON, so this becomes a list of keys.
        assert store.execute(Delete(SPANS, Is(At("metadata", ("n",)), "=", 1))) == 2000
        assert store.execute(Delete(SPANS, Is(At("metadata", ("n",)), "=", 1))) == 0
        assert store.execute(Summarize(SPANS)).to_pylist() == [{"count": 2000}]
        assert [each["spanId"] for each in store.observability.get_trace(trace_id="t1")["spans"]][:2] == ["s10", "s12"]


def test_a_condition_of_many_parts_is_not_too_deep(place: str) -> None:
    with opened(place) as store:
        store.observability.batch_create_spans(records=spans(range(10)))
        where = Or(tuple(Is("spanId", "=", f"s{number}") for number in range(0, 400, 2)))
        assert store.execute(Summarize(SPANS, where=where)).to_pylist() == [{"count": 5}]


def test_what_is_written_often_is_tidied_in_the_background(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upkeep, "UNINDEXED", 50)
    monkeypatch.setattr(upkeep, "_INTERVAL", 0.01)
    with opened(place) as store:
        store.observability.batch_create_spans(records=spans(range(100)))
        until = time.monotonic() + 120
        wanted = {*indexes(SPANS), *SEARCHED["spans"]}
        while {each.field_names[0] for each in dataset(tmp_path).describe_indices()} != wanted:
            assert time.monotonic() < until, "no index was made"
            time.sleep(0.02)
        assert store.observability.get_trace(trace_id="t3")["spans"][0]["spanId"] == "s30"
