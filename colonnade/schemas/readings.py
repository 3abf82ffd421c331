"""Readings of the schemas: JSON Schema, reference Markdown, and the TypedDicts of ``rows.py``.

DDL is a reading too; it needs a dialect and is in ``engine.relational``.
"""

from __future__ import annotations

from typing import Any, Final

from colonnade.schemas import TABLES
from colonnade.schemas.kinds import Column
from colonnade.schemas.table import Table

_JSON_TYPES: Final[dict[str, dict[str, Any]]] = {
    "text": {"type": "string"},
    "uuid": {"type": "string", "format": "uuid"},
    "json": {},
    "integer": {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1},
    "bigint": {"type": "integer", "minimum": -(2**63), "maximum": 2**63 - 1},
    "float": {"type": "number"},
    "boolean": {"type": "boolean"},
    "timestamp": {"type": "string", "format": "date-time"},
    "binary": {"type": "string", "contentEncoding": "base64"},
}

_PYTHON_TYPES: Final = {
    "text": "str",
    "uuid": "str",
    "json": "Any",
    "integer": "int",
    "bigint": "int",
    "float": "float",
    "boolean": "bool",
    "timestamp": "datetime",
    "binary": "bytes",
    "vector": "list[float]",
}


def json_schema(table: Table) -> dict[str, Any]:
    """JSON Schema (2020-12) of a table's records, with the API's field names."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": table.facts.record,
        "description": table.facts.description,
        "type": "object",
        "properties": {column.api: _json_property(column) for column in table.columns.values()},
        "required": [column.api for column in table.columns.values() if not column.nullable],
        "additionalProperties": False,
    }


def _json_property(column: Column) -> dict[str, Any]:
    if column.kind.name == "vector":
        size = column.kind.size
        shape: dict[str, Any] = {"type": "array", "items": {"type": "number"}, "minItems": size or 1}
        shape |= {"maxItems": size} if size else {}
    else:
        shape = dict(_JSON_TYPES[column.kind.name])
    if column.identifier and column.kind.name == "text":
        shape["minLength"] = 1
    if column.nullable and "type" in shape:
        shape["type"] = [shape["type"], "null"]
    return {**shape, "description": column.description}


def markdown(table: Table) -> str:
    """The reference page of a table."""
    facts = table.facts
    lines = [f"# {facts.name}", "", facts.description, ""]
    lines.append(f"- domain: `{facts.domain}`; records: `{facts.record}`; in server databases: `{facts.mastra}`")
    lines.append(f"- key: {_code(table.key)}")
    if facts.reading_of:
        renames = ", ".join(f"`{here}` is `{there}`" for here, there in facts.renames)
        lines.append(f"- a reading of `{facts.reading_of}`: nothing is stored under this name; {renames}")
    if facts.final:
        lines.append(f"- a row whose `{facts.final}` is set is never replaced by one where it is null")
    if table.once:
        lines.append(f"- written once, kept when the row is written again: {_code(table.once)}")
    lines += [
        f"- served quickly: equal {_code(index.columns)}, newest `{index.newest}` first" for index in facts.indexes
    ]
    lines += ["", "| column | record field | kind | null | what it holds |", "|---|---|---|---|---|"]
    for column in table.columns.values():
        null = "yes" if column.nullable else ""
        said = column.description.replace("|", "\\|")
        lines.append(f"| `{column.name}` | `{column.api}` | {column.kind} | {null} | {said} |")
    return "\n".join(lines) + "\n"


def _code(names: tuple[str, ...]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def typed_dicts() -> str:
    """The source of ``rows.py``: one TypedDict a table, with the API's field names."""
    lines = [
        '"""The records of every table, generated from the schemas by `python -m colonnade.schemas.rows`.',
        "",
        "Every field is there; a field without a value is ``None``.",
        '"""',
        "",
        "from __future__ import annotations",
        "",
        "from datetime import datetime",
        "from typing import Any, TypedDict",
    ]
    for table in TABLES.values():
        lines += ["", "", f"class {table.facts.record}(TypedDict):", f'    """{table.facts.description}"""', ""]
        for column in table.columns.values():
            python = _PYTHON_TYPES[column.kind.name]
            optional = " | None" if column.nullable and python != "Any" else ""
            lines += [f"    {column.api}: {python}{optional}", f'    """{column.description}"""']
    main = [
        "",
        "",
        'if __name__ == "__main__":',
        "    from pathlib import Path",
        "",
        "    from colonnade.schemas.readings import typed_dicts",
        "",
        "    Path(__file__).write_text(typed_dicts())",
    ]
    return "\n".join([*lines, *main]) + "\n"
