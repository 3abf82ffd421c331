"""MLflow, measured in process: its tracking store over SQLite, the way without a server. Runs in its own virtualenv.

What makes its spans is not counted, only ``log_spans``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
from opentelemetry.sdk.trace import ReadableSpan

from bench import measure
from bench.otel import sdk_spans

BATCH = 512


def main(file: str, rows: int, folder: str) -> dict[str, Any]:
    """Store the first spans of an Arrow file, and read traces back."""
    import mlflow  # type: ignore[import-not-found,unused-ignore]
    from mlflow.entities import Span  # type: ignore[import-not-found,unused-ignore]
    from mlflow.tracing.client import TracingClient  # type: ignore[import-not-found,unused-ignore]

    address = f"sqlite:///{folder}/mlflow.db"
    mlflow.set_tracking_uri(address)
    experiment = mlflow.create_experiment("bench", artifact_location=f"{folder}/artifacts")
    client = TracingClient(address)
    with pa.memory_map(file) as source:
        made = pa.ipc.open_file(source).read_all().slice(0, rows)
    spans = [Span(_dumped(span)) for span in sdk_spans(made)]
    traces = [_request(int(trace, 16)) for trace in made.column("traceId").unique().to_pylist()]
    with measure.spent() as took:
        for start in range(0, rows, BATCH):
            client.log_spans(experiment, spans[start : start + BATCH])

    def trace(turn: int) -> None:
        if not client.get_trace(traces[turn * 37 % len(traces)]).data.spans:
            raise RuntimeError("the trace is not there")

    (read,) = measure.turns(trace, times=50)
    with measure.spent() as exported:
        frame = mlflow.search_traces(locations=[experiment])
    if frame["spans"].map(len).sum() != rows:
        raise RuntimeError("not all spans were exported")
    export = {"rows": rows, "wall": exported.wall, "cpu": exported.cpu}
    size = measure.folder_bytes(Path(folder))
    answer = {"rows": rows, "wall": took.wall, "cpu": took.cpu, "accepted": took.wall, "bytes": size}
    return {**answer, "export": export, "get_trace": measure.summary(read), "rss": measure.tree_rss(os.getpid())}


def _dumped(span: ReadableSpan) -> ReadableSpan:
    """The span with its attributes as MLflow holds them: each as JSON, and the name of its trace among them."""
    attributes = {name: json.dumps(value) for name, value in (span.attributes or {}).items()}
    context = span.context
    assert context is not None
    attributes["mlflow.traceRequestId"] = json.dumps(_request(context.trace_id))
    return ReadableSpan(
        name=span.name,
        context=context,
        parent=span.parent,
        resource=span.resource,
        attributes=attributes,
        kind=span.kind,
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
        instrumentation_scope=span.instrumentation_scope,
    )


def _request(trace: int) -> str:
    return f"tr-{trace:032x}"


if __name__ == "__main__":
    print("\n" + json.dumps(main(sys.argv[1], int(sys.argv[2]), sys.argv[3])))
