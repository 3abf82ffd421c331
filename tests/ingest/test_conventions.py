"""What span attributes mean: each convention as typed fields, and nothing refused."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes, mcp_attributes

from colonnade.ingest.attribute_values import identifier, mapping, text
from colonnade.ingest.conventions import ENTITIES, KINDS, OPERATIONS, SOURCES, typed_fields
from colonnade.schemas import SPANS
from colonnade.schemas.records import encode

# Names that instrumentations write or wrote, and that the present registry does not have.
UNREGISTERED = {
    "gen_ai.usage.cache_read_input_tokens",
    "gen_ai.usage.cached_tokens",
    "gen_ai.usage.reasoning_tokens",
    "gen_ai.usage.cost",
}


def named(prefix: str) -> set[str]:
    names = {name for sources in SOURCES.values() for name, _ in sources}
    names |= {name for _, *groups in ENTITIES for group in groups for name in group}
    return {name for name in names if name.startswith(prefix)}


def registered(module: Any) -> set[str]:
    return {value for name, value in vars(module).items() if name.isupper() and isinstance(value, str)}


def test_the_names_are_those_of_opentelemetrys_registry() -> None:
    assert named("gen_ai.") - registered(gen_ai_attributes) == UNREGISTERED
    assert named("mcp.") <= registered(mcp_attributes)


def test_every_registered_operation_is_known() -> None:
    values = {value.value for value in gen_ai_attributes.GenAiOperationNameValues}
    assert values == set(OPERATIONS)


def test_every_typed_field_is_one_of_a_span() -> None:
    assert SOURCES.keys() <= SPANS.by_api.keys()
    typed = {"provider", "model", "inputTokens", "outputTokens", "cachedTokens", "reasoningTokens", "cost"}
    correlation = {"entityType", "entityId", "entityName", "userId", "sessionId", "threadId"}
    assert typed | correlation | {"spanType", "input", "output", "tags", "metadata"} <= SOURCES.keys()


# --- OpenTelemetry GenAI ---


def test_a_chat_span_of_opentelemetry() -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-4o",
        "gen_ai.response.model": "gpt-4o-2024-08-06",
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 20,
        "gen_ai.usage.cache_read.input_tokens": 60,
        "gen_ai.usage.reasoning.output_tokens": 5,
        "gen_ai.conversation.id": "thread-1",
        "gen_ai.input.messages": '[{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}]',
        "gen_ai.output.messages": '[{"role": "assistant", "parts": []}]',
        "gen_ai.request.temperature": 0.5,
    }
    before = dict(attributes)
    assert typed_fields(attributes) == {
        "spanType": "model_generation",
        "provider": "openai",
        "model": "gpt-4o-2024-08-06",
        "inputTokens": 100,
        "outputTokens": 20,
        "cachedTokens": 60,
        "reasoningTokens": 5,
        "threadId": "thread-1",
        "input": [{"role": "user", "parts": [{"type": "text", "content": "Hi"}]}],
        "output": [{"role": "assistant", "parts": []}],
    }
    assert attributes == before


def test_names_of_older_versions_are_read_after_the_present_ones() -> None:
    old = {"gen_ai.system": "openai", "gen_ai.usage.prompt_tokens": 3, "gen_ai.usage.completion_tokens": 2}
    new = {"gen_ai.provider.name": "azure.ai.openai", "gen_ai.usage.input_tokens": 30}
    assert typed_fields(old) == {"provider": "openai", "inputTokens": 3, "outputTokens": 2}
    assert typed_fields({**old, **new}) == {"provider": "azure.ai.openai", "inputTokens": 30, "outputTokens": 2}


def test_prompts_and_completions_of_older_versions_also_flattened() -> None:
    assert typed_fields({"gen_ai.prompt": '[{"role": "user"}]', "gen_ai.completion": "Hi"}) == {
        "input": [{"role": "user"}],
        "output": "Hi",
    }
    flat = {"gen_ai.prompt.1.role": "user", "gen_ai.prompt.0.role": "system", "gen_ai.completion.0.content": "Hi"}
    assert typed_fields(flat) == {"input": [{"role": "system"}, {"role": "user"}], "output": [{"content": "Hi"}]}


def test_the_name_of_a_prompt_is_no_prompt() -> None:
    assert typed_fields({"gen_ai.prompt.name": "greeting"}) == {}


def test_a_tool_span_is_about_its_tool() -> None:
    attributes = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "find",
        "gen_ai.tool.call.arguments": '{"user": "Ada"}',
        "gen_ai.tool.call.result": "found",
        "gen_ai.agent.name": "Finder",
        "gen_ai.agent.id": "asst_1",
    }
    assert typed_fields(attributes) == {
        "spanType": "tool_call",
        "entityType": "tool",
        "entityName": "find",
        "input": {"user": "Ada"},
        "output": "found",
    }


def test_an_agent_span_is_about_its_agent() -> None:
    attributes = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "Finder", "gen_ai.agent.id": "asst_1"}
    assert typed_fields(attributes) == {
        "spanType": "agent_run",
        "entityType": "agent",
        "entityName": "Finder",
        "entityId": "asst_1",
    }


@pytest.mark.parametrize(("operation", "span_type"), OPERATIONS.items())
def test_operations_are_span_types(operation: str, span_type: str) -> None:
    assert typed_fields({"gen_ai.operation.name": operation})["spanType"] == span_type


def test_a_tool_of_an_mcp_server_is_called_as_such() -> None:
    attributes = {"mcp.method.name": "tools/call", "gen_ai.operation.name": "execute_tool"}
    assert typed_fields(attributes)["spanType"] == "mcp_tool_call"


def test_an_operation_that_nobody_knows_says_no_type() -> None:
    assert typed_fields({"gen_ai.operation.name": "plan", "gen_ai.request.model": "m"}) == {"model": "m"}


def test_spans_without_an_operation_show_it_by_what_they_name() -> None:
    assert typed_fields({"gen_ai.request.model": "m"})["spanType"] == "model_generation"
    assert typed_fields({"gen_ai.tool.name": "find"})["spanType"] == "tool_call"


# --- OpenInference ---


def test_a_model_span_of_openinference() -> None:
    attributes = {
        "openinference.span.kind": "LLM",
        "llm.system": "openai",
        "llm.provider": "azure",
        "llm.model_name": "gpt-4o",
        "llm.token_count.prompt": 10,
        "llm.token_count.completion": 15,
        "llm.token_count.total": 25,
        "llm.token_count.prompt_details.cache_read": 5,
        "llm.token_count.completion_details.reasoning": 4,
        "llm.cost.total": 0.0066,
        "session.id": "s1",
        "user.id": "u1",
        "tag.tags": ["shopping", "travel"],
        "metadata": '{"author": "John"}',
        "llm.input_messages.0.message.role": "user",
        "llm.input_messages.0.message.contents.0.message_content.type": "text",
        "llm.input_messages.0.message.contents.0.message_content.text": "Hi",
        "llm.output_messages.0.message.role": "assistant",
        "llm.output_messages.0.message.tool_calls.0.tool_call.function.name": "find",
        "input.value": "ignored where messages say more",
    }
    assert typed_fields(attributes) == {
        "spanType": "model_generation",
        "provider": "azure",
        "model": "gpt-4o",
        "inputTokens": 10,
        "outputTokens": 15,
        "cachedTokens": 5,
        "reasoningTokens": 4,
        "cost": 0.0066,
        "sessionId": "s1",
        "userId": "u1",
        "tags": ["shopping", "travel"],
        "metadata": {"author": "John"},
        "input": [{"role": "user", "contents": [{"type": "text", "text": "Hi"}]}],
        "output": [{"role": "assistant", "tool_calls": [{"function": {"name": "find"}}]}],
    }


@pytest.mark.parametrize(("kind", "span_type"), KINDS.items())
def test_kinds_are_span_types(kind: str, span_type: str) -> None:
    assert typed_fields({"openinference.span.kind": kind})["spanType"] == span_type


def test_values_are_json_where_their_mime_type_says_so() -> None:
    said = {"input.value": '{"a": 1}', "output.value": "3"}
    assert typed_fields(said) == {"input": '{"a": 1}', "output": "3"}
    declared = {**said, "input.mime_type": "application/json", "output.mime_type": "application/json"}
    assert typed_fields(declared) == {"input": {"a": 1}, "output": 3}
    assert typed_fields({**declared, "output.value": "{no json"}) == {"input": {"a": 1}, "output": "{no json"}


def test_a_tool_span_of_openinference_is_about_its_tool() -> None:
    found = typed_fields({"openinference.span.kind": "TOOL", "tool.name": "find", "input.value": "Ada"})
    assert found == {"spanType": "tool_call", "entityType": "tool", "entityName": "find", "input": "Ada"}


def test_where_both_conventions_speak_opentelemetry_decides() -> None:
    both = {"gen_ai.usage.input_tokens": 1, "llm.token_count.prompt": 2, "openinference.span.kind": "AGENT"}
    assert typed_fields({**both, "gen_ai.operation.name": "chat"}) == {
        "spanType": "model_generation",
        "inputTokens": 1,
    }


# --- colonnade ---


def test_our_own_attributes_say_any_typed_field_and_decide() -> None:
    attributes = {
        "gen_ai.operation.name": "chat",
        "gen_ai.agent.name": "Finder",
        "llm.cost.total": 1.0,
        "session.id": "theirs",
        "colonnade.span_type": "workflow_step",
        "colonnade.cost": 0.5,
        "colonnade.session_id": "ours",
        "colonnade.run_id": "r1",
        "colonnade.resource_id": "ada",
        "colonnade.environment": "production",
        "colonnade.input_tokens": 4,
        "colonnade.entity_name": "Seeker",
        "colonnade.tags": "urgent",
        "colonnade.input": '{"a": 1}',
    }
    assert typed_fields(attributes) == {
        "spanType": "workflow_step",
        "cost": 0.5,
        "sessionId": "ours",
        "runId": "r1",
        "resourceId": "ada",
        "environment": "production",
        "inputTokens": 4,
        "entityType": "agent",
        "entityName": "Seeker",
        "tags": ["urgent"],
        "input": {"a": 1},
    }


def test_metadata_is_joined_from_all_that_say_it() -> None:
    attributes = {
        "metadata": '{"a": 1, "b": 1, "c": 1}',
        "colonnade.metadata": '{"b": 2, "c": 2}',
        "colonnade.metadata.c": 3,
        "colonnade.metadata.user.plan": "pro",
    }
    assert typed_fields(attributes) == {"metadata": {"a": 1, "b": 2, "c": 3, "user.plan": "pro"}}


# --- what cannot be ---


@pytest.mark.parametrize("value", ["many", -1, 1.5, True, None, 2**63, "-3", [1], float("inf")])
def test_what_is_no_count_is_left_unsaid(value: Any) -> None:
    assert typed_fields({"gen_ai.usage.input_tokens": value}) == {}


@pytest.mark.parametrize("value", [12, 12.0, "12", " 12 "])
def test_counts_are_read_however_they_are_written(value: Any) -> None:
    assert typed_fields({"gen_ai.usage.input_tokens": value}) == {"inputTokens": 12}


@pytest.mark.parametrize("value", ["dear", float("nan"), "inf", True, 10**400])
def test_what_is_no_cost_is_left_unsaid(value: Any) -> None:
    assert typed_fields({"colonnade.cost": value}) == {}


@pytest.mark.parametrize("value", ["", "a\0", "\ud83d", 1.5, ["a"]])
def test_what_is_no_identifier_is_left_unsaid(value: Any) -> None:
    assert typed_fields({"session.id": value}) == {}


def test_a_family_that_contradicts_itself_stays_flat() -> None:
    flat = {"gen_ai.prompt.0": "Hi", "gen_ai.prompt.0.role": "user"}
    assert typed_fields(flat) == {"input": {"0": "Hi", "0.role": "user"}}


NAMES = [name for sources in SOURCES.values() for name, _ in sources] + [
    "llm.input_messages.0.message.role",
    "llm.input_messages.0",
    "llm.input_messages.7.a.b",
    "colonnade.metadata.x",
    "input.mime_type",
    "gen_ai.agent.name",
    "gen_ai.agent.id",
]
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary() | st.sampled_from(["[1]", "{}"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@given(st.dictionaries(st.sampled_from(NAMES), VALUES, max_size=12))
def test_no_attributes_make_a_span_that_cannot_be_stored(attributes: dict[str, Any]) -> None:
    rest = {
        "traceId": "t",
        "spanId": "s",
        "name": "n",
        "spanType": "generic",
        "kind": 0,
        "isEvent": False,
        "startedAt": "2024-05-15T15:00:00Z",
        "startTime": 0,
        "createdAt": "2024-05-15T15:00:00Z",
    }
    fields = typed_fields(attributes)
    assert None not in fields.values()
    assert encode(SPANS, [{**rest, **fields, "attributes": attributes}]).num_rows == 1


# --- every source, and only what speaks ---

FLAT = ("llm.input_messages.0.message.role", "llm.output_messages.1.x", "gen_ai.prompt.0.content", "gen_ai.prompt.name")
NAMES = sorted(
    {name for sources in SOURCES.values() for name, _ in sources}
    | {name for _, *groups in ENTITIES for group in groups for name in group}
    | {"input.mime_type", "output.mime_type", "colonnade.metadata.a", "colonnade.metadata.", "other", "", *FLAT}
)
attribute_values = st.sampled_from(
    [
        *(None, "", "chat", "execute_tool", "tools/call", "LLM", "application/json", "7", "1.5", "x\0", "cut \ud83d"),
        *('{"a":1}', '[1,{"b":null}]', "{", "NaN", '{"a":12345678901234567890123}', " [1]", 0, 5, -1, 2.0, 1.5, True),
        *(("a", "b"), [1, "a"], {"a": 1}, {}, float("nan"), 10**400),
    ]
)


def asked_one_by_one(attributes: dict[str, Any]) -> dict[str, Any]:
    """The typed fields, asking every source of every field in its order."""
    fields: dict[str, Any] = {}
    for field, sources in SOURCES.items():
        said = (reading(attributes, name) for name, reading in sources)
        value = next((each for each in said if each is not None), None)
        if value is not None:
            fields[field] = value
    for kind, names, ids in ENTITIES:
        named = next((each for each in (text(attributes, name) for name in names) if each), None)
        id = next((each for each in (identifier(attributes, name) for name in ids) if each), None)
        if named or id:
            for name, value in (("entityType", kind), ("entityName", named), ("entityId", id)):
                if value:
                    fields.setdefault(name, value)
            break
    metadata = (mapping(attributes, "metadata") or {}) | fields.get("metadata", {})
    for name, value in attributes.items():
        if name.startswith("colonnade.metadata."):
            metadata[name.removeprefix("colonnade.metadata.")] = value
    return {**fields, "metadata": metadata} if metadata else fields


@given(st.dictionaries(st.sampled_from(NAMES), attribute_values, max_size=8))
def test_what_attributes_say_does_not_depend_on_how_they_are_looked_up(attributes: dict[str, Any]) -> None:
    before = dict(attributes)
    for given_again in (attributes, dict(reversed(attributes.items())), attributes):
        assert repr(sorted(typed_fields(given_again).items())) == repr(sorted(asked_one_by_one(given_again).items()))
    assert repr(attributes) == repr(before)


@pytest.mark.parametrize("name", NAMES)
def test_every_source_speaks_alone(name: str) -> None:
    for value in ("chat", '{"a":1}', 5, ("a",)):
        assert typed_fields({name: value}) == asked_one_by_one({name: value})
