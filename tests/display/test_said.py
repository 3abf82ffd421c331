"""Messages of every kind of agent, read as one."""

from typing import Any

import pytest
from hypothesis import given

from colonnade.display.said import Message, Part, messages_in, parts_of
from colonnade.testing.strategies import json_values

CALL = Part("call", {"city": "Rome"}, "weather")
RESULT = Part("result", {"degrees": 21}, "weather")
ARGUMENTS = '{"city": "Rome"}'


FUNCTION = {"name": "weather", "arguments": ARGUMENTS}
IMAGE = {"type": "image_url", "image_url": {"url": "x"}}
INVOKED = {"toolName": "weather", "args": {"city": "Rome"}, "state": "result", "result": {"degrees": 21}}
THOUGHT = {"type": "thinking", "thinking": "Hm."}
USE = {"type": "tool_use", "name": "weather", "input": {"city": "Rome"}}
TOOL_CALL = {"type": "tool_call", "id": "c", "name": "weather", "arguments": {"city": "Rome"}}
RESPONSE = {"type": "tool_call_response", "name": "weather", "result": {"degrees": 21}}
SAID = {"type": "text", "content": "Let me see."}


@pytest.mark.parametrize(
    ("message", "parts"),
    [
        ({"role": "user", "content": "Hello"}, [Part("text", "Hello")]),
        ({"role": "user", "content": [{"type": "text", "text": "Hello"}]}, [Part("text", "Hello")]),
        ({"role": "assistant", "content": None, "tool_calls": [{"function": FUNCTION}]}, [CALL]),
        (
            {"role": "assistant", "content": "Hm.", "tool_calls": [{"type": "function", "function": FUNCTION}]},
            [Part("text", "Hm."), CALL],
        ),
        ({"role": "tool", "name": "weather", "tool_call_id": "c", "content": '{"degrees": 21}'}, [RESULT]),
        ({"role": "assistant", "parts": [SAID, TOOL_CALL]}, [Part("text", "Let me see."), CALL]),
        ({"role": "tool", "parts": [RESPONSE]}, [RESULT]),
        ({"role": "assistant", "content": [THOUGHT, USE]}, [Part("reasoning", "Hm."), CALL]),
        ({"role": "assistant", "parts": [{"type": "tool-invocation", "toolInvocation": INVOKED}]}, [CALL, RESULT]),
        ({"role": "user", "content": [IMAGE]}, [Part("value", IMAGE)]),
        ({"role": "user", "content": {"a": 1}}, [Part("value", {"a": 1})]),
    ],
)
def test_a_message_is_read(message: dict[str, Any], parts: list[Part]) -> None:
    assert list(parts_of(message)) == parts
    assert messages_in([message]) == [Message(message["role"], tuple(parts))]


@pytest.mark.parametrize(
    "value", [None, 3, "text", [], {}, [1], [{"role": "user"}], {"role": 3, "content": "x"}, [{"a": 1}]]
)
def test_what_is_no_message_is_none(value: Any) -> None:
    assert messages_in(value) is None


def test_a_request_is_its_messages() -> None:
    request = {"messages": [{"role": "user", "content": "Hello"}]}
    assert messages_in(request) == [Message("user", (Part("text", "Hello"),))]
    assert messages_in({**request, "temperature": 0}) is None, "nothing of it may be left out"


@given(json_values())
def test_anything_can_be_said(value: Any) -> None:
    for message in (
        {"role": "user", "content": value},
        {"role": "tool", "name": "x", "content": value},
        {"role": "assistant", "parts": value},
    ):
        messages_in([message])
        list(parts_of(message))
