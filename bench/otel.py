"""Generated spans as the OpenTelemetry SDK hands them to an exporter. Peers read it too: it needs no colonnade."""

from __future__ import annotations

import json
from typing import Any, Final

import pyarrow as pa
from opentelemetry.attributes import BoundedAttributes
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags
from opentelemetry.trace.status import Status, StatusCode

_RESOURCE: Final = Resource({"service.name": "agents", "deployment.environment.name": "production"})
_OPERATIONS: Final = {"agent_run": "invoke_agent", "model_generation": "chat", "tool_call": "execute_tool"}


def sdk_spans(batch: pa.Table) -> list[ReadableSpan]:
    """Finished spans whose attributes follow the GenAI conventions, input and output as messages among them."""
    columns = [name for name in batch.column_names if name not in ("startedAt", "endedAt", "createdAt", "updatedAt")]
    return [_span(row) for row in batch.select(columns).to_pylist()]


def _span(row: dict[str, Any]) -> ReadableSpan:
    trace = int(row["traceId"], 16)
    parent = row["parentSpanId"]
    return ReadableSpan(
        name=row["name"],
        context=_context(trace, row["spanId"]),
        parent=None if parent is None else _context(trace, parent),
        resource=_RESOURCE,
        attributes=BoundedAttributes(attributes=_attributes(row)),
        kind=SpanKind(row["kind"]),
        status=Status(StatusCode(json.loads(row["status"])["code"])),
        start_time=row["startTime"],
        end_time=row["endTime"],
        instrumentation_scope=InstrumentationScope(row["scope"], "1.4.0"),
    )


def _context(trace: int, span: str) -> SpanContext:
    return SpanContext(trace, int(span, 16), is_remote=False, trace_flags=TraceFlags(TraceFlags.SAMPLED))


def _attributes(row: dict[str, Any]) -> dict[str, Any]:
    said = {
        **json.loads(row["attributes"] or "{}"),
        "gen_ai.operation.name": _OPERATIONS.get(row["spanType"]),
        "gen_ai.provider.name": row["provider"],
        "gen_ai.request.model": row["model"],
        "gen_ai.usage.input_tokens": row["inputTokens"],
        "gen_ai.usage.output_tokens": row["outputTokens"],
        "gen_ai.input.messages": row["input"],
        "gen_ai.output.messages": row["output"],
        "user.id": row["userId"],
    }
    return {name: value for name, value in said.items() if value is not None}
