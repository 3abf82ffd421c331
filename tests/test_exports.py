"""Exports: every format, whole or not at all."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import colonnade
from colonnade.errors import InvalidInput
from colonnade.queries.exports import FORMATS, export_plan, write
from colonnade.queries.times import parse_when
from colonnade.schemas import SPANS, Table

START = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path):  # type: ignore[no-untyped-def]
    with colonnade.open(tmp_path / "agent.db") as opened:
        opened.observability.batch_create_spans(
            records=[
                {
                    "traceId": f"t{number}",
                    "spanId": "s",
                    "name": "chat",
                    "startedAt": START + timedelta(hours=number),
                    "input": {"text": "é\0"},
                }
                for number in range(5)
            ]
        )
        yield opened


@pytest.mark.parametrize("kind", FORMATS)
def test_all_formats_hold_all_rows(store, tmp_path: Path, kind: str) -> None:  # type: ignore[no-untyped-def]
    plan, path = export_plan(SPANS, columns=["traceId", "startedAt", "input"]), tmp_path / f"spans.{kind}"
    seen: list[int] = []
    assert write(store.batches(plan), plan.schema, path, progress=seen.append) == 5
    assert seen[-1] == 5
    match kind:
        case "parquet":
            frame = polars.read_parquet(path)
        case "arrow":
            frame = polars.read_ipc(path)
        case "csv":
            frame = polars.read_csv(path)
        case _:
            frame = polars.DataFrame([json.loads(line) for line in path.read_text().splitlines()])
    assert sorted(frame["traceId"]) == [f"t{number}" for number in range(5)]
    assert [name.name for name in tmp_path.iterdir() if "unfinished" in name.name] == []


def test_parquet_keeps_the_schema_whole(store, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    plan = export_plan(SPANS)
    write(store.batches(plan), SPANS.schema, tmp_path / "spans.parquet")
    assert Table(pq.read_schema(tmp_path / "spans.parquet")) == SPANS


def test_a_range_of_time_and_light_columns(store) -> None:  # type: ignore[no-untyped-def]
    plan = export_plan(SPANS, light=True, since=START + timedelta(hours=1), until=START + timedelta(hours=3))
    found = pa.Table.from_batches(store.batches(plan), plan.schema)
    assert sorted(found["traceId"].to_pylist()) == ["t1", "t2"]
    assert "input" not in found.column_names


def test_an_export_that_breaks_off_leaves_what_was_there(store, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path / "spans.parquet"
    path.write_text("the earlier export")

    def breaking() -> Iterator[pa.RecordBatch]:
        yield from store.batches(export_plan(SPANS))
        raise OSError("disk on fire")

    with pytest.raises(OSError, match="disk on fire"):
        write(breaking(), SPANS.schema, path)
    assert path.read_text() == "the earlier export"
    assert [each.name for each in tmp_path.glob(".*")] == []


def test_an_ending_that_names_no_format(store, tmp_path: Path) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InvalidInput, match=r"end it in \.parquet"):
        write(store.batches(export_plan(SPANS)), SPANS.schema, tmp_path / "spans.xlsx")


@pytest.mark.parametrize(
    ("text", "ago"), [("30m", timedelta(minutes=30)), ("24h", timedelta(hours=24)), ("2w", timedelta(weeks=2))]
)
def test_so_long_ago(text: str, ago: timedelta) -> None:
    assert parse_when(text, now=START) == START - ago


def test_times_that_are_meant_and_times_that_are_not() -> None:
    assert parse_when("2026-01-01T01:00:00+01:00") == START
    assert parse_when(timedelta(hours=1), now=START) == START - timedelta(hours=1)
    with pytest.raises(InvalidInput, match="30m, 24h, 7d"):
        parse_when("yesterday")
    with pytest.raises(InvalidInput, match="naive"):
        parse_when("2026-01-01T00:00:00")
