"""Messages as the many kinds of agents write them, read as one: who speaks, what is said, which tools are called.

Read are chat messages of OpenAI and Anthropic, those of OpenTelemetry's conventions (``parts``) and those that memory
keeps (``format: 2``). What is none of these stays what it is, a value.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

_CALLS: Final = ("tool_call", "tool-call", "tool_use", "function_call")
_RESULTS: Final = ("tool_call_response", "tool-result", "tool_result", "function_call_output")


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a message: text, a call of a tool, what a tool gave, or thoughts. ``name`` is that of the tool."""

    kind: Literal["text", "call", "result", "reasoning", "value"]
    value: Any
    name: str = ""


@dataclass(frozen=True, slots=True)
class Message:
    """What one speaker says at once."""

    role: str
    parts: tuple[Part, ...]


def messages_in(value: Any) -> list[Message] | None:
    """The messages that a payload consists of; ``None`` where it is anything else."""
    if isinstance(value, Mapping):
        value = value["messages"] if isinstance(value.get("messages"), list) and len(value) == 1 else [value]
    if not isinstance(value, list) or not value or not all(map(_is_message, value)):
        return None
    return [Message(str(each["role"]), tuple(parts_of(each))) for each in value]


def _is_message(value: Any) -> bool:
    said = ("content", "parts", "tool_calls")
    return isinstance(value, Mapping) and isinstance(value.get("role"), str) and any(name in value for name in said)


def parts_of(message: Mapping[str, Any]) -> Iterator[Part]:
    """The pieces of a message, in order; none are left out, whatever they are."""
    content = message.get("content")
    if isinstance(content, Mapping) and isinstance(content.get("parts"), list):
        content = content["parts"]
    parts = message["parts"] if isinstance(message.get("parts"), list) else content
    result_of = message.get("name") or message.get("tool_call_id") if message.get("role") == "tool" else None
    if result_of is not None and not isinstance(parts, list):
        yield Part("result", unpacked(parts), str(result_of))
    elif isinstance(parts, list):
        for part in parts:
            yield from _part(part)
    elif parts not in (None, ""):
        yield Part("text" if isinstance(parts, str) else "value", parts)
    calls = message.get("tool_calls")
    for call in calls if isinstance(calls, list) else ():
        if isinstance(call, Mapping) and "type" not in call:
            call = {"type": "function", "function": call.get("function", call)}
        yield from _part(call)


def _part(part: Any) -> Iterator[Part]:
    if isinstance(part, str):
        yield Part("text", part)
        return
    if not isinstance(part, Mapping):
        yield Part("value", part)
        return
    kind = part.get("type")
    text = next((part[name] for name in ("text", "content", "reasoning", "thinking") if part.get(name)), "")
    if kind in ("text", "input_text", "output_text") and isinstance(text, str):
        yield Part("text", text)
    elif kind in ("reasoning", "thinking") and isinstance(text, str):
        yield Part("reasoning", text)
    elif kind == "function" and isinstance(part.get("function"), Mapping):
        yield _call(part["function"])
    elif kind == "tool-invocation" and isinstance(part.get("toolInvocation"), Mapping):
        call = part["toolInvocation"]
        yield _call(call)
        if "result" in call:
            yield Part("result", unpacked(call["result"]), _name(call))
    elif kind in _CALLS:
        yield _call(part)
    elif kind in _RESULTS:
        fields = ("result", "response", "output", "content")
        yield Part("result", unpacked(next((part[name] for name in fields if name in part), None)), _name(part))
    else:
        yield Part("value", part)


def _call(call: Mapping[str, Any]) -> Part:
    given = next((call[name] for name in ("arguments", "args", "input") if name in call), None)
    return Part("call", unpacked(given), _name(call))


def _name(call: Mapping[str, Any]) -> str:
    names = ("name", "toolName", "tool_name", "tool_call_id", "toolCallId", "tool_use_id", "id")
    return str(next((call[name] for name in names if call.get(name)), "tool"))


def unpacked(value: Any) -> Any:
    """A value that was given as JSON text; text that is no JSON object or list stays text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value
