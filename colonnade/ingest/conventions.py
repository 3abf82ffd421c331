"""What span attributes mean: the semantic conventions of several kins and years, as the typed columns of spans.

``typed_fields`` reads three families, and the first that speaks of a field decides:

- ``colonnade.*``: any typed field by its name in snake_case (``colonnade.cost``, ``colonnade.user_id``), and
  ``colonnade.metadata.<key>`` for a key of the metadata;
- ``gen_ai.*`` (with ``mcp.method.name``, ``user.id``, ``session.id``): the OpenTelemetry GenAI conventions, with the
  names of older versions after the present ones;
- OpenInference: ``openinference.span.kind``, ``llm.*``, ``input.value``, ``output.value``, ``tool.name`` ...

Attributes are telemetry that others wrote, so nothing here refuses them: a value that cannot be what its field needs (a
count of tokens that is a word, an identifier with a NUL in it) leaves the field unsaid. The attributes themselves are
never changed; keep them whole beside the fields.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Final

from colonnade.ingest.attribute_values import (
    Attributes,
    anything,
    declared,
    identifier,
    labels,
    mapping,
    number,
    text,
    whole_number,
)
from colonnade.schemas.records import Record

Reading = Callable[[Attributes, str], Any]
"""Reads a field from the attribute of that name; ``None`` where it is not said.

