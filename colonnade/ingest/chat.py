"""The anatomy of one OpenAI chat message: its text, its tool calls, and how messages kept in memory spell it.

Forms of several years are understood: ``content`` as text, as a list of parts, or null; ``tool_calls`` with a
``function`` inside or flat; the older single ``function_call`` and the role ``function`` that answers it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from colonnade.schemas.records import Record

Message = Mapping[str, Any]
"""A message as it was recorded: ``role``, ``content``, ``tool_calls``, ``tool_call_id``, ``name`` and more."""

TOOL_ROLES: Final = ("tool", "function")
"""The roles of messages that carry the result of a tool call."""

_ARGUMENTS: Final = ("arguments", "args", "input")


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a tool: ``arguments`` parsed from JSON, or the text as it was where that is no JSON."""

    id: str | None
    name: str
    arguments: Any


def check_message(message: object) -> None:
    """Whether a message can be used; ``ValueError`` says what is wrong with it."""
    if not isinstance(message, Mapping):
        raise ValueError(f"is a {type(message).__name__}, not an object with role and content")
    role = message.get("role")
    if not isinstance(role, str) or not role:
        raise ValueError("has no role")
    content = message.get("content")
    if content is not None and not isinstance(content, str | list):
        raise ValueError(f"has content that is a {type(content).__name__}, not text, a list of parts or null")
    calls_of(message)


def text_of(message: Message) -> str:
    """What a message says: its text, or the text of its parts, one a line; empty where it says nothing."""
    content = message.get("content")
    if isinstance(content, list):
        return "\n".join(part["text"] for part in content if _is_text(part))
    return content or ""


def calls_of(message: Message) -> list[Call]:
    """The tool calls that a message asks for; ``ValueError`` for a call without a name."""
    asked = message.get("tool_calls")
    if asked is None:
        asked = [message["function_call"]] if message.get("function_call") else []
    if not isinstance(asked, list):
        raise ValueError(f"has tool_calls that are a {type(asked).__name__}, not a list")
    calls = []
    for number, entry in enumerate(asked):
        said = entry.get("function", entry) if isinstance(entry, Mapping) else None
        if not isinstance(said, Mapping) or not isinstance(said.get("name"), str) or not said["name"]:
            raise ValueError(f"has a tool call without a name (number {number})")
        id = entry.get("id")
        arguments: Any = next((said[key] for key in _ARGUMENTS if said.get(key) is not None), {})
        calls.append(Call(id if isinstance(id, str) and id else None, said["name"], _parsed(arguments)))
    return calls


def error_of(message: Message) -> str | None:
    """What went wrong where a tool's result is an error: it is marked as one, or its text begins with ``Error``."""
    text = text_of(message)
    marked = message.get("is_error") or message.get("isError") or message.get("status") == "error"
    return text if marked or text.startswith("Error") else None


def content_of(message: Message, answered: Call | None, metadata: Record) -> Record:
    """The message as memory keeps it: ``{format: 2, parts, content, metadata?}``.

    Texts are ``text`` parts, tool calls and their results are ``tool-invocation`` parts (state ``call`` and ``result``,
    the latter with the arguments of the call that it answers). Parts of other types stay as they were recorded.
    """
    parts: list[Any] = []
    content = message.get("content")
    if message["role"] in TOOL_ROLES:
        call = answered or Call(message.get("tool_call_id"), str(message.get("name") or ""), {})
        parts.append(_invocation("result", call, result="" if content is None else content))
    elif isinstance(content, list):
        parts.extend(content)
    elif content:
        parts.append({"type": "text", "text": content})
    parts.extend(_invocation("call", call) for call in calls_of(message))
    kept: Record = {"format": 2, "parts": parts, "content": text_of(message)}
    return {**kept, "metadata": metadata} if metadata else kept


def _invocation(state: str, call: Call, **result: Any) -> Record:
    said = {"state": state, "toolCallId": call.id, "toolName": call.name, "args": call.arguments, **result}
    return {"type": "tool-invocation", "toolInvocation": said}


def _is_text(part: object) -> bool:
    return isinstance(part, Mapping) and isinstance(part.get("text"), str)


def _parsed(arguments: Any) -> Any:
    if not isinstance(arguments, str):
        return arguments
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments
