"""What it costs to make Arrow columns of Python records, and records of columns: CPU microseconds, beside floors.

Floors do not check anything: ``json.dumps`` of the payloads and ``pa.Table.from_pylist`` is what a user would write;
``pa.array`` of each finished column is what Arrow takes for the same values. Run it by itself with ``python -m
bench.encoding``; it writes ``bench/results/encoding.json``.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from bench import measure
from bench.findings import Finding, Run, at_most
from bench.otel import sdk_spans
from bench.spans import full
from colonnade.ingest.otel_columns import spans_table
from colonnade.ingest.otel_spans import span_record
from colonnade.schemas import SPANS
from colonnade.schemas.records import decode
from colonnade.schemas.span_rows import decode_spans, encode_spans

SPANS_EACH: Final = 2_000
BATCH: Final = 512
"""Spans at a time, as OpenTelemetry's batch processor exports them."""
SIZES: Final = {"3 KB": 3000, "1.7 KB": 1700}
SDK_SIZES: Final = {"3 KB": 1600, "1.7 KB": 850}
"""What to ask ``full`` for: of spans of the SDK the messages are kept twice, among the attributes and by themselves."""
RESULT: Final = Path(__file__).parent / "results" / "encoding.json"

Record = dict[str, Any]


def main(run: Run) -> None:
    """Dicts, then spans of the SDK, then the way back."""
    for name, size in SIZES.items():
        with run.doing(f"encoding dicts of {name}"):
            _dicts(run, f"dict to Arrow, {name}", size)
    for name, size in SDK_SIZES.items():
        with run.doing(f"encoding spans of the SDK of {name}"):
            _sdk(run, f"SDK span to Arrow, {name}", size)
    with run.doing("decoding"):
        trace = _spans(SIZES["3 KB"]).slice(0, 10).combine_chunks()
        _decoding(run, "a trace of 10 to records, all columns", trace, 0.3)
        _decoding(run, "a trace of 10 to records, light", trace.select(SPANS.light), 0.15)


def _dicts(run: Run, what: str, size: int) -> None:
    now = datetime.now(UTC)
    records = [_said(record) for record in decode_spans(_spans(size))]
    _encoding(run, what, records, records, lambda part: encode_spans(part, now), 35)


def _sdk(run: Run, what: str, size: int) -> None:
    now = datetime.now(UTC)
    spans = sdk_spans(_spans(size))
    records = [_said(span_record(span)) for span in spans]
    _encoding(run, what, spans, records, lambda part: spans_table(part, now), 45)
    alone = _cpu(lambda: [encode_spans([span_record(span) for span in part], now) for part in _parts(spans)])
    run.found(Finding("encoding", f"{what}, through records", alone / len(spans), "µs"))


def _encoding(
    run: Run, what: str, given: list[Any], records: list[Record], encode: Callable[[Any], pa.Table], target: float
) -> None:
    made = encode(given)
    lists = [(column.to_pylist(), column.type) for column in made.columns]
    parts, rows = _parts(given), len(given)
    ours, users, arrays, single = (
        spent / rows
        for spent in (
            _cpu(lambda: [encode(part) for part in parts]),
            _cpu(lambda: [_from_pylist(part) for part in _parts(records)]),
            _cpu(lambda: [pa.array(values, of) for values, of in lists]),
            _cpu(lambda: [encode([each]) for each in given[:50]]) * rows / 50,
        )
    )
    detail = {"bytes": made.nbytes / rows, "pa_array": arrays, "one_at_a_time": single, "batch": BATCH}
    run.found(Finding("encoding", what, ours, "µs", users, "json.dumps + from_pylist", at_most(target), detail))
    run.found(Finding("encoding", f"{what}, beside Arrow alone", ours, "µs", arrays, "pa.array", detail=detail))


def _decoding(run: Run, what: str, data: pa.Table, target: float) -> None:
    ours = _cpu(lambda: [decode(SPANS, data) for _ in range(50)]) / 50_000
    users = _cpu(lambda: [_to_pylist(data) for _ in range(50)]) / 50_000
    run.found(Finding("encoding", what, ours, "ms", users, "to_pylist + json.loads", at_most(target)))


def _spans(size: int) -> pa.Table:
    return (
        pa.Table.from_batches(full(SPANS_EACH, size=size, batch=2 * SPANS_EACH)).slice(0, SPANS_EACH).combine_chunks()
    )


def _said(record: Record) -> Record:
    return {name: value for name, value in record.items() if value is not None and name != "createdAt"}


def _parts(given: list[Any]) -> list[list[Any]]:
    return [given[start : start + BATCH] for start in range(0, len(given), BATCH)]


def _from_pylist(records: list[Record]) -> pa.Table:
    return pa.Table.from_pylist(
        [
            {name: json.dumps(value) if isinstance(value, dict | list) else value for name, value in record.items()}
            for record in records
        ]
    )


def _to_pylist(data: pa.Table) -> list[Record]:
    names = set(data.schema.names)
    payloads = [each.name for each in SPANS.columns.values() if each.kind.name == "json" and each.name in names]
    rows: list[Record] = data.to_pylist()
    for row in rows:
        for name in payloads:
            row[name] = row[name] and json.loads(row[name])
    return rows


def _cpu(call: Callable[[], Any], times: int = 9) -> float:
    """CPU microseconds of a call, the median of some."""
    (took,) = measure.turns(lambda turn: call(), times=times)
    return statistics.median(took.cpu) * 1e6


if __name__ == "__main__":
    alone = Run(cache=RESULT.parent)
    main(alone)
    alone.console.print(alone.table())
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps([asdict(finding) for finding in alone.findings], indent=2) + "\n")
    print(f"written to {RESULT}")
