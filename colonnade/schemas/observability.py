"""What an agent did: spans, and the traces table of the source documents as a reading of them.

``kind`` and ``status.code`` carry the numbers of the OpenTelemetry SDKs (kind: INTERNAL 0, SERVER 1, CLIENT 2,
PRODUCER 3, CONSUMER 4; status: UNSET 0, OK 1, ERROR 2), which is what exporters write.
"""

from __future__ import annotations

import pyarrow as pa

from colonnade.schemas.kinds import BIGINT, BOOLEAN, FLOAT, INTEGER, JSON, TEXT, TIMESTAMP, field
from colonnade.schemas.table import Index, table


def _id(name: str, description: str, *, nullable: bool = True) -> pa.Field:
    return field(name, TEXT, description, nullable=nullable, identifier=True)


_ATTRIBUTES = field("attributes", JSON, "Attributes of the span, by name.", nullable=True, payload=True)
_STATUS = field("status", JSON, "`{code, message?}`: UNSET 0, OK 1, ERROR 2.", nullable=True)
_EVENTS = field("events", JSON, "Timed events within the span.", nullable=True, payload=True)
_LINKS = field("links", JSON, "Links to other spans.", nullable=True, payload=True)
_OTHER = field(
    "other", JSON, "Further OpenTelemetry fields: dropped counts, trace state ...", nullable=True, payload=True
)
_START = field("startTime", BIGINT, "Start, nanoseconds since the Unix epoch.")
_CREATED = field("createdAt", TIMESTAMP, "When the span was kept.")

SPANS = table(
    "spans",
    [
        _id("traceId", "The trace that the span belongs to.", nullable=False),
        _id("spanId", "Identifier of the span within its trace.", nullable=False),
        _id("parentSpanId", "The span that caused it; null at the root."),
        field("name", TEXT, "What was done, such as `chat gpt-5` or `tool.search`."),
        field("scope", TEXT, "Name of the instrumentation library.", nullable=True),
        field("instrumentationScope", JSON, "The scope as an object, where one was given.", nullable=True),
        field("spanType", TEXT, "What kind of step: `agent_run`, `model_generation`, `tool_call`, `generic` ..."),
        field("kind", INTEGER, "INTERNAL 0, SERVER 1, CLIENT 2, PRODUCER 3, CONSUMER 4."),
        field("isEvent", BOOLEAN, "Whether it is a moment and not a stretch of time."),
        field("startedAt", TIMESTAMP, "Start, microseconds, UTC."),
        field("endedAt", TIMESTAMP, "End; null while the span runs.", nullable=True),
        _START,
        field("endTime", BIGINT, "End, nanoseconds since the Unix epoch; null while it runs.", nullable=True),
        _STATUS,
        field("error", JSON, "What went wrong; null where nothing did.", nullable=True),
        field("provider", TEXT, "Provider of the model.", nullable=True),
        field("model", TEXT, "The model that was called.", nullable=True),
        field("inputTokens", BIGINT, "Tokens in the prompt.", nullable=True),
        field("outputTokens", BIGINT, "Tokens that were generated.", nullable=True),
        field("cachedTokens", BIGINT, "Input tokens that came from a cache.", nullable=True),
        field("reasoningTokens", BIGINT, "Output tokens spent on reasoning.", nullable=True),
        field("cost", FLOAT, "Cost of the call in US dollars.", nullable=True),
        field("entityType", TEXT, "What ran: `agent`, `tool`, `workflow_run` ...", nullable=True),
        _id("entityId", "Identifier of what ran."),
        field("entityName", TEXT, "Name of what ran.", nullable=True),
        _id("userId", "The user on whose behalf it ran."),
        _id("organizationId", "The organization."),
        _id("resourceId", "The resource, as in memory."),
        _id("runId", "The run."),
        _id("sessionId", "The session."),
        _id("threadId", "The thread, as in memory."),
        _id("requestId", "The request."),
        field("environment", TEXT, "Where it ran, such as `production`.", nullable=True),
        field("source", TEXT, "What started it, such as `local` or `cloud`.", nullable=True),
        field("serviceName", TEXT, "Name of the service.", nullable=True),
        field("tags", JSON, "Labels, a list of strings.", nullable=True),
        field("metadata", JSON, "Custom metadata, an object.", nullable=True),
        _ATTRIBUTES,
        _EVENTS,
        _LINKS,
        _OTHER,
        field("input", JSON, "What went in; any JSON value.", nullable=True, payload=True),
        field("output", JSON, "What came out; any JSON value.", nullable=True, payload=True),
        _CREATED,
        field("updatedAt", TIMESTAMP, "When the stored span last changed.", nullable=True),
    ],
    domain="observability",
    record="Span",
    mastra="mastra_ai_spans",
    description="One row a span: a step of an agent, a call of a model or a tool, a piece of a workflow.",
    key=["traceId", "spanId"],
    indexes=[Index((column,), "startedAt") for column in ("traceId", "parentSpanId", "name", "scope", "spanType")],
    final="endedAt",
)

TRACES = table(
    "traces",
    [
        _id("id", "Identifier of the span.", nullable=False),
        _id("parentSpanId", "The span that caused it; null at the root."),
        field("name", TEXT, "What was done."),
        _id("traceId", "The trace that the span belongs to.", nullable=False),
        field("scope", TEXT, "Name of the instrumentation library.", nullable=True),
        field("kind", INTEGER, "INTERNAL 0, SERVER 1, CLIENT 2, PRODUCER 3, CONSUMER 4."),
        _ATTRIBUTES,
        _STATUS,
        _EVENTS,
        _LINKS,
        _OTHER,
        _START,
        field("endTime", BIGINT, "End, nanoseconds since the Unix epoch; null while it runs.", nullable=True),
        _CREATED,
    ],
    domain="observability",
    record="Trace",
    mastra="mastra_traces",
    description="The OpenTelemetry table of the source documents: a reading of spans, where `id` is `spanId`.",
    key=["traceId", "id"],
    reading_of="spans",
    renames={"id": "spanId"},
)