Only ``anything`` finds something where there is no attribute of that very name.
"""

OPERATIONS: Final = {
    "chat": "model_generation",
    "generate_content": "model_generation",
    "text_completion": "model_generation",
    "embeddings": "rag_embedding",
    "retrieval": "rag_vector_operation",
    "execute_tool": "tool_call",
    "create_agent": "generic",
    "invoke_agent": "agent_run",
    "invoke_workflow": "workflow_run",
}
"""Span types by ``gen_ai.operation.name``."""

KINDS: Final = {
    "LLM": "model_generation",
    "EMBEDDING": "rag_embedding",
    "RETRIEVER": "rag_vector_operation",
    "RERANKER": "rag_action",
    "TOOL": "tool_call",
    "AGENT": "agent_run",
    "GUARDRAIL": "processor_run",
    "EVALUATOR": "scorer_run",
}
"""Span types by ``openinference.span.kind``; the others (CHAIN, PROMPT, DECISION) are generic."""


def _one_of(types: Mapping[str, str]) -> Reading:
    def read(attributes: Attributes, name: str) -> str | None:
        return types.get(text(attributes, name) or "")

    return read


def _implied(span_type: str) -> Reading:
    """The type of a span that has the attribute and does not say what it does, as early instrumentations did not."""

    def read(attributes: Attributes, name: str) -> str | None:
        says = "gen_ai.operation.name" in attributes or "openinference.span.kind" in attributes
        return span_type if name in attributes and not says else None

    return read


Source = tuple[str, Reading]


def _from(reading: Reading, *names: str) -> tuple[Source, ...]:
    return tuple((name, reading) for name in names)


_STANDARD: Final[Mapping[str, tuple[Source, ...]]] = {
    "spanType": (
        *_from(_one_of({"tools/call": "mcp_tool_call"}), "mcp.method.name"),
        *_from(_one_of(OPERATIONS), "gen_ai.operation.name"),
        *_from(_one_of(KINDS), "openinference.span.kind"),
        *_from(_implied("tool_call"), "gen_ai.tool.name"),
        *_from(_implied("model_generation"), "gen_ai.request.model", "llm.model_name"),
    ),
    # The model that answered is the one that was paid for; it may differ from the one asked for.
    "model": _from(
        text,
        "gen_ai.response.model",
        "gen_ai.request.model",
        "llm.response.model_name",
        "llm.model_name",
        "llm.request.model_name",
        "embedding.model_name",
        "reranker.model_name",
    ),
    "provider": _from(text, "gen_ai.provider.name", "gen_ai.system", "llm.provider", "llm.system"),
    "inputTokens": _from(
        whole_number,
        "gen_ai.usage.input_tokens",
        "gen_ai.usage.prompt_tokens",
        "llm.token_count.prompt",
        "llm.usage.prompt_tokens",
    ),
    "outputTokens": _from(
        whole_number,
        "gen_ai.usage.output_tokens",
        "gen_ai.usage.completion_tokens",
        "llm.token_count.completion",
        "llm.usage.completion_tokens",
    ),
    "cachedTokens": _from(
        whole_number,
        "gen_ai.usage.cache_read.input_tokens",
        "gen_ai.usage.cache_read_input_tokens",
        "gen_ai.usage.cached_tokens",
        "llm.token_count.prompt_details.cache_read",
    ),
    "reasoningTokens": _from(
        whole_number,
        "gen_ai.usage.reasoning.output_tokens",
        "gen_ai.usage.reasoning_tokens",
        "llm.token_count.completion_details.reasoning",
    ),
    "cost": _from(number, "gen_ai.usage.cost", "llm.cost.total"),
    "threadId": _from(identifier, "gen_ai.conversation.id"),
    "sessionId": _from(identifier, "session.id"),
    "userId": _from(identifier, "user.id", "enduser.id"),
    "input": (
        *_from(anything, "gen_ai.tool.call.arguments", "gen_ai.input.messages", "gen_ai.prompt", "llm.input_messages"),
        *_from(declared, "input.value"),
        *_from(anything, "gen_ai.retrieval.query.text"),
    ),
    "output": (
        *_from(
            anything, "gen_ai.tool.call.result", "gen_ai.output.messages", "gen_ai.completion", "llm.output_messages"
        ),
        *_from(declared, "output.value"),
        *_from(anything, "gen_ai.retrieval.documents", "retrieval.documents"),
    ),
    "tags": _from(labels, "tag.tags"),
    "metadata": _from(mapping, "metadata"),
}

_OURS: Final[Mapping[str, Reading]] = {
    "spanType": text,
    **dict.fromkeys(("provider", "model", "entityType", "entityName", "environment", "source"), text),
    **dict.fromkeys(
        ("entityId", "userId", "organizationId", "resourceId", "runId", "sessionId", "threadId"), identifier
    ),
    "requestId": identifier,
    **dict.fromkeys(("inputTokens", "outputTokens", "cachedTokens", "reasoningTokens"), whole_number),
    "cost": number,
    "tags": labels,
    "metadata": mapping,
    "input": anything,
    "output": anything,
}


def _snake(name: str) -> str:
    return re.sub("([A-Z])", lambda match: "_" + match[1].lower(), name)


SOURCES: Final[Mapping[str, tuple[Source, ...]]] = {
    name: ((f"colonnade.{_snake(name)}", reading), *_STANDARD.get(name, ())) for name, reading in _OURS.items()
}
"""Every typed field, with the attributes that may say it and how each is read; the first that says it decides."""

ENTITIES: Final = (
    ("tool", ("gen_ai.tool.name", "tool.name"), ()),
    ("agent", ("gen_ai.agent.name", "agent.name"), ("gen_ai.agent.id",)),
    ("workflow_run", ("gen_ai.workflow.name",), ()),
)
"""What ran, by the attributes that name it: type, names, identifiers. The first that is named decides all three."""

_BENEATH: Final = "colonnade.metadata."


@dataclass(frozen=True, slots=True)
class _Speakers:
    """Which attributes of a span may say what, from their names alone."""

    fields: tuple[tuple[str, tuple[Source, ...]], ...]
    entities: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...]
    joins_metadata: bool
    beneath: tuple[str, ...]


def typed_fields(attributes: Attributes) -> Record:
    """The typed fields of a span (API names) that its attributes speak of; only those.

    ``metadata`` joins OpenInference's with ``colonnade.metadata`` and ``colonnade.metadata.<key>``, the last winning.
    """
    speakers = _speakers(tuple(attributes))
    fields: Record = {}
    for field, sources in speakers.fields:
        for name, reading in sources:
            value = reading(attributes, name)
            if value is not None:
                fields[field] = value
                break
    for kind, names, ids in speakers.entities:
        named = next(filter(None, (text(attributes, name) for name in names)), None)
        id = next(filter(None, (identifier(attributes, name) for name in ids)), None)
        if named or id:
            found = {"entityType": kind, "entityName": named, "entityId": id}
            fields = {**{key: value for key, value in found.items() if value}, **fields}
            break
    if speakers.joins_metadata:
        said = {name[len(_BENEATH) :]: attributes[name] for name in speakers.beneath}
        metadata = {**(mapping(attributes, "metadata") or {}), **fields.get("metadata", {}), **said}
        if metadata:
            fields["metadata"] = metadata
    return fields


@lru_cache(maxsize=1024)
def _speakers(names: tuple[str, ...]) -> _Speakers:
    """What may be said by attributes of these names. An application has few sets of names, and many spans of each."""
    there = set(names)

    def speaks(name: str, reading: Reading) -> bool:
        return name in there or (reading is anything and any(each.startswith(name + ".") for each in names))

    fields = ((field, tuple(source for source in sources if speaks(*source))) for field, sources in SOURCES.items())
    entities = (
        (kind, tuple(name for name in called if name in there), tuple(name for name in ids if name in there))
        for kind, called, ids in ENTITIES
    )
    beneath = tuple(name for name in names if name.startswith(_BENEATH))
    return _Speakers(
        fields=tuple((field, sources) for field, sources in fields if sources),
        entities=tuple(entity for entity in entities if any(entity[1:])),
        joins_metadata=bool(beneath) or "metadata" in there,
        beneath=beneath,
    )
