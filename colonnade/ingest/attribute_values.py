"""How the value of one attribute is read as what a typed field needs; ``None`` where it is not said or cannot be.

Attributes are telemetry that others wrote: numbers come as text, structures as JSON text or flattened over many names.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any, Final

from colonnade.schemas.payloads import is_strange, parse_json
from colonnade.schemas.records import Record

Attributes = Mapping[str, Any]

_INT64: Final = 2**63
_WHOLE: Final = re.compile(r"\d{1,19}")
_WRAPPERS: Final = ("message", "message_content", "tool_call", "document")
_DEEPEST: Final = 32


def text(attributes: Attributes, name: str) -> str | None:
    """Text that is not empty; whole numbers (identifiers often are) as text."""
    value = attributes.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value if isinstance(value, str) and value else None


def identifier(attributes: Attributes, name: str) -> str | None:
    """Text that every store takes as an identifier."""
    value = text(attributes, name)
    return None if value is None or is_strange(value) else value


def whole_number(attributes: Attributes, name: str) -> int | None:
    """A whole number from 0, also where it was written as a float or as text."""
    value = attributes.get(name)
    if isinstance(value, str) and _WHOLE.fullmatch(value.strip()):
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _INT64 else None


def number(attributes: Attributes, name: str) -> float | None:
    """A finite number, also where it was written as text."""
    value = attributes.get(name)
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # an int beyond all floats
        return None


def anything(attributes: Attributes, name: str) -> Any:
    """The value, or the list that its flattened form (``name.0.role`` ...) spells.

    JSON text is parsed where it holds an object or a list.
    """
    value = attributes.get(name)
    if value is None:
        return _unflattened(attributes, name)
    return _structure(value)


def declared(attributes: Attributes, name: str) -> Any:
    """``input.value`` and ``output.value`` of OpenInference: JSON only where ``mime_type`` beside it says so."""
    value = attributes.get(name)
    is_json = attributes.get(name.removesuffix("value") + "mime_type") == "application/json"
    return _structure(value, bare=True) if is_json else value


def labels(attributes: Attributes, name: str) -> list[str] | None:
    """A list of texts; one text is a list of one, JSON text the list that it holds."""
    value = _structure(attributes.get(name))
    if isinstance(value, str) and value:
        return [value]
    found = [label for label in value if isinstance(label, str)] if isinstance(value, list | tuple) else []
    return found or None


def mapping(attributes: Attributes, name: str) -> Record | None:
    """An object, or JSON text that holds one."""
    value = _structure(attributes.get(name))
    return dict(value) if isinstance(value, Mapping) else None


def _structure(value: Any, *, bare: bool = False) -> Any:
    """Text that holds a JSON object or array (or any JSON) as what it holds; everything else as it is."""
    if not isinstance(value, str) or not (bare or value.lstrip()[:1] in ("{", "[")):
        return value
    try:
        return parse_json(value)
    except (ValueError, RecursionError):
        return value


def _unflattened(attributes: Attributes, name: str) -> Any:
    """What flattened attributes spell: ``name.0.message.role`` is the role of the first message in a list."""
    prefix = name + "."
    flat = {key[len(prefix) :]: value for key, value in attributes.items() if key.startswith(prefix)}
    # Only lists are flattened; gen_ai.prompt.name, for one, is another attribute and no part of gen_ai.prompt.
    flat = {key: value for key, value in flat.items() if key.split(".")[0].isdecimal()}
    if not flat:
        return None
    tree: dict[str, Any] = {}
    for key, value in flat.items():
        *path, last = key.split(".")
        if len(path) > _DEEPEST:
            return flat
        place = tree
        for step in path:
            place = place.setdefault(step, {})
            if not isinstance(place, dict):
                return flat  # a name is both a value and a family: better flat than half
        if last in place:
            return flat
        place[last] = value
    return _lists(tree)


def _lists(tree: Any) -> Any:
    """Objects whose keys are numbers as lists, and OpenInference's wrappers (``message`` ...) as what they wrap."""
    if not isinstance(tree, dict):
        return tree
    if all(key.isdecimal() for key in tree):
        return [_lists(tree[key]) for key in sorted(tree, key=int)]
    if len(tree) == 1 and (only := next(iter(tree))) in _WRAPPERS:
        return _lists(tree[only])
    return {key: _lists(value) for key, value in tree.items()}
