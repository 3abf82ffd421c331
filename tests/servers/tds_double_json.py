"""JSON of the TDS double: JSON_VALUE, JSON_QUERY, ISJSON and OPENJSON with what they refuse and what they lose."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, Final

from tests.servers.tds_double_values import convert, error, units

LONGEST: Final = 4000
"""A text that JSON_VALUE gives is an NVARCHAR(4000); a longer one is null."""
_STEP: Final = re.compile(r'\.\s*(?:"((?:[^"\\]|\\.)*)"|([A-Za-z_][\w]*))|\[\s*(\d+)\s*\]')


class Number(str):
    """A number as it is written."""


class _First(dict[str, Any]):
    """An object in which the first of two equal keys counts."""


def _first(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = _First()
    for key, value in pairs:
        made.setdefault(key, value)
    return made


def _refused(name: str) -> Any:
    raise ValueError(name)


def _loaded(text: str) -> Any:
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=_refused, object_pairs_hook=_first)


@lru_cache(maxsize=512)
def _kept(text: str) -> Any:
    return _loaded(text)


def _document(text: Any) -> Any:
    """What a text holds; SQL Server refuses one that is not JSON, and (but for ISJSON) one that is a scalar."""
    try:
        found = _kept(str(text)) if len(str(text)) < 20_000 else _loaded(str(text))
    except (ValueError, RecursionError):
        raise error(13609, "JSON text is not properly formatted. Unexpected character is found.") from None
    if not isinstance(found, dict | list):
        raise error(13609, "JSON text is not properly formatted: it is neither an object nor an array.")
    return found


@lru_cache(maxsize=1024)
def _steps(path: str) -> tuple[bool, tuple[str | int, ...]]:
    match = re.match(r"\s*(?:(lax|strict)\s+)?\$", path)
    if match is None:
        raise error(13607, "JSON path is not properly formatted.")
    at, steps = match.end(), []
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise error(13607, f"JSON path is not properly formatted. Unexpected character at position {at}.")
        quoted, plain, index = step.groups()
        steps.append(int(index) if index else plain if plain is not None else str(json.loads(f'"{quoted}"')))
        at = step.end()
    return match.group(1) == "strict", tuple(steps)


_NOTHING: Final = object()


def _has(value: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(value, list) and step < len(value)
    return isinstance(value, dict) and step in value


def _at(text: Any, path: str) -> Any:
    strict, steps = _steps(path)
    found = _document(text)
    for step in steps:
        if _has(found, step):
            found = found[step]
        elif strict:
            raise error(13608, "Property cannot be found on the specified JSON path.")
        else:
            return _NOTHING
    return found


def _written(value: Any) -> str:
    """JSON again, its numbers as they were."""
    if isinstance(value, Number):
        return str(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{json.dumps(k, ensure_ascii=False)}:{_written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_written, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def _scalar(value: Any) -> str | None:
    if value is None or value is _NOTHING or isinstance(value, dict | list):
        return None
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else str(value)


def json_value(text: Any, path: str = "$") -> str | None:
    """JSON_VALUE: a scalar as text; null where there is none, and where it is longer than 4000 units."""
    found = None if text is None else _scalar(_at(text, path))
    return found if found is None or units(found) <= LONGEST else None


def json_query(text: Any, path: str = "$") -> str | None:
    """JSON_QUERY: an object or an array as JSON."""
    found = None if text is None else _at(text, path)
    return _written(found) if isinstance(found, dict | list) else None


def json_exists(text: Any, path: str) -> int | None:
    """JSON_PATH_EXISTS."""
    return None if text is None else int(_at(text, path) is not _NOTHING)


def is_json(text: Any, of: str = "") -> int | None:
    """ISJSON, of which a type can be asked: VALUE, SCALAR, ARRAY or OBJECT."""
    if text is None:
        return None
    try:
        found = _loaded(str(text))
    except (ValueError, RecursionError):
        return 0
    is_list, is_object = isinstance(found, list), isinstance(found, dict)
    return int(
        {"VALUE": True, "ARRAY": is_list, "OBJECT": is_object, "SCALAR": not (is_list or is_object)}.get(
            of.upper(), is_list or is_object
        )
    )


def json_type(value: Any) -> int:
    """The ``type`` of OPENJSON."""
    kinds = {type(None): 0, str: 1, Number: 2, bool: 3, list: 4}
    return kinds.get(type(value), 5)


def _rows(text: Any, path: str) -> Iterator[tuple[str, Any]]:
    found = _at(text, path)
    if isinstance(found, dict):
        yield from found.items()
    elif isinstance(found, list):
        yield from ((str(place), value) for place, value in enumerate(found))


def open_json(text: Any, path: str = "$") -> str:
    """OPENJSON without WITH, as a JSON array of ``[key, value, type]``."""
    if text is None:
        return "[]"
    rows = [
        [key, _written(value) if isinstance(value, dict | list) else _scalar(value), json_type(value)]
        for key, value in _rows(text, path)
    ]
    return json.dumps(rows)


def open_json_as(text: Any, path: str, columns: str) -> str:
    """OPENJSON with WITH, as a JSON array of rows. ``columns`` is JSON: ``[[path, type, size, as JSON], ...]``."""
    if text is None:
        return "[]"
    found = _at(text, path)
    rows = [found] if isinstance(found, dict) else found if isinstance(found, list) else []
    return json.dumps([[_cell(row, *column) for column in json.loads(columns)] for row in rows])


def _cell(row: Any, path: str, kind: str, size: int, as_json: bool) -> Any:
    if path == "$" and not isinstance(row, dict | list):
        value: Any = row
    else:
        strict, steps = _steps(path)
        value = row
        for step in steps:
            if not _has(value, step):
                if strict:
                    raise error(13608, "Property cannot be found on the specified JSON path.")
                return None
            value = value[step]
    if as_json:
        return _written(value) if isinstance(value, dict | list) else None
    text = _scalar(value)
    if text is None:
        return None
    made = convert(text, kind, size, strict=True)
    # Floats as text: SQLite reads them from JSON with its own rounding.
    return repr(made) if isinstance(made, float) else made.hex() if isinstance(made, bytes) else made
